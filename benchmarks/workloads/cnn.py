"""Convolutional networks: a training step of three layers, of two with one input channel and pooling, and of depthwise-separable
blocks; a ResNet-18 that only looks.

Every contender has the layout that suits it: channels last for graphc, jax and torch (in memory), channels first for onnxruntime.
Images are given in the contender's own layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure
from benchmarks.workloads.onnx import Node, session
from benchmarks.workloads.training import Parameters, graphc_step, jax_step, torch_step

# Layers: (channels that come out, stride, groups)
CNN = ((32, 1, False), (64, 2, False), (128, 2, False))
SEPARABLE = ((32, 1, False), (32, 1, True), (64, 2, False), (64, 1, True), (128, 2, False))
Layers = tuple[tuple[int, int, bool], ...]
CLASSES = 10


def parameters(layers: Layers) -> dict[str, Array]:
    """Kernels [3, 3, in, out]; of depthwise layers [3, 3, 1, channels], followed by one of [1, 1, in, out]."""
    made: dict[str, Array] = {}
    inner = 3
    for i, (outer, _, depthwise) in enumerate(layers):
        if depthwise:
            made[f"d{i}"] = normal((3, 3, 1, inner), seed=50 + i) * np.float32(math.sqrt(2 / 9))
        size = 1 if depthwise else 3
        made[f"w{i}"] = normal((size, size, inner, outer), seed=i) * np.float32(math.sqrt(2 / (size * size * inner)))
        made[f"b{i}"] = np.zeros(outer, np.float32)
        inner = outer
    made["w"], made["b"] = normal((inner, CLASSES), seed=99) * np.float32(math.sqrt(1 / inner)), np.zeros(CLASSES, np.float32)
    return made


def cnn(batch: int, size: int = 32) -> Workload:
    return _training(f"CNN step 3x3 32-64-128, batch {batch}", CNN, batch, size)


def separable(batch: int, size: int = 32) -> Workload:
    return _training(f"depthwise-separable step, batch {batch}", SEPARABLE, batch, size)


def _training(name: str, layers: Layers, batch: int, size: int) -> Workload:
    def arrays() -> tuple[Array, Array, Parameters]:
        return normal((batch, size, size, 3), seed=9), np.random.default_rng(0).integers(0, CLASSES, batch), parameters(layers)

    return Workload(
        name, arrays,
        {
            "graphc": partial(_graphc, layers), "jax": partial(_jax, layers), "torch": partial(_torch, layers),
            "torch.compile": partial(_torch, layers, compiled=True),
        },
        tolerance=1e-4, flops=_flops(layers, batch, size),
    )  # fmt: skip


def _flops(layers: Layers, batch: int, size: int) -> float:
    total, inner = 0.0, 3
    for i, (outer, stride, depthwise) in enumerate(layers):
        size //= stride
        work = batch * size * size * (9 * inner + inner * outer if depthwise else 9 * inner * outer)
        total += (6 if i else 4) * work  # no gradient for the data
        inner = outer
    return total


def _graphc(layers: Layers, x: Array, t: Array, p: Parameters, backend: str = "llvm") -> Run:
    v = {name: gx.variable(a, name=name) for name, a in p.items()}
    sx, st = gx.placeholder("x", ("batch", *x.shape[1:]), "float32"), gx.placeholder("t", ("batch",), "int64")
    return graphc_step([sx, st], cross_entropy(layers, v, sx, st), list(v.values()), (x, t), backend, momentum=True)


def cross_entropy(layers: Layers, v: Mapping[str, gx.Tensor], x: gx.Tensor, t: gx.Tensor) -> gx.Tensor:
    """The mean loss of the images x [batch, size, size, 3] of the classes t [batch]."""
    h = x
    conv = partial(gx.nn.conv, layout="NHWC", padding="same")
    for i, (_, stride, depthwise) in enumerate(layers):
        if depthwise:
            h = conv(h, v[f"d{i}"], stride=stride, groups=int(h.shape[-1]))  # type: ignore[arg-type]
        h = gx.nn.relu(conv(h, v[f"w{i}"], v[f"b{i}"], stride=1 if depthwise else stride))
    scores = gx.nn.global_avg_pool(h, layout="NHWC") @ v["w"] + v["b"]
    return gx.nn.cross_entropy(scores, t)


def _jax(layers: Layers, x: Array, t: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    def conv(h: Any, w: Any, stride: int, groups: int = 1) -> Any:
        return jax.lax.conv_general_dilated(
            h, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
        )

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = x
        for i, (_, stride, depthwise) in enumerate(layers):
            if depthwise:
                h = conv(h, p[f"d{i}"], stride, h.shape[-1])
            h = jax.nn.relu(conv(h, p[f"w{i}"], 1 if depthwise else stride) + p[f"b{i}"])
        scores = jnp.mean(h, axis=(1, 2)) @ p["w"] + p["b"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), t[:, None], 1))

    return jax_step(loss, p, (x, t), momentum=True)


def _torch(layers: Layers, x: Array, t: Array, p: Parameters, compiled: bool = False) -> Run:
    return torch_step(torch_cross_entropy(layers), p, (x, t), compiled, momentum=True)


def torch_cross_entropy(layers: Layers) -> Callable[..., Any]:
    """(parameters, x, t) -> the mean loss, by torch."""
    import torch
    import torch.nn.functional as F

    def conv(h: Any, w: Any, stride: int, groups: int = 1) -> Any:
        k = w.shape[0]
        total = max((math.ceil(h.shape[2] / stride) - 1) * stride + k - h.shape[2], 0)  # what "same" pads, the odd one after
        before, after = total // 2, total - total // 2
        if before != after:
            h = F.pad(h, (before, after, before, after))
            before = 0
        return F.conv2d(h, w.permute(3, 2, 0, 1), stride=stride, padding=before, groups=groups)

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = x.permute(0, 3, 1, 2)  # channels last in memory
        for i, (_, stride, depthwise) in enumerate(layers):
            if depthwise:
                h = conv(h, p[f"d{i}"], stride, h.shape[1])
            h = torch.relu(conv(h, p[f"w{i}"], 1 if depthwise else stride) + p[f"b{i}"].view(1, -1, 1, 1))
        return F.cross_entropy(h.mean((2, 3)) @ p["w"] + p["b"], t)

    return loss


# --- one input channel -----------------------------------------------------------------------------------------------

POOLED = (16, 32)  # channels that come out of two layers, each of them followed by pooling


def one_channel(batch: int, size: int = 28) -> Workload:
    """What first examples train on handwritten digits: 3x3 kernels, relu, and the largest of 2x2, twice; then a dense layer."""

    def arrays() -> tuple[Array, Array, Parameters]:
        made: dict[str, Array] = {}
        inner = 1
        for i, outer in enumerate(POOLED):
            made[f"w{i}"] = normal((3, 3, inner, outer), seed=i) * np.float32(math.sqrt(2 / (9 * inner)))
            made[f"b{i}"] = np.zeros(outer, np.float32)
            inner = outer
        long = (size // 4) ** 2 * inner
        made["w"], made["b"] = normal((long, CLASSES), seed=99) * np.float32(math.sqrt(1 / long)), np.zeros(CLASSES, np.float32)
        return normal((batch, size, size, 1), seed=9), np.random.default_rng(0).integers(0, CLASSES, batch), made

    first, second = POOLED
    work = 4 * size**2 * 9 * first + 6 * (size // 2) ** 2 * 9 * first * second + 6 * (size // 4) ** 2 * second * CLASSES
    return Workload(
        f"CNN step with one input channel, batch {batch}", arrays,
        {
            "graphc": _one_channel_graphc, "jax": _one_channel_jax, "torch": _one_channel_torch,
            "torch.compile": partial(_one_channel_torch, compiled=True),
        },
        tolerance=1e-4, flops=float(batch * work),
    )  # fmt: skip


def _one_channel_graphc(x: Array, t: Array, p: Parameters, backend: str = "llvm") -> Run:
    v = {name: gx.variable(a, name=name) for name, a in p.items()}
    sx, st = gx.placeholder("x", ("batch", *x.shape[1:]), "float32"), gx.placeholder("t", ("batch",), "int64")
    h: gx.Tensor = sx
    for i in range(len(POOLED)):
        h = gx.nn.relu(gx.nn.conv(h, v[f"w{i}"], v[f"b{i}"], padding="same", layout="NHWC"))
        h = gx.nn.max_pool(h, 2, layout="NHWC")
    scores = gx.reshape(h, (h.shape[0], p["w"].shape[0])) @ v["w"] + v["b"]
    return graphc_step([sx, st], gx.nn.cross_entropy(scores, st), list(v.values()), (x, t), backend, momentum=True)


def _one_channel_jax(x: Array, t: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = x
        for i in range(len(POOLED)):
            h = jax.lax.conv_general_dilated(h, p[f"w{i}"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            h = jax.lax.reduce_window(jax.nn.relu(h + p[f"b{i}"]), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        scores = h.reshape(h.shape[0], -1) @ p["w"] + p["b"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), t[:, None], 1))

    return jax_step(loss, p, (x, t), momentum=True)


def _one_channel_torch(x: Array, t: Array, p: Parameters, compiled: bool = False) -> Run:
    import torch
    import torch.nn.functional as F

    def loss(p: Any, x: Any, t: Any) -> Any:
        h = x.permute(0, 3, 1, 2)  # channels last in memory
        for i in range(len(POOLED)):
            h = F.max_pool2d(torch.relu(F.conv2d(h, p[f"w{i}"].permute(3, 2, 0, 1), p[f"b{i}"], padding=1)), 2)
        return F.cross_entropy(h.permute(0, 2, 3, 1).reshape(h.shape[0], -1) @ p["w"] + p["b"], t)

    return torch_step(loss, p, (x, t), compiled, momentum=True)


# --- ResNet-18, forward ----------------------------------------------------------------------------------------------

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels, stride of the first block; two blocks each


def _resnet_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """Kernels [size, size, in, out] with the batch norms' factors already in them; biases."""
    shapes: dict[str, tuple[int, ...]] = {"stem": (7, 7, 3, 64)}
    inner = 64
    for s, (outer, stride) in enumerate(STAGES):
        for block in range(2):
            shapes[f"s{s}.{block}.one"] = (3, 3, inner, outer)
            shapes[f"s{s}.{block}.two"] = (3, 3, outer, outer)
            if block == 0 and (stride > 1 or inner != outer):
                shapes[f"s{s}.{block}.skip"] = (1, 1, inner, outer)
            inner = outer
    shapes["head"] = (inner, classes)
    return shapes


