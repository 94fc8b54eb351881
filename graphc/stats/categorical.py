"""The categorical distribution: one of some classes."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats


@gx.in_float32
def logpmf(k: TensorLike, logits: TensorLike) -> Tensor:
    """log(softmax(logits))[k]: the log probability of a class; -inf where k is none of them.

    logits: floats [..., classes], log probabilities up to a constant, as gx.random.categorical takes them (scipy.stats has
    none). k: integers whose shape broadcasts with logits' without the last axis. As a loss see gx.nn.cross_entropy.

    >>> import graphc as gx
    >>> gx.stats.categorical.logpmf(gx.constant([0, 1, 2]), gx.constant([0.0, 0.0])).eval().round(6)
    array([-0.693147, -0.693147,      -inf])
    """
    (scores,) = floats("categorical.logpmf", logits)
    place = gx.asarray(k)
    if not place.dtype.is_integer:
        raise gx.errors.DTypeError(
            f"categorical.logpmf needs integers that name the classes, got {place.type}", where=gx.errors.caller()
        )
    if not scores.ndim:
        raise gx.errors.ShapeError(
            f"categorical.logpmf needs logits [..., classes], got {scores.type}", where=gx.errors.caller()
        )
    hot = gx.expand_dims(gx.astype(place, gx.int64), -1) == gx.arange(scores.shape[-1])
    found = gx.max(gx.where(hot, gx.nn.log_softmax(scores), -math.inf), axis=-1)
    return gx.where(gx.any(hot, axis=-1), found, -math.inf)


__all__ = ["logpmf"]
