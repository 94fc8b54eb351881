"""Checkpoints: everything that a training needs to go on as if it had not stopped.

    folder/000000001234/state.json                        where the training stands, its history, the callbacks' state
    folder/000000001234/arrays.safetensors (or .npz)      weights, state of layers, of the optimiser, of metrics

A checkpoint is written beside the others under a hidden name, forced to the disk with its checksum, and then renamed: a process
that is killed, a disk that is full, leave the checkpoints there were. `latest` takes the newest that is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc import Variable

Array = np.ndarray[Any, Any]
StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk: `state` as it was saved, and the file of arrays."""

    path: Path
    step: int
    state: dict[str, Any]
    arrays: Path


class Checkpoints:
    """A folder of checkpoints, of which the last `keep` stay.

    every: how many steps there are from one checkpoint to the next; None for one at the end of every epoch.
    """

    def __init__(self, folder: StrPath, keep: int = 3, every: int | None = None) -> None:
        self.folder = Path(folder)
        self.keep = gx.ops.normalize_integer("Checkpoints", "keep", keep)
        self.every = None if every is None else gx.ops.normalize_integer("Checkpoints", "every", every)
        if self.keep < 1 or (self.every is not None and self.every < 1):
            raise gx.errors.InputError("Checkpoints: keep and every begin at 1", where=gx.errors.caller())

    def save(self, step: int, state: Mapping[str, Any], variables: Mapping[str, Variable]) -> Path:
        """Write a checkpoint. state: what JSON can hold."""
        with gx.distributed.busy("writing a checkpoint"):
            return self._save(step, state, variables)

    def _save(self, step: int, state: Mapping[str, Any], variables: Mapping[str, Variable]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clear()
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
        try:
            arrays = new / "arrays.safetensors"
            gx.save(arrays, variables)
            written = {"step": step, "state": dict(state), "arrays": arrays.name, "sha256": checksum(arrays)}
            text = json.dumps(written)
            with open(new / "state.json", "w", encoding="utf-8") as file:
                file.write(json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "checkpoint": text}))
                file.flush()
                os.fsync(file.fileno())
            _sync(new)
            path = self.folder / f"{step:012d}"
            if path.exists():
                shutil.rmtree(path)
            new.rename(path)
            _sync(self.folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        for old in self._all()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; a warning names those that are not."""
        for path in reversed(self._all()):
            try:
                return read(path)
            except (OSError, ValueError, KeyError, TypeError) as error:
                warnings.warn(gx.errors.GraphWarning(f"the checkpoint {path} is not whole: {error}"), stacklevel=2)
        return None

    def _all(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if p.name.isdigit() and p.is_dir())

    def _clear(self) -> None:
        """Remove what a process left that was killed while writing."""
        for left in self.folder.glob(".new-*"):
            shutil.rmtree(left, ignore_errors=True)


def read(path: StrPath) -> Checkpoint:
    """A checkpoint, its checksums verified; ValueError where they are not those of its files."""
    path = Path(path)
    outer = json.loads((path / "state.json").read_text(encoding="utf-8"))
    if hashlib.sha256(outer["checkpoint"].encode()).hexdigest() != outer["sha256"]:
        raise ValueError("state.json has another checksum")
    inner = json.loads(outer["checkpoint"])
    arrays = path / Path(inner["arrays"]).name
    if checksum(arrays) != inner["sha256"]:
        raise ValueError(f"{arrays.name} has another checksum")
    return Checkpoint(path, inner["step"], inner["state"], arrays)


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Force a folder's entries to the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
