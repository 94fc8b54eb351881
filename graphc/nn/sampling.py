"""Values read at places: rows of a table, images at another resolution."""

from __future__ import annotations

import graphc as gx
from graphc import Dim, Tensor, TensorLike
from graphc.nn import images
from graphc.nn.floats import to_float
from graphc.nn.images import Size


def embedding(table: TensorLike, indices: TensorLike) -> Tensor:
    """The rows of a table that integers name.

    table: [rows, ...]; indices: integers of any shape; the result is of shape indices.shape + table.shape[1:]. An index that is
    out of range follows the rule of gx.take. The gradient adds up what falls on each row.

    >>> import graphc as gx
    >>> gx.nn.embedding(gx.constant([[1.0, 2.0], [3.0, 4.0]]), gx.constant([1, 0, 1])).eval()
    array([[3., 4.],
           [1., 2.],
           [3., 4.]])
    """
    return gx.take(table, indices, axis=0)


def resize(x: TensorLike, size: Size | tuple[Size, ...], *, method: str = "nearest", layout: str = "NCHW") -> Tensor:
    """Images of one to three axes with other sizes.

    x: numbers [n, channels, ...], or [n, ..., channels] in the layout "NHWC"; size: the new sizes. Both may be
    symbolic. method: "nearest" takes element floor(i * old / new); "linear" (of two axes: bilinear) weighs the two neighbours of
    (i + 1/2) * old / new - 1/2 by their nearness, those beyond the edge being the edge (torch's align_corners=False); it gives
    floats.

    >>> import graphc as gx
    >>> x = gx.constant([[[1.0, 3.0]]])
    >>> gx.nn.resize(x, 4).eval(), gx.nn.resize(x, 4, method="linear").eval()
    (array([[[1., 1., 3., 3.]]]), array([[[1. , 1.5, 2.5, 3. ]]]))
    """
    x = gx.asarray(x)
    first = images.is_first("resize", x, layout)
    if not isinstance(method, str) or method not in ("nearest", "linear", "bilinear"):
        raise gx.errors.InputError(f"resize: method is {method!r}", where=gx.errors.caller(), hint='use "nearest" or "linear"')
    wanted = _sizes(size, x.ndim - 2)
    if method != "nearest":
        x = to_float(x)
    for axis, new in zip(images.spatial(x, first), wanted, strict=True):
        old = x.shape[axis]
        if old == 0:
            raise gx.errors.ShapeError(
                f"resize needs images that are not empty, got {x.type}", where=gx.errors.caller(),
                hint="there is no element to read",
            )  # fmt: skip
        if new == old:
            continue
        if not isinstance(old, int) or not isinstance(new, int):
            x = _along(x, axis, old, new, method)
            continue
        if method == "nearest":
            x = gx.take(x, gx.constant([i * old // new for i in range(new)]), axis=axis)
            continue
        places = [min(max((i + 0.5) * old / new - 0.5, 0.0), old - 1.0) for i in range(new)]
        below = [min(int(p), max(old - 2, 0)) for p in places]
        share = gx.constant([p - b for p, b in zip(places, below, strict=True)], dtype=x.dtype)
        share = gx.reshape(share, (new, *(1,) * (x.ndim - 1 - axis)))
        above = [min(b + 1, old - 1) for b in below]
        low, high = (gx.take(x, gx.constant(at), axis=axis) for at in (below, above))
        x = low * (1 - share) + high * share
    return x


def _sizes(size: object, axes: int) -> tuple[Size, ...]:
    """Integers, or names and expressions of them."""
    given = tuple(size) if isinstance(size, (tuple, list)) else (size,) * axes
    symbolic = [n for n in given if isinstance(n, Dim)]
    if len(given) != axes or not symbolic:
        return images.counts("resize", "size", size, axes, most=images.PLACES)
    numbers = [n for n in given if not isinstance(n, Dim)]
    plain = iter(images.counts("resize", "size", numbers, len(numbers), most=images.PLACES))
    return tuple(n if isinstance(n, Dim) else next(plain) for n in given)


def _along(x: Tensor, axis: int, old: Size, new: Size, method: str) -> Tensor:
    """One axis, where elements are read at places that a call's sizes decide."""
    n, m, i = (gx.full((), old, dtype="int64"), gx.full((), new, dtype="int64"), gx.arange(new, dtype="int64"))
    if method == "nearest":
        return gx.take(x, i * n // m, axis=axis)
    place = gx.clip((i + 0.5) * n / m - 0.5, 0.0, n - 1.0)
    below = gx.minimum(gx.astype(gx.floor(place), "int64"), gx.maximum(n - 2, 0))
    share = gx.reshape(gx.astype(place - below, x.dtype), (new, *(1,) * (x.ndim - 1 - axis)))
    low, high = (gx.take(x, at, axis=axis) for at in (below, gx.minimum(below + 1, n - 1)))
    return low * (1 - share) + high * share
