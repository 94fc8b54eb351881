"""Integers of 8 bits that stand for floats: real = (integer - zero point) * scale.

    quantize_linear     floats to integers: round to even, saturate
    dequantize_linear   back again
    fake_quantize       both at once: the floats that quantized ones stand for, with a gradient for training

Scales are positive, finite and float32; there is one for all elements, or one for each index of an axis. The formulas are those
of ONNX's QuantizeLinear and DequantizeLinear, and of Jacob et al. 2018, arXiv:1712.05877, equation 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.operation import Dequantize, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import DType, TensorType
from graphc.ops.custom import GradientRule, with_gradient
from graphc.ops.declare import Op, build, normalize_axis
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]


def _type(x: TensorType, scale: TensorType) -> TensorType:
    if not x.dtype.is_integer or scale.dtype != t.float32:
        raise DTypeError(f"dequantize needs integers and a float32 scale, got {x} and {scale}")
    if x.shape != scale.shape:
        raise ShapeError(f"dequantize needs equal shapes, got {x} and {scale}", hint="broadcast_to the scale")
    return TensorType(t.float32, x.shape)


def _body(k: Scalars, index: tuple[Size, ...]) -> Any:
    return k.cast(k.load(0, index), t.float32) * k.load(1, index)


dequantize = Op(
    "dequantize", _type, lambda x, scale: x.astype(np.float32) * scale, Dequantize(_body, elementwise=True),
    lambda g, y, x, scale: (None, g * ops.astype(x, t.float32)),
    tuple(Sample(((3, 4), (3, 4)), dtypes=(dtype, "float32")) for dtype in ("int8", "uint8", "int32")),
    arity=2, build=build, doc="The floats that integers stand for: x * scale, element by element; `dequantize_linear` writes it.",
)  # fmt: skip


def _options(
    name: str, x: Tensor, scale: TensorLike, zero_point: TensorLike | None, axis: int | None
) -> tuple[Tensor, Tensor | None]:
    """The scale, and the zero point, of every element."""
    found = as_tensor(scale, t.float32) if not isinstance(scale, Tensor) else scale
    if found.dtype != t.float32:
        raise DTypeError(f"{name} needs a float32 scale, got {found.type}", where=caller(), hint="astype it")
    zero = None if zero_point is None else as_tensor(zero_point)
    if zero is not None and not zero.dtype.is_integer:
        raise DTypeError(f"{name} needs an integer zero point, got {zero.type}", where=caller(), hint="astype it")

    def spread(given: Tensor, what: str) -> Tensor:
        if axis is not None and given.ndim == 1 and given.shape[0] != 1:
            place = normalize_axis(name, axis, x.type)
            if given.shape[0] != x.shape[place]:
                raise ShapeError(
                    f"{name}: {what} {given.type} does not fit axis {axis} of {x.type}", where=caller(),
                    hint="it has one number for each index of the axis",
                )  # fmt: skip
            given = ops.reshape(given, tuple(given.shape[0] if a == place else 1 for a in range(x.ndim)))
        elif given.ndim == 1 and given.shape[0] == 1:
            given = ops.reshape(given, ())
        if axis is None and given.ndim not in (0, x.ndim):
            raise ShapeError(
                f"{name}: {what} {given.type} without an axis, for {x.type}", where=caller(),
                hint="axis= says along which axis there is a number for each index",
            )  # fmt: skip
        return ops.broadcast_to(given, x.shape)

    return spread(found, "a scale"), None if zero is None else spread(zero, "a zero point")


def _integers(name: str, dtype: object) -> DType:
    found = t.as_dtype(dtype)
    if not found.is_integer or found.itemsize > 2:
        raise DTypeError(f"{name} has no {found}", where=caller(), hint="int8, uint8, int16 or uint16")
    return found


def quantize_linear(
    x: TensorLike, scale: TensorLike, zero_point: TensorLike | None = None, *, axis: int | None = None, dtype: object = None
) -> Tensor:
    """The integers that stand for floats: x / scale, rounded to even, plus the zero point, saturated. A NaN becomes 0.

    x: floats, computed in float32. scale: float32, positive; a number, or one for each index of `axis`. zero_point: integers of
    the same kind. dtype: of the result: the zero point's, or int8. Its gradient is 0: `fake_quantize` has one for training.

    ShapeError for a scale that does not fit, DTypeError for other types. ONNX's QuantizeLinear.

    >>> import graphc as gx
    >>> gx.quantize_linear([-1.0, 0.26, 100.0], 0.1).eval()
    array([-10,   3, 127], dtype=int8)
    """
    x = as_tensor(x)
    if not x.dtype.is_float:
        raise DTypeError(f"quantize_linear needs floats, got {x.type}", where=caller())
    zero = None if zero_point is None else as_tensor(zero_point)
    given = zero.dtype if dtype is None and zero is not None and isinstance(zero_point, (Tensor, np.ndarray)) else dtype
    to = _integers("quantize_linear", t.int8 if given is None else given)
    step, shift = _options("quantize_linear", x, scale, zero, axis)
    y = ops.round(ops.astype(x, t.float32) / step)
    if shift is not None:
        y = y + ops.astype(shift, t.float32)
    return ops.astype(y, to)


def dequantize_linear(
    x: TensorLike, scale: TensorLike, zero_point: TensorLike | None = None, *, axis: int | None = None
) -> Tensor:
    """The floats that integers stand for: (x - zero_point) * scale, float32.

    x: integers. scale, zero_point, axis: as in `quantize_linear`. A product of two such matrices without zero points, of integers
    of 8 bits, is computed in integers: see `fold_quantized`. ONNX's DequantizeLinear.

    >>> import graphc as gx
    >>> x = gx.constant([-10, 3, 127], dtype="int8")
    >>> gx.dequantize_linear(x, 0.5, -10).eval()
    array([ 0. ,  6.5, 68.5], dtype=float32)
    """
    x = as_tensor(x)
    if not x.dtype.is_integer:
        raise DTypeError(f"dequantize_linear needs integers, got {x.type}", where=caller())
    step, shift = _options("dequantize_linear", x, scale, zero_point, axis)
    if shift is not None:
        x = ops.astype(x, t.int32) - ops.astype(shift, t.int32)
    return dequantize(x, step)


def fake_quantize(
    x: TensorLike, scale: TensorLike, zero_point: TensorLike | None = None, *, axis: int | None = None, dtype: object = None
) -> Tensor:
    """The floats that x quantized stands for, for training: its gradient is 1 where x is within range, and 0 beyond.

    That is the straight-through estimator: Bengio et al. 2013, arXiv:1308.3432, with the clipping of Jacob et al. 2018. The
    scale gets no gradient. Options: those of `quantize_linear`; x: float32.

    >>> import graphc as gx
    >>> x = gx.constant([0.26, 100.0], dtype="float32")
    >>> y = gx.fake_quantize(x, 0.1)
    >>> y.eval(), gx.grad(gx.sum(y), x).eval()
    (array([ 0.3, 12.7], dtype=float32), array([1., 0.], dtype=float32))
    """
    x = as_tensor(x)
    if x.dtype != t.float32:
        raise InputError(f"fake_quantize needs float32, got {x.type}", where=caller(), hint="astype it")
    whole = quantize_linear(x, scale, zero_point, axis=axis, dtype=dtype)
    y = dequantize_linear(whole, scale, zero_point, axis=axis)
    info = np.iinfo(whole.dtype.numpy)

    def rule(g: Tensor, x: Tensor) -> tuple[Tensor]:
        step, shift = _options("fake_quantize", x, scale, zero_point, axis)
        place = ops.round(x / step)
        if shift is not None:
            place = place + ops.astype(shift, t.float32)
        inside = ops.logical_and(place >= float(info.min), place <= float(info.max))
        return (ops.where(inside, g, 0.0),)

    return with_gradient(y, x, rule=GradientRule("straight_through", rule))
