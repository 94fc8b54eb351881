"""Optimisers of models, by name: a function of `gx.optim` and its options, with a rate that can be changed while training.

    model.compile("adam", ...)
    model.compile(Optimizer(gx.optim.adamw, learning_rate=3e-4, weight_decay=0.1), ...)
    model.compile(gx.optim.sgd, ...)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, Variable

Key = tuple[Variable | None, str, int]  # whose state, what it is called, and which of those that are called so
Function = Callable[..., dict[Variable, Tensor]]


class Optimizer:
    """A function (loss, variables, lr=, **options) -> updates, and the values to call it with.

    learning_rate: a number, or a schedule of `gx.optim.schedules`. A number lives in the variable `learning_rate`, so it can be
    changed between steps.
    """

    def __init__(self, function: Function, learning_rate: Any = None, **options: Any) -> None:
        self.function, self.options = function, options
        self.rate = options.pop("lr", 0.01 if function in (gx.optim.sgd, gx.optim.momentum, gx.optim.nesterov) else 0.001)
        if learning_rate is not None:
            self.rate = learning_rate
        self.variable: Variable | None = None
        self.state: dict[Key, Variable] = {}

    def get_config(self) -> dict[str, Any]:
        """The options that make such an optimiser again."""
        rate = self.rate if callable(self.rate) else self.learning_rate
        return {"function": self.function, "learning_rate": rate, **self.options}

    @property
    def learning_rate(self) -> float | None:
        """The rate of the next step; None where a schedule gives it."""
        if callable(self.rate):
            return None
        return float(self.rate if self.variable is None else self.variable.value)

    @learning_rate.setter
    def learning_rate(self, new: float) -> None:
        if callable(self.rate):
            raise gx.errors.InputError(
                "the learning rate follows a schedule", where=gx.errors.caller(), hint="give compile a number to change it later"
            )
        self.rate = float(new)
        if self.variable is not None:
            self.variable.value = np.float64(new)

    def updates(self, loss: Tensor, variables: Sequence[Variable]) -> dict[Variable, Tensor]:
        """The new values of the variables, and of the optimiser's state."""
        if not variables:
            return {}
        if self.variable is None and not callable(self.rate):
            self.variable = gx.variable(np.float64(self.rate), name="learning_rate")
        rate = self.rate if self.variable is None else self.variable
        return self._with_known_state(self.function(loss, variables, lr=rate, **self.options), variables)

    def prepare(self, variables: Sequence[Variable]) -> None:
        """Make the state of these weights, as their first step would."""
        if variables:
            self.updates(sum((gx.sum(v) for v in variables[1:]), gx.sum(variables[0])), variables)

    def named_state(self, paths: Mapping[Variable, str]) -> dict[str, Variable]:
        """The state by names that follow from those of the weights."""
        found = {} if self.variable is None else {"learning_rate": self.variable}
        for (owner, called, number), v in self.state.items():
            name = called if owner is None else f"{paths.get(owner, owner.name)}.{called}"
            found[f"{name}_{number}" if number else name] = v
        return found

    def _with_known_state(self, updates: dict[Variable, Tensor], variables: Sequence[Variable]) -> dict[Variable, Tensor]:
        """The updates with the state of earlier programs in the place of their own: what a weight has, it has once."""
        weights = set(variables)
        new: dict[gx.ir.Node, gx.ir.Node] = {}
        counts: Counter[tuple[Variable | None, str]] = Counter()
        for v in updates:
            if v in weights:
                continue
            counter = not v.ndim and v.dtype.is_integer  # of steps, which belongs to no weight alone
            one = (None if counter else v.owner, v.called)
            known = self.state.setdefault((*one, counts[one]), v)
            counts[one] += 1
            if known is not v:
                new[v] = known
        if not new:
            return updates
        body = gx.extend.rebuild(gx.ir.Graph((), tuple(updates.values())), lambda node: new.get(node, node))
        return {new.get(v, v): value for v, value in zip(updates, body.outputs, strict=True)}  # type: ignore[misc]


NAMED: Mapping[str, Function] = {
    "sgd": gx.optim.sgd,
    "momentum": gx.optim.momentum,
    "nesterov": gx.optim.nesterov,
    "rmsprop": gx.optim.rmsprop,
    "adam": gx.optim.adam,
    "adamw": gx.optim.adamw,
}


def named_optimizer(value: object) -> Optimizer:
    """The optimiser that a name, a function of `gx.optim`, a partial of one, or an Optimizer stands for."""
    if isinstance(value, Optimizer):
        return value
    if isinstance(value, str) and value.lower() in NAMED:
        return Optimizer(NAMED[value.lower()])
    if isinstance(value, partial):
        return Optimizer(value.func, **value.keywords)
    if callable(value):
        return Optimizer(value)
    raise gx.errors.InputError(
        f"no optimiser {value!r}", where=gx.errors.caller(), hint="a function of gx.optim, or one of " + ", ".join(NAMED)
    )
