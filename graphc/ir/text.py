"""Text: print graphs, kernels and programs; parse graphs back.

    graph  := "graph" name "(" inputs ")" "{" line* "return" values "}"
    line   := "variable" %name ":" type | %name "=" operation "(" operands, attributes ")" ":" type | "update" %v "=" %x
    type   := dtype "[" sizes "]"

A name that is more than letters, digits, _ and dots stands in quotes: %"encoder/0/w:0".
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from graphc.errors import GraphError, ParseError
from graphc.ir import dims
from graphc.ir.graph import Graph, Node
from graphc.ir.names import PLAIN, QUOTED, collected, quoted, unquoted, unused, written
from graphc.ir.neutral import declared_code, neutral
from graphc.ir.operation import VOCABULARY
from graphc.ir.program import (
    Axis,
    Branch,
    Contract,
    Gather,
    Init,
    Kernel,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Store,
    While,
)  # fmt: skip
from graphc.ir.scalar import Let
from graphc.ir.types import DTYPES, ArrayValue, DType, TensorType, TupleType, as_dtype

_INLINE = 32  # constants of more elements are printed packed


def names_of(graph: Graph) -> dict[Node, str]:
    """The name each node has in the text: inputs and variables their own, the rest numbers.

    Variables are called as `collected` says; one that an input is called like gets another number here.
    """
    result: dict[Node, str] = {}
    taken: set[str] = set()
    called = {variable: name for name, variable in collected(graph.variables).items()}
    for node in dict.fromkeys((*graph.inputs, *graph.variables)):
        result[node] = unused(called.get(node) or str(node.attrs["name"]), taken)
        taken.add(result[node])
    begun = {name.partition(".")[0] for name in taken}  # a lowered program makes names like 7.part
    numbers = (str(i) for i in count() if str(i) not in begun)
    for node in graph.nodes:
        if node not in result:
            result[node] = next(numbers)
    return result


def print_graph(graph: Graph) -> str:
    """The text of a graph; `parse` reads it back."""
    name = {node: written(text) for node, text in names_of(graph).items()}
    inputs = ", ".join(f"{name[n]}: {n.type}" for n in graph.inputs)
    title = graph.name if graph.name.isidentifier() else quoted(graph.name)
    lines = [f"graph {title}({inputs}) {{"]
    lines += [f"  variable {name[v]}: {v.type}" for v in graph.variables]
    leaves = {*graph.inputs, *graph.variables}
    for node in graph.nodes:
        if node not in leaves:
            lines.append(f"  {name[node]} = {_right_side(node, name)}")
    lines += [f"  update {name[v]} = {name[n]}" for v, n in graph.updates]
    lines.append(f"  return {', '.join(name[n] for n in graph.outputs)}".rstrip())
    return "\n".join([*lines, "}"])


def print_node(node: Node, names: Mapping[Node, str]) -> str:
    """The line of one node in the text of a graph with these names."""
    name = {n: written(names[n]) if n in names else "%?" for n in (node, *node.inputs)}
    return f"{name[node]} = {_right_side(node, name)}"


def _right_side(node: Node, name: Mapping[Node, str]) -> str:
    parts = [name[i] for i in node.inputs]
    parts += [f"{key}={print_attr(value)}" for key, value in sorted(node.attrs.items())]
    return f"{node.op.name}({', '.join(parts)}) : {node.type}"


def print_attr(value: Any) -> str:
    if isinstance(value, Graph):
        return print_graph(value).replace("\n", "\n    ")
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(print_attr, value))}]"
    if isinstance(value, ArrayValue):
        return _array_text(value.array)
    if isinstance(value, DType):
        return value.name
    if isinstance(value, np.generic):
        return print_attr(value.item())
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return repr(value)


def _array_text(array: np.ndarray[Any, Any]) -> str:
    if array.size <= _INLINE:
        return print_attr(array.tolist())
    return f'"{base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()}"'


# --- programs -------------------------------------------------------------------------------------------------------


def print_program(program: Program) -> str:
    """The buffers, the calls in order, then each distinct kernel once."""
    lines = [f"program {program.name} {{"]
    for buffer in program.buffers.values():
        place = f" slot {buffer.slot}" if buffer.slot is not None else ""
        lines.append(f"  {buffer.role} {written(buffer.name)}: {buffer.type}{place}")
    if program.slots:
        lines.append(f"  arena [{', '.join(map(str, program.slots))}] bytes")
    kernels: dict[str, Kernel] = {}
    for call in program.calls:
        kernels.setdefault(call.kernel.name, call.kernel)
        given = ", ".join(written(b) for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "out")
        made = ", ".join(written(b) for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "in")
        lines.append(f"  {made} = {call.kernel.name}({given})")
    lines += [f"  update {written(v)} = {written(b)}" for v, b in program.updates]
    lines.append(f"  return {', '.join(map(written, program.outputs))}".rstrip())
    lines.append("}")
    return "\n\n".join(["\n".join(lines), *map(print_kernel, kernels.values())])


def print_kernel(kernel: Kernel) -> str:
    """The text of a kernel."""
    given = ", ".join(f"%{p.name}: {p.type}" for p in kernel.params if p.mode != "out")
    made = ", ".join(f"%{p.name}: {p.type}" for p in kernel.params if p.mode != "in")
    lines = [f"kernel {kernel.name}({given}) -> {made} {{"]
    axes = ", ".join(map(str, kernel.parallel))
    indent = "  "
    if axes:
        lines.append(f"  parallel {axes} {{")
        indent = "    "
    if kernel.routine is not None:
        lines.append(f"{indent}python {kernel.routine}")
    if kernel.steps is not None:
        steps = kernel.steps
        order = ", the last one first" if steps.reverse else ""
        lines.append(f"{indent}{steps.count} steps{order}, carrying {steps.carries}, over {steps.sequences} {{")
        lines += [(indent + "  " + line).rstrip() for line in print_program(steps.program).split("\n")]
        lines.append(f"{indent}}}")
    lines += [f"{indent}scratch %{s.name}: {TensorType(s.dtype, s.shape)}" for s in kernel.scratch]
    lines += _body(kernel.body, indent)
    if axes:
        lines.append("  }")
    return "\n".join([*lines, "}"])


def _body(body: tuple[Statement, ...], indent: str) -> list[str]:
    lines: list[str] = []
    for statement in body:
        match statement:
            case Let():
                lines.append(indent + str(statement))
            case Load(name, _, buffer, index, guard):
                tail = "" if guard is None else f" if {guard}"
                lines.append(f"{indent}%{name} = load %{buffer}[{_index(index)}]{tail}")
            case Store(buffer, index, value):
                lines.append(f"{indent}store %{buffer}[{_index(index)}], {value}")
            case Init(name, dtype, combine):
                start = combine if declared_code(combine) is None else neutral(combine, dtype)
                lines.append(f"{indent}%{name} = init {start} : {dtype.short}")
            case Reduce(name, _, combine, value, position):
                where = "" if position is None else f" at {position}"
                code = declared_code(combine) or f"{combine}({{0}}, {{1}})"
                lines.append(f"{indent}%{name} = reduce {code.format(f'%{name}', value)}{where}")
            case Gather(buffer, index, combine, value):
                lines.append(f"{indent}{combine} into %{buffer}[{_index(index)}], {value}")
            case Loop(var, stop, inner, start):
                lines.append(f"{indent}for {Axis(var, stop, start)} {{")
                lines += [*_body(inner, indent + "  "), indent + "}"]
            case While(test, inner):
                lines += [f"{indent}while {{", *_body(test.body, indent + "    "), f"{indent}    {test.value}"]
                lines += [f"{indent}}} do {{", *_body(inner, indent + "  "), indent + "}"]
            case Branch(choice, several):
                for i, inner in enumerate(several):
                    head = f"{indent}case {choice} == {i} {{" if i == 0 else f"{indent}}} case {i} {{"
                    lines += [head, *_body(inner, indent + "  ")]
                lines.append(indent + "}")
            case Contract():
                lines.append(f"{indent}contract {statement.m}, {statement.n}, {statement.k} {{")
                for side, block in (("left", statement.left), ("right", statement.right)):
                    lines += [f"{indent}  {side} {{", *_body(block.body, indent + "    "), f"{indent}    {block.value}"]
                    lines.append(f"{indent}  }}")
                lines += [f"{indent}  epilogue %{statement.result} {{", *_body(statement.epilogue, indent + "    ")]
                lines += [f"{indent}  }}", f"{indent}}}"]
    return lines


def _index(index: tuple[dims.Size, ...]) -> str:
    return ", ".join(map(str, index))


# --- parsing --------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)|(?P<value>%(?:{PLAIN}|{QUOTED}))|(?P<string>{QUOTED})
    |(?P<number>-?(?:inf\b|nan\b|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))|(?P<word>[^\W\d]\w*)
    |(?P<mark>//|[-+*%(){{}}\[\]:=,])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Graph:
    """The graph that a text denotes.

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
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[_Token] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.error(f"unexpected character {text[at]!r}", at)
            kind = found.lastgroup or ""
            if kind != "space":
                self.tokens.append(_Token(kind, found.group(), at))
            at = found.end()
        self.tokens.append(_Token("end", "end of text", len(text)))
        self.next = 0
        self.values: dict[str, Node] = {}

    def error(self, message: str, at: int | None = None) -> ParseError:
        if at is None:
            at = self.tokens[self.next].at
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        return ParseError(f"line {line}, column {column}: {message}")

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

    def whole(self) -> Graph:
        """A graph and nothing after it."""
        found = self.graph()
        if self.tokens[self.next].kind != "end":
            raise self.error(f"unexpected {self.tokens[self.next].text!r} after the graph")
        return found

    def graph(self) -> Graph:
        self.expect("graph")
        in_quotes = self.tokens[self.next].kind == "string"
        name = self.kind("string" if in_quotes else "word", "the graph's name")
        name = unquoted(name) if in_quotes else name
        self.expect("(")
        inputs = []
        while not self.take(")"):
            inputs.append(self.leaf("input"))
            if not self.peek(")"):
                self.expect(",")
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
        outputs = []
        while not self.take("}"):
            outputs.append(self.value())
            if not self.peek("}"):
                self.expect(",")
        return Graph(inputs, outputs, updates, name)

    def leaf(self, op: str) -> Node:
        at = self.tokens[self.next].at
        name = self.name("a value")
        self.expect(":")
        found = self.type()
        if name in self.values:
            raise self.error(f"{written(name)} is defined twice", at)
        node: Node = VOCABULARY[op](name=name, dtype=found.dtype, shape=found.shape)
        self.values[name] = node
        return node

    def line(self) -> None:
        at = self.tokens[self.next].at
        name = self.name("a value, 'variable', 'update' or 'return'")
        if name in self.values:
            raise self.error(f"{written(name)} is defined twice", at)
        self.expect("=")
        op_at = self.tokens[self.next].at
        op = self.kind("word", "an operation")
        if op not in VOCABULARY:
            raise self.error(f"unknown operation {op!r}", op_at)
        self.expect("(")
        inputs: list[Node] = []
        attrs: dict[str, Any] = {}
        while not self.take(")"):
            if self.tokens[self.next].kind == "value":
                inputs.append(self.value())
            else:
                key_at = self.tokens[self.next].at
                key = self.kind("word", "an operand or an attribute")
                if key in attrs:
                    raise self.error(f"attribute {key} is given twice", key_at)
                self.expect("=")
                attrs[key] = self.attr()
            if not self.peek(")"):
                self.expect(",")
        self.expect(":")
        type_at = self.tokens[self.next].at
        stated = self.type()
        node = self.build(op, inputs, attrs, stated, op_at)
        if node.type != stated:
            raise self.error(f"{op} gives {node.type}, not {stated}", type_at)
        self.values[name] = node

    def build(self, op: str, inputs: list[Node], attrs: dict[str, Any], stated: TensorType, at: int) -> Node:
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
        at = self.tokens[self.next].at
        name = self.name("a value")
        if name not in self.values:
            raise self.error(f"{written(name)} is not defined", at)
        return self.values[name]

    def type(self) -> TensorType:
        if self.take("("):
            parts = []
            while not self.take(")"):
                parts.append(self.type())
                if not self.peek(")"):
                    self.expect(",")
            return TupleType(tuple(parts))
        at = self.tokens[self.next].at
        word = self.kind("word", "a type")
        try:
            dtype = as_dtype(word)
        except Exception:
            raise self.error(f"{word!r} is not a data type", at) from None
        shape: list[dims.Size] = []
        self.expect("[")
        while not self.take("]"):
            size_at = self.tokens[self.next].at
            size = self.size()
            if isinstance(size, DType) or (isinstance(size, int) and size < 0):
                raise self.error(f"{size} is not a size", size_at)
            shape.append(size)
            if not self.peek("]"):
                self.expect(",")
        return TensorType(dtype, tuple(shape))

    def attr(self) -> Any:
        token = self.tokens[self.next]
        if self.peek("graph") and self.tokens[self.next + 1].kind in ("word", "string"):
            outer, self.values = self.values, {}  # a graph inside sees nothing of the one around it
            found = self.graph()
            self.values = outer
            return found
        if self.take("["):
            items = []
            while not self.take("]"):
                items.append(self.attr())
                if not self.peek("]"):
                    self.expect(",")
            return tuple(items)
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
        start = self.tokens[self.next].at
        depth = 0
        while True:
            token = self.tokens[self.next]
            if token.kind == "end":
                raise self.error("unexpected end of text")
            if depth == 0 and (token.text in (",", "]", ")")):
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


_DTYPE_NAMES = frozenset(t.name for t in DTYPES)


def _array(value: Any, found: TensorType) -> ArrayValue:
    shape = tuple(dims.evaluate(n, {}) for n in found.shape)
    if isinstance(value, str):
        data = np.frombuffer(zlib.decompress(base64.b64decode(value)), found.dtype.numpy)
        return ArrayValue(data.reshape(shape))
    return ArrayValue(np.array(value, found.dtype.numpy).reshape(shape))
