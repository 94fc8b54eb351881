"""Bodies as graphs: closed over their inputs, checked, differentiated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir.graph import Graph, Node, has_effect, topological, without_effects
from graphc.ir.operation import Leaf
from graphc.ir.types import TensorType
from graphc.ops.tensor import Tensor, as_tensor
from graphc.ops.trees import Tree, flatten, form, unflatten
from graphc.passes.differentiate import differentiate


def leaf_of(name: str, kind: TensorType) -> Tensor:
    return ops.input_(name=name, dtype=kind.dtype, shape=kind.shape)


def closed(
    bodies: Sequence[Sequence[Tensor]], leaves: Sequence[Sequence[Tensor]], born: Sequence[Node] = ()
) -> tuple[list[Graph], list[Tensor]]:
    """Each list of outputs as a graph of its leaves and of the same values from outside; and those values.

    What depends on no leaf is from outside, but for what is made of constants alone, or `born` in a body that may not run at all.
    """
    outer: dict[Node, Tensor] = {}
    stays = {n for n in born if not _is_given(n)}
    pending: list[tuple[list[Node], set[Node]]] = []
    for outputs, own in zip(bodies, leaves, strict=True):
        order = topological(outputs)
        leaf_set: set[Node] = set(own)
        inside: set[Node] = set(own)
        fixed: set[Node] = set()  # made of nothing but constants: in the body where it is read there
        for node in order:
            if node in stays or any(i in inside for i in node.inputs):
                inside.add(node)
            elif all(i in fixed for i in node.inputs) and not _is_given(node):
                fixed.add(node)
        read = [*outputs, *(given for node in order if node in inside and node not in leaf_set for given in node.inputs)]
        for node in read:
            if node not in inside and node not in fixed and node not in outer:
                outer[node] = leaf_of(f"outer{len(outer)}", node.type)
        pending.append((order, inside | fixed))
    graphs = []
    for outputs, own, (order, inside) in zip(bodies, leaves, pending, strict=True):
        new: dict[Node, Node] = {leaf: leaf for leaf in own}
        for node in order:
            if node in outer:
                new[node] = outer[node]
            elif node in inside and node not in new:
                new[node] = node.with_inputs(tuple(new[i] for i in node.inputs)) if node.inputs else node
        graphs.append(Graph((*own, *outer.values()), (new[y] for y in outputs), name="body"))
    return graphs, list(outer)  # type: ignore[arg-type]


def effects(born: Sequence[Node]) -> list[Node]:
    """Those of the nodes that are there for what else they do: a loop's body keeps them, whatever they read."""
    return [node for node in born if has_effect(node)]


def _is_given(node: Node) -> bool:
    """Whether a node without inputs has a value from outside: an input or a variable."""
    return isinstance(node.op.lowering, Leaf) and "value" not in node.attrs


def symbols(name: str, tree: Tree) -> Tree:
    try:
        return unflatten(tree, [as_tensor(x) for x in flatten(tree)])
    except (TypeError, ValueError):
        raise InputError(f"{name}: {tree!r} is no tree of symbols and numbers", where=caller()) from None


def same_form(name: str, what: str, old: Tree, new: Tree) -> list[Tensor]:
    """The leaves of a body's result that must be like a tree it was given."""
    new = symbols(name, new)
    if form(new) != form(old):
        raise InputError(
            f"{name}: {what} is {form(old)}, the body gives {form(new)}", where=caller(), hint="give back what was taken in"
        )
    for before, after in zip(flatten(old), flatten(new), strict=True):
        if before.type != after.type:
            raise (DTypeError if before.type.shape == after.type.shape else ShapeError)(
                f"{name}: {what} is {before.type}, the body gives {after.type}", where=caller(),
                hint="astype or reshape the start, or what the body gives: a loop carries one type",
            )  # fmt: skip
    return flatten(new)


def check_body(name: str, body: Graph, inputs: Sequence[TensorType], carried: Sequence[TensorType], others: int) -> None:
    found = [n.type for n in body.inputs]
    if found != list(inputs):
        raise ShapeError(f"{name}: the body takes {found}, and is given {list(inputs)}")
    if len(body.outputs) != len(carried) + others or [n.type for n in body.outputs[: len(carried)]] != list(carried):
        raise ShapeError(f"{name}: the body gives {[n.type for n in body.outputs]}, and carries {list(carried)}")


def gradients_of(
    bodies: Sequence[Graph], g: tuple[Tensor | None, ...], y: tuple[Tensor, ...]
) -> tuple[tuple[Graph, ...], list[int]]:
    """The gradients of bodies with the same inputs, as graphs of those and of the cotangents; which inputs they are of."""
    given = [j for j, part in enumerate(g) if part is not None]
    wanted = [i for i, x in enumerate(bodies[0].inputs) if x.type.dtype.is_float] if given else []
    cotangents = [leaf_of(f"g{j}", y[j].type) for j in given]
    made = []
    for body in bodies:
        seeds: dict[Node, Any] = {}
        for j, leaf in zip(given, cotangents, strict=True):
            out = body.outputs[j]
            seeds[out] = seeds[out] + leaf if out in seeds else leaf
        leaves = [body.inputs[i] for i in wanted]
        found = differentiate(seeds, leaves)
        parts = [ops.zeros_like(x) if p is None else p for x, p in zip(leaves, found, strict=True)]  # type: ignore[arg-type]
        made.append(without_effects(Graph((*body.inputs, *cotangents), parts, name="body")))
    return tuple(made), wanted
