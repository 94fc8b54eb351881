"""Layers of convolutions, over one to three axes."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.activations import Activation
from graphc.layers.activations import activation as named_activation
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer, positive
from graphc.layers.products import Product
from graphc.layers.regularizers import Regularizer


class Conv(Product):
    """activation(convolution of x with kernels, plus bias), for images of one to three axes.

    x: floats [batch, ..., channels], or [batch, channels, ...] with layout="NCHW". filters: the channels of the result.
    kernel_size, strides, dilation_rate: an integer, or one for each axis. padding: "valid", "same", for one axis "causal" (places
    see only what is before them), or what `gx.nn.conv` takes. groups: into how many parts channels are split. Weights: kernel
    [..., channels / groups, filters] (layout "NCHW": [filters, channels / groups, ...]) and bias [filters].

    >>> import graphc as gx
    >>> layer = gx.layers.Conv(16, 3, padding="same", activation="relu")
    >>> layer(gx.layers.Input((28, 28, 1))).shape, layer.count_params()
    ((batch, 28, 28, 16), 160)
    """

    axes: int | None = None

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", dilation_rate: Any = 1, groups: int = 1,
        activation: str | Activation | None = None, use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform", bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Regularizer | None = None, bias_regularizer: str | Regularizer | None = None,
        layout: str = "NHWC", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.filters = positive(self, "filters", filters)
        self.kernel_size, self.strides, self.padding, self.dilation_rate = kernel_size, strides, padding, dilation_rate
        self.groups, self.activation, self.use_bias = groups, activation, use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer, self.layout = kernel_regularizer, bias_regularizer, layout
        named_activation(activation)
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        channels = _channels(self, x)
        window = each_axis(self.kernel_size, x.ndim - 2)
        kernel = self.kernel_for((channels // self.groups, self.filters), window)
        y = gx.nn.conv(
            self.rounded(x), kernel, self.bias_of(self.filters), stride=self.strides, padding=self.padded(window),
            dilation=self.dilation_rate, groups=self.groups, layout=self.layout,
        )  # fmt: skip
        return named_activation(self.activation)(y)

    def kernel_for(self, ends: tuple[Any, Any], window: tuple[int, ...]) -> Tensor:
        """The weight [..., in, out] in the layout of the images."""
        w = self.kernel_with((*window, *ends), self.kernel_initializer, self.kernel_regularizer)
        if self.layout == "NHWC" or self.layout[-1] == "C":
            return w
        return gx.permute_dims(w, (w.ndim - 1, w.ndim - 2, *range(w.ndim - 2)))

    def bias_of(self, count: int) -> Tensor | None:
        if not self.use_bias:
            return None
        return self.variable("bias", (count,), self.bias_initializer, regularizer=self.bias_regularizer)

    def padded(self, window: tuple[int, ...]) -> Any:
        if self.padding != "causal":
            return self.padding
        if len(window) != 1:
            raise gx.errors.InputError('padding "causal" is for one axis', where=gx.errors.caller(), hint='use "same", or pad')
        (apart,) = each_axis(self.dilation_rate, 1)
        return [(apart * (window[0] - 1), 0)]


def each_axis(value: Any, axes: int) -> tuple[int, ...]:
    """An integer for each axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes


def _channels(layer: Any, x: Tensor) -> Any:
    name, wanted = type(layer).__name__, layer.axes
    if not 3 <= x.ndim <= 5 or (wanted is not None and x.ndim != wanted + 2):
        raise gx.errors.ShapeError(
            f"{name} needs a batch of images of {wanted or '1 to 3'} axes with channels, got {x.type}", where=gx.errors.caller(),
            hint="grey images have a channel too: gx.expand_dims(x, -1), or Reshape((height, width, 1))",
        )  # fmt: skip
    return x.shape[1 if layer.layout[-1] != "C" else -1]


class Conv1D(Conv):
    """`Conv` of sequences, [batch, time, channels]."""

    axes = 1


class Conv2D(Conv):
    """`Conv` of images, [batch, height, width, channels]."""

    axes = 2


class Conv3D(Conv):
    """`Conv` of volumes, [batch, depth, height, width, channels]."""

    axes = 3


