"""Callbacks: what stops, steers, saves and averages a training, and what of it is in checkpoints."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.layers import Dense
from graphc.models import Callback, Sequential
from graphc.models.events import crc32c

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]], "float32")).astype("float32")


def regressor(**options: Any) -> Sequential:
    gx.layers.seed(1)
    model = Sequential([Dense(1, input_shape=(3,))])
    model.compile(options.pop("optimizer", gx.optim.sgd), "mse", backend="interpreter", **options)
    return model


def fed(callback: Callback, figures: list[float], name: str = "val_loss") -> tuple[Sequential, int]:
    """A model whose epochs gave such figures, and how many there were when the callback stopped it."""
    model = regressor()
    callback.model = model
    callback.on_train_begin()
    for epoch, figure in enumerate(figures):
        model.set_weights([np.full((3, 1), epoch, "float32"), np.zeros(1, "float32")])
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {name: figure})
        if model.stop_training:
            break
    callback.on_train_end({})
    return model, epoch + 1


class Explode(Callback):
    """Weights that are infinite after a batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        if batch == self.batch:
            self.model.set_weights([np.full((3, 1), np.inf, "float32"), np.zeros(1, "float32")])


@pytest.mark.parametrize(
    ("options", "figures", "epochs"),
    [
        ({}, [3.0, 2.0, 2.0, 1.0], 3),
        ({"patience": 2}, [3.0, 2.0, 2.5, 1.5, 1.6, 1.7, 1.8], 6),
        ({"min_delta": 0.5, "patience": 2}, [3.0, 2.8, 2.6, 2.4], 3),
        ({"mode": "max"}, [1.0, 2.0, 1.5, 3.0], 3),
        ({"monitor": "val_accuracy"}, [0.1, 0.2, 0.15, 0.3], 3),
        ({"baseline": 1.0, "patience": 2}, [3.0, 2.0, 0.5], 2),
        ({"start_from_epoch": 3}, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 5),
        ({"patience": 2}, [1.0, float("nan"), float("nan"), 0.0], 3),
    ],
)
def test_early_stopping_stops(options: dict[str, Any], figures: list[float], epochs: int) -> None:
    callback = gx.models.EarlyStopping(**options)
    assert fed(callback, figures, options.get("monitor", "val_loss"))[1] == epochs


def test_early_stopping_restores_the_best() -> None:
    callback = gx.models.EarlyStopping(patience=2, restore_best_weights=True)
    model, epochs = fed(callback, [3.0, 1.0, 2.0, 2.0, 0.0])
    assert (epochs, callback.best_epoch, callback.best, callback.stopped_epoch) == (4, 1, 1.0, 3)
    assert (model.get_weights()[0] == 1).all()


def test_a_figure_that_is_not_there_is_named() -> None:
    with pytest.raises(gx.errors.InputError, match=r"watches 'val_loss', which .* does not give\n.*\n  hint: there are loss"):
        regressor().fit(X, Y, verbose=0, callbacks=[gx.models.EarlyStopping()])


def test_the_rate_falls_on_a_plateau() -> None:
    rates: list[float] = []
    callback = gx.models.ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=1, min_lr=0.2)
    callback.model = model = regressor(optimizer=gx.models.Optimizer(gx.optim.sgd, learning_rate=1.0))
    callback.on_train_begin()
    for epoch in range(12):
        callback.on_epoch_end(epoch, {"loss": 1.0})
        rates.append(model.optimizer.learning_rate)
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]


def test_a_rate_that_follows_a_schedule_does_not_fall_on_a_plateau() -> None:
    model = regressor(optimizer=gx.models.optimizers.SGD(gx.optim.schedules.cosine(0.1, 9)))
    with pytest.raises(gx.errors.InputError, match="the optimiser's learning rate is no number that could fall"):
        model.fit(X, Y, verbose=0, callbacks=[gx.models.ReduceLROnPlateau("loss")])


def test_a_schedule_of_epochs_sets_the_rate() -> None:
    model = regressor()
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[gx.models.LearningRateScheduler(lambda epoch, rate: rate / 2)])
    assert history.history["learning_rate"] == [0.005, 0.0025, 0.00125]
    model.fit(X, Y, verbose=0, callbacks=[gx.models.LearningRateScheduler(lambda epoch: 0.5)])
    assert model.optimizer.learning_rate == 0.5


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    model = regressor()
    seen: list[int] = []
    note = gx.models.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[Explode(1), note, gx.models.TerminateOnNaN()])
    assert seen == [0, 1, 2]
    assert history.epoch == [0]


