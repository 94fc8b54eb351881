"""Figures of texts, from lists of tokens; a text stands for its words, or for its characters in `CharacterErrorRate`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import graphc as gx
from graphc.metrics.host import HostMetric

Tokens = Sequence[Any] | str


class BLEU(HostMetric):
    """The likeness of translations to references: n-grams they share, of 1 to `order` tokens (Papineni et al. 2002, ACL).

    The geometric mean of the parts of n-grams that stand in a reference, each at most as often as there, over the whole corpus;
    times exp(1 - r / c) where the translations are shorter, c tokens in all, than the references nearest in length, r. From 0 to
    1. smooth: add 1 to both counts of n-grams from 2 on (Lin and Och 2004, COLING), for a figure of few sentences.

    >>> import graphc as gx
    >>> bleu = gx.metrics.BLEU(order=2)
    >>> bleu.update(["the cat sat"], [["the cat sat down", "a cat sat"]])
    >>> round(bleu.result(), 6)
    1.0
    """

    def __init__(self, order: int = 4, smooth: bool = False) -> None:
        self.order, self.smooth = gx.ops.normalize_integer("BLEU", "order", order), smooth
        self.reset()

    def reset(self) -> None:
        self._shared, self._all = [0] * self.order, [0] * self.order
        self._length = self._wanted = 0

    def update(self, predictions: Sequence[Tokens], references: Sequence[Any]) -> None:
        """Add translations: texts, or lists of tokens, each with its reference in the same form, or a list of several."""
        for prediction, given in zip(predictions, _paired("BLEU", predictions, references), strict=True):
            tokens = words(prediction)
            listed = not isinstance(given, str) and len(given) > 0
            several = listed and (isinstance(prediction, str) or isinstance(given[0], (list, tuple)))
            wanted = [words(one) for one in given] if several else [words(given)]
            self._length += len(tokens)
            self._wanted += min((abs(len(one) - len(tokens)), len(one)) for one in wanted)[1]
            for n in range(1, self.order + 1):
                own = grams(tokens, n)
                most: Counter[tuple[Any, ...]] = Counter()
                for one in wanted:
                    most |= grams(one, n)
                self._shared[n - 1] += sum((own & most).values())
                self._all[n - 1] += sum(own.values())

    def result(self) -> float:
        if not self._length:
            return 0.0 if self._wanted else math.nan
        logs = []
        for n, (shared, every) in enumerate(zip(self._shared, self._all, strict=True)):
            extra = 1 if self.smooth and n else 0
            if not shared + extra or not every + extra:
                return 0.0
            logs.append(math.log((shared + extra) / (every + extra)))
        short = min(0.0, 1 - self._wanted / self._length)
        return math.exp(short + sum(logs) / self.order)


class WordErrorRate(HostMetric):
    """Words that must be replaced, put in or left out to make the references of the texts, over the words of the references.

    >>> import graphc as gx
    >>> rate = gx.metrics.WordErrorRate()
    >>> rate.update(["the cat sat"], ["a cat sat down"])
    >>> rate.result()
    0.5
    """

    name = "WordErrorRate"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._edits = self._count = 0

    def tokens(self, text: Tokens) -> list[Any]:
        """What is counted of a text."""
        return words(text)

    def update(self, predictions: Sequence[Tokens], references: Sequence[Tokens]) -> None:
        """Add texts or lists of tokens, each with its reference."""
        for prediction, reference in zip(predictions, _paired(self.name, predictions, references), strict=True):
            wanted = self.tokens(reference)
            self._edits += edit_distance(self.tokens(prediction), wanted)
            self._count += len(wanted)

    def result(self) -> float:
        if not self._count:
            return math.inf if self._edits else math.nan
        return self._edits / self._count


class CharacterErrorRate(WordErrorRate):
    """Characters that must be replaced, put in or left out to make the references, over the characters of the references."""

    name = "CharacterErrorRate"

    def tokens(self, text: Tokens) -> list[Any]:
        return list(text)


def words(text: Tokens) -> list[Any]:
    """The tokens of a list, or a text's words."""
    return text.split() if isinstance(text, str) else list(text)


def grams(tokens: Sequence[Any], n: int) -> Counter[tuple[Any, ...]]:
    """How often each n tokens in a row stand there."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """How many tokens must be replaced, put in or left out to make b of a (Levenshtein 1966).

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def _listed(name: str, texts: Any) -> Sequence[Any]:
    if isinstance(texts, str):
        raise gx.errors.InputError(f"{name}: one text is no list of texts", where=gx.errors.caller(), hint="put it into a list")
    found: Sequence[Any] = texts
    return found


def _paired(name: str, predictions: Any, references: Any) -> Sequence[Any]:
    if len(_listed(name, references)) != len(_listed(name, predictions)):
        raise gx.errors.InputError(
            f"{name}: {len(predictions)} texts and {len(references)} references", where=gx.errors.caller(), hint="one for each"
        )
    found: Sequence[Any] = references
    return found
