"""Loops: a recurrent layer and its gradient, scalars carried for many steps, steps until something holds.

Torch has no loop of its own in a program: it serves where its steps are few, or a layer of its own does all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, normal, pure

# --- LSTM: sequences in, the mean square of all hidden states out, with the gradient of every weight -----------------


def lstm(units: int, steps: int, batch: int) -> Workload:
    """float32, as many inputs as units. The inputs' products with their weights are taken before the loop."""

    def arrays() -> tuple[Array, ...]:
        spread = np.float32(units**-0.5)
        weights = (normal((units, 4 * units), seed=1) * spread, normal((units, 4 * units), seed=2) * spread)
        return (normal((steps, batch, units)), *weights, normal((4 * units,), seed=3) * np.float32(0.1))

    return Workload(
        f"LSTM, {units} units, {steps} steps, batch {batch}, with gradient", arrays,
        {"graphc": _lstm_graphc, "jax": _lstm_jax, "torch": _lstm_torch, "pytensor": _lstm_pytensor},
        tolerance=2e-4, flops=3 * 2 * steps * batch * 2 * units * 4 * units,
    )  # fmt: skip


def _cell(units: int, m: Any, sigmoid: Any, state: Any, z: Any) -> tuple[Any, Any]:
    """The next (hidden, cell) state; z holds the sums of the gates i, f, g, o."""
    i, f, g, o = (z[:, k * units : (k + 1) * units] for k in range(4))
    c = sigmoid(f) * state[1] + sigmoid(i) * m.tanh(g)
    return sigmoid(o) * m.tanh(c), c


def _lstm_graphc(x: Array, w: Array, u: Array, b: Array, backend: str = "llvm") -> Run:
    _, batch, units = x.shape
    s = gx.placeholder("x", x.shape, "float32")
    v = [gx.variable(a, name=name) for a, name in zip((w, u, b), "wub", strict=True)]
    rest = gx.zeros((batch, units), "float32")
    cell = partial(_cell, units, gx, gx.sigmoid)

    def step(state: Any, z: Any) -> Any:
        h, c = cell(state, z + state[0] @ v[1])
        return (h, c), h

    _, hs = gx.scan(step, (rest, rest), s @ v[0] + v[2])
    loss = gx.mean(hs * hs)
    f = gx.compile([s], [loss, *gx.grad(loss, v)], backend=backend)
    return pure(lambda: f(x))


def _lstm_jax(x: Array, w: Array, u: Array, b: Array) -> Run:
    import jax
    import jax.numpy as jnp

    rest = jnp.zeros((x.shape[1], x.shape[2]), "float32")
    cell = partial(_cell, x.shape[2], jnp, jax.nn.sigmoid)

    def loss(weights: Any, x: Any) -> Any:
        def step(state: Any, z: Any) -> Any:
            h, c = cell(state, z + state[0] @ weights[1])
            return (h, c), h

        _, hs = jax.lax.scan(step, (rest, rest), x @ weights[0] + weights[2])
        return jnp.mean(hs * hs)

    f = jax.jit(jax.value_and_grad(loss))
    given, weights = jnp.asarray(x), [jnp.asarray(a) for a in (w, u, b)]

    def call() -> list[Any]:
        value, gradients = f(weights, given)
        return jax.block_until_ready([value, *gradients])  # type: ignore[no-any-return]

    return pure(call)


def _lstm_torch(x: Array, w: Array, u: Array, b: Array) -> Run:
    import torch

    layer = torch.nn.LSTM(x.shape[2], x.shape[2])
    with torch.no_grad():
        for parameter, a in zip(layer.parameters(), (w.T, u.T, b, 0 * b), strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(a)))
    wanted = list(layer.parameters())[:3]
    given = torch.from_numpy(x)

    def call() -> list[Any]:
        hs, _ = layer(given)
        loss = (hs * hs).mean()
        gw, gu, gb = torch.autograd.grad(loss, wanted)
        return [loss.detach(), gw.T, gu.T, gb]

    return pure(call)


