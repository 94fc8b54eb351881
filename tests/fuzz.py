"""Random typed graphs through every level: python tests/fuzz.py --graphs N --seed S

Each graph is built with the public functions from all of the vocabulary, sizes named and fixed, gradients and updates included,
and is run on random values, among them NaN, infinities, signed zeros, subnormals and the extremes of integers. Compared are

    print      print, parse and print again: the same text
    optimised  the optimised graph with the declared one in the interpreter, bit for bit
    program    the plan, which reads back as one that has the same kernels; the program after every pass that makes or changes
               one: sound, its text reads back, and run statement by statement
               it gives the interpreter's values, within an error bound (every fourth small graph; --programs 1 for all)
    compiled   native code with the interpreter: bit for bit where nothing is rounded, within an error bound elsewhere
    threads    native code on two threads with native code on one, bit for bit
    bits       native code of another backend (--backend numba) with that of "llvm", bit for bit, but that one NaN is like another

The error bound is measured, not guessed: the interpreter runs the graph again several times with every result that may be rounded
(transcendental functions, sums, products, contractions) moved by its bound with random signs, and with NaN of random sign. What
moves is how far native code may be off; an element that jumps (a comparison at a tie, an overflow that depends on the order of a
sum) is not compared. This is stochastic arithmetic: J. Vignes, Mathematics and Computers in Simulation 35 (1993).

A mismatch is reduced to a small graph, printed as text with the values of its inputs. The last line is `graphs N mismatches M`;
the exit code is 1 if M > 0. Graph I of a seed is reproduced alone by --only I.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from ml_dtypes import finfo

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from test_walk import ULP  # noqa: E402

import graphc as gx  # noqa: E402
from graphc import ir  # noqa: E402
from graphc.backends.interpreter import Body, bind_dims, evaluate, leaf_value, reference  # noqa: E402
from graphc.backends.program import evaluate_program  # noqa: E402
from graphc.errors import GraphError, ShapeError  # noqa: E402
from graphc.ir import combines, dims  # noqa: E402
from graphc.ir.graph import Graph, Node, topological  # noqa: E402
from graphc.ir.operation import Contraction, Host, Pointwise, Prefix, Project, Reduction, Scatter, operations  # noqa: E402
from graphc.ir.signature import Argument, Signature, size_rules  # noqa: E402
from graphc.ir.target import find_target  # noqa: E402
from graphc.ir.text import names_of  # noqa: E402
from graphc.ir.types import DTYPES, DType, TensorType, TupleType, as_dtype  # noqa: E402
from graphc.ir.verify import verify  # noqa: E402
from graphc.ir.verify_program import verify_program  # noqa: E402
from graphc.passes.fusion.verify import verify_plan  # noqa: E402
from graphc.passes.lowering import partition_carries  # noqa: E402

STATEMENTS = 4000  # elements in all of a graph's values, up to which its program is run statement by statement
SPLIT_LOOPS = import_module("graphc.passes.split_loops")  # the name in the package is the pass, not its file
LAY_OUT_CONSTANTS = import_module("graphc.passes.lay_out_constants")
LEAST_ROWS = LAY_OUT_CONSTANTS.least_rows

Array = np.ndarray[Any, Any]
Rng = np.random.Generator
LARGEST = 300_000  # elements of any one value
FRESH = 100  # graphs a process runs before another takes over: native code is never unloaded

# --- building graphs -------------------------------------------------------------------------------------------------

FLOATS = (*("float32", "float64") * 2, "float16", "bfloat16")
ANY = tuple(d.name for d in DTYPES)
ELEMENTWISE = [
    op
    for op in operations()
    if isinstance(op.lowering, Pointwise) and op.lowering.elementwise and op.name not in ("astype", "bitcast", "where")
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


# --- loops and choices ---

STEPS = 40  # of a loop, at most
NESTED = 2  # loops in loops


def inside(s: Sketch, given: Sequence[gx.Tensor]) -> Sketch:
    """A body under construction: what it is given, and some of what is outside."""
    outer = [s.pick() for _ in range(s.rng.integers(0, 3))]
    body = replace(s, pool=[*outer, *given], depth=s.depth + 1)
    for _ in range(s.rng.integers(1, 5)):
        grow(body, BODIES)
    return body


def like(s: Sketch, x: gx.Tensor) -> gx.Tensor:
    """Something of x's type that a body has made, or is made of x."""
    fits = [y for y in s.pool if y.type == x.type and y is not x]
    if fits and s.chance(0.8):
        return fits[-1]
    if x.dtype.is_bool:
        return ~x
    return s.one([x, x * 0.5 + 0.25 if x.dtype.is_float else x + 1, gx.tanh(x) if x.dtype.is_float else x * 3])


def scanned(s: Sketch) -> gx.Tensor:
    """A scan, with several carries or none; a map; fixed, symbolic and no steps."""
    starts = [s.pick() for _ in range(s.one([0, 1, 1, 2]))]
    found = [s.pick(rank=1) for _ in range(s.one([0, 1, 1, 2]))]
    xs = [x for x in found if x.shape[0] == found[0].shape[0] and dims.evaluate(x.shape[0], s.sizes) <= STEPS]
    length = None if xs else s.one([0, 1, 2, 3, 5])

    seed, count = int(s.rng.integers(2**32)), s.one([0, 1, 2])

    def f(carry: Any, x: Any) -> Any:
        body = inside(replace(s, rng=np.random.default_rng(seed)), [*carry, *x])  # the same at every call
        return [like(body, c) for c in carry], [body.pick() for _ in range(count)]

    unroll = s.one([1, 1, 1, 2])
    last, ys = gx.scan(f, starts, xs, length, reverse=s.chance(0.3), unroll=unroll)
    return several(s, [*last, *ys])


