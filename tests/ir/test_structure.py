"""Equal graphs have one key, whatever they call things; what differs in one bit has another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.graph import Graph, on_inputs, substitute
from graphc.ir.loops import loop_of, names_in
from graphc.ir.operation import VOCABULARY
from graphc.ir.structure import key_of, structure
from graphc.ops.declare import alike
from graphc.passes.merge_loops import merge_loops


def graph_of(make: Any, name: str = "x") -> Graph:
    x = gx.placeholder(name, ("n", 3), "float64")
    return Graph([x], [make(x)], name=f"graph_{name}")


def plus(carry: gx.Tensor, _: None) -> tuple[gx.Tensor, None]:
    return carry + 1.0, None


def test_names_do_not_matter() -> None:
    assert structure(graph_of(gx.exp)) == structure(graph_of(gx.exp, "other"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x + 0.0, lambda x: x + -0.0),
        (lambda x: x + 1.0, lambda x: x + 2.0),
        (lambda x: gx.exp(x), lambda x: gx.log(x)),
        (lambda x: gx.sum(x, axis=0), lambda x: gx.sum(x, axis=1)),
        (lambda x: x * x - x, lambda x: x - x * x),
        (lambda x: x + gx.constant([1.0, 2.0, 3.0]), lambda x: x + gx.constant([1.0, 2.0, 4.0])),
        (lambda x: gx.scan(plus, x, length=3)[0], lambda x: gx.scan(lambda c, _: (c - 1.0, None), x, length=3)[0]),
    ],
)
def test_what_differs_has_another_key(one: Any, other: Any) -> None:
    assert structure(graph_of(one)) == structure(graph_of(one))
    assert structure(graph_of(one)) != structure(graph_of(other))


def test_not_a_number_equals_itself() -> None:
    assert structure(graph_of(lambda x: x + np.nan)) == structure(graph_of(lambda x: x + np.nan))


def test_a_square_is_of_one_factor_to_the_bit() -> None:
    """1 / (x * 0.0) times 1 / (x * -0.0) is no square: it is -inf."""
    x = gx.placeholder("x", (), "float64")
    assert alike(1 / (x * 0.0), 1 / (x * 0.0))
    assert not alike(1 / (x * 0.0), 1 / (x * -0.0))


def test_variables_are_told_apart() -> None:
    v, w = gx.variable([1.0, 2.0, 3.0]), gx.variable([1.0, 2.0, 3.0])
    assert structure(graph_of(lambda x: x + v)) == structure(graph_of(lambda x: x + v))
    assert structure(graph_of(lambda x: x + v)) != structure(graph_of(lambda x: x + w))
    assert key_of(v) != key_of(w)


def test_loops_are_merged_whatever_their_bodies_call_things() -> None:
    x, start = gx.placeholder("x", (4,), "float64"), gx.placeholder("start", (), "float64")
    _, ys = gx.scan(lambda c, s: (c * s, c + s), start, x)
    loop = loop_of(gx.scan(lambda c, s: (c * s, c - s), start, x)[1].inputs[0])
    assert loop is not None
    leaves = [gx.placeholder(name, (), "float64") for name in ("p", "q")]
    outputs = substitute(loop.body.outputs, dict(zip(loop.body.inputs, leaves, strict=True)), on_inputs)
    other = loop.rebuilt(loop.given, [Graph(leaves, outputs, name="other")])
    merged = merge_loops(Graph([x, start], [ys, VOCABULARY["project"](other, index=1)]))
    assert sum(loop_of(n) is not None for n in merged.nodes) == 1


def test_a_loop_is_seen_by_name() -> None:
    x, k = gx.placeholder("x", (5, 2), "float64"), gx.placeholder("k", (2,), "float64")
    last, _ = gx.scan(lambda c, s: (c * k + s, c), k, x, reverse=True)
    loop = loop_of(last.inputs[0])
    assert loop is not None and loop.reverse and loop.steps == 5
    assert (list(loop.carried), list(loop.sliced), list(loop.shared), list(loop.made)) == ([0], [1], [2], [1])
    same = loop.rebuilt(loop.given, loop.bodies)
    assert key_of(same) == key_of(loop.node)
    assert loop_of(x) is None


@pytest.mark.parametrize(
    "node",
    [
        gx.while_loop(lambda v: v < 9.0, lambda v: v * 2.0, gx.placeholder("x", (), "float64")).inputs[0],
        gx.cond(gx.placeholder("p", (), "bool"), lambda v: v, lambda v: -v, gx.placeholder("y", (3,), "float64")).inputs[0],
    ],
    ids=["while", "switch"],
)
def test_a_loop_made_of_its_own_parts_is_the_same(node: gx.Tensor) -> None:
    loop = loop_of(node)
    assert loop is not None
    assert key_of(loop.rebuilt(loop.given, loop.bodies, loop.test)) == key_of(node)


def test_names_of_sizes_are_found_in_bodies() -> None:
    x = gx.placeholder("x", (), "float64")
    y = gx.grad(gx.while_loop(lambda v: v < 9.0, lambda v: v * 2.0, x), x)
    assert names_in(Graph([x], [y])) == {"steps0"}


def test_ten_thousand_nodes_are_made_anew_without_recursion() -> None:
    x, z = gx.placeholder("x", (), "float64"), gx.placeholder("z", (), "float64")
    y = x
    for _ in range(10_000):
        y = y + 1.0
    (made,) = substitute([y], {x: z}, on_inputs)
    graph = Graph([z], [made])
    assert len(graph.nodes) > 10_000 and graph.nodes[0] is z
    assert structure(graph) == structure(Graph([x], [y]))
