"""Labels that are no classes would be NaN in the loss: those of arrays are looked at once, before anything is computed, those of
batches that somebody else makes as they come."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc.data.source import Source
from graphc.data.trees import leaves, mapped
from graphc.layers.layer import flat
from graphc.models.losses import Loss
from graphc.models.naming import in_order, output_names
from graphc.models.training import placeholders

if TYPE_CHECKING:
    from graphc.models.model import Model

Array = np.ndarray[Any, Any]
_ROWS = 65_536  # looked at together


def checked(model: Model, given: Source) -> Source:
    """The source, whose labels are what the model's losses take, or are looked at batch by batch; InputError for others."""
    look = _look(model, given.example)
    if look is None:
        return given
    x, y = given.example[:2]
    if given.gathered:
        look(leaves(y))
        return given
    return _Checked(given, look, len(leaves(x)), len(leaves(y)))


def _look(model: Model, example: Any) -> Callable[[list[Any]], None] | None:
    """A function that looks at the labels of data like an example; None where the losses take any."""
    programs = model.programs
    if not programs.losses or not isinstance(example, (tuple, list)) or len(example) < 2:
        return None
    x, y = example[:2]
    numbers = not any(loss.own for loss in programs.losses)
    pairs: list[tuple[Loss, gx.Tensor, int]] = []  # a loss, its output, and which of the arrays its labels are
    if any(type(loss).check is not Loss.check for loss in programs.losses):
        made = model(*programs.fitting(placeholders(x, "samples")[1]), training=False)
        places = itertools.count()
        order = leaves(in_order(mapped(y, lambda _: next(places)), output_names(model, made), "targets"))
        outputs = flat(made)
        if len(order) == len(outputs) and len(programs.losses) in (1, len(outputs)):  # others are refused with their own words
            pairs = list(zip(programs.losses_of(made), outputs, order, strict=True))

    def look(labels: list[Any]) -> None:
        if numbers:
            for array in labels:
                check_numbers(programs.losses[0].name if len(labels) == 1 else "fit", array)
        for loss, output, place in pairs:
            loss.check(labels[place], output)

    return look if numbers or pairs else None


def check_numbers(name: str, array: Array) -> None:
    """Raise InputError where targets are not numbers: the loss of all would be none."""
    if array.dtype.kind != "f":
        return
    for start in range(0, len(array), _ROWS):
        found = np.flatnonzero(np.isnan(array[start : start + _ROWS].reshape(min(_ROWS, len(array) - start), -1)).any(1))
        if not len(found):
            continue
        raise gx.errors.InputError(
            f"{name}: the target of sample {start + found[0]} is NaN",
            where=gx.errors.caller(), hint="leave them out, or give a loss of your own that knows what to do with them",
        )  # fmt: skip


class _Checked(Source):
    """The batches of another source, each looked at before it is used."""

    gathered = False

    def __init__(self, given: Source, look: Callable[[list[Any]], None], before: int, count: int) -> None:
        self.given, self.look, self.labels = given, look, slice(before, before + count)

    @property
    def example(self) -> Any:
        return self.given.example

    def __len__(self) -> int:
        return len(self.given)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, ...]]:
        for arguments in self.given.batches(epoch, start):
            self.look(list(arguments[self.labels]))
            yield arguments
