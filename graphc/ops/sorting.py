"""Sorting and what needs it: sort, argsort, top_k, median, quantile, percentile, the distinct elements, isin.

NaN counts as larger than every number, so it comes last, and first in descending order. Zeros of both signs are equal.
"""

from __future__ import annotations

import math
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.operation import Requirement, Sample
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import (
    Spread,
    any_type,
    as_option,
    check_flag,
    host,
    normalize_axes,
    normalize_axis,
    normalize_size,
    promote_operands,
    results,
    true_division,
    weak,
    with_leading_axis,
)  # fmt: skip
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]

_SAMPLES = (
    Sample(((7,),), {"axis": 0}), Sample(((3, 5),), {"axis": 1}), Sample(((4, 3),), {"axis": 0}),
    Sample(((2, 5, 3),), {"axis": 1}), Sample(((0,),), {"axis": 0}), Sample(((2, 0),), {"axis": 1}),
)  # fmt: skip


# --- sort ------------------------------------------------------------------------------------------------------------


_PART = 1 << 18  # elements from which a part of a vector is worth a thread


def _sort(out: Array, x: Array, axis: int, threads: int = 1) -> None:
    np.copyto(out, x)
    parts = min(threads, out.size // _PART) if out.ndim == 1 else 1
    if parts > 1:
        cuts = [len(out) * i // parts for i in range(1, parts)]
        out.partition(cuts)
        _sort_each(np.split(out, cuts), parts)
    else:
        out.sort(axis=axis)
    if out.ndim == 1 and out.size >= 2 * _PART:
        _order_zeros(out)


def _sort_each(parts: list[Array], threads: int) -> None:
    _do_each([part.sort for part in parts], threads)


def _do_each(jobs: Sequence[Callable[[], None]], threads: int) -> None:
    """Every job done by whichever thread is free first; this one waits for no thread that has not begun.

    Interrupted, it leaves no thread at work on memory that the next call uses.
    """
    todo = deque(jobs)
    begun: list[SimpleQueue[BaseException | None]] = []  # one for each thread: who begins late must not be taken for who works

    def work() -> None:
        while True:
            try:
                job = todo.popleft()
            except IndexError:
                return
            job()

    def help_out() -> None:
        ended: SimpleQueue[BaseException | None] = SimpleQueue()
        begun.append(ended)
        try:
            work()
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    try:
        for _ in range(threads - 1):
            start_new_thread(help_out, ())
        work()
    finally:
        todo.clear()
        errors = [ended.get() for ended in begun.copy()]
    for error in errors:
        if error is not None:
            raise error


def _order_zeros(x: Array) -> None:
    """-0.0 before 0.0 in a sorted vector: otherwise their order would depend on how it was cut."""
    if x.dtype.kind == "f":
        first, last = (np.searchsorted(x, x.dtype.type(0), side) for side in ("left", "right"))
        negative = np.count_nonzero(np.signbit(x[first:last]))
        x[first : first + negative] = -0.0
        x[first + negative : last] = 0.0


def _sort_vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor]:
    return (ops.put_along_add(g, argsort_(x, axis=axis), axis=axis, size=x.shape[axis]),)


def _sort_every(size: Size, x: Spread, axis: int) -> list[Spread]:
    return with_leading_axis(sort_, size, [x], {"axis": axis + 1})


sort_ = host(
    "sort", infer=lambda x, axis: x, into=_sort, threaded=True, vjp=_sort_vjp, partial=lambda x, axis: False, samples=_SAMPLES,
    every=_sort_every,
)  # fmt: skip

_ROW = 1 << 12  # elements from which a row is worth a call of its own


def _argsort(out: Array, x: Array, axis: int) -> None:
    """What np.argsort(kind="stable") gives, many times faster where rows are long: NumPy sorts 16 bits by their digits."""
    if x.shape[axis] < _ROW or x.dtype.itemsize < 4:
        out[...] = np.argsort(x, axis=axis, kind="stable")
        return
    rows, places = np.moveaxis(x, axis, -1), np.moveaxis(out, axis, -1)
    for at in np.ndindex(rows.shape[:-1]):
        places[at] = _order(np.ascontiguousarray(rows[at]))


def _order(x: Array) -> Array:
    """The places that sort a vector, stably: by its 16 lowest bits first, by the highest last."""
    bits = _ordered_bits(x)
    digits = [bits] if bits.dtype == np.uint32 else [bits.astype(np.uint32), (bits >> np.uint64(32)).astype(np.uint32)]
    order: Array | None = None
    for both in digits:
        for digit in (both.astype(np.uint16), (both >> np.uint32(16)).astype(np.uint16)):
            if np.min(digit) == np.max(digit):
                continue
            order = np.argsort(digit, kind="stable") if order is None else order[np.argsort(digit[order], kind="stable")]
    return np.arange(len(x)) if order is None else order


def _ordered_bits(x: Array) -> Array:
    """uint32 or uint64 that compare as the elements do: of a negative float all bits are turned over, of others the sign."""
    unsigned, signed = (np.uint32, np.int32) if x.dtype.itemsize == 4 else (np.uint64, np.int64)
    bits: Array = x.view(unsigned)
    if x.dtype.kind == "u":
        return bits
    width = 8 * x.dtype.itemsize
    sign = unsigned(1 << (width - 1))
    if x.dtype.kind == "i":
        return bits ^ sign
    positive = x + x.dtype.type(0)  # -0.0 becomes 0.0
    bits = positive.view(unsigned)
    turned: Array = bits ^ ((bits.view(signed) >> (width - 1)).view(unsigned) | sign)
    turned[np.isnan(x)] = unsigned((1 << width) - 1)
    return turned


def _no_gradient(*args: Any, **attrs: Any) -> tuple[None]:
    return (None,)


def _argsort_every(size: Size, x: Spread, axis: int) -> list[Spread]:
    return with_leading_axis(argsort_, size, [x], {"axis": axis + 1})


argsort_ = host(
    "argsort", infer=lambda x, axis: TensorType(t.int64, x.shape), into=_argsort, samples=_SAMPLES, vjp=_no_gradient,
    reference=lambda x, axis: np.argsort(x, axis=axis, kind="stable"), every=_argsort_every,
)  # fmt: skip


def _placed(name: str, x: TensorLike, axis: int) -> tuple[Tensor, int]:
    made = as_tensor(x)
    return made, normalize_axis(name, axis, made.type)


def sort(x: TensorLike, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """x in ascending order along an axis, or in descending order: a symbol of x's shape and dtype.

    NaN comes last (first if descending). Equal elements are not told apart, so `stable` changes nothing. The gradient goes back
    to the places the elements came from, of equal ones in their order.

    >>> import graphc as gx
    >>> gx.sort(gx.constant([2.0, float("nan"), 1.0])).eval()
    array([ 1.,  2., nan])
    """
    x, place = _placed("sort", x, axis)
    check_flag("sort", "descending", descending)
    y = sort_(x, axis=place)
    return ops.flip(y, place) if descending else y


def argsort(x: TensorLike, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The places, int64, that put x in order along an axis; equal elements keep theirs, also if descending, also if not `stable`.

    >>> import graphc as gx
    >>> gx.argsort(gx.constant([2, 1, 2, 3]), descending=True).eval()
    array([3, 0, 2, 1])
    """
    x, place = _placed("argsort", x, axis)
    check_flag("argsort", "descending", descending)
    if not descending:
        return argsort_(x, axis=place)
    last = ops.full((), x.shape[place], t.int64) - 1
    return last - ops.flip(argsort_(ops.flip(x, place), axis=place), place)


# --- the largest -----------------------------------------------------------------------------------------------------


def _top_k_type(x: TensorType, k: int) -> TensorType:
    n = x.shape[-1]
    if isinstance(n, int) and n < k:
        raise ShapeError(f"top_k of the {k} largest needs as many elements, got {x}")
    return TensorType(t.int64, (*x.shape[:-1], k))


def _largest(x: Array, k: int) -> Array:
    """The places of the k largest of every row, by descending size; of equal ones the first."""
    n = x.shape[-1]
    found: Array = n - 1 - np.flip(np.argsort(np.flip(x, -1), axis=-1, kind="stable"), -1)
    return found[..., :k]


_BLOCK = 1 << 21  # elements that are looked through at once


def _top_k(out: Array, x: Array, k: int, threads: int = 1) -> None:
    """Of each row at least k elements are as large as the k-th largest of the maxima of its parts: few more are sorted."""
    n = x.shape[-1]
    if n < 64 or 8 * k > n or not out.size:
        out[...] = _largest(x, k)
        return
    rows, places = x.reshape(-1, n), out.reshape(-1, k)
    parts = min(threads, rows.size // _PART, len(rows))
    step = min(max(1, _BLOCK // n), -(-len(rows) // max(parts, 1)))
    firsts = range(0, len(rows), step)
    jobs = [partial(_top_of_rows, places[first : first + step], rows[first : first + step], k) for first in firsts]
    _do_each(jobs, max(parts, 1))


def _top_of_rows(out: Array, rows: Array, k: int) -> None:
    """Part j of a row holds the elements j, j + parts, j + 2 * parts, ...; the last few of a row are in none."""
    count, n = rows.shape
    parts = min(n // 2, max(32 * k, 256))
    whole = n // parts * parts
    maxima = rows[:, :whole].reshape(count, -1, parts).max(axis=1)
    least = np.partition(maxima, parts - k, axis=-1)[:, parts - k]
    row, part = np.divmod(np.flatnonzero(_as_large(maxima, least[:, np.newaxis])), parts)
    begin = np.searchsorted(row, np.arange(count + 1))
    many = np.flatnonzero(np.diff(begin) > 4 * k + 64)  # many are equal, or NaN
    if len(many):
        for at in many:
            out[at] = _places_of_largest(rows[at], least[at], k)
        kept = np.ones(count, np.bool_)
        kept[many] = False
        if kept.any():
            few: Array = np.empty((count - len(many), k), np.int64)
            _top_of_rows(few, rows[kept], k)
            out[kept] = few
        return
    flat = rows.reshape(-1)
    inside = (row * n + part)[:, np.newaxis] + np.arange(0, whole, parts)
    hit = _as_large(flat[inside], least[row][:, np.newaxis])
    behind = np.flatnonzero(_as_large(rows[:, whole:], least[:, np.newaxis]))
    beyond = behind // max(n - whole, 1) * whole + behind + whole
    found = np.concatenate([inside[hit], beyond])
    found.sort()
    order = found[_largest(flat[found], len(found))]
    in_row = order // n
    by_row = np.argsort(in_row, kind="stable")
    first = np.searchsorted(found, np.arange(count) * n)
    taken = by_row[first[:, np.newaxis] + np.arange(k)]
    np.subtract(order[taken], n * in_row[taken], out=out)


def _as_large(x: Array, least: Array) -> Array:
    """Which elements are at least as large as some, NaN being the largest."""
    hit: Array = x >= least
    return hit if x.dtype.kind in "biu" else hit | np.isnan(x)


def _places_of_largest(row: Array, least: Any, k: int) -> Array:
    """The places of the k largest of a row, all of which are at least as large as `least`."""
    places = np.flatnonzero(_at_most(_as_large(row, least), row, k))
    found: Array = places[_largest(row[places], k)]
    return found


def _at_most(chosen: Array, row: Array, k: int) -> Array:
    """Which are the k largest of those of a row that are chosen, of equal ones the first."""
    places = np.flatnonzero(chosen)
    values = row[places]
    least = np.partition(values, len(values) - k)[len(values) - k]
    if least != least:
        larger, equal = np.zeros(len(values), np.bool_), values != values
    else:
        larger, equal = (values > least) | (values != values), values == least
    kept = np.zeros(len(row), np.bool_)
    kept[places[larger]] = True
    kept[places[equal][: k - np.count_nonzero(larger)]] = True
    return kept


def _enough(x: TensorType, k: int) -> list[Requirement]:
    return [Requirement(x.shape[-1], ">=", k, f"top_k of the {k} largest needs as many elements: {x}")]


def _top_k_every(size: Size, x: Spread, k: int) -> list[Spread]:
    return with_leading_axis(top_k_, size, [x], {"k": k})


top_k_ = host(
    "top_k", infer=_top_k_type, reference=lambda x, k: _largest(x, k), into=_top_k, threaded=True, vjp=_no_gradient,
    requires=_enough, samples=(Sample(((7,),), {"k": 3}), Sample(((2, 5),), {"k": 5}), Sample(((2, 5),), {"k": 0})),
    every=_top_k_every,
)  # fmt: skip


class TopKResult(NamedTuple):
    """The largest elements in descending order, and their places."""

    values: Tensor
    indices: Tensor


def top_k(x: TensorLike, k: int, *, axis: int = -1) -> TopKResult:
    """The k largest elements along an axis, in descending order, and their places (int64).

    NaN counts as largest; of equal elements the first come first. k: at most the size of the axis, else a ShapeError.

    >>> import graphc as gx
    >>> [y.eval().tolist() for y in gx.top_k(gx.constant([3, 9, 4, 9]), 3)]
    [[9, 9, 4], [1, 3, 2]]
    """
    x, place = _placed("top_k", x, axis)
    k = as_option(k)
    if isinstance(k, bool) or not isinstance(k, int) or k < 0:
        raise InputError(f"top_k: k must be an integer of at least 0, got {k!r}", where=caller())
    places = ops.moveaxis(top_k_(ops.moveaxis(x, place, -1), k=int(k)), -1, place)
    if not k:
        return TopKResult(ops.zeros(places.shape, x.dtype), places)
    return TopKResult(ops.take_along_axis(x, places, axis=place), places)


# --- quantiles -------------------------------------------------------------------------------------------------------


def _sorted_front(name: str, x: TensorLike, axis: Axis) -> tuple[Tensor, tuple[int, ...]]:
    """x sorted along its first axis, which is all of `axis` in one; and those axes."""
    x = as_tensor(x)
    if x.dtype.is_bool:
        raise DTypeError(f"{name} needs numbers, got {x.type}", where=caller(), hint="astype first")
    axes = normalize_axes(name, axis, x.type)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    front = ops.permute_dims(x, (*axes, *rest))
    count = TensorType(x.dtype, tuple(x.shape[a] for a in axes)).size
    if count == 0:
        raise ShapeError(f"{name} over an empty axis has no value, got {x.type}", where=caller())
    return sort_(ops.reshape(front, (count, *(x.shape[a] for a in rest))), axis=0), axes


def _element(ordered: Tensor, place: Size) -> Tensor:
    return ops.take(ordered, ops.full((), place, t.int64), axis=0)


def _nan_if_there_is_one(y: Tensor, ordered: Tensor) -> Tensor:
    if not ordered.dtype.is_float:
        return y
    last = ops.astype(_element(ordered, ordered.shape[0] - 1), y.dtype)
    return ops.where(ops.isnan(last), last, y)


def _kept(y: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool, extra: Shape = ()) -> Tensor:
    check_flag("median and quantile", "keepdims", keepdims)
    return ops.reshape(y, (*extra, *(1 if a in axes else n for a, n in enumerate(x.shape)))) if keepdims else y


def median(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle element over some or all axes, or the mean of the two in the middle; NaN where there is a NaN.

    x: numbers; integers give float64. Axes may not be empty.

    >>> import graphc as gx
    >>> gx.median(gx.constant([[5.0, 1.0, 2.0], [7.0, 4.0, 9.0]]), axis=1).eval()
    array([2., 7.])
    """
    x = as_tensor(x)
    ordered, axes = _sorted_front("median", x, axis)
    n = ordered.shape[0]
    y = ordered if ordered.dtype.is_float else ops.astype(ordered, t.float64)
    low, high = _element(y, dims.floordiv(dims.sub(n, 1), 2)), _element(y, dims.floordiv(n, 2))
    odd = ops.equal(ops.full((), dims.sub(n, dims.mul(2, dims.floordiv(n, 2))), t.int64), 1)
    middle = ops.where(odd, low, (low + high) / 2)
    return _kept(_nan_if_there_is_one(middle, y), x, axes, keepdims)


_DISCRETE = ("lower", "higher", "nearest", "inverted_cdf", "closest_observation")
_PARAMETERS = {  # alpha and beta of Hyndman and Fan
    "interpolated_inverted_cdf": (0.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0), "median_unbiased": (1 / 3.0, 1 / 3.0),
    "normal_unbiased": (3 / 8.0, 3 / 8.0),
}  # fmt: skip
_METHODS = ("linear", "midpoint", "averaged_inverted_cdf", *_PARAMETERS, *_DISCRETE)


def _place(method: str, n: Tensor, q: Tensor) -> Tensor:
    """Where among n sorted elements a quantile lies, counted from 0; whole numbers for the discrete methods.

    Hyndman and Fan 1996, "Sample quantiles in statistical packages", Amer. Stat. 50, and four of NumPy's; the arithmetic is
    NumPy's, in its order.
    """
    if method in _PARAMETERS:
        alpha, beta = _PARAMETERS[method]
        return n * q + (alpha + q * (1 - alpha - beta)) - 1
    from_first: Tensor = (n - 1) * q
    match method:
        case "linear":
            return from_first
        case "midpoint":
            return 0.5 * (ops.floor(from_first) + ops.ceil(from_first))
        case "lower":
            return ops.floor(from_first)
        case "higher":
            return ops.ceil(from_first)
        case "nearest":
            return ops.round(from_first)
    at: Tensor = n * q - 1
    if method == "averaged_inverted_cdf":
        return at
    if method == "closest_observation":
        at = at - 0.5
    below = ops.floor(at)
    kept = ops.equal(at, below)
    if method == "closest_observation":
        kept = kept & ops.equal(ops.remainder(below, 2), 1)
    return ops.where(kept, below, below + 1)


def quantile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles over some or all axes, as NumPy computes them; NaN where there is a NaN.

    x: numbers. q: numbers from 0 to 1, of shape [] or [k]; the result has q's axis first, then what is left of x's. method: all
    of NumPy's. Between two elements the result is a float, of x's type where q is a Python number; the discrete methods give
    elements of x. Axes may not be empty.

    >>> import graphc as gx
    >>> gx.quantile(gx.constant([1.0, 2.0, 4.0]), [0.0, 0.75]).eval()
    array([1., 3.])
    """
    return _quantile("quantile", x, q, 1, axis, method, keepdims)


def percentile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """Quantiles, with q from 0 to 100.

    >>> import graphc as gx
    >>> gx.percentile(gx.constant([1.0, 2.0, 4.0]), 75).eval()
    array(3.)
    """
    return _quantile("percentile", x, q, 100, axis, method, keepdims)


def _within(q: Any, whole: int) -> bool:
    """Whether numbers lie between 0 and another; symbols among them are not judged."""
    if isinstance(q, list):
        return not [part for part in q if not _within(part, whole)]
    return isinstance(q, Tensor) or bool((np.greater_equal(q, 0) & np.less_equal(q, whole)).all())


def quantile_without_nan(
    name: str, x: TensorLike, q: TensorLike, whole: int, axis: Axis, method: str, keepdims: bool
) -> Tensor:  # fmt: skip
    """Quantiles of what is not NaN, which every column has a number of its own of; NaN where that is 0."""
    return _quantile(name, x, q, whole, axis, method, keepdims, leave_out=True)


def _quantile(
    name: str, x: TensorLike, q: TensorLike, whole: int, axis: Axis, method: str, keepdims: bool, leave_out: bool = False
) -> Tensor:  # fmt: skip
    if not isinstance(method, str) or method not in _METHODS:
        raise InputError(f"{name}: method is {method!r}", where=caller(), hint=f"one of {', '.join(_METHODS)}")
    x = as_tensor(x)
    q = as_option(q)
    plain = weak(q) is not None
    (wanted,), _ = promote_operands(name, [q], true_division)
    if isinstance(q, (int, float, list, np.ndarray)) and not _within(q, whole):
        raise InputError(f"{name}: q must lie between 0 and {whole}, got {q!r}", where=caller())
    if wanted.ndim > 1:
        raise ShapeError(f"{name}: q must be a number or a vector, got {wanted.type}", where=caller())
    if whole != 1:
        wanted = wanted / whole
    ordered, axes = _sorted_front(name, x, axis)
    leave_out = leave_out and x.dtype.is_float
    wide = (*wanted.shape, *(1,) * (ordered.ndim - 1))
    if leave_out:
        n = ops.astype(ops.sum(ops.logical_not(ops.isnan(ordered)), axis=0), wanted.dtype)
        at = _place(method, n, ops.reshape(wanted, wide))
    else:
        n = ops.full((), ordered.shape[0], wanted.dtype)
        at = _place(method, n, wanted)

    def element(place: Tensor) -> Tensor:
        place = ops.astype(place, t.int64)
        if not leave_out:
            return ops.take(ordered, place, axis=0)
        rows = ops.reshape(place, (-1, *place.shape[wanted.ndim :]))
        return ops.reshape(ops.take_along_axis(ordered, rows, axis=0), place.shape)

    def finished(y: Tensor) -> Tensor:
        y = ops.where(n > 0, y, math.nan) if leave_out else _nan_if_there_is_one(y, ordered)
        return _kept(y, x, axes, keepdims, wanted.shape)

    last = ops.maximum(n - 1, 0) if leave_out else n - 1
    below = ops.clip(ops.floor(at), 0, last)
    low = element(below)
    if method in _DISCRETE:
        return finished(low)
    high = element(ops.clip(ops.floor(at) + 1, 0, last))
    share = at - below
    if method == "averaged_inverted_cdf":
        share = ops.where(ops.equal(share, 0), 0.5, ops.ones_like(share))
    if method == "midpoint":
        share = ops.where(ops.equal(at, ops.floor(at)), ops.zeros_like(share), 0.5)
    back = 1 - share
    closer = share >= 0.5
    if plain and x.dtype.is_float:
        share, back = ops.astype(share, x.dtype), ops.astype(back, x.dtype)
    if not leave_out:
        share, back, closer = (ops.reshape(v, wide) for v in (share, back, closer))
    gap = high - low
    if x.dtype.is_float:  # NumPy's type where q is an array
        low, high, gap = (ops.astype(v, t.promote(v.dtype, share.dtype)) for v in (low, high, gap))
    y = ops.where(closer, high - gap * back, low + gap * share)
    return finished(y)


# --- sets of given size ----------------------------------------------------------------------------------------------


def _unique_type(x: TensorType, size: Size) -> TupleType:
    if x.rank != 1:
        raise ShapeError(f"unique needs a vector, got {x}")
    count = TensorType(t.int64, (size,))
    return TupleType((count, TensorType(t.int64, x.shape), count))


def _unique(x: Array, size: int) -> tuple[Array, Array, Array]:
    """The first place of every distinct element, in their order; which of them each element is; and how often they occur."""
    _, first, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    places, times = np.full(size, first[0] if len(first) else 0, np.int64), np.zeros(size, np.int64)
    places[: len(first)], times[: len(counts)] = first[:size], counts[:size]
    return places, inverse.reshape(x.shape).astype(np.int64, copy=False), times


def _unique_into(out: tuple[Array, Array, Array], x: Array, size: int) -> None:
    places, inverse, times = out
    order = _order(x) if len(x) >= _ROW and x.dtype.itemsize >= 4 else np.argsort(x, kind="stable")
    begin = _beginnings(x[order])
    found = order[begin[:size]]
    places[: len(found)], places[len(found) :] = found, found[0] if len(found) else 0
    numbers = np.zeros(len(x), np.int64)
    numbers[begin[1:]] = 1
    inverse[order] = np.cumsum(numbers)
    _count(times, begin, len(x))


def _beginnings(ordered: Array) -> Array:
    """Where in a sorted vector an element differs from the one before; every NaN does."""
    new = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.flatnonzero(new)


def _count(out: Array, begin: Array, n: int) -> None:
    """How many elements follow each beginning, as many as there is room for; 0 where there are no more."""
    last = len(out)
    there = min(last, len(begin))
    out[:there] = np.append(begin[1 : last + 1], n)[:there] - begin[:there]
    out[there:] = 0


unique_ = host(
    "unique", infer=_unique_type, reference=_unique, into=_unique_into, vjp=_no_gradient,
    samples=tuple(Sample(((n,),), {"size": size}) for n, size in ((7, 7), (5, 2), (3, 5), (0, 2), (4, 0))),
)  # fmt: skip


def _distinct_type(x: TensorType, size: Size) -> TupleType:
    if x.rank != 1:
        raise ShapeError(f"distinct needs a vector, got {x}")
    return TupleType((TensorType(x.dtype, (size,)), TensorType(t.int64, (size,))))


def _distinct(x: Array, size: int) -> tuple[Array, Array]:
    """Every distinct element, in their order, and how often they occur; behind them the smallest, or 0, and 0 times."""
    places, _, counts = _unique(x, size)
    return np.append(x, x.dtype.type(0))[places], counts


def _distinct_into(out: tuple[Array, Array], x: Array, size: int, threads: int = 1) -> None:
    """By counting where integers lie close together; else by sorting, and nothing is told about their places."""
    values, counts = out
    least, largest = (int(x.min()), int(x.max())) if x.size and x.dtype.kind in "biu" else (0, 0)
    if not x.size:
        values[...], counts[...] = 0, 0
    elif x.dtype.kind in "biu" and largest - least < 2 * len(x) + _ROW:
        table = np.bincount(_offsets(x, least))
        found = np.flatnonzero(table)[:size]
        there = len(found)
        values[:there], counts[:there] = _from_offsets(found, least, x.dtype), table[found]
        values[there:], counts[there:] = least, 0
    else:
        ordered = np.empty_like(x)
        _sort(ordered, x, 0, threads)
        begin = _beginnings(ordered)
        there = min(size, len(begin))
        values[:there], values[there:] = ordered[begin[:there]], ordered[0]
        _count(counts, begin, len(x))
        if x.dtype.kind not in "biu":
            _as_they_came_first(values, x, there)


def _offsets(x: Array, least: int) -> Array:
    """How far integers lie above the least one."""
    if x.dtype.itemsize == 8:
        x, least = x - x.dtype.type(least), 0
    offsets: Array = x.astype(np.int64)
    if least:
        offsets -= least
    return offsets


def _from_offsets(offsets: Array, least: int, dtype: Any) -> Array:
    made: Array
    if dtype.itemsize == 8:
        made = offsets.astype(dtype) + dtype.type(least)
        return made
    made = (offsets + least).astype(dtype)
    return made


def _as_they_came_first(values: Array, x: Array, there: int) -> None:
    """Zero has the sign of the first one, and NaN come in the order in which they came: what equal elements do not tell."""
    zeros = values == 0
    if zeros.any():
        values[zeros] = x[np.argmax(x == 0)]
    unordered = np.isnan(values[:there])
    if unordered.any():
        values[:there][unordered] = x[np.isnan(x)][: np.count_nonzero(unordered)]
        if there < len(values) and unordered[0]:
            values[there:] = values[0]


def _distinct_vjp(g: tuple[Tensor | None, ...], y: Any, x: Tensor, size: Size) -> tuple[Tensor | None]:
    """What a value is told goes to the first element that it was."""
    if g[0] is None:
        return (None,)
    (n,) = x.shape
    places = results(unique_(x, size=size))[0]
    return (ops.put_add(g[0], places, axis=0, size=dims.add(n, 1))[:n],)  # of an empty x to the one behind it, which is none


distinct_ = host(
    "distinct", infer=_distinct_type, reference=_distinct, into=_distinct_into, threaded=True, vjp=_distinct_vjp,
    samples=tuple(Sample(((n,),), {"size": size}) for n, size in ((7, 7), (5, 2), (3, 5), (0, 2), (4, 0))),
)  # fmt: skip


class UniqueAllResult(NamedTuple):
    """The distinct elements in order, their first places in the flattened x, which of them each element of x is, how often."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    """The distinct elements in order, and how often they occur."""

    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    """The distinct elements in order, and which of them each element of x is."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: TensorLike, *, size: Any = None, fill_value: Any = None) -> UniqueAllResult:
    """The first `size` of x's distinct elements in order; their first places, each element's number among them, and their counts.

    Every NaN is distinct. Where there are fewer, the rest of the values is fill_value (by default the smallest element, 0 if x is
    empty), with counts of 0. The gradient of a value goes to its first place.

    >>> import graphc as gx
    >>> [y.eval().tolist() for y in gx.unique_all(gx.constant([3, 1, 3]), size=3, fill_value=-1)]
    [[1, 3, -1], [1, 0, 1], [1, 0, 1], [1, 2, 0]]
    """
    return _unique_of("unique_all", x, size, fill_value)


def _flat(name: str, x: TensorLike, size: Any) -> tuple[Tensor, Tensor, Size]:
    """x as a tensor, and flat; the number of distinct elements that are wanted."""
    x = as_tensor(x)
    if size is None:
        raise ShapeError(
            f"{name} of {x.type}: the result's size would be data", where=caller(),
            hint="give size=..., the number of elements wanted: the rest is filled up, or cut off",
        )  # fmt: skip
    return x, ops.reshape(x, (-1,)), normalize_size(name, "size", size)


def _unique_of(name: str, x: TensorLike, size: Any, fill_value: Any) -> UniqueAllResult:
    x, flat, count = _flat(name, x, size)
    places, inverse, counts = results(unique_(flat, size=count))
    padded = ops.concat([flat, ops.zeros((1,), x.dtype)])  # so that an empty x has an element to read
    values = _filled(ops.take(padded, places), counts, fill_value)
    return UniqueAllResult(values, places, ops.reshape(inverse, x.shape), counts)


def _distinct_of(name: str, x: TensorLike, size: Any, fill_value: Any) -> UniqueCountsResult:
    x, flat, count = _flat(name, x, size)
    values, counts = results(distinct_(flat, size=count))
    return UniqueCountsResult(_filled(values, counts, fill_value), counts)


def _filled(values: Tensor, counts: Tensor, fill_value: Any) -> Tensor:
    if fill_value is None:
        return values
    return ops.where(counts > 0, values, ops.astype(as_tensor(fill_value, values.dtype), values.dtype))


def unique_counts(x: TensorLike, *, size: Any = None, fill_value: Any = None) -> UniqueCountsResult:
    """The first `size` of x's distinct elements in order, and how often they occur; see unique_all."""
    return _distinct_of("unique_counts", x, size, fill_value)


def unique_inverse(x: TensorLike, *, size: Any = None, fill_value: Any = None) -> UniqueInverseResult:
    """The first `size` of x's distinct elements in order, and each element's number among all of them; see unique_all."""
    found = _unique_of("unique_inverse", x, size, fill_value)
    return UniqueInverseResult(found.values, found.inverse_indices)


def unique_values(x: TensorLike, *, size: Any = None, fill_value: Any = None) -> Tensor:
    """The first `size` of x's distinct elements in order; see unique_all.

    >>> import graphc as gx
    >>> gx.unique_values(gx.constant([3, 1, 3]), size=2).eval()
    array([1, 3])
    """
    return _distinct_of("unique_values", x, size, fill_value).values


isin_ = host(
    "isin", arity=2, infer=lambda x, elements: TensorType(t.bool_, x.shape), reference=lambda x, elements: np.isin(x, elements),
    vjp=lambda g, y, x, elements: (None, None),
    samples=(Sample(((3, 4), (5,)), domain=(-4, 4)), Sample(((3,), (0,))), Sample(((0,), (2, 2)))),
)  # fmt: skip


def isin(x: TensorLike, test_elements: TensorLike, *, invert: bool = False) -> Tensor:
    """Whether each element of x is among some elements: booleans of x's shape; the opposite if `invert`. NaN is never there.

    >>> import graphc as gx
    >>> gx.isin(gx.constant([1, 2, 3]), [3, 1]).eval()
    array([ True, False,  True])
    """
    check_flag("isin", "invert", invert)
    (a, b), _ = promote_operands("isin", (x, test_elements), any_type)
    found = isin_(a, b)
    return ops.logical_not(found) if invert else found


__all__ = [
    "TopKResult", "UniqueAllResult", "UniqueCountsResult", "UniqueInverseResult", "argsort", "isin", "median",
    "percentile", "quantile", "quantile_without_nan", "sort", "top_k", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
]  # fmt: skip
