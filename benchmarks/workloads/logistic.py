"""The log-density of a hierarchical logistic regression, and its gradient: what a sampler asks for, in float64.

Coefficients of features and an intercept for each group, normal with an unknown spread.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, pure


def logistic(n: int, features: int, groups: int) -> Workload:
    def arrays() -> tuple[Array, ...]:
        rng = np.random.default_rng(0)
        return (
            rng.standard_normal((n, features)), rng.integers(0, groups, n), rng.integers(0, 2, n).astype(np.float64),
            rng.standard_normal(features) / 4, rng.standard_normal(groups) / 2, np.array(-0.7),
        )  # fmt: skip

    return Workload(
        f"logistic log-density with gradient, {n} x {features} + {groups}", arrays,
        {"graphc": _graphc, "jax": _jax, "torch": _torch, "torch.compile": partial(_torch, compiled=True), "pytensor": _pytensor},
        tolerance=1e-11,
    )  # fmt: skip


def density(data: Any, chosen: Any, y: Any, beta: Any, alpha: Any, spread: Any, groups: int, m: Any, softplus: Any) -> Any:
    """`chosen` is alpha[group]; spread the logarithm of the intercepts' standard deviation; `m` the module of the functions."""
    eta = data @ beta + chosen
    likelihood = (y * eta - softplus(eta)).sum()
    squares = (beta * beta).sum() + (alpha * alpha).sum() * m.exp(-2 * spread) + spread * spread
    return likelihood - 0.5 * squares - groups * spread


def _graphc(data: Array, group: Array, y: Array, *point: Array, backend: str = "llvm") -> Run:
    sdata, sgroup = gx.placeholder("data", ("n", data.shape[1]), "float64"), gx.placeholder("group", ("n",), "int64")
    sy = gx.placeholder("y", ("n",), "float64")
    unknown = [gx.placeholder(name, a.shape, "float64") for name, a in zip(("beta", "alpha", "spread"), point, strict=True)]
    value = density(sdata, gx.take(unknown[1], sgroup), sy, *unknown, point[1].size, gx, gx.softplus)
    f = gx.compile([sdata, sgroup, sy, *unknown], [value, *gx.grad(value, unknown)], backend=backend)
    return pure(lambda: f(data, group, y, *point))


def _jax(data: Array, group: Array, y: Array, *point: Array) -> Run:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        fixed, free = [jnp.asarray(a) for a in (data, group, y)], [jnp.asarray(a) for a in point]

        def value(data: Any, group: Any, y: Any, beta: Any, alpha: Any, spread: Any) -> Any:
            return density(data, alpha[group], y, beta, alpha, spread, alpha.size, jnp, jax.nn.softplus)

        f = jax.jit(jax.value_and_grad(value, argnums=(3, 4, 5))).lower(*fixed, *free).compile()

    def call() -> list[Any]:
        value, gradient = jax.block_until_ready(f(*fixed, *free))
        return [value, *gradient]

    return pure(call)


def _torch(data: Array, group: Array, y: Array, *point: Array, compiled: bool = False) -> Run:
    import torch

    fixed, free = [torch.from_numpy(a) for a in (data, group, y)], [torch.tensor(a, requires_grad=True) for a in point]

    def value(data: Any, group: Any, y: Any, beta: Any, alpha: Any, spread: Any) -> Any:
        return density(data, alpha[group], y, beta, alpha, spread, alpha.numel(), torch, torch.nn.functional.softplus)

    f = torch.compile(value, dynamic=False) if compiled else value

    def call() -> list[Any]:
        value = f(*fixed, *free)
        return [value.detach(), *torch.autograd.grad(value, free)]

    return pure(call)


def _pytensor(data: Array, group: Array, y: Array, *point: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    fixed = [pt.dmatrix("data"), pt.lvector("group"), pt.dvector("y")]
    free = [pt.dvector("beta"), pt.dvector("alpha"), pt.dscalar("spread")]
    value = density(fixed[0], free[1][fixed[1]], fixed[2], *free, point[1].size, pt, pt.softplus)
    f = pytensor.function([*fixed, *free], [value, *pt.grad(value, free)], trust_input=True)
    return pure(lambda: f(data, group, y, *point))
