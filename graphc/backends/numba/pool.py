"""The native executor: a table of kernel calls, walked by one thread or by several at once.

A row of the table is one call: [code, pointers, sizes, extent, tile, tiles, claimed, done]. Every thread walks the whole
table; it claims tiles of a call by an atomic add until none is left, waits until all are done, and goes on. So any number of
threads, also one, makes progress, and nothing stands between two kernels but that wait.

Worker threads are Python threads parked in native code without the GIL: they watch for a job for a while, then sleep on a
semaphore. One job runs at a time; a second caller runs its own job alone meanwhile, with the same results.
"""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from graphc.backends.threads import get_num_threads
from graphc.errors import GraphWarning

ROW = 8  # words of a table row
_SPINS = 20_000  # looks for work before a thread sleeps: some ten microseconds
_YIELD = 2_000  # looks before a waiting thread gives its processor away
_SEQUENCE, _TABLE, _CALLS, _INSIDE, _OPEN, _ASLEEP, _STOP = (8 * i for i in range(7))  # a cache line each
STATE_WORDS = 64

_sem_wait = types.ExternalFunction("sem_wait", types.int32(types.intp))
_sem_post = types.ExternalFunction("sem_post", types.int32(types.intp))
_sched_yield = types.ExternalFunction("sched_yield", types.int32())


def _word(builder: Any, address: Any, offset: Any) -> Any:
    return builder.gep(builder.inttoptr(address, ir.IntType(64).as_pointer()), [offset])


@intrinsic
def _get(typingctx: Any, address: Any, offset: Any) -> Any:
    """The word at an address, read atomically."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load_atomic(_word(builder, args[0], args[1]), "seq_cst", 8)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _set(typingctx: Any, address: Any, offset: Any, value: Any) -> Any:
    """Write the word at an address atomically."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _word(builder, args[0], args[1]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def _add(typingctx: Any, address: Any, offset: Any, value: Any) -> Any:
    """Add to the word at an address atomically; the value before."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _word(builder, args[0], args[1]), args[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def _pause(typingctx: Any) -> Any:
    """Tell the processor that this thread is waiting, where it can be told."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if builder.module.triple.startswith(("x86_64", "i386", "i686")):
            function = builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), ir.FunctionType(ir.VoidType(), []))
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _run_kernel(typingctx: Any, code: Any, pointers: Any, sizes: Any, lo: Any, hi: Any, scratch: Any) -> Any:
    """Call a kernel by its address, in Numba's calling convention."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        words = ir.IntType(64).as_pointer()
        returned = builder.alloca(byte)
        raised = builder.alloca(byte)
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.IntType(32), [byte.as_pointer(), byte.as_pointer(), words, words, word, word, word])
        function = builder.inttoptr(args[0], kind.as_pointer())
        p, s = (builder.inttoptr(a, words) for a in args[1:3])
        builder.call(function, [returned, raised, p, s, args[3], args[4], args[5]])
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 6), codegen


@njit(types.void(types.int64, types.int64, types.int64), nogil=True)
def walk_alone(table: int, calls: int, scratch: int) -> None:
    """Run every call of a table."""
    for c in range(calls):
        row = table + c * 64
        extent = _get(row, 3)
        if extent > 0:
            _run_kernel(_get(row, 0), _get(row, 1), _get(row, 2), 0, extent, scratch)


@njit(types.void(types.int64, types.int64, types.int64), nogil=True)
def _walk(table: int, calls: int, scratch: int) -> None:
    for c in range(calls):
        row = table + c * 64
        extent, tile, tiles = _get(row, 3), _get(row, 4), _get(row, 5)
        while _get(row, 6) < tiles:
            claim = _add(row, 6, 1)
            if claim >= tiles:
                break
            lo = claim * tile
            _run_kernel(_get(row, 0), _get(row, 1), _get(row, 2), lo, min(extent, lo + tile), scratch)
            _add(row, 7, 1)
        spins = 0
        while _get(row, 7) < tiles:
            _pause()
            spins += 1
            if spins > _YIELD:
                _sched_yield()


@njit(types.void(types.int64, types.int64, types.int64), nogil=True)
def _work(state: int, scratch: int, semaphore: int) -> None:
    """The life of a worker. `scratch` holds the address of its scratch memory."""
    last = 0
    while True:
        spins = 0
        while _get(state, _SEQUENCE) == last:
            _pause()
            spins += 1
            if spins > _SPINS:
                _add(state, _ASLEEP, 1)
                _sem_wait(semaphore)
                _add(state, _ASLEEP, -1)
                spins = 0
        if _get(state, _STOP) != 0:
            return
        last = _get(state, _SEQUENCE)
        _add(state, _INSIDE, 1)
        if _get(state, _OPEN) != 0:
            _walk(_get(state, _TABLE), _get(state, _CALLS), _get(scratch, 0))
        _add(state, _INSIDE, -1)


@njit(types.void(types.int64, types.int64, types.int64, types.int64, types.int64), nogil=True)
def _lead(state: int, table: int, calls: int, scratch: int, semaphore: int) -> None:
    """Run a job with the workers' help."""
    _set(state, _TABLE, table)
    _set(state, _CALLS, calls)
    _set(state, _OPEN, 1)
    _add(state, _SEQUENCE, 1)
    for _ in range(_get(state, _ASLEEP)):
        _sem_post(semaphore)
    _walk(table, calls, scratch)
    _set(state, _OPEN, 0)
    spins = 0
    while _get(state, _INSIDE) != 0:
        _pause()
        spins += 1
        if spins > _YIELD:
            _sched_yield()


