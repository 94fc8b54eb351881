"""gx.nn against closed forms in extended precision, at ordinary and at extreme values, with gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import graphc as gx

BACKENDS = ("interpreter", "llvm")
INF = math.inf
Array = np.ndarray[Any, Any]
Wide = np.longdouble

EXTREME = np.array([
    [1e4, -1e4, 0.0, 5.0],
    [-1e4, -1e4, -1e4, -1e4],
    [1e4, 1e4, 1e4, 1e4],
    [-INF, 0.5, -INF, 1.5],
    [-INF, -INF, -INF, 2.0],
    [0.0, -0.0, 1e-30, -1e-30],
    [88.0, 89.0, 709.0, 710.0],
])  # fmt: skip


def run(function: Any, *arrays: Array, backend: str = "interpreter", **options: Any) -> Array:
    """function of placeholders for the arrays, compiled and called."""
    inputs = [gx.placeholder(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    return gx.compile(inputs, function(*inputs, **options), backend=backend)(*arrays)


def gradient(function: Any, *arrays: Array, backend: str = "interpreter", wrt: int = 0, **options: Any) -> Array:
    """The gradient of the sum of function's elements by one argument."""
    inputs = [gx.placeholder(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    return gx.compile(inputs, gx.grad(gx.sum(function(*inputs, **options)), inputs[wrt]), backend=backend)(*arrays)


def wide_logsumexp(x: Array) -> Array:
    x = x.astype(Wide)
    high = x.max(axis=-1, keepdims=True)
    high[~np.isfinite(high)] = 0
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - high).sum(axis=-1, keepdims=True)) + high


