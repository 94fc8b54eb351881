"""The binomial distribution: successes among a number of trials."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, is_whole, on_support


@gx.in_float32
def logpmf(k: TensorLike, trials: TensorLike, p: TensorLike, loc: TensorLike = 0) -> Tensor:
    """log of C(trials, k) p^k (1 - p)^(trials - k); -inf where k is no whole number from 0 to the number of trials.

    k: numbers; trials: whole, at least 0 (scipy.stats.binom calls it n); p: from 0 to 1; else NaN; k - loc is what counts. They
    broadcast.

    >>> import graphc as gx
    >>> gx.stats.binom.logpmf(gx.constant([0, 1, 3]), 2, 0.5).eval().round(6)
    array([-1.386294, -0.693147,      -inf])
    """
    k, trials, p, loc = floats("binom.logpmf", k, trials, p, loc)
    n = k - loc
    inside = is_whole(n) & (n >= 0) & (n <= trials)
    m = gx.where(inside, n, 0.0)
    rest = gx.where(inside, trials - m, 0.0)
    value = -gx.log(m + rest + 1) - gx.betaln(rest + 1, m + 1) + gx.xlogy(m, p) + gx.xlog1py(rest, -p)
    return on_support(value, inside, is_number(k, loc) & is_whole(trials) & (trials >= 0) & (p >= 0) & (p <= 1))


__all__ = ["logpmf"]
