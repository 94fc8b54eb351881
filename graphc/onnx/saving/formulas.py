"""Scalar operations: the ONNX operator of each, a formula of operators where there is none, or the code that kernels are made of.

A formula takes the recorder and scalars, whose own operators are ONNX's. What is in no table is written by its expansion into
primitives (passes/expand_math.py), which kernels are compiled from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.ir import scalar
from graphc.ir import types as t
from graphc.ir.scalar import Arg
from graphc.ir.types import DType
from graphc.onnx.saving.writing import NUMBERS, Value, Writer, working
from graphc.passes.expand_math import expansion

if TYPE_CHECKING:
    from graphc.onnx.saving.elements import Elements

S = scalar.Value

# --- operators -------------------------------------------------------------------------------------------------------

OPERATORS = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "abs": "Abs", "sqrt": "Sqrt", "floor": "Floor",
    "ceil": "Ceil", "rint": "Round", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "erf": "Erf", "sigmoid": "Sigmoid", "softplus": "Softplus", "pow": "Pow", "maximum": "Max",
    "minimum": "Min", "sign": "Sign",
}  # fmt: skip
COMPARISONS = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
LOGIC = {"and": "And", "or": "Or", "xor": "Xor", "not": "Not", "add": "Or", "mul": "And", "maximum": "Or", "minimum": "And"}
BITS = {"and": "BitwiseAnd", "or": "BitwiseOr", "xor": "BitwiseXor", "not": "BitwiseNot"}
OF_FLOATS = frozenset(("floor", "ceil", "rint", "trunc"))  # which leave integers as they are
_UNSIGNED = {8: t.uint8, 16: t.uint16, 32: t.uint32, 64: t.uint64}


def written(k: Elements, op: str, args: Sequence[Arg], values: Sequence[Value], dtype: DType) -> Value | Arg:
    """What an operation has become: a value of ONNX's, or a scalar that is made of others."""
    w, given = k.writer, values[-1].dtype
    if op in ("cast", "bitcast", "select"):
        return _STORED[op](w, dtype, *values)
    if given.is_bool and op in LOGIC:
        return w.op(LOGIC[op], *values, dtype=t.bool_)
    if op in BITS:
        return w.compute(BITS[op], *values)
    if op in COMPARISONS:
        found = compared(w, COMPARISONS[op], *values)
        if found is not None:
            return found
    if op == "ne":
        equal = compared(w, "Equal", *values)
        if equal is not None:
            return w.op("Not", equal, dtype=t.bool_)
    if op in ("isnan", "isinf") and given.is_float:
        return w.compute("IsNaN" if op == "isnan" else "IsInf", *values, dtype=t.bool_)
    if op in OF_FLOATS and not given.is_float:
        return args[0]
    if op == "neg" and given.kind == "u":
        return w.compute("Sub", w.scalar(0, given), values[0])
    if op == "abs" and given.kind in "ub":
        return args[0]
    if op in OPERATORS and not (given.is_integer and op in _INEXACT) and working(OPERATORS[op], given) in _same_kind(given):
        return w.compute(OPERATORS[op], *values)
    scalars = [S(k, a) for a in args]
    formula = FORMULAS.get(op)
    if formula is not None:
        found_scalar = formula(k, *scalars)
        if found_scalar is not None:
            return found_scalar.arg
    return expansion(k, op, scalars).arg


_INEXACT = frozenset(("pow", "div"))  # of integers


def _same_kind(given: DType) -> tuple[DType, ...]:
    return t.FLOATS if given.is_float else (*t.INTEGERS, t.bool_)


def compared(w: Writer, operator: str, a: Value, b: Value) -> Value | None:
    if working(operator, a.dtype) is not None:
        return w.compute(operator, a, b, dtype=t.bool_)
    if a.dtype != t.uint64:
        return None
    if operator != "Equal":  # the order of unsigned integers is that of signed ones with the first bit turned over
        top = w.scalar(1 << 63, t.uint64)
        a, b = (w.op("BitwiseXor", x, top) for x in (a, b))
    return w.op(operator, *(w.cast(x, t.int64) for x in (a, b)), dtype=t.bool_)


