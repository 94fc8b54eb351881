"""Write out the order of sums, and of all else whose order shows: Program -> Program.

    %0 = init add : f32                    %0 = init add : f32
    for j < 128 {                          for l < 32 { store %s[l], 0.0 }
      %1 = load %x[i, j]         =>        for c < 4 {
      %0 = reduce add(%0, %1)                for l < 32 {
    }                                          %1 = load %x[i, 32*c+l]
                                               add into %s[l], %1
                                             }
                                           }
                                           %2 = join add(%s)
                                           %0 = reduce add(%0, %2)

One value after the other would wait for each result. An innermost loop therefore deals its elements to lanes, in turn; which
element goes into which lane depends on its place alone, and the number of lanes on the length of the loop alone, whatever the
processor. Short loops stay as they are.

A sum of floats of more than `BLOCK` elements, or of unknown length, is made of blocks. Each block is added up in lanes, and its
sum joins the total with its rounding error kept (D. E. Knuth's two-sum), so that the error does not grow with the length:

    %h = join add(%s)                      %sum = add(%total, %h)
    %0 = reduce add(%0, %h)      =>        %part = sub(%sum, %total)
                                           %error = (total - (sum - part)) + (h - part)
                                           %lost = reduce add(%lost, %error)
                                           %total = reduce set(%total, %sum)
                                           ...
                                           %0 = %total + %lost, where that is a number

A contraction is told how many k make one run, which is added up in registers before its sum joins the result:

    contract m < 8, n < 8, k < 1000 {      =>      contract m < 8, n < 8, k < 1000 by 512 {

The place of the largest element is looked for in two steps: the largest of each block, and then the first element that is as
large, in the block that has it. NaN counts as the largest, where there is one:

    %0 = init argmax : f32                 %b = init argmax : f32
    for j < n {                            for t < (n+511)//512 {
      %1 = load %x[i, j]           =>        %h = ... the largest of x[i, 512*t] ...
      %0 = reduce argmax(%0, %1) at j        %m = reduce max(%m, %h)
    }                                        %b = reduce argmax(%b, %h) at t
                                           }
                                           %p = init min : i32
                                           for l < ... { ... %p = reduce min(%p, l where x[i, 512*%b+l] is %m) }
                                           %0 = index(512*%b+%p)

Afterwards a reduction is one step in the order of the loops, and code that runs statement by statement has the bits of every
other that does. Sums of integers, the largest and the smallest are the same in any order and stay as they are, but in a loop
that has lanes anyway. Combinations that a user declares are in lanes too, since they are associative and commutative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir import types as t
from graphc.ir.combines import ADD, ARGMAX, MAX, MIN, MUL, PLAIN, SET
from graphc.ir.dims import Size
from graphc.ir.pieces import piece
from graphc.ir.scalar import Arg, Const, Let, Ref
from graphc.ir.types import DType
from graphc.passes.elementary import FUNCTIONS
from graphc.passes.fresh_names import FreshNames

# An order of sums: the same for all targets.
SHORT = 16  # elements up to which a loop stays as it is: it is written out, and the loop around it becomes vectors
LONG = 128  # elements from which a loop has LANES lanes
LANES, FEW_LANES = 32, 16  # two vectors of float32 where vectors are widest; one, so that joining short rows costs less
WRITTEN, FUNCTION = 256, 24  # statements up to which a loop is written out; those that a function becomes, roughly
BLOCK = 512  # elements whose sum joins a total with its rounding error kept


def split_reductions(program: ir.Program) -> ir.Program:
    """The program with the order of its kernels' reductions written out."""
    done: dict[int, ir.Kernel] = {}

    def once(kernel: ir.Kernel) -> ir.Kernel:
        if id(kernel) not in done:
            done[id(kernel)] = _split(kernel)
        return done[id(kernel)]

    return program.with_kernels(once)


