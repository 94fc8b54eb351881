"""Programs as C99: one header and one source file.

text.py         types, numbers and sizes as C
primitives.py   the primitives, without a library
kernels.py      a kernel as a function
contraction.py  products of matrices
programs.py     a program: memory and calls
interface.py    the header, and what a call checks
"""

from graphc.export.c.interface import Interface, header, interface_of, refuse, source_file

__all__ = ["Interface", "header", "interface_of", "refuse", "source_file"]
