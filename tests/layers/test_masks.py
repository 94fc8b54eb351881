"""Masks that go with symbols from layer to layer, and state that stays from batch to batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import layers, models
from graphc.layers import Dense, Embedding, Input, Masking, mask_of

WORDS = np.array([[3, 1, 4, 0, 0], [2, 0, 0, 0, 0], [5, 6, 7, 8, 9]])
LENGTHS = (3, 1, 5)


def words() -> gx.Tensor:
    return Input(("time",), dtype="int64", name="words")


def value(x: gx.Tensor, y: gx.Tensor, array: Any) -> Any:
    return gx.compile([x], y, backend="interpreter")(array)


READERS = [
    layers.SimpleRNN(4), layers.GRU(4), layers.LSTM(4), layers.LSTM(4, go_backwards=True, activation="relu"),
    layers.Bidirectional(layers.GRU(3)), layers.GlobalAveragePooling1D(), layers.GlobalMaxPooling1D(),
]  # fmt: skip


@pytest.mark.parametrize("layer", READERS, ids=lambda layer: layer.name)
def test_layers_leave_out_what_only_fills_up(layer: Any) -> None:
    x = words()
    table = Embedding(10, 6, mask_zero=True)
    y = layer(layers.Dropout(0.5)(Dense(6)(table(x))))
    assert mask_of(y) is None
    found = value(x, y, WORDS)
    for row, length, one in zip(WORDS, LENGTHS, found, strict=True):
        assert np.allclose(value(x, y, row[None, :length].copy())[0], one, atol=1e-6)


def test_attention_looks_at_no_filling() -> None:
    x, other = words(), Input((4, 6), name="other")
    h = Embedding(10, 6, mask_zero=True)(x)
    cross = layers.MultiHeadAttention(2, 3)(other, h)
    decoded = layers.TransformerDecoder(2, 3, 8)(other, h)
    plain, additive = layers.Attention(use_scale=True)([other, h]), layers.AdditiveAttention()([other, h])
    for y in (cross, decoded, plain, additive):
        assert mask_of(y) is None  # the queries have no mask
    both = gx.compile([x, other], [cross, decoded, plain, additive], backend="interpreter")
    given = np.random.default_rng(0).normal(size=(1, 4, 6)).astype("float32")
    for whole, cut in zip(both(WORDS[:1], given), both(WORDS[:1, :3].copy(), given), strict=True):
        assert np.allclose(whole, cut, atol=1e-5)
    block = layers.TransformerEncoder(2, 3, 8)
    y = block(layers.PositionEmbedding(8)(h))
    assert mask_of(y) is not None
    assert np.allclose(value(x, y, WORDS[:1])[:, :3], value(x, y, WORDS[:1, :3].copy()), atol=1e-5)
    own = layers.Attention()([h, h])
    assert not value(x, own, WORDS)[0, 3:].any()


def test_masks_go_through_layers_that_keep_the_steps() -> None:
    x = words()
    h = Embedding(10, 6, mask_zero=True)(x)
    for layer in (
        Dense(6), layers.Activation("relu"), layers.LayerNorm(), layers.TimeDistributed(Dense(6)), layers.Identity(),
        layers.LSTM(6, return_sequences=True), layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.PReLU(shared_axes=1),
    ):  # fmt: skip
        h = layer(h)
        mask = mask_of(h)
        assert mask is not None, layer
        assert (value(x, mask, WORDS) == (WORDS != 0)).all()
    outputs = layers.LSTM(5, return_sequences=True, return_state=True)(h)
    assert [mask_of(y) is not None for y in outputs] == [True, False, False]
    a, b = h, Embedding(10, 6, mask_zero=True)(x[:, ::-1])
    for layer in (layers.Add(), layers.Concatenate()):
        mask = mask_of(layer([a, b]))
        assert mask is not None
        assert (value(x, mask, WORDS) == ((WORDS != 0) | (WORDS[:, ::-1] != 0))).all()
        assert mask_of(layer([a, a + 0])) is None
    mask = mask_of(layers.Concatenate(axis=1)([a, b]))
    assert mask is not None
    assert (value(x, mask, WORDS) == np.concatenate([WORDS != 0, WORDS[:, ::-1] != 0], 1)).all()
    assert mask_of(h + 0) is None  # a function of symbols has none


def test_steps_of_one_value_are_masked() -> None:
    x = Input(("time", 2))
    y = Masking(-1.0)(x)
    mask = mask_of(y)
    assert mask is not None
    given = np.array([[[-1, 2], [-1, -1], [3, 4]]], "float32")
    found, there = gx.compile([x], [y, mask], backend="interpreter")(given)
    assert found.tolist() == [[[-1, 2], [0, 0], [3, 4]]]
    assert there.tolist() == [[True, False, True]]


class Half(layers.Layer):
    def call(self, x: gx.Tensor) -> gx.Tensor:
        return x / 2


class Counting(layers.Layer):
    def call(self, x: gx.Tensor, mask: gx.Tensor | None = None) -> gx.Tensor:
        return gx.sum(gx.ones(x.shape[:2]) if mask is None else gx.astype(mask, "float32"), axis=1)


class Second(layers.Layer):
    def call(self, x: gx.Tensor) -> gx.Tensor:
        return x

    def compute_mask(self, inputs: gx.Tensor, mask: Any = None) -> Any:
        return None if mask is None else gx.logical_and(mask, gx.arange(inputs.shape[1]) > 0)


def test_layers_of_ones_own() -> None:
    x = words()
    h = Embedding(10, 6, mask_zero=True)(x)
    with pytest.warns(gx.errors.GraphWarning, match=r"half\w*: the mask of its input ends here"):
        assert mask_of(Half()(h)) is None
    with pytest.warns(gx.errors.GraphWarning, match=r"flatten\w*: the mask of its input ends here"):
        layers.Flatten()(Embedding(10, 6, mask_zero=True)(Input((5,), dtype="int64")))
    half = Half()
    half.supports_masking = True
    assert mask_of(half(h)) is not None
    assert value(x, Counting()(h), WORDS).tolist() == list(LENGTHS)
    given = gx.placeholder("given", ("batch", "time"), "bool")
    assert gx.compile([x, given], Counting()(h, mask=given))(WORDS, WORDS > 4).tolist() == [0, 0, 5]
    mask = mask_of(Second()(h))
    assert mask is not None
    assert value(x, gx.sum(gx.astype(mask, "int64"), axis=1), WORDS).tolist() == [2, 0, 4]


def tagger(**options: Any) -> models.Sequential:
    layers.seed(3)
    model = models.Sequential([Embedding(10, 6, mask_zero=True), layers.GRU(4, return_sequences=True), Dense(3)])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy", "sparse_categorical_crossentropy"], **options)
    return model


def test_losses_and_metrics_leave_out_what_only_fills_up() -> None:
    labels = np.random.default_rng(1).integers(0, 3, WORDS.shape)
    model, there = tagger(backend="interpreter"), WORDS != 0
    logits = model.predict(WORDS).astype("float64")
    each = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    right = logits.argmax(-1) == labels
    found = model.evaluate(WORDS, labels)
    assert found["loss"] == pytest.approx(each[there].mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(right[there].mean())
    assert found["sparse_categorical_crossentropy"] == pytest.approx(each[there].mean(), rel=1e-5)
    samples = np.array([1.0, 2.0, 0.0])
    weighted = model.evaluate(WORDS, labels, sample_weight=samples)
    assert weighted["loss"] == pytest.approx((each * there * samples[:, None]).sum() / there.sum(), rel=1e-5)
    assert weighted["accuracy"] == pytest.approx((right * there * samples[:, None]).sum() / (there * samples[:, None]).sum())
    steps = np.random.default_rng(2).random(WORDS.shape)
    weighted = model.evaluate(WORDS, labels, sample_weight=steps)
    assert weighted["loss"] == pytest.approx((each * there * steps).sum() / there.sum(), rel=1e-5)
    y, p = gx.constant(labels), gx.constant(logits)
    plain = models.losses.SparseCategoricalCrossentropy()(y, p)
    assert float(plain.eval()) == pytest.approx(each.mean(), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"mixed_precision": "bfloat16"}, {"steps_per_call": 2}], ids=str)
def test_training_does_not_see_the_filling(options: dict[str, Any], tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 3, WORDS.shape)
    wide = np.pad(WORDS, ((0, 0), (0, 3)))
    options = {"backend": "llvm" if "steps_per_call" in options else "interpreter", **options}
    short, long = tagger(**options), tagger(**options)
    short.fit(WORDS, labels, batch_size=2, epochs=2, verbose=0)
    long.fit(wide, np.pad(labels, ((0, 0), (0, 3)), constant_values=1), batch_size=2, epochs=2, verbose=0)
    for a, b in zip(short.get_weights(), long.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-2 if "mixed_precision" in options else 1e-6)
    if len(options) == 1:
        long.save(tmp_path / "model")
        again = models.load(tmp_path / "model")
        assert (again.predict(wide) == long.predict(wide)).all()
        loss = long.evaluate(wide, np.pad(labels, ((0, 0), (0, 3))))["loss"]
        assert again.evaluate(WORDS, labels)["loss"] == pytest.approx(loss)


def test_a_model_of_symbols_hands_masks_on() -> None:
    x = words()
    inner = models.Sequential([Embedding(10, 6, mask_zero=True), layers.LayerNorm()])
    model = models.Model(x, Dense(2)(layers.LSTM(4)(inner(x))))
    model.compile("sgd", "mse", backend="interpreter")
    found = model.predict(WORDS)
    assert np.allclose(found[0], model.predict(WORDS[:1, :3].copy())[0], atol=1e-6)


def test_alignment_goes_by_the_steps_there_are() -> None:
    x = Input(("time", 3), batch=1)
    logits, labels = Dense(4)(Masking()(x)), np.array([[1, 2]])
    given = np.random.default_rng(0).normal(size=(1, 5, 3)).astype("float32")
    filled = np.pad(given, ((0, 0), (0, 4), (0, 0)))
    loss = gx.compile([x], models.losses.CTC()(gx.constant(labels), logits), backend="interpreter")
    assert loss(filled) == pytest.approx(float(loss(given)), rel=1e-5)


# --- state that stays -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.GRU, layers.LSTM])
def test_state_stays_from_batch_to_batch(kind: Any, tmp_path: Path) -> None:
    model = models.Sequential([Input((3, 2), batch=2), kind(4, stateful=True), Dense(1)])
    model.compile("sgd", "mse", backend="interpreter" if kind is not layers.GRU else "llvm")
    given = np.random.default_rng(0).normal(size=(2, 6, 2)).astype("float32")
    plain = models.Sequential([kind(4), Dense(1)])
    plain(Input((6, 2)))
    plain.compile("sgd", "mse", backend="interpreter")
    plain.set_weights([v.value for path, v in model.variables.items() if path.split("/")[-1] not in ("h", "c")])
    halves = given[:, :3].copy(), given[:, 3:].copy()
    first, last = (model.predict(half) for half in halves)
    assert np.allclose(last, plain.predict(given), atol=1e-6)
    assert not np.allclose(model.predict(halves[0]), first, atol=1e-4)
    model.save(tmp_path / "model")
    again = models.load(tmp_path / "model")
    assert (again.predict(halves[1]) == model.predict(halves[1])).all()
    model.reset_states()
    assert (model.predict(halves[0]) == first).all()
    model.fit(np.concatenate([given[:, :3]] * 2), np.zeros((4, 1)), batch_size=2, shuffle=False, verbose=0)
    assert np.abs(model.variables["0/h"].value).max() > 0
    with pytest.raises(gx.errors.ShapeError, match="where batch = 1"):
        model.predict(halves[0][:1])


def test_state_needs_the_size_of_a_batch() -> None:
    with pytest.raises(gx.errors.ShapeError, match=r"LSTM\(stateful=True\) needs the size of a batch as a number"):
        layers.LSTM(4, stateful=True)(Input((3, 2)))


def test_both_ways_give_their_states_and_take_others() -> None:
    x = Input((5, 3))
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True, return_state=True))
    y, *states = both(x)
    assert [str(s.type) for s in (y, *states)] == ["f32[batch, 5, 8]", *["f32[batch, 4]"] * 4]
    given = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    whole, forward, _, backward, _ = gx.compile([x], [y, *states], backend="interpreter")(given)
    assert np.allclose(whole[:, -1, :4], forward)
    assert np.allclose(whole[:, 0, 4:], backward)
    again = both(x, initial_state=states)
    assert not np.allclose(gx.compile([x], again[0], backend="interpreter")(given), whole)
    apart = layers.Bidirectional(layers.GRU(4, return_state=True), merge_mode=None)(x)
    assert [str(s.type) for s in apart] == ["f32[batch, 4]"] * 4


def test_inputs_of_a_recurrent_layer_are_dropped_alike_at_every_step() -> None:
    layer = layers.SimpleRNN(1, dropout=0.5, return_sequences=True, kernel_initializer="ones", recurrent_initializer="zeros")
    x = Input((4, 1))
    y = layer(x, training=True)
    found = gx.compile([x], y, updates=layer.updates, backend="interpreter")(np.full((40, 4, 1), 0.5, "float32"))
    assert set(np.unique(found.round(4))) == {0.0, np.tanh(1.0).round(4).astype("float32")}
    assert (found == found[:, :1]).all()
    kept = gx.compile([x], layer(x), backend="interpreter")(np.full((1, 4, 1), 0.5, "float32"))
    assert np.allclose(kept, np.tanh(0.5))
