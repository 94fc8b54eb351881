"""Give every temporary a place in the arena, and write new values over old ones: Program -> Program.

    temporary %1: f32[n]            temporary %1: f32[n] slot 0
    temporary %2: f32[n]     =>     temporary %2: f32[n] slot 0       %1 is dead when %2 is born
    temporary %4: f32[m]            next %4: f32[m]                   the memory that will be the variable %v's
    update %w = %3                  update %v = %4                    %3 was written into %w itself
    update %v = %4

A new value of a variable is written into the variable where every reader of the old value has read it by then. Elsewhere it
is written into a second memory of the variable, and the two change places when the call has ended; a value that is something
else too (an output, the new value of another variable) is copied. A kernel writes into its own input's memory where that
input dies there and every element is read before the same element is written; what it would copy from there, as a scatter
begins with a copy of what it writes into, stays where it is. Temporaries that never live at the same time
share a slot of the arena. Afterwards every temporary has a slot, and slot sizes are expressions of the symbolic dimensions.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir.dims import Size
from graphc.ir.names import unused
from graphc.ir.scalar import Ref
from graphc.ir.types import TensorType, uint8

LINE = 64  # bytes: all memory of a program is aligned at a line of the cache


@ir.nested_programs
def plan_buffers(program: ir.Program) -> ir.Program:
    """The program with every buffer's place decided."""
    return _place_carries(_assign_slots(in_place(_give_arenas(program), exchange=True))).named()


def in_place(program: ir.Program, exchange: bool) -> ir.Program:
    """The program with new values written over old ones where nobody needs those any more.

    Of others the variable exchanges its memory with that of the new value when all is done, or the new value is copied.
    """
    return _overwrite_inputs(_update_in_place(program, exchange))


# --- programs of steps -----------------------------------------------------------------------------------------------


def _give_arenas(program: ir.Program) -> ir.Program:
    """The program with memory for the arenas of its steps, whose own programs are planned."""
    buffers, calls = dict(program.buffers), list(program.calls)
    for i, call in enumerate(calls):
        if not isinstance(call.kernel, ir.Steps) or not call.kernel.program.slots:
            continue
        need = _bytes(call.kernel.program.slots)
        name, kind = unused(f"{call.buffers[-1]}.work", buffers), TensorType(uint8, (need,))
        buffers[name] = ir.Buffer(name, kind, "temporary")
        steps = replace(call.kernel, params=(*call.kernel.params, ir.Param("work", kind, "out")))
        calls[i] = ir.Call(steps, (*call.buffers, name))
    return replace(program, buffers=buffers, calls=tuple(calls))


def _place_carries(program: ir.Program) -> ir.Program:
    """The program of steps with the second memory of a carry in its arena; a variable has its own."""
    buffers, slots = dict(program.buffers), list(program.slots)
    for carry, new in program.updates:
        if buffers[carry].role == "input":
            buffers[new] = replace(buffers[new], slot=len(slots))
            slots.append(buffers[new].type.nbytes)
    return replace(program, buffers=buffers, slots=tuple(slots))


def _bytes(slots: Sequence[Size]) -> Size:
    total: Size = 0
    for size in slots:
        total = dims.add(total, dims.mul(dims.floordiv(dims.add(size, LINE - 1), LINE), LINE))
    return total


# --- aliasing --------------------------------------------------------------------------------------------------------


def _accesses(body: tuple[ir.Statement, ...], path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], ir.Statement, bool]]:
    """Every access to memory with its position in the tree, and whether it lies in a contraction's operands."""
    for i, statement in enumerate(body):
        match statement:
            case ir.Loop(body=inner):
                yield from _accesses(inner, (*path, i))
            case ir.While() | ir.Branch():
                for j, inner in enumerate(ir.bodies(statement)):
                    yield from _accesses(inner, (*path, i, j))
            case ir.Contract(left=left, right=right, epilogue=epilogue):
                for operand in (left, right):
                    for _, access, _ in _accesses(operand.body):
                        yield (*path, i), access, True
                yield from _accesses(epilogue, (*path, i))
            case ir.Load() | ir.Store() | ir.Accumulate():
                yield (*path, i), statement, False


