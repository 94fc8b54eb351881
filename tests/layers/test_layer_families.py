"""Each family of layers: shapes, the paths of weights, and values against NumPy or against the functions of `gx.nn`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import layers
from graphc.layers import Input, Layer

RNG = np.random.default_rng(3)


def drawn(*shape: int) -> Any:
    return RNG.normal(size=shape).astype("float32")


def run(layer: Layer, *arrays: Any, **options: Any) -> Any:
    """A layer's result for arrays, compiled, with a symbolic batch."""
    xs = [gx.placeholder(f"x{i}", ("batch", *a.shape[1:]), a.dtype) for i, a in enumerate(arrays)]
    more = {key: a for key, a in options.items() if isinstance(a, np.ndarray)}
    named = {key: gx.placeholder(key, ("batch", *a.shape[1:]), a.dtype) for key, a in more.items()}
    y = layer(*xs, **{**options, **named})
    xs += named.values()
    native = gx.compile(xs, y)(*arrays, **more)
    judge = gx.compile(xs, y, backend="interpreter")(*arrays, **more)
    assert np.allclose(native, judge, rtol=2e-4, atol=2e-5)
    return native


SHAPES: list[tuple[Layer, tuple[int, ...], tuple[int, ...], list[tuple[str, tuple[int, ...]]]]] = [
    (layers.Conv2D(8, 3), (9, 9, 4), (7, 7, 8), [("kernel", (3, 3, 4, 8)), ("bias", (8,))]),
    (layers.Conv2D(8, (3, 1), strides=(2, 1), padding="same", use_bias=False), (9, 9, 4), (5, 9, 8), [("kernel", (3, 1, 4, 8))]),
    (layers.Conv2D(8, 3, groups=2), (9, 9, 4), (7, 7, 8), [("kernel", (3, 3, 2, 8)), ("bias", (8,))]),
    (layers.Conv2D(8, 3, layout="NCHW"), (4, 9, 9), (8, 7, 7), [("kernel", (3, 3, 4, 8)), ("bias", (8,))]),
    (layers.Conv1D(8, 3, padding="causal", dilation_rate=2), (9, 4), (9, 8), [("kernel", (3, 4, 8)), ("bias", (8,))]),
    (layers.Conv3D(2, 2), (3, 4, 5, 1), (2, 3, 4, 2), [("kernel", (2, 2, 2, 1, 2)), ("bias", (2,))]),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), (9, 9, 4), (7, 7, 8), [("kernel", (3, 3, 1, 8)), ("bias", (8,))]),
    (
        layers.SeparableConv2D(6, 3), (9, 9, 4), (7, 7, 6),
        [("depthwise/kernel", (3, 3, 1, 4)), ("pointwise/kernel", (1, 1, 4, 6)), ("pointwise/bias", (6,))],
    ),
    (layers.Conv2DTranspose(8, 3, strides=2, padding="same"), (7, 7, 4), (14, 14, 8), [("kernel", (3, 3, 8, 4)), ("bias", (8,))]),
    (layers.Conv2DTranspose(8, 3, strides=2), (7, 7, 4), (15, 15, 8), [("kernel", (3, 3, 8, 4)), ("bias", (8,))]),
    (layers.Conv1DTranspose(8, 2, strides=3), (7, 4), (21, 8), [("kernel", (2, 8, 4)), ("bias", (8,))]),
    (layers.Conv(2, 3), (9, 4), (7, 2), [("kernel", (3, 4, 2)), ("bias", (2,))]),
    (layers.ConvTranspose(2, 2, strides=2), (3, 4), (6, 2), [("kernel", (2, 2, 4)), ("bias", (2,))]),
    (layers.Conv3DTranspose(2, 2, strides=2), (2, 3, 2, 3), (4, 6, 4, 2), [("kernel", (2, 2, 2, 2, 3)), ("bias", (2,))]),
    (layers.DepthwiseConv1D(3), (9, 4), (7, 4), [("kernel", (3, 1, 4)), ("bias", (4,))]),
    (layers.MaxPooling2D(), (9, 9, 4), (4, 4, 4), []),
    (layers.MaxPooling3D(2), (4, 4, 5, 2), (2, 2, 2, 2), []),
    (layers.AveragePooling1D(3), (9, 4), (3, 4), []),
    (layers.AveragePooling3D(2), (4, 4, 5, 2), (2, 2, 2, 2), []),
    (layers.GlobalAveragePooling1D(), (9, 4), (4,), []),
    (layers.GlobalMaxPooling2D(), (9, 9, 4), (4,), []),
    (layers.ZeroPadding(2), (3, 4), (7, 4), []),
    (layers.UpSampling(3), (3, 4), (9, 4), []),
    (layers.Lambda(gx.exp), (3, 4), (3, 4), []),
    (layers.GroupNormalization(2), (3, 3, 4), (3, 3, 4), [("gamma", (4,)), ("beta", (4,))]),
    (layers.RMSNormalization(), (3, 4), (3, 4), [("scale", (4,))]),
    (
        layers.FeedForward(8), (3, 4), (3, 4),
        [("inner/kernel", (4, 8)), ("inner/bias", (8,)), ("outer/kernel", (8, 4)), ("outer/bias", (4,))],
    ),
    (layers.AveragePooling2D(2, padding="same"), (9, 9, 4), (5, 5, 4), []),
    (layers.MaxPooling1D(3), (9, 4), (3, 4), []),
    (layers.GlobalAveragePooling2D(), (9, 9, 4), (4,), []),
    (layers.GlobalMaxPooling1D(), (9, 4), (4,), []),
    (layers.UpSampling2D(2), (3, 4, 2), (6, 8, 2), []),
    (layers.ZeroPadding2D(((1, 0), (2, 3))), (3, 4, 2), (4, 9, 2), []),
    (
        layers.BatchNormalization(), (3, 4, 2), (3, 4, 2),
        [(name, (2,)) for name in ("moving_mean", "moving_variance", "gamma", "beta")],
    ),
    (layers.LayerNormalization(), (3, 4), (3, 4), [("gamma", (4,)), ("beta", (4,))]),
    (layers.RMSNorm(), (3, 4), (3, 4), [("scale", (4,))]),
    (layers.GroupNorm(2), (3, 3, 4), (3, 3, 4), [("gamma", (4,)), ("beta", (4,))]),
    (layers.SimpleRNN(5), (7, 3), (5,), [("kernel", (3, 5)), ("recurrent_kernel", (5, 5)), ("bias", (5,))]),
    (
        layers.GRU(5, return_sequences=True), (7, 3), (7, 5),
        [("kernel", (3, 15)), ("recurrent_kernel", (5, 15)), ("bias", (15,)), ("recurrent_bias", (15,))],
    ),
    (layers.LSTM(5), (7, 3), (5,), [("kernel", (3, 20)), ("recurrent_kernel", (5, 20)), ("bias", (20,))]),
    (
        layers.Bidirectional(layers.SimpleRNN(5, use_bias=False)), (7, 3), (10,),
        [
            (f"{way}_layer/{name}", (n, 5))
            for way in ("forward", "backward")
            for name, n in (("kernel", 3), ("recurrent_kernel", 5))
        ],
    ),
    (layers.TimeDistributed(layers.Dense(2)), (7, 3), (7, 2), [("layer/kernel", (3, 2)), ("layer/bias", (2,))]),
    (
        layers.MultiHeadAttention(2, 4, use_bias=False, num_kv_heads=1), (7, 6), (7, 6),
        [("query/kernel", (6, 8)), ("key/kernel", (6, 4)), ("value/kernel", (6, 4)), ("output/kernel", (8, 6))],
    ),
    (layers.SinusoidalPositions(), (7, 6), (7, 6), []),
    (layers.PositionEmbedding(10), (7, 6), (7, 6), [("positions", (10, 6))]),
    (layers.Reshape((6, -1)), (3, 4), (6, 2), []),
    (layers.Permute((2, 1)), (3, 4), (4, 3), []),
    (layers.Flatten(), (3, 4), (12,), []),
    (layers.RepeatVector(3), (4,), (3, 4), []),
    (layers.PReLU(), (3, 4), (3, 4), [("alpha", (3, 4))]),
    (layers.PReLU(shared_axes=[1]), (3, 4), (3, 4), [("alpha", (1, 4))]),
    (layers.Cropping1D((1, 2)), (9, 4), (6, 4), []),
    (layers.Cropping(((1, 2), 3)), (9, 9, 4), (6, 3, 4), []),
    (layers.Cropping2D((1, 2)), (9, 9, 4), (7, 5, 4), []),
    (layers.Cropping3D(1), (3, 4, 5, 2), (1, 2, 3, 2), []),
    (layers.ZeroPadding1D((1, 2)), (3, 4), (6, 4), []),
    (layers.ZeroPadding3D(1), (1, 2, 3, 1), (3, 4, 5, 1), []),
    (layers.UpSampling1D(2), (3, 4), (6, 4), []),
    (layers.UpSampling3D(2), (1, 2, 3, 1), (2, 4, 6, 1), []),
    (layers.Resizing(4, 6), (8, 9, 2), (4, 6, 2), []),
    (layers.CenterCrop(4, 5), (8, 9, 2), (4, 5, 2), []),
    (
        layers.SeparableConv1D(6, 3), (9, 4), (7, 6),
        [("depthwise/kernel", (3, 1, 4)), ("pointwise/kernel", (1, 4, 6)), ("pointwise/bias", (6,))],
    ),
    (layers.GlobalAveragePooling3D(), (2, 3, 4, 5), (5,), []),
    (layers.GlobalMaxPooling3D(), (2, 3, 4, 5), (5,), []),
    (layers.Normalization(), (3, 4), (3, 4), [("mean", (4,)), ("variance", (4,))]),
    (layers.Residual(layers.Dense(4)), (4,), (4,), [("layer/kernel", (4, 4)), ("layer/bias", (4,))]),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "given", "wanted", "weights"), SHAPES, ids=[layer.name for layer, *_ in SHAPES])
