"""Moving averages of the weights, with which a model is often better than with the weights themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import graphc as gx
from graphc import Tensor, Variable
from graphc.models.callbacks import Callback, Logs


class EMA(Callback):
    """Averages of the weights: decay * average + (1 - decay) * weight after every step.

    The model has them as its weights in validations and in every callback's `on_epoch_end`: so ModelCheckpoint writes, and
    EarlyStopping restores, what the figures are of. Steps go on from the weights, which are what checkpoints have as the model's.
    at_end: whether the model keeps the averages when training ends. The averages begin as the weights, are moved inside the
    compiled step, and are in checkpoints (Polyak and Juditsky 1992, SIAM J. Control Optim. 30).
    """

    def __init__(self, decay: float = 0.999, at_end: bool = True) -> None:
        if not 0 <= decay < 1:
            raise gx.errors.InputError(f"EMA: decay is {decay}", where=gx.errors.caller(), hint="a number from 0 to below 1")
        self.decay, self.at_end = decay, at_end
        self.averages: dict[Variable, Variable] = {}

    def on_train_begin(self) -> None:
        for v, average in self.averages.items():
            average.value = v.value

    def in_step(self, updates: Mapping[Variable, Tensor]) -> Mapping[Variable, Tensor]:
        trained = [v for v in self.model.trainable_variables if v in updates]
        for v in trained:
            if v not in self.averages:
                self.averages[v] = gx.variable(v.value, name="average", of=v)
        return {self.averages[v]: self.decay * self.averages[v] + (1 - self.decay) * updates[v] for v in trained}

    def exchange(self) -> None:
        for v, average in self.averages.items():
            v.value, average.value = average.value, v.value

    def on_train_end(self, logs: Logs) -> None:
        if self.at_end:
            self.exchange()

    def get_state(self) -> Mapping[str, Any]:
        paths = {v: path for path, v in self.model.variables.items()}
        return {paths[v]: average.value for v, average in self.averages.items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        known = self.model.variables
        for path, value in state.items():
            self.averages.setdefault(known[path], gx.variable(value, name="average", of=known[path])).value = value
