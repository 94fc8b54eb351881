"""Softmax and layer-norm along the rows of a matrix, with their gradients for a given cotangent."""

from __future__ import annotations

from functools import partial
from typing import Any

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure

EPS = 1e-5


def softmax(rows: int, columns: int) -> Workload:
    return Workload(
        f"softmax with gradient, {rows} x {columns}", lambda: (normal((rows, columns)), normal((rows, columns), seed=1)),
        {
            "graphc": _softmax_graphc, "jax": _softmax_jax, "torch": _softmax_torch,
            "torch.compile": partial(_softmax_torch, compiled=True), "pytensor": _softmax_pytensor,
        },
        tolerance=1e-5,
        bytes=4 * 4 * rows * columns if rows * columns >= 2**21 else 0,
    )  # fmt: skip


def _softmax_graphc(x: Array, g: Array, backend: str = "llvm") -> Run:
    sx, sg = (gx.placeholder(name, ("rows", x.shape[1]), "float32") for name in ("x", "g"))
    y = gx.nn.softmax(sx)
    f = gx.compile([sx, sg], [y, gx.vjp(y, sx, sg)], backend=backend)
    return pure(lambda: f(x, g))


def _softmax_jax(x: Array, g: Array) -> Run:
    import jax

    @jax.jit
    def f(x: Any, g: Any) -> tuple[Any, Any]:
        y, pull = jax.vjp(jax.nn.softmax, x)
        return y, *pull(g)

    a, b = jax.numpy.asarray(x), jax.numpy.asarray(g)
    return pure(lambda: jax.block_until_ready(f(a, b)))


def _softmax_torch(x: Array, g: Array, compiled: bool = False) -> Run:
    import torch

    f = lambda x: torch.softmax(x, -1)
    return _torch_vjp(torch.compile(f, dynamic=False) if compiled else f, [x], g)


def _softmax_pytensor(x: Array, g: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    sx, sg = pt.matrix("x", dtype="float32"), pt.matrix("g", dtype="float32")
    y = pt.special.softmax(sx, axis=-1)
    f = pytensor.function([sx, sg], [y, pt.grad((y * sg).sum(), sx)], trust_input=True)
    return pure(lambda: f(x, g))


def layer_norm(rows: int, columns: int) -> Workload:
    """With weight and bias, and their gradients too."""

    def arrays() -> tuple[Array, ...]:
        return (
            normal((rows, columns)), 1 + normal((columns,), seed=1) / 8, normal((columns,), seed=2),
            normal((rows, columns), seed=3),
        )  # fmt: skip

    return Workload(
        f"layer-norm with gradients, {rows} x {columns}", arrays,
        {
            "graphc": _norm_graphc, "jax": _norm_jax, "torch": _norm_torch,
            "torch.compile": partial(_norm_torch, compiled=True), "pytensor": _norm_pytensor,
        },
        tolerance=1e-5,
        bytes=4 * 4 * rows * columns if rows * columns >= 2**21 else 0,
    )  # fmt: skip


def _norm_graphc(x: Array, w: Array, b: Array, g: Array, backend: str = "llvm") -> Run:
    sx, sg = (gx.placeholder(name, ("rows", x.shape[1]), "float32") for name in ("x", "g"))
    sw, sb = (gx.placeholder(name, w.shape, "float32") for name in ("w", "b"))
    y = gx.nn.layer_norm(sx, sw, sb, eps=EPS)
    f = gx.compile([sx, sw, sb, sg], [y, *gx.vjp(y, [sx, sw, sb], sg)], backend=backend)
    return pure(lambda: f(x, w, b, g))


def _norm(x: Any, w: Any, b: Any, m: Any) -> Any:
    off = x - x.mean(axis=-1, keepdims=True)
    return off / m.sqrt((off * off).mean(axis=-1, keepdims=True) + EPS) * w + b


def _norm_jax(*arrays: Array) -> Run:
    import jax

    @jax.jit
    def f(x: Any, w: Any, b: Any, g: Any) -> tuple[Any, ...]:
        y, pull = jax.vjp(lambda x, w, b: _norm(x, w, b, jax.numpy), x, w, b)
        return y, *pull(g)

    on_device = [jax.numpy.asarray(a) for a in arrays]
    return pure(lambda: jax.block_until_ready(f(*on_device)))


def _norm_torch(x: Array, w: Array, b: Array, g: Array, compiled: bool = False) -> Run:
    import torch

    f = lambda x, w, b: torch.nn.functional.layer_norm(x, (x.shape[-1],), w, b, EPS)
    return _torch_vjp(torch.compile(f, dynamic=False) if compiled else f, [x, w, b], g)


def _torch_vjp(f: Any, inputs: list[Array], g: Array) -> Run:
    import torch

    leaves, cotangent = [torch.from_numpy(a).requires_grad_() for a in inputs], torch.from_numpy(g)

    def call() -> list[Any]:
        y = f(*leaves)
        return [y.detach(), *torch.autograd.grad(y, leaves, cotangent)]

    return pure(call)


def _norm_pytensor(x: Array, w: Array, b: Array, g: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    sx, sg = pt.matrix("x", dtype="float32"), pt.matrix("g", dtype="float32")
    sw, sb = pt.vector("w", dtype="float32"), pt.vector("b", dtype="float32")
    y = _norm(sx, sw, sb, pt)
    f = pytensor.function([sx, sw, sb, sg], [y, *pt.grad((y * sg).sum(), [sx, sw, sb])], trust_input=True)
    return pure(lambda: f(x, w, b, g))
