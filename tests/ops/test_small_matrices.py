"""Many small matrices at once, each in a lane of vectors: values, bits, and what is refused, against NumPy's LAPACK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import linalg as la
from graphc.errors import GraphError
from graphc.ir.program import HostCall, Kernel

Array = np.ndarray[Any, Any]

# Ours, NumPy's, and whether the matrix must be positive definite. Right sides are columns of the matrix itself.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Any], bool]] = {
    "cholesky": (la.cholesky, np.linalg.cholesky, True),
    "inv": (la.inv, np.linalg.inv, False),
    "det": (la.det, np.linalg.det, False),
    "slogdet": (la.slogdet, np.linalg.slogdet, False),
    "solve": (lambda x: la.solve(x, 2 * x[..., :1] + 1), lambda a: np.linalg.solve(a, 2 * a[..., :1] + 1), False),
    "solve_triangular": (
        lambda x: la.solve_triangular(x, x[..., :2], lower=True), lambda a: np.linalg.solve(np.tril(a), a[..., :2]), True,
    ),
    "gradient": (
        lambda x: gx.grad(gx.sum(la.det(x)), x),
        lambda a: np.linalg.det(a)[..., None, None] * np.swapaxes(np.linalg.inv(a), -1, -2), False,
    ),
}  # fmt: skip


def matrices(*shape: int, dtype: str = "float64", definite: bool = False, seed: int = 0) -> Array:
    a = np.random.default_rng(seed).standard_normal(shape)
    if definite:
        a = a @ np.swapaxes(a, -1, -2) + shape[-1] * np.eye(shape[-1])
    return a.astype(dtype)


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def assert_close(got: Any, want: Any, dtype: str) -> None:
    limit = 1e-3 if dtype == "float32" else 1e-10
    for a, b in zip(listed(got), listed(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit * (1 + np.abs(b).max(initial=0)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_numpy_s_for_any_batch(name: str, n: int, dtype: str) -> None:
    if name == "solve_triangular" and n == 1:
        n = 3
    ours, numpy_s, definite = FUNCTIONS[name]
    f = gx.compile([x := gx.placeholder("x", ("batch", n, n), dtype)], ours(x))
    for batch in (0, 1, 37):
        a = matrices(batch, n, n, dtype=dtype, definite=definite)
        assert_close(f(a), numpy_s(a), dtype)
    turned = np.swapaxes(matrices(n, n, 7, dtype=dtype), 0, 2)[:, :, ::-1]
    turned = turned @ np.swapaxes(turned, -1, -2) + np.eye(n, dtype=dtype) if definite else turned
    assert_close(f(turned), numpy_s(turned), dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_are_kernels_and_the_largest_are_right(name: str) -> None:
    ours, numpy_s, definite = FUNCTIONS[name]
    a = matrices(3, 11, 11, definite=definite, seed=1)
    f = gx.compile([x := gx.placeholder("x", a.shape, "float64")], ours(x))
    assert_close(f(a), numpy_s(a), "float64")
    called = list(f.program.kernels)
    assert any(isinstance(k, Kernel) for k in called)
    assert {k.operation.name for k in called if isinstance(k, HostCall)} <= {"refused"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_statement_by_statement(name: str) -> None:
    ours, numpy_s, definite = FUNCTIONS[name]
    a = matrices(3, 3, 3, definite=definite, seed=2)
    f = gx.compile([x := gx.placeholder("x", ("batch", 3, 3), "float64")], ours(x), backend="program")
    assert_close(f(a), numpy_s(a), "float64")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_depend_neither_on_the_batch_nor_on_threads(name: str) -> None:
    ours, _, definite = FUNCTIONS[name]
    f = gx.compile([x := gx.placeholder("x", ("batch", 4, 4), "float32")], ours(x))
    a = matrices(5001, 4, 4, dtype="float32", definite=definite, seed=3)
    whole = listed(f(a))
    for first, count in ((0, 1), (17, 3), (4990, 11)):
        for part, y in zip(listed(f(a[first : first + count])), whole, strict=True):
            np.testing.assert_array_equal(part, y[first : first + count])
    before = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        for alone, y in zip(listed(f(a)), whole, strict=True):
            np.testing.assert_array_equal(alone, y)
    finally:
        gx.set_num_threads(before)


def test_rows_are_exchanged() -> None:
    """Permutations, of which nearly every pivot lies in another row, and sizes that differ by twenty digits."""
    rng = np.random.default_rng(4)
    orders = np.stack([np.eye(6)[rng.permutation(6)] for _ in range(40)])
    x = gx.placeholder("x", ("batch", 6, 6), "float64")
    det, inverse = gx.compile([x], [la.det(x), la.inv(x)])(orders)
    np.testing.assert_array_equal(det, np.linalg.det(orders))
    np.testing.assert_array_equal(inverse, np.swapaxes(orders, 1, 2))
    a = np.array([[1e-20, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(la.inv(gx.constant(a)).eval(), np.linalg.inv(a))
    y = gx.placeholder("y", (2, 2), "float64")
    np.testing.assert_allclose(gx.compile([y], la.inv(y))(a), np.linalg.inv(a))


def test_singular_matrices() -> None:
    x = gx.placeholder("x", ("batch", 3, 3), "float64")
    ones = np.ones((3, 3))
    rank_two = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]])
    a = np.stack([np.zeros((3, 3)), ones, rank_two, np.diag([1.0, 0.0, 2.0]), 2 * np.eye(3)])
    det, (sign, logarithm), gradient = gx.compile([x], [la.det(x), la.slogdet(x), gx.grad(gx.sum(la.det(x)), x)])(a)
    np.testing.assert_allclose(det, [0, 0, 0, 0, 8], atol=1e-14)
    assert (sign[[0, 1, 3]] == 0).all() and (logarithm[[0, 1, 3]] == -np.inf).all()
    signs = (-1.0) ** np.add.outer(range(3), range(3))
    minors = [[[np.linalg.det(np.delete(np.delete(m, i, 0), j, 1)) for j in range(3)] for i in range(3)] for m in a] * signs
    np.testing.assert_allclose(gradient, minors, atol=1e-13)


@pytest.mark.parametrize(
    ("function", "bad", "message"),
    [
        (la.cholesky, -np.eye(3), "cholesky raised LinAlgError: the matrix is not positive definite"),
        (la.inv, np.ones((3, 3)), "solve raised LinAlgError: the matrix is singular"),
        (lambda x: la.solve(x, x[..., :1]), np.zeros((3, 3)), "solve raised LinAlgError: the matrix is singular"),
        (lambda x: la.solve_triangular(x, x), np.diag([1.0, 0.0, 1.0]), "solve_triangular raised LinAlgError: the matrix is "),
    ],
)  # fmt: skip
def test_one_of_many_is_refused_and_nothing_is_updated(function: Any, bad: Array, message: str) -> None:
    x = gx.placeholder("x", ("batch", 3, 3), "float64")
    count = gx.variable(0.0)
    f = gx.compile([x], function(x), updates={count: count + 1})
    a = np.stack([np.eye(3)] * 20)
    f(a)
    a[18] = bad
    with pytest.raises(GraphError, match=message) as caught:
        f(a)
    assert "test_small_matrices.py" in str(caught.value)
    assert count.value == 1
    f(a[:18])
    assert count.value == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_not_finite_harms_no_neighbour(name: str, value: float) -> None:
    ours, _, _ = FUNCTIONS[name]
    f = gx.compile([x := gx.placeholder("x", ("batch", 3, 3), "float64")], ours(x))
    a = matrices(20, 3, 3, definite=True, seed=5)
    good = listed(f(a))
    a[7, 1, 1] = value
    for want, got in zip(good, listed(f(a)), strict=True):
        np.testing.assert_array_equal(np.delete(got, 7, 0), np.delete(want, 7, 0))
        if np.isnan(value) or name == "cholesky":
            assert np.isnan(got[7]).any()


def test_a_loop_over_determinants_is_native() -> None:
    x = gx.placeholder("x", ("t", 3, 3), "float64")
    total, steps = gx.scan(lambda c, m: (c + la.det(m), la.det(m) * c), gx.zeros((), "float64"), x)
    f = gx.compile([x], [total, steps])
    a = matrices(6, 3, 3, seed=6)
    got, many = f(a)
    det = np.linalg.det(a)
    np.testing.assert_allclose(got, det.sum())
    np.testing.assert_allclose(many, det * (np.cumsum(det) - det))
    assert not any(isinstance(k, HostCall) for k in f.program.kernels)


def test_vmap_and_matrices_of_one_more_axis() -> None:
    x = gx.placeholder("x", ("a", "b", 3, 3), "float64")
    f = gx.compile([x], [la.inv(x), gx.vmap(gx.vmap(la.inv))(x)])
    for batch in ((2, 3), (0, 3), (3, 0)):
        a = matrices(*batch, 3, 3, seed=7)
        for y in f(a):
            assert_close(y, np.linalg.inv(a), "float64")


def test_a_matrix_whose_zeros_the_compiler_knows() -> None:
    """A kernel sees one matrix as a batch of one: what is known of places in its buffer is of other places there."""
    x = gx.placeholder("x", (3,), "float64")
    f = gx.compile([x], [la.solve(2 * gx.eye(3, dtype="float64"), x), la.solve(gx.triu(gx.ones((3, 3), "float64")), x)])
    a, b = f(np.array([1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(a, [0.5, 1, 2])
    np.testing.assert_array_equal(b, [-1, -2, 4])
