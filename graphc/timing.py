"""Time several functions against each other, in turns within one process.

Thread pools wait for more work by spinning: that of NumPy's BLAS for about a tenth of a second, graphc's for less than a
millisecond. What runs while another's threads still spin is slowed down by them. So every turn starts with a rest, and its first
call is not counted.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

REST = 0.2  # seconds before a turn
TURN = 0.02  # seconds that the counted calls of a turn take at least
TURNS = 3  # at least
BUSY = 0.5  # CPUs at work for others that make times doubtful


def medians(functions: Sequence[Callable[[], Any]], seconds: float) -> list[float]:
    """The median seconds of a call of each function, measured for about `seconds` in all.

    >>> short, long = medians([lambda: sum(range(10)), lambda: sum(range(100_000))], 0.3)
    >>> short < long
    True
    """
    samples: list[list[float]] = [[] for _ in functions]
    stop = time.perf_counter() + seconds
    turns = 0
    while turns < TURNS or time.perf_counter() < stop:
        for function, found in zip(functions, samples, strict=True):
            time.sleep(REST)
            function()
            found += _turn(function)
        turns += 1
    return [statistics.median(found) for found in samples]


def _turn(function: Callable[[], Any]) -> list[float]:
    """The seconds of each call, for a while."""
    found: list[float] = []
    end = before = time.perf_counter()
    stop = before + TURN
    while end < stop:
        function()
        end = time.perf_counter()
        found.append(end - before)
        before = end
    return found


def load_note() -> str:
    """A warning if the machine was busy in the minute before, else nothing; ask before the own work starts."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy <= BUSY:
        return ""
    return f"NOTE: something kept {busy:.1f} CPUs busy before this started: the times are not those of the machine at rest"


@contextmanager
def without_cache() -> Iterator[None]:
    """Compilation as on a new machine: what earlier processes kept on disk is left aside, and nothing is kept."""
    before = os.environ.get("GRAPHC_CACHE")
    os.environ["GRAPHC_CACHE"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GRAPHC_CACHE"]
        else:
            os.environ["GRAPHC_CACHE"] = before


__all__ = ["load_note", "medians", "without_cache"]
