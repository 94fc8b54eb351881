"""Arrays made from sizes and numbers: empty, eye, linspace, meshgrid, and the triangles of a matrix."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.errors import InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ops.declare import check_flag, normalize_integer, normalize_size, promote_operands, to_float
from graphc.ops.tensor import Tensor, TensorLike, as_tensor


def empty(shape: Any, dtype: object = "float64") -> Tensor:
    """An array whose values do not matter: zeros, for nothing here is left unset."""
    return ops.zeros(shape, dtype)


def empty_like(x: TensorLike, dtype: object = None) -> Tensor:
    """An array in the shape and type of x whose values do not matter: zeros."""
    return ops.zeros_like(as_tensor(x), dtype)


def _grid(rows: Size, columns: Size, k: int) -> tuple[Tensor, Tensor]:
    """The diagonal that each row and each column of a matrix is on."""
    if isinstance(k, int):
        k = max(-(2**62), min(k, 2**62))  # beyond every axis, and far from where int64 wraps
    return ops.expand_dims(ops.arange(rows), 1) + k, ops.expand_dims(ops.arange(columns), 0)


def eye(n_rows: Any, n_cols: Any = None, k: int = 0, dtype: object = "float64") -> Tensor:
    """A matrix of zeros with ones on its diagonal, or on the k-th above it (below it if k is negative).

    >>> import graphc as gx
    >>> gx.eye(2, 3, k=1, dtype="int64").eval()
    array([[0, 1, 0],
           [0, 0, 1]])
    """
    rows = normalize_size("eye", "n_rows", n_rows)
    columns = rows if n_cols is None else normalize_size("eye", "n_cols", n_cols)
    i, j = _grid(rows, columns, normalize_integer("eye", "k", k))
    return ops.astype(i == j, t.as_dtype(dtype))


def _triangle(name: str, x: TensorLike, k: int) -> tuple[Tensor, Tensor, Tensor]:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"{name} needs two axes, got {x.type}", where=caller())
    return x, *_grid(x.shape[-2], x.shape[-1], normalize_integer(name, "k", k))


def tril(x: TensorLike, k: int = 0) -> Tensor:
    """Matrices with zeros above the k-th diagonal.

    >>> import graphc as gx
    >>> gx.tril(gx.ones((2, 2), "int64")).eval()
    array([[1, 0],
           [1, 1]])
    """
    x, i, j = _triangle("tril", x, k)
    return ops.where(i >= j, x, ops.zeros_like(x))


def triu(x: TensorLike, k: int = 0) -> Tensor:
    """Matrices with zeros below the k-th diagonal."""
    x, i, j = _triangle("triu", x, k)
    return ops.where(i <= j, x, ops.zeros_like(x))


def linspace(start: TensorLike, stop: TensorLike, num: Any = 50, endpoint: bool = True, dtype: object = None) -> Tensor:
    """`num` numbers at equal distances from start to stop, along a new first axis; without stop unless `endpoint`.

    start and stop are numbers or symbols; num may be a named size. The values are NumPy's, in float64 where both are numbers.

    >>> import graphc as gx
    >>> gx.linspace(0, 1, 5).eval()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    size = normalize_size("linspace", "num", num)
    check_flag("linspace", "endpoint", endpoint)
    (first, last), work = promote_operands("linspace", (start, stop), to_float)
    shape = ops.broadcast_shapes("linspace", [first.type, last.type])
    place = ops.reshape(ops.arange(size, dtype="int64"), (size, *(1 for _ in shape)))
    gaps = dims.sub(size, 1) if endpoint else size
    count = ops.full((), dims.maximum(gaps, 1), work)
    span = last - first
    step = span / count
    steps = ops.astype(place, work)
    found = ops.where(step == 0, steps / count * span, steps * step) + first
    if endpoint:
        found = ops.where((place == gaps) & (place > 0), last, found)
    wanted = work if dtype is None else t.as_dtype(dtype)
    result = ops.astype(ops.floor(found) if wanted.is_integer else found, wanted)
    return ops.broadcast_to(result, (size, *shape))


def meshgrid(*arrays: TensorLike, indexing: str = "xy") -> list[Tensor]:
    """Vectors as coordinates of a grid: an array for each, of all their sizes, that varies along its own axis.

    indexing="xy" puts the second vector's axis first, "ij" keeps the order.

    >>> import graphc as gx
    >>> [a.shape for a in gx.meshgrid(gx.arange(2), gx.arange(3))]
    [(3, 2), (3, 2)]
    """
    xs = [as_tensor(a) for a in arrays]
    if not isinstance(indexing, str) or indexing not in ("xy", "ij"):
        raise InputError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}", where=caller())
    for x in xs:
        if x.ndim > 1:
            raise ShapeError(f"meshgrid needs vectors, got {x.type}", where=caller())
    places = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        places[:2] = 1, 0
    rows = [
        ops.reshape(x, tuple(x.size if a == place else 1 for a in range(len(xs)))) for place, x in zip(places, xs, strict=True)
    ]
    return broadcast_arrays(*rows)


def broadcast_arrays(*arrays: TensorLike) -> list[Tensor]:
    """Arrays repeated to the shape that they broadcast to.

    >>> import graphc as gx
    >>> [a.shape for a in gx.broadcast_arrays(gx.zeros((3, 1)), gx.zeros(2))]
    [(3, 2), (3, 2)]
    """
    xs = [as_tensor(a) for a in arrays]
    if not xs:
        return []
    shape = ops.broadcast_shapes("broadcast_arrays", [x.type for x in xs])
    return [ops.broadcast_to(x, shape) for x in xs]
