"""What the machine can do at most: products of large matrices, and memory that is read and written in place."""

from __future__ import annotations

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload
from benchmarks.workloads.matmul import matmul


def stream(n: int) -> Workload:
    """A vector that is read and written where it is, in a buffer that exists already."""
    return Workload(
        f"stream, n = {n:,}", lambda: (np.zeros(n, np.float32),),
        {"graphc": _graphc, "numpy": _numpy, "torch": _torch}, tolerance=0, bytes=8 * n,
    )  # fmt: skip


def _graphc(x: Array, backend: str = "llvm") -> Run:
    v = gx.variable(x, name="v")
    step = gx.compile([], [], updates={v: v + 1}, backend=backend)
    return Run(step, lambda: [])


def _numpy(x: Array) -> Run:
    return Run(lambda: np.add(x, 1, out=x), lambda: [])


def _torch(x: Array) -> Run:
    import torch

    tensor = torch.from_numpy(x)
    return Run(lambda: tensor.add_(1), lambda: [])


PEAK = matmul(2048, 2048, 2048)
BANDWIDTH = stream(32_000_000)  # 128 MB: no cache holds it
