"""LU with exchanged rows, of large matrices by blocks of columns, and what is told by it.

    [A11]      [L11]            A12, with the same rows exchanged      U12 = L11^-1 A12
    [   ]  =   [   ] U11                                               A22 - L21 U12 = L22 U22, again with exchanged rows
    [A21]      [L21]

Columns go by halves (Toledo 1997, "Locality of reference in LU decomposition with partial pivoting", SIAM J. Matrix Anal. Appl.
18), down to panels of a width that one kernel factors, with all rows that are left. Nearly all of the work is in products, which
run on all threads in an order that does not depend on how many there are; a panel has one. A pivot is the first of the largest
elements of a column, as LAPACK's. Sizes must be numbers, as in blocked.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import ops
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import Lanes, Sample
from graphc.ir.types import TensorType, TupleType
from graphc.ops.blocked import BLOCK, FEW, Lower, by_columns, by_squares, flipped, inverse_, solved, width_of
from graphc.ops.declare import Op, host, results
from graphc.ops.small_matrices import refused_
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
PIECE = 16  # columns of a panel that are eliminated one by one, before the others hear of them
RUN = 32  # rows that a loop takes at once: four vectors of 8 float32


def _panel(a: Array, rows: Array, room: int) -> tuple[Array, Array, Array]:
    """The factors of a[order] = L U in one matrix, the order of rows, and its sign."""
    *batch, m, n = a.shape
    made, order, sign = a.copy(), np.empty((*batch, m), np.int64), np.ones(batch, a.dtype)
    order[...] = np.arange(m)
    with np.errstate(all="ignore"):
        for at in np.ndindex(*batch):
            x, places = made[at], order[at]
            for step in range(n):
                size = np.abs(x[step:, step])
                place = step + int(np.argmax(np.where(np.isnan(size), -1, size)))
                if place != step:
                    x[[step, place]], places[[step, place]] = x[[place, step]], places[[place, step]]
                    sign[at] = -sign[at]
                x[step + 1 :, step] /= x[step, step] if x[step, step] != 0 else 1
                x[step + 1 :, step + 1 :] -= np.outer(x[step + 1 :, step], x[step, step + 1 :])
    return made, order, sign


def _panel_code(k: LaneCode, room: int) -> None:
    """By pieces of `PIECE` columns, each of which lies in memory as a row does, so that what happens to it is done by vectors.

    Loops over rows begin and end at whole runs of `RUN`; what lies before the rows meant is multiplied by 0. How many rows there
    are is a value, so that panels of all heights are one kernel.
    """
    n, dtype = k.size(0, 1), k.types["x0"].dtype
    wide, most = -(-n // PIECE) * PIECE, -(-room // RUN) * RUN
    a, piece, upper = k.local(dtype, wide, most + RUN), k.local(dtype, PIECE, most + RUN), k.local(dtype, PIECE, wide)
    order, exchanges, row = k.local(t.int64, most), k.local(t.int64, PIECE), k.local(dtype, wide)
    factors, live = k.local(dtype, most), k.local(dtype, most)
    best, place, sign = k.local(dtype), k.local(t.int64), k.local(dtype)

    def run(size: Size) -> Size:
        return dims.mul(dims.floordiv(size, RUN), RUN)

    def exchange(array: str, column: Size, i: Size, other: Size) -> None:
        first, second = k.get(array, column, i), k.get(array, column, other)
        k.put(array, second, column, i)
        k.put(array, first, column, other)

    with k.lanes():
        m = k.as_index(k.whole(1))
        high = run(dims.add(m, RUN - 1))
        k.put(sign, k.const(1.0, dtype))
        with k.loop(m) as i:
            k.put(order, k.index(i), i)
        with k.loop(high) as i:
            k.put(live, k.const(1.0, dtype), i)
        by_columns(k, m, n, a)
        with k.loop(n) as j, k.loop(high, m) as i:
            k.put(a, k.const(0.0, dtype), j, i)
        with k.loop(wide, n) as j, k.loop(high) as i:
            k.put(a, k.const(0.0, dtype), j, i)
        with k.loop(wide // PIECE) as turn:
            base = dims.mul(turn, PIECE)
            rest = dims.add(base, PIECE)
            own = dims.minimum(PIECE, dims.sub(n, base))
            with k.loop(PIECE) as j, k.loop(high, run(base)) as i:
                k.put(piece, k.get(a, dims.add(base, j), i), j, i)
            with k.loop(own) as column:
                step = dims.add(base, column)
                k.put(best, k.const(-1.0, dtype))
                k.put(place, k.index(step))
                with k.loop(m, step) as i:
                    size = abs(k.get(piece, column, i))
                    better = size > k.get(best)
                    k.put(best, k.select(better, size, k.get(best)))
                    k.put(place, k.select(better, k.index(i), k.get(place)))
                found = k.get(place)
                other = k.as_index(found)
                k.put(sign, k.select(found == k.index(step), k.get(sign), -k.get(sign)))
                k.put(exchanges, found, column)
                first, second = k.get(order, step), k.get(order, other)
                k.put(order, second, step)
                k.put(order, first, other)
                with k.loop(PIECE) as j:
                    exchange(piece, j, step, other)
                k.put(live, k.const(0.0, dtype), step)
                pivot = k.get(piece, column, step)
                pivot = k.select(pivot == 0.0, k.const(1.0, dtype), pivot)
                with k.loop(high, run(step)) as i:
                    x, below = k.get(piece, column, i), k.get(live, i) > 0.0
                    factor = x / pivot
                    k.put(factors, k.select(below, factor, k.const(0.0, dtype)), i)
                    k.put(piece, k.select(below, factor, x), column, i)
                with k.loop(PIECE, dims.add(column, 1)) as j:
                    factor = k.get(piece, j, step)
                    with k.loop(high, run(step)) as i:
                        k.put(piece, k.less_product(k.get(piece, j, i), factor, k.get(factors, i)), j, i)
            with k.loop(n) as j, k.loop(own) as column:
                exchange(a, j, dims.add(base, column), k.as_index(k.get(exchanges, column)))
            with k.loop(PIECE) as j, k.loop(high, run(base)) as i:
                k.put(a, k.get(piece, j, i), dims.add(base, j), i)
            with k.loop(own) as r:
                with k.loop(wide, rest) as j:
                    k.put(row, k.get(a, j, dims.add(base, r)), j)
                with k.loop(r) as q:
                    factor = k.get(piece, q, dims.add(base, r))
                    with k.loop(wide, rest) as j:
                        k.put(row, k.less_product(k.get(row, j), factor, k.get(upper, q, j)), j)
                with k.loop(wide, rest) as j:
                    k.put(upper, k.get(row, j), r, j)
                with k.loop(wide, rest) as j:
                    k.put(a, k.get(row, j), j, dims.add(base, r))
            with k.loop(PIECE) as r, k.loop(own) as i:
                k.put(piece, k.const(0.0, dtype), r, dims.add(base, i))
            with k.loop(wide, rest) as j:
                parts = [k.get(upper, r, j) for r in range(PIECE)]
                with k.loop(high, run(rest)) as i:
                    x = k.get(a, j, i)
                    for r, part in enumerate(parts):
                        x = k.less_product(x, part, k.get(piece, r, i))
                    k.put(a, x, j, i)
    with k.elements():
        m = k.as_index(k.whole(1))
        k.give(2, k.get(sign))
        with k.loop(m) as i:
            k.give(1, k.get(order, i), i)
        with by_squares(k, m, n) as (rows, columns), k.loop(*rows) as i, k.loop(*columns) as j:
            k.give(0, k.get(a, j, i), i, j)


def _panel_type(a: TensorType, rows: TensorType, room: int) -> TupleType:
    return TupleType((a, TensorType(t.int64, a.shape[:-1]), TensorType(a.dtype, a.shape[:-2])))


panel_: Op = host(
    "lu_panel", infer=_panel_type, reference=_panel, arity=2,
    samples=tuple(
        Sample((shape, ()), {"room": 64}, ("float64", "int64"), prepare=lambda a, rows: (a, np.asarray(a.shape[-2])))
        for shape in ((3, 3), (2, 40, 20), (37, 18))
    ),
    lanes=Lanes(
        (2, 0, 2, 1, 0), _panel_code, lambda a, rows, room: a.shape[-1] <= min(BLOCK, a.shape[-2]) and a.shape[-2] <= room,
        width=1, shared=(1,),
    ),
)  # fmt: skip


def _places(order: Array) -> Array:
    made = np.empty_like(order)
    np.put_along_axis(made, order, np.broadcast_to(np.arange(order.shape[-1]), order.shape), -1)
    return made


def _places_code(k: LaneCode) -> None:
    with k.elements(), k.loop(k.size(0, 0)) as i:
        k.give(0, k.index(i), k.as_index(k.given(0, i)))


places_: Op = host(
    "places", infer=lambda order: order, reference=_places,
    samples=(Sample(((2, 5),), dtypes=("int64",), prepare=lambda order: (np.argsort(order, -1),)),),
    lanes=Lanes((1, 1), _places_code, lambda order: True, width=1),
)  # fmt: skip


@dataclass(frozen=True)
class _Factors:
    """a[order] = L U of a matrix with at least as many rows as columns; U's transpose, and what L has below the square."""

    lower: Lower
    upper: Lower
    below: Tensor | None
    order: Tensor
    diagonal: Tensor
    sign: Tensor


