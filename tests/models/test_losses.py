"""Losses of models against NumPy's formulas and torch's, and what is refused before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.layers import Activation, Dense
from graphc.models import Sequential, losses

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(5)
N, C = 6, 4
T, O = RNG.normal(size=(N, C)), RNG.normal(size=(N, C))
TP, OP = abs(T) + 0.1, abs(O) + 0.1
LABELS = RNG.integers(0, C, N)
ONE_HOT = np.eye(C)[LABELS]
BITS = RNG.integers(0, 2, (N, C)).astype("float64")
SOFT, P = RNG.dirichlet(np.ones(C), N), 1 / (1 + np.exp(-O))
PROBABILITIES = np.exp(O) / np.exp(O).sum(1, keepdims=True)
COS = (T * O).sum(1) / np.sqrt((T * T).sum(1) * (O * O).sum(1))
BCE = -(BITS * np.log(P) + (1 - BITS) * np.log(1 - P))
MISSED = BITS * (1 - P) + (1 - BITS) * P
SIGNS = 2 * BITS - 1
OWN = PROBABILITIES[np.arange(N), LABELS]

CASES: list[tuple[str, Any, Array, Array, Array]] = [
    ("mse", "mse", T, O, ((T - O) ** 2).mean(1)),
    ("mae", "mae", T, O, abs(T - O).mean(1)),
    ("mape", "mape", T, O, 100 * (abs(T - O) / abs(T)).mean(1)),
    ("msle", "msle", TP, OP, ((np.log1p(TP) - np.log1p(OP)) ** 2).mean(1)),
    ("huber", losses.Huber(0.5), T, O, np.where(abs(T - O) <= 0.5, (T - O) ** 2 / 2, 0.5 * abs(T - O) - 0.125).mean(1)),
    ("log_cosh", "log_cosh", T, O, np.log(np.cosh(T - O)).mean(1)),
    ("poisson", "poisson", TP, OP, (OP - TP * np.log(OP + 1e-7)).mean(1)),
    ("kl_divergence", "kl_divergence", SOFT, PROBABILITIES, (SOFT * np.log(SOFT / PROBABILITIES)).sum(1)),
    ("cosine", "cosine_similarity", T, O, -COS),
    ("hinge", "hinge", BITS, O, np.maximum(1 - SIGNS * O, 0).mean(1)),
    ("squared_hinge", "squared_hinge", SIGNS, O, (np.maximum(1 - SIGNS * O, 0) ** 2).mean(1)),
    (
        "categorical_hinge", "categorical_hinge", ONE_HOT, O,
        np.maximum(1 + ((1 - ONE_HOT) * O).max(1) - (ONE_HOT * O).sum(1), 0),
    ),
    ("binary, logits", "binary_crossentropy", BITS, O, BCE.mean(1)),
    ("binary", losses.BinaryCrossentropy(from_logits=False), BITS, P, BCE.mean(1)),
    (
        "binary, smooth", losses.BinaryCrossentropy(label_smoothing=0.2), BITS, O,
        (-((0.8 * BITS + 0.1) * np.log(P) + (0.9 - 0.8 * BITS) * np.log(1 - P))).mean(1),
    ),
    ("binary focal", "binary_focal_crossentropy", BITS, O, (MISSED**2 * BCE).mean(1)),
    (
        "binary focal, balanced", losses.BinaryFocalCrossentropy(True, 0.3, 1.5, from_logits=False), BITS, P,
        ((0.3 * BITS + 0.7 * (1 - BITS)) * MISSED**1.5 * BCE).mean(1),
    ),
    ("sparse", "sparse_categorical_crossentropy", LABELS, O, -np.log(OWN)),
    ("categorical", "categorical_crossentropy", SOFT, O, -(SOFT * np.log(PROBABILITIES)).sum(1)),
    (
        "categorical focal", "categorical_focal_crossentropy", ONE_HOT, O,
        -0.25 * (ONE_HOT * (1 - PROBABILITIES) ** 2 * np.log(PROBABILITIES)).sum(1),
    ),
    ("generalized", losses.CategoricalGeneralizedCrossEntropy(0.7), LABELS, O, (1 - OWN**0.7) / 0.7),
    ("dice", "dice", BITS, P, 1 - (2 * (BITS * P).sum(1) + 1e-7) / (BITS.sum(1) + P.sum(1) + 1e-7)),
    (
        "tversky", losses.Tversky(0.3, 0.7), BITS, P,
        1 - ((BITS * P).sum(1) + 1e-7) / ((BITS * P + 0.3 * (1 - BITS) * P + 0.7 * BITS * (1 - P)).sum(1) + 1e-7),
    ),
]  # fmt: skip


@pytest.mark.parametrize("loss, target, output, expected", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_loss_and_gradient_are_those_of_the_formula(loss: Any, target: Array, output: Array, expected: Array) -> None:
    made = losses.named_loss(loss)
    y = gx.placeholder("y", output.shape, "float64")
    each = losses.per_sample(made.call(gx.constant(target), y))
    program = gx.compile([y], [each, gx.grad(gx.sum(each), y)], backend="interpreter")
    value, gradient = program(output)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-9)
    way = RNG.normal(size=output.shape)
    ahead, behind = (program(output + step * way)[0].sum() for step in (1e-6, -1e-6))
    np.testing.assert_allclose((gradient * way).sum(), (ahead - behind) / 2e-6, rtol=1e-5, atol=1e-7)


def test_every_named_loss_is_tested_here() -> None:
    tested = {losses.named_loss(c[1]).name for c in CASES} | {"ctc"}
    aliases = {"mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error"}
    assert set(losses.NAMED) <= tested | aliases


def test_ctc_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    logits, labels = RNG.normal(size=(3, 8, C)), np.array([[1, 2, 0], [3, 3, 1], [2, 0, 0]])
    y = gx.placeholder("y", logits.shape, "float64")
    each = losses.CTC().call(gx.constant(labels), y)
    value, gradient = gx.compile([y], [each, gx.grad(gx.sum(each), y)], backend="interpreter")(logits)
    t = torch.tensor(logits, requires_grad=True)
    logs = torch.log_softmax(t, -1).transpose(0, 1)
    lengths = torch.tensor([2, 3, 1])
    theirs = torch.nn.functional.ctc_loss(logs, torch.tensor(labels), torch.tensor([8] * 3), lengths, reduction="none")
    theirs.sum().backward()
    np.testing.assert_allclose(value, theirs.detach().numpy(), rtol=1e-8)
    np.testing.assert_allclose(gradient, t.grad.numpy(), rtol=1e-6, atol=1e-9)


def test_losses_go_through_files() -> None:
    for name in losses.NAMED:
        made = losses.named_loss(name)
        if type(made).__name__ in losses.__all__:
            again = gx.layers.from_data(gx.layers.to_data(made))
            assert type(again) is type(made)
            assert again.get_config() == made.get_config()


# --- traps -----------------------------------------------------------------------------------------------------------

X = RNG.normal(size=(20, 3)).astype("float32")
KINDS = np.arange(20) % C
YES = np.arange(20) % 2


def model_of(units: int, loss: Any, activation: str | None = None) -> Sequential:
    model = Sequential([Dense(units, activation=activation, input_shape=(3,))])
    model.compile("sgd", loss, backend="interpreter")
    return model


REFUSED: list[tuple[str, int, str | None, Any, Array, str]] = [
    (
        "no softmax", C, None, losses.SparseCategoricalCrossentropy(from_logits=False), KINDS,
        "is to take probabilities, and the model's output is a layer's plain sums",
    ),
    ("no sigmoid", 1, None, losses.BinaryCrossentropy(from_logits=False), YES, "is to take probabilities"),
    ("a softmax too much", C, "softmax", losses.SparseCategoricalCrossentropy(from_logits=True), KINDS, "softmax already"),
    ("a sigmoid too much", 1, "sigmoid", losses.BinaryCrossentropy(from_logits=True), YES, "through a sigmoid already"),
    ("softmax of one unit", 1, "softmax", "binary_crossentropy", YES, "softmax over one unit is always 1"),
    ("softmax of one unit, mse", 1, "softmax", "mse", YES, "softmax over one unit is always 1"),
    ("one class", 1, None, "sparse_categorical_crossentropy", YES, "of one class the probability is always 1"),
    ("sigmoid", C, "sigmoid", "sparse_categorical_crossentropy", KINDS, "classes that exclude each other"),
    ("one-hot for sparse", C, None, "sparse_categorical_crossentropy", np.eye(C)[KINDS], "needs one number of a class"),
    ("sparse for one-hot", C, None, "categorical_crossentropy", KINDS, "needs one number for each class"),
    ("dice of logits", C, None, "dice", np.eye(C)[KINDS], "is to take probabilities"),
    (
        "labels from 1", C, None, "sparse_categorical_crossentropy", KINDS + 1,
        rf"the largest label is {C}, and the model's output has {C} classes, 0 to {C - 1}(.|\n)*give y - 1",
    ),
    ("labels too large", C, None, "sparse_categorical_crossentropy", KINDS * 3, "the largest label is 9"),
    ("labels below 0", C, None, "sparse_categorical_crossentropy", KINDS - 1, "the smallest label is -1"),
    ("binary labels", 1, None, "binary_crossentropy", 2 * YES - 1, "takes labels from 0 to 1, got some from -1 to 1"),
]  # fmt: skip


@pytest.mark.parametrize("units, activation, loss, y, message", [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_traps_are_errors_before_anything_is_trained(units: int, activation: Any, loss: Any, y: Array, message: str) -> None:
    model = Sequential([Dense(units, activation=activation, input_shape=(3,))])
    before = model.get_weights()
    with pytest.raises(gx.GraphError, match=message) as caught:
        model.compile("sgd", loss, backend="interpreter")
        model.fit(X, y, verbose=0)
    assert caught.value.where is not None
    assert caught.value.where.file == __file__
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("known", [True, False])
def test_an_output_that_does_not_fit_its_loss_is_an_error_of_compile_where_inputs_are_known(known: bool) -> None:
    def twice(x: gx.Tensor) -> dict[str, gx.Tensor]:
        return {"kind": Dense(C, activation="softmax")(x), "yes": Dense(1)(x)}

    wrong = losses.SparseCategoricalCrossentropy(from_logits=True)
    x = gx.layers.Input((3,))
    with pytest.raises(gx.GraphError, match="softmax already") as caught:
        gx.models.Model(x, twice(x)).compile("sgd", {"yes": "binary_crossentropy", "kind": wrong})
    assert caught.value.where is not None and caught.value.where.file == __file__
    gx.models.Model(x, twice(x)).compile("sgd", {"kind": "sparse_categorical_crossentropy", "yes": "binary_crossentropy"})
    model = Sequential([Dense(C, activation="softmax", **({"input_shape": (3,)} if known else {}))])
    if not known:
        model.compile("sgd", wrong, backend="interpreter")
    with pytest.raises(gx.GraphError, match="softmax already"):
        model.compile("sgd", wrong, backend="interpreter")
        model.fit(X, KINDS, verbose=0)


def test_labels_of_validation_are_looked_at_too() -> None:
    with pytest.raises(gx.GraphError, match="the largest label is 4"):
        model_of(C, "sparse_categorical_crossentropy").fit(X, KINDS, validation_data=(X, KINDS + 1), verbose=0)


@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_labels_of_batches_are_looked_at_as_they_come(call: str) -> None:
    model = Sequential([Dense(C, input_shape=(3,))])
    model.compile("sgd", "sparse_categorical_crossentropy", backend="interpreter")
    good = np.ones((2, 3), "float32"), np.array([0, C - 1])
    options = {"verbose": 0} if call == "fit" else {}
    getattr(model, call)(iter([good, good]), **options)
    used = []

    def batches() -> Any:
        for labels in ([0, 1], [C - 1, 0], [0, C]):
            used.append(labels)
            yield np.ones((2, 3), "float32"), np.array(labels)

    with pytest.raises(gx.errors.InputError, match=f"the largest label is {C}, and the model's output has {C} classes"):
        getattr(model, call)(batches(), **options)
    assert len(used) == 3
    with pytest.raises(gx.errors.InputError, match="the smallest label is -1"):
        getattr(model, call)(np.ones((2, 3), "float32"), np.array([0, -1]), **options)


PLAIN = (
    "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "LogCosh", "Poisson",
    "KLDivergence", "Hinge", "SquaredHinge", "CategoricalHinge",
)  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_classes_are_the_functions_of_their_names(name: str, tmp_path: Any) -> None:
    made = getattr(losses, name)()
    y_true, y_pred = gx.constant(SOFT), gx.constant(PROBABILITIES)
    found, expected = made.call(y_true, y_pred), losses.FUNCTIONS[made.name](y_true, y_pred)
    assert (found.eval() == expected.eval()).all()
    assert type(gx.layers.from_data(gx.layers.to_data(made))) is type(made)
    metric = getattr(gx.metrics, name, None) if name in gx.metrics.__all__ else None
    if metric is not None:
        assert type(gx.layers.from_data(gx.layers.to_data(metric()))) is metric
    assert not made.own
    with pytest.raises(AttributeError, match="losses has no MeanSquareError"):
        _ = losses.MeanSquareError


def test_ignored_labels_may_be_any() -> None:
    model = model_of(C, losses.SparseCategoricalCrossentropy(ignore_class=255))
    history = model.fit(X, np.where(KINDS == 1, 255, KINDS), verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_a_softmax_before_a_binary_loss_is_warned_of() -> None:
    model = model_of(C, "binary_crossentropy", "softmax")
    with pytest.warns(gx.errors.GraphWarning, match="takes each class of a softmax for itself"):
        found = model.evaluate(X, np.eye(C)[KINDS])["loss"]
    p, t = model.predict(X), np.eye(C)[KINDS]
    assert found == pytest.approx(-(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), rel=1e-5)


def test_a_column_of_one_unit_takes_flat_labels() -> None:
    model = Sequential([Dense(1, input_shape=(3,)), Activation("sigmoid")])
    model.compile("sgd", "binary_crossentropy", ["accuracy"])
    found, p = model.evaluate(X, YES), model.predict(X)[:, 0]
    assert found["loss"] == pytest.approx(-np.log(np.where(YES == 1, p, 1 - p)).mean(), rel=1e-5)
    assert found["accuracy"] == ((p > 0.5) == (YES == 1)).mean()


# --- names and reductions --------------------------------------------------------------------------------------------

W = RNG.uniform(0.5, 2, N)
SQUARES = (T - O) ** 2


@pytest.mark.parametrize(
    "reduction, plain, weighted",
    [
        ("sum_over_batch_size", SQUARES.mean(), (W * SQUARES.mean(1)).mean()),
        ("mean", SQUARES.mean(), (W * SQUARES.mean(1)).mean()),
        ("mean_with_sample_weight", SQUARES.mean(), (W * SQUARES.mean(1)).sum() / W.sum()),
        ("sum", SQUARES.mean(1).sum(), (W * SQUARES.mean(1)).sum()),
        ("none", SQUARES.mean(1), W * SQUARES.mean(1)),
        (None, SQUARES.mean(1), W * SQUARES.mean(1)),
    ],
)
def test_reductions_are_their_formulas(reduction: Any, plain: Any, weighted: Any) -> None:
    loss = losses.MeanSquaredError(reduction=reduction, name="off")
    assert loss.name == "off"
    np.testing.assert_allclose(loss(T, O).eval(), plain, rtol=1e-12)
    np.testing.assert_allclose(loss(T, O, sample_weight=W).eval(), weighted, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight", "mean"])
@pytest.mark.parametrize("masked", [False, True])
def test_reductions_in_training_are_those_of_weights_and_masks(reduction: str, masked: bool) -> None:
    """Steps of sequences: what a step changes, and what it says."""
    words = np.array([[1, 2, 3], [2, 1, 0], [3, 0, 0], [1, 1, 1]])
    t, w = RNG.normal(size=(4, 3, 2)), np.array([1.0, 2.0, 0.5, 3.0])
    with gx.layers.seeded(0):
        model = Sequential([gx.layers.Embedding(4, 3, mask_zero=masked), Dense(2)])
    model.compile(gx.models.optimizers.SGD(0.1), losses.MeanSquaredError(reduction=reduction), backend="interpreter")
    off = model.predict(words).astype("float64") - t
    factor = w[:, None] * np.where(words > 0, 1, not masked)
    if masked and reduction == "mean":
        factor = factor * words.size / (words > 0).sum()
    per = (factor * (off**2).mean(-1)).sum()
    least = {"sum": 1, "mean": words.size, "mean_with_sample_weight": np.broadcast_to(factor, words.shape).sum()}[reduction]
    bias = model.weights[-1].value
    found = model.train_on_batch(words, t, w)
    assert found["loss"] == pytest.approx(per / least, rel=1e-5)
    slope = (factor[..., None] * off).sum((0, 1)) / least  # of the bias: 2 off, over two outputs
    np.testing.assert_allclose(bias - model.weights[-1].value, 0.1 * slope, rtol=1e-4)


@pytest.mark.parametrize("cls", [cls for name in losses.__all__ if issubclass(cls := getattr(losses, name), losses.Loss)])
def test_every_loss_takes_a_name_and_a_reduction_and_keeps_them_in_files(cls: Any) -> None:
    made = cls(name="mine", reduction="sum", dtype=None)
    assert (made.name, made.reduction, made.kind) == ("mine", "sum", cls.name)
    again = gx.layers.from_data(gx.layers.to_data(made))
    assert vars(again) == vars(made)
    assert "reduction" not in cls().get_config()
    with pytest.raises(gx.errors.InputError, match=f"{cls.__name__}: reduction is 'auto'"):
        cls(reduction="auto")
    with pytest.raises(gx.errors.InputError, match=f"{cls.__name__} has no option smoothness"):
        cls(smoothness=1)


def test_a_loss_of_ones_own_has_both_without_a_word() -> None:
    class Cubes(losses.Loss):
        def call(self, y_true: gx.Tensor, y_pred: gx.Tensor) -> gx.Tensor:
            return gx.abs(y_true - y_pred) ** 3

    made = Cubes(name="cubes", reduction="sum")
    np.testing.assert_allclose(made(T, O).eval(), (abs(T - O) ** 3).sum(), rtol=1e-12)
    model = model_of(C, made)
    assert model.train_on_batch(X, np.eye(C)[KINDS])["loss"] > 0


def test_a_loss_that_is_not_reduced_is_none_to_train_by() -> None:
    with pytest.raises(gx.errors.InputError, match="mine has reduction='none', which leaves no one number to train by"):
        model_of(C, losses.MeanSquaredError(reduction="none", name="mine"))


def test_an_axis_of_classes_that_is_not_the_last_is_refused() -> None:
    losses.CategoricalCrossentropy(axis=-1)
    with pytest.raises(gx.errors.InputError, match=r"has no option axis=1(.|\n)*moveaxis"):
        losses.CategoricalCrossentropy(axis=1)


def test_weights_of_samples_may_be_those_of_each_output() -> None:
    x = gx.layers.Input((3,))
    with gx.layers.seeded(0):
        model = gx.models.Model(x, {"a": Dense(1)(x), "b": Dense(2)(x)})
    model.compile("sgd", "mse", {"a": "mae", "b": "mae"}, backend="interpreter")
    w = RNG.uniform(0.5, 2, len(X))
    targets = {"b": np.ones((len(X), 2)), "a": np.zeros(len(X))}
    said = model.predict(X)
    a, b = said["a"][:, 0], said["b"] - 1
    for weights in ({"b": w}, [None, w], {"a": None, "b": w}):
        found = model.evaluate(X, targets, sample_weight=weights, batch_size=7)
        assert found["loss"] == pytest.approx((a**2 + w * (b**2).mean(1)).mean(), rel=1e-5)
        assert found["a_mae"] == pytest.approx(abs(a).mean(), rel=1e-5)
        assert found["b_mae"] == pytest.approx((w * abs(b).mean(1)).sum() / w.sum(), rel=1e-5)
    with pytest.raises(gx.errors.InputError, match="there are 1 sample_weights for 2 outputs"):
        model.fit(X, targets, sample_weight=[w], verbose=0)


def test_weights_of_classes_and_of_steps_go_together() -> None:
    """Two weights that happen to be as many: those of classes are of samples, along the first axis."""
    x = np.ones((2, 2, 3), "float32")
    with gx.layers.seeded(0):
        model = Sequential([Dense(1, input_shape=(2, 3)), gx.layers.Flatten()])
    model.compile("sgd", lambda t, p: gx.square(gx.expand_dims(gx.astype(t, "float32"), -1) - p), backend="interpreter")
    off = (np.array([[0.0], [1.0]]) - model.predict(x)) ** 2
    steps = np.array([[1.0, 0.0], [1.0, 2.0]])
    found = model.fit(x, np.array([0, 1]), class_weight={0: 3.0, 1: 5.0}, sample_weight=steps, verbose=0)
    assert found.history["loss"][0] == pytest.approx((np.array([[3.0], [5.0]]) * steps * off).mean(), rel=1e-5)