Access = tuple[tuple[int, ...], ir.Statement, bool]


def accesses_of(kernel: ir.Kernel) -> dict[str, list[Access]]:
    """The accesses to each buffer of a kernel."""
    found: dict[str, list[Access]] = {}
    for access in _accesses(kernel.body):
        match access[1]:
            case ir.Accumulate(buffer=buffer) | ir.Store(buffer=buffer) | ir.Load(buffer=buffer):
                found.setdefault(buffer, []).append(access)
    return found


def can_share(kernel: ir.Kernel, given: str, made: str, accesses: Mapping[str, list[Access]] | None = None) -> bool:
    """Whether the output `made` may be the memory of the input `given`: each element is read before it is written.

    An output with one store may be loaded again: that was written before, and nothing else writes there.
    """
    found = accesses_of(kernel) if accesses is None else accesses
    ours = found.get(given, []), found.get(made, [])
    if any(isinstance(access, ir.Accumulate) for side in ours for _, access, _ in side):
        return False
    stores = [(path, access.index) for path, access, _ in ours[1] if isinstance(access, ir.Store)]
    if len(stores) != 1 or any(operand for _, access, operand in ours[0] if isinstance(access, ir.Load)):
        return False
    where, target = stores[0]
    own = {a.var for a in kernel.parallel}
    for path, index in ((path, access.index) for path, access, _ in ours[0] if isinstance(access, ir.Load)):
        together = path[:-1] == where[:-1] and path[-1] < where[-1] and index == target
        row = tuple(i for i, j in zip(index, target, strict=False) if i == j and dims.names(i) and dims.names(i) <= own)
        earlier = path[: len(where)] < where and path[0] < where[0] and dims.names(*row) == own and len(own) > 0
        if not (together or earlier):
            return False
    return True


def copied_first(kernel: ir.Kernel, given: str, made: str, accesses: Mapping[str, list[Access]] | None = None) -> int | None:
    """Which statement of the body copies the input `given` into the output `made`, where `given` is read nowhere else and `made`
    nowhere before: if the two are one memory, that statement does nothing."""
    found = accesses_of(kernel) if accesses is None else accesses
    if len(found.get(given, ())) != 1:
        return None
    path, load, operand = found[given][0]
    whole = kernel.body[path[0]]
    while isinstance(whole, ir.Loop) and len(whole.body) == 1:
        (whole,) = whole.body
    match whole:
        case ir.Loop(body=(ir.Load(guard=None) as first, ir.Store(value=Ref(name)) as second)) if first is load and not operand:
            same = second.buffer == made and second.index == first.index and name == first.name
            if same and all(other[0] >= path[0] for other, *_ in found[made]):
                return path[0]
    return None


class _Merging:
    """A call some of whose outputs go into the memory of inputs: pairs are found first, the kernel is written anew once."""

    def __init__(self, call: ir.Call) -> None:
        self.call = call
        self.params = dict(zip(call.buffers, call.kernel.params, strict=True))
        self.times = Counter(call.buffers)
        self.into: dict[str, str] = {}  # an output's buffer -> the input's

    @cached_property
    def accesses(self) -> dict[str, list[Access]]:
        return accesses_of(self.call.kernel) if isinstance(self.call.kernel, ir.Kernel) else {}

    def fits(self, given: str, made: str) -> bool:
        """Whether the buffer `made` may be the memory of the buffer `given`."""
        kernel = self.call.kernel
        if isinstance(kernel, ir.HostCall | ir.Collective) or self.times[given] != 1 or self.times[made] != 1:
            return False
        if given in self.into.values() or made in self.into:
            return False
        a, b = self.params[given], self.params[made]
        if a.mode != "in" or b.mode != "out" or a.type != b.type:
            return False
        if isinstance(kernel, ir.Steps):  # they read what a carry begins with before all else
            return kernel.begins(a.name, b.name)
        return (
            can_share(kernel, a.name, b.name, self.accesses)
            or copied_first(kernel, a.name, b.name, self.accesses) is not None
        )  # fmt: skip

    def done(self, call: ir.Call) -> ir.Call:
        """A call with the same parameters, its outputs where `into` wants them."""
        names = {self.params[made].name: self.params[given].name for made, given in self.into.items()}
        kernel = call.kernel
        if not names or isinstance(kernel, ir.HostCall | ir.Collective):
            return call

        def change(statement: ir.Statement) -> tuple[ir.Statement, ...]:
            match statement:
                case ir.Store(buffer=buffer) | ir.Load(buffer=buffer) | ir.Accumulate(buffer=buffer) if buffer in names:
                    return (replace(statement, buffer=names[buffer]),)
            return (statement,)

        both = set(names.values())
        params = tuple(replace(p, mode="inout") if p.name in both else p for p in kernel.params if p.name not in names)
        buffers = tuple(b for b, p in zip(call.buffers, kernel.params, strict=True) if p.name not in names)
        if isinstance(kernel, ir.Steps):
            return ir.Call(replace(kernel, params=params), buffers)
        idle = {copied_first(kernel, given, made, self.accesses) for made, given in names.items()}
        body = tuple(s for i, s in enumerate(kernel.body) if i not in idle)
        return ir.Call(replace(kernel, params=params, body=ir.rewrite(body, change)), buffers)


