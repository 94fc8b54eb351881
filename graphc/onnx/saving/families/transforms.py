"""Fourier transforms of the last axis: pairs of real and imaginary parts, which ONNX has as a last axis of two."""

from __future__ import annotations

from typing import Any

from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.onnx.saving.operators import given, saves
from graphc.onnx.saving.writing import Value, Writer


def transformed(w: Writer, parts: list[Value], rank: int, **options: Any) -> tuple[Value, Value]:
    """The transform of numbers, or of pairs of them, in float64."""
    dtype = parts[0].dtype
    columns = [w.op("Unsqueeze", w.cast(x, t.float64), w.ints([rank])) for x in parts]
    x = columns[0] if len(columns) == 1 else w.op("Concat", *columns, axis=rank)
    y = w.op("DFT", x, None, w.scalar(rank - 1, t.int64), **options)
    first, second = (w.cast(w.op("Gather", y, w.scalar(i, t.int64), axis=rank), dtype) for i in (0, 1))
    return first, second


@saves("rfft")
def rfft(w: Writer, node: Node) -> tuple[Value, Value]:
    return transformed(w, given(w, node), node.inputs[0].type.rank, onesided=1)


@saves("fft")
def fft(w: Writer, node: Node, inverse: bool) -> tuple[Value, Value]:
    x = node.inputs[0].type
    made = transformed(w, given(w, node), x.rank, inverse=int(inverse))
    return (times(w, made[0], x.shape[-1]), times(w, made[1], x.shape[-1])) if inverse else made


def times(w: Writer, x: Value, size: Size) -> Value:
    """ONNX divides what comes back by the number of elements; graphc does not."""
    return w.op("Mul", x, w.cast(w.size(size), x.dtype))


@saves("irfft")
def irfft(w: Writer, node: Node, n: Size) -> Value:
    """The inverse of all frequencies: the other half are the conjugates of the first, backwards."""
    rank = node.inputs[0].type.rank
    k = w.range(n)
    back = w.op("Sub", w.size(n), k)
    low = w.op("LessOrEqual", w.op("Add", k, k), w.size(n), dtype=t.bool_)
    place = w.op("Where", low, k, back, dtype=t.int64)
    real, imaginary = (w.op("Gather", x, place, axis=rank - 1) for x in given(w, node))
    one = w.scalar(1, imaginary.dtype)
    sign = w.op("Where", low, one, w.scalar(-1, imaginary.dtype), dtype=imaginary.dtype)
    made = transformed(w, [real, w.op("Mul", imaginary, sign)], rank, inverse=1)
    return times(w, made[0], n)
