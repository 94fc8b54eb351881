"""Transcendental functions of single elements: exponentials, logarithms, trigonometry, erf, lgamma and their kin.

The references are NumPy's. What NumPy lacks is written here, independently of the code that is compiled: erf, sigmoid and
softplus in NumPy, the others in float64 with Python's `math`, one element after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import InputError, caller
from graphc.ir import types as t
from graphc.ir.graph import Node
from graphc.ops.declare import Op, always, as_option, elementwise, numeric, of_all, promote_operands, to_float
from graphc.ops.declare import weak as weak_number
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]


def _float(name: str, reference: Any, vjp: Any, domain: tuple[float, float] = (-3.0, 3.0), doc: str = "") -> Op:
    return elementwise(name, dtype=to_float, reference=reference, scalar=name + "({0})", vjp=vjp, domain=domain, doc=doc)


exp = _float("exp", np.exp, lambda g, y, x: (g * y,), doc="e to the power x.")
exp2 = _float("exp2", np.exp2, lambda g, y, x: (g * y * math.log(2),), doc="2 to the power x.")
expm1 = _float("expm1", np.expm1, lambda g, y, x: (g * (y + 1),), doc="exp(x) - 1, exact near 0.")
log = _float("log", np.log, lambda g, y, x: (g / x,), (0.1, 5), doc="The natural logarithm; NaN below 0.")
log2 = _float("log2", np.log2, lambda g, y, x: (g / (x * math.log(2)),), (0.1, 5), doc="The logarithm to base 2.")
log10 = _float("log10", np.log10, lambda g, y, x: (g / (x * math.log(10)),), (0.1, 5), doc="The logarithm to base 10.")
log1p = _float("log1p", np.log1p, lambda g, y, x: (g / (x + 1),), (-0.8, 5), doc="log(1 + x), exact near 0.")
sin = _float("sin", np.sin, lambda g, y, x: (g * cos(x),), doc="The sine of x in radians.")
cos: Op = _float("cos", np.cos, lambda g, y, x: (-g * sin(x),), doc="The cosine of x in radians.")
tan = _float("tan", np.tan, lambda g, y, x: (g * (1 + y * y),), (-1.2, 1.2), doc="The tangent of x in radians.")
asin = _float(
    "asin",
    np.arcsin,
    lambda g, y, x: (g / sqrt((1 - x) * (1 + x)),),
    (-0.9, 0.9),
    doc="The angle in radians, from -pi/2 to pi/2, whose sine is x.",
)
acos = _float(
    "acos",
    np.arccos,
    lambda g, y, x: (-g / sqrt((1 - x) * (1 + x)),),
    (-0.9, 0.9),
    doc="The angle in radians, from 0 to pi, whose cosine is x.",
)
atan = _float(
    "atan", np.arctan, lambda g, y, x: (g / (1 + x * x),), doc="The angle in radians, from -pi/2 to pi/2, whose tangent is x."
)
sinh = _float("sinh", np.sinh, lambda g, y, x: (g * cosh(x),), doc="The hyperbolic sine.")
cosh: Op = _float("cosh", np.cosh, lambda g, y, x: (g * sinh(x),), doc="The hyperbolic cosine.")
tanh = _float("tanh", np.tanh, lambda g, y, x: (g * (1 - y * y),), doc="The hyperbolic tangent.")
asinh = _float("asinh", np.arcsinh, lambda g, y, x: (g / sqrt(x * x + 1),), doc="The inverse of sinh.")
acosh = _float(
    "acosh", np.arccosh, lambda g, y, x: (g / (sqrt(x - 1) * sqrt(x + 1)),), (1.2, 5), doc="The inverse of cosh, from 1 on."
)
atanh = _float(
    "atanh", np.arctanh, lambda g, y, x: (g / ((1 - x) * (1 + x)),), (-0.9, 0.9), doc="The inverse of tanh, from -1 to 1."
)
cbrt = elementwise(
    "cbrt", dtype=to_float, reference=np.cbrt, scalar="cbrt({0})", vjp=lambda g, y, x: (g / (3 * y * y),), domain=(0.2, 5),
    level=of_all, root=True, doc="The cube root.",
)  # fmt: skip


def sqrt(x: TensorLike) -> Tensor:
    return ops.sqrt(x)


atan2 = elementwise(
    "atan2", dtype=to_float, reference=np.arctan2, scalar="atan2({0}, {1})",
    vjp=lambda g, y, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b)),
    doc="The angle in radians of the point (b, a), from -pi to pi.",
)  # fmt: skip
hypot = elementwise(
    "hypot",
    dtype=to_float,
    reference=np.hypot,
    scalar="hypot({0}, {1})",
    vjp=lambda g, y, a, b: (where(y == 0, 0, g * a / y), where(y == 0, 0, g * b / y)),
    level=always,
    doc="sqrt(a*a + b*b) without overflow.",
)


# --- erf, sigmoid, softplus ------------------------------------------------------------------------------------------

# Rational approximations of W. J. Cody, "Rational Chebyshev approximation for the error function", Math. Comp. 23 (1969),
# in the arrangement and with the coefficients of Sun's fdlibm s_erf.c (freely distributable).
_ERF = {
    "pp": (1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02, -5.77027029648944159157e-03,
           -2.37630166566501626084e-05),
    "qq": (1.0, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03, 1.32494738004321644526e-04,
           -3.96022827877536812320e-06),
    "pa": (-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01, 3.18346619901161753674e-01,
           -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03),
    "qa": (1.0, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02, 1.26171219808761642112e-01,
           1.36370839120290507362e-02, 1.19844998467991074170e-02),
    "ra": (-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e01, -6.23753324503260060396e01,
           -1.62396669462573470355e02, -1.84605092906711035994e02, -8.12874355063065934246e01, -9.81432934416914548592e00),
    "sa": (1.0, 1.96512716674392571292e01, 1.37657754143519042600e02, 4.34565877475229228821e02, 6.45387271733267880336e02,
           4.29008140027567833386e02, 1.08635005541779435134e02, 6.57024977031928170135e00, -6.04244152148580987438e-02),
    "rb": (-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e01, -1.60636384855821916062e02,
           -6.37566443368389627722e02, -1.02509513161107724954e03, -4.83519191608651397019e02),
    "sb": (1.0, 3.03380607434824582924e01, 3.25792512996573918826e02, 1.53672958608443695994e03, 3.19985821950859553908e03,
           2.55305040643316442583e03, 4.74528541206955367215e02, -2.24409524465858183362e01),
}  # fmt: skip
_ERX = 8.45062911510467529297e-01


def _poly(z: Array, name: str) -> Array:
    total = np.zeros_like(z)
    for c in reversed(_ERF[name]):
        total = total * z + c
    return total


def erf_reference(x: Array) -> Array:
    """The error function, in float64 inside; error below 1 ulp."""
    with np.errstate(all="ignore"):
        wide = np.asarray(x, np.float64)
        a = np.minimum(np.abs(wide), 6.0)
        z = wide * wide
        small = wide + wide * (_poly(z, "pp") / _poly(z, "qq"))
        s = a - 1.0
        middle = _ERX + _poly(s, "pa") / _poly(s, "qa")
        s = 1.0 / (a * a)
        ratio = np.where(a < 1 / 0.35, _poly(s, "ra") / _poly(s, "sa"), _poly(s, "rb") / _poly(s, "sb"))
        head = (a.view(np.int64) & np.int64(-0x100000000)).view(np.float64)  # exp(-a*a) from a's upper half, exactly squared
        tail = 1.0 - np.exp(-head * head - 0.5625) * np.exp((head - a) * (head + a) + ratio) / a
        large = np.copysign(np.where(a < 1.25, middle, tail), wide)
        result = np.where(np.abs(wide) < 0.84375, small, large)
        return np.asarray(np.where(np.isnan(wide), wide, result).astype(np.asarray(x).dtype))


def sigmoid_reference(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    with np.errstate(over="ignore", under="ignore"):
        e = np.exp(-np.abs(x))
        return np.asarray(np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype))


def softplus_reference(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    with np.errstate(under="ignore"):
        return np.asarray(np.log1p(np.exp(-np.abs(x))) + np.where(x > 0, x, np.where(np.isnan(x), x, 0)))


erf = _float(
    "erf",
    erf_reference,
    lambda g, y, x: (g * exp(-x * x) * (2 / math.sqrt(math.pi)),),
    doc="The error function, 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x.",
)
sigmoid = _float("sigmoid", sigmoid_reference, lambda g, y, x: (g * y * (1 - y),), doc="1 / (1 + exp(-x)).")
softplus = _float("softplus", softplus_reference, lambda g, y, x: (g * sigmoid(x),), doc="log(1 + exp(x)).")


# --- erfc, erfinv, lgamma, digamma ---------------------------------------------------------------------------------


def _one_by_one(function: Callable[[float], float]) -> Callable[[Array], Array]:
    """A function of arrays from one of Python floats."""

    def reference(x: Array) -> Array:
        values = [function(v) for v in np.asarray(x, np.float64).ravel().tolist()]
        with np.errstate(over="ignore", under="ignore"):
            return np.array(values, np.float64).reshape(np.shape(x)).astype(x.dtype)

    return reference


def _erfinv(x: float) -> float:
    """The quantile of the normal distribution, and Newton steps on what keeps its digits: erf near 0, erfc near 1."""
    if not abs(x) < 1 or x == 0:
        return x if x == 0 else math.copysign(math.inf, x) if abs(x) == 1 else math.nan
    size = abs(x)
    small = size < 0.5
    y = size * math.sqrt(math.pi) / 2 * (1 + math.pi / 12 * size * size)
    if not small:
        y = -NormalDist().inv_cdf((1 - size) / 2) / math.sqrt(2)
    for _ in range(4 if small else 1):
        missed = math.erf(y) - size if small else (1 - size) - math.erfc(y)
        y -= missed * math.sqrt(math.pi) / 2 * math.exp(y * y)
    return math.copysign(y, x)


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole, or a value beyond the largest number
        return math.inf


# Bernoulli numbers B(2k) / 2k: digamma(x) ~ log(x) - 1/(2x) - sum of B(2k) / (2k * x^2k), Abramowitz and Stegun 6.3.18
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def _digamma(x: float) -> float:
    """Stirling's series from 10 on; below, steps of one; below 0, Euler's reflection."""
    if x == 0:
        return -math.copysign(math.inf, x)
    if x < 0:
        r = x - round(x) if x > -(2.0**52) else 0.0
        return math.nan if r == 0 else _digamma(1 - x) - math.pi / math.tan(math.pi * r)
    steps = 0.0
    while x < 10:
        steps += 1 / x if x > 1e-308 else math.inf
        x += 1
    return math.log(x) - 0.5 / x - sum(c * (1 / x) ** (2 * i + 2) for i, c in enumerate(_DIGAMMA)) - steps


erfc = _float(
    "erfc",
    _one_by_one(math.erfc),
    lambda g, y, x: (-g * exp(-x * x) * (2 / math.sqrt(math.pi)),),
    doc="1 - erf(x), exact where erf(x) is close to 1.",
)
erfinv = _float(
    "erfinv",
    _one_by_one(_erfinv),
    lambda g, y, x: (g * exp(y * y) * (math.sqrt(math.pi) / 2),),
    (-0.9, 0.9),
    doc="The inverse of erf, from -1 to 1.",
)
lgamma = _float(
    "lgamma",
    _one_by_one(_lgamma),
    lambda g, y, x: (g * digamma(x),),
    (0.3, 5),
    doc="The logarithm of the absolute value of the gamma function.",
)
digamma: Op = _float(
    "digamma",
    _one_by_one(_digamma),
    lambda g, y, x: (g * polygamma(1, x),),
    (0.3, 5),
    doc="The derivative of lgamma; NaN at the negative integers.",
)


def polygamma(n: int, x: TensorLike) -> Tensor:
    """The derivative of order n of digamma.

    n: a Python integer from 0 to 100. x: numbers of any shape. Ten steps of one bring x to where Stirling's series holds
    (Abramowitz and Stegun 6.4.6 and 6.4.11), and Euler's reflection serves below 0 (6.4.7); the error is some units in the last
    place. At 0, -1, -2, ... and at -inf it is inf for an odd n, -inf for an even one, as scipy's. The gradient follows from
    these parts.

    >>> import graphc as gx
    >>> gx.polygamma(1, gx.constant([1.0, 2.0])).eval().round(6)
    array([1.644934, 0.644934])
    """
    n = as_option(n)
    if type(n) is not int or n < 0:
        raise InputError(f"polygamma: the order must be an integer of at least 0, got {n!r}", where=caller())
    if n > 100:
        raise InputError(f"polygamma: the order {n} is too large", where=caller(), hint="at most 100: factorials overflow")
    if n == 0:
        return digamma(x)
    (x,), _ = promote_operands("polygamma", [x], to_float)
    below = x <= 0
    value = _polygamma(n, ops.where(below, 1 - x, x))
    return ops.where(below, _reflected(n, x, value), value)


def _polygamma(n: int, x: Tensor) -> Tensor:
    """The derivative of order n of digamma, for x > 0."""
    far = x + 10.0
    total = math.factorial(n - 1) * _power(far, -n) + math.factorial(n) / 2 * _power(far, -n - 1)
    for i, c in enumerate(_DIGAMMA):  # the derivatives of x^-2k
        k = 2 * i + 2
        total = total + c * math.perm(k + n - 1, n) * _power(far, -k - n)
    for step in range(10):
        total = total + math.factorial(n) * _power(x + float(step), -n - 1)
    return total if n % 2 else -total


def _reflected(n: int, x: Tensor, mirrored: Tensor) -> Tensor:
    """The same for x <= 0, from its value at 1 - x: (-1)^n times that, less pi times the derivative of order n of cot(pi x).

    That derivative is pi^n p(cot(pi x)); p is x for n = 0, and each further one is -(1 + x^2) times the derivative of the last.
    """
    r = x - ops.round(x)
    size = ops.abs(r)
    pole = ops.equal(r, 0) | ops.isinf(x)
    near = ops.where(pole, 0.25, size)
    c = ops.where(near <= 0.25, 1 / tan(math.pi * near), tan(math.pi * (0.5 - near))) * ops.sign(r)
    powers = [0, 1]
    for _ in range(n):
        slope = [i * p for i, p in enumerate(powers)][1:]
        powers = [-(a + b) for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    parity = (n + 1) % 2
    total = ops.zeros_like(c)
    for p in reversed(powers[parity::2]):
        total = total * (c * c) + float(p)
    total = (total * c if parity else total) * math.pi ** (n + 1)
    return ops.where(pole, math.inf if n % 2 else -math.inf, (-1) ** n * mirrored - total)


def _power(x: Tensor, n: int) -> Tensor:
    """x to a negative whole power."""
    inverse = 1 / x
    result = inverse
    for _ in range(-n - 1):
        result = result * inverse
    return result


# --- powers ----------------------------------------------------------------------------------------------------------


def _pow_reference(a: Array, b: Array) -> Array:
    """NumPy's power; an integer to a negative power, which NumPy refuses, is the exact value truncated."""
    with np.errstate(all="ignore"):
        if a.dtype.kind == "f" or a.dtype.kind == "u":
            return np.asarray(np.power(np.atleast_1d(a), np.atleast_1d(b))).reshape(np.shape(a))  # 0-d exponents are other code
        up = np.power(a, np.maximum(b, 0))
        down = np.where(a == 1, 1, np.where(a == -1, 1 - 2 * (b & 1), 0)).astype(a.dtype)
        return np.where(b < 0, down, up)


