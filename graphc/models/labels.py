"""Labels of arrays in memory, looked at once before anything is trained: a number that is no class would be NaN in the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.data.source import Source
from graphc.data.trees import leaves
from graphc.layers.layer import flat
from graphc.models.losses import Loss
from graphc.models.training import each, placeholders

if TYPE_CHECKING:
    from graphc.models.model import Model


def check_labels(model: Model, *sources: Source | None) -> None:
    """Raise InputError where the labels of a source in memory are not what the model's losses take."""
    programs = model.programs
    if not any(type(loss).check is not Loss.check for loss in programs.losses):
        return
    for given in sources:
        if given is None or not given.gathered:
            continue
        x, y = given.example[:2]
        outputs = flat(model(*each(placeholders(x, "samples")[1]), training=False))
        labels = leaves(y)
        if len(labels) != len(outputs) or len(programs.losses) not in (1, len(outputs)):
            continue  # refused with its own words when the program is built
        for loss, array, output in zip(programs.losses * (len(outputs) // len(programs.losses)), labels, outputs, strict=True):
            loss.check(array, output)
