"""Decide where every temporary lives: Program -> Program.

    temporary %1: f32[n]            temporary %1: f32[n] slot 0
    temporary %2: f32[n]     =>     temporary %2: f32[n] slot 0       %1 is dead when %2 is born
    temporary %4: f32[m]            next %4: f32[m]                   the memory that will be the variable %v's
    update %w = %3                  update %v = %4                    %3 was written into %w itself
    update %v = %4

A new value of a variable is written into the variable where every reader of the old value has read it by then. Elsewhere it
is written into a second memory of the variable, and the two change places when the call has ended; a value that is something
else too (an output, the new value of another variable) is copied. A kernel writes into its own input's memory where that
input dies there and every element is read before the same element is written. Temporaries that never live at the same time
share a slot of the arena. Afterwards every temporary has a slot, and slot sizes are expressions of the symbolic dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import (
    Branch,
    Buffer,
    Call,
    Contract,
    Gather,
    Index,
    Kernel,
    Load,
    Loop,
    Program,
    Statement,
    Store,
    While,
    bodies,
    copy_kernel,
    rewrite,
)  # fmt: skip


def plan_buffers(program: Program) -> Program:
    return _assign_slots(in_place(program, exchange=True)).named()


def in_place(program: Program, exchange: bool) -> Program:
    """The program with new values written over old ones where nobody needs those any more.

    Of others the variable exchanges its memory with that of the new value when all is done, or the new value is copied.
    """
    return _overwrite_inputs(_update_in_place(program, exchange))


# --- aliasing --------------------------------------------------------------------------------------------------------


def _accesses(body: tuple[Statement, ...], path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Statement, bool]]:
    """Every access to memory with its position in the tree, and whether it lies in a contraction's operands."""
    for i, statement in enumerate(body):
        match statement:
            case Loop(body=inner):
                yield from _accesses(inner, (*path, i))
            case While() | Branch():
                for j, inner in enumerate(bodies(statement)):
                    yield from _accesses(inner, (*path, i, j))
            case Contract(left=left, right=right, epilogue=epilogue):
                for operand in (left, right):
                    for _, access, _ in _accesses(operand.body):
                        yield (*path, i), access, True
                yield from _accesses(epilogue, (*path, i))
            case Load() | Store() | Gather():
                yield (*path, i), statement, False


def can_share(kernel: Kernel, given: str, made: str) -> bool:
    """Whether the output `made` may be the memory of the input `given`: each element is read before it is written.

    An output with one store may be loaded again: that was written before, and nothing else writes there.
    """
    stores: list[tuple[tuple[int, ...], Index]] = []
    loads: list[tuple[tuple[int, ...], Index]] = []
    for path, access, operand in _accesses(kernel.body):
        match access:
            case Gather(buffer=buffer) if buffer in (given, made):
                return False
            case Store(buffer=buffer, index=index) if buffer == made:
                stores.append((path, index))
            case Load(buffer=buffer, index=index) if buffer == given:
                if operand:
                    return False
                loads.append((path, index))
    if len(stores) != 1:
        return False
    where, target = stores[0]
    own = {a.var for a in kernel.parallel}
    for path, index in loads:
        together = path[:-1] == where[:-1] and path[-1] < where[-1] and index == target
        row = tuple(i for i, j in zip(index, target, strict=False) if i == j and dims.names(i) and dims.names(i) <= own)
        earlier = path[: len(where)] < where and path[0] < where[0] and dims.names(*row) == own and len(own) > 0
        if not (together or earlier):
            return False
    return True


def _share(kernel: Kernel, given: str, made: str) -> Kernel:
    """The kernel with `made` written into `given`."""

    def change(statement: Statement) -> tuple[Statement, ...]:
        match statement:
            case Store(buffer=buffer) | Load(buffer=buffer) if buffer == made:
                return (replace(statement, buffer=given),)
        return (statement,)

    params = tuple(replace(p, mode="inout") if p.name == given else p for p in kernel.params if p.name != made)
    return replace(kernel, params=params, body=rewrite(kernel.body, change))


def _merge_params(call: Call, given: str, made: str) -> Call:
    """The call with the buffer `made` written into the buffer `given`."""
    names = dict(zip(call.buffers, (p.name for p in call.kernel.params), strict=True))
    kernel = _share(call.kernel, names[given], names[made])
    return Call(kernel, tuple(b for b in call.buffers if b != made))


def _sharable(call: Call, given: str, made: str) -> bool:
    if call.buffers.count(given) != 1 or call.buffers.count(made) != 1:
        return False
    params = dict(zip(call.buffers, call.kernel.params, strict=True))
    a, b = params[given], params[made]
    return a.mode == "in" and b.mode == "out" and a.type == b.type and can_share(call.kernel, a.name, b.name)


