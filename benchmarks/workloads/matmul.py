"""Products of matrices, M x K by K x N, alone and with a bias and gelu behind them."""

from __future__ import annotations

from functools import partial

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure
from benchmarks.workloads.onnx import session


def matmul(m: int, k: int, n: int) -> Workload:
    return Workload(
        f"matmul {m} x {k} x {n}", lambda: (normal((m, k)), normal((k, n), seed=1)),
        {
            "graphc": _graphc, "numpy": _numpy, "jax": _jax, "torch": _torch,
            "torch.compile": partial(_torch, compiled=True), "pytensor": _pytensor, "onnxruntime": _onnx,
        },
        tolerance=1e-5,
        flops=2 * m * k * n,
    )  # fmt: skip


def _graphc(a: Array, b: Array, backend: str = "llvm") -> Run:
    sa, sb = gx.placeholder("a", a.shape, "float32"), gx.placeholder("b", b.shape, "float32")
    f = gx.compile([sa, sb], sa @ sb, backend=backend)
    return pure(lambda: f(a, b))


def _numpy(a: Array, b: Array) -> Run:
    c = np.empty((a.shape[0], b.shape[1]), a.dtype)
    return pure(lambda: np.matmul(a, b, out=c))


def _jax(a: Array, b: Array) -> Run:
    import jax

    f, x, y = jax.jit(lambda a, b: a @ b), jax.numpy.asarray(a), jax.numpy.asarray(b)
    return pure(lambda: jax.block_until_ready(f(x, y)))


def _torch(a: Array, b: Array, compiled: bool = False) -> Run:
    import torch

    x, y = torch.from_numpy(a), torch.from_numpy(b)
    if compiled:
        f = torch.compile(lambda x, y: x @ y, dynamic=False)
        return pure(lambda: f(x, y))
    c = torch.empty(a.shape[0], b.shape[1])
    return pure(lambda: torch.mm(x, y, out=c))


def _pytensor(a: Array, b: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    sa, sb = pt.matrix("a", dtype="float32"), pt.matrix("b", dtype="float32")
    f = pytensor.function([sa, sb], sa @ sb, trust_input=True)
    return pure(lambda: f(a, b))


def _onnx(a: Array, b: Array) -> Run:
    return session([("MatMul", ["a", "b"], "c")], {"a": a, "b": b}, {}, {"c": np.empty((a.shape[0], b.shape[1]), a.dtype)})


def layer(m: int, k: int, n: int) -> Workload:
    """gelu(a @ w + b), gelu in its exact form."""
    return Workload(
        f"matmul + bias + gelu {m} x {k} x {n}", lambda: (normal((m, k)), normal((k, n), seed=1) / 16, normal((n,), seed=2)),
        {
            "graphc": _layer_graphc, "jax": _layer_jax, "torch": _layer_torch,
            "torch.compile": partial(_layer_torch, compiled=True), "pytensor": _layer_pytensor, "onnxruntime": _layer_onnx,
        },
        tolerance=1e-5,
        flops=2 * m * k * n,
    )  # fmt: skip


def _layer_graphc(a: Array, w: Array, b: Array, backend: str = "llvm") -> Run:
    sa, sw, sb = (gx.placeholder(name, array.shape, "float32") for name, array in (("a", a), ("w", w), ("b", b)))
    f = gx.compile([sa, sw, sb], gx.nn.gelu(sa @ sw + sb), backend=backend)
    return pure(lambda: f(a, w, b))


def _layer_jax(*arrays: Array) -> Run:
    import jax

    f = jax.jit(lambda a, w, b: jax.nn.gelu(a @ w + b, approximate=False))
    on_device = [jax.numpy.asarray(a) for a in arrays]
    return pure(lambda: jax.block_until_ready(f(*on_device)))


def _layer_torch(*arrays: Array, compiled: bool = False) -> Run:
    import torch

    f = lambda a, w, b: torch.nn.functional.gelu(torch.addmm(b, a, w))
    f, tensors = torch.compile(f, dynamic=False) if compiled else f, [torch.from_numpy(a) for a in arrays]
    return pure(lambda: f(*tensors))


def _layer_pytensor(a: Array, w: Array, b: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    sa, sw, sb = pt.matrix("a", dtype="float32"), pt.matrix("w", dtype="float32"), pt.vector("b", dtype="float32")
    h = sa @ sw + sb
    f = pytensor.function([sa, sw, sb], 0.5 * h * (1 + pt.erf(h * np.float32(0.5**0.5))), trust_input=True)
    return pure(lambda: f(a, w, b))


def _layer_onnx(a: Array, w: Array, b: Array) -> Run:
    nodes = [("MatMul", ["a", "w"], "p"), ("Add", ["p", "b"], "h"), ("Gelu", ["h"], "y")]
    return session(nodes, {"a": a}, {"w": w, "b": b}, {"y": np.empty((a.shape[0], w.shape[1]), a.dtype)})
