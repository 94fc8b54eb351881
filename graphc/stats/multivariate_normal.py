"""The normal distribution of vectors."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats


def logpdf(
    x: TensorLike, mean: TensorLike, cov: TensorLike | None = None, *, cholesky: TensorLike | None = None
) -> Tensor:  # fmt: skip
    """-(|L^-1 (x - mean)|^2 + d log(2 pi)) / 2 - sum of log(diagonal of L), where L L^T = cov: the log density of N(mean, cov).

    x, mean: floats [..., d] that broadcast. cov: a positive definite matrix [..., d, d], or `cholesky`, its lower factor L, which
    then is not computed. Nothing is inverted. A matrix that is not positive definite is a GraphError when it
    runs. Parameters are scipy.stats.multivariate_normal's.

    >>> import graphc as gx
    >>> gx.stats.multivariate_normal.logpdf(gx.zeros((3, 2)), gx.zeros(2), gx.eye(2)).eval().round(6)
    array([-1.837877, -1.837877, -1.837877])
    """
    name = "multivariate_normal.logpdf"
    if (cov is None) == (cholesky is None):
        raise gx.errors.InputError(f"{name} needs cov or cholesky, one of the two", where=gx.errors.caller())
    x, mean, matrix = floats(name, x, mean, cholesky if cov is None else cov)  # type: ignore[arg-type]
    kind = matrix.dtype
    x, mean, matrix = (gx.astype(v, kind.arithmetic) for v in (x, mean, matrix))
    if not x.ndim or not mean.ndim or matrix.ndim < 2:
        raise gx.errors.ShapeError(
            f"{name} needs vectors and a matrix, got {x.type}, {mean.type} and {matrix.type}", where=gx.errors.caller()
        )
    off = x - mean
    d = off.shape[-1]
    if matrix.shape[-1] != d or matrix.shape[-2] != d:
        raise gx.errors.ShapeError(
            f"{name}: a matrix {matrix.type} for vectors of {d}", where=gx.errors.caller(),
            hint="x, mean [..., d]; cov [..., d, d]",
        )  # fmt: skip
    lower = gx.linalg.cholesky(matrix) if cholesky is None else matrix
    if lower.ndim == 2:  # all vectors are right sides of one system
        rows = gx.reshape(off, (gx.ops.product(off.shape[:-1]), d))
        solved = gx.linalg.solve_triangular(lower, gx.matrix_transpose(rows), lower=True)
        square = gx.reshape(gx.sum(solved * solved, axis=0), off.shape[:-1])
    else:
        solved = gx.linalg.solve_triangular(lower, gx.expand_dims(off, -1), lower=True)
        square = gx.sum(solved * solved, axis=(-2, -1))
    size = gx.full((), d, square.dtype)
    value = -0.5 * (square + size * math.log(2 * math.pi)) - gx.sum(gx.log(gx.linalg.diagonal(lower)), axis=-1)
    return gx.astype(value, kind)


__all__ = ["logpdf"]
