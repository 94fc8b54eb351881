"""Pieces of an axis: where the code of an operand divides a loop variable, the runs of it within which no quotient changes.

k of a convolution may be (row, column, channel) of a kernel: the code divides k by the channels, and by the channels times the
columns. Within one piece, the channels of a place, k goes on alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from graphc.ir import dims
from graphc.ir.dims import Dim, FloorDiv, Max0, Shape, Size
from graphc.ir.program import Block, Load
from graphc.ir.scalar import Let

PIECE = 2  # elements from which a piece is worth a loop of its own


def _sizes(block: Block, shapes: Mapping[str, Shape]) -> list[Size]:
    """The index expressions of a block; of loads the addresses, from which quotients may have gone."""
    found: list[Size] = []
    for statement in block.body:
        match statement:
            case Load(buffer=buffer, index=index):
                found.append(dims.ravel(index, shapes[buffer]))
            case Let(op="index", index=index):
                found.append(index)
    return found


def piece(block: Block, var: str, shapes: Mapping[str, Shape]) -> Size | None:
    """The length of the pieces of an axis within which all quotients of its variable are constant; None if there are none.

    `shapes` are those of the buffers that the block loads from.
    """
    found: Size | None = None
    todo = _sizes(block, shapes)
    while todo:
        size = todo.pop()
        for monomial, _ in size.terms if isinstance(size, Dim) else ():
            for atom in monomial:
                match atom:
                    case FloorDiv(a, b) if a == dims.symbol(var):
                        if found is None:
                            found = b
                        elif isinstance(found, int) and isinstance(b, int):
                            found = gcd(found, b)
                        elif dims.divide_exactly(b, found) is None:
                            found = b if dims.divide_exactly(found, b) is not None else 1
                    case FloorDiv(a, b):
                        todo += (a, b)
                    case Max0(a):
                        todo.append(a)
    return None if isinstance(found, int) and found < PIECE else found
