"""Write kernels: the scalar code, loops, reductions and contractions of each cluster that `fuse` chose.

A rows kernel runs its outer space in parallel. Inside one row the code is cut into levels: what needs a reduction's result
comes one level later, in a loop of its own. A value needed in a later loop is computed again if that costs no more than a
load, else kept in scratch (or in the buffer it has anyway).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphc.ir import dims
from graphc.ir.dims import Ranges, Shape, Size
from graphc.ir.graph import Graph, Node
from graphc.ir.neutral import neutral
from graphc.ir.operation import Scatter
from graphc.ir.program import (
    Axis,
    Block,
    Buffer,
    Call,
    Contract,
    Gather,
    Init,
    Kernel,
    Load,
    Loop,
    Param,
    Program,
    Reduce,
    Scratch,
    Statement,
    Store,
)  # fmt: skip
from graphc.ir.scalar import Arg, Const, Let, Ref, Scalars, Value
from graphc.ir.text import names_of
from graphc.ir.types import DType, TensorType, bool_
from graphc.passes.fuse import Cluster, Plan, core_index, core_shape, full_index, work_value

TILE = 128  # lanes of a column reduction that one thread keeps in scratch
BLOCK = 64  # rows added up before their sum joins the compensated total
CHUNK = 8192  # elements of a total that one thread adds up
NO_PARTIALS: Mapping[Param, str] = {}
_LETTERS = "ijklmnopqrst"


class Scope:
    """Statements under construction in one block of a kernel; looks up values in the blocks around it."""

    def __init__(self, writer: Writer, parent: Scope | None = None, ranges: Ranges = dims.NO_RANGES) -> None:
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
        key = ("let", op, tuple((type(a), repr(a)) for a in args), dtype, index)
        found = self.find(key)
        if found is None:
            name = self.writer.fresh()
            self.body.append(Let(name, dtype, op, args, index))
            found = self.know(key, Ref(name, dtype))
        return found

    def load(self, buffer: str, dtype: DType, index: tuple[Size, ...], guard: Arg | None = None) -> Arg:
        key = ("load", buffer, index, repr(guard))
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
        """Nested loops around what `inside` writes."""
        scopes = [self]
        for axis in axes:
            scopes.append(Scope(self.writer, scopes[-1], {axis.var: axis.extent}))
        inside(scopes[-1])
        for axis, inner, outer in zip(reversed(axes), reversed(scopes[1:]), reversed(scopes[:-1]), strict=True):
            outer.body.append(Loop(axis.var, axis.extent, tuple(inner.body)))


class Code(Scalars):
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

    @property
    def operands(self) -> int:
        return len(self.node.inputs)

    def type(self, operand: int) -> TensorType:
        return self.node.inputs[operand].type

    @property
    def result(self) -> TensorType:
        return self.node.type


class Writer:
    """One kernel under construction."""

    def __init__(self, plan: Plan, cluster: Cluster, crossing: set[Node], names: Mapping[Node, str]) -> None:
        self.plan = plan
        self.names = names
        self.cluster = cluster
        self.crossing = crossing
        self.members = set(cluster.nodes)
        self.given: dict[Node, str] = {}
        self.made: dict[Node, str] = {}
        self.scratch: dict[Node, Scratch] = {}
        self.spare: list[Scratch] = []
        self._count = 0

    def loop(self, name: str) -> str:
        """A name for a loop variable that no dimension has."""
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
        """Whether a member's value leaves the kernel."""
        return node in self.crossing

    def place(self, node: Node, core: tuple[Size, ...]) -> tuple[str, tuple[Size, ...]]:
        """The memory of a node's value, and the place of a core index in it."""
        if node in self.members:
            if node in self.crossing and node not in self.cluster.totals:
                return self.made.setdefault(node, f"y{len(self.made)}"), full_index(node, core)
            if node in self.scratch:
                return self.scratch[node].name, core[self.cluster.prefix :]
            raise AssertionError(f"{node!r} has no memory in its kernel")
        return self.given.setdefault(node, f"x{len(self.given)}"), full_index(node, core)

    def new_scratch(self, dtype: DType, shape: Shape) -> str:
        self.spare.append(Scratch(f"s{len(self.scratch) + len(self.spare)}", dtype, shape))
        return self.spare[-1].name

    def keep_in_scratch(self, node: Node) -> None:
        if node not in self.crossing and node not in self.scratch:
            shape = core_shape(node)[self.cluster.prefix :]
            self.scratch[node] = Scratch(f"s{len(self.scratch) + len(self.spare)}", node.type.dtype, shape)

    def call(
        self,
        parallel: Sequence[Axis],
        body: Sequence[Statement],
        partial: Mapping[Param, str] = NO_PARTIALS,
        vector: bool = False,
    ) -> Call:
        """The kernel with this body, called on its nodes' buffers; `partial` adds parameters with buffers of their own."""
        buffers = {name: self.names[n] for n, name in (*self.given.items(), *self.made.items())}
        params = [Param(name, n.type, "in") for n, name in self.given.items()]
        params += [Param(name, n.type, "out") for n, name in self.made.items()]
        for param, buffer in partial.items():
            params.append(param)
            buffers[param.name] = buffer
        scratch = (*self.scratch.values(), *self.spare)
        lines = tuple(dict.fromkeys(n.where for n in self.cluster.nodes if n.where is not None))
        places = tuple(self.plan.position[n] for n in self.cluster.nodes)
        kernel = Kernel("k", tuple(params), tuple(parallel), tuple(body), scratch, vector, lines, places)
        return Call(kernel, tuple(buffers[p.name] for p in params))


