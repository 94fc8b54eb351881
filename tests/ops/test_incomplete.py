"""The incomplete gamma and beta functions, and their gradients, against 40 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special

import graphc as gx

RNG = np.random.default_rng(4)
TINY = 1e-290  # below it, no relative error is promised


def exact(function: Callable[..., Any], *arguments: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with mpmath.workdps(40):
        return np.array([float(function(*map(mpmath.mpf, values))) for values in zip(*arguments, strict=True)])


def slope(function: Callable[..., Any], by: int) -> Callable[..., Any]:
    """The derivative by central differences of 40 digits."""

    def at(*x: Any) -> Any:
        step = x[by] * mpmath.mpf("1e-13")
        up, down = (function(*x[:by], x[by] + s, *x[by + 1 :]) for s in (step, -step))
        return (up - down) / (2 * step)

    return at


def relative(got: np.ndarray[Any, Any], want: np.ndarray[Any, Any]) -> float:
    far = np.abs(want) > TINY
    return float(np.max(np.abs(got[far] / want[far] - 1)))


def gamma_places(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    a = 10 ** RNG.uniform(-3, 3, n)
    x = np.where(RNG.random(n) < 0.8, special.gammaincinv(a, RNG.uniform(1e-6, 1, n)), a * 10 ** RNG.uniform(-1, 1, n))
    return a, np.maximum(x, 1e-200)


def lower(a: Any, x: Any) -> Any:
    return mpmath.gammainc(a, 0, x, regularized=True)


def beta(a: Any, b: Any, x: Any) -> Any:
    return mpmath.betainc(a, b, 0, x, regularized=True)


def test_the_incomplete_gamma_functions_and_their_gradients() -> None:
    a, x = gx.placeholder("a", ("n",), "float64"), gx.placeholder("x", ("n",), "float64")
    p, q = gx.gammainc(a, x), gx.gammaincc(a, x)
    run = gx.compile([a, x], [p, q, *gx.grad(gx.sum(p), [a, x]), *gx.grad(gx.sum(q), [a, x])])
    at = gamma_places(80)
    got_p, got_q, by_a, by_x, q_by_a, q_by_x = run(*at)
    assert relative(got_p, exact(lower, *at)) <= 1e-12
    assert relative(got_q, exact(lambda a, x: mpmath.gammainc(a, x, regularized=True), *at)) <= 1e-12
    assert relative(by_x, exact(lambda a, x: mpmath.exp((a - 1) * mpmath.log(x) - x - mpmath.loggamma(a)), *at)) <= 1e-12
    np.testing.assert_allclose(by_a, exact(slope(lower, 0), *at), rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(q_by_a, -by_a)
    np.testing.assert_array_equal(q_by_x, -by_x)


def test_the_incomplete_beta_function_and_its_gradients() -> None:
    a, b, x = (gx.placeholder(name, ("n",), "float64") for name in "abx")
    y = gx.betainc(a, b, x)
    run = gx.compile([a, b, x], [y, *gx.grad(gx.sum(y), [a, b, x])])
    first, second = 10 ** RNG.uniform(-3, 2.5, (2, 60))
    at = first, second, np.clip(special.betaincinv(first, second, RNG.uniform(1e-6, 1, 60)), 1e-200, 1 - 1e-15)
    value, by_a, by_b, by_x = run(*at)
    assert relative(value, exact(beta, *at)) <= 1e-11
    assert relative(by_x, exact(lambda a, b, x: x ** (a - 1) * (1 - x) ** (b - 1) / mpmath.beta(a, b), *at)) <= 1e-11
    np.testing.assert_allclose(by_a, exact(slope(beta, 0), *at), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(by_b, exact(slope(beta, 1), *at), rtol=1e-10, atol=1e-12)


def test_large_parameters() -> None:
    """scipy's own expansions for large parameters keep 12 digits."""
    a = 10 ** RNG.uniform(3, 6, 200)
    x = special.gammaincinv(a, RNG.uniform(1e-6, 1, 200))
    assert relative(gx.gammainc(a, x).eval(), special.gammainc(a, x)) <= 2e-12
    a, b = 10 ** RNG.uniform(3, 5, (2, 200))
    x = special.betaincinv(a, b, RNG.uniform(1e-6, 1, 200))
    assert relative(gx.betainc(a, b, x).eval(), special.betainc(a, b, x)) <= 1e-10


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_ends_and_places_without_a_value(backend: str) -> None:
    inf, nan = np.inf, np.nan
    gammas = [  # a, x, below, above
        (1, 0, 0, 1), (1, inf, 1, 0), (inf, 1, 0, 1), (inf, inf, nan, nan), (0, 1, nan, nan), (-1, 1, nan, nan),
        (1, -1, nan, nan), (nan, 1, nan, nan), (1, nan, nan, nan), (1e-3, 1e308, 1, 0), (1, 1, 1 - np.exp(-1), np.exp(-1)),
    ]  # fmt: skip
    betas = [(2, 3, 0, 0), (2, 3, 1, 1), (2, 3, -0.1, nan), (2, 3, 1.1, nan), (0, 3, 0.5, nan), (2, -1, 0.5, nan),
             (nan, 1, 0.5, nan), (1, 1, 0.25, 0.25), (inf, 1, 0.5, nan)]  # fmt: skip
    a, b, x = (gx.placeholder(name, ("n",), "float64") for name in "abx")
    run = gx.compile([a, x], [gx.gammainc(a, x), gx.gammaincc(a, x)], backend=backend)
    (a1, x1, below, above), (a2, b2, x2, want) = np.array(gammas, float).T, np.array(betas, float).T
    for got, right in zip(run(a1, x1), (below, above), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-14, atol=0)
    np.testing.assert_allclose(gx.compile([a, b, x], gx.betainc(a, b, x), backend=backend)(a2, b2, x2), want, rtol=1e-13)


def test_types_and_broadcasting() -> None:
    x = gx.placeholder("x", ("n", 1), "float32")
    y = gx.gammainc(gx.constant([1.0, 2.0, 3.0], "float32"), x)
    assert str(y.type) == "f32[n, 3]"
    assert gx.betainc(2, 3, gx.constant(0)).dtype == gx.float64
    values = RNG.uniform(0.1, 5, (4, 1)).astype("float32")
    want = special.gammainc(np.array([1.0, 2.0, 3.0]), values.astype("float64")).astype("float32")
    np.testing.assert_array_max_ulp(gx.compile([x], y)(values), want, 1)


def test_the_second_derivative() -> None:
    a, x = (gx.placeholder(name, ("n",), "float64") for name in "ax")
    slope_of = gx.grad(gx.sum(gx.gammainc(a, x)), a)
    at = gamma_places(20)
    at = (np.clip(at[0], 0.1, 100), np.clip(at[1], 0.1, 100))
    got = gx.compile([a, x], gx.grad(gx.sum(slope_of), a))(*at)
    run, step = gx.compile([a, x], slope_of), 1e-4 * at[0]
    want = (run(at[0] + step, at[1]) - run(at[0] - step, at[1])) / (2 * step)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-8)
