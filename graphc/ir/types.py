"""Types: a data type and a shape.

    f32[batch, 3]        float32, a named and a fixed dimension
    i64[]                an int64 scalar
    bf16[n]              bfloat16, which memory holds: its arithmetic is that of float32, each result rounded once

float16 is NumPy's; the arrays of bfloat16 are those of the package ml_dtypes, which is loaded where one is asked for.
"""

from __future__ import annotations

import operator
import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from graphc.errors import DTypeError, InputError, caller
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

    __hash__ = object.__hash__  # there is one object for each

    name: str
    short: str
    kind: str  # "b" boolean, "i" signed, "u" unsigned, "f" floating
    itemsize: int

    def __eq__(self, other: object) -> bool:
        """Whether `other` stands for this type: as in NumPy, x.dtype == "float32" and x.dtype == np.float32 are questions."""
        if isinstance(other, (str, type, np.dtype)):
            try:
                return as_dtype(other) is self
            except DTypeError:
                return False
        return self is other

    @property
    def numpy(self) -> np.dtype[Any]:
        """NumPy's data type; DTypeError if that is ml_dtypes' and the package is missing."""
        return _numpy(self.name)

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

    @property
    def arithmetic(self) -> DType:
        """The type in which its values are computed: float32 for the floats of 16 bits, else itself."""
        return float32 if self.is_float and self.itemsize == 2 else self

    @property
    def is_storage(self) -> bool:
        """Whether memory alone holds it: a float of 16 bits."""
        return self.arithmetic is not self

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)  # copies, and what comes from another process, are the one there is


bool_ = DType("bool", "bool", "b", 1)
int8, int16, int32, int64 = (DType(f"int{8 * n}", f"i{8 * n}", "i", n) for n in (1, 2, 4, 8))
uint8, uint16, uint32, uint64 = (DType(f"uint{8 * n}", f"u{8 * n}", "u", n) for n in (1, 2, 4, 8))
float16, bfloat16 = DType("float16", "f16", "f", 2), DType("bfloat16", "bf16", "f", 2)
float32, float64 = DType("float32", "f32", "f", 4), DType("float64", "f64", "f", 8)
DTYPES = (bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64)
FLOATS = (float32, float64)  # those that are computed with
INTEGERS = DTYPES[1:9]
_LARGEST = 1 << 63  # no size is
DIGITS = {float16: 11, bfloat16: 8, float32: 24, float64: 53}  # of a significand, the leading one included
EXPONENTS = {float16: (-24, 15), bfloat16: (-133, 127), float32: (-149, 127), float64: (-1074, 1023)}  # of powers of two

_BY_NAME = {t.name: t for t in DTYPES} | {t.short: t for t in DTYPES}
_BY_NUMPY = {np.dtype(t.name): t for t in DTYPES if t is not bfloat16}


@lru_cache
def _numpy(name: str) -> np.dtype[Any]:
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        raise DTypeError(
            "bfloat16 needs the package ml_dtypes", where=caller(), hint="pip install ml_dtypes, or use float16 or float32"
        ) from None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether a NumPy data type is of booleans, integers or floats.

    >>> is_number(np.dtype("int8")), is_number(np.dtype("complex64"))
    (True, False)
    """
    return dtype.kind in "biuf" or dtype.name == "bfloat16"


def is_masked(value: object) -> bool:
    """Whether it is a masked array of NumPy's, which loads them with the first one."""
    return "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray)


def number_of(value: object) -> bool | int | float | None:
    """The Python number that a scalar is, Python's, NumPy's, ml_dtypes' or an array of one without axes; None for others.

    >>> number_of(np.float32(0.5)), number_of(np.array(3)), number_of(np.longdouble(1)), number_of([1])
    (0.5, 3, None, None)
    """
    if isinstance(value, (np.generic, np.ndarray)):
        known = value.ndim == 0 and _BY_NAME.get(value.dtype.name) is not None and not is_masked(value)
        found: bool | int | float | None = value.item() if known else None
        return found
    kind: Any = python_kind(value)
    return None if kind is None else kind(value)


def python_kind(value: object) -> type[bool] | type[int] | type[float] | None:
    """bool, int or float for a Python number, of a subclass too; None for anything else, NumPy's scalars among it.

    >>> python_kind(True), python_kind(np.float64(1))  # which is a float to Python
    (<class 'bool'>, None)
    """
    kind = type(value)
    if kind is int or kind is float or kind is bool:
        return kind
    if isinstance(value, np.generic):
        return None
    return next((kind for kind in (bool, int, float) if isinstance(value, kind)), None)


