"""Bounds that are data: a number that is loaded before the loops says where they end.

    %4 = load %x2[i]                              %t0 = load %x2[i]          the tiles that a row of that length needs, less one
    %5 = lt(%3, %4)       where %3 is index(l)    ...
    %7 = select(%5, %6, -inf)             =>      for l < min(512, 32*%t7+32) { ... }

An integer that a kernel reads at the place of its parallel loops, or makes of such integers, has a name in sizes, %.0, %.1, ...,
until its code is written at the kernel's start. A name is 0 or more, as all names of sizes are. A length that leaves nothing of a
line leaves all of it: what follows of a sum of no terms is what IEEE says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir.combines import MAX
from graphc.ir.dims import Size
from graphc.ir.program import Index, Load, Statement
from graphc.ir.scalar import Arg, Const, Let, Ref
from graphc.ir.types import DType, bool_, int64
from graphc.passes.fresh_names import FreshNames

TILE = 32  # elements by which bounds go: whole panels of products, whole vectors of loops
_LARGEST = 1 << 48  # more than any loop counts to
_EXACT = 1 << 62  # numbers below are exact when a place is added
_MOST = 64  # operations of one number


@dataclass(frozen=True, slots=True)
class Read:
    """An element of a buffer of the program."""

    dtype: DType
    buffer: str
    index: Index
    count: int = 1


@dataclass(frozen=True, slots=True)
class Made:
    """An operation on numbers."""

    dtype: DType
    op: str
    args: tuple[Number, ...]
    count: int = field(default=1, compare=False)  # of its operations


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column's element lies."""

    dtype: DType = int64
    count: int = 1


@dataclass(frozen=True, slots=True)
class Greatest:
    """The greatest value of a column, whose elements are read at place `AT` of one axis."""

    column: Number
    extent: Size
    dtype: DType = int64
    count: int = field(default=1, compare=False)


Number = Read | Made | Place | Greatest | Const
AT = "#at"  # the place of a column's element


def made(op: str, dtype: DType, *args: Number) -> Made:
    return Made(dtype, op, args, 1 + sum(a.count for a in args if not isinstance(a, Const)))


def beyond_last(column: Number, extent: Size, value: bool) -> Greatest:
    """The place after the last one at which a column of booleans has a value; 0 where there is none."""
    after = made("add", int64, Place(), integer(1))
    ways = (after, integer(0)) if value else (integer(0), after)
    return Greatest(made("select", int64, column, *ways), extent)


def integer(value: int) -> Const:
    return Const(value, int64)


