"""How far native code may be off: the interpreter's results with every rounded one moved by its bound (see fuzz.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_dtypes import finfo
from test_walk import ULP

from fuzzing.case import Array, Case, Rng
from graphc.backends.interpreter import Body, bind_dims, leaf_value, reference
from graphc.ir import combines
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Contraction, Host, Pointwise, Prefix, Project, Reduction, Scatter
from graphc.ir.types import as_dtype

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
