"""Floating-point operations, counted from a kernel's text: those of its scalar code times the turns of the loops around it.

An addition, a subtraction, a product, a quotient, a square root and a step of a reduction count one, a fused multiply-add two,
and a contraction 2mnk. Comparisons, choices, roundings, conversions and integer arithmetic count nothing.

Of a sum counts what was declared, in whatever order it is taken: n - 1 for n elements in an accumulator, n where they are added
to memory that was set to 0. What joins the sums of lanes and blocks, and keeps their rounding errors, counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir.combines import PLAIN, SET
from graphc.ir.scalar import Arg, Const, Let, Ref

_OPERATIONS = {"add": 1, "sub": 1, "mul": 1, "div": 1, "sqrt": 1, "fma": 2}
_TURNS = 1024  # turns of a loop that are looked at where its inner loops depend on it; of more, as many at even distances

Env = Mapping[str, int]


def flops(kernel: ir.Called, sizes: Env) -> int:
    """The floating-point operations of one call of a kernel; of what Python computes, none are known.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 8), "float32")
    >>> f = gx.compile([x], x @ gx.ones((8, 16), "float32") + 1)
    >>> flops(f.kernels[0].kernel, {"n": 100}) == 100 * 16 * (2 * 8 + 1)
    True
    """
    return max(0, round(_called(kernel, sizes)))


def _called(called: ir.Called, env: Env) -> float:
    match called:
        case ir.Kernel():
            return _Counter(called).nest(called.parallel, called.body, env)
        case ir.Steps():
            return dims.evaluate(called.count, env) * sum(_called(call.kernel, env) for call in called.program.calls)
        case ir.HostCall() | ir.Collective():
            return 0.0


class _Counter:
    """Counts the operations of one kernel.

    joins   values that join the sums of lanes and of blocks, and what adds these
    errors  accumulators of rounding errors
    """

    def __init__(self, kernel: ir.Kernel) -> None:
        self.joins: set[str] = set()
        self.errors: set[str] = set()
        lets: dict[str, Let] = {}
        lost: set[str] = set()
        for statement in ir.statements_of(kernel.body):
            match statement:
                case Let(name=name, op=op, args=args):
                    lets[name] = statement
                    if found := _two_sum(statement, lets):
                        self.joins |= found
                        lost.add(name)
                    elif op == "add" and any(isinstance(a, Ref) and a.name in lost for a in args):
                        self.joins.add(name)
                    elif op == "select":
                        self.joins |= _with_errors(statement, lets)
                case ir.Join(name=name):
                    self.joins.add(name)
                case ir.Reduce(name=name, value=Ref(value)) if value in lost:
                    self.errors.add(name)

    def _is_join(self, value: Arg) -> bool:
        return isinstance(value, Ref) and value.name in self.joins

    def nest(self, axes: Sequence[ir.Axis], body: Sequence[ir.Statement], env: Env) -> float:
        """The operations of a body under loops."""
        if not axes:
            total, bounds = 0.0, _bounds(tuple(body))
            for statement in body:
                match statement:
                    case Let(name=name, op="index", index=size) if f"%{name}" in bounds:
                        env = {**env, f"%{name}": dims.evaluate(size, env)}
                total += self.statement(statement, env)
            return total
        first, *rest = axes
        start, stop = ir.most_turns(first, env)
        turns = max(0, stop - start)
        bounds = frozenset().union(*(dims.names(a.start, a.stop) for a in rest), _bounds(tuple(body)))
        if first.var not in bounds or not turns:
            return turns * self.nest(rest, body, {**env, first.var: start}) if turns else 0
        looked_at = range(start, stop, -(-turns // _TURNS))
        return turns / len(looked_at) * sum(self.nest(rest, body, {**env, first.var: i}) for i in looked_at)

    def statement(self, statement: ir.Statement, env: Env) -> float:
        match statement:
            case Let(name=name, op=op, dtype=dtype):
                return _OPERATIONS.get(op, 0) if dtype.is_float and name not in self.joins else 0
            case ir.Init(name=name, dtype=dtype, combine=combine):  # the first element that joins it is no operation
                return -1 if dtype.is_float and combine in PLAIN and name not in self.errors else 0
            case ir.Reduce(dtype=dtype, combine=combine, value=value):
                return 1 if dtype.is_float and combine != SET and not self._is_join(value) else 0
            case ir.Accumulate(value=value):
                return 1 if value.dtype.is_float and not self._is_join(value) else 0
            case ir.Loop(var, stop, body, start):
                return self.nest((ir.Axis(var, stop, start),), body, env)
            case ir.Contract(m=m, n=n, k=k, left=left, right=right, epilogue=epilogue):
                product = 2 if statement.dtype.is_float else 0
                rows, columns, steps = (max(0, high - low) for low, high in (ir.most_turns(a, env) for a in (m, n, k)))
                return (
                    product * rows * columns * steps + self.nest((m, k), left.body, env) + self.nest((k, n), right.body, env)
                    + self.nest((m, n), epilogue, env)
                )  # fmt: skip
            case ir.While() | ir.Branch():  # one turn, and the first of several bodies: how many there are is data
                first, *others = ir.bodies(statement)
                return self.nest((), first, env) + (self.nest((), others[0], env) if isinstance(statement, ir.While) else 0)
        return 0


def _bounds(body: tuple[ir.Statement, ...]) -> frozenset[str]:
    """The names in the bounds of a body's loops, and in the statements that make these."""
    found: frozenset[str] = frozenset()
    for statement in reversed(tuple(ir.statements_of(body))):
        match statement:
            case Let(name=name, op="index", index=size) if f"%{name}" in found:
                found |= dims.names(size)
            case ir.Loop(stop=stop, start=start):
                found |= dims.names(start, stop)
            case ir.Contract(m=m, n=n, k=k):
                found |= dims.names(*(size for a in (m, n, k) for size in (a.start, a.stop)))
    return found


def _parts(arg: Arg, op: str, lets: Mapping[str, Let]) -> tuple[Arg, ...]:
    """The operands of a value that one operation makes; nothing of another."""
    found = lets.get(arg.name) if isinstance(arg, Ref) else None
    return found.args if found is not None and found.op == op else ()


def _two_sum(let: Let, lets: Mapping[str, Let]) -> set[str]:
    """The values of Knuth's two-sum, if this one is the error of it: (a - (s - t)) + (b - t), where s = a + b and t = s - a."""
    if let.op != "add":
        return set()
    v, w = let.args
    match _parts(v, "sub", lets), _parts(w, "sub", lets):
        case (a, u), (b, t):
            s, *_ = (*_parts(t, "sub", lets), t)
            made = (_parts(s, "add", lets), _parts(t, "sub", lets), _parts(u, "sub", lets))
            if made == ((a, b), (s, a), (s, t)):
                return {x.name for x in (s, t, u, v, w) if isinstance(x, Ref)} | {let.name}
    return set()


def _with_errors(let: Let, lets: Mapping[str, Let]) -> set[str]:
    """The values that a choice between a sum with its errors and the sum alone is made of: the former where it is a number."""
    asked, kept, plain = let.args
    match _parts(asked, "eq", lets):
        case (difference, Const(0.0)) if _parts(difference, "sub", lets) == (plain, plain):
            if _parts(kept, "add", lets)[:1] == (plain,):
                return {x.name for x in (difference, kept) if isinstance(x, Ref)}
    return set()
