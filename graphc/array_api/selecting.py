"""Elements chosen by data, sorted, and made unique.

`nonzero` and the unique functions give as many elements as the data say, which no graph can: NumPy computes them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import graphc as gx
from graphc.array_api.array import Array, Scalar, array, data_of, elementwise, taken
from graphc.array_api.calls import Data, named, ranked, run


def where(condition: Array, x1: Array | Scalar, x2: Array | Scalar, /) -> Array:
    """x1 where the condition holds, x2 elsewhere."""
    chosen = [x for x in (x1, x2) if isinstance(x, Array)]
    dtype = np.result_type(*(x._data.dtype for x in chosen), *(x for x in (x1, x2) if not isinstance(x, Array)))
    made = [x if isinstance(x, Array) else array(np.asarray(x, dtype)) for x in (x1, x2)]
    return elementwise("where", condition, *made)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """Slices of x along an axis, in the order of an array of indices; one out of range reads the nearest."""
    return array(taken(data_of(x, "take"), data_of(indices, "take"), axis))


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """An element along an axis for each index, which stands where the element will; one out of range reads the nearest."""
    arrays = [data_of(x, "take_along_axis"), data_of(indices, "take_along_axis")]
    return array(run("take_along_axis", arrays, named([a.shape for a in arrays]), axis=axis))


def searchsorted(x1: Array, x2: Array, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    """Where each element of x2 would go in the sorted vector x1, which `sorter` may sort."""
    given = [data_of(x, "searchsorted") for x in (x1, x2, sorter) if x is not None]
    return array(run(_searchsorted, given, named([a.shape for a in given]), side=side))


def _searchsorted(x1: gx.Tensor, x2: gx.Tensor, *sorter: gx.Tensor, side: str) -> gx.Tensor:
    return gx.searchsorted(x1, x2, side=side, sorter=sorter[0] if sorter else None)


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """x in order along an axis."""
    return array(run("sort", [data_of(x, "sort")], ranked([x.shape]), axis=axis, descending=descending, stable=stable))


def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The indices that put x in order along an axis."""
    return array(run("argsort", [data_of(x, "argsort")], ranked([x.shape]), axis=axis, descending=descending, stable=stable))


def nonzero(x: Array, /) -> tuple[Array, ...]:
    """The indices of the elements that are not zero, an array for each axis."""
    if not x.ndim:
        raise gx.errors.ShapeError("nonzero needs at least one axis", where=gx.errors.caller())
    return tuple(array(i) for i in np.nonzero(data_of(x, "nonzero")))


class UniqueAll(NamedTuple):
    """What `unique_all` gives."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Array
    inverse_indices: Array


def unique_all(x: Array, /) -> UniqueAll:
    """The distinct elements in order, where each stands first, which of them each element is, and how often it occurs."""
    values, indices, inverse, counts = _unique(data_of(x, "unique_all"))
    return UniqueAll(array(values), array(indices), array(inverse), array(counts))


def unique_counts(x: Array, /) -> UniqueCounts:
    """The distinct elements in order, and how often each occurs."""
    values, _, _, counts = _unique(data_of(x, "unique_counts"))
    return UniqueCounts(array(values), array(counts))


def unique_inverse(x: Array, /) -> UniqueInverse:
    """The distinct elements in order, and which of them each element is."""
    values, _, inverse, _ = _unique(data_of(x, "unique_inverse"))
    return UniqueInverse(array(values), array(inverse))


def unique_values(x: Array, /) -> Array:
    """The distinct elements in order."""
    return array(_unique(data_of(x, "unique_values"))[0])


def _unique(x: Data) -> tuple[Data, Data, Data, Data]:
    """Values, first places, inverse and counts; every NaN is distinct."""
    values, indices, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    return values, indices, inverse.reshape(x.shape), counts
