"""What a backend makes of a graph or a program: something that runs, and says how long its parts take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


class Timing(NamedTuple):
    """How long a kernel, or a node, takes alone on so many threads: the median of several runs, and the shortest."""

    seconds: float
    best: float
    threads: int


class Storage(Protocol):
    """Where the value of a variable lives: what programs are bound to, by the names of their buffers."""

    @property
    def data(self) -> Array:
        """The memory that holds the value now."""
        ...

    @property
    def places(self) -> Array:
        """The addresses of that memory, and of a second one or 0: who writes there lets the two change places."""
        ...

    def add_memory(self) -> None:
        """Have a second memory from now on."""
        ...


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

    def into(self, arguments: tuple[Any, ...], results: list[Any]) -> bool:
        """The same, written into given arrays; False, and nothing has run, where that cannot be done or seen to be right."""
        ...

    def times(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Timing]:
        """The time of each call of the program, or of each node that is computed; variables are not changed."""
        ...


__all__ = ["Array", "Executable", "Storage", "Timing"]
