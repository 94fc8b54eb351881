"""A transformer block whose weights are divided among ranks: tensor parallelism (Shoeybi et al. 2019, arXiv:1909.08053).

    python examples/tensor_parallel.py                  # one rank has all weights
    mpiexec -n 4 python examples/tensor_parallel.py     # each of four has a quarter of every large one

The block learns to say a word backwards. All ranks see the whole batch, and a large weight is cut in one of two ways:

    by columns   y = x W   a rank has some columns of W, and makes the same columns of y of the whole x
    by rows      y = h V   a rank has some columns of h and the same rows of V; y is the sum of all ranks' products

One after the other they need one exchange, that sum, as long as what stands between treats columns alone: gelu does, and
attention where columns are heads. A block has two such pairs: queries, keys and values by columns with the output by rows, and
the first dense layer by columns with the second by rows. Around each pair stand two functions, of which one does forward what
the other does backward (f and g of the paper):

    enter   forward: x, which all ranks have       backward: the sum of the ranks' cotangents
    leave   forward: the sum of the ranks' terms   backward: the cotangent, which all ranks have

A rank's cotangent of x is what its own columns ask for, so those of all ranks are added. A term goes into the sum once, so its
cotangent is that of the sum. The gradients of graphc's exchanges alone are those of the sum of all ranks' losses: here all have
the same loss, so the gradient of `leave` would be as many times too large as there are ranks, and without `enter` a weight that
all ranks have, before a pair, would get only what goes through one rank's columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc.distributed import all_gather, all_reduce, rank, size

LETTERS, TIME, WIDTH, HEADS, BATCH = 16, 8, 32, 4, 32


@gx.custom_gradient
def enter(x: Any) -> Any:
    """x itself; backward the sum over ranks."""
    return x, all_reduce


@gx.custom_gradient
def leave(x: Any) -> Any:
    """The sum over ranks; backward the cotangent itself."""
    return all_reduce(x), lambda g: g


@gx.custom_gradient
def gather(x: Any) -> Any:
    """The columns of all ranks; backward a rank's own."""
    own = x.shape[-1]
    return all_gather(x, axis=-1), lambda g: g[..., rank() * own : (rank() + 1) * own]


