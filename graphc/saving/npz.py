"""Files of .npz: a zip archive of one .npy file a variable, as np.savez writes it and np.load reads it.

NumPy has no bfloat16: such an array is there as raw elements of two bytes, "V2", which is what np.savez makes of it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from graphc.ir import types as t
from graphc.saving.sources import Array, Arrays


def write(file: IO[bytes], arrays: Arrays) -> None:
    """np.savez's form; not by np.savez itself, to which names such as `file` mean something else."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: equal states are equal files
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


class Npz:
    """An open archive."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)
        self.entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self.archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name in self.entries or name == entry.filename:
                self.archive.close()
                raise ValueError(f"it holds {entry.filename!r}, which is {'there twice' if name in self.entries else 'no array'}")
            self.entries[name] = entry

    def names(self) -> Iterable[str]:
        return self.entries

    def array(self, name: str, casts: bool) -> Array:
        with self.archive.open(self.entries[name]) as part:
            return _native(np.lib.format.read_array(part, allow_pickle=False))

    def close(self) -> None:
        self.archive.close()


def _native(array: Array) -> Array:
    """The array in this machine's byte order; raw elements of two bytes are bfloat16's."""
    if array.dtype == np.dtype("V2"):
        return array.view(t.bfloat16.numpy)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
