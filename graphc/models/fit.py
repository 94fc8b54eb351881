"""fit, evaluate and predict: what they take."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc.data.source import Arrays, Source, contiguous, length, source, streams
from graphc.data.trees import leaves, mapped
from graphc.distributed import rank
from graphc.distributed.parallel import check_share, share
from graphc.models.callbacks import Callback, listed, written
from graphc.models.checkpoint import Checkpoints
from graphc.models.history import Figures, History
from graphc.models.labels import checked
from graphc.models.loop import Loop, Shard, score
from graphc.models.progress import progress

if TYPE_CHECKING:
    from graphc.models.model import Model

Array = np.ndarray[Any, Any]


def fit(
    model: Model, x: Any = None, y: Any = None, *, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
    callbacks: Sequence[Callback] | Callback | None = None, validation_split: float = 0.0, validation_data: Any = None,
    shuffle: bool = True, class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0,
    steps_per_epoch: int | None = None, validation_batch_size: int | None = None, validation_steps: int | None = None,
    validation_freq: int | Sequence[int] = 1, seed: int = 0, checkpoints: Checkpoints | str | os.PathLike[str] | None = None,
    find_nan: bool = False, distributed: bool | str = False,
) -> History:  # fmt: skip
    """Train a compiled model, epoch by epoch.

    x, y: arrays, equally long along their first axis, in lists or dicts where the model has several inputs or outputs; or x
    alone: an iterable of batches (x, y) or (x, y, weights), a function that gives one for the number of an epoch, or a
    `gx.data.Source`. epochs: the number of the epoch to stop before; initial_epoch: the first one. The order of samples follows
    from `seed` and the epoch. validation_split: the part of the arrays, from their end, that is held out. validation_freq:
    after every so many epochs, or the numbers of the epochs, from 1, after which it is looked at. sample_weight: [samples], or
    [samples, time] for the steps of sequences; for several outputs also a list or dict of them. class_weight: class -> weight,
    or "balanced", which gives classes equal sums of weights. verbose: "auto" or 1 for a progress bar, 2 for a line an epoch, 0
    for nothing. steps_per_epoch, validation_steps:
    the number of batches, where the data do not end by themselves, or where that many are enough. Where data end that cannot
    begin anew, training does too, with a warning. Data, losses and metrics in dicts go by the names of the model's inputs and
    outputs. checkpoints: a folder, or `Checkpoints`: training goes on from the last one there, to the same bits as if it had
    not stopped, and writes new ones. find_nan: stop at the first step whose loss or whose new values are not finite, with
    NotFiniteError, which names the operation, its layer and line; the model stays as it was before that step. Every step is
    looked at, and taken by itself. distributed: train on all ranks of `gx.distributed`, each of which makes the same call with
    the same data: a rank computes its share of each batch, cut into blocks as `compile` says, and its share of a validation's
    batches. Losses, weights and figures have the same bits on all ranks, and on any number of them. Training begins with the
    weights of rank 0; rank 0 shows how far it is, and callbacks that write files are called there alone. Each rank writes a part
    of a checkpoint, in a folder that all ranks see, from which any number of ranks goes on. "fast": each rank computes its share
    at once, and MPI adds: bits depend on the number of ranks, and `history.exact` is False.
    """
    epochs, initial_epoch = (
        gx.ops.normalize_integer("fit", name, n) for name, n in (("epochs", epochs), ("initial_epoch", initial_epoch))
    )
    if isinstance(validation_freq, (list, tuple, set, frozenset, np.ndarray)):
        due = frozenset(gx.ops.normalize_integer("fit", "an epoch of validation_freq", n) for n in validation_freq)
        validated: int | frozenset[int] = due
    else:
        validated = gx.ops.normalize_integer("fit", "validation_freq", validation_freq)
        if validated < 1:
            raise gx.errors.InputError(f"validation_freq is {validated}", where=gx.errors.caller(), hint="an integer from 1 on")
    if y is None and isinstance(x, tuple) and len(x) in (2, 3) and not streams(x):
        x, y, sample_weight = (*x, sample_weight)[:3]
    if model.programs.step is None:
        _targets_of("fit", x, y)
    held_out = None
    if validation_data is not None:
        pair = isinstance(validation_data, (list, tuple)) and len(validation_data) in (2, 3)
        if not pair and not streams(validation_data):
            raise gx.errors.InputError(
                "fit: validation_data takes (x, y), (x, y, weights), or batches of them", where=gx.errors.caller()
            )
        triple = (*validation_data, None)[:3] if isinstance(validation_data, tuple) else validation_data
        held_out = source(triple, validation_batch_size or batch_size, shuffle=False, steps=validation_steps)
    if not (isinstance(distributed, str) and distributed == "fast"):
        gx.ops.check_flag("fit", "distributed", distributed)
    blocks = model.programs.blocks_of(distributed)
    if distributed:
        check_share("fit", blocks)
    training, rest = _sources(
        x, y, sample_weight, class_weight, batch_size, shuffle, seed, steps_per_epoch,
        0.0 if held_out is not None else validation_split, validation_batch_size, validation_steps, blocks,
    )  # fmt: skip
    held_out = held_out or rest
    for given in (training, held_out):
        _not_empty("fit", given)
    training = checked(model, training)
    held_out = None if held_out is None else checked(model, held_out)
    if distributed:
        training = Shard(training, blocks, *share(blocks))
    kept = checkpoints if checkpoints is None or isinstance(checkpoints, Checkpoints) else Checkpoints(checkpoints)
    shown = progress(verbose if not distributed or rank() == 0 else 0)
    loop = Loop(model, training, held_out, listed(callbacks), shown, epochs, kept, find_nan, validated, distributed)
    return loop.run(initial_epoch)


def _sources(
    x: Any, y: Any, weights: Any, class_weight: Any, batch_size: int | None, shuffle: bool, seed: int, steps: int | None,
    split: float, validation_batch: int | None, validation_steps: int | None, multiple: int,
) -> tuple[Source, Source | None]:  # fmt: skip
    """Where training's batches come from, and those of the part that is held out."""
    if streams(x):
        given = {"y": y, "sample_weight": weights, "class_weight": class_weight, "validation_split": split or None}
        for name, value in given.items():
            if value is not None:
                raise gx.errors.InputError(
                    f"fit: {name} needs arrays, and the data are batches that somebody else makes", where=gx.errors.caller(),
                    hint="let them be (x, y) or (x, y, weights); validation_data= takes others",
                )  # fmt: skip
        return source(x, batch_size, shuffle, seed, steps), None
    if class_weight is not None:
        weights = weights_with_classes(class_weight, y, weights)
    data = mapped((x, y, weights), contiguous)
    held: Source | None = None
    if split:
        if not 0 < split < 1:
            raise gx.errors.InputError(
                f"validation_split is {split!r}", where=gx.errors.caller(), hint="give a number between 0 and 1"
            )
        count = length(data)
        kept = count - round(count * split)
        if kept in (0, count):
            raise gx.errors.InputError(
                f"validation_split is {split!r} of {count} samples: one of the two parts has none", where=gx.errors.caller()
            )
        held = source(mapped(data, lambda a: a[kept:]), validation_batch or batch_size, shuffle=False, steps=validation_steps)
        data = mapped(data, lambda a: a[:kept])
    return source(data, batch_size, shuffle, seed, steps, multiple), held


