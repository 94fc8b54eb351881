"""Cholesky by blocks, against LAPACK: values, bits, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import GraphError
from graphc.ir.program import HostCall

Array = np.ndarray[Any, Any]


def definite(*shape: int, dtype: str = "float64", seed: int = 0) -> Array:
    a = np.random.default_rng(seed).standard_normal(shape)
    made: Array = (a @ np.swapaxes(a, -1, -2) / shape[-1] + np.eye(shape[-1])).astype(dtype)
    return made


@pytest.mark.parametrize(("shape", "dtype"), [((192, 192), "float32"), ((2, 301, 301), "float64"), ((1100, 1100), "float32")])
def test_values_are_lapack_s(shape: tuple[int, ...], dtype: str) -> None:
    a = definite(*shape, dtype=dtype)
    f = gx.compile([x := gx.placeholder("x", shape, dtype)], gx.linalg.cholesky(x))
    lower = f(a)
    want = np.linalg.cholesky(a.astype("float64"))
    assert np.abs(lower - want).max() < (1e-6 if dtype == "float32" else 1e-14)
    assert (np.triu(lower, 1) == 0).all()
    assert {k.operation.name for k in f.program.kernels if isinstance(k, HostCall)} == {"refused"}
    before = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        np.testing.assert_array_equal(f(a), lower)
    finally:
        gx.set_num_threads(before)


def test_a_matrix_that_is_not_symmetric_and_its_gradient() -> None:
    """(x + x^T) / 2 is factored, and the gradient is the one of LAPACK's factor."""
    n = 200
    a = definite(n, n) + np.triu(np.random.default_rng(1).standard_normal((n, n)), 1) / n
    x, m = gx.placeholder("x", (n, n), "float64"), gx.placeholder("m", ("m", "m"), "float64")
    weights = np.random.default_rng(2).standard_normal((n, n))
    blocks = gx.compile([x], [y := gx.linalg.cholesky(x), gx.grad(gx.sum(y * gx.constant(weights)), x)])
    whole = gx.compile([m], [y := gx.linalg.cholesky(m)])
    lower, gradient = blocks(a)
    np.testing.assert_allclose(lower, whole(a)[0], atol=1e-13)
    direction = np.random.default_rng(3).standard_normal((n, n))
    step = 1e-6
    slope = sum(sign * np.sum(weights * blocks(a + sign * step * direction)[0]) for sign in (1, -1)) / (2 * step)
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6)


def test_what_is_refused_and_what_is_not_finite() -> None:
    x = gx.placeholder("x", (3, 200, 200), "float64")
    count = gx.variable(0.0)
    f = gx.compile([x], gx.linalg.cholesky(x), updates={count: count + 1})
    a = definite(3, 200, 200)
    good = f(a)
    for at in (0, 130, 199):
        bad = a.copy()
        bad[1, at, at] = -1
        with pytest.raises(GraphError, match="cholesky raised LinAlgError: the matrix is not positive definite"):
            f(bad)
    assert count.value == 1
    for value in (np.nan, np.inf, -np.inf):
        wild = a.copy()
        wild[1, 150, 3], wild[1, 7, 7] = value, -1
        lower = f(wild)
        assert np.isnan(lower[1]).all()
        np.testing.assert_array_equal(lower[[0, 2]], good[[0, 2]])


def test_statement_by_statement_and_by_the_interpreter() -> None:
    """A block alone, as its kernel's statements are run one by one; and the whole by NumPy."""
    from graphc.ops.blocked import factor_, middle_
    from graphc.ops.declare import results

    a = definite(21, 21, seed=4)
    x = gx.placeholder("x", (21, 21), "float64")
    lower, inverse, bad = gx.compile([x], list(results(factor_(middle_(x, x)))), backend="program")(a)
    np.testing.assert_allclose(lower, np.linalg.cholesky(a), atol=1e-14)
    np.testing.assert_allclose(inverse @ lower, np.eye(21), atol=1e-13)
    assert not bad
    y = gx.placeholder("y", (200, 200), "float32")
    b = definite(200, 200, dtype="float32")
    f, g = (gx.compile([y], gx.linalg.cholesky(y), backend=backend) for backend in ("interpreter", "llvm"))
    np.testing.assert_allclose(f(b), g(b), atol=1e-6)


# Lower, transposed, of ones on the diagonal.
TRIANGLES = [(True, False, False), (True, True, False), (False, False, True), (False, True, False)]


@pytest.mark.parametrize(("lower", "transposed", "unit"), TRIANGLES)
def test_triangular_systems(lower: bool, transposed: bool, unit: bool) -> None:
    n, m = 210, 70
    rng = np.random.default_rng(5)
    a = rng.standard_normal((2, n, n)) / n + np.eye(n) * np.arange(1, n + 1) / n
    b = rng.standard_normal((2, n, m))
    x, y = gx.placeholder("x", a.shape, "float64"), gx.placeholder("y", b.shape, "float64")
    z = gx.linalg.solve_triangular(x, y, lower=lower, transposed=transposed, unit_diagonal=unit)
    f = gx.compile([x, y], [z, gx.grad(gx.sum(z * z), y)])
    got, gradient = f(a, b)
    triangle = np.tril(a) if lower else np.triu(a)
    if unit:
        triangle = triangle * (1 - np.eye(n)) + np.eye(n)
    matrix = np.swapaxes(triangle, 1, 2) if transposed else triangle
    want = np.linalg.solve(matrix, b)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * np.abs(want).max())
    back = np.linalg.solve(np.swapaxes(matrix, 1, 2), 2 * want)
    np.testing.assert_allclose(gradient, back, rtol=1e-9, atol=1e-9 * np.abs(back).max())
    a[1, 150, 150] = 0
    if unit:
        np.testing.assert_array_equal(f(a, b)[0], got)
    else:
        with pytest.raises(GraphError, match="solve_triangular raised LinAlgError: the matrix is singular"):
            f(a, b)
