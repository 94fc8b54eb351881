"""Running reductions: the elements along an axis combined one after the other, with every intermediate result kept.

Rows, and neighbouring lanes where the axis is not the last, run in parallel. A long axis is cut into blocks of equal length: the
blocks are combined, then their results, and every block starts from what lies before it. A recurrence is not cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graphc.ir import dims
from graphc.ir.combines import ADD, LOGADDEXP, MAX, MIN, MUL, RECURRENCE
from graphc.ir.dims import Size
from graphc.ir.operation import Prefix
from graphc.ir.program import Axis, Call, Init, Loop, Param, Reduce, Store
from graphc.ir.scalar import Arg, Ref, Value, scalar_text
from graphc.ir.types import TensorType
from graphc.passes.domains import core_index
from graphc.passes.lowering.columns import TILE, epilogue
from graphc.passes.lowering.scope import Code, KernelWriter, Scope

# BLOCK and GROUP are an order of adding up: the same for all targets.
BLOCK = 1024  # elements of one chain
GROUP = 4  # elements of a row that are combined first, so that the accumulator's chain is shorter
LIGHT = 24  # the weight of code up to which a group of elements is unrolled


class _Run:
    """A kernel along the axis of a node: its loops, and the accumulators of one row or of a tile of lanes."""

    def __init__(self, writer: KernelWriter) -> None:
        self.writer = writer
        self.node = writer.plan.product_of(writer.cluster)
        lowering = self.node.op.lowering
        assert isinstance(lowering, Prefix)
        self.combine = lowering.combine
        self.dtype = self.node.type.dtype
        self.start = self.combine.neutral(self.dtype)
        shape, self.axis = self.node.type.shape, lowering.axis(self.node.attrs)
        self.names = writer.loop_names(len(shape))
        self.index = tuple(dims.symbol(v) if n != 1 else 0 for v, n in zip(self.names, shape, strict=True))
        wide = [a for a, n in enumerate(shape) if n != 1 and a != self.axis]
        self.lane = wide[-1] if wide and wide[-1] > self.axis else None
        self.outer = [Axis(self.names[a], shape[a]) for a in wide if a != self.lane]
        self.length = shape[self.axis]
        self.parallel = list(self.outer)
        self.here: tuple[Size, ...] = (0,)
        self.width: Size = 1
        if self.lane is not None:
            extent = shape[self.lane]
            tile = writer.loop("t")
            self.parallel.append(Axis(tile, dims.floordiv(dims.add(extent, TILE - 1), TILE)))
            first = dims.mul(dims.symbol(tile), TILE)
            self.lanes = Axis(self.names[self.lane], dims.minimum(extent, dims.add(first, TILE)), first)
            self.here = (dims.sub(dims.symbol(self.lanes.var), first),)
            self.width = min(TILE, extent) if isinstance(extent, int) else TILE
        self.ranges = dict(zip(self.names, shape, strict=True)) | {a.var: a.extent for a in self.parallel}

    def cut(self, count: Size) -> Axis:
        """A parallel loop over blocks."""
        block = Axis(self.writer.loop("u"), count)
        self.parallel.insert(len(self.outer), block)
        self.ranges[block.var] = count
        return block

    def partial(self, name: str, mode: str, count: Size) -> Param:
        """A value for each block of each row."""
        lanes = () if self.lane is None else (self.node.type.shape[self.lane],)
        return Param(name, TensorType(self.dtype, (*(a.extent for a in self.outer), count, *lanes)), mode)

    def place(self, block: Size) -> tuple[Size, ...]:
        lanes = () if self.lane is None else (self.index[self.lane],)
        return (*(dims.symbol(a.var) for a in self.outer), block, *lanes)

    def each(self, scope: Scope, inside: Callable[[Scope], None]) -> None:
        """For every lane, or once."""
        if self.lane is None:
            inside(scope)
        else:
            scope.loops([self.lanes], inside)

    def walk(
        self, along: Axis, begin: Callable[[Scope], Arg], step: Callable[[Scope, Value], Arg],
        end: Callable[[Scope, Arg], None] | None = None, last: tuple[Axis, Callable[[Scope, Value], Arg]] | None = None,
    ) -> Scope:  # fmt: skip
        """The body: begin, a step for each element, the `last` ones in another way, end."""
        body = Scope(self.writer, None, self.ranges)
        total = self.writer.new_scratch(self.dtype, (self.width,))
        self.each(body, lambda s: s.body.append(Store(total, self.here, begin(s))))

        for axis, move in ((along, step), *(() if last is None else (last,))):

            def advance(scope: Scope, move: Callable[[Scope, Value], Arg] = move) -> None:
                old = Value(Code(scope, self.node), scope.load(total, self.dtype, self.here))
                scope.body.append(Store(total, self.here, move(scope, old)))

            inner = Scope(self.writer, body, {axis.var: self.ranges.get(axis.var, axis.extent)})
            self.each(inner, advance)
            body.body.append(Loop(axis.var, axis.stop, tuple(inner.body), axis.start))
        if end is not None:
            self.each(body, lambda s: end(s, s.load(total, self.dtype, self.here)))
        return body

    def grouped(self) -> bool:
        """Whether elements are combined in groups: a single row is bound by the latency of the accumulator's chain."""
        light = sum(self.writer.plan.weight[n] for n in self.writer.cluster.nodes) <= LIGHT
        return self.lane is None and light and self.dtype.is_float and self.combine in (ADD, MUL, MAX, MIN)

    def results(self, start: Size, stop: Size, begin: Callable[[Scope], Arg]) -> Scope:
        """The body that makes the results of a part of the axis."""
        var = self.names[self.axis]
        if not self.grouped():
            return self.walk(Axis(var, stop, start), begin, self.result)
        count = dims.floordiv(dims.sub(stop, start), GROUP)
        group = Axis(self.writer.loop("g"), count)
        first = dims.add(start, dims.mul(dims.symbol(group.var), GROUP))

        def step(scope: Scope, old: Value) -> Arg:
            found, local = old.arg, None
            for i in range(GROUP):
                index = tuple(dims.add(first, i) if a == self.axis else at for a, at in enumerate(self.index))
                x = scope.value(self.node.inputs[0], index)
                local = x if local is None else self.combined(scope, Value(old.k, local), x)
                found = self.combined(scope, old, local)
                epilogue(self.writer, scope, {self.node: found}, core_index(self.node, index))
            return found

        rest = Axis(var, stop, dims.add(start, dims.mul(count, GROUP)))
        return self.walk(group, begin, step, last=(rest, self.result))

    def combined(self, scope: Scope, old: Value, *values: Arg) -> Arg:
        k = Code(scope, self.node)
        return scalar_text(self.combine.code)(k, Value(k, old.arg), *(Value(k, v) for v in values)).arg

    def element(self, scope: Scope, old: Value) -> Arg:
        """The element of one step."""
        return self.combined(scope, old, *(scope.value(x, self.index) for x in self.node.inputs))

    def result(self, scope: Scope, old: Value) -> Arg:
        """One step, whose result is stored, with the code that follows it."""
        found = self.element(scope, old)
        epilogue(self.writer, scope, {self.node: found}, core_index(self.node, self.index))
        return found


