"""Vectors as signals and polynomials, the indices of grids and triangles, and windows: NumPy's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Size
from graphc.ops.convolution import windows
from graphc.ops.declare import (
    any_type,
    listed,
    normalize_axis,
    normalize_integer,
    normalize_size,
    numeric,
    promote_operands,
    to_float,
)  # fmt: skip
from graphc.ops.parts import in_range
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor

# --- convolution of vectors ------------------------------------------------------------------------------------------


def _two_vectors(name: str, a: TensorLike, v: TensorLike, mode: str) -> tuple[Tensor, Tensor]:
    if not isinstance(mode, str) or mode not in ("full", "same", "valid"):
        raise InputError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}", where=caller())
    (x, w), _ = promote_operands(name, (a, v), numeric)
    x, w = (ops.reshape(y, (1,)) if y.ndim == 0 else y for y in (x, w))
    if x.ndim != 1 or w.ndim != 1 or 0 in (x.shape[0], w.shape[0]):
        raise ShapeError(f"{name} needs two vectors that are not empty, got {x.type} and {w.type}", where=caller())
    return x, w


def _slid(x: Tensor, w: Tensor, start: Size, size: Size) -> Tensor:
    """out[i] = sum over j of x[i + j + start] * w[j], with zeros around x. The longer one is x where that is known."""
    m = w.shape[0]
    column = ops.reshape(x, (x.shape[0], 1))
    wide = ops.broadcast_to(column, (x.shape[0], m))
    seen = ops.slide(wide, axes=(0,), taps=(1,), by=(1,), along=(1,), start=(start,), over=(1,), size=(size,), fill=0)
    return ops.matmul(seen, w)


def _extent(n: Size, m: Size, mode: str) -> tuple[Size, Size]:
    """Where the part of the whole convolution that a mode wants begins, and its size."""
    if mode == "full":
        return 0, dims.sub(dims.add(n, m), 1)
    less, more = dims.minimum(n, m), dims.maximum(n, m)
    if mode == "same":
        return dims.sub(dims.sub(less, 1), dims.floordiv(less, 2)), more
    return dims.sub(less, 1), dims.add(dims.sub(more, less), 1)


def convolve(a: TensorLike, v: TensorLike, mode: str = "full") -> Tensor:
    """The convolution of two vectors, out[i] = sum over j of a[j] * v[i - j]: the product of two polynomials, a filter's answer.

    a [n], v [m]: numbers of fixed or named sizes. mode: "full" gives all n + m - 1 places, "same" the max(n, m) in the middle,
    "valid" those where the two lie upon each other altogether. It is a product with an index map of one of the two, which is not
    stored; `gx.nn.conv` is the one of images and batches.

    >>> import graphc as gx
    >>> gx.convolve(gx.constant([1, 2, 3]), [0, 1]).eval()
    array([0, 1, 2, 3])
    """
    x, w = _two_vectors("convolve", a, v, mode)
    first, size = _extent(x.shape[0], w.shape[0], mode)
    if _shorter(x.shape[0], w.shape[0]):
        x, w = w, x
    return _slid(x, ops.flip(w), dims.add(dims.sub(1, w.shape[0]), first), size)


def _shorter(n: Size, m: Size) -> bool:
    """Whether n is known to be less than m."""
    return dims.is_nonnegative(dims.sub(dims.sub(m, n), 1)) or (isinstance(n, int) and not isinstance(m, int))


def correlate(a: TensorLike, v: TensorLike, mode: str = "valid") -> Tensor:
    """The correlation of two vectors, out[k] = sum over j of a[j + k] * v[j], for k from 1 - len(v) on; see `convolve`.

    mode "same" of sizes of which it is not known which is larger is an error: the middle lies by one place to this or that side.

    >>> import graphc as gx
    >>> gx.correlate(gx.constant([1, 2, 3]), [0, 1, 2], "same").eval()
    array([5, 8, 3])
    """
    x, w = _two_vectors("correlate", a, v, mode)
    n, m = x.shape[0], w.shape[0]
    first, size = _extent(n, m, mode)
    if mode == "same" and n != m:
        if dims.is_nonnegative(dims.sub(dims.sub(m, n), 1)):  # NumPy exchanges the two, and turns the result round
            first = dims.sub(dims.sub(dims.sub(dims.add(n, m), 1), size), first)
        elif not dims.is_nonnegative(dims.sub(n, m)):
            raise ShapeError(
                f"correlate: which of {x.type} and {w.type} is longer is not known", where=caller(),
                hint="mode='full' and a slice",
            )  # fmt: skip
    return _slid(x, w, dims.add(dims.sub(1, m), first), size)


def sliding_window_view(x: TensorLike, window_shape: int | Sequence[int], axis: Axis = None) -> Tensor:
    """Every window of x of a fixed size, along new last axes: out[i, ..., j] = x[i + j, ...]; NumPy's, of np.lib.stride_tricks.

    window_shape: an integer, or one for each of the axes; axis: all of them by default. No array of windows is stored where the
    result is only read: it is an index map. `[::step]` takes every so many, as a short-time Fourier
    transform does; `gx.data.audio.frame` does so with a much faster gradient.

    >>> import graphc as gx
    >>> gx.sliding_window_view(gx.arange(4), 2).eval()
    array([[0, 1],
           [1, 2],
           [2, 3]])
    """
    x = as_tensor(x)
    name = "sliding_window_view"
    many = isinstance(window_shape, (tuple, list))
    sizes = [normalize_integer(name, "window_shape", n) for n in (window_shape if many else [window_shape])]  # type: ignore[union-attr]
    chosen = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [normalize_axis(name, a, x.type) for a in chosen]
    if len(axes) != len(sizes) or len(set(axes)) < len(axes):
        raise ShapeError(f"{name}: windows {window_shape} for axes {list(axes)} of {x.type}", where=caller(), hint="one an axis")
    for a, n in zip(axes, sizes, strict=True):
        whole = x.shape[a]
        if n < 1 or (isinstance(whole, int) and n > whole):
            raise ShapeError(f"{name}: a window of {n} of {x.type} along {a}", where=caller())
    ones = (1,) * len(axes)
    count = tuple(dims.maximum(dims.sub(x.shape[a], n - 1), 0) for a, n in zip(axes, sizes, strict=True))
    return windows(x, tuple(axes), tuple(sizes), ones, ones, (0,) * len(axes), count)


# --- polynomials -----------------------------------------------------------------------------------------------------


def polyval(p: TensorLike, x: TensorLike) -> Tensor:
    """The polynomial of coefficients p, the highest power first, at x: Horner's rule.

    p: a vector; of a named size it is a sum of powers. x: numbers of any shape.

    >>> import graphc as gx
    >>> gx.polyval(gx.constant([1.0, 0.0, -2.0]), gx.constant([0.0, 3.0])).eval()
    array([-2.,  7.])
    """
    (c, v), _ = promote_operands("polyval", (p, x), numeric)
    if c.ndim != 1:
        raise ShapeError(f"polyval: the coefficients must be a vector, got {c.type}", where=caller())
    if isinstance(c.shape[0], Dim):
        return ops.matmul(vander(ops.reshape(v, (-1,)), c.shape[0]), c).reshape(v.shape)
    found = ops.zeros_like(v)
    for i in range(c.shape[0]):
        found = found * v + c[i]
    return found


def vander(x: TensorLike, N: Any = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements as columns, the highest first unless `increasing`: Vandermonde's matrix.

    N: how many columns, a number or a size; by default as many as rows.

    >>> import graphc as gx
    >>> gx.vander(gx.constant([2, 3]), 3).eval()
    array([[4, 2, 1],
           [9, 3, 1]])
    """
    v = as_tensor(x)
    if v.ndim != 1:
        raise ShapeError(f"vander needs a vector, got {v.type}", where=caller())
    v = ops.astype(v, "int64") if v.dtype.is_bool else v
    ops.check_flag("vander", "increasing", increasing)
    count = v.shape[0] if N is None else normalize_size("vander", "N", N)
    place = ops.arange(count)
    factors = ops.where(place == 0, 1, ops.expand_dims(v, 1))
    powers = ops.cumulative_prod(factors, axis=1)
    return powers if increasing else ops.flip(powers, 1)


