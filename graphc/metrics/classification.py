"""Figures of classifiers."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.metrics.metric import Metric


class Accuracy(Metric):
    """How many labels equal the predictions."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        self.mean(gx.astype(y_true == y_pred, "float64"), weights)


class BinaryAccuracy(Metric):
    """How many predictions lie on their label's side of a threshold."""

    def __init__(self, threshold: float = 0.5, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.threshold = threshold

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        self.mean(gx.astype((y_pred > self.threshold) == (y_true > 0.5), "float64"), weights)


class SparseCategoricalAccuracy(Metric):
    """How often the largest of the scores [batch, ..., classes] is that of the label [batch, ...], an integer."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        self.mean(gx.astype(gx.argmax(y_pred, axis=-1) == gx.astype(y_true, "int64"), "float64"), weights)


class CategoricalAccuracy(Metric):
    """How often the largest of the scores [batch, ..., classes] is that of the largest of the labels' probabilities."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        self.mean(gx.astype(gx.argmax(y_pred, axis=-1) == gx.argmax(y_true, axis=-1), "float64"), weights)
