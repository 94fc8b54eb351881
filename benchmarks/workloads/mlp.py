"""A training step of a network of dense layers with relu between them, under cross-entropy and Adam."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal
from benchmarks.workloads.training import Parameters, graphc_step, jax_step, pytensor_step, torch_step

SIZES = (784, 512, 512, 10)


def mlp(batch: int, sizes: tuple[int, ...] = SIZES) -> Workload:
    def arrays() -> tuple[Array, Array, Parameters]:
        parameters: dict[str, Array] = {}
        for layer, (k, n) in enumerate(pairwise(sizes)):
            parameters[f"w{layer}"] = normal((k, n), seed=layer) * np.float32(math.sqrt(2 / k))
            parameters[f"b{layer}"] = np.zeros(n, np.float32)
        return normal((batch, sizes[0]), seed=9), np.random.default_rng(0).integers(0, sizes[-1], batch), parameters

    return Workload(
        f"MLP step {'-'.join(map(str, sizes))}, batch {batch}", arrays,
        {"graphc": _graphc, "jax": _jax, "torch": _torch, "torch.compile": partial(_torch, compiled=True), "pytensor": _pytensor},
        tolerance=1e-4,
        flops=6 * batch * sum(k * n for k, n in pairwise(sizes)) - 2 * batch * sizes[0] * sizes[1],  # no gradient for the data
    )  # fmt: skip


def _layers(parameters: Parameters) -> range:
    return range(len(parameters) // 2)


def _graphc(x: Array, t: Array, parameters: Parameters, backend: str = "llvm") -> Run:
    variables = {name: gx.variable(a, name=name) for name, a in parameters.items()}
    sx, st = gx.placeholder("x", ("batch", x.shape[1]), "float32"), gx.placeholder("t", ("batch",), "int64")
    h: gx.Tensor = sx
    for layer in _layers(parameters):
        h = (gx.nn.relu(h) if layer else h) @ variables[f"w{layer}"] + variables[f"b{layer}"]
    return graphc_step([sx, st], gx.nn.cross_entropy(h, st), list(variables.values()), (x, t), backend)


def _jax(x: Array, t: Array, parameters: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = x
        for layer in _layers(p):
            h = (jax.nn.relu(h) if layer else h) @ p[f"w{layer}"] + p[f"b{layer}"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(h), t[:, None], 1))

    return jax_step(loss, parameters, (x, t))


def _torch(x: Array, t: Array, parameters: Parameters, compiled: bool = False) -> Run:
    import torch

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = x
        for layer in _layers(p):
            h = torch.addmm(p[f"b{layer}"], torch.relu(h) if layer else h, p[f"w{layer}"])
        return torch.nn.functional.cross_entropy(h, t)

    return torch_step(loss, parameters, (x, t), compiled)


def _pytensor(x: Array, t: Array, parameters: Parameters) -> Run:
    import pytensor.tensor as pt

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = x
        for layer in _layers(p):
            h = pt.dot(pt.maximum(h, 0) if layer else h, p[f"w{layer}"]) + p[f"b{layer}"]
        return -pt.mean(pt.special.log_softmax(h, axis=1)[pt.arange(t.shape[0]), t], dtype="float32")

    return pytensor_step(loss, parameters, [pt.matrix("x", dtype="float32"), pt.vector("t", dtype="int64")], (x, t))
