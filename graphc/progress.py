"""What compiling is at, on a terminal, once it has taken two seconds."""

from __future__ import annotations

import os
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DELAY = 2.0  # seconds before anything is said
EVERY = 0.2  # seconds between two looks at what goes on


def wanted() -> bool:
    """Whether somebody could read it and has not turned it off: GRAPHC_PROGRESS=0 does."""
    return os.environ.get("GRAPHC_PROGRESS", "1") != "0" and sys.stderr is not None and sys.stderr.isatty()


class Progress:
    """Which of so many steps runs now."""

    def __init__(self, title: str, steps: int) -> None:
        self.title, self.steps = title, steps
        self.done, self.step = -1, ""

    def at(self, step: str) -> None:
        """The next step begins."""
        self.done, self.step = self.done + 1, step


@contextmanager
def progress(title: str, steps: int, on: bool = True) -> Iterator[Progress]:
    """Show a bar (with tqdm) or a line while this runs; nothing where it is short, or standard error no terminal."""
    told = Progress(title, steps)
    if not (on and wanted()):
        yield told
        return
    going, shown = threading.Lock(), threading.Lock()  # the interpreter's own: an interrupt in Python's Event may leave it locked
    shown.acquire()
    try:
        with going:
            try:
                start_new_thread(_watch, (told, going, shown))
            except RuntimeError:  # the system has no more threads, and nothing is shown
                shown.release()
            yield told
    finally:
        shown.acquire()


def _watch(told: Progress, going: threading.Lock, shown: threading.Lock) -> None:
    try:
        _show(told, going)
    finally:
        shown.release()


def _show(told: Progress, going: threading.Lock) -> None:
    start = time.monotonic()
    if going.acquire(timeout=DELAY):
        return
    bar = _bar(told)
    length = 0
    while not going.acquire(timeout=EVERY):
        if bar is not None:
            bar.n = told.done
            bar.set_description(f"{told.title}: {told.step}")
        else:
            text = f"{told.title}: {told.step}, {time.monotonic() - start:.0f} s"
            sys.stderr.write("\r" + text.ljust(length))
            sys.stderr.flush()
            length = len(text)
    if bar is not None:
        bar.close()
    elif length:
        sys.stderr.write("\r" + " " * length + "\r")
        sys.stderr.flush()


def _bar(told: Progress) -> Any:
    """tqdm's bar, or None where it is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=told.steps, leave=False, file=sys.stderr, bar_format="{desc} |{bar:20}| {n}/{total} {elapsed}")
