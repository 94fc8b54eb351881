"""Pooling: the maximum or the mean of windows of an image."""

from __future__ import annotations

import math
from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn import images
from graphc.nn.floats import to_float
from graphc.nn.images import Padding, Size


def max_pool(
    x: TensorLike, kernel: int | tuple[int, ...], *, stride: int | tuple[int, ...] | None = None, padding: Padding = 0,
    dilation: int | tuple[int, ...] = 1, layout: str = "NCHW",
) -> Tensor:  # fmt: skip
    """The largest element of every window of images of one to three axes; NaN if there is one.

    x: numbers [n, channels, ...], or [n, ..., channels] in the layout "NHWC". kernel: the window's size; stride: the distance of
    windows, the window's size by default. What is padded counts as lower than any number. The gradient of a window goes to its
    first maximum, in the order of the image's elements (as in torch).

    >>> import graphc as gx
    >>> gx.nn.max_pool(gx.constant([[[1.0, 3.0, 2.0, 5.0]]]), 2).eval()
    array([[[3., 5.]]])
    """
    x, first, window, by = _window("max_pool", x, kernel, stride, layout)
    sizes = tuple(x.shape[a] for a in images.spatial(x, first))
    apart = images.counts("max_pool", "dilation", dilation, len(window))
    padded = images.pairs("max_pool", padding, sizes, window, by, apart)
    size = images.places("max_pool", x, sizes, padded, window, by, apart)
    before = tuple(a for a, _ in padded)
    return gx.ops.max_pool(
        x, axes=images.spatial(x, first), kernel=window, stride=by, dilation=apart, before=before, size=size
    )  # fmt: skip


def avg_pool(
    x: TensorLike, kernel: int | tuple[int, ...], *, stride: int | tuple[int, ...] | None = None, padding: Padding = 0,
    count_padding: bool = True, layout: str = "NCHW",
) -> Tensor:  # fmt: skip
    """The mean of every window of images of one to three axes.

    x: floats [n, channels, ...], or [n, ..., channels] in the layout "NHWC"; integers count as float64. kernel: the window's
    size; stride: the distance of windows, the window's size by default. count_padding: whether the zeros that are padded count as
    elements (as torch's count_include_pad).

    >>> import graphc as gx
    >>> gx.nn.avg_pool(gx.constant([[[1.0, 3.0, 2.0, 5.0]]]), 2).eval()
    array([[[2. , 3.5]]])
    """
    gx.ops.check_flag("avg_pool", "count_padding", count_padding)
    x, first, window, by = _window("avg_pool", to_float(x), kernel, stride, layout)
    axes = images.spatial(x, first)
    sizes = tuple(x.shape[a] for a in axes)
    ones = (1,) * len(window)
    padded = images.pairs("avg_pool", padding, sizes, window, by, ones)
    size = images.places("avg_pool", x, sizes, padded, window, by, ones)
    before = tuple(a for a, _ in padded)
    total = _window_sum(x, axes, window, by, before, size)
    if count_padding:
        return total * (1 / math.prod(window))
    inside = gx.ones(tuple(n if a in axes else 1 for a, n in enumerate(x.shape)), dtype=x.dtype)
    return total / _window_sum(inside, axes, window, by, before, size)


def _window_sum(
    x: Tensor, axes: tuple[int, ...], window: tuple[int, ...], by: tuple[int, ...], before: tuple[Any, ...], size: tuple[Any, ...]
) -> Tensor:  # fmt: skip
    seen = gx.ops.windows(x, axes, window, by, (1,) * len(axes), before, size)
    return gx.sum(seen, axis=tuple(range(x.ndim, seen.ndim)))


def _window(
    name: str, x: TensorLike, kernel: int | tuple[int, ...], stride: int | tuple[int, ...] | None, layout: str
) -> tuple[Tensor, bool, tuple[int, ...], tuple[int, ...]]:
    x = gx.asarray(x)
    first = images.is_first(name, x, layout)
    window = images.counts(name, "kernel", kernel, x.ndim - 2)
    return x, first, window, window if stride is None else images.counts(name, "stride", stride, x.ndim - 2)


def global_max_pool(x: TensorLike, *, layout: str = "NCHW") -> Tensor:
    """The largest element of every channel of an image: [n, channels].

    x: numbers [n, channels, ...], or [n, ..., channels] in the layout "NHWC". Equal maxima share the gradient.

    >>> import graphc as gx
    >>> gx.nn.global_max_pool(gx.constant([[[1.0, 3.0]]])).eval()
    array([[3.]])
    """
    x = gx.asarray(x)
    return gx.max(x, axis=images.spatial(x, images.is_first("global_max_pool", x, layout)))