def resnet(batch: int, size: int = 224, classes: int = 1000) -> Workload:
    def arrays() -> tuple[Array, Parameters]:
        made: dict[str, Array] = {}
        for i, (name, shape) in enumerate(_resnet_shapes(classes).items()):
            made[f"{name}.w"] = normal(shape, seed=i) * np.float32(math.sqrt(1 / math.prod(shape[:-1])))
            made[f"{name}.b"] = normal(shape[-1:], seed=100 + i) * np.float32(0.1)
        return normal((batch, size, size, 3), seed=9), made

    return Workload(
        f"ResNet-18 forward, batch {batch}", arrays,
        {"graphc": _resnet_graphc, "jax": _resnet_jax, "torch": _resnet_torch, "onnxruntime": _resnet_onnx},
        tolerance=1e-4, flops=2 * batch * _resnet_products(size, classes),
    )  # fmt: skip


def _resnet_products(size: int, classes: int) -> float:
    total, places = 0.0, 0
    here = size // 2
    for name, shape in _resnet_shapes(classes).items():
        if name == "head":
            places = 1
        elif name == "stem":
            places, here = here**2, here // 2
        else:
            if name.endswith("0.one") and not name.startswith("s0"):
                here //= 2
            places = here**2
        total += places * math.prod(shape)
    return total