def inner(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The sum of products over the last axes of both; of a number and an array their product.

    >>> import graphc as gx
    >>> gx.inner(gx.constant([1, 2]), [3, 4]).eval()
    array(11)
    """
    (a, b), _ = promote_operands("inner", (x1, x2), numeric)
    if not a.ndim or not b.ndim:
        return a * b
    return ops.tensordot(a, b, axes=((-1,), (-1,)))


def vdot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The sum of products of all elements of two arrays of one size.

    >>> import graphc as gx
    >>> gx.vdot(gx.constant([[1, 2], [3, 4]]), [[1, 0], [0, 1]]).eval()
    array(5)
    """
    a, b = as_tensor(x1), as_tensor(x2)
    return ops.vecdot(ops.reshape(a, (-1,)), ops.reshape(b, (-1,)))


# --- indices ---------------------------------------------------------------------------------------------------------


def unravel_index(indices: TensorLike, shape: Any) -> tuple[Tensor, ...]:
    """Places in a flattened array as places along its axes, one array an axis.

    indices: integers; negative ones, which NumPy refuses, count round. shape: numbers and sizes.

    >>> import graphc as gx
    >>> [i.eval().tolist() for i in gx.unravel_index(gx.constant([5, 2]), (2, 3))]
    [[1, 0], [2, 2]]
    """
    place = as_tensor(indices)
    if not place.dtype.is_integer:
        raise InputError(f"unravel_index needs integers, got {place.type}", where=caller())
    sizes = _sizes("unravel_index", shape)
    place = ops.astype(place, "int64")
    found = []
    for n in reversed(sizes):
        size = ops.full((), n, "int64")
        found.append(ops.remainder(place, size))
        place = ops.floor_divide(place, size)
    return tuple(reversed(found))


def _sizes(name: str, shape: Any) -> list[Size]:
    single = not isinstance(shape, (tuple, list)) and not (isinstance(shape, np.ndarray) and shape.ndim)
    return [normalize_size(name, "a size", n) for n in ([shape] if single else list(shape))]


def ravel_multi_index(multi_index: Sequence[TensorLike], dims: Any, mode: str = "raise") -> Tensor:
    """Places along the axes of an array of sizes `dims` as places in the flattened array, int64.

    multi_index: integers, one array an axis, that broadcast. Out of range, mode "wrap" counts round and "clip" takes the nearest;
    "raise" cannot raise while a compiled program runs: see `choose`.

    >>> import graphc as gx
    >>> gx.ravel_multi_index((gx.constant([1, 0]), [2, 2]), (2, 3)).eval()
    array([5, 2])
    """
    sizes = _sizes("ravel_multi_index", dims)
    places = [as_tensor(i) for i in listed("ravel_multi_index", "multi_index", multi_index)]
    if len(places) != len(sizes) or not sizes:
        raise ShapeError(f"ravel_multi_index: {len(places)} indices for {len(sizes)} axes", where=caller())
    found: Tensor | None = None
    for place, n in zip(places, sizes, strict=True):
        if not place.dtype.is_integer:
            raise InputError(f"ravel_multi_index needs integers, got {place.type}", where=caller())
        at = in_range("ravel_multi_index", ops.astype(place, "int64"), n, mode)
        found = at if found is None else found * ops.full((), n, "int64") + at
    assert found is not None
    return found


def tri(N: Any, M: Any = None, k: int = 0, dtype: object = "float64") -> Tensor:
    """Ones on and below the k-th diagonal of a matrix of N rows and M columns, zeros above.

    >>> import graphc as gx
    >>> gx.tri(2, 3, dtype="int64").eval()
    array([[1, 0, 0],
           [1, 1, 0]])
    """
    rows = normalize_size("tri", "N", N)
    columns = rows if M is None else normalize_size("tri", "M", M)
    return ops.tril(ops.ones((rows, columns), t.as_dtype(dtype)), normalize_integer("tri", "k", k))


def identity(n: Any, dtype: object = "float64") -> Tensor:
    """The square matrix of zeros with ones on its diagonal; see `eye`."""
    return ops.eye(normalize_size("identity", "n", n), dtype=dtype)


def _triangle(name: str, find: Callable[..., Any], n: Any, k: int, m: Any) -> tuple[Tensor, Tensor]:
    rows, columns = normalize_size(name, "n", n), normalize_size(name, "m", n if m is None else m)
    if isinstance(rows, Dim) or isinstance(columns, Dim):
        raise ShapeError(
            f"{name} of the named size {rows if isinstance(rows, Dim) else columns}: the number of places would be no size",
            where=caller(), hint="gx.tril and gx.triu keep the shape",
        )  # fmt: skip
    if rows * columns > 10**8:
        raise ShapeError(f"{name}: {rows} x {columns} places", where=caller(), hint="gx.tril and gx.triu keep the shape")
    i, j = find(rows, max(-(10**9), min(normalize_integer(name, "k", k), 10**9)), columns)
    return ops.constant(i), ops.constant(j)


def tril_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Tensor, Tensor]:
    """The rows and the columns of what lies on and below the k-th diagonal of a matrix [n, m] of fixed size.

    >>> import graphc as gx
    >>> [i.eval().tolist() for i in gx.tril_indices(2)]
    [[0, 1, 1], [0, 0, 1]]
    """
    return _triangle("tril_indices", np.tril_indices, n, k, m)


