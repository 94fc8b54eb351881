"""Operands of contractions that are scalar code: loops that copy them, element by element, to where the tiles read them.

An axis of an operand is often several axes of an array: k may be (row, column, channel) of a kernel, so that the code divides k
by the channels, and by the channels times the columns. The loop over such an axis runs over pieces within which the quotients
are constant; there k goes on alone, and what does not depend on it is computed, and asked, once a piece:

    for k_piece in range(step0//32, (step0 + steps)//32):        k//32 is k_piece, k//96 is k_piece//3
        v1 = ...                                                 whether the place is inside the image
        if v1:
            for k_step in range(32):
                k_here = k_piece*32 + k_step
                store(packed, ..., load(x0, ... + k_here))
        else:
            for k_step in range(32):
                k_here = k_piece*32 + k_step
                store(packed, ..., 0.0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.pieces import cut
from graphc.ir.program import Block, Load, Statement
from graphc.ir.scalar import Const, Let, Ref

if TYPE_CHECKING:
    from graphc.backends.llvm.source import Printer


@dataclass(frozen=True)
class Walk:
    """A loop over a part of an axis: its variable, where it starts and stops, and where the axis starts.

    Where `whole` is not 0, start and stop are multiples of it beyond the start of the axis. `count` is how many indices there
    are, if that is known.
    """

    var: str
    start: str
    stop: str
    origin: Size = 0
    whole: int = 0
    count: int = 0


class Pieces:
    """A walk over an axis of an operand as a loop over its pieces, if it has any, around a loop over one piece."""

    def __init__(self, printer: Printer, block: Block, walk: Walk) -> None:
        self.printer, self.walk = printer, walk
        self.cut = cut(block, walk.var, printer.shapes)
        self.length, self.number, self.size = self.cut.length, self.cut.number, self.cut.size

    def index(self, load: Load) -> tuple[Size, ...]:
        return tuple(map(self.size, load.index))

    @property
    def here(self) -> str:
        """The name of the index inside of a packing's loops."""
        return f"{self.walk.var}_here"

    @property
    def equal(self) -> int:
        """The length of every part of a piece that is walked over, if all are equal and known; else 0."""
        walk, length = self.walk, self.length
        if not walk.whole or not isinstance(length, int) or dims.divisor(walk.origin) % min(length, walk.whole):
            return 0
        if walk.whole % length == 0:
            return length
        return walk.count if walk.whole == walk.count and length % walk.whole == 0 else 0

    def open(self, depth: int) -> int:
        """Print the start of the loop over the pieces; gives the depth inside."""
        size, divide, line = self._length, self.printer.intrinsic("udiv"), self.printer.line
        start, stop = f"{divide}({self.walk.start}, {size})", f"{divide}({self.walk.stop} + {size} - 1, {size})"
        if self.equal == self.walk.count > 0:
            line(depth, f"{self.number} = {start}")
            return depth
        line(depth, f"for {self.number} in range({start}, {stop}):")
        return depth + 1

    def ends(self) -> tuple[str, str]:
        """The first index of a piece, and how many are walked over."""
        if self.length is None:
            return self.walk.start, str(self.walk.count or f"{self.walk.stop} - ({self.walk.start})")
        size = self._length
        if self.equal:
            return self.walk.start if self.equal == self.walk.count else f"{self.number}*{size}", str(self.equal)
        most, least = self.printer.intrinsic("maximum"), self.printer.intrinsic("minimum")
        start = f"{most}({self.number}*{size}, {self.walk.start})"
        return start, f"{least}({self.number}*{size} + {size}, {self.walk.stop}) - {start}"

    @property
    def _length(self) -> str:
        assert self.length is not None
        return self.printer.factor(self.length)


