"""Operands of contractions whose address is a sum of a term for one axis and a term for k: tiles read them where they lie.

    load x0[m//784, m//28 - 28*(m//784) + k//3, m - 28*(m//28) + k - 3*(k//3)]

is what a convolution sees of images with 28 places in a row, and the zeros around them. Its address is (m's term) + (k's term).
Within a row of places m's term grows by the same distance from place to place; the terms of k are put into a table once for all
rows of a product. So nothing of the image is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphc.backends.llvm.packing import Pieces, Walk
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Block, Load

if TYPE_CHECKING:
    from graphc.backends.llvm.source import Printer


@dataclass(frozen=True)
class Placed:
    """Element [i, k] lies at start(i) + term(k). `distance` is that of neighbours i within a piece of `length` of them, which
    starts at a multiple of it; length 0: all i are one piece. `start` knows i, and the number of its piece."""

    buffer: str
    start: Size
    term: Size
    distance: Size
    length: int


def placed(printer: Printer, block: Block, load: Load | None, axis: str, k: str) -> Placed | None:
    """How an operand, a block that is one load, is read through places along an axis, if its address is such a sum."""
    if load is None:
        return None
    address = dims.ravel(load.index, printer.shapes[load.buffer])
    start = dims.substitute(address, {k: 0})
    term = dims.sub(address, start)
    pieces = Pieces(printer, block, Walk(axis, "", ""))
    if axis in dims.names(term) or not (pieces.length is None or isinstance(pieces.length, int)):
        return None
    start = pieces.size(start)
    distance = dims.sub(dims.substitute(start, {axis: dims.add(dims.symbol(axis), 1)}), start)
    if {axis, pieces.number} & dims.names(distance):
        return None
    return Placed(load.buffer, start, term, distance, pieces.length or 0)