def _network(conv: Callable[..., Any], relu: Any, pool: Any, head: Any, x: Any) -> Any:
    """The network, by what a contender calls its parts; conv(x, name, stride, padding)."""
    h = pool(relu(conv(x, "stem", 2, 3)))
    inner = 64
    for s, (outer, stride) in enumerate(STAGES):
        for block in range(2):
            by = stride if block == 0 else 1
            y = conv(relu(conv(h, f"s{s}.{block}.one", by, 1)), f"s{s}.{block}.two", 1, 1)
            if block == 0 and (stride > 1 or inner != outer):
                h = conv(h, f"s{s}.{block}.skip", by, 0)
            h = relu(y + h)
            inner = outer
    return head(h)


def _resnet_graphc(x: Array, p: Parameters, backend: str = "llvm") -> Run:
    v = {name: gx.constant(a) for name, a in p.items()}  # as onnxruntime has them: both lay them out once
    sx = gx.placeholder("x", x.shape, "float32")

    def conv(h: gx.Tensor, name: str, stride: int, padding: int) -> gx.Tensor:
        return gx.nn.conv(h, v[f"{name}.w"], v[f"{name}.b"], stride=stride, padding=padding, layout="NHWC")

    def head(h: gx.Tensor) -> gx.Tensor:
        return gx.nn.global_avg_pool(h, layout="NHWC") @ v["head.w"] + v["head.b"]

    pool = partial(gx.nn.max_pool, kernel=3, stride=2, padding=1, layout="NHWC")
    run = gx.compile([sx], _network(conv, gx.nn.relu, pool, head, sx), backend=backend)
    return pure(lambda: run(x))


