"""The beta distribution."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, a: TensorLike, b: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """(a - 1) log(z) + (b - 1) log(1 - z) - betaln(a, b) - log(scale) with z = (x - loc) / scale; -inf outside 0 to 1.

    a, b: above 0; scale: above 0; else NaN. Parameters are scipy.stats.beta's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.beta.logpdf(gx.constant([0.5, 2.0]), 2.0, 2.0).eval().round(6)
    array([0.405465,     -inf])
    """
    x, a, b, loc, scale = floats("beta.logpdf", x, a, b, loc, scale)
    z = (x - loc) / scale
    inside = (z >= 0) & (z <= 1)
    y = gx.where(inside, z, 0.5)
    value = gx.xlogy(a - 1, y) + gx.xlog1py(b - 1, -y) - gx.betaln(a, b) - gx.log(scale)
    return on_support(value, inside, is_number(x, loc) & (a > 0) & (b > 0) & (scale > 0))


__all__ = ["logpdf"]
