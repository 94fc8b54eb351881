"""Compute in float32 what memory holds in 16 bits.

    %0 = exp(%x) : f16[n]          %0 = astype(%x, dtype=float32) : f32[n]
                              =>   %1 = exp(%0) : f32[n]
                                   %2 = astype(%1, dtype=float16) : f16[n]

Every value is rounded where it was declared, once: a sum, a product of matrices and a chain of elementwise code keep float32
inside, and a node has the bits that its operation's reference gives it.

Afterwards no node computes with float16 or bfloat16: they are read, moved, chosen and cast.
"""

from __future__ import annotations

from graphc.ir.graph import Graph, Node, nested, origin, rebuild
from graphc.ir.operation import VOCABULARY, Collective, Host, Leaf, Pointwise, Project, Scan, Sized, Switch, While
from graphc.ir.primitives import STORAGE
from graphc.ir.types import DType
from graphc.passes.trace import trace


@nested
def widen(graph: Graph) -> Graph:
    """The graph with its arithmetic in types that are computed with."""
    wide: dict[Node, Node] = {}

    def read(node: Node) -> Node:
        if node not in wide:
            wide[node] = _cast(node, node.type.dtype.arithmetic)
        return wide[node]

    def change(node: Node) -> Node:
        if not _computes(node):
            return node
        attrs = {k: v.arithmetic if isinstance(v, DType) else v for k, v in node.attrs.items()}
        with origin(node.where, node.gradient):
            return _cast(node.op(*map(read, node.inputs), **attrs), node.type.dtype)

    return rebuild(graph, change)


def _cast(node: Node, dtype: DType) -> Node:
    if node.type.dtype == dtype:
        return node
    with origin(node.where, node.gradient):
        made: Node = VOCABULARY["astype"](node, dtype=dtype)
    return made


def _computes(node: Node) -> bool:
    """Whether a node does more with values of 16 bits than scalar code may."""
    if not any(n.type.dtype.is_storage for n in (node, *node.inputs)):
        return False
    match node.op.lowering:
        case Leaf() | Project() | Host() | Collective() | Scan() | While() | Switch() | Sized():  # bodies are widened themselves
            return False
        case Pointwise():
            return any(
                step.op not in STORAGE and (step.dtype.is_storage or any(a.dtype.is_storage for a in step.args))
                for step in trace(node).steps
            )
    return True
