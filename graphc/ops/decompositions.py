"""Operations on whole matrices, by LAPACK where nothing else is, and their gradients. What users call is in matrix_functions.py.

The rules follow Giles 2008 ("An extended collection of matrix derivative results for forward and reverse mode algorithmic
differentiation", Oxford NA-08/01), Seeger et al. 2017 ("Auto-differentiating linear algebra", arXiv:1710.08717) for Cholesky, QR,
eigenvectors and singular vectors, and Golub and Pereyra 1973 (SIAM J. Numer. Anal. 10) for the pseudoinverse. They are made of
the same operations, so their own gradients are right too.

What is LAPACK's runs on one thread: see lapack.py. Large matrices go by blocks, on all: blocked.py, elimination.py,
reflections.py. An operation on a symmetric matrix reads its lower triangle, and its gradient lies there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, GradientError, GraphError, ShapeError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.operation import Sample
from graphc.ir.types import TensorType, TupleType
from graphc.ops import blocked, elimination, lapack, reflections, small_matrices
from graphc.ops.declare import Op, Spread, composite, host, results, with_leading_axis
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
Rule = tuple[Tensor | None, ...]


def _matrices(name: str, **declaration: Any) -> Op:
    """A routine of matrices, which are in the last axes: it takes any number of axes before them."""

    def every(size: Size, *operands: Spread, **attrs: Any) -> list[Spread]:
        return with_leading_axis(op, size, operands, attrs)

    op = host(name, every=every, **declaration)
    return op


def _chosen(name: str, *, like: Op, otherwise: Callable[..., Tensor | tuple[Tensor, ...]], **declaration: Any) -> Op:
    """An operation with the value and the gradient of another one, which computes it where matrices are small."""

    def expand(*operands: Tensor, **attrs: Any) -> Tensor | tuple[Tensor, ...]:
        small = small_matrices.is_small(*(x.type for x in operands))
        made: Tensor | tuple[Tensor, ...] = (like if small else otherwise)(*operands, **attrs)
        return made

    return _by_size(name, like=like, expand=expand, **declaration)


def _by_size(name: str, *, like: Op, expand: Callable[..., Tensor | tuple[Tensor, ...]], **declaration: Any) -> Op:
    """An operation with the value and the gradient of another one, and what computes it."""

    def every(size: Size, *operands: Spread, **attrs: Any) -> list[Spread]:
        return with_leading_axis(op, size, operands, attrs)

    assert like.vjp is not None
    op = composite(name, reference=like.reference, expand=expand, vjp=like.vjp, every=every, partial=True, **declaration)
    return op


def _named(name: str, into: Callable[..., None]) -> Callable[..., None]:
    """A routine that says what is wrong in the name of the function that users call."""

    def run(*arrays: Any, **attrs: Any) -> None:
        try:
            into(*arrays, **attrs)
        except np.linalg.LinAlgError as error:
            raise GraphError(f"{name} raised LinAlgError: {error}") from error

    return run


# --- types and triangles ---------------------------------------------------------------------------------------------


def matrix(name: str, x: TensorType) -> TensorType:
    """The type of an operand, if it is a matrix of floats, or a batch of them."""
    if x.rank < 2:
        raise ShapeError(f"{name} needs a matrix, got {x}", hint="two axes, after those of a batch")
    if not x.dtype.is_float:
        raise DTypeError(f"{name} needs floats, got {x}")
    if x.dtype.is_storage:
        raise DTypeError(f"{name} needs float32 or float64, got {x}", hint="astype('float32'): LAPACK has no floats of 16 bits")
    return x


def square(name: str, x: TensorType) -> TensorType:
    """The type of an operand, if it is a square matrix of floats, or a batch of them."""
    if matrix(name, x).shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name} needs a square matrix, got {x}", hint="give both axes one name if they are always equal")
    return x


def _single(name: str) -> Callable[..., TensorType]:
    return lambda x: square(name, x)


def smaller(x: TensorType) -> Size:
    """The smaller size of a matrix."""
    m, n = x.shape[-2:]
    return dims.minimum(m, n)


def flip_axes(x: Tensor) -> Tensor:
    return ops.matrix_transpose(x)


def _places(x: Tensor) -> tuple[Tensor, Tensor]:
    return ops.expand_dims(ops.arange(x.shape[-2]), 1), ops.arange(x.shape[-1])


def triangle(x: Tensor, lower: bool, strict: bool = False, on_diagonal: float = 1.0) -> Tensor:
    """A triangle of matrices and zeros elsewhere; the diagonal times a number."""
    i, j = _places(x)
    zero = ops.zeros_like(x)
    side = i > j if lower else i < j
    if strict:
        return ops.where(side, x, zero)
    return ops.where(side, x, ops.where(ops.equal(i, j), x * on_diagonal if on_diagonal != 1 else x, zero))


def identity(size: Size, dtype: t.DType) -> Tensor:
    """The matrix that changes nothing."""
    return ops.astype(ops.equal(ops.expand_dims(ops.arange(size), 1), ops.arange(size)), dtype)


def diagonal(x: Tensor) -> Tensor:
    """The diagonal of square matrices, as vectors."""
    i, j = _places(x)
    return ops.sum(ops.where(ops.equal(i, j), x, ops.zeros_like(x)), axis=-1)


def _row(x: Tensor) -> Tensor:
    return ops.expand_dims(x, -2)


def _column(x: Tensor) -> Tensor:
    return ops.expand_dims(x, -1)


def _scalar(x: Tensor) -> Tensor:
    return ops.expand_dims(x, (-2, -1))


def _zero_for_none(g: Tensor | None, like: Tensor) -> Tensor:
    return ops.zeros_like(like) if g is None else g


def _reciprocal_or_zero(x: Tensor) -> Tensor:
    """1/x, and 0 for 0."""
    return ops.where(ops.equal(x, 0), ops.zeros_like(x), 1 / ops.where(ops.equal(x, 0), ops.ones_like(x), x))


def _onto_lower(g: Tensor) -> Tensor:
    """The gradient by the elements of the lower triangle, from the one by a whole symmetric matrix."""
    return triangle(g + flip_axes(g), lower=True, on_diagonal=0.5)


# --- what samples are made of ----------------------------------------------------------------------------------------


def _positive(a: Array, *others: Array) -> tuple[Array, ...]:
    n = a.shape[-1]
    return (a @ np.swapaxes(a, -1, -2) + np.eye(n, dtype=a.dtype), *others)


def _dominant(a: Array, *others: Array) -> tuple[Array, ...]:
    return (a + 2 * a.shape[-1] * np.eye(a.shape[-1], dtype=a.dtype), *others)


def _factored(a: Array, *others: Array) -> tuple[Array, ...]:
    (a,) = _dominant(a)
    return (a, *lu_.reference(a), *others[2:])


def _apart(a: Array) -> tuple[Array]:
    """Matrices whose eigenvalues and singular values lie apart."""
    n = a.shape[-2:]
    return (a / 8 + (np.eye(*n) * np.arange(1, n[1] + 1)).astype(a.dtype),)


_SQUARE = (Sample(((3, 3),)), Sample(((2, 4, 4),)), Sample(((0, 0),)), Sample(((1, 1),)))


def _prepared(prepare: Callable[..., tuple[Array, ...]], *shapes: Any, **attrs: Any) -> tuple[Sample, ...]:
    return tuple(Sample((shape,), attrs, prepare=prepare) for shape in shapes)


# --- triangular systems, Cholesky ------------------------------------------------------------------------------------


def _system(name: str, a: TensorType, b: TensorType) -> TensorType:
    square(name, a)
    if b.dtype != a.dtype or b.rank != a.rank or b.shape[:-1] != a.shape[:-1]:
        raise ShapeError(f"{name} needs right sides that fit the matrix, got {a} and {b}")
    return b


def _triangular_vjp(
    g: Tensor, y: Tensor, a: Tensor, b: Tensor, lower: bool, transposed: bool, unit_diagonal: bool
) -> tuple[Tensor, Tensor]:
    back = solve_triangular_(a, g, lower=lower, transposed=not transposed, unit_diagonal=unit_diagonal)
    product = y @ flip_axes(back) if transposed else back @ flip_axes(y)
    return triangle(-product, lower, strict=unit_diagonal), back


direct_triangle_: Op = _matrices(
    "solve_triangular_lapack", arity=2, into=_named("solve_triangular", lapack.solve_triangular), vjp=_triangular_vjp,
    lanes=small_matrices.solve_triangular,
    infer=lambda a, b, lower, transposed, unit_diagonal: _system("solve_triangular", a, b),
    samples=tuple(
        Sample(shapes, {"lower": lower, "transposed": transposed, "unit_diagonal": unit}, prepare=_dominant)
        for shapes, lower, transposed, unit in (
            (((3, 3), (3, 2)), True, False, False), (((2, 3, 3), (2, 3, 1)), False, False, False),
            (((3, 3), (3, 2)), True, True, False), (((4, 4), (4, 5)), False, True, False), (((3, 3), (3, 2)), True, False, True),
            (((3, 3), (3, 2)), False, True, True), (((0, 0), (0, 2)), True, False, False), (((3, 3), (3, 0)), True, False, False),
        )
    ),
)  # fmt: skip


def _by_blocks(a: Tensor, b: Tensor, **attrs: bool) -> Tensor:
    if blocked.is_large(a.type) and blocked.is_wide(b.type):
        return blocked.solve_triangular(a, b, **attrs)
    made: Tensor = direct_triangle_(a, b, **attrs)
    return made


solve_triangular_: Op = _chosen(
    "solve_triangular", like=direct_triangle_, otherwise=_by_blocks, samples=direct_triangle_.samples,
    infer=lambda a, b, lower, transposed, unit_diagonal: _system("solve_triangular", a, b),
)  # fmt: skip


def _cholesky_vjp(g: Tensor, y: Tensor, a: Tensor) -> Rule:
    """Seeger et al. 2017, section 3.1: L^-T copyltu(L^T g) L^-1, of which the lower triangle is read."""
    inner = triangle(flip_axes(y) @ g, lower=True, on_diagonal=0.5)
    left = flip_axes(_back(y, inner))  # (L^-T P)^T
    return (_onto_lower(flip_axes(_back(y, left))),)


def _back(lower: Tensor, b: Tensor) -> Tensor:
    return solve_triangular_(lower, b, lower=True, transposed=True, unit_diagonal=False)


lower_cholesky_: Op = _matrices(
    "cholesky_lapack", infer=_single("cholesky"), into=_named("cholesky", lapack.cholesky), vjp=_cholesky_vjp,
    samples=_prepared(_positive, (3, 3), (2, 4, 4), (0, 0), (1, 1)),
)  # fmt: skip


def symmetric(x: Tensor) -> Tensor:
    """(x + x^T) / 2: a symmetric x as it is, and gradients that are symmetric."""
    return (x + flip_axes(x)) * 0.5


def _whole_cholesky(out: Array, a: Array) -> None:
    lapack.cholesky(out, (a + np.swapaxes(a, -1, -2)) * a.dtype.type(0.5))


def _whole_cholesky_vjp(g: Tensor, y: Tensor, a: Tensor) -> Rule:
    (lower,) = _cholesky_vjp(g, y, a)
    assert lower is not None
    return (symmetric(lower),)


small_cholesky_: Op = _matrices(
    "cholesky_small", infer=_single("cholesky"), into=_named("cholesky", _whole_cholesky),
    vjp=_whole_cholesky_vjp, lanes=small_matrices.cholesky,
    samples=_prepared(_positive, (3, 3), (5, 4, 4), (1, 1)),
)  # fmt: skip
cholesky_: Op = _chosen(
    "cholesky", infer=_single("cholesky"), like=small_cholesky_,
    otherwise=lambda a: blocked.cholesky(a) if blocked.is_large(a.type) else lower_cholesky_(symmetric(a)),
    samples=_prepared(_positive, (3, 3), (2, 4, 4), (0, 0), (20, 20)),
)  # fmt: skip


# --- LU and what is made of it ---------------------------------------------------------------------------------------
#
# What follows takes the matrix beside its factors: the value comes from the factors, the gradient goes to the matrix. So the
# matrix is factored once for the value and for gradients of every order.


def _lu_type(x: TensorType) -> TupleType:
    square("lu", x)
    return TupleType((x, TensorType(t.int64, x.shape[:-1])))


lu_: Op = _matrices("lu", infer=_lu_type, into=lapack.lu, samples=_SQUARE)


def _solve_vjp(
    g: Tensor, y: Tensor, a: Tensor, packed: Tensor, rows: Tensor, b: Tensor, transposed: bool
) -> tuple[Tensor, None, None, Tensor]:
    back = solve_(a, packed, rows, g, transposed=not transposed)
    return -(y @ flip_axes(back) if transposed else back @ flip_axes(y)), None, None, back


def _from_factors(*shapes: Any, **attrs: Any) -> tuple[Sample, ...]:
    """Samples in one data type: the walk's differences would move the matrix without its factors."""
    return tuple(
        Sample((s, s, s[:-1], *more), attrs, ("float32", "float32", "int64", *("float32",) * len(more)), prepare=_factored)
        for s, *more in shapes
    )


