"""A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) of 3x3 convolutions with padding, looking at an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure
from benchmarks.workloads.onnx import Node, session
from benchmarks.workloads.training import Parameters

WIDTHS = (32, 64, 128, 256)


def u_net(batch: int = 1, size: int = 256, widths: tuple[int, ...] = WIDTHS) -> Workload:
    """Images of size x size with 3 channels to scores of 2 classes. From width to width the image is halved, or doubled again."""
    layers = _layers(widths, size)
    shapes = {name: (kernel, inner, outer) for name, kernel, inner, outer, _ in layers}

    def arrays() -> tuple[Array, Parameters]:
        made: dict[str, Array] = {}
        for i, (name, (kernel, inner, outer)) in enumerate(shapes.items()):
            scale = np.float32(math.sqrt(2 / (kernel * kernel * inner)))
            made[f"{name}.w"] = normal((kernel, kernel, inner, outer), seed=i) * scale
            made[f"{name}.b"] = normal((outer,), seed=100 + i) * np.float32(0.1)
        return normal((batch, size, size, 3), seed=9), made

    return Workload(
        f"U-Net forward, {size} x {size}, batch {batch}", arrays,
        {name: partial(build, widths) for name, build in {"graphc": _graphc, "torch": _torch, "onnxruntime": _onnx}.items()},
        tolerance=1e-4, flops=2 * batch * sum(k * k * inner * outer * here**2 for _, k, inner, outer, here in layers),
    )  # fmt: skip


def _layers(widths: tuple[int, ...], size: int) -> list[tuple[str, int, int, int, int]]:
    """Name, kernel, channels read, channels made, and pixels along a side, of every convolution."""
    made: list[tuple[str, int, int, int, int]] = []
    inner = 3
    for i, width in enumerate(widths):
        made += [(f"down{i}.0", 3, inner, width, size >> i), (f"down{i}.1", 3, width, width, size >> i)]
        inner = width
    for i, width in reversed(list(enumerate(widths[:-1]))):
        made += [(f"up{i}.0", 3, widths[i + 1] + width, width, size >> i), (f"up{i}.1", 3, width, width, size >> i)]
    return [*made, ("head", 1, widths[0], 2, size)]


def _network(
    depth: int, layer: Callable[[Any, str], Any], half: Callable[[Any], Any], join: Callable[[Any, Any], Any],
    head: Callable[[Any, str], Any], x: Any,
) -> Any:  # fmt: skip
    """The network, by what a contender calls its parts. join(h, skip) doubles h and puts it before skip."""
    skips = []
    for i in range(depth):
        x = layer(layer(x if i == 0 else half(x), f"down{i}.0"), f"down{i}.1")
        skips.append(x)
    for i in reversed(range(depth - 1)):
        x = layer(layer(join(x, skips[i]), f"up{i}.0"), f"up{i}.1")
    return head(x, "head")


def _graphc(widths: tuple[int, ...], x: Array, p: Parameters, backend: str = "llvm") -> Run:
    w = {name: gx.constant(a) for name, a in p.items()}
    sx = gx.placeholder("x", x.shape, "float32")
    conv = lambda h, name: gx.nn.conv(h, w[f"{name}.w"], w[f"{name}.b"], padding="same", layout="NHWC")
    half = partial(gx.nn.max_pool, kernel=2, stride=2, layout="NHWC")
    join = lambda h, skip: gx.concat([gx.repeat(gx.repeat(h, 2, axis=1), 2, axis=2), skip], axis=3)
    f = gx.compile([sx], _network(len(widths), lambda h, n: gx.nn.relu(conv(h, n)), half, join, conv, sx), backend=backend)
    return pure(lambda: f(x))


def _torch(widths: tuple[int, ...], x: Array, p: Parameters) -> Run:
    import torch
    import torch.nn.functional as F

    def there(a: Array) -> Any:
        made = torch.from_numpy(a)
        return made.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last) if a.ndim == 4 else made

    w = {name: there(a) for name, a in p.items()}
    image = torch.from_numpy(x).permute(0, 3, 1, 2)  # channels last in memory
    conv = lambda h, name: F.conv2d(h, w[f"{name}.w"], w[f"{name}.b"], padding="same")
    join = lambda h, skip: torch.cat([F.interpolate(h, scale_factor=2), skip], 1)

    def call() -> list[Array]:
        with torch.inference_mode():
            made = _network(len(widths), lambda h, n: conv(h, n).relu_(), partial(F.max_pool2d, kernel_size=2), join, conv, image)
            return [made.permute(0, 2, 3, 1).numpy()]

    return pure(call)


def _onnx(widths: tuple[int, ...], x: Array, p: Parameters) -> Run:
    nodes: list[Node] = []

    def add(op: str, *taken: str, **attributes: Any) -> str:
        made = f"v{len(nodes)}"
        nodes.append((op, taken, made, attributes))
        return made

    def conv(h: str, name: str) -> str:
        side = p[f"{name}.w"].shape[0] // 2
        return add("Conv", h, f"{name}.w", f"{name}.b", pads=[side] * 4)

    half = lambda h: add("MaxPool", h, kernel_shape=[2, 2], strides=[2, 2])
    join = lambda h, skip: add("Concat", add("Resize", h, "", "twice", mode="nearest"), skip, axis=1)
    last = _network(len(widths), lambda h, n: add("Relu", conv(h, n)), half, join, conv, "x")
    last = add("Transpose", last, perm=[0, 2, 3, 1])
    constants = {n: np.ascontiguousarray(a.transpose(3, 2, 0, 1)) if a.ndim == 4 else a for n, a in p.items()}
    constants["twice"] = np.array([1, 1, 2, 2], np.float32)
    image = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return session(nodes, {"x": image}, constants, {last: np.empty((*x.shape[:3], 2), np.float32)})


__all__ = ["u_net"]
