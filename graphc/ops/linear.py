"""Products of matrices and vectors."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Contraction, Sample
from graphc.ir.types import TensorType
from graphc.ops.declare import Op, alike, broadcast_shapes, build, normalize_integer, numeric, promote_operands
from graphc.ops.storage import in_float32
from graphc.ops.tensor import Tensor, TensorLike

Array = np.ndarray[Any, Any]


def _contract_type(a: TensorType, b: TensorType) -> TensorType:
    if a.rank < 2 or a.rank != b.rank or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
        raise ShapeError(f"matmul needs matrices of equal batch dimensions and type, got {a} and {b}")
    if a.dtype.is_bool:
        raise DTypeError(f"matmul needs numbers, got {a} and {b}", hint="use the logical functions, or astype")
    if a.shape[-1] != b.shape[-2]:
        raise _inner(a, b)
    return TensorType(a.dtype, (*a.shape[:-1], b.shape[-1]))


def _inner(a: TensorType, b: TensorType) -> ShapeError:
    k, n = a.shape[-1], b.shape[-2 if b.rank > 1 else -1]
    place = "second's first" if b.rank <= 2 else "second's last but one"
    return ShapeError(
        f"matmul needs equal inner dimensions, got {a} and {b}",
        hint=f"{k} is the first operand's last dimension; the {place} is {n}",
    )


def _level_product(a: Tensor, b: Tensor) -> tuple[Node, ...] | None:
    """A vector times itself: rows of one matrix, whose elements are those of the other in the same order."""
    if a.shape[-2] != 1 or b.shape[-1] != 1:
        return None
    return () if alike(_elements(a), _elements(b)) else None


def _elements(x: Node) -> Node:
    """What reshapes, and permutations of axes of size 1, make an array of."""
    while x.inputs and x.op.name in ("reshape", "permute_dims"):
        given = x.inputs[0]
        moved = [a for a in x.attrs.get("axes", ()) if given.type.shape[a] != 1]
        if moved != sorted(moved):
            break
        x = given
    return x


matmul_: Op = Op(
    "matmul", _contract_type, lambda a, b: np.matmul(a, b), Contraction(),
    lambda g, y, a, b: (matmul_(g, ops.matrix_transpose(b)), matmul_(ops.matrix_transpose(a), g)),
    (
        Sample(((3, 4), (4, 5))), Sample(((2, 3, 4), (2, 4, 5))), Sample(((3, 1), (1, 2))), Sample(((3, 0), (0, 2))),
        Sample(((1, 7), (7, 1))),
    ),
    level=_level_product, arity=2, build=build,
)  # fmt: skip


def _integer_type(a: TensorType, b: TensorType) -> TensorType:
    wide = [TensorType(t.int32, x.shape) for x in (a, b)]
    if not all(x.dtype in _BYTES for x in (a, b)):
        raise DTypeError(f"matmul_integer needs integers of 8 bits, got {a} and {b}")
    return _contract_type(*wide)


def _integer_product(a: Array, b: Array) -> Array:
    """Sums of up to 2^38 products are exact in float64, for which NumPy has a fast product; then int32 wraps."""
    exact: Array = np.matmul(a.astype(np.float64), b.astype(np.float64))
    return exact.astype(np.int64).astype(np.int32)


_BYTES = (t.int8, t.uint8)
matmul_integer: Op = Op(
    "matmul_integer", _integer_type, _integer_product, Contraction(), None,
    (
        *(Sample(((3, 7), (7, 5)), {}, dtypes, (-200.0, 300.0)) for dtypes in itertools.product(("int8", "uint8"), repeat=2)),
        Sample(((2, 3, 4), (2, 4, 5)), {}, ("int8", "int8")), Sample(((3, 0), (0, 2)), {}, ("uint8", "int8")),
        Sample(((1, 7), (7, 1)), {}, ("uint8", "int8")),
    ),
    arity=2, build=build, doc="The matrix product of integers of 8 bits in int32, which wraps: `matmul` in int32 writes it.",
)  # fmt: skip


def matmul(x1: TensorLike, x2: TensorLike, *, dtype: object = None) -> Tensor:
    """The matrix product, in all of NumPy's ranks.

    Vectors count as a row on the left and a column on the right; leading dimensions broadcast. dtype: the type that operands
    have, and the result, as NumPy's. In int32, integers of 8 bits stay so in memory, and sums are exact up to 65,536 terms.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("batch", 3), "float32")
    >>> w = gx.variable([[1.0], [2.0], [3.0]], dtype="float32")
    >>> x @ w
    <Tensor matmul: f32[batch, 1]>
    >>> gx.matmul(gx.constant([100, 100], dtype="int8"), gx.constant([100, 100], dtype="int8"), dtype="int32").eval()
    array(20000, dtype=int32)
    """
    product = matmul_
    if dtype is None:
        (a, b), _ = promote_operands("matmul", (x1, x2), numeric)
    else:
        to = t.as_dtype(dtype)
        a, b = ops.as_tensor(x1), ops.as_tensor(x2)
        if to == t.int32 and a.dtype in _BYTES and b.dtype in _BYTES:
            product = matmul_integer
        else:
            (a, b), _ = promote_operands("matmul", (ops.astype(a, to), ops.astype(b, to)), numeric)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(
            f"matmul needs at least one axis each, got {a.type} and {b.type}", where=caller(), hint="use * for scalars"
        )
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        error = _inner(a.type, b.type)
        error.where = caller()
        raise error
    left, right = a.ndim == 1, b.ndim == 1
    if left:
        a = ops.expand_dims(a, 0)
    if right:
        b = ops.expand_dims(b, 1)
    if b.ndim == 2 and a.ndim > 2:  # one matrix for the whole batch: its rows are one long axis
        shape = (*a.shape[:-1], b.shape[-1])
        result: Tensor = ops.reshape(product(ops.reshape(a, (_rows(a), a.shape[-1])), b), shape)
    else:
        try:
            batch = broadcast_shapes("matmul", [TensorType(v.dtype, v.shape[:-2]) for v in (a, b)])
        except ShapeError as error:
            raise ShapeError(
                f"matmul cannot broadcast the leading axes of {a.type} and {b.type}", where=caller(), hint=error.hint
            ) from None
        result = product(ops.broadcast_to(a, (*batch, *a.shape[-2:])), ops.broadcast_to(b, (*batch, *b.shape[-2:])))
    drop = tuple(axis for axis, vector in ((-2, left), (-1, right)) if vector)
    return ops.squeeze(result, drop) if drop else result


def _rows(a: Tensor) -> Size:
    rows: int | Dim = 1
    for n in a.shape[:-1]:
        rows = rows * n
    return rows


def outer(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The product of every element of one vector with every element of another."""
    a, b = ops.as_tensor(x1), ops.as_tensor(x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer needs two vectors, got {a.type} and {b.type}", where=caller())
    return ops.expand_dims(a, 1) * ops.expand_dims(b, 0)


@in_float32
def vecdot(x1: TensorLike, x2: TensorLike, axis: int = -1) -> Tensor:
    """The sum of products along an axis, which has one size in both; the other axes broadcast. Integers wrap.

    >>> import graphc as gx
    >>> gx.vecdot(gx.constant([[1, 2], [3, 4]]), [1, 10]).eval()
    array([21, 43])
    """
    (a, b), dtype = promote_operands("vecdot", (x1, x2), numeric)
    for x in (a, b):
        if x.ndim == 0:
            raise ShapeError(f"vecdot needs at least one axis each, got {a.type} and {b.type}", where=caller())
    a, b = (ops.moveaxis(x, ops.normalize_axis("vecdot", axis, x.type), -1) for x in (a, b))
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"vecdot along axis {axis} needs equal sizes, got {a.shape[-1]} and {b.shape[-1]}", where=caller())
    return ops.astype(ops.sum(a * b, axis=-1), dtype)


