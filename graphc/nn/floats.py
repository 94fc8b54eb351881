"""Operands of functions that need floats."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, TensorLike


def to_float(x: TensorLike) -> Tensor:
    x = gx.asarray(x)
    return x if x.dtype.is_float else gx.astype(x, gx.float64)
