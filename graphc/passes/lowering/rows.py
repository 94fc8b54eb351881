"""Rows kernels: an outer space in parallel, and inside one row elementwise code and reductions of the axes that are left.

The code of a row is cut into levels: what needs a reduction's result comes one level later, in a loop of its own. A value that
a later loop needs is computed again if that costs no more than a load; otherwise it is kept in scratch, or in the buffer that it
has anyway. Reductions over everything, and over the rows, make a partial result of each chunk of rows; a second kernel combines
these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graphc.ir import dims
from graphc.ir.combines import ARGMAX, MAX, MIN, Combine
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.program import Accumulate, Axis, Call, Init, Kernel, Load, Loop, Param, Reduce, Statement, Store
from graphc.ir.scalar import Arg, Let, Ref
from graphc.ir.types import TensorType, int64
from graphc.passes.domains import core_shape, full_index
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.stack import handed_on
from graphc.passes.lowering.columns import BLOCK
from graphc.passes.lowering.scope import KernelWriter, Scope
from graphc.passes.trace import EXPENSIVE

CHUNK = 8192  # elements of a total that one thread adds up: part of the order of summation, so the same for all targets
SEARCHED = 1 << 16  # elements up to which one thread looks for a place: a second kernel would cost more than it saves
HEAVY = 2 * EXPENSIVE  # the weight of code per row from which on vectors over rows pay


Stage = tuple[int, Shape, bool]  # level, axes inside the row, whether it searches a position (which does not vectorise)


class Rows:
    """The body of a rows kernel."""

    def __init__(self, writer: KernelWriter) -> None:
        self.writer = writer
        self.plan = writer.plan
        self.cluster = writer.cluster
        self.prefix = writer.cluster.prefix
        self.outer: Shape = writer.cluster.shape[: self.prefix]
        self.level: dict[Node, int] = {}
        self.again: dict[Node, set[Stage]] = {}
        self.readers: dict[Node, dict[Node, None]] = {}  # of a member among the members
        for node in self.cluster.nodes:
            self._set_level(node)
            for read in self.plan.reads[node]:
                self.readers.setdefault(read.node, {})[node] = None
        for node in reversed(self.cluster.nodes):
            self._keep_or_repeat(node)

    def rest(self, node: Node) -> Shape:
        return self.plan.work[node].domain[self.prefix :]

    def home(self, node: Node) -> Stage:
        return self.level[node], self.rest(node), self.plan.work[node].positions

    def is_scalar(self, node: Node) -> bool:
        """Whether a member has one value a row."""
        return len(core_shape(node)) <= self.prefix and node not in self.cluster.row_partials

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
        for user in self.readers.get(node, ()):
            later |= self.again[user]
        later -= stages
        if node in self.cluster.row_partials:
            return
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
            scopes.append(Scope(self.writer, scopes[-1], {axis.var: axis.stop}))
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
                combine_type = node.inputs[0].type.dtype if work.positions else node.type.dtype
                scopes[depth[node]].body.append(Init(accumulator[node].name, combine_type, work.combine))
            elif node not in self.cluster.row_partials:
                self.clear(row, node, index)
        inner = scopes[-1]
        for node in nodes:
            value = inner.compute(node, full)
            work = self.plan.work[node]
            if node in accumulator:
                position = full[work.reduced[0]] if work.positions else None
                inner.body.append(Reduce(accumulator[node].name, node.type.dtype, work.combine, value, position))
            elif work.is_reduction:
                buffer, at = self.writer.place(node, tuple(full[a] for a in work.free))
                inner.body.append(Accumulate(buffer, at, work.combine, value))
            else:
                inner.know((node, full), value)
                if self.level[node] == level and (self.writer.keeps(node) or node in self.writer.scratch):
                    inner.store(node, full, value)
        for d in range(len(axes), 0, -1):
            scopes[d - 1].body.append(Loop(axes[d - 1].var, axes[d - 1].stop, tuple(scopes[d].body), axes[d - 1].start))
            for node in local:
                if depth.get(node) == d - 1:
                    self._finish(scopes[d - 1], node, accumulator[node], full, total)

    def clear(self, row: Scope, node: Node, index: tuple[Size, ...]) -> None:
        work = self.plan.work[node]
        names = self.writer.loop_names(len(work.domain))
        axes = [Axis(names[a], work.domain[a]) for a in work.free[len(index) :]]
        at = index + tuple(dims.symbol(a.var) for a in axes)
        row.loops(axes, lambda scope: scope.store(node, at, work.combine.neutral(node.type.dtype)))

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


def no_total(scope: Scope, node: Node, value: Arg) -> None:
    raise AssertionError("a total outside a chunked kernel")


def split_tail(writer: KernelWriter) -> tuple[Cluster, ...]:
    """A cluster's rows, and apart from them what is computed once a row from their results, if that is much: over many rows
    it becomes vector code. Empty if there is nothing to gain."""
    cluster, plan = writer.cluster, writer.plan
    tail: set[Node] = set()
    for node in reversed(cluster.nodes):
        users = [n for n in plan.read_by.get(node, ()) if n in writer.members]
        if plan.work[node].domain == cluster.shape[: cluster.prefix] and all(n in tail for n in users):
            tail.add(node)
    rest = [n for n in cluster.nodes if n not in tail]
    if not any(plan.work[n].is_reduction and n not in cluster.totals for n in rest) or cluster.prefix == 0:
        return ()
    if sum(plan.weight[n] for n in tail) < HEAVY:
        return ()
    found = []
    for shape, nodes in ((cluster.shape, rest), (cluster.shape[: cluster.prefix], [n for n in cluster.nodes if n in tail])):
        form = forms.Rows(shape, cluster.prefix, cluster.totals & {*nodes}, cluster.row_partials & {*nodes})
        found.append(Cluster(cluster.number, form, nodes))
    return tuple(found)


def lower_rows(writer: KernelWriter) -> list[Call]:
    rows = Rows(writer)
    if writer.cluster.totals or writer.cluster.row_partials:
        return _lower_totals(writer, rows)
    if rows.prefix > 0 and all(len(writer.plan.work[n].domain) == rows.prefix for n in writer.cluster.nodes):
        return [_lower_flat(writer, rows)]
    if _is_long_search(writer):
        return _lower_search(writer)
    names = writer.loop_names(rows.prefix)
    axes = [Axis(v, n) for v, n in zip(names, rows.outer, strict=True)]
    row = Scope(writer, None, {a.var: a.extent for a in axes})
    rows.write(row, tuple(dims.symbol(v) for v in names), no_total)
    return [writer.call(axes, row.body)]


def _is_long_search(writer: KernelWriter) -> bool:
    """Whether a cluster does nothing but look for a place among so many elements that threads share it."""
    (node, *others), plan = writer.cluster.nodes, writer.plan
    work = plan.work.get(node)
    if others or work is None or not work.positions or len(work.domain) != 1 or node.inputs[0].type.dtype.is_bool:
        return False
    return not (isinstance(work.domain[0], int) and work.domain[0] <= SEARCHED)


def _lower_search(writer: KernelWriter) -> list[Call]:
    """The largest or smallest element of each chunk; then the first chunk that has the best of them, and the place in it."""
    (node,) = writer.cluster.nodes
    work, dtype = writer.plan.work[node], node.inputs[0].type.dtype
    size, combine = work.domain[0], MAX if work.combine == ARGMAX else MIN
    count = dims.floordiv(dims.add(size, CHUNK - 1), CHUNK)
    part = Param("p0", TensorType(dtype, (count,)), "out")
    name = f"{writer.names[node]}.part"
    first = KernelWriter(writer.plan, writer.cluster, writer.crossing, writer.names)
    t, (i,) = writer.loop("t"), writer.loop_names(1)

    def chunk(scope: Scope, acc: Ref, how: Combine, start: Size, positions: bool) -> None:
        stop = dims.minimum(size, dims.add(start, CHUNK))
        inside = Scope(scope.writer, scope, {i: size})
        value = inside.compute(node, (dims.symbol(i),))
        scope.body.append(Init(acc.name, dtype, how))
        inside.body.append(Reduce(acc.name, acc.dtype, how, value, dims.symbol(i) if positions else None))
        scope.body.append(Loop(i, stop, tuple(inside.body), start))

    body = Scope(first, None, {t: count})
    best = Ref(first.fresh(), dtype)
    chunk(body, best, combine, dims.mul(dims.symbol(t), CHUNK), positions=False)
    body.body.append(Store(part.name, (dims.symbol(t),), best))
    calls = [first.call([Axis(t, count)], body.body, {part: name})]

    body = Scope(writer)
    which, start, place = (Ref(writer.fresh(), int64) for _ in range(3))
    body.body.append(Init(which.name, dtype, work.combine))
    inside = Scope(writer, body, {t: count})
    inside.body.append(Reduce(which.name, int64, work.combine, inside.load(part.name, dtype, (dims.symbol(t),)), dims.symbol(t)))
    body.body.append(Loop(t, count, tuple(inside.body)))
    body.body.append(Let(start.name, int64, "index", (), dims.mul(dims.symbol(f"%{which.name}"), CHUNK)))
    chunk(body, place, work.combine, dims.symbol(f"%{start.name}"), positions=True)
    body.store(node, (), place)
    return [*calls, writer.call([], body.body, {replace(part, mode="in"): name})]


def _lower_flat(writer: KernelWriter, rows: Rows) -> Call:
    """Elementwise code alone: one flat loop if every access allows it, else a loop over the last axis."""
    rank = rows.prefix
    size = dims.product(rows.outer)
    if rank > 1:
        i = writer.loop("i")
        row = Scope(writer, None, {i: size})
        rows.write(row, dims.unravel(dims.symbol(i), rows.outer, {i: size}), no_total)
        call = writer.call([Axis(i, size)], row.body)
        assert isinstance(call.kernel, Kernel)
        flat = _flatten(call.kernel, i)
        if flat is not None:
            return replace(call, kernel=flat)
    names = writer.loop_names(rank)
    index = tuple(dims.symbol(v) for v in names)
    axes = [Axis(v, n) for v, n in zip(names, rows.outer, strict=True)]
    row = Scope(writer, None, {a.var: a.extent for a in axes})
    rows.write(row, index, no_total)
    if rank == 1:
        return writer.call(axes, row.body)
    return writer.call(axes[:-1], [Loop(names[-1], rows.outer[-1], tuple(row.body))])


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
                at = dims.ravel(index, shapes[buffer])
                if divides(at):
                    return None
                body.append(Load(name, dtype, buffer, (at,), guard))
            case Store(buffer, index, value):
                at = dims.ravel(index, shapes[buffer])
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


def _lower_totals(writer: KernelWriter, rows: Rows) -> list[Call]:
    """Rows in chunks, each with a partial result of every total and column sum; for each total a kernel that combines them."""
    outer = dims.product(rows.outer)
    length = max((dims.product(rows.rest(n)) for n in writer.cluster.nodes), key=lambda n: n if isinstance(n, int) else 1 << 30)
    chunk = max(1, CHUNK // max(1, length)) if isinstance(length, int) else 16
    if writer.cluster.row_partials:
        chunk = BLOCK
    count = dims.floordiv(dims.add(outer, chunk - 1), chunk)
    t, r = writer.loop("t"), writer.loop("r")
    start = dims.mul(dims.symbol(t), chunk)
    body = Scope(writer, None, {t: count})
    accumulators: dict[Node, Ref] = {}
    for node in writer.cluster.nodes:
        if node in writer.cluster.totals:
            accumulators[node] = Ref(writer.fresh(), node.type.dtype)
            body.body.append(Init(accumulators[node].name, node.type.dtype, writer.plan.work[node].combine))

    partial: dict[Param, str] = {}
    writer.block = dims.symbol(t)
    for node in sorted(writer.cluster.row_partials, key=writer.plan.position.__getitem__):
        param = Param(f"p{len(partial)}", TensorType(node.type.dtype, (count, *rows.rest(node))), "out")
        partial[param] = f"{writer.names[node]}.part"
        writer.parts[node] = param
        rows.clear(body, node, ())

    def total(scope: Scope, node: Node, value: Arg) -> None:
        scope.body.append(Reduce(accumulators[node].name, node.type.dtype, writer.plan.work[node].combine, value))

    parts = split_tail(writer) if rows.prefix == 1 else ()
    if parts:
        for node in handed_on(writer.plan, parts):
            if node not in writer.crossing:
                writer.hand_on(node, (chunk,), (start,))
    for part in parts or (writer.cluster,):
        writer.enter(part)
        row = Scope(writer, body, {r: outer})
        Rows(writer).write(row, dims.unravel(dims.symbol(r), rows.outer, {r: outer}), total)
        body.body.append(Loop(r, dims.minimum(outer, dims.add(start, chunk)), tuple(row.body), start))
    writer.enter(writer.whole)
    for node, acc in accumulators.items():
        param = Param(f"p{len(partial)}", TensorType(node.type.dtype, (count,)), "out")
        partial[param] = f"{writer.names[node]}.part"
        body.body.append(Store(param.name, (dims.symbol(t),), acc))
    calls = [writer.call([Axis(t, count)], body.body, partial)]
    for node in accumulators:
        calls.append(_combine_partials(writer, node, count))
    return calls


def _combine_partials(writer: KernelWriter, node: Node, count: Size) -> Call:
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
