"""Widths, depth, learning rate and dropout of the network for digits, searched: by Optuna, and by successive halving.

    python examples/search.py                     # pip install 'graphc[demo,search]'

The study of Optuna is a file: a program that is killed and run again goes on, to the trials that would have come without that. A
trial that does worse than the median of those before it is ended (`PruningCallback`). Trials see images to train alone; those to
test are for the networks at the end. No network has more parameters than the one of image_classification.py.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import image_classification as by_hand
import numpy as np
import optuna

import graphc as gx
from graphc.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Input, MaxPool
from graphc.models import PruningCallback, Sequential

load = lru_cache(by_hand.load)


class Choice(NamedTuple):
    """What is searched for: the widths of the convolutions, and so the depth; the hidden layer; rate and dropout."""

    widths: tuple[int, ...]
    units: int
    rate: float
    dropout: float


class Task(NamedTuple):
    """The samples of trials, their epochs, and the width of the network written by hand."""

    x: Any
    y: Any
    held: tuple[Any, Any]
    epochs: int
    width: int

    @staticmethod
    def made(samples: int = 2000, epochs: int = 4, width: int = 32) -> Task:
        x, y, _, _ = load("digits")
        (x, y), held = gx.data.split((x, y), (samples, samples // 2), stratify=y)
        return Task(x, y, held, epochs, width)

    def steps(self, epochs: int) -> int:
        return epochs * -(-len(self.x) // 64)

    def trained(self, model: Sequential, start: int, end: int, *callbacks: Any) -> float:
        """The accuracy on what is held out, after epochs `start` to `end`."""
        for layer in model.layers:
            if isinstance(layer, BatchNorm):
                layer.momentum = 0.9  # over so few steps, averages with 0.99 stay near what they begin with
        options = {"batch_size": 64, "validation_data": self.held, "validation_batch_size": 250, "verbose": 0}
        history = model.fit(self.x, self.y, initial_epoch=start, epochs=end, callbacks=callbacks, **options)
        return float(history.history["val_accuracy"][-1])


def suggested(trial: Any, width: int) -> Choice:
    """What a trial suggests, with a hidden layer so small that there are no more parameters than by hand."""
    depth = trial.suggest_int("depth", 2, 4)
    widths = tuple(trial.suggest_int(f"width{i}", width // 2, 2 * width, step=width // 2) for i in range(depth))
    units = trial.suggest_int("units", width, 8 * width, step=width)
    parameters = sum(9 * a * b + 5 * b for a, b in zip((1, *widths), widths))  # kernels, biases, and four a channel of BatchNorm
    inputs = (28 >> min(depth, 3)) ** 2 * widths[-1]
    units = min(units, (by_hand.network(1, width).count_params() - parameters - 10) // (inputs + 11))
    return Choice(widths, units, trial.suggest_float("rate", 3e-4, 1e-2, log=True), trial.suggest_float("dropout", 0.0, 0.6))


def network(choice: Choice, steps: int) -> Sequential:
    layers: list[Any] = [Input((28, 28, 1))]
    for i, width in enumerate(choice.widths):
        layers += [Conv2D(width, 3, padding="same", activation="relu"), BatchNorm(), *([MaxPool(2)] if i < 3 else [])]
    layers += [Dropout(choice.dropout), Flatten(), Dense(choice.units, activation="relu"), Dropout(choice.dropout), Dense(10)]
    model = Sequential(layers)
    rate = gx.optim.schedules.cosine(choice.rate, steps)
    model.compile(gx.models.optimizers.Adam(rate), "sparse_categorical_crossentropy", ["accuracy"])
    return model


# --- Optuna ----------------------------------------------------------------------------------------------------------


def studied(task: Task, trials: int, database: Path) -> optuna.Study:
    """The study in a file, with so many trials that came to an end."""
    database.parent.mkdir(parents=True, exist_ok=True)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    study = optuna.create_study(
        study_name="digits", storage=f"sqlite:///{database}", direction="maximize", pruner=pruner, load_if_exists=True
    )
    for left in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):  # in a program that was killed
        study.tell(left.number, state=optuna.trial.TrialState.FAIL)

    def objective(trial: optuna.Trial) -> float:
        gx.layers.seed(0)
        model = network(suggested(trial, task.width), task.steps(task.epochs))
        trial.set_user_attr("parameters", model.count_params())
        return task.trained(model, 0, task.epochs, PruningCallback(trial, "val_accuracy"))

    for number in range(len(ended(study)), trials):
        study.sampler = optuna.samplers.TPESampler(seed=number)  # so that a study gone on with is as one in one go
        study.optimize(objective, n_trials=1)
    return study


def ended(study: optuna.Study) -> list[Any]:
    """The trials that came to an end, early or not, in their order."""
    return [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]


# --- successive halving: Jamieson and Talwalkar 2016, arXiv:1502.07943 -----------------------------------------------


class Drawn:
    """A trial whose suggestions are drawn at random."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def suggest_int(self, name: str, low: int, high: int, step: int = 1) -> int:
        return low + step * int(self.rng.integers((high - low) // step + 1))

    def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
        return float(np.exp(self.rng.uniform(*np.log([low, high]))) if log else self.rng.uniform(low, high))


def halved(task: Task, count: int = 8) -> tuple[float, Choice, int]:
    """What is left when the worse half is given up after 1, 2, 4, ... epochs: its accuracy, choice, and parameters."""
    gx.layers.seed(0)
    choices = [suggested(Drawn(np.random.default_rng(i)), task.width) for i in range(count)]
    left = [(0.0, choice, network(choice, task.steps(task.epochs))) for choice in choices]
    start, end = 0, 1
    while start < task.epochs:
        left = [(task.trained(model, start, end), choice, model) for _, choice, model in left]
        left = sorted(left, key=lambda found: -found[0])[: max(1, len(left) // 2)]
        start, end = end, min(2 * end, task.epochs)
    accuracy, choice, model = left[0]
    return accuracy, choice, model.count_params()


# --- by hand ---------------------------------------------------------------------------------------------------------


def tested(choice: Choice | None, width: int, epochs: int, seeds: int) -> list[float]:
    """The accuracies on the images to test, by seed, of a choice, or of the network written by hand where there is none."""
    x, y, x_test, y_test = load("digits")
    found = []
    for seed in range(seeds):
        gx.layers.seed(seed)
        steps = epochs * -(-len(x) // 64)
        model = by_hand.network(steps, width) if choice is None else network(choice, steps)
        model.fit(x, y, batch_size=64, epochs=epochs, seed=seed, verbose=0)
        found.append(model.evaluate(x_test, y_test, batch_size=250)["accuracy"])
    return found


def main(
    trials: int = 30, database: Path = Path("out/search.db"), count: int = 8, final: tuple[int, int] = (10, 3), **sizes: int
) -> dict[str, Any]:
    """Search and compare. count: of choices to halve. final: epochs and seeds of the networks that are compared."""
    task = Task.made(**sizes)
    study = studied(task, trials, database)
    halving = halved(task, count)
    gx.layers.seed(0)
    model = by_hand.network(task.steps(task.epochs), task.width)
    hand = task.trained(model, 0, task.epochs)
    chosen = suggested(study.best_trial, task.width)
    accuracies = tested(chosen, task.width, *final), tested(None, task.width, *final)
    print(f"Optuna: {study.best_value:.4f} of what is held out, {chosen}")
    print(f"successive halving: {halving[0]:.4f}, {halving[1]}; by hand: {hand:.4f}")
    print(f"tested: {np.mean(accuracies[0]):.4f}; by hand: {np.mean(accuracies[1]):.4f}")
    return {"study": study, "halving": halving, "hand": (hand, model.count_params()), "tested": accuracies}


if __name__ == "__main__":
    main()
