"""What is to be compiled, as one graph: inputs, outputs and updates, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.compile.outputs import flatten
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, topological
from graphc.ir.names import collected
from graphc.ir.operation import Input
from graphc.ir.ordering import numbered
from graphc.ir.signature import Argument, size_rules
from graphc.ops import Variable
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]


def declared_graph(inputs: Sequence[Any], outputs: Any, updates: Any, name: str, advance: bool = True) -> Graph:
    """The graph of what is to be compiled; an error for what cannot be. `advance`: with default updates."""
    names: dict[str, Any] = {}
    for x in inputs:
        if not isinstance(x, Tensor) or not isinstance(x.op.lowering, Input):
            hint = "leave it out: variables are read by themselves" if isinstance(x, Variable) else "make it with gx.placeholder"
            raise InputError(f"compile: inputs must be placeholders, got {x!r}", where=caller(), hint=hint)
        if x.attrs["name"] in names:
            raise InputError(f"compile: two inputs are called {x.attrs['name']!r}", where=caller(), hint="give each its own name")
        names[x.attrs["name"]] = x
    flat = flatten(outputs)
    pairs = _pairs(updates)
    for variable, value in pairs:
        if not isinstance(variable, Variable):
            raise InputError(
                f"compile: only variables can be updated, got {variable!r}", where=caller(), hint="make it with gx.variable"
            )
        if not isinstance(value, Tensor) or value.type != variable.type:
            got = value.type if isinstance(value, Tensor) else type(value).__name__
            raise (ShapeError if isinstance(value, Tensor) and value.dtype == variable.dtype else DTypeError)(
                f"compile: the update of {_called(variable, flat, pairs)} must be {variable.type}, got {got}", where=caller(),
                hint="astype or reshape the new value",
            )  # fmt: skip
    twice = [v for v, times in Counter(v for v, _ in pairs).items() if times > 1]
    if twice:
        raise InputError(
            f"compile: variable {_called(twice[0], flat, pairs)} is updated twice", where=caller(), hint="give one new value"
        )
    order = topological([*flat, *(value for _, value in pairs)])
    more = _defaults(order, {v for v, _ in pairs}) if advance else []
    if more:
        pairs += more
        order = topological([*flat, *(value for _, value in pairs)])
    given = set(inputs)
    graph = Graph(inputs, flat, pairs, name, order)
    for node in graph.nodes:
        if isinstance(node.op.lowering, Input) and node not in given:
            raise InputError(
                f"compile: placeholder {node.attrs['name']!r} is needed but not among the inputs", where=node.where,
                hint="add it to the list of inputs",
            )  # fmt: skip
    known = {rule.name for rule in size_rules(Argument(x.attrs["name"], x.type) for x in inputs)}
    told: set[Any] = set()  # the sizes that inputs tell
    for node in graph.nodes:
        sizes = [n for n in (*node.type.shape, *_sizes(node.attrs.values())) if type(n) is dims.Dim and n not in told]
        unknown = dims.names(*sizes) - known if sizes else None
        if unknown:
            raise ShapeError(
                f"compile: no input tells the size {', '.join(sorted(unknown))} of {node.op.name}: {node.type}", where=node.where,
                hint="it must stand in some input's shape, as itself or in a linear expression",
            )  # fmt: skip
        told.update(sizes)
    return numbered(graph)


def _pairs(updates: Any) -> list[tuple[Any, Any]]:
    """Variables with their new values, as they were given."""
    if updates is None:
        return []
    several = not isinstance(updates, Node) and isinstance(updates, Iterable)
    pairs = list(updates.items()) if isinstance(updates, Mapping) else list(updates) if several else [updates]
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise InputError(
                f"compile: updates are new values of variables, got {pair!r}", where=caller(), hint="updates={w: new value}"
            )
    return [(variable, value) for variable, value in pairs]


def _called(variable: Variable, outputs: Sequence[Tensor], pairs: Sequence[tuple[Any, Any]]) -> str:
    """What the program calls a variable."""
    read = topological([*outputs, *(value for _, value in pairs if isinstance(value, Tensor))])
    found = collected(v for v in (*read, *(v for v, _ in pairs)) if isinstance(v, Variable))
    return next(name for name, v in found.items() if v is variable)


def _defaults(read: Sequence[Node], updated: set[Variable]) -> list[tuple[Variable, Tensor]]:
    """The default updates of the variables among some nodes, and of those that the updates read."""
    found: dict[Variable, Tensor] = {}
    reached = read
    while True:
        more = {v: v.default_update for v in reached if isinstance(v, Variable) and v not in updated and v not in found}
        wanted = {v: new for v, new in more.items() if new is not None}
        if not wanted:
            return list(found.items())
        found |= wanted
        reached = topological(wanted.values())


def _sizes(attrs: Iterable[Any]) -> Iterator[Size]:
    """The symbolic sizes among attributes."""
    for value in attrs:
        if isinstance(value, dims.Dim):
            yield value
        elif isinstance(value, tuple):
            yield from _sizes(value)
