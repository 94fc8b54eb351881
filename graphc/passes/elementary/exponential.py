"""Exponentials and what is made of one: exp, exp2, expm1, sigmoid, tanh, sinh, cosh.

    x = n*ln2 + r,  |r| <= ln2/2,  exp(x) = 2^n * exp(r)

n comes from adding a large number, whose low bits then hold n with the exponent's bias already in: shifted to the exponent's
place they are 2^(n-1). exp(r) is a polynomial. ln2 is taken off in two parts, of which the first has so few bits that its
product with n is exact (W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.pieces import Pair, at_least, at_most, fast_two_sum, layout, polynomial, with_sign

LOG2E = 1.4426950408889634


@dataclass(frozen=True)
class Exponential:
    """What exp needs for one float type.

    ln2: two parts. terms: (exp(r) - 1 - r) / r^2 on +-0.35. powers: (2^r - 1) / r on +-0.505. Arguments beyond low .. high
    give 0 and infinity; below `small` the result may be subnormal; beyond +-flat, 1 + exp(-x) is 1.
    """

    ln2: tuple[float, float]
    terms: Sequence[float]
    powers: Sequence[float]
    low: float
    high: float
    small: float
    flat: float


EXPONENTIALS = {
    t.float32: Exponential(
        ln2=(0.693145751953125, 1.428606765330187e-06),
        terms=(0.5, 0.16666513681411743, 0.0416661873459816, 0.008369590155780315, 0.0013951711589470506),
        powers=(
            0.6931471824645996, 0.24022650718688965, 0.0555032454431057, 0.009617999196052551, 0.0013401611940935254,
            0.00015477760462090373,
        ),
        low=-104.0, high=89.0, small=-86.0, flat=18.0,
    ),
    t.float64: Exponential(
        ln2=(0.6931471803691238, 1.9082149292705877e-10),
        terms=(
            0.5000000000000014, 0.16666666666666702, 0.04166666666650316, 0.008333333333305023, 0.0013888888950515065,
            0.00019841269922094682, 2.4801486072063294e-05, 2.7557212102792843e-06, 2.76327367079406e-07,
            2.5119187183367633e-08,
        ),
        powers=(
            0.6931471805599453, 0.2402265069591014, 0.05550410866482176, 0.009618129107590417, 0.0013333558146374793,
            0.00015403530462065548, 1.5252733871575045e-05, 1.3215432703215625e-06, 1.017804480957892e-07,
            7.0742417902999726e-09, 4.457631348588414e-10,
        ),
        low=-746.0, high=710.0, small=-706.0, flat=38.0,
    ),
}  # fmt: skip


def reduce(k: Scalars, x: Value, sign: int = 1) -> Pair:
    """(m, r) of x = sign * (n*ln2 + r): r, and an integer whose bits, shifted to the exponent's place, are 2^(n-1)."""
    form, e = layout(x), EXPONENTIALS[x.dtype]
    start = form.rounder + form.bias - 1
    moved = k.fma(x, sign * LOG2E, start)
    n = moved - start
    r = k.fma(n, -sign * e.ln2[0], x)
    return k.bitcast(moved, form.integer), k.fma(n, -sign * e.ln2[1], r)


def reduce_closely(k: Scalars, x: Value, low: Value | None = None) -> tuple[Value, Value, Value]:
    """(m, r, rest) of x + low, where r + rest is what `reduce` rounds to r."""
    form, e = layout(x), EXPONENTIALS[x.dtype]
    start = form.rounder + form.bias - 1
    moved = k.fma(x, LOG2E, start)
    n = moved - start
    first = k.fma(n, -e.ln2[0], x)
    second = n * -e.ln2[1] if low is None else k.fma(n, -e.ln2[1], low)
    return k.bitcast(moved, form.integer), *fast_two_sum(k, first, second)


def half_power(k: Scalars, m: Value, like: Value) -> Value:
    """2^(n-1) from what `reduce` gives, where it is a normal number."""
    return k.bitcast(m << layout(like).mantissa, like.dtype)


def less_one(k: Scalars, r: Value) -> Value:
    """exp(r) - 1."""
    return k.fma(r * r, polynomial(k, r, EXPONENTIALS[r.dtype].terms), r)


def scaled(k: Scalars, m: Value, small: Value, like: Value) -> Pair:
    """2^(n-1) as a product of two normal numbers, the second 2^-64 where `small` holds and 1 elsewhere."""
    lifted = m + k.select(small, k.const(64, m.dtype), 0)
    return half_power(k, lifted, like), k.select(small, k.const(2.0**-64, like.dtype), 1.0)


def exp(k: Scalars, x: Value) -> Value:
    return _limited(k, at_most(k, x, EXPONENTIALS[x.dtype].high))


def exp_minus_size(k: Scalars, x: Value) -> Value:
    """exp(-|x|)."""
    return _limited(k, -abs(x))


