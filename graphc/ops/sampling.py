"""Draws by rejection: gamma and Poisson numbers, made from a key; and the gradient of gamma numbers.

Element i tries the candidates with the numbers of a key that are its own, one after the other, until one is accepted. All of a
block of elements try their first; those that are refused are put side by side, and those try their next: vectors stay full, and
little is computed twice. A cheap test that implies the exact one comes first.

Formulas are written once, over what NumPy's arrays, scalar code and symbols have in common. All is float64: a decision that falls
on the other side where something is rounded otherwise changes a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import Lanes, Sample
from graphc.ir.scalar import Value
from graphc.ir.types import DType, TensorType
from graphc.ops.declare import Op, Spread, host, spread
from graphc.ops.random_bits import rounds
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
SECOND = 1 << 62  # where a draw's second blocks of bits are among the numbers of a key
WORD = 2.0**-32
_VECTORS = 16  # of a block: some hundred elements, of which a few are refused


# --- what arrays, scalar code and symbols have in common -----------------------------------------------------------------


class _Arrays:
    """Formulas over NumPy's arrays."""

    sqrt, log, exp, floor, rint = np.sqrt, np.log, np.exp, np.floor, np.rint
    select = staticmethod(np.where)

    @staticmethod
    def real(x: Any) -> Any:
        return x.astype(np.float64)

    @staticmethod
    def signed(x: Any) -> Any:
        return x.astype(np.int32).astype(np.float64)

    @staticmethod
    def block(key: Any, number: Any) -> Any:
        return rounds(*key, *((x & 0xFFFFFFFF).astype(np.uint32) for x in (number, number >> 32)))


class _Code:
    """Formulas over scalar code."""

    def __init__(self, k: LaneCode) -> None:
        self.k = k

    def __getattr__(self, name: str) -> Callable[[Value], Value]:
        return lambda x: self.k.op(name, x)

    def select(self, condition: Value, a: Any, b: Any) -> Value:
        return self.k.select(condition, a, b)

    def real(self, x: Value) -> Value:
        return self.k.cast(x, t.float64)

    def signed(self, x: Value) -> Value:
        return self.k.cast(self.k.cast(x, t.int32), t.float64)

    def block(self, key: Any, number: Value) -> Any:
        return rounds(*key, *(self.k.cast(x, t.uint32) for x in (number, number >> 32)))


class _Symbols:
    """Formulas over symbols."""

    @staticmethod
    def select(condition: Tensor, a: Any, b: Any) -> Tensor:
        return ops.where(condition, a, b)

    @staticmethod
    def real(x: Tensor) -> Tensor:
        return ops.astype(x, t.float64)

    @staticmethod
    def signed(x: Tensor) -> Tensor:
        return ops.astype(ops.astype(x, t.int32), t.float64)

    @staticmethod
    def block(key: Tensor, number: Tensor) -> Any:
        return [ops.threefry(key, number, word=word) for word in (0, 1)]

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, "round" if name == "rint" else name)


def _words(m: Any, key: Any, number: Any, count: int) -> list[Any]:
    """The first words of the block of bits with a number; from the third on, of its second block."""
    made = list(m.block(key, number))
    if count > 2:
        made += m.block(key, number | SECOND)
    return made[:count]


def _open(m: Any, *words: Any) -> Any:
    """A number between 0 and 1 from one word, or from two: near 0 it has all its digits, near 1 it may round to 1."""
    first = m.real(words[0]) * WORD
    return first + WORD / 2 if len(words) == 1 else first + (m.real(words[1]) + 0.5) * WORD**2


_SINE = [(-1) ** i * math.pi ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(11)]  # Taylor's series of sin(pi v) / v


def _normal(m: Any, first: Any, second: Any) -> Any:
    """A normal number from two words, by Box and Muller; its angle lies between -pi/2 and pi/2, so its sine has every sign."""
    turn = m.signed(second) * WORD
    square = turn * turn
    sine = square * _SINE[-1] + _SINE[-2]
    for c in _SINE[-3::-1]:
        sine = sine * square + c
    return m.sqrt(m.log(_open(m, first)) * -2.0) * (sine * turn)


