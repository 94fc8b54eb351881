"""Several stages in one kernel: attention, whose scores never reach memory that others see."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import graphc as gx
from graphc.ir.program import Contract, Loop
from graphc.ir.target import KB, MB, find_target

RNG = np.random.default_rng(11)


def scores(q, k, causal):
    found = (q @ gx.matrix_transpose(k)) / math.sqrt(q.shape[-1])
    if causal:
        i = gx.arange(q.shape[-2])
        found = gx.where(gx.expand_dims(i, 1) >= gx.expand_dims(i, 0), found, -math.inf)
    return found


def attention(q, k, v, causal=True):
    return gx.nn.softmax(scores(q, k, causal), axis=-1) @ v


def placeholders(shape, names="qkv"):
    return [gx.placeholder(n, shape, "float64") for n in names]


def forms(f):
    """The forms of a program's kernels: C for a contraction, r for a loop over rows."""
    bodies = [[s for s in k.kernel.body if isinstance(s, (Contract, Loop))] for k in f.kernels]
    return ["".join("C" if isinstance(s, Contract) else "r" for s in body) for body in bodies]


def compare(inputs, outputs, arrays):
    native = gx.compile(inputs, outputs)
    wanted = gx.compile(inputs, outputs, backend="interpreter")(*arrays)
    for found, want in zip(native(*arrays), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-11, atol=1e-12)
    return native


