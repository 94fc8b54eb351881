"""Rotary position embeddings."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float


@gx.in_float32
def rope(
    x: TensorLike, positions: TensorLike | None = None, *, offset: TensorLike = 0, base: float = 10000.0,
    interleaved: bool = False, width: int | None = None, axis: int = -2,
) -> Tensor:  # fmt: skip
    """x with pairs of its elements turned by angles that grow with the place: rotary position embeddings.

    Pair i is turned by position * base**(-2i / width); so a product of a query and a key depends on how far apart they are (Su et
    al. 2021, arXiv:2104.09864). Angles are computed in float32 at least.

    x: floats [..., t, width], the places along `axis` and the elements last; [batch, heads, t, width], or with axis=-3 [batch, t,
    heads, width]. positions: integers or floats [t], or [batch, ..., t] where they differ; by default offset, offset + 1, ...: a
    cache of keys gives the number that it holds as `offset`, a number or an integer symbol of shape []. interleaved: pairs are
    neighbours, (0, 1), (2, 3), ..., as in the paper and GPT-J; else (i, i + width / 2), as in GPT-NeoX and Llama of transformers.
    width: how many elements are turned, the first ones; all by default.

    >>> import graphc as gx
    >>> x = gx.constant([[1.0, 0.0], [1.0, 0.0]])
    >>> gx.nn.rope(x).eval().round(6)
    array([[1.      , 0.      ],
           [0.540302, 0.841471]])
    """
    x = to_float(x)
    gx.ops.check_flag("rope", "interleaved", interleaved)
    gx.ops.check_number("rope", "base", base)
    if not base > 0:
        raise gx.errors.InputError(f"rope: base is {base!r}", where=gx.errors.caller(), hint="give a number above 0")
    if x.ndim < 2:
        raise gx.errors.ShapeError(f"rope needs [..., t, width], got {x.type}", where=gx.errors.caller())
    place = gx.ops.normalize_axis("rope", axis, x.type)
    whole: Any = x.shape[-1]
    turned = whole if width is None else gx.ops.normalize_integer("rope", "width", width)
    if place == x.ndim - 1 or not isinstance(whole, int) or not isinstance(turned, int) or turned % 2 or not 0 < turned <= whole:
        raise gx.errors.ShapeError(
            f"rope turns an even number of elements along the last axis, got {turned} of {x.type}, places along {place}",
            where=gx.errors.caller(),
        )
    kind = gx.float64 if x.dtype == gx.float64 else gx.float32
    if positions is None:
        start = gx.asarray(offset)
        if start.ndim or not start.dtype.is_integer:
            raise gx.errors.InputError(f"rope: offset must be one integer, got {start.type}", where=gx.errors.caller())
        at = gx.arange(x.shape[place]) + gx.astype(start, gx.int64)
    else:
        at = gx.asarray(positions)
        if at.dtype.is_bool or not at.ndim or at.ndim > place + 1 or at.shape[-1] not in (1, x.shape[place]):
            raise gx.errors.ShapeError(f"rope: positions {at.type} of {x.type} along {place}", where=gx.errors.caller())
    half = turned // 2
    speed = gx.pow(float(base), gx.arange(half, dtype=kind) * (-2.0 / turned))
    angle = gx.expand_dims(gx.astype(at, kind), -1) * speed
    lead, last = at.ndim - 1, x.ndim - 2 - place  # axes before the places are aligned with x's first ones
    shape = (*at.shape[:lead], *(1,) * (place - lead), at.shape[-1], *(1,) * last, half)
    cos, sin = (gx.astype(gx.reshape(f(angle), shape), x.dtype) for f in (gx.cos, gx.sin))
    head, rest = x[..., :turned], x[..., turned:]
    if interleaved:
        pairs = gx.reshape(head, (*x.shape[:-1], half, 2))
        a, b = pairs[..., 0], pairs[..., 1]
        made = gx.reshape(gx.stack([a * cos - b * sin, a * sin + b * cos], -1), head.shape)
    else:
        a, b = head[..., :half], head[..., half:]
        made = gx.concat([a * cos - b * sin, a * sin + b * cos], -1)
    return made if turned == whole else gx.concat([made, rest], -1)


__all__ = ["rope"]
