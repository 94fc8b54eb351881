"""What the scalar code of a node does: it is run once, on values that are nothing but names, and all that it does is noted.

    %2 = multiply(%0, %1)           loads %0[d.0], %1[d.0]; mul of two float32
    %3 = permute_dims(%2)           loads %2[d.1, d.0]; nothing is computed

Inlining asks what a node reads, where, and what it costs; masks ask whether it only moves elements, and along which axes it
differs; widening asks what it does with values of 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from graphc.ir import dims
from graphc.ir.dims import Ranges, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Pointwise
from graphc.ir.scalar import Arg, Const, Ref, Value
from graphc.ir.types import DType
from graphc.passes.domains import NodeScalars, Read, axis_names, core_index, work_of, work_value

EXPENSIVE = 8  # the weight from which a scalar operation is dearer than a store and a load, roughly so on every processor
_WEIGHTS = {"index": 0, "cast": 1, "div": 3, "sqrt": 3, "floor_divide": 8, "remainder": 8, "fmod": 8, "quot": 4, "rem": 4}
_CHEAP = frozenset(
    "add sub mul neg abs floor ceil trunc rint eq ne lt le gt ge and or xor not select sign maximum minimum copysign signbit "
    "isnan isinf isfinite left_shift right_shift shl shr bitcast fma".split()
)


class Step(NamedTuple):
    """An operation of the code; that of an index expression is `index`."""

    op: str
    args: tuple[Arg, ...]
    dtype: DType
    at: Size


class Loaded(NamedTuple):
    """An element that the code loads: `path` are the operands that lead there from the node that was asked about."""

    node: Node
    at: tuple[Size, ...]
    path: tuple[int, ...]


class Trace(NodeScalars):
    """The code of a node, and of the operands that are inlined in it."""

    def __init__(self, node: Node, ranges: Ranges = dims.NO_RANGES, inlined: Callable[[Node], bool] = lambda node: False) -> None:
        self.node = node
        self.steps: list[Step] = []
        self.loads: list[Loaded] = []
        self.weight = 0  # what the operations cost; those that find the place of an element that is moved cost nothing
        self._ranges = ranges
        self._inlined = inlined
        self._path: tuple[int, ...] = ()
        self._free = _moves(node)

    @property
    def reads(self) -> list[Read]:
        """The values that are loaded, at indices without axes of size 1."""
        return [Read(node, core_index(node, index)) for node, index, _ in self.loads]

    @property
    def paths(self) -> list[tuple[int, ...]]:
        return [path for *_, path in self.loads]

    @property
    def ranges(self) -> Ranges:
        return self._ranges

    def _fresh(self, dtype: DType) -> Ref:
        return Ref(f"p{len(self.steps) + len(self.loads)}", dtype)

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        if not self._free:
            self.weight += _WEIGHTS.get(op, 1 if op in _CHEAP else 3 * EXPENSIVE)
        self.steps.append(Step(op, args, dtype, index))
        return self._fresh(dtype)

    def load(self, operand: int, index: Sequence[Size], guard: Value | None = None) -> Value:
        node, given, at = self.node, self.node.inputs[operand], tuple(index)
        if not self._inlined(given):
            self.loads.append(Loaded(given, at, (*self._path, operand)))
            return Value(self, self._fresh(given.type.dtype))
        lowering, path = given.op.lowering, self._path
        assert isinstance(lowering, Pointwise)
        free, self._free = self._free, lowering.moves
        self.node, self._path = given, (*path, operand)
        value: Value = lowering.body(self, at, **given.attrs)
        self.node, self._path, self._free = node, path, free
        return Value(self, Const(0, value.dtype) if isinstance(value.arg, Const) else value.arg)


def _moves(node: Node) -> bool:
    return isinstance(node.op.lowering, Pointwise) and node.op.lowering.moves


def trace(node: Node, inlined: Callable[[Node], bool] = lambda node: False) -> Trace:
    """What one element of a pointwise node is made of, at an index of `axis_names`."""
    lowering = node.op.lowering
    assert isinstance(lowering, Pointwise)
    found = Trace(node, {f"d.{a}": n for a, n in enumerate(node.type.shape)}, inlined)
    lowering.body(found, axis_names(node.type.rank), **node.attrs)
    return found


def is_dear(node: Node) -> bool:
    """Whether an element of a pointwise result costs more than to store it and to load it again."""
    work = work_of(node) if isinstance(node.op.lowering, Pointwise) else None
    if work is None:
        return False
    found = Trace(node, {f"d.{a}": n for a, n in enumerate(work.domain)})
    work_value(found, work, axis_names(len(work.domain)))
    return found.weight >= EXPENSIVE
