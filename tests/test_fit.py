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
