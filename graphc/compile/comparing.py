"""Graphs of different ranks, compared before any of them runs.

What ranks exchange, and in which order, must be the same on all, but for what two of them send each other. So must be all of the
graph; but a rank that has asked who it is may have one of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from graphc.compile.kept import lines_of
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Collective
from graphc.ir.ordering import collectives
from graphc.ir.world import Lines, World

_BETWEEN_TWO = ("send", "receive")


def compare(graph: Graph, here: World) -> None:
    """Raise DistributedError where another rank has another graph. All ranks of the world compare their graphs in one order.

    A graph of sends and receives alone is that of two ranks: it is not compared.
    """
    every = [(node, node.op.lowering) for node in collectives(graph)]
    of_all = [node for node, lowering in every if isinstance(lowering, Collective) and lowering.exchange not in _BETWEEN_TWO]
    if here.compare is None or not of_all:
        return
    exchanges = [graph.name, *map(_line, of_all)]
    whole = lines_of(graph) if len(of_all) == len(every) and not here.is_asked else None
    here.compare(
        Lines(_digest(exchanges), lambda: exchanges),
        Lines("" if whole is None else _digest(whole), lambda: str(graph).splitlines()),
    )


def _line(node: Node) -> str:
    """What an exchange is: the operation, attributes, and the type of what it gives. Its place in the graph is its order."""
    attrs = ", ".join(f"{key}={value}" for key, value in sorted(node.attrs.items()) if key != "order")
    return f"{node.op.name}({attrs}) : {node.type}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(lines).encode()).hexdigest()


__all__ = ["compare"]