def repeated(s: Sketch) -> gx.Tensor:
    """A while loop that counts its steps, or that ends when something holds."""
    starts = [s.pick() for _ in range(s.one([1, 1, 2]))]
    most = s.one([0, 1, 3, 6]) if s.chance(0.7) else gx.minimum(gx.astype(gx.max(s.pick("iuf")), "int64"), 5)
    until = s.one([None, None, 10.0])

    def goes_on(value: Any) -> Any:
        fewer = value[0] < most
        return fewer if until is None else gx.logical_and(fewer, gx.all(gx.astype(value[1], "float64") < until))

    def f(value: Any) -> Any:
        body = inside(s, value)
        return [value[0] + 1, *(like(body, v) for v in value[1:])]

    return several(s, gx.while_loop(goes_on, f, [gx.constant(0), *starts])[1:])


def branched(s: Sketch) -> gx.Tensor:
    """A choice by a value that is known when it runs; no branch is like another."""
    x = s.pick()
    if s.chance(0.5):
        return gx.cond(s.one([gx.any, gx.all])(s.pick() > 0), lambda: like(inside(s, [x]), x), lambda: x)
    index = gx.astype(gx.max(s.pick("iu")), "int64") if s.chance(0.6) else gx.constant(int(s.rng.integers(-1, 4)))
    return gx.switch(index, [lambda v: like(inside(s, [v]), v) for _ in range(s.one([1, 2, 3]))], x)


def several(s: Sketch, made: Sequence[gx.Tensor]) -> gx.Tensor:
    """One of the results of a loop; the others may be used too."""
    fits = [y for y in made if not any(y is x for x in s.pool)]
    if not fits:
        raise NothingFits
    s.pool += [y for y in fits[1:] if size_of(y, s.sizes) <= LARGEST and y.ndim <= 5]
    return fits[0]


def looped(s: Sketch) -> gx.Tensor:
    if s.depth >= NESTED:
        raise NothingFits
    return s.one([scanned, scanned, repeated, branched])(s)


BODIES: tuple[tuple[Callable[[Sketch], gx.Tensor], float], ...] = (
    (elementwise, 6), (arithmetic, 6), (choose, 1), (astype, 1), (reshape, 1), (permute, 0.5), (index, 1), (reduce, 1.5),
    (product, 1), (take, 0.5), (running, 0.5), (normalised, 1), (drawn, 0.7), (gradient, 0.4), (looped, 1.5),
)  # fmt: skip

RULES: tuple[tuple[Callable[[Sketch], gx.Tensor], float], ...] = (
    (elementwise, 9),
    (arithmetic, 6),
    (choose, 1.5),
    (astype, 1.5),
    (reshape, 2),
    (permute, 1.5),
    (broadcast, 1.5),
    (join, 1.5),
    (index, 2),
    (pad, 0.8),
    (reduce, 3),
    (position, 0.6),
    (ordered, 0.6),
    (factored, 0.2),
    (product, 1.5),
    (take, 1.2),
    (running, 1.2),
    (rearranged, 1.2),
    (update, 1.2),
    (made, 0.8),
    (normalised, 1.5),
    (drawn, 2),
    (looped, 7),
    (gradient, 0.6),
)


@dataclass(frozen=True)
class Case:
    """A graph and values for its inputs."""

    index: int
    graph: Graph
    values: tuple[Array, ...]

    @property
    def sizes(self) -> dict[str, int]:
        inputs = arguments_of(self.graph.inputs)
        return Signature(inputs, sizes=size_rules(inputs)).solve([v.shape for v in self.values])

    @property
    def arrays(self) -> dict[Node, Array]:
        return dict(zip(self.graph.inputs, self.values, strict=True))

    @property
    def state(self) -> dict[Node, Array]:
        return {v: leaf_value(v, {}).copy() for v in self.graph.variables}


def arguments_of(inputs: Sequence[Node]) -> tuple[Argument, ...]:
    return tuple(Argument(x.attrs["name"], x.type) for x in inputs)


def build(seed: int, index: int) -> Case:
    """Graph `index` of a seed."""
    for attempt in range(1000):
        rng = np.random.default_rng([seed, index, attempt])
        case = network(rng, index) if index % 2 else sketch(rng, index)
        if case is not None:
            return case
    raise AssertionError("no graph could be built in 1000 attempts")


def sketch(rng: Rng, index: int) -> Case | None:
    n, m = gx.dim(f"n{index}"), gx.dim(f"m{index}")
    s = Sketch(rng, {}, [], [], str(index))
    usual = [1, 2, 3, 4, 5, 7, 16, 33] if s.chance(0.85) else [0, 1, 2]
    if s.chance(0.03):
        usual = [1000, 3000, 20000]
    s.sizes = {f"n{index}": s.one(usual), f"m{index}": s.one([1, 2, 3, 5, 8])}
    s.palette = [s.one([n, n, 3, 4]), s.one([m, n, 1, 5]), s.one([n, 2 * n, n + 1, m, 1, 3, 0 if s.chance(0.2) else 2])]
    ins = []
    for k in range(s.rng.integers(1, 5)):
        shape = tuple(s.one(s.palette) for _ in range(s.one([0, 1, 1, 2, 2, 2, 3])))
        dtype = s.one(FLOATS) if s.chance(0.65) else s.one(ANY)
        ins.append(gx.placeholder(f"x{k}_{index}", shape, dtype))
    s.pool += ins
    if any(size_of(x, s.sizes) > LARGEST for x in ins):
        return None
    variables = []
    if s.chance(0.25):
        fixed = tuple(k for k in s.palette if isinstance(k, int))[:2]
        made_of = TensorType(ins[0].dtype if s.chance(0.5) else gx.float32, fixed if s.chance(0.7) else ())
        variables.append(gx.variable(draw(rng, made_of.dtype, tuple(int(k) for k in made_of.shape)), name=f"v{index}"))
        s.pool += variables
    for _ in range(s.rng.integers(3, 16)):
        grow(s)
    inner = s.pool[len(ins) :]
    if not inner:
        return None
    outputs = [inner[-1]] + [s.one(inner) for _ in range(s.rng.integers(0, 3))]
    if s.chance(0.35):
        outputs += gradients(s, ins + variables)
    updates = [(v, new) for v in variables for new in [updated(s, v)] if new is not None]
    return case_of(s, index, ins, outputs, updates)


