"""QR of large matrices by blocks of Householder's reflections: Q = I - V T V^T, of which products are made.

    panel     [V, R, T] of as many columns as one kernel takes
    block     panels by halves: V = [V1 V2], T = [T1  -T1 V1^T V2 T2]
                                                 [              T2 ]
    matrix    block after block: what is right of one is multiplied by I - V T^T V^T, and its lower rows go on

T is that of Schreiber and van Loan 1989 ("A storage-efficient WY representation for products of Householder transformations",
SIAM J. Sci. Stat. Comput. 10), and joined as Elmroth and Gustavson 2000 ("Applying recursion to serial and parallel QR
factorization", IBM J. Res. Dev. 44) do. All panels of a block have its height, with zeros in V above where theirs begins, so
few kernels differ. Signs are LAPACK's: what a reflection leaves on the diagonal has the other sign than what was there, unless
nothing is below. Nearly all of the work is in products, on all threads, in an order that does not depend on how many there are;
a panel has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import ops
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import Lanes, Sample
from graphc.ir.scalar import Value
from graphc.ir.types import TensorType, TupleType
from graphc.ops.blocked import BLOCK, LEAST, by_columns, by_squares, flipped, width_of
from graphc.ops.declare import Op, host, results
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
MOST = 16  # panels, before they get wider
PANELS = 4  # in a block
RUN = 32  # sums that a sum of products is made of, and rows that a loop takes at once


def is_large(x: TensorType) -> bool:
    """Whether a matrix is large enough for blocks, and its sizes are numbers."""
    return all(isinstance(n, int) and n >= LEAST for n in x.shape[-2:])


def _panel(a: Array, first: Array, rows: Array, room: int, top: int) -> tuple[Array, Array, Array]:
    """V, the first rows of what is left of a, and T; the reflections begin at row `first`."""
    *batch, m, n = a.shape
    made, below, t_ = a.copy(), np.zeros_like(a), np.zeros((*batch, n, n), a.dtype)
    with np.errstate(all="ignore"):
        for at in np.ndindex(*batch):
            for j in range(n):
                step = int(first) + j
                x, alpha = made[at][step + 1 :, j], made[at][step, j]
                most = np.max(np.abs(x), initial=0)
                v, tau = np.zeros(m, a.dtype), a.dtype.type(0)
                v[step] = 1
                if most != 0:
                    beta = -np.copysign(np.hypot(alpha, most * np.sqrt(np.sum(np.square(x / most)))), alpha)
                    tau, v[step + 1 :] = (beta - alpha) / beta, x / (alpha - beta)
                    made[at][step, j], made[at][step + 1 :, j] = beta, 0
                made[at][:, j + 1 :] -= tau * np.outer(v, v @ made[at][:, j + 1 :])
                t_[at][:j, j], t_[at][j, j] = -tau * (t_[at][:j, :j] @ (below[at][:, :j].T @ v)), tau
                below[at][:, j] = v
    return below, made[..., :top, :], t_


def _panel_code(k: LaneCode, room: int, top: int) -> None:
    """Each column lies in memory as a row does. Loops over rows go by whole runs of `RUN`, with zeros in the reflection's vector
    where it has no row. Where it begins and how many rows there are are values, so that all panels are one kernel."""
    n, dtype = k.size(0, 1), k.types["x0"].dtype
    most = -(-room // RUN) * RUN
    a, small = k.local(dtype, n, most + RUN), k.local(dtype, n, n)
    v, live, parts = k.local(dtype, most), k.local(dtype, most), k.local(dtype, RUN)
    products, diagonal, largest = k.local(dtype, n), k.local(dtype, n), k.local(dtype)

    def run(size: Size) -> Size:
        return dims.floordiv(size, RUN)

    def total(term: Any, start: Size, stop: Size, larger: bool = False) -> Value:
        """The sum of term(i, what it was), or the largest of them, over runs: each place of a run first, then these in pairs."""
        with k.loop(RUN) as place:
            k.put(parts, k.const(0.0, dtype), place)
        with k.loop(stop, start) as turn, k.loop(RUN) as place:
            k.put(parts, term(dims.add(dims.mul(turn, RUN), place), k.get(parts, place)), place)
        half = RUN
        while half > 1:
            half //= 2
            with k.loop(half) as place:
                one, other = k.get(parts, place), k.get(parts, dims.add(place, half))
                k.put(parts, k.select(other > one, other, one) if larger else one + other, place)
        return k.get(parts, 0)

    def larger(x: Value, before: Value) -> Value:
        return k.select(x > before, x, before)

    with k.lanes():
        first, m = k.as_index(k.whole(1)), k.as_index(k.whole(2))
        runs = run(dims.add(m, RUN - 1))
        high = dims.mul(runs, RUN)
        by_columns(k, m, n, a)
        with k.loop(n) as j, k.loop(high, m) as i:
            k.put(a, k.const(0.0, dtype), j, i)
        with k.loop(n) as j, k.loop(n) as i:
            k.put(small, k.const(0.0, dtype), j, i)
        with k.loop(high) as i:
            k.put(live, k.cast(k.index(i) >= k.index(first), dtype), i)
        with k.loop(n) as column:
            step = dims.add(first, column)
            start = run(step)
            begin = dims.mul(start, RUN)
            alpha = k.get(a, column, step)
            k.put(live, k.const(0.0, dtype), step)
            with k.loop(high, begin) as i:
                k.put(v, k.select(k.get(live, i) > 0.0, k.get(a, column, i), k.const(0.0, dtype)), i)
            k.put(largest, total(lambda i, before: larger(abs(k.get(v, i)), before), start, runs, larger=True))
            size = k.get(largest)
            none = size == 0.0
            scale = k.select(none, k.const(1.0, dtype), size)

            def squared(i: Size, before: Value, scale: Value = scale) -> Value:
                x = k.get(v, i) / scale
                return k.fma(x, x, before) if k.fused else x * x + before

            tail = size * k.op("sqrt", total(squared, start, runs))
            big, little = larger(abs(alpha), tail), k.select(abs(alpha) > tail, tail, abs(alpha))
            ratio = little / k.select(big == 0.0, k.const(1.0, dtype), big)
            length = big * k.op("sqrt", ratio * ratio + 1.0)
            beta = k.select(alpha < 0.0, length, -length)
            tau = k.select(none, k.const(0.0, dtype), (beta - alpha) / k.select(none, k.const(1.0, dtype), beta))
            divisor = k.select(none, k.const(1.0, dtype), alpha - beta)
            k.put(diagonal, k.select(none, alpha, beta), column)
            with k.loop(high, begin) as i:
                k.put(v, k.get(v, i) / divisor, i)
            k.put(v, k.const(1.0, dtype), step)
            with k.loop(high, begin) as i:
                k.put(a, k.select(k.get(live, i) > 0.0, k.get(v, i), k.get(a, column, i)), column, i)
            with k.loop(n) as j:

                def product(i: Size, before: Value, j: Size = j) -> Value:
                    x, y = k.get(v, i), k.get(a, j, i)
                    return k.fma(x, y, before) if k.fused else x * y + before

                k.put(products, total(product, start, runs), j)
            with k.loop(n, dims.add(column, 1)) as j:
                factor = tau * k.get(products, j)
                with k.loop(high, begin) as i:
                    k.put(a, k.less_product(k.get(a, j, i), factor, k.get(v, i)), j, i)
            with k.loop(column) as q:  # T's new column, a row here, of the rows before it
                factor = k.get(products, q) * -tau
                with k.loop(dims.add(q, 1)) as r:
                    k.put(small, k.less_product(k.get(small, column, r), -factor, k.get(small, q, r)), column, r)
            k.put(small, tau, column, column)
    with k.elements():
        first, m = k.as_index(k.whole(1)), k.as_index(k.whole(2))
        with k.loop(n) as j, k.loop(n) as i:
            k.give(2, k.get(small, i, j), j, i)
        with k.loop(top) as i, k.loop(n) as j:
            on = dims.add(first, j)
            value = k.select(k.index(i) < k.index(on), k.get(a, j, i), k.const(0.0, dtype))
            k.give(1, k.select(k.index(i) == k.index(on), k.get(diagonal, j), value), i, j)
        with by_squares(k, m, n) as (rows, columns), k.loop(*rows) as i, k.loop(*columns) as j:
            row, one = k.index(i), k.index(dims.add(first, j))
            value = k.select(row > one, k.get(a, j, i), k.const(0.0, dtype))
            k.give(0, k.select(row == one, k.const(1.0, dtype), value), i, j)


def _panel_type(a: TensorType, first: TensorType, rows: TensorType, room: int, top: int) -> TupleType:
    *batch, _, n = a.shape
    return TupleType((a, TensorType(a.dtype, (*batch, top, n)), TensorType(a.dtype, (*batch, n, n))))


panel_: Op = host(
    "qr_panel", infer=_panel_type, reference=_panel, arity=3,
    samples=tuple(
        Sample(
            (shape, (), ()), {"room": 64, "top": shape[-1] + 2}, ("float64", "int64", "int64"),
            prepare=lambda a, first, rows: (a, np.asarray(2), np.asarray(a.shape[-2])),
        )
        for shape in ((5, 3), (2, 40, 20))
    ),
    lanes=Lanes(
        (2, 0, 0, 2, 2, 2), _panel_code, lambda a, first, rows, room, top: a.shape[-1] <= BLOCK and a.shape[-2] <= room,
        width=1, shared=(1, 2),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class _Block:
    """A block of columns: the vectors of its reflections, the rows of R that it has, and T."""

    v: Tensor
    r: Tensor
    t: Tensor


def _turned(x: Tensor, block: _Block, back: bool) -> Tensor:
    """(I - V T V^T) x, or with the transpose of T."""
    return x - block.v @ ((block.t if back else flipped(block.t)) @ (flipped(block.v) @ x))


def _block(a: Tensor, first: int, room: int, top: int, width: int) -> _Block:
    m, n = a.shape[-2:]
    assert isinstance(n, int)
    if n <= width:
        return _Block(*results(panel_(a, ops.constant(first), ops.constant(m), room=room, top=top)))
    h = (n // 2 + width - 1) // width * width
    left = _block(a[..., :h], first, room, top, width)
    last = _block(_turned(a[..., h:], left, False), first + h, room, top, width)
    beside = -(left.t @ ((flipped(left.v) @ last.v) @ last.t))
    below = ops.zeros((*a.shape[:-2], n - h, h), a.dtype)
    whole = ops.concat([ops.concat([left.t, beside], -1), ops.concat([below, last.t], -1)], -2)
    return _Block(ops.concat([left.v, last.v], -1), ops.concat([left.r, last.r], -1), whole)


def _tall(a: Tensor, room: int, width: int) -> tuple[Tensor, Tensor]:
    """Q and R of a matrix with at least as many rows as columns."""
    *batch, m, n = a.shape
    assert isinstance(m, int) and isinstance(n, int)
    h = min(n, PANELS * width)
    block = _block(a[..., :h], 0, room, h, width)
    eye = ops.broadcast_to(ops.eye(m, h, dtype=a.dtype), (*batch, m, h))
    first = eye - block.v @ (block.t @ flipped(block.v[..., :h, :]))
    if h == n:
        return first, block.r
    right = _turned(a[..., h:], block, False)
    q, r = _tall(right[..., h:, :], room, width)
    above = ops.zeros((*batch, h, n - h), a.dtype)
    inner = block.t @ (flipped(block.v[..., h:, :]) @ q)
    last = ops.concat([above, q], -2) - block.v @ inner
    below = ops.zeros((*batch, n - h, h), a.dtype)
    upper = ops.concat([ops.concat([block.r, right[..., :h, :]], -1), ops.concat([below, r], -1)], -2)
    return ops.concat([first, last], -1), upper


def qr(a: Tensor) -> tuple[Tensor, Tensor]:
    """Q with as many columns as the smaller size, and R; NaN where a matrix is not finite."""
    m, n = a.shape[-2:]
    assert isinstance(m, int) and isinstance(n, int)
    size = min(m, n)
    wild = ops.expand_dims(ops.any(ops.logical_not(ops.isfinite(a)), axis=(-2, -1)), (-2, -1))
    q, r = _tall(a[..., :size], m, width_of(a, MOST))
    if size < n:
        r = ops.concat([r, flipped(q) @ a[..., size:]], -1)
    nan = ops.full((), np.nan, a.dtype)
    return ops.where(wild, nan, q), ops.where(wild, nan, r)


__all__ = ["is_large", "qr"]