class Pool:
    """The worker threads of a process."""

    def __init__(self, workers: int) -> None:
        self.lock = threading.Lock()
        self.state = np.zeros(STATE_WORDS, np.int64)
        self.semaphore = np.zeros(16, np.int64)  # a sem_t
        self.scratch: list[np.ndarray[Any, Any]] = [np.zeros(0, np.uint8) for _ in range(workers)]
        self.places = np.zeros((workers, 8), np.int64)
        libc = ctypes.CDLL(None)
        if libc.sem_init(ctypes.c_void_p(self.semaphore.ctypes.data), 0, 0) != 0:
            raise OSError("this system has no unnamed semaphores")
        self.threads = [
            threading.Thread(
                target=_work, args=(self.state.ctypes.data, self.places[i].ctypes.data, self.semaphore.ctypes.data), daemon=True,
                name=f"graphc-{i}",
            )
            for i in range(workers)
        ]  # fmt: skip
        for thread in self.threads:
            thread.start()

    def run(self, table: int, calls: int, scratch: int, scratch_bytes: int) -> bool:
        """Run a job; False if another one is running."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            for i, old in enumerate(self.scratch):
                if old.nbytes < scratch_bytes + 64:
                    self.scratch[i] = np.empty(scratch_bytes + 64, np.uint8)
                    self.places[i, 0] = -(-self.scratch[i].ctypes.data // 64) * 64
            _lead(self.state.ctypes.data, table, calls, scratch, self.semaphore.ctypes.data)
        finally:
            self.lock.release()
        return True

    def stop(self) -> None:
        """End the workers, and wait for them: they look at this pool's memory."""
        with self.lock:
            self.state[_STOP] = 1
            self.state[_SEQUENCE] += 1
            libc = ctypes.CDLL(None)
            for _ in self.threads:
                libc.sem_post(ctypes.c_void_p(self.semaphore.ctypes.data))
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
    if _refused:
        return None
    with _changing:
        if _current and len(_current[0].threads) != workers:
            _current.pop().stop()
        if workers and not _current:
            try:
                _current.append(Pool(workers))
            except OSError as error:
                _refused.append(error)
                warnings.warn(f"native programs run on one thread: {error}", GraphWarning, stacklevel=2)
        return _current[0] if _current else None


def _forget() -> None:
    """In a forked child: the threads are gone, and locks may be held by them."""
    global _changing
    _changing = threading.Lock()
    _current.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
