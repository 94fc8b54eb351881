"""Models: made of symbols, in a row, or of one's own; trained on arrays and streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.target import find_target
from graphc.layers import Dense, Dropout, Input, Layer
from graphc.models import Model, Sequential, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5)).astype("float32")
Y = (X[:, 0] + X[:, 1] > 0).astype("int64")


def classifier(**options: Any) -> Sequential:
    gx.layers.seed(1)
    model = Sequential([Dense(8, activation="relu", input_shape=(5,)), Dense(2)])
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"], **options)
    return model


def test_training_learns() -> None:
    model = classifier()
    history = model.fit(X, Y, epochs=40, verbose=0)
    assert history.history["loss"][-1] < 0.55 * history.history["loss"][0]
    found = model.evaluate(X, Y)
    assert found["accuracy"] > 0.9
    assert found["accuracy"] == (model.predict(X).argmax(1) == Y).mean()


def test_a_step_is_that_of_a_hand_written_program() -> None:
    model = classifier()
    w1, b1, w2, b2 = model.get_weights()
    model.fit(X, Y, epochs=2, batch_size=64, verbose=0, shuffle=False)
    v = [gx.variable(a, name=n) for a, n in zip((w1, b1, w2, b2), ("w1", "b1", "w2", "b2"), strict=True)]
    x, t = gx.placeholder("x", ("batch", 5)), gx.placeholder("t", ("batch",), "int64")
    loss = gx.nn.cross_entropy(gx.nn.relu(x @ v[0] + v[1]) @ v[2] + v[3], t)
    step = gx.compile([x, t], loss, updates=gx.optim.adam(loss, v, lr=0.001))
    for _ in range(2):
        for start in range(0, 200, 64):  # the last batch has 8
            step(X[start : start + 64], Y[start : start + 64])
    for mine, theirs in zip(v, model.weights, strict=True):
        assert np.allclose(mine.value, theirs.value, rtol=1e-5, atol=1e-6)


def test_several_steps_a_call_are_the_same_steps() -> None:
    one, many = classifier(), classifier(steps_per_call=3)
    for model in (one, many):
        model.fit(X, Y, epochs=3, batch_size=16, verbose=0)  # 12 whole batches and one of 8
    for a, b in zip(one.get_weights(), many.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_streams_and_arrays_train_alike() -> None:
    arrays, stream, again = classifier(), classifier(), classifier()
    arrays.fit(X, Y, epochs=2, batch_size=50, shuffle=False, verbose=0)
    batches = [(X[i : i + 50], Y[i : i + 50]) for i in range(0, 200, 50)]
    stream.fit(iter(batches * 2), steps_per_epoch=4, epochs=2, verbose=0)
    again.fit(lambda epoch: iter(batches), epochs=2, verbose=0)
    for a, b, c in zip(arrays.get_weights(), stream.get_weights(), again.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)
        assert (b == c).all()


def test_a_model_of_symbols_has_one_graph_to_train_and_one_to_predict() -> None:
    gx.layers.seed(1)
    x = Input((5,))
    h = Dense(8, activation="relu")(x)
    h = h + Dropout(0.5)(h)
    model = Model(x, Dense(2)(gx.concat([h, x], axis=1)))
    assert list(model.variables) == ["dense/kernel", "dense/bias", "dropout/key", "dense_1/kernel", "dense_1/bias"]
    assert model.variables["dense_1/kernel"].shape == (13, 2)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(X, Y, epochs=30, verbose=0)
    assert model.evaluate(X, Y)["accuracy"] > 0.9
    assert (model.predict(X) == model.predict(X)).all()


def test_weights_are_shared_where_a_layer_stands_twice() -> None:
    x = Input((5,))
    layer = Dense(5, activation="tanh")
    model = Model(x, layer(layer(x)))
    assert len(model.variables) == 2
    kernel, bias = model.get_weights()
    model.compile("sgd", "mse")
    assert np.allclose(model.predict(X), np.tanh(np.tanh(X @ kernel + bias) @ kernel + bias), atol=1e-5)


class Twin(Model):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.left, self.right = Dense(8, activation="relu"), Dense(2), Dense(1)

    def call(self, x: gx.Tensor) -> Any:
        h = self.body(x)
        return {"class": self.left(h), "sum": self.right(h)}


def test_a_model_of_ones_own_with_two_outputs() -> None:
    model = Twin()
    model.compile("adam", {"class": "sparse_categorical_crossentropy", "sum": "mse"}, {"class": ["accuracy"], "sum": []})
    history = model.fit(X, {"class": Y, "sum": X.sum(1)}, epochs=20, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    found = model.predict(X)
    assert found["class"].shape == (200, 2)
    assert found["sum"].shape == (200, 1)


def test_a_training_step_of_ones_own() -> None:
    def step(model: Model, x: gx.Tensor, t: gx.Tensor) -> Any:
        loss = gx.nn.cross_entropy(model(x, training=True), t, smoothing=0.1)
        return {"loss": loss}, gx.optim.sgd(loss, model.trainable_variables, lr=0.5)

    model = Sequential([Dense(8, activation="relu", input_shape=(5,)), Dense(2)])
    model.compile(step=step)
    history = model.fit(X, Y, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.6 * history.history["loss"][0]


class Plain(Model):
    """A model that has no variables before its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = Dense(8, activation="relu"), Dense(2)

    def call(self, x: gx.Tensor) -> gx.Tensor:
        return self.head(self.hidden(x))


