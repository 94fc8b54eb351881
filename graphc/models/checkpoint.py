"""Checkpoints: everything that a training needs to go on as if it had not stopped.

    folder/000000001234/state.json                        where the training stands, its history, the callbacks' state
    folder/000000001234/arrays.safetensors                weights, state of layers, of the optimiser, of metrics

Of several ranks each writes a part of the arrays:

    folder/000000001234/arrays-00001-of-00003.safetensors ...      each array in one file, what is divided among ranks in all
    folder/000000001234/arrays.safetensors.index.json              which is where, as `gx.load` reads it

A checkpoint is written beside the others under a hidden name, forced to the disk with its checksums, and then renamed: a process
that is killed, a disk that is full, leave the checkpoints there were. `latest` takes the newest that is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import graphc as gx
from graphc import Variable
from graphc.distributed import rank, size
from graphc.distributed.host import from_first, gathered
from graphc.distributed.vectors import number_of

Array = np.ndarray[Any, Any]
StrPath = str | os.PathLike[str]
T = TypeVar("T")


class Divided:
    """A vector in equal parts, of which the last may be shorter; of a slice the parts are read that it needs."""

    def __init__(self, file: Path, name: str, count: int, parts: int) -> None:
        self.file, self.name, self.shape, self.parts = file, name, (count,), parts

    def __getitem__(self, wanted: slice) -> Array:
        start, stop, _ = wanted.indices(self.shape[0])
        if start >= stop:
            return np.zeros(0)
        length = -(-self.shape[0] // self.parts)
        first = start // length
        names = [part_name(self.name, i, self.parts) for i in range(first, -(-stop // length))]
        read = gx.load(self.file, names=names)
        return np.concatenate([read[name] for name in names])[start - first * length : stop - first * length]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk: `state` as it was saved, and the file of arrays, or the index of several.

    divided: how many elements, in how many parts, a vector has that ranks have written together.
    """

    path: Path
    step: int
    state: dict[str, Any]
    arrays: Path
    divided: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def load(self) -> dict[str, Any]:
        """Arrays by name; what is divided is read when a slice of it is asked for."""
        parts = {part_name(name, i, many) for name, (_, many) in self.divided.items() for i in range(many)}
        whole = gx.load(self.arrays, names=lambda name: None if name in parts else name)
        return {**whole, **{name: Divided(self.arrays, name, *sizes) for name, sizes in self.divided.items()}}


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
            new = self._begun()
            try:
                arrays = new / "arrays.safetensors"
                gx.save(arrays, variables)
                written = {"step": step, "state": dict(state), "arrays": arrays.name, "sha256": checksum(arrays)}
                return self._ended(new, step, written)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise

    def save_by_ranks(
        self, step: int, state: Mapping[str, Any], variables: Mapping[str, Variable], divided: Mapping[str, tuple[Array, int]],
        more: Mapping[str, Variable],
    ) -> None:  # fmt: skip
        """Write a checkpoint with all ranks, each of which calls this.

        variables: alike on all ranks, each is written by one. divided: this rank's part of vectors, of which every rank but the
        last ones has as many elements, and the number of all elements. state, more: what rank 0 alone has.
        """
        here, ranks = rank(), size()
        new = Path(from_first(str(together(lambda: self._begun() if here == 0 else None))))
        try:
            sizes = {name: number_of(v.size) * v.dtype.numpy.itemsize for name, v in variables.items()}
            writers = shared_out(sizes, ranks)
            files = [f"arrays-{i + 1:05d}-of-{ranks:05d}.safetensors" for i in range(ranks)]
            own = {name: v for name, v in variables.items() if writers[name] == here}
            own.update({part_name(name, here, ranks): gx.variable(part) for name, (part, _) in divided.items()})
            own.update(more if here == 0 else {})

            def write() -> bytes:
                gx.save(new / files[here], own)
                return bytes.fromhex(checksum(new / files[here]))

            sums = gathered(np.frombuffer(together(write), np.uint8))

            def end() -> None:
                index = {name: files[i] for name, i in writers.items()} | dict.fromkeys(more, files[0])
                index.update({part_name(name, i, ranks): files[i] for name in divided for i in range(ranks)})
                arrays = new / "arrays.safetensors.index.json"
                _write(arrays, {"metadata": {"ranks": ranks}, "weight_map": index})
                digests = {file: row.tobytes().hex() for file, row in zip(files, sums, strict=True)}
                written = {
                    "step": step, "state": dict(state), "arrays": arrays.name, "sha256": checksum(arrays), "files": digests,
                    "divided": {name: (count, ranks) for name, (_, count) in divided.items()},
                }  # fmt: skip
                self._ended(new, step, written)

            together(end if here == 0 else lambda: None)
        except BaseException:
            if here == 0:
                shutil.rmtree(new, ignore_errors=True)
            raise

    def _begun(self) -> Path:
        """A hidden folder for the files of a checkpoint."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clear()
        return Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))

    def _ended(self, new: Path, step: int, written: Mapping[str, Any]) -> Path:
        """The checkpoint whose other files lie in a folder, in its place."""
        text = json.dumps(written)
        _write(new / "state.json", {"sha256": hashlib.sha256(text.encode()).hexdigest(), "checkpoint": text})
        _sync(new)
        path = self.folder / f"{step:012d}"
        if path.exists():
            shutil.rmtree(path)
        new.rename(path)
        _sync(self.folder)
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
    for name, digest in {inner["arrays"]: inner["sha256"], **inner.get("files", {})}.items():
        if checksum(path / Path(name).name) != digest:
            raise ValueError(f"{Path(name).name} has another checksum")
    divided = {name: (count, parts) for name, (count, parts) in inner.get("divided", {}).items()}
    return Checkpoint(path, inner["step"], inner["state"], path / Path(inner["arrays"]).name, divided)


def shared_out(sizes: Mapping[str, int], ranks: int) -> dict[str, int]:
    """Who writes what: the largest first, each to a rank that has least; the same on every rank."""
    held, found = [0] * ranks, {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        found[name] = place = held.index(min(held))
        held[place] += sizes[name]
    return found


def part_name(name: str, part: int, parts: int) -> str:
    """What a rank's part of a divided array is called."""
    return f"{name}/{part + 1:05d}-of-{parts:05d}"


def together(work: Callable[[], T]) -> T:
    """What work gives, once it is done on all ranks; an error on every rank where it fails on one."""
    try:
        with gx.distributed.busy("writing a checkpoint"):
            found = work()
    except Exception:
        gathered(np.array([False]))
        raise
    fine = gathered(np.array([True]))[:, 0]
    if not fine.all():
        raise gx.errors.DistributedError(f"rank {int(np.argmin(fine))} could not write its part of a checkpoint")
    return found


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, and force it to the disk."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(content))
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Force a folder's entries to the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
