"""Random numbers: known answers, distributions, streams, gradients.

Keys are fixed, so every figure is the same at each run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special, stats

import graphc as gx
from graphc.ops import sampling
from graphc.ops.sampling import log_gamma_slope

Array = np.ndarray[Any, Any]
r = gx.random
N = 1_000_000
MANY = 20_001  # enough for several threads
KEY = np.array([2026, 11], np.uint32)


def draw(make: Callable[[gx.Tensor], gx.Tensor], key: Array = KEY, backend: str = "llvm") -> Array:
    """What a function of a key draws from one that is an input."""
    k = gx.placeholder("key", (2,), "uint32")
    result: Array = gx.compile([k], make(k), backend=backend)(key)
    return result


# --- bits ------------------------------------------------------------------------------------------------------------

# Random123's tests/kat_vectors, "threefry 2x32 20": counter, key, answer
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_threefry_gives_the_published_answers(
    counter: tuple[int, int], key: tuple[int, int], answer: tuple[int, int], backend: str
) -> None:
    k, c = gx.placeholder("k", (2,), "uint32"), gx.placeholder("c", ("n",), "int64")
    run = gx.compile([k, c], [gx.ops.threefry(k, c, word=w) for w in (0, 1, -1)], backend=backend)
    number = np.array([counter[0] | counter[1] << 32] * 3, np.uint64).view(np.int64)
    low, high, both = run(np.array(key, np.uint32), number)
    assert low.tolist() == [answer[0]] * 3
    assert high.tolist() == [answer[1]] * 3
    assert both.tolist() == [list(answer)] * 3


def test_elements_are_the_blocks_of_their_numbers() -> None:
    bits = r.bits(r.key(0), (2, 3)).eval()
    assert bits[0, 0] == 0x6B200159
    assert bits.ravel().tolist() == r.bits(r.key(0), (10,)).eval()[:6].tolist()
    wide = r.bits(r.key(0), (6,), "uint64").eval()
    assert wide[0] == 0x99BA4EFE6B200159
    assert (wide & 0xFFFFFFFF).tolist() == bits.ravel().tolist()


def test_the_seed_is_the_key() -> None:
    assert r.key(7).eval().tolist() == [7, 0]
    assert r.key(2**64 - 2).eval().tolist() == [2**32 - 2, 2**32 - 1]
    seed = gx.placeholder("seed", (), "int64")
    assert gx.compile([seed], r.key(seed))(5 + (9 << 32)).tolist() == [5, 9]


def test_keys_may_be_constants_inputs_variables_or_computed() -> None:
    want = r.normal(gx.constant(KEY), (5,)).eval()
    held = gx.variable(KEY, name="held")
    np.testing.assert_allclose(gx.compile([], r.normal(held, (5,)))(), want, rtol=1e-5)
    np.testing.assert_allclose(draw(lambda k: r.normal(k ^ 0, (5,))), want, rtol=1e-5)
    np.testing.assert_allclose(gx.compile([], r.normal(KEY, (5,)))(), want, rtol=1e-5)


# --- the same numbers everywhere -------------------------------------------------------------------------------------

ROWS = gx.constant(np.linspace(-1, 1, 5))
DRAWS: dict[str, Callable[[gx.Tensor, int], gx.Tensor]] = {
    "bits": lambda k, n: r.bits(k, (n,)),
    "bits64": lambda k, n: r.bits(k, (n,), "uint64"),
    "uniform": lambda k, n: r.uniform(k, (n,)),
    "uniform64": lambda k, n: r.uniform(k, (n,), "float64"),
    "bernoulli": lambda k, n: r.bernoulli(k, 0.3, (n,)),
    "randint": lambda k, n: r.randint(k, (n,), -5, 95),
    "randint wide": lambda k, n: r.randint(k, (n,), -(2**62), 2**62 + 3),
    "randint data": lambda k, n: r.randint(k, (n,), gx.constant(-5), gx.constant(95), "int32"),
    "choice": lambda k, n: r.choice(k, gx.constant([2.0, 3.0, 5.0]), (n,)),
    "choice p": lambda k, n: r.choice(k, 3, (n,), p=[0.2, 0.3, 0.5]),
    "categorical": lambda k, n: r.categorical(k, ROWS, shape=(n,)),
    "normal": lambda k, n: r.normal(k, (n,)),
    "normal64": lambda k, n: r.normal(k, (n,), "float64"),
    "truncated_normal": lambda k, n: r.truncated_normal(k, -1.0, 2.5, (n,), "float64"),
    "truncated_normal tail": lambda k, n: r.truncated_normal(k, 3.0, np.inf, (n,), "float64"),
    "exponential": lambda k, n: r.exponential(k, (n,)),
    "exponential64": lambda k, n: r.exponential(k, (n,), "float64"),
    "gumbel": lambda k, n: r.gumbel(k, (n,)),
    "gamma": lambda k, n: r.gamma(k, 3.5, (n,)),
    "gamma below 1": lambda k, n: r.gamma(k, np.float32(0.3), (n,)),
    "beta": lambda k, n: r.beta(k, 0.5, 2.0, (n,)),
    "dirichlet": lambda k, n: r.dirichlet(k, gx.constant([0.5, 1.0, 3.0]), (n,))[:, 1],
    "poisson": lambda k, n: r.poisson(k, 4.5, (n,)),
    "poisson 30": lambda k, n: r.poisson(k, 30.0, (n,), "int32"),
    "poisson 34": lambda k, n: r.poisson(k, 34.0, (n,)),
    "poisson 1000": lambda k, n: r.poisson(k, 1000.0, (n,)),
}
EXACT = ("bits", "bits64", "uniform", "uniform64", "bernoulli", "randint", "randint wide", "randint data", "choice")


@pytest.mark.parametrize("name", DRAWS)
def test_the_interpreter_draws_the_same(name: str) -> None:
    a, b = (draw(lambda k: DRAWS[name](k, MANY), backend=backend) for backend in ("llvm", "interpreter"))
    assert a.dtype == b.dtype and a.shape == b.shape == (MANY,)
    if name in EXACT or a.dtype.kind in "iub":
        assert (a == b).all()
    else:
        relative, absolute = (2e-5, 1e-6) if a.dtype == np.float32 else (1e-11, 1e-14)
        np.testing.assert_allclose(a, b, rtol=relative, atol=absolute)


def test_each_element_has_its_own_parameter_and_its_own_way() -> None:
    """Shapes and rates of every kind side by side, in blocks that are full and one that is not, on either backend."""
    n = 777
    kinds = [0.0, 0.3, 0.99, 1.0, 3.0, 33.9, 34.0, 1e3, 1e9, np.nan, -1.0, np.inf]
    mixed = np.random.default_rng(0).permutation(np.resize(kinds, n))
    k, x = gx.placeholder("k", (2,), "uint32"), gx.placeholder("x", ("n",), "float64")
    outputs = [r.gamma(k, x), r.poisson(k, x)]
    gammas, counts = gx.compile([k, x], outputs)(KEY, mixed)
    wanted = gx.compile([k, x], outputs, backend="interpreter")(KEY, mixed)
    np.testing.assert_allclose(gammas, wanted[0], rtol=1e-11)
    np.testing.assert_array_equal(counts, wanted[1])
    for value in (0.3, 3.0, 34.0):  # the same numbers as where all have one parameter
        here = mixed == value
        np.testing.assert_array_equal(gammas[here], draw(lambda k, v=value: r.gamma(k, v, (n,)))[here])  # type: ignore[misc]
        np.testing.assert_array_equal(counts[here], draw(lambda k, v=value: r.poisson(k, v, (n,)))[here])  # type: ignore[misc]
    assert (counts[~(mixed < np.inf) | (mixed < 0)] == -1).all()


def test_several_keys_draw_what_each_draws_alone() -> None:
    keys, shapes = r.split(r.key(3), 3).eval(), np.linspace(0.2, 40, 15).reshape(3, 5)
    k, x = gx.placeholder("k", (3, 2), "uint32"), gx.placeholder("x", (3, 5), "float64")
    one, y = gx.placeholder("one", (2,), "uint32"), gx.placeholder("y", (5,), "float64")
    for make in (r.gamma, r.poisson, lambda k, x: r.gamma(k, 2.5, (5,)) + x):
        together = gx.compile([k, x], gx.vmap(make)(k, x))(keys, shapes)
        alone = gx.compile([one, y], make(one, y))
        np.testing.assert_array_equal(together, [alone(a, b) for a, b in zip(keys, shapes, strict=True)])


def test_the_formulas_for_models_draw_the_same() -> None:
    k, x = gx.placeholder("k", (2,), "uint32"), gx.placeholder("x", ("n",), "float64")
    drawn = [gx.ops.gamma_draw(k, x, shape=x.shape, over=0, log=log) for log in (False, True)]
    drawn.append(gx.ops.poisson_draw(k, x, shape=x.shape, over=0))
    written = [*(sampling.gamma_formula(k, x, x.shape, log) for log in (False, True)), sampling.poisson_formula(k, x, x.shape)]
    made = gx.compile([k, x], drawn + written)(KEY, np.linspace(0.05, 80, 1000))
    for a, b in zip(made[:3], made[3:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)


@pytest.mark.parametrize("name", DRAWS)
def test_threads_draw_the_same(name: str) -> None:
    before = gx.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            gx.set_num_threads(threads)
            found.append(draw(lambda k: DRAWS[name](k, MANY)).tobytes())
        assert found[0] == found[1]
    finally:
        gx.set_num_threads(before)


@pytest.mark.parametrize("name", ["bits", "normal", "gamma", "poisson 1000", "categorical"])
def test_fusion_and_names_of_sizes_change_nothing(name: str) -> None:
    k, x = gx.placeholder("k", (2,), "uint32"), gx.placeholder("x", ("n", 7), "float64")
    y = DRAWS[name](k, 7 * gx.dim("n"))
    inside = gx.reshape(gx.astype(y, "float64"), x.shape) + x
    alone, fused, total = gx.compile([k, x], [y, inside, gx.sum(inside, axis=0)])(KEY, np.zeros((301, 7)))
    assert draw(lambda k: DRAWS[name](k, 2107)).tobytes() == alone.tobytes()
    assert (fused.ravel() == alone).all()
    np.testing.assert_allclose(total, fused.sum(axis=0), rtol=1e-9)


# --- distributions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    draw: Callable[[gx.Tensor], gx.Tensor]
    law: Any  # of scipy.stats


def _beta(a: float, b: float) -> Case:
    return Case(lambda k: r.beta(k, a, b, (N,)), stats.beta(a, b))


def _gamma(a: float) -> Case:
    return Case(lambda k: r.gamma(k, a, (N,)), stats.gamma(a))


def _truncated(a: float, b: float) -> Case:
    return Case(lambda k: r.truncated_normal(k, a, b, (N,), "float64"), stats.truncnorm(a, b))


def _poisson(v: float) -> Case:
    return Case(lambda k: r.poisson(k, v, (N,)), stats.poisson(v))


CONTINUOUS = {
    "uniform": Case(lambda k: r.uniform(k, (N,)), stats.uniform()),
    "uniform64": Case(lambda k: r.uniform(k, (N,), "float64", -2.0, 3.0), stats.uniform(-2, 5)),
    "normal": Case(lambda k: r.normal(k, (N,)), stats.norm()),
    "normal64": Case(lambda k: r.normal(k, (N,), "float64"), stats.norm()),
    "exponential": Case(lambda k: r.exponential(k, (N,)), stats.expon()),
    "exponential64": Case(lambda k: r.exponential(k, (N,), "float64"), stats.expon()),
    "gumbel": Case(lambda k: r.gumbel(k, (N,)), stats.gumbel_r()),
    "gumbel64": Case(lambda k: r.gumbel(k, (N,), "float64"), stats.gumbel_r()),
    **{f"gamma {a}": _gamma(a) for a in (0.2, 0.9, 1.0, 2.5, 40.0, 1e4)},
    **{f"beta {a} {b}": _beta(a, b) for a, b in ((0.3, 0.4), (2.0, 3.0), (50.0, 1.0))},
    **{f"truncated {a} {b}": _truncated(a, b) for a, b in ((-1.0, 2.0), (-np.inf, 0.5), (2.0, 2.5), (-9.0, -6.0))},
    "dirichlet": Case(lambda k: r.dirichlet(k, gx.constant([0.5, 2.0, 3.0]), (N,))[:, 1], stats.beta(2.0, 3.5)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_distributions(name: str) -> None:
    """Kolmogorov and Smirnov's test, and mean and variance to 5 standard errors."""
    case = CONTINUOUS[name]
    x = draw(case.draw).astype(np.float64)
    assert x.shape == (N,) and np.isfinite(x).all()
    assert stats.kstest(x, case.law.cdf).pvalue > 1e-3
    _moments(x, *case.law.stats("mvk"))


