"""A data set that is made step by step: what an iterable gives, changed, mixed, and put into batches.

    Dataset(files).map(read).shuffle(1000, seed=1).batch(32)

Every step says what an epoch is: a function of its number that gives an iterator. So `fit` reads it as any other source.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

import graphc as gx
from graphc.data.order import permutation
from graphc.data.source import Stream
from graphc.data.trees import leaves, mapped

Epoch = Callable[[int], Iterable[Any]]


class Dataset(Stream):
    """What an iterable gives, with the steps that lead to batches; each step is a new Dataset.

    made: an iterable that can begin anew, or a function that gives one for the number of an epoch. Items are nested arrays or
    numbers: in lists, tuples and dicts.

    >>> import graphc as gx
    >>> items = gx.data.Dataset(range(7)).map(lambda i: (i, i * i)).batch(3)
    >>> [x.tolist() for x, y in items]
    [[0, 1, 2], [3, 4, 5], [6]]
    """

    def __init__(self, made: Iterable[Any] | Epoch, steps: int | None = None) -> None:
        super().__init__(made, steps)

    def __iter__(self) -> Iterator[Any]:
        """The items of epoch 0."""
        return iter(self._items(0))

    def map(self, change: Callable[..., Any]) -> Dataset:
        """Each item changed: a tuple is given as several arguments."""
        return Dataset(lambda epoch: (change(*x) if isinstance(x, tuple) else change(x) for x in self._items(epoch)))

    def filter(self, keep: Callable[..., bool]) -> Dataset:
        """The items of which `keep` is true."""
        return Dataset(lambda epoch: (x for x in self._items(epoch) if (keep(*x) if isinstance(x, tuple) else keep(x))))

    def take(self, count: int) -> Dataset:
        """The first `count` items."""
        _positive("take", "count", count, least=0)
        return Dataset(lambda epoch: itertools.islice(self._items(epoch), count))

    def repeat(self, count: int | None = None) -> Dataset:
        """The items over and over, `count` times or without an end; each time as another epoch gives them."""
        if count is not None:
            _positive("repeat", "count", count, least=0)
        if count is None:
            return Dataset(lambda _: (x for i in itertools.count() for x in self._items(i)))
        return Dataset(lambda epoch: (x for i in range(count) for x in self._items(epoch * count + i)))

    def shuffle(self, buffer: int, seed: int = 0) -> Dataset:
        """The items in another order for each epoch: block after block of `buffer` items, each in an order by the seed."""
        _positive("shuffle", "buffer", buffer)

        def epoch_of(epoch: int) -> Iterator[Any]:
            items = iter(self._items(epoch))
            for turn in itertools.count():
                block = list(itertools.islice(items, buffer))
                if not block:
                    return
                yield from (block[i] for i in permutation(len(block), seed + turn, epoch))

        return Dataset(epoch_of)

    def batch(self, size: int, drop_last: bool = False) -> Dataset:
        """Items stacked, `size` at a time; drop_last: leave out a last batch that is shorter."""
        _positive("batch", "size", size)

        def epoch_of(epoch: int) -> Iterator[Any]:
            items = iter(self._items(epoch))
            while block := list(itertools.islice(items, size)):
                if len(block) < size and drop_last:
                    return
                yield _stacked(block)

        return Dataset(epoch_of)

    def _items(self, epoch: int) -> Iterable[Any]:
        return self.made(epoch) if callable(self.made) else self.made


def _stacked(block: list[Any]) -> Any:
    columns = zip(*(leaves(item) for item in block), strict=True)
    shapes = {tuple(np.shape(a) for a in leaves(item)) for item in block}
    if len(shapes) > 1:
        raise gx.errors.ShapeError(
            f"batch: items have shapes {' and '.join(map(str, sorted(shapes)))}", where=gx.errors.caller(),
            hint="pad them first, with map, or use gx.data.Buckets",
        )  # fmt: skip
    return mapped(block[0], lambda _: np.stack([np.asarray(a) for a in next(columns)]))


def _positive(name: str, what: str, value: int, least: int = 1) -> None:
    if gx.ops.normalize_integer(name, what, value) < least:
        raise gx.errors.InputError(
            f"{name}: {what} is {value}", where=gx.errors.caller(), hint=f"give an integer from {least} on"
        )
