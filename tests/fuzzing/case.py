"""A graph and values for its inputs; values of every type, special ones among them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from graphc.backends.interpreter import leaf_value
from graphc.errors import ShapeError
from graphc.ir import dims
from graphc.ir.graph import Graph, Node, topological
from graphc.ir.operation import Contraction
from graphc.ir.signature import Argument, Signature, size_rules
from graphc.ir.types import DTYPES, DType

Array = np.ndarray[Any, Any]
Rng = np.random.Generator
LARGEST = 300_000  # elements of any one value
FLOATS = (*("float32", "float64") * 2, "float16", "bfloat16")
ANY = tuple(d.name for d in DTYPES)


@dataclass(frozen=True)
class Case:
    """A graph and values for its inputs."""

    index: int
    graph: Graph
    values: tuple[Array, ...]

    @property
    def sizes(self) -> dict[str, int]:
        inputs = arguments_of(self.graph.inputs)
        return Signature(inputs, sizes=size_rules(inputs)).solve([v.shape for v in self.values])

    @property
    def arrays(self) -> dict[Node, Array]:
        return dict(zip(self.graph.inputs, self.values, strict=True))

    @property
    def state(self) -> dict[Node, Array]:
        return {v: leaf_value(v, {}).copy() for v in self.graph.variables}


def arguments_of(inputs: Sequence[Node]) -> tuple[Argument, ...]:
    return tuple(Argument(x.attrs["name"], x.type) for x in inputs)


def size_of(x: Node, sizes: Mapping[str, int]) -> int:
    try:
        return math.prod(max(dims.evaluate(n, sizes), 0) for n in x.type.shape)
    except ZeroDivisionError:  # a reshape beside a size of 0: the call will refuse it
        return LARGEST + 1


def too_large(graph: Graph, sizes: Mapping[str, int]) -> bool:
    for node in graph.nodes:
        if isinstance(node.op.lowering, Contraction):
            terms = max(dims.evaluate(node.inputs[0].type.shape[-1], sizes), 0)
            if size_of(node, sizes) * terms > PRODUCT:
                return True
        if size_of(node, sizes) > LARGEST:
            return True
    return False


def fits(case: Case) -> bool:
    """Whether the graph accepts these sizes: no empty maximum, no reshape that does not divide."""
    run = gx.compile(list(case.graph.inputs), list(case.graph.outputs), backend="interpreter", passes=())
    with_updates = (
        gx.compile(list(case.graph.inputs), list(case.graph.roots), backend="interpreter", passes=())
        if case.graph.updates
        else run
    )
    try:
        with_updates(*case.values)
    except ShapeError:
        return False
    return True


def draw(rng: Rng, dtype: DType, shape: tuple[int, ...]) -> Array:
    """Values of a type: moderate, few and equal, or of any magnitude, with special ones among them."""
    if dtype.is_bool:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        values = rng.integers(max(-5, int(info.min)), 9, shape).astype(dtype.numpy)
        if rng.random() < 0.2:
            extremes = np.array([info.min, info.max, info.max // 2, 0, info.min + 1], dtype.numpy)
            values = np.where(rng.random(shape) < 0.3, rng.choice(extremes, shape), values)
        return values
    how = rng.random()
    if how < 0.6:
        values = rng.normal(size=shape) * rng.choice([0.5, 1, 3])
    elif how < 0.75:
        values = rng.integers(-2, 3, shape) * 1.0
    elif how < 0.9:
        values = np.abs(rng.normal(size=shape)) + 0.1
    else:
        values = rng.normal(size=shape) * 10.0 ** rng.integers(-30, 30, shape)
    if rng.random() < 0.2:
        some = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-310, 3e38, -1e300, 88.7, -104.0, 710.0])
        values = np.where(rng.random(shape) < 0.25, rng.choice(some, shape), values)
    with np.errstate(all="ignore"):
        return np.asarray(values, dtype.numpy)


PRODUCT = 3_000_000  # multiplications of any one contraction


def pruned(graph: Graph, arrays: Mapping[Node, Array], index: int) -> Case:
    """Inputs go that neither a node nor a size needs."""
    used = set(topological(graph.roots))
    kept = [x for x in graph.inputs if x in used]
    wanted = frozenset().union(*(dims.names(*n.type.shape) for n in used))
    for x in graph.inputs:
        if wanted - {rule.name for rule in size_rules(arguments_of(kept))} and x not in used:
            kept.append(x)
    return Case(index, Graph(kept, graph.outputs, graph.updates, graph.name), tuple(arrays[x] for x in kept))
