"""The array: values in memory, with the operators, attributes and methods of the standard."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

import graphc as gx
from graphc.array_api.calls import DTYPES, Data, Size, flat, named, ranked, run

Scalar = bool | int | float
Method = Callable[["Array", Any], Any]
DEVICE = "cpu"


def _unary(name: str) -> Callable[[Array], Array]:
    def method(self: Array, /) -> Array:
        return elementwise(name, self)

    return method


def _comparison(name: str) -> Method:
    def method(self: Array, other: Any, /) -> Any:
        return _apply(name, self, other) if isinstance(other, _OPERANDS) else NotImplemented

    return method


def _binary(name: str) -> tuple[Method, Method, Method]:
    """x + y, y + x and x += y."""

    def reflected(self: Array, other: Any, /) -> Any:
        return _apply(name, other, self) if isinstance(other, _OPERANDS) else NotImplemented

    def in_place(self: Array, other: Any, /) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        result = _apply(name, self, other)
        if result.dtype != self.dtype or result.shape != self.shape:
            raise gx.errors.DTypeError(
                f"{name} in place of {self.dtype} with shape {list(self.shape)} would make {result.dtype} with shape "
                f"{list(result.shape)}", where=gx.errors.caller(), hint="write x = x + y, or astype the other operand",
            )  # fmt: skip
        self._data[...] = result._data
        return self

    return _comparison(name), reflected, in_place


class Array:
    """An array of the Array API standard, whose functions are graphs. `asarray` and the other functions of creation make it.

    >>> import graphc.array_api as xp
    >>> x = xp.asarray([1.0, 2.0, 3.0])
    >>> (x * x)[1:]
    Array([4., 9.])
    """

    __slots__ = ("_data",)
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # NumPy's arrays leave operators to this class
    _data: Data

    def __init__(self) -> None:
        raise gx.errors.InputError(
            "an Array is not made by its class", where=gx.errors.caller(), hint="use graphc.array_api.asarray"
        )

    @property
    def dtype(self) -> gx.DType:
        return DTYPES[self._data.dtype]

    @property
    def device(self) -> str:
        return DEVICE

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self._data.shape
        return shape

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def T(self) -> Array:
        """The two axes of a matrix exchanged."""
        if self.ndim != 2:
            raise gx.errors.ShapeError(
                f"x.T needs two axes, got an array of shape {list(self.shape)}", where=gx.errors.caller(), hint="use x.mT"
            )
        return self.mT

    @property
    def mT(self) -> Array:
        """The last two axes exchanged."""
        return array(run("matrix_transpose", [self._data], ranked([self.shape])))

    def to_device(self, device: str, /, *, stream: None = None) -> Array:
        """The array itself: there is one device, "cpu"."""
        check_device(device)
        return self

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        from graphc import array_api

        if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
            raise gx.errors.InputError(f"the Array API of {api_version!r} is not there", where=gx.errors.caller())
        return array_api

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Data:
        return np.array(self._data, dtype, copy=copy)

    def __dlpack__(
        self, *, stream: None = None, max_version: tuple[int, int] | None = None, dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:  # fmt: skip
        given: dict[str, Any] = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        return self._data.__dlpack__(**{key: value for key, value in given.items() if value is not None})

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self._data.__dlpack_device__()

    # --- values ---

    def __bool__(self) -> bool:
        return bool(self._scalar("bool"))

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex"))

    def __index__(self) -> int:
        if not self.dtype.is_integer:
            raise gx.errors.DTypeError(f"an index must be an integer, got {self.dtype}", where=gx.errors.caller())
        return operator.index(self._scalar("index"))

    def _scalar(self, what: str) -> Any:
        if self.ndim:
            raise gx.errors.ShapeError(
                f"{what}(x) needs an array without axes, got shape {list(self.shape)}", where=gx.errors.caller(),
                hint="reduce or index it first",
            )  # fmt: skip
        return self._data.item()

    def __len__(self) -> int:
        if not self.ndim:
            raise gx.errors.ShapeError("len of an array without axes", where=gx.errors.caller())
        return self.shape[0]

    def __repr__(self) -> str:
        return "Array" + repr(self._data).removeprefix("array")

    # --- elements ---

    def __getitem__(self, key: Any, /) -> Array:
        keys = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, Array) for k in keys):
            return self._chosen(keys)
        return array(run(_part, [self._data], ranked([self.shape]), keys=_positions(keys, self.shape)))

    def _chosen(self, keys: tuple[Any, ...]) -> Array:
        """Elements where a mask is true, or at the places that arrays of integers name."""
        if len(keys) == 1 and keys[0].dtype.is_bool:
            return array(np.array(_masked(self._data, keys[0]._data)))
        if not all(isinstance(k, (Array, int)) for k in keys) or len(keys) > self.ndim:
            raise IndexError(f"an array of shape {list(self.shape)} indexed with {len(keys)} mixed indices; "
                             "arrays of integers go with integers alone, one for each axis at most")  # fmt: skip
        places = [np.asarray(k._data if isinstance(k, Array) else np.int64(k)) for k in keys]
        if not all(p.dtype.kind in "iu" for p in places):
            raise IndexError(f"indices must be integers, got {' and '.join(str(p.dtype) for p in places)}")
        wide = [np.where(p < 0, p.astype(np.int64) + n, p.astype(np.int64)) for p, n in zip(places, self.shape, strict=False)]
        for axis, (p, n) in enumerate(zip(wide, self.shape, strict=False)):
            if p.size and not 0 <= p.min() <= p.max() < n:
                raise IndexError(f"an index is out of range for axis {axis} of size {n}")
        whole = self._data.reshape(-1, *self.shape[len(wide) :])
        at = np.ravel_multi_index(np.broadcast_arrays(*wide), self.shape[: len(wide)]) if whole.size else wide[0]
        return array(taken(whole, np.asarray(at), 0))

    def __setitem__(self, key: Any, value: Any, /) -> None:
        """Written in place, by NumPy: arrays that share the memory see it."""
        keys = tuple(k._data if isinstance(k, Array) else k for k in (key if isinstance(key, tuple) else (key,)))
        self._data[keys] = value._data if isinstance(value, Array) else value


    # --- operators ---

    __abs__ = _unary("abs")
    __neg__ = _unary("negative")
    __pos__ = _unary("positive")
    __invert__ = _unary("bitwise_invert")
    __add__, __radd__, __iadd__ = _binary("add")
    __sub__, __rsub__, __isub__ = _binary("subtract")
    __mul__, __rmul__, __imul__ = _binary("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _binary("divide")
    __floordiv__, __rfloordiv__, __ifloordiv__ = _binary("floor_divide")
    __mod__, __rmod__, __imod__ = _binary("remainder")
    __pow__, __rpow__, __ipow__ = _binary("pow")
    __matmul__, __rmatmul__, __imatmul__ = _binary("matmul")
    __and__, __rand__, __iand__ = _binary("bitwise_and")
    __or__, __ror__, __ior__ = _binary("bitwise_or")
    __xor__, __rxor__, __ixor__ = _binary("bitwise_xor")
    __lshift__, __rlshift__, __ilshift__ = _binary("bitwise_left_shift")
    __rshift__, __rrshift__, __irshift__ = _binary("bitwise_right_shift")
    __eq__ = _comparison("equal")
    __ne__ = _comparison("not_equal")
    __lt__ = _comparison("less")
    __le__ = _comparison("less_equal")
    __gt__ = _comparison("greater")
    __ge__ = _comparison("greater_equal")


_OPERANDS = (Array, bool, int, float)


def _part(x: gx.Tensor, keys: tuple[Any, ...]) -> gx.Tensor:
    return x[keys]


def _positions(keys: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Integers and slices as sizes, so that one graph serves them all."""
    if keys.count(Ellipsis) > 1:
        raise IndexError("an index has at most one ...")
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > len(shape):
        raise IndexError(f"{used} indices for an array of {len(shape)} axes")
    rest = iter((*shape,))
    found: list[Any] = []
    for k in keys:
        if k is None:
            found.append(None)
        elif k is Ellipsis:
            found.append(k)
            for _ in range(len(shape) - used):
                next(rest)
        elif isinstance(k, slice):
            found.append(_span(k, next(rest)))
        else:
            found.append(_place(k, next(rest)))
    return tuple(found)


