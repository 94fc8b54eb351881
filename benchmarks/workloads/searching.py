"""Orders and places: the order that sorts, the largest, the distinct, and where elements belong in a sorted vector."""

from __future__ import annotations

from functools import partial

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure


def argsort(count: int) -> Workload:
    """Elements that differ, so that all contenders find one order."""
    return Workload(
        f"argsort, {count:,}", lambda: (_distinct(count),),
        {"graphc": _argsort_graphc, "numpy": _argsort_numpy, "jax": _argsort_jax, "torch": _argsort_torch}, tolerance=0,
    )  # fmt: skip


def _distinct(count: int) -> Array:
    return np.random.default_rng(0).permutation(count).astype(np.float32)


def _argsort_graphc(x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([sx], gx.argsort(sx), backend=backend)
    return pure(lambda: f(x))


def _argsort_numpy(x: Array) -> Run:
    return pure(lambda: np.argsort(x))


def _argsort_jax(x: Array) -> Run:
    import jax

    f, a = jax.jit(jax.numpy.argsort), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _argsort_torch(x: Array) -> Run:
    import torch

    a = torch.from_numpy(x)
    return pure(lambda: torch.argsort(a))


def top_k(count: int, k: int, rows: int = 1) -> Workload:
    return Workload(
        f"top {k} of {count:,}" + (f", {rows} rows" if rows > 1 else ""), lambda: (_distinct(rows * count).reshape(rows, count),),
        {"graphc": partial(_top_graphc, k), "jax": partial(_top_jax, k), "torch": partial(_top_torch, k)}, tolerance=0,
    )  # fmt: skip


def _top_graphc(k: int, x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", ("rows", x.shape[1]), "float32")
    f = gx.compile([sx], list(gx.top_k(sx, k)), backend=backend)
    return pure(lambda: f(x))


def _top_jax(k: int, x: Array) -> Run:
    import jax

    f, a = jax.jit(lambda x: jax.lax.top_k(x, k)), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _top_torch(k: int, x: Array) -> Run:
    import torch

    a = torch.from_numpy(x)
    return pure(lambda: torch.topk(a, k))


def unique(count: int, among: int) -> Workload:
    """Integers, of which all contenders give the distinct ones in order; those that compile are told how many there are."""

    def arrays() -> tuple[Array]:
        return (np.random.default_rng(0).permutation(np.arange(count, dtype=np.int32) % among),)

    return Workload(
        f"unique of {count:,} among {among:,}", arrays,
        {
            "graphc": partial(_unique_graphc, among), "numpy": _unique_numpy, "jax": partial(_unique_jax, among),
            "torch": _unique_torch,
        },
        tolerance=0,
    )  # fmt: skip


def _unique_graphc(among: int, x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", ("n",), "int32")
    f = gx.compile([sx], gx.unique_values(sx, size=among), backend=backend)
    return pure(lambda: f(x))


def _unique_numpy(x: Array) -> Run:
    return pure(lambda: np.unique(x))


def _unique_jax(among: int, x: Array) -> Run:
    import jax

    f, a = jax.jit(lambda x: jax.numpy.unique(x, size=among)), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _unique_torch(x: Array) -> Run:
    import torch

    a = torch.from_numpy(x)
    return pure(lambda: torch.unique(a))


def searchsorted(count: int, among: int) -> Workload:
    def arrays() -> tuple[Array, Array]:
        return np.sort(normal((among,))), normal((count,), seed=1)

    return Workload(
        f"searchsorted, {count:,} in {among:,}", arrays,
        {"graphc": _search_graphc, "numpy": _search_numpy, "jax": _search_jax, "torch": _search_torch}, tolerance=0,
    )  # fmt: skip


def _search_graphc(sorted_: Array, x: Array, backend: str = "llvm") -> Run:
    ss, sx = gx.placeholder("sorted", ("m",), "float32"), gx.placeholder("x", ("n",), "float32")
    f = gx.compile([ss, sx], gx.searchsorted(ss, sx), backend=backend)
    return pure(lambda: f(sorted_, x))


def _search_numpy(sorted_: Array, x: Array) -> Run:
    return pure(lambda: np.searchsorted(sorted_, x))


def _search_jax(sorted_: Array, x: Array) -> Run:
    import jax

    f, s, a = jax.jit(jax.numpy.searchsorted), jax.numpy.asarray(sorted_), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(s, a)))


def _search_torch(sorted_: Array, x: Array) -> Run:
    import torch

    s, a = torch.from_numpy(sorted_), torch.from_numpy(x)
    return pure(lambda: torch.searchsorted(s, a))


__all__ = ["argsort", "searchsorted", "top_k", "unique"]
