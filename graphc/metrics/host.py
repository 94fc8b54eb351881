"""Figures that are added up outside a graph, from arrays and lists: their state grows with the data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

import graphc as gx

Array = np.ndarray[Any, Any]


class HostMetric(ABC):
    """A figure of a data set: `update` adds to it, `result` gives it, `reset` begins anew."""

    @abstractmethod
    def reset(self) -> None:
        """Begin anew."""

    @abstractmethod
    def result(self) -> float:
        """The figure so far; NaN where nothing decides it."""


class ExactAUC(HostMetric):
    """The area under the curve of all scores, each of them kept: 9 bytes a sample, 17 with a weight.

    curve: "ROC", or "PR" for the average precision, as `AUC`'s.

    >>> import graphc as gx
    >>> area = gx.metrics.ExactAUC()
    >>> area.update([0, 1, 1], [0.1, 0.4, 0.35]); area.update([0], [0.4])
    >>> area.result()
    0.625
    """

    def __init__(self, curve: str = "ROC") -> None:
        if curve not in ("ROC", "PR"):
            raise gx.errors.InputError(f"ExactAUC: curve is {curve!r}", where=gx.errors.caller(), hint='"ROC" or "PR"')
        self.curve = curve
        self.reset()

    def reset(self) -> None:
        self._labels: list[Array] = []
        self._scores: list[Array] = []
        self._weights: list[Array | None] = []

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add labels, 1 and 0 or booleans, and their scores: probabilities or logits, of the same number of elements."""
        labels, scores = np.asarray(y_true).reshape(-1) > 0.5, np.array(y_pred, np.float64).reshape(-1)
        weights = None if sample_weight is None else np.array(sample_weight, np.float64).reshape(-1)
        if len(labels) != len(scores) or (weights is not None and len(weights) != len(scores)):
            raise gx.errors.ShapeError(
                f"ExactAUC: {len(labels)} labels, {len(scores)} scores"
                + ("" if weights is None else f", {len(weights)} weights"),
                where=gx.errors.caller(), hint="one of each for every sample",
            )  # fmt: skip
        self._labels.append(labels)
        self._scores.append(scores)
        self._weights.append(weights)

    def result(self) -> float:
        if not self._scores:
            return float("nan")
        labels, scores = np.concatenate(self._labels), np.concatenate(self._scores)
        weights = np.concatenate(
            [np.ones(len(s)) if w is None else w for w, s in zip(self._weights, self._scores, strict=True)]
        )
        if np.isnan(scores).any():
            return float("nan")
        order = np.argsort(-scores, kind="stable")
        labels, scores, weights = labels[order], scores[order], weights[order]
        last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of each run of equal scores
        right, wrong = np.cumsum(labels * weights)[last], np.cumsum(~labels * weights)[last]
        if not right[-1] or (self.curve == "ROC" and not wrong[-1]):
            return float("nan")
        steps = np.diff(right, prepend=0)
        if self.curve == "ROC":
            return float((np.diff(wrong, prepend=0) * (right - steps / 2)).sum() / (right[-1] * wrong[-1]))
        seen = right + wrong
        return float((steps * right / np.where(seen == 0, 1, seen)).sum() / right[-1])
