"""Combinations: how two values of a reduction become one, and the neutral element that an accumulator starts from.

    text  := name | code " from " start
    name  := add | mul | max | min | and | or | argmax | argmin | logaddexp | set | recurrence
    code  := scalar code (ir/scalar.py) of {0}, what was combined so far, and {1}, a further value; it is associative
    start := number | lowest | highest       of the data type: -inf or the smallest integer, inf or the largest

One with code in its text is declared by a user: `expand_math` writes its code where it is used. For the names kernels have better
code, which adds in vector lanes, or keeps the rounding errors of a sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc.ir.scalar import Const
from graphc.ir.types import DType

_FROM = " from "


@dataclass(frozen=True)
class Combine:
    """A combination.

    text         how texts write it
    code         what it makes of {0}, what there is so far, and {1}; "" where that is no function of two values
    start        the neutral element: a number, lowest or highest; "" where there is none
    declared     whether a user declared it, by its code
    positions    whether the result is the place of the value that is kept
    ordered      whether a value must be combined after those before it
    compensated  whether a long chain of floats keeps its rounding errors
    """

    text: str
    code: str = ""
    start: str = ""
    declared: bool = False
    positions: bool = False
    ordered: bool = False
    compensated: bool = False

    def __str__(self) -> str:
        return self.text

    def neutral(self, dtype: DType) -> Const:
        """What an accumulator starts from.

        >>> from graphc.ir.types import float32, int8
        >>> str(MAX.neutral(float32)), str(combine_of("hypot({0}, {1}) from 0").neutral(int8))
        ('-inf', '0')
        """
        start = self.start
        if start not in ("lowest", "highest"):
            return Const(dtype.numpy.type(float(start) if dtype.is_float else int(start)).item(), dtype)
        low = start == "lowest"
        if dtype.is_float:
            return Const(float("-inf") if low else float("inf"), dtype)
        if dtype.is_bool:
            return Const(not low, dtype)
        info = np.iinfo(dtype.numpy)
        return Const(int(info.min if low else info.max), dtype)


ADD = Combine("add", "{0} + {1}", "0", compensated=True)
MUL = Combine("mul", "{0} * {1}", "1")
MAX = Combine("max", "maximum({0}, {1})", "lowest")
MIN = Combine("min", "minimum({0}, {1})", "highest")
AND = Combine("and", "{0} & {1}", "1")
OR = Combine("or", "{0} | {1}", "0")
ARGMAX = Combine("argmax", start="lowest", positions=True)
ARGMIN = Combine("argmin", start="highest", positions=True)
LOGADDEXP = Combine(
    "logaddexp", "select({0} == {1}, {0} + 0.6931471805599453, maximum({0}, {1}) + log1p(exp(-abs({0} - {1}))))", "lowest"
)
SET = Combine("set", "{1}", ordered=True)
RECURRENCE = Combine("recurrence", "{1} * {0} + {2}", "0", ordered=True)  # of two further values

PLAIN = (ADD, MUL, MAX, MIN, AND, OR)  # of two values of one type, in any order: what lanes are joined by
NAMED = {c.text: c for c in (ADD, MUL, MAX, MIN, AND, OR, ARGMAX, ARGMIN, LOGADDEXP, SET, RECURRENCE)}


def declared(code: str, start: object) -> Combine:
    """A combination by its code and its neutral element.

    >>> str(declared("hypot({0}, {1})", 0))
    'hypot({0}, {1}) from 0'
    """
    return Combine(f"{code}{_FROM}{start}", code, str(start), declared=True)


def combine_of(text: str) -> Combine:
    """The combination that a text denotes. Raises ValueError for what is neither a name nor code with a start.

    >>> combine_of("add") is ADD, combine_of("hypot({0}, {1}) from 0").code
    (True, 'hypot({0}, {1})')
    """
    if text in NAMED:
        return NAMED[text]
    code, found, start = text.rpartition(_FROM)
    if not found:
        raise ValueError(f"{text!r} is no combination: it is one of {', '.join(NAMED)}, or scalar code with its start")
    return declared(code, start)


__all__ = [
    "ADD", "AND", "ARGMAX", "ARGMIN", "LOGADDEXP", "MAX", "MIN", "MUL", "NAMED", "OR", "PLAIN", "RECURRENCE", "SET", "Combine",
    "combine_of", "declared",
]  # fmt: skip
