"""Integers that stand for floats: the formulas, types, gradients and refusals; and products of integers of 8 bits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import graphc as gx

BACKENDS = ("llvm", "interpreter", "program")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_floats_become_integers_rounded_to_even_and_saturated(dtype: str) -> None:
    info = np.iinfo(dtype)
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e9, -1e9, np.inf, -np.inf, -0.0, np.nan], np.float32)
    want = np.clip([0, 2, 2, 0, -2, 1e9, -1e9, 1e9, -1e9, 0, 0], info.min, info.max).astype(dtype)
    symbol = gx.placeholder("x", ("n",), "float32")
    for backend in BACKENDS:
        got = gx.compile([symbol], gx.quantize_linear(symbol * 0.25, 0.25, dtype=dtype), backend=backend)(x)
        assert got.dtype == dtype and np.array_equal(got, want), backend


def test_scales_and_zero_points_along_an_axis() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32) * 5
    scale, zero = np.array([0.5, 0.25, 0.125, 1.0], np.float32), np.array([3, -4, 0, 7], np.int8)
    wide, shift = scale[:, None], zero[:, None].astype(np.float32)
    whole = gx.quantize_linear(x, scale, zero, axis=1)
    want = np.clip(np.rint(x / wide) + shift, -128, 127)
    assert whole.dtype == gx.int8 and np.array_equal(whole.eval(), want)
    back = gx.dequantize_linear(whole, scale, zero, axis=-2).eval()
    assert back.dtype == np.float32 and np.array_equal(back, (want - shift) * wide)


def test_the_gradient_goes_straight_through_within_the_range() -> None:
    x = gx.constant([-20.0, -12.8, -12.7, 0.03, 12.7, 12.8, 20.0], dtype="float32")
    y = gx.fake_quantize(x, 0.1)
    assert np.array_equal(gx.grad(gx.sum(y * 3), x).eval(), np.array([0, 3, 3, 3, 3, 0, 0], np.float32))
    unsigned = gx.fake_quantize(x, 0.1, 5, dtype="uint8")
    assert np.array_equal(gx.grad(gx.sum(unsigned), x).eval(), np.array([0, 0, 0, 1, 1, 1, 1], np.float32))
    assert gx.fake_quantize(x, 0.1).eval() == pytest.approx(gx.dequantize_linear(gx.quantize_linear(x, 0.1), 0.1).eval(), abs=0)


SHAPES = (((17, 37), (37, 40)), ((1, 64), (64, 3)), ((2, 5, 9), (2, 9, 4)), ((3, 0), (0, 2)), ((9,), (9,)))


@pytest.mark.parametrize("shapes", SHAPES)
def test_products_of_integers_of_8_bits_are_exact(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(1)
    for left, right in itertools.product(("int8", "uint8"), repeat=2):
        bounds = [(np.iinfo(d).min, np.iinfo(d).max + 1) for d in (left, right)]
        a, b = (rng.integers(*ends, s).astype(d) for ends, d, s in zip(bounds, (left, right), shapes, strict=True))
        x, y = gx.placeholder("x", a.shape, left), gx.placeholder("y", b.shape, right)
        want = np.matmul(a.astype(np.int64), b.astype(np.int64))
        for backend in BACKENDS:
            got = gx.compile([x, y], gx.matmul(x, y, dtype="int32"), backend=backend)(a, b)
            assert got.dtype == np.int32 and np.array_equal(got, want), (left, right, backend)


def test_sums_of_products_wrap_as_int32_does() -> None:
    k = 70_000
    x = gx.placeholder("x", (2, "k"), "uint8")
    y = gx.compile([x], gx.matmul(x, gx.matrix_transpose(x), dtype="int32"))(np.full((2, k), 255, np.uint8))
    assert (y == np.int64(255 * 255 * k).astype(np.int32)).all()


def test_matmul_in_another_type_casts_its_operands_as_numpy_does() -> None:
    a = np.array([[100, 100]], np.int8)
    for dtype in ("int16", "int32", "float64"):
        got = gx.matmul(gx.constant(a), gx.constant(a.T), dtype=dtype)
        assert str(got.dtype) == dtype and got.eval() == np.matmul(a, a.T, dtype=dtype)


def test_what_does_not_fit_is_refused() -> None:
    x, q = gx.placeholder("x", (3, 4), "float32"), gx.placeholder("q", (3, 4), "int8")
    cases = [
        (lambda: gx.quantize_linear(q, 0.1), gx.errors.DTypeError, "needs floats"),
        (lambda: gx.dequantize_linear(x, 0.1), gx.errors.DTypeError, "needs integers"),
        (lambda: gx.quantize_linear(x, np.ones(4, np.float32)), gx.errors.ShapeError, "without an axis"),
        (lambda: gx.quantize_linear(x, np.ones(3, np.float32), axis=1), gx.errors.ShapeError, "does not fit axis 1"),
        (lambda: gx.quantize_linear(x, 0.1, dtype="int32"), gx.errors.DTypeError, "has no int32"),
        (lambda: gx.quantize_linear(x, gx.constant(0.1, dtype="float64")), gx.errors.DTypeError, "needs a float32 scale"),
        (lambda: gx.fake_quantize(q, 0.1), gx.errors.InputError, "needs float32"),
    ]  # fmt: skip
    for case, kind, words in cases:
        with pytest.raises(kind, match=words):
            case()