solve_: Op = _matrices(
    "solve_factored", arity=4,
    into=_named("solve", lambda out, a, packed, rows, b, transposed: lapack.solve(out, packed, rows, b, transposed)),
    infer=lambda a, packed, rows, b, transposed: _system("solve", a, b), vjp=_solve_vjp,
    samples=(
        *_from_factors(((3, 3), (3, 2)), ((2, 4, 4), (2, 4, 1)), ((0, 0), (0, 2)), ((2, 2), (2, 0)), transposed=False),
        *_from_factors(((4, 4), (4, 3)), transposed=True),
    ),
)  # fmt: skip


def _whole_solve(out: Array, a: Array, b: Array, transposed: bool) -> None:
    packed, rows = lu_.reference(a)
    lapack.solve(out, packed, rows, b, transposed)


def _whole_solve_vjp(g: Tensor, y: Tensor, a: Tensor, b: Tensor, transposed: bool) -> tuple[Tensor, Tensor]:
    back = solve_with(a, g, transposed=not transposed)
    return -(y @ flip_axes(back) if transposed else back @ flip_axes(y)), back


_SYSTEMS: tuple[Any, ...] = (((3, 3), (3, 2)), ((2, 4, 4), (2, 4, 1)))
small_solve_: Op = _matrices(
    "solve_small", arity=2, into=_named("solve", _whole_solve), infer=lambda a, b, transposed: _system("solve", a, b),
    vjp=_whole_solve_vjp, lanes=small_matrices.solve,
    samples=tuple(Sample(shapes, {"transposed": turn}, prepare=_dominant) for shapes in _SYSTEMS for turn in (False, True)),
)  # fmt: skip



