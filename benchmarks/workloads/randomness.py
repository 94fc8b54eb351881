"""Random numbers: a vector of the standard normal distribution, another one at each call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload


def normal_numbers(count: int) -> Workload:
    """Contenders draw different numbers, so their quantiles are compared. Who can writes into the same memory at each call."""
    builders = {
        "graphc": _graphc, "numpy": _numpy, "jax": _jax, "torch": _torch, "torch.compile": partial(_torch, compiled=True),
    }  # fmt: skip
    return Workload(
        f"normal of {count:,}", lambda: (), {name: partial(build, count) for name, build in builders.items()},
        tolerance=0.01, bytes=4 * count,
    )  # fmt: skip


def _quantiles(call: Callable[[], Any]) -> Run:
    return Run(call, lambda: [np.quantile(np.asarray(call(), np.float64), np.linspace(0.001, 0.999, 101))])


def _graphc(count: int, backend: str = "llvm") -> Run:
    return _quantiles(gx.compile([], gx.random.normal(gx.random.Stream(0), (count,)), backend=backend))


def _numpy(count: int) -> Run:
    rng, result = np.random.default_rng(0), np.empty(count, np.float32)
    return _quantiles(lambda: rng.standard_normal(out=result, dtype=np.float32))


def _jax(count: int) -> Run:
    import jax

    def step(key: Any) -> tuple[Any, Any]:
        key, here = jax.random.split(key)
        return key, jax.random.normal(here, (count,))

    f, key = jax.jit(step), jax.random.key(0)

    def call() -> Array:
        nonlocal key
        key, result = f(key)
        return jax.block_until_ready(result)  # type: ignore[no-any-return]

    return _quantiles(call)


def _torch(count: int, compiled: bool = False) -> Run:
    import torch

    if compiled:
        return _quantiles(torch.compile(lambda: torch.randn(count)))
    result = torch.empty(count)
    return _quantiles(result.normal_)


__all__ = ["normal_numbers"]