def case_of(s: Sketch, index: int, ins: Sequence[Any], outputs: Sequence[Any], updates: Sequence[tuple[Any, Any]]) -> Case | None:
    """A case with values, at sizes that it accepts; None if there are none."""
    try:
        graph = gx.compile(ins, outputs, updates, backend="interpreter", passes=()).graph
    except ShapeError:  # a size that no input tells
        return None
    graph = Graph(graph.inputs, graph.outputs, graph.updates, f"g{index}")
    for _ in range(3):
        if too_large(graph, s.sizes):
            s.sizes = dict.fromkeys(s.sizes, 2)
        if too_large(graph, s.sizes):
            return None
        case = Case(index, graph, tuple(s.value(x, tuple(dims.evaluate(k, s.sizes) for k in x.shape)) for x in ins))
        if fits(case):
            return case
        s.sizes = {name: s.one([1, 2, 4, 6]) for name in s.sizes}
    return None


def grow(s: Any, rules: Sequence[tuple[Callable[[Any], gx.Tensor], float]] = RULES) -> None:
    weights = np.array([w for _, w in rules])
    for _ in range(20):
        rule = rules[int(s.rng.choice(len(rules), p=weights / weights.sum()))][0]
        try:
            new = rule(s)
        except (GraphError, NothingFits, IndexError):
            continue
        if any(new is x for x in s.pool) or size_of(new, s.sizes) > LARGEST or new.ndim > 5:
            continue
        s.pool.append(new)
        return


def gradients(s: Sketch, leaves: Sequence[gx.Tensor]) -> list[gx.Tensor]:
    try:
        y = s.pick("f")
        wrt = [x for x in leaves if x.dtype.is_float]
        return gx.grad(gx.sum(y), wrt, unconnected="zero") if wrt else []
    except (GraphError, NothingFits):
        return []


def updated(s: Sketch, v: gx.Tensor) -> gx.Tensor | None:
    fits = [x for x in s.pool if x.type == v.type and x is not v]
    return s.one(fits) if fits else v + 1 if not v.dtype.is_bool else ~v


def size_of(x: Node, sizes: Mapping[str, int]) -> int:
    try:
        return math.prod(max(dims.evaluate(n, sizes), 0) for n in x.type.shape)
    except ZeroDivisionError:  # a reshape beside a size of 0: the call will refuse it
        return LARGEST + 1


def too_large(graph: Graph, sizes: Mapping[str, int]) -> bool:
    for node in graph.nodes:
        if isinstance(node.op.lowering, Contraction):
            terms = max(dims.evaluate(node.inputs[0].type.shape[-1], sizes), 0)
            if size_of(node, sizes) * terms > PRODUCT:
                return True
        if size_of(node, sizes) > LARGEST:
            return True
    return False


def fits(case: Case) -> bool:
    """Whether the graph accepts these sizes: no empty maximum, no reshape that does not divide."""
    run = gx.compile(list(case.graph.inputs), list(case.graph.outputs), backend="interpreter", passes=())
    with_updates = (
        gx.compile(list(case.graph.inputs), list(case.graph.roots), backend="interpreter", passes=())
        if case.graph.updates
        else run
    )
    try:
        with_updates(*case.values)
    except ShapeError:
        return False
    return True


def draw(rng: Rng, dtype: DType, shape: tuple[int, ...]) -> Array:
    """Values of a type: moderate, few and equal, or of any magnitude, with special ones among them."""
    if dtype.is_bool:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        values = rng.integers(max(-5, int(info.min)), 9, shape).astype(dtype.numpy)
        if rng.random() < 0.2:
            extremes = np.array([info.min, info.max, info.max // 2, 0, info.min + 1], dtype.numpy)
            values = np.where(rng.random(shape) < 0.3, rng.choice(extremes, shape), values)
        return values
    how = rng.random()
    if how < 0.6:
        values = rng.normal(size=shape) * rng.choice([0.5, 1, 3])
    elif how < 0.75:
        values = rng.integers(-2, 3, shape) * 1.0
    elif how < 0.9:
        values = np.abs(rng.normal(size=shape)) + 0.1
    else:
        values = rng.normal(size=shape) * 10.0 ** rng.integers(-30, 30, shape)
    if rng.random() < 0.2:
        some = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-310, 3e38, -1e300, 88.7, -104.0, 710.0])
        values = np.where(rng.random(shape) < 0.25, rng.choice(some, shape), values)
    with np.errstate(all="ignore"):
        return np.asarray(values, dtype.numpy)


# --- networks: products with code on both sides, rows, attention, and what training makes of them ----------------------

EDGES = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64, 65, 70, 100, 129, 257, 600)
PRODUCT = 3_000_000  # multiplications of any one contraction


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
    (multiplied, 5), (epilogue, 5), (in_rows, 3), (attended, 2.5), (drawn, 1.5), (reduce, 0.5), (elementwise, 0.7),
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


# --- the running error ------------------------------------------------------------------------------------------------