# --- gamma -----------------------------------------------------------------------------------------------------------

GAMMA_TRIES = 10  # of which each is accepted with a probability of at least 0.951: all fail once in 1e13
_STRIDE = 16  # numbers of a key for each element; the last is that of the factor that leads down to shapes below 1


def _gamma_numbers(m: Any, alpha: Any) -> tuple[Any, Any]:
    """d and c of the shape, or of a shape one larger where it is below 1; NaN where it is not positive."""
    positive = m.select(alpha > 0.0, alpha, math.nan)
    d = m.select(positive < 1.0, positive + 1.0, positive) - 1 / 3
    return d, 1.0 / (m.sqrt(d) * 3.0)


def _gamma_candidate(m: Any, key: Any, number: Any, alpha: Any, exact: bool) -> tuple[Any, Any]:
    """A candidate d v, and whether it is accepted; names and constants are the paper's.

    G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", ACM Trans. Math. Software 26 (2000).
    """
    d, c = _gamma_numbers(m, alpha)
    words = _words(m, key, number, 4)
    x = _normal(m, *words[:2])
    u = _open(m, *words[2:])
    root = c * x + 1.0
    inside = root > 0.0
    root = m.select(inside, root, 1.0)
    v = root * root * root
    square = x * x
    if exact:
        return d * v, inside & (m.log(u) < square * 0.5 + d * (1.0 - v + m.log(root) * 3.0))
    return d * v, inside & (u < 1.0 - square * square * 0.0331)


def _gamma_factor(m: Any, key: Any, number: Any, alpha: Any) -> Any:
    """The logarithm of what leads from a shape of alpha + 1 down to alpha."""
    return m.log(_open(m, *_words(m, key, number, 2))) / alpha


# --- poisson ---------------------------------------------------------------------------------------------------------

SMALL_RATE = 34.0
MOST_RATE = 2.0**62  # from which on counts might not be integers of 64 bits
POISSON_TRIES = 16  # of which each is accepted with a probability of at least 0.822 from that rate on: all fail once in 1e12
POISSON_TERMS = 96  # the probability of more, at that rate, is 1e-17
_AT_ONCE = 8  # terms


def _poisson_terms(m: Any, u: Any, rate: Any, sums: tuple[Any, Any, Any], first: Any, one: Any) -> tuple[Any, Any, Any]:
    """Inversion: count how many of the distribution's partial sums are at most u. The next terms, from one of a number on."""
    term, total, count = sums
    for i in range(_AT_ONCE):
        count = count + m.select(u >= total, one, 0.0)
        term = term * rate * (1.0 / (first + float(i)))
        total = total + term
    return term, total, count


def _poisson_candidate(m: Any, key: Any, number: Any, rate: Any, exact: bool) -> tuple[Any, Any]:
    """A candidate of PTRS, and whether it is accepted; names and constants are the paper's.

    W. Hörmann, "The transformed rejection method for generating Poisson random variables", Insurance: Mathematics and
    Economics 12 (1993). The logarithm of the factorial is Stirling's series, whose large terms are joined with those that
    they cancel.
    """
    words = _words(m, key, number, 3)
    b = m.sqrt(rate) * 2.53 + 0.931
    a = b * 0.02483 + -0.059
    u = _open(m, *words[:2]) - 0.5
    v = _open(m, words[2])
    from_edge = 0.5 - m.select(u < 0.0, -u, u)
    us = m.select(from_edge > WORD**2, from_edge, WORD**2)
    count = m.floor((a * 2.0 / us + b) * u + rate + 0.43)
    quick = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2.0))
    if not exact:
        return count, quick
    inverse_alpha = 1.1328 / (b - 3.4) + 1.1239
    possible = (count >= 0.0) & ((us >= 0.013) | (v <= us))
    whole = m.select(count > 1.0, count, 1.0)  # Stirling's series is off by 8e-4 / whole^9; below 5 it comes once in 1e10
    inverse = 1.0 / whole
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680))))
    scale = m.sqrt(whole * (2 * math.pi)) * inverse_alpha / (a / (us * us) + b)
    judged = m.log(v * scale) <= whole * m.log(rate * inverse) + (whole - rate) - series
    return count, quick | possible & judged


