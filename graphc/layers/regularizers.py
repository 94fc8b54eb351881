"""Penalties on weights, which a model adds to its loss: functions of a weight that give a scalar, or their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import graphc as gx
from graphc import Tensor

Regularizer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class L1L2:
    """l1 * sum(|w|) + l2 * sum(w^2).

    >>> import graphc as gx
    >>> gx.layers.regularizers.L1L2(l1=1.0, l2=0.5)(gx.constant([1.0, -2.0])).eval()
    array(5.5)
    """

    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, w: Tensor) -> Tensor:
        parts = []
        if self.l1:
            parts.append(self.l1 * gx.sum(gx.abs(w)))
        if self.l2:
            parts.append(self.l2 * gx.sum(w * w))
        return sum(parts[1:], parts[0]) if parts else gx.zeros((), w.dtype)


def l1(l1: float = 0.01) -> L1L2:
    """l1 * sum(|w|)."""
    return L1L2(l1=l1)


def l2(l2: float = 0.01) -> L1L2:
    """l2 * sum(w^2)."""
    return L1L2(l2=l2)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """l1 * sum(|w|) + l2 * sum(w^2)."""
    return L1L2(l1, l2)


L1, L2 = l1, l2  # Keras's names of classes

NAMED: Mapping[str, Regularizer] = {"l1": l1(), "l2": l2(), "l1_l2": L1L2(0.01, 0.01)}


def named_regularizer(value: str | Regularizer) -> Regularizer:
    """The penalty that a name or a function stands for."""
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    if callable(value):
        return value
    raise gx.errors.InputError(
        f"no regulariser {value!r}", where=gx.errors.caller(), hint="a function of a weight, or one of " + ", ".join(NAMED)
    )
