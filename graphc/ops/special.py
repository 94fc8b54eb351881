"""Functions of single elements made of others: products with logarithms, the normal distribution, angles, and NaN left out.

Where the plain formula would lose digits or give NaN, the argument is replaced before it is used: gradients have no NaN either.
"""

from __future__ import annotations

import math
from typing import Any

from graphc import ops
from graphc.ops.custom import GradientRule, with_gradient
from graphc.ops.declare import check_number, numeric, promote_operands, to_float
from graphc.ops.incomplete import beyond_stirling
from graphc.ops.storage import in_float32
from graphc.ops.tensor import Tensor, TensorLike, as_tensor


def _floats(name: str, *xs: Any) -> list[Tensor]:
    return promote_operands(name, xs, to_float)[0]


# --- products with logarithms ----------------------------------------------------------------------------------------


@in_float32
def xlogy(x: TensorLike, y: TensorLike) -> Tensor:
    """x * log(y), and 0 where x is 0, whatever number y is: a term of a log-likelihood or of an entropy.

    Operands broadcast; integers count as floats. Where x is 0 and y is not a positive number the gradients are 0.

    >>> import graphc as gx
    >>> gx.xlogy(gx.constant([0.0, 2.0]), gx.constant([0.0, 1.0])).eval()
    array([0., 0.])
    """
    a, b = _floats("xlogy", x, y)
    return a * ops.log(ops.where((a == 0) & ((b <= 0) | (b == math.inf)), 1.0, b))


@in_float32
def xlog1py(x: TensorLike, y: TensorLike) -> Tensor:
    """x * log(1 + y), and 0 where x is 0, whatever number y is.

    Operands broadcast; integers count as floats. Where x is 0 and y is no number above -1 the gradients are 0.

    >>> import graphc as gx
    >>> gx.xlog1py(gx.constant([0.0, 2.0]), gx.constant([-1.0, 0.0])).eval()
    array([0., 0.])
    """
    a, b = _floats("xlog1py", x, y)
    return a * ops.log1p(ops.where((a == 0) & ((b <= -1) | (b == math.inf)), 0.0, b))


@in_float32
def entr(x: TensorLike) -> Tensor:
    """-x * log(x), a term of an entropy: 0 at 0, -inf below.

    >>> import graphc as gx
    >>> gx.entr(gx.constant([0.0, 0.5, -1.0])).eval().round(4)
    array([0.    , 0.3466,   -inf])
    """
    (p,) = _floats("entr", x)
    inside = ops.where(p > 0, p, 1.0)
    return ops.where(p > 0, -inside * ops.log(inside), ops.where(p < 0, -math.inf, ops.stop_gradient(p)))


@in_float32
def rel_entr(x: TensorLike, y: TensorLike) -> Tensor:
    """x * log(x / y), a term of a relative entropy: 0 where x is 0 and y at least 0; inf where one is negative or y alone is 0.

    >>> import graphc as gx
    >>> gx.rel_entr(gx.constant([0.0, 0.5, 0.5]), gx.constant([0.5, 0.25, 0.0])).eval().round(4)
    array([0.    , 0.3466,    inf])
    """
    p, q = _floats("rel_entr", x, y)
    inside = (p > 0) & (q > 0)
    ratio = ops.where(inside, p, 1.0) / ops.where(inside, q, 1.0)
    value = ops.where(inside, p * ops.log(ratio), math.inf)
    value = ops.where((p == 0) & (q >= 0), 0.0, value)
    return ops.where(ops.isnan(p) | ops.isnan(q), math.nan, value)


@in_float32
def kl_div(x: TensorLike, y: TensorLike) -> Tensor:
    """x * log(x / y) - x + y, a term of a divergence that is never negative; y where x is 0. `gx.nn.kl_divergence` is a loss.

    >>> import graphc as gx
    >>> gx.kl_div(gx.constant([0.0, 0.5, 0.5]), gx.constant([0.5, 0.5, 0.0])).eval()
    array([0.5, 0. , inf])
    """
    p, q = _floats("kl_div", x, y)
    return rel_entr(p, q) - p + q


@in_float32
def logit(x: TensorLike) -> Tensor:
    """log(x / (1 - x)), the inverse of the sigmoid: -inf at 0, inf at 1, NaN outside.

    Near 1/2 it is 2 atanh(2x - 1), which keeps its digits.

    >>> import graphc as gx
    >>> gx.logit(gx.constant([0.0, 0.5, 0.75])).eval().round(4)
    array([  -inf, 0.    , 1.0986])
    """
    (p,) = _floats("logit", x)
    middle = (p > 0.25) & (p < 0.75)
    near = 2 * ops.atanh(2 * ops.where(middle, p, 0.5) - 1)
    far = ops.where(middle, 0.25, p)
    return ops.where(middle, near, ops.log(far / (1 - far)))


