"""Inline elementwise code whose one reader needs it at a shifted place: it is computed once there, too.

    open {                                                inlined {
      %0 = exp(%x) : f32[n]                                 %0 = exp(%x) : f32[n]
      %2 = multiply(%0[1:], ...) : f32[n-1]         =>    }
    }                                                     open { %2 = multiply(%0[1:], ...) : f32[n-1] }

So a stencil over padded data is one kernel. Elements at the borders of tiles are computed twice, the others once.

Afterwards no elementwise value is stored for a single reader at a fixed distance, unless its operands would have to be stored
instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.ir import dims
from graphc.ir.graph import Node
from graphc.ir.operation import Pointwise
from graphc.passes.domains import Read, axis_names, core_shape
from graphc.passes.fusion.cluster import bytes_of
from graphc.passes.fusion.measure import MAX_INLINE

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan


def inline_shifted(plan: Plan) -> None:
    """Inline elementwise code whose one reader needs it at a shifted place: it is computed once there, too."""
    for target in plan.graph.nodes:
        if target not in plan.work or plan.inlined(target):
            continue
        for read in plan.reads[target]:
            if read.index == axis_names(len(read.index)) or not _is_beside(plan, target, read):
                continue
            tree = _tree(plan, read.node, target)
            kept = {r.node for n in tree for r in plan.reads[n] if not plan.is_leaf(r.node)} - tree.keys()
            if tree and sum(map(bytes_of, kept)) <= bytes_of(read.node):  # its operands may now need buffers, and it needs none
                plan.depth |= tree
                plan.probe(target, alike=False)


def _is_beside(plan: Plan, node: Node, read: Read) -> bool:
    """Whether a node of about as many elements reads each of them at a fixed distance from its own index."""
    domain = plan.work[node].domain
    if len(domain) != len(core_shape(read.node)):
        return False
    for own, at, n, size in zip(axis_names(len(domain)), read.index, domain, core_shape(read.node), strict=True):
        more = dims.sub(n, size)
        if not isinstance(dims.sub(at, own), int) or not isinstance(more, int):
            return False
        if isinstance(size, int) and more > size // 8:
            return False
    return True


def _tree(plan: Plan, root: Node, reader: Node) -> dict[Node, int]:
    """The elementwise nodes that a value is computed from and that only its reader needs, with their depths."""
    tree: dict[Node, int] = {}
    todo = [(root, reader, 1)]
    while todo:
        node, reader, depth = todo.pop()
        users = plan.users[node]
        while len(users) == 1 and plan.inlined(users[0]):
            users = plan.users[users[0]]
        alone = users == [reader] and node not in plan.roots and isinstance(node.op.lowering, Pointwise)
        if alone and depth <= MAX_INLINE and node not in plan.later:
            tree[node] = depth
            todo += [(r.node, node, depth + 1) for r in plan.reads[node] if _is_beside(plan, node, r)]
    return tree
