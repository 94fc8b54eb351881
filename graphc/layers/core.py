"""Layers of products, and of single elements."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.activations import Activation as Function
from graphc.layers.activations import activation as named_activation
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer, positive
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
        self.units = positive(self, "units", units)
        self.activation, self.use_bias = activation, use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        named_activation(activation)
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
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
        if not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise gx.errors.InputError(
                f"{type(self).__name__}: rate is {rate!r}", where=gx.errors.caller(), hint="a number from 0 to below 1"
            )
        self.rate = rate

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if self.rate:
            self.random_state()
        return gx.nn.dropout(x, self.rate, self.key()) if training and self.rate else x


class Flatten(Layer):
    """All axes but the batch's as one: [batch, ...] -> [batch, n].

    >>> import graphc as gx
    >>> gx.layers.Flatten()(gx.layers.Input((28, 28))).shape
    (batch, 784)
    """

    def call(self, x: Tensor) -> Tensor:
        return gx.reshape(x, (x.shape[0], gx.ops.product(x.shape[1:])))


class Reshape(Layer):
    """The axes after the batch's in another shape: [batch, ...] -> [batch, *target_shape]; one size may be -1.

    >>> import graphc as gx
    >>> gx.layers.Reshape((28, 28, 1))(gx.layers.Input((784,))).shape
    (batch, 28, 28, 1)
    """

    def __init__(self, target_shape: Any, **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)

    def call(self, x: Tensor) -> Tensor:
        have, want = gx.ops.product(x.shape[1:]), gx.ops.product(self.target_shape)
        if isinstance(have, int) and isinstance(want, int) and -1 not in self.target_shape and have != want:
            raise gx.errors.ShapeError(
                f"Reshape: a sample of {have} numbers, {x.type}, has no shape {list(self.target_shape)}", where=gx.errors.caller()
            )
        return gx.reshape(x, (x.shape[0], *self.target_shape))


class Permute(Layer):
    """The axes after the batch's in another order: dims counts them from 1, as in Keras."""

    def __init__(self, dims: Any, **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)

    def call(self, x: Tensor) -> Tensor:
        return gx.permute_dims(x, (0, *self.dims))


class Rescaling(Layer):
    """x * scale + offset, as floats: of bytes, 1 / 255 makes numbers from 0 to 1."""

    def __init__(self, scale: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    def call(self, x: Tensor) -> Tensor:
        y: Tensor = self.floats(x) * self.scale + self.offset
        return y


class Lambda(Layer):
    """A function of symbols as a layer; it has no variables."""

    def __init__(self, function: Any, **options: Any) -> None:
        super().__init__(**options)
        gx.ops.check_function("Lambda", "the function", function)
        self.function = function

    def call(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class GaussianNoise(Layer):
    """While training, x plus normal numbers of a standard deviation; else x."""

    def __init__(self, stddev: float, **options: Any) -> None:
        super().__init__(**options)
        self.stddev = stddev

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        self.random_state()
        return x + self.stddev * gx.random.normal(self.key(), x.shape, x.dtype) if training else x


class SpatialDropout(Dropout):
    """`Dropout` of whole channels: x [batch, ..., channels]."""

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if self.rate:
            self.random_state()
        if not training or not self.rate:
            return x
        kept = gx.nn.dropout(gx.ones((x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1]), x.dtype), self.rate, self.key())
        return x * kept


# --- several inputs -----------------------------------------------------------------------------------------------------


class _Merge(Layer):
    """A list of symbols of one shape."""

    def call(self, *inputs: Any) -> Tensor:
        parts = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        y: Tensor = parts[0]
        for x in parts[1:]:
            y = self.merge(y, x)
        return y

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        raise NotImplementedError


class Add(_Merge):
    """The sum of several symbols: Add()([a, b])."""

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Subtract(_Merge):
    """The first of two symbols less the second."""

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return a - b


class Multiply(_Merge):
    """The product of several symbols, element by element."""

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


class Maximum(_Merge):
    """The largest of several symbols, element by element."""

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return gx.maximum(a, b)


class Average(_Merge):
    """The mean of several symbols, element by element."""

    def call(self, *inputs: Any) -> Tensor:
        parts = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        y: Tensor = sum(parts[1:], parts[0]) / len(parts)
        return y


class Concatenate(Layer):
    """Several symbols joined along an axis: Concatenate()([a, b])."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, *inputs: Any) -> Tensor:
        parts = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        return gx.concat(parts, axis=self.axis)


class Concat(Concatenate):
    """`Concatenate`, by the name of `gx.concat`."""


class Residual(Layer):
    """x plus what a layer makes of it (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, layer: Layer, **options: Any) -> None:
        super().__init__(**options)
        self.layer = layer

    def call(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layer(x)
        return y
