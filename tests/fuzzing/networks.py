"""Networks: products with code on both sides, rows, attention, and what training makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from fuzzing.case import FLOATS, Case, Rng, pruned
from fuzzing.rules import Sketch, drawn, elementwise, gradient, reduce
from fuzzing.sketches import case_of, grow
from graphc.errors import GraphError
from graphc.ir.types import as_dtype

EDGES = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64, 65, 70, 100, 129, 257, 600)


@dataclass
class Network(Sketch):
    """A network under construction: its symbols, and the inputs and variables it asks for as it grows."""

    dtype: str
    inputs: list[gx.Tensor]
    variables: list[gx.Variable]

    def edge(self, most: int = 70) -> int:
        """A size at or near the edges of tiles."""
        if self.chance(0.015):
            return 0
        return int(self.one([n for n in EDGES if n <= most]))

    def leaf(self, *shape: Any, dtype: str = "") -> gx.Tensor:
        """A new input, or a variable where the shape is fixed."""
        kind, count = as_dtype(dtype or self.dtype), len(self.inputs) + len(self.variables)
        if not dtype and all(isinstance(n, int) for n in shape) and self.chance(0.5):
            value = np.asarray(self.rng.normal(size=shape) * self.one([0.1, 0.5, 1.0]), kind.numpy)
            self.variables.append(gx.variable(value, name=f"w{count}_{self.suffix}"))
            return self.variables[-1]
        self.inputs.append(gx.placeholder(f"x{count}_{self.suffix}", shape, kind))
        return self.inputs[-1]

    def like(self, x: gx.Tensor) -> gx.Tensor:
        """Another symbol of a shape: an older one, or a new leaf."""
        same = [y for y in self.pool if y.shape == x.shape and y is not x]
        return self.one(same) if same and self.chance(0.6) else self.leaf(*x.shape)


def prologue(s: Network, x: gx.Tensor) -> gx.Tensor:
    """What an operand may be before it is multiplied."""
    *batch, m, k = x.shape
    return s.one([
        lambda: x, lambda: x, lambda: x, lambda: gx.exp(x * 0.25), lambda: x * s.leaf(k), lambda: gx.tanh(x) + s.like(x),
        lambda: gx.where(x > 0, x, 0.1 * x), lambda: gx.astype(x, s.one(FLOATS)), lambda: x * x, lambda: gx.stop_gradient(x),
        lambda: x + gx.astype(s.leaf(*x.shape, dtype="int8"), s.dtype), lambda: x * gx.sigmoid(s.leaf(m, 1)),
        lambda: gx.flip(x, -1), lambda: x[..., ::-1, :], lambda: x[..., 1:], lambda: x[..., ::2], lambda: x[..., 1:, :],
        lambda: x[..., :1], lambda: x[..., :0], lambda: gx.take(x, s.leaf(s.edge(20), dtype="int64"), axis=s.one([-2, -1])),
        lambda: gx.concat([x, s.like(x)], axis=s.one([-2, -1])), lambda: gx.broadcast_to(x, (s.one([2, 3]), *x.shape)),
        lambda: gx.pad(x, [(0, 0)] * len(batch) + [(0, 1), (1, 2)]), lambda: gx.matrix_transpose(x),
        lambda: gx.reshape(gx.reshape(x, (-1,)), x.shape), lambda: gx.reshape(x, (-1, k)),
        lambda: gx.permute_dims(x, (*reversed(range(x.ndim - 1)), x.ndim - 1)),
    ])()  # fmt: skip


def multiplied(s: Network) -> gx.Tensor:
    """A product of two matrices, or of batches of them."""
    x = prologue(s, s.pick("f", rank=2))
    *batch, m, k = x.shape
    n = s.edge()
    last = gx.matrix_transpose
    return s.one([
        lambda: x @ s.leaf(k, n), lambda: x @ s.leaf(k, n), lambda: x @ last(s.leaf(n, k)), lambda: last(s.leaf(m, n)) @ x,
        lambda: x @ s.leaf(*batch, k, n), lambda: x @ s.leaf(*(s.one([1, b]) for b in batch), k, n), lambda: x @ s.leaf(k),
        lambda: s.leaf(2, *[1] * len(batch), n, m) @ x, lambda: last(x) @ s.leaf(*batch, m, n), lambda: s.leaf(m) @ x,
        lambda: last(x) @ x, lambda: x @ last(x), lambda: x @ last(prologue(s, s.like(x))), lambda: x @ prologue(s, s.leaf(k, n)),
        lambda: prologue(s, s.like(x)) @ s.leaf(k, n), lambda: gx.vecdot(x, s.like(x)), lambda: x @ last(s.like(x)),
        lambda: gx.tensordot(x, s.leaf(m, k, 3), axes=([x.ndim - 2, x.ndim - 1], [0, 1])), lambda: x[..., :1] @ s.leaf(1, n),
        lambda: x @ weights(s, k), lambda: prologue(s, x) @ weights(s, k), lambda: x @ weights(s, k),
    ])()  # fmt: skip


def weights(s: Network, rows: Any) -> gx.Tensor:
    """A constant whose columns fill panels on every machine."""
    if not isinstance(rows, int):
        return s.leaf(rows, 32)
    return gx.astype(gx.constant(s.rng.normal(size=(rows, 32 * s.one([1, 1, 2, 3, 5])))), s.dtype)


def epilogue(s: Network) -> gx.Tensor:
    """What may be done to a result where it lies in registers."""
    y = s.pick("f", rank=2)
    for _ in range(s.rng.integers(1, 4)):
        y = step(s, y)
    return y


def step(s: Network, x: gx.Tensor) -> gx.Tensor:
    return s.one([
        lambda: x + s.leaf(x.shape[-1]), lambda: x + s.leaf(x.shape[-1]), lambda: gx.nn.gelu(x), lambda: gx.nn.relu(x),
        lambda: gx.tanh(x), lambda: x + s.like(x), lambda: x + s.like(x), lambda: x * s.leaf(x.shape[-2], 1), lambda: -x * 0.5,
        lambda: gx.where(s.leaf(*x.shape, dtype="bool"), x, 0.0), lambda: gx.astype(x, s.one(FLOATS)), lambda: gx.nn.silu(x),
        lambda: gx.reshape(x, (-1, x.shape[-1])), lambda: gx.reshape(x, (-1,))[:, None], lambda: gx.matrix_transpose(x),
        lambda: gx.permute_dims(x, [int(a) for a in s.rng.permutation(x.ndim)]), lambda: x[..., 1:, :] - x[..., :-1, :],
        lambda: gx.reshape(x, (*x.shape[:-1], s.one([1, 2, 4]), -1)), lambda: gx.reshape(x, (*x.shape[:-2], -1)),
        lambda: gx.swapaxes(gx.reshape(x, (*x.shape[:-1], s.one([2, 3]), -1)), -2, -3), lambda: gx.exp(x * 0.1) * x,
        lambda: x * gx.stop_gradient(gx.sigmoid(x)),
    ])()  # fmt: skip


def in_rows(s: Network) -> gx.Tensor:
    x = s.pick("f", rank=2)
    axis = s.one([-1, -1, -1, -1, -2, (-2, -1)])
    whole = axis == -1 and s.chance(0.5)
    weight, bias = (s.leaf(x.shape[-1]) if whole else None for _ in range(2))
    return s.one([
        lambda: gx.nn.softmax(x, axis), lambda: gx.nn.log_softmax(x, axis), lambda: gx.nn.layer_norm(x, weight, bias, axis),
        lambda: gx.nn.rms_norm(x, weight, axis), lambda: x - gx.nn.logsumexp(x, axis, keepdims=True),
        lambda: gx.nn.layer_norm(x + s.like(x)), lambda: gx.nn.softmax(x) * s.like(x),
        lambda: x / gx.sum(x * x + 1, axis, keepdims=True),
        lambda: gx.sum(x, axis=axis, keepdims=s.chance(0.5)), lambda: gx.max(x, axis=axis, keepdims=True) + x,
    ])()  # fmt: skip


def sighted(s: Network, rows: Any, columns: Any) -> gx.Tensor:
    """Which columns each row has, by an inequality of places: a triangle, a window, a corner; rows may have none."""
    i, j, off = gx.arange(rows)[:, None], gx.arange(columns), int(s.one([-70, -3, -1, 0, 1, 2, 40]))
    return s.one([
        lambda: i >= j + off, lambda: j > i - off, lambda: (i - 5 < j) & (j <= i), lambda: (j >= i) & (j - 40 < i + off),
        lambda: ~(i < j), lambda: i + j < 60 + off, lambda: (i == j) | (i > j + off), lambda: (j < 20 + off) & (i >= 0),
    ])()  # fmt: skip


def in_length(s: Network, rows: Any, columns: Any, batch: Any) -> gx.Tensor:
    """Which columns, or rows, are within lengths that are data: one for all, for each sample, or for each row."""
    i, j = gx.arange(rows)[:, None], gx.arange(columns)
    shape = s.one([(), (*batch, 1, 1), (*batch, 1, 1), (*batch, 1, 1), (rows, 1)])
    n = s.leaf(*shape, dtype=s.one(["int64", "int32"])) * s.one([1, 8, 33])
    return s.one([
        lambda: j < n, lambda: j < n, lambda: (j < n) & (i < n), lambda: i < n, lambda: j >= n, lambda: i + n >= j,
        lambda: (i >= j) & (n > j), lambda: j <= gx.minimum(n, 40),
    ])()  # fmt: skip


def masked(s: Network) -> gx.Tensor:
    """Rows of which a mask leaves some, before what reads them: products, softmax, sums, maxima."""
    x = s.pick("f", rank=2)
    if s.chance(0.6):
        x = x @ gx.matrix_transpose(s.like(x))
    m, n = x.shape[-2:]
    mask = in_length(s, m, n, x.shape[:-2]) if s.chance(0.4) else sighted(s, m, n)
    low, y = gx.where(mask, x, -math.inf), gx.where(mask, x, 0.0)
    return s.one([
        lambda: y @ s.leaf(n, s.edge(17)), lambda: gx.matrix_transpose(y) @ s.leaf(m, s.edge(17)), lambda: s.leaf(3, m) @ y,
        lambda: gx.nn.softmax(low), lambda: gx.nn.softmax(low) @ s.leaf(n, s.edge(17)), lambda: gx.nn.logsumexp(low, -1),
        lambda: gx.sum(y, axis=s.one([-1, -2])), lambda: gx.max(low, axis=s.one([-1, -2])), lambda: gx.sum(y * y, axis=-1),
        lambda: gx.tril(x, k=s.one([-2, 0, 3])) @ s.leaf(n, 5), lambda: (y * s.leaf(m, 1)) @ s.leaf(n, 3),
    ])()  # fmt: skip


def attended(s: Network) -> gx.Tensor:
    """Attention, of one head or of several, to itself or to something else, masked or not."""
    x = s.pick("f", rank=3)
    b, t, d = x.shape[-3:]
    x = x if x.ndim == 3 else gx.reshape(x, (-1, t, d))
    heads, width, channels = s.one([1, 2, 3]), s.edge(33), s.edge(17)
    y = x if s.chance(0.7) else s.leaf(x.shape[0], s.edge(), d)
    split = lambda z, w: gx.permute_dims(gx.reshape(z, (*z.shape[:2], heads, w)), (0, 2, 1, 3))
    if s.chance(0.25):
        q, k, v = x, y, y if s.chance(0.5) else gx.exp(y * 0.1)
    elif s.chance(0.2):
        q, k, v = (s.leaf(b, heads, n, w) for n, w in ((t, width), (t, width), (t, channels)))
        y = x
    else:
        q, k = (split(z @ s.leaf(d, heads * width) + s.leaf(heads * width), width) for z in (x, y))
        v = split(y @ s.leaf(d, heads * channels), channels)
    own, n = q.shape[-2], k.shape[-2]
    mask = s.one([
        lambda: None, lambda: None, lambda: s.leaf(own, n, dtype="bool"), lambda: s.leaf(n, dtype="bool"),
        lambda: s.leaf(*q.shape[:-2], 1, n, dtype="bool"), lambda: gx.abs(gx.arange(own)[:, None] - gx.arange(n)) < 5,
        lambda: s.leaf(own, n), lambda: gx.where(s.leaf(own, n, dtype="bool"), s.leaf(n), -math.inf),
        lambda: sighted(s, own, n), lambda: sighted(s, own, n), lambda: in_length(s, own, n, q.shape[:-2]),
        lambda: in_length(s, own, n, (*q.shape[:1], *(1 for _ in q.shape[1:-2]))),
    ])()  # fmt: skip
    if s.chance(0.2):  # scores with something added, and wanted by themselves
        scores = q @ gx.matrix_transpose(k) * 0.3 + s.leaf(own, n)
        s.pool.append(gx.nn.softmax(scores))
        o = s.pool[-1] @ v
    else:
        o = gx.nn.attention(q, k, v, causal=s.chance(0.5), mask=mask, scale=s.one([0.1, 0.5]))
    if o.ndim == 4 and s.chance(0.7):
        o = gx.reshape(gx.permute_dims(o, (0, 2, 1, 3)), (*x.shape[:2], -1))
        o = o if s.chance(0.3) else o @ s.leaf(o.shape[-1], d)
    return o + x if o.shape == x.shape and s.chance(0.7) else o


LAYERS: tuple[tuple[Callable[[Any], gx.Tensor], float], ...] = (
    (multiplied, 5), (epilogue, 5), (in_rows, 3), (attended, 2.5), (masked, 1.5), (drawn, 1.5), (reduce, 0.5), (elementwise, 0.7),
    (gradient, 0.3),
)  # fmt: skip


def network(rng: Rng, index: int) -> Case | None:
    names = [gx.dim(f"b{index}"), gx.dim(f"t{index}")]
    s = Network(rng, {}, [], [], str(index), str(rng.choice(FLOATS)), [], [])
    s.sizes = {f"b{index}": 0 if s.chance(0.04) else s.one([1, 2, 3, 5]), f"t{index}": s.edge(s.one([20, 70, 130]))}
    b, t = (name if s.chance(0.5) else s.sizes[str(name)] for name in names)
    s.palette = [b, t, 3]
    s.pool.append(s.leaf(*([b, t, s.edge(40)] if s.chance(0.7) else [t, s.edge(300)])))
    for _ in range(s.rng.integers(1, 6)):
        grow(s, LAYERS)
    made = [x for x in s.pool if not x.is_leaf]
    if not made:
        return None
    outputs = [made[-1]] + [s.one(made) for _ in range(s.rng.integers(0, 3))]
    updates: list[tuple[Any, Any]] = []
    if s.chance(0.7):
        with suppress(GraphError):  # nothing to differentiate by
            outputs, updates = trained(s, made, outputs)
    case = case_of(s, index, s.inputs, outputs, updates)
    return case and pruned(case.graph, case.arrays, index)


def trained(s: Network, made: Sequence[gx.Tensor], outputs: list[gx.Tensor]) -> tuple[list[gx.Tensor], list[tuple[Any, Any]]]:
    """A loss, its gradients and perhaps the updates of an optimiser."""
    y = s.one([x for x in made[-3:] if x.dtype.is_float] or made)
    loss = s.one([
        lambda: gx.sum(y * s.leaf(*y.shape)), lambda: gx.sum(y * s.leaf(*y.shape)), lambda: gx.mean(y * y),
        lambda: gx.sum(gx.nn.gelu(y)), lambda: gx.nn.cross_entropy(y, s.leaf(*y.shape[:-1], dtype="int64")) if y.ndim else y * 2,
        lambda: gx.nn.mse(y, s.leaf(*y.shape)),
    ])()  # fmt: skip
    if s.chance(0.2):
        loss = loss + gx.sum(s.pick("f"))
    own = [v for v in s.variables if v.dtype == loss.dtype]
    leaves = [*own, *(x for x in s.inputs if x.dtype == loss.dtype)]
    wrt = [leaves[i] for i in s.rng.permutation(len(leaves))[:6]]
    if not own or s.chance(0.5):
        found = gx.grad(loss, wrt, unconnected="zero")
        if found and s.chance(0.1):
            found += gx.grad(gx.sum(gx.tanh(found[0])), wrt[:2], unconnected="zero")
        return [*(outputs if s.chance(0.6) else [loss]), *found], []
    rate: Any = s.one([0.1, s.leaf(dtype=s.dtype)]) if s.dtype == str(loss.dtype) else 0.1
    how = s.one([gx.optim.sgd, gx.optim.momentum, gx.optim.adam, gx.optim.adamw, gx.optim.nesterov])
    updates = how(loss, own, rate, clip_norm=s.one([None, None, 1.0]))
    return [*(outputs if s.chance(0.4) else []), loss, *(v * 1.0 for v in own[:1])], list(updates.items())
