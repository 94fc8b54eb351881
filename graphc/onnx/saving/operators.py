"""From the nodes of a graph to ONNX's: the table of operations, and what becomes of those that are not in it, by their lowering.

An entry of the table is a function of the writer, a node, and what its inputs have become; it gives a value, or a tuple where the
operation has several results. It may give None: then the operation's lowering says how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import graphc as gx
from graphc.ir.dims import Dim, Shape
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Collective, Composite, Host, Leaf, Pointwise, Project
from graphc.ir.types import TensorType, TupleType
from graphc.onnx.saving.elements import Elements
from graphc.onnx.saving.writing import Value, Writer, refused

Made = Value | tuple[Value, ...] | None
Rule = Callable[..., Made]
RULES: dict[str, Rule] = {}  # by the operation's name
BY_LOWERING: dict[type, Rule] = {}
RECOGNISED: list[Callable[[Writer, Node], Value | None]] = []  # what sees functions of several nodes in their last one
FOLLOWED = ("broadcast_to", "full", "constant")  # written where they are read


def saves(*names: str) -> Callable[[Rule], Rule]:
    """Put a function into the table."""

    def add(rule: Rule) -> Rule:
        for name in names:
            RULES[name] = rule
        return rule

    return add


def lowered(kind: type) -> Callable[[Rule], Rule]:
    """What becomes of operations of a lowering that are not in the table."""

    def add(rule: Rule) -> Rule:
        BY_LOWERING[kind] = rule
        return rule

    return add


# --- nodes in their order ----------------------------------------------------------------------------------------------


def write(w: Writer, graph: Graph) -> list[Value]:
    """The outputs and the new values of variables of a graph whose leaves are known."""
    for node in graph.nodes:
        if w.found(node) is not None or isinstance(node.op.lowering, Leaf) or node.op.name in FOLLOWED:
            continue
        with w.called(node.op.name):
            made = written(w, node)
        w.scope.values[node] = made
        for value, kind in zip(made, parts_of(node.type), strict=True):
            w.declare(value, kind)
    return [value_of(w, root) for root in graph.roots]


def parts_of(kind: TensorType) -> tuple[TensorType, ...]:
    return kind.parts if isinstance(kind, TupleType) else (kind,)


def written(w: Writer, node: Node) -> tuple[Value, ...]:
    """What one node becomes."""
    lowering = node.op.lowering
    if isinstance(lowering, Project):
        found = w.found(node.inputs[0])
        assert found is not None
        return (found[node.attrs["index"]],)
    for recognise in RECOGNISED:
        value = recognise(w, node)
        if value is not None:
            return (value,)
    rule = RULES.get(node.op.name)
    made = rule(w, node, **node.attrs) if rule is not None else None
    if made is None:
        other = next((BY_LOWERING[kind] for kind in type(lowering).__mro__ if kind in BY_LOWERING), None)
        made = other(w, node) if other is not None else None
    if made is None:
        raise refused(node, _why(node), _remedy(node))
    return made if isinstance(made, tuple) else (made,)


def _why(node: Node) -> str:
    match node.op.lowering:
        case Host():
            return "it is a routine of Python"
        case Collective():
            return "ranks compute it together"
    return "there is no operator for it"


def _remedy(node: Node) -> str:
    return "save what comes before it and what comes after it as two models"


def value_of(w: Writer, node: Node) -> Value:
    """What a node has become, as an array of its type."""
    found = w.found(node)
    if found is None:
        with w.called(node.op.name):
            value, shape = loose(w, node)
            if shape != node.type.shape:
                value = _filled(w, node, value)
        found = w.scope.values[node] = (value,)
    return found[0]


def loose(w: Writer, node: Node) -> tuple[Value, Shape]:
    """A value that broadcasts to a node's, and its shape."""
    while node.op.name == "broadcast_to" and w.found(node) is None:
        node = node.inputs[0]
    if node.op.name == "full":
        value, dtype = node.attrs["value"], node.attrs["dtype"]
        return (w.cast(w.size(value), dtype) if isinstance(value, Dim) else w.scalar(value, dtype)), ()
    if node.op.name == "constant":
        return w.constant(node.attrs["value"].array, node.type.dtype), node.type.shape
    found = w.found(node)
    assert found is not None, node
    return found[0], node.type.shape


def _filled(w: Writer, node: Node, value: Value) -> Value:
    return w.expand(value, node.type.shape)


def given(w: Writer, node: Node) -> list[Value]:
    """What a node's inputs have become."""
    return [value_of(w, x) for x in node.inputs]


# --- by lowering -----------------------------------------------------------------------------------------------------


@lowered(Pointwise)
def pointwise(w: Writer, node: Node) -> Value:
    """Scalar code of all elements; floats of 16 bits are computed in float32, and the result is rounded once."""
    lowering = node.op.lowering
    assert isinstance(lowering, Pointwise)
    operands: list[tuple[TensorType, Value, Shape]] = []
    for x in node.inputs:
        value, shape = loose(w, x)
        kind = TensorType(x.type.dtype.arithmetic, x.type.shape)
        operands.append((kind, w.cast(value, kind.dtype), shape))
    k = Elements(w, operands, TensorType(node.type.dtype.arithmetic, node.type.shape))
    return k.whole(lowering.body(k, k.loops, **node.attrs), node.type.dtype)


def elements(w: Writer, result: TensorType, operands: Sequence[tuple[TensorType, Value]]) -> Elements:
    """Scalars of a result, for code that is no operation's own."""
    return Elements(w, [(kind, value, kind.shape) for kind, value in operands], result)


@saves("print")
def printed(w: Writer, node: Node, **attrs: object) -> Value:
    """What is there for what else it does is left out."""
    return value_of(w, node.inputs[0])


@lowered(Composite)
def composite(w: Writer, node: Node) -> tuple[Value, ...]:
    """By what computes it; floats of 16 bits in float32, rounded once."""
    lowering = node.op.lowering
    assert isinstance(lowering, Composite)
    leaves = [gx.placeholder(f"x{i}", x.type.shape, x.type.dtype.arithmetic) for i, x in enumerate(node.inputs)]
    values = [w.cast(value, leaf.dtype) for value, leaf in zip(given(w, node), leaves, strict=True)]
    made = lowering.expand(*leaves, **node.attrs)
    found = inlined(w, Graph(leaves, list(made) if isinstance(made, tuple) else [made]), values)
    return tuple(w.cast(value, kind.dtype) for value, kind in zip(found, parts_of(node.type), strict=True))


def inlined(w: Writer, graph: Graph, values: Sequence[Value], sizes: Mapping[str, Value] | None = None) -> list[Value]:
    """The outputs of a graph for values of its inputs, written among what is written here."""
    with w.inlined({leaf: (value,) for leaf, value in zip(graph.inputs, values, strict=True)}, sizes or {}):
        return write(w, graph)

__all__ = [
    "BY_LOWERING", "FOLLOWED", "RECOGNISED", "RULES", "elements", "given", "inlined", "loose", "lowered", "parts_of", "refused",
    "saves", "value_of", "write", "written",
]  # fmt: skip
