"""A training step of a small GPT: learned positions, blocks of pre-norm attention and gelu, cross-entropy, Adam.

The model of Radford et al. 2019 ("Language models are unsupervised multitask learners") without dropout, gelu in its exact form,
the head not tied to the embedding. `logits` is the model on graphc's public face; the batch is symbolic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload
from benchmarks.workloads.attention import jax_attention
from benchmarks.workloads.training import Parameters, graphc_step, jax_step, torch_step

EPS = 1e-5


@dataclass(frozen=True)
class Shape:
    """layers, width of the residual stream, heads, length of the text, size of the vocabulary"""

    layers: int = 4
    width: int = 128
    heads: int = 4
    time: int = 128
    vocabulary: int = 65


def parameters(shape: Shape) -> dict[str, Array]:
    rng, d = np.random.default_rng(0), shape.width
    made: dict[str, Array] = {}

    def dense(name: str, rows: int, columns: int) -> None:
        made[f"{name}.w"] = (0.02 * rng.standard_normal((rows, columns))).astype(np.float32)
        made[f"{name}.b"] = np.zeros(columns, np.float32)

    def norm(name: str) -> None:
        made[f"{name}.w"], made[f"{name}.b"] = np.ones(d, np.float32), np.zeros(d, np.float32)

    made["token"] = (0.02 * rng.standard_normal((shape.vocabulary, d))).astype(np.float32)
    made["position"] = (0.02 * rng.standard_normal((shape.time, d))).astype(np.float32)
    for layer in range(shape.layers):
        norm(f"block{layer}.norm1")
        dense(f"block{layer}.qkv", d, 3 * d)
        dense(f"block{layer}.mix", d, d)
        norm(f"block{layer}.norm2")
        dense(f"block{layer}.up", d, 4 * d)
        dense(f"block{layer}.down", 4 * d, d)
    norm("norm")
    dense("head", d, shape.vocabulary)
    return made


def gpt(batch: int, shape: Shape | None = None) -> Workload:
    s = shape or Shape()

    def arrays() -> tuple[Array, Array, Parameters]:
        tokens = np.random.default_rng(1).integers(0, s.vocabulary, (batch, s.time + 1))
        return np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:]), parameters(s)

    weights = s.layers * 12 * s.width**2 + s.width * s.vocabulary
    letters = f", {s.time} letters" if s.time != Shape.time else ""
    return Workload(
        f"GPT step, {s.layers} layers, width {s.width}, batch {batch}{letters}", arrays,
        {
            "graphc": partial(_graphc, s), "jax": partial(_jax, s), "torch": partial(_torch, s),
            "torch.compile": partial(_torch, s, compiled=True),
        },
        tolerance=1e-4,
        flops=6 * batch * s.time * (weights + s.layers * (s.time + 1) * s.width),  # of attention what a causal mask leaves
    )  # fmt: skip


# --- graphc ----------------------------------------------------------------------------------------------------------


def logits(shape: Shape, p: Mapping[str, gx.Tensor], tokens: gx.Tensor) -> gx.Tensor:
    """The scores [batch, time, vocabulary] of the next token after each of `tokens` [batch, time]."""
    batch, time = tokens.shape

    def dense(x: gx.Tensor, name: str) -> gx.Tensor:
        return x @ p[f"{name}.w"] + p[f"{name}.b"]

    def norm(x: gx.Tensor, name: str) -> gx.Tensor:
        return gx.nn.layer_norm(x, p[f"{name}.w"], p[f"{name}.b"], eps=EPS)

    def heads(x: gx.Tensor) -> gx.Tensor:
        """[batch, time, width] -> [batch, heads, time, width / heads]"""
        return gx.permute_dims(gx.reshape(x, (batch, time, shape.heads, -1)), (0, 2, 1, 3))

    x = gx.take(p["token"], tokens, axis=0) + p["position"]
    for layer in range(shape.layers):
        qkv = dense(norm(x, f"block{layer}.norm1"), f"block{layer}.qkv")
        q, k, v = (heads(qkv[:, :, i * shape.width : (i + 1) * shape.width]) for i in range(3))
        seen = gx.permute_dims(gx.nn.attention(q, k, v, causal=True), (0, 2, 1, 3))
        x = x + dense(gx.reshape(seen, (batch, time, shape.width)), f"block{layer}.mix")
        x = x + dense(gx.nn.gelu(dense(norm(x, f"block{layer}.norm2"), f"block{layer}.up")), f"block{layer}.down")
    return dense(norm(x, "norm"), "head")


def _graphc(shape: Shape, tokens: Array, targets: Array, p: Parameters, backend: str = "llvm") -> Run:
    variables = {name: gx.variable(a, name=name) for name, a in p.items()}
    inputs = [gx.placeholder(name, ("batch", shape.time), "int64") for name in ("tokens", "targets")]
    loss = gx.nn.cross_entropy(logits(shape, variables, inputs[0]), inputs[1])
    return graphc_step(inputs, loss, list(variables.values()), (tokens, targets), backend)


# --- peers -----------------------------------------------------------------------------------------------------------


def jax_logits(shape: Shape, p: Any, tokens: Any, last: float = EPS) -> Any:
    """The scores by jax. last: the epsilon of the last norm."""
    import jax
    import jax.numpy as jnp

    batch, time = tokens.shape

    def dense(x: Any, name: str) -> Any:
        return x @ p[f"{name}.w"] + p[f"{name}.b"]

    def norm(x: Any, name: str, eps: float = EPS) -> Any:
        off = x - jnp.mean(x, -1, keepdims=True)
        return off * jax.lax.rsqrt(jnp.mean(off * off, -1, keepdims=True) + eps) * p[f"{name}.w"] + p[f"{name}.b"]

    x = p["token"][tokens] + p["position"]
    for layer in range(shape.layers):
        qkv = dense(norm(x, f"block{layer}.norm1"), f"block{layer}.qkv")
        q, k, v = (a.reshape(batch, time, shape.heads, -1).transpose(0, 2, 1, 3) for a in jnp.split(qkv, 3, -1))
        seen = jax_attention(q, k, v).transpose(0, 2, 1, 3).reshape(batch, time, shape.width)
        x = x + dense(seen, f"block{layer}.mix")
        high = dense(norm(x, f"block{layer}.norm2"), f"block{layer}.up")
        x = x + dense(jax.nn.gelu(high, approximate=False), f"block{layer}.down")
    return dense(norm(x, "norm", last), "head")


def _jax(shape: Shape, tokens: Array, targets: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(p: Any, tokens: Any, targets: Any) -> Any:
        scores = jax.nn.log_softmax(jax_logits(shape, p, tokens))
        return -jnp.mean(jnp.take_along_axis(scores, targets[..., None], -1))

    return jax_step(loss, p, (tokens, targets))


def torch_logits(shape: Shape, p: Any, tokens: Any, last: float = EPS) -> Any:
    """The scores by torch. last: the epsilon of the last norm."""
    import torch.nn.functional as F

    batch, time = tokens.shape

    def dense(x: Any, name: str) -> Any:
        return F.linear(x, p[f"{name}.w"].t(), p[f"{name}.b"])

    def norm(x: Any, name: str, eps: float = EPS) -> Any:
        return F.layer_norm(x, (shape.width,), p[f"{name}.w"], p[f"{name}.b"], eps)

    x = F.embedding(tokens, p["token"]) + p["position"]
    for layer in range(shape.layers):
        qkv = dense(norm(x, f"block{layer}.norm1"), f"block{layer}.qkv")
        q, k, v = (a.view(batch, time, shape.heads, -1).transpose(1, 2) for a in qkv.split(shape.width, -1))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, time, shape.width)
        x = x + dense(seen, f"block{layer}.mix")
        x = x + dense(F.gelu(dense(norm(x, f"block{layer}.norm2"), f"block{layer}.up")), f"block{layer}.down")
    return dense(norm(x, "norm", last), "head")


def _torch(shape: Shape, tokens: Array, targets: Array, p: Parameters, compiled: bool = False) -> Run:
    import torch.nn.functional as F

    def loss(p: Any, tokens: Any, targets: Any) -> Any:
        return F.cross_entropy(torch_logits(shape, p, tokens).view(-1, shape.vocabulary), targets.view(-1))

    return torch_step(loss, p, (tokens, targets), compiled)