def triu_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Tensor, Tensor]:
    """The rows and the columns of what lies on and above the k-th diagonal of a matrix [n, m] of fixed size."""
    return _triangle("triu_indices", np.triu_indices, n, k, m)


def diag_indices(n: Any, ndim: int = 2) -> tuple[Tensor, ...]:
    """The places of the diagonal of an array of `ndim` axes of size n, one vector an axis."""
    count = normalize_integer("diag_indices", "ndim", ndim)
    if not 0 <= count <= 64:
        raise ShapeError(f"diag_indices: ndim is {count}", where=caller())
    return (ops.arange(normalize_size("diag_indices", "n", n)),) * count


def indices(dimensions: Any) -> Tensor:
    """The place of every element along every axis of an array of these sizes, stacked along a new first axis.

    >>> import graphc as gx
    >>> gx.indices((2, 2)).eval().tolist()
    [[[0, 0], [1, 1]], [[0, 1], [0, 1]]]
    """
    sizes = _sizes("indices", dimensions)
    if not sizes:
        return ops.zeros((0,), "int64")
    grid = [ops.reshape(ops.arange(n), (n, *(1,) * (len(sizes) - 1 - a))) for a, n in enumerate(sizes)]
    return ops.stack([ops.broadcast_to(place, tuple(sizes)) for place in grid])


