"""Checks for those who write functions and gradient rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor

Array = np.ndarray[Any, Any]

# Steps of central differences: from 2**-5 of an argument's size on (1 at least), each half as long as the one before.
_FIRST, _STEPS = 2.0**-5, 8
_TOLERANCE = {"float64": 1e-8, "float32": 1e-2}


def derivative(f: Callable[[float], float], first: float = _FIRST, steps: int = _STEPS) -> tuple[float, float]:
    """The derivative of f at 0 and an estimate of its error, from central differences of ever shorter steps.

    Differences with step h have errors in h**2, h**4, ...; combining several takes these away one after the other (Richardson
    1911), and of all combinations the one is taken that differs least from those it is made of (Ridders 1982, "Accurate
    computation of F'(x) and F'(x) F''(x)"). Of a smooth f in float64, some 1e-12 of f's size remain.

    >>> import math
    >>> value, error = derivative(lambda t: math.exp(1 + t))
    >>> abs(value - math.e) < 1e-11, error < 1e-10
    (True, True)
    """
    best, least = math.nan, math.inf
    above: list[float] = []
    for i in range(steps):
        h = first * 0.5**i
        row = [(f(h) - f(-h)) / (2 * h)]
        for k, before in enumerate(above, start=1):
            row.append(row[-1] + (row[-1] - before) / (4.0**k - 1))
            error = max(abs(row[-1] - row[-2]), abs(row[-1] - before))
            if error < least:
                best, least = row[-1], error
        above = row
    return best, least


def check_grads(
    f: Callable[..., Any], args: Sequence[Any], order: int = 2, modes: Sequence[str] = ("fwd", "rev"), *,
    atol: float | None = None, rtol: float | None = None, eps: float = _FIRST, backend: str = "interpreter", seed: int = 0,
) -> None:  # fmt: skip
    """Raise an AssertionError where a function's derivatives are not what its values say.

    f: a function of symbols that gives one, or a list or tuple of them. args: arrays at which it is smooth; derivatives are
    taken by those of floats. order: to which order. modes: "fwd" for `gx.jvp`, "rev" for `gx.vjp`, compared with differences of
    f's values along a random direction (`derivative`, with eps as its first step), and with each other: <Jv, u> = <v, J'u>.
    atol, rtol: how far two numbers may be apart, 1e-8 for float64 and 1e-2 for float32 unless given; rtol is relative to the
    sum of the magnitudes of all that is added up.

    >>> import graphc as gx
    >>> check_grads(lambda x: gx.sin(x) * x, [[0.5, 2.0]])
    >>> @gx.custom_gradient
    ... def wrong(x):
    ...     return x * x, lambda g: g * x
    >>> check_grads(wrong, [3.0], order=1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: wrong, order 1: ... by differences, ... by jvp
    """
    unknown = set(modes) - {"fwd", "rev"}
    if unknown or not modes:
        raise ValueError(f"modes are 'fwd' and 'rev', got {tuple(modes)}")
    arrays = [np.asarray(a) for a in args]
    if not any(a.dtype.kind == "f" for a in arrays):
        raise ValueError(f"check_grads needs an argument of floats, got {', '.join(a.dtype.name for a in arrays)}")
    coarse = any(a.dtype == np.float32 for a in arrays)
    usual = _TOLERANCE["float32" if coarse else "float64"]
    limits = usual if atol is None else atol, usual if rtol is None else rtol
    given = [gx.placeholder(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    rng = np.random.default_rng(seed)
    todo: list[tuple[int, list[Tensor]]] = [(1, _listed(f(*given)))]
    while todo:
        level, ys = todo.pop()
        place = _Place(given, arrays, [y for y in ys if y.dtype.is_float], rng)
        sides = place.sides(modes, eps, backend)
        size = sum(side.size for side in sides)
        for one, other in pairwise(sides):
            if not abs(one.slope - other.slope) <= limits[0] + limits[1] * size:
                name = getattr(f, "__name__", "f")
                raise AssertionError(f"{name}, order {level}: {one.slope} by {one.name}, {other.slope} by {other.name}")
        if level < order:
            todo += [(level + 1, side.made) for side in sides if side.made]


@dataclass(frozen=True)
class _Side:
    """One way to the derivative of a function along a direction: its value, the magnitudes in it, and what was derived."""

    name: str
    slope: float
    size: float
    made: list[Tensor]


class _Place:
    """A function at one place: its results by its arguments, a direction to go in, and weights of the results."""

    def __init__(self, given: Sequence[Tensor], arrays: Sequence[Array], ys: Sequence[Tensor], rng: np.random.Generator) -> None:
        self.given, self.arrays, self.ys = given, arrays, ys
        self.moving = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        self.direction = [_draw(rng, given[i]) for i in self.moving]
        self.weights = [_draw(rng, y) for y in ys]

    def sides(self, modes: Sequence[str], eps: float, backend: str) -> list[_Side]:
        """The derivative by differences, and by each mode."""
        xs = [self.given[i] for i in self.moving]
        made: dict[str, list[Tensor]] = {}
        if "fwd" in modes:
            made["jvp"] = gx.jvp(self.ys, xs, self.direction)
        if "rev" in modes:
            made["vjp"] = gx.vjp(self.ys, xs, self.weights, unconnected="zero")
        value = gx.compile(self.given, self.ys, backend=backend)
        values = self._products(self.weights, value(*self.arrays))
        sides = [_Side("differences", self._slope(value, eps), _size(values), [])]
        factors = {"jvp": self.weights, "vjp": self.direction}
        for name, symbols in made.items():
            parts = self._products(factors[name], gx.compile(self.given, symbols, backend=backend)(*self.arrays))
            sides.append(_Side(name, sum(float(np.sum(p)) for p in parts), _size(parts), symbols))
        return sides

    def _slope(self, value: Callable[..., Any], eps: float) -> float:
        scale = max(1.0, *(float(np.max(np.abs(self.arrays[i]), initial=0)) for i in self.moving))

        def along(t: float) -> float:
            there = list(self.arrays)
            for i, step in zip(self.moving, self.direction, strict=True):
                there[i] = (self.arrays[i] + t * scale * step).astype(self.arrays[i].dtype)
            return sum(float(np.sum(p)) for p in self._products(self.weights, value(*there)))

        return derivative(along, eps)[0] / scale

    @staticmethod
    def _products(factors: Sequence[Array], values: Sequence[Array]) -> list[Array]:
        return [f * np.asarray(v, np.float64) for f, v in zip(factors, values, strict=True)]


def _size(parts: Sequence[Array]) -> float:
    return sum(float(np.sum(np.abs(p))) for p in parts)


def _draw(rng: np.random.Generator, x: Tensor) -> Array:
    if not all(isinstance(n, int) for n in x.shape):
        raise ValueError(f"check_grads needs results of fixed size, got {x.type}")
    made: Array = rng.uniform(0.5, 1.0, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    return made


def _listed(results: Any) -> list[Tensor]:
    return list(results) if isinstance(results, (list, tuple)) else [results]


__all__ = ["check_grads", "derivative"]