def _limited(k: Scalars, x: Value) -> Value:
    """exp(x) where x is not too large for that."""
    e = EXPONENTIALS[x.dtype]
    x = at_least(k, x, e.low)
    m, r = reduce(k, x)
    power, rest = scaled(k, m, x < e.small, x)
    return k.fma(less_one(k, r), 2.0, 2.0) * power * rest


def exp2(k: Scalars, x: Value) -> Value:
    form, e = layout(x), EXPONENTIALS[x.dtype]
    x = at_least(k, at_most(k, x, form.bias + 1.0), -form.bias - form.mantissa - 2.0)
    start = form.rounder + form.bias - 1
    moved = x + start
    r = x - (moved - start)
    twice = k.fma(r, polynomial(k, r, [2.0 * c for c in e.powers]), 2.0)
    power, rest = scaled(k, k.bitcast(moved, form.integer), x < 3.0 - form.bias, x)
    return twice * power * rest


def expm1(k: Scalars, x: Value) -> Value:
    e = EXPONENTIALS[x.dtype]
    m, r, rest = reduce_closely(k, at_least(k, at_most(k, x, e.high), -3.0 * e.flat))
    power = half_power(k, m, x)
    bend = k.fma(r * r, polynomial(k, r, e.terms), rest)
    result = k.fma(power, bend, k.fma(power, r, power - 0.5)) * 2.0
    return k.select(abs(x) < 2.0 ** (-2 - layout(x).mantissa), x, result)


def sigmoid(k: Scalars, x: Value) -> Value:
    """1 / (1 + e) for x >= 0 and e / (1 + e) for x < 0, where e = exp(-|x|).

    A quotient v / (1 + e) is also v - e * v / (1 + e), which weakens the errors of the division and the sum.
    """
    e = exp_minus_size(k, x)
    top = k.select(x < 0.0, e, 1.0)
    return k.fma(-e, top / (e + 1.0), top)


def tanh(k: Scalars, x: Value) -> Value:
    """q - q * q / (q + 1), or 1 - 1 / (q + 1) where q > 1, for q = (exp(2|x|) - 1) / 2."""
    size = at_most(k, abs(x), 0.6 * EXPONENTIALS[x.dtype].flat)
    m, r = reduce(k, size + size)
    power = half_power(k, m, x)
    q = k.fma(power, less_one(k, r), power - 0.5)
    top = at_most(k, q, 1.0)
    return with_sign(k, k.fma(-top, top / (q + 1.0), top), x)


def exp_pair(k: Scalars, x: Value, low: Value | None = None) -> tuple[Value, Value, Value]:
    """(m, hi, lo) with exp(x + low) = 2^n * (hi + lo) for float64 x; m is as from `reduce`. |x| is at most 1100."""
    m, r, rest = reduce_closely(k, x, low)
    bend = (r * r) * polynomial(k, r, EXPONENTIALS[x.dtype].terms)
    hi, gap = fast_two_sum(k, 1.0, r)
    hi, lo = fast_two_sum(k, hi, gap + k.fma(rest, r + 1.0, bend))
    return m, hi, lo


def sinh(k: Scalars, x: Value) -> Value:
    z = x * x
    small = k.fma(x * z, polynomial(k, z, SINH[x.dtype]), x)
    quarter, low = _quarter(k, abs(x))
    large = quarter - (0.0625 / (quarter + low) - low)
    return k.select(abs(x) < 1.0, small, with_sign(k, large + large, x))


def cosh(k: Scalars, x: Value) -> Value:
    quarter, low = _quarter(k, abs(x))
    large = quarter + (0.0625 / (quarter + low) + low)
    return large + large


def _quarter(k: Scalars, size: Value) -> Pair:
    """exp(size) / 4 as a sum of two, the second small against the first; in float32 they are 1 + r and the bend of exp(r)."""
    if size.dtype == t.float32:
        m, r, rest = reduce_closely(k, at_most(k, size, 89.7))
        power = half_power(k, m - 1, size)
        return k.fma(power, r, power), power * k.fma(r * r, polynomial(k, r, EXPONENTIALS[r.dtype].terms), rest)
    m, hi, lo = exp_pair(k, at_most(k, size, 711.0))
    power = half_power(k, m - 1, size)
    return hi * power, lo * power


# (sinh(x) - x) / x^3 in powers of x^2, for |x| < 1
SINH = {
    t.float32: (0.1666666716337204, 0.008333350531756878, 0.0001983606634894386, 2.8174395083624404e-06),
    t.float64: (
        0.16666666666666669, 0.008333333333333139, 0.00019841269841437676, 2.7557319155338455e-06, 2.5052123398343493e-08,
        1.6057240354846006e-10, 7.759311869486227e-13,
    ),
}  # fmt: skip
