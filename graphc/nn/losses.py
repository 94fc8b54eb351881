"""Losses: what training makes small."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float
from graphc.nn.softmax import log_softmax, shifted_exponents


@gx.in_float32
def cross_entropy(
    logits: TensorLike, labels: TensorLike, axis: int = -1, reduction: str = "mean", *, smoothing: float = 0.0,
    ignore: int | None = None,
) -> Tensor:  # fmt: skip
    """-log(softmax(logits)) of the true class, or its mean under given probabilities.

    logits: floats, the classes along `axis`. labels: integers of logits' shape without `axis`, or probabilities (floats) of
    logits' shape. reduction: "mean" or "sum" over all rows, or "none" for a loss a row. A label outside 0 .. classes - 1
    makes its row's loss NaN and its row's gradient 0. Classes of probability 0 may have logits of -inf.

    smoothing: the part, from 0 to 1, of the true class's probability that is shared evenly by all classes (Szegedy et al. 2015,
    arXiv:1512.00567). ignore: an integer label whose rows count for nothing: their loss is 0, and the mean is over the others.

    >>> import graphc as gx
    >>> logits = gx.constant([[2.0, 0.0], [0.0, 1e4]])
    >>> gx.nn.cross_entropy(logits, gx.constant([0, 1]), reduction="none").eval().round(4)
    array([0.1269, 0.    ])
    """
    logits, labels = to_float(logits), gx.asarray(labels)
    place = gx.ops.normalize_axis("cross_entropy", axis, logits.type)
    smoothing = gx.ops.check_number("cross_entropy", "smoothing", smoothing)
    if not 0 <= smoothing <= 1:
        raise gx.errors.InputError(
            f"cross_entropy: smoothing is {smoothing!r}", where=gx.errors.caller(), hint="give a number from 0 to 1"
        )
    if labels.dtype.is_float:
        if ignore is not None:
            raise gx.errors.InputError(
                "cross_entropy: probabilities have no label to ignore", where=gx.errors.caller(), hint="give integer labels"
            )
        if smoothing:
            labels = (1 - smoothing) * labels + smoothing / gx.full((), logits.shape[place], logits.dtype)
        return _reduce("cross_entropy", _expected(logits, labels, place), reduction)
    if not labels.dtype.is_integer:
        raise gx.errors.DTypeError(
            f"cross_entropy: labels must be integers or probabilities, got {labels.type}", where=gx.errors.caller(),
            hint="astype('int64') for classes, astype('float32') for probabilities",
        )  # fmt: skip
    if ignore is None:
        return _reduce("cross_entropy", _picked(logits, labels, place, smoothing), reduction)
    counts = labels != ignore
    losses = gx.where(counts, _picked(logits, gx.where(counts, labels, 0), place, smoothing), 0)
    if reduction == "mean":
        return gx.sum(losses) / gx.sum(gx.astype(counts, losses.dtype))
    return _reduce("cross_entropy", losses, reduction)


def _picked(logits: Tensor, labels: Tensor, axis: int, smoothing: float) -> Tensor:
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
    if smoothing:
        loss = (1 - smoothing) * loss + smoothing * gx.mean(gx.broadcast_to(total, logits.shape) - shifted, axis=axis)
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


@gx.in_float32
def binary_cross_entropy(
    logits: TensorLike, targets: TensorLike, reduction: str = "mean", *, positive_weight: TensorLike | None = None
) -> Tensor:
    """-(t log(p) + (1 - t) log(1 - p)) where p is the sigmoid of the logits: exact where p rounds to 0 or 1.

    logits: floats; targets: probabilities or booleans of the same shape. positive_weight: a factor of the first term, broadcast
    with logits. reduction: "mean" or "sum" over all, or "none" for each.

    >>> import graphc as gx
    >>> gx.nn.binary_cross_entropy(gx.constant([0.0, 1000.0]), gx.constant([1.0, 0.0]), "none").eval().round(4)
    array([6.931e-01, 1.000e+03])
    """
    x, t = _alike("binary_cross_entropy", logits, targets)
    if positive_weight is None:
        losses = gx.softplus(x) - t * x
    else:
        losses = t * gx.asarray(positive_weight) * gx.softplus(-x) + (1 - t) * gx.softplus(x)
    return _reduce("binary_cross_entropy", losses, reduction)


@gx.in_float32
def huber(prediction: TensorLike, target: TensorLike, reduction: str = "mean", *, delta: float = 1.0) -> Tensor:
    """Half the squared difference where that is at most delta in size, else delta * (size - delta / 2) (Huber 1964).

    prediction and target: numbers of one shape; delta: above 0. reduction: "mean" or "sum" over all, or "none" for each.

    >>> import graphc as gx
    >>> gx.nn.huber(gx.constant([0.5, 3.0]), gx.constant([0.0, 0.0]), "none").eval()
    array([0.125, 2.5  ])
    """
    delta = gx.ops.check_number("huber", "delta", delta)
    if not delta > 0:
        raise gx.errors.InputError(f"huber: delta is {delta!r}", where=gx.errors.caller(), hint="give a number above 0")
    x, t = _alike("huber", prediction, target)
    off = gx.abs(x - t)
    near = gx.minimum(off, delta)
    return _reduce("huber", near * (off - 0.5 * near), reduction)


@gx.in_float32
def kl_divergence(logs: TensorLike, targets: TensorLike, reduction: str = "mean", *, log_targets: bool = False) -> Tensor:
    """t * (log(t) - logs): summed over the classes, the Kullback-Leibler divergence of predicted log-probabilities from targets.

    logs: log-probabilities, floats; targets: probabilities of the same shape, or their logarithms with log_targets. Where a
    target is 0, the loss is 0. reduction: "mean" over all elements, "batch" for the sum over the size of the first axis, "sum",
    or "none".

    >>> import graphc as gx
    >>> gx.nn.kl_divergence(gx.constant([[-1.0, -2.0]]), gx.constant([[1.0, 0.0]]), "batch").eval()
    array(1.)
    """
    gx.ops.check_flag("kl_divergence", "log_targets", log_targets)
    x, t = _alike("kl_divergence", logs, targets)
    if log_targets:
        absent = t == -math.inf
        losses = gx.where(absent, 0, gx.exp(t) * (gx.where(absent, 0, t) - gx.where(absent, 0, x)))
    else:
        absent = t == 0
        losses = gx.where(absent, 0, t * (gx.log(gx.where(absent, 1, t)) - gx.where(absent, 0, x)))
    if reduction == "batch":
        if not losses.ndim:
            raise gx.errors.ShapeError("kl_divergence: a number has no batch", where=gx.errors.caller(), hint='use "sum"')
        return gx.sum(losses) / gx.full((), losses.shape[0], losses.dtype)
    return _reduce("kl_divergence", losses, reduction)


@gx.in_float32
def hinge(scores: TensorLike, targets: TensorLike, reduction: str = "mean", *, margin: float = 1.0) -> Tensor:
    """How much margin - target * score is above 0, for targets of -1 and 1.

    scores and targets: numbers of one shape. The gradient is 0 at the margin itself. reduction: "mean" or "sum" over all, or
    "none" for each.

    >>> import graphc as gx
    >>> gx.nn.hinge(gx.constant([0.25, 3.0]), gx.constant([1.0, 1.0]), "none").eval()
    array([0.75, 0.  ])
    """
    x, t = _alike("hinge", scores, targets)
    room = gx.ops.as_option(margin) - t * x
    return _reduce("hinge", gx.where(room <= 0, 0, room), reduction)


@gx.in_float32
def l1(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """The size of the difference: its mean or sum over all elements, or each for itself ("none").

    prediction and target: numbers of one shape. The gradient is 0 where they are equal.

    >>> import graphc as gx
    >>> gx.nn.l1(gx.constant([1.0, 2.0]), gx.constant([1.0, 4.0])).eval()
    array(1.)
    """
    x, t = _alike("l1", prediction, target)
    return _reduce("l1", gx.abs(x - t), reduction)


def _alike(name: str, x: TensorLike, t: TensorLike) -> tuple[Tensor, Tensor]:
    """Floats of one shape and dtype."""
    x, t = gx.asarray(x), gx.asarray(t)
    if x.shape != t.shape:
        raise gx.errors.ShapeError(
            f"{name} needs equal shapes, got {x.type} and {t.type}", where=gx.errors.caller(),
            hint="broadcasting here is nearly always a mistake: reshape one of them",
        )  # fmt: skip
    x = to_float(x)
    return x, gx.astype(t, x.dtype) if not t.dtype.is_float else t


@gx.in_float32
def mse(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """The squared difference: its mean or sum over all elements, or each for itself ("none").

    prediction and target: numbers of one shape.

    >>> import graphc as gx
    >>> gx.nn.mse(gx.constant([1.0, 2.0]), gx.constant([1.0, 4.0])).eval()
    array(2.)
    """
    x, t = _alike("mse", prediction, target)
    off = x - t
    return _reduce("mse", off * off, reduction)


def _reduce(name: str, losses: Tensor, reduction: str) -> Tensor:
    match reduction if isinstance(reduction, str) else None:
        case "mean":
            return gx.mean(losses)
        case "sum":
            return gx.sum(losses)
        case "none":
            return losses
    raise gx.errors.InputError(
        f"{name}: reduction is {reduction!r}", where=gx.errors.caller(), hint='use "mean", "sum" or "none"'
    )
