"""Layers of attention, with a cache for generation, and the blocks of Transformers."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.activations import Activation
from graphc.layers.activations import activation as named_activation
from graphc.layers.core import Dense, Dropout
from graphc.layers.layer import Layer, positive
from graphc.layers.normalization import LayerNorm, RMSNorm

Cache = tuple[Tensor, Tensor]


class MultiHeadAttention(Layer):
    """Attention of several heads (Vaswani et al. 2017, arXiv:1706.03762): attention(query, value=query, key=value).

    query: floats [batch, t, channels]; value, key: [batch, s, ...]. num_heads heads of key_dim channels each; num_kv_heads: heads
    of keys and values, each shared by as many of the queries' (Ainslie et al. 2023, arXiv:2305.13245). value_dim: key_dim by
    default. output_dim: the channels of the result, the query's by default. dropout: of the heads' results, while training.
    use_causal_mask: a query sees only the keys up to its own place. attention_mask: booleans, true where a query may look, or
    floats that are added to the scores, [batch, t, s] or [batch, heads, t, s]; mask: booleans [batch, s], true where there is a
    key. rope: rotary positions (Su et al. 2021, arXiv:2104.09864).

    With `cache=(keys, values)`, each [batch, num_kv_heads, length, dim], and `position`, the place of the first query, keys and
    values are written into the cache, the queries look at all that was written up to their place, and the result is (y, cache).
    `empty_cache(batch, length)` makes the arrays.

    >>> import graphc as gx
    >>> layer = gx.layers.MultiHeadAttention(4, 16)
    >>> layer(gx.layers.Input(("time", 64)), use_causal_mask=True).shape, list(layer.variables)[:2]
    ((batch, time, 64), ['query/kernel', 'query/bias'])
    """

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0, use_bias: bool = True,
        output_dim: int | None = None, num_kv_heads: int | None = None, rope: bool = False, rope_base: float = 10000.0,
        kernel_initializer: Any = "glorot_uniform", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.num_heads, self.key_dim = positive(self, "num_heads", num_heads), positive(self, "key_dim", key_dim)
        self.value_dim = value_dim or key_dim
        self.dropout, self.use_bias, self.output_dim = dropout, use_bias, output_dim
        self.num_kv_heads, self.rope, self.rope_base = num_kv_heads or num_heads, rope, rope_base
        self.kernel_initializer = kernel_initializer
        if num_heads % self.num_kv_heads:
            raise gx.errors.InputError(
                f"MultiHeadAttention: {num_heads} heads cannot share {num_kv_heads} of keys and values", where=gx.errors.caller()
            )
        self.query, self.key_layer = self._product(num_heads * key_dim), self._product(self.num_kv_heads * key_dim)
        self.value = self._product(self.num_kv_heads * self.value_dim)
        self.output = None if output_dim is None else self._product(output_dim)
        self.drop = Dropout(dropout)

    def _product(self, units: Any) -> Dense:
        return Dense(units, use_bias=self.use_bias, kernel_initializer=self.kernel_initializer, dtype=self.dtype)

    def parts(self) -> Any:
        yield from (("key" if name == "key_layer" else name, part) for name, part in super().parts())

    def call(
        self, query: Tensor, value: Tensor | None = None, key: Tensor | None = None, attention_mask: Tensor | None = None,
        use_causal_mask: bool = False, mask: Tensor | None = None, cache: Cache | None = None, position: Any = 0,
    ) -> Any:  # fmt: skip
        value = query if value is None else value
        key = value if key is None else key
        if min(query.ndim, value.ndim, key.ndim) < 3:
            raise gx.errors.ShapeError(
                f"MultiHeadAttention needs [batch, time, channels], got {query.type} and {value.type}", where=gx.errors.caller()
            )
        if self.output is None:
            self.output = self._product(query.shape[-1])
        q = _heads(self.query(query), self.num_heads)
        k, v = _heads(self.key_layer(key), self.num_kv_heads), _heads(self.value(value), self.num_kv_heads)
        if self.rope:
            q, k = (gx.nn.rope(x, offset=position, base=self.rope_base) for x in (q, k))
        seen = attention_mask
        if seen is not None and seen.ndim == 3:
            seen = gx.expand_dims(seen, 1)
        if mask is not None:
            there = gx.expand_dims(mask, (1, 2))
            seen = there if seen is None else _both(seen, there)
        if cache is not None:
            places = gx.arange(query.shape[1]) + position
            cache = tuple(old.at[:, :, places].set(gx.astype(new, old.dtype)) for old, new in zip(cache, (k, v), strict=True))  # type: ignore[assignment]
            assert cache is not None
            k, v = cache
            before = gx.expand_dims(places, 1) >= gx.arange(k.shape[2])
            seen = before if seen is None else _both(seen, before)
        y = gx.nn.attention(q, k, v, causal=use_causal_mask and cache is None, mask=seen, scale=self.key_dim**-0.5)
        y = gx.reshape(gx.permute_dims(y, (0, 2, 1, 3)), (*query.shape[:2], self.num_heads * self.value_dim))
        result = self.output(self.drop(y))
        return result if cache is None else (result, cache)

    def empty_cache(self, batch: Any, length: Any) -> Cache:
        """Zeros for the keys and the values of `length` places."""
        shape = (batch, self.num_kv_heads, length)
        return gx.zeros((*shape, self.key_dim), self.dtype), gx.zeros((*shape, self.value_dim), self.dtype)


def _both(mask: Tensor, seen: Tensor) -> Tensor:
    """A mask of booleans or of floats, and one of booleans."""
    return gx.logical_and(mask, seen) if mask.dtype.is_bool else gx.where(seen, mask, -gx.inf)


def _heads(x: Tensor, heads: int) -> Tensor:
    """[batch, t, heads * width] -> [batch, heads, t, width]"""
    width: Any = x.shape[-1]
    return gx.permute_dims(gx.reshape(x, (*x.shape[:2], heads, width // heads)), (0, 2, 1, 3))


class FeedForward(Layer):
    """Two products with an activation between: [..., channels] -> [..., channels]."""

    def __init__(self, units: int, activation: str | Activation = "gelu", dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.activation, self.dropout = units, activation, dropout
        named_activation(activation)
        self.inner, self.drop = Dense(units, activation=activation), Dropout(dropout)
        self.outer: Dense | None = None

    def call(self, x: Tensor) -> Tensor:
        if self.outer is None:
            self.outer = Dense(x.shape[-1])  # type: ignore[arg-type]
        y: Tensor = self.outer(self.drop(self.inner(x)))
        return y


class _Block(Layer):
    def __init__(
        self, num_heads: int, key_dim: int, units: int, activation: str | Activation = "gelu", dropout: float = 0.0,
        norm: str = "layer", norm_first: bool = True, epsilon: float = 1e-5, num_kv_heads: int | None = None, rope: bool = False,
        use_bias: bool = True, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.num_heads, self.key_dim, self.units, self.activation, self.dropout = num_heads, key_dim, units, activation, dropout
        self.norm, self.norm_first, self.epsilon = norm, norm_first, epsilon
        self.num_kv_heads, self.rope, self.use_bias = num_kv_heads, rope, use_bias
        self.attention = MultiHeadAttention(
            num_heads, key_dim, num_kv_heads=num_kv_heads, rope=rope, dropout=dropout, use_bias=use_bias
        )
        self.feed_forward = FeedForward(units, activation, dropout)
        self.attention_norm, self.feed_forward_norm = self._norm(), self._norm()
        self.drop = Dropout(dropout)

    def _norm(self) -> Layer:
        if self.norm not in ("layer", "rms"):
            raise gx.errors.InputError(f"no norm {self.norm!r}", where=gx.errors.caller(), hint='take "layer" or "rms"')
        return LayerNorm(self.epsilon) if self.norm == "layer" else RMSNorm(self.epsilon)

    def around(self, x: Tensor, norm: Layer, layer: Any) -> Tensor:
        """x plus what a layer makes of it, with the norm before the layer or after the sum."""
        if self.norm_first:
            y: Tensor = x + self.drop(layer(norm(x)))
            return y
        y = norm(x + self.drop(layer(x)))
        return y


class TransformerEncoder(_Block):
    """Attention of a sequence to itself, and a feed-forward layer, each added to its input and normalised.

    x: floats [batch, time, channels]. num_heads, key_dim: of the attention; units: inside the feed-forward layer. norm: "layer"
    or "rms"; norm_first: before each part, else after each sum. use_causal_mask: makes it a decoder without a second sequence
    (GPT). Others: see `MultiHeadAttention`; with a cache the result is (y, cache).
    """

    def call(
        self, x: Tensor, mask: Tensor | None = None, attention_mask: Tensor | None = None, use_causal_mask: bool = False,
        cache: Cache | None = None, position: Any = 0,
    ) -> Any:  # fmt: skip
        new: Cache | None = None

        def attend(h: Tensor) -> Tensor:
            nonlocal new
            found = self.attention(
                h, attention_mask=attention_mask, use_causal_mask=use_causal_mask, mask=mask, cache=cache, position=position
            )
            if cache is None:
                return found  # type: ignore[no-any-return]
            y, new = found
            return y  # type: ignore[no-any-return]

        x = self.around(x, self.attention_norm, attend)
        x = self.around(x, self.feed_forward_norm, self.feed_forward)
        return x if cache is None else (x, new)

    def empty_cache(self, batch: Any, length: Any) -> Cache:
        """Zeros for the keys and the values of `length` places."""
        return self.attention.empty_cache(batch, length)


class TransformerDecoder(_Block):
    """Causal attention of a sequence to itself, attention to another sequence, and a feed-forward layer.

    x: floats [batch, t, channels]; encoded: [batch, s, channels]; encoded_mask: booleans [batch, s]. Others: see
    `TransformerEncoder`.
    """

    def __init__(self, num_heads: int, key_dim: int, units: int, **options: Any) -> None:
        super().__init__(num_heads, key_dim, units, **options)
        self.cross_attention = MultiHeadAttention(
            num_heads, key_dim, num_kv_heads=self.num_kv_heads, dropout=self.dropout, use_bias=self.use_bias
        )
        self.cross_norm = self._norm()

    def call(
        self, x: Tensor, encoded: Tensor, mask: Tensor | None = None, encoded_mask: Tensor | None = None,
        cache: Cache | None = None, position: Any = 0,
    ) -> Any:  # fmt: skip
        new: Cache | None = None

        def attend(h: Tensor) -> Tensor:
            nonlocal new
            found = self.attention(h, use_causal_mask=True, mask=mask, cache=cache, position=position)
            if cache is None:
                return found  # type: ignore[no-any-return]
            y, new = found
            return y  # type: ignore[no-any-return]

        x = self.around(x, self.attention_norm, attend)
        x = self.around(x, self.cross_norm, lambda h: self.cross_attention(h, encoded, mask=encoded_mask))
        x = self.around(x, self.feed_forward_norm, self.feed_forward)
        return x if cache is None else (x, new)

    def empty_cache(self, batch: Any, length: Any) -> Cache:
        """Zeros for the keys and the values of `length` places."""
        return self.attention.empty_cache(batch, length)