def test_shapes_and_weights(layer: Layer, given: Any, wanted: Any, weights: Any) -> None:
    found = run(layer, drawn(3, *given))
    assert found.shape == (3, *wanted)
    assert {path: v.shape for path, v in layer.variables.items()} == dict(weights)


def test_a_causal_convolution_sees_nothing_of_what_comes() -> None:
    layer, x = layers.Conv1D(2, 3, padding="causal"), drawn(1, 8, 3)
    before = run(layer, x)
    x[0, 5:] = 99
    assert (run(layer, x)[0, :5] == before[0, :5]).all()


def test_layouts_agree() -> None:
    x = drawn(2, 6, 5, 3)
    last, first = layers.Conv2D(4, 3, strides=2, padding="same"), layers.Conv2D(4, 3, strides=2, padding="same", layout="NCHW")
    a = run(last, x)
    first(Input((3, 6, 5)))
    first.set_weights(last.get_weights())
    assert np.allclose(a, run(first, x.transpose(0, 3, 1, 2).copy()).transpose(0, 2, 3, 1), atol=1e-5)


def test_batch_norm_moves_its_averages_while_training_alone() -> None:
    layer, x = layers.BatchNorm(momentum=0.9, epsilon=0.0), Input((3,))
    value = drawn(50, 3) * 2 + 1
    y = layer(x, training=True)
    step = gx.compile([x], y, updates=layer.updates)
    found = step(value)
    assert np.allclose(found, (value - value.mean(0)) / value.std(0), atol=1e-4)
    assert np.allclose(layer.variables["moving_mean"].value, 0.1 * value.mean(0), atol=1e-5)
    assert np.allclose(layer.variables["moving_variance"].value, 0.9 + 0.1 * value.var(0, ddof=1), atol=1e-4)
    assert layer(x) is not y
    assert layer.updates == {}
    layer.trainable = False
    layer(x, training=True)
    assert layer.updates == {}


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.GRU, layers.LSTM])
@pytest.mark.parametrize("backwards", [False, True])
def test_masked_steps_change_nothing(kind: Any, backwards: bool) -> None:
    layer = kind(4, go_backwards=backwards)
    x, lengths = drawn(3, 6, 2), [6, 4, 1]
    mask = np.arange(6) < np.array(lengths)[:, None]
    found = run(layer, x, mask=mask)
    for i, n in enumerate(lengths):
        assert np.allclose(found[i], run(layer, x[i : i + 1, :n].copy())[0], atol=1e-5)


