"""When two nodes, or two graphs, are equal: keys by which they are told apart.

Equal nodes have one operation, the same inputs and equal attributes; equal graphs have equal nodes in the same order, whatever
graphs, inputs and lines of the user are called. Floats are compared by their bits: 0.0 and -0.0 differ, NaN equals itself.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from graphc.ir.graph import Graph, Node


def key_of(node: Node) -> Hashable:
    """What equal nodes of one graph have in common. An input or a variable equals itself alone."""
    return id(node) if node.is_given else (node.op, tuple(map(id, node.inputs)), attributes_of(node))


def structure(graph: Graph) -> Hashable:
    """What equal graphs have in common. Their variables are the same ones.

    >>> import graphc as gx
    >>> x, y = gx.placeholder("x", (3,)), gx.placeholder("y", (3,))
    >>> a, b = gx.ir.Graph([x], [gx.exp(x) + 0.0]), gx.ir.Graph([y], [gx.exp(y) + 0.0])
    >>> structure(a) == structure(b), structure(a) == structure(gx.ir.Graph([y], [gx.exp(y) + -0.0]))
    (True, False)
    """
    place = {node: i for i, node in enumerate(graph.nodes)}
    given = set(graph.inputs)
    found: list[Hashable] = []
    for node in graph.nodes:
        if node in given:
            found.append(node.type)
        elif node.is_given:
            found.append((id(node), node.type))
        else:
            found.append((node.op, tuple(place[i] for i in node.inputs), attributes_of(node)))
    outputs, updates = tuple(place[n] for n in graph.outputs), tuple((place[v], place[n]) for v, n in graph.updates)
    return len(given), tuple(found), outputs, updates


def attributes_of(node: Node) -> Hashable:
    """What equal operations have in common beside their inputs."""
    return tuple([(name, _exact(value)) for name, value in sorted(node.attrs.items())]) if node.attrs else ()


def _exact(value: Any) -> Hashable:
    """An attribute to the bit; numbers of different types differ. Whole numbers and sizes stand for themselves."""
    kind = type(value)
    if kind is int:
        return value  # type: ignore[no-any-return]
    if kind is tuple:
        return tuple(map(_exact, value))
    if isinstance(value, float):
        return kind, value.hex()
    if kind is bool or isinstance(value, np.generic):
        return kind, value
    return structure(value) if kind is Graph else value


__all__ = ["attributes_of", "key_of", "structure"]
