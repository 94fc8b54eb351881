"""Callbacks: what `fit` calls between its steps.

    class Stop(gx.models.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = logs["loss"] < 0.1

Here are the callback itself and those that steer a training; those that write files are in records.py, averages in averages.py.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc import Tensor, Variable

if TYPE_CHECKING:
    from graphc.models.model import Model

Logs = dict[str, Any]
_RISING = ("acc", "auc", "precision", "recall", "f1", "iou", "dice", "r2", "bleu", "top_k")  # names of figures to be made large


class Callback:
    """What happens between the steps of `fit`: each method does nothing until it is written.

    model: the model that is trained; `model.stop_training = True` ends the training after the step, or after the epoch where an
    epoch's method sets it. params: "epochs", "steps" of one, None where they are not known, and "validated", which epochs are:
    "every epoch" or "some epochs". logs: figures by name; in on_train_batch_end the loss of the batch, in on_epoch_end the
    epoch's.
    """

    everywhere = True  # on all ranks of a distributed training, and not on the first alone, as those are that write files
    model: Model
    params: Mapping[str, Any] = {"validated": "every epoch"}

    def on_train_begin(self) -> None:
        """Before the first step; `set_state` comes after it where training goes on from a checkpoint."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last step."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before the first step of an epoch: what is trainable is looked at after it."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After the last step of an epoch, and the validation. What it adds to `logs` is in the history."""

    def on_train_batch_begin(self, batch: int) -> None:
        """Before a step; with `steps_per_call`, before each call of several."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After a step; with `steps_per_call`, after each call of several."""

    def on_test_begin(self) -> None:
        """Before the validation."""

    def on_test_end(self, logs: Logs) -> None:
        """After the validation; where it was broken off, `logs` is empty."""

    def exchange(self) -> None:
        """Exchange the weights with others: before an epoch's validation, and again after `on_epoch_end`.

        All callbacks see the others in `on_epoch_end`, wherever they stand in the list.
        """

    def in_step(self, updates: Mapping[Variable, Tensor]) -> Mapping[Variable, Tensor]:
        """What a training step is to change besides, given the new values of all that it changes: traced once, then compiled."""
        return {}

    def get_state(self) -> Mapping[str, Any]:
        """What a checkpoint keeps of this callback: arrays, numbers, texts, and lists of them."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `get_state` gave."""


def written(callbacks: Sequence[Callback], name: str) -> list[Callable[..., Any]]:
    """The callbacks' methods of a name, of those that have written it."""
    methods = [getattr(callback, name) for callback in callbacks]
    base = vars(Callback)[name]
    known = inspect.signature(base).parameters
    found = [m for m in methods if getattr(m, "__func__", None) is not base]
    return [partial(m, logs={}) if "logs" not in known and "logs" in inspect.signature(m).parameters else m for m in found]


def is_missing(callback: Callback, monitor: str, logs: Logs) -> bool:
    """Whether a figure is not there because this epoch is none of those that are validated; InputError where it never is."""
    if monitor in logs:
        return False
    validated = any(name.startswith("val_") for name in logs)
    if monitor.startswith("val_") and callback.params["validated"] == "some epochs" and not validated:
        return True
    raise gx.errors.InputError(
        f"{type(callback).__name__} watches {monitor!r}, which this training does not give",
        where=gx.errors.caller(), hint="there are " + ", ".join(logs) + "; val_... need validation data",
    )  # fmt: skip


def listed(given: Any) -> list[Callback]:
    """Callbacks in a list, where one may stand for a list of it."""
    found = list(given) if isinstance(given, (list, tuple)) else [] if given is None else [given]
    for one in found:
        if not isinstance(one, Callback):
            hint = f"{one.__name__}(...) makes one" if isinstance(one, type) else "LambdaCallback makes one of functions"
            raise gx.errors.InputError(f"callbacks: {one!r} is no Callback", where=gx.errors.caller(), hint=hint)
        for name in dir(type(one)):
            if name.startswith("on_") and not hasattr(Callback, name):
                raise gx.errors.InputError(
                    f"{type(one).__name__} has {name}, which nothing calls", where=gx.errors.caller(),
                    hint="there are " + ", ".join(n for n in vars(Callback) if n.startswith("on_")),
                )  # fmt: skip
    return found


class LambdaCallback(Callback):
    """Functions as the methods of a callback: LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for name, function in functions.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                known = ", ".join(n for n in vars(Callback) if n.startswith("on_"))
                raise gx.errors.InputError(f"LambdaCallback: nothing calls {name}", where=gx.errors.caller(), hint=known)
            setattr(self, name, function)


class Watching(Callback):
    """A callback that looks whether a figure gets better from epoch to epoch.

    monitor: the figure's name. mode: "min", "max", or "auto", which goes by the name. min_delta: what counts as better. verbose:
    1 to print what is done.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0, verbose: int = 0) -> None:
        if mode not in ("auto", "min", "max"):
            raise gx.errors.InputError(f"mode is {mode!r}", where=gx.errors.caller(), hint="auto, min or max")
        self.monitor, self.mode, self.min_delta, self.verbose = monitor, mode, abs(min_delta), verbose
        rising = mode == "max" or (mode == "auto" and any(word in monitor for word in _RISING))
        self.sign = 1.0 if rising else -1.0
        self.best: float | None = None

    def figure(self, logs: Logs) -> float:
        """The figure that is watched, one number."""
        found = np.asarray(logs[self.monitor])
        if found.ndim:
            raise gx.errors.InputError(
                f"{type(self).__name__} watches {self.monitor!r}, which is {found.size} numbers", where=gx.errors.caller(),
                hint='a metric with average="macro", or another figure: ' + ", ".join(logs),
            )  # fmt: skip
        return float(found)

    def tell(self, epoch: int, text: str) -> None:
        """A line, where that is wanted."""
        if self.verbose:
            print(f"epoch {epoch + 1}: {text}", flush=True)

    def better(self, found: float) -> bool:
        """Whether a figure is better than the best so far by more than `min_delta`; NaN is not."""
        return self.sign * found - self.min_delta > (-math.inf if self.best is None else self.sign * self.best)


