"""Layers that take the maximum or the mean of windows, or make images larger."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.convolution import each_axis
from graphc.layers.layer import Layer


class _Windows(Layer):
    """pool_size: the window, an integer or one for each axis. strides: the window by default. padding: "valid" or "same"."""

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: Any = "valid", layout: str = "NHWC", **options: Any
    ) -> None:
        super().__init__(**options)
        self.pool_size, self.strides, self.padding, self.layout = pool_size, strides, padding, layout


class MaxPool(_Windows):
    """The largest element of every window of images of one to three axes, [batch, ..., channels].

    pool_size: the window, an integer or one for each axis. strides: the window by default. padding: "valid" or "same".

    >>> import graphc as gx
    >>> gx.layers.MaxPool(2)(gx.layers.Input((28, 28, 16))).shape
    (batch, 14, 14, 16)
    """

    def call(self, x: Tensor) -> Tensor:
        return gx.nn.max_pool(x, self.pool_size, stride=self.strides, padding=self.padding, layout=self.layout)


class AveragePool(_Windows):
    """The mean of every window of images of one to three axes, [batch, ..., channels]; what is padded does not count.

    pool_size: the window, an integer or one for each axis. strides: the window by default. padding: "valid" or "same".
    """

    def call(self, x: Tensor) -> Tensor:
        return gx.nn.avg_pool(
            self.floats(x), self.pool_size, stride=self.strides, padding=self.padding, count_padding=False, layout=self.layout
        )


class MaxPooling1D(MaxPool):
    """`MaxPool` of sequences."""


class MaxPooling2D(MaxPool):
    """`MaxPool` of images."""


class MaxPooling3D(MaxPool):
    """`MaxPool` of volumes."""


class AveragePooling1D(AveragePool):
    """`AveragePool` of sequences."""


class AveragePooling2D(AveragePool):
    """`AveragePool` of images."""


class AveragePooling3D(AveragePool):
    """`AveragePool` of volumes."""


class _Global(Layer):
    def __init__(self, layout: str = "NHWC", **options: Any) -> None:
        super().__init__(**options)
        self.layout = layout


class GlobalAveragePool(_Global):
    """The mean of every channel: [batch, ..., channels] -> [batch, channels]. mask: [batch, time], true where steps count."""

    def call(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.floats(x)
        if mask is None:
            return gx.nn.global_avg_pool(x, layout=self.layout)
        counted = gx.expand_dims(gx.astype(mask, x.dtype), -1)
        return gx.sum(x * counted, axis=1) / gx.maximum(gx.sum(counted, axis=1), 1)


class GlobalMaxPool(_Global):
    """The largest element of every channel: [batch, ..., channels] -> [batch, channels]."""

    def call(self, x: Tensor) -> Tensor:
        return gx.nn.global_max_pool(x, layout=self.layout)


class GlobalAveragePooling1D(GlobalAveragePool):
    """`GlobalAveragePool` of sequences."""


class GlobalAveragePooling2D(GlobalAveragePool):
    """`GlobalAveragePool` of images."""


class GlobalMaxPooling1D(GlobalMaxPool):
    """`GlobalMaxPool` of sequences."""


class GlobalMaxPooling2D(GlobalMaxPool):
    """`GlobalMaxPool` of images."""


class UpSampling(Layer):
    """Images of one to three axes, [batch, ..., channels], `size` times as large. interpolation: "nearest" or "linear".

    >>> import graphc as gx
    >>> gx.layers.UpSampling(2)(gx.layers.Input((7, 7, 4))).shape
    (batch, 14, 14, 4)
    """

    def __init__(self, size: Any = 2, interpolation: str = "nearest", layout: str = "NHWC", **options: Any) -> None:
        super().__init__(**options)
        self.size, self.interpolation, self.layout = size, interpolation, layout

    def call(self, x: Tensor) -> Tensor:
        sizes: tuple[Any, ...] = x.shape[2:] if self.layout[-1] != "C" else x.shape[1:-1]
        new = tuple(n * by for n, by in zip(sizes, each_axis(self.size, len(sizes)), strict=True))
        method = "linear" if self.interpolation == "bilinear" else self.interpolation
        return gx.nn.resize(x, new, method=method, layout=self.layout)


class UpSampling2D(UpSampling):
    """`UpSampling` of images."""


class ZeroPadding(Layer):
    """Zeros around images, [batch, ..., channels]. padding: an integer, or for each axis an integer or (before, after)."""

    def __init__(self, padding: Any = 1, layout: str = "NHWC", **options: Any) -> None:
        super().__init__(**options)
        self.padding, self.layout = padding, layout

    def call(self, x: Tensor) -> Tensor:
        pairs = [p if isinstance(p, (tuple, list)) else (p, p) for p in each_axis(self.padding, x.ndim - 2)]
        around = [(0, 0), (0, 0), *pairs] if self.layout[-1] != "C" else [(0, 0), *pairs, (0, 0)]
        return gx.pad(x, around)


class ZeroPadding2D(ZeroPadding):
    """`ZeroPadding` of images."""
