"""A large file of a model: digested when it is opened, and read only where the model's symbols are asked for."""

from __future__ import annotations

import hashlib
import mmap
import os
from contextlib import suppress
from pathlib import Path

from graphc.onnx.errors import ModelError

LARGE = 16 * 2**20  # bytes: less is read at once


class LargeFile:
    """The bytes of a file as they are when it is opened. They stay on disk, also where the file's name goes to another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.digest = hashlib.file_digest(file, "sha256").digest()

    def read(self) -> bytes:
        """The bytes; ModelError where somebody has written into the file since."""
        data = self.bytes[:] if self.bytes.size() == len(self.bytes) else b""
        if hashlib.sha256(data).digest() != self.digest:
            raise ModelError(f"{self.path} was written into after it was loaded", hint="load it again")
        return data


def content(path: str | Path) -> bytes | LargeFile:
    """What is in a file. Windows keeps a file that is mapped from being replaced, so none is there."""
    file = Path(path)
    if os.name != "nt" and file.is_file() and file.stat().st_size >= LARGE:
        with suppress(OSError, ValueError):  # a file system without mapping
            return LargeFile(file)
    return file.read_bytes()


__all__ = ["LARGE", "LargeFile", "content"]
