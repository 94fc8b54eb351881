"""From the source of kernels to LLVM: a typed walk over the few words of Python in which kernels are printed.

    def kernel(pointers, sizes, lo, hi, scratch):       define void @kernel(i64, i64, i64, i64, i64)
        x0 = f32_at(pointers[0])                          %x0 = inttoptr i64 ... to float*
        for i in range(lo, hi):                           a loop whose variable is a phi
            v0 = load0(x0, i)                             what the intrinsic `load0` writes
            store1(y0, i, v0 * v0)                        %1 = fmul float %v0, %v0

The words: assignments, `for` over range with a positive step (or over `lanes`, a range whose loop becomes vectors before it is
written out), while, if, break, return, calls of intrinsics and of functions in the same text, + - * / and comparisons of two
values of one type, and, or, constants. Every parameter is a 64-bit word, so is a result, and `word[i]` is the i-th word of the
memory at that address. Integers wrap, division is IEEE's, nothing is checked, and no arithmetic is reordered or contracted: what
the text says is what runs. A name that is assigned once is the value itself; others are memory that LLVM turns into registers. A
loop's variable ends with the loop.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np
from llvmlite import binding, ir

from graphc.backends.llvm import intrinsics
from graphc.backends.llvm.intrinsics import WORD, Intrinsic, Type, llvm_type
from graphc.ir import types as t
from graphc.ir.target import Target
from graphc.ir.types import DType

# What LLVM's own time bounds (UNROLLED, WRITTEN_IN_ALL, WRITTEN) is the same for all targets.
INTERLEAVED = 4  # vectors that run side by side through a long chain of instructions, which wait for each other
LONG = 12  # statements that make one
STRIPS = 2  # of lanes in one turn, where code is long and their number unknown: LLVM loads its constants anew in each turn
MANY_REGISTERS = 32  # that hold what four vectors of a long chain need; with 16 most of it would go to memory and back
MOST_MASKED = 8  # vectors of a loop, up to which the elements that do not fill one are computed under a mask, not one by one
UNROLLED = 16  # loops of at most as many turns are written out, so that the loop around them becomes vectors
WRITTEN_IN_ALL = 1024  # of all such loops inside one: LLVM's time grows with the square of the block that they become
WRITTEN = 256  # statements that this may make: more fill the cache of instructions, and the compiler's time
Typed = tuple[Any, Any]  # an LLVM value and its type
_COMPARE = {
    ast.Eq: intrinsics.eq, ast.NotEq: intrinsics.ne, ast.Lt: intrinsics.lt, ast.LtE: intrinsics.le, ast.Gt: intrinsics.gt,
    ast.GtE: intrinsics.ge,
}  # fmt: skip
_ARITHMETIC = {ast.Add: ("add", "fadd"), ast.Sub: ("sub", "fsub"), ast.Mult: ("mul", "fmul"), ast.Div: (None, "fdiv")}


def translate(text: str, names: Mapping[str, Any], prefix: str, target: Target) -> str:
    """The LLVM text, for a target, of all functions in a source text; `names` maps what they use to intrinsics and constants."""
    module = ir.Module("kernel")
    module.triple = binding.get_process_triple()
    definitions = [s for s in ast.parse(text).body if isinstance(s, ast.FunctionDef)]
    functions = {}
    for definition in definitions:
        gives = isinstance(definition.returns, ast.Name)  # `-> int`; a kernel's end, and `-> None`, give nothing
        kind = ir.FunctionType(WORD if gives else ir.VoidType(), [WORD] * len(definition.args.args))
        functions[definition.name] = function = ir.Function(module, kind, prefix + definition.name)
        function.attributes.add("nounwind")
    for definition in definitions:
        _Function(definition, functions, names, target).write()
    return str(module)


def _walk(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, and those inside them."""
    todo = list(body)
    while todo:
        statement = todo.pop()
        yield statement
        todo += getattr(statement, "body", ())
        todo += getattr(statement, "orelse", ())


def _statements(body: list[ast.stmt]) -> int:
    return sum(1 for _ in _walk(body))


