"""Conjugate gradients: Poisson's equation on a grid, without ever writing down its matrix.

    python examples/conjugate_gradients.py

-(u_xx + u_yy) = f inside the unit square, u = 0 on its rim. A while loop goes on until the residual is small
(Hestenes and Stiefel 1952, Journal of Research of the National Bureau of Standards 49).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx

SIDE = 63
H = 1 / (SIDE + 1)


def laplacian(u: gx.Tensor) -> gx.Tensor:
    """Minus the sum of second differences over H^2."""
    p = gx.pad(u, 1)
    return (4 * u - p[:-2, 1:-1] - p[2:, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:]) / H**2


def conjugate_gradients(apply: Any, b: gx.Tensor, tolerance: float) -> tuple[gx.Tensor, gx.Tensor]:
    """x with apply(x) = b, and the number of steps; `apply` is linear, symmetric and positive."""

    def step(state: Any) -> Any:
        x, r, p, square, steps = state
        q = apply(p)
        alpha = square / gx.sum(p * q)
        x, r = x + alpha * p, r - alpha * q
        new = gx.sum(r * r)
        return x, r, r + new / square * p, new, steps + 1

    enough = tolerance**2 * gx.sum(b * b)
    start = (gx.zeros_like(b), b, b, gx.sum(b * b), gx.constant(0))
    x, _, _, _, steps = gx.while_loop(lambda state: (state[3] > enough) & (state[4] < 1000), step, start)
    return x, steps


def main(backend: str = "llvm") -> float:
    """Solve for u = x (1 - x) y (1 - y), whose second differences are its derivatives; the largest error."""
    bump = np.arange(1, SIDE + 1) * H * (1 - np.arange(1, SIDE + 1) * H)
    want, force = bump[:, None] * bump, 2 * (bump[:, None] + bump)
    f = gx.placeholder("f", (SIDE, SIDE), "float64")
    u, steps = conjugate_gradients(laplacian, f, 1e-10)
    solve = gx.compile([f], [u, steps, gx.max(gx.abs(laplacian(u) - f))], backend=backend)
    found, taken, residual = solve(force)
    error = float(np.abs(found - want).max())
    print(f"{int(taken)} steps, residual {float(residual):.1e}, largest error {error:.1e}")
    return error


if __name__ == "__main__":
    main()