def wide_log_softmax(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return x.astype(Wide) - wide_logsumexp(x)


def close(got: Array, want: Array, ulps: float, scale: Array | float = 1.0) -> None:
    """Elements differ by at most some ulps of themselves or of `scale`; NaN and infinities are equal."""
    eps = np.finfo(got.dtype).eps
    want = np.asarray(want)
    special = ~np.isfinite(want)
    np.testing.assert_array_equal(got[special], want[special].astype(got.dtype))
    error = np.abs(got[~special].astype(Wide) - want[~special])
    bound = ulps * eps * np.maximum(np.abs(want), np.broadcast_to(scale, want.shape))[~special]
    assert (error <= bound).all(), (error / bound).max()


def ordinary(dtype: str, shape: tuple[int, ...] = (50, 7)) -> Array:
    return np.random.default_rng(7).normal(0, 4, shape).astype(dtype)


# --- activations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_relu_keeps_nan_and_has_gradient_zero_at_zero(backend: str) -> None:
    x = np.array([-INF, -1e4, -0.0, 0.0, 1e-40, 2.0, INF, math.nan])
    np.testing.assert_array_equal(run(gx.nn.relu, x, backend=backend), [0, 0, 0, 0, 1e-40, 2, INF, math.nan])
    np.testing.assert_array_equal(gradient(gx.nn.relu, x, backend=backend), [0, 0, 0, 0, 1, 1, 1, 1])


def test_relu_of_integers_stays_integer() -> None:
    y = run(gx.nn.relu, np.array([-3, 0, 4], "int32"))
    assert y.dtype == np.int32
    assert y.tolist() == [0, 0, 4]


GELU_POINTS = np.array([-1e4, -30.0, -6.0, -1.5, -0.3, 0.0, 1e-8, 0.7, 2.0, 11.0, 1e4])


def exact_gelu(v: float) -> float:
    with mpmath.workdps(60):
        return float(v * (1 + mpmath.erf(v / mpmath.sqrt(2))) / 2)


def exact_gelu_slope(v: float) -> float:
    with mpmath.workdps(60):
        return float((1 + mpmath.erf(v / mpmath.sqrt(2))) / 2 + v * mpmath.npdf(v))


def tanh_gelu(v: float) -> float:
    with mpmath.workdps(60):
        cube = mpmath.mpf("0.044715") * mpmath.mpf(v) ** 3
        return float(v / mpmath.mpf(2) * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (v + cube))))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_is_the_exact_form(dtype: str, backend: str) -> None:
    x = GELU_POINTS.astype(dtype)
    want = np.array([exact_gelu(float(v)) for v in x])
    close(run(gx.nn.gelu, x, backend=backend), want, 4, np.maximum(np.abs(x), 1e-3))
    slopes = np.array([exact_gelu_slope(float(v)) for v in x])
    close(gradient(gx.nn.gelu, x, backend=backend), slopes, 8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_by_tanh(dtype: str, backend: str) -> None:
    x = GELU_POINTS.astype(dtype)
    want = np.array([tanh_gelu(float(v)) for v in x])
    close(run(gx.nn.gelu, x, approximate="tanh", backend=backend), want, 8, np.maximum(np.abs(x), 1e-3))
    huge = np.array([-1e30, 1e30], dtype)
    np.testing.assert_array_equal(gradient(gx.nn.gelu, huge, approximate="tanh", backend=backend), [0, 1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_activations_at_infinities(name: str, backend: str) -> None:
    function = getattr(gx.nn, name)
    x = np.array([-INF, INF, math.nan])
    np.testing.assert_array_equal(run(function, x, backend=backend), [0, INF, math.nan])
    assert gradient(function, np.array([-INF]), backend=backend).tolist() == [0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_silu(dtype: str, backend: str) -> None:
    x = np.array([-1e4, -20.0, -1.0, 0.0, 1.0, 20.0, 1e4], dtype)
    wide = x.astype(Wide)
    want = np.where(wide > -1000, wide / (1 + np.exp(-np.maximum(wide, -1000))), 0)
    close(run(gx.nn.silu, x, backend=backend), want, 6, 1e-30)
    s = np.where(wide > -1000, 1 / (1 + np.exp(-np.maximum(wide, -1000))), 0)
    close(gradient(gx.nn.silu, x, backend=backend), s * (1 + wide * (1 - s)), 8)


def test_sigmoid_and_softplus_are_the_vocabulary_s() -> None:
    assert gx.nn.sigmoid is gx.sigmoid
    assert gx.nn.softplus is gx.softplus


# --- softmax and its kin ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("values", ["ordinary", "extreme"])
def test_softmax_family_in_extended_precision(values: str, dtype: str, backend: str) -> None:
    x = ordinary(dtype) if values == "ordinary" else EXTREME.astype(dtype)
    logs = wide_log_softmax(x)
    close(run(gx.nn.softmax, x, backend=backend), np.exp(logs), 16, 1e-3)
    close(run(gx.nn.log_softmax, x, backend=backend), logs, 4)
    close(run(gx.nn.logsumexp, x, axis=1, keepdims=True, backend=backend), wide_logsumexp(x), 4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_family_has_finite_gradients(dtype: str, backend: str) -> None:
    x = EXTREME.astype(dtype)
    p = np.exp(wide_log_softmax(x))
    close(gradient(gx.nn.logsumexp, x, axis=1, backend=backend), p, 16)
    seed = np.arange(x.size, dtype=dtype).reshape(x.shape) / 8

    def weighted(v: gx.Tensor) -> gx.Tensor:
        return gx.nn.softmax(v) * seed

    want = p * (seed - (p * seed).sum(axis=1, keepdims=True))
    close(gradient(weighted, x, backend=backend), want, 16, seed.max())

    def weighted_log(v: gx.Tensor) -> gx.Tensor:
        return gx.where(v == -INF, 0, gx.nn.log_softmax(v)) * seed

    kept = np.where(np.isfinite(x), seed, 0)
    close(gradient(weighted_log, x, backend=backend), kept - p * kept.sum(axis=1, keepdims=True), 16, kept.sum())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_of_minus_infinity(backend: str) -> None:
    x = np.array([[-INF, -INF, -INF], [0.0, -INF, 0.0]])
    np.testing.assert_array_equal(run(gx.nn.logsumexp, x, axis=1, backend=backend), [-INF, np.log(2.0)])
    np.testing.assert_array_equal(run(gx.nn.softmax, x, backend=backend), [[math.nan] * 3, [0.5, 0, 0.5]])
    np.testing.assert_array_equal(np.isnan(run(gx.nn.log_softmax, x, backend=backend)), [[True] * 3, [False] * 3])
    np.testing.assert_array_equal(gradient(gx.nn.logsumexp, x, axis=1, backend=backend), [[0, 0, 0], [0.5, 0, 0.5]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_second_derivatives(backend: str) -> None:
    x = np.array([1e4, 1e4 + 1, 1e4 - 2, -INF])
    symbol = gx.placeholder("x", (4,), "float64")
    p = np.exp(wide_log_softmax(x[None])[0])
    want = np.diag(p) - np.outer(p, p)
    for value in (gx.nn.logsumexp(symbol), gx.nn.cross_entropy(symbol, gx.constant(0))):
        found = gx.compile([symbol], gx.hessian(value, symbol), backend=backend)(x)
        close(found, want, 16)


@pytest.mark.parametrize("backend", BACKENDS)
def test_infinity_and_nan_go_through_logsumexp(backend: str) -> None:
    x = np.array([[INF, 1.0, -INF], [math.nan, 0.0, 1.0]])
    np.testing.assert_array_equal(run(gx.nn.logsumexp, x, axis=1, backend=backend), [INF, math.nan])


def test_axes_of_softmax_and_logsumexp() -> None:
    x = ordinary("float64", (3, 4, 5))
    for axis in (0, 1, -1):
        np.testing.assert_allclose(run(gx.nn.softmax, x, axis=axis).sum(axis=axis), 1, rtol=1e-15)
        moved = np.moveaxis(x, axis, -1)
        want = np.moveaxis(wide_log_softmax(moved), -1, axis)
        close(run(gx.nn.log_softmax, x, axis=axis), want, 4)
    everything = run(gx.nn.logsumexp, x)
    assert everything.shape == ()
    close(everything.reshape(1), wide_logsumexp(x.reshape(1, -1))[0], 4)
    pair = run(gx.nn.logsumexp, x, axis=(0, 2))
    close(pair, wide_logsumexp(np.moveaxis(x, 1, 0).reshape(4, -1))[:, 0], 4)


def test_softmax_of_integers_is_float64() -> None:
    y = run(gx.nn.softmax, np.array([0, 0], "int64"))
    assert y.dtype == np.float64
    assert y.tolist() == [0.5, 0.5]


# --- normalisation ---------------------------------------------------------------------------------------------------


def wide_layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    x = x.astype(Wide)
    off = x - x.mean(axis=-1, keepdims=True)
    return off / np.sqrt((off * off).mean(axis=-1, keepdims=True) + Wide(eps)) * weight + bias


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_layer_norm(shift: float, dtype: str, backend: str) -> None:
    x = (ordinary(dtype) + shift).astype(dtype)
    weight, bias = np.linspace(0.5, 2, 7).astype(dtype), np.linspace(-1, 1, 7).astype(dtype)
    got = run(gx.nn.layer_norm, x, weight, bias, backend=backend)
    close(got, wide_layer_norm(x, weight, bias, 1e-5), 16, 1 + np.abs(shift))


@pytest.mark.parametrize("backend", BACKENDS)
def test_layer_norm_gradient_is_the_closed_form(backend: str) -> None:
    x, g = ordinary("float64"), np.random.default_rng(1).normal(size=(50, 7))
    off = x - x.mean(axis=1, keepdims=True)
    root = np.sqrt((off**2).mean(axis=1, keepdims=True) + 1e-5)
    y = off / root
    want = (g - g.mean(axis=1, keepdims=True) - y * (g * y).mean(axis=1, keepdims=True)) / root
    got = gradient(lambda v: gx.nn.layer_norm(v) * g, x, backend=backend)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


def test_layer_norm_of_a_constant_row_is_its_bias() -> None:
    x = np.full((2, 4), 1e4, "float32")
    assert (run(gx.nn.layer_norm, x) == 0).all()
    assert (gradient(gx.nn.layer_norm, x) == 0).all()


def test_rms_norm() -> None:
    x = ordinary("float64")
    weight = np.linspace(0.5, 2, 7)
    want = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * weight
    np.testing.assert_allclose(run(gx.nn.rms_norm, x, weight), want, rtol=1e-14)


def test_norms_over_several_axes() -> None:
    x = ordinary("float64", (3, 4, 5))
    want = (x - x.mean(axis=(1, 2), keepdims=True)) / np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(run(gx.nn.layer_norm, x, axis=(1, 2)), want, rtol=1e-12)


# --- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_of_labels(dtype: str, backend: str) -> None:
    x = EXTREME.astype(dtype)
    labels = np.array([0, 3, 2, 1, 3, 0, 2])
    logs = wide_log_softmax(x)
    want = -logs[np.arange(7), labels]
    close(run(gx.nn.cross_entropy, x, labels, reduction="none", backend=backend), want, 4)
    close(run(gx.nn.cross_entropy, x, labels, backend=backend).reshape(1), want.mean().reshape(1), 8, 1e4)
    close(run(gx.nn.cross_entropy, x, labels, reduction="sum", backend=backend).reshape(1), want.sum().reshape(1), 8, 1e4)
    close(gradient(gx.nn.cross_entropy, x, labels, reduction="sum", backend=backend), np.exp(logs) - np.eye(4)[labels], 16)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_true_class_of_probability_zero_costs_infinity(backend: str) -> None:
    x, labels = np.array([[0.0, -INF]]), np.array([1])
    assert run(gx.nn.cross_entropy, x, labels, backend=backend) == INF
    assert gradient(gx.nn.cross_entropy, x, labels, backend=backend).tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_a_label_out_of_range_spoils_its_own_row_only(dtype: str, backend: str) -> None:
    x = ordinary("float32", (4, 3))
    labels = np.array([0, 3, 127, 2], dtype)
    losses = run(gx.nn.cross_entropy, x, labels, reduction="none", backend=backend)
    assert np.isnan(losses).tolist() == [False, True, True, False]
    assert np.isnan(run(gx.nn.cross_entropy, x, labels, backend=backend))
    slopes = gradient(gx.nn.cross_entropy, x, labels, reduction="sum", backend=backend)
    assert (slopes[1:3] == 0).all()
    assert (slopes[0] != 0).all()


def test_negative_and_huge_labels_are_out_of_range() -> None:
    x = ordinary("float32", (1, 3))
    assert np.isnan(run(gx.nn.cross_entropy, x, np.array([-1])))
    assert np.isnan(run(gx.nn.cross_entropy, x, np.array([2**64 - 1], "uint64")))


@pytest.mark.parametrize("backend", BACKENDS)
def test_cross_entropy_of_probabilities(backend: str) -> None:
    x = np.array([[1e4, -1e4, 0.0], [-INF, 0.0, 1.0], [0.3, 0.2, 0.1]])
    p = np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    logs = wide_log_softmax(x)
    want = -np.where(p == 0, 0, p * np.where(np.isfinite(logs), logs, 0)).sum(axis=1)
    close(run(gx.nn.cross_entropy, x, p, reduction="none", backend=backend), want, 4)
    close(gradient(gx.nn.cross_entropy, x, p, reduction="sum", backend=backend), np.exp(logs) - p, 16)
    by_p = gradient(gx.nn.cross_entropy, x, p, reduction="sum", wrt=1, backend=backend)
    close(by_p, np.where(np.isfinite(logs), -logs, 0), 8)


def test_labels_and_their_one_hot_probabilities_agree() -> None:
    x, labels = ordinary("float64", (5, 7)), np.array([6, 0, 3, 3, 1])
    a = run(gx.nn.cross_entropy, x, labels, reduction="none")
    b = run(gx.nn.cross_entropy, x, np.eye(7)[labels], reduction="none")
    np.testing.assert_allclose(a, b, rtol=1e-14)


def test_cross_entropy_along_another_axis_and_in_more_dimensions() -> None:
    x, labels = ordinary("float64", (3, 7, 2)), np.random.default_rng(3).integers(0, 7, (3, 2))
    moved = np.moveaxis(x, 1, -1)
    want = -np.take_along_axis(wide_log_softmax(moved), labels[..., None], -1)[..., 0]
    close(run(gx.nn.cross_entropy, x, labels, axis=1, reduction="none"), want, 4)


def test_cross_entropy_with_symbolic_batch_and_classes() -> None:
    x = gx.placeholder("x", ("batch", "classes"), "float64")
    t = gx.placeholder("t", ("batch",), "int64")
    loss = gx.compile([x, t], gx.nn.cross_entropy(x, t), backend="interpreter")
    for shape in ((4, 3), (2, 9)):
        logits, labels = ordinary("float64", shape), np.arange(shape[0]) % shape[1]
        want = -wide_log_softmax(logits)[np.arange(shape[0]), labels].mean()
        close(loss(logits, labels).reshape(1), want.reshape(1), 4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_mse(backend: str) -> None:
    a, b = ordinary("float64"), ordinary("float64")[::-1].copy()
    np.testing.assert_allclose(run(gx.nn.mse, a, b, backend=backend), ((a - b) ** 2).mean(), rtol=1e-14)
    np.testing.assert_allclose(run(gx.nn.mse, a, b, reduction="sum", backend=backend), ((a - b) ** 2).sum(), rtol=1e-14)
    np.testing.assert_array_equal(run(gx.nn.mse, a, b, reduction="none", backend=backend), (a - b) ** 2)
    np.testing.assert_allclose(gradient(gx.nn.mse, a, b, backend=backend), 2 * (a - b) / a.size, rtol=1e-14)


# --- wrong use -------------------------------------------------------------------------------------------------------


def test_wrong_use_says_what_to_do() -> None:
    x = gx.placeholder("x", ("batch", 10))
    with pytest.raises(gx.errors.ShapeError, match=r"got logits f32\[batch, 10\] and labels i64\[batch, 1\]"):
        gx.nn.cross_entropy(x, gx.placeholder("t", ("batch", 1), "int64"))
    with pytest.raises(gx.errors.ShapeError, match="probabilities need the logits' shape"):
        gx.nn.cross_entropy(x, gx.placeholder("t", ("batch",)))
    with pytest.raises(gx.errors.DTypeError, match="labels must be integers or probabilities"):
        gx.nn.cross_entropy(x, gx.placeholder("t", ("batch", 10), "bool"))
    with pytest.raises(gx.errors.ShapeError, match="axis 2 is out of range"):
        gx.nn.cross_entropy(x, gx.placeholder("t", ("batch",), "int64"), axis=2)
    with pytest.raises(gx.errors.InputError, match="reduction is 'average'"):
        gx.nn.mse(x, x, reduction="average")
    with pytest.raises(gx.errors.ShapeError, match=r"mse needs equal shapes, got f32\[batch, 10\] and f32\[batch, 1\]"):
        gx.nn.mse(x, x[:, :1])
    with pytest.raises(gx.errors.InputError, match="approximate is 'yes'") as caught:
        gx.nn.gelu(x, approximate="yes")
    assert caught.value.where is not None
    assert caught.value.where.file == __file__


# --- attention -------------------------------------------------------------------------------------------------------


def wide_attention(
    q: Array, k: Array, v: Array, causal: bool = False, mask: Array | None = None, scale: float | None = None
) -> Array:
    scores = np.einsum("...td,...sd->...ts", q.astype(Wide), k.astype(Wide)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -INF)
    if mask is not None:
        scores = np.where(mask, scores, -INF) if mask.dtype == bool else scores + mask
    weights = np.exp(wide_log_softmax(scores))
    return np.where(np.isneginf(scores.max(axis=-1, keepdims=True)), 0, weights) @ v.astype(Wide)


ADDED = np.array([[0.0, -INF, 1.5, -2.0, 0.0], [-INF] * 5, [-8.0] * 5, [-INF, -INF, -INF, -INF, 7.0]])
MASKS = [np.array([[1, 0, 1, 1, 0]], bool), np.linspace(-2, 2, 20).reshape(4, 5), ADDED, np.isfinite(ADDED), np.float32(ADDED)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "options", [{}, {"causal": True}, {"scale": 2.0}, *({"mask": m} for m in MASKS), {"mask": MASKS[2], "causal": True}], ids=repr
)
def test_attention(options: dict[str, Any], backend: str) -> None:
    rng = np.random.default_rng(3)
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 1, 4, 6), (3, 5, 6), (2, 1, 5, 7)))
    close(run(gx.nn.attention, q, k, v, backend=backend, **options), wide_attention(q, k, v, **options), 16)


@pytest.mark.parametrize("wrt", [0, 1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_of_attention(wrt: int, backend: str) -> None:
    """Against central differences along a random direction."""
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal((2, 5, 3)) for _ in range(3)]
    weights = rng.standard_normal((2, 5, 3))
    found = gradient(lambda *a: gx.nn.attention(*a, causal=True) * weights, *arrays, wrt=wrt, backend=backend)
    way = rng.standard_normal((2, 5, 3))
    ends = []
    for sign in (1, -1):
        moved = list(arrays)
        moved[wrt] = arrays[wrt] + sign * 1e-5 * way
        ends.append(np.sum(wide_attention(*moved, causal=True) * weights))
    np.testing.assert_allclose(np.sum(found * way), float((ends[0] - ends[1]) / 2e-5), rtol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["booleans", "added"])
def test_a_query_that_may_look_nowhere_is_zero_and_changes_no_gradient(kind: str, causal: bool, backend: str) -> None:
    """Everybody's gradients, the mask's own too, are those of the other queries alone."""
    rng = np.random.default_rng(5)
    q, k, v = (rng.standard_normal((4, 3)) for _ in range(3))
    mask = np.array([[True, True, False, True], [False] * 4, [False, True, True, True], [False] * 4])
    added = np.where(mask, 0.25, -INF)

    def derivatives(rows: list[int]) -> list[Array]:
        ins = [gx.placeholder(n, a.shape, "float64") for n, a in zip("qkvm", (q, k, v, added), strict=True)]
        masked = ins[3] if kind == "added" else gx.constant(mask)
        seen = gx.constant(np.tri(4, dtype=bool)) if causal else True
        masked = gx.where(seen, masked, -INF) if kind == "added" else gx.logical_and(masked, seen)
        y = gx.nn.attention(gx.take(ins[0], rows, axis=0), ins[1], ins[2], mask=gx.take(masked, rows, axis=0))
        weights = gx.take(gx.constant(np.linspace(1, 2, 12).reshape(4, 3)), rows, axis=0)
        g = gx.grad(gx.sum(y * y * weights), ins if kind == "added" else ins[:3])
        more = gx.hvp(gx.sum(y * y * weights), ins[:3], [a[::-1].copy() for a in (q, k, v)])
        found: list[Array] = gx.compile(ins, [y, *g, *more], backend=backend)(q, k, v, added)
        return found

    every, some = derivatives([0, 1, 2, 3]), derivatives([0, 2])
    np.testing.assert_array_equal(every[0][[1, 3]], 0)
    np.testing.assert_array_equal(every[1][[1, 3]], 0)
    for a, b in zip(every[1:], some[1:], strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_causal_attention_with_more_queries_than_keys_and_with_fewer(backend: str) -> None:
    rng = np.random.default_rng(6)
    for t, s in ((5, 3), (3, 5), (4, 1)):
        q, k, v = rng.standard_normal((t, 6)), rng.standard_normal((s, 6)), rng.standard_normal((s, 2))
        close(run(gx.nn.attention, q, k, v, backend=backend, causal=True), wide_attention(q, k, v, causal=True), 16)
        assert np.isfinite(gradient(lambda *a: gx.nn.attention(*a, causal=True), q, k, v, backend=backend)).all()


def test_a_mask_of_floats_does_not_widen_what_it_is_added_to() -> None:
    x = gx.placeholder("x", ("t", 4), "float32")
    assert gx.nn.attention(x, x, x, mask=np.zeros((1, 1))).dtype == gx.float32


def test_softmax_of_nothing_is_nan_as_elsewhere() -> None:
    assert np.isnan(run(gx.nn.softmax, np.full(3, -INF))).all()
    assert np.isnan(run(gx.nn.log_softmax, np.full(3, -INF))).all()


def test_attention_refuses_what_does_not_fit() -> None:
    q, k = gx.placeholder("q", ("t", 4)), gx.placeholder("k", ("t", 3))
    with pytest.raises(gx.errors.ShapeError, match=r"attention needs queries \[\.\.\., t, width\]"):
        gx.nn.attention(q, k, k)
    w = gx.placeholder("w", (3, "width"))
    values = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    given, default = (gx.compile([w], gx.nn.attention(w, w, w, scale=s)) for s in (0.5, None))  # 1 / sqrt(4)
    np.testing.assert_array_equal(given(values), default(values))
    with pytest.raises(gx.errors.DTypeError, match=r"booleans, or of floats to add to the scores, got i64\[4\]") as caught:
        gx.nn.attention(q, q, q, mask=np.array([1, 0, 1, 1]))
    assert caught.value.hint == "mask.astype('bool') is true where a query may look"


# --- rotary embeddings, CTC -------------------------------------------------------------------------------------------


def turned(x: Any, places: Any, interleaved: bool, base: float = 10000.0) -> Any:
    """Pairs as complex numbers times exp(i angle), by the definition."""
    half = x.shape[-1] // 2
    angle = np.asarray(places, float)[:, None] * base ** (-np.arange(half) / half)
    pairs = x[..., 0::2] + 1j * x[..., 1::2] if interleaved else x[..., :half] + 1j * x[..., half:]
    made = pairs * np.exp(1j * angle)
    if interleaved:
        return np.stack([made.real, made.imag], -1).reshape(x.shape)
    return np.concatenate([made.real, made.imag], -1)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_rope_turns_pairs(backend: str, interleaved: bool) -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 5, 8))
    x = gx.placeholder("x", ("b", 3, 5, 8), "float64")
    offset = gx.placeholder("offset", (), "int64")
    rope = lambda x, *args, **options: gx.nn.rope(x, *args, interleaved=interleaved, **options)
    made = [
        rope(x), rope(x, offset=offset), rope(gx.moveaxis(x, 1, 2), axis=-3), rope(x, gx.constant([4, 0, 1, 1, 7]), base=100.0),
        rope(x, width=4),
    ]  # fmt: skip
    plain, later, heads, chosen, part = gx.compile([x, offset], made, backend=backend)(values, 7)
    assert np.allclose(plain, turned(values, range(5), interleaved))
    assert np.allclose(later, turned(values, range(7, 12), interleaved))
    assert np.allclose(heads, np.moveaxis(plain, 1, 2))
    assert np.allclose(chosen, turned(values, [4, 0, 1, 1, 7], interleaved, 100.0))
    assert np.allclose(part[..., :4], turned(values[..., :4], range(5), interleaved))
    assert np.array_equal(part[..., 4:], values[..., 4:])


def test_rope_of_places_of_a_batch_and_with_a_cache() -> None:
    """What one call gives for all places, many calls give for one each; products depend on distances alone."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 4, 6))
    places = np.array([[0, 1, 2, 3], [5, 6, 7, 8]])
    x = gx.placeholder("x", (2, "t", 6), "float64")
    by_batch = gx.nn.rope(gx.constant(values), gx.constant(places)).eval()
    assert np.allclose(by_batch[1], turned(values[1], places[1], False))
    offset = gx.placeholder("offset", (), "int64")
    one = gx.compile([x, offset], gx.nn.rope(x, offset=offset))
    together = np.concatenate([np.array(one(values[:, i : i + 1], i)) for i in range(4)], 1)
    assert np.allclose(together, turned(values, range(4), False))
    scores = by_batch @ np.swapaxes(by_batch, 1, 2)
    whole = turned(values, range(4), False)
    assert np.allclose(scores, whole @ np.swapaxes(whole, 1, 2))
    gx.testing.check_grads(lambda v: gx.nn.rope(v, offset=3), [values])
    half = gx.nn.rope(gx.constant(values.astype("float16")), offset=2000)
    assert half.dtype == gx.float16 and np.allclose(half.eval(), turned(values, range(2000, 2004), False), atol=1e-2)


def paths(log_probs: Any, target: list[int], steps: int, blank: int) -> float:
    """The loss by adding up every path that gives a target."""
    total = -np.inf
    for path in itertools.product(range(log_probs.shape[1]), repeat=steps):
        merged = [k for k, _ in itertools.groupby(path) if k != blank]
        if merged == target:
            total = np.logaddexp(total, sum(log_probs[i, k] for i, k in enumerate(path)))
    return -total


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_loss_is_the_sum_over_all_paths(blank: int, backend: str) -> None:
    rng = np.random.default_rng(blank)
    logits = rng.normal(size=(5, 6, 3))
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    a, b = (k for k in range(3) if k != blank)
    targets, lengths = np.array([[a, b], [a, a], [b, 0], [0, 0], [a, a], [b, a]]), np.array([2, 2, 1, 0, 2, 2])
    steps = np.array([5, 5, 3, 4, 2, 2])
    want = [paths(log_probs[:, i], targets[i, : lengths[i]].tolist(), steps[i], blank) for i in range(6)]
    x, t = gx.placeholder("x", ("time", "batch", 3), "float64"), gx.placeholder("t", ("batch", "labels"), "int64")
    n, m = gx.placeholder("n", ("batch",), "int64"), gx.placeholder("m", ("batch",), "int64")
    losses = gx.nn.ctc_loss(x, t, n, m, blank, "none")
    safe = gx.nn.ctc_loss(x, t, n, m, blank, "mean", zero_infinity=True)
    run = gx.compile([x, t, n, m], [losses, safe, gx.grad(safe, x)], backend=backend)
    found, mean, slope = run(log_probs, targets, steps, lengths)
    assert np.isinf(want[4]) and np.allclose(found, want)
    finite = np.where(np.isinf(want), 0, want)
    assert np.isclose(mean, np.mean(finite / np.maximum(lengths, 1)))
    assert np.isfinite(slope).all() and (slope[:, 4] == 0).all() and (slope[3:, 2] == 0).all() and (slope[:2, 5] != 0).any()


def test_the_gradient_of_ctc_loss() -> None:
    logits = np.random.default_rng(3).normal(size=(6, 2, 4))
    given = gx.constant([[1, 1, 2], [3, 0, 0]]), gx.constant([6, 4]), gx.constant([3, 1])
    f = lambda x: gx.nn.ctc_loss(gx.nn.log_softmax(x), *given)
    gx.testing.check_grads(f, [logits], order=1, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: gx.nn.rope(gx.zeros((3, 5))), "an even number"),
        (lambda: gx.nn.rope(gx.zeros(4)), r"needs \[..., t, width\]"),
        (lambda: gx.nn.rope(gx.zeros((3, 4)), gx.arange(2)), "positions"),
        (lambda: gx.nn.rope(gx.zeros((3, 4)), offset=0.5), "offset must be one integer"),
        (lambda: gx.nn.rope(gx.zeros((3, 4)), base=-1), "base is -1"),
        (lambda: gx.nn.ctc_loss(gx.zeros((3, 4)), [[1]], [3], [1]), "needs log_probs"),
        (lambda: gx.nn.ctc_loss(gx.zeros((3, 1, 4)), [[1.0]], [3], [1]), "needs integers"),
        (lambda: gx.nn.ctc_loss(gx.zeros((3, 1, 4)), [[1]], [3], [1], blank=4), "blank is 4"),
        (lambda: gx.nn.ctc_loss(gx.zeros((3, 1, 4)), [[1]], [3], [1], reduction="max"), "reduction is"),
    ],
)
def test_wrong_use_of_rope_and_ctc_loss(act: Callable[[], Any], message: str) -> None:
    with pytest.raises(gx.GraphError, match=message) as caught:
        act()
    assert "test_nn.py" in str(caught.value)
