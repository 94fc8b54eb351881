"""The half-normal distribution: the size of a normal number."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-z^2 / 2 + log(2 / pi) / 2 - log(scale) with z = (x - loc) / scale; -inf for z < 0.

    scale: above 0, else NaN. Parameters are scipy.stats.halfnorm's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.halfnorm.logpdf(gx.constant([-1.0, 0.0])).eval().round(6)
    array([     -inf, -0.225791])
    """
    x, loc, scale = floats("halfnorm.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return on_support(-0.5 * z * z + 0.5 * math.log(2 / math.pi) - gx.log(scale), z >= 0, is_number(x, loc) & (scale > 0))


__all__ = ["logpdf"]
