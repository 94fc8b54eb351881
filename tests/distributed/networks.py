"""Small networks whose losses are means over a batch: what is distributed in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workloads.gpt import Shape, logits, parameters

Array = np.ndarray[Any, Any]
Network = tuple[list[gx.Tensor], gx.Tensor, list[gx.Variable], Callable[[int], list[Array]]]


def mlp() -> Network:
    rng = np.random.default_rng(1)
    x, t = gx.placeholder("x", ("batch", 20)), gx.placeholder("t", ("batch",), "int64")
    shapes = ((20, 33), (33,), (33, 10), (10,))
    w1, b1, w2, b2 = ws = [gx.variable(0.3 * rng.standard_normal(s, np.float32), name=f"w{i}") for i, s in enumerate(shapes)]
    loss = gx.nn.cross_entropy(gx.nn.relu(x @ w1 + b1) @ w2 + b2, t)
    return [x, t], loss, ws, lambda n: [rng.standard_normal((n, 20), np.float32), rng.integers(0, 10, n)]


def cnn() -> Network:
    rng = np.random.default_rng(2)
    x, t = gx.placeholder("x", ("batch", 10, 10, 2)), gx.placeholder("t", ("batch",), "int64")
    shapes = ((3, 3, 2, 6), (6,), (96, 5), (5,))
    k, b, w, c = ws = [gx.variable(0.3 * rng.standard_normal(s, np.float32), name=f"w{i}") for i, s in enumerate(shapes)]
    h = gx.nn.max_pool(gx.nn.relu(gx.nn.conv(x, k, layout="NHWC") + b), 2, layout="NHWC")
    loss = gx.nn.cross_entropy(gx.reshape(h, (h.shape[0], 96)) @ w + c, t)
    return [x, t], loss, ws, lambda n: [rng.standard_normal((n, 10, 10, 2), np.float32), rng.integers(0, 5, n)]


def gpt(shape: Shape | None = None) -> Network:
    rng, s = np.random.default_rng(3), shape or Shape(layers=1, width=32, heads=2, time=16, vocabulary=11)
    ws = {name: gx.variable(a, name=name) for name, a in parameters(s).items()}
    words = [gx.placeholder(name, ("batch", s.time), "int64") for name in ("words", "next")]
    loss = gx.nn.cross_entropy(logits(s, ws, words[0]), words[1])
    return words, loss, list(ws.values()), lambda n: [rng.integers(0, s.vocabulary, (n, s.time)) for _ in words]


NETWORKS: dict[str, Callable[[], Network]] = {"mlp": mlp, "cnn": cnn, "gpt": gpt}
