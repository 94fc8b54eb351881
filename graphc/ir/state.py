"""The state of a process: one lock for all variables, held by many readers or one writer.

A program that updates variables holds it as the writer while it runs, one that only reads variables as a reader, so that a
call sees every update of another call or none.
"""

from __future__ import annotations

import os
import threading


class StateLock:
    """Many readers or one writer: `with lock.reading:` and `with lock.writing:`. A thread that writes may do both inside."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()  # for the fields below, held for an instant
        self.changed = threading.Condition(self.mutex)
        self.waiting = 0
        self.readers = 0
        self.writer: int | None = None
        self.depth = 0
        self.reading, self.writing = Reading(self), Writing(self)

    def wait(self) -> None:
        """Let others go on until one of them leaves."""
        self.waiting += 1
        try:
            self.changed.wait()
        finally:
            self.waiting -= 1

    def leave(self) -> None:
        """Wake those who wait."""
        if self.waiting:
            self.changed.notify_all()


class Reading:
    """Hold the state still."""

    def __init__(self, lock: StateLock) -> None:
        self.lock = lock

    def __enter__(self) -> None:
        lock, me = self.lock, threading.get_ident()
        with lock.mutex:
            if lock.writer == me:
                lock.depth += 1
                return
            while lock.writer is not None:
                lock.wait()
            lock.readers += 1

    def __exit__(self, *failure: object) -> None:
        lock = self.lock
        if lock.writer == threading.get_ident():
            return lock.writing.__exit__()
        with lock.mutex:
            lock.readers -= 1
            if not lock.readers:
                lock.leave()


class Writing:
    """Have the state alone."""

    def __init__(self, lock: StateLock) -> None:
        self.lock = lock

    def __enter__(self) -> None:
        lock, me = self.lock, threading.get_ident()
        with lock.mutex:
            while not (lock.writer == me or (lock.writer is None and not lock.readers)):
                lock.wait()
            lock.writer = me
            lock.depth += 1

    def __exit__(self, *failure: object) -> None:
        lock = self.lock
        with lock.mutex:
            lock.depth -= 1
            if not lock.depth:
                lock.writer = None
                lock.leave()


STATE = StateLock()

if hasattr(os, "register_at_fork"):  # a forked child has one thread: nobody else holds anything
    os.register_at_fork(after_in_child=STATE.__init__)  # type: ignore[misc]
