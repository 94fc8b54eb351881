"""Functions of neural networks, composed of the public vocabulary: activations, softmax, normalisation, attention, losses.

Nothing here is known to the compiler. Integers count as float64; float16 and bfloat16 are computed in float32, and the result of
each function is rounded once. What subtracts a row's maximum for stability hides it from
the gradient, which does not depend on it.
"""

from __future__ import annotations

import math

import graphc as gx
from graphc import Axis, Tensor, TensorLike

sigmoid = gx.sigmoid
softplus = gx.softplus


def _float(x: TensorLike) -> Tensor:
    x = gx.asarray(x)
    return x if x.dtype.is_float else gx.astype(x, gx.float64)


# --- activations -----------------------------------------------------------------------------------------------------


def relu(x: TensorLike) -> Tensor:
    """x where it is positive, else 0; NaN stays. The gradient at 0 is 0.

    x: numbers of any shape. The result has x's shape and dtype.

    >>> import graphc as gx
    >>> gx.nn.relu(gx.constant([-2.0, 0.0, 3.0])).eval()
    array([0., 0., 3.])
    """
    x = gx.asarray(x)
    return gx.where(x <= 0, 0, x)


@gx.in_float32
def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """x times the standard normal distribution function of x (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    x: floats of any shape. approximate: "none" for the exact form with erf, "tanh" for the same paper's approximation
    x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). -inf gives 0.

    >>> import graphc as gx
    >>> gx.nn.gelu(gx.constant([-1.0, 0.0, 1.0])).eval().round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    x = _without_minus_infinity(_float(x))
    if approximate == "none":
        below: Tensor = 0.5 * (1 + gx.erf(x * math.sqrt(0.5)))
        return x * below
    if approximate != "tanh":
        raise gx.errors.InputError(f"gelu: approximate is {approximate!r}", where=gx.errors.caller(), hint='use "none" or "tanh"')
    inner = gx.clip(x, -10, 10)  # tanh is ±1 to the last bit there already; without this the cube's gradient overflows
    below = 0.5 * (1 + gx.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
    return x * below


@gx.in_float32
def silu(x: TensorLike) -> Tensor:
    """x * sigmoid(x); -inf gives 0.

    x: floats of any shape.

    >>> import graphc as gx
    >>> gx.nn.silu(gx.constant([-1.0, 0.0, 1.0])).eval().round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    x = _without_minus_infinity(_float(x))
    gate: Tensor = gx.sigmoid(x)
    return x * gate


def _without_minus_infinity(x: Tensor) -> Tensor:
    """x with 0 for -inf: functions that tend to 0 there would compute inf * 0."""
    return gx.where(x == -math.inf, 0, x)


# --- softmax and its kin ---------------------------------------------------------------------------------------------


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
    x = _float(x)
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
    x = _float(x)
    e: Tensor = gx.exp(x - _shift(x, axis))
    return e * gx.reciprocal(gx.sum(e, axis=axis, keepdims=True))  # one division a row


