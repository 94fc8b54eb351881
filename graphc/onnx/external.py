"""Constants whose data stand in files beside the model: read only where that is asked for, and inside one folder alone.

What names a file here is the model, which may come from anybody. A name is followed part by part from the open folder, no part of
it may be a link, and the file must be a plain one with no other name (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489,
CVE-2026-34446 and CVE-2026-34447 are the ways in which `onnx` itself was led out of the folder). Offsets and lengths are held
against the file before memory is asked for (CVE-2026-34445).
"""

from __future__ import annotations

import bisect
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from graphc.onnx.checks import shown
from graphc.onnx.errors import ModelError
from graphc.onnx.values import Array

_KEYS = ("location", "offset", "length", "checksum", "basepath")  # the last two say nothing that is needed
_TO_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class Folder:
    """The folder that a model may read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.read_before: dict[str, list[tuple[int, int, str]]] = {}  # file -> first byte, behind the last one, name

    def array(self, tensor: TensorProto, dtype: np.dtype[Any]) -> Array:
        """The data of a tensor."""
        name = shown(tensor.name)
        given: dict[str, str] = {}
        for entry in tensor.external_data:
            if not isinstance(entry.key, str) or not isinstance(entry.value, str):
                raise ModelError(f"the data of {name}: their place is no text in UTF-8")
            if entry.key not in _KEYS or entry.key in given:
                what = "there twice" if entry.key in given else "not known"
                raise ModelError(f"the data of {name}: the key {shown(entry.key)!r} is {what}")
            given[entry.key] = entry.value
        if any(n < 0 for n in tensor.dims):
            raise ModelError(f"the data of {name}: a size is negative")
        count = 1
        for n in tensor.dims:
            count *= n
        wanted = count * dtype.itemsize
        offset, length = _number(given.get("offset", "0"), name), _number(given.get("length", str(wanted)), name)
        if length != wanted:
            raise ModelError(f"the data of {name}: {wanted} bytes are its size, and {length} its length")
        location = given.get("location", "")
        file = self._open(location, name)
        try:
            size = self._check(file, location, name)
            if offset + length > size:
                raise ModelError(f"the data of {name}: bytes {offset} to {offset + length} of a file of {size}")
            self._check_overlap(location, offset, offset + length, name)
            raw = np.empty(length, np.uint8)
            room = memoryview(raw.data)
            got = 0
            while got < length:
                part = os.preadv(file, [room[got : got + 2**30]], offset + got)
                if not part:
                    raise ModelError(f"the data of {name}: {shown(location)!r} became shorter while it was read")
                got += part
        finally:
            os.close(file)
        made = raw != 0 if dtype == np.bool_ else raw.view(dtype.newbyteorder("<")).astype(dtype, copy=False)
        return np.asarray(made).reshape(tuple(tensor.dims))

    def _open(self, location: str, name: str) -> int:
        """The file of a location, which no link leads to."""
        parts = location.split("/")
        plain = all(part not in ("", ".", "..") and "\\" not in part and ":" not in part and "\0" not in part for part in parts)
        if not plain:
            raise ModelError(f"the data of {name}: {shown(location)!r} is no plain name of a file in the model's folder")
        here = os.open(self.path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            for i, part in enumerate(parts):
                last = i == len(parts) - 1
                inner = os.open(part, _TO_OPEN | (0 if last else os.O_DIRECTORY), dir_fd=here)
                os.close(here)
                here = inner
        except OSError as error:
            os.close(here)
            raise ModelError(
                f"the data of {name}: {shown(location)!r} cannot be opened: {error.strerror}", hint="links are not followed"
            ) from error
        return here

    @staticmethod
    def _check(file: int, location: str, name: str) -> int:
        """The size of a plain file that has no other name."""
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise ModelError(f"the data of {name}: {shown(location)!r} is no plain file")
        if found.st_nlink != 1:
            raise ModelError(
                f"the data of {name}: {shown(location)!r} has {found.st_nlink} names", hint="the other may be outside: copy it"
            )
        return found.st_size

    def _check_overlap(self, location: str, start: int, end: int, name: str) -> None:
        """Two tensors may have the same data, but not parts of it in common."""
        before = self.read_before.setdefault(location, [])  # sorted, none overlapping
        place = bisect.bisect_left(before, (start, end, ""))
        if start == end or (place < len(before) and before[place][:2] == (start, end)):
            return
        for first, behind, other in before[max(place - 1, 0) : place + 1]:
            if start < behind and first < end:
                raise ModelError(f"the data of {name}: it overlaps that of {other} in {shown(location)!r}")
        before.insert(place, (start, end, name))


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ModelError(f"the data of {name}: {shown(text)!r} is no number of bytes")
    return int(text)
