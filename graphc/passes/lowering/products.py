"""Contractions with the elementwise code on their results, and scatters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graphc.ir import dims
from graphc.ir.combines import ADD, OR, SET
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Scatter
from graphc.ir.program import Accumulate, Axis, Block, Call, Contract, Kernel, Load, Param, Statement, Store, rewrite
from graphc.ir.scalar import Arg, Const, Ref, Value
from graphc.ir.types import TensorType, int64
from graphc.passes.domains import core_index
from graphc.passes.lowering.columns import epilogue
from graphc.passes.lowering.scope import Code, KernelWriter, Scope
from graphc.passes.lowering.tiling import outer_tiles, split_length

PLACES = 256  # indices of a scatter that are computed together: 2 kB, which every first-level cache holds
Finish = Callable[[Scope, Ref, tuple[Size, ...]], None]  # what is done with a result element, given its index in the product


def lower_contract(writer: KernelWriter) -> list[Call]:
    node = writer.plan.product_of(writer.cluster)
    left = node.inputs[0]
    *outer, rows, columns = node.type.shape
    length = split_length(rows, columns, left.type.shape[-1], outer)
    if length is not None:
        return _lower_split(writer, node, length)
    batch = [Axis(writer.loop(f"b{i}"), n) for i, n in enumerate(node.type.shape[:-2])]
    at = tuple(dims.symbol(a.var) for a in batch)
    tiles, axes = [], []
    cuts = outer_tiles(rows, columns, left.type.shape[-1], outer, writer.plan.target.panel)
    for letter, size, tile in zip("mn", (rows, columns), cuts, strict=True):
        count = dims.floordiv(dims.add(size, tile - 1), tile)
        if count == 1 or size == 0:
            axes.append(Axis(writer.loop(letter), size))
            continue
        tiles.append(Axis(writer.loop(f"t{letter}"), count))
        start = dims.mul(dims.symbol(tiles[-1].var), tile)
        axes.append(Axis(writer.loop(letter), dims.minimum(size, dims.add(start, tile)), start))
    m, n = axes
    k = Axis(writer.loop("k"), left.type.shape[-1])
    ranges = {a.var: a.extent for a in (*batch, *tiles)}
    return [writer.call((*batch, *tiles), [contraction(writer, ranges, at, m, n, k)])]


def _lower_split(writer: KernelWriter, node: Node, length: int) -> list[Call]:
    """Partial sums of equal length, and then their sums."""
    rows, columns = node.type.shape[-2:]
    size = node.inputs[0].type.shape[-1]
    part, m, n, k = (writer.loop(v) for v in ("part", "m", "n", "k"))
    count = dims.floordiv(dims.add(size, length - 1), length)
    start = dims.mul(dims.symbol(part), length)
    partial = Param("p0", TensorType(node.type.dtype, (count, rows, columns)), "out")
    name = f"{writer.names[node]}.part"
    run = Axis(k, dims.minimum(size, dims.add(start, length)), start)

    def store(scope: Scope, value: Ref, index: tuple[Size, ...]) -> None:
        scope.body.append(Store("p0", (dims.symbol(part), *index), value))

    contract = contraction(writer, {part: count, k: size}, (), Axis(m, rows), Axis(n, columns), run, store)
    calls = [writer.call([Axis(part, count)], [contract], {partial: name})]
    # One row at a time: scratch has a row of sums, to which the rows of all parts are added in order.
    writer = KernelWriter(writer.plan, writer.cluster, writer.crossing, writer.names)
    sums = writer.new_scratch(node.type.dtype, (columns,))
    index = (dims.symbol(m), dims.symbol(n))
    row = Scope(writer, None, {m: rows, part: count, n: columns})
    zero = Const(node.type.dtype.numpy.type(0).item(), node.type.dtype)
    row.loops([Axis(n, columns)], lambda s: s.body.append(Store(sums, index[1:], zero)))

    def add(scope: Scope) -> None:
        value = scope.load("p0", node.type.dtype, (dims.symbol(part), *index))
        scope.body.append(Accumulate(sums, index[1:], ADD, value))

    row.loops([Axis(part, count), Axis(n, columns)], add)
    row.loops([Axis(n, columns)], lambda s: epilogue(writer, s, {node: s.load(sums, node.type.dtype, index[1:])}, index))
    return [*calls, writer.call([Axis(m, rows)], row.body, {replace(partial, mode="in"): name})]


def contraction(
    writer: KernelWriter, ranges: dims.Ranges, at: tuple[Size, ...], m: Axis, n: Axis, k: Axis, finish: Finish | None = None
) -> Contract:
    """The contraction of a cluster at a place in its batch, over a part of its rows and columns."""
    node = writer.plan.product_of(writer.cluster)
    left, right = node.inputs
    rows, columns = node.type.shape[-2:]
    ranges = {m.var: rows, n.var: columns, k.var: left.type.shape[-1], **ranges}
    sm, sn, sk = (dims.symbol(a.var) for a in (m, n, k))

    def operand(given: Node, index: tuple[Size, ...]) -> Block:
        scope = Scope(writer, None, ranges)
        value = scope.value(given, index)
        if value.dtype != node.type.dtype:
            value = scope.let("cast", (value,), node.type.dtype)
        return Block(tuple(scope.body), value)

    a, b = operand(left, (*at, sm, sk)), operand(right, (*at, sk, sn))
    result = Ref(writer.fresh(), node.type.dtype)
    end = Scope(writer, None, ranges)
    index = core_index(node, (*at, sm, sn))
    if finish is None:
        epilogue(writer, end, {node: result}, index)
    else:
        finish(end, result, index)
    return Contract(m, n, k, a, b, result.name, node.type.dtype, tuple(end.body))


def lower_scatter(writer: KernelWriter) -> Call:
    node = writer.cluster.nodes[0]
    lowering = node.op.lowering
    assert isinstance(lowering, Scatter)
    combine = OR if node.type.dtype.is_bool and lowering.combine == ADD else lowering.combine
    body = Scope(writer)
    names = writer.loop_names(node.type.rank)
    index = tuple(dims.symbol(v) for v in names)

    def before(scope: Scope) -> Arg:
        if lowering.base is None:
            return combine.neutral(node.type.dtype)
        return scope.value(node.inputs[lowering.base], index)

    body.loops(
        [Axis(v, n) for v, n in zip(names, node.type.shape, strict=True)],
        lambda scope: scope.store(node, core_index(node, index), before(scope)),
    )
    update = node.inputs[0].type.shape
    names = writer.loop_names(len(update))
    at = tuple(dims.symbol(v) for v in names)

    axes = [Axis(v, n) for v, n in zip(names, update, strict=True)]
    buffer, _ = writer.place(node, core_index(node, index))

    def put(scope: Scope, place: tuple[Size, ...]) -> None:
        value = scope.value(node.inputs[0], at)
        scope.body.append(Store(buffer, place, value) if combine == SET else Accumulate(buffer, place, combine, value))

    def place(scope: Scope) -> tuple[Size, ...]:
        return lowering.place(Code(scope, node), at, **node.attrs)

    trial = Scope(writer, None, {a.var: a.extent for a in axes})
    place(trial)
    if not axes or not any(isinstance(s, Load) and axes[-1].var in dims.names(*s.index) for s in trial.body):
        body.loops(axes, lambda scope: put(scope, place(scope)))
        return writer.call((), body.body)
    # Every element goes to an index of its own: those of a block are computed first, in vectors.
    last, block = axes[-1], Axis(writer.loop("u"), dims.floordiv(dims.add(axes[-1].extent, PLACES - 1), PLACES))
    start = dims.mul(dims.symbol(block.var), PLACES)
    run = Axis(last.var, dims.minimum(last.extent, dims.add(start, PLACES)), start)
    kept = writer.new_scratch(int64, (PLACES,))
    here = (dims.sub(dims.symbol(last.var), start),)

    def find(scope: Scope) -> None:
        linear = Code(scope, node).index(dims.ravel(place(scope), node.type.shape))
        scope.body.append(Store(kept, here, linear.arg))

    def use(scope: Scope) -> None:
        put(scope, (Code(scope, node).as_index(Value(Code(scope, node), scope.load(kept, int64, here))),))

    def both(scope: Scope) -> None:
        scope.ranges = {**scope.ranges, last.var: last.extent}
        scope.loops([run], find)
        scope.loops([run], use)

    body.loops([*axes[:-1], block], both)
    return _flat(writer.call((), body.body), node.type.shape)


def _flat(call: Call, shape: Shape) -> Call:
    """The call of a kernel whose arrays are flat, as the indices that were computed are."""
    kernel = call.kernel
    assert isinstance(kernel, Kernel)
    chosen = {p.name for p in kernel.params if p.type.shape == shape}

    def change(statement: Statement) -> tuple[Statement, ...]:
        match statement:
            case Load(buffer=buffer, index=index) | Store(buffer=buffer, index=index) | Accumulate(buffer=buffer, index=index):
                if buffer in chosen and len(index) == len(shape):
                    return (replace(statement, index=(dims.ravel(index, shape),)),)
        return (statement,)

    size = dims.product(shape)
    params = tuple(replace(p, type=TensorType(p.type.dtype, (size,))) if p.name in chosen else p for p in kernel.params)
    return replace(call, kernel=replace(kernel, params=params, body=rewrite(kernel.body, change)))
