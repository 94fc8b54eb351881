"""The Poisson distribution: how many events there are where mu are expected."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, is_whole, on_support


@gx.in_float32
def logpmf(k: TensorLike, mu: TensorLike, loc: TensorLike = 0) -> Tensor:
    """k log(mu) - mu - log(k!); -inf where k is no whole number from 0 on.

    k: numbers; mu: at least 0, else NaN; k - loc is what counts. Parameters are scipy.stats.poisson's. They broadcast.

    >>> import graphc as gx
    >>> gx.stats.poisson.logpmf(gx.constant([0, 2, -1]), 2.0).eval().round(6)
    array([-2.      , -1.306853,      -inf])
    """
    k, mu, loc = floats("poisson.logpmf", k, mu, loc)
    n = k - loc
    inside = is_whole(n) & (n >= 0)
    m = gx.where(inside, n, 0.0)
    return on_support(gx.xlogy(m, mu) - gx.lgamma(m + 1) - mu, inside, is_number(k, loc) & (mu >= 0))


__all__ = ["logpmf"]