def test_a_bidirectional_layer_is_two() -> None:
    both, x = layers.Bidirectional(layers.LSTM(4, return_sequences=True)), drawn(2, 5, 3)
    found = run(both, x)
    forward, backward = layers.LSTM(4, return_sequences=True), layers.LSTM(4, return_sequences=True)
    forward(Input((5, 3)))
    backward(Input((5, 3)))
    forward.set_weights(both.get_weights()[:3])
    backward.set_weights(both.get_weights()[3:])
    expected = np.concatenate([run(forward, x), run(backward, x[:, ::-1].copy())[:, ::-1]], axis=-1)
    assert np.allclose(found, expected, atol=1e-5)


def test_attention_is_that_of_its_parts() -> None:
    layer, x, s = layers.MultiHeadAttention(2, 4, value_dim=3), drawn(2, 5, 6), drawn(2, 7, 6)
    found = run(layer, x, s)
    w = {path: v.value for path, v in layer.variables.items()}
    q, k, v = (a @ w[f"{n}/kernel"] + w[f"{n}/bias"] for a, n in ((x, "query"), (s, "key"), (s, "value")))
    q, k, v = (a.reshape(2, -1, 2, a.shape[-1] // 2).transpose(0, 2, 1, 3) for a in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / 2
    p = np.exp(scores - scores.max(-1, keepdims=True))
    y = ((p / p.sum(-1, keepdims=True)) @ v).transpose(0, 2, 1, 3).reshape(2, 5, 6)
    assert np.allclose(found, y @ w["output/kernel"] + w["output/bias"], atol=1e-4)


def test_padded_keys_are_not_looked_at() -> None:
    layer, x = layers.TransformerEncoder(2, 4, 16), drawn(2, 6, 8)
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2])
    found = run(layer, x, mask=mask)
    assert np.allclose(found[1, :4], run(layer, x[1:, :4].copy())[0], atol=1e-4)


