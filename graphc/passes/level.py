"""Which values are never negative and have derivatives of 0 wherever they are 0: squares, magnitudes, and sums of them.

    %0 = multiply(%x, %x)                        %3 = divide(%g, %2 + %2)          infinite where %2 is 0
    %1 = sum(%0, axes=[0])                =>     %4 = where(%2 == 0, 0, %3)        cotangent of %1
    %2 = sqrt(%1)              cotangent %g      %5 = multiply(%4, %x + %x)        cotangent of %x: 0, where %3 would give inf * 0

Such a value is least where it is 0, and so is its root: 0 is a subgradient there, and the one of least norm. A root of anything
else keeps its infinite derivative at 0. The operations say which of their operands must be level (`Operation.level`) and which
of them are roots (`Operation.root`); what a gradient is asked for counts as any number.
"""

from __future__ import annotations

from collections.abc import Set

from graphc.ir.graph import Node


def is_level(node: Node, wanted: Set[Node]) -> bool:
    """Whether a value is never negative, and all its derivatives by the wanted nodes are 0 where it is 0."""
    todo, seen = [node], set()
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        operands = None if one in wanted or one.op.level is None else one.op.level(*one.inputs, **one.attrs)
        if operands is None:
            return False
        todo += operands
    return True
