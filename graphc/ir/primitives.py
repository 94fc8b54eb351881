"""The primitives: the scalar operations that every backend implements, and what each means, as NumPy code on arrays.

A backend is right when it gives these bits. Integers wrap around. Division by zero of integers, shifts by more bits than there
are, and the quotient of the smallest integer by -1 do not happen: `expand_math` keeps them out.

    add sub mul neg abs      of integers modulo 2^bits; of floats as IEEE 754 has them
    div sqrt fma             of floats, each rounded once, ties to even
    floor ceil trunc rint    of floats; rint rounds ties to even, and all keep the sign of zero
    quot rem                 of integers: the quotient without its fraction, and what is left, which has the sign of the dividend
    eq ne lt le gt ge        comparisons: false where an operand is NaN, but for ne
    and or xor not shl shr   of bits; shr copies the sign of a signed integer; of booleans the logical operations
    select                   the second operand where the first is true, else the third
    cast                     to the nearest float, ties to even; of floats to integers without the fraction, to the nearest that
                             there is, NaN to 0; of integers modulo 2^bits; to booleans whether it is not 0, which NaN is not
    bitcast                  the same bits as another type of as many
    index                    the value of an index expression, as an int64: its operand is no array
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from graphc.ir.types import DType, as_dtype

Array = np.ndarray[Any, Any]


def cast(x: Array, dtype: DType) -> Array:
    """x in another data type.

    >>> from graphc.ir.types import int8
    >>> cast(np.array([1e9, -1.7, np.nan], "float32"), int8)
    array([127,  -1,   0], dtype=int8)
    """
    source = as_dtype(x.dtype)
    if not source.is_float or not dtype.is_integer:
        with np.errstate(over="ignore", invalid="ignore"):
            result: Array = x.astype(dtype.numpy)
        return result
    x = x.astype(source.arithmetic.numpy)
    info = np.iinfo(dtype.numpy)
    top = float(info.max) + 1.0 if info.max > 2**53 else float(info.max)
    high, low = x >= top, x <= float(info.min)
    inside = np.where(high | low | np.isnan(x), 0, x).astype(dtype.numpy)
    return np.where(high, info.max, np.where(low, info.min, inside)).astype(dtype.numpy)


def bitcast(x: Array, dtype: DType) -> Array:
    """The same bits as another type.

    >>> from graphc.ir.types import int32
    >>> hex(bitcast(np.float32(1), int32))
    '0x3f800000'
    """
    return x.view(dtype.numpy)


def fma(a: Array, b: Array, c: Array) -> Array:
    """a * b + c, rounded once.

    >>> float(fma(np.float64(0.1), np.float64(10), np.float64(-1)))
    5.551115123125783e-17
    """
    if a.dtype != np.float32:
        found: Array = np.frompyfunc(_fma_exactly, 3, 1)(a, b, c)
        return np.asarray(found, a.dtype)[()]
    with np.errstate(all="ignore"):  # the product is exact in float64; a sum that is rounded to odd there is rounded once in all
        product, addend = np.float64(a) * np.float64(b), np.float64(c)
        total = product + addend
        part = total - product
        lost = (product - (total - part)) + (addend - part)
        inexact = (lost != 0) & np.isfinite(total) & (np.asarray(total).view(np.int64) & 1 == 0)
        odd = np.where(inexact, np.nextafter(total, np.where(lost > 0, np.inf, -np.inf)), total)
        return odd.astype(np.float32)[()]


def _fma_exactly(a: Any, b: Any, c: Any) -> float:
    with np.errstate(all="ignore"):
        rounded = float(np.float64(a) * np.float64(b) + np.float64(c))
    if not (np.isfinite(a) and np.isfinite(b)):
        return rounded
    if not np.isfinite(c):
        return float(c)
    product = Fraction(float(a)) * Fraction(float(b))
    exact = product + Fraction(float(c))
    if exact == 0:
        return 0.0 if product else rounded  # what cancels is +0; the sum of two zeros has its own rule
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


def _quotient(a: Array, b: Array) -> Array:
    return (a - np.fmod(a, b)) // b


def _select(condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)[()]


# name -> what it gives; `cast` and `bitcast` take the type of the result too
PRIMITIVES: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "fma": fma,
    "quot": _quotient,
    "rem": np.fmod,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "shl": np.left_shift,
    "shr": np.right_shift,
    "select": _select,
    "cast": cast,
    "bitcast": bitcast,
    "index": np.int64,
}
STORAGE = frozenset(("select", "cast"))  # the primitives on types that memory alone holds (float16, bfloat16)
