"""Object code, and arrays of kept programs, on disk, found by a digest of everything they depend on.

A key is a digest of the kernel's source, the files of graphc that turn it into machine code, the target that they are made
for, and llvmlite's version. An entry is one file: a line of JSON (symbol, digest of the code), then an ELF,
Mach-O or COFF object. Nothing is ever unpickled. An array has a file of its own, called after the digest of its bytes, so that
programs share it, and is read straight to where it is used: sums of its pages, which take a tenth of a digest's time, tell
whether it is damaged. Entries are written to a temporary file and renamed, so that processes may
race; one that is damaged is reported once and compiled again. The directory belongs to the user alone (mode 0700), or is not
used. The entries used longest ago go when there are too many.

    GRAPHC_CACHE_DIR   the directory; by default graphc/ in the user's cache directory
    GRAPHC_CACHE=0     keep nothing on disk
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding

from graphc.errors import GraphWarning
from graphc.ir.target import Target

MAX_BYTES = 2**30  # machine code takes some kB a kernel; the weights of models, which are arrays, most of it
_FORMAT = 2
_SUFFIX, _ARRAY = ".object", ".array"
_PAGE = 4096  # bytes of an array that are summed up as one
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Entry:
    """Object code, and what the names of the functions in it begin with."""

    symbol: str
    code: bytes


@lru_cache(maxsize=8)
def _environment(target: Target) -> str:
    """What all keys of a target share in this process."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(here.rglob("*.py")):
        digest.update(file.read_bytes())
    return "\n".join((digest.hexdigest(), binding.get_process_triple(), str(target.facts), llvmlite.__version__, str(_FORMAT)))


def key_of(text: str, target: Target) -> str:
    """The key of a kernel whose code for a target is determined by a text."""
    return hashlib.sha256(f"{_environment(target)}\n{text}".encode()).hexdigest()


def wanted() -> Path | None:
    """Where the cache is to be; None if there is to be none."""
    found = _wanted()
    return None if found is None else Path(found)


def _wanted() -> str | None:
    if os.environ.get("GRAPHC_CACHE") == "0":
        return None
    chosen = os.environ.get("GRAPHC_CACHE_DIR")
    return chosen or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "graphc")


_seen: set[str] = set()  # directories that are there and the user's alone


def _place(name: str) -> str | None:
    """Where an entry is, if there is one; the directory is looked at once, and as text: a warm start is many entries."""
    folder = _wanted()
    if folder not in _seen:
        if folder is None or directory() is None:
            return None
        _seen.add(folder)
    return os.path.join(folder, name)


def directory() -> Path | None:
    """The cache's directory, made if need be; None if there is to be none, or none that is the user's alone."""
    path = wanted()
    if path is None:
        return None
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError:
        return None
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077):
        _warn_once(f"{path} is not the user's alone (mode 0700): compiled kernels are not kept")
        return None
    return path


def has(key: str) -> bool:
    """Whether there is an entry of a key."""
    path = _place(key + _SUFFIX)
    return path is not None and os.path.exists(path)


def get(key: str) -> Entry | None:
    """The entry of a key, or None. A damaged entry is removed, with one warning."""
    path = _place(key + _SUFFIX)
    if path is None:
        return None
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read()
    except OSError:
        return None
    entry = _parse(data, key)
    if entry is None:
        _drop(path)
        return None
    with suppress(OSError):
        os.utime(path)  # the time of last use, by which entries leave
    return entry


def _parse(data: bytes, key: str) -> Entry | None:
    line, _, code = data.partition(b"\n")
    try:
        head = json.loads(line)
        whole = head["key"] == key and head["sha256"] == hashlib.sha256(code).hexdigest()
        return Entry(str(head["symbol"]), code) if whole else None
    except (ValueError, KeyError, TypeError):
        return None


def put(key: str, entry: Entry) -> None:
    """Keep an entry. What cannot be written is not kept."""
    folder = directory()
    if folder is None:
        return
    head = {"key": key, "symbol": entry.symbol, "sha256": hashlib.sha256(entry.code).hexdigest()}
    _write(folder, key + _SUFFIX, json.dumps(head).encode() + b"\n", entry.code)


def _write(folder: Path, name: str, *parts: Any) -> None:
    """Write a file whole, or not at all."""
    with suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                for part in parts:
                    file.write(part)
            os.replace(temporary, folder / name)
        except OSError:
            os.unlink(temporary)
            raise
        _evict(folder, sum(memoryview(part).nbytes for part in parts))


def put_array(array: Array) -> str:
    """Keep the bytes of an array without gaps, if they are not kept yet; the name under which they are found."""
    data = _bytes(array)
    name = hashlib.sha256(data.data).hexdigest()
    folder = directory()
    if folder is not None and not (folder / (name + _ARRAY)).exists():
        _write(folder, name + _ARRAY, data, _sums(data))
    return name


def get_array(name: str, array: Array) -> bool:
    """Fill an array with the bytes that are kept under a name; False where they are not there, or damaged."""
    path, data = _place(name + _ARRAY), _bytes(array)
    if path is None:
        return False
    try:
        with open(path, "rb", buffering=0) as file:
            done = 0
            while done < data.nbytes and (count := file.readinto(data[done:].data)):  # one call reads 2 GiB at most
                done += count
            sums = file.read()
    except OSError:
        return False
    if done < data.nbytes or sums != _sums(data):
        _drop(path)
        return False
    with suppress(OSError):
        os.utime(path)
    return True


def _bytes(array: Array) -> Array:
    return array.reshape(-1).view(np.uint8)


def _sums(data: Array) -> bytes:
    """A digest of the sums of all pages, which a change of any page changes."""
    whole = data.nbytes // _PAGE * _PAGE
    sums = np.sum(data[:whole].view(np.uint64).reshape(-1, _PAGE // 8), axis=1)
    return hashlib.sha256(sums.tobytes() + data[whole:].tobytes()).digest()


def entries() -> list[tuple[Path, int]]:
    """The files of the cache and their sizes, those used longest ago first."""
    folder = directory()
    found = []
    for path in folder.iterdir() if folder is not None else ():
        if path.suffix not in (_SUFFIX, _ARRAY):
            continue
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime_ns, path, status.st_size))
    return [(path, size) for _, path, size in sorted(found)]


def clear() -> int:
    """Remove every entry; how many there were."""
    found = entries()
    for path, _ in found:
        with suppress(OSError):
            path.unlink()
    return len(found)


_written = [0]


def _evict(folder: Path, size: int) -> None:
    """Make room, now and then: look at the whole directory once in 64 writes or MiB."""
    _written[0] += 1 + size // 2**20
    if _written[0] < 64:
        return
    _written[0] = 0
    found = entries()
    total = sum(size for _, size in found)
    for path, size in found:
        if total <= MAX_BYTES:
            return
        with suppress(OSError):
            path.unlink()
        total -= size


def _drop(path: str) -> None:
    """Remove what is damaged."""
    _warn_once(f"{path} is damaged and will be made again")
    with suppress(OSError):
        os.unlink(path)


_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, GraphWarning, stacklevel=4)