# --- in NumPy --------------------------------------------------------------------------------------------------------


def _whole(shape: Shape) -> tuple[int, ...]:
    return tuple(int(str(n)) for n in shape)


def _operands(key: Array, parameter: Array, shape: Shape, over: int) -> tuple[tuple[Array, Array], Array, Array]:
    """The two words of each element's key, its number in the draw, and its parameter."""
    sizes = _whole(shape)
    outer, inner = math.prod(sizes[:over]), math.prod(sizes[over:])
    number = np.tile(np.arange(inner, dtype=np.int64), outer)
    keys = np.repeat(key.reshape(outer, 2), inner, axis=0)
    return (keys[:, 0], keys[:, 1]), number, np.broadcast_to(parameter, sizes).reshape(-1)


def _first_accepted(candidate: Any, key: tuple[Array, Array], number: Array, parameter: Array, tries: int) -> tuple[Array, Array]:
    """The first candidate of each element that is accepted, else the last one; and the places of those that have none."""
    found, left = np.zeros(len(number)), np.arange(len(number))
    for i in range(tries):
        keys = (key[0][left], key[1][left])
        found[left], accepted = candidate(_Arrays, keys, number[left] + i, parameter[left], True)
        left = left[~accepted]
    return found, left


def _gamma_reference(key: Array, alpha: Array, shape: Shape, over: int, log: bool) -> Array:
    with np.errstate(all="ignore"):
        keys, number, alphas = _operands(key, alpha, shape, over)
        x, _ = _first_accepted(_gamma_candidate, keys, number * _STRIDE, alphas, GAMMA_TRIES)
        below = alphas < 1
        factor = np.zeros(len(x))
        low = (keys[0][below], keys[1][below])
        factor[below] = _gamma_factor(_Arrays, low, number[below] * _STRIDE + (_STRIDE - 1), alphas[below])
        made: Array = np.log(x) + factor if log else np.where(below, x * np.exp(factor), x)
        return made.reshape(_whole(shape))


def _poisson_reference(key: Array, rate: Array, shape: Shape, over: int) -> Array:
    with np.errstate(all="ignore"):
        keys, number, rates = _operands(key, rate, shape, over)
        number = number * (2 * POISSON_TRIES)
        made = np.zeros(len(rates))
        many = rates >= SMALL_RATE
        large = (keys[0][many], keys[1][many])
        found, left = _first_accepted(_poisson_candidate, large, number[many], rates[many], POISSON_TRIES)
        found[left] = np.rint(rates[many][left])
        made[many] = found
        few = ~many & (rates >= 0)
        u = _open(_Arrays, *_words(_Arrays, (keys[0][few], keys[1][few]), number[few], 2))
        small = rates[few]
        start = np.exp(-small)
        sums = (start, start, np.zeros(len(small)))
        for first in range(1, POISSON_TERMS, _AT_ONCE):
            sums = _poisson_terms(_Arrays, u, small, sums, float(first), 1.0)
        made[few] = sums[2]
        return np.where((rates >= 0) & (rates < MOST_RATE), made, -1).astype(np.int64).reshape(_whole(shape))


# --- in lanes --------------------------------------------------------------------------------------------------------


