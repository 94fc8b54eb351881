"""Inline elementwise code that only a sum down the columns reads: it is computed once there, too.

    open {                                        inlined {
      %0 = multiply(%x, %g) : f32[n, 64]    =>      %0 = multiply(%x, %g) : f32[n, 64]
      %1 = sum(%0, axes=[0]) : f32[64]            }
    }                                             open { %1 = sum(%0, axes=[0]) : f32[64] }

Afterwards no sum down the columns waits for an array that nothing else reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.ir.operation import Pointwise
from graphc.passes.domains import core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.measure import MAX_INLINE

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan


def inline_into_columns(plan: Plan) -> None:
    """Inline what only one column reduction reads: it is computed once there, too."""
    for node in reversed(plan.graph.nodes):
        users = plan.users[node]
        if not isinstance(node.op.lowering, Pointwise) or node in plan.roots or plan.inlined(node) or len({*users}) != 1:
            continue
        if node in plan.whole:
            continue
        depth = plan.depth.get(users[0], 0) + 1 if plan.inlined(users[0]) else 1
        target = users[0]
        while plan.inlined(target) and len({*plan.users[target]}) == 1:
            target = plan.users[target][0]
        if target not in plan.work or plan.starts(target) is not forms.Columns or depth > MAX_INLINE or len(plan.reads[node]) > 4:
            continue
        if len(core_shape(node)) == len(plan.work[target].domain):  # a smaller value would be computed many times
            plan.depth[node] = depth
            plan.probe(target, alike=False)
