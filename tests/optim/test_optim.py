"""gx.optim against plain NumPy loops over the formulas of the papers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import graphc as gx
from graphc.optim import schedules

Array = np.ndarray[Any, Any]
BACKENDS = ("interpreter", "llvm")
STEPS = 25

A = np.random.default_rng(0).normal(size=(6, 4))
B = np.random.default_rng(1).normal(size=(6, 3))
W0 = np.random.default_rng(2).normal(size=(4, 3))
C0 = np.random.default_rng(3).normal(size=3)


def residual(w: Array, c: Array) -> Array:
    return A @ w + c - B


def numpy_gradients(w: Array, c: Array) -> list[Array]:
    r = residual(w, c)
    return [A.T @ r, r.sum(axis=0)]


def clipped(gradients: list[Array], limit: float | None) -> list[Array]:
    if limit is None:
        return gradients
    norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
    return [g * min(1.0, limit / norm) for g in gradients]


Rule = Callable[[Array, Array, float, int, dict[str, Array]], Array]


def sgd(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    return w - lr * g


def momentum(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["m"] = 0.8 * s["m"] + g
    return w - lr * s["m"]


def nesterov(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["m"] = 0.8 * s["m"] + g
    return w - lr * (g + 0.8 * s["m"])


def rmsprop(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["v"] = 0.7 * s["v"] + 0.3 * g**2
    return w - lr * g / (np.sqrt(s["v"]) + 1e-8)


def adam(w: Array, g: Array, lr: float, t: int, s: dict[str, Array], decay: float = 0.0) -> Array:
    s["m"] = 0.9 * s["m"] + 0.1 * g
    s["v"] = 0.99 * s["v"] + 0.01 * g**2
    mean, square = s["m"] / (1 - 0.9**t), s["v"] / (1 - 0.99**t)
    return w - lr * mean / (np.sqrt(square) + 1e-8) - lr * decay * w


def adamw(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    return adam(w, g, lr, t, s, decay=0.1)


def adagrad(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["v"] = (0.1 if t == 1 else s["v"]) + g**2
    return w - lr * g / (np.sqrt(s["v"]) + 1e-10)


def adadelta(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["v"] = 0.7 * s["v"] + 0.3 * g**2
    change = g * np.sqrt(s["m"] + 1e-3) / np.sqrt(s["v"] + 1e-3)
    s["m"] = 0.7 * s["m"] + 0.3 * change**2
    return w - lr * change


def adamax(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["m"] = 0.9 * s["m"] + 0.1 * g
    s["v"] = np.maximum(0.7 * s["v"], abs(g))
    return w - lr / (1 - 0.9**t) * s["m"] / (s["v"] + 1e-8)


def nadam(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["m"] = 0.9 * s["m"] + 0.1 * g
    s["v"] = 0.99 * s["v"] + 0.01 * g**2
    ahead = 0.9 * s["m"] / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
    return w - lr * ahead / (np.sqrt(s["v"] / (1 - 0.99**t)) + 1e-8)


def lamb(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    s["m"] = 0.9 * s["m"] + 0.1 * g
    s["v"] = 0.99 * s["v"] + 0.01 * g**2
    change = s["m"] / (1 - 0.9**t) / (np.sqrt(s["v"] / (1 - 0.99**t)) + 1e-6) + 0.1 * w
    return w - lr * np.linalg.norm(w) / np.linalg.norm(change) * change


def lion(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    change = np.sign(0.9 * s["m"] + 0.1 * g)
    s["m"] = 0.99 * s["m"] + 0.01 * g
    return w - lr * (change + 0.1 * w)


def rprop(w: Array, g: Array, lr: float, t: int, s: dict[str, Array]) -> Array:
    turn = np.sign(s["m"] * g)
    size = np.full_like(w, lr) if t == 1 else s["v"]
    s["v"] = np.clip(size * np.where(turn > 0, 1.3, np.where(turn < 0, 0.5, 1)), 1e-6, 50)
    s["m"] = np.where(turn < 0, 0, g)
    return w - np.sign(s["m"]) * s["v"]


CASES: list[tuple[str, dict[str, float], Rule]] = [
    ("sgd", {}, sgd),
    ("momentum", {"beta": 0.8}, momentum),
    ("nesterov", {"beta": 0.8}, nesterov),
    ("rmsprop", {"decay": 0.7}, rmsprop),
    ("adam", {"beta2": 0.99}, adam),
    ("adamw", {"beta2": 0.99, "weight_decay": 0.1}, adamw),
    ("adagrad", {"initial": 0.1}, adagrad),
    ("adadelta", {"decay": 0.7, "eps": 1e-3}, adadelta),
    ("adamax", {"beta2": 0.7}, adamax),
    ("nadam", {"beta2": 0.99}, nadam),
    ("lamb", {"beta2": 0.99, "weight_decay": 0.1}, lamb),
    ("lion", {"weight_decay": 0.1}, lion),
    ("rprop", {"grow": 1.3}, rprop),
]


def numpy_loop(rule: Rule, rate: Callable[[int], float], limit: float | None) -> Iterator[tuple[float, list[Array]]]:
    """The loss before each step and the variables after it."""
    values = [W0, C0]
    states = [{"m": np.zeros_like(v), "v": np.zeros_like(v)} for v in values]
    for step in range(STEPS):
        loss = float((residual(*values) ** 2).sum() / 2)
        gradients = clipped(numpy_gradients(*values), limit)
        values = [rule(v, g, rate(step), step + 1, s) for v, g, s in zip(values, gradients, states, strict=True)]
        yield loss, values


def problem(dtype: str = "float64") -> tuple[gx.Tensor, list[gx.Variable]]:
    w, c = gx.variable(W0.astype(dtype), name="w"), gx.variable(C0.astype(dtype), name="c")
    r = gx.constant(A, dtype) @ w + c - gx.constant(B, dtype)
    return 0.5 * gx.sum(r * r), [w, c]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("limit", [None, 3.0])
@pytest.mark.parametrize("name, options, rule", CASES, ids=[c[0] for c in CASES])
def test_optimiser_is_its_formula(name: str, options: dict[str, float], rule: Rule, limit: float | None, backend: str) -> None:
    loss, variables = problem()
    updates = getattr(gx.optim, name)(loss, variables, lr=0.03, clip_norm=limit, **options)
    step = gx.compile([], loss, updates=updates, backend=backend)
    for want_loss, want in numpy_loop(rule, lambda _: 0.03, limit):
        np.testing.assert_allclose(step(), want_loss, rtol=1e-10)
        for v, value in zip(variables, want, strict=True):
            np.testing.assert_allclose(v.value, value, rtol=1e-10, atol=1e-12)


def test_clipping_bites_in_these_tests() -> None:
    reached = [values for _, values in numpy_loop(sgd, lambda _: 0.03, None)]
    norms = [math.sqrt(sum(float((g * g).sum()) for g in numpy_gradients(*values))) for values in reached]
    assert norms[0] > 3.0 > norms[-1]


@pytest.mark.parametrize("name", [c[0] for c in CASES])
def test_float32_variables_stay_float32(name: str) -> None:
    loss, variables = problem("float32")
    updates = getattr(gx.optim, name)(loss, variables, lr=schedules.cosine(0.03, 10))
    assert all(new.type == v.type for v, new in updates.items())
    step = gx.compile([], loss, updates=updates, backend="interpreter")
    first = step()
    for _ in range(10):
        last = step()
    assert last < first


def test_names_of_state() -> None:
    loss, variables = problem()
    moments = [f"{w}.adam.{m}" for w in "wc" for m in "mv"]
    assert [v.name for v in gx.optim.adam(loss, variables)] == ["w.adam.step", *moments[:2], "w", *moments[2:], "c"]
    assert [v.name for v in gx.optim.momentum(loss, variables)] == ["w.momentum.m", "w", "c.momentum.m", "c"]
    assert [v.name for v in gx.optim.rmsprop(loss, variables, name="slow")] == ["w.slow.v", "w", "c.slow.v", "c"]
    assert [v.name for v in gx.optim.sgd(loss, variables, lr=schedules.constant(0.1))] == ["w.sgd.step", "w", "c"]
    assert [v.name for v in gx.optim.sgd(loss, variables)] == ["w", "c"]
    with pytest.raises(gx.errors.InputError, match="is not a name"):
        gx.optim.adam(loss, variables, name="two\nlines")


def test_optimisers_of_one_variable_are_told_apart() -> None:
    loss, variables = problem()
    updates = {**gx.optim.adam(loss, variables), **gx.optim.adam(2 * loss, variables), **gx.optim.adam(loss, variables, name="b")}
    named = gx.compile([], loss, updates=updates, backend="interpreter").variables
    assert list(named)[:2] == ["w", "c"] and len(named) == 2 + 3 * 5
    assert {"w.adam.step", "w.adam.step_1", "w.adam.m", "w.adam.m_1", "w.b.m", "c.b.v"} <= set(named)


@pytest.mark.parametrize("name, options, rule", CASES, ids=[c[0] for c in CASES])
def test_learning_rate_by_schedule_symbol_and_number_agree(name: str, options: dict[str, float], rule: Rule) -> None:
    def rate(step: int) -> float:
        return 0.05 * 0.5 ** (step / 10)

    loss, variables = problem()
    updates = getattr(gx.optim, name)(loss, variables, lr=schedules.exponential(0.05, 0.5, steps=10), **options)
    by_schedule = gx.compile([], loss, updates=updates, backend="interpreter")
    loss2, variables2 = problem()
    lr = gx.placeholder("lr", (), "float64")
    updates2 = getattr(gx.optim, name)(loss2, variables2, lr=lr, **options)
    by_symbol = gx.compile([lr], loss2, updates=updates2, backend="interpreter")
    for step, (want_loss, want) in enumerate(numpy_loop(rule, rate, None)):
        np.testing.assert_allclose(by_schedule(), want_loss, rtol=1e-10)
        np.testing.assert_allclose(by_symbol(rate(step)), want_loss, rtol=1e-10)
        for v, u, value in zip(variables, variables2, want, strict=True):
            np.testing.assert_allclose(v.value, value, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(u.value, value, rtol=1e-10, atol=1e-12)


TORCH: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("momentum", "SGD", {"beta": 0.8}, {"momentum": 0.8}),
    ("nesterov", "SGD", {"beta": 0.8}, {"momentum": 0.8, "nesterov": True}),
    ("rmsprop", "RMSprop", {"decay": 0.7}, {"alpha": 0.7}),
    ("adam", "Adam", {}, {}),
    ("adamw", "AdamW", {"weight_decay": 0.1}, {"weight_decay": 0.1}),
    ("adagrad", "Adagrad", {"initial": 0.1}, {"initial_accumulator_value": 0.1}),
    ("adadelta", "Adadelta", {"decay": 0.8}, {"rho": 0.8}),
    ("adamax", "Adamax", {"eps": 1e-14}, {"eps": 1e-14}),
    ("rprop", "Rprop", {}, {}),
]


@pytest.mark.parametrize("name, theirs, options, their_options", TORCH, ids=[c[0] for c in TORCH])
def test_optimiser_is_torchs(name: str, theirs: str, options: dict[str, Any], their_options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    loss, variables = problem()
    step = gx.compile([], loss, updates=getattr(gx.optim, name)(loss, variables, lr=0.03, **options), backend="interpreter")
    w, c = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (W0, C0))
    other = getattr(torch.optim, theirs)([w, c], lr=0.03, **their_options)
    for _ in range(STEPS):
        other.zero_grad()
        r = torch.tensor(A) @ w + c - torch.tensor(B)
        (0.5 * (r * r).sum()).backward()
        other.step()
        step()
        for v, t in zip(variables, (w, c), strict=True):
            np.testing.assert_allclose(v.value, t.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_lamb_moves_what_is_zero() -> None:
    w = gx.variable(np.zeros(3), name="w")
    step = gx.compile([], [], updates=gx.optim.lamb(gx.sum((w - 1) ** 2), [w], lr=0.25), backend="interpreter")
    step()
    np.testing.assert_allclose(w.value, 0.25, rtol=1e-5)


# --- schedules -------------------------------------------------------------------------------------------------------

SCHEDULES: list[tuple[str, Any, Callable[[int], float]]] = [
    ("constant", schedules.constant(0.3), lambda s: 0.3),
    ("linear", schedules.linear(1.0, 0.2, 8), lambda s: 1.0 - 0.8 * min(s / 8, 1)),
    ("cosine", schedules.cosine(1.0, 8, end=0.1), lambda s: 0.1 + 0.45 * (1 + math.cos(math.pi * min(s / 8, 1)))),
    ("exponential", schedules.exponential(2.0, 0.9, 3), lambda s: 2 * 0.9 ** (s / 3)),
    ("staircase", schedules.exponential(2.0, 0.9, 3, staircase=True), lambda s: 2 * 0.9 ** (s // 3)),
    ("piecewise", schedules.piecewise([3, 6], [1.0, 0.5, 0.1]), lambda s: 1.0 if s < 3 else 0.5 if s < 6 else 0.1),
    ("warmup", schedules.warmup(4, 0.8), lambda s: 0.8 * min((s + 1) / 4, 1)),
    (
        "warmup, then linear", schedules.warmup(4, schedules.linear(1.0, 0.0, 10)),
        lambda s: min((s + 1) / 4, 1) * (1 - min(max(s - 4, 0) / 10, 1)),
    ),
]  # fmt: skip


@pytest.mark.parametrize("name, schedule, formula", SCHEDULES, ids=[s[0] for s in SCHEDULES])
def test_schedule_is_its_formula(name: str, schedule: Any, formula: Callable[[int], float]) -> None:
    step = gx.placeholder("step", (), "int64")
    symbol = schedule(step)
    assert str(symbol.type) == "f64[]"
    rate = gx.compile([step], symbol, backend="interpreter")
    for s in range(20):
        assert float(rate(s)) == pytest.approx(formula(s), rel=1e-14, abs=1e-15)


# --- global norm -----------------------------------------------------------------------------------------------------


def test_global_norm_and_clipping() -> None:
    xs = [gx.constant([3.0, 0.0]), gx.constant([[4.0]]), gx.constant([12.0])]
    assert float(gx.optim.global_norm(xs).eval()) == 13.0
    small = gx.optim.clip_by_global_norm(xs, 14.0)
    assert [x.eval().tolist() for x in small] == [[3.0, 0.0], [[4.0]], [12.0]]
    np.testing.assert_allclose(gx.optim.global_norm(gx.optim.clip_by_global_norm(xs, 1.0)).eval(), 1.0, rtol=1e-15)
    zeros = gx.optim.clip_by_global_norm([gx.constant([0.0, 0.0])], 1.0)
    assert zeros[0].eval().tolist() == [0.0, 0.0]


def test_clipping_keeps_each_dtype() -> None:
    a, b = gx.placeholder("a", (2,), "float32"), gx.placeholder("b", (2,), "float64")
    assert [str(x.type) for x in gx.optim.clip_by_global_norm([a, b], 1.0)] == ["f32[2]", "f64[2]"]


# --- wrong use -------------------------------------------------------------------------------------------------------


def test_wrong_use_says_what_to_do() -> None:
    loss, (w, _) = problem()
    x = gx.placeholder("x", (2,))
    with pytest.raises(gx.errors.InputError, match="adam: only variables can be trained"):
        gx.optim.adam(loss, [x])  # type: ignore[list-item]
    with pytest.raises(gx.errors.InputError, match="sgd: a variable is listed twice"):
        gx.optim.sgd(loss, [w, w])
    with pytest.raises(gx.errors.InputError, match="sgd: lr must be a number") as caught:
        gx.optim.sgd(loss, [w], lr=x)
    assert caught.value.where is not None
    assert caught.value.where.file == __file__
    with pytest.raises(gx.errors.GradientError, match="grad needs a scalar"):
        gx.optim.sgd(w * w, [w])
    with pytest.raises(gx.errors.InputError, match="rising boundaries"):
        schedules.piecewise([3, 1], [1.0, 0.5, 0.1])
    with pytest.raises(gx.errors.InputError, match="steps must be a positive integer"):
        schedules.cosine(0.1, 0)
    with pytest.raises(gx.errors.InputError, match="at least one tensor"):
        gx.optim.global_norm([])


# --- L-BFGS ----------------------------------------------------------------------------------------------------------


def rosenbrock(x: gx.Tensor) -> gx.Tensor:
    return gx.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize(("dtype", "tolerance", "near"), [("float64", 1e-8, 1e-8), ("float32", 1e-3, 1e-4)])
def test_minimize_finds_the_bottom_of_rosenbrock_s_valley(dtype: str, tolerance: float, near: float) -> None:
    x = gx.placeholder("x", ("n",), dtype)
    run = gx.compile([x], list(gx.optim.minimize(rosenbrock, x, steps=300, tolerance=tolerance)))
    for start in (np.array([-1.2, 1.0] * 5), np.zeros(4)):
        point, value, gradient, steps, evaluations, converged = run(start.astype(dtype))
        assert point.dtype == dtype and np.allclose(point, 1, atol=near) and value < near
        assert converged and np.abs(gradient).max() <= tolerance
        assert steps < 150 and evaluations < 2 * steps


def test_minimize_in_the_interpreter_and_from_the_minimum() -> None:
    found = gx.optim.minimize(lambda v: gx.sum((v - 3) ** 2), gx.constant([3.0, 3.0]))
    values = gx.compile([], list(found), backend="interpreter")()
    assert values[0].tolist() == [3.0, 3.0] and values[3] == 0 and values[4] == 1 and values[5]


def test_minimize_ends_where_nothing_is_better() -> None:
    """A function without a minimum uses up its steps; one of NaN stops at once; one that float32 cannot lower stops."""
    line = gx.optim.minimize(lambda v: -gx.sum(v), gx.constant([1.0]), steps=10)
    assert not line.converged.eval() and line.steps.eval() == 10
    lost = gx.optim.minimize(lambda v: gx.sum(gx.log(v)), gx.constant([-1.0]))
    assert not lost.converged.eval() and lost.evaluations.eval() == 1 and lost.x.eval().tolist() == [-1.0]
    start = gx.constant(np.array([1.0, -2.0], "float32"))
    fine = gx.optim.minimize(lambda v: gx.sum(gx.exp(v) + gx.exp(-3 * v)), start, tolerance=0.0, steps=1000)
    assert fine.steps.eval() < 1000 and np.allclose(fine.x.eval(), np.log(3) / 4, atol=1e-3)


def test_a_step_never_leaves_where_the_function_is_finite() -> None:
    found = gx.optim.minimize(lambda v: gx.sum(v - gx.log(v)), gx.constant([1e-3, 50.0]), tolerance=1e-7)
    assert np.allclose(found.x.eval(), 1, atol=1e-6) and found.converged.eval()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-5)])
def test_lbfgs_of_a_logistic_regression_is_scipy_s_minimum(dtype: str, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 5))
    labels = (rng.random(200) < 1 / (1 + np.exp(-inputs @ rng.normal(size=5)))).astype(float)

    def objective(p: Array) -> tuple[float, Array]:
        z = inputs @ p[:5] + p[5]
        r = (1 / (1 + np.exp(-z)) - labels) / len(z)
        value = np.mean(np.logaddexp(0, z) - labels * z) + 0.01 * np.sum(p[:5] ** 2)
        return value, np.append(inputs.T @ r + 0.02 * p[:5], r.sum())

    want = optimize.minimize(objective, np.zeros(6), jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-10})
    w, b = gx.variable(np.zeros(5, dtype), name="w"), gx.variable(np.zeros((), dtype), name="b")
    x, t = gx.placeholder("x", ("n", 5), dtype), gx.placeholder("t", ("n",), dtype)
    loss = gx.nn.binary_cross_entropy(x @ w + b, t) + 0.01 * gx.sum(w * w)
    updates = gx.optim.lbfgs(loss, [w, b], steps=4, history=5, tolerance=tolerance)
    step = gx.compile([x, t], loss, updates=updates)
    assert set(step.variables) == {"w", "b", "w.lbfgs.s", "w.lbfgs.y", "w.lbfgs.rho"}
    values = [float(step(inputs.astype(dtype), labels.astype(dtype))) for _ in range(8)]
    assert all(b <= a for a, b in itertools.pairwise(values))  # every call begins where the last one ended
    near = 1e-9 if dtype == "float64" else 1e-6
    assert abs(values[-1] - want.fun) < near and np.allclose(np.append(w.value, b.value), want.x, atol=1e3 * near)


def test_lbfgs_trains_a_physics_informed_network() -> None:
    """u'' = -u with u(0) = 0 and u'(0) = 1: the derivatives of a network are in the loss, and the solution is a sine."""
    rng = np.random.default_rng(1)
    w1, b1 = gx.variable(rng.normal(size=(1, 16)), name="w1"), gx.variable(rng.normal(size=16), name="b1")
    w2 = gx.variable(rng.normal(size=(16, 1)) / 4, name="w2")

    def u(t: gx.Tensor) -> gx.Tensor:
        return (gx.tanh(t[:, None] @ w1 + b1) @ w2)[:, 0]

    t = gx.constant(np.linspace(0, 3, 30))
    speed = gx.grad(gx.sum(u(t)), t)
    force = gx.grad(gx.sum(speed), t)
    loss = gx.mean((force + u(t)) ** 2) + u(t)[0] ** 2 + (speed[0] - 1) ** 2
    step = gx.compile([], [loss, u(t)], updates=gx.optim.lbfgs(loss, [w1, b1, w2], steps=400, tolerance=1e-6))
    first, _ = step()
    last, found = step()
    assert last < 1e-4 < 0.1 < first and np.allclose(found, np.sin(np.linspace(0, 3, 30)), atol=0.02)


