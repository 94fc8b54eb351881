"""The worker threads: Python threads parked in native code without the GIL.

They watch for a job for a while, then sleep on a semaphore. One job runs on them at a time; a second caller runs its own job
alone meanwhile, with the same results. With its caller, a job is run by no more threads than there were processors when the pool
was made, since a thread without one only keeps others waiting. What they run is `runtime.py`.
"""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
from collections.abc import Callable
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from graphc.backends.llvm import runtime
from graphc.backends.llvm.compile import Text, functions
from graphc.backends.llvm.host import host
from graphc.backends.llvm.objects import apart
from graphc.backends.threads import available, get_num_threads
from graphc.errors import GraphWarning


@lru_cache(maxsize=8)
def walker(name: str) -> Callable[..., int]:
    """A function of `runtime.py`. It runs without the GIL."""
    words = len(signature(getattr(runtime, name)).parameters)
    return ctypes.CFUNCTYPE(ctypes.c_int64, *(ctypes.c_void_p,) * words)(_functions()(name))


def native_address(name: str) -> int:
    """Where the code of a function of `runtime.py` is."""
    return _functions()(name)


def runtime_text() -> Text:
    """The source of `runtime.py`, which all programs need."""
    return Text(Path(runtime.__file__).read_text(), vars(runtime), host())


@lru_cache(maxsize=1)
def _functions() -> Callable[[str], int]:
    return functions([runtime_text()])[0]


def lines(rows: int, words: int) -> np.ndarray[Any, Any]:
    """Rows of words that are zero, of which the first begins at the start of a cache line."""
    memory = np.zeros(8 * (rows * words + 8), np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + 8 * rows * words].view(np.int64).reshape(rows, words)


class Pool:
    """The worker threads of a process."""

    def __init__(self, workers: int) -> None:
        self.state = lines(1, runtime.STATE_WORDS)[0]
        self.state[runtime.WORKERS], self.state[runtime.AT_ONCE] = workers, min(workers, available() - 1)
        self.state_at = self.state.ctypes.data
        self._semaphore = ctypes.c_void_p(self.state_at + 8 * runtime.SEMAPHORE)
        self._libc = ctypes.CDLL(None)
        if self._libc.sem_init(self._semaphore, 0, 0) != 0:
            raise OSError("this system has no unnamed semaphores")
        self.scratch_bytes = 0
        self._growing = threading.Lock()
        self._scratch: list[np.ndarray[Any, Any]] = []  # what a running job may still use is kept
        self.places = lines(workers, 8)
        self.places[:, runtime.WORKER_END] = runtime.FRONT
        self.places[::2, runtime.WORKER_END] = runtime.BACK  # the caller's thread claims from the front
        self.threads = [threading.Thread(target=self._work, args=(i,), daemon=True, name=f"graphc-{i}") for i in range(workers)]
        for thread in self.threads:
            thread.start()

    def _work(self, i: int) -> None:
        walker("work")(self.state_at, self.places[i].ctypes.data)

    def reserve(self, scratch_bytes: int) -> None:
        """Give every worker scratch memory of at least this size, for jobs that begin from now on."""
        with self._growing:
            if scratch_bytes > self.scratch_bytes:
                size = max(scratch_bytes, 2 * self.scratch_bytes)
                for place in self.places:
                    self._scratch.append(np.empty(size + 64, np.uint8))
                    place[runtime.WORKER_SCRATCH] = -(-self._scratch[-1].ctypes.data // 64) * 64
                self.scratch_bytes = size

    def stop(self) -> None:
        """End the workers, and wait for them: they look at this pool's memory."""
        self.state[runtime.STOP] = 1
        for _ in self.threads:
            self._libc.sem_post(self._semaphore)
        for thread in self.threads:
            thread.join()


_current: list[Pool] = []
_refused: list[OSError] = []  # why this system can have no pool
_changing = threading.Lock()


def pool() -> Pool | None:
    """The pool for the number of threads in force; None for one thread."""
    workers = get_num_threads() - 1
    if _current and len(_current[0].threads) == workers:
        return _current[0]
    if _refused or not (workers or _current):
        return None
    found, refused = apart(lambda: _changed(workers))  # an interrupt leaves no pool of which some threads run
    if refused is not None:
        warnings.warn(f"native programs run on one thread: {refused}", GraphWarning, stacklevel=2)
    return found


def _changed(workers: int) -> tuple[Pool | None, OSError | None]:
    """The pool of so many workers, in place of the one that there was; or why this system can have none, said once."""
    with _changing:
        if _current and len(_current[0].threads) != workers:
            _current.pop().stop()
        if workers and not _current and not _refused:
            try:
                _current.append(Pool(workers))
            except OSError as error:
                _refused.append(error)
                return None, error
        return (_current[0] if _current else None), None


def _forget() -> None:
    """In a forked child: the threads are gone, and locks may be held by them."""
    global _changing
    _changing = threading.Lock()
    _current.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