def _rows(x: Tensor, order: Tensor) -> Tensor:
    """Rows in another order; of an order, its elements."""
    if x.ndim == order.ndim:
        return ops.take(x, order) if x.ndim == 1 else ops.take_along_axis(x, order, -1)
    return ops.take(x, order, -2) if x.ndim == 2 else ops.take_along_axis(x, ops.expand_dims(order, -1), -2)


def _eliminated(a: Tensor, room: int, width: int) -> _Factors:
    m, n = a.shape[-2:]
    assert isinstance(m, int) and isinstance(n, int)
    if n <= width:
        packed, order, sign = results(panel_(a, ops.constant(m), room=room))
        square = packed[..., :n, :]
        inverse, _ = results(inverse_(square, unit_diagonal=True))
        turned = flipped(square)
        of_upper, bad = results(inverse_(turned, unit_diagonal=False))
        return _Factors(
            Lower(n, square, inverse), Lower(n, turned, of_upper, refused=bad), packed[..., n:, :] if m > n else None, order,
            ops.diagonal(square, axis1=-2, axis2=-1), sign,
        )  # fmt: skip
    h = (n // 2 + width - 1) // width * width
    left = _eliminated(a[..., :h], room, width)
    assert left.below is not None
    right = _rows(a[..., h:], left.order)
    beside = solved(left.lower, right[..., :h, :])
    last = _eliminated(right[..., h:, :] - left.below @ beside, room, width)
    assert left.upper.refused is not None and last.upper.refused is not None
    below = _rows(left.below, last.order)
    order = ops.concat([left.order[..., :h], _rows(left.order[..., h:], last.order)], -1)
    return _Factors(
        Lower(n, None, None, left.lower, below[..., : n - h, :], last.lower),
        Lower(n, None, None, left.upper, flipped(beside), last.upper, left.upper.refused | last.upper.refused),
        ops.concat([below[..., n - h :, :], last.below], -1) if last.below is not None else None,
        order, ops.concat([left.diagonal, last.diagonal], -1), left.sign * last.sign,
    )  # fmt: skip


def _factors(a: Tensor) -> _Factors:
    n = a.shape[-1]
    assert isinstance(n, int)
    return _eliminated(a, n, width_of(a, FEW))


def _substituted(factors: _Factors, b: Tensor, transposed: bool) -> Tensor:
    """The x of a x = b, or of a^T x = b."""
    if transposed:
        return _rows(solved(factors.lower, solved(factors.upper, b), True), places_(factors.order))
    return solved(factors.upper, solved(factors.lower, _rows(b, factors.order)), True)


def solve(a: Tensor, b: Tensor, transposed: bool) -> Tensor:
    """The x of a x = b, or of a^T x = b; a singular matrix is refused."""
    factors = _factors(a)
    assert factors.upper.refused is not None
    refused = refused_(factors.upper.refused, refusal="solve raised LinAlgError: the matrix is singular")
    return ops.where(refused, ops.full((), np.nan, a.dtype), _substituted(factors, b, transposed))


def det(a: Tensor) -> Tensor:
    """The determinant."""
    factors = _factors(a)
    return ops.prod(factors.diagonal, axis=-1) * factors.sign


def slogdet(a: Tensor) -> tuple[Tensor, Tensor]:
    """The sign of the determinant, and the logarithm of its magnitude."""
    factors = _factors(a)
    sign = ops.prod(ops.sign(factors.diagonal), axis=-1) * factors.sign
    return sign, ops.sum(ops.log(ops.abs(factors.diagonal)), axis=-1)


def cofactors(a: Tensor) -> tuple[Tensor, Tensor]:
    """det(a) a^-T, and which matrices are singular, where this is not the gradient of the determinant."""
    factors = _factors(a)
    assert factors.upper.refused is not None
    eye = ops.where(ops.equal(ops.expand_dims(ops.arange(a.shape[-1]), 1), ops.arange(a.shape[-1])), ops.ones((), a.dtype), 0)
    right = ops.expand_dims(det(a), (-2, -1)) * ops.broadcast_to(eye, a.shape)
    return _substituted(factors, right, True), factors.upper.refused


__all__ = ["cofactors", "det", "slogdet", "solve"]
