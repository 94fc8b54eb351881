"""Neutral elements: what an accumulator of each combination starts from."""

from __future__ import annotations

import numpy as np

from graphc.ir.scalar import Const
from graphc.ir.types import DType


def neutral(combine: str, dtype: DType) -> Const:
    """What an accumulator starts from."""
    if combine in ("add", "or"):
        return Const(dtype.numpy.type(0).item(), dtype)
    if combine in ("mul", "and"):
        return Const(dtype.numpy.type(1).item(), dtype)
    low = combine in ("max", "argmax", "logaddexp")
    if dtype.is_float:
        return Const(float("-inf") if low else float("inf"), dtype)
    if dtype.is_bool:
        return Const(not low, dtype)
    info = np.iinfo(dtype.numpy)
    return Const(int(info.min if low else info.max), dtype)
