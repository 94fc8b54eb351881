"""Factors and systems of small matrices, each in a lane of vectors (ir/lanes.py).

What is larger is LAPACK's (decompositions.py), and the formulas are too: the first of the largest elements is the pivot, and what
is not positive definite shows at a pivot that is not positive. A choice of rows is a choice of values in every lane, so no lane
waits for another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.errors import GraphError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import Host, Lanes, Sample
from graphc.ir.scalar import Value
from graphc.ir.types import TensorType
from graphc.ops.declare import Op, build

Array = np.ndarray[Any, Any]
LARGEST = 16  # rows: of float32 in 16 lanes 16 kB, half of what a core keeps in its first cache; and code of 2,000 lines


def is_small(*operands: TensorType, **attrs: Any) -> bool:
    """Whether matrices, or what is left of their types without leading axes, are small enough, and not empty."""
    return all(isinstance(n, int) and 0 < n <= LARGEST for x in operands for n in x.shape[-2:])


def _refused(bad: Array, refusal: str) -> Array:
    if bad.any():
        raise GraphError(refusal)
    return np.zeros((), np.bool_)


refused_ = Op(
    "refused", lambda bad, refusal: TensorType(t.bool_, ()), _refused, Host(guards=True), None,
    (Sample(((0,),), {"refusal": "the matrix is singular"}, ("bool",)),),
    arity=1, build=build, doc="False; GraphError where an element is true: what a kernel says of matrices that it refuses.",
)  # fmt: skip


# --- Cholesky --------------------------------------------------------------------------------------------------------


def _cholesky(k: LaneCode) -> None:
    n, dtype = k.size(0, 0), k.types["x0"].dtype
    a, below, pivot, good, wild = k.fetch(0), k.local(dtype, n), k.local(dtype), k.local(t.bool_), k.local(dtype)
    with k.lanes():
        for row in range(n):
            for column in range(row + 1):
                k.put(a, (k.get(a, row, column) + k.get(a, column, row)) * 0.5, row, column)
    with k.lanes():
        k.put(good, k.const(True, t.bool_))
        k.put(wild, k.const(0.0, dtype))
    with k.loop(n) as i, k.loop(dims.add(i, 1)) as j, k.lanes():
        k.put(wild, k.get(wild) + k.get(a, i, j) * 0.0)  # NaN where an element is not finite
    with k.loop(n) as j:
        with k.lanes():
            square = k.get(a, j, j)
            k.put(good, k.get(good) & (square > 0.0))
            k.put(pivot, k.op("sqrt", square))
        with k.lanes():
            k.put(below, k.get(pivot), j)
        with k.loop(n, dims.add(j, 1)) as i, k.lanes():
            k.put(below, k.get(a, i, j) / k.get(pivot), i)
        with k.loop(n, dims.add(j, 1)) as i, k.loop(dims.add(i, 1), dims.add(j, 1)) as m, k.lanes():
            k.put(a, k.less_product(k.get(a, i, m), k.get(below, i), k.get(below, m)), i, m)
        with k.loop(n, j) as i, k.lanes():
            k.put(a, k.get(below, i), i, j)
    with k.elements():
        k.refuse(~k.get(good) & (k.get(wild) == 0.0))
    with k.loop(n) as i:
        with k.loop(dims.add(i, 1)) as j, k.lanes():
            k.put(a, k.select(k.get(wild) == 0.0, k.get(a, i, j), float("nan")), i, j)
        with k.loop(n, dims.add(i, 1)) as j, k.lanes():
            k.put(a, k.select(k.get(wild) == 0.0, k.const(0.0, dtype), float("nan")), i, j)
    k.hand(0, a)


cholesky = Lanes((2, 2), _cholesky, is_small, refused_, "cholesky raised LinAlgError: the matrix is not positive definite")


# --- triangular systems ---------------------------------------------------------------------------------------------------------


def _substitute(k: LaneCode, a: str, x: str, lower: bool, transposed: bool, unit: bool) -> None:
    """x becomes that of a x = x, where a is a triangle; of its transpose, if `transposed`."""
    n, m = (int(size) for size in k.types[x].shape)
    row = k.local(k.types[x].dtype, m)
    with k.loop(n) as turn:
        downwards = lower != transposed
        i = turn if downwards else dims.sub(n - 1, turn)
        with k.loop(m) as j, k.lanes():
            value = k.get(x, i, j)
            k.put(row, value if unit else value / k.get(a, i, i), j)
        with k.loop(m) as j, k.lanes():
            k.put(x, k.get(row, j), i, j)
        with k.loop(n, dims.add(i, 1)) if downwards else k.loop(i) as r, k.loop(m) as j, k.lanes():
            factor = k.get(a, i, r) if transposed else k.get(a, r, i)
            k.put(x, k.less_product(k.get(x, r, j), factor, k.get(row, j)), r, j)


def _zero_on_diagonal(k: LaneCode, a: str) -> None:
    """Refuse what has a zero on its diagonal."""
    zero = k.local(t.bool_)
    with k.lanes():
        k.put(zero, k.const(False, t.bool_))
    with k.loop(k.size(0, 0)) as i, k.lanes():
        k.put(zero, k.get(zero) | (k.get(a, i, i) == 0.0))
    with k.elements():
        k.refuse(k.get(zero))


def _solve_triangular(k: LaneCode, lower: bool, transposed: bool, unit_diagonal: bool) -> None:
    a, x = k.fetch(0), k.fetch(1)
    _substitute(k, a, x, lower, transposed, unit_diagonal)
    if unit_diagonal:
        with k.elements():
            k.refuse(k.const(False, t.bool_))
    else:
        _zero_on_diagonal(k, a)
    k.hand(0, x)


solve_triangular = Lanes(
    (2, 2, 2), _solve_triangular, is_small, refused_,
    "solve_triangular raised LinAlgError: the matrix is singular: its diagonal has a zero",
)  # fmt: skip


# --- elimination, and what is made of it -----------------------------------------------------------------------------


def _eliminated(k: LaneCode, a: str, right: int, columns: str | None = None) -> tuple[str, str]:
    """Make an upper triangle of the first columns of a, by exchanges of rows, and do the same to `right` columns behind them.

    The sign of the order of rows, and whether a pivot is 0. Rows are written out, so that each exchange is done in registers.
    With `columns` columns are exchanged too, so that each pivot is the largest element left: what stands in which place is put
    there, and the sign is that of both orders.
    """
    dtype, n = k.types[a].dtype, k.size(0, 0)
    factors, row, sign, singular = k.local(dtype, n), k.local(t.int32), k.local(dtype), k.local(t.bool_)
    with k.lanes():
        k.put(sign, k.const(1.0, dtype))
        k.put(singular, k.const(False, t.bool_))
    for step in range(n):
        if columns is not None:
            _largest_column_first(k, a, step, columns, sign)
        with k.lanes():
            rows = [k.get(a, i, step) for i in range(step, n)]
            best, place, pivot = abs(rows[0]), k.const(step, t.int32), rows[0]
            for i, x in enumerate(rows[1:], step + 1):
                better = abs(x) > best
                best, pivot = k.select(better, abs(x), best), k.select(better, x, pivot)
                place = k.select(better, k.const(i, t.int32), place)
            zero = pivot == 0.0
            k.put(singular, k.get(singular) | zero)
            k.put(sign, k.select(place == step, k.get(sign), -k.get(sign)))
            k.put(row, place)
            k.put(a, pivot, step, step)
            for i, x in enumerate(rows[1:], step + 1):
                x = k.select(place == i, rows[0], x)
                k.put(factors, k.select(zero, x, x / pivot), i)
        with k.loop(n + right, step + 1) as j, k.lanes():
            rows, place = [k.get(a, i, j) for i in range(step, n)], k.get(row)
            other = rows[0]
            for i, x in enumerate(rows[1:], step + 1):
                other = k.select(place == i, x, other)
            k.put(a, other, step, j)
            for i, x in enumerate(rows[1:], step + 1):
                k.put(a, k.less_product(k.select(place == i, rows[0], x), k.get(factors, i), other), i, j)
    return sign, singular


def _largest_column_first(k: LaneCode, a: str, step: int, columns: str, sign: str) -> None:
    """Exchange a column with the one that has the largest element of what is left."""
    n, dtype = k.size(0, 0), k.types[a].dtype
    best, place = k.local(dtype), k.local(t.int32)
    with k.lanes():
        k.put(best, k.const(-1.0, dtype))
        k.put(place, k.const(step, t.int32))
    with k.loop(n, step) as j, k.lanes():
        largest, found = k.get(best), k.get(place)
        for i in range(step, n):
            x = abs(k.get(a, i, j))
            better = x > largest
            largest, found = k.select(better, x, largest), k.select(better, k.cast(k.index(j), t.int32), found)
        k.put(best, largest)
        k.put(place, found)
    with k.lanes():
        _bring(k, columns, (), step, k.get(place))
        k.put(sign, k.select(k.get(place) == step, k.get(sign), -k.get(sign)))
    with k.loop(n) as row, k.lanes():
        _bring(k, a, (row,), step, k.get(place))


def _bring(k: LaneCode, array: str, row: tuple[Size, ...], step: int, place: Value) -> None:
    """Exchange two elements of a row."""
    values = [k.get(array, *row, j) for j in range(step, k.size(0, 0))]
    other = values[0]
    for j, x in enumerate(values[1:], step + 1):
        other = k.select(place == j, x, other)
        k.put(array, k.select(place == j, values[0], x), *row, j)
    k.put(array, other, *row, step)


def _beside(k: LaneCode, transposed: bool, right: int) -> str:
    """The matrix, or its transpose, with room for columns behind it."""
    n, given = k.size(0, 0), k.fetch(0)
    if not transposed and not right:
        return given
    a = k.local(k.types["x0"].dtype, n, n + right)
    with k.loop(n) as i, k.loop(n) as j, k.lanes():
        k.put(a, k.get(given, i, j), *((j, i) if transposed else (i, j)))
    return a


def _back(k: LaneCode, a: str, right: int) -> None:
    """Solve the system of an upper triangle with the columns behind it, and give them."""
    n = k.size(0, 0)
    found = k.local(k.types[a].dtype, n, right)
    for row in reversed(range(n)):
        with k.loop(n + right, n) as j, k.lanes():
            x = k.get(a, row, j)
            for r in range(row + 1, n):
                x = k.less_product(x, k.get(a, row, r), k.get(found, r, dims.sub(j, n)))
            k.put(found, x / k.get(a, row, row), row, dims.sub(j, n))
    k.hand(0, found)


def _solve(k: LaneCode, transposed: bool) -> None:
    n, m = k.size(0, 0), k.size(1, 1)
    a = _beside(k, transposed, m)
    b = k.fetch(1)
    with k.loop(n) as i, k.loop(m) as j, k.lanes():
        k.put(a, k.get(b, i, j), i, dims.add(j, n))
    _, singular = _eliminated(k, a, m)
    with k.elements():
        k.refuse(k.get(singular))
    _back(k, a, m)


solve = Lanes((2, 2, 2), _solve, is_small, refused_, "solve raised LinAlgError: the matrix is singular")


def _with_identity(k: LaneCode) -> str:
    """The matrix, and the columns of the identity behind it."""
    n, dtype = k.size(0, 0), k.types["x0"].dtype
    a = _beside(k, False, n)
    with k.loop(n) as i, k.loop(n) as j, k.lanes():
        k.put(a, k.cast(k.index(i) == k.index(j), dtype), i, dims.add(j, n))
    return a


def _inv(k: LaneCode) -> None:
    n, a = k.size(0, 0), _with_identity(k)
    _, singular = _eliminated(k, a, n)
    with k.elements():
        k.refuse(k.get(singular))
    _back(k, a, n)


inv = Lanes((2, 2), _inv, is_small, refused_, "solve raised LinAlgError: the matrix is singular")


def _det(k: LaneCode) -> None:
    a = _beside(k, False, 0)
    product, _ = _eliminated(k, a, 0)
    with k.loop(k.size(0, 0)) as i, k.lanes():
        k.put(product, k.get(product) * k.get(a, i, i))
    k.hand(0, product)


det = Lanes((2, 0), _det, is_small)


def _slogdet(k: LaneCode) -> None:
    a = _beside(k, False, 0)
    sign, _ = _eliminated(k, a, 0)
    total = k.local(k.types[a].dtype)
    with k.lanes():
        k.put(total, k.const(0.0, k.types[a].dtype))
    with k.loop(k.size(0, 0)) as i, k.lanes():
        x = k.get(a, i, i)
        k.put(sign, k.get(sign) * k.select(x > 0.0, k.const(1.0, x.dtype), k.select(x < 0.0, k.const(-1.0, x.dtype), x)))
        k.put(total, k.get(total) + k.op("log", abs(x)))
    k.hand(0, sign)
    k.hand(1, total)


slogdet = Lanes((2, 0, 0), _slogdet, is_small)


def _cofactors(k: LaneCode) -> None:
    """The adjugate, transposed, also of what has no inverse.

    With P A Q = L U, A's adjugate is Q adj(U) L^-1 P times the signs of P and Q. Of U = [[V, u], [0, d]] it is
    det(V) [[d V^-1, -V^-1 u], [0, 1]], and as the pivots are the largest elements, V is singular only where all minors are 0.
    """
    n, dtype = k.size(0, 0), k.types["x0"].dtype
    a, columns, scale, last = _with_identity(k), k.local(t.int32, n), k.local(dtype), k.local(dtype, n)
    with k.loop(n) as i, k.lanes():
        k.put(columns, k.cast(k.index(i), t.int32), i)
    sign, _ = _eliminated(k, a, n, columns)
    with k.lanes():
        k.put(scale, k.get(sign))
    with k.loop(n - 1) as i, k.lanes():
        k.put(scale, k.get(scale) * k.get(a, i, i))
    with k.loop(n) as j, k.lanes():
        k.put(last, k.get(a, n - 1, dims.add(j, n)), j)
    for row in reversed(range(n - 1)):
        with k.loop(n) as j, k.lanes():
            x = k.get(a, row, dims.add(j, n)) * k.get(a, n - 1, n - 1)
            x = k.less_product(x, k.get(a, row, n - 1), k.get(last, j))
            for r in range(row + 1, n - 1):
                x = k.less_product(x, k.get(a, row, r), k.get(a, r, dims.add(j, n)))
            k.put(a, x / k.get(a, row, row), row, dims.add(j, n))
    with k.elements(), k.loop(n) as i:
        column, factor = k.as_index(k.cast(k.get(columns, i), t.int64)), k.get(scale)
        with k.loop(n) as j:
            k.give(0, k.select(factor == 0.0, k.const(0.0, dtype), factor * k.get(a, i, dims.add(j, n))), j, column)


cofactors = Lanes((2, 2), _cofactors, is_small)



__all__ = ["LARGEST", "cholesky", "cofactors", "det", "inv", "is_small", "refused_", "slogdet", "solve", "solve_triangular"]
