"""Activations: functions of single elements."""

from __future__ import annotations

import math
from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float

sigmoid = gx.sigmoid
softplus = gx.softplus


def relu(x: TensorLike) -> Tensor:
    """x where it is positive, else 0; NaN stays. The gradient at 0 is 0.

    x: numbers of any shape. The result has x's shape and dtype.

    >>> import graphc as gx
    >>> gx.nn.relu(gx.constant([-2.0, 0.0, 3.0])).eval()
    array([0., 0., 3.])
    """
    x = gx.asarray(x)
    return gx.where(x <= 0, 0, x)


@gx.in_float32
def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """x times the standard normal distribution function of x (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    x: floats of any shape. approximate: "none" for the exact form with erf, "tanh" for the same paper's approximation
    x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). -inf gives 0.

    >>> import graphc as gx
    >>> gx.nn.gelu(gx.constant([-1.0, 0.0, 1.0])).eval().round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    x = _without_minus_infinity(to_float(x))
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        raise gx.errors.InputError(f"gelu: approximate is {approximate!r}", where=gx.errors.caller(), hint='use "none" or "tanh"')
    if approximate == "none":
        below: Tensor = 0.5 * (1 + gx.erf(x * math.sqrt(0.5)))
        return x * below
    inner = gx.clip(x, -10, 10)  # tanh is ±1 to the last bit there already; without this the cube's gradient overflows
    below = 0.5 * (1 + gx.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
    return x * below


@gx.in_float32
def silu(x: TensorLike) -> Tensor:
    """x * sigmoid(x); -inf gives 0.

    x: floats of any shape.

    >>> import graphc as gx
    >>> gx.nn.silu(gx.constant([-1.0, 0.0, 1.0])).eval().round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    x = _without_minus_infinity(to_float(x))
    gate: Tensor = gx.sigmoid(x)
    return x * gate


@gx.in_float32
def leaky_relu(x: TensorLike, slope: float = 0.01) -> Tensor:
    """x where it is positive, else slope * x.

    x: floats of any shape; integers count as float64. The gradient at 0 is the slope.

    >>> import graphc as gx
    >>> gx.nn.leaky_relu(gx.constant([-2.0, 3.0])).eval()
    array([-0.02,  3.  ])
    """
    x, slope = to_float(x), gx.ops.as_option(slope)
    return gx.where(x > 0, x, x * slope)


@gx.in_float32
def prelu(x: TensorLike, slope: TensorLike) -> Tensor:
    """leaky_relu whose slope is a value: learned, and for instance one for each channel.

    x: floats of any shape; slope: floats that broadcast with x (He et al. 2015, arXiv:1502.01852).

    >>> import graphc as gx
    >>> gx.nn.prelu(gx.constant([-2.0, 3.0]), gx.constant(0.5)).eval()
    array([-1.,  3.])
    """
    x = to_float(x)
    return gx.where(x > 0, x, x * slope)


@gx.in_float32
def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where it is positive, else alpha * (exp(x) - 1) (Clevert et al. 2015, arXiv:1511.07289).

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.elu(gx.constant([-1.0, 3.0])).eval().round(4)
    array([-0.6321,  3.    ])
    """
    x, alpha = to_float(x), gx.ops.as_option(alpha)
    return gx.where(x > 0, x, alpha * gx.expm1(gx.minimum(x, 0)))


@gx.in_float32
def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where it is positive, else alpha * (exp(x / alpha) - 1): an elu with slope 1 at 0 (Barron 2017, arXiv:1704.07483).

    x: floats of any shape; integers count as float64. alpha: not 0.

    >>> import graphc as gx
    >>> gx.nn.celu(gx.constant([-1.0, 3.0]), alpha=2.0).eval().round(4)
    array([-0.7869,  3.    ])
    """
    alpha = gx.ops.check_number("celu", "alpha", alpha)
    if alpha == 0:
        raise gx.errors.InputError("celu: alpha is 0, and x is divided by it", where=gx.errors.caller(), hint="use relu")
    x = to_float(x)
    return gx.where(x > 0, x, alpha * gx.expm1(gx.minimum(x, 0) / alpha))


SELU_ALPHA = 1.6732632423543772848170429916717  # equations 14 of Klambauer et al. 2017, arXiv:1706.02515
SELU_SCALE = 1.0507009873554804934193349852946


