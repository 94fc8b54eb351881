"""Several stages under common outer loops: what one stage hands to the next stays in the cache of its thread.

The outer loops are those of the batch, and of its rows in tiles if every stage goes row by row; then a kernel is

    parallel b < batch, t < tiles {
      contract m in 64*t .. 64*t+64, ... { ... store %s0[m-64*t, n], ... }
      for m in 64*t .. 64*t+64 { ... softmax of the row %s0[m-64*t] ... }
      contract m in 64*t .. 64*t+64, ... { left { load %s0[m-64*t, k] } ... }
    }
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Axis, Call, Scratch
from graphc.passes.domains import core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.stack import handed_on
from graphc.passes.lowering.products import contraction
from graphc.passes.lowering.rows import Rows, no_total
from graphc.passes.lowering.scope import KernelWriter, Scope

# By measurement: many rows share one reading of the right operand, and what stages hand on still fits into the cache.
TILE = 64  # rows that one thread takes through all stages
WHOLE = 128  # a batch's rows up to this many are one tile


def lower_stages(writer: KernelWriter, stages: Sequence[Cluster]) -> Call:
    """The kernel of a cluster, by its stages."""
    cluster = writer.whole
    prefix = cluster.prefix
    rank = max(len(stage.shape) for stage in stages)
    names = writer.loop_names(rank + 1)
    contracts = [s for s in stages if isinstance(s.form, forms.Product)]
    by_rows = not contracts or len(contracts[0].shape) - 1 == prefix
    parallel = [Axis(v, n) for v, n in zip(names, cluster.shape[:prefix], strict=False)]
    ranges = {a.var: a.stop for a in parallel}
    inner = []
    if by_rows:
        rows = parallel.pop()
        tile = rows.stop if isinstance(rows.stop, int) and rows.stop <= WHOLE else TILE
        if tile == TILE:
            parallel.append(Axis(writer.loop("t"), dims.floordiv(dims.add(rows.stop, TILE - 1), TILE)))
            start = dims.mul(dims.symbol(parallel[-1].var), TILE)
            rows = Axis(rows.var, dims.minimum(rows.stop, dims.add(start, TILE)), start)
        inner.append(rows)
        _share(writer, stages, prefix - 1, tile, rows.start)
    else:
        _share(writer, stages, prefix)
    body = Scope(writer, None, ranges | {a.var: a.stop for a in parallel})
    for stage in stages:
        writer.enter(stage)
        if isinstance(stage.form, forms.Product):
            node = writer.plan.product_of(stage)
            size = len(stage.shape)
            within = [*inner, *(Axis(names[a], stage.shape[a]) for a in range(prefix, size))]
            core = iter(names)
            at = tuple(0 if n == 1 else dims.symbol(next(core)) for n in node.type.shape[:-2])
            k = Axis(names[size], node.inputs[0].type.shape[-1])
            body.body.append(contraction(writer, body.ranges, at, within[-2], within[-1], k))
        else:
            index = tuple(dims.symbol(v) for v in names[: stage.prefix])
            within = [*inner, *(Axis(names[a], stage.shape[a]) for a in range(prefix, stage.prefix))]
            body.loops(within, lambda row, index=index: Rows(writer).write(row, index, no_total))  # type: ignore[misc]
    return writer.call(parallel, body.body)


def _share(writer: KernelWriter, stages: Sequence[Cluster], axis: int, tile: Size | None = None, start: Size = 0) -> None:
    """Give scratch to the values that one stage hands to another: all of their axes from `axis` on, or a tile of rows.

    Values that are never needed at the same time share it.
    """
    free: list[tuple[int, Scratch]] = []  # with the last stage that needs it
    handed = handed_on(writer.plan, stages)
    for node, (made, last) in sorted(handed.items(), key=lambda item: item[1][0]):
        if node in writer.crossing:
            continue
        shape = core_shape(node)[axis:]
        place = ((start,) + (0,) * len(shape))[: len(shape)]
        shape = shape if tile is None or not shape else (tile, *shape[1:])
        old = next((i for i, (end, s) in enumerate(free) if end < made and s.shape == shape and s.dtype == node.type.dtype), None)
        memory = writer.hand_on(node, shape, place, None if old is None else free.pop(old)[1])
        free.append((last, memory))
