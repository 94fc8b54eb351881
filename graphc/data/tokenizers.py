"""Texts as numbers, and back: characters, words, byte pairs.

    tokenizer = BytePairs.train(texts, 2000, special=("<start>", "<end>"))
    ids = tokenizer.encode("a text")
    tokenizer.decode(ids)
    tokenizer.save("tokens.json")

Special tokens have the first numbers. What stands in a text like one is text, unless `encode` is told otherwise: nobody's text
can end a sequence.
"""

from __future__ import annotations

import heapq
import json
import os
import re
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import graphc as gx

StrPath = str | os.PathLike[str]
FORMAT = 1


class Tokenizer(ABC):
    """Texts as numbers from 0 to `len(tokenizer)` - 1, and back."""

    kinds: ClassVar[dict[str, type[Tokenizer]]] = {}

    def __init_subclass__(cls) -> None:
        Tokenizer.kinds[cls.__name__] = cls

    def __init__(self, special: Sequence[str] = ()) -> None:
        self.special = tuple(special)
        if len(set(self.special)) != len(self.special) or not all(isinstance(s, str) and s for s in self.special):
            raise gx.errors.InputError(
                f"{type(self).__name__}: special tokens are {self.special}", where=gx.errors.caller(), hint="different texts"
            )
        ordered = sorted(self.special, key=len, reverse=True)  # the longest that fits
        self._special = re.compile("(" + "|".join(map(re.escape, ordered)) + ")") if ordered else None

    @abstractmethod
    def __len__(self) -> int:
        """How many tokens there are, special ones included."""

    @abstractmethod
    def _encode(self, text: str) -> list[int]:
        """The numbers of a text without special tokens."""

    @abstractmethod
    def _decode(self, ids: Sequence[int]) -> str:
        """The text of numbers that are no special tokens."""

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """What makes such a tokeniser again, as JSON holds it."""

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The numbers of a text. special: whether special tokens in the text count as such."""
        if not isinstance(text, str):
            raise gx.errors.InputError(f"encode needs a text, got {type(text).__name__}", where=gx.errors.caller())
        if not special or self._special is None:
            return self._encode(text)
        found: list[int] = []
        for i, part in enumerate(self._special.split(text)):
            found += [self.special.index(part)] if i % 2 else self._encode(part)
        return found

    def decode(self, ids: Iterable[int], skip_special: bool = False) -> str:
        """The text of numbers. skip_special: whether special tokens are left out."""
        found: list[str] = []
        run: list[int] = []
        for i in ids:
            if not 0 <= i < len(self):
                raise gx.errors.InputError(
                    f"decode: {i} is no token, there are {len(self)}", where=gx.errors.caller(), hint="numbers that encode gave"
                )
            if i >= len(self.special):
                run.append(int(i))
                continue
            found.append(self._decode(run))
            run = []
            if not skip_special:
                found.append(self.special[i])
        return "".join([*found, self._decode(run)])

    def id(self, token: str) -> int:
        """The number of a special token."""
        if token not in self.special:
            raise gx.errors.InputError(
                f"{token!r} is no special token", where=gx.errors.caller(), hint="known: " + ", ".join(self.special)
            )
        return self.special.index(token)

    def save(self, path: StrPath) -> None:
        """Write the tokeniser as JSON."""
        data = {"format": FORMAT, "kind": type(self).__name__, "config": self.get_config()}
        Path(path).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")

    @staticmethod
    def load(path: StrPath) -> Tokenizer:
        """The tokeniser that `save` wrote, of whatever kind. Raises FileError for another file."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise ValueError(f"it has format {data['format']}, not {FORMAT}")
            return Tokenizer.kinds[data["kind"]](**data["config"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise gx.errors.FileError(f"load: {os.fspath(path)!r} is no tokeniser: {error}", where=gx.errors.caller()) from error


class Characters(Tokenizer):
    """A number for each character.

    characters: all that are known. unknown: the special token for others; without one they are an error.

    >>> tokenizer = Characters.train("hello")
    >>> tokenizer.encode("hole"), tokenizer.decode([1, 3, 2, 0])
    ([1, 3, 2, 0], 'hole')
    """

    def __init__(self, characters: str, special: Sequence[str] = (), unknown: str | None = None) -> None:
        super().__init__(special if unknown is None or unknown in special else (unknown, *special))
        self.characters, self.unknown = characters, unknown
        self._ids = {c: i for i, c in enumerate(characters, len(self.special))}

    @classmethod
    def train(cls, texts: str | Iterable[str], special: Sequence[str] = (), unknown: str | None = None) -> Characters:
        """The characters of some texts, in their order."""
        seen: set[str] = set()
        for text in _several(texts):
            seen.update(text)
        return cls("".join(sorted(seen)), special, unknown)

    def __len__(self) -> int:
        return len(self.special) + len(self.characters)

    def _encode(self, text: str) -> list[int]:
        try:
            if self.unknown is not None:
                return [self._ids.get(c, self.special.index(self.unknown)) for c in text]
            return [self._ids[c] for c in text]
        except KeyError as error:
            raise _unknown("character", error.args[0]) from None

    def _decode(self, ids: Sequence[int]) -> str:
        return "".join(self.characters[i - len(self.special)] for i in ids)

    def get_config(self) -> dict[str, Any]:
        return {"characters": self.characters, "special": list(self.special), "unknown": self.unknown}


class Words(Tokenizer):
    """A number for each word, and for each sign that is none.

    words: all that are known. unknown: the special token for others. lower: whether capitals count as small letters. pattern: a
    regular expression of words. Blanks are left out: `decode` puts one between words.

    >>> tokenizer = Words.train("the cat and the dog")
    >>> tokenizer.encode("the bird"), tokenizer.decode([1, 3])
    ([1, 0], 'the cat')
    """

    def __init__(
        self, words: Sequence[str], special: Sequence[str] = (), unknown: str = "<unk>", lower: bool = False,
        pattern: str = r"\w+|[^\w\s]",
    ) -> None:  # fmt: skip
        super().__init__(special if unknown in special else (unknown, *special))
        self.words, self.unknown, self.lower, self.pattern = list(words), unknown, lower, pattern
        self._ids = {w: i for i, w in enumerate(self.words, len(self.special))}
        self._words = re.compile(pattern)

    @classmethod
    def train(
        cls, texts: str | Iterable[str], size: int | None = None, special: Sequence[str] = (), unknown: str = "<unk>",
        lower: bool = False, least: int = 1, pattern: str = r"\w+|[^\w\s]",
    ) -> Words:  # fmt: skip
        """The words of some texts, the most frequent first, equally frequent ones by the alphabet.

        size: at most so many tokens, special ones included. least: how often a word must occur.
        """
        words = re.compile(pattern)
        counts: Counter[str] = Counter()
        for text in _several(texts):
            counts.update(words.findall(text.lower() if lower else text))
        ordered = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
        own = len(special) + (unknown not in special)
        return cls(ordered if size is None else ordered[: max(size - own, 0)], special, unknown, lower, pattern)

    def __len__(self) -> int:
        return len(self.special) + len(self.words)

    def _encode(self, text: str) -> list[int]:
        other = self.special.index(self.unknown)
        return [self._ids.get(w, other) for w in self._words.findall(text.lower() if self.lower else text)]

    def _decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.words[i - len(self.special)] for i in ids)

    def decode(self, ids: Iterable[int], skip_special: bool = False) -> str:
        """The words of numbers, with a blank between them. skip_special: whether special tokens are left out."""
        given = [int(i) for i in ids if not skip_special or i >= len(self.special)]
        return " ".join(super(Words, self).decode([i]) for i in given)

    def get_config(self) -> dict[str, Any]:
        return {
            "words": self.words, "special": list(self.special), "unknown": self.unknown, "lower": self.lower,
            "pattern": self.pattern,
        }  # fmt: skip


class BytePairs(Tokenizer):
    """Bytes, and pairs of tokens that became tokens because they are frequent: every text has numbers, and comes back as it was.

    merges: pairs of numbers, each a new token, in the order of their making. Numbers: special tokens, the 256 bytes, merges.
    pattern: a regular expression of the pieces that merges never cross: by default words with the blank before them, runs of
    other signs, and runs of blanks, after GPT-2's. R. Sennrich, B. Haddow, A. Birch, "Neural machine translation of rare words
    with subword units", 2016; bytes: A. Radford et al., "Language models are unsupervised multitask learners", 2019.

    >>> tokenizer = BytePairs.train("low lower lowest low low", merges=4)
    >>> [tokenizer.decode([i]) for i in tokenizer.encode("lowest low")]
    ['low', 'e', 's', 't', ' low']
    """

    PATTERN = r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+"

    def __init__(self, merges: Sequence[Sequence[int]], special: Sequence[str] = (), pattern: str = PATTERN) -> None:
        super().__init__(special)
        self.merges = [(int(a), int(b)) for a, b in merges]
        self.pattern = pattern
        self._pieces = re.compile(pattern)
        first = len(self.special)
        self._bytes: list[bytes] = [bytes([i]) for i in range(256)]
        for i, (a, b) in enumerate(self.merges):
            if not all(first <= x < first + 256 + i for x in (a, b)):
                raise gx.errors.InputError(
                    f"BytePairs: merge {i} is of {(a, b)}, tokens that are not there yet", where=gx.errors.caller()
                )
            self._bytes.append(self._bytes[a - first] + self._bytes[b - first])
        self._ranks = {pair: i for i, pair in enumerate(self.merges)}
        self._known: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls, texts: str | Iterable[str], size: int | None = None, special: Sequence[str] = (), *, merges: int | None = None,
        pattern: str = PATTERN,
    ) -> BytePairs:  # fmt: skip
        """The merges that follow from some texts: each time the most frequent pair, of equally frequent ones that of the
        smallest numbers. It ends early where no pair occurs twice.

        size: the number of tokens, special ones and bytes included; or merges: that of pairs.
        """
        if (size is None) == (merges is None):
            raise gx.errors.InputError("BytePairs.train: give size or merges, one of them", where=gx.errors.caller())
        wanted = merges if merges is not None else (size or 0) - len(special) - 256
        if wanted < 0:
            raise gx.errors.InputError(
                f"BytePairs.train: {size} tokens are less than the bytes and special tokens", where=gx.errors.caller(),
                hint=f"at least {256 + len(special)}",
            )  # fmt: skip
        pieces: Counter[str] = Counter()
        for text in _several(texts):
            pieces.update(re.findall(pattern, text))
        return cls(_merges(pieces, wanted, len(special)), special, pattern)

    def __len__(self) -> int:
        return len(self.special) + len(self._bytes)

    def _encode(self, text: str) -> list[int]:
        found: list[int] = []
        for match in self._split(text):
            known = self._known.get(match)
            if known is None:
                known = self._merged(match)
                if len(self._known) < 100_000:  # words repeat; what does not is not kept without end
                    self._known[match] = known
            found += known
        return found

    def _split(self, text: str) -> Iterable[str]:
        """The pieces of a text; what the pattern leaves out stands between them."""
        end = 0
        for match in self._pieces.finditer(text):
            if match.start() > end:
                yield text[end : match.start()]
            end = match.end()
            yield match.group()
        if end < len(text):
            yield text[end:]

    def _merged(self, piece: str) -> list[int]:
        """The numbers of a piece: the earliest merge first."""
        first = len(self.special)
        ids = [b + first for b in piece.encode("utf-8", "surrogatepass")]
        last = len(self.merges)
        while len(ids) > 1:
            rank = min(self._ranks.get(pair, last) for pair in pairwise(ids))
            if rank == last:
                break
            ids = _replaced(ids, self.merges[rank], first + 256 + rank)
        return ids

    def _decode(self, ids: Sequence[int]) -> str:
        first = len(self.special)
        joined = b"".join(self._bytes[i - first] for i in ids)
        try:
            return joined.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:  # numbers that begin or end within a character
            return joined.decode("utf-8", "replace")

    def get_config(self) -> dict[str, Any]:
        return {"merges": [list(pair) for pair in self.merges], "special": list(self.special), "pattern": self.pattern}


