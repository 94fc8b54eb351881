"""Arrays in several .safetensors files, and the index that says which is where.

    model.safetensors.index.json             {"weight_map": {"name": "model-00001-of-00002.safetensors", ...}, "metadata": ...}
    model-00001-of-00002.safetensors ...     beside it

An index is written last, when all of its files are on the disk; those of an older index of the path are removed then.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graphc.saving import safetensors
from graphc.saving.replacing import replaced
from graphc.saving.sources import Array, Arrays

SUFFIX = ".safetensors.index.json"
_LONGEST = 100_000_000  # bytes of an index


class Shards:
    """An open index; a file is opened when an array of it is asked for."""

    def __init__(self, path: Path) -> None:
        self.folder, self.files = path.parent, _files(path)
        self.open: dict[str, safetensors.Safetensors] = {}

    def names(self) -> Iterable[str]:
        return self.files

    def array(self, name: str, casts: bool) -> Array:
        file = self.files[name]
        if file not in self.open:
            try:
                self.open[file] = safetensors.Safetensors(self.folder / file)
            except (ValueError, FileNotFoundError) as error:
                raise ValueError(f"{file}: {error}") from error
        if name not in self.open[file].entries:
            raise ValueError(f"{file} has no {name!r}")
        return self.open[file].array(name, casts)

    def close(self) -> None:
        for source in self.open.values():
            source.close()


def _files(path: Path) -> dict[str, str]:
    """The file of each array. Names lead nowhere but into the index's folder."""
    if path.stat().st_size > _LONGEST:
        raise ValueError("it is too long for an index")
    found: Any = safetensors.parsed(path.read_bytes()).get("weight_map")
    if not isinstance(found, dict) or not all(isinstance(file, str) for file in found.values()):
        raise ValueError("it has no weight_map of names and files")
    for file in set(found.values()):
        if Path(file).name != file or "\\" in file or ":" in file or "\0" in file or not file.endswith(".safetensors"):
            raise ValueError(f"{file[:80]!r} is no plain name of a .safetensors file")
    return found


def save(path: Path, arrays: Arrays, most: int) -> None:
    """Write arrays into files of at most so many bytes each (one array at least), and their index."""
    parts: list[Arrays] = [{}]
    room = most
    for name, array in arrays.items():
        if parts[-1] and array.nbytes > room:
            parts.append({})
            room = most
        parts[-1][name] = array
        room -= array.nbytes
    stem = path.name.removesuffix(SUFFIX)
    try:
        before = set(_files(path).values()) if path.exists() else set()
    except ValueError:  # it was no index
        before = set()
    files = _names(stem, len(parts))
    if any((path.parent / file).exists() for file in files):  # an index that stays there to the end may need them
        files = _names(f"{stem}-{secrets.token_hex(4)}", len(parts))
    made: list[Path] = []
    try:
        for file, part in zip(files, parts, strict=True):
            made.append(path.parent / file)
            with replaced(made[-1]) as out:
                safetensors.write(out, part)
        total = sum(array.nbytes for array in arrays.values())
        weights = {name: file for file, part in zip(files, parts, strict=True) for name in part}
        index = {"metadata": {"total_size": total}, "weight_map": weights}
        with replaced(path) as out:
            out.write(json.dumps(index, indent=2, ensure_ascii=False).encode("utf-8"))
    except BaseException:
        for file_path in made:
            file_path.unlink(missing_ok=True)
        raise
    for file in before - set(files):
        if file.startswith(stem):
            (path.parent / file).unlink(missing_ok=True)


def _names(stem: str, count: int) -> list[str]:
    return [f"{stem}-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]


def is_index(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(SUFFIX)