def flatnonzero(x: TensorLike, size: Any = None, fill_value: int = 0) -> Tensor:
    """The places in the flattened x of the first `size` elements that are not zero; `fill_value` where there are no more.

    >>> import graphc as gx
    >>> gx.flatnonzero(gx.constant([0, 3, 5]), size=3, fill_value=-1).eval()
    array([ 1,  2, -1])
    """
    return ops.nonzero(ops.reshape(as_tensor(x), (-1,)), size, fill_value)[0]


def argwhere(x: TensorLike, size: Any = None, fill_value: int = 0) -> Tensor:
    """The indices of the first `size` elements that are not zero, a row each; see `nonzero`."""
    return ops.stack(list(ops.nonzero(x, size, fill_value)), -1)


def append(x: TensorLike, values: TensorLike, axis: int | None = None) -> Tensor:
    """x and more values behind it along an axis; both flattened if axis is None."""
    (a, b), _ = promote_operands("append", (x, values), any_type)
    return ops.concat([a, b], axis)


# --- scales and windows ----------------------------------------------------------------------------------------------


def logspace(
    start: TensorLike, stop: TensorLike, num: Any = 50, endpoint: bool = True, base: TensorLike = 10.0, dtype: object = None
) -> Tensor:
    """`num` numbers from base**start to base**stop at equal distances of their logarithms; see `linspace`.

    >>> import graphc as gx
    >>> gx.logspace(0, 2, 3).eval()
    array([  1.,  10., 100.])
    """
    made = ops.pow(as_tensor(base, t.float64), ops.linspace(start, stop, num, endpoint))
    return made if dtype is None else ops.astype(made, t.as_dtype(dtype))