def global_avg_pool(x: TensorLike, *, layout: str = "NCHW") -> Tensor:
    """The mean of every channel of an image: [n, channels].

    x: floats [n, channels, ...], or [n, ..., channels] in the layout "NHWC"; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.global_avg_pool(gx.constant([[[1.0, 3.0]]])).eval()
    array([[2.]])
    """
    x = to_float(x)
    return gx.mean(x, axis=images.spatial(x, images.is_first("global_avg_pool", x, layout)))


def adaptive_max_pool(x: TensorLike, size: int | tuple[int, ...], *, layout: str = "NCHW") -> Tensor:
    """The largest element of as many regions of an image as `size` says, of nearly equal size.

    Region i of an axis of n elements goes from floor(i*n/size) to ceil((i + 1)*n/size), as in torch. n may be symbolic. x:
    numbers [n, channels, ...], or [n, ..., channels] in the layout "NHWC". Equal maxima share the gradient where n is no
    multiple of the size; else it goes to the first.

    >>> import graphc as gx
    >>> gx.nn.adaptive_max_pool(gx.constant([[[1.0, 3.0, 2.0]]]), 2).eval()
    array([[[3., 3.]]])
    """
    x = gx.asarray(x)
    first, sizes, wanted = _adaptive("adaptive_max_pool", x, size, layout)
    known = [n for n in sizes if isinstance(n, int)]
    if len(known) == len(sizes) and all(n % m == 0 for n, m in zip(known, wanted, strict=True)):
        return max_pool(x, tuple(n // m for n, m in zip(known, wanted, strict=True)), layout=layout)
    for axis, n, m in zip(images.spatial(x, first), sizes, wanted, strict=True):
        if not isinstance(n, int):
            inside = gx.reshape(_regions(n, m)[0], (m, n, *(1,) * (x.ndim - 1 - axis)))
            low = -math.inf if x.dtype.is_float else gx.iinfo(x.dtype).min
            x = gx.max(gx.where(inside, gx.expand_dims(x, axis), gx.full((), low, dtype=x.dtype)), axis=axis + 1)
            continue
        regions = [range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        widest = max(map(len, regions))
        index = [[r[min(j, len(r) - 1)] for j in range(widest)] for r in regions]
        x = gx.max(gx.take(x, gx.constant(index), axis=axis), axis=axis + 1)
    return x


def adaptive_avg_pool(x: TensorLike, size: int | tuple[int, ...], *, layout: str = "NCHW") -> Tensor:
    """The mean of as many regions of an image as `size` says, of nearly equal size.

    Region i of an axis of n elements goes from floor(i*n/size) to ceil((i + 1)*n/size), as in torch. n may be symbolic. x:
    floats [n, channels, ...], or [n, ..., channels] in the layout "NHWC"; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.adaptive_avg_pool(gx.constant([[[1.0, 3.0, 2.0]]]), 2).eval()
    array([[[2. , 2.5]]])
    """
    x = to_float(x)
    first, sizes, wanted = _adaptive("adaptive_avg_pool", x, size, layout)
    known = [n for n in sizes if isinstance(n, int)]
    if len(known) == len(sizes) and all(n % m == 0 for n, m in zip(known, wanted, strict=True)):
        return avg_pool(x, tuple(n // m for n, m in zip(known, wanted, strict=True)), layout=layout)
    for axis, n, m in zip(images.spatial(x, first), sizes, wanted, strict=True):
        if not isinstance(n, int):
            inside, number = _regions(n, m)
            weights = gx.astype(inside / gx.expand_dims(number, 1), x.dtype)
            x = gx.moveaxis(gx.moveaxis(x, axis, -1) @ weights.T, -1, axis)
            continue
        regions = [range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        shares = [[1 / len(r) if i in r else 0.0 for i in range(n)] for r in regions]
        x = gx.moveaxis(gx.moveaxis(x, axis, -1) @ gx.constant(shares, dtype=x.dtype).T, -1, axis)
    return x


def _regions(n: Size, m: int) -> tuple[Tensor, Tensor]:
    """Which of n elements each of m regions has, booleans [m, n]; and how many, [m]."""
    whole, i, j = gx.full((), n, dtype="int64"), gx.arange(m, dtype="int64"), gx.arange(n, dtype="int64")
    start, stop = i * whole // m, -(-(i + 1) * whole // m)
    return (j >= gx.expand_dims(start, 1)) & (j < gx.expand_dims(stop, 1)), stop - start


def _adaptive(name: str, x: Tensor, size: int | tuple[int, ...], layout: str) -> tuple[bool, list[Size], tuple[int, ...]]:
    first = images.is_first(name, x, layout)
    sizes = [x.shape[a] for a in images.spatial(x, first)]
    wanted = images.counts(name, "size", size, len(sizes), most=images.PLACES)
    if 0 in [n for n in sizes if isinstance(n, int)]:
        raise gx.errors.ShapeError(
            f"{name} needs images that are not empty, got {x.type}", where=gx.errors.caller(),
            hint="every region has at least one element",
        )  # fmt: skip
    return first, sizes, wanted
