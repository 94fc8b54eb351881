"""Normalisation: values less their mean, over their standard deviation."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Axis, Tensor, TensorLike, Variable
from graphc.nn import images
from graphc.nn.floats import to_float


@gx.in_float32
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
    x, eps = to_float(x), gx.ops.as_option(eps)
    off = x - gx.mean(x, axis=axis, keepdims=True)
    variance = gx.mean(off * off, axis=axis, keepdims=True)
    return _affine(off * gx.reciprocal(gx.sqrt(variance + eps)), weight, bias)


@gx.in_float32
def rms_norm(x: TensorLike, weight: TensorLike | None = None, axis: Axis = -1, eps: float = 1e-6) -> Tensor:
    """x over the root of its mean square along some axes; then times `weight` where given.

    x: floats; weight broadcasts with x. eps is added to the mean square (Zhang and Sennrich 2019, arXiv:1910.07467).

    >>> import graphc as gx
    >>> gx.nn.rms_norm(gx.constant([3.0, 4.0]), eps=0).eval().round(4)
    array([0.8485, 1.1314])
    """
    x, eps = to_float(x), gx.ops.as_option(eps)
    return _affine(x * gx.reciprocal(gx.sqrt(gx.mean(x * x, axis=axis, keepdims=True) + eps)), weight, None)


@gx.in_float32
def batch_norm(
    x: TensorLike, mean: TensorLike, variance: TensorLike, weight: TensorLike | None = None, bias: TensorLike | None = None, *,
    eps: float = 1e-5, layout: str = "NCHW",
) -> Tensor:  # fmt: skip
    """x less a mean, over a standard deviation, for each channel; then times `weight` plus `bias` where given: for inference.

    x: floats [n, channels] or images of one to three axes, [n, channels, ...], or [n, ..., channels] in the layout "NHWC". All
    others: [channels] (Ioffe and Szegedy 2015, arXiv:1502.03167). `batch_norm_training` takes mean and variance of the batch.

    >>> import graphc as gx
    >>> gx.nn.batch_norm(gx.constant([[1.0], [3.0]]), [2.0], [4.0], eps=0).eval()
    array([[-0.5],
           [ 0.5]])
    """
    x, first = _channelled("batch_norm", x, layout)
    eps = gx.ops.as_option(eps)
    centre, spread = _channel("batch_norm", "mean", mean, x, first), _channel("batch_norm", "variance", variance, x, first)
    return _scaled("batch_norm", (x - centre) * gx.reciprocal(gx.sqrt(spread + eps)), weight, bias, first)


def batch_norm_training(
    x: TensorLike, mean: Variable, variance: Variable, weight: TensorLike | None = None, bias: TensorLike | None = None, *,
    momentum: float = 0.1, eps: float = 1e-5, layout: str = "NCHW",
) -> tuple[Tensor, dict[Variable, Tensor]]:  # fmt: skip
    """`batch_norm` by the mean and the variance of the batch, and the updates of the running ones: for training.

    x, weight, bias, layout: see batch_norm. mean and variance: variables [channels] of x's dtype; their updates are the second
    result, to be merged with the optimiser's: (1 - momentum) * old + momentum * the batch's. As in torch, what x is divided by is
    the variance over n, what is averaged the one over n - 1.

    >>> import graphc as gx
    >>> mean, variance = gx.variable([0.0]), gx.variable([1.0])
    >>> y, updates = gx.nn.batch_norm_training(gx.constant([[1.0], [3.0]]), mean, variance, eps=0)
    >>> gx.compile([], y, updates=updates, backend="interpreter")().tolist(), mean.value, variance.value
    ([[-1.0], [1.0]], array([0.2]), array([1.1]))
    """
    x, first = _channelled("batch_norm_training", x, layout)
    eps, momentum = gx.ops.as_option(eps), gx.ops.as_option(momentum)
    for what, state in (("mean", mean), ("variance", variance)):
        if not isinstance(state, Variable) or state.dtype != x.dtype:
            raise gx.errors.InputError(
                f"batch_norm_training: the running {what} must be a variable of {x.dtype}, got {state!r}",
                where=gx.errors.caller(), hint="gx.variable(np.zeros(channels, ...)) for the mean, np.ones for the variance",
            )  # fmt: skip
        _channel("batch_norm_training", what, state, x, first)
    axes = tuple(a for a in range(x.ndim) if a != (1 if first else x.ndim - 1))
    centre = gx.mean(x, axis=axes)
    off = x - _spread(centre, x, first)
    spread = gx.mean(off * off, axis=axes)
    y = off * _spread(gx.reciprocal(gx.sqrt(spread + eps)), x, first)
    count = gx.full((), gx.ops.product(x.shape[a] for a in axes), x.dtype)
    unbiased = gx.stop_gradient(spread) * (count / gx.maximum(count - 1, 1))
    updates = {
        mean: (1 - momentum) * mean + momentum * gx.stop_gradient(centre),
        variance: (1 - momentum) * variance + momentum * unbiased,
    }
    return _scaled("batch_norm_training", y, weight, bias, first), updates


@gx.in_float32
def group_norm(
    x: TensorLike, groups: int, weight: TensorLike | None = None, bias: TensorLike | None = None, *, eps: float = 1e-5,
    layout: str = "NCHW",
) -> Tensor:  # fmt: skip
    """Each image's groups of channels less their mean, over their standard deviation; then times `weight` plus `bias`.

    x: floats [n, channels] or images of one to three axes, [n, channels, ...], or [n, ..., channels] in the layout "NHWC".
    groups: into how many equal parts channels are split. weight and bias: [channels] (Wu and He 2018, arXiv:1803.08494).

    >>> import graphc as gx
    >>> gx.nn.group_norm(gx.constant([[1.0, 3.0, 5.0, 5.5]]), 2, eps=0).eval()
    array([[-1.,  1., -1.,  1.]])
    """
    return _grouped("group_norm", x, groups, weight, bias, eps, layout)


@gx.in_float32
def instance_norm(
    x: TensorLike, weight: TensorLike | None = None, bias: TensorLike | None = None, *, eps: float = 1e-5, layout: str = "NCHW"
) -> Tensor:
    """Each image's channels less their mean, over their standard deviation; then times `weight` plus `bias`.

    x: floats, images of one to three axes, [n, channels, ...], or [n, ..., channels] in the layout "NHWC". weight and bias:
    [channels] (Ulyanov et al. 2016, arXiv:1607.08022).

    >>> import graphc as gx
    >>> gx.nn.instance_norm(gx.constant([[[1.0, 3.0], [5.0, 5.5]]]), eps=0).eval()
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    return _grouped("instance_norm", x, None, weight, bias, eps, layout)


