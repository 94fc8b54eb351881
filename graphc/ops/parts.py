"""Arrays taken apart and put together: split and its kin, hstack and its kin, at least so many axes, choices among arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Dim, Size
from graphc.ops.declare import any_type, listed, normalize_axis, normalize_integer, promote_operands
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

# --- split -----------------------------------------------------------------------------------------------------------


def _part(x: Tensor, axis: int, start: Size, size: Size) -> Tensor:
    at = tuple(start if a == axis else 0 for a in range(x.ndim))
    sizes = tuple(size if a == axis else n for a, n in enumerate(x.shape))
    return ops.slice_(x, start=at, step=(1,) * x.ndim, size=sizes)


def _between(name: str, x: Tensor, axis: int, places: Any) -> list[Tensor]:
    """The parts between places along an axis, each as a slice with these bounds."""
    bounds = [p if isinstance(p, Dim) else normalize_integer(name, "an index", p) for p in listed(name, "the indices", places)]
    before = (slice(None),) * axis
    return [x[(*before, slice(a, b))] for a, b in zip([0, *bounds], [*bounds, None], strict=True)]


def _sections(name: str, sections: Any) -> int | None:
    """How many parts, where it is a number."""
    if isinstance(sections, (Sequence, np.ndarray)) and not (isinstance(sections, np.ndarray) and sections.ndim == 0):
        return None
    count = normalize_integer(name, "the number of parts", sections)
    if count < 1:
        raise ShapeError(f"{name}: the number of parts must be at least 1, got {count}", where=caller())
    return count


def split(x: TensorLike, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """The parts of x along an axis: so many of one size, or those that lie between places.

    indices_or_sections: a number, which must divide the axis (a named size is looked at when a call binds it), or a list of
    integers and sizes, each the end of one part and the start of the next, with the meaning of a slice's bounds.

    >>> import graphc as gx
    >>> [part.eval().tolist() for part in gx.split(gx.constant([1, 2, 3, 4]), 2)]
    [[1, 2], [3, 4]]
    >>> [part.shape for part in gx.split(gx.zeros((5, 2)), [1, 4])]
    [(1, 2), (3, 2), (1, 2)]
    """
    return _split("split", x, indices_or_sections, axis)


def _split(name: str, x: TensorLike, sections: Any, axis: int) -> list[Tensor]:
    x = as_tensor(x)
    place = normalize_axis(name, axis, x.type)
    count = _sections(name, sections)
    if count is None:
        return _between(name, x, place, sections)
    n = x.shape[place]
    if isinstance(n, int) and n % count:
        raise ShapeError(
            f"{name} of {x.type} along {place}: {n} does not divide into {count} equal parts", where=caller(),
            hint="array_split makes the first parts one larger",
        )  # fmt: skip
    size = dims.floordiv(n, count)
    if isinstance(n, int):
        return [_part(x, place, dims.mul(size, i), size) for i in range(count)]
    apart = ops.reshape(x, (*x.shape[:place], count, size, *x.shape[place + 1 :]))  # which requires that it divides
    return [apart[(*(slice(None),) * place, i)] for i in range(count)]


def array_split(x: TensorLike, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """The parts of x along an axis, as `split`; where a number does not divide the axis, the first parts are one larger.

    >>> import graphc as gx
    >>> [part.eval().tolist() for part in gx.array_split(gx.constant([1, 2, 3, 4, 5]), 3)]
    [[1, 2], [3, 4], [5]]
    """
    x = as_tensor(x)
    place = normalize_axis("array_split", axis, x.type)
    count = _sections("array_split", indices_or_sections)
    if count is None:
        return _between("array_split", x, place, indices_or_sections)
    start: Size = 0
    parts = []
    for i in range(count):
        size = dims.floordiv(dims.add(x.shape[place], count - 1 - i), count)
        parts.append(_part(x, place, start, size))
        start = dims.add(start, size)
    return parts


def _wide(name: str, x: TensorLike, rank: int) -> Tensor:
    x = as_tensor(x)
    if x.ndim < rank:
        raise ShapeError(f"{name} needs at least {rank} axes, got {x.type}", where=caller())
    return x


def hsplit(x: TensorLike, indices_or_sections: Any) -> list[Tensor]:
    """The parts of x along its second axis, or along the only one of a vector; see `split`."""
    x = _wide("hsplit", x, 1)
    return _split("hsplit", x, indices_or_sections, 1 if x.ndim > 1 else 0)


def vsplit(x: TensorLike, indices_or_sections: Any) -> list[Tensor]:
    """The parts of x along its first of at least two axes; see `split`."""
    return _split("vsplit", _wide("vsplit", x, 2), indices_or_sections, 0)


def dsplit(x: TensorLike, indices_or_sections: Any) -> list[Tensor]:
    """The parts of x along its third axis; see `split`."""
    return _split("dsplit", _wide("dsplit", x, 3), indices_or_sections, 2)


# --- at least so many axes, and arrays put together -------------------------------------------------------------------


def _at_least(x: TensorLike, rank: int) -> Tensor:
    x = as_tensor(x)
    if x.ndim >= rank:
        return x
    shape: tuple[Size, ...] = (*(1,) * (rank - x.ndim), *x.shape)
    if rank == 3 and x.ndim:
        shape = (1, *x.shape, 1) if x.ndim == 1 else (*x.shape, 1)
    return ops.reshape(x, shape)


def _each(arrays: Sequence[TensorLike], rank: int) -> Any:
    made = [_at_least(x, rank) for x in arrays]
    return made[0] if len(made) == 1 else tuple(made)


def atleast_1d(*arrays: TensorLike) -> Any:
    """Arrays of no axes as vectors, others as they are: one symbol for one array, a tuple for several.

    >>> import graphc as gx
    >>> gx.atleast_1d(3.0).shape
    (1,)
    """
    return _each(arrays, 1)


def atleast_2d(*arrays: TensorLike) -> Any:
    """Arrays with axes of size 1 put first where they have fewer than two; see `atleast_1d`."""
    return _each(arrays, 2)


def atleast_3d(*arrays: TensorLike) -> Any:
    """Arrays with at least three axes: a vector of n is [1, n, 1], a matrix [m, n, 1]; see `atleast_1d`."""
    return _each(arrays, 3)


def _several(name: str, arrays: Any) -> list[Any]:
    found = listed(name, "arrays", arrays)
    if not found:
        raise ShapeError(f"{name} needs at least one array", where=caller())
    return found


def hstack(arrays: Sequence[TensorLike]) -> Tensor:
    """Arrays joined along their second axis, vectors and numbers along the first.

    >>> import graphc as gx
    >>> gx.hstack([gx.constant([1, 2]), 3]).eval()
    array([1, 2, 3])
    """
    made = [_at_least(x, 1) for x in _several("hstack", arrays)]
    return ops.concat(made, 0 if made[0].ndim == 1 else 1)


def vstack(arrays: Sequence[TensorLike]) -> Tensor:
    """Arrays joined along their first axis; vectors are rows.

    >>> import graphc as gx
    >>> gx.vstack([gx.constant([1, 2]), [3, 4]]).shape
    (2, 2)
    """
    return ops.concat([_at_least(x, 2) for x in _several("vstack", arrays)], 0)


def dstack(arrays: Sequence[TensorLike]) -> Tensor:
    """Arrays joined along their third axis; see `atleast_3d`."""
    return ops.concat([_at_least(x, 3) for x in _several("dstack", arrays)], 2)


def column_stack(arrays: Sequence[TensorLike]) -> Tensor:
    """Arrays joined along their second axis; vectors are columns.

    >>> import graphc as gx
    >>> gx.column_stack([gx.constant([1, 2]), [3, 4]]).eval()
    array([[1, 3],
           [2, 4]])
    """
    made = [as_tensor(x) for x in _several("column_stack", arrays)]
    return ops.concat([ops.reshape(x, (x.size, 1)) if x.ndim < 2 else x for x in made], 1)


def rot90(x: TensorLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """x turned by k right angles in the plane of two axes, from the first towards the second.

    >>> import graphc as gx
    >>> gx.rot90(gx.constant([[1, 2], [3, 4]])).eval()
    array([[2, 4],
           [1, 3]])
    """
    x = as_tensor(x)
    pair = [normalize_axis("rot90", a, x.type) for a in listed("rot90", "axes", axes)]
    if len(pair) != 2 or pair[0] == pair[1]:
        raise ShapeError(f"rot90 needs two axes, got {axes!r} for {x.type}", where=caller())
    match normalize_integer("rot90", "k", k) % 4:
        case 0:
            return x
        case 1:
            return ops.swapaxes(ops.flip(x, pair[1]), *pair)
        case 2:
            return ops.flip(x, tuple(pair))
        case _:
            return ops.flip(ops.swapaxes(x, *pair), pair[1])


def fliplr(x: TensorLike) -> Tensor:
    """The order along the second axis reversed."""
    return ops.flip(_wide("fliplr", x, 2), 1)


def flipud(x: TensorLike) -> Tensor:
    """The order along the first axis reversed."""
    return ops.flip(_wide("flipud", x, 1), 0)


# --- choices ---------------------------------------------------------------------------------------------------------


def select(condlist: Sequence[TensorLike], choicelist: Sequence[TensorLike], default: TensorLike = 0) -> Tensor:
    """For each element the choice that belongs to the first condition that holds, or the default.

    Conditions and choices broadcast, choices promote. A gradient goes to the choice that was taken.

    >>> import graphc as gx
    >>> x = gx.constant([1.0, 5.0, 9.0])
    >>> gx.select([x < 3, x < 6], [x, 10 * x]).eval()
    array([ 1., 50.,  0.])
    """
    conditions, choices = listed("select", "condlist", condlist), listed("select", "choicelist", choicelist)
    if len(conditions) != len(choices) or not conditions:
        raise ShapeError(
            f"select needs as many conditions as choices, and at least one, got {len(conditions)} and {len(choices)}",
            where=caller(),
        )  # fmt: skip
    tests = [as_tensor(c) for c in conditions]
    for test in tests:
        if not test.dtype.is_bool:
            raise InputError(f"select: a condition is {test.type}", where=caller(), hint="compare it, or astype('bool')")
    made, _ = promote_operands("select", [*choices, default], any_type)
    found = made[-1]
    for test, choice in zip(reversed(tests), reversed(made[:-1]), strict=True):
        found = ops.where(test, choice, found)
    return found


def choose(a: TensorLike, choices: Sequence[TensorLike], mode: str = "raise") -> Tensor:
    """For each element of a the element of the choice that it names; a and the choices broadcast, choices promote.

    a: integers. Out of range, mode "wrap" counts round and "clip" takes the nearest. "raise", NumPy's default, cannot raise while
    a compiled program runs: a negative number counts from the end, and then the nearest is taken, as in `take`.

    >>> import graphc as gx
    >>> gx.choose(gx.constant([1, 0, 1]), [[1, 2, 3], [10, 20, 30]]).eval()
    array([10,  2, 30])
    """
    place = as_tensor(a)
    if not place.dtype.is_integer:
        raise InputError(f"choose needs integers that name the choices, got {place.type}", where=caller())
    made, _ = promote_operands("choose", _several("choose", choices), any_type)
    place = in_range("choose", ops.astype(place, "int64"), len(made), mode)
    shape = ops.broadcast_shapes("choose", [place.type, *(x.type for x in made)])
    found = ops.broadcast_to(made[0], shape)
    for i, choice in enumerate(made[1:], 1):
        found = ops.where(place == i, choice, found)
    return found


def in_range(name: str, place: Tensor, size: Size, mode: str) -> Tensor:
    """Places within an axis: as `take` reads them ("raise"), counted round ("wrap"), or the nearest ("clip")."""
    if not isinstance(mode, str) or mode not in ("raise", "wrap", "clip"):
        raise InputError(f"{name}: mode must be 'raise', 'wrap' or 'clip', got {mode!r}", where=caller())
    n = ops.full((), size, "int64")
    if mode == "wrap":
        return ops.remainder(place, n)
    if mode == "raise":
        place = ops.where(place < 0, place + n, place)
    return ops.clip(place, 0, n - 1)


__all__ = [
    "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "choose", "column_stack", "dsplit", "dstack", "fliplr", "flipud",
    "hsplit", "hstack", "in_range", "rot90", "select", "split", "vsplit", "vstack",
]  # fmt: skip
