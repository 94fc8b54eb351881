"""Many arrays as a few vectors: what ranks exchange, and divide among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.ir.world import world

_BUCKET = 1 << 22  # elements that are exchanged together: while some are on their way, others are added up


def segment(count: int) -> int:
    """How many of so many elements each rank has, the last ones padded."""
    return -(-count // world().size)


def joined(values: Sequence[Tensor]) -> Tensor:
    """The elements of all, one after another."""
    flat = [gx.reshape(x, (gx.ops.product(x.shape),)) for x in values]
    return flat[0] if len(flat) == 1 else gx.concat(flat)


def apart(whole: Tensor, shapes: Sequence[Any]) -> list[Tensor]:
    """Arrays of these shapes, which lie in a vector one after another."""
    found, start = [], 0
    for shape in shapes:
        size = number_of(gx.ops.product(shape))
        found.append(gx.reshape(whole[start : start + size], shape))
        start += size
    return found


def buckets(types: Sequence[gx.ir.types.TensorType]) -> list[list[int]]:
    """Which values are exchanged together: those of one type, up to a size."""
    found: list[list[int]] = []
    open_: dict[Any, tuple[list[int], int]] = {}
    for i, kind in enumerate(types):
        places, size = open_.get(kind.dtype, ([], 0))
        more = number_of(kind.size)
        if places and size + more > _BUCKET:
            places, size = [], 0
        if not places:
            found.append(places)
        places.append(i)
        open_[kind.dtype] = places, size + more
    return found


def number_of(size: Any) -> int:
    """A size that is the same in every call: what ranks exchange is cut before the first."""
    if not isinstance(size, int):
        raise gx.errors.ShapeError(
            f"ranks add up values of fixed sizes, and one has {size} elements", where=gx.errors.caller(),
            hint="variables and losses have fixed sizes",
        )  # fmt: skip
    return size


def surrogate(variables: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """A loss whose gradients are these."""
    products = [gx.sum(v * gx.stop_gradient(g)) for v, g in zip(variables, gradients, strict=True)]
    return sum(products[1:], products[0])
