"""Cholesky's factor and triangular systems of large matrices by blocks: products, and small factors on the diagonal.

    [A11     ]   [L11     ] [L11^T L21^T]      L11 L11^T = A11
    [A21  A22] = [L21  L22] [      L22^T]      L21 = A21 L11^-T
                                               L22 L22^T = A22 - L21 L21^T

Each half goes by halves again, down to blocks of 32 to `BLOCK` rows, which one kernel factors and inverts: a system of such a
block is a product with its inverse. Nearly all of the work is in products, which run on all threads in an order that does not
depend on how many there are. Sizes must be numbers, so that blocks are. A product with a block's inverse has an error of the
order of that block's condition, which is no worse than the matrix's (Higham 2002, "Accuracy and Stability of Numerical
Algorithms", 14.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from graphc import ops
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import Lanes, Sample
from graphc.ir.types import TensorType, TupleType
from graphc.ops import lapack
from graphc.ops.declare import Op, host, results
from graphc.ops.small_matrices import refused_
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
BLOCK = 128  # rows of a block on the diagonal: with its inverse 128 kB, which a core keeps in its second cache
WIDTHS, FEW = (32, 64, BLOCK), 8  # rows of a block of the factor, and how many blocks there are at most before they get larger
SPLIT = 512  # rows from which on a product's half above the diagonal is left out, at the price of a kernel more
SQUARE = 8  # rows and columns: as many lines of the cache as its first level has room for where they lie 4 kB apart
VECTOR = 16  # elements of the longest vector of float32
LEAST = 192  # rows from which on blocks are faster than LAPACK alone


@dataclass(frozen=True)
class Lower:
    """A lower triangle by blocks: one with its inverse, or two and what stands below the first."""

    rows: int
    whole: Tensor | None = None
    inverse: Tensor | None = None
    first: Lower | None = None
    below: Tensor | None = None
    last: Lower | None = None
    refused: Tensor | None = None


def is_large(x: TensorType) -> bool:
    """Whether a matrix is large enough for blocks, and its size is a number."""
    n = x.shape[-1]
    return isinstance(n, int) and n >= LEAST


def is_wide(b: TensorType) -> bool:
    """Whether right sides are many enough for products with inverses, which cost as much as so many of them."""
    m = b.shape[-1]
    return isinstance(m, int) and m >= BLOCK // 2


def width_of(a: Tensor, most: int) -> int:
    """Of how many columns blocks are: so few that there are at most so many blocks, for each comes with kernels to compile."""
    n = min(size for size in a.shape[-2:] if isinstance(size, int))
    return next((width for width in WIDTHS if n <= most * width), BLOCK)


def _half(n: int, block: int) -> int:
    """The rows of the first half, whole blocks."""
    return (n // 2 + block - 1) // block * block


def _factor(a: Array) -> tuple[Array, Array, Array]:
    """L, its inverse, and whether there is none, of a = L L^T: of all matrices alike, by LAPACK; NaN for what is not finite."""
    lower, eye = np.full_like(a, np.nan), np.eye(a.shape[-1], dtype=a.dtype)
    inverse, bad = np.full_like(a, np.nan), np.zeros(a.shape[:-2], np.bool_)
    for at in np.ndindex(a.shape[:-2]):
        try:
            lapack.cholesky(lower[at], a[at])
        except LinAlgError:
            bad[at], lower[at] = True, np.nan
        if np.isfinite(lower[at]).all():
            lapack.solve_triangular(inverse[at], lower[at], eye, True, False, False)
    return lower, inverse, bad


def _factor_code(k: LaneCode) -> None:
    """By rows of the upper triangle L^T: what a row takes away from those below it is summed up there, until it is their turn.

    What happens to the rows of the identity beside them makes the inverse. Loops begin and end at whole vectors.
    """
    n, dtype = k.size(0, 0), k.types["x0"].dtype
    a, inverse, row, beside = k.local(dtype, n, n), k.local(dtype, n, n), k.local(dtype, n), k.local(dtype, n)
    bad = k.local(t.bool_)
    with k.lanes():
        k.put(bad, k.const(False, t.bool_))
        with k.loop(n) as i:
            k.put(row, k.const(0.0, dtype), i)
            k.put(beside, k.const(0.0, dtype), i)
            with k.loop(n) as j:
                k.put(a, k.const(0.0, dtype), i, j)
                k.put(inverse, k.cast(k.index(i) == k.index(j), dtype), i, j)
        with k.loop(n) as step:
            pivot = k.given(0, step, step) - k.get(a, step, step)
            k.put(bad, k.get(bad) | ((pivot <= 0.0) & (pivot > float("-inf"))))
            root, ahead = k.op("sqrt", pivot), dims.add(step, 1)
            with k.loop(n, step) as j:
                k.put(row, (k.given(0, step, j) - k.get(a, step, j)) / root, j)
            with k.loop(n, step) as j:
                k.put(a, k.get(row, j), step, j)
            with k.loop(ahead) as j:
                k.put(beside, k.get(inverse, step, j) / root, j)
            with k.loop(ahead) as j:
                k.put(inverse, k.get(beside, j), step, j)
            with k.loop(n, ahead) as i:
                factor = k.get(row, i)
                with k.loop(n, dims.mul(dims.floordiv(i, VECTOR), VECTOR)) as j:
                    k.put(a, k.less_product(k.get(a, i, j), -factor, k.get(row, j)), i, j)
                with k.loop(dims.minimum(dims.mul(dims.floordiv(dims.add(step, VECTOR), VECTOR), VECTOR), n)) as j:
                    k.put(inverse, k.less_product(k.get(inverse, i, j), factor, k.get(beside, j)), i, j)
    with k.elements():
        k.give(2, k.get(bad))
        with k.loop(n) as i:
            with k.loop(dims.add(i, 1)) as j:
                k.give(0, k.get(a, j, i), i, j)
            with k.loop(n, dims.add(i, 1)) as j:
                k.give(0, k.get(a, 0, 0) * 0.0, i, j)  # NaN where all is
            with k.loop(n) as j:
                k.give(1, k.get(inverse, i, j), i, j)


def _definite(a: Array) -> tuple[Array]:
    return ((a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1], dtype=a.dtype)),)


factor_: Op = host(
    "cholesky_block", infer=lambda a: TupleType((a, a, TensorType(t.bool_, a.shape[:-2]))), reference=_factor,
    samples=tuple(Sample((shape,), dtypes=("float64",), prepare=_definite) for shape in ((3, 3), (2, 20, 20))),
    lanes=Lanes((2, 2, 2, 0), _factor_code, lambda a: a.shape[-1] <= BLOCK, width=1),
)  # fmt: skip


def _inverse(a: Array, unit_diagonal: bool) -> tuple[Array, Array]:
    """The inverses of lower triangles, and whether there is none, of all matrices alike."""
    made, eye = np.full_like(a, np.nan), np.eye(a.shape[-1], dtype=a.dtype)
    bad = (np.einsum("...ii->...i", a) == 0).any(axis=-1) & (not unit_diagonal)
    for at in np.ndindex(a.shape[:-2]):
        if not bad[at]:
            lapack.solve_triangular(made[at], a[at], eye, True, False, bool(unit_diagonal))
    return made, bad


def _inverse_code(k: LaneCode, unit_diagonal: bool) -> None:
    """What makes the identity of the triangle, done to the identity; of each row as far as the diagonal, and a vector's rest."""
    n, dtype = k.size(0, 0), k.types["x0"].dtype
    inverse, beside, bad = k.local(dtype, n, n), k.local(dtype, n), k.local(t.bool_)
    with k.lanes():
        k.put(bad, k.const(False, t.bool_))
        with k.loop(n) as i:
            k.put(beside, k.const(0.0, dtype), i)
            with k.loop(n) as j:
                k.put(inverse, k.cast(k.index(i) == k.index(j), dtype), i, j)
        with k.loop(n) as step:
            ahead = dims.add(step, 1)
            pivot = k.const(1.0, dtype) if unit_diagonal else k.given(0, step, step)
            k.put(bad, k.get(bad) | (pivot == 0.0))
            with k.loop(ahead) as j:
                k.put(beside, k.get(inverse, step, j) / pivot, j)
            with k.loop(ahead) as j:
                k.put(inverse, k.get(beside, j), step, j)
            with k.loop(n, ahead) as i:
                factor = k.given(0, i, step)
                with k.loop(dims.minimum(dims.mul(dims.floordiv(dims.add(step, VECTOR), VECTOR), VECTOR), n)) as j:
                    k.put(inverse, k.less_product(k.get(inverse, i, j), factor, k.get(beside, j)), i, j)
    k.hand(0, inverse)
    with k.elements():
        k.give(1, k.get(bad))


