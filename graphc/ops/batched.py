"""A leading axis for everything: the vocabulary on many operands at once.

    %0 = exp(%x)                              %0 = exp(%x)                                         : f64[64, 3]
    %1 = sum(%0, axes=[0])      64 of %x      %1 = sum(%0, axes=[1])                               : f64[64]
    %2 = take(%x, %i, axis=0)      =>         %2 = batched(%x, %i, axis=0, of="take", leading=...)    : f64[64, 5]

`vectorize` goes by an operation's lowering. Single elements take operands with one axis more as they are, reductions and
prefixes count their axes from there, products of matrices have axes for it. An operation that reads by index becomes `batched`
of itself: the same code, told of the inner axes alone. What is of another kind is repeated for every element, if their
number is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import GraphError, ShapeError
from graphc.ir import dims
from graphc.ir.dims import Ranges, Shape, Size
from graphc.ir.graph import Node, origin, topological
from graphc.ir.operation import (
    VOCABULARY,
    Contraction,
    Host,
    Operation,
    Pointwise,
    Prefix,
    Project,
    Reduction,
    Requirement,
    Sample,
    Scatter,
)  # fmt: skip
from graphc.ir.scalar import Arg, Scalars, Value
from graphc.ir.types import DType, TensorType, TupleType
from graphc.ops.declare import Op, build
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
Over = tuple[tuple[bool, ...], ...]  # for every operand: which of the leading axes of the result it has
Spread = tuple[Tensor, bool]  # a symbol, and whether it has the leading axis

# --- batched: an operation that reads by index, on operands with leading axes ------------------------------------------


def _inner(x: TensorType, has: tuple[bool, ...]) -> TensorType:
    return TensorType(x.dtype, x.shape[sum(has) :])


def _inner_types(xs: Sequence[TensorType], leading: Over) -> list[TensorType]:
    return [_inner(x, has) for x, has in zip(xs, leading, strict=True)]


def _sizes(xs: Sequence[Sequence[Size]], leading: Over) -> Shape:
    """The leading axes of the result, from the shapes of the operands."""
    found: list[Size] = []
    for level in range(len(leading[0])):
        sizes = {x[sum(has[:level])] for x, has in zip(xs, leading, strict=True) if has[level]}
        if len(sizes) != 1:
            raise ShapeError(f"batched needs one size for each leading axis, got {sorted(map(str, sizes))}")
        found.append(sizes.pop())
    return tuple(found)


def _type(*xs: TensorType, of: str, leading: Over, **attrs: Any) -> TensorType:
    found = VOCABULARY[of].infer(*_inner_types(xs, leading), **attrs)
    return TensorType(found.dtype, (*_sizes([x.shape for x in xs], leading), *found.shape))


def _reference(*xs: Array, of: str, leading: Over, **attrs: Any) -> Array:
    sizes = _sizes([x.shape for x in xs], leading)
    places = list(np.ndindex(*sizes))
    if not places:
        found = _type(*(ops.as_tensor(x).type for x in xs), of=of, leading=leading, **attrs)
        return np.zeros([dims.evaluate(n, {}) for n in found.shape], found.dtype.numpy)
    rows = []
    for place in places:
        chosen = [x[tuple(i for i, own in zip(place, has, strict=True) if own)] for x, has in zip(xs, leading, strict=True)]
        rows.append(VOCABULARY[of].reference(*map(np.asarray, chosen), **attrs))
    result: Array = np.stack(rows)
    return result.reshape((*sizes, *result.shape[1:]))


class _Element(Scalars):
    """The scalars of one element of the leading axes."""

    def __init__(self, outer: Scalars, place: tuple[Size, ...], leading: Over) -> None:
        self.outer, self.place, self.leading = outer, place, leading

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        return self.outer.emit(op, args, dtype, index)

    def load(self, operand: int, index: Sequence[Size], guard: Value | None = None) -> Value:
        first = (i for i, own in zip(self.place, self.leading[operand], strict=True) if own)
        return self.outer.load(operand, (*first, *index), guard)

    @property
    def operands(self) -> int:
        return self.outer.operands

    def type(self, operand: int) -> TensorType:
        return _inner(self.outer.type(operand), self.leading[operand])

    @property
    def ranges(self) -> Ranges:
        return self.outer.ranges

    @property
    def result(self) -> TensorType:
        return _inner(self.outer.result, (True,) * len(self.place))


def _body(k: Scalars, index: tuple[Size, ...], of: str, leading: Over, **attrs: Any) -> Any:
    lowering, levels = VOCABULARY[of].lowering, len(leading[0])
    assert isinstance(lowering, Pointwise)
    return lowering.body(_Element(k, index[:levels], leading), index[levels:], **attrs)


def _place(k: Scalars, index: tuple[Size, ...], of: str, leading: Over, **attrs: Any) -> tuple[Size, ...]:
    lowering, levels = VOCABULARY[of].lowering, len(leading[0])
    assert isinstance(lowering, Scatter)
    return (*index[:levels], *lowering.place(_Element(k, index[:levels], leading), index[levels:], **attrs))


def _requires(*xs: TensorType, of: str, leading: Over, **attrs: Any) -> list[Requirement]:
    rule = VOCABULARY[of].requires
    return [] if rule is None else rule(*_inner_types(xs, leading), **attrs)


def _vjp(g: Tensor, y: Tensor, *xs: Tensor, of: str, leading: Over, **attrs: Any) -> tuple[Node | None, ...]:
    """The operation's own rule, with its leading axes put back one after the other."""
    size = y.shape[0]
    holes = [ops.placeholder(f"x{i}", x.shape[has[0] :], x.dtype) for i, (x, has) in enumerate(zip(xs, leading, strict=True))]
    g_hole = ops.placeholder("g", g.shape[1:], g.dtype)
    rest: Over = tuple(has[1:] for has in leading)
    op: Operation = VOCABULARY[of]
    if rest[0]:
        one = _batched(op, holes, rest, attrs)
        rule, attrs = one.op.vjp, dict(one.attrs)
    else:
        one, rule = op(*holes, **attrs), op.vjp
    if rule is None:
        return (None,) * len(xs)
    y_hole = ops.placeholder("y", one.shape, one.dtype)
    parts = rule(g_hole, y_hole, *holes, **attrs)
    given: dict[Node, Spread] = {g_hole: (g, True), y_hole: (y, True)}
    given.update({hole: (x, has[0]) for hole, x, has in zip(holes, xs, leading, strict=True)})
    wanted = [part for part in parts if part is not None]
    made = iter(vectorize(wanted, given, size))
    result: list[Node | None] = []
    for part, has in zip(parts, leading, strict=True):
        if part is None:
            result.append(None)
            continue
        found = next(made)
        result.append(spread(found, size) if has[0] else ops.sum(spread(found, size), axis=0))
    return tuple(result)


