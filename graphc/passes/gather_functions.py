"""Compute a function of many scalars in one loop: Program -> Program.

    for t < 100 {                                     for t < 100 {
      %0 = load %a[0]                                   %0 = load %a[0]
      %1 = load %b[0]                                   %1 = load %b[0]
      ...                                               ...
      %8 = sin(%0)                                      store %x[0], %0
      %9 = sin(%1)                                      store %x[1], %1
      ...                                =>             ...
      store %a[0], %9                                   for l < 8 {
      store %b[0], %8                                     %20 = load %x[l]
      ...                                                 %21 = sin(%20)
    }                                                     store %y[l], %21
                                                        }
                                                        %8 = load %y[0]
                                                        ...

A loop over time whose step has many scalars is straight code, in which `expand_math` would write each function out: 180
statements for a sine in float64, which LLVM reads one by one. Functions that do not wait for each other become one loop, whose
turns are vectors. Functions of the same operands, as a sine and its derivative, stay together, since their expansions have parts
in common.

Only code that is no turn of a loop that could become vectors itself is changed: the body of a loop that carries scalars from one
turn to the next, of a loop that ends by its data, and of a kernel that runs once. Values and their bits are what they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Contract, Kernel, Load, Loop, Program, Scratch, Statement, Store, While, with_bodies
from graphc.ir.scalar import Arg, Const, Let, Recorder, Ref, Value
from graphc.ir.types import DType
from graphc.passes.expand_math import expansion, is_primitive
from graphc.passes.fresh_names import FreshNames

FEW = 4  # functions that are worth a loop: half a vector of float64 where vectors are widest
LONG = 256  # statements that they are instead of it, at least

Straight = Let | Load | Store


def gather_functions(program: Program) -> Program:
    """The program with functions of many scalars in loops."""
    done: dict[int, Kernel] = {}

    def once(kernel: Kernel) -> Kernel:
        if id(kernel) not in done:
            done[id(kernel)] = _gathered(kernel)
        return done[id(kernel)]

    return program.with_kernels(once)


def _gathered(kernel: Kernel) -> Kernel:
    gatherer = _Gatherer(kernel)
    body = gatherer.body(kernel.body, all(a.extent == 1 for a in kernel.parallel))
    return replace(kernel, body=body, scratch=(*kernel.scratch, *gatherer.scratch)) if gatherer.scratch else kernel


def _carries(loop: Loop) -> bool:
    """Whether a turn of a loop reads memory that the turn before has written."""

    def fixed(kind: type[Load] | type[Store]) -> set[str]:
        return {s.buffer for s in loop.body if isinstance(s, kind) and loop.var not in dims.names(*s.index)}

    return not fixed(Store).isdisjoint(fixed(Load))


def _operands(let: Let) -> tuple[Const | DType, ...]:
    return tuple(a if isinstance(a, Const) else a.dtype for a in let.args)


def _is_function(statement: Statement) -> bool:
    """Whether a statement is to be expanded, and of floats."""
    if not isinstance(statement, Let) or not statement.args:
        return False
    operand = statement.args[-1].dtype
    return operand.is_float and not is_primitive(statement.op, operand)


@lru_cache(maxsize=1024)
def _length(op: str, operands: tuple[Const | DType, ...]) -> int:
    """How many statements a function becomes."""
    k = Recorder()
    given = [Value(k, o) if isinstance(o, Const) else k.argument(f"x{i}", o) for i, o in enumerate(operands)]
    expansion(k, op, given)
    return len(k.statements)


class _Gatherer:
    """Writes the body of one kernel anew."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.scratch: list[Scratch] = []

    def body(self, body: tuple[Statement, ...], alone: bool) -> tuple[Statement, ...]:
        """The code; `alone` where no loop around it could become vectors."""
        found: list[Statement] = []
        straight: list[Straight] = []
        for statement in body:
            if isinstance(statement, Straight):
                straight.append(statement)
                continue
            found += self.run(straight) if alone else straight
            straight = []
            match statement:
                case Loop():
                    inside = _carries(statement)
                case While():
                    inside = True
                case _:
                    inside = alone and not isinstance(statement, Contract)
            found.append(with_bodies(statement, lambda inner, inside=inside: self.body(inner, inside)))  # type: ignore[misc]
        found += self.run(straight) if alone else straight
        return tuple(found)

    def run(self, statements: Sequence[Straight]) -> Sequence[Statement]:
        """Straight code in the order of what waits for what: of each level what is short, and then its functions."""
        functions = {id(s) for s in statements if _is_function(s)}
        if len(functions) < FEW:
            return statements
        levels = _levels(statements, functions)
        short: list[list[Statement]] = [[] for _ in range(max(levels) + 1)]
        long: list[dict[tuple[Arg, ...], list[Let]]] = [{} for _ in short]
        for statement, level in zip(statements, levels, strict=True):
            if isinstance(statement, Let) and id(statement) in functions:
                long[level].setdefault(statement.args, []).append(statement)
            else:
                short[level].append(statement)
        found: list[Statement] = []
        for ready, waiting in zip(short, long, strict=True):
            found += ready
            alike: dict[object, list[list[Let]]] = {}
            for together in waiting.values():
                together.sort(key=lambda let: let.op)
                alike.setdefault(_kind(together), []).append(together)
            for group in alike.values():
                length = len(group) * sum(_length(let.op, _operands(let)) for let in group[0])
                found += self.loop(group) if len(group) >= FEW and length >= LONG else (let for lets in group for let in lets)
        return found

    def loop(self, group: Sequence[Sequence[Let]]) -> list[Statement]:
        """A loop with a turn for each list of functions, which are those of the first list on other operands."""
        count, (first, *_) = len(group), group
        turn = self.names.fresh()
        at = (dims.symbol(turn),)
        before: list[Statement] = []
        body: list[Statement] = []
        args: list[Arg] = []
        for place, arg in enumerate(first[0].args):
            given = [together[0].args[place] for together in group]
            if isinstance(arg, Ref) and any(g != arg for g in given):
                array = self.array(arg.dtype, count)
                before += (Store(array, (i,), g) for i, g in enumerate(given))
                arg = Ref(self.names.fresh(), arg.dtype)
                body.append(Load(arg.name, arg.dtype, array, at))
            args.append(arg)
        after: list[Statement] = []
        for place, let in enumerate(first):
            array = self.array(let.dtype, count)
            result = replace(let, name=self.names.fresh(), args=tuple(args))
            body += (result, Store(array, at, Ref(result.name, result.dtype)))
            after += (Load(together[place].name, let.dtype, array, (i,)) for i, together in enumerate(group))
        return [*before, Loop(turn, count, tuple(body)), *after]

    def array(self, dtype: DType, count: int) -> str:
        made = Scratch(self.names.fresh(), dtype, (count,))
        self.scratch.append(made)
        return made.name

    @cached_property
    def names(self) -> FreshNames:
        return FreshNames(self.kernel)


