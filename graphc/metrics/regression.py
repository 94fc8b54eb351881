"""Figures of regressions."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.metrics.fitting import alike, spread
from graphc.metrics.metric import Metric


def off(name: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Outputs less targets, in float64."""
    y_true, y_pred = alike(name, y_true, y_pred)
    return gx.astype(y_pred, "float64") - gx.astype(y_true, "float64")


class MeanAbsoluteError(Metric):
    """The mean of |y_pred - y_true|."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        self.mean(gx.abs(off(self.name, y_true, y_pred)), weights)


class MeanSquaredError(Metric):
    """The mean of (y_pred - y_true)^2."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        self.mean(gx.square(off(self.name, y_true, y_pred)), weights)


class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of (y_pred - y_true)^2."""

    def result(self) -> Tensor:
        return gx.sqrt(super().result())


class MeanAbsolutePercentageError(Metric):
    """100 times the mean of |y_pred - y_true| / |y_true|, the latter at least 1e-7."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        y_true, y_pred = alike(self.name, y_true, y_pred)
        size = gx.maximum(gx.abs(gx.astype(y_true, "float64")), 1e-7)
        self.mean(100 * gx.abs(off(self.name, y_true, y_pred)) / size, weights)


class R2Score(Metric):
    """The coefficient of determination: 1 - sum (y_true - y_pred)^2 / sum (y_true - mean of y_true)^2.

    Of targets [batch, outputs] one for each output. class_aggregation: "uniform_average" of them, "variance_weighted_average", by
    the targets' variances, or None for each. Means and sums of squares about them are joined batch by batch (Chan, Golub and
    LeVeque 1983), so a mean far from 0 costs no precision. An output whose targets are all equal has 1 where it is predicted
    exactly, else 0.
    """

    def __init__(self, class_aggregation: str | None = "uniform_average", name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise gx.errors.InputError(
                f"{self.name}: class_aggregation is {class_aggregation!r}", where=gx.errors.caller(),
                hint="uniform_average, variance_weighted_average or None",
            )  # fmt: skip
        self.class_aggregation = class_aggregation

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        y_true, y_pred = (gx.astype(y, "float64") for y in alike(self.name, y_true, y_pred))
        if y_true.ndim == 1:
            y_true, y_pred = gx.expand_dims(y_true, -1), gx.expand_dims(y_pred, -1)
        w = spread(weights, y_true)
        axes = tuple(range(y_true.ndim - 1))
        outputs = y_true.shape[-1:]
        count, mean, about = (
            self.variable(name, outputs, trainable=False, dtype="float64") for name in ("count", "mean", "squares_about_mean")
        )
        n = gx.sum(w, axis=axes)
        own = gx.sum(w * y_true, axis=axes) / gx.where(n == 0, 1, n)
        both = count + n
        apart = own - mean
        part = n / gx.where(both == 0, 1, both)
        self.update(count, both)
        self.update(mean, mean + apart * part)
        self.update(about, about + gx.sum(w * gx.square(y_true - own), axis=axes) + gx.square(apart) * count * part)
        self.add("squares_off", gx.sum(w * gx.square(y_true - y_pred), axis=axes))

    def result(self) -> Tensor:
        missed, spread_out = self.state("squares_off"), self.state("squares_about_mean")
        flat = spread_out == 0
        each = gx.where(flat, gx.where(missed == 0, 1.0, 0.0), 1 - missed / gx.where(flat, 1, spread_out))
        if self.class_aggregation is None:
            return gx.squeeze(each, 0) if each.shape == (1,) else each
        if self.class_aggregation == "uniform_average":
            return gx.mean(each)
        total = gx.sum(spread_out)
        return gx.where(total == 0, gx.mean(each), gx.sum(each * spread_out) / gx.where(total == 0, 1, total))


class CosineSimilarity(Metric):
    """The mean cosine of the angle between targets and outputs along an axis; 0 where one of them is 0."""

    def __init__(self, axis: int = -1, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        a, b = (gx.astype(y, "float64") for y in alike(self.name, y_true, y_pred))
        if a.ndim < 2:
            raise gx.errors.ShapeError(
                f"{self.name} needs vectors for each sample, got {y_true.type}", where=gx.errors.caller(),
                hint="[batch, elements]",
            )  # fmt: skip
        length = gx.sqrt(gx.sum(a * a, axis=self.axis)) * gx.sqrt(gx.sum(b * b, axis=self.axis))
        self.mean(gx.sum(a * b, axis=self.axis) / gx.where(length == 0, 1, length), weights)
