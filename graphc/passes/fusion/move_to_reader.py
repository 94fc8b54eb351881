"""Move elementwise code from an epilogue to the kernel that reads it.

    cluster 0: product [n, 64] {                             cluster 0: product [n, 64] {
      %0 = matmul(%x, %w)                                      %0 = matmul(%x, %w)
      %1 = multiply(%0, %a)                                  }
      %2 = multiply(%0, %b)                          =>      cluster 1: rows [n | 64] {
    }                                                          %1 = multiply(%0, %a)
    cluster 1: rows [n | 64] { ... of %1 and %2 ... }          %2 = multiply(%0, %b)
                                                               ... of %1 and %2 ...
                                                             }

Afterwards no such move would spare memory traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.ir.graph import Node
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster, bytes_of, is_full
from graphc.passes.fusion.merge import common_prefix
from graphc.passes.fusion.refusal import MOVED

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan


def move_to_reader(plan: Plan) -> None:
    """Move elementwise code from epilogues to the one kernel that reads it, where less then passes through memory."""
    for cluster in plan.order():
        if cluster.form.lends:
            _lend(plan, cluster)


def _lend(plan: Plan, first: Cluster) -> None:
    readers = _readers(plan, first)
    for number in sorted({n for found in readers.values() for n in found} - {first.number}):
        second = plan.clusters[number]
        moved: set[Node] = set()
        for node in reversed(first.nodes):
            work = plan.work.get(node)
            if work is None or work.is_reduction or node in plan.roots or node in plan.moved:
                continue
            alone = all(n in moved for n in first.nodes if any(r.node is node for r in plan.reads[n]))
            if alone and readers[node] and readers[node] <= {number, first.number}:
                moved.add(node)
        if moved and _gain(plan, first, second, moved, readers) > 0:
            _move(plan, first, second, moved)
            readers = _readers(plan, first)


def _readers(plan: Plan, cluster: Cluster) -> dict[Node, set[int]]:
    """The clusters that read each node of one."""
    return {n: {plan.home[reader].number for reader in plan.read_by.get(n, ())} for n in cluster.nodes}


def _gain(plan: Plan, first: Cluster, second: Cluster, moved: set[Node], readers: dict[Node, set[int]]) -> float:
    """How many bytes fewer pass through memory if nodes move from one cluster to another."""
    stay = [n for n in first.nodes if n not in moved]
    known = {r.node for n in second.nodes for r in plan.reads[n]}
    left = {r.node for n in stay for r in plan.reads[n]}
    gain = sum(2 * bytes_of(n) for n in moved if second.number in readers[n])
    for given in {r.node for n in moved for r in plan.reads[n]} - moved:
        size = bytes_of(given)
        if given in readers:
            stored = given in plan.roots or bool(readers[given] - {first.number})
            gain -= (0 if stored else size) + (0 if given in known else size)
        else:
            gain -= (0 if given in known else size) - (0 if given in left else size)
    return gain


def _move(plan: Plan, first: Cluster, second: Cluster, moved: set[Node]) -> None:
    nodes = sorted(moved, key=plan.position.__getitem__)
    shape = max((plan.work[n].domain for n in nodes), key=len)
    part = Cluster(first.number, forms.Rows(shape, len(shape)), nodes)
    fits = second.form.gives_rows and not is_full(len(second.nodes) + len(nodes))
    if not fits or common_prefix(plan, part, second) != second.prefix:
        return
    pairs = ((n, reader) for reader in second.nodes for n in nodes)
    known = next((plan.refusals[pair] for pair in pairs if pair in plan.refusals), ())
    first.nodes = [n for n in first.nodes if n not in moved]
    second.nodes = sorted((*second.nodes, *nodes), key=plan.position.__getitem__)
    first.domains = second.domains = None
    for node in nodes:
        plan.home[node] = second
        for home in (plan.home[r.node] for r in plan.reads[node] if r.node in plan.home):
            if home is not second:
                second.reads |= home.bit
                second.before |= home.mask | home.before
                home.readers |= second.bit
    plan.refuse(first, nodes, *(refusal.rule for refusal in known), MOVED)
