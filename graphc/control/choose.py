"""Choices: switch and cond."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.control.bodies import check_body, closed, gradients_of, leaf_of, same_form, symbols
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import types as t
from graphc.ir.graph import Graph, births
from graphc.ir.operation import Choose
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, build, check_function, listed, results
from graphc.ops.tensor import Tensor, as_tensor
from graphc.ops.trees import Tree, flatten, unflatten

Array = np.ndarray[Any, Any]

def _choose_type(index: TensorType, *inputs: TensorType, branches: tuple[Graph, ...]) -> TupleType:
    if index != TensorType(t.int64, ()):
        raise DTypeError(f"switch needs one int64 index, got {index}")
    kinds = [n.type for n in branches[0].outputs]
    for branch in branches:
        check_body("switch", branch, inputs, kinds, 0)
    return TupleType(tuple(kinds))


def _choose_reference(index: Array, *inputs: Array, branches: tuple[Callable[..., list[Array]], ...]) -> tuple[Array, ...]:
    return tuple(branches[min(max(int(index), 0), len(branches) - 1)](*inputs))


def _choose_vjp(
    g: tuple[Tensor | None, ...], y: tuple[Tensor, ...], index: Tensor, *inputs: Tensor, branches: tuple[Graph, ...]
) -> tuple[Tensor | None, ...]:
    """The same choice between the branches' gradients: only the one taken runs."""
    made, wanted = gradients_of(branches, g, y)
    if not wanted:
        return (None,) * (1 + len(inputs))
    given = [part for part in g if part is not None]
    of = dict(zip(wanted, results(choose_(index, *inputs, *given, branches=made)), strict=True))
    return (None, *(of.get(i) for i in range(len(inputs))))


choose_: Op = Op("switch", _choose_type, _choose_reference, Choose(), _choose_vjp, build=build)


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
