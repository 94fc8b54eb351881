"""Learn what every node reads and costs, and inline what costs no more than a load.

    %0 = broadcast_to(%b, ...)            inlined { %0 = broadcast_to(%b, ...) }
    %1 = add(%x, %0)               =>     open { %1 = add(%x, %0) }               # reads %x[i, j] and %b[j]

Inlined code is part of all that read it, so what a node reads depends on what of its operands is inlined: one walk does both.
What only puts the axes of a product's result in another order is noted too: the product stores it so.

Afterwards the reads and weight of every node are known, and every node is inlined or open.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.operation import Contraction, Pointwise
from graphc.passes.domains import axis_names, core_shape, work_of
from graphc.passes.fusion import forms
from graphc.passes.trace import Trace

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan

MAX_INLINE = 12  # nested inlined nodes


def measure(plan: Plan) -> None:
    """Learn what every node reads and costs; inline light code."""
    for node in plan.graph.nodes:
        _learn(plan, node)
        if isinstance(node.op.lowering, Contraction) and node not in plan.work:
            _store_shared(plan, node)
        if _is_light(plan, node):
            plan.depth[node] = _depth(plan, node)


def measure_inlined(plan: Plan, inlined: Set[Node]) -> None:
    """Learn the same of a plan whose inlined nodes are known."""
    for node in plan.graph.nodes:
        _learn(plan, node)
        if node not in inlined:
            _is_light(plan, node)  # which notes what products store in another order
        elif not plan.is_leaf(node):
            plan.depth[node] = _depth(plan, node)


def _learn(plan: Plan, node: Node) -> None:
    if not node.is_given if plan.is_leaf(node) else all(i in plan.fixed for i in node.inputs):
        plan.fixed.add(node)
    if plan.is_leaf(node):
        return
    work = work_of(node)
    if work is not None:
        plan.work[node] = work
    plan.probe(node)
    if _reads_later(plan, node):
        plan.later.add(node)


def _depth(plan: Plan, node: Node) -> int:
    """How many inlined nodes stand in one another, this one included."""
    return 1 + max((plan.depth.get(i, 0) for i in node.inputs), default=0)


def _is_light(plan: Plan, node: Node) -> bool:
    """Whether a node costs no more than a load, and no product can take its work over."""
    if isinstance(node.op.lowering, Pointwise) and node not in plan.roots and node not in plan.whole:
        light = len(plan.reads[node]) <= 1 and plan.weight[node] <= 1 and not _rounds(plan, node)
        return light and _depth(plan, node) <= MAX_INLINE and not _moves(plan, node)
    if node in plan.work:
        _moves(plan, node)
    return False


def _store_shared(plan: Plan, node: Node) -> None:
    """Store an operand that all products of a batch share, if none of them could read it in place: each would copy it."""
    *batch, m, k, n = axis_names(node.type.rank + 1)
    for operand, axes in enumerate(((m, k), (k, n))):
        low, above = node.inputs[operand], [node]
        if not batch or not plan.inlined(low):
            continue
        probe = Trace(node, inlined=plan.inlined)
        probe.load(operand, (*batch, *axes))
        if len(probe.reads) != 1:
            continue
        (read,) = probe.reads
        address = dims.ravel(read.index, core_shape(read.node))
        if dims.names(*batch) & dims.names(address) or _is_linear(address, axes):
            continue
        while plan.inlined(low) and len(low.inputs) == 1 and not _is_part(low, read.node):
            above.append(low)
            low = low.inputs[0]
        if plan.inlined(low) and len(plan.users[low]) == 1 and _is_part(low, read.node):
            del plan.depth[low]
            for reader in reversed(above):
                plan.probe(reader, alike=False)


def _is_part(node: Node, of: Node) -> bool:
    """Whether a node is known to have no more elements than another."""
    return dims.is_nonnegative(dims.sub(dims.product(of.type.shape), dims.product(node.type.shape)))


def _is_linear(address: Size, axes: tuple[Size, ...]) -> bool:
    """Whether an address grows by the same distance along each of some axes."""
    for axis in axes:
        (name,) = dims.names(axis)
        if dims.names(axis) & dims.names(dims.sub(dims.substitute(address, {name: dims.add(axis, 1)}), address)):
            return False
    return True


def _rounds(plan: Plan, node: Node) -> bool:
    """Whether a node rounds a result to a 16-bit type: then that is what is stored, in half the bytes."""
    return node.type.dtype.is_storage and any(
        not plan.is_leaf(read.node) and not read.node.type.dtype.is_storage for read in plan.reads[node]
    )


def _reads_later(plan: Plan, node: Node) -> bool:
    if isinstance(node.op.lowering, Pointwise) and node.op.lowering.later:
        return True
    found = [i in plan.later for i in node.inputs if i not in plan.fixed]
    return bool(found) and all(found)


def _moves(plan: Plan, node: Node) -> bool:
    """Note a node that only transposes a contraction's result: the contraction stores it transposed."""
    if len(plan.reads[node]) != 1 or plan.weight[node] or not isinstance(node.op.lowering, Pointwise):
        return False
    (read,) = plan.reads[node]
    names = axis_names(len(plan.work[node].domain))
    if plan.is_leaf(read.node) or plan.starts(read.node) is not forms.Product:
        return False
    if len(plan.users[read.node]) > 1 or read.node in plan.roots:
        return False
    if read.index == names or sorted(map(str, read.index)) != sorted(map(str, names)):
        return False
    plan.moved[node] = tuple(names.index(i) for i in read.index)
    return True
