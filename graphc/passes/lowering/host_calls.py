"""A routine of Python as a call between kernels: it reads and makes whole arrays."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir.graph import Node
from graphc.ir.operation import Project
from graphc.ir.program import Call, HostCall, Param, Program
from graphc.ir.types import TupleType
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.plan import Plan


def results_of(cluster: Cluster) -> tuple[Node, list[Node | None], list[tuple[Node, Node]]]:
    """The node of a cluster of whole arrays; the node that stands for each of its results; others that are equal to one."""
    node, *projections = cluster.nodes
    if not isinstance(node.type, TupleType):
        return node, [node], []
    found: list[Node | None] = [None] * len(node.type.parts)
    equal: list[tuple[Node, Node]] = []
    for projection in projections:
        assert isinstance(projection.op.lowering, Project)
        first = found[projection.attrs["index"]]
        if first is None:
            found[projection.attrs["index"]] = projection
        else:
            equal.append((first, projection))
    return node, found, equal


def lower_host_call(plan: Plan, cluster: Cluster, names: Mapping[Node, str], programs: tuple[Program, ...] = ()) -> Call:
    """The call of a routine; `programs` are what its graphs have become."""
    node, results, _ = results_of(cluster)
    params = [Param(f"x{i}", given.type, "in") for i, given in enumerate(node.inputs)]
    buffers = [names[given] for given in node.inputs]
    types = node.type.parts if isinstance(node.type, TupleType) else (node.type,)
    for i, (result, kind) in enumerate(zip(results, types, strict=True)):
        params.append(Param(f"y{i}", kind, "out"))
        buffers.append(f"{names[node]}.{i}" if result is None else names[result])
    where = () if node.where is None else (node.where,)
    places = tuple(plan.position[n] for n in cluster.nodes)
    attrs, several = tuple(sorted(node.attrs.items())), isinstance(node.type, TupleType)
    return Call(HostCall("k", tuple(params), node.op, attrs, several, programs, where, places), tuple(buffers))
