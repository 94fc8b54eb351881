"""Orders of samples, by a seed and the number of an epoch: the same on every machine."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import graphc as gx

Array = np.ndarray[Any, Any]


def permutation(count: int, seed: int, epoch: int = 0) -> Array:
    """The numbers 0 .. count - 1 in an order that follows from a seed and the number of an epoch.

    >>> permutation(5, seed=7).tolist() == permutation(5, seed=7).tolist(), sorted(permutation(5, seed=7, epoch=1).tolist())
    (True, [0, 1, 2, 3, 4])
    """
    found: Array = _program()(np.arange(count), np.asarray(seed, np.uint64), np.asarray(epoch, np.int64))
    return found


@cache
def _program() -> gx.Compiled:
    rows = gx.placeholder("rows", ("n",), "int64")
    seed, epoch = gx.placeholder("seed", (), "uint64"), gx.placeholder("epoch", (), "int64")
    key = gx.random.fold_in(gx.random.key(seed), epoch)
    return gx.compile([rows, seed, epoch], gx.random.permutation(key, rows), name="permutation")
