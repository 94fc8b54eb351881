"""Masks become bounds of loops and of products: Program -> Program.

    contract k in 64*t .. 64*t+64, l < 512, m < 32 {       contract k in 64*t .. 64*t+64, l < 64*t+64, m < 32 {
      ...                                                    ...
      %5 = ge(index(k), index(l))                            %5 = ge(index(k), index(l))
      %7 = select(%5, %6, -inf)                   =>         %7 = select(%5, %6, -inf)
      store %s[k-64*t, l], %7                                store %s[k-64*t, l], %7
    }                                                      }
    for l < 512 {                                          for l < 64*t+64 {
      %9 = load %s[k-64*t, l]                                %9 = load %s[k-64*t, l]
      %8 = reduce max(%8, %9)                                %8 = reduce max(%8, %9)
    }                                                      }

Where a condition on places alone decides a choice, all places on its other side have one number: minus infinity before a
softmax, zero after it. There a maximum or a sum is what it is without them, a product of matrices adds zeros, and what is stored
is that number. Such places are found by their inequality (bounds/regions.py), followed through scalar code and memory
(bounds/values.py), and left out of loops and of products: by whole tiles of the parallel loops, since the places around the
inequality's edge are still asked. What is stored there is stored by a loop of its own, if anything reads it (bounds/unread.py).

Sums keep their order, in which zeros are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import count

from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir.combines import PLAIN
from graphc.ir.dims import Shape, Size
from graphc.ir.program import Axis, Kernel, Loop, Program, Statement, Store
from graphc.ir.scalar import Const, Let, Ref, literal
from graphc.passes.bounds import unread
from graphc.passes.bounds.lengths import Lengths, buffers_of, written_out
from graphc.passes.bounds.regions import cut, direction, least, share
from graphc.passes.bounds.unread import Regions
from graphc.passes.bounds.values import NOTHING, Known, Values, both

Idle = Mapping[Regions, tuple[Statement, ...]] | None  # what is left to do where regions hold; None: nothing, anywhere
LANES = 64  # elements of a loop in blocks up to which it stays whole: it is vectors
_ALWAYS_THERE = frozenset(("input", "variable", "constant"))  # buffers that any kernel may read, until they are written
_ROUNDS = 3  # how often a stage is read to find what its own memory holds
COMPARED = frozenset(("ge", "gt", "le", "lt", "eq", "ne"))


def bound_masks(program: Program) -> Program:
    """The program without work on what is masked."""
    changed = ir.nested_programs(_bounded)(program)
    return program if changed is program else changed.named()


def _bounded(program: Program) -> Program:
    known: dict[str, Known] = {}
    finite: set[str] = set()
    lengths = Lengths()
    there = {b.name for b in program.buffers.values() if b.role in _ALWAYS_THERE}
    calls = []
    done: dict[object, tuple[Kernel, dict[str, Known], set[str]]] = {}
    for call in program.calls:
        kernel = call.kernel
        if not isinstance(kernel, Kernel):
            written = {b for b, p in zip(call.buffers, kernel.params, strict=True) if p.mode != "in"}
        else:
            of = dict(zip((p.name for p in kernel.params), call.buffers, strict=True))
            alike = {p.name for p in kernel.params if p.type == program.buffers[of[p.name]].type}  # else places are other ones
            read = [p.name for p in kernel.params if p.mode == "in" and of[p.name] in known]
            shared = _shared(call, program)
            own = {b for b, _ in shared.values()}
            memory = {
                name: {r: v for r, v in known[of[name]].items() if all(b in own or b in there for b in lengths.buffers(r))}
                for name in read if name in alike
            }  # fmt: skip
            sure = frozenset(p.name for p in kernel.params if p.mode == "in" and of[p.name] in finite)
            written = {of[p.name] for p in kernel.params if p.mode != "in"}
            known = _still(known, written, lengths)
            finite -= written
            if memory or _asks(kernel):
                integers = tuple((n, b) for n, (b, _) in shared.items() if not program.buffers[b].type.dtype.is_float)
                key = id(kernel), tuple((n, tuple(k.items())) for n, k in memory.items()), sure, integers
                if key not in done:
                    done[key] = _Bounder(kernel, memory, sure, lengths, shared).result()
                kernel, results, more = done[key]
                known |= {of[name]: found for name, found in results.items() if found and name in alike}
                finite |= {of[name] for name in more}
            call = replace(call, kernel=kernel)
            written = set()
        known = _still(known, written, lengths)
        finite -= written
        calls.append(call)
    if all(new.kernel is old.kernel for new, old in zip(calls, program.calls, strict=True)):
        return program
    found = _without_unread(replace(program, calls=tuple(calls)), program, lengths)
    return replace(found, calls=tuple(_written_out(call, program, lengths) for call in found.calls))


def _shared(call: ir.Call, program: Program) -> dict[str, tuple[str, Shape]]:
    """The parameters of a call that are only read: the program's buffer of each, and its shape."""
    return {
        p.name: (b, p.type.shape)
        for p, b in zip(call.kernel.params, call.buffers, strict=True)
        if p.mode == "in" and p.type == program.buffers[b].type
    }


