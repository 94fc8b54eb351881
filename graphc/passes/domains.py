"""What a node computes, reads and costs: the terms in which fusion thinks.

Axes of size 1 need neither loops nor addresses, so they are left out here: a value's *core* is its shape without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from graphc.ir import dims
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Contraction, Pointwise, Reduction
from graphc.ir.scalar import Arg, Const, Ref, Scalars, Value
from graphc.ir.types import DType, TensorType

EXPENSIVE = 8  # the weight from which a scalar operation is dearer than a store and a load
_WEIGHTS = {"index": 0, "cast": 1, "div": 3, "sqrt": 3, "floor_divide": 8, "remainder": 8, "fmod": 8, "quot": 4, "rem": 4}
_CHEAP = frozenset(
    "add sub mul neg abs floor ceil trunc rint eq ne lt le gt ge and or xor not select sign maximum minimum copysign signbit "
    "isnan isinf isfinite left_shift right_shift shl shr bitcast fma".split()
)


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
    combine: str = ""

    @property
    def free(self) -> tuple[int, ...]:
        return tuple(a for a in range(len(self.domain)) if a not in self.reduced)

    @property
    def is_reduction(self) -> bool:
        return bool(self.combine)


def _work(node: Node, space: Shape, reduced: tuple[int, ...] = (), combine: str = "") -> Work:
    kept = [a for a, n in enumerate(space) if n != 1 or a in reduced]
    places = tuple(kept.index(a) if a in kept else None for a in range(len(space)))
    return Work(node, tuple(space[a] for a in kept), places, tuple(kept.index(a) for a in reduced), combine)


def work_of(node: Node) -> Work | None:
    """The work of a node, or None if it is a leaf, a scatter or a real contraction."""
    match node.op.lowering:
        case Pointwise():
            return _work(node, node.type.shape)
        case Reduction(combine, axes):
            return _work(node, node.inputs[0].type.shape, axes(node.attrs), combine)
        case Contraction():
            left, right = (i.type.shape for i in node.inputs)
            if 1 in (left[-2], right[-1]) or not node.type.dtype.is_float:  # a matrix times a vector is a plain sum of products
                return _work(node, (*node.type.shape, left[-1]), (len(left),), "add")
    return None


def work_value(k: Scalars, work: Work, core: tuple[Size, ...]) -> Value:
    """The expression of a node's work at an index of its domain."""
    node = work.node
    index = tuple(0 if p is None else core[p] for p in work.places)
    match node.op.lowering:
        case Pointwise(body):
            return body(k, index, **node.attrs)  # type: ignore[no-any-return]
        case Reduction():
            value = k.load(0, index)
            return value if work.combine.startswith("arg") else k.cast(value, node.type.dtype)
        case Contraction():
            *batch, m, n, inner = index
            return k.load(0, (*batch, m, inner)) * k.load(1, (*batch, inner, n))
    raise AssertionError(node)


def axis_names(rank: int) -> tuple[Size, ...]:
    """The index of a domain in its own variables, whose names no dimension can have."""
    return tuple(dims.symbol(f"d.{a}") for a in range(rank))


@dataclass(frozen=True)
class Read:
    """A materialised value that a node needs, at a core index in the node's own domain variables."""

    node: Node
    index: tuple[Size, ...]


class Inlining(Protocol):
    """Who knows which nodes are inlined."""

    def inlined(self, node: Node) -> bool: ...


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


class Probe(NodeScalars):
    """Runs scalar rules without recording code, to learn what they read and what they cost."""

    def __init__(self, plan: Inlining, node: Node, ranges: dims.Ranges, path: tuple[int, ...] = ()) -> None:
        self.plan = plan
        self.path = path  # the operands that lead here from the node that is asked about
        self.paths: list[tuple[int, ...]] = []  # the same for each read
        self.node = node
        self._ranges = ranges
        self.reads: list[Read] = []
        self.weight = 0
        self.moves = isinstance(node.op.lowering, Pointwise) and node.op.lowering.moves
        self.loads = 0
        self.count = 0

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        if not self.moves:
            self.weight += _WEIGHTS.get(op, 1 if op in _CHEAP else 3 * EXPENSIVE)
        self.count += 1
        return Ref(f"p{self.count}", dtype)

    def load(self, operand: int, index: Any, guard: Value | None = None) -> Value:
        given = self.node.inputs[operand]
        self.loads += 1
        if self.plan.inlined(given):
            inner = Probe(self.plan, given, self._ranges, (*self.path, operand))
            inner.count = self.count + 1000 * self.loads
            value = given.op.lowering.body(inner, tuple(index), **given.attrs)  # type: ignore[union-attr]
            self.reads += inner.reads
            self.paths += inner.paths
            self.weight += inner.weight
            return Value(self, Const(0, value.dtype) if isinstance(value.arg, Const) else value.arg)
        self.reads.append(Read(given, core_index(given, tuple(index))))
        self.paths.append((*self.path, operand))
        self.count += 1
        return Value(self, Ref(f"p{self.count}", given.type.dtype))

    @property
    def ranges(self) -> dims.Ranges:
        return self._ranges


class _Nothing:
    """Nobody is inlined."""

    def inlined(self, node: Node) -> bool:
        return False


def is_dear(node: Node) -> bool:
    """Whether an element of a pointwise result costs more than to store it and to load it again."""
    work = work_of(node) if isinstance(node.op.lowering, Pointwise) else None
    if work is None:
        return False
    probe = Probe(_Nothing(), node, {f"d.{a}": n for a, n in enumerate(work.domain)})
    work_value(probe, work, axis_names(len(work.domain)))
    return probe.weight >= EXPENSIVE