def _split(kernel: ir.Kernel) -> ir.Kernel:
    splitter = _Splitter(kernel)
    body = splitter.body(kernel.body)
    return replace(kernel, body=body, scratch=(*kernel.scratch, *splitter.scratch))


def _has_order(reduce: ir.Reduce) -> bool:
    """Whether a reduction depends on its order, or is code that may be combined in any, and gains by it."""
    return reduce.combine.declared or (reduce.dtype.is_float and reduce.combine in (ADD, MUL))


def _fits_lanes(reduce: ir.Reduce) -> bool:
    return _has_order(reduce) or (reduce.combine in PLAIN and not reduce.dtype.is_bool)


@dataclass(frozen=True)
class _Compensated:
    """The accumulators of a sum that keeps its rounding errors."""

    total: Ref
    lost: Ref


class _Splitter:
    """Writes the body of one kernel anew."""

    def __init__(self, kernel: ir.Kernel) -> None:
        self.names = FreshNames(kernel)
        self.lanes: dict[tuple[DType, int, int], str] = {}  # loops that follow each other use the same scratch
        self.compensated: dict[str, _Compensated] = {}
        self.shapes = {p.name: p.type.shape for p in kernel.params} | {s.name: s.shape for s in kernel.scratch}

    @property
    def scratch(self) -> list[ir.Scratch]:
        return [ir.Scratch(name, dtype, (count,)) for (dtype, count, _), name in self.lanes.items()]

    def let(self, made: list[ir.Statement], op: str, args: tuple[Arg, ...], dtype: DType) -> Ref:
        found = Ref(self.names.fresh(), dtype)
        made.append(Let(found.name, dtype, op, args))
        return found

    # --- bodies ---

    def body(self, statements: tuple[ir.Statement, ...]) -> tuple[ir.Statement, ...]:
        own = {s.name: s for s in statements if isinstance(s, ir.Init)}
        for init in own.values():
            if init.combine.compensated and init.dtype.is_float and not _is_at_most(_count(statements, init.name), BLOCK):
                self.compensated[init.name] = _Compensated(
                    Ref(self.names.fresh(), init.dtype), Ref(self.names.fresh(), init.dtype)
                )
        searches = {s.name: loop for loop in statements if isinstance(loop, ir.Loop) for s in _searched(loop) if s.name in own}
        made: list[ir.Statement] = []
        for i, statement in enumerate(statements):
            match statement:
                case ir.Init(name) if name in searches:
                    pass
                case ir.Loop() if any(statement is loop for loop in searches.values()):
                    self.search(made, statement)
                case ir.Init(name, dtype, combine) if name in self.compensated:
                    sums = self.compensated[name]
                    made += [ir.Init(sums.total.name, dtype, combine), ir.Init(sums.lost.name, dtype, combine)]
                case ir.Reduce(name=name, value=value) if name in self.compensated:
                    self.join(made, statement, value)
                case ir.Loop():
                    made += self.loop(statement, own)
                    for name in (name for name in own if name in self.compensated):  # in the order of the text, in every process
                        if _count((statement,), name) != 0 and _count(statements[i + 1 :], name) == 0:
                            self.finish(made, name)
                case ir.Contract(left=left, right=right, k=k) if statement.run is None:
                    pieces = (piece(side, k.var, self.shapes) for side in (left, right))
                    run = self.run(made, k.extent, next((n for n in pieces if isinstance(n, int)), 1))
                    made.append(ir.with_bodies(replace(statement, run=run), self.body))
                case _:
                    made.append(ir.with_bodies(statement, self.body))
        return tuple(made)

    def run(self, made: list[ir.Statement], extent: Size, length: int) -> Size:
        """How many k make one run of a contraction; of an unknown number, equal parts of whole sixteens."""
        if isinstance(extent, int):
            return run_length(extent, length)
        parts = self.named(made, dims.maximum(dims.floordiv(dims.add(extent, ir.RUN - 1), ir.RUN), 1))
        each = dims.floordiv(dims.sub(dims.add(extent, parts), 1), parts)
        sixteens = dims.maximum(dims.floordiv(dims.add(each, 15), 16), 1)
        return self.named(made, dims.mul(sixteens, 16))

    def named(self, made: list[ir.Statement], size: Size) -> Size:
        """A size as the value of a statement, so that it is written and computed once."""
        if isinstance(size, int) or size in map(dims.symbol, dims.names(size)):
            return size
        name = self.names.fresh()
        made.append(Let(name, t.int64, "index", (), size))
        return dims.symbol(f"%{name}")

    def join(self, made: list[ir.Statement], reduce: ir.Reduce, value: Arg) -> None:
        """A value joins its accumulator, with its rounding error where that is kept."""
        sums = self.compensated.get(reduce.name)
        if sums is None:
            made.append(replace(reduce, value=value))
            return
        dtype = reduce.dtype
        total, lost = sums.total, sums.lost
        whole = self.let(made, "add", (total, value), dtype)
        part = self.let(made, "sub", (whole, total), dtype)
        one = self.let(made, "sub", (total, self.let(made, "sub", (whole, part), dtype)), dtype)
        two = self.let(made, "sub", (value, part), dtype)
        error = self.let(made, "add", (one, two), dtype)
        made.append(ir.Reduce(lost.name, dtype, ADD, error))
        made.append(ir.Reduce(total.name, dtype, SET, whole))

    def finish(self, made: list[ir.Statement], name: str) -> None:
        """The sum, with its rounding errors put back. Where the total is infinite or NaN, the error is NaN: the total stays."""
        total, lost = self.compensated[name].total, self.compensated[name].lost
        dtype = total.dtype
        whole = self.let(made, "add", (total, lost), dtype)
        nothing = self.let(made, "sub", (total, total), dtype)
        finite = self.let(made, "eq", (nothing, Const(0.0, dtype)), t.bool_)
        made.append(Let(name, dtype, "select", (finite, whole, total)))

    # --- loops ---

    def loop(self, loop: ir.Loop, own: Iterable[str]) -> list[ir.Statement]:
        """A loop in a body that starts its `own` accumulators."""
        found = [s for s in loop.body if isinstance(s, ir.Reduce) and _has_order(s)]
        if not found or any(ir.bodies(s) or isinstance(s, ir.Init) for s in loop.body):
            return [ir.with_bodies(loop, self.body)]
        extent = dims.sub(loop.stop, loop.start)
        if not dims.is_nonnegative(extent):
            extent = dims.maximum(extent, 0)
        if _is_at_most(extent, SHORT):
            return self.one_by_one(loop, found, own)
        lanes = FEW_LANES if _is_at_most(extent, LONG - 1) else LANES
        return _Strips(self, loop, extent, lanes).write()

    def search(self, made: list[ir.Statement], loop: ir.Loop) -> None:
        """The place of the largest or smallest element: the block that has it, then the first place in that."""
        (reduce,) = _searched(loop)
        dtype, extent = reduce.value.dtype, dims.sub(loop.stop, loop.start)
        combine = MAX if reduce.combine == ARGMAX else MIN
        if not dims.is_nonnegative(extent):
            extent = dims.maximum(extent, 0)
        one, some = _is_at_most(extent, BLOCK), isinstance(extent, int) and extent > 0
        whole = dims.divisor(extent)
        extent = self.named(made, extent)
        best, here = Ref(self.names.fresh(), dtype), Ref(self.names.fresh(), dtype)
        number, block = self.names.fresh(), Ref(self.names.fresh(), t.int64)
        inside: list[ir.Statement] = []
        first: Size = 0 if one else dims.mul(dims.symbol(number), BLOCK)
        length = extent if one else BLOCK
        if not one and whole % BLOCK:
            length = self.named(inside, dims.minimum(dims.sub(extent, first), BLOCK))
        inside.append(ir.Init(here.name, dtype, combine))
        step = self.names.fresh()
        at = dims.add(dims.add(loop.start, first), dims.symbol(step))
        largest = ir.Reduce(here.name, dtype, combine, reduce.value)
        of_block = [largest if s is reduce else _at(s, loop.var, at) for s in loop.body]
        inside.append(ir.Loop(step, length, tuple(of_block)))
        if one:
            made += inside
            best, first = here, 0
        else:
            inside.append(ir.Reduce(best.name, dtype, combine, here))
            inside.append(ir.Reduce(block.name, t.int64, reduce.combine, here, dims.symbol(number)))
            made += [ir.Init(best.name, dtype, combine), ir.Init(block.name, dtype, reduce.combine)]
            made.append(ir.Loop(number, dims.floordiv(dims.add(extent, BLOCK - 1), BLOCK), tuple(inside)))
            first = self.named(made, dims.mul(dims.symbol(f"%{block.name}"), BLOCK))
            length = self.named(made, dims.minimum(dims.sub(extent, first), BLOCK))
        made += self.first_place(loop, reduce, best, first, length, some)

    def first_place(
        self, loop: ir.Loop, reduce: ir.Reduce, best: Ref, first: Size, length: Size, some: bool
    ) -> list[ir.Statement]:
        """The first place among `length` elements whose value is the best; 0 where there may be none, which is not `some`."""
        small = t.int32 if best.dtype.itemsize <= 4 else t.int64
        none = MIN.neutral(small)
        lane, found = self.names.fresh(), Ref(self.names.fresh(), small)
        at = dims.add(dims.add(loop.start, first), dims.symbol(lane))
        inside = [_at(s, loop.var, at) for s in loop.body if s is not reduce]
        hit = self.let(inside, "eq", (reduce.value, best), t.bool_)
        if best.dtype.is_float:
            odd = tuple(self.let(inside, "ne", (v, v), t.bool_) for v in (reduce.value, best))
            hit = self.let(inside, "or", (hit, self.let(inside, "and", odd, t.bool_)), t.bool_)
        place = Ref(self.names.fresh(), t.int64)
        inside.append(Let(place.name, t.int64, "index", (), dims.symbol(lane)))
        if small != t.int64:
            place = self.let(inside, "cast", (place,), small)
        inside.append(ir.Reduce(found.name, small, MIN, self.let(inside, "select", (hit, place, none), small)))
        made: list[ir.Statement] = [ir.Init(found.name, small, MIN), ir.Loop(lane, length, tuple(inside))]
        if small != t.int64:
            found = self.let(made, "cast", (found,), t.int64)
        place_in: Size = dims.symbol(f"%{found.name}")
        if not some:
            place_in = dims.minimum(place_in, dims.maximum(dims.sub(length, 1), 0))
        total = dims.add(dims.add(loop.start, first), place_in)
        made.append(Let(reduce.name, t.int64, "index", (), total))
        return made

    def one_by_one(self, loop: ir.Loop, found: list[ir.Reduce], own: Iterable[str]) -> list[ir.Statement]:
        """A short loop: each element after the other, into an accumulator of its own where more loops make one sum."""
        here = {
            s.name: self.names.fresh()
            for s in found
            if not s.combine.declared and (s.name not in own or s.name in self.compensated)
        }
        parts = [s for s in found if s.name in here]
        made: list[ir.Statement] = [ir.Init(here[s.name], s.dtype, s.combine) for s in parts]
        body = tuple(replace(s, name=here[s.name]) if isinstance(s, ir.Reduce) and s.name in here else s for s in loop.body)
        made += self.apart(replace(loop, body=body)) if _is_long(loop) else [replace(loop, body=body)]
        for s in parts:
            self.join(made, s, Ref(here[s.name], s.dtype))
        return made

    def apart(self, loop: ir.Loop) -> list[ir.Statement]:
        """A loop of much code: first all elements, which become vectors, then the same steps of the reductions."""
        count = dims.sub(loop.stop, loop.start)
        assert isinstance(count, int)
        first: list[ir.Statement] = []
        lane, second = self.names.fresh(), list[ir.Statement]()
        for statement in loop.body:
            if not isinstance(statement, ir.Reduce) or not _has_order(statement):
                first.append(statement)
                continue
            kept = self.memory(statement.dtype, count, len(second))
            value = Ref(self.names.fresh(), statement.dtype)
            first.append(ir.Store(kept, (dims.sub(dims.symbol(loop.var), loop.start),), statement.value))
            second += [ir.Load(value.name, value.dtype, kept, (dims.symbol(lane),)), replace(statement, value=value)]
        return [replace(loop, body=tuple(first)), ir.Loop(lane, count, tuple(second))]

    def memory(self, dtype: DType, count: int, number: int) -> str:
        """Scratch of so many elements; `number` tells apart what is used at the same time."""
        key = (dtype, count, number)
        if key not in self.lanes:
            self.lanes[key] = self.names.fresh()
        return self.lanes[key]


