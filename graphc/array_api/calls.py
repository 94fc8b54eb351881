"""One call: the graph of a function for the types it is given, compiled once and kept.

    run("sum", [x], ranked([x.shape]), axis=0)      x: f32[n0, n1] of any sizes, compiled when first asked for

What a graph is compiled for are data types and *names* of sizes, so few graphs serve all shapes:

    flat      axes that broadcast alike become one: an elementwise function of equal shapes is one of vectors
    ranked    each axis has a name of its own: a function of one array is compiled once a rank
    named     equal sizes share a name, 1 and 0 stay numbers: products, and whatever must agree

A number that only says where or how many (`Size`) is an axis too: of an input without elements, (k, 0). So is every slice of a
vector the same graph. Other options, such as axes and data types, are part of what is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

import graphc as gx

Data = np.ndarray[Any, Any]
Name = int | str  # of an axis: its size, or what stands for any size
Names = tuple[Name, ...]
DTYPES = {
    d.numpy: d
    for d in (
        gx.bool_, gx.int8, gx.int16, gx.int32, gx.int64, gx.uint8, gx.uint16, gx.uint32, gx.uint64, gx.float32, gx.float64,
    )
}  # fmt: skip
BACKENDS = ("llvm", "interpreter")
_backend = "llvm"


@dataclass(frozen=True)
class Size:
    """An integer of at least 0, among the options of a call, that any other may take the place of."""

    value: int


class CacheInfo(NamedTuple):
    """Calls that found their graph compiled, calls that did not, the most graphs that are kept, and how many are."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


def set_backend(name: str) -> None:
    """What later calls run on: "llvm" (native code, the default) or "interpreter" (NumPy, node by node; nothing to compile).

    >>> import graphc.array_api as xp
    >>> xp.set_backend("interpreter")
    >>> xp.sum(xp.asarray([1.0, 2.0]))
    Array(3.)
    >>> xp.set_backend("llvm")
    """
    global _backend
    if name not in BACKENDS:
        raise gx.errors.InputError(
            f"there is no backend {name!r}", where=gx.errors.caller(), hint="use " + " or ".join(map(repr, BACKENDS))
        )
    _backend = name


def get_backend() -> str:
    """What calls run on."""
    return _backend


def run(function: str | Callable[..., Any], arrays: Sequence[Data], names: Sequence[Names], **options: Any) -> Any:
    """`function` of the arrays: a name of graphc's, "sum" or "linalg.det", or what makes symbols of symbols.

    Gives an array, or a tuple of them where it gives several symbols.
    """
    sizes: list[int] = []
    signature = tuple([(a.dtype, n) for a, n in zip(arrays, names, strict=True)])
    chosen = tuple([(key, type(value), _slots(value, sizes)) for key, value in options.items()])
    compiled = _compiled(function, signature, chosen, len(sizes), _backend)
    result = compiled(*arrays, *[np.empty((n, 0), np.bool_) for n in sizes])
    return tuple(result) if isinstance(result, list) else result


def cache_info() -> CacheInfo:
    """How often a call found its graph compiled.

    >>> import graphc.array_api as xp
    >>> xp.cache_clear()
    >>> for n in range(2, 9):
    ...     _ = xp.sin(xp.zeros(n))
    >>> xp.cache_info().misses
    1
    """
    return CacheInfo(*_compiled.cache_info())


def cache_clear() -> None:
    """Forget every compiled graph. Machine code stays loaded, and on disk: compiling again is quick."""
    _compiled.cache_clear()


@dataclass(frozen=True)
class _Slot:
    """The place of a size among those of a call."""

    number: int


def _slots(value: Any, sizes: list[int]) -> Any:
    """An option as part of a key: its sizes, which go to `sizes`, as places; lists as tuples."""
    if isinstance(value, Size):
        sizes.append(value.value)
        return _Slot(len(sizes) - 1)
    if isinstance(value, (tuple, list)):
        return tuple([_slots(v, sizes) for v in value])
    if isinstance(value, slice):
        return ("slice", *[_slots(v, sizes) for v in (value.start, value.stop, value.step)])
    return value


