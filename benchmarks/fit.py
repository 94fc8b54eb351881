"""What `fit` costs over the bare compiled step: epochs of a small network, with nothing shown.

    python benchmarks/fit.py [--rounds 20] [--width 256] [--busy]

The step is the model's own training program, called in a loop with the rows of the batches that `fit` takes, in the same
order. Each way is run in turn, an epoch at a time, and the least time of each counts. --busy: on one thread, by its processor
time, where others use the machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import graphc as gx
from graphc.data.order import permutation

SAMPLES, FEATURES, CLASSES, BATCH = 32_768, 128, 10, 64


def model(width: int, steps_per_call: int = 1) -> gx.models.Sequential:
    """A network of two layers, compiled."""
    gx.layers.seed(0)
    dense = gx.layers.Dense
    made = gx.models.Sequential([dense(width, activation="relu", input_shape=(FEATURES,)), dense(CLASSES)])
    made.compile("adam", "sparse_categorical_crossentropy", ["accuracy"], steps_per_call=steps_per_call)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--busy", action="store_true")
    given = parser.parse_args()
    clock = time.process_time if given.busy else time.perf_counter
    if given.busy:
        gx.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype("float32")
    y = rng.integers(0, CLASSES, SAMPLES)
    rows = [batch for epoch in range(given.epochs) for batch in permutation(SAMPLES, 0, epoch).reshape(-1, BATCH)]
    steps = len(rows)

    bare = model(given.width)
    program = bare.programs.train((x, y), gathered=True)

    def loop() -> None:
        for batch in rows:
            program(x, y, batch)

    ways: dict[str, Callable[[], object]] = {"bare step": loop}
    for name, many in (("fit", 1), ("fit, steps_per_call=8", 8)):
        made = model(given.width, many)
        ways[name] = lambda made=made: made.fit(x, y, batch_size=BATCH, epochs=given.epochs, verbose=0)  # type: ignore[misc]
    least = dict.fromkeys(ways, np.inf)
    for _ in range(given.rounds + 1):  # the first compiles
        for name, run in ways.items():
            start = clock()
            run()
            least[name] = min(least[name], (clock() - start) / steps)
    for name, seconds in least.items():
        print(f"{name:24} {1e6 * seconds:8.1f} us a step   {seconds / least['bare step']:.3f} times the bare step")


if __name__ == "__main__":
    main()
