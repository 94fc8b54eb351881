"""Operators of single elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.operators import Call, lines, on_known, operator
from graphc.onnx.reading import dtype_of
from graphc.onnx.values import is_known, is_sizes, known

lines(
    Abs=gx.abs, Acos=gx.acos, Acosh=gx.acosh, And=gx.logical_and, Asin=gx.asin, Asinh=gx.asinh, Atan=gx.atan, Atanh=gx.atanh,
    BitwiseAnd=gx.bitwise_and, BitwiseNot=gx.bitwise_invert, BitwiseOr=gx.bitwise_or, BitwiseXor=gx.bitwise_xor, Ceil=gx.ceil,
    Cos=gx.cos, Cosh=gx.cosh, Equal=gx.equal, Erf=gx.erf, Exp=gx.exp, Floor=gx.floor, Greater=gx.greater,
    GreaterOrEqual=gx.greater_equal, HardSwish=gx.nn.hardswish, IsNaN=gx.isnan, Less=gx.less,
    LessOrEqual=gx.less_equal, Log=gx.log, Mish=gx.nn.mish, Mul=gx.multiply, Neg=gx.negative, Not=gx.logical_not,
    Or=gx.logical_or,
    Reciprocal=gx.reciprocal, Relu=lambda x: gx.maximum(x, 0), Round=gx.round, Sigmoid=gx.sigmoid, Sign=gx.sign, Sin=gx.sin,
    Sinh=gx.sinh, Softplus=gx.softplus, Softsign=gx.nn.softsign, Sqrt=gx.sqrt, Sub=gx.subtract, Tan=gx.tan, Tanh=gx.tanh,
    Where=gx.where, Xor=gx.logical_xor, Add=gx.add,
)  # fmt: skip
_same = np.frompyfunc(lambda a, b: bool(a == b), 2, 1)


def _divided(a: Any, b: Any) -> Any:
    """Integers without the fraction; a size by a number rounds down, which is the same for sizes."""
    if isinstance(a, gx.Dim) or isinstance(b, gx.Dim):
        return a // b
    return int(a) // int(b) if (a < 0) == (b < 0) else -(-int(a) // int(b))


on_known(
    Add=np.add, Sub=np.subtract, Mul=np.multiply, Neg=np.negative, Identity=lambda x: x, Div=np.frompyfunc(_divided, 2, 1),
    Equal=_same, Where=lambda c, a, b: np.where(c.astype(bool), a, b), Not=np.logical_not, And=np.logical_and, Or=np.logical_or,
)  # fmt: skip


@operator("Identity")
def identity(call: Call) -> Any:
    return call.value(0)


@operator("Cast", "CastLike")
def cast(call: Call) -> Any:
    to = dtype_of(call.attrs["to"]) if call.operator == "Cast" else str(call[1].dtype)
    value = call.value(0)
    if is_sizes(value) and to.startswith(("int", "uint")):
        return value
    if is_known(value) and value.dtype.kind in "iub" and to.startswith(("int", "uint", "bool")):
        return value.astype(to)
    return gx.astype(call[0], to)


@operator("Div")
def div(call: Call) -> Any:
    a, b = call.broadcast()
    if gx.isdtype(a.dtype, "integral"):
        quotient = a // b
        if str(a.dtype).startswith("u"):
            return quotient
        return gx.where((quotient < 0) & (quotient * b != a), quotient + 1, quotient)
    return a / b


@operator("Mod")
def mod(call: Call) -> Any:
    a, b = call.broadcast()
    return gx.fmod(a, b) if call.attr("fmod", 0) else gx.remainder(a, b)


@operator("Pow")
def power(call: Call) -> Any:
    x, y = call.broadcast()
    exponent = call.value(1)
    if is_known(exponent) and exponent.size == 1 and exponent.dtype != object and x.dtype in (gx.float32, gx.float64):
        return x ** float(exponent.reshape(())) if exponent.ndim <= x.ndim else gx.pow(x, y.astype(x.dtype))
    if x.dtype in (gx.float16, gx.float32, gx.float64):
        return gx.astype(x ** gx.astype(y, x.dtype), x.dtype)
    return gx.astype(gx.astype(x, "float64") ** gx.astype(y, "float64"), x.dtype)


@operator("BitShift")
def bit_shift(call: Call) -> Any:
    x, n = call.symbols()
    bits = x.dtype.itemsize * 8
    shifted = gx.bitwise_left_shift if call.attrs["direction"] == "LEFT" else gx.bitwise_right_shift
    beyond = gx.zeros_like(x)
    if call.attrs["direction"] != "LEFT" and str(x.dtype).startswith("int"):
        beyond = gx.where(x < 0, gx.astype(-1, x.dtype), beyond)
    return gx.where(n >= bits, beyond, shifted(x, gx.minimum(n, gx.astype(bits - 1, n.dtype))))


@operator("Clip")
def clip(call: Call) -> Any:
    x = call[0]
    low = call.maybe(1) if call.version >= 11 else call.attr("min")
    high = call.maybe(2) if call.version >= 11 else call.attr("max")
    if low is not None:
        x = gx.maximum(x, low)
    return x if high is None else gx.minimum(x, high)


@operator("Celu")
def celu(call: Call) -> Any:
    return gx.nn.celu(call[0], call.attr("alpha", 1.0))


@operator("Elu")
def elu(call: Call) -> Any:
    return gx.nn.elu(call[0], call.attr("alpha", 1.0))


@operator("Gelu")
def gelu(call: Call) -> Any:
    return gx.nn.gelu(call[0], call.attr("approximate", "none"))


@operator("HardSigmoid")
def hard_sigmoid(call: Call) -> Any:
    return gx.clip(call[0] * call.attr("alpha", 0.2) + call.attr("beta", 0.5), 0, 1)


@operator("LeakyRelu")
def leaky_relu(call: Call) -> Any:
    return gx.nn.leaky_relu(call[0], call.attr("alpha", 0.01))


@operator("Selu")
def selu(call: Call) -> Any:
    alpha, gamma = call.attr("alpha", 1.6732632423543772), call.attr("gamma", 1.0507009873554805)
    x = call[0]
    return gx.where(x <= 0, gamma * (alpha * gx.exp(x) - alpha), gamma * x)


@operator("Shrink")
def shrink(call: Call) -> Any:
    x, lambd, bias = call[0], call.attr("lambd", 0.5), call.attr("bias", 0.0)
    made = gx.where(x < -lambd, gx.astype(x, "float64") + bias, gx.where(x > lambd, gx.astype(x, "float64") - bias, 0.0))
    return gx.astype(made, x.dtype)


@operator("PRelu")
def prelu(call: Call) -> Any:
    x, slope = call[0], call[1]
    if call.version < 7 and slope.ndim == 1 and x.ndim > 1:  # one for each channel
        slope = gx.reshape(slope, (-1, *[1] * (x.ndim - 2)))
    return gx.where(x < 0, slope * x, x)


@operator("SwiGLU")
def swiglu(call: Call) -> Any:
    a, b = call[0], call[1]
    return a * gx.sigmoid(call.attr("alpha", 1.0) * a) * b


@operator("Swish")
def swish(call: Call) -> Any:
    return call[0] * gx.sigmoid(call.attr("alpha", 1.0) * call[0])


@operator("ThresholdedRelu")
def thresholded_relu(call: Call) -> Any:
    x = call[0]
    return gx.where(x > call.attr("alpha", 1.0), x, gx.zeros_like(x))


@operator("IsInf")
def is_inf(call: Call) -> Any:
    x = call[0]
    up, down = call.attr("detect_positive", 1), call.attr("detect_negative", 1)
    infinite = gx.isinf(x)
    return infinite & ((x > 0) if up and not down else (x < 0) if down and not up else gx.full_like(infinite, bool(up)))


@operator("Max", "Min", "Sum", "Mean")
def several(call: Call) -> Any:
    function = {"Max": gx.maximum, "Min": gx.minimum}.get(call.operator, gx.add)
    total, *rest = call.broadcast()
    for x in rest:
        total = function(total, x)
    return total / len(call.inputs) if call.operator == "Mean" else total


on_known(
    Max=lambda *a: known_extreme(a, True), Min=lambda *a: known_extreme(a, False),
)  # fmt: skip


def known_extreme(arrays: Any, most: bool) -> Any:
    """The larger or smaller of numbers; of sizes only where they are equal."""

    def pick(a: Any, b: Any) -> Any:
        if isinstance(a, gx.Dim) or isinstance(b, gx.Dim):
            return a if a == b else gx.ir.dims.maximum(a, b) if most else gx.ir.dims.minimum(a, b)
        return max(a, b) if most else min(a, b)

    total, *rest = arrays
    for a in rest:
        total = np.frompyfunc(pick, 2, 1)(total, a)
    return known(total)


@operator("Constant")
def constant(call: Call) -> Any:
    for name, value in call.attrs.items():
        if name == "value":
            return value
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
    raise call.error("a constant of this kind is not read", hint="tensors, integers and floats are")


@operator("BitCast")
def bit_cast(call: Call) -> Any:
    return gx.bitcast(call[0], dtype_of(call.attrs["to"]))


@operator("Dropout")
def dropout(call: Call) -> Any:
    if call.given(2) and bool(call.known(2, "training_mode").any()):
        ratio = float(call.known(1, "ratio")) if call.given(1) else 0.5
        if ratio:
            raise call.error("training with dropout is not read", hint="load the model that predicts")
    x = call[0]
    return x, gx.full(x.shape, True, "bool")


@operator("Softmax", "LogSoftmax", "Hardmax")
def softmax(call: Call) -> Any:
    x, old = call[0], call.version < 13
    axis = call.attr("axis", 1 if old else -1)
    if call.operator == "Hardmax":
        function: Any = _hardmax
    else:
        function = gx.nn.softmax if call.operator == "Softmax" else gx.nn.log_softmax
    if not old:
        return function(x, axis=axis)
    axis %= max(x.ndim, 1)
    flat = gx.reshape(x, (*x.shape[:axis], math.prod(x.shape[axis:])))  # the axes from this one on together
    return gx.reshape(function(flat, axis=-1), x.shape)


def _hardmax(x: gx.Tensor, axis: int) -> gx.Tensor:
    at = gx.expand_dims(gx.argmax(x, axis=axis), axis=axis)
    places = gx.arange(x.shape[axis])
    shape: list[Any] = [1] * x.ndim
    shape[axis] = x.shape[axis]
    return gx.astype(gx.reshape(places, tuple(shape)) == at, x.dtype)
