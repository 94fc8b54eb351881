"""Running reductions, sorting and sets."""

from __future__ import annotations

import graphc as gx
from graphc.ir import combines, dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import VOCABULARY, Prefix
from graphc.onnx.saving.families.loops import stepped
from graphc.onnx.saving.families.reductions import some
from graphc.onnx.saving.formulas import compared, select
from graphc.onnx.saving.operators import given, inlined, lowered, saves, value_of
from graphc.onnx.saving.writing import Value, Writer, working

# --- running reductions ----------------------------------------------------------------------------------------------


@lowered(Prefix)
def running(w: Writer, node: Node) -> Value:
    lowering = node.op.lowering
    assert isinstance(lowering, Prefix)
    axis, dtype = lowering.axis(node.attrs), node.type.dtype
    if lowering.combine == combines.ADD:
        work = working("CumSum", dtype.arithmetic) or t.int64
        return w.cast(w.op("CumSum", w.cast(value_of(w, node.inputs[0]), work), w.scalar(axis, t.int64)), dtype)
    if lowering.combine == combines.MUL and working("CumProd", dtype.arithmetic) is not None:
        w.needs(26)
        return w.compute("CumProd", value_of(w, node.inputs[0]), w.scalar(axis, t.int64), others=1)
    return stepped(w, node, lowering.combine, axis)


# --- sorting ---------------------------------------------------------------------------------------------------------


def order(w: Writer, x: Value, axis: int, count: Value, largest: bool = False) -> Value:
    """The places of the smallest or largest elements in their order; of equal ones the first comes first, and NaN is largest."""
    if x.dtype == t.uint64:
        x = w.cast(w.op("BitwiseXor", x, w.scalar(1 << 63, t.uint64)), t.int64)
    work = working("TopK", x.dtype.arithmetic) or t.int64
    options = {"axis": axis, "largest": int(largest), "sorted": 1}
    x = w.cast(x, work)
    if not work.is_float:
        return w.emit("TopK", [x, count], [work, t.int64], **options)[1]
    wrong = w.op("IsNaN", x, dtype=t.bool_)
    finite = select(w, work, wrong, w.scalar(float("inf"), work), x)
    every = w.op("Reshape", w.op("Gather", w.op("Shape", x, dtype=t.int64), w.scalar(axis, t.int64), axis=0), w.ints([1]))
    first = w.emit("TopK", [finite, every], [work, t.int64], **options)[1]
    late = w.op("GatherElements", w.cast(wrong, t.int32), first, axis=axis)
    second = w.emit("TopK", [late, count], [t.int32, t.int64], **options)[1]
    return w.op("GatherElements", first, second, axis=axis)


def _length(w: Writer, size: Size) -> Value:
    return w.shape((size,))


@saves("argsort")
def argsort(w: Writer, node: Node, axis: int) -> Value:
    (x,) = node.inputs
    return order(w, value_of(w, x), axis, _length(w, x.type.shape[axis]))


@saves("sort")
def sort(w: Writer, node: Node, axis: int) -> Value:
    (x,) = node.inputs
    made = value_of(w, x)
    return w.move("GatherElements", made, order(w, made, axis, _length(w, x.type.shape[axis])), axis=axis)


@saves("top_k")
def top_k(w: Writer, node: Node, k: int) -> Value:
    (x,) = node.inputs
    return order(w, value_of(w, x), x.type.rank - 1, w.ints([k]), largest=True)


@saves("searchsorted_open")
def searchsorted(w: Writer, node: Node, side: str, over: int) -> Value | None:
    """As where sizes are known, by as many halvings as any size needs."""
    if over:
        return None
    leaves = [gx.placeholder(f"x{i}", x.type.shape, x.type.dtype.arithmetic) for i, x in enumerate(node.inputs)]
    values = [w.cast(value, leaf.dtype) for value, leaf in zip(given(w, node), leaves, strict=True)]
    return inlined(w, Graph(leaves, [VOCABULARY["searchsorted"](*leaves, side=side)]), values)[0]


# --- sets ------------------------------------------------------------------------------------------------------------


@saves("isin")
def isin(w: Writer, node: Node) -> Value:
    x, y = given(w, node)
    line = w.op("Reshape", y, w.ints([-1]))
    column = w.op("Unsqueeze", x, w.ints([node.inputs[0].type.rank]))
    found = compared(w, "Equal", column, line)
    assert found is not None
    return some(w, found, (node.inputs[0].type.rank,))


@saves("unique")
def unique(w: Writer, node: Node, size: Size) -> tuple[Value, ...]:
    return _distinct_elements(w, node, size)


def _distinct_elements(w: Writer, node: Node, size: Size) -> tuple[Value, Value, Value]:
    """By the order of the elements: where one differs from the one before, the next distinct one begins."""
    (x,) = node.inputs
    n = x.type.shape[0]
    flat = value_of(w, x)
    sorted_ = order(w, flat, 0, _length(w, n))
    values = w.move("Gather", flat, sorted_, axis=0)
    begin = w.op("Slice", values, w.ints([0]), w.ints([-1]), w.ints([0]))
    rest = w.op("Slice", values, w.ints([1]), w.ints([2**62]), w.ints([0]))
    same = compared(w, "Equal", rest, begin)
    assert same is not None
    new = w.cast(w.op("Not", same), t.int64)
    some_ = w.op("Slice", w.expand(w.scalar(0, t.int64), (n,)), w.ints([0]), w.ints([1]), w.ints([0]))
    number = w.op("CumSum", w.op("Concat", some_, new, axis=0), w.scalar(0, t.int64))  # which distinct element each sorted one is
    inverse = w.op("ScatterElements", w.expand(w.scalar(0, t.int64), (n,)), sorted_, number, axis=0)
    room: Shape = (dims.add(dims.maximum(size, n), 1),)
    none, ones = w.expand(w.scalar(0, t.int64), room), w.expand(w.scalar(1, t.int64), (n,))
    counts = w.op("ScatterElements", none, number, ones, axis=0, reduction="add")
    far = w.expand(w.scalar(2**62, t.int64), room)
    first = w.op("ScatterElements", far, number, sorted_, axis=0, reduction="min")
    least = w.op("Gather", w.op("Concat", sorted_, w.ints([0]), axis=0), w.scalar(0, t.int64), axis=0)
    places = w.op("Where", w.op("Equal", first, w.scalar(2**62, t.int64), dtype=t.bool_), least, first, dtype=t.int64)
    cut = [w.op("Slice", v, w.ints([0]), w.shape((size,)), w.ints([0])) for v in (places, counts)]
    return cut[0], inverse, cut[1]


@saves("distinct")
def distinct(w: Writer, node: Node, size: Size) -> tuple[Value, ...]:
    (x,) = node.inputs
    places, _, counts = _distinct_elements(w, node, size)
    padded = w.op("Concat", value_of(w, x), w.constant([0], x.type.dtype), axis=0)
    return w.move("Gather", padded, places, axis=0), counts
