"""graphc.array_api: code that knows only the standard runs on it, and few graphs are compiled for it.

Whether every function does what the standard says is judged by the standard's own suite (tests/array_api_suite.py).
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gx
import graphc.array_api as xp
from graphc import errors


@pytest.fixture(autouse=True, params=["llvm", "interpreter"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    xp.set_backend(request.param)
    xp.cache_clear()
    yield request.param
    xp.set_backend("llvm")


RANDOM = np.random.default_rng(0)


def near(got: Any, want: Any, tolerance: float = 1e-12) -> None:
    assert isinstance(got, xp.Array)
    np.testing.assert_allclose(np.asarray(got), want, rtol=tolerance, atol=tolerance)


# --- code that knows only the standard -------------------------------------------------------------------------------


def softmax(x: Any) -> Any:
    names = x.__array_namespace__()
    e = names.exp(x - names.max(x, axis=-1, keepdims=True))
    return e / names.sum(e, axis=-1, keepdims=True)


def k_means(points: Any, centres: Any, steps: int) -> Any:
    names = points.__array_namespace__()
    for _ in range(steps):
        far = names.sum((points[:, None, :] - centres[None, :, :]) ** 2, axis=2)
        nearest = names.argmin(far, axis=1)
        mine = names.astype(nearest[:, None] == names.arange(centres.shape[0])[None, :], points.dtype)
        count = names.sum(mine, axis=0)
        centres = names.where((count > 0)[:, None], names.matrix_transpose(mine) @ points / count[:, None], centres)
    return centres


def newton(function: Any, slope: Any, x: Any) -> Any:
    names = x.__array_namespace__()
    for _ in range(50):
        step = function(x) / slope(x)
        x = x - step
        if names.max(names.abs(step)) < 1e-14:
            return x
    raise AssertionError("it did not converge")


def fit(x: Any, y: Any, rate: float, steps: int) -> Any:
    """Least squares by gradient descent, in place."""
    names = x.__array_namespace__()
    w = names.zeros(x.shape[1], dtype=x.dtype)
    for _ in range(steps):
        w -= rate * ((x @ w - y) @ x) / x.shape[0]
    return w


def test_softmax() -> None:
    x = RANDOM.normal(size=(5, 7))
    near(softmax(xp.asarray(x)), np.exp(x) / np.exp(x).sum(1, keepdims=True))


def test_k_means_is_numpy_s() -> None:
    points = np.concatenate([RANDOM.normal(size=(20, 3)) + 5 * i for i in range(3)])
    near(k_means(xp.asarray(points), xp.asarray(points[::25]), 5), k_means(points, points[::25], 5))


def test_newton() -> None:
    x = xp.asarray([1.0, 2.0, 50.0])
    near(newton(lambda v: v**3 - 2.0, lambda v: 3.0 * v**2, x), np.full(3, 2 ** (1 / 3)))


def test_gradient_descent() -> None:
    x, w = RANDOM.normal(size=(200, 3)), np.array([1.0, -2.0, 0.5])
    near(fit(xp.asarray(x), xp.asarray(x @ w), 0.5, 200), w, 1e-9)


# --- how often something is compiled ---------------------------------------------------------------------------------


def test_one_graph_serves_every_size(backend: str) -> None:
    for rows in range(2, 6):
        for columns in range(2, 6):
            x = xp.ones((rows, columns))
            near(xp.sum(x + x, axis=0), np.full(columns, 2.0 * rows))
    assert xp.cache_info().misses == 2  # the addition, the sum
    for shape in ((3,), (2, 3, 4), (1, 1)):
        xp.ones(shape) + xp.ones(shape)
    assert xp.cache_info().misses == 2, "the addition of equal shapes is one of vectors"


def test_positions_are_data() -> None:
    x = xp.asarray(np.arange(60.0).reshape(6, 10))
    want = np.asarray(x)
    for i in range(-6, 6):
        near(x[i], want[i])
        near(x[i:, 3], want[i:, 3])
        near(x[:i:2, ::-1], want[:i:2, ::-1])
    assert xp.cache_info().misses <= 5  # x[i], x[i:, j] with and without i > 0, x[:i:2, ::-1] full and empty


def test_numbers_are_data() -> None:
    x = xp.ones(3)
    for value in (0.5, 2, True, -7.25):
        near(x * value, np.full(3, float(value)))
    assert xp.cache_info().misses == 1


def test_equal_options_of_other_types_are_told_apart() -> None:
    x = xp.asarray([2, 3])
    assert (x**2).dtype == xp.int64
    assert (x**2.0).dtype == xp.float64


# --- arrays ----------------------------------------------------------------------------------------------------------

KEYS: list[Any] = [
    0, -1, (1, 2), (slice(None), -1), (slice(1, 3),), (..., 1), (None, 1), (slice(4, None, -1), slice(None, None, -2)),
    (slice(3, 1), 0), (slice(None, None, 3), None, ..., 2), (), ..., slice(-100, 100), slice(0, 0), (slice(2, 0, -1),),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("shape", [(5, 4), (3, 3, 3)], ids=str)
def test_keys_are_numpy_s(shape: tuple[int, ...], key: Any) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape)
    want = x[key]
    got = xp.asarray(x)[key]
    assert got.shape == want.shape
    np.testing.assert_array_equal(np.asarray(got), want)


def test_arrays_as_keys() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    rows, columns = np.array([[0, 1], [-1, 0]]), np.array([2, 0])
    for key in ((rows,), (rows, columns), (1, columns, -1), (rows, columns, rows)):
        got = xp.asarray(x)[tuple(xp.asarray(k) if isinstance(k, np.ndarray) else k for k in key)]
        np.testing.assert_array_equal(np.asarray(got), x[key])
    np.testing.assert_array_equal(np.asarray(xp.asarray(x)[xp.asarray(x > 10)]), x[x > 10])


def test_nothing_taken_from_nothing() -> None:
    none = xp.zeros(0, dtype=xp.int64)
    assert xp.zeros((0, 3))[none].shape == (0, 3)
    assert xp.take(xp.zeros((3, 0)), none, axis=1).shape == (3, 0)
    assert xp.take(xp.zeros((3, 0, 2)), none, axis=-2).shape == (3, 0, 2)


@pytest.mark.parametrize("key", [2, -3, (0, 5), (0, 0, 0, 0), 1.5, "a", (..., ...), True])
def test_bad_keys(key: Any) -> None:
    with pytest.raises(IndexError):
        xp.zeros((2, 3, 4))[key]


def test_a_new_axis_that_has_no_place() -> None:
    for axis in (3, -4):
        with pytest.raises(IndexError, match="out of range for a result of 3 axes"):
            xp.expand_dims(xp.zeros((2, 3)), axis=axis)


def test_bad_arrays_as_keys() -> None:
    x = xp.zeros((2, 3))
    for key in (xp.asarray([2]), xp.asarray([-3]), xp.asarray([0.5]), (xp.asarray([0]), slice(None))):
        with pytest.raises(IndexError):
            x[key]


def test_what_is_written_is_seen_by_all_that_share_the_memory() -> None:
    x = xp.asarray([1.0, 2.0, 3.0])
    same, other = xp.asarray(x, copy=False), xp.asarray(x, copy=True)
    x[1] = 7.0
    x *= 2
    near(same, [2.0, 14.0, 6.0])
    near(other, [1.0, 2.0, 3.0])
    view = xp.reshape(x, (3, 1), copy=False)
    view[0, 0] = -1.0
    assert float(x[0]) == -1.0
    result = xp.reshape(x, (3, 1))
    result[1, 0] = 0.0
    assert float(x[1]) == 14.0, "what a graph gives is new"


def test_in_place_keeps_type_and_shape() -> None:
    x = xp.asarray([1, 2])
    with pytest.raises(errors.DTypeError, match=r"add in place of int64 with shape \[2\] would make float64"):
        x += 0.5
    with pytest.raises(errors.DTypeError, match=r"would make int64 with shape \[2, 2\]"):
        x += xp.zeros((2, 1), dtype=xp.int64)
    np.testing.assert_array_equal(np.asarray(x), [1, 2])


def test_values() -> None:
    assert bool(xp.asarray(True)) and int(xp.asarray(3)) == 3 and float(xp.asarray(2.5)) == 2.5
    assert complex(xp.asarray(2.5)) == 2.5 and [1, 2, 3][xp.asarray(1)] == 2
    with pytest.raises(errors.ShapeError, match="needs an array without axes"):
        float(xp.ones(1))
    with pytest.raises(errors.DTypeError, match="an index must be an integer"):
        operator.index(xp.asarray(1.0))
    assert repr(xp.asarray([1, 2], dtype=xp.int8)) == "Array([1, 2], dtype=int8)"


def test_exchange_with_numpy() -> None:
    x = np.arange(6.0).reshape(2, 3)
    made = xp.from_dlpack(x)
    np.testing.assert_array_equal(np.from_dlpack(made), x)
    made[0, 0] = 5.0
    assert x[0, 0] == 5.0
    turned = xp.asarray(x.T)  # memory in another order
    np.testing.assert_array_equal(np.asarray(turned + turned), 2 * x.T)
    np.testing.assert_array_equal(np.asarray(xp.asarray(x[:, ::-2])[1]), x[1, ::-2])


def test_foreign_operands() -> None:
    x = xp.ones(3)
    for other in (np.ones(3), "a", None, [1.0]):
        with pytest.raises(TypeError):
            x + other
        with pytest.raises(TypeError):
            other + x
        assert (x == other) is False


# --- what is told apart from graphc ------------------------------------------------------------------------------------


def test_floor_division_of_infinities_is_the_standard_s() -> None:
    a = xp.asarray([np.inf, -np.inf, 1.0, -1.0, 7.0, np.inf])
    b = xp.asarray([2.0, 2.0, -np.inf, np.inf, -2.0, -np.inf])
    got = np.asarray(a // b)
    np.testing.assert_array_equal(got, [np.inf, -np.inf, -0.0, -0.0, -4.0, np.nan])
    np.testing.assert_array_equal(np.signbit(got[2:4]), [True, True])
    assert (xp.asarray([7, -7]) // 2).dtype == xp.int64


def test_wrong_use_is_graphc_s_error() -> None:
    with pytest.raises(errors.ShapeError, match="do not broadcast") as caught:
        xp.ones((2, 3)) + xp.ones((2, 4))
    assert caught.value.where is not None and caught.value.where.file == __file__
    with pytest.raises(errors.ShapeError, match="axis 2 is out of range"):
        xp.sum(xp.ones((2, 3)), axis=2)
    with pytest.raises(errors.InputError, match="sum needs an Array, got list"):
        xp.sum([1.0])  # type: ignore[arg-type]
    with pytest.raises(errors.InputError, match="there is no device 'gpu'"):
        xp.zeros(3, device="gpu")
    with pytest.raises(errors.InputError, match="there is no backend 'fortran'"):
        xp.set_backend("fortran")
    with pytest.raises(errors.DTypeError, match="complex128"):
        xp.asarray(1j)


def test_linear_algebra() -> None:
    x = RANDOM.normal(size=(2, 4, 3))
    near(xp.linalg.pinv(xp.asarray(x)), np.linalg.pinv(x))
    share = np.array([0.9, 1e-9])
    near(xp.linalg.pinv(xp.asarray(x), rtol=xp.asarray(share)), np.linalg.pinv(x, rtol=share))
    got = xp.linalg.matrix_rank(xp.asarray(x), rtol=xp.asarray(share))
    np.testing.assert_array_equal(np.asarray(got), np.linalg.matrix_rank(x, rtol=share))
    square = x[:, :3]
    near(xp.linalg.matrix_power(xp.asarray(square), -2), np.linalg.matrix_power(square, -2), 1e-9)
    near(xp.linalg.cross(xp.asarray(x), xp.asarray(x[0, 0])), np.cross(x, x[0, 0]))
    found = xp.linalg.svd(xp.asarray(x), full_matrices=False)
    near(found.U * found.S[:, None, :] @ found.Vh, x)


@pytest.mark.parametrize("k", [2**63 - 1, 2**63, -(2**63), -(10**30)])
def test_diagonals_beyond_every_axis(k: int) -> None:
    x = xp.ones((3, 4))
    near(xp.eye(3, 4, k=k), np.zeros((3, 4)))
    near(xp.tril(x, k=k), np.full((3, 4), float(k > 0)))
    near(xp.triu(x, k=k), np.full((3, 4), float(k < 0)))


def test_names_are_there() -> None:
    assert all(hasattr(xp, name) for name in xp.__all__)
    assert all(isinstance(d, gx.DType) for d in xp.__array_namespace_info__().dtypes().values())