# --- casts, bits, choice ---------------------------------------------------------------------------------------------


def cast(w: Writer, dtype: DType, x: Value) -> Value:
    """x in another type, as graphc casts: floats to the nearest integer there is without the fraction, NaN to 0.

    ONNX leaves open what becomes of floats that are no number of the type.
    """
    if not x.dtype.is_float or not dtype.is_integer:
        return w.cast(x, dtype)
    if x.dtype.is_storage:
        x = w.cast(x, t.float32)
    info = np.iinfo(dtype.numpy)
    top = float(info.max) + 1.0 if info.max > 2**53 else float(info.max)
    high = w.op("GreaterOrEqual", x, w.scalar(top, x.dtype), dtype=t.bool_)
    low = w.op("LessOrEqual", x, w.scalar(float(info.min), x.dtype), dtype=t.bool_)
    outside = w.op("Or", w.op("Or", high, low), w.op("IsNaN", x, dtype=t.bool_))
    inside = w.cast(select(w, x.dtype, outside, w.scalar(0, x.dtype), x), dtype)
    rest = select(w, dtype, low, w.scalar(info.min, dtype), inside)
    return select(w, dtype, high, w.scalar(info.max, dtype), rest)


def select(w: Writer, dtype: DType, condition: Value, a: Value, b: Value) -> Value:
    """One of two."""
    if dtype.is_bool:
        rest = w.op("And", w.op("Not", condition), b)
        return w.op("Or", w.op("And", condition, a), rest)
    if dtype == t.uint64 and working("Where", dtype) is None:
        return w.cast(w.op("Where", condition, w.cast(a, t.int64), w.cast(b, t.int64), dtype=t.int64), dtype)
    return w.compute("Where", condition, a, b, free=1)


def bitcast(w: Writer, dtype: DType, x: Value) -> Value:
    """The same bits as another type."""
    w.needs(26)
    return w.op("BitCast", x, dtype=dtype, to=NUMBERS[dtype])


_STORED: Mapping[str, Callable[..., Value]] = {"cast": cast, "select": select, "bitcast": bitcast}

# --- formulas --------------------------------------------------------------------------------------------------------


def _direct(k: Elements, operator: str, *xs: S, **attrs: Any) -> S:
    """An operator of scalars."""
    values = [k.value(x.arg) for x in xs]
    made = k.writer.compute(operator, *values, **attrs)
    axes = frozenset[int]().union(*(k.axes.get(v.name, frozenset()) for v in values))
    return S(k, k._ref(made, axes, max(k.ranks.get(v.name, 0) for v in values)))


def _wide(formula: Callable[..., S]) -> Callable[..., S]:
    """A formula of float32, by that of float64, rounded once."""

    def function(k: Elements, *xs: S) -> S:
        return k.cast(formula(k, *(k.cast(x, t.float64) for x in xs)), xs[0].dtype)

    return function


def _trunc(k: Elements, x: S) -> S:
    return k.select(x < 0.0, k.op("ceil", x), k.op("floor", x))


def _fma(k: Elements, a: S, b: S, c: S) -> S:
    """Exact in float64 for float32; of float64 the product is rounded."""
    if a.dtype == t.float32:
        x, y, z = (k.cast(v, t.float64) for v in (a, b, c))
        return k.cast(x * y + z, a.dtype)
    return a * b + c


def _quot(k: Elements, a: S, b: S) -> S:
    return _direct(k, "Div", a, b)


def _rem(k: Elements, a: S, b: S) -> S:
    return _direct(k, "Mod", a, b, fmod=1)


def _shl(k: Elements, a: S, count: S) -> S:
    return _shifted(k, a, count, "LEFT")