def test_lbfgs_keeps_the_types_of_its_variables() -> None:
    a, b = gx.variable(np.array([3.0], "float16"), name="a"), gx.variable(np.array([-2.0], "float32"), name="b")
    loss = gx.sum(gx.astype(a, "float32") ** 2) + gx.sum((b - 1) ** 2)
    updates = gx.optim.lbfgs(loss, [a, b])
    gx.compile([], loss, updates=updates)()
    assert a.value.dtype == np.float16 and abs(float(a.value[0])) < 1e-3 and abs(float(b.value[0]) - 1) < 1e-5
    assert gx.optim.lbfgs(loss, []) == {}


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda w: gx.optim.lbfgs(gx.sum(w), [w], steps=0), "steps must be at least 1"),
        (lambda w: gx.optim.lbfgs(gx.sum(w), [w], history=1.5), "history must be an integer"),
        (lambda w: gx.optim.lbfgs(gx.sum(w), [w, w]), "listed twice"),
        (lambda w: gx.optim.minimize(lambda x: gx.sum(x), gx.constant([1])), "float32 or float64"),
        (lambda w: gx.optim.minimize(3, gx.constant([1.0])), "must be a function"),
        (lambda w: gx.optim.minimize(lambda x: x, gx.constant([1.0, 2.0])), "value_and_grad|grad"),
    ],
)
def test_wrong_use_of_lbfgs(act: Callable[..., Any], message: str) -> None:
    with pytest.raises(gx.GraphError, match=message) as caught:
        act(gx.variable([1.0], name="w"))
    assert "test_optim.py" in str(caught.value)