def _solve_by_size(a: Tensor, b: Tensor, transposed: bool) -> Tensor:
    if blocked.is_large(a.type):
        return elimination.solve(a, b, transposed)
    made: Tensor = solve_(a, *results(lu_(a)), b, transposed=transposed)
    return made


solve_with: Op = _chosen(
    "solve", infer=lambda a, b, transposed: _system("solve", a, b), like=small_solve_,
    otherwise=_solve_by_size,
    samples=tuple(
        Sample(shapes, {"transposed": turn}, prepare=_dominant)
        for shapes in (*_SYSTEMS, ((0, 0), (0, 2)), ((2, 2), (2, 0)), ((20, 20), (20, 1))) for turn in (False, True)
    ),
)  # fmt: skip


def _inverse(out: Array, a: Array) -> None:
    _whole_solve(out, a, np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape), False)


def _inverse_vjp(g: Tensor, y: Tensor, a: Tensor) -> Rule:
    turned = flip_axes(y)
    return (-(turned @ g @ turned),)


small_inv_: Op = _matrices(
    "inv_small", infer=_single("inv"), into=_named("solve", _inverse), vjp=_inverse_vjp, lanes=small_matrices.inv,
    samples=_prepared(_dominant, (3, 3), (2, 4, 4), (1, 1)),
)  # fmt: skip
inv_: Op = _chosen(
    "inv", infer=_single("inv"), like=small_inv_, samples=_prepared(_dominant, (3, 3), (2, 4, 4), (0, 0), (20, 20)),
    otherwise=lambda a: solve_with(a, ops.broadcast_to(identity(a.shape[-1], a.dtype), a.shape), transposed=False),
)  # fmt: skip


