"""Choices: switch and cond."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.control.bodies import (
    check_body,
    chosen,
    closed,
    for_every,
    gradients_of,
    is_partial,
    leaf_of,
    only_of,
    same_form,
    symbols,
    with_axis,
)  # fmt: skip
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, births
from graphc.ir.operation import Switch
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, Spread, build, check_function, listed, results, spread
from graphc.ops.tensor import Tensor, as_tensor
from graphc.ops.trees import Tree, flatten, unflatten

Array = np.ndarray[Any, Any]

def _switch_type(index: TensorType, *inputs: TensorType, branches: tuple[Graph, ...]) -> TupleType:
    if index != TensorType(t.int64, ()):
        raise DTypeError(f"switch needs one int64 index, got {index}")
    kinds = [n.type for n in branches[0].outputs]
    for branch in branches:
        check_body("switch", branch, inputs, kinds, 0)
    return TupleType(tuple(kinds))


def _switch_reference(index: Array, *inputs: Array, branches: tuple[Callable[..., list[Array]], ...]) -> tuple[Array, ...]:
    return tuple(branches[min(max(int(index), 0), len(branches) - 1)](*inputs))


def _switch_vjp(
    g: tuple[Tensor | None, ...], y: tuple[Tensor, ...], index: Tensor, *inputs: Tensor, branches: tuple[Graph, ...]
) -> tuple[Tensor | None, ...]:
    """The same choice between the branches' gradients: only the one taken runs."""
    made, wanted = gradients_of(branches, g, y)
    if not wanted:
        return (None,) * (1 + len(inputs))
    given = [part for part in g if part is not None]
    of = dict(zip(wanted, results(choose_(index, *inputs, *given, branches=made)), strict=True))
    return (None, *(of.get(i) for i in range(len(inputs))))


def _switch_every(size: Size, index: Spread, *inputs: Spread, branches: tuple[Graph, ...]) -> list[Spread]:
    """The same choice where one index is for all; else every branch, and of each element the results of its own."""
    flags = [has for _, has in inputs]
    which, many = index
    if not many:
        leaves = with_axis(branches[0].inputs, flags, size)
        found = [for_every(branch, leaves, flags, size) for branch in branches]
        have = [any(part[1] for part in parts) for parts in zip(*found, strict=True)]
        fitted = [[spread(y, size) if has else y[0] for y, has in zip(ys, have, strict=True)] for ys in found]
        made = choose_(which, *(x for x, _ in inputs), branches=tuple(Graph(leaves, ys, name="body") for ys in fitted))
        return list(zip(results(made), have, strict=True))
    which = ops.clip(which, 0, len(branches) - 1)
    picked: list[Spread] = []
    for number, branch in enumerate(branches):
        mine = ops.equal(which, number)
        ys = _where_taken(mine, branch, inputs, size) if is_partial(branch) else for_every(
            branch, [x for x, _ in inputs], flags, size
        )  # fmt: skip
        picked = [(chosen(mine, y, old, size), True) for y, old in zip(ys, picked, strict=True)] if picked else ys
    return [(spread(y, size), True) for y in picked]


def _where_taken(mine: Tensor, branch: Graph, inputs: Sequence[Spread], size: Size) -> list[Spread]:
    """A branch for every element, if it is anybody's; what is not its own it sees as copies of what is."""
    flags = [True, *(has for _, has in inputs)]
    leaves = [leaf_of("mine", mine.type), *with_axis(branch.inputs, flags[1:], size)]
    read = only_of(leaves[0], list(zip(leaves[1:], flags[1:], strict=True)))
    ys = [spread(y, size) for y in for_every(branch, [x for x, _ in read], flags[1:], size)]
    nothing = Graph(leaves, [ops.zeros_like(y) for y in ys], name="body")
    given = [mine, *(x for x, _ in inputs)]
    anybody = ops.astype(ops.any(mine), t.int64)
    made = choose_(anybody, *given, branches=(nothing, Graph(leaves, ys, name="body")))
    return [(y, True) for y in results(made)]


def _switch_masks(index: Tensor, *inputs: Tensor, branches: tuple[Graph, ...]) -> tuple[Tensor | None, ...]:
    """Operands that some branches do not read are taken where one runs that does."""
    number = ops.clip(index, 0, len(branches) - 1)
    reads = [{*branch.outputs, *(i for node in branch.nodes for i in node.inputs)} for branch in branches]
    found: list[Tensor | None] = [None]
    for i, x in enumerate(inputs):
        by = [b for b, branch in enumerate(branches) if branch.inputs[i] in reads[b]]
        if len(by) == len(branches):
            found.append(None)
            continue
        runs = ops.full((), False, t.bool_)
        for b in by:
            runs = ops.logical_or(runs, ops.equal(number, b))
        found.append(ops.broadcast_to(runs, x.shape))
    return tuple(found)


choose_: Op = Op(
    "switch", _switch_type, _switch_reference, Switch(), _switch_vjp, masks=_switch_masks, every=_switch_every, build=build
)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Tree) -> Any:
    """The branch that an index names, of the operands: only it is computed. An index out of range takes the nearest.

    index: one integer. The branches give results of the same form and types.

    >>> import graphc as gx
    >>> i, x = gx.placeholder("i", (), "int64"), gx.placeholder("x", (), "float64")
    >>> gx.switch(i, [lambda v: v, lambda v: v * v, lambda v: -v], x).eval({i: 1, x: 3.0})
    array(9.)
    """
    chosen = as_tensor(index)
    if chosen.ndim or not (chosen.dtype.is_integer or chosen.dtype.is_bool):
        raise DTypeError(f"switch: the index must be one integer, got {chosen.type}", where=caller())
    branches = listed("switch", "branches", branches)
    for branch in branches:
        check_function("switch", "a branch", branch)
    if not branches:
        raise InputError("switch: no branches", where=caller())
    given = symbols("switch", operands)
    leaves = [leaf_of(f"x{i}", x.type) for i, x in enumerate(flatten(given))]
    with births() as born:
        first = symbols("switch", branches[0](*unflatten(given, leaves)))
        outputs = [flatten(first)]
        outputs += [
            same_form("switch", "a branch's result", first, branch(*unflatten(given, leaves))) for branch in branches[1:]
        ]
    graphs, outer = closed(outputs, [leaves] * len(outputs), born)
    made = results(choose_(ops.astype(chosen, t.int64), *flatten(given), *outer, branches=tuple(graphs)))
    return unflatten(first, list(made))


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Tree) -> Any:
    """One function of the operands if a boolean holds, else another; only the one taken is computed.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "float64")
    >>> gx.cond(x > 0, lambda: gx.sqrt(x), lambda: 0 * x).eval({x: 9.0})
    array(3.)
    """
    holds = as_tensor(pred)
    if holds.ndim:
        raise ShapeError(
            f"cond: the condition must be one boolean, got {holds.type}", where=caller(), hint="gx.where chooses elements"
        )
    return switch(ops.astype(holds, t.bool_), [false_fun, true_fun], *operands)
