"""Options that functions of images share: strides, paddings and layouts, checked and in one form.

An image is a batch of arrays of one to three axes with channels: [n, channels, ...] in the layout "NCHW" (which also stands for
"NCW" and "NCDHW"), [n, ..., channels] in "NHWC" ("NWC", "NDHWC").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphc as gx
from graphc import Dim, Tensor

Size = int | Dim
Padding = int | str | Sequence[Any]
_FIRST = {"NCHW", "NCW", "NCDHW"}
_LAST = {"NHWC", "NWC", "NDHWC"}


def is_first(name: str, x: Tensor, layout: str) -> bool:
    """Whether channels are the first axis after the batch."""
    if not isinstance(layout, str) or layout not in _FIRST | _LAST:
        raise gx.errors.InputError(
            f"{name}: layout is {layout!r}", where=gx.errors.caller(), hint='use "NCHW" or "NHWC", whatever the number of axes'
        )
    if not 3 <= x.ndim <= 5 or (layout not in ("NCHW", "NHWC") and len(layout) != x.ndim):
        raise gx.errors.ShapeError(
            f"{name} needs a batch of images of 1 to 3 axes with channels in layout {layout}, got {x.type}",
            where=gx.errors.caller(), hint="gx.expand_dims adds a batch of one",
        )  # fmt: skip
    return layout in _FIRST


def spatial(x: Tensor, first: bool) -> tuple[int, ...]:
    """The axes of an image that are neither batch nor channels."""
    return tuple(range(2, x.ndim)) if first else tuple(range(1, x.ndim - 1))


PLACES = 1_000_000  # of an axis, where a graph holds a list of them


def counts(name: str, what: str, value: Any, axes: int, least: int = 1, most: int | None = None) -> tuple[int, ...]:
    """One integer for every axis, or one for all."""
    several = isinstance(value, (tuple, list))
    given = [gx.ops.as_option(n) for n in (value if several else [value] * axes)]
    good = len(given) == axes and all(isinstance(n, int) and not isinstance(n, bool) and n >= least for n in given)
    if not good or (most is not None and max(given, default=0) > most):
        limit = "" if most is None else f" and at most {most}"
        raise gx.errors.InputError(
            f"{name}: {what} is {value!r}", where=gx.errors.caller(),
            hint=f"give an integer of at least {least}{limit}, or {axes} of them",
        )  # fmt: skip
    return tuple(given)


def pairs(
    name: str, padding: Padding, sizes: tuple[Size, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[tuple[Size, Size]]:  # fmt: skip
    """What is added before and after each axis."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":  # as many places as the image has, over the stride, rounded up; the odd one comes after
        made: list[tuple[Size, Size]] = []
        for n, s, r in zip(sizes, stride, reach, strict=True):
            whole = _same(n, s, r)
            made.append((whole // 2, (whole + 1) // 2))
        return made
    given = list(padding) if isinstance(padding, (tuple, list)) else [padding] * len(kernel)
    both = [tuple(map(gx.ops.as_option, p if isinstance(p, (tuple, list)) else (p, p))) for p in given]
    plain = all(len(p) == 2 and all(_is_count(n) for n in p) for p in both)
    if len(both) != len(kernel) or not plain:
        raise gx.errors.InputError(
            f"{name}: padding is {padding!r}", where=gx.errors.caller(),
            hint=f'give "valid", "same", an integer, or for each of {len(kernel)} axes an integer or a pair (before, after)',
        )  # fmt: skip
    return [(a, b) for a, b in both]


def _same(n: Any, stride: int, reach: int) -> Any:
    """What is added to an axis so that windows have as many places as it has elements, over the stride, rounded up."""
    if stride == 1:
        return max(reach - 1, 0)
    return gx.ir.dims.maximum((((n + stride - 1) // stride) - 1) * stride + reach - n, 0)


def _is_count(n: Any) -> bool:
    """Whether it is an integer of at least 0, or a size that is not known to be less."""
    if isinstance(n, Dim):
        return not gx.ir.dims.is_nonnegative(-n - 1)
    return isinstance(n, int) and not isinstance(n, bool) and n >= 0


def places(
    name: str, x: Tensor, sizes: tuple[Size, ...], padded: list[tuple[Size, Size]], kernel: tuple[int, ...],
    stride: tuple[int, ...], dilation: tuple[int, ...],
) -> tuple[Size, ...]:  # fmt: skip
    """At how many places of each axis a window lies."""
    found: list[Size] = []
    for n, (a, b), k, s, d in zip(sizes, padded, kernel, stride, dilation, strict=True):
        same = _same(n, s, d * (k - 1) + 1)
        if isinstance(same, Dim) and (a, b) in ((same // 2, (same + 1) // 2), ((same + 1) // 2, same // 2)):
            found.append((n + s - 1) // s)  # which is what the formula below comes to
            continue
        room: Any = n + a + b - d * (k - 1) - 1
        if isinstance(room, int) and room < 0:
            raise gx.errors.ShapeError(
                f"{name}: a window of {list(kernel)} is larger than the images {x.type}", where=gx.errors.caller(),
                hint="pad the images, or make the window smaller",
            )  # fmt: skip
        found.append(room // s + 1)
    return tuple(found)


def per_channel(value: Tensor, x: Tensor, first: bool) -> Tensor:
    """A value for each channel, to be combined with images."""
    return gx.reshape(value, (value.shape[0], *(1,) * (x.ndim - 2))) if first else value
