"""Sources of batches: what `fit` reads, arrays in memory or files, or anything that can be iterated.

A source gives, for an epoch, the arguments of a program for one batch after the other, from any batch on: so training goes on
where it stopped.
"""

from __future__ import annotations

import itertools
import mmap
import queue
import threading
from _thread import start_new_thread
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from typing import Any

import numpy as np

import graphc as gx
from graphc.data.order import permutation
from graphc.data.trees import leaves, mapped

Array = np.ndarray[Any, Any]
_HELD = 1 << 27  # bytes of mapped files that stay in memory
_AROUND = 1 << 16  # bytes that the system maps where one is read


class Source(ABC):
    """Batches of samples, epoch by epoch.

    gathered: whether a program is given whole arrays and the numbers of a batch's rows, and gathers them itself.
    """

    gathered: bool

    @property
    @abstractmethod
    def example(self) -> Any:
        """Nested arrays of the types and shapes of a batch; their first axis counts for nothing."""

    @abstractmethod
    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, ...]]:
        """The arguments of a program for each batch of an epoch, from batch number `start` on."""

    def __len__(self) -> int:
        """The number of batches in an epoch; TypeError where nobody knows."""
        raise TypeError("this source does not know its length")

    def samples(self, arguments: tuple[Any, ...]) -> int:
        """How many samples a batch has."""
        return len(arguments[-1] if self.gathered else arguments[0])


class Arrays(Source):
    """Batches of rows of nested arrays, in an order that follows from a seed and the epoch.

    data: arrays, in lists, tuples or dicts, all equally long; memory-mapped files are read where rows are wanted, and not held in
    memory once they are used, so that data may be larger than it. float64 becomes float32. shuffle: whether each epoch has an
    order of its own. drop_last: leave out a last batch that is shorter. steps: the number of batches in an epoch, where that is
    not all there are. multiple: a last batch that is shorter has a multiple of so many samples; what is left over is left out.
    """

    gathered = True

    def __init__(
        self, data: Any, batch_size: int = 32, shuffle: bool = True, seed: int = 0, drop_last: bool = False,
        steps: int | None = None, multiple: int = 1,
    ) -> None:  # fmt: skip
        self.data = mapped(data, contiguous)
        self.batch_size = gx.ops.normalize_integer("Arrays", "batch_size", batch_size)
        if self.batch_size < 1:
            raise gx.errors.InputError(f"batch_size is {batch_size}", where=gx.errors.caller(), hint="give an integer from 1 on")
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.count = length(self.data)
        self.steps = steps
        self.multiple = gx.ops.normalize_integer("Arrays", "multiple", multiple)
        if self.multiple < 1 or self.batch_size % self.multiple:
            raise gx.errors.InputError(
                f"batches of {self.batch_size} samples are no multiple of {multiple}", where=gx.errors.caller(),
                hint="let batch_size be a multiple of compile(blocks=)",
            )  # fmt: skip
        there = -(-self._taken() // self.batch_size)
        if steps is not None and not 1 <= gx.ops.normalize_integer("Arrays", "steps", steps) <= there:
            raise gx.errors.InputError(
                f"{steps} steps in an epoch, and the arrays have {there} batches of {self.batch_size}",
                where=gx.errors.caller(), hint="a smaller batch_size, or leave the steps out",
            )  # fmt: skip

    @property
    def example(self) -> Any:
        return self.data

    def _taken(self) -> int:
        """How many samples an epoch takes."""
        rest = self.count % self.batch_size
        return self.count - (rest if self.drop_last else rest % self.multiple)

    def __len__(self) -> int:
        whole = -(-self._taken() // self.batch_size)
        return whole if self.steps is None else min(whole, self.steps)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, ...]]:
        arrays = leaves(self.data)
        order = permutation(self.count, self.seed, epoch) if self.shuffle else np.arange(self.count)
        taken = self._taken()
        files = Files(arrays)
        for i in range(start, len(self)):
            rows = order[i * self.batch_size : min((i + 1) * self.batch_size, taken)]
            yield (*arrays, rows)
            files.used(len(rows))


