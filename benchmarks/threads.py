"""How six workloads scale over threads, what the pool's parts cost, and what is counted.

    python -m benchmarks.threads                          # 1, 2, 4, 8 and 16 threads, as tables
    python -m benchmarks.threads --at-most 1.3            # fails where more threads than processors take longer than that
    python -m benchmarks.threads --costs                  # waking, joining and claiming alone
    python -m benchmarks.threads --counts                 # kernels, tiles, and cache lines that two tiles write
    python -m benchmarks.threads --predict 16             # the least time on so many processors, from the kernels' times on one
    python -m benchmarks.threads --only matmul GPT        # of all these, workloads whose names contain one of the texts

Times of more threads than processors are shown over that of two threads; as far as there are processors, the efficiency is the
time of one thread over that of n, over n. Numbers of threads take turns, and the figure of each is the median of its samples.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

import graphc as gx
from benchmarks.workload import Workload
from benchmarks.workloads.cnn import cnn
from benchmarks.workloads.formulas import tanh_exp
from benchmarks.workloads.gpt import gpt
from benchmarks.workloads.matmul import matmul
from benchmarks.workloads.mlp import mlp
from benchmarks.workloads.rows import softmax
from graphc.backends.llvm import runtime
from graphc.backends.llvm.executor import MAX_TILES, Binding
from graphc.backends.llvm.pool import lines, native_address, pool, walker
from graphc.backends.threads import available
from graphc.ir import dims

THREADS = (1, 2, 4, 8, 16)
WORKLOADS: tuple[Callable[[], Workload], ...] = (
    lambda: tanh_exp(8_000_000),
    lambda: softmax(4096, 512),
    lambda: matmul(1024, 1024, 1024),
    lambda: mlp(128),
    lambda: gpt(1),
    lambda: cnn(8),
)
TURNS = 5
WARM = 0.01  # seconds of calls that are not counted, after the number of threads has changed
KERNELS = 500  # in one call, for the cost of one
POISON = 0xA5  # what memory holds before a tile writes it
LINE = 64


class Program:
    """A workload's program, ready to be called, and the arguments it was called with last."""

    def __init__(self, workload: Workload) -> None:
        self.name = workload.name
        compile_ = gx.compile

        def compiled(*args: Any, **named: Any) -> Any:
            self.compiled = compile_(*args, **named)
            return self._called

        with mock.patch.object(gx, "compile", compiled):
            self.call = workload.builders["graphc"](*workload.arrays()).call
        self.call()

    def _called(self, *args: Any) -> Any:
        self.args = args
        return self.compiled(*args)

    @property
    def binding(self) -> Binding:
        (binding,) = self.compiled._executable._bindings.values()
        return binding  # type: ignore[no-any-return]


def times(program: Program, counts: Sequence[int], seconds: float) -> tuple[dict[int, float], float]:
    """The median seconds of a call on each number of threads; and the processors that two threads had on average, who never sleep
    between calls: clearly less than two where other processes used the machine."""
    samples: dict[int, list[float]] = {n: [] for n in counts}
    had = took = 0.0
    for _ in range(TURNS):
        for n in counts:
            gx.set_num_threads(n)
            end = time.perf_counter() + WARM
            while time.perf_counter() < end:
                program.call()
            start, used = time.perf_counter(), time.process_time()
            while time.perf_counter() < start + seconds / TURNS or len(samples[n]) < 2:
                begin = time.perf_counter()
                program.call()
                samples[n].append(time.perf_counter() - begin)
            if n == 2:
                had, took = had + time.process_time() - used, took + time.perf_counter() - start
    return {n: statistics.median(s) for n, s in samples.items()}, had / took


def measured(programs: Iterator[Program], counts: Sequence[int], seconds: float, at_most: float) -> bool:
    """Print the tables; whether no number of threads took longer than so many times what two take."""
    found = {p.name: times(p, counts, seconds) for p in programs}
    print(f"Threads on {available()} processors: time over that of 2 threads\n")
    _head(["workload", "2 threads", "processors they had", *(str(n) for n in counts if n != 2)])
    for name, (t, had) in found.items():
        _row([name, f"{1e3 * t[2]:.3g} ms", f"{had:.2f}", *(f"{t[n] / t[2]:.2f}" for n in counts if n != 2)])
    own = [n for n in counts if n <= available()]
    print("\nEfficiency: time of one thread over that of n, over n\n")
    _head(["workload", "1 thread", *map(str, own[1:])])
    for name, (t, _) in found.items():
        _row([name, f"{1e3 * t[1]:.3g} ms", *(f"{t[1] / t[n] / n:.2f}" for n in own[1:])])
    slow = [f"{name}: {n} threads take {t[n] / t[2]:.2f} times as long as 2" for name, (t, _) in found.items() for n in counts
            if n > 2 and t[n] > at_most * t[2]]  # fmt: skip
    print(*slow, sep="\n", file=sys.stderr, end="\n" if slow else "")
    return not slow


