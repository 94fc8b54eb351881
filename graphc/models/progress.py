"""What `fit` shows while it trains: a bar by tqdm on a terminal, a line an epoch elsewhere, or nothing."""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import TYPE_CHECKING, Any

from graphc.models.history import described

if TYPE_CHECKING:
    from graphc.models.training import Programs

_EVERY = 0.2  # seconds between two looks at the metrics


class Progress:
    """Nothing is shown."""

    counts = False  # whether `step` does anything

    def begin(self, epoch: int, epochs: int, steps: int | None, done: int) -> None:
        """An epoch begins, of which some steps are done."""

    def step(self, count: int, programs: Programs) -> None:
        """So many steps more are done."""

    def end(self, logs: dict[str, Any]) -> None:
        """The epoch is over."""

    def say(self, text: str) -> None:
        """A line."""
        print(text, flush=True)

    def close(self) -> None:
        """Nothing more comes."""


class Lines(Progress):
    """A line an epoch."""

    counts = True

    def begin(self, epoch: int, epochs: int, steps: int | None, done: int) -> None:
        self.epoch, self.epochs, self.steps, self.since = epoch, epochs, done, time.perf_counter()

    def step(self, count: int, programs: Programs) -> None:
        self.steps += count

    def end(self, logs: dict[str, Any]) -> None:
        seconds = time.perf_counter() - self.since
        self.say(f"epoch {self.epoch + 1}/{self.epochs}: {self.steps} steps in {seconds:.1f} s, {described(logs)}")


class Bar(Lines):
    """A bar an epoch, by tqdm."""

    def begin(self, epoch: int, epochs: int, steps: int | None, done: int) -> None:
        from tqdm.std import tqdm

        if in_notebook() and importlib.util.find_spec("ipywidgets") is not None:
            from tqdm.notebook import tqdm
        super().begin(epoch, epochs, steps, done)
        self.bar = tqdm(total=steps, initial=done, desc=f"epoch {epoch + 1}/{epochs}", unit="step")
        self.looked = time.perf_counter()

    def step(self, count: int, programs: Programs) -> None:
        super().step(count, programs)
        self.bar.update(count)
        now = time.perf_counter()
        if now - self.looked > _EVERY:
            self.looked = now
            self.bar.set_postfix_str(described(programs.figures()))

    def end(self, logs: dict[str, Any]) -> None:
        self.bar.set_postfix_str(described(logs))
        self.bar.close()

    def close(self) -> None:
        if hasattr(self, "bar"):
            self.bar.close()


def in_notebook() -> bool:
    """Whether a notebook shows what is written."""
    return "ipykernel" in sys.modules


def progress(verbose: Any) -> Progress:
    """What is shown for "auto", 0 (or False), 1 (or True) and 2."""
    if verbose == "auto":
        verbose = 1 if sys.stderr.isatty() or in_notebook() else 2
    if not verbose:
        return Progress()
    if verbose == 2:
        return Lines()
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return Lines()
    return Bar()
