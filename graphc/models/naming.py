"""What is given by names, in the order of a model's inputs and outputs: data, losses, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import graphc as gx
from graphc.layers.layer import flat, source_of

if TYPE_CHECKING:
    from graphc.models.model import Model

Names = Sequence[str] | None


def input_names(model: Model) -> Names:
    """The names of the inputs of a model of symbols: its keys where they are a dict; None where the model has none."""
    if isinstance(model.symbolic_inputs, Mapping):
        return list(model.symbolic_inputs)
    return _unlike([x.attrs["name"] for x in flat(model.symbolic_inputs)])


def output_names(model: Model, outputs: Any) -> Names:
    """The names of a model's outputs: their keys, or those of the layers that they come from; None where they have none."""
    if isinstance(outputs, Mapping):
        return list(outputs)
    sources = [source_of(y) for y in flat(model.symbolic_outputs)]
    return _unlike([source.layer.name for source in sources if source is not None], len(sources))


def figure_names(model: Model, outputs: Any) -> Names:
    """What the figures of each of several outputs begin with; of layers that nobody named it is their place in the model."""
    if isinstance(outputs, Mapping):
        return list(outputs)
    places = {id(layer): key for key, layer in model.parts()}
    sources = [source_of(y) for y in flat(model.symbolic_outputs)]
    return _unlike([places.get(id(source.layer)) for source in sources if source is not None], len(sources))


def _unlike(names: Sequence[Any], count: int | None = None) -> Names:
    whole = names and all(names) and len(set(names)) == (len(names) if count is None else count)
    return list(names) if whole else None


def in_order(given: Any, names: Names, what: str, instead: Any = None, partial: bool = False) -> list[Any]:
    """The values of a dict in the order of the names, of a list in its own, or the one that there is.

    partial: whether names may be left out, for which `instead` stands. Without names a dict has its own order.
    """
    if not isinstance(given, Mapping):
        return list(given) if isinstance(given, (list, tuple)) else [given]
    if names is None:
        return list(given.values())
    unknown, missing = [key for key in given if key not in names], [name for name in names if name not in given]
    if unknown or (missing and not partial):
        raise gx.errors.InputError(
            f"{what} for {', '.join(map(str, given)) or 'nothing'}: the model has {', '.join(names)}",
            where=gx.errors.caller(), hint="give one for each by its name, or a list in this order",
        )  # fmt: skip
    return [given.get(name, instead) for name in names]
