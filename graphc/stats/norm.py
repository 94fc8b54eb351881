"""The normal distribution."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-z^2 / 2 - log(scale) - log(2 pi) / 2 with z = (x - loc) / scale: the log density of N(loc, scale^2).

    scale: the standard deviation, above 0, else NaN. Parameters are scipy.stats.norm's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.norm.logpdf(gx.constant([0.0, 1.0])).eval().round(6)
    array([-0.918939, -1.418939])
    """
    x, loc, scale = floats("norm.logpdf", x, loc, scale)
    z = (x - loc) / scale
    value = -0.5 * z * z - gx.log(scale) - 0.5 * math.log(2 * math.pi)
    return on_support(value, is_number(z), is_number(x, loc, scale) & (scale > 0))


__all__ = ["logpdf"]
