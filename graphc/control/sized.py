"""The operation `sized`: a graph in which a size is data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.control.bodies import check_body, for_every, gradients_of, leaf_of, with_axis
from graphc.errors import DTypeError, ShapeError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Graph
from graphc.ir.operation import VOCABULARY, Sized
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, Spread, build, results
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]

def _sized_type(number: TensorType, *inputs: TensorType, body: Graph, size: str) -> TupleType:
    if number != TensorType(t.int64, ()):
        raise DTypeError(f"sized needs one int64 for the size, got {number}")
    check_body("sized", body, inputs, (), len(body.outputs))
    kinds = tuple(n.type for n in body.outputs)
    if any(size in dims.names(*kind.shape) for kind in kinds):
        raise ShapeError(f"sized: a result of {list(kinds)} has the size that is data, {size}")
    return TupleType(kinds)


def _sized_reference(number: Array, *inputs: Array, body: Callable[..., list[Array]], size: str) -> tuple[Array, ...]:
    return tuple(body(*inputs, **{size: max(int(number), 0)}))


def _sized_vjp(
    g: tuple[Tensor | None, ...], y: tuple[Tensor, ...], number: Tensor, *inputs: Tensor, body: Graph, size: str
) -> tuple[Tensor | None, ...]:
    """The body's gradient at the same size."""
    (made,), wanted = gradients_of([body], g, y)
    if not wanted:
        return (None,) * (1 + len(inputs))
    given = [part for part in g if part is not None]
    of = dict(zip(wanted, results(sized_(number, *inputs, *given, body=made, size=size)), strict=True))
    return (None, *(of.get(i) for i in range(len(inputs))))


def _sized_every(every: Size, number: Spread, *inputs: Spread, body: Graph, size: str) -> list[Spread]:
    """The body for every element where one size is for all; else one element after the other, each at its size."""
    flags = [has for _, has in inputs]
    if number[1]:
        return _one_after_the_other(every, number, *inputs, body=body, size=size)
    leaves = with_axis(body.inputs, flags, every)
    found = for_every(body, leaves, flags, every)
    graph = Graph(leaves, (y for y, _ in found), name="body")
    made = results(sized_(number[0], *(x for x, _ in inputs), body=graph, size=size))
    return [(y, has) for y, (_, has) in zip(made, found, strict=True)]


def _one_after_the_other(every: Size, *inputs: Spread, **attrs: Any) -> list[Spread]:
    order = sorted(range(len(inputs)), key=lambda i: not inputs[i][1])  # sequences before what is the same for all
    leaves = {
        i: leaf_of(f"x{i}", TensorType(x.dtype, x.shape[1:] if has else x.shape)) for i, (x, has) in enumerate(inputs)
    }
    ys = results(sized_(*(leaves[i] for i in range(len(inputs))), **attrs))
    made = VOCABULARY["scan"](
        *(inputs[i][0] for i in order), body=Graph([leaves[i] for i in order], ys, name="body"), carries=0,
        sequences=sum(has for _, has in inputs), steps=every, reverse=False,
    )  # fmt: skip
    return [(y, True) for y in results(made)]


sized_: Op = Op("sized", _sized_type, _sized_reference, Sized(), _sized_vjp, every=_sized_every, build=build)
