"""A leading axis for everything: the vocabulary on many operands at once.

    %0 = exp(%x)                              %0 = exp(%x)                                         : f64[64, 3]
    %1 = sum(%0, axes=[0])      64 of %x      %1 = sum(%0, axes=[1])                               : f64[64]
    %2 = take(%x, %i, axis=0)      =>         %2 = batched(%x, %i, axis=0, of="take", leading=...)    : f64[64, 5]

`vectorize` goes by an operation's lowering. Single elements take operands with one axis more as they are, reductions and
prefixes count their axes from there, products of matrices have axes for it. An operation that reads or writes by index becomes
`batched` of itself: the same code, told of the inner axes alone. So does one that others compute, and a routine of Python, which
is called for each element. Loops, choices and what knows a better way have a rule of their own (`Operation.every`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import ShapeError
from graphc.ir import combines, dims
from graphc.ir.combines import Combine
from graphc.ir.dims import Ranges, Shape, Size
from graphc.ir.graph import Node, origin, substitute
from graphc.ir.operation import (
    VOCABULARY,
    Composite,
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
from graphc.ir.types import DType, TensorType, TupleType, as_dtype
from graphc.ops.declare import Op, Spread, build, results, spread, with_leading_axis
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
Over = tuple[tuple[bool, ...], ...]  # for every operand: which of the leading axes of the result it has

# --- batched: an operation on operands with leading axes -----------------------------------------------------------------


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
    sizes = _sizes([x.shape for x in xs], leading)
    if isinstance(found, TupleType):
        return TupleType(tuple(TensorType(part.dtype, (*sizes, *part.shape)) for part in found.parts))
    return TensorType(found.dtype, (*sizes, *found.shape))


def _reference(*xs: Array, of: str, leading: Over, **attrs: Any) -> Any:
    sizes = _sizes([x.shape for x in xs], leading)
    places = list(np.ndindex(*sizes))
    if not places:
        found = _type(*(TensorType(as_dtype(x.dtype), x.shape) for x in xs), of=of, leading=leading, **attrs)
        nothing = [np.zeros([dims.evaluate(n, {}) for n in part.shape], part.dtype.numpy) for part in parts_of(found)]
        return tuple(nothing) if isinstance(found, TupleType) else nothing[0]
    rows = []
    for place in places:
        chosen = [x[tuple(i for i, own in zip(place, has, strict=True) if own)] for x, has in zip(xs, leading, strict=True)]
        rows.append(VOCABULARY[of].reference(*(np.asarray(x, order="C") for x in chosen), **attrs))
    if isinstance(rows[0], tuple):
        return tuple(_joined(part, sizes) for part in zip(*rows, strict=True))
    return _joined(rows, sizes)


def _joined(rows: Sequence[Any], sizes: Shape) -> Array:
    joined: Array = np.stack(rows)
    return joined.reshape((*sizes, *joined.shape[1:]))


def parts_of(kind: TensorType) -> tuple[TensorType, ...]:
    """The types of an operation's results."""
    return kind.parts if isinstance(kind, TupleType) else (kind,)


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


def _unwrapped(xs: Sequence[Tensor], of: str, leading: Over, attrs: Mapping[str, Any]) -> tuple[Tensor, dict[Node, Spread]]:
    """The operation without its first leading axis, on placeholders; and what stands for those."""
    holes = [ops.placeholder(f"x{i}", x.shape[has[0] :], x.dtype) for i, (x, has) in enumerate(zip(xs, leading, strict=True))]
    rest: Over = tuple(has[1:] for has in leading)
    op: Operation = VOCABULARY[of]
    one: Tensor = _batched(op, holes, rest, attrs) if rest[0] else op(*holes, **attrs)
    return one, {hole: (x, has[0]) for hole, x, has in zip(holes, xs, leading, strict=True)}


def _vjp(g: Any, y: Any, *xs: Tensor, of: str, leading: Over, **attrs: Any) -> tuple[Node | None, ...]:
    """The operation's own rule, with its leading axes put back one after the other."""
    one, given = _unwrapped(xs, of, leading, attrs)
    rule, several = one.op.vjp, isinstance(one.type, TupleType)
    if rule is None:
        return (None,) * len(xs)
    gs, ys = (g, y) if several else ((g,), (y,))
    size = ys[0].shape[0]
    kinds = parts_of(one.type)
    g_holes = [None if part is None else ops.placeholder(f"g{i}", k.shape, k.dtype) for i, (part, k) in _paired(gs, kinds)]
    y_holes = [ops.placeholder(f"y{i}", k.shape, k.dtype) for i, k in enumerate(kinds)]
    holes = list(given)
    if several:
        parts = rule(tuple(g_holes), tuple(y_holes), *holes, **one.attrs)
    else:
        parts = rule(g_holes[0], y_holes[0], *holes, **one.attrs)
    given.update({hole: (part, True) for hole, part in zip(y_holes, ys, strict=True)})
    given.update({hole: (part, True) for hole, part in zip(g_holes, gs, strict=True) if hole is not None})
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


def _paired(gs: Sequence[Any], kinds: Sequence[TensorType]) -> Any:
    return enumerate(zip(gs, kinds, strict=True))


