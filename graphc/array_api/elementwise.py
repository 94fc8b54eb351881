"""Functions of single elements, whose operands broadcast; one of two may be a Python number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import graphc as gx
from graphc.array_api.array import Array, Scalar, check_device, elementwise, power

Function = TypeVar("Function", bound=Callable[..., Any])


def _unary(name: str) -> Callable[[Array], Array]:
    def function(x: Array, /) -> Array:
        return elementwise(name, x)

    return _documented(function, name)


def _binary(name: str) -> Callable[[Array | Scalar, Array | Scalar], Array]:
    def function(x1: Array | Scalar, x2: Array | Scalar, /) -> Array:
        return elementwise(name, x1, x2)

    return _documented(function, name)


def _documented(function: Function, name: str) -> Function:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = getattr(gx, name).__doc__
    return function


abs = _unary("abs")
acos = _unary("acos")
acosh = _unary("acosh")
asin = _unary("asin")
asinh = _unary("asinh")
atan = _unary("atan")
atanh = _unary("atanh")
bitwise_invert = _unary("bitwise_invert")
ceil = _unary("ceil")
cos = _unary("cos")
cosh = _unary("cosh")
exp = _unary("exp")
expm1 = _unary("expm1")
floor = _unary("floor")
isfinite = _unary("isfinite")
isinf = _unary("isinf")
isnan = _unary("isnan")
log = _unary("log")
log1p = _unary("log1p")
log2 = _unary("log2")
log10 = _unary("log10")
logical_not = _unary("logical_not")
negative = _unary("negative")
positive = _unary("positive")
reciprocal = _unary("reciprocal")
round = _unary("round")
sign = _unary("sign")
signbit = _unary("signbit")
sin = _unary("sin")
sinh = _unary("sinh")
sqrt = _unary("sqrt")
square = _unary("square")
tan = _unary("tan")
tanh = _unary("tanh")
trunc = _unary("trunc")

add = _binary("add")
atan2 = _binary("atan2")
bitwise_and = _binary("bitwise_and")
bitwise_left_shift = _binary("bitwise_left_shift")
bitwise_or = _binary("bitwise_or")
bitwise_right_shift = _binary("bitwise_right_shift")
bitwise_xor = _binary("bitwise_xor")
copysign = _binary("copysign")
divide = _binary("divide")
equal = _binary("equal")
floor_divide = _binary("floor_divide")
greater = _binary("greater")
greater_equal = _binary("greater_equal")
hypot = _binary("hypot")
less = _binary("less")
less_equal = _binary("less_equal")
logaddexp = _binary("logaddexp")
logical_and = _binary("logical_and")
logical_or = _binary("logical_or")
logical_xor = _binary("logical_xor")
maximum = _binary("maximum")
minimum = _binary("minimum")
multiply = _binary("multiply")
nextafter = _binary("nextafter")
not_equal = _binary("not_equal")
remainder = _binary("remainder")
subtract = _binary("subtract")


def pow(x1: Array | Scalar, x2: Array | Scalar, /) -> Array:
    """x1 to the power x2."""
    return power(x1, x2)


def clip(x: Array, /, min: Array | Scalar | None = None, max: Array | Scalar | None = None) -> Array:
    """x limited to min .. max, in x's data type; NaN stays."""
    limits = {"min": min, "max": max}
    given = [key for key, value in limits.items() if value is not None]
    found = elementwise(_clip, x, *(limits[key] for key in given), which=given)
    return found if found.dtype == x.dtype else elementwise("astype", found, dtype=x.dtype)


def _clip(x: gx.Tensor, *limits: gx.Tensor, which: tuple[str, ...]) -> gx.Tensor:
    return gx.clip(x, **dict(zip(which, limits, strict=True)))


def conj(x: Array, /) -> Array:
    """x: real numbers are their own conjugates."""
    return elementwise("positive", x)


def real(x: Array, /) -> Array:
    """x: there are no complex numbers."""
    return elementwise("positive", x)


def imag(x: Array, /) -> Array:
    """Zeros: there are no complex numbers."""
    return elementwise("zeros_like", x)


def astype(x: Array, dtype: gx.DType, /, *, copy: bool = True, device: str | None = None) -> Array:
    """x in another data type; a float that becomes an integer is truncated and saturates, NaN becomes 0.

    `copy=False` gives x itself if it has the type.
    """
    check_device(device)
    return x if not copy and x.dtype == dtype else elementwise("astype", x, dtype=dtype)
