"""Log densities, under scipy.stats' names: gx.stats.norm.logpdf(x, loc, scale), gx.stats.poisson.logpmf(k, mu).

A module is a distribution. Continuous ones have `logpdf(x, ..., loc=0, scale=1)`, discrete ones `logpmf(k, ..., loc=0)`; shapes,
locations and scales are scipy.stats' (https://docs.scipy.org/doc/scipy/reference/stats.html), whose values these are: -inf
outside the support, NaN where a parameter is out of its range. Operands are arrays, symbols or numbers that broadcast and
promote; integers count as floats, float16 and bfloat16 are computed in float32. Gradients reach every parameter, and are 0, never
NaN, outside the support. Numbers of these distributions are drawn by `gx.random`.

    bernoulli beta binom categorical cauchy dirichlet expon gamma halfnorm laplace lognorm multivariate_normal nbinom norm
    poisson t uniform
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.stats import (
    bernoulli, beta, binom, categorical, cauchy, dirichlet, expon, gamma, halfnorm, laplace, lognorm, multivariate_normal,
    nbinom, norm, poisson, t, uniform,
)  # fmt: skip

__all__ = [
    "bernoulli", "beta", "binom", "categorical", "cauchy", "dirichlet", "expon", "gamma", "halfnorm", "laplace", "lognorm",
    "multivariate_normal", "nbinom", "norm", "poisson", "t", "uniform",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
