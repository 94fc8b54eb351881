"""Places found by value: searchsorted, interp, and what a mask picks out where the size is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size, product
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import Lanes, Sample
from graphc.ir.scalar import Scalars, Value
from graphc.ir.types import TensorType
from graphc.ops.declare import (
    Op,
    Spread,
    comparison,
    host,
    normalize_axis,
    normalize_size,
    pointwise,
    promote_operands,
    spread,
    to_float,
)  # fmt: skip
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]
STEPS = 48  # halvings where the size is not known: addresses have 47 bits


# --- searchsorted ----------------------------------------------------------------------------------------------------


def _search_type(x: TensorType, v: TensorType, side: str) -> TensorType:
    if x.rank != 1:
        raise ShapeError(f"searchsorted needs a vector to search in, got {x}")
    if x.dtype != v.dtype:
        raise DTypeError(f"searchsorted needs equal types, got {x} and {v}")
    return TensorType(t.int64, v.shape)


def _before(k: Scalars, a: Value, b: Value) -> Value:
    """Whether a comes before b in the order of sorting, in which NaN is last."""
    if not a.dtype.is_float:
        return a < b
    return (a < b) | ((a == a) & (b != b))


def _search_body(k: Scalars, index: tuple[Size, ...], side: str) -> Any:
    """The part in which the place lies is halved: a fixed number of steps, none of which depends on the data's order."""
    v, n = k.load(1, index), k.type(0).shape[0]

    def passed(at: Value, guard: Value | None) -> Value:
        x = k.load(0, (k.as_index(at),), guard)
        return _before(k, x, v) if side == "left" else ~_before(k, v, x)

    base = k.const(0, t.int64)
    if isinstance(n, int):
        if n == 0:
            return base
        while n > 1:
            half = n // 2
            base = k.select(passed(base + (half - 1), None), base + half, base)
            n -= half
        return base + k.cast(passed(base, None), t.int64)
    left = k.index(n)
    some = left > 0
    for _ in range(STEPS):
        step = left >> 1
        at = base + k.select(step > 0, step - 1, 0)
        base = k.select(passed(at, some) & (step > 0), base + step, base)
        left = left - step
    return base + k.cast(passed(base, some) & some, t.int64)


def _search_reference(x: Array, v: Array, side: str) -> Array:
    return np.asarray(np.searchsorted(x, v, side), np.int64)  # type: ignore[call-overload]


searchsorted_: Op = pointwise(
    "searchsorted",
    infer=_search_type,
    reference=_search_reference,
    body=_search_body,
    vjp=lambda g, y, x, v, side: (None, None),
    samples=tuple(
        Sample(((n,), shape), {"side": side}, domain=domain)
        for n, shape, side, domain in (
            (1, (3, 4), "left", (-1, 1)), (1, (3, 4), "right", (-1, 1)), (0, (3,), "left", (-1, 1)), (1, (), "right", (0, 1)),
        )
    ),
)  # fmt: skip


def _open_search_type(x: TensorType, v: TensorType, side: str, over: int) -> TensorType:
    if x.rank != over + 1 or x.shape[:over] != v.shape[:over]:
        raise ShapeError(f"searchsorted needs vectors to search in, got {x} for {v}")
    if x.dtype != v.dtype:
        raise DTypeError(f"searchsorted needs equal types, got {x} and {v}")
    return TensorType(t.int64, v.shape)


def _open_search_reference(x: Array, v: Array, side: str, over: int) -> Array:
    if not over:
        return _search_reference(x, v, side)
    found = np.empty(v.shape, np.int64)
    for at in np.ndindex(v.shape[:over]):
        found[at] = _search_reference(x[at], v[at], side)
    return found


