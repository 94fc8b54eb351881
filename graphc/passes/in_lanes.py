"""Declared combinations of rows, in vector lanes.

    for j < m {                                   for l < min(m, 32) { store %s[l], 0.0 }
      %1 = load %x[i, j]                          for b < (m+31)//32 {
      %0 = reduce hypot(%0, %1)          =>         for j in 32*b .. min(m, 32*b+32) {
    }                                                 %1 = load %x[i, j]
                                                      hypot({0}, {1}) from 0 into %s[j-32*b], %1
                                                    }
                                                  }
                                                  for l < min(m, 32) {
                                                    %2 = load %s[l]
                                                    %0 = reduce hypot(%0, %2)
                                                  }

One value after the other would wait for each result. A combination is associative and commutative, so that lanes may be combined
on their own; which element falls into which lane depends on its place alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graphc.ir import dims
from graphc.ir.combines import declared_code, neutral
from graphc.ir.program import Accumulate, Init, Kernel, Load, Loop, Reduce, Scratch, Statement, Store, bodies, with_bodies
from graphc.ir.scalar import Ref

LANES = 32


def in_lanes(kernel: Kernel, fresh: Callable[[], str]) -> Kernel:
    """The kernel with its straight loops over declared combinations in lanes. `fresh` gives names."""
    scratch: list[Scratch] = []

    def body(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        made: list[Statement] = []
        for statement in statements:
            if isinstance(statement, Loop) and _fits(statement):
                made += _strips(statement, scratch, fresh)
            else:
                made.append(with_bodies(statement, body))
        return tuple(made)

    changed = body(kernel.body)
    return replace(kernel, body=changed, scratch=(*kernel.scratch, *scratch)) if scratch else kernel


def _fits(loop: Loop) -> bool:
    """Whether a loop has nothing but plain code and declared combinations, and is longer than the lanes, as far as is known."""
    found = [s for s in loop.body if isinstance(s, Reduce)]
    if not found or any(declared_code(s.combine) is None for s in found):
        return False
    extent = dims.sub(loop.stop, loop.start)
    plain = not any(bodies(s) or isinstance(s, (Init, Accumulate)) for s in loop.body)
    return plain and not (isinstance(extent, int) and extent <= LANES)


def _strips(loop: Loop, scratch: list[Scratch], fresh: Callable[[], str]) -> list[Statement]:
    extent = dims.sub(loop.stop, loop.start)
    strip, lane = fresh(), fresh()
    begin = dims.add(loop.start, dims.mul(dims.symbol(strip), LANES))
    here = (dims.sub(dims.symbol(loop.var), begin),)
    start: list[Statement] = []
    inner: list[Statement] = []
    end: list[Statement] = []
    for statement in loop.body:
        if not isinstance(statement, Reduce):
            inner.append(statement)
            continue
        name, value, dtype = fresh(), Ref(fresh(), statement.dtype), statement.dtype
        scratch.append(Scratch(name, dtype, (LANES,)))
        start.append(Store(name, (dims.symbol(lane),), neutral(statement.combine, dtype)))
        inner.append(Accumulate(name, here, statement.combine, statement.value))
        end.append(Load(value.name, dtype, name, (dims.symbol(lane),)))
        end.append(replace(statement, value=value))
    used = dims.minimum(extent, LANES)
    strips = dims.floordiv(dims.add(extent, LANES - 1), LANES)
    rows = Loop(loop.var, dims.minimum(loop.stop, dims.add(begin, LANES)), tuple(inner), begin)
    return [Loop(lane, used, tuple(start)), Loop(strip, strips, (rows,)), Loop(lane, used, tuple(end))]
