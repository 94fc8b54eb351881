"""Sums over blocks of a batch in one order: that of a binary tree over the numbers of the blocks.

    0   1   2   3   4   5   6        seven blocks; a node of the tree is the sum of a range of them
    0-1     2-3     4-5     |        each range begins at a multiple of the power of two that it is cut from
    0-3             4-6
    0-6

Whoever has some of the blocks makes the largest nodes that lie among them, one loop over all blocks of a node; whoever has the
nodes of everybody adds them up along the tree. So the bits of the sum depend on the number of blocks, not on who had which. The
body of a loop is the same for every node, and begins with 0 + the first block's values: a node of one block has no -0.0 either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import graphc as gx
from graphc import Tensor

Node = tuple[int, int]  # from the number of the first block up to the second number
Body = Callable[..., list[Tensor]]  # (a block's number, its slices, what is the same for all) -> the values to be summed


def middle(node: Node) -> int:
    """Where a node of more than one block is divided in two: after the largest power of two that is less than all.

    >>> middle((0, 7)), middle((4, 7)), middle((0, 4))
    (4, 6, 2)
    """
    start, stop = node
    return start + (1 << (stop - start - 1).bit_length() - 1)


def nodes_within(first: int, last: int, blocks: int) -> list[Node]:
    """The largest nodes that lie among the blocks first .. last - 1, from left to right: at most about 2 log2(blocks).

    >>> nodes_within(0, 7, 7), nodes_within(1, 6, 7), nodes_within(4, 7, 7)
    ([(0, 7)], [(1, 2), (2, 4), (4, 6)], [(4, 7)])
    """
    found, todo = [], [(0, blocks)]
    while todo:
        start, stop = todo.pop()
        if first <= start and stop <= last:
            found.append((start, stop))
        elif start < last and first < stop:
            at = middle((start, stop))
            todo += [(at, stop), (start, at)]
    return found


def added_up(nodes: Mapping[Node, Sequence[Any]], start: int, stop: int) -> list[Any]:
    """The values of a node of the tree, from those of nodes below it that have each of its blocks once."""
    known = {node: list(values) for node, values in nodes.items()}
    todo: list[Node] = [(start, stop)]
    while todo:
        node = todo[-1]
        if node in known:
            todo.pop()
            continue
        at = middle(node)
        left, right = (node[0], at), (at, node[1])
        if left in known and right in known:
            known[node] = [a + b for a, b in zip(known.pop(left), known.pop(right), strict=True)]
        else:
            todo += [part for part in (right, left) if part not in known]
    return known[start, stop]


def sums(
    body: Body, types: Sequence[gx.ir.types.TensorType], given: Sequence[Tensor], first: int, last: int, blocks: int,
    shared: Sequence[Tensor] = (),
) -> dict[Node, list[Tensor]]:  # fmt: skip
    """The values of the largest nodes among the blocks first .. last - 1.

    body: what a block adds, of these types. given: arrays whose first axis is that of the blocks, last - first of them. shared:
    what every block is given, so that what is made of it is made in the loop, and not kept for all of its turns.
    """
    numbers = gx.arange(first, last)
    every: dict[Node, list[Tensor]] = {}
    wanted = nodes_within(first, last, blocks)
    for node in _powers(wanted):
        start, stop = node[0] - first, node[1] - first
        whole = node == (first, last)
        parts = [x if whole else x[start:stop] for x in (numbers, *given)]
        every[node] = _node((stop - start).bit_length() - 1, body, types, parts, shared)
    return {node: added_up({part: x for part, x in every.items() if node[0] <= part[0] and part[1] <= node[1]}, *node)
            for node in wanted}  # fmt: skip


def _powers(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, those that are cut at the last block divided until each has a power of two."""
    found, todo = [], list(reversed(nodes))
    while todo:
        node = todo.pop()
        count = node[1] - node[0]
        if count & (count - 1):
            at = middle(node)
            todo += [(at, node[1]), (node[0], at)]
        else:
            found.append(node)
    return found


def _node(
    levels: int, body: Body, types: Sequence[gx.ir.types.TensorType], given: Sequence[Tensor], shared: Sequence[Tensor]
) -> list[Tensor]:
    """The sum over 2^levels blocks: two turns of a loop over two turns of a loop over ... the body."""
    shape = (2,) * levels or (1,)
    turns = [gx.reshape(x, (*shape, *x.shape[1:])) for x in given]

    def total(left: int, x: list[Tensor], shared: list[Tensor]) -> list[Tensor]:
        def turn(carry: tuple[list[Tensor], list[Tensor]], x: list[Tensor]) -> tuple[Any, None]:
            so_far, shared = carry
            values = total(left - 1, x, shared) if left > 1 else body(x[0], x[1:], shared)
            return ([a + b for a, b in zip(so_far, values, strict=True)], shared), None

        (found, _), _ = gx.scan(turn, ([gx.zeros(t.shape, t.dtype) for t in types], shared), x)
        return list(found)

    return total(levels, turns, list(shared))
