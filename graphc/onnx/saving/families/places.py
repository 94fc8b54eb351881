"""Elements at places that are data: takes and scatters."""

from __future__ import annotations

from graphc.ir import combines, dims
from graphc.ir import types as t
from graphc.ir.combines import Combine
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.operation import Scatter
from graphc.onnx.saving.elements import Elements
from graphc.onnx.saving.operators import lowered, saves, value_of
from graphc.onnx.saving.writing import Value, Writer

REDUCTIONS = {combines.ADD: "add", combines.MUL: "mul", combines.MAX: "max", combines.MIN: "min"}


def within(w: Writer, indices: Node, size: Size) -> Value:
    """Indices as operators take them, from -size up to size - 1: others are those of the nearest element."""
    made = value_of(w, indices)
    if made.dtype == t.uint64:
        made = w.op("Min", made, w.scalar(2**62, t.uint64))
    made = w.cast(made, t.int64)
    low, high = w.size(dims.mul(size, -1)), w.size(dims.sub(size, 1))
    return w.op("Max", w.op("Min", made, high), low)


@saves("take")
def take(w: Writer, node: Node, axis: int) -> Value:
    x, indices = node.inputs
    return w.move("Gather", value_of(w, x), within(w, indices, x.type.shape[axis]), axis=axis)


@saves("take_along_axis")
def take_along_axis(w: Writer, node: Node, axis: int) -> Value:
    x, indices = node.inputs
    return w.move("GatherElements", value_of(w, x), within(w, indices, x.type.shape[axis]), axis=axis)


@lowered(Scatter)
def scatter(w: Writer, node: Node) -> Value:
    """Elements put into a row of all places, in their order: ScatterElements goes through them one after the other."""
    lowering = node.op.lowering
    assert isinstance(lowering, Scatter)
    update, kind = node.inputs[0], node.type
    k = Elements(w, [(x.type, value_of(w, x), x.type.shape) for x in node.inputs], update.type)
    place = k.index(dims.ravel(lowering.place(k, k.loops, **node.attrs), kind.shape))
    places = w.op("Reshape", k.whole(place, t.int64), w.ints([-1]))
    values = w.op("Reshape", value_of(w, update), w.ints([-1]))
    if lowering.base is None:
        start = w.scalar(lowering.combine.neutral(kind.dtype).value, kind.dtype)
        base = w.expand(start, (kind.size,))
    else:
        base = w.op("Reshape", value_of(w, node.inputs[lowering.base]), w.ints([-1]))
    made = into(w, base, places, values, lowering.combine, kind.size)
    return w.reshape(made, kind.shape)


def into(w: Writer, base: Value, places: Value, values: Value, combine: Combine, size: Size) -> Value:
    """Values combined into the elements of a vector at some places."""
    work = t.int32 if base.dtype.is_bool else base.dtype.arithmetic
    if combine == combines.SET:  # of equal places the last stands; operators leave open which
        count = w.op("Range", w.scalar(0, t.int64), w.op("Squeeze", w.op("Shape", values, dtype=t.int64)), w.scalar(1, t.int64))
        none = w.expand(w.scalar(-1, t.int64), (size,))
        last = w.op("ScatterElements", none, places, count, axis=0, reduction="max")
        mine = w.op("Equal", w.op("Gather", last, places, axis=0), count, dtype=t.bool_)
        chosen = w.op("Squeeze", w.op("NonZero", mine, dtype=t.int64), w.ints([0]))
        picked = [w.op("Gather", x, chosen, axis=0) for x in (places, values)]
        return w.op("ScatterElements", base, *picked, axis=0)
    made = w.op("ScatterElements", w.cast(base, work), places, w.cast(values, work), axis=0, reduction=REDUCTIONS[combine])
    return w.cast(made, base.dtype)
