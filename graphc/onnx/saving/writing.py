"""An ONNX graph under construction: names, nodes, constants, sizes, and what the nodes of a graph have become.

Whatever is computed from the same operands by the same operator is computed once. Sizes that follow from the shapes of inputs are
computed before everything else, so that bodies of loops see them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from graphc.errors import caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, FloorDiv, Max0, Shape, Size
from graphc.ir.graph import Node
from graphc.ir.types import DType, TensorType
from graphc.onnx.errors import ModelError
from graphc.onnx.saving.kernels import KERNELS

Array = np.ndarray[Any, Any]
OLDEST = 21  # the operator set of a model that needs no newer one
NUMBERS: dict[DType, int] = {
    t.bool_: TensorProto.BOOL, t.int8: TensorProto.INT8, t.int16: TensorProto.INT16, t.int32: TensorProto.INT32,
    t.int64: TensorProto.INT64, t.uint8: TensorProto.UINT8, t.uint16: TensorProto.UINT16, t.uint32: TensorProto.UINT32,
    t.uint64: TensorProto.UINT64, t.float16: TensorProto.FLOAT16, t.bfloat16: TensorProto.BFLOAT16,
    t.float32: TensorProto.FLOAT, t.float64: TensorProto.DOUBLE,
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A value of an ONNX graph: its name, and its data type."""

    name: str
    dtype: DType


@dataclass
class Scope:
    """One graph: its nodes, and what is known in it."""

    nodes: list[NodeProto] = field(default_factory=list)
    made: dict[Any, tuple[Value, ...]] = field(default_factory=dict)  # what operators gave
    values: dict[Node, tuple[Value, ...]] = field(default_factory=dict)  # what nodes have become
    sizes: dict[str, Value] = field(default_factory=dict)
    types: list[ValueInfoProto] = field(default_factory=list)


def refused(node: Node, why: str, hint: str | None = None) -> ModelError:
    """The error for what ONNX cannot say."""
    given = ", ".join(str(x.type) for x in node.inputs)
    return ModelError(f"save: {node.op.name}({given}) cannot be written as ONNX: {why}", where=node.where or caller(), hint=hint)


