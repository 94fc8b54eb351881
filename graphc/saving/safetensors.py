"""Files of .safetensors: a header in JSON, and the arrays' bytes behind it.

    8 bytes        the length of the header, lowest byte first
    the header     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    the arrays     one after the other without gaps, in C order, lowest byte first

https://huggingface.co/docs/safetensors. A file is mapped into memory, so that of arrays that nobody asks for no byte is read.
What is written is the same to the byte as what the package `safetensors` writes.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from graphc.ir import types as t
from graphc.saving.sources import Array, Arrays

_CODES = {kind.short.upper(): kind for kind in t.DTYPES}  # F32, BF16, I8, BOOL: the format's names are these
_ORDER = ("BOOL", "U8", "I8", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64")  # the last is first
_EIGHT = ("F8_E4M3", "F8_E5M2")
_OTHERS = {  # bits of what graphc does not have
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "C64": 64,
}  # fmt: skip
_LONGEST = 100_000_000  # bytes of a header, as the package has it


# --- writing ---------------------------------------------------------------------------------------------------------


def write(file: IO[bytes], arrays: Arrays) -> None:
    """Write arrays by name. The widest types come first, so that all lie at multiples of their sizes."""
    codes = {name: _code(array) for name, array in arrays.items()}
    ordered = sorted(arrays, key=lambda name: (-_ORDER.index(codes[name]), name.encode()))
    header: dict[str, Any] = {}
    at = 0
    for name in ordered:
        end = at + arrays[name].nbytes
        header[name] = {"dtype": codes[name], "shape": list(arrays[name].shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for name in ordered:
        array = arrays[name]
        file.write(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).reshape(-1).view(np.uint8).data)


def _code(array: Array) -> str:
    return t.as_dtype(array.dtype).short.upper()


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    code: str
    shape: tuple[int, ...]
    start: int  # of the file
    length: int


class Safetensors:
    """An open file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start, text = _header(file, size)
            self.entries = _entries(parsed(text), start, size)
            self.memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)

    def names(self) -> Iterable[str]:
        return self.entries

    def array(self, name: str, casts: bool) -> Array:
        entry = self.entries[name]
        if entry.code in _EIGHT and casts:
            raw = np.frombuffer(self.memory, np.uint8, entry.length, entry.start)
            return _floats_of_8_bits(entry.code)[raw].reshape(entry.shape)
        if entry.code not in _CODES:
            more = "; with dtype= it is cast" if entry.code in _EIGHT else ""
            raise ValueError(f"{name!r} is of {entry.code}, which graphc does not have{more}")
        dtype = _CODES[entry.code].numpy
        if not entry.length:
            return np.empty(entry.shape, dtype)
        if dtype == np.bool_:  # a byte may be more than 1
            raw = np.frombuffer(self.memory, np.uint8, entry.length, entry.start)
            return np.not_equal(raw, 0).reshape(entry.shape)
        array = np.frombuffer(self.memory, dtype.newbyteorder("<"), entry.length // dtype.itemsize, entry.start)
        return array.astype(dtype, copy=False).reshape(entry.shape)

    def close(self) -> None:
        with suppress(BufferError):  # where an array of it is still held, it is closed with that
            self.memory.close()


def _header(file: IO[bytes], size: int) -> tuple[int, bytes]:
    """Where the arrays begin, and the header."""
    first = file.read(8)
    if len(first) < 8:
        raise ValueError("it is shorter than the length of a header")
    (length,) = struct.unpack("<Q", first)
    if length > min(size - 8, _LONGEST):
        raise ValueError(f"its header would have {length} bytes")
    text = file.read(length)
    if len(text) < length or text[:1] != b"{":
        raise ValueError("its header is no JSON object")
    return 8 + length, text


def parsed(text: bytes) -> dict[str, Any]:
    """A JSON object of a file from elsewhere; ValueError for another one, names that are there twice, NaN, and depth."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("a name is there twice")
        if any("\ud800" <= letter <= "\udfff" for name in made for letter in name):
            raise ValueError("a name is no text in UTF-8")
        return made

    def no_constant(text: str) -> None:
        raise ValueError(f"{text} is no JSON")

    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_constant=no_constant)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("its JSON is no object")
    return found


def _entries(header: dict[str, Any], start: int, size: int) -> dict[str, _Entry]:
    """Where the arrays lie: they fill what is behind the header, and none overlaps another."""
    notes = header.pop("__metadata__", None)
    if notes is not None and not (isinstance(notes, dict) and all(isinstance(v, str) for v in notes.values())):
        raise ValueError("its __metadata__ are no texts by name")
    found: dict[str, _Entry] = {}
    places = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
            raise ValueError(f"{_cut(name)} has no dtype, shape and data_offsets")
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2 or len(shape) > 64:
            raise ValueError(f"{_cut(name)} has a shape or data_offsets that are no sizes")
        if not isinstance(code, str) or (code not in _CODES and code not in _OTHERS):
            raise ValueError(f"{_cut(name)} is of the unknown type {_cut(code)}")
        bits = 8 * _CODES[code].itemsize if code in _CODES else _OTHERS[code]
        first, end = offsets
        if 8 * (end - first) != math.prod(shape) * bits:
            raise ValueError(f"{_cut(name)} has {end - first} bytes, which are no {code}{shape}")
        found[name] = _Entry(code, tuple(shape), start + first, end - first)
        places.append((first, end, name))
    at = 0
    for first, end, name in sorted(places):
        if first != at:
            raise ValueError(f"{_cut(name)} begins at {first}, where {at} bytes are before it")
        at = end
    if start + at != size:
        raise ValueError(f"its arrays have {at} bytes, and behind the header are {size - start}")
    return found


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**63 for n in values)


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@lru_cache(maxsize=2)
def _floats_of_8_bits(code: str) -> Array:
    """float32 of every byte: https://arxiv.org/abs/2209.05433, table 1."""
    byte = np.arange(256, dtype=np.uint8)
    if code == "F8_E5M2":  # the upper byte of a float16
        value = (byte.astype(np.uint16) << 8).view(np.float16).astype(np.float32)
        return np.where(np.isnan(value), np.float32(np.nan), value)  # that are quiet
    sign, exponent, fraction = np.where(byte & 128, -1.0, 1.0), (byte >> 3 & 15).astype(int), (byte & 7) / 8
    value = np.where(exponent == 0, fraction * 2.0**-6, (1 + fraction) * 2.0 ** (exponent - 7))
    return np.where(byte & 127 == 127, np.nan, sign * value).astype(np.float32)
