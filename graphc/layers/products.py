"""Layers that are a product of their input with a kernel: what is quantised, and pruned.

    Product.rounded       the input, as it goes into the product
    Product.kernel_with   the kernel, as it goes into the product

`gx.quantize` and `gx.prune` set how; a layer that was never given to them has float weights, and all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer
from graphc.layers.regularizers import Regularizer


@dataclass(frozen=True)
class Quantization:
    """How a layer computes its product in integers of 8 bits.

    dtype: of the input as integers, "int8", or "uint8" where it has no negative numbers. trainable: whether the kernel stays
    float32 and is rounded on its way into the product, so that it can be trained; else it is int8.
    """

    dtype: str = "int8"
    trainable: bool = False


class Product(Layer):
    """A layer that multiplies its input with a kernel.

    quantization: how, where integers stand for floats; a state "input_scale" belongs to it, and "kernel_scale" to a kernel of
    integers. pruned: whether elements of the kernel that are 0 stay it in training.
    """

    channels = -1  # the axis of the kernel along which each output channel has a scale of its own

    def __init__(self, *, quantization: Quantization | None = None, pruned: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.quantization, self.pruned = quantization, bool(pruned)

    def get_config(self) -> dict[str, Any]:
        found = super().get_config()
        return {key: v for key, v in found.items() if v or key not in ("quantization", "pruned")}

    def rounded(self, x: Tensor) -> Tensor:
        """The input of the product: x, or the numbers that its integers stand for."""
        given = self.quantization
        if given is None:
            return x
        scale = self.variable("input_scale", (), 1.0, trainable=False, dtype="float32")
        if given.trainable:
            return gx.fake_quantize(x, scale, dtype=given.dtype)
        return gx.dequantize_linear(gx.quantize_linear(x, scale, dtype=given.dtype), scale)

    def kernel_with(
        self, shape: Sequence[Any], initial: str | Initializer, regularizer: str | Regularizer | None = None
    ) -> Tensor:
        """The kernel of the product."""
        given = self.quantization
        if given is not None and not given.trainable:
            kernel = self.variable("kernel", shape, "zeros", trainable=False, dtype="int8")
            scale = self.variable("kernel_scale", (shape[self.channels],), "ones", trainable=False, dtype="float32")
            return gx.dequantize_linear(kernel, scale, axis=self.channels)
        weight: Tensor = self.variable("kernel", shape, initial, regularizer=regularizer)
        if self.pruned and self.is_training():
            weight = kept(weight)
        if given is not None:
            weight = gx.fake_quantize(weight, scale_of(weight, self.channels), axis=self.channels)
        return weight


def kept(weight: Tensor) -> Tensor:
    """Weights of which those that are 0 get no gradient: they stay 0."""
    return gx.where(weight != 0, weight, gx.zeros((), weight.dtype))


def scale_of(kernel: Tensor, axis: int) -> Tensor:
    """The step of int8 for each channel of a kernel: its largest element is 127. Of zeros it is 1."""
    rest = tuple(a for a in range(kernel.ndim) if a != axis % kernel.ndim)
    largest = gx.stop_gradient(gx.max(gx.abs(kernel), axis=rest))
    return gx.where(largest > 0, largest / 127, gx.ones((), kernel.dtype))