class _Strips:
    """A loop whose elements go into lanes."""

    def __init__(self, splitter: _Splitter, loop: ir.Loop, extent: Size, lanes: int) -> None:
        self.splitter, self.loop, self.extent, self.lanes = splitter, loop, extent, lanes
        self.fresh = splitter.names.fresh
        self.rest = True  # whether some elements do not fill a strip, as far as is known
        self.reduces = [s for s in loop.body if isinstance(s, ir.Reduce) and _fits_lanes(s)]
        self.scratch = [splitter.memory(s.dtype, lanes, i) for i, s in enumerate(self.reduces)]

    def write(self) -> list[ir.Statement]:
        made: list[ir.Statement] = []
        whole = dims.divisor(self.extent)
        self.rest = whole % self.lanes != 0
        self.extent = self.splitter.named(made, self.extent)
        keeps = any(s.name in self.splitter.compensated for s in self.reduces)
        if not keeps or _is_at_most(self.extent, BLOCK):
            self.block(made, 0, self.extent)
            return made
        number = self.fresh()
        inside: list[ir.Statement] = []
        first = dims.mul(dims.symbol(number), BLOCK)
        here: Size = BLOCK
        if whole % BLOCK != 0:
            here = self.splitter.named(inside, dims.minimum(dims.sub(self.extent, first), BLOCK))
        self.block(inside, first, here)
        made.append(ir.Loop(number, dims.floordiv(dims.add(self.extent, BLOCK - 1), BLOCK), tuple(inside)))
        return made

    def block(self, made: list[ir.Statement], first: Size, extent: Size) -> None:
        """A part of the elements, whose result joins the accumulators."""
        strips = self.splitter.named(made, dims.floordiv(extent, self.lanes))
        self.each_lane(made, self.lanes, lambda lane: [
            ir.Store(name, (lane,), s.combine.neutral(s.dtype)) for name, s in zip(self.scratch, self.reduces, strict=True)
        ])  # fmt: skip
        strip, inside = self.fresh(), list[ir.Statement]()
        begin = dims.add(first, dims.mul(dims.symbol(strip), self.lanes))
        self.each_lane(inside, self.lanes, lambda lane: self.elements(begin, lane))
        made.append(ir.Loop(strip, strips, tuple(inside)))
        if self.rest:
            done = dims.mul(strips, self.lanes)
            self.each_lane(made, dims.sub(extent, done), lambda lane: self.elements(dims.add(first, done), lane))
        self.join(made)

    def each_lane(self, made: list[ir.Statement], stop: Size, inside: Callable[[Size], list[ir.Statement]]) -> None:
        lane = self.fresh()
        made.append(ir.Loop(lane, stop, tuple(inside(dims.symbol(lane)))))

    def elements(self, first: Size, lane: Size) -> list[ir.Statement]:
        """The loop's body for the element that lies `lane` behind the first of its strip."""
        place = dims.add(dims.add(self.loop.start, first), lane)
        lanes = {id(s): name for s, name in zip(self.reduces, self.scratch, strict=True)}
        made: list[ir.Statement] = []
        for statement in self.loop.body:
            if isinstance(statement, ir.Reduce) and id(statement) in lanes:
                made.append(ir.Accumulate(lanes[id(statement)], (lane,), statement.combine, statement.value))
            else:
                made.append(_at(statement, self.loop.var, place))
        return made

    def join(self, made: list[ir.Statement]) -> None:
        """What the lanes hold joins the accumulators."""
        for name, s in zip(self.scratch, self.reduces, strict=True):
            value = Ref(self.fresh(), s.dtype)
            if s.combine.declared:
                self.each_lane(made, self.lanes, lambda lane, v=value, n=name, s=s: [  # type: ignore[misc]
                    ir.Load(v.name, s.dtype, n, (lane,)), replace(s, value=v)
                ])  # fmt: skip
                continue
            made.append(ir.Join(value.name, s.dtype, s.combine, name))
            self.splitter.join(made, s, value)


