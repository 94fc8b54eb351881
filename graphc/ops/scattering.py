"""Single elements and slices at places that several arrays of integers name together: gather, and the scatters.

Negative indices count from the end, and what is still out of range is the nearest element, as for `take`. A scatter goes through
its updates in row-major order of the indices, one after the other, so that of equal places the last `set` stands, and sums have
the same bits on any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError, caller
from graphc.ir import combines
from graphc.ir.combines import Combine
from graphc.ir.dims import Size, minimum, product
from graphc.ir.graph import Node
from graphc.ir.operation import Pointwise, Requirement, Sample, Scatter
from graphc.ir.scalar import Scalars
from graphc.ir.types import TensorType
from graphc.ops.declare import Op, build, normalize_size, of_first, some
from graphc.ops.indexing import place, safe
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]
Axes = tuple[int, ...]


def _rest(rank: int, axes: Axes) -> Axes:
    return tuple(a for a in range(rank) if a not in axes)


def _gathered(x: TensorType, indices: tuple[TensorType, ...], axes: Axes, at: int) -> TensorType:
    rest = tuple(x.shape[a] for a in _rest(x.rank, axes))
    return TensorType(x.dtype, (*rest[:at], *indices[0].shape, *rest[at:]))


def _check(name: str, x: TensorType, indices: tuple[TensorType, ...], axes: Axes) -> None:
    if not indices or len(indices) != len(axes) or any(i.shape != indices[0].shape for i in indices):
        raise ShapeError(f"{name} needs an array of indices for each axis, of one shape, got {' and '.join(map(str, indices))}")
    if any(not i.dtype.is_integer for i in indices):
        raise DTypeError(f"{name} needs integer indices, got {' and '.join(map(str, indices))}")
    for axis in axes:
        if x.shape[axis] == 0 and product(indices[0].shape) != 0:
            raise ShapeError(f"{name} at places of an empty axis, got {x} along {axis}")


def _wants(name: str, x: TensorType, indices: tuple[TensorType, ...], axes: Axes) -> list[Requirement]:
    places = product(indices[0].shape)
    if places == 0:
        return []
    least = minimum(places, 1)  # where there are no places, the axis may be empty
    return [Requirement(x.shape[a], ">=", least, f"{name} at places of an empty axis: {x} along {a}") for a in axes]


def _source(
    k: Scalars, index: tuple[Size, ...], shape: tuple[Size, ...], first: int, axes: Axes, at: int
) -> tuple[Size, ...]:  # fmt: skip
    """The place in x of an element of what is gathered; operands `first` on are the indices."""
    rank = k.type(first).rank
    within, rest = index[at : at + rank], iter((*index[:at], *index[at + rank :]))
    found = {axis: place(k, k.load(first + i, within), shape[axis]) for i, axis in enumerate(axes)}
    return tuple(found[a] if a in found else next(rest) for a in range(len(shape)))


# --- gather ----------------------------------------------------------------------------------------------------------


def _gather_type(x: TensorType, *indices: TensorType, axes: Axes, at: int) -> TensorType:
    _check("gather", x, indices, axes)
    return _gathered(x, indices, axes, at)


def _gather_reference(x: Array, *indices: Array, axes: Axes, at: int) -> Array:
    rest = _rest(x.ndim, axes)
    if not indices[0].size:
        return np.zeros((*(x.shape[a] for a in rest[:at]), *indices[0].shape, *(x.shape[a] for a in rest[at:])), x.dtype)
    places = tuple(safe(i, x.shape[a]) for i, a in zip(indices, axes, strict=True))
    found = np.transpose(x, (*axes, *rest))[places]
    rank = indices[0].ndim
    return np.moveaxis(found, tuple(range(rank)), tuple(range(at, at + rank)))


def _gather_body(k: Scalars, index: tuple[Size, ...], axes: Axes, at: int) -> Any:
    return k.load(0, _source(k, index, k.type(0).shape, 1, axes, at))


def _gather_vjp(g: Tensor, y: Tensor, x: Tensor, *indices: Tensor, axes: Axes, at: int) -> tuple[Node | None, ...]:
    return (scatter_add(g, ops.zeros_like(x), *indices, axes=axes, at=at), *(None for _ in indices))


_INT = "int64"
gather: Op = Op(
    "gather", _gather_type, _gather_reference, Pointwise(_gather_body), _gather_vjp,
    (
        Sample(((4, 3, 2), (5,), (5,)), {"axes": (0, 2), "at": 1}, ("", _INT, "int32"), (-5, 5)),
        Sample(((4, 3), (2, 2), (2, 2)), {"axes": (1, 0), "at": 0}, ("", _INT, _INT), (-5, 5)),
        Sample(((2, 3), ()), {"axes": (1,), "at": 1}, ("", "uint8"), (0, 5)),
    ),
    requires=lambda x, *indices, axes, at: _wants("gather", x, indices, axes), partial=some, level=of_first, build=build,
)  # fmt: skip


# --- scatters --------------------------------------------------------------------------------------------------------


def _scatter(
    name: str, combine: Combine, write: Callable[[Array, Array, Array], None], vjp: Callable[..., Any], masks: Any = None
) -> Op:  # fmt: skip
    """A copy of the second operand in which the first is combined into the places that the others name."""

    def infer(update: TensorType, base: TensorType, *indices: TensorType, axes: Axes, at: int) -> TensorType:
        _check(name, base, indices, axes)
        if update != _gathered(base, indices, axes, at):
            raise ShapeError(f"{name} needs an update of {_gathered(base, indices, axes, at)}, got {update}")
        if base.dtype.is_bool and combine in (combines.ADD, combines.MUL):
            raise DTypeError(f"{name} combines numbers, got {base}", hint="use the logical functions, or astype")
        return base

    def reference(update: Array, base: Array, *indices: Array, axes: Axes, at: int) -> Array:
        if not update.size:
            return base.copy()
        rank = indices[0].ndim
        order = (*axes, *_rest(base.ndim, axes))
        sizes = tuple(base.shape[a] for a in axes)
        flat = np.ravel_multi_index(
            tuple(safe(i, n) for i, n in zip(indices, sizes, strict=True)), sizes
        ).reshape(-1)  # fmt: skip
        front = np.ascontiguousarray(np.transpose(base, order))
        rows = front.reshape(math.prod(sizes), -1).copy()
        update = np.moveaxis(update, tuple(range(at, at + rank)), tuple(range(rank)))
        with np.errstate(all="ignore"):
            write(rows, flat, update.reshape(len(flat), -1))
        return np.ascontiguousarray(np.transpose(rows.reshape(front.shape), np.argsort(order)))

    def where(k: Scalars, index: tuple[Size, ...], axes: Axes, at: int) -> tuple[Size, ...]:
        return _source(k, index, k.type(1).shape, 2, axes, at)

    samples = (
        Sample(((5,), (4,), (5,)), {"axes": (0,), "at": 0}, ("", "", _INT), (-5, 5)),
        Sample(((3, 5), (4, 3, 2), (5,), (5,)), {"axes": (0, 2), "at": 1}, ("", "", _INT, "int32"), (-5, 5)),
        Sample(((2, 2), (3, 4), (2, 2), (2, 2)), {"axes": (1, 0), "at": 0}, ("", "", _INT, _INT), (-5, 5)),
    )
    return Op(
        name, infer, reference, Scatter(combine, where, base=1), vjp, samples,
        requires=lambda update, base, *indices, axes, at: _wants(name, base, indices, axes), masks=masks,
        partial=some if combine == combines.SET else None, level=lambda update, base, *indices, **where: (update, base),
        build=build,
    )  # fmt: skip


def _assign(rows: Array, flat: Array, update: Array) -> None:
    rows[flat] = update  # of one array of indices, in its order: the last stands


Where = dict[str, Any]


def _add_vjp(g: Tensor, y: Tensor, update: Tensor, base: Tensor, *indices: Tensor, **where: Any) -> tuple[Node | None, ...]:
    return (gather(g, *indices, **where), g, *(None for _ in indices))


def _set_vjp(g: Tensor, y: Tensor, update: Tensor, base: Tensor, *indices: Tensor, **where: Any) -> tuple[Node | None, ...]:
    """To an update only if it is the last at its place; to the base only where nothing was set."""
    order = ops.reshape(ops.arange(update.size), update.shape)
    last = scatter_set(order, ops.full_like(base, -1, "int64"), *indices, **where)
    mine = gather(last, *indices, **where) == order
    return (
        ops.where(mine, gather(g, *indices, **where), 0.0),
        scatter_set(ops.zeros_like(update), g, *indices, **where),
        *(None for _ in indices),
    )


def _multiply_vjp(g: Tensor, y: Tensor, update: Tensor, base: Tensor, *indices: Tensor, **where: Any) -> tuple[Node | None, ...]:
    """The product of the other factors, as for `prod`: by division where none is 0, else of those that are not."""
    zero = update == 0
    kept = ops.where(zero, ops.ones_like(update), update)
    rest = gather(scatter_multiply(kept, base, *indices, **where), *indices, **where)
    count = scatter_add(ops.astype(zero, g.dtype), ops.zeros_like(base), *indices, **where)
    zeros = gather(count, *indices, **where)
    others = ops.where(zeros == 0, rest / kept, ops.where((zeros == 1) & zero, rest, 0.0))
    factor = scatter_multiply(update, ops.ones_like(base), *indices, **where)
    return (gather(g, *indices, **where) * others, g * factor, *(None for _ in indices))


def _extreme_vjp(g: Tensor, y: Tensor, update: Tensor, base: Tensor, *indices: Tensor, **where: Any) -> tuple[Node | None, ...]:
    """Shared evenly among equal extremes, the base's element among them."""
    hit = ops.astype(update == gather(y, *indices, **where), g.dtype)
    own = ops.astype(base == y, g.dtype)
    share = g / scatter_add(hit, own, *indices, **where)
    return (gather(share, *indices, **where) * hit, share * own, *(None for _ in indices))


