"""Move loop-invariant code out of loops.

    %1 = scan(%c, %x, %s, body -> c + x * exp(s))          %1 = exp(%s)
                                                     =>    %2 = scan(%c, %x, %1, body -> c + x * s)

Afterwards a loop computes nothing from outside values alone. Exceptions: nodes that only move elements stay, since they are as
cheap to read inside, unless a contraction would pack them anew at each step; what may fail or not end stays, since there may be
no steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.graph import Graph, Node, nested, on_inputs, origin, rebuild, subgraphs, substitute, topological
from graphc.ir.loops import loop_of
from graphc.ir.operation import VOCABULARY, Contraction, Pointwise, Scan, While, may_fail


@nested
def hoist_invariants(graph: Graph) -> Graph:
    return rebuild(graph, _hoisted)


def _hoisted(node: Node) -> Node:
    loop = loop_of(node) if isinstance(node.op.lowering, (Scan, While)) else None
    if loop is None:
        return node
    first = loop.shared.start
    inputs = loop.body.inputs
    before: dict[Node, Node] = {}  # what is made of values from outside, as it is made outside
    leaves: dict[Node, Node] = {}  # what moves out -> the input that it becomes
    with origin(node.where, node.gradient):
        for graph in subgraphs(node):
            before.update(zip(graph.inputs[first:], loop.given[first:], strict=True))
            for part in _moving(graph, first):
                substitute([part], before, on_inputs)
                if part not in leaves:
                    name = f"outer{len(inputs) - first + len(leaves)}"
                    leaves[part] = VOCABULARY["input"](name=_unused(name, inputs), dtype=part.type.dtype, shape=part.type.shape)
        if not leaves:
            return node
        test = None if loop.test is None else _reading(loop.test, leaves)
        return loop.rebuilt((*loop.given, *(before[part] for part in leaves)), [_reading(loop.body, leaves)], test)


def _moving(graph: Graph, first: int) -> list[Node]:
    """The last nodes computed from outside values alone that are worth moving."""
    own, outer = set(graph.inputs[:first]), set(graph.inputs[first:])
    fixed: set[Node] = set()  # of constants alone
    steady: set[Node] = set(outer)
    for node in topological(graph.outputs):
        if node in own or node in outer or _may_fail(node):
            continue
        if all(i in fixed for i in node.inputs):
            fixed.add(node)
        elif all(i in fixed or i in steady for i in node.inputs):
            steady.add(node)
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    todo: list[tuple[Node, Node | None]] = [(node, None) for node in reversed(graph.outputs)]
    while todo:
        node, reader = todo.pop()
        if node in steady and node not in outer and (not _is_moved(node) or _is_packed(node, reader)):
            found[node] = None
        elif node not in seen:
            seen.add(node)
            todo += [(given, node) for given in reversed(node.inputs)]
    return list(found)


def _is_moved(node: Node) -> bool:
    """Whether a node's elements are elements of its operands."""
    return isinstance(node.op.lowering, Pointwise) and not node.op.lowering.elementwise


def _is_packed(node: Node, reader: Node | None) -> bool:
    """Whether a contraction reads elements in another order, no more of them than there were."""
    return reader is not None and isinstance(reader.op.lowering, Contraction) and node.type.size == node.inputs[0].type.size


def _may_fail(node: Node) -> bool:
    """Whether a node calls Python, or goes on for as long as its values say."""
    todo = [node]
    while todo:
        top = todo.pop()
        if may_fail(top.op.lowering):
            return True
        todo += [inner for graph in subgraphs(top) for inner in graph.nodes]
    return False


def _unused(name: str, inputs: Sequence[Node]) -> str:
    taken = {leaf.attrs["name"] for leaf in inputs}
    while name in taken:
        name += "_"
    return name


def _reading(graph: Graph, leaves: dict[Node, Node]) -> Graph:
    """The graph with inputs in place of what has moved out."""
    outputs = substitute(graph.outputs, dict(leaves), on_inputs)
    return Graph((*graph.inputs, *leaves.values()), outputs, name=graph.name)
