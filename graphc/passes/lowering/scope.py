"""Kernels under construction: statements in nested blocks, and the memory of the nodes they compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphc.ir import dims
from graphc.ir.dims import Ranges, Shape, Size
from graphc.ir.graph import Node
from graphc.ir.program import Axis, Call, Kernel, Load, Loop, Param, Scratch, Statement, Store
from graphc.ir.scalar import Arg, Let, Ref, Value, key_of_statement
from graphc.ir.types import DType
from graphc.passes.domains import NodeScalars, core_index, core_shape, full_index, work_value
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.plan import Plan

NO_PARTIALS: Mapping[Param, str] = {}
_LETTERS = "ijklmnopqrst"


class Scope:
    """Statements under construction in one block of a kernel; looks up values in the blocks around it."""

    def __init__(self, writer: KernelWriter, parent: Scope | None = None, ranges: Ranges = dims.NO_RANGES) -> None:
        self.writer = writer
        self.parent = parent
        self.ranges: Ranges = {**(parent.ranges if parent else {}), **ranges}
        self.body: list[Statement] = []
        self._known: dict[Any, Arg] = {}

    def find(self, key: Any) -> Arg | None:
        scope: Scope | None = self
        while scope is not None:
            if key in scope._known:
                return scope._known[key]
            scope = scope.parent
        return None

    def know(self, key: Any, arg: Arg) -> Arg:
        self._known[key] = arg
        return arg

    def let(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        key = ("let", *key_of_statement(op, args, dtype, index))
        found = self.find(key)
        if found is None:
            name = self.writer.fresh()
            self.body.append(Let(name, dtype, op, args, index))
            found = self.know(key, Ref(name, dtype))
        return found

    def load(self, buffer: str, dtype: DType, index: tuple[Size, ...], guard: Arg | None = None) -> Arg:
        key = ("load", buffer, index, None if guard is None else repr(guard))
        found = self.find(key)
        if found is None:
            name = self.writer.fresh()
            self.body.append(Load(name, dtype, buffer, index, guard))
            found = self.know(key, Ref(name, dtype))
        return found

    def value(self, node: Node, index: tuple[Size, ...], guard: Arg | None = None) -> Arg:
        """The element of a node at a full index: inlined, known here, or loaded."""
        if self.writer.plan.inlined(node):
            return node.op.lowering.body(Code(self, node, guard), index, **node.attrs).arg  # type: ignore[union-attr,no-any-return]
        core = core_index(node, index)
        found = self.find((node, core))
        if found is not None:
            return found
        buffer, at = self.writer.place(node, core)
        return self.load(buffer, node.type.dtype, at, guard)

    def compute(self, node: Node, index: tuple[Size, ...]) -> Arg:
        """The element of a node's work at an index of its domain, computed here."""
        return work_value(Code(self, node), self.writer.plan.work[node], index).arg

    def store(self, node: Node, index: tuple[Size, ...], value: Arg) -> None:
        buffer, at = self.writer.place(node, index)
        self.body.append(Store(buffer, at, value))

    def loops(self, axes: Sequence[Axis], inside: Callable[[Scope], None]) -> None:
        """Nested loops around what `inside` writes. A variable may have another range, where a loop covers a part of an axis."""
        scopes = [self]
        for axis in axes:
            scopes.append(Scope(self.writer, scopes[-1], {axis.var: self.ranges.get(axis.var, axis.stop)}))
        inside(scopes[-1])
        for axis, inner, outer in zip(reversed(axes), reversed(scopes[1:]), reversed(scopes[:-1]), strict=True):
            outer.body.append(Loop(axis.var, axis.stop, tuple(inner.body), axis.start))


class Code(NodeScalars):
    """The `k` of an operation's rule: records into a scope, reads through it."""

    def __init__(self, scope: Scope, node: Node, guard: Arg | None = None) -> None:
        self.scope = scope
        self.node = node
        self.guard = guard

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        return self.scope.let(op, args, dtype, index)

    def load(self, operand: int, index: Sequence[Size], guard: Value | None = None) -> Value:
        both = self.guard if guard is None else guard.arg
        if self.guard is not None and guard is not None:
            both = self.scope.let("and", (self.guard, guard.arg), guard.dtype)
        return Value(self, self.scope.value(self.node.inputs[operand], tuple(index), both))

    @property
    def ranges(self) -> Ranges:
        return self.scope.ranges


