"""Elements repeated, rolled and compared with their neighbours: repeat, tile, roll, diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Dim, Size
from graphc.ops.declare import as_option, normalize_axis, normalize_integer, normalize_size
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor


def _numbers(repeats: Any) -> np.ndarray[Any, Any]:
    """How often, as an array; one of objects where it is none."""
    try:
        return np.asarray(repeats)
    except ValueError:  # of lists that differ in length
        return np.array([repeats, None], object)


def repeat(x: TensorLike, repeats: Any, axis: int | None = None, total_repeat_length: Any = None) -> Tensor:
    """Every slice along an axis several times in a row; every element of the flattened x if axis is None.

    repeats: a number or size, or an array of numbers, one for each slice. An array that is a symbol needs
    `total_repeat_length`, the size of the result's axis: what is over is left out, what is missing is the last slice.

    >>> import graphc as gx
    >>> gx.repeat(gx.constant([1, 2]), [2, 3]).eval()
    array([1, 1, 2, 2, 2])
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    place = normalize_axis("repeat", axis, x.type)
    n = x.shape[place]
    if isinstance(repeats, Tensor):
        return _repeat_by_data(x, repeats, place, total_repeat_length)
    counts = repeats if isinstance(repeats, Dim) else _numbers(repeats)
    if isinstance(counts, Dim) or counts.size == 1:
        times = normalize_size("repeat", "repeats", counts if isinstance(counts, Dim) else counts.reshape(()).item())
        wide = ops.expand_dims(x, place + 1)
        shape = (*x.shape[: place + 1], times, *x.shape[place + 1 :])
        return ops.reshape(ops.broadcast_to(wide, shape), (*x.shape[:place], dims.mul(n, times), *x.shape[place + 1 :]))
    if counts.dtype.kind not in "iu" or counts.ndim != 1 or n != len(counts) or counts.min() < 0:
        raise ShapeError(
            f"repeat of {x.type} along {place}: {repeats!r} is not a number of times for each of {n} slices", where=caller(),
            hint="give one integer from 0 on, or as many as there are slices",
        )  # fmt: skip
    places = np.repeat(np.arange(len(counts)), counts)
    if not len(places):
        return ops.zeros((*x.shape[:place], 0, *x.shape[place + 1 :]), x.dtype)
    return ops.take(x, places, axis=place)


def _repeat_by_data(x: Tensor, repeats: Tensor, axis: int, total: Any) -> Tensor:
    if total is None:
        raise ShapeError(
            f"repeat of {x.type} by the symbol {repeats.type}: the result's size would be data", where=caller(),
            hint="give total_repeat_length, or repeats as numbers",
        )  # fmt: skip
    if not repeats.dtype.is_integer:
        raise DTypeError(f"repeat needs integer repeats, got {repeats.type}", where=caller(), hint="astype('int64')")
    if repeats.ndim > 1:
        raise ShapeError(f"repeat needs one number of times for each slice, got {repeats.type}", where=caller())
    counts = ops.broadcast_to(repeats, (x.shape[axis],))
    size = normalize_size("repeat", "total_repeat_length", total)
    places = ops.searchsorted(ops.cumulative_sum(counts, dtype="int64"), ops.arange(size), side="right")
    return ops.take(x, places, axis=axis)


