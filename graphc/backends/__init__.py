"""What runs: the NumPy interpreter, which is the oracle, and native code.

The interpreter runs a graph; native backends run the program that the last passes make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from graphc.errors import InputError, caller

Array = np.ndarray[Any, Any]


class Timing(NamedTuple):
    """How long a kernel, or a node, takes alone on so many threads: the median of several runs, and the shortest."""

    seconds: float
    best: float
    threads: int


class Executable(Protocol):
    """Something that runs a graph."""

    @property
    def kernels(self) -> Sequence[Any]:
        """The distinct native kernels."""
        ...

    @property
    def compilations(self) -> int:
        """How often native code was compiled."""
        ...

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Array]:
        """The outputs for checked inputs; then variables are updated. `key` stands for the sizes."""
        ...

    def again(self, arguments: tuple[Any, ...]) -> list[Array] | None:
        """The same for arguments not yet checked, if they can be seen to be like those of the last run; None if not."""
        ...

    def times(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Timing]:
        """The time of each call of the program, or of each node that is computed; variables are not changed."""
        ...


@dataclass(frozen=True)
class Backend:
    """A way to run: `build` makes an Executable of a graph, or of a program if `native`."""

    name: str
    native: bool
    build: Callable[[Any], Executable]


def load_backend(name: str) -> Backend:
    """The backend called `name`; LLVM is loaded when it is first asked for."""
    if name == "interpreter":
        from graphc.backends.interpreter import Interpreted

        return Backend(name, False, Interpreted)
    if name == "numba":
        from graphc.backends.numba import build

        return Backend(name, True, build)
    raise InputError(f"there is no backend {name!r}", where=caller(), hint='use "numba" or "interpreter"')
