"""Metrics of models, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import graphc as gx
from graphc import Tensor, metrics
from graphc.metrics import Metric


def named_metric(value: Any, y_true: Tensor, y_pred: Tensor) -> Metric:
    """The metric that a name, a class or a Metric stands for; "accuracy" is the one that fits labels and outputs."""
    if isinstance(value, Metric):
        return value
    if isinstance(value, str):
        if value in ("accuracy", "acc"):
            return _accuracy(y_true, y_pred)(name=value)
        if value in NAMED:
            return NAMED[value](name=value)
    if isinstance(value, type) and issubclass(value, Metric):
        return value()
    raise gx.errors.InputError(
        f"no metric {value!r}", where=gx.errors.caller(), hint="a Metric, accuracy, or one of " + ", ".join(NAMED)
    )


def _accuracy(y_true: Tensor, y_pred: Tensor) -> Callable[..., Metric]:
    if y_pred.ndim and y_pred.shape[-1] == 1:
        return metrics.BinaryAccuracy
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return metrics.SparseCategoricalAccuracy
    return metrics.CategoricalAccuracy


NAMED: Mapping[str, Callable[..., Metric]] = {
    "binary_accuracy": metrics.BinaryAccuracy,
    "categorical_accuracy": metrics.CategoricalAccuracy,
    "sparse_categorical_accuracy": metrics.SparseCategoricalAccuracy,
}