@pytest.mark.parametrize("rope", [False, True])
@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_generation_with_a_cache_is_the_whole_sequence(rope: bool, norm: str) -> None:
    block = layers.TransformerEncoder(4, 4, 32, rope=rope, norm=norm, num_kv_heads=2)
    value = drawn(2, 7, 16)
    whole = run(block, value, use_causal_mask=True)
    x, position = gx.placeholder("x", ("batch", "t", 16)), gx.placeholder("position", (), "int64")
    cache = tuple(gx.placeholder(name, ("batch", 2, 7, 4)) for name in ("keys", "values"))
    step = gx.compile([x, position, *cache], block(x, cache=cache, position=position))
    keys = values = np.zeros((2, 2, 7, 4), "float32")
    found, at = [], 0
    for count in (3, 1, 1, 2):
        y, (keys, values) = step(value[:, at : at + count].copy(), at, keys, values)
        found.append(y)
        at += count
    assert np.allclose(np.concatenate(found, axis=1), whole, atol=1e-4)


def test_a_decoder_looks_at_what_was_encoded() -> None:
    block, x, s = layers.TransformerDecoder(2, 4, 16), drawn(2, 5, 8), drawn(2, 7, 8)
    found = run(block, x, s)
    x[:, 3:] = 5
    assert np.allclose(run(block, x, s)[:, :3], found[:, :3], atol=1e-4)
    s[:, -1] += 1
    assert not np.allclose(run(block, x, s)[:, :3], found[:, :3], atol=1e-3)


def test_positions_by_sines() -> None:
    found = run(layers.SinusoidalPositions(), np.zeros((1, 50, 6), "float32"))[0]
    p, i = np.arange(50)[:, None], np.arange(3)
    angles = p / 10000 ** (2 * i / 6)
    assert np.allclose(found[:, 0::2], np.sin(angles), atol=1e-5)
    assert np.allclose(found[:, 1::2], np.cos(angles), atol=1e-5)


def test_an_embedding_scores_words_by_its_own_vectors() -> None:
    layer = layers.Embedding(10, 4)
    x = np.array([[1, 2, 9]])
    vectors = run(layer, x)
    assert (vectors[0] == layer.get_weights()[0][x[0]]).all()
    scores = gx.compile([], layer.attend(gx.constant(vectors)))()
    assert scores.shape == (1, 3, 10)


