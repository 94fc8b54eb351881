"""Compute what depends on constants alone.

    %0 = full(2.0)                  %0 = full(0.7071067811865475)
    %1 = sqrt(%0)              =>   %1 = multiply(%x, %0)
    %2 = divide(1.0, %1)
    %3 = multiply(%x, %2)

Afterwards no elementwise operation has fills alone for operands, whatever their shape, and no other operation has constants
alone where its value is small: at most `LIMIT` bytes, or no larger than the constants it is made from. A constant of one
repeated number is a fill, and a fill's number has its type. What only repeats a constant stays: a kernel reads the few elements
of the constant again and again, and memory holds no more of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.ir import dims
from graphc.ir.graph import Graph, Node, nested, origin, rebuild, subgraphs
from graphc.ir.operation import VOCABULARY, Pointwise, may_fail
from graphc.ir.types import ArrayValue, TensorType

LIMIT = 64 * 1024  # bytes: quick to compute and to print, and no fact about a processor, so that a graph is the same for all
Array = np.ndarray[Any, Any]


@nested
def fold_constants(graph: Graph) -> Graph:
    """The graph with its constant parts computed by the operations' NumPy references."""
    repeated: dict[Node, Array] = {}
    return rebuild(graph, lambda node: _fold(node, repeated))


def _fold(node: Node, repeated: dict[Node, Array]) -> Node:
    """The node computed; or as it is, and among those that are `repeated` if it is a constant that NumPy repeats in place."""
    if node.op.name == "constant":
        return _leaf(node, node.attrs["value"].array)
    if node.op.name == "full":
        return _typed_fill(node)
    if not node.inputs or not all(i.op.name in ("constant", "full") or i in repeated for i in node.inputs):
        return node
    if any(_symbolic(i.attrs["value"]) for i in node.inputs if i not in repeated):
        return node
    with np.errstate(all="ignore"):
        found = _fold_fills(node)
        if found is None:
            found = _fold_small(node, repeated)
        return node if found is None else found


def _symbolic(value: Any) -> bool:
    return isinstance(value, dims.Dim) or (isinstance(value, tuple) and any(map(_symbolic, value)))


def _typed_fill(node: Node) -> Node:
    """A fill whose value is a Python number of its own type: 2 in a float is 2.0."""
    value, dtype = node.attrs["value"], node.type.dtype
    if _symbolic(value) or type(value) is type(dtype.numpy.type(0).item()):
        return node
    return _fill(node, node.type, dtype.numpy.type(value).item())


def _fill(node: Node, found: TensorType, value: Any) -> Node:
    with origin(node.where, node.gradient):
        made: Node = VOCABULARY["full"](shape=found.shape, value=value, dtype=found.dtype)
    return made


def _leaf(node: Node, array: Array) -> Node:
    """A constant, as a fill where its elements are the same bits."""
    if _is_uniform(array):
        return _fill(node, node.type, array.flat[0].item())
    if node.op.name == "constant":
        return node
    with origin(node.where, node.gradient):
        made: Node = VOCABULARY["constant"](value=ArrayValue(array))
    return made


def _is_uniform(array: Array) -> bool:
    """Whether all elements, of which there are some, have the same bits."""
    if not array.size:
        return False
    bits = array.reshape(-1).view(f"u{array.itemsize}")
    return bool(bits[0] == bits[-1] and (bits == bits[0]).all())


def _fold_fills(node: Node) -> Node | None:
    """An elementwise operation on fills: one element tells all."""
    match node.op.lowering:
        case Pointwise(elementwise=True) if all(i.op.name == "full" for i in node.inputs):
            pass
        case _:
            return None
    one, row = (_on_fills(node, shape) for shape in ((), (4,)))
    if one.tobytes() * 4 != row.tobytes():
        return None  # NumPy has another loop for single elements, and it rounds differently
    return _fill(node, node.type, one.item())


def _on_fills(node: Node, shape: tuple[int, ...]) -> Array:
    operands = (np.full(shape, i.attrs["value"], i.type.dtype.numpy) for i in node.inputs)
    return np.asarray(node.op.reference(*operands, **node.attrs))


def _fold_small(node: Node, repeated: dict[Node, Array]) -> Node | None:
    """Any operation of known sizes, if neither its operands' fills nor its result are large, and it does not only repeat one."""
    types = (node.type, *(i.type for i in node.inputs))
    if may_fail(node.op.lowering) or any(True for _ in subgraphs(node)):  # what raises, or runs long, is a call's to do
        return None
    if not all(t.is_static for t in types) or any(map(_symbolic, node.attrs.values())):
        return None
    stored = sum(_bytes(i.type) for i in node.inputs if i.op.name == "constant")
    filled = sum(_bytes(i.type) for i in node.inputs if i.op.name == "full")
    if filled > LIMIT or _bytes(node.type) > max(LIMIT, stored):
        return None
    made = node.op.reference(*(repeated[i] if i in repeated else _array(i) for i in node.inputs), **node.attrs)
    if isinstance(made, np.ndarray) and _repeats(made):
        repeated[node] = made
        return None
    return _leaf(node, np.asarray(made, order="C"))


def _repeats(array: Array) -> bool:
    """Whether an array has more elements than its memory, and they are not all the same."""
    return 0 in (step for n, step in zip(array.shape, array.strides, strict=True) if n > 1) and not _is_uniform(array)


def _bytes(found: TensorType) -> int:
    return dims.evaluate(found.nbytes, {})


def _array(node: Node) -> Array:
    if node.op.name == "constant":
        array: Array = node.attrs["value"].array
        return array
    return np.full([dims.evaluate(n, {}) for n in node.type.shape], node.attrs["value"], node.type.dtype.numpy)
