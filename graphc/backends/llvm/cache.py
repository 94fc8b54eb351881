"""Object code on disk, found by a digest of everything it depends on.

A key is a digest of the kernel's source, the files of graphc that turn it into machine code, the target that they are made
for, and llvmlite's version. An entry is one file: a line of JSON (symbol, digest of the code), then an ELF,
Mach-O or COFF object. Nothing is ever unpickled. Entries are written to a temporary file and renamed, so that processes may
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

import llvmlite
from llvmlite import binding

from graphc.errors import GraphWarning
from graphc.ir.target import Target

MAX_BYTES = 256 * 2**20
_FORMAT = 2
_SUFFIX = ".object"


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
    if os.environ.get("GRAPHC_CACHE") == "0":
        return None
    chosen = os.environ.get("GRAPHC_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(chosen) if chosen else Path(home) / "graphc"


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


def get(key: str) -> Entry | None:
    """The entry of a key, or None. A damaged entry is removed, with one warning."""
    folder = directory()
    if folder is None:
        return None
    path = folder / (key + _SUFFIX)
    try:
        data = path.read_bytes()
    except OSError:
        return None
    entry = _parse(data, key)
    if entry is None:
        _warn_once(f"{path} is damaged and will be made again")
        with suppress(OSError):
            path.unlink()
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
    with suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(head).encode() + b"\n" + entry.code)
            os.replace(temporary, folder / (key + _SUFFIX))
        except OSError:
            os.unlink(temporary)
            raise
        _evict(folder)


def entries() -> list[tuple[Path, int]]:
    """The files of the cache and their sizes, those used longest ago first."""
    folder = directory()
    found = []
    for path in folder.glob("*" + _SUFFIX) if folder is not None else ():
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


def _evict(folder: Path) -> None:
    """Make room, now and then: look at the whole directory once in 64 writes."""
    _written[0] += 1
    if _written[0] % 64:
        return
    found = entries()
    total = sum(size for _, size in found)
    for path, size in found:
        if total <= MAX_BYTES:
            return
        with suppress(OSError):
            path.unlink()
        total -= size


_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, GraphWarning, stacklevel=3)