class Lengths:
    """The numbers that sizes name."""

    def __init__(self) -> None:
        self.names: dict[Number, str] = {}
        self.numbers: dict[str, Number] = {}
        self.sources: set[str] = set()  # the buffers from which any is read
        self._left: dict[ir.Axis, tuple[Size, ...]] = {}

    def size(self, number: Number) -> Size:
        """A number as a size."""
        name = self.names.get(number)
        if name is None:
            name = self.names[number] = f"%.{len(self.names)}"
            self.numbers[name] = number
            self.sources |= {r.buffer for r in reads(number)}
        return dims.symbol(name)

    def of(self, *sizes: Size) -> list[str]:
        """The names of numbers in sizes."""
        return [n for n in dims.names(*sizes) if n in self.numbers]

    def made(self, op: str, dtype: DType, args: Sequence[Number | None]) -> Number | None:
        """A number made of numbers, if it is simple."""
        given = [a for a in args if a is not None]
        if len(given) < len(args) or all(isinstance(a, Const) for a in given):
            return None
        found = made(op, dtype, *given)
        return found if found.count <= _MOST else None

    def moved(self, size: Size, places: Mapping[str, Size]) -> Size:
        """A size with names replaced, where numbers are read too."""
        own = {name: self.size(_moved(self.numbers[name], places)) for name in self.of(size)}
        return dims.substitute(size, {**places, **own})

    def places(self, *sizes: Size) -> frozenset[str]:
        """The names on which the numbers in sizes depend."""
        found = (dims.names(*r.index) for name in self.of(*sizes) for r in reads(self.numbers[name]))
        return frozenset().union(*found) - {AT}

    def buffers(self, *sizes: Size) -> set[str]:
        """What the numbers in sizes are read from."""
        return {r.buffer for name in self.of(*sizes) for r in reads(self.numbers[name])}

    def keep(self, made: ir.Axis, *parts: ir.Axis, leaves: Sequence[Size] = ()) -> None:
        """Remember that a loop is within others, and has no place of a region."""
        before = [*(region for a in (made, *parts) for region in self._left.get(a, ()))]
        if len(leaves) == 1 and self.of(*leaves):  # several regions are left only where all hold
            before += leaves
        if before:
            self._left[made] = tuple(dict.fromkeys(before))

    def left_by(self, axis: ir.Axis) -> tuple[Size, ...]:
        """Regions of which a loop has no place, whose numbers its bounds have."""
        return self._left.get(axis, ())

    # --- bounds ---

    def bound(self, region: Size, exact: bool, nonnegative: Callable[[Size], bool]) -> Size | None:
        """A region without numbers but those of tiles, which lies within a region with at most one; None where none is known.

        exact: whether the number is compared as it is, so that no sum of it and a place wraps around.
        """
        names = self.of(region)
        if not names:
            return region
        (name, *others) = names
        rest = dims.substitute(region, {name: 0})
        factor = dims.sub(dims.substitute(region, {name: 1}), rest)
        if others or factor not in (1, -1) or region != dims.add(dims.mul(factor, dims.symbol(name)), rest):
            return None
        number = self.numbers[name]
        if number.dtype != int64:
            number = made("cast", int64, number)
        if factor == -1:  # rest >= number
            return dims.sub(rest, dims.add(dims.mul(self.size(_ceiling(number, exact)), TILE), TILE))
        if not nonnegative(dims.mul(rest, -1)):
            return None
        return dims.add(dims.mul(self.size(_floor(number, exact)), TILE), dims.sub(rest, 1))  # number >= -rest


def reads(number: Number) -> list[Read]:
    """What a number is made of."""
    found, todo = [], [number]
    while todo:
        match todo.pop():
            case Read() as read:
                found.append(read)
            case Made(args=args):
                todo += args
            case Greatest(column=column):
                todo.append(column)
    return found


def _moved(number: Number, places: Mapping[str, Size]) -> Number:
    match number:
        case Read(index=index):
            return replace(number, index=tuple(dims.substitute(at, places) for at in index))
        case Made(args=args):
            return replace(number, args=tuple(_moved(a, places) for a in args))
        case Greatest(column=column):
            return replace(number, column=_moved(column, places))
    return number


