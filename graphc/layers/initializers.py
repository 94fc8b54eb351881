"""First values of weights, by name or as a class.

    zeros, ones, identity, orthogonal           Constant(value), Identity(gain), Orthogonal(gain)
    uniform, normal, truncated_normal           Uniform(low, high), Normal(mean, stddev), TruncatedNormal(mean, stddev)
    glorot_uniform, glorot_normal (xavier)      Glorot and Bengio 2010: variance 2 / (in + out)
    he_uniform, he_normal (kaiming)             He et al. 2015, arXiv:1502.01852: variance 2 / in
    lecun_uniform, lecun_normal                 LeCun et al. 1998: variance 1 / in
    VarianceScaling(scale, mode, distribution)  of which the last three are cases; the random ones take seed=

An initialiser is a function (rng, shape) -> array, of NumPy's generator and a shape. "in" and "out" of a weight are those of the
products that it stands in: [..., in, out], times the sizes of the axes before them (a kernel's window).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from graphc import Variable

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Initializer = Callable[[np.random.Generator, Shape], Array]

_TRUNCATED = 0.87962566103423978  # the standard deviation of a standard normal number that is drawn again beyond 2


def generator(*numbers: int) -> np.random.Generator:
    """NumPy's PCG64, seeded with these numbers: the same on every machine."""
    return np.random.Generator(np.random.PCG64(numbers))


@dataclass(frozen=True)
class _Drawn:
    """Random numbers. seed: of numbers that are the same for every weight of a shape; else they follow from `layers.seed`."""

    seed: int | None = field(default=None, kw_only=True)

    def source(self, rng: np.random.Generator) -> np.random.Generator:
        """Where the numbers come from."""
        return rng if self.seed is None else generator(self.seed)


@dataclass(frozen=True)
class Constant:
    """One number everywhere."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Identity:
    """`gain` on the diagonal of a matrix."""

    gain: float = 1.0

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        if len(shape) != 2:
            raise gx.errors.ShapeError(f"Identity needs a matrix, got shape {list(shape)}", where=gx.errors.caller())
        return self.gain * np.eye(*shape)


@dataclass(frozen=True)
class Uniform(_Drawn):
    """Uniform numbers from `low` to below `high`."""

    low: float = -0.05
    high: float = 0.05

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return self.source(rng).uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class RandomUniform(_Drawn):
    """`Uniform`, with Keras's names of its ends."""

    minval: float = -0.05
    maxval: float = 0.05

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return self.source(rng).uniform(self.minval, self.maxval, shape)


@dataclass(frozen=True)
class Normal(_Drawn):
    """Normal numbers."""

    mean: float = 0.0
    stddev: float = 0.05

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return self.source(rng).normal(self.mean, self.stddev, shape)


@dataclass(frozen=True)
class TruncatedNormal(_Drawn):
    """Normal numbers, drawn again where they are more than two standard deviations from the mean."""

    mean: float = 0.0
    stddev: float = 0.05

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return self.mean + self.stddev * _within_two(self.source(rng), shape)


def _within_two(rng: np.random.Generator, shape: Shape) -> Array:
    values = rng.standard_normal(shape)
    while (beyond := np.abs(values) > 2).any():
        values = np.where(beyond, rng.standard_normal(shape), values)
    return values


@dataclass(frozen=True)
class VarianceScaling(_Drawn):
    """Numbers of mean 0 and variance scale / fan, where fan is that of mode: "fan_in", "fan_out" or "fan_avg".

    distribution: "uniform", "normal" or "truncated_normal"; all three have that variance.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        rng, (incoming, outgoing) = self.source(rng), fans(shape)
        fan = {"fan_in": incoming, "fan_out": outgoing, "fan_avg": (incoming + outgoing) / 2}[self.mode]
        spread = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            return rng.uniform(-math.sqrt(3) * spread, math.sqrt(3) * spread, shape)
        return rng.normal(0, spread, shape) if self.distribution == "normal" else spread / _TRUNCATED * _within_two(rng, shape)


def fans(shape: Shape) -> tuple[float, float]:
    """How many numbers go into one output of a weight, and to how many outputs one number goes.

    >>> fans((784, 10)), fans((3, 3, 16, 32)), fans((5,))
    ((784.0, 10.0), (144.0, 288.0), (5.0, 5.0))
    """
    if len(shape) < 2:
        one = float(shape[0]) if shape else 1.0
        return one, one
    window = math.prod(shape[:-2])
    return float(window * shape[-2]), float(window * shape[-1])


@dataclass(frozen=True)
class Orthogonal(_Drawn):
    """A matrix with orthonormal rows or columns, whichever are fewer, times `gain`; axes before the last count as one."""

    gain: float = 1.0

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self.source(rng).standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)  # without the signs, q is not uniformly distributed (Mezzadri 2007)
        return self.gain * np.reshape(q if rows >= columns else q.T, shape)


def key(rng: np.random.Generator, shape: Shape) -> Array:
    """Random bits: a key of `gx.random`."""
    return rng.integers(0, 1 << 32, shape, dtype=np.uint32)


NAMED: Mapping[str, Initializer] = {
    "zeros": Constant(0.0),
    "ones": Constant(1.0),
    "identity": Identity(),
    "uniform": Uniform(),
    "random_uniform": RandomUniform(),
    "normal": Normal(),
    "random_normal": Normal(),
    "truncated_normal": TruncatedNormal(),
    "orthogonal": Orthogonal(),
    **{
        f"{name}_{kind}": VarianceScaling(scale, mode, "uniform" if kind == "uniform" else "truncated_normal")
        for names, scale, mode in (
            (("glorot", "xavier"), 1.0, "fan_avg"),
            (("he", "kaiming"), 2.0, "fan_in"),
            (("lecun",), 1.0, "fan_in"),
        )
        for name in names
        for kind in ("uniform", "normal")
    },
}


Zeros, Ones = partial(Constant, 0.0), partial(Constant, 1.0)  # Keras's names of classes
RandomNormal = Normal
GlorotUniform, GlorotNormal = (partial(VarianceScaling, 1.0, "fan_avg", kind) for kind in ("uniform", "truncated_normal"))
HeUniform, HeNormal = (partial(VarianceScaling, 2.0, "fan_in", kind) for kind in ("uniform", "truncated_normal"))
LecunUniform, LecunNormal = (partial(VarianceScaling, 1.0, "fan_in", kind) for kind in ("uniform", "truncated_normal"))


def initializer(value: str | float | Initializer) -> Initializer:
    """The initialiser that a name, a number or a function stands for."""
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Constant(value)
    made: Any = value
    if isinstance(made.func if isinstance(made, partial) else made, type):  # a class, with its options or without
        return initializer(made())
    if callable(value):
        return value
    raise gx.errors.InputError(
        f"no initialiser {value!r}", where=gx.errors.caller(), hint="a number, a function (rng, shape) -> array, or one of "
        + ", ".join(NAMED),
    )  # fmt: skip


def fitting(path: str, variable: Variable, value: Any) -> Array:
    """An array for a variable, or an error that names both."""
    array = np.asarray(value)
    if array.shape != variable.shape:
        raise gx.errors.ShapeError(
            f"the variable {path} is {variable.type}, got an array of shape {list(array.shape)}", where=gx.errors.caller()
        )
    return array
