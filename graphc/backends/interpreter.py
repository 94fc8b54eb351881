"""The oracle: NumPy, node by node, on the graph as it stands after any graph pass."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from graphc.backends.executable import Timing
from graphc.errors import GraphError, Where
from graphc.ir import dims
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Collective, Composite, Constant, Host, Operation, Pointwise, Project
from graphc.ir.types import TensorType, TupleType
from graphc.ir.world import world

Array = np.ndarray[Any, Any]
SAMPLES = 5  # of each node's time


@dataclass(frozen=True)
class Body:
    """A graph at given sizes as a function of arrays."""

    graph: Graph
    sizes: Mapping[str, int]

    def __call__(self, *arrays: Array, **more: int) -> list[Array]:
        return evaluate(self.graph, dict(zip(self.graph.inputs, arrays, strict=True)), {**self.sizes, **more})[0]

    def nothing(self) -> list[Array]:
        """The results of no runs, stacked. The graph is not run: a routine in it may refuse what it was never given."""
        types = [y.type for y in self.graph.outputs]
        return [np.zeros((0, *(dims.evaluate(n, self.sizes) for n in kind.shape)), kind.dtype.numpy) for kind in types]


def bind_dims(value: Any, sizes: Mapping[str, int]) -> Any:
    """An attribute with its symbolic sizes replaced by numbers; a graph becomes a function of arrays."""
    if isinstance(value, Graph):
        return Body(value, sizes)
    if isinstance(value, dims.Dim):
        return dims.evaluate(value, sizes)
    if isinstance(value, tuple):
        return tuple(bind_dims(v, sizes) for v in value)
    return value


Run = Callable[[list[Array], dict[str, int]], list[Array]]  # what computes a graph, of its inputs and sizes


@dataclass(frozen=True)
class RunBody:
    """A graph at given sizes as a function of arrays, which something else than this interpreter computes."""

    body: Body
    run: Run

    def __call__(self, *arrays: Array, **more: int) -> list[Array]:
        return self.run([np.asarray(a) for a in arrays], {**self.body.sizes, **more})

    def nothing(self) -> list[Array]:
        return self.body.nothing()


def bind_runs(value: Any, sizes: Mapping[str, int], runs: Iterator[Run]) -> Any:
    """An attribute as `bind_dims` gives it, but its graphs are computed by `runs`, one each, as long as there are some."""
    if isinstance(value, tuple):
        return tuple(bind_runs(v, sizes, runs) for v in value)
    bound = bind_dims(value, sizes)
    run = next(runs, None) if isinstance(bound, Body) else None
    return bound if run is None else RunBody(bound, run)


def leaf_value(node: Node, inputs: Mapping[Node, Array], variables: Mapping[Node, Array] | None = None) -> Array:
    """What an input, a variable or a constant holds."""
    if node in inputs:
        return inputs[node]
    if isinstance(node.op.lowering, Constant):
        return node.attrs["value"].array  # type: ignore[no-any-return]
    if variables is not None and node in variables:
        return variables[node]
    data = getattr(node, "data", None)
    if data is None:
        name = node.attrs["name"]
        raise GraphError(f"input {name}: {node.type} has no value", where=node.where, hint="list it among the inputs")
    return data  # type: ignore[no-any-return]


def reference(node: Node, operands: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
    """The value of a node: an array, or a tuple of them."""
    match node.op.lowering:
        case Project():
            return operands[0][attrs["index"]]
        case Host() | Collective() | Composite():
            return call_host(node.op, operands, attrs, node.type, node.where)
    value = node.op.reference(*operands, **attrs)
    return tuple(map(np.asarray, value)) if isinstance(node.type, TupleType) else np.asarray(value)


def call_host(
    op: Operation, operands: Sequence[Array], attrs: Mapping[str, Any], want: TensorType, where: Where | None,
    run: Callable[..., Any] | None = None,
) -> Any:  # fmt: skip
    """What a routine of Python makes of arrays; GraphError where it raises, or gives something else than it should.

    `run` is called in place of the reference where it is given.
    """
    name = op.name
    try:
        made = (run or op.reference)(*operands, **attrs)
        if not isinstance(want, TupleType):
            return _fitting(name, np.asarray(made), want)
        if not isinstance(made, tuple) or len(made) != len(want.parts):
            raise GraphError(f"{name} must give {len(want.parts)} arrays, got {type(made).__name__}")
        return tuple(_fitting(name, np.asarray(m), part) for m, part in zip(made, want.parts, strict=True))
    except GraphError as error:
        error.where = error.where or where
        raise
    except Exception as error:
        raise GraphError(f"{name} raised {type(error).__name__}: {error}", where=where) from error


def _fitting(name: str, made: Array, want: TensorType) -> Array:
    shape = tuple(n if isinstance(n, int) else m for n, m in zip(want.shape, made.shape, strict=False))
    if made.dtype != want.dtype.numpy or made.shape != shape or made.ndim != want.rank:
        raise GraphError(f"{name} must give {want}, got an array of {made.dtype} and shape {list(made.shape)}")
    return made


def evaluate(
    graph: Graph, inputs: Mapping[Node, Array], sizes: Mapping[str, int], variables: Mapping[Node, Array] | None = None,
    apply: Callable[[Node, Sequence[Any], Mapping[str, Any]], Any] = reference,
) -> tuple[list[Array], list[Array]]:  # fmt: skip
    """The values of a graph's outputs and updates. `sizes` gives every symbolic dimension; nothing is written."""
    values: dict[Node, Array] = {}
    uses: dict[Node, int] = {}
    for node in graph.nodes:
        for given in node.inputs:
            uses[given] = uses.get(given, 0) + 1
    for root in graph.roots:
        uses[root] = uses.get(root, 0) + 1
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node.is_leaf:
                values[node] = leaf_value(node, inputs, variables)
                continue
            if node not in uses:
                continue
            attrs = {k: bind_dims(v, sizes) for k, v in node.attrs.items()}
            operands = [_ordered(node, values[i]) for i in node.inputs]
            values[node] = apply(node, operands, attrs)
            for given in node.inputs:
                uses[given] -= 1
                if not uses[given]:
                    del values[given]
    if graph.ordered:
        world().settle()
    return [values[n] for n in graph.outputs], [values[n] for _, n in graph.updates]


