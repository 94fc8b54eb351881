"""The history of a training."""

from __future__ import annotations

from typing import Any


class History:
    """What every epoch gave: `history` has a list for the loss and for each metric, "val_..." on validation data."""

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def add(self, epoch: int, figures: dict[str, Any]) -> None:
        """Note an epoch's figures."""
        self.epoch.append(epoch)
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"<History of {len(self.epoch)} epochs: {last}>"