def _extreme_taken(op: Op, update: Tensor, base: Tensor, *indices: Tensor, **where: Any) -> tuple[Node | None, ...]:
    """What is no extreme is not taken; where there is a NaN, nothing is left out."""
    y = op(update, base, *indices, **where)
    there = gather(y, *indices, **where)
    hits = ((update == there) | (there != there), (base == y) | (y != y))
    return (*hits, *(None for _ in indices))


scatter_add: Op = _scatter("scatter_add", combines.ADD, np.add.at, _add_vjp)
scatter_set: Op = _scatter("scatter_set", combines.SET, _assign, _set_vjp)
scatter_multiply: Op = _scatter("scatter_multiply", combines.MUL, np.multiply.at, _multiply_vjp)
scatter_max: Op = _scatter(
    "scatter_max", combines.MAX, np.maximum.at, _extreme_vjp, lambda *xs, **where: _extreme_taken(scatter_max, *xs, **where)
)
scatter_min: Op = _scatter(
    "scatter_min", combines.MIN, np.minimum.at, _extreme_vjp, lambda *xs, **where: _extreme_taken(scatter_min, *xs, **where)
)


# --- segments --------------------------------------------------------------------------------------------------------


def _segment(name: str, combine: Combine, op: Op, data: TensorLike, segment_ids: TensorLike, num_segments: Any) -> Tensor:
    x, ids = as_tensor(data), as_tensor(segment_ids)
    if not ids.dtype.is_integer:
        raise DTypeError(f"{name} needs integer segment_ids, got {ids.type}", where=caller(), hint="astype('int64')")
    if ids.ndim > x.ndim or ids.shape != x.shape[: ids.ndim]:
        raise ShapeError(
            f"{name} needs a segment for each element of the leading axes, got data {x.type} and segment_ids {ids.type}",
            where=caller(),
        )
    if x.dtype.is_bool:
        raise DTypeError(f"{name} combines numbers, got {x.type}", where=caller(), hint="astype('int64')")
    count = normalize_size(name, "num_segments", num_segments)
    base = ops.full((count, *x.shape[ids.ndim :]), combine.neutral(x.dtype).value, x.dtype)
    return op(x, base, ids, axes=(0,), at=0)


