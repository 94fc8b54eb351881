"""Causal attention over [batch, heads, time, width], and its gradients for a given cotangent."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure


def attention(batch: int, heads: int, time: int, width: int) -> Workload:
    def arrays() -> tuple[Array, ...]:
        return tuple(normal((batch, heads, time, width), seed=seed) for seed in range(4))  # queries, keys, values, cotangent

    return Workload(
        f"attention with gradients, {batch} x {heads} heads x {time} x {width}", arrays,
        {"graphc": _graphc, "jax": _jax, "torch": _torch, "torch.compile": partial(_torch, compiled=True)},
        tolerance=1e-5,
        # two products forward, four backward, of which a causal mask leaves (time + 1) / (2 time)
        flops=6 * 2 * batch * heads * time * (time + 1) / 2 * width,
    )  # fmt: skip


def _graphc(q: Array, k: Array, v: Array, g: Array, backend: str = "llvm") -> Run:
    sq, sk, sv, sg = (gx.placeholder(name, ("batch", *q.shape[1:]), "float32") for name in "qkvg")
    y = gx.nn.attention(sq, sk, sv, causal=True)
    f = gx.compile([sq, sk, sv, sg], [y, *gx.vjp(y, [sq, sk, sv], sg)], backend=backend)
    return pure(lambda: f(q, k, v, g))


def jax_attention(q: Any, k: Any, v: Any) -> Any:
    """Written out: jax has no fused kernel for it on a CPU."""
    import jax
    import jax.numpy as jnp

    time = q.shape[-2]
    scores = q @ jnp.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]))
    return jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -jnp.inf)) @ v


def _jax(*arrays: Array) -> Run:
    import jax

    @jax.jit
    def f(q: Any, k: Any, v: Any, g: Any) -> tuple[Any, ...]:
        y, pull = jax.vjp(jax_attention, q, k, v)
        return y, *pull(g)

    on_device = [jax.numpy.asarray(a) for a in arrays]
    return pure(lambda: jax.block_until_ready(f(*on_device)))


def _torch(*arrays: Array, compiled: bool = False) -> Run:
    import torch

    *leaves, g = (torch.from_numpy(a) for a in arrays)
    for leaf in leaves:
        leaf.requires_grad_()
    f = partial(torch.nn.functional.scaled_dot_product_attention, is_causal=True)
    f = torch.compile(f, dynamic=False) if compiled else f

    def call() -> list[Any]:
        y = f(*leaves)
        return [y.detach(), *torch.autograd.grad(y, leaves, g)]

    return pure(call)
