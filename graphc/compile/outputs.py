"""What a call gives: symbols in lists, tuples and dicts, and arrays in the same form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir.signature import Argument
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


def places_of(outputs: Any) -> Callable[[Any], list[Any]]:
    """A function that gives the arrays of `out`, which has the form of `outputs`, as a flat list."""
    if isinstance(outputs, Tensor):
        return lambda out: [out]
    if isinstance(outputs, Mapping):
        keys, inner = list(outputs), places_of(tuple(outputs.values()))

        def by_key(out: Any) -> list[Any]:
            if not isinstance(out, Mapping) or set(out) != set(keys):
                raise _other_form(out, f"a dict of {', '.join(map(repr, keys))}")
            return inner(tuple(out[key] for key in keys))

        return by_key
    return _in_order([places_of(part) for part in outputs])


def places_of_list(count: int) -> Callable[[Any], list[Any]]:
    """The same where the outputs are a list of so many symbols."""
    return _in_order([lambda out: [out]] * count)


def _in_order(parts: Sequence[Callable[[Any], list[Any]]]) -> Callable[[Any], list[Any]]:
    def in_order(out: Any) -> list[Any]:
        if not isinstance(out, (tuple, list)) or len(out) != len(parts):
            raise _other_form(out, f"{len(parts)} in a tuple or a list")
        return [place for part, given in zip(parts, out, strict=True) for place in part(given)]

    return in_order


def _other_form(out: Any, wanted: str) -> InputError:
    given = f"{len(out)} of them" if isinstance(out, (tuple, list, Mapping)) else type(out).__name__
    return InputError(f"out: the arrays must have the outputs' form, {wanted}; got {given}", where=caller())


def check_places(places: Sequence[Any], outputs: Sequence[Argument], sizes: Mapping[str, int]) -> None:
    """Raise where an array is not one that an output can be written into."""
    for i, (place, y) in enumerate(zip(places, outputs, strict=True)):
        which = "out" if len(places) == 1 else f"out: array {i}"
        dtype, shape = y.type.dtype.numpy, tuple(dims.evaluate(n, sizes) for n in y.type.shape)
        hint = f"np.empty({shape}, {dtype.name!r})"
        if not isinstance(place, np.ndarray):
            raise InputError(f"{which} must be an array of NumPy, got {type(place).__name__}", where=caller(), hint=hint)
        if place.dtype != dtype:
            raise DTypeError(f"{which} must be of {dtype}, as the output is, got {place.dtype}", where=caller(), hint=hint)
        if place.shape != shape:
            raise ShapeError(
                f"{which} must have the output's shape {list(shape)}, got {list(place.shape)}", where=caller(), hint=hint
            )
        if not place.flags.writeable:
            raise InputError(f"{which} is not writable", where=caller(), hint=f"a copy is, or {hint}")
        for j, other in enumerate(places[:i]):
            if np.shares_memory(place, other):
                raise InputError(f"out: arrays {j} and {i} share memory", where=caller(), hint="an array for each output")


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
