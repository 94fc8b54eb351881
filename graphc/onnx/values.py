"""What a name of a model stands for: a symbol, or something known while the model is read.

Shape arithmetic (Shape, Gather, Concat, Mul, ... on integers) is done on known values: arrays of numbers, or of numbers and
sizes, as `batch` and `n // 2`. So it is folded when a model is loaded, and no array of it is made at run time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx

Array = np.ndarray[Any, Any]
Value = gx.Tensor | Array
MOST = 4096  # elements of a constant that is computed with while a model is read


def is_known(value: Any) -> bool:
    """Whether it is an array, of numbers or of sizes."""
    return isinstance(value, np.ndarray)


def is_sizes(value: Any) -> bool:
    """Whether it is an array with sizes among its elements."""
    return isinstance(value, np.ndarray) and value.dtype == object


def known(values: Any) -> Array:
    """An array of integers and sizes: of integers alone, int64.

    >>> known([2, 3])
    array([2, 3])
    >>> known([gx.dim("n"), 3])
    array([n, 3], dtype=object)
    """
    shape = np.shape(values) if not isinstance(values, gx.Dim) else ()
    made = np.empty(shape, object)
    made[...] = values
    flat = made.reshape(-1)
    return made.astype(np.int64) if all(isinstance(v, (int, np.integer)) for v in flat) else made


def symbol(value: Value) -> gx.Tensor:
    """The value as a symbol: what is known becomes a constant, a size a number that each call brings."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype != object:
        return gx.constant(value)
    parts = [gx.full((), v, "int64") for v in value.reshape(-1)]
    if not parts:
        return gx.zeros(value.shape, "int64")
    return gx.reshape(gx.stack(parts), value.shape)
