"""The figures of a training: those of every epoch, and those of a data set."""

from __future__ import annotations

import html
import math
import os
from typing import Any

import graphc as gx


class Figures(dict[str, Any]):
    """Figures by name; prints as a table.

    >>> print(Figures(loss=0.25, accuracy=1.0))
    loss      0.25
    accuracy  1
    """

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:{width}}  {shown(value)}" for name, value in self.items())

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{html.escape(n)}</td><td>{html.escape(shown(v))}</td></tr>" for n, v in self.items())
        return f"<table>{rows}</table>"


class History:
    """What every epoch gave: `history` has a list for the loss and for each metric, "val_..." on validation data.

    epoch: the numbers of the epochs; places: for each figure those of the epochs that gave it. exact: whether other numbers of
    ranks would give the same bits.
    """

    exact = True

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}
        self.places: dict[str, list[int]] = {}

    def add(self, epoch: int, figures: dict[str, Any]) -> None:
        """Note an epoch's figures."""
        self.epoch.append(epoch)
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
            self.places.setdefault(name, []).append(epoch)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Curves of the figures by epoch, training and validation together: a figure of matplotlib, written to `path` if given.

        Needs matplotlib, the extra `plot`.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise gx.errors.InputError(
                "History.plot needs matplotlib", where=gx.errors.caller(), hint="pip install 'graphc[plot]'"
            ) from None
        numbers = {name: values for name, values in self.history.items() if all(isinstance(v, (int, float)) for v in values)}
        names = list(dict.fromkeys(name.removeprefix("val_") for name in numbers))
        columns = min(3, max(1, len(names)))
        rows = max(1, math.ceil(len(names) / columns))
        figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
        for i, name in enumerate(names):
            axes = figure.add_subplot(rows, columns, i + 1)
            for key, label in ((name, "training"), (f"val_{name}", "validation")):
                if key in numbers:
                    epochs = [epoch + 1 for epoch in self.places[key]]
                    axes.plot(epochs, numbers[key], marker="o" if len(epochs) < 20 else None, label=label)
            axes.set(title=name, xlabel="epoch")
            axes.legend()
        if path is not None:
            figure.savefig(path)
        return figure

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {shown(values[-1])}" for name, values in self.history.items() if values)
        return f"<History of {len(self.epoch)} epochs: {last}>"


def shown(value: Any) -> str:
    """A figure in a few digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def described(figures: dict[str, Any]) -> str:
    """Figures in one line."""
    return ", ".join(f"{name} {shown(value)}" for name, value in figures.items())