def _signs_and_logarithms(packed: Array, rows: Array) -> tuple[Array, Array]:
    diagonal = np.einsum("...ii->...i", packed)
    odd = np.count_nonzero(rows != np.arange(rows.shape[-1]), axis=-1) % 2
    sign = np.prod(np.sign(diagonal), axis=-1) * np.where(odd, -1, 1).astype(packed.dtype)
    return sign, np.sum(np.log(np.abs(diagonal)), axis=-1)


def _determinants(packed: Array, rows: Array) -> Array:
    odd = np.count_nonzero(rows != np.arange(rows.shape[-1]), axis=-1) % 2
    value: Array = np.prod(np.einsum("...ii->...i", packed), axis=-1) * np.where(odd, -1, 1).astype(packed.dtype)
    return value


def _vector_type(name: str, a: TensorType) -> TensorType:
    return TensorType(square(name, a).dtype, a.shape[:-2])


det_: Op = _matrices(
    "det_factored", arity=3, infer=lambda a, packed, rows: _vector_type("det", a),
    reference=lambda a, packed, rows: _determinants(packed, rows),
    vjp=lambda g, y, a, packed, rows: (_scalar(g) * factored_cofactors_(a, packed, rows), None, None),
    samples=_from_factors(((3, 3),), ((2, 4, 4),), ((0, 0),)),
)  # fmt: skip


