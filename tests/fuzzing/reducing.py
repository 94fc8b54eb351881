"""A mismatch made small, and told."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np

import graphc as gx
from fuzzing.case import Array, Case, pruned
from fuzzing.comparing import Mismatch, check_graph, check_native, check_programs
from graphc.backends.interpreter import evaluate
from graphc.ir.graph import Graph, Node, topological
from graphc.ir.types import TupleType


def again(mismatch: Mismatch, case: Case) -> Mismatch | None:
    """The same kind of mismatch in another case, if it is there too."""
    try:
        kind = mismatch.kind
        found = (
            check_graph(case) if kind in ("print", "optimised") else check_programs(case) if kind == "program"
            else next(check_native([case]), None)
        )  # fmt: skip
    except Exception:  # a cut that makes no sense
        return None
    crashed = lambda m: m.why.split(":")[0] if "Error" in m.why.split(":")[0] else ""
    return found if found is not None and found.kind == mismatch.kind and crashed(found) == crashed(mismatch) else None


def smaller(case: Case) -> Iterator[Case]:
    """Cases with less in them: fewer roots, a node replaced by an operand of its type, or by an input that holds its value."""
    graph = case.graph
    if len(graph.roots) > 1:
        for root in graph.roots:
            yield with_roots(case, [root], [])
    if graph.updates:
        yield with_roots(case, list(graph.outputs), [])
    nodes = [n for n in topological(graph.roots) if not n.is_leaf]
    sizes, state, arrays = case.sizes, case.state, case.arrays
    for node in nodes:
        for given in node.inputs:
            if given.type == node.type:
                yield substituted(case, node, given, {})
    taken = {str(x.attrs["name"]) for x in graph.inputs}
    name = next(f"cut{i}" for i in range(len(taken) + 1) if f"cut{i}" not in taken)
    roots = set(graph.roots)
    for node in reversed(nodes):
        if node in roots or isinstance(node.type, TupleType):
            continue
        value = evaluate(Graph(graph.inputs, [node]), arrays, sizes, state)[0][0]
        new = gx.placeholder(name, node.type.shape, node.type.dtype)
        yield substituted(case, node, new, {new: np.array(value)})


def with_roots(case: Case, outputs: list[Node], updates: list[tuple[Node, Node]]) -> Case:
    return pruned(Graph(case.graph.inputs, outputs, updates, case.graph.name), case.arrays, case.index)


def substituted(case: Case, old: Node, by: Node, more: Mapping[Node, Array]) -> Case:
    new: dict[Node, Node] = {}
    for node in case.graph.nodes:
        new[node] = by if node is old else node if node.is_leaf else node.with_inputs(tuple(new[i] for i in node.inputs))
    graph = case.graph.replaced(new)
    return pruned(Graph((*graph.inputs, *more), graph.outputs, graph.updates, graph.name), {**case.arrays, **more}, case.index)


def reduce_mismatch(mismatch: Mismatch, seconds: float) -> Mismatch:
    """The smallest case found in the time given that shows the same mismatch."""
    until = time.monotonic() + seconds
    going = True
    while going:
        going = False
        for case in smaller(mismatch.case):
            if time.monotonic() > until:
                return mismatch
            if len(topological(case.graph.roots)) > len(topological(mismatch.case.graph.roots)):
                continue
            found = again(mismatch, case)
            if found is not None:
                mismatch, going = found, True
                break
    return mismatch


def report(mismatch: Mismatch, seed: int, seconds: float) -> None:
    print(f"mismatch in graph {mismatch.case.index} of seed {seed}: {mismatch.kind}: {mismatch.why}")
    small = reduce_mismatch(mismatch, seconds)
    print(f"# {small.kind}: {small.why}")
    for x, v in zip(small.case.graph.inputs, small.case.values, strict=True):
        print(
            f"# {x.attrs['name']} = {np.array2string(v, threshold=40, separator=', ', floatmode='unique')}".replace("\n", "\n# ")
        )
    for v, held in small.case.state.items():
        print(
            f"# variable {v.attrs['name']} = {np.array2string(held, threshold=40, separator=', ', floatmode='unique')}".replace(
                "\n", "\n# "
            )
        )
    print(small.case.graph, flush=True)
