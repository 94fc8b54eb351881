"""Rules that draw one operation more, on what a graph has so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import graphc as gx
from fuzzing.case import ANY, FLOATS, Array, Rng, draw
from graphc.ir import dims
from graphc.ir.operation import Pointwise, operations

ELEMENTWISE = [
    op
    for op in operations()
    if isinstance(op.lowering, Pointwise)
    and op.lowering.elementwise
    and op.name not in ("astype", "bitcast", "where", "dequantize")  # the last takes no numbers
]


@dataclass
class Sketch:
    """A graph under construction: the symbols there are so far."""

    rng: Rng
    sizes: dict[str, int]
    palette: list[Any]
    pool: list[gx.Tensor]
    suffix: str
    depth: int = field(default=0, kw_only=True)  # of loops around here

    def one(self, items: Sequence[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, kind: str = "", rank: int = 0) -> gx.Tensor:
        """A symbol, newer ones more often; of the kinds of data type and at least the rank asked for, if there is one."""
        fits = [x for x in self.pool if (not kind or x.dtype.kind in kind) and x.ndim >= rank]
        if not fits:
            raise NothingFits
        return fits[max(int(self.rng.integers(len(fits))), int(self.rng.integers(len(fits))))]

    def beside(self, x: gx.Tensor) -> Any:
        """Something that x broadcasts with, often: a symbol of its shape or of fewer axes, or a number."""
        if self.chance(0.2):
            return self.number(x)
        same = [y for y in self.pool if y.shape == x.shape] if self.chance(0.7) else []
        return self.one(same) if same else self.pick()

    def number(self, x: gx.Tensor) -> Any:
        """A number: Python's, or x's type as NumPy's scalar or as an array without axes."""
        value = self.plain(x)
        if self.chance(0.7):
            return value
        array = np.asarray(value, x.dtype.numpy)
        return array if self.chance(0.5) else array[()]

    def plain(self, x: gx.Tensor) -> Any:
        if x.dtype.is_float and self.chance(0.7):
            return self.one(
                [0.5, -1.5, 2.0, 0.0, -0.0, 1.0, 1e-3, 3.7, math.inf, math.nan] if self.chance(0.3) else [0.5, 2.0, 1.0, -1.5]
            )
        return self.one([0, 1, 2, 3, 5]) if self.chance(0.8) else self.one([True, 7, 100])

    def axis(self, x: gx.Tensor) -> int:
        return int(self.rng.integers(-x.ndim, x.ndim))

    def axes(self, x: gx.Tensor) -> Any:
        how = self.one(["all", "one", "some"])
        if how == "all" or x.ndim == 0:
            return None
        if how == "one":
            return self.axis(x)
        return tuple(int(a) for a in self.rng.permutation(x.ndim)[: self.rng.integers(1, x.ndim + 1)])

    def value(self, x: gx.Tensor, shape: tuple[int, ...]) -> Array:
        """A value for an input."""
        return draw(self.rng, x.dtype, shape)


class NothingFits(Exception):
    """A rule found no operands."""


def elementwise(s: Sketch) -> gx.Tensor:
    op = s.one(ELEMENTWISE)
    x = s.pick()
    operands = [x] + [s.beside(x) for _ in range((op.arity or 1) - 1)]
    if len(operands) == 2 and s.chance(0.3):
        operands.reverse()
    return op(*operands)


def arithmetic(s: Sketch) -> gx.Tensor:
    x = s.pick()
    y = s.beside(x)
    return s.one(
        [
            lambda: x + y,
            lambda: x - y,
            lambda: x * y,
            lambda: x / y,
            lambda: y - x,
            lambda: y * x,
            lambda: x * x,
            lambda: -x,
            lambda: gx.maximum(x, y),
            lambda: gx.minimum(y, x),
            lambda: x**2,
            lambda: x**3,
            lambda: x ** s.one([0.5, -1, 4, 1.5, -2]),
            lambda: 1 / x,
            lambda: gx.clip(x, -1, s.one([1, 2, None])),
            lambda: gx.logaddexp(x, y),
            lambda: abs(x),
            lambda: gx.square(x),
            lambda: x // y,
            lambda: x % y,
            lambda: gx.reciprocal(x),
            lambda: x - x,
            lambda: x * 0,
            lambda: x + 0,
        ]
    )()


def choose(s: Sketch) -> gx.Tensor:
    x = s.pick()
    y = s.beside(x)
    condition = s.pick("b") if s.chance(0.5) else s.one([lambda: x > y, lambda: x == y, lambda: x <= 0, lambda: gx.isnan(x)])()
    return gx.where(condition, x, y)


def astype(s: Sketch) -> gx.Tensor:
    return gx.astype(s.pick(), s.one(FLOATS if s.chance(0.5) else ANY))


def reshape(s: Sketch) -> gx.Tensor:
    x = s.pick()
    return s.one(
        [
            lambda: gx.reshape(x, (-1,)),
            lambda: gx.reshape(x, (*x.shape[:-2], -1)),
            lambda: gx.reshape(x, (-1, *x.shape[2:])),
            lambda: gx.reshape(x, (2, -1)),
            lambda: gx.reshape(x, (-1, s.one([1, 2, 3]))),
            lambda: gx.reshape(x, tuple(reversed(x.shape))),
            lambda: gx.expand_dims(x, int(s.rng.integers(x.ndim + 1))),
            lambda: gx.squeeze(x),
            lambda: gx.squeeze(x, 0),
            lambda: x[..., None],
            lambda: x[None],
        ]
    )()


def permute(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    return s.one(
        [
            lambda: x.T,
            lambda: gx.permute_dims(x, [int(a) for a in s.rng.permutation(x.ndim)]),
            lambda: gx.swapaxes(x, s.axis(x), s.axis(x)),
            lambda: gx.moveaxis(x, s.axis(x), s.axis(x)),
            lambda: gx.matrix_transpose(x),
            lambda: gx.flip(x, s.axes(x)),
        ]
    )()


def broadcast(s: Sketch) -> gx.Tensor:
    x = s.pick()
    if s.chance(0.5):
        return gx.broadcast_to(x, (s.one(s.palette), *x.shape))
    shape = [s.one(s.palette) if n == 1 else n for n in x.shape]
    return gx.broadcast_to(x, shape)


def join(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    same = [y for y in s.pool if y.ndim == x.ndim]
    others = [s.one(same) if s.chance(0.5) else x for _ in range(s.rng.integers(1, 3))]
    if s.chance(0.3):
        return gx.stack([x, *others], s.axis(x))
    return gx.concat([x, *others], s.axis(x) if s.chance(0.9) else None)


def index(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    keys: list[Any] = []
    for _ in range(s.rng.integers(1, x.ndim + 1)):
        edge = lambda: s.one([None, None, 0, 1, 2, -1, -2, 3, 7, -9])
        keys.append(slice(edge(), edge(), s.one([None, None, 1, 2, 3, -1, -2])) if s.chance(0.8) else s.one([0, -1, 1]))
    if s.chance(0.2):
        keys.insert(int(s.rng.integers(len(keys) + 1)), None)
    if s.chance(0.2):
        keys.insert(0, ...)
    return x[tuple(keys)]


def pad(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    widths = [(s.one([0, 1, 2]), s.one([0, 0, 1, 3])) for _ in range(x.ndim)]
    return gx.pad(x, widths, constant_values=s.one([0, 0, 1]))


def reduce(s: Sketch) -> gx.Tensor:
    x = s.pick()
    function = s.one([gx.sum, gx.sum, gx.prod, gx.max, gx.min, gx.mean, gx.var, gx.std, gx.any, gx.all])
    return function(x, axis=s.axes(x), keepdims=s.chance(0.4))


def position(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    return s.one([gx.argmax, gx.argmin])(x, axis=s.axis(x) if s.chance(0.8) else None, keepdims=s.chance(0.3))


def ordered(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    down = s.chance(0.3)
    return s.one([
        lambda: gx.sort(x, axis=s.axis(x), descending=down), lambda: gx.argsort(x, axis=s.axis(x), descending=down),
        lambda: gx.median(x, axis=s.axes(x)), lambda: gx.top_k(x, s.one([1, 1, 2]), axis=s.axis(x))[s.one([0, 1])],
        lambda: gx.quantile(x, s.one([0.3, [0.0, 0.9]]), axis=s.axis(x)), lambda: gx.isin(x, s.pick()),
        lambda: gx.unique_all(x, size=s.one([2, s.one(s.palette)]))[s.one([0, 1, 2, 3])],
    ])()  # fmt: skip


def factored(s: Sketch) -> gx.Tensor:
    """The Cholesky factor of a matrix that is positive definite where its elements are finite, and a system of it."""
    x = gx.tanh(gx.astype(s.pick("iuf", rank=2), s.one(["float32", "float64"])))
    positive = x @ gx.matrix_transpose(x) + 2 * gx.eye(x.shape[-2], dtype=x.dtype)
    return s.one([lambda: gx.linalg.cholesky(positive), lambda: gx.linalg.solve(positive, x)])()


def product(s: Sketch) -> gx.Tensor:
    x = s.pick("iuf", rank=1)
    partner = s.pick("iuf", rank=1)
    return s.one([
        lambda: x @ partner, lambda: partner @ x, lambda: gx.matrix_transpose(x) @ x, lambda: x @ gx.matrix_transpose(x),
        lambda: gx.vecdot(x, x), lambda: gx.outer(gx.reshape(x, (-1,)), gx.reshape(partner, (-1,))), lambda: x @ x[-1],
        lambda: gx.tensordot(x, x, axes=([0], [0])), lambda: x @ gx.broadcast_to(gx.astype(1, x.dtype), (x.shape[-1], 3)),
    ])()  # fmt: skip


def take(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    places = gx.astype(s.pick("iu"), "int64") if s.chance(0.6) else gx.constant(s.rng.integers(-4, 5, (3,)))
    return s.one([
        lambda: gx.take(x, places, axis=s.axis(x)), lambda: gx.take(x, places),
        lambda: gx.take_along_axis(x, gx.argmax(x, axis=-1, keepdims=True), axis=-1), lambda: x[places],
        lambda: gx.one_hot(places, s.one([3, 4, s.one(s.palette)]), s.one(ANY)),
    ])()  # fmt: skip


def made(s: Sketch) -> gx.Tensor:
    size = s.one(s.palette)
    return s.one([
        lambda: gx.arange(size, dtype=s.one(FLOATS)), lambda: gx.arange(1, dims.add(dims.mul(size, 2), 1), 2),
        lambda: gx.full((size,), s.one([0.0, 1.0, -0.0, 2.5]), s.one(FLOATS)), lambda: gx.zeros_like(s.pick()),
        lambda: gx.full((), size, s.one(FLOATS)), lambda: gx.constant(s.rng.normal(size=(int(s.one([1, 3, 4])),))),
        lambda: gx.ones_like(s.pick()), lambda: gx.full_like(s.pick("f"), s.one([math.inf, math.nan, 1e-3])),
    ])()  # fmt: skip


def key(s: Sketch) -> gx.Tensor:
    """A key that is a constant, a stream's, or computed."""
    first = gx.random.key(int(s.rng.integers(2**63)))
    return s.one([
        lambda: first, lambda: gx.random.Stream(int(s.rng.integers(9)), name=f"s{s.rng.integers(10**9)}_{s.suffix}").key(),
        lambda: gx.random.split(first, 3)[1], lambda: gx.random.fold_in(first, gx.astype(gx.max(s.pick("iu")), "int64")),
    ])()  # fmt: skip


def drawn(s: Sketch) -> gx.Tensor:
    """Random numbers, in the shape of something and often mixed with it."""
    x, k, random = s.pick("f"), key(s), gx.random
    dtype = s.one(FLOATS)
    return s.one([
        lambda: gx.nn.dropout(x, s.one([0.0, 0.1, 0.5]), k), lambda: gx.nn.dropout(gx.nn.relu(x), 0.3, k) * 2,
        lambda: x + random.normal(k, x.shape, x.dtype), lambda: random.uniform(k, x.shape, dtype, x, 3.0),
        lambda: random.gumbel(k, x.shape, dtype), lambda: x * random.exponential(k, x.shape, dtype),
        lambda: random.bernoulli(k, gx.sigmoid(x)), lambda: random.randint(k, x.shape, -3, s.one([4, 2**40])),
        lambda: random.bits(k, x.shape, s.one(["uint32", "uint64"])), lambda: random.categorical(k, s.pick("f", rank=1)),
        lambda: random.poisson(k, gx.abs(x)), lambda: random.gamma(k, gx.exp(gx.clip(x, -2, 4))),
        lambda: random.truncated_normal(k, gx.clip(x, -3, 3), 4.0),
    ])()  # fmt: skip


def normalised(s: Sketch) -> gx.Tensor:
    """What networks are made of."""
    x = s.pick("f", rank=1)
    top = x - gx.stop_gradient(gx.max(x, axis=-1, keepdims=True))
    return s.one(
        [
            lambda: gx.exp(top) / gx.sum(gx.exp(top), axis=-1, keepdims=True),
            lambda: top - gx.log(gx.sum(gx.exp(top), axis=-1, keepdims=True)),
            lambda: (x - gx.mean(x, -1, keepdims=True)) / gx.sqrt(gx.var(x, -1, keepdims=True) + 1e-5),
            lambda: gx.nn.softmax(x),
            lambda: gx.nn.log_softmax(x),
            lambda: gx.nn.logsumexp(x, axis=-1),
            lambda: gx.nn.relu(x),
            lambda: gx.nn.gelu(x),
            lambda: gx.nn.layer_norm(x),
            lambda: gx.nn.mse(x, gx.nn.relu(x)),
        ]
    )()


def gradient(s: Sketch) -> gx.Tensor:
    """One in the middle, so that what follows may be differentiated again."""
    y = s.pick("f")
    x = s.one([x for x in s.pool if x.dtype.is_float])
    if s.chance(0.2):
        return gx.jvp(y, x, gx.ones_like(x))
    return gx.grad(gx.sum(y * s.one([1.0, 0.5])), x, unconnected="zero")


def running(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    axis = s.axis(x) if s.chance(0.8) else None
    return s.one([
        lambda: gx.cumulative_sum(x, axis, include_initial=s.chance(0.3)), lambda: gx.cumulative_prod(x, axis),
        lambda: gx.cummax(x, axis), lambda: gx.cummin(x, axis), lambda: gx.logcumsumexp(x, axis),
        lambda: gx.linear_recurrence(s.beside(x), x, s.axis(x)), lambda: gx.diff(x, s.axis(x), n=s.one([1, 1, 2])),
    ])()  # fmt: skip


def rearranged(s: Sketch) -> gx.Tensor:
    x = s.pick(rank=1)
    some = s.one([0, 1, 2, 3])
    return s.one([
        lambda: gx.roll(x, s.one([1, -2, 5]), s.axis(x) if s.chance(0.7) else None), lambda: gx.tile(x, (2, some)),
        lambda: gx.repeat(x, some, s.axis(x)), lambda: gx.repeat(x, some),
        lambda: gx.tril(x, some - 1), lambda: gx.triu(x, some - 2), lambda: gx.eye(x.shape[0], s.one(s.palette), some - 1),
        lambda: gx.linspace(s.number(x), s.number(x), s.one(s.palette)), lambda: gx.meshgrid(x[0], gx.arange(4))[0],
        lambda: gx.searchsorted(gx.cummax(gx.reshape(x, (-1,))), s.pick(), side=s.one(["left", "right"])),
        lambda: gx.interp(x, gx.constant([-1.0, 0.0, 2.5]), gx.constant([0.5, 2.0, -1.0])),
        lambda: gx.nonzero(x, size=some, fill_value=-1)[0], lambda: gx.extract(x > 0, x, size=some + 2),
        lambda: gx.compress(gx.reshape(x, (-1,)) != 0, x, size=s.one(s.palette)), lambda: gx.count_nonzero(x, s.axes(x)),
    ])()  # fmt: skip


def update(s: Sketch) -> gx.Tensor:
    """Keys of several arrays, and other elements at their places."""
    x = s.pick(rank=1)
    keys: list[Any] = []
    for _ in range(s.rng.integers(1, x.ndim + 1)):
        places = lambda: gx.constant(s.rng.integers(-4, 5, s.one([(3,), (2, 1), (3,), ()])))
        keys.append(s.one([places, places, lambda: slice(None), lambda: slice(1, None, 2), lambda: s.one([0, -1])])())
    if s.chance(0.2):
        keys.insert(int(s.rng.integers(len(keys) + 1)), None)
    at = x.at[tuple(keys)]
    value = s.number(x) if s.chance(0.4) else at.get() * 2 if s.chance(0.5) else s.pick()
    count = s.one([1, 3, s.one(s.palette)])
    segments = gx.astype(gx.floor(gx.astype(x, "float32")), "int64") if s.chance(0.5) else gx.argmax(x, axis=-1)
    combine = s.one([gx.segment_sum, gx.segment_prod, gx.segment_max, gx.segment_min])
    return s.one([
        at.get, lambda: at.set(value), lambda: at.add(value), lambda: at.multiply(value), lambda: at.max(value),
        lambda: at.min(value), lambda: combine(x, segments, count),
    ])()  # fmt: skip