def _still(known: dict[str, Known], written: Set[str], lengths: Lengths) -> dict[str, Known]:
    """What is known when some buffers have been written."""
    found = known if written.isdisjoint(known) else {b: k for b, k in known.items() if b not in written}
    if not written.isdisjoint(lengths.sources):
        found = {b: {r: v for r, v in k.items() if lengths.buffers(r).isdisjoint(written)} for b, k in found.items()}
    return found


def _written_out(call: ir.Call, program: Program, lengths: Lengths) -> ir.Call:
    """The call of a kernel that loads the numbers in its bounds: of parameters that it had, and of others."""
    kernel = call.kernel
    if not isinstance(kernel, Kernel) or not (asked := buffers_of(kernel, lengths)):
        return call
    names = {b: name for name, (b, _) in _shared(call, program).items()}
    more = [b for b in asked if b not in names]
    taken = {p.name for p in kernel.params} | {s.name for s in kernel.scratch}
    free = (name for i in count() if (name := f"x{i}") not in taken)
    added = [ir.Param(next(free), program.buffers[b].type, "in") for b in more]
    names |= {b: p.name for b, p in zip(more, added, strict=True)}
    at = len(kernel.inputs)
    kernel = replace(kernel, params=(*kernel.params[:at], *added, *kernel.params[at:]))
    return replace(call, kernel=written_out(kernel, lengths, names), buffers=(*call.buffers[:at], *more, *call.buffers[at:]))


def _asks(kernel: Kernel) -> bool:
    """Whether a kernel compares places, or reads booleans or integers, which may be asked."""
    if any(p.mode == "in" and not p.type.dtype.is_float for p in kernel.params):
        return True
    places: set[str] = set()
    for s in ir.statements_of(kernel.body):
        if isinstance(s, Let):
            of_places = any(isinstance(a, Ref) and a.name in places for a in s.args)
            if s.op in COMPARED and of_places:
                return True
            if s.op == "index" or of_places:
                places.add(s.name)
    return False


def _without_unread(program: Program, before: Program, lengths: Lengths) -> Program:
    """The program without loops that store what nothing reads into temporaries and scratch."""
    given = {id(call.kernel) for call in before.calls}
    changed = {id(c.kernel): c.kernel for c in program.calls if isinstance(c.kernel, Kernel) and id(c.kernel) not in given}
    filled = {
        key: {s.buffer for s in ir.statements_of(kernel.body) if isinstance(s, Store) and isinstance(s.value, Const)}
        for key, kernel in changed.items()
    }
    sought = {b for call in program.calls for p, b in zip(call.kernel.params, call.buffers, strict=True)
              if p.name in filled.get(id(call.kernel), ())}  # fmt: skip
    sought = {b for b in sought if program.buffers[b].role == "temporary"}
    sought -= {*program.outputs, *(source for _, source in program.updates)}
    writers: dict[str, int] = {}
    reads: dict[str, list[unread.Reading]] = {b: [] for b in sought}
    for call in program.calls:
        own = {p.name: b for p, b in zip(call.kernel.params, call.buffers, strict=True) if b in sought}
        kernel = call.kernel
        for p in kernel.params:
            if p.name not in own:
                continue
            if not isinstance(kernel, Kernel) or p.mode == "inout" or p.type != program.buffers[own[p.name]].type:
                sought.discard(own[p.name])
            elif p.mode == "out":
                writers[own[p.name]] = writers.get(own[p.name], 0) + 1
        if own and isinstance(kernel, Kernel):
            for name, places in unread.readings(kernel, own, lengths).items():
                reads[own[name]] += places
    writes = Counter(b for c in program.calls for p, b in zip(c.kernel.params, c.buffers, strict=True) if p.mode != "in")
    for_good = {b.name for b in program.buffers.values() if b.role in _ALWAYS_THERE and not writes[b.name]}
    calls = []
    for call in program.calls:
        found = changed.get(id(call.kernel))
        if found is not None:
            once = {b for b, _ in _shared(call, program).values() if writes[b] <= 1}
            results = {
                p.name: [r for r in unread.of_results(reads[b]) if all(d in once or d in for_good for d in lengths.buffers(*r))]
                for p, b in zip(found.params, call.buffers, strict=True)
                if p.mode == "out" and b in sought and writers[b] == 1
            }
            trimmed = _Bounder(found, {}, (), lengths, _shared(call, program), {n: r for n, r in results.items() if r})
            call = replace(call, kernel=trimmed.result()[0])
        calls.append(call)
    return replace(program, calls=tuple(calls))