@in_float32
def betaln(a: TensorLike, b: TensorLike) -> Tensor:
    """The logarithm of the beta function, lgamma(a) + lgamma(b) - lgamma(a + b), for positive numbers; NaN elsewhere.

    Where one is large the three logarithms cancel; from 10 on Stirling's formula is put together first (as in algorithm 708 of
    DiDonato and Morris, ACM TOMS 18, 1992).

    >>> import graphc as gx
    >>> gx.betaln(2.0, gx.constant([1.0, 3.0])).eval().round(6)
    array([-0.693147, -2.484907])
    """
    p, q = _floats("betaln", a, b)
    p = ops.where(p > 0, p, math.nan)
    q = ops.where(q > 0, q, math.nan)
    ordered = p <= q  # not minimum and maximum, whose ties have no second derivative
    low, high = ops.where(ordered, p, q), ops.where(ordered, q, p)
    large = high >= 10
    small = ops.where(large, 1.0, high)
    plain = ops.lgamma(low) + ops.lgamma(small) - ops.lgamma(low + small)
    big = ops.where(large, high, 10.0)
    share = low / (low + big)
    beyond = beyond_stirling(low) + beyond_stirling(big) - beyond_stirling(low + big)
    together = low * ops.log(share) + (big - 0.5) * ops.log1p(-share) - 0.5 * ops.log(low)
    together = together + (0.5 * math.log(2 * math.pi) + beyond)
    return ops.where(large, together, plain)


# --- the normal distribution -----------------------------------------------------------------------------------------


@in_float32
def ndtr(x: TensorLike) -> Tensor:
    """The probability that a standard normal number is below x.

    >>> import graphc as gx
    >>> gx.ndtr(gx.constant([-2.0, 0.0])).eval().round(6)
    array([0.02275, 0.5    ])
    """
    (z,) = _floats("ndtr", x)
    return 0.5 * ops.erfc(z * -math.sqrt(0.5))


# (2k - 1)!! with signs, of Mills' ratio: ndtr(x) = density(x) / -x * (1 - 1/x^2 + 3/x^4 - ...), Abramowitz and Stegun 26.2.12
_MILLS = (1.0, -1.0, 3.0, -15.0, 105.0, -945.0, 10395.0, -135135.0, 2027025.0, -34459425.0, 654729075.0)
_FAR = {8: -20.0, 4: -10.0}  # from where on the series serves, by the bytes of a float


@in_float32
def log_ndtr(x: TensorLike) -> Tensor:
    """The logarithm of the probability that a standard normal number is below x, with all digits in both tails.

    >>> import graphc as gx
    >>> gx.log_ndtr(gx.constant([-100.0, 0.0, 10.0])).eval()
    array([-5.00552421e+03, -6.93147181e-01, -7.61985302e-24])
    """
    (z,) = _floats("log_ndtr", x)
    far, right = z < _FAR[z.dtype.itemsize], z > -1
    tail = ops.where(far, z, _FAR[z.dtype.itemsize])
    inverse = 1 / (tail * tail)
    series = ops.full((), _MILLS[-1], z.dtype)
    for c in _MILLS[-2::-1]:
        series = series * inverse + c
    of_tail = -0.5 * tail * tail - ops.log(-tail) - 0.5 * math.log(2 * math.pi) + ops.log(series)
    middle = ops.where(far | right, -1.0, z)
    above = ops.where(right, z, 0.0)
    return ops.where(far, of_tail, ops.where(right, ops.log1p(-ndtr(-above)), ops.log(ndtr(middle))))


def normal_quantile(p: Tensor) -> Tensor:
    """What a normal number is below with probability p, for 0 < p < 1/2.

    From Abramowitz and Stegun 26.2.23 (error 4.5e-4), by Newton's method on log(p): the third step is exact.
    """
    t = ops.sqrt(-2.0 * ops.log(p))
    over = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    x = (2.515517 + t * (0.802853 + t * 0.010328)) / over - t
    for _ in range(3):
        there = 0.5 * ops.erfc(x * -math.sqrt(0.5))
        x = x - there * ops.exp(0.5 * x * x) * math.sqrt(2 * math.pi) * (ops.log(there) - ops.log(p))
    return x


def _ndtri_rule(g: Tensor, p: Tensor) -> tuple[Tensor]:
    x = ndtri(p)
    return (g * ops.exp(0.5 * x * x) * math.sqrt(2 * math.pi),)


def ndtri(p: TensorLike) -> Tensor:
    """The inverse of `ndtr`: below which number a normal one lies with probability p; -inf at 0, inf at 1.

    NaN outside. Computed in float64, with all digits for small p too.

    >>> import graphc as gx
    >>> gx.ndtri(gx.constant([0.0, 0.5, 0.975])).eval().round(6)
    array([    -inf, 0.      , 1.959964])
    """
    (q,) = _floats("ndtri", p)
    wide = ops.astype(q, "float64")
    middle = (wide >= 0.25) & (wide <= 0.75)
    near = math.sqrt(2) * ops.erfinv(2 * ops.where(middle, wide, 0.5) - 1)
    below = ops.minimum(wide, 1 - wide)
    inside = (below > 0) & ~middle
    tail = normal_quantile(ops.where(inside, below, 0.125))
    edge = ops.where(wide == 0, -math.inf, ops.where(wide == 1, math.inf, math.nan))
    found = ops.where(middle, near, ops.where(inside, ops.where(wide < 0.5, tail, -tail), edge))
    made: Tensor = with_gradient(ops.stop_gradient(found), wide, rule=GradientRule("ndtri", _ndtri_rule))
    return ops.astype(made, q.dtype)


