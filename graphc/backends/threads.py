"""How many threads native programs may use."""

from __future__ import annotations

import os
from functools import lru_cache

from graphc.errors import InputError, caller

_chosen: list[int] = []


def available() -> int:
    """The processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """The number of threads that native programs use.

    That is what `set_num_threads` said, else the environment's GRAPHC_NUM_THREADS, else the number of processors.
    """
    return _chosen[-1] if _chosen else _default()


@lru_cache(maxsize=1)
def _default() -> int:
    """Asked once: every parallel call needs it, and asking the system takes longer than a small kernel."""
    text = os.environ.get("GRAPHC_NUM_THREADS", "")
    return max(1, int(text)) if text.isdigit() else available()


def set_num_threads(count: int) -> None:
    """Let native programs use `count` threads from now on. Results do not depend on it.

    >>> import graphc as gx
    >>> gx.set_num_threads(1)
    >>> gx.get_num_threads()
    1
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"set_num_threads needs an integer of at least 1, got {count!r}", where=caller())
    _chosen[:] = [count]
