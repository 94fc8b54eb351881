"""Merge equal nodes.

    %0 = exp(%x)            %0 = exp(%x)
    %1 = exp(%x)       =>   %1 = add(%0, %0)
    %2 = add(%0, %1)

Afterwards no two nodes share operation, inputs and attributes.
"""

from __future__ import annotations

from typing import Any

from graphc.ir.graph import Graph, Node, nested, rebuild


@nested
def eliminate_common(graph: Graph) -> Graph:
    first: dict[tuple[Any, ...], Node] = {}
    return rebuild(graph, lambda node: first.setdefault(key_of(node), node))


def key_of(node: Node) -> tuple[Any, ...]:
    """What equal nodes have in common."""
    if node.is_leaf and "value" not in node.attrs:
        return (id(node),)
    attrs = tuple((name, type(value), _exact(value)) for name, value in sorted(node.attrs.items()))
    return (node.op, tuple(map(id, node.inputs)), attrs)


def _exact(value: Any) -> Any:
    """A float by its bits: 0.0 and -0.0 differ, NaN equals itself. A graph by its text: all that it needs is in it."""
    if isinstance(value, Graph):
        return str(value)
    if isinstance(value, tuple):
        return tuple(map(_exact, value))
    return value.hex() if isinstance(value, float) else value