inverse_: Op = host(
    "triangle_block", infer=lambda a, unit_diagonal: TupleType((a, TensorType(t.bool_, a.shape[:-2]))), reference=_inverse,
    samples=tuple(
        Sample((shape,), {"unit_diagonal": unit}, ("float64",), prepare=_definite)
        for shape in ((3, 3), (2, 20, 20)) for unit in (False, True)
    ),
    lanes=Lanes((2, 2, 0), _inverse_code, lambda a, unit_diagonal: a.shape[-1] <= BLOCK, width=1),
)  # fmt: skip


@contextmanager
def by_squares(k: LaneCode, m: Size, n: Size) -> Iterator[tuple[tuple[Size, Size], tuple[Size, Size]]]:
    """Loops over the squares of a matrix, of which each line of the cache that a column touches is used up.

    Of a square the stop and the start of its rows, and of its columns.
    """

    def count(size: Size) -> Size:
        return dims.floordiv(dims.add(size, SQUARE - 1), SQUARE)

    def within(square: Size, size: Size) -> tuple[Size, Size]:
        first = dims.mul(square, SQUARE)
        return dims.minimum(dims.add(first, SQUARE), size), first

    with k.loop(count(m)) as down, k.loop(count(n)) as right:
        yield within(down, m), within(right, n)