small_det_: Op = _matrices(
    "det_small", infer=lambda a: _vector_type("det", a), reference=lambda a: _determinants(*lu_.reference(a)),
    vjp=lambda g, y, a: (_scalar(g) * cofactors_(a),), lanes=small_matrices.det, samples=_SQUARE[:2],
)  # fmt: skip
whole_det_: Op = _chosen(
    "det", infer=lambda a: _vector_type("det", a), like=small_det_, samples=(*_SQUARE, *_prepared(_dominant, (20, 20))),
    otherwise=lambda a: elimination.det(a) if blocked.is_large(a.type) else det_(a, *results(lu_(a))),
)  # fmt: skip


def _factored_slogdet_vjp(g: tuple[Tensor | None, ...], y: Any, a: Tensor, packed: Tensor, rows: Tensor) -> Rule:
    if g[1] is None:
        return None, None, None
    eye = ops.broadcast_to(identity(a.shape[-1], a.dtype), a.shape)
    return _scalar(g[1]) * solve_(a, packed, rows, eye, transposed=True), None, None


factored_slogdet_: Op = _matrices(
    "slogdet_factored", arity=3, reference=lambda a, packed, rows: _signs_and_logarithms(packed, rows),
    vjp=_factored_slogdet_vjp,
    infer=lambda a, packed, rows: TupleType((_vector_type("slogdet", a), _vector_type("slogdet", a))),
    samples=_from_factors(((3, 3),), ((2, 4, 4),), ((0, 0),)),
)  # fmt: skip


def _cofactors(out: Array, a: Array, packed: Array, rows: Array) -> None:
    """The gradient of the determinant: det(a) a^-T, and by singular values where a has no inverse."""
    n = a.shape[-1]
    if not a.size:
        return
    values = _determinants(packed, rows).reshape(-1)
    with lapack.one_thread():
        for k, (matrix, f, r, place) in enumerate(
            zip(a.reshape(-1, n, n), packed.reshape(-1, n, n), rows.reshape(-1, n), out.reshape(-1, n, n), strict=True)
        ):
            if np.diagonal(f).all():
                lapack.solve(place, f, r, values[k] * np.eye(n, dtype=a.dtype), True)
                continue
            u, s, v = np.linalg.svd(matrix)
            others = np.array([np.prod(np.delete(s, i)) for i in range(n)], a.dtype)
            place[...] = np.rint(np.linalg.det(u) * np.linalg.det(v)) * ((u * others) @ v)


def _where_singular(out: Array, a: Array, made: Array, singular: Array) -> None:
    np.copyto(out, made)
    if singular.any():
        chosen = a[singular]
        found = np.empty_like(chosen)
        _cofactors(found, chosen, *lu_.reference(chosen))
        out[singular] = found


cofactors_of_singular_: Op = _matrices(
    "cofactors_of_singular", arity=3, into=_where_singular, infer=lambda a, made, singular: a,
    samples=(Sample(((2, 3, 3), (2, 3, 3), (2,)), dtypes=("float64", "float64", "bool")),),
)  # fmt: skip


def _cofactors_by_size(a: Tensor) -> Tensor:
    large = blocked.is_large(a.type)
    made: Tensor = cofactors_of_singular_(a, *elimination.cofactors(a)) if large else factored_cofactors_(a, *results(lu_(a)))
    return made


def _factored_cofactors_vjp(g: Tensor, y: Tensor, a: Tensor, packed: Tensor, rows: Tensor) -> Rule:
    return *_cofactors_vjp(g, y, a), None, None


def _cofactors_vjp(g: Tensor, y: Tensor, a: Tensor) -> Rule:
    """Of y = det(a) a^-T: (<g, y> 1 - y g^T) a^-T."""
    total = ops.sum(g * y, axis=(-2, -1), keepdims=True)
    right = total * identity(a.shape[-1], a.dtype) - g @ flip_axes(y)
    return (flip_axes(solve_with(a, right, transposed=False)),)


factored_cofactors_: Op = _matrices(
    "cofactors_factored", arity=3, into=_cofactors, infer=lambda a, packed, rows: square("cofactors", a),
    vjp=_factored_cofactors_vjp,
    samples=_from_factors(((3, 3),), ((2, 4, 4),), ((0, 0),), ((1, 1),)),
)  # fmt: skip


