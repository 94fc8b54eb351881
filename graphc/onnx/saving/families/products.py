"""Products of matrices, and what they are to images: convolutions and pools."""

from __future__ import annotations

from typing import Any

from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Contraction
from graphc.onnx.saving.families.shapes import padded
from graphc.onnx.saving.formulas import select
from graphc.onnx.saving.operators import given, lowered, saves
from graphc.onnx.saving.writing import Value, Writer, working

Counts = tuple[int, ...]


@lowered(Contraction)
def product(w: Writer, node: Node) -> Value:
    return w.compute("MatMul", *given(w, node))


@saves("matmul_integer")
def integer_product(w: Writer, node: Node) -> Value:
    a, b = given(w, node)
    if node.inputs[0].type.shape[-1] == 0:  # onnxruntime's sum over nothing is what was in memory
        return w.compute("MatMul", w.cast(a, node.type.dtype), w.cast(b, node.type.dtype))
    return w.op("MatMulInteger", a, b, dtype=node.type.dtype)


def around(
    w: Writer, x: Value, whole: Shape, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape, lead: int,
    fill: Any,
) -> tuple[Value, list[int]]:  # fmt: skip
    """Images, and what is to be added before and after each axis so that there are as many places as wanted.

    Where that is no number, or less than nothing, it is added to the images or taken off.
    """
    after: list[Size] = []
    for n, k, s, d, p, o in zip(whole, kernel, stride, dilation, before, size, strict=True):
        reach = dims.add(dims.mul(dims.sub(o, 1), s), (k - 1) * d + 1)
        after.append(dims.sub(dims.sub(reach, p), n))
    if all(isinstance(p, int) and p >= 0 for p in (*before, *after)):
        return x, [int(p) for p in (*before, *after)]
    zeros = (0,) * lead
    grown = (dims.maximum(p, 0) for p in before), (dims.maximum(p, 0) for p in after)
    x = padded(w, x, (*zeros, *grown[0]), (*zeros, *grown[1]), fill)
    axes = w.ints(range(lead, lead + len(kernel)))
    begins = tuple(dims.maximum(dims.mul(p, -1), 0) for p in before)
    shapes = tuple(dims.add(dims.add(n, p), q) for n, p, q in zip(whole, before, after, strict=True))
    ends = tuple(dims.add(b, n) for b, n in zip(begins, shapes, strict=True))
    return w.move("Slice", x, w.shape(begins), w.shape(ends), axes), [0] * (2 * len(kernel))


def _front(nd: int) -> list[int]:
    """[n, ..., channels] to [n, channels, ...]."""
    return [0, nd + 1, *range(1, nd + 1)]


def _back(nd: int) -> list[int]:
    return [0, *range(2, nd + 2), 1]


@saves("convolve")
def convolve(
    w: Writer, node: Node, stride: Counts, dilation: Counts, before: Shape, size: Shape, groups: Size, first: bool
) -> Value | None:  # fmt: skip
    kind, nd = node.type, len(stride)
    taps = tuple(int(n) for n in (node.inputs[1].type.shape[2:] if first else node.inputs[1].type.shape[:-2]))
    fixed = all(isinstance(n, int) for n in node.inputs[1].type.shape) and isinstance(groups, int)
    some = all(n != 0 for n in (*kind.shape, *node.inputs[0].type.shape, *taps))
    if working("Conv", kind.dtype) is None or not kind.dtype.is_float or not fixed or not some:
        return None
    x, k = given(w, node)
    whole = node.inputs[0].type.shape[2:] if first else node.inputs[0].type.shape[1:-1]
    if not first:
        x = w.move("Transpose", x, perm=_front(nd))
        k = w.move("Transpose", k, perm=[nd + 1, nd, *range(nd)])
    x, pads = around(w, x, whole, taps, stride, dilation, before, size, 2, 0)
    y = w.compute("Conv", x, k, strides=list(stride), dilations=list(dilation), pads=pads, group=groups, kernel_shape=list(taps))
    return y if first else w.move("Transpose", y, perm=_back(nd))


@saves("max_pool")
def max_pool(
    w: Writer, node: Node, axes: Counts, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape
) -> Value | None:  # fmt: skip
    """MaxPool where windows never lie beyond the image alone; NaN, which the operator may pass over, is put back."""
    kind, source = node.type, node.inputs[0].type
    nd, rank = len(kernel), kind.rank
    rest = [a for a in range(rank) if a not in axes]
    some = all(n != 0 for n in (*kind.shape, *source.shape))
    if nd > 3 or len(rest) != 2 or not kind.dtype.is_float or not some or not all(isinstance(p, int) for p in before):
        return None
    (x,) = given(w, node)
    order = [*rest, *axes]
    x = x if order == list(range(rank)) else w.move("Transpose", x, perm=order)
    x, pads = around(w, x, tuple(source.shape[a] for a in axes), kernel, stride, dilation, before, size, 2, float("-inf"))
    if any(p >= (n - 1) * d + 1 for p, n, d in zip(pads, kernel * 2, dilation * 2, strict=True)):
        return None
    options: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(stride), "dilations": list(dilation), "pads": pads}
    y = pooled(w, x, kind.dtype, **options)
    return y if order == list(range(rank)) else w.move("Transpose", y, perm=[order.index(a) for a in range(rank)])


def pooled(w: Writer, x: Value, dtype: Any, **options: Any) -> Value:
    """The largest of every window; NaN if there is one."""
    work = working("MaxPool", dtype.arithmetic) or t.float32
    wide = w.cast(x, work)
    y = w.op("MaxPool", wide, **options)
    wrong = w.op("MaxPool", w.cast(w.op("IsNaN", wide, dtype=t.bool_), work), **options)
    found = w.op("Greater", wrong, w.scalar(0, work), dtype=t.bool_)
    return w.cast(select(w, work, found, w.scalar(float("nan"), work), y), dtype)