def _reads(call: Call) -> set[str]:
    return {b for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "out"}


def _writes(call: Call) -> set[str]:
    return {b for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "in"}


# --- variables -------------------------------------------------------------------------------------------------------


def _update_in_place(program: Program, exchange: bool) -> Program:
    calls = list(program.calls)
    buffers = dict(program.buffers)
    copies: list[tuple[str, str]] = []
    exchanges: list[tuple[str, str]] = []
    taken: dict[str, int] = {}
    for _, source in program.updates:
        taken[source] = taken.get(source, 0) + 1
    certain = max((i for i, c in enumerate(calls) if c.kernel.routine is not None), default=-1)  # from here on nothing can fail
    users: dict[str, list[int]] = {}
    for i, call in enumerate(calls):
        for name in dict.fromkeys(call.buffers):
            users.setdefault(name, []).append(i)
    for variable, source in program.updates:
        writers = [i for i in users.get(source, ()) if source in _writes(calls[i])]
        readers = users.get(variable, [])
        if buffers[source].role != "temporary" or taken[source] > 1:
            copies.append((variable, source))
            continue
        at = writers[0]
        last = len(writers) == 1 and at >= certain and all(r <= at for r in readers)
        if not last or (at in readers and not _sharable(calls[at], variable, source)):
            if not exchange:
                copies.append((variable, source))
                continue
            exchanges.append((variable, source))
            buffers[source] = replace(buffers[source], role="next", value=buffers[variable].value)
            continue
        if at in readers:
            calls[at] = _merge_params(calls[at], variable, source)
        for i in users[source]:
            calls[i] = replace(calls[i], buffers=tuple(variable if b == source else b for b in calls[i].buffers))
        users[variable] = sorted({*readers, *users[source]})
        del buffers[source]
    for variable, source in copies:
        calls.append(Call(copy_kernel(buffers[variable].type), (source, variable)))
    return replace(program, buffers=buffers, calls=tuple(calls), updates=tuple(exchanges))


# --- temporaries -----------------------------------------------------------------------------------------------------


def _last_uses(program: Program) -> dict[str, int]:
    last: dict[str, int] = {}
    for i, call in enumerate(program.calls):
        for buffer in call.buffers:
            last[buffer] = i
    return last


def _overwrite_inputs(program: Program) -> Program:
    """Let kernels write into the memory of temporaries that die there."""
    calls = list(program.calls)
    buffers = dict(program.buffers)
    for i in range(len(calls)):
        last = _last_uses(replace(program, calls=tuple(calls)))
        for made in sorted(_writes(calls[i])):
            if made not in buffers or buffers[made].role != "temporary":
                continue
            for given in sorted(_reads(calls[i])):
                dies = given in buffers and buffers[given].role == "temporary" and last[given] == i
                if dies and _sharable(calls[i], given, made):
                    calls[i] = _merge_params(calls[i], given, made)
                    calls = [replace(c, buffers=tuple(given if b == made else b for b in c.buffers)) for c in calls]
                    del buffers[made]
                    last = _last_uses(replace(program, calls=tuple(calls)))
                    break
    return replace(program, buffers=buffers, calls=tuple(calls))


def _assign_slots(program: Program) -> Program:
    last = _last_uses(program)
    buffers: dict[str, Buffer] = dict(program.buffers)
    slots: list[Size] = []
    free: list[int] = []
    placed: set[str] = set()
    for i, call in enumerate(program.calls):
        for name in call.buffers:
            if buffers[name].role == "temporary" and name not in placed:
                placed.add(name)
                slot = _choose(slots, free, buffers[name].type.nbytes)
                buffers[name] = replace(buffers[name], slot=slot)
        for name in set(call.buffers):
            slot_of = buffers[name].slot
            if slot_of is not None and last[name] == i:
                free.append(slot_of)
        free.sort()
    return replace(program, buffers=buffers, slots=tuple(slots))


def _choose(slots: list[Size], free: list[int], size: Size) -> int:
    """A free slot that fits, one that can grow, or a new one."""
    tests = (
        lambda slot: slot == size,
        lambda slot: dims.is_nonnegative(dims.sub(slot, size)),
        lambda slot: dims.is_nonnegative(dims.sub(size, slot)),
    )
    for fits in tests:
        for slot in free:
            if fits(slots[slot]):
                free.remove(slot)
                if not dims.is_nonnegative(dims.sub(slots[slot], size)):
                    slots[slot] = size
                return slot
    slots.append(size)
    return len(slots) - 1