def by_columns(k: LaneCode, m: Size, n: Size, array: str) -> None:
    """Put the first operand, m x n, into an array whose rows are its columns."""
    with by_squares(k, m, n) as (rows, columns), k.loop(*columns) as j, k.loop(*rows) as i:
        k.put(array, k.given(0, i, j), j, i)


def _middle_code(k: LaneCode) -> None:
    with k.elements(), by_squares(k, k.size(0, 0), k.size(0, 1)) as (rows, columns), k.loop(*rows) as i, k.loop(*columns) as j:
        k.give(0, (k.given(0, i, j) + k.given(1, j, i)) * 0.5, i, j)


middle_: Op = host(
    "middle", infer=lambda x, y: x, reference=lambda x, y: (x + np.swapaxes(y, -1, -2)) * x.dtype.type(0.5), arity=2,
    samples=tuple(Sample(shapes, dtypes=("float64",) * 2) for shapes in (((3, 5), (5, 3)), ((2, 20, 17), (2, 17, 20)))),
    lanes=Lanes((2, 2, 2), _middle_code, lambda x, y: True, width=1),
)  # fmt: skip


def flipped(x: Tensor) -> Tensor:
    return ops.matrix_transpose(x)


def solved(lower: Lower, b: Tensor, transposed: bool = False) -> Tensor:
    """The x of L x = b, or of L^T x = b."""
    if lower.inverse is not None:
        return (flipped(lower.inverse) if transposed else lower.inverse) @ b
    assert lower.first is not None and lower.last is not None and lower.below is not None
    h = lower.first.rows
    top, rest = b[..., :h, :], b[..., h:, :]
    if transposed:
        last = solved(lower.last, rest, True)
        return ops.concat([solved(lower.first, top - flipped(lower.below) @ last, True), last], -2)
    first = solved(lower.first, top)
    return ops.concat([first, solved(lower.last, rest - lower.below @ first)], -2)


