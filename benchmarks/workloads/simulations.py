"""Two simulations: heat that spreads on a grid, and bodies that attract each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal

FLOW, STEP, SOFT = 0.1, 0.05, 1e-2  # a step so long that the velocities show the force


# --- heat: u += 0.1 (north + south + west + east - 4 u) inside, the rim stays 0 --------------------------------------


def heat(side: int, steps: int) -> Workload:
    """One call is `steps` steps, each way that suits its contender: a loop in Python where nothing else is there."""

    def arrays() -> tuple[Array]:
        u = np.zeros((side, side), np.float32)
        u[1:-1, 1:-1] = normal((side - 2, side - 2))
        return (u,)

    builders = {
        "graphc": _heat_graphc, "numpy": _heat_numpy, "jax": _heat_jax, "torch": _heat_torch,
        "torch.compile": partial(_heat_torch, compiled=True), "pytensor": _heat_pytensor, "numexpr": _heat_numexpr,
    }  # fmt: skip
    return Workload(
        f"heat, {steps} steps on {side} x {side}",
        arrays,
        {n: partial(build, steps) for n, build in builders.items()},
        tolerance=1e-5,
    )


def _warmer(u: Any) -> Any:
    """The new values inside."""
    c = u[1:-1, 1:-1]
    return c + FLOW * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * c)


def _state(call: Any, state: Any) -> Run:
    """A run that changes a state, which is its result."""

    def results() -> list[Array]:
        call()
        return [np.array(a) for a in state()]

    return Run(call, results)


def _heat_graphc(steps: int, u: Array, backend: str = "llvm") -> Run:
    v = gx.variable(u, name="u")
    step = gx.compile([], [], updates={v: gx.pad(_warmer(v), 1)}, backend=backend)

    def call() -> None:
        for _ in range(steps):
            step()

    return _state(call, lambda: [v.value])


def _heat_numpy(steps: int, u: Array) -> Run:
    u = u.copy()
    c, new = u[1:-1, 1:-1], np.empty((u.shape[0] - 2, u.shape[1] - 2), u.dtype)

    def call() -> None:
        for _ in range(steps):
            np.add(u[:-2, 1:-1], u[2:, 1:-1], out=new)
            new.__iadd__(u[1:-1, :-2])
            new.__iadd__(u[1:-1, 2:])
            new.__imul__(FLOW)
            c.__imul__(1 - 4 * FLOW)
            c.__iadd__(new)

    return _state(call, lambda: [u])


def _heat_jax(steps: int, u: Array) -> Run:
    import jax

    body = lambda _, u: u.at[1:-1, 1:-1].set(_warmer(u))
    f = jax.jit(lambda u: jax.lax.fori_loop(0, steps, body, u), donate_argnums=0)
    state = [jax.numpy.array(u)]

    def call() -> None:
        state[0] = jax.block_until_ready(f(state[0]))

    return _state(call, lambda: state)


def _heat_torch(steps: int, u: Array, compiled: bool = False) -> Run:
    import torch

    f = lambda u, new: new[1:-1, 1:-1].copy_(_warmer(u))
    f = torch.compile(f, dynamic=False) if compiled else f
    state = [torch.from_numpy(u.copy()), torch.from_numpy(u.copy())]

    def call() -> None:
        for _ in range(steps):
            f(*state)
            state.reverse()

    return _state(call, lambda: state[:1])


def _heat_pytensor(steps: int, u: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    v = pytensor.shared(u.copy())
    step = pytensor.function([], [], updates=[(v, pt.set_subtensor(v[1:-1, 1:-1], _warmer(v)))])

    def call() -> None:
        for _ in range(steps):
            step()

    return _state(call, lambda: [v.get_value()])


def _heat_numexpr(steps: int, u: Array) -> Run:
    import numexpr

    state = [u.copy(), u.copy()]

    def call() -> None:
        for _ in range(steps):
            old, new = state
            names = {
                "c": old[1:-1, 1:-1], "n": old[:-2, 1:-1], "s": old[2:, 1:-1], "w": old[1:-1, :-2], "e": old[1:-1, 2:],
                "k": np.float32(FLOW),
            }  # fmt: skip
            numexpr.evaluate("c + k * (n + s + w + e - 4 * c)", names, out=new[1:-1, 1:-1])
            state.reverse()

    return _state(call, lambda: state[:1])


# --- bodies: softened gravity, all pairs, velocities first, then positions -------------------------------------------


def bodies(n: int) -> Workload:
    """One call is one step. Positions and velocities are three vectors each."""

    def arrays() -> tuple[Array, ...]:
        mass = np.random.default_rng(0).uniform(0.5, 1.5, n).astype(np.float32) / np.float32(n)
        return (mass, *(normal((n,), seed=seed) for seed in range(1, 4)), *(normal((n,), seed=seed) / 4 for seed in range(4, 7)))

    return Workload(
        f"N-body step, n = {n}", arrays,
        {
            "graphc": _bodies_graphc, "numpy": _bodies_numpy, "jax": _bodies_jax, "torch": _bodies_torch,
            "torch.compile": partial(_bodies_torch, compiled=True), "pytensor": _bodies_pytensor,
        },
        tolerance=1e-5,
    )  # fmt: skip


def _moved(mass: Any, x: Any, y: Any, z: Any, u: Any, v: Any, w: Any, m: Any) -> list[Any]:
    """The new positions and velocities; `m` is the module whose functions are meant."""
    dx, dy, dz = (p[None, :] - p[:, None] for p in (x, y, z))
    square = dx * dx + dy * dy + dz * dz + SOFT
    pull = mass[None, :] / (square * m.sqrt(square))
    new = [speed + STEP * (pull * d).sum(axis=1) for speed, d in ((u, dx), (v, dy), (w, dz))]
    return [p + STEP * speed for p, speed in zip((x, y, z), new, strict=True)] + new


def _bodies_graphc(mass: Array, *state: Array, backend: str = "llvm") -> Run:
    weights = gx.variable(mass, name="mass")
    variables = [gx.variable(a, name=name) for name, a in zip("xyzuvw", state, strict=True)]
    step = gx.compile([], [], updates=dict(zip(variables, _moved(weights, *variables, gx), strict=True)), backend=backend)
    return _state(step, lambda: [v.value for v in variables])


def _replaced(f: Any, state: list[Any]) -> Run:
    """A run whose call puts f's values in the place of a state."""

    def call() -> None:
        state[:] = f(*state)

    return _state(call, lambda: state)


def _bodies_numpy(mass: Array, *state: Array) -> Run:
    return _replaced(lambda *s: _moved(mass, *s, np), list(state))


def _bodies_jax(mass: Array, *state: Array) -> Run:
    import jax
    import jax.numpy as jnp

    weights = jnp.asarray(mass)
    f = jax.jit(lambda mass, *s: _moved(mass, *s, jnp), donate_argnums=tuple(range(1, 7)))
    return _replaced(lambda *s: jax.block_until_ready(f(weights, *s)), [jnp.array(a) for a in state])


def _bodies_torch(mass: Array, *state: Array, compiled: bool = False) -> Run:
    import torch

    f = lambda mass, *s: _moved(mass, *s, torch)
    f, weights = torch.compile(f, dynamic=False) if compiled else f, torch.from_numpy(mass)
    return _replaced(lambda *s: f(weights, *s), [torch.from_numpy(a) for a in state])


def _bodies_pytensor(mass: Array, *state: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    shared = [pytensor.shared(a.copy()) for a in (mass, *state)]
    updates = list(zip(shared[1:], _moved(*shared, pt), strict=True))
    return _state(pytensor.function([], [], updates=updates), lambda: [s.get_value() for s in shared[1:]])
