"""Dropout: elements set to zero at random."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float


def dropout(x: TensorLike, rate: float, key: gx.random.Key) -> Tensor:
    """x with elements set to 0, each with probability `rate`, and the others divided by 1 - rate.

    x: floats of any shape. rate: a number from 0 to below 1, met to 2^-32. key: as for all of `gx.random`, most often a Stream.
    What is dropped follows from the key, so no mask is kept: the gradient draws it again
    (Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting").

    >>> import graphc as gx
    >>> gx.nn.dropout(gx.ones((6,)), 0.5, gx.random.key(1)).eval()
    array([2., 0., 0., 2., 0., 0.])
    """
    x, rate = to_float(x), gx.ops.as_option(rate)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise gx.errors.InputError(
            f"dropout: rate must be a number from 0 to below 1, got {rate!r}", where=gx.errors.caller(),
            hint="it is the part that is dropped",
        )  # fmt: skip
    kept = gx.random.bits(key, x.shape) >= min(round(rate * 2**32), 2**32 - 1)
    return gx.where(kept, x * (1 / (1 - rate)), 0)
