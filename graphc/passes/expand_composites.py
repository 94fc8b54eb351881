"""Replace composite operations by the operations that compute them.

    %0 = convolve(%x, %w)      =>      %0 = slide(...)
                                       %1 = reshape(%0)
                                       %2 = matmul(%1, %w)

Afterwards no node is composite. Before, an operation kept the gradient rule that it was declared with; from here on its parts
fuse as if the user had written them.
"""

from __future__ import annotations

from graphc.ir.graph import Graph, Node, nested, origin, rebuild
from graphc.ir.operation import Composite, Project
from graphc.ir.types import TensorType, TupleType


@nested
def expand_composites(graph: Graph) -> Graph:
    """The graph without composite operations; the same graph where there are none."""
    while any(isinstance(node.op.lowering, Composite) for node in graph.nodes):
        graph = rebuild(graph, _Expansion().change)
    return graph


class _Expansion:
    """What composite operations with several results are made of, which stands where their results are taken."""

    def __init__(self) -> None:
        self.parts: dict[Node, tuple[Node, ...]] = {}

    def change(self, node: Node) -> Node:
        match node.op.lowering:
            case Composite(expand):
                with origin(node.where, node.gradient):
                    made = expand(*node.inputs, **node.attrs)
                if isinstance(made, tuple):
                    self.parts[node] = made
                    kinds: tuple[TensorType, ...] = node.type.parts if isinstance(node.type, TupleType) else ()
                    assert tuple(part.type for part in made) == kinds, f"{node.op.name}: {made} instead of {node.type}"
                    return node
                assert made.type == node.type, f"{node.op.name}: {made.type} instead of {node.type}"
                return made
            case Project() if node.inputs[0] in self.parts:
                index: int = node.attrs["index"]
                return self.parts[node.inputs[0]][index]
        return node
