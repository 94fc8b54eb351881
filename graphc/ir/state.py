"""The state of a process: one lock for all variables, held by many readers or one writer.

A program that updates variables runs as the writer, one that only reads variables as a reader, so that a call sees every update
of another call or none.

Every thread that reads has a lock of its own, and holds that alone; a writer holds the locks of all readers. An interrupt
(Ctrl-C) may come between any two steps of Python code and must leave nothing held: so locks are only taken by `with`
statements on the interpreter's own locks, between whose taking and whose body no interrupt comes. Within them stands no loop and
no comprehension: from Python 3.12 on its jumps back, where interrupts come too, lie outside of what `with` guards.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from weakref import ref

Result = TypeVar("Result")


class State(threading.local):
    """The lock, as one thread sees it: `read` and `write` call a function while they hold it. A writer may do both inside."""

    writing = threading.RLock()  # one writer at a time, and no new reader meanwhile
    readers: Sequence[ref[Any]] = ()  # the locks of the threads there are

    def __init__(self) -> None:
        own = threading.RLock()
        with self.writing:
            State.readers = (*(r for r in self.readers if r() is not None), ref(own))
        self.own = own

    def read(self, run: Callable[[Any], Result], argument: Any) -> Result:
        """`run(argument)` while nobody writes."""
        with self.own:
            return run(argument)

    def write(self, run: Callable[[Any], Result], argument: Any) -> Result:
        """`run(argument)` while nobody else reads or writes."""
        own = self.own
        with self.writing:
            others = _others(self.readers, own)
            return _within(others, run, argument) if others else run(argument)


def _others(readers: Sequence[ref[Any]], own: Any) -> list[Any]:
    """The locks of the other threads that there are."""
    return [lock for r in readers if (lock := r()) is not None and lock is not own]


def _within(locks: Sequence[Any], run: Callable[[Any], Result], argument: Any) -> Result:
    with locks[0]:
        return _within(locks[1:], run, argument) if len(locks) > 1 else run(argument)


STATE = State()


def _forget() -> None:
    """In a forked child, which has one thread: nobody else holds anything."""
    State.writing = threading.RLock()
    State.readers = ()
    STATE.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