def _grouped(
    name: str, x: TensorLike, groups: int | None, weight: TensorLike | None, bias: TensorLike | None, eps: float, layout: str
) -> Tensor:
    """`groups` is None where every channel is one."""
    x, first = _channelled(name, x, layout)
    channels: Any = x.shape[1 if first else -1]
    groups = gx.ops.as_option(groups)
    if groups is not None and (not isinstance(groups, int) or isinstance(groups, bool) or groups < 1 or channels % groups != 0):
        raise gx.errors.ShapeError(
            f"{name}: the channels of {x.type} do not divide into {groups!r} groups", where=gx.errors.caller(),
            hint="give a divisor of the number of channels",
        )  # fmt: skip
    split = (channels, 1) if groups is None else (groups, channels // groups)
    apart = (x.shape[0], *split, *x.shape[2:]) if first else (*x.shape[:-1], *split)
    own = 1 if first else len(apart) - 2
    normal = layer_norm(gx.reshape(x, apart), axis=tuple(a for a in range(1, len(apart)) if a != own), eps=eps)
    return _scaled(name, gx.reshape(normal, x.shape), weight, bias, first)


def _channelled(name: str, x: TensorLike, layout: str) -> tuple[Tensor, bool]:
    """Floats, and whether their channels are the first axis after the batch."""
    x = to_float(x)
    return (x, True) if x.ndim == 2 else (x, images.is_first(name, x, layout))


def _spread(value: Tensor, x: Tensor, first: bool) -> Tensor:
    return images.per_channel(value, x, first)


def _channel(name: str, what: str, value: TensorLike, x: Tensor, first: bool) -> Tensor:
    """A value for each channel, as it combines with x."""
    made = gx.asarray(value)
    if made.shape != (x.shape[1 if first else -1],):
        raise gx.errors.ShapeError(
            f"{name}: {what} {made.type} does not fit {x.type}", where=gx.errors.caller(),
            hint=f"it needs one number for each of {x.shape[1 if first else -1]} channels",
        )  # fmt: skip
    return _spread(gx.astype(made, x.dtype), x, first)


def _scaled(name: str, x: Tensor, weight: TensorLike | None, bias: TensorLike | None, first: bool) -> Tensor:
    if weight is not None:
        x = x * _channel(name, "weight", weight, x, first)
    return x if bias is None else x + _channel(name, "bias", bias, x, first)


def _affine(x: Tensor, weight: TensorLike | None, bias: TensorLike | None) -> Tensor:
    if isinstance(weight, tuple) and all(isinstance(n, (int, gx.Dim)) for n in weight):
        raise gx.errors.InputError(
            f"a norm's weight is an array of numbers, got the sizes {weight}", where=gx.errors.caller(),
            hint="axis=-1 names what is normalised, weight= and bias= are what it is multiplied by and what is added",
        )  # fmt: skip
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias
