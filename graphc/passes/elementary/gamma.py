"""The logarithm of the gamma function, lgamma, and its derivative, digamma. float32 goes through float64.

x > 0:
    5.5 <= x      Stirling's series: (x - 1/2) * (log(x) - 1) + c + p(1/x^2) / x,  log(x) - 1/(2x) - p(1/x^2) / x^2
    1 <= x < 2.5  a polynomial times the factors of the zeros: (x - 1) * (x - 2) * p(x),  (x - zero) * p(x)
    elsewhere     moved there by gamma(x + 1) = x * gamma(x)

x < 0: Euler's reflections, gamma(x) * gamma(-x) = -pi / (x * sin(pi*x)) and digamma(1 - x) - digamma(x) = pi * cot(pi*x).
"""

from __future__ import annotations

import math

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.logarithm import logarithm, split
from graphc.passes.elementary.pieces import Pair, fast_two_sum, infinity, nan, polynomial, two_product, two_sum
from graphc.passes.elementary.power import log_pair

STIRLING = 5.5  # from where on the series holds
CENTRE = 1.75  # about which the polynomials are written
# (log(2*pi) - 1) / 2
CONSTANT = 0.4189385332046727
# Where digamma is 0, in two parts.
ZERO = (1.4616321449683622, 9.549995429965697e-17)

# lgamma(x) / ((x - 1) * (x - 2)) in powers of x - 1.75, for 1 <= x <= 2.5
LGAMMA = (
    0.4501393121092563, -0.11948158662524266, 0.04452044719851501, -0.0190539578302619, 0.008776370424803288,
    -0.004226194125140036, 0.0020955338949758414, -0.001060566094854274, 0.0005448967328727773, -0.0002831903478299035,
    0.00014851936734510437, -7.846414152177309e-05, 4.168877694742163e-05, -2.2267789513424037e-05, 1.2019675690195706e-05,
    -6.489158760826327e-06, 3.309052532166511e-06, -1.7650556950718764e-06, 1.3279416648430597e-06, -7.594983573215017e-07,
    -1.969262463887834e-08, 3.6350729955346434e-08, 2.7424738990787825e-07, -1.5848735801583333e-07,
)  # fmt: skip
# x * (lgamma(x) - (x - 1/2) * (log(x) - 1) - c) in powers of 1/x^2, for x >= 5.5
LGAMMA_STIRLING = (
    0.0833333333333306, -0.002777777775926801, 0.0007936503484194668, -0.0005951855615049204, 0.000838330909541904,
    -0.0017900564494321603, 0.0037384280499929002,
)  # fmt: skip
# sin(pi*r) / (pi*r) in powers of r^2, for |r| <= 1/2
SINE = (
    1.0, -1.6449340668482264, 0.8117424252833393, -0.1907518241214956, 0.02614784780554004, -0.0023460808953536566,
    0.0001484278408165773, -6.972097979159444e-06, 2.450275556229234e-07,
)  # fmt: skip
# digamma(x) / (x - zero) in powers of x - 1.75, for 1 <= x <= 2.5
DIGAMMA = (
    0.8581832171262995, -0.3262546278681058, 0.15712011335203538, -0.0822855863557632, 0.0447996544534867,
    -0.02489004848993444, 0.013985786156920468, -0.007910468750099734, 0.0044918142417199845, -0.0025566869225145247,
    0.0014573683952622074, -0.0008314931355236192, 0.00047472837119810475, -0.0002711169491802528, 0.00015458945476399725,
    -8.82729863615083e-05, 5.1407735147278696e-05, -2.9482580021171544e-05, 1.4470161412836861e-05, -8.07681648706606e-06,
    8.526992249390779e-06, -5.0864864606323515e-06, -1.2470917513960365e-06, 8.509626630228261e-07, 2.0816572273000617e-06,
    -1.2288675410076338e-06,
)  # fmt: skip
# x^2 * (log(x) - 1/(2x) - digamma(x)) in powers of 1/x^2, for x >= 5.5
DIGAMMA_STIRLING = (
    0.08333333333333165, -0.008333333331800192, 0.003968253474160098, -0.004166587801406345, 0.0075686338240367355,
    -0.020706668916473617, 0.07056365692163952, -0.18847988452567122,
)  # fmt: skip
# (1/r - pi * cot(pi*r)) / r in powers of r^2, for |r| <= 1/2
COTANGENT = (
    3.2898681336964533, 2.16464646742194, 2.0346861240317486, 2.0081547068987495, 2.001989423182358, 2.0004836307701277,
    2.0003019866109315, 1.9973985805561765, 2.0275574683316475, 1.7921219619226494, 3.1280250027473775, -2.327705446738052,
    13.289374068146426, -16.44005751707217, 17.35524418883878,
)  # fmt: skip

