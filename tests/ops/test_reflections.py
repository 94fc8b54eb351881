"""QR by blocks, against LAPACK: values and signs, bits, gradients, and what is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.program import HostCall

Array = np.ndarray[Any, Any]


def normal(*shape: int, dtype: str = "float64", seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def decomposed(a: Array, *more: Any, backend: str = "llvm") -> Any:
    x = gx.placeholder("x", a.shape, a.dtype)
    return gx.compile([x], [*gx.linalg.qr(x), *(f(x) for f in more)], backend=backend)


@pytest.mark.parametrize(("shape", "dtype"), [((2, 230, 195), "float64"), ((192, 260), "float32")])
def test_values_and_signs_are_lapack_s(shape: tuple[int, ...], dtype: str) -> None:
    a = normal(*shape, dtype=dtype)
    a[..., 3] *= 1e20 if dtype == "float32" else 1e200  # whose square is too large
    a[..., 4] *= 1e-30 if dtype == "float32" else 1e-250
    scale = np.abs(a).max(axis=-2, keepdims=True)
    f = decomposed(a)
    q, r = f(a)
    wanted_q, wanted_r = np.linalg.qr(a.astype("float64"))
    close = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(q, wanted_q, atol=close)
    np.testing.assert_allclose(r / scale, wanted_r / scale, atol=10 * close)
    assert (np.tril(r, -1) == 0).all()
    assert not [k for k in f.program.kernels if isinstance(k, HostCall)]
    before = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        for value, again in zip((q, r), f(a), strict=True):
            np.testing.assert_array_equal(value, again)
    finally:
        gx.set_num_threads(before)


def test_gradients_what_is_not_finite_and_columns_without_a_tail() -> None:
    n = 200
    a, weights = normal(2, n, n) + 3 * np.eye(n), normal(2, 2, n, n, seed=1)
    a[1] = np.triu(a[1])  # nothing to reflect: Q is the identity, and the signs of R are those of the matrix

    def slope(x: gx.Tensor) -> gx.Tensor:
        q, r = gx.linalg.qr(x)
        return gx.grad(gx.sum(q * gx.constant(weights[0])) + gx.sum(r * gx.constant(weights[1])), x)

    f = decomposed(a, slope)
    q, r, gradient = f(a)
    np.testing.assert_array_equal(q[1], np.eye(n))
    np.testing.assert_array_equal(r[1], a[1])
    direction, step = normal(n, n, seed=2), 1e-6
    moved = [np.linalg.qr(a[0] + sign * step * direction) for sign in (1, -1)]
    want = sum(np.sum(w[0] * (one - other)) for w, one, other in zip(weights, *moved, strict=True)) / (2 * step)
    np.testing.assert_allclose(np.sum(gradient[0] * direction), want, rtol=1e-5)
    wild = a.copy()
    wild[1, 150, 3] = np.inf
    found = f(wild)
    assert np.isnan(found[0][1]).all() and np.isnan(found[1][1]).all()
    np.testing.assert_array_equal(found[0][0], q[0])


def test_statement_by_statement_and_by_the_interpreter() -> None:
    """A panel alone, as its kernel's statements are run one by one; and the whole by NumPy."""
    from graphc.ops.declare import results
    from graphc.ops.reflections import panel_

    a = normal(41, 9, seed=4)
    a[:, 5] = 0
    x = gx.placeholder("x", a.shape, "float64")
    f = gx.compile([x], list(results(panel_(x, gx.constant(3), gx.constant(41), room=64, top=12))), backend="program")
    v, r, t = f(a)
    reflection = np.eye(41) - v @ t @ v.T
    np.testing.assert_allclose(reflection @ reflection.T, np.eye(41), atol=1e-14)
    np.testing.assert_allclose(reflection.T @ a, np.concatenate([r, np.zeros((29, 9))]), atol=1e-14)
    b = normal(200, 200, dtype="float32")
    for one, other in zip(decomposed(b)(b), decomposed(b, backend="interpreter")(b), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
