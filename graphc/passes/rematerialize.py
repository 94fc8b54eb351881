"""Compute values again where that is cheaper than storing them for the gradient: Graph -> Graph.

    %4 = exp(%3)                      %4 = exp(%3)
    %5 = sum(%4)                      %5 = sum(%4)
    ...                          =>   ...
    %9 = multiply(%8, %4)             %10 = again(%3)            # %3 is kept anyway
                                      %11 = exp(%10)
                                      %9 = multiply(%8, %11)

The gradient reads values of the forward side. One that would only be stored for it is computed again where the values that
it is made of are stored anyway or are smaller. Which values to keep is a minimum cut: a value weighs its bytes, and between
what cannot be computed again (sums, products of matrices, variables) and the gradient something must be kept. Products whose
result is far larger than their operands, as the scores of attention, count as computed again.

Jain et al. 2020, "Checkmate", state the problem; the cut is that of the partitioner of PyTorch's AOTAutograd.

Afterwards forward and gradient side have the same values; the gradient side may compute some a second time. So it is in the steps
of a loop that hold a gradient, as those over the blocks of a batch.
"""

from __future__ import annotations

import networkx as nx
from networkx.algorithms.flow import boykov_kolmogorov

from graphc.ir.graph import Graph, Node, origin, rebuild, substitute
from graphc.ir.operation import VOCABULARY, Contraction, Pointwise, Project, Scan, Whole
from graphc.ir.target import Target
from graphc.passes.domains import core_shape
from graphc.passes.fusion.cluster import Cluster, bytes_of
from graphc.passes.plan_kernels import plan_own

WIDE = 2  # products whose results have so many times the elements of their operands are computed again
STORED = 0.25  # the weight of a byte that the forward side stores anyway
# Weights by measuring, of bytes against bytes: no facts about a processor.


def rematerialize(graph: Graph, target: Target | None = None) -> Graph:
    """The graph with values computed again on its gradient side, and on those of steps that have one."""
    graph = _in_steps(graph, target)
    if not any(n.gradient for n in graph.nodes):
        return graph
    return _Choice(graph, target).apply()


def _in_steps(graph: Graph, target: Target | None) -> Graph:
    """The graph with loops whose steps are chosen alike; of a loop in a gradient its own rule has chosen what is kept."""
    if not graph.holds_graphs:
        return graph

    def changed(node: Node) -> Node:
        if not isinstance(node.op.lowering, Scan) or node.gradient:
            return node
        body = rematerialize(node.attrs["body"], target)
        if body is node.attrs["body"]:
            return node
        attrs = {**node.attrs, "body": body}
        return type(node)(node.op, node.inputs, attrs, node.type, node.where, node.gradient, node.forward, node.number)

    return rebuild(graph, changed)


