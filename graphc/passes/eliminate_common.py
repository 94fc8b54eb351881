"""Merge equal nodes.

    %0 = exp(%x)            %0 = exp(%x)
    %1 = exp(%x)       =>   %1 = add(%0, %0)
    %2 = add(%0, %1)

Afterwards no two nodes share operation, inputs and attributes.
"""

from __future__ import annotations

from collections.abc import Hashable

from graphc.ir.graph import Graph, Node, nested, rebuild
from graphc.ir.structure import key_of


@nested
def eliminate_common(graph: Graph) -> Graph:
    first: dict[Hashable, Node] = {}
    return rebuild(graph, lambda node: first.setdefault(key_of(node), node))
