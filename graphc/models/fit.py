"""fit, evaluate and predict: the loops over batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc.data.source import Arrays, Source, source
from graphc.data.trees import leaves, mapped
from graphc.models.callbacks import Callback, Logs
from graphc.models.history import History
from graphc.models.progress import Progress, progress

if TYPE_CHECKING:
    from graphc.models.model import Model

Array = np.ndarray[Any, Any]


def fit(
    model: Model, x: Any = None, y: Any = None, *, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
    callbacks: Sequence[Callback] | None = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
    class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
    validation_batch_size: int | None = None, seed: int = 0,
) -> History:  # fmt: skip
    """Train a compiled model, epoch by epoch.

    x, y: arrays, equally long along their first axis, in lists or dicts where the model has several inputs or outputs; or x
    alone: an iterable of batches (x, y) or (x, y, weights), a function that gives one for the number of an epoch, or a
    `gx.data.Source`. epochs: the number of the epoch to stop before; initial_epoch: the first one. The order of samples follows
    from `seed` and the epoch. validation_split: the part of the arrays, from their end, that is held out. sample_weight:
    [samples]. class_weight: class -> weight. verbose: "auto" or 1 for a progress bar, 2 for a line an epoch, 0 for nothing.
    steps_per_epoch: where the data do not end by themselves.
    """
    training, held_out = _sources(
        x, y, sample_weight, class_weight, batch_size, shuffle, seed, steps_per_epoch, validation_split, validation_data,
        validation_batch_size,
    )  # fmt: skip
    loop = Loop(model, training, held_out, list(callbacks or ()), progress(verbose), epochs)
    return loop.run(initial_epoch)


class Loop:
    """One call of `fit`: where it stands, and what goes on from there."""

    def __init__(
        self, model: Model, training: Source, held_out: Source | None, callbacks: list[Callback], shown: Progress, epochs: int
    ) -> None:
        self.model, self.training, self.held_out, self.callbacks = model, training, held_out, callbacks
        self.shown, self.epochs = shown, epochs
        self.history = History()
        self.epoch = self.batch = 0
        for callback in callbacks:
            callback.model = model

    def run(self, epoch: int = 0, batch: int = 0) -> History:
        """Train from a batch of an epoch on."""
        self.model.stop_training = False
        self.epoch, self.batch = epoch, batch
        for callback in self.callbacks:
            callback.on_train_begin()
        logs: Logs = {}
        try:
            while self.epoch < self.epochs and not self.model.stop_training:
                logs = self._epoch()
        except KeyboardInterrupt:
            self.shown.say(
                f"stopped in epoch {self.epoch + 1} after {self.batch} steps; the model is whole: "
                f"fit(..., initial_epoch={self.epoch}) goes on"
            )
            self.model.stop_training = True
        finally:
            self.shown.close()
        for callback in self.callbacks:
            callback.on_train_end(logs)
        return self.history

    def _epoch(self) -> Logs:
        programs = self.model.programs
        for callback in self.callbacks:
            callback.on_epoch_begin(self.epoch)
        if not self.batch:
            programs.reset()
        self.shown.begin(self.epoch, self.epochs, steps_of(self.training), self.batch)
        for arguments, count in self._calls():
            program = programs.train_many if count > 1 else programs.train
            losses = program(self.training.example, self.training.gathered)(*arguments)
            self.batch += count
            self.shown.step(count, programs)
            for callback in self.callbacks:
                callback.on_train_batch_end(self.batch - 1, {"loss": losses if count == 1 else losses[-1]})
        logs: Logs = programs.figures()
        if self.held_out is not None:
            found = score(self.model, self.held_out)
            logs.update({f"val_{name}": value for name, value in found.items()})
        for callback in self.callbacks:
            callback.on_epoch_end(self.epoch, logs)
        self.history.add(self.epoch, logs)
        self.shown.end(logs)
        self.epoch, self.batch = self.epoch + 1, 0
        return logs

    def _calls(self) -> Iterator[tuple[tuple[Any, ...], int]]:
        """The arguments of each call of a program, and how many steps it takes."""
        many = self.model.programs.steps_per_call
        batches = self.training.batches(self.epoch, self.batch)
        if many == 1 or not self.training.gathered:
            yield from ((arguments, 1) for arguments in batches)
            return
        kept: list[tuple[Any, ...]] = []
        for arguments in batches:
            if kept and len(arguments[-1]) != len(kept[0][-1]):
                yield from ((one, 1) for one in kept)
                kept = []
            kept.append(arguments)
            if len(kept) == many:
                yield (*arguments[:-1], np.stack([one[-1] for one in kept])), many
                kept = []
        yield from ((one, 1) for one in kept)


def steps_of(given: Source) -> int | None:
    """The number of batches in an epoch, if it is known."""
    try:
        return len(given)
    except TypeError:
        return None


def _sources(
    x: Any, y: Any, weights: Any, class_weight: Any, batch_size: int | None, shuffle: bool, seed: int, steps: int | None,
    split: float, validation: Any, validation_batch: int | None,
) -> tuple[Source, Source | None]:  # fmt: skip
    """Where training's and validation's batches come from."""
    held: Source | None = None
    if validation is not None:
        triple = (*validation, None)[:3] if isinstance(validation, tuple) else validation
        held = source(triple, validation_batch or batch_size, shuffle=False)
    if y is None:
        return source(x, batch_size, shuffle, seed, steps), held
    if class_weight is not None:
        own = np.asarray([class_weight.get(int(c), 1.0) for c in np.asarray(y).reshape(len(y))], np.float32)
        weights = own if weights is None else own * np.asarray(weights, np.float32)
    data = (x, y, weights)
    if split:
        if not 0 < split < 1:
            raise gx.errors.InputError(
                f"validation_split is {split!r}", where=gx.errors.caller(), hint="give a number between 0 and 1"
            )
        count = len(leaves(data)[0])
        kept = count - round(count * split)
        held = Arrays(mapped(data, lambda a: a[kept:]), validation_batch or batch_size or 32, shuffle=False)
        data = mapped(data, lambda a: a[:kept])
    return source(data, batch_size, shuffle, seed, steps), held


def evaluate(
    model: Model, x: Any = None, y: Any = None, *, batch_size: int | None = None, sample_weight: Any = None,
    steps: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The loss and the metrics on data, given as to `fit`."""
    return score(model, source(x if y is None else (x, y, sample_weight), batch_size, shuffle=False, steps=steps))


def score(model: Model, given: Source) -> dict[str, Any]:
    """The loss and the metrics on a source, by metrics that begin anew and are put back."""
    programs = model.programs
    program = programs.test(given.example, given.gathered)
    programs.reset()
    for arguments in given.batches(0):
        program(*arguments)
    return programs.figures()


def predict(model: Model, x: Any, *, batch_size: int | None = None, steps: int | None = None) -> Any:
    """The outputs for data, joined over the batches."""
    given = source(x, batch_size, shuffle=False, steps=steps)
    program = model.programs.predict(given.example, given.gathered)
    found = [program(*arguments) for arguments in given.batches(0)]
    return mapped(found[0], _joined(found))


def _joined(found: list[Any]) -> Any:
    """A function that joins the first batch's arrays, asked for one after the other, with those of the other batches."""
    columns = zip(*(leaves(part) for part in found), strict=True)
    return lambda _: np.concatenate(next(columns))
