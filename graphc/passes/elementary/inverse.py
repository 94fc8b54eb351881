"""Inverse trigonometric functions: asin, acos, atan, atan2.

asin(x) = x + x^3 * P(x^2),  and pi/2 - 2*asin(sqrt((1 - |x|) / 2)) where |x| > 1/2
atan(x) = x + x^3 * P(x^2),  brought to |x| <= 1 by atan(x) = pi/2 - atan(1/x), and in float64 to |x| <= tan(pi/8) by
                             atan(x) = pi/4 + atan((x - 1) / (x + 1))
"""

from __future__ import annotations

import math

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.pieces import (
    Pair,
    at_most,
    bits,
    fast_two_sum,
    layout,
    polynomial,
    with_sign,
)  # fmt: skip

# Constants in two parts.
PI = {
    t.float32: (3.1415927410125732, -8.742277657347586e-08),
    t.float64: (3.141592653589793, 1.2246467991473532e-16),
}
HALF_PI = {dtype: (high / 2, low / 2) for dtype, (high, low) in PI.items()}
QUARTER_PI = (PI[t.float64][0] / 4, PI[t.float64][1] / 4)

# (atan(v) - v) / v^3 in powers of v^2, for |v| <= 1 in float32 and |v| <= sqrt(2) - 1 in float64
ARCTANGENT32 = (
    -0.33333298563957214, 0.19998547434806824, -0.1426423192024231, 0.10952131450176239, -0.08403273671865463,
    0.05795428156852722, -0.031174274161458015, 0.010912548750638962, -0.0017931314650923014,
)  # fmt: skip
ARCTANGENT64 = (
    -0.333333333333332, 0.1999999999995353, -0.14285714280189574, 0.11111110783051663, -0.0909089774414912,
    0.07692059938562193, -0.06663100491395933, 0.05847860273945732, -0.05039159518373177, 0.03806050807168374,
    -0.01790237865824175,
)  # fmt: skip
# (asin(v) - v) / v^3 in powers of v^2, for |v| <= 1/2
ARCSINE32 = (
    0.16666659712791443, 0.07500512152910233, 0.044515471905469894, 0.03181981295347214, 0.014393821358680725,
    0.037578143179416656,
)  # fmt: skip
ARCSINE64 = (
    0.16666666666666763, 0.07499999999970096, 0.04464285717528876, 0.030381942675172118, 0.022372215908309293,
    0.017351595467663027, 0.013981018806288393, 0.011397291681129348, 0.010789324768596077, 0.0036721842236170973,
    0.021790623279595585, -0.021116654861015924, 0.032702105635290475,
)  # fmt: skip


ARCSINE = {t.float32: ARCSINE32, t.float64: ARCSINE64}


def arc(k: Scalars, top: Value, bottom: Value) -> Pair:
    """atan(top / bottom) for float64, 0 <= top <= bottom, 0 < bottom.

    Above tan(pi/8) it is pi/4 + atan((top - bottom) / (top + bottom)).
    """
    folded = top > bottom * (math.sqrt(2) - 1)
    gap, gap_low = fast_two_sum(k, bottom, -top)
    total, total_low = fast_two_sum(k, bottom, top)
    zero = k.const(0.0, top.dtype)
    above, below = k.select(folded, -gap, top), k.select(folded, total, bottom)
    inverse = 1.0 / below
    v = above * inverse
    missed = k.fma(-v, below, above) - k.select(folded, k.fma(v, total_low, gap_low), zero)
    z = v * v
    rest = k.fma(v * z, polynomial(k, z, ARCTANGENT64), missed * inverse)
    base, base_low = QUARTER_PI
    high, low = fast_two_sum(k, k.select(folded, base, zero), v)
    return high, low + (rest + k.select(folded, base_low, zero))


def atan(k: Scalars, x: Value) -> Value:
    half, half_low = HALF_PI[x.dtype]
    if x.dtype == t.float32:
        steep = abs(x) > 1.0
        angle = arc32(k, k.select(steep, 1.0 / abs(x), abs(x)))
        return with_sign(k, k.select(steep, half - (angle - half_low), angle), x)
    size = at_most(k, abs(x), 2.0**60)
    steep = size > 1.0
    high, low = arc(k, k.select(steep, 1.0, size), k.select(steep, size, 1.0))
    base, rest = fast_two_sum(k, k.const(half, x.dtype), -high)
    return with_sign(k, k.select(steep, base + (rest + (half_low - low)), high + low), x)


