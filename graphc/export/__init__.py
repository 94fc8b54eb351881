"""Programs that leave Python: what `compiled.export` writes.

lowering.py  the program for another processor, and for given sizes
files.py     which files there are, written whole or not at all
c/           C99
compiler.py  which compiler makes the other two of it
objects.py   object code
loader.py    a program of object code in Python; it stands alone
wasm/        WebAssembly
"""

from graphc.export.loader import load_exported

__all__ = ["load_exported"]  # the rest is imported by who exports