def test_sums_of_several_inputs() -> None:
    a, b = drawn(2, 3), drawn(2, 3)
    x, y = Input((3,), name="a"), Input((3,), name="b")
    for layer, expected in (
        (layers.Add(), a + b), (layers.Subtract(), a - b), (layers.Multiply(), a * b), (layers.Maximum(), np.maximum(a, b)),
        (layers.Average(), (a + b) / 2), (layers.Minimum(), np.minimum(a, b)),
        (layers.Concatenate(), np.concatenate([a, b], axis=-1)),
    ):  # fmt: skip
        assert np.allclose(gx.compile([x, y], layer([x, y]))(a, b), expected)


def test_functions_of_elements_with_options() -> None:
    x = drawn(4, 5) * 3
    negative, cut = np.minimum(x, 0), np.where(x >= 1, np.minimum(x, 2), 0.1 * (x - 1))
    for layer, expected in (
        (layers.ReLU(), np.maximum(x, 0)), (layers.LeakyReLU(), np.maximum(x, 0) + 0.3 * negative),
        (layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=1.0), cut),
        (layers.PReLU(alpha_initializer=0.25), np.maximum(x, 0) + 0.25 * negative),
        (layers.ELU(2.0), np.maximum(x, 0) + 2 * np.expm1(negative)),
        (layers.Softmax(axis=0), np.exp(x) / np.exp(x).sum(0)), (layers.Identity(), x),
        (layers.UnitNormalization(), x / np.linalg.norm(x, axis=-1, keepdims=True)),
    ):  # fmt: skip
        assert np.allclose(run(layer, x), expected, atol=1e-5), layer


@pytest.mark.parametrize(
    ("a", "b", "axes", "formula"),
    [((3, 5), (5, 4), (2, 1), "bis,bsj->bij"), ((6,), (6,), 1, "bs,bs->b"), ((3, 5), (5,), -1, "bis,bs->bi"),
     ((5, 3), (5, 4), 1, "bsi,bsj->bij")],
)  # fmt: skip
def test_products_sample_by_sample(a: Any, b: Any, axes: Any, formula: str) -> None:
    x, y = drawn(2, *a), drawn(2, *b)
    s, t = Input(a, name="s"), Input(b, name="t")
    expected = np.einsum(formula, x, y)
    found = gx.compile([s, t], layers.Dot(axes)([s, t]), backend="interpreter")(x, y)
    assert np.allclose(found, expected if expected.ndim > 1 else expected[:, None], atol=1e-5)
    same = gx.compile([s], layers.Dot(-1, normalize=True)([s, s]), backend="interpreter")(x)
    assert np.allclose(same if same.ndim == 2 else np.diagonal(same, axis1=1, axis2=2), 1, atol=1e-5)


def test_data_are_normalised_by_what_was_looked_at(tmp_path: Path) -> None:
    data = RNG.normal(size=(50, 3)) * [1, 5, 0] + [2, -1, 7]
    whole, parts = layers.Normalization(), layers.Normalization(axis=None)
    model = gx.models.Sequential([layers.Input((3,)), whole, layers.Dense(1)])
    whole.adapt(data)
    parts.adapt((data[i : i + 20], None) for i in (0, 20, 40))
    found = run(whole, data.astype("float32"))
    assert np.allclose(found[:, :2], ((data - data.mean(0)) / np.where(data.std(0), data.std(0), 1))[:, :2], atol=1e-4)
    assert np.allclose(run(parts, data.astype("float32")), (data - data.mean()) / data.std(), atol=1e-4)
    given = layers.Normalization(mean=[1.0, 2.0], variance=4.0 * np.ones(2), invert=True)
    assert np.allclose(run(given, np.ones((1, 2), "float32")), [[3, 4]])
    assert layers.from_data(layers.to_data(given)).mean == [1.0, 2.0]
    assert [v.name for v in model.trainable_variables] == ["1/kernel", "1/bias"]
    model.save(tmp_path / "model")
    x = data.astype("float32")
    assert (gx.models.load(tmp_path / "model").predict(x) == model.predict(x)).all()
    with pytest.raises(gx.errors.InputError, match="mean and variance were given"):
        given.adapt(data[:, :2])


