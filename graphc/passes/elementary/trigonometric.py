"""Sine, cosine and tangent, for every float however large.

    x = (4*j + q + r) * pi/2,  q one of 0, 1, 2, 3,  |r| <= 1/2

x * 2/pi is taken modulo 4: 2/pi is a row of chunks of bits, and the products of x with the first ones, as far as they are
multiples of 4, drop out exactly (M. Payne, R. Hanek, "Radian reduction for trigonometric functions", 1983). In float32 each
product is exact in float64. In float64 a product is a pair, and the chunks that matter are moved to the front by selects,
doubling as in a barrel shifter, while x is scaled down alike. The polynomials of float64 are arranged as in Sun's fdlibm
(k_sin.c, k_cos.c), with the low part of the argument.
"""

from __future__ import annotations

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.pieces import Pair, bits, fast_two_sum, layout, polynomial, two_product, two_sum

HALF_PI = (1.5707963267948966, 6.123233995736766e-17)  # in two parts

# the first 1219 bits of 2/pi
TWO_OVER_PI = int(
    "517cc1b727220a94fe13abe8fa9a6ee06db14acc9e21c820ff28b1d5ef5de2b0db92371d2126e9700324977504e8c90e7f0e"
    "f58e5894d39f74411afa975da24274ce38135a2fbf209cc8eb1cc1a99cfa4e422fc5defc941d8ffc4bffef02cc07f79788c5"
    "ad05368fb69b3f6793e584dba7a31fb34f2ff516ba93dd63f5f2f8bd9e839cfbc529497535fdafd88fc6ae842b0198237e3d"
    "b5d5f",
    16,
)
BITS = 1219

# sin(r * pi/2) / r and (cos(r * pi/2) - 1) / r^2 in powers of r^2, for |r| <= 1/2
SINE32 = (1.5707963219591143, -0.6459634779022271, 0.0796802182023072, -0.004602145422449626)
COSINE32 = (-1.233700543342758, 0.2536692437156484, -0.02086028597263107, 0.0009040156302895183)
# (sin(y) - y) / y^3 and (cos(y) - 1 + y^2/2) / y^4 in powers of y^2, for |y| <= pi/4
SINE64 = (
    -0.16666666666666632, 0.008333333333322413, -0.0001984126982980773, 2.7557313691884037e-06, -2.5050758109517197e-08,
    1.5896795312486547e-10,
)  # fmt: skip
COSINE64 = (
    0.0416666666666666, -0.0013888888888874123, 2.4801587289482025e-05, -2.755731435228962e-07, 2.087572326756306e-09,
    -1.1359647514607118e-11,
)  # fmt: skip


def chunk(start: int, width: int) -> int:
    """`width` bits of 2/pi, from the one at `start` behind the point on."""
    return (TWO_OVER_PI >> (BITS - start - width)) & ((1 << width) - 1)


def modulo_4(k: Scalars, x: Value) -> Value:
    """x less the nearest multiple of 4, exactly."""
    return k.fma(k.op("rint", x * 0.25), -4.0, x)


def reduce32(k: Scalars, x: Value) -> Pair:
    """(q, r) of a float32 held in a float64. Parts are added from the largest down, so that what cancels cancels exactly."""
    width = 29
    chunks = [chunk(i * width, width) * 2.0 ** (-width * (i + 1)) for i in range(7)]
    parts = [modulo_4(k, x * c) for c in chunks[:4]] + [x * chunks[4]]  # the fifth is less than 2^12
    total = parts[0]
    for p in parts[1:]:
        total = total + p
    q = k.op("rint", total)
    r = parts[0] - q
    for p in parts[1:]:
        r = r + p
    return q, r + k.fma(x, chunks[6], x * chunks[5])


