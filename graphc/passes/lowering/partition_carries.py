"""Partition the carries of a loop by rows, where the rows do not depend on each other.

    carry %c: [16, 64]                            parallel part < 2 {
    for t < n {                         =>          for t < n {
      for i < 16 { c[i, ...] = f(c[i, ...]) }         for i in 8*part .. 8*part + 8 { c[i, ...] = f(c[i, ...]) }
    }                                               }
                                                  }

If every array that a step writes has the rows of the carries as its first axis, and each access to such an array is to the row
that one loop variable counts, then a step's row is made of the same row of the step before: whoever computes some rows needs
nobody else's. Arrays that are only read may be read anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Accumulate, Axis, Contract, Init, Kernel, Load, Loop, Program, Reduce, Statement, Store, bodies

# How much work a thread needs, by measurement; the bits of results do not depend on it.
ROWS = 8  # the fewest rows of a partition
ELEMENTS = 512  # the fewest elements of the widest carry in a partition
MANY = 16  # enough partitions for any number of cores
Vars = frozenset[str]


@dataclass(frozen=True)
class Partition:
    """The rows of arrays that one iteration of a parallel loop computes."""

    axis: Axis
    rows: int
    each: int
    turns: tuple[Mapping[str, int], ...]  # for each call the loops that count rows, with the number of their turns for a row

    def limited(self, axis: Axis, turns: int) -> Axis:
        """The bounds, in this partition, of a loop that has so many turns for each row."""
        first = dims.mul(dims.symbol(self.axis.var), self.each)
        stop = dims.minimum(self.rows, dims.add(first, self.each))
        first, stop = dims.mul(first, turns), dims.mul(stop, turns)
        return Axis(axis.var, dims.minimum(axis.stop, stop), first if axis.start == 0 else dims.maximum(axis.start, first))


def partition_of(program: Program, carries: int, var: str) -> Partition | None:
    """How the rows of the carries, a body's first inputs, can be partitioned; None where they cannot, or are too few."""
    kinds = [program.buffers[name].type for name in program.inputs[:carries]]
    rows = kinds[0].shape[0] if kinds and kinds[0].rank else None
    if not isinstance(rows, int) or rows < 2 * ROWS or any(k.shape[:1] != (rows,) for k in kinds):
        return None
    passed = [program.buffers[name].type for name in program.outputs if name in program.inputs]  # which are copied as they are
    widths = [dims.divide_exactly(k.size, rows) for k in (*kinds, *passed)]
    width = max((w for w in widths if isinstance(w, int)), default=0)
    if width == 0 or not all(isinstance(w, int) for w in widths):
        return None
    count = min(MANY, rows // max(ROWS, -(-ELEMENTS // width)))
    if count < 2:
        return None
    each = -(-rows // count)
    each = each if width > 1 else -(-each // 16) * 16  # whole vectors
    turns = _turns(program, rows)
    return None if turns is None else Partition(Axis(var, -(-rows // each)), rows, each, turns)


def _turns(program: Program, rows: int) -> tuple[Mapping[str, int], ...] | None:
    """For each call the loops that count rows; None where a call has no such loops."""
    written = {b for call in program.calls for p, b in zip(call.kernel.params, call.buffers, strict=True) if p.mode != "in"}
    found = []
    for call in program.calls:
        if not isinstance(call.kernel, Kernel):
            return None
        own = {p.name: p.type.shape for p, b in zip(call.kernel.params, call.buffers, strict=True) if b in written}
        turns = _Look(call.kernel, own, rows).turns()
        if turns is None:
            return None
        found.append(turns)
    return tuple(found)


@dataclass
class _Look:
    """Whether a kernel's statements keep to rows, and which loops count these."""

    kernel: Kernel
    own: Mapping[str, tuple[Size, ...]]  # the shapes of arrays that have rows
    rows: int
    counts: dict[str, int] = field(default_factory=dict)  # loop variable -> its turns for a row
    inside: list[Vars] = field(default_factory=list)  # the loops around each access
    inits: dict[str, Vars] = field(default_factory=dict)
    reduces: list[tuple[str, Vars]] = field(default_factory=list)

    def turns(self) -> dict[str, int] | None:
        """The loops that count rows, if each access lies within one of them, and no sum runs over several rows."""
        parallel = frozenset(a.var for a in self.kernel.parallel)
        if not self._body(self.kernel.body, parallel):
            return None
        counting = self.counts.keys()
        if self.kernel.scratch and not counting <= parallel:  # another row could read what this one has left there
            return None
        if any(len(around & counting) != 1 for around in self.inside):
            return None
        if any((around - self.inits[name]) & counting for name, around in self.reduces):
            return None
        return self.counts

    def _body(self, body: tuple[Statement, ...], around: Vars) -> bool:
        for statement in body:
            match statement:
                case (
                    Load(buffer=buffer, index=index) | Store(buffer=buffer, index=index) | Accumulate(buffer=buffer, index=index)
                ):
                    if buffer in self.own and not self._access(self.own[buffer], index, around):
                        return False
                case Init(name=name):
                    self.inits[name] = around
                case Reduce(name=name):
                    self.reduces.append((name, around))
                case Contract(m, n, k, left, right, _, _, epilogue):
                    parts = ((left.body, (m, k)), (right.body, (k, n)), (epilogue, (m, n)))
                    if not all(self._body(part, around.union(a.var for a in axes)) for part, axes in parts):
                        return False
                    continue
            within = around | {statement.var} if isinstance(statement, Loop) else around
            if not all(self._body(inner, within) for inner in bodies(statement)):
                return False
        return True

    def _access(self, shape: tuple[Size, ...], index: tuple[Size, ...], around: Vars) -> bool:
        """Whether the first index is a loop variable alone, of which each row has a whole number of turns."""
        if not shape or not isinstance(shape[0], int) or shape[0] % self.rows:
            return False
        var = next((v for v in around if index[0] == dims.symbol(v)), None)
        if var is None or self.counts.setdefault(var, shape[0] // self.rows) != shape[0] // self.rows:
            return False
        self.inside.append(around)
        return True