def arc32(k: Scalars, v: Value) -> Value:
    """atan(v) for float32, 0 <= v <= 1."""
    z = v * v
    return k.fma(v * z, polynomial(k, z, ARCTANGENT32), v)


def atan2(k: Scalars, y: Value, x: Value) -> Value:
    if x.dtype == t.float32:
        return _atan2_float32(k, y, x)
    up, across = abs(y), abs(x)
    steep = up > across
    top, bottom = k.select(steep, across, up), k.select(steep, up, across)
    endless = bottom == math.inf
    top = k.select(endless, k.select(top == math.inf, k.const(1.0, x.dtype), 0.0), top)
    bottom = k.select(endless | (bottom == 0.0), 1.0, bottom)
    scale = k.select(bottom > 2.0**1000, k.const(2.0**-100, x.dtype), 1.0)
    scale = k.select(bottom < 2.0**-900, 2.0**130, scale)
    high, low = arc(k, top * scale, bottom * scale)
    back = bits(k, x) < 0
    from_pi = back & ~steep
    backwards = back ^ steep
    half, whole = HALF_PI[x.dtype], PI[x.dtype]
    base = k.select(steep, half[0], k.select(from_pi, k.const(whole[0], x.dtype), 0.0))
    base_low = k.select(steep, half[1], k.select(from_pi, k.const(whole[1], x.dtype), 0.0))
    total, rest = fast_two_sum(k, base, k.select(backwards, -high, high))
    angle = total + (rest + (base_low + k.select(backwards, -low, low)))
    return k.select((x == x) & (y == y), with_sign(k, angle, y), x + y)


def _atan2_float32(k: Scalars, y: Value, x: Value) -> Value:
    up, across = abs(y), abs(x)
    steep = up > across
    v = k.select(steep, across, up) / k.select(steep, up, across)
    v = k.select(up == across, k.select(up == 0.0, k.const(0.0, x.dtype), 1.0), v)
    angle = arc32(k, v)
    back = bits(k, x) < 0
    half, whole, zero = HALF_PI[x.dtype], PI[x.dtype], k.const(0.0, x.dtype)
    base = k.select(steep, half[0], k.select(back, whole[0], zero))
    base_low = k.select(steep, half[1], k.select(back, whole[1], zero))
    return with_sign(k, base + (k.select(back ^ steep, -angle, angle) + base_low), y)


def _arcsine(k: Scalars, x: Value) -> tuple[Value, Value, Value]:
    """(inside, v, low) with asin(|x|) = v + low where `inside`, |x| <= 1/2, holds; elsewhere acos(|x|) = 2 * (v + low)."""
    size = abs(x)
    inside = size <= 0.5
    z = k.select(inside, x * x, k.fma(size, -0.5, 0.5))
    root = k.op("sqrt", z)
    root_low = k.fma(-root, root, z) / (root + root + layout(x).tiny)
    v = k.select(inside, size, root)
    series = v * z * polynomial(k, z, ARCSINE[x.dtype])
    return inside, v, k.select(inside, series, series + root_low)


def asin(k: Scalars, x: Value) -> Value:
    inside, v, low = _arcsine(k, x)
    half, half_low = HALF_PI[x.dtype]
    high, rest = fast_two_sum(k, k.const(half, x.dtype), v * -2.0)
    return with_sign(k, k.select(inside, v + low, high + (rest + k.fma(low, -2.0, half_low))), x)


def acos(k: Scalars, x: Value) -> Value:
    inside, v, low = _arcsine(k, x)
    negative = x < 0.0
    turn = k.select(inside, k.const(1.0, x.dtype), 2.0)  # acos(x) = pi/2 -+ (v + low), or 2 * (v + low), or pi - 2 * (v + low)
    factor = k.select(inside ^ negative, -turn, turn)
    zero = k.const(0.0, x.dtype)
    half, whole = HALF_PI[x.dtype], PI[x.dtype]
    base = k.select(inside, half[0], k.select(negative, whole[0], zero))
    base_low = k.select(inside, half[1], k.select(negative, whole[1], zero))
    high, rest = fast_two_sum(k, base, v * factor)
    return high + (rest + k.fma(low, factor, base_low))
