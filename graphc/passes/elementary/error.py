"""The error function erf, its complement erfc, and its inverse erfinv.

erf:
    |x| small    x + x * P(x^2)
    float32      1 - p(|x|)^4, where p approximates the fourth root of erfc: far out, a rough p is enough
    float64      1 - exp(-x^2) * p((|x| - 2) / (|x| + 2)), where p approximates exp(x^2) * erfc(x) as closely as is needed

erfc:
    |x| small    1 - erf(x), without rounding that
    |x| large, from which -|x| follows
                 exp(-x^2) * p(v) / (1 + 2|x|), where p, close to 1, is a polynomial in v = (|x| - a) / (|x| + a)
                 (M. Shepherd, J. Laframboise, "Chebyshev approximation of (1 + 2x)exp(x^2)erfc x in 0 <= x < inf", 1981)

erfinv:
    |x| <= 0.9   x * p(-log(1 - x^2))    (M. Giles, "Approximating the erfinv function", 2010)
    |x| > 0.9    s * p((s - 2.5) / (s + 2.5)), where s = sqrt(-log(1 - |x|))

The weight of an error of a polynomial is that with which it counts in the result.
"""

from __future__ import annotations

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.exponential import exp_pair, half_power, less_one, reduce, scaled
from graphc.passes.elementary.logarithm import logarithm, split
from graphc.passes.elementary.pieces import at_most, fast_two_sum, infinity, nan, polynomial, two_product, with_sign

CENTRE32 = (-0.37612563371658325, 0.11282455176115036, -0.02678843028843403, 0.005024324636906385, -0.0006147978128865361)
TAIL32 = (
    0.9998006224632263, -0.28066813945770264, -0.12388142198324203, 0.02378482185304165, 0.008736258372664452,
    0.0066865235567092896, -0.006242470815777779, 0.001769782043993473, -0.00022799510043114424, 1.1541198546183296e-05,
)  # fmt: skip
CENTRE64 = (
    -0.3761263890318375, 0.1128379167095493, -0.02686617064508449, 0.005223977624882046, -0.0008548326984101801,
    0.0001205533122003118, -1.4925597673537125e-05, 1.6461036566495831e-06, -1.635067323332097e-07, 1.466207557422755e-08,
    -1.1381325697266228e-09, 5.970902201764363e-11,
)  # fmt: skip
TAIL64 = (
    0.25539567631050575, -0.4271858474139568, 0.2416581942424688, -0.0789785810164159, 0.0037328923985383254,
    0.006997461785671603, -0.0008471425904185095, -0.0009819764793032517, 4.353615926126538e-05, 0.00017428846674833295,
    2.7623178179290078e-05, -2.6611490913708718e-05, -1.2644102003689164e-05,
)  # fmt: skip
COMPLEMENT32 = (
    1.2530080591489763, -0.13562113954110278, -0.04756240240864799, 0.129646420154562, -0.11927092297343608,
    0.06829576159017665, -0.023797824756309396, 0.002567141481158703, 0.0020022650547443913, -0.0007768624383264296,
    -0.00026785095076490797,
)  # fmt: skip  # a = 3
COMPLEMENT64 = (
    1.2329951186255526, -0.1396211168405629, 0.015379652102619693, 0.06809705425473714, -0.10103906603629692,
    0.09373283499680793, -0.0663303658126621, 0.037167515562050245, -0.016197734047259466, 0.005031969762400449,
    -0.0007577734128050783, -0.00019925555852898748, 0.00015062250434281962, -2.440293752661101e-05, -1.1225365341109338e-05,
    5.717255688006165e-06, 3.0207644681309857e-07, -8.341437282181629e-07, 6.230314750716694e-08, 1.144540497809182e-07,
    -7.769277245610288e-09, -1.3339880109381468e-08, -1.70296066814871e-09,
)  # fmt: skip  # a = 4
INVERSE32 = (
    0.8862269252679995, 0.23201368038869163, 0.011549171946666317, -0.0023343112209429275, -0.00012982245252971748,
    4.872307497639368e-05, 7.308537071048237e-07, -7.04170490712027e-07,
)  # fmt: skip
INVERSE64 = (
    0.886226925452758, 0.23201366653465114, 0.01154934203840208, -0.0023351016436375235, -0.00012804327792512732,
    4.661136158453922e-05, 2.0202350491150132e-06, -1.0130757634691774e-06, -3.652745855380633e-08, 2.2000318978186203e-08,
    1.3247852384944254e-09, -8.007998911960764e-10, 6.718148657798527e-11, 8.168134776013068e-14,
)  # fmt: skip
INVERSE_TAIL32 = (
    0.8770183686560299, 0.33993052788740014, -0.3864198674414117, 0.2671298404270585, -0.11559377437530899,
    -0.017952659244208413, 0.09784564987454354, -0.12157272772298366, 0.08479995362899401,
)  # fmt: skip
INVERSE_TAIL64 = (
    0.8770183687247652, 0.3399305171789803, -0.38641991679486254, 0.26713234959563764, -0.11558793672907344,
    -0.01811268814156302, 0.09760029225307147, -0.11768763518926166, 0.08894096034457705, -0.034821653894145516,
    -0.020395260962684646, 0.056871021566406284, -0.06561252681820313, 0.0483558731439375, -0.015790046535307085,
    -0.01810569053920218, 0.040302016089794473, -0.04271153323847691, 0.027044485221016906, -0.008092817319954499,
)  # fmt: skip
SLOPE = 1.1283791670955126  # 2 / sqrt(pi)


