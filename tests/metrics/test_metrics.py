"""gx.metrics against scikit-learn and against definitions written here; in odd batches, with weights, and in models."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import metrics
from graphc.layers import Dense
from graphc.models import Sequential

sk = pytest.importorskip("sklearn.metrics")

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(7)
N, C = 203, 4
LABELS = RNG.integers(0, C, N)
SCORES = RNG.dirichlet(np.ones(C), N).astype("float32")
SCORES[np.arange(N), LABELS] += 0.3
SCORES /= SCORES.sum(1, keepdims=True)
ONE_HOT = np.eye(C, dtype="float32")[LABELS]
CHOSEN = SCORES.argmax(1)
YES = RNG.integers(0, 2, N)
P = np.clip(0.25 * YES + 0.75 * RNG.random(N), 0, 1).astype("float32")
TAGS = RNG.integers(0, 2, (N, C))
TAG_SCORES = (0.3 * TAGS + 0.7 * RNG.random((N, C))).astype("float32")
T2 = RNG.normal(size=(N, 3)) + 100
O2 = (T2 + 0.3 * RNG.normal(size=(N, 3))).astype("float32")
WEIGHTS = RNG.integers(0, 4, N).astype("float64")
BATCHES = (1, 7, 0, 64, 31, 100)  # their sum is N
assert sum(BATCHES) == N


def added(metric: metrics.Metric, *arrays: Array, weights: Array | None = None, whole: bool = False) -> Any:
    start = 0
    for size in (N,) if whole else BATCHES:
        part = slice(start, start + size)
        start += size
        metric.update_state(*(a[part] for a in arrays), sample_weight=None if weights is None else weights[part])
    return metric.value()


def average_of(score: Any, **options: Any) -> Any:
    return lambda t, p, w: score(t, p, sample_weight=w, zero_division=0, **options)


CASES: list[tuple[str, Any, tuple[Array, Array], Any]] = [
    ("accuracy", metrics.Accuracy, (LABELS, CHOSEN), lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w)),
    ("binary", metrics.BinaryAccuracy, (YES, P), lambda w: sk.accuracy_score(YES, P > 0.5, sample_weight=w)),
    ("binary, column", metrics.BinaryAccuracy, (YES, P[:, None]), lambda w: sk.accuracy_score(YES, P > 0.5, sample_weight=w)),
    (
        "binary, threshold", lambda: metrics.BinaryAccuracy(0.3), (YES, P),
        lambda w: sk.accuracy_score(YES, P > 0.3, sample_weight=w),
    ),
    ("sparse", metrics.SparseCategoricalAccuracy, (LABELS, SCORES), lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w)),
    (
        "sparse, column", metrics.SparseCategoricalAccuracy, (LABELS[:, None], SCORES),
        lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w),
    ),
    ("categorical", metrics.CategoricalAccuracy, (ONE_HOT, SCORES), lambda w: sk.accuracy_score(LABELS, CHOSEN, sample_weight=w)),
    *(
        (
            f"top {k}", lambda k=k: metrics.SparseTopKCategoricalAccuracy(k), (LABELS, SCORES),
            lambda w, k=k: sk.top_k_accuracy_score(LABELS, SCORES, k=k, sample_weight=w),
        )
        for k in (1, 2, 3)
    ),
    (
        "top 2, one-hot", lambda: metrics.TopKCategoricalAccuracy(2), (ONE_HOT, SCORES),
        lambda w: sk.top_k_accuracy_score(LABELS, SCORES, k=2, sample_weight=w),
    ),
    *(
        (
            f"{name}, {average}", lambda cls=cls, average=average: cls(average=average), (LABELS, SCORES),
            lambda w, score=score, average=average: average_of(score, average=average)(LABELS, CHOSEN, w),
        )
        for name, cls, score in (
            ("precision", metrics.Precision, sk.precision_score), ("recall", metrics.Recall, sk.recall_score),
            ("f1", metrics.F1Score, sk.f1_score),
        )
        for average in (None, "micro", "macro", "weighted")
    ),
    (
        "f1 of one-hot labels", metrics.F1Score, (ONE_HOT, SCORES),
        lambda w: average_of(sk.f1_score, average=None)(LABELS, CHOSEN, w),
    ),
    (
        "f2, macro", lambda: metrics.FBetaScore("macro", 2.0), (LABELS, SCORES),
        lambda w: average_of(sk.fbeta_score, beta=2.0, average="macro")(LABELS, CHOSEN, w),
    ),
    ("precision, binary", metrics.Precision, (YES, P), lambda w: average_of(sk.precision_score)(YES, P > 0.5, w)),
    ("f1, binary", metrics.F1Score, (YES, P[:, None]), lambda w: average_of(sk.f1_score)(YES, P > 0.5, w)),
    (
        "recall, thresholds", lambda: metrics.Recall([0.2, 0.5, 0.9]), (YES, P),
        lambda w: [average_of(sk.recall_score)(YES, t < P, w) for t in (0.2, 0.5, 0.9)],
    ),
    (
        "precision of tags", metrics.Precision, (TAGS, TAG_SCORES),
        lambda w: average_of(sk.precision_score, average="micro")(TAGS, TAG_SCORES > 0.5, w),
    ),
    (
        "recall of tags, macro", lambda: metrics.Recall(0.6, average="macro"), (TAGS, TAG_SCORES),
        lambda w: average_of(sk.recall_score, average="macro")(TAGS, TAG_SCORES > 0.6, w),
    ),
    (
        "precision of one class", lambda: metrics.Precision(class_id=2), (LABELS, SCORES),
        lambda w: average_of(sk.precision_score)(LABELS == 2, CHOSEN == 2, w),
    ),
    (
        "recall, top 2", lambda: metrics.Recall(top_k=2), (LABELS, SCORES),
        lambda w: sk.top_k_accuracy_score(LABELS, SCORES, k=2, sample_weight=w),
    ),
    (
        "confusion", metrics.ConfusionMatrix, (LABELS, SCORES), lambda w: sk.confusion_matrix(LABELS, CHOSEN, sample_weight=w),
    ),
    ("confusion, binary", metrics.ConfusionMatrix, (YES, P), lambda w: sk.confusion_matrix(YES, P > 0.5, sample_weight=w)),
    (
        "confusion of numbers", lambda: metrics.ConfusionMatrix(C), (LABELS, CHOSEN),
        lambda w: sk.confusion_matrix(LABELS, CHOSEN, sample_weight=w),
    ),
    (
        "iou", metrics.MeanIoU, (LABELS, SCORES),
        lambda w: sk.jaccard_score(LABELS, CHOSEN, average="macro", sample_weight=w),
    ),
    (
        "iou of two classes", lambda: metrics.IoU(target_class_ids=[0, 2]), (LABELS, SCORES),
        lambda w: sk.jaccard_score(LABELS, CHOSEN, average=None, sample_weight=w)[[0, 2]].mean(),
    ),
    ("dice", metrics.DiceScore, (LABELS, SCORES), lambda w: sk.f1_score(LABELS, CHOSEN, average="macro", sample_weight=w)),
    (
        "perplexity", metrics.Perplexity, (LABELS, SCORES),
        lambda w: np.exp(sk.log_loss(LABELS, SCORES, sample_weight=w)),
    ),
    ("mae", metrics.MeanAbsoluteError, (T2, O2), lambda w: sk.mean_absolute_error(T2, O2, sample_weight=w)),
    ("mse", metrics.MeanSquaredError, (T2, O2), lambda w: sk.mean_squared_error(T2, O2, sample_weight=w)),
    (
        "rmse", metrics.RootMeanSquaredError, (T2[:, 0], O2[:, :1]),
        lambda w: sk.root_mean_squared_error(T2[:, 0], O2[:, 0], sample_weight=w),
    ),
    (
        "mape", metrics.MeanAbsolutePercentageError, (T2, O2),
        lambda w: 100 * sk.mean_absolute_percentage_error(T2, O2, sample_weight=w),
    ),
    *(
        (
            f"r2, {average}", lambda average=average: metrics.R2Score(average), (T2, O2),
            lambda w, average=average: sk.r2_score(
                T2, O2, sample_weight=w,
                multioutput={"variance_weighted_average": "variance_weighted", None: "raw_values"}.get(average, average),
            ),
        )
        for average in ("uniform_average", "variance_weighted_average", None)
    ),
    (
        "cosine", metrics.CosineSimilarity, (T2 - 100, O2 - 100),
        lambda w: np.average(np.diag(sk.pairwise.cosine_similarity(T2 - 100, O2 - 100)), weights=w),
    ),
]  # fmt: skip


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
@pytest.mark.parametrize("make, arrays, expected", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_metric_is_scikit_learns_however_the_data_are_divided(make: Any, arrays: Any, expected: Any, weights: Any) -> None:
    found = added(make(), *arrays, weights=weights)
    np.testing.assert_allclose(found, expected(weights), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found, added(make(), *arrays, weights=weights, whole=True), rtol=1e-12)


def test_r2_far_from_zero_keeps_its_precision() -> None:
    target = T2[:, 0] + 1e8
    output = target + 0.1 * (O2[:, 0] - T2[:, 0])
    found = added(metrics.R2Score(), target, output)
    assert abs(found - sk.r2_score(target, output)) < 1e-9


# --- areas under curves ----------------------------------------------------------------------------------------------


def binned(p: Array, bins: int) -> Array:
    p = p.astype("float64")
    with np.errstate(divide="ignore"):
        logits = np.log(p) - np.log1p(-p)
    return np.clip(np.floor(np.clip((logits + 17) / 34, 0, 1) * bins), 0, bins - 1)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
@pytest.mark.parametrize("bins", [8, 8192])
def test_area_is_that_of_the_bins_and_within_its_bound(bins: int, weights: Any) -> None:
    metric = metrics.AUC(bins)
    found = added(metric, YES, P, weights=weights)
    assert abs(found - sk.roc_auc_score(YES, binned(P, bins), sample_weight=weights)) < 1e-12
    exact = sk.roc_auc_score(YES, P, sample_weight=weights)
    bound = float(metric.bound().eval())
    assert abs(found - exact) <= bound + 1e-12
    assert bound < (0.4 if bins == 8 else 1e-3)
    precision = added(metrics.AUC(bins, curve="PR"), YES, P, weights=weights)
    assert abs(precision - sk.average_precision_score(YES, binned(P, bins), sample_weight=weights)) < 1e-12


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
def test_the_exact_area_is_scikit_learns(weights: Any) -> None:
    scores = P.round(2)  # with many that are equal
    for curve, expected in (("ROC", sk.roc_auc_score), ("PR", sk.average_precision_score)):
        metric = metrics.ExactAUC(curve)
        assert math.isnan(metric.result())
        for part in np.array_split(np.arange(N), 5):
            metric.update(YES[part], scores[part], None if weights is None else weights[part])
        assert abs(metric.result() - expected(YES, scores, sample_weight=weights)) < 1e-12
        metric.reset()
        assert math.isnan(metric.result())


def test_areas_of_extreme_scores_of_classes_and_of_logits() -> None:
    assert float(added_once(metrics.AUC(), [0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0])) == 1.0
    assert float(added_once(metrics.AUC(), [1, 0], [1e-6, 1e-7])) == 1.0
    assert np.isnan(added_once(metrics.AUC(), [0, 1], [0.5, np.nan]))
    found = added(metrics.AUC(multi_label=True), LABELS, SCORES)
    assert abs(found - sk.roc_auc_score(LABELS, SCORES, multi_class="ovr")) < 1e-3
    found = added(metrics.AUC(multi_label=True), TAGS, TAG_SCORES)
    assert abs(found - sk.roc_auc_score(TAGS, TAG_SCORES)) < 1e-3
    logits = np.log(P / (1 - P)).clip(-15, 15)
    assert abs(added(metrics.AUC(from_logits=True), YES, logits) - added(metrics.AUC(), YES, P)) < 1e-3


def added_once(metric: metrics.Metric, *arrays: Any) -> Any:
    metric.update_state(*(np.asarray(a) for a in arrays))
    return metric.value()


# --- edges -----------------------------------------------------------------------------------------------------------


def test_where_nothing_is_found_figures_are_0() -> None:
    assert added_once(metrics.Precision(), [0, 1], [0.1, 0.2]) == 0
    assert added_once(metrics.Recall(), [0, 0], [0.1, 0.9]) == 0
    assert added_once(metrics.F1Score(), [0, 0], [0.1, 0.2]) == 0
    assert added_once(metrics.CosineSimilarity(), [[0.0, 0.0]], [[1.0, 0.0]]) == 0
    assert added_once(metrics.R2Score(), [2.0, 2.0], [2.0, 2.0]) == 1
    assert added_once(metrics.R2Score(), [2.0, 2.0], [2.0, 3.0]) == 0


def test_labels_that_are_no_class() -> None:
    scores = np.eye(3, dtype="float32")
    assert added_once(metrics.SparseTopKCategoricalAccuracy(3), [0, -1, 3], scores) == 1 / 3
    assert np.isnan(added_once(metrics.ConfusionMatrix(), [0, 1, 3], scores)).sum() == 1
    assert added_once(metrics.MeanIoU(ignore_class=255), [0, 1, 255], scores) == 1
    assert abs(added_once(metrics.Perplexity(ignore_class=-1), [0, -1], np.array([[0.5, 0.5], [0.1, 0.9]])) - 2) < 1e-12


def test_classes_along_the_last_of_several_axes() -> None:
    labels, scores = RNG.integers(0, 3, (5, 4, 6)), RNG.random((5, 4, 6, 3)).astype("float32")
    weights = np.array([1.0, 0, 2, 1, 3])
    flat, spread = labels.reshape(-1), np.repeat(weights, 24)
    chosen = scores.reshape(-1, 3).argmax(1)
    metric = metrics.MeanIoU()
    metric.update_state(labels, scores, sample_weight=weights)
    assert abs(metric.value() - sk.jaccard_score(flat, chosen, average="macro", sample_weight=spread)) < 1e-12
    f1 = metrics.F1Score("macro")
    f1.update_state(labels, scores, sample_weight=weights)
    assert abs(f1.value() - sk.f1_score(flat, chosen, average="macro", sample_weight=spread)) < 1e-12
    mask, soft = RNG.integers(0, 2, (5, 4, 6, 1)), RNG.random((5, 4, 6, 1)).astype("float32")
    dice = metrics.DiceScore()
    dice.update_state(mask, soft)
    assert abs(dice.value() - sk.f1_score(mask.reshape(-1), soft.reshape(-1) > 0.5, average="macro")) < 1e-12


def test_a_metric_begins_anew() -> None:
    metric = metrics.F1Score("macro")
    first = added(metric, LABELS, SCORES)
    metric.reset_state()
    assert added(metric, LABELS, SCORES) == first


def test_a_metrics_options_go_through_files() -> None:
    for metric in (
        metrics.F1Score("macro", [0.2, 0.4]), metrics.FBetaScore("micro", 2.0), metrics.Precision(top_k=2),
        metrics.MeanIoU(3), metrics.IoU(3, [1]), metrics.DiceScore(ignore_class=1), metrics.AUC(64, "PR", True),
        metrics.R2Score(None), metrics.Perplexity(0), metrics.SparseTopKCategoricalAccuracy(2),
    ):  # fmt: skip
        again = gx.layers.from_data(gx.layers.to_data(metric))
        assert type(again) is type(metric)
        assert again.get_config() == metric.get_config()


# --- boxes -----------------------------------------------------------------------------------------------------------


def area_by_hand(images: list[Any], threshold: float, kind: int, points: int | None) -> float:
    """Average precision from its definition: a loop over boxes by falling score, then over values of recall."""
    boxes = [(s, i, b) for i, im in enumerate(images) for b, s, k in zip(im[0], im[1], im[2], strict=True) if k == kind]
    truth = {i: [b for b, k in zip(im[3], im[4], strict=True) if k == kind] for i, im in enumerate(images)}
    taken: set[tuple[int, int]] = set()
    hits = []
    for _, i, box in sorted(boxes, key=lambda one: -one[0]):
        best, place = 0.0, -1
        for j, other in enumerate(truth[i]):
            wide = min(box[2], other[2]) - max(box[0], other[0])
            high = min(box[3], other[3]) - max(box[1], other[1])
            shared = max(wide, 0) * max(high, 0)
            both = (box[2] - box[0]) * (box[3] - box[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared
            if (i, j) not in taken and shared / both > best:
                best, place = shared / both, j
        hits.append(best >= threshold)
        if hits[-1]:
            taken.add((i, place))
    wanted = sum(map(len, truth.values()))
    curve = [(sum(hits[: n + 1]) / wanted, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))]
    precision_at = lambda recall: max((p for r, p in curve if r >= recall), default=0.0)
    if points is None:
        recalls = [0.0, *sorted({r for r, _ in curve})]
        return sum((b - a) * precision_at(b) for a, b in itertools.pairwise(recalls))
    return float(np.mean([precision_at(r) for r in np.linspace(0, 1, points)]))


@pytest.mark.parametrize("points", [101, 11, None])
def test_mean_average_precision_is_its_definition(points: int | None) -> None:
    rng = np.random.default_rng(3)
    images = []
    for _ in range(12):
        count, more = rng.integers(1, 6), rng.integers(0, 4)
        low = rng.random((count, 2)) * 20
        truth = np.concatenate([low, low + 2 + 6 * rng.random((count, 2))], 1)
        kinds = rng.integers(0, 3, count)
        wild = rng.random((more, 2)) * 20
        boxes = np.concatenate([truth + 0.6 * rng.normal(size=truth.shape), np.concatenate([wild, wild + 4], 1)])
        images.append((boxes, rng.random(len(boxes)), np.concatenate([kinds, rng.integers(0, 4, more)]), truth, kinds))
    for threshold in (0.5, 0.75, "coco"):
        metric = metrics.MeanAveragePrecision(threshold, points)
        for image in images:
            metric.update(*image)
        limits = [0.5 + 0.05 * i for i in range(10)] if threshold == "coco" else [threshold]
        expected = {kind: np.mean([area_by_hand(images, t, kind, points) for t in limits]) for kind in range(3)}
        assert metric.by_class() == pytest.approx(expected, abs=1e-12)
        assert metric.result() == pytest.approx(np.mean(list(expected.values())), abs=1e-12)
        assert 0.05 < metric.result() < 1


def test_images_without_boxes() -> None:
    metric = metrics.MeanAveragePrecision()
    assert math.isnan(metric.result())
    metric.update([], [], [], [[0, 0, 1, 1]], [1])
    assert metric.result() == 0
    metric.update([[0, 0, 1, 1]], [0.5], [1], [[0, 0, 1, 1]], [1])
    metric.update([[0, 0, 1, 1]], [0.9], [2], [], [])
    assert metric.by_class() == {1: pytest.approx(51 / 101)}
    with pytest.raises(gx.errors.ShapeError, match="2 boxes, 1 scores"):
        metric.update([[0, 0, 1, 1], [0, 0, 1, 1]], [0.5], [1, 1], [], [])


# --- texts -----------------------------------------------------------------------------------------------------------


def bleu_by_hand(predictions: list[list[str]], references: list[list[list[str]]], order: int) -> float:
    logs = 0.0
    for n in range(1, order + 1):
        shared = every = 0
        for own, wanted in zip(predictions, references, strict=True):
            count = lambda tokens, n=n: Counter(" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
            for gram, times in count(own).items():
                every += times
                shared += min(times, max(count(one)[gram] for one in wanted))
        logs += math.log(shared / every) / order
    length = sum(map(len, predictions))
    nearest = sum(
        sorted((len(one) for one in wanted), key=lambda n, own=own: (abs(n - len(own)), n))[0]
        for own, wanted in zip(predictions, references, strict=True)
    )
    return math.exp(logs + min(0, 1 - nearest / length))


def test_bleu_is_its_definition() -> None:
    # Papineni et al. 2002, section 2.1: seven "the" of which a reference has two
    one = metrics.BLEU(order=1)
    one.update(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert one.result() == pytest.approx(2 / 7)
    words = "the a cat dog sat lay on mat bed and".split()
    predictions = [[str(w) for w in RNG.choice(words, RNG.integers(8, 16))] for _ in range(20)]
    references = [
        [[w if RNG.random() < 0.85 else str(RNG.choice(words)) for w in p][: len(p) - cut] for cut in (0, 2)] for p in predictions
    ]
    metric = metrics.BLEU()
    metric.update(predictions[:7], references[:7])
    metric.update(predictions[7:], references[7:])
    assert metric.result() == pytest.approx(bleu_by_hand(predictions, references, 4), rel=1e-12)
    joined = metrics.BLEU()
    joined.update([" ".join(p) for p in predictions], [[" ".join(r) for r in rs] for rs in references])
    assert joined.result() == metric.result()
    short = metrics.BLEU(order=2)
    short.update([["a", "cat"]], [["a", "cat", "sat", "down"]])
    assert short.result() == pytest.approx(math.exp(-1))
    smooth = metrics.BLEU(order=2, smooth=True)
    smooth.update([["a", "b", "c"]], [["a", "c", "b"]])
    assert smooth.result() == pytest.approx(math.sqrt(1 / 3))


def test_error_rates() -> None:
    rate = metrics.WordErrorRate()
    rate.update(["the cat sat on the mat"], ["the cat sat on a mat"])
    rate.update([["down"], []], [["sit", "down"], ["here"]])
    assert rate.result() == (1 + 1 + 1) / 9
    letters = metrics.CharacterErrorRate()
    letters.update(["kitten", "sunday"], ["sitting", "saturday"])
    assert letters.result() == (3 + 3) / 15
    assert math.isnan(metrics.WordErrorRate().result())
    with pytest.raises(gx.errors.InputError, match="one text is no list of texts"):
        rate.update("a b", "a b")
    with pytest.raises(gx.errors.InputError, match="2 texts and 1 references"):
        rate.update(["a", "b"], ["a"])


# --- in models -------------------------------------------------------------------------------------------------------


def model_of(units: int, loss: Any, wanted: list[Any], activation: str | None = None) -> Sequential:
    gx.layers.seed(1)
    model = Sequential([Dense(units, activation=activation, input_shape=(3,))])
    model.compile("sgd", loss, wanted)
    return model


X = RNG.normal(size=(N, 3)).astype("float32")
KINDS = (X @ RNG.normal(size=(3, C))).argmax(1)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_metrics_by_name_of_a_classifier(activation: str | None) -> None:
    names = ["accuracy", "f1_score", "precision", "recall", "top_k_categorical_accuracy", "mean_iou", "confusion_matrix"]
    names.append("perplexity")
    model = model_of(C, "sparse_categorical_crossentropy", names, activation)
    model.fit(X, KINDS, epochs=3, verbose=0)
    found = model.evaluate(X, KINDS, batch_size=50, sample_weight=WEIGHTS)
    chosen = model.predict(X).argmax(1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(KINDS, chosen, sample_weight=WEIGHTS))
    assert found["f1_score"] == pytest.approx(sk.f1_score(KINDS, chosen, average="macro", sample_weight=WEIGHTS))
    assert found["top_k_categorical_accuracy"] == 1
    assert (found["confusion_matrix"] == sk.confusion_matrix(KINDS, chosen, sample_weight=WEIGHTS)).all()
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"] * N / WEIGHTS.sum()), rel=1e-5)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_thresholds_see_whether_outputs_are_logits(activation: str | None) -> None:
    yes = (X[:, 0] > 0.8).astype("int64")
    model = model_of(1, "binary_crossentropy", ["accuracy", "auc", metrics.Precision(), "recall"], activation)
    model.fit(X, yes, epochs=20, verbose=0)
    found = model.evaluate(X, yes)
    output = model.predict(X)[:, 0]
    p = output if activation else 1 / (1 + np.exp(-output))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(yes, p > 0.5))
    assert found["auc"] == pytest.approx(sk.roc_auc_score(yes, p), abs=1e-3)
    assert found["precision"] == pytest.approx(sk.precision_score(yes, p > 0.5, zero_division=0))
    assert found["recall"] == pytest.approx(sk.recall_score(yes, p > 0.5, zero_division=0))


def test_metrics_of_a_regression_and_functions_as_metrics() -> None:
    def off_by_most(t: gx.Tensor, p: gx.Tensor) -> gx.Tensor:
        return gx.max(gx.abs(t - p), axis=-1)

    target = (X[:, :2] * 2).astype("float32")
    model = model_of(2, "mse", ["mae", "rmse", "r2_score", "mse", off_by_most, "MeanAbsoluteError"])
    model.fit(X, target, epochs=5, verbose=0)
    found, output = model.evaluate(X, target), model.predict(X)
    assert found["mae"] == found["MeanAbsoluteError"] == pytest.approx(sk.mean_absolute_error(target, output), rel=1e-5)
    assert found["rmse"] == pytest.approx(math.sqrt(sk.mean_squared_error(target, output)), rel=1e-5)
    assert found["r2_score"] == pytest.approx(sk.r2_score(target, output), rel=1e-5)
    assert found["off_by_most"] == pytest.approx(abs(target - output).max(1).mean(), rel=1e-5)


REFUSED: list[tuple[str, int, Any, Any, Array, str]] = [
    ("accuracy of numbers", 1, "mse", "accuracy", X[:, 0], "accuracy does not fit .*accuracy counts labels"),
    ("area of classes", C, "sparse_categorical_crossentropy", "auc", KINDS, r"auc does not fit .*area is that of one score"),
    ("sparse for one-hot", C, "categorical_crossentropy", "sparse_categorical_accuracy", ONE_HOT, "no numbers of classes"),
    ("categorical for sparse", C, "sparse_categorical_crossentropy", "categorical_accuracy", KINDS, "are numbers of classes"),
    ("top-k of one score", 1, "mse", "sparse_top_k_categorical_accuracy", YES, "no scores of several classes"),
    ("mae of labels", C, "sparse_categorical_crossentropy", "mae", KINDS, "mae does not fit .*they would broadcast"),
    ("a text's", C, "sparse_categorical_crossentropy", "bleu", KINDS, "bleu is added up outside the graph"),
    ("unknown", C, "sparse_categorical_crossentropy", "acuracy", KINDS, "no metric 'acuracy'"),
]  # fmt: skip


@pytest.mark.parametrize("units, loss, wanted, y, message", [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_metrics_that_do_not_fit_are_refused(units: int, loss: Any, wanted: Any, y: Array, message: str) -> None:
    with pytest.raises(gx.GraphError, match=message):
        model_of(units, loss, [wanted]).fit(X, y, verbose=0)


def test_a_metric_that_fits_no_target_is_refused_when_the_model_is_compiled() -> None:
    for units, loss, wanted, message in (
        (C, "sparse_categorical_crossentropy", "auc", r"auc does not fit labels i64\[batch\] and outputs f32\[batch, 4\]"),
        (C, "categorical_crossentropy", metrics.SparseCategoricalAccuracy(), "hint: categorical_accuracy"),
        (1, "binary_crossentropy", metrics.TopKCategoricalAccuracy(), 'hint: binary_accuracy, or "accuracy"'),
        (1, "mse", "categorical_accuracy", "the output has no scores of several classes"),
        (C, "sparse_categorical_crossentropy", "acuracy", "no metric 'acuracy'"),
        (C, "sparse_categorical_crossentropy", ["accuracy", ["nothing"]], "no metric 'nothing'"),
    ):
        model = gx.models.Sequential([gx.layers.Dense(units, input_shape=(3,))])
        with pytest.raises(gx.GraphError, match=message):
            model.compile("sgd", loss, wanted if isinstance(wanted, list) else [wanted])
    x = gx.layers.Input((3,))
    two = gx.models.Model(x, {"kind": gx.layers.Dense(C)(x), "size": gx.layers.Dense(1)(x)})
    both = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    with pytest.raises(gx.GraphError, match="mae does not fit labels"):
        two.compile("sgd", both, {"kind": ["mae"], "size": ["mae"]})
    own = metrics.AUC()
    model = gx.models.Sequential([gx.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "binary_crossentropy", [own, "accuracy", "mae", "f1_score", metrics.AUC()])
    assert own.variables == {}  # it was looked at, not used
    model.compile("sgd", "mse", ["accuracy"])  # fits labels, as targets of mse may be
    shapes_unknown = gx.models.Sequential([gx.layers.Dense(C)])
    shapes_unknown.compile("sgd", "sparse_categorical_crossentropy", ["auc"])


def test_counts_of_decisions() -> None:
    yes, scores = np.array([1, 1, 0, 0, 1, 0]), np.array([0.9, 0.4, 0.6, 0.1, 0.7, 0.2])
    weights = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    expected = [(metrics.TruePositives, 6), (metrics.FalseNegatives, 2), (metrics.FalsePositives, 3), (metrics.TrueNegatives, 10)]
    for kind, count in expected:
        metric, several = kind(), kind(thresholds=[0.5, 0.95])
        for part in (slice(0, 4), slice(4, 6)):
            metric.update_state(yes[part], scores[part], sample_weight=weights[part])
            several.update_state(yes[part], scores[part], sample_weight=weights[part])
        assert metric.value() == count
        assert several.value()[0] == count
    assert [metric.name.rstrip("_0123456789") for metric in (metrics.F1Score(), metrics.R2Score())] == ["f1_score", "r2_score"]


def test_a_mean_takes_single_numbers() -> None:
    mean = metrics.Mean()
    mean.update_state(3.0)
    mean.update_state([1.0, 2.0])
    mean.update_state(10.0, sample_weight=2.0)
    assert mean.value() == 26 / 5


def test_a_metric_that_adds_outside_of_the_graph_is_told_how_to() -> None:
    class Hits(metrics.Metric):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None: ...

    with pytest.raises(gx.errors.InputError, match=r"Hits has update_state, which a model(.|\n)*self.add\(name, value\)"):
        Hits()
