"""Type a graph again once dimensions are known.

    graph g(%x: f32[n, 3]) {                           graph g(%x: f32[4, 3]) {
      %0 = reshape(%x, shape=[3*n]) : f32[3*n]   =>      %0 = reshape(%x, shape=[12]) : f32[12]
      return %0                                          return %0
    }                                                  }

Afterwards the given names are gone from every type and attribute; inputs whose types changed are new nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphc.errors import ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Dim, Size
from graphc.ir.graph import Graph, Node, origin, substitute
from graphc.ir.types import as_size


def infer_shapes(graph: Graph, sizes: Mapping[str, Size | str]) -> Graph:
    """The graph with sizes in place of named dimensions.

    sizes: name -> integer >= 0, or an expression of other names. Raises ShapeError for a name that the graph does not have, for
    a negative size, and where the sizes contradict each other.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 3))
    >>> print(gx.passes.infer_shapes(gx.ir.Graph([x], [x.T]), {"n": 4}).outputs[0].type)
    f32[3, 4]
    """
    env = {name: as_size(size) for name, size in sizes.items()}
    for name, size in env.items():
        if name not in graph.dims:
            known = ", ".join(sorted(graph.dims)) or "none"
            raise ShapeError(f"infer_shapes: {graph.name} has no dimension {name!r}", where=caller(), hint=f"it has: {known}")
        if isinstance(size, int) and size < 0:
            raise ShapeError(f"infer_shapes: {name} cannot be {size}", where=caller(), hint="sizes are at least 0")
    new: dict[Node, Node] = {}
    substitute(graph.nodes, new, lambda node, inputs: _retype(node, inputs, env))
    updates = ((new[v], new[n]) for v, n in graph.updates)
    return Graph((new[n] for n in graph.inputs), (new[n] for n in graph.outputs), updates, graph.name)


def _retype(node: Node, inputs: tuple[Node, ...], env: Mapping[str, Size]) -> Node:
    attrs = {key: _known(value, env) for key, value in node.attrs.items()}
    same_inputs = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
    if same_inputs and all(attrs[key] is value for key, value in node.attrs.items()):
        return node
    with origin(node.where, node.gradient):
        new: Node = node.op(*inputs, **attrs)
    return new


def _known(value: Any, env: Mapping[str, Size]) -> Any:
    """An attribute with sizes substituted; the same object where nothing changes."""
    if isinstance(value, Dim):
        new = dims.substitute(value, env)
        return value if new == value else new
    if isinstance(value, Graph):
        known = {name: size for name, size in env.items() if name in value.dims}
        return infer_shapes(value, known) if known else value
    if isinstance(value, tuple):
        items = tuple(_known(v, env) for v in value)
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def specialize(**sizes: Size | str) -> Callable[[Graph], Graph]:
    """A pass that knows some sizes: `gx.compile(..., passes=(gx.passes.specialize(batch=64), *gx.passes.DEFAULT))`.

    Calls must then have those sizes. Names that a graph does not have are left out.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float64")
    >>> f = gx.compile([x], gx.mean(x), backend="interpreter", passes=(gx.passes.specialize(n=4), *gx.passes.DEFAULT))
    >>> print(f.graph)
    graph graph(%x: f64[4]) {
      %0 = sum(%x, axes=[0]) : f64[]
      %1 = full(dtype=float64, shape=[], value=0.25) : f64[]
      %2 = multiply(%0, %1) : f64[]
      return %2
    }
    """

    def change(graph: Graph) -> Graph:
        return infer_shapes(graph, {name: size for name, size in sizes.items() if name in graph.dims})

    change.__name__ = "infer_shapes"
    return change
