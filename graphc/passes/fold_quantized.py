"""Multiply integers in place of the floats that they stand for.

    %0 = dequantize(%x, %s) : f32[m, 64]          %0 = matmul_integer(%x, %w) : i32[m, 8]
    %1 = dequantize(%w, %t) : f32[64, 8]     =>   %1 = multiply(%s, %t[:1]) : f32[1, 8]
    %2 = matmul(%0, %1) : f32[m, 8]               %2 = dequantize(%0, %1) : f32[m, 8]

The sum over k of (x * s) * (w * t) is s * t times the sum of x * w, where neither scale depends on k. Between the integers and
the product there may be what only moves elements, as a convolution moves windows of its image. Sums are exact in int32; the
product of floats rounds at every term, so results differ in their last digits, as those of two orders of summation do.

Afterwards a product of float32 has no two operands that stand for integers of 8 bits, unless scales differ along the sum, it is
too long for int32, or elements come in that are neither operands nor 0.
"""

from __future__ import annotations

import math

from graphc.ir.dims import names
from graphc.ir.graph import Graph, Node, nested, origin, rebuild
from graphc.ir.operation import VOCABULARY, Contraction, Dequantize, Pointwise
from graphc.ir.scalar import Const
from graphc.ir.types import float32, int8, uint8
from graphc.passes.domains import axis_names
from graphc.passes.trace import Trace, trace

_LARGEST = {int8: 128, uint8: 255}


@nested
def fold_quantized(graph: Graph) -> Graph:
    """The graph with products of integers where floats are such."""
    return rebuild(graph, _folded)


def _folded(node: Node) -> Node:
    if not isinstance(node.op.lowering, Contraction) or node.type.dtype != float32:
        return node
    left, right = (_integers(x) for x in node.inputs)
    length = node.inputs[0].type.shape[-1]
    if left is None or right is None or not isinstance(length, int) or length < 1:
        return node
    if length * math.prod(_LARGEST[whole.type.dtype] for whole, _, _ in (left, right)) >= 2**31:
        return node
    with origin(node.where, node.gradient):
        scales = [_scale(*side[1:], axis) for side, axis in ((left, -1), (right, -2))]
        if scales[0] is None or scales[1] is None:
            return node
        sums = VOCABULARY["matmul_integer"](left[0], right[0])
        made: Node = VOCABULARY["dequantize"](sums, _product(scales[0], scales[1], node))
    return made


def _integers(x: Node) -> tuple[Node, Node, Node] | None:
    """The integers of an operand, its scales, and its scales before they were moved; None where it has no such."""
    moved: list[Node] = []
    while _moves(x):
        moved.append(x)
        x = x.inputs[0]
    if not isinstance(x.op.lowering, Dequantize) or x.inputs[0].type.dtype not in _LARGEST:
        return None
    whole, scale = first = x.inputs
    with origin(x.where, x.gradient):
        for node in reversed(moved):
            whole, scale = (node.op(given, **node.attrs) for given in (whole, scale))
    return whole, scale, first[1]


def _moves(node: Node) -> bool:
    """Whether each element of a node is one of its operand's, or 0, whatever that element is."""
    if not isinstance(node.op.lowering, Pointwise) or len(node.inputs) != 1 or node.inputs[0].type.dtype != node.type.dtype:
        return False
    for step in trace(node).steps:
        chosen = step.args[1:] if step.op == "select" and step.dtype == float32 else ()
        if any(isinstance(a, Const) and a.value != 0 for a in chosen):
            return False
        if not chosen and float32 in (step.dtype, *(a.dtype for a in step.args)):
            return False
    return True


def _scale(scale: Node, before: Node, axis: int) -> Node | None:
    """The scales of an operand, with size 1 along the sum, or without axes if all are one; None if they differ along it."""
    found = _only(before)
    if found is not None:
        return found
    rank, shape = scale.type.rank, scale.type.shape
    seen = _inlined(scale)
    along = f"d.{rank + axis}"
    if any(step.op == "select" for step in seen.steps) or any(along in names(*load.at) for load in seen.loads):
        return None
    size = tuple(1 if a == rank + axis else n for a, n in enumerate(shape))
    made: Node = VOCABULARY["slice"](scale, start=(0,) * rank, step=(1,) * rank, size=size)
    return made


def _only(scale: Node) -> Node | None:
    """The one element that an array repeats, as a scalar; None where there may be several."""
    lowering = scale.op.lowering
    if not isinstance(lowering, Pointwise):
        return VOCABULARY["reshape"](scale, shape=()) if scale.type.size == 1 else None
    seen = _inlined(scale)
    if len(seen.loads) == 1 and not seen.steps and seen.loads[0].node.type.size == 1:
        return VOCABULARY["reshape"](seen.loads[0].node, shape=())  # type: ignore[no-any-return]
    if not seen.loads and not scale.inputs and isinstance(seen.value, Const):
        return VOCABULARY["full"](shape=(), value=seen.value.value, dtype=float32)  # type: ignore[no-any-return]
    return None


class _Element(Trace):
    """What one element is made of, and its value."""

    value: object = None


def _inlined(node: Node) -> _Element:
    """The code of an element, through all that only moves it."""
    lowering = node.op.lowering
    found = _Element(node, {f"d.{a}": n for a, n in enumerate(node.type.shape)}, _moves)
    if isinstance(lowering, Pointwise):
        found.value = lowering.body(found, axis_names(node.type.rank), **node.attrs).arg
    return found


def _product(left: Node, right: Node, node: Node) -> Node:
    """The product of the scales for every element of the result."""
    shape = node.type.shape
    if not left.type.rank and right.type.rank:
        left = VOCABULARY["broadcast_to"](left, shape=right.type.shape)
    elif not right.type.rank and left.type.rank:
        right = VOCABULARY["broadcast_to"](right, shape=left.type.shape)
    elif left.type.rank:
        left, right = (VOCABULARY["broadcast_to"](x, shape=shape) for x in (left, right))
    made: Node = VOCABULARY["broadcast_to"](VOCABULARY["multiply"](left, right), shape=shape)
    return made
