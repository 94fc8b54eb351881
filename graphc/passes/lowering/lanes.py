"""A routine of small arrays as a kernel over blocks of them, and a call of what refuses some of them."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir.graph import Node
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import Lanes
from graphc.ir.program import Call, HostCall, Kernel, Param
from graphc.ir.types import TensorType, bool_
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.plan import Plan
from graphc.passes.lowering.host_calls import results_of


def lower_lanes(plan: Plan, cluster: Cluster, names: Mapping[Node, str], lanes: Lanes) -> list[Call]:
    """The call of the kernel; of the guard, where there is one, after it."""
    node, results, _ = results_of(cluster)
    kind = node.inputs[0].type.dtype
    width = plan.target.lanes(kind.itemsize) if lanes.width is None else lanes.width
    k = LaneCode(node, lanes, width, plan.target.fma, plan.dims)
    lanes.write(k, **node.attrs)
    buffers = [names[given] for given in node.inputs]
    buffers += [f"{names[node]}.{i}" if result is None else names[result] for i, result in enumerate(results)]
    where = () if node.where is None else (node.where,)
    places = tuple(plan.position[n] for n in cluster.nodes)
    if lanes.guard is not None:
        buffers.append(f"{names[node]}.bad")
    kernel = Kernel("k", tuple(k.params), (k.parallel,), k.body, tuple(k.scratch), where, places)
    calls = [Call(kernel, tuple(buffers))]
    if lanes.guard is not None:
        bad = TensorType(bool_, (k.count,))
        params = Param("x0", bad, "in"), Param("y0", TensorType(bool_, ()), "out")
        attrs = (("refusal", lanes.refusal),)
        guard = HostCall("k", params, lanes.guard, attrs, where=where, nodes=places)
        calls.append(Call(guard, (buffers[-1], f"{names[node]}.any")))
    return calls