NAN_SIGN = {2: np.uint16(1 << 15), 4: np.uint32(1 << 31), 8: np.uint64(1 << 63)}


def evaluate_moved(case: Case, rng: Rng, rounding: bool) -> list[Array]:
    """The interpreter's results with NaN of random sign and, if asked for, every rounded result moved by its error bound."""
    with np.errstate(all="ignore"):
        return graph_moved(case.graph, case.arrays, case.sizes, case.state, rng, rounding)


@dataclass(frozen=True)
class MovedBody(Body):
    """A body whose results are moved too."""

    state: Mapping[Node, Array]
    rng: Rng
    rounding: bool

    def __call__(self, *arrays: Array, **more: int) -> list[Array]:
        given = dict(zip(self.graph.inputs, arrays, strict=True))
        return graph_moved(self.graph, given, {**self.sizes, **more}, self.state, self.rng, self.rounding)


def graph_moved(
    graph: Graph, arrays: Mapping[Node, Array], sizes: Mapping[str, int], state: Mapping[Node, Array], rng: Rng, rounding: bool
) -> list[Array]:
    values: dict[Node, Any] = {}
    off: set[Node] = set()

    def bound(value: Any) -> Any:
        """An attribute with its sizes, and its graphs as functions whose results are moved."""
        if isinstance(value, tuple):
            return tuple(bound(v) for v in value)
        return MovedBody(value, sizes, state, rng, rounding) if isinstance(value, Graph) else bind_dims(value, sizes)

    for node in graph.nodes:
        if node.is_leaf:
            result = leaf_value(node, arrays, state)
        else:
            given = [values[i] for i in node.inputs]
            made = reference(node, given, {k: bound(v) for k, v in node.attrs.items()})
            if isinstance(made, tuple):  # which projections take apart
                values[node] = made
                if any(isinstance(g, Graph) for g in node.attrs.values()) or "branches" in node.attrs:
                    off.add(node)
                continue
            result = np.asarray(made)
            whole = isinstance(node.op.lowering, (Host, Project))  # the same routine in both backends
            if isinstance(node.op.lowering, Project) and node.inputs[0] in off:
                off.add(node)
            if rounding and not whole and as_dtype(result.dtype).is_float and result.size:
                exact, result = result, moved(node, given, result, rng)
                if not off.isdisjoint(node.inputs) and isinstance(node.op.lowering, Pointwise):
                    off.add(node)
                    if node.op.lowering.elementwise:
                        result = rounded_otherwise(result, rng)
                if result is not exact:
                    off.add(node)
        values[node] = nan_signs(zero_signs(node, values, result, rng), rng)
    return [values[n] for n in graph.roots]


def rounded_otherwise(x: Array, rng: Rng) -> Array:
    """What elementwise code may give where its operands are a little off: some elements are their neighbours."""
    towards = rng.choice(np.array([-np.inf, np.inf], x.dtype), x.shape)
    return np.where(np.isfinite(x) & (x != 0) & (rng.random(x.shape) < 0.3), np.nextafter(x, towards), x)


def nan_signs(x: Array, rng: Rng) -> Array:
    if not as_dtype(x.dtype).is_float or not np.isnan(x).any():
        return x
    x = np.array(x)
    flip = np.isnan(x) & (rng.random(x.shape) < 0.5)
    bits = x.view(NAN_SIGN[x.dtype.itemsize].dtype)
    bits[flip] ^= NAN_SIGN[x.dtype.itemsize]
    return x


EXTREMES = (combines.MAX, combines.MIN)


def zero_signs(node: Node, values: Mapping[Node, Array], result: Array, rng: Rng) -> Array:
    """A largest or smallest element of 0 may have either sign if both are there: NumPy's choice depends on the memory layout."""
    match node.op.lowering:
        case Reduction(how) | Prefix(how) | Scatter(how) if how in EXTREMES and as_dtype(result.dtype).is_float:
            given = np.concatenate([values[x].ravel() for x in node.inputs if x.type.dtype.is_float])
            zeros = given[given == 0]
            if np.signbit(zeros).any() and not np.signbit(zeros).all():
                return np.asarray(np.where((result == 0) & (rng.random(result.shape) < 0.5), -result, result))
    return result


def moved(node: Node, given: Sequence[Array], result: Array, rng: Rng) -> Array:
    """A result off by about its error bound; NaN where the order of additions or products decides whether it overflows."""
    u = float(finfo(result.dtype).eps) / 2
    top = float(finfo(result.dtype).max)
    finite = [np.where(np.isfinite(g), np.abs(g.astype(np.float64)), 0.0) for g in given]
    added: Any = 0.0  # what the finite magnitudes that are added up come to
    match node.op.lowering:
        case Pointwise() if node.op.name in ULP:
            size = np.abs(result)
            if node.op.name in ("lgamma", "digamma"):  # differences below 0: ulp.py says how large an ulp is at least
                below = (given[0] < 0) | (node.op.name == "lgamma")  # whose reference, Python's, is no better beside 1 and 2
                size = np.where(below, np.maximum(size, 1 + np.log1p(finite[0]).astype(result.dtype)), size)
            if rng.random() < 0.5:  # a neighbour: 1 beside a tanh that is nearly 1
                near = result + (rng.integers(-1, 2, result.shape) * np.spacing(size)).astype(result.dtype)
                return np.asarray(np.where(np.isfinite(result), near, result))
            bound = 4.0 * ULP[node.op.name] * np.spacing(size)
        case Reduction(combines.ADD, axes=axes):
            x = given[0].astype(np.float64)
            total = np.sum(np.abs(x), axis=axes(node.attrs))
            added = np.sum(finite[0], axis=axes(node.attrs))
            if whole(x, total, u):
                return result
            bound = 2 * (20 + math.log2(max(x.size, 2))) * u * total + np.where(total >= top / 4, np.nan, 0.0)
            bound = np.where(np.isfinite(result), bound, 0) if not np.isfinite(x).all() else bound
        case Reduction(combines.MUL, axes=axes):
            x = np.abs(given[0].astype(np.float64))
            if x.size == result.size:
                return result
            size = np.log2(np.where((x == 0) | ~np.isfinite(x), 1, x))
            up, down = (np.sum(f(size, 0), axis=axes(node.attrs)) for f in (np.maximum, np.minimum))
            limits = finfo(result.dtype)
            far = (up >= limits.maxexp - 1) | (down <= limits.minexp + limits.nmant)
            bound = np.where(far, np.nan, 2 * (x.size // result.size) * u * np.abs(result))
        case Contraction():
            a, b = (np.abs(g).astype(np.float64) for g in given)
            bound = in_any_order(given, result, np.matmul(a, b), a.shape[-1], u)
            added = np.matmul(finite[0], finite[1])
        case Scatter(combines.ADD, base=base):
            terms = [0] if base is None else [0, base]
            total = np.full(result.shape, sum(np.sum(np.abs(given[i].astype(np.float64))) for i in terms))
            bound = in_any_order([given[i] for i in terms], result, total, given[0].size, u)
            added = sum(np.sum(finite[i]) for i in terms)
        case Prefix(combines.ADD):
            total = np.cumsum(np.abs(given[0].astype(np.float64)), **node.attrs)
            bound = in_any_order(given, result, total, given[0].shape[node.attrs["axis"]], u)
            added = np.cumsum(finite[0], **node.attrs)
        case Prefix(combines.MUL):
            x = np.abs(given[0].astype(np.float64))
            size = np.log2(np.where((x == 0) | ~np.isfinite(x), 1, x))
            up, down = (np.cumsum(f(size, 0), **node.attrs) for f in (np.maximum, np.minimum))
            limits = finfo(result.dtype)
            far = (up >= limits.maxexp - 1) | (down <= limits.minexp + limits.nmant)
            bound = np.where(far, np.nan, 2 * x.shape[node.attrs["axis"]] * u * np.abs(result))
        case Prefix(combines.LOGADDEXP):
            size = np.maximum(1, np.where(np.isfinite(result), np.abs(result), 0)).astype(np.float64)
            bound = 16 * (1 + given[0].shape[node.attrs["axis"]]) * u * np.maximum.accumulate(size, **node.attrs)
        case _:
            return result
    shape = result.shape if rng.random() < 0.7 else ()  # all alike, at times: one NaN among many hides what the others do
    bound = np.where(np.isnan(bound) & (rng.random(shape) < 0.5), 0, bound)  # it may also be as it was
    sign = rng.choice([-1.0, 1.0]) if rng.random() < 0.3 else rng.choice([-1.0, 1.0], result.shape)
    off = sign * rng.uniform(0.5, 1.0, result.shape) * bound
    found = np.where(np.isfinite(result) | np.isnan(bound), result + off, result)
    # Finite terms that overflow beside an infinite one: whether the sum is infinite or NaN depends on the order, and on whether
    # a product is rounded before it is added. A number shows what else hangs on it.
    if isinstance(node.op.lowering, Contraction):  # a sum too small to be told from 0 has its sign if it is rounded once
        tiny = (result == 0) & (np.matmul(given[0] != 0, given[1] != 0)) & (rng.random(result.shape) < 0.5)
        found = np.where(tiny, -found, found)
    either = ~np.isfinite(result) & (added >= top / 4) & (rng.random(shape) < 0.5)
    return np.asarray(np.where(either, rng.choice([np.inf, -np.inf, np.nan, 1.0], shape), found)).astype(result.dtype)


def in_any_order(given: Sequence[Array], result: Array, total: Array, terms: int, u: float) -> Array:
    """How far a sum of `terms` products may be off, of magnitudes that add up to `total`: 0 for whole numbers in the mantissa."""
    if all(np.array_equal(g, np.rint(g)) for g in given) and np.all(total * u < 0.5):
        return np.zeros(result.shape)
    bound = 2 * (terms + 1) * u * total + np.where(total >= float(finfo(result.dtype).max) / 4, np.nan, 0.0)
    return bound if all(np.isfinite(g).all() for g in given) else np.where(np.isfinite(result), bound, 0)


def whole(x: Array, total: Array, u: float) -> bool:
    """Whether a sum has no rounding: one term each, or whole numbers within the mantissa."""
    return x.size == total.size or bool(np.array_equal(x, np.rint(x)) and np.all(total * u < 0.5))


# --- comparing --------------------------------------------------------------------------------------------------------


def differing(got: Array, want: Array, movements: Sequence[Array], factor: float) -> str | None:
    """Why `got` is not `want`, given other results that are as right as `want`; None if it is."""
    if (got.dtype, got.shape) != (want.dtype, want.shape):
        return f"type {got.dtype}{list(got.shape)} is not {want.dtype}{list(want.shape)}"
    if not as_dtype(want.dtype).is_float:
        stable = np.ones(want.shape, bool)
        for other in movements:
            stable &= other == want
        wrong = stable & (got != want)
    else:
        nan = np.isnan(want)
        stable, reach, sign = np.ones(want.shape, bool), np.zeros(want.shape), np.ones(want.shape, bool)
        with np.errstate(all="ignore"):
            for other in movements:
                stable &= (np.isnan(other) == nan) & (np.isinf(other) == np.isinf(want))
                sign &= np.signbit(other) == np.signbit(want)
                reach = np.maximum(reach, np.where(np.isfinite(want), np.abs(other.astype(np.float64) - want), 0))
            same = (got == want) | (nan & np.isnan(got))
            near = np.isfinite(got) & np.isfinite(want) & (np.abs(got.astype(np.float64) - want) <= factor * reach)
            signs = np.signbit(got) == np.signbit(want)
        zero = ~nan & sign & (reach == 0) & ~signs
        wrong = stable & (~(same | near) | zero)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    limit = "" if not as_dtype(want.dtype).is_float else f" within {factor * reach[place]:.3g}"
    return f"{got[place]!r} is not {want[place]!r}{limit} at {list(place)}; {int(wrong.sum())} of {wrong.size} elements are wrong"


def first_difference(case: Case, got: Sequence[Array], want: Sequence[Array], rounding: bool) -> str | None:
    """Looks again, and again: only what stands against many more movements, and a wider margin, is a difference."""
    if all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(got, want, strict=True)):
        return None
    rng = np.random.default_rng(case.index)
    movements: list[list[Array]] = []
    found = None
    for count, factor in ((8, 8.0), (60, 16.0), (1000, 16.0)):
        movements += [evaluate_moved(case, rng, rounding) for _ in range(count)]
        found = None
        for k, (a, b) in enumerate(zip(got, want, strict=True)):
            why = differing(a, b, [m[k] for m in movements], factor if rounding else 0.0)
            if why is not None:
                root = "output" if k < len(case.graph.outputs) else "update"
                found = f"{root} {k if root == 'output' else k - len(case.graph.outputs)}: {why}"
                break
        if found is None:
            return None
    return found


@dataclass(frozen=True)
class Mismatch:
    kind: str
    why: str
    case: Case


def interpreted(case: Case, graph: Graph) -> list[Array]:
    state = case.state
    outputs, updates = evaluate(graph, case.arrays, case.sizes, state)
    new = dict(zip((v for v, _ in graph.updates), updates, strict=True))
    return [*outputs, *(new.get(v, state[v]) for v, _ in case.graph.updates)]


NATIVE = {"backend": "llvm"}  # what native code is made by


def native(cases: Sequence[Case], backend: str) -> list[tuple[list[Array], list[Array]]]:
    """What one compilation of all cases gives on two threads, and on one. Variables are put back."""
    graphs = [c.graph for c in cases]
    small = cases[0].index // 8 % 2  # whether what is done with large arrays alone is done with these
    partition_carries.ROWS, partition_carries.ELEMENTS = (1, 1) if small else (8, 512)
    SPLIT_LOOPS.VECTORS = 0 if small else 4
    LAY_OUT_CONSTANTS.least_rows = (lambda target: 1) if small else LEAST_ROWS
    run = gx.compile(
        [x for g in graphs for x in g.inputs], [y for g in graphs for y in g.outputs], [u for g in graphs for u in g.updates],
        backend=backend,
    )  # fmt: skip
    values = [v for c in cases for v in c.values]
    before = [v.copy() for v in values]
    states = [c.state for c in cases]
    found = []
    for threads in (2, 1):
        gx.set_num_threads(threads)
        try:
            outputs = iter(run(*values))
            found.append(
                [[*(next(outputs) for _ in g.outputs), *(leaf_value(v, {}).copy() for v, _ in g.updates)] for g in graphs]
            )
        finally:
            for state in states:
                for v, held in state.items():
                    leaf_value(v, {})[...] = held
    for v, was in zip(values, before, strict=True):
        assert v.tobytes() == was.tobytes(), "an input was written"
    return list(zip(found[0], found[1], strict=True))


def check_graph(case: Case) -> Mismatch | None:
    """The checks that need no native code."""
    kind = "print"
    try:
        text = str(case.graph)
        if str(ir.parse(text)) != text:
            return Mismatch("print", "print, parse and print gives another text", case)
        kind = "optimised"
        optimised = case.graph
        for change in gx.passes.DEFAULT:
            optimised = verify(change(optimised))
        text = str(optimised)
        if str(ir.parse(text)) != text:
            return Mismatch("print", "print, parse and print of the optimised graph gives another text", case)
        why = first_difference(case, interpreted(case, optimised), interpreted(case, case.graph), rounding=False)
    except Exception as error:
        return Mismatch(kind, crash(error), case)
    return Mismatch("optimised", why, case) if why else None


def elements(kind: TensorType | TupleType, sizes: Mapping[str, int]) -> int:
    parts = kind.parts if isinstance(kind, TupleType) else (kind,)
    return sum(math.prod(dims.evaluate(n, sizes) for n in part.shape) for part in parts)


def check_programs(case: Case) -> Mismatch | None:
    """The program after every pass that makes or changes one: it is sound, reads back, and computes the graph's values."""
    if sum(elements(node.type, case.sizes) for node in case.graph.nodes) > STATEMENTS:
        return None
    try:
        source: Any = case.graph
        for change in gx.passes.DEFAULT:
            source = change(source)
        wanted = interpreted(case, case.graph)
        for change in gx.passes.LOWERING:
            takes_target = "target" in signature(change).parameters
            source = change(source, target=find_target(None)) if takes_target else change(source)
            if isinstance(source, Graph):
                variables = {name: v for v, name in names_of(source).items()}
            if isinstance(source, gx.passes.Plan):
                text = str(verify_plan(source))
                again = ir.parse(text)
                if str(again) != text:
                    return Mismatch("program", "print, parse and print of the plan gives another text", case)
                if str(gx.passes.fuse(again)) != str(gx.passes.fuse(source)):
                    return Mismatch("program", "the plan's text has other kernels than the plan", case)
            if not isinstance(source, gx.ir.Program):
                continue
            program = verify_program(source)
            text = str(program)
            if str(ir.parse(text)) != text:
                return Mismatch("program", f"print, parse and print after {change.__name__} gives another text", case)
            held = {v.name: case.state[variables[v.name]] for v in program.signature.variables}
            outputs, state = evaluate_program(program, case.values, case.sizes, held)
            new = {variables[name]: value for name, value in state.items()}
            got = [*outputs, *(new.get(v, case.state[v]) for v, _ in case.graph.updates)]
            why = first_difference(case, got, wanted, rounding=True)
            if why:
                return Mismatch("program", f"after {change.__name__}: {why}", case)
    except Exception as error:
        return Mismatch("program", crash(error), case)
    return None


def check_native(cases: Sequence[Case]) -> Iterator[Mismatch]:
    """The checks of native code; many cases share one compilation, and one that fails is looked at alone."""
    try:
        results = native(cases, NATIVE["backend"])
        others = native(cases, "llvm") if NATIVE["backend"] != "llvm" else results
    except Exception as error:
        if len(cases) == 1:
            yield Mismatch("compiled", crash(error), cases[0])
        else:
            for case in cases:
                yield from check_native([case])
        return
    for case, (two, one), (other, _) in zip(cases, results, others, strict=True):
        if any(a.tobytes() != b.tobytes() for a, b in zip(two, one, strict=True)):
            k = next(k for k, (a, b) in enumerate(zip(two, one, strict=True)) if a.tobytes() != b.tobytes())
            yield Mismatch("threads", f"result {k} on two threads is not what it is on one", case)
            continue
        why = first_difference(case, two, interpreted(case, case.graph), rounding=True)
        if why:
            yield Mismatch("compiled", why, case)
            continue
        for k, (a, b) in enumerate(zip(two, other, strict=True)):
            if not same_bits(a, b):
                yield Mismatch("bits", f"result {k} is not what llvm makes of it: {a.ravel()[:9]}, {b.ravel()[:9]}", case)
                break


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays are equal bit for bit, but that one NaN is like another."""
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind in "iub":
        return False
    nan = np.isnan(a)
    return bool(np.array_equal(nan, np.isnan(b))) and a[~nan].tobytes() == b[~nan].tobytes()


def crash(error: Exception) -> str:
    path = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__)[-4:]))
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} ({path})"


# --- reducing a mismatch ----------------------------------------------------------------------------------------------


def again(mismatch: Mismatch, case: Case) -> Mismatch | None:
    """The same kind of mismatch in another case, if it is there too."""
    try:
        kind = mismatch.kind
        found = (
            check_graph(case) if kind in ("print", "optimised") else check_programs(case) if kind == "program"
            else next(check_native([case]), None)
        )  # fmt: skip
    except Exception:  # a cut that makes no sense
        return None
    crashed = lambda m: m.why.split(":")[0] if "Error" in m.why.split(":")[0] else ""
    return found if found is not None and found.kind == mismatch.kind and crashed(found) == crashed(mismatch) else None


def smaller(case: Case) -> Iterator[Case]:
    """Cases with less in them: fewer roots, a node replaced by an operand of its type, or by an input that holds its value."""
    graph = case.graph
    if len(graph.roots) > 1:
        for root in graph.roots:
            yield with_roots(case, [root], [])
    if graph.updates:
        yield with_roots(case, list(graph.outputs), [])
    nodes = [n for n in topological(graph.roots) if not n.is_leaf]
    sizes, state, arrays = case.sizes, case.state, case.arrays
    for node in nodes:
        for given in node.inputs:
            if given.type == node.type:
                yield substituted(case, node, given, {})
    taken = {str(x.attrs["name"]) for x in graph.inputs}
    name = next(f"cut{i}" for i in range(len(taken) + 1) if f"cut{i}" not in taken)
    roots = set(graph.roots)
    for node in reversed(nodes):
        if node in roots or isinstance(node.type, TupleType):
            continue
        value = evaluate(Graph(graph.inputs, [node]), arrays, sizes, state)[0][0]
        new = gx.placeholder(name, node.type.shape, node.type.dtype)
        yield substituted(case, node, new, {new: np.array(value)})


def with_roots(case: Case, outputs: list[Node], updates: list[tuple[Node, Node]]) -> Case:
    return pruned(Graph(case.graph.inputs, outputs, updates, case.graph.name), case.arrays, case.index)


def substituted(case: Case, old: Node, by: Node, more: Mapping[Node, Array]) -> Case:
    new: dict[Node, Node] = {}
    for node in case.graph.nodes:
        new[node] = by if node is old else node if node.is_leaf else node.with_inputs(tuple(new[i] for i in node.inputs))
    graph = case.graph.replaced(new)
    return pruned(Graph((*graph.inputs, *more), graph.outputs, graph.updates, graph.name), {**case.arrays, **more}, case.index)


def pruned(graph: Graph, arrays: Mapping[Node, Array], index: int) -> Case:
    """Inputs go that neither a node nor a size needs."""
    used = set(topological(graph.roots))
    kept = [x for x in graph.inputs if x in used]
    wanted = frozenset().union(*(dims.names(*n.type.shape) for n in used))
    for x in graph.inputs:
        if wanted - {rule.name for rule in size_rules(arguments_of(kept))} and x not in used:
            kept.append(x)
    return Case(index, Graph(kept, graph.outputs, graph.updates, graph.name), tuple(arrays[x] for x in kept))


def reduce_mismatch(mismatch: Mismatch, seconds: float) -> Mismatch:
    """The smallest case found in the time given that shows the same mismatch."""
    until = time.monotonic() + seconds
    going = True
    while going:
        going = False
        for case in smaller(mismatch.case):
            if time.monotonic() > until:
                return mismatch
            if len(topological(case.graph.roots)) > len(topological(mismatch.case.graph.roots)):
                continue
            found = again(mismatch, case)
            if found is not None:
                mismatch, going = found, True
                break
    return mismatch


def report(mismatch: Mismatch, seed: int, seconds: float) -> None:
    print(f"mismatch in graph {mismatch.case.index} of seed {seed}: {mismatch.kind}: {mismatch.why}")
    small = reduce_mismatch(mismatch, seconds)
    print(f"# {small.kind}: {small.why}")
    for x, v in zip(small.case.graph.inputs, small.case.values, strict=True):
        print(
            f"# {x.attrs['name']} = {np.array2string(v, threshold=40, separator=', ', floatmode='unique')}".replace("\n", "\n# ")
        )
    for v, held in small.case.state.items():
        print(
            f"# variable {v.attrs['name']} = {np.array2string(held, threshold=40, separator=', ', floatmode='unique')}".replace(
                "\n", "\n# "
            )
        )
    print(small.case.graph, flush=True)


# --- running ----------------------------------------------------------------------------------------------------------


def has_native() -> bool:
    try:
        from graphc.backends.llvm import build as _  # noqa: F401
    except ImportError:
        return False
    return True


def run(seed: int, indices: Sequence[int], group: int, seconds: float, interpret_only: bool, programs: int) -> int:
    """Checks the graphs and prints every mismatch; returns how many there are."""
    mismatches = 0
    for at in range(0, len(indices), group):
        print(f"@ {indices[at]}", file=sys.stderr, flush=True)
        cases = [build(seed, i) for i in indices[at : at + group]]
        sound = []
        for case in cases:
            found = check_graph(case)
            if found is None and programs and case.index % programs == 0:
                found = check_programs(case)
            if found is None:
                sound.append(case)
            else:
                mismatches += 1
                report(found, seed, seconds)
        if sound and not interpret_only:
            for found in check_native(sound):
                mismatches += 1
                report(found, seed, seconds)
    return mismatches


def run_chunk(options: argparse.Namespace, first: int, count: int) -> tuple[int, str]:
    """Mismatches among `count` graphs in fresh processes, and what is printed; a process that dies is a mismatch too."""
    mismatches, at, text = 0, first, ""
    while at < first + count:
        command = [sys.executable, __file__, "--seed", str(options.seed), "--first", str(at), "--graphs", str(first + count - at)]
        command += ["--group", str(options.group), "--seconds", str(options.seconds)]
        command += ["--backend", options.backend, "--programs", str(options.programs)]
        command += ["--interpret-only"] * options.interpret_only
        child = subprocess.run(command, capture_output=True, text=True)
        lines = child.stdout.splitlines()
        mismatches += sum(line.startswith("mismatch ") for line in lines)
        if lines and lines[-1].startswith("graphs "):
            return mismatches, text + "".join(line + "\n" for line in lines[:-1])
        last = [int(line.split()[1]) for line in child.stderr.splitlines() if line.startswith("@ ")]
        died = last[-1] if last else at
        text += f"{child.stdout}mismatch in graphs {died} to {died + options.group - 1} of seed {options.seed}: "
        text += f"the process died ({child.returncode})\n" + "\n".join(child.stderr.splitlines()[-12:]) + "\n"
        mismatches += 1
        at = died + options.group
    return mismatches, text


def run_in_processes(options: argparse.Namespace) -> int:
    """All graphs, some at a time, as many processes at once as there are jobs."""
    mismatches = done = 0
    starts = range(0, options.graphs, FRESH)
    with ThreadPoolExecutor(options.jobs) as pool:
        chunks = [pool.submit(run_chunk, options, at, min(FRESH, options.graphs - at)) for at in starts]
        for chunk, at in zip(chunks, starts, strict=True):
            found, text = chunk.result()
            mismatches += found
            done = min(at + FRESH, options.graphs)
            print(text, end="", flush=True)
            print(f"{done} graphs, {mismatches} mismatches", file=sys.stderr, flush=True)
    return mismatches


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--graphs", type=int, default=300, help="how many graphs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one graph to check alone, printed first")
    parser.add_argument("--first", type=int, help="the number of the first graph; all run in this process")
    parser.add_argument("--group", type=int, default=8, help="graphs that share a compilation")
    parser.add_argument("--seconds", type=float, default=60, help="time to reduce a mismatch")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--programs", type=int, default=4, help="of so many graphs one is run as a program too; 0: none")
    parser.add_argument("--backend", choices=("llvm", "numba"), default="llvm", help="what native code is made by")
    parser.add_argument("--target", help="what programs are made for, as x86-64-v3; by default this machine")
    parser.add_argument("--interpret-only", action="store_true", help="leave native code out")
    options = parser.parse_args()
    NATIVE["backend"] = options.backend
    warnings.simplefilter("ignore", gx.errors.PromotionWarning)  # types are mixed here on purpose
    if not options.interpret_only and not has_native():
        parser.error("the native backend cannot be imported")
    if options.target is not None:
        os.environ["GRAPHC_TARGET"] = options.target  # for the processes that this one starts, too
        find_target(None)
    if options.only is not None:
        case = build(options.seed, options.only)
        print(case.graph)
        options.graphs, mismatches = 1, run(options.seed, [options.only], 1, options.seconds, options.interpret_only, 1)
    elif options.first is not None:
        indices = range(options.first, options.first + options.graphs)
        mismatches = run(options.seed, indices, options.group, options.seconds, options.interpret_only, options.programs)
    else:
        mismatches = run_in_processes(options)
    print(f"graphs {options.graphs} mismatches {mismatches}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    os.environ["GRAPHC_CACHE"] = "0"  # random kernels are of no use to anybody again
    sys.exit(main())