def _filled(value: Any) -> Any:
    """An option of a key as the function takes it: places as dimensions."""
    if isinstance(value, _Slot):
        return gx.dim(f"s{value.number}")
    if isinstance(value, tuple):
        inside = tuple(_filled(v) for v in value)
        return slice(*inside[1:]) if inside[:1] == ("slice",) else inside
    return value


@lru_cache(maxsize=4096)
def _compiled(function: Any, signature: tuple[Any, ...], chosen: tuple[Any, ...], sizes: int, backend: str) -> gx.Compiled:
    inputs = [gx.placeholder(f"x{i}", names, DTYPES[dtype]) for i, (dtype, names) in enumerate(signature)]
    carriers = [gx.placeholder(f"size{i}", (f"s{i}", 0), gx.bool_) for i in range(sizes)]
    build = attrgetter(function)(gx) if isinstance(function, str) else function
    made = build(*inputs, **{key: _filled(value) for key, _, value in chosen})
    outputs = list(made) if isinstance(made, (tuple, list)) else made
    return gx.compile([*inputs, *carriers], outputs, backend=backend)


# --- names for sizes -------------------------------------------------------------------------------------------------


def ranked(shapes: Sequence[tuple[int, ...]], fixed: Sequence[int] = ()) -> list[Names]:
    """A name for each axis of each array; the axes `fixed` keep their sizes.

    >>> ranked([(3, 4), (3,)], fixed=[1])
    [('n0', 4), ('n1',)]
    """
    found: list[Names] = []
    count = 0
    for shape in shapes:
        names: list[Name] = []
        for axis, n in enumerate(shape):
            if axis in fixed:
                names.append(n)
            else:
                names.append(f"n{count}")
                count += 1
        found.append(tuple(names))
    return found


def named(shapes: Sequence[tuple[int, ...]], kept: Collection[int] = ()) -> list[Names]:
    """Equal sizes share a name; 1, 0 and what is `kept` stay.

    >>> named([(3, 4), (4, 1)])
    [('n0', 'n1'), ('n1', 1)]
    """
    known: dict[int, str] = {}
    return [tuple([n if n < 2 or n in kept else known.setdefault(n, f"n{len(known)}") for n in s]) for s in shapes]


def flat(arrays: Sequence[Data]) -> tuple[list[Data], list[Names], tuple[int, ...]]:
    """The arrays with axes that broadcast alike made one, names for the axes left, and the shape of the result.

    >>> flat([np.ones((2, 3, 4)), np.ones((3, 4)), np.float64(2)])[1:]
    ([('n0', 'n1'), ('n1',), ()], (2, 3, 4))
    """
    shapes = [a.shape for a in arrays]
    if len(set(shapes)) == 1 and shapes[0]:
        return [a.reshape(-1) for a in arrays], [("n0",)] * len(arrays), shapes[0]
    try:
        result = np.broadcast_shapes(*shapes)
    except ValueError:
        raise gx.errors.ShapeError(
            f"shapes {' and '.join(str(list(s)) for s in shapes)} do not broadcast", where=gx.errors.caller(),
            hint="sizes must be equal or 1",
        ) from None  # fmt: skip
    full = [(1,) * (len(result) - len(s)) + s for s in shapes]
    runs: list[tuple[tuple[bool, ...], int]] = []  # which arrays have an axis, and its size
    for axis, n in enumerate(result):
        has = tuple([s[axis] == n for s in full])
        if n == 1:
            continue
        if runs and runs[-1][0] == has:
            runs[-1] = (has, runs[-1][1] * n)
        else:
            runs.append((has, n))
    made, names = [], []
    for i, a in enumerate(arrays):
        own = [k for k, (has, _) in enumerate(runs) if has[i]]
        kept = range(own[0], len(runs)) if own else range(0)
        made.append(a.reshape([n if has[i] else 1 for has, n in (runs[k] for k in kept)]))
        names.append(tuple([f"n{k}" if k in own else 1 for k in kept]))
    return made, names, result
