"""Layers of products, and of single elements."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.activations import Activation as Function
from graphc.layers.activations import activation as named_activation
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer, positive
from graphc.layers.products import Product
from graphc.layers.regularizers import L1L2, Regularizer


class Dense(Product):
    """activation(x @ kernel + bias), over the last axis of x.

    units: the last axis of the result. input_dim: the same as input_shape=(input_dim,). x: floats [..., inputs], of any rank
    from 1 on. Weights: kernel [inputs, units] and bias [units].

    >>> import numpy as np, graphc as gx
    >>> layer = gx.layers.Dense(2, kernel_initializer="ones")
    >>> layer(np.ones((1, 3), "float32")).eval()
    array([[3., 3.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self, units: int, activation: str | Function | None = None, use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform", bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Regularizer | None = None, bias_regularizer: str | Regularizer | None = None,
        input_dim: int | None = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**(options if input_dim is None else {"input_shape": (input_dim,), **options}))
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
        kernel = self.kernel_with((x.shape[-1], self.units), self.kernel_initializer, self.kernel_regularizer)
        y = self.rounded(x) @ kernel
        if self.use_bias:
            y = y + self.variable("bias", (self.units,), self.bias_initializer, regularizer=self.bias_regularizer)
        return named_activation(self.activation)(y)


class Activation(Layer):
    """A function of single elements, by name or given.

    >>> import numpy as np, graphc as gx
    >>> gx.layers.Activation("relu")(np.array([-1.0, 2.0])).eval()
    array([0., 2.])
    """

    supports_masking = True

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

    supports_masking = True

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


class Identity(Layer):
    """x itself."""

    supports_masking = True

    def call(self, x: Tensor) -> Tensor:
        return x


class RepeatVector(Layer):
    """Every sample n times, as steps: [batch, channels] -> [batch, n, channels].

    >>> import graphc as gx
    >>> gx.layers.RepeatVector(5)(gx.layers.Input((32,))).shape
    (batch, 5, 32)
    """

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = positive(self, "n", n)

    def call(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise gx.errors.ShapeError(f"RepeatVector needs [batch, channels], got {x.type}", where=gx.errors.caller())
        return gx.broadcast_to(gx.expand_dims(x, 1), (x.shape[0], self.n, x.shape[1]))


class Masking(Layer):
    """x with steps of `mask_value` alone as zeros, and the others as its mask: [batch, time, ...].

    >>> import numpy as np, graphc as gx
    >>> y = gx.layers.Masking()(np.array([[[1.0, 0.0], [0.0, 0.0]]]))
    >>> gx.layers.mask_of(y).eval()
    array([[ True, False]])
    """

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.mask_value = mask_value

    def call(self, x: Tensor) -> Tensor:
        there = gx.any(x != self.mask_value, axis=-1, keepdims=True)
        return gx.where(there, x, gx.zeros((), x.dtype))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor:
        return gx.any(inputs != self.mask_value, axis=-1)


class ActivityRegularization(Layer):
    """x itself; while training, l1 * sum(|x|) + l2 * sum(x^2) over the size of the batch joins the loss."""

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.l1, self.l2 = l1, l2

    def call(self, x: Tensor) -> Tensor:
        whole = L1L2(self.l1, self.l2)(x)
        self.add_loss(whole / gx.sum(gx.ones(x.shape[:1], whole.dtype)))
        return x


class Rescaling(Layer):
    """x * scale + offset, as floats: of bytes, 1 / 255 makes numbers from 0 to 1."""

    supports_masking = True

    def __init__(self, scale: float, offset: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    def call(self, x: Tensor) -> Tensor:
        y: Tensor = self.floats(x) * self.scale + self.offset
        return y


class Lambda(Layer):
    """A function of symbols as a layer; it has no variables."""

    supports_masking = True

    def __init__(self, function: Any, **options: Any) -> None:
        super().__init__(**options)
        gx.ops.check_function("Lambda", "the function", function)
        self.function = function

    def call(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class GaussianNoise(Layer):
    """While training, x plus normal numbers of a standard deviation; else x."""

    supports_masking = True

    def __init__(self, stddev: float, **options: Any) -> None:
        super().__init__(**options)
        self.stddev = stddev

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        self.random_state()
        return x + self.stddev * gx.random.normal(self.key(), x.shape, x.dtype) if training else x


class GaussianDropout(Dropout):
    """While training, x times normal numbers of mean 1 and variance rate / (1 - rate) (Srivastava et al. 2014); else x."""

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if self.rate:
            self.random_state()
        if not training or not self.rate:
            return x
        y: Tensor = x * (1 + (self.rate / (1 - self.rate)) ** 0.5 * gx.random.normal(self.key(), x.shape, x.dtype))
        return y


class SpatialDropout(Dropout):
    """`Dropout` of whole channels: x [batch, ..., channels]."""

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if self.rate:
            self.random_state()
        if not training or not self.rate:
            return x
        kept = gx.nn.dropout(gx.ones((x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1]), x.dtype), self.rate, self.key())
        return x * kept


class SpatialDropout1D(SpatialDropout):
    """`SpatialDropout` of sequences."""


class SpatialDropout2D(SpatialDropout):
    """`SpatialDropout` of images."""


class SpatialDropout3D(SpatialDropout):
    """`SpatialDropout` of volumes."""


# --- several inputs -----------------------------------------------------------------------------------------------------


def _listed(name: str, inputs: tuple[Any, ...], least: int = 1) -> list[Tensor]:
    """The symbols of Add()([a, b]), or of Add()(a, b)."""
    parts = list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
    if len(parts) < least:
        raise gx.errors.InputError(
            f"{name} takes a list of {least} symbols or more, got {len(parts)}", where=gx.errors.caller(),
            hint=f"{name}()([a, b])",
        )  # fmt: skip
    return parts


def any_of(masks: Any) -> Tensor | None:
    """Where one of several masks is true; None where one of them is, for that has every step."""
    if not isinstance(masks, list) or not masks or any(one is None for one in masks):
        return None
    found: Tensor = masks[0]
    for one in masks[1:]:
        found = gx.logical_or(found, one)
    return found


class _Merge(Layer):
    """A list of symbols of one shape. A step of the result is there where it is in one of them, if all have masks."""

    supports_masking = True

    def call(self, *inputs: Any) -> Tensor:
        y, *others = _listed(type(self).__name__, inputs)
        for x in others:
            y = self.merge(y, x)
        return y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor | None:
        return any_of(mask)

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


class Minimum(_Merge):
    """The smallest of several symbols, element by element."""

    def merge(self, a: Tensor, b: Tensor) -> Tensor:
        return gx.minimum(a, b)


class Average(_Merge):
    """The mean of several symbols, element by element."""

    def call(self, *inputs: Any) -> Tensor:
        parts = _listed(type(self).__name__, inputs)
        y: Tensor = sum(parts[1:], parts[0]) / len(parts)
        return y


class Dot(Layer):
    """The product of two symbols, sample by sample, summed over an axis of each: Dot(axes=1)([a, b]).

    axes: the axis of both, or one for each; the batch's is 0, and not among them. The result has the other axes of the first,
    then those of the second; [batch, 1] where there are none. normalize: of vectors of length 1, so that it is the cosine.

    >>> import graphc as gx
    >>> gx.layers.Dot(axes=(2, 1))([gx.layers.Input((4, 3)), gx.layers.Input((3, 5))]).shape
    (batch, 4, 5)
    """

    def __init__(self, axes: Any, normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        pair = (axes, axes) if isinstance(axes, int) else axes
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(axis, int) for axis in pair):
            raise gx.errors.InputError(
                f"Dot: axes is {axes!r}", where=gx.errors.caller(), hint="an integer, or one for each of two symbols"
            )
        self.axes, self.normalize = axes, normalize

    def call(self, *inputs: Any) -> Tensor:
        found = _listed("Dot", inputs, 2)
        if len(found) > 2:
            raise gx.errors.InputError(f"Dot takes two symbols, got {len(found)}", where=gx.errors.caller())
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        moved = []
        for x, axis in zip(found, pair, strict=True):
            if not axis % max(x.ndim, 1) >= 1 or not -x.ndim <= axis < x.ndim:
                raise gx.errors.ShapeError(
                    f"Dot: {x.type} has no axis {axis} beside the batch's", where=gx.errors.caller(), hint=f"1 to {x.ndim - 1}"
                )
            if self.normalize:
                length = gx.sqrt(gx.maximum(gx.sum(x * x, axis=axis, keepdims=True), 1e-12))
                x = x / length
            moved.append(gx.moveaxis(x, axis, -1))
        a, b = moved
        if a.shape[-1] != b.shape[-1]:
            raise gx.errors.ShapeError(
                f"Dot: axes {list(pair)} of {found[0].type} and {found[1].type} have different sizes", where=gx.errors.caller()
            )
        letters = iter("cdefghijkl")
        of_a, of_b = ("".join(next(letters) for _ in x.shape[1:-1]) for x in (a, b))
        y = gx.einsum(f"b{of_a}s,b{of_b}s->b{of_a}{of_b}", a, b)
        return gx.expand_dims(y, -1) if y.ndim == 1 else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


class Concatenate(Layer):
    """Several symbols joined along an axis: Concatenate()([a, b])."""

    supports_masking = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, *inputs: Any) -> Tensor:
        return gx.concat(_listed(type(self).__name__, inputs), axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor | None:
        """Masks joined along the axis where they have it; else a step is there where it is in one of the inputs."""
        if not isinstance(mask, list) or all(one is None for one in mask):
            return None
        axis = self.axis % inputs[0].ndim
        known = next(one for one in mask if one is not None)
        if axis >= known.ndim:
            return any_of(mask)
        every = [gx.ones(x.shape[: known.ndim], "bool") if one is None else one for x, one in zip(inputs, mask, strict=True)]
        return gx.concat(every, axis=axis)


class Concat(Concatenate):
    """`Concatenate`, by the name of `gx.concat`."""


class Residual(Layer):
    """x plus what a layer makes of it (He et al. 2016, arXiv:1512.03385)."""

    supports_masking = True

    def __init__(self, layer: Layer, **options: Any) -> None:
        super().__init__(**options)
        self.layer = layer

    def call(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layer(x)
        return y
