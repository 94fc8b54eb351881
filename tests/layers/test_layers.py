"""Layers: variables by path, weights that are shared, names, training and prediction."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import layers
from graphc.layers import Dense, Dropout, Flatten, Input, Layer


class Block(Layer):
    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.inner = Dense(units, activation="relu")

    def call(self, x: gx.Tensor) -> gx.Tensor:
        return x + self.inner(x)


class Encoder(Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.blocks = [Block(4), Block(4)]
        self.heads = {"mean": Dense(2)}
        self.shared = self.blocks[0]

    def call(self, x: gx.Tensor) -> gx.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.heads["mean"](self.shared(x))


PATHS = [
    "blocks/0/inner/kernel", "blocks/0/inner/bias", "blocks/1/inner/kernel", "blocks/1/inner/bias", "heads/mean/kernel",
    "heads/mean/bias",
]  # fmt: skip


def test_variables_are_known_by_their_path() -> None:
    encoder = Encoder(name="encoder")
    assert encoder.variables == {}
    encoder(Input((4,)))
    assert list(encoder.variables) == PATHS
    assert [v.name for v in encoder.weights] == [f"encoder/{path}" for path in PATHS]
    assert encoder.count_params() == 2 * 20 + 10


def test_a_layer_that_is_called_twice_uses_its_weights_twice() -> None:
    layer, x = Dense(3), Input((3,))
    first, second = layer(x), layer(layer(x))
    assert len(layer.variables) == 2
    value = np.ones((2, 3), "float32")
    once = first.eval({x: value})
    assert np.allclose(second.eval({x: value}), once @ layer.get_weights()[0])


def test_inputs_of_another_size_do_not_fit_the_weights_there_are() -> None:
    layer = Dense(3, name="head")
    layer(Input((3,)))
    wanted = r"head: the variable kernel is f32\[3, 3\], and this call needs shape \[4, 3\]"
    with pytest.raises(gx.errors.ShapeError, match=wanted):
        layer(Input((4,)))


def test_frozen_layers_are_not_trained() -> None:
    encoder = Encoder()
    encoder(Input((4,)))
    encoder.blocks[0].trainable = False
    assert len(encoder.trainable_variables) == 4
    assert len(encoder.non_trainable_variables) == 2
    encoder.trainable = False
    assert encoder.trainable_variables == []


def test_the_mode_goes_to_the_layers_inside() -> None:
    class Net(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.drop = Dropout(0.5)

        def call(self, x: gx.Tensor) -> gx.Tensor:
            return self.drop(x)

    net, x = Net(), Input((1000,))
    value = np.ones((1, 1000), "float32")
    assert (net(x).eval({x: value}) == 1).all()
    assert net.updates == {}
    y = net(x, training=True)
    assert [v.name for v in net.updates] == ["net/drop/key"]
    step = gx.compile([x], y, updates=net.updates)
    first, second = step(value), step(value)
    assert 300 < (first == 0).sum() < 700
    assert (first != second).any()
    assert (net(x).eval({x: value}) == 1).all()


def test_first_weights_follow_from_seed_path_and_shape() -> None:
    def made() -> list[Any]:
        gx.layers.seed(3)
        encoder = Encoder()
        encoder(Input((4,)))
        return encoder.get_weights()

    first, second = made(), made()
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (first[0] != first[2]).any()
    gx.layers.seed(4)
    other = Encoder()
    other(Input((4,)))
    assert (other.get_weights()[0] != first[0]).any()


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("glorot_uniform", (2 / 500) ** 0.5), ("glorot_normal", (2 / 500) ** 0.5), ("he_uniform", (2 / 200) ** 0.5),
        ("he_normal", (2 / 200) ** 0.5), ("lecun_uniform", (1 / 200) ** 0.5), ("lecun_normal", (1 / 200) ** 0.5),
        ("uniform", 0.1 / 12**0.5), ("normal", 0.05), ("truncated_normal", 0.05 * 0.87962566103423978),
        ("zeros", 0.0), ("ones", 0.0),
    ],
)  # fmt: skip
def test_initialisers_by_their_moments(name: str, deviation: float) -> None:
    value = gx.layers.initializers.NAMED[name](np.random.default_rng(0), (200, 300))
    count = value.size
    assert abs(value.mean() - (name == "ones")) <= 5 * deviation / count**0.5
    assert abs(value.std() - deviation) <= 5 * deviation / count**0.5
    if name != "normal":
        assert abs(value - value.mean()).max() <= 2.3 * deviation + 1e-12


def test_orthogonal_weights_are() -> None:
    draw = gx.layers.initializers.NAMED["orthogonal"]
    for shape in ((30, 20), (20, 30), (3, 3, 4, 8)):
        value = draw(np.random.default_rng(0), shape).reshape(-1, shape[-1])
        gram = value.T @ value if value.shape[0] >= value.shape[1] else value @ value.T
        assert np.allclose(gram, np.eye(len(gram)))


def test_the_fan_of_a_kernel_counts_its_window() -> None:
    value = gx.layers.initializers.NAMED["he_normal"](np.random.default_rng(0), (3, 3, 16, 64))
    assert abs(value.std() / (2 / (9 * 16)) ** 0.5 - 1) < 0.05


def test_penalties_count_a_weight_once() -> None:
    layer = Dense(2, kernel_initializer="ones", kernel_regularizer=gx.layers.regularizers.l2(0.5))
    x = Input((2,))
    layer(x)
    assert layer.losses == []

    class Twice(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def call(self, x: gx.Tensor) -> gx.Tensor:
            return self.layer(self.layer(x))

    twice = Twice()
    twice(x, training=True)
    assert [float(loss.eval()) for loss in twice.losses] == [2.0]


def test_values_are_set_all_or_none() -> None:
    layer = Dense(2, input_shape=(3,))
    before = layer.get_weights()
    with pytest.raises(gx.errors.ShapeError, match=r"the variable bias is f32\[2\], got an array of shape \[3\]"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    assert (layer.get_weights()[0] == before[0]).all()
    layer.set_weights([np.ones((3, 2)), np.ones(2)])
    assert (layer.get_weights()[0] == 1).all()


def test_configurations_make_the_same_layer() -> None:
    layer = Dense(3, activation="relu", use_bias=False, name="head", trainable=False)
    again = Dense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_names() -> None:
    gx.layers.seed(0)
    assert [Dense(1).name, Dense(1).name, Flatten().name, Dense(1, name="head").name] == ["dense", "dense_1", "flatten", "head"]
    with pytest.raises(gx.errors.InputError, match="no name of a layer"):
        Dense(1, name="a/b")


def test_a_weight_needs_fixed_sizes() -> None:
    with pytest.raises(gx.errors.ShapeError, match=r"dense_?\d*: the variable kernel needs fixed sizes, got \[n, 3\]"):
        Dense(3)(gx.placeholder("x", ("batch", "n")))


# --- as Keras's users write layers -----------------------------------------------------------------------------------


class Built(Layer):
    def __init__(self, units: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.shapes: list[Any] = []

    def build(self, input_shape: Any) -> None:  # type: ignore[override]
        self.shapes.append(input_shape)
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", regularizer="l2", name="w")
        self.count = self.add_weight(initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        return x @ self.w


def test_build_is_called_once_before_the_first_call() -> None:
    layer = Built()
    x = Input((3,))
    layer(x)
    layer(x, training=True)
    assert [shape[1:] for shape in layer.shapes] == [(3,)]
    assert list(layer.variables) == ["w", "weight"]
    assert layer.trainable_variables == [layer.w]
    assert float(layer.losses[0].eval()) == pytest.approx(0.01 * 6)


def test_layers_with_a_build_are_trained_copied_and_saved(tmp_path: Any) -> None:
    gx.layers.register(Built)
    model = gx.models.Sequential([Built(input_shape=(3,)), Dense(1)])
    model.compile("sgd", "mse", backend="interpreter")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model.fit(x, x[:, 0], verbose=0)
    assert (model.layers[0].w.value != 1).all()
    model.save(tmp_path / "model")
    for again in (copy.deepcopy(model), gx.models.load(tmp_path / "model")):
        assert (again.predict(x) == model.predict(x)).all()
        again.fit(x, x[:, 0], verbose=0)
        assert (again.layers[0].w.value != model.layers[0].w.value).any()


@pytest.mark.parametrize("give", [
    lambda model: model.build((None, 3)), lambda model: model.build(input_shape=(None, 3)), lambda model: model.build((3,)),
])  # fmt: skip
def test_a_model_is_built_for_a_shape(give: Any) -> None:
    model = gx.models.Sequential([Dense(2)])
    give(model)
    assert model.count_params() == 8


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Dense(3, kernel_constraint="max_norm"), "Dense has no option kernel_constraint"),
    (lambda: gx.layers.Conv2D(3, 3, data_format="channels_first"), "Conv2D has no option data_format"),
    (lambda: gx.layers.Embedding(9, 3, input_length=4), "Embedding has no option input_length"),
    (lambda: gx.layers.LSTM(3, unit=4), "LSTM has no option unit"),
    (lambda: Dense(0), "Dense: units is 0"),
    (lambda: gx.layers.Conv2D(-1, 3), "Conv2D: filters is -1"),
    (lambda: gx.layers.GRU(0), "GRU: units is 0"),
    (lambda: gx.layers.Embedding(0, 3), "Embedding: input_dim is 0"),
    (lambda: Dropout(1.5), "Dropout: rate is 1.5"),
    (lambda: Dropout("half"), "Dropout: rate is 'half'"),
    (lambda: Dense(3)([Input((5,)), Input((5,))]), "Dense takes one input, got 2 in a list"),
    (lambda: gx.layers.Reshape((2, 3))(Input((5,))), r"Reshape: a sample of 5 numbers, f32\[batch, 5\], has no shape \[2, 3\]"),
    (lambda: gx.layers.MultiHeadAttention(2, 4)(Input((5,))), r"MultiHeadAttention needs \[batch, time, channels\]"),
    (lambda: Layer().variable("w", (-3,)), r"the variable w cannot have sizes \[-3\]"),
])  # fmt: skip
def test_what_no_layer_takes_is_refused(make: Any, message: str) -> None:
    with pytest.raises(gx.GraphError, match=message):
        make()


def test_an_unknown_option_is_answered_with_what_there_is() -> None:
    with pytest.raises(gx.errors.InputError, match="lengths follow from the input"):
        gx.layers.Embedding(9, 3, input_length=4)
    with pytest.raises(gx.errors.InputError, match="it has units, activation, use_bias"):
        Dense(3, actvation="relu")


def test_options_of_keras_that_change_nothing_are_taken() -> None:
    assert layers.Conv2D(2, 3, data_format="channels_last", activity_regularizer=None).get_config()["filters"] == 2
    layers.LSTM(3, recurrent_dropout=0.0, unroll=False, recurrent_activation="sigmoid")
    layers.BatchNormalization(axis=-1)
    for make, hint in (
        (lambda: layers.Conv2D(2, 3, data_format="channels_first"), "layout='NCHW'"),
        (lambda: layers.BatchNormalization(axis=1), "layout='NCHW'"),
        (lambda: layers.LSTM(3, recurrent_dropout=0.5), "Dropout before the layer"),
    ):
        with pytest.raises(gx.errors.InputError, match=hint):
            make()


def test_vectors_that_others_have_trained() -> None:
    table = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    for given in (table, [table]):
        layer = layers.Embedding(5, 3, weights=given, trainable=False)
        assert (layer.get_weights()[0] == table).all()
    assert "weights" not in layer.get_config()


def test_a_layer_knows_the_symbols_of_its_call() -> None:
    x = Input((4,))
    first, last = Dense(3, activation="relu"), Dense(2)
    y = last(first(x))
    assert first.input is x
    assert last.output is y
    model = gx.models.Model(x, y)
    assert model.input is x
    assert model.output is y
    features = gx.models.Model(model.input, model.get_layer("dense").output)
    given = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    assert np.allclose(last(features.predict(given)).eval(), model.predict(given), atol=1e-6)
    again = copy.deepcopy(model)
    assert np.allclose(gx.models.Model(again.input, again.layers[0].output).predict(given), features.predict(given))
    row = gx.models.Sequential([Input((4,)), Dense(3), Dense(2)])
    cut = gx.models.Model(row.input, row.layers[0].output)
    assert np.allclose(row.layers[1](cut.predict(given)).eval(), row.predict(given), atol=1e-6)
    assert str(row.output.type) == "f32[batch, 2]"
    assert set(cut.variables.values()) < set(row.variables.values())
    for make, message in (
        (lambda: Dense(3).output, "was called on no symbols: nothing says what its output is"),
        (lambda: gx.models.Sequential([Dense(3)]).output, "has no shapes yet"),
    ):
        with pytest.raises(AttributeError, match=message):
            make()
    first(x)
    with pytest.raises(AttributeError, match="dense was called more than once"):
        _ = first.output
    assert not hasattr(Dense(3), "output")
    inner = gx.layers.MultiHeadAttention(2, 3)
    inner(Input((5, 4)))
    assert isinstance(inner.output, Dense)  # an attribute of a class of its own counts


def test_inputs_by_kerass_arguments() -> None:
    assert str(Input(shape=(4,), batch_size=3).type) == "f32[3, 4]"
    assert str(Input(batch_shape=(None, 4)).type) == "f32[batch, 4]"
    assert [v.shape for v in Dense(2, input_dim=3).weights] == [(3, 2), (2,)]
    for make in (lambda: Input(), lambda: Input((3,), batch_shape=(2, 3))):
        with pytest.raises(gx.errors.InputError, match="Input"):
            make()


def test_kerass_classes_of_initialisers_and_penalties() -> None:
    made = layers.initializers
    for given, name in (
        (made.Zeros(), "zeros"), (made.Ones, "ones"), (made.HeNormal(), "he_normal"), (made.HeUniform, "he_uniform"),
        (made.GlorotNormal(), "glorot_normal"), (made.GlorotUniform(), "glorot_uniform"), (made.LecunNormal(), "lecun_normal"),
        (made.LecunUniform(), "lecun_uniform"), (made.RandomNormal(stddev=0.05), "normal"),
        (made.RandomUniform(), "random_uniform"),
    ):  # fmt: skip
        assert made.initializer(given) == made.initializer(name)
    assert layers.regularizers.L2(1e-4) == layers.regularizers.l2(1e-4)
    assert layers.regularizers.L1(0.1) == layers.regularizers.L1L2(l1=0.1)
