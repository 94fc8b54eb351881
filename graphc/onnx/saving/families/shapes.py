"""Operations that move elements: reshapes, transposes, slices, pads, joins, ranges."""

from __future__ import annotations

from typing import Any

from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.types import DType
from graphc.onnx.saving.operators import given, saves, value_of
from graphc.onnx.saving.writing import Value, Writer

LEAST = -(2**63)  # where a slice backwards ends that goes to the first element


@saves("reshape")
def reshape(w: Writer, node: Node, shape: Shape) -> Value:
    return w.reshape(value_of(w, node.inputs[0]), shape)


@saves("permute_dims")
def permute(w: Writer, node: Node, axes: tuple[int, ...]) -> Value:
    return w.move("Transpose", value_of(w, node.inputs[0]), perm=list(axes))


@saves("slice")
def cut(w: Writer, node: Node, start: Shape, step: tuple[int, ...], size: Shape) -> Value | None:
    shape = node.inputs[0].type.shape
    axes = [a for a in range(len(shape)) if not (start[a] == 0 and step[a] == 1 and size[a] == shape[a])]
    begins: list[Size] = []
    ends: list[Size] = []
    for a in axes:
        end = dims.add(start[a], dims.mul(size[a], step[a]))
        if step[a] > 0:
            begins.append(start[a])
            ends.append(end)
        elif dims.sub(shape[a], start[a]) == 1 and dims.add(end, 1) == 0:  # all of it backwards
            begins.append(-1)
            ends.append(LEAST)
        elif isinstance(end, int) and isinstance(start[a], int):
            begins.append(start[a])
            ends.append(end if end >= 0 else LEAST)
        else:
            return None
    if not axes:
        return value_of(w, node.inputs[0])
    bounds = [w.shape(tuple(begins)), w.shape(tuple(ends)), w.ints(axes), w.ints([step[a] for a in axes])]
    return w.move("Slice", value_of(w, node.inputs[0]), *bounds)


@saves("embed")
def embed(w: Writer, node: Node, start: Shape, step: tuple[int, ...], shape: Shape, value: Any) -> Value | None:
    """Zeros, or another number, around an array."""
    if any(by not in (1, -1) for by in step):
        return None
    (x,), whole = given(w, node), node.inputs[0].type.shape
    if not whole:
        return x
    back = [a for a, by in enumerate(step) if by < 0]
    if back:
        x = w.move("Slice", x, w.ints([-1] * len(back)), w.ints([LEAST] * len(back)), w.ints(back), w.ints([-1] * len(back)))
    before = tuple(a if by > 0 else dims.sub(a, dims.sub(n, 1)) for a, by, n in zip(start, step, whole, strict=True))
    after = tuple(dims.sub(dims.sub(m, n), a) for m, n, a in zip(shape, whole, before, strict=True))
    return padded(w, x, before, after, value)


def padded(w: Writer, x: Value, before: Shape, after: Shape, value: Any) -> Value:
    """x with some of a number before and after each axis."""
    from graphc.onnx.saving.writing import working

    work = working("Pad", x.dtype) or x.dtype
    made = w.op("Pad", w.cast(x, work), w.shape((*before, *after)), w.scalar(value, work))
    return w.cast(made, x.dtype)


@saves("concat")
def concat(w: Writer, node: Node, axis: int) -> Value:
    return w.move("Concat", *given(w, node), axis=axis)


@saves("iota")
def iota(w: Writer, node: Node, size: Size, dtype: DType) -> Value:
    return w.cast(w.range(size), dtype) if dtype != t.int64 else w.range(size)
