"""Loops whose rows do not depend on each other: what is shared out among threads, and that nothing changes by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.passes.lowering import partition_carries

pytestmark = pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")  # steps of mixed types are meant


def _recurrent(rows: int, step: Callable[..., Any]) -> tuple[gx.Tensor, list[gx.Tensor]]:
    x = gx.placeholder("x", (4, rows, 6), "float64")
    w = gx.variable(np.linspace(-1, 1, 36).reshape(6, 6), "w")
    start = gx.zeros((rows, 6), "float64")
    last, ys = gx.scan(lambda c, z: step(c, z, w), start, x)
    return x, [last, ys, *gx.grad(gx.sum(ys * ys) + gx.sum(last), [w])]


def _shared(run: Any) -> bool:
    return any(axis.var.startswith("part") for kernel in run.kernels for axis in kernel.kernel.parallel)


ROW_STEPS = {
    "product": (lambda c, z, w: (gx.tanh(c @ w + z),) * 2, True),
    "softmax of a row": (lambda c, z, w: (gx.nn.softmax(c @ w + z, axis=1), c), True),
    "rows in another order": (lambda c, z, w: (gx.flip(c, axis=0) @ w + z, c), False),
    "the row before": (lambda c, z, w: (gx.roll(c, 1, axis=0) * 0.5 + z @ w, c), False),
    "a sum over rows": (lambda c, z, w: (c * 0.5 + gx.sum(c, axis=0, keepdims=True) * 0.1 + z @ w, c), False),
    "a product over rows": (lambda c, z, w: (c * 0.1 + gx.tanh(c @ gx.matrix_transpose(c)) @ z * 0.1 + w[0], c), False),
    "transposed": (lambda c, z, w: (z @ w + c, gx.matrix_transpose(c)), True),  # after the loop
}


@pytest.mark.parametrize("name", ROW_STEPS)
def test_rows_are_shared_out_where_none_needs_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step, apart = ROW_STEPS[name]
    found = []
    for rows, elements in ((1 << 40, 1), (1, 1), (2, 1)):
        monkeypatch.setattr(partition_carries, "ROWS", rows)
        monkeypatch.setattr(partition_carries, "ELEMENTS", elements)
        x, outputs = _recurrent(7, step)
        values = np.random.default_rng(0).normal(size=(4, 7, 6))
        run = gx.compile([x], outputs)
        assert _shared(run) == (apart and rows < 7)
        found.append([np.asarray(a) for a in run(values)])
    wanted = [np.asarray(a) for a in gx.compile([x], outputs, backend="interpreter")(values)]
    for shared in found[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(shared, found[0], strict=True))
    for a, b in zip(found[0], wanted, strict=True):
        np.testing.assert_allclose(a, b, 1e-10, 1e-12)


@pytest.mark.parametrize("rows", [16, 17, 40, 129])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_shares_of_any_number_of_rows(rows: int, threads: int) -> None:
    x = gx.placeholder("x", (5, rows, 64))
    w = gx.variable(np.linspace(-0.1, 0.1, 64 * 64, dtype="f4").reshape(64, 64))
    last, ys = gx.scan(lambda c, z: (gx.tanh(c @ w + z),) * 2, gx.zeros((rows, 64)), x)
    run = gx.compile([x], [last, ys])
    assert _shared(run)
    values = np.random.default_rng(1).normal(size=(5, rows, 64)).astype("f4")
    before = gx.get_num_threads()
    gx.set_num_threads(threads)
    try:
        got = run(values)
    finally:
        gx.set_num_threads(before)
    wanted = gx.compile([x], [last, ys], backend="interpreter")(values)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-5)


def test_rows_of_nothing_are_not_shared() -> None:
    last, ys = gx.scan(lambda c, _: (gx.tanh(c), c), gx.zeros((40, 0)), None, length=3)
    run = gx.compile([], [last, ys])
    assert not _shared(run)
    assert [a.shape for a in run()] == [(40, 0), (3, 40, 0)]


def test_what_is_passed_on_as_it_is() -> None:
    """A weight that is a result of every step is no row of anything."""
    x, w = gx.placeholder("x", (4, 16, 64)), gx.variable(np.eye(3, dtype="f4"))
    last, ys = gx.scan(lambda c, z: (gx.tanh(c + z), w), gx.zeros((16, 64)), x)
    values = np.random.default_rng(0).normal(size=(4, 16, 64)).astype("f4")
    got, every = gx.compile([x], [last, ys])(values)
    np.testing.assert_array_equal(every, np.broadcast_to(np.eye(3, dtype="f4"), (4, 3, 3)))
    np.testing.assert_allclose(got, gx.compile([x], last, backend="interpreter")(values), 1e-5, 1e-6)


def test_a_long_vector_is_shared_out() -> None:
    x = gx.placeholder("x", (3, 100_003), "float64")
    last, ys = gx.scan(lambda c, z: (gx.sin(c) + z, c * z), gx.zeros((100_003,), "float64"), x)
    run = gx.compile([x], [last, ys])
    assert _shared(run)
    values = np.random.default_rng(1).normal(size=(3, 100_003))
    for a, b in zip(run(values), gx.compile([x], [last, ys], backend="interpreter")(values), strict=True):
        np.testing.assert_allclose(a, b, 1e-12, 1e-12)
