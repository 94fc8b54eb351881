"""Masks as bounds: what is masked is not computed, and what is computed keeps its bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.dims import names
from graphc.ir.parser import parse_program
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


# --- bounds that are data ----------------------------------------------------------------------------------------------


def _within(lengths: Any, time: Any) -> Any:
    return gx.arange(time) < gx.expand_dims(lengths, -1)


def _padded_attention(q: Any, k: Any, v: Any, g: Any, lengths: Any) -> list[Any]:
    y = gx.nn.attention(q, k, v, mask=gx.expand_dims(_within(lengths, q.shape[-2]), -2))
    return [y, *gx.vjp(y, [q, k, v], g)]


def _padded_causal(q: Any, k: Any, v: Any, g: Any, lengths: Any) -> list[Any]:
    y = gx.nn.attention(q, k, v, causal=True, mask=gx.expand_dims(_within(lengths, q.shape[-2]), -2))
    return [y, *gx.vjp(y, [q, k, v], g)]


def _positions(q: Any, k: Any, v: Any, g: Any, lengths: Any) -> list[Any]:
    i, j = _places(q)
    return [gx.nn.attention(q, k, v, mask=i + gx.expand_dims(lengths, (-1, -2)) >= j)]


def _rows(q: Any, k: Any, v: Any, g: Any, lengths: Any) -> list[Any]:
    there = gx.expand_dims(_within(lengths, q.shape[-2]), -1)
    return [gx.where(there, q, 0) @ gx.matrix_transpose(k[:, :3]), gx.matrix_transpose(gx.where(there, q, 0)) @ v]


def _over_time(q: Any, k: Any, v: Any, g: Any, lengths: Any) -> list[Any]:
    there = gx.expand_dims(_within(lengths, q.shape[-2]), -1)
    total = gx.sum(gx.where(there, q, 0), axis=1)
    return [total, total / gx.expand_dims(gx.astype(lengths, q.dtype), -1), gx.max(gx.where(there, k, -np.inf), axis=1)]


def _softmax_of_lengths(q: Any, k: Any, v: Any, g: Any, lengths: Any) -> list[Any]:
    there = gx.expand_dims(_within(lengths, q.shape[-2]), -2)
    return [gx.nn.softmax(gx.where(there, _square(q, k), -np.inf)) @ v]  # no number where a length is 0


def _padded_before(q: Any, k: Any, v: Any, g: Any, lengths: Any) -> list[Any]:
    masked = gx.arange(q.shape[-2]) <= gx.expand_dims(lengths, -1)
    return [gx.where(gx.expand_dims(masked, -2), 0, _square(q, k)) @ v]


LENGTHS: dict[str, Make] = {
    "attention": _padded_attention,
    "causal attention": _padded_causal,
    "attention from a position on": _positions,
    "products of rows": _rows,
    "sums, means, maxima over time": _over_time,
    "softmax": _softmax_of_lengths,
    "padding before": _padded_before,
    "lengths that are computed": lambda q, k, v, g, n: _padded_attention(q, k, v, g, gx.minimum(2 * n - 1, 77)),
    "one length for all": lambda q, k, v, g, n: _padded_attention(q, k, v, g, gx.expand_dims(n[0], -1)),
}
DRAWN = ([0, 1], [31, 32], [33, 500], [-5, 64], [2**63 - 1, -(2**63)], [100, 3])


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_leave_the_bits_of_all_the_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [*_inputs("time"), gx.placeholder("lengths", (2,), "int64")]
    outputs = LENGTHS[name](*inputs)
    bounded = gx.compile(inputs, outputs)
    reference = gx.compile(inputs, outputs, backend="interpreter")
    _without_the_pass(monkeypatch)
    whole = gx.compile(inputs, outputs)
    assert str(bounded.program) != str(whole.program)
    for time in (1, 33, 64, 130):
        for drawn in DRAWN:
            values = [*_draw(time), np.array(drawn)]
            for got, all_of_it, want in zip(bounded(*values), whole(*values), reference(*values), strict=True):
                assert got.tobytes() == all_of_it.tobytes(), (time, drawn)
                np.testing.assert_allclose(got, want, 1e-4, 1e-4)


@pytest.mark.parametrize("dtype", ["int8", "int32"])
@pytest.mark.parametrize("places", ["int32", "int64"])
def test_integers_of_fewer_bits(dtype: str, places: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, lengths = gx.placeholder("x", (4, 100, 3), "float32"), gx.placeholder("lengths", (4,), dtype)
    there = gx.arange(100, dtype=places) < gx.expand_dims(lengths, -1)
    y = gx.sum(gx.where(gx.expand_dims(there, -1), x, 0), axis=1)
    bounded = gx.compile([x, lengths], y)
    _without_the_pass(monkeypatch)
    whole = gx.compile([x, lengths], y)
    assert str(bounded.program) != str(whole.program)
    values = np.random.default_rng(0).normal(size=(4, 100, 3)).astype("float32")
    for drawn in ([0, 1, 64, 127], [-128, -1, 100, 99]):
        n = np.array(drawn, dtype)
        assert bounded(values, n).tobytes() == whole(values, n).tobytes()


def _padded(time: Any, outputs: Make = _padded_attention) -> tuple[list[Any], list[Any]]:
    inputs = [*_inputs(time), gx.placeholder("lengths", (2,), "int64")]
    return inputs, outputs(*inputs)


def test_every_product_of_padded_attention_has_a_bound_that_is_data() -> None:
    program = gx.compile(*_padded(512), backend="program").program
    products = [s for kernel in program.kernels for s in statements_of(kernel.body) if isinstance(s, Contract)]
    assert len(products) == 7
    for product in products:
        bounds = names(*(end for a in (product.m, product.n, product.k) for end in (a.start, a.stop)))
        assert any(n.startswith("%") for n in bounds), str(product)


def test_statement_by_statement_lengths_leave_nothing_unwritten() -> None:
    inputs, outputs = _padded(40)
    given = [*_draw(40), np.array([0, 7])]
    found = gx.compile(inputs, outputs, backend="program")(*given)
    for got, want in zip(found, gx.compile(inputs, outputs)(*given), strict=True):
        np.testing.assert_allclose(got, want, 1e-5, 1e-5)


def test_a_kernel_that_reads_no_lengths_gets_them() -> None:
    inputs, outputs = _padded(512)
    program = gx.compile(inputs, outputs, backend="program").program
    assert program.calls[-1].buffers[:-1][-1] == "lengths"  # the product of rows after a kernel that masked them
    assert [p.mode for p in program.calls[-1].kernel.params] == ["in"] * 3 + ["out"]


def test_bounding_lengths_again_changes_nothing() -> None:
    for build in LENGTHS.values():
        program = gx.compile(*_padded(256, build), backend="program").program
        assert str(bound_masks(program)) == str(program)


def test_programs_with_lengths_parse_back() -> None:
    text = str(gx.compile(*_padded(96), backend="program").program)
    assert str(parse_program(text)) == text


ASKED: dict[str, Make] = {
    "attention": lambda q, k, v, g, m: [
        y := gx.nn.attention(q, k, v, mask=gx.expand_dims(m != 0, -2)), *gx.vjp(y, [q, k, v], g)
    ],
    "what is not there": lambda q, k, v, g, m: [gx.nn.softmax(gx.where(gx.expand_dims(m == 0, -2), -np.inf, _square(q, k))) @ v],
    "rows": lambda q, k, v, g, m: [gx.where(gx.expand_dims(m != 0, -1), q, 0) @ gx.matrix_transpose(k[:, :3])],
    "over time": lambda q, k, v, g, m: [gx.sum(gx.where(gx.expand_dims(m > 0, -1), q, 0), axis=1)],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["bool", "int32"])
@pytest.mark.parametrize("name", ASKED)
def test_booleans_end_where_the_last_one_is(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [*_inputs("time"), gx.placeholder("m", (2, "time"), dtype)]
    outputs = ASKED[name](*inputs[:4], gx.astype(inputs[4], "int32") if dtype == "bool" else inputs[4])
    bounded = gx.compile(inputs, outputs)
    _without_the_pass(monkeypatch)
    whole = gx.compile(inputs, outputs)
    assert str(bounded.program) != str(whole.program)
    for time in (1, 40, 64, 130):
        for last in ((0, 1), (1, time), (33, time // 2), (time, 32)):
            m = (np.arange(time) < np.array(last)[:, None]).astype(dtype)
            m[1, time // 3] = 0  # a gap is asked for
            values = [*_draw(time), m]
            for got, want in zip(bounded(*values), whole(*values), strict=True):
                assert got.tobytes() == want.tobytes(), (time, last)


def test_the_mask_of_a_layer_bounds_its_products() -> None:
    tokens = gx.layers.Input(("time",), dtype="int64")
    x = gx.layers.Embedding(10, 8, mask_zero=True)(tokens)
    y = gx.layers.MultiHeadAttention(2, 8)(x, x)
    program = gx.compile([tokens], y, backend="program").program
    products = [s for k in program.kernels for s in statements_of(k.body) if isinstance(s, Contract)]
    bounds = [names(s.m.stop, s.n.stop, s.k.stop) for s in products]
    assert sum(any(n.startswith("%") for n in found) for found in bounds) == 2  # of scores, and of shares with values
    assert str(bound_masks(program)) == str(program)


def test_products_of_padded_rows_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, lengths = gx.placeholder("x", (2, 512, 8), "float32"), gx.placeholder("lengths", (2,), "int32")
    first, second = (gx.variable(rng.normal(size=(8, 8)).astype("float32"), name=name) for name in "ab")
    there = gx.expand_dims(_within(lengths, 512), -1)
    y = gx.where(there, gx.nn.relu(gx.where(there, x, 0) @ first), 0) @ second
    bounded = gx.compile([x, lengths], y)
    products = [s for k in bounded.program.kernels for s in statements_of(k.body) if isinstance(s, Contract)]
    assert sum(any(n.startswith("%") for n in names(s.m.stop)) for s in products) == 2
    _without_the_pass(monkeypatch)
    whole = gx.compile([x, lengths], y)
    values = rng.normal(size=(2, 512, 8)).astype("float32")
    for drawn in ([0, 100], [512, 1], [600, -1]):
        n = np.array(drawn, "int32")
        assert bounded(values, n).tobytes() == whole(values, n).tobytes()


@pytest.mark.parametrize("name", ["attention", "over time"])
def test_numba_has_the_same_bits(name: str) -> None:
    inputs = [*_inputs(70), gx.placeholder("m", (2, 70), "bool")]
    outputs = ASKED[name](*inputs[:4], gx.astype(inputs[4], "int32"))
    values = [*_draw(70), np.arange(70) < np.array([[0], [33]])]
    found = gx.compile(inputs, outputs, backend="numba")(*values)
    for got, want in zip(found, gx.compile(inputs, outputs)(*values), strict=True):
        assert got.tobytes() == want.tobytes()
