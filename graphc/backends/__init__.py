"""What runs: the NumPy interpreter, which is the oracle, and native code through Numba.

A backend is a function (graph, stages) -> Executable. It may append further stages (programs) to the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from graphc.errors import InputError, caller
from graphc.ir.graph import Graph
from graphc.ir.program import Program

Array = np.ndarray[Any, Any]
Stages = list[tuple[str, Graph | Program]]


class Executable(Protocol):
    """Something that runs a graph."""

    kernels: Sequence[Any]
    compilations: int

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Array]:
        """The outputs for checked inputs; then variables are updated. `key` stands for the sizes."""
        ...


def load_backend(name: str) -> Callable[[Graph, Stages], Executable]:
    """The backend called `name`; Numba is imported when it is first asked for."""
    if name == "interpreter":
        from graphc.backends.interpreter import Interpreted

        return Interpreted
    if name == "numba":
        from graphc.backends.numba import build

        return build
    raise InputError(f"there is no backend {name!r}", where=caller(), hint='use "numba" or "interpreter"')