def erf(k: Scalars, x: Value) -> Value:
    z = x * x
    if x.dtype == t.float32:
        size = at_most(k, abs(x), 4.0)
        root = k.fma(size, polynomial(k, size, TAIL32[1:]), TAIL32[0])
        square = root * root
        tail = k.fma(-square, square, 1.0)
        centre = k.fma(x, polynomial(k, z, (SLOPE - 1.0, *CENTRE32)), x)
        return k.select(abs(x) < 0.9, centre, with_sign(k, tail, x))
    size = at_most(k, abs(x), 6.0)
    m, r = reduce(k, -(size * size))
    twice = k.fma(less_one(k, r), 2.0, 2.0)
    v = (size - 2.0) / (size + 2.0)
    tail = k.fma(twice * half_power(k, m, x), -polynomial(k, v, TAIL64), 1.0)
    centre = k.fma(x, polynomial(k, z, (SLOPE - 1.0, *CENTRE64)), x)
    return k.select(abs(x) < 1.0, centre, with_sign(k, tail, x))


def erfc(k: Scalars, x: Value) -> Value:
    if x.dtype == t.float32:
        size = k.cast(at_most(k, abs(x), 10.5), t.float64)
        m, r = reduce(k, -(size * size))
        power = k.fma(less_one(k, r), 2.0, 2.0) * half_power(k, m, size)
        result = power * polynomial(k, (size - 3.0) / (size + 3.0), COMPLEMENT32) / (size + size + 1.0)
        return k.cast(k.select(x < 0.0, -result + 2.0, result), x.dtype)
    size = at_most(k, abs(x), 27.3)
    square, square_low = two_product(k, size, size)
    m, high, low = exp_pair(k, -square, -square_low)
    v = (size - 4.0) / (size + 4.0)
    top, top_low = fast_two_sum(k, COMPLEMENT64[0], v * polynomial(k, v, COMPLEMENT64[1:]))
    below, below_low = fast_two_sum(k, 1.0, size + size)
    inverse = 1.0 / below
    ratio = top * inverse
    ratio_low = (k.fma(-ratio, below, top) + k.fma(-ratio, below_low, top_low)) * inverse
    twice = k.fma(high, ratio, k.fma(high, ratio_low, low * ratio)) * 2.0
    power, rest = scaled(k, m, size > 26.0, x)
    result = twice * power * rest
    result = k.select(x < 0.0, -result + 2.0, result)
    less, less_low = fast_two_sum(k, 1.0, -x)
    centre = less + k.fma(-x, polynomial(k, x * x, (SLOPE - 1.0, *CENTRE64)), less_low)
    return k.select(abs(x) < 0.75, centre, result)


def erfinv(k: Scalars, x: Value) -> Value:
    if x.dtype == t.float32:
        return k.cast(_inverse(k, k.cast(x, t.float64), INVERSE32, INVERSE_TAIL32), x.dtype)
    return _inverse(k, x, INVERSE64, INVERSE_TAIL64)


def _inverse(k: Scalars, x: Value, centre: tuple[float, ...], tail: tuple[float, ...]) -> Value:
    size = abs(x)
    far = size > 0.9
    left = k.select(far, -size + 1.0, k.fma(-x, x, 1.0))
    level = -logarithm(k, *split(k, left, normal=True))
    s = k.op("sqrt", k.select(far, level, 1.0))
    result = k.select(far, s * polynomial(k, (s - 2.5) / (s + 2.5), tail), size * polynomial(k, level, centre))
    result = k.select(size < 1.0, result, k.select(size == 1.0, infinity(k, x), nan(k, x)))
    return with_sign(k, result, x)
