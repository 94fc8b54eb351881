"""What a node computes, and over which indices: the terms of fusion.

Axes of size 1 need neither loops nor addresses, so they are left out here: a value's *core* is its shape without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.combines import ADD, Combine
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Contraction, Pointwise, Reduction
from graphc.ir.scalar import Scalars, Value
from graphc.ir.types import TensorType


def core_shape(node: Node) -> Shape:
    """A value's shape without its axes of size 1, which neither loops nor addresses need."""
    return node.type.core


def core_index(node: Node, index: tuple[Size, ...]) -> tuple[Size, ...]:
    """An index of a value without its axes of size 1."""
    return tuple(i for i, n in zip(index, node.type.shape, strict=True) if n != 1)


def full_index(node: Node, core: tuple[Size, ...]) -> tuple[Size, ...]:
    """The index of a value that `core_index` came from."""
    rest = iter(core)
    return tuple(0 if n == 1 else next(rest) for n in node.type.shape)


@dataclass(frozen=True)
class Work:
    """What one node computes: an expression over a domain, some of whose axes are reduced.

    The result's axes are the domain's other axes, in order; those of size 1 are left out on both sides. `places` maps
    the axes of the operation's own index space to the domain (None for an axis of size 1).
    """

    node: Node
    domain: Shape
    places: tuple[int | None, ...]
    reduced: tuple[int, ...] = ()
    reduction: Combine | None = None

    @property
    def free(self) -> tuple[int, ...]:
        return tuple(a for a in range(len(self.domain)) if a not in self.reduced)

    @property
    def positions(self) -> bool:
        """Whether it finds the place of a value."""
        return self.reduction is not None and self.reduction.positions

    @property
    def combine(self) -> Combine:
        """How the values of a reduction become one."""
        assert self.reduction is not None
        return self.reduction

    @property
    def is_reduction(self) -> bool:
        return self.reduction is not None


def _work(node: Node, space: Shape, reduced: tuple[int, ...] = (), combine: Combine | None = None) -> Work:
    kept = [a for a, n in enumerate(space) if n != 1 or a in reduced]
    places = tuple(kept.index(a) if a in kept else None for a in range(len(space)))
    return Work(node, tuple(space[a] for a in kept), places, tuple(kept.index(a) for a in reduced), combine)


def work_of(node: Node) -> Work | None:
    """The work of a node, or None if it is a leaf, a scatter or a real contraction."""
    match node.op.lowering:
        case Pointwise():
            return Work(node, node.type.core, node.type.places)
        case Reduction(combine, axes):
            return _work(node, node.inputs[0].type.shape, axes(node.attrs), combine)
        case Contraction():
            left, right = (i.type.shape for i in node.inputs)
            bytes_in = all(i.type.dtype in (t.int8, t.uint8) for i in node.inputs)
            tiles = node.type.dtype.is_float or (bytes_in and node.type.dtype == t.int32)
            if 1 in (left[-2], right[-1]) or not tiles:  # a matrix times a vector is a plain sum of products
                return _work(node, (*node.type.shape, left[-1]), (len(left),), ADD)
    return None


def work_value(k: Scalars, work: Work, core: tuple[Size, ...]) -> Value:
    """The expression of a node's work at an index of its domain."""
    node = work.node
    index = tuple(0 if p is None else core[p] for p in work.places)
    match node.op.lowering:
        case Pointwise(body):
            return body(k, index, **node.attrs)  # type: ignore[no-any-return]
        case Reduction(combine):
            value = k.load(0, index)
            return value if combine.positions else k.cast(value, node.type.dtype)
        case Contraction():
            *batch, m, n, inner = index
            left, right = k.load(0, (*batch, m, inner)), k.load(1, (*batch, inner, n))
            return k.cast(left, node.type.dtype) * k.cast(right, node.type.dtype)
    raise AssertionError(node)


@cache
def axis_names(rank: int) -> tuple[Size, ...]:
    """The index of a domain in its own variables, whose names no dimension can have."""
    return tuple(dims.symbol(f"d.{a}") for a in range(rank))


@dataclass(frozen=True)
class Read:
    """A materialised value that a node needs, at a core index in the node's own domain variables."""

    node: Node
    index: tuple[Size, ...]


class NodeScalars(Scalars):
    """Scalar code of one node."""

    node: Node

    @property
    def operands(self) -> int:
        return len(self.node.inputs)

    def type(self, operand: int) -> TensorType:
        return self.node.inputs[operand].type

    @property
    def result(self) -> TensorType:
        return self.node.type
