"""Labels of arrays in memory, looked at once before anything is trained: a number that is no class would be NaN in the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc.data.source import Source
from graphc.data.trees import leaves
from graphc.layers.layer import flat
from graphc.models.losses import Loss
from graphc.models.naming import in_order, output_names
from graphc.models.training import placeholders

if TYPE_CHECKING:
    from graphc.models.model import Model

Array = np.ndarray[Any, Any]
_ROWS = 65_536  # looked at together


def check_labels(model: Model, *sources: Source | None) -> None:
    """Raise InputError where the labels of a source in memory are not what the model's losses take."""
    programs = model.programs
    for given in sources:
        if given is None or not given.gathered or not programs.losses:
            continue
        x, y = given.example[:2]
        labels = leaves(y)
        if not any(loss.own for loss in programs.losses):
            for array in labels:
                check_numbers(programs.losses[0].name if len(labels) == 1 else "fit", array)
        if all(type(loss).check is Loss.check for loss in programs.losses):
            continue
        made = model(*programs.fitting(placeholders(x, "samples")[1]), training=False)
        outputs, labels = flat(made), leaves(in_order(y, output_names(model, made), "targets"))
        if len(labels) != len(outputs) or len(programs.losses) not in (1, len(outputs)):
            continue  # refused with its own words when the program is built
        for loss, array, output in zip(programs.losses_of(made), labels, outputs, strict=True):
            loss.check(array, output)


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
