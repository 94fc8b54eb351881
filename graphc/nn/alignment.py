"""Connectionist temporal classification: the loss of labels whose places in time are not known."""

from __future__ import annotations

import math
from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float


@gx.in_float32
def ctc_loss(
    log_probs: TensorLike, targets: TensorLike, input_lengths: TensorLike, target_lengths: TensorLike, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """-log of the probability of all alignments of a target with the steps of time: labels repeated, and blanks between them.

    By the forward recursion of Graves et al. 2006 ("Connectionist temporal classification", ICML), a scan over time in
    logarithms; the gradient follows from it. Arguments, order and reductions are those of torch.nn.functional.ctc_loss.

    log_probs: floats [time, batch, classes], the logarithms of probabilities (`gx.nn.log_softmax`). targets: integers [batch,
    labels], of which the first target_lengths count; no label may be the blank. input_lengths, target_lengths: integers [batch].
    blank: the number of the class that stands for none. reduction: "mean" of the losses, each over the length of its target (at
    least 1), "sum", or "none" for each. A target that no alignment fits has the loss inf; with zero_infinity 0, and no gradient.

    >>> import graphc as gx
    >>> even = gx.log(gx.full((2, 1, 2), 0.5))  # two steps, a blank and one label: three of the four paths give it
    >>> round(float(gx.nn.ctc_loss(even, gx.constant([[1]]), gx.constant([2]), gx.constant([1])).eval()), 6)
    0.287682
    """
    x, labels = to_float(log_probs), gx.asarray(targets)
    steps, lengths = gx.asarray(input_lengths), gx.asarray(target_lengths)
    gx.ops.check_flag("ctc_loss", "zero_infinity", zero_infinity)
    blank = gx.ops.normalize_integer("ctc_loss", "blank", blank)
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise gx.errors.InputError(
            f"ctc_loss: reduction is {reduction!r}", where=gx.errors.caller(), hint='"mean", "sum" or "none"'
        )
    batch = labels.shape[:1]
    if x.ndim != 3 or labels.ndim != 2 or x.shape[1:2] != batch or steps.shape != batch or lengths.shape != batch:
        raise gx.errors.ShapeError(
            f"ctc_loss needs log_probs [time, batch, classes], targets [batch, labels] and two lengths [batch], got {x.type}, "
            f"{labels.type}, {steps.type} and {lengths.type}",
            where=gx.errors.caller(),
        )  # fmt: skip
    for what in (labels, steps, lengths):
        if not what.dtype.is_integer:
            raise gx.errors.DTypeError(f"ctc_loss needs integers, got {what.type}", where=gx.errors.caller())
    classes = x.shape[2]
    if isinstance(classes, int) and not 0 <= blank < classes:
        raise gx.errors.InputError(f"ctc_loss: blank is {blank} of {classes} classes", where=gx.errors.caller())
    labels, steps, lengths = (gx.astype(n, gx.int64) for n in (labels, steps, lengths))
    lengths, steps = gx.expand_dims(lengths, 1), gx.expand_dims(steps, 1)
    states: Any = 2 * labels.shape[1] + 1  # blank, label, blank, label, ..., blank
    state = gx.arange(states)
    between = gx.full((labels.shape[0], 1), blank, gx.int64)
    woven = gx.reshape(gx.stack([gx.broadcast_to(between, labels.shape), labels], -1), (labels.shape[0], 2 * labels.shape[1]))
    wanted = gx.concat([woven, between], 1)
    before = gx.concat([between, between, wanted], 1)[:, :states]
    may_skip = (wanted != blank) & (wanted != before) & (state > 1)
    scores = gx.take_along_axis(x, gx.broadcast_to(wanted[None], (x.shape[0], *wanted.shape)), axis=2)
    reached = state <= 2 * lengths

    def shifted(alpha: Tensor, by: int) -> Tensor:
        edge = gx.full((alpha.shape[0], by), -math.inf, alpha.dtype)
        return gx.concat([edge, alpha], 1)[:, :states]

    def step(alpha: Tensor, now: Any) -> tuple[Tensor, None]:
        score, number = now
        skipped = gx.where(may_skip, shifted(alpha, 2), -math.inf)
        total = gx.logsumexp(gx.stack([alpha, shifted(alpha, 1), skipped]), axis=0)
        return gx.where((number < steps) & reached, total + score, alpha), None

    # before the first step only the first blank is open, from which the first label is one place away
    begin = gx.where(gx.broadcast_to(state == 0, wanted.shape), gx.zeros((), x.dtype), -math.inf)
    alpha, _ = gx.scan(step, begin, (scores, gx.arange(x.shape[0])))
    ends = gx.where((state == 2 * lengths) | (state == 2 * lengths - 1), alpha, -math.inf)
    losses: Tensor = -gx.logsumexp(ends, axis=1)
    if zero_infinity:
        losses = gx.where(losses == math.inf, 0, losses)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return gx.sum(losses)
    return gx.mean(losses / gx.astype(gx.maximum(gx.squeeze(lengths, 1), 1), losses.dtype))


__all__ = ["ctc_loss"]
