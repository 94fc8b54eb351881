"""A cumulative sum, elements gathered at random places, and elements added up at random places."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure


def cumulative_sum(count: int) -> Workload:
    return Workload(
        f"cumulative sum, {count:,}", lambda: (normal((count,)),),
        {"graphc": _sum_graphc, "numpy": _sum_numpy, "jax": _sum_jax, "torch": _sum_torch, "pytensor": _sum_pytensor},
        tolerance=1e-4,
    )  # fmt: skip


def _sum_graphc(x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([sx], gx.cumulative_sum(sx), backend=backend)
    return pure(lambda: f(x))


def _sum_numpy(x: Array) -> Run:
    return pure(lambda: np.cumsum(x))


def _sum_jax(x: Array) -> Run:
    import jax

    f, a = jax.jit(jax.numpy.cumsum), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _sum_torch(x: Array) -> Run:
    import torch

    a = torch.from_numpy(x)
    return pure(lambda: torch.cumsum(a, 0))


def _sum_pytensor(x: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    sx = pt.vector("x", dtype="float32")
    f = pytensor.function([sx], pt.cumsum(sx), trust_input=True)
    return pure(lambda: f(x))


def _places(count: int) -> tuple[Array, Array]:
    return normal((count,)), np.random.default_rng(1).integers(0, count, count).astype(np.int32)


def gather(count: int) -> Workload:
    """With indices of 32 bits, which jax would make of any; torch's own functions take 64 bits."""
    return Workload(
        f"gather, {count:,} of as many", lambda: _places(count),
        {"graphc": _gather_graphc, "numpy": _gather_numpy, "jax": _gather_jax, "torch": _gather_torch},
        tolerance=0,
    )  # fmt: skip


def _gather_graphc(x: Array, places: Array, backend: str = "llvm") -> Run:
    sx, si = gx.placeholder("x", x.shape, "float32"), gx.placeholder("i", places.shape, "int32")
    f = gx.compile([sx, si], sx[si], backend=backend)
    return pure(lambda: f(x, places))


def _gather_numpy(x: Array, places: Array) -> Run:
    return pure(lambda: np.take(x, places))


def _gather_jax(x: Array, places: Array) -> Run:
    import jax

    f = jax.jit(lambda x, i: x[i])
    a, i = jax.numpy.asarray(x), jax.numpy.asarray(places)
    return pure(lambda: jax.block_until_ready(f(a, i)))


def _gather_torch(x: Array, places: Array) -> Run:
    import torch

    a, i = torch.from_numpy(x), torch.from_numpy(places.astype(np.int64))
    return pure(lambda: torch.gather(a, 0, i))


def scatter_add(count: int) -> Workload:
    return Workload(
        f"scatter-add, {count:,} into as many", lambda: _places(count),
        {"graphc": _scatter_graphc, "numpy": _scatter_numpy, "jax": _scatter_jax, "torch": _scatter_torch},
        tolerance=1e-6,
    )  # fmt: skip


def _scatter_graphc(x: Array, places: Array, backend: str = "llvm") -> Run:
    sx, si = gx.placeholder("x", x.shape, "float32"), gx.placeholder("i", places.shape, "int32")
    f = gx.compile([sx, si], gx.zeros_like(sx).at[si].add(sx), backend=backend)
    return pure(lambda: f(x, places))


def _scatter_numpy(x: Array, places: Array) -> Run:
    def call() -> Array:
        made = np.zeros_like(x)
        np.add.at(made, places, x)
        return made

    return pure(call)


def _scatter_jax(x: Array, places: Array) -> Run:
    import jax

    f: Any = jax.jit(lambda x, i: jax.numpy.zeros_like(x).at[i].add(x))
    a, i = jax.numpy.asarray(x), jax.numpy.asarray(places)
    return pure(lambda: jax.block_until_ready(f(a, i)))


def _scatter_torch(x: Array, places: Array) -> Run:
    import torch

    a, i = torch.from_numpy(x), torch.from_numpy(places.astype(np.int64))
    return pure(lambda: torch.zeros_like(a).scatter_add_(0, i, a))
