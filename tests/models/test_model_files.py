"""Models and trainings as files: saved and loaded, stopped and resumed, killed while writing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import layers, models

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 8)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


def network() -> models.Sequential:
    gx.layers.seed(5)
    model = models.Sequential([
        layers.Dense(16, activation="relu", input_shape=(8,), kernel_regularizer=layers.regularizers.l2(1e-4)),
        layers.BatchNorm(), layers.Dropout(0.2), layers.Dense(2, kernel_initializer=layers.initializers.Normal(stddev=0.1)),
    ])  # fmt: skip
    model.compile(models.Optimizer(gx.optim.adam, learning_rate=0.01), "sparse_categorical_crossentropy", ["accuracy"])
    return model


def symbolic() -> models.Model:
    a, b = layers.Input((8,), name="a"), layers.Input((3, 2), name="b")
    shared = layers.Dense(4, activation="tanh")
    h = shared(a) + shared(gx.concat([layers.Flatten()(b), a[:, :2]], axis=1))
    h = layers.Concatenate()([h, a * 2])
    model = models.Model([a, b], {"y": layers.Dense(2)(h), "z": gx.sum(h, axis=1)})
    return model


class Wide(models.Model):
    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.blocks = [layers.Residual(layers.Dense(units)) for _ in range(2)]

    def call(self, x: gx.Tensor) -> gx.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def test_a_model_in_a_row_comes_back(tmp_path: Path) -> None:
    model = network()
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    again = models.load(tmp_path / "model")
    assert list(again.variables) == list(model.variables)
    assert (again.predict(X) == model.predict(X)).all()
    assert again.evaluate(X, Y) == model.evaluate(X, Y)
    for m in (model, again):
        m.fit(X, Y, epochs=2, verbose=0)
    assert all((a == b).all() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_a_model_of_symbols_comes_back(tmp_path: Path) -> None:
    model = symbolic()
    model.compile("adam", "mse")
    value = [X, RNG.normal(size=(96, 3, 2)).astype("float32")]
    before = model.predict(value)
    model.save(tmp_path / "model")
    again = models.load(tmp_path / "model")
    assert list(again.variables) == list(model.variables)
    found = again.predict(value)
    assert (found["y"] == before["y"]).all()
    assert (found["z"] == before["z"]).all()


def test_a_class_of_ones_own_comes_back_once_it_is_registered(tmp_path: Path) -> None:
    model = Wide(8)
    model.compile("sgd", "mse")
    before = model.predict(X)
    with pytest.raises(gx.errors.InputError, match="has no name in files"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    layers.register(Wide)
    model.save(tmp_path / "model")
    assert (models.load(tmp_path / "model").predict(X) == before).all()


def test_saving_again_replaces_and_spares_what_is_no_model(tmp_path: Path) -> None:
    model = network()
    for _ in range(2):
        model.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(gx.errors.InputError, match="exists, and is no model"):
        model.save(tmp_path / "mine")


def test_weights_alone_and_what_does_not_fit(tmp_path: Path) -> None:
    model = network()
    model.save_weights(tmp_path / "w.npz")
    other = network()
    other.fit(X, Y, verbose=0)
    other.load_weights(tmp_path / "w.npz")
    assert all((a == b).all() for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    wide = models.Sequential([layers.Dense(17, input_shape=(8,))])
    with pytest.raises(gx.errors.FileError, match="does not fit"):
        wide.load_weights(tmp_path / "w.npz")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2, "model": 1, "inputs": null, "training": null}'])
def test_folders_that_are_no_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(gx.errors.FileError, match="is no model"):
        models.load(tmp_path)


# --- checkpoints -----------------------------------------------------------------------------------------------------


class StopAt(models.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self.step -= 1
        if not self.step:
            raise KeyboardInterrupt


def hashes(model: models.Model) -> list[bytes]:
    return [v.value.tobytes() for v in model.state.values()]


def test_training_that_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Stopped at 50 random steps, in a model made anew each time."""
    whole = network()
    history = whole.fit(X, Y, batch_size=10, epochs=30, verbose=0, validation_split=0.2)  # 8 steps an epoch
    rng, stops = np.random.default_rng(1), 0
    while True:
        model = network()
        left = model.fit(
            X, Y, batch_size=10, epochs=30, verbose=0, validation_split=0.2, checkpoints=tmp_path / "c",
            callbacks=[StopAt(int(rng.integers(1, 9)))],
        )  # fmt: skip
        if left.epoch and left.epoch[-1] == 29:
            break
        stops += 1
    assert stops >= 40
    assert hashes(model) == hashes(whole)
    assert left.history == history.history


def test_the_last_checkpoints_are_kept_and_broken_ones_passed_over(tmp_path: Path) -> None:
    model = network()
    model.fit(X, Y, batch_size=32, epochs=3, verbose=0, checkpoints=models.Checkpoints(tmp_path, keep=2, every=2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000000006", "000000000008"]
    kept = models.Checkpoints(tmp_path)
    found = kept.latest()
    assert found is not None
    assert found.step == 8
    for name in ("arrays", "state"):
        file = next((tmp_path / "000000000008").glob(f"{name}.*"))
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        with pytest.warns(gx.errors.GraphWarning, match="is not whole"):
            found = kept.latest()
        assert found is not None
        assert found.step == 6


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    network().fit(X, Y, verbose=0, checkpoints=tmp_path)
    other = models.Sequential([layers.Dense(2, input_shape=(8,))])
    other.compile("adam", "sparse_categorical_crossentropy")
    before = hashes(other)
    with pytest.raises(gx.errors.FileError, match="is of another training: unexpected"):
        other.fit(X, Y, verbose=0, checkpoints=tmp_path)
    assert hashes(other)[: len(before)] == before


def test_a_disk_that_is_full_leaves_the_checkpoints_there_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    model.fit(X, Y, verbose=0, checkpoints=tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    left = [0]
    real = os.fsync

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    for good in range(4):
        left[0] = good
        with pytest.raises(OSError, match="No space left"):
            models.Checkpoints(tmp_path).save(99, {}, model.variables)
        assert sorted(p.name for p in tmp_path.iterdir()) == before


WRITER = """
import sys, numpy as np, graphc as gx
v = gx.variable(np.zeros(200_000), name="v")
kept = gx.models.Checkpoints(sys.argv[1], keep=2)
found = kept.latest()
step = 0 if found is None else found.step
if found is not None:
    gx.load(found.arrays, [v])
    assert (v.value == step).all(), "a checkpoint of two moments"
while True:
    step += 1
    v.value = np.full(200_000, float(step))
    kept.save(step, {"step": step}, [v])
    print(step, flush=True)
"""


@pytest.mark.parametrize("times", [int(os.environ.get("GRAPHC_KILLS", "12"))])
def test_processes_killed_while_writing_lose_the_unfinished_checkpoint_alone(tmp_path: Path, times: int) -> None:
    """GRAPHC_KILLS=500 in the environment kills as many."""
    rng, last = np.random.default_rng(2), 0
    for _ in range(times):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert int(first) >= last
        time.sleep(float(rng.uniform(0, 0.02)))
        os.kill(writer.pid, signal.SIGKILL)
        seen = [first, *writer.stdout.read().splitlines()]
        writer.wait()
        last = int(seen[-1])
        found = models.Checkpoints(tmp_path).latest()
        assert found is not None
        assert found.step in (last, last + 1)
        assert json.dumps(found.state) == json.dumps({"step": found.step})
        last = found.step
