"""Student's distribution."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, df: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-(df + 1) / 2 log(1 + z^2 / df) - log(df) / 2 - betaln(1/2, df/2) - log(scale) with z = (x - loc) / scale.

    df: degrees of freedom, above 0; where they are infinite it is the normal distribution. scale: above 0. Parameters are
    scipy.stats.t's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.t.logpdf(gx.constant([0.0, 1.0]), 1.0).eval().round(6)
    array([-1.14473 , -1.837877])
    """
    x, df, loc, scale = floats("t.logpdf", x, df, loc, scale)
    z = (x - loc) / scale
    normal = df == math.inf
    n = gx.where(normal, 1.0, df)
    value = -0.5 * (n + 1) * gx.log1p(z * z / n) - 0.5 * gx.log(n) - gx.betaln(0.5, 0.5 * n)
    value = gx.where(normal, -0.5 * z * z - 0.5 * math.log(2 * math.pi), value) - gx.log(scale)
    return on_support(value, is_number(z), is_number(x, loc) & (df > 0) & (scale > 0))


__all__ = ["logpdf"]
