"""Exchange small arrays together: Graph -> Graph.

    %0 = all_reduce(%a, group=0, order=0, ranks=2)           %0 = concat(reshape(%a), reshape(%b))
    %1 = all_reduce(%b, group=0, order=1, ranks=2)     =>    %1 = all_reduce(%0, group=0, order=0, ranks=2)
                                                             what was %0 and %1 are slices of it

Those of one group that follow each other and have at most `SMALL` bytes are joined, up to `BUCKET` bytes: an exchange costs some
ten microseconds however few its bytes are. Larger ones gain nothing, and would be copied. A group is what was declared together,
the gradients of the last layer first; so all ranks join the same ones, even where the rest of their graphs differs: what follows
from a graph as a whole decides nothing here.

Joined values are the sums that they were, term by term; in which order MPI adds those of more than two ranks may follow from the
number of elements.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import dims
from graphc.ir.graph import Graph, Node, nested, on_inputs, origin, substitute
from graphc.ir.operation import VOCABULARY, Collective

SMALL = 256 * 1024  # bytes: what goes alone takes some times as long as an exchange takes at least, on one machine and on many
BUCKET = 1024 * 1024  # bytes, so that an exchange begins before all is made
# No facts about a processor: a graph is the same for all.


@nested
def join_collectives(graph: Graph) -> Graph:
    """The graph with small exchanges of a group joined."""
    bucket_of = {node: bucket for bucket in _buckets(graph) if len(bucket) > 1 for node in bucket}
    if not bucket_of:
        return graph
    new: dict[Node, Node] = {}
    joined: dict[Node, Node] = {}  # a part of a bucket -> its slice

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node not in bucket_of:
            return on_inputs(node, inputs)
        if node not in joined:
            bucket = bucket_of[node]
            operands = substitute([part.inputs[0] for part in bucket], new, change)
            joined.update(zip(bucket, _joined(bucket, operands), strict=True))
        return joined[node]

    substitute(graph.nodes, new, change)
    return graph.replaced(new)


def _buckets(graph: Graph) -> list[tuple[Node, ...]]:
    """The exchanges that can be joined in their order, those that go together as one."""
    found: list[list[Node]] = []
    for node in graph.ordered:
        last = found[-1] if found else []
        if last and _go_together(last, node):
            last.append(node)
        else:
            found.append([node])
    return [tuple(bucket) for bucket in found]


def _go_together(bucket: Sequence[Node], node: Node) -> bool:
    """Whether an exchange joins those before it."""
    first = bucket[0]
    for one in (first, node):
        lowering = one.op.lowering
        if not isinstance(lowering, Collective) or not lowering.joins or not one.type.is_static or _bytes(one) > SMALL:
            return False
    if bucket[-1].attrs["order"] >= node.attrs["order"]:  # a copy of one, made again for a gradient: it may read what others give
        return False
    if (first.op, first.type.dtype, first.attrs.get("group")) != (node.op, node.type.dtype, node.attrs.get("group", -1)):
        return False
    return sum(map(_bytes, bucket)) + _bytes(node) <= BUCKET


def _bytes(node: Node) -> int:
    return dims.evaluate(node.type.nbytes, {})


def _joined(bucket: Sequence[Node], operands: Sequence[Node]) -> list[Node]:
    """What each exchange of a bucket becomes: a part of one exchange of all."""
    first = bucket[0]
    found: list[Node] = []
    with origin(first.where, first.gradient, first.forward):
        flat = [VOCABULARY["reshape"](x, shape=(x.type.size,)) for x in operands]
        whole = first.op(VOCABULARY["concat"](*flat, axis=0), **first.attrs)
        at = 0
        for node in bucket:
            size = dims.evaluate(node.type.size, {})
            part = VOCABULARY["slice"](whole, start=(at,), step=(1,), size=(size,))
            found.append(VOCABULARY["reshape"](part, shape=node.type.shape))
            at += size
    return found
