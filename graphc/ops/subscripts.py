"""What stands in brackets: x[key], and x.at[key].set(...) with its kin.

A key holds integers, slices, None, ... and arrays of integers, with NumPy's meaning: first the slices and new axes, then the
arrays (among which integers count, if there are any) name places together, which take the arrays' place if they stand side by
side and the first axes if they do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.graph import Node
from graphc.ops.declare import Op, normalize_integer
from graphc.ops.scattering import gather, scatter_add, scatter_max, scatter_min, scatter_multiply, scatter_set
from graphc.ops.shape import embed, reshape, slice_
from graphc.ops.tensor import Tensor, TensorLike, as_tensor


@dataclass(frozen=True)
class _Key:
    """A key taken apart for one tensor: a slice of it, that slice in another shape, and the places that arrays name in that."""

    start: Shape
    step: tuple[int, ...]
    size: Shape
    shape: Shape
    arrays: tuple[Tensor, ...]  # of one shape
    axes: tuple[int, ...]
    at: int  # where the arrays' axes stand in the result

    def view(self, x: Tensor) -> Tensor:
        """x by the slices alone."""
        if not self.all_of(x):
            x = slice_(x, start=self.start, step=self.step, size=self.size)
        return reshape(x, self.shape)

    def all_of(self, x: Tensor) -> bool:
        return self.size == x.shape and all(a == 0 for a in self.start) and all(by == 1 for by in self.step)

    def read(self, x: Tensor) -> Tensor:
        """x[key]."""
        view = self.view(x)
        if not self.arrays:
            return view
        if len(self.axes) == 1 and self.at == self.axes[0]:
            return ops.take(view, self.arrays[0], axis=self.at)
        return gather(view, *self.arrays, axes=self.axes, at=self.at)

    def replaced(self, x: Tensor, view: Tensor) -> Tensor:
        """x with other elements where the slices go."""
        made = reshape(view, self.size)
        if self.all_of(x):
            return made
        where = {"start": self.start, "step": self.step, "shape": x.shape}
        inside = embed(ops.full(self.size, True, "bool"), **where, value=False)
        return ops.where(inside, embed(made, **where, value=0), x)


def _is_array(key: Any) -> bool:
    return isinstance(key, (Tensor, list, np.ndarray))


def _is_boolean(x: Tensor, key: Any) -> bool:
    if not isinstance(key, (bool, list, np.ndarray)):
        return isinstance(key, Tensor) and key.dtype.is_bool
    try:
        return bool(np.asarray(key).dtype == bool)
    except ValueError as error:
        raise ShapeError(
            f"indexing {x.type} with {key!r}: its rows differ in length", where=caller(), hint="give rows of equal length"
        ) from error


def _parse(x: Tensor, key: Any) -> _Key:
    keys = list(key) if isinstance(key, tuple) else [key]
    for k in keys:
        if _is_boolean(x, k):
            raise ShapeError(
                f"indexing {x.type} with booleans is not possible: the shape would be data", where=caller(),
                hint="use gx.where(mask, x, 0), which keeps the shape, or gx.extract(mask, x, size=...)",
            )  # fmt: skip
    if sum(k is Ellipsis for k in keys) > 1:
        raise ShapeError(f"indexing {x.type}: only one ... is possible", where=caller())
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise ShapeError(f"indexing {x.type} with {used} indices: it has {x.ndim} axes", where=caller())
    together = any(_is_array(k) for k in keys)
    named = [i for i, k in enumerate(keys) if together and not (k is None or k is Ellipsis or isinstance(k, slice))]
    adjacent = not named or named[-1] - named[0] + 1 == len(named)
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    keys[at : at + 1] = [slice(None)] * (x.ndim - used)
    start: list[Size] = []
    step: list[int] = []
    size: list[Size] = []
    shape: list[Size] = []
    arrays: list[Tensor] = []
    axes: list[int] = []
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        axis = len(start)
        n = x.shape[axis]
        whole = (hasattr(k, "__index__") or isinstance(k, Dim)) and not isinstance(k, (bool, Node, np.ndarray))
        if isinstance(k, slice):
            a, by, count = _slice_range(x, axis, n, k)
        elif whole and not together:
            a, by, count = _position(x, axis, n, k), 1, 1
        elif whole or _is_array(k):
            a, by, count = 0, 1, n
            arrays.append(as_tensor(_position(x, axis, n, k)) if whole else _places(x, axis, k))
            axes.append(len(shape))
        else:
            raise ShapeError(
                f"indexing {x.type} with {type(k).__name__} on axis {axis} is not possible", where=caller(),
                hint="use integers, slices, None, ... and arrays of integers; gx.where for a mask",
            )  # fmt: skip
        if not whole or together:
            shape.append(count)
        start.append(a)
        step.append(by)
        size.append(count)
    if arrays:
        common = ops.broadcast_shapes("indexing", [i.type for i in arrays])
        arrays = [ops.broadcast_to(i, common) for i in arrays]
    first = axes[0] if axes and adjacent else 0
    return _Key(tuple(start), tuple(step), tuple(size), tuple(shape), tuple(arrays), tuple(axes), first)


def _places(x: Tensor, axis: int, key: Any) -> Tensor:
    places = as_tensor(np.asarray(key, np.int64) if isinstance(key, list) and not key else key)
    if not places.dtype.is_integer:
        raise DTypeError(
            f"indexing {x.type} with {places.type} on axis {axis} needs integers", where=caller(), hint="astype('int64')"
        )
    return places


def getitem(x: Tensor, key: Any) -> Tensor:
    """x[key] for integers, slices, None, ... and arrays of integers."""
    return _parse(x, key).read(x)


def _position(x: Tensor, axis: int, n: Size, k: Any) -> Size:
    i: Size = k if isinstance(k, Dim) else int(k.__index__())
    if isinstance(i, int) and i < 0:
        i = dims.add(n, i)
    if isinstance(i, int) and isinstance(n, int) and not 0 <= i < n:
        raise ShapeError(f"index {k} is out of range for axis {axis} of {x.type}", where=caller())
    return i


def _whole(what: str, value: Any) -> int:
    """A number in a slice; a symbol says itself why it is none."""
    return value.__index__() if isinstance(value, Tensor) else normalize_integer("a slice", what, value)


def _slice_range(x: Tensor, axis: int, n: Size, key: slice) -> tuple[Size, int, Size]:
    """Start, step and size of a slice of an axis of size n, by Python's rules."""
    by = 1 if key.step is None else _whole("its step", key.step)
    if by == 0:
        raise ShapeError(f"a slice of axis {axis} of {x.type} has step 0", where=caller())

    def edge(value: Any, default: Size, starts: bool) -> Size:
        if value is None:
            return default
        at: Size = value if isinstance(value, Dim) else _whole("its edge", value)
        if at != 0 and dims.is_nonnegative(dims.mul(at, -1)):
            at = dims.add(at, n)
        return at if isinstance(value, Dim) and starts else dims.maximum(at, 0 if by > 0 else -1)

    # Only the edge far from 0 needs a limit: a start beyond the other end makes the size 0. A size that bounds a slice says how
    # many elements are wanted, so the axis must have them (`slice_` requires it): x[:t], x[-t:], x[: 2 * t : 2] are t long.
    if by > 0:
        first, last = edge(key.start, 0, True), edge(key.stop, n, False)
        last = last if isinstance(key.stop, Dim) else dims.minimum(last, n)
    else:
        first, last = edge(key.start, dims.sub(n, 1), True), edge(key.stop, -1, False)
        first = first if isinstance(key.start, Dim) else dims.minimum(first, dims.sub(n, 1))
    span = dims.sub(last, first) if by > 0 else dims.sub(first, last)
    size = dims.maximum(dims.floordiv(dims.add(span, abs(by) - 1), abs(by)), 0)
    return first, by, size


