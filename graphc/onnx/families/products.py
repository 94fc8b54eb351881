"""Products of matrices, and the layers that are made of them."""

from __future__ import annotations

import math
from typing import Any

import graphc as gx
from graphc.onnx.operators import Call, operator


@operator("MatMul")
def matmul(call: Call) -> Any:
    return gx.matmul(call[0], call[1])


@operator("Gemm")
def gemm(call: Call) -> Any:
    a, b = call[0], call[1]
    a = a.T if call.attr("transA", 0) else a
    b = b.T if call.attr("transB", 0) else b
    y, alpha, beta = a @ b, call.attr("alpha", 1.0), call.attr("beta", 1.0)
    y = y if alpha == 1 else y * alpha
    c = call.maybe(2)
    if c is None or beta == 0:
        return y
    return y + (c if beta == 1 else c * beta)


@operator("Einsum")
def einsum(call: Call) -> Any:
    return gx.einsum(call.attrs["equation"].replace(" ", ""), *call.symbols())


@operator("Det")
def det(call: Call) -> Any:
    return gx.linalg.det(call[0])


@operator("LayerNormalization")
def layer_normalization(call: Call) -> Any:
    x, scale, bias = call[0], call[1], call.maybe(2)
    axis = call.attr("axis", -1) % x.ndim
    axes = tuple(range(axis, x.ndim))
    eps = call.attr("epsilon", 1e-5)
    mean = gx.mean(x, axis=axes, keepdims=True)
    centred = x - mean
    inverse = 1 / gx.sqrt(gx.mean(centred * centred, axis=axes, keepdims=True) + eps)
    y = centred * inverse * scale
    return (y if bias is None else y + bias), mean, inverse


@operator("RMSNormalization")
def rms_normalization(call: Call) -> Any:
    x, scale = call[0], call[1]
    axes = tuple(range(call.attr("axis", -1) % x.ndim, x.ndim))
    return x / gx.sqrt(gx.mean(x * x, axis=axes, keepdims=True) + call.attr("epsilon", 1e-5)) * scale


@operator("RotaryEmbedding")
def rotary_embedding(call: Call) -> Any:
    x, cos, sin, at = call[0], call[1], call[2], call.maybe(3)
    heads, flat = call.attr("num_heads", 0), x.ndim == 3
    if flat:  # [batch, time, heads * width]
        n, t, width = x.shape
        x = gx.permute_dims(gx.reshape(x, (n, t, heads, width // heads)), (0, 2, 1, 3))
    rotated = call.attr("rotary_embedding_dim", 0) or x.shape[-1]
    body, rest = x[..., :rotated], x[..., rotated:]
    if at is not None:
        cos, sin = gx.take(cos, at, axis=0), gx.take(sin, at, axis=0)
    cos, sin = cos[:, None, :, : rotated // 2], sin[:, None, :, : rotated // 2]
    if call.attr("interleaved", 0):
        a, b = body[..., ::2], body[..., 1::2]
    else:
        a, b = body[..., : rotated // 2], body[..., rotated // 2 :]
    first, second = a * cos - b * sin, a * sin + b * cos
    if call.attr("interleaved", 0):
        body = gx.reshape(gx.stack([first, second], axis=-1), body.shape)
    else:
        body = gx.concat([first, second], axis=-1)
    y = body if rotated == x.shape[-1] else gx.concat([body, rest], axis=-1)
    if flat:
        y = gx.reshape(gx.permute_dims(y, (0, 2, 1, 3)), (n, t, width))
    return y


@operator("LpNormalization")
def lp_normalization(call: Call) -> Any:
    x, axis, p = call[0], call.attr("axis", -1), call.attr("p", 2)
    norm = gx.sqrt(gx.sum(x * x, axis=axis, keepdims=True)) if p == 2 else gx.sum(gx.abs(x), axis=axis, keepdims=True)
    return gx.where(norm == 0, gx.zeros_like(x), x / norm)


@operator("MeanVarianceNormalization")
def mean_variance(call: Call) -> Any:
    x, axes = call[0], tuple(call.attr("axes", [0, 2, 3]))
    mean = gx.mean(x, axis=axes, keepdims=True)
    return (x - mean) / (gx.sqrt(gx.mean(x * x, axis=axes, keepdims=True) - mean * mean) + 1e-9)


@operator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def losses(call: Call) -> Any:
    x, target, weight = call[0], call[1], call.maybe(2)
    soft = call.operator.startswith("Softmax")
    logs = gx.nn.log_softmax(x, axis=1) if soft else x
    ignored = call.attr("ignore_index")
    target = gx.astype(target, "int64")
    at = target if ignored is None else gx.where(target == ignored, 0, target)
    loss = -gx.squeeze(gx.take_along_axis(logs, gx.expand_dims(at, axis=1), axis=1), axis=1)
    w = gx.ones(loss.shape, loss.dtype) if weight is None else gx.take(weight, at)
    if ignored is not None:
        w = gx.where(target == ignored, gx.zeros_like(w), w)
    loss = loss * w
    how = call.attr("reduction", "mean")
    if how == "mean":
        loss = gx.sum(loss) / gx.sum(w)
    elif how == "sum":
        loss = gx.sum(loss)
    return (loss, logs) if soft else loss


@operator("Attention")
def attention(call: Call) -> Any:
    more = call.given(4) or call.given(6) or len(call.outputs) > 1 or "softmax_precision" in call.attrs
    windows = call.attr("left_window_size", -1), call.attr("right_window_size", -1)
    if more or call.attr("softcap", 0.0) or windows != (-1, -1) or str(call[0].dtype) not in ("float32", "float64"):
        return call.reader.standard(call)
    q, k, v, mask = call[0], call[1], call[2], call.maybe(3)
    flat = q.ndim == 3
    if flat:
        q, k, v = (
            _heads(x, call.attrs[n]) for x, n in ((q, "q_num_heads"), (k, "kv_num_heads"), (v, "kv_num_heads"))
        )  # fmt: skip
    group = q.shape[1] // k.shape[1]
    if group != 1:
        k, v = gx.repeat(k, group, axis=1), gx.repeat(v, group, axis=1)
    if mask is not None and mask.shape[-1] != k.shape[2]:  # the keys that it does not speak of are left out
        widths = [(0, 0)] * (mask.ndim - 1) + [(0, k.shape[2] - mask.shape[-1])]
        mask = gx.pad(mask, tuple(widths), constant_values=False if mask.dtype == gx.bool_ else -math.inf)
    y = gx.nn.attention(q, k, v, causal=bool(call.attr("is_causal", 0)), mask=mask, scale=call.attr("scale"))
    return gx.reshape(gx.permute_dims(y, (0, 2, 1, 3)), (y.shape[0], y.shape[2], y.shape[1] * y.shape[3])) if flat else y


def _heads(x: gx.Tensor, heads: int) -> gx.Tensor:
    n, t, width = x.shape
    return gx.permute_dims(gx.reshape(x, (n, t, heads, width // heads)), (0, 2, 1, 3))