def test_every_method_is_called_in_its_turn() -> None:
    told: list[str] = []

    def note(name: str) -> Any:
        return lambda *given: told.append(name)

    names = [n for n in vars(Callback) if n.startswith("on_")]
    callback = gx.models.LambdaCallback(**{name: note(name) for name in names})
    regressor().fit(X, Y, batch_size=20, verbose=0, callbacks=[callback], validation_split=0.25)
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    assert told == [
        "on_train_begin", "on_epoch_begin", *batch, *batch, "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end",
    ]  # fmt: skip
    with pytest.raises(gx.errors.InputError, match="nothing calls on_batch"):
        gx.models.LambdaCallback(on_batch=print)


def test_models_are_saved_by_epoch_and_where_they_are_best(tmp_path: Path) -> None:
    all_, best = tmp_path / "{epoch:02d}-{loss:.0f}.npz", tmp_path / "best"
    callbacks = [
        gx.models.ModelCheckpoint(all_, save_weights_only=True), gx.models.ModelCheckpoint(best, "loss", save_best_only=True),
    ]  # fmt: skip
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        for callback in callbacks:
            if not epoch:
                callback.model = regressor()
            callback.model.set_weights([np.full((3, 1), epoch, "float32"), np.zeros(1, "float32")])
            callback.on_epoch_begin(epoch)
            callback.on_epoch_end(epoch, {"loss": loss})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["01-3.npz", "02-1.npz", "03-2.npz", "best"]
    assert (gx.models.load(best).get_weights()[0] == 1).all()
    assert (gx.load(tmp_path / "03-2.npz")["0/kernel"] == 2).all()


def test_a_table_of_the_epochs(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    history = regressor().fit(X, Y, epochs=2, verbose=0, callbacks=[gx.models.CSVLogger(path)])
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert rows[0] == ["epoch", "loss"]
    assert [float(row[1]) for row in rows[1:]] == history.history["loss"]
    regressor().fit(X, Y, epochs=1, verbose=0, callbacks=[gx.models.CSVLogger(path, append=True)])
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "0", "1", "0"]


def test_events_are_records_with_checksums(tmp_path: Path) -> None:
    callback = gx.models.TensorBoard(tmp_path, update_freq=1)
    history = regressor().fit(X, Y, batch_size=20, epochs=2, verbose=0, callbacks=[callback], validation_data=(X, Y))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train", "validation"]
    data = b"".join(p.read_bytes() for p in (tmp_path / "train").iterdir())
    found: list[tuple[int, str, float]] = []
    while data:
        size, check = struct.unpack("<QI", data[:12])
        event = data[12 : 12 + size]
        for part, given in ((data[:8], check), (event, struct.unpack("<I", data[12 + size : 16 + size])[0])):
            value = crc32c(part)
            assert given == ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
        data = data[16 + size :]
        if event[9] == 0x10:  # with a step, and a summary of one value of a tag and a float
            tag = event[17 : 16 + event[16] + 1]
            found.append((event[10], tag.decode(), struct.unpack("<f", event[-4:])[0]))
        else:
            assert event[9:] == b"\x1a\x0dbrain.Event:2"
    assert [(step, tag) for step, tag, _ in found] == [
        (1, "batch_loss"), (2, "batch_loss"), (0, "epoch_loss"), (3, "batch_loss"), (4, "batch_loss"), (1, "epoch_loss"),
    ]  # fmt: skip
    assert [v for _, tag, v in found if tag == "epoch_loss"] == np.float32(history.history["loss"]).tolist()


# --- averages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [1, 2])
def test_averages_move_with_every_step(many: int) -> None:
    plain, averaged, at_step = regressor(), regressor(steps_per_call=many), []
    note = gx.models.LambdaCallback(on_train_batch_end=lambda batch, logs: at_step.append(plain.get_weights()))
    expected = plain.get_weights()
    plain.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[note])
    for weights in at_step:
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, weights, strict=True)]
    history = averaged.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[gx.models.EMA(0.75)], validation_data=(X, Y))
    for a, b in zip(averaged.get_weights(), expected, strict=True):
        assert np.allclose(a, b, rtol=1e-5)
    assert abs(history.history["val_loss"][-1] - averaged.evaluate(X, Y)["loss"]) < 1e-9
    again = regressor()
    again.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[gx.models.EMA(0.75, at_end=False)], validation_data=(X, Y))
    for a, b in zip(again.get_weights(), plain.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_callbacks_see_averages_at_the_end_of_an_epoch(first: bool, tmp_path: Path) -> None:
    """The figures, the best weights and the files are of the same weights; steps go on from others."""
    model, seen, stepped = regressor(), [], []
    average = gx.models.EMA(0.9)
    keep = gx.models.ModelCheckpoint(tmp_path / "best", monitor="val_loss", save_best_only=True)
    stop = gx.models.EarlyStopping(patience=50, restore_best_weights=True)
    note = gx.models.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((model.get_weights(), logs["val_loss"])),
        on_train_batch_end=lambda batch, logs: stepped.append(model.get_weights()),
    )
    callbacks = [average, keep, stop, note] if first else [note, keep, stop, average]
    model.fit(X, Y, batch_size=40, epochs=6, verbose=0, callbacks=callbacks, validation_data=(X, Y))
    expected = regressor().get_weights()
    for (weights, loss), after in zip(seen, stepped, strict=True):
        expected = [0.9 * old + 0.1 * new for old, new in zip(expected, after, strict=True)]
        assert all(np.allclose(a, b, rtol=1e-5) for a, b in zip(weights, expected, strict=True))
        again = regressor()
        again.set_weights(weights)
        assert abs(again.evaluate(X, Y)["loss"] - loss) < 1e-9
    best = min(seen, key=lambda one: one[1])[0]
    for weights in (model.get_weights(), gx.models.load(tmp_path / "best").get_weights()):
        assert all((a == b).all() for a, b in zip(weights, best, strict=True))


