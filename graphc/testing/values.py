"""Values that find mistakes: NaN, infinities, zeros of both signs, subnormals, extremes, and random ones between."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import DType

Array = np.ndarray[Any, Any]


def special(dtype: DType) -> Array:
    """The values of a type that formulas and rules tend to forget."""
    if dtype.is_bool:
        return np.array([False, True])
    if dtype.is_float:
        with np.errstate(all="ignore"):
            some = [0.0, 1.0, 2.0, 0.5, 3.0, 1.5, 1e-3, 100.0, math.inf]
            return np.array([*some, *(-v for v in some), math.nan]).astype(dtype.numpy)
    info = np.iinfo(dtype.numpy)
    around = (info.min, info.min + 1, -2, -1, 0, 1, 2, 3, 7, info.max - 1, info.max)
    return np.array([v for v in around if v >= info.min], dtype.numpy)


def extremes(dtype: DType) -> Array:
    """The largest and the smallest floats, of both signs."""
    digits, largest = (53, 1024) if dtype.itemsize == 8 else (24, 128)
    values = [math.ldexp(2 - 2.0 ** (1 - digits), largest - 1), 2.0 ** (3 - largest), 2.0 ** (4 - largest - digits)]
    return np.array([*values, *(-v for v in values)]).astype(dtype.numpy) if not dtype.is_storage else special(dtype)


def draw(rng: np.random.Generator, dtype: DType, shape: tuple[int, ...], domain: tuple[float, float]) -> Array:
    """Random values within a domain."""
    if dtype.is_bool:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        low, high = max(math.ceil(domain[0]), int(info.min)), min(math.floor(domain[1]), int(info.max))
        return rng.integers(low, max(low, high) + 1, shape).astype(dtype.numpy)
    return rng.uniform(*domain, shape).astype(dtype.numpy)


def wild(rng: np.random.Generator, dtype: DType, shape: tuple[int, ...]) -> Array:
    """Values of which about two thirds are special."""
    known = special(dtype) if not dtype.is_float else np.concatenate([special(dtype), extremes(dtype)])
    usual = draw(rng, dtype, shape, (-9, 9))
    return np.where(rng.random(shape) < 0.65, rng.choice(known, shape), usual).astype(dtype.numpy)


def same(a: Array, b: Array) -> bool:
    """Whether two arrays have the same type, shape and bits; any NaN equals any other."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    nan = a != a
    if not np.array_equal(nan, b != b):
        return False
    a, b = (np.where(nan, np.zeros((), x.dtype), x) for x in (a, b))
    return a.tobytes() == b.tobytes()
