"""Columns kernels: a reduction over leading or scattered axes, and elementwise code on its result.

Where there is much to add up, a first kernel reads whole blocks of rows in the order of memory:

    parallel u < m//64, t < (n+4095)//4096 {            parallel t < (n+511)//512 {
      for g in 16*u .. 16*u+16 {                          for u < m//64 { ... %p0[u, j] joins the sum of column j ... }
        for j in 4096*t .. {                              for u in m//64 .. (m+63)//64 { ... a last block of fewer rows ... }
          ... 4 rows are added into %p0[u, j] ...         ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from graphc.ir import dims
from graphc.ir.combines import ADD, ARGMAX
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.program import Accumulate, Axis, Call, Init, Loop, Param, Reduce, Store
from graphc.ir.scalar import Arg, Const, Ref
from graphc.ir.types import TensorType, bool_, int64
from graphc.passes.domains import core_shape
from graphc.passes.lowering.scope import KernelWriter, Scope

TILE = 128  # lanes of a column reduction in scratch: several vectors on every target, within every first-level cache
WIDE = 512  # the same where there are enough tiles for all threads: rows are read in longer pieces
STRIP = 4096  # lanes of a block of rows whose sum a thread makes: the sums stay in every first-level cache
TOGETHER = 4  # rows that are added to each sum while it is in a register
SHORT, MEDIUM = 256, 2048  # lanes of rows of 1 to 8 kB: one after the other, memory is read in its order, which it is fastest in
LIGHT = 6  # the weight of code that may be written so often
MANY = 4  # how many sums get a register each, on every target
STRIPS = 2  # vectors side by side up to which each runs down the rows by itself; with more, accesses are too far apart
FEW = 4  # blocks of rows that are unrolled where there are many sums
BLOCK = 64  # rows added up before their sum joins the compensated total: an order of adding up, the same for all targets
PARALLEL = 16  # tiles that suffice for any number of cores
SMALL = 1 << 16  # elements up to which one kernel adds them all up: a second one would cost more than it saves
USUAL = 128  # the number of rows that is assumed where only a call knows it
NO_PARTS: Mapping[Node, Param] = MappingProxyType({})


def epilogue(writer: KernelWriter, scope: Scope, made: Mapping[Node, Arg], index: tuple[Size, ...]) -> None:
    """The elementwise code on the results of a contraction or of column reductions, all of one shape."""
    shape = core_shape(next(iter(made)))
    for node in writer.cluster.nodes:
        at = writer.plan.index_of(node, index, shape, scope.ranges)
        found = made[node] if node in made else scope.compute(node, at)
        scope.know((node, at), found)
        if writer.keeps(node):
            scope.store(node, at, found)


def lower_columns(writer: KernelWriter, parts: Mapping[Node, Param] = NO_PARTS) -> list[Call]:
    """The kernels of a cluster; `parts` has the partial sums of blocks of rows, if another kernel has made them."""
    plan = writer.plan
    nodes = [n for n in writer.cluster.nodes if plan.work[n].is_reduction]
    node = nodes[0]
    work = plan.work[node]
    lane = plan.lane(node)
    names = writer.loop_names(len(work.domain))
    index = tuple(dims.symbol(v) for v in names)
    free = tuple(index[a] for a in work.free)
    axes = [Axis(names[a], work.domain[a]) for a in work.free if a != lane]
    inner = [Axis(names[a], work.domain[a]) for a in work.reduced]
    if work.positions and lane is not None and len(inner) == 1 and not node.inputs[0].type.dtype.is_bool:
        return [_lower_places(writer, node, lane, axes, inner[0])]
    if work.positions or lane is None:
        axes = [Axis(names[a], work.domain[a]) for a in work.free]
        row = Scope(writer, None, {a.var: a.extent for a in axes})
        dtype = node.inputs[0].type.dtype if work.positions else node.type.dtype
        acc = Ref(writer.fresh(), node.type.dtype)
        row.body.append(Init(acc.name, dtype, work.combine))
        position = index[work.reduced[0]] if work.positions else None

        def add(scope: Scope) -> None:
            scope.body.append(Reduce(acc.name, node.type.dtype, work.combine, scope.compute(node, index), position))

        row.loops(inner, add)
        epilogue(writer, row, {node: acc}, free)
        return [writer.call(axes, row.body)]
    if parts or not _goes_by_blocks(axes, inner, work.domain[lane]):
        return [_lower_lanes(writer, nodes, lane, axes, inner, parts)]
    blocks, whole = _lower_blocks(KernelWriter(plan, writer.cluster, writer.crossing, writer.names), nodes, lane, axes, inner[0])
    return [blocks, _lower_lanes(writer, nodes, lane, axes, inner, whole, rest=True)]


def _lower_places(writer: KernelWriter, node: Node, lane: int, axes: list[Axis], rows: Axis) -> Call:
    """The places of the largest or smallest elements over rows for neighbouring lanes: of each the value and the row so far."""
    work = writer.plan.work[node]
    names = writer.loop_names(len(work.domain))
    index = tuple(dims.symbol(v) for v in names)
    width, dtype = work.domain[lane], node.inputs[0].type.dtype
    size = min(WIDE, max(1, width)) if isinstance(width, int) else WIDE
    best, place = writer.new_scratch(dtype, (size,)), writer.new_scratch(int64, (size,))
    t = writer.loop("t")
    start = dims.mul(dims.symbol(t), WIDE)
    tiles = Axis(t, dims.floordiv(dims.add(width, WIDE - 1), WIDE))
    body = Scope(writer, None, {a.var: a.extent for a in (*axes, tiles)})
    here = (dims.sub(index[lane], start),)
    better = "gt" if work.combine == ARGMAX else "lt"

    def lanes(scope: Scope, write: Callable[[Scope], None]) -> None:
        into = Scope(writer, scope, {names[lane]: width})
        write(into)
        scope.body.append(Loop(names[lane], dims.minimum(width, dims.add(start, WIDE)), tuple(into.body), start))

    def clear(scope: Scope) -> None:
        scope.body += [Store(best, here, work.combine.neutral(dtype)), Store(place, here, Const(0, int64))]

    def compare(scope: Scope) -> None:
        """NaN counts as the largest and as the smallest; the first of equals stays."""
        value, old, row = scope.compute(node, index), scope.load(best, dtype, here), scope.load(place, int64, here)
        take = scope.let(better, (value, old), bool_)
        if dtype.is_float:
            first_nan = scope.let("and", (scope.let("ne", (value, value), bool_), scope.let("eq", (old, old), bool_)), bool_)
            take = scope.let("or", (take, first_nan), bool_)
        this = scope.let("index", (), int64, index[work.reduced[0]])
        scope.body.append(Store(best, here, scope.let("select", (take, value, old), dtype)))
        scope.body.append(Store(place, here, scope.let("select", (take, this, row), int64)))

    def finish(scope: Scope) -> None:
        epilogue(writer, scope, {node: scope.load(place, int64, here)}, tuple(index[a] for a in work.free))

    lanes(body, clear)
    body.loops([rows], lambda scope: lanes(scope, compare))
    lanes(body, finish)
    return writer.call([*axes, tiles], body.body)


def _goes_by_blocks(axes: list[Axis], inner: list[Axis], width: Size) -> bool:
    """Whether whole blocks of rows are added up by a kernel of their own: it reads memory in its order, on all threads.

    Not where there is at most one block, or where other axes have work for all threads and rows are short.
    """
    (rows, *others), outer = inner, dims.product(a.extent for a in axes)
    if others or (isinstance(rows.extent, int) and rows.extent < 2 * BLOCK):
        return False
    count = rows.extent if isinstance(rows.extent, int) else USUAL
    return outer == 1 and not (isinstance(width, int) and count * width <= SMALL)


def _has_many(axes: list[Axis], width: Size) -> bool:
    """Whether there are wide tiles for all threads. Of other axes, a size that only a call knows is taken for a large one."""
    outer = dims.product(a.extent for a in axes)
    if not isinstance(outer, int):
        return True
    return outer >= PARALLEL or (isinstance(width, int) and outer * width >= PARALLEL * WIDE)


def _lower_blocks(
    writer: KernelWriter, nodes: list[Node], lane: int, axes: list[Axis], rows: Axis
) -> tuple[Call, dict[Node, Param]]:
    """The sums of all whole blocks of rows, and their memory. Each is added up row after row, as a block is elsewhere."""
    work = writer.plan.work[nodes[0]]
    names = writer.loop_names(len(work.domain))
    width, dtype, combine = work.domain[lane], nodes[0].type.dtype, work.combine
    u, t, g = (writer.loop(v) for v in "utg")
    blocks = Axis(u, dims.floordiv(rows.extent, BLOCK))
    strips = Axis(t, dims.floordiv(dims.add(width, STRIP - 1), STRIP))
    start = dims.mul(dims.symbol(t), STRIP)
    shape = (blocks.stop, *(work.domain[a] for a in work.free))
    parts = {n: Param(f"p{i}", TensorType(dtype, shape), "out") for i, n in enumerate(nodes)}
    in_order = isinstance(width, int) and SHORT <= width < MEDIUM
    together = TOGETHER if not in_order and sum(map(writer.plan.weight.__getitem__, nodes)) <= LIGHT else 1
    groups = BLOCK // together
    before = dims.mul(dims.symbol(u), groups)
    group = Axis(g, dims.add(before, groups), before)
    body = Scope(writer, None, {**{a.var: a.extent for a in (*axes, blocks, strips)}, g: dims.floordiv(rows.extent, together)})
    stop = dims.minimum(width, dims.add(start, STRIP))

    def lanes(scope: Scope, write: Callable[[Scope, tuple[Size, ...]], None]) -> None:
        into = Scope(writer, scope, {names[lane]: width})
        write(into, (dims.symbol(u), *(dims.symbol(names[a]) for a in work.free)))
        scope.body.append(Loop(names[lane], stop, tuple(into.body), start))

    def clear(scope: Scope, at: tuple[Size, ...]) -> None:
        scope.body.extend(Store(p.name, at, combine.neutral(dtype)) for p in parts.values())

    def gather(scope: Scope, at: tuple[Size, ...]) -> None:
        first = dims.mul(dims.symbol(g), together)
        for number in range(together):
            row = {work.reduced[0]: dims.add(first, number)}
            index = tuple(row.get(a, dims.symbol(v)) for a, v in enumerate(names))
            for n, p in parts.items():
                scope.body.append(Accumulate(p.name, at, combine, scope.compute(n, index)))

    lanes(body, clear)
    body.loops([group], lambda scope: lanes(scope, gather))
    made = {p: f"{writer.names[n]}.part" for n, p in parts.items()}
    return writer.call([*axes, blocks, strips], body.body, made), parts


def _strips(start: Size, width: int, vector: int) -> Iterator[tuple[int, int, Size]]:
    """The lanes from `start` on, cut into strips of at most a vector: how many strips, of how many lanes, and from where.

    Each strip runs down the rows by itself, so that a vector of every sum stays in a register.
    """
    size = vector
    while width:
        if width >= size:
            yield width // size, size, start
            start, width = dims.add(start, width // size * size), width % size
        size //= 2


def _lower_lanes(
    writer: KernelWriter, nodes: list[Node], lane: int, axes: list[Axis], inner: list[Axis], parts: Mapping[Node, Param],
    rest: bool = False,
) -> Call:  # fmt: skip
    """Reductions over rows for neighbouring lanes: a tile of lanes is in scratch while the loop runs over rows or their parts.

    `parts` has the sums of blocks of rows; with a `rest`, not of the last rows, which make no whole block.
    """
    node = nodes[0]
    work = writer.plan.work[node]
    names = writer.loop_names(len(work.domain))
    index = tuple(dims.symbol(v) for v in names)
    free = tuple(index[a] for a in work.free)
    width = work.domain[lane]
    many = len(nodes) >= MANY and len(inner) > 1 and not parts
    most = WIDE if rest or (not many and _has_many(axes, width)) else TILE
    size = min(most, max(1, width)) if isinstance(width, int) else most
    tile = size if many else most
    tiles = dims.floordiv(dims.add(width, tile - 1), tile)
    t, u = writer.loop("t"), writer.loop("u")
    start = dims.mul(dims.symbol(t), tile)
    stop = dims.add(start, tile)
    if not many or not isinstance(width, int) or width % tile:
        stop = dims.minimum(width, stop)
    here = (dims.sub(index[lane], start),)
    dtype = node.type.dtype
    zero = work.combine.neutral(dtype)
    body = Scope(writer, None, {**{a.var: a.extent for a in axes}, t: tiles})

    def lanes(scope: Scope, write: Callable[[Scope], None], start: Size = start, stop: Size = stop) -> None:
        into = Scope(writer, scope, {names[lane]: width})
        write(into)
        scope.body.append(Loop(names[lane], stop, tuple(into.body), start))

    def clear(*buffers: str) -> Callable[[Scope], None]:
        return lambda scope: scope.body.extend(Store(b, here, zero) for b in buffers)

    def given(scope: Scope, n: Node) -> Arg:
        return scope.load(parts[n].name, dtype, (dims.symbol(u), *free))

    def computed(scope: Scope, n: Node) -> Arg:
        return scope.compute(n, index)

    def added(scope: Scope, n: Node) -> Arg:
        return scope.load(sums[n], dtype, here)

    def gather(s: Scope, value: Callable[[Scope, Node], Arg] = computed) -> None:
        for n in nodes:
            s.body.append(Accumulate(sums[n], here, work.combine, value(s, n)))

    def rows(scope: Scope, axes: list[Axis]) -> None:
        """All rows of some axes, one after the other."""
        vector = writer.plan.target.lanes(4)
        if not many or not isinstance(width, int) or width > STRIPS * vector:
            scope.loops(axes, lambda s: lanes(s, gather))
            return

        def inside(s: Scope) -> None:
            for count, size, first in _strips(start, width, vector):
                v = writer.loop("v")
                begin = dims.add(first, dims.mul(dims.symbol(v), size))
                end = dims.add(begin, size)
                s.loops([Axis(v, count), axes[-1]], lambda s, b=begin, e=end: lanes(s, gather, b, e))  # type: ignore[misc]

        scope.loops(axes[:-1], inside)

    first, *others = inner
    one = many and isinstance(first.extent, int) and first.extent <= BLOCK
    given_blocks = parts[node].type.shape[0] if parts else 0
    blocks = dims.floordiv(dims.add(first.extent, BLOCK - 1), BLOCK) if rest or not parts else given_blocks
    compensated = work.combine == ADD and dtype.is_float and not one
    sums = {} if compensated and blocks == given_blocks else {n: writer.new_scratch(dtype, (size,)) for n in nodes}
    if compensated:
        # Blocks of rows are added up plainly; each block's sum joins the total with its rounding error kept (Neumaier's
        # compensation in Knuth's branch-free form), so that the error does not grow with the number of rows.
        totals, errors = ([writer.new_scratch(dtype, (size,)) for _ in nodes] for _ in "te")
        lanes(body, clear(*totals, *errors))

        def join(scope: Scope, value: Callable[[Scope, Node], Arg] = added) -> None:
            for n, total, lost in zip(nodes, totals, errors, strict=True):
                a = scope.load(total, dtype, here)
                b = value(scope, n)
                c = scope.load(lost, dtype, here)
                s = scope.let("add", (a, b), dtype)
                part = scope.let("sub", (s, a), dtype)
                one, two = scope.let("sub", (a, scope.let("sub", (s, part), dtype)), dtype), scope.let("sub", (b, part), dtype)
                error = scope.let("add", (one, two), dtype)
                scope.body.append(Store(total, here, s))
                scope.body.append(Store(lost, here, scope.let("add", (c, error), dtype)))

        def add_block(block: Scope, begin: Size, end: Size) -> None:
            lanes(block, clear(*sums.values()))
            run = Scope(writer, block, {first.var: first.extent})
            rows(run, others)
            block.body.append(Loop(first.var, end, tuple(run.body), begin))
            lanes(block, join)

        if many and isinstance(first.extent, int) and first.extent <= FEW * BLOCK:
            for number in range(0, first.extent, BLOCK):  # then conditions on the row's index can be decided here
                block = Scope(writer, body)
                add_block(block, number, min(number + BLOCK, first.extent))
                body.body += block.body
        else:
            if parts:
                block = Scope(writer, body, {u: given_blocks})
                lanes(block, lambda s: join(s, given))
                body.body.append(Loop(u, given_blocks, tuple(block.body)))
            if blocks != given_blocks:
                block, begin = Scope(writer, body, {u: blocks}), dims.mul(dims.symbol(u), BLOCK)
                add_block(block, begin, dims.minimum(first.extent, dims.add(begin, BLOCK)))
                body.body.append(Loop(u, blocks, tuple(block.body), given_blocks))

        def finish(scope: Scope) -> None:
            made: dict[Node, Arg] = {}
            for n, total, lost in zip(nodes, totals, errors, strict=True):
                a, c = (scope.load(s, dtype, here) for s in (total, lost))
                whole = scope.let("add", (a, c), dtype)  # where the total is infinite or NaN, the error is NaN: keep the total
                finite = scope.let("eq", (scope.let("sub", (a, a), dtype), Const(0.0, dtype)), bool_)
                made[n] = scope.let("select", (finite, whole, a), dtype)
            epilogue(writer, scope, made, free)

        lanes(body, finish)
    else:
        lanes(body, clear(*sums.values()))
        if parts:
            body.loops([Axis(u, given_blocks)], lambda s: lanes(s, lambda s: gather(s, given)))
        if blocks != given_blocks:
            rows(body, [Axis(first.var, first.stop, dims.mul(given_blocks, BLOCK)), *others])
        lanes(body, lambda s: epilogue(writer, s, {n: added(s, n) for n in nodes}, free))
    made = {replace(parts[n], mode="in"): f"{writer.names[n]}.part" for n in nodes if parts}
    return writer.call([*axes, Axis(t, tiles)], body.body, made)
