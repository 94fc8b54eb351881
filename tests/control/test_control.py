"""Loops and choices: values, gradients, text, passes; compiled as interpreted, optimised as declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import ir
from graphc.errors import GraphError
from graphc.ir.operation import Scan, While
from graphc.ir.parser import parse
from graphc.ir.verify import verify

Array = np.ndarray[Any, Any]


def run(inputs: Sequence[gx.Tensor], outputs: Sequence[gx.Tensor], *values: Any) -> list[Array]:
    """The outputs, which must be the same interpreted and compiled, as declared and optimised; their text must parse back."""
    graph = ir.Graph(inputs, outputs)
    assert str(verify(parse(str(graph)))) == str(graph)
    found: list[list[Array]] = []
    for backend in ("interpreter", "llvm"):
        for passes in ((), None):
            f = gx.compile(list(inputs), list(outputs), backend=backend, passes=passes)
            verify(f.graph)
            assert str(parse(str(f.graph))) == str(f.graph)
            found.append(f(*values))
    for other in found[1:]:
        for got, want in zip(other, found[0], strict=True):
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            largest = float(np.max(np.abs(want[np.isfinite(want)]), initial=1.0))  # terms as large may leave a small element
            np.testing.assert_allclose(got, want, rtol=1e-13 if want.dtype == np.float64 else 1e-6, atol=1e-14 * largest)
    return found[0]


def check_gradients(loss: gx.Tensor, wrt: Sequence[gx.Tensor], values: Sequence[Any]) -> None:
    """First and second derivatives along a random direction against central differences."""
    gradients = gx.grad(loss, list(wrt))
    second = sum((gx.sum(g * g) for g in gradients), start=gx.constant(0.0))
    twice = gx.grad(second, list(wrt))
    f = gx.compile(list(wrt), [loss, second, *gradients, *twice])
    rng = np.random.default_rng(3)
    arrays = [np.asarray(v, np.float64) for v in values]
    directions = [rng.uniform(-1, 1, a.shape) for a in arrays]
    step = 1e-5
    up = f(*(a + step * d for a, d in zip(arrays, directions, strict=True)))
    down = f(*(a - step * d for a, d in zip(arrays, directions, strict=True)))
    here = f(*arrays)
    n = len(wrt)
    for k, parts in ((0, here[2 : 2 + n]), (1, here[2 + n :])):
        exact = sum(float(np.sum(p * d)) for p, d in zip(parts, directions, strict=True))
        np.testing.assert_allclose(exact, (up[k] - down[k]) / (2 * step), rtol=1e-7, atol=1e-8)
    run(wrt, [loss, *gradients, *twice], *arrays)


x = gx.placeholder("x", ("n",), "float64")
s = gx.placeholder("s", (), "float64")
k = gx.placeholder("k", (), "int64")
m = gx.placeholder("m", ("n", 4), "float64")
X = np.array([0.5, -1.0, 2.0])
M = np.random.default_rng(0).normal(size=(3, 4))

# --- scan ------------------------------------------------------------------------------------------------------------


def test_a_scan_is_a_python_loop() -> None:
    last, ys = gx.scan(lambda c, v: (c * v + 1, c - v), s, x)
    c, want = 0.25, []
    for v in X:
        want.append(c - v)
        c = c * v + 1
    got = run([s, x], [last, ys], 0.25, X)
    np.testing.assert_array_equal(got[0], c)
    np.testing.assert_array_equal(got[1], want)


def test_reverse_begins_at_the_end_and_ys_stand_at_their_xs() -> None:
    last, ys = gx.scan(lambda c, v: (c + v, c + v), gx.constant(0.0), x, reverse=True)
    got = run([x], [last, ys], X)
    np.testing.assert_allclose(got[1], np.cumsum(X[::-1])[::-1])
    np.testing.assert_allclose(got[0], X.sum())


def test_trees_are_carried_and_given() -> None:
    start = {"a": s, "b": (s * 2, gx.zeros((2,)))}
    last, ys = gx.scan(lambda c, v: ({"a": c["a"] + v, "b": (c["b"][0] * v, c["b"][1] + v)}, [c["a"], None]), start, x)
    assert set(last) == {"a", "b"} and ys[1] is None
    got = run([s, x], [last["a"], last["b"][0], last["b"][1], ys[0]], 1.0, X)
    np.testing.assert_allclose(got[0], 1 + X.sum())
    np.testing.assert_allclose(got[2], [X.sum()] * 2)


def test_no_steps_give_the_start_and_nothing() -> None:
    last, ys = gx.scan(lambda c, v: (c * v, gx.stack([c, v])), s, x)
    got = run([s, x], [last, ys, *gx.grad(last * last + gx.sum(ys), [s, x])], 3.0, np.zeros(0))
    assert got[0] == 3.0
    assert got[1].shape == (0, 2)
    np.testing.assert_array_equal(got[2], 6.0)


def test_no_steps_run_no_routine() -> None:
    """One that would raise for what it never was given."""
    rows = gx.placeholder("rows", ("n", 2, 2), "float64")
    _, ys = gx.scan(lambda c, v: (c, gx.linalg.solve(v, v)), s, rows)
    (got,) = run([s, rows], [ys], 1.0, np.zeros((0, 2, 2)))
    assert got.shape == (0, 2, 2)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("unroll", [2, 3, 7, 10])
def test_unrolled_steps_are_the_same_steps(reverse: bool, unroll: int) -> None:
    q = gx.placeholder("q", (7,), "float64")

    def f(c: Any, v: Any) -> Any:
        return c * 0.5 + gx.sin(v * s), c * v

    one, other = (gx.scan(f, s, q, reverse=reverse, unroll=u) for u in (1, unroll))
    got = run([s, q], [*one, *other], 0.3, np.linspace(0, 1, 7))
    np.testing.assert_allclose(got[0], got[2], rtol=1e-14)
    np.testing.assert_allclose(got[1], got[3], rtol=1e-14)


def test_gradients_of_a_recurrent_network() -> None:
    w = gx.placeholder("w", (4, 4), "float64")
    b = gx.placeholder("b", (4,), "float64")
    h, ys = gx.scan(lambda c, v: ((n := gx.tanh(c @ w + v * b)), gx.sum(n * n)), gx.zeros((4,)), m)
    check_gradients(gx.sum(h) + gx.sum(ys * ys), [m, w, b], [M, np.eye(4) * 0.5 + 0.1, np.linspace(0.1, 1, 4)])


def test_gradients_through_products_of_matrices_are_summed_after_the_loop() -> None:
    w = gx.placeholder("w", (4, 4), "float64")
    rows = gx.placeholder("rows", ("n", 2, 4), "float64")
    h, _ = gx.scan(lambda c, v: (gx.tanh(c @ w + v), None), gx.zeros((2, 4)), rows)
    loss = gx.sum(h * h)
    values = [np.random.default_rng(1).normal(size=(3, 2, 4)), np.eye(4) * 0.5 + 0.1]
    check_gradients(loss, [rows, w], values)
    f = gx.compile([rows, w], gx.grad(loss, w))
    backward = [n for n in f.graph.nodes if isinstance(n.op.lowering, Scan) and n.attrs["reverse"]]
    assert [n.attrs["carries"] for n in backward] == [1], "the weight's gradient is no carry"


def test_a_gradient_has_one_forward_and_one_backward_loop() -> None:
    last, _ = gx.scan(lambda c, v: (gx.sin(c * v), None), s, x)
    f = gx.compile([s, x], [last, *gx.grad(last, [s, x])])
    assert sum(isinstance(n.op.lowering, Scan) for n in f.graph.nodes) == 2


def test_what_does_not_change_is_computed_before_the_loop() -> None:
    last, _ = gx.scan(lambda c, v: (c + gx.exp(s) * v, None), s, x)
    (scan,) = [n for n in ir.Graph([s, x], [last]).nodes if isinstance(n.op.lowering, Scan)]
    assert "exp" not in str(scan.attrs["body"])
    run([s, x], [last], 0.5, X)


@pytest.mark.parametrize("checkpoint", [True, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_in_segments_is_the_same_scan(checkpoint: Any, reverse: bool) -> None:
    q = gx.placeholder("q", (8,) if checkpoint is True else ("n",), "float64")
    f = lambda c, v: (gx.sin(c * v + s), c * v)
    one, other = (gx.scan(f, s, q, reverse=reverse, checkpoint=c) for c in (False, checkpoint))
    losses = [last * last + gx.sum(ys * ys) for last, ys in (one, other)]
    for n in (8,) if checkpoint is True else (0, 2, 3, 8):
        got = run([s, q], [*one, *other, *gx.grad(losses[0], [s, q]), *gx.grad(losses[1], [s, q])], 0.3, np.linspace(0, 1, n))
        for k in (0, 1):
            np.testing.assert_array_equal(got[k], got[k + 2])
            np.testing.assert_allclose(got[4 + k], got[6 + k], rtol=1e-13)


def test_a_gradient_with_checkpoints_keeps_the_root_of_the_steps() -> None:
    steps, width = 400, 200
    v = gx.placeholder("v", (width,), "float64")
    peaks, found = [], []
    for checkpoint in (False, True):
        last, _ = gx.scan(lambda c, _: (gx.sin(c) * 1.01, None), v, length=steps, checkpoint=checkpoint)
        f = gx.compile([v], gx.grad(gx.sum(last), v))
        found.append(f(np.linspace(0, 1, width)))
        peaks.append(int(f.memory.peak))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)
    assert peaks[0] > 8 * steps * width
    assert peaks[1] < peaks[0] / 5


def test_what_is_made_of_constants_and_values_from_outside_is_computed_once() -> None:
    doubled = gx.exp(s * 2.0)
    last, _ = gx.scan(lambda c, v: (gx.cond(c > 0, lambda: c + doubled * 3.0, lambda: v * 2.0), None), s, x)
    graph = ir.Graph([s, x], [last])
    (scan,) = [n for n in graph.nodes if isinstance(n.op.lowering, Scan)]
    assert "exp" not in str(scan.attrs["body"])
    assert str(graph).count("exp") == 1
    assert not any(n.type.shape for n in scan.attrs["body"].inputs), "constants stay in the body"
    run([s, x], [last], 0.5, X)


def test_variables_are_read_and_updated_around_a_loop() -> None:
    v = gx.variable(2.0, name="v")
    last, _ = gx.scan(lambda c, a: (c * v + a, None), gx.constant(0.0), x)
    for backend in ("interpreter", "llvm"):
        v.value = 2.0
        f = gx.compile([x], last, updates={v: last}, backend=backend)
        assert f([1.0, 1.0]) == 3.0 and v.value == 3.0
        assert f([1.0, 1.0]) == 4.0


# --- other loops -----------------------------------------------------------------------------------------------------


def test_fori_loop_with_fixed_symbolic_and_run_time_bounds() -> None:
    n = x.shape[0]
    got = run(
        [x, k],
        [gx.fori_loop(0, 4, lambda i, v: v * 1.5 + i, x), gx.fori_loop(1, n, lambda i, v: v + i, x),
         gx.fori_loop(0, k, lambda i, v: v * 1.5 + i, x), gx.fori_loop(5, k, lambda i, v: v * 0, x)],
        X, 4,
    )  # fmt: skip
    np.testing.assert_allclose(got[0], got[2])
    np.testing.assert_allclose(got[1], X + 3)
    np.testing.assert_allclose(got[3], X)
    check_gradients(gx.sum(gx.fori_loop(0, 3, lambda i, v: gx.sin(v) * s + i, x)), [s, x], [0.7, X])


def test_while_runs_until_it_is_done() -> None:
    root = gx.while_loop(lambda v: gx.any(gx.abs(v * v - x) > 1e-12), lambda v: 0.5 * (v + x / v), gx.ones_like(x))
    (got,) = run([x], [root], np.array([1.0, 2.0, 9.0]))
    np.testing.assert_allclose(got, [1, 2**0.5, 3])
    never = gx.while_loop(lambda v: v[0] > 10, lambda v: (v[0] * 0, v[1] + 1), (s, k))
    got = run([s, k], list(never), 1.0, 5)
    assert got == [1.0, 5]


def test_gradients_of_a_while_loop_go_through_as_many_steps_as_there_were() -> None:
    root = gx.while_loop(lambda v: gx.any(gx.abs(v * v - x) > 1e-12), lambda v: 0.5 * (v + x / v), gx.ones_like(x))
    g = gx.grad(gx.sum(root), x)
    got = run([x], [g, gx.grad(gx.sum(g), x)], np.array([1.0, 2.0, 9.0]))
    np.testing.assert_allclose(got[0], [0.5, 0.5 / 2**0.5, 1 / 6])
    np.testing.assert_allclose(got[1], [-0.25, -0.25 / 2**1.5, -0.25 / 27], rtol=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_gradients_of_a_loop_whose_steps_are_data(steps: int) -> None:
    def f(i: gx.Tensor, v: gx.Tensor) -> gx.Tensor:
        return gx.sin(v) * s

    by_data, fixed = (gx.fori_loop(0, n, f, x) for n in (k, steps))
    found = []
    for y in (by_data, fixed):
        first = gx.grad(gx.sum(y * y), [s, x])
        found += [y, *first, *gx.grad(gx.sum(first[1] * first[1]) + first[0], [s, x])]
    got = run([s, x, k], found, 0.7, X, steps)
    for one, other in zip(got[: len(got) // 2], got[len(got) // 2 :], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


def test_a_while_loop_in_a_scan_has_a_gradient() -> None:
    h, _ = gx.scan(lambda c, v: (gx.while_loop(lambda u: u < 10, lambda u: u * s + v, c) * 0.1, None), s * 0 + 1, x)
    positive = np.array([1.0, 2.0, 9.0])
    f = gx.compile([s, x], [h, *gx.grad(h, [s, x])])
    got = run([s, x], [h, *gx.grad(h, [s, x])], 1.5, positive)
    step = 1e-6
    up, down = (float(f(1.5 + d, positive)[0]) for d in (step, -step))
    np.testing.assert_allclose(got[1], (up - down) / (2 * step), rtol=1e-7)


def test_map_is_a_loop_whose_steps_are_independent() -> None:
    f = gx.map(lambda row: gx.nn.softmax(row * s), m)
    got = run([s, m], [f], 2.0, M)
    e = np.exp(2 * M)
    np.testing.assert_allclose(got[0], e / e.sum(1, keepdims=True), rtol=1e-14)
    check_gradients(gx.sum(f * f), [s, m], [2.0, M])
    compiled = gx.compile([s, m], f)
    assert any(kernel.kernel.parallel for kernel in compiled.kernels)


def test_loops_in_loops_and_choices_in_them() -> None:
    def outer(c: Any, row: Any) -> Any:
        d, _ = gx.scan(lambda u, v: (gx.tanh(u + v * s), None), c, row)
        return d, gx.cond(d > 0, lambda: d, lambda: -2 * d)

    d, e = gx.scan(outer, s * 0, m)
    check_gradients(gx.sum(e * e) + d, [s, m], [0.3, M])


def test_a_loop_over_a_routine_of_python_is_interpreted_and_says_so() -> None:
    from graphc.ir.operation import VOCABULARY
    from graphc.ops.declare import host

    twice = host("t_twice", infer=lambda v: v, reference=lambda v: v * 2)
    try:
        last, _ = gx.scan(lambda c, v: (twice(c) + v, None), s, x)
        assert run([s, x], [last], 1.0, X)[0] == ((1 * 2 + X[0]) * 2 + X[1]) * 2 + X[2]
        assert any("Python" in kernel.source for kernel in gx.compile([s, x], last).kernels)
    finally:
        del VOCABULARY["t_twice"]


def test_a_reduction_of_one_element_in_a_loop() -> None:
    column = gx.placeholder("column", ("n", "n", 1), "int16")
    start = gx.zeros_like(column)
    last, _ = gx.while_loop(
        lambda v: (v[1] < 3) & gx.all(gx.astype(v[0], "float64") < 10.0), lambda v: (v[0] + column, v[1] + 1), (start, 0)
    )
    rows, _ = gx.scan(lambda c, _: (c + gx.max(column + c, axis=2, keepdims=True), None), start, None, length=2)
    values = np.arange(9, dtype="int16").reshape(3, 3, 1)
    got = run([column], [last, rows], values)
    np.testing.assert_array_equal(got[0], 2 * values)
    np.testing.assert_array_equal(got[1], 3 * values)


# --- choice ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [4.0, -4.0, 0.0])
def test_cond_computes_one_branch(at: float) -> None:
    c = gx.cond(s > 0, lambda a: gx.sqrt(s) * a, lambda a: a * a * s, x)
    got = run([s, x], [c, *gx.grad(gx.sum(c * c), [s, x])], at, X)
    np.testing.assert_allclose(got[0], np.sqrt(at) * X if at > 0 else X * X * at)
    assert all(np.isfinite(g).all() for g in got), "no NaN out of the branch not taken"
    if at:
        check_gradients(gx.sum(c * c), [s, x], [at, X])


def test_switch_takes_the_nearest_branch() -> None:
    y = gx.switch(k, [lambda: x, lambda: x * 2, lambda: gx.flip(x)])
    for at, want in ((-3, X), (0, X), (1, 2 * X), (2, X[::-1]), (9, X[::-1])):
        np.testing.assert_array_equal(run([k, x], [y], at, X)[0], want)


# --- passes ----------------------------------------------------------------------------------------------------------


def test_passes_reach_into_bodies() -> None:
    last, _ = gx.scan(lambda c, v: (c + v * 1 + gx.log(gx.constant(1.0)) + 0 * k, None), s, x)
    f = gx.compile([s, x, k], last)
    (scan,) = [n for n in f.graph.nodes if isinstance(n.op.lowering, Scan)]
    body = str(scan.attrs["body"])
    assert "log" not in body


def test_what_nobody_reads_is_taken_out() -> None:
    (a, _, _), (ys, _) = gx.scan(lambda c, v: ((c[0] + v, c[1] * v, c[2]), (c[0] + c[2], gx.exp(v))), (s, s, s), x)
    f = gx.compile([s, x], [a, ys])
    (scan,) = [n for n in f.graph.nodes if isinstance(n.op.lowering, Scan)]
    assert (scan.attrs["carries"], len(scan.attrs["body"].outputs), len(scan.inputs)) == (1, 2, 3)
    run([s, x], [a, ys], 0.5, X)


def test_a_carry_of_a_while_loop_that_nobody_reads_goes() -> None:
    done, _ = gx.while_loop(lambda v: v[0] < 10, lambda v: (v[0] * 2 + 1, v[1] * v[0]), (s, s))
    f = gx.compile([s], done)
    (loop,) = [n for n in f.graph.nodes if isinstance(n.op.lowering, While)]
    assert loop.attrs["carries"] == 1
    run([s], [done], 0.5)


def test_sizes_become_known_inside_bodies_too() -> None:
    last, _ = gx.scan(lambda c, v: (c + v, None), gx.zeros((4,)), m)
    f = gx.compile([m], last, passes=(gx.passes.specialize(n=3), *gx.passes.DEFAULT))
    np.testing.assert_allclose(f(M), M.sum(0))


def test_a_million_steps_take_no_memory() -> None:
    (last, _), _ = gx.scan(lambda c, _: ((c[0] * 0.5 + 1, c[1] + c[0]), None), (s, s), None, length=1_000_000)
    f = gx.compile([s], last)
    assert f(0.0) == 2.0
    assert isinstance(f.memory.peak, int) and f.memory.peak < 4096


# --- wrong use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_sizes_that_a_body_cannot_take_are_refused_before_anything_runs(backend: str) -> None:
    last, _ = gx.scan(lambda c, v: (c + gx.max(x), None), s, None, length=2)
    chosen = gx.cond(s > 0, lambda: gx.max(x), lambda: s)
    for y in (gx.scan(lambda c, v: (c + gx.max(x * c), None), s, None, length=2)[0], last, chosen):
        with pytest.raises(gx.errors.ShapeError, match="max"):
            gx.compile([s, x], y, backend=backend)(1.0, np.zeros(0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: gx.scan(lambda c, v: (c + 1, None), gx.constant(0), None), "no sequence, and no length"),
        (lambda: gx.scan(lambda c, v: c, s, x), "must give \\(carry, y\\)"),
        (lambda: gx.scan(lambda c, v: (gx.astype(c, "float32"), None), s, x), "carry is f64\\[\\], the body gives f32\\[\\]"),
        (lambda: gx.scan(lambda c, v: ((c, c), None), s, x), "the body gives"),
        (lambda: gx.scan(lambda c, v: (gx.stack([c, c]), None), s, x), "carry is f64\\[\\], the body gives f64\\[2\\]"),
        (lambda: gx.scan(lambda c, v: (c, None), s, s), "scan over f64\\[\\]"),
        (lambda: gx.scan(lambda c, v: (c, None), s, x, length=3), "has n steps, not 3"),
        (lambda: gx.scan(lambda c, v: (c, None), s, x, checkpoint=True), "checkpoint=True of n steps"),
        (lambda: gx.scan(lambda c, v: (c, None), s, x, checkpoint=-2), "checkpoint=-2"),
        (lambda: gx.while_loop(lambda v: v, lambda v: v, s), "the condition must be one boolean"),
        (lambda: gx.cond(x > 0, lambda: s, lambda: s), "cond: the condition must be one boolean"),
        (lambda: gx.cond(s > 0, lambda: s, lambda: x), "a branch's result is f64"),
        (lambda: gx.switch(s, [lambda: s]), "the index must be one integer"),
        (lambda: gx.switch(k, []), "no branches"),
    ],
)
def test_wrong_use_is_refused_when_declared(wrong: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        wrong()
    assert caught.value.where is not None and "test_control.py" in caught.value.where.file


def test_a_scan_keeps_what_is_made_of_a_product_in_place_of_it() -> None:
    """The gradient reads tanh alone: not the product, and not the sequence that is added to it."""
    z = gx.placeholder("z", (5, 3, 4), "float64")
    u = gx.placeholder("u", (4, 4), "float64")
    _, ys = gx.scan(lambda c, x: (gx.tanh(c @ u + x),) * 2, gx.zeros((3, 4)), z)
    loss = gx.sum(ys * ys)
    f = gx.compile([z, u], [loss, *gx.grad(loss, [z, u])])
    forward, backward = (n for n in f.graph.nodes if isinstance(n.op.lowering, Scan))
    slices = backward.inputs[backward.attrs["carries"] :][: backward.attrs["sequences"]]
    assert not any(n.op.name == "input" for n in slices)
    assert len(forward.attrs["body"].outputs) - forward.attrs["carries"] == 2  # tanh, and the carry before
    check_gradients(loss, [z, u], [np.linspace(-1, 1, 60).reshape(5, 3, 4), np.linspace(-1, 1, 16).reshape(4, 4)])


def test_a_scan_keeps_dear_values_where_they_are_few() -> None:
    """Of a recurrent layer the gates after their sigmoids; of many exponentials only what the step began with."""

    def backward_of(step: Any, *inputs: Any) -> set[str]:
        last, _ = gx.scan(step, gx.zeros((3, 4)), inputs[0])
        loss = gx.sum(last * last)
        gradients = gx.grad(loss, list(inputs))
        shapes = [tuple(n if isinstance(n, int) else 3 for n in x.shape) for x in inputs]
        check_gradients(loss, list(inputs), [np.linspace(-0.5, 0.6, int(np.prod(s))).reshape(s) for s in shapes])
        f = gx.compile(list(inputs), [loss, *gradients])
        _, backward = (n for n in f.graph.nodes if isinstance(n.op.lowering, Scan))
        return {n.op.name for n in backward.attrs["body"].nodes}

    z, u = gx.placeholder("z", (5, 3, 4), "float64"), gx.placeholder("u", (4, 4), "float64")
    gated = lambda c, x: (gx.sigmoid(c @ u) * x + gx.tanh(c @ u + x),) * 2
    assert not backward_of(gated, z, u) & {"sigmoid", "tanh"}

    def many(c: Any, x: Any) -> Any:
        for _ in range(4):
            c = gx.exp(-c * c) + x
        return c, c

    assert "exp" in backward_of(many, z)


def test_a_scan_writes_over_a_sequence_that_ends_there() -> None:
    """Even where what it writes is read again in the same step."""
    z = gx.placeholder("z", (40, 3, 4), "float32")
    u = gx.placeholder("u", (4, 4), "float32")

    def step(c: Any, x: Any) -> Any:
        sums = c @ u + x
        return gx.tanh(sums), sums

    last, ys = gx.scan(step, gx.zeros((3, 4), "float32"), z * 2)
    loss = gx.sum(last) + gx.sum(ys * ys)
    outputs = [loss, *gx.grad(loss, [u])]
    f = gx.compile([z, u], outputs)
    assert any(p.mode == "inout" and p.type.shape == (40, 12) for k in f.kernels for p in k.kernel.params)
    run([z, u], outputs, np.linspace(-1, 1, 480, dtype="f").reshape(40, 3, 4), np.linspace(-1, 1, 16, dtype="f").reshape(4, 4))
