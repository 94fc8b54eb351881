"""Exchange small arrays together, in the order in which they are made: Graph -> Graph.

    %0 = all_reduce(%a, order=0, ranks=2)           %0 = concat(reshape(%b), reshape(%a))
    %1 = all_reduce(%b, order=1, ranks=2)     =>    %1 = all_reduce(%0, order=0, ranks=2)
                                                    what was %0 and %1 are slices of it

A gradient's sums over ranks are declared for the first layer first, and made for the last one first: among neighbours of which
none needs another the order becomes that of the longest ways that lead to their operands, the same on all ranks. Then those of
at most `SMALL` bytes that follow each other are joined, up to `BUCKET` bytes: an exchange costs some ten microseconds however few
its bytes are. Larger ones gain nothing, and would be copied.

Joined values are the sums that they were, term by term; in which order MPI adds those of more than two ranks may follow from the
number of elements.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import dims
from graphc.ir.graph import Graph, Node, nested, on_inputs, order_of, origin, substitute
from graphc.ir.operation import VOCABULARY, Collective

SMALL = 256 * 1024  # bytes: what goes alone takes some times as long as an exchange takes at least, on one machine and on many
BUCKET = 1024 * 1024  # bytes, so that an exchange begins before all is made
# No facts about a processor: a graph is the same for all.


@nested
def join_collectives(graph: Graph) -> Graph:
    """The graph with neighbouring exchanges in the order of their operands, and small ones joined."""
    runs = [run for run in _runs(graph) if len(run) > 1]
    if not runs:
        return graph
    depth = _depths(graph)
    order: dict[Node, int] = {}  # what stays alone -> its number
    bucket_of: dict[Node, tuple[Node, ...]] = {}
    for run in runs:
        numbers = sorted(node.attrs["order"] for node in run)
        run = sorted(run, key=lambda node: (depth[node], node.attrs["order"]))
        for number, bucket in zip(numbers, _buckets(run), strict=False):
            for node in bucket:
                order[node] = number
                bucket_of[node] = bucket
    new: dict[Node, Node] = {}
    joined: dict[Node, Node] = {}  # a part of a bucket -> its slice

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node not in bucket_of:
            return on_inputs(node, inputs)
        bucket = bucket_of[node]
        if len(bucket) == 1:
            return _numbered(node, inputs, order[node])
        if node not in joined:
            operands = substitute([part.inputs[0] for part in bucket], new, change)
            joined.update(zip(bucket, _joined(bucket, operands, order[node]), strict=True))
        return joined[node]

    substitute(graph.nodes, new, change)
    return graph.replaced(new)


def _runs(graph: Graph) -> list[list[Node]]:
    """Exchanges that follow each other and can be joined, none of which needs another one of its run."""
    runs: list[list[Node]] = [[]]
    bit: dict[Node, int] = {}
    needs: dict[Node, int] = {}  # the exchanges that a node is made of, as bits
    for node in graph.nodes:
        needs[node] = 0
        for given in node.inputs:
            needs[node] |= needs[given] | bit.get(given, 0)
        if not node.attrs or order_of(node) is None:
            continue
        bit[node] = 1 << len(bit)
        if not _can_join(node):
            runs.append([])
        elif any(needs[node] & bit[other] for other in runs[-1]):
            runs.append([node])
        else:
            runs[-1].append(node)
    return runs


def _can_join(node: Node) -> bool:
    return isinstance(node.op.lowering, Collective) and node.op.lowering.joins and node.type.is_static


def _depths(graph: Graph) -> dict[Node, int]:
    """How many nodes the longest way to each has."""
    found: dict[Node, int] = {}
    for node in graph.nodes:
        found[node] = 1 + max((found[given] for given in node.inputs), default=0)
    return found


def _bytes(node: Node) -> int:
    return dims.evaluate(node.type.nbytes, {})


def _buckets(run: Sequence[Node]) -> list[tuple[Node, ...]]:
    """The exchanges in their order, those that go together as one."""
    found: list[list[Node]] = []
    for node in run:
        last = found[-1] if found else []
        small = bool(last) and all(_bytes(part) <= SMALL for part in (node, last[0]))
        if small and last[0].type.dtype == node.type.dtype and sum(map(_bytes, last)) + _bytes(node) <= BUCKET:
            last.append(node)
        else:
            found.append([node])
    return [tuple(bucket) for bucket in found]


def _numbered(node: Node, inputs: tuple[Node, ...], order: int) -> Node:
    with origin(node.where, node.gradient, node.forward):
        made: Node = node.op(*inputs, **{**node.attrs, "order": order})
    return made


def _joined(bucket: Sequence[Node], operands: Sequence[Node], order: int) -> list[Node]:
    """What each exchange of a bucket becomes: a part of one exchange of all."""
    first = bucket[0]
    found: list[Node] = []
    with origin(first.where, first.gradient, first.forward):
        flat = [VOCABULARY["reshape"](x, shape=(x.type.size,)) for x in operands]
        whole = _numbered(first, (VOCABULARY["concat"](*flat, axis=0),), order)
        at = 0
        for node in bucket:
            size = dims.evaluate(node.type.size, {})
            part = VOCABULARY["slice"](whole, start=(at,), step=(1,), size=(size,))
            found.append(VOCABULARY["reshape"](part, shape=node.type.shape))
            at += size
    return found
