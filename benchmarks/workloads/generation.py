"""The next token of a text by a GPT that keeps the keys and values of what it has read: every weight is read once for one row."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure
from benchmarks.workloads.gpt import EPS, Shape, parameters
from benchmarks.workloads.onnx import Node, session
from benchmarks.workloads.training import Parameters


def next_token(shape: Shape | None = None) -> Workload:
    """The scores after one token more, and its keys and values, given those of the shape.time - 1 tokens before it."""
    s = shape or Shape(layers=8, width=512, heads=8, time=512, vocabulary=8192)
    weights = s.layers * 12 * s.width**2 + s.width * s.vocabulary

    def arrays() -> tuple[Array, Array, Parameters]:
        before = (2, s.layers, s.heads, s.time - 1, s.width // s.heads)
        return np.array([7]), normal(before), parameters(s)

    return Workload(
        f"GPT, one token behind {s.time - 1}, {s.layers} layers, width {s.width}", arrays,
        {
            "graphc": partial(_graphc, s), "jax": partial(_jax, s), "torch": partial(_torch, s),
            "torch.compile": partial(_torch, s, compiled=True), "onnxruntime": partial(_onnx, s),
        },
        tolerance=1e-4, flops=2 * weights, bytes=4 * (weights + 2 * s.layers * s.time * s.width), count=1, counted="tokens",
    )  # fmt: skip


def _graphc(s: Shape, token: Array, before: Array, p: Parameters, backend: str = "llvm") -> Run:
    w = {name: gx.constant(a) for name, a in p.items()}
    dense = lambda x, name: x @ w[f"{name}.w"] + w[f"{name}.b"]
    norm = lambda x, name: gx.nn.layer_norm(x, w[f"{name}.w"], w[f"{name}.b"], eps=EPS)
    st, sb = gx.placeholder("token", (1,), "int64"), gx.placeholder("before", before.shape, "float32")
    x, made = gx.take(w["token"], st, axis=0) + w["position"][s.time - 1], []
    for i in range(s.layers):
        qkv = gx.reshape(dense(norm(x, f"block{i}.norm1"), f"block{i}.qkv"), (3, s.heads, 1, -1))
        keys, values = (gx.concat([sb[j, i], qkv[1 + j]], axis=1) for j in range(2))
        seen = gx.nn.attention(qkv[0], keys, values)
        x = x + dense(gx.reshape(seen, (1, s.width)), f"block{i}.mix")
        x = x + dense(gx.nn.gelu(dense(norm(x, f"block{i}.norm2"), f"block{i}.up")), f"block{i}.down")
        made.append(qkv[1:])
    f = gx.compile([st, sb], [dense(norm(x, "norm"), "head"), gx.stack(made)], backend=backend)
    return pure(lambda: f(token, before))


def _jax(s: Shape, token: Array, before: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    @jax.jit
    def look(w: Any, token: Any, before: Any) -> Any:
        dense = lambda x, name: x @ w[f"{name}.w"] + w[f"{name}.b"]

        def norm(x: Any, name: str) -> Any:
            off = x - jnp.mean(x, -1, keepdims=True)
            return off * jax.lax.rsqrt(jnp.mean(off * off, -1, keepdims=True) + EPS) * w[f"{name}.w"] + w[f"{name}.b"]

        x, made = w["token"][token] + w["position"][-1], []
        for i in range(s.layers):
            qkv = dense(norm(x, f"block{i}.norm1"), f"block{i}.qkv").reshape(3, s.heads, 1, -1)
            keys, values = (jnp.concatenate([before[j, i], qkv[1 + j]], 1) for j in range(2))
            scores = qkv[0] @ jnp.swapaxes(keys, -1, -2) * (s.width // s.heads) ** -0.5
            x = x + dense((jax.nn.softmax(scores) @ values).reshape(1, -1), f"block{i}.mix")
            x = x + dense(jax.nn.gelu(dense(norm(x, f"block{i}.norm2"), f"block{i}.up"), approximate=False), f"block{i}.down")
            made.append(qkv[1:])
        return dense(norm(x, "norm"), "head"), jnp.stack(made)

    w = {name: jnp.asarray(a) for name, a in p.items()}
    given = jnp.asarray(token), jnp.asarray(before)
    return pure(lambda: jax.block_until_ready(look(w, *given)))


def _torch(s: Shape, token: Array, before: Array, p: Parameters, compiled: bool = False) -> Run:
    import torch
    import torch.nn.functional as F

    w = {n: torch.from_numpy(np.ascontiguousarray(a.T) if n.endswith(".w") and a.ndim == 2 else a) for n, a in p.items()}
    dense = lambda x, name: F.linear(x, w[f"{name}.w"], w[f"{name}.b"])
    norm = lambda x, name: F.layer_norm(x, (s.width,), w[f"{name}.w"], w[f"{name}.b"], EPS)

    def look(token: Any, before: Any) -> Any:
        x, made = w["token"][token] + w["position"][-1], []
        for i in range(s.layers):
            qkv = dense(norm(x, f"block{i}.norm1"), f"block{i}.qkv").view(3, s.heads, 1, -1)
            keys, values = (torch.cat([before[j, i], qkv[1 + j]], 1) for j in range(2))
            seen = F.scaled_dot_product_attention(qkv[0], keys, values)
            x = x + dense(seen.reshape(1, -1), f"block{i}.mix")
            x = x + dense(F.gelu(dense(norm(x, f"block{i}.norm2"), f"block{i}.up")), f"block{i}.down")
            made.append(qkv[1:])
        return dense(norm(x, "norm"), "head"), torch.stack(made)

    f: Any = torch.compile(look, dynamic=False) if compiled else look
    given = torch.from_numpy(token), torch.from_numpy(before)

    def call() -> Any:
        with torch.inference_mode():
            return f(*given)

    return pure(call)


def _onnx(s: Shape, token: Array, before: Array, p: Parameters) -> Run:
    nodes: list[Node] = []
    constants: dict[str, Array] = {**p}

    def add(op: str, *taken: str, **attributes: Any) -> str:
        made = f"v{len(nodes)}"
        nodes.append((op, taken, made, attributes))
        return made

    def constant(a: Any, dtype: str = "int64") -> str:
        name = f"c{len(constants)}"
        constants[name] = np.asarray(a, dtype)
        return name

    dense = lambda x, name: add("Gemm", x, f"{name}.w", f"{name}.b")
    norm = lambda x, name: add("LayerNormalization", x, f"{name}.w", f"{name}.b", axis=-1, epsilon=EPS)
    parts, row, scale = constant((3, s.heads, 1, -1)), constant((1, -1)), constant(math.sqrt(s.heads / s.width), "float32")
    picked = {(j, i): constant((j, i)) for j in range(2) for i in range(s.layers)}
    which = [constant(j) for j in range(3)]
    x = add("Add", add("Gather", "token", "given"), constant(p["position"][-1], "float32"))
    made = []
    for i in range(s.layers):
        qkv = add("Reshape", dense(norm(x, f"block{i}.norm1"), f"block{i}.qkv"), parts)
        q, k, v = (add("Gather", qkv, which[j], axis=0) for j in range(3))
        keys, values = (add("Concat", add("GatherND", "before", picked[j, i]), a, axis=1) for j, a in enumerate((k, v)))
        scores = add("Mul", add("MatMul", q, add("Transpose", keys, perm=[0, 2, 1])), scale)
        seen = add("Reshape", add("MatMul", add("Softmax", scores, axis=-1), values), row)
        x = add("Add", x, dense(seen, f"block{i}.mix"))
        high = add("Gelu", dense(norm(x, f"block{i}.norm2"), f"block{i}.up"))
        x = add("Add", x, dense(high, f"block{i}.down"))
        made.append(add("Unsqueeze", add("Concat", *(add("Unsqueeze", a, which[0]) for a in (k, v)), axis=0), which[0]))
    scores, kept = dense(norm(x, "norm"), "head"), add("Concat", *made, axis=0)
    results = {
        scores: np.empty((1, s.vocabulary), np.float32),
        kept: np.empty((s.layers, 2, s.heads, 1, s.width // s.heads), np.float32),
    }
    return session(nodes, {"given": token, "before": before}, constants, results)


__all__ = ["next_token"]
