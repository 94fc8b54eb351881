"""Scalar code: what happens to single elements inside a kernel.

A rule writes scalar code through a `Scalars`, which records statements; `Value` has Python's operators.

    k = Recorder()
    x = k.argument("x", float32)
    y = k.op("exp", x) * 2.0        # records  %0 = exp(%x);  %1 = mul(%0, 2.0)

Every backend implements the primitives (primitives.py), exactly: IEEE arithmetic, rounding, comparison, bits, selection. All
other names (exp, maximum, floor_divide, ...) are expanded into primitives by passes/expand_math.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Union

from graphc.ir import types as t
from graphc.ir.dims import NO_RANGES, Ranges, Size, symbol
from graphc.ir.types import DType, TensorType

COMPARISONS = frozenset(
    "eq ne lt le gt ge isnan isinf isfinite signbit logical_and logical_or logical_xor logical_not".split()
)


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A literal of a data type; equal to another only to the bit, so that kernels of 0.0 and of -0.0 stay two."""

    value: Any
    dtype: DType

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and self.dtype == other.dtype and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash((repr(self.value), self.dtype))

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Ref:
    """The result of an earlier statement."""

    name: str
    dtype: DType

    def __str__(self) -> str:
        return f"%{self.name}"


Arg = Const | Ref


@dataclass(frozen=True, slots=True)
class Let:
    """%name = op(args); an `index` statement has the index expression instead of arguments."""

    name: str
    dtype: DType
    op: str
    args: tuple[Arg, ...]
    index: Size = 0

    def __str__(self) -> str:
        if self.op == "index":
            return f"%{self.name} = index({self.index})"
        suffix = f" : {self.dtype.short}" if self.op in ("cast", "bitcast") else ""
        return f"%{self.name} = {self.op}({', '.join(map(str, self.args))}){suffix}"


Scalar = Union["Value", int, float, bool]


