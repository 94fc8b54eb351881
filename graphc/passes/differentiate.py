"""Extend a graph backwards: cotangents of values from the gradient rules of operations.

    %0 = exp(%x)                  %0 = exp(%x)
    %1 = sum(%0, axes=[0])   =>   %1 = sum(%0, axes=[0])
                                  %2 = broadcast_to(1.0)        cotangent of %0
                                  %3 = multiply(%2, %0)         cotangent of %x

Afterwards every wanted node has a cotangent of its own type, or None where the outputs do not depend on it. A cotangent is zero
where a choice did not take the value and where nothing reads it, even if a derivative is infinite there (passes/masks.py), and
so is that of a root at 0, of what is least there (passes/level.py). Nodes made here are marked as gradient and carry the line of
the node they come from. The rule of an operation with several results is given tuples: of their cotangents, None where there is
none, and of the results.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graphc.errors import GradientError
from graphc.ir.graph import Node, origin, topological
from graphc.ir.operation import VOCABULARY, Pointwise, Project
from graphc.ir.types import TupleType
from graphc.passes.level import is_level
from graphc.passes.masks import Conditions, Mask, select


class Cotangent(NamedTuple):
    """A cotangent, what is taken of its value (None: everything), and whether it may be no number where nothing is."""

    node: Any  # a tuple for an operation with several results
    mask: Mask | None = None
    open: bool = False

    def settled(self) -> Cotangent:
        """The same with zeros where nothing is taken."""
        if not self.open or self.mask is None:
            return self
        return Cotangent(select(self.mask, self.node), self.mask, False)


def differentiate(cotangents: Mapping[Node, Node], wanted: Sequence[Node]) -> list[Node | None]:
    """The cotangents of `wanted`, given those of some results."""
    order = topological(cotangents)
    active, leaves = set(wanted), frozenset(wanted)
    for node in order:
        if any(i in active for i in node.inputs):
            active.add(node)
    parts_of: dict[Node, dict[int, Node]] = {}  # the cotangents of an operation's several results
    keep = set(wanted)
    conditions = Conditions()
    found = {node: Cotangent(cotangent) for node, cotangent in cotangents.items()}
    known = set(order)
    while order:
        node = order.pop()
        g = found.get(node) if node in keep else found.pop(node, None)
        y: Any = node
        if node in parts_of:
            assert isinstance(node.type, TupleType)
            g = Cotangent(tuple(map(parts_of.pop(node).get, range(len(node.type.parts)))))
            y = tuple(VOCABULARY["project"](node, index=i) for i in range(len(node.type.parts)))
        if g is None:
            continue
        with origin(node.where, gradient=True, forward=node.forward or node.op):
            if node in keep or not (isinstance(node.op.lowering, Pointwise) and node.op.lowering.elementwise):
                g = g.settled()
                if node in keep:
                    found[node] = g
            if isinstance(node.op.lowering, Project):
                parts, index = parts_of.setdefault(node.inputs[0], {}), node.attrs["index"]
                parts[index] = operator.add(parts[index], g.node) if index in parts else g.node  # rules make projections too
                continue
            if node.is_leaf or not any(i in active for i in node.inputs):
                continue
            same = None if node.op.instead is None else node.op.instead(g.node, *node.inputs, **node.attrs)
            if same is not None:
                fresh = [n for n in topological([same]) if n not in known]
                known.update(fresh)
                for new in fresh:
                    if any(i in active for i in new.inputs):
                        active.add(new)
                order += fresh
            for given, part in [(same, g)] if same is not None else _parts(node, g, y, active, leaves, conditions):
                before = found.get(given)
                found[given] = part if before is None else _sum(before, part, conditions)
    return [found[node].node if node in found else None for node in wanted]


def _parts(
    node: Node, g: Cotangent, y: Any, active: set[Node], leaves: frozenset[Node], conditions: Conditions
) -> list[tuple[Node, Cotangent]]:  # fmt: skip
    """The cotangents of a node's operands, from the node's own."""
    if node.op.vjp is None:
        raise GradientError(
            f"{node.op.name} has no gradient, and one of {node.type} is asked for", where=node.where,
            hint="cut it off with gx.stop_gradient, or build the value from operations that have one",
        )  # fmt: skip
    parts = node.op.vjp(g.node, y, *node.inputs, **node.attrs)
    choice = (None,) * len(parts) if node.op.masks is None else node.op.masks(*node.inputs, **node.attrs)
    found = []
    for operand, (given, part, chosen) in enumerate(zip(node.inputs, parts, choice, strict=True)):
        if part is None or given not in active or not given.type.dtype.is_float:
            continue
        assert part.type == given.type, f"{node.op.name}: cotangent {part.type} of an input {given.type}"
        if node.op.root and operand == 0 and is_level(given, leaves):
            zero = VOCABULARY["full"](shape=y.type.shape, value=0.0, dtype=y.type.dtype)
            part = VOCABULARY["where"](VOCABULARY["equal"](y, zero), zero, part)
        if g.mask is not None:
            mask = conditions.before(g.mask, node, operand)
        else:
            mask = None if node.op.partial is None else conditions.read(node, operand)
        if chosen is not None:
            own = conditions.all(chosen)
            mask = own if mask is None else conditions.both(mask, own)
        opened = mask is not None and (g.open or _multiplies(part, g.node, node))
        found.append((given, Cotangent(part, mask, opened)))
    return found


def _multiplies(part: Node, g: Node, node: Node) -> bool:
    """Whether a rule reads the values of its operation, which may be infinite, and not only the cotangent."""
    values = {node, *(i for i in node.inputs if i.type.dtype.is_float)}
    todo, seen = [part], {g, *(i for i in node.inputs if not i.type.dtype.is_float)}
    while todo:
        made = todo.pop()
        if made in values:
            return True
        if made not in seen:
            seen.add(made)
            todo += made.inputs
    return False


def _sum(a: Cotangent, b: Cotangent, conditions: Conditions) -> Cotangent:
    if a.mask is not b.mask:
        a, b = a.settled(), b.settled()
    return Cotangent(operator.add(a.node, b.node), conditions.join(a.mask, b.mask, a.node.type.shape), a.open or b.open)
