"""Keys in brackets against NumPy's: x[key] and x.at[key], on both backends, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import DTypeError, ShapeError

Array = np.ndarray[Any, Any]

I = np.array([2, 0, -1, 2])
J = np.array([[0, 1, -2, 1]])
KEYS: tuple[Any, ...] = (
    1, -1, slice(1, 3), slice(None, None, -1), (slice(None), 1), (..., slice(0, 2)), (None, 1), ..., (),
    I, [0, 2], (I, I), (I, slice(None), I), (slice(None), I), (slice(None), I, J), (I, J, 1), (0, slice(None), J), (0, J),
    (slice(None), 0, I), (None, I, I), (I, None, I), (I, ..., 0), (..., I), (I, I, ..., I), (I, slice(1, 3), None, I),
    (slice(0, 2), I), (slice(2, 0, -1), I, 1), np.int64(1), np.zeros((0,), np.int64), (np.array(1), slice(None), 2), (J.T, I, -1),
    (I, slice(0, 2), 1), (0, ..., I), (0, I, ...), (slice(None), None, I, I),
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("shape", [(3, 3, 3), ("n", 3, "m")], ids=str)
def test_keys_are_numpy_s(key: Any, shape: Any) -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(1, 90, (3, 3, 3))
    x = gx.placeholder("x", shape, "int64")
    there = values[key]
    new = there * 7 % 31 + 20
    u = x[key] * 7 % 31 + 20
    at = x.at[key]
    results = [x[key], at.get(), at.set(u), at.add(u), at.multiply(u), at.max(u), at.min(u), at.set(7), at.add(7)]

    def done(function: Any, new: Any) -> Array:
        made = values.copy()
        if function is None:
            made[key] = new
        else:
            function.at(made, key, new)
        return made

    combined = [done(f, new) for f in (np.add, np.multiply, np.maximum, np.minimum)]
    wanted = [there, there, done(None, new), *combined, done(None, 7), done(np.add, 7)]
    for backend in ("interpreter", "llvm"):
        for got, want in zip(gx.compile([x], results, backend=backend)(values), wanted, strict=True):
            assert got.dtype == want.dtype and np.array_equal(got, want), backend


def test_the_last_of_equal_places_stands_in_both_backends() -> None:
    rng = np.random.default_rng(0)
    places, new = rng.integers(-60, 60, (4, 500)), rng.normal(size=(4, 500))
    i, u = gx.placeholder("i", ("a", "b"), "int64"), gx.placeholder("u", ("a", "b"), "float64")
    x = gx.placeholder("x", (50,), "float64")
    want = np.zeros(50)
    for place, value in zip(places.ravel(), new.ravel(), strict=True):
        want[np.clip(place if place >= 0 else place + 50, 0, 49)] = value
    for backend in ("interpreter", "llvm"):
        assert np.array_equal(gx.compile([x, i, u], x.at[i].set(u), backend=backend)(np.zeros(50), places, new), want)


METHODS = ("set", "add", "multiply", "max", "min")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("key", [(slice(0, 2), I), I, slice(None, None, 2), (I, I)], ids=str)
def test_gradients_of_updates(method: str, key: Any) -> None:
    """Where places are named twice, too, and of products where factors are 0: central differences of a polynomial are exact."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(3, 3)), rng.normal(size=np.zeros((3, 3))[key].shape)
    if method == "multiply":
        b.flat[1] = b.flat[0] = 0
    x, u = gx.placeholder("x", a.shape, "float64"), gx.placeholder("u", b.shape, "float64")
    loss = gx.sum(getattr(x.at[key], method)(u) * gx.constant(rng.normal(size=(3, 3))))
    for backend in ("interpreter", "llvm"):
        run = gx.compile([x, u], [loss, *gx.grad(loss, [x, u])], backend=backend)
        _, gx_, gu = run(a, b)
        for values, gradient, other in ((a, gx_, False), (b, gu, True)):
            for place in np.ndindex(values.shape):
                moved = []
                for by in (1e-6, -1e-6):
                    near = values.copy()
                    near[place] += by
                    moved.append(float(run(a, near)[0] if other else run(near, b)[0]))
                assert abs(gradient[place] - (moved[0] - moved[1]) / 2e-6) < 1e-7


def test_segments_are_numpy_s() -> None:
    rng = np.random.default_rng(2)
    data, ids = rng.normal(size=(4, 25, 3)), rng.integers(0, 7, (4, 25))
    x, i = gx.placeholder("x", ("a", "b", 3), "float64"), gx.placeholder("i", ("a", "b"), "int64")
    functions = (gx.segment_sum, gx.segment_prod, gx.segment_max, gx.segment_min)
    theirs = ((np.add, 0), (np.multiply, 1), (np.maximum, -np.inf), (np.minimum, np.inf))
    for backend in ("interpreter", "llvm"):
        got = gx.compile([x, i], [f(x, i, 9) for f in functions], backend=backend)(data, ids)
        for found, (combine, empty) in zip(got, theirs, strict=True):
            want = np.full((9, 3), float(empty))
            combine.at(want, ids, data)
            assert np.array_equal(found, want), backend


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
def test_bad_keys_are_refused() -> None:
    x = gx.placeholder("x", ("n", 3), "float32")
    for act, kind, message in (
        (lambda: x[gx.constant([0.5])], DTypeError, "needs integers"),
        (lambda: x[[0], [0], [0]], ShapeError, "it has 2 axes"),
        (lambda: x[[0, 1], [0, 1, 2]], ShapeError, "cannot broadcast"),
        (lambda: x[[0], 3], ShapeError, "index 3 is out of range"),
        (lambda: x[[True, False]], ShapeError, "with booleans"),
        (lambda: x[..., ...], ShapeError, "only one"),
        (lambda: x.at[0].set(gx.constant([1.0])), DTypeError, "does not fit"),
        (lambda: x.at[0].add(gx.ones((4,), "float32")), ShapeError, "does not broadcast"),
        (lambda: gx.zeros((2,), "int32").at[0].set(0.5), DTypeError, "does not fit"),
        (lambda: gx.zeros((2,), "int8").at[0].set(1000), DTypeError, "does not fit"),
        (lambda: gx.zeros((2,), "bool").at[[0]].add(True), DTypeError, "combines numbers"),
        (lambda: gx.zeros((0,), "int8").at[[0]].add(1), ShapeError, "empty axis"),
        (lambda: gx.segment_sum(x, gx.constant([0.5]), 3), DTypeError, "integer segment_ids"),
        (lambda: gx.segment_sum(x, gx.constant([0, 1]), 3), ShapeError, "leading axes"),
        (lambda: gx.segment_max(x, gx.arange(gx.dim("n")), -1), ShapeError, "must be a size"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message) as caught:
            act()
        assert __file__.rsplit("/", 1)[-1] in str(caught.value)
