"""The Laplace distribution."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-|z| - log(2 scale) with z = (x - loc) / scale: a log density with a peak and tails of an exponential.

    scale: above 0, else NaN. Parameters are scipy.stats.laplace's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.laplace.logpdf(gx.constant([0.0, 1.0])).eval().round(6)
    array([-0.693147, -1.693147])
    """
    x, loc, scale = floats("laplace.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return on_support(-gx.abs(z) - gx.log(2 * scale), is_number(z), is_number(x, loc, scale) & (scale > 0))


__all__ = ["logpdf"]
