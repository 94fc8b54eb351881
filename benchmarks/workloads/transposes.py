"""A matrix, and another one that lies the other way round, as one result."""

from __future__ import annotations

from functools import partial
from typing import Any

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure


def transpose(rows: int, columns: int) -> Workload:
    """x + y^T."""
    return Workload(
        f"x + y^T, {rows} x {columns}", lambda: (normal((rows, columns)), normal((columns, rows), seed=1)),
        {
            "graphc": _graphc, "numpy": _numpy, "jax": _jax, "torch": _torch, "torch.compile": partial(_torch, compiled=True),
            "pytensor": _pytensor,
        },
        tolerance=0, bytes=3 * 4 * rows * columns,
    )  # fmt: skip


def _graphc(x: Array, y: Array, backend: str = "llvm") -> Run:
    sx, sy = gx.placeholder("x", ("m", "n"), "float32"), gx.placeholder("y", ("n", "m"), "float32")
    f = gx.compile([sx, sy], sx + sy.T, backend=backend)
    return pure(lambda: f(x, y))


def _numpy(x: Array, y: Array) -> Run:
    return pure(lambda: x + y.T)


def _jax(x: Array, y: Array) -> Run:
    import jax

    f, a, b = jax.jit(lambda x, y: x + y.T), jax.numpy.asarray(x), jax.numpy.asarray(y)
    return pure(lambda: jax.block_until_ready(f(a, b)))


def _torch(x: Array, y: Array, compiled: bool = False) -> Run:
    import torch

    def call(a: Any, b: Any) -> Any:
        return a + b.T

    f, a, b = torch.compile(call) if compiled else call, torch.from_numpy(x), torch.from_numpy(y)
    return pure(lambda: f(a, b))


def _pytensor(x: Array, y: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    sx, sy = pt.matrix("x", dtype="float32"), pt.matrix("y", dtype="float32")
    f = pytensor.function([sx, sy], sx + sy.T, trust_input=True)
    return pure(lambda: f(x, y))


__all__ = ["transpose"]