def lower_prefix(writer: KernelWriter) -> list[Call]:
    run = _Run(writer)
    if run.combine == RECURRENCE or (isinstance(run.length, int) and run.length <= BLOCK):
        body = run.results(0, run.length, lambda s: run.start)
        return [writer.call(run.parallel, body.body)]
    count = dims.floordiv(dims.add(run.length, BLOCK - 1), BLOCK)
    before = dims.maximum(dims.sub(count, 1), 0)  # nothing follows the last block
    name = writer.names[run.node]
    parts, sums = run.partial("p0", "out", before), run.partial("p1", "out", before)
    calls = [_blocks(_fresh(writer), before, parts, f"{name}.part"), _offsets(_fresh(writer), before, parts, sums, name)]
    block = run.cut(count)
    number = dims.symbol(block.var)
    first = dims.mul(number, BLOCK)

    def begin(scope: Scope) -> Arg:
        k = Code(scope, run.node)
        follows = k.index(number) > 0
        given = scope.load("p1", run.dtype, run.place(dims.sub(number, 1)), follows.arg)
        return k.select(follows, Value(k, given), Value(k, run.start)).arg

    body = run.results(first, dims.minimum(run.length, dims.add(first, BLOCK)), begin)
    return [*calls, writer.call(run.parallel, body.body, {replace(sums, mode="in"): f"{name}.before"})]


def _fresh(writer: KernelWriter) -> _Run:
    return _Run(KernelWriter(writer.plan, writer.cluster, writer.crossing, writer.names))


def _blocks(run: _Run, before: Size, parts: Param, name: str) -> Call:
    """Every block but the last combined."""
    block = dims.symbol(run.cut(before).var)
    first = dims.mul(block, BLOCK)
    along = Axis(run.names[run.axis], dims.add(first, BLOCK), first)
    if run.lane is None and run.combine != LOGADDEXP:  # in vector lanes
        acc = Ref(run.writer.fresh(), run.dtype)
        body = Scope(run.writer, None, run.ranges)
        inner = Scope(run.writer, body, {along.var: run.length})
        value = inner.value(run.node.inputs[0], run.index)
        inner.body.append(Reduce(acc.name, run.dtype, run.combine, value))
        body.body += [
            Init(acc.name, run.dtype, run.combine),
            Loop(along.var, along.stop, tuple(inner.body), along.start),
            Store(parts.name, run.place(block), acc),
        ]
    else:
        body = run.walk(
            along, lambda s: run.start, run.element, lambda s, v: s.body.append(Store(parts.name, run.place(block), v))
        )
    return run.writer.call(run.parallel, body.body, {parts: name})


def _offsets(run: _Run, before: Size, parts: Param, sums: Param, name: str) -> Call:
    """The combination of all blocks before each block but the first."""
    along = Axis(run.writer.loop("u"), before)
    place = run.place(dims.symbol(along.var))

    def step(scope: Scope, old: Value) -> Arg:
        found = run.combined(scope, old, scope.load(parts.name, run.dtype, place))
        scope.body.append(Store(sums.name, place, found))
        return found

    body = run.walk(along, lambda s: run.start, step)
    buffers = {replace(parts, mode="in"): f"{name}.part", sums: f"{name}.before"}
    return run.writer.call(run.parallel, body.body, buffers)