def _reads(call: ir.Call) -> set[str]:
    return {b for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "out"}


def _writes(call: ir.Call) -> set[str]:
    return {b for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "in"}


# --- variables -------------------------------------------------------------------------------------------------------


def _update_in_place(program: ir.Program, exchange: bool) -> ir.Program:
    calls = list(program.calls)
    buffers = dict(program.buffers)
    copies: list[tuple[str, str]] = []
    exchanges: list[tuple[str, str]] = []
    taken: dict[str, int] = {}
    for _, source in program.updates:
        taken[source] = taken.get(source, 0) + 1
    # From the last call of Python, or of other ranks, on nothing can fail.
    certain = max((i for i, c in enumerate(calls) if isinstance(c.kernel, ir.HostCall | ir.Collective)), default=-1)
    users = _users(calls)
    merging: dict[int, _Merging] = {}
    writes = [_writes(call) for call in calls]
    for variable, source in program.updates:
        writers = [i for i in users.get(source, ()) if source in writes[i]]
        readers = users.get(variable, [])
        if buffers[source].role != "temporary" or taken[source] > 1:
            copies.append((variable, source))
            continue
        at = writers[0]
        last = len(writers) == 1 and at >= certain and all(r <= at for r in readers)
        if last and at in readers and at not in merging:
            merging[at] = _Merging(calls[at])
        if not last or (at in readers and not merging[at].fits(variable, source)):
            if not exchange:
                copies.append((variable, source))
                continue
            exchanges.append((variable, source))
            buffers[source] = replace(buffers[source], role="next")
            continue
        if at in readers:
            merging[at].into[source] = variable
        for i in users[source]:
            calls[i] = replace(calls[i], buffers=tuple(variable if b == source else b for b in calls[i].buffers))
        users[variable] = sorted({*readers, *users[source]})
        del buffers[source]
    for at, merged in merging.items():
        calls[at] = merged.done(calls[at])
    for variable, source in copies:
        calls.append(ir.Call(ir.copy_kernel(buffers[variable].type), (source, variable)))
    return replace(program, buffers=buffers, calls=tuple(calls)).with_updates(exchanges)


# --- temporaries -----------------------------------------------------------------------------------------------------


def _users(calls: Sequence[ir.Call]) -> dict[str, list[int]]:
    """The calls that have each buffer among theirs."""
    users: dict[str, list[int]] = {}
    for i, call in enumerate(calls):
        for name in dict.fromkeys(call.buffers):
            users.setdefault(name, []).append(i)
    return users


def _last_uses(program: ir.Program) -> dict[str, int]:
    last: dict[str, int] = {}
    for i, call in enumerate(program.calls):
        for buffer in call.buffers:
            last[buffer] = i
    return last