def _searched(loop: ir.Loop) -> list[ir.Reduce]:
    """What finds a place in a loop that does nothing else and is worth blocks and lanes: one reduction, or none."""
    found = [s for s in loop.body if isinstance(s, ir.Reduce)]
    others = [s for s in loop.body if not isinstance(s, (Let, ir.Load, ir.Reduce))]
    if len(found) != 1 or others or _is_at_most(dims.sub(loop.stop, loop.start), SHORT):
        return []
    (reduce,) = found
    here = reduce.combine.positions and reduce.position == dims.symbol(loop.var)
    return found if here and not reduce.value.dtype.is_bool else []


def _at(statement: ir.Statement, var: str, place: Size) -> ir.Statement:
    """A plain statement where a loop variable is an index expression."""

    def size(n: Size) -> Size:
        return dims.substitute(n, {var: place})

    match statement:
        case Let(index=index):
            return replace(statement, index=size(index))
        case ir.Load(index=at) | ir.Store(index=at) | ir.Accumulate(index=at):
            return replace(statement, index=tuple(map(size, at)))
        case ir.Reduce(position=position) if position is not None:
            return replace(statement, position=size(position))
    return statement


def run_length(k: int, length: int = 1) -> int:
    """How many k make one run: all, or equal parts of at most `RUN`; whole pieces, where k is made of pieces of a length.

    >>> run_length(1000), run_length(576, 64), run_length(27, 3)
    (512, 320, 27)
    """
    if length == 1 or k % length or length > ir.RUN:
        parts = max(1, -(-k // ir.RUN))
        return max(16, (-(-k // parts) + 15) // 16 * 16)
    pieces = k // length
    parts = -(-pieces // (ir.RUN // length))
    return -(-pieces // parts) * length


def _is_at_most(size: Size, limit: int) -> bool:
    return isinstance(size, int) and size <= limit


def _is_long(loop: ir.Loop) -> bool:
    """Whether a short loop is too much code to be written out, which alone would make vectors of the loop around it."""
    statements = sum(FUNCTION if isinstance(s, Let) and s.op in FUNCTIONS else 1 for s in loop.body)
    turns = dims.sub(loop.stop, loop.start)
    return isinstance(turns, int) and turns * statements > WRITTEN


def _count(body: tuple[ir.Statement, ...], name: str) -> Size:
    """How many values an accumulator takes in within loops."""
    total: Size = 0
    for statement in body:
        match statement:
            case ir.Reduce(name=other) if other == name:
                total = dims.add(total, 1)
            case ir.Loop(start=start, stop=stop, body=inner):
                total = dims.add(total, dims.mul(dims.sub(stop, start), _count(inner, name)))
    return total
