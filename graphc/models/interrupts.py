"""Ctrl-C in `fit`: at once while data or a validation are waited for, and elsewhere when what is begun is whole.

A step changes the model, then counters; an epoch's end changes callbacks, the history, files. Between the two nothing may stop.
"""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interrupts:
    """While this is entered, Ctrl-C raises KeyboardInterrupt in what is `open`; elsewhere when that is opened next.

    A second Ctrl-C raises at once. Only the main thread is told of Ctrl-C, and a handler that is not Python's own stays.
    """

    def __init__(self) -> None:
        self.is_open = self.wanted = False
        self._kept: Any = None

    def __enter__(self) -> Interrupts:
        own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if own and threading.current_thread() is threading.main_thread():
            self._kept = signal.signal(signal.SIGINT, self._came)
        return self

    def __exit__(self, *_: object) -> None:
        if self._kept is not None:
            signal.signal(signal.SIGINT, self._kept)
            self._kept = None

    def _came(self, *_: object) -> None:
        if self.is_open or self.wanted:
            raise KeyboardInterrupt
        self.wanted = True

    def open(self) -> None:
        """From here on nothing is half done."""
        self.is_open = True
        self.check()

    def close(self) -> None:
        """What begins here must be whole."""
        self.is_open = False

    def check(self) -> None:
        """Raise KeyboardInterrupt if one came."""
        if self.wanted:
            self.wanted = False
            raise KeyboardInterrupt