def segment_sum(data: TensorLike, segment_ids: TensorLike, num_segments: Any) -> Tensor:
    """The sums of the slices of `data` that have the same segment: out[segment_ids[i]] += data[i].

    segment_ids: integers, of the shape of data's leading axes; negative ones count from the end, others out of range go to the
    nearest segment. num_segments: a number or a size. An empty segment is 0.

    >>> import graphc as gx
    >>> gx.segment_sum(gx.constant([1, 2, 3]), [0, 2, 0], 3).eval()
    array([4, 0, 2])
    """
    return _segment("segment_sum", combines.ADD, scatter_add, data, segment_ids, num_segments)


def segment_prod(data: TensorLike, segment_ids: TensorLike, num_segments: Any) -> Tensor:
    """The products of the slices of `data` that have the same segment; 1 where there is none. See `segment_sum`."""
    return _segment("segment_prod", combines.MUL, scatter_multiply, data, segment_ids, num_segments)


def segment_max(data: TensorLike, segment_ids: TensorLike, num_segments: Any) -> Tensor:
    """The largest of the slices of `data` that have the same segment; the smallest number there is where there is none.

    >>> import graphc as gx
    >>> gx.segment_max(gx.constant([1.0, 2.0, 3.0]), [0, 2, 0], 3).eval()
    array([  3., -inf,   2.])
    """
    return _segment("segment_max", combines.MAX, scatter_max, data, segment_ids, num_segments)


def segment_min(data: TensorLike, segment_ids: TensorLike, num_segments: Any) -> Tensor:
    """The smallest of the slices of `data` that have the same segment; the largest number there is where there is none."""
    return _segment("segment_min", combines.MIN, scatter_min, data, segment_ids, num_segments)