@gx.in_float32
def selu(x: TensorLike) -> Tensor:
    """A multiple of elu that keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017, arXiv:1706.02515).

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.selu(gx.constant([-1.0, 3.0])).eval().round(4)
    array([-1.1113,  3.1521])
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


@gx.in_float32
def relu6(x: TensorLike) -> Tensor:
    """x, at least 0 and at most 6. The gradient is 0 where x is not between.

    x: numbers of any shape.

    >>> import graphc as gx
    >>> gx.nn.relu6(gx.constant([-2.0, 3.0, 8.0])).eval()
    array([0., 3., 6.])
    """
    return hardtanh(x, 0, 6)


@gx.in_float32
def hardtanh(x: TensorLike, low: float = -1, high: float = 1) -> Tensor:
    """x, at least `low` and at most `high`; NaN stays. The gradient is 0 where x is not between.

    x: numbers of any shape.

    >>> import graphc as gx
    >>> gx.nn.hardtanh(gx.constant([-2.0, 0.5, 8.0])).eval()
    array([-1. ,  0.5,  1. ])
    """
    low, high = (gx.ops.check_number("hardtanh", what, bound) for what, bound in (("low", low), ("high", high)))
    if not low <= high:
        raise gx.errors.InputError(f"hardtanh: low is {low} and high is {high}", where=gx.errors.caller(), hint="low <= high")
    x = gx.asarray(x)
    return gx.where(x <= low, low, gx.where(x >= high, high, x))


@gx.in_float32
def hardsigmoid(x: TensorLike) -> Tensor:
    """x / 6 + 1/2, at least 0 and at most 1.

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.hardsigmoid(gx.constant([-4.0, 0.0, 1.5])).eval()
    array([0.  , 0.5 , 0.75])
    """
    return relu6(to_float(x) + 3) / 6


@gx.in_float32
def hardswish(x: TensorLike) -> Tensor:
    """x * hardsigmoid(x) (Howard et al. 2019, arXiv:1905.02244); -inf gives 0.

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.hardswish(gx.constant([-4.0, 1.5, 4.0])).eval()
    array([-0.   ,  1.125,  4.   ])
    """
    x = _without_minus_infinity(to_float(x))
    gate = hardsigmoid(x)
    return x * gate


@gx.in_float32
def mish(x: TensorLike) -> Tensor:
    """x * tanh(softplus(x)) (Misra 2019, arXiv:1908.08681); -inf gives 0.

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.mish(gx.constant([-1.0, 0.0, 1.0])).eval().round(4)
    array([-0.3034,  0.    ,  0.8651])
    """
    x = _without_minus_infinity(to_float(x))
    gate: Tensor = gx.tanh(gx.softplus(x))
    return x * gate


@gx.in_float32
def softsign(x: TensorLike) -> Tensor:
    """x / (1 + |x|); infinities give 1 and -1.

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.softsign(gx.constant([-1.0, 3.0])).eval()
    array([-0.5 ,  0.75])
    """
    x = to_float(x)
    finite = gx.where(gx.isinf(x), 0, x)
    return gx.where(gx.isinf(x), gx.sign(x), finite / (1 + gx.abs(finite)))


@gx.in_float32
def tanhshrink(x: TensorLike) -> Tensor:
    """x - tanh(x).

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.tanhshrink(gx.constant([0.0, 1.0])).eval().round(4)
    array([0.    , 0.2384])
    """
    x = to_float(x)
    return x - gx.tanh(x)


@gx.in_float32
def softshrink(x: TensorLike, width: float = 0.5) -> Tensor:
    """x moved towards 0 by `width`, and 0 where it is nearer than that; NaN stays.

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.softshrink(gx.constant([-2.0, 0.25, 1.0])).eval()
    array([-1.5,  0. ,  0.5])
    """
    width = gx.ops.check_number("softshrink", "width", width)
    x = to_float(x)
    return gx.where(x > width, x - width, gx.where(x < -width, x + width, gx.where(gx.isnan(x), x, 0)))


@gx.in_float32
def hardshrink(x: TensorLike, width: float = 0.5) -> Tensor:
    """x, and 0 where it is at most `width` from 0; NaN stays.

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.hardshrink(gx.constant([-2.0, 0.25, 1.0])).eval()
    array([-2.,  0.,  1.])
    """
    x, width = to_float(x), gx.ops.as_option(width)
    return gx.where(gx.abs(x) <= width, 0, x)


@gx.in_float32
def threshold(x: TensorLike, limit: float, value: float) -> Tensor:
    """x where it is above the limit, else the value; NaN stays.

    x: numbers of any shape.

    >>> import graphc as gx
    >>> gx.nn.threshold(gx.constant([0.5, 2.0]), 1, -7).eval()
    array([-7.,  2.])
    """
    x, limit, value = gx.asarray(x), gx.ops.as_option(limit), gx.ops.as_option(value)
    return gx.where(x <= limit, value, x)


@gx.in_float32
def log_sigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)), exact where sigmoid itself rounds to 0 or 1.

    x: floats of any shape; integers count as float64.

    >>> import graphc as gx
    >>> gx.nn.log_sigmoid(gx.constant([-1000.0, 0.0])).eval().round(4)
    array([-1.000e+03, -6.931e-01])
    """
    return -gx.softplus(-to_float(x))


@gx.in_float32
def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """The first half of x along an axis, times the sigmoid of the second (Dauphin et al. 2016, arXiv:1612.08083).

    x: floats whose size along the axis is even.

    >>> import graphc as gx
    >>> gx.nn.glu(gx.constant([2.0, 4.0, 0.0, 0.0])).eval()
    array([1., 2.])
    """
    x = to_float(x)
    axis = gx.ops.normalize_axis("glu", axis, x.type)
    n: Any = x.shape[axis]
    if isinstance(n, int) and n % 2:
        raise gx.errors.ShapeError(
            f"glu needs two halves along axis {axis}, got {x.type}", where=gx.errors.caller(), hint=f"{n} is odd"
        )
    place = axis % x.ndim
    value, gate = gx.moveaxis(gx.reshape(x, (*x.shape[:place], 2, n // 2, *x.shape[place + 1 :])), place, 0)
    return value * gx.sigmoid(gate)


def _without_minus_infinity(x: Tensor) -> Tensor:
    """x with 0 for -inf: functions that tend to 0 there would compute inf * 0."""
    return gx.where(x == -math.inf, 0, x)
