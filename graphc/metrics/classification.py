"""Figures of classifiers: accuracies, and what follows from counts of right and wrong decisions.

Scores are probabilities, [batch, ..., classes], or [batch] or [batch, 1] for two classes; labels are numbers of classes, or 1
and 0 in the shape of the scores. In a model whose loss takes logits the outputs are logits, and so are they for
`from_logits=True`: what compares with a threshold takes their sigmoid, or over classes that exclude each other their softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.metrics.fitting import alike, class_columns, class_numbers, has_classes, refused, sparse, spread
from graphc.metrics.metric import Metric

AVERAGES = (None, "micro", "macro", "weighted")


class Scored(Metric):
    """A metric of probabilities: what it is given may be logits.

    from_logits: True or False, or None: what the model's loss takes.
    """

    def __init__(self, name: str | None = None, from_logits: bool | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.from_logits = from_logits
        self._loss_takes: str | None = None  # what makes probabilities of this model's outputs, "sigmoid" or "softmax"

    def taken_as(self, function: str | None) -> None:
        """Say that outputs are to go through a sigmoid or a softmax first, or not."""
        self._loss_takes = function

    def probabilities(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Scores as probabilities, in float32 or float64 as they are."""
        y_pred = self.floats(y_pred)
        function = self._loss_takes if self.from_logits is None else None
        if self.from_logits:
            function = "softmax" if has_classes(y_pred) and sparse(y_true, y_pred) else "sigmoid"
        if function is None:
            return y_pred
        return gx.nn.softmax(y_pred) if function == "softmax" else gx.sigmoid(y_pred)


