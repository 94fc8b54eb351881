"""Drop what no output and no update needs.

    %0 = exp(%x)
    %1 = log(%x)       =>   %0 = exp(%x)
    return %0               return %0

Afterwards every node but an input reaches a root, and no variable is updated with itself.
"""

from __future__ import annotations

from graphc.ir.graph import Graph, nested


@nested
def eliminate_dead(graph: Graph) -> Graph:
    return Graph(graph.inputs, graph.outputs, [(v, n) for v, n in graph.updates if v is not n], graph.name)