def _sample(of: str, leading: Over, shapes: tuple[Shape, ...], dtypes: tuple[str, ...] = (), **attrs: Any) -> Sample:
    return Sample(shapes, {"of": of, "leading": leading, **attrs}, dtypes)


batched_ = Op(
    "batched", _type, _reference, Pointwise(_body), _vjp,
    (
        _sample("permute_dims", ((True,),), ((2, 3, 4),), axes=(1, 0)),
        _sample("permute_dims", ((True, True),), ((2, 3, 4, 2),), axes=(1, 0)),
        _sample("take", ((True,), (False,)), ((2, 4, 3), (5,)), ("", "int64"), axis=0),
        _sample("take", ((False, True), (True, True)), ((3, 4, 2), (2, 3, 5)), ("", "int64"), axis=0),
    ),
    requires=_requires, build=build,
    doc="An operation that reads by index, for every element of leading axes: `leading` says which of them each operand has.",
)  # fmt: skip
batched_scatter_ = Op(
    "batched_put", _type, _reference, Scatter("add", _place), _vjp,
    (_sample("put_add", ((True,), (False,)), ((2, 5, 3), (5,)), ("", "int64"), axis=0, size=4),),
    requires=_requires, build=build,
    doc="An operation that adds up by index, for every element of leading axes: `leading` says which of them each operand has.",
)  # fmt: skip


def _batched(op: Operation, xs: Sequence[Tensor], leading: Over, attrs: Mapping[str, Any]) -> Tensor:
    made: Tensor
    match op.lowering:
        case Pointwise():
            made = batched_(*xs, of=op.name, leading=leading, **attrs)
        case Scatter("add"):
            made = batched_scatter_(*xs, of=op.name, leading=leading, **attrs)
        case _:
            raise AssertionError(f"{op.name} reads not by index")
    return made


# --- vectorize ---------------------------------------------------------------------------------------------------------