small_cofactors_: Op = _matrices(
    "cofactors_small", infer=_single("cofactors"), vjp=_cofactors_vjp, lanes=small_matrices.cofactors, samples=_SQUARE[:2],
    into=lambda out, a: _cofactors(out, a, *lu_.reference(a)),
)  # fmt: skip
cofactors_: Op = _chosen(
    "cofactors", infer=_single("cofactors"), like=small_cofactors_, samples=(*_SQUARE, *_prepared(_dominant, (20, 20))),
    otherwise=_cofactors_by_size,
)  # fmt: skip


def _slogdet_vjp(g: tuple[Tensor | None, ...], y: Any, a: Tensor) -> Rule:
    return (None if g[1] is None else _scalar(g[1]) * flip_axes(inv_(a)),)


small_slogdet_: Op = _matrices(
    "slogdet_small", infer=lambda a: TupleType((_vector_type("slogdet", a),) * 2), vjp=_slogdet_vjp,
    reference=lambda a: _signs_and_logarithms(*lu_.reference(a)), lanes=small_matrices.slogdet, samples=_SQUARE[:2],
)  # fmt: skip
slogdet_: Op = _chosen(
    "slogdet", infer=lambda a: TupleType((_vector_type("slogdet", a),) * 2), like=small_slogdet_,
    samples=(*_SQUARE, *_prepared(_dominant, (20, 20))),
    otherwise=lambda a: elimination.slogdet(a) if blocked.is_large(a.type) else factored_slogdet_(a, *results(lu_(a))),
)  # fmt: skip


# --- QR --------------------------------------------------------------------------------------------------------------


