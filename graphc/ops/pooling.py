"""The maximum of every window of an image, whose gradient goes to the first of equal maxima."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Requirement, Sample
from graphc.ir.types import TensorType
from graphc.ops.convolution import TAPS, Counts, slide, windows
from graphc.ops.declare import Op, Spread, composite, with_leading_axis
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]


def lowest(dtype: np.dtype[Any]) -> float:
    """What is below every number of a type, or the lowest one."""
    return int(np.iinfo(dtype).min) if dtype.kind in "iu" else -math.inf


def _max_pool_type(
    x: TensorType, axes: Counts, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape
) -> TensorType:  # fmt: skip
    if x.dtype.is_bool:
        raise DTypeError(f"max_pool needs numbers, got {x}", hint="astype to a number type first")
    if any(n < 1 for n in kernel):
        raise ShapeError(f"max_pool: a window of {list(kernel)} has no maximum")
    shape = list(x.shape)
    for axis, n in zip(axes, size, strict=True):
        shape[axis] = n
    return TensorType(x.dtype, tuple(shape))


def _max_pool_requires(x: TensorType, size: Shape, kernel: Counts, **options: Any) -> list[Requirement]:
    message = f"max_pool: windows of {list(kernel)} are larger than {x}"
    return [Requirement(n, ">=", 0, message) for n in size if not dims.is_nonnegative(n)]


def _max_pool_reference(
    x: Array, axes: Counts, kernel: Counts, stride: Counts, dilation: Counts, before: Counts, size: Counts
) -> Array:  # fmt: skip
    wide = np.broadcast_to(x.reshape(*x.shape, *(1,) * len(kernel)), (*x.shape, *kernel))
    taps = tuple(range(x.ndim, wide.ndim))
    start, ones = tuple(-n for n in before), (1,) * len(axes)
    fill = lowest(x.dtype)
    seen = slide.reference(wide, axes=axes, taps=taps, by=stride, along=dilation, start=start, over=ones, size=size, fill=fill)
    return np.asarray(np.max(seen, axis=taps))


def _max_pool(
    x: Tensor, axes: Counts, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape
) -> Tensor:  # fmt: skip
    found = _by_taps(x, axes, kernel, stride, dilation, before, size)
    if found is not None:
        return found
    seen = windows(x, axes, kernel, stride, dilation, before, size, lowest(x.dtype.numpy))
    return ops.max(seen, axis=tuple(range(x.ndim, seen.ndim)))


def _by_taps(
    x: Tensor, axes: Counts, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape
) -> Tensor | None:  # fmt: skip
    """The larger of one tap after the other, each for whole images: straight code, where no element asks whether it is inside."""
    whole = tuple(x.shape[a] for a in axes)
    known = all(isinstance(n, int) for n in (*whole, *before, *size))
    if not known or not 1 < math.prod(kernel) <= TAPS or axes[-1] != x.ndim - 1 or 0 in size:
        return None
    around = [(0, 0)] * x.ndim
    first = [0] * x.ndim
    for axis, n, k, s, d, p, o in zip(axes, whole, kernel, stride, dilation, before, size, strict=True):
        low, high = max(int(p), 0), max((int(o) - 1) * s + (k - 1) * d + 1 - int(p) - int(n), 0)
        around[axis], first[axis] = (low, high), low - int(p)
    if any(a or b for a, b in around):
        x = ops.pad(x, around, constant_values=lowest(x.dtype.numpy))
    shape, step = list(x.shape), [1] * x.ndim
    for axis, s, o in zip(axes, stride, size, strict=True):
        shape[axis], step[axis] = o, s
    found = None
    for tap in np.ndindex(*kernel):
        start = list(first)
        for axis, k, d in zip(axes, tap, dilation, strict=True):
            start[axis] += k * d
        part = ops.shape.slice_(x, start=tuple(start), step=tuple(step), size=tuple(shape))
        found = part if found is None else ops.maximum(found, part)
    return found


def _max_pool_vjp(
    g: Tensor, y: Tensor, x: Tensor, axes: Counts, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape
) -> tuple[Node, ...]:  # fmt: skip
    """Every place of x collects from the windows that see it, and whose first maximum it is.

    The taps stand right behind the axes of the image, so that channels that are last stay so, and sums go over rows of them.
    """
    count, end = math.prod(kernel), max(axes) + 1
    rest, taps = x.ndim - end, tuple(range(x.ndim, x.ndim + len(kernel)))
    order = (*range(end), *taps, *range(end, x.ndim))
    over = tuple(range(end, end + len(kernel)))
    number = ops.reshape(ops.arange(count, dtype=t.int32), (*kernel, *(1,) * rest))
    seen = windows(ops.stop_gradient(x), axes, kernel, stride, dilation, before, size, lowest(x.dtype.numpy))
    seen = ops.permute_dims(seen, order)
    high = ops.reshape(ops.stop_gradient(y), (*y.shape[:end], *(1,) * len(kernel), *y.shape[end:]))
    hit = (seen == high) | ((seen != seen) & (high != high))
    first = ops.min(ops.where(hit, number, ops.full((), count, t.int32)), axis=over)

    def back(value: Tensor) -> Tensor:
        wide = ops.broadcast_to(ops.reshape(value, (*y.shape, *(1,) * len(kernel))), (*y.shape, *kernel))
        along, whole = tuple(-d for d in dilation), tuple(x.shape[a] for a in axes)
        ones = (1,) * len(axes)
        found = slide(wide, axes=axes, taps=taps, by=ones, along=along, start=before, over=stride, size=whole, fill=0)
        return ops.permute_dims(found, order)

    return (ops.sum(ops.where(back(first) == number, back(g), ops.zeros((), g.dtype)), axis=over),)


def _max_pool_every(size_: Size, x: Spread, axes: Counts, **options: Any) -> list[Spread]:
    return with_leading_axis(max_pool, size_, [x], {"axes": tuple(a + 1 for a in axes), **options})


max_pool: Op = composite(
    "max_pool",
    infer=_max_pool_type,
    reference=_max_pool_reference,
    expand=_max_pool,
    vjp=_max_pool_vjp,
    samples=(
        Sample(((2, 5, 3),), {"axes": (1,), "kernel": (2,), "stride": (2,), "dilation": (1,), "before": (0,), "size": (2,)}),
        Sample(
            ((2, 5, 4, 3),),
            {"axes": (1, 2), "kernel": (3, 2), "stride": (1, 2), "dilation": (1, 2), "before": (1, 1), "size": (5, 2)},
        ),
    ),
    requires=_max_pool_requires,
    every=_max_pool_every,
)
