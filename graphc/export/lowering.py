"""The program that leaves: the declared graph through all passes, for another processor and for sizes that are known."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphc.errors import InputError, caller
from graphc.ir.graph import Graph
from graphc.ir.operation import Host
from graphc.ir.program import Called, Collective, HostCall, Kernel, Program, Store
from graphc.ir.scalar import Const
from graphc.ir.signature import signature_of
from graphc.ir.target import Target
from graphc.passes import LOWERING, specialize


def lowered(declared: Graph, passes: Sequence[Callable[..., Any]], target: Target, sizes: Mapping[str, int]) -> Program:
    """The program of a declared graph. Raises InputError where a part of it is Python, or a size is data."""
    unknown = sorted(sizes.keys() - declared.dims)
    if unknown:
        raise InputError(
            f"export: the graph has no size {', '.join(unknown)}", where=caller(),
            hint=f"its sizes are {', '.join(sorted(declared.dims))}" if declared.dims else "all its sizes are numbers",
        )  # fmt: skip
    if sizes:
        declared = specialize(**sizes)(declared)
    graph: Any = declared
    for change in passes:
        graph = _applied(change, graph, target)
    signature = signature_of(graph, declared)
    program: Any = graph
    for step in LOWERING:
        before, program = program, _applied(step, program, target)
        if isinstance(program, Program) and not isinstance(before, Program):
            program = program.asking(signature)
    assert isinstance(program, Program)
    leaving = _without_guards(program)
    _refuse(leaving)
    return leaving


def _without_guards(program: Program) -> Program:
    """The program without what only raises, which nobody would hear: what a kernel cannot compute is NaN or infinite."""
    program = program.with_programs(_without_guards)
    return program.with_called(lambda called: _accepting(called) if _guards(called) else called).named()


def _guards(called: Called) -> bool:
    if not isinstance(called, HostCall) or not isinstance(called.operation.lowering, Host):
        return False
    return called.operation.lowering.guards


def _accepting(guard: Called) -> Kernel:
    """A kernel in the place of a guard, which refuses nothing."""
    false = tuple(Store(p.name, (), Const(False, p.type.dtype)) for p in guard.outputs)
    return Kernel(guard.name, guard.params, (), false)


def _applied(change: Callable[..., Any], given: Any, target: Target) -> Any:
    return change(given, target=target) if "target" in inspect.signature(change).parameters else change(given)


def _refuse(program: Program) -> None:
    """InputError where a program cannot leave Python. A loop or a choice is named by what Python computes in it."""
    for called in (call.kernel for inner in program.programs for call in inner.calls):
        if isinstance(called, Collective):
            raise InputError(
                f"export: {called.operation.name} needs other ranks, and the program leaves them",
                where=called.where[0] if called.where else caller(), hint="export what one rank computes",
            )  # fmt: skip
    calls = [call.kernel for inner in program.programs for call in inner.calls if isinstance(call.kernel, HostCall)]
    for called in sorted(calls, key=lambda called: len(called.programs)):
        where = called.where[0] if called.where else caller()
        if called.is_sized:
            raise InputError(
                "export: a size is data, so the memory that the program needs is not known before it runs", where=where,
                hint="the gradient of while_loop has such a size; fori_loop and scan count to a size that is given",
            )  # fmt: skip
        raise InputError(
            f"export: {called.invocation} is computed by Python, which the program leaves", where=where,
            hint="compute it outside and make its result an input, or write it with operations that have kernels",
        )  # fmt: skip