@gx.in_float32
def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The logarithm of softmax, exact where softmax itself rounds to 0.

    x: floats. -inf gives -inf; a row of nothing else gives NaN.

    >>> import graphc as gx
    >>> gx.nn.log_softmax(gx.constant([0.0, -1e4])).eval()
    array([     0., -10000.])
    """
    shifted, total = _shifted(_float(x), axis)
    return shifted - total


def _shifted(x: Tensor, axis: Axis) -> tuple[Tensor, Tensor]:
    """x less its shift, and the logarithm of the sum of its exponentials: their difference is log_softmax."""
    shifted = x - _shift(x, axis)
    return shifted, gx.log(gx.sum(gx.exp(shifted), axis=axis, keepdims=True))


# --- normalisation ---------------------------------------------------------------------------------------------------


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
    x = _float(x)
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
    x = _float(x)
    return _affine(x * gx.reciprocal(gx.sqrt(gx.mean(x * x, axis=axis, keepdims=True) + eps)), weight, None)


def _affine(x: Tensor, weight: TensorLike | None, bias: TensorLike | None) -> Tensor:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


# --- dropout ---------------------------------------------------------------------------------------------------------


def dropout(x: TensorLike, rate: float, key: gx.random.Key) -> Tensor:
    """x with elements set to 0, each with probability `rate`, and the others divided by 1 - rate.

    x: floats of any shape. rate: a number from 0 to below 1, met to 2^-32. key: as for all of `gx.random`, most often a Stream.
    What is dropped follows from the key, so no mask is kept: the gradient draws it again
    (Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting").

    >>> import graphc as gx
    >>> gx.nn.dropout(gx.ones((6,)), 0.5, gx.random.key(1)).eval()
    array([2., 0., 0., 2., 0., 0.])
    """
    x = _float(x)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise gx.errors.InputError(
            f"dropout: rate must be a number from 0 to below 1, got {rate!r}", where=gx.errors.caller(),
            hint="it is the part that is dropped",
        )  # fmt: skip
    kept = gx.random.bits(key, x.shape) >= min(round(rate * 2**32), 2**32 - 1)
    return gx.where(kept, x * (1 / (1 - rate)), 0)


# --- attention -------------------------------------------------------------------------------------------------------


@gx.in_float32
def attention(
    queries: TensorLike, keys: TensorLike, values: TensorLike, *, causal: bool = False, mask: TensorLike | None = None,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(queries keys^T * scale) values: for each query the mean of the values, weighted by how well their keys fit.

    queries: floats [..., t, width]; keys [..., s, width]; values [..., s, channels]; the result is [..., t, channels]. Leading
    axes (batch, heads) broadcast. scale: 1 / sqrt(width) by default. causal: a query sees only the keys up to its own place.
    mask: booleans that broadcast with [..., t, s], true where a query may look. A query that may look nowhere gives NaN
    (Vaswani et al. 2017, arXiv:1706.03762).

    >>> import graphc as gx
    >>> keys, values = gx.constant([[1.0, 0.0], [0.0, 1.0]]), gx.constant([[1.0], [3.0]])
    >>> gx.nn.attention(keys, keys, values, causal=True).eval().round(4)
    array([[1.    ],
           [2.3395]])
    """
    q, k, v = _float(queries), _float(keys), _float(values)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise gx.errors.ShapeError(
            f"attention needs queries [..., t, width], keys [..., s, width] and values [..., s, channels], got {q.type}, "
            f"{k.type} and {v.type}",
            where=gx.errors.caller(),
        )  # fmt: skip
    scores = q @ gx.matrix_transpose(k) * (_root_width(q) if scale is None else scale)
    if causal:
        scores = gx.where(gx.expand_dims(gx.arange(q.shape[-2]), 1) >= gx.arange(k.shape[-2]), scores, -math.inf)
    if mask is not None:
        scores = gx.where(mask, scores, -math.inf)
    return softmax(scores) @ v


def _root_width(q: Tensor) -> float:
    """1 / sqrt(width)."""
    width = q.shape[-1]
    if not isinstance(width, int):
        raise gx.errors.ShapeError(
            f"attention: the width of {q.type} is not a number", where=gx.errors.caller(),
            hint="give scale, or queries of fixed width",
        )  # fmt: skip
    return 1 / math.sqrt(width)


# --- losses ----------------------------------------------------------------------------------------------------------


@gx.in_float32
def cross_entropy(logits: TensorLike, labels: TensorLike, axis: int = -1, reduction: str = "mean") -> Tensor:
    """-log(softmax(logits)) of the true class, or its mean under given probabilities.

    logits: floats, the classes along `axis`. labels: integers of logits' shape without `axis`, or probabilities (floats) of
    logits' shape. reduction: "mean" or "sum" over all rows, or "none" for a loss a row. A label outside 0 .. classes - 1
    makes its row's loss NaN and its row's gradient 0. Classes of probability 0 may have logits of -inf.

    >>> import graphc as gx
    >>> logits = gx.constant([[2.0, 0.0], [0.0, 1e4]])
    >>> gx.nn.cross_entropy(logits, gx.constant([0, 1]), reduction="none").eval().round(4)
    array([0.1269, 0.    ])
    """
    logits, labels = _float(logits), gx.asarray(labels)
    if not -logits.ndim <= axis < logits.ndim:
        raise gx.errors.ShapeError(f"cross_entropy: axis {axis} is out of range for {logits.type}", where=gx.errors.caller())
    place = axis % logits.ndim
    if labels.dtype.is_float:
        return _reduce("cross_entropy", _expected(logits, labels, place), reduction)
    if not labels.dtype.is_integer:
        raise gx.errors.DTypeError(
            f"cross_entropy: labels must be integers or probabilities, got {labels.type}", where=gx.errors.caller(),
            hint="astype('int64') for classes, astype('float32') for probabilities",
        )  # fmt: skip
    return _reduce("cross_entropy", _picked(logits, labels, place), reduction)


def _picked(logits: Tensor, labels: Tensor, axis: int) -> Tensor:
    """The loss of each row for integer labels.

    A comparison picks the class rather than an index: it fuses with the row's softmax, and its gradient is no scatter.
    """
    rows = logits.shape[:axis] + logits.shape[axis + 1 :]
    if labels.shape != rows:
        raise gx.errors.ShapeError(
            f"cross_entropy: integer labels need the logits' shape without axis {axis}, got logits {logits.type} and labels "
            f"{labels.type}",
            where=gx.errors.caller(), hint=f"labels should be of shape [{', '.join(map(str, rows))}]",
        )  # fmt: skip
    classes = logits.shape[axis]
    wanted = gx.astype(labels, gx.int64)  # holds every class number; a uint64 beyond it wraps to a negative one: out of range
    columns = gx.reshape(gx.arange(classes), (classes,) + (1,) * (logits.ndim - 1 - axis))
    hot = gx.expand_dims(wanted, axis) == columns
    shifted, total = _shifted(logits, axis)
    loss = gx.squeeze(total, axis) - gx.sum(gx.where(hot, shifted, 0), axis=axis)
    known = (wanted >= 0) & (wanted < gx.full((), classes, gx.int64))
    return gx.where(known, loss, math.nan)


def _expected(logits: Tensor, labels: Tensor, axis: int) -> Tensor:
    """The loss of each row for probabilities."""
    if labels.shape != logits.shape:
        raise gx.errors.ShapeError(
            f"cross_entropy: probabilities need the logits' shape, got logits {logits.type} and labels {labels.type}",
            where=gx.errors.caller(), hint="integer labels are the ones without a class axis",
        )  # fmt: skip
    surprise = -log_softmax(logits, axis)
    absent = (labels == 0) & (surprise == math.inf)  # 0 * inf counts as 0
    return gx.sum(labels * gx.where(absent, 0, surprise), axis=axis)


@gx.in_float32
def mse(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """The squared difference: its mean or sum over all elements, or each for itself ("none").

    prediction and target: numbers of one shape.

    >>> import graphc as gx
    >>> gx.nn.mse(gx.constant([1.0, 2.0]), gx.constant([1.0, 4.0])).eval()
    array(2.)
    """
    prediction, target = gx.asarray(prediction), gx.asarray(target)
    if prediction.shape != target.shape:
        raise gx.errors.ShapeError(
            f"mse needs equal shapes, got {prediction.type} and {target.type}", where=gx.errors.caller(),
            hint="broadcasting here is nearly always a mistake: reshape one of them",
        )  # fmt: skip
    off = _float(prediction) - _float(target)
    return _reduce("mse", off * off, reduction)


def _reduce(name: str, losses: Tensor, reduction: str) -> Tensor:
    match reduction:
        case "mean":
            return gx.mean(losses)
        case "sum":
            return gx.sum(losses)
        case "none":
            return losses
    raise gx.errors.InputError(
        f"{name}: reduction is {reduction!r}", where=gx.errors.caller(), hint='use "mean", "sum" or "none"'
    )


__all__ = [
    "attention", "cross_entropy", "dropout", "gelu", "layer_norm", "log_softmax", "logsumexp", "mse", "relu", "rms_norm",
    "sigmoid", "silu", "softmax", "softplus",
]  # fmt: skip
