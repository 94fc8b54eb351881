"""The workloads of benchmarks/ at tiny sizes, as graphc runs them: against the interpreter, and against NumPy formulas.

No peer is needed. Of a training step the reference is the loss alone: its gradient is checked along random directions by central
differences, its update by the loss after it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from benchmarks import conductor, report, worker
from benchmarks.workload import CONTENDERS, Row, Workload, difference
from benchmarks.workloads import (
    BANDWIDTH,
    PEAK,
    ROWS,
    Shape,
    argsort,
    attention,
    black_scholes,
    bodies,
    chain,
    cnn,
    cumulative_sum,
    draws,
    factors,
    gather,
    gpt,
    heat,
    layer,
    layer_norm,
    logistic,
    lorenz,
    lstm,
    lyapunov,
    matmul,
    minilm,
    mlp,
    newton,
    next_token,
    normal_numbers,
    one_channel,
    reduction,
    resnet,
    ring,
    scalar_call,
    scatter_add,
    searchsorted,
    separable,
    small_matrices,
    softmax,
    solve,
    sort,
    tanh_exp,
    top_k,
    transpose,
    u_net,
    unique,
)  # fmt: skip
from benchmarks.workloads.cnn import CNN, POOLED, SEPARABLE
from benchmarks.workloads.simulations import STEP
from benchmarks.workloads.training import EPS, RATE, SPEED

Array = np.ndarray[Any, Any]
erf = np.vectorize(math.erf, otypes=[float])


SMALL = Shape(layers=1, width=8, heads=2, time=6, vocabulary=11)


# --- formulas --------------------------------------------------------------------------------------------------------


def formula_black_scholes(spot: Array, strike: Array, years: Array, rate: Array, vol: Array) -> list[Array]:
    """The closed forms of price, delta, gamma, vega."""
    below = lambda x: 0.5 * (1 + erf(x / math.sqrt(2)))
    deviation = vol * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + vol**2 / 2) * years) / deviation
    bell = np.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    price = spot * below(d1) - strike * np.exp(-rate * years) * below(d1 - deviation)
    return [price, below(d1), bell / (spot * deviation), spot * bell * np.sqrt(years)]


def rows_softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_pulled(y: Array, g: Array) -> Array:
    return y * (g - (y * g).sum(-1, keepdims=True))


def formula_softmax(x: Array, g: Array) -> list[Array]:
    y = rows_softmax(x)
    return [y, softmax_pulled(y, g)]


def normed(x: Array) -> tuple[Array, Array]:
    off = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((off * off).mean(-1, keepdims=True) + 1e-5)
    return off / deviation, deviation


def formula_layer_norm(x: Array, w: Array, b: Array, g: Array) -> list[Array]:
    z, deviation = normed(x)
    h = g * w
    pulled = (h - h.mean(-1, keepdims=True) - z * (h * z).mean(-1, keepdims=True)) / deviation
    return [z * w + b, pulled, (g * z).sum(0), g.sum(0)]


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def attended(q: Array, k: Array, v: Array) -> tuple[Array, Array]:
    time = q.shape[-2]
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    p = rows_softmax(np.where(np.tril(np.ones((time, time), bool)), scores, -np.inf))
    return p @ v, p


def formula_attention(q: Array, k: Array, v: Array, g: Array) -> list[Array]:
    y, p = attended(q, k, v)
    scores = softmax_pulled(p, g @ v.swapaxes(-1, -2)) / math.sqrt(q.shape[-1])
    return [y, scores @ k, scores.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g]


def formula_logistic(data: Array, group: Array, y: Array, beta: Array, alpha: Array, spread: Array) -> list[Array]:
    eta = data @ beta + alpha[group]
    off = y - 1 / (1 + np.exp(-eta))
    squares = (alpha * alpha).sum() * np.exp(-2 * spread)
    value = (y * eta - np.log1p(np.exp(eta))).sum() - 0.5 * ((beta**2).sum() + squares + spread**2) - alpha.size * spread
    by_alpha = np.bincount(group, off, alpha.size) - alpha * np.exp(-2 * spread)
    return [value, data.T @ off - beta, by_alpha, squares - spread - alpha.size]


def formula_heat(steps: int, u: Array) -> list[Array]:
    for _ in range(steps):
        around = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
        inside = np.zeros_like(u)
        inside[1:-1, 1:-1] = 1
        u = inside * (u + 0.1 * (around - 4 * u))
    return [u]


def formula_bodies(mass: Array, *state: Array) -> list[Array]:
    places, speeds = np.stack(state[:3], 1), np.stack(state[3:], 1)
    force = np.zeros_like(places)
    for i in range(len(mass)):
        for j in range(len(mass)):
            d = places[j] - places[i]
            force[i] += mass[j] * d / (d @ d + 1e-2) ** 1.5
    speeds = speeds + STEP * force
    return [*(places + STEP * speeds).T, *speeds.T]


def formula_chain(x: Array) -> list[Array]:
    y = x
    for _ in range(10):
        y = y * 0.999 + x
    return [y]


# (workload, its formula)
def convolved(x: Array, w: Array, stride: int, pads: tuple[int, int], groups: int = 1) -> Array:
    """Of images [n, h, w, in] with kernels [k, k, in / groups, out]."""
    x = np.pad(x, ((0, 0), pads, pads, (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    parts = [
        np.einsum("nhwcij,ijco->nhwo", s, k, optimize=True)
        for s, k in zip(np.split(seen, groups, 3), np.split(w, groups, 3), strict=True)
    ]  # fmt: skip
    return np.concatenate(parts, 3)


def same(x: Array, w: Array, stride: int, groups: int = 1) -> Array:
    total = max((-(-x.shape[1] // stride) - 1) * stride + w.shape[0] - x.shape[1], 0)
    return convolved(x, w, stride, (total // 2, total - total // 2), groups)


def formula_resnet(x: Array, p: Mapping[str, Array]) -> list[Array]:
    conv = lambda h, name, stride, pad: convolved(h, p[f"{name}.w"], stride, (pad, pad)) + p[f"{name}.b"]
    relu = lambda h: np.maximum(h, 0)
    h = np.pad(relu(conv(x, "stem", 2, 3)), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    h = np.lib.stride_tricks.sliding_window_view(h, (3, 3), axis=(1, 2))[:, ::2, ::2].max((4, 5))
    for stage in range(4):
        for block in range(2):
            name, stride = f"s{stage}.{block}", 2 if stage and not block else 1
            y = conv(relu(conv(h, f"{name}.one", stride, 1)), f"{name}.two", 1, 1)
            h = relu(y + (conv(h, f"{name}.skip", stride, 0) if f"{name}.skip.w" in p else h))
    return [h.mean((1, 2)) @ p["head.w"] + p["head.b"]]


def formula_u_net(x: Array, p: Mapping[str, Array]) -> list[Array]:
    """Of two widths."""
    relu = lambda h: np.maximum(h, 0)
    layer = lambda h, name: relu(same(h, p[f"{name}.w"], 1) + p[f"{name}.b"])
    outer = layer(layer(x, "down0.0"), "down0.1")
    n, height, width, channels = outer.shape
    halved = outer.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
    inner = layer(layer(halved, "down1.0"), "down1.1")
    joined = np.concatenate([inner.repeat(2, axis=1).repeat(2, axis=2), outer], axis=3)
    return [layer(layer(joined, "up0.0"), "up0.1") @ p["head.w"][0, 0] + p["head.b"]]


def formula_next_token(shape: Shape, token: Array, before: Array, p: Mapping[str, Array]) -> list[Array]:
    """Of one block."""
    dense = lambda x, name: x @ p[f"{name}.w"] + p[f"{name}.b"]
    norm = lambda x, name: normed(x)[0] * p[f"{name}.w"] + p[f"{name}.b"]
    x = p["token"][token] + p["position"][-1]
    qkv = dense(norm(x, "block0.norm1"), "block0.qkv").reshape(3, shape.heads, 1, -1)
    keys, values = (np.concatenate([before[j, 0], qkv[1 + j]], axis=1) for j in range(2))
    seen = rows_softmax(qkv[0] @ keys.swapaxes(1, 2) / math.sqrt(keys.shape[-1])) @ values
    x = x + dense(seen.reshape(1, -1), "block0.mix")
    x = x + dense(gelu(dense(norm(x, "block0.norm2"), "block0.up")), "block0.down")
    return [dense(norm(x, "norm"), "head"), qkv[None, 1:]]


def formula_newton(a: Array) -> list[Array]:
    return [np.cbrt(a)]


def formula_lorenz(steps: int, u: Array) -> list[Array]:
    slope = lambda u: np.array([10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]])
    h = 1e-4
    for _ in range(steps):
        a = slope(u)
        b = slope(u + h / 2 * a)
        c = slope(u + h / 2 * b)
        u = u + h / 6 * (a + 2 * b + 2 * c + slope(u + h * c))
    return [u]


def formula_lyapunov(steps: int, u: Array) -> list[Array]:
    x, total, r = u
    for _ in range(steps):
        x, total = r * x * (1 - x), total + np.log(abs(r * (1 - 2 * x)))
    return [np.array([total])]


def formula_ring(p: Array, xs: Array) -> list[Array]:
    """The gradients by complex steps: the imaginary part of a value a tiny imaginary step away."""

    def total(p: Array, xs: Array) -> Any:
        c, ys = p, 0
        for x in xs:
            ys = ys + c[0]
            c = 0.9 * c + 0.1 * np.tanh(np.roll(c, -1) * p) + x * 0.01
        return ys + c.sum()

    step = 1e-30j
    slopes = [np.array([total(p + step * e, xs).imag for e in np.eye(len(p))]) / 1e-30]
    slopes.append(np.array([total(p, xs + step * e).imag for e in np.eye(len(xs))]) / 1e-30)
    return [total(p, xs), *slopes]


def formula_lstm(x: Array, w: Array, u: Array, b: Array) -> list[Array]:
    """The gradients by complex steps."""

    def loss(w: Array, u: Array, b: Array) -> Any:
        units = x.shape[2]
        sigmoid = lambda v: 1 / (1 + np.exp(-v))
        h = c = np.zeros((x.shape[1], units), w.dtype)
        squares = 0
        for v in x:
            i, f, g, o = np.split(v @ w + h @ u + b, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            squares = squares + (h * h).sum()
        return squares / (x.shape[0] * x.shape[1] * units)

    given = [w, u, b]
    slopes = []
    for k, a in enumerate(given):
        slope = np.zeros(a.size)
        for i in range(a.size):
            moved = a.astype(complex)
            moved.flat[i] += 1e-30j
            slope[i] = loss(*given[:k], moved, *given[k + 1 :]).imag / 1e-30
        slopes.append(slope.reshape(a.shape))
    return [loss(*given), *slopes]


PURE: list[tuple[Workload, Callable[..., list[Array]]]] = [
    (scalar_call(), lambda x: [x * 2 + 1]),
    (tanh_exp(50), lambda x: [np.tanh(x) * np.exp(-x * x)]),
    (black_scholes(40), formula_black_scholes),
    (softmax(6, 7), formula_softmax),
    (layer_norm(6, 8), formula_layer_norm),
    (transpose(5, 7), lambda x, y: [x + y.T]),
    (normal_numbers(100_000), lambda: [np.array([NormalDist().inv_cdf(p) for p in np.linspace(0.001, 0.999, 101)])]),
    (matmul(5, 7, 3), lambda a, b: [a @ b]),
    (layer(5, 6, 7), lambda a, w, b: [gelu(a @ w + b)]),
    (attention(2, 3, 5, 4), formula_attention),
    (logistic(30, 4, 5), formula_logistic),
    (heat(12, 5), partial(formula_heat, 5)),
    (bodies(10), formula_bodies),
    (chain(20), formula_chain),
    (resnet(2, 33, 5), formula_resnet),
    (u_net(2, 8, (3, 4)), formula_u_net),
    (next_token(SMALL), partial(formula_next_token, SMALL)),
    (lstm(3, 4, 2), formula_lstm),
    (ring(5), formula_ring),
    (lorenz(20), partial(formula_lorenz, 20)),
    (newton(30), formula_newton),
    (lyapunov(20), partial(formula_lyapunov, 20)),
    (cumulative_sum(3000), lambda x: [np.cumsum(x)]),
    (gather(50), lambda x, places: [x[places]]),
    (scatter_add(50), lambda x, places: [np.bincount(places, x, len(x))]),
    (sort(50), lambda x: [np.sort(x)]),
    (argsort(50), lambda x: [np.argsort(x)]),
    (top_k(50, 3, rows=2), lambda x: [np.sort(x)[:, :-4:-1], np.argsort(x)[:, :-4:-1]]),
    (unique(50, 7), lambda x: [np.unique(x)]),
    (searchsorted(50, 20), lambda ordered, x: [np.searchsorted(ordered, x)]),
    *((reduction("var", along, (5, 6)), lambda x, axis=axis: [np.var(x, axis)]) for along, axis in (("rows", 1), ("all", None))),
    (draws("gamma", 1.0, 100_000), lambda: [-np.log1p(-np.linspace(0.001, 0.999, 101))]),
    (factors("cholesky", 9), lambda x: [np.linalg.cholesky(x)]),
    (factors("slogdet", 9), lambda x: list(np.linalg.slogdet(x))),
    (factors("qr", 9), lambda x: list(np.linalg.qr(x))),
    (small_matrices("inv", 3, 20), lambda x: [np.linalg.inv(x)]),
    (solve(9), lambda a, b: [np.linalg.solve(a, b)]),
]


# --- losses ----------------------------------------------------------------------------------------------------------


def crossed(scores: Array, labels: Array) -> float:
    scores = scores.reshape(-1, scores.shape[-1])
    high = scores.max(1)
    total = high + np.log(np.exp(scores - high[:, None]).sum(1))
    return float((total - scores[np.arange(len(scores)), labels.ravel()]).mean())


def loss_mlp(p: Mapping[str, Array], x: Array, t: Array) -> float:
    h = np.maximum(x @ p["w0"] + p["b0"], 0)
    h = np.maximum(h @ p["w1"] + p["b1"], 0)
    return crossed(h @ p["w2"] + p["b2"], t)


def loss_gpt(shape: Shape, p: Mapping[str, Array], tokens: Array, targets: Array) -> float:
    dense = lambda x, name: x @ p[f"{name}.w"] + p[f"{name}.b"]
    norm = lambda x, name: normed(x)[0] * p[f"{name}.w"] + p[f"{name}.b"]
    x = p["token"][tokens] + p["position"]
    for i in range(shape.layers):
        parts = np.split(dense(norm(x, f"block{i}.norm1"), f"block{i}.qkv"), 3, -1)
        q, k, v = (np.stack(np.split(a, shape.heads, -1), 1) for a in parts)
        x = x + dense(np.concatenate(list(np.moveaxis(attended(q, k, v)[0], 1, 0)), -1), f"block{i}.mix")
        x = x + dense(gelu(dense(norm(x, f"block{i}.norm2"), f"block{i}.up")), f"block{i}.down")
    return crossed(dense(norm(x, "norm"), "head"), targets)


def loss_cnn(layers: Any, p: Mapping[str, Array], x: Array, t: Array) -> float:
    h = x
    for i, (_, stride, depthwise) in enumerate(layers):
        if depthwise:
            h = same(h, p[f"d{i}"], stride, h.shape[3])
        h = np.maximum(same(h, p[f"w{i}"], 1 if depthwise else stride) + p[f"b{i}"], 0)
    return crossed(h.mean((1, 2)) @ p["w"] + p["b"], t)


def loss_one_channel(p: Mapping[str, Array], x: Array, t: Array) -> float:
    h = x
    for i in range(len(POOLED)):
        h = np.maximum(same(h, p[f"w{i}"], 1) + p[f"b{i}"], 0)
        n, height, width, channels = h.shape
        h = h.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
    return crossed(h.reshape(len(h), -1) @ p["w"] + p["b"], t)


adam = lambda g: -RATE * g / (np.abs(g) + EPS)  # of first steps
descent = lambda g: -SPEED * g
TRAINING: list[tuple[Workload, Callable[..., float], Callable[[Array], Array]]] = [
    (mlp(4, (6, 5, 5, 3)), loss_mlp, adam),
    (gpt(2, SMALL), partial(loss_gpt, SMALL), adam),
    (cnn(2, 6), partial(loss_cnn, CNN), descent),
    (one_channel(2, 8), loss_one_channel, descent),
    (separable(2, 6), partial(loss_cnn, SEPARABLE), descent),
]


# --- the tests -------------------------------------------------------------------------------------------------------


def named(value: Any) -> str | None:
    return value.name if isinstance(value, (Workload, Row)) else ""


def wide(array: Any) -> Any:
    if isinstance(array, Mapping):
        return {name: wide(a) for name, a in array.items()}
    return array.astype(np.float64) if array.dtype.kind == "f" else array


@pytest.fixture(scope="module")
def native() -> Callable[[Workload], list[Array]]:
    """The results of native code, made once for each workload."""
    found: dict[str, list[Array]] = {}

    def results(workload: Workload) -> list[Array]:
        if workload.name not in found:
            found[workload.name] = workload.builders["graphc"](*workload.arrays()).results()
        return found[workload.name]

    return results


@pytest.mark.parametrize("workload", [w for w, *_ in PURE + TRAINING], ids=named)
def test_native_code_and_the_interpreter_agree(workload: Workload, native: Callable[[Workload], list[Array]]) -> None:
    slow = workload.builders["graphc"](*workload.arrays(), backend="interpreter").results()
    assert [a.dtype for a in slow] == [a.dtype for a in native(workload)]
    assert difference(slow, native(workload)) <= workload.tolerance


@pytest.mark.parametrize(("workload", "formula"), PURE, ids=named)
def test_formulas(workload: Workload, formula: Any, native: Callable[[Workload], list[Array]]) -> None:
    want = [np.asarray(a) for a in formula(*map(wide, workload.arrays()))]
    assert difference(want, native(workload)) <= max(workload.tolerance, 1e-7)


@pytest.mark.parametrize(("workload", "loss", "step"), TRAINING, ids=named)
def test_training_steps(workload: Workload, loss: Any, step: Any, native: Callable[[Workload], list[Array]]) -> None:
    *data, parameters = workload.arrays()
    p, data = {name: wide(a) for name, a in parameters.items()}, [wide(a) for a in data]
    first, gradient, second = native(workload)
    assert float(first) == pytest.approx(loss(p, *data), rel=1e-5)

    def moved(steps: Array) -> dict[str, Array]:
        parts = np.split(steps, np.cumsum([a.size for a in p.values()])[:-1])
        return {name: a + part.reshape(a.shape) for (name, a), part in zip(p.items(), parts, strict=True)}

    rng = np.random.default_rng(5)
    for _ in range(4):
        way = rng.standard_normal(gradient.size)
        slope = (loss(moved(1e-7 * way), *data) - loss(moved(-1e-7 * way), *data)) / 2e-7  # a longer step meets kinks of relu
        assert float(gradient @ way) == pytest.approx(slope, rel=1e-4, abs=1e-5 * float(np.linalg.norm(gradient)))
    g = wide(gradient)
    assert float(second) == pytest.approx(loss(moved(step(g)), *data), rel=1e-5)


def test_a_symbolic_batch_serves_every_size() -> None:
    """The model is compiled for any batch: a batch of two is twice a batch of one."""
    build = gpt(2, SMALL).builders["graphc"]
    tokens, targets, parameters = gpt(2, SMALL).arrays()
    whole = build(tokens, targets, parameters, backend="interpreter").results()[0]
    halves = [build(tokens[i : i + 1], targets[i : i + 1], parameters, backend="interpreter").results()[0] for i in range(2)]
    assert float(whole) == pytest.approx(float(np.mean(halves)), rel=1e-6)


def underlying(workload: Workload) -> Any:
    build: Any = workload.builders["graphc"]
    return build.func if isinstance(build, partial) else build


def test_every_workload_of_the_table_is_tested() -> None:
    elsewhere = underlying(minilm(1))  # in test_training_benchmark.py
    assert {underlying(r.workload) for r in ROWS} == {underlying(w) for w, *_ in PURE + TRAINING} | {elsewhere}


def test_the_rows() -> None:
    names = [r.name for r in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        assert row.contenders[0] == "graphc", row.name
        assert len(row.contenders) > 1, row.name
        assert set(row.workload.builders) <= set(CONTENDERS), row.name
        assert row.kind in ("growth", "added") or row.wanted is not None, row.name


def test_the_work_of_a_gpt_step() -> None:
    """6 flops a weight and token, and the attention of 4 layers of 4 heads: by hand for the table's batch of 16."""
    tokens, weights = 16 * 128, 4 * 12 * 128**2 + 128 * 65
    assert gpt(16).flops == 6 * tokens * weights + 4 * attention(16, 4, 128, 32).flops


