"""A plan as text.

    plan   := "plan" name "(" inputs ")" "{" variable* inlined? open? cluster* update* "return" values "}"
    inlined := "inlined" "{" node* "}"                        in the order of the graph, each part of all that read it
    open    := "open" "{" node* "}"                           in no cluster yet: only while steps are left to do
    cluster := "cluster" number ":" form "{" node* apart* "}"   or its stages, each a form with nodes
    apart   := "apart" %value "from cluster" number "," bytes "bytes" rule*

Clusters are numbered in the order in which they run. A node is a line as in the text of the graph. What is apart is a value that
the cluster reads from memory, though another cluster makes it, with the rules that kept the two from being one; a value without
rules is that of a reader which only followed another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.ir.names import written
from graphc.ir.text import names_of, print_node, print_title
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan


def print_plan(plan: Plan) -> str:
    """The text of a plan."""
    graph, names = plan.graph, names_of(plan.graph)
    name = {node: written(text) for node, text in names.items()}
    lines = [f"plan {print_title(graph.name)}({', '.join(f'{name[n]}: {n.type}' for n in graph.inputs)}) {{"]
    lines += [f"  variable {name[v]}: {v.type}" for v in graph.variables]
    leaves = {*graph.inputs, *graph.variables}
    inlined = [n for n in graph.nodes if n not in leaves and (plan.inlined(n) or plan.is_leaf(n))]
    rest = [n for n in graph.nodes if n not in leaves and n not in plan.home and not (plan.inlined(n) or plan.is_leaf(n))]
    for title, nodes in (("inlined", inlined), ("open", rest)):
        if nodes:
            lines += [f"  {title} {{", *(f"    {print_node(n, names)}" for n in nodes), "  }"]
    order = plan.order()
    number = {cluster.number: i for i, cluster in enumerate(order)}
    for i, cluster in enumerate(order):
        lines.append(f"  cluster {i}: {_form(cluster, name)} {{")
        if len(cluster.parts) > 1:
            for stage in cluster.parts:
                lines.append(f"    {_form(stage, name)} {{")
                lines += [f"      {print_node(n, names)}" for n in stage.nodes]
                lines.append("    }")
        else:
            lines += [f"    {print_node(n, names)}" for n in cluster.nodes]
        lines += [f"    {line}" for line in _apart(plan, cluster, name, number)]
        lines.append("  }")
    lines += [f"  update {name[v]} = {name[n]}" for v, n in graph.updates]
    lines.append(f"  return {', '.join(name[n] for n in graph.outputs)}".rstrip())
    return "\n".join([*lines, "}"])


def _form(cluster: Cluster, name: Mapping[Node, str]) -> str:
    """A form with its shape, whose axes before the bar are those of the kernel's outer loops."""
    form = cluster.form
    shape = form.shape[: form.prefix] if isinstance(form, forms.Stages) else form.shape
    parts = [form.name if isinstance(form, forms.Whole) else f"{form.name} {_shape(shape, form.prefix)}"]
    for what, nodes in (("totals", cluster.totals), ("row partials", cluster.row_partials)):
        if nodes:
            parts.append(f"{what} {', '.join(sorted(name[n] for n in nodes))}")
    return ", ".join(parts)


def _shape(shape: Shape, prefix: int) -> str:
    outer, inner = (", ".join(map(str, part)) for part in (shape[:prefix], shape[prefix:]))
    return f"[{outer}]" if not inner else f"[{outer} | {inner}]" if outer else f"[| {inner}]"


def _apart(plan: Plan, cluster: Cluster, name: Mapping[Node, str], number: Mapping[int, int]) -> Iterator[str]:
    """The values that a cluster reads of others, each with the refusals of its first reader that met any."""
    told: set[Node] = set()
    for node in cluster.nodes:
        for read in plan.reads[node]:
            home = plan.home.get(read.node)
            found = plan.refusals.get((read.node, node), ())
            if home is None or home is cluster or read.node in told or not found:
                continue
            told.add(read.node)
            yield f"apart {name[read.node]} from cluster {number[home.number]}, {found[0].bytes} bytes"
            yield from (f"  {refusal}" for refusal in found)
