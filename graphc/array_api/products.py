"""Products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.array_api.array import Array, array, data_of, product
from graphc.array_api.calls import named, ranked, run


def matmul(x1: Array, x2: Array, /) -> Array:
    """The matrix product; leading axes broadcast."""
    return product(x1, x2)


def matrix_transpose(x: Array, /) -> Array:
    """The last two axes exchanged."""
    return array(run("matrix_transpose", [data_of(x, "matrix_transpose")], ranked([x.shape])))


def tensordot(x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """The sum of products over axes of both."""
    arrays = [data_of(x1, "tensordot"), data_of(x2, "tensordot")]
    return array(run("tensordot", arrays, named([a.shape for a in arrays]), axes=axes))


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The sum of products along an axis; the others broadcast."""
    arrays = [data_of(x1, "vecdot"), data_of(x2, "vecdot")]
    return array(run("vecdot", arrays, named([a.shape for a in arrays]), axis=axis))
