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
    """The inverse by the conjugates: onnxruntime's own, of a number of elements that is no power of two, is good for 8 digits."""
    real, imaginary = given(w, node)
    rank = node.inputs[0].type.rank
    if not inverse:
        return transformed(w, [real, imaginary], rank)
    first, second = transformed(w, [real, w.op("Neg", imaginary)], rank)
    return first, w.op("Neg", second)


@saves("irfft")
def irfft(w: Writer, node: Node, n: Size) -> Value:
    """The inverse of all frequencies: the other half are the conjugates of the first, backwards."""
    rank = node.inputs[0].type.rank
    k = w.range(n)
    back = w.op("Sub", w.size(n), k)
    low = w.op("LessOrEqual", w.op("Add", k, k), w.size(n), dtype=t.bool_)
    place = w.op("Where", low, k, back, dtype=t.int64)
    real, imaginary = (w.op("Gather", x, place, axis=rank - 1) for x in given(w, node))
    sign = w.op("Where", low, w.scalar(-1, real.dtype), w.scalar(1, real.dtype), dtype=real.dtype)
    return transformed(w, [real, w.op("Mul", imaginary, sign)], rank)[0]
