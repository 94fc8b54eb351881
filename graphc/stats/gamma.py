"""The gamma distribution."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, a: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """(a - 1) log(z) - z - lgamma(a) - log(scale) with z = (x - loc) / scale; -inf for z < 0.

    a: the shape, above 0; scale: 1 over the rate, above 0; else NaN. Parameters are scipy.stats.gamma's. x and the parameters
    broadcast.

    >>> import graphc as gx
    >>> gx.stats.gamma.logpdf(gx.constant([-1.0, 1.0, 2.0]), 2.0).eval().round(6)
    array([     -inf, -1.      , -1.306853])
    """
    x, a, loc, scale = floats("gamma.logpdf", x, a, loc, scale)
    z = (x - loc) / scale
    inside = (z >= 0) & (z < math.inf)
    y = gx.where(inside, z, 1.0)
    value = gx.xlogy(a - 1, y) - y - gx.lgamma(a) - gx.log(scale)
    return on_support(value, inside, is_number(x, loc) & (a > 0) & (scale > 0))


__all__ = ["logpdf"]