class _Draws:
    """A block of elements, and lists of those that wait for something."""

    def __init__(self, k: LaneCode, shape: Shape, over: int) -> None:
        self.k, self.m = k, _Code(k)
        self.inner = dims.product(shape[over:])
        self.over = over
        self.shift = k.width.bit_length() - 1
        self.found = k.memory(t.float64, k.width * k.vectors)
        self.value, self.refused = k.local(t.float64), k.local(t.int64)

    def everyone(self) -> tuple[str, str]:
        """The list of all elements, and how many there are: each in its place, and behind the last one further places."""
        k = self.k
        places, count = k.local(t.int64, k.vectors), k.memory(t.int64)
        with k.loop(k.vectors) as group, k.lanes():
            k.put(places, k.index(dims.add(dims.mul(group, k.width), k.lane)), group)
        k.write(count, k.index(k.here))
        return places, count

    def place(self, offset: Value) -> Value:
        return self.k.index(self.k.first) + offset

    def parameter(self, offset: Value) -> Value:
        return self.k.element(1, self.k.as_index(self.place(offset)))

    def key_and_number(self, offset: Value, stride: int) -> tuple[tuple[Value, Value], Value]:
        """The key of an element, and the first of its numbers."""
        k = self.k
        if not self.over:
            return (k.whole(0, 0), k.whole(0, 1)), self.place(offset) * stride
        place = k.as_index(self.place(offset))
        row = dims.minimum(dims.floordiv(place, self.inner), dims.sub(dims.floordiv(k.count, self.inner), 1))
        number = k.index(dims.sub(place, dims.mul(row, self.inner)))
        return (k.whole(0, row, 0), k.whole(0, row, 1)), number * stride

    def groups(self, count: Value) -> Size:
        k = self.k
        return k.as_index((count + (k.width - 1)) >> self.shift)

    def at(self, index: Value) -> tuple[Size, Size]:
        """Where in a list an entry is."""
        return self.k.as_index(index >> self.shift), self.k.as_index(index & (self.k.width - 1))

    def judge(self, places: str, count: str, candidate: Callable[[Value], tuple[Value, Value]]) -> None:
        """A candidate for each element of a list, of which those remain that are refused."""
        k = self.k
        kept = k.memory(t.int64)
        k.write(kept, k.const(0, t.int64))
        with k.loop(self.groups(k.read(count))) as group:
            with k.lanes():
                value, accepted = candidate(k.get(places, group))
                k.put(self.value, value)
                k.put(self.refused, k.select(accepted, k.const(0, t.int64), 1))
            left = k.read(count) - k.index(dims.mul(group, k.width))
            with k.loop(k.as_index(k.select(left < k.width, left, k.width))) as lane:
                offset = k.read(places, group, lane)
                k.write(self.found, k.read(self.value, 0, lane), k.as_index(offset))
                there = k.read(kept)
                k.write(places, offset, *self.at(there))
                k.write(kept, there + k.read(self.refused, 0, lane))
        k.write(count, k.read(kept))

    def reject(self, places: str, count: str, tries: int, stride: int, candidate: Any) -> None:
        """The first candidate of each element of a list that is accepted, else the last one; those that have none remain."""
        k = self.k
        with k.loop(tries) as turn:
            for exact in (False, True):

                def made(offset: Value, exact: bool = exact) -> tuple[Value, Value]:
                    key, number = self.key_and_number(offset, stride)
                    found: tuple[Value, Value] = candidate(self.m, key, number + k.index(turn), self.parameter(offset), exact)
                    return found

                self.judge(places, count, made)


def _gamma_code(k: LaneCode, shape: Shape, over: int, log: bool) -> None:
    d = _Draws(k, shape, over)
    places, count = d.everyone()
    d.reject(places, count, GAMMA_TRIES, _STRIDE, _gamma_candidate)
    below = k.memory(t.int64)
    k.write(below, k.const(0, t.int64))
    with k.loop(k.here) as i:
        small = d.parameter(k.index(i)) < 1.0
        k.write(below, k.read(below) | k.select(small, k.const(1, t.int64), 0))
    if log:
        with k.loop(k.here) as i:
            k.write(d.found, k.op("log", k.read(d.found, i)), i)
    with k.loop(k.as_index(k.read(below))), k.loop(k.here) as i:
        key, number = d.key_and_number(k.index(i), _STRIDE)
        alpha = d.parameter(k.index(i))
        factor = _gamma_factor(d.m, key, number + (_STRIDE - 1), alpha)
        x = k.read(d.found, i)
        k.write(d.found, k.select(alpha < 1.0, x + factor if log else x * k.op("exp", factor), x), i)
    with k.loop(k.here) as i:
        k.deliver(0, k.read(d.found, i), dims.add(k.first, i))


