"""What runs: the NumPy interpreters, which are the oracle, and native code.

One interpreter runs a graph; the other, and native backends, run the program that the last passes make of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from graphc.backends.executable import Executable, Storage, Timing
from graphc.backends.running import Running
from graphc.errors import GraphError, InputError, caller
from graphc.ir.graph import Graph
from graphc.ir.target import HOST, MEASURED, Target


@dataclass(frozen=True)
class Backend:
    """A way to run.

    `build` makes an Executable of a graph; if `native`, of a program and of the variables by the names of their buffers.
    `refuses` tells why it cannot run what is made for a target; it is empty where it can. If `keeps`, what is built tells where
    its machine code is (`codes`), and `build` takes that from another process, with the program. `ahead` is a context for when
    a graph becomes a program and is built.
    """

    name: str
    native: bool
    build: Callable[..., Executable]
    refuses: Callable[[Target], str] = lambda target: ""
    keeps: bool = False
    ahead: Callable[[Graph, Target], AbstractContextManager[None]] = lambda graph, target: nullcontext()


def _this_machine() -> Target:
    from graphc.backends.llvm.host import host

    return host()


MEASURED[HOST] = _this_machine


def load_backend(name: str) -> Backend:
    """The backend called `name`; LLVM, and Numba, are loaded when they are first asked for."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name == "interpreter":
        from graphc.backends.interpreter import Interpreted

        return Backend(name, False, Interpreted)
    if name == "program":
        from graphc.backends.program import InterpretedProgram

        return Backend(name, True, InterpretedProgram)
    if name == "llvm":
        from graphc.backends.llvm import build, build_ahead, cannot_run

        return Backend(name, True, build, cannot_run, keeps=True, ahead=build_ahead)
    if name == "numba":
        from graphc.backends import numba

        return Backend(name, True, numba.build, numba.cannot_run, keeps=True)
    known = dict.fromkeys((*_OWN, *_REGISTERED))
    raise InputError(
        f"there is no backend {name!r}", where=caller(), hint="use " + " or ".join(f'"{n}"' for n in known)
    )  # fmt: skip


_OWN = ("llvm", "numba", "interpreter", "program")
_REGISTERED: dict[str, Backend] = {}


def register_backend(name: str, build: Callable[..., Any], *, native: bool = False) -> None:
    """Let `gx.compile(..., backend=name)` run what `build` makes.

    build: from the graph after all passes, a function (arrays, sizes) -> the outputs, then the new values of variables, in the
    graph's order; or an object like graphc.backends.Executable. arrays: those of graph.inputs, checked; sizes: a number for each
    symbolic dimension. native: build is given the Program of planned kernels instead, and the variables by the names of their
    buffers (their `data` is the memory that holds the value), and gives an Executable, which writes them itself. Else results are
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

    def made(graph: Any, *variables: Any) -> Executable:
        found = build(graph, *variables)
        if native or hasattr(found, "run"):
            return found  # type: ignore[no-any-return]
        if not callable(found):
            raise GraphError(
                f"the backend {name} must build a function or an Executable, got {type(found).__name__}", where=caller()
            )
        return Running(name, graph, found)

    _REGISTERED[name] = Backend(name, native, made)


__all__ = ["Backend", "Executable", "Storage", "Timing", "load_backend", "register_backend"]
