"""Results in the caller's arrays: `f(..., out=...)`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import DTypeError, GraphError, InputError, ShapeError

BACKENDS = ("llvm", "interpreter", "program")


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_are_written_and_the_array_is_given_back(backend: str) -> None:
    x = gx.placeholder("x", ("n",), "float64")
    f = gx.compile([x], x * 2 + 1, backend=backend)
    for n in (3, 3, 5, 0, 3):
        a, y = np.arange(float(n)), np.full(n, np.nan)
        assert f(a, out=y) is y
        np.testing.assert_array_equal(y, a * 2 + 1)
        assert f(x=a[::-1], out=y) is y
        np.testing.assert_array_equal(y, a[::-1] * 2 + 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_outputs_in_their_form(backend: str) -> None:
    x = gx.placeholder("x", ("n",), "float64")
    double, total = x * 2, gx.sum(x)
    f = gx.compile([x], {"a": [double, total], "b": (double,)}, backend=backend)
    places = {"b": (np.empty(4),), "a": [np.empty(4), np.empty(())]}
    for start in (0.0, 1.0, 2.0):
        a = np.arange(4.0) + start
        assert f(a, out=places) is places
        for y in (places["a"][0], places["b"][0]):
            np.testing.assert_array_equal(y, a * 2)
        assert places["a"][1] == a.sum()


def test_memory_that_is_not_contiguous_or_belongs_to_an_argument() -> None:
    x = gx.placeholder("x", (40, 40), "float64")
    f = gx.compile([x], x @ x + gx.matrix_transpose(x))
    a = np.random.default_rng(0).standard_normal((40, 40))
    want = f(a)
    columns = np.zeros((40, 80))
    for _ in range(2):
        f(a, out=columns[:, ::2])
        np.testing.assert_array_equal(columns[:, ::2], want)
        assert not columns[:, 1::2].any()
        f(a, out=columns[:, 1::2].T)
        np.testing.assert_array_equal(columns[:, 1::2].T, want)
        columns[:, 1::2] = 0
    for first in (0, 1, 5):
        memory = np.empty(41 * 40 + 200)
        given = memory[: 40 * 40].reshape(40, 40)
        given[:] = a
        place = memory[first * 40 : first * 40 + 1600].reshape(40, 40)
        assert f(given, out=place) is place
        np.testing.assert_array_equal(place, want)


def test_variables_and_an_array_that_was_a_result() -> None:
    v = gx.variable(np.zeros(3))
    x = gx.placeholder("x", (3,), "float64")
    f = gx.compile([x], v + x, updates={v: v + x})
    y = np.empty(3)
    kept = f(np.ones(3))
    for turn in (2, 3, 4):
        f(np.ones(3), out=y)
        np.testing.assert_array_equal(y, np.full(3, turn))
        np.testing.assert_array_equal(v.value, y)
    np.testing.assert_array_equal(kept, np.ones(3))
    own = f(np.ones(3))
    assert f(np.ones(3), out=own) is own
    np.testing.assert_array_equal(own, np.full(3, 6.0))


def test_threads_give_the_same_bits() -> None:
    x = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([x], gx.exp(x) * gx.sum(x))
    a = np.random.default_rng(1).standard_normal(1_000_000).astype("float32")
    y = np.empty_like(a)
    for _ in range(2):
        np.testing.assert_array_equal(f(a, out=y), f(a))


def test_an_input_of_that_name_is_meant() -> None:
    x, other = gx.placeholder("x", (2,), "float64"), gx.placeholder("out", (2,), "float64")
    f = gx.compile([x, other], x - other)
    np.testing.assert_array_equal(f(np.ones(2), out=np.array([1.0, 2.0])), [0, -1])


def test_what_fails_when_it_runs_is_an_error() -> None:
    x = gx.placeholder("x", (2, 2), "float64")
    f = gx.compile([x], gx.linalg.inv(x))
    y = np.empty((2, 2))
    for _ in range(2):
        np.testing.assert_array_equal(f(2 * np.eye(2), out=y), np.eye(2) / 2)
        with pytest.raises(GraphError, match="the matrix is singular"):
            f(np.zeros((2, 2)), out=y)


def _locked() -> Any:
    locked = np.empty(3)
    locked.flags.writeable = False
    return locked


@pytest.mark.parametrize(
    ("out", "kind", "message"),
    [
        ([0.0, 0.0, 0.0], InputError, r"out must be an array of NumPy, got list"),
        (np.empty(3, "float32"), DTypeError, r"out must be of float64, as the output is, got float32"),
        (np.empty((3, 1)), ShapeError, r"out must have the output's shape \[3\], got \[3, 1\]"),
        (np.empty(4), ShapeError, r"out must have the output's shape \[3\], got \[4\]"),
        (_locked(), InputError, r"out is not writable"),
    ],
)
def test_wrong_arrays(out: Any, kind: type[GraphError], message: str) -> None:
    v, x = gx.variable(0.0), gx.placeholder("x", ("n",), "float64")
    f = gx.compile([x], x + v, updates={v: v + 1})
    for count in range(2):
        with pytest.raises(kind, match=message) as caught:
            f(np.ones(3), out=out)
        assert "test_out.py" in str(caught.value) and "np.empty((3,), 'float64')" in str(caught.value)
        assert v.value == count
        f(np.ones(3))


def test_wrong_forms() -> None:
    x = gx.placeholder("x", (3,), "float64")
    f, g = gx.compile([x], [x + 1, x * 2]), gx.compile([x], {"a": x + 1})
    y = np.empty(3)
    for call, message in (
        (lambda: f(y, out=[y]), "2 in a tuple or a list; got 1 of them"),
        (lambda: f(y, out=y), "2 in a tuple or a list; got ndarray"),
        (lambda: g(y, out={"b": y}), "a dict of 'a'; got 1 of them"),
        (lambda: f(np.ones(3), out=(y, y)), "out: arrays 0 and 1 share memory"),
        (lambda: f(np.ones(3), out=(y, None)), "out: array 1 must be an array of NumPy, got NoneType"),
    ):
        for _ in range(2):
            with pytest.raises(InputError, match=message):
                call()
