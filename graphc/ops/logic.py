"""Comparison, logic, bits, and choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import ops
from graphc.ir import types as t
from graphc.ops.declare import Op, Operands, any_type, comparison, elementwise, integral, logical, shift, to_bool, to_float
from graphc.ops.tensor import Tensor, TensorLike

Array = np.ndarray[Any, Any]


def _no(count: int) -> Any:
    """The gradient rule of a function that is constant almost everywhere."""
    return lambda g, y, *inputs: (None,) * count


def _compare(name: str, scalar: str, reference: Any, doc: str) -> Op:
    return elementwise(name, dtype=comparison, reference=reference, scalar=scalar + "({0}, {1})", vjp=_no(2), doc=doc)


equal = _compare("equal", "eq", np.equal, doc="Whether a equals b; NaN equals nothing.")
not_equal = _compare("not_equal", "ne", np.not_equal, doc="Whether a differs from b.")
less = _compare("less", "lt", np.less, doc="Whether a < b.")
less_equal = _compare("less_equal", "le", np.less_equal, doc="Whether a <= b.")
greater = _compare("greater", "gt", np.greater, doc="Whether a > b.")
greater_equal = _compare("greater_equal", "ge", np.greater_equal, doc="Whether a >= b.")

logical_and = elementwise(
    "logical_and",
    dtype=logical,
    reference=np.logical_and,
    scalar="{0} & {1}",
    vjp=_no(2),
    doc="Whether both are true (not zero).",
)
logical_or = elementwise(
    "logical_or", dtype=logical, reference=np.logical_or, scalar="{0} | {1}", vjp=_no(2), doc="Whether one is true (not zero)."
)
logical_xor = elementwise(
    "logical_xor",
    dtype=logical,
    reference=np.logical_xor,
    scalar="{0} ^ {1}",
    vjp=_no(2),
    doc="Whether exactly one is true (not zero).",
)
logical_not = elementwise(
    "logical_not", dtype=logical, reference=np.logical_not, scalar="~{0}", vjp=_no(1), doc="Whether x is false (zero)."
)

bitwise_and = elementwise(
    "bitwise_and", dtype=integral, reference=np.bitwise_and, scalar="{0} & {1}", vjp=_no(2), doc="The bits set in both."
)
bitwise_or = elementwise(
    "bitwise_or", dtype=integral, reference=np.bitwise_or, scalar="{0} | {1}", vjp=_no(2), doc="The bits set in one or both."
)
bitwise_xor = elementwise(
    "bitwise_xor", dtype=integral, reference=np.bitwise_xor, scalar="{0} ^ {1}", vjp=_no(2), doc="The bits set in exactly one."
)
bitwise_invert = elementwise(
    "bitwise_invert", dtype=integral, reference=np.invert, scalar="~{0}", vjp=_no(1), doc="Every bit turned over."
)
bitwise_left_shift = elementwise(
    "bitwise_left_shift",
    dtype=shift,
    reference=np.left_shift,
    scalar="left_shift({0}, {1})",
    vjp=_no(2),
    doc="a * 2**b, wrapping; 0 where b is negative or has more bits than a.",
)
bitwise_right_shift = elementwise(
    "bitwise_right_shift",
    dtype=shift,
    reference=np.right_shift,
    scalar="right_shift({0}, {1})",
    vjp=_no(2),
    doc="The floor of a / 2**b.",
)

isnan = elementwise("isnan", dtype=to_bool, reference=np.isnan, scalar="isnan({0})", vjp=_no(1), doc="Whether x is NaN.")
isinf = elementwise("isinf", dtype=to_bool, reference=np.isinf, scalar="isinf({0})", vjp=_no(1), doc="Whether x is infinite.")
isfinite = elementwise(
    "isfinite",
    dtype=to_bool,
    reference=np.isfinite,
    scalar="isfinite({0})",
    vjp=_no(1),
    doc="Whether x is neither infinite nor NaN.",
)


def _float_to_bool(name: str, operands: Operands) -> tuple[Operands, t.DType]:
    return to_float(name, operands)[0], t.bool_


signbit = elementwise(
    "signbit",
    dtype=_float_to_bool,
    reference=np.signbit,
    scalar="signbit({0})",
    vjp=_no(1),
    doc="Whether the sign of x is minus, also of -0.0.",
)


def _select(c: Tensor, g: Tensor, side: bool) -> Tensor:
    zero = ops.zeros_like(g)
    return where(c, g, zero) if side else where(c, zero, g)


def _where_types(name: str, operands: Operands) -> tuple[Operands, t.DType]:
    return any_type(name, operands)


select = elementwise(
    "where", dtype=_where_types, reference=np.where, scalar="select({0}, {1}, {2})", free=1,
    vjp=lambda g, y, c, a, b: (None, _select(c, g, True), _select(c, g, False)),
    masks=lambda c, a, b: (None, c, logical_not(c)), level=lambda c, a, b: (a, b),
)  # fmt: skip


def where(condition: TensorLike, x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 where the condition holds, x2 elsewhere; gradients of the branch not taken are zero, never NaN.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,), "float64")
    >>> gx.where(x > 0, x, 0).eval({x: [-1.0, 0.0, 2.0]})
    array([0., 0., 2.])
    """
    return select(ops.astype(ops.as_tensor(condition), t.bool_), x1, x2)
