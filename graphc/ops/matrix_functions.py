"""Linear algebra: systems, decompositions, determinants, norms.

The names, signatures and results are those of the Python Array API standard 2024.12 (extension linalg) where it has them. All
take a matrix in the last two axes, after those of a batch; float32 and float64 keep their type, integers and booleans become
float64. A symbolic matrix is square where both axes have one name. What only the numbers can show, such as a singular matrix, is
a GraphError of the call. A decomposition of a matrix with NaN or infinity is NaN.

Where its size is a number, a matrix of at most 16 rows (but not by qr), or of 192 and more, is factored by kernels on all
threads: by cholesky, qr, solve, inv, det, slogdet. The rest is LAPACK's, on one thread: another version of it may round
otherwise. So results have the same bits whatever the number of threads. Gradients exist to every order (see decompositions.py);
second derivatives need singular values or eigenvalues that differ, as the derivatives of their vectors do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphc import ops
from graphc.errors import GraphError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.types import TensorType
from graphc.ops import decompositions as d
from graphc.ops.declare import as_option, broadcast_shapes, check_flag, promote_operands, results, true_division
from graphc.ops.storage import in_float32
from graphc.ops.tensor import Tensor, TensorLike


class QRResult(NamedTuple):
    """Q with orthonormal columns, and R, an upper triangle."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the logarithm of its magnitude."""

    sign: Tensor
    logabsdet: Tensor


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and their vectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVDResult(NamedTuple):
    """Left singular vectors as columns, singular values in descending order, right singular vectors as rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class LstsqResult(NamedTuple):
    """The solution, the sum of squares left over for each right side, the rank, and the singular values."""

    x: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def _floats(name: str, *xs: TensorLike) -> list[Tensor]:
    """The operands as float32 or float64: LAPACK has no floats of 16 bits."""
    made, dtype = promote_operands(name, xs, true_division)
    return [ops.astype(x, dtype.arithmetic) for x in made]


def _checked(name: str, x: TensorLike, square: bool) -> Tensor:
    (made,) = _floats(name, x)
    try:
        (d.square if square else d.matrix)(name, made.type)
        if not square:
            d.smaller(made.type)
    except GraphError as error:
        error.where = error.where or caller()
        raise
    return made


def _symmetric(name: str, x: TensorLike) -> Tensor:
    """(x + x^T) / 2: a symmetric x as it is, and gradients that are symmetric."""
    return d.symmetric(_checked(name, x, square=True))


# --- systems ---------------------------------------------------------------------------------------------------------


def _system(name: str, x1: TensorLike, x2: TensorLike) -> tuple[Tensor, Tensor, bool]:
    """A square matrix and right sides with the same batch, and whether the right side was one vector."""
    a, b = _floats(name, x1, x2)
    a = _checked(name, a, square=True)
    vector = b.ndim == 1
    if b.ndim == 0 or b.shape[0 if vector else -2] != a.shape[-1]:
        raise ShapeError(
            f"{name} needs a right side of as many rows as the matrix, got {a.type} and {b.type}", where=caller(),
            hint="a vector [n], or columns [..., n, k]",
        )  # fmt: skip
    if vector:
        b = ops.expand_dims(b, -1)
    try:
        batch = broadcast_shapes(name, [TensorType(v.dtype, v.shape[:-2]) for v in (a, b)])
    except ShapeError as error:
        raise ShapeError(
            f"{name} cannot broadcast the leading axes of {a.type} and {b.type}", where=caller(), hint=error.hint
        ) from None
    return ops.broadcast_to(a, (*batch, *a.shape[-2:])), ops.broadcast_to(b, (*batch, *b.shape[-2:])), vector


def solve(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The x of x1 x = x2, by LU with exchanged rows.

    x1: floats [..., n, n]; x2: a vector [n], or [..., n, k]; leading axes broadcast. The result has x2's shape, with the leading
    axes of both. Raises ShapeError for other shapes, and when it runs a GraphError if x1 is singular.

    >>> import graphc as gx
    >>> gx.linalg.solve(gx.constant([[2.0, 1.0], [0.0, 4.0]]), gx.constant([4.0, 8.0])).eval()
    array([1., 2.])
    """
    a, b, vector = _system("solve", x1, x2)
    x: Tensor = d.solve_with(a, b, transposed=False)
    return ops.squeeze(x, -1) if vector else x