def _ordered(node: Node, operand: Any) -> Any:
    """An operand in row-major order, unless it is only moved: NumPy's loops and sums round differently for other strides."""
    match node.op.lowering:
        case Pointwise(elementwise=False) | Project():
            return operand
    ordered: Array = np.asarray(operand, order="C")
    return ordered


class Interpreted:
    """The interpreter as a backend."""

    kernels: Sequence[Any] = ()
    compilations = 0

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Array]:
        graph = self.graph
        outputs, news = evaluate(graph, dict(zip(graph.inputs, arrays, strict=True)), sizes)
        results = [np.array(y) for y in outputs]  # an output never aliases an input, a variable or another output
        for (variable, _), new in zip(graph.updates, [np.array(n) for n in news], strict=True):
            leaf_value(variable, {})[...] = new
        return results

    def times(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Timing]:
        """The time of each node that is no leaf, in the graph's order."""
        found: dict[Node, list[float]] = {}

        def timed(node: Node, operands: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
            before = perf_counter()
            value = reference(node, operands, attrs)
            found.setdefault(node, []).append(perf_counter() - before)
            return value

        for _ in range(SAMPLES):
            evaluate(self.graph, dict(zip(self.graph.inputs, arrays, strict=True)), sizes, apply=timed)
        return [Timing(statistics.median(samples), min(samples), 1) for samples in found.values()]

    def again(self, arguments: tuple[Any, ...]) -> None:
        """The interpreter remembers nothing of a run."""

    def into(self, arguments: tuple[Any, ...], results: list[Any]) -> bool:
        """Results are copied."""
        return False
