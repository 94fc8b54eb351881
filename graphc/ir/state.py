"""The state of a process: one lock for all variables, held by many readers or one writer.

A program that updates variables holds it as the writer while it runs, one that only reads variables as a reader, so that a
call sees every update of another call or none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StateLock:
    """Many readers or one writer. A thread that writes may read and write again inside."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._writer: int | None = None
        self._depth = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the state still."""
        me = threading.get_ident()
        with self._changed:
            own = self._writer == me
            while self._writer is not None and not own:
                self._changed.wait()
            self._readers += not own
        try:
            yield
        finally:
            if not own:
                with self._changed:
                    self._readers -= 1
                    if not self._readers:
                        self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the state alone."""
        me = threading.get_ident()
        with self._changed:
            while not (self._writer == me or (self._writer is None and not self._readers)):
                self._changed.wait()
            self._writer = me
            self._depth += 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._writer = None
                    self._changed.notify_all()


STATE = StateLock()

if hasattr(os, "register_at_fork"):  # a forked child has one thread: nobody else holds anything
    os.register_at_fork(after_in_child=STATE.__init__)  # type: ignore[misc]
