"""Two spirals told apart by a network of two hidden layers, trained with AdamW under warm-up and a cosine schedule.

    python examples/two_spirals.py
"""

from __future__ import annotations

import numpy as np

import graphc as gx

POINTS, WIDTH, STEPS = 400, 32, 1000


def spirals(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points in the plane, float32, and the spiral of each, 0 or 1."""
    labels = np.arange(POINTS) % 2
    angle = rng.uniform(0.5, 3 * np.pi, POINTS)
    turned = angle + np.pi * labels
    points = np.stack([angle * np.cos(turned), angle * np.sin(turned)], axis=1) / (3 * np.pi)
    return (points + 0.01 * rng.normal(size=points.shape)).astype("float32"), labels


def main(backend: str = "llvm") -> float:
    """Train; the share of points on the right side."""
    rng = np.random.default_rng(0)
    points, labels = spirals(rng)

    def dense(x: gx.Tensor, size: int, name: str) -> tuple[gx.Tensor, list[gx.Variable]]:
        scale = np.sqrt(2 / x.shape[1])
        w = gx.variable((scale * rng.normal(size=(x.shape[1], size))).astype("float32"), name=f"{name}.w")
        b = gx.variable(np.zeros(size, "float32"), name=f"{name}.b")
        return x @ w + b, [w, b]

    x = gx.placeholder("x", ("points", 2), "float32")
    t = gx.placeholder("t", ("points",), "int64")
    h1, first = dense(x, WIDTH, "first")
    h2, second = dense(gx.nn.silu(h1), WIDTH, "second")
    logits, last = dense(gx.nn.silu(h2), 2, "last")
    loss = gx.nn.cross_entropy(logits, t)
    accuracy = gx.mean(gx.astype(gx.argmax(logits, axis=1) == t, "float32"))

    rate = gx.optim.schedules.warmup(50, gx.optim.schedules.cosine(0.01, STEPS - 50))
    updates = gx.optim.adamw(loss, first + second + last, lr=rate, clip_norm=1.0)
    step = gx.compile([x, t], [loss, accuracy], updates=updates, backend=backend)
    for i in range(STEPS):
        error, share = step(points, labels)
        if i % 100 == 0 or i == STEPS - 1:
            print(f"step {i:4d}   cross-entropy {float(error):.4f}   accuracy {float(share):.3f}")
    return float(share)


if __name__ == "__main__":
    main()
