"""Padded batches against themselves without padding: python -m benchmarks.padding

Lengths lie evenly between none and all of the steps, so that half of a batch is filled. A ratio is the time without a mask over
the time with one; both times are the least of a row of calls that take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import graphc as gx

BATCH, TIME = 16, 512
CALLS = 31
Make = Callable[[Any], Any]  # outputs, given a mask [batch, time] or None
Array = np.ndarray[Any, Any]


def attention(mask: Any, gradients: bool = True) -> tuple[list[Any], list[Any]]:
    """Four heads of width 32: scores, softmax, values; and their gradients."""
    q, k, v, g = (gx.placeholder(name, (BATCH, 4, TIME, 32), "float32") for name in "qkvg")
    y = gx.nn.attention(q, k, v, mask=None if mask is None else gx.expand_dims(mask, (1, 2)))
    return ([q, k, v, g], [y, *gx.vjp(y, [q, k, v], g)]) if gradients else ([q, k, v], [y])


def kept(mask: Any, x: Any) -> Any:
    """x with zeros where no step is."""
    return x if mask is None else gx.where(gx.expand_dims(mask, -1), x, 0)


def weight(*shape: int) -> Any:
    return gx.variable(np.random.default_rng(0).normal(size=shape).astype("float32") * 0.05)


def feed_forward(mask: Any) -> tuple[list[Any], list[Any]]:
    """Two products with zeroed rows."""
    x = gx.placeholder("x", (BATCH, TIME, 256), "float32")
    return [x], [kept(mask, gx.nn.relu(kept(mask, x) @ weight(256, 1024))) @ weight(1024, 256)]


def block(mask: Any) -> tuple[list[Any], list[Any]]:
    """Attention, a feed-forward layer, the mean of squares over the steps, and the gradients of all weights."""
    x = gx.placeholder("x", (BATCH, TIME, 128), "float32")
    weights = [weight(128, 128) for _ in range(4)] + [weight(128, 512), weight(512, 128)]
    heads = lambda z: gx.permute_dims(gx.reshape(z, (BATCH, TIME, 4, 32)), (0, 2, 1, 3))
    there = kept(mask, x)
    q, k, v = (heads(there @ w) for w in weights[:3])
    y = gx.nn.attention(q, k, v, mask=None if mask is None else gx.expand_dims(mask, (1, 2)))
    y = kept(mask, gx.reshape(gx.permute_dims(y, (0, 2, 1, 3)), (BATCH, TIME, 128))) @ weights[3]
    h = there + kept(mask, y)
    h = h + kept(mask, gx.nn.relu(h @ weights[4])) @ weights[5]
    loss = gx.sum(kept(mask, h * h))
    return [x], [loss, *gx.grad(loss, weights)]


def over_time(mask: Any) -> tuple[list[Any], list[Any]]:
    x = gx.placeholder("x", (BATCH, TIME, 1024), "float32")
    return [x], [gx.sum(kept(mask, x), axis=1)]


WORKLOADS: dict[str, Make] = {
    "attention, 16 x 4 heads x 512 x 32": lambda mask: attention(mask, gradients=False),
    "attention with gradients": attention,
    "feed-forward layer, 256 to 1,024 to 256": feed_forward,
    "block of 128 channels with a loss and gradients": block,
    "sums of 1,024 channels over time": over_time,
}


def measured(make: Make, lengths: Array) -> tuple[float, float]:
    """The least seconds of a call without a mask, and with one of lengths."""
    given = gx.placeholder("lengths", (BATCH,), "int64")
    inputs, outputs = make(None)
    whole = gx.compile(inputs, outputs)
    padded_inputs, padded_outputs = make(gx.arange(TIME) < gx.expand_dims(given, 1))
    padded = gx.compile([*padded_inputs, given], padded_outputs)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=x.shape).astype("float32") for x in inputs]
    seconds = np.zeros((CALLS, 2))
    for turn in seconds:
        for i, call in enumerate((lambda: whole(*arrays), lambda: padded(*arrays, lengths))):
            before = perf_counter()
            call()
            turn[i] = perf_counter() - before
    return tuple(seconds[1:].min(axis=0).tolist())


def main() -> None:
    lengths = np.random.default_rng(1).permutation(np.linspace(TIME / 32, TIME * 31 / 32, BATCH).astype(int))
    print(f"{gx.get_num_threads()} threads, lengths of {lengths.mean():.0f} of {TIME} steps on average")
    for name, make in WORKLOADS.items():
        whole, padded = measured(make, lengths)
        print(f"{name:50} {whole * 1e3:8.2f} ms  {padded * 1e3:8.2f} ms  {whole / padded:5.2f}")


if __name__ == "__main__":
    main()
