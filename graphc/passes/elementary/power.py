"""Powers and roots: pow, cbrt, hypot. The references are those of C's annex F, as in NumPy."""

from __future__ import annotations

import math

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.exponential import EXPONENTIALS, exp_pair, scaled
from graphc.passes.elementary.logarithm import LN2, LOG2E, split
from graphc.passes.elementary.pieces import (
    Pair,
    at_least,
    at_most,
    bits,
    fast_two_sum,
    infinity,
    layout,
    nan,
    polynomial,
    two_product,
    with_sign,
)  # fmt: skip

# (2*atanh(s)/s - 2 - 2/3*s^2) / s^4 in powers of s^2, for |s| <= 0.1716
SERIES = (
    0.3999999999999998, 0.2857142857144515, 0.22222222217526863, 0.18181818871495511, 0.15384556790258164,
    0.13336320531955423, 0.11674755184928909, 0.11989541605615421,
)  # fmt: skip
# (log2(e) * (2*atanh(s)/s - 2) - 2/3*log2(e)*s^2) / s^4 in powers of s^2, for |s| <= 0.1716
SERIES32 = (0.5770801901817322, 0.4118477702140808, 0.3378663957118988)
THIRDS32 = (0.9617967009544373, -7.028461812552678e-09)  # 2/3 * log2(e)
ROOT_HALF = 0x3F3504F3  # the bits of sqrt(1/2) in float32
THIRDS = (0.6666666666666666, 3.700743415417188e-17)  # 2/3
# ((1 - e)^(-1/3) - 1) / e for each step: e is at most 0.103, then 2^-15
ROOT = {
    t.float32: ((1 / 3, 2 / 9, 14 / 81),),
    t.float64: ((1 / 3, 2 / 9, 14 / 81), (1 / 3, 2 / 9)),
}


def log_pair(k: Scalars, x: Value) -> Pair:
    """log(x) for positive float64 x with about 64 correct bits: n*ln2 + 2*atanh(f / (2 + f)), each step a pair."""
    n, f = split(k, x)
    whole = f + 2.0
    whole_low = f - (whole - 2.0)
    inverse = 1.0 / whole
    s = f * inverse
    s_low = (k.fma(-s, whole, f) - s * whole_low) * inverse
    z, z_low = two_product(k, s, s)
    z_low = k.fma(s + s, s_low, z_low)
    inner, inner_low = fast_two_sum(k, k.const(THIRDS[0], x.dtype), z * polynomial(k, z, SERIES))
    inner_low = inner_low + THIRDS[1]
    bend, bend_low = two_product(k, z, inner)
    bend_low = bend_low + k.fma(z, inner_low, z_low * inner)
    factor, factor_low = fast_two_sum(k, k.const(2.0, x.dtype), bend)
    factor_low = factor_low + bend_low
    part, part_low = two_product(k, s, factor)
    part_low = part_low + k.fma(s, factor_low, s_low * factor)
    high, rest = fast_two_sum(k, n * LN2[x.dtype][0], part)
    return fast_two_sum(k, high, rest + k.fma(n, LN2[x.dtype][1], part_low))


def pow(k: Scalars, x: Value, y: Value) -> Value:
    """exp(y * log(|x|)), then the sign and the special cases."""
    size = abs(x)
    power = (_pow_float32 if x.dtype == t.float32 else _pow_float64)(k, size, y)
    power = k.select((size == 1.0) | (y == 0.0), 1.0, power)
    whole = k.op("trunc", y) == y
    half = y * 0.5
    odd = whole & (k.op("trunc", half) != half)
    power = k.select((bits(k, x) < 0) & odd, -power, power)
    return k.select((x < 0.0) & ~whole & (size < math.inf), nan(k, x), power)


def _ends(k: Scalars, logarithm: Value, size: Value) -> Value:
    """The logarithm, also of 0, infinity and NaN."""
    return k.select(size == 0.0, -infinity(k, size), k.select(size < math.inf, logarithm, size))


def _pow_float64(k: Scalars, size: Value, y: Value) -> Value:
    high, low = log_pair(k, size)
    high = _ends(k, high, size)
    product, rest = two_product(k, y, high)
    rest = k.fma(y, low, rest)
    limited = at_least(k, at_most(k, product, 710.0), -746.0)
    m, head, tail = exp_pair(k, limited, k.select(limited == product, rest, 0.0))
    power, lift = scaled(k, m, limited < -700.0, size)
    return (head + tail) * 2.0 * power * lift


