"""Fit: what is done to gradients between the loss and the optimiser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.layers import Dense
from graphc.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5)).astype("float32")
Y = (X[:, 0] + X[:, 1] > 0).astype("int64")


def classifier(optimizer: Any = "adam", **options: Any) -> Sequential:
    gx.layers.seed(1)
    model = Sequential([Dense(8, activation="tanh", input_shape=(5,)), Dense(2)])
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"], **options)
    return model


def alike(a: Sequential, b: Sequential, **limits: float) -> bool:
    return all(np.allclose(x, y, **limits) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def gradients(model: Sequential, x: Any, y: Any) -> list[Any]:
    """The gradients of the mean loss."""
    loss = gx.mean(gx.nn.cross_entropy(model(x), gx.asarray(y), reduction="none"))
    return [g.eval() for g in gx.grad(loss, model.trainable_variables)]


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_norm_of_gradients_is_limited() -> None:
    model = classifier(gx.models.Optimizer(gx.optim.sgd, learning_rate=1.0), clip_norm=0.1)
    before, found = model.get_weights(), gradients(model, X, Y)
    norm = np.sqrt(sum((g**2).sum() for g in found))
    assert norm > 0.2
    model.fit(X, Y, batch_size=90, verbose=0)
    for old, new, g in zip(before, model.get_weights(), found, strict=True):
        assert np.allclose(old - new, g * 0.1 / norm, atol=1e-6)


def test_elements_of_gradients_are_limited() -> None:
    model = classifier(gx.models.Optimizer(gx.optim.sgd, learning_rate=1.0), clip_value=0.05)
    before, found = model.get_weights(), gradients(model, X, Y)
    assert max(abs(g).max() for g in found) > 0.1
    model.fit(X, Y, batch_size=90, verbose=0)
    for old, new, g in zip(before, model.get_weights(), found, strict=True):
        assert np.allclose(old - new, np.clip(g, -0.05, 0.05), atol=1e-6)


def test_limits_that_nothing_meets_change_nothing() -> None:
    plain, limited = classifier(), classifier(clip_norm=1e6, clip_value=1e6)
    for model in (plain, limited):
        model.fit(X, Y, batch_size=32, verbose=0)
    assert alike(plain, limited, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("options", [{"clip_norm": 0.0}, {"clip_value": -1.0}, {"accumulate": 0}])
def test_limits_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(gx.errors.InputError, match=f"compile: {next(iter(options))}"):
        classifier(**options)


def test_a_step_of_ones_own_refuses_them() -> None:
    with pytest.raises(gx.errors.InputError, match="a step of your own makes its gradients itself"):
        Sequential([Dense(1)]).compile(step=lambda model, x, y: ({}, {}), clip_norm=1.0)


# --- accumulation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("many", [1, 4])
def test_accumulated_batches_are_one_large_batch(optimizer: str, many: int) -> None:
    large, small = classifier(optimizer), classifier(optimizer, accumulate=3, steps_per_call=many)
    large.fit(X, Y, batch_size=24, epochs=3, verbose=0)  # 24, 24, 24, 18
    small.fit(X, Y, batch_size=8, epochs=3, verbose=0)  # 8 each, and a last one of 2
    assert alike(large, small, rtol=1e-4, atol=1e-6)
    assert abs(large.evaluate(X, Y)["loss"] - small.evaluate(X, Y)["loss"]) < 1e-5


def test_accumulation_goes_on_from_a_checkpoint(tmp_path: Any) -> None:
    class Stop(gx.models.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
            if batch == 4:
                raise KeyboardInterrupt

    whole, parts = classifier(accumulate=3), classifier(accumulate=3)
    whole.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    parts.fit(X, Y, batch_size=8, epochs=2, verbose=0, checkpoints=tmp_path, callbacks=[Stop()])
    again = classifier(accumulate=3)
    again.fit(X, Y, batch_size=8, epochs=2, verbose=0, checkpoints=tmp_path)
    assert alike(whole, again, rtol=0, atol=0)


def test_what_was_accumulated_when_a_training_was_broken_off_is_forgotten() -> None:
    class Stop(gx.models.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
            raise KeyboardInterrupt

    plain, model = classifier(accumulate=3), classifier(accumulate=3)
    model.fit(X[::-1], Y, batch_size=8, verbose=0, callbacks=[Stop()])
    for each in (plain, model):
        each.fit(X, Y, batch_size=8, verbose=0)
    assert alike(plain, model, rtol=0, atol=0)


def test_a_model_that_accumulates_is_saved_and_loaded(tmp_path: Any) -> None:
    model = classifier(accumulate=2, clip_norm=1.0)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model")
    again = gx.models.load(tmp_path / "model")
    for each in (model, again):
        each.fit(X, Y, verbose=0)
    assert alike(model, again, rtol=0, atol=0)


# --- mixed precision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_layers_compute_in_16_bits_from_weights_of_32(dtype: str) -> None:
    pytest.importorskip("ml_dtypes")
    plain, mixed = classifier(), classifier(mixed_precision=dtype)
    products = [n.type.dtype.name for n in gx.ir.Graph((), (mixed.layers[0](np.asarray(X)),)).nodes if n.op.name == "matmul"]
    assert products == ["float32"]  # a layer by itself is as it was
    assert {x.dtype.name for x in [mixed(X)]} == {dtype}
    for model in (plain, mixed):
        model.fit(X, Y, epochs=20, verbose=0)
    assert {v.dtype.name for v in mixed.weights} == {"float32"}
    assert mixed.predict(X).dtype == np.float32
    a, b = plain.evaluate(X, Y)["loss"], mixed.evaluate(X, Y)["loss"]
    assert 0 < abs(a - b) < 0.02 * a


@pytest.mark.parametrize("name", ["BatchNorm", "LayerNorm", "LSTM", "Dropout"])
def test_layers_with_state_take_part_in_mixed_precision(name: str) -> None:
    pytest.importorskip("ml_dtypes")
    gx.layers.seed(1)
    layer = gx.layers.LSTM(4) if name == "LSTM" else gx.layers.Dropout(0.1) if name == "Dropout" else getattr(gx.layers, name)()
    model = Sequential([layer, gx.layers.Flatten(), Dense(2)])
    model.compile("sgd", "sparse_categorical_crossentropy", mixed_precision="bfloat16", backend="interpreter")
    model.fit(X[:, None], Y, epochs=2, verbose=0)
    assert {v.dtype.name for v in model.weights} <= {"float32", "uint32"}
    assert np.isfinite(model.evaluate(X[:, None], Y)["loss"])


def test_float16_leaves_out_steps_that_overflow() -> None:
    model = classifier(gx.models.Optimizer(gx.optim.adam, learning_rate=0.01), mixed_precision="float16", backend="interpreter")
    model.programs.gradients.prepare(model.trainable_variables)
    gradients = model.programs.gradients
    assert gradients.scale is not None
    gradients.scale.value = np.float32(2.0**30)
    before = model.get_weights()
    with np.errstate(over="ignore", invalid="ignore"):
        model.fit(X, Y, batch_size=90, verbose=0)
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
        assert gradients.scale.value == 2.0**29
        model.fit(X, Y, batch_size=90, epochs=30, verbose=0)
    assert gradients.scale.value < 2.0**24
    assert (before[0] != model.get_weights()[0]).any()
    assert "optimizer/loss_scale" in model.state


def test_float16s_scale_grows_after_many_good_steps() -> None:
    model = classifier("sgd", mixed_precision="float16", backend="interpreter")
    gradients = model.programs.gradients
    gradients.prepare(model.trainable_variables)
    assert gradients.scale is not None and gradients.good is not None
    gradients.good.value = np.int64(1998)
    model.fit(X, Y, batch_size=90, epochs=2, verbose=0)
    assert (gradients.scale.value, gradients.good.value) == (2.0**16, 0)


def test_a_scaled_loss_gives_the_gradients_of_the_loss() -> None:
    plain, mixed = classifier("sgd"), classifier("sgd", mixed_precision="float16", clip_norm=0.1)
    before, found = plain.get_weights(), gradients(plain, X, Y)
    norm = np.sqrt(sum((g**2).sum() for g in found))
    mixed.fit(X, Y, batch_size=90, verbose=0)
    for old, new, g in zip(before, mixed.get_weights(), found, strict=True):
        assert np.allclose(old - new, 0.01 * g * 0.1 / norm, rtol=0.02, atol=1e-6)


def test_mixed_precision_is_checked() -> None:
    with pytest.raises(gx.errors.InputError, match="compile: mixed_precision is 'float8'"):
        classifier(mixed_precision="float8")


# --- what is not finite ----------------------------------------------------------------------------------------------


class Log(gx.layers.Layer):
    def call(self, x: gx.Tensor) -> gx.Tensor:
        return gx.log(x - self.variable("shift", ()))


class Block(gx.layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = Log()

    def call(self, x: gx.Tensor) -> gx.Tensor:
        return self.inner(gx.exp(x))


def watched(layer: gx.layers.Layer, **options: Any) -> Sequential:
    gx.layers.seed(1)
    model = Sequential([Dense(4, activation="tanh", input_shape=(5,)), layer, Dense(2)])
    model.compile("sgd", "sparse_categorical_crossentropy", backend="interpreter", **options)
    return model


@pytest.mark.parametrize("options", [{}, {"steps_per_call": 2}, {"accumulate": 2}])
def test_a_step_that_is_not_finite_names_operation_layer_and_line(options: dict[str, Any]) -> None:
    class Break(gx.models.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
            if batch == 1:
                self.model.variables["1/inner/shift"].value = np.float32(1e3)
                before.extend(self.model.get_weights())

    before: list[Any] = []
    model = watched(Block(), **options)
    with np.errstate(all="ignore"), pytest.raises(gx.errors.NotFiniteError) as caught:
        model.fit(X, Y, batch_size=16, epochs=2, verbose=0, find_nan=True, callbacks=[Break()])
    lines = str(caught.value).splitlines()
    assert lines[:2] == ["step 3 of epoch 1 is not finite", "in the layer 1/inner"]
    assert lines[2].startswith("log gives")
    assert "test_fit.py" in lines[3] and "return gx.log(x - self.variable" in lines[3]
    assert lines[-1] == "  hint: the model is as it was before that step"
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_a_gradient_that_is_not_finite_names_its_layer() -> None:
    class Root(gx.layers.Layer):
        def call(self, x: gx.Tensor) -> gx.Tensor:
            return gx.sqrt(0 * x)

    with np.errstate(all="ignore"), pytest.raises(gx.errors.NotFiniteError) as caught:
        watched(Root()).fit(X, Y, verbose=0, find_nan=True)
    assert "in the layer 1\n" in str(caught.value)
    assert "in the gradient of sqrt" in str(caught.value)


def test_training_that_is_finite_is_left_alone() -> None:
    plain, looked_at = classifier(), classifier()
    plain.fit(X, Y, verbose=0)
    looked_at.fit(X, Y, verbose=0, find_nan=True)
    assert alike(plain, looked_at, rtol=0, atol=0)
