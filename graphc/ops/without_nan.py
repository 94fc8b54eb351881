"""Reductions and running sums that leave NaN out, under NumPy's names.

What is left out has a gradient of 0. Where nothing is left, a sum is 0, a product 1, and everything else NaN, without a warning.
Integers and booleans have no NaN: for them each is the plain function.
"""

from __future__ import annotations

import math
from typing import Any

from graphc import ops
from graphc.errors import DTypeError, caller
from graphc.ops.declare import check_flag, check_number, normalize_axes
from graphc.ops.sorting import quantile_without_nan
from graphc.ops.storage import in_float32
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor


def _filled(x: TensorLike, value: float) -> Tensor:
    x = as_tensor(x)
    return ops.where(ops.isnan(x), value, x) if x.dtype.is_float else x


def _there(x: Tensor) -> Tensor:
    """Which elements count."""
    return ops.logical_not(ops.isnan(x))


def _floating(x: TensorLike) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype.is_float else ops.astype(x, "float64")


def nansum(x: TensorLike, axis: Axis = None, dtype: object = None, keepdims: bool = False) -> Tensor:
    """The sum over some or all axes of what is not NaN; 0 where there is nothing.

    >>> import graphc as gx
    >>> gx.nansum(gx.constant([1.0, float("nan"), 2.0])).eval()
    array(3.)
    """
    return ops.sum(_filled(x, 0), axis, dtype, keepdims)


def nanprod(x: TensorLike, axis: Axis = None, dtype: object = None, keepdims: bool = False) -> Tensor:
    """The product over some or all axes of what is not NaN; 1 where there is nothing."""
    return ops.prod(_filled(x, 1), axis, dtype, keepdims)


def nancumsum(x: TensorLike, axis: int | None = None, dtype: object = None) -> Tensor:
    """The sums of the elements along an axis up to each, NaN counted as 0; of the flattened x if axis is None."""
    return ops.cumulative_sum(_filled(x, 0), axis, dtype)


def nancumprod(x: TensorLike, axis: int | None = None, dtype: object = None) -> Tensor:
    """The products of the elements along an axis up to each, NaN counted as 1; of the flattened x if axis is None."""
    return ops.cumulative_prod(_filled(x, 1), axis, dtype)


def nanmax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over some or all axes that is not NaN; NaN where there is nothing else.

    >>> import graphc as gx
    >>> gx.nanmax(gx.constant([[1.0, float("nan")], [float("nan"), float("nan")]]), axis=1).eval()
    array([ 1., nan])
    """
    return _extreme(ops.max, -math.inf, x, axis, keepdims)


def nanmin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over some or all axes that is not NaN; NaN where there is nothing else."""
    return _extreme(ops.min, math.inf, x, axis, keepdims)


def _extreme(reduce: Any, least: float, x: TensorLike, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    found: Tensor = reduce(_filled(x, least), axis, keepdims)
    return ops.where(ops.any(_there(x), axis, keepdims), found, math.nan) if x.dtype.is_float else found


def nanargmax(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first largest element that is not NaN, int64; -1 where there is nothing else (NumPy: an error).

    >>> import graphc as gx
    >>> gx.nanargmax(gx.constant([1.0, float("nan"), 3.0])).eval()
    array(2)
    """
    return _place(ops.argmax, -math.inf, x, axis, keepdims)


def nanargmin(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the first smallest element that is not NaN, int64; -1 where there is nothing else."""
    return _place(ops.argmin, math.inf, x, axis, keepdims)


def _place(reduce: Any, least: float, x: TensorLike, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    found: Tensor = reduce(_filled(x, least), axis, keepdims)
    return ops.where(ops.any(_there(x), axis, keepdims), found, -1) if x.dtype.is_float else found


def _count(x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    return ops.astype(ops.sum(_there(x), axis, keepdims=keepdims), x.dtype)


@in_float32
def nanmean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over some or all axes of what is not NaN; NaN where there is nothing. Integers count as float64.

    >>> import graphc as gx
    >>> gx.nanmean(gx.constant([1.0, float("nan"), 2.0])).eval()
    array(1.5)
    """
    x = _floating(x)
    return nansum(x, axis, keepdims=keepdims) / _count(x, axis, keepdims)


@in_float32
def nanvar(x: TensorLike, axis: Axis = None, correction: float = 0, keepdims: bool = False, ddof: float | None = None) -> Tensor:
    """The variance over some or all axes of what is not NaN: the mean square distance from its mean, over the count - correction.

    NaN where the count is not larger than the correction.

    >>> import graphc as gx
    >>> gx.nanvar(gx.constant([1.0, float("nan"), 3.0])).eval()
    array(1.)
    """
    total, left = _squares("nanvar", x, axis, correction, keepdims, ddof)
    return ops.where(left > 0, total / ops.where(left > 0, left, 1.0), math.nan)


@in_float32
def nanstd(x: TensorLike, axis: Axis = None, correction: float = 0, keepdims: bool = False, ddof: float | None = None) -> Tensor:
    """The standard deviation over some or all axes of what is not NaN: the root of `nanvar`."""
    total, left = _squares("nanstd", x, axis, correction, keepdims, ddof)
    some = left > 0
    # Two roots: that of the squares alone has the gradient 0 where all are equal, a count that is data has no sign to show.
    return ops.where(some, ops.sqrt(total) / ops.sqrt(ops.where(some, left, 1.0)), math.nan)


def _squares(
    name: str, x: TensorLike, axis: Axis, correction: float, keepdims: bool, ddof: float | None
) -> tuple[Tensor, Tensor]:
    """The sum of squared distances from the mean, and what it is divided by: the number of elements less the correction."""
    x = _floating(x)
    if isinstance(correction, bool) or isinstance(ddof, bool):
        raise DTypeError(f"{name}: correction must be a number", where=caller())
    drop = correction if ddof is None else ddof
    check_number(name, "the correction", drop)
    off = ops.where(_there(x), x - nanmean(x, axis, keepdims=True), 0.0)
    left = _count(x, axis, keepdims) - drop
    total = ops.sum(off * off, axis, keepdims=keepdims)
    return total, left


def nanmedian(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle element over some or all axes of what is not NaN, or the mean of the two in the middle; NaN of nothing.

    >>> import graphc as gx
    >>> gx.nanmedian(gx.constant([1.0, float("nan"), 3.0, 7.0])).eval()
    array(3.)
    """
    x = as_tensor(x)
    if not x.dtype.is_float:
        return ops.median(x, axis, keepdims)
    axes = normalize_axes("nanmedian", axis, x.type)
    check_flag("nanmedian", "keepdims", keepdims)
    low, high = (quantile_without_nan("nanmedian", x, 0.5, 1, axes, method, keepdims) for method in ("lower", "higher"))
    return ops.where(low == high, low, (low + high) / 2)


def nanquantile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles over some or all axes of what is not NaN; NaN where there is nothing. See `quantile`.

    >>> import graphc as gx
    >>> gx.nanquantile(gx.constant([1.0, float("nan"), 2.0, 4.0]), [0.0, 0.75]).eval()
    array([1., 3.])
    """
    return quantile_without_nan("nanquantile", x, q, 1, axis, method, keepdims)


def nanpercentile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles of what is not NaN, with q from 0 to 100; see `nanquantile`."""
    return quantile_without_nan("nanpercentile", x, q, 100, axis, method, keepdims)


__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod",
    "nanquantile", "nanstd", "nansum", "nanvar",
]  # fmt: skip