def _pow_float32(k: Scalars, size: Value, y: Value) -> Value:
    """2^(y * log2(size)), the logarithm as a pair of about 32 correct bits: n + 2*atanh(s)*log2(e), s = f / (2 + f)."""
    n, f = split(k, size, start=ROOT_HALF)
    whole = f + 2.0
    inverse = 1.0 / whole
    s = f * inverse
    s_low = (k.fma(-s, whole, f) - s * (f - (whole - 2.0))) * inverse
    z, z_low = two_product(k, s, s)
    bend, bend_low = two_product(k, z, THIRDS32[0])
    bend_low = k.fma(z, THIRDS32[1], k.fma(k.fma(s + s, s_low, z_low), THIRDS32[0], bend_low))
    unit, unit_low = LOG2E[size.dtype]
    factor, factor_low = fast_two_sum(k, k.const(2.0 * unit, size.dtype), bend)
    factor_low = factor_low + k.fma(z * z, polynomial(k, z, SERIES32), bend_low + 2.0 * unit_low)
    part, part_low = two_product(k, s, factor)
    high, low = fast_two_sum(k, n, part)
    high, low = fast_two_sum(k, high, low + k.fma(s, factor_low, k.fma(s_low, factor, part_low)))
    high = _ends(k, high, size)
    product, rest = two_product(k, y, high)
    rest = k.fma(y, low, rest)
    limited = at_least(k, at_most(k, product, 129.0), -151.0)
    form, e = layout(size), EXPONENTIALS[size.dtype]
    start = form.rounder + form.bias - 1
    moved = limited + start
    r = (limited - (moved - start)) + k.select(limited == product, rest, 0.0)
    twice = k.fma(r, polynomial(k, r, [2.0 * c for c in e.powers]), 2.0)
    power, lift = scaled(k, k.bitcast(moved, form.integer), limited < -124.0, size)
    return twice * power * lift


def cbrt(k: Scalars, x: Value) -> Value:
    """x * v^2 where v = x^(-1/3), and a Newton step.

    A third of the bits of x, taken from a constant, are those of v within 3.4 %; two steps, or one in float32, make v exact.
    """
    form = layout(x)
    lift = {t.float32: 8, t.float64: 18}[x.dtype]
    tiny = abs(x) < form.tiny * 2.0 ** (3 * lift)
    size = k.select(tiny, abs(x) * 2.0 ** (3 * lift), abs(x))
    drop = form.integer.bits - form.mantissa + 1  # low bits that do not matter, so that the others are a float's mantissa
    high = k.const(2.0**form.mantissa, x.dtype)
    lifted = k.bitcast((bits(k, size) >> drop) | bits(k, high), x.dtype)
    start = (4 / 3 * (form.bias - 0.051) * 2.0 ** (form.mantissa - drop)) + 2.0**form.mantissa / 3
    v = k.bitcast(bits(k, k.fma(lifted, -1 / 3, form.rounder + start)) << drop, x.dtype)
    for terms in ROOT[x.dtype]:
        missed = k.fma(-(size * v), v * v, 1.0)
        v = k.fma(v * missed, polynomial(k, missed, terms), v)
    square = v * v
    root = size * square
    area, rest = two_product(k, root, root)
    left = k.fma(-area, root, size)
    if x.dtype == t.float64:
        left = left - rest * root
    root = k.fma(left * square, 1 / 3, root) * k.select(tiny, k.const(2.0**-lift, x.dtype), 1.0)
    return k.select((x != 0.0) & (abs(x) < math.inf), with_sign(k, root, x), x)


def hypot(k: Scalars, x: Value, y: Value) -> Value:
    a, b = abs(x), abs(y)
    if x.dtype == t.float32:
        wide, other = k.cast(a, t.float64), k.cast(b, t.float64)
        result = k.cast(k.op("sqrt", k.fma(wide, wide, other * other)), x.dtype)
    else:
        large = (a > 2.0**500) | (b > 2.0**500)
        small = (a < 2.0**-400) & (b < 2.0**-400)
        one, down, up = (k.const(c, x.dtype) for c in (1.0, 2.0**-600, 2.0**600))
        scale = k.select(large, down, k.select(small, up, one))
        back = k.select(large, up, k.select(small, down, one))
        long, short = k.select(a > b, a, b) * scale, k.select(a > b, b, a) * scale
        result = k.op("sqrt", k.fma(long, long, short * short)) * back
    return k.select((a == math.inf) | (b == math.inf), infinity(k, x), result)