def geomspace(start: TensorLike, stop: TensorLike, num: Any = 50, endpoint: bool = True, dtype: object = None) -> Tensor:
    """`num` numbers from start to stop, each the same multiple of the one before; both are of one sign, and not 0.

    >>> import graphc as gx
    >>> gx.geomspace(1, 8, 4).eval().round(12)
    array([1., 2., 4., 8.])
    """
    (first, last), _ = promote_operands("geomspace", (start, stop), to_float)
    size = normalize_size("geomspace", "num", num)
    rise = ops.log(last / first)
    part = ops.linspace(0.0, 1.0, size, endpoint)
    shape = ops.broadcast_shapes("geomspace", [first.type, last.type])
    part = ops.reshape(ops.astype(part, first.dtype), (size, *(1 for _ in shape)))
    made = ops.where(part == 1, last, first * ops.exp(part * rise))
    return made if dtype is None else ops.astype(made, t.as_dtype(dtype))


def _window(name: str, M: Any, dtype: object, terms: tuple[float, ...]) -> Tensor:
    """A sum of cosines over M places, the first and the last of which are the ends of one turn; 1 of one place."""
    size = normalize_size(name, "M", M)
    kind = t.as_dtype(dtype)
    place = ops.arange(size, dtype="float64")
    turn = 2 * math.pi * place / ops.full((), dims.maximum(dims.sub(size, 1), 1), "float64")
    found = ops.full((), terms[0], "float64")
    for i, c in enumerate(terms[1:], 1):
        found = found + c * ops.cos(i * turn)
    one = ops.full((), size, "int64") == 1
    return ops.astype(ops.where(one, 1.0, found), kind)


def hanning(M: Any, dtype: object = "float64") -> Tensor:
    """Hann's window of M places, 1/2 - cos/2: NumPy's hanning. M: a number or a size.

    >>> import graphc as gx
    >>> gx.hanning(5).eval().round(6)
    array([0. , 0.5, 1. , 0.5, 0. ])
    """
    return _window("hanning", M, dtype, (0.5, -0.5))


def hamming(M: Any, dtype: object = "float64") -> Tensor:
    """Hamming's window of M places, 0.54 - 0.46 cos: NumPy's hamming."""
    return _window("hamming", M, dtype, (0.54, -0.46))


def blackman(M: Any, dtype: object = "float64") -> Tensor:
    """Blackman's window of M places, 0.42 - 0.5 cos + 0.08 cos of twice the angle: NumPy's blackman."""
    return _window("blackman", M, dtype, (0.42, -0.5, 0.08))


def bartlett(M: Any, dtype: object = "float64") -> Tensor:
    """Bartlett's window of M places, a triangle that is 0 at both ends: NumPy's bartlett."""
    size = normalize_size("bartlett", "M", M)
    half = ops.full((), dims.maximum(dims.sub(size, 1), 1), "float64") / 2
    found = 1 - ops.abs(ops.arange(size, dtype="float64") - half) / half
    one = ops.full((), size, "int64") == 1
    return ops.astype(ops.where(one, 1.0, found), t.as_dtype(dtype))


__all__ = [
    "append", "argwhere", "bartlett", "blackman", "convolve", "correlate", "diag_indices", "flatnonzero", "geomspace", "hamming",
    "hanning", "identity", "indices", "inner", "logspace", "polyval", "ravel_multi_index", "sliding_window_view", "tri",
    "tril_indices", "triu_indices", "unravel_index", "vander", "vdot",
]  # fmt: skip
