"""Sizes among numbers: what an expression of sizes becomes beside floats, arrays and NumPy's functions.

    n / 2, n ** 0.5, n < 3        a symbol without axes, weak as Python's numbers are: it takes the type of the arrays beside it
    np.arange(3) * n              a symbol
    np.int64(2) * n               a size
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.ir import types as t
from graphc.ir.dims import Dim
from graphc.ir.graph import Node
from graphc.ops.tensor import weakened

_INTEGERS = {
    np.add: Dim.__add__, np.subtract: Dim.__sub__, np.multiply: Dim.__mul__, np.floor_divide: Dim.__floordiv__,
    np.remainder: Dim.__mod__,
}  # fmt: skip
_REFLECTED = {
    np.add: Dim.__radd__, np.subtract: Dim.__rsub__, np.multiply: Dim.__rmul__, np.floor_divide: Dim.__rfloordiv__,
    np.remainder: Dim.__rmod__,
}  # fmt: skip


def _beyond(name: str, a: object, b: object) -> Any:
    """An operation of a size and something that is no integer; symbols know theirs themselves."""
    for value in (a, b):
        known = isinstance(value, (Dim, np.ndarray, np.generic, list, tuple)) or t.number_of(value) is not None
        if isinstance(value, Node) or not known:
            return NotImplemented
    if name == "pow" and isinstance(a, Dim) and t.python_kind(b) is float:
        a = weakened(ops.full((), a, t.float64))  # as a symbol, so that n ** 0.5 is a root and n ** -1.0 a quotient
    return getattr(ops, name)(a, b)


def _numpy_ufunc(self: Dim, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    if method == "__call__" and not options and ufunc in _INTEGERS:
        a, b = inputs
        whole = [isinstance(v, (Dim, int, np.integer)) for v in inputs]
        if all(whole):
            return _INTEGERS[ufunc](a, b) if isinstance(a, Dim) else _REFLECTED[ufunc](b, a)
    return ops.numpy_ufunc(ufunc, method, inputs, options)


Dim._beyond = staticmethod(_beyond)  # type: ignore[method-assign]
Dim.__array_ufunc__ = _numpy_ufunc  # type: ignore[attr-defined]
