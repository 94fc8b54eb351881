"""Join column sums of one shape that read the same array, so that it is loaded once.

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

# By measurement with 32 registers. How many sums share a kernel decides how rows are cut, so it is the same for all targets.
MAX_SUMS = 13  # the most column sums of a kernel: a vector of each is in a register, beside their operands


def pair_columns(plan: Plan) -> None:
    """Join column sums of one shape that read the same array, so that it is loaded once."""
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
