"""Floating-point operations, counted from a kernel's text: those of its scalar code times the turns of the loops around it.

An addition, a subtraction, a product, a quotient, a square root and a step of a reduction count one, a fused multiply-add two,
and a contraction 2mnk. Comparisons, choices, roundings, conversions and integer arithmetic count nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.ir import dims
from graphc.ir.program import (
    Accumulate,
    Axis,
    Branch,
    Called,
    Contract,
    HostCall,
    Kernel,
    Loop,
    Reduce,
    Statement,
    Steps,
    While,
    bodies,
    statements_of,
)  # fmt: skip
from graphc.ir.scalar import Let

_OPERATIONS = {"add": 1, "sub": 1, "mul": 1, "div": 1, "sqrt": 1, "fma": 2}
_TURNS = 1024  # turns of a loop that are looked at where its inner loops depend on it; of more, as many at even distances

Env = Mapping[str, int]


def flops(kernel: Called, sizes: Env) -> int:
    """The floating-point operations of one call of a kernel; of what Python computes, none are known.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 8), "float32")
    >>> f = gx.compile([x], x @ gx.ones((8, 16), "float32") + 1)
    >>> flops(f.kernels[0].kernel, {"n": 100}) == 100 * 16 * (2 * 8 + 1)
    True
    """
    return round(_called(kernel, sizes))


def _called(called: Called, env: Env) -> float:
    match called:
        case Kernel():
            return _nest(called.parallel, called.body, env)
        case Steps():
            return dims.evaluate(called.count, env) * sum(_called(call.kernel, env) for call in called.program.calls)
        case HostCall():
            return 0.0


def _nest(axes: Sequence[Axis], body: Sequence[Statement], env: Env) -> float:
    """The operations of a body under loops."""
    if not axes:
        total, bounds = 0.0, _bounds(tuple(body))
        for statement in body:
            match statement:
                case Let(name=name, op="index", index=size) if f"%{name}" in bounds:
                    env = {**env, f"%{name}": dims.evaluate(size, env)}
            total += _statement(statement, env)
        return total
    first, *rest = axes
    start, stop = dims.evaluate(first.start, env), dims.evaluate(first.stop, env)
    turns = max(0, stop - start)
    bounds = frozenset().union(*(dims.names(a.start, a.stop) for a in rest), _bounds(tuple(body)))
    if first.var not in bounds or not turns:
        return turns * _nest(rest, body, {**env, first.var: start}) if turns else 0
    looked_at = range(start, stop, -(-turns // _TURNS))
    return turns / len(looked_at) * sum(_nest(rest, body, {**env, first.var: i}) for i in looked_at)


def _bounds(body: tuple[Statement, ...]) -> frozenset[str]:
    """The names in the bounds of a body's loops, and in the statements that make these."""
    found: frozenset[str] = frozenset()
    for statement in reversed(tuple(statements_of(body))):
        match statement:
            case Let(name=name, op="index", index=size) if f"%{name}" in found:
                found |= dims.names(size)
            case Loop(stop=stop, start=start):
                found |= dims.names(start, stop)
            case Contract(m=m, n=n, k=k):
                found |= dims.names(*(size for a in (m, n, k) for size in (a.start, a.stop)))
    return found


def _statement(statement: Statement, env: Env) -> float:
    match statement:
        case Let(op=op, dtype=dtype):
            return _OPERATIONS.get(op, 0) if dtype.is_float else 0
        case Reduce(dtype=dtype):
            return 1 if dtype.is_float else 0
        case Accumulate(value=value):
            return 1 if value.dtype.is_float else 0
        case Loop(var, stop, body, start):
            return _nest((Axis(var, stop, start),), body, env)
        case Contract(m=m, n=n, k=k, left=left, right=right, epilogue=epilogue):
            product = 2 if statement.dtype.is_float else 0
            rows, columns, steps = (max(0, dims.evaluate(a.extent, env)) for a in (m, n, k))
            return (
                product * rows * columns * steps + _nest((m, k), left.body, env) + _nest((k, n), right.body, env)
                + _nest((m, n), epilogue, env)
            )  # fmt: skip
        case While() | Branch():  # one turn, and the first of several bodies: how many there are is data
            first, *others = bodies(statement)
            return _nest((), first, env) + (_nest((), others[0], env) if isinstance(statement, While) else 0)
    return 0