def _poisson_code(k: LaneCode, shape: Shape, over: int) -> None:
    d = _Draws(k, shape, over)
    stride = 2 * POISSON_TRIES
    many, large = d.everyone()
    few, small = d.everyone()
    k.write(large, k.const(0, t.int64))
    k.write(small, k.const(0, t.int64))
    with k.loop(k.here) as i:
        offset = k.index(i)
        is_large = d.parameter(offset) >= SMALL_RATE
        one = k.select(is_large, k.const(1, t.int64), 0)
        for places, count, more in ((many, large, one), (few, small, 1 - one)):
            k.write(places, offset, *d.at(k.read(count)))
            k.write(count, k.read(count) + more)
    d.reject(many, large, POISSON_TRIES, stride, _poisson_candidate)
    with k.loop(k.as_index(k.read(large))) as i:
        offset = k.read(many, *d.at(k.index(i)))
        k.write(d.found, k.op("rint", d.parameter(offset)), k.as_index(offset))
    _poisson_inversion(d, few, small, stride)
    with k.loop(k.here) as i:
        rate = d.parameter(k.index(i))
        known = k.select((rate >= 0.0) & (rate < MOST_RATE), k.read(d.found, i), k.const(-1.0, t.float64))
        k.deliver(0, k.cast(known, t.int64), dims.add(k.first, i))