def _open_search_code(k: LaneCode, side: str, over: int) -> None:
    """As many halvings as the size needs, for all lanes together."""
    x = k.types["x0"]
    n = x.shape[-1]
    wide = x.dtype.arithmetic
    v, base, left = k.local(wide), k.local(t.int64), k.memory(t.int64)
    row = dims.floordiv(k.place, dims.floordiv(k.count, dims.product(x.shape[:over]))) if over else 0

    def passed(at: Value) -> Value:
        element = k.cast(k.whole(0, *((row,) if over else ()), k.as_index(at)), wide)
        return _before(k, element, k.get(v)) if side == "left" else ~_before(k, k.get(v), element)

    with k.lanes():
        k.put(v, k.cast(k.given(1), wide))
        k.put(base, k.const(0, t.int64))
    k.write(left, k.index(n))
    places = k.cast(k.index(n) - 1, t.float64)
    exponent = (k.bitcast(places, t.int64) >> 52) - 1022  # bits of n - 1, as a float has them; of 0 and -1 none
    steps = k.select(places > 0.0, exponent, 0)
    with k.loop(k.as_index(steps)):
        half = k.read(left) >> 1
        with k.lanes():
            at = k.get(base) + half
            k.put(base, k.select(passed(at - 1), at, k.get(base)))
        k.write(left, k.read(left) - half)
    with k.loop(dims.minimum(n, 1)), k.lanes():
        k.put(base, k.get(base) + k.cast(passed(k.get(base)), t.int64))
    with k.elements():
        k.give(0, k.get(base))


def _open_search_every(size: Size, x: Spread, v: Spread, side: str, over: int) -> list[Spread]:
    if x[1] or over:
        return [(searchsorted_open_(spread(x, size), spread(v, size), side=side, over=over + 1), True)]
    return [(searchsorted_open_(x[0], spread(v, size), side=side, over=0), True)]


searchsorted_open_: Op = host(
    "searchsorted_open", arity=2, infer=_open_search_type, reference=_open_search_reference, every=_open_search_every,
    vjp=lambda g, y, x, v, side, over: (None, None),
    lanes=Lanes((0, 0, 0), _open_search_code, lambda *types, **attrs: True, width=32, shared=(0,)),
    samples=tuple(
        Sample((x, v), {"side": side, "over": over}, domain=domain, prepare=lambda x, v: (np.sort(x, axis=-1), v))
        for x, v, side, over, domain in (
            ((7,), (3, 4), "left", 0, (-9, 9)), ((8,), (3, 4), "right", 0, (-9, 9)), ((0,), (3,), "left", 0, (-1, 1)),
            ((1,), (), "right", 0, (0, 1)), ((5,), (0,), "left", 0, (-1, 1)), ((2, 5), (2, 3), "right", 1, (-9, 9)),
        )
    ),
)  # fmt: skip


def searchsorted(x1: TensorLike, x2: TensorLike, side: str = "left", sorter: TensorLike | None = None) -> Tensor:
    """Where elements of x2 would be put into the sorted vector x1 to keep it sorted, int64 in the shape of x2.

    side="left" is the first such place, "right" the last. NaN is larger than all numbers. sorter: integers that put x1 in order.

    >>> import graphc as gx
    >>> gx.searchsorted(gx.constant([1, 3, 3, 5]), [3, 6], side="right").eval()
    array([3, 4])
    """
    if not isinstance(side, str) or side not in ("left", "right"):
        raise InputError(f"searchsorted: side must be 'left' or 'right', got {side!r}", where=caller())
    (x, v), _ = promote_operands("searchsorted", (x1, x2), comparison)
    if x.ndim != 1:
        raise ShapeError(f"searchsorted needs a vector to search in, got {x.type}", where=caller())
    if sorter is not None and x.shape[0] != 0:
        order = as_tensor(sorter)
        if order.shape != x.shape:
            raise ShapeError(f"searchsorted needs a sorter of x1's shape, got {order.type} for {x.type}", where=caller())
        x = ops.take(x, order, axis=0)
    if isinstance(x.shape[0], int):
        return searchsorted_(x, v, side=side)
    return searchsorted_open_(x, v, side=side, over=0)


def interp(
    x: TensorLike, xp: TensorLike, fp: TensorLike, left: TensorLike | None = None, right: TensorLike | None = None
) -> Tensor:
    """The piecewise linear function through the points (xp, fp), at x; xp increases.

    Outside it is `left` and `right`, by default the first and the last of fp. Operands promote to a common float type.

    >>> import graphc as gx
    >>> gx.interp(gx.constant([0.5, 9.0]), [0.0, 1.0], [10.0, 20.0]).eval()
    array([15., 20.])
    """
    (at, xs, fs), _ = promote_operands("interp", (x, xp, fp), to_float)
    if xs.ndim != 1 or xs.shape != fs.shape or xs.shape[0] == 0:
        raise ShapeError(f"interp needs vectors xp and fp of one size, got {xs.type} and {fs.type}", where=caller())
    last = ops.full((), xs.shape[0], "int64") - 1
    place = ops.clip(searchsorted(xs, at, side="right") - 1, 0, last)
    x0, x1, f0, f1 = (ops.take(v, i, axis=0) for v in (xs, fs) for i in (place, place + 1))
    gap = x1 - x0
    inside = (f1 - f0) / ops.where(gap == 0, 1.0, gap) * (at - x0) + f0
    found = ops.where(at == x0, f0, inside)
    found = ops.where(at < xs[0], fs[0] if left is None else left, found)
    found = ops.where(at > xs[-1], fs[-1] if right is None else right, found)
    return ops.where(ops.isnan(at), at, found)