@pytest.mark.parametrize("shape", [
    ("b", 4, 128, 32), ("b", 2, "t", 8), ("b", 2, 300, 8), (3, 2, 17, 5), (1, 4, 16, 8), ("b", 64, 64), ("b", 1, 33, 7),
    (1, 1, 16, 8),
])  # fmt: skip
@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_one_kernel(shape, causal):
    q, k, v = placeholders(shape)
    sizes = [{"b": 2, "t": 70}.get(n, n) for n in shape]
    f = compare([q, k, v], [attention(q, k, v, causal)], [RNG.standard_normal(sizes) for _ in range(3)])
    if shape[0] != 1:
        apart = causal and shape[-2] in ("t", 300)  # rows that do not end with a tile: the zeros of masks are a loop of their own
        assert forms(f) == (["CrrC"] if apart else ["CrC"])
    if shape == ("b", 2, "t", 8):
        for t in (1, 2, 63, 64, 65, 129):
            arrays = [RNG.standard_normal((2, 2, t, 8)) for _ in range(3)]
            wanted = gx.compile([q, k, v], attention(q, k, v, causal), backend="interpreter")(*arrays)
            np.testing.assert_allclose(f(*arrays)[0], wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", [("b", 4, 128, 32), ("b", 2, "t", 8), (2, 2, 300, 8), (3, 17, 5)])
def test_attention_and_its_gradient(shape):
    q, k, v, g = placeholders(shape, "qkvg")
    sizes = [{"b": 2, "t": 70}.get(n, n) for n in shape]
    o = attention(q, k, v)
    compare([q, k, v, g], [o, *gx.grad(gx.sum(o * g), [q, k, v])], [RNG.standard_normal(sizes) for _ in range(4)])


def test_scores_of_a_static_size_never_leave_their_kernel():
    """Where a core's cache holds them: 64 kB of each of four arrays."""
    q, k, v, g = (gx.placeholder(n, ("b", 4, 128, 32), "float32") for n in "qkvg")
    o = attention(q, k, v)
    target = replace(find_target(None), name="megabyte", caches=(32 * KB, MB, 8 * MB))
    f = gx.compile([q, k, v, g], [o, *gx.grad(gx.sum(o * g), [q, k, v])], target=target)
    assert len(f.kernels) == 1
    assert all(b.type.shape[-2:] != (128, 128) for b in f.program.buffers.values())


def test_stages_give_the_same_bits_on_any_number_of_threads():
    q, k, v, g = placeholders(("b", 3, 40, 8), "qkvg")
    o = attention(q, k, v)
    f = gx.compile([q, k, v, g], [o, *gx.grad(gx.sum(o * g), [q, k, v])])
    arrays = [RNG.standard_normal((9, 3, 40, 8)) for _ in range(4)]
    before = gx.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            gx.set_num_threads(threads)
            found.append([y.tobytes() for y in f(*arrays)])
    finally:
        gx.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_scores_that_are_wanted_are_stored():
    q, k, v = placeholders(("b", 2, 20, 8))
    p = gx.nn.softmax(scores(q, k, True), axis=-1)
    compare([q, k, v], [p, p @ v], [RNG.standard_normal((2, 2, 20, 8)) for _ in range(3)])


def test_rows_before_a_product_of_a_batch_join_it():
    x, y = gx.placeholder("x", ("b", 20, 30), "float64"), gx.placeholder("y", ("b", 30, 8), "float64")
    f = compare([x, y], [gx.nn.softmax(x) @ y], [RNG.standard_normal((3, 20, 30)), RNG.standard_normal((3, 30, 8))])
    assert forms(f) == ["rC"]


def test_a_sum_over_columns_between_products_keeps_them_apart():
    x, y = gx.placeholder("x", ("b", 20, 30), "float64"), gx.placeholder("y", ("b", 30, 20), "float64")
    z = x @ y
    arrays = [RNG.standard_normal((3, 20, 30)), RNG.standard_normal((3, 30, 20))]
    compare([x, y], [(z / gx.sum(z, axis=0, keepdims=True)) @ x], arrays)


@pytest.mark.parametrize("axes", [(0, 2, 1, 3), (0, 1, 3, 2), (3, 2, 1, 0), (1, 0, 2, 3)])
def test_a_product_is_stored_in_the_order_that_is_wanted(axes):
    x, y = gx.placeholder("x", ("b", 3, 20, 30), "float64"), gx.placeholder("y", ("b", 3, 30, 20), "float64")
    arrays = [RNG.standard_normal((2, 3, 20, 30)), RNG.standard_normal((2, 3, 30, 20))]
    f = compare([x, y], [gx.permute_dims(gx.exp(x) @ y, axes)], arrays)
    assert forms(f) == ["rC"]
    compare([x, y], [gx.permute_dims(x @ y, axes) * 2, gx.permute_dims(x @ y, axes)], arrays)
    z = gx.permute_dims(x @ y, axes)
    compare([x, y], [gx.exp(z), gx.sum(z, axis=1)], arrays)


def test_heads_are_put_together_where_they_are_made():
    q, k, v = placeholders(("b", 2, 20, 8))
    w = gx.placeholder("w", (16, 5), "float64")
    o = gx.reshape(gx.permute_dims(attention(q, k, v), (0, 2, 1, 3)), (q.shape[0], 20, 16)) @ w
    f = compare([q, k, v, w], [o], [*(RNG.standard_normal((3, 2, 20, 8)) for _ in range(3)), RNG.standard_normal((16, 5))])
    assert forms(f) == ["CrC", "C"]
    stores = [line for line in f.kernels[1].source.splitlines() if "store" in line or "load" in line]
    assert not any("udiv" in line for line in stores)


def test_an_epilogue_may_see_the_product_in_another_shape():
    shapes = {"x": ("b", "t", 6), "w": (6, 8), "c": (8,), "r": ("b", "t", 8), "p": ("t", 8)}
    x, w, b, r, p = (gx.placeholder(n, shape, "float64") for n, shape in shapes.items())
    y = gx.nn.gelu(x @ w + b) + r + p
    arrays = [RNG.standard_normal(s) for s in ((3, 5, 6), (6, 8), (8,), (3, 5, 8), (5, 8))]
    f = compare([x, w, b, r, p], [y], arrays)
    assert forms(f) == ["C"]
    compare([x, w, b, r, p], [y, gx.sum(y, axis=-1), gx.reshape(y, (-1, 4)), x @ w], arrays)
    compare([x, w, b, r, p], gx.grad(gx.sum(y * y), [x, w, b, r, p]), arrays)


def test_rows_after_a_product_that_is_seen_in_another_shape():
    x, w = gx.placeholder("x", ("b", 7, 6), "float64"), gx.placeholder("w", (6, 8), "float64")
    arrays = [RNG.standard_normal((3, 7, 6)), RNG.standard_normal((6, 8))]
    compare([x, w], [gx.nn.layer_norm(x @ w + x[:, :, :1])], arrays)


def test_sums_down_the_columns_of_one_array_are_one_kernel():
    x, g = gx.placeholder("x", ("r", 300), "float64"), gx.placeholder("g", ("r", 300), "float64")
    outputs = [gx.sum(g, axis=0), gx.sum(g * x, axis=0) * 2, gx.sum(x, axis=0) + 1, gx.max(g, axis=0), gx.max(g + x, axis=0)]
    for rows in (1, 64, 65, 1000):
        f = compare([x, g], outputs, [RNG.standard_normal((rows, 300)) for _ in "xg"])
    assert len(f.program.calls) == 2
    later = gx.sum(g * outputs[0], axis=0)
    f = compare([x, g], [outputs[0], later], [RNG.standard_normal((70, 300)) for _ in "xg"])
    assert len(f.program.calls) == 2
