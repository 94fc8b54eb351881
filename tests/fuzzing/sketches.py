"""Graphs drawn from all of the vocabulary, one operation after the other; loops and choices among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import graphc as gx
from fuzzing.case import ANY, FLOATS, LARGEST, Case, Rng, draw, fits, size_of, too_large
from fuzzing.rules import (
    NothingFits,
    Sketch,
    arithmetic,
    astype,
    broadcast,
    choose,
    drawn,
    elementwise,
    factored,
    gradient,
    index,
    join,
    made,
    normalised,
    ordered,
    pad,
    permute,
    position,
    product,
    rearranged,
    reduce,
    reshape,
    running,
    take,
    update,
)
from graphc.errors import GraphError, ShapeError
from graphc.ir import dims
from graphc.ir.graph import Graph
from graphc.ir.types import TensorType

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
