"""What runs: the NumPy interpreters, which are the oracle, and native code.

One interpreter runs a graph; the other, and native backends, run the program that the last passes make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from graphc.errors import GraphError, InputError, caller
from graphc.ir import dims
from graphc.ir.graph import Graph
from graphc.ir.program import Program

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
    """A way to run: `build` makes an Executable of a graph, or of a program if `native`, which `steps` of its own make ready."""

    name: str
    native: bool
    build: Callable[[Any], Executable]
    steps: tuple[Callable[[Program], Program], ...] = ()


def load_backend(name: str) -> Backend:
    """The backend called `name`; LLVM is loaded when it is first asked for."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name == "interpreter":
        from graphc.backends.interpreter import Interpreted

        return Backend(name, False, Interpreted)
    if name == "program":
        from graphc.backends.program import InterpretedProgram

        return Backend(name, True, InterpretedProgram)
    if name == "numba":
        from graphc.backends.llvm import build, steps

        return Backend(name, True, build, steps)
    raise InputError(
        f"there is no backend {name!r}", where=caller(), hint="use " + " or ".join(f'"{n}"' for n in (*_OWN, *_REGISTERED))
    )


Run = Callable[[Sequence[Array], Mapping[str, int]], Sequence[Array]]
_OWN = ("numba", "interpreter", "program")
_REGISTERED: dict[str, Backend] = {}


class Running:
    """A function of arrays and sizes as an Executable: its results are checked and copied before variables are written."""

    kernels: Sequence[Any] = ()
    compilations = 0

    def __init__(self, name: str, graph: Graph, function: Run) -> None:
        self._name, self._graph, self._function = name, graph, function

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Array]:
        wanted = [*self._graph.outputs, *(new for _, new in self._graph.updates)]
        made = [np.array(y) for y in self._function([_read_only(a) for a in arrays], sizes)]
        if len(made) != len(wanted):
            raise GraphError(f"the backend {self._name} gave {len(made)} arrays for {len(wanted)} outputs and updates")
        for array, node in zip(made, wanted, strict=True):
            shape = tuple(dims.evaluate(n, sizes) for n in node.type.shape)
            if array.dtype != node.type.dtype.numpy or array.shape != shape:
                raise GraphError(
                    f"the backend {self._name} gave {array.dtype}{list(array.shape)} for {node.op.name}: {node.type}",
                    where=node.where,
                )
        for (variable, _), new in zip(self._graph.updates, made[len(self._graph.outputs) :], strict=True):
            variable.data[...] = new  # type: ignore[attr-defined]
        return made[: len(self._graph.outputs)]

    def again(self, arguments: tuple[Any, ...]) -> list[Array] | None:
        return None

    def times(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Timing]:
        raise GraphError(
            f"the backend {self._name} does not time its parts", where=caller(), hint='profile on backend="interpreter"'
        )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def register_backend(name: str, build: Callable[[Any], Any], *, native: bool = False) -> None:
    """Let `gx.compile(..., backend=name)` run what `build` makes.

    build: from the graph after all passes, a function (arrays, sizes) -> the outputs, then the new values of variables, in the
    graph's order; or an object like graphc.backends.Executable. arrays: those of graph.inputs, checked; sizes: a number for each
    symbolic dimension. native: build is given the Program of planned kernels instead, and gives an Executable. Results are
    checked and copied, and variables written, when all has succeeded. Registering a name again replaces it; InputError for
    graphc's own.

    >>> import graphc as gx
    >>> from graphc.extend import evaluate
    >>> def build(graph):
    ...     return lambda arrays, sizes: evaluate(graph, arrays, sizes)
    >>> gx.register_backend("plain", build)
    >>> x = gx.placeholder("x", (), "float64")
    >>> gx.compile([x], x + 1, backend="plain")(2.0)
    array(3.)
    """
    if not isinstance(name, str) or not callable(build):
        raise InputError(
            f"register_backend needs a name and a function, got {type(name).__name__} and {type(build).__name__}", where=caller(),
            hint="the function is given a graph, or a program",
        )  # fmt: skip
    if name in _OWN:
        raise InputError(f"the backend {name!r} is graphc's own", where=caller(), hint="register yours under another name")

    def made(graph: Any) -> Executable:
        found = build(graph)
        if native or hasattr(found, "run"):
            return found  # type: ignore[no-any-return]
        if not callable(found):
            raise GraphError(
                f"the backend {name} must build a function or an Executable, got {type(found).__name__}", where=caller()
            )
        return Running(name, graph, found)

    _REGISTERED[name] = Backend(name, native, made)