class EarlyStopping(Watching):
    """Stop when a figure has not become better for `patience` epochs.

    baseline: what it must be better than to count. restore_best_weights: end with the weights of the best epoch.
    start_from_epoch: the first epoch that counts. Afterwards: stopped_epoch (0 if it did not stop), best_epoch, best.
    """

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0.0, patience: int = 0, mode: str = "auto",
        baseline: float | None = None, restore_best_weights: bool = False, start_from_epoch: int = 0, verbose: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta, verbose)
        self.patience, self.baseline, self.start_from_epoch = patience, baseline, start_from_epoch
        self.restore_best_weights = restore_best_weights
        self.on_train_begin()

    def on_train_begin(self) -> None:
        self.best, self.wait, self.stopped_epoch, self.best_epoch = None, 0, 0, 0
        self.weights: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if is_missing(self, self.monitor, logs) or epoch < self.start_from_epoch:
            return
        found = self.figure(logs)
        self.wait += 1
        if self.better(found):
            self.best, self.best_epoch = found, epoch
            if self.baseline is None or self.sign * (found - self.baseline) > 0:
                self.wait = 0
            if self.restore_best_weights:
                self.weights = {path: v.value for path, v in self.model.variables.items()}
        if self.wait and self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            best = "none" if self.best is None else f"{self.best:.4g} in epoch {self.best_epoch + 1}"
            self.tell(epoch, f"{self.monitor} has not become better for {self.wait} epochs; the best is {best}")

    def on_train_end(self, logs: Logs) -> None:
        for path, variable in self.model.variables.items():
            if path in self.weights:
                variable.value = self.weights[path]

    def get_state(self) -> Mapping[str, Any]:
        numbers = {name: getattr(self, name) for name in ("best", "wait", "stopped_epoch", "best_epoch")}
        return {**numbers, **{f"weights/{path}": value for path, value in self.weights.items()}}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            if name.startswith("weights/"):
                self.weights[name.removeprefix("weights/")] = value
            else:
                setattr(self, name, value)


class LearningRateScheduler(Callback):
    """Set the learning rate before every epoch: schedule(epoch) or schedule(epoch, rate) gives it."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose
        self.takes_rate = len(inspect.signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        optimizer.learning_rate = self.schedule(*((epoch, optimizer.learning_rate) if self.takes_rate else (epoch,)))
        if self.verbose:
            print(f"epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:.4g}", flush=True)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        logs["learning_rate"] = self.model.optimizer.learning_rate


class ReduceLROnPlateau(Watching):
    """Multiply the learning rate by `factor` when a figure has not become better for `patience` epochs.

    cooldown: epochs after that in which none are counted. min_lr: the rate does not fall below it.
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, mode: str = "auto", min_delta: float = 1e-4,
        cooldown: int = 0, min_lr: float = 0.0, verbose: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta, verbose)
        if not 0 < factor < 1:
            raise gx.errors.InputError(f"factor is {factor}", where=gx.errors.caller(), hint="a number between 0 and 1")
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr
        self.on_train_begin()

    def on_train_begin(self) -> None:
        self.best, self.wait, self.resting = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        optimizer = self.model.optimizer
        if optimizer.learning_rate is None:
            raise gx.errors.InputError(
                "ReduceLROnPlateau: the optimiser's learning rate is no number that could fall", where=gx.errors.caller(),
                hint="give compile an optimiser with a number instead of a schedule",
            )  # fmt: skip
        logs["learning_rate"] = optimizer.learning_rate
        if is_missing(self, self.monitor, logs):
            return
        found = self.figure(logs)
        if self.resting:
            self.resting, self.wait = self.resting - 1, 0
        if self.better(found):
            self.best, self.wait = found, 0
        elif not self.resting:
            self.wait += 1
            if self.wait >= self.patience and optimizer.learning_rate > self.min_lr:
                optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
                self.resting, self.wait = self.cooldown, 0
                self.tell(epoch, f"the learning rate is {optimizer.learning_rate:.4g} from now on")

    def get_state(self) -> Mapping[str, Any]:
        return {"best": self.best, "wait": self.wait, "resting": self.resting}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.wait, self.resting = state["best"], state["wait"], state["resting"]


class TerminateOnNaN(Callback):
    """Stop after the first step whose loss is not finite; `fit(find_nan=True)` says where it comes from."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        if not np.isfinite(logs["loss"]):
            self.model.stop_training = True


class Freeze(Callback):
    """Stop training of layers, by their paths, from an epoch on."""

    trainable = False

    def __init__(self, layers: str | Sequence[str], epoch: int = 0) -> None:
        self.layers, self.epoch = [layers] if isinstance(layers, str) else list(layers), epoch

    def on_epoch_begin(self, epoch: int) -> None:
        if epoch >= self.epoch:
            for name in self.layers:
                self.model.get_layer(name).trainable = self.trainable

    def get_state(self) -> Mapping[str, Any]:
        return {"trainable": {name: self.model.get_layer(name).trainable for name in self.layers}}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for name, trainable in state["trainable"].items():
            self.model.get_layer(name).trainable = trainable


class Unfreeze(Freeze):
    """Train layers, by their paths, from an epoch on: those whose `trainable` was set to False before."""

    trainable = True
