"""Normalisation: values less their mean, over their standard deviation."""

from __future__ import annotations

import graphc as gx
from graphc import Axis, Tensor, TensorLike
from graphc.nn.floats import to_float


def layer_norm(
    x: TensorLike, weight: TensorLike | None = None, bias: TensorLike | None = None, axis: Axis = -1, eps: float = 1e-5
) -> Tensor:
    """x less its mean, over its standard deviation, along some axes; then times `weight` plus `bias` where given.

    x: floats; weight and bias broadcast with x. The variance divides by n; eps is added to it
    (Ba, Kiros and Hinton 2016, arXiv:1607.06450).

    >>> import graphc as gx
    >>> gx.nn.layer_norm(gx.constant([1.0, 2.0, 3.0]), eps=0).eval().round(4)
    array([-1.2247,  0.    ,  1.2247])
    """
    x = to_float(x)
    off = x - gx.mean(x, axis=axis, keepdims=True)
    variance = gx.mean(off * off, axis=axis, keepdims=True)
    return _affine(off * gx.reciprocal(gx.sqrt(variance + eps)), weight, bias)


def rms_norm(x: TensorLike, weight: TensorLike | None = None, axis: Axis = -1, eps: float = 1e-6) -> Tensor:
    """x over the root of its mean square along some axes; then times `weight` where given.

    x: floats; weight broadcasts with x. eps is added to the mean square (Zhang and Sennrich 2019, arXiv:1910.07467).

    >>> import graphc as gx
    >>> gx.nn.rms_norm(gx.constant([3.0, 4.0]), eps=0).eval().round(4)
    array([0.8485, 1.1314])
    """
    x = to_float(x)
    return _affine(x * gx.reciprocal(gx.sqrt(gx.mean(x * x, axis=axis, keepdims=True) + eps)), weight, None)


def _affine(x: Tensor, weight: TensorLike | None, bias: TensorLike | None) -> Tensor:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias
