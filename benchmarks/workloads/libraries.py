"""What libraries are made for: sorting, the factors of a matrix or of many small ones, and the solution of a linear system."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure


def sort(count: int) -> Workload:
    return Workload(
        f"sort, {count:,}", lambda: (normal((count,)),),
        {"graphc": _sort_graphc, "numpy": lambda x: pure(lambda: np.sort(x)), "jax": _sort_jax, "torch": _sort_torch},
        tolerance=0,
    )  # fmt: skip


def _sort_graphc(x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([sx], gx.sort(sx), backend=backend)
    return pure(lambda: f(x))


def _sort_jax(x: Array) -> Run:
    import jax

    f, a = jax.jit(jax.numpy.sort), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _sort_torch(x: Array) -> Run:
    import torch

    a = torch.from_numpy(x)
    return pure(lambda: torch.sort(a).values)


def _definite(size: int) -> Array:
    a = normal((size, size))
    made: Array = a @ a.T / size + np.eye(size, dtype=a.dtype)
    return made


def factors(what: str, size: int) -> Workload:
    """Cholesky's factor, Q and R, or what is told by LU: the sign and the logarithm of the determinant's magnitude."""
    operations = {"cholesky": 1 / 3, "qr": 8 / 3, "slogdet": 2 / 3}  # of LAPACK's ways, times the cube of the size
    return Workload(
        f"{what}, {size} x {size}", lambda: (_definite(size) if what == "cholesky" else normal((size, size)),),
        {
            "graphc": partial(_factors_graphc, what), "numpy": lambda x: pure(lambda: _several(getattr(np.linalg, what)(x))),
            "jax": partial(_factors_jax, what), "torch": partial(_factors_torch, what),
        },
        tolerance=1e-5 if what == "cholesky" else 1e-3, flops=operations[what] * size**3,
    )  # fmt: skip


def _several(made: Any) -> Any:
    return list(made) if isinstance(made, tuple) else made


def _factors_graphc(what: str, x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", x.shape, "float32")
    f = gx.compile([sx], _several(getattr(gx.linalg, what)(sx)), backend=backend)
    return pure(lambda: f(x))


def _factors_jax(what: str, x: Array) -> Run:
    import jax

    f, a = jax.jit(lambda x: _several(getattr(jax.numpy.linalg, what)(x))), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _factors_torch(what: str, x: Array) -> Run:
    import torch

    a = torch.from_numpy(x)
    return pure(lambda: _several(getattr(torch.linalg, what)(a)))


def small_matrices(what: str, size: int, count: int = 100_000) -> Workload:
    """A function of many small matrices at once: det, inv or cholesky."""

    def matrices() -> tuple[Array, ...]:
        a = normal((count, size, size))
        made: Array = a @ np.swapaxes(a, -1, -2) / size + np.eye(size, dtype=a.dtype)
        return (made,)

    return Workload(
        f"{what} of {count:,} matrices {size} x {size}", matrices,
        {
            "graphc": partial(_small_graphc, what), "numpy": lambda x: pure(lambda: getattr(np.linalg, what)(x)),
            "jax": partial(_small_jax, what), "torch": partial(_small_torch, what),
        },
        tolerance=1e-4,
    )  # fmt: skip


def _small_graphc(what: str, x: Array, backend: str = "llvm") -> Run:
    sx = gx.placeholder("x", ("batch", *x.shape[1:]), "float32")
    f = gx.compile([sx], getattr(gx.linalg, what)(sx), backend=backend)
    return pure(lambda: f(x))


def _small_jax(what: str, x: Array) -> Run:
    import jax

    f, a = jax.jit(getattr(jax.numpy.linalg, what)), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(a)))


def _small_torch(what: str, x: Array) -> Run:
    import torch

    a = torch.from_numpy(x)
    return pure(lambda: getattr(torch.linalg, what)(a))


def solve(size: int) -> Workload:
    return Workload(
        f"solve, {size} x {size}", lambda: (_definite(size), normal((size,), seed=1)),
        {
            "graphc": _solve_graphc, "numpy": lambda a, b: pure(lambda: np.linalg.solve(a, b)), "jax": _solve_jax,
            "torch": _solve_torch,
        },
        tolerance=1e-5, flops=2 * size**3 / 3,
    )  # fmt: skip


def _solve_graphc(a: Array, b: Array, backend: str = "llvm") -> Run:
    sa, sb = gx.placeholder("a", a.shape, "float32"), gx.placeholder("b", b.shape, "float32")
    f = gx.compile([sa, sb], gx.linalg.solve(sa, sb), backend=backend)
    return pure(lambda: f(a, b))


def _solve_jax(a: Array, b: Array) -> Run:
    import jax

    f, on_device = jax.jit(jax.numpy.linalg.solve), [jax.numpy.asarray(x) for x in (a, b)]
    return pure(lambda: jax.block_until_ready(f(*on_device)))


def _solve_torch(a: Array, b: Array) -> Run:
    import torch

    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    return pure(lambda: torch.linalg.solve(ta, tb))
