"""Check that a plan is one: what lowering relies on, and every plan has that all steps have made.

    1. a node that computes something is inlined, or in one cluster
    2. what is inlined is elementwise, no output, and no operand of a loop, a choice or a routine of Python
    3. the nodes of a cluster stand in the order of their data
    4. the clusters can run one after the other
    5. every node of rows runs over their outer loops; other forms have their one kind of node, and elementwise code
    6. clusters under common outer loops have those loops, and all nodes between them
    7. what was refused is a value and its reader
    8. what holds graphs has a plan for each, of the same types, and that is one too
"""

from __future__ import annotations

import networkx as nx

from graphc.errors import GraphError
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Pointwise, Whole
from graphc.ir.text import names_of, print_node
from graphc.ir.types import TensorType
from graphc.passes.fusion import forms
from graphc.passes.fusion.bodies import bodies_of
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.plan import Plan


def verify_plan(plan: Plan) -> Plan:
    """The plan itself, if it is sound; else GraphError with the text of the node that is not.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,))
    >>> verify_plan(gx.passes.plan_kernels(gx.ir.Graph([x], [gx.exp(x)])))
    <Plan graph: 1 clusters, 0 nodes inlined>
    """
    _check_homes(plan)
    _check_order(plan)
    for cluster in plan.clusters.values():
        for part in cluster.parts:
            _check_form(plan, part)
        _check_parts(plan, cluster)
    for (value, reader), refused in plan.refusals.items():
        if all(read.node is not value for read in plan.reads[reader]) or any(r.value is not value for r in refused):
            raise _error(plan, reader, "what was refused is not read here")
    for node in plan.graph.nodes:
        _check_within(plan, node)
    return plan


def _error(plan: Plan, node: Node, what: str) -> GraphError:
    return GraphError(f"verify: {what}\n  {print_node(node, names_of(plan.graph))}", where=node.where)


def _check_homes(plan: Plan) -> None:
    found: dict[Node, Cluster] = {}
    for cluster in plan.clusters.values():
        for node in cluster.nodes:
            if node in found:
                raise _error(plan, node, "it is in two clusters")
            found[node] = cluster
    for node in plan.graph.nodes:
        if plan.inlined(node):
            if node in found:
                raise _error(plan, node, "it is inlined and in a cluster")
            if node in plan.roots or node in plan.whole or not isinstance(node.op.lowering, Pointwise):
                raise _error(plan, node, "it is inlined, but must be in memory")
        elif not plan.is_leaf(node) and (node not in found or plan.home[node] is not found[node]):
            raise _error(plan, node, "it is in no cluster")


def _check_order(plan: Plan) -> None:
    needs: nx.DiGraph[int] = nx.DiGraph()
    needs.add_nodes_from(plan.clusters)
    for cluster in plan.clusters.values():
        for node in cluster.nodes:
            for read in plan.reads[node]:
                home = plan.home.get(read.node)
                if home is cluster and plan.position[read.node] > plan.position[node]:
                    raise _error(plan, node, "it needs itself")
                if home is not None and home is not cluster:
                    needs.add_edge(home.number, cluster.number)
        places = [plan.position[node] for node in cluster.nodes]
        if places != sorted(places):
            raise _error(plan, cluster.nodes[0], "its cluster's nodes are not in the order of their data")
    if not nx.is_directed_acyclic_graph(needs):
        circle = nx.find_cycle(needs)
        raise _error(plan, plan.clusters[circle[0][0]].nodes[0], "its cluster needs another that needs it")


def _check_form(plan: Plan, part: Cluster) -> None:
    form = part.form
    if isinstance(form, forms.Rows):
        for node in part.nodes:
            if plan.work[node].domain[: form.prefix] != form.shape[: form.prefix]:
                raise _error(plan, node, f"it does not run over the rows [{', '.join(map(str, form.shape[: form.prefix]))}]")
    elif form.made:  # a product, sums down the columns or a running reduction, with an epilogue
        makers = [n for n in part.nodes if n not in plan.work]
        sums = [n for n in part.nodes if n in plan.work and plan.work[n].is_reduction]
        fits = sums and not makers if isinstance(form, forms.Columns) else len(makers) == 1 and not sums
        if not fits:
            raise _error(plan, part.nodes[0], f"its cluster is no {form.name} with elementwise code")


def _check_within(plan: Plan, node: Node) -> None:
    bodies = bodies_of(node) if isinstance(node.op.lowering, Whole) else ()
    inside = plan.within.get(node, ())
    if [_types(body) for body in bodies] != [_types(inner.graph) for inner in inside]:
        raise _error(plan, node, "its graphs have other plans")
    for inner in inside:
        verify_plan(inner)


def _types(graph: Graph) -> list[TensorType]:
    return [node.type for node in (*graph.inputs, *graph.outputs, *(n for update in graph.updates for n in update))]


def _check_parts(plan: Plan, cluster: Cluster) -> None:
    if {n for part in cluster.parts for n in part.nodes} != {*cluster.nodes}:
        raise _error(plan, cluster.nodes[0], "its cluster has other nodes than its parts")
    if isinstance(cluster.form, forms.Stages):
        for part in cluster.parts:
            if part.shape[: cluster.prefix] != cluster.shape[: cluster.prefix] or not part.form.goes_under(cluster.prefix):
                raise _error(plan, part.nodes[0], "its part of the cluster has other outer loops")
