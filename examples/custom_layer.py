"""A layer and an optimiser of one's own: functions of symbols, without a declaration."""

import numpy as np

import graphc as gx


def gated(x: gx.Tensor, width: int, name: str, rng: np.random.Generator) -> tuple[gx.Tensor, list[gx.Variable]]:
    """A gated linear unit (Dauphin et al. 2017), (x @ v) * sigmoid(x @ w), and its weights."""
    size = (x.shape[-1], width)
    v, w = (gx.variable(rng.normal(0, size[0] ** -0.5, size), name=f"{name}.{part}") for part in "vw")
    return (x @ v) * gx.sigmoid(x @ w), [v, w]


def sign_descent(loss: gx.Tensor, weights: list[gx.Variable], lr: float) -> dict[gx.Variable, gx.Tensor]:
    """Steps along the sign of an average of gradients (signum, Bernstein et al. 2018), kept beside each weight."""
    updates: dict[gx.Variable, gx.Tensor] = {}
    for w, g in zip(weights, gx.grad(loss, weights), strict=True):
        mean = gx.variable(np.zeros(w.shape), name="mean", of=w)
        updates[mean] = 0.9 * mean + 0.1 * g
        updates[w] = w - lr * gx.sign(updates[mean])
    return updates


def main(backend: str = "llvm") -> float:
    """Learn a product of two inputs; the last loss."""
    rng = np.random.default_rng(0)
    x, t = gx.placeholder("x", ("n", 2), "float64"), gx.placeholder("t", ("n", 1), "float64")
    hidden, first = gated(x, 16, "hidden", rng)
    y, last = gated(hidden, 1, "last", rng)
    loss = gx.nn.mse(y, t)
    step = gx.compile([x, t], loss, updates=sign_descent(loss, [*first, *last], 0.003), backend=backend)
    data = rng.normal(size=(256, 2))
    return [float(step(data, data[:, :1] * data[:, 1:])) for _ in range(600)][-1]


if __name__ == "__main__":
    print(f"mean squared error {main():.4f}")
