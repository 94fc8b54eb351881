"""A pass of one's own: count what a graph computes, and put it where `f.stages` shows it."""

import graphc as gx
from graphc.extend import Graph, Node, rebuild

x = gx.placeholder("x", ("n",), "float64")


def reciprocals(graph: Graph) -> Graph:
    """divide(a, b), divide(c, b)  =>  multiply(a, 1 / b), multiply(c, 1 / b): true of real numbers, an ulp off in floats."""
    divisors = [node.inputs[1] for node in graph.nodes if node.op is gx.divide]
    often = {b for b in divisors if sum(b is other for other in divisors) > 1}
    made: dict[Node, Node] = {}  # what is written once here is computed once

    def change(node: Node) -> Node:  # its inputs have been changed already; it must keep its type
        if node.op is not gx.divide or node.inputs[1] not in often:
            return node
        a, b = node.inputs
        return a * made.setdefault(b, 1.0 / b)

    return rebuild(graph, change)


def main(backend: str = "llvm") -> list[str]:
    """The operations of the graph with the pass."""
    total = gx.exp(x) + 1
    y = gx.sin(x) / total + gx.cos(x) / total
    gx.testing.check_pass(reciprocals, y, exact=False)
    f = gx.compile([x], y, passes=(*gx.passes.DEFAULT, reciprocals), backend=backend)
    print(f.graph)
    return [node.op.name for node in f.graph.nodes if not node.is_leaf]


if __name__ == "__main__":
    main()
