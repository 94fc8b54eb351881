"""Logarithms and what is made of one: log, log2, log10, log1p, softplus, asinh, acosh, atanh.

    x = 2^n * (1 + f),  log(x) = n*ln2 + log(1 + f)

In float32, 1 + f lies in 2/3 .. 4/3 and log(1 + f) is a polynomial in f. In float64, 1 + f lies in sqrt(1/2) .. sqrt(2) and
log(1 + f) is 2*atanh(s) with s = f / (2 + f), in the arrangement of Sun's fdlibm (e_log.c): f - (f^2/2 - s*(f^2/2 + R(s^2))).
"""

from __future__ import annotations

import math

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.exponential import EXPONENTIALS, exp_minus_size
from graphc.passes.elementary.pieces import (
    Pair,
    bits,
    fast_two_sum,
    infinity,
    layout,
    nan,
    polynomial,
    two_product,
    with_sign,
)  # fmt: skip

# (log(1 + f) - f + f^2/2) / f^3 on +-1/3
SERIES32 = (
    0.33333224058151245, -0.24999688565731049, 0.20010043680667877, -0.16685467958450317, 0.14010927081108093,
    -0.1211509257555008, 0.13962417840957642, -0.13191823661327362,
)  # fmt: skip
# (2*atanh(s) / s - 2) / s^2 in powers of s^2, for |s| <= 0.1716
SERIES64 = (
    0.6666666666666735, 0.39999999999413133, 0.2857142874276577, 0.22222198531115855, 0.18183566671411058,
    0.15313986695647483, 0.14796625443940725,
)  # fmt: skip
# (log(1 + e) / e - 1) / e on 0 .. exp(-3/4)
SOFTPLUS32 = (
    -0.49999964237213135, 0.33331403136253357, -0.24963170289993286, 0.19660381972789764, -0.1493266373872757,
    0.09075001627206802, -0.02992442063987255,
)  # fmt: skip
# log(cosh(x / 2)) / x^2 in powers of x^2, for |x| <= 3/4
CENTRE32 = (0.1249999850988388, -0.005208082031458616, 0.00034590886207297444, -2.3579630578751676e-05)

START = {t.float32: 0x3F2AAAAB, t.float64: 0x3FE6A09E667F3BCD}  # the bits of 2/3 and of sqrt(1/2)
# Constants in two parts. The first parts of ln2 and log10(2) have so few bits that their products with n are exact.
LN2 = {dtype: e.ln2 for dtype, e in EXPONENTIALS.items()}
LOG2E = {
    t.float32: (1.4426950216293335, 1.925963033500011e-08),
    t.float64: (1.4426950408889634, 2.0355273740931033e-17),
}
LOG10E = {
    t.float32: (0.4342944920063019, -1.0103049952192578e-08),
    t.float64: (0.4342944819032518, 1.098319650216765e-17),
}
LOG10_2 = {
    t.float32: (0.301025390625, 4.605039066518657e-06),
    t.float64: (0.3010299956640665, -8.532344317057107e-14),
}


def exponent(k: Scalars, u: Value, start: int | None = None) -> tuple[Value, Value]:
    """(e, n) of a positive normal u: n, and before it the integer that has n in the exponent's place; 1 + f begins at `start`."""
    form = layout(u)
    e = (bits(k, u) - (START[u.dtype] if start is None else start)) & ~form.fraction
    if u.dtype == t.float32:
        return e, k.cast(e, u.dtype) * 2.0**-form.mantissa
    high = k.const(2.0**52 + 2048, u.dtype)
    return e, k.bitcast((e >> form.mantissa) + bits(k, high), u.dtype) - high


def split(k: Scalars, x: Value, normal: bool = False, start: int | None = None) -> Pair:
    """(n, f) of a positive x; `normal` says that it is not subnormal."""
    form = layout(x)
    if normal:
        e, n = exponent(k, x, start)
        return n, k.bitcast(bits(k, x) - e, x.dtype) - 1.0
    tiny = x < form.tiny
    n, f = split(k, k.select(tiny, x * 2.0**form.mantissa, x), normal=True, start=start)
    return n - k.select(tiny, k.const(form.mantissa, x.dtype), 0.0), f


def series(k: Scalars, f: Value) -> Value:
    """log(1 + f) - f."""
    if f.dtype == t.float32:
        z = f * f
        return k.fma(z * f, polynomial(k, f, SERIES32), z * -0.5)
    half = f * f * 0.5
    s = f / (f + 2.0)
    z = s * s
    return k.fma(s, k.fma(z, polynomial(k, z, SERIES64), half), -half)


def logarithm(k: Scalars, n: Value, f: Value, rest: Value | None = None) -> Value:
    """n*ln2 + log(1 + f) + rest."""
    first, second = LN2[f.dtype]
    small = k.fma(n, second, series(k, f) if rest is None else series(k, f) + rest)
    if f.dtype == t.float32:
        return k.fma(n, first, f + small)
    high, low = fast_two_sum(k, n * first, f)
    return high + (low + small)


def defined(k: Scalars, result: Value, x: Value, pole: float = 0.0) -> Value:
    """The result where x is finite and above the pole; -infinity at the pole, NaN below, x itself at infinity and NaN."""
    result = k.select(x < math.inf, result, x)
    result = k.select(x < pole, nan(k, x), result)
    return k.select(x == pole, -infinity(k, x), result)


def log(k: Scalars, x: Value) -> Value:
    return defined(k, logarithm(k, *split(k, x)), x)