def _place(k: Any, n: int) -> Size:
    try:
        at = operator.index(k)
    except TypeError:
        raise IndexError(f"an index must be an integer, a slice, None or ..., got {type(k).__name__}") from None
    if isinstance(k, (bool, np.bool_)) or not -n <= at < n:
        raise IndexError(f"index {k} is out of range for an axis of size {n}")
    return Size(at % n)


def _span(k: slice, n: int) -> slice:
    inside = range(n)[k]
    if len(inside) == n and inside.step == 1:
        return slice(None)
    if not inside:
        return slice(Size(0), Size(0), 1)
    last = inside[-1] + (1 if inside.step > 0 else -1)
    return slice(Size(inside.start), Size(last) if last >= 0 else None, inside.step)


def _masked(x: Data, mask: Data) -> Data:
    """A size of 0 in the mask selects nothing, whatever the array's is: the standard's, not NumPy's."""
    shape = x.shape[: mask.ndim]
    if mask.ndim <= x.ndim and mask.size == 0 and all(m in (n, 0) for m, n in zip(mask.shape, shape, strict=True)):
        return np.empty((0, *x.shape[mask.ndim :]), x.dtype)
    result: Data = x[mask]
    return result


def array(data: Data) -> Array:
    """An Array that holds `data` itself."""
    made = Array.__new__(Array)
    made._data = data
    return made


