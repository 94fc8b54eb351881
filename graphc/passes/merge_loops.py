"""Merge loops that take the same steps.

    %1 = scan(%c, %x, body -> c', y)               %1 = scan(%c, %x, body -> c', y, c', y, z)
    %2 = scan(%c, %x, body -> c', y, z)      =>    what was taken from either is taken from it

A gradient's forward loop is the loop itself that also gives what the gradient needs. Afterwards no two scans go over the same
values with the same carries; what both compute is one node of the merged body, and `prune_loops` drops what is given twice.
"""

from __future__ import annotations

from typing import Any

from graphc.ir.graph import Graph, Node, nested, origin, topological
from graphc.ir.operation import VOCABULARY, Project, Scan
from graphc.passes.eliminate_common import key_of


@nested
def merge_loops(graph: Graph) -> Graph:
    groups: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        if isinstance(node.op.lowering, Scan):
            groups.setdefault(_steps(node), []).append(node)
    if all(len(group) == 1 for group in groups.values()):
        return graph
    first_of = {node: group[0] for group in groups.values() for node in group}
    joined: dict[Node, Graph] = {}  # the first of a group -> the body of all
    offset: dict[Node, int] = {}  # a scan -> where its results begin among the merged one's
    for first, *others in groups.values():
        body: Graph = first.attrs["body"]
        results, offset[first] = [*body.outputs], 0
        for other in others:
            offset[other] = len(results) - first.attrs["carries"]
            results += _on_leaves_of(body, other.attrs["body"], results)[first.attrs["carries"] :]
        joined[first] = Graph(body.inputs, results, name=body.name)
    new: dict[Node, Node] = {}
    for node in graph.nodes:
        inputs = tuple(new[i] for i in node.inputs)
        with origin(node.where, node.gradient):
            if node in first_of:
                first = first_of[node]
                if first not in new:
                    new[first] = node.op(*inputs, **{**node.attrs, "body": joined[first]})
                new[node] = new[first]
            elif isinstance(node.op.lowering, Project) and node.inputs[0] in offset:
                index, scan = node.attrs["index"], node.inputs[0]
                at = index if index < scan.attrs["carries"] else index + offset[scan]
                new[node] = VOCABULARY["project"](inputs[0], index=at)
            else:
                new[node] = node if node.is_leaf else node.with_inputs(inputs)
    return graph.replaced(new)


def _steps(node: Node) -> Any:
    """What two loops have in common that take the same steps."""
    body: Graph = node.attrs["body"]
    steps = tuple((key, value) for key, value in sorted(node.attrs.items()) if key != "body")
    carried = str(Graph(body.inputs, body.outputs[: node.attrs["carries"]], name=body.name))
    return node.op, tuple(map(id, node.inputs)), steps, carried


def _on_leaves_of(body: Graph, other: Graph, results: list[Node]) -> list[Node]:
    """Another body's outputs, made of this body's inputs; equal values are nodes that are there already."""
    new: dict[Node, Node] = dict(zip(other.inputs, body.inputs, strict=True))
    known = {key_of(node): node for node in topological(results)}
    for node in topological(other.outputs):
        if node not in new:
            made = node.with_inputs(tuple(new[i] for i in node.inputs)) if node.inputs else node
            new[node] = known.setdefault(key_of(made), made)
    return [new[n] for n in other.outputs]
