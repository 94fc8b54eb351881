"""Softmax and its kin.

What subtracts a row's maximum for stability hides it from the gradient, which does not depend on it.
"""

from __future__ import annotations

import math

import graphc as gx
from graphc import Axis, Tensor, TensorLike
from graphc.nn.floats import to_float


def _shift(x: Tensor, axis: Axis) -> Tensor:
    """The maximum along an axis, which is kept; 0 where it is not finite, so that no difference of infinities arises."""
    high = gx.max(gx.stop_gradient(x), axis=axis, keepdims=True)
    return gx.where(gx.isfinite(high), high, 0)


@gx.in_float32
def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) along some or all axes, without overflow.

    x: floats. -inf counts as an absent term: where all are absent the result is -inf and the gradient 0.

    >>> import graphc as gx
    >>> gx.nn.logsumexp(gx.constant([[1e4, 1e4], [float('-inf'), 3.0]]), axis=1).eval()
    array([1.00006931e+04, 3.00000000e+00])
    """
    x = to_float(x)
    gx.ops.check_flag("logsumexp", "keepdims", keepdims)
    high = _shift(x, axis)
    total = gx.sum(gx.exp(x - high), axis=axis, keepdims=True)
    absent = total == 0
    result = gx.where(absent, -math.inf, gx.log(gx.where(absent, 1, total)) + high)
    return result if keepdims else gx.squeeze(result, _axes(axis, x))


def _axes(axis: Axis, x: Tensor) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    return axis if isinstance(axis, tuple) else (axis,)


@gx.in_float32
def softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """exp(x) over its sum along an axis, without overflow.

    x: floats. -inf gives 0; a row of nothing else gives NaN.

    >>> import graphc as gx
    >>> gx.nn.softmax(gx.constant([1e4, 1e4, float('-inf')])).eval()
    array([0.5, 0.5, 0. ])
    """
    x = to_float(x)
    e: Tensor = gx.exp(x - _shift(x, axis))
    return e * gx.reciprocal(gx.sum(e, axis=axis, keepdims=True))  # one division a row


def weights(scores: Tensor) -> Tensor:
    """softmax along the last axis; a row of nothing but -inf gives 0, also as its gradient."""
    e: Tensor = gx.exp(scores - _shift(scores, -1))
    total = gx.sum(e, axis=-1, keepdims=True)
    return e * gx.where(total == 0, 0, gx.reciprocal(total))


@gx.in_float32
def softmin(x: TensorLike, axis: Axis = -1) -> Tensor:
    """softmax(-x).

    x: floats. inf gives 0; a row of nothing else gives NaN.

    >>> import graphc as gx
    >>> gx.nn.softmin(gx.constant([1.0, 1.0])).eval()
    array([0.5, 0.5])
    """
    return softmax(-to_float(x), axis)


@gx.in_float32
def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The logarithm of softmax, exact where softmax itself rounds to 0.

    x: floats. -inf gives -inf; a row of nothing else gives NaN.

    >>> import graphc as gx
    >>> gx.nn.log_softmax(gx.constant([0.0, -1e4])).eval()
    array([     0., -10000.])
    """
    shifted, total = shifted_exponents(to_float(x), axis)
    return shifted - total


def shifted_exponents(x: Tensor, axis: Axis) -> tuple[Tensor, Tensor]:
    """x less its shift, and the logarithm of the sum of its exponentials: their difference is log_softmax."""
    shifted = x - _shift(x, axis)
    return shifted, gx.log(gx.sum(gx.exp(shifted), axis=axis, keepdims=True))
