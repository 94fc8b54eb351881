"""Values that exist before anything runs: inputs and constants. Variables stand in variables.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.ir import operation
from graphc.ir import types as t
from graphc.ir.dims import Dim, Shape
from graphc.ir.types import ArrayValue, DType, TensorType
from graphc.ops.declare import Op, build
from graphc.ops.given import as_array, check_name, shape_of
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]


def leaf_type(name: str, dtype: DType, shape: Shape) -> TensorType:
    return TensorType(dtype, shape)


def no_reference(*args: Any, **attrs: Any) -> Array:
    raise AssertionError("a leaf has no reference: its value is given")


input_ = Op("input", leaf_type, no_reference, operation.Input(), build=build, arity=0)
constant_ = Op(
    "constant",
    lambda value: TensorType(t.as_dtype(value.array.dtype), value.array.shape),
    no_reference,
    operation.Constant(),
    level=lambda value: () if (value.array >= 0).all() else None,
    build=build,
    arity=0,
)


def placeholder(name: str, shape: Any = (), dtype: object = "float32") -> Tensor:
    """An input of a graph.

    shape: sizes; a string is a named dimension, or an expression of names ("2*batch"), that takes its value from the
    arguments of each call.

    >>> import graphc as gx
    >>> gx.placeholder("x", ("batch", 784), "float32")
    <Tensor input 'x': f32[batch, 784]>
    """
    check_name("placeholder", name)
    return input_(name=name, dtype=t.as_dtype(dtype), shape=shape_of("placeholder", shape))


def constant(value: Any, dtype: object = None) -> Tensor:
    """A fixed array, which is copied. Arrays of one repeated number become a fill.

    >>> import graphc as gx
    >>> gx.constant([1, 2, 3])
    <Tensor constant: i64[3]>
    """
    parts = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(part, (Tensor, Dim)) for part in parts):
        found = ops.as_tensor(value)
        return found if dtype is None else ops.astype(found, dtype)
    array = as_array("constant", value, dtype)
    made = t.as_dtype(array.dtype)
    array = array.astype(made.numpy, copy=False)
    if array.ndim == 0:
        return ops.full((), array.item(), dtype=made)
    return constant_(value=ArrayValue(array))


asarray = constant
