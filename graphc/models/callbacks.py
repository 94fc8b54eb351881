"""Callbacks: what `fit` calls between its steps.

    class Stop(gx.models.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = logs["loss"] < 0.1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphc.models.model import Model

Logs = dict[str, Any]


class Callback:
    """What happens between the steps of `fit`: each method does nothing until it is written.

    model: the model that is trained; `model.stop_training = True` ends the training after the epoch. logs: figures by name; in
    on_train_batch_end the loss of the batch, in on_epoch_end the epoch's.
    """

    model: Model

    def on_train_begin(self) -> None:
        """Before the first step."""

    def on_train_end(self, logs: Logs) -> None:
        """After the last step."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Before the first step of an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """After the last step of an epoch, and the validation. What it adds to `logs` is in the history."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """After a step; with `steps_per_call`, after each call of several."""

    def get_state(self) -> Mapping[str, Any]:
        """What a checkpoint keeps of this callback: numbers, texts, and lists of them."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `get_state` gave."""
