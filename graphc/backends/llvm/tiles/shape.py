"""The shapes of register tiles, which follow from a target's vector registers."""

from __future__ import annotations

from llvmlite import ir

from graphc.ir.target import Target


def tallest(target: Target) -> int:
    """The rows of the tallest tile of two vectors. Three quarters of the registers hold sums: compilers want some for operands.

    >>> from graphc.ir.target import TARGETS
    >>> tallest(TARGETS["x86-64-v4"]), tallest(TARGETS["x86-64-v3"])
    (12, 6)
    """
    return target.registers * 3 // 8


def widest(target: Target, rows: int) -> int:
    """The vectors of the widest tile of so many rows, whole panels of two: short narrow tiles would wait for their sums.

    >>> from graphc.ir.target import TARGETS
    >>> widest(TARGETS["x86-64-v4"], 3), widest(TARGETS["x86-64-v4"], 7)
    (6, 2)
    """
    sums = target.registers * 3 // 4
    return next(v for v in (8, 6, 4, 2) if v == 2 or (rows * v <= sums and rows * v + v < target.registers))


def element(itemsize: int) -> ir.Type:
    return ir.FloatType() if itemsize == 4 else ir.DoubleType()
