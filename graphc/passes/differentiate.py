"""Extend a graph backwards: cotangents of values from the gradient rules of operations.

    %0 = exp(%x)                  %0 = exp(%x)
    %1 = sum(%0, axes=[0])   =>   %1 = sum(%0, axes=[0])
                                  %2 = broadcast_to(1.0)        cotangent of %0
                                  %3 = multiply(%2, %0)         cotangent of %x

Afterwards every wanted node has a cotangent of its own type, or None where the outputs do not depend on it. Nodes made here
are marked as gradient and carry the line of the node they come from. The rule of an operation with several results is given
tuples: of their cotangents, None where there is none, and of the results.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from graphc.errors import GradientError
from graphc.ir.graph import Node, origin, topological
from graphc.ir.operation import VOCABULARY, Project
from graphc.ir.types import TupleType


def differentiate(cotangents: Mapping[Node, Node], wanted: Sequence[Node]) -> list[Node | None]:
    """The cotangents of `wanted`, given those of some results."""
    order = topological(cotangents)
    active = set(wanted)
    for node in order:
        if any(i in active for i in node.inputs):
            active.add(node)
    found: dict[Node, Node] = {}
    parts_of: dict[Node, dict[int, Node]] = {}  # the cotangents of an operation's several results
    keep = set(wanted)
    for node, cotangent in cotangents.items():
        found[node] = cotangent
    for node in reversed(order):
        g: Any = found.get(node) if node in keep else found.pop(node, None)
        y: Any = node
        if isinstance(node.op.lowering, Project):
            if g is not None:
                parts = parts_of.setdefault(node.inputs[0], {})
                index = node.attrs["index"]
                parts[index] = operator.add(parts[index], g) if index in parts else g  # the rules above made projections too
            continue
        if node in parts_of:
            assert isinstance(node.type, TupleType)
            g = tuple(map(parts_of.pop(node).get, range(len(node.type.parts))))
            y = tuple(VOCABULARY["project"](node, index=i) for i in range(len(node.type.parts)))
        if g is None or node.is_leaf or not any(i in active for i in node.inputs):
            continue
        if node.op.vjp is None:
            raise GradientError(
                f"{node.op.name} has no gradient, and one of {node.type} is asked for", where=node.where,
                hint="cut it off with gx.stop_gradient, or build the value from operations that have one",
            )  # fmt: skip
        with origin(node.where, gradient=True):
            parts = node.op.vjp(g, y, *node.inputs, **node.attrs)
            for given, part in zip(node.inputs, parts, strict=True):
                if part is None or given not in active or not given.type.dtype.is_float:
                    continue
                assert part.type == given.type, f"{node.op.name}: cotangent {part.type} of an input {given.type}"
                before = found.get(given)
                found[given] = part if before is None else operator.add(before, part)
    return [found.get(node) for node in wanted]
