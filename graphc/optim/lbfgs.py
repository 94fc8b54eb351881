"""L-BFGS: minimisation by the gradients of all the data, as one compiled loop.

Each turn of the loop computes the function and its gradient once, at a trial point x + t d, and then does one of three things: it
accepts the point and takes a new direction, shortens or lengthens t, or gives the direction up. So the function is there once, in
the loop's body, however many steps and trials a call makes.

Directions are those of the two loops of Nocedal 1980 ("Updating quasi-Newton matrices with limited storage", Math. Comp. 35),
scaled as in Liu and Nocedal 1989 (Math. Programming 45). t fulfils the strong Wolfe conditions (Nocedal and Wright 2006,
"Numerical Optimization", 3.1, with their c1 = 1e-4 and c2 = 0.9), or, where rounding hides the decrease, the approximate ones of
Hager and Zhang 2005 (SIAM J. Optim. 16).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import graphc as gx
from graphc import Tensor, TensorLike, Variable
from graphc.optim.optimizers import Updates, trained

_DECREASE, _CURVATURE = 1e-4, 0.9
_TRIALS = 25  # of one line search
_Function = Callable[[Tensor], Tensor]


class MinimizeResult(NamedTuple):
    """The point that was found, the function and its gradient there, how many steps and evaluations it took, if it converged."""

    x: Tensor
    value: Tensor
    gradient: Tensor
    steps: Tensor
    evaluations: Tensor
    converged: Tensor


class _State(NamedTuple):
    """What the loop carries."""

    x: Tensor
    value: Tensor
    gradient: Tensor
    direction: Tensor
    slope: Tensor  # gradient . direction
    t: Tensor
    low: Tensor  # t lies between low and high; the function falls at low
    high: Tensor
    low_value: Tensor
    low_slope: Tensor
    s: Tensor  # the last changes of x, a row each, the newest last
    y: Tensor  # the changes of the gradient
    rho: Tensor  # 1 / (s . y); 0 for a row that is not there
    trial: Tensor
    steps: Tensor
    evaluations: Tensor
    converged: Tensor
    stuck: Tensor


def lbfgs(
    loss: Tensor, variables: Sequence[Variable], *, steps: int = 20, history: int = 10, tolerance: float = 1e-7,
    name: str = "lbfgs",
) -> Updates:  # fmt: skip
    """Up to `steps` steps of L-BFGS in one call; fewer once no element of the gradient is larger than `tolerance`.

    loss: a float symbol of shape [], the same function whenever it is computed: of all data, not of a batch drawn anew, and
    without random numbers. variables: float variables. history: how many changes of the variables and of the gradient are kept.
    They are the state, "w.lbfgs.s", "w.lbfgs.y" and "w.lbfgs.rho" of the first variable, zeros at first, so that the next call
    goes on with them. A step computes the loss and its gradient about 1.1 times; where no point along a direction is better, the
    history is forgotten, and where that does not help the call ends. The arithmetic is float64 if a variable is, else float32.

    >>> import graphc as gx
    >>> w = gx.variable([-1.2, 1.0], name="w")
    >>> loss = 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2  # Rosenbrock's valley
    >>> step = gx.compile([], loss, updates=gx.optim.lbfgs(loss, [w], steps=100))
    >>> round(float(step()), 6), w.value.round(6)
    (24.2, array([1., 1.]))
    """
    variables = trained("lbfgs", variables)
    _check("lbfgs", steps, history, tolerance)
    gx.grad(loss, list(variables))  # its errors are the ones to show
    if not variables:
        return {}
    kind = gx.float64 if any(v.dtype == gx.float64 for v in variables) else gx.float32
    x = gx.concat([gx.astype(gx.reshape(v, (-1,)), kind) for v in variables])

    def parts(point: Tensor) -> list[Tensor]:
        found, start = [], 0
        for v in variables:
            count = math.prod(v.value.shape)
            found.append(gx.astype(gx.reshape(point[start : start + count], v.shape), v.dtype))
            start += count
        return found

    def at(point: Tensor) -> Tensor:
        return gx.astype(_replaced(loss, dict(zip(variables, parts(point), strict=True))), kind)

    def kept(suffix: str, *shape: Any) -> Variable:
        return gx.variable(np.zeros(shape, kind.numpy), name=f"{name}.{suffix}", of=variables[0])

    s, y, rho = kept("s", history, x.size), kept("y", history, x.size), kept("rho", history)
    last = _minimised(at, x, (s, y, rho), steps, tolerance)
    return {s: last.s, y: last.y, rho: last.rho, **dict(zip(variables, parts(last.x), strict=True))}


def minimize(
    f: _Function, x: TensorLike, *, steps: int = 200, history: int = 10, tolerance: float = 1e-7
) -> MinimizeResult:  # fmt: skip
    """A minimum of a function by L-BFGS from a starting point, inside a graph.

    f: a function of a symbol of x's shape and type that gives a float symbol of shape []; it is called once. x: floats of any
    shape, named sizes too. steps: at most so many. The result's gradient has an element above `tolerance` where it has not
    converged: the steps were used up, or rounding lets no point be better.

    >>> import graphc as gx
    >>> found = gx.optim.minimize(lambda x: gx.sum((x - 3) ** 2), gx.constant([0.0, 1.0]))
    >>> found.x.eval().round(6), found.converged.eval()
    (array([3., 3.]), array(True))
    """
    gx.ops.check_function("minimize", "f", f)
    start = gx.asarray(x)
    if start.dtype not in (gx.float32, gx.float64):
        raise gx.errors.DTypeError(
            f"minimize needs a start of float32 or float64, got {start.type}", where=gx.errors.caller(), hint="astype('float64')"
        )
    _check("minimize", steps, history, tolerance)
    flat = gx.reshape(start, (-1,))
    none = (gx.zeros((history, flat.size), flat.dtype),) * 2
    last = _minimised(
        lambda point: f(gx.reshape(point, start.shape)), flat, (*none, gx.zeros((history,), flat.dtype)), steps, tolerance
    )
    shaped = (gx.reshape(v, start.shape) for v in (last.x, last.gradient))
    return MinimizeResult(next(shaped), last.value, next(shaped), last.steps, last.evaluations, last.converged)


def _check(name: str, steps: Any, history: Any, tolerance: Any) -> None:
    for what, value in (("steps", steps), ("history", history)):
        if gx.ops.normalize_integer(name, what, value) < 1:
            raise gx.errors.InputError(f"{name}: {what} must be at least 1, got {value!r}", where=gx.errors.caller())
    gx.ops.check_number(name, "tolerance", tolerance)


def _replaced(root: Tensor, given: dict[Variable, Tensor]) -> Tensor:
    """The same computation with other symbols in place of variables."""
    found: Tensor
    (found,) = gx.ir.graph.substitute([root], dict[Any, Any](given), gx.ir.graph.on_inputs)
    return found


def _minimised(f: _Function, x: Tensor, history: tuple[Tensor, Tensor, Tensor], steps: int, tolerance: float) -> _State:
    zero, none = gx.zeros((), x.dtype), gx.zeros((), "int64")
    infinite = gx.full((), math.inf, x.dtype)
    start = _State(
        x, infinite, gx.zeros_like(x), gx.zeros_like(x), zero, zero, zero, infinite, infinite, zero, *history, none, none - 1,
        none, gx.constant(False), gx.constant(False),
    )  # fmt: skip

    def going_on(state: Any) -> Tensor:
        now = _State(*state)
        return gx.logical_not(now.converged | now.stuck) & (now.steps < steps)

    return _State(*gx.while_loop(going_on, lambda state: tuple(_turn(f, _State(*state), tolerance)), tuple(start)))


def _turn(f: _Function, now: _State, tolerance: float) -> _State:
    """One evaluation, and what follows from it. The first one, at step -1, is of the start, and is accepted."""
    kind = now.x.dtype
    point = now.x + now.t * now.direction
    value, gradient = gx.value_and_grad(f(point), point)
    slope = gx.vecdot(gradient, now.direction)
    first = now.steps < 0
    finite = gx.isfinite(value) & gx.isfinite(slope)
    enough = value <= now.value + _DECREASE * now.t * now.slope
    hidden = value <= now.value + gx.finfo(kind).eps * gx.abs(now.value)
    low_enough = finite & (enough | (hidden & (slope <= (2 * _DECREASE - 1) * now.slope)))
    too_long = gx.logical_not(low_enough) | (slope > -_CURVATURE * now.slope)
    too_short = low_enough & (slope < _CURVATURE * now.slope)
    accepted = first | gx.logical_not(too_long | too_short)
    out_of_trials = gx.logical_not(accepted) & (now.trial >= _TRIALS)
    accepted = accepted | (out_of_trials & low_enough & (value < now.value))  # better, though not as flat as wanted
    given_up = out_of_trials & gx.logical_not(accepted)

    # the next trial along the same direction: where a parabola has its minimum, away from the ends
    low, high = gx.where(too_long, now.low, now.t), gx.where(too_long, now.t, now.high)
    low_value, low_slope = gx.where(too_long, now.low_value, value), gx.where(too_long, now.low_slope, slope)
    width = high - low
    bend = value - low_value - low_slope * width
    guess = low - 0.5 * low_slope * width * width / gx.where(bend > 0, bend, 1)
    inside = gx.where(too_long & finite & (bend > 0), gx.clip(guess, low + 0.1 * width, high - 0.1 * width), low + 0.5 * width)
    again = gx.where(gx.isfinite(high), inside, 4 * low)

    # the next direction
    s, y = point - now.x, gradient - now.gradient
    sy, yy = gx.vecdot(s, y), gx.vecdot(y, y)
    learns = accepted & gx.logical_not(first) & (sy > gx.finfo(kind).eps * yy)
    kept_s, kept_y = (gx.where(learns, gx.concat([old[1:], new[None]]), old) for old, new in ((now.s, s), (now.y, y)))
    rho = gx.where(learns, gx.concat([now.rho[1:], gx.reshape(1 / gx.where(learns, sy, 1), (1,))]), now.rho)
    at = gx.where(accepted, gradient, now.gradient)
    downhill = _direction(at, kept_s, kept_y, rho)
    fall = gx.vecdot(at, downhill)
    useful = (fall < 0) & gx.isfinite(fall) & gx.logical_not(given_up)
    learned = gx.any(rho != 0)
    direction = gx.where(useful, downhill, -at)
    fall = gx.where(useful, fall, -gx.vecdot(at, at))
    rho = gx.where(useful, rho, 0)
    length = gx.where(useful & learned, 1, gx.minimum(1, 1 / gx.sqrt(gx.maximum(-fall, gx.finfo(kind).smallest_normal))))

    turns = accepted | given_up
    steps = now.steps + gx.astype(accepted, "int64")
    best = gx.where(accepted, value, now.value)
    return _State(
        gx.where(accepted, point, now.x), best, at, gx.where(turns, direction, now.direction),
        gx.where(turns, fall, now.slope), gx.where(turns, length, again), gx.where(turns, 0, low),
        gx.where(turns, math.inf, high), gx.where(turns, best, low_value), gx.where(turns, fall, low_slope), kept_s, kept_y,
        rho, gx.where(turns, 0, now.trial + 1), steps, now.evaluations + 1, turns & (gx.max(gx.abs(at)) <= tolerance),
        (given_up & gx.logical_not(learned)) | (first & gx.logical_not(finite)) | (accepted & ~first & ~gx.any(s != 0)),
    )  # fmt: skip


def _direction(gradient: Tensor, s: Tensor, y: Tensor, rho: Tensor) -> Tensor:
    """Nocedal's two loops; rows whose rho is 0 change nothing."""

    def back(q: Tensor, row: Any) -> tuple[Tensor, Tensor]:
        s, y, rho = row
        part = rho * gx.vecdot(s, q)
        return q - part * y, part

    def forth(r: Tensor, row: Any) -> tuple[Tensor, None]:
        s, y, rho, part = row
        return r + (part - rho * gx.vecdot(y, r)) * s, None

    q, parts = gx.scan(back, gradient, (s, y, rho), reverse=True)
    there = rho[-1] != 0
    scale = gx.where(there, 1 / gx.where(there, rho[-1] * gx.vecdot(y[-1], y[-1]), 1), 1)
    r: Tensor = gx.scan(forth, scale * q, (s, y, rho, parts))[0]
    return -r


__all__ = ["MinimizeResult", "lbfgs", "minimize"]
