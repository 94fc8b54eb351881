"""gx.stats against scipy.stats: values inside and outside the support, at its ends, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import graphc as gx

Array = np.ndarray[Any, Any]
NAN, INF = float("nan"), float("inf")

X = np.concatenate([np.linspace(-4, 6, 41), [0.0, 1.0, 2.0, 1e-10, 50.0, -50.0]])
K = np.array([-3, -1, 0, 1, 2, 3, 5, 10, 40, 200, 1.5])

# name -> scipy's name for logpdf's or logpmf's parameters in our order, with values: some good, some on the edge, some wrong
PARAMETERS: dict[str, list[tuple[float, ...]]] = {
    "norm": [(), (0.5, 2.0), (0.0, 1e-3), (0.0, -1.0), (NAN, 1.0)],
    "laplace": [(), (0.5, 2.0), (0.0, 0.0)],
    "cauchy": [(), (0.5, 2.0), (0.0, -1.0)],
    "t": [(1.0,), (2.5, 0.5, 2.0), (1e6,), (1e10,), (INF,), (-1.0,)],
    "gamma": [(1.0,), (0.5,), (2.5, 0.5, 2.0), (300.0,), (0.0,), (1.0, 0.0, -1.0)],
    "beta": [(2.0, 3.0), (0.5, 0.5), (1.0, 1.0), (200.0, 3.0, -1.0, 5.0), (-1.0, 1.0)],
    "uniform": [(), (-1.0, 3.0), (0.0, -1.0)],
    "expon": [(), (0.5, 2.0), (0.0, -1.0)],
    "halfnorm": [(), (0.5, 2.0), (0.0, -1.0)],
    "lognorm": [(1.0,), (0.5, 0.5, 2.0), (-1.0,)],
    "bernoulli": [(0.25,), (0.0,), (1.0,), (1.5,), (0.25, 1)],
    "poisson": [(0.5,), (30.0,), (0.0,), (-1.0,), (2.0, 1)],
    "nbinom": [(2.0, 0.25), (0.5, 1.0), (30.5, 0.01), (-1.0, 0.5), (1.0, 1.5), (2.0, 0.5, 1)],
    "binom": [(10, 0.25), (0, 0.5), (40, 0.0), (40, 1.0), (200, 0.999), (3, 1.5)],
}
CASES = [(name, row) for name, rows in PARAMETERS.items() for row in rows]


def ours(name: str) -> Callable[..., Any]:
    module = getattr(gx.stats, name)
    found: Callable[..., Any] = getattr(module, "logpdf", None) or module.logpmf
    return found


def theirs(name: str, *args: Any) -> Array:
    law = getattr(stats, name)
    with np.errstate(all="ignore"):
        return np.asarray((law.logpmf if hasattr(law, "logpmf") else law.logpdf)(*args))


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
@pytest.mark.parametrize(("name", "row"), CASES, ids=[f"{n}{r}" for n, r in CASES])
def test_values_are_scipy_s(name: str, row: tuple[float, ...], backend: str) -> None:
    values = K if hasattr(getattr(gx.stats, name), "logpmf") else X
    x = gx.placeholder("x", ("n",), "float64")
    got = gx.compile([x], ours(name)(x, *row), backend=backend)(np.append(values, NAN))
    want = theirs(name, np.append(values, NAN), *row)
    assert np.allclose(got, want, rtol=1e-11, atol=1e-11, equal_nan=True), np.stack([np.append(values, NAN), got, want], 1)


@pytest.mark.parametrize(("name", "row"), [(n, r[0]) for n, r in PARAMETERS.items()])
def test_float32_stays(name: str, row: tuple[float, ...]) -> None:
    values = (K if hasattr(getattr(gx.stats, name), "logpmf") else X).astype("float32")
    got = gx.compile([x := gx.placeholder("x", ("n",), "float32")], ours(name)(x, *row))(values)
    assert got.dtype == np.float32
    assert np.allclose(got, theirs(name, values.astype(float), *row), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("name", "row"), [(n, r) for n, r in CASES if np.isfinite(theirs(n, 1.0, *r))])
def test_gradients_are_those_of_the_values_and_finite_everywhere(name: str, row: tuple[float, ...]) -> None:
    """By every parameter; outside the support, where the value is -inf, they are 0."""
    discrete = hasattr(getattr(gx.stats, name), "logpmf")
    values = K if discrete else X
    x = gx.placeholder("x", ("n",), "float64")
    shapes = len(row)
    given = [gx.placeholder(f"p{i}", (), "float64") for i in range(shapes)]
    y = ours(name)(x, *given)
    wanted = given if discrete else [x, *given]
    if not wanted:
        return
    slopes = gx.compile([x, *given], gx.grad(gx.sum(gx.where(gx.isfinite(y), y, 0)), wanted))(values, *map(float, row))
    for slope in slopes if isinstance(slopes, (list, tuple)) else [slopes]:
        if name != "binom" and row not in [(0.0,), (1.0,), (INF,)]:
            assert np.isfinite(slope).all()
    if not discrete:
        outside = np.isneginf(theirs(name, values, *row))
        assert (np.asarray(slopes[0])[outside] == 0).all()
    inner = {"beta": 0.5, "uniform": 0.5}.get(name, 1.3)
    if not discrete and np.isfinite(theirs(name, inner, *row)) and max(row, default=0) < 100:  # beyond, differences are none
        gx.testing.check_grads(ours(name), [np.array(inner), *(np.array(float(p)) for p in row)], atol=1e-5, rtol=1e-5, eps=1e-4)


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_multivariate_normal(backend: str) -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    cov, mean, points = root @ root.T + np.eye(3), rng.normal(size=3), rng.normal(size=(4, 5, 3))
    x, m, c = (gx.placeholder(n, s, "float64") for n, s in (("x", ("a", "b", 3)), ("m", (3,)), ("c", (3, 3))))
    want = stats.multivariate_normal.logpdf(points, mean, cov)
    y = gx.stats.multivariate_normal.logpdf(x, m, c)
    assert np.allclose(gx.compile([x, m, c], y, backend=backend)(points, mean, cov), want, rtol=1e-12)
    by_factor = gx.stats.multivariate_normal.logpdf(x, m, cholesky=c)
    assert np.allclose(gx.compile([x, m, c], by_factor, backend=backend)(points, mean, np.linalg.cholesky(cov)), want, rtol=1e-12)
    many = np.stack([cov, 2 * cov, np.eye(3), cov + 1])
    batch = gx.stats.multivariate_normal.logpdf(gx.constant(points[:, 0]), gx.constant(mean), gx.constant(many))
    each = [stats.multivariate_normal.logpdf(p, mean, s) for p, s in zip(points[:, 0], many, strict=True)]
    assert np.allclose(gx.compile([], batch, backend=backend)(), each, rtol=1e-12)


def test_gradients_of_multivariate_normal_and_dirichlet() -> None:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(3, 3))
    normal = lambda x, m, r: gx.stats.multivariate_normal.logpdf(x, m, r @ gx.matrix_transpose(r) + gx.eye(3))
    gx.testing.check_grads(normal, [rng.normal(size=(2, 3)), rng.normal(size=3), root], atol=1e-5, rtol=1e-5, eps=1e-4)
    shape = lambda a: gx.stats.dirichlet.logpdf(gx.constant([0.2, 0.3, 0.5]), a)
    gx.testing.check_grads(shape, [np.array([0.5, 2.0, 3.0])], atol=1e-5, rtol=1e-5, eps=1e-4)


def test_dirichlet() -> None:
    points = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05], [0.0, 0.5, 0.5]])
    alpha = np.array([1.5, 2.0, 3.0])
    got = gx.stats.dirichlet.logpdf(gx.constant(points), gx.constant(alpha)).eval()
    want = [stats.dirichlet.logpdf(p, alpha) for p in points]
    assert np.allclose(got, want) and got[2] == -INF
    assert gx.stats.dirichlet.logpdf(gx.constant([0.5, 0.6]), gx.constant([1.0, 1.0])).eval() == -INF
    assert np.isnan(gx.stats.dirichlet.logpdf(gx.constant([0.5, 0.5]), gx.constant([1.0, 0.0])).eval())


def test_categorical_of_probabilities() -> None:
    """As torch's and distrax's Categorical(probs=...): up to a factor; -inf for a class of probability 0."""
    p = gx.placeholder("p", ("n", 3), "float64")
    k = gx.placeholder("k", ("n",), "int64")
    y = gx.stats.categorical.logpmf(k, p=p)
    f = gx.compile([k, p], [y, gx.grad(gx.sum(y), p)])
    given = np.array([[1.0, 0.0, 3.0], [0.2, 0.3, 0.5], [1.0, 0.0, 3.0]])
    value, slope = f(np.array([2, 0, 1]), given)
    np.testing.assert_allclose(value, [np.log(0.75), np.log(0.2), -np.inf], rtol=1e-15)
    np.testing.assert_allclose(slope[:2], [[-0.25, -0.25, 1 / 3 - 0.25], [4.0, -1.0, -1.0]], rtol=1e-14)
    logits = gx.stats.categorical.logpmf(k, gx.log(p))
    np.testing.assert_allclose(gx.compile([k, p], logits)(np.array([2, 0, 1]), given), value, rtol=1e-14)
    for odd in ([[0.5, -0.5, 1.0]], [[0.0, 0.0, 0.0]]):
        assert np.isnan(f(np.array([0]), np.array(odd))[0]).all()


def test_categorical() -> None:
    logits = np.random.default_rng(2).normal(size=(4, 3))
    x, k = gx.placeholder("x", ("n", 3), "float64"), gx.placeholder("k", ("n",), "int64")
    y = gx.stats.categorical.logpmf(k, x)
    value, slope = gx.compile([x, k], [y, gx.grad(gx.sum(gx.where(y > -INF, y, 0)), x)])(logits, [0, 2, 5, -1])
    want = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert np.allclose(value, [want[0, 0], want[1, 2], -INF, -INF])
    assert np.allclose(slope[0], np.eye(3)[0] - np.exp(want[0])) and (slope[2:] == 0).all()


def test_whole_probabilities_add_up_to_one() -> None:
    k = gx.arange(400)
    for law in (gx.stats.poisson.logpmf(k, 30.0), gx.stats.nbinom.logpmf(k, 3.5, 0.1), gx.stats.binom.logpmf(k, 300, 0.3)):
        assert abs(gx.sum(gx.exp(law)).eval() - 1) < 1e-12


E = gx.errors
mvn = gx.stats.multivariate_normal.logpdf
BAD: tuple[tuple[str, Callable[[], Any], type[gx.GraphError], str], ...] = (
    ("both", lambda: mvn([1.0], [1.0], [[1.0]], cholesky=[[1.0]]), E.InputError, "one of the two"),
    ("neither", lambda: mvn([1.0], [1.0]), E.InputError, "one of the two"),
    ("matrix", lambda: mvn([1.0], [1.0], gx.eye(2)), E.ShapeError, "for vectors of 1"),
    ("vectors", lambda: mvn(1.0, [1.0], gx.eye(1)), E.ShapeError, "needs vectors"),
    ("no probabilities", lambda: gx.stats.categorical.logpmf(0), E.InputError, "takes logits or p, got neither"),
    ("logits and p", lambda: gx.stats.categorical.logpmf(0, [1.0], p=[1.0]), E.InputError, "takes logits or p, got both"),
    ("p of no classes", lambda: gx.stats.categorical.logpmf(0, p=1.0), E.ShapeError, r"needs p \[..., classes\]"),
    ("classes", lambda: gx.stats.categorical.logpmf(0.5, [1.0]), E.DTypeError, "needs integers"),
    ("simplex", lambda: gx.stats.dirichlet.logpdf([0.5, 0.5], [1.0]), E.ShapeError, "alpha"),
    ("broadcast", lambda: gx.stats.norm.logpdf(gx.zeros(2), gx.zeros(3)), E.ShapeError, "cannot broadcast"),
)  # fmt: skip


@pytest.mark.parametrize(("act", "kind", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_wrong_use_is_an_error_at_the_user_s_line(act: Callable[[], Any], kind: type[gx.GraphError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        act()
    assert "test_stats.py" in str(caught.value)
