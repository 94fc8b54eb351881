"""Functions of single elements, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import graphc as gx
from graphc import Tensor, nn

Activation = Callable[[Tensor], Tensor]


def linear(x: Tensor) -> Tensor:
    """x itself."""
    return x


_OWN_NAMES = (
    "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid", "log_softmax",
    "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softshrink", "softsign", "tanhshrink",
)  # fmt: skip
_KERAS_NAMES = {"swish": "silu", "hard_sigmoid": "hardsigmoid", "hard_silu": "hardswish", "hard_tanh": "hardtanh"}

NAMED: Mapping[str, Activation] = {
    "linear": linear,
    "tanh": gx.tanh,
    "exponential": gx.exp,
    **{name: getattr(nn, name) for name in _OWN_NAMES},
    **{name: getattr(nn, own) for name, own in _KERAS_NAMES.items()},
}


def activation(value: str | Activation | None) -> Activation:
    """The function that a name, a function or None (x itself) stands for."""
    if value is None:
        return linear
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    if callable(value):
        return value
    raise gx.errors.InputError(
        f"no activation {value!r}", where=gx.errors.caller(), hint="a function of a symbol, or one of " + ", ".join(NAMED)
    )
