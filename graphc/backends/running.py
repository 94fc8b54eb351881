"""A function of arrays and sizes, run as an Executable: what a backend that is registered from outside may build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.backends.executable import Array, Timing
from graphc.errors import GraphError, caller
from graphc.ir import dims
from graphc.ir.graph import Graph

Run = Callable[[Sequence[Array], Mapping[str, int]], Sequence[Array]]


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

    def into(self, arguments: tuple[Any, ...], results: list[Any]) -> bool:
        return False

    def times(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Timing]:
        raise GraphError(
            f"the backend {self._name} does not time its parts", where=caller(), hint='profile on backend="interpreter"'
        )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