class KernelWriter:
    """One kernel under construction."""

    def __init__(self, plan: Plan, cluster: Cluster, crossing: set[Node], names: Mapping[Node, str]) -> None:
        self.plan = plan
        self.names = names
        self.cluster = cluster  # the stage being written, if there are several
        self.members = set(cluster.nodes)
        self.whole = cluster
        self.group = frozenset(cluster.nodes)
        self.crossing = crossing
        self.given: dict[Node, str] = {}
        self.made: dict[Node, str] = {}
        self.scratch: dict[Node, Scratch] = {}
        self.parts: dict[Node, Param] = {}  # memory of row_partials: a part for each block of rows, at index `block`
        self.block: Size = 0
        self.handed: dict[Node, tuple[str, tuple[Size, ...]]] = {}  # memory, and where the part in it begins
        self.spare: list[Scratch] = []
        self._count = 0

    def enter(self, stage: Cluster) -> None:
        """Begin to write a stage."""
        self.cluster = stage
        self.members = set(stage.nodes)

    def loop(self, name: str) -> str:
        """A name for a loop variable, different from those of all dimensions."""
        while name in self.plan.dims:
            name += "_"
        return name

    def loop_names(self, rank: int) -> tuple[str, ...]:
        """Names for the loop variables of a domain's axes: i, j, k, ..."""
        return tuple(self.loop(_LETTERS[a] if a < len(_LETTERS) else f"i{a}") for a in range(rank))

    def fresh(self) -> str:
        self._count += 1
        return str(self._count - 1)

    def keeps(self, node: Node) -> bool:
        """Whether a member's value is needed outside of its stage."""
        return node in self.crossing or node in self.handed

    def place(self, node: Node, core: tuple[Size, ...]) -> tuple[str, tuple[Size, ...]]:
        """The memory of a node's value, and the index in it of an element given by its core index."""
        if node in self.parts:
            return self.parts[node].name, (self.block, *core)
        if node in self.group:
            if node in self.crossing and node not in self.cluster.totals:
                return self.made.setdefault(node, f"y{len(self.made)}"), full_index(node, core)
            if node in self.handed:
                name, start = self.handed[node]
                return name, tuple(dims.sub(i, s) for i, s in zip(core[len(core) - len(start) :], start, strict=True))
            if node in self.scratch:
                return self.scratch[node].name, core[self.cluster.prefix :]
            raise AssertionError(f"{node!r} has no memory in its kernel")
        return self.given.setdefault(node, f"x{len(self.given)}"), full_index(node, core)

    def new_scratch(self, dtype: DType, shape: Shape) -> str:
        self.spare.append(Scratch(f"s{len(self.scratch) + len(self.spare)}", dtype, shape))
        return self.spare[-1].name

    def keep_in_scratch(self, node: Node) -> None:
        if not self.keeps(node) and node not in self.scratch:
            shape = core_shape(node)[self.cluster.prefix :]
            self.scratch[node] = Scratch(f"s{len(self.scratch) + len(self.spare)}", node.type.dtype, shape)

    def hand_on(self, node: Node, shape: Shape, start: tuple[Size, ...], memory: Scratch | None = None) -> Scratch:
        """Keep the part of a value that begins at `start` in the last axes for later stages, in new or in given scratch."""
        if memory is None:
            self.new_scratch(node.type.dtype, shape)
            memory = self.spare[-1]
        self.handed[node] = memory.name, start
        return memory

    def call(
        self,
        parallel: Sequence[Axis],
        body: Sequence[Statement],
        partial: Mapping[Param, str] = NO_PARTIALS,
    ) -> Call:
        """The call of the kernel with this body, on its nodes' buffers; `partial` adds parameters with buffers of their own."""
        buffers = {name: self.names[n] for n, name in (*self.given.items(), *self.made.items())}
        params = [Param(name, n.type, "in") for n, name in self.given.items()]
        params += [Param(name, n.type, "out") for n, name in self.made.items()]
        for param, buffer in partial.items():
            params.append(param)
            buffers[param.name] = buffer
        params.sort(key=lambda p: p.mode == "out")  # what is read first, then what is made
        scratch = (*self.scratch.values(), *self.spare)
        lines = tuple(dict.fromkeys(n.where for n in self.whole.nodes if n.where is not None))
        places = tuple(self.plan.position[n] for n in self.whole.nodes)
        kernel = Kernel("k", tuple(params), tuple(parallel), tuple(body), scratch, lines, places)
        return Call(kernel, tuple(buffers[p.name] for p in params))
