"""A recurrent network learns the sunspots: gated units see the numbers of the years so far, and say the next one.

    python examples/rnn.py

The series is the yearly mean number of sunspots, 1700 to 2008, of the US National Geophysical Data Center (public domain).
"""

from __future__ import annotations

import numpy as np

import graphc as gx

FIRST, KNOWN, UNITS, ROUNDS = 1700, 220, 6, 300  # the network learns from the first 220 years alone
SUNSPOTS = """
5 11 16 23 36 58 29 20 10 8 3 0 0 2 11 27 47 63 60 39 28 26 22 11 21 40 78 122 103 73 47 35 11 5 16 34 70 81 111 101 73 40 20
16 5 11 22 40 60 80.9 83.4 47.7 47.8 30.7 12.2 9.6 10.2 32.4 47.6 54 62.9 85.9 61.2 45.1 36.4 20.9 11.4 37.8 69.8 106.1 100.8
81.6 66.5 34.8 30.6 7 19.8 92.5 154.4 125.9 84.8 68.1 38.5 22.8 10.2 24.1 82.9 132 130.9 118.1 89.9 66.6 60 46.9 41 21.3 16
6.4 4.1 6.8 14.5 34 45 43.1 47.5 42.2 28.1 10.1 8.1 2.5 0 1.4 5 12.2 13.9 35.4 45.8 41.1 30.1 23.9 15.6 6.6 4 1.8 8.5 16.6
36.3 49.6 64.2 67 70.9 47.8 27.5 8.5 13.2 56.9 121.5 138.3 103.2 85.7 64.6 36.7 24.2 10.7 15 40.1 61.5 98.5 124.7 96.3 66.6
64.5 54.1 39 20.6 6.7 4.3 22.7 54.8 93.8 95.8 77.2 59.1 44 47 30.5 16.3 7.3 37.6 74 139 111.2 101.6 66.2 44.7 17 11.3 12.4 3.4
6 32.3 54.3 59.7 63.7 63.5 52.2 25.4 13.1 6.8 6.3 7.1 35.6 73 85.1 78 64 41.8 26.2 26.7 12.1 9.5 2.7 5 24.4 42 63.5 53.8 62
48.5 43.9 18.6 5.7 3.6 1.4 9.6 47.4 57.1 103.9 80.6 63.6 37.6 26.1 14.2 5.8 16.7 44.3 63.9 69 77.8 64.9 35.7 21.2 11.1 5.7 8.7
36.1 79.7 114.4 109.6 88.8 67.8 47.5 30.6 16.3 9.6 33.2 92.6 151.6 136.3 134.7 83.9 69.4 31.5 13.9 4.4 38 141.7 190.2 184.8
159 112.3 53.9 37.6 27.9 10.2 15.1 47 93.8 105.9 105.5 104.5 66.6 68.9 38 34.5 15.5 12.6 27.5 92.5 155.4 154.6 140.4 115.9
66.6 45.9 17.9 13.4 29.4 100.2 157.6 142.6 145.7 94.3 54.6 29.9 17.5 8.6 21.5 64.3 93.3 119.6 111 104 63.7 40.4 29.8 15.2 7.5
2.9
"""


def main(backend: str = "llvm", rounds: int = ROUNDS) -> float:
    """Learn; the error of predictions of the years after, over that of saying the same number as last year."""
    numbers = np.array(SUNSPOTS.split(), "float32")
    series = np.sqrt(numbers) / 5  # about as uncertain where it is large as where it is small
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> gx.Variable:
        return gx.variable((rng.normal(size=shape) / np.sqrt(shape[0])).astype("float32"), name=name)

    w, u, out = weight("w", 1, 3 * UNITS), weight("u", UNITS, 3 * UNITS), weight("out", UNITS, 1)
    sizes = {"b": 3 * UNITS, "c": 3 * UNITS, "level": 1}
    b, c, level = (gx.variable(np.zeros(n, "float32"), name=name) for name, n in sizes.items())

    x = gx.placeholder("x", ("years",), "float32")
    states, _ = gx.nn.gru(gx.reshape(x, (1, -1, 1)), w, u, b, c)
    said = x + (states @ out + level)[0, :, 0]  # the change to the next year
    loss = gx.nn.mse(said[:-1], x[1:])
    updates = gx.optim.adam(loss, [w, u, out, b, c, level], 0.01, clip_norm=1.0)
    step, predict = gx.compile([x], loss, updates=updates, backend=backend), gx.compile([x], said, backend=backend)

    for i in range(rounds):
        error = step(series[:KNOWN])
        if i % 100 == 0:
            print(f"round {i:3d}   mean squared error {float(error):.4f}")
    predicted = (5 * np.maximum(predict(series), 0)) ** 2
    wrong = lambda guess: float(np.sqrt(np.mean((guess[KNOWN - 1 : -1] - numbers[KNOWN:]) ** 2)))
    ours, last = wrong(predicted), wrong(numbers)
    print(f"{FIRST + KNOWN} to {FIRST + len(numbers) - 1}: off by {ours:.1f}, by last year's number {last:.1f}")
    return ours / last


if __name__ == "__main__":
    main()
