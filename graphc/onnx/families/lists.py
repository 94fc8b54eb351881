"""Sequences and options: lists of values that are known while a model is read."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.operators import Call, operator
from graphc.onnx.values import symbol


@operator("SequenceConstruct", "SequenceEmpty")
def construct(call: Call) -> Any:
    return list(call.inputs)


@operator("SequenceInsert")
def insert(call: Call) -> Any:
    values = list(call.sequence(0))
    values.insert(call.ints(2, "position")[0] if call.given(2) else len(values), call.value(1))
    return values


@operator("SequenceErase")
def erase(call: Call) -> Any:
    values = list(call.sequence(0))
    del values[call.ints(1, "position")[0] if call.given(1) else -1]
    return values


@operator("SequenceAt")
def at(call: Call) -> Any:
    return call.sequence(0)[call.ints(1, "position")[0]]


@operator("SequenceLength")
def length(call: Call) -> Any:
    return np.asarray(len(call.sequence(0)), np.int64)


@operator("SplitToSequence")
def split(call: Call) -> Any:
    x, axis, keep = call[0], call.attr("axis", 0), call.attr("keepdims", 1)
    n = x.shape[axis]
    if call.given(1):
        parts = call.ints(1, "split")
        if call.known(1, "split").ndim == 0:
            call.pieces(n // parts[0] if parts[0] > 0 else -1, "number of parts")
            parts = [parts[0]] * (n // parts[0]) + ([n % parts[0]] if n % parts[0] else [])
        keep = 1
    else:
        parts = [1] * call.pieces(n, "number of parts")
    made, start = [], 0
    for k in parts:
        key: list[Any] = [slice(None)] * x.ndim
        key[axis] = slice(start, start + k) if keep else start
        made.append(x[tuple(key)])
        start += k
    return made


@operator("ConcatFromSequence")
def concat(call: Call) -> Any:
    parts = [symbol(v) for v in call.sequence(0)]
    return (gx.stack if call.attr("new_axis", 0) else gx.concat)(parts, axis=call.attrs["axis"])


@operator("SequenceMap")
def mapped(call: Call) -> Any:
    first = call.sequence(0)
    rows = []
    for k in range(len(first)):
        given = [v[k] if isinstance(v, list) else v for v in call.inputs]
        rows.append(call.subgraph("body", *given))
    return tuple(list(column) for column in zip(*rows, strict=True))


@operator("Optional", "OptionalGetElement")
def element(call: Call) -> Any:
    return call.inputs[0]


@operator("OptionalHasElement")
def has_element(call: Call) -> Any:
    return np.asarray(call.given(0))
