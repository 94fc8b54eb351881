"""What a workload is: arrays, and for each contender that serves it a function that builds the computation from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CONTENDERS = ("graphc", "numpy", "jax", "torch", "torch.compile", "pytensor", "numexpr", "onnxruntime")


@dataclass(frozen=True)
class Run:
    """A computation that is ready. `call` is what is timed: it returns when the work is done. `results` calls it once or more
    and gives what it computed, for the comparison; of a training step also what became of the state."""

    call: Callable[[], Any]
    results: Callable[[], list[Array]]


Builder = Callable[..., Run]  # takes the workload's arrays


@dataclass(frozen=True)
class Workload:
    """`arrays` makes the same data at every call. `tolerance` is of the relative difference in the Euclidean norm of each result.

    flops counts the work of contractions (2 a multiply-add), bytes what must be read and written at least where that is more
    than caches hold: both give a limit that no implementation can pass. count: how many of what `counted` names a call does.
    imports: modules that a contender needs beside its own, and that are there before anything is timed.
    """

    name: str
    arrays: Callable[[], tuple[Any, ...]]
    builders: Mapping[str, Builder]
    tolerance: float
    flops: float = 0
    bytes: float = 0
    count: int = 0
    counted: str = ""
    imports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_TITLES = {
    "call": "", "cold": "first call, cold: ", "warm": "first call, warm cache: ",
    "start": "until the first call, warm cache: ", "memory": "peak memory: ",
    "added": "peak memory over the imports': ", "growth": "growth: ",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of the table: a workload, what is measured of it, and the wanted ratio of the best peer's figure to graphc's.

    kind      what is measured
    call      the median seconds of a call
    cold      the seconds of building and of the first call, in a new process, with empty caches
    warm      the same in a new process whose caches an earlier process has filled
    start     of that the seconds of building alone
    memory    the peak of resident memory of the process, caches warm, in bytes
    added     the same less what the process held after its imports (graphc loads LLVM later, with its first program)
    growth    cold, and call: how both grow with a size

    at_most is graphc's own limit, in seconds or bytes, where the table has one.
    """

    workload: Workload
    wanted: float | None = None
    kind: str = "call"
    at_most: float | None = None
    only: tuple[str, ...] = CONTENDERS

    @property
    def name(self) -> str:
        return _TITLES[self.kind] + self.workload.name

    @property
    def contenders(self) -> tuple[str, ...]:
        """Those that serve it, graphc first."""
        return tuple(c for c in CONTENDERS if c in self.workload.builders and c in self.only)


def pure(call: Callable[[], Any]) -> Run:
    """A run whose results are what the call returns: an array, or a list or tuple of them."""

    def results() -> list[Array]:
        made = call()
        return [np.array(y) for y in (made if isinstance(made, (list, tuple)) else [made])]

    return Run(call, results)


def normal(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def difference(want: list[Array], got: list[Array]) -> float:
    """The largest relative difference of two lists of arrays, in the Euclidean norm of each; infinite where shapes differ or
    where one is not finite."""
    if len(want) != len(got):
        return float("inf")
    worst = 0.0
    for a, b in zip(want, got, strict=True):
        if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
            return float("inf")
        gap = float(np.linalg.norm((a.astype(np.float64) - b).ravel()))
        length = float(np.linalg.norm(a.astype(np.float64).ravel()))
        worst = max(worst, gap / length if length else (0.0 if gap == 0 else float("inf")))
    return worst
