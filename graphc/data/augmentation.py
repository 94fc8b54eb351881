"""Images changed at random, as functions of symbols: a key in, other images out, in the same program that trains.

Images are [batch, height, width, channels], as in `gx.layers`, which has a layer for each of these, active only in training. Each
image of a batch is changed in its own way, by `key` alone: the same key gives the same images on every machine. Numbers that are
no floats become float32.

    key = gx.random.fold_in(gx.random.key(0), step)
    x = gx.data.augmentation.random_flip(key, images)

Several changes of one batch need a key each: `gx.random.split`.
"""

from __future__ import annotations

from math import pi
from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike

Key = Any

__all__ = [
    "affine", "crop_at", "cutout", "mixup", "random_brightness", "random_contrast", "random_crop", "random_flip", "random_noise",
    "random_rotation", "random_translation", "random_zoom",
]  # fmt: skip


def random_flip(key: Key, images: TensorLike, horizontal: bool = True, vertical: bool = False, p: float = 0.5) -> Tensor:
    """Each image mirrored with probability p, left to right and, or, upside down (drawn apart).

    >>> import numpy as np, graphc as gx
    >>> x = np.arange(3.0).reshape(1, 1, 3, 1)
    >>> gx.data.augmentation.random_flip(gx.random.key(0), x, p=1.0).eval().ravel()
    array([2., 1., 0.])
    """
    x = _images("random_flip", images)
    for number, (wanted, axis) in enumerate(((horizontal, 2), (vertical, 1))):
        if wanted:
            drawn = gx.random.bernoulli(gx.random.fold_in(key, number), p, (x.shape[0], 1, 1, 1))
            x = gx.where(drawn, gx.flip(x, axis), x)
    return x


def random_crop(key: Key, images: TensorLike, height: int, width: int, padding: int = 0, fill_value: float = 0.0) -> Tensor:
    """A part of each image, [batch, height, width, channels], at a place drawn from all that fit.

    padding: how many elements of `fill_value` are put around the images before.
    """
    x = _padded(_images("random_crop", images), padding, padding, fill_value)
    room = _room("random_crop", x, height, width)
    rows, columns = (
        gx.random.randint(gx.random.fold_in(key, number), (x.shape[0],), 0, n + 1) for number, n in enumerate(room)
    )
    return crop_at(x, rows, columns, height, width)


def crop_at(images: TensorLike, rows: TensorLike, columns: TensorLike, height: int, width: int) -> Tensor:
    """The part of each image that begins at a row and a column of its own: rows, columns int64[batch].

    Raises ShapeError where the part is larger than the images; places outside of them are the caller's mistake.
    """
    x = _images("crop_at", images)
    _room("crop_at", x, height, width)
    i = gx.asarray(rows)[:, None] + gx.arange(height)
    j = gx.asarray(columns)[:, None] + gx.arange(width)
    return _gathered(x, i[:, :, None], j[:, None, :], (height, width))


def random_translation(
    key: Key, images: TensorLike, height_factor: float, width_factor: float, fill_value: float = 0.0
) -> Tensor:
    """Each image moved by whole elements, up to these fractions of its sides in either direction; `fill_value` moves in."""
    x = _images("random_translation", images)
    height, width = _sides("random_translation", x)
    down, right = (_at_most("random_translation", f, n) for f, n in ((height_factor, height), (width_factor, width)))
    padded = _padded(x, down, right, fill_value)
    rows, columns = (
        gx.random.randint(gx.random.fold_in(key, number), (x.shape[0],), 0, 2 * n + 1) for number, n in enumerate((down, right))
    )
    return crop_at(padded, rows, columns, height, width)


def random_rotation(
    key: Key, images: TensorLike, factor: float, fill_value: float = 0.0, method: str = "linear"
) -> Tensor:
    """Each image turned about its middle by an angle between -factor and factor, in parts of a full turn."""
    x = _images("random_rotation", images)
    angle = _drawn(key, x, -2 * pi * factor, 2 * pi * factor)
    cos, sin = gx.cos(angle), gx.sin(angle)
    matrix = gx.stack([gx.stack([cos, -sin], -1), gx.stack([sin, cos], -1)], -2)
    return affine(x, matrix, fill_value, method)


