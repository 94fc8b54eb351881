"""Loops whose steps are long: each step is a run of the body's own program.

    for t < steps {                        steps 4 (carries=1, sequences=1) {
      the statements of k0, k1      =>       program body { k0 ...; k1 ... }
    }                                      }

As statements of one kernel, a body is run by one thread unless its rows can be partitioned. As a program, each of its kernels is
shared among all threads, as those of the whole program are. So it is where ranks compute something together in a step. A carry's
new value overwrites the old one where that has been read by all; elsewhere it goes into a second memory, and the two change
places at the end of the step.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.names import unused
from graphc.ir.program import (
    Axis,
    Call,
    Called,
    Collective,
    Contract,
    Kernel,
    Loop,
    Program,
    Steps,
    copy_kernel,
    cost,
    statements_of,
)
from graphc.passes.fusion.bodies import DEPTH

LONG = 100_000  # statements of a step from which on threads share it: some ten microseconds, what waking them costs
ASSUMED = 32  # what a size is taken to be that is not known yet


def are_long(program: Program) -> bool:
    """Whether a step is long enough to be run by threads, kernel by kernel."""
    return sum(_cost(call.kernel) for call in program.calls) >= LONG and _depth(program) < DEPTH


def exchange(program: Program) -> bool:
    """Whether ranks compute something together in a step: then it cannot be the statements of a kernel."""
    return any(isinstance(call.kernel, Collective) for inner in program.programs for call in inner.calls)


def _cost(kernel: Called) -> float:
    if not isinstance(kernel, Kernel):
        return LONG
    axes = list(kernel.parallel)
    for statement in statements_of(kernel.body):
        match statement:
            case Loop(var, stop, _, start):
                axes.append(Axis(var, stop, start))
            case Contract(m=m, n=n, k=k):
                axes += (m, n, k)
    env = dict.fromkeys(dims.names(*(size for a in axes for size in (a.start, a.stop))) - {a.var for a in axes}, ASSUMED)
    env |= {a.var: 0 for a in kernel.parallel}
    return dims.evaluate(dims.product(a.extent for a in kernel.parallel), env) * cost(kernel.body, env)


def _depth(program: Program) -> int:
    """How deep there are steps in a program."""
    inner = (call.kernel.program for call in program.calls if isinstance(call.kernel, Steps))
    return max((1 + _depth(found) for found in inner), default=0)


def steps_of(body: Program, count: Size, carries: int, sequences: int, reverse: bool) -> Steps:
    """The steps of a body. `plan_buffers` gives them memory for the body's arena."""
    return Steps("k", (), _once_each(body), count, carries, sequences, reverse)


def _once_each(program: Program) -> Program:
    """The program with a buffer for each output."""
    buffers, calls, outputs = dict(program.buffers), list(program.calls), list[str]()
    for name in program.outputs:
        if name in outputs:
            twin = unused(f"{name}.copy", buffers)
            buffers[twin] = replace(buffers[name], name=twin, role="output")
            calls.append(Call(copy_kernel(buffers[name].type), (name, twin)))
            name = twin
        outputs.append(name)
    return replace(program, buffers=buffers, calls=tuple(calls)).with_outputs(outputs)