def weights_with_classes(given: Any, y: Any, weights: Any) -> Array:
    """The weights of samples, or of their steps, times those of their classes."""
    own = class_weights(given, y)
    more = np.ones(1, np.float32) if weights is None else np.asarray(weights, np.float32)
    made: Array = own.reshape(-1, *(1,) * (more.ndim - 1)) * more
    return made


def class_weights(given: Any, y: Any) -> Array:
    """The weight of each sample by its class; y: numbers of classes, or vectors of which the largest element says the class."""
    targets = leaves(y)
    if len(targets) != 1:
        raise gx.errors.InputError(
            f"class_weight needs one array of targets, got {len(targets)}", where=gx.errors.caller(), hint="sample_weight="
        )
    labels = np.asarray(targets[0])
    if labels.ndim > 1:
        labels = labels.argmax(-1) if labels.shape[-1] > 1 else labels[..., 0]
    if labels.ndim != 1 or (labels.dtype.kind == "f" and (labels != np.round(labels)).any()):
        raise gx.errors.InputError(
            f"class_weight needs one class for each sample, got targets {list(np.shape(targets[0]))} of {labels.dtype}",
            where=gx.errors.caller(), hint="sample_weight=",
        )  # fmt: skip
    labels = labels.astype(np.int64)
    if isinstance(given, str) and given == "balanced":
        classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
        return (len(labels) / (len(classes) * counts)).astype(np.float32)[places]
    if isinstance(given, (list, tuple, np.ndarray)):
        given = dict(enumerate(given))
    if not isinstance(given, Mapping):
        raise gx.errors.InputError(
            f"class_weight is {given!r}", where=gx.errors.caller(),
            hint="a dict class -> weight, a weight for each class, or 'balanced'",
        )  # fmt: skip
    return np.asarray([given.get(c, 1.0) for c in labels.tolist()], np.float32)


