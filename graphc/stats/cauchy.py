"""The Cauchy distribution."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-log(pi scale (1 + z^2)) with z = (x - loc) / scale.

    scale: above 0, else NaN. Parameters are scipy.stats.cauchy's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.cauchy.logpdf(gx.constant([0.0, 1.0])).eval().round(6)
    array([-1.14473 , -1.837877])
    """
    x, loc, scale = floats("cauchy.logpdf", x, loc, scale)
    z = (x - loc) / scale
    value = -2 * gx.log(gx.hypot(z, 1.0)) - gx.log(math.pi * scale)  # z^2 alone would overflow
    return on_support(value, is_number(z), is_number(x, loc, scale) & (scale > 0))


__all__ = ["logpdf"]