def _mark(branch: Any, *what: Any) -> None:
    """Tell LLVM something about the loop that this branch closes; a loop's mark names itself first."""
    module = branch.module
    mark = module.add_metadata([f"loop {len(module.metadata)}", module.add_metadata(what)])
    mark.operands = (mark, *mark.operands[1:])
    branch.set_metadata("llvm.loop", mark)


class _Function:
    """Writes one function."""

    def __init__(
        self, definition: ast.FunctionDef, functions: Mapping[str, Any], names: Mapping[str, Any], target: Target
    ) -> None:  # fmt: skip
        self.definition = definition
        self.target = target
        self.functions = functions
        self.names = names
        function = functions[definition.name]
        self.gives = function.function_type.return_type is WORD
        self.entry = ir.IRBuilder(function.append_basic_block("entry"))  # memory of names is allocated here
        self.builder = ir.IRBuilder(function.append_basic_block("start"))
        parameters = zip(definition.args.args, function.args, strict=True)
        self.values: dict[str, Typed] = {a.arg: (value, t.int64) for a, value in parameters}
        self.memory: dict[str, Typed] = {}  # names that are assigned more than once
        self.assigned: Counter[str] = Counter()
        for node in _walk(definition.body):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)]):
                    self.assigned[name] += 1
                case ast.AugAssign(target=ast.Name(id=name)):
                    self.assigned[name] += 2
        self.exits: list[Any] = []  # the blocks behind the loops around here
        self.written: list[tuple[Any, int]] = []  # loops that were marked, and the statements that they make
        self.turns = 1  # of the loops that were marked since the one around here began

    def write(self) -> None:
        self.body(self.definition.body)
        if not self.builder.block.is_terminated:
            if self.gives:
                raise self.error(self.definition.body[-1], "the function ends without its result")
            self.builder.ret_void()
        self.entry.position_at_end(self.entry.block)  # behind the memory that intrinsics had made
        self.entry.branch(self.functions[self.definition.name].basic_blocks[1])

    def error(self, node: ast.AST, message: str) -> TypeError:
        return TypeError(f"{self.definition.name}: {message} in {ast.unparse(node)!r}")

    # --- statements ---

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            self.statement(statement)

    def statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.assign(statement, name, self.value(value))
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                self.assign(statement, name, self.arithmetic(statement, op, self.name(statement, name), self.value(value)))
            case ast.Expr(value=ast.Call() as call):
                self.call(call)
            case ast.For(ast.Name(id=name), ast.Call(func=ast.Name(id="range" | "lanes" as kind), args=limits), body, orelse=[]):
                self.loop(statement, name, [self.word(limit) for limit in limits], body, stays=kind == "lanes")
            case ast.While(test=test, body=body, orelse=[]):
                self.loop_while(test, body)
            case ast.If(test=test, body=body, orelse=orelse):
                self.choose(test, body, orelse)
            case ast.Break() if self.exits:
                self.builder.branch(self.exits[-1])
            case ast.Return(value=None) if not self.gives:
                self.builder.ret_void()
            case ast.Return(value=ast.expr() as value) if self.gives:
                self.builder.ret(self.word(value))
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                pass
            case _:
                raise self.error(statement, "not among the words of kernels")

    def assign(self, statement: ast.stmt, name: str, typed: Typed) -> None:
        value, kind = typed
        if kind is None:
            raise self.error(statement, "no value")
        if name in self.values:
            raise self.error(statement, f"{name} is a parameter, a loop's variable, or a value")
        if self.assigned[name] == 1:
            self.values[name] = typed
            return
        if name not in self.memory:
            self.memory[name] = self.entry.alloca(llvm_type(kind)), kind
        place, before = self.memory[name]
        if before != kind:
            raise self.error(statement, f"{name} is {before}, and then {kind}")
        self.builder.store(value, place)

    def loop(self, statement: ast.stmt, name: str, limits: list[Any], body: list[ast.stmt], stays: bool) -> None:
        if name in self.values or self.assigned[name]:
            raise self.error(statement, f"{name} is assigned elsewhere")
        builder = self.builder
        start, stop, step = (ir.Constant(WORD, 0), *limits, ir.Constant(WORD, 1))[len(limits) > 1 :][:3]
        before = builder.block
        head, inside, behind = (builder.append_basic_block(n) for n in ("for", "for.body", "for.end"))
        builder.branch(head)
        builder.position_at_end(head)
        at = builder.phi(WORD)
        at.add_incoming(start, before)
        builder.cbranch(builder.icmp_signed("<", at, stop), inside, behind)
        builder.position_at_end(inside)
        self.values[name] = at, t.int64
        self.exits.append(behind)
        around, self.turns = self.turns, 1
        self.body(body)
        self.exits.pop()
        del self.values[name]
        if not builder.block.is_terminated:
            at.add_incoming(builder.add(at, step, flags=("nsw",)), builder.block)
            back = builder.branch(head)
            if not stays:
                self.written_out(back, start, stop, step, body)
                self.masked(back, start, stop, step, body)
            elif isinstance(start, ir.Constant) and isinstance(stop, ir.Constant):
                _mark(back, "llvm.loop.vectorize.followup_vectorized", builder.module.add_metadata(["llvm.loop.unroll.full"]))
            if not self.exits and sum(count for _, count in self.written) > WRITTEN_IN_ALL:
                for marked, _ in self.written:
                    del marked.metadata["llvm.loop"]
            if not self.exits:
                self.written.clear()
                self.interleaved(back, body)
        self.turns = max(self.turns, around)
        builder.position_at_end(behind)

    def written_out(self, back: Any, start: Any, stop: Any, step: Any, body: list[ast.stmt]) -> None:
        """Mark a loop of few turns; those of the loops in it count. With lanes in it, which stay, it has little to give."""
        if any(isinstance(s, ast.For) and ast.unparse(s.iter).startswith("lanes") for s in _walk(body)):
            if len(body) == 1 and _statements(body) > LONG and not isinstance(stop, ir.Constant):
                _mark(back, "llvm.loop.unroll.count", ir.Constant(ir.IntType(32), STRIPS))
            return
        if all(isinstance(n, ir.Constant) for n in (start, stop, step)):
            turns = self.turns * -(-(stop.constant - start.constant) // step.constant)
            if 1 < turns <= UNROLLED and turns * _statements(body) <= WRITTEN:
                self.turns = turns
                _mark(back, "llvm.loop.unroll.full")
                self.written.append((back, turns * _statements(body)))

    def masked(self, back: Any, start: Any, stop: Any, step: Any, body: list[ast.stmt]) -> None:
        """Mark a short loop of a long chain whose turns fill no vectors, and no half of one at the end, where there are masks."""
        straight = all(isinstance(s, (ast.Assign, ast.Expr)) for s in body)
        known = all(isinstance(n, ir.Constant) for n in (start, stop, step)) and step.constant == 1
        if known and straight and len(body) > LONG and self.target.masks and "llvm.loop" not in back.metadata:
            turns, lanes = stop.constant - start.constant, self.target.lanes(4)
            if 1 < turns < MOST_MASKED * lanes and turns % (lanes // 2):
                _mark(back, "llvm.loop.vectorize.predicate.enable", ir.Constant(ir.IntType(1), 1))

    def interleaved(self, back: Any, body: list[ast.stmt]) -> None:
        """Mark a long chain in the outermost loop, which has many turns."""
        straight = all(isinstance(s, (ast.Assign, ast.Expr)) for s in body)
        if straight and len(body) > LONG and self.target.registers >= MANY_REGISTERS:
            _mark(back, "llvm.loop.interleave.count", ir.Constant(ir.IntType(32), INTERLEAVED))

    def loop_while(self, test: ast.expr, body: list[ast.stmt]) -> None:
        builder = self.builder
        head, inside, behind = (builder.append_basic_block(n) for n in ("while", "while.body", "while.end"))
        builder.branch(head)
        builder.position_at_end(head)
        self.branch(test, inside, behind)
        builder.position_at_end(inside)
        self.exits.append(behind)
        self.body(body)
        self.exits.pop()
        if not builder.block.is_terminated:
            builder.branch(head)
        builder.position_at_end(behind)

    def branch(self, test: ast.expr, yes: Any, no: Any) -> None:
        """Go to one of two blocks; what is not needed to know which is not computed."""
        match test:
            case ast.BoolOp(op=op, values=values):
                for value in values[:-1]:
                    following = self.builder.append_basic_block("test")
                    self.branch(value, *((following, no) if isinstance(op, ast.And) else (yes, following)))
                    self.builder.position_at_end(following)
                self.branch(values[-1], yes, no)
            case _:
                self.builder.cbranch(self.truth(test), yes, no)

    def choose(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        builder = self.builder
        yes, no, behind = (builder.append_basic_block(n) for n in ("if", "else", "if.end"))
        self.branch(test, yes, no)
        for block, statements in ((yes, body), (no, orelse)):
            builder.position_at_end(block)
            self.body(statements)
            if not builder.block.is_terminated:
                builder.branch(behind)
        builder.position_at_end(behind)

    # --- expressions ---

    def word(self, node: ast.expr) -> Any:
        value, kind = self.value(node)
        if kind != t.int64:
            raise self.error(node, f"{kind} where an integer is wanted")
        return value

    def truth(self, node: ast.expr) -> Any:
        value, kind = self.value(node)
        if kind != t.bool_:
            raise self.error(node, f"{kind} where a truth value is wanted")
        return value

    def value(self, node: ast.expr) -> Typed:
        match node:
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.Constant(value=bool() | int() | float() as value):
                return self.constant(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return self.constant(-value)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value, kind = self.value(operand)
                return (self.builder.fneg if kind.is_float else self.builder.neg)(value), kind
            case ast.BinOp(left=left, op=op, right=right):
                return self.arithmetic(node, op, self.value(left), self.value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return self.apply(node, _COMPARE[type(op)], [self.value(left), self.value(right)])
            case ast.BoolOp(op=op, values=values):  # no operand does anything but compute, so all may be computed
                join = self.builder.and_ if isinstance(op, ast.And) else self.builder.or_
                return reduce(join, [self.truth(v) for v in values]), t.bool_
            case ast.Subscript(value=base, slice=index):
                memory = self.builder.inttoptr(self.word(base), WORD.as_pointer())
                return self.builder.load(self.builder.gep(memory, [self.word(index)])), t.int64
            case ast.Call():
                return self.call(node)
        raise self.error(node, "not among the words of kernels")

    def name(self, node: ast.AST, name: str) -> Typed:
        if name in self.values:
            return self.values[name]
        if name in self.memory:
            place, kind = self.memory[name]
            return self.builder.load(place), kind
        if isinstance(self.names.get(name), (bool, int, float, np.uint64)):
            return self.constant(self.names[name])
        raise self.error(node, f"{name} is not known")

    def constant(self, value: bool | int | float | np.uint64) -> Typed:
        kinds: dict[type, DType] = {bool: t.bool_, int: t.int64, float: t.float64, np.uint64: t.uint64}
        kind = kinds[type(value)]
        return ir.Constant(llvm_type(kind), float(value) if kind.is_float else int(value)), kind

    def arithmetic(self, node: ast.AST, op: ast.operator, left: Typed, right: Typed) -> Typed:
        (a, kind), (b, other) = left, right
        whole, real = _ARITHMETIC.get(type(op), (None, None))
        instruction = real if kind in t.FLOATS else whole if kind == t.int64 else None
        if instruction is None or kind != other:
            raise self.error(node, f"no such arithmetic of {kind} and {other}")
        return getattr(self.builder, instruction)(a, b), kind

    def call(self, node: ast.Call) -> Typed:
        match node:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                given = [self.value(a) for a in args]
                if name in self.functions:
                    called = self.functions[name]
                    result = t.int64 if called.function_type.return_type is WORD else None
                    return self.builder.call(called, [value for value, _ in given]), result
                function = self.names.get(name)
                if isinstance(function, Intrinsic):
                    return self.apply(node, function, given)
        raise self.error(node, "no function of kernels")

    def apply(self, node: ast.AST, function: Intrinsic, given: list[Typed]) -> Typed:
        types = tuple(kind for _, kind in given)
        try:
            result: Type = function.result(*types)
        except TypeError as wrong:
            raise self.error(node, f"{function.name} {wrong}") from None
        return function.emit(self.builder, [value for value, _ in given], types), result