class Accuracy(Metric):
    """How many labels equal the predictions, numbers of one shape."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        y_true, y_pred = alike(self.name, y_true, y_pred)
        self.mean(gx.astype(y_true == gx.astype(y_pred, y_true.dtype), "float64"), weights)


class BinaryAccuracy(Scored):
    """How many predictions lie on their label's side of a threshold."""

    def __init__(self, threshold: float = 0.5, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.threshold = threshold

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        y_true, y_pred = alike(self.name, y_true, self.probabilities(y_true, y_pred))
        self.mean(gx.astype((y_pred > self.threshold) == (y_true > 0.5), "float64"), weights)


class SparseCategoricalAccuracy(Metric):
    """How often the largest of the scores [batch, ..., classes] is that of the label [batch, ...], the number of a class."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        if has_classes(y_pred) and not sparse(y_true, y_pred):
            raise refused(self.name, y_true, y_pred, "these are no numbers of classes", "categorical_accuracy")
        self.mean(gx.astype(gx.argmax(y_pred, axis=-1) == class_numbers(self.name, y_true, y_pred), "float64"), weights)


class CategoricalAccuracy(Metric):
    """How often the largest of the scores [batch, ..., classes] is that of the largest of the labels' probabilities."""

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        if has_classes(y_pred) and sparse(y_true, y_pred):
            raise refused(self.name, y_true, y_pred, "these are numbers of classes", "sparse_categorical_accuracy")
        self.mean(gx.astype(gx.argmax(y_pred, axis=-1) == class_numbers(self.name, y_true, y_pred), "float64"), weights)


class SparseTopKCategoricalAccuracy(Metric):
    """How often the label, the number of a class, is among the k classes of largest scores.

    Fewer than k scores are larger than its own. A label that is no class, and one whose score is NaN, is wrong.
    """

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.k = gx.ops.normalize_integer(self.name, "k", k)
        if self.k < 1:
            raise gx.errors.InputError(f"{self.name}: k is {k}", where=gx.errors.caller(), hint="give an integer from 1 on")

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        labels = class_numbers(self.name, y_true, y_pred)
        classes: Any = y_pred.shape[-1]
        places = gx.expand_dims(gx.clip(labels, min=0), -1)
        own = gx.take_along_axis(y_pred, places, axis=-1)
        larger = gx.sum(gx.astype(y_pred > own, "int64"), axis=-1)
        own = gx.squeeze(own, -1)
        right = (larger < self.k) & (own == own) & (labels >= 0) & (labels < classes)
        self.mean(gx.astype(right, "float64"), weights)


class TopKCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """How often the class of the largest label, of [batch, ..., classes], is among the k classes of largest scores."""

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", **options: Any) -> None:
        super().__init__(k, name, **options)


class Decisions(Scored):
    """Weighted counts of decisions, right and wrong, for each threshold and class: state [thresholds, classes].

    thresholds: a score above one says yes; a number, or a list for a figure for each; None for 0.5 where labels are 1 and 0 in
    the shape of the scores, and for the largest score where they are numbers of classes. top_k: the k largest scores say yes
    instead (of these, those above the thresholds where both are given). class_id: this class alone. average: "micro" for all
    classes together, "macro" for the mean over classes, "weighted" for the mean by their labels, None for each.
    """

    largest_by_default = False
    counts_negatives = False

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, top_k: int | None = None, class_id: int | None = None,
        average: str | None = "micro", name: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **options)
        self.thresholds, self.top_k, self.class_id, self.average = thresholds, top_k, class_id, average
        self.limits: list[float | None]
        if isinstance(thresholds, (list, tuple)):
            self.limits = [float(gx.ops.check_number(self.name, "a threshold", one)) for one in thresholds]
        else:
            self.limits = [thresholds if thresholds is None else float(gx.ops.check_number(self.name, "a threshold", thresholds))]
        if average not in AVERAGES:
            raise gx.errors.InputError(
                f"{self.name}: average is {average!r}", where=gx.errors.caller(), hint="micro, macro, weighted or None"
            )

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        scores = self.probabilities(y_true, y_pred)
        by_largest = False
        if has_classes(scores) and (sparse(y_true, y_pred) or y_true.shape == y_pred.shape):
            by_largest = sparse(y_true, y_pred) or self.largest_by_default
            truth = class_columns(self.name, y_true, y_pred)
        else:
            y_true, scores = alike(self.name, y_true, scores)
            if scores.ndim == 1 or scores.shape[-1] != 1:
                y_true, scores = gx.expand_dims(y_true, -1), gx.expand_dims(scores, -1)
            truth = gx.astype(y_true > 0.5, "float64") if y_true.dtype.is_float else gx.astype(y_true != 0, "float64")
        decided = gx.stack([gx.astype(self._decided(scores, limit, by_largest), "float64") for limit in self.limits])
        if self.class_id is not None:
            place = gx.ops.normalize_integer(self.name, "class_id", self.class_id)
            decided, truth = decided[..., place : place + 1], truth[..., place : place + 1]
        w = spread(weights, truth)
        axes = tuple(range(1, decided.ndim - 1))
        self.add("true_positives", gx.sum(decided * (truth * w), axis=axes))
        self.add("false_positives", gx.sum(decided * ((1 - truth) * w), axis=axes))
        self.add("false_negatives", gx.sum((1 - decided) * (truth * w), axis=axes))
        if self.counts_negatives:
            self.add("true_negatives", gx.sum((1 - decided) * ((1 - truth) * w), axis=axes))

    def _decided(self, scores: Tensor, limit: float | None, by_largest: bool) -> Tensor:
        """Yes or no for each class."""
        if self.top_k is not None or (limit is None and by_largest):
            count: Any = scores.shape[-1]
            order = gx.argsort(-scores, axis=-1)  # of equal scores the first come first, as with argmax
            ranks = gx.argsort(order, axis=-1)
            chosen = ranks < (1 if self.top_k is None else gx.ops.normalize_integer(self.name, "top_k", self.top_k))
            assert count is not None
            return chosen if limit is None else chosen & (scores > limit)
        return scores > (0.5 if limit is None else limit)

    def figure(self, right: Tensor, wrong: Tensor, missed: Tensor) -> Tensor:
        """The figure of counts of yes where yes is right, yes where it is wrong, and no where it is wrong."""
        raise NotImplementedError(f"{type(self).__name__} has no figure")

    def result(self) -> Tensor:
        """A number; [classes] for average=None of several; [thresholds] or [thresholds, classes] for a list of thresholds."""
        counts: list[Tensor] = [self.state(n) for n in ("true_positives", "false_positives", "false_negatives")]
        if self.average == "micro":
            found = self.figure(*(gx.sum(n, axis=1) for n in counts))
        else:
            found = self.figure(*counts)
            if self.average == "macro":
                found = gx.mean(found, axis=1)
            elif self.average == "weighted":
                support = counts[0] + counts[2]
                found = quotient(gx.sum(found * support, axis=1), gx.sum(support, axis=1))
            elif found.shape[1] == 1:
                found = gx.squeeze(found, 1)
        return found if isinstance(self.thresholds, (list, tuple)) else gx.squeeze(found, 0)


