"""Merge two clusters into one, or say by which rule they cannot be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.ir import dims
from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.passes.domains import axis_names, core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import FULL, Cluster, is_full
from graphc.passes.fusion.refusal import BETWEEN, ELSEWHERE, NO_ROWS, OTHER_ROWS, OTHER_SHAPE, TOTAL, Rule

if TYPE_CHECKING:
    from graphc.passes.fusion.plan import Plan

SMALL = 16384  # elements that one thread computes alone: part of the order of summation, so the same for all targets


def merge(plan: Plan, first: Cluster, second: Cluster) -> Cluster | Rule:
    """The cluster of both, if they fit and no third one must run between them; `first` reads nothing of `second`."""
    if is_full(len(first.nodes) + len(second.nodes)):
        return FULL
    if not plan.acyclic(first, second):
        return BETWEEN
    prefix = common_prefix(plan, first, second)
    if isinstance(prefix, Rule):
        return prefix
    if isinstance(first.form, forms.Rows):
        first.form = first.form.joined(second.form, prefix)
    plan.replace(first, second, first)
    return first


def common_prefix(plan: Plan, first: Cluster, second: Cluster) -> int | Rule:
    """The number of leading axes that two clusters can share as rows, or the rule by which they do not fit."""
    if second.form.needs is not None:
        return second.form.needs
    if first.form.closed is not None:
        return first.form.closed
    if not first.form.gives_rows:  # a contraction's or column reduction's epilogue: elementwise on its result
        if second.totals or any(plan.work[n].is_reduction for n in second.nodes):
            return first.form.one_element
        return _reads_in_place(plan, first, second) or first.prefix
    rank = min(first.prefix, second.prefix)
    members = {*first.nodes, *second.nodes}
    totals = first.totals | second.totals
    for node in _met(plan, first, second):
        work = plan.work[node]
        for read in plan.reads[node]:
            if read.node not in members:
                continue
            given = core_shape(read.node)
            r = len(given)
            if read.node in totals:
                return TOTAL
            if r > len(work.domain) or given != work.domain[:r]:
                return OTHER_ROWS
            if read.index != axis_names(len(work.domain))[:r]:
                return ELSEWHERE
            if r < len(work.domain):
                rank = min(rank, r)
        if work.is_reduction and node not in totals:
            rank = min(rank, work.reduced[0])
    shapes = _domains(plan, first) | _domains(plan, second)
    longest = max(shapes, key=len)
    if any(s[:rank] != longest[:rank] or len(s) < rank for s in shapes):
        return NO_ROWS
    if rank == 0 and not all(is_small(s) for s in shapes):
        return NO_ROWS
    if rank == 0 and (totals or (len(longest) > 0 and not any(plan.work[n].is_reduction for n in members))):
        return NO_ROWS
    if totals and any(len(plan.work[n].domain) < rank for n in totals):
        return NO_ROWS
    return rank


def is_small(shape: Shape) -> bool:
    size = dims.product(shape)
    return isinstance(size, int) and size <= SMALL


def _met(plan: Plan, first: Cluster, second: Cluster) -> list[Node]:
    """The nodes whose reads decide about the merging: reads within the first cluster were checked when it grew."""
    readers = {reader for n in second.nodes for reader in plan.read_by.get(n, ())}
    if readers:
        readers.intersection_update(first.nodes)
    return [*sorted(readers, key=plan.position.__getitem__), *second.nodes]


def _domains(plan: Plan, cluster: Cluster) -> set[Shape]:
    """The domains of a rows cluster's nodes."""
    if cluster.domains is None:
        cluster.domains = {plan.work[n].domain for n in cluster.nodes}
    return cluster.domains


def _reads_in_place(plan: Plan, first: Cluster, second: Cluster) -> Rule | None:
    """The rule by which `second` does not read `first` element by element, at its own index."""
    members = {*first.nodes, *second.nodes}
    size = dims.product(first.shape)
    index: tuple[dims.Size, ...] = ()
    ranges: dict[str, dims.Size] = {}
    plain = axis_names(len(first.shape))
    for node in _met(plan, first, second):
        inside = [r for r in plan.reads[node] if r.node in members]
        product = node not in plan.work or plan.work[node].is_reduction
        if inside and product:
            return first.form.whole_value
        values = [node, *(r.node for r in inside)]
        if all(r.index == plain for r in inside) and all(_is_plain(plan, n, first.shape) for n in values):
            continue
        if isinstance(first.form, forms.Prefix):  # its indices start anew in every block: they cannot be compared
            return OTHER_SHAPE
        if dims.product(core_shape(node)) != size or size == 0:  # empty shapes that differ have equally many elements
            return first.form.other_count
        if not ranges:
            index = tuple(dims.symbol(f"c.{a}") for a in range(len(first.shape)))
            ranges = {f"c.{a}": n for a, n in enumerate(first.shape)}
        here = {f"d.{a}": i for a, i in enumerate(plan.index_of(node, index, first.shape, ranges))}
        for read in inside:
            found = tuple(dims.substitute(i, here, ranges) for i in read.index)
            if found != plan.index_of(read.node, index, first.shape, ranges):
                return ELSEWHERE
    return None


def _is_plain(plan: Plan, node: Node, shape: Shape) -> bool:
    """Whether a value has the elements of a shape in the same order."""
    return node not in plan.moved and core_shape(node) == shape