def log2(k: Scalars, x: Value) -> Value:
    n, f = split(k, x)
    if x.dtype == t.float32:
        unit, unit_low = LOG2E[x.dtype]
        return defined(k, n + k.fma(f, unit, k.fma(f, unit_low, series(k, f) * unit)), x)
    high, low = scaled_logarithm(k, f, LOG2E[x.dtype])
    total, rest = fast_two_sum(k, n, high)
    return defined(k, total + (rest + low), x)


def log10(k: Scalars, x: Value) -> Value:
    n, f = split(k, x)
    octave, octave_low = LOG10_2[x.dtype]
    if x.dtype == t.float32:
        unit, unit_low = LOG10E[x.dtype]
        small = k.fma(n, octave_low, k.fma(f, unit_low, series(k, f) * unit))
        return defined(k, k.fma(n, octave, k.fma(f, unit, small)), x)
    high, low = scaled_logarithm(k, f, LOG10E[x.dtype])
    total, rest = fast_two_sum(k, n * octave, high)
    return defined(k, total + (rest + k.fma(n, octave_low, low)), x)


def scaled_logarithm(k: Scalars, f: Value, unit: tuple[float, float]) -> Pair:
    """log(1 + f) * unit in float64."""
    half = f * f * 0.5
    s = f / (f + 2.0)
    z = s * s
    high = f - half
    low = k.fma(s, k.fma(z, polynomial(k, z, SERIES64), half), (f - high) - half)
    product, rest = two_product(k, high, unit[0])
    return product, k.fma(low, unit[0], k.fma(high, unit[1], rest))


def log_one_plus(k: Scalars, x: Value, doublings: Value | float = 0.0, low: Value | None = None) -> Value:
    """log(1 + x + low) + doublings * ln2 for finite x > -1.

    With 1 + x = 2^n * (1 + f), f is x * 2^-n + (2^-n - 1): nothing is lost, as 2^-n - 1 is exact wherever it matters. 2^-n is
    kept four times larger, as for the largest x it would be subnormal.
    """
    form = layout(x)
    e, n = exponent(k, x + 1.0)
    four = k.bitcast(-e + (form.one + (2 << form.mantissa)), x.dtype)
    f = k.fma(x * 0.25, four, k.fma(four, 0.25, -1.0))
    if low is not None:
        low = low * four * 0.25
        low = k.fma(-low, f, low)  # divided by 1 + f, as closely as matters
    if isinstance(doublings, Value):
        return logarithm(k, n + doublings, f, low)
    return k.select(abs(x) < 2.0 ** (-2 - form.mantissa), x, logarithm(k, n, f))


def log1p(k: Scalars, x: Value) -> Value:
    return defined(k, log_one_plus(k, x), x, pole=-1.0)


def softplus(k: Scalars, x: Value) -> Value:
    """log(1 + e) + max(x, 0), where e = exp(-|x|); close to 0 in float32, log(2) + x/2 + log(cosh(x/2))."""
    e = exp_minus_size(k, x)
    ramp = k.select(x > 0.0, x, 0.0)
    if x.dtype == t.float32:
        z = x * x
        centre = k.fma(z, polynomial(k, z, CENTRE32), k.fma(x, 0.5, math.log(2)))
        return k.select(abs(x) < 0.75, centre, k.fma(e * e, polynomial(k, e, SOFTPLUS32), e) + ramp)
    folded = e > math.sqrt(2) - 1  # then 1 + e is 2 * (1 + (e - 1) / 2)
    n = k.select(folded, k.const(1.0, x.dtype), 0.0)
    return logarithm(k, n, k.select(folded, (e - 1.0) * 0.5, e)) + ramp


def asinh(k: Scalars, x: Value) -> Value:
    """log(1 + |x| + x^2 / (1 + sqrt(1 + x^2))) with the sign of x."""
    size = abs(x)
    z = x * x
    inner = size + z / (k.op("sqrt", k.fma(x, x, 1.0)) + 1.0)
    return with_sign(k, _log_doubled(k, size, inner), x)


def acosh(k: Scalars, x: Value) -> Value:
    """log(1 + t + sqrt(x^2 - 1)), where t = x - 1."""
    root = k.op("sqrt", k.fma(x, x, -1.0))
    inner, low = fast_two_sum(k, root, x - 1.0)
    return k.select(x < 1.0, nan(k, x), _log_doubled(k, x, inner, low))


def _log_doubled(k: Scalars, size: Value, inner: Value, low: Value | None = None) -> Value:
    """log(1 + inner + low), or log(2 * size) for a large size, to which it then is equal."""
    mantissa = layout(size).mantissa
    large = size > 2.0 ** (mantissa + 3)
    chosen = k.select(large, size, inner)
    if low is not None:
        low = k.select(large, k.const(0.0, size.dtype), low)
    result = log_one_plus(k, chosen, k.select(large, k.const(1.0, size.dtype), 0.0), low)
    result = k.select(chosen < 2.0 ** (-mantissa - 2), chosen, result)
    return k.select(size < math.inf, result, size)


def atanh(k: Scalars, x: Value) -> Value:
    """log(1 + 2*|x| / (1 - |x|)) / 2 with the sign of x."""
    size = abs(x)
    twice = size + size
    result = log_one_plus(k, k.fma(twice, size / (-size + 1.0), twice)) * 0.5
    result = k.select(size < 1.0, result, k.select(size == 1.0, infinity(k, x), nan(k, x)))
    return with_sign(k, result, x)
