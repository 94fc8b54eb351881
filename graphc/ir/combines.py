"""Combinations: how two values of a reduction become one, and the neutral element that an accumulator starts from.

    combine := name | code " from " start
    name    := add | mul | max | min | and | or           for which STANDS_FOR has the text
             | argmax | argmin | logaddexp | set           which kernels know
    code    := scalar code (ir/scalar.py) of {0}, what was combined so far, and {1}, a further value; it is associative
    start   := number | lowest | highest                   of the data type: -inf or the smallest integer, inf or the largest

A text is what a user declares: `expand_math` writes its code where it is used. The names are what kernels have better code
for, which adds in vector lanes, or keeps the rounding errors of a sum.
"""

from __future__ import annotations

import numpy as np

from graphc.ir.scalar import Const
from graphc.ir.types import DType

_FROM = " from "
STANDS_FOR = {
    "add": "{0} + {1} from 0",
    "mul": "{0} * {1} from 1",
    "max": "maximum({0}, {1}) from lowest",
    "min": "minimum({0}, {1}) from highest",
    "and": "{0} & {1} from 1",
    "or": "{0} | {1} from 0",
}
_STARTS = {"argmax": "lowest", "argmin": "highest", "logaddexp": "lowest"}


def declared(code: str, start: object) -> str:
    """The text of a combination.

    >>> declared("hypot({0}, {1})", 0)
    'hypot({0}, {1}) from 0'
    """
    return f"{code}{_FROM}{start}"


def declared_code(combine: str) -> str | None:
    """The code of a combination that is a text; None for a name.

    >>> declared_code("hypot({0}, {1}) from 0"), declared_code("add")
    ('hypot({0}, {1})', None)
    """
    code, found, _ = combine.rpartition(_FROM)
    return code if found else None


def neutral(combine: str, dtype: DType) -> Const:
    """What an accumulator starts from.

    >>> from graphc.ir.types import float32, int8
    >>> str(neutral("max", float32)), str(neutral("hypot({0}, {1}) from 0", int8))
    ('-inf', '0')
    """
    start = _STARTS.get(combine) or STANDS_FOR.get(combine, combine).rpartition(_FROM)[2]
    if start not in ("lowest", "highest"):
        return Const(dtype.numpy.type(float(start) if dtype.is_float else int(start)).item(), dtype)
    low = start == "lowest"
    if dtype.is_float:
        return Const(float("-inf") if low else float("inf"), dtype)
    if dtype.is_bool:
        return Const(not low, dtype)
    info = np.iinfo(dtype.numpy)
    return Const(int(info.min if low else info.max), dtype)