def test_the_limits_run() -> None:
    assert PEAK.flops == 2 * 2048**3
    run = BANDWIDTH.builders["graphc"](np.zeros(5, np.float32), backend="interpreter")
    run.call()
    assert run.results() == []


# --- the machinery ---------------------------------------------------------------------------------------------------


def test_difference() -> None:
    a = np.array([3.0, 4.0])
    assert difference([a], [a]) == 0
    assert difference([a], [a + np.array([0.0, 0.05])]) == pytest.approx(0.01)
    assert difference([a], [np.array([3.0, np.nan])]) == math.inf
    assert difference([a], [a[:1]]) == math.inf
    assert difference([a], [a, a]) == math.inf
    assert difference([np.zeros(1)], [np.ones(1)]) == math.inf


def test_short_calls_are_timed_together() -> None:
    calls: list[None] = []
    samples = worker.turn(worker.Run(lambda: calls.append(None), lambda: []), 0.01)
    assert len(calls) > 10 * len(samples) > 0
    assert 0 < np.median(samples) < worker.SAMPLE


def test_contenders_in_processes() -> None:
    """Two contenders that are always there, and one name that no process can serve."""
    row = next(r for r in ROWS if r.workload.name == "matmul 64 x 64 x 64")
    with conductor.Conductor(("graphc", "numpy"), threads=1, turns=1, turn=0.01, patience=120) as leader:
        found = leader.measure(row)
        assert set(found["figures"]) == {"graphc", "numpy"}
        assert all(0 < seconds < 1 for seconds in found["figures"].values())
        assert 0 <= found["differences"]["numpy"] <= row.workload.tolerance
        assert found["notes"] == {}
        with pytest.raises(RuntimeError, match="KeyError"):
            leader.alive["numpy"].ask(60, do="build", row="no such row")
        with pytest.raises(conductor.Late):
            leader.alive["numpy"].ask(0.05, do="turn", seconds=5)


