"""Graphs as text; parser.py reads it back.

    graph  := "graph" name "(" inputs ")" "{" line* "return" values "}"
    line   := "variable" %name ":" type | %name "=" operation "(" operands, attributes ")" ":" type | "update" %v "=" %x
    type   := dtype "[" sizes "]"

A name that is more than letters, digits, _ and dots stands in quotes: %"encoder/0/w:0".
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from graphc.ir.graph import Graph, Node
from graphc.ir.names import collected, quoted, unused, written
from graphc.ir.printing import text_of
from graphc.ir.types import ArrayValue, DType

_INLINE = 32  # constants of more elements are printed packed


def names_of(graph: Graph) -> dict[Node, str]:
    """The name each node has in the text: inputs and variables their own, the rest numbers.

    Variables are called as `collected` says; one that an input is called like gets another number here.
    """
    result = given_names(graph)
    begun = {name.partition(".")[0] for name in result.values()}  # a lowered program makes names like 7.part
    numbers = (str(i) for i in count() if str(i) not in begun)
    for node in graph.nodes:
        if node not in result:
            result[node] = next(numbers)
    return result


def given_names(graph: Graph) -> dict[Node, str]:
    """The names of inputs and variables in the text."""
    result: dict[Node, str] = {}
    taken: set[str] = set()
    called = {variable: name for name, variable in collected(graph.variables).items()}
    for node in dict.fromkeys((*graph.inputs, *graph.variables)):
        result[node] = unused(called.get(node) or str(node.attrs["name"]), taken)
        taken.add(result[node])
    return result


@text_of.register(Graph)
def print_graph(graph: Graph) -> str:
    """The text of a graph; `parse` reads it back."""
    name = {node: written(text) for node, text in names_of(graph).items()}
    inputs = ", ".join(f"{name[n]}: {n.type}" for n in graph.inputs)
    lines = [f"graph {print_title(graph.name)}({inputs}) {{"]
    lines += [f"  variable {name[v]}: {v.type}" for v in graph.variables]
    leaves = {*graph.inputs, *graph.variables}
    for node in graph.nodes:
        if node not in leaves:
            lines.append(f"  {name[node]} = {_right_side(node, name)}")
    lines += [f"  update {name[v]} = {name[n]}" for v, n in graph.updates]
    lines.append(f"  return {', '.join(name[n] for n in graph.outputs)}".rstrip())
    return "\n".join([*lines, "}"])


def print_title(name: str) -> str:
    """The name of a graph or a program: in quotes where it is not a word."""
    return name if name.isidentifier() else quoted(name)


def print_node(node: Node, names: Mapping[Node, str]) -> str:
    """The line of one node in the text of a graph with these names."""
    name = {n: written(names[n]) if n in names else "%?" for n in (node, *node.inputs)}
    return f"{name[node]} = {_right_side(node, name)}"


def _right_side(node: Node, name: Mapping[Node, str]) -> str:
    parts = [name[i] for i in node.inputs]
    parts += [f"{key}={print_attr(value)}" for key, value in sorted(node.attrs.items())]
    return f"{node.op.name}({', '.join(parts)}) : {node.type}"


def print_attr(value: Any) -> str:
    """The text of an attribute."""
    if isinstance(value, Graph):
        return print_graph(value).replace("\n", "\n    ")
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(print_attr, value))}]"
    if isinstance(value, ArrayValue):
        return array_text(value.array)
    if isinstance(value, DType):
        return value.name
    if isinstance(value, np.generic):
        return print_attr(value.item())
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return repr(value)


def array_text(array: np.ndarray[Any, Any]) -> str:
    """The elements of an array: as they are where they are few, else packed."""
    if array.size <= _INLINE:
        return print_attr(array.tolist())
    return f'"{base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()}"'
