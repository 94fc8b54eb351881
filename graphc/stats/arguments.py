"""What the distributions share: parameters as floats of one type, and values where a density has none."""

from __future__ import annotations

import math

import graphc as gx
from graphc import Tensor, TensorLike


def floats(name: str, *given: TensorLike) -> list[Tensor]:
    """Operands as floats of one type: integers count as floats, numbers take the type beside them; they broadcast later."""
    made, _ = gx.ops.promote_operands(name, given, gx.ops.declare.to_float)
    return made


def on_support(value: Tensor, inside: Tensor, known: Tensor) -> Tensor:
    """A log density: -inf outside the support, NaN where an operand is none or a parameter is out of its range."""
    return gx.where(known, gx.where(inside, value, -math.inf), math.nan)


def is_number(*xs: Tensor) -> Tensor:
    """Where none of some operands is NaN."""
    found = gx.logical_not(gx.isnan(xs[0]))
    for x in xs[1:]:
        found = found & gx.logical_not(gx.isnan(x))
    return found


def is_whole(k: Tensor) -> Tensor:
    """Where a float is a finite whole number."""
    return (k == gx.floor(k)) & (gx.abs(k) < math.inf)
