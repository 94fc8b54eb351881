"""Integers of 8 bits that stand for floats: exact arithmetic in int32."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc.onnx.families.images import padding_of
from graphc.onnx.operators import Call, operator


def _along(v: gx.Tensor, rank: int, axis: int) -> gx.Tensor:
    """A number, or one for each index of an axis, so that it broadcasts."""
    if v.ndim == 0 or (v.ndim == 1 and v.shape[0] == 1):
        return gx.reshape(v, ())
    shape: list[Any] = [1] * rank
    shape[axis] = v.shape[0]
    return gx.reshape(v, tuple(shape))


def _blocked(v: gx.Tensor, x: gx.Tensor, axis: int, block: int) -> gx.Tensor:
    axis %= x.ndim
    if not block or v.ndim != x.ndim:
        return _along(v, x.ndim, axis)
    wide = gx.repeat(v, block, axis=axis)
    key: list[Any] = [slice(None)] * x.ndim
    key[axis] = slice(0, x.shape[axis])
    return wide[tuple(key)]


def quantized(x: gx.Tensor, scale: gx.Tensor, zero: gx.Tensor | None, dtype: str) -> gx.Tensor:
    """Rounded to even, saturated."""
    return gx.quantize_linear(gx.astype(x, "float32"), gx.astype(scale, "float32"), zero, dtype=dtype)


@operator("QuantizeLinear")
def quantize_linear(call: Call) -> Any:
    from graphc.onnx.reading import dtype_of

    x, scale, zero = call[0], call[1], call.maybe(2)
    axis, block = call.attr("axis", 1), call.attr("block_size", 0)
    to = str(zero.dtype) if zero is not None else dtype_of(call.attr("output_dtype", 0) or 2)
    return quantized(x, _blocked(scale, x, axis, block), None if zero is None else _blocked(zero, x, axis, block), to)


@operator("DequantizeLinear")
def dequantize_linear(call: Call) -> Any:
    x, scale, zero = call[0], call[1], call.maybe(2)
    axis, block = call.attr("axis", 1), call.attr("block_size", 0)
    value = gx.dequantize_linear(
        x, gx.astype(_blocked(scale, x, axis, block), "float32"), None if zero is None else _blocked(zero, x, axis, block)
    )
    return gx.astype(value, scale.dtype)


@operator("DynamicQuantizeLinear")
def dynamic(call: Call) -> Any:
    x = call[0]
    low, high = gx.minimum(gx.min(x), 0.0), gx.maximum(gx.max(x), 0.0)
    scale = (high - low) / 255
    scale = gx.where(scale == 0, gx.ones_like(scale), scale)
    zero = gx.astype(gx.clip(gx.round(-low / scale), 0, 255), "uint8")
    return quantized(x, scale, zero, "uint8"), scale, zero


def _less(v: gx.Tensor, zero: gx.Tensor | None, axis: int) -> gx.Tensor:
    v32 = gx.astype(v, "int32")
    return v32 if zero is None else v32 - gx.astype(_along(zero, v.ndim, axis % v.ndim) if zero.ndim < 2 else zero, "int32")


def _product(a: gx.Tensor, za: gx.Tensor | None, b: gx.Tensor, zb: gx.Tensor | None) -> gx.Tensor:
    """The product of integers of 8 bits less their zero points, in int32: that of the integers, less what the zero points add.

    The sum over k of (a - p) * (b - q) is that of a * b, less p times the sum of b, less q times the sum of a, plus k * p * q.
    """
    if a.ndim < 2 or b.ndim < 2:
        return _less(a, za, -2) @ _less(b, zb, -1)
    y = gx.matmul(a, b, dtype="int32")
    p = None if za is None else gx.astype(_along(za, a.ndim, a.ndim - 2) if za.ndim < 2 else za, "int32")
    q = None if zb is None else gx.astype(_along(zb, b.ndim, b.ndim - 1) if zb.ndim < 2 else zb, "int32")
    if p is not None:
        y = y - p * gx.sum(b, axis=-2, keepdims=True, dtype="int32")
    if q is not None:
        y = y - q * gx.sum(a, axis=-1, keepdims=True, dtype="int32")
    if p is not None and q is not None:
        count: Any = a.shape[-1]
        y = y + gx.astype(count, "int32") * p * q
    return y


@operator("MatMulInteger")
def matmul_integer(call: Call) -> Any:
    return _product(call[0], call.maybe(2), call[1], call.maybe(3))


@operator("QLinearMatMul")
def q_linear_matmul(call: Call) -> Any:
    a, sa, za, b, sb, zb, sy, zy = call.symbols()
    y = _product(a, za, b, zb)
    scale = gx.astype(_along(sa, y.ndim, y.ndim - 2), "float32") * gx.astype(_along(sb, y.ndim, y.ndim - 1), "float32")
    return quantized(gx.astype(y, "float32") * scale, sy, zy, str(zy.dtype))


def _conv(call: Call, x: gx.Tensor, w: gx.Tensor) -> gx.Tensor:
    rank = x.ndim - 2
    kernel = [int(n) for n in w.shape[2:]]
    stride, dilation = call.each("strides", rank), call.each("dilations", rank)
    pads = padding_of(call, x.shape[2:], kernel, stride, dilation)
    y = gx.nn.conv(  # sums of integers below 2^53 are exact in float64
        gx.astype(x, "float64"), gx.astype(w, "float64"), stride=tuple(stride), padding=tuple(pads), dilation=tuple(dilation),
        groups=call.attr("group", 1),
    )  # fmt: skip
    return gx.astype(y, "int32")


@operator("ConvInteger")
def conv_integer(call: Call) -> Any:
    return _conv(call, _less(call[0], call.maybe(2), 1), _less(call[1], call.maybe(3), 0))


@operator("QLinearConv")
def q_linear_conv(call: Call) -> Any:
    x, sx, zx, w, sw, zw, sy, zy = (call[i] for i in range(8))
    y = _conv(call, _less(x, zx, 1), _less(w, zw, 0))
    bias = call.maybe(8)
    if bias is not None:
        y = y + gx.reshape(bias, (-1, *[1] * (x.ndim - 2)))
    scale = gx.reshape(sx, ()) * _along(sw, y.ndim, 1)
    return quantized(gx.astype(y, "float32") * scale, sy, zy, str(zy.dtype))
