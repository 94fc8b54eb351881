"""Diagonals: taken out of two axes, put into two axes, and summed."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.operation import Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import TensorType
from graphc.ops.declare import Op, index_map, normalize_axis, normalize_integer, of_all, pointwise
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]


def _length(rows: Size, columns: Size, offset: int) -> Size:
    return dims.maximum(dims.minimum(dims.sub(rows, max(-offset, 0)), dims.sub(columns, max(offset, 0))), 0)


diagonal_: Op = index_map(
    "diagonal",  # of the last two axes
    shape=lambda x, offset: (*x[:-2], _length(x[-2], x[-1], offset)),
    reference=lambda x, offset: np.diagonal(x, offset, -2, -1),
    partial=lambda x, offset: True,
    index=lambda i, x, offset: (*i[:-1], dims.add(i[-1], max(-offset, 0)), dims.add(i[-1], max(offset, 0))),
    vjp=lambda g, y, x, offset: (put_diagonal_(g, offset=offset, rows=x.shape[-2], columns=x.shape[-1]),),
    samples=(
        Sample(((3, 4),), {"offset": 0}), Sample(((2, 4, 3),), {"offset": -1}), Sample(((3, 4),), {"offset": 2}),
        Sample(((2, 2),), {"offset": 5}),
    ),
)  # fmt: skip


def _put_type(x: TensorType, offset: int, rows: Size, columns: Size) -> TensorType:
    return TensorType(x.dtype, (*x.shape[:-1], rows, columns))


def _put_reference(x: Array, offset: int, rows: int, columns: int) -> Array:
    result = np.zeros((*x.shape[:-1], rows, columns), x.dtype)
    i = np.arange(x.shape[-1])
    result[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return result


def _put_body(k: Scalars, index: tuple[Size, ...], offset: int, rows: Size, columns: Size) -> Any:
    *outer, i, j = index
    at = k.index(i)
    inside = (at + offset == k.index(j)) & (at >= max(-offset, 0))
    place = dims.sub(i, max(-offset, 0))
    return k.select(inside, k.load(0, (*outer, place), inside), k.const(0, k.result.dtype))


put_diagonal_: Op = pointwise(
    "put_diagonal",
    infer=_put_type,
    reference=_put_reference,
    body=_put_body,
    vjp=lambda g, y, x, offset, rows, columns: (diagonal_(g, offset=offset),),
    level=of_all,
    samples=(
        Sample(((2, 3),), {"offset": 0, "rows": 3, "columns": 4}), Sample(((2,),), {"offset": -1, "rows": 4, "columns": 2}),
        Sample(((2,),), {"offset": 1, "rows": 2, "columns": 3}),
    ),
)  # fmt: skip


def _last(name: str, x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """x with two axes at its end."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"{name} needs two axes, got {x.type}", where=caller())
    pair = normalize_axis(name, axis1, x.type), normalize_axis(name, axis2, x.type)
    if pair[0] == pair[1]:
        raise ShapeError(f"{name}: axes {axis1} and {axis2} are one axis of {x.type}", where=caller())
    return ops.permute_dims(x, [*(a for a in range(x.ndim) if a not in pair), *pair])


def diagonal(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements whose indices on two axes are equal (the second larger by `offset`), along a new last axis.

    >>> import graphc as gx
    >>> gx.diagonal(gx.constant([[1, 2], [3, 4]])).eval()
    array([1, 4])
    """
    return diagonal_(_last("diagonal", x, axis1, axis2), offset=normalize_integer("diagonal", "offset", offset))


def trace(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: object = None) -> Tensor:
    """The sum of a diagonal. Integers and booleans are summed as int64 (uint64 for unsigned ones)."""
    line = diagonal_(_last("trace", x, axis1, axis2), offset=normalize_integer("trace", "offset", offset))
    return ops.sum(line, axis=-1, dtype=dtype)


def diag(x: TensorLike, k: int = 0) -> Tensor:
    """A matrix of zeros with a vector on its k-th diagonal; or the k-th diagonal of a matrix.

    >>> import graphc as gx
    >>> gx.diag(gx.constant([1, 2])).eval()
    array([[1, 0],
           [0, 2]])
    """
    x, offset = as_tensor(x), normalize_integer("diag", "k", k)
    if x.ndim == 2:
        return diagonal_(x, offset=offset)
    if x.ndim != 1:
        raise ShapeError(f"diag needs a vector or a matrix, got {x.type}", where=caller())
    size = dims.add(x.shape[0], abs(offset))
    return put_diagonal_(x, offset=offset, rows=size, columns=size)
