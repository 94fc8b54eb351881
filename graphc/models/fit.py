"""fit, evaluate and predict: what they take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc.data.source import Arrays, Source, contiguous, source
from graphc.data.trees import leaves, mapped
from graphc.models.callbacks import Callback
from graphc.models.checkpoint import Checkpoints
from graphc.models.history import Figures, History
from graphc.models.labels import check_labels
from graphc.models.loop import Loop, score
from graphc.models.progress import progress

if TYPE_CHECKING:
    from graphc.models.model import Model

Array = np.ndarray[Any, Any]


def fit(
    model: Model, x: Any = None, y: Any = None, *, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
    callbacks: Sequence[Callback] | None = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
    class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
    validation_batch_size: int | None = None, seed: int = 0, checkpoints: Checkpoints | str | os.PathLike[str] | None = None,
    find_nan: bool = False,
) -> History:  # fmt: skip
    """Train a compiled model, epoch by epoch.

    x, y: arrays, equally long along their first axis, in lists or dicts where the model has several inputs or outputs; or x
    alone: an iterable of batches (x, y) or (x, y, weights), a function that gives one for the number of an epoch, or a
    `gx.data.Source`. epochs: the number of the epoch to stop before; initial_epoch: the first one. The order of samples follows
    from `seed` and the epoch. validation_split: the part of the arrays, from their end, that is held out. sample_weight:
    [samples]. class_weight: class -> weight. verbose: "auto" or 1 for a progress bar, 2 for a line an epoch, 0 for nothing.
    steps_per_epoch: where the data do not end by themselves. checkpoints: a folder, or `Checkpoints`: training goes on from the
    last one there, to the same bits as if it had not stopped, and writes new ones. find_nan: stop at the first step whose loss or
    whose new values are not finite, with NotFiniteError, which names the operation, its layer and line; the model stays as it was
    before that step. Every step is looked at, and taken by itself.
    """
    training, held_out = _sources(
        x, y, sample_weight, class_weight, batch_size, shuffle, seed, steps_per_epoch, validation_split, validation_data,
        validation_batch_size,
    )  # fmt: skip
    check_labels(model, training, held_out)
    kept = checkpoints if checkpoints is None or isinstance(checkpoints, Checkpoints) else Checkpoints(checkpoints)
    loop = Loop(model, training, held_out, list(callbacks or ()), progress(verbose), epochs, kept, find_nan)
    return loop.run(initial_epoch)


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
    steps: int | None = None, verbose: Any = 0,
) -> Figures:  # fmt: skip
    """The loss and the metrics on data, given as to `fit`: a dict that prints as a table. verbose: 1 to print it."""
    found = Figures(score(model, source(x if y is None else (x, y, sample_weight), batch_size, shuffle=False, steps=steps)))
    if verbose and verbose != "auto":
        print(found)
    return found


def train_on_batch(model: Model, x: Any, y: Any, sample_weight: Any = None) -> Figures:
    """One step on a batch: its loss and metrics. Every batch that is accumulated counts; see `Model.compile`."""
    programs, data = model.programs, _batch(x, y, sample_weight)
    program = programs.train(data, gathered=False)
    programs.reset()
    program(*leaves(data))
    programs.turn = (programs.turn + 1) % programs.accumulate
    if programs.accumulate > 1 and not programs.turn:
        programs.apply()()
    return Figures(programs.figures())


def test_on_batch(model: Model, x: Any, y: Any, sample_weight: Any = None) -> Figures:
    """The loss and the metrics on a batch."""
    programs, data = model.programs, _batch(x, y, sample_weight)
    program = programs.test(data, gathered=False)
    programs.reset()
    program(*leaves(data))
    return Figures(programs.figures())


def predict_on_batch(model: Model, x: Any) -> Any:
    """The outputs for a batch."""
    data = mapped(x, contiguous)
    return model.programs.predict(data, gathered=False)(*leaves(data))


def _batch(x: Any, y: Any, weights: Any) -> Any:
    return mapped((x, y) if weights is None else (x, y, np.asarray(weights, np.float32)), contiguous)


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
