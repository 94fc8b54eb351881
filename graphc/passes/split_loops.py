"""Split loops where questions about their variable change their answer: Program -> Program.

    for j < 192 {                                     for j in 0 .. 64 {
      %0 = index(j)                                     %2 = load %x[j]
      %1 = lt(%0, 64)                                   store %y[j], %2
      %2 = load %x[j] if %1              =>           }
      %3 = load %z[j-64] if not ...                   for j in 64 .. 192 {
      %4 = select(%1, %2, %3)                           %3 = load %z[j-64]
      store %y[j], %4                                   store %y[j], %3
    }                                                 }

Joined and padded arrays ask at each element which part it lies in. Afterwards the innermost loops that are long enough do not:
each part has a loop of its own, with its own loads only. The values and the order of the elements are what they were. Loops
that reduce stay whole, since the order of a sum is that of one loop. But loops around those that add up in memory are split too:
one part after the other adds in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Accumulate, Load, Loop, Program, Statement, Store, statements_of, with_bodies
from graphc.ir.scalar import Arg, Const, Let, Ref, literal
from graphc.ir.types import bool_

VECTORS = 4  # of float32 in a part, on average, from which its own loop gains more than what does not fill a vector loses
NESTED = 16  # elements that one of loops within loops counts for: with its questions they become no vectors
MANY = 12  # statements from which on one part is worth a loop for one vector, where the others store numbers alone
GROWTH = 4  # how many times as many statements there may be


def split_loops(program: Program) -> Program:
    """The program with its kernels' loops split."""
    lanes = program.target.lanes(4)
    return program.with_kernels(lambda kernel: replace(kernel, body=_body(kernel.body, lanes)))


@dataclass(frozen=True)
class _Question:
    """Whether factor*v + offset is at least a bound (or, if not `above`, below it)."""

    factor: int
    offset: int
    bound: int
    above: bool

    @property
    def turn(self) -> int:
        """The first v from which on the answer is another."""
        if self.factor > 0:
            return -((self.offset - self.bound) // self.factor)
        return (self.bound - self.offset) // self.factor + 1

    def answer(self, v: int) -> bool:
        return (self.factor * v + self.offset >= self.bound) is self.above


def _body(body: tuple[Statement, ...], lanes: int) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop) and all(isinstance(s, (Let, Load, Store)) for s in statement.body):
            found += _parts(statement, lanes)
        elif isinstance(statement, Loop) and _adds_up(statement):
            found += (with_bodies(part, lambda inner: _body(inner, lanes)) for part in _parts(statement, lanes))
        else:
            found.append(with_bodies(statement, lambda inner: _body(inner, lanes)))
    return tuple(found)


def _adds_up(loop: Loop) -> bool:
    """Whether there is nothing in a loop but loops that add up in memory."""
    inner = list(statements_of(loop.body))
    plain = all(isinstance(s, (Let, Load, Store, Accumulate, Loop)) for s in inner)
    return plain and any(isinstance(s, Loop) for s in loop.body) and any(isinstance(s, Accumulate) for s in inner)


def _turns(loop: Loop) -> int:
    """How often the innermost statements of a nest run in one turn of its outermost loop, as far as is known."""
    inner = [(s, dims.sub(s.stop, s.start)) for s in loop.body if isinstance(s, Loop)]
    return max((max(1, n) * _turns(s) for s, n in inner if isinstance(n, int)), default=1)


def _parts(loop: Loop, lanes: int) -> list[Loop]:
    """The loop as several, if that is of use: parts of some vectors, or of whole ones."""
    if not isinstance(loop.start, int) or not isinstance(loop.stop, int):
        return [loop]
    questions = _questions(loop)
    turns = {q.turn for q in questions.values()}
    ends = [loop.start, *sorted(t for t in turns if loop.start < t < loop.stop), loop.stop]
    if len(ends) == 2:
        return [loop]
    parts = []
    for a, b in pairwise(ends):
        known = {name: q.answer(a) for name, q in questions.items()}
        parts.append(Loop(loop.var, b, needed(settled(loop.body, known)), a))
    few = sum(_count(p.body) for p in parts) <= GROWTH * _count(loop.body)
    return parts if few and _gains(loop, parts, lanes) else [loop]


def _gains(loop: Loop, parts: list[Loop], lanes: int) -> bool:
    """Whether parts of a loop are long enough, or whole vectors; where all but one store numbers, that one is as good as all."""
    if all(_known(part) % lanes == 0 for part in parts):
        return True
    working = [_known(part) for part in parts if not all(isinstance(s, Store) for s in part.body)]
    if len(working) == 1 and working[0] >= (lanes if _count(loop.body) > MANY else 2 * lanes):
        return True
    turns_inside = _turns(loop) * NESTED if any(isinstance(s, Loop) for s in loop.body) else 1
    return _known(loop) * turns_inside >= VECTORS * lanes * len(parts)


