"""Choose which nodes share a kernel: Graph -> Plan.

    %0 = exp(%x)                       cluster 0: rows [batch | 10] {
    %1 = sum(%0, axes=[1])      =>       ... one row: exp, sum, divide ...
    %2 = ... divide(%0, %1 ...)        }

Every node is inlined (moving elements costs no more than loading them), or belongs to one cluster. A cluster is one kernel:

    rows      an outer space over which elementwise code and reductions of trailing axes run row by row
    columns   one reduction over leading or scattered axes, and elementwise code on its result
    contract  one contraction, and elementwise code on its result
    scatter   one scatter
    prefix    one running reduction, and elementwise code on its result
    stages    several of the first three under common outer loops: attention's products and its softmax between them
    row_partials   rows, and sums down their columns: parts of them from each block of rows, joined by a second kernel

A node joins a cluster of a producer if it needs nothing from that cluster but the same row, and if no path leaves the
cluster and returns. What keeps the two apart is a `Refusal` of the plan.

Afterwards every node is inlined or in one cluster, and there is an order in which the clusters can run.
"""

from __future__ import annotations

from graphc.ir.graph import Graph
from graphc.passes.fusion.plan import Plan


def plan_kernels(graph: Graph) -> Plan:
    """The plan of a graph's kernels."""
    return Plan(graph)
