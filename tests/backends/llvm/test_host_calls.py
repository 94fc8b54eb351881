"""Routines of Python in compiled programs: whole arrays in, whole arrays out, between native kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import GraphError
from graphc.ir.operation import VOCABULARY
from graphc.ir.parser import parse
from graphc.ir.types import TensorType, TupleType
from graphc.ir.verify import verify
from graphc.ops.declare import Op, host, results

BACKENDS = ("interpreter", "llvm")


def _positive(x: Any) -> Any:
    if (x < 0).any():
        raise ValueError("negative")
    return np.sqrt(x)


@pytest.fixture()
def root() -> Iterator[Op]:
    """The square root as a routine that refuses negative numbers."""
    yield host("t_root", infer=lambda x: x, reference=_positive, vjp=lambda g, y, x: (g / (2 * y),))
    del VOCABULARY["t_root"]


@pytest.fixture()
def split() -> Iterator[Op]:
    """Whole and fractional part: two results."""
    yield host(
        "t_split", infer=lambda x: TupleType((x, TensorType(x.dtype, x.shape))),
        reference=lambda x: (np.floor(x), x - np.floor(x)), vjp=lambda g, y, x: (g[1],),
    )  # fmt: skip
    del VOCABULARY["t_split"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_routine_stands_between_kernels(root: Op, backend: str) -> None:
    x = gx.placeholder("x", ("n", 3), "float64")
    y = gx.sum(root(gx.exp(x)) * 2)
    f = gx.compile([x], [y, gx.grad(y, x)], backend=backend)
    for n in (0, 1, 5):
        a = np.linspace(-1, 1, 3 * n).reshape(n, 3)
        value, gradient = f(a)
        np.testing.assert_allclose(value, 2 * np.exp(a / 2).sum(), rtol=1e-14)
        np.testing.assert_allclose(gradient, np.exp(a / 2), rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_results_are_taken_apart(split: Op, backend: str) -> None:
    x = gx.placeholder("x", ("n",), "float64")
    whole, part = results(split(x))
    f = gx.compile([x], [part * 2, whole, gx.grad(gx.sum(part * part), x)], backend=backend)
    a = np.array([1.25, -0.5, 3.0])
    got = f(a)
    for found, want in zip(got, [[0.5, 1.0, 0.0], [1, -1, 3], [0.5, 1.0, 0.0]], strict=True):
        np.testing.assert_array_equal(found, want)


def test_a_result_nobody_wants_and_one_wanted_twice(split: Op) -> None:
    x = gx.placeholder("x", (2,), "float64")
    node = split(x)
    part, again = results(node)[1], results(node)[1]
    f = gx.compile([x], [part, again], passes=())
    got = f([1.5, 2.25])
    np.testing.assert_array_equal(got[0], [0.5, 0.25])
    np.testing.assert_array_equal(got[1], [0.5, 0.25])


def test_they_print_parse_and_verify(split: Op) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    graph = gx.ir.Graph([x], list(results(split(x))))
    assert "%0 = t_split(%x) : (f32[n], f32[n])" in str(graph)
    assert str(verify(parse(str(graph)))) == str(graph)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_routine_raises_names_it_and_leaves_variables_as_they_were(root: Op, backend: str) -> None:
    x = gx.placeholder("x", (), "float64")
    v = gx.variable(1.0, name="v")
    f = gx.compile([x], root(x), updates={v: v + x}, backend=backend)
    with pytest.raises(GraphError, match="t_root raised ValueError: negative"):
        f(-1.0)
    assert v.value == 1.0
    assert f(4.0) == 2.0
    assert v.value == 5.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_routine_that_gives_another_type_is_named(backend: str) -> None:
    lying = host("t_lying", infer=lambda x: x, reference=lambda x: x[:-1])
    try:
        x = gx.placeholder("x", (3,), "float64")
        f = gx.compile([x], lying(x), backend=backend)
        with pytest.raises(GraphError, match="t_lying must give"):
            f(np.zeros(3))
    finally:
        del VOCABULARY["t_lying"]


def test_a_profile_and_the_kernels_say_that_it_is_python(root: Op) -> None:
    x = gx.placeholder("x", (3,), "float64")
    f = gx.compile([x], root(gx.exp(x)))
    assert "t_root, by Python" in str(f.profile([1.0, 2.0, 3.0]))
    assert any("Python" in k.source for k in f.kernels)