def _shr(k: Elements, a: S, count: S) -> S:
    if a.dtype.kind == "u":
        return _shifted(k, a, count, "RIGHT")
    negative = a < 0
    turned = _shifted(k, k.select(negative, ~a, a), count, "RIGHT")
    return k.select(negative, ~turned, turned)


def _shifted(k: Elements, a: S, count: S, direction: str) -> S:
    unsigned = _UNSIGNED[max(a.dtype.bits, 8)]
    moved = _direct(k, "BitShift", k.cast(a, unsigned), k.cast(count, unsigned), direction=direction)
    return k.cast(moved, a.dtype)


def _isfinite(k: Elements, x: S) -> S | None:
    return ~(k.op("isnan", x) | k.op("isinf", x)) if x.dtype.is_float else None


def _divisor(k: Elements, b: S) -> S:
    """A divisor that cannot trap: 1 where what is left is 0 all the same."""
    safe = b == 0
    if b.dtype.kind == "i":
        safe = safe | (b == -1)
    return k.select(safe, k.const(1, b.dtype), b)


def _remainder(k: Elements, a: S, b: S) -> S:
    if not a.dtype.is_float:
        return _direct(k, "Mod", a, _divisor(k, b), fmod=0)
    return _divmod(k, a, b)[1]


def _fmod(k: Elements, a: S, b: S) -> S:
    return _direct(k, "Mod", a, b if a.dtype.is_float else _divisor(k, b), fmod=1)


def _floor_divide(k: Elements, a: S, b: S) -> S:
    if a.dtype.is_float:
        return _divmod(k, a, b)[0]
    safe = _divisor(k, b)
    quotient = _quot(k, a, safe)
    left = a - quotient * safe
    down = quotient
    if a.dtype.kind == "i":
        down = k.select((left != 0) & ((left < 0) ^ (safe < 0)), quotient - 1, quotient)
        down = k.select(b == -1, -a, down)
    return k.select(b == 0, k.const(0, a.dtype), down)


def _divmod(k: Elements, a: S, b: S) -> tuple[S, S]:
    """NumPy's algorithm, as in expand_math: from fmod, moved by one divisor where the signs differ."""
    mod = _fmod(k, a, b)
    div = (a - mod) / b
    moved = (mod != 0) & ((b < 0) ^ (mod < 0))
    div = k.select(moved, div - 1.0, div)
    low = k.op("floor", div)
    whole = k.select(div - low > 0.5, low + 1.0, low)
    quotient = a / b
    zero = k.const(0.0, a.dtype)
    div = k.select(b == 0, quotient, k.select(div == 0, k.select(quotient < 0, -zero, zero), whole))
    clean = k.select(mod == 0, _copysign(k, zero, b), k.select(moved, mod + b, mod))
    return div, k.select(b == 0, mod, clean)


def _signbit(k: Elements, x: S) -> S:
    """Of a NaN it is minus: that bit no operator shows."""
    return (x < 0) | ((x == 0) & (1.0 / x < 0))


def _copysign(k: Elements, a: S, b: S) -> S:
    size = abs(a)
    return k.select(_signbit(k, b), -size, size)


def _exp2(k: Elements, x: S) -> S:
    return _direct(k, "Pow", k.const(2.0, x.dtype), x)


def _expm1(k: Elements, x: S) -> S:
    """W. Kahan's: (u - 1) * x / log(u), u = exp(x), in which the errors of u cancel."""
    u = k.op("exp", x)
    less = u - 1.0
    near = k.select(u == 1.0, x, less * (x / k.op("log", u)))
    return k.select((less == -1.0) | (u == math.inf), less, near)


def _log1p(k: Elements, x: S) -> S:
    """log(u) * x / (u - 1), u = 1 + x: D. Goldberg, "What every computer scientist should know ...", 1991, theorem 4."""
    u = x + 1.0
    near = k.select(u == 1.0, x, k.op("log", u) * (x / (u - 1.0)))
    return k.select(u == math.inf, u, near)


