"""Counts and moments: comparisons up to a tolerance, histograms, weighted means, covariances, and what is made of neighbours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Size
from graphc.ops.declare import (
    any_type,
    broadcast_shapes,
    check_flag,
    check_number,
    normalize_axes,
    normalize_axis,
    normalize_integer,
    normalize_size,
    numeric,
    promote_operands,
)  # fmt: skip
from graphc.ops.storage import in_float32
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor

# --- comparisons -----------------------------------------------------------------------------------------------------


def isclose(
    x1: TensorLike, x2: TensorLike, rtol: TensorLike = 1e-05, atol: TensorLike = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Whether |x1 - x2| <= atol + rtol * |x2|, which is not symmetric; equal infinities are close, NaN only if `equal_nan`.

    >>> import graphc as gx
    >>> gx.isclose(gx.constant([1.0, 1.0]), [1.0 + 1e-9, 1.1]).eval()
    array([ True, False])
    """
    check_flag("isclose", "equal_nan", equal_nan)
    (a, b), dtype = promote_operands("isclose", (x1, x2), any_type)
    if not dtype.is_float:
        a, b = ops.astype(a, "float64"), ops.astype(b, "float64")
    a, b = ops.stop_gradient(a), ops.stop_gradient(b)
    close = (ops.abs(a - b) <= ops.add(atol, ops.multiply(rtol, ops.abs(b)))) & ops.isfinite(b)
    found = close | (a == b)
    return found | (ops.isnan(a) & ops.isnan(b)) if equal_nan else found


