"""What is yours: operations, passes and backends that graphc does not have, without a change of graphc.

    elementwise, index_map, reduction    operations by their scalar code: fused, compiled, differentiated like any other
    host, numba                          operations by a function of whole arrays, which compiled programs call
    rules, Graph, Node, rebuild          passes: rules as text, or a function from graph to graph
    register_backend, evaluate           another way to run a graph; the interpreter's walk, to build one on
    forget                               a declared operation, taken out of the vocabulary again

A layer is a function of symbols, an optimiser one that gives updates: they need no declaration. docs/extend.md walks through all
of it; `gx.testing.check_op`, `check_pass` and `check_rules` test what is declared.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.backends import interpreter, register_backend
from graphc.extend.declare import elementwise, forget, host, index_map, numba, reduction
from graphc.ir.graph import Graph, Node, rebuild
from graphc.ir.operation import Operation, Sample
from graphc.ir.types import TensorType
from graphc.ops.declare import results
from graphc.passes.rules import rules

Array = np.ndarray[Any, Any]


def evaluate(
    graph: Graph, arrays: Sequence[Array], sizes: Mapping[str, int],
    apply: Callable[[Node, Sequence[Any], Mapping[str, Any]], Any] = interpreter.reference,
) -> list[Array]:  # fmt: skip
    """The outputs of a graph, then the new values of its variables, node by node in NumPy; nothing is written.

    arrays: those of graph.inputs. sizes: a number for each symbolic dimension. apply(node, operands, attributes) gives the value
    of one node; by default its reference does.
    """
    outputs, updates = interpreter.evaluate(graph, dict(zip(graph.inputs, arrays, strict=True)), sizes, apply=apply)
    return [*outputs, *updates]


reference = interpreter.reference

__all__ = [
    "Graph", "Node", "Operation", "Sample", "TensorType", "elementwise", "evaluate", "forget", "host", "index_map", "numba",
    "rebuild", "reduction", "reference", "register_backend", "results", "rules",
]  # fmt: skip
