"""Models and symbols of integers: how near they are to those of floats, what they hold, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.compression.calibration import Seen
from graphc.layers import BatchNorm, Conv2D, Dense, DepthwiseConv2D, Flatten, MaxPool
from graphc.models import Model, Sequential

Array = np.ndarray[Any, Any]


def rows(n: int, *shape: int) -> Array:
    return np.random.default_rng(n).normal(size=(n, *shape)).astype(np.float32)


def dense(trained: bool = False) -> Sequential:
    with gx.layers.seeded(1):
        model = Sequential([Dense(16, activation="relu", input_shape=(8,)), Dense(16, activation="relu"), Dense(3)])
    if trained:
        model.compile("adam", "mse")
    return model


def relative(got: Array, want: Array) -> float:
    return float(np.abs(got - want).max() / np.abs(want).max())


@pytest.mark.parametrize("method", gx.compression.METHODS)
def test_a_quantised_model_predicts_nearly_what_the_model_does(method: str) -> None:
    model, x = dense(), rows(300, 8)
    small = gx.quantize(model, x, method=method)
    assert relative(small.predict(x), model.predict(x)) < (0.03 if method == "minmax" else 0.3)
    assert [str(v.dtype) for path, v in small.variables.items() if path.endswith("kernel")] == ["int8"] * 3
    assert [str(v.dtype) for path, v in model.variables.items()] == ["float32"] * 6
    assert small.layers[0].quantization.dtype == "int8" and small.layers[1].quantization.dtype == "uint8"


def test_convolutions_in_both_layouts_and_depthwise() -> None:
    x = rows(20, 8, 8, 4)
    for layout, images in (("NHWC", x), ("NCHW", np.moveaxis(x, -1, 1))):
        with gx.layers.seeded(2):
            model = Sequential([
                Conv2D(6, 3, padding="same", layout=layout, input_shape=images.shape[1:]), DepthwiseConv2D(3, layout=layout),
                Conv2D(5, 3, strides=2, layout=layout, activation="relu"), Flatten(), Dense(4),
            ])  # fmt: skip
        small = gx.quantize(model, images)
        assert relative(small.predict(images), model.predict(images)) < 0.05, layout
        assert small.variables["0/kernel_scale"].shape == (6,)


def test_every_channel_of_a_kernel_has_its_scale() -> None:
    """Of channels a million times apart, both keep their digits."""
    model = Sequential([Dense(2, use_bias=False, input_shape=(4,))])
    kernel = rows(4, 2) * np.array([1e-3, 1e3], np.float32)
    model.set_weights([kernel])
    small = gx.quantize(model, rows(50, 4))
    whole, scale = small.variables["0/kernel"].value, small.variables["0/kernel_scale"].value
    assert np.abs(whole * scale - kernel).max(axis=0) == pytest.approx(0, abs=1e3)
    assert (np.abs(whole * scale - kernel) <= scale / 2 * 1.0001).all() and (np.abs(whole).max(axis=0) == 127).all()


def test_files_hold_integers_and_load_again(tmp_path: Path) -> None:
    with gx.layers.seeded(3):
        model = Sequential([Dense(256, activation="relu", input_shape=(256,)), Dense(256)])
    x = rows(32, 256)
    small = gx.quantize(model, x)
    model.save_weights(tmp_path / "model.safetensors")
    small.save_weights(tmp_path / "small.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("model", "small")]
    assert sizes[0] > 3.8 * sizes[1]
    small.save(tmp_path / "small")
    assert np.array_equal(gx.models.load(tmp_path / "small").predict(x), small.predict(x))


def test_rounding_is_trained_through_and_stays_what_it_was() -> None:
    model, x = dense(trained=True), rows(256, 8)
    y = np.tanh(x[:, :3] * x[:, 3:6])
    aware = gx.quantize(model, x, trainable=True)
    before = aware.evaluate(x, y)["loss"]
    aware.fit(x, y, epochs=5, batch_size=32, verbose=0)
    assert aware.evaluate(x, y)["loss"] < 0.9 * before
    small = gx.quantize(aware)
    assert np.allclose(small.predict(x), aware.predict(x), atol=1e-5)
    assert [p for p, v in small.variables.items() if str(v.dtype) == "int8"] == ["0/kernel", "1/kernel", "2/kernel"]
    assert small.trainable_variables == []


def test_what_is_skipped_stays_in_floats_and_models_of_symbols_work() -> None:
    x = gx.layers.Input((8,))
    h = Dense(8, activation="relu", name="first")(x)
    model = Model(x, gx.layers.Add()([h, Dense(8, name="second")(h)]))
    data = rows(40, 8)
    small = gx.quantize(model, data, skip=["second"])
    assert relative(small.predict(data), model.predict(data)) < 0.02
    assert small.get_layer("second").quantization is None and small.get_layer("first").quantization is not None


def test_batches_and_arrays_calibrate_alike_and_nobody_s_batch_norm_moves() -> None:
    with gx.layers.seeded(4):
        model = Sequential([Conv2D(3, 3, input_shape=(6, 6, 2)), BatchNorm(), MaxPool(2), Flatten(), Dense(2)])
    x, mean = rows(30, 6, 6, 2), model.variables["1/moving_mean"].value.copy()
    one, other = gx.quantize(model, x), gx.quantize(model, [(x[:11], None), (x[11:], None)])
    for path, v in one.variables.items():
        assert np.array_equal(v.value, other.variables[path].value), path
    assert np.array_equal(one.variables["1/moving_mean"].value, mean)


def test_symbols_are_quantised_by_their_graph() -> None:
    x = gx.placeholder("x", ("n", 8), "float32")
    a, b = gx.variable(rows(8, 6), name="a"), gx.variable(rows(6, 5), name="b")
    h = gx.nn.relu(x @ a)
    outputs = {"y": h @ b, "own": h @ gx.matrix_transpose(h)}
    data = rows(60, 8)
    small = gx.quantize(outputs, {x: data})
    exact, found = gx.compile([x], outputs)(data), gx.compile([x], small)
    got = found(data)
    assert relative(got["y"], exact["y"]) < 0.02
    assert {v.name: str(v.dtype) for v in found.variables.values()} == {
        "a": "int8", "a.scale": "float32", "a.input_scale": "float32", "b": "int8", "b.scale": "float32",
        "b.input_scale": "float32",
    }  # fmt: skip
    aware = gx.quantize(outputs["y"], [{x: data[:30]}, {x: data[30:]}], trainable=True, skip=["a"])
    gradient = gx.compile([x], gx.grad(gx.sum(aware**2), b))(data)
    assert relative(gradient, gx.compile([x], gx.grad(gx.sum(outputs["y"] ** 2), b))(data)) < 0.1


def test_calibrations_cut_off_what_they_should() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    values[0] = 100.0
    seen = Seen()
    for see in (seen.extremes, seen.sizes):
        see(values[:50_000])
        see(values[50_000:])
    limits = {m: float(seen.scale(m)) * 127 for m in gx.compression.METHODS}
    assert limits["minmax"] == pytest.approx(100)
    assert limits["percentile"] == pytest.approx(3.9, abs=0.15)
    assert 2.5 < limits["entropy"] < 7
    assert Seen().scale("entropy") == 1


def test_what_cannot_be_quantised_is_refused() -> None:
    model, x = dense(), rows(10, 8)
    cases = [
        (lambda: gx.quantize(model), "sequential needs data for its scales"),
        (lambda: gx.quantize(model, x, method="kl"), "has no method 'kl'"),
        (lambda: gx.quantize(model, x, skip=["no"]), "skip names 'no'"),
        (lambda: gx.quantize(gx.quantize(model, x), x), "is of integers already"),
        (lambda: gx.quantize(Sequential([Flatten(input_shape=(2, 2))]), x), "has no layer to quantise"),
        (lambda: gx.quantize(model, np.full((2, 8), np.nan, np.float32)), "an activation is not finite"),
        (lambda: gx.quantize(model, 3), "data are int"),
        (lambda: gx.quantize(model, x, percentile="99"), "percentile is '99'"),
        (lambda: gx.quantize(3), "takes a model or symbols, got int"),
        (lambda: gx.quantize(gx.placeholder("x", (2,), "float32") * 2), "no product of float32 with weights"),
    ]  # fmt: skip
    for case, words in cases:
        with pytest.raises(gx.errors.InputError, match=words):
            case()


def test_compiled_products_are_of_integers_and_their_results_go_on_as_integers() -> None:
    with gx.layers.seeded(5):
        model = Sequential([
            Conv2D(6, 3, padding="same", input_shape=(8, 8, 3), activation="relu"), Conv2D(4, 3, activation="relu"),
            Flatten(), Dense(16, activation="relu"), Dense(3),
        ])  # fmt: skip
    data = rows(30, 8, 8, 3)
    small = gx.quantize(model, data)
    x = gx.layers.Input((8, 8, 3))
    program = gx.compile([x], small(x, training=False))
    assert str(program.graph).count("matmul_integer(") == 4 and "matmul(" not in str(program.graph)
    stored = [str(b.type.dtype) for b in program.program.buffers.values() if b.role == "temporary"]
    assert stored.count("uint8") >= 3
    unfolded = gx.compile([x], small(x, training=False), passes=())
    assert "matmul_integer(" not in str(unfolded.graph)
    want = unfolded(data)
    assert np.allclose(program(data), want, rtol=0, atol=2e-6 * np.abs(want).max() + 1e-6)
