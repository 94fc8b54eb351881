"""Metrics of models, by name: made for a model's labels and outputs, with words where they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import graphc as gx
from graphc import Tensor, metrics
from graphc.layers.logits import before_sigmoid, before_softmax
from graphc.metrics import Metric
from graphc.metrics.classification import Scored
from graphc.metrics.fitting import has_classes, refused, sparse
from graphc.models.losses import NAMED as LOSSES
from graphc.models.losses import Loss, named_loss


class MeanLoss(Metric):
    """The mean of a loss."""

    def __init__(self, loss: Any, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.loss = named_loss(loss)

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        self.mean(self.loss.call(y_true, y_pred), weights)


def named_metric(value: Any, y_true: Tensor, y_pred: Tensor, loss: Loss | None = None) -> Metric:
    """The metric that a name, a class, a function (y_true, y_pred) or a Metric stands for; "accuracy" is the one that fits.

    loss: the model's, which says whether outputs are logits.
    """
    made = _made(value, y_true, y_pred, loss)
    if isinstance(made, Scored):
        made.taken_as(loss.link_of(y_pred) if loss is not None else None)
    return made


def _made(value: Any, y_true: Tensor | None, y_pred: Tensor | None, loss: Loss | None) -> Metric:
    if isinstance(value, Metric):
        return value
    if isinstance(value, str):
        if value in ("accuracy", "acc") and y_true is not None and y_pred is not None:
            return _accuracy(value, y_true, y_pred, loss)(name=value)
        outside = OUTSIDE.get(value.lower())
        if outside is not None:
            raise gx.errors.InputError(
                f"{value} is added up outside the graph", where=gx.errors.caller(),
                hint=f"metric = gx.metrics.{outside.__name__}(); metric.update(...) with what predict gives; metric.result()",
            )  # fmt: skip
        made = NAMED.get(value) or NAMED.get(value.lower()) or CLASSES.get(value)
        if made is not None:
            return made(name=value)
        if value in LOSSES:
            return MeanLoss(value, name=value)
    if isinstance(value, type) and issubclass(value, Metric):
        return value()
    if callable(value) and not isinstance(value, type):
        return MeanLoss(value, name=getattr(value, "__name__", None) or getattr(value, "name", "metric"))
    raise gx.errors.InputError(
        f"no metric {value!r}", where=gx.errors.caller(),
        hint="a Metric, a function (y_true, y_pred), accuracy, or one of " + ", ".join(dict.fromkeys([*NAMED, *LOSSES])),
    )  # fmt: skip


def look_at_metric(value: Any, y_pred: Tensor, loss: Loss) -> None:
    """Raise GraphError for a metric that fits none of the targets which a loss takes for an output, before there are any."""
    if not isinstance(value, (str, Metric)) or not type(value).__module__.startswith(("builtins", gx.__name__)):
        return  # somebody else's
    first: gx.GraphError | None = None
    for shape, dtype in targets_of(loss, y_pred):
        y_true = gx.placeholder("y", shape, dtype)
        try:
            with gx.layers.seeded(0):  # whose names and state are nobody's
                one = value if isinstance(value, str) else type(value).from_config(value.get_config())
                named_metric(one, y_true, y_pred, loss)(y_true, y_pred, gx.ones(y_pred.shape[:1], "float64"), training=True)
        except gx.GraphError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def targets_of(loss: Loss, y_pred: Tensor) -> list[tuple[Any, str]]:
    """The shapes and dtypes that targets may have, for all that the loss says; those that are usual come first."""
    if not y_pred.ndim:
        return []
    numbers, labels = (y_pred.shape, "float32"), (y_pred.shape[:-1], "int64")
    match loss.kind:
        case "sparse_categorical_crossentropy" | "categorical_generalized_cross_entropy":
            return [labels]
        case "categorical_crossentropy" | "categorical_focal_crossentropy" | "categorical_hinge":
            return [numbers]
        case "ctc":
            return []
    whole = [numbers, (y_pred.shape, "int64")]
    return [*whole, (y_pred.shape[:-1], "float32"), labels] if y_pred.shape[-1] == 1 or loss.own else whole


def check_name(value: Any) -> None:
    """Raise InputError for what is no metric, whatever labels and outputs are."""
    if not (isinstance(value, str) and value in ("accuracy", "acc")):
        _made(value, None, None, None)


def _accuracy(name: str, y_true: Tensor, y_pred: Tensor, loss: Loss | None) -> Callable[..., Metric]:
    """The accuracy that fits labels and outputs; an error where the targets are no labels."""
    labels = not y_true.dtype.is_float or (loss is not None and loss.of_labels)
    if not labels and loss is not None and before_softmax(y_pred) is None and before_sigmoid(y_pred) is None:
        raise refused(
            name, y_true, y_pred, f"for {loss.name} the targets are numbers, and accuracy counts labels",
            "mae, rmse or r2_score for a regression; integer labels for a classifier",
        )  # fmt: skip
    if not has_classes(y_pred):
        return metrics.BinaryAccuracy
    if sparse(y_true, y_pred):
        return metrics.SparseCategoricalAccuracy
    return metrics.BinaryAccuracy if loss is not None and loss.link == "sigmoid" else metrics.CategoricalAccuracy


NAMED: Mapping[str, Callable[..., Metric]] = {
    "binary_accuracy": metrics.BinaryAccuracy,
    "categorical_accuracy": metrics.CategoricalAccuracy,
    "sparse_categorical_accuracy": metrics.SparseCategoricalAccuracy,
    "top_k_categorical_accuracy": metrics.TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": metrics.SparseTopKCategoricalAccuracy,
    "top_5_accuracy": metrics.SparseTopKCategoricalAccuracy,
    "precision": metrics.Precision,
    "recall": metrics.Recall,
    "f1": partial(metrics.F1Score, "macro"),
    "f1_score": partial(metrics.F1Score, "macro"),
    "auc": metrics.AUC,
    "roc_auc": metrics.AUC,
    "average_precision": partial(metrics.AUC, curve="PR"),
    "confusion_matrix": metrics.ConfusionMatrix,
    "mean_iou": metrics.MeanIoU,
    "iou": metrics.MeanIoU,
    "dice_score": metrics.DiceScore,
    "perplexity": metrics.Perplexity,
    "mae": metrics.MeanAbsoluteError,
    "mean_absolute_error": metrics.MeanAbsoluteError,
    "mse": metrics.MeanSquaredError,
    "mean_squared_error": metrics.MeanSquaredError,
    "rmse": metrics.RootMeanSquaredError,
    "root_mean_squared_error": metrics.RootMeanSquaredError,
    "mape": metrics.MeanAbsolutePercentageError,
    "mean_absolute_percentage_error": metrics.MeanAbsolutePercentageError,
    "r2": metrics.R2Score,
    "r2_score": metrics.R2Score,
    "cosine_similarity": metrics.CosineSimilarity,
}
OUTSIDE: Mapping[str, type[metrics.HostMetric]] = {
    "bleu": metrics.BLEU, "wer": metrics.WordErrorRate, "cer": metrics.CharacterErrorRate, "map": metrics.MeanAveragePrecision,
    **{cls.__name__.lower(): cls for cls in (metrics.WordErrorRate, metrics.CharacterErrorRate, metrics.MeanAveragePrecision)},
}  # fmt: skip
CLASSES: Mapping[str, type[Metric]] = {
    name: cls
    for name, cls in ((name, getattr(metrics, name)) for name in metrics.__all__)
    if issubclass(cls, Metric) and cls not in (Metric, metrics.Mean)
}