def _on_one_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function on one thread; NaN for matrices that are not finite, of which LAPACK may make anything."""

    def run(x: Array, **attrs: Any) -> Any:
        wild = np.asarray(~np.isfinite(x).all(axis=(-2, -1)))
        tame = np.where(wild[..., None, None], np.eye(*x.shape[-2:], dtype=x.dtype), x) if wild.any() else x
        with lapack.one_thread():
            made = function(tame, **attrs)
        results = tuple(made) if isinstance(made, tuple) else (made,)
        if wild.any():
            for result in results:
                result[wild] = np.nan
        return results if isinstance(made, tuple) else made

    return run


def _qr_type(x: TensorType, mode: str) -> TupleType:
    *batch, m, n = matrix("qr", x).shape
    k = m if mode == "complete" else smaller(x)
    return TupleType((TensorType(x.dtype, (*batch, m, k)), TensorType(x.dtype, (*batch, k, n))))


def _qr_vjp(g: tuple[Tensor | None, ...], y: tuple[Tensor, Tensor], x: Tensor, mode: str) -> Rule:
    """Seeger et al. 2017, section 4.3, for at least as many rows as columns; a wide matrix [X | Y] is Q [U | Q^T Y]."""
    q, r = y
    m, n = x.shape[-2:]
    gq, gr = _zero_for_none(g[0], q), _zero_for_none(g[1], r)
    wide = dims.is_nonnegative(dims.sub(n, m))
    if mode == "complete" and not wide:
        raise GradientError(
            f"qr(mode='complete') of {x.type} has no gradient: the last columns of Q are any that are orthogonal",
            where=x.where, hint="mode='reduced'",
        )  # fmt: skip
    if q.shape[-1] == r.shape[-1]:
        return (_tall_qr(gq, gr, q, r),)
    k = q.shape[-1]
    right, g_right = _columns(x, k, dims.sub(n, k)), _columns(gr, k, dims.sub(n, k))  # none where x is tall
    left = _tall_qr(gq + right @ flip_axes(g_right), _columns(gr, 0, k), q, _columns(r, 0, k))
    return (ops.concat([left, q @ g_right], -1),)


def _columns(x: Tensor, first: Size, count: Size) -> Tensor:
    return ops.slice_(x, start=(*(0,) * (x.ndim - 1), first), step=(1,) * x.ndim, size=(*x.shape[:-1], count))


def _tall_qr(gq: Tensor, gr: Tensor, q: Tensor, r: Tensor) -> Tensor:
    inner = r @ flip_axes(gr) - flip_axes(gq) @ q
    lower = triangle(inner, lower=True, strict=True)
    mirrored = triangle(inner, lower=True) + flip_axes(lower)
    right = gq + q @ mirrored
    solved = solve_triangular_(r, flip_axes(right), lower=False, transposed=False, unit_diagonal=False)
    return flip_axes(solved)


direct_qr_: Op = _matrices(
    "qr_lapack", infer=_qr_type, reference=_on_one_thread(np.linalg.qr), vjp=_qr_vjp,
    samples=(
        *_prepared(_apart, (3, 3), (5, 3), (2, 3, 3), (3, 5), (0, 0), (3, 0), (1, 1), mode="reduced"),
        *_prepared(_apart, (3, 3), (3, 4), mode="complete"),
    ),
)  # fmt: skip


def _qr_by_size(x: Tensor, mode: str) -> Tensor | tuple[Tensor, ...]:
    if reflections.is_large(x.type) and (mode == "reduced" or dims.is_nonnegative(dims.sub(x.shape[-1], x.shape[-2]))):
        return reflections.qr(x)
    made: Tensor = direct_qr_(x, mode=mode)
    return made


qr_: Op = _by_size("qr", like=direct_qr_, expand=_qr_by_size, infer=_qr_type, samples=direct_qr_.samples)


# --- eigenvalues of symmetric matrices -------------------------------------------------------------------------------


def _values_type(name: str, x: TensorType) -> TensorType:
    return TensorType(x.dtype, square(name, x).shape[:-1])


def _eigh_vjp(g: tuple[Tensor | None, ...], y: tuple[Tensor, Tensor], x: Tensor) -> Rule:
    """Giles 2008, section 3.1. Vectors of equal eigenvalues are any basis of their space; that part is left out."""
    values, vectors = y
    if g[1] is None:
        assert g[0] is not None
        return (_onto_lower(_spectral(vectors, g[0])),)
    inner = (flip_axes(vectors) @ g[1]) * _reciprocal_or_zero(_row(values) - _column(values))
    whole = vectors @ inner @ flip_axes(vectors)
    if g[0] is not None:
        whole = whole + _spectral(vectors, g[0])
    return (_onto_lower(whole),)


def _spectral(vectors: Tensor, values: Tensor) -> Tensor:
    return (vectors * _row(values)) @ flip_axes(vectors)


eigh_: Op = _matrices(
    "eigh", infer=lambda x: TupleType((_values_type("eigh", x), x)), reference=_on_one_thread(np.linalg.eigh), vjp=_eigh_vjp,
    samples=_prepared(_apart, (3, 3), (2, 4, 4), (0, 0), (1, 1)),
)  # fmt: skip
eigvalsh_: Op = _matrices(
    "eigvalsh", infer=lambda x: _values_type("eigvalsh", x), reference=_on_one_thread(np.linalg.eigvalsh),
    vjp=lambda g, y, x: (_onto_lower(_spectral(results(eigh_(x))[1], g)),),
    samples=_prepared(_apart, (3, 3), (2, 4, 4), (0, 0), (1, 1)),
)  # fmt: skip


# --- singular values -------------------------------------------------------------------------------------------------


def _svd_type(x: TensorType, full_matrices: bool) -> TupleType:
    *batch, m, n = matrix("svd", x).shape
    k = smaller(x)
    shapes = ((m, m if full_matrices else k), (k,), (n if full_matrices else k, n))
    return TupleType(tuple(TensorType(x.dtype, (*batch, *shape)) for shape in shapes))


def _svd_vjp(g: tuple[Tensor | None, ...], y: tuple[Tensor, ...], x: Tensor, full_matrices: bool) -> Rule:
    """Townsend 2016, "Differentiating the singular value decomposition". Vectors of equal values are left out as in eigh."""
    u, s, vh = y
    gu, gs, gv = g
    m, n = x.shape[-2:]
    if gu is None and gv is None:
        assert gs is not None
        if full_matrices and m != n:  # whose vectors have gradients of their own
            u, _, vh = results(svd_(x, full_matrices=False))
        return ((u * _row(gs)) @ vh,)
    if full_matrices and m != n:
        raise GradientError(
            f"svd(full_matrices=True) of {x.type} has no gradient by its vectors: the last of them are any that are orthogonal",
            where=x.where, hint="full_matrices=False",
        )  # fmt: skip
    gaps = _reciprocal_or_zero(ops.square(_row(s)) - ops.square(_column(s)))
    ut, v = flip_axes(u), flip_axes(vh)
    inverse = _reciprocal_or_zero(s)
    whole = ops.zeros_like(x)
    inner = ops.zeros_like(ut @ u)
    if gs is not None:
        inner = inner + identity(s.shape[-1], s.dtype) * _row(gs)
    if gu is not None:
        inner = inner + _turned(ut @ gu) * gaps * _row(s)
        if m != s.shape[-1]:
            whole = whole + ((gu - u @ (ut @ gu)) * _row(inverse)) @ vh
    if gv is not None:
        inner = inner + _column(s) * (_turned(vh @ flip_axes(gv)) * gaps)
        if n != s.shape[-1]:
            whole = whole + (u * _row(inverse)) @ (gv - (gv @ v) @ vh)
    return (whole + u @ inner @ vh,)


def _turned(x: Tensor) -> Tensor:
    return x - flip_axes(x)


svd_: Op = _matrices(
    "svd", infer=_svd_type, reference=_on_one_thread(np.linalg.svd), vjp=_svd_vjp,
    samples=(
        *_prepared(_apart, (3, 3), (5, 3), (3, 4), (2, 3, 3), (0, 0), (3, 0), (1, 1), full_matrices=False),
        *_prepared(_apart, (3, 3), full_matrices=True),
    ),
)  # fmt: skip
svdvals_: Op = _matrices(
    "svdvals", infer=lambda x: TensorType(x.dtype, (*matrix("svdvals", x).shape[:-2], smaller(x))),
    reference=_on_one_thread(np.linalg.svdvals), samples=_prepared(_apart, (3, 3), (5, 3), (2, 3, 4), (0, 0), (0, 3)),
    vjp=lambda g, y, x: _svd_vjp((None, g, None), results(svd_(x, full_matrices=False)), x, full_matrices=False),
)  # fmt: skip


def _pinv(x: Array, rtol: float | None) -> Array:
    if rtol is None:
        rtol = max(1, *x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    found: Array = np.linalg.pinv(x, rtol=rtol).astype(x.dtype, copy=False)
    return found


def _pinv_vjp(g: Tensor, y: Tensor, x: Tensor, rtol: float | None) -> Rule:
    """Golub and Pereyra 1973, equation 4.12, transposed: exact where the rank stays as it is."""
    yt, gt = flip_axes(y), flip_axes(g)
    first = yt @ (g @ yt)
    left = gt @ y @ yt
    right = yt @ (y @ gt)
    return ((left - x @ (y @ left)) + (right - (right @ y) @ x) - first,)


pinv_: Op = _matrices(
    "pinv", infer=lambda x, rtol: TensorType(x.dtype, (*matrix("pinv", x).shape[:-2], x.shape[-1], x.shape[-2])),
    reference=_on_one_thread(_pinv), vjp=_pinv_vjp,
    samples=_prepared(_apart, (3, 3), (5, 3), (2, 3, 4), (0, 0), (0, 3), rtol=1e-6),
)  # fmt: skip


# --- the exponential -------------------------------------------------------------------------------------------------

# Coefficients of the [13/13] Padé approximant of exp, and the norm up to which it is exact to the last bit of a float64:
# Higham 2005, "The scaling and squaring method for the matrix exponential revisited", SIAM J. Matrix Anal. Appl. 26, table 2.3.
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0, 10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_NORM = 5.371920351148152


def _expm(x: Array) -> Array:
    n = x.shape[-1]
    made = np.empty(x.shape, x.dtype)
    with lapack.one_thread():
        for matrix, place in zip(x.reshape(-1, n, n), made.reshape(-1, n, n), strict=True) if x.size else ():
            place[...] = _expm_of_one(matrix.astype(np.float64))
    return made


def _expm_of_one(a: Array) -> Array:
    norm = float(np.abs(a).sum(axis=0).max())
    if not np.isfinite(norm):
        return np.full_like(a, np.nan)
    halvings = max(0, int(np.ceil(np.log2(norm / _NORM)))) if norm else 0
    a = a * 0.5**halvings
    one, b = np.eye(len(a)), _PADE
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a2 @ a4
    odd = a @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    result = np.linalg.solve(even - odd, even + odd)
    for _ in range(halvings):
        result = result @ result
    return result


def _expm_vjp(g: Tensor, y: Tensor, x: Tensor) -> Rule:
    """The Fréchet derivative at x^T towards g: a block of the exponential of [[x^T, g], [0, x^T]] (Higham 2008, theorem 3.6)."""
    n = x.shape[-1]
    xt = flip_axes(x)
    block = ops.concat([ops.concat([xt, g], -1), ops.concat([ops.zeros_like(x), xt], -1)], -2)
    return (expm_(block)[..., :n, n:],)


expm_: Op = _matrices("expm", infer=_single("expm"), reference=_expm, vjp=_expm_vjp, samples=_SQUARE)

__all__ = [
    "cholesky_", "det_", "diagonal", "eigh_", "eigvalsh_", "expm_", "flip_axes", "identity", "inv_", "lu_", "matrix", "pinv_",
    "qr_", "slogdet_", "smaller", "solve_", "solve_triangular_", "solve_with", "square", "svd_", "svdvals_", "symmetric",
    "triangle", "whole_det_",
]  # fmt: skip
