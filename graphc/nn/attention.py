"""Attention."""

from __future__ import annotations

import math
from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float
from graphc.nn.softmax import softmax, weights


@gx.in_float32
def attention(
    queries: TensorLike, keys: TensorLike, values: TensorLike, *, causal: bool = False, mask: TensorLike | None = None,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """softmax(queries keys^T * scale) values: for each query the mean of the values, weighted by how well their keys fit.

    queries: floats [..., t, width]; keys [..., s, width]; values [..., s, channels]; the result is [..., t, channels]. Leading
    axes (batch, heads) broadcast; where the last of them, the heads, are a multiple of those of keys and values, as many
    neighbouring heads of queries share each of these (grouped queries: Ainslie et al. 2023, arXiv:2305.13245). scale:
    1 / sqrt(width) by default. causal: a query sees only the keys up to its own place. mask: broadcasts with [..., t, s];
    booleans are true where a query may look, floats are added to the scores (-inf: may not look). A query that a mask lets look
    nowhere gives 0, and takes no part in any gradient (Vaswani et al. 2017, arXiv:1706.03762).

    >>> import graphc as gx
    >>> keys, values = gx.constant([[1.0, 0.0], [0.0, 1.0]]), gx.constant([[1.0], [3.0]])
    >>> gx.nn.attention(keys, keys, values, causal=True).eval().round(4)
    array([[1.    ],
           [2.3395]])
    """
    gx.ops.check_flag("attention", "causal", causal)
    q, k, v = to_float(queries), to_float(keys), to_float(values)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise gx.errors.ShapeError(
            f"attention needs queries [..., t, width], keys [..., s, width] and values [..., s, channels], got {q.type}, "
            f"{k.type} and {v.type}",
            where=gx.errors.caller(),
        )  # fmt: skip
    mask = None if mask is None else _mask(mask)
    shared = _shared(q, k, v)
    if shared > 1:
        q, k, v = _heads_apart(q, shared), gx.expand_dims(k, -3), gx.expand_dims(v, -3)
        if mask is not None and mask.ndim >= 3:
            mask = _heads_apart(mask, shared) if mask.shape[-3] != 1 else gx.expand_dims(mask, -3)
    scale = gx.ops.as_option(scale)
    scores = q @ gx.matrix_transpose(k) * (_root_width(q) if scale is None else scale)
    if causal:
        scores = gx.where(gx.expand_dims(gx.arange(q.shape[-2]), 1) >= gx.arange(k.shape[-2]), scores, -math.inf)
    if mask is not None:
        scores = gx.where(mask, scores, -math.inf) if mask.dtype.is_bool else scores + gx.astype(mask, scores.dtype)
    y: Tensor = (softmax(scores) if mask is None else weights(scores)) @ v  # without a mask every query sees the first key
    if shared > 1:
        y = gx.reshape(y, (*y.shape[:-4], y.shape[-4] * shared, *y.shape[-2:]))
    return y


def _mask(mask: TensorLike) -> Tensor:
    """Booleans, or floats."""
    mask = gx.asarray(mask)
    if mask.dtype.is_integer:
        raise gx.errors.DTypeError(
            f"attention needs a mask of booleans, or of floats to add to the scores, got {mask.type}", where=gx.errors.caller(),
            hint="mask.astype('bool') is true where a query may look",
        )  # fmt: skip
    return mask


def _shared(q: Tensor, k: Tensor, v: Tensor) -> int:
    """How many heads of queries share one of keys and values."""
    if min(q.ndim, k.ndim, v.ndim) < 3:
        return 1
    many, few = q.shape[-3], k.shape[-3]
    if many == few or few != v.shape[-3] or not isinstance(many, int) or not isinstance(few, int) or few <= 1:
        return 1
    if many % few:
        return 1
    return many // few


def _heads_apart(x: Tensor, shared: int) -> Tensor:
    """[..., heads, a, b] -> [..., heads / shared, shared, a, b]"""
    heads: Any = x.shape[-3]
    return gx.reshape(x, (*x.shape[:-3], heads // shared, shared, *x.shape[-2:]))


def _root_width(q: Tensor) -> Any:
    """1 / sqrt(width)."""
    width: Any = q.shape[-1]
    return 1 / width**0.5
