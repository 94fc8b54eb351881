"""Arithmetic on single elements: exact, bit for bit NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.ir import primitives
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.operation import Pointwise, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import DType, TensorType
from graphc.ops.declare import (
    Op,
    alike,
    always,
    any_type,
    build,
    check_flag,
    elementwise,
    normalize_integer,
    numeric,
    of_all,
    to_float,
    true_division,
)
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]


def _whole(function: Any) -> Any:
    """Rounding leaves integers as they are."""
    return lambda x: np.array(x) if x.dtype.kind != "f" else function(x)


def _above_zero(x: Tensor) -> bool:
    value = None if x.inputs else x.attrs.get("value")
    return isinstance(value, (int, float)) and value > 0


add = elementwise(
    "add",
    dtype=any_type,
    reference=np.add,
    scalar="add({0}, {1})",
    vjp=lambda g, y, a, b: (g, g),
    level=lambda a, b: None if _above_zero(a) or _above_zero(b) else (a, b),  # what is never 0 has no need
    doc="a + b; of booleans, a or b.",
)
subtract = elementwise(
    "subtract", dtype=numeric, reference=np.subtract, scalar="sub({0}, {1})", vjp=lambda g, y, a, b: (g, -g), doc="a - b."
)
multiply = elementwise(
    "multiply",
    dtype=any_type,
    reference=np.multiply,
    scalar="mul({0}, {1})",
    vjp=lambda g, y, a, b: (g * b, g * a),
    level=lambda a, b: () if alike(a, b) else (a, b),
    doc="a * b; of booleans, a and b.",
)
divide = elementwise(
    "divide",
    dtype=true_division,
    reference=np.divide,
    scalar="div({0}, {1})",
    vjp=lambda g, y, a, b: (g / b, -g * y / b),
    level=of_all,
    doc="a / b; integers are divided as float64.",
)
negative = elementwise("negative", dtype=numeric, reference=np.negative, scalar="neg({0})", vjp=lambda g, y, x: (-g,), doc="-x.")
sqrt = elementwise(
    "sqrt",
    dtype=to_float,
    reference=np.sqrt,
    scalar="sqrt({0})",
    domain=(0.1, 4),
    vjp=lambda g, y, x: (g / (y + y),),
    level=of_all,
    root=True,
    doc="The square root; NaN below 0.",
)
abs = elementwise(
    "abs",
    dtype=any_type,
    reference=np.abs,
    scalar="abs({0})",
    vjp=lambda g, y, x: (g * sign(x),),
    level=always,
    doc="The absolute value; the smallest integer stays itself.",
)
sign: Op = elementwise(
    "sign",
    dtype=numeric,
    reference=np.sign,
    scalar="sign({0})",
    vjp=lambda g, y, x: (None,),
    doc="-1, 0 or 1 by the sign of x; NaN stays.",
)
floor = elementwise(
    "floor",
    dtype=numeric,
    reference=_whole(np.floor),
    scalar="floor({0})",
    vjp=lambda g, y, x: (None,),
    doc="The largest whole number that is not above x.",
)
ceil = elementwise(
    "ceil",
    dtype=numeric,
    reference=_whole(np.ceil),
    scalar="ceil({0})",
    vjp=lambda g, y, x: (None,),
    doc="The smallest whole number that is not below x.",
)
trunc = elementwise(
    "trunc",
    dtype=numeric,
    reference=_whole(np.trunc),
    scalar="trunc({0})",
    vjp=lambda g, y, x: (None,),
    doc="x without its fraction.",
)
round_ = elementwise(
    "round",
    dtype=numeric,
    reference=np.round,
    scalar="rint({0})",
    vjp=lambda g, y, x: (None,),
    doc="The nearest whole number, halves to the even one.",
)


def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """The nearest number with that many decimals, halves to the even one; the gradient is 0.

    decimals: a Python integer; negative ones count places before the point. As NumPy does it, x is multiplied by a power of ten,
    rounded, and divided by it again: a half is what is one after that. Integers keep their values where decimals is not negative.

    >>> import graphc as gx
    >>> gx.round(gx.constant([0.125, 2.5, -1250.0]), 1).eval(), gx.round(gx.constant([0.125, 2.5, -1250.0]), -2).eval()
    (array([ 1.00e-01,  2.50e+00, -1.25e+03]), array([    0.,     0., -1200.]))
    """
    places = normalize_integer("round", "decimals", decimals)
    x = as_tensor(x)
    if places == 0 or (places > 0 and not x.dtype.is_float):
        return round_(x)
    scale = 10.0 ** (places if places > 0 else -places)
    work = x if x.dtype.is_float else astype(x, t.float64)
    return astype(round_(work * scale) / scale if places > 0 else round_(work / scale) * scale, x.dtype)


def _quiet(function: Any) -> Any:
    def reference(*args: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*args))

    return reference


floor_divide = elementwise(
    "floor_divide", dtype=numeric, reference=_quiet(np.floor_divide), scalar="floor_divide({0}, {1})",
    vjp=lambda g, y, a, b: (None, None), domain=(0.5, 9),
    doc="The floor of a / b; of integers by 0, 0.",
)  # fmt: skip
remainder = elementwise(
    "remainder", dtype=numeric, reference=_quiet(np.remainder), scalar="remainder({0}, {1})",
    vjp=lambda g, y, a, b: (g, -g * floor_divide(a, b)), domain=(0.5, 9),
    doc="a - b * floor(a / b), with the sign of b; of integers by 0, 0.",
)  # fmt: skip

fmod = elementwise(
    "fmod", dtype=numeric, reference=_quiet(np.fmod), scalar="fmod({0}, {1})",
    vjp=lambda g, y, a, b: (g, -g * round_((a - y) / b)), domain=(0.5, 9),
    doc="a - b * trunc(a / b), with the sign of a; of integers by 0, 0.",
)  # fmt: skip


def _choose(keep: Array, a: Array, b: Array) -> Array:
    return np.where(np.isnan(a) | keep if a.dtype.kind == "f" else keep, a, b)


def _tie(g: Tensor, a: Tensor, b: Tensor, first: Tensor) -> Tensor:
    half = ops.full_like(g, 0.5)
    return g * ops.where(a == b, half, ops.astype(first, g.dtype))


maximum = elementwise(
    "maximum", dtype=any_type, scalar="maximum({0}, {1})", reference=lambda a, b: _choose(a > b, a, b),
    vjp=lambda g, y, a, b: (_tie(g, a, b, a > b), _tie(g, a, b, b > a)), level=of_all,
    masks=lambda a, b: (ops.logical_not(a < b), ops.logical_not(b < a)),
    doc="The larger of a and b; NaN if one is. Where both are equal, each gets half the gradient.",
)  # fmt: skip
minimum = elementwise(
    "minimum", dtype=any_type, scalar="minimum({0}, {1})", reference=lambda a, b: _choose(a < b, a, b),
    vjp=lambda g, y, a, b: (_tie(g, a, b, a < b), _tie(g, a, b, b < a)), level=of_all,
    masks=lambda a, b: (ops.logical_not(a > b), ops.logical_not(b > a)),
    doc="The smaller of a and b; NaN if one is. Where both are equal, each gets half the gradient.",
)  # fmt: skip
copysign: Op = elementwise(
    "copysign", dtype=to_float, reference=np.copysign, scalar="copysign({0}, {1})",
    vjp=lambda g, y, a, b: (g * copysign(ops.ones_like(g), b) * copysign(ops.ones_like(g), a), None), doc="a with the sign of b."
)  # fmt: skip


nextafter = elementwise(
    "nextafter", dtype=to_float, reference=np.nextafter, scalar="nextafter({0}, {1})", vjp=lambda g, y, a, b: (g, None),
    doc="The number next to a in the direction of b.",
)  # fmt: skip


stop_gradient_ = elementwise("stop_gradient", dtype=any_type, reference=np.array, scalar="{0}", vjp=lambda g, y, x: (None,))


def stop_gradient(x: TensorLike) -> Tensor:
    """x, which no gradient flows through.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "float64")
    >>> gx.grad(x * gx.stop_gradient(x), x).eval({x: 3.0})
    array(3.)
    """
    return stop_gradient_(as_tensor(x))


again = elementwise(
    "again",
    dtype=any_type,
    reference=np.array,
    scalar="{0}",
    vjp=lambda g, y, x: (g,),
    later=True,
    doc="x, for code that computes a value a second time and is to stay apart from the first: `rematerialize` writes it.",
)


def positive(x: TensorLike) -> Tensor:
    """x itself."""
    return as_tensor(x)


def square(x: TensorLike) -> Tensor:
    """x * x."""
    x = as_tensor(x)
    return x * x


def reciprocal(x: TensorLike) -> Tensor:
    """1 / x."""
    return divide(1, as_tensor(x))


def clip(x: TensorLike, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """x limited to min .. max; NaN stays."""
    x = as_tensor(x)
    if min is not None:
        x = maximum(x, min)
    if max is not None:
        x = minimum(x, max)
    return x


# --- casts -----------------------------------------------------------------------------------------------------------


def _astype_body(k: Scalars, index: tuple[Size, ...], dtype: DType) -> Any:
    return k.cast(k.load(0, index), dtype)


def _cast_gradient(g: Tensor, y: Tensor, x: Tensor, dtype: DType) -> tuple[Node | None, ...]:
    return (astype(g, x.dtype) if x.dtype.is_float and dtype.is_float else None,)


astype_ = Op(
    "astype", lambda x, dtype: TensorType(dtype, x.shape), primitives.cast, Pointwise(_astype_body, elementwise=True),
    _cast_gradient, tuple(Sample(((3, 4),), {"dtype": d}) for d in t.DTYPES), level=of_all, arity=1, build=build,
)  # fmt: skip


def astype(x: TensorLike, dtype: object, *, copy: bool = True) -> Tensor:
    """x in another data type; x itself if it has it.

    Float to integer truncates and saturates; NaN becomes 0. copy is NumPy's and the Array API's: symbols do not change, so it
    makes no difference.
    """
    check_flag("astype", "copy", copy)
    x = as_tensor(x)
    found = t.as_dtype(dtype)
    return x if x.dtype is found else astype_(x, dtype=found)
