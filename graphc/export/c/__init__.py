"""Programs as C99: one header and one source file.

text.py         types, numbers and sizes as C
primitives.py   the primitives, without a library
kernels.py      a kernel as a function
contraction.py  products of matrices
programs.py     a program: memory and calls
interface.py    the header, and what a call checks
weights.py      the first values of variables
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.export.c import weights as first_values
from graphc.export.c.interface import header, interface_of, source_file
from graphc.ir.program import Program


class CSource:
    """A program as C.

    fast     whether a * b + c may be rounded twice where the program rounds once
    blocked  whether products are computed in tiles: more code, and faster
    """

    def __init__(self, program: Program, name: str, fast: bool = False, blocked: bool = True) -> None:
        self.program = program
        self.face = interface_of(program, name)
        self.source, self.arena = source_file(self.face, program, fast, blocked)

    def files(self, initial: Mapping[str, np.ndarray[Any, Any]], weights: str | None) -> dict[str, bytes]:
        """The files by their names; `weights` says where the first values of variables go."""
        name = self.face.name
        more, beside = first_values.written(self.face, initial, weights) if initial else ("", {})
        head = header(self.face, self.program, more, self.arena)
        return {f"{name}.h": head.encode(), f"{name}.c": self.source.encode(), **beside}


__all__ = ["CSource"]