def random_zoom(key: Key, images: TensorLike, factor: float, fill_value: float = 0.0, method: str = "linear") -> Tensor:
    """Each image made larger or smaller about its middle: its sides times a number between 1 - factor and 1 + factor."""
    x = _images("random_zoom", images)
    if not 0 <= factor < 1:
        raise gx.errors.InputError(f"random_zoom: factor is {factor}", where=gx.errors.caller(), hint="from 0 to below 1")
    scale = 1.0 / _drawn(key, x, 1 - factor, 1 + factor)
    matrix = scale[:, None, None] * gx.eye(2, dtype=x.dtype)
    return affine(x, matrix, fill_value, method)


def affine(images: TensorLike, matrix: TensorLike, fill_value: float = 0.0, method: str = "linear") -> Tensor:
    """Images as seen through a linear map about their middle: element p of the result is read at matrix @ p.

    matrix: [batch, 2, 2], of (row, column) measured from the middle. method: "nearest" reads the nearest element, "linear" weighs
    the four around by their nearness. Beyond the image is `fill_value`. Differentiable in the images and, where linear, in the
    matrix.

    >>> import numpy as np, graphc as gx
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> gx.data.augmentation.affine(x, [[[0.0, 1.0], [1.0, 0.0]]]).eval()[0, :, :, 0]  # rows become columns
    array([[0., 2.],
           [1., 3.]])
    """
    x = _images("affine", images)
    if method not in ("nearest", "linear"):
        raise gx.errors.InputError(f"affine: method is {method!r}", where=gx.errors.caller(), hint='"nearest" or "linear"')
    m = gx.astype(gx.asarray(matrix), x.dtype)
    if m.ndim != 3 or m.shape[1:] != (2, 2):
        raise gx.errors.ShapeError(f"affine: the matrix is {m.type}", where=gx.errors.caller(), hint="[batch, 2, 2]")
    height, width = _sides("affine", x)
    middle = ((height - 1) / 2, (width - 1) / 2)
    down = gx.astype(gx.arange(height), x.dtype)[:, None] - middle[0]
    right = gx.astype(gx.arange(width), x.dtype)[None, :] - middle[1]
    i, j = (
        m[:, k, 0, None, None] * down + m[:, k, 1, None, None] * right + middle[k] for k in range(2)
    )
    if method == "nearest":
        return _read(x, gx.round(i), gx.round(j), fill_value)
    above, left = gx.floor(i), gx.floor(j)
    di, dj = (i - above)[..., None], (j - left)[..., None]
    (a, b), (c, d) = ([_read(x, above + p, left + q, fill_value) for q in (0, 1)] for p in (0, 1))
    return (a * (1 - dj) + b * dj) * (1 - di) + (c * (1 - dj) + d * dj) * di


def cutout(key: Key, images: TensorLike, height: int, width: int | None = None, fill_value: float = 0.0) -> Tensor:
    """Each image with a rectangle of `fill_value`, whose middle lies anywhere in the image: near an edge less is covered.

    T. DeVries, G. Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
    """
    x = _images("cutout", images)
    inside: list[Tensor] = []
    for axis, size in ((1, height), (2, height if width is None else width)):
        n = _sides("cutout", x)[axis - 1]
        begin = gx.random.randint(gx.random.fold_in(key, axis), (x.shape[0],), 0, n)[:, None] - size // 2
        place = gx.arange(n)
        inside.append((place >= begin) & (place < begin + size))
    covered = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return gx.where(covered, gx.astype(gx.asarray(fill_value), x.dtype), x)


def random_noise(key: Key, images: TensorLike, stddev: float) -> Tensor:
    """x plus normal noise of that standard deviation, of any shape."""
    x = _floats(images)
    wide = x.dtype if x.dtype in (gx.float32, gx.float64) else gx.float32
    return x + gx.astype(stddev * gx.random.normal(key, x.shape, wide), x.dtype)


def random_brightness(key: Key, images: TensorLike, factor: float) -> Tensor:
    """To each image a number between -factor and factor is added."""
    x = _images("random_brightness", images)
    return x + _drawn(key, x, -factor, factor)[:, None, None, None]


def random_contrast(key: Key, images: TensorLike, factor: float) -> Tensor:
    """(x - mean) c + mean, of each image and channel, with c between 1 - factor and 1 + factor, one for each image."""
    x = _images("random_contrast", images)
    mean = gx.mean(x, axis=(1, 2), keepdims=True)
    return (x - mean) * _drawn(key, x, 1 - factor, 1 + factor)[:, None, None, None] + mean