def allclose(
    x1: TensorLike, x2: TensorLike, rtol: TensorLike = 1e-05, atol: TensorLike = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Whether all elements are close: one boolean; see `isclose`.

    >>> import graphc as gx
    >>> gx.allclose(gx.constant([1.0, 2.0]), [1.0, 2.0 + 1e-9]).eval()
    array(True)
    """
    return ops.all(isclose(x1, x2, rtol, atol, equal_nan))


def array_equal(a1: TensorLike, a2: TensorLike, equal_nan: bool = False) -> Tensor:
    """Whether two arrays have one shape and equal elements: one boolean. NaN equals NaN only if `equal_nan`.

    Sizes that may or may not be equal, such as n and 3, are an error.

    >>> import graphc as gx
    >>> gx.array_equal(gx.constant([1, 2]), [1, 2]).eval(), gx.array_equal(gx.constant([1, 2]), [1]).eval()
    (array(True), array(False))
    """
    check_flag("array_equal", "equal_nan", equal_nan)
    (a, b), dtype = promote_operands("array_equal", (a1, a2), any_type)
    if a.ndim != b.ndim or any(_apart(n, m) for n, m in zip(a.shape, b.shape, strict=True)):
        return ops.constant(False)
    if a.shape != b.shape:
        raise ShapeError(
            f"array_equal: whether {a.type} and {b.type} have one shape is not known", where=caller(),
            hint="give axes one name if they are always equal",
        )  # fmt: skip
    same = a == b
    return ops.all(same | (ops.isnan(a) & ops.isnan(b)) if equal_nan and dtype.is_float else same)


def _apart(n: Size, m: Size) -> bool:
    """Whether sizes are never equal."""
    return n != m and isinstance(dims.sub(n, m), int)


# --- histograms ------------------------------------------------------------------------------------------------------


def _vector(name: str, what: str, x: TensorLike) -> Tensor:
    made = as_tensor(x)
    if made.ndim != 1:
        raise ShapeError(f"{name}: {what} must be a vector, got {made.type}", where=caller())
    return made


def bincount(x: TensorLike, weights: TensorLike | None = None, minlength: Any = 0, *, length: Any = None) -> Tensor:
    """How often each of the numbers 0, 1, ... below `length` is in x, int64; or the sums of the weights of its places.

    x: integers [n]. weights: numbers [n], which keep a float type; others are summed in float64. length: the size of the result,
    which NumPy takes from the data; numbers that are negative or not below it count for nothing. minlength is the least size.
    The gradient of a weight is that of the sum it went to.

    >>> import graphc as gx
    >>> gx.bincount(gx.constant([0, 2, 2]), length=4).eval()
    array([1, 0, 2, 0])
    """
    place = _vector("bincount", "x", x)
    if not place.dtype.is_integer:
        raise DTypeError(f"bincount counts integers, got {place.type}", where=caller(), hint="astype('int64')")
    least = normalize_size("bincount", "minlength", minlength)
    if length is None:
        raise ShapeError(
            f"bincount of {place.type}: the result's size would be data", where=caller(),
            hint="give length=..., one more than the largest number that counts",
        )  # fmt: skip
    size = dims.maximum(normalize_size("bincount", "length", length), least)
    if weights is None:
        worth = ops.ones(place.shape, "int64")
    else:
        worth = as_tensor(weights)
        worth = worth if worth.dtype.is_float else ops.astype(worth, "float64")
        if worth.shape != place.shape:
            raise ShapeError(f"bincount: weights of {worth.type} for {place.type}", where=caller(), hint="one for each element")
    return _counted(ops.astype(place, "int64"), worth, size)


def _counted(place: Tensor, worth: Tensor, size: Size) -> Tensor:
    """Sums by place; what lies outside goes into one place more, which is cut off."""
    outside = (place < 0) | (place >= ops.full((), size, "int64"))
    whole = ops.segment_sum(worth, ops.where(outside, ops.full((), size, "int64"), place), dims.add(size, 1))
    return ops.slice_(whole, start=(0,), step=(1,), size=(size,))


def digitize(x: TensorLike, bins: TensorLike, right: bool = False) -> Tensor:
    """In which of the intervals between sorted numbers each element lies, int64: i where bins[i - 1] <= x < bins[i].

    bins: a vector that rises, or falls (then bins[i - 1] > x >= bins[i]). With `right` the interval has its right end instead.

    >>> import graphc as gx
    >>> gx.digitize(gx.constant([0.2, 6.4, 3.0]), [0.0, 1.0, 2.5, 4.0]).eval()
    array([1, 4, 3])
    """
    check_flag("digitize", "right", right)
    (v, edges), _ = promote_operands("digitize", (x, bins), numeric)
    _vector("digitize", "bins", edges)
    n = edges.shape[0]
    if n == 0:
        return ops.zeros(v.shape, "int64")
    falls = edges[0] > edges[-1]
    place = ops.searchsorted(ops.where(falls, ops.flip(edges), edges), v, side="left" if right else "right")
    return ops.where(falls, ops.full((), n, "int64") - place, place)


def _bounds(name: str, x: Tensor, given: Any) -> tuple[TensorLike, TensorLike]:
    """The ends of a histogram: what is given, or the smallest and the largest element; a half more where they are equal."""
    if given is None:
        if x.size == 0:
            return 0.0, 1.0
        low, high = (ops.stop_gradient(f(x)) for f in (ops.min, ops.max))
        if not x.dtype.is_float:
            low, high = ops.astype(low, "float64"), ops.astype(high, "float64")
        same = low == high
        return ops.where(same, low - 0.5, low), ops.where(same, high + 0.5, high)
    several = isinstance(given, (tuple, list)) or (isinstance(given, np.ndarray) and given.ndim > 0)
    if not several or len(given) != 2:
        raise InputError(f"{name}: range must be a pair (lowest, highest), got {given!r}", where=caller())
    first, last = given
    if any(isinstance(v, Tensor) for v in (first, last)):
        return as_tensor(first), as_tensor(last)
    for v in (first, last):
        check_number(name, "an end of the range", v)
    if not (math.isfinite(first) and math.isfinite(last) and first <= last):
        raise InputError(f"{name}: range is {given!r}", where=caller(), hint="two finite numbers, the smaller one first")
    return (first - 0.5, last + 0.5) if first == last else (first, last)


def histogram_bin_edges(a: TensorLike, bins: Any = 10, range: Any = None) -> Tensor:
    """The edges of so many equal bins, from the smallest to the largest element or over a given range; or those that are given.

    a: numbers of any shape. bins: a number or a size (NumPy's rules that make it from the data are not there: a size cannot be
    data), or rising edges. range: a pair of numbers.

    >>> import graphc as gx
    >>> gx.histogram_bin_edges(gx.constant([0.0, 4.0]), bins=2).eval()
    array([0., 2., 4.])
    """
    return _edges("histogram_bin_edges", _numbers("histogram_bin_edges", a), bins, range)[0]


def _numbers(name: str, a: TensorLike) -> Tensor:
    x = as_tensor(a)
    return ops.astype(x, "uint8") if x.dtype.is_bool else x


def _edges(name: str, x: Tensor, bins: Any, given: Any) -> tuple[Tensor, Size]:
    """The edges, and how many bins there are."""
    if isinstance(bins, str):
        raise InputError(
            f"{name}: bins is {bins!r}", where=caller(), hint="a number of bins, or their edges: a size cannot be data"
        )
    vector = isinstance(bins, (list, tuple, np.ndarray)) or (isinstance(bins, Tensor) and bins.ndim)
    if vector and not (isinstance(bins, np.ndarray) and bins.ndim == 0):
        edges = _vector(name, "bins", ops.stop_gradient(as_tensor(bins)))
        if isinstance(edges.shape[0], int) and edges.shape[0] < 2:
            raise ShapeError(f"{name}: {edges.type} are the edges of no bin", where=caller())
        return edges, dims.sub(edges.shape[0], 1)
    count = bins if isinstance(bins, Dim) else normalize_integer(name, "bins", bins)
    if isinstance(count, int) and count < 1:
        raise ShapeError(f"{name}: bins must be at least 1, got {count}", where=caller())
    first, last = _bounds(name, x, given)
    kind = x.dtype if x.dtype.is_float else t.float64
    return ops.linspace(first, last, dims.add(count, 1), dtype=kind), count


def histogram(
    a: TensorLike, bins: Any = 10, range: Any = None, density: bool | None = None, weights: TensorLike | None = None
) -> tuple[Tensor, Tensor]:
    """How many elements lie in each of some bins, and the edges of the bins; of the last bin the right edge is in it too.

    a, bins, range: see `histogram_bin_edges`. weights: numbers of a's shape that are added up instead; then the counts have their
    type, else int64. density: divide by the total and by the widths, so that the integral is 1. What lies outside counts for
    nothing, and so does NaN. The gradient goes to the weights.

    >>> import graphc as gx
    >>> counts, edges = gx.histogram(gx.constant([0.5, 1.5, 1.7, 9.0]), bins=2, range=(0, 2))
    >>> counts.eval(), edges.eval()
    (array([1, 2]), array([0., 1., 2.]))
    """
    x = _numbers("histogram", a)
    if density is not None:
        check_flag("histogram", "density", density)
    edges, count = _edges("histogram", x, bins, range)
    (v, ends), _ = promote_operands("histogram", (ops.stop_gradient(x), edges), numeric)
    v = ops.reshape(v, (-1,))
    if weights is None:
        worth = ops.ones(v.shape, "int64")
    else:
        worth = as_tensor(weights)
        if worth.shape != x.shape:
            raise ShapeError(f"histogram: weights of {worth.type} for {x.type}", where=caller(), hint="one for each element")
        worth = ops.reshape(ops.astype(worth, "int64") if worth.dtype.is_bool else worth, (-1,))
    place = ops.searchsorted(ends, v, side="right") - 1
    last = ops.full((), count, "int64")
    place = ops.where(v == ends[-1], last - 1, ops.where(ops.isnan(v) if v.dtype.is_float else v != v, last, place))
    counts = _counted(place, worth, count)
    if not density:
        return counts, edges
    part = ops.astype(counts, edges.dtype if edges.dtype.is_float else "float64") if not counts.dtype.is_float else counts
    return part / ops.sum(part) / ops.diff(edges), edges


# --- means and covariances -------------------------------------------------------------------------------------------


def average(
    x: TensorLike, axis: Axis = None, weights: TensorLike | None = None, returned: bool = False, keepdims: bool = False
) -> Any:
    """The mean over some or all axes, weighted if weights are given; with `returned` also the sum of the weights.

    weights: numbers of x's shape, or of the shape of the axes that are averaged over.

    >>> import graphc as gx
    >>> gx.average(gx.constant([1.0, 2.0]), weights=[1.0, 3.0]).eval()
    array(1.75)
    """
    check_flag("average", "returned", returned)
    x = as_tensor(x)
    if weights is None:
        mean = ops.mean(x, axis, keepdims)
        if not returned:
            return mean
        axes = normalize_axes("average", axis, x.type)
        return mean, ops.broadcast_to(ops.full((), ops.product(x.shape[a] for a in axes), mean.dtype), mean.shape)
    (v, w), dtype = promote_operands("average", (x, weights), any_type)
    axes = normalize_axes("average", axis, v.type)
    if w.shape != v.shape:
        if axis is None or w.shape != tuple(v.shape[a] for a in axes):
            raise ShapeError(
                f"average: weights of {w.type} for {v.type}", where=caller(), hint="of the same shape, or of that of the axes"
            )
        w = ops.broadcast_to(ops.reshape(w, tuple(n if a in axes else 1 for a, n in enumerate(v.shape))), v.shape)
    kind = dtype if dtype.is_float else t.float64
    v, w = ops.astype(v, kind.arithmetic), ops.astype(w, kind.arithmetic)
    total = ops.sum(w, axes, keepdims=keepdims)
    mean = ops.astype(ops.sum(v * w, axes, keepdims=keepdims) / total, kind)
    return (mean, ops.astype(total, kind)) if returned else mean


def ptp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest less the smallest element over some or all axes.

    >>> import graphc as gx
    >>> gx.ptp(gx.constant([3, 9, 4])).eval()
    array(6)
    """
    return ops.max(x, axis, keepdims) - ops.min(x, axis, keepdims)


def _rows(name: str, x: TensorLike, rowvar: bool) -> Tensor:
    made = as_tensor(x)
    if made.ndim > 2:
        raise ShapeError(f"{name} needs a vector or a matrix, got {made.type}", where=caller())
    made = made if made.dtype.is_float else ops.astype(made, "float64")
    if made.ndim == 2 and not rowvar and made.shape[0] != 1:
        made = ops.matrix_transpose(made)
    found: Tensor = ops.atleast_2d(made)
    return found


def _weights(name: str, what: str, given: TensorLike | None, rows: Tensor) -> Tensor | None:
    if given is None:
        return None
    w = _vector(name, what, given)
    if w.shape[0] != rows.shape[1]:
        raise ShapeError(f"{name}: {what} of {w.type} for {rows.shape[1]} observations", where=caller())
    return ops.astype(w, rows.dtype)


@in_float32
def cov(
    m: TensorLike, y: TensorLike | None = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: TensorLike | None = None, aweights: TensorLike | None = None,
) -> Tensor:  # fmt: skip
    """The covariances of variables: a matrix, or one number for one variable.

    m: floats, each row a variable and each column an observation (the other way round with rowvar=False); y: more variables.
    The sums are divided by n - 1, by n with `bias`, or by n - ddof; fweights say how often an observation was made, aweights how
    much it counts.

    >>> import graphc as gx
    >>> gx.cov(gx.constant([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).eval()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    return _covariance("cov", m, y, rowvar, bias, ddof, fweights, aweights)


def _covariance(
    name: str, m: TensorLike, y: TensorLike | None, rowvar: bool, bias: bool = False, ddof: int | None = None,
    fweights: TensorLike | None = None, aweights: TensorLike | None = None,
) -> Tensor:  # fmt: skip
    check_flag(name, "rowvar", rowvar)
    check_flag(name, "bias", bias)
    x = _rows(name, m, rowvar)
    if y is not None:
        more = _rows(name, y, rowvar)
        if more.shape[1] != x.shape[1]:
            raise ShapeError(f"{name}: {x.shape[1]} observations of one, {more.shape[1]} of the other", where=caller())
        x = ops.concat([x, more], 0)
    drop = (0 if bias else 1) if ddof is None else normalize_integer(name, "ddof", ddof)
    often, much = _weights(name, "fweights", fweights, x), _weights(name, "aweights", aweights, x)
    w = much if often is None else often if much is None else often * much
    if w is None:
        total = ops.full((), x.shape[1], x.dtype)
        off = x - ops.mean(x, axis=1, keepdims=True)
        left = ops.maximum(total - drop, 0) if drop else total
        return ops.squeeze(off @ (ops.matrix_transpose(off) / left))
    total = ops.sum(w)
    off = x - ops.sum(x * w, axis=1, keepdims=True) / total
    left = total - drop * (total if much is None else ops.sum(w * much) / total) if drop else total
    if drop and much is None:
        left = total - drop
    return ops.squeeze(off @ (ops.matrix_transpose(off * w) / ops.maximum(left, 0)))


@in_float32
def corrcoef(x: TensorLike, y: TensorLike | None = None, rowvar: bool = True) -> Tensor:
    """The correlations of variables: their covariances over the products of their deviations, within -1 and 1; see `cov`.

    >>> import graphc as gx
    >>> gx.corrcoef(gx.constant([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]])).eval().round(6)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    c = _covariance("corrcoef", x, y, rowvar)
    if not c.ndim:
        return c / c
    deviation = ops.sqrt(ops.diagonal(c))
    return ops.clip(c / ops.expand_dims(deviation, 1) / ops.expand_dims(deviation, 0), -1, 1)


