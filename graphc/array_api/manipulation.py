"""Elements moved: other shapes, other orders, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc.array_api.array import Array, array, data_of, taken
from graphc.array_api.calls import Size, named, ranked, run

Axes = int | tuple[int, ...]


def _ranked(name: str, x: Array, **options: Any) -> Array:
    return array(run(name, [data_of(x, name)], ranked([x.shape]), **options))


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """x repeated along new axes and axes of size 1."""
    (names,) = ranked([data_of(x, "broadcast_to").shape], fixed=[a for a, n in enumerate(x.shape) if n == 1])
    new = len(shape) - x.ndim
    sizes = []
    for axis, n in enumerate(shape):
        name = names[axis - new] if axis >= new >= 0 and x.shape[axis - new] == n else 1
        sizes.append(gx.dim(name) if isinstance(name, str) else Size(n))
    return array(run("broadcast_to", [x._data], [names], shape=sizes))


def broadcast_arrays(*arrays: Array) -> list[Array]:
    """The arrays in their common shape."""
    shape = np.broadcast_shapes(*(data_of(x, "broadcast_arrays").shape for x in arrays))
    return [broadcast_to(x, shape) for x in arrays]


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """Arrays joined along an axis; flattened first if axis is None."""
    given = [data_of(x, "concat") for x in arrays]
    return array(run(_concat, given, named([x.shape for x in given]), axis=axis))


def _concat(*xs: gx.Tensor, axis: int | None) -> gx.Tensor:
    return gx.concat(xs, axis=axis)


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """Arrays of one shape joined along a new axis."""
    given = [data_of(x, "stack") for x in arrays]
    return array(run(_stack, given, named([x.shape for x in given]), axis=axis))


def _stack(*xs: gx.Tensor, axis: int) -> gx.Tensor:
    return gx.stack(xs, axis=axis)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts of x along an axis."""
    place = axis % x.ndim if x.ndim else axis
    if x.ndim and x.shape[place] == 0:
        return ()
    parts = run("unstack", [data_of(x, "unstack")], ranked([x.shape], fixed=[place]), axis=axis)
    return tuple(array(y) for y in parts)


def expand_dims(x: Array, /, axis: int = 0) -> Array:
    """x with a new axis of size 1. The standard wants an IndexError where there is no such place."""
    if not -x.ndim - 1 <= axis <= x.ndim:
        raise IndexError(f"expand_dims: axis {axis} is out of range for a result of {x.ndim + 1} axes")
    return _ranked("expand_dims", x, axis=axis)


def squeeze(x: Array, /, axis: Axes) -> Array:
    """x without axes of size 1."""
    fixed = [a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)] if x.ndim else []
    return array(run("squeeze", [data_of(x, "squeeze")], ranked([x.shape], fixed), axis=axis))


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """x's elements, in their order, under another shape. `copy=False` shares x's memory, or is an error where it cannot."""
    view = np.empty(x.shape, np.bool_).reshape(shape) if x.size == 0 else np.broadcast_to(np.bool_(), x.size).reshape(shape)
    if copy is False:
        shared = data_of(x, "reshape").view()
        shared.shape = view.shape
        return array(shared)
    return array(run("reshape", [data_of(x, "reshape").reshape(-1)], [("n0",)], shape=tuple(Size(n) for n in view.shape)))


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Array:
    """x with its axes in another order."""
    return _ranked("permute_dims", x, axes=axes)


def moveaxis(x: Array, source: Axes, destination: Axes, /) -> Array:
    """Axes moved to other places."""
    return _ranked("moveaxis", x, source=source, destination=destination)


def flip(x: Array, /, *, axis: Axes | None = None) -> Array:
    """The order of elements reversed along axes."""
    return _ranked("flip", x, axis=axis)


def roll(x: Array, /, shift: Axes, *, axis: Axes | None = None) -> Array:
    """Elements moved along axes; what leaves at one end enters at the other."""
    return _ranked("roll", x, shift=shift, axis=axis)


def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """x repeated as a whole along each axis."""
    return _ranked("tile", x, repetitions=repetitions)


def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Array:
    """Each element repeated: all as often, or each as often as an array says, whose sum is the size of the result."""
    if isinstance(repeats, int):
        return _ranked("repeat", x, repeats=repeats, axis=axis)
    flat = data_of(x, "repeat").reshape(-1) if axis is None else x._data
    counts, place = data_of(repeats, "repeat"), 0 if axis is None else axis
    total = int(np.broadcast_to(counts, flat.shape[place]).sum())
    if total == 0:
        return array(taken(flat, np.empty(0, np.int64), place))
    return array(run(_repeat, [flat, counts], named([flat.shape, counts.shape]), axis=place, total=Size(total)))


def _repeat(x: gx.Tensor, repeats: gx.Tensor, axis: int, total: gx.Dim) -> gx.Tensor:
    return gx.repeat(x, repeats, axis=axis, total_repeat_length=total)
