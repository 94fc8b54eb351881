"""How many threads native programs may use."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from pathlib import Path

from graphc.errors import InputError, caller

_chosen: list[int] = []


def available() -> int:
    """The processors this process may run on, or fewer where it gets the time of fewer."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(count, quota())))


def quota(own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """The time of how many processors Linux gives this process at most: `cpu.max` of its control group (version 2), and of those
    around it. A container that may use two of sixteen processors sees all of them, and is stopped while others run."""
    try:
        group = next((line[3:] for line in own.read_text().splitlines() if line.startswith("0::")), None)
    except OSError:
        return math.inf
    if group is None:
        return math.inf
    folder = root / group.lstrip("/")
    return min(map(_share, (folder, *(f for f in folder.parents if f.is_relative_to(root)))))


def _share(folder: Path) -> float:
    try:
        time, period = (folder / "cpu.max").read_text().split()
        return int(time) / int(period)
    except (OSError, ValueError):  # no limit here: no such file, or "max"
        return math.inf


def get_num_threads() -> int:
    """The number of threads that native programs use.

    That is what `set_num_threads` said, else the environment's GRAPHC_NUM_THREADS, else the number of processors. Of more threads
    than processors, only as many are at work at once as there are processors.
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
