"""Operands of contractions that are scalar code: loops that copy them, element by element, to where the tiles read them.

An axis of an operand is often several axes of an array: k may be (row, column, channel) of a kernel, so that the code divides k by
the channels, and by the channels times the columns. The loop over such an axis runs over pieces within which the quotients are
constant; there k goes on alone, and what does not depend on it is computed, and asked, once a piece:

    for k_piece in range(step0//32, (step0 + steps)//32):        k//32 is k_piece, k//96 is k_piece//3
        v1 = ...                                                 whether the place is inside the image
        if v1:
            for k in range(k_piece*32, k_piece*32 + 32):
                store(packed, ..., load(x0, ... + k))
        else:
            for k in range(k_piece*32, k_piece*32 + 32):
                store(packed, ..., 0.0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING

from graphc.ir import dims
from graphc.ir.dims import Dim, FloorDiv, Max0, Size
from graphc.ir.program import Block, Load, Statement
from graphc.ir.scalar import Const, Let, Ref

if TYPE_CHECKING:
    from graphc.backends.numba.source import Printer

PIECE = 2  # elements from which a piece is worth a loop of its own


@dataclass(frozen=True)
class Walk:
    """A loop over a part of an axis: its variable, where it starts and stops, and where the axis starts.

    Where `whole` is not 0, start and stop are multiples of it beyond the start of the axis.
    """

    var: str
    start: str
    stop: str
    origin: Size = 0
    whole: int = 0


def _sizes(block: Block) -> list[Size]:
    """The index expressions of a block."""
    found: list[Size] = []
    for statement in block.body:
        match statement:
            case Load(index=index):
                found += index
            case Let(op="index", index=index):
                found.append(index)
    return found


def piece(block: Block, var: str) -> Size | None:
    """The length of the pieces of an axis within which all quotients of its variable are constant; None if there are none."""
    found: Size | None = None
    todo = _sizes(block)
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
                    value = dims.floordiv(*(_in_pieces(part, var, number, length) for part in (a, b)))
                case Max0(a):
                    value = dims.maximum(_in_pieces(a, var, number, length), 0)
                case str(name):
                    value = dims.symbol(name)
            term = dims.mul(term, value)
        total = dims.add(total, term)
    return total


class Packing:
    """Prints the loops that write a block's value for every index of two axes, the outer one first."""

    def __init__(self, printer: Printer, block: Block, order: Sequence[Walk], write: Callable[[str], str]) -> None:
        self.printer, self.order, self.write = printer, order, write
        self.pieces = {walk.var: piece(block, walk.var) for walk in order}
        self.value = block.value
        self.levels: list[list[Statement]] = [[] for _ in range(2 * len(order) + 1)]  # before all loops, in each of them
        self.level_of: dict[str, int] = {}
        for walk in order:
            block = self._in_pieces(block, walk)
        for statement in block.body:
            level = self._level(statement)
            self.level_of[statement.name] = level  # type: ignore[union-attr]
            self.levels[level].append(statement)

    def _name(self, walk: Walk) -> str:
        return f"{walk.var}_piece"

    def _in_pieces(self, block: Block, walk: Walk) -> Block:
        """The block with quotients of a variable as quotients of its piece's number."""
        length = self.pieces[walk.var]
        if length is None:
            return block

        def change(size: Size) -> Size:
            return _in_pieces(size, walk.var, self._name(walk), length)

        body: list[Statement] = []
        for statement in block.body:
            match statement:
                case Load(index=index):
                    statement = replace(statement, index=tuple(map(change, index)))
                case Let(op="index", index=index):
                    statement = replace(statement, index=change(index))
            body.append(statement)
        return Block(tuple(body), block.value)

    def _level(self, statement: Statement) -> int:
        """How deep a statement must stand."""
        sizes: tuple[Size, ...] = ()
        needs: list[str] = []
        match statement:
            case Load(index=index, guard=guard):
                sizes = index
                needs += [guard.name] if isinstance(guard, Ref) else []
            case Let(args=args, index=index):
                sizes = (index,)
                needs += [a.name for a in args if isinstance(a, Ref)]
        names = dims.names(*sizes)
        level = max((self.level_of[n] for n in (*needs, *(n[1:] for n in names if n.startswith("%")))), default=0)
        for i, walk in enumerate(self.order):
            if self._name(walk) in names:
                level = max(level, 2 * i + 1)
            if walk.var in names:
                level = max(level, 2 * i + 2)
        return level

    def print(self, depth: int) -> None:
        printer = self.printer
        for i, walk in enumerate(self.order):
            var, start, stop = printer.variable(walk.var), walk.start, walk.stop
            length = self.pieces[walk.var]
            printer.body(tuple(self.levels[2 * i]), depth)
            if length is not None:
                number, size, divide = self._name(walk), printer.size(length), printer.intrinsic("udiv")
                size = size if isinstance(length, int) else f"({size})"
                printer.line(depth, f"for {number} in range({divide}({start}, {size}), {divide}({stop} + {size} - 1, {size})):")
                depth += 1
                start, stop = self._ends(walk, number, length, size)
            printer.body(tuple(self.levels[2 * i + 1]), depth)
            if i + 1 < len(self.order):
                printer.line(depth, f"for {var} in range({start}, {stop}):")
                depth += 1
        self._innermost(f"for {var} in range({start}, {stop}):", depth)

    def _ends(self, walk: Walk, number: str, length: Size, size: str) -> tuple[str, str]:
        """The first index of a piece, and the one after the last."""
        if walk.whole and isinstance(length, int) and walk.whole % length == 0 and dims.divide_exactly(walk.origin, length) is not None:
            return f"{number}*{size}", f"{number}*{size} + {size}"
        most, least = self.printer.intrinsic("maximum"), self.printer.intrinsic("minimum")
        return f"{most}({number}*{size}, {walk.start})", f"{least}({number}*{size} + {size}, {walk.stop})"

    def _innermost(self, head: str, depth: int) -> None:
        """The inner loop; twice, where a guard outside of it decides whether its loads read."""
        printer, inside = self.printer, self.levels[-1]
        guards = [s.guard for s in inside if isinstance(s, Load) and isinstance(s.guard, Ref)]
        outside = next((g for g in guards if self.level_of[g.name] < 2 * len(self.order)), None)
        if outside is None:
            printer.line(depth, head)
            printer.body(tuple(inside), depth + 1)
            printer.line(depth + 1, self.write(printer.arg(self.value)))
            return
        for text, open_ in ((f"if {printer.arg(outside)}:", True), ("else:", False)):
            printer.line(depth, text)
            printer.line(depth + 1, head)
            for statement in inside:
                if isinstance(statement, Load) and statement.guard == outside:
                    statement = replace(statement, guard=None)
                    if not open_:
                        zero = Const(statement.dtype.numpy.type(0).item(), statement.dtype)
                        printer.line(depth + 2, f"{printer.variable(statement.name)} = {printer.const(zero)}")
                        continue
                printer.body((statement,), depth + 2)
            printer.line(depth + 2, self.write(printer.arg(self.value)))
