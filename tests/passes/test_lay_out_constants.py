"""Constants as panels: the bits of the product as it was, only where every reader gains, and seen by whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.layout import least_rows, panel_width
from graphc.ir.program import RUN as STEPS
from graphc.ir.target import find_target
from graphc.ir.types import float32, float64

TARGET = find_target(None)
WIDTH = panel_width(float32, TARGET)
ROWS = least_rows(TARGET)


def numbers(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Any:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


def compiled(weights: Callable[[Any], Any], a: Any, b: Any, end: Callable[[Any], Any] = lambda c: c) -> Any:
    x = gx.placeholder("x", a.shape, str(a.dtype))
    return gx.compile([x], end(x @ weights(b)))


def panels(f: Any) -> list[tuple[int, ...]]:
    """The shapes of the constants that are panels."""
    return [b.type.shape for b in f.program.buffers.values() if b.role == "constant" and len(b.type.shape) == 3]


@pytest.mark.parametrize("dtype", [float32, float64])
def test_bits_are_those_of_the_plain_product(dtype: Any) -> None:
    width = panel_width(dtype, TARGET)
    for m in (ROWS, 12, 13, 49, 129, 600):
        for count, k in ((1, 3), (2, 20), (3, STEPS), (5, STEPS + 9), (9, 2 * STEPS + 100)):
            a, b = numbers(m, k, dtype=dtype.numpy), numbers(k, count * width, dtype=dtype.numpy, seed=1)
            for end in (lambda c: c, lambda c: gx.maximum(c + 1, 0)):
                constant, variable = compiled(gx.constant, a, b, end), compiled(gx.variable, a, b, end)
                assert panels(constant) == [(count, k, width)]
                assert panels(variable) == []
                np.testing.assert_array_equal(constant(a), variable(a), err_msg=f"{m} x {k} x {count * width}")


@pytest.mark.parametrize("dtype", [float32, float64])
def test_the_last_panel_is_filled_up(dtype: Any) -> None:
    width = panel_width(dtype, TARGET)
    for m in (ROWS, 13, 49):
        for columns, k in ((width - 1, 3), (width + width // 2 + 1, STEPS + 9), (20 * width + 1, 20), (20 * width - 3, 40)):
            a, b = numbers(m, k, dtype=dtype.numpy), numbers(k, columns, dtype=dtype.numpy, seed=1)
            for end in (lambda c: c, lambda c: gx.maximum(c + 1, 0)):
                constant, variable = compiled(gx.constant, a, b, end), compiled(gx.variable, a, b, end)
                assert panels(constant) == [(-(-columns // width), k, width)]
                np.testing.assert_array_equal(constant(a), variable(a), err_msg=f"{m} x {k} x {columns}")


def test_convolutions_read_panels() -> None:
    image, kernel = numbers(1, 9, 9, 5), numbers(3, 3, 5, 2 * WIDTH, seed=1)
    x = gx.placeholder("x", image.shape, "float32")
    found = [
        gx.compile([x], gx.nn.relu(gx.nn.conv(x, w, stride=stride, padding=1, layout="NHWC")))
        for w in (gx.constant(kernel), gx.variable(kernel)) for stride in (1, 2)
    ]  # fmt: skip
    assert [panels(f) for f in found] == 2 * [[(2, 45, WIDTH)]] + 2 * [[]]
    for constant, variable in zip(found[:2], found[2:], strict=True):
        np.testing.assert_array_equal(constant(image), variable(image))


def test_any_number_of_threads() -> None:
    a, b = numbers(200, 700), numbers(700, 8 * WIDTH, seed=1)
    f, before = compiled(gx.constant, a, b), gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        alone = f(a)
        gx.set_num_threads(2)
        np.testing.assert_array_equal(f(a), alone)
    finally:
        gx.set_num_threads(before)


def test_only_where_every_reader_gains() -> None:
    a, b = numbers(20, 40), numbers(40, WIDTH, seed=1)
    for weights in (gx.constant, lambda w: gx.constant(w.T.copy()).T, lambda w: gx.exp(gx.constant(np.log(w)))):
        assert panels(compiled(weights, a, np.abs(b))) == [(1, 40, WIDTH)]
    for other in (
        compiled(gx.constant, a[: ROWS - 1], b),  # few rows
        compiled(gx.constant, a, b[:, : WIDTH // 2]),  # half a panel
        compiled(gx.constant, a, b, lambda c: c.T + 1),  # the result is turned, so it is on the left
    ):
        assert panels(other) == []
    x, w = gx.placeholder("x", a.shape, "float32"), gx.constant(b)
    both = gx.compile([x], [x @ w, gx.sum(x) * w])
    assert panels(both) == []
    np.testing.assert_allclose(both(a)[0], a @ b, rtol=1e-4, atol=1e-4)


def test_a_kernel_for_both() -> None:
    """Equal kernels part where one reads panels and the other a variable."""
    a, b, c = numbers(20, 40), numbers(40, WIDTH, seed=1), numbers(40, WIDTH, seed=2)
    x, w = gx.placeholder("x", a.shape, "float32"), gx.variable(c)
    f, g = gx.compile([x], [x @ gx.constant(b), x @ w]), gx.compile([x], [x @ gx.constant(b), x @ gx.constant(c)])
    assert [len(run.kernels) for run in (f, g)] == [2, 1]
    for run in (f, g):
        for found, right in zip(run(a), (b, c), strict=True):
            np.testing.assert_array_equal(found, compiled(gx.variable, a, right)(a))


def test_the_step_is_seen() -> None:
    a, b = numbers(20, 40), numbers(40, 2 * WIDTH, seed=1)
    f = compiled(gx.constant, a, b)
    assert f.stages[-1] == ("lay_out_constants", f.program)
    assert f"n//{WIDTH}, k" in str(f.program)
    assert "point_f32" in f.kernels[0].source
    assert f.memory.constants == b.nbytes
    assert f.profile(a).rows[0].flops == 2 * a.shape[0] * b.size
    interpreted = gx.compile([f.inputs[0]], f.graph.outputs, backend="interpreter")
    np.testing.assert_allclose(f(a), interpreted(a)[0], rtol=1e-4, atol=1e-4)
