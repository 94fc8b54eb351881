"""A chain of cheap nodes, each of which reads the one before: what it costs to compile a deep graph."""

from __future__ import annotations

from functools import partial
from typing import Any

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure


def chain(nodes: int) -> Workload:
    return Workload(
        f"chain of {nodes:,} nodes", lambda: (normal((100,)),),
        {"graphc": partial(_graphc, nodes // 2), "jax": partial(_jax, nodes // 2)}, tolerance=1e-5,
    )  # fmt: skip


def _chained(x: Any, pairs: int) -> Any:
    y = x
    for _ in range(pairs):
        y = y * 0.999 + x
    return y


def _graphc(pairs: int, x: Array, backend: str = "llvm") -> Run:
    s = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([s], _chained(s, pairs), backend=backend)
    return pure(lambda: f(x))


def _jax(pairs: int, x: Array) -> Run:
    import jax

    f, on_device = jax.jit(lambda x: _chained(x, pairs)), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(on_device)))