# --- angles, steps ---------------------------------------------------------------------------------------------------


@in_float32
def deg2rad(x: TensorLike) -> Tensor:
    """Degrees as radians, NumPy's deg2rad and radians."""
    (angle,) = _floats("deg2rad", x)
    return angle * (math.pi / 180)


@in_float32
def rad2deg(x: TensorLike) -> Tensor:
    """Radians as degrees, NumPy's rad2deg and degrees."""
    (angle,) = _floats("rad2deg", x)
    return angle * (180 / math.pi)


# sin(y) / y = sum of (-1)^k y^2k / (2k + 1)!, which is short of 1e-19 for |y| < 1/2
_SINC = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(9))


@in_float32
def sinc(x: TensorLike) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0.

    Near 0 it is its power series, so that derivatives of every order are right there.

    >>> import graphc as gx
    >>> gx.sinc(gx.constant([0.0, 0.5, 1.5])).eval().round(6)
    array([ 1.      ,  0.63662 , -0.212207])
    """
    (v,) = _floats("sinc", x)
    y = math.pi * v
    near = ops.abs(y) < 0.5
    square = ops.where(near, y * y, 0.0)
    series = ops.full((), _SINC[-1], y.dtype)
    for c in _SINC[-2::-1]:
        series = series * square + c
    far = ops.where(near, 1.0, y)
    return ops.where(near, series, ops.sin(far) / far)


@in_float32
def heaviside(x1: TensorLike, x2: TensorLike) -> Tensor:
    """0 where x1 is negative, 1 where it is positive, x2 where it is 0, and NaN where it is NaN.

    The gradient reaches x2 alone, where x1 is 0.

    >>> import graphc as gx
    >>> gx.heaviside(gx.constant([-2.0, 0.0, 2.0]), 0.5).eval()
    array([0. , 0.5, 1. ])
    """
    a, b = _floats("heaviside", x1, x2)
    step = ops.where(a > 0, ops.ones_like(a), ops.where(a < 0, ops.zeros_like(a), ops.stop_gradient(a)))
    return ops.where(a == 0, b, step)


def fmax(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The larger of two numbers; where one is NaN, the other. The gradient of a tie is half for each.

    >>> import graphc as gx
    >>> gx.fmax(gx.constant([1.0, float("nan")]), 0.5).eval()
    array([1. , 0.5])
    """
    (a, b), dtype = promote_operands("fmax", (x1, x2), numeric)
    return ops.maximum(a, b) if not dtype.is_float else _without_nan(a, b, ops.maximum(a, b))


def fmin(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The smaller of two numbers; where one is NaN, the other. The gradient of a tie is half for each."""
    (a, b), dtype = promote_operands("fmin", (x1, x2), numeric)
    return ops.minimum(a, b) if not dtype.is_float else _without_nan(a, b, ops.minimum(a, b))


def _without_nan(a: Tensor, b: Tensor, chosen: Tensor) -> Tensor:
    return ops.where(ops.isnan(a), b, ops.where(ops.isnan(b), a, chosen))


def isposinf(x: TensorLike) -> Tensor:
    """Whether x is positive infinity."""
    v = as_tensor(x)
    return (v == math.inf) if v.dtype.is_float else ops.astype(ops.zeros_like(v), "bool")


def isneginf(x: TensorLike) -> Tensor:
    """Whether x is negative infinity."""
    v = as_tensor(x)
    return (v == -math.inf) if v.dtype.is_float else ops.astype(ops.zeros_like(v), "bool")


def nan_to_num(
    x: TensorLike, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with numbers for NaN, inf and -inf: 0, and the largest and the smallest number of its type, unless given.

    Their gradient is 0. `copy` makes no difference. Integers and booleans stay as they are.

    >>> import graphc as gx
    >>> gx.nan_to_num(gx.constant([1.0, float("nan"), float("-inf")]), neginf=-1).eval()
    array([ 1.,  0., -1.])
    """
    v = as_tensor(x)
    ops.check_flag("nan_to_num", "copy", copy)
    for what, value in (("nan", nan), ("posinf", posinf), ("neginf", neginf)):
        if value is not None:
            check_number("nan_to_num", what, value)
    if not v.dtype.is_float:
        return v
    info = ops.finfo(v.dtype)
    v = ops.where(ops.isnan(v), float(nan), v)
    v = ops.where(v == math.inf, info.max if posinf is None else float(posinf), v)
    return ops.where(v == -math.inf, info.min if neginf is None else float(neginf), v)


__all__ = [
    "betaln", "deg2rad", "entr", "fmax", "fmin", "heaviside", "isneginf", "isposinf", "kl_div", "log_ndtr",
    "logit", "nan_to_num", "ndtr", "ndtri", "normal_quantile", "rad2deg", "rel_entr", "sinc", "xlog1py", "xlogy",
]  # fmt: skip
