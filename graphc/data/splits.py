"""Parts of a data set: for training, validation and test, or folds; by a seed, the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc.data.order import permutation
from graphc.data.source import length
from graphc.data.trees import mapped

Array = np.ndarray[Any, Any]


def split(
    data: Any, sizes: Sequence[float], *, seed: int = 0, shuffle: bool = True, stratify: Any = None
) -> tuple[Any, ...]:
    """Nested arrays in parts, one for each of `sizes`: no sample is in two.

    data: arrays in lists, tuples or dicts, all equally long. sizes: numbers of samples (ints), or fractions of them (floats); one
    may be -1, which takes what is left. Fractions that add up to 1 take every sample. shuffle: whether parts are drawn, or
    stand one after the other. stratify: a label for each sample: each part has of each label as near its share as whole
    numbers allow (the method of largest remainders).

    >>> import numpy as np, graphc as gx
    >>> train, test = gx.data.split({"x": np.zeros((10, 3)), "y": np.arange(10)}, (0.8, 0.2), seed=1)
    >>> train["x"].shape, sorted(np.concatenate([train["y"], test["y"]]).tolist()) == list(range(10))
    ((8, 3), True)
    """
    count = length(data)
    counts = _counts("split", count, sizes)
    rows = split_rows(count, counts, seed, shuffle, stratify)
    return tuple(_taken(data, part) for part in rows)


def train_test_split(
    *arrays: Any, test_size: float | None = None, train_size: float | None = None, seed: int = 0, shuffle: bool = True,
    stratify: Any = None,
) -> list[Any]:  # fmt: skip
    """Each array in two: [a_train, a_test, b_train, b_test, ...]; sizes and the rest as in `split`.

    test_size: by default 0.25, or what `train_size` leaves.

    >>> import numpy as np, graphc as gx
    >>> x_train, x_test, y_train, y_test = gx.data.train_test_split(np.zeros((8, 2)), np.arange(8), test_size=2)
    >>> x_train.shape, y_test.shape
    ((6, 2), (2,))
    """
    if test_size is None:
        test_size = 0.25 if train_size is None else -1
    parts = split(arrays, (-1 if train_size is None else train_size, test_size), seed=seed, shuffle=shuffle, stratify=stratify)
    return [part[i] for i in range(len(arrays)) for part in parts[:2]]


def k_fold(
    count: int, folds: int = 5, *, seed: int = 0, shuffle: bool = True, stratify: Any = None
) -> Iterator[tuple[Array, Array]]:
    """For each of the folds the rows to train on, and the rows of the fold: every row is in one fold.

    count: the number of samples. stratify: a label for each sample: folds differ by at most one sample of each label.

    >>> [(len(train), len(test)) for train, test in k_fold(10, 3)]
    [(6, 4), (7, 3), (7, 3)]
    """
    if not 2 <= folds <= count:
        raise gx.errors.InputError(
            f"k_fold: {folds} folds of {count} samples", where=gx.errors.caller(), hint="from 2 folds up to one for each sample"
        )
    order = permutation(count, seed) if shuffle else np.arange(count)
    if stratify is not None:  # those of a label one after the other, dealt out in turn
        labels = _labels("k_fold", stratify, count)
        order = order[np.argsort(labels[order], kind="stable")]
        fold_of = np.empty(count, np.int64)
        fold_of[order] = np.arange(count) % folds
    else:
        fold_of = np.empty(count, np.int64)
        fold_of[order] = np.repeat(np.arange(folds), [count // folds + (i < count % folds) for i in range(folds)])
    for i in range(folds):
        test = np.flatnonzero(fold_of == i)
        yield np.flatnonzero(fold_of != i), test


def _taken(data: Any, rows: Array) -> Any:
    return mapped(data, lambda a: np.asarray(a)[rows])


def split_rows(count: int, counts: Sequence[int], seed: int, shuffle: bool, stratify: Any) -> list[Array]:
    """The rows of each part."""
    order = permutation(count, seed) if shuffle else np.arange(count)
    if stratify is None:
        ends = np.cumsum(counts)
        return [order[end - n : end] for n, end in zip(counts, ends, strict=True)]
    labels = _labels("split", stratify, count)
    found: list[list[Array]] = [[] for _ in counts]
    sizes = np.bincount(labels)
    table = _table(sizes, np.asarray(counts))
    for label in range(len(sizes)):
        rows = order[labels[order] == label]
        begin = 0
        for part, n in zip(found, table[label], strict=True):
            part.append(rows[begin : begin + n])
            begin += n
    joined = [np.concatenate(part) if part else np.zeros(0, np.int64) for part in found]
    if not shuffle:
        return [np.sort(part) for part in joined]
    return [part[permutation(len(part), seed, 1 + i)] for i, part in enumerate(joined)]


def _table(sizes: Array, counts: Array) -> Array:
    """How many of each label (row) each part (column) gets: whole numbers near sizes * counts / total, with both sums kept.

    Each cell is its share rounded down; what is missing goes to the cells with the largest remainders whose row and column
    both have room.
    """
    total = int(sizes.sum())
    left = total - int(counts.sum())  # samples that no part takes are a part of their own
    columns = np.append(counts, left)
    shares = sizes[:, None] * columns[None, :] / max(total, 1)
    table = np.floor(shares + 1e-9).astype(np.int64)
    rest = shares - table
    rows_left, columns_left = sizes - table.sum(1), columns - table.sum(0)
    for at in np.argsort(-rest, axis=None, kind="stable"):
        i, j = divmod(int(at), len(columns))
        if rows_left[i] > 0 and columns_left[j] > 0:
            table[i, j] += 1
            rows_left[i] -= 1
            columns_left[j] -= 1
    for i in np.flatnonzero(rows_left).tolist():  # what the greedy choice left over
        for j in np.flatnonzero(columns_left).tolist():
            n = min(rows_left[i], columns_left[j])
            table[i, j] += n
            rows_left[i] -= n
            columns_left[j] -= n
    kept: Array = table[:, :-1]
    return kept


def _labels(name: str, given: Any, count: int) -> Array:
    labels = np.unique(np.asarray(given), return_inverse=True)[1].reshape(-1)
    if len(labels) != count:
        raise gx.errors.ShapeError(
            f"{name}: stratify has {len(labels)} labels for {count} samples", where=gx.errors.caller(), hint="one for each sample"
        )
    return labels


def _counts(name: str, count: int, sizes: Sequence[float]) -> list[int]:
    """Numbers of samples; fractions by their running sum, so that those of 1 make all."""
    where = gx.errors.caller()
    numbers = all(isinstance(s, (int, float, np.integer, np.floating)) and not isinstance(s, bool) for s in sizes)
    if not numbers or any(s < 0 and s != -1 for s in sizes) or not len(sizes) or list(sizes).count(-1) > 1:
        raise gx.errors.InputError(
            f"{name}: sizes are {tuple(sizes)}", where=where, hint="counts, or fractions between 0 and 1; at most one may be -1"
        )
    found: list[int] = []
    done = 0.0
    for s in sizes:
        if s == -1:
            found.append(-1)
        elif isinstance(s, (int, np.integer)):
            found.append(int(s))
        else:
            found.append(round((done + s) * count) - round(done * count))
            done += float(s)
    taken = sum(n for n in found if n != -1)
    if taken > count or done > 1 + 1e-9:
        raise gx.errors.InputError(f"{name}: {tuple(sizes)} of {count} samples are more than there are", where=where)
    return [count - taken if n == -1 else n for n in found]
