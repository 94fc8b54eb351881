"""What the formulas are made of: bit layouts, polynomials, exact sums and products, signs.

A pair of values (hi, lo) stands for their exact sum, hi being that sum rounded. The error-free transformations are those of
Dekker (1971), Knuth (TAOCP 2, 4.2.2) and, with fma, of Muller et al., "Handbook of Floating-Point Arithmetic", chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.ir.types import DType

Pair = tuple[Value, Value]


@dataclass(frozen=True)
class Layout:
    """How a float keeps its bits: the integer type of its size, the bits of its mantissa, the bias of its exponent."""

    integer: DType
    mantissa: int
    bias: int

    @property
    def sign(self) -> int:
        """The sign bit, as a number of the integer type."""
        return -(1 << (self.integer.bits - 1))

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def fraction(self) -> int:
        """The bits of the mantissa."""
        return (1 << self.mantissa) - 1

    @property
    def rounder(self) -> float:
        """1.5 * 2^mantissa: added to a small value it leaves the nearest integer in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)


LAYOUTS = {t.float32: Layout(t.int32, 23, 127), t.float64: Layout(t.int64, 52, 1023)}


def layout(x: Value) -> Layout:
    return LAYOUTS[x.dtype]


def bits(k: Scalars, x: Value) -> Value:
    """The bits of a float as a signed integer."""
    return k.bitcast(x, layout(x).integer)


def polynomial(k: Scalars, x: Value, coefficients: Sequence[float]) -> Value:
    """c0 + c1*x + c2*x^2 + ..., by Horner's rule in x^2 on pairs of terms: half as long a chain, for one more product."""
    terms = [k.const(c, x.dtype) for c in coefficients]
    if len(terms) > 3:
        terms = [k.fma(high, x, low) for low, high in zip(terms[::2], terms[1::2], strict=False)] + terms[len(terms) & ~1 :]
        x = x * x
    total = terms.pop()
    while terms:
        total = k.fma(total, x, terms.pop())
    return total


def two_sum(k: Scalars, a: Value, b: Value) -> Pair:
    """a + b as a pair."""
    hi = a + b
    part = hi - a
    return hi, (a - (hi - part)) + (b - part)


def fast_two_sum(k: Scalars, a: Value | float, b: Value) -> Pair:
    """a + b as a pair, where a = 0 or |a| >= |b|."""
    hi = a + b
    return hi, b - (hi - a)


def two_product(k: Scalars, a: Value, b: Value | float) -> Pair:
    """a * b as a pair."""
    hi = a * b
    return hi, k.fma(a, b, -hi)


def with_sign(k: Scalars, magnitude: Value, sign: Value) -> Value:
    """The magnitude, which is not negative, with the sign of another value."""
    mask = layout(sign).sign
    return k.bitcast(bits(k, magnitude) | (bits(k, sign) & mask), magnitude.dtype)


def at_most(k: Scalars, x: Value, bound: float) -> Value:
    """x limited from above; NaN stays."""
    return k.select(x > bound, bound, x)


def at_least(k: Scalars, x: Value, bound: float) -> Value:
    """x limited from below; NaN stays."""
    return k.select(x < bound, bound, x)


def nan(k: Scalars, like: Value) -> Value:
    return k.const(math.nan, like.dtype)


def infinity(k: Scalars, like: Value) -> Value:
    return k.const(math.inf, like.dtype)