def reduce64(k: Scalars, x: Value) -> tuple[Value, Value, Value]:
    """(q, y, low) of x >= 0, where y + low is r * pi/2."""
    width = 53
    row = [k.const(chunk(i * width, width) * 2.0**-width, x.dtype) for i in range(23)]
    for shift in (16, 8, 4, 2, 1):  # the first n chunks only give multiples of 4 where x >= 2^(n*width + 54)
        far = x >= 2.0 ** (shift * width + 54)
        x = x * k.select(far, k.const(2.0 ** (-shift * width), x.dtype), 1.0)
        kept = 5 + shift - 1
        row = [k.select(far, row[i + shift], row[i]) if i + shift < len(row) else row[i] for i in range(kept)]
    products: list[Value] = []
    for c in row:
        products += two_product(k, x, c)
        x = x * 2.0**-width
    a, b, c = (modulo_4(k, p) for p in products[:3])
    d, e, f, g = products[3:7]
    q = k.op("rint", (a + b) + (c + d) + e)
    total, low = fast_two_sum(k, a - q, b)
    total, rest = two_sum(k, total, c)
    low = low + rest
    total, rest = fast_two_sum(k, total, d)
    low = low + rest
    total, rest = two_sum(k, total, e)
    low = low + rest
    total, rest = fast_two_sum(k, total, f)
    low = low + rest
    total, rest = two_sum(k, total, g)
    r, low = fast_two_sum(k, total, (low + rest) + (products[7] + products[8]))
    y, rest = two_product(k, r, HALF_PI[0])
    return q, y, rest + k.fma(r, HALF_PI[1], low * HALF_PI[0])


def sine_cosine32(k: Scalars, x: Value) -> tuple[Value, Value, Value]:
    """(m, sin(y), cos(y)) in float64, where |x| = y + m * pi/2 and only the lowest two bits of m count."""
    q, r = reduce32(k, k.cast(abs(x), t.float64))
    z = r * r
    return bits(k, q + layout(q).rounder), r * polynomial(k, z, SINE32), polynomial(k, z, (1.0, *COSINE32))


def sine_cosine64(k: Scalars, x: Value) -> tuple[Value, Pair, Pair]:
    """The same for float64, as pairs."""
    q, y, low = reduce64(k, abs(x))
    z = y * y
    sine = fast_two_sum(k, y, k.fma(z * y, polynomial(k, z, SINE64), k.fma(z * -0.5, low, low)))
    whole = k.fma(z, -0.5, 1.0)
    rest = k.fma(z, -0.5, 1.0 - whole)
    cosine = fast_two_sum(k, whole, rest + k.fma(z * z, polynomial(k, z, COSINE64), -(y * low)))
    return bits(k, q + layout(q).rounder), sine, cosine


def sine_cosine(k: Scalars, x: Value) -> tuple[Value, Value, Value]:
    if x.dtype == t.float32:
        return sine_cosine32(k, x)
    m, sine, cosine = sine_cosine64(k, x)
    return m, sine[0], cosine[0]


def _oriented(k: Scalars, m: Value, even: Value, odd: Value, dtype: t.DType) -> Value:
    """`even` or `odd` by the lowest bit of m, negated where the second lowest is set."""
    chosen = k.select((m & 1) != 0, odd, even)
    flipped = k.bitcast(bits(k, chosen) ^ ((m & 2) << 62), chosen.dtype)
    return k.cast(flipped, dtype)


def _negated_with(k: Scalars, value: Value, x: Value) -> Value:
    """The value, negated where x is negative."""
    return k.bitcast(bits(k, value) ^ (bits(k, x) & layout(x).sign), value.dtype)


def sin(k: Scalars, x: Value) -> Value:
    m, sine, cosine = sine_cosine(k, x)
    result = _negated_with(k, _oriented(k, m, sine, cosine, x.dtype), x)
    return k.select(abs(x) < 2.0 ** (-layout(x).mantissa // 2 - 1), x, result)


def cos(k: Scalars, x: Value) -> Value:
    m, sine, cosine = sine_cosine(k, x)
    return _oriented(k, m + 1, sine, cosine, x.dtype)


def tan(k: Scalars, x: Value) -> Value:
    """sin / cos, or -cos / sin in odd quarters."""
    if x.dtype == t.float32:
        m, sine, cosine = sine_cosine32(k, x)
        odd = (m & 1) != 0
        size = k.cast(k.select(odd, cosine, sine) / k.select(odd, -sine, cosine), x.dtype)
    else:
        m, (sine, sine_low), (cosine, cosine_low) = sine_cosine64(k, x)
        odd = (m & 1) != 0
        top, bottom = k.select(odd, cosine, sine), k.select(odd, sine, cosine)
        inverse = 1.0 / bottom
        ratio = top * inverse
        missed = k.select(odd, cosine_low, sine_low) - ratio * k.select(odd, sine_low, cosine_low)
        ratio = k.fma(k.fma(-ratio, bottom, top) + missed, inverse, ratio)
        size = k.select(odd, -ratio, ratio)
    return k.select(abs(x) < 2.0 ** (-layout(x).mantissa // 2 - 1), x, _negated_with(k, size, x))
