"""Sequences of different lengths: padded to one, with a mask of what is real, in batches of similar ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from graphc.data.order import permutation
from graphc.data.source import Source, contiguous

Array = np.ndarray[Any, Any]


def pad_sequences(
    sequences: Sequence[Any], maxlen: int | None = None, dtype: Any = None, padding: str = "post", truncating: str = "post",
    value: float = 0,
) -> Array:  # fmt: skip
    """Arrays [length, ...] as one [samples, maxlen, ...]: shorter ones filled up with `value`, longer ones cut.

    maxlen: by default the longest. dtype: by default that of the sequences. padding, truncating: "post" fills and cuts at the
    end, "pre" at the beginning.

    >>> pad_sequences([[1, 2], [3]])
    array([[1, 2],
           [3, 0]])
    """
    for what, choice in (("padding", padding), ("truncating", truncating)):
        if choice not in ("pre", "post"):
            raise gx.errors.InputError(
                f"pad_sequences: {what} is {choice!r}", where=gx.errors.caller(), hint="'post' or 'pre'"
            )
    arrays = [np.asarray(s) for s in sequences]
    if any(not a.ndim for a in arrays):
        raise gx.errors.ShapeError("pad_sequences needs sequences [length, ...], got a number", where=gx.errors.caller())
    filled = [a for a in arrays if a.size] or arrays  # of an empty list nobody knows the dtype
    shapes = {a.shape[1:] for a in filled}
    if len(shapes) > 1:
        raise gx.errors.ShapeError(
            f"pad_sequences: steps have shapes {' and '.join(map(str, sorted(shapes)))}", where=gx.errors.caller(),
            hint="only lengths may differ",
        )  # fmt: skip
    longest = max((len(a) for a in arrays), default=0) if maxlen is None else maxlen
    kind = np.result_type(*filled) if dtype is None and filled else np.dtype(dtype or np.float32)
    padded = np.full((len(arrays), longest, *(shapes.pop() if shapes else ())), value, kind)
    for row, a in zip(padded, arrays, strict=True):
        if not a.size:
            continue
        kept = a[:longest] if truncating == "post" else a[max(len(a) - longest, 0) :]
        if len(kept):
            row[: len(kept)] = kept if padding == "post" else row[: len(kept)]
            if padding == "pre":
                row[longest - len(kept) :] = kept
    return padded


def sequence_mask(lengths: Any, maxlen: int | None = None) -> Array:
    """bool[samples, maxlen], true where a sequence of that length has a step.

    >>> sequence_mask([2, 1])
    array([[ True,  True],
           [ True, False]])
    """
    known = np.asarray(lengths, np.int64)
    longest = int(known.max(initial=0)) if maxlen is None else maxlen
    found: Array = np.arange(longest) < known[:, None]
    return found


@dataclass(frozen=True)
class Like:
    """What stands for an array in the example of a source: sizes, of which names may differ between batches, and a dtype."""

    shape: tuple[Any, ...]
    dtype: np.dtype[Any]


class Buckets(Source):
    """Batches of sequences of similar lengths, each padded to the longest of its bucket.

    sequences: arrays [length, ...]. targets: an array [samples, ...], or arrays [length, ...] too, which are padded with
    `target_value`. mask: whether the model gets (sequences, mask) instead of the sequences; the mask is bool[batch, length].
    buckets: into how many equally large groups the lengths are sorted: a program meets no more lengths than that; or the largest
    length of each. The model sees lengths as a symbolic size "length" (that of targets with lengths of their own is
    "target_length"), so it is compiled once. Samples are mixed within buckets, and batches over all, by the seed and the epoch.

    >>> import graphc as gx
    >>> source = gx.data.Buckets([[1, 2, 3], [4], [5, 6, 7], [8]], [0, 1, 0, 1], batch_size=2, buckets=2, shuffle=False)
    >>> [x.tolist() for x, mask, y in source.batches(0)]
    [[[4], [8]], [[1, 2, 3], [5, 6, 7]]]
    """

    gathered = False

    def __init__(
        self, sequences: Sequence[Any], targets: Any = None, *, batch_size: int = 32, buckets: int | Sequence[int] = 8,
        mask: bool = True, value: float = 0, target_value: float = 0, shuffle: bool = True, seed: int = 0,
    ) -> None:  # fmt: skip
        self.sequences = [contiguous(s) for s in sequences]
        self.batch_size = gx.ops.normalize_integer("Buckets", "batch_size", batch_size)
        if not self.sequences or self.batch_size < 1:
            raise gx.errors.InputError(
                f"Buckets: {len(self.sequences)} sequences, batch_size {batch_size}", where=gx.errors.caller(),
                hint="at least one of each",
            )  # fmt: skip
        self.mask, self.value, self.target_value, self.shuffle, self.seed = mask, value, target_value, shuffle, seed
        self.targets: Any = None
        self.ragged = False
        if targets is not None:
            if len(targets) != len(self.sequences):
                raise gx.errors.ShapeError(
                    f"Buckets: {len(self.sequences)} sequences and {len(targets)} targets", where=gx.errors.caller(),
                    hint="one target for each sequence",
                )  # fmt: skip
            self.ragged = isinstance(targets, (list, tuple)) and np.ndim(targets[0]) > 0
            self.targets = [contiguous(t) for t in targets] if self.ragged else contiguous(targets)
        self.lengths = np.asarray([len(s) for s in self.sequences])
        self.bounds = self._bounds(buckets)
        if self.bounds[-1] < np.max(self.lengths):
            raise gx.errors.InputError(
                f"Buckets: a sequence has {np.max(self.lengths)} steps, the last bucket takes {self.bounds[-1]}",
                where=gx.errors.caller(), hint="cut the sequences, or give a larger last bound",
            )  # fmt: skip
        self.bucket = np.searchsorted(self.bounds, self.lengths)
        self.widths = [int(self.lengths[self.bucket == i].max(initial=0)) for i in range(len(self.bounds))]

    def _bounds(self, buckets: int | Sequence[int]) -> Array:
        if not isinstance(buckets, (int, np.integer)):
            return np.asarray(sorted(buckets), np.int64)
        if buckets < 1:
            raise gx.errors.InputError(f"Buckets: {buckets} buckets", where=gx.errors.caller(), hint="at least one")
        ordered = np.sort(self.lengths)
        ends = (np.arange(1, buckets + 1) * len(ordered) + buckets - 1) // buckets - 1  # the last of each group
        return np.unique(ordered[ends])

    @property
    def example(self) -> Any:
        first = self.sequences[0]
        kind = np.result_type(*{s.dtype for s in self.sequences})
        x: Any = Like(("batch", "length", *first.shape[1:]), kind)
        x = (x, Like(("batch", "length"), np.dtype(bool))) if self.mask else x
        if self.targets is None:
            return (x,)
        if not self.ragged:
            return (x, self.targets)
        same = all(len(t) == n for t, n in zip(self.targets, self.lengths, strict=True))
        kind = np.result_type(*{t.dtype for t in self.targets})
        return (x, Like(("batch", "length" if same else "target_length", *self.targets[0].shape[1:]), kind))

    def __len__(self) -> int:
        return sum(-(-int(n) // self.batch_size) for n in np.bincount(self.bucket))

    def rows(self, epoch: int) -> list[Array]:
        """The samples of each batch of an epoch."""
        count = len(self.sequences)
        order = permutation(count, self.seed, epoch) if self.shuffle else np.arange(count)
        groups = (order[self.bucket[order] == i] for i in range(len(self.bounds)))
        found = [g[i : i + self.batch_size] for g in groups for i in range(0, len(g), self.batch_size)]
        return [found[i] for i in permutation(len(found), self.seed, -1 - epoch)] if self.shuffle else found

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, ...]]:
        for rows in self.rows(epoch)[start:]:
            width = self.widths[self.bucket[rows[0]]]
            batch: list[Array] = [pad_sequences([self.sequences[i] for i in rows], width, value=self.value)]
            if self.mask:
                batch.append(sequence_mask(self.lengths[rows], width))
            if self.ragged:
                same = self.example[1].shape[1] == "length"
                given = [self.targets[i] for i in rows]
                batch.append(pad_sequences(given, width if same else None, value=self.target_value))
            elif self.targets is not None:
                batch.append(self.targets[rows])
            yield tuple(batch)
