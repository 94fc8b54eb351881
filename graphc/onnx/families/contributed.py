"""Operators of onnxruntime's own (domain com.microsoft), which its optimiser and its quantiser put into models.

They are described in https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md. Most are several of ONNX's own
in one. Those of integers that stand for floats compute in floats and round once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.families.quantized import quantized
from graphc.onnx.operators import OPERATORS, Call, operator

_DOMAIN = "com.microsoft::"

# --- activations, and products with them ------------------------------------------------------------------------------


@operator(_DOMAIN + "Gelu", _DOMAIN + "BiasGelu")
def gelu(call: Call) -> Any:
    return gx.nn.gelu(call[0] + call[1] if call.given(1) else call[0])


@operator(_DOMAIN + "FastGelu")
def fast_gelu(call: Call) -> Any:
    return gx.nn.gelu(call[0] + call[1] if call.given(1) else call[0], "tanh")


@operator(_DOMAIN + "QuickGelu")
def quick_gelu(call: Call) -> Any:
    return call[0] * gx.sigmoid(call[0] * call.attr("alpha", 1.702))


@operator(_DOMAIN + "FusedConv")
def fused_conv(call: Call) -> Any:
    y = OPERATORS["Conv"](call.having("Conv", call.inputs[:3], **_without_activation(call)))
    return _activated(call, y + call[3] if call.given(3) else y, call.attr("activation", ""), call.attr("activation_params", ()))


@operator(_DOMAIN + "FusedGemm")
def fused_gemm(call: Call) -> Any:
    y = OPERATORS["Gemm"](call.having("Gemm", call.inputs, **_without_activation(call)))
    numbers = [call.attrs[name] for name in ("activation_alpha", "activation_beta", "activation_gamma") if name in call.attrs]
    return _activated(call, y, call.attr("activation", ""), numbers)


def _without_activation(call: Call) -> dict[str, Any]:
    return {name: value for name, value in call.attrs.items() if not name.startswith("activation")}


_NUMBERS = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "Elu": ("alpha",), "ThresholdedRelu": ("alpha",)}


def _activated(call: Call, y: gx.Tensor, name: str, numbers: Sequence[float]) -> Any:
    """The activation that is part of a node."""
    if not name:
        return y
    if name == "Clip":
        low, high = numbers
        return gx.clip(y, low, high)
    if name not in ("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Softsign", *_NUMBERS):
        raise call.error(f"activation={name} is not read")
    return OPERATORS[name](call.having(name, [y], **dict(zip(_NUMBERS.get(name, ()), numbers, strict=False))))


@operator(_DOMAIN + "FusedMatMul")
def fused_matmul(call: Call) -> Any:
    a, b = call[0], call[1]
    if call.attr("transBatchA", 0) or call.attr("transBatchB", 0):
        raise call.error("transBatchA and transBatchB are not read")
    a = gx.matrix_transpose(a) if call.attr("transA", 0) and a.ndim > 1 else a
    b = gx.matrix_transpose(b) if call.attr("transB", 0) and b.ndim > 1 else b
    return a @ b * call.attr("alpha", 1.0)


# --- norms and attention ----------------------------------------------------------------------------------------------


def _normed(x: gx.Tensor, weight: gx.Tensor, bias: gx.Tensor | None, eps: float, plain: bool) -> tuple[Any, Any, Any]:
    """The last axis normalised, its mean, and 1 / its spread; plain: by the root of the mean square alone."""
    mean = gx.zeros_like(x[..., :1]) if plain else gx.mean(x, axis=-1, keepdims=True)
    centred = x if plain else x - mean
    inverse = 1 / gx.sqrt(gx.mean(centred * centred, axis=-1, keepdims=True) + eps)
    y = centred * inverse * weight
    return y if bias is None else y + bias, mean, inverse


@operator("SimplifiedLayerNormalization", _DOMAIN + "SimplifiedLayerNormalization")
def simplified(call: Call) -> Any:
    x = call[0]
    if call.attr("axis", -1) % x.ndim != x.ndim - 1:
        raise call.error(f"axis={call.attrs['axis']} of {x.type} is not read", hint="the last one is")
    y, _, inverse = _normed(x, call[1], None, call.attr("epsilon", 1e-5), True)
    return y, inverse


@operator(_DOMAIN + "SkipLayerNormalization", _DOMAIN + "SkipSimplifiedLayerNormalization")
def skip_layer_normalization(call: Call) -> Any:
    plain = "Simplified" in call.operator
    total = call[0] + call[1]
    added = call.maybe(3 if plain else 4)
    total = total if added is None else total + added
    made = _normed(total, call[2], None if plain else call.maybe(3), call.attr("epsilon", 1e-12 if not plain else 1e-5), plain)
    return (*made, total)


@operator(_DOMAIN + "EmbedLayerNormalization")
def embed_layer_normalization(call: Call) -> Any:
    words, segments, mask, places = call[0], call.maybe(1), call.maybe(7), call.maybe(8)
    n, t = words.shape
    places = gx.broadcast_to(gx.arange(t), (n, t)) if places is None else places
    total = gx.take(call[2], words, axis=0) + gx.take(call[3], places, axis=0)
    if segments is not None:
        total = total + gx.take(call[4], segments, axis=0)
    y, _, _ = _normed(total, call[5], call[6], call.attr("epsilon", 1e-12), False)
    there = gx.zeros((n,), "int32") if mask is None else gx.astype(gx.sum(mask, axis=1), "int32")
    return y, there, total


def _by_heads(x: gx.Tensor, heads: int) -> gx.Tensor:
    n, t, width = x.shape
    return gx.permute_dims(gx.reshape(x, (n, t, heads, width // heads)), (0, 2, 1, 3))


_FAR = -10000.0  # what a score of a masked key is lowered by, and no attribute says otherwise


@operator(_DOMAIN + "Attention")
def attention(call: Call) -> Any:
    """The products that make queries, keys and values of one operand are part of it."""
    x, heads = call[0], call.attrs["num_heads"]
    if call.given(4) or call.given(6) or call.attr("do_rotary", 0) or len(call.outputs) > 1:
        raise call.error("keys and values of earlier calls, and rotated ones, are not read")
    made = x @ call[1]
    made = made + call[2] if call.given(2) else made
    third = made.shape[-1] // 3
    q, k = call.attr("qkv_hidden_sizes", (third,) * 3)[:2]
    parts = made[..., :q], made[..., q : q + k], made[..., q + k :]
    return _attended(call, [_by_heads(p, heads) for p in parts], call.maybe(3), call.maybe(5))


@operator(_DOMAIN + "MultiHeadAttention")
def multi_head_attention(call: Call) -> Any:
    heads = call.attrs["num_heads"]
    if not call.given(1) or not call.given(2) or any(call.given(i) for i in (6, 7, 8, 9)) or len(call.outputs) > 1:
        raise call.error("packed operands, and keys and values of earlier calls, are not read")
    given = [call[0], call[1], call[2]]
    if call.given(3):
        ends = np.cumsum([0, *(x.shape[-1] if x.ndim == 3 else x.shape[1] * x.shape[3] for x in given)])
        biases = [call[3][int(a) : int(b)] for a, b in itertools.pairwise(ends)]
        given = [x + b if x.ndim == 3 else x + gx.reshape(b, (x.shape[1], 1, -1)) for x, b in zip(given, biases, strict=True)]
    return _attended(call, [_by_heads(x, heads) if x.ndim == 3 else x for x in given], call.maybe(4), call.maybe(5))


def _attended(call: Call, given: Sequence[Any], mask: Any, bias: Any) -> Any:
    """What heads see, side by side again. mask: 1 where a key may be seen, [batch, keys] or with axes of queries; bias: added."""
    q, k, v = given
    n, heads, t, width = q.shape
    scale = call.attr("scale", 0.0) or 1 / math.sqrt(width)
    scores = q @ gx.matrix_transpose(k) * scale
    scores = scores if bias is None else scores + bias
    if mask is not None:
        if mask.ndim == 1:
            if mask.shape[0] is not n and mask.shape[0] != n:
                raise call.error(f"a mask of {mask.type} is not read", hint="lengths, [batch], are")
            mask = gx.arange(k.shape[2]) < mask[:, None]
        seen = gx.reshape(mask, (mask.shape[0], *(1,) * (4 - mask.ndim), *mask.shape[1:])) if mask.ndim < 4 else mask
        far = gx.full((), call.attr("mask_filter_value", _FAR), scores.dtype)
        scores = scores + gx.where(seen != 0, gx.zeros_like(far), far)
    if call.attr("unidirectional", 0):
        later = gx.arange(k.shape[2]) - (k.shape[2] - t) > gx.arange(t)[:, None]
        scores = gx.where(later, -math.inf, scores)
    y = gx.nn.softmax(scores) @ v
    return gx.reshape(gx.permute_dims(y, (0, 2, 1, 3)), (n, t, heads * v.shape[3]))


@operator(_DOMAIN + "RotaryEmbedding")
def rotary_embedding(call: Call) -> Any:
    """ONNX's, with the places before the tables; one number says where the first of all stands."""
    x, at = call[0], call[1]
    heads, part = call.attr("num_heads", 0), call.attr("rotary_embedding_dim", 0)
    heads = heads or (x.shape[-1] // (2 * call[2].shape[-1]) if x.ndim == 3 else 0)
    n, t = x.shape[0], x.shape[1 if x.ndim == 3 else 2]
    if at.ndim == 1:
        at = gx.broadcast_to(at + gx.arange(t), (n, t))
    attrs = {"num_heads": heads, "rotary_embedding_dim": part, "interleaved": call.attr("interleaved", 0)}
    return OPERATORS["RotaryEmbedding"](call.having("RotaryEmbedding", [x, call.value(2), call.value(3), at], **attrs))


# --- integers that stand for floats -----------------------------------------------------------------------------------


def _real(x: gx.Tensor, scale: Any, zero: Any, axis: int = -1) -> gx.Tensor:
    """The floats that integers stand for."""
    shape: list[Any] = [1] * x.ndim
    if scale.size != 1:
        shape[axis] = -1
    to = tuple(shape) if x.ndim else ()
    less = 0 if zero is None else gx.astype(gx.reshape(zero, to if zero.size != 1 else (1,) * x.ndim), "int32")
    return gx.astype(gx.astype(x, "int32") - less, "float32") * gx.reshape(scale, to)


def _stood_for(y: gx.Tensor, scale: Any, zero: Any, like: gx.Tensor) -> gx.Tensor:
    """The integers that stand for floats."""
    dtype = str(like.dtype if zero is None else zero.dtype)
    return quantized(y, gx.reshape(scale, ()), None if zero is None else gx.reshape(zero, ()), dtype)


@operator(_DOMAIN + "QuantizeLinear", _DOMAIN + "DequantizeLinear")
def linear(call: Call) -> Any:
    """ONNX's, for integers of 16 bits in older operator sets too."""
    name = call.operator.removeprefix(_DOMAIN)
    return OPERATORS[name](call.having(name, call.inputs, **call.attrs))


@operator(_DOMAIN + "QLinearAdd", _DOMAIN + "QLinearMul")
def q_linear_binary(call: Call) -> Any:
    a, b = (_real(call[i], call[i + 1], call.maybe(i + 2)) for i in (0, 3))
    y = a + b if call.operator.endswith("Add") else a * b
    return _stood_for(y, call[6], call.maybe(7), call[0])


@operator(_DOMAIN + "QLinearSigmoid", _DOMAIN + "QLinearLeakyRelu", _DOMAIN + "QLinearSoftmax")
def q_linear_unary(call: Call) -> Any:
    name = call.operator.removeprefix(_DOMAIN + "QLinear")
    x = _real(call[0], call[1], call.maybe(2))
    attrs = {key: value for key, value in call.attrs.items() if key != "opset"}
    made = call.having(name, [x], **attrs)
    made.version = call.attr("opset", made.version)
    return _stood_for(OPERATORS[name](made), call[3], call.maybe(4), call[0])


@operator(_DOMAIN + "QLinearAveragePool", _DOMAIN + "QLinearGlobalAveragePool")
def q_linear_pool(call: Call) -> Any:
    name = call.operator.removeprefix(_DOMAIN + "QLinear")
    last = call.attr("channels_last", 0)
    x = _real(call[0], call[1], call.maybe(2))
    x = gx.moveaxis(x, -1, 1) if last else x
    attrs = {key: value for key, value in call.attrs.items() if key != "channels_last"}
    y = OPERATORS[name](call.having(name, [x], **attrs))
    return _stood_for(gx.moveaxis(y, 1, -1) if last else y, call[3], call.maybe(4), call[0])


@operator(_DOMAIN + "QLinearConcat")
def q_linear_concat(call: Call) -> Any:
    parts = [_real(call[i], call[i + 1], call.maybe(i + 2)) for i in range(2, len(call.inputs), 3)]
    return _stood_for(gx.concat(parts, axis=call.attrs["axis"]), call[0], call[1], call[1])


@operator(_DOMAIN + "QGemm")
def q_gemm(call: Call) -> Any:
    """The sums of products are exact in int32; with no scale of the result it is floats."""
    a, b = (gx.astype(call[i], "int32") for i in (0, 3))
    by = [1, -1] if not call.attr("transB", 0) else [-1, 1]
    a = a if not call.given(2) else a - gx.astype(call[2], "int32")
    b = b if not call.given(5) else b - gx.astype(gx.reshape(call[5], tuple(by) if call[5].size != 1 else ()), "int32")
    y = (a.T if call.attr("transA", 0) else a) @ (b.T if call.attr("transB", 0) else b)
    y = y if not call.given(6) else y + call[6]
    real = gx.astype(y, "float32") * (gx.reshape(call[1], ()) * call[4] * call.attr("alpha", 1.0))
    return _stood_for(real, call[7], call.maybe(8), call[0]) if call.given(7) else real


@operator(_DOMAIN + "MatMulIntegerToFloat")
def matmul_integer_to_float(call: Call) -> Any:
    made = call.having("MatMulInteger", [call.value(0), call.value(1), *(_value(call, i) for i in (4, 5))])
    y = gx.astype(OPERATORS["MatMulInteger"](made), "float32") * (call[2] * call[3])
    return y if not call.given(6) else y + call[6]


def _value(call: Call, i: int) -> Any:
    return call.value(i) if call.given(i) else None


@operator(_DOMAIN + "DynamicQuantizeMatMul")
def dynamic_quantize_matmul(call: Call) -> Any:
    x, scale, zero = OPERATORS["DynamicQuantizeLinear"](call.having("DynamicQuantizeLinear", call.inputs[:1]))
    made = call.having("MatMulInteger", [x, call.value(1), zero, _value(call, 3)])
    y = gx.astype(OPERATORS["MatMulInteger"](made), "float32") * (scale * call[2])
    return y if not call.given(4) else y + call[4]


@operator(_DOMAIN + "MatMulNBits")
def matmul_n_bits(call: Call) -> Any:
    """A weight of 4 or 8 bits in blocks along its rows, each with a scale; two of 4 bits are a byte, the lower one first."""
    bits, block, n, k = (call.attr(name, 4) for name in ("bits", "block_size", "N", "K"))
    if bits not in (4, 8) or call.given(4):
        raise call.error(f"bits={bits}, or rows in another order, are not read")
    blocks = -(-k // block)
    packed = gx.reshape(call[1], (n, blocks, block * bits // 8))
    numbers = gx.reshape(_nibbles(packed), (n, blocks, block)) if bits == 4 else packed
    zero: Any = float(1 << (bits - 1))
    if call.given(3):
        zero = call[3]
        if str(zero.dtype) == "uint8":
            rows = gx.reshape(zero, (n, -1))
            zero = _nibbles(rows)[:, :blocks] if bits == 4 else rows
        zero = gx.astype(gx.reshape(zero, (n, blocks, 1)), "float32")
    w = (gx.astype(numbers, "float32") - zero) * gx.astype(gx.reshape(call[2], (n, blocks, 1)), "float32")
    w = gx.astype(gx.reshape(w, (n, blocks * block))[:, :k], call[0].dtype)
    y = call[0] @ w.T
    return y if not call.given(5) else y + call[5]


def _nibbles(packed: gx.Tensor) -> gx.Tensor:
    """[..., bytes] -> [..., 2 * bytes]"""
    pairs = gx.stack([packed & 15, packed >> 4], axis=-1)
    return gx.reshape(pairs, (*packed.shape[:-1], 2 * packed.shape[-1]))
