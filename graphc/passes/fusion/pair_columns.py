"""Put sums down the same columns together where they read the same array: it passes through memory once.

    cluster 0: columns [64] { %0 = sum(%x, axes=[0]) }                   cluster 0: columns [64] {
    cluster 1: columns [64] { %2 = sum(%x * %g, axes=[0]) }        =>      %0 = sum(%x, axes=[0])
                                                                           %2 = sum(%x * %g, axes=[0])
                                                                         }

Afterwards neighbours among the sums of one shape do not read the same array in two kernels, unless they are more than a kernel's
registers hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster, is_full

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan

# By measuring with 32 registers. The same for all targets: how many sums share a kernel decides how their rows are cut.
MAX_SUMS = 13  # down the same columns in one kernel: a vector of each in a register, beside what they are made of


def pair_columns(plan: Plan) -> None:
    """Put sums down the same columns together where they read the same array: it passes through memory once."""
    last: dict[tuple[Any, ...], Cluster] = {}
    for own in plan.order():
        if not isinstance(own.form, forms.Columns):
            continue
        node = next(n for n in own.nodes if plan.work[n].is_reduction)
        work, lane = plan.work[node], plan.lane(node)
        key = work.domain, work.reduced, work.combine, node.type.dtype, lane
        other = last.setdefault(key, own)
        if other is own or lane is None:
            continue
        given = {r.node for r in plan.reads[node]}
        same = any(r.node in given for n in other.nodes if plan.work[n].is_reduction for r in plan.reads[n])
        apart = not (other.before & own.mask or own.before & other.mask)
        sums = sum(plan.work[n].is_reduction for n in (*other.nodes, *own.nodes))
        if same and apart and not is_full(len(other.nodes) + len(own.nodes)) and sums <= MAX_SUMS:
            plan.replace(other, own, other)
        else:
            last[key] = own