class Precision(Decisions):
    """Of what is said to be of a class, how much is: tp / (tp + fp), 0 where nothing is said to be."""

    def figure(self, right: Tensor, wrong: Tensor, missed: Tensor) -> Tensor:
        return quotient(right, right + wrong)


class Recall(Decisions):
    """Of what is of a class, how much is said to be: tp / (tp + fn), 0 where nothing is."""

    def figure(self, right: Tensor, wrong: Tensor, missed: Tensor) -> Tensor:
        return quotient(right, right + missed)


class TruePositives(Decisions):
    """How often yes is right."""

    def figure(self, right: Tensor, wrong: Tensor, missed: Tensor) -> Tensor:
        return right


class FalsePositives(Decisions):
    """How often yes is wrong."""

    def figure(self, right: Tensor, wrong: Tensor, missed: Tensor) -> Tensor:
        return wrong


class FalseNegatives(Decisions):
    """How often no is wrong."""

    def figure(self, right: Tensor, wrong: Tensor, missed: Tensor) -> Tensor:
        return missed


class TrueNegatives(Decisions):
    """How often no is right: of all classes together."""

    counts_negatives = True

    def result(self) -> Tensor:
        found = gx.sum(self.state("true_negatives"), axis=1)
        return found if isinstance(self.thresholds, (list, tuple)) else gx.squeeze(found, 0)


class FBetaScore(Decisions):
    """(1 + beta^2) tp / ((1 + beta^2) tp + beta^2 fn + fp): the harmonic mean of precision and recall for beta = 1.

    threshold: as `thresholds`; with None the largest score of several classes says yes.
    """

    largest_by_default = True

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | Sequence[float] | None = None,
        name: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(threshold, average=average, name=name, **options)
        self.beta, self.threshold = gx.ops.check_number(self.name, "beta", beta), threshold

    def get_config(self) -> dict[str, Any]:
        hidden = ("thresholds",)
        return {key: value for key, value in super().get_config().items() if key not in hidden}

    def figure(self, right: Tensor, wrong: Tensor, missed: Tensor) -> Tensor:
        square = self.beta**2
        return quotient((1 + square) * right, (1 + square) * right + square * missed + wrong)