class Writer:
    """Builds the nodes of one model."""

    def __init__(self, taken: Sequence[str]) -> None:
        self.scopes = [Scope(), Scope()]  # of sizes, which come first; then of the model's own nodes; then of bodies
        self.initializers: dict[str, TensorProto] = {}
        self.taken = set(taken)
        self.counts: dict[str, int] = {}
        self.opset = OLDEST
        self.hint = "value"  # what the next values are called after
        self._constants: dict[Any, Value] = {}

    # --- names and scopes ---

    def fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        found = name
        while found in self.taken:
            self.counts[name] = self.counts.get(name, 0) + 1
            found = f"{name}_{self.counts[name]}"
        self.taken.add(found)
        return found

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    @contextmanager
    def body(self) -> Iterator[Scope]:
        """The graph of a loop or a choice, which sees what is around it."""
        self.scopes.append(Scope())
        try:
            yield self.scopes[-1]
        finally:
            self.scopes.pop()

    @contextmanager
    def inlined(self, values: dict[Node, tuple[Value, ...]], sizes: Mapping[str, Value]) -> Iterator[None]:
        """Another graph's nodes among those that are written here."""
        here = self.scope
        self.scopes.append(Scope(here.nodes, here.made, values, dict(sizes), here.types))
        try:
            yield
        finally:
            self.scopes.pop()

    @contextmanager
    def among_sizes(self) -> Iterator[None]:
        """Before all other nodes."""
        inner, self.scopes = self.scopes, self.scopes[:1]
        try:
            yield
        finally:
            self.scopes = inner

    def found(self, node: Node) -> tuple[Value, ...] | None:
        """What a node has become in this graph: bodies are given all that they read."""
        return self.scope.values.get(node)

    # --- nodes ---

    def emit(self, operator: str, inputs: Sequence[Value | None], dtypes: Sequence[DType], **attrs: Any) -> tuple[Value, ...]:
        """The results of an operator, of these data types."""
        names = tuple(x.name if x is not None else "" for x in inputs)
        plain = not any(isinstance(a, GraphProto) for a in attrs.values())
        key = (operator, names, tuple(dtypes), tuple((k, _key(a)) for k, a in sorted(attrs.items()))) if plain else None
        if key is not None:
            for scope in reversed(self.scopes):
                if key in scope.made:
                    return scope.made[key]
        results = tuple(Value(self.fresh(self.hint), dtype) for dtype in dtypes)
        called = self.fresh(f"{operator}.{results[0].name}")
        node = helper.make_node(operator, list(names), [r.name for r in results], name=called)
        node.attribute.extend(_attribute(name, a) for name, a in attrs.items() if a is not None)
        self.scope.nodes.append(node)
        if key is not None:
            self.scope.made[key] = results
        return results

    def op(self, operator: str, *inputs: Value | None, dtype: DType | None = None, **attrs: Any) -> Value:
        """The result of an operator; of its first operand's type, unless said otherwise."""
        found = dtype or next(x.dtype for x in inputs if x is not None)
        return self.emit(operator, inputs, [found], **attrs)[0]

    def again(self, x: Value) -> Value:
        """The same value under a name of its own."""
        made = Value(self.fresh(self.hint), x.dtype)
        self.scope.nodes.append(helper.make_node("Identity", [x.name], [made.name], name=self.fresh(f"Identity.{made.name}")))
        return made

    def needs(self, opset: int) -> None:
        """An operator that older operator sets do not have."""
        self.opset = max(self.opset, opset)

    def compute(
        self, operator: str, *inputs: Value, dtype: DType | None = None, free: int = 0, others: int = 0, **attrs: Any
    ) -> Value:  # fmt: skip
        """An operator in the nearest data type for which runtimes have it, and its result cast back.

        The first `free` operands are of other types, and the last `others`. dtype: of the result, if it is not the operands'.
        """
        given = inputs[free].dtype
        work = working(operator, given)
        if work is None:
            raise ModelError(f"save: {operator} of {given} has no form in ONNX runtimes")
        operands = [x if i < free or i >= len(inputs) - others else self.cast(x, work) for i, x in enumerate(inputs)]
        made = self.op(operator, *operands, dtype=dtype or work, **attrs)
        return made if dtype is not None else self.cast(made, given)

    def cast(self, x: Value, dtype: DType) -> Value:
        """ONNX's own cast, for numbers that the type can hold, and integers that wrap around."""
        return x if x.dtype == dtype else self.op("Cast", x, dtype=dtype, to=NUMBERS[dtype])

    # --- constants ---

    def constant(self, value: Any, dtype: DType, name: str | None = None) -> Value:
        """An array that is part of the model."""
        array = np.asarray(value, dtype.numpy)
        key = (dtype, array.shape, array.tobytes())
        if name is None and key in self._constants:
            return self._constants[key]
        called = self.fresh(name or (_number(array) if array.size == 1 else "constant"))
        self.initializers[called] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), called)
        made = Value(called, dtype)
        return self._constants.setdefault(key, made) if name is None else made

    def scalar(self, value: Any, dtype: DType) -> Value:
        """A number without axes."""
        return self.constant(dtype.numpy.type(value), dtype)

    def ints(self, values: Sequence[int]) -> Value:
        """A vector of integers."""
        return self.constant(np.array(list(values), np.int64).reshape(-1), t.int64)

    # --- sizes ---

    def size(self, size: Size) -> Value:
        """A size as an int64 without axes."""
        if isinstance(size, int):
            return self.scalar(size, t.int64)
        if dims.names(size) <= self.scopes[0].sizes.keys():
            with self.among_sizes(), self.called("size"):
                return self.expression(size, self._named)
        with self.called("size"):
            return self.expression(size, self._named)

    def _named(self, name: str) -> Value:
        found = next((s.sizes[name] for s in reversed(self.scopes) if name in s.sizes), None)
        if found is None:
            raise ModelError(f"save: nothing tells the size {name}", where=caller())
        return found

    def expression(self, size: Size, lookup: Callable[[str], Value]) -> Value:
        """An expression of sizes, or an index, by what its names stand for."""
        if isinstance(size, int):
            return self.scalar(size, t.int64)
        total: Value | None = None
        for monomial, factor in size.terms:
            term: Value | None = None
            for atom in monomial:
                match atom:
                    case str(name):
                        part = lookup(name)
                    case FloorDiv(a, b):
                        part = self._quotient(a, b, lookup)
                    case Max0(a):
                        part = self.op("Max", self.expression(a, lookup), self.scalar(0, t.int64))
                term = part if term is None else self.op("Mul", term, part)
            if term is None:
                term, factor = self.scalar(abs(factor), t.int64), 1 if factor > 0 else -1
            elif abs(factor) != 1:
                term, factor = self.op("Mul", term, self.scalar(abs(factor), t.int64)), 1 if factor > 0 else -1
            if total is None:
                total = term if factor > 0 else self.op("Neg", term)
            else:
                total = self.op("Add" if factor > 0 else "Sub", total, term)
        assert total is not None
        return total

    def _quotient(self, a: Size, b: Size, lookup: Callable[[str], Value]) -> Value:
        """a // b: ONNX's quotient of integers drops the fraction, which is another thing below 0."""
        top, bottom = self.expression(a, lookup), self.expression(b, lookup)
        if not isinstance(b, int):
            bottom = self.op("Max", bottom, self.scalar(1, t.int64))
        if not dims.is_nonnegative(a):
            top = self.op("Sub", top, self.op("Mod", top, bottom, fmod=0))
        return self.op("Div", top, bottom)

    def shape(self, shape: Shape) -> Value:
        """A shape as a vector of int64."""
        if all(isinstance(n, int) for n in shape):
            return self.ints([int(n) for n in shape])
        inside = all(dims.names(n) <= self.scopes[0].sizes.keys() for n in shape)
        with self.among_sizes() if inside else nothing(), self.called("shape"):
            parts: list[Value] = []
            run: list[int] = []
            for n in (*shape, None):
                if isinstance(n, int):
                    run.append(n)
                    continue
                if run:
                    parts.append(self.ints(run))
                    run = []
                if n is not None:
                    parts.append(self.op("Unsqueeze", self.size(n), self.ints([0])))
            return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=0)

    @contextmanager
    def called(self, hint: str) -> Iterator[None]:
        """Values made inside are called so."""
        before, self.hint = self.hint, hint
        try:
            yield
        finally:
            self.hint = before

    # --- moving elements ---

    def reshape(self, x: Value, shape: Shape) -> Value:
        """The same elements in another shape; of none, which onnxruntime may refuse to move, a constant."""
        if any(n == 0 for n in shape) and all(isinstance(n, int) for n in shape):
            return self.constant(np.zeros([int(n) for n in shape]), x.dtype)
        free = [i for i, n in enumerate(shape) if not isinstance(n, int)]
        if len(free) == 1 and all(n != 0 for n in shape):
            sizes = self.ints([-1 if i == free[0] else int(n) for i, n in enumerate(shape)])
            if all(isinstance(n, int) and n > 0 for i, n in enumerate(shape) if i != free[0]):
                return self.op("Reshape", x, sizes)
        return self.op("Reshape", x, self.shape(shape), allowzero=1)

    def expand(self, x: Value, shape: Shape) -> Value:
        """x broadcast to a shape."""
        return self.move("Expand", x, self.shape(shape))

    def move(self, operator: str, x: Value, *others: Value | None, **attrs: Any) -> Value:
        """An operator that only moves the elements of its first operand, in a type that runtimes move."""
        work = working(operator, x.dtype)
        if work is None or work == x.dtype:
            return self.op(operator, x, *others, **attrs)
        return self.cast(self.op(operator, self.cast(x, work), *others, **attrs), x.dtype)

    def range(self, size: Size) -> Value:
        """0, 1, ... below a size."""
        if isinstance(size, int):
            return self.ints(range(size))
        return self.op("Range", self.scalar(0, t.int64), self.size(size), self.scalar(1, t.int64))

    # --- types ---

    def declare(self, value: Value, kind: TensorType) -> None:
        """Write a value's type into the graph it belongs to."""
        self.scope.types.append(info(value.name, kind))

    def graph(self, scope: Scope, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> GraphProto:
        """A body as ONNX has it."""
        shown = {i.name for i in (*inputs, *outputs)}
        nodes, _ = needed(scope.nodes, (o.name for o in outputs))
        made = {n for node in nodes for n in node.output} - shown
        return helper.make_graph(nodes, name, list(inputs), list(outputs), value_info=[i for i in scope.types if i.name in made])


def needed(nodes: Sequence[NodeProto], shown: Iterable[str]) -> tuple[list[NodeProto], set[str]]:
    """The nodes that outputs need, and all names that are read."""
    read = set(shown)
    kept = []
    for node in reversed(nodes):
        if not read.isdisjoint(node.output):
            kept.append(node)
            read |= _read_by(node)
    return kept[::-1], read


def _read_by(node: NodeProto) -> set[str]:
    """The names that a node reads, in its bodies too."""
    found: set[str] = set()
    todo = [node]
    while todo:
        inner = todo.pop()
        found.update(inner.input)
        for attribute in inner.attribute:
            if attribute.HasField("g"):
                todo += attribute.g.node
                found.update(o.name for o in attribute.g.output)
    return found


@contextmanager
def nothing() -> Iterator[None]:
    yield


def info(name: str, kind: TensorType) -> ValueInfoProto:
    """A name with its type; sizes that are no numbers are written as they read."""
    shape = [n if isinstance(n, int) else str(n) for n in kind.shape]
    return helper.make_tensor_value_info(name, NUMBERS[kind.dtype], shape)


# The types that an operator may be computed in, the nearest first.
_WIDER: Mapping[DType, tuple[DType, ...]] = {
    t.bool_: (t.bool_, t.uint8, t.int32, t.int64),
    t.int8: (t.int8, t.int16, t.int32, t.int64), t.int16: (t.int16, t.int32, t.int64), t.int32: (t.int32, t.int64),
    t.int64: (t.int64,),
    t.uint8: (t.uint8, t.uint16, t.int32, t.uint32, t.int64), t.uint16: (t.uint16, t.int32, t.uint32, t.int64),
    t.uint32: (t.uint32, t.int64, t.uint64), t.uint64: (t.uint64,),
    t.float16: (t.float32, t.float64), t.bfloat16: (t.float32, t.float64), t.float32: (t.float32, t.float64),
    t.float64: (t.float64,),
}  # fmt: skip
MODULAR = frozenset(("Add", "MatMul", "Mul", "Sub"))  # which the bits of the unsigned of the same size give too
MOVES = frozenset(
    ("Concat", "Expand", "Gather", "GatherElements", "Pad", "Reshape", "ScatterElements", "Slice", "Tile", "Transpose")
)


def working(operator: str, dtype: DType) -> DType | None:
    """The type in which an operator is computed of values of a type; None where runtimes have none."""
    known = KERNELS.get(operator)
    if known is None:
        return dtype
    if operator in MOVES and dtype in known:
        return dtype
    found = next((wide for wide in _WIDER[dtype] if wide in known), None)
    if found is None and dtype == t.uint64 and operator in MODULAR | MOVES:
        return t.int64
    return found


def _number(array: Array) -> str:
    value = array.reshape(-1)[0].item()
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _key(attribute: Any) -> Any:
    return attribute.SerializeToString() if isinstance(attribute, TensorProto) else repr(attribute)


def _attribute(name: str, value: Any) -> AttributeProto:
    if isinstance(value, (list, tuple)) and not value:
        return helper.make_attribute(name, [], attr_type=AttributeProto.INTS)
    return helper.make_attribute(name, list(value) if isinstance(value, tuple) else value)


__all__ = ["NUMBERS", "OLDEST", "Dim", "Scope", "Value", "Writer", "info", "needed", "nothing", "refused", "working"]
