"""Sums, means and largest elements of a large matrix, along either axis or both."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure

_AXES = {"rows": 1, "columns": 0, "all": None}


def reduction(what: str, along: str, shape: tuple[int, int] = (3200, 3125)) -> Workload:
    """what: sum, max, var or argmax. along: rows (the axis whose elements lie side by side), columns, all."""
    axis = _AXES[along]
    builders = {"graphc": _graphc, "numpy": _numpy, "jax": _jax, "torch": _torch, "torch.compile": partial(_torch, compiled=True)}
    return Workload(
        f"{what} of {shape[0]} x {shape[1]}, {along}", lambda: (normal(shape),),
        {name: partial(build, what, axis) for name, build in builders.items()},
        tolerance=0 if what in ("max", "argmax") else 1e-3, bytes=4 * shape[0] * shape[1],
    )  # fmt: skip


def _graphc(what: str, axis: int | None, x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", ("m", "n"), "float32")
    f = gx.compile([sx], getattr(gx, what)(sx, axis=axis), backend=backend)
    return pure(lambda: f(x))


def _numpy(what: str, axis: int | None, x: Array) -> Run:
    return pure(lambda: getattr(np, what)(x, axis=axis))


def _jax(what: str, axis: int | None, x: Array) -> Run:
    import jax

    f, a = jax.jit(lambda x: getattr(jax.numpy, what)(x, axis=axis)), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _torch(what: str, axis: int | None, x: Array, compiled: bool = False) -> Run:
    import torch

    def call(a: Any) -> Any:
        if what == "max":
            return torch.amax(a, () if axis is None else axis)
        return torch.var(a, axis, unbiased=False) if what == "var" else getattr(torch, what)(a, axis)

    f, a = torch.compile(call) if compiled else call, torch.from_numpy(x)
    return pure(lambda: f(a))


__all__ = ["reduction"]