LARGEST = 2.559983327851639e305  # beyond it lgamma overflows
FLAT = 2.0**-60  # within it lgamma(x) is -log|x|


def lgamma(k: Scalars, x: Value) -> Value:
    """log|gamma(x)|: infinite at 0, -1, -2, ... and at both infinities."""
    if x.dtype == t.float32:
        return k.cast(lgamma(k, k.cast(x, t.float64)), x.dtype)
    size = abs(x)
    high, low = _positive_lgamma(k, size)
    r = size - k.op("rint", size)
    mirror = size * abs(r) * polynomial(k, r * r, SINE)  # |x * sin(pi*x)| / pi
    head, tail = log_pair(k, mirror)
    total, rest = two_sum(k, head, high)
    reflected = k.select(mirror == 0.0, infinity(k, x), -(total + (rest + (tail + low))))
    result = k.select((x < 0.0) & (size > FLAT), reflected, high + low)
    result = k.select((size < LARGEST) & (size > 0.0), result, infinity(k, x))
    return k.select(x == x, result, x)


def _positive_lgamma(k: Scalars, x: Value) -> Pair:
    one = k.const(1.0, x.dtype)
    large, small = x >= STIRLING, x < 1.0
    rise = k.select(x >= 2.5, x - 1.0, one) * k.select(x >= 3.5, x - 2.0, one) * k.select(x >= 4.5, x - 3.0, one)
    log, log_low = log_pair(k, k.select(large | small, x, rise))
    # the series
    less, less_low = fast_two_sum(k, log, -one)
    factor = x - 0.5
    head, tail = two_product(k, factor, less)
    inverse = 1.0 / x
    tail = tail + k.fma(factor, less_low + log_low, inverse * polynomial(k, inverse * inverse, LGAMMA_STIRLING))
    series, series_low = fast_two_sum(k, head, tail + CONSTANT)
    # the polynomial
    y = _moved(k, x)
    first, second = k.select(small, x, y - 1.0), k.select(small, x - 1.0, y - 2.0)
    near = first * second * polynomial(k, y - CENTRE, LGAMMA)
    sign = k.select(small, -one, one)
    total, rest = two_sum(k, log * sign, near)
    return k.select(large, series, total), k.select(large, series_low, k.fma(log_low, sign, rest))


def _moved(k: Scalars, x: Value) -> Value:
    """x, 0 < x < 5.5, moved by whole steps into 1 .. 2.5."""
    one, zero = k.const(1.0, x.dtype), k.const(0.0, x.dtype)
    steps = k.select(x >= 2.5, one, zero) + k.select(x >= 3.5, one, zero) + k.select(x >= 4.5, one, zero)
    return x - k.select(x < 1.0, -one, steps)


def digamma(k: Scalars, x: Value) -> Value:
    """The derivative of lgamma: -infinity at 0, infinity at -0, NaN at -1, -2, ... and -infinity."""
    if x.dtype == t.float32:
        return k.cast(digamma(k, k.cast(x, t.float64)), x.dtype)
    one, zero = k.const(1.0, x.dtype), k.const(0.0, x.dtype)
    negative = x < 0.0
    w = k.select(negative, -x + 1.0, x)
    large, small = w >= STIRLING, w < 1.0
    top, bottom = zero, one  # the sum of the reciprocals of the steps
    for start in (2.5, 3.5, 4.5):
        step = w - (start - 1.5)
        top, bottom = k.select(w >= start, k.fma(top, step, bottom), top), k.select(w >= start, bottom * step, bottom)
    top, bottom = k.select(large, -0.5 * one, top), k.select(large | small, w, bottom)
    fraction = k.select(small, -one, top) / bottom
    z = fraction * fraction * 4.0  # 1/w^2, for the series
    series = logarithm(k, *split(k, w, normal=True)) - z * polynomial(k, z, DIGAMMA_STIRLING)
    y = _moved(k, w)
    off = k.select(small, w - (ZERO[0] - 1.0), y - ZERO[0]) - ZERO[1]
    result = fraction + k.select(large, series, off * polynomial(k, y - CENTRE, DIGAMMA))
    r = k.op("rint", x) - x
    turn = 1.0 / r
    reflected = turn + k.fma(-r, polynomial(k, r * r, COTANGENT), result)
    result = k.select(negative, k.select(r == 0.0, nan(k, x), reflected), result)
    return k.select(abs(x) < math.inf, result, k.select(x > 0.0, x, nan(k, x)))
