"""Operators that combine elements along axes, and sort them."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.families.shapes import axes_of
from graphc.onnx.operators import Call, operator
from graphc.onnx.values import is_known, known

_REDUCE: dict[str, Any] = {
    "ReduceSum": gx.sum, "ReduceMean": gx.mean, "ReduceMax": gx.max, "ReduceMin": gx.min, "ReduceProd": gx.prod,
    "ReduceL1": lambda x, **o: gx.sum(gx.abs(x), **o), "ReduceL2": lambda x, **o: gx.sqrt(gx.sum(x * x, **o)),
    "ReduceSumSquare": lambda x, **o: gx.sum(x * x, **o), "ReduceLogSum": lambda x, **o: gx.log(gx.sum(x, **o)),
    "ReduceLogSumExp": lambda x, **o: gx.logsumexp(x, **o),
}  # fmt: skip
_KNOWN: dict[str, Any] = {"ReduceProd": np.prod, "ReduceSum": np.sum, "ReduceMax": np.max, "ReduceMin": np.min}


@operator(*_REDUCE)
def reduce(call: Call) -> Any:
    value = call.value(0)
    axes = call.listed(1, "axes")
    if not axes and call.attr("noop_with_empty_axes", 0):
        if call.operator in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"):
            return value
        axes = ()
    elif axes is not None and len(axes):
        axes = axes_of(axes, value.ndim)
    else:
        axes = tuple(range(value.ndim))
    keep = bool(call.attr("keepdims", 1))
    if is_known(value) and call.operator in _KNOWN and value.dtype.kind in "iuO" and value.size and value.size <= 4096:
        return known(_KNOWN[call.operator](value, axis=tuple(axes), keepdims=keep))
    x = call[0]
    empty = any(isinstance(x.shape[a], int) and x.shape[a] == 0 for a in axes)
    if empty and call.operator in ("ReduceMax", "ReduceMin", "ReduceLogSumExp"):
        least = call.operator != "ReduceMin"
        if x.dtype == gx.bool_:
            start: Any = not least
        elif str(x.dtype).startswith(("float", "bfloat")):
            start = float("-inf") if least else float("inf")
        else:
            start = gx.iinfo(x.dtype).min if least else gx.iinfo(x.dtype).max
        kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keep or a not in axes)
        return gx.full(kept, start, x.dtype)
    if x.dtype == gx.bool_:
        return (gx.any if call.operator == "ReduceMax" else gx.all)(x, axis=axes, keepdims=keep)
    floats = call.operator in ("ReduceMean", "ReduceL2") and gx.isdtype(x.dtype, "integral")
    made = _REDUCE[call.operator](gx.astype(x, "float64") if floats else x, axis=axes, keepdims=keep)
    return gx.astype(made, x.dtype)


@operator("ArgMax", "ArgMin")
def arg_extreme(call: Call) -> Any:
    x, axis, last = call[0], call.attr("axis", 0), call.attr("select_last_index", 0)
    function = gx.argmax if call.operator == "ArgMax" else gx.argmin
    keep = bool(call.attr("keepdims", 1))
    if not last:
        return function(x, axis=axis, keepdims=keep)
    return x.shape[axis] - 1 - function(gx.flip(x, axis=axis), axis=axis, keepdims=keep)


@operator("TopK")
def top_k(call: Call) -> Any:
    x, axis = call[0], call.attr("axis", -1)
    k = call.ints(1, "k")[0] if call.version >= 10 else call.attrs["k"]
    largest = bool(call.attr("largest", 1))
    order = gx.argsort(x, axis=axis, descending=largest, stable=True)
    key: list[Any] = [slice(None)] * x.ndim
    key[axis] = slice(0, k)
    at = order[tuple(key)]
    return gx.take_along_axis(x, at, axis=axis), at


@operator("CumSum", "CumProd")
def cumulative(call: Call) -> Any:
    x, axis = call[0], int(call.known(1, "axis"))
    function, start = (gx.cumulative_sum, 0) if call.operator == "CumSum" else (gx.cumulative_prod, 1)
    back = call.attr("reverse", 0)
    x = gx.flip(x, axis=axis) if back else x
    y = gx.astype(function(x, axis=axis), x.dtype)
    if call.attr("exclusive", 0):
        key: list[Any] = [slice(None)] * x.ndim
        key[axis] = slice(0, 1)
        first = gx.full_like(y[tuple(key)], start)
        key[axis] = slice(0, x.shape[axis] - 1)
        y = gx.concat([first, y[tuple(key)]], axis=axis)
    return gx.flip(y, axis=axis) if back else y