class Network:
    """Word [batch, time] -> a score for each letter at each place, by part `part` of `parts` of the weights."""

    def __init__(self, part: int, parts: int, dtype: str = "float64") -> None:
        if HEADS % parts:
            raise SystemExit(f"{HEADS} heads are not divided among {parts} ranks")
        self.part, self.parts, self.dtype = part, parts, dtype
        self.enter, self.leave, self.gather = (enter, leave, gather) if parts > 1 else (lambda x: x,) * 3
        self.rng = np.random.default_rng(0)
        self.weights: dict[str, gx.Variable] = {}
        self.axes: dict[str, int | None] = {}  # along which a weight is cut
        self.word = gx.placeholder("word", ("batch", TIME), "int64")
        scores = self.scores(self.word)
        self.loss = gx.nn.cross_entropy(scores, self.word[:, ::-1])
        self.right = gx.mean(gx.argmax(scores, axis=-1) == self.word[:, ::-1])

    def weight(self, name: str, *shape: int, scale: float, axis: int | None = None) -> gx.Variable:
        """This part of a weight; every rank draws the whole, so that all parts are of one."""
        value = scale * self.rng.standard_normal(shape) + (name.endswith("gain"))
        own = value if axis is None else np.split(value, self.parts, axis)[self.part]
        self.axes[name] = axis
        self.weights[name] = made = gx.variable(own.astype(self.dtype), name=name)
        return made

    def columns(self, x: Any, name: str, out: int, bias: bool = True) -> Any:
        """A dense layer cut by columns: all of x to this part's columns of the result."""
        n = x.shape[-1]
        y = x @ self.weight(f"{name}.w", n, out, scale=n**-0.5, axis=1)
        return y + self.weight(f"{name}.b", out, scale=0, axis=0) if bias else y

    def rows(self, h: Any, name: str, out: int) -> Any:
        """A dense layer cut by rows: this part's columns of h to the whole result. What is added to the sum is added once."""
        n = h.shape[-1] * self.parts
        return self.leave(h @ self.weight(f"{name}.w", n, out, scale=n**-0.5, axis=0)) + self.weight(f"{name}.b", out, scale=0)

    def attention(self, x: Any) -> Any:
        """Each rank has some of the heads. Keys have no bias: it would change nothing, and Adam would follow its rounding."""
        batch, time, width = x.shape
        x, heads = self.enter(x), HEADS // self.parts
        split = lambda y: gx.permute_dims(gx.reshape(y, (batch, time, heads, -1)), (0, 2, 1, 3))
        q, k, v = (split(self.columns(x, name, width, name != "keys")) for name in ("queries", "keys", "values"))
        seen = gx.permute_dims(gx.nn.attention(q, k, v), (0, 2, 1, 3))
        return self.rows(gx.reshape(seen, (batch, time, width // self.parts)), "mix", width)

    def dense(self, x: Any) -> Any:
        """Twice as wide, and back."""
        return self.rows(gx.nn.gelu(self.columns(self.enter(x), "up", 2 * WIDTH)), "down", WIDTH)

    def norm(self, x: Any, name: str) -> Any:
        return gx.nn.layer_norm(x, self.weight(f"{name}.gain", WIDTH, scale=0), self.weight(f"{name}.b", WIDTH, scale=0))

    def scores(self, word: Any) -> Any:
        x = gx.nn.embedding(self.weight("letter", LETTERS, WIDTH, scale=1), word) + self.weight("place", TIME, WIDTH, scale=1)
        x = x + self.attention(self.norm(x, "norm1"))
        x = x + self.dense(self.norm(x, "norm2"))
        return self.gather(self.columns(self.enter(self.norm(x, "norm3")), "head", LETTERS))

    def whole(self, values: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The parts of all ranks as one, of weights or what has their shapes."""
        every = {name: x if self.parts == 1 or self.axes[name] is None else all_gather(x, self.axes[name] or 0)
                 for name, x in values.items()}  # fmt: skip
        return gx.compile([], every)()  # type: ignore[no-any-return]


def train(network: Network, steps: int, backend: str = "llvm") -> list[list[float]]:
    """The loss and the share of right letters at each step."""
    updates = gx.optim.adam(network.loss, list(network.weights.values()), 0.01)  # of each element by itself: parts need no more
    step = gx.compile([network.word], [network.loss, network.right], updates=updates, backend=backend)
    rng = np.random.default_rng(1)
    return [[float(x) for x in step(rng.integers(0, LETTERS, (BATCH, TIME)))] for _ in range(steps)]


def main(steps: int = 100, dtype: str = "float64", backend: str = "llvm") -> tuple[list[list[float]], float]:
    """Train on all ranks; what was reached at each step, and how far the weights are from those that one rank alone finds."""
    network, alone = Network(rank(), size(), dtype), Network(0, 1, dtype)
    found, expected = train(network, steps, backend), train(alone, steps, backend)
    weights, by_one = network.whole(network.weights), alone.whole(alone.weights)
    off = max(float(np.abs(w - by_one[name]).max()) for name, w in weights.items())
    losses = float(np.abs(np.subtract(found, expected)[:, 0]).max())
    if rank() == 0:
        for i in range(0, steps, 20):
            print(f"step {i:3d}   loss {found[i][0]:.4f}   right letters {found[i][1]:.3f}")
        own, every = (sum(v.value.size for v in n.weights.values()) for n in (network, alone))
        print(f"at the end loss {found[-1][0]:.4f}   right letters {found[-1][1]:.3f}")
        print(f"each of {size()} ranks has {own} of {every} weights")
        print(f"against one rank alone: losses differ by {losses:.1e} at most, weights by {off:.1e}")
    return found, off


if __name__ == "__main__":
    main()
