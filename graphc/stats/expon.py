"""The exponential distribution."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-z - log(scale) with z = (x - loc) / scale; -inf for z < 0.

    scale: 1 over the rate, above 0, else NaN. Parameters are scipy.stats.expon's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.expon.logpdf(gx.constant([-1.0, 1.0])).eval()
    array([-inf,  -1.])
    """
    x, loc, scale = floats("expon.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return on_support(-z - gx.log(scale), z >= 0, is_number(x, loc) & (scale > 0))


__all__ = ["logpdf"]