def tile(x: TensorLike, repetitions: int | Dim | Sequence[Any]) -> Tensor:
    """x side by side with itself, as many times along each axis as `repetitions` says; the last axes if there are fewer numbers.

    >>> import graphc as gx
    >>> gx.tile(gx.constant([1, 2]), (2, 2)).eval()
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    x = as_tensor(x)
    repetitions = as_option(repetitions)
    alone = not isinstance(repetitions, (tuple, list)) and not (isinstance(repetitions, np.ndarray) and repetitions.ndim)
    given: list[Any] = [repetitions] if alone else list(repetitions)  # type: ignore[arg-type]
    times = [normalize_size("tile", "repetitions", n) for n in given]
    rank = max(len(times), x.ndim)
    counts: tuple[Size, ...] = (*((1,) * (rank - len(times))), *times)
    sizes: tuple[Size, ...] = (*((1,) * (rank - x.ndim)), *x.shape)
    apart = [n for size in sizes for n in (1, size)]
    wide = [n for pair in zip(counts, sizes, strict=True) for n in pair]
    both = tuple(dims.mul(a, b) for a, b in zip(counts, sizes, strict=True))
    return ops.reshape(ops.broadcast_to(ops.reshape(x, tuple(apart)), tuple(wide)), both)


def roll(x: TensorLike, shift: Any, axis: Axis = None) -> Tensor:
    """Elements moved along axes by a number of places; what leaves at one end enters at the other.

    shift: an integer or size, or one for each of several axes. If axis is None, the flattened elements move.

    >>> import graphc as gx
    >>> gx.roll(gx.constant([1, 2, 3, 4]), 1).eval()
    array([4, 1, 2, 3])
    """
    x = as_tensor(x)
    if axis is None:
        return ops.reshape(roll(ops.reshape(x, (-1,)), shift, 0), x.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = list(shift) if isinstance(shift, (tuple, list)) else [shift] * len(axes)
    if len(axes) == 1:
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise ShapeError(
            f"roll: {len(shifts)} shifts for {len(axes)} axes", where=caller(), hint="give one shift, or one an axis"
        )
    for by, a in zip(shifts, axes, strict=True):
        x = _roll(x, by if isinstance(by, Dim) else normalize_integer("roll", "shift", by), normalize_axis("roll", a, x.type))
    return x


def _roll(x: Tensor, shift: Size, axis: int) -> Tensor:
    n = x.shape[axis]
    by = dims.mod(shift, dims.maximum(n, 1))
    if by == 0:
        return x
    rest = dims.sub(n, by)

    def part(start: Size, size: Size) -> Tensor:
        at = tuple(start if a == axis else 0 for a in range(x.ndim))
        sizes = tuple(size if a == axis else m for a, m in enumerate(x.shape))
        return ops.slice_(x, start=at, step=(1,) * x.ndim, size=sizes)

    return ops.concat([part(rest, by), part(0, rest)], axis)


def diff(
    x: TensorLike, axis: int = -1, n: int = 1, prepend: TensorLike | None = None, append: TensorLike | None = None
) -> Tensor:
    """The differences of neighbours along an axis, n times over; of booleans, whether they differ.

    prepend and append are put before and after x along the axis first; a number counts as a slice of it. n=0 gives x as it is.

    >>> import graphc as gx
    >>> gx.diff(gx.constant([1, 4, 9]), prepend=0).eval()
    array([1, 3, 5])
    """
    found = as_tensor(x)
    place = normalize_axis("diff", axis, found.type)
    times = normalize_integer("diff", "n", n)
    if times < 0:
        raise ShapeError(f"diff: n must be at least 0, got {n}", where=caller())
    if not times:
        return found  # as NumPy: nothing is put before or after it
    parts = [found]
    for value, at in ((prepend, 0), (append, 2)):
        if value is not None:
            edge = as_tensor(value, found.dtype)
            slice_shape = tuple(1 if a == place else m for a, m in enumerate(found.shape))
            parts.insert(at, edge if edge.ndim else ops.broadcast_to(edge, slice_shape))
    found = ops.concat(parts, place)
    step = (1,) * found.ndim
    for _ in range(times):
        sizes = tuple(dims.maximum(dims.sub(m, 1), 0) if a == place else m for a, m in enumerate(found.shape))
        later, sooner = (
            ops.slice_(found, start=tuple(first if a == place else 0 for a in range(found.ndim)), step=step, size=sizes)
            for first in (1, 0)
        )
        found = ops.not_equal(later, sooner) if found.dtype.is_bool else later - sooner
    return found
