"""The Bernoulli distribution: one trial."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpmf(k: TensorLike, p: TensorLike, loc: TensorLike = 0) -> Tensor:
    """log(p) for 1, log(1 - p) for 0, -inf for everything else.

    k: numbers; p: from 0 to 1, else NaN; k - loc is what counts. Parameters are scipy.stats.bernoulli's. For logits see
    gx.nn.binary_cross_entropy. They broadcast.

    >>> import graphc as gx
    >>> gx.stats.bernoulli.logpmf(gx.constant([0, 1, 2]), 0.25).eval().round(6)
    array([-0.287682, -1.386294,      -inf])
    """
    k, p, loc = floats("bernoulli.logpmf", k, p, loc)
    n = k - loc
    inside = (n == 0) | (n == 1)
    m = gx.where(inside, n, 0.0)
    return on_support(gx.xlogy(m, p) + gx.xlog1py(1 - m, -p), inside, is_number(k, loc) & (p >= 0) & (p <= 1))


__all__ = ["logpmf"]