def test_who_differs_is_not_timed(tmp_path: Path) -> None:
    files = {}
    for name, value in (("graphc", 1.0), ("numpy", 1.0), ("jax", 1.1)):
        files[name] = tmp_path / f"{name}.npz"
        np.savez(files[name], np.array(value))
    notes: dict[str, str] = {}
    leader = conductor.Conductor((), threads=1, turns=1, turn=0.01, patience=1)
    found = leader._compared(next(r for r in ROWS if "tanh" in r.name), files, notes)
    assert found == {"numpy": 0, "jax": pytest.approx(0.1)}
    assert notes == {"jax": "differs by 1.0e-01"}


def figures(**changes: Any) -> dict[str, Any]:
    row = {
        "name": "a row", "kind": "call", "wanted": 2.0, "at_most": None,
        "figures": {"graphc": 1e-3, "jax": 1.5e-3, "torch": 4e-3},
        "notes": {"numpy": "not served", "numexpr": "not installed", "pytensor": "error: it broke", "torch.compile": "over 9 s"},
        "flops": 2e8, "bytes": 0, "date": "2026-01-02T03:04:05",
    }  # fmt: skip
    return report.judge({**row, **changes}, MACHINE)


MACHINE = {
    "cpu": "a processor", "threads": 2, "python": "3.11", "versions": {"jax": "1.2"}, "flops_per_s": 4e11, "bytes_per_s": 5e10,
}  # fmt: skip


