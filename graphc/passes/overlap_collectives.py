"""Let ranks exchange arrays while they compute: Program -> Program.

    %2 = k0(%x)                       %2 = k0(%x)
    %3 = k1(%x)                       %4 = start(%2)        as soon as its operand is there
    %4 = start(%2)                    %3 = k1(%x)
    %4 = wait(%2, %4)          =>     %5 = k3(%3)
    %5 = k3(%3)                       %4 = wait(%2, %4)     when nothing else is left to do
    %6 = k4(%4)                       %6 = k4(%4)

Calls keep their order unless a collective is concerned: a start goes before all else that could run, what nobody waits for before
a wait, and waits in the order in which they were. Starts keep the order of their numbers, also beside loops that hold some;
calls of Python keep theirs. What is sent is waited for at the end. Afterwards every call still follows those whose values it
reads, or whose operands it writes over.
"""

from __future__ import annotations

import heapq
from dataclasses import replace

from graphc.ir import program as ir


@ir.nested_programs
def overlap_collectives(program: ir.Program) -> ir.Program:
    """The program with starts early and waits late; as it is where it has none."""
    if not any(isinstance(call.kernel, ir.Collective) for call in program.calls):
        return program
    before = _before(program)
    after: list[list[int]] = [[] for _ in before]
    for call, needed in enumerate(before):
        for one in needed:
            after[one].append(call)
    missing = [len(needed) for needed in before]
    ready = [(_rank(program.calls[i]), i) for i, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, done = heapq.heappop(ready)
        order.append(done)
        for call in after[done]:
            missing[call] -= 1
            if not missing[call]:
                heapq.heappush(ready, (_rank(program.calls[call]), call))
    return replace(program, calls=tuple(program.calls[i] for i in order))


def _rank(call: ir.Call) -> int:
    """Which of the calls that could run comes first."""
    match call.kernel:
        case ir.Collective(waits=waits):
            return 2 if waits else 0
    return 1


def _before(program: ir.Program) -> list[set[int]]:
    """For each call those that must come before it."""
    found: list[set[int]] = []
    wrote: dict[str, int] = {}  # a buffer -> the last call that wrote it
    read: dict[str, list[int]] = {}  # a buffer -> the calls that have read it since
    last: dict[str, int] = {}  # what exchanges, and what is Python's -> the last such call
    for i, call in enumerate(program.calls):
        needed: set[int] = set()
        for name, p in zip(call.buffers, call.kernel.params, strict=True):
            if name in wrote:
                needed.add(wrote[name])
            if p.mode != "in":
                needed.update(read.get(name, ()))
        for name, p in zip(call.buffers, call.kernel.params, strict=True):
            if p.mode == "in":
                read.setdefault(name, []).append(i)
        for name, p in zip(call.buffers, call.kernel.params, strict=True):
            if p.mode != "in":
                wrote[name], read[name] = i, []
        for kind in _kinds(call.kernel):
            if kind in last:
                needed.add(last[kind])
            last[kind] = i
        found.append(needed - {i})
    return found


def _kinds(called: ir.Called) -> list[str]:
    """In which orders a call has its place."""
    if isinstance(called, ir.Collective):
        return [] if called.waits else ["exchange"]
    calls = (call.kernel for program in called.programs for inner in program.programs for call in inner.calls)
    inside = ["exchange"] if any(isinstance(kernel, ir.Collective) for kernel in calls) else []
    return [*inside, "python"] if isinstance(called, ir.HostCall) else inside
