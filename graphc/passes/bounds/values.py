"""Values that are one number wherever a region holds.

    %5 = ge(%3, %4)                 false where l-k-1 >= 0, if %3 is index(k) and %4 index(l)
    %7 = select(%5, %6, -inf)       -inf there
    store %s[k, l], %7              so is what the memory holds, where #1-#0-1 >= 0
    %9 = load %s[k, l]              -inf there
    %14 = sub(%9, %11)              -inf there, as %11 is finite
    %15 = exp(%14)                  0.0 there

A zero that a mask made stays zero when it is multiplied, by whatever: what is masked may be infinite, or no number. Only where a
factor is one for a whole line of elements, and the mask may leave nothing of that line, the product is what IEEE says: 0 * (1/0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.ir import dims
from graphc.ir.combines import MAX
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.operation import VOCABULARY
from graphc.ir.primitives import PRIMITIVES
from graphc.ir.program import Axis, Load, Loop, Reduce
from graphc.ir.scalar import Arg, Const, Let, Ref, literal
from graphc.ir.types import DType, bool_, int32, int64
from graphc.passes.bounds.lengths import AT, Greatest, Lengths, Number, Place, Read, beyond_last, integer, made
from graphc.passes.bounds.regions import axis, least

Known = Mapping[Size, Const]  # what a value is where a region holds, region by region
Column = tuple[Number, Size, Size]  # its element at `AT`, the place in the kernel, and how many there are
NOTHING: Known = {}
_SHORT = 1 << 31
_MOST = 8  # regions of one value that are looked at


class Values:
    """What is known of the scalars and of the memory of a kernel, at the place that has been reached."""

    def __init__(
        self, parallel: Sequence[Axis], memory: Mapping[str, Known], lengths: Lengths, shared: Mapping[str, tuple[str, Shape]]
    ) -> None:  # fmt: skip
        self.lengths = lengths
        self.shared = shared  # parameters that are only read: the program's buffer and its shape
        self.numbers: dict[str, Number] = {}  # values that depend on the parallel loops alone
        self.columns: dict[str, Column] = {}  # values that depend on one more place
        self.axes: dict[str, Axis] = {a.var: a for a in parallel}  # the loops around, outer ones first
        self.parallel = frozenset(self.axes)
        self.around_loops = False  # whether the innermost loop is around others
        self.ranges = {a.var: a.stop for a in parallel if a.start == 0}
        self.memory = dict(memory)
        self.finite_memory: set[str] = set()
        self.known: dict[str, Known] = {}
        self.sizes: dict[str, Size] = {}  # int64 values as sizes of loop variables
        self.finite: set[str] = set()
        self.asked: dict[str, str] = {}  # isfinite values, and of which value
        self.vars: dict[str, frozenset[str]] = {}  # the loop variables that a value depends on

    # --- reading ---

    def size(self, size: Size) -> Size:
        """A size with what is known of the values in it."""
        names = [n for n in dims.names(size) if n[1:] in self.sizes and n.startswith("%")]
        size = dims.substitute(size, {n: self.sizes[n[1:]] for n in names}) if names else size
        return self._in_one_piece(size) if dims.names(size) & self.axes.keys() else size

    def _in_one_piece(self, size: Size) -> Size:
        """A size in which v//n is a number of the parallel loops, where a loop has one of it: a tile lies in a sample."""
        total: Size = 0
        for monomial, factor in () if isinstance(size, int) else size.terms:
            parts: list[Size] = []
            for atom in monomial:
                part = dims.as_written(atom)
                match atom:
                    case dims.FloorDiv(Dim(terms=(((str(var),), 1),)), int(by)) if var in self.axes and var not in self.parallel:
                        axis = self.axes[var]
                        first, last = (dims.floordiv(end, by, self.ranges) for end in (axis.start, dims.sub(axis.stop, 1)))
                        part = first if first == last else part
                parts.append(part)
            total = dims.add(total, dims.mul(dims.product(parts), factor))
        return total

    def resolved(self, axis: Axis) -> Axis:
        """An axis with what is known of the values in its bounds, and simplified by the ranges of the parallel loops."""
        start, stop = (dims.substitute(self.size(size), {}, self.ranges) for size in (axis.start, axis.stop))
        return Axis(axis.var, stop, start)

    def of(self, arg: Arg) -> Known:
        return NOTHING if isinstance(arg, Const) else self.known.get(arg.name, NOTHING)

    def at(self, arg: Arg, region: Size) -> Const | None:
        return arg if isinstance(arg, Const) else self.of(arg).get(region)

    def is_finite(self, arg: Arg) -> bool:
        if isinstance(arg, Const):
            return not arg.dtype.is_float or math.isfinite(arg.value)
        return arg.name in self.finite

    def depends(self, *args: Arg) -> frozenset[str]:
        return frozenset().union(*(self.vars.get(a.name, frozenset()) for a in args if isinstance(a, Ref)))

    # --- statements ---

    def let(self, let: Let) -> None:
        name, args = let.name, let.args
        self.forget(name)
        if let.op == "index":
            self.sizes[name] = self.size(let.index)
            self.vars[name] = self._vars_of(self.sizes[name])
            return
        self.vars[name] = self.depends(*args)
        number = self.lengths.made(let.op, let.dtype, [self._number(a) for a in args])
        if number is not None:
            self.number(name, number)
        size = self._size_of(let) if number is None else self.sizes.get(name)
        if size is not None:
            self.sizes[name] = size
        elif let.dtype == bool_ and len(args) == 2 and (compared := self._compared(let)):
            self.known[name] = compared
        else:
            regions = dict.fromkeys(region for a in args for region in self.of(a))
            found = {region: value for region in list(regions)[:_MOST] if (value := self._value(let, region)) is not None}
            if found:
                self.known[name] = found
        if number is None:
            self._column(let)
        match let.op, args:
            case "isfinite", (Ref(asked),):
                self.asked[name] = asked
            case "select", (Ref(condition), Ref(taken), other) if self.asked.get(condition) == taken and self.is_finite(other):
                self.finite.add(name)

    def load(self, load: Load) -> None:
        name, buffer, guard = load.name, load.buffer, load.guard
        self.forget(name)
        index = tuple(map(self.size, load.index))
        places: dict[str, Size] = {f"#{i}": at for i, at in enumerate(index)}
        moved = {self.lengths.moved(region, places): value for region, value in self.memory.get(buffer, NOTHING).items()}
        found = {region: value for region, value in moved.items() if self._is_outside(self.lengths.places(region))}
        if guard is None:
            if buffer in self.finite_memory:
                self.finite.add(name)
        else:
            found = {region: value for region, value in found.items() if value.value == 0}
            for region, answer in self.of(guard).items():
                if not answer.value:
                    found[region] = Const(literal(0, load.dtype), load.dtype)
        self.known[name] = found
        self.vars[name] = self._vars_of(*index) | (frozenset() if guard is None else self.depends(guard))
        if guard is None and buffer in self.shared:
            self._read(name, load.dtype, index, *self.shared[buffer])

    def stored(self, index: Sequence[Size], value: Arg, own: bool) -> Known:
        """What memory holds where a value is stored, in its own coordinates; `own` memory is that of one turn of the parallel
        loops."""
        index = tuple(map(self.size, index))
        inner = self.axes.keys() - (self.parallel if own else frozenset())
        found: dict[Size, Const] = {}
        back: dict[str, Size] = {} if own else {str(at): axis(q) for q, at in enumerate(index)}
        for region, number in self.of(value).items():
            if self.lengths.of(region):  # a bound that is data is one of a coordinate
                if not own and self.lengths.places(region) & self.axes.keys() - back.keys():
                    continue
                for q, at in enumerate(index):
                    for sign in (1, -1):
                        rest = dims.sub(region, dims.mul(at, sign))
                        if dims.names(at) and not dims.names(rest) & inner:
                            rest = rest if own else self.lengths.moved(rest, back)
                            found[dims.add(dims.mul(axis(q), sign), rest)] = number
                continue
            for q in range(len(index)):
                for p in range(len(index)):
                    rest = dims.sub(region, dims.sub(index[q], index[p]))
                    if q != p and not dims.names(rest) & inner:
                        found[dims.add(dims.sub(axis(q), axis(p)), rest)] = number
        return found

    # --- what follows ---

    def forget(self, name: str) -> None:
        """What was known of another value of this name: loops that follow each other may call theirs alike."""
        for known in (self.known, self.sizes, self.asked, self.vars, self.numbers, self.columns):
            known.pop(name, None)
        self.finite.discard(name)

    def number(self, name: str, number: Number) -> None:
        """A value that depends on the parallel loops alone; integers have names in sizes."""
        self.numbers[name] = number
        if number.dtype.kind == "i":
            self.sizes[name] = self.lengths.size(number)

    def _read(self, name: str, dtype: DType, index: Sequence[Size], buffer: str, shape: Shape) -> None:
        """An element of memory that nothing writes: a number, or one of a column."""
        if dtype.is_float:
            return
        inside = [q for q, at in enumerate(index) if not self._is_outside(dims.names(at))]
        if not all(q in inside or self._within(at, n) for q, (at, n) in enumerate(zip(index, shape, strict=True))):
            return
        if not inside:
            self.number(name, Read(dtype, buffer, tuple(index)))
        elif len(inside) == 1 and not any(n[0] in "%#" for n in dims.names(index[inside[0]])):
            (q,) = inside
            at = tuple(dims.symbol(AT) if i == q else place for i, place in enumerate(index))
            self.column(name, (Read(dtype, buffer, at), index[q], shape[q]))

    def column(self, name: str, column: Column) -> None:
        """A value that depends on the parallel loops and one more place. Of booleans that decide about loops, or are
        asked again and again, the last one is looked for before: behind it all are alike."""
        self.columns[name] = column
        element, place, extent = column
        if element.dtype == bool_ and (self.around_loops or self.axes.keys() - self.parallel - dims.names(place)):
            for value in (True, False):
                region = dims.sub(place, self.lengths.size(beyond_last(element, extent, value)))
                bound = self.lengths.bound(region, True, self._is_nonnegative)
                if bound is not None:
                    self.known[name] = {**self.of(Ref(name, bool_)), bound: Const(not value, bool_)}

    def _column(self, let: Let) -> None:
        """An operation on numbers and on values of one column."""
        own = [self.columns[a.name] for a in let.args if isinstance(a, Ref) and a.name in self.columns]
        if own and all(c[1:] == own[0][1:] for c in own):
            element = self.lengths.made(let.op, let.dtype, [self._element(a, own[0][1]) for a in let.args])
            if element is not None:
                self.column(let.name, (element, *own[0][1:]))

    def _element(self, arg: Arg, place: Size) -> Number | None:
        """What an operand is in a column."""
        if isinstance(arg, Ref) and arg.name in self.columns:
            return self.columns[arg.name][0]
        beyond = dims.sub(self.sizes[arg.name], place) if isinstance(arg, Ref) and arg.name in self.sizes else None
        if isinstance(beyond, int):
            return made("add", int64, Place(), integer(beyond)) if beyond else Place()
        return self._number(arg)

    def greatest(self, name: str, loop: Loop) -> None:
        """A loop through a column before all others, which leaves its greatest value."""
        match loop.body[-1]:
            case Reduce(of, dtype, combine, Ref(value)) if of == name and combine == MAX and dtype == int64:
                found = self.columns.get(value)
                if found is not None and found[1] == dims.symbol(loop.var) and found[2] == loop.stop and loop.start == 0:
                    self.number(name, Greatest(found[0], loop.stop))

    def _number(self, arg: Arg) -> Number | None:
        return arg if isinstance(arg, Const) else self.numbers.get(arg.name)

    def _is_outside(self, names: frozenset[str]) -> bool:
        """Whether what has these names is known before the loops within the parallel ones."""
        inner = self.axes.keys() - self.parallel
        return not any(n in inner or n[0] in "%#" for n in names)

    def _within(self, at: Size, extent: Size) -> bool:
        """Whether a place is one of an axis."""
        beyond = dims.sub(dims.sub(extent, 1), at)
        return dims.is_nonnegative(at, self.ranges) and dims.is_nonnegative(beyond, self.ranges)

    def _vars_of(self, *sizes: Size) -> frozenset[str]:
        names = dims.names(*sizes)
        own = frozenset((names | self.lengths.places(*sizes)) & self.axes.keys())
        return own.union(*(self.vars.get(n[1:], frozenset()) for n in names if n.startswith("%")))

    def _size_of(self, let: Let) -> Size | None:
        """An int64 value as a size, where it is made of others; a place of 32 bits, where no sum wraps around, is one too."""
        given = [self._place(a) for a in let.args]
        if let.op == "cast" and let.dtype == int32 and given[0] is not None and not self.lengths.of(given[0]):
            return given[0] if let.args[0].dtype == int64 and self._is_short(given[0]) else None
        if let.dtype != int64 or not let.args:
            return None
        match let.op, given:
            case "add", [int() | dims.Dim() as a, int() | dims.Dim() as b]:
                return dims.add(a, b)
            case "sub", [int() | dims.Dim() as a, int() | dims.Dim() as b]:
                return dims.sub(a, b)
            case "mul", [int() | dims.Dim() as a, int() | dims.Dim() as b]:
                return dims.mul(a, b)
            case "neg", [int() | dims.Dim() as a]:
                return dims.mul(a, -1)
        return None

    def _place(self, arg: Arg) -> Size | None:
        if isinstance(arg, Const):
            return int(arg.value) if arg.dtype.is_integer else None
        return self.sizes.get(arg.name)

    def _compared(self, let: Let) -> Known:
        """Where a comparison of places is true, and where it is false."""
        a, b = map(self._place, let.args)
        if a is None or b is None:
            return NOTHING
        alone = all(self._number(x) or not self.lengths.of(size) for x, size in zip(let.args, (a, b), strict=True))
        return self._bounded(self._regions(let.op, a, b), alone)

    def _regions(self, op: str, a: Size, b: Size) -> Known:
        over, under = dims.sub(a, b), dims.sub(b, a)
        beyond, below = dims.sub(over, 1), dims.sub(under, 1)
        yes, no = Const(True, bool_), Const(False, bool_)
        match op:
            case "ge":
                return {over: yes, below: no}
            case "gt":
                return {beyond: yes, under: no}
            case "le":
                return {under: yes, beyond: no}
            case "lt":
                return {below: yes, over: no}
            case "eq":
                return {beyond: no, below: no}
            case "ne":
                return {beyond: yes, below: yes}
        return NOTHING

    def _bounded(self, regions: Known, exact: bool) -> Known:
        """Regions in which numbers are those of tiles."""
        found = {}
        for region, value in regions.items():
            bound = self.lengths.bound(region, exact, self._is_nonnegative)
            if bound is not None:
                found[bound] = value
        return found

    def _is_nonnegative(self, size: Size) -> bool:
        low = least(size, self.axes, ())
        return low is not None and dims.is_nonnegative(low)

    def _is_short(self, size: Size) -> bool:
        """Whether a size is known to have 32 bits."""
        low, high = least(size, self.axes, ()), least(dims.mul(size, -1), self.axes, ())
        return isinstance(low, int) and isinstance(high, int) and low >= -_SHORT and high > -_SHORT

    def _value(self, let: Let, region: Size) -> Const | None:
        """What an operation gives where a region holds."""
        values = [self.at(a, region) for a in let.args]
        match let.op, values:
            case "select", [Const(condition), one, other]:
                return one if condition else other
            case "select", [_, Const() as one, other] if one == other:
                return one
            case ("and" | "or") as op, _ if let.dtype == bool_:
                ends = op == "or"
                if any(v is not None and bool(v.value) is ends for v in values):
                    return Const(ends, bool_)
        if all(v is not None for v in values):
            return _applied(let, [v for v in values if v is not None])
        if not let.dtype.is_float or len(values) != 2:
            return None
        first, second = values
        if let.op == "mul" and any(v is not None and v.value == 0 for v in values):
            factor = let.args[1] if first is not None and first.value == 0 else let.args[0]
            return Const(literal(0, let.dtype), let.dtype) if self._stays_zero(factor, region) else None
        if let.op in ("add", "sub"):  # infinity, and something that is finite
            for end, beside, sign in ((first, let.args[1], 1), (second, let.args[0], 1 if let.op == "add" else -1)):
                if end is not None and math.isinf(end.value) and self.is_finite(beside):
                    return Const(sign * end.value, let.dtype)
        return None

    def _stays_zero(self, factor: Arg, region: Size) -> bool:
        """Whether zero times a factor is taken to be zero: not where the factor may tell that all of its line is masked."""
        own = self.depends(factor)
        if self.is_finite(factor) or dims.names(region) & self.axes.keys() <= own:
            return True
        low = least(region, self.axes, own)
        ranges = {a.var: a.stop for a in self.axes.values() if a.start == 0}
        return low is not None and dims.is_nonnegative(dims.sub(-1, low), ranges)


def _applied(let: Let, values: Sequence[Const]) -> Const | None:
    """What an operation gives of numbers, where every backend has the same bits."""
    if let.op in ("cast", "bitcast"):
        found: Any = PRIMITIVES[let.op](values[0].dtype.numpy.type(values[0].value), let.dtype)
    else:
        given = [v.dtype.numpy.type(v.value) for v in values]
        exact = PRIMITIVES.get(let.op)
        operation = VOCABULARY.get(let.op)
        if exact is None and (operation is None or operation.reference is None):
            return None
        with np.errstate(all="ignore"):
            found = exact(*given) if exact is not None else operation.reference(*given)  # type: ignore[union-attr]
        if exact is None and not (found == 0 or np.isinf(found)):  # a function's limits are exact, other values are not
            return None
    return Const(np.asarray(found, let.dtype.numpy)[()].item(), let.dtype)


def both(one: Known, other: Known) -> Known:
    """What holds of two values."""
    return {region: value for region, value in one.items() if other.get(region) == value}
