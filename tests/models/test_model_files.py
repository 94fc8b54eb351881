"""Models and trainings as files: saved and loaded, stopped and resumed, killed while writing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import layers, models
from graphc.models import checkpoint

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

TIMES = int(os.environ.get("GRAPHC_KILLS", "12"))  # how often processes are killed, and writes fail


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


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="files of limited length are POSIX's")
def test_writes_that_fail_at_any_byte_leave_the_checkpoints_there_were(tmp_path: Path) -> None:
    """The system itself refuses to write beyond a length, as it does where a disk ends."""
    import resource

    model, kept = network(), models.Checkpoints(tmp_path)
    kept.save(1, {}, model.state)
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    largest = max(len(content) for content in before.values())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for length in [0, 1, *np.random.default_rng(3).integers(2, largest, TIMES), largest - 1]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(length), hard))
            with pytest.raises(OSError, match="File too large"):
                kept.save(99, {}, model.state)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()} == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    kept.save(99, {}, model.state)
    found = kept.latest()
    assert found is not None and found.step == 99


# Imports once, and for every line that it reads makes a process that does nothing but write checkpoints.
NURSERY = """
import os, sys, numpy as np, graphc as gx
v = gx.variable(np.zeros(200_000), name="v")
for _ in sys.stdin:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print("gone", flush=True)
        continue
    try:
        print(os.getpid(), flush=True)
        kept = gx.models.Checkpoints(sys.argv[1], keep=2)
        found = kept.latest()
        step = 0 if found is None else found.step
        while True:
            step += 1
            v.value = np.full(200_000, float(step))
            kept.save(step, {"step": step}, [v])
            print(step, flush=True)
    finally:
        os._exit(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are made by fork")
def test_processes_killed_while_writing_lose_the_unfinished_checkpoint_alone(tmp_path: Path) -> None:
    """GRAPHC_KILLS=500 in the environment kills as many; more where too few of them fell into a write."""
    rng, last, unfinished, spans = np.random.default_rng(2), 0, 0, [0.02]
    command = [sys.executable, "-c", NURSERY, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        for number in range(10 * TIMES):
            if number >= TIMES and unfinished > TIMES // 10:
                break
            print(number, file=nursery.stdin, flush=True)
            child = int(nursery.stdout.readline())
            if number == 0:  # how long two writes take
                begun = time.perf_counter()
                last = int([nursery.stdout.readline() for _ in range(2)][-1])
                spans.append(time.perf_counter() - begun)
            time.sleep(float(rng.uniform(0, max(spans))))
            os.kill(child, signal.SIGKILL)
            written = list(iter(nursery.stdout.readline, "gone\n"))
            last = int(written[-1]) if written else last
            unfinished += any(tmp_path.glob(".new-*"))
            found = models.Checkpoints(tmp_path).latest()
            assert found is not None
            assert found.step in (last, last + 1)
            assert json.dumps(found.state) == json.dumps({"step": found.step})
            assert (gx.load(found.arrays)["v"] == found.step).all(), "a checkpoint of two moments"
            last = found.step
        nursery.stdin.close()
    print(f"{number} kills, {unfinished} of them in a write that was not finished; {last} checkpoints were written")
    assert unfinished > TIMES // 10


@pytest.fixture()
def three(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], Any]], list[Any]]:
    """Runs a function on three ranks, each a thread: what it gives or raises on each."""
    mine, meet, held = threading.local(), threading.Barrier(3), [None] * 3

    def exchanged(value: Any) -> list[Any]:
        held[mine.rank] = value
        meet.wait(20)
        found = list(held)
        meet.wait(20)
        return found

    monkeypatch.setattr(checkpoint, "rank", lambda: mine.rank)
    monkeypatch.setattr(checkpoint, "size", lambda: 3)
    monkeypatch.setattr(checkpoint, "gathered", lambda rows: np.stack(exchanged(rows)))
    monkeypatch.setattr(checkpoint, "from_first", lambda value: exchanged(value)[0])

    def run(function: Callable[[int], Any]) -> list[Any]:
        found: list[Any] = [None] * 3

        def one(rank: int) -> None:
            mine.rank = rank
            try:
                found[rank] = function(rank)
            except Exception as error:
                found[rank] = error

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    return run


COUNTS = {"seven": 7, "two": 2, "nine": 9}  # two: the third rank has nothing of it


