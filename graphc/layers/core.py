"""Layers of products, and of single elements."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.activations import Activation as Function
from graphc.layers.activations import activation as named_activation
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer
from graphc.layers.regularizers import Regularizer


class Dense(Layer):
    """activation(x @ kernel + bias), over the last axis of x.

    units: the last axis of the result. x: floats [..., inputs], of any rank from 1 on. Weights: kernel [inputs, units] and bias
    [units].

    >>> import numpy as np, graphc as gx
    >>> layer = gx.layers.Dense(2, kernel_initializer="ones")
    >>> layer(np.ones((1, 3), "float32")).eval()
    array([[3., 3.]], dtype=float32)
    """

    def __init__(
        self, units: int, activation: str | Function | None = None, use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform", bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Regularizer | None = None, bias_regularizer: str | Regularizer | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.units = gx.ops.normalize_integer("Dense", "units", units)
        self.activation, self.use_bias = activation, use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        named_activation(activation)
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        if not x.ndim:
            raise gx.errors.ShapeError(f"Dense needs [..., inputs], got {x.type}", where=gx.errors.caller())
        kernel = self.variable(
            "kernel", (x.shape[-1], self.units), self.kernel_initializer, regularizer=self.kernel_regularizer
        )  # fmt: skip
        y = x @ kernel
        if self.use_bias:
            y = y + self.variable("bias", (self.units,), self.bias_initializer, regularizer=self.bias_regularizer)
        return named_activation(self.activation)(y)


class Activation(Layer):
    """A function of single elements, by name or given.

    >>> import numpy as np, graphc as gx
    >>> gx.layers.Activation("relu")(np.array([-1.0, 2.0])).eval()
    array([0., 2.])
    """

    def __init__(self, activation: str | Function, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activation
        named_activation(activation)

    def call(self, x: Tensor) -> Tensor:
        return named_activation(self.activation)(x)


class Dropout(Layer):
    """While training, x with elements set to 0, each with probability `rate`, and the others divided by 1 - rate; else x.

    State: the key of its random numbers, which moves on with every training step.
    """

    def __init__(self, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return gx.nn.dropout(x, self.rate, self.key()) if training and self.rate else x


class Flatten(Layer):
    """All axes but the batch's as one: [batch, ...] -> [batch, n].

    >>> import graphc as gx
    >>> gx.layers.Flatten()(gx.layers.Input((28, 28))).shape
    (batch, 784)
    """

    def call(self, x: Tensor) -> Tensor:
        return gx.reshape(x, (x.shape[0], gx.ops.product(x.shape[1:])))