class Files:
    """The files that arrays are mapped from: how much of them was read, which leaves memory now and then.

    The system keeps what is read from a mapped file in this process's memory until it is short of memory itself.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.mapped = [(file, max(a.nbytes // max(len(a), 1), _AROUND)) for a in arrays if (file := _file_of(a)) is not None]
        self.read = 0

    def used(self, rows: int) -> None:
        """So many rows were read, and nobody reads them now."""
        self.read += sum(rows * each for _, each in self.mapped)
        if self.read > _HELD:
            self.read = 0
            for file, _ in self.mapped:
                file.madvise(mmap.MADV_DONTNEED)


def _file_of(array: Array) -> mmap.mmap | None:
    """The file that an array is mapped from, where what it holds is there and not in this process alone."""
    part: Any = array
    shared = False
    while isinstance(part, np.ndarray):
        shared = shared or (isinstance(part, np.memmap) and part.mode != "c")
        part = part.base
    return part if shared and isinstance(part, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") else None


class Stream(Source):
    """Batches that somebody else makes: an iterable of nested arrays, or a function that gives one for the number of an epoch.

    A thread is ahead by `ahead` batches. An iterator that ends and cannot begin anew is one epoch. steps: the number of batches
    in an epoch; by default until the iterable ends.
    """

    gathered = False

    def __init__(self, made: Iterable[Any] | Callable[[int], Iterable[Any]], steps: int | None = None, ahead: int = 2) -> None:
        self.made, self.steps, self.ahead = made, steps, ahead
        self._once = not callable(made) and iter(made) is made
        self._begun: Iterator[Any] | None = None  # of epoch 0, or of all if it cannot begin anew
        self._first: Any = None

    @property
    def example(self) -> Any:
        if self._first is None:
            running = self._begin(0)
            self._first = next(running, None)
            if self._first is None:
                raise gx.errors.InputError("the data have no batch", where=gx.errors.caller())
            self._begun = itertools.chain([self._first], running)
        return self._first

    def __len__(self) -> int:
        if self.steps is not None:
            return self.steps
        return len(self.made) if isinstance(self.made, Sized) else super().__len__()

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, ...]]:
        running = self._epoch(epoch)
        for i, batch in enumerate(ahead(itertools.islice(running, self.steps), self.ahead)):
            if i >= start:
                yield tuple(leaves(batch))

    def _epoch(self, epoch: int) -> Iterator[Any]:
        assert self.example is not None  # looked at before a thread reads on
        running = self._begun if self._begun is not None and (self._once or epoch == 0) else self._begin(epoch)
        if not self._once:
            self._begun = None
        return running

    def _begin(self, epoch: int) -> Iterator[Any]:
        made = self.made(epoch) if callable(self.made) else self.made
        return (mapped(batch, contiguous) for batch in made)


def ahead(items: Iterator[Any], count: int) -> Iterator[Any]:
    """The same items, made by a thread that is up to `count` of them ahead; what it raises is raised here."""
    made: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()  # written in C: an interrupt of a wait for it leaves it whole
    room: queue.SimpleQueue[None] = queue.SimpleQueue()
    wanted = threading.Lock()  # held as long as somebody wants more
    for _ in range(count):
        room.put(None)

    def has_room() -> bool:
        while wanted.locked():
            with suppress(queue.Empty):
                room.get(timeout=0.1)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not has_room():
                    return
                made.put(("item", item))
            made.put(("end", None))
        except BaseException as error:
            made.put(("error", error))

    def begin() -> None:  # not on the main thread: an interrupt in Thread.start may raise something else
        try:
            threading.Thread(target=work, daemon=True, name="batches").start()
        except BaseException as error:
            made.put(("error", error))

    with wanted:
        start_new_thread(begin, ())
        while True:
            kind, item = made.get()
            room.put(None)
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item


def contiguous(value: Any) -> Array:
    """An array as programs read it without a copy; float64 as float32, and a memory-mapped file as it is."""
    array = np.asarray(value)
    if not array.ndim:
        raise gx.errors.ShapeError(
            f"data need an axis of samples, got {array!r}", where=gx.errors.caller(),
            hint="a list is one array for each input: np.asarray(numbers) makes an array of a list of numbers",
        )  # fmt: skip
    if not gx.ir.types.is_number(array.dtype):
        raise gx.errors.DTypeError(
            f"data of {array.dtype} are no numbers", where=gx.errors.caller(), hint="give arrays of numbers, or of booleans"
        )
    return np.ascontiguousarray(array, np.float32 if array.dtype == np.float64 else None)


def length(data: Any) -> int:
    """The number of samples in nested arrays."""
    counts = {len(a) for a in leaves(data)}
    if len(counts) != 1:
        raise gx.errors.ShapeError(
            f"data have {' and '.join(map(str, sorted(counts)))} samples" if counts else "there are no data",
            where=gx.errors.caller(), hint="inputs, targets and weights need one for each sample",
        )  # fmt: skip
    return counts.pop()


def source(
    data: Any, batch_size: int | None = None, shuffle: bool = True, seed: int = 0, steps: int | None = None, multiple: int = 1
) -> Source:
    """The source that data stand for: itself, nested arrays, or something that gives batches."""
    if isinstance(data, Source):
        return data
    if streams(data):
        if steps is not None and gx.ops.normalize_integer("data", "the number of steps", steps) < 1:
            raise gx.errors.InputError(f"{steps} steps in an epoch", where=gx.errors.caller(), hint="an integer from 1 on")
        return Stream(data[0] if isinstance(data, tuple) else data, steps)
    return Arrays(data, 32 if batch_size is None else batch_size, shuffle, seed, steps=steps, multiple=multiple)


def streams(data: Any) -> bool:
    """Whether data are batches that somebody else makes: a source, something that is iterated, or a function of the epoch."""
    first = data[0] if isinstance(data, tuple) and data else data
    made = hasattr(first, "__iter__") or (hasattr(first, "__getitem__") and hasattr(first, "__len__"))  # or as lists are iterated
    iterated = made and not hasattr(first, "__array__") and not isinstance(first, (list, tuple, dict))
    return isinstance(data, Source) or iterated or callable(first)