def _expand(*xs: Tensor, of: str, leading: Over, **attrs: Any) -> Node:
    """What others compute, computed by them on arrays with the leading axes."""
    one, given = _unwrapped(xs, of, leading, attrs)
    assert isinstance(one.op.lowering, Composite)
    size = _sizes([x.shape for x in xs], leading)[0]
    made_of = one.op.lowering.expand(*given, **one.attrs)
    assert isinstance(made_of, Node), f"{of} has several results, and no rule for a leading axis"
    (made,) = vectorize([made_of], given, size)
    return spread(made, size)


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
_ADDED = Sample(((2, 5, 3), (5,)), {"of": "put_add", "leading": ((True,), (False,)), "axis": 0, "size": 4}, ("", "int64"))


def _scatter(name: str, combine: Combine, base: int | None, *samples: Sample) -> Op:
    return Op(
        name, _type, _reference, Scatter(combine, _place, base), _vjp, samples, requires=_requires, build=build,
        doc="What writes by index, for every element of leading axes: `leading` says which of them each operand has.",
    )  # fmt: skip


_SCATTERS: dict[tuple[Combine, int | None], Op] = {(combines.ADD, None): _scatter("batched_put", combines.ADD, None, _ADDED)}
for _combine in (combines.ADD, combines.SET, combines.MUL, combines.MAX, combines.MIN):
    _of = f"scatter_{'multiply' if _combine == combines.MUL else _combine}"
    _written = _sample(_of, ((True,),) * 2 + ((False,),), ((2, 5), (2, 4), (5,)), ("", "", "int64"), axes=(0,), at=0)
    _SCATTERS[_combine, 1] = _scatter(f"batched_{_combine}", _combine, 1, _written)

batched_host_ = Op(
    "batched_host", _type, _reference, Host(), _vjp,
    (
        _sample("isin", ((True,), (False,)), ((2, 3), (4,))),
        _sample("unique", ((True,),), ((2, 5),), size=4),
    ),
    requires=_requires, build=build, doc="A routine of Python, called for every element of leading axes.",
)  # fmt: skip
batched_composite_ = Op(
    "batched_composite", _type, _reference, Composite(_expand), _vjp,
    (
        _sample(
            "max_pool", ((True,),), ((2, 3, 5),), axes=(1,), kernel=(2,), stride=(2,), dilation=(1,), before=(0,), size=(2,)
        ),
    ),
    requires=_requires, build=build, doc="What other operations compute, for every element of leading axes.",
)  # fmt: skip
_BATCHED: set[Operation] = {batched_, batched_host_, batched_composite_, *_SCATTERS.values()}


def _batched(op: Operation, xs: Sequence[Tensor], leading: Over, attrs: Mapping[str, Any]) -> Tensor:
    match op.lowering:
        case Pointwise():
            kind = batched_
        case Scatter(combine=combine, base=base):
            kind = _SCATTERS[combine, base]
        case Host():
            kind = batched_host_
        case Composite():
            kind = batched_composite_
        case _:
            raise AssertionError(f"{op.name} has no rule for a leading axis")
    return kind(*xs, of=op.name, leading=leading, **attrs)


# --- vectorize ---------------------------------------------------------------------------------------------------------


def vectorize(roots: Iterable[Node], given: Mapping[Node, Spread], size: Size) -> list[Spread]:
    """The roots with `given` in place of some nodes, for every element of a leading axis of some of them."""
    roots = tuple(roots)
    if size == 0:
        return [(ops.zeros((0, *root.type.shape), root.type.dtype), True) for root in roots]
    several: dict[Node, list[Spread]] = {}  # the results of operations that have several

    def change(node: Node, inputs: tuple[Spread, ...]) -> Spread:
        if isinstance(node.op.lowering, Project) and node.inputs[0] in several:
            index: int = node.attrs["index"]
            return several[node.inputs[0]][index]
        if all(x is i for (x, _), i in zip(inputs, node.inputs, strict=True)):
            return node, False  # type: ignore[return-value]
        with origin(node.where, node.gradient, node.forward):
            if not any(has for _, has in inputs):
                alone: Tensor = node.op(*(x for x, _ in inputs), **node.attrs)
                return alone, False
            made = _apply(node, inputs, size)
        if isinstance(node.type, TupleType):
            several[node] = made
            return node, False  # type: ignore[return-value]
        (one,) = made
        return one

    return substitute(roots, dict(given), change)


def _apply(node: Node, inputs: Sequence[Spread], size: Size) -> list[Spread]:
    op, attrs = node.op, node.attrs
    if op.every is not None:
        return op.every(size, *inputs, **attrs)
    match op.lowering:
        case Pointwise(elementwise=True) | Host(effect=True):  # any shape will do
            return with_leading_axis(op, size, inputs, attrs)
        case Reduction() if "axes" in attrs:
            return with_leading_axis(op, size, inputs, {**attrs, "axes": tuple(a + 1 for a in attrs["axes"])})
        case Prefix() if "axis" in attrs:
            return with_leading_axis(op, size, inputs, {**attrs, "axis": attrs["axis"] + 1})
        case Contraction() if not attrs and len(inputs) == 2:
            return [(_product(op, inputs, size), True)]
        case Scatter(base=base):
            written = (0, base)
            inputs = [(spread(x, size), True) if i in written else x for i, x in enumerate(inputs)]
    symbols, leading = [x for x, _ in inputs], tuple((has,) for _, has in inputs)
    if op in _BATCHED:
        inner = {key: value for key, value in attrs.items() if key not in ("of", "leading")}
        leading = tuple((*has, *had) for has, had in zip(leading, attrs["leading"], strict=True))
        op, attrs = VOCABULARY[attrs["of"]], inner
    made = _batched(op, symbols, leading, attrs)
    return [(y, True) for y in (results(made) if isinstance(made.type, TupleType) else (made,))]


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
