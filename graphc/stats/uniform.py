"""The uniform distribution."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, loc: TensorLike = 0.0, scale: TensorLike = 1.0) -> Tensor:
    """-log(scale) from loc to loc + scale, -inf elsewhere.

    scale: the width, above 0, else NaN. Parameters are scipy.stats.uniform's. x and the parameters broadcast.

    >>> import graphc as gx
    >>> gx.stats.uniform.logpdf(gx.constant([0.5, 3.0]), scale=2.0).eval().round(6)
    array([-0.693147,      -inf])
    """
    x, loc, scale = floats("uniform.logpdf", x, loc, scale)
    z = (x - loc) / scale
    return on_support(-gx.log(scale), (z >= 0) & (z <= 1), is_number(x, loc) & (scale > 0))


__all__ = ["logpdf"]