# --- neighbours ------------------------------------------------------------------------------------------------------


def ediff1d(x: TensorLike, to_end: TensorLike | None = None, to_begin: TensorLike | None = None) -> Tensor:
    """The differences of neighbours of the flattened x, with numbers before and after them if they are given.

    >>> import graphc as gx
    >>> gx.ediff1d(gx.constant([1, 4, 9]), to_begin=0).eval()
    array([0, 3, 5])
    """
    x = ops.reshape(as_tensor(x), (-1,))
    parts = [ops.diff(x)]
    for value, place in ((to_begin, 0), (to_end, 2)):
        if value is not None:
            parts.insert(place, ops.reshape(as_tensor(value, x.dtype), (-1,)))
    return ops.concat(parts)


@in_float32
def trapezoid(y: TensorLike, x: TensorLike | None = None, dx: TensorLike = 1.0, axis: int = -1) -> Tensor:
    """The integral along an axis of the piecewise linear function through points y, at x or `dx` apart.

    x: a vector of the axis's size, or an array of y's shape. Integers count as float64.

    >>> import graphc as gx
    >>> gx.trapezoid(gx.constant([1.0, 2.0, 3.0]), x=[0.0, 1.0, 3.0]).eval()
    array(6.5)
    """
    y = as_tensor(y)
    y = y if y.dtype.is_float else ops.astype(y, "float64")
    place = normalize_axis("trapezoid", axis, y.type)
    if x is not None:
        at = as_tensor(x)
        if at.ndim == 1:
            if at.shape[0] != y.shape[place]:
                raise ShapeError(f"trapezoid: {at.type} are not the places of {y.type} along {place}", where=caller())
            gap = ops.reshape(ops.diff(at), tuple(-1 if a == place else 1 for a in range(y.ndim)))
        else:
            broadcast_shapes("trapezoid", [at.type, y.type])
            gap = ops.diff(at, axis=axis)
    else:
        gap = as_tensor(dx, y.dtype)
    n = dims.maximum(dims.sub(y.shape[place], 1), 0)
    size = tuple(n if a == place else m for a, m in enumerate(y.shape))
    ends = [tuple(i if a == place else 0 for a in range(y.ndim)) for i in (0, 1)]
    sooner, later = (ops.slice_(y, start=at, step=(1,) * y.ndim, size=size) for at in ends)
    return ops.sum(gap * (sooner + later) / 2, axis=place)


__all__ = [
    "allclose", "array_equal", "average", "bincount", "corrcoef", "cov", "digitize", "ediff1d", "histogram",
    "histogram_bin_edges", "isclose", "ptp", "trapezoid",
]  # fmt: skip
