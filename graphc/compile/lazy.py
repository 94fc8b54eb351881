"""A compiled program that answers at once: by the interpreter, until its native code is there.

    gx.compile(..., lazy=True)     calls go to the interpreter while a thread compiles
    the first call after it        the same object is a `Compiled` like any other

Both run the graph as declared, on the same variables, and a call is one or the other from beginning to end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

from graphc.backends import load_backend
from graphc.compile.compiled import Compiled, Pass, target_of
from graphc.ir.graph import Graph
from graphc.ir.target import Target
from graphc.progress import Progress

# What a Compiled has once it is built; the rest is there from the beginning.
_BUILT = frozenset({
    "_again", "_arguments", "_executable", "_form", "_hold", "_into", "_is_quick", "_is_single", "_kept", "_lowering", "_made",
    "_places", "is_found_without", "signature",
})  # fmt: skip


def compile_lazily(
    graph: Graph, outputs: Any, backend: str, passes: Sequence[Pass], target: str | Target | None
) -> Compiled:  # fmt: skip
    """A program that answers at once; native code at once where it is kept, or where the backend makes none.

    What exchanges arrays with other ranks is compiled at once too: the interpreter joins no exchanges, and ranks would change to
    native code at different calls.
    """
    chosen = load_backend(backend)
    if not chosen.native or graph.ordered:
        return Compiled(graph, outputs, backend, passes, False, target)
    found = Compiled.if_kept(graph, outputs, backend, passes, target)
    return Lazy(graph, outputs, backend, passes, target) if found is None else found


class Lazy(Compiled):
    """A program whose native code is not there yet: it becomes a `Compiled` by the first call that finds the code."""

    def __init__(
        self, graph: Graph, outputs: Any, backend: str, passes: Sequence[Pass], target: str | Target | None
    ) -> None:  # fmt: skip
        self._options = (backend, tuple(passes), False, target)
        self._given, self._passes, self.backend = graph, tuple(passes), backend
        self.target = target_of(target, load_backend(backend))
        self._meanwhile = Compiled(graph, outputs, "interpreter", (), False)
        self._switching = threading.RLock()
        self._found: list[Compiled | BaseException] = []
        make = _maker(graph, outputs, *self._options)
        self._make = make
        self._thread = threading.Thread(target=_work, args=(make, self._found, ref(self)), name="graphc-compiling")
        self._thread.start()

    @property
    def answers(self) -> str:
        return self.backend if self._is_ready() else "interpreter"

    def wait(self) -> Compiled:
        self._switch()
        return self

    def __call__(self, *args: Any, **named: Any) -> Any:
        if self._is_ready():
            return self.wait()(*args, **named)
        return self._meanwhile(*args, **named)

    def __repr__(self) -> str:
        return f"{self._meanwhile!r}".replace("backend interpreter>", f"backend {self.backend}, which is being compiled>")

    def _is_ready(self) -> bool:
        return not self._thread.is_alive()

    def _switch(self) -> None:
        """Become what was compiled, once it is there; the error of compiling, if there was one."""
        with self._switching:
            if type(self) is not Lazy:  # another thread was faster
                return
            self._thread.join()
            if not self._found:  # a forked child has no such thread
                self._found.append(self._make(Progress("", 0)))
            (made,) = self._found
            if isinstance(made, BaseException):
                raise made
            self.__dict__.update(vars(made))
            self.__class__ = Compiled  # type: ignore[assignment]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in _BUILT:
                return super().__getattr__(name)
            self._switch()
            return getattr(self, name)


class _Ended(BaseException):
    """Nobody waits for the program any longer."""


class _Told(Progress):
    """Ends compiling between two steps where the program is gone, or Python's main thread."""

    def __init__(self, waiting: ref[Lazy]) -> None:
        super().__init__("", 0)
        self.waiting = waiting

    def at(self, step: str) -> None:
        if self.waiting() is None or not threading.main_thread().is_alive():
            raise _Ended


def _maker(
    graph: Graph, outputs: Any, backend: str, passes: Sequence[Pass], progress: bool, target: str | Target | None
) -> Callable[[Progress], Compiled]:  # fmt: skip
    return lambda told: Compiled(graph, outputs, backend, passes, told, target)


def _work(make: Callable[[Progress], Compiled], found: list[Compiled | BaseException], waiting: ref[Lazy]) -> None:
    try:
        found.append(make(_Told(waiting)))
    except _Ended:
        pass
    except BaseException as error:
        found.append(error)


__all__ = ["Lazy", "compile_lazily"]