def as_dtype(value: object) -> DType:
    """The data type that a name, NumPy dtype, Python type or DType stands for.

    >>> as_dtype("f32"), as_dtype(np.int64), as_dtype(float)
    (float32, int64, float64)
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    if isinstance(value, np.dtype) and value in _BY_NUMPY:
        return _BY_NUMPY[value]
    try:
        found = _BY_NAME.get(np.dtype(value).name)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        found = None
    if found is None:
        raise DTypeError(
            f"{value!r} is not a data type of graphc", where=caller(), hint="use one of " + ", ".join(t.name for t in DTYPES)
        )
    return found


@lru_cache(maxsize=1024)
def promote(a: DType, b: DType) -> DType:
    """The type of a result of operands of types a and b: NumPy 2's promotion.

    NumPy knows no bfloat16: it stays itself beside integers and booleans, and is float32 beside float16, as in JAX
    (https://docs.jax.dev/en/latest/type_promotion.html).

    >>> promote(int32, float32), promote(int8, float16), promote(int8, bfloat16)
    (float64, float16, bfloat16)
    """
    if bfloat16 not in (a, b):
        return as_dtype(np.promote_types(a.numpy, b.numpy))
    other = b if a == bfloat16 else a
    return float32 if other == float16 else other if other.is_float else bfloat16


def promote_number(common: DType, number: type) -> DType:
    """The type that a Python number (bool, int or float) takes beside operands of type `common`.

    >>> promote_number(float16, float), promote_number(int8, int), promote_number(int8, float)
    (float16, int8, float64)
    """
    if number is float and not common.is_float:
        return float64
    return int64 if number is int and common.is_bool else common


@dataclass(frozen=True)
class TensorType:
    """A data type and a shape."""

    dtype: DType
    shape: Shape

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, TensorType)
        return self.dtype is other.dtype and self.shape == other.shape

    @cached_property
    def _hash(self) -> int:
        return hash((self.dtype, self.shape))

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _FOUND}  # hashes are those of a process

    @property
    def rank(self) -> int:
        return len(self.shape)

    @cached_property
    def core(self) -> Shape:
        """The shape without its axes of size 1, which neither loops nor addresses need."""
        return tuple(n for n in self.shape if n != 1)

    @cached_property
    def places(self) -> tuple[int | None, ...]:
        """The axis of `core` that each axis is; None where it is of size 1."""
        axes = iter(range(len(self.core)))
        return tuple(None if n == 1 else next(axes) for n in self.shape)

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


_FOUND = ("_hash", "core", "places")  # what types remember
TUPLE = DType("tuple", "tuple", "t", 0)


@dataclass(frozen=True, init=False)
class TupleType(TensorType):
    """The types of an operation's several results, which `project` takes apart.

    >>> print(TupleType((TensorType(float32, (3,)), TensorType(int64, ()))))
    (f32[3], i64[])
    """

    parts: tuple[TensorType, ...]

    def __init__(self, parts: tuple[TensorType, ...]) -> None:
        super().__init__(TUPLE, ())
        object.__setattr__(self, "parts", parts)

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parts))})"

    __repr__ = __str__


def as_shape(value: object) -> Shape:
    """A shape from an integer, a name, or a sequence of integers, names and sizes.

    >>> as_shape(("batch", 3))
    (batch, 3)
    """
    if type(value) is tuple and _are_sizes(value):
        return value
    if isinstance(value, (str, dims.Dim)) or number_of(value) is not None:
        value = (value,)
    try:
        sizes = list(value)  # type: ignore[call-overload]
    except (TypeError, NotImplementedError):
        raise InputError(f"{value!r} is not a shape", where=caller(), hint="give integers and names") from None
    return tuple(as_size(n) for n in sizes)


def _are_sizes(values: tuple[object, ...]) -> bool:
    """Whether all are sizes already."""
    return not [n for n in values if type(n) is not dims.Dim and not (type(n) is int and -_LARGEST < n < _LARGEST)]


def as_size(value: object) -> Size:
    if isinstance(value, str):
        return dims.dim(value)
    if isinstance(value, dims.Dim):
        return value
    try:
        if not isinstance(value, bool) and abs(size := operator.index(value)) < _LARGEST:  # type: ignore[arg-type]
            return size
    except TypeError:
        pass
    raise InputError(f"{value!r} is not a size", where=caller(), hint="give an integer from 0 on, or a name")


class ArrayValue:
    """The array of a constant: compared and hashed by its bytes, so that attributes stay comparable."""

    __slots__ = ("_bytes", "array")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array.view() if _is_fixed(array) else np.array(array, order="C", copy=True)
        self.array.flags.writeable = False
        self._bytes: tuple[str, tuple[int, ...], bytes] | None = None

    @property
    def _key(self) -> tuple[str, tuple[int, ...], bytes]:
        if self._bytes is None:
            self._bytes = (self.array.dtype.str, self.array.shape, self.array.tobytes())
        return self._bytes

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, ArrayValue) or self.array.dtype != other.array.dtype or self.array.shape != other.array.shape:
            return False
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return repr(self.array)


def _is_fixed(array: np.ndarray[Any, Any]) -> bool:
    """Whether nobody can change an array: it lies in row-major order in an object of bytes."""
    base: Any = array
    while type(base) is np.ndarray:
        base = base.base
    return type(base) is bytes and type(array) is np.ndarray and array.flags.c_contiguous and array.flags.aligned
