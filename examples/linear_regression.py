"""Linear regression y = W x + b: gradient descent on the mean squared error against the closed form.

    python examples/linear_regression.py
"""

from __future__ import annotations

import numpy as np

import graphc as gx

SAMPLES, FEATURES, TARGETS, STEPS = 500, 4, 2, 400


def main(backend: str = "llvm") -> float:
    """Fit both ways; the largest difference between the two fits."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(SAMPLES, FEATURES))
    targets = inputs @ rng.normal(size=(FEATURES, TARGETS)) + rng.normal(size=TARGETS) + 0.1 * rng.normal(size=(SAMPLES, TARGETS))

    x = gx.placeholder("x", ("samples", FEATURES), "float64")
    y = gx.placeholder("y", ("samples", TARGETS), "float64")
    w = gx.variable(np.zeros((TARGETS, FEATURES)), name="W")
    b = gx.variable(np.zeros(TARGETS), name="b")
    loss = gx.nn.mse(x @ w.T + b, y)
    dw, db = gx.grad(loss, [w, b])
    step = gx.compile([x, y], loss, updates={w: w - 0.3 * dw, b: b - 0.3 * db}, backend=backend)

    print(step.graph)
    for i in range(STEPS):
        error = step(inputs, targets)
        if i % 50 == 0:
            print(f"step {i:3d}   mean squared error {float(error):.6f}")

    # closed form: least squares over the inputs with a column of ones beside them, whose coefficients are b
    solution, *_ = np.linalg.lstsq(np.column_stack([inputs, np.ones(SAMPLES)]), targets, rcond=None)
    difference = float(max(np.abs(w.value - solution[:-1].T).max(), np.abs(b.value - solution[-1]).max()))
    print(f"gradient descent  W = {np.round(w.value, 6).tolist()}  b = {np.round(b.value, 6).tolist()}")
    print(f"closed form       W = {np.round(solution[:-1].T, 6).tolist()}  b = {np.round(solution[-1], 6).tolist()}")
    print(f"largest difference {difference:.1e}")
    assert difference < 1e-10, "gradient descent did not reach the closed form"
    return difference


if __name__ == "__main__":
    main()
