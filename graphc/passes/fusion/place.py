"""Give every open node a cluster: that of what it reads, or one of its own.

    open {                                                cluster 0: rows [n | 3] {
      %0 = exp(%x) : f32[n, 3]                      =>      %0 = exp(%x) : f32[n, 3]
      %1 = sum(%0, axes=[1]) : f32[n]                       %1 = sum(%0, axes=[1]) : f32[n]
    }                                                     }

A node joins the clusters that make its operands, products first, where it needs of them nothing but the row or the element in
hand, and no third cluster must run in between; the rule by which one refuses is noted. A node that reads only leaves joins a
recent cluster that reads one of them too.

Afterwards no node is open.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from graphc.ir.graph import Node
from graphc.ir.operation import Project
from graphc.passes.domains import core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import FULL, Cluster
from graphc.passes.fusion.merge import is_small, merge
from graphc.passes.fusion.refusal import LATER, Refusal, Rule

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan


def place(plan: Plan) -> None:
    """Give every open node a cluster."""
    for node in plan.graph.nodes:
        if not plan.is_leaf(node) and not plan.inlined(node):
            for read in plan.reads[node]:
                plan.read_by.setdefault(read.node, []).append(node)
            _place(plan, node)


def _place(plan: Plan, node: Node) -> None:
    if isinstance(node.op.lowering, Project):
        home = plan.home[node] = plan.home[node.inputs[0]]
        home.nodes.append(node)
        return
    producers: dict[int, Cluster] = {}
    for read in plan.reads[node]:
        if read.node not in plan.home:
            continue
        if node in plan.later and read.node not in plan.later:
            plan.refusals[read.node, node] = (Refusal(LATER, read.node, node),)
            continue
        home = plan.home[read.node]
        producers[home.number] = home
    own = plan.add(node, _form(plan, node))
    full = False
    for number in sorted(producers, key=lambda n: (producers[n].form.gives_rows, -n)):
        cluster = plan.clusters.get(number)
        if cluster is None or cluster is own:
            continue
        merged = merge(plan, cluster, own)
        full |= merged is FULL
        if isinstance(merged, Rule):
            plan.refuse(cluster, [node], merged)
            if own.form.needs is not None:  # elementwise code that only an epilogue needs belongs to it
                merged = merge(plan, own, cluster)
        own = own if isinstance(merged, Rule) else merged
    if (not producers or (full and len(own.nodes) == 1)) and own.form.needs is None and node not in plan.later:
        _join_sibling(plan, node, own)


def _form(plan: Plan, node: Node) -> forms.Form:
    """The form of a cluster of one node."""
    kind, work = plan.starts(node), plan.work.get(node)
    if work is None or kind is not forms.Rows:
        shape = core_shape(node)
        return kind(shape, len(shape))
    shape = work.domain
    if not work.is_reduction:
        return forms.Rows(shape, len(shape))
    if not (work.free or is_small(shape) or work.positions):
        return forms.Rows(shape, len(shape), totals=frozenset((node,)))
    leading = next((a for a in range(len(shape)) if a in work.reduced), len(shape))
    if work.free and leading < len(work.free):  # a free axis behind a reduced one
        return forms.Columns(shape, leading)
    return forms.Rows(shape, leading)


def _join_sibling(plan: Plan, node: Node, own: Cluster) -> None:
    """Put a node that reads only leaves, or what kernels make that are full, beside another that reads the same."""
    given = {read.node for read in plan.reads[node]}
    for cluster in islice(reversed(plan.clusters.values()), 1, 9):
        if not cluster.form.gives_rows or cluster.shape != own.shape:
            continue
        if not any(read.node in given for n in cluster.nodes for read in plan.reads[n]):
            continue
        if not isinstance(merge(plan, cluster, own), Rule):
            return
