"""What nodes read and what they cost: their scalar code run without writing it, once for all nodes that are alike."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.operation import Collective, Contraction, Host, Prefix, Scan, Scatter, Sized, Switch, While
from graphc.ir.structure import attributes_of
from graphc.passes.domains import Read, Work, axis_names, work_value
from graphc.passes.trace import Trace


class Measured(Protocol):
    """Who knows which nodes are inlined, and the work of each."""

    work: dict[Node, Work]

    def inlined(self, node: Node) -> bool: ...


class _Known(NamedTuple):
    """What nodes of a kind read: by the path of operands that leads there, and at which index; and their weight."""

    paths: list[tuple[int, ...]]
    indices: list[tuple[Size, ...]]
    weight: int


class Probes:
    """Asks nodes what they read and cost, and remembers the answer for others that the same code computes."""

    def __init__(self) -> None:
        self._kinds: dict[Node, int] = {}
        self._numbers: dict[Any, int] = {}
        self._known: dict[int, _Known] = {}

    def ask(self, plan: Measured, node: Node, alike: bool) -> tuple[list[Read], int]:
        """What a node reads and weighs; if not `alike`, it has operands inlined that others of its kind have not."""
        kind = self._kinds[node] = self._kind(plan, node)
        if alike and kind in self._known:
            paths, indices, weight = self._known[kind]
            return [Read(_reached(node, p), i) for p, i in zip(paths, indices, strict=True)], weight
        probe = _probe(plan, node)
        if alike:
            self._known[kind] = _Known(probe.paths, [r.index for r in probe.reads], probe.weight)
        return probe.reads, probe.weight

    def _kind(self, plan: Measured, node: Node) -> int:
        """A number that nodes share if the same code computes them from values of the same types."""
        inputs = tuple(self._kinds[i] if plan.inlined(i) else i.type for i in node.inputs)
        return self._numbers.setdefault((node.op, node.type, inputs, attributes_of(node)), len(self._numbers))


def _probe(plan: Measured, node: Node) -> Trace:
    work = plan.work.get(node)
    probe = Trace(node, {} if work is None else {f"d.{a}": n for a, n in enumerate(work.domain)}, plan.inlined)
    if work is not None:
        work_value(probe, work, axis_names(len(work.domain)))
        return probe
    rank = node.inputs[0].type.rank if node.inputs else 0  # a loop may be given nothing
    match node.op.lowering:
        case Host() | Collective() | Scan() | While() | Switch() | Sized():
            for operand, given in enumerate(node.inputs):
                probe.load(operand, axis_names(given.type.rank))
        case Contraction():
            *batch, m, k, n = axis_names(rank + 1)
            probe.load(0, (*batch, m, k))
            probe.load(1, (*batch, k, n))
        case Scatter(place=place, base=base):
            probe.load(0, axis_names(rank))
            if base is not None:
                probe.load(base, axis_names(node.type.rank))
            place(probe, axis_names(rank), **node.attrs)
        case Prefix():
            for operand in range(len(node.inputs)):
                probe.load(operand, axis_names(rank))
    return probe


def _reached(node: Node, path: tuple[int, ...]) -> Node:
    """The node that a path of operands leads to."""
    for operand in path:
        node = node.inputs[operand]
    return node