def tensordot(x1: TensorLike, x2: TensorLike, axes: Any = 2) -> Tensor:
    """The sum of products over the last `axes` axes of x1 and the first of x2, or over the axes that a pair of lists names.

    >>> import graphc as gx
    >>> gx.tensordot(gx.zeros((2, 3, 4)), gx.zeros((4, 3, 5)), axes=([1, 2], [1, 0])).shape
    (2, 5)
    """
    (a, b), _ = promote_operands("tensordot", (x1, x2), numeric)
    if not isinstance(axes, (tuple, list)):
        count = normalize_integer("tensordot", "axes", axes)
        if not 0 <= count <= min(a.ndim, b.ndim):
            raise ShapeError(f"tensordot over {count} axes is not possible for {a.type} and {b.type}", where=caller())
        left, right = list(range(a.ndim - count, a.ndim)), list(range(count))
    elif len(axes) != 2:
        raise ShapeError(f"tensordot: axes must be a number or a pair, got {axes!r}", where=caller())
    else:
        left, right = (
            [ops.normalize_axis("tensordot", i, x.type) for i in (chosen if isinstance(chosen, (tuple, list)) else (chosen,))]
            for chosen, x in zip(axes, (a, b), strict=True)
        )
    repeated = len(set(left)) < len(left) or len(set(right)) < len(right)
    if repeated or len(left) != len(right) or any(a.shape[i] != b.shape[j] for i, j in zip(left, right, strict=True)):
        raise ShapeError(
            f"tensordot over axes {left} and {right} needs equal sizes, got {a.type} and {b.type}", where=caller(),
            hint="name as many axes of one as of the other, each once, of the same sizes",
        )  # fmt: skip
    rest_a = [i for i in range(a.ndim) if i not in left]
    rest_b = [i for i in range(b.ndim) if i not in right]
    k = ops.product(a.shape[i] for i in left)
    rows, columns = tuple(a.shape[i] for i in rest_a), tuple(b.shape[i] for i in rest_b)
    a = ops.reshape(ops.permute_dims(a, rest_a + left), (ops.product(rows), k))
    b = ops.reshape(ops.permute_dims(b, right + rest_b), (k, ops.product(columns)))
    return ops.reshape(matmul(a, b), rows + columns)


