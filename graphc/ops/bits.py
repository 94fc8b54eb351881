"""The bits of numbers, as numbers of another type."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.errors import DTypeError, caller
from graphc.ir import primitives
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.operation import Pointwise, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import DType, TensorType
from graphc.ops.declare import Op, build
from graphc.ops.tensor import Tensor, TensorLike, as_tensor


def _type(x: TensorType, dtype: DType) -> TensorType:
    if x.dtype.bits != dtype.bits or x.dtype.is_bool or dtype.is_bool or x.dtype.is_storage or dtype.is_storage:
        raise DTypeError(f"bitcast has no {dtype} of {x}")
    return TensorType(dtype, x.shape)


def _body(k: Scalars, index: tuple[Size, ...], dtype: DType) -> Any:
    return k.bitcast(k.load(0, index), dtype)


_SAMPLES = (
    ("float32", "int32"), ("int32", "float32"), ("float64", "int64"), ("int64", "float64"), ("float32", "uint32"),
    ("float64", "uint64"), ("uint64", "int64"), ("uint32", "int32"), ("int16", "uint16"), ("int8", "uint8"),
)  # fmt: skip
bitcast_ = Op(
    "bitcast", _type, primitives.bitcast, Pointwise(_body, elementwise=True), lambda g, y, x, dtype: (None,),
    tuple(Sample(((3, 4),), {"dtype": t.as_dtype(to)}, dtypes=(of,)) for of, to in _SAMPLES), arity=1, build=build,
)  # fmt: skip


def bitcast(x: TensorLike, dtype: object) -> Tensor:
    """The bits of x as numbers of another type of the same width: NumPy's `x.view(dtype)`; its gradient is 0.

    DTypeError where the widths differ. Booleans are 8 bits, 0 or 1; from 8 bits, what is not 0 is true. A NaN of 16 bits stays
    one, but not always with the same bits.

    >>> import graphc as gx
    >>> gx.bitcast(gx.constant([1.0, -0.0], dtype="float32"), "int32").eval()
    array([ 1065353216, -2147483648], dtype=int32)
    """
    x, to = as_tensor(x), t.as_dtype(dtype)
    if x.dtype.itemsize != to.itemsize:
        raise DTypeError(
            f"bitcast needs types of one width, got {x.type} and {to}", where=caller(), hint="astype keeps values instead of bits"
        )
    if x.dtype == to:
        return x
    if x.dtype.is_bool:
        return bitcast(ops.astype(x, t.uint8), to)
    if to.is_bool:
        return ops.not_equal(x, 0)
    if x.dtype.is_storage:
        return bitcast(ops.astype(_bits_of_16(x), t.int16), to)
    if to.is_storage:
        return _of_16_bits(ops.astype(x, t.int32), to)
    return bitcast_(x, dtype=to)


# --- floats of 16 bits: memory alone holds them, so their bits are found from those of the same number in float32 ---------
# Layouts: IEEE 754-2008, binary16 and binary32; bfloat16 is the upper half of binary32.

_INFINITE, _LEAST, _BIAS = 0x7F800000, 113 << 23, 112 << 23  # in float32: infinity, the least normal number, the biases' gap


def _bits_of_16(x: Tensor) -> Tensor:
    """The bits of floats of 16 bits, in the lower half of int32."""
    wide = ops.astype(x, t.float32)
    bits = bitcast_(wide, dtype=t.int32)
    if x.dtype == t.bfloat16:
        return bits >> 16
    size = bits & 0x7FFFFFFF
    small = ops.astype(ops.abs(wide) * 2.0**24, t.int32)  # in steps of the least number there is
    large = 0x7C00 | ((size >> 13) & 0x3FF)
    found = ops.where(size >= _INFINITE, large, ops.where(size >= _LEAST, (size - _BIAS) >> 13, small))
    return ((bits >> 16) & 0x8000) | found


def _of_16_bits(bits: Tensor, dtype: DType) -> Tensor:
    """Floats of 16 bits, from those in the lower half of int32."""
    if dtype == t.bfloat16:
        return ops.astype(bitcast_(bits << 16, dtype=t.float32), dtype)
    size = bits & 0x7FFF
    small = bitcast_(ops.astype(size, t.float32) * 2.0**-24, dtype=t.int32)
    found = ops.where(size >= 0x7C00, (size << 13) | _INFINITE, ops.where(size >= 0x400, (size << 13) + _BIAS, small))
    return ops.astype(bitcast_(found | ((bits & 0x8000) << 16), dtype=t.float32), dtype)