def _pow_gradient(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    zero = ops.zeros_like(g)
    one = ops.ones_like(g)
    left = where(b == 0, zero, b * pow_(a, where(b == 0, one, b - 1)))
    right = where(a > 0, y * log(where(a > 0, a, one)), zero)
    return g * left, g * right


def _level_power(a: Tensor, b: Tensor) -> tuple[Node, ...] | None:
    value = None if b.inputs else b.attrs.get("value")
    if not isinstance(value, (int, float)) or value <= 0:
        return None
    return () if value % 2 == 0 else (a,)


def where(c: Tensor, a: TensorLike, b: TensorLike) -> Tensor:
    return ops.where(c, a, b)


pow_ = elementwise(
    "pow", dtype=numeric, reference=_pow_reference, scalar="pow({0}, {1})", vjp=_pow_gradient, domain=(0.2, 3),
    level=_level_power, root=True,
)  # fmt: skip


def pow(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 to the power x2. Fixed exponents 2, 3 and 4 are products; 1/2 of a float is a square root; -1 a reciprocal.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "float64")
    >>> print((x ** 2).op.name, (x ** 0.5).op.name)
    multiply sqrt
    """
    exponent = None if isinstance(x2, Tensor) else t.number_of(x2)
    if exponent is not None and not weak_number(x2) and isinstance(x1, Tensor) and not x1.dtype.is_bool:
        x1, x2 = promote_operands("pow", [x1, x2], numeric)[0][0], exponent  # NumPy's scalar has a type, and is a fixed number
    if exponent is not None and isinstance(x1, Tensor) and (x1.dtype.is_float or isinstance(x2, int)) and not x1.dtype.is_bool:
        x = x1
        if x2 == 2:
            return x * x
        if x2 == 3:
            return x * x * x
        if x2 == 4:
            square = x * x
            return square * square
        if x2 == 1:
            return x
        if x2 == 0.5:
            return sqrt(x)
        if x2 == -1 and x.dtype.is_float:
            return 1 / x
    return pow_(x1, x2)


def logaddexp(x1: TensorLike, x2: TensorLike) -> Tensor:
    """log(exp(x1) + exp(x2)) without overflow."""
    a, b = as_tensor(x1), as_tensor(x2)
    high = ops.maximum(a, b)
    gap = ops.where(a == b, 0.0, a - b)  # equal infinities have no difference
    return high + log1p(exp(-ops.abs(gap)))
