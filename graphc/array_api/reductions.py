"""Functions over axes: statistics, truth, extremes, running totals, differences."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc.array_api.array import Array, array, data_of
from graphc.array_api.calls import named, ranked, run

Axis = int | tuple[int, ...] | None


def _ranked(name: str, x: Array, **options: Any) -> Array:
    return array(run(name, [data_of(x, name)], ranked([x.shape]), **options))


def sum(x: Array, /, *, axis: Axis = None, dtype: gx.DType | None = None, keepdims: bool = False) -> Array:
    """The sum over some or all axes; integers are added up as int64 or uint64."""
    return _ranked("sum", x, axis=axis, dtype=dtype, keepdims=keepdims)


def prod(x: Array, /, *, axis: Axis = None, dtype: gx.DType | None = None, keepdims: bool = False) -> Array:
    """The product over some or all axes."""
    return _ranked("prod", x, axis=axis, dtype=dtype, keepdims=keepdims)


def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest element; NaN if there is one."""
    return _ranked("max", x, axis=axis, keepdims=keepdims)


def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element; NaN if there is one."""
    return _ranked("min", x, axis=axis, keepdims=keepdims)


def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """The arithmetic mean."""
    return _ranked("mean", x, axis=axis, keepdims=keepdims)


def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The mean square distance from the mean, over n - correction."""
    return _ranked("var", x, axis=axis, correction=correction, keepdims=keepdims)


def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The square root of the variance."""
    return _ranked("std", x, axis=axis, correction=correction, keepdims=keepdims)


def all(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element is true (not zero)."""
    return _ranked("all", x, axis=axis, keepdims=keepdims)


def any(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether some element is true (not zero)."""
    return _ranked("any", x, axis=axis, keepdims=keepdims)


def count_nonzero(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements are not zero."""
    return _ranked("count_nonzero", x, axis=axis, keepdims=keepdims)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the first largest element."""
    return _ranked("argmax", x, axis=axis, keepdims=keepdims)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The index of the first smallest element."""
    return _ranked("argmin", x, axis=axis, keepdims=keepdims)


def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: gx.DType | None = None, include_initial: bool = False
) -> Array:
    """The sums of all elements up to each; `include_initial` puts 0 before them."""
    return _ranked("cumulative_sum", x, axis=axis, dtype=dtype, include_initial=include_initial)


def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: gx.DType | None = None, include_initial: bool = False
) -> Array:
    """The products of all elements up to each; `include_initial` puts 1 before them."""
    return _ranked("cumulative_prod", x, axis=axis, dtype=dtype, include_initial=include_initial)


def diff(x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None) -> Array:
    """The differences of neighbours, n times over."""
    ends = {"prepend": prepend, "append": append}
    given = [key for key, value in ends.items() if value is not None]
    arrays = [data_of(value, "diff") for value in (x, *(ends[key] for key in given))]
    return array(run(_diff, arrays, named([a.shape for a in arrays]), axis=axis, n=n, which=given))


def _diff(x: gx.Tensor, *ends: gx.Tensor, axis: int, n: int, which: tuple[str, ...]) -> gx.Tensor:
    return gx.diff(x, axis=axis, n=n, **dict(zip(which, ends, strict=True)))
