"""Data: parts, folds, steps of a data set, sequences of different lengths."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.data import Buckets, Dataset, k_fold, pad_sequences, sequence_mask, split, train_test_split

RNG = np.random.default_rng(3)
LABELS = np.repeat(["a", "b", "c"], [60, 30, 11])


def test_an_order_follows_from_its_seed_and_epoch() -> None:
    assert gx.data.permutation(10, 3).tolist() == [4, 9, 8, 2, 7, 5, 0, 3, 6, 1]  # the same on every machine
    assert gx.data.permutation(10, 3).tolist() != gx.data.permutation(10, 3, epoch=1).tolist()
    assert gx.data.permutation(0, 3).tolist() == []


# --- parts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes, counts", [((0.7, 0.2, 0.1), (71, 20, 10)), ((50, 51), (50, 51)), ((10, -1), (10, 91)), ((0.5,), (50,))]
)
@pytest.mark.parametrize("labels", [None, LABELS])
def test_parts_take_what_they_should_and_share_nothing(sizes: Any, counts: Any, labels: Any) -> None:
    parts = split({"x": np.arange(101), "y": LABELS}, sizes, seed=5, stratify=labels)
    assert tuple(len(p["x"]) for p in parts) == counts
    taken = np.concatenate([p["x"] for p in parts])
    assert len(set(taken.tolist())) == sum(counts)
    assert all((LABELS[p["x"]] == p["y"]).all() for p in parts)  # what belongs together stays together
    if labels is None:
        return
    for part in parts:  # each label within one of its share
        for label, n in zip("abc", (60, 30, 11), strict=True):
            assert abs((part["y"] == label).sum() - n * len(part["x"]) / 101) < 1


def test_parts_follow_from_the_seed_and_need_no_shuffle() -> None:
    a, b, c = (split(np.arange(50), (0.5, 0.5), seed=s)[0] for s in (1, 1, 2))
    assert (a == b).all() and (a != c).any() and (np.sort(a) != a).any()
    first, second = split(np.arange(6), (4, 2), shuffle=False)
    assert first.tolist() == [0, 1, 2, 3] and second.tolist() == [4, 5]
    first, second = split(np.arange(6), (3, 3), shuffle=False, stratify=[0, 0, 0, 0, 1, 1])
    assert first.tolist() == [0, 1, 4] and second.tolist() == [2, 3, 5]


def test_a_split_as_scikit_learns() -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    x_train, x_test, _, y_test = train_test_split(x, y)
    assert x_train.shape == (8, 2) and y_test.shape == (2,) and (x_test[:, 0] == 2 * y_test).all()
    assert len(train_test_split(x, train_size=3)[1]) == 7 and len(train_test_split(x, train_size=3, test_size=2)[1]) == 2


@pytest.mark.parametrize("labels", [None, LABELS])
def test_every_sample_is_in_one_fold(labels: Any) -> None:
    folds = list(k_fold(101, 4, seed=2, stratify=labels))
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(101))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(101)) and len(test) in (25, 26)
        if labels is not None:
            assert all(abs((LABELS[test] == label).sum() - n / 4) < 1 for label, n in zip("abc", (60, 30, 11), strict=True))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: split(np.zeros(4), (3, 2)), "split: (3, 2) of 4 samples are more than there are"),
        (lambda: split(np.zeros(4), (0.7, 0.7)), "split: (0.7, 0.7) of 4 samples are more than there are"),
        (lambda: split(np.zeros(4), (-1, -1)), "split: sizes are (-1, -1)"),
        (lambda: split(np.zeros(4), (2, 2), stratify=[0, 1]), "split: stratify has 2 labels for 4 samples"),
        (lambda: split((np.zeros(4), np.zeros(3)), (2, 1)), "data have 3 and 4 samples"),
        (lambda: list(k_fold(3, 4)), "k_fold: 4 folds of 3 samples"),
        (lambda: pad_sequences([[1], 2]), "pad_sequences needs sequences [length, ...], got a number"),
        (lambda: pad_sequences([[1]], padding="left"), "pad_sequences: padding is 'left'"),
        (lambda: pad_sequences([np.ones((2, 3)), np.ones((1, 2))]), "pad_sequences: steps have shapes (2,) and (3,)"),
        (lambda: Buckets([[1, 2]], [1, 2]), "Buckets: 1 sequences and 2 targets"),
        (lambda: Buckets([[1, 2]], buckets=[1]), "Buckets: a sequence has 2 steps, the last bucket takes 1"),
        (lambda: list(Dataset([[1], [2, 3]]).batch(2)), "batch: items have shapes ((),) and ((), ())"),
        (lambda: Dataset([1]).batch(0), "batch: size is 0"),
    ],
)  # fmt: skip
def test_wrong_use_is_told(call: Any, message: str) -> None:
    with pytest.raises(gx.GraphError) as found:
        call()
    assert found.value.message == message


# --- steps -------------------------------------------------------------------------------------------------------------


def test_steps_of_a_data_set() -> None:
    squares = Dataset(range(10)).map(lambda i: (i, i * i)).filter(lambda i, s: i % 2 == 1)
    assert list(squares.take(2)) == [(1, 1), (3, 9)]
    batches = list(squares.batch(2))
    assert [x.tolist() for x, _ in batches] == [[1, 3], [5, 7], [9]] and batches[1][1].tolist() == [25, 49]
    assert len(list(squares.batch(2, drop_last=True))) == 2
    assert list(Dataset([1, 2]).repeat(2)) == [1, 2, 1, 2] and list(Dataset([1, 2]).repeat().take(3)) == [1, 2, 1]


def test_items_are_mixed_by_the_seed_and_the_epoch() -> None:
    mixed = Dataset(range(20)).shuffle(8, seed=1)
    first, again = list(mixed), list(mixed)
    assert first == again and sorted(first) == list(range(20)) and first != sorted(first)
    assert sorted(first[:8]) == list(range(8))  # no more than the buffer is held
    over = list(mixed.repeat(2))
    assert over[:20] == first and over[20:] != first and sorted(over[20:]) == list(range(20))


def test_a_data_set_trains_a_model() -> None:
    x = RNG.normal(size=(64, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    gx.layers.seed(0)
    model = gx.models.Sequential([gx.layers.Dense(1, input_shape=(3,))])
    model.compile(gx.models.Optimizer(gx.optim.adam, learning_rate=0.1), "mse")
    history = model.fit(Dataset(list(zip(x, y, strict=True))).shuffle(64).batch(16), epochs=12, verbose=0)
    assert history.history["loss"][-1] < 0.01 * history.history["loss"][0]


# --- lengths -----------------------------------------------------------------------------------------------------------


def test_sequences_are_filled_up_and_cut() -> None:
    given = [[1, 2, 3], [], [4]]
    assert pad_sequences(given).tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert pad_sequences(given, padding="pre", value=9).tolist() == [[1, 2, 3], [9, 9, 9], [9, 9, 4]]
    assert pad_sequences(given, 2).tolist() == [[1, 2], [0, 0], [4, 0]]
    assert pad_sequences(given, 2, padding="pre", truncating="pre").tolist() == [[2, 3], [0, 0], [0, 4]]
    assert pad_sequences(given, 0).shape == (3, 0) and pad_sequences(given).dtype == np.int64
    assert pad_sequences([np.ones((2, 3), "float32"), np.ones((1, 3), "float32")]).shape == (2, 2, 3)
    assert sequence_mask([3, 0, 1]).tolist() == [[True] * 3, [False] * 3, [True, False, False]]


def ragged(count: int = 200) -> tuple[list[Any], Any]:
    rng = np.random.default_rng(4)
    words = [rng.integers(1, 9, rng.integers(1, 40)) for _ in range(count)]
    return words, np.asarray([int((w == 3).sum() > 2) for w in words])


def test_buckets_hold_every_sample_once_and_pad_little() -> None:
    words, y = ragged()
    source = Buckets(words, y, batch_size=16, buckets=6, seed=1)
    batches = list(source.batches(0))
    assert len(batches) == len(source)
    assert {x.shape[1] for x, _, _ in batches} <= set(source.widths) and len(source.widths) <= 6
    assert sum(m.sum() for _, m, _ in batches) == sum(map(len, words)) < sum(m.size for _, m, _ in batches)
    assert sum(m.size for _, m, _ in batches) < 0.75 * len(words) * 39  # than everything to the longest
    assert sorted(np.concatenate(source.rows(0)).tolist()) == list(range(200))
    for rows, (x, mask, t) in zip(source.rows(0), batches, strict=True):
        assert (t == y[rows]).all() and all((r[m] == words[i]).all() for i, r, m in zip(rows, x, mask, strict=True))
        assert not x[~mask].any()
    later = list(source.batches(0, start=3))
    assert len(later) == len(batches) - 3 and (later[0][0] == batches[3][0]).all()
    assert [len(r) for r in source.rows(0)] != [len(r) for r in source.rows(1)] or any(
        (a != b).any() for a, b in zip(source.rows(0), source.rows(1), strict=True)
    )


def test_targets_may_have_lengths_too() -> None:
    words, _ = ragged(20)
    tags = Buckets(words, words, buckets=3, target_value=-1)
    assert tags.example[1].shape == ("batch", "length")
    for x, mask, t in tags.batches(0):
        assert (t[mask] == x[mask]).all() and (t[~mask] == -1).all()
    shorter = Buckets(words, [w[:1] for w in words], mask=False)
    assert shorter.example[1].shape == ("batch", "target_length")
    assert all(t.shape[1] == 1 for _, t in shorter.batches(0))


class Counted(gx.layers.Layer):
    """The mean of the vectors of the words that are there."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.table, self.out = gx.layers.Embedding(10, 8), gx.layers.Dense(2)

    def call(self, words: gx.Tensor, mask: gx.Tensor) -> gx.Tensor:
        real = gx.astype(mask, "float32")[:, :, None]
        return self.out(gx.sum(self.table(words) * real, axis=1))


def test_a_model_of_any_length_is_compiled_once() -> None:
    words, y = ragged()
    gx.layers.seed(2)
    source = Buckets(words, y, batch_size=16, buckets=5)
    inputs = gx.layers.Input(("length",), dtype="int64"), gx.layers.Input(("length",), dtype="bool")
    model = gx.models.Model(list(inputs), Counted()(*inputs))
    model.compile(gx.models.Optimizer(gx.optim.adam, learning_rate=0.05), "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(source, epochs=15, verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    assert len([key for key in model.programs._made if key[0] == "train"]) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_data_in_a_mapped_file_leave_memory_once_they_are_used(tmp_path: Path) -> None:
    """400 MB of zeros, which take no room on the disk."""
    path = tmp_path / "x.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (100, 1 << 20)).flush()
    source = gx.data.Arrays(np.load(path, mmap_mode="r"), batch_size=4)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before, most = resident(), 0
    for x, rows in source.batches(0):
        assert not x[rows].any()
        most = max(most, resident())
    assert most - before < 250e6