def _lstm_pytensor(x: Array, w: Array, u: Array, b: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    s = pt.tensor3("x", dtype="float32")
    v = [pytensor.shared(a) for a in (w, u, b)]
    rest = pt.zeros((x.shape[1], x.shape[2]), dtype="float32")
    cell = partial(_cell, x.shape[2], pt, pt.sigmoid)
    step = lambda z, h, c, u: list(cell((h, c), z + h @ u))
    (hs, _), _ = pytensor.scan(step, sequences=[s @ v[0] + v[2]], outputs_info=[rest, rest], non_sequences=[v[1]])
    loss = (hs * hs).mean(dtype="float32")
    f = pytensor.function([s], [loss, *pytensor.grad(loss, v)])
    return pure(lambda: f(x))


# --- eight scalars in a ring, pushed at each step, with the gradient of what pushes ----------------------------------

RING = 8


def ring(steps: int) -> Workload:
    def arrays() -> tuple[Array, ...]:
        return np.linspace(0.1, 0.8, RING), normal((steps,), "float64")

    builders = {"graphc": _ring_graphc, "jax": _ring_jax, "pytensor": _ring_pytensor}
    return Workload(f"scan, {steps} steps of {RING} scalars, with gradient", arrays, builders, tolerance=1e-9)


def _pushed(m: Any, p: Any, c: Any, x: Any) -> list[Any]:
    return [0.9 * c[i] + 0.1 * m.tanh(c[(i + 1) % RING] * p[i]) + x * 0.01 for i in range(RING)]


def _ring_graphc(p: Array, xs: Array, backend: str = "llvm") -> Run:
    given = gx.placeholder("p", p.shape, "float64"), gx.placeholder("xs", xs.shape, "float64")
    q = [given[0][i] for i in range(RING)]
    last, ys = gx.scan(lambda c, x: (_pushed(gx, q, c, x), c[0]), q, given[1])
    total = gx.sum(ys) + gx.sum(gx.stack(last))
    f = gx.compile(given, [total, *gx.grad(total, list(given))], backend=backend)
    return pure(lambda: f(p, xs))


def _ring_jax(p: Array, xs: Array) -> Run:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def total(p: Any, xs: Any) -> Any:
        q = [p[i] for i in range(RING)]
        last, ys = jax.lax.scan(lambda c, x: (_pushed(jnp, q, c, x), c[0]), q, xs)
        return jnp.sum(ys) + sum(last)

    f = jax.jit(jax.value_and_grad(total, (0, 1)))
    given = jnp.asarray(p), jnp.asarray(xs)

    def call() -> list[Any]:
        value, gradients = f(*given)
        return jax.block_until_ready([value, *gradients])  # type: ignore[no-any-return]

    return pure(call)


def _ring_pytensor(p: Array, xs: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    pytensor.config.floatX = "float64"  # the type of its constants
    given = pt.dvector("p"), pt.dvector("xs")
    q = [given[0][i] for i in range(RING)]
    step = lambda x, *rest: [*_pushed(pt, rest[RING:], rest[:RING], x), rest[0]]
    found, _ = pytensor.scan(step, sequences=[given[1]], outputs_info=[*q, None], non_sequences=q)
    total = pt.sum(found[-1]) + sum(c[-1] for c in found[:RING])
    f = pytensor.function(list(given), [total, *pytensor.grad(total, list(given))])
    return pure(lambda: f(p, xs))


# --- loops of scalars alone: the last carry of a number of steps -----------------------------------------------------


def lorenz(steps: int) -> Workload:
    """Runge-Kutta's method of fourth order on the Lorenz system, steps of 1e-4 from (1, 1, 1)."""
    return Workload(f"Lorenz by Runge-Kutta, {steps} steps", lambda: (np.ones(3),), _scalars(_runge_kutta, steps), tolerance=1e-6)


def _slope(u: Any) -> tuple[Any, Any, Any]:
    x, y, z = u
    return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z


def _runge_kutta(m: Any, start: Any, u: Any, h: float = 1e-4) -> tuple[Any, ...]:
    along = lambda a, k: tuple(p + a * q for p, q in zip(u, k, strict=True))
    k1 = _slope(u)
    k2 = _slope(along(h / 2, k1))
    k3 = _slope(along(h / 2, k2))
    k4 = _slope(along(h, k3))
    return tuple(p + h / 6 * (a + 2 * b + 2 * c + d) for p, a, b, c, d in zip(u, k1, k2, k3, k4, strict=True))


def lyapunov(steps: int) -> Workload:
    """The logistic map x -> r x (1 - x) at r = 3.9: the sum of log |r (1 - 2x)|, and x. The start is (0.3, 0, r)."""
    arrays = lambda: (np.array([0.3, 0.0, 3.9]),)
    # the map doubles an error at each step or so: only the sum is like another's
    return Workload(f"Lyapunov exponent, {steps} steps", arrays, _scalars(_logistic_map, steps, 1), tolerance=1e-2)


def _logistic_map(m: Any, start: Any, u: Any) -> tuple[Any, ...]:
    (x, total, *rest), r = u, start[2]
    return r * x * (1 - x), total + m.log(abs(r * (1 - 2 * x))), *rest


def _scalars(step: Callable[..., tuple[Any, ...]], steps: int, shown: int | None = None) -> dict[str, Callable[..., Run]]:
    """Contenders that carry three numbers through steps. shown: which of them is the result, where not all are."""
    chosen = slice(None) if shown is None else slice(shown, shown + 1)
    builders = {"graphc": _scalars_graphc, "jax": _scalars_jax, "pytensor": _scalars_pytensor}
    return {name: partial(build, step, steps, chosen) for name, build in builders.items()}


def _scalars_graphc(step: Any, steps: int, chosen: slice, u: Array, backend: str = "llvm") -> Run:
    v = gx.placeholder("u", u.shape, "float64")
    start = tuple(v[i] for i in range(3))
    last = gx.fori_loop(0, steps, lambda _, c: step(gx, start, c), start)
    f = gx.compile([v], gx.stack(last[chosen]), backend=backend)
    return pure(lambda: f(u))


def _scalars_jax(step: Any, steps: int, chosen: slice, u: Array) -> Run:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    loop = lambda v: jax.lax.fori_loop(0, steps, lambda _, c: step(jnp, v, c), tuple(v))
    f, given = jax.jit(lambda v: jnp.stack(loop(v)[chosen])), jnp.asarray(u)
    return pure(lambda: jax.block_until_ready(f(given)))


def _scalars_pytensor(step: Any, steps: int, chosen: slice, u: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    pytensor.config.floatX = "float64"
    v = pt.dvector("u")
    start = [v[i] for i in range(3)]
    body = lambda *c: list(step(pt, c[3:], c[:3]))
    found, _ = pytensor.scan(body, outputs_info=start, non_sequences=start, n_steps=steps, strict=True)
    f = pytensor.function([v], pt.stack([c[-1] for c in found][chosen]))
    return pure(lambda: f(u))


# --- Newton's method for cube roots, until the largest residual is small ---------------------------------------------


def newton(n: int) -> Workload:
    builders = {"graphc": _newton_graphc, "numpy": _newton_numpy, "jax": _newton_jax, "torch": _newton_torch}
    return Workload(f"Newton's method, n = {n}", lambda: (np.linspace(1, 8, n),), builders, tolerance=1e-12)


def _far(m: Any, y: Any, a: Any) -> Any:
    return m.max(abs(y * y * y - a)) > 1e-10


def _nearer(y: Any, a: Any) -> Any:
    return y - (y * y * y - a) / (3 * y * y)


def _newton_graphc(a: Array, backend: str = "llvm") -> Run:
    s = gx.placeholder("a", a.shape, "float64")
    root = gx.while_loop(lambda y: _far(gx, y, s), lambda y: _nearer(y, s), gx.full(a.shape, 1.5, "float64"))
    f = gx.compile([s], root, backend=backend)
    return pure(lambda: f(a))


def _newton_eager(a: Any, start: Any, m: Any) -> Any:
    y = start
    while _far(m, y, a):
        y = _nearer(y, a)
    return y


def _newton_numpy(a: Array) -> Run:
    return pure(lambda: _newton_eager(a, np.full_like(a, 1.5), np))


def _newton_jax(a: Array) -> Run:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    given = jnp.asarray(a)
    f = jax.jit(lambda a: jax.lax.while_loop(lambda y: _far(jnp, y, a), lambda y: _nearer(y, a), jnp.full(a.shape, 1.5)))
    return pure(lambda: jax.block_until_ready(f(given)))


def _newton_torch(a: Array) -> Run:
    import torch

    given = torch.from_numpy(a)
    return pure(lambda: _newton_eager(given, torch.full_like(given, 1.5), torch))
