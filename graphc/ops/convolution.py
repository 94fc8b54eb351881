"""Convolution in its three directions, each a contraction that reads the image through an index map.

    forward    out[n, o, c']   = sum over k, c of  x[n, o*stride + k*dilation - before, c] * w[k, c, c']
    data       the same of the cotangent: one convolution of stride 1 for each remainder of the place by the stride
    weights    w[k, c, c']     = sum over n, o of  x[n, o*stride + k*dilation - before, c] * g[n, o, c']

o and k stand for one to three axes. `slide` is the index map; it moves elements only, so that a contraction packs the image
itself and no array of windows is ever stored. Channels are split into groups, each with kernels of its own.

`first` says where channels are: with it images are [n, channels, ...] and kernels [out, in, ...]; else images are
[n, ..., channels] and kernels [..., in, out].
"""

from __future__ import annotations

import itertools
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Requirement, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import TensorType
from graphc.ops.declare import Op, Spread, composite, pointwise
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
Counts = tuple[int, ...]

# --- slide -----------------------------------------------------------------------------------------------------------


def _slide_type(
    x: TensorType, axes: Counts, taps: Counts, by: Counts, along: Counts, start: Shape, over: Counts, size: Shape, fill: float
) -> TensorType:  # fmt: skip
    shape = list(x.shape)
    for axis, n in zip(axes, size, strict=True):
        shape[axis] = n
    return TensorType(x.dtype, tuple(shape))


def _slide_body(
    k: Scalars, index: tuple[Size, ...], axes: Counts, taps: Counts, by: Counts, along: Counts, start: Shape, over: Counts,
    size: Shape, fill: float,
) -> Any:  # fmt: skip
    inside = None
    source = list(index)
    for axis, tap, step, more, first, divisor in zip(axes, taps, by, along, start, over, strict=True):
        n = k.type(0).shape[axis]
        place = dims.add(dims.add(dims.mul(index[axis], step), dims.mul(index[tap], more)), first)
        tests = []
        reach = dims.mul(dims.sub(k.result.shape[tap], 1), more)
        lowest = dims.add(first, reach) if more < 0 else first
        highest = dims.add(dims.mul(dims.sub(k.result.shape[axis], 1), step), first if more < 0 else dims.add(first, reach))
        if not dims.is_nonnegative(lowest):
            tests.append(k.index(place) >= 0)
        if not dims.is_nonnegative(dims.sub(dims.sub(dims.mul(n, divisor), 1), highest)):
            tests.append(k.index(place) < k.index(dims.mul(n, divisor)))
        source[axis] = place
        if divisor > 1:  # the quotient of a negative place is never used: the guard is false there
            quotient = k.op("quot", k.index(place), k.const(divisor, t.int64))
            tests.append(quotient * divisor == k.index(place))
            source[axis] = k.as_index(quotient)
        for test in tests:
            inside = test if inside is None else inside & test
    if inside is None:
        return k.load(0, source)
    return k.select(inside, k.load(0, source, inside), k.const(fill, k.result.dtype))


