"""A character GPT learns the texts of Python's own help, and writes on: a small Transformer, sampled with a key-value cache.

    python examples/generation.py

The text is the standard library's `pydoc_data.topics`: what help("if") shows.
"""

from __future__ import annotations

from pydoc_data.topics import topics
from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import Dense, Dropout, Embedding, LayerNorm, PositionEmbedding, TransformerEncoder


class GPT(gx.models.Model):
    """Words [batch, time] -> logits of the next one, [batch, time, words]; with caches (logits, new caches)."""

    def __init__(self, words: int, length: int = 128, width: int = 128, heads: int = 4, blocks: int = 4, dropout: float = 0.0):
        super().__init__()
        self.length = length
        self.embed, self.places, self.drop = Embedding(words, width), PositionEmbedding(length), Dropout(dropout)
        self.blocks = [TransformerEncoder(heads, width // heads, 4 * width, dropout=dropout) for _ in range(blocks)]
        self.norm, self.head = LayerNorm(), Dense(words)

    def call(self, words: gx.Tensor, caches: Any = None, position: Any = 0) -> Any:
        x, new = self.drop(self.places(self.embed(words), offset=position)), []
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            y = block(x, use_causal_mask=cache is None, cache=cache, position=position)
            x, kept = (y, None) if cache is None else y
            new.append(kept)
        logits = self.head(self.norm(x))
        return logits if caches is None else (logits, new)


class Writer:
    """Text from a trained model: every token is one call of one compiled step, which keeps keys and values in variables.

    temperature: what logits are divided by. top_k: how many of the most probable words there are to choose from; top_p: the
    choice ends with the word that fills this share of the probability.
    """

    def __init__(self, model: GPT, temperature: float = 0.8, top_k: int = 40, top_p: float = 0.95, seed: int = 0):
        word, place = gx.placeholder("word", (1, 1), "int64"), gx.placeholder("place", (), "int64")
        empty = [block.empty_cache(1, model.length) for block in model.blocks]
        caches = [tuple(gx.variable(np.zeros(a.shape, "float32")) for a in pair) for pair in empty]
        logits, new = model(word, caches=caches, position=place)
        updates = {old: now for pair, got in zip(caches, new, strict=True) for old, now in zip(pair, got, strict=True)}
        scores = logits[0, -1] / temperature
        best = gx.flip(gx.argsort(scores))[:top_k]
        p = gx.nn.softmax(scores[best])
        kept = gx.where(gx.cumulative_sum(p) - p < top_p, scores[best], -gx.inf)
        drawn = best[gx.random.categorical(gx.random.Stream(seed), kept)]
        self.step, self.length = gx.compile([word, place], [drawn, logits[0, -1]], updates=updates), model.length

    def __call__(self, start: list[int], count: int) -> list[int]:
        """The words of `start`, and `count` more: in all at most `length`."""
        said = list(start)
        for place in range(min(len(start) + count, self.length) - 1):
            word, _ = self.step([[said[place]]], place)
            if place + 1 == len(said):
                said.append(int(word))
        return said


def main(
    epochs: int = 4, length: int = 128, width: int = 128, blocks: int = 4, characters: int | None = None, batch: int = 32
) -> Any:
    """Train; the loss on text that was held out, in nats a character, and what the model writes after some beginnings."""
    text = "\n".join(topics[name] for name in sorted(topics))[:characters]
    letters = gx.data.Characters.train(text)
    numbers = np.array(letters.encode(text))
    rows = numbers[: len(numbers) // (length + 1) * (length + 1)].reshape(-1, length + 1)
    held = max(len(rows) // 20, 1)
    model = GPT(len(letters), length, width, blocks=blocks)
    rate = gx.optim.schedules.warmup(20, gx.optim.schedules.cosine(2e-3, epochs * (len(rows) // batch)))
    model.compile(gx.models.Optimizer("adamw", rate, clip_norm=1.0), "sparse_categorical_crossentropy")
    model.fit(rows[:-held, :-1], rows[:-held, 1:], batch_size=batch, epochs=epochs, verbose=2)
    loss = model.evaluate(rows[-held:, :-1], rows[-held:, 1:])["loss"]
    writer = Writer(model)
    written = [letters.decode(writer(letters.encode(start), length)) for start in ("The ", "If ", "A class ")]
    print(f"held-out loss {loss:.3f} nats a character", *written, sep="\n\n")
    return loss, written, model


if __name__ == "__main__":
    main()
