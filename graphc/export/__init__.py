"""Programs that leave Python: what `compiled.export` writes.

lowering.py  the program for another processor, and for given sizes
files.py     which files there are, written whole or not at all
c/           C99
compiler.py  which compiler makes the other two of it
objects.py   object code
loader.py    a program of object code in Python; it stands alone
wasm/        WebAssembly
"""

from __future__ import annotations

import os

from graphc.errors import InputError, caller
from graphc.export.loader import ExportedProgram


def load_exported(folder: str | os.PathLike[str], name: str | None = None) -> ExportedProgram:
    """A program that was exported with `language="object"`, to be called like a compiled one.

    folder  where its files are
    name    which one, where there are several

    Neither Numba nor llvmlite is needed to run it, nor any compiler; the program's own `NAME.py` does the same without graphc.
    Raises OSError where its files are not there, or this machine cannot run it; InputError for what is no path.

    >>> import tempfile, numpy as np, graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float32")
    >>> f = gx.compile([x], gx.sum(x * x), name="energy")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = f.export(folder, language="object", compiler="cc")
    ...     energy = gx.load_exported(folder)
    ...     print(energy(np.ones(5, "float32")))
    5.0
    """
    if not isinstance(folder, (str, os.PathLike)) or not isinstance(name, str | None):
        wrong = folder if not isinstance(folder, (str, os.PathLike)) else name
        raise InputError(
            f"load_exported: {type(wrong).__name__} is no path or name", where=caller(), hint='gx.load_exported("folder")'
        )
    return ExportedProgram(folder, name)


__all__ = ["ExportedProgram", "load_exported"]  # the rest is imported by who exports
