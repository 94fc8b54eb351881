"""Layers that normalise: values less their mean, over their standard deviation."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.layer import Layer


class BatchNorm(Layer):
    """x less the mean over the batch, over the standard deviation, for each channel; then times gamma plus beta.

    x: floats [batch, channels], or images [batch, ..., channels] (layout "NCHW": [batch, channels, ...]). While training by the
    batch's own mean and variance, which move the running ones: momentum * old + (1 - momentum) * the batch's; else, and where
    `trainable` is False, by the running ones (Ioffe and Szegedy 2015, arXiv:1502.03167). Those need some 5 / (1 - momentum) steps
    to forget what they began as, 500 by default: give 0.9 for trainings that are shorter. Weights: gamma, beta [channels];
    state: moving_mean, moving_variance [channels].

    >>> import graphc as gx
    >>> layer = gx.layers.BatchNorm()
    >>> layer(gx.layers.Input((28, 28, 16))).shape, list(layer.variables)
    ((batch, 28, 28, 16), ['moving_mean', 'moving_variance', 'gamma', 'beta'])
    """

    def __init__(
        self, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True, layout: str = "NHWC",
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.momentum, self.epsilon, self.center, self.scale, self.layout = momentum, epsilon, center, scale, layout
        self.build_early()

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        given = self.floats(x)
        channels = given.shape[1 if self.layout[-1] != "C" else -1]
        mean = self.variable("moving_mean", (channels,), "zeros", trainable=False)
        variance = self.variable("moving_variance", (channels,), "ones", trainable=False)
        x = gx.astype(given, mean.dtype) if given.dtype.arithmetic == mean.dtype else given  # 16 bits in the state's
        gamma = gx.astype(self.variable("gamma", (channels,), "ones"), mean.dtype) if self.scale else None
        beta = gx.astype(self.variable("beta", (channels,), "zeros"), mean.dtype) if self.center else None
        if not training or not self.trainable:
            y = gx.nn.batch_norm(x, mean, variance, gamma, beta, eps=self.epsilon, layout=self.layout)
            return gx.astype(y, given.dtype)
        y, updates = gx.nn.batch_norm_training(
            x, mean, variance, gamma, beta, momentum=1 - self.momentum, eps=self.epsilon, layout=self.layout
        )
        for state, new in updates.items():
            self.update(state, new)
        return gx.astype(y, given.dtype)


class LayerNorm(Layer):
    """x less its mean, over its standard deviation, along the last axis; then times gamma plus beta, each [channels]."""

    def __init__(self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        gamma = self.variable("gamma", (x.shape[-1],), "ones") if self.scale else None
        beta = self.variable("beta", (x.shape[-1],), "zeros") if self.center else None
        return gx.nn.layer_norm(x, gamma, beta, eps=self.epsilon)


class RMSNorm(Layer):
    """x over the root of its mean square along the last axis; then times scale [channels]."""

    def __init__(self, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.epsilon = epsilon
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        return gx.nn.rms_norm(x, self.variable("scale", (x.shape[-1],), "ones"), eps=self.epsilon)


class GroupNorm(Layer):
    """Each sample's groups of channels less their mean, over their standard deviation; then times gamma plus beta [channels]."""

    def __init__(
        self, groups: int = 32, epsilon: float = 1e-3, center: bool = True, scale: bool = True, layout: str = "NHWC",
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.groups, self.epsilon, self.center, self.scale, self.layout = groups, epsilon, center, scale, layout
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        channels = x.shape[1 if self.layout[-1] != "C" else -1]
        gamma = self.variable("gamma", (channels,), "ones") if self.scale else None
        beta = self.variable("beta", (channels,), "zeros") if self.center else None
        groups: Any = channels if self.groups == -1 else self.groups
        return gx.nn.group_norm(x, groups, gamma, beta, eps=self.epsilon, layout=self.layout)


class BatchNormalization(BatchNorm):
    """`BatchNorm`, by Keras's name."""


class LayerNormalization(LayerNorm):
    """`LayerNorm`, by Keras's name."""


class GroupNormalization(GroupNorm):
    """`GroupNorm`, by Keras's name."""


class RMSNormalization(RMSNorm):
    """`RMSNorm`, by Keras's name."""
