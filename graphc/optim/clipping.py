"""Gradients limited in their common length."""

from __future__ import annotations

from collections.abc import Sequence

import graphc as gx
from graphc import Tensor


def global_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean length of all elements of all tensors together, 0-d, in their common dtype, which for 16 bits is float32.

    >>> import graphc as gx
    >>> gx.optim.global_norm([gx.constant([3.0]), gx.constant([[4.0]])]).eval()
    array(5.)
    """
    tensors = [gx.asarray(x) for x in gx.ops.listed("global_norm", "tensors", tensors)]
    if not tensors:
        raise gx.errors.InputError("global_norm needs at least one tensor", where=gx.errors.caller())
    common = gx.result_type(*(x.dtype.arithmetic for x in tensors))  # the squares of float16 overflow from 256 on
    wide = [gx.astype(x, x.dtype.arithmetic) for x in tensors]
    total = gx.astype(gx.sum(wide[0] * wide[0]), common)
    for x in wide[1:]:
        total = total + gx.astype(gx.sum(x * x), common)
    length: Tensor = gx.sqrt(total)
    return length


def clip_by_global_norm(tensors: Sequence[Tensor], max_norm: float | Tensor) -> list[Tensor]:
    """All tensors times one factor that brings their global norm down to `max_norm`; unchanged where it is not above.

    tensors: floats of any shapes. A norm that is NaN makes everything NaN (Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063).

    >>> import graphc as gx
    >>> a, b = gx.optim.clip_by_global_norm([gx.constant([3.0]), gx.constant([4.0])], 1.0)
    >>> a.eval(), b.eval()
    (array([0.6]), array([0.8]))
    """
    tensors = [gx.asarray(x) for x in gx.ops.listed("clip_by_global_norm", "tensors", tensors)]
    factor = gx.clip(gx.ops.as_option(max_norm) / global_norm(tensors), max=1)  # a norm of 0 gives inf, then 1
    return [x * gx.astype(factor, x.dtype) for x in tensors]


__all__ = ["clip_by_global_norm", "global_norm"]
