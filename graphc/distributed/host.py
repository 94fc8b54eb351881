"""What ranks tell each other between the calls of programs: arrays that Python holds."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import Variable
from graphc.ir.world import world

Array = np.ndarray[Any, Any]
_NUMBERS = itertools.count()


def same_start(variables: Sequence[Variable]) -> None:
    """Give variables the values that they have on rank 0."""
    if world().size > 1:
        for v in variables:
            v.value = _exchanged("broadcast", v.value, f"the value of {v.name}", root=0)


def from_first(value: Any) -> Any:
    """What rank 0 has: something that JSON can hold."""
    if world().size == 1:
        return value
    text = json.dumps(value).encode()
    length = int(_exchanged("broadcast", np.int64(len(text)), "a length", root=0))
    sent = np.frombuffer(text.ljust(length)[:length], np.uint8)
    return json.loads(_exchanged("broadcast", sent, "a text", root=0).tobytes())


def any_of(flag: bool) -> bool:
    """Whether a flag is set on some rank."""
    return bool(gathered(np.array([flag])).any()) if world().size > 1 else flag


def gathered(rows: Array) -> Array:
    """The rows of all ranks, [ranks, rows, ...]: as many rows on each."""
    size = world().size
    return _exchanged("all_gather", rows, "rows").reshape(size, *rows.shape) if size > 1 else rows[None]


def in_order(rows: Sequence[Array], like: Array) -> list[Array]:
    """The rows of all ranks, of which row i stands on rank i modulo their number, in one order on every rank.

    like: an array of the shape and type that each has, where a rank has none.
    """
    counts = gathered(np.array([len(rows)]))[:, 0]
    held = np.zeros((int(counts.max()), *like.shape), like.dtype)
    if rows:
        held[: len(rows)] = rows
    every = gathered(held)
    return [every[i % len(counts), i // len(counts)] for i in range(int(counts.sum()))]


def _exchanged(kind: str, x: Any, name: str, **attrs: Any) -> Array:
    return world().exchange(kind, np.asarray(x), name, next(_NUMBERS), **attrs)
