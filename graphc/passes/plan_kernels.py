"""Choose which nodes share a kernel: Graph -> Plan.

    %0 = exp(%x)                       cluster 0: rows [batch | 10] {
    %1 = sum(%0, axes=[1])      =>       ... one row: exp, sum, divide ...
    %2 = ... divide(%0, %1 ...)        }

Every node is inlined (moving elements costs no more than loading them), or belongs to one cluster, which becomes a kernel. The
form of a cluster says which loops that has (passes/fusion/forms.py). A node joins the cluster of a producer if it needs nothing
from it but the same row, and if no path leaves the cluster and returns; otherwise the plan has a `Refusal`.

The steps are FUSION, a tuple: each changes the plan, which has a text after each of them.

Afterwards every node is inlined or in one cluster, and there is an order in which the clusters can run.
"""

from __future__ import annotations

from collections.abc import Callable

from graphc.ir.graph import Graph
from graphc.ir.operation import Whole
from graphc.ir.target import Target, host
from graphc.passes.fusion.bodies import bodies_of
from graphc.passes.fusion.inline_into_columns import inline_into_columns
from graphc.passes.fusion.inline_shifted import inline_shifted
from graphc.passes.fusion.measure import measure
from graphc.passes.fusion.move_to_reader import move_to_reader
from graphc.passes.fusion.pair_columns import pair_columns
from graphc.passes.fusion.place import place
from graphc.passes.fusion.plan import Plan
from graphc.passes.fusion.row_partials import join_row_partials
from graphc.passes.fusion.stack import stack

FUSION: tuple[Callable[[Plan], None], ...] = (
    measure,              # what every node reads and costs; light code is inlined
    inline_into_columns,  # before clusters: what is inlined is in none
    inline_shifted,
    place,                # every other node is in a cluster from here on
    pair_columns,
    move_to_reader,       # before stack: stages hand on what their readers take
    stack,
    join_row_partials,    # last: sums go along with rows that are not under loops with a product
)  # fmt: skip


def plan_kernels(graph: Graph, target: Target | None = None) -> Plan:
    """The plan of a graph's kernels for a target, and of those of the graphs within it; for this machine, if none is given."""
    plan = plan_own(graph, target)
    for node in graph.nodes:
        if isinstance(node.op.lowering, Whole) and (bodies := bodies_of(node)):
            plan.within[node] = tuple(plan_kernels(body, plan.target) for body in bodies)
    return plan


def plan_own(graph: Graph, target: Target | None = None) -> Plan:
    """The plan of a graph's own kernels, without those of the graphs within it."""
    plan = Plan(graph, target or host())
    for step in FUSION:
        step(plan)
    return plan