# --- layers that are trained for a while -----------------------------------------------------------------------------


def two_layers() -> Sequential:
    gx.layers.seed(1)
    model = Sequential([Dense(4, input_shape=(3,), name="body"), Dense(1)])
    model.compile("adam", "mse", backend="interpreter")
    return model


def test_layers_are_frozen_and_trained_again() -> None:
    model = two_layers()
    model.get_layer("body").trainable = False
    kernels = [model.get_weights()[0]]
    note = gx.models.LambdaCallback(on_epoch_end=lambda epoch, logs: kernels.append(model.get_weights()[0]))
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[note, gx.models.Unfreeze("0", epoch=1), gx.models.Freeze(["body"], epoch=3)])
    assert [bool((a != b).any()) for a, b in pairwise(kernels)] == [False, True, True, False]
    with pytest.raises(gx.errors.InputError, match=r"has no layer 'head'\n.*\n  hint: there are 0, 1"):
        model.get_layer("head")


# --- stopped and gone on ---------------------------------------------------------------------------------------------


def test_callbacks_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    def run(folder: Path, epochs: int) -> Any:
        model = two_layers()
        model.get_layer("body").trainable = False
        callbacks = [
            gx.models.EMA(0.9), gx.models.EarlyStopping("loss", patience=50, restore_best_weights=True),
            gx.models.ReduceLROnPlateau("loss", patience=1, min_delta=10.0), gx.models.CSVLogger(folder / "log.csv"),
            gx.models.Unfreeze("body", epoch=2),
        ]  # fmt: skip
        history = model.fit(X, Y, epochs=epochs, verbose=0, callbacks=callbacks, checkpoints=folder / "kept")
        return model.get_weights(), history.history, (folder / "log.csv").read_text()

    whole = run(tmp_path / "whole", 6)
    for epochs in (1, 4, 6):  # a new process each time, as it were
        parts = run(tmp_path / "parts", epochs)
    assert whole[1:] == parts[1:]
    assert all((a == b).all() for a, b in zip(whole[0], parts[0], strict=True))


# --- searches --------------------------------------------------------------------------------------------------------


class Trial:
    """As Optuna's: notes what it is told, and says when to end."""

    def __init__(self, ended_by: float = np.inf) -> None:
        self.told: dict[int, float] = {}
        self.ended_by = ended_by

    def report(self, value: float, step: int) -> None:
        self.told[step] = value

    def should_prune(self) -> bool:
        return max(self.told.values()) >= self.ended_by


def test_a_trial_is_told_the_figure_of_every_epoch() -> None:
    trial = Trial()
    history = regressor().fit(X, Y, epochs=4, verbose=0, callbacks=[gx.models.PruningCallback(trial, "loss")])
    assert trial.told == dict(enumerate(history.history["loss"]))
    trial = Trial()
    history = regressor().fit(X, Y, epochs=5, verbose=0, callbacks=[gx.models.PruningCallback(trial, "loss", interval=2)])
    assert trial.told == {i: history.history["loss"][i] for i in (1, 3)}


@pytest.mark.parametrize(("figures", "ended_by", "last"), [([1.0, 2.0, 5.0, 6.0], 5.0, 2), ([1.0, np.nan, 1.0], np.inf, 1)])
def test_a_trial_that_does_worse_or_is_not_finite_ends(figures: list[float], ended_by: float, last: int) -> None:
    optuna = pytest.importorskip("optuna")
    with pytest.raises(optuna.TrialPruned, match=f"val_loss is {figures[last]:.4g} after epoch {last + 1}"):
        fed(gx.models.PruningCallback(Trial(ended_by)), figures)


def test_a_model_is_whole_after_a_trial_ended() -> None:
    optuna = pytest.importorskip("optuna")
    model = regressor()
    with pytest.raises(optuna.TrialPruned):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[gx.models.PruningCallback(Trial(0.0), "loss")])
    assert model.fit(X, Y, epochs=1, verbose=0).epoch == [0]


