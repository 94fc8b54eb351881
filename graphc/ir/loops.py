"""Loops and choices as passes see them: what a node's attributes mean, by name.

    scan           bodies (one)                  inputs: carries, sequences, values that every step sees
    while_loop     bodies (one), and a test      inputs: carries, values that every step sees
    switch         bodies (several)              inputs: the index; then what every branch sees

All graphs of a node have the same inputs, and the bodies results of the same types: the new carries, then others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, subgraphs
from graphc.ir.operation import Scan, Sized, Switch, While


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop or a choice. Inputs and results are spoken of by their places in a body."""

    node: Node
    given: tuple[Node, ...]  # what a body's inputs are given, or slices of it
    bodies: tuple[Graph, ...]
    test: Graph | None = None  # whether there is a further step
    carries: int = 0  # of the first inputs and results
    sequences: int = 0  # of the inputs after those, of which each step takes a slice
    steps: Size | None = None  # None where that is data
    reverse: bool = False  # whether it begins with the last step

    @property
    def body(self) -> Graph:
        """The body of a loop."""
        (body,) = self.bodies
        return body

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The bodies, and the test."""
        return self.bodies if self.test is None else (*self.bodies, self.test)

    @property
    def carried(self) -> range:
        return range(self.carries)

    @property
    def sliced(self) -> range:
        return range(self.carries, self.carries + self.sequences)

    @property
    def shared(self) -> range:
        """The inputs that are the same in every step."""
        return range(self.carries + self.sequences, len(self.given))

    @property
    def made(self) -> range:
        """The results after the carries: those of a scan's steps one after the other, those of a choice."""
        return range(self.carries, len(self.bodies[0].outputs))

    def rebuilt(
        self, given: Sequence[Node], bodies: Sequence[Graph], test: Graph | None = None, carries: int | None = None,
        sequences: int | None = None,
    ) -> Node:  # fmt: skip
        """The node with other graphs, and what they are given."""
        node, graphs = self.node, tuple(bodies)
        attrs: dict[str, Any]
        carries = self.carries if carries is None else carries
        match node.op.lowering:
            case Switch():
                attrs, given = {"branches": graphs}, (node.inputs[0], *given)
            case While():
                attrs = {"test": test, "body": graphs[0], "carries": carries}
            case _:
                sequences = self.sequences if sequences is None else sequences
                attrs = {"body": graphs[0], "carries": carries, "sequences": sequences}
        made: Node = node.op(*given, **{**node.attrs, **attrs})
        return made


def loop_of(node: Node) -> Loop | None:
    """A loop or a choice, by what its attributes mean; None for any other node."""
    attrs = node.attrs
    match node.op.lowering:
        case Scan():
            return Loop(
                node, node.inputs, (attrs["body"],), None, attrs["carries"], attrs["sequences"], attrs["steps"], attrs["reverse"]
            )
        case While():
            return Loop(node, node.inputs, (attrs["body"],), attrs["test"], attrs["carries"])
        case Switch():
            return Loop(node, node.inputs[1:], attrs["branches"])
    return None


def size_of(node: Node) -> str | None:
    """The dimension that has a value of data in the body of a node; None for nodes without one."""
    return node.attrs["size"] if isinstance(node.op.lowering, Sized) else None


def names_in(graph: Graph) -> set[str]:
    """The names of dimensions in a graph and in the graphs of its nodes, those of data too."""
    found: set[str] = set()
    todo = [graph]
    while todo:
        inner = todo.pop()
        found |= inner.dims
        found |= {name for node in inner.nodes if (name := size_of(node)) is not None}
        todo += [body for node in inner.nodes for body in subgraphs(node)]
    return found


__all__ = ["Loop", "loop_of", "names_in", "size_of"]
