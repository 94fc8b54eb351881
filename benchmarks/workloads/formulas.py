"""Formulas over vectors: the call of a scalar graph, and tanh(x) exp(-x x)."""

from __future__ import annotations

from functools import partial

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure
from benchmarks.workloads.onnx import session


def scalar_call() -> Workload:
    """2 x + 1 of one number: nothing but what the call of something compiled costs."""
    return Workload(
        "call of a scalar graph", lambda: (np.array(3.0, np.float32),),
        {
            "graphc": _scalar_graphc, "jax": _scalar_jax, "torch": _scalar_torch,
            "torch.compile": partial(_scalar_torch, compiled=True), "pytensor": _scalar_pytensor, "numexpr": _scalar_numexpr,
            "onnxruntime": _scalar_onnx,
        },
        tolerance=0,
    )  # fmt: skip


def _scalar_graphc(x: Array, backend: str = "llvm") -> Run:
    s = gx.placeholder("x", (), "float32")
    f = gx.compile([s], s * 2 + 1, backend=backend)
    return pure(lambda: f(x))


def _scalar_jax(x: Array) -> Run:
    import jax

    f, on_device = jax.jit(lambda x: x * 2 + 1), jax.numpy.asarray(x)
    return pure(lambda: jax.block_until_ready(f(on_device)))


def _scalar_torch(x: Array, compiled: bool = False) -> Run:
    import torch

    f = lambda x: x * 2 + 1
    f, tensor = torch.compile(f) if compiled else f, torch.from_numpy(x)
    return pure(lambda: f(tensor))


def _scalar_pytensor(x: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    s = pt.scalar("x", dtype="float32")
    f = pytensor.function([s], s * 2 + 1, trust_input=True)
    return pure(lambda: f(x))


def _scalar_numexpr(x: Array) -> Run:
    import numexpr

    names = {"x": x}
    numexpr.evaluate("x * 2 + 1", names)
    return pure(lambda: numexpr.re_evaluate(names))


def _scalar_onnx(x: Array) -> Run:
    constants = {"two": np.array(2, np.float32), "one": np.array(1, np.float32)}
    return session([("Mul", ["x", "two"], "p"), ("Add", ["p", "one"], "y")], {"x": x}, constants, {"y": x})


def tanh_exp(n: int) -> Workload:
    return Workload(
        f"tanh(x) exp(-x x), n = {n:,}", lambda: (normal((n,)),),
        {
            "graphc": _tanh_graphc, "numpy": _tanh_numpy, "jax": _tanh_jax, "torch": _tanh_torch,
            "torch.compile": partial(_tanh_torch, compiled=True), "pytensor": _tanh_pytensor, "numexpr": _tanh_numexpr,
            "onnxruntime": _tanh_onnx,
        },
        tolerance=1e-6,
        bytes=8 * n if n >= 8_000_000 else 0,
    )  # fmt: skip


def _tanh_graphc(x: Array, backend: str = "llvm") -> Run:
    s = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([s], gx.tanh(s) * gx.exp(-s * s), backend=backend)
    return pure(lambda: f(x))


def _tanh_numpy(x: Array) -> Run:
    return pure(lambda: np.tanh(x) * np.exp(-x * x))


def _tanh_jax(x: Array) -> Run:
    import jax
    import jax.numpy as jnp

    f, on_device = jax.jit(lambda x: jnp.tanh(x) * jnp.exp(-x * x)), jnp.asarray(x)
    return pure(lambda: jax.block_until_ready(f(on_device)))


def _tanh_torch(x: Array, compiled: bool = False) -> Run:
    import torch

    f = lambda x: torch.tanh(x) * torch.exp(-x * x)
    f, tensor = torch.compile(f, dynamic=False) if compiled else f, torch.from_numpy(x)
    return pure(lambda: f(tensor))


def _tanh_pytensor(x: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    s = pt.vector("x", dtype="float32")
    f = pytensor.function([s], pt.tanh(s) * pt.exp(-s * s), trust_input=True)
    return pure(lambda: f(x))


def _tanh_numexpr(x: Array) -> Run:
    import numexpr

    names, y = {"x": x}, np.empty_like(x)
    numexpr.evaluate("tanh(x) * exp(-x * x)", names, out=y)
    return pure(lambda: numexpr.re_evaluate(names))


def _tanh_onnx(x: Array) -> Run:
    nodes = [
        ("Tanh", ["x"], "t"), ("Mul", ["x", "x"], "s"), ("Neg", ["s"], "m"), ("Exp", ["m"], "e"), ("Mul", ["t", "e"], "y"),
    ]  # fmt: skip
    return session(nodes, {"x": x}, {}, {"y": x})
