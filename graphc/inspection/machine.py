"""What this machine reaches at best, measured once a process, when first asked for.

Memory: y = -x over reused buffers that together are about as large as asked, since small ones stay in a cache. Arithmetic: a
product of large square matrices. Both by this package's own native code on all its threads, the shortest of many runs. A kernel
that writes less than it reads may exceed the first a little.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from graphc import passes
from graphc.backends import load_backend
from graphc.backends.threads import get_num_threads
from graphc.ir.graph import Graph
from graphc.ops import matmul, negative, placeholder

LARGEST = 1 << 27  # bytes: more than caches hold
SMALLEST = 1 << 14
SQUARE = 1024  # rows of the matrices
ROUNDS = 4  # of several runs each


def bandwidth(footprint: int) -> float:
    """Bytes a second that go through buffers of `footprint` bytes in all, as `rounded` has it."""
    return _bandwidth(rounded(footprint), get_num_threads())


def rounded(footprint: int) -> int:
    """A power of two, for which the bandwidth is measured.

    >>> rounded(3 << 20) == 2 << 20, rounded(10) == SMALLEST, rounded(1 << 40) == LARGEST
    (True, True, True)
    """
    return 1 << (min(max(footprint, SMALLEST), LARGEST).bit_length() - 1)


def arithmetic(dtype: str) -> float:
    """Floating-point operations a second: float32 or float64."""
    return _arithmetic(dtype, get_num_threads())


@lru_cache
def _bandwidth(size: int, threads: int) -> float:
    x = placeholder("x", ("n",), "float32")
    return size / _seconds(Graph([x], [negative(x)]), [np.ones(size // 8, np.float32)], {"n": size // 8})


@lru_cache
def _arithmetic(dtype: str, threads: int) -> float:
    a, b = (placeholder(name, (SQUARE, SQUARE), dtype) for name in "ab")
    ones = np.ones((SQUARE, SQUARE), dtype)
    return 2 * SQUARE**3 / _seconds(Graph([a, b], [matmul(a, b)]), [ones, ones], {})


def _seconds(graph: Graph, arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]], sizes: dict[str, int]) -> float:
    """The time of a graph of one kernel."""
    program: object = graph
    for step in passes.LOWERING:
        program = step(program)
    executable = load_backend("llvm").build(program, {})
    return max(1e-9, min(timing.best for _ in range(ROUNDS) for timing in executable.times(arrays, sizes, ())))
