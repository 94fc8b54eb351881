"""Write the kernels of the clusters that `fuse` chose: a file for each form of cluster.

scope.py               statements in nested blocks, and the memory of values
rows.py                elementwise code and reductions, row by row
columns.py             reductions over leading or scattered axes
products.py            contractions and scatters
prefixes.py            running reductions
stages.py              several of these under common outer loops
loops.py               loops and choices: the kernels of a body as statements of one
steps.py               loops whose steps are long: each a run of the body's own program
partition_carries.py   which rows of a loop's carries go to which thread
host_calls.py          routines of Python
collectives.py         what ranks compute together: its start, and the wait for its end
lanes.py               routines of small arrays, each of which has a lane of vectors
"""

from __future__ import annotations

from graphc.ir.graph import Node
from graphc.ir.names import unused
from graphc.ir.operation import Constant, Input
from graphc.ir.program import Buffer, Call, Program, copy_kernel, sign
from graphc.ir.text import names_of
from graphc.ir.types import TupleType
from graphc.passes.fusion import forms
from graphc.passes.fusion.plan import Plan
from graphc.passes.lowering.collectives import numbered
from graphc.passes.lowering.columns import lower_columns
from graphc.passes.lowering.prefixes import lower_prefix
from graphc.passes.lowering.products import lower_contract, lower_scatter
from graphc.passes.lowering.loops import lower_whole
from graphc.passes.lowering.host_calls import results_of
from graphc.passes.lowering.rows import lower_rows, split_tail
from graphc.passes.lowering.scope import KernelWriter
from graphc.passes.lowering.stages import lower_stages


def lower(plan: Plan, steps: bool = True) -> Program:
    """The program of a plan, without rules for its sizes. Without `steps`, all loops become kernels, however long a step is."""
    graph = plan.graph
    names = names_of(graph)
    crossing = plan.crossing()
    outputs = set(graph.outputs)
    buffers: dict[str, Buffer] = {}
    for node in graph.nodes:
        if plan.is_leaf(node):
            buffers[names[node]] = _leaf_buffer(node, names[node])
        elif node in crossing and not isinstance(node.type, TupleType):
            buffers[names[node]] = Buffer(names[node], node.type, "output" if node in outputs else "temporary")
    calls: list[Call] = []
    for cluster in plan.order():
        if isinstance(cluster.form, forms.Whole):
            calls += lower_whole(plan, cluster, names, buffers, lower, steps)
            for first, other in results_of(cluster)[2]:
                calls.append(Call(copy_kernel(other.type), (names[first], names[other])))
            continue
        writer = KernelWriter(plan, cluster, crossing, names)
        match cluster.form:
            case forms.Rows():
                parts = () if cluster.totals else split_tail(writer)
                calls += [lower_stages(writer, parts)] if parts else lower_rows(writer)
            case forms.Columns():
                calls += lower_columns(writer)
            case forms.RowPartials():
                calls += _lower_row_partials(writer)
            case forms.Product():
                calls += lower_contract(writer)
            case forms.Prefix():
                calls += lower_prefix(writer)
            case forms.Stages():
                calls.append(lower_stages(writer, cluster.parts))
            case _:
                calls.append(lower_scatter(writer))
    for call in tuple(calls):
        for name, param in zip(call.buffers, call.kernel.params, strict=True):
            if name not in buffers:
                buffers[name] = Buffer(name, param.type, "temporary")

    copies: dict[tuple[Node, str], str] = {}

    def copied(node: Node, suffix: str, role: str) -> str:
        """The buffer of a copy of a leaf."""
        if (node, role) not in copies:
            name = copies[node, role] = unused(f"{names[node]}.{suffix}", buffers)
            buffers[name] = Buffer(name, node.type, role)
            calls.append(Call(copy_kernel(node.type), (names[node], name)))
        return copies[node, role]

    # An output never aliases an input, a variable or a constant; all new values are read before any variable is written.
    results = [copied(n, "copy", "output") if plan.is_leaf(n) else names[n] for n in graph.outputs]
    variables = {v for v, _ in graph.updates}
    updates = [(names[v], copied(n, "old", "temporary") if n in variables else names[n]) for v, n in graph.updates]
    calls = numbered(calls)
    signature = sign(buffers, (names[n] for n in graph.inputs), results, updates)
    return Program(graph.name, buffers, tuple(calls), signature, target=plan.target).named()


def _lower_row_partials(writer: KernelWriter) -> list[Call]:
    """Rows with parts of sums down their columns; and their sums, with the elementwise code on them."""
    rows, *columns = (KernelWriter(writer.plan, stage, writer.crossing, writer.names) for stage in writer.cluster.parts)
    return [*lower_rows(rows), *(call for sums in columns for call in lower_columns(sums, rows.parts))]


def _leaf_buffer(node: Node, name: str) -> Buffer:
    match node.op.lowering:
        case Constant():
            return Buffer(name, node.type, "constant", value=node.attrs["value"].array)
        case Input():
            return Buffer(name, node.type, "input")
    return Buffer(name, node.type, "variable")
