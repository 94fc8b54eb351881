"""Reductions along axes."""

from __future__ import annotations

from typing import Any

from graphc.ir import combines
from graphc.ir import types as t
from graphc.ir.graph import Node
from graphc.ir.operation import Reduction
from graphc.ir.types import DType, TensorType
from graphc.onnx.saving.formulas import select
from graphc.onnx.saving.operators import lowered, value_of
from graphc.onnx.saving.writing import Value, Writer, refused, working


@lowered(Reduction)
def reduction(w: Writer, node: Node) -> Value:
    lowering = node.op.lowering
    assert isinstance(lowering, Reduction)
    x, axes, kind = value_of(w, node.inputs[0]), lowering.axes(node.attrs), node.inputs[0].type
    match lowering.combine:
        case combines.ADD:
            return total(w, "ReduceSum", x, axes, node.type.dtype)
        case combines.MUL:
            return total(w, "ReduceProd", x, axes, node.type.dtype)
        case combines.MAX:
            return extreme(w, "ReduceMax", x, axes)
        case combines.MIN:
            return extreme(w, "ReduceMin", x, axes)
        case combines.OR:
            return some(w, x, axes)
        case combines.AND:
            return w.op("Not", some(w, w.op("Not", x), axes))
        case combines.ARGMAX:
            return place(w, "ArgMax", x, axes[0], kind)
        case combines.ARGMIN:
            return place(w, "ArgMin", x, axes[0], kind)
    raise refused(node, "it reduces by code of a user's", "use gx.sum, gx.max and the like, or gx.scan")


def total(w: Writer, operator: str, x: Value, axes: tuple[int, ...], dtype: DType) -> Value:
    """A sum or a product in the type of its result; floats of 16 bits in float32."""
    work = working(operator, dtype.arithmetic) or t.int64
    return w.cast(w.op(operator, w.cast(x, work), w.ints(axes), keepdims=0), dtype)


def extreme(w: Writer, operator: str, x: Value, axes: tuple[int, ...]) -> Value:
    """The largest or the smallest; NaN if there is one."""
    if x.dtype.is_bool:
        return some(w, x, axes) if operator == "ReduceMax" else w.op("Not", some(w, w.op("Not", x), axes))
    if working(operator, x.dtype) is None:  # uint64: as signed integers with the first bit turned over
        top = w.scalar(1 << 63, t.uint64)
        made = w.op(operator, w.cast(w.op("BitwiseXor", x, top), t.int64), w.ints(axes), keepdims=0)
        return w.op("BitwiseXor", w.cast(made, t.uint64), top)
    made = w.cast(w.op(operator, w.cast(x, working(operator, x.dtype) or x.dtype), w.ints(axes), keepdims=0), x.dtype)
    if not x.dtype.is_float:
        return made
    wide = w.cast(x, x.dtype.arithmetic)
    none = some(w, w.op("IsNaN", wide, dtype=t.bool_), axes)
    return select(w, x.dtype, none, w.scalar(float("nan"), x.dtype), made)


def some(w: Writer, x: Value, axes: tuple[int, ...]) -> Value:
    """Whether something is true; not if there is nothing."""
    count = w.op("ReduceSum", w.cast(x, t.int32), w.ints(axes), keepdims=0)
    return w.op("Greater", count, w.scalar(0, t.int32), dtype=t.bool_)


def place(w: Writer, operator: str, x: Value, axis: int, kind: TensorType) -> Value:
    """Where the first extreme is, or the first NaN."""
    options: dict[str, Any] = {"axis": axis, "keepdims": 0}
    if x.dtype == t.uint64 and working(operator, x.dtype) is None:
        x = w.cast(w.op("BitwiseXor", x, w.scalar(1 << 63, t.uint64)), t.int64)
    plain = w.compute(operator, x, dtype=t.int64, **options)
    if not x.dtype.is_float:
        return plain
    wrong = w.op("IsNaN", w.cast(x, x.dtype.arithmetic), dtype=t.bool_)
    first = w.compute("ArgMax", wrong, dtype=t.int64, **options)
    return w.op("Where", some(w, wrong, (axis,)), first, plain, dtype=t.int64)