class Places:
    """`x.at`: waits for a key."""

    def __init__(self, x: Tensor) -> None:
        self._x = x

    def __getitem__(self, key: Any) -> Place:
        return Place(self._x, key)


class Place:
    """`x.at[key]`: places in a tensor, and the tensors in which something else stands there.

    The key is what `x[key]` takes. Values broadcast to x[key] and must fit x's data type. Where arrays name a place more than
    once, sums, products and extremes take in all of its values, in row-major order of the arrays; `set` keeps the last.

    >>> import graphc as gx
    >>> x = gx.constant([1, 2, 3, 4])
    >>> x.at[1:3].set(0).eval()
    array([1, 0, 0, 4])
    >>> x.at[[0, 0, -1]].add(10).eval()
    array([21,  2,  3, 14])
    """

    def __init__(self, x: Tensor, key: Any) -> None:
        self._x = x
        self._key = _parse(x, key)

    def get(self) -> Tensor:
        """x[key]."""
        return self._key.read(self._x)

    def set(self, value: TensorLike) -> Tensor:
        """x with other values there."""
        return self._combine("set", value, scatter_set, lambda there, new: new)

    def add(self, value: TensorLike) -> Tensor:
        """x with values added there."""
        return self._combine("add", value, scatter_add, ops.add)

    def multiply(self, value: TensorLike) -> Tensor:
        """x multiplied there."""
        return self._combine("multiply", value, scatter_multiply, ops.multiply)

    def max(self, value: TensorLike) -> Tensor:
        """x, or a value there if it is larger."""
        return self._combine("max", value, scatter_max, ops.maximum)

    def min(self, value: TensorLike) -> Tensor:
        """x, or a value there if it is smaller."""
        return self._combine("min", value, scatter_min, ops.minimum)

    def _combine(self, name: str, value: TensorLike, scatter: Op, plain: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        x, key = self._x, self._key
        view = key.view(x)
        there = key.read(x)
        new = self._fitting(name, value, there)
        if key.arrays:
            return key.replaced(x, scatter(new, view, *key.arrays, axes=key.axes, at=key.at))
        return key.replaced(x, plain(there, new))

    def _fitting(self, name: str, value: TensorLike, there: Tensor) -> Tensor:
        """The value in the type and shape of what is there."""
        (like, new), common = ops.promote_operands(f"x.at[...].{name}", (there, value), ops.any_type)
        del like
        if common != there.dtype:
            raise DTypeError(
                f"x.at[...].{name}: {new.type} does not fit {self._x.type}", where=caller(), hint="astype the value, or x"
            )
        try:
            return ops.broadcast_to(new, there.shape)
        except ShapeError:
            raise ShapeError(
                f"x.at[...].{name}: {new.type} does not broadcast to the {there.type} there", where=caller(),
                hint="give a value of the shape of x[key], or one that broadcasts to it",
            ) from None  # fmt: skip
