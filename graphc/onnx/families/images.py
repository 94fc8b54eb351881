"""Convolutions, pools, norms and samples of images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import graphc as gx
from graphc.ir import dims
from graphc.onnx.operators import Call, operator


def padding_of(call: Call, sizes: Any, kernel: Any, stride: Any, dilation: Any, ceil: bool = False) -> list[Any]:
    """Elements before and after each axis, of ONNX's pads and auto_pad."""
    rank, auto = len(kernel), call.attr("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = call.each("pads", 2 * rank, 0)
        return [(pads[a], pads[rank + a]) for a in range(rank)]
    if auto == "VALID":
        return [(0, 0)] * rank
    pairs = []
    for a in range(rank):
        reach, n, s = (kernel[a] - 1) * dilation[a] + 1, sizes[a], stride[a]
        total: Any = reach - 1 if s == 1 else dims.maximum(((n + s - 1) // s - 1) * s + reach - n, 0)
        small, large = total // 2, (total + 1) // 2
        pairs.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return pairs


def tap_of(offset: Any, sizes: Any, stride: Any, dilation: Any) -> tuple[slice, ...]:
    """The elements that one element of a window meets, at all places of the window."""
    return tuple(slice(o * d, o * d + (m - 1) * s + 1, s) for o, d, m, s in zip(offset, dilation, sizes, stride, strict=True))


@operator("Conv")
def conv(call: Call) -> Any:
    x, w = call[0], call[1]
    rank = x.ndim - 2
    kernel = [int(n) for n in w.shape[2:]]
    stride, dilation = call.each("strides", rank), call.each("dilations", rank)
    pads = padding_of(call, x.shape[2:], kernel, stride, dilation)
    options = {"stride": tuple(stride), "padding": tuple(pads), "dilation": tuple(dilation), "groups": call.attr("group", 1)}
    y = gx.nn.conv(x, w, call.maybe(2), **options)
    kernels, bias = call.value(1), call.value(2) if call.given(2) else np.zeros((), str(w.dtype))
    known = isinstance(kernels, np.ndarray) and isinstance(bias, np.ndarray) and kernels.dtype.kind == "f"
    if known and call.reader.is_read_once(call.outputs[0]):

        def scaled(factor: Any, shift: Any) -> Any:
            """The convolution times a factor for each channel, plus a shift: computed in float64, and rounded once."""
            wide = kernels.astype("float64") * factor.reshape(-1, *[1] * (kernels.ndim - 1))
            return gx.nn.conv(x, wide.astype(kernels.dtype), (bias * factor + shift).astype(kernels.dtype), **options)

        call.reader.scaled[y] = scaled
    return y


@operator("ConvTranspose")
def conv_transpose(call: Call) -> Any:
    x, w = call[0], call[1]
    rank = x.ndim - 2
    kernel = [int(n) for n in w.shape[2:]]
    stride, dilation = call.each("strides", rank), call.each("dilations", rank)
    extra = call.each("output_padding", rank, 0)
    call.pieces(math.prod(stride), "strides")
    wanted, auto = call.attr("output_shape"), call.attr("auto_pad", "NOTSET")
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(x.shape[2:], stride, kernel, dilation, strict=True)]
    if wanted is not None or auto.startswith("SAME"):
        wanted = wanted[-rank:] if wanted is not None else [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
        pads = []
        for a in range(rank):
            total = full[a] + extra[a] - wanted[a]
            if isinstance(total, int) and total < 0:
                extra[a], total = extra[a] - total, 0
            small = total // 2
            pads.append((small, total - small) if auto == "SAME_UPPER" else (total - small, small))
    else:
        pads = padding_of(call, x.shape[2:], kernel, stride, dilation)
    y = gx.nn.conv_transpose(x, w, None, stride=tuple(stride), padding=0, dilation=tuple(dilation), groups=call.attr("group", 1))
    key: list[Any] = [slice(None), slice(None)]
    widths = [(0, 0), (0, 0)]
    for a in range(rank):
        low, high = pads[a][0], pads[a][1] - extra[a]
        key.append(slice(low, y.shape[2 + a] - (high if high > 0 else 0)))
        widths.append((0, -high if high < 0 else 0))
    y = y[tuple(key)]
    y = gx.pad(y, tuple(widths)) if any(b for _, b in widths) else y
    bias = call.maybe(2)
    return y if bias is None else y + gx.reshape(bias, (-1, *[1] * rank))


def _windows(call: Call) -> tuple[Any, ...]:
    x = call[0]
    rank = x.ndim - 2
    kernel = call.each("kernel_shape", rank)
    if rank < 1 or min(kernel) < 1:
        raise call.error(f"windows of {kernel} elements in {x.type}")
    stride, dilation = call.each("strides", rank), call.each("dilations", rank)
    pads = padding_of(call, x.shape[2:], kernel, stride, dilation)
    extra = []
    for a in range(rank):
        more: Any = 0
        if call.attr("ceil_mode", 0):
            (before, after), s, reach = pads[a], stride[a], (kernel[a] - 1) * dilation[a] + 1
            n: Any = x.shape[2 + a] + before + after - reach
            count = (n + s - 1) // s
            if isinstance(n, int) or not isinstance(after, int) or reach < s + after:
                last = (x.shape[2 + a] + before - 1) // s  # no window begins in what was added behind
                more = dims.maximum(dims.minimum(count, last) * s - n, 0)
            else:
                more = count * s - n
        extra.append(more)
    return x, rank, tuple(kernel), tuple(stride), tuple(dilation), pads, extra


@operator("MaxPool")
def max_pool(call: Call) -> Any:
    x, rank, kernel, stride, dilation, pads, extra = _windows(call)
    low = -math.inf if str(x.dtype).startswith(("float", "bfloat")) else gx.iinfo(x.dtype).min
    around = tuple((a, b + m) for (a, b), m in zip(pads, extra, strict=True))
    if len(call.outputs) == 1:
        return gx.nn.max_pool(x, kernel, stride=stride, padding=around, dilation=dilation)
    padded = gx.pad(x, ((0, 0), (0, 0), *around), constant_values=low)
    n, c, *spatial = x.shape
    at: Any = gx.arange(math.prod(spatial), dtype="int64")
    at = gx.pad(gx.reshape(at, tuple(spatial)), around)
    call.pieces(math.prod(kernel), "kernel_shape")
    values, places = [], []
    sizes = [(padded.shape[2 + a] - ((kernel[a] - 1) * dilation[a] + 1)) // stride[a] + 1 for a in range(rank)]
    for offset in np.ndindex(*kernel):
        key = tap_of(offset, sizes, stride, dilation)
        values.append(padded[(slice(None), slice(None), *key)])
        places.append(at[key])
    stack = gx.stack(values, axis=0)
    best = gx.argmax(stack, axis=0)
    flat = gx.stack(places, axis=0)
    chosen = gx.take_along_axis(gx.broadcast_to(flat[:, None, None], stack.shape), best[None], axis=0)[0]
    if call.attr("storage_order", 0):
        rows, columns = spatial[-2:]
        chosen = chosen // columns + (chosen % columns) * rows
    first = gx.reshape(gx.arange(n * c, dtype="int64") * math.prod(spatial), (n, c, *[1] * rank))
    return gx.max(stack, axis=0), chosen + first


@operator("AveragePool")
def average_pool(call: Call) -> Any:
    x, rank, kernel, stride, dilation, pads, extra = _windows(call)
    counted = bool(call.attr("count_include_pad", 0))
    if all(d == 1 for d in dilation):  # what ceil_mode adds is never counted
        if counted and any(isinstance(m, gx.Dim) or m for m in extra):
            x, pads, counted = gx.pad(x, ((0, 0), (0, 0), *pads)), [(0, 0)] * rank, False
        around = tuple((a, b + m) for (a, b), m in zip(pads, extra, strict=True))
        return gx.nn.avg_pool(x, kernel, stride=stride, padding=around, count_padding=counted)
    call.pieces(math.prod(kernel), "kernel_shape")
    ones = gx.ones((1, 1, *x.shape[2:]), x.dtype)
    before = ((0, 0), (0, 0), *pads)
    after = ((0, 0), (0, 0), *((0, m) for m in extra))

    def sums(y: gx.Tensor) -> gx.Tensor:
        sizes = [(y.shape[2 + a] - ((kernel[a] - 1) * dilation[a] + 1)) // stride[a] + 1 for a in range(rank)]
        total: Any = None
        for offset in np.ndindex(*kernel):
            key = tap_of(offset, sizes, stride, dilation)
            part = y[(slice(None), slice(None), *key)]
            total = part if total is None else total + part
        return total  # type: ignore[no-any-return]

    count = gx.pad(gx.pad(ones, before, constant_values=1 if counted else 0), after)
    return sums(gx.pad(gx.pad(x, before), after)) / sums(count)


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(call: Call) -> Any:
    x = call[0]
    function = gx.mean if call.operator == "GlobalAveragePool" else gx.max
    return function(x, axis=tuple(range(2, x.ndim)), keepdims=True)


@operator("LpPool", "GlobalLpPool")
def lp_pool(call: Call) -> Any:
    p = call.attr("p", 2)
    if call.operator == "GlobalLpPool":
        x = call[0]
        return gx.sum(gx.abs(x) ** p, axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / p)
    x, _, kernel, stride, dilation, pads, extra = _windows(call)
    y = gx.pad(gx.abs(x) ** p, ((0, 0), (0, 0), *((a, b + m) for (a, b), m in zip(pads, extra, strict=True))))
    w = gx.ones((x.shape[1], 1, *kernel), x.dtype)
    return gx.nn.conv(y, w, stride=stride, dilation=dilation, groups=x.shape[1]) ** (1 / p)


@operator("MaxUnpool")
def max_unpool(call: Call) -> Any:
    x, at = call[0], call[1]
    rank = x.ndim - 2
    kernel, stride = call.each("kernel_shape", rank), call.each("strides", rank)
    pads = call.each("pads", 2 * rank, 0)
    sides = zip(x.shape[2:], stride, kernel, pads[:rank], pads[rank:], strict=True)
    plain = [(n - 1) * s - before - after + k for n, s, k, before, after in sides]
    n, c = x.shape[:2]
    wanted = call.ints(2, "output_shape") if call.given(2) else [n, c, *plain]
    size = math.prod([n, c, *plain])
    flat = gx.zeros((size,), x.dtype).at[gx.reshape(at, (-1,))].set(gx.reshape(x, (-1,)))
    y = gx.reshape(flat, (n, c, *plain))
    return gx.pad(y, tuple((0, w - h) for w, h in zip(wanted, y.shape, strict=True))) if list(wanted) != list(y.shape) else y


@operator("BatchNormalization")
def batch_normalization(call: Call) -> Any:
    x, scale, bias, mean, variance = call.symbols()[:5]
    eps = call.attr("epsilon", 1e-5)
    if not call.attr("training_mode", 0):
        scaled = call.reader.scaled.get(call.value(0)) if isinstance(call.value(0), gx.Tensor) else None
        if scaled is not None and all(isinstance(v, np.ndarray) for v in call.inputs[1:5]):
            gamma, beta, centre, variances = (np.asarray(v, "float64") for v in call.inputs[1:5])
            factor = gamma / np.sqrt(variances + eps)
            return scaled(factor, beta - centre * factor)
        return gx.nn.batch_norm(x, mean, variance, scale, bias, eps=eps)
    axes = tuple(a for a in range(x.ndim) if a != 1)
    momentum = call.attr("momentum", 0.9)
    now, spread = gx.mean(x, axis=axes), gx.var(x, axis=axes)
    y = gx.nn.batch_norm(x, now, spread, scale, bias, eps=eps)
    return y, mean * momentum + now * (1 - momentum), variance * momentum + spread * (1 - momentum)


@operator("InstanceNormalization")
def instance_normalization(call: Call) -> Any:
    x, scale, bias = call.symbols()
    axes = tuple(range(2, x.ndim))
    shape = (-1, *[1] * (x.ndim - 2))
    mean = gx.mean(x, axis=axes, keepdims=True)
    spread = gx.mean((x - mean) ** 2, axis=axes, keepdims=True)
    return gx.reshape(scale, shape) * (x - mean) / gx.sqrt(spread + call.attr("epsilon", 1e-5)) + gx.reshape(bias, shape)


@operator("GroupNormalization")
def group_normalization(call: Call) -> Any:
    x, scale, bias = call.symbols()
    groups = call.attrs["num_groups"]
    n, c, *spatial = x.shape
    y = gx.reshape(x, (n, groups, c // groups, *spatial))
    axes = tuple(range(2, y.ndim))
    mean = gx.mean(y, axis=axes, keepdims=True)
    y = (y - mean) / gx.sqrt(gx.mean((y - mean) ** 2, axis=axes, keepdims=True) + call.attr("epsilon", 1e-5))
    if call.version < 21:  # one number for each group
        scale, bias = gx.repeat(scale, c // groups), gx.repeat(bias, c // groups)
    shape = (-1, *[1] * len(spatial))
    return gx.reshape(y, x.shape) * gx.reshape(scale, shape) + gx.reshape(bias, shape)


@operator("LRN")
def lrn(call: Call) -> Any:
    x, size = call[0], call.pieces(call.attrs["size"], "size")
    alpha, beta, bias = call.attr("alpha", 1e-4), call.attr("beta", 0.75), call.attr("bias", 1.0)
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    widths = [(0, 0)] * x.ndim
    widths[1] = (before, after)
    squares = gx.pad(x * x, tuple(widths))
    total: Any = None
    for k in range(size):
        part = squares[:, k : k + x.shape[1]]
        total = part if total is None else total + part
    return x / (bias + alpha / size * total) ** beta