def adam_step(model: Model, x: gx.Tensor, t: gx.Tensor) -> Any:
    loss = gx.nn.cross_entropy(model(x, training=True), t)
    return {"loss": loss}, gx.optim.adam(loss, model.trainable_variables, lr=0.01)


def test_a_step_of_ones_own_is_built_once_and_keeps_its_optimisers_state() -> None:
    built: list[None] = []
    batches = [(X[i : i + 50], Y[i : i + 50]) for i in range(0, 200, 50)]

    def step(*given: Any) -> Any:
        built.append(None)
        return adam_step(*given)

    found = {}
    for name, options in (("own", {"step": step}), ("by name", {"optimizer": gx.models.Optimizer("adam", 0.01)})):
        gx.layers.seed(0)
        model = Plain()
        model.compile(**{"loss": "sparse_categorical_crossentropy"} | options)  # a step of one's own counts
        found[name] = model.fit(X, Y, epochs=5, verbose=0).history["loss"]
        found[name] += model.fit(lambda epoch: batches, verbose=0).history["loss"]
    assert len(built) == 2  # for arrays, and for batches
    np.testing.assert_allclose(found["own"], found["by name"], rtol=1e-5)


def test_a_loop_of_steps_of_ones_own_and_the_steps_left_share_the_optimisers_state() -> None:
    found = []
    for steps in (1, 4):
        gx.layers.seed(0)
        model = Plain()
        model.compile(step=adam_step, steps_per_call=steps)
        found.append(model.fit(X, Y, epochs=3, batch_size=32, verbose=0).history["loss"])  # 7 steps an epoch
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_checkpoints_of_a_step_of_ones_own_have_its_state(tmp_path: Path) -> None:
    def trained(folder: str, *epochs: int) -> Any:
        for count in epochs:
            gx.layers.seed(0)
            model = Plain()
            model.compile(step=adam_step)
            model.fit(X, Y, epochs=count, verbose=0, checkpoints=tmp_path / folder)
        return model.get_weights()

    for a, b in zip(trained("whole", 4), trained("resumed", 2, 4), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("options", [
    {"step": adam_step}, {"optimizer": "adam", "loss": lambda t, y: gx.mean(y * y, axis=1)},
])  # fmt: skip
def test_a_model_that_is_trained_by_what_has_no_name_is_saved_without_it(options: dict[str, Any], tmp_path: Path) -> None:
    model = Sequential([Dense(2, input_shape=(5,))])
    model.compile(**options)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model")
    again = gx.models.load(tmp_path / "model")
    assert all((a == b).all() for a, b in zip(again.get_weights(), model.get_weights(), strict=True))


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_loss_sees_whether_it_gets_logits(activation: str | None) -> None:
    logits = np.array([[200.0, 0.0], [0.0, 1.0]], "float32")
    model = Sequential([Dense(2, activation=activation, input_shape=(2,))])
    model.set_weights([np.eye(2), np.zeros(2)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    found = model.evaluate(logits, np.array([1, 1]))["loss"]
    assert abs(found - (200 + np.log1p(np.exp(-1))) / 2) < 1e-3


def test_logits_that_went_through_a_softmax_are_refused() -> None:
    model = Sequential([Dense(2, activation="softmax", input_shape=(5,))])
    with pytest.raises(gx.GraphError, match="the model's output went through a softmax already"):
        model.compile("sgd", gx.models.losses.SparseCategoricalCrossentropy(from_logits=True))


def test_targets_that_would_broadcast_are_refused() -> None:
    model = Sequential([Dense(3, input_shape=(5,))])
    model.compile("sgd", "mse")
    with pytest.raises(gx.errors.ShapeError, match="do not fit the model's output"):
        model.fit(X, Y.astype("float32"), verbose=0)


@pytest.mark.parametrize("from_logits", [None, True, False])
def test_labels_of_one_axis_fit_an_output_of_one_column(from_logits: bool | None) -> None:
    p = np.array([[0.25], [0.5], [0.75]], "float32")
    t = np.array([0, 1, 1])
    y = gx.constant(np.log(p / (1 - p)) if from_logits is not False else p)
    for labels in (t, t > 0, t.astype("float32"), t[:, None]):
        each = gx.models.losses.BinaryCrossentropy(from_logits)(labels, y)
        assert abs(each.eval() + np.log([0.75, 0.5, 0.75]).mean()) < 1e-6


def test_weights_of_samples_and_classes() -> None:
    plain, weighted = classifier(), classifier()
    twice = np.concatenate([X, X[Y == 1]]), np.concatenate([Y, Y[Y == 1]])
    found = weighted.evaluate(X, Y, sample_weight=np.where(Y == 1, 2.0, 1.0))
    expected = plain.evaluate(*twice)
    assert abs(found["loss"] * 200 / len(twice[0]) - expected["loss"]) < 1e-6
    assert abs(found["accuracy"] - expected["accuracy"]) < 1e-9
    weighted.fit(X, Y, class_weight={0: 0.0, 1: 1.0}, epochs=30, verbose=0)
    assert (weighted.predict(X).argmax(1) == 1).mean() > 0.9


def test_a_frozen_layer_stays_as_it_is() -> None:
    model = classifier()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(X, Y, epochs=2, verbose=0)
    after = model.get_weights()
    assert (before[0] == after[0]).all()
    assert (before[2] != after[2]).any()
    model.layers[0].trainable = True
    model.fit(X, Y, epochs=2, verbose=0)
    assert (before[0] != model.get_weights()[0]).any()


def test_regularisers_join_the_loss() -> None:
    gx.layers.seed(1)
    model = Sequential([Dense(2, input_shape=(5,), kernel_regularizer=gx.layers.regularizers.l2(10.0))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=20, verbose=0)
    assert abs(model.get_weights()[0]).max() < 0.05


def test_an_interrupt_leaves_model_and_history_whole() -> None:
    class Interrupt(gx.models.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
            if batch == 2 and interrupted.epoch and len(interrupted.epoch) == 1:
                raise KeyboardInterrupt

    model = classifier()
    interrupted = gx.models.History()

    class Note(gx.models.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
            interrupted.add(epoch, logs)

    history = model.fit(X, Y, epochs=5, verbose=0, callbacks=[Note(), Interrupt()])
    assert history.epoch == [0]
    assert np.isfinite(model.evaluate(X, Y)["loss"])


def test_a_layer_without_a_model_is_a_function() -> None:
    class Linear(Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units = units

        def call(self, x: gx.Tensor) -> gx.Tensor:
            kernel = self.variable("kernel", (x.shape[-1], self.units), "glorot_uniform")
            return x @ kernel + self.variable("bias", (self.units,))

    layer = Linear(3)
    assert layer(X).shape == (200, 3)
    assert [v.name for v in layer.weights] == ["linear/kernel", "linear/bias"]


# --- optimisers by name ----------------------------------------------------------------------------------------------

FUNCTIONS = [name for name in optimizers.NAMED if name != "lbfgs"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_optimiser_by_name_makes_the_loss_small(name: str) -> None:
    gx.layers.seed(1)
    model = Sequential([Dense(2, input_shape=(5,))])
    rate = {"adadelta": 20.0, "adagrad": 0.1}.get(name, 0.01)
    model.compile(gx.models.Optimizer(name, learning_rate=rate), "sparse_categorical_crossentropy", backend="interpreter")
    losses = model.fit(X, Y, epochs=6, batch_size=200 if name == "rprop" else 20, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_an_optimiser_without_a_rate_goes_by_steps_of_its_own(tmp_path: Any) -> None:
    x, y = X, (X @ np.array([1.0, -2.0, 0.5, 3.0, 0.0]) + 4).astype("float32")
    model = Sequential([Dense(1, input_shape=(5,))])
    model.compile(gx.models.Optimizer("lbfgs", steps=10), "mse", backend="interpreter")
    losses = model.fit(x, y, batch_size=len(x), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 1e-8
    assert repr(model.optimizer) == "<lbfgs, steps=10>"
    model.save(tmp_path / "model")
    again = gx.models.load(tmp_path / "model")
    assert again.fit(x, y, batch_size=len(x), verbose=0).history["loss"][0] < 1e-8
    with pytest.raises(gx.errors.InputError, match="lbfgs has no learning rate"):
        gx.models.Optimizer("lbfgs", learning_rate=0.1)


CLASSES: list[tuple[Any, Any, dict[str, Any]]] = [
    (optimizers.Adam(learning_rate=1e-3, beta_1=0.8, epsilon=1e-7), gx.optim.adam, {"beta1": 0.8, "eps": 1e-7}),
    (optimizers.Adam(1e-3, weight_decay=0.1), gx.optim.adamw, {"weight_decay": 0.1}),
    (optimizers.Adam(1e-3, weight_decay=None, amsgrad=False, clipnorm=None), gx.optim.adam, {}),
    (optimizers.AdamW(1e-3, global_clipnorm=1.0), gx.optim.adamw, {"clip_norm": 1.0}),
    (optimizers.SGD(1e-3), gx.optim.sgd, {}),
    (optimizers.SGD(1e-3, momentum=0.9), gx.optim.momentum, {"beta": 0.9}),
    (optimizers.SGD(1e-3, momentum=0.9, nesterov=True), gx.optim.nesterov, {"beta": 0.9}),
    (optimizers.RMSprop(1e-3, rho=0.8), gx.optim.rmsprop, {"decay": 0.8}),
    (optimizers.Adagrad(1e-3, initial_accumulator_value=0.1), gx.optim.adagrad, {"initial": 0.1}),
    (optimizers.Adadelta(1e-3, rho=0.95), gx.optim.adadelta, {"decay": 0.95}),
    (optimizers.Lion(1e-3, beta_1=0.8), gx.optim.lion, {"beta1": 0.8}),
]  # fmt: skip


@pytest.mark.parametrize("made, function, options", CLASSES)
def test_optimisers_take_kerass_options(made: Any, function: Any, options: dict[str, Any]) -> None:
    assert made.function is function
    assert made.options == options
    assert made.learning_rate == 1e-3
    again = gx.layers.from_data(gx.layers.to_data(made))
    assert type(again) is type(made)
    assert (again.function, again.options, again.learning_rate) == (function, options, 1e-3)


def test_an_optimiser_without_a_rate_has_its_functions() -> None:
    assert gx.models.Optimizer("adadelta").learning_rate == 1.0
    assert optimizers.Lion().learning_rate == 1e-4
    assert optimizers.SGD(momentum=0.9).learning_rate == 0.01
    assert gx.models.optimizers.named_optimizer(optimizers.Adam).learning_rate == 0.001


def test_options_that_an_optimiser_has_not_are_refused() -> None:
    with pytest.raises(gx.GraphError, match=r"adam has no option clipvalue(.|\n)*clip_value="):
        optimizers.Adam(clipvalue=0.5)
    with pytest.raises(gx.GraphError, match=r"lion has no option bet(.|\n)*it has lr, beta1, beta2, weight_decay"):
        optimizers.Lion(bet=0.5)
    with pytest.raises(gx.GraphError, match="no optimiser 'adamm'"):
        optimizers.Optimizer("adamm")


def test_numbers_in_a_model_of_symbols_fit_whatever_the_batch_is_called() -> None:
    x = Input((5,))
    h = Dense(5)(x)
    model = Model(x, gx.nn.relu(2 * h) + gx.ones((x.shape[0], 5), "float32") - gx.reshape(h, (x.shape[0], 5)))
    kernel, bias = model.get_weights()
    y = X @ kernel + bias
    want = np.maximum(2 * y, 0) + 1 - y
    assert np.allclose(model(X).eval(), want, atol=1e-5)
    other = gx.placeholder("other", ("rows", 5))
    assert model(other).shape == other.shape
    assert np.allclose(gx.compile([other], model(other))(X), want, atol=1e-5)
    model.compile("sgd", "mse")
    assert np.allclose(model.predict(X), want, atol=1e-5)


def test_outputs_have_figures_of_their_own() -> None:
    x = Input((5,))
    model = Model(x, [Dense(2)(x), Dense(2)(x)])
    model.compile("sgd", "sparse_categorical_crossentropy", [["accuracy"], ["accuracy"]])
    first, second = (part.argmax(1) for part in model.predict(X))
    found = model.evaluate(X, [first, 1 - second])
    assert (found["dense_accuracy"], found["dense_1_accuracy"]) == (1, 0)


def test_figures_of_several_outputs_bear_their_names() -> None:
    x = Input((5,))
    outputs = [Dense(1, name="size")(x), Dense(3, name="kind")(x)]
    losses = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
    y = {"size": X[:, 0], "kind": X[:, :3].argmax(1)}
    for form in (outputs, dict(zip(losses, outputs, strict=True))):
        model = Model(x, form)
        model.compile("sgd", losses, {"size": ["mae"], "kind": ["accuracy"]}, loss_weights={"size": 0.5, "kind": 2.0})
        stop = gx.models.EarlyStopping("val_kind_accuracy", patience=1)
        history = model.fit(X, y, epochs=1, validation_data=(X, y), callbacks=[stop], verbose=0).history
        names = ["loss", "size_loss", "kind_loss", "size_mae", "kind_accuracy"]
        assert list(history) == [*names, *(f"val_{name}" for name in names)]
        found = model.evaluate(X, y)
        assert found["loss"] == pytest.approx(0.5 * found["size_loss"] + 2 * found["kind_loss"], rel=1e-6)
        said = model.predict(X)
        size = said["size"] if isinstance(said, dict) else said[0]
        assert found["size_loss"] == pytest.approx(((size[:, 0] - X[:, 0]) ** 2).mean(), rel=1e-5)
        assert found["size_mae"] == pytest.approx(abs(size[:, 0] - X[:, 0]).mean(), rel=1e-5)


def test_a_model_of_a_row_s_input_and_an_inner_output() -> None:
    base = Sequential([Dense(4, activation="relu", input_shape=(5,)), Dense(3)])
    whole = Model(base.inputs, base.outputs)
    assert (whole.predict(X) == base.predict(X)).all()
    features = Model(base.inputs, base.layers[0].output)
    by_hand = np.maximum(X @ base.layers[0].kernel.value + base.layers[0].bias.value, 0)
    rounding = 0 if find_target(None).fma else 1e-6  # NumPy's product uses what this machine has
    np.testing.assert_allclose(features.predict(X), by_hand, rtol=rounding, atol=rounding)
    assert features.layers[-1] is base.layers[0]
    assert Sequential([Dense(4)]).inputs is None


def test_a_layer_has_its_variables_as_attributes_and_weights_may_be_tied(tmp_path: Any) -> None:
    encode = Dense(2, use_bias=False, input_shape=(5,))
    x = Input((5,))
    model = Model(x, encode(x) @ gx.matrix_transpose(encode.kernel))
    assert encode.kernel is encode.weights[0]
    assert gx.layers.Conv2D(3, 2, input_shape=(4, 4, 1)).kernel.shape == (2, 2, 1, 3)
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0)
    kernel = encode.get_weights()[0]
    np.testing.assert_allclose(model.predict(X), X @ kernel @ kernel.T, rtol=1e-4, atol=1e-5)
    with pytest.raises(AttributeError, match="Dense has no kernel"):
        _ = Dense(2).kernel


def test_an_input_that_was_not_given_is_named() -> None:
    x, other = Input((5,), name="x"), Input((5,), name="other")
    with pytest.raises(gx.errors.InputError, match=r"'other'.*none of the model's inputs"):
        Model(x, Dense(2)(x + other))


def frozen_base() -> Sequential:
    return Sequential([Input((5,)), Dense(6, activation="relu"), gx.layers.BatchNorm(), Dropout(0.5), Dense(3)])


@pytest.mark.parametrize("how", ["frozen", "training=False"])
def test_a_base_that_is_frozen_or_called_for_prediction_keeps_its_averages(how: str, tmp_path: Any) -> None:
    base = frozen_base()
    base.compile("adam", "mse")
    base.fit(X, X[:, :3], verbose=0)
    features = Model(base.inputs, base.layers[1].output)
    x = Input((5,))
    if how == "frozen":
        features.trainable = False
    model = Model(x, Dense(1)(features(x, training=None if how == "frozen" else False)))
    model.compile("sgd", "mse")
    before = {path: v.value.copy() for path, v in features.variables.items()}
    model.fit(X, X[:, 0], verbose=0)
    moved = {path for path, v in features.variables.items() if (v.value != before[path]).any()}
    assert not {path for path in moved if "moving" in path}
    assert bool(moved) == (how != "frozen")
    model.save(tmp_path / "model")
    again = gx.models.load(tmp_path / "model")
    again.fit(X, X[:, 0], verbose=0)
    model.fit(X, X[:, 0], verbose=0)
    assert all((a == b).all() for a, b in zip(again.get_weights(), model.get_weights(), strict=True))
    if how == "frozen":  # and thawed: the averages move again, without another compile
        features.trainable = True
        model.fit(X, X[:, 0], verbose=0)
        assert {path for path, v in features.variables.items() if (v.value != before[path]).any()} >= {
            path for path in before if "moving" in path
        }  # fmt: skip


def test_dropout_may_be_asked_for_in_prediction() -> None:
    x = Input((5,))
    model = Model(x, Dropout(0.5)(x, training=True))
    one, two = model.predict(X), model.predict(X)
    assert (one == 0).mean() == pytest.approx(0.5, abs=0.05)
    assert ((one == 0) != (two == 0)).any()