class _Choice:
    """Which forward values of a graph are stored for its gradient."""

    def __init__(self, graph: Graph, target: Target | None) -> None:
        self.graph = graph
        self.plan = plan_own(graph, target)  # of the graph as it is: not the one that is fused
        self.late: set[Node] = set()  # the gradient side, without the factors that follow from single forward values
        self.wide: set[Node] = set()
        self.sources: dict[Node, frozenset[Node]] = {}  # the values with memory or a kernel that a node reads, or itself
        for node in graph.nodes:
            factor = isinstance(node.op.lowering, (Pointwise, Project))
            if not node.is_leaf and ((node.gradient and not factor) or any(i in self.late for i in node.inputs)):
                self.late.add(node)
            if self._is_wide(node):
                self.wide.add(node)
            if self.plan.inlined(node):
                self.sources[node] = frozenset().union(*(self.sources[i] for i in node.inputs))
            else:
                self.sources[node] = frozenset((node,))
        self.homes = self._homes()
        self.crossing = self.plan.crossing()

    def _is_wide(self, node: Node) -> bool:
        match node.op.lowering:
            case Contraction():
                batched = node not in self.plan.work and len(core_shape(node)) > 2
                return batched and bytes_of(node) >= WIDE * sum(bytes_of(i) for i in node.inputs)
            case Pointwise():
                return any(i in self.wide and core_shape(i) == core_shape(node) for i in node.inputs)
        return False

    def _homes(self) -> dict[Node, set[int]]:
        """The kernels in which a node is computed."""
        homes: dict[Node, set[int]] = {}
        users = self.plan.users
        for node in reversed(self.graph.nodes):
            if node in self.plan.home:
                homes[node] = {self.plan.home[node].number}
            else:
                homes[node] = set().union(*(homes[u] for u in users[node])) if users[node] else set()
        return homes

    def _crosses(self, given: Node, user: Node) -> bool:
        """Whether a forward value reaches a node of the gradient side through memory."""
        for source in self.sources[given]:
            home: Cluster | None = self.plan.home.get(source)
            if home is not None and self.homes[user] != {home.number}:
                return True
        return False

    def _again(self, node: Node) -> bool:
        """Whether a forward value may be computed again."""
        if node in self.wide:
            return True
        if not isinstance(node.op.lowering, Pointwise):
            return False
        return self.plan.inlined(node) or not self._feeds_product(node)

    def _feeds_product(self, node: Node) -> bool:
        """Whether a product on the gradient side reads the value itself: it would have to be stored again."""
        todo = [node]
        while todo:
            for user in self.plan.users[todo.pop()]:
                if user in self.late and isinstance(user.op.lowering, Contraction):
                    return True
                if self.plan.inlined(user):
                    todo.append(user)
        return False

    def _kept(self) -> set[Node]:
        """The forward values that the gradient reads from memory: a minimum cut."""
        network = nx.DiGraph()  # two vertices for a value, an edge between them whose capacity is what keeping it costs
        forward, gradient = -1, -2
        place = self.plan.position
        todo = []
        for node in self.graph.nodes:
            if node in self.late:
                todo += [i for i in node.inputs if i not in self.late and not i.is_leaf and self._crosses(i, node)]
        for node in todo:
            network.add_edge(2 * place[node] + 1, gradient)  # an edge without capacity has no limit
        seen: set[Node] = set()
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            into, out = 2 * place[node], 2 * place[node] + 1
            weight = self._weight(node)
            network.add_edge(into, out, **({} if weight is None else {"capacity": weight}))
            if not self._again(node):
                network.add_edge(forward, into)
                continue
            for given in node.inputs:
                if not given.is_leaf:
                    network.add_edge(2 * place[given] + 1, into)
                    todo.append(given)
        if forward not in network or gradient not in network:
            return set()
        _, (before, _) = nx.minimum_cut(network, forward, gradient, flow_func=boykov_kolmogorov)
        return {n for n in seen if 2 * place[n] in before and 2 * place[n] + 1 not in before}

    def _weight(self, node: Node) -> float | None:
        """What keeping a value costs; None if it has no memory of its own."""
        if self.plan.inlined(node):
            return None
        size = bytes_of(node)
        early = {h for u in self.plan.users[node] if u not in self.late for h in self.homes[u]}
        stored = node in self.plan.roots or bool(early - self.homes[node])
        return size * STORED if stored else size

    def apply(self) -> Graph:
        kept = self._kept()
        again: dict[Node, Node] = {}

        def read(node: Node) -> Node | None:
            """A forward value that is not computed again, read once more."""
            if not (node in kept or node.is_leaf or not self._again(node)):
                return None
            with origin(node.where, True):
                made: Node = VOCABULARY["again"](node) if node.inputs or node.is_given else node
                return made

        def repeat(node: Node, inputs: tuple[Node, ...]) -> Node:
            """A forward value, computed again from what is kept."""
            with origin(node.where, True):
                made: Node = node.op(*inputs, **node.attrs) if inputs else node
                return made

        def given(i: Node, user: Node) -> Node:
            if i in self.late or i.is_leaf:
                return new[i]
            if isinstance(user.op.lowering, Whole) and (i in kept or not self._again(i)):
                return i  # it is read from memory as it is
            return substitute([i], again, repeat, read)[0] if self._crosses(i, user) else i

        new: dict[Node, Node] = {}
        for node in self.graph.nodes:
            new[node] = node.with_inputs(tuple(given(i, node) for i in node.inputs)) if node in self.late else node
        return self.graph.replaced(new)