def written_by(kept: models.Checkpoints, step: int) -> Callable[[int], None]:
    """Writes what a rank has of a checkpoint whose arrays say the step."""
    alike = {name: gx.variable(np.full(shape, step, np.float32)) for name, shape in {"a": (30,), "b": (4, 5), "c": ()}.items()}

    def write(rank: int) -> None:
        divided = {}
        for name, count in COUNTS.items():
            length = -(-count // 3)
            whole = step + np.arange(count, dtype=np.float32)
            divided[name] = whole[rank * length : (rank + 1) * length], count
        more = {"callbacks/0/best": gx.variable(np.float32(step))} if rank == 0 else {}
        kept.save_by_ranks(step, {"step": step} if rank == 0 else {}, alike, divided, more)

    return write


def test_what_ranks_write_together_any_number_reads(tmp_path: Path, three: Any) -> None:
    kept = models.Checkpoints(tmp_path)
    assert three(written_by(kept, 1)) == three(written_by(kept, 2)) == [None] * 3
    found = kept.latest()
    assert found is not None and found.step == 2 and found.state == {"step": 2}
    arrays = found.load()
    assert set(arrays) == {"a", "b", "c", "callbacks/0/best", *COUNTS}
    assert all((arrays[name] == 2).all() for name in ("a", "b", "c", "callbacks/0/best"))
    assert {name: arrays[name].shape for name in ("b", *COUNTS)} == {"b": (4, 5), "seven": (7,), "two": (2,), "nine": (9,)}
    for name, count in COUNTS.items():
        for ranks in range(1, 12):
            length = -(-count // ranks)
            parts = [arrays[name][rank * length : (rank + 1) * length] for rank in range(ranks)]
            assert np.concatenate(parts).tolist() == [2 + i for i in range(count)], (name, ranks)
    files = sorted(found.path.iterdir())
    assert [file.name.partition("-of")[0] for file in files] == [
        "arrays-00001", "arrays-00002", "arrays-00003", "arrays.safetensors.index.json", "state.json",
    ]  # fmt: skip
    for file in files:  # each of them is missed, and one that changed is seen
        content = bytearray(file.read_bytes())
        for broken in (None, content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]):
            file.unlink()
            if broken is not None:
                file.write_bytes(broken)
            with pytest.warns(gx.errors.GraphWarning, match="is not whole"):
                older = kept.latest()
            assert older is not None and older.step == 1
            file.write_bytes(content)
    assert kept.latest() == found


@pytest.mark.parametrize("failing", [0, 2])
def test_a_rank_that_cannot_write_its_part_leaves_the_checkpoints_there_were(
    tmp_path: Path, three: Any, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = models.Checkpoints(tmp_path)
    three(written_by(kept, 1))
    real = gx.save

    def full(path: Path, variables: Any) -> None:
        if f"{failing + 1:05d}-of" in path.name:
            raise OSError(28, "No space left on device")
        real(path, variables)

    monkeypatch.setattr(gx, "save", full)
    found = three(written_by(kept, 2))
    assert isinstance(found.pop(failing), OSError)
    text = f"rank {failing} could not write its part of a checkpoint"
    assert [(type(error), error.message) for error in found] == [(gx.errors.DistributedError, text)] * 2
    assert [p.name for p in tmp_path.iterdir()] == ["000000000001"]


def test_ranks_have_about_as_much_to_write() -> None:
    sizes = {f"layer{i}": n for i, n in enumerate((40, 4, 100, 30, 30, 4, 60, 0))}
    found = checkpoint.shared_out(sizes, 3)
    held = [sum(sizes[name] for name in sizes if found[name] == rank) for rank in range(3)]
    assert sorted(held) == [78, 90, 100]
    assert checkpoint.shared_out(dict(reversed(sizes.items())), 3) == found


class Pair(models.Model):
    """A generator and what judges it, each trained by an optimiser of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.make, self.judge = layers.Dense(8, name="make"), layers.Dense(1, name="judge")

    def call(self, z: gx.Tensor) -> gx.Tensor:
        return self.make(z)  # type: ignore[no-any-return]


def pair() -> Pair:
    bce = models.losses.BinaryCrossentropy(from_logits=True)
    first, second = models.optimizers.Adam(0.05), models.optimizers.RMSprop(0.01)

    def step(model: Pair, z: gx.Tensor, real: gx.Tensor) -> Any:
        fake = model(z, training=True)
        told, seen = model.judge(gx.stop_gradient(fake)), model.judge(gx.astype(real, "float32"))
        judged = bce(gx.zeros_like(told), told) + bce(gx.ones_like(seen), seen)
        made = bce(gx.ones_like(told), model.judge(fake))
        updates = first.updates(made, model.make.trainable_variables)
        return {"loss": made, "judged": judged}, {**updates, **second.updates(judged, model.judge.trainable_variables)}

    with gx.layers.seeded(3):
        model = Pair()
    model.compile(step=step)
    return model


def test_two_optimisers_in_a_step_of_ones_own_go_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = pair()
    told = whole.fit(X, X + 1, epochs=4, verbose=0).history
    pair().fit(X, X + 1, epochs=2, verbose=0, checkpoints=tmp_path)
    again = pair()
    assert again.fit(X, X + 1, epochs=4, verbose=0, checkpoints=tmp_path).history == told
    assert hashes(again) == hashes(whole)
    assert told["judged"][-1] != told["judged"][0]
