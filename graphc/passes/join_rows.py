"""Take rows together that read the same elements: Program -> Program.

    parallel i < 80 {                         parallel i < 20 {
      for j < 80 {                              for j < 80 {
        %0 = load %x[i, j]                        %0 = load %x[4*i, j]
        %1 = load %x[i+1, j]         =>           %1 = load %x[4*i+1, j]
        %2 = add(%0, %1)                          %2 = add(%0, %1)
        store %y[i, j], %2                        store %y[4*i, j], %2
      }                                           %3 = load %x[4*i+2, j]
    }                                             %4 = add(%1, %3)
                                                  store %y[4*i+1, j], %4
                                                  ...

A sum over a window reads each row of an image as often as the window is high, and a depthwise convolution is bound by these
loads. What several rows of results read is loaded once for all of them, and code follows the loads, so that few values wait.
Every value is computed as before, bit for bit.

Afterwards no loop reads an element that the next row's loop reads too, where rows are alike, their number is known and can be
cut in equal parts, and enough is spared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Axis, Kernel, Load, Loop, Program, Statement, Store
from graphc.ir.scalar import Arg, Let, Ref

TOGETHER = (4, 3, 5, 2)  # rows, the best first: sums of four and what they read fit in 32 registers
LEAST = 6  # loads along a row from which sparing some is worth longer code
SPARED = 0.75  # the share of loads that may be left
MOST = 1024  # statements of the rows together
SHARED = 8  # iterations that should be left for threads, where rows are longer than
SHORT = 512


def join_rows(program: Program) -> Program:
    """The program with rows of its kernels taken together."""
    return program.with_kernels(_joined)


def _joined(kernel: Kernel) -> Kernel:
    if not kernel.parallel or kernel.scratch:
        return kernel
    *outer, rows = kernel.parallel
    if rows.start != 0 or not isinstance(rows.stop, int) or not all(_is_row(s) for s in kernel.body):
        return kernel
    shapes = {p.name: p.type.shape for p in kernel.params}
    written = {s.buffer for loop in kernel.body if isinstance(loop, Loop) for s in loop.body if isinstance(s, Store)}
    for count in TOGETHER:
        if rows.stop % count == 0 and _are_enough((*outer, Axis(rows.var, rows.stop // count)), kernel.body):
            made = [_together(loop, rows.var, count, shapes, written) for loop in kernel.body if isinstance(loop, Loop)]
            if all(body is not None for body in made):
                return replace(kernel, parallel=(*outer, Axis(rows.var, rows.stop // count)), body=tuple(m for m in made if m))
    return kernel


def _are_enough(parallel: Sequence[Axis], body: Sequence[Statement]) -> bool:
    """Whether so many iterations are left that threads can share them, as far as is known."""
    count = math.prod(axis.stop for axis in parallel if isinstance(axis.stop, int))
    long = any(isinstance(s, Loop) and not (isinstance(s.stop, int) and s.stop <= SHORT) for s in body)
    return not long or count >= SHARED


def _is_row(statement: Statement) -> bool:
    """Whether a statement is a loop of straight code."""
    return isinstance(statement, Loop) and all(
        isinstance(s, (Let, Store)) or (isinstance(s, Load) and s.guard is None) for s in statement.body
    )


@dataclass(frozen=True)
class _Placed:
    """A statement of one of the rows: the place in memory up to which that row has read, the row, its place in the row."""

    reach: int
    row: int
    number: int
    statement: Statement


def _together(loop: Loop, var: str, count: int, shapes: dict[str, tuple[Size, ...]], written: set[str]) -> Loop | None:
    """A loop over the elements of several rows; None where that spares too little."""
    if count * len(loop.body) > MOST:
        return None
    placed: list[_Placed] = []
    for row in range(count):
        at = {var: dims.add(dims.mul(dims.symbol(var), count), row)}
        reach = 0
        for number, statement in enumerate(of_row(loop.body, row, at)):
            if isinstance(statement, Load):
                place = _along(statement, loop.var, shapes)
                reach = reach if place is None else max(reach, place)
            placed.append(_Placed(reach, row, number, statement))
    placed.sort(key=lambda p: (p.reach, p.row, p.number))
    along = [p.statement for p in placed if isinstance(p.statement, Load) and _along(p.statement, loop.var, shapes) is not None]
    body = once([p.statement for p in placed], written)
    left = sum(isinstance(s, Load) and _along(s, loop.var, shapes) is not None for s in body)
    if len(along) < LEAST * count or left > SPARED * len(along):
        return None
    return replace(loop, body=tuple(body))


def _along(load: Load, var: str, shapes: dict[str, tuple[Size, ...]]) -> int | None:
    """Where a load that goes along the row reads in the first row; None for one that does not, or that divides by a size."""
    address = dims.ravel(load.index, shapes[load.buffer])
    if var not in dims.names(*load.index) or dims.denominators(address):
        return None
    first = dims.substitute(address, dict.fromkeys(dims.names(address), 0))
    return first if isinstance(first, int) else None


def of_row(body: Sequence[Statement], row: int, at: dict[str, Size]) -> list[Statement]:
    """The code of one of the rows, or of one of a loop's turns, with names of its own."""
    names = {s.name: f"{s.name}_{row}" for s in body if isinstance(s, (Let, Load))} if row else {}
    places = at | {f"%{old}": dims.symbol(f"%{new}") for old, new in names.items()}

    def arg(given: Arg) -> Arg:
        return Ref(names.get(given.name, given.name), given.dtype) if isinstance(given, Ref) else given

    def index(given: tuple[Size, ...]) -> tuple[Size, ...]:
        return tuple(dims.substitute(size, places) for size in given)

    made: list[Statement] = []
    for s in body:
        match s:
            case Let(name=name, args=args, index=size):
                made.append(replace(s, name=names.get(name, name), args=tuple(map(arg, args)), index=index((size,))[0]))
            case Load(name=name, guard=guard):
                guard = None if guard is None else arg(guard)
                made.append(replace(s, name=names.get(name, name), index=index(s.index), guard=guard))
            case Store(value=value):
                made.append(replace(s, index=index(s.index), value=arg(value)))
    return made


def once(body: Sequence[Statement], written: set[str]) -> list[Statement]:
    """The code with loads of the same element as one; what is written may be another element after that."""
    first: dict[tuple[str, tuple[Size, ...], Arg | None], str] = {}
    same: dict[str, str] = {}
    found: list[Statement] = []

    def arg(given: Arg) -> Arg:
        return Ref(same.get(given.name, given.name), given.dtype) if isinstance(given, Ref) else given

    def index(given: tuple[Size, ...]) -> tuple[Size, ...]:
        places: dict[str, Size] = {n: dims.symbol(f"%{same[n[1:]]}") for n in dims.names(*given) if n[1:] in same and n[0] == "%"}
        return tuple(dims.substitute(size, places) for size in given) if places else given

    for s in body:
        match s:
            case Let(args=args, index=size):
                found.append(replace(s, args=tuple(map(arg, args)), index=index((size,))[0]))
            case Load(name=name, buffer=buffer, guard=guard):
                s = replace(s, index=index(s.index), guard=None if guard is None else arg(guard))
                if buffer not in written and (buffer, s.index, s.guard) in first:
                    same[name] = first[buffer, s.index, s.guard]
                    continue
                first[buffer, s.index, s.guard] = name
                found.append(s)
            case Store(value=value):
                found.append(replace(s, index=index(s.index), value=arg(value)))
    return found
