"""The largest or smallest of float32 by their bits as integers: three instructions a vector where the floats' own are six.

    for j in range(0, n):                     for j in range(0, n):
        v1 = load0(x0, j)                         v1 = load0(x0, j)
        v0 = maximum(v0, v1)                      v0_signed = maximum(v0_signed, bits_i32(v1))
                                      =>          v0_most = maximum(v0_most, bits_u32(v1))
                                                  v0_least = minimum(v0_least, bits_u32(v1))
                                              v0 = maximum(v0, ... of the three ...)

x86-64's own maximum does not let NaN through, and does not tell -0.0 from 0.0. As signed integers, the bits of floats have
their order where one of two is not negative; as unsigned ones, the bits of negative floats are the smaller the nearer they are
to 0. So the largest is the signed largest, if that is not negative, else the unsigned least; and the smallest is the unsigned
largest, if that has a sign, else the unsigned least. The bits of NaN lie beyond those of infinity of the same sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.backends.llvm import intrinsics
from graphc.ir import types as t
from graphc.ir.combines import MAX, MIN
from graphc.ir.program import Accumulate, Load, Loop, Reduce, Statement, Store
from graphc.ir.scalar import Arg, Const, Let, Ref
from graphc.ir.types import DType

if TYPE_CHECKING:
    from graphc.backends.llvm.source import Printer

FEW = 16  # turns up to which a loop is written out, and the loop around it becomes vectors
INFINITY, NEGATIVE = 0x7F800000, 0xFF800000  # the bits of infinity, and of its negative


def extremes_of(printer: Printer, loop: Loop) -> list[Reduce]:
    """What a loop reduces in this way."""
    if printer.target.architecture != "x86_64" or printer.target.lanes(4) < 4:
        return []
    if isinstance(loop.start, int) and isinstance(loop.stop, int) and loop.stop - loop.start <= FEW:
        return []
    if not all(isinstance(s, (Let, Load, Store, Accumulate, Reduce)) for s in loop.body):
        return []
    read = {a.name for s in loop.body for a in _operands(s) if isinstance(a, Ref)}
    found = [s for s in loop.body if isinstance(s, Reduce) and s.combine in (MAX, MIN) and s.dtype == t.float32]
    return [s for s in found if s.name not in read]  # what is read in the loop must be whole at every turn


def _operands(statement: Statement) -> tuple[Arg, ...]:
    match statement:
        case Let(args=args):
            return args
        case Load(guard=Ref() as guard):
            return (guard,)
        case Store(value=value) | Accumulate(value=value) | Reduce(value=value):
            return (value,)
    return ()


def _bits(printer: Printer, dtype: DType, value: str) -> str:
    return f"{printer.use('bits_' + dtype.short, intrinsics.bitcast(dtype))}({value})"


def print_start(printer: Printer, reduce: Reduce, depth: int) -> None:
    """Print the three before the loop, each the neutral element of its order."""
    v = printer.variable(reduce.name)
    for name, combine, dtype in (("signed", MAX, t.int32), ("most", MAX, t.uint32), ("least", MIN, t.uint32)):
        printer.line(depth, f"{v}_{name} = {printer.const(combine.neutral(dtype))}")


def print_turn(printer: Printer, reduce: Reduce, depth: int) -> None:
    """Print what a turn does."""
    v, x = printer.variable(reduce.name), printer.arg(reduce.value)
    most, least = printer.intrinsic("maximum"), printer.intrinsic("minimum")
    unsigned = _bits(printer, t.uint32, x)
    printer.line(depth, f"{v}_signed = {most}({v}_signed, {_bits(printer, t.int32, x)})")
    printer.line(depth, f"{v}_most = {most}({v}_most, {unsigned})")
    printer.line(depth, f"{v}_least = {least}({v}_least, {unsigned})")


def print_end(printer: Printer, reduce: Reduce, depth: int) -> None:
    """Print how the three join the accumulator; no turn leaves infinity, or its negative."""
    v, largest = printer.variable(reduce.name), reduce.combine == MAX
    select, least, greater, either = (printer.intrinsic(name) for name in ("select", "minimum", "gt", "ior"))
    infinity, negative, below = (
        printer.const(Const(n, d)) for n, d in ((INFINITY, t.uint32), (NEGATIVE, t.uint32), (-1, t.int32))
    )
    if largest:
        one_sided, other = f"{greater}({v}_signed, {below})", _bits(printer, t.uint32, f"{v}_signed")
    else:
        one_sided, other = f"{greater}({v}_most, {infinity})", f"{v}_most"
    printer.line(depth, f"{v}_least = {least}({v}_least, {negative if largest else infinity})")
    found = _bits(printer, t.float32, f"{select}({one_sided}, {other}, {v}_least)")
    odd = f"{either}({greater}({v}_signed, {printer.const(Const(INFINITY, t.int32))}), {greater}({v}_most, {negative}))"
    value = f"{select}({odd}, {printer.const(Const(float('nan'), t.float32))}, {found})"
    printer.line(depth, f"{v} = {printer.combine(reduce.combine, v, value, t.float32)}")
