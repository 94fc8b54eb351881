"""Optimisers of models, by name: a function of `gx.optim` and its options, with a rate that can be changed while training.

    model.compile("adam", ...)
    model.compile(Optimizer(gx.optim.adamw, learning_rate=3e-4, weight_decay=0.1), ...)
    model.compile(gx.optim.sgd, ...)
    model.compile(gx.models.optimizers.Adam(learning_rate=1e-3, beta_1=0.95), ...)
    model.compile(gx.models.optimizers.SGD(gx.models.optimizers.schedules.CosineDecay(0.1, 1000)), ...)

The classes have the names, and take the options, of Keras's; the formulas and the rates where none is given are those of the
functions.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import graphc as gx
from graphc import Tensor, Variable, advice
from graphc.models import schedules

_ELSEWHERE: Mapping[str, str] = {
    "lr": "optimizer.learning_rate", "apply_gradients": "optimizer.updates(loss, variables)",
    "minimize": "optimizer.updates(loss, variables)", "apply": "optimizer.updates(loss, variables)",
    "step": "a program with optimizer.updates(loss, variables)", "zero_grad": "leave it out",
    "iterations": "optimizer.state has the counter of steps", "variables": "optimizer.state",
    "param_groups": "optimizer.learning_rate",
}  # fmt: skip
Key = tuple[Variable | None, str, int]  # whose state, what it is called, and which of those that are called so
Function = Callable[..., dict[Variable, Tensor]]


class Optimizer:
    """A function (loss, variables, lr=, **options) -> updates, and the values to call it with.

    function: or its name. learning_rate: a number, or a schedule of `schedules` (Keras's names) or `gx.optim.schedules`; by
    default the function's own. A number lives in the variable `learning_rate`, so it can be changed between steps. options: the
    function's; Keras's names of them serve too.

    >>> import graphc as gx
    >>> gx.models.Optimizer("adam", beta_1=0.8, epsilon=1e-7).options
    {'beta1': 0.8, 'eps': 1e-07}
    """

    def __init__(self, function: Function | str, learning_rate: Any = None, **options: Any) -> None:
        self.function, self.options = _chosen(named_function(function), options)
        known = _parameters(self.function)
        self.rated = "lr" in known or not known or any(p.kind is p.VAR_KEYWORD for p in known.values())  # whether it takes a rate
        if not self.rated and learning_rate is not None:
            raise gx.errors.InputError(
                f"{getattr(self.function, '__name__', 'the optimiser')} has no learning rate", where=gx.errors.caller(),
                hint="it has " + ", ".join(n for n in known if n not in ("loss", "variables")),
            )  # fmt: skip
        self.rate = self.options.pop("lr", known["lr"].default if "lr" in known else 0.001)
        if self.rate is inspect.Parameter.empty:
            self.rate = 0.001
        if learning_rate is not None:
            self.rate = schedules.named_rate(learning_rate)
        if not callable(self.rate) and (gx.ir.types.number_of(self.rate) is None or float(self.rate) < 0):
            raise gx.errors.InputError(
                f"the learning rate is {self.rate!r}", where=gx.errors.caller(),
                hint="a number from 0 on, or a schedule of gx.optim.schedules",
            )  # fmt: skip
        self.variable: Variable | None = None
        self.state: dict[Key, Variable] = {}

    def __repr__(self) -> str:
        given = "".join(f", {key}={value!r}" for key, value in self.options.items())
        rate = "a schedule" if callable(self.rate) else self.learning_rate
        rated = f", learning rate {rate}" if self.rated else ""
        return f"<{getattr(self.function, '__name__', 'optimiser')}{rated}{given}>"

    if not TYPE_CHECKING:  # to a type checker an optimiser has the attributes it has

        def __getattr__(self, name: str) -> NoReturn:
            raise advice.unknown_attribute(self, name, _ELSEWHERE)

    def get_config(self) -> dict[str, Any]:
        """The options that make such an optimiser again."""
        if not self.rated:
            return {"function": self.function, **self.options}
        rate = self.rate if callable(self.rate) else self.learning_rate
        return {"function": self.function, "learning_rate": rate, **self.options}

    @property
    def learning_rate(self) -> float | None:
        """The rate of the next step; None where a schedule gives it, or there is none."""
        if callable(self.rate) or not self.rated:
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
        if not self.rated:
            return self.with_known_state(self.function(loss, variables, **self.options), variables)
        if self.variable is None and not callable(self.rate):
            self.variable = gx.variable(np.float64(self.rate), name="learning_rate")
        rate = self.rate if self.variable is None else self.variable
        return self.with_known_state(self.function(loss, variables, lr=rate, **self.options), variables)

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

    def with_known_state(self, updates: dict[Variable, Tensor], variables: Sequence[Variable]) -> dict[Variable, Tensor]:
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
    "adagrad": gx.optim.adagrad,
    "adadelta": gx.optim.adadelta,
    "adamax": gx.optim.adamax,
    "nadam": gx.optim.nadam,
    "lamb": gx.optim.lamb,
    "lion": gx.optim.lion,
    "rprop": gx.optim.rprop,
    "lbfgs": gx.optim.lbfgs,
}

# Keras's name of an option -> those that functions may have for it.
TRANSLATED: Mapping[str, tuple[str, ...]] = {
    "learning_rate": ("lr",),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "epsilon": ("eps",),
    "rho": ("decay",),
    "momentum": ("beta",),
    "initial_accumulator_value": ("initial",),
    "global_clipnorm": ("clip_norm",),
}
ABSENT: Mapping[str, str] = {
    "clipnorm": "global_clipnorm limits the norm of all gradients together",
    "clipvalue": "compile(clip_value=)", "loss_scale_factor": "compile(mixed_precision='float16') scales the loss",
    "gradient_accumulation_steps": "compile(accumulate=)",
    "amsgrad": "leave it out: no optimiser here has it",
    "centered": "leave it out: no optimiser here has it",
    "use_ema": "fit(callbacks=[gx.models.EMA()])",
    "weight_decay": "adam, adamw, lamb and lion have it",
}

_SAYS_NOTHING = ("name", "jit_compile", "ema_momentum", "ema_overwrite_frequency")  # the last two of `use_ema`, which is refused


def named_function(value: Function | str) -> Function:
    """The function of a name, in capitals or not."""
    if not isinstance(value, str):
        return value
    found = NAMED.get(value.lower())
    if found is None:
        raise gx.errors.InputError(
            f"no optimiser {value!r}", where=gx.errors.caller(), hint="a function of gx.optim, or one of " + ", ".join(NAMED)
        )
    return found


def _chosen(function: Function, options: Mapping[str, Any]) -> tuple[Function, dict[str, Any]]:
    """A function and its options for those that Keras's users may have typed; InputError for what it does not take."""
    given = dict(options)
    if function is gx.optim.sgd:  # one function for each formula here, one class for all of them there
        ahead = given.pop("nesterov", False)
        if given.get("momentum"):
            function = gx.optim.nesterov if ahead else gx.optim.momentum
        else:
            given.pop("momentum", None)
    if function is gx.optim.adam and given.get("weight_decay"):
        function = gx.optim.adamw
    known = _parameters(function)
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return function, given
    made: dict[str, Any] = {}
    for name, value in given.items():
        own = name if name in known else next((n for n in TRANSLATED.get(name, ()) if n in known), None)
        if own is None and (value is None or value is False or value == 0) and (name in TRANSLATED or name in ABSENT):
            continue  # turned off
        if own is None and name in _SAYS_NOTHING:
            continue
        if own is None:
            takes = [n for n, p in known.items() if n not in ("loss", "variables") and p.kind is not p.VAR_POSITIONAL]
            raise gx.errors.InputError(
                f"{getattr(function, '__name__', 'the optimiser')} has no option {name}", where=gx.errors.caller(),
                hint=ABSENT.get(name, "it has " + ", ".join(takes)),
            )  # fmt: skip
        if value is not None:
            made[own] = value
    return function, made


def _parameters(function: Function) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # written in C, which says nothing
        return {}


class Named(Optimizer):
    """An optimiser by the name of its class."""

    called = ""

    def __init__(self, learning_rate: Any = None, **options: Any) -> None:
        super().__init__(self.called, learning_rate, **options)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        function = config.pop("function")
        if function is gx.optim.momentum or function is gx.optim.nesterov:
            config["momentum"] = config.pop("beta")
            config["nesterov"] = function is gx.optim.nesterov
        return config


class SGD(Named):
    """`gx.optim.sgd`; with momentum=, and nesterov=True, `gx.optim.momentum` or `gx.optim.nesterov`."""

    called = "sgd"


class RMSprop(Named):
    """`gx.optim.rmsprop`."""

    called = "rmsprop"


class Adam(Named):
    """`gx.optim.adam`; with weight_decay=, `gx.optim.adamw`."""

    called = "adam"


class AdamW(Named):
    """`gx.optim.adamw`."""

    called = "adamw"


class Adagrad(Named):
    """`gx.optim.adagrad`."""

    called = "adagrad"


class Adadelta(Named):
    """`gx.optim.adadelta`."""

    called = "adadelta"


class Adamax(Named):
    """`gx.optim.adamax`."""

    called = "adamax"


class Nadam(Named):
    """`gx.optim.nadam`."""

    called = "nadam"


class Lamb(Named):
    """`gx.optim.lamb`."""

    called = "lamb"


class Lion(Named):
    """`gx.optim.lion`."""

    called = "lion"


class Rprop(Named):
    """`gx.optim.rprop`."""

    called = "rprop"


def named_optimizer(value: object) -> Optimizer:
    """The optimiser that a name, a class, a function of `gx.optim`, a partial of one, or an Optimizer stands for.

    {"class_name": ..., "config": ...}, as Keras writes an optimiser, stands for the one of that name.
    """
    if isinstance(value, Optimizer):
        return value
    if isinstance(value, Mapping):
        config = {key: given for key, given in value.get("config", {}).items() if key not in _SAYS_NOTHING}
        return Optimizer(str(value.get("class_name")), **config)
    if isinstance(value, type) and issubclass(value, Named):
        return value()
    if isinstance(value, str):
        return Optimizer(value)
    if isinstance(value, partial):
        return Optimizer(value.func, **value.keywords)
    if callable(value):
        return Optimizer(value)
    raise gx.errors.InputError(
        f"no optimiser {value!r}", where=gx.errors.caller(), hint="a function of gx.optim, or one of " + ", ".join(NAMED)
    )


__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lamb", "Lion", "Nadam", "Optimizer", "RMSprop", "Rprop",
    "schedules",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
