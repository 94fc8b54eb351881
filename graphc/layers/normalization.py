"""Layers that normalise: values less their mean, over their standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, Variable
from graphc.layers import initializers
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer
from graphc.layers.regularizers import Regularizer


class _Scaled(Layer):
    """A layer that ends in times gamma plus beta, one number of each for a channel."""

    def __init__(
        self, center: bool, scale: bool, beta_initializer: str | Initializer = "zeros",
        gamma_initializer: str | Initializer = "ones", beta_regularizer: str | Regularizer | None = None,
        gamma_regularizer: str | Regularizer | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer

    def scaling(self, channels: Any) -> tuple[Variable | None, Variable | None]:
        """gamma and beta, each where it is wanted."""
        gamma = beta = None
        if self.scale:
            gamma = self.variable("gamma", (channels,), self.gamma_initializer, regularizer=self.gamma_regularizer)
        if self.center:
            beta = self.variable("beta", (channels,), self.beta_initializer, regularizer=self.beta_regularizer)
        return gamma, beta


class BatchNorm(_Scaled):
    """x less the mean over the batch, over the standard deviation, for each channel; then times gamma plus beta.

    x: floats [batch, channels], or images [batch, ..., channels] (layout "NCHW": [batch, channels, ...]). While training by the
    batch's own mean and variance, which move the running ones: momentum * old + (1 - momentum) * the batch's; else, and where
    `trainable` is False, its own or that of a layer around it, by the running ones (Ioffe and Szegedy 2015, arXiv:1502.03167).
    Those need some 5 / (1 - momentum) steps to forget what they began as, 500 by default: give 0.9 for trainings that are
    shorter. Weights: gamma, beta [channels]; state: moving_mean, moving_variance [channels].

    >>> import graphc as gx
    >>> layer = gx.layers.BatchNorm()
    >>> layer(gx.layers.Input((28, 28, 16))).shape, list(layer.variables)
    ((batch, 28, 28, 16), ['moving_mean', 'moving_variance', 'gamma', 'beta'])
    """

    supports_masking = True

    def __init__(
        self, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True, layout: str = "NHWC",
        moving_mean_initializer: str | Initializer = "zeros", moving_variance_initializer: str | Initializer = "ones",
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(center, scale, **options)
        self.momentum, self.epsilon, self.layout = momentum, epsilon, layout
        self.moving_mean_initializer, self.moving_variance_initializer = moving_mean_initializer, moving_variance_initializer
        self.build_early()

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        given = self.floats(x)
        channels = given.shape[1 if self.layout[-1] != "C" else -1]
        mean = self.variable("moving_mean", (channels,), self.moving_mean_initializer, trainable=False)
        variance = self.variable("moving_variance", (channels,), self.moving_variance_initializer, trainable=False)
        x = gx.astype(given, mean.dtype) if given.dtype.arithmetic == mean.dtype else given  # 16 bits in the state's
        gamma, beta = (None if w is None else gx.astype(w, mean.dtype) for w in self.scaling(channels))
        if not training or self.is_frozen():
            y = gx.nn.batch_norm(x, mean, variance, gamma, beta, eps=self.epsilon, layout=self.layout)
            return gx.astype(y, given.dtype)
        y, updates = gx.nn.batch_norm_training(
            x, mean, variance, gamma, beta, momentum=1 - self.momentum, eps=self.epsilon, layout=self.layout
        )
        for state, new in updates.items():
            self.update(state, new)
        return gx.astype(y, given.dtype)


class LayerNorm(_Scaled):
    """x less its mean, over its standard deviation, along the last axis; then times gamma plus beta, each [channels]."""

    supports_masking = True

    def __init__(self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **options: Any) -> None:
        super().__init__(center, scale, **options)
        self.epsilon = epsilon
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        return gx.nn.layer_norm(x, *self.scaling(x.shape[-1]), eps=self.epsilon)


class RMSNorm(Layer):
    """x over the root of its mean square along the last axis; then times scale [channels]."""

    supports_masking = True

    def __init__(self, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.epsilon = epsilon
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        return gx.nn.rms_norm(x, self.variable("scale", (x.shape[-1],), "ones"), eps=self.epsilon)


class GroupNorm(_Scaled):
    """Each sample's groups of channels less their mean, over their standard deviation; then times gamma plus beta [channels]."""

    supports_masking = True

    def __init__(
        self, groups: int = 32, epsilon: float = 1e-3, center: bool = True, scale: bool = True, layout: str = "NHWC",
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(center, scale, **options)
        self.groups, self.epsilon, self.layout = groups, epsilon, layout
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        channels = x.shape[1 if self.layout[-1] != "C" else -1]
        groups: Any = channels if self.groups == -1 else self.groups
        return gx.nn.group_norm(x, groups, *self.scaling(channels), eps=self.epsilon, layout=self.layout)


class BatchNormalization(BatchNorm):
    """`BatchNorm`, by Keras's name."""


class LayerNormalization(LayerNorm):
    """`LayerNorm`, by Keras's name."""


class GroupNormalization(GroupNorm):
    """`GroupNorm`, by Keras's name."""


class RMSNormalization(RMSNorm):
    """`RMSNorm`, by Keras's name."""


class UnitNormalization(Layer):
    """x over its length along an axis."""

    supports_masking = True

    def __init__(self, axis: Any = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        axis = tuple(self.axis) if isinstance(self.axis, (list, tuple)) else self.axis
        return x / gx.sqrt(gx.maximum(gx.sum(x * x, axis=axis, keepdims=True), 1e-12))


class Normalization(Layer):
    """(x - mean) / sqrt(variance), of data that were looked at before: `adapt`; or by a mean and a variance that are given.

    axis: an axis, several, or None: each place along them has a mean and a variance of its own. invert: x * sqrt(variance) +
    mean. State: mean, variance. A standard deviation below 1e-7 counts as that.

    >>> import numpy as np, graphc as gx
    >>> layer = gx.layers.Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer(np.array([[3.0, 20.0]], "float32")).eval()
    array([[1., 0.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if (mean is None) != (variance is None):
            raise gx.errors.InputError("Normalization takes mean and variance, or neither", where=gx.errors.caller())
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(axis)
        self.mean, self.variance, self.invert = _listed(mean), _listed(variance), invert
        self.build_early()

    def call(self, x: Tensor) -> Tensor:
        x = self.floats(x)
        mean, variance = self._state(x.shape)
        kept = self._kept(x.ndim)
        shape = tuple(n if axis in kept else 1 for axis, n in enumerate(x.shape))
        mean, variance = (gx.reshape(gx.astype(v, x.dtype), shape) for v in (mean, variance))
        deviation = gx.maximum(gx.sqrt(variance), 1e-7)
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def adapt(self, data: Any) -> None:
        """Take mean and variance from an array, or from batches of one, (x, y) or x: once through, in float64."""
        batches = [data] if hasattr(data, "shape") else data
        count, mean, about = 0.0, 0.0, 0.0
        shape: tuple[int, ...] = ()
        for batch in batches:
            part = np.asarray(batch[0] if isinstance(batch, tuple) else batch, "float64")
            shape = part.shape
            reduced = tuple(axis for axis in range(part.ndim) if axis not in self._kept(part.ndim))
            n, own = part.size / max(1, np.prod([part.shape[axis] for axis in self._kept(part.ndim)])), part.mean(reduced)
            squares = np.square(part - part.mean(reduced, keepdims=True)).sum(reduced)
            apart, both = own - mean, count + n  # joined as Chan, Golub and LeVeque 1983 do
            about = about + squares + np.square(apart) * count * n / both
            count, mean = both, mean + apart * n / both
        if not count:
            raise gx.errors.InputError("Normalization.adapt: there are no data", where=gx.errors.caller(), hint="adapt(array)")
        if self.mean is not None:
            raise gx.errors.InputError(
                "Normalization.adapt: mean and variance were given", where=gx.errors.caller(), hint="Normalization() adapts"
            )
        state = self._state(shape)
        for variable, value in zip(state, (mean, about / count), strict=True):
            assert isinstance(variable, Variable)
            variable.value = initializers.fitting(variable.name, variable, np.asarray(value).astype(variable.dtype.numpy))

    def _kept(self, ndim: int) -> tuple[int, ...]:
        axes = () if self.axis is None else (self.axis,) if isinstance(self.axis, int) else self.axis
        if any(not -ndim <= axis < ndim for axis in axes):
            raise gx.errors.ShapeError(
                f"Normalization: axis {self.axis} of data of {ndim} axes", where=gx.errors.caller(), hint="axis=None for one mean"
            )
        return tuple(sorted(axis % ndim for axis in axes))

    def _state(self, shape: Any) -> tuple[Tensor, Tensor]:
        sizes = tuple(shape[axis] for axis in self._kept(len(shape)))
        if self.mean is not None:
            mean, variance = (gx.broadcast_to(gx.constant(np.asarray(v, "float64")), sizes) for v in (self.mean, self.variance))
            return mean, variance
        return (
            self.variable("mean", sizes, "zeros", trainable=False), self.variable("variance", sizes, "ones", trainable=False)
        )  # fmt: skip


def _listed(value: Any) -> Any:
    """Numbers as files hold them."""
    return value if value is None else np.asarray(value, "float64").tolist()
