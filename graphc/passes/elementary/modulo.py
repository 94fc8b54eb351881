"""C's fmod, exact for all floats: what is left of a when the multiples of b towards zero are taken off.

    r - rint(r / b) * b        is exact with fma, where the quotient, nearly r / b, is off by less than one half

float32 takes off the multiples of 2^240 * b, 2^192 * b, ... 2^48 * b, b in turn, in float64. float64 would need 42 such steps.
There a = A * 2^e * 2^x and b = B * 2^x with whole A and B of 53 bits, and 2^e mod B comes from squaring six times, as in modular
exponentiation (Knuth, TAOCP 2, 4.6.3). Residues lie in -B/2 .. B/2, so that quotients of products have at most 51 bits.
"""

from __future__ import annotations

import math

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.pieces import bits, layout, nan, two_product, with_sign

STEP = 48  # bits of a quotient
SQUARINGS = 6
WHOLE = 1023 + 52  # the biased exponent of numbers that are whole, with 53 bits


def fmod(k: Scalars, a: Value, b: Value) -> Value:
    """The remainder with the sign of a; a itself where b is infinite; NaN where a is infinite or b is 0."""
    x, y = abs(a), abs(b)
    if a.dtype == t.float32:
        left = k.cast(_wide(k, k.cast(x, t.float64), k.cast(y, t.float64)), a.dtype)
        left = k.select(y == math.inf, x, left)
    else:
        left = _whole(k, x, y)
    wrong = (x == math.inf) | (y == 0.0) | (x != x) | (y != y)
    return with_sign(k, k.select(wrong, nan(k, a), left), a)


def _wide(k: Scalars, x: Value, y: Value) -> Value:
    """x mod y for float32 numbers held in float64: their quotient is below 2^277."""
    inverse = 1.0 / y
    for shift in range(5 * STEP, -1, -STEP):
        quotient = k.op("rint", x * (inverse * 2.0**-shift))
        x = k.fma(-quotient, y * 2.0**shift, x)
    return k.select(x < 0.0, x + y, x)


def _whole(k: Scalars, x: Value, y: Value) -> Value:
    """x mod y in float64."""
    form = layout(x)
    tiny = y < form.tiny
    high, a = _parts(k, x, x < form.tiny)
    low, b = _parts(k, y, tiny)
    gap = high - low
    inverse = 1.0 / b

    def near(v: Value) -> Value:
        return k.fma(-k.op("rint", v * inverse), b, v)

    def product(v: Value, w: Value) -> Value:
        head, tail = two_product(k, v, w)
        return near(near(head) + tail)  # only a residue has room for the tail

    power = k.bitcast(((gap >> SQUARINGS) + form.bias) << form.mantissa, x.dtype)
    for i in reversed(range(SQUARINGS)):
        head, tail = two_product(k, power, power)
        once = near(head) + tail
        power = near(once * k.select((gap & (1 << i)) != 0, k.const(2.0, x.dtype), 1.0))
    left = product(near(a), power)
    left = k.select(left < 0.0, left + b, left)
    scale = k.bitcast((bits(k, k.select(tiny, y * 2.0**54, y)) >> form.mantissa) << form.mantissa, x.dtype)
    left = left * 2.0**-form.mantissa * scale * k.select(tiny, k.const(2.0**-54, x.dtype), 1.0)
    return k.select(x < y, x, left)


def _parts(k: Scalars, x: Value, tiny: Value) -> tuple[Value, Value]:
    """The exponent of x > 0, which may be tiny, and its mantissa as a whole number."""
    form = layout(x)
    raw = bits(k, k.select(tiny, x * 2.0**54, x))
    exponent = (raw >> form.mantissa) - k.select(tiny, k.const(54, form.integer), 0)
    return exponent, k.bitcast((raw & form.fraction) | (WHOLE << form.mantissa), x.dtype)