def _targets_of(name: str, x: Any, y: Any) -> None:
    if x is None or (y is None and not streams(x) and not (isinstance(x, tuple) and len(x) in (2, 3))):
        missing = "data" if x is None else "targets"
        raise gx.errors.InputError(f"{name}: there are no {missing}", where=gx.errors.caller(), hint=f"{name}(x, y)")


def _not_empty(name: str, given: Source | None) -> None:
    if isinstance(given, Arrays) and not len(given):
        raise gx.errors.ShapeError(f"{name}: the data have no batch: {given.count} samples", where=gx.errors.caller())


def evaluate(
    model: Model, x: Any = None, y: Any = None, *, batch_size: int | None = None, sample_weight: Any = None,
    steps: int | None = None, verbose: Any = 0, callbacks: Sequence[Callback] | Callback | None = None, return_dict: bool = True,
    distributed: bool = False,
) -> Any:  # fmt: skip
    """The loss and the metrics on data, given as to `fit`: a dict that prints as a table.

    verbose: 1 to print it. return_dict: False for a list of the figures, or the loss alone where there are no others.
    distributed: each rank looks at some of the batches, and all have the figures of all, to the bits of a process alone.
    """
    called = listed(callbacks)
    _targets_of("evaluate", x, y)
    given = source(x if y is None else (x, y, sample_weight), batch_size, shuffle=False, steps=steps)
    _not_empty("evaluate", given)
    given = checked(model, given)
    for callback in called:
        callback.model = model
    for method in written(called, "on_test_begin"):
        method()
    found = score(model, given, gx.ops.check_flag("evaluate", "distributed", distributed))
    for method in written(called, "on_test_end"):
        method(found)
    if verbose and verbose != "auto":
        print(Figures(found))
    return _figures(found, return_dict)


def train_on_batch(
    model: Model, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = True
) -> Any:  # fmt: skip
    """One step on a batch: its loss and metrics. Every batch that is accumulated counts; see `Model.compile`."""
    if class_weight is not None:
        sample_weight = weights_with_classes(class_weight, y, sample_weight)
    programs, data = model.programs, _batch(x, y, sample_weight)
    program = programs.train(data, gathered=False)
    programs.reset()
    program(*leaves(data))
    programs.turn = (programs.turn + 1) % programs.accumulate
    if programs.accumulate > 1 and not programs.turn:
        programs.apply()()
    return _figures(programs.figures(), return_dict)


def test_on_batch(model: Model, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = True) -> Any:
    """The loss and the metrics on a batch."""
    programs, data = model.programs, _batch(x, y, sample_weight)
    program = programs.test(data, gathered=False)
    programs.reset()
    program(*leaves(data))
    return _figures(programs.figures(), return_dict)


def _figures(found: Mapping[str, Any], as_dict: bool) -> Any:
    """A dict that prints as a table, or a list of the figures, or the loss where it is alone."""
    values = list(found.values())
    return Figures(found) if as_dict else values if len(values) > 1 else values[0]


def predict_on_batch(model: Model, x: Any) -> Any:
    """The outputs for a batch."""
    data = mapped(x, contiguous)
    return model.predicting.predict(data, gathered=False)(*leaves(data))


def _batch(x: Any, y: Any, weights: Any) -> Any:
    return mapped((x, y) if weights is None else (x, y, weights), contiguous)


def predict(model: Model, x: Any, *, batch_size: int | None = None, steps: int | None = None, verbose: Any = 0) -> Any:
    """The outputs for data, joined over the batches. verbose: taken, and nothing is shown."""
    given = source(x, batch_size, shuffle=False, steps=steps)
    program = model.predicting.predict(given.example, given.gathered)
    if isinstance(given, Arrays) and not given.count:
        return predict_on_batch(model, given.data)
    found = [program(*arguments) for arguments in given.batches(0)]
    return mapped(found[0], _joined(found))


def _joined(found: list[Any]) -> Any:
    """A function that joins the first batch's arrays, asked for one after the other, with those of the other batches."""
    columns = zip(*(leaves(part) for part in found), strict=True)
    return lambda _: np.concatenate(next(columns))
