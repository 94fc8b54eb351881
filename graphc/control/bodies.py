"""Bodies as graphs: closed over their inputs, checked, differentiated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphc import ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, has_effect, on_inputs, subgraphs, substitute, topological, without_effects
from graphc.ir.operation import may_fail
from graphc.ir.types import TensorType
from graphc.ops.batched import vectorize
from graphc.ops.declare import Spread, spread
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
    stays = {n for n in born if not n.is_given}
    for outputs, own in zip(bodies, leaves, strict=True):
        order = topological(outputs)
        leaf_set: set[Node] = set(own)
        inside: set[Node] = set(own)
        fixed: set[Node] = set()  # made of nothing but constants: in the body where it is read there
        for node in order:
            if node in stays or any(i in inside for i in node.inputs):
                inside.add(node)
            elif all(i in fixed for i in node.inputs) and not node.is_given:
                fixed.add(node)
        read = [*outputs, *(given for node in order if node in inside and node not in leaf_set for given in node.inputs)]
        for node in read:
            if node not in inside and node not in fixed and node not in outer:
                outer[node] = leaf_of(f"outer{len(outer)}", node.type)
    graphs = []
    for outputs, own in zip(bodies, leaves, strict=True):
        new: dict[Node, Node] = {**outer, **{leaf: leaf for leaf in own}}
        graphs.append(Graph((*own, *outer.values()), substitute(outputs, new, on_inputs), name="body"))
    return graphs, list(outer)  # type: ignore[arg-type]


def effects(born: Sequence[Node]) -> list[Node]:
    """Those of the nodes that are there for what else they do: a loop's body keeps them, whatever they read."""
    return [node for node in born if has_effect(node)]


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


# --- bodies for every element of a leading axis ----------------------------------------------------------------------------


def with_axis(leaves: Sequence[Node], flags: Sequence[bool], size: Size) -> list[Tensor]:
    """A body's leaves, those of a flag with a leading axis."""
    return [
        leaf_of(x.attrs["name"], TensorType(x.type.dtype, (size, *x.type.shape))) if has else x  # type: ignore[misc]
        for x, has in zip(leaves, flags, strict=True)
    ]


def for_every(
    graph: Graph, given: Sequence[Tensor], flags: Sequence[bool], size: Size
) -> list[Spread]:
    """A body's results of `given`, for every element of a leading axis of those with a flag."""
    new: Mapping[Node, Spread] = dict(zip(graph.inputs, zip(given, flags, strict=True), strict=True))
    return vectorize(graph.outputs, new, size)


def spread_flags(body: Graph, flags: Sequence[bool], carries: int, size: Size) -> list[bool]:
    """The flags of a loop's inputs: a carry that has the leading axis after some step has it from the start."""
    flags = list(flags)
    while True:
        found = for_every(body, with_axis(body.inputs, flags, size), flags, size)
        more = [i for i in range(carries) if found[i][1] and not flags[i]]
        if not more:
            return flags
        for i in more:
            flags[i] = True


def is_partial(body: Graph) -> bool:
    """Whether a body may fail, or never end, for what it is not meant for: it calls routines, or repeats something."""
    return any(may_fail(n.op.lowering) or any(is_partial(inner) for inner in subgraphs(n)) for n in body.nodes)


def only_of(active: Tensor, xs: Sequence[Spread]) -> list[Spread]:
    """Operands in which the elements that are not active are copies of the first that is: what comes of them nobody reads."""
    first = active & ops.equal(ops.cumulative_sum(ops.astype(active, t.int64)), 1)
    found: list[Spread] = []
    for x, has in xs:
        if has:
            ones = (active.shape[0], *(1,) * (x.ndim - 1))
            there, mine = ops.reshape(first, ones), ops.reshape(active, ones)
            zero = ops.zeros_like(x)
            one = (ops.any if x.dtype.is_bool else ops.sum)(ops.where(there, ops.stop_gradient(x), zero), axis=0, keepdims=True)
            x = ops.where(mine, x, ops.broadcast_to(ops.astype(one, x.dtype), x.shape))
        found.append((x, has))
    return found


def chosen(active: Tensor, new: Spread, old: Spread, size: Size) -> Tensor:
    """The elements of one symbol where `active` says so, else of another."""
    a, b = spread(new, size), spread(old, size)
    return ops.where(ops.reshape(active, (size, *(1,) * (a.ndim - 1))), a, b)
