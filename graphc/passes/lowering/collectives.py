"""What ranks compute together: its start, and right behind it the wait for its end.

    %1 = all_reduce(%0, order=7, ranks=2)    =>    %1 = start all_reduce(%0); %1 = wait all_reduce(%0, %1)

Numbers count the collectives of a program, in the order of their starts. Where the value of a collective is its operand's own,
that is a copy, which the exchange reads: nobody has to wait before others go on. `overlap_collectives` takes the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.ir.graph import Node
from graphc.ir.operation import Collective
from graphc.ir.program import Call, Param, copy_kernel
from graphc.ir.program import Collective as Start
from graphc.ir.types import TensorType, bool_
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.plan import Plan


def lower_collective(plan: Plan, cluster: Cluster, names: Mapping[Node, str]) -> list[Call]:
    """The start of a collective, and the wait. What passes its operand on is a copy, of which is sent."""
    (node,) = cluster.nodes
    lowering = node.op.lowering
    assert isinstance(lowering, Collective)
    where = () if node.where is None else (node.where,)
    attrs, places = tuple(sorted(node.attrs.items())), (plan.position[node],)
    buffers, made = [names[given] for given in node.inputs], node.type
    calls: list[Call] = []
    if lowering.passes_on:
        calls.append(Call(copy_kernel(node.type), (*buffers, names[node])))
        buffers, made = [names[node], f"{names[node]}.sent"], TensorType(bool_, (1,))
    else:
        buffers.append(names[node])
    params = (*(Param(f"x{i}", given.type, "in") for i, given in enumerate(node.inputs)), Param("y0", made, "out"))
    start = Start("k", params, node.op, attrs, False, where, places)
    return [*calls, Call(start, tuple(buffers)), Call(start.waiting(), tuple(buffers))]


def numbered(calls: Sequence[Call]) -> list[Call]:
    """The calls with their collectives numbered from 0."""
    found: list[Call] = []
    started = -1
    for call in calls:
        if isinstance(call.kernel, Start):
            started += not call.kernel.waits
            attrs = {**dict(call.kernel.attrs), "order": started}
            call = replace(call, kernel=replace(call.kernel, attrs=tuple(sorted(attrs.items()))))
        found.append(call)
    return found