def test_values_join_the_loss() -> None:
    layer, x = layers.ActivityRegularization(l1=0.5, l2=2.0), Input((3,))
    value = drawn(4, 3)
    layer(x, training=True)
    (penalty,) = layer.losses
    found = gx.compile([x], penalty, backend="interpreter")(value)
    assert float(found) == pytest.approx((0.5 * np.abs(value).sum() + 2 * (value**2).sum()) / 4, rel=1e-5)


@pytest.mark.parametrize("kind", [layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D])
def test_channels_are_dropped_by_kerass_names(kind: Any) -> None:
    assert issubclass(kind, layers.SpatialDropout)


ALIASES = {
    "AvgPool1D": "AveragePooling1D", "AvgPool2D": "AveragePooling2D", "AvgPool3D": "AveragePooling3D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D", "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D", "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D", "GlobalMaxPool3D": "GlobalMaxPooling3D", "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D", "MaxPool3D": "MaxPooling3D",
}  # fmt: skip


def test_kerass_other_names_of_a_layer_are_that_layer() -> None:
    for name, layer in ALIASES.items():
        assert getattr(layers, name) is getattr(layers, layer)
        assert layers.to_data(getattr(layers, name)())["class"] == layer


def test_what_cannot_be_cut_or_multiplied_is_refused() -> None:
    for make, message in (
        (lambda: layers.Cropping2D(5)(Input((9, 9, 1))), "nothing is left of axis 1"),
        (lambda: layers.CenterCrop(9, 9)(Input((8, 8, 1))), "CenterCrop: 9 of axis 1"),
        (lambda: layers.Dot(0)([Input((3,)), Input((3,))]), "has no axis 0 beside the batch's"),
        (lambda: layers.Dot((1, 1))([Input((3,)), Input((4,))]), "have different sizes"),
        (lambda: layers.RepeatVector(2)(Input((3, 4))), r"RepeatVector needs \[batch, channels\]"),
        (lambda: layers.LSTM(3, activation="sine"), "LSTM: activation is 'sine'"),
    ):
        with pytest.raises(gx.GraphError, match=message):
            make()


def test_images_without_a_channel_are_refused_with_advice() -> None:
    wanted = r"conv2d\w*: Conv2D needs a batch of images of 2 axes with channels, got f32\[batch, 28, 28\]"
    with pytest.raises(gx.errors.ShapeError, match=wanted):
        layers.Conv2D(8, 3)(Input((28, 28)))