def _merges(pieces: Mapping[str, int], wanted: int, first: int) -> list[tuple[int, int]]:
    """The pairs to merge. Counts of pairs are kept as merges change them: a step costs what the words with the pair have."""
    words = [[b + first for b in piece.encode("utf-8", "surrogatepass")] for piece in pieces]
    times = list(pieces.values())
    counts: dict[tuple[int, int], int] = defaultdict(int)
    places: dict[tuple[int, int], set[int]] = defaultdict(set)
    for i, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += times[i]
            places[pair].add(i)
    heap = [(-n, pair) for pair, n in counts.items()]
    heapq.heapify(heap)
    found: list[tuple[int, int]] = []
    while len(found) < wanted and heap:
        negative, best = heapq.heappop(heap)
        if -negative != counts[best]:  # the count is an old one: its new one is in the heap too
            continue
        if -negative < 2:
            break
        new = first + 256 + len(found)
        found.append(best)
        changed: set[tuple[int, int]] = set()
        for i in places.pop(best):
            old = words[i]
            word = _replaced(old, best, new)
            if len(word) == len(old):
                continue
            for pair in pairwise(old):
                counts[pair] -= times[i]
                changed.add(pair)
            for pair in pairwise(word):
                counts[pair] += times[i]
                places[pair].add(i)
                changed.add(pair)
            words[i] = word
        for pair in changed:
            if counts[pair] > 0 and pair != best:
                heapq.heappush(heap, (-counts[pair], pair))
        counts[best] = 0
    return found


def _replaced(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Numbers with each pair as one, from the left."""
    a, b = pair
    found: list[int] = []
    i, end = 0, len(ids) - 1
    while i <= end:
        if i < end and ids[i] == a and ids[i + 1] == b:
            found.append(new)
            i += 2
        else:
            found.append(ids[i])
            i += 1
    return found


def _several(texts: str | Iterable[str]) -> Iterable[str]:
    return [texts] if isinstance(texts, str) else texts


def _unknown(what: str, found: str) -> gx.GraphError:
    return gx.errors.InputError(
        f"encode: the {what} {found!r} is unknown", where=gx.errors.caller(), hint="give unknown=, a token for such"
    )
