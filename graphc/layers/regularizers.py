"""Penalties on weights, which a model adds to its loss: functions of a weight that give a scalar, or their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import graphc as gx
from graphc import Tensor

Regularizer = Callable[[Tensor], Tensor]


def l1(factor: float = 0.01) -> Regularizer:
    """factor * sum(|w|)."""
    return lambda w: factor * gx.sum(gx.abs(w))


def l2(factor: float = 0.01) -> Regularizer:
    """factor * sum(w^2)."""
    return lambda w: factor * gx.sum(w * w)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> Regularizer:
    """l1 * sum(|w|) + l2 * sum(w^2)."""
    return lambda w: l1 * gx.sum(gx.abs(w)) + l2 * gx.sum(w * w)


NAMED: Mapping[str, Regularizer] = {"l1": l1(), "l2": l2(), "l1_l2": l1_l2()}


def named_regularizer(value: str | Regularizer) -> Regularizer:
    """The penalty that a name or a function stands for."""
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    if callable(value):
        return value
    raise gx.errors.InputError(
        f"no regulariser {value!r}", where=gx.errors.caller(), hint="a function of a weight, or one of " + ", ".join(NAMED)
    )
