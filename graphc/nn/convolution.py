"""Convolution and its transpose, over one to three axes."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn import images
from graphc.nn.images import Padding


def conv(
    x: TensorLike, kernels: TensorLike, bias: TensorLike | None = None, *, stride: int | tuple[int, ...] = 1,
    padding: Padding = "valid", dilation: int | tuple[int, ...] = 1, groups: int = 1, layout: str = "NCHW",
) -> Tensor:  # fmt: skip
    """Convolution (in mathematics: cross-correlation) of images of one to three axes with kernels.

    x: numbers [n, in, ...] and kernels [out, in / groups, ...] in the layout "NCHW" (as in torch); [n, ..., in] and
    [..., in / groups, out] in "NHWC" (as in jax's HWIO). The letters stand for any number of axes. bias: [out].
    stride, dilation: an integer, or one for each axis. padding: zeros around the image: "valid" for none; "same" for as many
    places as the image has, over the stride, rounded up; an integer, or for each axis an integer or a pair (before, after).
    groups: channels are split into as many parts, each with kernels of its own; with groups = in the convolution is depthwise.

    The kernels' own sizes must be numbers; all others may be symbolic. "NHWC" is the faster layout.

    >>> import graphc as gx
    >>> x, w = gx.constant([[[1.0, 2.0, 3.0, 4.0]]]), gx.constant([[[1.0, -1.0]]])
    >>> gx.nn.conv(x, w, padding="same").eval()
    array([[[-1., -1., -1.,  4.]]])
    """
    x, w, first = _operands("conv", x, kernels, layout)
    axes = x.ndim - 2
    sizes, kernel = _sizes(x, w, first)
    by = images.counts("conv", "stride", stride, axes)
    apart = images.counts("conv", "dilation", dilation, axes)
    groups = _check_groups("conv", groups)
    _check_layout("conv", x, w, x.shape[1 if first else -1], w.shape[1 if first else -2], groups, first)
    padded = images.pairs("conv", padding, sizes, kernel, by, apart)
    size = images.places("conv", x, sizes, padded, kernel, by, apart)
    before = tuple(a for a, _ in padded)
    y = gx.ops.convolve(x, w, stride=by, dilation=apart, before=before, size=size, groups=groups, first=first)
    return _biased("conv", y, bias, first)


def conv_transpose(
    x: TensorLike, kernels: TensorLike, bias: TensorLike | None = None, *, stride: int | tuple[int, ...] = 1,
    padding: Padding = 0, output_padding: int | tuple[int, ...] = 0, dilation: int | tuple[int, ...] = 1, groups: int = 1,
    layout: str = "NCHW",
) -> Tensor:  # fmt: skip
    """The adjoint of `conv` in its images: every element of x adds a multiple of a kernel to the result.

    x: numbers [n, in, ...] and kernels [in, out / groups, ...] in the layout "NCHW" (as in torch); [n, ..., in] and
    [..., out / groups, in] in "NHWC". bias: [out]. The result has (size - 1) * stride - before - after + dilation * (kernel - 1)
    + output_padding + 1 elements along an axis. padding: an integer, or for each axis an integer or a pair.

    >>> import graphc as gx
    >>> gx.nn.conv_transpose(gx.constant([[[1.0, 2.0]]]), gx.constant([[[1.0, 10.0]]]), stride=2).eval()
    array([[[ 1., 10.,  2., 20.]]])
    """
    x, w, first = _operands("conv_transpose", x, kernels, layout)
    axes = x.ndim - 2
    sizes, kernel = _sizes(x, w, first)
    by = images.counts("conv_transpose", "stride", stride, axes)
    apart = images.counts("conv_transpose", "dilation", dilation, axes)
    more = images.counts("conv_transpose", "output_padding", output_padding, axes, least=0)
    groups = _check_groups("conv_transpose", groups)
    if isinstance(padding, str):
        raise gx.errors.InputError(
            f"conv_transpose: padding is {padding!r}", where=gx.errors.caller(), hint="give integers: the sizes follow from them"
        )
    channels, given = x.shape[1 if first else -1], w.shape[0 if first else -1]
    _check_layout("conv_transpose", x, w, channels, given, 1, first)
    if channels != given or not isinstance(given, int) or given % groups:
        raise gx.errors.ShapeError(
            f"conv_transpose in {groups} groups: kernels {w.type} do not fit images {x.type}", where=gx.errors.caller(),
            hint="kernels are [in, out / groups, ...], or [..., out / groups, in] in the layout NHWC",
        )  # fmt: skip
    padded = images.pairs("conv_transpose", padding, sizes, kernel, by, apart)
    size: list[Any] = []
    for n, (a, b), k, s, d, m in zip(sizes, padded, kernel, by, apart, more, strict=True):
        size.append((n - 1) * s - a - b + d * (k - 1) + m + 1)
        if isinstance(size[-1], int) and size[-1] < 0:
            raise gx.errors.ShapeError(
                f"conv_transpose: the padding {padding!r} leaves nothing of the result", where=gx.errors.caller(),
                hint=f"along one axis {size[-1]} elements would be left",
            )  # fmt: skip
    before = tuple(a for a, _ in padded)
    y = gx.ops.convolve_transposed(x, w, by, apart, before, tuple(size), groups, first)
    return _biased("conv_transpose", y, bias, first)


def _operands(name: str, x: TensorLike, kernels: TensorLike, layout: str) -> tuple[Tensor, Tensor, bool]:
    x, w = gx.asarray(x), gx.asarray(kernels)
    first = images.is_first(name, x, layout)
    if w.ndim != x.ndim:
        raise gx.errors.ShapeError(
            f"{name} needs images and kernels of equal rank, got {x.type} and {w.type}", where=gx.errors.caller(),
            hint="kernels have two axes for channels, and one for each axis of an image",
        )  # fmt: skip
    dtype = gx.ir.types.promote(x.dtype, w.dtype)
    if dtype.is_bool:
        raise gx.errors.DTypeError(f"{name} needs numbers, got {x.type} and {w.type}", where=gx.errors.caller(), hint="astype")
    return gx.astype(x, dtype), gx.astype(w, dtype), first


def _sizes(x: Tensor, w: Tensor, first: bool) -> tuple[tuple[images.Size, ...], tuple[int, ...]]:
    sizes = tuple(x.shape[a] for a in images.spatial(x, first))
    kernel = w.shape[2:] if first else w.shape[:-2]
    fixed = tuple(n for n in kernel if isinstance(n, int))
    if len(fixed) != len(kernel):
        raise gx.errors.ShapeError(
            f"the sizes of kernels must be numbers, got {w.type}", where=gx.errors.caller(), hint="channels may be symbolic"
        )
    return sizes, fixed


def _check_layout(name: str, x: Tensor, w: Tensor, channels: Any, taken: Any, groups: int, first: bool) -> None:
    """An error for images whose channels are where the other layout has them."""
    other = x.shape[-1 if first else 1]
    whole = {n * groups for n in (taken, w.shape[-2 if first else 1], w.shape[-1 if first else 0]) if isinstance(n, int)}
    if not isinstance(channels, int) or not isinstance(taken, int) or channels == taken * groups or other not in whole:
        return
    layout, meant = ("NCHW", "NHWC") if first else ("NHWC", "NCHW")
    two = ("in / groups", "out") if name == "conv" else ("out / groups", "in")
    order = f"[n, ..., channels] and kernels [..., {two[0]}, {two[1]}]"
    if not first:
        order = f"[n, channels, ...] and kernels [{two[1]}, {two[0]}, ...]"
    raise gx.errors.ShapeError(
        f"{name}: in the layout {layout} images {x.type} have {channels} channels; kernels {w.type} take {taken * groups}",
        where=gx.errors.caller(), hint=f'if the images have {other} channels, say layout="{meant}": it has images {order}',
    )  # fmt: skip


def _check_groups(name: str, groups: int) -> int:
    groups = gx.ops.as_option(groups)
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise gx.errors.InputError(f"{name}: groups is {groups!r}", where=gx.errors.caller(), hint="give an integer from 1 on")
    return groups


def _biased(name: str, y: Tensor, bias: TensorLike | None, first: bool) -> Tensor:
    if bias is None:
        return y
    b = gx.asarray(bias)
    if b.shape != (y.shape[1 if first else -1],):
        raise gx.errors.ShapeError(
            f"{name}: a bias {b.type} does not fit the result {y.type}", where=gx.errors.caller(),
            hint="it needs one number for each channel that comes out",
        )  # fmt: skip
    return y + images.per_channel(b, y, first)