def _overwrite_inputs(program: ir.Program) -> ir.Program:
    """Let kernels write into the memory of temporaries that die there."""
    calls = list(program.calls)
    buffers = dict(program.buffers)
    users = _users(calls)
    for i in range(len(calls)):
        call = calls[i]
        given_here = [b for b in sorted(_reads(call)) if b in buffers and buffers[b].role == "temporary"]
        merging = _Merging(call)
        for made in sorted(_writes(call)):
            if made not in buffers or buffers[made].role != "temporary":
                continue
            for given in given_here:
                if users[given][-1] == i and given != made and merging.fits(given, made):
                    merging.into[made] = given
                    break
        for made, given in merging.into.items():
            for j in users[made]:
                if j != i:
                    calls[j] = replace(calls[j], buffers=tuple(given if b == made else b for b in calls[j].buffers))
            users[given] = sorted({*users[given], *users.pop(made)})
            del buffers[made]
        calls[i] = merging.done(calls[i])
    return replace(program, buffers=buffers, calls=tuple(calls))


def _assign_slots(program: ir.Program) -> ir.Program:
    last = _last_uses(program)
    buffers: dict[str, ir.Buffer] = dict(program.buffers)
    slots = _Slots()
    placed: set[str] = set()
    for i, call in enumerate(program.calls):
        for name in call.buffers:
            if buffers[name].role == "temporary" and name not in placed:
                placed.add(name)
                buffers[name] = replace(buffers[name], slot=slots.take(buffers[name].type.nbytes))
        for name in set(call.buffers):
            slot = buffers[name].slot
            if slot is not None and last[name] == i:
                slots.give_back(slot)
    return replace(program, buffers=buffers, slots=tuple(slots.sizes))


Monomial = tuple[dims.Atom, ...]


class _Slots:
    """The slots of the arena; which are free is known by their sizes, and by the monomials of those.

    Of two sizes one can be seen to be at least the other only where that has all monomials of this one, or a maximum stands in
    one of the two.
    """

    def __init__(self) -> None:
        self.sizes: list[Size] = []
        self.equal: dict[Size, list[int]] = {}  # free slots of a size: a heap
        self.having: dict[Monomial, set[int]] = {}  # free slots whose size has a monomial
        self.odd: set[int] = set()  # free slots with a maximum in their size, or of size 0
        self.free: set[int] = set()

    def take(self, size: Size) -> int:
        """A free slot that fits, one that can grow, or a new one."""
        if self.equal.get(size):
            return self._taken(self.equal[size][0])
        for slot in sorted(self._candidates(size, all_of=True)):
            if dims.is_nonnegative(dims.sub(self.sizes[slot], size)):
                return self._taken(slot)
        for slot in sorted(self._candidates(size, all_of=False)):
            if dims.is_nonnegative(dims.sub(size, self.sizes[slot])):
                self._taken(slot)
                self.sizes[slot] = size
                return slot
        self.sizes.append(size)
        return len(self.sizes) - 1

    def give_back(self, slot: int) -> None:
        heapq.heappush(self.equal.setdefault(self.sizes[slot], []), slot)
        self.free.add(slot)
        for places in self._places(slot):
            places.add(slot)

    def _taken(self, slot: int) -> int:
        equal = self.equal[self.sizes[slot]]
        if equal[0] == slot:
            heapq.heappop(equal)
        else:
            equal.remove(slot)
            heapq.heapify(equal)
        self.free.discard(slot)
        for places in self._places(slot):
            places.discard(slot)
        return slot

    def _places(self, slot: int) -> list[set[int]]:
        size = self.sizes[slot]
        return [self.odd] if _is_odd(size) else [self.having.setdefault(m, set()) for m in _monomials(size)]

    def _candidates(self, size: Size, all_of: bool) -> set[int]:
        """The free slots that may be comparable: with all of the size's monomials, or with none but those."""
        if _is_odd(size):
            return self.free
        having = sorted((self.having.get(m, set()) for m in _monomials(size)), key=len)
        return self.odd.union(having[0] if all_of else set().union(*having))


def _monomials(size: Size) -> tuple[Monomial, ...]:
    return ((),) if isinstance(size, int) else tuple(monomial for monomial, _ in size.terms)


def _is_odd(size: Size) -> bool:
    return not size if isinstance(size, int) else any(isinstance(a, dims.Max0) for m in _monomials(size) for a in m)
