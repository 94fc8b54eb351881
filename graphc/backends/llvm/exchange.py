"""Loops that copy an array with its axes exchanged, as a call of the library: squares are transposed in registers.

    for lane in range(0, 16):                                          if lane's last turn is not held back:
        for i in range(0, 3):                                              exchange(x0 + 144*block, 9, 16, 9, s0, 16)
            for j in range(0, 3):                                 =>   else:
                v0 = load0(x0, 144*block + 9*lane + 3*i + j)               ... the loops ...
                store1(s0, 48*i + 16*j + lane, v0)

The inner axes are one, since their elements follow each other in both arrays. Reading and writing single elements takes three
times as long, or more where what reads them next, as vectors, must wait until they have arrived in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphc.backends.llvm.tiles.library import library_function, native
from graphc.backends.llvm.tiles.pack import DEALT
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.program import Load, Loop, Store
from graphc.ir.scalar import Ref
from graphc.ir.types import DType

if TYPE_CHECKING:
    from graphc.backends.llvm.source import Printer


@dataclass(frozen=True)
class Exchange:
    """Element [m, n] at source + m*row + n goes to target + n*distance + m, where each of `held` is at most 0."""

    dtype: DType
    source: tuple[str, Size]
    row: Size
    rows: Size
    columns: Size
    target: tuple[str, Size]
    distance: Size
    held: tuple[Size, ...]


def exchange_of(printer: Printer, loop: Loop) -> Exchange | None:
    """The exchange that a loop is, if it is one, of half a vector's elements at least along both axes."""
    inner: list[Loop] = []
    body = loop.body
    while len(body) == 1 and isinstance(body[0], Loop):
        inner.append(body[0])
        body = body[0].body
    match body:
        case (Load(name, dtype, buffer, index, None), Store(target, place, Ref(value))) if inner and name == value:
            pass
        case _:
            return None
    least = printer.target.lanes(dtype.itemsize) // 2
    count = dims.product(l.stop for l in inner)
    if dtype not in (t.float32, t.float64) or not printer.target.masks or target == buffer or least < 2:
        return None
    if any(l.start != 0 for l in (loop, *inner)) or {buffer, target} & (printer.cells | printer.joined):
        return None
    if (isinstance(loop.stop, int) and loop.stop < least) or (isinstance(count, int) and count < least and count not in DEALT):
        return None
    given, held = _unheld(dims.ravel(index, printer.shapes[buffer]), loop.var)
    written = dims.ravel(place, printer.shapes[target])
    of, to = (_steps(address, loop, inner) for address in (given, written))
    if of is None or to is None:
        return None
    start = dict.fromkeys((l.var for l in (loop, *inner)), 0)
    here, there = ((b, dims.substitute(a, start)) for b, a in ((buffer, given), (target, written)))
    last = {loop.var: dims.sub(loop.stop, 1)}
    held = tuple(dims.substitute(size, last) for size in held)
    match (*of, *to):
        case (row, 1, 1, distance):
            return Exchange(dtype, here, row, loop.stop, count, there, distance, held)
        case (1, row, distance, 1):
            return Exchange(dtype, here, row, count, loop.stop, there, distance, held)
    return None


def _unheld(address: Size, var: str) -> tuple[Size, tuple[Size, ...]]:
    """An address without what holds a variable back, and the sizes that are positive where it does, which grow with it.

    min(v, n) is v - max(v - n, 0), where v - n grows, or n - max(n - v, 0), where n - v is v - n with the other sign.
    """
    if isinstance(address, int):
        return address, ()
    held: dict[Size, None] = {}
    for monomial, factor in address.terms:
        match monomial:
            case (dims.Max0(a),) if var in dims.names(a):
                step = dims.sub(dims.substitute(a, {var: dims.add(dims.symbol(var), 1)}), a)
                if isinstance(step, int) and step:
                    held[a if step > 0 else dims.mul(a, -1)] = None
                    instead: Size = 0 if step > 0 else a
                    address = dims.add(address, dims.mul(factor, dims.sub(instead, dims.maximum(a, 0))))
    return address, tuple(held)


def _steps(address: Size, loop: Loop, inner: list[Loop]) -> tuple[Size, Size] | None:
    """The distances in an address of neighbours along a loop, and along the loops in it taken as one."""
    step: Size = 1
    found: Size | None = None
    for l in reversed(inner):
        each = _step(address, l.var)
        if found is None:
            found = each
        elif each != dims.mul(found, step):
            return None
        step = dims.mul(step, l.stop)
    assert found is not None
    outer = _step(address, loop.var)
    if {l.var for l in (loop, *inner)} & dims.names(outer, found):
        return None
    return outer, found


def _step(address: Size, var: str) -> Size:
    return dims.sub(dims.substitute(address, {var: dims.add(dims.symbol(var), 1)}), address)


def print_exchange(printer: Printer, exchange: Exchange, depth: int) -> None:
    """Print the call; where one axis is short, and the other as long as a vector has lanes, of a function for that length."""
    x, size, lanes = exchange, printer.size, printer.target.lanes(exchange.dtype.itemsize)
    forward = printer.intrinsic("forward")
    source, target = (f"{forward}({buffer}, {size(address)})" for buffer, address in (x.source, x.target))

    def call(name: str, *args: str) -> str:
        function = library_function(native(name, x.dtype.itemsize, printer.target), x.dtype, None)
        return f"{printer.use(f'{name}_{x.dtype.short}', function)}({', '.join(args)})"

    whole = call("exchange", source, size(x.row), size(x.rows), size(x.columns), target, size(x.distance))
    if x.columns in DEALT and x.row == x.columns and x.rows == lanes:
        printer.line(depth, call(f"deal_{x.columns}", source, target, size(x.distance)))
    elif x.rows in DEALT and x.distance == x.rows and (x.columns == lanes or not isinstance(x.columns, int)):
        dealt = call(f"collect_{x.rows}", source, size(x.row), target)
        if x.columns == lanes:
            printer.line(depth, dealt)
            return
        printer.line(depth, f"if {size(x.columns)} == {lanes}:")
        printer.line(depth + 1, dealt)
        printer.line(depth, "else:")
        printer.line(depth + 1, whole)
    else:
        printer.line(depth, whole)
