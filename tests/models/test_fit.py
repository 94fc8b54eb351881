"""Fit: what is done to gradients between the loss and the optimiser."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.layers import Dense
from graphc.models import Sequential
from graphc.models.optimizers import schedules

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


# --- rates that change -----------------------------------------------------------------------------------------------


def cosine(start: float, part: float, alpha: float) -> float:
    return start * ((1 - alpha) * 0.5 * (1 + math.cos(math.pi * part)) + alpha)


def restarts(step: int) -> float:
    """Periods of 4, 8, 16, ... steps, each from half the height of the one before."""
    length, height = 4, 0.2
    while step >= length:
        step, length, height = step - length, 2 * length, height / 2
    return 0.2 * (0.9 * (height / 0.2) * 0.5 * (1 + math.cos(math.pi * step / length)) + 0.1)


RATES: list[tuple[str, dict[str, Any], Callable[[int], float]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}, lambda s: 0.1 * 0.5 ** (s / 4)),
    (
        "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True},
        lambda s: 0.1 * 0.5 ** (s // 4),
    ),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}, lambda s: 0.1 / (1 + 0.5 * s / 4)),
    (
        "InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True},
        lambda s: 0.1 / (1 + 0.5 * (s // 4)),
    ),
    (
        "PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "end_learning_rate": 0.01, "power": 2.0},
        lambda s: 0.09 * (1 - min(s, 8) / 8) ** 2 + 0.01,
    ),
    (
        "PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "end_learning_rate": 0.01, "cycle": True},
        lambda s: 0.09 * (1 - s / (8 * max(1, math.ceil(s / 8)))) + 0.01,
    ),
    (
        "PiecewiseConstantDecay", {"boundaries": [3, 7], "values": [0.1, 0.05, 0.01]},
        lambda s: 0.1 if s <= 3 else 0.05 if s <= 7 else 0.01,
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "alpha": 0.1}, lambda s: cosine(0.1, min(s, 8) / 8, 0.1)),
    (
        "CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 8, "warmup_target": 0.1, "warmup_steps": 4, "alpha": 0.1},
        lambda s: 0.1 * s / 4 if s < 4 else cosine(0.1, min(s - 4, 8) / 8, 0.1),
    ),
    (
        "CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 8, "warmup_target": 0.1, "warmup_steps": 0},
        lambda s: cosine(0.1, min(s, 8) / 8, 0.0),
    ),
    (
        "CosineDecayRestarts", {"initial_learning_rate": 0.2, "first_decay_steps": 4, "t_mul": 2.0, "m_mul": 0.5, "alpha": 0.1},
        restarts,
    ),
    (
        "CosineDecayRestarts", {"initial_learning_rate": 0.2, "first_decay_steps": 4, "t_mul": 1.0},
        lambda s: cosine(0.2, s % 4 / 4, 0.0),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "formula"), RATES, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(RATES)])
def test_schedules_of_keras_are_their_formulas(name: str, options: dict[str, Any], formula: Callable[[int], float]) -> None:
    schedule = getattr(schedules, name)(**options)
    step = gx.placeholder("step", (), "int64")
    rate = gx.compile([step], schedule(step))
    for s in range(40):
        np.testing.assert_allclose(rate(s), formula(s), rtol=1e-9, atol=1e-15, err_msg=f"step {s}")
    assert schedule.from_config({**schedule.get_config(), "name": name}) == schedule


def test_a_schedule_may_be_data_and_is_in_files(tmp_path: Any) -> None:
    data = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 20, "name": "CosineDecay"}}
    plain = classifier(gx.models.optimizers.SGD(gx.optim.schedules.cosine(0.1, 20)))
    named = classifier({"class_name": "SGD", "config": {"learning_rate": data, "momentum": 0.0, "name": "SGD"}})
    for model in (plain, named):
        model.fit(X, Y, batch_size=10, verbose=0)
    assert alike(plain, named, rtol=0, atol=0)
    named.save(tmp_path / "model")
    again = gx.models.load(tmp_path / "model")
    assert again.optimizer.rate == schedules.CosineDecay(0.1, 20)
    for model in (plain, again):
        model.fit(X, Y, batch_size=10, verbose=0)  # goes on at the step where it was
    assert alike(plain, again, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: schedules.CosineDecay(0.1, 0), "CosineDecay: decay_steps is 0"),
        (lambda: schedules.ExponentialDecay("high", 10, 0.5), "initial_learning_rate"),
        (lambda: schedules.PiecewiseConstantDecay([3, 1], [1.0, 0.5, 0.1]), "piecewise needs rising boundaries"),
        (lambda: gx.models.optimizers.Adam({"class_name": "Cosine"}), "no schedule 'Cosine'\n.*\n  hint: one of CosineDecay,"),
        (lambda: classifier({"class_name": "Adan"}), "no optimiser 'Adan'"),
        (lambda: classifier({"class_name": "Adam", "config": {"use_ema": True}}), "has no option use_ema"),
    ],
)
def test_schedules_refuse(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(gx.errors.GraphError, match=says):
        make()


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler, also where the tests were started with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Pressed(gx.models.Callback):
    """Ctrl-C at a place of the training: a method's name, and how often that is called before."""

    def __init__(self, where: str, after: int) -> None:
        self.left, self.seen = after, 0
        setattr(self, where, self.press)

    def press(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def get_state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def set_state(self, state: Any) -> None:
        self.seen = state["seen"]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.seen += 1


def steps_taken(model: Sequential) -> int:
    return int(next(v for name, v in model.state.items() if name.endswith("step")).value)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_right_after_the_native_step_finds_counters_that_know_it(monkeypatch: Any, tmp_path: Any) -> None:
    def run(press: int) -> tuple[Sequential, Any]:
        model, calls = classifier(steps_per_call=2), []
        made = type(model.programs)._program

        def pressing(self: Any, name: str, *given: Any) -> Any:
            program = made(self, name, *given)

            def call(*arguments: Any) -> Any:
                found = program(*arguments)
                calls.append(0)
                if len(calls) == press:
                    signal.raise_signal(signal.SIGINT)  # the step is done, and nobody has counted it
                return found

            return call if name == "train_many" else program

        monkeypatch.setattr(type(model.programs), "_program", pressing)
        history = model.fit(X, Y, batch_size=10, epochs=2, verbose=0, checkpoints=tmp_path / str(press))
        monkeypatch.undo()
        return model, history

    for press in range(1, 7):
        model, history = run(press)
        assert steps_taken(model) == 2 * press + (press > 4)  # 9 steps an epoch: the last of an epoch stands alone
        assert model.stop_training and len(history.epoch) == (press > 4)
        position = gx.models.Checkpoints(tmp_path / str(press)).latest()
        assert position is not None and position.state["step"] == steps_taken(model)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("where", ["on_epoch_begin", "on_train_batch_end", "on_test_begin", "on_test_end", "on_epoch_end"])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_ctrl_c_anywhere_goes_on_to_the_same_bits(where: str, after: int, tmp_path: Any) -> None:
    def fit(model: Sequential, press: int, **options: Any) -> Any:
        callbacks = [Pressed(where, press), gx.models.EMA(0.5, at_end=False), gx.models.EarlyStopping(patience=9)]
        found = model.fit(
            X, Y, batch_size=10, epochs=4, verbose=0, callbacks=callbacks, validation_data=(X[:20], Y[:20]), **options
        )
        return found.history, callbacks[0].seen, callbacks[2].get_state()

    whole, stopped, again = (classifier(accumulate=2) for _ in range(3))
    want = fit(whole, 0)
    fit(stopped, after, checkpoints=tmp_path)
    assert stopped.stop_training
    got = fit(again, 0, checkpoints=tmp_path)
    assert want == got
    assert alike(whole, again, rtol=0, atol=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_waiting_for_data() -> None:
    waited = threading.Event()

    def batches() -> Any:
        yield X[:10], Y[:10]
        yield X[:10], Y[:10]
        time.sleep(0.3)  # until the loop waits
        os.kill(os.getpid(), signal.SIGINT)
        waited.wait(20)
        yield X[:10], Y[:10]

    model, start = classifier(), time.perf_counter()
    try:
        model.fit(batches(), verbose=0)
    finally:
        waited.set()
    assert time.perf_counter() - start < 15
    assert steps_taken(model) == 2


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_ends_anything() -> None:
    class Twice(gx.models.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second ends the callback")

    model = classifier()
    model.fit(X, Y, batch_size=10, epochs=50, verbose=0, callbacks=[Twice()])
    assert steps_taken(model) == 1


def test_a_batch_takes_weights_of_classes_and_gives_a_list() -> None:
    x, y = np.ones((4, 3), "float32"), np.array([0, 1, 1, 0])
    with gx.layers.seeded(0):
        model = Sequential([Dense(2, input_shape=(3,))])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    each = [model.test_on_batch(x[i : i + 1], y[i : i + 1])["loss"] for i in range(4)]
    found = model.test_on_batch(x, y, return_dict=False)
    assert found[0] == pytest.approx(np.mean(each), rel=1e-5)
    loss, accuracy = model.train_on_batch(x, y, class_weight={0: 3.0}, return_dict=False)
    assert loss == pytest.approx(np.dot([3, 1, 1, 3], each) / 4, rel=1e-5)
    assert accuracy in (0.25, 0.75)
