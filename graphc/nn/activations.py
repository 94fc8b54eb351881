"""Activations: functions of single elements."""

from __future__ import annotations

import math

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


def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """x times the standard normal distribution function of x (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    x: floats of any shape. approximate: "none" for the exact form with erf, "tanh" for the same paper's approximation
    x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). -inf gives 0.

    >>> import graphc as gx
    >>> gx.nn.gelu(gx.constant([-1.0, 0.0, 1.0])).eval().round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    x = _without_minus_infinity(to_float(x))
    if approximate == "none":
        below: Tensor = 0.5 * (1 + gx.erf(x * math.sqrt(0.5)))
        return x * below
    if approximate != "tanh":
        raise gx.errors.InputError(f"gelu: approximate is {approximate!r}", where=gx.errors.caller(), hint='use "none" or "tanh"')
    inner = gx.clip(x, -10, 10)  # tanh is ±1 to the last bit there already; without this the cube's gradient overflows
    below = 0.5 * (1 + gx.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
    return x * below


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


def _without_minus_infinity(x: Tensor) -> Tensor:
    """x with 0 for -inf: functions that tend to 0 there would compute inf * 0."""
    return gx.where(x == -math.inf, 0, x)