# --- masks -----------------------------------------------------------------------------------------------------------


def count_nonzero(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements are not zero, over some or all axes, int64."""
    return ops.sum(ops.astype(as_tensor(x), t.bool_), axis=axis, keepdims=keepdims)


def _hits(name: str, mask: Tensor, size: Any) -> tuple[Tensor, Tensor]:
    """The places of the first `size` true elements of a flat mask, its length where there are no more; and which are there."""
    if size is None:
        raise ShapeError(
            f"{name} of {mask.type}: the result's size would be data", where=caller(),
            hint="give size=..., the number of elements wanted; gx.where keeps the shape",
        )  # fmt: skip
    count = normalize_size(name, "size", size)
    place = ops.arange(count)
    sums = ops.cumulative_sum(mask, dtype="int64")
    return searchsorted(sums, place + 1), place < ops.sum(mask)


def nonzero(x: TensorLike, size: Any = None, fill_value: int = 0) -> tuple[Tensor, ...]:
    """The indices of the first `size` elements that are not zero: one vector an axis; `fill_value` where there are no more.

    >>> import graphc as gx
    >>> [i.eval().tolist() for i in gx.nonzero(gx.constant([[0, 3], [5, 0]]), size=3, fill_value=-1)]
    [[0, 1, -1], [1, 0, -1]]
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError(f"nonzero needs at least one axis, got {x.type}", where=caller(), hint="use gx.expand_dims")
    places, there = _hits("nonzero", ops.reshape(ops.astype(x, t.bool_), (-1,)), size)
    found = []
    for axis, n in enumerate(x.shape):
        step = ops.full((), product(x.shape[axis + 1 :]), "int64")
        at = ops.remainder(ops.floor_divide(places, step), ops.full((), n, "int64"))
        found.append(ops.where(there, at, fill_value))
    return tuple(found)


def compress(
    condition: TensorLike, x: TensorLike, axis: int | None = None, size: Any = None, fill_value: TensorLike = 0
) -> Tensor:
    """The first `size` slices of x along an axis (elements of the flattened x if it is None) where a vector is true.

    Where there are no more, all elements are `fill_value`. The condition may be shorter than the axis.

    >>> import graphc as gx
    >>> gx.compress(gx.constant([True, False, True]), gx.constant([1, 2, 3]), size=3).eval()
    array([1, 3, 0])
    """
    x, mask = as_tensor(x), ops.astype(as_tensor(condition), t.bool_)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    place = normalize_axis("compress", axis, x.type)
    n, m = x.shape[place], mask.shape[0] if mask.ndim == 1 else -1
    if mask.ndim != 1 or (isinstance(n, int) and isinstance(m, int) and m > n):
        raise ShapeError(f"compress of {x.type} along {place} needs a vector that is no longer, got {mask.type}", where=caller())
    places, there = _hits("compress", mask, size)
    edge = ops.zeros(tuple(1 if a == place else s for a, s in enumerate(x.shape)), x.dtype)
    taken = ops.take(ops.concat([x, edge], place), places, axis=place)
    return ops.where(ops.reshape(there, tuple(-1 if a == place else 1 for a in range(x.ndim))), taken, fill_value)


def extract(condition: TensorLike, x: TensorLike, size: Any = None, fill_value: TensorLike = 0) -> Tensor:
    """The first `size` elements of x where a condition of its shape is true, and `fill_value` where there are no more.

    >>> import graphc as gx
    >>> x = gx.constant([3.0, -1.0, 2.0])
    >>> gx.extract(x > 0, x, size=2).eval()
    array([3., 2.])
    """
    x, mask = as_tensor(x), as_tensor(condition)
    if mask.shape != x.shape:
        raise ShapeError(f"extract needs a condition of x's shape, got {mask.type} for {x.type}", where=caller())
    return compress(ops.reshape(mask, (-1,)), x, size=size, fill_value=fill_value)
