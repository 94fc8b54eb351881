"""Time each call of a program alone.

A call is run repeatedly as a table of its own, each time from the same memory: what it overwrites is restored before. So every
kernel sees the values of a whole run, and as much of its memory as fits is in the caches.
"""

from __future__ import annotations

import ctypes
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.backends.executable import Timing
from graphc.backends.llvm import runtime
from graphc.backends.llvm.collectives import CollectiveKernel
from graphc.backends.llvm.pool import lines, walker
from graphc.ir import dims

if TYPE_CHECKING:
    from graphc.backends.llvm.executor import Binding, Context, NativeProgram

Array = np.ndarray[Any, Any]
SAMPLES = 9  # of each call
SHORT = 2e-5  # seconds: what takes less is run several times for one sample, if it does not write over what it reads
MOST = 1000  # times
AWAKE = 1e-4  # seconds of empty work before a sample, so that no worker is asleep


def times(run: NativeProgram, binding: Binding, context: Context, arrays: Sequence[Array]) -> list[Timing]:
    """The time of each call of a program, in their order; the context has not run. Variables have their old values afterwards."""
    ready = [np.array(a, order="C") for a in arrays]
    with _variables_kept(run):
        made = context.run(tuple(ready))  # places every address; what is timed writes into these results
    assert made is not None, "these are arrays of the sizes that were bound"
    with _variables_kept(run):
        return list(_each(run, binding, context))


@contextmanager
def _variables_kept(run: NativeProgram) -> Iterator[None]:
    changed = {
        name
        for call in run.program.calls
        for name, param in zip(call.buffers, call.kernel.params, strict=True)
        if param.mode != "in" and run.program.buffers[name].role == "variable"
    }
    variables = [run.variables[name] for name in changed | {name for name, _ in run.program.updates}]
    kept = [(variable, variable.data.copy()) for variable in variables]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.data[...] = value


def _each(run: NativeProgram, binding: Binding, context: Context) -> Iterator[Timing]:
    watch = _Watch(context)
    threads = 1 if context.pool is None else 1 + int(context.pool.state[runtime.AT_ONCE])
    for row, (rows, pointers) in zip(binding.rows, context.table.calls, strict=True):
        if isinstance(row.kernel, CollectiveKernel):  # nobody starts alone what others have to
            yield Timing(0.0, 0.0, 1)
            continue
        changed = []
        for place, param in zip(context.table.pointers[pointers], row.call.kernel.params, strict=False):
            size = dims.evaluate(param.type.nbytes, binding.env)
            if param.mode == "inout" and size:
                changed.append(_memory(int(place), size))
        samples = watch.samples(context.table.rows[rows], changed)
        yield Timing(statistics.median(samples), min(samples), min(threads, max(1, row.most)))


def _memory(address: int, size: int) -> Array:
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


class _Job:
    """Rows of a table, so many times; run as the program's own calls are: by the pool, if it uses one."""

    def __init__(self, context: Context, rows: Array, repeats: int) -> None:
        self.table = lines(len(rows) * repeats, runtime.ROW_BYTES // 8)
        self.table[:] = np.tile(rows, (repeats, 1))
        self.words = np.zeros(runtime.JOB_WORDS, np.int64)
        self.words[runtime.TABLE], self.words[runtime.CALLS] = self.table.ctypes.data, len(self.table)
        self.words[runtime.SCRATCH], self.words[runtime.MOST] = context.job[runtime.SCRATCH], context.job[runtime.MOST]
        state = int(context.job[runtime.POOL])
        self.code = walker("lead" if state else "run_alone")
        self.arguments = (state, self.words.ctypes.data) if state else (self.words.ctypes.data,)

    def seconds(self) -> float:
        before = perf_counter()
        self.code(*self.arguments)
        return perf_counter() - before


class _Watch:
    """Times rows of a program's table."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.nothing = _Job(context, np.zeros((1, runtime.ROW_BYTES // 8), np.int64), 1)
        self._wake()
        self.overhead = statistics.median(self.nothing.seconds() for _ in range(200))

    def _wake(self) -> None:
        end = perf_counter() + AWAKE
        while perf_counter() < end:
            self.nothing.seconds()

    def samples(self, rows: Array, changed: Sequence[Array]) -> list[float]:
        """Times of one run of a call's rows. Afterwards it has run once on the memory that it changes."""
        before = [memory.copy() for memory in changed]
        repeats = 1
        job = _Job(self.context, rows, repeats)
        self._wake()
        first = job.seconds()
        if first < SHORT and not changed:
            repeats = int(SHORT / max(first - self.overhead, SHORT / MOST))
            job = _Job(self.context, rows, repeats)
        samples = []
        for _ in range(SAMPLES):
            for memory, value in zip(changed, before, strict=True):
                memory[...] = value
            self._wake()
            samples.append(max(0.0, job.seconds() - self.overhead) / repeats)
        return samples