def _kind(together: Sequence[Let]) -> object:
    """What lists of functions have in common that may be turns of one loop."""
    return _operands(together[0]), tuple((let.op, let.dtype) for let in together)


def _levels(statements: Sequence[Straight], functions: set[int]) -> list[int]:
    """How many functions each statement has to wait for, one after the other; no two parameters are one memory."""
    known: dict[str, int] = {}  # the level from which on a value is there
    read: dict[str, int] = {}  # the highest level of what reads a memory, and of what writes it
    written: dict[str, int] = {}
    found = []
    for s in statements:
        match s:
            case Let(args=args, index=size):
                level = _after(known, args, (size,))
            case Load(buffer=buffer, index=index, guard=guard):
                level = max(_after(known, () if guard is None else (guard,), index), written.get(buffer, 0))
                read[buffer] = max(read.get(buffer, 0), level)
            case Store(buffer=buffer, index=index, value=value):
                level = max(_after(known, (value,), index), written.get(buffer, 0), read.get(buffer, 0))
                written[buffer] = level
        if not isinstance(s, Store):
            known[s.name] = level + (id(s) in functions)
        found.append(level)
    return found


def _after(known: dict[str, int], args: Iterable[Arg], sizes: tuple[Size, ...]) -> int:
    names = [a.name for a in args if isinstance(a, Ref)]
    names += (n.removeprefix("%") for n in dims.names(*sizes) if n.startswith("%"))
    return max((known.get(name, 0) for name in names), default=0)