def test_what_a_trial_cannot_be_told_is_an_error() -> None:
    with pytest.raises(gx.errors.InputError, match="PruningCallback watches 'val_loss', which this training does not give"):
        regressor().fit(X, Y, verbose=0, callbacks=[gx.models.PruningCallback(Trial())])
    with pytest.raises(gx.errors.InputError, match="interval is 0"):
        gx.models.PruningCallback(Trial(), interval=0)


def test_validation_after_some_epochs(tmp_path: Path) -> None:
    stop = gx.models.EarlyStopping(patience=2)
    rate = gx.models.ReduceLROnPlateau(patience=1)
    best = gx.models.ModelCheckpoint(tmp_path / "best", save_best_only=True)
    table = gx.models.CSVLogger(tmp_path / "table.csv")
    callbacks = [stop, rate, best, table]
    history = regressor().fit(
        X, Y, epochs=5, verbose=0, validation_data=(X, Y), validation_freq=2, callbacks=callbacks, checkpoints=tmp_path / "kept"
    )
    assert (len(history.history["loss"]), len(history.history["val_loss"])) == (5, 2)
    assert history.places["val_loss"] == [1, 3]
    assert stop.wait == 0
    lines = (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("val_loss")
    assert [line.endswith(",") for line in lines[1:]] == [True, False, True, False, True]
    options: dict[str, Any] = {"verbose": 0, "validation_data": (X, Y)}
    resumed = regressor().fit(X, Y, epochs=6, validation_freq=[6], checkpoints=tmp_path / "kept", **options)
    assert resumed.places["val_loss"] == [1, 3, 5]
    assert len(resumed.history["loss"]) == 6
    with pytest.raises(gx.errors.InputError, match="watches 'val_los', which this training does not give"):
        regressor().fit(X, Y, epochs=2, validation_freq=2, callbacks=[gx.models.EarlyStopping("val_los")], **options)
    with pytest.raises(gx.errors.InputError, match="validation_freq is 0"):
        regressor().fit(X, Y, validation_split=0.5, validation_freq=0)


def test_methods_that_nothing_calls_are_refused() -> None:
    class Late(gx.models.Callback):
        def on_epoch_ends(self, epoch: int) -> None: ...

    with pytest.raises(gx.errors.InputError, match="Late has on_epoch_ends, which nothing calls"):
        regressor().fit(X, Y, verbose=0, callbacks=[Late()])


def test_a_figure_of_several_numbers_cannot_be_watched() -> None:
    with pytest.raises(gx.errors.InputError, match="watches 'r2_score', which is 2 numbers"):
        gx.models.EarlyStopping("r2_score").on_epoch_end(0, {"r2_score": np.zeros(2)})


def test_options_of_keras_are_taken_by_their_names(tmp_path: Path) -> None:
    gx.models.ModelCheckpoint(filepath=tmp_path / "a", monitor="loss", verbose=0, save_best_only=True)
    gx.models.CSVLogger(filename=tmp_path / "log.csv", separator=",", append=False)
    gx.models.TensorBoard(tmp_path, histogram_freq=0, write_graph=True, write_images=False, profile_batch=0)
    with pytest.raises(gx.errors.InputError, match="TensorBoard has no option histogram_freq"):
        gx.models.TensorBoard(tmp_path, histogram_freq=1)
    optimizers = gx.models.optimizers
    for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lamb", "Lion"):
        made = getattr(optimizers, kind)(
            learning_rate=0.01, clipnorm=None, clipvalue=None, use_ema=False, ema_momentum=0.99, ema_overwrite_frequency=None,
            loss_scale_factor=None, gradient_accumulation_steps=None, name="mine",
        )  # fmt: skip
        assert made.learning_rate == 0.01
    assert optimizers.RMSprop(0.1, momentum=0.0).learning_rate == 0.1
    with pytest.raises(gx.errors.InputError, match=r"has no option gradient_accumulation_steps(.|\n)*accumulate="):
        optimizers.Adam(gradient_accumulation_steps=2)
    rate = optimizers.schedules.CosineDecay(0.1, 10, name="rate")
    assert gx.layers.from_data(gx.layers.to_data(rate)) == rate


def test_an_ending_that_no_file_of_weights_has_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(gx.errors.InputError, match=r"best.weights.h5' has another ending(.|\n)*\.npz or \.safetensors"):
        gx.models.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True)


def test_an_optimiser_says_what_is_in_the_place_of_others_attributes() -> None:
    with pytest.raises(AttributeError, match=r"Adam has no lr(.|\n)*optimizer.learning_rate"):
        _ = gx.models.optimizers.Adam(1e-3).lr
