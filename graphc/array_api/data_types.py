"""Data types, their limits and promotion, and what the namespace can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import graphc as gx
from graphc.array_api.array import DEVICE, Array, check_device
from graphc.array_api.calls import DTYPES

if TYPE_CHECKING:
    from graphc.ops.dtypes import FloatInfo, IntegerInfo

_BY_NAME = {d.name: d for d in DTYPES.values()}


def _dtype(value: Any) -> gx.DType:
    found = value.dtype if isinstance(value, Array) else value
    if not isinstance(found, gx.DType):
        raise gx.errors.DTypeError(f"{value!r} is no data type", where=gx.errors.caller(), hint="use xp.float64 or its like")
    return found


def finfo(type: gx.DType | Array, /) -> FloatInfo:
    """The limits of a floating-point data type.

    >>> import graphc.array_api as xp
    >>> xp.finfo(xp.float32).eps
    1.1920928955078125e-07
    """
    return gx.finfo(_dtype(type))


def iinfo(type: gx.DType | Array, /) -> IntegerInfo:
    """The limits of an integer data type.

    >>> import graphc.array_api as xp
    >>> xp.iinfo(xp.int8).max
    127
    """
    return gx.iinfo(_dtype(type))


def isdtype(dtype: gx.DType, kind: gx.DType | str | tuple[gx.DType | str, ...]) -> bool:
    """Whether a data type is, or is of, one of the kinds.

    >>> import graphc.array_api as xp
    >>> xp.isdtype(xp.int8, "integral"), xp.isdtype(xp.int8, (xp.bool, "real floating"))
    (True, False)
    """
    return gx.isdtype(dtype, kind)


def result_type(*arrays_and_dtypes: Array | gx.DType | bool | int | float) -> gx.DType:
    """The data type of a result of such operands; Python numbers take that of the others."""
    if all(isinstance(x, (bool, int, float)) for x in arrays_and_dtypes):
        raise gx.errors.InputError("result_type needs an array or a data type", where=gx.errors.caller())
    return gx.result_type(*(x if isinstance(x, (bool, int, float)) else _dtype(x) for x in arrays_and_dtypes))


def can_cast(from_: gx.DType | Array, to: gx.DType, /) -> bool:
    """Whether every value of one data type has its place in another."""
    return gx.can_cast(_dtype(from_), _dtype(to))


class Info:
    """What the namespace can do: its data types, devices and options."""

    def capabilities(self) -> dict[str, bool | int | None]:
        """Masks and results whose size is data are possible; arrays have up to 64 axes, as NumPy's."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        return DEVICE

    def devices(self) -> list[str]:
        return [DEVICE]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, gx.DType]:
        """What numbers become without a data type. There are no complex ones."""
        check_device(device)
        return {"real floating": gx.float64, "integral": gx.int64, "indexing": gx.int64}

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, gx.DType]:
        """The data types by name: all, or those of some kinds."""
        check_device(device)
        return {name: d for name, d in _BY_NAME.items() if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> Info:
    """What the namespace can do."""
    return Info()