class Packing:
    """Prints the loops that write a block's value for every index of two axes, the outer one first."""

    def __init__(self, printer: Printer, block: Block, order: Sequence[Walk], write: Callable[[str], str]) -> None:
        self.printer, self.order, self.write = printer, [Pieces(printer, block, walk) for walk in order], write
        self.value = block.value
        self.levels: list[list[Statement]] = [[] for _ in range(2 * len(order) + 1)]  # before all loops, in each of them
        self.level_of: dict[str, int] = {}
        for statement in block.body:
            match statement:
                case Load(index=index):
                    statement = replace(statement, index=tuple(map(self._size, index)))
                case Let(op="index", index=size):
                    statement = replace(statement, index=self._size(size))
            assert isinstance(statement, (Load, Let))
            level = self.level_of[statement.name] = self._level(statement)
            self.levels[level].append(statement)

    def _size(self, size: Size) -> Size:
        for pieces in self.order:
            size = pieces.size(size)
        return dims.substitute(size, {pieces.walk.var: dims.symbol(pieces.here) for pieces in self.order})

    def _level(self, statement: Load | Let) -> int:
        """How deep a statement must stand."""
        sizes = statement.index if isinstance(statement, Load) else (statement.index,)
        args = (statement.guard,) if isinstance(statement, Load) else statement.args
        names = dims.names(*sizes)
        needs = [a.name for a in args if isinstance(a, Ref)] + [n[1:] for n in names if n.startswith("%")]
        level = max((self.level_of[n] for n in needs), default=0)
        for i, pieces in enumerate(self.order):
            if pieces.number in names:
                level = max(level, 2 * i + 1)
            if pieces.here in names:
                level = max(level, 2 * i + 2)
        return level

    def print(self, depth: int) -> None:
        for i, pieces in enumerate(self.order):
            self.printer.body(tuple(self.levels[2 * i]), depth)
            if pieces.length is not None:
                depth = pieces.open(depth)
            self.printer.body(tuple(self.levels[2 * i + 1]), depth)
            if i + 1 < len(self.order):
                depth = self._loop(pieces, depth)
        self._innermost(self.order[-1], depth)

    def _loop(self, pieces: Pieces, depth: int) -> int:
        """The loop over the indices of a piece: it counts from 0, so that its length can be seen to be constant."""
        start, count = pieces.ends()
        step = f"{pieces.walk.var}_step"
        self.printer.line(depth, f"for {step} in range({count}):")
        self.printer.line(depth + 1, f"{pieces.here} = {start} + {step}")
        return depth + 1

    def _innermost(self, pieces: Pieces, depth: int) -> None:
        """The inner loop; twice, where a guard outside of it decides whether its loads read."""
        printer, inside = self.printer, self.levels[-1]
        guards = [s.guard for s in inside if isinstance(s, Load) and isinstance(s.guard, Ref)]
        outside = next((g for g in guards if self.level_of[g.name] < 2 * len(self.order)), None)
        if outside is None:
            depth = self._loop(pieces, depth)
            printer.body(tuple(inside), depth)
            printer.line(depth, self.write(printer.arg(self.value)))
            return
        for text, reads in ((f"if {printer.arg(outside)}:", True), ("else:", False)):
            printer.line(depth, text)
            inner = self._loop(pieces, depth + 1)
            for statement in inside:
                if isinstance(statement, Load) and statement.guard == outside:
                    statement = replace(statement, guard=None)
                    if not reads:
                        zero = Const(statement.dtype.numpy.type(0).item(), statement.dtype)
                        printer.line(inner, f"{printer.variable(statement.name)} = {printer.const(zero)}")
                        continue
                printer.body((statement,), inner)
            printer.line(inner, self.write(printer.arg(self.value)))


def along(block: Block, first: str, second: str) -> bool:
    """Whether the first of two axes is the contiguous one, judged by the loads of a block."""
    for statement in block.body:
        if isinstance(statement, Load) and statement.index:
            last = dims.names(statement.index[-1])
            if (first in last) != (second in last):
                return first in last
    return True
