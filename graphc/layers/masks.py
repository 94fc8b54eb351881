"""Masks that go with symbols from layer to layer: which steps of a sequence are there, and which only fill it up.

A mask is a symbol of booleans, [batch, time] most often, true where there is a step. `Embedding(mask_zero=True)` and `Masking`
give one to their output, layers that keep the steps hand it on, and layers that go through time, attention, means and maxima
over steps, losses and metrics leave out the others. A function of symbols between two layers makes a symbol without a mask.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import graphc as gx
from graphc import Tensor

_MASKS: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}  # by identity: symbols have an elementwise ==


def mask_of(x: Tensor) -> Tensor | None:
    """The mask that goes with a symbol, if there is one.

    >>> import graphc as gx
    >>> y = gx.layers.Embedding(10, 4, mask_zero=True)(gx.layers.Input(("time",), dtype="int64"))
    >>> gx.layers.mask_of(y)
    <Tensor not_equal: bool[batch, time]>
    """
    found = _MASKS.get(id(x))
    return found[1] if found is not None and found[0]() is x else None


def give_mask(x: Tensor, mask: Tensor | None) -> bool:
    """Let a mask go with a symbol; whether it does: the mask's axes are the symbol's first."""
    if mask is None or x.shape[: mask.ndim] != mask.shape:
        return False
    _MASKS[id(x)] = (weakref.ref(x, partial(forget, _MASKS, id(x))), mask)
    return True


def forget(table: dict[int, Any], place: int, _: object) -> None:
    """Leave out what a table has of a symbol that is gone; the table comes along, for at exit a module has no names left."""
    table.pop(place, None)


def masks_of(value: Any) -> Any:
    """The masks of nested symbols in their form, None for each that has none."""
    if isinstance(value, Tensor):
        return mask_of(value)
    if isinstance(value, dict):
        return {key: masks_of(v) for key, v in value.items()}
    return [masks_of(v) for v in value] if isinstance(value, (list, tuple)) else None


def any_masks() -> bool:
    """Whether any symbol that is alive has a mask."""
    return bool(_MASKS)


def first(masks: Any) -> Tensor | None:
    """The first of nested masks, where there is one."""
    if isinstance(masks, dict):
        masks = list(masks.values())
    if isinstance(masks, (list, tuple)):
        return next((found for found in map(first, masks) if found is not None), None)
    return masks  # type: ignore[no-any-return]


def weights_of_steps(weights: Tensor, y: Tensor) -> Tensor:
    """Weights of samples, [batch], or of their steps, where the mask of y leaves steps out: those are 0."""
    mask = mask_of(y)
    if mask is None:
        return weights
    wide, kept = weights, gx.astype(mask, weights.dtype)
    while wide.ndim < kept.ndim:
        wide = gx.expand_dims(wide, -1)
    while kept.ndim < wide.ndim:
        kept = gx.expand_dims(kept, -1)
    return wide * kept