class F1Score(FBetaScore):
    """2 tp / (2 tp + fn + fp), the harmonic mean of precision and recall."""

    def __init__(
        self, average: str | None = None, threshold: float | Sequence[float] | None = None, name: str | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        options.pop("beta", None)  # it is among the options that a file keeps
        super().__init__(average, 1.0, threshold, name, **options)


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """a / b, 0 where b is."""
    return gx.where(b == 0, 0, a / gx.where(b == 0, 1, b))


class AUC(Scored):
    """The area under a curve over all thresholds: ROC, the true over the false positives, or PR, precision over recall.

    curve: "ROC", or "PR" for the average precision, the sum of precisions by the steps of recall (as scikit-learn's; no line
    between points of this curve can be reached). Scores are counted in `num_bins` bins whose edges lie evenly in the logit from
    -17 to 17, which is all that float32 tells from 0 and 1. Within a bin scores count as equal, so the area under ROC
    is exact but for pairs of a positive and a negative that share a bin: `bound()` is half their part of all pairs. `ExactAUC`
    keeps every score instead. Several classes need multi_label=True: the mean over classes, each against the others.
    """

    def __init__(
        self, num_bins: int = 8192, curve: str = "ROC", multi_label: bool = False, name: str | None = None, **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        if curve not in ("ROC", "PR"):
            raise gx.errors.InputError(f"{self.name}: curve is {curve!r}", where=gx.errors.caller(), hint='"ROC" or "PR"')
        self.num_bins = gx.ops.normalize_integer(self.name, "num_bins", num_bins)
        self.curve, self.multi_label = curve, multi_label

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        scores = self.probabilities(y_true, y_pred)
        if has_classes(scores) and (sparse(y_true, y_pred) or y_true.shape == y_pred.shape):
            if not self.multi_label:
                raise refused(
                    self.name, y_true, y_pred, "the area is that of one score",
                    "multi_label=True for the mean over classes, each against the others; one column of scores for two classes",
                )  # fmt: skip
            truth = class_columns(self.name, y_true, y_pred)
        else:
            y_true, scores = alike(self.name, y_true, scores)
            truth = gx.astype(y_true > 0.5, "float64") if y_true.dtype.is_float else gx.astype(y_true != 0, "float64")
            if scores.ndim == 1 or scores.shape[-1] != 1:
                truth, scores = gx.expand_dims(truth, -1), gx.expand_dims(scores, -1)
        classes: Any = scores.shape[-1]
        p = gx.astype(scores, "float64")
        logits = gx.log(p) - gx.log1p(-p)
        bins = gx.astype(gx.floor(gx.clip((logits + 17) / 34, 0, 1) * self.num_bins), "int64")
        places = gx.clip(bins, 0, self.num_bins - 1) + gx.arange(classes) * self.num_bins
        w = spread(weights, truth) + gx.where(p == p, 0.0, gx.nan)  # a score that is NaN makes the area NaN
        for name, part in (("positives", truth * w), ("negatives", (1 - truth) * w)):
            counts = gx.segment_sum(gx.reshape(part, (-1,)), gx.reshape(places, (-1,)), classes * self.num_bins)
            self.add(name, gx.reshape(counts, (classes, self.num_bins)))

    def result(self) -> Tensor:
        positives, negatives = gx.flip(self.state("positives"), axis=1), gx.flip(self.state("negatives"), axis=1)
        all_positives, all_negatives = gx.sum(positives, axis=1), gx.sum(negatives, axis=1)
        if self.curve == "ROC":
            above = gx.cumulative_sum(positives, axis=1) - positives / 2
            areas = gx.sum(above * negatives, axis=1) / (all_positives * all_negatives)
        else:
            right, wrong = gx.cumulative_sum(positives, axis=1), gx.cumulative_sum(negatives, axis=1)
            areas = gx.sum(positives * quotient(right, right + wrong), axis=1) / all_positives
        return gx.mean(areas)

    def bound(self) -> Tensor:
        """How far the area under ROC may be from that of the scores themselves, a symbol of the state."""
        positives, negatives = self.state("positives"), self.state("negatives")
        shared = gx.sum(positives * negatives, axis=1)
        return gx.mean(shared / (2 * gx.sum(positives, axis=1) * gx.sum(negatives, axis=1)))


class ConfusionMatrix(Scored):
    """How often samples of each class are taken for each class: [classes, classes], rows are labels.

    num_classes: by default the number of scores, or 2. A label that is no class makes the matrix's nearest element NaN;
    ignore_class is one whose samples count for nothing. threshold: of two classes with one score.
    """

    def __init__(
        self, num_classes: int | None = None, ignore_class: int | None = None, threshold: float = 0.5, name: str | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name=name, **options)
        self.num_classes, self.ignore_class, self.threshold = num_classes, ignore_class, threshold

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        labels, decided, classes = self._numbers(y_true, y_pred)
        w = spread(weights, labels)
        if self.ignore_class is not None:
            w = gx.where(labels == self.ignore_class, 0, w)
            labels = gx.where(labels == self.ignore_class, 0, labels)
        fits = (labels >= 0) & (labels < classes) & (decided >= 0) & (decided < classes)
        w = gx.where(fits, w, gx.nan)
        places = gx.clip(labels, 0, classes - 1) * classes + gx.clip(decided, 0, classes - 1)
        counts = gx.segment_sum(gx.reshape(w, (-1,)), gx.reshape(places, (-1,)), classes * classes)
        self.add("matrix", gx.reshape(counts, (classes, classes)))

    def _numbers(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, int]:
        """Labels and decisions as numbers of classes, int64 of one shape, and how many classes there are."""
        if y_pred.dtype.is_float and has_classes(y_pred) and (sparse(y_true, y_pred) or self.num_classes == y_pred.shape[-1]):
            count = gx.ops.normalize_integer(self.name, "num_classes", self.num_classes or y_pred.shape[-1])
            return class_numbers(self.name, y_true, y_pred), gx.astype(gx.argmax(y_pred, axis=-1), "int64"), count
        if y_pred.dtype.is_float:
            y_true, scores = alike(self.name, y_true, self.probabilities(y_true, y_pred))
            decided = scores > self.threshold
        else:
            y_true, decided = alike(self.name, y_true, y_pred)
        count = 2 if self.num_classes is None else gx.ops.normalize_integer(self.name, "num_classes", self.num_classes)
        return gx.astype(y_true, "int64"), gx.astype(decided, "int64"), count

    def result(self) -> Tensor:
        return self.state("matrix")


class IoU(ConfusionMatrix):
    """Intersection over union, tp / (tp + fp + fn), the mean over classes of which there is a label or a decision.

    num_classes: as `ConfusionMatrix`'s. target_class_ids: the mean over these.
    """

    def __init__(
        self, num_classes: int | None = None, target_class_ids: Sequence[int] | None = None, ignore_class: int | None = None,
        threshold: float = 0.5, name: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, ignore_class, threshold, name, **options)
        self.target_class_ids = target_class_ids

    def figure(self, right: Tensor, either: Tensor) -> Tensor:
        """A class's figure: of how often label and decision agree, and of both their numbers added."""
        return quotient(right, either - right)

    def result(self) -> Tensor:
        matrix = self.state("matrix")
        right, either = gx.diagonal(matrix), gx.sum(matrix, axis=0) + gx.sum(matrix, axis=1)
        found = self.figure(right, either)
        seen = gx.astype(either != 0, "float64")
        if self.target_class_ids is not None:
            places = gx.constant([gx.ops.normalize_integer(self.name, "a class", n) for n in self.target_class_ids])
            found, seen = gx.take(found, places, axis=0), gx.take(seen, places, axis=0)
        return quotient(gx.sum(found * seen), gx.sum(seen))


class MeanIoU(IoU):
    """Intersection over union, tp / (tp + fp + fn), the mean over classes of which there is a label or a decision."""

    def __init__(
        self, num_classes: int | None = None, ignore_class: int | None = None, name: str | None = None, **options: Any
    ) -> None:
        super().__init__(num_classes, None, ignore_class, options.pop("threshold", 0.5), name, **options)

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in super().get_config().items() if key != "target_class_ids"}


class DiceScore(IoU):
    """Dice's coefficient, 2 tp / (2 tp + fp + fn), the mean over classes of which there is a label or a decision."""

    def figure(self, right: Tensor, either: Tensor) -> Tensor:
        return quotient(2 * right, either)


class Perplexity(Scored):
    """e to the mean of -log of the probability of the label: scores [batch, ..., classes], labels [batch, ...].

    ignore_class: a label, that of padding say, whose places count for nothing. In a model the graph or the loss shows whether
    scores are logits.
    """

    def __init__(self, ignore_class: int | None = None, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.ignore_class = ignore_class

    def call(self, y_true: Tensor, y_pred: Tensor, weights: Tensor) -> None:
        labels = class_numbers(self.name, y_true, y_pred)
        logits = gx.layers.logits.before_softmax(y_pred)
        if logits is None:
            made = self.from_logits or (self.from_logits is None and self._loss_takes is not None)
            logits = y_pred if made else gx.log(self.floats(y_pred))
        each = gx.nn.cross_entropy(gx.astype(logits, "float64"), labels, reduction="none", ignore=self.ignore_class)
        w = spread(weights, each)
        if self.ignore_class is not None:
            w = gx.where(labels == self.ignore_class, 0, w)
        self.add("total", gx.sum(gx.where(w == 0, 0, each * w)))
        self.add("count", gx.sum(w))

    def result(self) -> Tensor:
        return gx.exp(self.state("total") / self.state("count"))