def solve_triangular(
    x1: TensorLike, x2: TensorLike, *, lower: bool = False, transposed: bool = False, unit_diagonal: bool = False
) -> Tensor:
    """The x of x1 x = x2 (of x1^T x = x2 if `transposed`), where x1 is the upper or lower triangle of what is given.

    The rest of x1 is not read, nor its diagonal if that is to be of ones (`unit_diagonal`). Shapes as in `solve`. When it runs, a
    zero on the diagonal is a GraphError.

    >>> import graphc as gx
    >>> gx.linalg.solve_triangular(gx.constant([[2.0, 9.0], [1.0, 4.0]]), gx.constant([4.0, 10.0]), lower=True).eval()
    array([2., 2.])
    """
    a, b, vector = _system("solve_triangular", x1, x2)
    for what, flag in (("lower", lower), ("transposed", transposed), ("unit_diagonal", unit_diagonal)):
        check_flag("solve_triangular", what, flag)
    x = d.solve_triangular_(a, b, lower=bool(lower), transposed=bool(transposed), unit_diagonal=bool(unit_diagonal))
    return ops.squeeze(x, -1) if vector else x


def inv(x: TensorLike) -> Tensor:
    """The inverse of square matrices: floats [..., n, n] to the same. When it runs, a singular one is a GraphError.

    >>> import graphc as gx
    >>> gx.linalg.inv(gx.constant([[2.0, 0.0], [0.0, 4.0]])).eval()
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return d.inv_(_checked("inv", x, square=True))


def lstsq(x1: TensorLike, x2: TensorLike, rtol: float | None = None) -> LstsqResult:
    """The x of least norm among those that make x1 x - x2 smallest in the Euclidean norm, by the pseudoinverse.

    x1: floats [..., m, n]; x2: a vector [m], or [..., m, k]. Singular values up to rtol times the largest count as zero;
    by default max(m, n) times the type's epsilon. Unlike NumPy's, residuals are given for any rank.

    >>> import graphc as gx
    >>> gx.linalg.lstsq(gx.constant([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), gx.constant([1.0, 3.0, 5.0])).x.eval().round(12)
    array([1., 2.])
    """
    a, b = _floats("lstsq", x1, x2)
    a = _checked("lstsq", a, square=False)
    vector = b.ndim == 1
    if b.ndim == 0 or b.shape[0 if vector else -2] != a.shape[-2]:
        raise ShapeError(
            f"lstsq needs a right side of as many rows as the matrix, got {a.type} and {b.type}", where=caller(),
            hint="a vector [m], or columns [..., m, k]",
        )  # fmt: skip
    if vector:
        b = ops.expand_dims(b, -1)
    x = pinv(a, rtol=rtol) @ b
    left = ops.sum(ops.square(a @ x - b), axis=-2)
    values = svdvals(a)
    return LstsqResult(ops.squeeze(x, -1) if vector else x, left, _rank(values, _tolerance("lstsq", a, rtol), a), values)


# --- decompositions --------------------------------------------------------------------------------------------------


def cholesky(x: TensorLike, *, upper: bool = False) -> Tensor:
    """The lower triangle L of x = L L^T, or the upper one U of x = U^T U.

    x: floats [..., n, n], symmetric and positive definite; (x + x^T) / 2 is factored. When it runs, a matrix that is not positive
    definite is a GraphError.

    >>> import graphc as gx
    >>> gx.linalg.cholesky(gx.constant([[4.0, 2.0], [2.0, 5.0]])).eval()
    array([[2., 0.],
           [1., 2.]])
    """
    check_flag("cholesky", "upper", upper)
    lower: Tensor = d.cholesky_(_checked("cholesky", x, square=True))
    return d.flip_axes(lower) if upper else lower


def qr(x: TensorLike, *, mode: str = "reduced") -> QRResult:
    """x = Q R by Householder's reflections: Q [..., m, k] with orthonormal columns, R [..., k, n] an upper triangle.

    x: floats [..., m, n] of known sizes or equal ones. mode: "reduced", where k = min(m, n), or "complete", where k = m. The
    diagonal of R may be negative. Gradients need the first min(m, n) columns to be independent, and "reduced" where m > n.

    >>> import graphc as gx
    >>> result = gx.linalg.qr(gx.constant([[3.0, 1.0], [4.0, 2.0]]))
    >>> (result.Q @ result.R).eval().round(12)
    array([[3., 1.],
           [4., 2.]])
    """
    if not isinstance(mode, str) or mode not in ("reduced", "complete"):
        raise InputError(f"qr: mode is {mode!r}", where=caller(), hint='use "reduced" or "complete"')
    return QRResult(*results(d.qr_(_checked("qr", x, square=False), mode=mode)))


def eigh(x: TensorLike) -> EighResult:
    """The eigenvalues of symmetric matrices in ascending order, and orthonormal eigenvectors as columns.

    x: floats [..., n, n]; (x + x^T) / 2 is decomposed. An eigenvector's sign is LAPACK's choice, and so is the basis of a space
    of equal eigenvalues: what depends on that choice has no gradient, and its part is left out.

    >>> import graphc as gx
    >>> gx.linalg.eigh(gx.constant([[2.0, 1.0], [1.0, 2.0]])).eigenvalues.eval().round(12)
    array([1., 3.])
    """
    return EighResult(*results(d.eigh_(_symmetric("eigh", x))))


def eigvalsh(x: TensorLike) -> Tensor:
    """The eigenvalues of symmetric matrices in ascending order: floats [..., n, n] to [..., n]; see `eigh`."""
    return d.eigvalsh_(_symmetric("eigvalsh", x))


def svd(x: TensorLike, *, full_matrices: bool = True) -> SVDResult:
    """x = U diag(S) Vh: singular vectors, and singular values in descending order.

    x: floats [..., m, n] of known sizes or equal ones. U is [..., m, m] and Vh [..., n, n], or with full_matrices=False
    [..., m, k] and [..., k, n], k = min(m, n). Gradients by vectors need values that differ, and full_matrices=False unless
    m = n.

    >>> import graphc as gx
    >>> gx.linalg.svd(gx.constant([[0.0, 2.0], [3.0, 0.0]])).S.eval()
    array([3., 2.])
    """
    check_flag("svd", "full_matrices", full_matrices)
    return SVDResult(*results(d.svd_(_checked("svd", x, square=False), full_matrices=bool(full_matrices))))


def svdvals(x: TensorLike) -> Tensor:
    """The singular values of matrices in descending order: floats [..., m, n] to [..., min(m, n)]."""
    return d.svdvals_(_checked("svdvals", x, square=False))


# --- what is made of them --------------------------------------------------------------------------------------------


def det(x: TensorLike) -> Tensor:
    """The determinant: floats [..., n, n] to [...]; 1 for n = 0.

    The gradient is the matrix of cofactors, also where x is singular; the second derivative needs an x that is not.

    >>> import graphc as gx
    >>> gx.linalg.det(gx.constant([[1.0, 2.0], [3.0, 4.0]])).eval().round(12)
    np.float64(-2.0)
    """
    return d.whole_det_(_checked("det", x, square=True))


def slogdet(x: TensorLike) -> SlogdetResult:
    """The sign of the determinant and the logarithm of its magnitude: [..., n, n] to [...] and [...]; 0 and -inf if singular.

    >>> import graphc as gx
    >>> [y.eval().round(12).item() for y in gx.linalg.slogdet(gx.constant([[0.0, 1.0], [1.0, 0.0]]))]
    [-1.0, 0.0]
    """
    return SlogdetResult(*results(d.slogdet_(_checked("slogdet", x, square=True))))


def _tolerance(name: str, x: Tensor, rtol: float | None) -> float | None:
    """The tolerance as a number; None where it follows from sizes that each call may choose."""
    if rtol is None:
        sizes = [n for n in x.shape[-2:] if isinstance(n, int)]
        return float(max(1, *sizes) * np.finfo(x.dtype.numpy).eps) if len(sizes) == 2 else None
    rtol = as_option(rtol)
    if isinstance(rtol, bool) or not isinstance(rtol, (int, float)):
        raise InputError(f"{name}: rtol must be a number, got {type(rtol).__name__}", where=caller())
    return float(rtol)


def pinv(x: TensorLike, *, rtol: float | None = None) -> Tensor:
    """The Moore-Penrose pseudoinverse: floats [..., m, n] to [..., n, m].

    Singular values up to rtol times the largest count as zero; by default max(m, n) times the type's epsilon. The gradient is
    exact where the rank does not change.

    >>> import graphc as gx
    >>> gx.linalg.pinv(gx.constant([[2.0], [0.0]])).eval()
    array([[0.5, 0. ]])
    """
    a = _checked("pinv", x, square=False)
    return d.pinv_(a, rtol=_tolerance("pinv", a, rtol))


def _rank(values: Tensor, rtol: float | None, x: Tensor) -> Tensor:
    if values.shape[-1] == 0:
        return ops.zeros(values.shape[:-1], t.int64)
    tolerance: float | Tensor = rtol or 0.0
    if rtol is None:
        largest = ops.full((), dims.maximum(dims.maximum(x.shape[-2], x.shape[-1]), 1), values.dtype)
        tolerance = largest * float(np.finfo(values.dtype.numpy).eps)
    known = isinstance(values.shape[-1], int)
    some = values if known else ops.concat([values, ops.zeros((*values.shape[:-1], 1), values.dtype)], -1)  # if there is none
    return ops.sum(values > ops.max(some, axis=-1, keepdims=True) * tolerance, axis=-1)


def matrix_rank(x: TensorLike, *, rtol: float | None = None) -> Tensor:
    """How many singular values exceed rtol times the largest: floats [..., m, n] to int64 [...].

    By default rtol is max(m, n) times the type's epsilon.

    >>> import graphc as gx
    >>> gx.linalg.matrix_rank(gx.constant([[1.0, 2.0], [2.0, 4.0]])).eval().item()
    1
    """
    a = _checked("matrix_rank", x, square=False)
    return _rank(svdvals(a), _tolerance("matrix_rank", a, rtol), a)


@in_float32
def matrix_norm(x: TensorLike, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """The norm of matrices: floats [..., m, n] to [...], or [..., 1, 1] with keepdims.

    ord: "fro" (the root of the sum of squares), "nuc" (the sum of the singular values), 2 and -2 (the largest and smallest of
    them), 1 and -1 (the largest and smallest sum of a column's magnitudes), inf and -inf (of a row's). The gradient at 0 is 0,
    and so is what a singular value of 0 adds to it.

    >>> import graphc as gx
    >>> [gx.linalg.matrix_norm(gx.constant([[3.0, 0.0], [0.0, -4.0]]), ord=o).eval().item() for o in ("fro", "nuc", 2, 1)]
    [5.0, 7.0, 4.0, 4.0]
    """
    ord = as_option(ord)
    if not (ord in ("fro", "nuc") if isinstance(ord, str) else type(ord) in (int, float) and abs(ord) in (1, 2, np.inf)):
        raise InputError(f"matrix_norm: ord is {ord!r}", where=caller(), hint='"fro", "nuc", 1, -1, 2, -2, inf or -inf')
    (a,) = _floats("matrix_norm", x)
    if a.ndim < 2:
        raise ShapeError(f"matrix_norm needs a matrix, got {a.type}", where=caller())
    if ord in ("nuc", 2, -2):
        values = svdvals(a)
        values = ops.where(ops.equal(values, 0), 0, values)  # least there: no gradient
        found = ops.sum(values, axis=-1) if ord == "nuc" else ops.max(values, axis=-1) if ord == 2 else ops.min(values, axis=-1)
    elif ord == "fro":
        found = ops.sqrt(ops.sum(ops.square(a), axis=(-2, -1)))
    else:
        sums = ops.sum(ops.abs(a), axis=-2 if ord in (1, -1) else -1)
        found = (ops.max if ord > 0 else ops.min)(sums, axis=-1)
    check_flag("matrix_norm", "keepdims", keepdims)
    return ops.expand_dims(found, (-2, -1)) if keepdims else found


def expm(x: TensorLike) -> Tensor:
    """The exponential of square matrices: floats [..., n, n] to the same; not element by element.

    Scaling and squaring around a Padé approximant, in float64 (Higham 2005). Infinite elements and NaN give NaN.

    >>> import graphc as gx
    >>> gx.linalg.expm(gx.constant([[0.0, 1.0], [0.0, 0.0]])).eval()
    array([[1., 1.],
           [0., 1.]])
    """
    return d.expm_(_checked("expm", x, square=True))


__all__ = [
    "EighResult", "LstsqResult", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "det", "eigh", "eigvalsh",
    "expm", "inv", "lstsq", "matrix_norm", "matrix_rank", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd", "svdvals",
]  # fmt: skip
