"""Layers of functions of single elements that have options or weights; `Activation` takes the others by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer
from graphc.layers.regularizers import Regularizer


class ReLU(Layer):
    """x where it is at least `threshold`, up to `max_value`; else negative_slope * (x - threshold)."""

    supports_masking = True

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        if not self.threshold and self.max_value is None:
            return gx.nn.leaky_relu(x, self.negative_slope) if self.negative_slope else gx.nn.relu(x)
        above = x if self.max_value is None else gx.minimum(x, self.max_value)
        return gx.where(x >= self.threshold, above, self.negative_slope * (x - self.threshold))


class LeakyReLU(Layer):
    """x where it is positive, else negative_slope * x.

    >>> import numpy as np, graphc as gx
    >>> gx.layers.LeakyReLU(0.5)(np.array([-2.0, 3.0])).eval()
    array([-1.,  3.])
    """

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = negative_slope

    def call(self, x: Tensor) -> Tensor:
        return gx.nn.leaky_relu(self.floats(x), self.negative_slope)


class PReLU(Layer):
    """x where it is positive, else alpha * x (He et al. 2015, arXiv:1502.01852). Weight: alpha, of a sample's shape.

    shared_axes: axes, of which the batch's is 0, along which one number serves: [1, 2] for images, and 1 for sequences of any
    length.
    """

    supports_masking = True

    def __init__(
        self, alpha_initializer: str | Initializer = "zeros", alpha_regularizer: str | Regularizer | None = None,
        shared_axes: int | Sequence[int] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.alpha_initializer, self.alpha_regularizer = alpha_initializer, alpha_regularizer
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        shared = {axis % x.ndim for axis in self.shared_axes or ()}
        shape = tuple(1 if axis in shared else n for axis, n in enumerate(x.shape) if axis)
        return gx.nn.prelu(x, self.variable("alpha", shape, self.alpha_initializer, regularizer=self.alpha_regularizer))


class ELU(Layer):
    """x where it is positive, else alpha * (e^x - 1)."""

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, x: Tensor) -> Tensor:
        return gx.nn.elu(self.floats(x), self.alpha)


class Softmax(Layer):
    """e^x over its sum along an axis."""

    supports_masking = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, x: Tensor) -> Tensor:
        return gx.nn.softmax(self.floats(x), axis=self.axis)
