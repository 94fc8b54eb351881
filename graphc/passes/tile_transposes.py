"""Go through transposed arrays by tiles: Program -> Program.

    parallel i < 1024 {                  parallel t0 < 16, t1 < 32 {
      for j < 1024 {                       for t3 < 32 {
        %2 = load %x[j, i]                   for t2 < 64 {
        %3 = add(%2, 1.0)                      %t5 = load %x[32*t1 + t3, 64*t0 + t2]
        store %y[i, j], %3      =>             store %t4[t2, t3], %t5
      }                                      }
    }                                      }
                                           for i in 64*t0 .. 64*t0 + 64 {
                                             for j in 32*t1 .. 32*t1 + 32 {
                                               %2 = load %t4[i - 64*t0, j - 32*t1]
                                               %3 = add(%2, 1.0)
                                               store %y[i, j], %3
                                             }
                                           }
                                         }

A loop that reads down the columns of an array takes one element from each line of the cache it touches, and by the time the next
column is read, the line is gone. A tile copies whole lines into scratch, which the nearest cache holds, and computes from there,
along rows, in vectors. Every value is computed as before, bit for bit.

Afterwards no nest of loops reads down the columns of an array that is larger than the nearest cache, where the nest is nothing
but loops around straight code, and the column's axis and the row's are among its loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Axis, Index, Kernel, Load, Loop, Program, Scratch, Statement, Store
from graphc.ir.scalar import Let, Ref
from graphc.ir.target import Target
from graphc.ir.types import TensorType
from graphc.passes.fresh_names import FreshNames

LINE = 64  # bytes of a line of the cache, on all processors that there is a target for
ROWS = 64  # columns of what is read, which become rows of a tile: of float32 four lines, which the processor fetches together
COLUMNS = 32  # rows of what is read: on as many pages of memory
LEAST = 8  # of either, below which a tile spares nothing


def tile_transposes(program: Program) -> Program:
    """The program whose kernels read transposed arrays by tiles."""
    if program.target.small:  # where there is no cache that lines could fall out of
        return program
    return program.with_kernels(lambda kernel: _tiled(kernel, program.target))


@dataclass(frozen=True)
class _Nest:
    """Loops around straight code, the innermost one last: those that threads share out, and those within."""

    axes: tuple[Axis, ...]
    body: tuple[Statement, ...]


def _nest(kernel: Kernel) -> _Nest | None:
    """The kernel as a nest, if it is one. What stands before a loop goes into it: LLVM takes it out again."""
    axes = list(kernel.parallel)
    before: tuple[Statement, ...] = ()
    body = kernel.body
    while body and isinstance(body[-1], Loop) and all(isinstance(s, (Let, Load)) for s in body[:-1]):
        *first, loop = body
        assert isinstance(loop, Loop)
        axes.append(Axis(loop.var, loop.stop, loop.start))
        before, body = (*before, *first), loop.body
    straight = all(isinstance(s, (Let, Load, Store)) for s in body)
    return _Nest(tuple(axes), (*before, *body)) if straight and not kernel.scratch else None


def _tiled(kernel: Kernel, target: Target) -> Kernel:
    nest = _nest(kernel)
    if nest is None or len(nest.axes) < 2:
        return kernel
    *outer, column = nest.axes
    variables = {a.var for a in nest.axes}
    types = {p.name: p.type for p in kernel.params if p.mode == "in"}
    for row in outer:
        bounds = dims.names(row.start, row.stop, column.start, column.stop)
        found = [s for s in nest.body if isinstance(s, Load) and s.buffer in types and _reads_columns(s, row.var, column.var)]
        found = [s for s in found if _is_far(s, types[s.buffer], column.var, target)]
        if found and not bounds & variables and all(_is_long(axis) for axis in (row, column)):
            return _by_tiles(kernel, nest, row, found, target)
    return kernel


def _reads_columns(load: Load, row: str, column: str) -> bool:
    """Whether the innermost loop goes down a column of an array, and another loop along its rows, element by element."""
    if not load.index or load.guard is not None or any(name.startswith("%") for name in dims.names(*load.index)):
        return False
    *others, last = load.index
    along = row not in dims.names(dims.sub(last, dims.symbol(row))) and column not in dims.names(last)
    return along and column in dims.names(*others) and row not in dims.names(*others)


def _is_far(load: Load, kind: TensorType, column: str, target: Target) -> bool:
    """Whether neighbours in a column lie on different lines of an array larger than the nearest cache, as far as is known."""
    axis = max(i for i, at in enumerate(load.index) if column in dims.names(at))
    step = dims.mul(dims.product(kind.shape[axis + 1 :]), kind.dtype.itemsize)
    return not (isinstance(step, int) and step < LINE) and not (isinstance(kind.nbytes, int) and kind.nbytes <= target.caches[0])


def _is_long(axis: Axis) -> bool:
    return not isinstance(axis.extent, int) or axis.extent >= LEAST


def _by_tiles(kernel: Kernel, nest: _Nest, row: Axis, loads: Sequence[Load], target: Target) -> Kernel:
    column = nest.axes[-1]
    fresh = FreshNames(kernel)
    width = _width(loads, target)
    tiles = {row.var: (fresh.fresh(), ROWS), column.var: (fresh.fresh(), width)}
    inner = {axis.var: _within(axis, *tiles[axis.var]) for axis in (row, column)}
    outer = {axis.var: Axis(tiles[axis.var][0], _count(axis, tiles[axis.var][1])) for axis in (row, column)}
    along = {axis.var: Axis(fresh.fresh(), inner[axis.var].extent) for axis in (row, column)}  # a tile's own, from 0 on
    here = {var: dims.add(inner[var].start, dims.symbol(axis.var)) for var, axis in along.items()}
    held: dict[tuple[str, Index], Scratch] = {}
    copies: list[Statement] = []
    for s in loads:
        if (s.buffer, s.index) not in held:
            held[s.buffer, s.index] = scratch = Scratch(fresh.fresh(), s.dtype, (ROWS, width))
            copied = Load(fresh.fresh(), s.dtype, s.buffer, tuple(dims.substitute(at, here) for at in s.index))
            at = tuple(dims.symbol(along[axis.var].var) for axis in (row, column))
            store = Store(scratch.name, at, Ref(copied.name, s.dtype))
            copies += _around((along[column.var], along[row.var]), (copied, store))
    place = tuple(dims.sub(dims.symbol(axis.var), inner[axis.var].start) for axis in (row, column))
    chosen = {id(s) for s in loads}
    body = tuple(
        replace(s, buffer=held[s.buffer, s.index].name, index=place) if isinstance(s, Load) and id(s) in chosen else s
        for s in nest.body
    )
    work = (*copies, *_around((inner[row.var], inner[column.var]), body))
    parallel = tuple(outer.get(axis.var, axis) for axis in nest.axes)  # no turn of a nest needs another
    return replace(kernel, parallel=parallel, body=work, scratch=tuple(held.values()))


def _width(loads: Sequence[Load], target: Target) -> int:
    """The columns of a tile: so many that half of the nearest cache holds it."""
    column = sum({(s.buffer, s.index): s.dtype.itemsize for s in loads}.values()) * ROWS
    width = COLUMNS
    while width > LEAST and 2 * width * column > target.caches[0]:
        width //= 2
    return width


def _within(axis: Axis, tile: str, size: int) -> Axis:
    """The part of a loop that a tile is."""
    first = dims.add(axis.start, dims.mul(dims.symbol(tile), size))
    last = dims.add(first, size)
    whole = isinstance(axis.extent, int) and axis.extent % size == 0
    return Axis(axis.var, last if whole else dims.minimum(last, axis.stop), first)


def _count(axis: Axis, size: int) -> Size:
    """How many tiles a loop has."""
    return dims.floordiv(dims.add(axis.extent, size - 1), size)


def _around(axes: Sequence[Axis], body: Sequence[Statement]) -> tuple[Statement, ...]:
    """Loops around a body, the first one outermost."""
    made = tuple(body)
    for axis in reversed(axes):
        made = (Loop(axis.var, axis.stop, made, axis.start),)
    return made
