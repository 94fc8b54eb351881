"""What fit, evaluate and predict are given: data by names, weights of classes, batches that end, and what does not fit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.target import find_target
from graphc.layers import Concatenate, Dense, Input
from graphc.models import Callback, Model, Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 5)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")
R = (X @ np.arange(5)).astype("float32")


def classifier(loss: Any = "sparse_categorical_crossentropy", units: int = 2, **options: Any) -> Sequential:
    gx.layers.seed(1)
    model = Sequential([Dense(units, input_shape=(5,))])
    model.compile("sgd", loss, **{"backend": "interpreter", **options})
    return model


def alike(a: Model, b: Model) -> bool:
    return all((v == w).all() for v, w in zip(a.get_weights(), b.get_weights(), strict=True))


# --- by names --------------------------------------------------------------------------------------------------------


def two_headed(**options: Any) -> Model:
    gx.layers.seed(1)
    a, b = Input((5,), name="a"), Input((3,), name="b")
    h = Concatenate()([Dense(4, activation="relu")(a), b])
    model = Model([a, b], [Dense(1, name="price")(h), Dense(2, name="kind")(h)])
    losses = {"kind": "sparse_categorical_crossentropy", "price": "mse"}
    model.compile("sgd", losses, loss_weights={"kind": 2.0}, metrics={"kind": "accuracy"}, backend="interpreter", **options)
    return model


def test_dicts_go_by_the_names_of_inputs_and_outputs() -> None:
    by_name, in_order = two_headed(), two_headed()
    first = by_name.fit({"b": X[:, :3], "a": X}, {"kind": Y, "price": R}, epochs=2, verbose=0, validation_split=0.25)
    in_order.compile(
        "sgd", ["mse", "sparse_categorical_crossentropy"], [[], ["accuracy"]], loss_weights=[1.0, 2.0], backend="interpreter"
    )
    second = in_order.fit([X, X[:, :3]], [R, Y], epochs=2, verbose=0, validation_split=0.25)
    assert alike(by_name, in_order)
    assert first.history == second.history
    figures = {"loss", "price_loss", "kind_loss", "kind_accuracy"}
    assert set(first.history) == {*figures, *(f"val_{name}" for name in figures)}
    for found, expected in zip(by_name.predict({"b": X[:, :3], "a": X}), in_order.predict([X, X[:, :3]]), strict=True):
        assert (found == expected).all()


def test_the_keys_of_outputs_that_are_a_dict_are_their_names() -> None:
    x = Input((5,))
    found = []
    for order in (("low", "high"), ("high", "low")):
        gx.layers.seed(1)
        model = Model(x, {"low": Dense(1)(x), "high": Dense(1)(x)})
        model.compile("sgd", {name: {"low": "mse", "high": "mae"}[name] for name in order}, backend="interpreter")
        model.fit(X, {name: {"low": R, "high": -R}[name] for name in order}, verbose=0)
        found.append(model)
    assert alike(*found)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ({"a": X, "c": X[:, :3]}, {"kind": Y, "price": R}, "data for a, c: the model has a, b"),
        ({"a": X}, {"kind": Y, "price": R}, "data for a: the model has a, b"),
        ({"a": X, "b": X[:, :3]}, {"kind": Y, "prize": R}, "targets for kind, prize: the model has price, kind"),
    ],
)
def test_names_that_a_model_has_not_are_refused(x: Any, y: Any, message: str) -> None:
    with pytest.raises(gx.errors.InputError, match=message):
        two_headed().fit(x, y, verbose=0)


TWO = ["mse", "sparse_categorical_crossentropy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": {"price": "mse"}}, "losses for price: the model has price, kind"),
        ({"loss": TWO, "metrics": {"prize": "mae"}}, "metrics for prize: the model has price, kind"),
        ({"loss": TWO, "loss_weights": {"prize": 1.0}}, "loss_weights for prize: the model has price, kind"),
        ({"loss": TWO, "loss_weights": [1.0]}, "there are 1 loss_weights for 2 losses"),
    ],
)
def test_losses_and_metrics_of_no_output_are_refused(options: dict[str, Any], message: str) -> None:
    model = two_headed()
    with pytest.raises(gx.errors.InputError, match=message):
        model.compile("sgd", backend="interpreter", **options)
        model.fit([X, X[:, :3]], [R, Y], verbose=0)


# --- weights of classes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ({0: 1.0, 1: 3.0}, [1.0, 3.0]), ({1: 3.0}, [1.0, 3.0]), ([2.0, 0.5], [2.0, 0.5]), (np.array([2.0, 0.5]), [2.0, 0.5]),
        ("balanced", [24 / (2 * (Y == 0).sum()), 24 / (2 * (Y == 1).sum())]),
    ],
)  # fmt: skip
def test_classes_have_weights(given: Any, weights: list[float]) -> None:
    expected = classifier()
    expected.fit(X, Y, sample_weight=np.array(weights)[Y], verbose=0)
    for loss, y in (("sparse_categorical_crossentropy", Y), ("categorical_crossentropy", np.eye(2)[Y])):
        found = classifier(loss)
        found.fit(X, y, class_weight=given, verbose=0)
        assert alike(found, expected)


@pytest.mark.parametrize(
    ("given", "y", "message"),
    [
        ("even", Y, "class_weight is 'even'"),
        ({0: 1.0}, R, r"class_weight needs one class for each sample, got targets \[24\] of float32"),
        ({0: 1.0}, [Y, Y], "class_weight needs one array of targets, got 2"),
    ],
)
def test_weights_of_classes_that_are_none_are_refused(given: Any, y: Any, message: str) -> None:
    with pytest.raises(gx.errors.InputError, match=message):
        classifier().fit(X, y, class_weight=given, verbose=0)


# --- batches ---------------------------------------------------------------------------------------------------------


def batches(count: int | None = None) -> Iterator[tuple[Any, Any]]:
    for i in itertools.count() if count is None else range(count):
        rows = np.arange(8) + 8 * (i % 3)
        yield X[rows], Y[rows]


def test_training_ends_with_data_that_cannot_begin_anew() -> None:
    model = classifier()
    with pytest.warns(gx.errors.GraphWarning, match="the data ended in epoch 2 after 0 steps"):
        history = model.fit(batches(3), epochs=4, verbose=0)
    assert history.epoch == [0]
    with pytest.warns(gx.errors.GraphWarning, match="the data ended in epoch 2 after 1 of 2 steps"):
        history = model.fit(batches(3), epochs=2, steps_per_epoch=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_validation_takes_so_many_batches() -> None:
    model = classifier()
    history = model.fit(batches(), steps_per_epoch=3, validation_data=batches(), validation_steps=3, verbose=0)
    assert history.history["val_loss"][0] == pytest.approx(model.evaluate(X, Y)["loss"], rel=1e-6)
    seen = []
    held = lambda epoch: (seen.append(epoch) or batch for batch in batches())  # type: ignore[func-returns-value]
    model.fit(X, Y, validation_data=held, validation_steps=2, verbose=0)
    assert 2 <= len(seen) <= 5  # a thread is ahead


def test_arrays_may_have_shorter_epochs() -> None:
    counted: list[int] = []
    count = gx.models.LambdaCallback(on_train_batch_end=lambda batch, logs: counted.append(batch))
    classifier().fit(X, Y, batch_size=4, steps_per_epoch=2, epochs=2, callbacks=count, verbose=0)
    assert counted == [0, 1, 0, 1]
    with pytest.raises(gx.errors.InputError, match="7 steps in an epoch, and the arrays have 6 batches of 4"):
        classifier().fit(X, Y, batch_size=4, steps_per_epoch=7, verbose=0)


def test_a_pair_of_arrays_is_data_and_targets() -> None:
    one, other = classifier(), classifier()
    first = one.fit((X, Y), validation_split=0.25, verbose=0)
    second = other.fit(X, Y, validation_split=0.25, verbose=0)
    assert first.history == second.history


def test_items_by_number_are_batches() -> None:
    class Items:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> Any:
            if i >= 3:
                raise IndexError
            return X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]

    one, other = classifier(), classifier()
    one.fit(Items(), epochs=2, verbose=0)
    other.fit(X, Y, batch_size=8, shuffle=False, epochs=2, verbose=0)
    assert alike(one, other)


def test_a_short_last_batch_compiles_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    compiled = gx.compile

    def noted(*given: Any, **options: Any) -> Any:
        made.append(options["name"])
        return compiled(*given, **options)

    monkeypatch.setattr("graphc.models.training.gx.compile", noted)
    model = classifier()
    for size in (5, 7, 24):  # 24 samples
        model.fit(X, Y, batch_size=size, validation_data=(X[:11], Y[:11]), verbose=0)
        model.fit(batches(2), verbose=0)
        model.predict(X[:size], batch_size=3)
    assert sorted(made) == ["figures", "predict", "test", "train", "train"]  # to train on arrays, and on batches


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_files_in_memory_are_read_where_they_lie(tmp_path: Any, dtype: str) -> None:
    data = (10 * np.abs(X)).astype(dtype)
    np.save(tmp_path / "x.npy", data)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(gx.data.Arrays((mapped, Y)).data[0], mapped)
    one, other = classifier(), classifier()
    one.fit(mapped, Y, epochs=2, verbose=0, validation_split=0.25)
    other.fit(data, Y, epochs=2, verbose=0, validation_split=0.25)
    assert alike(one, other)
    assert (one.predict(mapped) == one.predict(data)).all()


# --- what does not fit -----------------------------------------------------------------------------------------------

NAN = np.where(np.arange(24) == 7, np.nan, R)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(X[:, :3], Y), r"sequential takes data \[samples, 5\], got f32\[samples, 3\]"),
        (lambda m: m.predict(X[0]), r"sequential takes data \[batch, 5\], got f32\[batch\]"),
        (lambda m: m.fit([X, X], Y), "sequential takes 1 inputs, got 2"),
        (lambda m: m.fit(X.tolist(), Y), "data need an axis of samples"),
        (lambda m: m.fit(X), "fit: there are no targets"),
        (lambda m: m.fit(None, Y), "fit: there are no data"),
        (lambda m: m.evaluate(X), "evaluate: there are no targets"),
        (lambda m: m.evaluate(X, Y + 1), "the largest label is 2"),
        (lambda m: m.fit(X, Y, validation_data=X), r"validation_data takes \(x, y\)"),
        (lambda m: m.fit(X[:0], Y[:0]), "fit: the data have no batch: 0 samples"),
        (lambda m: m.evaluate(X[:0], Y[:0]), "evaluate: the data have no batch: 0 samples"),
        (lambda m: m.fit(X, Y, validation_split=0.01), "one of the two parts has none"),
        (lambda m: m.fit(X, Y, epochs=1.5), "fit: epochs must be an integer, got 1.5"),
        (lambda m: m.fit(X, Y, callbacks=["stop"]), "callbacks: 'stop' is no Callback"),
        (lambda m: m.fit(X, Y, callbacks=gx.models.EarlyStopping), "is no Callback"),
        (lambda m: m.fit(batches(3), validation_split=0.5), "validation_split needs arrays"),
        (lambda m: m.fit(batches(3), class_weight={0: 1.0}), "class_weight needs arrays"),
        (lambda m: m.fit(batches(3), steps_per_epoch=0), "0 steps in an epoch"),
    ],
)
def test_data_that_do_not_fit_are_refused(call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(gx.GraphError, match=message):
        call(classifier())


def test_targets_that_are_nan_are_refused_unless_the_loss_is_the_users() -> None:
    with pytest.raises(gx.errors.InputError, match="mse: the target of sample 7 is NaN"):
        classifier("mse", 1).fit(X, NAN, verbose=0)

    def where_known(t: Any, y: Any) -> Any:
        return gx.where(gx.isnan(t), 0.0, gx.square(gx.where(gx.isnan(t), 0.0, t) - y))[:, 0]

    assert np.isfinite(classifier(where_known, 1).fit(X, NAN[:, None], verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_execution": 4}, "compile has no option steps_per_execution"),
        ({"run_eagerly": True}, "compile has no option run_eagerly"),
        ({"steps_per_call": 0}, "steps_per_call begins at 1"),
        ({"optimizer": "sgdd"}, "no optimiser 'sgdd'"),
    ],
)
def test_options_of_compile_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(gx.errors.InputError, match=message):
        Sequential([Dense(2, input_shape=(5,))]).compile(**{"optimizer": "sgd", "loss": "mse", **options})


@pytest.mark.parametrize("rate", [-1.0, "fast", None])
def test_a_learning_rate_is_a_number_or_a_schedule(rate: Any) -> None:
    if rate is None:
        assert repr(gx.models.optimizers.Adam(beta_1=0.8)) == "<adam, learning rate 0.001, beta1=0.8>"
        assert "a schedule" in repr(gx.models.optimizers.SGD(gx.optim.schedules.cosine(0.1, 5)))
        return
    with pytest.raises(gx.errors.InputError, match=f"the learning rate is {rate!r}"):
        gx.models.optimizers.Adam(rate)


def test_a_training_step_that_nothing_calls_is_refused() -> None:
    class Own(Model):
        def call(self, x: Any) -> Any:
            return x

        def train_step(self, data: Any) -> Any:
            return data

    with pytest.raises(gx.errors.InputError, match="Own has train_step, which nothing calls"):
        Own().compile("sgd", "mse")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Model(X, Y), "Model takes symbols as inputs, got ndarray"),
        (lambda: Model(Input((5,)), None), "Model takes symbols as outputs, got NoneType"),
        (lambda: Sequential(Dense(2)), "Sequential takes a list of layers"),
    ],
)
def test_a_model_is_made_of_symbols_or_layers(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(gx.errors.InputError, match=message):
        make()


# --- what Keras's users type -----------------------------------------------------------------------------------------


def test_a_model_predicts_before_it_is_compiled() -> None:
    gx.layers.seed(1)
    model = Sequential([Dense(2, input_shape=(5,))])
    before = model.predict(X, verbose=0)
    rounding = 0 if find_target(None).fma else 1e-6  # without fma the step's product and the prediction's round differently
    np.testing.assert_allclose(classifier().predict(X), before, rtol=rounding, atol=rounding)
    assert (model.predict_on_batch(X) == before).all()
    assert model.predict(X[:0]).shape == (0, 2)
    with pytest.raises(gx.errors.InputError, match="is not compiled"):
        model.fit(X, Y)


def test_evaluate_gives_a_dict_or_a_list_and_calls_callbacks() -> None:
    told: list[Any] = []

    class Note(Callback):
        def on_test_begin(self, logs: Any = None) -> None:
            told.append(logs)

        def on_test_end(self, logs: Any) -> None:
            told.append(dict(logs))

    model = classifier(metrics=["accuracy"])
    found = model.evaluate(X, Y, verbose=0, callbacks=[Note()], return_dict=True)
    assert told == [{}, dict(found)]
    assert model.evaluate(X, Y, return_dict=False) == [found["loss"], found["accuracy"]]
    assert classifier().evaluate(X, Y, return_dict=False) == found["loss"]


def test_layers_by_name_and_number() -> None:
    model = classifier()
    assert model.get_layer("0") is model.get_layer(index=-1) is model.layers[0]
    with pytest.raises(gx.errors.InputError, match="has 1 layers, and none of number 1"):
        model.get_layer(index=1)


def test_methods_of_callbacks_may_take_logs_where_there_are_none() -> None:
    told: list[Any] = []

    class Note(Callback):
        def on_train_begin(self, logs: Any) -> None:  # type: ignore[override]
            told.append(logs)

        def on_epoch_begin(self, epoch: int, logs: Any) -> None:  # type: ignore[override]
            told.append((epoch, logs))

    classifier().fit(X, Y, callbacks=Note(), verbose=0)
    assert told == [{}, (0, {})]


def test_a_step_of_ones_own_needs_no_targets() -> None:
    def smaller(model: Any, x: Any, y: Any) -> Any:
        assert y is None
        loss = gx.mean(gx.square(model(x, training=True)))
        return {"loss": loss}, gx.optim.sgd(loss, model.trainable_variables, lr=0.1)

    model = Sequential([Dense(2, input_shape=(5,))])
    model.compile(step=smaller, backend="interpreter")
    losses = model.fit(X, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_callbacks_say_what_they_do(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    steady = gx.models.optimizers.SGD(0.0)
    callbacks = [
        gx.models.EarlyStopping("loss", patience=2, min_delta=0.1, verbose=1),
        gx.models.ReduceLROnPlateau("loss", factor=0.5, patience=1, verbose=1),
        gx.models.ModelCheckpoint(tmp_path / "best.npz", "loss", save_best_only=True, save_weights_only=True, verbose=1),
    ]
    model = classifier()
    model.compile(steady, "sparse_categorical_crossentropy", backend="interpreter")
    model.fit(X, Y, epochs=5, callbacks=callbacks, verbose=0)
    said = capsys.readouterr().out
    assert f"epoch 1: saved in {tmp_path / 'best.npz'}" in said
    assert "epoch 3: loss has not become better for 2 epochs; the best is" in said
    scheduler = gx.models.LearningRateScheduler(lambda epoch: 0.25, verbose=1)
    classifier().fit(X, Y, callbacks=[scheduler], verbose=0)
    assert capsys.readouterr().out == "epoch 1: the learning rate is 0.25\n"
