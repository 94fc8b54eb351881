"""Losses: what training makes small."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float
from graphc.nn.softmax import log_softmax, shifted_exponents


def cross_entropy(logits: TensorLike, labels: TensorLike, axis: int = -1, reduction: str = "mean") -> Tensor:
    """-log(softmax(logits)) of the true class, or its mean under given probabilities.

    logits: floats, the classes along `axis`. labels: integers of logits' shape without `axis`, or probabilities (floats) of
    logits' shape. reduction: "mean" or "sum" over all rows, or "none" for a loss a row. A label outside 0 .. classes - 1
    makes its row's loss NaN and its row's gradient 0. Classes of probability 0 may have logits of -inf.

    >>> import graphc as gx
    >>> logits = gx.constant([[2.0, 0.0], [0.0, 1e4]])
    >>> gx.nn.cross_entropy(logits, gx.constant([0, 1]), reduction="none").eval().round(4)
    array([0.1269, 0.    ])
    """
    logits, labels = to_float(logits), gx.asarray(labels)
    if not -logits.ndim <= axis < logits.ndim:
        raise gx.errors.ShapeError(f"cross_entropy: axis {axis} is out of range for {logits.type}", where=gx.errors.caller())
    place = axis % logits.ndim
    if labels.dtype.is_float:
        return _reduce("cross_entropy", _expected(logits, labels, place), reduction)
    if not labels.dtype.is_integer:
        raise gx.errors.DTypeError(
            f"cross_entropy: labels must be integers or probabilities, got {labels.type}", where=gx.errors.caller(),
            hint="astype('int64') for classes, astype('float32') for probabilities",
        )  # fmt: skip
    return _reduce("cross_entropy", _picked(logits, labels, place), reduction)


def _picked(logits: Tensor, labels: Tensor, axis: int) -> Tensor:
    """The loss of each row for integer labels.

    A comparison picks the class rather than an index: it fuses with the row's softmax, and its gradient is no scatter.
    """
    rows = logits.shape[:axis] + logits.shape[axis + 1 :]
    if labels.shape != rows:
        raise gx.errors.ShapeError(
            f"cross_entropy: integer labels need the logits' shape without axis {axis}, got logits {logits.type} and labels "
            f"{labels.type}",
            where=gx.errors.caller(), hint=f"labels should be of shape [{', '.join(map(str, rows))}]",
        )  # fmt: skip
    classes = logits.shape[axis]
    wanted = gx.astype(labels, gx.int64)  # holds every class number; a uint64 beyond it wraps to a negative one: out of range
    columns = gx.reshape(gx.arange(classes), (classes,) + (1,) * (logits.ndim - 1 - axis))
    hot = gx.expand_dims(wanted, axis) == columns
    shifted, total = shifted_exponents(logits, axis)
    loss = gx.squeeze(total, axis) - gx.sum(gx.where(hot, shifted, 0), axis=axis)
    known = (wanted >= 0) & (wanted < gx.full((), classes, gx.int64))
    return gx.where(known, loss, math.nan)


def _expected(logits: Tensor, labels: Tensor, axis: int) -> Tensor:
    """The loss of each row for probabilities."""
    if labels.shape != logits.shape:
        raise gx.errors.ShapeError(
            f"cross_entropy: probabilities need the logits' shape, got logits {logits.type} and labels {labels.type}",
            where=gx.errors.caller(), hint="integer labels are the ones without a class axis",
        )  # fmt: skip
    surprise = -log_softmax(logits, axis)
    absent = (labels == 0) & (surprise == math.inf)  # 0 * inf counts as 0
    return gx.sum(labels * gx.where(absent, 0, surprise), axis=axis)


def mse(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """The squared difference: its mean or sum over all elements, or each for itself ("none").

    prediction and target: numbers of one shape.

    >>> import graphc as gx
    >>> gx.nn.mse(gx.constant([1.0, 2.0]), gx.constant([1.0, 4.0])).eval()
    array(2.)
    """
    prediction, target = gx.asarray(prediction), gx.asarray(target)
    if prediction.shape != target.shape:
        raise gx.errors.ShapeError(
            f"mse needs equal shapes, got {prediction.type} and {target.type}", where=gx.errors.caller(),
            hint="broadcasting here is nearly always a mistake: reshape one of them",
        )  # fmt: skip
    off = to_float(prediction) - to_float(target)
    return _reduce("mse", off * off, reduction)


def _reduce(name: str, losses: Tensor, reduction: str) -> Tensor:
    match reduction:
        case "mean":
            return gx.mean(losses)
        case "sum":
            return gx.sum(losses)
        case "none":
            return losses
    raise gx.errors.InputError(
        f"{name}: reduction is {reduction!r}", where=gx.errors.caller(), hint='use "mean", "sum" or "none"'
    )
