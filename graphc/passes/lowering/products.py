"""Contractions with the elementwise code on their results, and scatters."""

from __future__ import annotations

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.neutral import neutral
from graphc.ir.operation import Scatter
from graphc.ir.program import Axis, Block, Call, Contract, Gather
from graphc.ir.scalar import Ref
from graphc.passes.lowering.columns import epilogue
from graphc.passes.lowering.scope import Code, Scope, Writer
from graphc.passes.lowering.tiling import outer_tiles
from graphc.passes.work import core_index


def lower_contract(writer: Writer) -> Call:
    node = writer.plan.product_of(writer.cluster)
    left = node.inputs[0]
    batch = [Axis(writer.loop(f"b{i}"), n) for i, n in enumerate(node.type.shape[:-2])]
    at = tuple(dims.symbol(a.var) for a in batch)
    tiles, axes = [], []
    size_m, size_n = node.type.shape[-2:]
    cuts = outer_tiles(size_m, size_n, left.type.shape[-1], node.type.shape[:-2])
    for letter, size, tile in zip("mn", (size_m, size_n), cuts, strict=True):
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
    return writer.call((*batch, *tiles), [contraction(writer, ranges, at, m, n, k)])


def contraction(writer: Writer, ranges: dims.Ranges, at: tuple[Size, ...], m: Axis, n: Axis, k: Axis) -> Contract:
    """The contraction of a cluster at a place in its batch, over a part of its rows and columns."""
    node = writer.plan.product_of(writer.cluster)
    left, right = node.inputs
    rows, columns = node.type.shape[-2:]
    ranges = {**ranges, m.var: rows, n.var: columns, k.var: k.stop}
    sm, sn, sk = (dims.symbol(a.var) for a in (m, n, k))

    def operand(given: Node, index: tuple[Size, ...]) -> Block:
        scope = Scope(writer, None, ranges)
        value = scope.value(given, index)
        return Block(tuple(scope.body), value)

    a, b = operand(left, (*at, sm, sk)), operand(right, (*at, sk, sn))
    result = Ref(writer.fresh(), node.type.dtype)
    end = Scope(writer, None, ranges)
    epilogue(writer, end, node, result, core_index(node, (*at, sm, sn)))
    return Contract(m, n, k, a, b, result.name, node.type.dtype, tuple(end.body))


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