def _triangle(a: Tensor, unit_diagonal: bool) -> Lower:
    """A lower triangle that is given."""
    n = a.shape[-1]
    assert isinstance(n, int)
    if n <= BLOCK:
        inverse, bad = results(inverse_(a, unit_diagonal=unit_diagonal))
        return Lower(n, None, inverse, refused=bad)
    h = _half(n, BLOCK)
    first, last = _triangle(a[..., :h, :h], unit_diagonal), _triangle(a[..., h:, h:], unit_diagonal)
    assert first.refused is not None and last.refused is not None
    return Lower(n, None, None, first, a[..., h:, :h], last, first.refused | last.refused)


def solve_triangular(a: Tensor, b: Tensor, lower: bool, transposed: bool, unit_diagonal: bool) -> Tensor:
    """The x of a x = b, or of a^T x = b, where a is a triangle; one with a zero on its diagonal is refused."""
    triangle = _triangle(a if lower else flipped(a), unit_diagonal)
    x = solved(triangle, b, transposed == lower)
    if unit_diagonal:
        return x
    assert triangle.refused is not None
    why = "solve_triangular raised LinAlgError: the matrix is singular: its diagonal has a zero"
    refused = refused_(triangle.refused, refusal=why)
    return ops.where(refused, ops.full((), np.nan, a.dtype), x)


def _factored(a: Tensor, block: int, update: Tensor | None = None) -> Lower:
    """The factor of (a + a^T) / 2, less a product of `update` by its transpose.

    The sum is made block by block, where a block is used, and so is the product where it is large: half of it is above the
    diagonal.
    """
    n = a.shape[-1]
    assert isinstance(n, int)
    if n <= block:
        whole, inverse, bad = results(factor_(middle_(a, a)))
        return Lower(n, whole, inverse, refused=bad)
    h = _half(n, block)
    top, side, corner = a[..., :h, :h], middle_(a[..., :h, h:], a[..., h:, :h]), a[..., h:, h:]
    if update is not None:
        upper, lower = update[..., :h, :], update[..., h:, :]
        top, side, corner = top - upper @ flipped(upper), side - upper @ flipped(lower), corner - lower @ flipped(lower)
    first = _factored(top, block)
    below = flipped(solved(first, side))
    last = _factored(corner, block, below) if n - h >= SPLIT else _factored(corner - below @ flipped(below), block)
    assert first.refused is not None and last.refused is not None
    return Lower(n, None, None, first, below, last, first.refused | last.refused)


def _dense(lower: Lower, above: Tensor) -> Tensor:
    """The triangle as a matrix, with a number for each matrix above it."""
    if lower.whole is not None:
        return lower.whole
    assert lower.first is not None and lower.last is not None and lower.below is not None
    first, last = _dense(lower.first, above), _dense(lower.last, above)
    right = ops.broadcast_to(above, (*lower.below.shape[:-2], lower.first.rows, lower.last.rows))
    return ops.concat([ops.concat([first, right], -1), ops.concat([lower.below, last], -1)], -2)


def cholesky(a: Tensor) -> Tensor:
    """The lower triangle of (a + a^T) / 2; NaN where a matrix is not finite, and what else has none is refused."""
    wild = ops.any(ops.logical_not(ops.isfinite(a)), axis=(-2, -1))
    nan = ops.full((), np.nan, a.dtype)
    lower = _factored(ops.where(ops.expand_dims(wild, (-2, -1)), nan, a), width_of(a, FEW))
    assert lower.refused is not None
    refused = refused_(lower.refused & ~wild, refusal="cholesky raised LinAlgError: the matrix is not positive definite")
    above = ops.where(wild | refused, nan, ops.zeros((), a.dtype))
    return _dense(lower, ops.expand_dims(above, (-2, -1)))


__all__ = [
    "BLOCK", "FEW", "LEAST", "SQUARE", "Lower", "by_columns", "by_squares", "cholesky", "flipped", "inverse_", "is_large",
    "is_wide", "solve_triangular", "solved", "width_of",
]  # fmt: skip
