"""Write the turns of a loop out where its elements alternate: Program -> Program.

    for k < 160 {                                     for k < 80 {
      %0 = index(k-2*(k//2))                            %2 = load %x[k]
      %1 = eq(%0, 0)                                    store %y[2*k], %2
      %2 = load %x[k//2] if %1                          %4 = load %z[k]
      %3 = eq(%0, 1)                         =>         store %y[2*k+1], %4
      %4 = load %z[k//2] if %3                        }
      %5 = select(%3, %4, %2)
      store %y[k], %5
    }

Images that grow by a whole factor, and the parts of a transposed convolution, come together like this. At each element the
quotient would be an address of its own, and the remainder a question; written out, loads and stores go along memory, and nothing
is asked. The values and the order of the elements are what they were.

Afterwards no loop of straight code, of a known number of turns, has addresses with its variable divided by a small number that
divides the number of turns, unless that would leave some of them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Kernel, Load, Loop, Program, Statement, Store, with_bodies
from graphc.ir.scalar import Const, Let, Ref
from graphc.passes.join_rows import of_row, once
from graphc.passes.split_loops import needed, settled

APART = 3  # turns that become one, at most; where four elements in a row are equal, LLVM makes one vector of them itself
MOST = 256  # statements of one turn

Shapes = Mapping[str, tuple[Size, ...]]

_ANSWERS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip


def unroll_remainders(program: Program) -> Program:
    """The program with loops over alternating elements written out."""
    return program.with_kernels(_kernel)


def _kernel(kernel: Kernel) -> Kernel:
    shapes = {p.name: p.type.shape for p in kernel.params} | {s.name: s.shape for s in kernel.scratch}
    return replace(kernel, body=_body(kernel.body, shapes))


def _body(body: tuple[Statement, ...], shapes: Shapes) -> tuple[Statement, ...]:
    return tuple(
        _written_out(s, shapes)
        if isinstance(s, Loop) and all(isinstance(inner, (Let, Load, Store)) for inner in s.body)
        else with_bodies(s, lambda inner: _body(inner, shapes))
        for s in body
    )


def _written_out(loop: Loop, shapes: Shapes) -> Loop:
    """The loop with as many turns in one as alternate; the loop itself if there are none."""
    if loop.start != 0 or not isinstance(loop.stop, int):
        return loop
    for by in sorted(_divisors(loop, shapes)):
        if by <= APART and loop.stop % by == 0 and by * len(loop.body) <= MOST:
            made = _together(loop, by)
            if not _divisors(made, shapes):
                return made
    return loop


def _divisors(loop: Loop, shapes: Shapes) -> set[int]:
    """The numbers by which a loop's variable is divided in its code, where that says which element of the memory is meant."""
    todo: list[Size] = []
    for s in loop.body:
        match s:
            case Let(index=size):
                todo.append(size)
            case Load(buffer=buffer, index=index) | Store(buffer=buffer, index=index):
                todo.append(dims.ravel(index, shapes[buffer]))
    found: set[int] = set()
    while todo:
        size = todo.pop()
        if isinstance(size, int) or loop.var not in dims.names(size):
            continue
        for atom in (atom for monomial, _ in size.terms for atom in monomial):
            match atom:
                case dims.FloorDiv(a, b):
                    todo.append(a)
                    if isinstance(b, int) and loop.var in dims.names(a):
                        found.add(b)
                case dims.Max0(a):
                    todo.append(a)
    return found


def _together(loop: Loop, by: int) -> Loop:
    """So many turns of a loop in one."""
    assert isinstance(loop.stop, int)
    written = {s.buffer for s in loop.body if isinstance(s, Store)}
    found: list[Statement] = []
    for turn in range(by):
        body = of_row(loop.body, turn, {loop.var: dims.add(dims.mul(dims.symbol(loop.var), by), turn)})
        found += settled(tuple(body), _answers(body))
    return replace(loop, stop=loop.stop // by, body=needed(once(found, written)))


def _answers(body: Sequence[Statement]) -> dict[str, bool]:
    """The comparisons in some code that are of numbers."""
    numbers: dict[str, int] = {}
    found: dict[str, bool] = {}
    for s in body:
        match s:
            case Let(name=name, op="index", index=int(number)):
                numbers[name] = number
            case Let(name=name, op=op, args=(Ref(value), Const(bound))) if op in _ANSWERS and value in numbers:
                found[name] = _ANSWERS[op](numbers[value], bound)
    return found
