"""Training steps that are looked at: the first whose results are not finite is an error that says where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc import Variable
from graphc.data.trees import leaves

if TYPE_CHECKING:
    from graphc.models.training import Programs

Array = np.ndarray[Any, Any]


def watched(programs: Programs, program: gx.Compiled, arguments: Sequence[Any], place: str) -> Any:
    """The outputs of a call. NotFiniteError, and variables as they were before, if they or new values are not finite."""
    declared = program.declared
    before = {v: v.value for v, _ in declared.updates if isinstance(v, Variable)}
    outputs = program(*arguments)
    if all(map(_finite, [*leaves(outputs), *(v.value for v in before)])):
        return outputs
    for v, value in before.items():
        v.value = value
    found = gx.debug.find_nan(program, *arguments)
    if found is None:
        raise gx.errors.NotFiniteError(
            f"{place} is not finite, though it is where the interpreter computes it", where=gx.errors.caller(),
            hint='compile(backend="interpreter") trains by the interpreter',
        )  # fmt: skip
    layer = "" if found.number is None else layer_of(declared, found.number, programs.born(program))
    lines = [f"{place} is not finite", *([f"in the layer {layer}"] if layer else []), str(found)]
    raise gx.errors.NotFiniteError("\n".join(lines), hint="the model is as it was before that step")


def layer_of(graph: gx.ir.Graph, number: int, born: Sequence[tuple[range, str]]) -> str:
    """The path of the layer that made the node of a number, or made what a gradient's node belongs to; "" if none did."""
    numbers = [number]
    node = next((n for n in graph.nodes if n.number == number), None)
    if node is not None and node.gradient:
        numbers = _forward(graph, node)
    return next((path for n in numbers for nodes, path in born if n in nodes and path), "")


def _forward(graph: gx.ir.Graph, node: gx.ir.Node) -> list[int]:
    """The numbers of the nodes whose gradient a node may belong to, the likeliest first: those that read what it reads."""
    read: set[gx.ir.Node] = set()
    seen: set[gx.ir.Node] = {node}
    todo = list(node.inputs)
    while todo:
        given = todo.pop()
        if given in seen:
            continue
        seen.add(given)
        if not given.gradient:
            read.add(given)
        elif given.forward is node.forward:
            todo += given.inputs
    candidates = [n for n in graph.nodes if not n.gradient and n.op is node.forward]
    common = {n: sum(x in read for x in (n, *n.inputs)) for n in candidates}
    return [n.number for n in sorted(candidates, key=lambda n: -common[n]) if common[n]]


def _finite(value: Array) -> bool:
    return not gx.ir.types.as_dtype(value.dtype).is_float or bool(np.isfinite(value).all())