class Value:
    """A scalar in a kernel under construction."""

    __slots__ = ("arg", "k")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, k: Scalars, arg: Arg) -> None:
        self.k = k
        self.arg = arg

    @property
    def dtype(self) -> DType:
        return self.arg.dtype

    def __add__(self, other: Scalar) -> Value:
        return self.k.op("add", self, other)

    def __radd__(self, other: Scalar) -> Value:
        return self.k.op("add", other, self)

    def __sub__(self, other: Scalar) -> Value:
        return self.k.op("sub", self, other)

    def __rsub__(self, other: Scalar) -> Value:
        return self.k.op("sub", other, self)

    def __mul__(self, other: Scalar) -> Value:
        return self.k.op("mul", self, other)

    def __rmul__(self, other: Scalar) -> Value:
        return self.k.op("mul", other, self)

    def __truediv__(self, other: Scalar) -> Value:
        return self.k.op("div", self, other)

    def __rtruediv__(self, other: Scalar) -> Value:
        return self.k.op("div", other, self)

    def __neg__(self) -> Value:
        return self.k.op("neg", self)

    def __abs__(self) -> Value:
        return self.k.op("abs", self)

    def __and__(self, other: Scalar) -> Value:
        return self.k.op("and", self, other)

    def __or__(self, other: Scalar) -> Value:
        return self.k.op("or", self, other)

    def __xor__(self, other: Scalar) -> Value:
        return self.k.op("xor", self, other)

    def __invert__(self) -> Value:
        return self.k.op("not", self)

    def __lshift__(self, other: Scalar) -> Value:
        return self.k.op("shl", self, other)

    def __rshift__(self, other: Scalar) -> Value:
        return self.k.op("shr", self, other)

    def __eq__(self, other: object) -> Value:  # type: ignore[override]
        return self.k.op("eq", self, other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Value:  # type: ignore[override]
        return self.k.op("ne", self, other)  # type: ignore[arg-type]

    def __lt__(self, other: Scalar) -> Value:
        return self.k.op("lt", self, other)

    def __le__(self, other: Scalar) -> Value:
        return self.k.op("le", self, other)

    def __gt__(self, other: Scalar) -> Value:
        return self.k.op("gt", self, other)

    def __ge__(self, other: Scalar) -> Value:
        return self.k.op("ge", self, other)


class Scalars:
    """Builds scalar code: the `k` that rules are given.

    A subclass says what a statement does (`emit`) and, where operands exist, what `load` gives.
    """

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        raise NotImplementedError

    def load(self, operand: int, index: Sequence[Size], guard: Value | None = None) -> Value:
        """The element of an operand at `index`; where `guard` is false nothing is read and the value is 0."""
        raise NotImplementedError

    @property
    def operands(self) -> int:
        """How many operands there are."""
        raise NotImplementedError

    def type(self, operand: int) -> TensorType:
        """The type of an operand."""
        raise NotImplementedError

    @property
    def ranges(self) -> Ranges:
        """The extents of the loop variables in use."""
        return NO_RANGES

    @property
    def result(self) -> TensorType:
        """The type of the result."""
        raise NotImplementedError

    def const(self, value: Any, dtype: DType) -> Value:
        return Value(self, Const(literal(value, dtype), dtype))

    def op(self, name: str, *args: Scalar, dtype: DType | None = None) -> Value:
        """The scalar operation `name`. Python numbers take the type of the values beside them."""
        values = [a for a in args if isinstance(a, Value)]
        like = values[-1].dtype if name == "select" else values[0].dtype
        if name == "select" and not isinstance(args[2], Value):
            like = args[1].dtype  # type: ignore[union-attr]
        full = tuple(a.arg if isinstance(a, Value) else Const(literal(a, like), like) for a in args)
        if dtype is None:
            dtype = t.bool_ if name in COMPARISONS else like
        return Value(self, self.emit(name, full, dtype))

    def select(self, condition: Value, a: Scalar, b: Scalar) -> Value:
        return self.op("select", condition, a, b)

    def cast(self, value: Value, dtype: DType) -> Value:
        if isinstance(value.arg, Const) and value.dtype.is_storage and dtype == value.dtype.arithmetic:
            return self.const(value.arg.value, dtype)
        return value if value.dtype == dtype else self.op("cast", value, dtype=dtype)

    def bitcast(self, value: Value, dtype: DType) -> Value:
        return self.op("bitcast", value, dtype=dtype)

    def fma(self, a: Scalar, b: Scalar, c: Scalar) -> Value:
        """a * b + c, rounded once."""
        return self.op("fma", a, b, c)

    def index(self, size: Size) -> Value:
        """An index expression as an int64 value."""
        if isinstance(size, int):
            return self.const(size, t.int64)
        return Value(self, self.emit("index", (), t.int64, size))

    def as_index(self, value: Value) -> Size:
        """An int64 value as an index expression."""
        if isinstance(value.arg, Const):
            return int(value.arg.value)
        return symbol("%" + value.arg.name)

    def call(self, source: str, *args: Value) -> Value:
        """Scalar code written as text: "mul({0}, exp({1}))"; see `scalar_text`."""
        return scalar_text(source)(self, *args)


def implied(op: str, given: Sequence[DType | None]) -> tuple[list[DType | None], DType | None]:
    """The types of an operation's operands and of its result, as far as they follow from the operands whose type is known.

    >>> implied("lt", [None, t.float32])
    ([float32, float32], bool)
    >>> implied("select", [None, None, t.int8])
    ([bool, int8, int8], int8)
    """
    like = next((dtype for dtype in (given[1:] if op == "select" else given) if dtype is not None), None)
    operands = [like] * len(given)
    if op == "select":
        operands[0] = t.bool_
    if op in ("cast", "bitcast"):
        return operands, None
    return operands, t.int64 if op == "index" else t.bool_ if op in COMPARISONS else like


def literal(value: Any, dtype: DType) -> Any:
    """`value` as the Python number that a literal of `dtype` holds, rounded to it."""
    return dtype.numpy.type(value).item()


@lru_cache(maxsize=1024)
def scalar_text(source: str) -> Callable[..., Value]:
    """Scalar code from text: calls of scalar operations, operands {0}, {1}, ..., numbers, Python's operators.

    Numbers take the type of the values beside them.
    """
    tree = ast.parse(source.replace("{", "_").replace("}", ""), mode="eval").body
    operators = {
        ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt",
        ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
        ast.Pow: "pow", ast.Mod: "remainder", ast.FloorDiv: "floor_divide",
    }  # fmt: skip

    def step(node: ast.expr) -> Callable[[Scalars, tuple[Value, ...]], Scalar]:
        """What computes a part of the code."""
        match node:
            case ast.Name(id=name):
                place = int(name[1:])
                return lambda k, args: args[place]
            case ast.Constant(value=value):
                return lambda k, args: value  # type: ignore[return-value]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                negated = step(operand)
                return lambda k, args: -negated(k, args)
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return calling("not", operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in operators:
                return calling(operators[type(op)], left, right)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in operators:
                return calling(operators[type(op)], left, right)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return calling("select", test, body, orelse)
            case ast.Call(func=ast.Name(id=name), args=inner):
                return calling(name, *inner)
        written = re.sub(r"\b_(\d+)", r"{\1}", ast.unparse(node))
        raise ValueError(f"{written} is not scalar code")

    def calling(name: str, *operands: ast.expr) -> Callable[[Scalars, tuple[Value, ...]], Scalar]:
        steps = [step(operand) for operand in operands]
        return lambda k, args: k.op(name, *[one(k, args) for one in steps])

    made: list[Callable[[Scalars, tuple[Value, ...]], Scalar]] = []

    def build(k: Scalars, *args: Value) -> Value:
        if not made:
            made.append(step(tree))
        value = made[0](k, args)
        return value if isinstance(value, Value) else k.const(value, k.result.dtype)

    return build


class Recorder(Scalars):
    """Records statements into a list, equal ones once."""

    def __init__(self, prefix: str = "") -> None:
        self.statements: list[Let] = []
        self._seen: dict[tuple[Any, ...], Ref] = {}
        self._prefix = prefix

    def argument(self, name: str, dtype: DType) -> Value:
        """A value that exists before the code."""
        return Value(self, Ref(name, dtype))

    def fresh(self) -> str:
        """A name for the next statement."""
        return f"{self._prefix}{len(self.statements)}"

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        key = key_of_statement(op, args, dtype, index)
        found = self._seen.get(key)
        if found is None:
            name = self.fresh()
            self.statements.append(Let(name, dtype, op, args, index))
            found = self._seen[key] = Ref(name, dtype)
        return found

    def remember(self, statement: Let) -> Ref:
        """From now on use this statement's result where an equal statement would be recorded."""
        found = Ref(statement.name, statement.dtype)
        self._seen[key_of_statement(statement.op, statement.args, statement.dtype, statement.index)] = found
        return found

    def forget(self, statement: Let) -> None:
        """Record an equal statement anew."""
        del self._seen[key_of_statement(statement.op, statement.args, statement.dtype, statement.index)]


def key_of_statement(op: str, args: tuple[Arg, ...], dtype: DType, index: Size) -> tuple[Any, ...]:
    """What equal statements have in common: of literals the bits."""
    return op, dtype, index, *[(a.name, a.dtype) if isinstance(a, Ref) else (repr(a.value), a.dtype, 0) for a in args]
