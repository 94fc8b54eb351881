"""Rewriting: rules as text, matched against nodes, applied until none fits.

    negate_twice: negative(negative(x)) => x
    drop_zero: add{x: int, 0} => x
    permute_twice: permute_dims(permute_dims(x, axes=p), axes=q) => permute_dims(x, axes=compose(p, q))
    shift: floor_divide(x: int, c: constant) => bitwise_right_shift(x, exponent(c)) if power_of_two(c)

    rules     := rule*                         a line each; an indented line goes on with the one before; "#" starts a comment
    rule      := name ":" pattern "=>" template ["if" condition ("and" condition)*]
    pattern   := operation "(" pattern, ... ["..." ","] attribute, ... ")"       "..." stands for any further operands
               | operation "{" pattern "," pattern "}"       the operands in either order
               | variable [":" kind ("|" kind)*]             a variable that comes again is the same node
               | literal                                     a `full` of that value
    attribute := name "=" (variable | literal)               every attribute of an operation stands in its pattern
    template  := operation "(" ... ")" | helper "(" ... ")" | variable ["." field] | literal
    condition := ["not"] template | template ("==" | "!=") template
    literal   := number | "nan" | "inf" | "-inf" | "true" | "false" | data type | "[" literal, ... "]"
    kind      := float | int | signed | unsigned | bool | full | constant
    field     := shape | dtype | size | value

A number matches an equal number of any numeric type; 0 and 0.0 match zero with a plus sign, -0.0 the one with a minus sign,
nan any NaN. `true` and `false` match booleans. A literal that is the whole template is a `full` of the replaced node's type.
The kind `full` is a fill, `constant` a fill whose number is known (not a size). `result` is the node that is replaced.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

from graphc.errors import GraphError, ParseError
from graphc.ir.graph import Graph, Node, origin
from graphc.ir.operation import VOCABULARY, Operation, Pointwise
from graphc.ir.types import DTYPES, TensorType

_PYTHON = {"b": bool, "i": int, "u": int, "f": float}  # the type of a fill's number; fold_constants sees to it
LIMIT = 1000  # rewrites that start from one node of a graph; more means that the rules run in a circle


def _is_fill(node: Node) -> bool:
    return node.op.name == "full"


def _is_constant(node: Node) -> bool:
    return _is_fill(node) and type(node.attrs["value"]) is _PYTHON[node.type.dtype.kind]


KINDS: Mapping[str, Callable[[Node], bool]] = {
    "float": lambda node: node.type.dtype.is_float,
    "int": lambda node: node.type.dtype.is_integer,
    "signed": lambda node: node.type.dtype.kind == "i",
    "unsigned": lambda node: node.type.dtype.kind == "u",
    "bool": lambda node: node.type.dtype.is_bool,
    "full": _is_fill,
    "constant": _is_constant,
}
FIELDS: Mapping[str, Callable[[Node], Any]] = {
    "shape": lambda node: node.type.shape,
    "dtype": lambda node: node.type.dtype,
    "size": lambda node: node.type.size,
    "value": lambda node: node.attrs["value"],
}


@dataclass(frozen=True)
class Variable:
    """Any node of one of some kinds (any kind if there are none), or the value of an attribute."""

    name: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Literal:
    """A number, a boolean, a data type, or a list of them."""

    value: Any


@dataclass(frozen=True)
class Apply:
    """An operation or, in templates, a helper."""

    function: Operation | Callable[..., Any]
    operands: tuple[Term, ...]
    attrs: tuple[tuple[str, Term], ...] = ()
    more: bool = False  # whether further operands may follow


@dataclass(frozen=True)
class Either:
    """An operation on two operands in either order; gone once a rule is parsed."""

    function: Operation
    operands: tuple[Term, Term]


@dataclass(frozen=True)
class Field:
    """A fact about a node."""

    of: Term
    name: str


Term: TypeAlias = "Variable | Literal | Apply | Either | Field"


@dataclass(frozen=True)
class Condition:
    """left == right, or the truth of `left` where there is no right."""

    left: Term
    right: Term | None
    holds: bool


@dataclass(frozen=True)
class Rule:
    """A pattern, in all orders it stands for, what replaces it, and when."""

    name: str
    text: str
    patterns: tuple[Apply, ...]
    template: Term
    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        return self.text

    def apply(self, node: Node, patterns: Sequence[Apply] | None = None) -> Node | None:
        """What the rule makes of a node, or None where it does not fit; `patterns` are those of its own that may."""
        for pattern in self.patterns if patterns is None else patterns:
            found: dict[str, Any] = {"result": node}
            if _match(pattern, node, found) and all(_holds(c, found) for c in self.conditions):
                return self._build(node, found)
        return None

    def _build(self, node: Node, found: Mapping[str, Any]) -> Node:
        with origin(node.where, node.gradient):
            new = _value(self.template, found)
            if not isinstance(new, Node):
                new = _fill(node.type, new)
        if new.type != node.type:
            raise GraphError(
                f"rule {self.name} gives {new.type} in place of {node.op.name}: {node.type}", where=node.where,
                hint=f"a rule must keep the type: {self.text}",
            )  # fmt: skip
        return new


def _fill(found: TensorType, value: Any) -> Node:
    exact = found.dtype.numpy.type(value).item()
    made: Node = VOCABULARY["full"](shape=found.shape, value=exact, dtype=found.dtype)
    return made


def _match(pattern: Term, node: Node, found: dict[str, Any]) -> bool:
    if isinstance(pattern, Apply) and node.op is not pattern.function:  # most of what is tried
        return False
    match pattern:
        case Variable(name, kinds):
            if kinds and not any(KINDS[k](node) for k in kinds):
                return False
            return found.setdefault(name, node) is node
        case Literal(value):
            return _is_constant(node) and same_number(node.attrs["value"], value)
        case Apply(_, operands, attrs, more):
            given = node.inputs[: len(operands)] if more else node.inputs
            if len(given) != len(operands) or len(node.attrs) != len(attrs):
                return False
            for key, wanted in attrs:
                if key not in node.attrs:
                    return False
                value = node.attrs[key]
                if isinstance(wanted, Variable):
                    if not same_attribute(found.setdefault(wanted.name, value), value):
                        return False
                elif not same_attribute(wanted.value, value):  # type: ignore[union-attr]
                    return False
            return all(_match(p, i, found) for p, i in zip(operands, given, strict=True))
    raise AssertionError(f"{pattern} is not a pattern")


def same_number(a: Any, b: Any) -> bool:
    """Whether two values are one number: zeros of different sign differ, NaN equals itself, booleans are no numbers.

    >>> same_number(0, 0.0), same_number(0.0, -0.0), same_number(1, True)
    (True, False, False)
    """
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return False
    if a != a or b != b:
        return a != a and b != b
    return a == b and (a != 0 or math.copysign(1, a) == math.copysign(1, b))


def same_attribute(a: Any, b: Any) -> bool:
    """Whether two attributes are equal; numbers as `same_number` says."""
    if isinstance(a, (bool, int, float)):
        return same_number(a, b)
    return bool(a == b)


def _holds(condition: Condition, found: Mapping[str, Any]) -> bool:
    left = _value(condition.left, found)
    truth = bool(left) if condition.right is None else same_attribute(left, _value(condition.right, found))
    return truth == condition.holds


def _value(term: Term, found: Mapping[str, Any]) -> Any:
    match term:
        case Variable(name):
            return found[name]
        case Literal(value):
            return value
        case Field(of, name):
            return FIELDS[name](_value(of, found))
        case Apply(function, operands, attrs):
            return function(*(_value(o, found) for o in operands), **{key: _value(a, found) for key, a in attrs})
    raise AssertionError(f"{term} is not a template")


# --- applying -------------------------------------------------------------------------------------------------------


def rewrite(graph: Graph, rules: Iterable[Rule], fired: Counter[str] | None = None) -> Graph:
    """The graph with rules applied until none fits; the names of those that fired are counted in `fired`.

    A node is looked at once its inputs are final, so each is matched once, and once more for every rewrite. Where several
    rules fit, the first one listed is taken. Raises GraphError for a rule that changes a type, and where rules run in a circle.
    """
    fitting = _Fitting(rules)
    final: dict[Node, Node] = {}
    becomes: dict[Node, Node] = {}
    steps: dict[Node, int] = {}  # how many rewrites led to a node that a rule made
    todo = list(reversed(graph.nodes))
    while todo:
        node = todo[-1]
        if node in becomes:
            if becomes[node] not in final:  # what it became needs the node itself
                raise _circle(node)
            final[node] = final[becomes[node]]
        if node in final:
            todo.pop()
            continue
        waiting = [i for i in node.inputs if i not in final]
        if waiting:
            for i in waiting:
                steps.setdefault(i, steps.get(node, 0))
            todo += waiting
            continue
        new = node if node.is_leaf else node.with_inputs(tuple(final[i] for i in node.inputs))
        found = _first(fitting.of(new), new, fired)
        if found is None:
            final[new] = final[node] = new
            continue
        name, made = found
        if made not in final:
            steps[made] = steps.get(node, 0) + 1
            if steps[made] > LIMIT:
                raise _circle(node, name)
        becomes[node] = becomes[new] = made
        todo.append(made)
    return graph if all(final[n] is n for n in graph.nodes) else graph.replaced(final)


def _circle(node: Node, name: str = "") -> GraphError:
    last = f"; the last was {name}" if name else ""
    return GraphError(f"rules run in a circle at {node.op.name}: {node.type}{last}", where=node.where)


def _first(fitting: Iterable[tuple[Rule, list[Apply]]], node: Node, fired: Counter[str] | None) -> tuple[str, Node] | None:
    for rule, patterns in fitting:
        made = rule.apply(node, patterns)
        if made is not None:
            if fired is not None:
                fired[rule.name] += 1
            return rule.name, made
    return None


class _Fitting:
    """Which patterns may fit a node, as far as its operation and those of its inputs tell: asked once of all that are alike."""

    WIDTH = 3  # inputs that are looked at

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.by_op: dict[Any, list[tuple[Rule, list[Apply]]]] = {}
        self.known: dict[tuple[int, ...], list[tuple[Rule, list[Apply]]]] = {}
        for rule in rules:
            for op in dict.fromkeys(p.function for p in rule.patterns):
                self.by_op.setdefault(op, []).append((rule, [p for p in rule.patterns if p.function is op]))

    def of(self, node: Node) -> list[tuple[Rule, list[Apply]]]:
        """The rules, and their patterns, in their order."""
        inputs = node.inputs[: self.WIDTH]
        key = (id(node.op), *(id(i.op) for i in inputs))
        found = self.known.get(key)
        if found is None:
            some = ((rule, [p for p in patterns if _may_fit(p, inputs)]) for rule, patterns in self.by_op.get(node.op, ()))
            found = self.known[key] = [(rule, patterns) for rule, patterns in some if patterns]
        return found


def _may_fit(pattern: Apply, inputs: Sequence[Node]) -> bool:
    """Whether the operations of inputs are those that a pattern wants."""
    for wanted, node in zip(pattern.operands, inputs, strict=False):
        match wanted:
            case Apply(function) if node.op is not function:
                return False
            case Literal() if not _is_fill(node):
                return False
            case Variable(_, kinds) if kinds and set(kinds) <= {"full", "constant"} and not _is_fill(node):
                return False
    return True


# --- parsing --------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"(?P<space>[ \t]+|\#[^\n]*)|(?P<line>\n)|(?P<number>-?(?:inf\b|nan\b|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>=>|==|!=|\.\.\.|[(){}\[\]:=,.|])"
)
_WORDS: Mapping[str, Any] = {"true": True, "false": False, **{t.name: t for t in DTYPES}}


def parse_rules(text: str, **helpers: Callable[..., Any]) -> tuple[Rule, ...]:
    """The rules that a text denotes, in its order. Helpers are functions that templates and conditions call by name.

    Raises ParseError with line and column.

    >>> import graphc
    >>> [rule] = parse_rules("negate_twice: negative(negative(x)) => x")
    >>> rule.name
    'negate_twice'
    """
    return _Parser(text, helpers).rules()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass
class _Parser:
    text: str
    helpers: Mapping[str, Callable[..., Any]]
    tokens: list[_Token] = field(default_factory=list)
    next: int = 0
    bound: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        at = 0
        while at < len(self.text):
            found = _TOKEN.match(self.text, at)
            if found is None:
                raise self.error(f"unexpected character {self.text[at]!r}", at)
            kind, end = found.lastgroup or "", found.end()
            goes_on = kind == "line" and self.text[end : end + 1] in (" ", "\t")
            if kind != "space" and not goes_on:
                self.tokens.append(_Token(kind, found.group() if kind != "line" else "end of line", at))
            at = end
        self.tokens.append(_Token("line", "end of text", len(self.text)))
        for name in self.helpers:
            if name in VOCABULARY:
                raise ParseError(f"helper {name} has the name of an operation")

    def error(self, message: str, at: int | None = None) -> ParseError:
        if at is None:
            at = self.tokens[self.next].at
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        return ParseError(f"line {line}, column {column}: {message}")

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def take(self, text: str) -> bool:
        if self.token.kind in ("mark", "word") and self.token.text == text:
            self.next += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.error(f"expected {text!r}, found {self.token.text!r}")

    def word(self, what: str) -> str:
        if self.token.kind != "word":
            raise self.error(f"expected {what}, found {self.token.text!r}")
        self.next += 1
        return self.tokens[self.next - 1].text

    def rules(self) -> tuple[Rule, ...]:
        found: dict[str, Rule] = {}
        while self.next < len(self.tokens):
            if self.token.kind == "line":
                self.next += 1
                continue
            at = self.token.at
            rule = self.rule()
            if rule.name in found:
                raise self.error(f"a second rule {rule.name}", at)
            found[rule.name] = rule
        return tuple(found.values())

    def rule(self) -> Rule:
        start = self.token.at
        self.bound = {"result"}
        name = self.word("the name of a rule")
        self.expect(":")
        at = self.token.at
        pattern = self.pattern()
        if not isinstance(pattern, (Apply, Either)):
            raise self.error("a pattern is an operation", at)
        self.expect("=>")
        template = self.template()
        conditions = []
        if self.take("if"):
            conditions.append(self.condition())
            while self.take("and"):
                conditions.append(self.condition())
        if self.token.kind != "line":
            raise self.error(f"unexpected {self.token.text!r} after the rule")
        text = " ".join(self.text[start : self.token.at].split("#")[0].split())
        return Rule(name, text, tuple(p for p in _orders(pattern) if isinstance(p, Apply)), template, tuple(conditions))

    def pattern(self) -> Term:
        if self.token.kind == "number" or self.token.text in _WORDS:
            return self.literal()
        at = self.token.at
        name = self.word("an operation, a variable or a literal")
        if self.token.text in ("(", "{"):
            if name not in VOCABULARY:
                raise self.error(f"unknown operation {name!r}", at)
            return self.either(VOCABULARY[name]) if self.token.text == "{" else self.operation(VOCABULARY[name], at)
        kinds = []
        if self.take(":"):
            kinds.append(self.kind())
            while self.take("|"):
                kinds.append(self.kind())
        self.bound.add(name)
        return Variable(name, tuple(kinds))

    def kind(self) -> str:
        at = self.token.at
        name = self.word("a kind")
        if name not in KINDS:
            raise self.error(f"unknown kind {name!r}: it is one of {', '.join(KINDS)}", at)
        return name

    def either(self, op: Operation) -> Term:
        self.expect("{")
        first = self.pattern()
        self.expect(",")
        second = self.pattern()
        self.expect("}")
        return Either(op, (first, second))

    def operation(self, op: Operation, at: int) -> Term:
        operands: list[Term] = []
        attrs: dict[str, Term] = {}
        more = False
        self.expect("(")
        while not self.take(")"):
            if self.attribute_next():
                key, value = self.attribute()
                attrs[key] = value
            elif self.take("..."):
                more = True
            else:
                operands.append(self.pattern())
            if self.token.text != ")":
                self.expect(",")
        if op.arity is not None and op.arity != len(operands):
            raise self.error(f"{op.name} takes {op.arity} operands, got {len(operands)}", at)
        known = set(op.samples[0].attrs) if op.samples else set(attrs)
        if known != attrs.keys():
            raise self.error(f"{op.name} has the attributes {', '.join(sorted(known)) or '(none)'}: name each", at)
        return Apply(op, tuple(operands), tuple(attrs.items()), more)

    def attribute_next(self) -> bool:
        return self.token.kind == "word" and self.tokens[self.next + 1].text == "="

    def attribute(self) -> tuple[str, Term]:
        key = self.word("an attribute")
        self.expect("=")
        if self.token.kind == "word" and self.token.text not in _WORDS:
            name = self.word("a variable")
            self.bound.add(name)
            return key, Variable(name)
        return key, self.literal()

    def literal(self) -> Literal:
        token = self.token
        if self.take("["):
            items = []
            while not self.take("]"):
                items.append(self.literal().value)
                if self.token.text != "]":
                    self.expect(",")
            return Literal(tuple(items))
        if token.kind == "number":
            self.next += 1
            return Literal(int(token.text) if token.text.lstrip("-").isdigit() and token.text != "-0" else float(token.text))
        if token.text in _WORDS:
            self.next += 1
            return Literal(_WORDS[token.text])
        raise self.error(f"expected a literal, found {token.text!r}")

    def condition(self) -> Condition:
        holds = not self.take("not")
        left = self.template()
        if self.take("=="):
            return Condition(left, self.template(), holds)
        if self.take("!="):
            return Condition(left, self.template(), not holds)
        return Condition(left, None, holds)

    def template(self) -> Term:
        if self.token.kind == "number" or self.token.text in _WORDS or self.token.text == "[":
            return self.literal()
        at = self.token.at
        name = self.word("an operation, a helper, a variable or a literal")
        if self.token.text == "(":
            term = self.call(name, at)
        elif name in self.bound:
            term = Variable(name)
        else:
            raise self.error(f"{name} does not stand in the pattern", at)
        while self.take("."):
            at = self.token.at
            part = self.word("a field")
            if part not in FIELDS:
                raise self.error(f"unknown field {part!r}: it is one of {', '.join(FIELDS)}", at)
            term = Field(term, part)
        return term

    def call(self, name: str, at: int) -> Term:
        function = VOCABULARY.get(name) or self.helpers.get(name)
        if function is None:
            raise self.error(f"{name!r} is neither an operation nor a helper", at)
        numbers = not isinstance(function, Operation) or (
            isinstance(function.lowering, Pointwise) and function.lowering.elementwise and function.arity != 1
        )
        operands: list[Term] = []
        attrs: dict[str, Term] = {}
        self.expect("(")
        while not self.take(")"):
            if self.attribute_next():
                key = self.word("an attribute")
                self.expect("=")
                attrs[key] = self.template()
            else:
                inner = self.token.at
                operands.append(self.template())
                if isinstance(operands[-1], Literal) and not numbers:
                    raise self.error(f"{name} takes no number as an operand", inner)
            if self.token.text != ")":
                self.expect(",")
        return Apply(function, tuple(operands), tuple(attrs.items()))


def _orders(pattern: Term) -> list[Term]:
    """The patterns without `Either` that a pattern stands for."""
    match pattern:
        case Either(function, operands):
            pairs = list(product(*map(_orders, operands)))
            orders = [Apply(function, pair) for a, b in pairs for pair in ((a, b), (b, a))]
            return list(dict.fromkeys(orders))
        case Apply(function, operands, attrs, more):
            return [Apply(function, chosen, attrs, more) for chosen in product(*map(_orders, operands))]
    return [pattern]


__all__ = ["Rule", "parse_rules", "rewrite", "same_attribute", "same_number"]