def _poisson_inversion(d: _Draws, places: str, count: str, stride: int) -> None:
    """By as many terms as the element of a vector needs that needs the most."""
    k = d.k
    u, rate, term, total, number = (k.local(t.float64) for _ in range(5))
    waiting, pending = k.local(t.int64), k.memory(t.int64)
    with k.loop(d.groups(k.read(count))) as group:
        with k.lanes():
            offset = k.get(places, group)
            key, first = d.key_and_number(offset, stride)
            given = d.parameter(offset)
            there = k.select((given >= 0.0) & (given < SMALL_RATE), given, k.const(0.0, t.float64))
            start = k.op("exp", -there)
            k.put(u, _open(d.m, *_words(d.m, key, first, 2)))
            k.put(rate, there)
            k.put(term, start)
            k.put(total, start)
            k.put(number, k.const(0.0, t.float64))
        k.write(pending, k.const(1, t.int64))
        with k.loop(POISSON_TERMS // _AT_ONCE) as turn, k.loop(k.as_index(k.read(pending))):
            with k.lanes():
                sums = (k.get(term), k.get(total), k.get(number))
                first_term = k.cast(k.index(dims.add(dims.mul(turn, _AT_ONCE), 1)), t.float64)
                one = k.const(1.0, t.float64)
                last, sum_, counted = _poisson_terms(d.m, k.get(u), k.get(rate), sums, first_term, one)
                k.put(term, last)
                k.put(total, sum_)
                k.put(number, counted)
                k.put(waiting, k.select(k.get(u) >= sum_, k.const(1, t.int64), 0))
            k.write(pending, k.const(0, t.int64))
            with k.loop(k.width) as lane:
                k.write(pending, k.read(pending) | k.read(waiting, 0, lane))
        left = k.read(count) - k.index(dims.mul(group, k.width))
        with k.loop(k.as_index(k.select(left < k.width, left, k.width))) as lane:
            k.write(d.found, k.read(number, 0, lane), k.as_index(k.read(places, group, lane)))


# --- in symbols ------------------------------------------------------------------------------------------------------


def _all_judged(candidate: Any, key: Tensor, number: Tensor, parameter: Tensor, tries: int) -> tuple[Tensor, Tensor]:
    """The first candidate of each element that is accepted, else the last one, and whether there is one; all are judged."""
    m, turns = _Symbols(), ops.arange(tries)
    accepted = candidate(m, key, ops.expand_dims(number, -1) + turns, ops.expand_dims(parameter, -1), True)[1]
    first = ops.min(ops.where(accepted, turns, tries - 1), axis=-1)
    return candidate(m, key, number + first, parameter, True)[0], ops.any(accepted, axis=-1)


def gamma_formula(key: Tensor, alpha: Tensor, shape: Shape, log: bool) -> Tensor:
    """What `gamma_draw` gives, of other operations."""
    alpha, number = ops.broadcast_to(alpha, shape), _numbers(shape, _STRIDE)
    x = _all_judged(_gamma_candidate, key, number, alpha, GAMMA_TRIES)[0]
    factor = ops.where(alpha < 1, _gamma_factor(_Symbols(), key, number + (_STRIDE - 1), alpha), 0.0)
    return ops.log(x) + factor if log else x * ops.exp(factor)


def poisson_formula(key: Tensor, rate: Tensor, shape: Shape) -> Tensor:
    """What `poisson_draw` gives, of other operations."""
    rate, number = ops.broadcast_to(rate, shape), _numbers(shape, 2 * POISSON_TRIES)
    small = rate < SMALL_RATE
    large = ops.where(small, SMALL_RATE, rate)
    many, accepted = _all_judged(_poisson_candidate, key, number, large, POISSON_TRIES)
    low = ops.where(small, rate, 0.0)
    start = ops.exp(-low)
    sums = (start, start, ops.zeros_like(low))
    u = _open(_Symbols(), *_words(_Symbols(), key, number, 2))
    for first in range(1, POISSON_TERMS, _AT_ONCE):
        sums = _poisson_terms(_Symbols(), u, low, sums, float(first), 1.0)
    found = ops.where(small, sums[2], ops.where(accepted, many, ops.round(large)))
    return ops.astype(ops.where((rate >= 0) & (rate < MOST_RATE), found, -1.0), t.int64)


def _numbers(shape: Shape, stride: int) -> Tensor:
    return ops.reshape(ops.arange(dims.product(shape)) * stride, shape)


# --- the operations --------------------------------------------------------------------------------------------------


def _draw_type(name: str, dtype: DType, key: TensorType, parameter: TensorType, shape: Shape, over: int) -> TensorType:
    if key != TensorType(t.uint32, (*shape[:over], 2)) or parameter.dtype != t.float64:
        raise DTypeError(f"{name} needs a key u32[2] and parameters of float64, got {key} and {parameter}")
    if parameter.shape not in (shape, (1,) * len(shape)):
        raise ShapeError(f"{name} needs parameters of the draw's shape, or one, got {parameter}")
    return TensorType(dtype, shape)


def _fits(*types: TensorType, **attrs: Any) -> bool:
    return True


def _every(op: Any) -> Any:
    """Every element of a leading axis draws with the numbers that it would have alone."""

    def rule(size: Size, key: Spread, parameter: Spread, shape: Shape, over: int, **attrs: Any) -> list[Spread]:
        wide = spread(parameter, size)
        if not parameter[1] and parameter[0].shape == (1,) * len(shape) and shape:
            wide = ops.reshape(parameter[0], (1,) * (len(shape) + 1))
        elif wide.shape[1:] != shape:
            wide = ops.broadcast_to(wide, (size, *shape))
        return [(op()(spread(key, size), wide, shape=(size, *shape), over=over + 1, **attrs), True)]

    return rule


def _sum_to(g: Tensor, like: Tensor) -> Tensor:
    return g if g.shape == like.shape else ops.reshape(ops.sum(g), like.shape)


def _gamma_vjp(g: Tensor, y: Tensor, key: Tensor, alpha: Tensor, shape: Shape, over: int, log: bool) -> tuple[None, Tensor]:
    """The probability below each number is held fixed. The logarithm is drawn again: numbers near 0 have lost it."""
    if not log:
        y = gamma_draw(key, alpha, shape=shape, over=over, log=True)
        g = g * ops.exp(y)
    return None, _sum_to(g * log_gamma_slope(y, ops.broadcast_to(alpha, shape)), alpha)


_SAMPLES = tuple(
    Sample((key, shape_of), {"shape": shape, "over": over}, ("uint32", "float64"), (0.3, 60.0))
    for key, shape_of, shape, over in (
        ((2,), (3, 4), (3, 4), 0), ((2,), (1,), (5,), 0), ((2,), (), (), 0), ((2,), (0,), (0,), 0), ((2, 2), (2, 3), (2, 3), 1),
    )
)  # fmt: skip

gamma_draw: Op = host(
    "gamma_draw", arity=2,
    infer=lambda key, alpha, shape, over, log: _draw_type("gamma_draw", t.float64, key, alpha, shape, over),
    reference=_gamma_reference, vjp=_gamma_vjp, every=_every(lambda: gamma_draw),
    lanes=Lanes((0, 0, 0), _gamma_code, _fits, vectors=_VECTORS, shared=(0,)),
    samples=tuple(Sample(s.shapes, {**s.attrs, "log": log}, s.dtypes, s.domain) for s in _SAMPLES for log in (False, True)),
)  # fmt: skip

poisson_draw: Op = host(
    "poisson_draw", arity=2, infer=lambda key, rate, shape, over: _draw_type("poisson_draw", t.int64, key, rate, shape, over),
    reference=_poisson_reference, vjp=lambda g, y, key, rate, **attrs: (None, None), every=_every(lambda: poisson_draw),
    lanes=Lanes((0, 0, 0), _poisson_code, _fits, vectors=_VECTORS, shared=(0,)), samples=_SAMPLES,
)  # fmt: skip


# --- the gradient of a gamma variate ---------------------------------------------------------------------------------

def nodes(first: float, last: float, count: int) -> tuple[Array, Array]:
    """Places and weights for integrals from 0 of integrands that fall as exponentials, within about 1.

    The trapezoidal rule in t after w = exp(t - exp(-t)): H. Takahasi and M. Mori, "Double exponential formulas for numerical
    integration", Publ. RIMS 9 (1974).
    """
    steps = np.linspace(first, last, count)
    places = np.exp(steps - np.exp(-steps))
    return places, (steps[1] - steps[0]) * places * (1 + np.exp(-steps))


_NODES, _WEIGHTS = nodes(-3.5, 5.0, 64)


def log_gamma_slope(log_x: Tensor, alpha: Tensor) -> Tensor:
    """d log(x) / d alpha of a gamma variate x of shape alpha, where its probability below x is held fixed.

    By implicit differentiation (M. Figurnov, S. Mohamed and A. Mnih, "Implicit reparameterization gradients", 2018) it is
    -dF/dalpha / (x p(x)). Below alpha F is integrated from 0, above it from infinity; with the variable of integration x e^(sw),
    s = -1 and 1, both are the integral over w from 0 of

        exp(s alpha w - x (e^(sw) - 1)) * (w + s (log(x) - digamma(alpha))),

    whose integrand begins at 1 and falls within about h. Relative error at most 2e-7 for alpha of 1e-4 to 1e6 and
    probabilities of 1e-10 to 1 - 1e-10.
    """
    x = ops.exp(log_x)
    above = x > alpha
    sign = ops.where(above, 1.0, -1.0)
    off = ops.abs(x - alpha)
    width = 1 / (off + ops.sqrt(ops.where(above, x, ops.minimum(x, alpha * alpha))))
    shift = sign * (log_x - ops.digamma(alpha))
    x, alpha, sign, shift, h = (ops.expand_dims(v, -1) for v in (x, alpha, sign, shift, width))
    w = h * ops.constant(_NODES)
    fall = ops.exp(sign * alpha * w - x * ops.expm1(sign * w))
    return width * ops.sum(fall * (w + shift) * ops.constant(_WEIGHTS), axis=-1)


__all__ = ["gamma_draw", "gamma_formula", "log_gamma_slope", "nodes", "poisson_draw", "poisson_formula"]
