"""The operation that prints a value when it runs, and gives it on."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np

from graphc.ir import types as t
from graphc.ir.operation import Host, Sample
from graphc.ir.types import DType, TensorType
from graphc.ops.declare import Op, build
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
WHOLE = 100  # arrays of at most so many elements are printed whole
_NUMBERS = itertools.count(1)


def _text(x: Array, dtype: DType, label: str, summarize: int) -> str:
    """One line for a number or a vector that fits on it; matrices begin on a line of their own."""
    every = summarize < 0
    value = np.array2string(x, threshold=sys.maxsize if every else WHOLE, edgeitems=None if every else summarize)
    head = f"{label}: {TensorType(dtype, x.shape)} ="
    return f"{head}\n{value}" if "\n" in value else f"{head} {value}"


def _print(x: Array, dtype: DType, label: str, summarize: int, number: int) -> Array:
    print(_text(x, dtype, label, summarize))
    return np.array(x)


def _into(out: Array, x: Array, **attrs: Any) -> None:
    out[...] = _print(x, **attrs)


print_ = Op(
    "print", lambda x, **attrs: x, _print, Host(_into, effect=True), lambda g, y, x, **attrs: (g,),
    (
        Sample(((3,),), {"dtype": t.float64, "label": "x", "summarize": 3, "number": 0}),
        Sample(((2, 3),), {"dtype": t.float64, "label": "x", "summarize": -1, "number": 0}),
    ),
    arity=1, build=build, doc="x, which is printed when it is computed: `gx.debug.print` writes it. No two have one number.",
)  # fmt: skip


def printed(x: Tensor, label: str, summarize: int) -> Tensor:
    """x through a node that no other is equal to."""
    return print_(x, dtype=x.dtype, label=label, summarize=summarize, number=next(_NUMBERS))
