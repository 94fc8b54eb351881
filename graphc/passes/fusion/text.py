"""A plan as text.

    plan    := "plan" name "(" inputs ")" "{" target? variable* inlined? open? cluster* update* "return" values "}"
    inlined := "inlined" "{" node* "}"                        in the order of the graph, each part of all that read it
    open    := "open" "{" node* "}"                           in no cluster yet: only while steps are left to do
    cluster := "cluster" number ":" part
    part    := form shape ["," "totals" values] ["," "row partials" values] "{" (node plan*)* part* apart* "}"
    apart   := "apart" %value "from cluster" number "," bytes "bytes" rule*
    rule    := what it says, in quotes

Clusters are numbered in the order in which they run. A node is a line as in the text of the graph; behind one that holds graphs
stand their plans. In a shape the axes of the outer loops stand before the bar; all, if there is none. What is apart is a value
that the cluster reads from memory, though another cluster makes it, with the rules that kept the first of its readers from that
one. parse.py reads it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.ir.names import quoted, written
from graphc.ir.program_text import print_target
from graphc.ir.target import HOST
from graphc.ir.text import names_of, print_node, print_title
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.refusal import Refusal

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan


def print_plan(plan: Plan) -> str:
    """The text of a plan."""
    graph, names = plan.graph, names_of(plan.graph)
    name = {node: written(text) for node, text in names.items()}
    lines = [f"plan {print_title(graph.name)}({', '.join(f'{name[n]}: {n.type}' for n in graph.inputs)}) {{"]
    if plan.target.name != HOST:
        lines.append(f"  target {print_target(plan.target)}")
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
            for node in cluster.nodes:
                lines.append(f"    {print_node(node, names)}")
                lines += [f"    {line}" for inner in plan.within.get(node, ()) for line in print_plan(inner).splitlines()]
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
    """The values that a cluster reads of others, in that order, each with the refusals of its first reader that met any."""
    reads: dict[Node, tuple[Refusal, ...]] = {}
    for node in cluster.nodes:
        for read in plan.reads[node]:
            if plan.home.get(read.node, cluster) is not cluster:
                reads[read.node] = reads.get(read.node) or plan.refusals.get((read.node, node), ())
    for value, found in reads.items():
        if found:
            yield f"apart {name[value]} from cluster {number[plan.home[value].number]}, {found[0].bytes} bytes"
            yield from (f"  {quoted(str(refusal))}" for refusal in found)
