"""Clusters: nodes that share a kernel, and what they weigh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphc.ir import dims
from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.passes.domains import core_shape

MAX_NODES = 160  # of one kernel: compile time grows faster than its size
TYPICAL = 64  # what a symbolic size is taken for where a choice depends on it


@dataclass
class Cluster:
    """Nodes that share a kernel."""

    number: int
    form: str  # rows, columns, contract, scatter, stages, row_partials
    shape: Shape  # the shape its rows are cut from: outer space = shape[:prefix]
    prefix: int
    nodes: list[Node] = field(default_factory=list)
    totals: set[Node] = field(default_factory=set)  # reductions over everything, finished by a second kernel
    row_partials: set[Node] = field(default_factory=set)  # sums down the columns of which every block of rows makes a part
    stages: list[Cluster] = field(default_factory=list)  # in order, if the form is stages or row_partials: its rows and columns
    before: int = 0  # bits of the clusters that must run before this one; of those that have become one, any
    reads: int = 0  # bits of those among them that it reads
    readers: int = 0  # bits of those that read it
    domains: set[Shape] | None = None  # of its nodes, if it has been asked for them
    mask: int = 0  # its own bit, and those of the clusters that have become part of it

    def __post_init__(self) -> None:
        self.mask |= self.bit

    @property
    def bit(self) -> int:
        return 1 << self.number


def numbers_of(bits: int) -> Iterator[int]:
    """The numbers whose bits are set."""
    while bits:
        low = bits & -bits
        bits ^= low
        yield low.bit_length() - 1


def bytes_of(node: Node) -> float:
    """The bytes of a value, as far as a choice needs to know."""
    size = dims.product(core_shape(node))
    return float(dims.evaluate(size, dict.fromkeys(dims.names(size), TYPICAL))) * node.type.dtype.itemsize
