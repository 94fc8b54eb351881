"""A training step: loss, gradients and update, for a model that each contender gives as a function to its loss.

The step of every contender is the same: forward, backward, and Adam with the defaults of Kingma and Ba (arXiv:1412.6980), or
gradient descent with momentum. Its results, for the comparison: the loss of the first step, all gradients of that step in one
vector (the first moments, over 1 - beta1, or the velocities), and the loss of the second step, which has seen the updated
parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run

RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
SPEED, MOMENTUM = 1e-2, 0.9  # of gradient descent

Parameters = Mapping[str, Array]


def _run(call: Callable[[], Any], moments: Callable[[], list[Array]], share: float = 1 - BETA1) -> Run:
    """`share` is the part of a moment that one gradient makes."""

    def results() -> list[Array]:
        first = np.array(call())
        gradient = np.concatenate([np.array(m).ravel() for m in moments()]) / np.float32(share)
        return [first, gradient, np.array(call())]

    return Run(call, results)


def graphc_step(
    inputs: list[gx.Tensor], loss: gx.Tensor, variables: list[gx.Variable], data: tuple[Array, ...], backend: str,
    momentum: bool = False,
) -> Run:  # fmt: skip
    if momentum:
        updates = gx.optim.momentum(loss, variables, SPEED, beta=MOMENTUM)
    else:
        updates = gx.optim.adam(loss, variables, RATE, beta1=BETA1, beta2=BETA2, eps=EPS)
    step = gx.compile(inputs, loss, updates=updates, backend=backend)
    state = {v.name: v for v in updates}
    share, kind = (1, "momentum") if momentum else (1 - BETA1, "adam")
    return _run(lambda: step(*data), lambda: [state[f"{v.name}.{kind}.m"].value for v in variables], share)


def jax_step(loss: Callable[..., Any], parameters: Parameters, data: tuple[Array, ...], momentum: bool = False) -> Run:
    """loss(parameters, *data) -> a scalar."""
    import jax
    import jax.numpy as jnp

    each = jax.tree.map

    def step(p: Any, m: Any, v: Any, count: Any, *data: Any) -> tuple[Any, ...]:
        value, g = jax.value_and_grad(loss)(p, *data)
        m = each(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
        v = each(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
        t = (count + 1).astype(jnp.float32)
        length, shrink = RATE / (1 - BETA1**t), 1 / jnp.sqrt(1 - BETA2**t)
        p = each(lambda p, m, v: p - length * m / (jnp.sqrt(v) * shrink + EPS), p, m, v)
        return value, p, m, v, count + 1

    def descend(p: Any, m: Any, *data: Any) -> tuple[Any, ...]:
        value, g = jax.value_and_grad(loss)(p, *data)
        m = each(lambda m, g: MOMENTUM * m + g, m, g)
        return value, each(lambda p, m: p - SPEED * m, p, m), m

    state = [each(jnp.array, dict(parameters)), *(each(jnp.zeros_like, dict(parameters)) for _ in "mv"), jnp.zeros((), jnp.int32)]
    if momentum:
        state = state[:2]
    run = jax.jit(descend if momentum else step, donate_argnums=tuple(range(len(state))))
    on_device = [jnp.asarray(a) for a in data]

    def call() -> Any:
        value, *state[:] = run(*state, *on_device)
        return jax.block_until_ready((value, state))[0]

    return _run(call, lambda: [state[1][name] for name in parameters], 1 if momentum else 1 - BETA1)


def torch_step(
    loss: Callable[..., Any], parameters: Parameters, data: tuple[Array, ...], compiled: bool, momentum: bool = False
) -> Run:  # fmt: skip
    """loss(parameters, *data) -> a scalar. Updates are the fused ones; torch.compile takes the loss and its gradient."""
    import torch

    leaves = {name: torch.tensor(a, requires_grad=True) for name, a in parameters.items()}
    if momentum:
        update: Any = torch.optim.SGD(leaves.values(), SPEED, MOMENTUM, fused=True)
    else:
        update = torch.optim.Adam(leaves.values(), RATE, (BETA1, BETA2), EPS, fused=True)
    tensors = [torch.from_numpy(a) for a in data]
    value_of = torch.compile(loss, dynamic=False) if compiled else loss

    def call() -> Any:
        update.zero_grad(set_to_none=True)
        value = value_of(leaves, *tensors)
        value.backward()
        update.step()
        return value.detach()

    name = "momentum_buffer" if momentum else "exp_avg"
    return _run(call, lambda: [update.state[p][name] for p in leaves.values()], 1 if momentum else 1 - BETA1)


def pytensor_step(loss: Callable[..., Any], parameters: Parameters, symbols: list[Any], data: tuple[Array, ...]) -> Run:
    """loss(parameters, *symbols) -> a scalar."""
    import pytensor
    import pytensor.tensor as pt

    shared = {name: pytensor.shared(a.copy(), name) for name, a in parameters.items()}
    value = loss(shared, *symbols)
    count = pytensor.shared(np.zeros((), np.int64))
    t = (count + 1).astype("float64")
    length = (RATE / (1 - BETA1**t)).astype("float32")
    shrink = (1 / pt.sqrt(1 - BETA2**t)).astype("float32")
    updates, moments = [(count, count + 1)], []
    for p, g in zip(shared.values(), pt.grad(value, list(shared.values())), strict=True):
        m, v = (pytensor.shared(np.zeros_like(p.get_value())) for _ in "mv")
        new_m = np.float32(BETA1) * m + np.float32(1 - BETA1) * g
        new_v = np.float32(BETA2) * v + np.float32(1 - BETA2) * g * g
        updates += [(m, new_m), (v, new_v), (p, p - length * new_m / (pt.sqrt(new_v) * shrink + np.float32(EPS)))]
        moments.append(m)
    step = pytensor.function(symbols, value, updates=updates, trust_input=True)
    return _run(lambda: step(*data), lambda: [m.get_value() for m in moments])
