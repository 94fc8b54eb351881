"""What a program will need is compiled on another processor while passes make the program: the walk over its kernels, and the
register tiles that products call. It is as good as always right, and is compiled once on a machine, for all programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from graphc.backends.llvm.compile import ahead, library_texts
from graphc.backends.llvm.host import host
from graphc.backends.llvm.pool import runtime_text
from graphc.ir.graph import Graph, subgraphs
from graphc.ir.operation import Contraction
from graphc.ir.target import Target

FORWARDS = ("strip_rows", "last_rows", "pack_rows")  # the tiles of x @ w
BACKWARDS = ("strip_columns", "last_columns", "pack_columns")  # and of its gradients, whose operands are transposed


def build_ahead(graph: Graph, target: Target) -> AbstractContextManager[None]:
    """Have a second process compile what the program of a graph will need, until the context ends."""
    from graphc.backends.llvm.tiles.library import native  # not needed where all code is kept

    tiles = [native(name, itemsize, target) for itemsize, names in _products(graph).items() for name in names]
    texts: dict[str, Callable[[str], str]] = {}
    if target == host():  # which the walk is made for, whatever kernels are
        text = runtime_text()
        texts[text.key] = text.llvm
    return ahead(texts | library_texts({f.symbol: f.text for f in tiles}, target), target)


def _products(graph: Graph) -> dict[int, tuple[str, ...]]:
    """The tiles that a graph's products of floats will call, by the bytes of an element."""
    found: dict[int, tuple[str, ...]] = {}
    for inner in _graphs(graph):
        for node in inner.nodes:
            if isinstance(node.op.lowering, Contraction) and node.type.dtype.is_float:
                itemsize = max(4, node.type.dtype.itemsize)
                if len(found.get(itemsize, ())) < len(FORWARDS + BACKWARDS):
                    found[itemsize] = FORWARDS + (BACKWARDS if node.gradient else ())
    return found


def _graphs(graph: Graph) -> Iterator[Graph]:
    todo = [graph]
    while todo:
        yield (inner := todo.pop())
        todo += [body for node in inner.holders for body in subgraphs(node)]
