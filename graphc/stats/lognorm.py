"""The log-normal distribution: the exponential of a normal number."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, s: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-log(z)^2 / (2 s^2) - log(s z scale) - log(2 pi) / 2 with z = (x - loc) / scale; -inf for z <= 0.

    s: the standard deviation of the logarithm, above 0; scale: the exponential of its mean, above 0; else NaN. Parameters are
    scipy.stats.lognorm's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.lognorm.logpdf(gx.constant([0.0, 1.0]), 1.0).eval().round(6)
    array([     -inf, -0.918939])
    """
    x, s, loc, scale = floats("lognorm.logpdf", x, s, loc, scale)
    z = (x - loc) / scale
    inside = (z > 0) & (z < math.inf)
    y = gx.log(gx.where(inside, z, 1.0))
    value = -0.5 * (y / s) ** 2 - y - gx.log(s) - gx.log(scale) - 0.5 * math.log(2 * math.pi)
    return on_support(value, inside, is_number(x, loc) & (s > 0) & (scale > 0))


__all__ = ["logpdf"]
