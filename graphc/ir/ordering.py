"""The numbers of a graph's collectives: 0, 1, 2, ... in the order in which they run.

    %0 = all_reduce(%x, order=7, ranks=2)           %0 = all_reduce(%x, order=0, ranks=2)
    %1 = all_gather(%0, order=12, ranks=2)    =>    %1 = all_gather(%0, order=1, ranks=2)

A collective gets its number as it is declared, later ones higher numbers. What a process declared before is not part of a graph,
and ranks may have declared other things, so a graph that is to be compiled is numbered anew. What was declared once and runs
twice, as the loop of a forward pass and that of its gradient, keeps one number: passes may make one of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir.graph import Graph, Node, rebuild, subgraphs, within
from graphc.ir.operation import Collective


def numbered(graph: Graph) -> Graph:
    """The graph with its collectives numbered from 0; itself where it has none, or they are."""
    numbers: dict[int, int] = {}  # a declared number -> the new one
    groups: dict[int, int] = {}
    for node in collectives(graph):
        numbers.setdefault(node.attrs["order"], len(numbers))
        if "group" in node.attrs:
            groups.setdefault(node.attrs["group"], len(groups))
    if all(old == new for old, new in (*numbers.items(), *groups.items())):
        return graph
    return _with(graph, {"order": numbers, "group": groups})


def collectives(graph: Graph) -> list[Node]:
    """All collectives, those of bodies in the place of their loop."""
    found: list[Node] = []
    todo = list(reversed(graph.ordered))
    while todo:
        node = todo.pop()
        if isinstance(node.op.lowering, Collective):
            found.append(node)
        for body in reversed(list(subgraphs(node))):
            todo += reversed(body.ordered)
    return found


def _with(graph: Graph, numbers: Mapping[str, Mapping[int, int]]) -> Graph:
    def change(node: Node) -> Node:
        if not isinstance(node.op.lowering, Collective):
            return node
        attrs = {key: numbers[key][value] if key in numbers else value for key, value in node.attrs.items()}
        return type(node)(node.op, node.inputs, attrs, node.type, node.where, node.gradient, node.forward, node.number)

    return rebuild(within(graph, lambda body: _with(body, numbers)), change)


__all__ = ["collectives", "numbered"]