def data_of(x: Any, name: str) -> Data:
    """The values of an Array, which `x` must be."""
    if not isinstance(x, Array):
        raise gx.errors.InputError(
            f"{name} needs an Array, got {type(x).__name__}", where=gx.errors.caller(), hint="use graphc.array_api.asarray"
        )
    return x._data


def operands(name: str, values: tuple[Any, ...]) -> list[Data]:
    """Arrays and Python numbers as data: a number takes the type of the arrays beside it, as NumPy 2 does."""
    strong = [x._data.dtype for x in values if isinstance(x, Array)]
    found = []
    for x in values:
        if isinstance(x, Array):
            found.append(x._data)
        elif isinstance(x, (bool, int, float)) and strong:
            found.append(np.asarray(x, np.result_type(*strong, x)))
        else:
            found.append(data_of(x, name))
    return found


def elementwise(function: str | Callable[..., Any], *values: Any, **options: Any) -> Array:
    """A function of single elements, whose operands broadcast."""
    arrays, names, shape = flat(operands(function if isinstance(function, str) else "the function", values))
    form = _floor_divide if function == "floor_divide" else function
    return array(run(form, arrays, names, **options).reshape(shape))


def _floor_divide(a: gx.Tensor, b: gx.Tensor) -> gx.Tensor:
    """The standard wants the quotient where an operand is infinite; NumPy, and so graphc, makes inf // 2 NaN and -1 // inf -1."""
    whole = gx.floor_divide(a, b)
    return gx.where(gx.isinf(a) | gx.isinf(b), a / b, whole) if whole.dtype.is_float else whole


def _apply(name: str, a: Any, b: Any) -> Array:
    """An operator's function."""
    return power(a, b) if name == "pow" else product(a, b) if name == "matmul" else elementwise(name, a, b)


def power(base: Any, exponent: Any) -> Array:
    """A Python number as exponent is part of the graph: 2, 3 and 1/2 have formulas of their own."""
    if isinstance(base, Array) and isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        return elementwise("pow", base, x2=exponent)
    return elementwise("pow", base, exponent)


def taken(x: Data, indices: Data, axis: int | None) -> Data:
    """Slices of x along an axis. No slices at all may be taken from an axis that has none."""
    if indices.size == 0:
        return np.take(x, indices.astype(np.int64), axis)
    found: Data = run("take", [x, indices], ranked([x.shape, indices.shape]), axis=axis)
    return found


def product(x1: Any, x2: Any) -> Array:
    """The matrix product."""
    a, b = data_of(x1, "matmul"), data_of(x2, "matmul")
    return array(run("matmul", [a, b], named([a.shape, b.shape])))


def check_device(device: object) -> None:
    if device not in (None, DEVICE):
        raise gx.errors.InputError(f"there is no device {device!r}", where=gx.errors.caller(), hint=f"the only one is {DEVICE!r}")
