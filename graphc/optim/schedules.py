"""Schedules: learning rates as graph expressions of a step counter.

Each function here gives a schedule: a function from the counter (an integer symbol, 0 at the first step) to the rate, a
float64 symbol of shape []. Write your own in the same way:

    gx.optim.sgd(loss, [w], lr=lambda step: 0.1 / (1 + gx.astype(step, "float64")))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import graphc as gx
from graphc import Tensor

Schedule = Callable[[Tensor], Tensor]


def _progress(step: Tensor, steps: int) -> Tensor:
    """The part of `steps` that has passed, 0 to 1."""
    return gx.clip(gx.astype(step, gx.float64) / steps, 0, 1)


def _count(name: str, steps: int) -> int:
    steps = gx.ops.as_option(steps)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise gx.errors.InputError(f"{name}: steps must be a positive integer, got {steps!r}", where=gx.errors.caller())
    return steps


def _rates(name: str, *rates: float) -> list[float]:
    return [gx.ops.check_number(name, "a rate", rate) for rate in rates]


def constant(value: float) -> Schedule:
    """The same rate at every step.

    >>> import graphc as gx
    >>> gx.optim.schedules.constant(0.1)(gx.constant(7)).eval()
    array(0.1)
    """
    number = gx.ops.check_number("constant", "the rate", value)
    return lambda step: gx.full((), number, gx.float64)


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` at step 0 to `end` at step `steps` on a line, then `end`.

    >>> import graphc as gx
    >>> gx.optim.schedules.linear(1.0, 0.0, 10)(gx.constant(5)).eval()
    array(0.5)
    """
    steps, (start, end) = _count("linear", steps), _rates("linear", start, end)
    return lambda step: start + (end - start) * _progress(step, steps)


def cosine(start: float, steps: int, end: float = 0.0) -> Schedule:
    """From `start` at step 0 to `end` at step `steps` along half a cosine, then `end`.

    After Loshchilov and Hutter 2017, arXiv:1608.03983.

    >>> import graphc as gx
    >>> gx.optim.schedules.cosine(1.0, 10)(gx.constant(10)).eval()
    array(0.)
    """
    steps, (start, end) = _count("cosine", steps), _rates("cosine", start, end)
    return lambda step: end + (start - end) * 0.5 * (1 + gx.cos(math.pi * _progress(step, steps)))


def exponential(start: float, decay: float, steps: int = 1, staircase: bool = False) -> Schedule:
    """`start`, times `decay` every `steps` steps: smoothly, or at once at the end of each with `staircase`.

    >>> import graphc as gx
    >>> gx.optim.schedules.exponential(1.0, 0.5, steps=10, staircase=True)(gx.constant(25)).eval()
    array(0.25)
    """
    steps, (start, decay) = _count("exponential", steps), _rates("exponential", start, decay)
    gx.ops.check_flag("exponential", "staircase", staircase)

    def rate(step: Tensor) -> Tensor:
        periods = gx.astype(step, gx.float64) / steps
        return start * gx.pow(decay, gx.floor(periods) if staircase else periods)

    return rate


def piecewise(boundaries: Sequence[int], values: Sequence[float]) -> Schedule:
    """values[0] before step boundaries[0], then values[1] before boundaries[1], and so on; one value more than boundaries.

    >>> import graphc as gx
    >>> gx.optim.schedules.piecewise([100, 200], [1.0, 0.1, 0.01])(gx.constant(100)).eval()
    array(0.1)
    """
    boundaries, values = gx.ops.listed("piecewise", "boundaries", boundaries), gx.ops.listed("piecewise", "values", values)
    boundaries = [gx.ops.check_number("piecewise", "a boundary", n) for n in boundaries]
    values = [gx.ops.check_number("piecewise", "a value", n) for n in values]
    if len(values) != len(boundaries) + 1 or list(boundaries) != sorted(set(boundaries)):
        raise gx.errors.InputError(
            f"piecewise needs rising boundaries and one value more, got {boundaries} and {values}",
            where=gx.errors.caller(),
        )

    def rate(step: Tensor) -> Tensor:
        found = gx.full((), values[-1], gx.float64)
        for boundary, value in reversed(list(zip(boundaries, values[:-1], strict=True))):
            found = gx.where(step < boundary, value, found)
        return found

    return rate


def warmup(steps: int, then: float | Schedule) -> Schedule:
    """The first `steps` steps rise on a line to where `then` starts; after them `then` counts from 0.

    Step i of the warm-up, from 0, has (i + 1) / steps of that rate, so that no step is lost at a rate of 0.

    >>> import graphc as gx
    >>> rate = gx.optim.schedules.warmup(4, gx.optim.schedules.cosine(1.0, 100))
    >>> rate(gx.constant(0)).eval(), rate(gx.constant(4)).eval()
    (array(0.25), array(1.))
    """
    steps = _count("warmup", steps)
    after = then if callable(then) else constant(then)

    def rate(step: Tensor) -> Tensor:
        rise = (gx.astype(step, gx.float64) + 1) / steps
        return gx.clip(rise, max=1) * after(gx.clip(step - steps, min=0))

    return rate


__all__ = ["Schedule", "constant", "cosine", "exponential", "linear", "piecewise", "warmup"]
