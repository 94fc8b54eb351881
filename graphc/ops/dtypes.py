"""Facts about data types: can_cast, finfo, iinfo, isdtype, result_type."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from graphc.errors import DTypeError, InputError, caller
from graphc.ir import types as t
from graphc.ir.types import DType
from graphc.ops.declare import weak
from graphc.ops.tensor import Tensor


@dataclass(frozen=True)
class FloatInfo:
    """What a float type can hold: `eps` is the distance from 1 to the next number."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class IntegerInfo:
    """What an integer type can hold."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype(value: object) -> DType:
    if isinstance(value, Tensor):
        return value.dtype
    return t.as_dtype(value.dtype if isinstance(value, (np.ndarray, np.generic)) else value)


def finfo(dtype: object) -> FloatInfo:
    """The limits of a float type, or of an array's.

    >>> import graphc as gx
    >>> gx.finfo("float32").bits
    32
    """
    found = _dtype(dtype)
    if not found.is_float:
        raise DTypeError(f"finfo needs a float type, got {found}", where=caller(), hint="use iinfo")
    if found == t.bfloat16:  # which NumPy does not know: 8 bits of precision, the exponents of float32
        return FloatInfo(16, 2.0**-7, (2 - 2.0**-7) * 2.0**127, -(2 - 2.0**-7) * 2.0**127, 2.0**-126, found)
    info = np.finfo(found.numpy)
    return FloatInfo(found.bits, float(info.eps), float(info.max), float(info.min), float(info.smallest_normal), found)


def iinfo(dtype: object) -> IntegerInfo:
    """The limits of an integer type, or of an array's.

    >>> import graphc as gx
    >>> gx.iinfo("int8").max
    127
    """
    found = _dtype(dtype)
    if not found.is_integer:
        raise DTypeError(f"iinfo needs an integer type, got {found}", where=caller(), hint="use finfo")
    info = np.iinfo(found.numpy)
    return IntegerInfo(found.bits, int(info.max), int(info.min), found)


_KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f",
    "complex floating": "", "numeric": "iuf",
}  # fmt: skip


def isdtype(dtype: object, kind: Any) -> bool:
    """Whether a data type is of a kind: one of the Array API's names of kinds, a data type, or one of several of these.

    >>> import graphc as gx
    >>> gx.isdtype(gx.int8, "integral"), gx.isdtype(gx.int8, (gx.float32, "bool"))
    (True, False)
    """
    found = _dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise InputError(
                f"isdtype: {kind!r} is not a kind of data types", where=caller(), hint=f"use one of {', '.join(_KINDS)}"
            )
        return found.kind in _KINDS[kind]
    return found == _dtype(kind)


def can_cast(from_: object, to: object) -> bool:
    """Whether every value of one data type (or of an array's) is in another, by the rules of promotion.

    >>> import graphc as gx
    >>> gx.can_cast("int32", "float64"), gx.can_cast("int64", "int32")
    (True, False)
    """
    a, b = _dtype(from_), _dtype(to)
    if t.bfloat16 in (a, b):  # which NumPy does not know
        return t.promote(a, b) == b and (a.is_float or a.itemsize == 1)
    return bool(np.can_cast(a.numpy, b.numpy))


def result_type(*arrays_and_dtypes: object) -> DType:
    """The data type that arrays, data types and Python numbers promote to.

    >>> import graphc as gx
    >>> gx.result_type("int32", gx.zeros(2, "float32")), gx.result_type("float32", 2.0)
    (float64, float32)
    """
    if not arrays_and_dtypes:
        raise InputError("result_type needs at least one array or data type", where=caller())
    strong = [_dtype(v) for v in arrays_and_dtypes if not weak(v)]
    kinds = [kind for v in arrays_and_dtypes if (kind := weak(v)) is not None]
    if not strong:
        return t.as_dtype(np.result_type(*(kind(0) for kind in kinds)))
    return reduce(t.promote_number, kinds, reduce(t.promote, strong))