def mixup(key: Key, x: TensorLike, y: TensorLike, alpha: float = 0.2) -> tuple[Tensor, Tensor]:
    """Each sample mixed with another of the batch, and its label alike: c x + (1 - c) x', c drawn from Beta(alpha, alpha).

    x: [batch, ...]; y: probabilities of classes, or numbers, [batch, ...]. Raises DTypeError for integer labels. H. Zhang et al.,
    "mixup: beyond empirical risk minimization", 2018.
    """
    xs, ys = _floats(x), gx.asarray(y)
    if not ys.dtype.is_float:
        raise gx.errors.DTypeError(
            f"mixup: labels are {ys.type}, and the mean of two labels is none", where=gx.errors.caller(),
            hint="gx.one_hot(y, classes) and the loss categorical_crossentropy",
        )  # fmt: skip
    other = gx.random.permutation(gx.random.fold_in(key, 0), gx.arange(xs.shape[0]))
    part = gx.random.beta(gx.random.fold_in(key, 1), alpha, alpha, (xs.shape[0],))

    def mixed(a: Tensor) -> Tensor:
        c = gx.astype(gx.reshape(part, (a.shape[0], *(1,) * (a.ndim - 1))), a.dtype)
        return c * a + (1 - c) * gx.take(a, other, axis=0)

    return mixed(xs), mixed(ys)


# --- parts -------------------------------------------------------------------------------------------------------------


def _floats(x: TensorLike) -> Tensor:
    found = gx.asarray(x)
    return found if found.dtype.is_float else gx.astype(found, "float32")


def _images(name: str, given: TensorLike) -> Tensor:
    x = _floats(given)
    if x.ndim != 4:
        raise gx.errors.ShapeError(
            f"{name} needs images [batch, height, width, channels], got {x.type}", where=gx.errors.caller(),
            hint="one image is x[None]; without channels, x[..., None]",
        )  # fmt: skip
    return x


def _sides(name: str, x: Tensor) -> tuple[int, int]:
    height, width = x.shape[1:3]
    if not isinstance(height, int) or not isinstance(width, int):
        raise gx.errors.ShapeError(f"{name} needs images of fixed sides, got {x.type}", where=gx.errors.caller())
    return height, width


def _room(name: str, x: Tensor, height: int, width: int) -> tuple[int, int]:
    """How far a part of these sides can be moved."""
    sides = _sides(name, x)
    if not 1 <= height <= sides[0] or not 1 <= width <= sides[1]:
        raise gx.errors.ShapeError(f"{name}: a part of {height} x {width} of {x.type}", where=gx.errors.caller())
    return sides[0] - height, sides[1] - width


def _gathered(x: Tensor, i: Tensor, j: Tensor, sides: tuple[int, int]) -> Tensor:
    """Elements of each image at rows and columns of its own, [batch, height, width] when broadcast."""
    rows, columns = _sides("crop_at", x)
    place = gx.reshape(i * columns + j, (x.shape[0], sides[0] * sides[1], 1))
    flat = gx.reshape(x, (x.shape[0], rows * columns, x.shape[3]))
    found = gx.take_along_axis(flat, gx.broadcast_to(place, (*place.shape[:2], x.shape[3])), axis=1)
    return gx.reshape(found, (x.shape[0], *sides, x.shape[3]))


def _padded(x: Tensor, rows: int, columns: int, fill_value: float) -> Tensor:
    if not rows and not columns:
        return x
    return gx.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), constant_values=fill_value)


def _at_most(name: str, factor: float, side: int) -> int:
    if not 0 <= factor <= 1:
        raise gx.errors.InputError(
            f"{name}: a factor is {factor}", where=gx.errors.caller(), hint="a fraction of the side, 0 to 1"
        )
    return int(factor * side)


def _drawn(key: Key, x: Tensor, low: float, high: float) -> Tensor:
    """A number for each image."""
    wide = x.dtype if x.dtype in (gx.float32, gx.float64) else gx.float32
    return gx.astype(low + (high - low) * gx.random.uniform(key, (x.shape[0],), wide), x.dtype)


def _read(x: Tensor, i: Tensor, j: Tensor, fill_value: float) -> Tensor:
    """Elements of images at rows and columns [batch, h, w]; `fill_value` where there are none."""
    height, width = _sides("affine", x)
    there = (i >= 0) & (i <= height - 1) & (j >= 0) & (j <= width - 1)
    row, column = (gx.astype(gx.clip(p, 0, n - 1), "int64") for p, n in ((i, height), (j, width)))
    found = _gathered(x, row, column, (height, width))
    return gx.where(there[..., None], found, gx.astype(gx.asarray(fill_value), x.dtype))