class DepthwiseConv2D(Conv):
    """Each channel convolved with `depth_multiplier` kernels of its own.

    Weights: kernel [..., 1, channels * depth_multiplier] and bias. depthwise_initializer, depthwise_regularizer: other names of
    the kernel's. Others: see `Conv`.
    """

    axes: int | None = 2

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: Any = "valid", depth_multiplier: int = 1, **options: Any
    ) -> None:
        self.depth_multiplier = depth_multiplier
        for kind in ("initializer", "regularizer"):
            if f"depthwise_{kind}" in options:
                options[f"kernel_{kind}"] = options.pop(f"depthwise_{kind}")
        super().__init__(1, kernel_size, strides, padding, **options)

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        channels = _channels(self, x)
        self.groups, self.filters = channels, channels * self.depth_multiplier
        return super().call(x)


class DepthwiseConv1D(DepthwiseConv2D):
    """`DepthwiseConv2D` of sequences."""

    axes = 1


class SeparableConv2D(Layer):
    """A depthwise convolution, and a product of its channels: Chollet 2017, arXiv:1610.02357."""

    kinds: tuple[type[DepthwiseConv2D], type[Conv]] = (DepthwiseConv2D, Conv2D)

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", depth_multiplier: int = 1,
        activation: str | Activation | None = None, use_bias: bool = True, layout: str = "NHWC", dilation_rate: Any = 1,
        depthwise_initializer: str | Initializer = "glorot_uniform", pointwise_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros", depthwise_regularizer: str | Regularizer | None = None,
        pointwise_regularizer: str | Regularizer | None = None, bias_regularizer: str | Regularizer | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.filters, self.kernel_size, self.strides, self.padding = filters, kernel_size, strides, padding
        self.depth_multiplier, self.activation, self.use_bias, self.layout = depth_multiplier, activation, use_bias, layout
        self.dilation_rate, self.bias_initializer, self.bias_regularizer = dilation_rate, bias_initializer, bias_regularizer
        self.depthwise_initializer, self.depthwise_regularizer = depthwise_initializer, depthwise_regularizer
        self.pointwise_initializer, self.pointwise_regularizer = pointwise_initializer, pointwise_regularizer
        depthwise, pointwise = self.kinds
        self.depthwise = depthwise(
            kernel_size, strides, padding, depth_multiplier, use_bias=False, layout=layout, dilation_rate=dilation_rate,
            depthwise_initializer=depthwise_initializer, depthwise_regularizer=depthwise_regularizer,
        )  # fmt: skip
        self.pointwise = pointwise(
            filters, 1, activation=activation, use_bias=use_bias, layout=layout, bias_initializer=bias_initializer,
            kernel_initializer=pointwise_initializer, kernel_regularizer=pointwise_regularizer, bias_regularizer=bias_regularizer,
        )  # fmt: skip
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


class SeparableConv1D(SeparableConv2D):
    """`SeparableConv2D` of sequences."""

    kinds = (DepthwiseConv1D, Conv1D)


class ConvTranspose(Conv):
    """The adjoint of `Conv` in its images: each element of x adds a multiple of a kernel to the result.

    padding: "same" for a result `strides` times as large as x, "valid" for all that kernels reach, or what
    `gx.nn.conv_transpose` takes. Weights: kernel [..., filters, channels] and bias [filters].

    >>> import graphc as gx
    >>> gx.layers.ConvTranspose(8, 3, strides=2, padding="same")(gx.layers.Input((7, 7, 4))).shape
    (batch, 14, 14, 8)
    """

    channels = -2

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        channels = _channels(self, x)
        window = each_axis(self.kernel_size, x.ndim - 2)
        strides, apart = each_axis(self.strides, x.ndim - 2), each_axis(self.dilation_rate, x.ndim - 2)
        padding, more = self.padding, (0,) * len(window)
        if padding == "valid":
            padding, more = 0, tuple(max(s - (d * (k - 1) + 1), 0) for s, k, d in zip(strides, window, apart, strict=True))
        elif padding == "same":
            reach = [d * (k - 1) + 1 - s for k, d, s in zip(window, apart, strides, strict=True)]
            padding = [(max(r, 0) // 2, max(r, 0) - max(r, 0) // 2) for r in reach]
            more = tuple(max(-r, 0) for r in reach)
        y = gx.nn.conv_transpose(
            self.rounded(x), self.kernel_for((self.filters, channels), window), self.bias_of(self.filters), stride=strides,
            padding=padding, output_padding=more, dilation=apart, layout=self.layout,
        )  # fmt: skip
        return named_activation(self.activation)(y)


class Conv1DTranspose(ConvTranspose):
    """`ConvTranspose` of sequences."""

    axes = 1


class Conv2DTranspose(ConvTranspose):
    """`ConvTranspose` of images."""

    axes = 2


class Conv3DTranspose(ConvTranspose):
    """`ConvTranspose` of volumes."""

    axes = 3