def _log2(k: Elements, x: S) -> S:
    return k.op("log", x) * (1 / math.log(2))


def _log10(k: Elements, x: S) -> S:
    return k.op("log", x) * (1 / math.log(10))


def _tan(k: Elements, x: S) -> S:
    return k.op("sin", x) / k.op("cos", x)


def _asin(k: Elements, x: S) -> S:
    return k.op("atan", x / k.op("sqrt", (1.0 - x) * (x + 1.0)))


def _acos(k: Elements, x: S) -> S:
    half = k.op("atan", k.op("sqrt", (1.0 - x) / (x + 1.0)))
    return half + half


def _sinh(k: Elements, x: S) -> S:
    size = abs(x)
    e = _expm1(k, k.op("minimum", size, k.const(350.0, x.dtype)))
    near = (e + e / (e + 1.0)) * 0.5
    half = k.op("exp", size * 0.5)
    return _copysign(k, k.select(size < 350.0, near, half * 0.5 * half), x)


def _cosh(k: Elements, x: S) -> S:
    half = k.op("exp", abs(x) * 0.5)
    e = half * half
    return k.select(abs(x) < 350.0, e * 0.5 + 0.5 / e, half * 0.5 * half)


def _asinh(k: Elements, x: S) -> S:
    size = abs(x)
    far = size > 1e150
    z = k.select(far, 1.0, size)
    near = _log1p(k, z + z * z / (k.op("sqrt", z * z + 1.0) + 1.0))
    return _copysign(k, k.select(far, k.op("log", size) + math.log(2), near), x)


def _acosh(k: Elements, x: S) -> S:
    far = x > 1e150
    z = k.select(far, 1.0, x) - 1.0
    near = _log1p(k, z + k.op("sqrt", z) * k.op("sqrt", z + 2.0))
    return k.select(far, k.op("log", x) + math.log(2), near)


def _atanh(k: Elements, x: S) -> S:
    size = abs(x)
    return _copysign(k, _log1p(k, (size + size) / (1.0 - size)) * 0.5, x)


def _cbrt(k: Elements, x: S) -> S:
    """A power and a step of Newton's."""
    size = abs(x)
    plain = (size == 0.0) | (size == math.inf) | (size != size)
    some = k.select(plain, 1.0, size)
    y = _direct(k, "Pow", some, k.const(1 / 3, x.dtype))
    y = y - (y - some / (y * y)) * (1 / 3)
    return k.select(plain, x, _copysign(k, y, x))


def _hypot(k: Elements, x: S, y: S) -> S:
    a, b = abs(x), abs(y)
    high = k.op("maximum", a, b)
    endless = (a == math.inf) | (b == math.inf)
    scale = k.select((high == 0.0) | endless, 1.0, high)
    p, q = a / scale, b / scale
    return k.select(endless, k.const(math.inf, x.dtype), k.op("sqrt", p * p + q * q) * scale)


FORMULAS: Mapping[str, Callable[..., S | None]] = {
    "trunc": _trunc, "fma": _fma, "quot": _quot, "rem": _rem, "shl": _shl, "shr": _shr, "isfinite": _isfinite,
    "remainder": _remainder, "fmod": _fmod, "floor_divide": _floor_divide, "signbit": _signbit, "copysign": _copysign,
    "exp2": _wide(_exp2), "expm1": _wide(_expm1), "log1p": _wide(_log1p), "log2": _wide(_log2), "log10": _wide(_log10),
    "asin": _asin, "acos": _acos,
    "tan": _tan, "sinh": _sinh, "cosh": _cosh, "asinh": _asinh, "acosh": _acosh, "atanh": _atanh, "cbrt": _wide(_cbrt),
    "hypot": _wide(_hypot),
}  # fmt: skip

__all__ = ["FORMULAS", "OPERATORS", "bitcast", "cast", "compared", "select", "written"]
