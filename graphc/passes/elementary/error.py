"""The error function.

    |x| small    x + x * P(x^2)
    float32      1 - p(|x|)^4, where p approximates the fourth root of erfc: far out, a rough p is enough
    float64      1 - exp(-x^2) * p((|x| - 2) / (|x| + 2)), where p approximates exp(x^2) * erfc(x) as closely as is needed

The weight of an error of a polynomial is that with which it counts in the result.
"""

from __future__ import annotations

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.exponential import half_power, less_one, reduce
from graphc.passes.elementary.pieces import at_most, polynomial, with_sign

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
SLOPE = 1.1283791670955126  # 2 / sqrt(pi)


def erf(k: Scalars, x: Value) -> Value:
    z = x * x
    if x.dtype == t.float32:
        size = at_most(k, abs(x), 4.0)
        root = polynomial(k, size, TAIL32)
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