class Empty:
    """A job of so many kernels that do nothing, each in so many tiles."""

    def __init__(self, tiles: int, kernels: int = 1) -> None:
        self.words = np.zeros(2, np.int64)  # `advance` with nothing to move
        self.table = lines(kernels, runtime.ROW_BYTES // 8)
        self.table[:, :6] = native_address("advance"), 0, self.words.ctypes.data, tiles, 1, tiles
        self.scratch = np.zeros(runtime.COUNTERS // 8 + 8, np.int64)
        self.job = np.zeros(runtime.JOB_WORDS, np.int64)
        self.job[runtime.TABLE], self.job[runtime.CALLS] = self.table.ctypes.data, kernels
        self.job[runtime.SCRATCH], self.job[runtime.MOST] = self.scratch.ctypes.data, tiles
        workers = pool()
        self.arguments = (self.job.ctypes.data,) if workers is None else (workers.state_at, self.job.ctypes.data)
        self.code = walker("run_alone" if workers is None else "lead")

    def seconds(self, calls: int, rest: float = 0.0) -> float:
        """The median of so many calls, each after a rest."""
        samples = []
        for _ in range(calls):
            if rest:
                time.sleep(rest)
            begin = time.perf_counter()
            self.code(*self.arguments)
            samples.append(time.perf_counter() - begin)
        return statistics.median(samples)


def costs(counts: Sequence[int]) -> None:
    """Waking, joining and claiming, in nanoseconds, on as many processors as there are."""
    _head(["threads", "a call, workers awake", "a call, workers asleep", "a kernel, a tile for each thread", "a claim more"])
    for n in counts:
        gx.set_num_threads(n)
        few = max(2, n)
        call, kernels, claims = Empty(few), Empty(few, KERNELS), Empty(MAX_TILES, KERNELS)
        call.seconds(200)
        awake, kernel, claimed = call.seconds(2000), kernels.seconds(50) / KERNELS, claims.seconds(50) / KERNELS
        asleep = call.seconds(100, rest=0.005)
        _row([str(n), *(f"{1e9 * s:,.0f}" for s in (awake, asleep, kernel, (claimed - kernel) / (MAX_TILES - few)))])


def counts_of(program: Program) -> tuple[int, int, int, int]:
    """Kernels that threads share, their tiles, the cache lines that they write, and those of them that two tiles or more write.

    Each tile runs alone on results that hold a pattern; which lines have changed is looked up. Steps of loops are left out.
    """
    binding = program.binding
    context = binding.free[-1]
    variables = [(v, v.value.copy()) for v in program.compiled.variables.values()]
    shared, tiles, written, twice = 0, 0, 0, 0
    for row, (rows, pointers) in zip(binding.rows, context.table.calls, strict=True):
        if row.tiles < 2:
            continue
        shared, tiles = shared + 1, tiles + row.tiles
        words = context.table.rows[rows][0]
        code = ctypes.CFUNCTYPE(None, *(ctypes.c_int64,) * 5)(int(words[runtime.CODE]))
        spans = [
            (int(place), dims.evaluate(param.type.nbytes, binding.env))
            for place, param in zip(context.table.pointers[pointers], row.call.kernel.params, strict=False)
            if param.mode != "in"
        ]
        memories = [(at, np.ctypeslib.as_array((ctypes.c_uint8 * n).from_address(at))) for at, n in spans if n]
        times_written: dict[int, int] = {}
        for _, memory in memories:
            memory[:] = POISON
        for lo in range(0, row.extent, row.tile):
            code(int(words[runtime.POINTERS]), int(words[runtime.SIZES]), lo, min(row.extent, lo + row.tile),
                 int(context.job[runtime.SCRATCH]) + runtime.COUNTERS)  # fmt: skip
            changed: set[int] = set()
            for at, memory in memories:
                found = np.flatnonzero(memory != POISON)
                memory[found] = POISON
                changed.update(np.unique((found + at) // LINE).tolist())
            for line in changed:
                times_written[line] = times_written.get(line, 0) + 1
        written += len(times_written)
        twice += sum(count > 1 for count in times_written.values())
    for variable, value in variables:
        variable.value = value
    return shared, tiles, written, twice


def predicted(program: Program, threads: int, join: float) -> tuple[float, float, float]:
    """The seconds of one thread, in kernels; of that what one thread alone can run; and the least time on so many processors.

    A kernel of n tiles takes as many rounds as the thread with most tiles has, and one wait. That all together have less of the
    memory than one has alone, or slower clocks, is not counted.
    """
    gx.set_num_threads(1)
    rows = program.compiled.profile(*program.args).rows
    whole = alone = least = 0.0
    for row, found in zip(program.binding.rows, rows, strict=True):
        tiles = row.most
        whole += found.seconds
        alone += found.seconds if tiles < 2 else 0.0
        least += found.seconds * -(-tiles // threads) / tiles + (join if tiles > 1 else 0.0)
    return whole, alone, least


def _head(columns: Sequence[str]) -> None:
    _row(columns)
    _row(["---", *("---:" for _ in columns[1:])])


def _row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each workload and number of threads")
    parser.add_argument("--at-most", type=float, default=np.inf)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--costs", action="store_true")
    parser.add_argument("--counts", action="store_true")
    parser.add_argument("--predict", type=int, metavar="PROCESSORS")
    parser.add_argument("--join", type=float, default=0.1e-6, help="seconds that a cache line takes to another processor")
    given = parser.parse_args()
    chosen = (Program(w) for w in (make() for make in WORKLOADS) if any(text in w.name for text in given.only))
    if given.costs:
        costs(given.threads)
    elif given.counts:
        _head(["workload", "kernels that threads share", "tiles", "lines written", "by two tiles", "share"])
        for program in chosen:
            kernels, tiles, written, twice = counts_of(program)
            _row([program.name, *(f"{n:,}" for n in (kernels, tiles, written, twice)), f"{100 * twice / max(1, written):.2f} %"])
    elif given.predict:
        n = given.predict
        _head(["workload", "1 thread", "in kernels of one tile", f"{n} processors, at the least", "efficiency, at most"])
        for program in chosen:
            whole, alone, least = predicted(program, n, n * given.join)
            _row([program.name, f"{1e3 * whole:.3g} ms", f"{100 * alone / whole:.1f} %", f"{1e3 * least:.3g} ms",
                  f"{whole / least / n:.2f}"])  # fmt: skip
    elif not measured(chosen, sorted({1, 2, *given.threads}), given.seconds, given.at_most):
        sys.exit(1)


if __name__ == "__main__":
    main()
