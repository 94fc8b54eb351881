"""Pieces of an axis: where the code of an operand divides a loop variable, the runs of it within which no quotient changes.

k of a convolution may be (row, column, channel) of a kernel: the code divides k by the channels, and by the channels times the
columns. Within one piece, the channels of a place, k goes on alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Cut:
    """An axis as a loop over its pieces around a loop over one piece; a `length` of None: all of it is one."""

    var: str
    length: Size | None

    @property
    def number(self) -> str:
        """The variable that counts the pieces."""
        return f"{self.var}_piece"

    def size(self, size: Size) -> Size:
        """An index expression in terms of the piece's number."""
        return size if self.length is None else _in_pieces(size, self.var, self.number, self.length)


def cut(block: Block, var: str, shapes: Mapping[str, Shape]) -> Cut:
    """The pieces of an axis of a block (see `piece`)."""
    return Cut(var, piece(block, var, shapes))


def _in_pieces(size: Size, var: str, number: str, length: Size) -> Size:
    """The size with quotients of a variable as quotients of the number of its piece."""
    total: Size = 0
    for monomial, factor in size.terms if isinstance(size, Dim) else (((), size),):
        term: Size = factor
        for atom in monomial:
            value: Size
            match atom:
                case FloorDiv(a, b) if a == dims.symbol(var) and (pieces := dims.divide_exactly(b, length)) is not None:
                    value = dims.floordiv(dims.symbol(number), pieces)
                case FloorDiv(a, b):
                    value = dims.floordiv(_in_pieces(a, var, number, length), _in_pieces(b, var, number, length))
                case Max0(a):
                    value = dims.maximum(_in_pieces(a, var, number, length), 0)
                case str(name):
                    value = dims.symbol(name)
            term = dims.mul(term, value)
        total = dims.add(total, term)
    return total
