"""Graphs, programs and kernels of text: what text.py and program_text.py print. Who stands above adds to `READERS`.

A text is read from left to right once; what it says wrong is told with line and column. A name stands for what was written under
it before, but for kernels, which follow the calls of them.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from graphc.errors import GraphError, ParseError
from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir import types as t
from graphc.ir.combines import Combine, combine_of
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node
from graphc.ir.names import PLAIN, QUOTED, unquoted, written
from graphc.ir.operation import VOCABULARY, Collective, Requirement
from graphc.ir.scalar import Arg, Const, Let, Ref, implied
from graphc.ir.signature import SizeRule
from graphc.ir.target import TARGETS, Target, host
from graphc.ir.types import DTYPES, ArrayValue, DType, TensorType, TupleType, as_dtype

T = TypeVar("T")
Operand = TypeVar("Operand")

_TOKEN = re.compile(
    rf"""\s*(?:\#[^\n]*\s*)*(?:(?P<value>%(?:{PLAIN}|{QUOTED}))|(?P<string>{QUOTED})
    |(?P<number>-?(?:inf\b|nan\b|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))|(?P<word>[^\W\d]\w*)
    |(?P<mark>//|->|==|>=|\.\.|[-+*%(){{}}\[\]:=,<|])|(?P<end>\Z)|(?P<other>.))""",
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Line(Generic[Operand]):
    """A node as it is written."""

    name: str
    op: str
    operands: tuple[Operand, ...]
    attrs: dict[str, Any]
    type: TensorType
    at: int = field(compare=False)
    op_at: int = field(compare=False)
    type_at: int = field(compare=False)


def parse(text: str) -> Any:
    """The graph, the plan, the program or the kernel that a text denotes; its first word says which.

    Raises ParseError with line and column; a node that cannot be typed raises what building it would.

    >>> import graphc as gx
    >>> print(parse('''graph f(%x: f32[n]) {
    ...   %0 = exp(%x) : f32[n]
    ...   return %0
    ... }'''))
    graph f(%x: f32[n]) {
      %0 = exp(%x) : f32[n]
      return %0
    }
    """
    return READERS.get(text.split(maxsplit=1)[0] if text.strip() else "", parse_graph)(text)


def parse_graph(text: str) -> Graph:
    """The graph that a text denotes; see `parse`."""
    parser = Parser(text)
    return parser.ended(parser.graph(), "the graph")


def parse_program(text: str) -> ir.Program:
    """The program that a text denotes. Its variables are names and types: the values are not in the text.

    Raises ParseError with line and column.

    >>> program = parse_program('''program twice {
    ...   input %x: f32[n]
    ...   size n: axis 0 of %x is n
    ...   output %y: f32[n]
    ...   %y = k0(%x)
    ...   return %y
    ... }
    ...
    ... kernel k0(%x0: f32[n]) -> %y0: f32[n] {
    ...   parallel i < n {
    ...     %0 = load %x0[i]
    ...     %1 = mul(%0, 2.0)
    ...     store %y0[i], %1
    ...   }
    ... }''')
    >>> program.calls[0].kernel.body[1].args[1].dtype
    float32
    """
    parser = Parser(text)
    return parser.ended(parser.program(), "the program")


def parse_kernel(text: str) -> ir.Called:
    """The kernel, the host call or the steps that a text denotes; ParseError with line and column."""
    parser = Parser(text)
    return parser.ended(parser.kernel(), "the kernel")


class Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[_Token] = []
        for found in _TOKEN.finditer(text):
            kind = found.lastgroup or ""
            if kind == "end":
                break
            if kind == "other":
                raise self.error(f"unexpected character {found[kind]!r}", found.start(kind))
            self.tokens.append(_Token(kind, found[kind], found.start(kind)))
        self.tokens.append(_Token("end", "end of text", len(text)))
        self.next = 0
        self.values: dict[str, Node] = {}
        self.dtypes: dict[str, DType] = {}  # of a kernel's buffers and scalars

    def error(self, message: str, at: int | None = None) -> ParseError:
        if at is None:
            at = self.at
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        return ParseError(f"line {line}, column {column}: {message}")

    @property
    def at(self) -> int:
        """Where the next token stands."""
        return self.tokens[self.next].at

    def peek(self, text: str) -> bool:
        return self.tokens[self.next].text == text

    def take(self, text: str) -> bool:
        if self.peek(text):
            self.next += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.error(f"expected {text!r}, found {self.tokens[self.next].text!r}")

    def kind(self, kind: str, what: str) -> str:
        token = self.tokens[self.next]
        if token.kind != kind:
            raise self.error(f"expected {what}, found {token.text!r}")
        self.next += 1
        return token.text

    def name(self, what: str) -> str:
        """What stands after the % of a value."""
        text = self.kind("value", what)[1:]
        return unquoted(text) if text.startswith('"') else text

    def ended(self, found: T, what: str) -> T:
        """What was found, if nothing follows."""
        if self.tokens[self.next].kind != "end":
            raise self.error(f"unexpected {self.tokens[self.next].text!r} after {what}")
        return found

    def title(self, what: str) -> str:
        """A word, or any text in quotes."""
        in_quotes = self.tokens[self.next].kind == "string"
        text = self.kind("string" if in_quotes else "word", what)
        return unquoted(text) if in_quotes else text

    def several(self, end: str, one: Callable[[], T]) -> tuple[T, ...]:
        """What `one` reads, again and again, with commas between, up to an `end`."""
        found = []
        while not self.take(end):
            found.append(one())
            if not self.peek(end):
                self.expect(",")
        return tuple(found)

    def graph(self) -> Graph:
        self.expect("graph")
        name = self.title("the graph's name")
        self.expect("(")
        inputs = self.several(")", lambda: self.leaf("input"))
        self.expect("{")
        updates: list[tuple[Node, Node]] = []
        while not self.take("return"):
            if self.take("variable"):
                self.leaf("variable")
            elif self.take("update"):
                variable = self.value()
                self.expect("=")
                updates.append((variable, self.value()))
            else:
                self.line()
        return Graph(inputs, self.several("}", self.value), updates, name)

    def leaf(self, op: str) -> Node:
        at = self.at
        name = self.name("a value")
        self.expect(":")
        found = self.type()
        if name in self.values:
            raise self.error(f"{written(name)} is defined twice", at)
        node: Node = VOCABULARY[op](name=name, dtype=found.dtype, shape=found.shape)
        self.values[name] = node
        return node

    def line(self) -> None:
        line = self.written(self.value)
        self.define(line, line.operands)

    def written(self, operand: Callable[[], Operand]) -> Line[Operand]:
        """A node as it is written; `operand` reads what stands for each of its operands."""
        at = self.at
        name = self.name("a value, 'variable', 'update' or 'return'")
        if name in self.values:
            raise self.error(f"{written(name)} is defined twice", at)
        self.expect("=")
        op_at = self.at
        op = self.kind("word", "an operation")
        if op not in VOCABULARY:
            raise self.error(f"unknown operation {op!r}", op_at)
        self.expect("(")
        operands: list[Operand] = []
        attrs: dict[str, Any] = {}
        while not self.take(")"):
            if self.tokens[self.next].kind == "value":
                operands.append(operand())
            else:
                key_at = self.at
                key = self.kind("word", "an operand or an attribute")
                if key in attrs:
                    raise self.error(f"attribute {key} is given twice", key_at)
                self.expect("=")
                attrs[key] = self.attr()
            if not self.peek(")"):
                self.expect(",")
        self.expect(":")
        type_at = self.at
        return Line(name, op, tuple(operands), attrs, self.type(), at, op_at, type_at)

    def define(self, line: Line[Any], inputs: Sequence[Node]) -> None:
        """Make the node of a line."""
        node = self.build(line.op, inputs, line.attrs, line.type, line.op_at)
        if node.type != line.type:
            raise self.error(f"{line.op} gives {node.type}, not {line.type}", line.type_at)
        self.values[line.name] = node

    def build(self, op: str, inputs: Sequence[Node], attrs: dict[str, Any], stated: TensorType, at: int) -> Node:
        try:
            if op == "constant":
                attrs = {**attrs, "value": _array(attrs["value"], stated)}
            node: Node = VOCABULARY[op](*inputs, **attrs)
            str(node.type)
        except GraphError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, zlib.error):
            given = ", ".join(["%"] * len(inputs) + sorted(attrs))
            raise self.error(f"{op} cannot be made of ({given}) with these values", at) from None
        return node

    def value(self) -> Node:
        at = self.at
        name = self.name("a value")
        if name not in self.values:
            raise self.error(f"{written(name)} is not defined", at)
        return self.values[name]

    def type(self) -> TensorType:
        if self.take("("):
            return TupleType(self.several(")", self.type))
        at = self.at
        word = self.kind("word", "a type")
        try:
            dtype = as_dtype(word)
        except Exception:
            raise self.error(f"{word!r} is not a data type", at) from None
        shape: list[dims.Size] = []
        self.expect("[")
        while not self.take("]"):
            shape.append(self.extent())
            if not self.peek("]"):
                self.expect(",")
        return TensorType(dtype, tuple(shape))

    def extent(self) -> Size:
        """The size of an axis."""
        at, size = self.at, self.size()
        if isinstance(size, DType) or (isinstance(size, int) and size < 0):
            raise self.error(f"{size} is not a size", at)
        return size  # type: ignore[no-any-return]

    def attr(self) -> Any:
        token = self.tokens[self.next]
        if self.peek("graph") and self.tokens[self.next + 1].kind in ("word", "string"):
            outer, self.values = self.values, {}  # a graph inside sees nothing of the one around it
            found = self.graph()
            self.values = outer
            return found
        if self.take("["):
            return self.several("]", self.attr)
        if token.kind == "string":
            self.next += 1
            return unquoted(token.text)
        if token.text in ("true", "false", "none"):
            self.next += 1
            return {"true": True, "false": False, "none": None}[token.text]
        if token.kind == "number" and not token.text.lstrip("-").isdigit():
            self.next += 1
            return float(token.text)
        return self.size()

    def size(self) -> Any:
        """A size or a data type: tokens up to a separator outside parentheses."""
        start = self.at
        depth = 0
        while True:
            token = self.tokens[self.next]
            if token.kind == "end":
                raise self.error("unexpected end of text")
            if depth == 0 and token.text in (",", "]", ")", "|"):
                break
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            self.next += 1
        text = self.text[start : self.tokens[self.next].at].strip()
        if text in _DTYPE_NAMES:
            return as_dtype(text)
        try:
            return dims.dim(text)
        except ValueError:
            raise self.error(f"{text!r} is not a size", start) from None

    # --- programs ---

    def program(self) -> ir.Program:
        """A program, then its kernels."""
        self.expect("program")
        name = self.title("the program's name")
        self.expect("{")
        target = self.target() if self.take("target") else host()
        buffers: dict[str, ir.Buffer] = {}
        slots: tuple[Size, ...] = ()
        initial: dict[str, str] = {}
        sizes: list[SizeRule] = []
        requirements: list[Requirement] = []
        calls: list[tuple[int, str, tuple[str, ...], tuple[str, ...]]] = []
        updates: list[tuple[str, str]] = []

        def known() -> str:
            at, name = self.at, self.name("a buffer")
            if name not in buffers:
                raise self.error(f"buffer {written(name)} is not defined", at)
            return name

        while not self.take("return"):
            if self.take("arena"):
                self.expect("[")
                slots = self.several("]", self.expression)
                self.expect("bytes")
            elif self.take("size"):
                sizes.append(self.size_rule(known))
            elif self.take("require"):
                requirements.append(self.requirement())
            elif self.take("update"):
                variable = known()
                self.expect("=")
                updates.append((variable, known()))
            elif self.tokens[self.next].kind == "word":
                at, buffer = self.at, self.buffer(initial)
                if buffer.name in buffers:
                    raise self.error(f"buffer {written(buffer.name)} is defined twice", at)
                buffers[buffer.name] = buffer
            else:
                made = self.several("=", known)
                at, kernel = self.at, self.kind("word", "a kernel")
                self.expect("(")
                calls.append((at, kernel, self.several(")", known), made))
        outputs = self.several("}", known)
        kernels: dict[str, ir.Called] = {}
        while self.peek("kernel"):
            at, found = self.at, self.kernel()
            if found.name in kernels:
                raise self.error(f"kernel {found.name} is defined twice", at)
            kernels[found.name] = found
        inputs = tuple(b.name for b in buffers.values() if b.role == "input")
        signed = ir.sign(buffers, inputs, outputs, updates, sizes, requirements, initial)
        return ir.Program(name, buffers, tuple(self.call(kernels, *c) for c in calls), signed, slots, target)

    def target(self) -> Target:
        """The target of a program: a name, and its facts where the name does not say all."""
        at, name = self.at, self.title("the target's name")
        if self.take("("):
            found = dict(self.several(")", self.attribute))
            unknown = sorted(found.keys() - Target(name).facts.keys())
            if unknown:
                raise self.error(f"a target has no {unknown[0]}", at)
            return Target(name, **found)
        if name not in TARGETS:
            raise self.error(f"unknown target {name!r}: they are {', '.join(TARGETS)}", at)
        return TARGETS[name]

    def size_rule(self, known: Callable[[], str]) -> SizeRule:
        name = self.kind("word", "the size's name")
        self.expect(":")
        self.expect("axis")
        axis = int(self.kind("number", "the axis"))
        self.expect("of")
        given = known()
        self.expect("is")
        return SizeRule(name, given, axis, self.expression())

    def requirement(self) -> Requirement:
        left = self.expression()
        relation = self.kind("mark", "'==' or '>='")
        right = self.expression()
        self.expect(",")
        return Requirement(left, relation, right, unquoted(self.kind("string", "what is wrong otherwise")))

    def buffer(self, initial: dict[str, str]) -> ir.Buffer:
        """A buffer; what the first value of a variable is called joins `initial`."""
        at = self.at
        role = self.kind("word", "a buffer, a call, 'size', 'require', 'arena', 'update' or 'return'")
        if role not in ROLES:
            raise self.error(f"{role!r} is no kind of buffer: they are {', '.join(ROLES)}", at)
        name = self.name("the buffer's name")
        self.expect(":")
        kind = self.type()
        if role == "variable" and self.take("from"):
            initial[name] = unquoted(self.kind("string", "the name of its first value"))
        slot = int(self.kind("number", "the slot's number")) if self.take("slot") else None
        value = _array(self.attr(), kind).array if self.take("=") else None
        return ir.Buffer(name, kind, role, slot, value)

    def call(
        self, kernels: dict[str, ir.Called], at: int, name: str, given: tuple[str, ...], made: tuple[str, ...]
    ) -> ir.Call:  # fmt: skip
        if name not in kernels:
            raise self.error(f"there is no kernel {name}", at)
        kernel = kernels[name]
        if (len(given), len(made)) != (len(kernel.inputs), len(kernel.outputs)):
            raise self.error(f"{name} reads {len(kernel.inputs)} buffers and writes {len(kernel.outputs)}", at)
        read = dict(zip((p.name for p in kernel.inputs), given, strict=True))
        wrote = dict(zip((p.name for p in kernel.outputs), made, strict=True))
        for p in kernel.params:
            if p.mode == "inout" and read[p.name] != wrote[p.name]:
                raise self.error(f"{name} reads and writes {written(p.name)}: it cannot be two buffers", at)
        return ir.Call(kernel, tuple(wrote[p.name] if p.mode == "out" else read[p.name] for p in kernel.params))

    def kernel(self) -> ir.Called:
        self.expect("kernel")
        name = self.kind("word", "the kernel's name")
        self.dtypes = {}
        self.expect("(")
        given = self.several(")", self.parameter)
        self.expect("->")
        made: list[ir.Param] = []
        while not self.take("{"):
            made.append(self.parameter())
            if not self.peek("{"):
                self.expect(",")
        both = {p.name for p in given} & {p.name for p in made}
        params = [ir.Param(p.name, p.type, "inout" if p.name in both else "in") for p in given]
        params += [ir.Param(p.name, p.type, "out") for p in made if p.name not in both]
        if self.take("python"):
            return self.host_call(name, tuple(params))
        if self.take("steps"):
            return self.steps(name, tuple(params))
        if self.peek("start") or self.peek("wait"):
            return self.collective(name, tuple(params))
        axes = self.several("{", self.axis) if self.take("parallel") else None
        scratch: list[ir.Scratch] = []
        while self.take("scratch"):
            p = self.parameter()
            scratch.append(ir.Scratch(p.name, p.type.dtype, p.type.shape))
        body = self.body()
        if axes is not None:
            self.expect("}")
        return ir.Kernel(name, tuple(params), axes or (), body, tuple(scratch))

    def parameter(self) -> ir.Param:
        name = self.name("a parameter")
        self.expect(":")
        kind = self.type()
        self.dtypes[name] = kind.dtype
        return ir.Param(name, kind, "in")

    def host_call(self, name: str, params: tuple[ir.Param, ...]) -> ir.HostCall:
        at, op = self.at, self.kind("word", "an operation")
        if op not in VOCABULARY:
            raise self.error(f"unknown operation {op!r}", at)
        self.expect("(")
        attrs = dict(self.several(")", self.attribute))
        programs = []
        if self.take("{"):
            while not self.take("}"):
                programs.append(self.program())
        self.expect("}")
        operation = VOCABULARY[op]
        made = operation.infer(*(p.type for p in params if p.mode != "out"), **attrs)
        several = isinstance(made, TupleType)
        return ir.HostCall(name, params, operation, tuple(attrs.items()), several, tuple(programs))

    def collective(self, name: str, params: tuple[ir.Param, ...]) -> ir.Collective:
        waits = self.take("wait")
        if not waits:
            self.expect("start")
        at, op = self.at, self.kind("word", "an operation")
        if op not in VOCABULARY or not isinstance(VOCABULARY[op].lowering, Collective):
            raise self.error(f"{op} is nothing that ranks compute together", at)
        self.expect("(")
        attrs = tuple(self.several(")", self.attribute))
        self.expect("}")
        return ir.Collective(name, params, VOCABULARY[op], attrs, waits)

    def steps(self, name: str, params: tuple[ir.Param, ...]) -> ir.Steps:
        count = self.expression()
        self.expect("(")
        found = dict(self.several(")", self.attribute))
        self.expect("{")
        program = self.program()
        self.expect("}")
        self.expect("}")
        return ir.Steps(name, params, program, count, found["carries"], found["sequences"], found.get("reverse", False))

    def attribute(self) -> tuple[str, Any]:
        key = self.kind("word", "an attribute")
        self.expect("=")
        return key, self.attr()

    # --- statements ---

    def body(self) -> tuple[ir.Statement, ...]:
        """Statements up to a }, which is taken."""
        found = []
        while not self.take("}"):
            found.append(self.statement())
        return tuple(found)

    def block(self) -> ir.Block:
        """Statements, then a value, up to a }, which is taken."""
        found = []
        while not self.is_number() and self.tokens[self.next + 1].text != "}":
            found.append(self.statement())
        value = self.arg(None)
        self.expect("}")
        return ir.Block(tuple(found), value)

    def statement(self) -> ir.Statement:
        token = self.tokens[self.next]
        if token.kind == "value":
            return self.definition()
        if self.take("store"):
            buffer, index = self.place()
            self.expect(",")
            return ir.Store(buffer, index, self.arg(self.dtypes[buffer]))
        if self.take("for"):
            axis = self.axis()
            self.expect("{")
            return ir.Loop(axis.var, axis.stop, self.body(), axis.start)
        if self.take("while"):
            self.expect("{")
            test = self.block()
            self.expect("do")
            self.expect("{")
            return ir.While(test, self.body())
        if self.take("case"):
            choice = self.arg(t.int64)
            self.expect("==")
            bodies = []
            while True:
                self.kind("number", "the case's number")
                self.expect("{")
                bodies.append(self.body())
                if not self.take("case"):
                    return ir.Branch(choice, tuple(bodies))
        if self.take("contract"):
            return self.contract()
        combine = self.combine("a statement")
        self.expect("into")
        buffer, index = self.place()
        self.expect(",")
        return ir.Accumulate(buffer, index, combine, self.arg(self.dtypes[buffer]))

    def combine(self, what: str) -> Combine:
        at, text = self.at, self.title(what)
        try:
            return combine_of(text)
        except ValueError as error:
            raise self.error(str(error), at) from None

    def contract(self) -> ir.Contract:
        m = self.axis()
        self.expect(",")
        n = self.axis()
        self.expect(",")
        k = self.axis()
        run = self.expression() if self.take("by") else None
        origin = self.expression() if run is not None and self.take("from") else None
        self.expect("{")
        sides = []
        for side in ("left", "right"):
            self.expect(side)
            self.expect("{")
            sides.append(self.block())
        self.expect("epilogue")
        result = self.name("the result")
        self.expect(":")
        self.dtypes[result] = self.dtype()
        self.expect("{")
        epilogue = self.body()
        self.expect("}")
        return ir.Contract(m, n, k, sides[0], sides[1], result, self.dtypes[result], epilogue, run, origin)

    def definition(self) -> ir.Statement:
        name = self.name("a value")
        self.expect("=")
        if self.take("load"):
            buffer, index = self.place()
            self.dtypes[name] = self.dtypes[buffer]
            return ir.Load(name, self.dtypes[buffer], buffer, index, self.arg(t.bool_) if self.take("if") else None)
        if self.take("init"):
            combine = self.combine("how values are combined")
            self.expect(":")
            dtype = self.dtype()
            self.dtypes[name] = t.int64 if combine.positions else dtype
            self.dtypes[f"{name} combined"] = dtype
            return ir.Init(name, dtype, combine)
        if self.take("reduce"):
            combine = self.combine("how values are combined")
            self.expect("(")
            at = self.at
            if self.name("the accumulator") != name:
                raise self.error(f"{written(name)} is what is combined with", at)
            if f"{name} combined" not in self.dtypes:
                raise self.error(f"{written(name)} is not started with init", at)
            self.expect(",")
            value = self.arg(self.dtypes[f"{name} combined"])
            self.expect(")")
            return ir.Reduce(name, self.dtypes[name], combine, value, self.expression() if self.take("at") else None)
        if self.take("join"):
            combine = self.combine("how values are combined")
            self.expect("(")
            at, buffer = self.at, self.name("scratch")
            if buffer not in self.dtypes:
                raise self.error(f"buffer {written(buffer)} is not defined", at)
            self.expect(")")
            self.dtypes[name] = self.dtypes[buffer]
            return ir.Join(name, self.dtypes[name], combine, buffer)
        return self.let(name)

    def let(self, name: str) -> Let:
        at, op = self.at, self.kind("word", "an operation on scalars")
        self.expect("(")
        if op == "index":
            size = self.expression()
            self.expect(")")
            self.dtypes[name] = t.int64
            return Let(name, t.int64, op, (), size)
        found = self.several(")", self.operand)
        stated = self.dtype() if self.take(":") else None
        operands, result = implied(op, [dtype for _, dtype in found])
        if result is None:
            result = stated
            known = [dtype or (stated if o is None else None) for (_, dtype), o in zip(found, operands, strict=True)]
            operands, _ = implied(op, known)
        result = stated or result
        if result is None:
            raise self.error(f"the type of {op} does not follow from its operands: state it", at)
        args: list[Arg] = []
        for (make, dtype), follows in zip(found, operands, strict=True):
            if dtype is None and follows is None:
                raise self.error(f"the types of {op}'s operands do not follow: state one", at)
            args.append(make(dtype or follows))
        self.dtypes[name] = result
        return Let(name, result, op, tuple(args))

    def operand(self) -> tuple[Callable[[Any], Arg], DType | None]:
        """An operand as a function of its type, and its type where it is known."""
        if self.tokens[self.next].kind == "value":
            ref = self.ref()
            return lambda dtype: ref, ref.dtype
        at, number = self.at, self.number()
        dtype = self.dtype() if self.take(":") else None
        return lambda dtype: self.const(number, dtype, at), dtype

    def arg(self, dtype: DType | None) -> Arg:
        """An operand whose type is the one given, if it does not say one."""
        at = self.at
        make, known = self.operand()
        if known is None and dtype is None:
            raise self.error("state the type: 1.0: f32", at)
        return make(known or dtype)

    def ref(self) -> Ref:
        at, name = self.at, self.name("a value")
        if name not in self.dtypes:
            raise self.error(f"{written(name)} is not defined", at)
        return Ref(name, self.dtypes[name])

    def is_number(self) -> bool:
        return self.tokens[self.next].kind == "number" or self.tokens[self.next].text in ("True", "False", "inf", "nan")

    def number(self) -> str:
        if not self.is_number():
            raise self.error(f"expected a value or a number, found {self.tokens[self.next].text!r}")
        self.next += 1
        return self.tokens[self.next - 1].text

    def const(self, text: str, dtype: DType, at: int) -> Const:
        try:
            read = {"True": True, "False": False}.__getitem__ if dtype.is_bool else float if dtype.is_float else int
            value = read(text)
        except (ValueError, KeyError):
            raise self.error(f"{text} is no number of {dtype.name}", at) from None
        return Const(value, dtype)

    def dtype(self) -> DType:
        at, word = self.at, self.kind("word", "a data type")
        try:
            return as_dtype(word)
        except GraphError:
            raise self.error(f"{word!r} is not a data type", at) from None

    def place(self) -> tuple[str, tuple[Size, ...]]:
        """A buffer and an index into it."""
        at, name = self.at, self.name("a buffer")
        if name not in self.dtypes:
            raise self.error(f"buffer {written(name)} is not defined", at)
        self.expect("[")
        return name, self.several("]", self.expression)

    def axis(self) -> ir.Axis:
        var = self.kind("word", "a loop variable")
        if self.take("<"):
            return ir.Axis(var, self.expression())
        self.expect("in")
        start = self.expression()
        self.expect("..")
        return ir.Axis(var, self.expression(), start)

    def expression(self) -> Size:
        """An index expression, as it is written: what can be said more simply stays."""
        total = self.term()
        while True:
            if self.take("-"):
                total = dims.sub(total, self.term())
            elif self.take("+") or (self.tokens[self.next].kind == "number" and self.tokens[self.next].text.startswith("-")):
                total = dims.add(total, self.term())
            else:
                return total

    def term(self) -> Size:
        found = self.factor()
        while True:
            if self.take("*"):
                found = dims.mul(found, self.factor())
            elif self.take("//"):
                found = dims.as_written(dims.FloorDiv(found, self.factor()))
            else:
                return found

    def factor(self) -> Size:
        token = self.tokens[self.next]
        if self.take("-"):
            return dims.mul(self.factor(), -1)
        if self.take("("):
            found = self.expression()
            self.expect(")")
            return found
        self.next += 1
        if token.kind == "value":
            self.next -= 1
            return dims.symbol("%" + self.ref().name)
        if token.kind == "number" and token.text.lstrip("-").isdigit():
            return int(token.text)
        if token.text == "max" and self.take("("):
            found = self.expression()
            self.expect(",")
            self.expect("0")
            self.expect(")")
            return dims.as_written(dims.Max0(found))
        if token.kind == "word":
            return dims.symbol(token.text)
        raise self.error(f"expected an index, found {token.text!r}", token.at)


ROLES = ("input", "variable", "next", "constant", "output", "temporary")
_DTYPE_NAMES = frozenset(t.name for t in DTYPES)


def _array(value: Any, found: TensorType) -> ArrayValue:
    shape = tuple(dims.evaluate(n, {}) for n in found.shape)
    if isinstance(value, str):
        data = np.frombuffer(zlib.decompress(base64.b64decode(value)), found.dtype.numpy)
        return ArrayValue(data.reshape(shape))
    return ArrayValue(np.array(value, found.dtype.numpy).reshape(shape))


READERS: dict[str, Callable[[str], Any]] = {"graph": parse_graph, "program": parse_program, "kernel": parse_kernel}
