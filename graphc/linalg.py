"""Linear algebra under the Array API's names: products, diagonals, powers and norms; systems and decompositions by LAPACK.

Functions of matrices take them in the last two axes; the axes before are a batch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import graphc as gx
from graphc import Axis, Tensor, TensorLike, advice

cross = gx.cross
matmul = gx.matmul
matrix_transpose = gx.matrix_transpose
outer = gx.outer
tensordot = gx.tensordot
vecdot = gx.vecdot

cholesky = gx.ops.matrix_functions.cholesky
det = gx.ops.matrix_functions.det
eigh = gx.ops.matrix_functions.eigh
eigvalsh = gx.ops.matrix_functions.eigvalsh
expm = gx.ops.matrix_functions.expm
inv = gx.ops.matrix_functions.inv
lstsq = gx.ops.matrix_functions.lstsq
matrix_norm = gx.ops.matrix_functions.matrix_norm
matrix_rank = gx.ops.matrix_functions.matrix_rank
pinv = gx.ops.matrix_functions.pinv
qr = gx.ops.matrix_functions.qr
slogdet = gx.ops.matrix_functions.slogdet
solve = gx.ops.matrix_functions.solve
solve_triangular = gx.ops.matrix_functions.solve_triangular
svd = gx.ops.matrix_functions.svd
svdvals = gx.ops.matrix_functions.svdvals


def _matrix(name: str, x: TensorLike, square: bool = False) -> Tensor:
    x = gx.asarray(x)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise gx.errors.ShapeError(
            f"{name} needs {'square matrices' if square else 'matrices'}, got {x.type}", where=gx.errors.caller()
        )
    return x


def _float(x: TensorLike) -> Tensor:
    x = gx.asarray(x)
    return x if x.dtype.is_float else gx.astype(x, gx.float64)


def diagonal(x: TensorLike, offset: int = 0) -> Tensor:
    """The diagonals of matrices; `offset` counts upwards."""
    return gx.diagonal(_matrix("diagonal", x), offset, -2, -1)


def trace(x: TensorLike, offset: int = 0, dtype: object = None) -> Tensor:
    """The sums of the diagonals of matrices.

    >>> import graphc as gx
    >>> gx.linalg.trace(gx.constant([[1, 2], [3, 4]])).eval()
    array(5)
    """
    return gx.trace(_matrix("trace", x), offset, -2, -1, dtype)


def matrix_power(x: TensorLike, n: int) -> Tensor:
    """Square matrices to the power n, an integer, by repeated squaring; of the inverse if n is negative.

    >>> import graphc as gx
    >>> gx.linalg.matrix_power(gx.constant([[1, 1], [0, 1]]), 5).eval()
    array([[1, 5],
           [0, 1]])
    """
    x = _matrix("matrix_power", x, square=True)
    n = gx.ops.normalize_integer("matrix_power", "n", n)
    if n < 0:
        x, n = inv(x), -n
    if n == 0:
        return gx.broadcast_to(gx.eye(x.shape[-1], dtype=x.dtype), x.shape)
    result: Tensor | None = None
    square, left = x, int(n)
    while True:
        if left & 1:
            result = square if result is None else result @ square
        left >>= 1
        if not left:
            break
        square = square @ square
    assert result is not None
    return result


def vector_norm(x: TensorLike, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The norm of vectors along an axis, of several axes taken together, or of all elements.

    ord: 2 (the root of the sum of squares), 1 (the sum of magnitudes), inf and -inf (the largest and the smallest magnitude), 0
    (how many are not 0), or any p: the sum of the magnitudes to the power p, to the power 1/p. The gradient at 0 is 0.

    >>> import graphc as gx
    >>> gx.linalg.vector_norm(gx.constant([3.0, 4.0])).eval()
    array(5.)
    """
    x, ord = _float(x), gx.ops.as_option(ord)
    if isinstance(ord, (bool, str, Tensor)) or not isinstance(ord, (int, float)):
        raise gx.errors.InputError(f"vector_norm: ord must be a number, got {ord!r}", where=gx.errors.caller())
    if ord == 2:
        return gx.sqrt(gx.sum(x * x, axis=axis, keepdims=keepdims))
    if ord == 0:
        return gx.astype(gx.count_nonzero(x, axis=axis, keepdims=keepdims), x.dtype)
    size = gx.abs(x)
    if ord == math.inf:
        return gx.max(size, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return gx.min(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return gx.sum(size, axis=axis, keepdims=keepdims)
    found = gx.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)
    return found if ord > 0 else gx.where(gx.any(size == 0, axis=axis, keepdims=keepdims), 0, found)  # where its powers are inf


def norm(x: TensorLike, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """NumPy's norm: of vectors along one axis, of matrices in two, of all elements if neither axis nor ord is given."""
    x = _float(x)
    if axis is None and ord is not None:
        axis = tuple(range(x.ndim))
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    if ord is None or len(axes) == 1:
        return vector_norm(x, axis, keepdims, 2 if ord is None else ord)
    if len(axes) != 2:
        raise gx.errors.ShapeError(
            f"norm: ord {ord!r} needs one axis or two, got {x.type} along {axis}", where=gx.errors.caller()
        )
    gx.ops.check_flag("norm", "keepdims", keepdims)
    result = matrix_norm(gx.moveaxis(x, axes, (-2, -1)), keepdims=True, ord=ord)
    return gx.moveaxis(result, (-2, -1), axes) if keepdims else gx.squeeze(result, (-2, -1))


gx.ops.numpy_modules["numpy.linalg"] = lambda: globals()

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "expm", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power",
    "matrix_rank", "matrix_transpose", "norm", "outer", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd", "svdvals",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
