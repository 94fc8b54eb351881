"""The standard's extension for linear algebra: graphc's `linalg`, and products of matrices; leading axes are batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import graphc as gx
from graphc.array_api.array import Array, array, data_of
from graphc.array_api.calls import named, run
from graphc.array_api.products import matmul, matrix_transpose, tensordot, vecdot


class Eigen(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Array
    eigenvectors: Array


class QR(NamedTuple):
    """What `qr` gives."""

    Q: Array
    R: Array


class LogDeterminant(NamedTuple):
    """What `slogdet` gives."""

    sign: Array
    logabsdet: Array


class SVD(NamedTuple):
    """What `svd` gives."""

    U: Array
    S: Array
    Vh: Array


def _all(function: str | Callable[..., Any], *values: Array, exact: int = 0, **options: Any) -> tuple[Array, ...]:
    """The results of a function of several.

    The sizes of the first array's last `exact` axes are compiled in: the shapes of results depend on which is smaller.
    """
    arrays = [data_of(x, "the function") for x in values]
    names = named([a.shape for a in arrays])
    if exact:
        names[0] = (*names[0][:-exact], *arrays[0].shape[-exact:])
    found = run(f"linalg.{function}" if isinstance(function, str) else function, arrays, names, **options)
    return tuple(array(y) for y in (found if isinstance(found, tuple) else (found,)))


def _one(function: str | Callable[..., Any], *values: Array, exact: int = 0, **options: Any) -> Array:
    return _all(function, *values, exact=exact, **options)[0]


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """The triangular factor of symmetric positive definite matrices: x = L Lᵀ, or Uᵀ U."""
    return _one("cholesky", x, upper=upper)


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of three elements."""
    arrays = [data_of(x1, "cross"), data_of(x2, "cross")]
    return array(run("cross", arrays, named([a.shape for a in arrays], kept=(3,)), axis=axis))


def det(x: Array, /) -> Array:
    """The determinant."""
    return _one("det", x)


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """A diagonal of matrices."""
    return _one("diagonal", x, offset=offset)


def eigh(x: Array, /) -> Eigen:
    """The eigenvalues in ascending order, and eigenvectors, of symmetric matrices."""
    return Eigen(*_all("eigh", x))


def eigvalsh(x: Array, /) -> Array:
    """The eigenvalues of symmetric matrices in ascending order."""
    return _one("eigvalsh", x)


def inv(x: Array, /) -> Array:
    """The inverse."""
    return _one("inv", x)


def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Array:
    """A norm of matrices."""
    return _one("matrix_norm", x, exact=2, keepdims=keepdims, ord=ord)


def matrix_power(x: Array, n: int, /) -> Array:
    """A whole power of matrices."""
    return _one("matrix_power", x, n=n)


def matrix_rank(x: Array, /, *, rtol: float | Array | None = None) -> Array:
    """How many singular values are above a share of the largest."""
    if isinstance(rtol, Array):
        return _one(_rank_within, x, rtol, exact=2)
    return _one("matrix_rank", x, exact=2, rtol=rtol)


def _rank_within(x: gx.Tensor, rtol: gx.Tensor) -> gx.Tensor:
    return gx.count_nonzero(_large(gx.linalg.svdvals(x), rtol), axis=-1)


def _large(values: gx.Tensor, rtol: gx.Tensor) -> gx.Tensor:
    """Which singular values exceed a share of the largest."""
    return values > gx.expand_dims(rtol, -1) * values[..., :1]


def outer(x1: Array, x2: Array, /) -> Array:
    """The product of every element of one vector with every element of another."""
    return _one("outer", x1, x2)


def pinv(x: Array, /, *, rtol: float | Array | None = None) -> Array:
    """The Moore-Penrose inverse."""
    if isinstance(rtol, Array):
        return _one(_pinv_within, x, rtol, exact=2)
    return _one("pinv", x, exact=2, rtol=rtol)


def _pinv_within(x: gx.Tensor, rtol: gx.Tensor) -> gx.Tensor:
    u, values, vh = gx.linalg.svd(x, full_matrices=False)
    inverse = gx.where(_large(values, rtol), 1 / values, 0)
    return gx.matrix_transpose(vh) @ (gx.expand_dims(inverse, -1) * gx.matrix_transpose(u))


def qr(x: Array, /, *, mode: str = "reduced") -> QR:
    """An orthogonal and an upper triangular factor."""
    return QR(*_all("qr", x, exact=2, mode=mode))


def slogdet(x: Array, /) -> LogDeterminant:
    """The sign of the determinant, and the logarithm of its absolute value."""
    return LogDeterminant(*_all("slogdet", x))


def solve(x1: Array, x2: Array, /) -> Array:
    """The solution of x1 @ y = x2."""
    return _one("solve", x1, x2)


def svd(x: Array, /, *, full_matrices: bool = True) -> SVD:
    """The singular value decomposition."""
    return SVD(*_all("svd", x, exact=2, full_matrices=full_matrices))


def svdvals(x: Array, /) -> Array:
    """The singular values in descending order."""
    return _one("svdvals", x, exact=2)


def trace(x: Array, /, *, offset: int = 0, dtype: gx.DType | None = None) -> Array:
    """The sum along a diagonal."""
    return _one("trace", x, offset=offset, dtype=dtype)


def vector_norm(x: Array, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, ord: float = 2) -> Array:
    """A norm of vectors."""
    return _one("vector_norm", x, axis=axis, keepdims=keepdims, ord=ord)


__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
    "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "vecdot",
    "vector_norm",
]  # fmt: skip