def _known(loop: Loop) -> int:
    """The turns of a loop whose ends are numbers."""
    assert isinstance(loop.start, int) and isinstance(loop.stop, int)
    return loop.stop - loop.start


def _count(body: tuple[Statement, ...]) -> int:
    return sum(1 for _ in statements_of(body))


def _questions(loop: Loop) -> dict[str, _Question]:
    """The comparisons of a loop's variable with numbers."""
    lines: dict[str, tuple[int, int]] = {}
    found: dict[str, _Question] = {}
    for statement in statements_of(loop.body):
        match statement:
            case Let(name=name, op="index", index=size):
                line = _line(size, loop.var)
                if line is not None:
                    lines[name] = line
            case Let(name=name, op="ge" | "lt" | "gt" | "le" as op, args=(Ref(value), Const(bound))) if value in lines:
                found[name] = _Question(*lines[value], bound + (op in ("gt", "le")), op in ("ge", "gt"))
    return found


def _line(size: Size, var: str) -> tuple[int, int] | None:
    """a and b where a size is a*var + b, and a is not 0."""
    offset = dims.substitute(size, {var: 0})
    factor = dims.sub(dims.substitute(size, {var: 1}), offset)
    if not isinstance(offset, int) or not isinstance(factor, int) or factor == 0:
        return None
    return (factor, offset) if size == dims.add(dims.mul(factor, dims.symbol(var)), offset) else None


def settled(body: tuple[Statement, ...], known: dict[str, bool]) -> list[Statement]:
    """The code where some answers are known."""
    same: dict[str, Arg] = {name: Const(answer, bool_) for name, answer in known.items()}  # what a name stands for
    places: dict[str, Size] = {}  # and in an index

    def now(arg: Arg) -> Arg:
        return same.get(arg.name, arg) if isinstance(arg, Ref) else arg

    def put(name: str, value: Arg) -> None:
        same[name] = value
        if value.dtype.is_integer:
            places[f"%{name}"] = int(value.value) if isinstance(value, Const) else dims.symbol(f"%{value.name}")

    def at(index: tuple[Size, ...]) -> tuple[Size, ...]:
        return tuple(dims.substitute(i, places) for i in index) if places else index

    def settle(body: tuple[Statement, ...]) -> list[Statement]:
        found: list[Statement] = []
        for statement in body:
            match statement:
                case Let(name=name) if name in known:
                    pass
                case Let(name=name, op=op, args=args):
                    args = tuple(map(now, args))
                    value = _value(op, args)
                    if value is not None:
                        put(name, value)
                    else:
                        found.append(replace(statement, args=args, index=at((statement.index,))[0]))
                case Load(name=name, dtype=dtype, index=index, guard=guard):
                    guard = None if guard is None else now(guard)
                    if isinstance(guard, Const) and not guard.value:
                        put(name, Const(literal(0, dtype), dtype))
                    else:
                        guard = None if isinstance(guard, Const) else guard
                        found.append(replace(statement, index=at(index), guard=guard))
                case Store(index=index, value=value) | Accumulate(index=index, value=value):
                    found.append(replace(statement, index=at(index), value=now(value)))
                case Loop(start=start, stop=stop, body=inner):
                    start, stop = at((start, stop))
                    found.append(replace(statement, start=start, stop=stop, body=tuple(settle(inner))))
        return found

    return settle(body)


def _value(op: str, args: tuple[Arg, ...]) -> Arg | None:
    """What an operation on answers gives without being computed."""
    match op, args:
        case "select", (Const(answer), a, b):
            return a if answer else b
        case "not", (Const(answer),):
            return Const(not answer, bool_)
        case "and" | "or", (Const(answer, kind), other) | (other, Const(answer, kind)) if kind.is_bool:
            return other if answer is (op == "and") else Const(answer, bool_)
    return None


def needed(body: list[Statement]) -> tuple[Statement, ...]:
    """The code without what no store needs."""
    needed: set[str] = set()

    def keep(body: Sequence[Statement]) -> tuple[Statement, ...]:
        found: list[Statement] = []
        for statement in reversed(body):
            values: tuple[Arg | None, ...]
            sizes: tuple[Size, ...]
            match statement:
                case Let(name=name, args=args, index=size) if name in needed:
                    values, sizes = args, (size,)
                case Load(name=name, index=index, guard=guard) if name in needed:
                    values, sizes = (guard,), index
                case Store(index=index, value=value) | Accumulate(index=index, value=value):
                    values, sizes = (value,), index
                case Loop(start=start, stop=stop, body=inner):
                    statement = replace(statement, body=keep(inner))
                    values, sizes = (), (start, stop)
                case _:
                    continue
            found.append(statement)
            needed.update(v.name for v in values if isinstance(v, Ref))
            needed.update(n.removeprefix("%") for n in dims.names(*sizes) if n.startswith("%"))
        return tuple(reversed(found))

    return keep(body)
