"""Masks as bounds: what is masked is not computed, and what is computed keeps its bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.dims import names
from graphc.ir.program import Contract, statements_of
from graphc.passes.bound_masks import bound_masks

Make = Callable[..., list[Any]]
SIZES = (1, 5, 63, 64, 65, 129, 200)  # around the tiles of 64 and 128 rows


def _square(q: Any, k: Any) -> Any:
    return q @ gx.matrix_transpose(k)


def _places(q: Any) -> tuple[Any, Any]:
    return gx.expand_dims(gx.arange(q.shape[-2]), 1), gx.arange(q.shape[-2])


def _causal(q: Any, k: Any, v: Any, g: Any) -> list[Any]:
    y = gx.nn.attention(q, k, v, causal=True)
    return [y, *gx.vjp(y, [q, k, v], g)]


def _window(q: Any, k: Any, v: Any, g: Any) -> list[Any]:
    i, j = _places(q)
    y = gx.nn.attention(q, k, v, mask=(i - 70 < j) & (j <= i))
    return [y, *gx.vjp(y, [q, k, v], g)]


def _rows_without_terms(q: Any, k: Any, v: Any, g: Any) -> list[Any]:
    i, j = _places(q)
    return [gx.nn.softmax(gx.where(i > j, _square(q, k), -np.inf)) @ v]


MASKS: dict[str, Make] = {
    "causal attention": _causal,
    "attention in a window": _window,
    "softmax of rows, of which one has no terms": _rows_without_terms,
    "triangle on the left": lambda q, k, v, g: [gx.tril(_square(q, k)) @ v, gx.triu(_square(q, k), k=1) @ v],
    "triangle on the right": lambda q, k, v, g: [gx.matrix_transpose(v) @ gx.triu(_square(q, k), k=-3)],
    "triangle that is returned": lambda q, k, v, g: [m := gx.tril(_square(q, k), k=-66), m @ v],
    "triangle that is added up": lambda q, k, v, g: [gx.sum(gx.tril(_square(q, k)), axis=a) for a in (-1, -2)],
    "diagonal": lambda q, k, v, g: [gx.where(gx.equal(*_places(q)), _square(q, k), 0) @ v],
}


def _without_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gx.passes, "LOWERING", [p for p in gx.passes.LOWERING if p.__name__ != "bound_masks"])


def _inputs(time: Any) -> list[Any]:
    return [gx.placeholder(name, (2, time, 4), "float32") for name in "qkvg"]


def _draw(time: int, seed: int = 0) -> list[Any]:
    return list(np.random.default_rng(seed).normal(size=(4, 2, time, 4)).astype("float32"))


@pytest.mark.parametrize("name", MASKS)
def test_results_have_the_bits_of_all_the_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = _inputs("time")
    outputs = MASKS[name](*inputs)
    bounded = gx.compile(inputs, outputs)
    reference = gx.compile(inputs, outputs, backend="interpreter")
    _without_the_pass(monkeypatch)
    whole = gx.compile(inputs, outputs)
    assert str(bounded.program) != str(whole.program)
    for time in SIZES:
        values = _draw(time)
        for got, all_of_it, want in zip(bounded(*values), whole(*values), reference(*values), strict=True):
            assert got.tobytes() == all_of_it.tobytes(), time
            np.testing.assert_allclose(got, want, 1e-4, 1e-4)


@pytest.mark.parametrize("time", [130, 600])
def test_sizes_that_are_known(time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, values = _inputs(time), _draw(time)
    outputs = _causal(*inputs)
    bounded = gx.compile(inputs, outputs)(*values)
    _without_the_pass(monkeypatch)
    for got, want in zip(bounded, gx.compile(inputs, outputs)(*values), strict=True):
        assert got.tobytes() == want.tobytes()


def test_statement_by_statement_nothing_is_read_that_was_not_written() -> None:
    inputs = [gx.placeholder(name, (130, 1), "float32") for name in "qkv"]
    values = [a[0, :, :1] for a in _draw(130)[:3]]
    y = gx.nn.attention(*inputs, causal=True)
    (product, *_) = [s for k in gx.compile(inputs, y, backend="program").program.kernels for s in statements_of(k.body)
                     if isinstance(s, Contract)]  # fmt: skip
    assert not isinstance(product.n.stop, int)
    np.testing.assert_allclose(gx.compile(inputs, y, backend="program")(*values), gx.compile(inputs, y)(*values), 1e-5, 1e-5)


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize("target", ["x86-64-v1", "x86-64-v3", "generic"])
def test_other_targets(target: str) -> None:
    inputs, values = _inputs(200), _draw(200)
    outputs = _causal(*inputs)
    found = gx.compile(inputs, outputs, target=target)(*values)
    for got, want in zip(found, gx.compile(inputs, outputs, backend="interpreter")(*values), strict=True):
        np.testing.assert_allclose(got, want, 1e-4, 1e-5)


def test_every_product_of_causal_attention_has_a_bound() -> None:
    inputs = _inputs(512)
    program = gx.compile(inputs, _causal(*inputs), backend="program").program
    for kernel in program.kernels:
        tiles = {axis.var for axis in kernel.parallel}
        products = [s for s in statements_of(kernel.body) if isinstance(s, Contract)]
        assert products
        for product in products:  # beside the axis that is cut into tiles, one whose bound follows from the tile
            bounds = [names(a.start, a.stop) & tiles for a in (product.m, product.n, product.k)]
            assert sum(bool(b) for b in bounds) == 2, str(kernel)


def test_half_of_the_operations_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, values = _inputs(512), _draw(512)
    outputs = _causal(*inputs)
    bounded = sum(k.flops for k in gx.compile(inputs, outputs).profile(*values).rows)
    _without_the_pass(monkeypatch)
    whole = sum(k.flops for k in gx.compile(inputs, outputs).profile(*values).rows)
    assert 0.5 < bounded / whole < 0.62


def test_what_is_masked_for_all_rows_of_a_tile_may_be_infinite() -> None:
    inputs, values = _inputs(512), _draw(512)
    values[1][:, 448:], values[2][:, 448:] = np.nan, np.inf
    y, *_ = gx.compile(inputs, _causal(*inputs))(*values)
    assert np.isfinite(y[:, :448]).all()
    assert not np.isfinite(y[:, 448:]).any()


def test_bounding_again_changes_nothing() -> None:
    inputs = _inputs(256)
    for build in MASKS.values():
        program = gx.compile(inputs, build(*inputs), backend="program").program
        assert str(bound_masks(program)) == str(program)


def test_rows_of_a_diagonal_in_an_order_that_is_data() -> None:
    """Where the zeros of a row lie that a loop's own body finds, its bounds do not see."""
    x, order = gx.placeholder("x", (200,), "float64"), gx.placeholder("order", (2, 50), "int64")
    whole = gx.where(gx.equal(gx.expand_dims(gx.arange(200), 1), gx.arange(200)), x, 0.0)
    rows = gx.take_along_axis(gx.broadcast_to(whole, (2, 200, 200)), gx.expand_dims(order, -1), -2)
    f = gx.compile([x, order], [whole, rows])
    places = np.random.default_rng(0).permutation(200)[:100].reshape(2, 50)
    np.testing.assert_array_equal(f(np.arange(1.0, 201), places)[1], np.diag(np.arange(1.0, 201))[places])