def _slide_reference(
    x: Array, axes: Counts, taps: Counts, by: Counts, along: Counts, start: Counts, over: Counts, size: Counts, fill: float
) -> Array:  # fmt: skip
    shape = list(x.shape)
    for axis, n in zip(axes, size, strict=True):
        shape[axis] = n
    index = list(np.indices(shape, sparse=True))
    inside: Any = np.True_
    for axis, tap, step, more, first, divisor in zip(axes, taps, by, along, start, over, strict=True):
        place = index[axis] * step + index[tap] * more + first
        inside = inside & (place >= 0) & (place < x.shape[axis] * divisor) & (place % divisor == 0)
        index[axis] = np.clip(place // divisor, 0, max(x.shape[axis] - 1, 0))
    if x.size == 0:
        return np.full(shape, fill, x.dtype)
    return np.where(inside, x[tuple(index)], np.asarray(fill, x.dtype))


def _slide_vjp(
    g: Tensor, y: Tensor, x: Tensor, axes: Counts, taps: Counts, by: Counts, along: Counts, start: Shape, over: Counts,
    size: Shape, fill: float,
) -> tuple[Node, ...]:  # fmt: skip
    back = tuple(-n for n in along)
    first = tuple(dims.mul(n, -1) for n in start)
    whole = tuple(x.shape[axis] for axis in axes)
    return (slide(g, axes=axes, taps=taps, by=over, along=back, start=first, over=by, size=whole, fill=0),)


def _sliding(shape: Shape, **attrs: Any) -> Sample:
    return Sample((shape,), attrs)


slide: Op = pointwise(
    "slide",
    infer=_slide_type,
    reference=_slide_reference,
    body=_slide_body,
    vjp=_slide_vjp,
    samples=(
        _sliding((5, 2, 3), axes=(0,), taps=(2,), by=(2,), along=(1,), start=(-1,), over=(1,), size=(3,), fill=0),
        _sliding((3, 2, 3), axes=(0,), taps=(2,), by=(1,), along=(-1,), start=(1,), over=(2,), size=(5,), fill=7),
        _sliding((4, 3, 2, 2), axes=(0, 1), taps=(2, 3), by=(1, 2), along=(2, 1), start=(0, 0), over=(1, 1), size=(2, 1), fill=0),
    ),
    moves=True,
)  # fmt: skip


# --- interleave ------------------------------------------------------------------------------------------------------


def _interleave_type(*parts: TensorType, axes: Counts, by: Counts, size: Shape) -> TensorType:
    shape = list(parts[0].shape)
    for axis, n in zip(axes, size, strict=True):
        shape[axis] = n
    return TensorType(parts[0].dtype, tuple(shape))


def _interleave_body(k: Scalars, index: tuple[Size, ...], axes: Counts, by: Counts, size: Shape) -> Any:
    source = list(index)
    for axis, step in zip(axes, by, strict=True):
        source[axis] = dims.floordiv(index[axis], step, k.ranges)
    found = None
    for operand, remainder in enumerate(itertools.product(*(range(n) for n in by))):
        here = None
        for axis, step, r in zip(axes, by, remainder, strict=True):
            if step > 1:
                test = k.index(dims.mod(index[axis], step, k.ranges)) == r
                here = test if here is None else here & test
        value = k.load(operand, source, here)
        found = value if found is None or here is None else k.select(here, value, found)
    return found


def _interleave_reference(*parts: Array, axes: Counts, by: Counts, size: Counts) -> Array:
    shape = list(parts[0].shape)
    for axis, n in zip(axes, size, strict=True):
        shape[axis] = n
    whole = np.empty(shape, parts[0].dtype)
    for part, remainder in zip(parts, itertools.product(*(range(n) for n in by)), strict=True):
        place: list[Any] = [slice(None)] * len(shape)
        for axis, step, r in zip(axes, by, remainder, strict=True):
            place[axis] = slice(r, None, step)
        there = whole[tuple(place)]
        there[...] = part[tuple(slice(n) for n in there.shape)]
    return whole


def _interleave_vjp(g: Tensor, y: Tensor, *parts: Tensor, axes: Counts, by: Counts, size: Shape) -> tuple[Node, ...]:
    back = []
    for part, remainder in zip(parts, itertools.product(*(range(n) for n in by)), strict=True):
        tap = ops.reshape(g, (*g.shape, 1))
        count = tuple(part.shape[axis] for axis in axes)
        taps, along = (g.ndim,) * len(axes), (0,) * len(axes)
        ones = (1,) * len(axes)
        picked = slide(tap, axes=axes, taps=taps, by=by, along=along, start=remainder, over=ones, size=count, fill=0)
        back.append(ops.reshape(picked, part.shape))
    return tuple(back)


interleave: Op = pointwise(
    "interleave",
    infer=_interleave_type,
    reference=_interleave_reference,
    body=_interleave_body,
    vjp=_interleave_vjp,
    samples=(
        Sample(((2, 3), (2, 3)), {"axes": (1,), "by": (2,), "size": (5,)}),
        Sample(((1, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2)), {"axes": (0, 1), "by": (3, 2), "size": (2, 4)}),
    ),
)


def windows(
    x: Tensor, axes: Counts, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape, fill: float = 0
) -> Tensor:  # fmt: skip
    """What a kernel sees at every place: x with `axes` become places, and new last axes for the kernel's own.

    out[..., o, ..., k] = x[..., o*stride + k*dilation - before, ...], and `fill` beyond x's edges
    """
    rank = x.ndim
    wide = ops.broadcast_to(ops.reshape(x, (*x.shape, *(1,) * len(kernel))), (*x.shape, *kernel))
    taps = tuple(range(rank, rank + len(kernel)))
    start = tuple(dims.mul(n, -1) for n in before)
    same = all(d == 0 for d in start) and all(k == s == 1 for k, s in zip(kernel, stride, strict=True))
    if same and tuple(x.shape[a] for a in axes) == size:
        return wide
    return slide(wide, axes=axes, taps=taps, by=stride, along=dilation, start=start, over=(1,) * len(axes), size=size, fill=fill)


def _apart(x: Tensor, groups: Size, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape) -> Tensor:
    """What kernels see of images whose channels are last, group by group: [groups, n, *size, *kernel, channels of a group].

    Channels are split before the images are read, so that no address divides by their number.
    """
    nd, channels = len(kernel), x.shape[-1]
    x = ops.reshape(x, (*x.shape[:-1], groups, dims.floordiv(channels, groups)))
    seen = windows(x, tuple(range(1, 1 + nd)), kernel, stride, dilation, before, size)
    return ops.permute_dims(seen, (1 + nd, *range(1 + nd), *range(3 + nd, 3 + 2 * nd), 2 + nd))


# --- the layout of images and kernels ----------------------------------------------------------------------------------


def _spatial(rank: int, first: bool) -> Counts:
    return tuple(range(2, rank)) if first else tuple(range(1, rank - 1))


def _kernel(w: Shape, first: bool) -> tuple[Counts, Size, Size]:
    """The sizes of kernels' axes, the channels of one group that go in, all that come out."""
    taps, inner, outer = (w[2:], w[1], w[0]) if first else (w[:-2], w[-2], w[-1])
    return tuple(int(n) for n in taps), inner, outer


def _images(n: Size, size: Shape, channels: Size, first: bool) -> Shape:
    return (n, channels, *size) if first else (n, *size, channels)


def _kernels(size: Shape, inner: Size, outer: Size, first: bool) -> Shape:
    return (outer, inner, *size) if first else (*size, inner, outer)


def _check(name: str, x: TensorType, w: TensorType, groups: Size, first: bool) -> None:
    channels = x.shape[1 if first else -1]
    if x.rank < 3 or w.rank != x.rank or x.dtype != w.dtype:
        raise ShapeError(f"{name} needs images and kernels of equal rank, at least 3, and of one type, got {x} and {w}")
    if x.dtype.is_bool:
        raise DTypeError(f"{name} needs numbers, got {x} and {w}", hint="astype to a number type first")
    if not all(isinstance(n, int) for n in (w.shape[2:] if first else w.shape[:-2])):
        raise ShapeError(f"{name} needs kernels of fixed size, got {w}")
    _, inner, outer = _kernel(w.shape, first)
    if dims.mul(inner, groups) != channels or dims.mul(dims.floordiv(outer, groups), groups) != outer:
        raise ShapeError(
            f"{name} in {groups} groups: kernels {w} do not fit images {x}",
            hint=f"kernels take {dims.floordiv(channels, groups)} channels each, and give a multiple of {groups}",
        )


def _taps(kernel: Counts) -> Any:
    return itertools.product(*(range(n) for n in kernel))


def _seen(x: Array, tap: Counts, stride: Counts, dilation: Counts, before: Counts, size: Counts) -> Array:
    """What one tap of a kernel sees of images whose channels are last."""
    for axis, (k, s, d, p, n) in enumerate(zip(tap, stride, dilation, before, size, strict=True), 1):
        place = np.arange(n) * s + k * d - p
        inside = (place >= 0) & (place < x.shape[axis])
        if not x.shape[axis]:
            return np.zeros((x.shape[0], *size, x.shape[-1]), x.dtype)
        found = np.take(x, np.clip(place, 0, x.shape[axis] - 1), axis)
        x = np.where(inside.reshape(-1, *(1,) * (x.ndim - axis - 1)), found, np.zeros((), x.dtype))
    return x


def _sizes(x: TensorType, w: TensorType, size: Shape, **options: Any) -> list[Requirement]:
    message = f"convolve: kernels {w} are larger than images {x}"
    return [Requirement(n, ">=", 0, message) for n in size if not dims.is_nonnegative(n)]


# --- a leading axis: among the images, the channels or the groups --------------------------------------------------------


def _within(x: Tensor, axis: int, groups: Size) -> Tensor:
    """The leading axis of [size, ...] put into another, which is [groups, rest]: there it is [groups, size, rest]."""
    axis = axis % (x.ndim - 1)
    size, *shape = x.shape
    rest = dims.floordiv(shape[axis], groups)
    apart = ops.reshape(x, (size, *shape[:axis], groups, rest, *shape[axis + 1 :]))
    shape[axis] = dims.mul(shape[axis], size)
    return ops.reshape(ops.moveaxis(apart, 0, axis + 1), tuple(shape))


def _out_of(y: Tensor, axis: int, groups: Size, size: Size) -> Tensor:
    """The opposite: what an axis [groups, size, rest] holds, with the size as the leading axis."""
    axis = axis % y.ndim
    shape = list(y.shape)
    rest = dims.floordiv(shape[axis], dims.mul(groups, size)) if size != 0 else 0
    apart = ops.reshape(y, (*shape[:axis], groups, size, rest, *shape[axis + 1 :]))
    shape[axis] = dims.mul(groups, rest)
    return ops.reshape(ops.moveaxis(apart, axis + 1, 0), (size, *shape))


def _convolve_every(every: Size, x: Spread, w: Spread, groups: Size, first: bool, **options: Any) -> list[Spread]:
    """More images for the same kernels; more channels of the same images; or a group for every element."""
    images, kernels = (1, 0) if first else (-1, -1)
    (a, many), (b, more) = x, w
    if many and not more:
        n = a.shape[1]
        y = convolve(ops.reshape(a, (dims.mul(every, n), *a.shape[2:])), b, groups=groups, first=first, **options)
        return [(ops.reshape(y, (every, n, *y.shape[1:])), True)]
    if more and not many:
        y = convolve(a, _within(b, kernels, groups), groups=groups, first=first, **options)
        return [(_out_of(y, images, groups, every), True)]
    y = convolve(_within(a, images, 1), _within(b, kernels, 1), groups=dims.mul(every, groups), first=first, **options)
    return [(_out_of(y, images, 1, every), True)]


def _gradient_every(every: Size, x: Spread, g: Spread, groups: Size, first: bool, **options: Any) -> list[Spread]:
    """More channels that go in, or that come out; or a group for every element."""
    images, into, out = (1, 1, 0) if first else (-1, -2, -1)
    (a, many), (b, more) = x, g
    if many and not more:
        y = kernel_gradient(_within(a, images, groups), b, groups=groups, first=first, **options)
        return [(_out_of(y, into, 1, every), True)]
    if more and not many:
        y = kernel_gradient(a, _within(b, images, groups), groups=groups, first=first, **options)
        return [(_out_of(y, out, groups, every), True)]
    each = dims.mul(every, groups)
    y = kernel_gradient(_within(a, images, 1), _within(b, images, 1), groups=each, first=first, **options)
    return [(_out_of(y, out, 1, every), True)]


LEAST = 8  # channels that are worth a vector
TAPS = 64  # of a kernel, up to which a sum over them is written out
ROWS = 256  # of places, up to which sums over an image are loops that can be split where a tap leaves the image
ASKED = 12  # taps up to which such sums ask whether they are inside of an image, channels last; else zeros are stored around it
SHORT = 4  # the same channels last, where vectors lie along the channels either way: what reads a short sum can take it along
FEW = 64  # channels up to which images are stored with the zeros around them
MANY = 512  # the same channels first: 1.1 to 1.3 times as fast with 96 to 256 channels as asking for each element that is read
WIDE = 64  # places of a row from which even and odd ones are worth images of their own: of 14 it took 1.2 times as long
VECTOR = 16  # elements of a vector, as far as rows of places are judged by whether they fill some


def _filled(size: Size) -> float:
    """The share of its vectors that a row of places, or of channels, fills; 0 where it is not known."""
    return size / (VECTOR * -(-size // VECTOR)) if isinstance(size, int) and size else 0.0


def _worth(stride: Counts, first: bool) -> int:
    """The channels up to which the zeros are stored. With a stride and channels last, an image is read too few times for more."""
    return MANY if first else FEW if max(stride) == 1 else FEW // 2


def _framed(
    x: Tensor, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape, first: bool = False,
    limit: int | None = FEW,
) -> tuple[Tensor, Shape]:  # fmt: skip
    """Images, and what is still to be thought of before them.

    Where channels are few, the zeros around an image are stored: then the address of what a kernel sees is a sum of one term for
    the place and one for the tap, and a product reads it where it lies.
    """
    channels, whole = x.shape[1 if first else -1], tuple(x.shape[a] for a in _spatial(x.ndim, first))
    fixed = all(isinstance(n, int) for n in (channels, *whole, *before, *size)) and min(kernel) > 0
    if not fixed or (limit is not None and channels > limit) or all(n == 0 for n in size):
        return x, before
    around, still = [], []
    for n, k, s, d, p, o in zip(whole, kernel, stride, dilation, before, size, strict=True):
        low = max(int(p), 0)
        high = max((int(o) - 1) * s + (k - 1) * d + 1 - int(p) - int(n), 0)
        around.append((low, high))
        still.append(int(p) - low)
    if not any(a or b for a, b in around):
        return x, before
    return ops.pad(x, [(0, 0), (0, 0), *around] if first else [(0, 0), *around, (0, 0)]), tuple(still)


def _inside(whole: Shape, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, size: Shape) -> bool:
    """Whether all that kernels see is known to lie inside of images."""
    for n, k, s, d, p, o in zip(whole, kernel, stride, dilation, before, size, strict=True):
        last = dims.sub(dims.add(dims.mul(dims.sub(o, 1), s), (k - 1) * d), p)
        if not (dims.is_nonnegative(dims.mul(p, -1)) and dims.is_nonnegative(dims.sub(dims.sub(n, 1), last))):
            return False
    return True


def _by_taps(
    x: Tensor, w: Tensor, stride: Counts, dilation: Counts, before: Shape, size: Shape, first: bool
) -> Tensor | None:  # fmt: skip
    """A sum over taps, each of which reads at its place what it makes of whole images: for one channel out of each group.

    A product of one column fills no vector. All taps are columns enough: [taps, channels] @ [channels, pixels], and then the sum
    of its rows, each of which begins where its tap does. With one channel in, a row is a multiple of the image.
    """
    kernel, inner, outer = _kernel(w.shape, first)
    nd, count = len(kernel), dims.product(kernel)
    least = 1 if inner == 1 else 2
    if not isinstance(count, int) or not least <= count <= TAPS or any(not isinstance(n, int) for n in (inner, *size)):
        return None
    if inner != 1 and max(stride) != 1:
        return None
    every, apart = tuple(size), stride
    if first and stride[-1] > 1:  # neighbours apart fill no vector: all places along the last axis, of which some are kept
        stride = (*stride[:-1], 1)
        size = (*size[:-1], dims.add(dims.mul(dims.sub(size[-1], 1), apart[-1]), 1))
    x, before = _framed(x, kernel, stride, dilation, before, size, first, limit=None if inner == 1 else FEW)
    whole = tuple(x.shape[a] for a in _spatial(x.ndim, first))
    if not _inside(whole, kernel, stride, dilation, before, size):
        return None
    n, pixels = x.shape[0], dims.product(whole)
    if inner == 1:
        w = ops.reshape(w, (outer, count)) if first else ops.reshape(w, (count, outer))
    elif first:
        made = ops.matmul(ops.matrix_transpose(ops.reshape(w, (inner, count))), ops.reshape(x, (n, inner, pixels)))
        made = ops.reshape(made, (n, count, *whole))
    else:
        made = ops.matmul(ops.reshape(w, (count, inner)), ops.matrix_transpose(ops.reshape(x, (dims.mul(n, pixels), inner))))
        made = ops.reshape(made, (count, n, *whole))
    total = None
    for number, tap in enumerate(_taps(kernel)):
        start = [dims.sub(k * d, p) for k, d, p in zip(tap, dilation, before, strict=True)]
        if inner != 1:
            start, step = [*((0, number) if first else (number, 0)), *start], (1,) * (2 + nd)
            part = ops.shape.slice_(made, start=tuple(start), step=step, size=(*((n, 1) if first else (1, n)), *size))
        elif first:
            seen = ops.shape.slice_(x, start=(0, 0, *start), step=(1, 1, *stride), size=_images(n, size, outer, first))
            part = seen * ops.reshape(w[:, number], (outer, *(1,) * nd))
        else:
            seen = ops.shape.slice_(x, start=(0, *start, 0), step=(1, *stride, 1), size=_images(n, size, outer, first))
            part = seen * w[number]
        total = part if total is None else total + part
    assert total is not None
    if size != every:
        step = (*(1,) * (1 + nd), apart[-1])
        total = ops.shape.slice_(total, start=(0,) * (2 + nd), step=step, size=_images(n, every, outer, first))
    return ops.reshape(total, _images(n, every, outer, first))


def _by_remainders(x: Tensor, w: Tensor, stride: Counts, dilation: Counts, before: Shape, size: Shape) -> Tensor | None:
    """Channels first, with a stride of 2 along a row: the sum of what taps make of its even and of its odd places.

    Each kind of place is stored as an image of its own, along whose rows products go without a stride: where images are wide, and
    such rows fill more of their vectors than the channels that come out.
    """
    kernel, _, outer = _kernel(w.shape, True)
    numbers = (*x.shape[1:], *before, *size, outer)
    if stride[-1] != 2 or dilation[-1] != 1 or kernel[-1] < 2 or not all(isinstance(n, int) for n in numbers):
        return None
    if int(size[-1]) < WIDE or _filled(size[-1]) < 1.15 * _filled(outer):
        return None
    long, ahead, total = int(x.shape[-1]), int(before[-1]), None
    for tap in range(2):
        odd, place = (tap - ahead) % 2, (tap - ahead) // 2  # the kind of place that this tap sees, and where it begins there
        lead = x.ndim - 1
        there = (long + 1 - odd) // 2
        start, step = (*(0,) * lead, odd), (*(1,) * lead, 2)
        part = ops.shape.slice_(x, start=start, step=step, size=(*x.shape[:-1], there))
        taps = len(range(tap, kernel[-1], 2))
        low, high = max(-place, 0), max(place + int(size[-1]) + taps - 1 - there, 1)  # one more stores it in any case
        part = ops.pad(part, [*[(0, 0)] * lead, (low, high)])
        some = ops.shape.slice_(w, start=(*(0,) * lead, tap), step=step, size=(*w.shape[:-1], taps))
        made = _convolve(part, some, (*stride[:-1], 1), dilation, (*before[:-1], -place - low), size, 1, True)
        total = made if total is None else total + made
    return total


# --- forward ---------------------------------------------------------------------------------------------------------


def _convolve_type(
    x: TensorType, w: TensorType, stride: Counts, dilation: Counts, before: Shape, size: Shape, groups: Size, first: bool
) -> TensorType:  # fmt: skip
    _check("convolve", x, w, groups, first)
    return TensorType(x.dtype, _images(x.shape[0], size, _kernel(w.shape, first)[2], first))


def _convolve_reference(
    x: Array, w: Array, stride: Counts, dilation: Counts, before: Counts, size: Counts, groups: int, first: bool
) -> Array:  # fmt: skip
    if first:
        x, w = np.moveaxis(x, 1, -1), np.moveaxis(w, (1, 0), (-2, -1))
    inner, outer = w.shape[-2], w.shape[-1] // max(groups, 1)
    out = np.zeros((x.shape[0], *size, groups, outer), x.dtype)
    for tap in _taps(w.shape[:-2]):
        seen = _seen(x, tap, stride, dilation, before, size).reshape(*out.shape[:-1], inner)
        for group in range(groups):
            out[..., group, :] += seen[..., group, :] @ w[(*tap, slice(None), slice(group * outer, (group + 1) * outer))]
    out = out.reshape(x.shape[0], *size, groups * outer)
    return np.moveaxis(out, -1, 1) if first else out


def _convolve(
    x: Tensor, w: Tensor, stride: Counts, dilation: Counts, before: Shape, size: Shape, groups: Size, first: bool
) -> Tensor:  # fmt: skip
    kernel, inner, outer = _kernel(w.shape, first)
    nd, n, here = len(kernel), x.shape[0], dims.product(size)
    each = dims.floordiv(outer, groups)
    by_rows = first and groups == 1 and stride[-1] == 1 and 3 * _filled(size[-1]) >= 2 and dims.product(kernel) != 1
    by_rows = by_rows and _filled(size[-1]) > _filled(outer)
    if groups == 1 or (not first and inner != 1):
        x, before = _framed(x, kernel, stride, dilation, before, size, first, _worth(stride, first))
        by_rows = by_rows and _inside(x.shape[2:], kernel, stride, dilation, before, size)
    if first and groups == 1:
        found = _by_remainders(x, w, stride, dilation, before, size)
        if found is not None:
            return found
    short = dims.product(kernel)
    if each == 1 and (groups == 1 or (inner == 1 and (first or (isinstance(short, int) and short <= SHORT)))):
        found = _by_taps(x, w, stride, dilation, before, size, first)
        if found is not None:
            return found
    seen = windows(x, _spatial(x.ndim, first), kernel, stride, dilation, before, size)
    result = _images(n, size, outer, first)
    k = dims.mul(dims.product(kernel), inner)
    if first:  # [n, channels, *size, *kernel]: for every image and group [each, inner * kernel] @ [inner * kernel, size]
        seen = ops.permute_dims(seen, (0, 1, *range(2 + nd, 2 + 2 * nd), *range(2, 2 + nd)))
        if inner == 1 and groups != 1:
            seen = ops.reshape(seen, (n, groups, 1, *kernel, *size))
            w = ops.reshape(w, (groups, each, *kernel, *(1,) * nd))
            return ops.reshape(ops.sum(seen * w, axis=tuple(range(3, 3 + nd))), result)
        if by_rows:  # for every row of places [outer, k] @ [k, places]: neighbours lie side by side in the image too
            seen = ops.permute_dims(seen, (0, *range(2 + nd, 1 + 2 * nd), 1, *range(2, 2 + nd), 1 + 2 * nd))
            made = ops.matmul(ops.reshape(w, (outer, k)), ops.reshape(seen, (n, *size[:-1], k, size[-1])))
            return ops.permute_dims(made, (0, nd, *range(1, nd), nd + 1))
        if groups == 1:
            made = ops.matmul(ops.reshape(w, (outer, k)), ops.reshape(seen, (n, k, here)))
        else:
            made = ops.matmul(ops.reshape(w, (groups, each, k)), ops.reshape(seen, (n, groups, k, here)))
        return ops.reshape(made, result)
    # [n, *size, channels, *kernel]: the rows of all images are one long axis
    if inner == 1 and groups != 1:
        seen = ops.permute_dims(seen, (*range(1 + nd), *range(2 + nd, 2 + 2 * nd), 1 + nd))
        w = ops.reshape(w, (*kernel, groups, each))
        made = ops.sum(ops.reshape(seen, (n, *size, *kernel, groups, 1)) * w, axis=tuple(range(1 + nd, 1 + 2 * nd)))
        return ops.reshape(made, result)
    rows = dims.mul(n, here)
    if groups == 1:
        seen = ops.permute_dims(seen, (*range(1 + nd), *range(2 + nd, 2 + 2 * nd), 1 + nd))
        return ops.reshape(ops.matmul(ops.reshape(seen, (rows, k)), ops.reshape(w, (k, outer))), result)
    seen = _apart(x, groups, kernel, stride, dilation, before, size)
    w = ops.permute_dims(ops.reshape(w, (*kernel, inner, groups, each)), (1 + nd, *range(1 + nd), 2 + nd))
    made = ops.matmul(ops.reshape(seen, (groups, rows, k)), ops.reshape(w, (groups, k, each)))
    return ops.reshape(ops.permute_dims(made, (1, 0, 2)), result)


def _convolve_vjp(
    g: Tensor, y: Tensor, x: Tensor, w: Tensor, stride: Counts, dilation: Counts, before: Shape, size: Shape, groups: Size,
    first: bool,
) -> tuple[Node, ...]:  # fmt: skip
    whole = tuple(x.shape[a] for a in _spatial(x.ndim, first))
    kernel, _, _ = _kernel(w.shape, first)
    dx = convolve_transposed(g, w, stride, dilation, before, whole, groups, first)
    return dx, kernel_gradient(x, g, kernel=kernel, stride=stride, dilation=dilation, before=before, groups=groups, first=first)


_PLAIN = {"stride": (1,), "dilation": (1,), "before": (0,), "groups": 1}
_WIDE = {"stride": (2, 1), "dilation": (1, 2), "before": (1, 2), "groups": 2}

convolve: Op = composite(
    "convolve",
    infer=_convolve_type,
    reference=_convolve_reference,
    expand=lambda x, w, **options: ops.astype(_convolve(x, w, **options), x.dtype),  # sums of small integers are int64
    vjp=_convolve_vjp,
    samples=(
        Sample(((2, 5, 3), (3, 3, 4)), {**_PLAIN, "size": (3,), "first": False}),
        Sample(((2, 5, 4, 4), (3, 2, 2, 6)), {**_WIDE, "size": (3, 6), "first": False}),
        Sample(((2, 5, 3), (3, 1, 3)), {**_PLAIN, "size": (3,), "groups": 3, "first": False}),
        Sample(((2, 3, 5), (4, 3, 3)), {**_PLAIN, "size": (3,), "first": True}),
        Sample(((2, 4, 5, 4), (6, 2, 3, 2)), {**_WIDE, "size": (3, 6), "first": True}),
        Sample(((2, 3, 5), (6, 1, 3)), {**_PLAIN, "size": (3,), "groups": 3, "first": True}),
        Sample(((0, 5, 3), (3, 3, 4)), {**_PLAIN, "size": (3,), "first": False}),
    ),
    requires=_sizes,
    every=_convolve_every,
)


# --- weights ---------------------------------------------------------------------------------------------------------


def _gradient_type(
    x: TensorType, g: TensorType, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, groups: Size, first: bool
) -> TensorType:  # fmt: skip
    if x.rank < 3 or g.rank != x.rank or x.dtype != g.dtype or x.shape[0] != g.shape[0] or x.dtype.is_bool:
        raise ShapeError(f"kernel_gradient needs numbers of equal rank, at least 3, and of one type, got {x} and {g}")
    channels, outer = (v.shape[1 if first else -1] for v in (x, g))
    if any(dims.mul(dims.floordiv(c, groups), groups) != c for c in (channels, outer)):
        raise ShapeError(f"kernel_gradient: the channels of {x} and of {g} do not divide by {groups} groups")
    return TensorType(x.dtype, _kernels(kernel, dims.floordiv(channels, groups), outer, first))


def _gradient_reference(
    x: Array, g: Array, kernel: Counts, stride: Counts, dilation: Counts, before: Counts, groups: int, first: bool
) -> Array:  # fmt: skip
    if first:
        x, g = np.moveaxis(x, 1, -1), np.moveaxis(g, 1, -1)
    size, inner, outer = g.shape[1:-1], x.shape[-1] // max(groups, 1), g.shape[-1] // max(groups, 1)
    w = np.zeros((*kernel, inner, groups, outer), x.dtype)
    for tap in _taps(kernel):
        seen = _seen(x, tap, stride, dilation, before, size).reshape(-1, groups, inner)
        for group in range(groups):
            w[(*tap, slice(None), group)] = seen[:, group].T @ g.reshape(-1, groups, outer)[:, group]
    w = w.reshape(*kernel, inner, groups * outer)
    return np.moveaxis(w, (-1, -2), (0, 1)) if first else w


def _gradient(
    x: Tensor, g: Tensor, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, groups: Size, first: bool
) -> Tensor:  # fmt: skip
    nd, n = len(kernel), x.shape[0]
    size = tuple(g.shape[a] for a in _spatial(g.ndim, first))
    into, out = (dims.floordiv(v.shape[1 if first else -1], groups) for v in (x, g))
    if groups != 1 or out != 1:
        found = _gradient_at_once(x, g, kernel, stride, dilation, before, groups, first)
        if found is not None:
            return found
    if out == 1 and (groups == 1 or (into == 1 and first)):
        found = _gradient_by_taps(x, g, kernel, stride, dilation, before, first)
        if found is not None:
            return found
    if first:
        x, g = ops.moveaxis(x, 1, -1), ops.moveaxis(g, 1, -1)
    channels, outer = x.shape[-1], g.shape[-1]
    inner, each = dims.floordiv(channels, groups), dims.floordiv(outer, groups)
    if inner != 1 or groups == 1:
        x, before = _framed(x, kernel, stride, dilation, before, size, limit=_worth(stride, first))
    few = isinstance(channels, int) and channels <= FEW and _inside(x.shape[1:-1], kernel, stride, dilation, before, size)
    seen = windows(x, _spatial(x.ndim, False), kernel, stride, dilation, before, size)  # [n, *size, channels, *kernel]
    seen = ops.permute_dims(seen, (*range(1 + nd), *range(2 + nd, 2 + 2 * nd), 1 + nd))
    rows, k = dims.mul(n, dims.product(size)), dims.mul(dims.product(kernel), inner)
    if inner == 1 and groups != 1:
        seen = ops.reshape(seen, (n, *size, *kernel, groups, 1))
        g = ops.reshape(g, (n, *size, *(1,) * nd, groups, each))
        made = ops.reshape(ops.sum(seen * g, axis=tuple(range(1 + nd))), (*kernel, 1, outer))
    elif groups == 1 and few:  # the image is the left operand, which is read where it lies
        made = ops.matmul(ops.matrix_transpose(ops.reshape(seen, (rows, k))), ops.reshape(g, (rows, outer)))
        made = ops.reshape(made, (*kernel, inner, outer))
    elif groups == 1:  # the image is the right operand, whose packing serves many rows of the left
        made = ops.matmul(ops.matrix_transpose(ops.reshape(g, (rows, outer))), ops.reshape(seen, (rows, k)))
        made = ops.reshape(ops.matrix_transpose(made), (*kernel, inner, outer))
    else:
        seen = _apart(x, groups, kernel, stride, dilation, before, size)
        g = ops.permute_dims(ops.reshape(g, (rows, groups, each)), (1, 2, 0))
        made = ops.matmul(g, ops.reshape(seen, (groups, rows, k)))
        made = ops.reshape(ops.permute_dims(made, (2, 0, 1)), (*kernel, inner, outer))
    return ops.permute_dims(made, (nd + 1, nd, *range(nd))) if first else made


def _gradient_at_once(
    x: Tensor, g: Tensor, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, groups: Size, first: bool
) -> Tensor | None:  # fmt: skip
    """A sum for each tap, all in one pass over the places of an image: where channels are few.

    Each place of what came out is read once, beside what every tap sees there. Vectors lie along the channels out, or along the
    last axis where channels come first, and each tap's vector stays in a register.
    """
    nd, n, taps = len(kernel), x.shape[0], dims.product(kernel)
    size = tuple(g.shape[a] for a in _spatial(g.ndim, first))
    into, out = (dims.floordiv(v.shape[1 if first else -1], groups) for v in (x, g))
    if not all(isinstance(c, int) for c in (taps, into, out)) or not 1 < taps <= TAPS:
        return None
    asks = not first and taps <= ASKED and isinstance(size[0], int) and size[0] <= ROWS
    if first:
        fits = stride[-1] <= (1 if groups == 1 else 2) and (out if groups == 1 else into * out) <= LEAST
    else:
        fits = into <= VECTOR and out <= (2 * VECTOR if asks else VECTOR) and out % (LEAST if groups == 1 else SHORT) == 0
    if not fits and (first or not into == out == 1):
        return None
    apart = 1
    if first and stride[-1] > 1 and isinstance(size[-1], int):  # neighbours apart fill no vector: there are zeros in between
        apart, stride = stride[-1], (*stride[:-1], 1)
        size = (*size[:-1], (size[-1] - 1) * apart + 1)
        zeros = [ops.zeros(g.shape, g.dtype)] * (apart - 1)
        g = interleave(g, *zeros, axes=(g.ndim - 1,), by=(apart,), size=size[-1:])
    if not asks:
        x, before = _framed(x, kernel, stride, dilation, before, size, first, limit=None)
        if not _inside(tuple(x.shape[a] for a in _spatial(x.ndim, first)), kernel, stride, dilation, before, size):
            return None
    if first:
        whole = x.shape[2:]
        # [groups, in, out, n, ...]: the images are one axis of a long sum
        x = ops.permute_dims(ops.reshape(x, (n, groups, into, 1, *whole)), (1, 2, 3, 0, *range(4, 4 + nd)))
        g = ops.permute_dims(ops.reshape(g, (n, groups, 1, out, *size)), (1, 2, 3, 0, *range(4, 4 + nd)))
        axes = tuple(range(4, 4 + nd))
    else:
        x = ops.reshape(x, (*x.shape[:-1], groups, into, 1))
        g = ops.reshape(g, (n, *size, groups, 1, out))
        axes = tuple(range(1, 1 + nd))
    sums = []
    for tap in _taps(kernel):
        away = tuple(dims.sub(p, k * d) for k, d, p in zip(tap, dilation, before, strict=True))
        seen = windows(x, axes, (1,) * nd, stride, (1,) * nd, away, size)
        product = ops.reshape(seen, tuple(seen.shape[: x.ndim])) * g
        if first:
            sums.append(ops.sum(ops.sum(product, axis=(3, *axes[:-1]))[..., ::apart], axis=-1))
        else:
            sums.append(ops.sum(ops.sum(product, axis=axes), axis=0))
    made = ops.reshape(ops.stack(sums), (*kernel, groups, into, out))
    if first:
        made = ops.permute_dims(made, (nd, nd + 2, nd + 1, *range(nd)))
        return ops.reshape(made, (dims.mul(groups, out), into, *kernel))
    made = ops.permute_dims(made, (*range(nd), nd + 1, nd, nd + 2))
    return ops.reshape(made, (*kernel, into, dims.mul(groups, out)))


def _gradient_by_taps(
    x: Tensor, g: Tensor, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, first: bool
) -> Tensor | None:  # fmt: skip
    """A sum over the places of every image for each tap and channel, and then over the images: for one channel out of each group.

    Both sums go along memory, and what one image's sums read stays in the caches.
    """
    nd, n = len(kernel), x.shape[0]
    if not first and dims.mod(x.shape[-1], LEAST) != 0:  # a few channels fill no vector: they go first
        x, g = (ops.moveaxis(v, -1, 1) for v in (x, g))
        made = _gradient_by_taps(x, g, kernel, stride, dilation, before, True)
        return None if made is None else ops.permute_dims(made, (*range(2, 2 + nd), 1, 0))
    size = tuple(g.shape[a] for a in _spatial(g.ndim, first))
    x, before = _framed(x, kernel, stride, dilation, before, size, first, limit=None)
    axes = _spatial(x.ndim, first)
    if not _inside(tuple(x.shape[a] for a in axes), kernel, stride, dilation, before, size):
        return None
    seen = windows(x, axes, kernel, stride, dilation, before, size)
    taps, ones = tuple(range(2 + nd, 2 + 2 * nd)), (1,) * nd
    if first:  # [n, channels, *kernel, *size]
        product = ops.permute_dims(seen, (0, 1, *taps, *axes)) * ops.reshape(g, (*g.shape[:2], *ones, *size))
        made = ops.sum(ops.sum(product, axis=taps), axis=0)
        return ops.reshape(made, (g.shape[1], -1, *kernel))
    product = ops.permute_dims(seen, (0, *taps, *axes, 1 + nd)) * ops.reshape(g, (n, *ones, *size, g.shape[-1]))
    made = ops.sum(ops.sum(product, axis=tuple(range(1 + nd, 1 + 2 * nd))), axis=0)
    return ops.reshape(made, (*kernel, -1, g.shape[-1]))


def _gradient_vjp(
    h: Tensor, y: Tensor, x: Tensor, g: Tensor, kernel: Counts, stride: Counts, dilation: Counts, before: Shape, groups: Size,
    first: bool,
) -> tuple[Node, ...]:  # fmt: skip
    size, whole = (tuple(v.shape[a] for a in _spatial(v.ndim, first)) for v in (g, x))
    dx = convolve_transposed(g, h, stride, dilation, before, whole, groups, first)
    return dx, convolve(x, h, stride=stride, dilation=dilation, before=before, size=size, groups=groups, first=first)


kernel_gradient: Op = composite(
    "kernel_gradient",
    infer=_gradient_type,
    reference=_gradient_reference,
    expand=lambda x, g, **options: ops.astype(_gradient(x, g, **options), x.dtype),
    vjp=_gradient_vjp,
    samples=(
        Sample(((2, 5, 3), (2, 3, 4)), {**_PLAIN, "kernel": (3,), "first": False}),
        Sample(((2, 5, 4, 4), (2, 3, 6, 6)), {**_WIDE, "kernel": (3, 2), "first": False}),
        Sample(((2, 5, 3), (2, 3, 3)), {**_PLAIN, "kernel": (3,), "groups": 3, "first": False}),
        Sample(((2, 3, 5), (2, 4, 3)), {**_PLAIN, "kernel": (3,), "first": True}),
        Sample(((2, 4, 5, 4), (2, 6, 3, 6)), {**_WIDE, "kernel": (3, 2), "first": True}),
    ),
    every=_gradient_every,
)


# --- data ------------------------------------------------------------------------------------------------------------


def convolve_transposed(
    g: Tensor, w: Tensor, stride: Counts, dilation: Counts, before: Shape, size: Shape, groups: Size, first: bool
) -> Tensor:  # fmt: skip
    """The adjoint of `convolve` in its images: from what came out, [n, ..., out], to images [n, *size, in].

    Place i of the result takes the taps k with i + before - k*dilation divisible by the stride: which ones depends on i modulo
    the stride alone. So the places of one remainder are a convolution of stride 1 with some of the taps, and the results of all
    remainders are interleaved.
    """
    kernel, _, _ = _kernel(w.shape, first)
    w = _turned(w, groups, first)
    if not all(isinstance(dims.mod(p, s), int) for p, s in zip(before, stride, strict=True)):
        return _with_zeros_between(g, w, stride, dilation, before, size, groups, first)
    count = tuple(dims.floordiv(dims.add(n, s - 1), s) for n, s in zip(size, stride, strict=True))  # places of one remainder
    parts = []
    for remainder in itertools.product(*(range(s) for s in stride)):
        taps = []
        for r, p, k, s, d in zip(remainder, before, kernel, stride, dilation, strict=True):
            taps.append(_taps_of(dims.add(r, p), k, s, d))
        parts.append(_part(g, w, taps, count, groups, first))
    axes = _spatial(g.ndim, first)
    return parts[0] if len(parts) == 1 else interleave(*parts, axes=axes, by=stride, size=size)


def _with_zeros_between(
    g: Tensor, w: Tensor, stride: Counts, dilation: Counts, before: Shape, size: Shape, groups: Size, first: bool
) -> Tensor:  # fmt: skip
    """The same as one convolution of what came out with zeros in between: where a size decides which taps reach a remainder."""
    kernel, axes = _kernel(w.shape, first)[0], _spatial(g.ndim, first)
    ones = (1,) * len(axes)
    whole = tuple(dims.mul(g.shape[a], s) for a, s in zip(axes, stride, strict=True))
    wide = slide(
        ops.reshape(g, (*g.shape, *ones)), axes=axes, taps=tuple(range(g.ndim, g.ndim + len(axes))), by=ones,
        along=(0,) * len(axes), start=(0,) * len(axes), over=stride, size=whole, fill=0,
    )  # fmt: skip
    g = ops.reshape(wide, tuple(wide.shape[: g.ndim]))
    w = ops.flip(w, tuple(range(2, w.ndim)) if first else tuple(range(w.ndim - 2)))
    around = tuple(dims.sub((k - 1) * d, p) for k, d, p in zip(kernel, dilation, before, strict=True))
    return convolve(g, w, stride=ones, dilation=dilation, before=around, size=size, groups=groups, first=first)


class Taps(NamedTuple):
    """Some taps of an axis of kernels: the first, their distance, their number; how far apart they read, and where the first one
    reads for place 0."""

    first: int
    step: int
    number: int
    dilation: int
    place: Size


def _taps_of(place: Size, kernel: int, stride: int, dilation: int) -> Taps:
    """The taps that reach a remainder."""
    common = gcd(stride, dilation)
    step = stride // common
    for k in range(min(kernel, step)):
        off = dims.sub(place, k * dilation)
        if dims.mod(off, stride) == 0:
            return Taps(k, step, -(-(kernel - k) // step), dilation // common, dims.floordiv(off, stride))
    return Taps(0, 1, 0, 1, 0)


def _turned(w: Tensor, groups: Size, first: bool) -> Tensor:
    """Kernels for the way back: inputs and outputs of every group change places."""
    kernel, inner, outer = _kernel(w.shape, first)
    nd, each = len(kernel), dims.floordiv(outer, groups)
    if first:
        w = ops.swapaxes(ops.reshape(w, (groups, each, inner, *kernel)), 1, 2)
        return ops.reshape(w, (dims.mul(groups, inner), each, *kernel))
    w = ops.permute_dims(ops.reshape(w, (*kernel, inner, groups, each)), (*range(nd), nd + 2, nd + 1, nd))
    return ops.reshape(w, (*kernel, each, dims.mul(groups, inner)))


def _part(g: Tensor, w: Tensor, taps: list[Taps], size: Shape, groups: Size, first: bool) -> Tensor:
    """The places of one remainder."""
    nd = len(taps)
    _, _, outer = _kernel(w.shape, first)
    if any(tap.number == 0 for tap in taps):
        return ops.zeros(_images(g.shape[0], size, outer, first), g.dtype)
    lead = 2 if first else 0
    start, step, count = [0] * (nd + 2), [1] * (nd + 2), list(w.shape)
    before, dilation = [], []
    for axis, tap in enumerate(taps, lead):  # the last tap comes first
        start[axis], step[axis], count[axis] = tap.first + tap.step * (tap.number - 1), -tap.step, tap.number
        before.append(dims.sub((tap.number - 1) * tap.dilation, tap.place))
        dilation.append(tap.dilation)
    turned = ops.shape.slice_(w, start=tuple(start), step=tuple(step), size=tuple(count))
    return convolve(
        g, turned, stride=(1,) * nd, dilation=tuple(dilation), before=tuple(before), size=size, groups=groups, first=first
    )
