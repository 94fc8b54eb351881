"""Clusters: nodes that share a kernel, and what they weigh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from graphc.ir import dims
from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.ir.types import TensorType
from graphc.passes.fusion import forms
from graphc.passes.fusion.refusal import Rule

MAX_NODES = 160  # the heaviest kernel: compile time grows faster than the size of a kernel
TYPICAL = 64  # the value assumed for a symbolic size where a choice depends on it
FULL = Rule("full", f"one kernel has at most {MAX_NODES} nodes")


@dataclass(eq=False)
class Cluster:
    """Nodes that share a kernel."""

    number: int
    form: forms.Form
    nodes: list[Node] = field(default_factory=list)
    before: int = 0  # bits of the clusters that must run before this one; a merged cluster counts by any of its bits
    reads: int = 0  # bits of those among them that it reads
    readers: int = 0  # bits of those that read it
    domains: set[Shape] | None = None  # of its nodes, if it has been asked for them
    mask: int = 0  # its own bit, and those of the clusters that have become part of it

    def __post_init__(self) -> None:
        self.mask |= self.bit

    @property
    def bit(self) -> int:
        return 1 << self.number

    @property
    def shape(self) -> Shape:
        """The shape of the whole; its outer loops run over shape[:prefix]."""
        return self.form.shape

    @property
    def prefix(self) -> int:
        return self.form.prefix

    @property
    def totals(self) -> frozenset[Node]:
        """Its reductions over everything."""
        return self.form.totals if isinstance(self.form, forms.Rows) else forms.NONE

    @property
    def row_partials(self) -> frozenset[Node]:
        """The column sums for which each of its blocks of rows makes a partial sum."""
        return self.form.row_partials if isinstance(self.form, forms.Rows) else forms.NONE

    @property
    def parts(self) -> tuple[Cluster, ...]:
        """The clusters that it consists of, in order; itself, if it is a single one."""
        return self.form.parts if isinstance(self.form, (forms.Stages, forms.RowPartials)) else (self,)


def is_full(nodes: int) -> bool:
    """Whether one kernel cannot take more nodes."""
    return nodes > MAX_NODES


def numbers_of(bits: int) -> Iterator[int]:
    """The numbers whose bits are set."""
    while bits:
        low = bits & -bits
        bits ^= low
        yield low.bit_length() - 1


def bytes_of(node: Node) -> float:
    """The bytes of a value, as far as a choice needs to know."""
    return _bytes(node.type)


@lru_cache(maxsize=4096)
def _bytes(kind: TensorType) -> float:
    size = kind.size
    return float(dims.evaluate(size, dict.fromkeys(dims.names(size), TYPICAL))) * kind.dtype.itemsize
