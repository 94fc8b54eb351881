"""Labels and outputs of a model in one form, and words where they do not fit each other."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor


def refused(name: str, y_true: Tensor, y_pred: Tensor, why: str, hint: str) -> gx.GraphError:
    """The error for a metric that labels and outputs do not fit."""
    return gx.errors.InputError(
        f"{name} does not fit labels {y_true.type} and outputs {y_pred.type}: {why}", where=gx.errors.caller(), hint=hint
    )


def has_classes(y_pred: Tensor) -> bool:
    """Whether an output has a score for each of several classes along its last axis."""
    return y_pred.ndim > 1 and y_pred.shape[-1] != 1


def alike(name: str, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and outputs of one shape: [batch] and [batch, 1] fit each other, as [batch]."""
    if y_true.shape != y_pred.shape:
        y_true, y_pred = (gx.squeeze(y, -1) if y.ndim > 1 and y.shape[-1] == 1 else y for y in (y_true, y_pred))
    if y_true.shape != y_pred.shape:
        raise refused(name, y_true, y_pred, "they would broadcast", "both need one shape")
    return y_true, y_pred


def sparse(y_true: Tensor, y_pred: Tensor) -> bool:
    """Whether labels are numbers of classes, [batch, ...] or [batch, ..., 1], of scores [batch, ..., classes]."""
    return y_true.ndim == y_pred.ndim - 1 or (y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 != y_pred.shape[-1])


def class_numbers(name: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The labels as numbers of classes, int64 [batch, ...], for scores [batch, ..., classes]."""
    if not has_classes(y_pred):
        raise refused(name, y_true, y_pred, "the output has no scores of several classes", 'binary_accuracy, or "accuracy"')
    if sparse(y_true, y_pred):
        labels = gx.squeeze(y_true, -1) if y_true.ndim == y_pred.ndim else y_true
        if labels.shape == y_pred.shape[:-1]:
            return gx.astype(labels, "int64")
    if y_true.shape != y_pred.shape:
        raise refused(name, y_true, y_pred, "they are of other shapes", "labels are [batch] integers, or [batch, classes]")
    return gx.astype(gx.argmax(y_true, axis=-1), "int64")


def class_columns(name: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The labels as float64 [batch, ..., classes], 1 or 0, for scores [batch, ..., classes]."""
    if sparse(y_true, y_pred):
        return gx.one_hot(class_numbers(name, y_true, y_pred), y_pred.shape[-1], dtype="float64")
    if y_true.shape != y_pred.shape:
        raise refused(name, y_true, y_pred, "they are of other shapes", "labels are [batch] integers, or [batch, classes]")
    return gx.astype(y_true > 0.5, "float64") if y_true.dtype.is_float else gx.astype(y_true != 0, "float64")


def spread(weights: Tensor, like: Tensor) -> Tensor:
    """The weights of samples in the shape of what samples have: [batch] or a leading part of its axes."""
    w = gx.astype(weights, "float64")
    if w.ndim > like.ndim:  # one figure for all steps of a sample
        w = gx.max(w, axis=tuple(range(like.ndim, w.ndim)))
    while w.ndim < like.ndim:
        w = gx.expand_dims(w, -1)
    return gx.broadcast_to(w, like.shape)
