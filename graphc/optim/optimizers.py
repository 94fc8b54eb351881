"""Optimisers: each a function (loss, variables) -> updates, which `gx.compile` takes.

The updates hold the new value of every variable and of the optimiser's own state: moments under their variable's name and the
optimiser's, "w.adam.m" and "w.adam.v", and where something depends on it, the number of steps taken, under the first variable's,
"w.adam.step". Two optimisers of one variable are told apart by `name`. What depends on the number of steps alone is computed in
float64; everything else in the variable's dtype. Of a float16 or bfloat16 variable the state is float32, and so is the
arithmetic: the new value is rounded once. A step below half a unit of the variable is lost all the same: keep float32 variables,
and cast them where they are used, if it matters.

lr is a number, a symbol of shape [] (an input, say), or a schedule: a function from the step counter to a symbol.
clip_norm limits the global norm of the gradients first (see `clip_by_global_norm`).
unconnected: what of a variable that the loss does not depend on: None is gradients of zero and a warning that names it, "zero" is
silent, "error" an error (see `gx.grad`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, Variable
from graphc.optim.clipping import clip_by_global_norm
from graphc.optim.schedules import Schedule

Rate = float | Tensor | Schedule
Updates = dict[Variable, Tensor]
Change = Callable[[Variable, Tensor], Tensor]  # (variable, gradient) -> new value; adds its own state to the updates


def sgd(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.01, *, clip_norm: float | Tensor | None = None,
    unconnected: str | None = None, name: str = "sgd",
) -> Updates:  # fmt: skip
    """Gradient descent: w - lr * g.

    loss: a float symbol of shape []. variables: float variables. See the module for lr, clip_norm and unconnected.

    >>> import graphc as gx
    >>> w = gx.variable([1.0, 2.0], name="w")
    >>> loss = gx.sum(w * w)
    >>> step = gx.compile([], loss, updates=gx.optim.sgd(loss, [w], lr=0.25), backend="interpreter")
    >>> step(), w.value
    (array(5.), array([0.5, 1. ]))
    """
    updates: Updates = {}
    variables = trained("sgd", variables)
    rate, _ = _rate("sgd", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        updates[w] = gx.astype(x - _as(rate, x) * g, w.dtype)
    return updates


def momentum(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.01, *, beta: float = 0.9, clip_norm: float | Tensor | None = None,
    unconnected: str | None = None, name: str = "momentum",
) -> Updates:  # fmt: skip
    """Gradient descent with momentum: m = beta * m + g, then w - lr * m (Polyak 1964).

    State: "w.momentum.m", zeros at first.

    >>> import graphc as gx
    >>> w = gx.variable([1.0], name="w")
    >>> loss = gx.sum(w * w)
    >>> step = gx.compile([], loss, updates=gx.optim.momentum(loss, [w], lr=0.25, beta=0.5), backend="interpreter")
    >>> step(), step(), w.value
    (array(1.), array(0.25), array([0.]))
    """
    updates: Updates = {}
    variables = trained("momentum", variables)
    (beta,) = _options("momentum", beta=beta)
    rate, _ = _rate("momentum", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        m = _state(w, name, "m")
        updates[m] = beta * m + g
        updates[w] = gx.astype(x - _as(rate, x) * updates[m], w.dtype)
    return updates


def nesterov(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.01, *, beta: float = 0.9, clip_norm: float | Tensor | None = None,
    unconnected: str | None = None, name: str = "nesterov",
) -> Updates:  # fmt: skip
    """Nesterov's momentum: m = beta * m + g, then w - lr * (g + beta * m).

    The form of Sutskever et al. 2013 (ICML), written in the point where the gradient is taken.

    State: "w.nesterov.m", zeros at first.

    >>> import graphc as gx
    >>> w = gx.variable([1.0], name="w")
    >>> loss = gx.sum(w * w)
    >>> step = gx.compile([], loss, updates=gx.optim.nesterov(loss, [w], lr=0.25, beta=0.5), backend="interpreter")
    >>> step(), w.value
    (array(1.), array([0.25]))
    """
    updates: Updates = {}
    variables = trained("nesterov", variables)
    (beta,) = _options("nesterov", beta=beta)
    rate, _ = _rate("nesterov", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        m = _state(w, name, "m")
        updates[m] = beta * m + g
        updates[w] = gx.astype(x - _as(rate, x) * (g + beta * updates[m]), w.dtype)
    return updates


def rmsprop(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.001, *, decay: float = 0.9, eps: float = 1e-8,
    clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "rmsprop",
) -> Updates:  # fmt: skip
    """RMSProp: v = decay * v + (1 - decay) * g^2, then w - lr * g / (sqrt(v) + eps) (Tieleman and Hinton 2012).

    State: "w.rmsprop.v", zeros at first.

    >>> import graphc as gx
    >>> w = gx.variable([1.0], name="w")
    >>> loss = gx.sum(w * w)
    >>> step = gx.compile([], loss, updates=gx.optim.rmsprop(loss, [w], lr=0.1, decay=0.75), backend="interpreter")
    >>> step(), w.value.round(6)
    (array(1.), array([0.8]))
    """
    updates: Updates = {}
    variables = trained("rmsprop", variables)
    decay, eps = _options("rmsprop", decay=decay, eps=eps)
    rate, _ = _rate("rmsprop", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        v = _state(w, name, "v")
        updates[v] = decay * v + (1 - decay) * (g * g)
        updates[w] = gx.astype(x - _as(rate, x) * g / (gx.sqrt(updates[v]) + eps), w.dtype)
    return updates


def adam(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.001, *, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
    clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "adam",
) -> Updates:  # fmt: skip
    """Adam: steps of the mean gradient over the root of the mean square gradient (Kingma and Ba 2015, arXiv:1412.6980).

        m = beta1 * m + (1 - beta1) * g          v = beta2 * v + (1 - beta2) * g^2
        w = w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)            t = 1 at the first step

    State: "w.adam.m" and "w.adam.v", zeros at first, and "w.adam.step" under the first variable.

    >>> import graphc as gx
    >>> w = gx.variable([1.0, -2.0], name="w")
    >>> loss = gx.sum(w * w)
    >>> updates = gx.optim.adam(loss, [w], lr=0.5)
    >>> [v.name for v in updates]
    ['w.adam.step', 'w.adam.m', 'w.adam.v', 'w']
    >>> step = gx.compile([], loss, updates=updates, backend="interpreter")
    >>> step(), w.value.round(6)
    (array(5.), array([ 0.5, -1.5]))
    """
    return _adam("adam", loss, variables, lr, beta1, beta2, eps, 0.0, clip_norm, unconnected, name)


def adamw(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.001, *, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
    weight_decay: float = 0.01, clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "adamw",
) -> Updates:  # fmt: skip
    """Adam with decoupled weight decay: its step, and w less lr * weight_decay * w.

    After Loshchilov and Hutter 2019, arXiv:1711.05101. State as Adam's. For variables without decay, join two optimisers:
    {**adamw(loss, weights), **adam(loss, biases)}.

    >>> import graphc as gx
    >>> w = gx.variable([1.0], name="w")
    >>> loss = gx.sum(w * w)
    >>> updates = gx.optim.adamw(loss, [w], lr=0.5, weight_decay=0.1)
    >>> step = gx.compile([], loss, updates=updates, backend="interpreter")
    >>> step(), w.value.round(6)
    (array(1.), array([0.45]))
    """
    return _adam("adamw", loss, variables, lr, beta1, beta2, eps, weight_decay, clip_norm, unconnected, name)


def _adam(
    kind: str, loss: Tensor, variables: Sequence[Variable], lr: Rate, beta1: float, beta2: float, eps: float, weight_decay: float,
    clip_norm: float | Tensor | None, unconnected: str | None, name: str,
) -> Updates:  # fmt: skip
    updates: Updates = {}
    variables = trained(kind, variables)
    beta1, beta2, eps, weight_decay = _options(kind, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
    rate, step = _rate(kind, lr, variables, updates, name, count=True)
    assert step is not None
    t = gx.astype(step + 1, gx.float64)
    length = rate / (1 - gx.pow(beta1, t))  # the corrections of both means, as scalars: one division an element is left
    shrink = 1 / gx.sqrt(1 - gx.pow(beta2, t))
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        m, v = _state(w, name, "m"), _state(w, name, "v")
        updates[m] = beta1 * m + (1 - beta1) * g
        updates[v] = beta2 * v + (1 - beta2) * (g * g)
        new = x - _as(length, x) * updates[m] / (gx.sqrt(updates[v]) * _as(shrink, x) + eps)
        updates[w] = gx.astype(new - _as(rate * weight_decay, x) * x if weight_decay else new, w.dtype)
    return updates


def adagrad(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.01, *, initial: float = 0.0, eps: float = 1e-10,
    clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "adagrad",
) -> Updates:  # fmt: skip
    """AdaGrad: v = v + g^2, then w - lr * g / (sqrt(v) + eps) (Duchi, Hazan and Singer 2011, JMLR 12).

    initial: what v begins with. State: "w.adagrad.v".

    >>> import graphc as gx
    >>> w = gx.variable([2.0], name="w")
    >>> step = gx.compile([], [], updates=gx.optim.adagrad(gx.sum(w * w), [w], lr=0.5), backend="interpreter")
    >>> step(), w.value.round(6)
    ([], array([1.5]))
    """
    updates: Updates = {}
    variables = trained("adagrad", variables)
    initial, (eps,) = gx.ops.check_number("adagrad", "initial", initial), _options("adagrad", eps=eps)
    rate, _ = _rate("adagrad", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        v = _state(w, name, "v", initial)
        updates[v] = v + g * g
        updates[w] = gx.astype(x - _as(rate, x) * g / (gx.sqrt(updates[v]) + eps), w.dtype)
    return updates


def adadelta(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 1.0, *, decay: float = 0.9, eps: float = 1e-6,
    clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "adadelta",
) -> Updates:  # fmt: skip
    """AdaDelta: steps in the units of the variable, without a rate to choose (Zeiler 2012, arXiv:1212.5701).

        v = decay * v + (1 - decay) * g^2          d = g * sqrt(u + eps) / sqrt(v + eps)
        u = decay * u + (1 - decay) * d^2          w = w - lr * d

    State: "w.adadelta.v" and "w.adadelta.u", zeros at first.

    >>> import graphc as gx
    >>> w = gx.variable([2.0], name="w")
    >>> step = gx.compile([], [], updates=gx.optim.adadelta(gx.sum(w * w), [w], decay=0.75), backend="interpreter")
    >>> step(), w.value.round(6)
    ([], array([1.998]))
    """
    updates: Updates = {}
    variables = trained("adadelta", variables)
    decay, eps = _options("adadelta", decay=decay, eps=eps)
    rate, _ = _rate("adadelta", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        v, u = _state(w, name, "v"), _state(w, name, "u")
        updates[v] = decay * v + (1 - decay) * (g * g)
        change = g * gx.sqrt(u + eps) / gx.sqrt(updates[v] + eps)
        updates[u] = decay * u + (1 - decay) * (change * change)
        updates[w] = gx.astype(x - _as(rate, x) * change, w.dtype)
    return updates


def adamax(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.002, *, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "adamax",
) -> Updates:  # fmt: skip
    """Adam with the largest gradient in the place of the mean square (Kingma and Ba 2015, arXiv:1412.6980, section 7.1).

        m = beta1 * m + (1 - beta1) * g          u = max(beta2 * u, |g|)
        w = w - lr / (1 - beta1^t) * m / (u + eps)

    State: "w.adamax.m" and "w.adamax.u", zeros at first, and "w.adamax.step" under the first variable.

    >>> import graphc as gx
    >>> w = gx.variable([2.0], name="w")
    >>> step = gx.compile([], [], updates=gx.optim.adamax(gx.sum(w * w), [w], lr=0.5), backend="interpreter")
    >>> step(), w.value.round(6)
    ([], array([1.5]))
    """
    updates: Updates = {}
    variables = trained("adamax", variables)
    beta1, beta2, eps = _options("adamax", beta1=beta1, beta2=beta2, eps=eps)
    rate, step = _rate("adamax", lr, variables, updates, name, count=True)
    assert step is not None
    length = rate / (1 - gx.pow(beta1, gx.astype(step + 1, gx.float64)))
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        m, u = _state(w, name, "m"), _state(w, name, "u")
        updates[m] = beta1 * m + (1 - beta1) * g
        updates[u] = gx.maximum(beta2 * u, gx.abs(g))
        updates[w] = gx.astype(x - _as(length, x) * updates[m] / (updates[u] + eps), w.dtype)
    return updates


def nadam(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.002, *, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "nadam",
) -> Updates:  # fmt: skip
    """Adam with Nesterov's look ahead (Dozat 2016, ICLR workshop), with a beta1 that stays: no schedule of momenta.

        m, v as Adam's          n = beta1 * m / (1 - beta1^(t + 1)) + (1 - beta1) * g / (1 - beta1^t)
        w = w - lr * n / (sqrt(v / (1 - beta2^t)) + eps)

    State: "w.nadam.m" and "w.nadam.v", zeros at first, and "w.nadam.step" under the first variable.

    >>> import graphc as gx
    >>> w = gx.variable([2.0], name="w")
    >>> step = gx.compile([], [], updates=gx.optim.nadam(gx.sum(w * w), [w], lr=0.5, beta1=0.5), backend="interpreter")
    >>> step(), w.value.round(6)
    ([], array([1.333333]))
    """
    updates: Updates = {}
    variables = trained("nadam", variables)
    beta1, beta2, eps = _options("nadam", beta1=beta1, beta2=beta2, eps=eps)
    rate, step = _rate("nadam", lr, variables, updates, name, count=True)
    assert step is not None
    t = gx.astype(step + 1, gx.float64)
    of_mean = rate * beta1 / (1 - gx.pow(beta1, t + 1))
    of_gradient = rate * (1 - beta1) / (1 - gx.pow(beta1, t))
    shrink = 1 / gx.sqrt(1 - gx.pow(beta2, t))
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        m, v = _state(w, name, "m"), _state(w, name, "v")
        updates[m] = beta1 * m + (1 - beta1) * g
        updates[v] = beta2 * v + (1 - beta2) * (g * g)
        change = _as(of_mean, x) * updates[m] + _as(of_gradient, x) * g
        updates[w] = gx.astype(x - change / (gx.sqrt(updates[v]) * _as(shrink, x) + eps), w.dtype)
    return updates


def lamb(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.001, *, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-6,
    weight_decay: float = 0.0, clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "lamb",
) -> Updates:  # fmt: skip
    """LAMB: Adam's step of each variable, as long as the variable is (You et al. 2020, arXiv:1904.00962), for large batches.

        d = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * w             m, v as Adam's
        w = w - lr * |w| / |d| * d               Euclidean lengths; their quotient is 1 where one of them is 0

    State: "w.lamb.m" and "w.lamb.v", zeros at first, and "w.lamb.step" under the first variable.

    >>> import graphc as gx
    >>> w = gx.variable([3.0, 4.0], name="w")
    >>> step = gx.compile([], [], updates=gx.optim.lamb(gx.sum(w * w), [w], lr=0.1, eps=0.0), backend="interpreter")
    >>> step(), w.value.round(6)
    ([], array([2.646447, 3.646447]))
    """
    updates: Updates = {}
    variables = trained("lamb", variables)
    beta1, beta2, eps, weight_decay = _options("lamb", beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
    rate, step = _rate("lamb", lr, variables, updates, name, count=True)
    assert step is not None
    t = gx.astype(step + 1, gx.float64)
    grow, shrink = 1 / (1 - gx.pow(beta1, t)), 1 / gx.sqrt(1 - gx.pow(beta2, t))
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        m, v = _state(w, name, "m"), _state(w, name, "v")
        updates[m] = beta1 * m + (1 - beta1) * g
        updates[v] = beta2 * v + (1 - beta2) * (g * g)
        change = _as(grow, x) * updates[m] / (gx.sqrt(updates[v]) * _as(shrink, x) + eps) + weight_decay * x
        long, wide = gx.sqrt(gx.sum(x * x)), gx.sqrt(gx.sum(change * change))
        both = (long > 0) & (wide > 0)
        trust = gx.where(both, long / gx.where(both, wide, 1), 1)
        updates[w] = gx.astype(x - _as(rate, x) * trust * change, w.dtype)
    return updates


def lion(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.0001, *, beta1: float = 0.9, beta2: float = 0.99,
    weight_decay: float = 0.0, clip_norm: float | Tensor | None = None, unconnected: str | None = None, name: str = "lion",
) -> Updates:  # fmt: skip
    """Lion: steps of one length, in the direction of signs (Chen et al. 2023, arXiv:2302.06675).

        w = w - lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w), then m = beta2 * m + (1 - beta2) * g

    State: "w.lion.m", zeros at first.

    >>> import graphc as gx
    >>> w = gx.variable([3.0, -4.0], name="w")
    >>> step = gx.compile([], [], updates=gx.optim.lion(gx.sum(w * w), [w], lr=0.5), backend="interpreter")
    >>> step(), w.value
    ([], array([ 2.5, -3.5]))
    """
    updates: Updates = {}
    variables = trained("lion", variables)
    beta1, beta2, weight_decay = _options("lion", beta1=beta1, beta2=beta2, weight_decay=weight_decay)
    rate, _ = _rate("lion", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        m = _state(w, name, "m")
        change = gx.sign(beta1 * m + (1 - beta1) * g)
        updates[m] = beta2 * m + (1 - beta2) * g
        updates[w] = gx.astype(x - _as(rate, x) * (change + weight_decay * x if weight_decay else change), w.dtype)
    return updates


def rprop(
    loss: Tensor, variables: Sequence[Variable], lr: Rate = 0.01, *, shrink: float = 0.5, grow: float = 1.2,
    smallest: float = 1e-6, largest: float = 50.0, clip_norm: float | Tensor | None = None, unconnected: str | None = None,
    name: str = "rprop",
) -> Updates:  # fmt: skip
    """Resilient propagation: each element has a step size of its own, and the gradient gives its sign alone.

    An element's size begins with lr. It is multiplied by `grow` where the gradient keeps its sign; where the sign changes by
    `shrink`, and the element stays where it is for one step; it stays between `smallest` and `largest`. For whole data sets, not
    for batches. After Riedmiller and Braun 1993 (ICNN); the variant without going back, Rprop-, as PyTorch's.

    State: "w.rprop.g", the last gradient, and "w.rprop.size", zeros at first.

    >>> import graphc as gx
    >>> w = gx.variable([3.0, -4.0], name="w")
    >>> step = gx.compile([], [], updates=gx.optim.rprop(gx.sum(w * w), [w], lr=0.5, grow=2.0), backend="interpreter")
    >>> step(), step(), w.value
    ([], [], array([ 1.5, -2.5]))
    """
    updates: Updates = {}
    variables = trained("rprop", variables)
    shrink, grow, smallest, largest = _options("rprop", shrink=shrink, grow=grow, smallest=smallest, largest=largest)
    rate, _ = _rate("rprop", lr, variables, updates, name)
    for w, x, g in _gradients(loss, variables, clip_norm, unconnected):
        last, size = _state(w, name, "g"), _state(w, name, "size")
        turn = gx.sign(g) * gx.sign(last)
        begun = gx.where(size > 0, size, _as(rate, x))  # no size is 0 after the first step
        changed = gx.where(turn > 0, begun * grow, gx.where(turn < 0, begun * shrink, begun))
        updates[size] = gx.clip(changed, smallest, largest)
        updates[last] = gx.where(turn < 0, 0, g)
        updates[w] = gx.astype(x - gx.sign(updates[last]) * updates[size], w.dtype)
    return updates


# --- what they share -------------------------------------------------------------------------------------------------


def trained(kind: str, variables: Sequence[Variable]) -> list[Variable]:
    """The variables, each once."""
    variables = gx.ops.listed(kind, "the variables", variables)
    for v in variables:
        if not isinstance(v, Variable):
            raise gx.errors.InputError(
                f"{kind}: only variables can be trained, got {v!r}", where=gx.errors.caller(), hint="make it with gx.variable"
            )
    if len(set(variables)) != len(variables):
        raise gx.errors.InputError(f"{kind}: a variable is listed twice", where=gx.errors.caller())
    return variables


def _gradients(
    loss: Tensor, variables: Sequence[Variable], clip_norm: float | Tensor | None, unconnected: str | None
) -> list[tuple[Variable, Tensor, Tensor]]:
    """Each variable with its value and its gradient, limited if asked for, in the type that is computed with."""
    found = [gx.astype(g, g.dtype.arithmetic) for g in gx.grad(loss, list(variables), unconnected)]
    if clip_norm is not None:
        found = clip_by_global_norm(found, clip_norm)
    return [(w, gx.astype(w, g.dtype), g) for w, g in zip(variables, found, strict=True)]


def _options(kind: str, **given: Any) -> list[Any]:
    """What an optimiser is tuned by: numbers, or symbols of them."""
    found = []
    for what, value in given.items():
        number = gx.ops.as_option(value)
        if not isinstance(number, Tensor):
            gx.ops.check_number(kind, what, number)
        found.append(number)
    return found


def _rate(
    kind: str, lr: Rate, variables: Sequence[Variable], updates: Updates, name: str, count: bool = False
) -> tuple[float | Tensor, Variable | None]:
    """The learning rate, a number or a float64 symbol, and the step counter, which joins the updates if anything needs it."""
    lr = gx.ops.as_option(lr)
    step: Variable | None = None
    if count or callable(lr):
        step = gx.variable(np.zeros((), np.int64), name=f"{name}.step", of=variables[0] if variables else None)
        updates[step] = step + 1
    if isinstance(lr, (int, float)):
        return lr, step
    rate = lr(step) if callable(lr) and step is not None else lr
    if not isinstance(rate, Tensor) or rate.ndim or not rate.dtype.is_float:
        raise gx.errors.InputError(
            f"{kind}: lr must be a number, a float symbol of shape [], or a function from the step counter to one, got {rate!r}",
            where=gx.errors.caller(),
        )
    return gx.astype(rate, gx.float64), step


def _as(rate: float | Tensor, x: Tensor) -> float | Tensor:
    """A rate in the dtype of what it scales; numbers take it by themselves."""
    return gx.astype(rate, x.dtype) if isinstance(rate, Tensor) else rate


def _state(w: Variable, name: str, suffix: str, value: float = 0.0) -> Variable:
    """Numbers that belong to a variable: all the same at first."""
    one = np.asarray(value, w.dtype.arithmetic.numpy)
    return gx.variable(np.broadcast_to(one, tuple(map(int, w.shape))), name=f"{name}.{suffix}", of=w)


__all__ = [
    "Rate", "Updates", "adadelta", "adagrad", "adam", "adamax", "adamw", "lamb", "lion", "momentum", "nadam", "nesterov",
    "rmsprop", "rprop", "sgd", "trained",
]  # fmt: skip