def test_whole_numbers_are_taken_as_floats() -> None:
    layer = layers.Conv2D(2, 3)
    x = Input((5, 5, 1), dtype="uint8")
    assert layer(x).dtype == gx.float32
    assert layers.Rescaling(1 / 255)(x).dtype == gx.float32


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_windows_are_numpys(axes: int) -> None:
    x = drawn(2, *(4, 6, 2)[:axes], 3)
    cut = x.reshape(2, *(n for size in x.shape[1:-1] for n in (size // 2, 2)), 3)
    inside = tuple(range(2, 2 + 2 * axes, 2))
    assert np.allclose(run(layers.MaxPool(2), x), cut.max(inside))
    assert np.allclose(run(layers.AveragePool(2), x), cut.mean(inside), atol=1e-6)
    every = tuple(range(1, 1 + axes))
    assert np.allclose(run(layers.GlobalMaxPool(), x), x.max(every))
    assert np.allclose(run(layers.GlobalAveragePool(), x), x.mean(every), atol=1e-6)
    assert (run(layers.UpSampling(2), x) == np.kron(x, np.ones((1, *(2,) * axes, 1), "float32"))).all()


def test_a_depthwise_convolution_of_sequences_takes_each_channel_by_itself() -> None:
    layer, x = layers.DepthwiseConv1D(3, use_bias=False), drawn(2, 8, 4)
    found = run(layer, x)
    kernel = layer.variables["kernel"].value[:, 0]
    assert np.allclose(found, sum(x[:, i : i + 6] * kernel[i] for i in range(3)), atol=1e-5)


def test_a_transposed_convolution_of_volumes_is_the_gradient_of_one() -> None:
    layer, x = layers.Conv3DTranspose(2, 2, strides=2, use_bias=False), drawn(1, 2, 2, 3, 3)
    found = run(layer, x)
    kernel = layer.variables["kernel"].value  # [d, h, w, out, in], windows side by side
    expected = np.einsum("bdhwi,xyzoi->bdxhywzo", x, kernel).reshape(1, 4, 4, 6, 2)
    assert np.allclose(found, expected, atol=1e-5)


def test_noise_and_dropped_channels_are_there_only_while_training() -> None:
    x = np.ones((64, 10, 8), "float32")
    for layer in (layers.GaussianNoise(0.5), layers.SpatialDropout(0.25), layers.GaussianDropout(0.5)):
        assert (run(layer, x) == x).all()
    noise = run(layers.GaussianNoise(0.5), x, training=True) - 1
    assert abs(noise.std() - 0.5) < 0.02
    assert abs(noise.mean()) < 0.03
    factors = run(layers.GaussianDropout(0.2), x, training=True)
    assert abs(factors.std() - 0.5) < 0.02
    assert abs(factors.mean() - 1) < 0.03
    kept = run(layers.SpatialDropout(0.25), x, training=True)
    assert (kept == kept[:, :1]).all()  # a channel is kept or dropped as a whole
    assert set(np.unique(kept).round(5)) == {0.0, np.float32(4 / 3).round(5)}
    assert abs((kept[:, 0] == 0).mean() - 0.25) < 0.08


def test_concat_is_concatenate() -> None:
    x = drawn(2, 3)
    a, b = Input((3,)), Input((3,))
    for layer in (layers.Concat(), layers.Concatenate()):
        assert (gx.compile([a, b], layer([a, b]))(x, -x) == np.concatenate([x, -x], -1)).all()


def test_every_layer_is_tested() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert not [name for name in layers.__all__ if not re.search(rf"\b{name}\b", text)]


# --- options that Keras has ------------------------------------------------------------------------------------------

NORM = {
    "beta_initializer": "zeros", "gamma_initializer": "ones", "beta_regularizer": None, "gamma_regularizer": None,
    "beta_constraint": None, "gamma_constraint": None,
}  # fmt: skip
SEPARABLE = {
    "dilation_rate": 1, "depthwise_initializer": "glorot_uniform", "pointwise_initializer": "glorot_uniform",
    "bias_initializer": "zeros", "depthwise_regularizer": None, "pointwise_regularizer": None, "bias_regularizer": None,
    "depthwise_constraint": None, "pointwise_constraint": None,
}  # fmt: skip
MADE: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (layers.BatchNormalization, (), {
        **NORM, "axis": -1, "moving_mean_initializer": "zeros", "moving_variance_initializer": "ones", "renorm": False,
        "synchronized": False,
    }),
    (layers.LayerNormalization, (), {**NORM, "axis": -1}),
    (layers.GroupNormalization, (2,), {**NORM, "axis": -1}),
    (layers.Dense, (2,), {"lora_rank": None, "lora_alpha": None, "quantization_config": None}),
    (layers.Conv2DTranspose, (2, 3), {"output_padding": None, "data_format": None}),
    (layers.DepthwiseConv2D, (3,), {"depthwise_initializer": "glorot_uniform", "depthwise_regularizer": None}),
    (layers.SeparableConv1D, (2, 3), SEPARABLE),
    (layers.SeparableConv2D, (2, 3), SEPARABLE),
    (layers.Dropout, (0.1,), {"noise_shape": None, "seed": None}),
    (layers.LSTM, (2,), {"seed": None, "recurrent_activation": "sigmoid"}),
    (layers.MultiHeadAttention, (2, 3), {
        "output_shape": None, "attention_axes": None, "flash_attention": None, "bias_initializer": "zeros",
        "kernel_regularizer": None, "bias_regularizer": None, "kernel_constraint": None, "seed": None,
    }),
    (layers.Attention, (), {"score_mode": "dot", "seed": None}),
    (layers.GlobalAveragePooling2D, (), {"keepdims": False, "data_format": None}),
    (layers.Resizing, (4, 4), {"crop_to_aspect_ratio": False, "antialias": False, "interpolation": "bilinear"}),
    (layers.RandomFlip, (), {"seed": None}),
    (gx.metrics.R2Score, (), {"num_regressors": 0}),
    (gx.metrics.MeanIoU, (2,), {"sparse_y_true": True, "sparse_y_pred": True}),
]  # fmt: skip


@pytest.mark.parametrize("kind, given, options", MADE, ids=[kind.__name__ for kind, _, _ in MADE])
def test_options_of_keras_at_their_defaults_are_taken(kind: Any, given: Any, options: Any) -> None:
    kind(*given, **options)


@pytest.mark.parametrize(
    "make, advice",
    [
        (lambda: layers.Dropout(0.1, seed=3), "gx.layers.seed"),
        (lambda: layers.BatchNormalization(gamma_constraint="non_neg"), "in a callback"),
        (lambda: layers.RandomBrightness(0.2, value_range=(0, 255)), r"Rescaling\(1 / 255\)"),
        (lambda: layers.RandomRotation(0.2, fill_mode="reflect"), "fill_value="),
        (lambda: layers.Attention(score_mode="concat"), "AdditiveAttention"),
        (lambda: gx.metrics.AUC(num_thresholds=50), "num_bins="),
    ],
)
def test_options_of_keras_that_are_not_here_say_what_is(make: Any, advice: str) -> None:
    with pytest.raises(gx.errors.InputError, match=f"has no option (.|\n)*{advice}"):
        make()


@pytest.mark.parametrize("kind", [layers.BatchNorm, layers.LayerNorm, lambda **o: layers.GroupNorm(2, **o)])
def test_normalisations_begin_with_what_they_are_given_and_are_penalised(kind: Any) -> None:
    layer = kind(beta_initializer="ones", gamma_initializer=2.0, gamma_regularizer=layers.regularizers.l2(l2=0.5))
    x = gx.placeholder("x", ("batch", 4))
    plain = (layer(x) - 1) / 2
    a = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    bare = kind(center=False, scale=False)(x)
    np.testing.assert_allclose(plain.eval({x: a}), bare.eval({x: a}), atol=1e-6)
    layer(x, training=True)
    assert [float(loss.eval()) for loss in layer.losses] == [0.5 * 4 * 2**2]


def test_a_separable_convolution_hands_its_options_on() -> None:
    layer = layers.SeparableConv2D(
        3, 3, dilation_rate=2, depthwise_initializer="ones", pointwise_initializer=0.5, bias_initializer=0.25,
        depthwise_regularizer="l1", pointwise_regularizer="l2", bias_regularizer="l1", input_shape=(5, 5, 2),
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 2)).astype("float32")
    seen = x[:, ::2, ::2].sum((1, 2))  # the nine places that a window of 3, two apart, has
    want = 0.5 * seen.sum(1) + 0.25
    np.testing.assert_allclose(layer(x).eval()[0, 0, 0], np.repeat(want, 3), rtol=1e-5)
    layer(gx.placeholder("x", ("batch", 5, 5, 2)), training=True)
    assert sorted(round(float(loss.eval()), 6) for loss in layer.losses) == [0.0075, 0.015, 0.18]
    again = layers.from_data(layers.to_data(layer))
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("kind, reduce", [(layers.GlobalAveragePooling2D, np.mean), (layers.GlobalMaxPooling2D, np.max)])
def test_global_pools_may_keep_their_axes(kind: Any, reduce: Any, layout: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    axes = (1, 2) if layout == "NHWC" else (2, 3)
    found = kind(keepdims=True, layout=layout)(x).eval()
    np.testing.assert_allclose(found, reduce(x, axes, keepdims=True), rtol=1e-5, atol=1e-6)
    assert kind(layout=layout)(x).shape == (2, 5 if layout == "NHWC" else 3)


@pytest.mark.parametrize(
    "make",
    [
        layers.initializers.GlorotUniform, layers.initializers.HeNormal, layers.initializers.Orthogonal,
        layers.initializers.RandomNormal, layers.initializers.TruncatedNormal,
        lambda seed: layers.initializers.RandomUniform(minval=-1.0, maxval=1.0, seed=seed),
    ],
)  # fmt: skip
def test_initialisers_with_a_seed_of_their_own_draw_by_it(make: Any) -> None:
    one, two = (layers.Dense(4, kernel_initializer=make(seed=7), input_shape=(3,)).get_weights()[0] for _ in range(2))
    assert (one == two).all()
    assert (one != layers.Dense(4, kernel_initializer=make(seed=8), input_shape=(3,)).get_weights()[0]).any()
    given = make(seed=7)
    made = given() if not hasattr(given, "seed") else given
    assert layers.from_data(layers.to_data(made)) == made
