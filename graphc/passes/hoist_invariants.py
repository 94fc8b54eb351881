"""Compute before a loop what is the same in each of its steps.

    %1 = scan(%c, %x, %s, body -> c + x * exp(s))          %1 = exp(%s)
                                                     =>    %2 = scan(%c, %x, %1, body -> c + x * s)

Afterwards nothing is computed in a loop of values from outside alone, but for moved elements, which are as cheap to read as they
were, unless a contraction reads them: it would pack them anew at each step. What may fail or never end stays: there may be no
steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.graph import Graph, Node, nested, origin, rebuild, subgraphs, topological
from graphc.ir.operation import VOCABULARY, Contraction, Host, Pointwise, Scan, Sized, While


@nested
def hoist_invariants(graph: Graph) -> Graph:
    return rebuild(graph, lambda node: _hoisted(node) if isinstance(node.op.lowering, (Scan, While)) else node)


def _hoisted(loop: Node) -> Node:
    names = [name for name, value in loop.attrs.items() if isinstance(value, Graph)]
    graphs: list[Graph] = [loop.attrs[name] for name in names]
    first = loop.attrs["carries"] + loop.attrs.get("sequences", 0)
    inputs = graphs[0].inputs
    before: dict[Node, Node] = {}  # what is made of values from outside, as it is made outside
    leaves: dict[Node, Node] = {}  # what moves out -> the input that it becomes
    with origin(loop.where, loop.gradient):
        for graph in graphs:
            before.update(zip(graph.inputs[first:], loop.inputs[first:], strict=True))
            for node in _moving(graph, first):
                _make(node, before)
                if node not in leaves:
                    name = f"outer{len(inputs) - first + len(leaves)}"
                    leaves[node] = VOCABULARY["input"](name=_unused(name, inputs), dtype=node.type.dtype, shape=node.type.shape)
        if not leaves:
            return loop
        attrs = {name: _reading(graph, leaves) for name, graph in zip(names, graphs, strict=True)}
        made: Node = loop.op(*loop.inputs, *(before[node] for node in leaves), **{**loop.attrs, **attrs})
        return made


def _moving(graph: Graph, first: int) -> list[Node]:
    """The last nodes that values from outside alone make, and that are worth moving."""
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
        if isinstance(top.op.lowering, (Host, While, Sized)):
            return True
        todo += [inner for graph in subgraphs(top) for inner in graph.nodes]
    return False


def _make(node: Node, before: dict[Node, Node]) -> None:
    for part in topological([node]):
        if part not in before:
            before[part] = part.with_inputs(tuple(before[i] for i in part.inputs)) if part.inputs else part


def _unused(name: str, inputs: Sequence[Node]) -> str:
    taken = {leaf.attrs["name"] for leaf in inputs}
    while name in taken:
        name += "_"
    return name


def _reading(graph: Graph, leaves: dict[Node, Node]) -> Graph:
    """The graph with inputs in place of what has moved out."""
    new: dict[Node, Node] = dict(leaves)
    for node in topological(graph.outputs):
        if node not in new:
            new[node] = node.with_inputs(tuple(new[i] for i in node.inputs)) if node.inputs else node
    return Graph((*graph.inputs, *leaves.values()), (new[y] for y in graph.outputs), name=graph.name)