def _resnet_jax(x: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    def look(x: Any, p: Any) -> Any:
        def conv(h: Any, name: str, stride: int, padding: int) -> Any:
            pads = ((padding, padding),) * 2
            made = jax.lax.conv_general_dilated(
                h, p[f"{name}.w"], (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )  # fmt: skip
            return made + p[f"{name}.b"]

        def pool(h: Any) -> Any:
            around = ((0, 0), (1, 1), (1, 1), (0, 0))
            return jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), around)

        return _network(conv, jax.nn.relu, pool, lambda h: jnp.mean(h, (1, 2)) @ p["head.w"] + p["head.b"], x)

    run, there = jax.jit(look), {name: jnp.asarray(a) for name, a in p.items()}
    image = jnp.asarray(x)
    return pure(lambda: run(image, there).block_until_ready())


def _resnet_torch(x: Array, p: Parameters) -> Run:
    import torch
    import torch.nn.functional as F

    def there(a: Array) -> Any:
        made = torch.from_numpy(a)
        return made.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last) if a.ndim == 4 else made

    v = {name: there(a) for name, a in p.items()}
    image = torch.from_numpy(x).permute(0, 3, 1, 2)  # channels last in memory

    def conv(h: Any, name: str, stride: int, padding: int) -> Any:
        return F.conv2d(h, v[f"{name}.w"], v[f"{name}.b"], stride=stride, padding=padding)

    def call() -> list[Array]:
        with torch.inference_mode():
            pool = partial(F.max_pool2d, kernel_size=3, stride=2, padding=1)
            return [_network(conv, torch.relu, pool, lambda h: h.mean((2, 3)) @ v["head.w"] + v["head.b"], image).numpy()]

    return pure(call)


def _resnet_onnx(x: Array, p: Mapping[str, Array]) -> Run:
    nodes: list[Node] = []

    def add(op: str, taken: list[str], **attributes: Any) -> str:
        made = f"v{len(nodes)}"
        nodes.append((op, taken, made, attributes))
        return made

    def conv(h: str, name: str, stride: int, padding: int) -> str:
        pads = {"strides": [stride, stride], "pads": [padding] * 4}
        return add("Conv", [h, f"{name}.w", f"{name}.b"], **pads)

    class Value(str):
        def __add__(self, other: str) -> Value:
            return Value(add("Add", [self, other]))

    def head(h: str) -> str:
        flat = add("Flatten", [add("GlobalAveragePool", [h])])
        return add("Gemm", [flat, "head.w", "head.b"])

    pool = partial(add, "MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    last = _network(
        lambda *a: Value(conv(*a)), lambda h: add("Relu", [h]), lambda h: pool([h]), head, "x"
    )  # fmt: skip
    constants = {n: np.ascontiguousarray(a.transpose(3, 2, 0, 1)) if a.ndim == 4 else a for n, a in p.items()}
    image = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return session(nodes, {"x": image}, constants, {last: np.empty((x.shape[0], p["head.b"].shape[0]), np.float32)})