def _moments(x: Array, mean: float, variance: float, kurtosis: float) -> None:
    assert abs(x.mean() - mean) < 5 * np.sqrt(variance / N)
    assert abs(x.var() - variance) < 5 * variance * np.sqrt((kurtosis + 2) / N)


DISCRETE: dict[str, Case] = {
    "bernoulli": Case(lambda k: r.bernoulli(k, 0.3, (N,)), stats.bernoulli(0.3)),
    "bernoulli rare": Case(lambda k: r.bernoulli(k, 1e-3, (N,)), stats.bernoulli(1e-3)),
    "randint": Case(lambda k: r.randint(k, (N,), -7, 93), stats.randint(-7, 93)),
    "randint data": Case(lambda k: r.randint(k, (N,), gx.constant(0), gx.constant(13)), stats.randint(0, 13)),
    "randint int8": Case(lambda k: r.randint(k, (N,), -128, 128, "int8"), stats.randint(-128, 128)),
    "choice": Case(lambda k: r.choice(k, 11, (N,)), stats.randint(0, 11)),
    "categorical": Case(
        lambda k: r.categorical(k, gx.log(gx.constant(stats.binom(6, 0.4).pmf(range(7)))), shape=(N,)), stats.binom(6, 0.4)
    ),
    **{f"poisson {v}": _poisson(v) for v in (0.1, 3.0, 33.9, 34.0, 200.0, 1e9)},
}  # fmt: skip


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_distributions(name: str) -> None:
    """The chi-square test over bins in which 50 or more are expected, and mean and variance to 5 standard errors."""
    case = DISCRETE[name]
    x = draw(case.draw).astype(np.int64)
    _moments(x.astype(np.float64), *case.law.stats("mvk"))
    edges = np.unique(case.law.ppf(np.linspace(0, 1, 201)[1:-1]).astype(np.int64))
    expected = np.diff(np.concatenate([[0.0], case.law.cdf(edges), [1.0]])) * N
    found = np.bincount(np.searchsorted(edges, x), minlength=len(expected))
    keep = expected > 50
    assert found[~keep].sum() < 200
    assert stats.chisquare(found[keep], expected[keep] * found[keep].sum() / expected[keep].sum()).pvalue > 1e-3


