"""Random bits as a function of a key and a counter: Threefry-2x32 with 20 rounds.

J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Rotations,
injections and the parity constant are those of the authors' Random123 library (threefry.h), whose known answers are in the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.errors import DTypeError
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.operation import Sample
from graphc.ir.scalar import Scalars, Value
from graphc.ir.types import TensorType
from graphc.ops.declare import pointwise

Array = np.ndarray[Any, Any]

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA  # of Skein's key schedule, the 32-bit form
_ROUNDS = 20


BOTH = -1  # as `word`: both words of a block, along a new last axis


def _threefry_type(key: TensorType, counter: TensorType, word: int) -> TensorType:
    if key != TensorType(t.uint32, (2,)) or counter.dtype != t.int64:
        raise DTypeError(
            f"threefry needs a key u32[2] and a counter of int64, got {key} and {counter}",
            hint="gx.random.key(seed) makes a key; astype('int64') for the counter",
        )
    return TensorType(t.uint32, counter.shape + ((2,) if word == BOTH else ()))


def rounds(k0: Any, k1: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """The cipher, on NumPy's uint32 or on scalar code: operators alone."""
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    a, b = low + k0, high + k1
    for i in range(_ROUNDS):
        r = _ROTATIONS[i % 8]
        a = a + b
        b = ((b << r) | (b >> (32 - r))) ^ a
        if i % 4 == 3:
            turn = i // 4 + 1
            a = a + keys[turn % 3]
            b = b + (keys[(turn + 1) % 3] + turn)
    return a, b


def _threefry_reference(key: Array, counter: Array, word: int) -> Array:
    with np.errstate(over="ignore"):
        parts = (np.asarray(p, np.uint32) for p in (key[0], key[1], counter & 0xFFFFFFFF, (counter >> 32) & 0xFFFFFFFF))
        found = rounds(*parts)
    return np.asarray(np.stack(found, axis=-1) if word == BOTH else found[word])


def _threefry_body(k: Scalars, index: tuple[Size, ...], word: int) -> Value:
    counter = k.load(1, index[:-1] if word == BOTH else index)
    low, high = k.cast(counter, t.uint32), k.cast(counter >> 32, t.uint32)
    found: tuple[Value, Value] = rounds(k.load(0, (0,)), k.load(0, (1,)), low, high)
    return k.select(k.index(index[-1]) == 0, *found) if word == BOTH else found[word]


threefry = pointwise(
    "threefry",
    infer=_threefry_type,
    reference=_threefry_reference,
    body=_threefry_body,
    samples=tuple(
        Sample(((2,), shape), {"word": word}, dtypes=("uint32", "int64"), domain=(-(2.0**40), 2.0**40))
        for shape, word in [((3, 4), 0), ((5,), 1), ((), 1), ((0,), 0), ((3,), BOTH), ((), BOTH)]
    ),
)
