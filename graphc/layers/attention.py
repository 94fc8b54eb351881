"""Layers of attention, with a cache for generation, and the blocks of Transformers."""

from __future__ import annotations

from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.activations import Activation
from graphc.layers.activations import activation as named_activation
from graphc.layers.core import Dense, Dropout
from graphc.layers.layer import Layer, positive
from graphc.layers.masks import mask_of
from graphc.layers.normalization import LayerNorm, RMSNorm

Cache = tuple[Tensor, Tensor]


class MultiHeadAttention(Layer):
    """Attention of several heads (Vaswani et al. 2017, arXiv:1706.03762): attention(query, value=query, key=value).

    query: floats [batch, t, channels]; value, key: [batch, s, ...]. num_heads heads of key_dim channels each; num_kv_heads: heads
    of keys and values, each shared by as many of the queries' (Ainslie et al. 2023, arXiv:2305.13245). value_dim: key_dim by
    default. output_dim: the channels of the result, the query's by default. dropout: of the heads' results, while training.
    use_causal_mask: a query sees only the keys up to its own place. attention_mask: booleans, true where a query may look, or
    floats that are added to the scores, [batch, t, s] or [batch, heads, t, s]; mask: booleans [batch, s], true where there is a
    key, by default the mask of the keys or values. rope: rotary positions (Su et al. 2021, arXiv:2104.09864).

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
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.bias_initializer, self.kernel_regularizer, self.bias_regularizer = (
            bias_initializer, kernel_regularizer, bias_regularizer,
        )  # fmt: skip
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

    supports_masking = True

    def arriving_mask(self, inputs: Any, options: Any) -> Any:
        """The mask of the keys, or of the values; a cache has places of its own."""
        if options.get("cache") is not None:
            return None
        given = {**dict(zip(("query", "value", "key"), inputs)), **options}
        value = given["query"] if given.get("value") is None else given["value"]
        found = None if given.get("key") is None else mask_of(given["key"])
        return mask_of(value) if found is None else found

    def _product(self, units: Any) -> Dense:
        return Dense(
            units, use_bias=self.use_bias, kernel_initializer=self.kernel_initializer, bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer, bias_regularizer=self.bias_regularizer, dtype=self.dtype,
        )  # fmt: skip

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


class Attention(Layer):
    """Attention without weights of its own: Attention()([query, value]) or ([query, value, key]) (Luong et al. 2015).

    query: floats [batch, t, channels]; value: [batch, s, ...]; key: [batch, s, channels], the value by default. use_scale: scores
    times a weight, scale, that begins with 1. dropout: of the result's parts, while training. use_causal_mask: a query sees the
    keys up to its own place. mask: [query's, value's], each booleans [batch, steps] or None: values of no step count for nothing,
    and the result of a query that is none is 0.

    >>> import graphc as gx
    >>> gx.layers.Attention()([gx.layers.Input((5, 8)), gx.layers.Input((7, 8))]).shape
    (batch, 5, 8)
    """

    def __init__(self, use_scale: bool = False, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.use_scale, self.dropout = use_scale, dropout
        if dropout:
            self.drop = Dropout(dropout, name="drop")

    def call(self, inputs: Any, mask: Any = None, use_causal_mask: bool = False, training: bool = False) -> Tensor:
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            raise gx.errors.InputError(
                f"{type(self).__name__} takes [query, value] or [query, value, key]", where=gx.errors.caller(),
                hint="a sequence to itself is [x, x]; MultiHeadAttention takes them one by one",
            )  # fmt: skip
        query, value, key = (*map(self.floats, inputs), self.floats(inputs[1]))[:3]
        of_query, of_value = (*mask, None, None)[:2] if isinstance(mask, (list, tuple)) else (None, mask)
        scores = self.scores(query, key)
        seen = None if of_value is None else gx.expand_dims(of_value, 1)
        if use_causal_mask:
            before = gx.expand_dims(gx.arange(query.shape[1]), 1) >= gx.arange(key.shape[1])
            seen = before if seen is None else gx.logical_and(seen, before)
        if seen is not None:
            scores = gx.where(seen, scores, gx.full((), -1e9 if scores.dtype != gx.float16 else -65504.0, scores.dtype))
        shares = gx.nn.softmax(scores)
        y = (self.drop(shares) if self.dropout else shares) @ value
        return y if of_query is None else gx.where(gx.expand_dims(of_query, -1), y, gx.zeros((), y.dtype))

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """How much each query is to see of each value, before the softmax: [batch, t, s]."""
        y: Tensor = query @ gx.permute_dims(key, (0, 2, 1))
        return y * self.variable("scale", (), "ones") if self.use_scale else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[0] if isinstance(mask, (list, tuple)) else None


class AdditiveAttention(Attention):
    """`Attention` by sum(scale * tanh(query + key)) (Bahdanau et al. 2015, arXiv:1409.0473). Weight: scale [channels]."""

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(use_scale, dropout, **options)

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        y = gx.tanh(gx.expand_dims(query, 2) + gx.expand_dims(key, 1))
        if self.use_scale:
            y = y * self.variable("scale", (query.shape[-1],), "glorot_uniform")
        return gx.sum(y, axis=-1)


def _both(mask: Tensor, seen: Tensor) -> Tensor:
    """A mask of booleans or of floats, and one of booleans."""
    return gx.logical_and(mask, seen) if mask.dtype.is_bool else gx.where(seen, mask, -gx.inf)


def _heads(x: Tensor, heads: int) -> Tensor:
    """[batch, t, heads * width] -> [batch, heads, t, width]"""
    width: Any = x.shape[-1]
    return gx.permute_dims(gx.reshape(x, (*x.shape[:2], heads, width // heads)), (0, 2, 1, 3))


class FeedForward(Layer):
    """Two products with an activation between: [..., channels] -> [..., channels]."""

    supports_masking = True

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
    supports_masking = True

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

    def arriving_mask(self, inputs: Any, options: Any) -> Any:
        """The mask of the sequence; a cache has places of its own."""
        return None if options.get("cache") is not None else super().arriving_mask(inputs, options)

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
        encoded_mask = mask_of(encoded) if encoded_mask is None else encoded_mask

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
