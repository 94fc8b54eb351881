"""Layers that turn numbers of words and places into vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer, positive
from graphc.layers.regularizers import Regularizer


class Embedding(Layer):
    """The vectors that integers name: [...] -> [..., output_dim]. Weight: embeddings [input_dim, output_dim].

    A number outside 0 .. input_dim - 1 follows the rule of `gx.take`. `attend(x)` is x @ embeddings.T: scores of every word, by
    the same weights. mask_zero: places of 0 are filling, which the layers that follow leave out: see `mask_of`. weights: the
    first values, [input_dim, output_dim], of vectors that somebody else has trained.

    >>> import graphc as gx
    >>> layer = gx.layers.Embedding(100, 16)
    >>> layer(gx.layers.Input(("time",), dtype="int64")).shape
    (batch, time, 16)
    """

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: str | Initializer = "uniform",
        embeddings_regularizer: str | Regularizer | None = None, mask_zero: bool = False, weights: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.input_dim, self.output_dim = positive(self, "input_dim", input_dim), positive(self, "output_dim", output_dim)
        self.embeddings_initializer, self.embeddings_regularizer = embeddings_initializer, embeddings_regularizer
        self.mask_zero = mask_zero
        if weights is not None:
            _ = self.embeddings
            self.set_weights(weights if isinstance(weights, (list, tuple)) and len(weights) == 1 else [weights])

    @property
    def embeddings(self) -> Tensor:
        """The table of vectors."""
        shape = (self.input_dim, self.output_dim)
        return self.variable("embeddings", shape, self.embeddings_initializer, regularizer=self.embeddings_regularizer)

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in super().get_config().items() if key != "weights"}

    def call(self, x: Tensor) -> Tensor:
        return gx.nn.embedding(self.embeddings, gx.astype(x, "int64") if x.dtype.is_float else x)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Tensor | None:
        return inputs != 0 if self.mask_zero else None

    def attend(self, x: Tensor) -> Tensor:
        """x @ embeddings.T."""
        return x @ self.embeddings.T


class PositionEmbedding(Layer):
    """x plus a learned vector for each place: x [batch, time, channels]; weight: positions [length, channels].

    length: the largest number of places. offset: the place of the first one.
    """

    supports_masking = True

    def __init__(self, length: int, initializer: str | Initializer = "uniform", **options: Any) -> None:
        super().__init__(**options)
        self.length, self.initializer = length, initializer

    def call(self, x: Tensor, offset: Any = 0) -> Tensor:
        table = self.variable("positions", (self.length, x.shape[-1]), self.initializer)
        if isinstance(offset, int) and offset == 0:
            return x + table[: x.shape[-2]]
        return x + gx.take(table, gx.arange(x.shape[-2]) + offset, axis=0)


class SinusoidalPositions(Layer):
    """x plus sines and cosines of the place, of wavelengths from 2 pi to 20,000 pi (Vaswani et al. 2017, arXiv:1706.03762).

    x: floats [batch, time, channels], channels even. Channel 2i has sin(p / 10000^(2i / channels)), channel 2i + 1 the cosine.
    """

    supports_masking = True

    def call(self, x: Tensor, offset: Any = 0) -> Tensor:
        channels = x.shape[-1]
        if not isinstance(channels, int) or channels % 2:
            raise gx.errors.ShapeError(
                f"SinusoidalPositions needs an even number of channels, got {x.type}", where=gx.errors.caller()
            )
        rates = np.exp(np.arange(0, channels, 2) * (-math.log(10_000.0) / channels)).astype(x.dtype.numpy)
        places = gx.astype(gx.arange(x.shape[-2]) + offset, x.dtype)
        angles = gx.expand_dims(places, 1) * gx.constant(rates)
        waves = gx.stack([gx.sin(angles), gx.cos(angles)], axis=-1)
        return x + gx.reshape(waves, (x.shape[-2], channels))