def _ceiling(number: Number, exact: bool) -> Number:
    """The tiles that a length needs, less one; those of all lengths where that is none."""
    return _tiles(number, -1, integer(_LARGEST // TILE), exact)


def _floor(number: Number, exact: bool) -> Number:
    """The tiles of which all places are at most a number."""
    return _tiles(number, 1, integer(0), exact)


def _tiles(number: Number, beyond: int, other: Const, exact: bool) -> Number:
    """(number + beyond) // TILE of a number above 0, else another."""
    some = made("gt", bool_, number, integer(0))
    if not exact:
        some = made("and", bool_, some, made("lt", bool_, number, integer(_EXACT)))
    top = integer(_LARGEST)
    most = made("select", int64, made("lt", bool_, number, top), number, top)
    tiles = made("shr", int64, made("add", int64, most, integer(beyond)), integer(TILE.bit_length() - 1))
    return made("select", int64, some, tiles, other)


# --- writing -----------------------------------------------------------------------------------------------------------


def buffers_of(kernel: ir.Kernel, lengths: Lengths) -> list[str]:
    """What a kernel's numbers are read from."""
    return list(dict.fromkeys(r.buffer for name in _names_of(kernel, lengths) for r in reads(lengths.numbers[name])))


def _names_of(kernel: ir.Kernel, lengths: Lengths) -> list[str]:
    """The numbers that the sizes of a kernel name, in the order in which they are met."""
    names: dict[str, None] = {}
    for s in ir.statements_of(kernel.body):
        names |= dict.fromkeys(sorted(lengths.of(*_sizes(s)), key=lambda n: int(n[2:])))
    return list(names)


def written_out(kernel: ir.Kernel, lengths: Lengths, buffers: Mapping[str, str]) -> ir.Kernel:
    """A kernel with the code of the numbers that its sizes name, at its start. `buffers`: which parameter holds a buffer."""
    names = _names_of(kernel, lengths)
    fresh = FreshNames(kernel)
    head: list[Statement] = []
    found: dict[Number, Arg] = {}
    env: dict[str, Size] = {}
    for name in names:
        env[name] = dims.symbol(str(_write(lengths.numbers[name], head, found, fresh, buffers)))
    return replace(kernel, body=(*head, *_renamed(kernel.body, env)))


def _write(
    number: Number, body: list[Statement], found: dict[Number, Arg], fresh: FreshNames, buffers: Mapping[str, str], at: str = ""
) -> Arg:  # fmt: skip
    """Write the code of a number; `at` is the loop variable that goes through a column."""
    if isinstance(number, Const):
        return number
    if number in found:
        return found[number]
    args = [_write(a, body, found, fresh, buffers, at) for a in number.args] if isinstance(number, Made) else []
    name = fresh.fresh()
    match number:
        case Read(dtype, buffer, index):
            place = {AT: dims.symbol(at)}
            body.append(Load(name, dtype, buffers[buffer], tuple(dims.substitute(i, place) for i in index)))
        case Made(dtype, op):
            body.append(Let(name, dtype, op, tuple(args)))
        case Place(dtype):
            body.append(Let(name, dtype, "index", (), dims.symbol(at)))
        case Greatest(column, extent, dtype):
            var, inner = fresh.fresh(), list[Statement]()
            value = _write(column, inner, {}, fresh, buffers, var)
            inner.append(ir.Reduce(name, dtype, MAX, value))
            body += (ir.Init(name, dtype, MAX), ir.Loop(var, extent, tuple(inner)))
    found[number] = Ref(name, number.dtype)
    return found[number]


def _sizes(s: Statement) -> tuple[Size, ...]:
    match s:
        case ir.Loop(start=start, stop=stop):
            return start, stop
        case ir.Contract(m=m, n=n, k=k, origin=origin):
            return (*(end for a in (m, n, k) for end in (a.start, a.stop)), origin or 0)
        case Load(index=index) | ir.Store(index=index) | ir.Accumulate(index=index):
            return index
        case Let(index=size):
            return (size,)
    return ()


def _renamed(body: Sequence[Statement], env: Mapping[str, Size]) -> tuple[Statement, ...]:
    return tuple(_renamed_in(s, env) for s in body)


def _renamed_in(s: Statement, env: Mapping[str, Size]) -> Statement:
    def size(given: Size) -> Size:
        return dims.substitute(given, env)

    def axis(a: ir.Axis) -> ir.Axis:
        return ir.Axis(a.var, size(a.stop), size(a.start))

    if dims.names(*_sizes(s)) & env.keys():
        match s:
            case ir.Loop(start=start, stop=stop):
                s = replace(s, start=size(start), stop=size(stop))
            case ir.Contract(m=m, n=n, k=k, origin=origin):
                s = replace(s, m=axis(m), n=axis(n), k=axis(k), origin=None if origin is None else size(origin))
            case Load(index=index) | ir.Store(index=index) | ir.Accumulate(index=index):
                s = replace(s, index=tuple(map(size, index)))
            case Let(index=given):
                s = replace(s, index=size(given))
    return ir.with_bodies(s, lambda inner: _renamed(inner, env))