# --- rows ------------------------------------------------------------------------------------------------------------


Stage = tuple[int, Shape, bool]  # level, axes inside the row, whether it searches a position (which does not vectorise)


class Rows:
    """The body of a rows kernel."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.plan = writer.plan
        self.cluster = writer.cluster
        self.prefix = writer.cluster.prefix
        self.outer: Shape = writer.cluster.shape[: self.prefix]
        self.level: dict[Node, int] = {}
        self.again: dict[Node, set[Stage]] = {}
        for node in self.cluster.nodes:
            self._set_level(node)
        for node in reversed(self.cluster.nodes):
            self._keep_or_repeat(node)

    def rest(self, node: Node) -> Shape:
        return self.plan.work[node].domain[self.prefix :]

    def home(self, node: Node) -> Stage:
        return self.level[node], self.rest(node), self.plan.work[node].combine.startswith("arg")

    def is_scalar(self, node: Node) -> bool:
        """Whether a member has one value a row."""
        return len(core_shape(node)) <= self.prefix

    def _set_level(self, node: Node) -> None:
        level = 0
        domain = self.plan.work[node].domain
        for read in self.plan.reads[node]:
            if read.node in self.writer.members:
                other = self.plan.work[read.node]
                later = other.is_reduction or (not self.is_scalar(read.node) and len(core_shape(read.node)) < len(domain))
                level = max(level, self.level[read.node] + later)
        self.level[node] = level

    def _keep_or_repeat(self, node: Node) -> None:
        work = self.plan.work[node]
        stages = self.again[node] = {self.home(node)}
        if self.is_scalar(node):
            return
        later = set()
        for user in self.cluster.nodes:
            if any(read.node is node for read in self.plan.reads[user]):
                later |= self.again[user]
        later -= stages
        if work.is_reduction:
            self.writer.keep_in_scratch(node)
        elif later and self._cheap(node) and all(rest == self.rest(node) for _, rest, _ in later):
            stages |= later
        elif later:
            self.writer.keep_in_scratch(node)

    def _cheap(self, node: Node) -> bool:
        def at_hand(other: Node) -> bool:
            return other not in self.writer.members or self.is_scalar(other)

        return self.plan.weight[node] <= 2 and all(at_hand(read.node) for read in self.plan.reads[node])

    def write(self, row: Scope, index: tuple[Size, ...], total: Callable[[Scope, Node, Arg], None]) -> None:
        """The code of one row."""
        stages: dict[Stage, list[Node]] = {}
        for node in self.cluster.nodes:
            for stage in self.again[node]:
                stages.setdefault(stage, []).append(node)
        for level in range(1 + max(self.level.values())):
            for node in stages.get((level, (), False), []):
                self._scalar(row, node, index, total)
            for (at, rest, _), nodes in sorted(stages.items(), key=lambda item: item[0][2]):
                if at == level and rest:
                    self._nest(row, level, rest, nodes, index, total)

    def _scalar(self, row: Scope, node: Node, index: tuple[Size, ...], total: Callable[[Scope, Node, Arg], None]) -> None:
        value = row.compute(node, index)
        if node in self.cluster.totals:
            total(row, node, value)
            return
        core = index[: len(core_shape(node))]
        row.know((node, core), value)
        if self.writer.keeps(node):
            row.store(node, core, value)

    def _nest(
        self, row: Scope, level: int, rest: Shape, nodes: list[Node], index: tuple[Size, ...],
        total: Callable[[Scope, Node, Arg], None],
    ) -> None:  # fmt: skip
        """One loop nest over the rest of a row: elementwise code, and the reductions that end in it."""
        p = self.prefix
        names = self.writer.loop_names(p + len(rest))[p:]
        axes = [Axis(v, n) for v, n in zip(names, rest, strict=True)]
        full = index + tuple(dims.symbol(v) for v in names)
        local = [n for n in nodes if self.plan.work[n].is_reduction]
        scopes = [row]
        for axis in axes:
            scopes.append(Scope(self.writer, scopes[-1], {axis.var: axis.extent}))
        depth: dict[Node, int] = {}
        accumulator: dict[Node, Ref] = {}
        for node in local:
            work = self.plan.work[node]
            first = p if node in self.cluster.totals else work.reduced[0]
            if (work.reduced[-1] - work.reduced[0] + 1 == len(work.reduced) and work.reduced[-1] == len(work.domain) - 1) or (
                node in self.cluster.totals
            ):
                depth[node] = first - p
                accumulator[node] = Ref(self.writer.fresh(), node.type.dtype)
                combine_type = node.inputs[0].type.dtype if work.combine.startswith("arg") else node.type.dtype
                scopes[depth[node]].body.append(Init(accumulator[node].name, combine_type, work.combine))
            else:
                self._clear(row, node, index)
        inner = scopes[-1]
        for node in nodes:
            value = inner.compute(node, full)
            work = self.plan.work[node]
            if node in accumulator:
                position = full[work.reduced[0]] if work.combine.startswith("arg") else None
                inner.body.append(Reduce(accumulator[node].name, node.type.dtype, work.combine, value, position))
            elif work.is_reduction:
                buffer, at = self.writer.place(node, tuple(full[a] for a in work.free))
                inner.body.append(Gather(buffer, at, work.combine, value))
            else:
                inner.know((node, full), value)
                if self.level[node] == level and (self.writer.keeps(node) or node in self.writer.scratch):
                    inner.store(node, full, value)
        for d in range(len(axes), 0, -1):
            scopes[d - 1].body.append(Loop(axes[d - 1].var, axes[d - 1].extent, tuple(scopes[d].body)))
            for node in local:
                if depth.get(node) == d - 1:
                    self._finish(scopes[d - 1], node, accumulator[node], full, total)

    def _clear(self, row: Scope, node: Node, index: tuple[Size, ...]) -> None:
        work = self.plan.work[node]
        p = self.prefix
        names = self.writer.loop_names(len(work.domain))
        axes = [Axis(names[a], work.domain[a]) for a in work.free[p:]]
        at = index + tuple(dims.symbol(a.var) for a in axes)
        row.loops(axes, lambda scope: scope.store(node, at, neutral(work.combine, node.type.dtype)))

    def _finish(
        self, scope: Scope, node: Node, value: Ref, full: tuple[Size, ...], total: Callable[[Scope, Node, Arg], None]
    ) -> None:
        if node in self.cluster.totals:
            total(scope, node, value)
            return
        at = tuple(full[a] for a in self.plan.work[node].free)
        scope.know((node, at), value)
        if self.writer.keeps(node) or node in self.writer.scratch:
            scope.store(node, at, value)


def _no_total(scope: Scope, node: Node, value: Arg) -> None:
    raise AssertionError("a total outside a chunked kernel")


def lower_rows(writer: Writer) -> list[Call]:
    rows = Rows(writer)
    if writer.cluster.totals:
        return _lower_totals(writer, rows)
    if rows.prefix > 0 and all(len(writer.plan.work[n].domain) == rows.prefix for n in writer.cluster.nodes):
        return [_lower_flat(writer, rows)]
    names = writer.loop_names(rows.prefix)
    axes = [Axis(v, n) for v, n in zip(names, rows.outer, strict=True)]
    row = Scope(writer, None, {a.var: a.extent for a in axes})
    rows.write(row, tuple(dims.symbol(v) for v in names), _no_total)
    return [writer.call(axes, row.body)]


def _lower_flat(writer: Writer, rows: Rows) -> Call:
    """Purely elementwise code: one long loop if every access allows it, else a loop over the last axis."""
    rank = rows.prefix
    size = dims.product(rows.outer)
    if rank > 1:
        i = writer.loop("i")
        row = Scope(writer, None, {i: size})
        rows.write(row, _unravel(dims.symbol(i), rows.outer, {i: size}), _no_total)
        call = writer.call([Axis(i, size)], row.body, vector=True)
        flat = _flatten(call.kernel, i)
        if flat is not None:
            return replace(call, kernel=flat)
    names = writer.loop_names(rank)
    index = tuple(dims.symbol(v) for v in names)
    axes = [Axis(v, n) for v, n in zip(names, rows.outer, strict=True)]
    row = Scope(writer, None, {a.var: a.extent for a in axes})
    rows.write(row, index, _no_total)
    if rank == 1:
        return writer.call(axes, row.body, vector=True)
    return writer.call(axes[:-1], [Loop(names[-1], rows.outer[-1], tuple(row.body))])


def _unravel(linear: Size, shape: Shape, ranges: Ranges) -> tuple[Size, ...]:
    index: list[Size] = []
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1:
            index.append(0)
            continue
        size = shape[axis] or 1  # an empty axis has no elements to find
        rest = dims.product(shape[:axis])
        index.append(linear if rest == 1 else dims.mod(linear, size, ranges))
        linear = dims.floordiv(linear, size, ranges)
    return tuple(reversed(index))


def _ravel(index: Sequence[Size], shape: Shape) -> Size:
    linear: Size = 0
    for i, n in zip(index, shape, strict=True):
        linear = dims.add(dims.mul(linear, n), i)
    return linear


def _flatten(kernel: Kernel, i: str) -> Kernel | None:
    """The kernel with one-dimensional parameters, if no address needs a division."""
    shapes = {p.name: p.type.shape for p in kernel.params}

    def divides(size: Size) -> bool:
        return isinstance(size, dims.Dim) and any(isinstance(a, dims.FloorDiv) and i in dims.names(a.numerator)
                                                  for m, _ in size.terms for a in m)  # fmt: skip

    body: list[Statement] = []
    for statement in kernel.body:
        match statement:
            case Load(name, dtype, buffer, index, guard):
                at = _ravel(index, shapes[buffer])
                if divides(at):
                    return None
                body.append(Load(name, dtype, buffer, (at,), guard))
            case Store(buffer, index, value):
                at = _ravel(index, shapes[buffer])
                if divides(at):
                    return None
                body.append(Store(buffer, (at,), value))
            case Let(index=at):
                if divides(at):
                    return None
                body.append(statement)
            case _:
                return None
    params = tuple(replace(p, type=TensorType(p.type.dtype, (p.type.size,))) for p in kernel.params)
    return replace(kernel, params=params, body=tuple(body))


def _lower_totals(writer: Writer, rows: Rows) -> list[Call]:
    """Rows in chunks, a partial result of every total from each; then one kernel a total that combines its partials."""
    outer = dims.product(rows.outer)
    length = max((dims.product(rows.rest(n)) for n in writer.cluster.nodes), key=lambda n: n if isinstance(n, int) else 1 << 30)
    chunk = max(1, CHUNK // max(1, length)) if isinstance(length, int) else 16
    count = dims.floordiv(dims.add(outer, chunk - 1), chunk)
    t, r = writer.loop("t"), writer.loop("r")
    start = dims.mul(dims.symbol(t), chunk)
    body = Scope(writer, None, {t: count})
    row = Scope(writer, body, {r: outer})
    accumulators: dict[Node, Ref] = {}
    for node in writer.cluster.nodes:
        if node in writer.cluster.totals:
            accumulators[node] = Ref(writer.fresh(), node.type.dtype)
            body.body.append(Init(accumulators[node].name, node.type.dtype, writer.plan.work[node].combine))

    def total(scope: Scope, node: Node, value: Arg) -> None:
        scope.body.append(Reduce(accumulators[node].name, node.type.dtype, writer.plan.work[node].combine, value))

    rows.write(row, _unravel(dims.symbol(r), rows.outer, {r: outer}), total)
    body.body.append(Loop(r, dims.minimum(outer, dims.add(start, chunk)), tuple(row.body), start))
    partial: dict[Param, str] = {}
    for i, (node, acc) in enumerate(accumulators.items()):
        partial[Param(f"p{i}", TensorType(node.type.dtype, (count,)), "out")] = f"{writer.names[node]}.part"
        body.body.append(Store(f"p{i}", (dims.symbol(t),), acc))
    calls = [writer.call([Axis(t, count)], body.body, partial)]
    for node in accumulators:
        calls.append(_combine_partials(writer, node, count))
    return calls


def _combine_partials(writer: Writer, node: Node, count: Size) -> Call:
    t = writer.loop("t")
    combine, dtype = writer.plan.work[node].combine, node.type.dtype
    acc, part = Ref("0", dtype), Ref("1", dtype)
    body = (
        Init(acc.name, dtype, combine),
        Loop(t, count, (Load(part.name, dtype, "x0", (dims.symbol(t),)), Reduce(acc.name, dtype, combine, part))),
        Store("y0", full_index(node, ()), acc),
    )
    params = (Param("x0", TensorType(dtype, (count,)), "in"), Param("y0", node.type, "out"))
    where = () if node.where is None else (node.where,)
    kernel = Kernel("k", params, (), body, where=where, nodes=(writer.plan.position[node],))
    return Call(kernel, (f"{writer.names[node]}.part", writer.names[node]))


# --- columns ---------------------------------------------------------------------------------------------------------


def _epilogue(writer: Writer, scope: Scope, first: Node, value: Arg, index: tuple[Size, ...]) -> None:
    """The elementwise code on a contraction's or a column reduction's result."""
    for node in writer.cluster.nodes:
        found = value if node is first else scope.compute(node, index)
        scope.know((node, index), found)
        if writer.keeps(node):
            scope.store(node, index, found)


def lower_columns(writer: Writer) -> Call:
    plan = writer.plan
    node = next(n for n in writer.cluster.nodes if plan.work[n].is_reduction)
    work = plan.work[node]
    lane = None if work.combine.startswith("arg") else plan.lane(node)
    names = writer.loop_names(len(work.domain))
    index = tuple(dims.symbol(v) for v in names)
    free = tuple(index[a] for a in work.free)
    axes = [Axis(names[a], work.domain[a]) for a in work.free if a != lane]
    inner = [Axis(names[a], work.domain[a]) for a in work.reduced]
    if lane is None:
        row = Scope(writer, None, {a.var: a.extent for a in axes})
        dtype = node.inputs[0].type.dtype if work.combine.startswith("arg") else node.type.dtype
        acc = Ref(writer.fresh(), node.type.dtype)
        row.body.append(Init(acc.name, dtype, work.combine))
        position = index[work.reduced[0]] if work.combine.startswith("arg") else None

        def add(scope: Scope) -> None:
            scope.body.append(Reduce(acc.name, node.type.dtype, work.combine, scope.compute(node, index), position))

        row.loops(inner, add)
        _epilogue(writer, row, node, acc, free)
        return writer.call(axes, row.body)
    return _lower_lanes(writer, node, lane, axes, inner)


def _lower_lanes(writer: Writer, node: Node, lane: int, axes: list[Axis], inner: list[Axis]) -> Call:
    """A reduction over rows of neighbouring lanes: a tile of lanes is kept in scratch while the rows go by."""
    work = writer.plan.work[node]
    names = writer.loop_names(len(work.domain))
    index = tuple(dims.symbol(v) for v in names)
    free = tuple(index[a] for a in work.free)
    width = work.domain[lane]
    tiles = dims.floordiv(dims.add(width, TILE - 1), TILE)
    t, u = writer.loop("t"), writer.loop("u")
    start = dims.mul(dims.symbol(t), TILE)
    stop = dims.minimum(width, dims.add(start, TILE))
    here = (dims.sub(index[lane], start),)
    dtype = node.type.dtype
    size: Size = min(TILE, width) if isinstance(width, int) else TILE
    zero = neutral(work.combine, dtype)
    body = Scope(writer, None, {**{a.var: a.extent for a in axes}, t: tiles})

    def lanes(scope: Scope, write: Callable[[Scope], None]) -> None:
        into = Scope(writer, scope, {names[lane]: width})
        write(into)
        scope.body.append(Loop(names[lane], stop, tuple(into.body), start))

    def clear(*buffers: str) -> Callable[[Scope], None]:
        return lambda scope: scope.body.extend(Store(b, here, zero) for b in buffers)

    acc = writer.new_scratch(dtype, (size,))

    def add(scope: Scope) -> None:
        lanes(scope, lambda s: s.body.append(Gather(acc, here, work.combine, s.compute(node, index))))

    if work.combine == "add" and dtype.is_float:
        # Blocks of rows are added up plainly; each block's sum joins the total with its rounding error kept (Neumaier's
        # compensation in Knuth's branch-free form), so that the error does not grow with the number of rows.
        total, lost = writer.new_scratch(dtype, (size,)), writer.new_scratch(dtype, (size,))
        lanes(body, clear(total, lost))
        first, *others = inner
        blocks = dims.floordiv(dims.add(first.extent, BLOCK - 1), BLOCK)
        begin = dims.mul(dims.symbol(u), BLOCK)
        block = Scope(writer, body, {u: blocks})
        lanes(block, clear(acc))
        run = Scope(writer, block, {first.var: first.extent})
        run.loops(others, add)
        block.body.append(Loop(first.var, dims.minimum(first.extent, dims.add(begin, BLOCK)), tuple(run.body), begin))

        def join(scope: Scope) -> None:
            a, b, c = (scope.load(s, dtype, here) for s in (total, acc, lost))
            s = scope.let("add", (a, b), dtype)
            part = scope.let("sub", (s, a), dtype)
            one, two = scope.let("sub", (a, scope.let("sub", (s, part), dtype)), dtype), scope.let("sub", (b, part), dtype)
            error = scope.let("add", (one, two), dtype)
            scope.body.append(Store(total, here, s))
            scope.body.append(Store(lost, here, scope.let("add", (c, error), dtype)))

        lanes(block, join)
        body.body.append(Loop(u, blocks, tuple(block.body)))

        def finish(scope: Scope) -> None:
            a, c = (scope.load(s, dtype, here) for s in (total, lost))
            whole = scope.let("add", (a, c), dtype)  # where the total is infinite or NaN, the error is NaN: keep the total
            finite = scope.let("eq", (scope.let("sub", (a, a), dtype), Const(0.0, dtype)), bool_)
            _epilogue(writer, scope, node, scope.let("select", (finite, whole, a), dtype), free)

        lanes(body, finish)
    else:
        lanes(body, clear(acc))
        body.loops(inner, add)
        lanes(body, lambda s: _epilogue(writer, s, node, s.load(acc, dtype, here), free))
    return writer.call([*axes, Axis(t, tiles)], body.body)


# --- contractions and scatters ---------------------------------------------------------------------------------------


def lower_contract(writer: Writer) -> Call:
    node = writer.cluster.nodes[0]
    left, right = node.inputs
    rank = node.type.rank
    letters = [writer.loop(f"b{i}") for i in range(rank - 2)]
    batch = tuple(Axis(v, n) for v, n in zip(letters, node.type.shape[:-2], strict=True))
    sizes = (left.type.shape[-2], right.type.shape[-1], left.type.shape[-1])
    m, n, k = (Axis(writer.loop(v), size) for v, size in zip("mnk", sizes, strict=True))
    ranges = {a.var: a.extent for a in (*batch, m, n, k)}
    at = tuple(dims.symbol(a.var) for a in batch)
    sm, sn, sk = (dims.symbol(a.var) for a in (m, n, k))

    def operand(given: Node, index: tuple[Size, ...]) -> Block:
        scope = Scope(writer, None, ranges)
        value = scope.value(given, index)
        return Block(tuple(scope.body), value)

    a, b = operand(left, (*at, sm, sk)), operand(right, (*at, sk, sn))
    result = Ref(writer.fresh(), node.type.dtype)
    end = Scope(writer, None, ranges)
    _epilogue(writer, end, node, result, core_index(node, (*at, sm, sn)))
    contract = Contract(batch, m, n, k, a, b, result.name, node.type.dtype, tuple(end.body))
    return writer.call((), [contract])


def lower_scatter(writer: Writer) -> Call:
    node = writer.cluster.nodes[0]
    lowering = node.op.lowering
    assert isinstance(lowering, Scatter)
    combine = "or" if node.type.dtype.is_bool and lowering.combine == "add" else lowering.combine
    body = Scope(writer)
    names = writer.loop_names(node.type.rank)
    index = tuple(dims.symbol(v) for v in names)
    body.loops(
        [Axis(v, n) for v, n in zip(names, node.type.shape, strict=True)],
        lambda scope: scope.store(node, core_index(node, index), neutral(combine, node.type.dtype)),
    )
    update = node.inputs[0].type.shape
    names = writer.loop_names(len(update))
    at = tuple(dims.symbol(v) for v in names)

    def add(scope: Scope) -> None:
        place = lowering.place(Code(scope, node), at, **node.attrs)
        buffer, _ = writer.place(node, core_index(node, place))
        scope.body.append(Gather(buffer, place, combine, scope.value(node.inputs[0], at)))

    body.loops([Axis(v, n) for v, n in zip(names, update, strict=True)], add)
    return writer.call((), body.body)


# --- programs --------------------------------------------------------------------------------------------------------


def lower(plan: Plan) -> Program:
    """The program of a plan."""
    graph = plan.graph
    names = names_of(graph)
    crossing = plan.crossing()
    outputs = set(graph.outputs)
    buffers: dict[str, Buffer] = {}
    for node in graph.nodes:
        if plan.is_leaf(node):
            buffers[names[node]] = _leaf_buffer(graph, node, names[node])
        elif node in crossing:
            buffers[names[node]] = Buffer(names[node], node.type, "output" if node in outputs else "temporary")
    calls: list[Call] = []
    for cluster in plan.order():
        writer = Writer(plan, cluster, crossing, names)
        match cluster.form:
            case "rows":
                calls += lower_rows(writer)
            case "columns":
                calls.append(lower_columns(writer))
            case "contract":
                calls.append(lower_contract(writer))
            case _:
                calls.append(lower_scatter(writer))
    for call in tuple(calls):
        for name, param in zip(call.buffers, call.kernel.params, strict=True):
            if name not in buffers:
                buffers[name] = Buffer(name, param.type, "temporary")

    def copied(node: Node, suffix: str, role: str) -> str:
        """The buffer of a copy of a leaf."""
        name = f"{names[node]}.{suffix}"
        if name not in buffers:
            buffers[name] = Buffer(name, node.type, role)
            calls.append(Call(copy_kernel(node.type), (names[node], name)))
        return name

    # An output never aliases an input, a variable or a constant; all new values are read before any variable is written.
    results = [copied(n, "copy", "output") if plan.is_leaf(n) else names[n] for n in graph.outputs]
    variables = {v for v, _ in graph.updates}
    updates = [(names[v], copied(n, "old", "temporary") if n in variables else names[n]) for v, n in graph.updates]
    program = Program(graph.name, buffers, tuple(calls), tuple(names[n] for n in graph.inputs), tuple(results), tuple(updates))
    return program.named()


def _leaf_buffer(graph: Graph, node: Node, name: str) -> Buffer:
    if "value" in node.attrs:
        return Buffer(name, node.type, "constant", value=node.attrs["value"].array)
    if any(node is n for n in graph.inputs):
        return Buffer(name, node.type, "input")
    return Buffer(name, node.type, "variable", value=node)


def copy_kernel(kind: TensorType) -> Kernel:
    """y = x."""
    flat = TensorType(kind.dtype, (kind.size,))
    i = "i" if "i" not in dims.names(kind.size) else "i_"
    at = (dims.symbol(i),)
    body = (Load("0", kind.dtype, "x0", at), Store("y0", at, Ref("0", kind.dtype)))
    return Kernel("k", (Param("x0", flat, "in"), Param("y0", flat, "out")), (Axis(i, kind.size),), body, vector=True)
