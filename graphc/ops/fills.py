"""Arrays made from nothing: fills and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.operation import Pointwise, Requirement, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import DType, TensorType
from graphc.ops.declare import Op, build, check_number
from graphc.ops.given import as_array, shape_of
from graphc.ops.tensor import Tensor


def _fill_value(value: Any) -> Any:
    if isinstance(value, Dim):
        raise AssertionError("a symbolic fill has no value before its dimensions are known")
    return value


def _full_body(k: Scalars, index: tuple[Size, ...], value: Any, dtype: DType, shape: Shape) -> Any:
    return k.cast(k.index(value), dtype) if isinstance(value, Dim) else k.const(value, dtype)


def _fits(shape: Shape, value: Any, dtype: DType) -> list[Requirement]:
    """A size is within a small integer type, as a Python integer beside an array is."""
    if not isinstance(value, Dim) or not dtype.is_integer or dtype.itemsize == 8:
        return []
    info, text = np.iinfo(dtype.numpy), f"the size {value} does not fit {dtype}"
    found = [Requirement(int(info.max), ">=", value, text), Requirement(value, ">=", int(info.min), text)]
    return found[: 1 if dims.is_nonnegative(value) else 2]


full_ = Op(
    "full",
    lambda shape, value, dtype: TensorType(dtype, shape),
    lambda shape, value, dtype: np.full(shape, _fill_value(value), dtype.numpy),
    Pointwise(_full_body),
    lambda g, y, shape, value, dtype: (),
    (Sample((), {"shape": (2, 3), "value": 1.5, "dtype": t.float32}),),
    level=lambda shape, value, dtype: () if isinstance(value, Dim) or value >= 0 else None,
    requires=_fits,
    build=build,
    arity=0,
)

iota_ = Op(
    "iota",
    lambda size, dtype: TensorType(dtype, (size,)),
    lambda size, dtype: np.arange(size).astype(dtype.numpy),
    Pointwise(lambda k, index, size, dtype: k.cast(k.index(index[0]), dtype)),
    lambda g, y, size, dtype: (),
    (Sample((), {"size": 5, "dtype": t.int64}),),
    build=build,
    arity=0,
)


def full(shape: Any, fill_value: Any, dtype: object = None) -> Tensor:
    """An array of one number.

    >>> import graphc as gx
    >>> gx.full((2, 3), 0.5, "float32")
    <Tensor full: f32[2, 3]>
    """
    if isinstance(fill_value, Tensor):
        found = fill_value if dtype is None else ops.astype(fill_value, dtype)
        return ops.broadcast_to(found, shape_of("full", shape))
    if isinstance(fill_value, Dim):
        made = t.int64 if dtype is None else t.as_dtype(dtype)
        return full_(shape=shape_of("full", shape), value=fill_value, dtype=made)
    made = t.as_dtype(as_array("full", fill_value, None).dtype if dtype is None else dtype)
    array = as_array("full", fill_value, made)
    if array.size != 1:
        raise ShapeError(f"full: the value must be one number, got an array of {array.shape}", where=caller())
    value = array.item()
    return full_(shape=shape_of("full", shape), value=value, dtype=made)


def zeros(shape: Any, dtype: object = "float64") -> Tensor:
    """An array of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: object = "float64") -> Tensor:
    """An array of ones."""
    return full(shape, 1, dtype)


def full_like(x: Tensor, fill_value: Any, dtype: object = None) -> Tensor:
    """An array of one number in the shape and, unless given, the type of x."""
    x = ops.as_tensor(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype)


def zeros_like(x: Tensor, dtype: object = None) -> Tensor:
    """Zeros in the shape and type of x."""
    return full_like(x, 0, dtype)


def ones_like(x: Tensor, dtype: object = None) -> Tensor:
    """Ones in the shape and type of x."""
    return full_like(x, 1, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: object = None) -> Tensor:
    """start, start + step, ... below stop. Integers may be symbolic sizes.

    >>> import graphc as gx
    >>> gx.arange(2, 10, 3).eval()
    array([2, 5, 8])
    """
    if stop is None:
        start, stop = 0, start
    if any(isinstance(v, Tensor) for v in (start, stop, step)):
        raise InputError("arange needs numbers or sizes, not symbols", where=caller(), hint="the size of a result cannot be data")
    given = (start, stop, step)
    start, stop, step = (v if isinstance(v, Dim) else check_number("arange", "what it counts with", v) for v in given)
    if step == 0:
        raise ShapeError("arange: step cannot be 0", where=caller())
    whole = all(isinstance(v, (int, Dim)) for v in (start, stop, step))
    size: Size
    if whole:
        span, by = (dims.sub(stop, start), int(step)) if step > 0 else (dims.sub(start, stop), -int(step))
        size = dims.maximum(dims.floordiv(dims.add(span, by - 1), by), 0)
    elif any(isinstance(v, Dim) for v in (start, stop, step)):
        raise InputError("arange of a symbolic size needs integers", where=caller())
    else:
        count = np.ceil((stop - start) / step)
        if not np.isfinite(count):
            raise ShapeError(f"arange from {start} to {stop} by {step} has no size", where=caller(), hint="give finite numbers")
        size = max(0, int(count))
    found = t.as_dtype(dtype) if dtype is not None else (t.int64 if whole else t.float64)
    work = found if not found.is_bool else t.int64
    counted: Tensor = iota_(size=size, dtype=work)
    if step != 1:
        counted = counted * full((), step, work)
    if not isinstance(start, int) or start != 0:
        counted = counted + full((), start, work)
    return ops.astype(counted, found)
