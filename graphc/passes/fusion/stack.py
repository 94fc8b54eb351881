"""Put clusters under common outer loops, so that what one hands to the next stays in the cache of the thread that made it.

    cluster 0: product [b, n, n] { ... }                cluster 0: stages [b, n] {
    cluster 1: rows [b, n | n] { ... softmax ... }        product [b, n, n] { ... }
    cluster 2: product [b, n, 64] { ... }         =>      rows [b, n | n] { ... softmax ... }
                                                          product [b, n, 64] { ... }
                                                        }

Afterwards no cluster could be put under the outer loops of one that it reads, where a product is among the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.passes.domains import axis_names, core_index, core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.refusal import BETWEEN, NO_BATCH, NO_LOOPS, OTHER_PLACE, OTHER_RANK, TOO_LARGE, Rule

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan


def stack(plan: Plan) -> None:
    """Put clusters under the outer loops of those that they read, where no other cluster needs the values handed on."""
    for cluster in plan.order():
        _stack(plan, cluster)


def _stack(plan: Plan, own: Cluster) -> None:
    producers: set[int] = set()
    for node in own.nodes:
        for read in plan.reads[node]:
            if read.node in plan.home and (node not in plan.later or read.node in plan.later):
                producers.add(plan.home[read.node].number)
    for number in sorted(producers, reverse=True):
        first = plan.clusters.get(number)
        if first is None or first is own:
            continue
        if not plan.acyclic(first, own):
            plan.refuse(first, own.nodes, BETWEEN)
            continue
        parts = (*first.parts, *own.parts)
        if not any(stage.form.leads for stage in parts):
            continue
        stages = _in_order(plan, parts)
        prefix = _common(plan, stages)
        if isinstance(prefix, Rule):
            plan.refuse(first, own.nodes, prefix)
        else:
            group = Cluster(first.number, forms.Stages(stages[0].shape, prefix, stages), before=first.before)
            plan.replace(first, own, group)
            own = group


def _in_order(plan: Plan, stages: Sequence[Cluster]) -> tuple[Cluster, ...]:
    """Stages in the order of their data."""
    place = {node: i for i, stage in enumerate(stages) for node in stage.nodes}
    needs = [{place.get(read.node, i) for node in stage.nodes for read in plan.reads[node]} for i, stage in enumerate(stages)]
    result: dict[int, Cluster] = {}
    while len(result) < len(stages):
        for i, stage in enumerate(stages):
            if i not in result and all(other == i or other in result for other in needs[i]):
                result[i] = stage
    return tuple(result.values())


def _common(plan: Plan, stages: Sequence[Cluster]) -> int | Rule:
    """How many leading axes the stages can share: those of the batch and its rows, or of the batch; or the rule why none."""
    ranks = {len(s.shape) for s in stages if s.form.leads}
    if len(ranks) != 1:
        return OTHER_RANK
    rank = ranks.pop()
    if rank < 3:
        return NO_BATCH
    if _apart(plan, stages, rank - 1, by_rows=True) is None:
        return rank - 1
    return _apart(plan, stages, rank - 2, by_rows=False) or rank - 2


def handed_on(plan: Plan, stages: Sequence[Cluster]) -> dict[Node, tuple[int, int]]:
    """The values that one stage hands to another, with the stages that make them and read them last."""
    home = {node: i for i, stage in enumerate(stages) for node in stage.nodes}
    found: dict[Node, tuple[int, int]] = {}
    for node, i in home.items():
        for read in plan.reads[node]:
            made = home.get(read.node, i)
            if made != i:
                found[read.node] = made, max(i, found.get(read.node, (0, 0))[1])
    return found


def _apart(plan: Plan, stages: Sequence[Cluster], prefix: int, by_rows: bool) -> Rule | None:
    """The rule by which stages do not share `prefix` axes: one has others, or reads another stage at other indices of these."""
    outer = stages[0].shape[:prefix]
    for stage in stages:
        if not stage.form.goes_under(prefix) or stage.shape[:prefix] != outer:
            return NO_LOOPS
    handed = handed_on(plan, stages)
    for stage in stages:
        for node in stage.nodes:
            at_home = _outer_index(plan, node)[:prefix]
            if any(read.node in handed and read.index[:prefix] != at_home for read in plan.reads[node]):
                return OTHER_PLACE
            if node in handed and (core_shape(node)[:prefix] != outer or _moves_axes(plan, node, prefix)):
                return OTHER_PLACE
    if by_rows:  # they come in tiles that are small enough
        return None
    held = [0] * len(stages)
    for node, (made, last) in handed.items():
        size = dims.mul(dims.product(core_shape(node)[prefix:]), node.type.dtype.itemsize)
        if not isinstance(size, int):
            return TOO_LARGE
        for i in range(made, last + 1):
            held[i] += size
    return None if max(held) <= plan.target.core_cache // 2 else TOO_LARGE


def _moves_axes(plan: Plan, node: Node, prefix: int) -> bool:
    return node in plan.moved and plan.moved[node][:prefix] != tuple(range(prefix))


def _outer_index(plan: Plan, node: Node) -> tuple[Size, ...]:
    """The index of a node over the outer axes, in the names that its reads use."""
    if node in plan.work:
        return axis_names(len(plan.work[node].domain))
    return core_index(node, axis_names(node.type.rank))
