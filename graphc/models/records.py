"""Callbacks that write what a training gives into files: models, tables, and events for TensorBoard."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import graphc as gx
from graphc.models.callbacks import Callback, Logs, Watching, is_missing
from graphc.models.events import Events

StrPath = str | os.PathLike[str]


class ModelCheckpoint(Watching):
    """Save the model after every epoch; to stop and go on, see `fit(checkpoints=)`.

    filepath: a folder, or a file .npz or .safetensors with `save_weights_only`; "{epoch}" and figures' names in braces are filled
    in, epochs counted from 1. save_best_only: only where the figure `monitor` is better than before. save_freq: "epoch", or
    after how many steps.
    """

    everywhere = False

    def __init__(
        self, filepath: StrPath, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
        save_weights_only: bool = False, mode: str = "auto", save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, verbose=verbose)
        self.path, self.save_best_only, self.save_weights_only = os.fspath(filepath), save_best_only, save_weights_only
        self.save_freq, self.best = save_freq, initial_value_threshold
        if save_weights_only and not self.path.endswith((".npz", ".safetensors")):
            raise gx.errors.InputError(
                f"ModelCheckpoint: {self.path!r} has another ending", where=gx.errors.caller(), hint="use .npz or .safetensors"
            )
        self.epoch = self.steps = 0

    def on_epoch_begin(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        if isinstance(self.save_freq, int):
            self.steps += 1
            if self.steps % self.save_freq == 0:
                self._save({**logs, "batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self.save_freq != "epoch":
            return
        if self.save_best_only:
            if is_missing(self, self.monitor, logs):
                return
            found = self.figure(logs)
            if not self.better(found):
                return
            self.best = found
        self._save(logs)

    def _save(self, logs: Logs) -> None:
        try:
            path = Path(self.path.format(epoch=self.epoch + 1, **logs))
        except KeyError as error:
            raise gx.errors.InputError(
                f"ModelCheckpoint: the path {self.path!r} names {error}, which this training does not give",
                where=gx.errors.caller(), hint="there are epoch, " + ", ".join(logs),
            ) from error  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        self.tell(self.epoch, f"saved in {path}")

    def get_state(self) -> Mapping[str, Any]:
        return {"best": self.best, "steps": self.steps}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.steps = state["best"], state["steps"]


class CSVLogger(Callback):
    """A table of the epochs' figures: a line for the names, then one for each epoch.

    append: keep what is in the file. Where training goes on from a checkpoint, the table does so from that epoch.
    """

    everywhere = False

    def __init__(self, filename: StrPath, separator: str = ",", append: bool = False) -> None:
        self.path, self.separator, self.append = Path(filename), separator, append
        self.names: list[str] | None = None
        self.end: int | None = None  # of the last line, in bytes: where the next one is written

    def on_train_begin(self) -> None:
        self.names, self.end = None, self.path.stat().st_size if self.append and self.path.exists() else 0
        if self.end:
            with open(self.path, newline="", encoding="utf-8") as file:
                self.names = next(csv.reader(file, delimiter=self.separator), [""])[1:]

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "r+" if self.path.exists() else "w", newline="", encoding="utf-8") as file:
            file.truncate(self.end)
            file.seek(0, os.SEEK_END)
            table = csv.writer(file, delimiter=self.separator)
            if self.names is None:
                self.names = list(logs)
                if self.params["validated"] == "some epochs" and not any(name.startswith("val_") for name in logs):
                    self.names += [f"val_{name}" for name in self.model.programs.metrics]
                table.writerow(["epoch", *self.names])
            table.writerow([epoch, *(logs.get(name, "") for name in self.names)])
            self.end = file.tell()

    def get_state(self) -> Mapping[str, Any]:
        return {"names": self.names, "end": self.end}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.names, self.end = state["names"], state["end"]


# Options of Keras's, with the values at which nothing but figures is written.
_FIGURES_ALONE = {
    "histogram_freq": 0, "write_graph": True, "write_images": False, "write_steps_per_second": False, "profile_batch": 0,
    "embeddings_freq": 0, "embeddings_metadata": None,
}  # fmt: skip


class TensorBoard(Callback):
    """Figures as event files, which `tensorboard --logdir` shows: those of the training in log_dir/train, val_... in validation.

    update_freq: "epoch", or after how many calls of steps the loss is written too, as "batch_loss".
    """

    everywhere = False

    def __init__(self, log_dir: StrPath = "logs", update_freq: str | int = "epoch", **unknown: Any) -> None:
        for option, value in unknown.items():
            if option not in _FIGURES_ALONE or value not in (_FIGURES_ALONE[option], None):
                raise gx.errors.InputError(
                    f"TensorBoard has no option {option}", where=gx.errors.caller(),
                    hint="figures are written, and nothing else: model.plot(path) draws the model",
                )  # fmt: skip
        self.log_dir = Path(log_dir)
        self.every = {"epoch": 0, "batch": 1}.get(update_freq, 0) if isinstance(update_freq, str) else update_freq
        self.files: dict[str, Events] = {}
        self.calls = 0

    def _write(self, part: str, step: int, figures: Mapping[str, float]) -> None:
        if figures:
            if part not in self.files:
                self.files[part] = Events(self.log_dir / part)
            self.files[part].write(step, figures)

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        self.calls += 1
        if self.every and self.calls % self.every == 0:
            self._write("train", self.calls, {"batch_loss": float(logs["loss"])})

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        numbers = {name: float(value) for name, value in logs.items() if isinstance(value, (int, float))}
        held = {name: value for name, value in numbers.items() if name.startswith("val_")}
        self._write("train", epoch, {f"epoch_{name}": value for name, value in numbers.items() if name not in held})
        self._write("validation", epoch, {f"epoch_{name.removeprefix('val_')}": value for name, value in held.items()})

    def on_train_end(self, logs: Logs) -> None:
        for file in self.files.values():
            file.close()
        self.files.clear()

    def get_state(self) -> Mapping[str, Any]:
        return {"calls": self.calls}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.calls = state["calls"]
