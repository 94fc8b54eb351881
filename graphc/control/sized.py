"""The operation `sized`: a graph in which a size is data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.control.bodies import check_body, gradients_of
from graphc.errors import DTypeError, ShapeError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.graph import Graph
from graphc.ir.operation import Sized
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, build, results
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


sized_: Op = Op("sized", _sized_type, _sized_reference, Sized(), _sized_vjp, build=build)
