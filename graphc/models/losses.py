"""Losses of models, by name: functions (y_true, y_pred) -> one number a sample.

A model's output may be probabilities or the logits they are made of: the graph shows which. Where it ends in a softmax or a
sigmoid, the loss is computed from what went into it, exactly and without overflow. `from_logits` says what is meant; where the
graph shows something else, it is an error.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc import Tensor, advice
from graphc.layers import mask_of
from graphc.layers.logits import before_sigmoid, before_softmax, is_linear

Array = np.ndarray[Any, Any]
PerSample = Callable[[Tensor, Tensor], Tensor]


# What becomes of the numbers of a batch: their mean, the mean by the weights of samples, their sum, or nothing.
REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none")
# Options of Keras's losses that are not here: values that change nothing, and what there is instead.
_ELSEWHERE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "axis": ((-1, None), "classes are the last axis: gx.moveaxis before"), "dtype": ((None, "float32"), "it is the output's"),
}  # fmt: skip


class Loss:
    """A loss: `call(y_true, y_pred)` gives one number a sample, [batch].

    name: what messages and figures call it. reduction: what a batch's loss is, "sum_over_batch_size" or "mean", the mean;
    "mean_with_sample_weight", the sum of the weighted numbers over that of the weights; "sum", the sum over samples (and steps)
    of the means over the last axis; "none", all of these numbers where the loss is called, and nothing to train by.

    >>> import numpy as np, graphc as gx
    >>> loss = gx.models.losses.MeanSquaredError(reduction="sum")
    >>> float(loss(np.zeros((2, 2)), np.array([[1.0, 1.0], [0.0, 2.0]])).eval())
    3.0
    """

    name = "loss"
    reduction = "sum_over_batch_size"
    link: str | None = None  # what makes probabilities of logits, "sigmoid" or "softmax"; None where a loss takes none
    of_labels = False  # whether targets are labels, or probabilities of them, rather than numbers
    from_logits: bool | None = None

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", **unknown: Any) -> None:
        for option, value in unknown.items():
            same, hint = _ELSEWHERE.get(option, ((), ""))
            if value not in same:
                known = inspect.signature(type(self).__init__).parameters.values()
                names = [p.name for p in known if p.name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
                raise gx.errors.InputError(
                    f"{type(self).__name__} has no option {option}" + (f"={value!r}" if same else ""), where=gx.errors.caller(),
                    hint=hint or "it has " + ", ".join(dict.fromkeys([*names, "name", "reduction"])),
                )  # fmt: skip
        if reduction is None:
            reduction = "none"
        if reduction not in REDUCTIONS:
            raise gx.errors.InputError(
                f"{type(self).__name__}: reduction is {reduction!r}", where=gx.errors.caller(), hint=" or ".join(REDUCTIONS)
            )
        if name is not None:
            self.name = name
        if reduction != type(self).reduction:
            self.reduction = reduction

    @property
    def kind(self) -> str:
        """The name of the formula, whatever the loss is called."""
        return type(self).name

    @property
    def own(self) -> bool:
        """Whether it is the user's, who alone knows what targets it takes."""
        return type(self).__module__ != __name__

    def link_of(self, y_pred: Tensor) -> str | None:
        """What is to make probabilities of a model's output; None where they are some already, or are not to be."""
        if self.link is None or self.from_logits is False:
            return None
        return self.link if before_softmax(y_pred) is None and before_sigmoid(y_pred) is None else None

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise NotImplementedError

    def check(self, y_true: Array, y_pred: Tensor) -> None:
        """Raise InputError for an array of all targets that this loss does not take."""

    def look(self, y_pred: Tensor) -> None:
        """Raise GraphError for an output that can be seen not to fit, whatever the targets: before there are any."""
        check_output(self.name, y_pred)
        if self.link == "softmax":
            logits_for(self.name, y_pred, self.from_logits)
        elif self.link == "sigmoid":
            binary_parts(self.name, y_pred, self.from_logits, warn=False)

    def get_config(self) -> dict[str, Any]:
        """The options that make such a loss again."""
        return dict(vars(self))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch, each sample times its weight, [batch], or each step, [batch, time]; see `reduction`."""
        weights = None if sample_weight is None else gx.asarray(sample_weight)
        y_true, y_pred = gx.asarray(y_true), gx.asarray(y_pred)
        if self.reduction == "none":
            return weighted(self, y_true, y_pred, weights)[0]
        return gx.mean(of_samples(self, y_true, y_pred, weights))


class _Function(Loss):
    def __init__(self, function: PerSample, name: str) -> None:
        self.function, self.name = function, name

    @property
    def kind(self) -> str:
        return self.name

    @property
    def own(self) -> bool:
        return self.function not in FUNCTIONS.values()

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred)


class SparseCategoricalCrossentropy(Loss):
    """-log of the probability of the label: y_true integers [batch, ...], y_pred [batch, ..., classes].

    from_logits: True for logits, False for probabilities, None to see it in the graph.
    """

    name, link, of_labels = "sparse_categorical_crossentropy", "softmax", True

    def __init__(self, from_logits: bool | None = None, ignore_class: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.from_logits, self.ignore_class = from_logits, ignore_class

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = logits_for(self.name, y_pred, self.from_logits)
        if y_true.ndim == logits.ndim and y_true.shape[-1] != 1:
            raise _unlike(
                self.name, y_true, y_pred, "one number of a class for each sample",
                "categorical_crossentropy takes one number for each class; or give y.argmax(-1)",
            )  # fmt: skip
        labels = gx.squeeze(y_true, -1) if y_true.ndim == logits.ndim else y_true
        if labels.shape != logits.shape[:-1]:
            raise _unlike(self.name, y_true, y_pred, "one number of a class for each sample", "[batch] integers, or [batch, 1]")
        if not labels.dtype.is_integer:
            labels = gx.astype(labels, "int64")
        return gx.nn.cross_entropy(logits, labels, reduction="none", ignore=self.ignore_class)


    def check(self, y_true: Array, y_pred: Tensor) -> None:
        check_classes(self.name, y_true, y_pred, self.ignore_class)


class CategoricalCrossentropy(Loss):
    """-sum(t log p): y_true probabilities and y_pred [batch, ..., classes]. from_logits: see SparseCategoricalCrossentropy."""

    name, link, of_labels = "categorical_crossentropy", "softmax", True

    def __init__(self, from_logits: bool | None = None, label_smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = logits_for(self.name, y_pred, self.from_logits)
        targets = gx.astype(one_number_a_class(self.name, y_true, y_pred), logits.dtype)
        return gx.nn.cross_entropy(logits, targets, reduction="none", smoothing=self.label_smoothing)

    def check(self, y_true: Array, y_pred: Tensor) -> None:
        check_parts(self.name, y_true, y_pred)


class BinaryCrossentropy(Loss):
    """-t log p - (1 - t) log(1 - p), the mean over the last axes. from_logits: see SparseCategoricalCrossentropy.

    label_smoothing: the part of each label that is replaced by 1/2.
    """

    name, link, of_labels = "binary_crossentropy", "sigmoid", True

    def __init__(self, from_logits: bool | None = None, label_smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits, p = binary_parts(self.name, y_pred, self.from_logits)
        t = _smoothed(_alike(y_true, y_pred), self.label_smoothing)
        if logits is None:
            return -(t * gx.log(p) + (1 - t) * gx.log(1 - p))
        return gx.nn.binary_cross_entropy(logits, t, reduction="none")

    def check(self, y_true: Array, y_pred: Tensor) -> None:
        check_parts(self.name, y_true, y_pred)


class BinaryFocalCrossentropy(Loss):
    """The binary cross-entropy times (1 - the probability of the label)^gamma (Lin et al. 2017, arXiv:1708.02002).

    apply_class_balancing: times alpha for labels of 1, and 1 - alpha for 0. label_smoothing: see BinaryCrossentropy. from_logits:
    see SparseCategoricalCrossentropy.
    """

    name, link, of_labels = "binary_focal_crossentropy", "sigmoid", True

    def __init__(
        self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool | None = None,
        label_smoothing: float = 0.0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.apply_class_balancing, self.alpha, self.gamma, self.from_logits = apply_class_balancing, alpha, gamma, from_logits
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits, p = binary_parts(self.name, y_pred, self.from_logits)
        t = _smoothed(_alike(y_true, y_pred), self.label_smoothing)
        each = BinaryCrossentropy(self.from_logits).call(t, y_pred)
        missed = t * (gx.sigmoid(-logits) if logits is not None else 1 - p) + (1 - t) * p  # 1 - p without cancellation
        each = each * gx.pow(missed, self.gamma)
        return each * (t * self.alpha + (1 - t) * (1 - self.alpha)) if self.apply_class_balancing else each

    def check(self, y_true: Array, y_pred: Tensor) -> None:
        check_parts(self.name, y_true, y_pred)


class CategoricalFocalCrossentropy(Loss):
    """-alpha sum(t (1 - p)^gamma log p): y_true and y_pred [batch, ..., classes] (Lin et al. 2017, arXiv:1708.02002).

    label_smoothing: the part of each label that is shared among all classes.
    """

    name, link, of_labels = "categorical_focal_crossentropy", "softmax", True

    def __init__(
        self, alpha: Any = 0.25, gamma: float = 2.0, from_logits: bool | None = None, label_smoothing: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.alpha, self.gamma, self.from_logits, self.label_smoothing = alpha, gamma, from_logits, label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logs = gx.nn.log_softmax(logits_for(self.name, y_pred, self.from_logits))
        t = gx.astype(one_number_a_class(self.name, y_true, y_pred), logs.dtype)
        t = _smoothed(t, self.label_smoothing, y_pred.shape[-1])
        focus = gx.pow(-gx.expm1(logs), self.gamma)
        alpha = gx.astype(gx.asarray(self.alpha), logs.dtype)
        return -gx.sum(alpha * t * focus * logs, axis=-1)

    def check(self, y_true: Array, y_pred: Tensor) -> None:
        check_parts(self.name, y_true, y_pred)


def _smoothed(t: Tensor, part: float, classes: Any = 2) -> Tensor:
    """Labels of which a part is shared among all classes."""
    return t * (1 - part) + part / classes if part else t


def check_classes(name: str, y_true: Array, y_pred: Tensor, ignored: int | None) -> None:
    """Refuse labels that are no classes of an output [batch, ..., classes]."""
    classes = y_pred.shape[-1]
    if not isinstance(classes, int) or not y_true.size:
        return
    labels = np.asarray(y_true)
    if ignored is not None:
        labels = labels[labels != ignored]
    if classes == 1 and labels.size and labels.any():
        raise gx.errors.InputError(
            f"{name} of an output {y_pred.type}: of one class the probability is always 1", where=gx.errors.caller(),
            hint="a unit for each class; or one unit and binary_crossentropy for two",
        )  # fmt: skip
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = f"the largest label is {labels.max()}" if labels.max() >= classes else f"the smallest label is {labels.min()}"
        from_one = labels.min() == 1 and labels.max() == classes
        hint = "labels count from 0: give y - 1" if from_one else "a unit for each class; ignore_class= for a label without one"
        raise gx.errors.InputError(
            f"{name}: {wrong}, and the model's output has {classes} classes, 0 to {classes - 1}", where=gx.errors.caller(),
            hint=hint,
        )  # fmt: skip


def check_parts(name: str, y_true: Array, y_pred: Tensor) -> None:
    """Refuse targets that are no probabilities."""
    flat = y_true.ndim < y_pred.ndim and y_pred.shape[-1] != 1  # refused with its own words when the program is built
    if y_true.dtype.kind == "b" or not y_true.size or flat:
        return
    low, high = y_true.min(), y_true.max()
    if low < 0 or high > 1:
        raise gx.errors.InputError(
            f"{name} takes labels from 0 to 1, got some from {low} to {high}", where=gx.errors.caller(),
            hint="(y + 1) / 2 for labels of -1 and 1; sparse_categorical_crossentropy for numbers of classes",
        )  # fmt: skip


def check_output(name: str, y_pred: Tensor) -> None:
    """Refuse an output that is the same whatever goes in."""
    if y_pred.ndim and y_pred.shape[-1] == 1 and before_softmax(y_pred) is not None:
        raise gx.errors.InputError(
            f"{name} of an output {y_pred.type}: a softmax over one unit is always 1", where=gx.errors.caller(),
            hint="a sigmoid for one unit, or two units",
        )  # fmt: skip


def logits_for(name: str, y_pred: Tensor, from_logits: bool | None) -> Tensor:
    """What a softmax of gives the probabilities of an output: see this module's first lines."""
    if y_pred.ndim < 2:
        raise gx.errors.ShapeError(
            f"{name} of an output {y_pred.type}, which has no classes", where=gx.errors.caller(), hint="[batch, ..., classes]"
        )
    if before_sigmoid(y_pred) is not None:
        raise gx.errors.InputError(
            f"{name} is of classes that exclude each other, and the model's output went through a sigmoid",
            where=gx.errors.caller(),
            hint="leave out the sigmoid, or make it a softmax; binary_crossentropy where several classes hold at once",
        )  # fmt: skip
    found = before_softmax(y_pred)
    if found is not None:
        if from_logits:
            raise _twice(name, "softmax")
        return found
    if from_logits is False:
        if is_linear(y_pred):
            raise _missing(name, "softmax")
        return gx.log(gx.clip(y_pred, 1e-7, 1.0))
    return y_pred


