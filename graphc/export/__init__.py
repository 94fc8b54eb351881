"""Programs that leave Python: what `compiled.export` writes.

lowering.py  the program for another processor, and for given sizes
files.py     which files there are, written whole or not at all
c/           C99
"""

from graphc.export.files import export

__all__ = ["export"]
