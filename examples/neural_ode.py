"""A neural ordinary differential equation: a small network learns what drives a spiral, by the gradient through its solver.

    python examples/neural_ode.py

The spiral is dy/dt = y^3 A (Chen et al. 2018, arXiv:1806.07366). The solver is Runge-Kutta of fourth order, a scan over time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gx

STEPS, STEP, HIDDEN, ROUNDS = 40, 0.05, 32, 600
A = np.array([[-0.1, 2.0], [-2.0, -0.1]])


def solve(slope: Callable[[Any], Any], start: Any) -> Any:
    """The states after each step."""

    def step(y: Any, _: None) -> tuple[Any, Any]:
        a = slope(y)
        b = slope(y + STEP / 2 * a)
        c = slope(y + STEP / 2 * b)
        y = y + STEP / 6 * (a + 2 * b + 2 * c + slope(y + STEP * c))
        return y, y

    return gx.scan(step, start, length=STEPS)[1]


def main(backend: str = "llvm", rounds: int = ROUNDS) -> float:
    """Learn from one path; the mean squared error at the end over that of the untrained network."""
    rng = np.random.default_rng(0)
    start = gx.constant(np.array([[1.2, 0.0], [0.8, 0.8]]))
    path = solve(lambda y: y**3 @ gx.constant(A), start)

    w = gx.variable(rng.normal(size=(2, HIDDEN)) / 2, name="w")
    b = gx.variable(np.zeros(HIDDEN), name="b")
    u = gx.variable(rng.normal(size=(HIDDEN, 2)) / 10, name="u")
    loss = gx.nn.mse(solve(lambda y: gx.tanh(y**3 @ w + b) @ u, start), path)
    step = gx.compile([], loss, updates=gx.optim.adam(loss, [w, b, u], 0.02), backend=backend)

    errors = [float(step()) for _ in range(rounds)]
    for i in range(0, rounds, 100):
        print(f"round {i:3d}   mean squared error {errors[i]:.6f}")
    print(f"at the end  mean squared error {errors[-1]:.6f}")
    return errors[-1] / errors[0]


if __name__ == "__main__":
    main()