def binary_parts(
    name: str, y_pred: Tensor, from_logits: bool | None, warn: bool = True
) -> tuple[Tensor | None, Tensor]:  # fmt: skip
    """An output's logits, or None where it has none, and its probabilities, without 0 and 1 where there are no logits."""
    found = before_sigmoid(y_pred)
    if found is not None:
        if from_logits:
            raise _twice(name, "sigmoid")
        return found, y_pred
    if before_softmax(y_pred) is not None:
        if from_logits or y_pred.shape[-1] == 1:
            raise _twice(name, "softmax")
        if warn:
            warnings.warn(
                gx.errors.GraphWarning(
                    f"{name} takes each class of a softmax for itself\n  hint: categorical_crossentropy, or a sigmoid where "
                    "several classes hold at once"
                ),
                stacklevel=2,
            )
    elif from_logits is not False:
        return y_pred, gx.sigmoid(y_pred)
    elif is_linear(y_pred):
        raise _missing(name, "sigmoid")
    return None, gx.clip(y_pred, 1e-7, 1 - 1e-7)


def one_number_a_class(name: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Targets that have one number for each class."""
    if y_true.shape != y_pred.shape:
        raise _unlike(name, y_true, y_pred, "one number for each class", f"sparse_{name} takes the numbers of classes"
                      if name == "categorical_crossentropy" else "one-hot labels: np.eye(classes)[y]")  # fmt: skip
    return y_true


def _twice(name: str, function: str) -> gx.GraphError:
    return gx.errors.InputError(
        f"{name} is to take logits, and the model's output went through a {function} already", where=gx.errors.caller(),
        hint=f"leave out the {function}, or from_logits=True",
    )  # fmt: skip


def _missing(name: str, function: str) -> gx.GraphError:
    return gx.errors.InputError(
        f"{name} is to take probabilities, and the model's output is a layer's plain sums", where=gx.errors.caller(),
        hint=f"from_logits=True, or activation={function!r} for the last layer",
    )  # fmt: skip


def _unlike(name: str, y_true: Tensor, y_pred: Tensor, needs: str, hint: str) -> gx.GraphError:
    return gx.errors.ShapeError(
        f"{name} needs {needs}, got targets {y_true.type} for the output {y_pred.type}", where=gx.errors.caller(), hint=hint
    )


def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """(y_true - y_pred)^2, for each sample the mean over its elements."""
    return gx.square(_alike(y_true, y_pred) - y_pred)


def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """|y_true - y_pred|, for each sample the mean over its elements."""
    return gx.abs(_alike(y_true, y_pred) - y_pred)


def mean_absolute_percentage_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """100 |y_true - y_pred| / |y_true|, the latter at least 1e-7."""
    t = _alike(y_true, y_pred)
    return 100 * gx.abs(t - y_pred) / gx.maximum(gx.abs(t), 1e-7)


def mean_squared_logarithmic_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """(log(1 + y_true) - log(1 + y_pred))^2, what is below 1e-7 taken as that."""
    t = _alike(y_true, y_pred)
    return gx.square(gx.log1p(gx.maximum(t, 1e-7)) - gx.log1p(gx.maximum(y_pred, 1e-7)))


def log_cosh(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """log(cosh(y_pred - y_true)), without overflow."""
    off = y_pred - _alike(y_true, y_pred)
    return off + gx.softplus(-2 * off) - math.log(2)


def poisson(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """y_pred - y_true log(y_pred + 1e-7): -log of the probability of counts at rates y_pred, but for a constant."""
    return y_pred - _alike(y_true, y_pred) * gx.log(y_pred + 1e-7)


def kl_divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """sum(t log(t / p)) over the last axis: probabilities, what is below 1e-7 taken as that; exact behind a softmax."""
    t = gx.clip(_alike(y_true, y_pred), 1e-7, 1)
    logits = before_softmax(y_pred)
    logs = gx.log(gx.clip(y_pred, 1e-7, 1)) if logits is None else gx.nn.log_softmax(logits)
    return gx.sum(t * (gx.log(t) - logs), axis=-1)


def hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """max(1 - t y_pred, 0), where labels of 0 count as t = -1."""
    return gx.maximum(1 - _signs(y_true, y_pred) * y_pred, 0)


def squared_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """max(1 - t y_pred, 0)^2, where labels of 0 count as t = -1."""
    return gx.square(gx.maximum(1 - _signs(y_true, y_pred) * y_pred, 0))


def categorical_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """max(1 + the largest score of another class - the score of the label, 0); one-hot labels [batch, ..., classes]."""
    t = gx.astype(one_number_a_class("categorical_hinge", y_true, y_pred), y_pred.dtype)
    return gx.maximum(1 + gx.max((1 - t) * y_pred, axis=-1) - gx.sum(t * y_pred, axis=-1), 0)


def _signs(y_true: Tensor, y_pred: Tensor) -> Tensor:
    t = _alike(y_true, y_pred)
    return gx.where(t == 0, -1, t)


class _Plain(Loss):
    """A loss that a function gives, by the name that Keras has for its class."""

    function: PerSample

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None, **unknown: Any) -> None:
        super().__init__(name, reduction, **unknown)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return type(self).function(y_true, y_pred)


class MeanSquaredError(_Plain):
    """(y_true - y_pred)^2, for each sample the mean over its elements."""

    name, function = "mean_squared_error", staticmethod(mean_squared_error)


class MeanAbsoluteError(_Plain):
    """|y_true - y_pred|, for each sample the mean over its elements."""

    name, function = "mean_absolute_error", staticmethod(mean_absolute_error)


class MeanAbsolutePercentageError(_Plain):
    """100 |y_true - y_pred| / |y_true|, the latter at least 1e-7."""

    name, function = "mean_absolute_percentage_error", staticmethod(mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(_Plain):
    """(log(1 + y_true) - log(1 + y_pred))^2."""

    name, function = "mean_squared_logarithmic_error", staticmethod(mean_squared_logarithmic_error)


class LogCosh(_Plain):
    """log(cosh(y_pred - y_true)), without overflow."""

    name, function = "log_cosh", staticmethod(log_cosh)


class Poisson(_Plain):
    """y_pred - y_true log(y_pred + 1e-7): -log of the probability of counts at rates y_pred, but for a constant."""

    name, function = "poisson", staticmethod(poisson)


class KLDivergence(_Plain):
    """sum(t log(t / p)) over the last axis: probabilities, what is below 1e-7 taken as that; exact behind a softmax."""

    name, function = "kl_divergence", staticmethod(kl_divergence)


class Hinge(_Plain):
    """max(1 - t y_pred, 0), where labels of 0 count as t = -1."""

    name, function = "hinge", staticmethod(hinge)


class SquaredHinge(_Plain):
    """max(1 - t y_pred, 0)^2, where labels of 0 count as t = -1."""

    name, function = "squared_hinge", staticmethod(squared_hinge)


class CategoricalHinge(_Plain):
    """max(1 + the largest score of another class - the score of the label, 0); one-hot labels [batch, ..., classes]."""

    name, function = "categorical_hinge", staticmethod(categorical_hinge)


class Huber(Loss):
    """Half the squared difference where that is at most delta in size, else delta (size - delta / 2) (Huber 1964)."""

    name = "huber"

    def __init__(self, delta: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.delta = delta

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return gx.nn.huber(y_pred, _alike(y_true, y_pred), "none", delta=self.delta)


class CosineSimilarity(Loss):
    """-cos of the angle between targets and outputs along an axis: -1 where they point alike."""

    name = "cosine_similarity"

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t = _alike(y_true, y_pred)
        if y_pred.ndim < 2:
            raise _unlike(self.name, y_true, y_pred, "vectors", "[batch, elements]")
        sizes = (gx.sqrt(gx.maximum(gx.sum(x * x, axis=self.axis), 1e-12)) for x in (t, y_pred))
        return -gx.sum(t * y_pred, axis=self.axis) / math.prod(sizes)


class Tversky(Loss):
    """1 - (tp + s) / (tp + alpha fp + beta fn + s), of the sums over a sample's elements (Salehi et al. 2017, arXiv:1706.05721).

    y_true and y_pred: parts of a mask, [batch, ...], from 0 to 1. smooth: s.
    """

    name, link, of_labels = "tversky", "sigmoid", True

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, smooth: float = 1e-7, **options: Any) -> None:
        super().__init__(**options)
        self.alpha, self.beta, self.smooth = alpha, beta, smooth

    def link_of(self, y_pred: Tensor) -> None:
        """Outputs are taken as they are."""
        return None

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if is_linear(y_pred):
            raise _missing(self.name, "sigmoid")
        t = _alike(y_true, y_pred)
        axes = tuple(range(1, y_pred.ndim))
        if not axes:
            raise _unlike(self.name, y_true, y_pred, "elements for each sample", "[batch, ...]")
        right, wrong, missed = (gx.sum(x, axis=axes) for x in (t * y_pred, (1 - t) * y_pred, t * (1 - y_pred)))
        return 1 - (right + self.smooth) / (right + self.alpha * wrong + self.beta * missed + self.smooth)


class Dice(Tversky):
    """1 - (2 sum(t p) + s) / (sum(t) + sum(p) + s), sums over a sample's elements (Milletari et al. 2016, arXiv:1606.04797)."""

    name = "dice"

    def __init__(self, smooth: float = 1e-7, **options: Any) -> None:
        super().__init__(0.5, 0.5, smooth / 2, **options)

    def get_config(self) -> dict[str, Any]:
        given = {key: value for key, value in super().get_config().items() if key not in ("alpha", "beta")}
        return {**given, "smooth": 2 * self.smooth}


class CategoricalGeneralizedCrossEntropy(Loss):
    """(1 - p^q) / q of the label's probability p: labels may be wrong (Zhang and Sabuncu 2018, arXiv:1805.07836).

    y_true: integers [batch, ...]; y_pred [batch, ..., classes]. q from 0, the cross-entropy, to 1, the mean absolute error.
    """

    name, link, of_labels = "categorical_generalized_cross_entropy", "softmax", True

    def __init__(self, q: float = 0.5, from_logits: bool | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.q, self.from_logits = q, from_logits

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        each = SparseCategoricalCrossentropy(self.from_logits).call(y_true, y_pred)
        return -gx.expm1(-self.q * each) / self.q

    def check(self, y_true: Array, y_pred: Tensor) -> None:
        check_classes(self.name, y_true, y_pred, None)


class CTC(Loss):
    """-log of the probability of all alignments of labels with the steps of an output: see `gx.nn.ctc_loss`.

    y_true: integers [batch, labels], filled up with mask_index, which is the blank; y_pred [batch, time, classes], whose mask,
    if it has one, says how many steps there are. from_logits: see SparseCategoricalCrossentropy.
    """

    name, link, of_labels = "ctc", "softmax", True

    def __init__(self, mask_index: int = 0, from_logits: bool | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.mask_index, self.from_logits = mask_index, from_logits

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if y_pred.ndim != 3 or y_true.ndim != 2:
            needs = "labels [batch, labels] and an output [batch, time, classes]"
            raise _unlike(self.name, y_true, y_pred, needs, "see gx.nn.ctc_loss")
        logs = gx.nn.log_softmax(logits_for(self.name, y_pred, self.from_logits))
        labels = gx.astype(y_true, "int64")
        lengths = gx.sum(gx.astype(labels != self.mask_index, "int64"), axis=1)
        mask = mask_of(y_pred)
        steps = gx.full(labels.shape[:1], y_pred.shape[1], "int64") if mask is None else gx.sum(gx.astype(mask, "int64"), axis=1)
        over_time = gx.permute_dims(logs, (1, 0, 2))
        return gx.nn.ctc_loss(over_time, labels, steps, lengths, blank=self.mask_index, reduction="none")

    def check(self, y_true: Array, y_pred: Tensor) -> None:
        check_classes(self.name, y_true, y_pred, self.mask_index)


def _alike(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The targets in the type and shape of the predictions: [batch] fits [batch, 1]."""
    made = gx.astype(y_true, y_pred.dtype)
    if made.ndim + 1 == y_pred.ndim and y_pred.shape[-1] == 1:
        return gx.expand_dims(made, -1)
    if made.shape != y_pred.shape:
        raise gx.errors.ShapeError(
            f"targets {y_true.type} do not fit the model's output {y_pred.type}", where=gx.errors.caller(),
            hint="both need one shape: otherwise they would broadcast, each target against each output",
        )  # fmt: skip
    return made


def weighted(
    loss: Loss, y_true: Tensor, y_pred: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """The numbers of a batch, [batch, ...], times weights and mask, and these two; weights: [batch], or of steps [batch, time].

    Where the loss is the mean, steps that the mask of y_pred leaves out count for nothing: it is that over the others.
    """
    values, mask = loss.call(y_true, y_pred), mask_of(y_pred)
    every: Tensor | None = None
    for given in (weights, mask):
        if given is None or values.shape[: given.ndim] != given.shape:
            continue  # one number a sample, of steps whose loss knows by itself which are there
        factor = gx.astype(given, values.dtype)
        if given is mask and loss.reduction in ("sum_over_batch_size", "mean"):
            factor = factor / gx.maximum(gx.mean(factor), 1e-12)
        factor = gx.reshape(factor, (*factor.shape, *(1,) * (values.ndim - factor.ndim)))
        every = factor if every is None else every * factor
        values = values * factor
    if loss.reduction in ("sum", "none") and values.ndim == y_pred.ndim > 1 and not loss.own:
        values = gx.mean(values, axis=-1)
    return values, every


def of_samples(loss: Loss, y_true: Tensor, y_pred: Tensor, weights: Tensor | None = None) -> Tensor:
    """One number a sample, [batch], whose mean is the loss of the batch. weights: [batch], or of steps, [batch, time]."""
    values, every = weighted(loss, y_true, y_pred, weights)
    if loss.reduction == "sum":
        samples = gx.sum(gx.ones(values.shape[:1], values.dtype))
        return samples * (gx.sum(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values)
    if loss.reduction == "mean_with_sample_weight" and every is not None:
        values = values / gx.maximum(gx.mean(every), 1e-12)
    return per_sample(values)


def per_sample(values: Tensor) -> Tensor:
    """One number a sample: the mean over all axes but the first."""
    return gx.mean(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values


FUNCTIONS: Mapping[str, PerSample] = {
    "mean_squared_error": mean_squared_error, "mse": mean_squared_error,
    "mean_absolute_error": mean_absolute_error, "mae": mean_absolute_error,
    "mean_absolute_percentage_error": mean_absolute_percentage_error, "mape": mean_absolute_percentage_error,
    "mean_squared_logarithmic_error": mean_squared_logarithmic_error, "msle": mean_squared_logarithmic_error,
    "log_cosh": log_cosh, "poisson": poisson, "kl_divergence": kl_divergence,
    "hinge": hinge, "squared_hinge": squared_hinge, "categorical_hinge": categorical_hinge,
}  # fmt: skip


def _named(name: str) -> Callable[[], Loss]:
    return lambda: _Function(FUNCTIONS[name], name)


NAMED: Mapping[str, Callable[[], Loss]] = {
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "binary_focal_crossentropy": BinaryFocalCrossentropy,
    "categorical_focal_crossentropy": CategoricalFocalCrossentropy,
    "categorical_generalized_cross_entropy": CategoricalGeneralizedCrossEntropy,
    "huber": Huber,
    "cosine_similarity": CosineSimilarity,
    "dice": Dice,
    "tversky": Tversky,
    "ctc": CTC,
    **{name: _named(name) for name in FUNCTIONS},
}


def named_loss(value: object) -> Loss:
    """The loss that a name, a function (y_true, y_pred) -> numbers, or a Loss stands for."""
    if isinstance(value, Loss):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]()
    if isinstance(value, type) and issubclass(value, Loss):
        return value()
    if callable(value):
        return _Function(value, getattr(value, "__name__", "loss"))
    raise gx.errors.InputError(
        f"no loss {value!r}", where=gx.errors.caller(), hint="a function (y_true, y_pred), or one of " + ", ".join(NAMED)
    )


__all__ = [
    "CTC", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "CosineSimilarity", "Dice", "Hinge", "Huber", "KLDivergence",
    "LogCosh", "Loss", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError",
    "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
