"""Running reductions: cumulative_sum, cumulative_prod, cummax, cummin, logcumsumexp and linear_recurrence.

Long axes are cut into blocks of 1024 elements that are combined first, so that a cumulative sum of n floats is within
(1024 + n / 1024 + 2) u of the sum of the magnitudes up to there, u being half a unit in the last place of 1 (one chain of
additions, NumPy's way, has n u); the same on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.ir import combines
from graphc.ir import types as t
from graphc.ir.combines import Combine
from graphc.ir.graph import Node
from graphc.ir.operation import Prefix, Sample
from graphc.ir.types import DType, TensorType
from graphc.ops.declare import (
    Level,
    Op,
    broadcast_shapes,
    build,
    check_flag,
    normalize_axis,
    numeric,
    of_all,
    promote_operands,
    some,
    to_float,
)
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]
_SHAPES = (((3, 4), 1), ((3, 4), 0), ((2, 3, 4), 1), ((5,), 0), ((0, 2), 0), ((2, 0), 1), ((1, 3), 0))


def _prefix(
    name: str,
    combine: Combine,
    reference: Callable[[Array, int], Array],
    vjp: Callable[..., tuple[Node | None, ...]],
    accepts: Callable[[DType], bool],
    domain: tuple[float, float] = (-3.0, 3.0),
    partial: Callable[..., bool] | None = None,
    level: Level = None,
) -> Op:
    def infer(x: TensorType, axis: int) -> TensorType:
        if not accepts(x.dtype):
            raise DTypeError(f"{name} of {x} is not possible", hint="astype to a type in which results can be kept")
        return x

    samples = tuple(Sample((shape,), {"axis": axis}, domain=domain) for shape, axis in _SHAPES)
    return Op(
        name, infer, lambda x, axis: reference(x, axis), Prefix(combine), vjp, samples, partial=partial, level=level, arity=1,
        build=build,
    )  # fmt: skip


def _widest(dtype: DType) -> bool:
    return dtype.is_float or (dtype.is_integer and dtype.itemsize == 8)


def _float(dtype: DType) -> bool:
    return dtype.is_float


def _any(dtype: DType) -> bool:
    return True


def _shifted(x: Tensor, axis: int, by: int, value: float) -> Tensor:
    """x moved along an axis by one place, forwards or backwards; `value` enters."""
    edge = ops.full(tuple(1 if a == axis else n for a, n in enumerate(x.shape)), value, x.dtype)
    long = ops.concat([edge, x] if by > 0 else [x, edge], axis)
    first = 0 if by > 0 else 1
    keys = tuple(slice(first, n + first) if a == axis else slice(None) for a, n in enumerate(x.shape))
    return long[keys]


def _later(g: Tensor, weight: Tensor, axis: int) -> Tensor:
    """r with r[i] = g[i] + weight[i + 1] * r[i + 1]: what reaches a place from all that come after it."""
    weight = _shifted(weight, axis, -1, 0)
    return ops.flip(recurrence_(ops.flip(weight, axis), ops.flip(g, axis), axis=axis), axis)


def _sum_vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    return (ops.flip(cumsum_(ops.flip(g, axis), axis=axis), axis),)


def _prod_vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    """The product of what is before, times the sum of the products of what comes after: no division, so exact at zeros."""
    return (_shifted(y, axis, 1, 1) * _later(g, x, axis),)


def _extreme_vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    """All of it to the first element that was as large."""
    place = ops.reshape(ops.arange(x.shape[axis]), tuple(n if a == axis else 1 for a, n in enumerate(x.shape)))
    new = (y != _shifted(y, axis, 1, 0)) | (place == 0)
    return (ops.where(new, _later(g, ops.astype(~new, g.dtype), axis), 0.0),)


def _gap(a: Tensor, b: Tensor) -> Tensor:
    return ops.where(a == b, 0.0, a - b)  # equal infinities have no difference


def _logsumexp_vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    """exp(x[j]) times the sum over i >= j of g[i] exp(-y[i]), by factors that are at most 1."""
    before = _shifted(y, axis, 1, 0)
    return (ops.exp(_gap(x, y)) * _later(g, ops.exp(_gap(before, y)), axis),)


cumsum_ = _prefix("cumulative_sum", combines.ADD, np.cumsum, _sum_vjp, _widest, level=of_all)
cumprod_ = _prefix("cumulative_prod", combines.MUL, np.cumprod, _prod_vjp, _widest)
cummax_ = _prefix("cummax", combines.MAX, np.maximum.accumulate, _extreme_vjp, _any, partial=some, level=of_all)
cummin_ = _prefix("cummin", combines.MIN, np.minimum.accumulate, _extreme_vjp, _any, partial=some, level=of_all)
logcumsumexp_ = _prefix("logcumsumexp", combines.LOGADDEXP, np.logaddexp.accumulate, _logsumexp_vjp, _float)


def _recurrence_type(a: TensorType, b: TensorType, axis: int) -> TensorType:
    if a != b:
        raise ShapeError(f"linear_recurrence needs operands of one type and shape, got {a} and {b}")
    if a.dtype.is_bool:
        raise DTypeError(f"linear_recurrence needs numbers, got {a} and {b}")
    return b


def _recurrence_reference(a: Array, b: Array, axis: int) -> Array:
    result = b.copy()
    front, factor = np.moveaxis(result, axis, 0), np.moveaxis(a, axis, 0)
    last = np.zeros(front.shape[1:], b.dtype)
    for i in range(len(front)):
        last = front[i] = factor[i] * last + front[i]
    return result


def _recurrence_vjp(g: Tensor, y: Tensor, a: Tensor, b: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    later = _later(g, a, axis)
    return later * _shifted(y, axis, 1, 0), later


recurrence_: Op = Op(
    "linear_recurrence", _recurrence_type, _recurrence_reference, Prefix(combines.RECURRENCE), _recurrence_vjp,
    tuple(Sample((shape, shape), {"axis": axis}) for shape, axis in _SHAPES), arity=2, build=build,
)  # fmt: skip


# --- what users call -------------------------------------------------------------------------------------------------


def _along(name: str, x: Tensor, axis: int | None) -> tuple[Tensor, int]:
    if axis is None:
        return ops.reshape(x, (-1,)), 0
    return x, normalize_axis(name, axis, x.type)


def _accumulate(op: Op, x: TensorLike, axis: int | None, dtype: object, include_initial: bool, first: float) -> Tensor:
    x = as_tensor(x)
    if dtype is None:
        wide = x.dtype if x.dtype.is_float else t.uint64 if x.dtype.kind == "u" else t.int64
        found = wide
    else:
        found = t.as_dtype(dtype)
        wide = found if found.is_float else t.uint64 if found.kind == "u" else t.int64
    x, place = _along(op.name, ops.astype(x, wide), axis)
    result = ops.astype(op(x, axis=place), found)
    check_flag("a running sum or product", "include_initial", include_initial)
    if not include_initial:
        return result
    edge = ops.full(tuple(1 if a == place else n for a, n in enumerate(x.shape)), first, found)
    return ops.concat([edge, result], place)


def cumulative_sum(x: TensorLike, axis: int | None = None, dtype: object = None, include_initial: bool = False) -> Tensor:
    """The sums of the elements along an axis up to each; of the flattened x if axis is None.

    Integers and booleans are summed as int64 (uint64 for unsigned ones). With `include_initial` the result begins with 0 and is
    one longer. The error bound stands at the head of graphc/ops/cumulative.py.

    >>> import graphc as gx
    >>> gx.cumulative_sum(gx.constant([1, 2, 3])).eval()
    array([1, 3, 6])
    """
    return _accumulate(cumsum_, x, axis, dtype, include_initial, 0)


def cumulative_prod(x: TensorLike, axis: int | None = None, dtype: object = None, include_initial: bool = False) -> Tensor:
    """The products of the elements along an axis up to each; of the flattened x if axis is None.

    The gradient divides by nothing, so it is exact where elements are 0, to every order.

    >>> import graphc as gx
    >>> gx.cumulative_prod(gx.constant([1, 2, 3]), include_initial=True).eval()
    array([1, 1, 2, 6])
    """
    return _accumulate(cumprod_, x, axis, dtype, include_initial, 1)


def cummax(x: TensorLike, axis: int | None = None) -> Tensor:
    """The largest element along an axis up to each, NumPy's maximum.accumulate; NaN from the first NaN on.

    Of equal elements the first gets the gradient. Of +0 and -0 the result may be either.

    >>> import graphc as gx
    >>> gx.cummax(gx.constant([1, 3, 2])).eval()
    array([1, 3, 3])
    """
    x, place = _along("cummax", as_tensor(x), axis)
    return cummax_(x, axis=place)


def cummin(x: TensorLike, axis: int | None = None) -> Tensor:
    """The smallest element along an axis up to each, NumPy's minimum.accumulate; NaN from the first NaN on."""
    x, place = _along("cummin", as_tensor(x), axis)
    return cummin_(x, axis=place)


