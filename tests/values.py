"""Values that find wrong rewrites: NaN, infinities, zeros of both signs, subnormals, extremes, and random ones between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from ml_dtypes import finfo

import graphc as gx
from graphc.backends.interpreter import evaluate
from graphc.ir import dims
from graphc.ir.types import as_dtype

Array = np.ndarray[Any, Any]
Values = Callable[[np.random.Generator, np.dtype[Any], tuple[int, ...]], Array]
SIZES = (0, 1, 2, 5)


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a type is one of floats: NumPy does not count bfloat16 among them."""
    return as_dtype(dtype).is_float


def special(dtype: np.dtype[Any]) -> Array:
    """The values of a type that rules tend to forget."""
    if dtype.kind == "b":
        return np.array([False, True])
    if is_float(dtype):
        info = finfo(dtype)
        limits = [float(v) for v in (info.tiny, info.smallest_subnormal, info.max, info.eps)]
        values = [0.0, 1.0, 2.0, 0.5, 3.0, 1.5, 1e-3, *limits, np.inf]
        return np.array([*values, *(-v for v in values), np.nan], dtype)
    info = np.iinfo(dtype)
    around = [info.min, info.min + 1, -2, -1, 0, 1, 2, 3, 7, info.max - 1, info.max]
    return np.array([v for v in around if v >= info.min], dtype)


def draw(rng: np.random.Generator, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """An array of which about two thirds are special values."""
    known = special(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if is_float(dtype):
        usual = (rng.normal(size=shape) * 4).astype(dtype)
    else:
        usual = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.65, rng.choice(known, shape), usual).astype(dtype)


def positive(rng: np.random.Generator, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """An array of numbers that real arithmetic is true for."""
    return rng.uniform(0.5, 2.0, shape).astype(dtype) if is_float(dtype) else draw(rng, dtype, shape)


def bindings(graph: gx.ir.Graph) -> Iterator[dict[str, int]]:
    """Sizes for the dimensions of a graph, as far as its shapes and its operations allow them."""
    names = sorted(graph.dims)
    choices = list(product(SIZES, repeat=len(names))) if len(names) < 4 else [(n,) * len(names) for n in SIZES]
    for chosen in choices:
        sizes = dict(zip(names, chosen, strict=True))
        if _fits(graph, sizes):
            yield sizes


def _fits(graph: gx.ir.Graph, sizes: Mapping[str, int]) -> bool:
    for node in graph.nodes:
        if any(dims.evaluate(n, sizes) < 0 for n in node.type.shape):
            return False
        required = node.op.requires(*(i.type for i in node.inputs), **node.attrs) if node.op.requires else []
        for r in required:
            left, right = dims.evaluate(r.left, sizes), dims.evaluate(r.right, sizes)
            if not (left == right if r.relation == "==" else left >= right):
                return False
    return True


def run(graph: gx.ir.Graph, arrays: list[Array], variables: Mapping[str, Array], sizes: Mapping[str, int]) -> list[Array]:
    """All that a graph computes: its outputs, then what every variable holds afterwards."""
    state = {v: variables[str(v.attrs["name"])] for v in graph.variables}
    outputs, updates = evaluate(graph, dict(zip(graph.inputs, arrays, strict=True)), sizes, state)
    new = {str(v.attrs["name"]): value for (v, _), value in zip(graph.updates, updates, strict=True)}
    return [*outputs, *({**variables, **new}[name] for name in sorted(variables))]


def arguments(
    graph: gx.ir.Graph, sizes: Mapping[str, int], rng: np.random.Generator, values: Values = draw
) -> tuple[list[Array], dict[str, Array]]:
    """Values for the inputs and for the variables of a graph. Arrays of one type share elements, or have their negatives."""
    made: dict[gx.ir.Node, Array] = {}
    for node in dict.fromkeys((*graph.inputs, *graph.variables)):
        array = values(rng, node.type.dtype.numpy, tuple(dims.evaluate(n, sizes) for n in node.type.shape))
        for other in made.values():
            if values is draw and (other.dtype, other.shape) == (array.dtype, array.shape):
                array = np.where(rng.random(array.shape) < 0.3, other, array)
                array = np.where(rng.random(array.shape) < 0.2, _negated(other), array)
        made[node] = array
    return [made[x] for x in graph.inputs], {str(v.attrs["name"]): made[v] for v in graph.variables}


def _negated(array: Array) -> Array:
    return np.logical_not(array) if array.dtype.kind == "b" else np.negative(array)


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays have the same type, shape and bits; any NaN equals any other."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if is_float(a.dtype):
        a, b = (np.where(np.isnan(v), v.dtype.type(np.nan), v) for v in (a, b))
    return a.tobytes() == b.tobytes()


# Names that a model from elsewhere may have.
NAMES = (
    "0.ln1.g", "encoder/0/w:0", "two words", " ", "größe", "重み", "w'", 'say "so"', "back\\slash", "\\", '"', "%0",
    "0", "1", "7.part", "7.0", "w.copy", "w.old", "w", "class", "return", "a,b", "{x}", "[3]", "#", "\u00a0",
    "\U0001f9ee", "x" * 500, "n", "nan", "-0", "w: f32[3]", "a=b", "//", "$HOME", "../up", "v", "v_1",
)  # fmt: skip
