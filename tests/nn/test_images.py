"""Convolution, pooling and the norms of images against loops in NumPy, with symbolic sizes, gradients and bad input."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import GraphError

Array = np.ndarray[Any, Any]
BACKENDS = ("interpreter", "llvm")


def normal(*shape: int, seed: int = 0, dtype: str = "float64") -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def value(function: Any, *arrays: Array, backend: str) -> Array:
    """function of placeholders for the arrays, compiled and called."""
    inputs = [gx.placeholder(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    return gx.compile(inputs, function(*inputs), backend=backend)(*arrays)


# --- the formulas, element by element --------------------------------------------------------------------------------


def last(x: Array, layout: str) -> Array:
    return x if layout == "NCHW" else np.moveaxis(x, 1, -1)


def loop_conv(x: Array, w: Array, stride: Any, pads: Any, dilation: Any, groups: int) -> Array:
    """Of images [n, in, ...] with kernels [out, in / groups, ...]."""
    nd = x.ndim - 2
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    size = [
        (padded.shape[2 + a] - dilation[a] * (w.shape[2 + a] - 1) - 1) // stride[a] + 1 for a in range(nd)
    ]  # fmt: skip
    y = np.zeros((x.shape[0], w.shape[0], *size), x.dtype)
    inner, each = w.shape[1], w.shape[0] // groups
    for place in itertools.product(*map(range, size)):
        for out in range(w.shape[0]):
            group = out // each
            for tap in itertools.product(*map(range, w.shape[2:])):
                at = tuple(p * s + k * d for p, s, k, d in zip(place, stride, tap, dilation, strict=True))
                seen = padded[(slice(None), slice(group * inner, (group + 1) * inner), *at)]
                y[(slice(None), out, *place)] += seen @ w[(out, slice(None), *tap)]
    return y


def loop_pool(x: Array, kernel: Any, stride: Any, pads: Any, dilation: Any, of: Any, fill: float) -> Array:
    nd = x.ndim - 2
    padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=fill)
    size = [(padded.shape[2 + a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in range(nd)]
    y = np.zeros((*x.shape[:2], *size), x.dtype)
    for place in itertools.product(*map(range, size)):
        window = [
            padded[(slice(None), slice(None), *(p * s + k * d for p, s, k, d in zip(place, stride, tap, dilation, strict=True)))]
            for tap in itertools.product(*map(range, kernel))
        ]
        y[(slice(None), slice(None), *place)] = of(np.stack(window), axis=0)
    return y


# --- convolution -----------------------------------------------------------------------------------------------------

# images [n, in, ...], kernels [out, in / groups, ...], stride, padding as pairs, dilation, groups
CONVS = [
    ((2, 3, 9), (4, 3, 3), (1,), ((0, 0),), (1,), 1),
    ((2, 3, 9), (4, 3, 4), (2,), ((1, 2),), (2,), 1),
    ((1, 3, 7, 6), (5, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((2, 4, 7, 9), (6, 2, 3, 2), (2, 3), ((1, 0), (2, 1)), (1, 2), 2),
    ((2, 6, 5, 8), (6, 1, 3, 3), (1, 2), ((1, 1), (1, 1)), (1, 1), 6),  # depthwise
    ((2, 3, 6, 5), (6, 1, 2, 2), (1, 1), ((0, 0), (0, 0)), (2, 1), 3),  # two kernels for each channel
    ((3, 33, 6, 6), (17, 33, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((1, 32, 18, 17), (64, 32, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1),  # several tiles, whole panels
    ((1, 2, 4, 5, 3), (3, 2, 2, 3, 2), (1, 2, 1), ((1, 1), (1, 1), (0, 1)), (1, 1, 1), 1),
    ((0, 3, 5, 5), (4, 3, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 3, 2, 2), (4, 3, 3, 3), (4, 4), ((3, 3), (3, 3)), (1, 1), 1),  # some windows see nothing but padding
    ((2, 2, 5, 5), (3, 2, 2, 2), (3, 3), ((0, 0), (0, 0)), (1, 1), 1),  # elements that no window sees
    ((2, 1, 9, 20), (16, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),  # one channel in
    ((2, 1, 9, 20), (5, 1, 5, 2), (2, 1), ((0, 3), (2, 1)), (1, 2), 1),
    ((0, 1, 6, 6), (4, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((2, 2, 8, 17), (1, 2, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),  # one channel out
    ((2, 1, 5, 17), (1, 1, 3, 2), (2, 1), ((1, 1), (1, 0)), (1, 2), 1),  # one in, one out
    ((2, 3, 7), (1, 3, 3), (2,), ((1, 1),), (1,), 1),
    ((3, 5, 6, 18), (1, 5, 2, 3), (1, 1), ((3, 0), (1, 4)), (2, 1), 1),
    ((1, 3, 3, 4, 5), (1, 3, 2, 3, 2), (1, 1, 1), ((1, 0), (1, 1), (0, 1)), (1, 1, 1), 1),
    ((0, 2, 5, 5), (1, 2, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((2, 34, 5, 6), (34, 1, 3, 3), (1, 2), ((1, 1), (1, 1)), (1, 1), 34),  # depthwise, of many channels
    ((2, 3, 30, 19), (33, 3, 7, 7), (2, 2), ((3, 3), (3, 3)), (1, 1), 1),  # a stem
    ((3, 4, 7, 28), (17, 4, 3, 5), (1, 3), ((2, 0), (1, 4)), (3, 1), 1),
    ((2, 8, 6, 29), (12, 4, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 2),
    ((2, 9, 12, 13), (20, 9, 3, 3), (2, 1), ((0, 1), (1, 1)), (1, 1), 1),
    ((2, 5, 7, 10), (5, 1, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 5),  # depthwise with a stride: short sums on the way back
    ((1, 17, 6, 5), (17, 1, 2, 2), (1, 3), ((0, 1), (1, 0)), (1, 1), 17),
    ((2, 16, 4, 14), (16, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 16),  # depthwise: a sum for each tap in one pass
    ((2, 4, 5, 13), (8, 2, 3, 2), (2, 1), ((1, 1), (1, 0)), (1, 2), 2),  # small groups: the same
    ((1, 3, 70, 3), (8, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),  # few channels: the same, rows in two blocks
    ((2, 2, 6, 9), (8, 2, 5, 5), (1, 2), ((2, 2), (2, 2)), (1, 1), 1),  # more taps than one pass has sums
    ((2, 3, 15, 21), (16, 3, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1),  # rows of odd length
    ((2, 40, 9, 10), (16, 40, 3, 4), (1, 2), ((1, 1), (2, 1)), (1, 1), 1),  # long sums
    ((1, 65, 8, 9), (18, 65, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),  # too many channels to store zeros
]


@lru_cache(maxsize=1)
def looped(case: Any) -> tuple[Any, ...]:
    """Operands of a convolution, its result without bias, a cotangent, and both gradients: once for all layouts."""
    shape, kernel, stride, pads, dilation, groups = case
    x, w, b = normal(*shape), normal(*kernel, seed=1), normal(kernel[0], seed=2)
    want = loop_conv(x, w, stride, pads, dilation, groups)
    v = normal(*want.shape, seed=3)
    dw = np.zeros_like(w)  # the convolution is linear in both: gradients by unit vectors would take long; by the formula not
    dx = np.zeros_like(np.pad(x, ((0, 0), (0, 0), *pads)))
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    inner, each = w.shape[1], w.shape[0] // groups
    for place in itertools.product(*map(range, want.shape[2:])):
        for tap in itertools.product(*map(range, w.shape[2:])):
            at = tuple(p * s + k * d for p, s, k, d in zip(place, stride, tap, dilation, strict=True))
            for group in range(groups):
                ins, outs = slice(group * inner, (group + 1) * inner), slice(group * each, (group + 1) * each)
                g = v[(slice(None), outs, *place)]
                dw[(outs, slice(None), *tap)] += g.T @ padded[(slice(None), ins, *at)]
                dx[(slice(None), ins, *at)] += g @ w[(outs, slice(None), *tap)]
    dx = dx[(slice(None), slice(None), *(slice(a, n - c) for (a, c), n in zip(pads, dx.shape[2:], strict=True)))]
    return x, w, b, want, v, dx, dw


@pytest.mark.parametrize("layout", ("NCHW", "NHWC"))
@pytest.mark.parametrize("case", CONVS, ids=lambda c: "-".join(map(str, (*c[0], "by", *c[1]))))
def test_convolution_and_both_gradients(case: Any, layout: str) -> None:
    _, _, stride, pads, dilation, groups = case
    x, w, b, want, v, dx, dw = looped(case)
    turn = (lambda a: a) if layout == "NCHW" else (lambda a: np.moveaxis(a, (0, 1), (-1, -2)))
    arrays = [last(x, layout), turn(w), b]
    sx, sw, sb = (gx.placeholder(n, a.shape, "float64") for n, a in zip("xwb", arrays, strict=True))
    y = gx.nn.conv(sx, sw, sb, stride=stride, padding=pads, dilation=dilation, groups=groups, layout=layout)
    gradients = gx.grad(gx.sum(y * gx.constant(last(v, layout))), [sx, sw, sb])
    for backend in BACKENDS:
        found = gx.compile([sx, sw, sb], [y, *gradients], backend=backend)(*arrays)
        biased = want + b.reshape(-1, *(1,) * (x.ndim - 2))
        truth = (last(biased, layout), last(dx, layout), turn(dw), v.sum(axis=(0, *range(2, x.ndim))))
        for got, wanted in zip(found, truth, strict=True):
            assert got.shape == wanted.shape
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", ("NCHW", "NHWC"))
def test_one_compilation_serves_every_size(layout: str) -> None:
    x = gx.placeholder("x", last(np.empty((2, 3, 4, 5)), layout).shape, "float32")
    sizes = ("n", 3, "h", "w") if layout == "NCHW" else ("n", "h", "w", 3)
    x = gx.placeholder("x", sizes, "float32")
    w = normal(4, 3, 3, 3, dtype="float32")
    kernels = gx.constant(w if layout == "NCHW" else np.moveaxis(w, (0, 1), (-1, -2)))
    y = gx.nn.conv(x, kernels, stride=2, padding=1, layout=layout)
    run = gx.compile([x], [y, gx.grad(gx.sum(y * y), x)])
    for shape in ((1, 3, 3, 3), (2, 3, 8, 5), (3, 3, 21, 18), (0, 3, 4, 4)):
        a = normal(*shape, seed=5, dtype="float32")
        want = loop_conv(a, w, (2, 2), ((1, 1), (1, 1)), (1, 1), 1)
        got, slope = run(last(a, layout))
        np.testing.assert_allclose(got, last(want, layout), rtol=1e-4, atol=1e-4)
        assert slope.shape == last(a, layout).shape
    assert run.compilations == 1


@pytest.mark.parametrize("stride", (1, 2, 3))
@pytest.mark.parametrize("n", (5, 6, 7))
def test_same_padding_keeps_the_places(n: int, stride: int) -> None:
    x, w = normal(1, 2, n), normal(3, 2, 4, seed=1)
    size = -(-n // stride)
    total = max((size - 1) * stride + 4 - n, 0)
    want = loop_conv(x, w, (stride,), ((total // 2, total - total // 2),), (1,), 1)
    got = gx.nn.conv(gx.constant(x), gx.constant(w), stride=stride, padding="same").eval()
    np.testing.assert_allclose(got, want, rtol=1e-12)
    assert got.shape == (1, 3, size)


TRANSPOSED = [
    ((2, 3, 5), (3, 4, 3), (2,), ((1, 0),), (1,), (1,), 1),
    ((2, 4, 4, 3), (4, 3, 3, 2), (2, 3), ((1, 1), (0, 1)), (1, 2), (1, 0), 2),
    ((1, 3, 4, 4), (3, 2, 2, 2), (3, 3), ((0, 0), (0, 0)), (2, 2), (0, 2), 1),
    ((2, 4, 3, 3), (4, 1, 3, 3), (1, 2), ((0, 0), (1, 1)), (1, 1), (0, 0), 4),
]


@pytest.mark.parametrize("layout", ("NCHW", "NHWC"))
@pytest.mark.parametrize("case", TRANSPOSED, ids=lambda c: str(c[0]))
def test_the_transpose_adds_kernels_to_the_result(case: Any, layout: str) -> None:
    shape, kernel, stride, pads, dilation, more, groups = case
    x, w = normal(*shape), normal(*kernel, seed=1)
    size = [
        (n - 1) * s - a - b + d * (k - 1) + m + 1
        for n, s, (a, b), d, k, m in zip(shape[2:], stride, pads, dilation, kernel[2:], more, strict=True)
    ]
    each, inner = kernel[1], shape[1] // groups
    whole = np.zeros((shape[0], each * groups, *(n + sum(p) + 20 for n, p in zip(size, pads, strict=True))))
    for place in itertools.product(*map(range, shape[2:])):
        for tap in itertools.product(*map(range, kernel[2:])):
            at = tuple(p * s + k * d for p, s, k, d in zip(place, stride, tap, dilation, strict=True))
            for group in range(groups):
                ins, outs = slice(group * inner, (group + 1) * inner), slice(group * each, (group + 1) * each)
                whole[(slice(None), outs, *at)] += x[(slice(None), ins, *place)] @ w[(ins, slice(None), *tap)]
    want = whole[(slice(None), slice(None), *(slice(a, a + n) for (a, _), n in zip(pads, size, strict=True)))]
    turned = w if layout == "NCHW" else np.moveaxis(w, (0, 1), (-1, -2))
    options = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups, "output_padding": more}
    function = lambda x, w: gx.nn.conv_transpose(x, w, layout=layout, **options)
    for backend in BACKENDS:
        got = value(function, last(x, layout), turned, backend=backend)
        np.testing.assert_allclose(got, last(want, layout), rtol=1e-12, atol=1e-12)


def test_no_array_of_windows_is_ever_stored() -> None:
    """In any of the three directions the temporaries are no larger than images with the zeros around them."""
    x, w = gx.placeholder("x", (4, 32, 32, 16), "float32"), gx.placeholder("w", (3, 3, 16, 32), "float32")
    y = gx.nn.conv(x, w, padding=1, layout="NHWC")
    run = gx.compile([x, w], gx.grad(gx.sum(y * y), [x, w]))
    largest = 4 * 34 * 34 * 32
    assert max(int(b.type.size) for b in run.program.buffers.values()) <= largest  # type: ignore[call-overload]


@pytest.mark.parametrize("stride", (1, 2))
def test_kernels_of_the_way_back_are_put_in_order_once(stride: int) -> None:
    """Turned round they lie in an order that no product reads in place; every image would copy them anew."""
    x, w = gx.placeholder("x", ("n", 3, 32, 32), "float32"), gx.placeholder("w", (16, 3, 3, 3), "float32")
    y = gx.nn.conv(x, w, stride=stride, padding=1)
    g = gx.placeholder("g", ("n", *y.shape[1:]), "float32")
    run = gx.compile([x, w, g], gx.vjp(y, [x, w], g)[0])
    products = [call for call in run.program.calls if "contract" in str(call.kernel)]
    assert products and all("w" not in call.buffers or stride == 2 for call in products)
    reads = [name for call in products for name in call.buffers if run.program.buffers[name].role == "temporary"]
    few = [name for name in reads if isinstance(n := run.program.buffers[name].type.size, int) and n <= w.size]
    assert len(few) == (1 if stride == 1 else 3)  # of four remainders one has a single tap: that lies in place
    a, b = normal(2, 16, *y.shape[2:], dtype="float32"), normal(*w.shape, seed=1, dtype="float32")
    found = run(normal(2, 3, 32, 32, dtype="float32"), b, a)
    wanted = gx.compile([x, w, g], gx.vjp(y, [x, w], g)[0], backend="interpreter")(np.zeros((2, 3, 32, 32), "float32"), b, a)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_convolution_gives_the_same_bits_on_any_number_of_threads() -> None:
    x, w = normal(5, 19, 17, 8, dtype="float32"), normal(3, 3, 8, 40, seed=1, dtype="float32")
    sx, sw = gx.placeholder("x", x.shape, "float32"), gx.placeholder("w", w.shape, "float32")
    y = gx.nn.conv(sx, sw, stride=2, padding=1, layout="NHWC")
    run = gx.compile([sx, sw], [y, *gx.grad(gx.sum(y * y), [sx, sw])])
    threads = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        alone = run(x, w)
        gx.set_num_threads(2)
        for a, b in zip(alone, run(x, w), strict=True):
            assert a.tobytes() == b.tobytes()
    finally:
        gx.set_num_threads(threads)


# --- pooling ---------------------------------------------------------------------------------------------------------

POOLS = [
    ((2, 3, 9), (3,), (2,), ((1, 1),), (1,)),
    ((2, 3, 6, 7), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ((1, 2, 7, 6), (3, 2), (1, 2), ((1, 1), (0, 1)), (2, 1)),
    ((1, 2, 4, 4, 5), (2, 2, 3), (2, 1, 2), ((0, 0), (1, 0), (1, 1)), (1, 1, 1)),
    ((0, 2, 4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", ("NCHW", "NHWC"))
@pytest.mark.parametrize("case", POOLS, ids=lambda c: str(c[0]))
def test_pools(case: Any, layout: str, backend: str) -> None:
    shape, kernel, stride, pads, dilation = case
    x = normal(*shape)
    if x.size:
        x.flat[5] = math.nan
    given, options = last(x, layout), {"stride": stride, "padding": pads, "layout": layout}
    got = value(lambda x: gx.nn.max_pool(x, kernel, dilation=dilation, **options), given, backend=backend)
    np.testing.assert_array_equal(got, last(loop_pool(x, kernel, stride, pads, dilation, np.max, -math.inf), layout))
    ones = (1,) * len(kernel)
    for count_padding in (True, False):
        want = loop_pool(x, kernel, stride, pads, ones, np.sum, 0)
        inside = loop_pool(np.ones_like(x), kernel, stride, pads, ones, np.sum, 0)
        want = want / (math.prod(kernel) if count_padding else inside)
        got = value(lambda x, c=count_padding: gx.nn.avg_pool(x, kernel, count_padding=c, **options), given, backend=backend)
        np.testing.assert_allclose(got, last(want, layout), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_of_a_maximum_goes_to_the_first(backend: str) -> None:
    x = np.array([[[1.0, 2.0, 2.0, 0.0, math.nan, math.nan]]])
    weights = gx.constant([1.0, 10.0, 100.0, 1000.0])
    slope = value(lambda x: gx.grad(gx.sum(gx.nn.max_pool(x, 3, stride=1) * weights), x), x, backend=backend)
    np.testing.assert_array_equal(slope, [[[0, 11, 0, 0, 1100, 0]]])


@pytest.mark.parametrize("size", (1, 2, 3, 4, 5))
def test_adaptive_pools(size: int) -> None:
    x = normal(2, 3, 5, 7)
    for of, function in ((np.max, gx.nn.adaptive_max_pool), (np.mean, gx.nn.adaptive_avg_pool)):
        want = np.zeros((2, 3, size, size))
        for i, j in itertools.product(range(size), repeat=2):
            part = x[:, :, i * 5 // size : -(-(i + 1) * 5 // size), j * 7 // size : -(-(j + 1) * 7 // size)]
            want[:, :, i, j] = of(part, axis=(2, 3))
        for layout in ("NCHW", "NHWC"):
            np.testing.assert_allclose(
                function(gx.constant(last(x, layout)), size, layout=layout).eval(), last(want, layout), rtol=1e-12
            )


def test_global_pools() -> None:
    x = normal(2, 3, 4, 5)
    np.testing.assert_array_equal(gx.nn.global_max_pool(gx.constant(x)).eval(), x.max(axis=(2, 3)))
    np.testing.assert_allclose(gx.nn.global_avg_pool(gx.constant(last(x, "NHWC")), layout="NHWC").eval(), x.mean(axis=(2, 3)))


# --- norms and resizing ----------------------------------------------------------------------------------------------


def normed(x: Array, axes: tuple[int, ...], eps: float = 1e-5) -> Array:
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


@pytest.mark.parametrize("layout", ("NCHW", "NHWC"))
def test_norms(layout: str) -> None:
    x, weight, bias = normal(3, 6, 4, 5), normal(6, seed=1), normal(6, seed=2)
    scaled = lambda y: last(y * weight[:, None, None] + bias[:, None, None], layout)
    given = gx.constant(last(x, layout))
    near = {"rtol": 1e-11, "atol": 1e-12}
    np.testing.assert_allclose(gx.nn.instance_norm(given, weight, bias, layout=layout).eval(), scaled(normed(x, (2, 3))), **near)
    want = scaled(normed(x.reshape(3, 2, 3, 4, 5), (2, 3, 4)).reshape(x.shape))
    np.testing.assert_allclose(gx.nn.group_norm(given, 2, weight, bias, layout=layout).eval(), want, **near)
    mean, variance = gx.variable(np.ones(6)), gx.variable(np.full(6, 2.0))
    y, updates = gx.nn.batch_norm_training(given, mean, variance, weight, bias, layout=layout)
    np.testing.assert_allclose(gx.compile([], y, updates=updates)(), scaled(normed(x, (0, 2, 3))), **near)
    np.testing.assert_allclose(mean.value, 0.9 + 0.1 * x.mean(axis=(0, 2, 3)), **near)
    np.testing.assert_allclose(variance.value, 1.8 + 0.1 * x.var(axis=(0, 2, 3), ddof=1), **near)
    by_hand = scaled((x - mean.value[:, None, None]) / np.sqrt(variance.value[:, None, None] + 1e-5))
    np.testing.assert_allclose(gx.nn.batch_norm(given, mean, variance, weight, bias, layout=layout).eval(), by_hand, **near)


@pytest.mark.parametrize("new", (1, 2, 5, 7, 13))
def test_resize(new: int) -> None:
    x = normal(2, 3, 5)
    places = np.arange(new)
    want = x[:, :, places * 5 // new]
    np.testing.assert_array_equal(gx.nn.resize(gx.constant(x), new).eval(), want)
    at = np.clip((places + 0.5) * 5 / new - 0.5, 0, 4)
    want = np.stack([np.stack([np.interp(at, np.arange(5), row) for row in image]) for image in x])
    np.testing.assert_allclose(gx.nn.resize(gx.constant(x), new, method="linear").eval(), want, rtol=1e-12)


# --- second order ----------------------------------------------------------------------------------------------------

SMOOTH = {
    "conv": lambda x: gx.nn.conv(x, gx.constant(normal(4, 1, 2, 3, seed=1)), stride=2, padding=(1, (2, 0)), groups=2),
    "conv_transpose": lambda x: gx.nn.conv_transpose(x, gx.constant(normal(2, 3, 2, 3, seed=1)), stride=2, padding=1),
    "max_pool": lambda x: gx.nn.max_pool(x, 2, stride=1),
    "avg_pool": lambda x: gx.nn.avg_pool(x, 2, stride=1, padding=1, count_padding=False),
    "adaptive_avg_pool": lambda x: gx.nn.adaptive_avg_pool(x, 3),
    "group_norm": lambda x: gx.nn.group_norm(x, 2),
    "resize": lambda x: gx.nn.resize(x, (3, 7), method="linear"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_to_second_order(name: str) -> None:
    """Of sin(f): central differences of the value, and of the gradient, along one direction."""
    x, direction, step = normal(2, 2, 4, 5), normal(2, 2, 4, 5, seed=7), 1e-5
    s = gx.placeholder("x", x.shape, "float64")
    value = gx.sum(gx.sin(SMOOTH[name](s)))
    slope = gx.grad(value, s)
    bend = gx.grad(gx.sum(slope * gx.constant(direction)), s)
    for backend in BACKENDS:
        run = gx.compile([s], [value, slope, bend], backend=backend)
        above, below = run(x + step * direction), run(x - step * direction)
        _, first_order, second_order = run(x)
        np.testing.assert_allclose((above[0] - below[0]) / (2 * step), np.sum(first_order * direction), rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose((above[1] - below[1]) / (2 * step), second_order, rtol=1e-5, atol=1e-6)


def test_a_kernel_has_second_derivatives_too() -> None:
    x, w, step = normal(1, 6, 5, 2), normal(3, 3, 2, 3, seed=1), 1e-5
    s = gx.placeholder("w", w.shape, "float64")
    y = gx.nn.conv(gx.constant(x), s, stride=2, padding=1, layout="NHWC")
    slope = gx.grad(gx.sum(gx.sin(y)), s)
    bend = gx.grad(gx.sum(slope * gx.constant(w[::-1])), s)
    run = gx.compile([s], [slope, bend])
    move = step * w[::-1]
    np.testing.assert_allclose((run(w + move)[0] - run(w - move)[0]) / (2 * step), run(w)[1], rtol=1e-6, atol=1e-7)


# --- losses, attention ----------------------------------------------------------------------------------------------


def test_cross_entropy_with_smoothing_and_ignored_labels() -> None:
    logits, labels = normal(5, 4), np.array([0, 3, -1, 2, -1])
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    probabilities = 0.9 * np.eye(4)[labels] + 0.1 / 4
    each = -(probabilities * logs).sum(axis=1) * (labels >= 0)
    options = {"smoothing": 0.1, "ignore": -1}
    for reduction, want in (("none", each), ("sum", each.sum()), ("mean", each.sum() / 3)):
        got = gx.nn.cross_entropy(gx.constant(logits), gx.constant(labels), reduction=reduction, **options).eval()
        np.testing.assert_allclose(got, want, rtol=1e-12)
    dense = gx.nn.cross_entropy(gx.constant(logits), gx.constant(np.eye(4)[[0, 3, 1, 2, 2]]), reduction="none", smoothing=0.1)
    hard = gx.nn.cross_entropy(gx.constant(logits), gx.constant([0, 3, 1, 2, 2]), reduction="none", smoothing=0.1)
    np.testing.assert_allclose(dense.eval(), hard.eval(), rtol=1e-12)


@pytest.mark.parametrize("causal", (False, True))
def test_heads_of_queries_share_heads_of_keys(causal: bool) -> None:
    q, k, v = normal(2, 6, 4, 5), normal(2, 2, 4, 5, seed=1), normal(2, 2, 4, 3, seed=2)
    mask = np.random.default_rng(3).random((2, 6, 4, 4)) < 0.8
    mask |= np.eye(4, dtype=bool)
    wide = [gx.constant(np.repeat(a, 3, axis=1)) for a in (k, v)]
    want = gx.nn.attention(gx.constant(q), *wide, causal=causal, mask=gx.constant(mask)).eval()
    got = gx.nn.attention(gx.constant(q), gx.constant(k), gx.constant(v), causal=causal, mask=gx.constant(mask)).eval()
    np.testing.assert_allclose(got, want, rtol=1e-12)
    got = gx.nn.attention(gx.constant(q), gx.constant(k), gx.constant(v), causal=causal, mask=gx.constant(mask[:1, :1]))
    want = gx.nn.attention(gx.constant(q), *wide, causal=causal, mask=gx.constant(mask[:1, :1])).eval()
    np.testing.assert_allclose(got.eval(), want, rtol=1e-12)


# --- bad input -------------------------------------------------------------------------------------------------------

X = gx.placeholder("x", (2, 3, 8, 8), "float32")
W = gx.placeholder("w", (4, 3, 3, 3), "float32")
V = gx.variable(np.zeros(3, "float32"))
BAD = {
    "conv needs images and kernels of equal rank": lambda: gx.nn.conv(X, gx.placeholder("w", (4, 3, 3), "float32")),
    "do not fit images": lambda: gx.nn.conv(X, gx.placeholder("w", (4, 2, 3, 3), "float32")),
    "convolve in 2 groups": lambda: gx.nn.conv(X, W, groups=2),
    "groups is 0": lambda: gx.nn.conv(X, W, groups=0),
    "stride is 0": lambda: gx.nn.conv(X, W, stride=0),
    "stride is (1, 2, 3)": lambda: gx.nn.conv(X, W, stride=(1, 2, 3)),
    "stride is 1.5": lambda: gx.nn.conv(X, W, stride=1.5),  # type: ignore[arg-type]
    "dilation is -1": lambda: gx.nn.conv(X, W, dilation=-1),
    "padding is 'full'": lambda: gx.nn.conv(X, W, padding="full"),
    "padding is -1": lambda: gx.nn.conv(X, W, padding=-1),
    "layout is 'HWCN'": lambda: gx.nn.conv(X, W, layout="HWCN"),
    "in layout NCW": lambda: gx.nn.conv(X, W, layout="NCW"),
    "in layout NCHW": lambda: gx.nn.conv(gx.zeros((3, 8)), gx.zeros((3, 8))),
    "is larger than the images": lambda: gx.nn.conv(X, W, dilation=4),
    "a bias": lambda: gx.nn.conv(X, W, gx.zeros(3, "float32")),
    "the sizes of kernels must be numbers": lambda: gx.nn.conv(X, gx.placeholder("w", (4, 3, "k", 3), "float32")),
    "conv needs numbers": lambda: gx.nn.conv(X == 0, W == 0),
    "do not fit images f32[2, 3, 8, 8]": lambda: gx.nn.conv_transpose(X, W),
    "conv_transpose: padding is 'same'": lambda: gx.nn.conv_transpose(X, gx.moveaxis(W, 0, 1), padding="same"),
    "leaves nothing": lambda: gx.nn.conv_transpose(X, gx.moveaxis(W, 0, 1), padding=9),
    "kernel is 0": lambda: gx.nn.max_pool(X, 0),
    "max_pool needs numbers": lambda: gx.nn.max_pool(X == 0, 2),
    "a window of [9, 9]": lambda: gx.nn.avg_pool(X, 9),
    "size is 0": lambda: gx.nn.adaptive_avg_pool(X, 0),
    "adaptive_max_pool needs images that are not empty": lambda: gx.nn.adaptive_max_pool(gx.zeros((1, 1, 0)), 2),
    "do not divide into 2 groups": lambda: gx.nn.group_norm(X, 2),
    "mean f64[2] does not fit": lambda: gx.nn.batch_norm(X, np.zeros(2), np.ones(3)),
    "must be a variable of float32": lambda: gx.nn.batch_norm_training(X, np.zeros(3), V),  # type: ignore[arg-type]
    "method is 'cubic'": lambda: gx.nn.resize(X, 4, method="cubic"),
    "resize needs images that are not empty": lambda: gx.nn.resize(gx.zeros((1, 1, 0)), 2),
    "smoothing is 2": lambda: gx.nn.cross_entropy(gx.zeros((2, 3)), gx.zeros(2, "int64"), smoothing=2),
    "no label to ignore": lambda: gx.nn.cross_entropy(gx.zeros((2, 3)), gx.zeros((2, 3)), ignore=0),
    "huber needs equal shapes": lambda: gx.nn.huber(gx.zeros(2), gx.zeros(3)),
    "delta is 0": lambda: gx.nn.huber(gx.zeros(2), gx.zeros(2), delta=0),
    "hinge: reduction is 'average'": lambda: gx.nn.hinge(gx.zeros(2), gx.zeros(2), "average"),
    "glu needs two halves": lambda: gx.nn.glu(gx.zeros(3)),
    "low is 2": lambda: gx.nn.hardtanh(gx.zeros(3), 2, 1),
    "alpha is 0": lambda: gx.nn.celu(gx.zeros(3), 0),
}


@pytest.mark.parametrize("message", BAD)
def test_wrong_use_is_an_error_at_the_users_line(message: str) -> None:
    with pytest.raises(GraphError) as caught:
        BAD[message]()
    assert message in str(caught.value)
    assert caught.value.where is not None and caught.value.where.file == __file__
    assert caught.value.hint


def test_images_that_turn_out_too_small_are_an_error_before_anything_runs() -> None:
    x = gx.placeholder("x", (1, 3, "n"), "float32")
    run = gx.compile([x], gx.nn.conv(x, gx.zeros((1, 3, 4), "float32")))
    with pytest.raises(GraphError, match="larger than images"):
        run(np.zeros((1, 3, 2), "float32"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_integers_stay_in_their_type(backend: str) -> None:
    """Sums of products of one channel in, or one out, of each group wrap around as products of matrices do."""
    x, w = gx.placeholder("x", (2, 3, 5), "int8"), gx.placeholder("w", (6, 1, 3), "int8")
    a, b = (np.random.default_rng(0).integers(-99, 99, shape).astype("int8") for shape in ((2, 3, 5), (6, 1, 3)))
    options = {"stride": (1,), "dilation": (1,), "before": (0,), "groups": 3, "first": True}
    back = gx.ops.convolution.kernel_gradient(x, gx.ops.concat([x, x], 1)[:, :, :3], kernel=(3,), **options)
    for got, want in zip(
        gx.compile([x, w], [gx.nn.conv(x, w, groups=3), back], backend=backend)(a, b),
        (gx.ops.convolve.reference(a, b, size=(3,), **options),
         gx.ops.convolution.kernel_gradient.reference(a, np.concatenate([a, a], 1)[:, :, :3], kernel=(3,), **options)),
        strict=True,
    ):  # fmt: skip
        assert got.dtype == np.int8 and np.array_equal(got, want)


# --- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", [(16, 3, 5, 5), (5, 5, 3, 16)], ids=["OIHW", "HWIO"])
def test_images_in_the_other_layout_are_told_about_it(kernels: tuple[int, ...]) -> None:
    x, w = gx.placeholder("x", ("n", 28, 28, 3)), gx.placeholder("w", kernels)
    with pytest.raises(gx.errors.ShapeError) as caught:
        gx.nn.conv(x, w)
    took = kernels[1]
    assert caught.value.message == (
        f"conv: in the layout NCHW images f32[n, 28, 28, 3] have 28 channels; kernels {w.type} take {took}"
    )
    assert caught.value.hint == (
        'if the images have 3 channels, say layout="NHWC": it has images [n, ..., channels] and kernels [..., in / groups, out]'
    )
    assert caught.value.where is not None and caught.value.where.file == __file__
    first, second = gx.placeholder("x", ("n", 3, 28, 28)), gx.placeholder("w", (16, 3, 5, 5))
    with pytest.raises(gx.errors.ShapeError, match="in the layout NHWC images f32") as caught:
        gx.nn.conv(first, second, layout="NHWC")
    assert caught.value.hint is not None and 'say layout="NCHW"' in caught.value.hint
    with pytest.raises(gx.errors.ShapeError, match="conv_transpose: in the layout NCHW") as caught:
        gx.nn.conv_transpose(x, gx.placeholder("w", (3, 16, 5, 5)))
    assert caught.value.hint is not None and caught.value.hint.endswith("kernels [..., out / groups, in]")
    with pytest.raises(gx.errors.ShapeError) as caught:  # which fits no layout
        gx.nn.conv(x, gx.placeholder("w", (16, 7, 5, 5)))
    assert "layout" not in caught.value.message


@pytest.mark.parametrize(("kernel", "before", "width"), [(3, 1, 128), (2, 0, 129), (5, 2, 127), (4, 3, 140), (3, 0, 160)])
def test_even_and_odd_places_of_a_row_as_images_of_their_own(kernel: int, before: int, width: int) -> None:
    """Channels first, with a stride of 2: every second place of the same convolution without one, in float64."""
    rng = np.random.default_rng(kernel)
    a, w = rng.normal(size=(1, 2, 5, width)), rng.normal(size=(8, 2, kernel, kernel))
    x, y = (gx.placeholder("x", a.shape, kind) for kind in ("float64", "float32"))
    whole = gx.nn.conv(x, gx.constant(w), padding=[before, before])
    taken = gx.nn.conv(y, gx.variable(w.astype("float32")), stride=2, padding=[before, before])
    assert taken.shape[-1] >= 64
    want = gx.compile([x], whole, backend="interpreter")(a)[..., ::2, ::2]
    f = gx.compile([y], [taken])
    assert sum("contract" in str(kernel) for kernel in f.program.kernels) == 2
    np.testing.assert_allclose(f(a.astype("float32"))[0], want, rtol=1e-4, atol=1e-4)
