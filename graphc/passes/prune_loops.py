"""Remove unused results, inputs and carries of loops and choices.

    %1 = scan(%a, %b, %x, body -> a + x, b * x, a)       %1 = scan(%a, %x, body -> a + x)
    %2 = project(%1, index=0)                       =>   %2 = project(%1, index=0)

Afterwards every result of a loop is read, or is a carry that one that is read depends on; every input of a body is read by it,
and none is given twice; a carry that never changes is an input like others; what only hands on slices is what was sliced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphc.ir.graph import Graph, Node, on_inputs, origin, substitute, topological, within
from graphc.ir.loops import Loop, loop_of
from graphc.ir.operation import VOCABULARY, Project


def prune_loops(graph: Graph) -> Graph:
    wanted: dict[Node, set[int]] = {}
    for node in graph.nodes:
        if isinstance(node.op.lowering, Project):
            wanted.setdefault(node.inputs[0], set()).add(node.attrs["index"])
    new: dict[Node, Node] = {}
    results: dict[Node, dict[int, Node]] = {}  # a loop -> what its results have become

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op.lowering, Project) and node.inputs[0] in results:
            return results[node.inputs[0]][node.attrs["index"]]
        made = on_inputs(node, inputs)
        loop = loop_of(made) if node in wanted else None
        found = None if loop is None else _pruned(loop, wanted[node])
        if found is not None:
            results[node] = found
        return made

    substitute(graph.nodes, new, change)
    return within(graph.replaced(new), prune_loops)


def _pruned(loop: Loop, wanted: set[int]) -> dict[int, Node] | None:
    """What is wanted of the results, taken from a smaller loop; None where it is as small as it can be."""
    first = loop.bodies[0]
    fixed = {i for i in loop.carried if first.outputs[i] is first.inputs[i]}
    handed = _handed_on(loop)
    needed = wanted - handed.keys()
    while True:
        more = {i for i in _reads(loop, needed) if i < loop.carries} - needed
        if not more:
            break
        needed |= more
    carried = [i for i in loop.carried if i in needed and i not in fixed]
    equal: dict[tuple[Node, ...], int] = {}
    for i in loop.made:
        if i in needed:
            equal.setdefault(tuple(g.outputs[i] for g in loop.bodies), i)
    kept = [*carried, *equal.values()]
    shared = sorted({*fixed, *loop.shared})
    alias = _aliases(loop, loop.sliced) | _aliases(loop, shared)
    read = {alias.get(i, i) for i in _reads(loop, kept)}
    slices, shared = ([i for i in group if i in read] for group in (loop.sliced, shared))
    inputs = [*carried, *slices, *shared]
    if len(inputs) == len(loop.given) and len(kept) == len(first.outputs):
        return None
    with origin(loop.node.where, loop.node.gradient):
        bodies = [_rebuilt(g, inputs, [g.outputs[i] for i in kept], alias) for g in loop.bodies]
        test = None if loop.test is None else _rebuilt(loop.test, inputs, loop.test.outputs, alias)
        made = loop.rebuilt([loop.given[i] for i in inputs], bodies, test, len(carried), len(slices))
        place = {i: n for n, i in enumerate(kept)}
        found: dict[int, Node] = {i: loop.given[handed.get(i, i)] for i in wanted & (fixed | handed.keys())}
        for i in wanted - found.keys():
            at = place[i if i < loop.carries else equal[tuple(g.outputs[i] for g in loop.bodies)]]
            found[i] = VOCABULARY["project"](made, index=at)
    return found


def _reads(loop: Loop, outputs: Iterable[int]) -> set[int]:
    """The inputs that some results, and the test, are made of."""
    chosen = list(outputs)
    found: set[int] = set()
    for graph in loop.graphs:
        roots = graph.outputs if graph is loop.test else [graph.outputs[i] for i in chosen]
        reached = set(topological(roots))
        found |= {i for i, leaf in enumerate(graph.inputs) if leaf in reached}
    return found


def _handed_on(loop: Loop) -> dict[int, int]:
    """For results that are the slices of an input, one by one: the place of that input."""
    first = loop.bodies[0]
    at = {first.inputs[i]: i for i in loop.sliced}
    return {i: at[first.outputs[i]] for i in loop.made if first.outputs[i] in at}


def _aliases(loop: Loop, places: Sequence[int]) -> dict[int, int]:
    """For every place the first to which the same value is given."""
    first: dict[Node, int] = {}
    return {i: first.setdefault(loop.given[i], i) for i in places}


def _rebuilt(graph: Graph, inputs: Sequence[int], outputs: Sequence[Node], alias: dict[int, int]) -> Graph:
    """The graph of some of the inputs and outputs, with one leaf for inputs that are equal."""
    new: dict[Node, Node] = {leaf: graph.inputs[alias.get(i, i)] for i, leaf in enumerate(graph.inputs)}
    return Graph((graph.inputs[i] for i in inputs), substitute(outputs, new, on_inputs), name=graph.name)
