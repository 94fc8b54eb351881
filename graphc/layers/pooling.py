"""Layers that take the maximum or the mean of windows, or make images larger."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.convolution import each_axis
from graphc.layers.layer import Layer, positive


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
    def __init__(self, layout: str = "NHWC", keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.layout, self.keepdims = layout, keepdims

    def kept(self, y: Tensor, axes: int) -> Tensor:
        """The figures of channels, with axes of size 1 in the place of those that are gone, where that is wanted."""
        first = 1 if self.layout[-1] == "C" else 2
        return gx.expand_dims(y, tuple(range(first, first + axes - 2))) if self.keepdims else y


class GlobalAveragePool(_Global):
    """The mean of every channel: [batch, ..., channels] -> [batch, channels]. mask: [batch, time], true where steps count.

    keepdims: whether the other axes stay, with size 1.
    """

    def call(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.floats(x)
        if mask is None or x.ndim != mask.ndim + 1:
            return self.kept(gx.nn.global_avg_pool(x, layout=self.layout), x.ndim)
        counted = gx.expand_dims(gx.astype(mask, x.dtype), -1)
        return self.kept(gx.sum(x * counted, axis=1) / gx.maximum(gx.sum(counted, axis=1), 1), x.ndim)


class GlobalMaxPool(_Global):
    """The largest element of every channel: [batch, ..., channels] -> [batch, channels]. mask: [batch, time], true where steps
    count; 0 where none do. keepdims: see `GlobalAveragePool`."""

    def call(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None or x.ndim != mask.ndim + 1:
            return self.kept(gx.nn.global_max_pool(x, layout=self.layout), x.ndim)
        x, counted = self.floats(x), gx.expand_dims(mask, -1)
        found = gx.max(gx.where(counted, x, gx.full((), -gx.inf, x.dtype)), axis=1)
        return self.kept(gx.where(gx.any(counted, axis=1), found, gx.zeros((), x.dtype)), x.ndim)


class GlobalAveragePooling1D(GlobalAveragePool):
    """`GlobalAveragePool` of sequences."""


class GlobalAveragePooling2D(GlobalAveragePool):
    """`GlobalAveragePool` of images."""


class GlobalAveragePooling3D(GlobalAveragePool):
    """`GlobalAveragePool` of volumes."""


class GlobalMaxPooling1D(GlobalMaxPool):
    """`GlobalMaxPool` of sequences."""


class GlobalMaxPooling2D(GlobalMaxPool):
    """`GlobalMaxPool` of images."""


class GlobalMaxPooling3D(GlobalMaxPool):
    """`GlobalMaxPool` of volumes."""


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D  # Keras has both names
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D


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


class UpSampling1D(UpSampling):
    """`UpSampling` of sequences."""


class UpSampling2D(UpSampling):
    """`UpSampling` of images."""


class UpSampling3D(UpSampling):
    """`UpSampling` of volumes."""


class Resizing(Layer):
    """Images [batch, height, width, channels] at another size. interpolation: "nearest" or "bilinear"."""

    def __init__(
        self, height: int, width: int, interpolation: str = "bilinear", layout: str = "NHWC", **options: Any
    ) -> None:
        super().__init__(**options)
        self.height, self.width = positive(self, "height", height), positive(self, "width", width)
        if interpolation not in ("nearest", "bilinear"):
            raise gx.errors.InputError(
                f"Resizing: interpolation is {interpolation!r}", where=gx.errors.caller(), hint='"nearest" or "bilinear"'
            )
        self.interpolation, self.layout = interpolation, layout

    def call(self, x: Tensor) -> Tensor:
        method = "linear" if self.interpolation == "bilinear" else self.interpolation
        return gx.nn.resize(x, (self.height, self.width), method=method, layout=self.layout)


class Cropping(Layer):
    """Images without their edges, [batch, ..., channels]. cropping: an integer, or for each axis an integer or (before, after).

    >>> import graphc as gx
    >>> gx.layers.Cropping(((1, 2), 3))(gx.layers.Input((28, 28, 4))).shape
    (batch, 25, 22, 4)
    """

    axes: int | None = None

    def __init__(self, cropping: Any = 1, layout: str = "NHWC", **options: Any) -> None:
        super().__init__(**options)
        self.cropping, self.layout = cropping, layout

    def call(self, x: Tensor) -> Tensor:
        given, axes = self.cropping, x.ndim - 2
        if self.axes is not None and axes != self.axes:
            raise gx.errors.ShapeError(
                f"{type(self).__name__} needs a batch of {self.axes} axes with channels, got {x.type}", where=gx.errors.caller()
            )
        if axes == 1 and isinstance(given, (tuple, list)) and len(given) == 2:
            given = (given,)  # before and after, of the one axis
        pairs = [p if isinstance(p, (tuple, list)) else (p, p) for p in each_axis(given, axes)]
        first = 2 if self.layout[-1] != "C" else 1
        key: list[Any] = [slice(None)] * x.ndim
        for axis, (before, after) in enumerate(pairs, first):
            size = x.shape[axis]
            if min(before, after) < 0 or (isinstance(size, int) and before + after >= size):
                raise gx.errors.ShapeError(
                    f"{type(self).__name__}: nothing is left of axis {axis} of {x.type} without {before} and {after}",
                    where=gx.errors.caller(),
                )
            key[axis] = slice(before, size - after)
        return x[tuple(key)]


class Cropping1D(Cropping):
    """`Cropping` of sequences: (before, after), or a number for both."""

    axes = 1


class Cropping2D(Cropping):
    """`Cropping` of images."""

    axes = 2


class Cropping3D(Cropping):
    """`Cropping` of volumes."""

    axes = 3


class CenterCrop(Layer):
    """The middle of images [batch, height, width, channels]."""

    def __init__(self, height: int, width: int, layout: str = "NHWC", **options: Any) -> None:
        super().__init__(**options)
        self.height, self.width, self.layout = positive(self, "height", height), positive(self, "width", width), layout

    def call(self, x: Tensor) -> Tensor:
        first = 2 if self.layout[-1] != "C" else 1
        key: list[Any] = [slice(None)] * x.ndim
        for axis, size in ((first, self.height), (first + 1, self.width)):
            have = x.shape[axis]
            if not isinstance(have, int) or have < size:
                raise gx.errors.ShapeError(
                    f"CenterCrop: {size} of axis {axis} of {x.type}", where=gx.errors.caller(),
                    hint="images of fixed sizes that are larger: Resizing makes them so",
                )  # fmt: skip
            begin = (have - size) // 2
            key[axis] = slice(begin, begin + size)
        return x[tuple(key)]


class ZeroPadding(Layer):
    """Zeros around images, [batch, ..., channels]. padding: an integer, or for each axis an integer or (before, after)."""

    def __init__(self, padding: Any = 1, layout: str = "NHWC", **options: Any) -> None:
        super().__init__(**options)
        self.padding, self.layout = padding, layout

    def call(self, x: Tensor) -> Tensor:
        given = self.padding
        if x.ndim == 3 and isinstance(given, (tuple, list)) and len(given) == 2:
            given = (given,)  # before and after, of the one axis
        pairs = [p if isinstance(p, (tuple, list)) else (p, p) for p in each_axis(given, x.ndim - 2)]
        around = [(0, 0), (0, 0), *pairs] if self.layout[-1] != "C" else [(0, 0), *pairs, (0, 0)]
        return gx.pad(x, around)


class ZeroPadding1D(ZeroPadding):
    """`ZeroPadding` of sequences: (before, after), or a number for both."""


class ZeroPadding3D(ZeroPadding):
    """`ZeroPadding` of volumes."""


class ZeroPadding2D(ZeroPadding):
    """`ZeroPadding` of images."""