def test_the_tails_of_normal_are_there() -> None:
    x = draw(lambda k: r.normal(k, (30 * N,)))
    for sigmas in (3, 4, 5):
        expected = 2 * stats.norm.sf(sigmas) * 30 * N
        assert abs((np.abs(x) > sigmas).sum() - expected) < 5 * np.sqrt(expected)
    assert len(np.unique(x[np.abs(x) > 4.5])) > 0.99 * (np.abs(x) > 4.5).sum()  # tails are not made of few values


def test_bits_are_balanced_and_words_independent() -> None:
    bits = draw(lambda k: r.bits(k, (N,), "uint64"))
    ones = np.array([(bits >> np.uint64(i) & np.uint64(1)).sum(dtype=np.int64) for i in range(64)])
    assert (np.abs(ones - N / 2) < 5 * np.sqrt(N / 4)).all()
    low, high = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64), (bits >> np.uint64(32)).astype(np.float64)
    assert abs(np.corrcoef(low, high)[0, 1]) < 5 / np.sqrt(N)
    assert abs(np.corrcoef(low[1:], low[:-1])[0, 1]) < 5 / np.sqrt(N)


def test_split_keys_give_streams_without_correlation() -> None:
    k = gx.placeholder("k", (2,), "uint32")
    keys = [*r.split(k, 12), k, *(r.fold_in(k, i) for i in range(8)), *r.split(r.split(k)[0])]
    rows = np.stack(gx.compile([k], [r.normal(key, (100_000,)) for key in keys])(KEY))
    correlations = np.corrcoef(rows.astype(np.float64)) - np.eye(len(keys))
    correlations[0, -2:] = correlations[-2:, 0] = 0
    assert np.abs(correlations).max() < 5 / np.sqrt(100_000)
    spectrum = np.abs(np.fft.rfft(rows, axis=1)[:, 1:]) ** 2 / 100_000
    assert np.abs(np.corrcoef(spectrum) - np.eye(len(keys))).max() < 6 / np.sqrt(50_000)  # nor shifted copies of each other


