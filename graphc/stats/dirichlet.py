"""The Dirichlet distribution: probabilities that add up to 1."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats, is_number, on_support


@gx.in_float32
def logpdf(x: TensorLike, alpha: TensorLike) -> Tensor:
    """sum of (alpha - 1) log(x) - sum of lgamma(alpha) + lgamma(sum of alpha), along the last axis; -inf off the simplex.

    x: floats [..., k], at least 0 and with a sum of 1 up to 1e-9 (float32: 1e-5). alpha: [..., k], above 0, else NaN. They
    broadcast. scipy.stats.dirichlet has the same parameters, and x's axis first.

    >>> import graphc as gx
    >>> gx.stats.dirichlet.logpdf(gx.constant([0.25, 0.75]), gx.constant([1.0, 1.0])).eval()
    array(0.)
    """
    p, a = floats("dirichlet.logpdf", x, alpha)
    if not p.ndim or not a.ndim or p.shape[-1] != a.shape[-1]:
        raise gx.errors.ShapeError(
            f"dirichlet.logpdf needs x [..., k] and alpha [..., k], got {p.type} and {a.type}", where=gx.errors.caller()
        )
    room = 1e-9 if p.dtype == gx.float64 else 1e-5
    inside = gx.all(p >= 0, axis=-1) & (gx.abs(gx.sum(p, axis=-1) - 1) <= room)
    y = gx.where(gx.expand_dims(inside, -1), p, 1.0)
    value = gx.sum(gx.xlogy(a - 1, y), axis=-1) + gx.lgamma(gx.sum(a, axis=-1)) - gx.sum(gx.lgamma(a), axis=-1)
    return on_support(value, inside, gx.all(is_number(p), axis=-1) & gx.all(a > 0, axis=-1))


__all__ = ["logpdf"]
