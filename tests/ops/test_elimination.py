"""LU by blocks, against LAPACK: what is solved and told by it, bits, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import GraphError
from graphc.ir.program import HostCall

Array = np.ndarray[Any, Any]


def normal(*shape: int, dtype: str = "float64", seed: int = 0) -> Array:
    """Matrices of which nearly every column needs an exchange of rows."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def placeholders(*arrays: Array) -> list[gx.Tensor]:
    return [gx.placeholder(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]


def test_what_is_solved_and_told_and_its_gradients() -> None:
    """One factorisation of a batch serves them all, on any number of threads."""
    n = 203
    a, b = normal(2, n, n) / np.sqrt(n), normal(2, n, 3, seed=1)
    x, y = placeholders(a, b)
    z, (sign, logarithm) = gx.linalg.solve(x, y), gx.linalg.slogdet(x)
    gz, gl = gx.grad(gx.sum(z * z), [x, y]), gx.grad(gx.sum(logarithm), x)
    f = gx.compile([x, y], [z, sign, logarithm, gx.linalg.det(x), *gz, gl])
    got = f(a, b)
    inverse = np.linalg.inv(a)
    solved, turned = inverse @ b, np.swapaxes(inverse, -1, -2)
    back = turned @ (2 * solved)
    want = [solved, *np.linalg.slogdet(a), np.linalg.det(a), -back @ np.swapaxes(solved, -1, -2), back, turned]
    for value, right in zip(got, want, strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-8, atol=1e-9 * np.abs(right).max())
    hosts = [k.operation.name for k in f.program.kernels if isinstance(k, HostCall)]
    assert set(hosts) == {"refused"}
    assert str(f.graph).count("lu_panel(") == 7
    before = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        for value, again in zip(got, f(a, b), strict=True):
            np.testing.assert_array_equal(value, again)
    finally:
        gx.set_num_threads(before)


def test_float32_as_exact_as_lapack() -> None:
    n = 330
    a, b = normal(n, n, dtype="float32"), normal(n, dtype="float32", seed=1)
    x, y = placeholders(a, b)
    m, v = gx.placeholder("m", ("n", "n"), "float32"), gx.placeholder("v", ("n",), "float32")
    blocks, whole = gx.compile([x, y], [gx.linalg.solve(x, y)]), gx.compile([m, v], [gx.linalg.solve(m, v)])

    def left(z: Array) -> float:
        return float(np.abs(a.astype("float64") @ z - b).max() / np.abs(z).max())

    assert left(blocks(a, b)[0]) < 4 * left(whole(a, b)[0])


def test_the_inverse_and_the_gradient_of_the_determinant() -> None:
    """Also of a matrix that has no inverse: its cofactors, by singular values."""
    n = 200
    a = np.stack([normal(n, n) / np.sqrt(n) * 1.6, np.diag(np.arange(n) / n + 0.65)])
    (x,) = placeholders(a)
    g = gx.compile([x], gx.grad(gx.sum(gx.linalg.det(x)), x))
    f = gx.compile([x], gx.linalg.inv(x))
    cofactors = np.linalg.det(a)[:, None, None] * np.swapaxes(np.linalg.inv(a), 1, 2)
    np.testing.assert_allclose(g(a), cofactors, rtol=1e-6, atol=1e-9 * np.abs(cofactors).max())
    np.testing.assert_allclose(f(a) @ a, np.broadcast_to(np.eye(n), a.shape), atol=1e-9)
    a[1, 7, 7] = 0
    one = np.zeros((n, n))
    one[7, 7] = np.prod(np.delete(np.diagonal(a[1]), 7))
    np.testing.assert_allclose(g(a)[1], one, rtol=1e-9, atol=1e-12 * one.max())
    with pytest.raises(GraphError, match="solve raised LinAlgError: the matrix is singular"):
        f(a)


def test_what_is_refused_and_what_is_not_finite() -> None:
    n = 200
    a, b = normal(2, n, n), normal(2, n, 1)
    x, y = placeholders(a, b)
    count = gx.variable(0.0)
    z = gx.linalg.solve(x, y)
    f = gx.compile([x, y], [z, gx.linalg.slogdet(x).sign], updates={count: count + 1})
    good = f(a, b)
    bad = a.copy()
    bad[1, :, 150] = 0
    with pytest.raises(GraphError, match="solve raised LinAlgError: the matrix is singular"):
        f(bad, b)
    assert count.value == 1
    wild = a.copy()
    wild[1, 150, 3] = np.nan
    got = f(wild, b)
    assert np.isnan(got[0][1]).all()
    np.testing.assert_array_equal(got[0][0], good[0][0])
    assert "lu_panel" in str(f.profile(a, b))  # though the bounds of its loops are data


def test_statement_by_statement_and_by_the_interpreter() -> None:
    """A panel alone, as its kernel's statements are run one by one; and the whole by NumPy."""
    from graphc.ops.declare import results
    from graphc.ops.elimination import panel_, places_

    a = normal(39, 21, seed=4)
    a[:, 20] = 0  # a column without a pivot
    (x,) = placeholders(a)
    packed, order, sign = results(panel_(x, gx.constant(39), room=64))
    f = gx.compile([x], [packed, order, sign, places_(order)], backend="program")
    packed_, order_, sign_, places = f(a)
    np.testing.assert_array_equal(order_[places], np.arange(39))
    lower, upper = np.tril(packed_, -1) + np.eye(39, 21), np.triu(packed_[:21])
    np.testing.assert_allclose(lower @ upper, a[order_], atol=1e-14)
    assert np.abs(np.tril(packed_, -1)).max() <= 1
    assert sign_ == np.linalg.det(np.eye(39)[order_])
    b, c = normal(200, 200, dtype="float32"), normal(200, dtype="float32", seed=1)
    y, z = placeholders(b, c)
    f, g = (gx.compile([y, z], gx.linalg.solve(y, z), backend=backend) for backend in ("interpreter", "llvm"))
    np.testing.assert_allclose(f(b, c), g(b, c), rtol=1e-3, atol=1e-3)
