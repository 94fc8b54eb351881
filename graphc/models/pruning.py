"""Ending a trial of a search that does worse than others: a callback for Optuna.

    def objective(trial):
        model = ...
        model.fit(x, y, validation_data=held_out, callbacks=[gx.models.PruningCallback(trial, "val_accuracy")])
        return model.evaluate(*held_out)["accuracy"]
"""

from __future__ import annotations

import math
from typing import Any

import graphc as gx
from graphc.models.callbacks import Callback, Logs, is_missing


class PruningCallback(Callback):
    """Tell a trial of Optuna a figure after every epoch, and raise optuna.TrialPruned where its study's pruner ends the trial.

    trial: what the objective is given. monitor: the figure's name. interval: tell every so many epochs. Optuna's integrations for
    other libraries have the same options. A figure that is not finite ends the trial. Needs optuna, the extra `search`.
    """

    def __init__(self, trial: Any, monitor: str = "val_loss", interval: int = 1) -> None:
        self.trial, self.monitor = trial, monitor
        self.interval = gx.ops.normalize_integer("PruningCallback", "interval", interval)
        if self.interval < 1:
            raise gx.errors.InputError(f"interval is {interval}", where=gx.errors.caller(), hint="an integer from 1 on")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if (epoch + 1) % self.interval or is_missing(self, self.monitor, logs):
            return
        found = float(logs[self.monitor])
        self.trial.report(found, step=epoch)
        if self.trial.should_prune() or not math.isfinite(found):
            raise _pruned(f"{self.monitor} is {found:.4g} after epoch {epoch + 1}")


def _pruned(message: str) -> Exception:
    """Optuna's way to say that a trial ends here: whoever has a trial has it installed."""
    import optuna

    error: Exception = optuna.TrialPruned(message)
    return error