def test_split_and_fold_in_give_keys_that_differ() -> None:
    keys = gx.concat([r.split(r.key(3), 1000), gx.stack([r.fold_in(r.key(3), i) for i in range(-50, 50)])]).eval()
    assert len({tuple(row) for row in keys.tolist()}) == 1100
    assert r.fold_in(r.key(3), gx.constant(5, "uint8")).eval().tolist() == r.fold_in(r.key(3), 5).eval().tolist()


# --- values at the edges ---------------------------------------------------------------------------------------------


def test_randint_reaches_both_ends_and_no_further() -> None:
    x = draw(lambda k: r.randint(k, (100_000,), -3, 4))
    assert (x.min(), x.max()) == (-3, 3)
    whole = draw(lambda k: r.randint(k, (100_000,), -(2**63), 2**63))
    assert whole.min() < -(2**63) * 0.999 and whole.max() > 2**63 * 0.999
    wide = draw(lambda k: r.randint(k, (100_000,), 0, 2**64, "uint64"))
    assert wide.max() > 2**64 * 0.999
    assert draw(lambda k: r.randint(k, (3,), gx.constant([4, 4, 4]), gx.constant([4, 3, 5]))).tolist() == [4, 4, 4]
    half = draw(lambda k: r.randint(k, (N,), 0, 3 * 2**62, "uint64"))  # a quotient of 64 bits alone would favour one in four
    assert stats.kstest(half / (3 * 2**62), "uniform").pvalue > 1e-3


