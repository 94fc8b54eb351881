"""What a training step in bfloat16 takes against one in float32: networks of dense layers, and one of convolutions.

    python benchmarks/mixed_precision.py [--rounds 30]

On one thread, by its processor time: each step is run in turn, many times over, and the least time of each counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import graphc as gx
from graphc.layers import Conv2D, Dense, Flatten, MaxPool

Layers = Callable[[], list[gx.layers.Layer]]


def mlp(width: int) -> Layers:
    """784 inputs, two hidden layers, 10 classes."""
    return lambda: [Dense(width, activation="relu", input_shape=(784,)), Dense(width, activation="relu"), Dense(10)]


def cnn(width: int) -> Layers:
    """Images of 28x28, two convolutions with pools between them, 10 classes."""
    return lambda: [
        Conv2D(width, 3, activation="relu", input_shape=(28, 28, 1)), MaxPool(2), Conv2D(2 * width, 3, activation="relu"),
        MaxPool(2), Flatten(), Dense(10),
    ]  # fmt: skip


def step(layers: Layers, batch: int, precision: str | None) -> Callable[[], object]:
    """A training step on a batch that stays the same."""
    gx.layers.seed(0)
    model = gx.models.Sequential(layers())
    model.compile("adam", "sparse_categorical_crossentropy", mixed_precision=precision)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *(int(n) for n in model.layers[0].input_shape or ()))).astype("float32")
    y = rng.integers(0, 10, batch)
    program = model.programs.train((x, y), gathered=False)
    return lambda: program(x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    gx.set_num_threads(1)
    rows: list[tuple[str, Layers, int]] = [
        *((f"MLP 784-512-512-10, batch {n}", mlp(512), n) for n in (32, 128, 512)),
        ("MLP 784-2048-2048-10, batch 32", mlp(2048), 32),
        *((f"CNN 16-32, batch {n}", cnn(16), n) for n in (32, 128)),
    ]  # fmt: skip
    print("| step | float32 | bfloat16 | ratio |")
    print("|---|---:|---:|---:|")
    for name, layers, batch in rows:
        ways = [step(layers, batch, precision) for precision in (None, "bfloat16")]
        least = [np.inf] * len(ways)
        for _ in range(given.rounds):
            for i, run in enumerate(ways):
                start = time.thread_time()
                run()
                least[i] = min(least[i], time.thread_time() - start)
        print(f"| {name} | {1e3 * least[0]:.2f} ms | {1e3 * least[1]:.2f} ms | {least[1] / least[0]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
