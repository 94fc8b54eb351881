"""Loops over alternating elements written out: values of every type and length, in rows that are kept in scratch too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir import dims
from graphc.ir.program import Load, Loop, statements_of
from graphc.ops.convolution import interleave

RNG = np.random.default_rng(0)


def divided(f: Any) -> bool:
    """Whether a loop of a compiled function reads at a quotient of its own variable."""
    for kernel in f.program.kernels:
        shapes = {p.name: p.type.shape for p in kernel.params} | {s.name: s.shape for s in kernel.scratch}
        for loop in statements_of(kernel.body):
            for s in loop.body if isinstance(loop, Loop) else ():
                if isinstance(s, Load) and f"{loop.var}//" in str(dims.ravel(s.index, shapes[s.buffer])):
                    return True
    return False


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_repeated_elements(dtype: str) -> None:
    a, b = ((RNG.normal(size=(3, n)) * 100).astype(dtype) for n in (13, 26))
    x, y = gx.placeholder("x", a.shape, dtype), gx.placeholder("y", b.shape, dtype)
    twice = gx.repeat(x, 2, axis=1)
    f = gx.compile([x, y], [twice, gx.where(twice > y, twice, y), gx.repeat(x, 3, axis=1)])
    wide = np.repeat(a, 2, 1)
    for got, want in zip(f(a, b), [wide, np.where(wide > b, wide, b), np.repeat(a, 3, 1)], strict=True):
        assert np.array_equal(got, want)
    assert not divided(f)


@pytest.mark.parametrize("width", [1, 5, 16, 21])
def test_parts_of_an_image_in_turns(width: int) -> None:
    parts = [RNG.normal(size=(2, 3, width)).astype("float32") for _ in range(4)]
    xs = [gx.placeholder(f"x{i}", p.shape, "float32") for i, p in enumerate(parts)]
    y = interleave(*xs, axes=(1, 2), by=(2, 2), size=(6, 2 * width))
    f = gx.compile(xs, [gx.exp(y), gx.nn.softmax(y, axis=-1)])
    whole = np.stack(parts, -1).reshape(2, 3, width, 2, 2).transpose(0, 1, 3, 2, 4).reshape(2, 6, 2 * width).astype("float64")
    exact = np.exp(whole)
    np.testing.assert_allclose(f(*parts)[0], exact, rtol=1e-6)
    np.testing.assert_allclose(f(*parts)[1], exact / exact.sum(-1, keepdims=True), rtol=1e-6)


def test_a_matrix_of_pairs_as_a_row_is_read_along_memory() -> None:
    """Quotient and remainder together are the place itself: nothing alternates."""
    a = RNG.normal(size=(4, 6, 2)).astype("float32")
    x = gx.placeholder("x", a.shape, "float32")
    f = gx.compile([x], gx.reshape(x, (4, 12)) + 1)
    assert np.array_equal(f(a), a.reshape(4, 12) + 1)
    assert [s.stop for k in f.program.kernels for s in statements_of(k.body) if isinstance(s, Loop)] in ([12], [])
