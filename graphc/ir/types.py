"""Types: a data type and a shape.

    f32[batch, 3]        float32, a named and a fixed dimension
    i64[]                an int64 scalar
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from graphc.errors import DTypeError, caller
from graphc.ir import dims
from graphc.ir.dims import Shape, Size


@dataclass(frozen=True)
class DType:
    """A data type, under its Array API name.

    >>> float32
    float32
    >>> np.zeros(2, float32).dtype
    dtype('float32')
    """

    name: str
    short: str
    kind: str  # "b" boolean, "i" signed, "u" unsigned, "f" floating
    itemsize: int

    @property
    def numpy(self) -> np.dtype[Any]:
        return _NUMPY[self.name]

    @property
    def dtype(self) -> np.dtype[Any]:  # what np.dtype(float32) asks for
        return self.numpy

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        return self.kind in "iu"

    @property
    def is_bool(self) -> bool:
        return self.kind == "b"

    @property
    def bits(self) -> int:
        return 8 * self.itemsize

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


bool_ = DType("bool", "bool", "b", 1)
int8, int16, int32, int64 = (DType(f"int{8 * n}", f"i{8 * n}", "i", n) for n in (1, 2, 4, 8))
uint8, uint16, uint32, uint64 = (DType(f"uint{8 * n}", f"u{8 * n}", "u", n) for n in (1, 2, 4, 8))
float32, float64 = DType("float32", "f32", "f", 4), DType("float64", "f64", "f", 8)
DTYPES = (bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64)
FLOATS = (float32, float64)
INTEGERS = DTYPES[1:9]

_NUMPY = {t.name: np.dtype(t.name) for t in DTYPES}
_BY_NAME = {t.name: t for t in DTYPES} | {t.short: t for t in DTYPES}
_BY_NUMPY = {n: _BY_NAME[name] for name, n in _NUMPY.items()}


def as_dtype(value: object) -> DType:
    """The data type that a name, NumPy dtype, Python type or DType stands for.

    >>> as_dtype("f32"), as_dtype(np.int64), as_dtype(float)
    (float32, int64, float64)
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    try:
        found = _BY_NUMPY.get(np.dtype(value).newbyteorder("="))  # type: ignore[call-overload]
    except TypeError:
        found = None
    if found is None:
        raise DTypeError(
            f"{value!r} is not a data type of graphc", where=caller(), hint="use one of " + ", ".join(t.name for t in DTYPES)
        )
    return found


@lru_cache(maxsize=1024)
def promote(a: DType, b: DType) -> DType:
    """The type of a result of operands of types a and b: NumPy 2's promotion.

    >>> promote(int32, float32)
    float64
    """
    return _BY_NUMPY[np.promote_types(a.numpy, b.numpy)]


@dataclass(frozen=True)
class TensorType:
    """A data type and a shape."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @cached_property
    def core(self) -> Shape:
        """The shape without its axes of size 1, which neither loops nor addresses need."""
        return tuple(n for n in self.shape if n != 1)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return dims.product(self.shape)

    @property
    def nbytes(self) -> Size:
        return dims.mul(self.size, self.dtype.itemsize)

    @property
    def is_static(self) -> bool:
        return all(isinstance(n, int) for n in self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.short}[{', '.join(map(str, self.shape))}]"

    __repr__ = __str__


def as_shape(value: object) -> Shape:
    """A shape from an integer, a name, or a sequence of integers, names and sizes.

    >>> as_shape(("batch", 3))
    (batch, 3)
    """
    if isinstance(value, (int, np.integer, str, dims.Dim)):
        value = (value,)
    return tuple(as_size(n) for n in value)  # type: ignore[attr-defined]


def as_size(value: object) -> Size:
    if isinstance(value, str):
        return dims.dim(value)
    if isinstance(value, dims.Dim):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{value!r} is not a size")
    return int(value.__index__())


class ArrayValue:
    """The array of a constant: compared and hashed by its bytes, so that attributes stay comparable."""

    __slots__ = ("_key", "array")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = np.array(array, order="C", copy=True)
        self.array.flags.writeable = False
        self._key = (self.array.dtype.str, self.array.shape, self.array.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrayValue) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return repr(self.array)
