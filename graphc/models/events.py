"""Event files as TensorBoard reads them: records of scalars, written without any package.

A file is a row of records (TensorFlow's TFRecord): length, its checksum, data, their checksum; the checksums are CRC-32C,
rotated and shifted. The data are messages of Protocol Buffers, of which an event of scalars needs few fields (event.proto,
summary.proto).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected (RFC 3720, appendix B.4)


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_row, range(256)))


def crc32c(data: bytes) -> int:
    """The checksum CRC-32C.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    """A checksum as records hold it: a checksum of data that have checksums in them would be weak."""
    value = crc32c(data)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _text(field: int, data: bytes) -> bytes:
    """A field of bytes: a text, or a message."""
    return _varint(field << 3 | 2) + _varint(len(data)) + data


class Events:
    """A new event file in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("events.out.tfevents.*")))
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{number}"
        self.path = folder / name
        self._file = open(self.path, "wb")  # noqa: SIM115
        self._event(_text(3, b"brain.Event:2"))

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Write figures of a step."""
        values = b"".join(
            _text(1, _text(1, name.encode()) + b"\x15" + struct.pack("<f", value)) for name, value in figures.items()
        )
        self._event(b"\x10" + _varint(step) + _text(5, values))

    def _event(self, fields: bytes) -> None:
        data = b"\x09" + struct.pack("<d", time.time()) + fields
        length = struct.pack("<Q", len(data))
        self._file.write(length + _masked(length) + data + _masked(data))
        self._file.flush()

    def close(self) -> None:
        self._file.close()
