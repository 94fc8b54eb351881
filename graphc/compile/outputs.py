"""What a call gives: symbols in lists, tuples and dicts, and arrays in the same form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from graphc.errors import InputError, caller
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]


def flatten(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, (Mapping, list, tuple)):
        return [x for part in (outputs.values() if isinstance(outputs, Mapping) else outputs) for x in flatten(part)]
    raise InputError(
        f"compile: outputs must be symbols, got {outputs!r}", where=caller(), hint="a symbol, or lists, tuples and dicts of them"
    )


def form_of(outputs: Any) -> Callable[[list[Array]], Any]:
    """A function that gives a flat list of arrays the form of `outputs`."""
    if isinstance(outputs, Tensor):
        return lambda arrays: arrays[0]
    if isinstance(outputs, Mapping):
        keys, form = list(outputs), form_of(tuple(outputs.values()))
        return lambda arrays: dict(zip(keys, form(arrays), strict=True))
    make: Callable[[Iterable[Any]], Any] = tuple if isinstance(outputs, tuple) else list
    if hasattr(outputs, "_fields"):
        make = type(outputs)._make
    if all(isinstance(part, Tensor) for part in outputs):
        return make
    parts, counts = [form_of(part) for part in outputs], [len(flatten(part)) for part in outputs]

    def nested(arrays: list[Array]) -> Any:
        left = iter(arrays)
        return make(part(list(islice(left, count))) for part, count in zip(parts, counts, strict=True))

    return nested
