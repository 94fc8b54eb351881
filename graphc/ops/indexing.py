"""Elements chosen by data: take, take_along_axis, one_hot, and the scatters that are their adjoints.

A negative index counts from the end; an index that is still out of range reads (and its gradient goes to) the nearest
element. Both backends do so, and nothing outside an array is ever touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError, caller
from graphc.ir import combines
from graphc.ir import types as t
from graphc.ir.dims import Size, minimum
from graphc.ir.operation import Pointwise, Requirement, Sample, Scatter
from graphc.ir.scalar import Scalars, Value
from graphc.ir.types import TensorType
from graphc.ops.declare import Op, build, normalize_axis, normalize_size, of_first, some
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]


def place(k: Scalars, index: Value, size: Size) -> Size:
    """An index as data, made safe for an axis."""
    at, n = k.cast(index, t.int64), k.index(size)
    at = k.select(at < 0, at + n, at)
    at = k.select(at < 0, k.const(0, t.int64), at)
    return k.as_index(k.select(at >= n, n - 1, at))


def safe(indices: Array, size: int) -> Array:
    """The same in NumPy."""
    wide = indices.astype(np.int64)
    return np.clip(np.where(wide < 0, wide + size, wide), 0, size - 1)


def _nonempty(name: str) -> Any:
    def requires(x: TensorType, indices: TensorType, axis: int) -> list[Requirement]:
        if x.shape[axis] in indices.shape or indices.size == 0:
            return []  # where there is nothing to take from, nothing is taken
        least = minimum(indices.size, 1)
        return [Requirement(x.shape[axis], ">=", least, f"{name} from an empty axis: {x} along {axis}")]

    return requires


# --- take: whole slices along an axis ---------------------------------------------------------------------------------


def _take_type(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    if x.shape[axis] == 0 and indices.size != 0:
        raise ShapeError(f"take from an empty axis, got {x} along {axis}")
    return TensorType(x.dtype, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _take_body(k: Scalars, index: tuple[Size, ...], axis: int) -> Any:
    rank = k.type(1).rank
    at = place(k, k.load(1, index[axis : axis + rank]), k.type(0).shape[axis])
    return k.load(0, (*index[:axis], at, *index[axis + rank :]))


take_ = Op(
    "take", _take_type, lambda x, indices, axis: np.take(x, safe(indices, x.shape[axis]), axis), Pointwise(_take_body),
    lambda g, y, x, indices, axis: (put_add(g, indices, axis=axis, size=x.shape[axis]), None),
    (Sample(((4, 3), (2, 5)), {"axis": 0}, ("", "int64"), (-6, 6)), Sample(((2, 4), ()), {"axis": 1}, ("", "int32"), (-6, 6))),
    requires=_nonempty("take"), partial=some, level=of_first, arity=2, build=build,
)  # fmt: skip


def _put_type(g: TensorType, indices: TensorType, axis: int, size: Size) -> TensorType:
    _addable("put_add", g)
    return TensorType(g.dtype, (*g.shape[:axis], size, *g.shape[axis + indices.rank :]))


def _put_reference(g: Array, indices: Array, axis: int, size: int) -> Array:
    front = np.moveaxis(g.reshape(*g.shape[:axis], indices.size, *g.shape[axis + indices.ndim :]), axis, 0)
    result = np.zeros((size, *front.shape[1:]), g.dtype)
    if size:
        np.add.at(result, safe(indices, size).reshape(-1), front)
    return np.moveaxis(result, 0, axis)


def _put_place(k: Scalars, index: tuple[Size, ...], axis: int, size: Size) -> tuple[Size, ...]:
    rank = k.type(1).rank
    at = place(k, k.load(1, index[axis : axis + rank]), size)
    return (*index[:axis], at, *index[axis + rank :])


put_add: Op = Op(
    "put_add", _put_type, _put_reference, Scatter(combines.ADD, _put_place),
    lambda g, y, x, indices, axis, size: (take_(g, indices, axis=axis), None),
    (Sample(((2, 5, 3), (2, 5)), {"axis": 0, "size": 4}, ("", "int64"), (-5, 5)),), level=of_first, arity=2, build=build,
)  # fmt: skip


def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """Slices of x along an axis, in the order of an array of integers; of the flattened x if axis is None.

    >>> import graphc as gx
    >>> gx.take(gx.constant([10, 20, 30]), [2, 0, -1]).eval()
    array([30, 10, 30])
    """
    x, indices = as_tensor(x), _indices("take", indices)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
    return take_(x, indices, axis=normalize_axis("take", axis, x.type))


def _indices(name: str, value: TensorLike) -> Tensor:
    indices = as_tensor(value)
    if not indices.dtype.is_integer:
        raise DTypeError(f"{name} needs integer indices, got {indices.type}", where=caller(), hint="astype('int64')")
    return indices


# --- take_along_axis: single elements along an axis --------------------------------------------------------------------


def _along_type(x: TensorType, indices: TensorType, axis: int) -> TensorType:
    same = x.rank == indices.rank and all(
        a == axis or n == m for a, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True))
    )
    if not same:
        raise ShapeError(f"take_along_axis along {axis} needs equal other axes, got {x} and {indices}")
    if x.shape[axis] == 0 and indices.size != 0:
        raise ShapeError(f"take_along_axis from an empty axis, got {x} along {axis}")
    return TensorType(x.dtype, indices.shape)


def _along_body(k: Scalars, index: tuple[Size, ...], axis: int) -> Any:
    at = place(k, k.load(1, index), k.type(0).shape[axis])
    return k.load(0, (*index[:axis], at, *index[axis + 1 :]))


along_ = Op(
    "take_along_axis", _along_type, lambda x, indices, axis: np.take_along_axis(x, safe(indices, x.shape[axis]), axis),
    Pointwise(_along_body), lambda g, y, x, indices, axis: (put_along_add(g, indices, axis=axis, size=x.shape[axis]), None),
    (Sample(((3, 4), (3, 2)), {"axis": 1}, ("", "int64"), (-5, 5)), Sample(((2, 0), (2, 0)), {"axis": 1}, ("", "int64"))),
    requires=_nonempty("take_along_axis"), partial=some, level=of_first, arity=2, build=build,
)  # fmt: skip


def _addable(name: str, g: TensorType) -> None:
    if g.dtype.is_bool:
        raise DTypeError(f"{name} adds numbers, got {g}")


def _put_along_type(g: TensorType, indices: TensorType, axis: int, size: Size) -> TensorType:
    _addable("put_along_add", g)
    return TensorType(g.dtype, (*g.shape[:axis], size, *g.shape[axis + 1 :]))


def _put_along_reference(g: Array, indices: Array, axis: int, size: int) -> Array:
    result = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    if size and g.size:
        grid: list[Array] = list(np.indices(g.shape))
        grid[axis] = safe(indices, size)
        np.add.at(result, tuple(grid), g)
    return result


def _put_along_place(k: Scalars, index: tuple[Size, ...], axis: int, size: Size) -> tuple[Size, ...]:
    return (*index[:axis], place(k, k.load(1, index), size), *index[axis + 1 :])


put_along_add: Op = Op(
    "put_along_add", _put_along_type, _put_along_reference, Scatter(combines.ADD, _put_along_place),
    lambda g, y, x, indices, axis, size: (along_(g, indices, axis=axis), None),
    (Sample(((3, 2), (3, 2)), {"axis": 1, "size": 4}, ("", "int64"), (-5, 5)),), level=of_first, arity=2, build=build,
)  # fmt: skip


def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """One element of x along an axis for every element of `indices`, which matches x in the other axes."""
    x, indices = as_tensor(x), _indices("take_along_axis", indices)
    place = normalize_axis("take_along_axis", axis, x.type)
    if x.ndim == indices.ndim:
        other = [ops.broadcast_shapes("take_along_axis", [TensorType(x.dtype, (n,)), TensorType(x.dtype, (m,))])[0]
                 if a != place else 0 for a, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True))]  # fmt: skip
        x = ops.broadcast_to(x, tuple(x.shape[a] if a == place else n for a, n in enumerate(other)))
        indices = ops.broadcast_to(indices, tuple(indices.shape[a] if a == place else n for a, n in enumerate(other)))
    return along_(x, indices, axis=place)


def one_hot(indices: TensorLike, num_classes: Any, dtype: object = "float32", axis: int = -1) -> Tensor:
    """Ones where a new axis's position equals the index, zeros elsewhere; an index out of range gives zeros.

    >>> import graphc as gx
    >>> gx.one_hot(gx.constant([1, 0]), 3).eval()
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    indices = _indices("one_hot", indices)
    count = normalize_size("one_hot", "num_classes", num_classes)
    hot = ops.equal(
        ops.expand_dims(indices, -1), ops.arange(count, dtype=indices.dtype if indices.dtype.itemsize > 2 else t.int64)
    )
    result = ops.astype(hot, dtype)
    return result if axis in (-1, indices.ndim) else ops.moveaxis(result, -1, axis)
