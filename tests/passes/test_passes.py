"""The pipeline: its order, passes of users, graphs that are deep, and what every pass must leave behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from conftest import verified
from values import bindings, draw, same_bits

import graphc as gx
from graphc.backends.interpreter import evaluate
from graphc.ir import Graph, Node, parse
from graphc.ir.graph import rebuild
from graphc.ir.operation import VOCABULARY
from graphc.ir.types import TensorType, float32, float64
from graphc.ir.verify import verify

Pass = Callable[[Graph], Graph]
GRAPH_PASSES: tuple[Pass, ...] = (
    gx.passes.fold_constants, gx.passes.eliminate_common, gx.passes.simplify, gx.passes.simplify_fast, gx.passes.eliminate_dead,
    gx.passes.specialize(n=4),
)  # fmt: skip
MANY = 10_000


def names(passes: tuple[Pass, ...]) -> list[str]:
    return [p.__name__ for p in passes]


# --- the pipeline ---------------------------------------------------------------------------------------------------


def test_order() -> None:
    order = names(gx.passes.DEFAULT)
    assert order.index("fold_constants") < order.index("simplify")
    assert order.index("eliminate_common") < order.index("simplify"), "a repeated rule variable matches by identity"
    assert order[-1] == "eliminate_dead"


def test_stages_are_named_after_passes() -> None:
    x = gx.placeholder("x", ("n",))
    step = gx.compile([x], x + x, backend="interpreter")
    assert [name for name, _ in step.stages] == ["declared", *names(gx.passes.DEFAULT)]


def test_the_default_pipeline_reaches_a_fixed_point() -> None:
    x = gx.placeholder("x", ("n", 4), "float32")
    w = gx.variable(np.ones((4, 3)), name="w", dtype="float32")
    loss = gx.mean(gx.nn.logsumexp(x @ w * 2.0 / 4.0, axis=1) + gx.where(gx.asarray(True), 1.0, x[:, 0]))
    graph = gx.compile([x], loss, updates={w: w - gx.grad(loss, w) * 0.5}, backend="interpreter").graph
    again = graph
    for change in gx.passes.DEFAULT:
        again = change(again)
    assert str(again) == str(graph)


def test_a_pass_of_the_user() -> None:
    """In ten lines: every exp becomes exp2 of a scaled argument."""

    def exp_to_exp2(graph: Graph) -> Graph:
        def change(node: Node) -> Node:
            if node.op.name != "exp":
                return node
            return gx.ops.exp2(node.inputs[0] * 1.4426950408889634)

        return rebuild(graph, change)

    x = gx.placeholder("x", (3,), "float64")
    step = gx.compile([x], gx.exp(x) + 1, backend="interpreter", passes=(*gx.passes.DEFAULT, exp_to_exp2))
    assert step.stages[-1][0] == "exp_to_exp2"
    assert [n.op.name for n in step.graph.nodes] == ["input", "full", "multiply", "exp2", "full", "add"]
    np.testing.assert_allclose(step([0.0, 1.0, 2.0]), np.exp([0.0, 1.0, 2.0]) + 1, rtol=1e-15)


def test_a_pass_of_the_user_after_the_default_ones() -> None:
    def mine(graph: Graph) -> Graph:
        return graph

    assert names((*gx.passes.DEFAULT, mine))[-1] == "mine"
    assert names(gx.passes.DEFAULT + (mine,)) == [*names(gx.passes.DEFAULT), "mine"]  # noqa: RUF005


# --- deep graphs ----------------------------------------------------------------------------------------------------


def deep() -> Graph:
    """A chain of 10,000 operations, of which rules undo about half."""
    x = gx.placeholder("x", ("n",), "float32")
    y = x
    for i in range(MANY // 5):
        y = gx.exp(gx.negative(-(y * 1.0 + float(i % 7 + 1))))
    return Graph([x], [y])


@pytest.mark.parametrize("change", GRAPH_PASSES, ids=lambda p: p.__name__)
def test_deep_chains(change: Pass) -> None:
    graph = deep()
    assert len(graph.nodes) > MANY
    start = time.process_time()
    after = change(graph)
    assert time.process_time() - start < 10, "more than ten times what it takes"
    verify(after)


def test_deep_chains_through_gradient_and_text() -> None:
    graph = deep()
    (x,), (y,) = graph.inputs, graph.outputs
    slope = gx.grad(gx.sum(y), x)
    after = Graph([x], [y, slope])
    for change in gx.passes.DEFAULT:
        after = verify(change(after))
    assert len(after.nodes) < len(Graph([x], [y, slope]).nodes)
    assert str(parse(str(after))) == str(after)


def test_rules_run_along_a_deep_chain() -> None:
    """One rewrite makes the next possible, from the bottom of the chain to its top."""
    x = gx.placeholder("x", ("n",), "float32")
    y = x
    for _ in range(MANY):
        y = -y
    assert gx.passes.simplify(Graph([x], [y])).outputs[0] is x


def test_wide_sharing_is_not_unfolded() -> None:
    """A value of 2**200 paths is looked at once."""
    x = gx.placeholder("x", ("n",), "float64")
    y = x
    for _ in range(200):
        y = (y + -y) * 1.0
    graph = Graph([x], [y])
    for change in GRAPH_PASSES:
        graph = verify(change(graph))
    assert len(graph.nodes) < 700


# --- each pass ------------------------------------------------------------------------------------------------------


def test_every_pass_keeps_every_bit() -> None:
    """A graph with a bit of everything, through the passes one after the other."""
    x, i = gx.placeholder("x", ("n", 6), "float32"), gx.placeholder("i", ("n",), "int64")
    w = gx.variable(np.linspace(-1, 1, 18).reshape(6, 3), name="w", dtype="float32")
    h = gx.tanh(x @ w) * 1.0 + gx.reshape(gx.reshape(x[:, ::2], (-1,)), ("n", 3)) / 4.0
    y = gx.sum(gx.where(h > 0, h, gx.negative(-h)) * gx.one_hot(i % 4, 3), axis=1)
    graph = verify(Graph([x, i], [y, gx.argmax(h, axis=1), x.T.T], [(w, w - gx.grad(gx.sum(y), w) * 0.25)]))
    stages = [graph]
    for change in gx.passes.DEFAULT:
        stages.append(change(stages[-1]))
    rng = np.random.default_rng(0)
    for sizes in bindings(graph):
        n = sizes["n"]
        given = {x: draw(rng, np.dtype("float32"), (n, 6)), i: rng.integers(0, 9, n)}
        wanted, found = ([*o, *u] for o, u in (evaluate(stages[0], given, sizes), evaluate(stages[-1], given, sizes)))
        assert all(same_bits(a, b) for a, b in zip(wanted, found, strict=True))
    assert len(stages[-1].nodes) < len(graph.nodes)


def test_new_nodes_keep_line_and_side() -> None:
    x = gx.placeholder("x", (3,), "float32")
    y = x - (-x)
    (after,) = gx.passes.simplify(Graph([x], [y])).outputs
    assert after.op.name == "add"
    assert after.where == y.where and not after.gradient
    slope = gx.grad(gx.sum(gx.exp(x * 2.0)), x)
    assert gx.passes.fold_constants(Graph([x], [slope])).outputs[0].gradient


def test_fold_constants_never_grows_the_graph() -> None:
    small = gx.constant(np.arange(100.0))
    large = gx.broadcast_to(small, (1000, 100))
    after = gx.passes.fold_constants(Graph([], [large]))
    assert after.outputs[0].op.name == "broadcast_to"
    stored = gx.constant(np.arange(100_000.0))
    assert gx.passes.fold_constants(Graph([], [gx.sqrt(stored)])).outputs[0].op.name == "constant"
    ones = gx.ones((10**6, 10**6))
    assert gx.passes.fold_constants(Graph([], [gx.exp(ones * 2)])).outputs[0].op.name == "full"
    assert gx.passes.fold_constants(Graph([], [gx.sum(ones)])).outputs[0].op.name == "sum"


def test_fold_constants_raises_nothing() -> None:
    with np.errstate(all="raise"):
        zero, one = gx.full((3,), 0.0, "float32"), gx.full((3,), 1.0, "float32")
        huge = gx.constant(np.array([1e38, 3e38, -1e38], "float32"))
        outputs = [one / zero, zero / zero, gx.log(zero), huge * huge, gx.astype(huge, "int32"), gx.exp(huge)]
        after = gx.passes.fold_constants(Graph([], outputs))
    assert {n.op.name for n in after.outputs} == {"full", "constant"}
    assert str(after.outputs[0].attrs["value"]) == "inf"


def test_infer_shapes_needs_known_names() -> None:
    x = gx.placeholder("x", ("n", "m"))
    with pytest.raises(gx.errors.ShapeError, match=r"^infer_shapes: graph has no dimension 'k'\n.*\n  hint: it has: m, n$"):
        gx.passes.infer_shapes(Graph([x], [x]), {"k": 3})
    with pytest.raises(gx.errors.ShapeError, match=r"^infer_shapes: n cannot be -1"):
        gx.passes.infer_shapes(Graph([x], [x]), {"n": -1})


def test_infer_shapes_finds_contradictions() -> None:
    x = gx.placeholder("x", ("n",))
    y = gx.reshape(x, ("m", 2))
    with pytest.raises(gx.errors.ShapeError, match=r"reshape of f32\[5\] to \[3, 2\] changes the number of elements from 5 to 6"):
        gx.passes.infer_shapes(Graph([x], [y]), {"n": 5, "m": 3})


def test_a_specialized_program_refuses_other_sizes() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    step = gx.compile([x], gx.sum(x), backend="interpreter", passes=(gx.passes.specialize(n=4), *gx.passes.DEFAULT))
    assert step(np.ones(4)) == 4
    message = r"^input x needs f64\[4\], got an array of shape \[3\]: axis 0 is 3, but it must be 4"
    with pytest.raises(gx.errors.ShapeError, match=message):
        step(np.ones(3))


def test_what_passes_drop_is_still_required() -> None:
    """Two reshapes become none, and still the sizes must agree."""
    x, m = gx.placeholder("x", ("n",), "float64"), gx.placeholder("m", ("m",), "float64")
    step = gx.compile([x, m], gx.reshape(gx.reshape(x, ("m",)), ("n",)), backend="interpreter")
    assert step.graph.outputs[0] is x
    with pytest.raises(gx.errors.ShapeError, match="changes the number of elements: 3 is not 2"):
        step(np.ones(3), np.ones(2))


# --- verify ---------------------------------------------------------------------------------------------------------


def wrong(op: str, inputs: tuple[Node, ...], attrs: dict[str, object], found: TensorType) -> Node:
    return Node(VOCABULARY[op], inputs, attrs, found)


X = gx.placeholder("x", (3,), "float32")
I = gx.placeholder("i", (3,), "int32")
V = gx.variable([1.0, 2.0, 3.0], name="v", dtype="float32")
F3 = TensorType(float32, (3,))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (Graph([X], [wrong("exp", (X,), {}, TensorType(float64, (3,)))]),
         "exp gives f32[3], the node says f64[3]\n  %0 = exp(%x) : f64[3]"),
        (Graph([X], [wrong("exp", (X, X), {}, F3)]), "exp takes 1 inputs, has 2\n  %0 = exp(%x, %x) : f32[3]"),
        (Graph([X, I], [wrong("add", (X, I), {}, F3)]),
         "add cannot be typed: add needs operands of (float64, float64), got f32[3] and i32[3]\n"
         "  %0 = add(%x, %i) : f32[3]"),
        (Graph([X], [wrong("sum", (X,), {"axes": [0]}, TensorType(float32, ()))]),
         "attribute axes of sum cannot be hashed: list\n"
         "  %0 = sum(%x, axes=[0]) : f32[]"),
        (Graph([X], [wrong("slice", (X,), {"start": (0,), "step": (1,), "size": (-1,)}, TensorType(float32, (-1,)))]),
         "slice has a negative size: f32[-1]\n  %0 = slice(%x, size=[-1], start=[0], step=[1]) : f32[-1]"),
        (Graph([], [X]),
         "placeholder 'x' is not among the inputs of graph\n  %0 = input(dtype=float32, name=\"x\", shape=[3]) : f32[3]"),
        (Graph([X, X], [X]), "an input of graph is listed twice"),
        (Graph([X, V], [X]),
         "an input of graph is no placeholder\n  %v = variable(dtype=float32, name=\"v\", shape=[3]) : f32[3]"),
        (Graph([X], [], [(X, X)]), "what is updated is no variable\n  %x = input(dtype=float32, name=\"x\", shape=[3]) : f32[3]"),
        (Graph([X], [], [(V, X), (V, X)]),
         "a variable is updated twice\n  %v = variable(dtype=float32, name=\"v\", shape=[3]) : f32[3]"),
        (Graph([I], [], [(V, I)]),
         "the update of v: f32[3] is i32[3]\n  %i = input(dtype=int32, name=\"i\", shape=[3]) : i32[3]"),
    ],
)  # fmt: skip
def test_verify(graph: Graph, message: str) -> None:
    with pytest.raises(gx.GraphError) as caught:
        verify(graph)
    assert caught.value.message == f"verify: {message}"


def test_verify_finds_circles() -> None:
    a = wrong("exp", (X,), {}, F3)
    b = wrong("exp", (a,), {}, F3)
    object.__setattr__(a, "inputs", (b,))
    with pytest.raises(gx.GraphError, match=r"^verify: exp: f32\[3\] and exp: f32\[3\] need each other$"):
        verify(Graph([X], [b]))


def test_verified_passes_are_caught() -> None:
    """The wrapper that all tests run under does find a pass that breaks a graph."""

    def breaks(graph: Graph) -> Graph:
        return Graph(graph.inputs, [wrong("exp", (X,), {}, TensorType(float64, (3,)))])

    with pytest.raises(gx.GraphError, match="the node says f64"):
        gx.compile([X], gx.exp(X), backend="interpreter", passes=(verified(breaks),))
