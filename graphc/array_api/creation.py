"""Arrays made from nothing: constants, which NumPy evaluates node by node, since there is nothing to compile for later calls."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc.array_api.array import Array, Scalar, array, check_device, data_of
from graphc.array_api.calls import DTYPES, ranked, run

Shape = int | tuple[int, ...]


def asarray(obj: Any, /, *, dtype: gx.DType | None = None, device: str | None = None, copy: bool | None = None) -> Array:
    """An array of numbers, nested sequences, another Array or whatever NumPy makes an array of.

    copy: True always copies, False never does (an error where it must), None where it is needed. NumPy's arrays are not copied.

    >>> import graphc.array_api as xp
    >>> xp.asarray([[1, 2], [3, 4]], dtype=xp.float32)
    Array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    check_device(device)
    if isinstance(obj, Array):
        obj = obj._data
    made = np.asarray(obj, None if dtype is None else dtype.numpy, copy=copy)
    if dtype is None and made.dtype not in DTYPES:
        raise gx.errors.DTypeError(
            f"asarray: {type(obj).__name__} of {made.dtype} has no data type here", where=gx.errors.caller(),
            hint="give numbers or booleans, or an array of them",
        )  # fmt: skip
    return array(made)


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Array:
    """An array over the memory of any other library's array on the CPU."""
    check_device(device)
    return asarray(np.from_dlpack(x), copy=copy)


def full(shape: Shape, fill_value: Scalar, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """An array of one number."""
    check_device(device)
    return array(gx.full(shape, fill_value, dtype).eval())


def zeros(shape: Shape, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """An array of zeros, float64 unless told."""
    return full(shape, 0, dtype=dtype or gx.float64, device=device)


def ones(shape: Shape, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """An array of ones, float64 unless told."""
    return full(shape, 1, dtype=dtype or gx.float64, device=device)


def empty(shape: Shape, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """An array of zeros: memory is never left unwritten."""
    return zeros(shape, dtype=dtype, device=device)


def full_like(x: Array, /, fill_value: Scalar, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """An array of one number in x's shape and, unless told, its data type."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device)


def zeros_like(x: Array, /, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """Zeros in x's shape."""
    return full_like(x, 0, dtype=dtype, device=device)


def ones_like(x: Array, /, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """Ones in x's shape."""
    return full_like(x, 1, dtype=dtype, device=device)


def empty_like(x: Array, /, *, dtype: gx.DType | None = None, device: str | None = None) -> Array:
    """Zeros in x's shape."""
    return zeros_like(x, dtype=dtype, device=device)


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: gx.DType | None = None, device: str | None = None
) -> Array:
    """start, start + step, ... below stop."""
    check_device(device)
    return array(gx.arange(start, stop, step, dtype).eval())


def linspace(
    start: float, stop: float, /, num: int, *, dtype: gx.DType | None = None, device: str | None = None, endpoint: bool = True
) -> Array:
    """`num` numbers at equal distances from start to stop, which `endpoint=False` leaves out."""
    check_device(device)
    return array(gx.linspace(start, stop, num, dtype=dtype, endpoint=endpoint).eval())


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: gx.DType | None = None, device: str | None = None
) -> Array:
    """Ones on a diagonal, zeros elsewhere."""
    check_device(device)
    return array(gx.eye(n_rows, n_cols, k=k, dtype=dtype or gx.float64).eval())


def meshgrid(*arrays: Array, indexing: str = "xy") -> list[Array]:
    """The coordinates of a grid: each vector repeated along the axes of the others."""
    if not arrays:
        return []
    given = [data_of(x, "meshgrid") for x in arrays]
    return [array(y) for y in run("meshgrid", given, ranked([x.shape for x in given]), indexing=indexing)]


def tril(x: Array, /, *, k: int = 0) -> Array:
    """x with zeros above a diagonal."""
    return array(run("tril", [data_of(x, "tril")], ranked([x.shape]), k=k))


def triu(x: Array, /, *, k: int = 0) -> Array:
    """x with zeros below a diagonal."""
    return array(run("triu", [data_of(x, "triu")], ranked([x.shape]), k=k))
