"""Merge loops that take the same steps.

    %1 = scan(%c, %x, body -> c', y)               %1 = scan(%c, %x, body -> c', y, c', y, z)
    %2 = scan(%c, %x, body -> c', y, z)      =>    what was taken from either is taken from it

The forward loop of a gradient is the original loop with more results: those that the gradient needs. Afterwards no two scans have
the same values and the same carries; what both compute is one node of the merged body, and `prune_loops` drops double results.
"""

from __future__ import annotations

from typing import Any

from graphc.ir.graph import Graph, Node, nested, on_inputs, origin, substitute, topological
from graphc.ir.loops import Loop, loop_of
from graphc.ir.operation import VOCABULARY, Project, Scan
from graphc.ir.structure import key_of, structure


@nested
def merge_loops(graph: Graph) -> Graph:
    loops = {node: loop for node in graph.nodes if isinstance(node.op.lowering, Scan) and (loop := loop_of(node))}
    groups: dict[Any, list[Node]] = {}
    for node, loop in loops.items():
        groups.setdefault(_steps(loop), []).append(node)
    if all(len(group) == 1 for group in groups.values()):
        return graph
    first_of = {node: group[0] for group in groups.values() for node in group}
    joined: dict[Node, Graph] = {}  # the first of a group -> the body of all
    offset: dict[Node, int] = {}  # a scan -> where its results begin among the merged one's
    for first, *others in groups.values():
        body, carries = loops[first].body, loops[first].carries
        results, offset[first] = [*body.outputs], 0
        for other in others:
            offset[other] = len(results) - carries
            results += _on_leaves_of(body, loops[other].body, results)[carries:]
        joined[first] = Graph(body.inputs, results, name=body.name)
    new: dict[Node, Node] = {}
    merged: dict[Node, Node] = {}  # the first of a group -> the loop that stands for all

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        with origin(node.where, node.gradient):
            if node in first_of:
                first = first_of[node]
                if first not in merged:
                    merged[first] = loops[first].rebuilt(inputs, [joined[first]])
                return merged[first]
            if isinstance(node.op.lowering, Project) and node.inputs[0] in offset:
                index, scan = node.attrs["index"], node.inputs[0]
                at = index if index < loops[scan].carries else index + offset[scan]
                made: Node = VOCABULARY["project"](inputs[0], index=at)
                return made
            return on_inputs(node, inputs)

    substitute(graph.nodes, new, change)
    return graph.replaced(new)


def _steps(loop: Loop) -> Any:
    """What two loops have in common that take the same steps."""
    carried = structure(Graph(loop.body.inputs, loop.body.outputs[: loop.carries]))
    return loop.node.op, tuple(map(id, loop.given)), loop.carries, loop.sequences, loop.steps, loop.reverse, carried


def _on_leaves_of(body: Graph, other: Graph, results: list[Node]) -> list[Node]:
    """Another body's outputs, made of this body's inputs; equal values are nodes that are there already."""
    known = {key_of(node): node for node in topological(results)}

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        made = on_inputs(node, inputs)
        return known.setdefault(key_of(made), made)

    return substitute(other.outputs, dict(zip(other.inputs, body.inputs, strict=True)), change)
