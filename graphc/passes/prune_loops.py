"""Take out of loops and choices what nobody needs.

    %1 = scan(%a, %b, %x, body -> a + x, b * x, a)       %1 = scan(%a, %x, body -> a + x)
    %2 = project(%1, index=0)                       =>   %2 = project(%1, index=0)

Afterwards every result of a loop is read, or is a carry that one that is read depends on; every input of a body is read by it,
and none is given twice; a carry that never changes is an input like others; what only hands on slices is what was sliced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphc.ir.graph import Graph, Node, origin, topological, within
from graphc.ir.operation import VOCABULARY, Project, Scan, Switch, While


def prune_loops(graph: Graph) -> Graph:
    wanted: dict[Node, set[int]] = {}
    for node in graph.nodes:
        if isinstance(node.op.lowering, Project):
            wanted.setdefault(node.inputs[0], set()).add(node.attrs["index"])
    new: dict[Node, Node] = {}
    results: dict[Node, dict[int, Node]] = {}  # a loop -> what its results have become
    for node in graph.nodes:
        if isinstance(node.op.lowering, Project) and node.inputs[0] in results:
            new[node] = results[node.inputs[0]][node.attrs["index"]]
            continue
        new[node] = node if node.is_leaf else node.with_inputs(tuple(new[i] for i in node.inputs))
        if isinstance(node.op.lowering, (Scan, While, Switch)) and node in wanted:
            found = _Loop(new[node]).pruned(wanted[node])
            if found is not None:
                results[node] = found
    return within(graph.replaced(new), prune_loops)


class _Loop:
    """A loop or a choice: its bodies, which all have the same inputs. What is said of inputs is said of their places."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.carries: int = node.attrs.get("carries", 0)
        self.slices = range(self.carries, self.carries + node.attrs.get("sequences", 0))
        self.tests: list[Graph] = []
        match node.op.lowering:
            case Switch():
                self.given, self.bodies = node.inputs[1:], list(node.attrs["branches"])
            case While():
                self.given, self.bodies, self.tests = node.inputs, [node.attrs["body"]], [node.attrs["test"]]
            case _:
                self.given, self.bodies = node.inputs, [node.attrs["body"]]
        self.outputs = range(len(self.bodies[0].outputs))

    def reads(self, outputs: Iterable[int]) -> set[int]:
        """The inputs that some outputs, and the test, are made of."""
        chosen = list(outputs)
        found: set[int] = set()
        for graph, roots in [(g, [g.outputs[i] for i in chosen]) for g in self.bodies] + [(g, [*g.outputs]) for g in self.tests]:
            reached = set(topological(roots))
            found |= {i for i, leaf in enumerate(graph.inputs) if leaf in reached}
        return found

    def pruned(self, wanted: set[int]) -> dict[int, Node] | None:
        """What is wanted of the results, taken from a smaller loop; None where it is as small as it can be."""
        fixed = {i for i in range(self.carries) if self.bodies[0].outputs[i] is self.bodies[0].inputs[i]}
        handed = self._handed_on()
        needed = wanted - handed.keys()
        while True:
            more = {i for i in self.reads(needed) if i < self.carries} - needed
            if not more:
                break
            needed |= more
        carried = [i for i in range(self.carries) if i in needed and i not in fixed]
        equal: dict[tuple[Node, ...], int] = {}
        for i in self.outputs[self.carries :]:
            if i in needed:
                equal.setdefault(tuple(g.outputs[i] for g in self.bodies), i)
        kept = [*carried, *equal.values()]
        shared = [i for i in range(len(self.given)) if i in fixed or (i >= self.carries and i not in self.slices)]
        alias = self._aliases(self.slices) | self._aliases(shared)
        read = {alias.get(i, i) for i in self.reads(kept)}
        slices, shared = ([i for i in group if i in read] for group in (self.slices, shared))
        inputs = [*carried, *slices, *shared]
        if len(inputs) == len(self.given) and len(kept) == len(self.outputs):
            return None
        with origin(self.node.where, self.node.gradient):
            made = self._smaller(inputs, kept, alias, len(carried), len(slices))
            place = {i: n for n, i in enumerate(kept)}
            found: dict[int, Node] = {i: self.given[handed.get(i, i)] for i in wanted & (fixed | handed.keys())}
            for i in wanted - found.keys():
                at = place[i if i < self.carries else equal[tuple(g.outputs[i] for g in self.bodies)]]
                found[i] = VOCABULARY["project"](made, index=at)
        return found

    def _handed_on(self) -> dict[int, int]:
        """For results that are the slices of an input, one by one: the place of that input."""
        (body, *_) = self.bodies
        at = {body.inputs[i]: i for i in self.slices}
        return {i: at[body.outputs[i]] for i in self.outputs[self.carries :] if body.outputs[i] in at}

    def _aliases(self, places: Sequence[int]) -> dict[int, int]:
        """For every place the first to which the same value is given."""
        first: dict[Node, int] = {}
        return {i: first.setdefault(self.given[i], i) for i in places}

    def _smaller(self, inputs: list[int], outputs: list[int], alias: dict[int, int], carries: int, slices: int) -> Node:
        bodies = tuple(_rebuilt(g, inputs, [g.outputs[i] for i in outputs], alias) for g in self.bodies)
        tests = tuple(_rebuilt(g, inputs, [*g.outputs], alias) for g in self.tests)
        given = [self.given[i] for i in inputs]
        node = self.node
        made: Node
        match node.op.lowering:
            case Switch():
                made = node.op(node.inputs[0], *given, branches=bodies)
            case While():
                made = node.op(*given, test=tests[0], body=bodies[0], carries=carries)
            case _:
                made = node.op(*given, **{**node.attrs, "body": bodies[0], "carries": carries, "sequences": slices})
        return made


def _rebuilt(graph: Graph, inputs: Sequence[int], outputs: Sequence[Node], alias: dict[int, int]) -> Graph:
    """The graph of some of the inputs and outputs, with one leaf for inputs that are equal."""
    new: dict[Node, Node] = {leaf: graph.inputs[alias.get(i, i)] for i, leaf in enumerate(graph.inputs)}
    for node in topological(outputs):
        if node not in new:
            new[node] = node.with_inputs(tuple(new[i] for i in node.inputs)) if node.inputs else node
    return Graph((graph.inputs[i] for i in inputs), (new[n] for n in outputs), name=graph.name)