def test_the_product_of_64_bits_is_exact() -> None:
    rng = np.random.default_rng(0)
    a, b = (np.concatenate([rng.integers(0, 2**64, 500, np.uint64), np.array([0, 1, 2**64 - 1] * 5, np.uint64)]) for _ in "ab")
    found = r._product(gx.constant(a), gx.constant(b)).eval()
    assert found.tolist() == [int(x) * int(y) >> 64 for x, y in zip(a, b, strict=True)]


def test_empty_and_single_draws() -> None:
    for name, make in DRAWS.items():
        assert draw(lambda k, make=make: make(k, 0), backend="interpreter").shape == (0,), name  # type: ignore[misc]
    k = gx.placeholder("k", (2,), "uint32")
    assert [y.shape for y in gx.compile([k], [DRAWS[name](k, 0) for name in ("normal", "randint", "gamma")])(KEY)] == [(0,)] * 3
    assert draw(lambda k: r.normal(k)).shape == ()
    assert draw(lambda k: r.gamma(k, 2.0)).shape == ()


def test_parameters_outside_their_range() -> None:
    bad = gx.constant([-1.0, 0.0, np.nan])
    assert np.isnan(draw(lambda k: r.gamma(k, bad))).all()
    assert draw(lambda k: r.poisson(k, bad)).tolist() == [-1, 0, -1]
    p = gx.constant([-1.0, 0.0, 1.0, 2.0, np.nan])
    assert draw(lambda k: r.bernoulli(k, p)).tolist() == [False, False, True, True, False]


def test_truncated_normal_far_out() -> None:
    x = draw(lambda k: r.truncated_normal(k, 30.0, np.inf, (N,), "float64"))
    assert x.min() >= 30
    assert stats.kstest((x - 30) * 30, lambda v: 1 - np.exp(-v - (v / 30) ** 2 / 2) * 30 / (30 + v / 30)).pvalue > 1e-3
    assert draw(lambda k: r.truncated_normal(k, 1.0, 1.0)).item() == 1


