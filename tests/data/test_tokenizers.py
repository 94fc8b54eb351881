"""Texts as numbers and back: every text comes back, frequent pairs become tokens, files hold all."""

from __future__ import annotations

import pydoc_data.topics
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import graphc as gx
from graphc.data import BytePairs, Characters, Tokenizer, Words

TEXT = "".join(pydoc_data.topics.topics.values())[:60_000]
ODD = ["", " ", "a\n\n  b\t", "Grüße, 世界 🙂", "x_1 = f(2.5e-3)  # don't", "\x00\x7f", "e\u0301 \u00a0\u2028end", TEXT[:2000]]


def by_counting(pieces: Counter[str], wanted: int) -> list[tuple[int, int]]:
    """The merges, all pairs counted anew each time."""
    words = {tuple(p.encode()): n for p, n in pieces.items()}
    found: list[tuple[int, int]] = []
    while len(found) < wanted:
        counts: Counter[tuple[int, int]] = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                counts[pair] += n
        best = min(counts, key=lambda p: (-counts[p], p))
        new, merged = 256 + len(found), Counter()  # type: ignore[var-annotated]
        found.append(best)
        for word, n in words.items():
            made: list[int] = []
            for x in word:
                made.append(x)
                if len(made) > 1 and tuple(made[-2:]) == best:
                    made[-2:] = [new]
            merged[tuple(made)] += n
        words = merged
    return found


@pytest.fixture(scope="module")
def pairs() -> BytePairs:
    return BytePairs.train(TEXT, 600, special=("<start>", "<end>"))


def test_byte_pairs_are_those_of_counting_anew() -> None:
    text = TEXT[:8000] + " aaaa aaa aa aaaaa" * 20  # pairs that overlap themselves
    mine = BytePairs.train(text, merges=120)
    assert mine.merges == by_counting(Counter(re.findall(BytePairs.PATTERN, text)), 120)


def test_every_text_comes_back(pairs: BytePairs) -> None:
    for text in [*ODD, "\ud800 alone"]:
        assert pairs.decode(pairs.encode(text)) == text
    assert pairs.decode(pairs.encode("世")[:-1]) == "\ufffd"
    assert len(pairs) == 600 and max(pairs.encode(TEXT)) < 600
    assert len(pairs.encode(TEXT)) < 0.5 * len(TEXT.encode())


def test_special_tokens_count_only_where_they_are_meant(pairs: BytePairs) -> None:
    assert pairs.id("<end>") == 1
    assert 1 not in pairs.encode("a<end>") and pairs.decode(pairs.encode("a<end>")) == "a<end>"
    meant = pairs.encode("<start>a<end>", special=True)
    assert meant[0] == 0 and meant[-1] == 1
    assert pairs.decode(meant) == "<start>a<end>" and pairs.decode(meant, skip_special=True) == "a"


@pytest.mark.parametrize(
    "made",
    [
        lambda: BytePairs.train(TEXT[:5000], 300, special=("<end>",)),
        lambda: Words.train(TEXT[:5000], 100, special=("<end>",), lower=True),
        lambda: Characters.train(TEXT[:5000], special=("<end>",), unknown="<unk>"),
    ],
)
def test_files_hold_all(made: Any, tmp_path: Path) -> None:
    before = made()
    before.save(tmp_path / "tokens.json")
    after = Tokenizer.load(tmp_path / "tokens.json")
    assert type(after) is type(before) and len(after) == len(before) and after.get_config() == before.get_config()
    for text in (TEXT[:3000], "ζ <end> New"):
        assert after.encode(text, special=True) == before.encode(text, special=True)


def test_words_and_characters() -> None:
    words = Words.train(["The cat.", "the dog and the cat"], size=5, special=("<pad>",))
    assert words.special == ("<unk>", "<pad>") and words.words == ["cat", "the", "."]
    assert words.encode("the bird.") == [3, 0, 4] and words.decode([3, 0, 1], skip_special=True) == "the"
    assert Words.train("a a b", least=2).words == ["a"] and len(Words.train(["A a"], lower=True)) == 2
    assert Words.train("a a b", special=("<unk>", "<s>")).special == ("<unk>", "<s>")
    letters = Characters.train(["ab", "c"], unknown="?")
    assert letters.encode("cax") == [3, 1, 0] and letters.decode([3, 1, 0]) == "ca?"


def test_wrong_use_is_told(pairs: BytePairs, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"format": 1, "kind": "Path", "config": {}}')
    calls: list[tuple[Any, str]] = [
        (lambda: Characters.train("ab").encode("abc"), "encode: the character 'c' is unknown"),
        (lambda: pairs.decode([600]), "decode: 600 is no token, there are 600"),
        (lambda: pairs.id("<pad>"), "'<pad>' is no special token"),
        (lambda: pairs.encode(b"a"), "encode needs a text, got bytes"),  # type: ignore[arg-type]
        (lambda: BytePairs.train("a"), "BytePairs.train: give size or merges, one of them"),
        (lambda: BytePairs.train("a", 256, special=("x",)), "BytePairs.train: 256 tokens are less than the bytes and special"),
        (lambda: BytePairs([(0, 999)]), "BytePairs: merge 0 is of (0, 999), tokens that are not there yet"),
        (lambda: Words([], special=("a", "a")), "Words: special tokens are ('<unk>', 'a', 'a')"),
        (lambda: Tokenizer.load(tmp_path / "other.json"), f"load: '{tmp_path}/other.json' is no tokeniser: 'Path'"),
        (lambda: Tokenizer.load(tmp_path / "none.json"), f"load: '{tmp_path}/none.json' is no tokeniser: [Errno 2]"),
    ]
    for call, message in calls:
        with pytest.raises(gx.GraphError) as found:
            call()
        assert found.value.message.startswith(message)
