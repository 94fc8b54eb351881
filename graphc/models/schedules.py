"""Learning rates that change from step to step, by Keras's names: functions of the step that files can name.

    model.compile(gx.models.optimizers.Adam(gx.models.optimizers.schedules.CosineDecay(1e-3, 1000)), ...)

Each is called with the number of the step, an integer symbol, 0 at first, and gives the rate, a float64 symbol of shape []. The
formulas are those of Keras 3's `keras.optimizers.schedules`, computed in float64. A function of your own serves too, as do
those of `gx.optim.schedules`, which have no name in files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import graphc as gx
from graphc import Tensor


@dataclass(frozen=True)
class LearningRateSchedule:
    """A rate that follows from the step. name: what Keras's users may call it; it says nothing."""

    name: str | None = field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name.endswith("steps") and one.name != "warmup_steps":
                self._positive(one.name, value)
            elif one.name == "warmup_steps":
                gx.ops.normalize_integer(type(self).__name__, one.name, value)
            elif one.type in ("float", "float | None") and value is not None:
                gx.ops.check_number(type(self).__name__, one.name, value)
            elif one.type == "bool":
                gx.ops.check_flag(type(self).__name__, one.name, value)

    def _positive(self, name: str, value: Any) -> None:
        if gx.ops.normalize_integer(type(self).__name__, name, value) < 1:
            raise gx.errors.InputError(
                f"{type(self).__name__}: {name} is {value!r}", where=gx.errors.caller(), hint="give an integer from 1 on"
            )

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at a step."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The options that make such a schedule again."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule of such options; Keras's `name` and `dtype` say nothing here."""
        return cls(**{key: value for key, value in config.items() if key not in ("name", "dtype")})


@dataclass(frozen=True)
class ExponentialDecay(LearningRateSchedule):
    """initial * decay_rate ^ (step / decay_steps); staircase: with whole powers.

    >>> import graphc as gx
    >>> gx.models.optimizers.schedules.ExponentialDecay(1.0, 10, 0.5)(gx.constant(20)).eval()
    array(0.25)
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __call__(self, step: Tensor) -> Tensor:
        decay = gx.optim.schedules.exponential(self.initial_learning_rate, self.decay_rate, self.decay_steps, self.staircase)
        return decay(step)


@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule):
    """initial / (1 + decay_rate * step / decay_steps); staircase: with whole quotients.

    >>> import graphc as gx
    >>> gx.models.optimizers.schedules.InverseTimeDecay(1.0, 10, 1.0)(gx.constant(10)).eval()
    array(0.5)
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __call__(self, step: Tensor) -> Tensor:
        passed = gx.astype(step, gx.float64) / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * (gx.floor(passed) if self.staircase else passed))


@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule):
    """From initial to end as (1 - step / decay_steps) ^ power, then end. cycle: in ever longer periods, each a step's way down.

    >>> import graphc as gx
    >>> gx.models.optimizers.schedules.PolynomialDecay(1.0, 10, 0.0, power=2.0)(gx.constant(5)).eval()
    array(0.25)
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __call__(self, step: Tensor) -> Tensor:
        passed = gx.astype(step, gx.float64) / self.decay_steps
        part = passed / gx.clip(gx.ceil(passed), min=1) if self.cycle else gx.clip(passed, max=1)
        return (self.initial_learning_rate - self.end_learning_rate) * gx.pow(1 - part, self.power) + self.end_learning_rate


@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to step boundaries[0], and at it; then values[1], and so on; one value more than boundaries.

    >>> import graphc as gx
    >>> gx.models.optimizers.schedules.PiecewiseConstantDecay([100, 200], [1.0, 0.1, 0.01])(gx.constant(100)).eval()
    array(1.)
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", list(self.boundaries))
        object.__setattr__(self, "values", list(self.values))
        gx.optim.schedules.piecewise(self.boundaries, self.values)  # refuses what is none

    def __call__(self, step: Tensor) -> Tensor:
        return gx.optim.schedules.piecewise([b + 1 for b in self.boundaries], self.values)(step)


@dataclass(frozen=True)
class CosineDecay(LearningRateSchedule):
    """From initial to alpha * initial along half a cosine of decay_steps, then that.

    warmup_target: from initial to this rate on a line of warmup_steps first, and the cosine begins there. After Loshchilov and
    Hutter 2017, arXiv:1608.03983.

    >>> import graphc as gx
    >>> rate = gx.models.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=1.0, warmup_steps=10)
    >>> rate(gx.constant(5)).eval(), rate(gx.constant(10)).eval()
    (array(0.5), array(1.))
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __call__(self, step: Tensor) -> Tensor:
        start, warm = self.initial_learning_rate, self.warmup_steps
        if self.warmup_target is None:
            return gx.optim.schedules.cosine(start, self.decay_steps, self.alpha * start)(step)
        top = self.warmup_target
        down = gx.optim.schedules.cosine(top, self.decay_steps, self.alpha * top)(gx.clip(step - warm, min=0))
        return gx.where(step < warm, start + (top - start) * gx.astype(step, gx.float64) / warm, down) if warm > 0 else down


@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other: each t_mul times as long as the one before, from m_mul times its height.

    alpha: what the rate falls to, as a part of initial. After Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> import graphc as gx
    >>> rate = gx.models.optimizers.schedules.CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5)
    >>> rate(gx.constant(10)).eval(), rate(gx.constant(20)).eval()
    (array(0.5), array(0.25))
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0

    def __call__(self, step: Tensor) -> Tensor:
        t = float(self.t_mul)
        passed = gx.astype(step, gx.float64) / self.first_decay_steps  # in lengths of the first
        if t == 1:
            count = gx.floor(passed)
            part = passed - count
        else:  # count of them are over: 1 + t + ... + t^(count - 1) = (1 - t^count) / (1 - t)
            count = gx.floor(gx.log(1 - passed * (1 - t)) / math.log(t) + 1e-12)  # 2.9999... at a boundary is 3
            part = (passed - (1 - gx.pow(t, count)) / (1 - t)) / gx.pow(t, count)
        height = gx.pow(self.m_mul, count) * 0.5 * (1 + gx.cos(math.pi * gx.clip(part, 0, 1)))
        return self.initial_learning_rate * ((1 - self.alpha) * height + self.alpha)


def named_rate(value: Any) -> Any:
    """A number or a function as it is; of {"class_name": ..., "config": ...}, as Keras writes a schedule, the schedule."""
    if not isinstance(value, Mapping):
        return value
    cls = {name: globals()[name] for name in __all__}.get(str(value.get("class_name")))
    if cls is None or cls is LearningRateSchedule:
        raise gx.errors.InputError(
            f"no schedule {value.get('class_name')!r}", where=gx.errors.caller(),
            hint="one of " + ", ".join(name for name in __all__ if name != "LearningRateSchedule"),
        )  # fmt: skip
    return cls.from_config(value.get("config", {}))


__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay",
]  # fmt: skip