def test_small_shapes_of_beta_and_dirichlet_stay_finite() -> None:
    x = draw(lambda k: r.beta(k, 1e-3, 1e-3, (N // 10,)))
    assert np.isfinite(x).all() and abs(x.mean() - 0.5) < 5 * 0.5 / np.sqrt(N // 10)
    assert np.isfinite(draw(lambda k: r.dirichlet(k, gx.constant([1e-3, 1e-3, 1e-3]), (1000,)))).all()


def test_a_class_of_probability_0_never_comes() -> None:
    x = draw(lambda k: r.categorical(k, gx.constant([0.0, -np.inf, 1.0]), shape=(N,)))
    assert set(x.tolist()) == {0, 2}


def test_categorical_along_any_axis() -> None:
    logits = gx.constant(np.where(np.arange(3)[:, None] == [[2, 0, 1, 1]], 50.0, 0.0))
    assert draw(lambda k: r.categorical(k, logits, axis=0)).tolist() == [2, 0, 1, 1]
    assert draw(lambda k: r.categorical(k, gx.matrix_transpose(logits), shape=(5, 4))).tolist() == [[2, 0, 1, 1]] * 5


# --- gradients -------------------------------------------------------------------------------------------------------


def _exact_slope(alpha: float, x: float) -> float:
    """d log(x) / d alpha from 40 digits: the derivative of the regularised gamma function over the density."""
    with mpmath.workdps(40):
        a, z = mpmath.mpf(alpha), mpmath.mpf(x)
        ends, sign = ((0, z), 1) if z <= a else ((z, mpmath.inf), -1)
        f = lambda v: sign * mpmath.gammainc(v, *ends, regularized=True)
        step = a * mpmath.mpf("1e-12")
        slope = (f(a + step) - f(a - step)) / (2 * step)
        return float(-slope / mpmath.exp(a * mpmath.log(z) - z - mpmath.loggamma(a)))


def test_the_slope_of_gamma_variates() -> None:
    at = [(a, special.gammaincinv(a, p)) for a in (0.05, 0.3, 1.0, 2.5, 30.0, 1e3) for p in (1e-6, 0.1, 0.5, 0.7, 0.99, 1 - 1e-9)]
    at = [(a, x) for a, x in at if x > 1e-100]
    alpha, x = np.array(at).T
    found = log_gamma_slope(gx.constant(np.log(x)), gx.constant(alpha)).eval()
    want = np.array([_exact_slope(a, v) for a, v in at])
    np.testing.assert_allclose(found, want, rtol=2e-7)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0, 200.0])
def test_the_gradient_of_gamma_holds_its_probability_fixed(alpha: float) -> None:
    k, a = gx.placeholder("k", (2,), "uint32"), gx.placeholder("a", ("n",), "float64")
    x = r.gamma(k, a)
    value, slope = gx.compile([k, a], [x, gx.grad(gx.sum(x), a)])(KEY, np.full(1000, alpha))
    p, step = special.gammainc(alpha, value), 1e-4 * alpha
    inside = (p > 1e-3) & (p < 0.999)
    want = (special.gammaincinv(alpha + step, p) - special.gammaincinv(alpha - step, p)) / (2 * step)
    np.testing.assert_allclose(slope[inside], want[inside], rtol=1e-5)


def test_expectations_have_the_gradients_of_their_formulas() -> None:
    """Means of pathwise gradients, as near as 1e5 draws bring them."""
    k, v = gx.placeholder("k", (2,), "uint32"), gx.placeholder("v", (3,), "float64")
    a, b, _ = v
    each = {
        "gamma": (r.gamma(k, a, (N // 10,)) ** 2, lambda a, b, c: a * (a + 1)),
        "beta": (r.beta(k, a, b, (N // 10,)), lambda a, b, c: a / (a + b)),
        "normal": ((a + b * r.normal(k, (N // 10,), "float64")) ** 2, lambda a, b, c: a * a + b * b),
        "uniform": (r.uniform(k, (N // 10,), "float64", a, a + b) ** 2, lambda a, b, c: ((a + b) ** 3 - a**3) / (3 * b)),
        "gumbel": (a + b * r.gumbel(k, (N // 10,), "float64"), lambda a, b, c: a + b * np.euler_gamma),
        "dirichlet": (r.dirichlet(k, v, (N // 10,))[:, 0] ** 2, lambda a, b, c: a * (a + 1) / ((a + b + c) * (a + b + c + 1))),
    }
    point = np.array([0.7, 2.0, 1.3])
    for name, (y, formula) in each.items():
        found = gx.compile([k, v], gx.grad(gx.mean(y), v))(KEY, point)
        steps = np.eye(3) * 1e-6
        want = np.array([(formula(*(point + s)) - formula(*(point - s))) / 2e-6 for s in steps])
        np.testing.assert_allclose(found, want, rtol=0.03, atol=0.015, err_msg=name)


def test_the_gradient_of_truncated_normal_is_the_difference() -> None:
    k, v = gx.placeholder("k", (2,), "uint32"), gx.placeholder("v", (2,), "float64")
    for low, high in ((-1.0, 2.0), (4.0, 5.0), (-7.0, -6.0)):
        y = gx.sum(r.truncated_normal(k, v[0], v[1], (200,), "float64"))
        f = gx.compile([k, v], [y, gx.grad(y, v)])
        _, slope = f(KEY, np.array([low, high]))
        at, steps = np.array([low, high]), 1e-5 * np.eye(2)
        want = [(f(KEY, at + s)[0] - f(KEY, at - s)[0]) / 2e-5 for s in steps]
        np.testing.assert_allclose(slope, want, rtol=1e-6)


def test_second_derivatives_of_gamma() -> None:
    k, a = gx.placeholder("k", (2,), "uint32"), gx.placeholder("a", (), "float64")
    x = r.gamma(k, a)
    f = gx.compile([k, a], [x, gx.grad(gx.grad(x, a), a)])
    value, second = f(KEY, 2.5)
    p, step = special.gammainc(2.5, value), 1e-3
    want = (special.gammaincinv(2.5 + step, p) - 2 * value + special.gammaincinv(2.5 - step, p)) / step**2
    np.testing.assert_allclose(second, want, rtol=1e-3)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_advances_by_itself() -> None:
    stream = r.Stream(7)
    f = gx.compile([], [r.normal(stream, (100,)), r.normal(stream, (100,))])
    calls = [f() for _ in range(3)]
    assert stream.value == 3
    assert len({row.tobytes() for call in calls for row in call}) == 6
    stream.value = 1
    assert all((a == b).all() for a, b in zip(f(), calls[1], strict=True))
    assert stream.value == 2


def test_equal_streams_in_equal_programs_draw_the_same() -> None:
    found = []
    for backend in ("llvm", "interpreter"):
        stream = r.Stream(7)
        f = gx.compile([], r.bits(stream, (100,)), backend=backend)
        found.append([f().tolist(), f().tolist()])
    assert found[0] == found[1]


def test_a_stream_is_held_back_where_updates_say_so() -> None:
    stream = r.Stream(7)
    f = gx.compile([], r.bits(stream), updates={stream.variable: stream.variable})
    assert f() == f() and stream.value == 0
    assert r.bits(stream).eval().shape == () and stream.value == 0


def test_a_stream_that_only_an_update_reads_advances() -> None:
    stream, w = r.Stream(7), gx.variable(np.zeros(5), name="w")
    f = gx.compile([], [], updates={w: w + r.normal(stream, (5,), "float64")})
    f()
    first = w.value
    f()
    assert stream.value == 2 and (w.value != 2 * first).all()


def test_default_updates_follow_each_other() -> None:
    a, b = gx.variable(0, name="a"), gx.variable(10, name="b")
    a.default_update = a + b
    b.default_update = b + 1
    f = gx.compile([], a * 1)
    assert [int(f()) for _ in range(3)] == [0, 10, 21] and b.value == 13
    a.default_update = None
    assert int(gx.compile([], a * 1)()) == 33 == int(a.value)


# --- dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_drops_its_part_and_keeps_the_mean() -> None:
    for dtype in ("float32", "float64"):
        y = draw(lambda k, dtype=dtype: gx.nn.dropout(gx.ones((N,), dtype), 0.3, k))  # type: ignore[misc]
        assert y.dtype == dtype and set(np.unique(y)) == {0, y.dtype.type(1 / (1 - 0.3))}
        assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.21 / N)
    assert (draw(lambda k: gx.nn.dropout(gx.ones((100,)), 0, k)) == 1).all()


def test_dropout_keeps_no_mask() -> None:
    """No buffer but the operands' own holds anything of the mask's size: the gradient draws it again."""
    x, k = gx.placeholder("x", ("n", 64), "float32"), gx.placeholder("k", (2,), "uint32")
    w = gx.variable(np.random.default_rng(0).standard_normal((64, 48)).astype("float32"), name="w")
    v = gx.variable(np.random.default_rng(1).standard_normal((48, 32)).astype("float32"), name="v")

    def training(drop: Callable[[gx.Tensor], gx.Tensor]) -> gx.Compiled:
        loss = gx.sum((drop(gx.nn.relu(x @ w)) @ v) ** 2)
        return gx.compile([x, k], [loss, *gx.grad(loss, [w, v])])

    dropped, plain = training(lambda h: gx.nn.dropout(h, 0.4, k)), training(lambda h: h * 2)
    assert not [b for b in dropped.program.buffers.values() if b.role == "temporary" and b.type.dtype in (gx.bool_, gx.uint32)]
    assert dropped.memory.at(n=1000).arena <= plain.memory.at(n=1000).arena

    values = np.random.default_rng(2).standard_normal((300, 64)).astype("float32")
    mask = draw(lambda k: gx.nn.dropout(gx.ones((300, 48)), 0.4, k))
    hidden = np.maximum(values.astype(np.float64) @ w.value, 0) * mask
    g = 2 * hidden @ v.value.astype(np.float64)
    _, gw, gv = dropped(values, KEY)
    np.testing.assert_allclose(gv, hidden.T @ g, rtol=1e-3, atol=1e-1)
    np.testing.assert_allclose(gw, values.T @ ((g @ v.value.T) * mask * (hidden > 0)), rtol=1e-3, atol=1e-1)


def test_attention_with_dropout_keeps_neither_scores_nor_mask() -> None:
    q, k, v = (gx.placeholder(name, ("batch", 2, 64, 8), "float32") for name in "qkv")

    def attended(rate: float, backend: str = "llvm") -> gx.Compiled:
        weights = gx.nn.softmax(q @ gx.matrix_transpose(k))
        weights = gx.nn.dropout(weights, rate, gx.constant(KEY)) if rate else weights
        loss = gx.sum((weights @ v) ** 2)
        return gx.compile([q, k, v], [loss, *gx.grad(loss, [q, k, v])], backend=backend)

    dropped, plain = attended(0.3), attended(0)
    assert dropped.memory.at(batch=3).arena == plain.memory.at(batch=3).arena
    assert len(dropped.program.calls) == len(plain.program.calls)
    values = np.random.default_rng(0).standard_normal((3, 3, 2, 64, 8)).astype("float32")
    for a, b in zip(dropped(*values), attended(0.3, "interpreter")(*values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


def test_dropout_of_a_stream_differs_from_call_to_call() -> None:
    f = gx.compile([], gx.nn.dropout(gx.ones((100,)), 0.5, r.Stream(1)))
    assert f().tolist() != f().tolist()


# --- wrong use -------------------------------------------------------------------------------------------------------

WRONG: dict[str, Callable[[gx.Tensor], object]] = {
    "key: the seed must be an integer from 0 to 2^64 - 1, got -1": lambda k: r.key(-1),
    "key: the seed must be an integer from 0 to 2^64 - 1, got 0.5": lambda k: r.key(0.5),
    "key: the seed must be one integer, got f32[]": lambda k: r.key(gx.full((), 1, "float32")),
    "normal needs a key u32[2], got u32[3, 2]": lambda k: r.normal(r.split(k, 3), (2,)),
    "bits needs a key u32[2], got i64[2]": lambda k: r.bits([1, 2]),
    "split: n must be an integer of at least 0, got -1": lambda k: r.split(k, -1),
    "fold_in: data must be one integer, got f64[]": lambda k: r.fold_in(k, 0.5),
    "normal: (-1,) is not a shape": lambda k: r.normal(k, (-1,)),
    "uniform: 'a b' is not a shape": lambda k: r.uniform(k, "a b"),
    "normal: dtype must be float32 or float64, got int32": lambda k: r.normal(k, (2,), "int32"),
    "randint: no int8 from 0 to below 129": lambda k: r.randint(k, (2,), 0, 129, "int8"),
    "randint: no int64 from 3 to below 3": lambda k: r.randint(k, (2,), 3, 3),
    "randint: minval and maxval must be integers, got f64[] and i64[]": lambda k: r.randint(k, (2,), 0.5, 3),
    "gamma: broadcast_to cannot": lambda k: r.gamma(k, gx.ones((3,)), (2,)),
    "beta cannot broadcast": lambda k: r.beta(k, gx.ones((3,)), gx.ones((2,))),
    "categorical needs floats with an axis -1, got i64[2]": lambda k: r.categorical(k, gx.constant([1, 2])),
    "choice: p must have shape [3], got f64[2]": lambda k: r.choice(k, 3, (2,), p=[0.5, 0.5]),
    "choice: needs an axis to choose along, got f64[]": lambda k: r.choice(k, gx.constant(2.0)),
    "dirichlet needs alpha with an axis, got f64[]": lambda k: r.dirichlet(k, 1.0),
    "dropout: rate must be a number from 0 to below 1, got 1": lambda k: gx.nn.dropout(gx.ones((2,)), 1, k),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_use_says_what_and_where(message: str) -> None:
    with pytest.raises(gx.GraphError) as caught:
        WRONG[message](gx.placeholder("k", (2,), "uint32"))
    assert message in str(caught.value)
    assert "test_random.py" in str(caught.value)


def test_a_default_update_must_have_the_variable_s_type() -> None:
    v = gx.variable(np.zeros(3), name="v")
    with pytest.raises(gx.errors.DTypeError, match=r"variable v is f64\[3\], got a default update f64\[2\]"):
        v.default_update = gx.ones((2,))


def test_permutations_hold_every_element_once() -> None:
    k, x = gx.placeholder("k", (2,), "uint32"), gx.placeholder("x", ("n", 3), "float64")
    run = gx.compile([k, x], [r.permutation(k, 1000), r.permutation(k, x), r.permutation(k, x, axis=1), r.permutation(k, 0)])
    values = np.arange(30.0).reshape(10, 3)
    numbers, rows, columns, nothing = run(KEY, values)
    assert sorted(numbers) == list(range(1000)) and nothing.shape == (0,)
    assert sorted(map(tuple, rows)) == sorted(map(tuple, values)) and not np.array_equal(rows, values)
    assert sorted(map(tuple, columns.T)) == sorted(map(tuple, values.T))


def test_every_order_is_as_likely() -> None:
    orders = gx.vmap(lambda k: r.permutation(k, 4))(r.split(r.key(1), 24_000)).eval()
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24 and stats.chisquare(counts).pvalue > 1e-3


def test_choice_without_replacement() -> None:
    k = gx.placeholder("k", (2,), "uint32")
    drawn, weighted = gx.compile([k], [
        r.choice(k, 100, (10, 5), replace=False), r.choice(k, 5, (3,), p=[0, 1, 1, 1, 0], replace=False),
    ])(KEY)  # fmt: skip
    assert len(np.unique(drawn)) == 50 and drawn.shape == (10, 5)
    assert sorted(weighted) == [1, 2, 3]
    firsts = gx.vmap(lambda k: r.choice(k, 3, (2,), p=[0.2, 0.3, 0.5], replace=False))(r.split(r.key(2), 20_000)).eval()[:, 0]
    assert stats.chisquare(np.bincount(firsts), 20_000 * np.array([0.2, 0.3, 0.5])).pvalue > 1e-3
    with pytest.raises(gx.errors.ShapeError, match="choice: 4 elements without replacement from 3"):
        r.choice(k, 3, (4,), replace=False)