def logcumsumexp(x: TensorLike, axis: int | None = None) -> Tensor:
    """log(cumulative_sum(exp(x))) without overflow, NumPy's logaddexp.accumulate.

    >>> import graphc as gx
    >>> gx.logcumsumexp(gx.constant([1000.0, 1000.0])).eval().round(6)
    array([1000.      , 1000.693147])
    """
    (made,), _ = promote_operands("logcumsumexp", [x], to_float)
    made, place = _along("logcumsumexp", made, axis)
    return logcumsumexp_(made, axis=place)


def linear_recurrence(a: TensorLike, b: TensorLike, axis: int = -1) -> Tensor:
    """y with y[i] = a[i] * y[i - 1] + b[i] along an axis, from y[-1] = 0: moving averages, discounted sums, filters of one pole.

    a and b are numbers that broadcast and promote.

    >>> import graphc as gx
    >>> gx.linear_recurrence(0.5, gx.constant([1.0, 1.0, 1.0])).eval()
    array([1.  , 1.5 , 1.75])
    """
    (x, y), _ = promote_operands("linear_recurrence", (a, b), numeric)
    shape = broadcast_shapes("linear_recurrence", [x.type, y.type])
    x, y = ops.broadcast_to(x, shape), ops.broadcast_to(y, shape)
    return recurrence_(x, y, axis=normalize_axis("linear_recurrence", axis, y.type))
