"""Messages of programs translated by a Transformer: byte pairs, an encoder and a decoder, beam search in one compiled call.

    apt-get install git coreutils dpkg gnupg-l10n libc-l10n     # and whatever else has messages
    python examples/translation.py

The data are the gettext catalogues of the programs that are installed, where Debian keeps them: each message is a pair of texts.
What is reached depends on which programs these are. The same model learns to say numbers backwards, which can be told exactly.
"""

from __future__ import annotations

import re
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import Dropout, Embedding, LayerNorm, SinusoidalPositions, TransformerDecoder, TransformerEncoder

LOCALES = Path("/usr/share/locale")
PAD, START, END = 0, 1, 2  # the first tokens
Pair = tuple[str, str]


class Translator(gx.models.Model):
    """Words [batch, s], whether each is there, and the words said [batch, t] -> logits of the next ones, [batch, t, words]."""

    def __init__(self, words: int, width: int = 128, heads: int = 4, blocks: int = 2, dropout: float = 0.1):
        super().__init__()
        sizes = {"num_heads": heads, "key_dim": width // heads, "units": 2 * width, "dropout": dropout}
        self.embed, self.places, self.drop = Embedding(words, width), SinusoidalPositions(), Dropout(dropout)
        self.encoder = [TransformerEncoder(**sizes) for _ in range(blocks)]
        self.decoder = [TransformerDecoder(**sizes) for _ in range(blocks)]
        self.encoder_norm, self.decoder_norm = LayerNorm(), LayerNorm()

    def vectors(self, words: gx.Tensor, position: Any = 0) -> gx.Tensor:
        x = self.embed(words)
        return self.drop(self.places(x * x.shape[-1] ** 0.5, offset=position))

    def encode(self, words: gx.Tensor, there: gx.Tensor) -> gx.Tensor:
        x = self.vectors(words)
        for block in self.encoder:
            x = block(x, mask=there)
        return self.encoder_norm(x)

    def decode(self, said: gx.Tensor, encoded: gx.Tensor, there: gx.Tensor, caches: Any = None, position: Any = 0) -> Any:
        """The logits; with caches of the words before also the new ones."""
        x, new = self.vectors(said, position), []
        for block, cache in zip(self.decoder, caches or [None] * len(self.decoder), strict=True):
            y = block(x, encoded, encoded_mask=there, cache=cache, position=position)
            x, kept = (y, None) if cache is None else y
            new.append(kept)
        logits = self.embed.attend(self.decoder_norm(x))
        return logits if caches is None else (logits, new)

    def call(self, words: gx.Tensor, there: gx.Tensor, said: gx.Tensor) -> gx.Tensor:
        return self.decode(said, self.encode(words, there), there)


def step(model: Translator, inputs: Any, said: gx.Tensor, rate: Any) -> Any:
    """A step of training: every word of the translation from the words before it."""
    logits = model(*inputs, said[:, :-1], training=True)
    loss = gx.nn.cross_entropy(logits, said[:, 1:], ignore=PAD, smoothing=0.1)
    return {"loss": loss}, gx.optim.adamw(loss, model.trainable_variables, lr=rate, clip_norm=1.0)


def train(
    pairs: list[tuple[list[int], list[int]]], words: int, epochs: int, batch: int = 64, verbose: int = 2, **sizes: Any
) -> Translator:
    source = gx.data.Buckets([a for a, _ in pairs], [[START, *b, END] for _, b in pairs], batch_size=batch)
    model = Translator(words, **sizes)
    steps = epochs * len(source)
    rate = gx.optim.schedules.warmup(steps // 10, gx.optim.schedules.cosine(2e-3, steps))
    model.compile(step=partial(step, rate=rate))
    model.fit(source, epochs=epochs, verbose=verbose)
    return model


def beam_search(model: Translator, words: int, longest: int, beams: int = 4, penalty: float = 0.6) -> Any:
    """A program: words [batch, s] and whether each is there -> of each translation the best words, [batch, longest].

    The most probable `beams` beginnings are kept, each of whose rows has keys and values of its own in the cache; of those that
    came to an end the one counts whose score, over its length to the power `penalty`, is the best.
    """
    given, there = gx.placeholder("given", ("batch", "time"), "int64"), gx.placeholder("there", ("batch", "time"), "bool")
    batch = given.shape[0]
    encoded, seen = (gx.repeat(x, beams, axis=0) for x in (model.encode(given, there), there))
    first = gx.constant(np.where(np.arange(beams) == 0, 0, -np.inf).astype("float32"))  # beams that begin alike: one goes on
    nothing = gx.constant(np.where(np.arange(words) == PAD, 0, -np.inf).astype("float32"))  # after the end: PAD, at no cost

    def say(carry: Any, place: Any) -> Any:
        said, scores, ended, last, caches = carry
        logits, caches = model.decode(gx.reshape(last, (batch * beams, 1)), encoded, seen, caches, place)
        costs = gx.reshape(gx.nn.log_softmax(logits), (batch, beams, words))
        costs = gx.where(gx.expand_dims(ended, 2), nothing, costs)
        scores, best = gx.top_k(gx.reshape(gx.expand_dims(scores, 2) + costs, (batch, beams * words)), beams)
        before, last = best // words, best % words
        rows = gx.reshape(before + beams * gx.expand_dims(gx.arange(batch), 1), (batch * beams,))
        caches = [tuple(gx.take(x, rows, axis=0) for x in pair) for pair in caches]
        said = gx.take_along_axis(said, gx.expand_dims(before, 2), axis=1).at[:, :, place].set(last)
        ended = gx.take_along_axis(ended, before, axis=1) | (last == END)
        return (said, scores, ended, last, caches), None

    empty = [block.empty_cache(batch * beams, longest) for block in model.decoder]
    said = gx.full((batch, beams, longest), PAD, "int64")
    scores, ended = gx.broadcast_to(first, (batch, beams)), gx.zeros((batch, beams), "bool")
    begun = said, scores, ended, gx.full((batch, beams), START, "int64"), empty
    (said, scores, ended, *_), _ = gx.scan(say, begun, gx.arange(longest))
    length = gx.sum(gx.astype(said != PAD, "float32"), axis=2)
    best = gx.argmax(gx.where(ended, scores / length**penalty, -gx.inf), axis=1)
    return gx.compile([given, there], said[gx.arange(batch), best])


def translate(search: Any, texts: list[list[int]], batch: int = 100) -> list[list[int]]:
    """What the program says to each text, without the end."""
    found = []
    for i in range(0, len(texts), batch):
        part = texts[i : i + batch]
        said = search(gx.data.pad_sequences(part), gx.data.sequence_mask([len(t) for t in part]))
        found += [[int(w) for w in row if w not in (PAD, END)] for row in said]
    return found


def messages(path: Path) -> list[Pair]:
    """The pairs of a compiled catalogue: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html"""
    data = path.read_bytes()
    order = "<" if data[:4] == b"\xde\x12\x04\x95" else ">"
    count, *tables = struct.unpack(f"{order}3I", data[8:20])
    columns = []
    for table in tables:
        places = struct.unpack(f"{order}{2 * count}I", data[table : table + 8 * count])
        columns.append([data[start : start + size] for size, start in zip(places[::2], places[1::2], strict=True)])
    charset = re.search(rb"charset=([\w-]+)", dict(zip(*columns, strict=True)).get(b"", b""))
    decode = lambda text: text.decode(charset[1].decode() if charset else "utf-8", "replace")
    return [(decode(a.split(b"\x04")[-1]), decode(b)) for a, b in zip(*columns, strict=True) if a and b"\0" not in a]


def pairs_of(folder: Path, longest: int = 60) -> list[Pair]:
    """The short messages of one line in all catalogues of a folder, each text once, without marks of keys to press."""
    found: dict[str, Pair] = {}
    for path in sorted(folder.glob("*.mo")):
        if path.name.startswith("iso_"):
            continue  # names of countries and languages
        for pair in messages(path):
            a, b = (re.sub(r"(?<!\w)[_&](?=\w)", "", text) if " " in text else text for text in pair)
            if max(len(a), len(b)) <= longest and "\n" not in a + b and a.count(" ") > 1 and a != b:
                found.setdefault(a.lower().strip(" .:"), (a.strip(), b.strip()))
    return [found[key] for key in sorted(found)]


def backwards(count: int = 6000, epochs: int = 12, digits: int = 8, width: int = 64, **sizes: Any) -> float:
    """The share of 500 numbers, none of which was seen, that a model says backwards without a mistake."""
    rng = np.random.default_rng(0)
    numbers = list({tuple(rng.integers(3, 13, rng.integers(3, digits + 1)).tolist()) for _ in range(count + 500)})
    model = train([(list(n), list(n[::-1])) for n in numbers[500:]], 13, epochs, width=width, **sizes)
    said = translate(beam_search(model, 13, digits + 1), [list(n) for n in numbers[:500]])
    return float(np.mean([tuple(a[::-1]) == n for a, n in zip(said, numbers, strict=False)]))


def main(
    folder: Path = LOCALES / "fr" / "LC_MESSAGES", tokens: int = 1500, epochs: int = 3, held: int = 500, batch: int = 32,
    **sizes: Any,
) -> Any:  # fmt: skip
    """Train: BLEU on held-out messages, that of the messages left as they are, and some translations."""
    pairs = pairs_of(folder)
    order = np.random.default_rng(0).permutation(len(pairs))
    test, seen = [pairs[i] for i in order[:held]], [pairs[i] for i in order[held:]]
    pieces = gx.data.BytePairs.train([text for pair in seen for text in pair], tokens, ("<pad>", "<start>", "<end>"))
    model = train([(pieces.encode(a), pieces.encode(b)) for a, b in seen], len(pieces), epochs, batch, **sizes)
    search = beam_search(model, len(pieces), 40)
    said = [pieces.decode(words) for words in translate(search, [pieces.encode(a) for a, _ in test])]
    split = lambda texts: [re.findall(r"\w+|[^\w\s]", text) for text in texts]
    scores = []
    for texts in (said, [a for a, _ in test]):
        bleu = gx.metrics.BLEU()
        bleu.update(split(texts), split([b for _, b in test]))
        scores.append(bleu.result())
    print(f"{len(seen)} messages to train; BLEU on {held} others {scores[0]:.3f}, of the messages as they are {scores[1]:.3f}")
    return *scores, [(a, b, found) for (a, b), found in zip(test, said, strict=True)]


if __name__ == "__main__":
    print(f"numbers said backwards without a mistake: {backwards():.3f}")
    main()
