"""Random numbers: a vector of the standard normal, a gamma or a Poisson distribution, another one at each call."""

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

    return _by_keys(lambda key: jax.random.normal(key, (count,)))


def _by_keys(draw: Callable[[Any], Any]) -> Run:
    """What jax draws by a key, another key at each call."""
    import jax

    def step(key: Any) -> tuple[Any, Any]:
        key, here = jax.random.split(key)
        return key, draw(here)

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


def draws(name: str, parameter: float, count: int) -> Workload:
    """Numbers of the gamma or the Poisson distribution with one parameter."""
    builders = {"graphc": _draws_graphc, "numpy": _draws_numpy, "jax": _draws_jax, "torch": _draws_torch}
    return Workload(
        f"{name}({parameter:g}), {count:,}", lambda: (),
        {contender: partial(build, name, parameter, count) for contender, build in builders.items()}, tolerance=0.02,
    )  # fmt: skip


def _draws_graphc(name: str, parameter: float, count: int, backend: str = "llvm") -> Run:
    drawn = getattr(gx.random, name)(gx.random.Stream(0), np.float32(parameter), (count,))
    return _quantiles(gx.compile([], drawn, backend=backend))


def _draws_numpy(name: str, parameter: float, count: int) -> Run:
    rng = np.random.default_rng(0)
    if name == "gamma":
        return _quantiles(lambda: rng.standard_gamma(parameter, count, np.float32))
    return _quantiles(lambda: rng.poisson(parameter, count))


def _draws_jax(name: str, parameter: float, count: int) -> Run:
    import jax

    return _by_keys(lambda key: getattr(jax.random, name)(key, parameter, (count,)))


def _draws_torch(name: str, parameter: float, count: int) -> Run:
    import torch

    given = torch.full((count,), parameter)
    if name == "gamma":
        drawn = torch.distributions.Gamma(given, torch.ones(()))
        return _quantiles(drawn.sample)
    return _quantiles(lambda: torch.poisson(given))


__all__ = ["draws", "normal_numbers"]
