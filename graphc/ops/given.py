"""What users give to make symbols of: arrays, names, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.errors import DTypeError, GraphError, InputError, ShapeError, caller
from graphc.ir import types as t
from graphc.ir.dims import Shape
from graphc.ir.names import is_name

Array = np.ndarray[Any, Any]
NUMBERS = "give numbers or booleans, or an array of them"


def as_array(what: str, value: Any, dtype: object) -> Array:
    """`value` as an array of one of graphc's data types."""
    if t.is_masked(value):
        raise InputError(f"{what}: the mask of a masked array would be lost", where=caller(), hint="give array.filled(value)")
    try:
        array = np.asarray(value, None if dtype is None else t.as_dtype(dtype).numpy)
    except (ValueError, OverflowError, TypeError) as error:
        if isinstance(error, GraphError):
            raise
        if isinstance(error, OverflowError):
            raise DTypeError(f"{what}: {error}", where=caller(), hint="choose a wider dtype") from None
        raise InputError(f"{what}: a {type(value).__name__} that makes no array: {error}", where=caller(), hint=NUMBERS) from None
    if not t.is_number(array.dtype):
        raise DTypeError(
            f"{what}: {type(value).__name__} of {array.dtype} has no data type of graphc", where=caller(), hint=NUMBERS
        )
    return array


def check_name(what: str, name: object) -> None:
    if not is_name(name):
        raise InputError(
            f"{what}: {name!r} is not a name", where=caller(), hint="use any text of at least one character, on one line"
        )


def shape_of(name: str, shape: Any) -> Shape:
    try:
        found = t.as_shape(shape)
    except (TypeError, ValueError, AttributeError) as error:
        why = error.message if isinstance(error, GraphError) else error
        raise ShapeError(f"{name}: {shape!r} is not a shape: {why}", where=caller(), hint="give integers and names") from None
    for n in found:
        if isinstance(n, int) and n < 0:
            raise ShapeError(f"{name}: sizes cannot be negative, got {list(found)}", where=caller())
    return found