def spread(x: Spread, size: Size) -> Tensor:
    """A symbol with the leading axis."""
    symbol, has = x
    return symbol if has else ops.broadcast_to(symbol, (size, *symbol.shape))


def vectorize(roots: Iterable[Node], given: Mapping[Node, Spread], size: Size) -> list[Spread]:
    """The roots with `given` in place of some nodes, for every element of a leading axis of some of them."""
    roots = tuple(roots)
    new = dict(given)
    several: dict[Node, list[Tensor]] = {}  # operations with several results, repeated
    for node in topological(roots):
        if node in new:
            continue
        if isinstance(node.op.lowering, Project) and node.inputs[0] in several:
            new[node] = _stacked(node, [node.op(x, **node.attrs) for x in several[node.inputs[0]]]), True
            continue
        inputs = [new[i] for i in node.inputs]
        if all(x is i for (x, _), i in zip(inputs, node.inputs, strict=True)):
            new[node] = node, False  # type: ignore[assignment]
            continue
        with origin(node.where, node.gradient, node.forward):
            if any(has for _, has in inputs) and isinstance(node.type, TupleType):
                several[node] = _repeated(node, inputs, size)
                new[node] = node, False  # type: ignore[assignment]
            elif any(has for _, has in inputs):
                new[node] = _apply(node, inputs, size), True
            else:
                new[node] = node.op(*(x for x, _ in inputs), **node.attrs), False
    return [new[root] for root in roots]


def _apply(node: Node, inputs: Sequence[Spread], size: Size) -> Tensor:
    op, attrs = node.op, node.attrs
    made: Tensor
    match op.lowering:
        case Pointwise(elementwise=True) | Host(effect=True):  # any shape will do
            made = op(*(spread(x, size) for x in inputs), **attrs)
            return made
        case Reduction() if "axes" in attrs:
            made = op(inputs[0][0], **{**attrs, "axes": tuple(a + 1 for a in attrs["axes"])})
            return made
        case Prefix() if "axis" in attrs:
            made = op(*(spread(x, size) for x in inputs), **{**attrs, "axis": attrs["axis"] + 1})
            return made
        case Contraction() if not attrs and len(inputs) == 2:
            return _product(op, inputs, size)
        case Pointwise() | Scatter("add", base=None):
            if isinstance(op.lowering, Scatter):
                inputs = [(spread(inputs[0], size), True), *inputs[1:]]
            symbols, leading = [x for x, _ in inputs], tuple((has,) for _, has in inputs)
            if "leading" in attrs and op in (batched_, batched_scatter_):
                inner = {key: value for key, value in attrs.items() if key not in ("of", "leading")}
                leading = tuple((*has, *had) for has, had in zip(leading, attrs["leading"], strict=True))
                return _batched(VOCABULARY[attrs["of"]], symbols, leading, inner)
            return _batched(op, symbols, leading, attrs)
    return _stacked(node, _repeated(node, inputs, size))


def _repeated(node: Node, inputs: Sequence[Spread], size: Size) -> list[Tensor]:
    """The operation once for every element."""
    if not isinstance(size, int):
        raise GraphError(
            f"vmap: {node.op.name} cannot be done for {size} elements at once", where=node.where,
            hint="with a fixed size it is repeated for every element",
        )  # fmt: skip
    return [node.op(*(x[i] if has else x for x, has in inputs), **node.attrs) for i in range(size)]


def _stacked(node: Node, rows: Sequence[Tensor]) -> Tensor:
    return ops.stack(rows) if rows else ops.zeros((0, *node.type.shape), node.type.dtype)


def _product(op: Operation, inputs: Sequence[Spread], size: Size) -> Tensor:
    """A product of matrices; one matrix for all is multiplied by all others at once."""
    (a, many), (b, more) = inputs
    made: Tensor
    if many and not more and b.ndim == 2:
        rows = dims.mul(size, a.shape[1])
        made = op(ops.reshape(a, (rows, a.shape[2])), b)
        return ops.reshape(made, (size, a.shape[1], b.shape[1]))
    if more and not many and a.ndim == 2:
        columns = ops.reshape(ops.permute_dims(b, (1, 0, 2)), (b.shape[1], dims.mul(size, b.shape[2])))
        made = op(a, columns)
        return ops.permute_dims(ops.reshape(made, (a.shape[0], size, b.shape[2])), (1, 0, 2))
    made = op(*(spread(x, size) for x in inputs))
    return made