def test_the_table_of_ratios() -> None:
    row = figures()
    assert (row["best"], row["ratio"], row["limit_s"]) == ("jax", pytest.approx(1.5), pytest.approx(5e-4))
    assert report.table({"machine": MACHINE, "rows": [row]}).splitlines()[-1] == (
        "| a row | 1 ms | – | 1.50 | 4.00 | over 9 s | error | absent |  | jax | 1.50 | 2 | 50 % |"
    )
    alone = figures(figures={"jax": 2e-6}, notes={"graphc": "error: no"})
    assert report.line(alone).split()[:4] == ["a", "row", "error", "2"]


def test_no_contender_is_beyond_the_limits() -> None:
    """What a row reached raises the machine's peak, if the measurement of the peak was disturbed."""
    fast = figures(figures={"graphc": 1e-3, "jax": 4e-4})
    machine, rows = report.judged(MACHINE, [fast, figures()])
    assert machine == {**MACHINE, "flops_per_s": pytest.approx(2e8 / 4e-4)}
    assert rows[0]["limit_s"] == pytest.approx(4e-4)
    assert rows[1]["limit_s"] == pytest.approx(4e-4)


def test_what_fell_short() -> None:
    assert report.fell_short(figures()) == "1.50 where 2 is wanted"
    assert report.fell_short(figures(wanted=1.5)) == ""
    assert report.fell_short(figures(wanted=1.0, at_most=2e-6)) == "1 ms where 2 µs is allowed"
    assert report.fell_short(figures(figures={"jax": 1.0}, notes={"graphc": "error: no"})) == "graphc has no figure: error: no"
    assert report.shortfalls({"rows": [figures()]}) == "- a row: 1.50 where 2 is wanted"


def test_the_table_of_growth() -> None:
    row = figures(kind="growth", name="growth: deep", wanted=None, figures={"graphc": 2.0, "jax": 0.25}, calls={"graphc": 0.01})
    assert report.growth({"rows": [row]}).splitlines() == [
        "| workload | graphc, first call | jax, first call | graphc, a call | jax, a call |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| deep | 2 s | 250 ms | 10 ms |  |",
    ]


def test_amounts() -> None:
    assert [report.amount(s) for s in (12.345, 0.5, 2e-3, 1.234e-6, 5e-8)] == ["12.3 s", "500 ms", "2 ms", "1.23 µs", "0.05 µs"]
    assert [report.amount(b, "memory") for b in (2.5e9, 1e6, 512)] == ["2.5 GB", "1 MB", "0.512 kB"]


def test_the_drawing(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report.plot({"rows": [figures(), figures(name="another", wanted=1.0), figures(name="none", figures={})]}, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_committed_figures_are_of_this_table() -> None:
    committed = Path(__file__).parent.parent / "docs" / "peers.json"
    found = [r["name"] for r in json.loads(committed.read_text(encoding="utf-8"))["rows"]]
    assert found
    assert found == [r.name for r in ROWS if r.name in found]
