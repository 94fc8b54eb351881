"""The negative binomial distribution: failures before the successes are complete."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, is_whole, on_support


@gx.in_float32
def logpmf(k: TensorLike, r: TensorLike, p: TensorLike, loc: TensorLike = 0) -> Tensor:
    """log of C(k + r - 1, k) p^r (1 - p)^k, r successes wanted of probability p; -inf where k is no whole number from 0 on.

    k: numbers; r: above 0, it need not be whole (scipy.stats.nbinom calls it n); p: above 0 and at most 1; else NaN; k - loc is
    what counts. Mean r (1 - p) / p. They broadcast.

    >>> import graphc as gx
    >>> gx.stats.nbinom.logpmf(gx.constant([0, 1]), 2.0, 0.5).eval().round(6)
    array([-1.386294, -1.386294])
    """
    k, r, p, loc = floats("nbinom.logpmf", k, r, p, loc)
    n = k - loc
    inside = is_whole(n) & (n >= 0)
    m = gx.where(inside, n, 0.0)
    value = -gx.betaln(r, m + 1) - gx.log(r + m) + gx.xlogy(r, p) + gx.xlog1py(m, -p)
    return on_support(value, inside, is_number(k, loc) & (r > 0) & (p > 0) & (p <= 1))


__all__ = ["logpmf"]
