"""The categorical distribution: one of some classes."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.stats.arguments import floats


def logpmf(k: TensorLike, logits: TensorLike | None = None, *, p: TensorLike | None = None) -> Tensor:
    """log(softmax(logits))[k], or log(p)[k]: the log probability of a class; -inf where k is none of them.

    k: integers whose shape broadcasts with the others' without the last axis. Give one of
    logits: floats [..., classes], log probabilities up to a constant, as gx.random.categorical takes them, and torch's and
    distrax's Categorical(logits=...);
    p: floats [..., classes] that are not negative, probabilities up to a factor, as their Categorical(probs=...); scipy.stats has
    no such distribution, and names probabilities p. Where one is negative, or all are 0, the result is NaN.
    As a loss see gx.nn.cross_entropy.

    >>> import graphc as gx
    >>> k = gx.constant([0, 1, 2])
    >>> gx.stats.categorical.logpmf(k, gx.constant([0.0, 0.0])).eval().round(6)
    array([-0.693147, -0.693147,      -inf])
    >>> gx.exp(gx.stats.categorical.logpmf(k, p=gx.constant([0.25, 0.75]))).eval()
    array([0.25, 0.75, 0.  ])
    """
    if (logits is None) == (p is None):
        raise gx.errors.InputError(
            f"categorical.logpmf takes logits or p, got {'neither' if p is None else 'both'}", where=gx.errors.caller(),
            hint="logpmf(k, logits) of log probabilities, logpmf(k, p=probabilities) of probabilities",
        )  # fmt: skip
    given = logits if p is None else p
    assert given is not None
    return _logpmf(k, given, p is not None)


@gx.in_float32
def _logpmf(k: TensorLike, given: TensorLike, probabilities: bool) -> Tensor:
    (scores,) = floats("categorical.logpmf", given)
    place = gx.asarray(k)
    if not place.dtype.is_integer:
        raise gx.errors.DTypeError(
            f"categorical.logpmf needs integers that name the classes, got {place.type}", where=gx.errors.caller()
        )
    if not scores.ndim:
        what = "p" if probabilities else "logits"
        raise gx.errors.ShapeError(f"categorical.logpmf needs {what} [..., classes], got {scores.type}", where=gx.errors.caller())
    if probabilities:
        total = gx.where(gx.any(scores < 0, axis=-1, keepdims=True), math.nan, gx.sum(scores, axis=-1, keepdims=True))
        logs = gx.log(scores) - gx.log(total)
    else:
        logs = gx.nn.log_softmax(scores)
    hot = gx.expand_dims(gx.astype(place, gx.int64), -1) == gx.arange(scores.shape[-1])
    found = gx.max(gx.where(hot, logs, -math.inf), axis=-1)
    return gx.where(gx.any(hot, axis=-1), found, -math.inf)


__all__ = ["logpmf"]
