"""Text from a small GPT, a letter at a time with a key-value cache: always the most probable letter, batch 1.

A call each is what `examples/generation.py` does: one compiled step for every letter, the caches in variables; torch does so
eagerly. All in one call is a scan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload
from benchmarks.workloads.fitting import LAST, LETTERS, Parameters, gpt_model, gpt_weights, peers_gpt, weights
from benchmarks.workloads.gpt import EPS, Shape


def writing(shape: Shape | None = None, loop: bool = False) -> Workload:
    """As many letters as the model has places; the first is given."""
    s = shape or Shape(vocabulary=LETTERS)
    letters = s.time - 1
    products = s.layers * 12 * s.width**2 + s.width * s.vocabulary
    builders = {"graphc": _graphc_loop if loop else _graphc, "jax": _jax_loop if loop else _jax, "torch": _torch}
    return Workload(
        f"a GPT writes {letters} letters, {'all in one call' if loop else 'a call each'}", lambda: (gpt_weights(s),),
        {name: partial(build, s) for name, build in builders.items() if not (loop and name == "torch")},
        tolerance=1e-4, flops=2 * letters * (products + s.layers * s.time * s.width), count=letters, counted="letters",
    )  # fmt: skip


def _run(write: Callable[[], tuple[Any, Any]]) -> Run:
    """write() -> the letters, and the scores after the last but one."""
    return Run(write, lambda: [np.asarray(a) for a in write()])


# --- graphc ----------------------------------------------------------------------------------------------------------


def _model(s: Shape, p: Parameters) -> tuple[Any, list[tuple[Array, ...]]]:
    """The example's model with these weights, and empty caches."""
    model = gpt_model(s)
    for path, variable in weights(model).items():
        variable.value = p[path]
    shape = (1, s.heads, s.time, s.width // s.heads)
    return model, [(np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in range(s.layers)]


def _graphc(s: Shape, p: Parameters, backend: str = "llvm") -> Run:
    model, empty = _model(s, p)
    caches = [tuple(gx.variable(a) for a in pair) for pair in empty]
    word, place = gx.placeholder("word", (), "int64"), gx.placeholder("place", (), "int64")
    logits, new = model(gx.reshape(word, (1, 1)), caches=caches, position=place)
    updates = {old: now for pair, got in zip(caches, new, strict=True) for old, now in zip(pair, got, strict=True)}
    step = gx.compile([word, place], [gx.argmax(logits[0, 0]), logits[0, 0]], updates=updates, backend=backend)

    places = [np.array(place) for place in range(s.time - 1)]

    def write() -> tuple[Any, Any]:
        said, word = [], np.array(0)
        for place in places:
            word, scores = step(word, place)
            said.append(int(word))
        return said, scores

    return _run(write)


def _graphc_loop(s: Shape, p: Parameters, backend: str = "llvm") -> Run:
    model, empty = _model(s, p)
    start = [gx.constant(a) for pair in empty for a in pair]
    first = gx.placeholder("first", (), "int64")

    def step(carry: Any, place: Any) -> Any:
        word, _, *flat = carry
        caches = list(zip(flat[::2], flat[1::2], strict=True))
        logits, new = model(gx.reshape(word, (1, 1)), caches=caches, position=place)
        best = gx.argmax(logits[0, 0])
        return (best, logits[0, 0], *(a for pair in new for a in pair)), best

    last, words = gx.scan(step, (first, gx.zeros((s.vocabulary,), "float32"), *start), gx.arange(s.time - 1))
    write = gx.compile([first], [words, last[1]], backend=backend)
    return _run(lambda: write(0))


# --- peers -----------------------------------------------------------------------------------------------------------


def _torch(s: Shape, p: Parameters) -> Run:
    import torch
    import torch.nn.functional as F

    turned = lambda name, a: a.T if a.ndim == 2 and name.endswith(".w") else a
    w = {name: torch.from_numpy(np.array(turned(name, a), order="C")) for name, a in peers_gpt(p).items()}
    kept = [torch.zeros(2, 1, s.heads, s.time, s.width // s.heads) for _ in range(s.layers)]

    def dense(x: Any, name: str) -> Any:
        return F.linear(x, w[f"{name}.w"], w[f"{name}.b"])

    def norm(x: Any, name: str, eps: float = EPS) -> Any:
        return F.layer_norm(x, (s.width,), w[f"{name}.w"], w[f"{name}.b"], eps)

    def scores_of(word: Any, place: int) -> Any:
        x = w["token"][word] + w["position"][place]
        for i, cache in enumerate(kept):
            q, k, v = dense(norm(x, f"block{i}.norm1"), f"block{i}.qkv").view(3, 1, s.heads, 1, -1)
            cache[0, :, :, place], cache[1, :, :, place] = k[:, :, 0], v[:, :, 0]
            seen = F.scaled_dot_product_attention(q, *cache[:, :, :, : place + 1])  # no mask: only what is written
            x = x + dense(seen.reshape(1, s.width), f"block{i}.mix")
            x = x + dense(F.gelu(dense(norm(x, f"block{i}.norm2"), f"block{i}.up")), f"block{i}.down")
        return dense(norm(x, "norm", LAST), "head")[0]

    def write() -> tuple[Any, Any]:
        with torch.inference_mode():
            said = [0]
            for place in range(s.time - 1):
                scores = scores_of(torch.tensor([said[-1]]), place)
                said.append(int(scores.argmax()))
            return said[1:], scores

    return _run(write)


def _jax_parts(s: Shape, p: Parameters) -> tuple[Any, Any, Any]:
    """step(weights, caches, word, place) -> caches, best word, scores; the weights; empty caches."""
    import jax
    import jax.numpy as jnp

    w = {name: jnp.asarray(a) for name, a in peers_gpt(p).items()}
    places = jnp.arange(s.time)

    def step(w: Any, caches: Any, word: Any, place: Any) -> Any:
        dense = lambda x, name: x @ w[f"{name}.w"] + w[f"{name}.b"]

        def norm(x: Any, name: str, eps: float = EPS) -> Any:
            off = x - jnp.mean(x, -1, keepdims=True)
            return off * jax.lax.rsqrt(jnp.mean(off * off, -1, keepdims=True) + eps) * w[f"{name}.w"] + w[f"{name}.b"]

        x, new = w["token"][word] + w["position"][place], []
        for i, (keys, values) in enumerate(caches):
            q, k, v = dense(norm(x, f"block{i}.norm1"), f"block{i}.qkv").reshape(3, s.heads, -1)
            keys, values = keys.at[:, place].set(k), values.at[:, place].set(v)
            new.append((keys, values))
            scores = jnp.einsum("hd,htd->ht", q, keys) * (q.shape[-1] ** -0.5)
            share = jax.nn.softmax(jnp.where(places <= place, scores, -jnp.inf))
            x = x + dense(jnp.einsum("ht,htd->hd", share, values).reshape(-1), f"block{i}.mix")
            high = dense(norm(x, f"block{i}.norm2"), f"block{i}.up")
            x = x + dense(jax.nn.gelu(high, approximate=False), f"block{i}.down")
        scores = dense(norm(x, "norm", LAST), "head")
        return new, jnp.argmax(scores), scores

    empty = lambda: [tuple(jnp.zeros((s.heads, s.time, s.width // s.heads)) for _ in "kv") for _ in range(s.layers)]
    return step, w, empty


def _jax(s: Shape, p: Parameters) -> Run:
    import jax

    step, w, empty = _jax_parts(s, p)
    run = jax.jit(step, donate_argnums=1)
    caches = empty()

    def write() -> tuple[Any, Any]:
        nonlocal caches
        said = [0]
        for place in range(s.time - 1):
            caches, word, scores = run(w, caches, said[-1], place)
            said.append(int(word))
        return said[1:], scores

    return _run(write)


def _jax_loop(s: Shape, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    step, w, empty = _jax_parts(s, p)

    @jax.jit
    def write(w: Any, caches: Any) -> Any:
        def one(carry: Any, place: Any) -> Any:
            caches, word, _ = carry
            carry = step(w, caches, word, place)
            return carry, carry[1]

        start = (caches, jnp.zeros((), jnp.int32), jnp.zeros(s.vocabulary))
        (_, _, scores), words = jax.lax.scan(one, start, jnp.arange(s.time - 1))
        return words, scores

    caches = empty()
    return _run(lambda: jax.block_until_ready(write(w, caches)))
