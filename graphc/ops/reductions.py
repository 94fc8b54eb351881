"""Reductions: sum, prod, max, min, any, all, argmax, argmin, and the statistics made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, caller
from graphc.ir import combines
from graphc.ir import types as t
from graphc.ir.dims import Size, product
from graphc.ir.types import DType
from graphc.ops.declare import Op, as_option, check_flag, check_number, normalize_axes, normalize_axis, of_all, reduction
from graphc.ops.storage import in_float32
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]


def _spread(g: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """g of a reduction's result, repeated over the axes that were reduced."""
    kept = ops.reshape(g, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
    return ops.broadcast_to(kept, x.shape)


def _same(name: str, dtype: DType) -> DType:
    return dtype


def _accumulator(name: str, dtype: DType) -> DType:
    """What sums are made in: small integers in the largest."""
    if dtype.is_float:
        return dtype
    return t.uint64 if dtype.kind == "u" else t.int64


def _boolean(name: str, dtype: DType) -> DType:
    if not dtype.is_bool:
        raise DTypeError(f"{name} reduces booleans, got {dtype}")
    return dtype


def _prod_vjp(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor]:
    """The product of the others: of the factors that are not 0, by division; of the zeros, written out while they are few.

    `first` and `second` are the products of one zero and of the other of two. Their values are 0, and 1 is the derivative of
    either by the zero in it, so that this rule's own derivative is exact at zeros too.
    """
    one, none = ops.ones_like(x), ops.zeros_like(x)
    zero = x == 0
    rest = ops.where(zero, one, x)
    product = _spread(prod_(rest, axes=axes), x, axes)
    count = _spread(sum_(ops.astype(zero, x.dtype), axes=axes), x, axes)
    small = ops.where(zero, x, none)
    first = _spread(sum_(small, axes=axes), x, axes)
    second = first - small
    of_zero = ops.where(count == 1, product, ops.where(count == 2, product * second, none))
    of_rest = product / rest
    of_rest = ops.where(count == 0, of_rest, ops.where(count == 1, of_rest * first, none))
    return (_spread(g, x, axes) * ops.where(zero, of_zero, of_rest),)


def _extreme_vjp(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor]:
    """Shared evenly among equal extremes."""
    hit = ops.astype(x == _spread(y, x, axes), g.dtype)
    return (_spread(g / sum_(hit, axes=axes), x, axes) * hit,)


def _arg(name: str, dtype: DType) -> DType:
    return t.int64


sum_ = reduction(
    "sum", combine=combines.ADD, dtype=_accumulator, vjp=lambda g, y, x, axes: (_spread(g, x, axes),), level=of_all,
    reference=lambda x, axes: np.sum(x, axis=axes),
)  # fmt: skip
prod_ = reduction(
    "prod", combine=combines.MUL, dtype=_accumulator, vjp=_prod_vjp, domain=(0.5, 2),
    reference=lambda x, axes: np.prod(x, axis=axes),
)  # fmt: skip
max_: Op = reduction(
    "max", combine=combines.MAX, dtype=_same, vjp=_extreme_vjp, identity=False, reference=lambda x, axes: np.max(x, axis=axes),
    masks=lambda x, axes: (ops.logical_not(x < _spread(max_(x, axes=axes), x, axes)),), level=of_all,
)
min_: Op = reduction(
    "min", combine=combines.MIN, dtype=_same, vjp=_extreme_vjp, identity=False, reference=lambda x, axes: np.min(x, axis=axes),
    masks=lambda x, axes: (ops.logical_not(x > _spread(min_(x, axes=axes), x, axes)),), level=of_all,
)
any_ = reduction(
    "any", combine=combines.OR, dtype=_boolean, vjp=lambda g, y, x, axes: (None,), reference=lambda x, axes: np.any(x, axis=axes)
)
all_ = reduction(
    "all", combine=combines.AND, dtype=_boolean, vjp=lambda g, y, x, axes: (None,), reference=lambda x, axes: np.all(x, axis=axes)
)
argmax_ = reduction(
    "argmax", combine=combines.ARGMAX, dtype=_arg, vjp=lambda g, y, x, axes: (None,), identity=False,
    reference=lambda x, axes: np.asarray(np.argmax(x, axis=axes[0])),
)  # fmt: skip
argmin_ = reduction(
    "argmin", combine=combines.ARGMIN, dtype=_arg, vjp=lambda g, y, x, axes: (None,), identity=False,
    reference=lambda x, axes: np.asarray(np.argmin(x, axis=axes[0])),
)  # fmt: skip


def _reduce(op: Any, x: TensorLike, axis: Axis, keepdims: bool, dtype: object = None) -> Tensor:
    x = as_tensor(x)
    check_flag(op.name, "keepdims", keepdims)
    if dtype is not None:
        x = ops.astype(x, dtype)
    axes = normalize_axes(op.name, axis, x.type)
    result: Tensor = op(x, axes=axes) if axes else ops.astype(x, op.infer(x.type, axes=axes).dtype)
    return _keep(result, x, axes) if keepdims else result


def _keep(y: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return ops.reshape(y, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))


def sum(x: TensorLike, axis: Axis = None, dtype: object = None, keepdims: bool = False) -> Tensor:
    """The sum over some or all axes. Integers and booleans are summed as int64 (uint64 for unsigned ones)."""
    result = _reduce(sum_, x, axis, keepdims, dtype)
    return result if dtype is None else ops.astype(result, dtype)


def prod(x: TensorLike, axis: Axis = None, dtype: object = None, keepdims: bool = False) -> Tensor:
    """The product over some or all axes."""
    result = _reduce(prod_, x, axis, keepdims, dtype)
    return result if dtype is None else ops.astype(result, dtype)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over some or all axes; NaN if there is one."""
    return _reduce(max_, x, axis, keepdims)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over some or all axes; NaN if there is one."""
    return _reduce(min_, x, axis, keepdims)


def any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether some element is true (not zero)."""
    return _reduce(any_, ops.astype(x, t.bool_), axis, keepdims)


def all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element is true (not zero)."""
    return _reduce(all_, ops.astype(x, t.bool_), axis, keepdims)


def _arg_reduce(op: Any, x: TensorLike, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    source = x
    if axis is None:
        x, place = ops.reshape(x, (-1,)), 0
    else:
        place = normalize_axis(op.name, axis, x.type)
    result: Tensor = op(x, axes=(place,))
    check_flag(op.name, "keepdims", keepdims)
    if not keepdims:
        return result
    return _keep(result, source, tuple(range(source.ndim)) if axis is None else (place,))


def argmax(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first largest element (of the first NaN if there is one), int64; of the flattened x if axis is None."""
    return _arg_reduce(argmax_, x, axis, keepdims)


def argmin(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first smallest element (of the first NaN if there is one), int64."""
    return _arg_reduce(argmin_, x, axis, keepdims)


def _count(name: str, x: Tensor, axis: Axis) -> Size:
    axes = normalize_axes(name, axis, x.type)
    return product(x.shape[a] for a in axes)


def _floating(x: TensorLike) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype.is_float else ops.astype(x, t.float64)


@in_float32
def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over some or all axes; integers as float64."""
    x = _floating(x)
    count = ops.full((), _count("mean", x, axis), x.dtype)
    return sum(x, axis, keepdims=keepdims) / count


@in_float32
def var(x: TensorLike, axis: Axis = None, correction: float = 0, keepdims: bool = False, ddof: float | None = None) -> Tensor:
    """The variance over some or all axes: the mean square distance from the mean, over n - correction."""
    x = _floating(x)
    correction, ddof = as_option(correction), as_option(ddof)
    if isinstance(correction, bool) or isinstance(ddof, bool):
        raise DTypeError("var: correction must be a number", where=caller())
    count = ops.full((), _count("var", x, axis), x.dtype)
    off = x - mean(x, axis, keepdims=True)
    drop = correction if ddof is None else ddof
    drop = check_number("var", "the correction", drop)
    left = ops.abs(ops.maximum(count - drop, 0)) if drop else count  # abs: for the gradient of `std`, at 0
    return sum(off * off, axis, keepdims=keepdims) / left


@in_float32
def std(x: TensorLike, axis: Axis = None, correction: float = 0, keepdims: bool = False, ddof: float | None = None) -> Tensor:
    """The standard deviation over some or all axes."""
    return ops.sqrt(var(x, axis, correction, keepdims, ddof))
