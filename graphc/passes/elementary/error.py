"""The error function.

    |x| small    x + x * P(x^2)
    float32      1 - p(|x|)^4, where p approximates the fourth root of erfc: far out, a rough p is enough
    float64      1 - exp(-x^2) * p((|x| - 2) / (|x| + 2)), where p approximates exp(x^2) * erfc(x) as closely as is needed

Minimax polynomials, found by the Remez algorithm in 180-bit arithmetic, with the weight with which their errors count.
"""

from __future__ import annotations

from graphc.ir import types as t
from graphc.ir.scalar import Scalars, Value
from graphc.passes.elementary.exponential import half_power, less_one, reduce
from graphc.passes.elementary.pieces import at_most, polynomial, with_sign

CENTRE32 = (-0.37612563371658325, 0.11282455921173096, -0.02678845264017582, 0.0050243497826159, -0.0006148068350739777)
TAIL32 = (
    0.9998006224632263, -0.280668169260025, -0.12388135492801666, 0.023784734308719635, 0.00873632077127695,
    0.0066864993423223495, -0.006242468021810055, 0.0017697833245620131, -0.0002279956388520077, 1.1541256753844209e-05,
)  # fmt: skip
CENTRE64 = (
    -0.3761263890318375, 0.1128379167095493, -0.026866170645084498, 0.0052239776248821, -0.0008548326984104609,
    0.00012055331220126274, -1.492559767571004e-05, 1.6461036600268098e-06, -1.6350673584663026e-07, 1.466207791026448e-08,
    -1.1381334650998294e-09, 5.970917222937048e-11,
)  # fmt: skip
TAIL64 = (
    0.25539567631050575, -0.4271858474139568, 0.24165819424246882, -0.07897858101641558, 0.0037328923985387785,
    0.006997461785659761, -0.0008471425904701343, -0.0009819764793469951, 4.353615920146517e-05, 0.00017428846657889695,
    2.762318301457158e-05, -2.6611470364802873e-05, -1.2644079369645497e-05,
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