class _Bounder:
    """Writes the body of one kernel anew."""

    def __init__(
        self, kernel: Kernel, memory: Mapping[str, Known], finite: Iterable[str], lengths: Lengths,
        shared: Mapping[str, tuple[str, Shape]], results: Mapping[str, list[Regions]] | None = None,
    ) -> None:  # fmt: skip
        self.kernel = kernel
        self.lengths = lengths
        self.values = Values(kernel.parallel, memory, lengths, shared)
        self.values.finite_memory |= set(finite)
        self.own = {s.name for s in kernel.scratch}
        self.shared = {p.name for p in kernel.params if p.mode == "inout"}
        self.unread: dict[str, list[Regions]] = dict(results or {})
        self.trims = results is not None  # whether stores that nothing reads are left out: nothing else is cut then
        if results is not None:
            self.unread |= {name: unread.of_scratch(places) for name, places in unread.spans(kernel, self.own).items()}
        self.held: dict[str, Known | None] = {}  # what this stage stores into a buffer; None: numbers alone
        self.numbers: dict[str, set[Const]] = {}
        self.finite: dict[str, bool] = {}
        self.changed = False

    def result(self) -> tuple[Kernel, dict[str, Known], set[str]]:
        """The kernel, what its results hold, and which of them are finite."""
        body: list[Statement] = []
        memory, sure = self.values.memory, self.values.finite_memory
        for before_it, stage in zip((None, *self.kernel.body), self.kernel.body, strict=False):
            written = {s.buffer for s in ir.statements_of((stage,)) if isinstance(s, (Store, ir.Accumulate))}
            before = {b: memory[b] for b in written if b in memory}
            firm = {b: b in sure for b in written if b in before}
            memory |= dict.fromkeys(written, NOTHING)
            sure -= written
            made: list[Statement] = []
            for _ in range(_ROUNDS):
                self.held, self.numbers, self.finite = {}, {}, {}
                made, _ = self.statement(stage)
                now = {b: self.found(b) for b in written}
                now = {b: both(k, before[b]) if b in before else k for b, k in now.items()}
                certain = {b for b in written if self.finite.get(b, False) and firm.get(b, True)}
                if all(memory[b] == k for b, k in now.items()) and certain <= sure:
                    break
                memory |= now
                sure |= certain
            body += made
            if isinstance(before_it, ir.Init) and isinstance(stage, Loop) and made == [stage]:
                self.values.greatest(before_it.name, stage)
        made_by = {p.name for p in self.kernel.params if p.mode == "out"}
        known = {name: memory[name] for name in made_by if name in memory}
        kernel = replace(self.kernel, body=tuple(body)) if self.changed else self.kernel
        return kernel, known, sure & made_by

    def found(self, buffer: str) -> Known:
        """What this stage's stores leave in a buffer."""
        held, numbers = self.held.get(buffer), self.numbers.get(buffer, set())
        if held is None or buffer in self.shared:
            return NOTHING
        return {region: value for region, value in held.items() if numbers <= {value}}

    # --- statements: what is made of one, and what it does where regions hold ---

    def body(self, statements: Sequence[Statement]) -> tuple[tuple[Statement, ...], Idle]:
        made: list[Statement] = []
        idle: Idle = None
        for s in statements:
            new, rest = self.statement(s)
            made += new
            idle = _together(idle, rest)
        return tuple(made), idle

    def statement(self, s: Statement) -> tuple[list[Statement], Idle]:
        match s:
            case Let():
                self.values.let(s)
                return [s], None
            case ir.Load():
                self.values.load(s)
                return [s], None
            case Store():
                return [s], self.store(s)
            case ir.Accumulate(buffer=buffer, combine=combine, value=value):
                self.held[buffer], self.finite[buffer] = NOTHING, False
                return [s], self.neutral(combine.neutral(value.dtype) if combine in PLAIN else None, s)
            case ir.Reduce(name=name, dtype=dtype, combine=combine):
                self.values.numbers.pop(name, None)
                self.values.sizes.pop(name, None)
                return [s], self.neutral(combine.neutral(dtype) if combine in PLAIN else None, s)
            case ir.Init(name=name):
                self.values.forget(name)
                self.values.vars[name] = frozenset(self.values.axes)
                return [s], {}
            case ir.Join(name=name):
                self.values.forget(name)
                self.values.vars[name] = frozenset(self.values.axes)
                return [s], {}
            case Loop():
                return self.loop(s)
            case ir.Contract():
                return self.contract(s), {}
        for inner in ir.statements_of((s,)):
            if isinstance(inner, (Store, ir.Accumulate)):
                self.held[inner.buffer], self.finite[inner.buffer] = NOTHING, False
        return [s], {}

    def store(self, s: Store) -> Idle:
        buffer, value = s.buffer, s.value
        index = tuple(map(self.values.size, s.index))
        self.finite[buffer] = self.finite.get(buffer, True) and self.values.is_finite(value)
        idle: dict[Regions, tuple[Statement, ...]] = {}
        if isinstance(value, Const):
            self.numbers.setdefault(buffer, set()).add(value)
        else:
            known = self.values.stored(index, value, buffer in self.own)
            held = self.held.get(buffer)
            self.held[buffer] = known if held is None else both(known, held)
            if not self.trims and not any(name.startswith("%") for name in dims.names(*index)):
                idle |= {(region,): (Store(buffer, index, number),) for region, number in self.values.of(value).items()}
        places: dict[str, Size] = {f"#{i}": at for i, at in enumerate(index)}
        for regions in self.unread.get(buffer, ()) if buffer in self.own or isinstance(value, Const) else ():
            idle[tuple(self.lengths.moved(r, places) for r in regions)] = ()
        return idle

    def neutral(self, neutral: Const | None, s: ir.Reduce | ir.Accumulate) -> Idle:
        if neutral is None:
            return {}
        return {(region,): () for region, number in self.values.of(s.value).items() if number.value == neutral.value}

    def loop(self, s: Loop) -> tuple[list[Statement], Idle]:
        axis = self.within(Axis(s.var, s.stop, s.start))
        around, self.values.around_loops = self.values.around_loops, any(map(ir.bodies, s.body))
        body, idle = self.body(s.body)
        self.values.around_loops = around
        idle = _in_sight(idle, s.body)
        made = None if self.is_vectors(s, idle) else self.cut(axis, idle)
        outer = self.outward(axis, idle)
        del self.values.axes[s.var]
        if not body and s.body:
            self.changed = True
            return [], outer
        if made is None:
            return [s if body == s.body else replace(s, body=body)], outer
        kept, fills = made
        self.changed = True
        found: list[Statement] = [] if kept.extent == 0 else [Loop(kept.var, kept.stop, body, kept.start)]
        return [*found, *fills], outer

    def contract(self, s: ir.Contract) -> list[Statement]:
        values = self.values
        factors = []
        nothing: dict[Size, Const] = {}
        for block, own in ((s.left, (s.m, s.k)), (s.right, (s.k, s.n))):
            for axis in own:
                self.within(axis)
            self.body(block.body)
            zeros: Idle = {(region,): () for region, number in values.of(block.value).items() if number.value == 0}
            zero = _in_sight(zeros, block.body)
            made = self.cut(values.axes[s.k.var], zero, own)
            factors.append(made)
            number = Const(literal(0, s.dtype), s.dtype)
            nothing |= {region: number for (region,) in zero or {} if s.k.var not in dims.names(region)}
            for axis in own:
                del values.axes[axis.var]
        m, n = self.within(s.m), self.within(s.n)
        values.forget(s.result)
        values.vars[s.result] = frozenset((m.var, n.var))
        values.known[s.result] = nothing  # rows and columns of zeros
        epilogue, idle = self.body(s.epilogue)
        idle = _in_sight(idle, s.epilogue)
        found = s if epilogue == s.epilogue else replace(s, epilogue=epilogue)
        fills: list[Statement] = []
        ways = [(made, axis) for axis in (m, n) if (made := self.cut(axis, idle, (m, n))) is not None]
        if ways:  # the one that leaves less: the other would cut off the same
            (kept, rest), axis = min(ways, key=lambda way: self.share(way[0][0], way[1]))
            found = replace(found, m=kept) if axis is m else replace(found, n=kept)
            if axis is n:
                fills += [Loop(m.var, m.stop, tuple(rest), m.start)] if rest else []
            else:  # rows stay the outer loop
                fills += [replace(f, body=(Loop(n.var, n.stop, f.body, n.start),)) for f in rest]
        del values.axes[m.var], values.axes[n.var]
        for cuts in factors:
            if cuts is not None:
                k = self.common(found.k, cuts[0])
                self.lengths.keep(k, found.k, cuts[0])
                counted = k.start == s.k.start or s.run is None or _in_one_run(s.k, s.run)
                found = replace(found, k=k, origin=s.origin if counted or s.origin is not None else s.k.start)
        if found is not s:
            self.changed = True
        return [found, *fills]

    def within(self, axis: Axis) -> Axis:
        """Enter a loop: its axis, with the values in its bounds written out."""
        axis = self.values.axes[axis.var] = self.values.resolved(axis)
        return axis

    def cut(self, axis: Axis, idle: Idle, together: Sequence[Axis] = ()) -> tuple[Axis, list[Loop]] | None:
        """A loop without the turns in which nothing is left to do but stores of numbers, and the loops of those stores. The axes
        of a contraction go `together`: the bounds of one do not have the other's variable."""
        values = self.values
        keep = values.parallel | {axis.var}
        parallel = {v: a for v, a in values.axes.items() if v in values.parallel}
        blocks = {v: values.axes[v] for v in dims.names(axis.start, axis.stop) & values.axes.keys() if v not in parallel}
        found: Axis = axis
        fills: list[Loop] = []
        for regions, rest in (idle or {}).items():
            around = {v: a for v, a in self.beside(axis, regions).items() if all(v != t.var for t in together)}
            every = [least(region, values.axes, keep | around.keys()) for region in regions]
            if None in every:
                continue
            made = cut(found, [e for e in every if e is not None], parallel | around | blocks)
            if made is None:
                continue
            if rest and made.start == found.start:
                fills.append(Loop(axis.var, found.stop, rest, made.stop))
            elif rest:
                fills.append(Loop(axis.var, made.start, rest, found.start))
            self.lengths.keep(made, found, leaves=[e for e in every if e is not None])
            found = made
        return None if found is axis else (found, fills)

    def is_vectors(self, s: Loop, idle: Idle) -> bool:
        """Whether a loop is the lanes of one that goes through blocks."""
        extent = dims.sub(s.stop, s.start)
        short = isinstance(extent, int) and extent <= LANES and not any(map(ir.bodies, s.body))
        return short and any(self.beside(self.values.axes[s.var], regions) for regions in idle or {})

    def beside(self, axis: Axis, regions: Regions) -> dict[str, Axis]:
        """The loops around one that go through the same coordinate as it does: blocks of its elements. Its bounds may have their
        variables; the other coordinate is that of a tile."""
        order = list(self.values.axes)
        return {
            v: self.values.axes[v] for v in order[: order.index(axis.var)]
            if v not in self.values.parallel and all(direction(r, v) == direction(r, axis.var) for r in regions)
        }  # fmt: skip

    def share(self, kept: Axis, whole: Axis) -> float:
        return share(kept, whole, {v: a for v, a in self.values.axes.items() if v in self.values.parallel})

    def common(self, one: Axis, other: Axis) -> Axis:
        """What two parts of a loop have in common."""
        one, ranges = self.values.resolved(one), self.values.ranges
        return Axis(one.var, dims.minimum(one.stop, other.stop, ranges), dims.maximum(one.start, other.start, ranges))

    def outward(self, axis: Axis, idle: Idle) -> Idle:
        """What is left to do in a whole loop where regions hold for all its turns."""
        found: dict[Regions, tuple[Statement, ...]] = {}
        keep = self.values.axes.keys() - {axis.var}
        for regions, rest in (idle or {}).items():
            every = tuple(e for e in (least(region, self.values.axes, keep) for region in regions) if e is not None)
            if len(every) == len(regions) and every not in found:
                found[every] = (Loop(axis.var, axis.stop, rest, axis.start),) if rest else ()
        return None if idle is None else found


def _in_sight(idle: Idle, body: Sequence[Statement]) -> Idle:
    """The regions without those of values that a loop's own body makes: its bounds do not see them."""
    if not any(name.startswith("%") for regions in idle or {} for name in dims.names(*regions)):
        return idle
    own = {f"%{s.name}" for s in ir.statements_of(tuple(body)) if isinstance(s, (Let, ir.Load, ir.Init, ir.Join))}
    return {regions: rest for regions, rest in (idle or {}).items() if not dims.names(*regions) & own}


def _together(one: Idle, other: Idle) -> Idle:
    """What two statements leave to do."""
    if one is None or other is None:
        return other if one is None else one
    return {regions: rest + other[regions] for regions, rest in one.items() if regions in other}


def _in_one_run(k: Axis, run: Size) -> bool:
    return dims.is_nonnegative(dims.sub(run, k.extent))
