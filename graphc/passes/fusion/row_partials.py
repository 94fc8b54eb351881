"""Compute partial column sums in the kernel that goes over the rows anyway.

    cluster 0: rows [n | 64] { ... }                   cluster 0: row partials [n | 64] {
    cluster 1: columns [64] { %5 = sum(...) }            rows [n | 64], row partials %5 { ...; %5 = sum(...) }
                                                 =>      columns [64] { %5 = sum(...) }
                                                       }

So the gradients of a normalisation's weight and bias read nothing beyond what its rows read anyway. The blocks are those of a
kernel of column sums alone, and their sums are added in the same order: the bits are the same.

Afterwards no column sums of few lanes read, in a kernel of their own, what a kernel of rows has loaded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphc.ir import dims
from graphc.ir.graph import Node
from graphc.passes.domains import axis_names, core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster, bytes_of, is_full

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan

# Lengths of a row: the sums must fill vectors, and fit into the first-level cache beside the row. They are part of the order of
# summation, so they are the same for all targets: a vector of the widest, and what fits into 32 kB.
LANES = range(16, 4097)


def join_row_partials(plan: Plan) -> None:
    """Join column sums to the rows with which they share the most memory traffic."""
    for cluster in tuple(plan.clusters.values()):
        if isinstance(cluster.form, forms.Columns):
            _join(plan, cluster)


def _join(plan: Plan, own: Cluster) -> None:
    sums = [n for n in own.nodes if plan.work[n].is_reduction]
    work = plan.work[sums[0]]
    depth = len(work.reduced)
    fits = work.reduced == tuple(range(depth)) and dims.product(work.domain[depth:]) in LANES
    if not fits or work.positions or plan.lane(sums[0]) is None:
        return
    near = _near(plan, sums)
    found = [(_shared(plan, group, sums), group) for group in near if _goes_along(plan, group, own, sums)]
    gain, group = max(found, key=lambda pair: pair[0], default=(0, own))
    if not gain:
        return
    rows, *others = group.parts
    assert isinstance(rows.form, forms.Rows)
    nodes = sorted((*rows.nodes, *sums), key=plan.position.__getitem__)
    rows = replace(rows, form=replace(rows.form, prefix=depth, row_partials=rows.row_partials | {*sums}), nodes=nodes)
    made = replace(group, form=forms.RowPartials(group.shape, depth, (rows, *others, own)))
    plan.replace(group, own, made)


def _near(plan: Plan, sums: list[Node]) -> list[Cluster]:
    """The clusters that may have loaded something that the sums read: those that make it, or read it too."""
    given = {read.node: None for node in sums for read in plan.reads[node]}
    numbers = {plan.home[n].number for g in given for n in (g, *plan.read_by.get(g, ())) if n in plan.home}
    return [plan.clusters[number] for number in sorted(numbers)]


def _shared(plan: Plan, group: Cluster, sums: list[Node]) -> float:
    """How many bytes the sums read of what the rows have loaded."""
    rows = group.parts[0]
    hands = {*rows.nodes, *(read.node for node in rows.nodes for read in plan.reads[node])}
    rank = len(plan.work[sums[0]].domain)
    given = {read.node for node in sums for read in plan.reads[node]}
    return sum(bytes_of(node) for node in given & hands if len(core_shape(node)) == rank)


def _goes_along(plan: Plan, group: Cluster, own: Cluster, sums: list[Node]) -> bool:
    """Whether the sums read values of the rows only at the same index."""
    work = plan.work[sums[0]]
    depth = len(work.reduced)
    if not group.form.carries_partials(depth) or group.shape[:depth] != work.domain[:depth]:
        return False
    if is_full(len(group.nodes) + len(own.nodes)) or group.before & own.mask or not plan.acyclic(group, own):
        return False
    rows = group.parts[0]
    ready = {*rows.nodes} - rows.totals - rows.row_partials
    for node in own.nodes:
        for read in plan.reads[node]:
            if plan.home.get(read.node) is not group:
                continue
            rank = len(core_shape(read.node))
            here = core_shape(read.node) == work.domain[:rank] and read.index == axis_names(len(work.domain))[:rank]
            apart = node in plan.later and read.node not in plan.later
            if not plan.work[node].is_reduction or not here or read.node not in ready or apart:
                return False
    return True