def kron(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The Kronecker product: every element of x1 replaced by its product with x2; missing leading axes count as 1.

    >>> import graphc as gx
    >>> gx.kron(gx.constant([1, 10]), [1, 2]).eval()
    array([ 1,  2, 10, 20])
    """
    (a, b), _ = promote_operands("kron", (x1, x2), numeric)
    rank = max(a.ndim, b.ndim)
    sizes = [(*(1 for _ in range(rank - x.ndim)), *x.shape) for x in (a, b)]
    pairs = list(zip(*sizes, strict=True))
    left = ops.reshape(a, tuple(n for m, _ in pairs for n in (m, 1)))
    right = ops.reshape(b, tuple(n for _, m in pairs for n in (1, m)))
    return ops.reshape(left * right, tuple(dims.mul(m, n) for m, n in pairs))


def cross(x1: TensorLike, x2: TensorLike, axis: int = -1) -> Tensor:
    """The vector product along an axis of size 3; the other axes broadcast.

    >>> import graphc as gx
    >>> gx.cross(gx.constant([1, 0, 0]), [0, 1, 0]).eval()
    array([0, 0, 1])
    """
    (a, b), _ = promote_operands("cross", (x1, x2), numeric)
    a, b = (ops.moveaxis(x, ops.normalize_axis("cross", axis, x.type), -1) for x in (a, b))
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ShapeError(f"cross needs axes of size 3, got {a.type} and {b.type} along {axis}", where=caller())
    (p, q, r), (u, v, w) = ([x[..., i] for i in range(3)] for x in (a, b))
    return ops.moveaxis(ops.stack([q * w - r * v, r * u - p * w, p * v - q * u], -1), -1, axis)
