"""NumPy's scalars, arrays without axes, and sizes as numbers: everywhere that a number may stand, with NumPy 2's types."""

from __future__ import annotations

import copy
import enum
import linecache
import math
import operator
import warnings
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import graphc as gx
from graphc import errors

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
SCALARS = [np.dtype(d).type(1) for d in DTYPES]


class Level(enum.IntEnum):
    LOW = 2


class Rate(float):
    pass


def scalar_id(value: Any) -> str:
    return f"{type(value).__name__}{'[]' if isinstance(value, np.ndarray) else ''}"


# --- operands --------------------------------------------------------------------------------------------------------

OPERATORS = (operator.add, operator.mul, operator.truediv, operator.lt, operator.eq, np.maximum, np.arctan2)


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
@pytest.mark.parametrize("value", [*SCALARS, *(np.array(v) for v in SCALARS)], ids=scalar_id)
@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_are_operands_with_numpy_s_types(value: Any, dtype: str) -> None:
    """On both sides: the types and the values are NumPy's, but where graphc says otherwise (small integers as floats)."""
    array = np.array([0, 1, 1]).astype(dtype)
    x = gx.placeholder("x", (3,), dtype)
    for op in OPERATORS:
        for call in (lambda a, b, op=op: op(a, b), lambda a, b, op=op: op(b, a)):
            try:
                with np.errstate(all="ignore"):
                    expected = np.asarray(call(array, value))
                y = call(x, value)
            except TypeError:  # NumPy's own refusal, or uint64 beside signed integers
                continue
            if expected.dtype == np.float16 and dtype != "float16" and np.asarray(value).dtype != np.float16:
                assert y.dtype == gx.float32  # 8 bits
                continue
            assert y.dtype == gx.ops.result_type(expected.dtype), op
            np.testing.assert_allclose(y.eval({x: array}).astype("f8"), expected.astype("f8"), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int64"])
def test_scalars_of_bfloat16(dtype: str) -> None:
    x = gx.placeholder("x", (3,), dtype)
    expected = {"float16": "float32", "int64": "bfloat16"}.get(dtype, dtype)
    for y in (x * ml_dtypes.bfloat16(2), ml_dtypes.bfloat16(2) * x, x * np.array(2, ml_dtypes.bfloat16)):
        assert y.dtype.name == expected
        assert y.eval({x: np.ones(3, x.dtype.numpy)}).astype("f8").tolist() == [2, 2, 2]


@pytest.mark.parametrize("value", [Level.LOW, Rate(2), True], ids=scalar_id)
@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
def test_subclasses_of_python_s_numbers_are_weak(value: Any, dtype: str) -> None:
    x = gx.placeholder("x", (3,), dtype)
    array = np.ones(3, dtype)
    plain = {Level: int, Rate: float}.get(type(value), bool)(value)
    for y, expected in ((x * value, array * plain), (value * x, plain * array)):
        assert y.dtype == gx.ops.result_type(expected.dtype)
        np.testing.assert_array_equal(y.eval({x: array}), expected)


def test_what_people_write() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(4, 3))
    x = gx.placeholder("x", ("n", 3), "float64")
    c = gx.placeholder("c", ("n", 3), "bool")
    made = [
        x - np.float64(2), np.sqrt(2) * x, x * np.log(2 * np.pi), x - data.mean(), np.float64(2) ** x, x ** np.float64(2),
        gx.where(c, np.float64(1), 0), gx.where(c, x, data.max()), gx.clip(x, np.float64(-1), np.array(1.0)),
        x @ data.T, divmod(x, np.float64(2))[1], divmod(np.float64(2), x)[0], x[np.int64(1)], x[np.array(0) : np.int8(2)],
        gx.full((np.int64(2), 3), np.float64(7)), x.reshape(np.int64(3), -1), x.sum(axis=np.int64(0)), gx.roll(x, np.int32(1), 0),
        gx.reshape(x, np.array(12)), x.transpose(np.int8(1), np.int8(0)), x[:, np.int64(0)].transpose(np.int64(0)),
    ]  # fmt: skip
    yes = data > 0
    expected = [
        data - 2, np.sqrt(2) * data, data * np.log(2 * np.pi), data - data.mean(), 2.0**data, data**2, np.where(yes, 1.0, 0),
        np.where(yes, data, data.max()), np.clip(data, -1, 1), data @ data.T, data % 2, 2 // data, data[1], data[0:2],
        np.full((2, 3), 7.0), data.reshape(3, -1), data.sum(0), np.roll(data, 1, 0), data.reshape(12), data.T, data[:, 0],
    ]  # fmt: skip
    got = gx.compile([x, c], made)(data, yes)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
def test_powers_by_numpy_s_scalars_are_products_and_roots() -> None:
    x = gx.placeholder("x", (3,), "float32")
    assert [(x ** np.float32(p)).op.name for p in (2, 0.5, -1, 1)] == ["multiply", "sqrt", "divide", "input"]
    assert (x ** np.float64(2)).dtype == gx.float64 and (x ** np.float64(2)).op.name == "multiply"


def test_other_arrays_are_operands_too() -> None:
    x = gx.placeholder("x", (2,), "float64")
    swapped = np.array([1.0, 2.0], ">f8")
    frozen = np.array([1.0, 2.0])
    frozen.flags.writeable = False
    for array in (swapped, frozen, np.arange(4.0)[::-2], np.asmatrix([1.0, 2.0]), np.array(np.float64(2))):
        for y in (x * array, array * x):
            np.testing.assert_array_equal(y.eval({x: [1.0, 3.0]}), np.array([1.0, 3.0]) * np.asarray(array))
    assert gx.variable(swapped).value.tolist() == [1.0, 2.0]
    with pytest.raises(errors.InputError, match="mask"):
        gx.constant(np.ma.array([1.0, 2.0]))


# --- options ---------------------------------------------------------------------------------------------------------

x32 = gx.placeholder("x", (4, 6), "float32")
images = gx.placeholder("images", (1, 4, 6, 6), "float32")
labels = gx.placeholder("labels", (4,), "int64")
w32 = gx.variable(np.ones((4, 6), "float32"), name="w")
key = gx.random.key(0)
loss = gx.sum(x32 * w32)
NUMBERS: list[tuple[str, float, Callable[[Any], Any]]] = [
    ("leaky_relu", 0.5, lambda v: gx.nn.leaky_relu(x32, v)),
    ("elu", 0.5, lambda v: gx.nn.elu(x32, v)),
    ("celu", 0.5, lambda v: gx.nn.celu(x32, v)),
    ("hardtanh", 0.5, lambda v: gx.nn.hardtanh(x32, -v, v)),
    ("softshrink", 0.5, lambda v: gx.nn.softshrink(x32, v)),
    ("hardshrink", 0.5, lambda v: gx.nn.hardshrink(x32, v)),
    ("threshold", 0.5, lambda v: gx.nn.threshold(x32, v, v)),
    ("dropout", 0.5, lambda v: gx.nn.dropout(x32, v, key)),
    ("layer_norm", 0.5, lambda v: gx.nn.layer_norm(x32, eps=v)),
    ("rms_norm", 0.5, lambda v: gx.nn.rms_norm(x32, eps=v)),
    ("batch_norm", 0.5, lambda v: gx.nn.batch_norm(images, np.zeros(4, "f4"), np.ones(4, "f4"), eps=v)),
    ("group_norm", 0.5, lambda v: gx.nn.group_norm(images, 2, eps=v)),
    ("instance_norm", 0.5, lambda v: gx.nn.instance_norm(images, eps=v)),
    ("attention", 0.5, lambda v: gx.nn.attention(x32, x32, x32, scale=v)),
    ("cross_entropy", 0.25, lambda v: gx.nn.cross_entropy(x32, labels, smoothing=v)),
    ("huber", 0.5, lambda v: gx.nn.huber(x32, w32, delta=v)),
    ("hinge", 0.5, lambda v: gx.nn.hinge(x32, w32, margin=v)),
    ("var", 1.0, lambda v: gx.var(x32, correction=v)),
    ("std", 1.0, lambda v: gx.std(x32, ddof=v)),
    ("quantile", 0.5, lambda v: gx.quantile(x32, v)),
    ("percentile", 50.0, lambda v: gx.percentile(x32, v)),
    ("pad", 0.5, lambda v: gx.pad(x32, 1, constant_values=v)),
    ("vector_norm", 3.0, lambda v: gx.linalg.vector_norm(x32, ord=v)),
    ("matrix_norm", 1.0, lambda v: gx.linalg.matrix_norm(x32, ord=v)),
    ("matrix_rank", 0.5, lambda v: gx.linalg.matrix_rank(x32, rtol=v)),
    ("pinv", 0.5, lambda v: gx.linalg.pinv(x32, rtol=v)),
    ("uniform", 0.5, lambda v: gx.random.uniform(key, (3,), minval=-v, maxval=v)),
    ("bernoulli", 0.5, lambda v: gx.random.bernoulli(key, v, (3,))),
    ("clip_by_global_norm", 0.5, lambda v: gx.optim.clip_by_global_norm([x32], v)),
    ("sgd", 0.5, lambda v: gx.optim.sgd(loss, [w32], v, clip_norm=v)[w32]),
    ("momentum", 0.5, lambda v: gx.optim.momentum(loss, [w32], v, beta=v)[w32]),
    ("nesterov", 0.5, lambda v: gx.optim.nesterov(loss, [w32], v, beta=v)[w32]),
    ("rmsprop", 0.5, lambda v: gx.optim.rmsprop(loss, [w32], v, decay=v, eps=v)[w32]),
    ("adam", 0.5, lambda v: gx.optim.adam(loss, [w32], v, beta1=v, beta2=v, eps=v)[w32]),
    ("adamw", 0.5, lambda v: gx.optim.adamw(loss, [w32], v, weight_decay=v)[w32]),
    ("constant", 0.5, lambda v: gx.optim.schedules.constant(v)(gx.constant(3))),
    ("linear", 0.5, lambda v: gx.optim.schedules.linear(v, 2 * v, 9)(gx.constant(3))),
    ("cosine", 0.5, lambda v: gx.optim.schedules.cosine(v, 9, v / 2)(gx.constant(3))),
    ("exponential", 0.5, lambda v: gx.optim.schedules.exponential(v, v)(gx.constant(3))),
    ("piecewise", 0.5, lambda v: gx.optim.schedules.piecewise([2], [v, v / 2])(gx.constant(3))),
    ("warmup", 0.5, lambda v: gx.optim.schedules.warmup(9, v)(gx.constant(3))),
]
INTEGERS: list[tuple[str, int, Callable[[Any], Any]]] = [
    ("arange", 3, lambda v: gx.arange(v, 3 * v, v)),
    ("linspace", 3, lambda v: gx.linspace(0.0, 1.0, v)),
    ("eye", 3, lambda v: gx.eye(v, v, k=v)),
    ("tril", 1, lambda v: gx.tril(x32, v)),
    ("one_hot", 3, lambda v: gx.one_hot(labels, v)),
    ("zeros", 3, lambda v: gx.zeros(v)),
    ("full", 3, lambda v: gx.full((v, v), v)),
    ("full_like", 3, lambda v: gx.full_like(x32, v)),
    ("reshape", 12, lambda v: gx.reshape(x32, (v, -1))),
    ("broadcast_to", 3, lambda v: gx.broadcast_to(x32, (v, 4, 6))),
    ("expand_dims", 1, lambda v: gx.expand_dims(x32, v)),
    ("concat", 1, lambda v: gx.concat([x32, x32], axis=v)),
    ("stack", 1, lambda v: gx.stack([x32, x32], axis=v)),
    ("moveaxis", 1, lambda v: gx.moveaxis(x32, v, 0)),
    ("flip", 1, lambda v: gx.flip(x32, v)),
    ("pad", 1, lambda v: gx.pad(x32, ((v, v), (0, v)))),
    ("pad all", 1, lambda v: gx.pad(x32, v)),
    ("tile", 2, lambda v: gx.tile(x32, v)),
    ("repeat", 2, lambda v: gx.repeat(x32, v, axis=1)),
    ("diff", 1, lambda v: gx.diff(x32, n=v, axis=v)),
    ("take", 1, lambda v: gx.take(x32, v, axis=v)),
    ("sum", 1, lambda v: gx.sum(x32, axis=v, keepdims=v)),
    ("cumulative_sum", 1, lambda v: gx.cumulative_sum(x32, axis=v)),
    ("sort", 1, lambda v: gx.sort(x32, axis=v, descending=v)),
    ("top_k", 2, lambda v: gx.top_k(x32, v)[0]),
    ("tensordot", 1, lambda v: gx.tensordot(x32, x32.T, axes=v)),
    ("polygamma", 2, lambda v: gx.polygamma(v, x32)),
    ("matrix_power", 2, lambda v: gx.linalg.matrix_power(x32[:, :4], v)),
    ("key", 2, lambda v: gx.random.key(v)),
    ("split", 2, lambda v: gx.random.split(key, v)),
    ("randint", 2, lambda v: gx.random.randint(key, (v,), v, 5 * v)),
    ("choice", 5, lambda v: gx.random.choice(key, v, (2,))),
    ("permutation", 5, lambda v: gx.random.permutation(key, v)),
    ("conv", 2, lambda v: gx.nn.conv(images, np.ones((4, 2, 2, 2), "f4"), stride=v, padding=v, dilation=v, groups=v)),
    ("max_pool", 2, lambda v: gx.nn.max_pool(images, v, stride=v)),
    ("group_norm", 2, lambda v: gx.nn.group_norm(images, v)),
    ("softmax", 1, lambda v: gx.nn.softmax(x32, axis=v)),
    ("scan length", 3, lambda v: gx.scan(lambda c, _: (c + 1, c), 0.0, None, length=v)[1]),
    ("scan unroll", 2, lambda v: gx.scan(lambda c, s: (c + s, c), x32[0], x32, unroll=v)[1]),
    ("scan checkpoint", 2, lambda v: gx.scan(lambda c, s: (c + s, c), x32[0], x32, checkpoint=v)[1]),
    ("fori_loop", 3, lambda v: gx.fori_loop(0, v, lambda i, c: c * i, 1)),
    ("switch", 1, lambda v: gx.switch(v, [lambda: 1.0, lambda: 2.0])),
]


def value_of(made: Any) -> Any:
    leaves = made if isinstance(made, (list, tuple)) else [made]
    rng = np.random.default_rng(0)
    given = {x32: rng.normal(size=(4, 6)), images: rng.normal(size=(1, 4, 6, 6))}
    inputs = {x: v.astype("float32") for x, v in given.items()} | {labels: np.arange(4)}
    return gx.compile(list(inputs), list(leaves), backend="interpreter")(*inputs.values())


@pytest.mark.parametrize(("number", "call"), [r[1:] for r in NUMBERS], ids=[r[0] for r in NUMBERS])
def test_an_option_counts_as_its_number(number: float, call: Callable[[Any], Any]) -> None:
    """Whatever its type; the type of the result is that of the arrays."""
    expected = value_of(call(number))
    for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16, Rate, np.array, lambda v: np.array(v, "float32")):
        for a, b in zip(value_of(call(kind(number))), expected, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("number", "call"), [r[1:] for r in INTEGERS], ids=[r[0] for r in INTEGERS])
def test_an_integer_counts_whatever_its_type(number: int, call: Callable[[Any], Any]) -> None:
    expected = value_of(call(number))
    member = enum.IntEnum("Kind", {"ONE": number})
    for kind in (np.int8, np.int64, np.uint8, np.uint64, np.array, member, lambda v: np.array(v, "i4")):
        for a, b in zip(value_of(call(kind(number))), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16, np.bool_, np.array, ml_dtypes.bfloat16])
def test_carries_and_branches_are_scalars(kind: Any) -> None:
    one = kind(1)
    found = gx.ops.as_tensor(one).dtype
    assert found == gx.ops.result_type(np.asarray(one).dtype)
    step = lambda c: c & True if found.is_bool else c * 1
    xs = gx.arange(3)
    values = [
        gx.scan(lambda c, _: (step(c), c), one, xs)[0],
        gx.fori_loop(0, 3, lambda i, c: step(c), one),
        gx.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, step(s[1])), (0, one))[1],
        gx.cond(gx.constant(1) > 0, lambda: one, lambda: kind(0)),
        gx.switch(np.int8(0), [lambda: one, lambda: kind(0)]),
        gx.where(np.bool_(True), one, kind(0)),
    ]
    for y in values:
        assert y.dtype == found
    assert [float(v) for v in gx.compile([], values)()] == [1.0] * len(values)


def test_a_rate_of_any_kind_leaves_a_float32_model_float32() -> None:
    w = gx.variable(np.ones(3, "float32"))
    made = gx.sum(w * w)
    for lr in (np.float64(0.5), np.float32(0.5), np.array(0.5), Level.LOW):
        step = gx.compile([], made, updates=gx.optim.sgd(made, [w], lr=lr))
        assert {n.dtype.name for n in step.graph.nodes if n.dtype.is_float} == {"float32"}


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
def test_sizes_are_numbers() -> None:
    """Weak ones, as len(x) is."""
    x = gx.placeholder("x", ("n", 3), "float32")
    n = x.shape[0]
    writes: list[Callable[[Any, Any], Any]] = [
        lambda x, n: x * n**0.5, lambda x, n: x * (1 / n), lambda x, n: x + -n / 2, lambda x, n: x * (n * 0.5),
        lambda x, n: x - (n - 0.5), lambda x, n: x * n**-1, lambda x, n: x * 2**n, lambda x, n: x * n**2, lambda x, n: x / n,
        lambda x, n: x * (n // -2), lambda x, n: x * (n % -2), lambda x, n: x * (7 // n), lambda x, n: x * (n // 2.0),
        lambda x, n: x * abs(-n), lambda x, n: x * round(n), lambda x, n: x * math.floor(n), lambda x, n: x * divmod(n, 2)[1],
        lambda x, n: x * np.float64(2) * n, lambda x, n: x * (np.float32(2) * n), lambda x, n: x * (n // 2),
        lambda x, n: x * (n + True), lambda x, n: x * divmod(7, n)[1], lambda x, n: x * (n**0.5 + 1) ** 2,
    ]  # fmt: skip
    a = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    got = gx.compile([x], [write(x, n) for write in writes])(a)
    for y, write in zip(got, writes, strict=True):
        expected = write(a, 5)
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert isinstance(np.int64(2) * n, gx.Dim) and isinstance(n - np.int8(2), gx.Dim)
    assert gx.zeros((2,), "float32").dtype == (gx.zeros((2,), "float32") * gx.sqrt(n)).dtype
    assert [y.dtype.name for y in (n**0.5, n < 3.5, 2**n, np.array([1, 2]) * n)] == ["float64", "bool", "int64", "int64"]
    assert (n**0.5).op.name == "sqrt"


def test_a_size_beside_a_small_integer_type_must_fit() -> None:
    x = gx.placeholder("x", ("n",), "int8")
    n = x.shape[0]
    f, less = gx.compile([x], x * n), gx.compile([x], x < n)
    assert f(np.ones(100, "int8")).dtype == np.int8 and f(np.ones(100, "int8"))[0] == 100
    with pytest.raises(errors.ShapeError, match="the size n does not fit int8: 127 is less than 200 where n = 200"):
        f(np.ones(200, "int8"))
    assert less(np.ones(200, "int8")).all()  # comparisons are exact


def test_sizes_are_compared_where_that_can_be_decided() -> None:
    n, m = gx.placeholder("x", ("n", "m")).shape
    assert n == gx.dim("n") and n != m and n + 1 != n and n == n + 0  # expressions that are the same
    assert (n > -1, n >= 0, n + 1 > n, n <= n, n != -1) == (True,) * 5
    assert (n < 0, n < n, n == -1) == (False,) * 3
    assert {n: 1}[gx.dim("n")] == 1 and n in {n, 3} and n not in {m: 1}
    assert isinstance(n > 3, gx.Tensor) and isinstance(n == 3, gx.Tensor) and isinstance(n > m, gx.Tensor)
    x = gx.placeholder("x", ("n",), "float64")
    n = x.shape[0]
    f = gx.compile([x], [gx.where(n > 3, x, -x), gx.cond(n == 3, lambda: x[0], lambda: x[1])])
    for size in (3, 4):
        a = np.arange(size) + 1.0
        np.testing.assert_array_equal(f(a)[0], a if size > 3 else -a)
        assert f(a)[1] == (1 if size == 3 else 2)


def test_formats_of_sizes() -> None:
    n = gx.dim("n")
    assert f"{n}|{n:>3}|{n:<3}|{n:^3}|{n:*>3}|{n:5d}|{n:.2f}|{n:+}|{n:,}|{n:03d}" == "n|  n|n  | n |**n|n    |n|n|n|n  "
    assert f"{gx.dim('n') + 1:>6}" == "   n+1"
    x = gx.placeholder("x", ())
    assert f"{x}" == str(x) and f"{x:>40}" == str(x).rjust(40)


def test_arrays_of_sizes() -> None:
    x = gx.placeholder("x", ("n", 3), "float32")
    f = gx.compile([x], [gx.asarray(x.shape), gx.asarray(x.shape[0], "float32"), gx.stack([x.shape[0], 2])])
    assert [y.tolist() for y in f(np.zeros((5, 3), "f"))] == [[5, 3], 5.0, [5, 2]]


def test_a_slice_bounded_by_a_size_has_its_length() -> None:
    h = gx.placeholder("h", ("t", 2), "float64")
    t = h.shape[0]
    table = np.arange(256.0).reshape(128, 2)
    pos = gx.variable(table)
    made = [pos[:t] + h, pos[-t:] + h, pos[5 : t + 5] + h, pos[128 - t :] + h]
    assert all(y.shape == h.shape for y in made)
    f = gx.compile([h], [*made, gx.grad(gx.sum(made[0] * made[0]), pos)])
    zero = np.zeros((4, 2))
    for y, expected in zip(f(zero)[:4], (table[:4], table[-4:], table[5:9], table[124:]), strict=True):
        np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(f(zero)[4], np.concatenate([2 * table[:4], np.zeros((124, 2))]))
    assert f(np.zeros((0, 2)))[1].shape == (0, 2)
    for y in made:
        with pytest.raises(errors.ShapeError, match=r"a slice of t is out of range for axis 0 of f64\[128, 2\]"):
            gx.compile([h], y)(np.zeros((129, 2)))
    x = gx.placeholder("x", ("n",), "float64")
    n = x.shape[0]
    differences = gx.compile([x], [x[1:] - x[: n - 1], x[:5], x[n - 2 :]])
    for size in (2, 9):
        a = np.arange(size) ** 2.0
        for y, expected in zip(differences(a), (np.diff(a), a[:5], a[-2:]), strict=True):
            np.testing.assert_array_equal(y, expected)
    assert gx.compile([x], x[1:] - x[: n - 1])(np.zeros(0)).shape == (0,)


# --- words -----------------------------------------------------------------------------------------------------------


def test_symbols_are_copied_as_themselves() -> None:
    x = gx.placeholder("x", (3,))
    y = x * 2
    assert copy.copy(y) is y and copy.deepcopy({"y": [y]})["y"][0] is y and len({x, y, x}) == 2 and hash(x) == hash(x)


def test_no_empty_hint() -> None:
    assert str(errors.GraphError("a", hint="")) == str(errors.GraphError("a")) == "a"


def test_errors_inside_numpy_name_the_user_s_line() -> None:
    x = gx.placeholder("x", (3,))
    with pytest.raises(errors.InputError) as caught:
        np.ma.array([1.0, 2.0, 3.0]) * x
    assert caught.value.where is not None and caught.value.where.file == __file__


# --- promotions ------------------------------------------------------------------------------------------------------


def test_a_warning_where_float64_enters() -> None:
    """Once, at the user's line; what follows from it, and what was asked for, says nothing."""
    x = gx.placeholder("x", ("n", 3), "float32")
    n = x.shape[0]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            y = x * np.float64(2)  # here
        z = y + x - x
        w = x * gx.arange(3)
        quiet = [x / n, x * 2.0, x * np.float32(2), x.astype("float64") * np.ones(3), gx.mean(x), gx.nn.softmax(x)]
        quiet.append(x > np.float64(0))
        gx.optim.adam(gx.sum(x * w32[0, :3]), [w32], lr=np.float64(1e-3))
        gx.grad(gx.sum(z), x)
    assert [str(t.message).splitlines() for t in told] == [
        ["float64 enters a float32 computation: multiply of f32[n, 3] beside f64[]",
         "  hint: float(number) gives way to the array's type, as Python's numbers do; gx.debug.promotions lists all places"],
        ["float64 enters a float32 computation: multiply of f32[n, 3] beside i64[3]",
         "  hint: astype('float32') the integers; gx.debug.promotions lists all places"],
    ]  # fmt: skip
    assert {t.category for t in told} == {errors.PromotionWarning} and {t.filename for t in told} == {__file__}
    assert linecache.getline(__file__, told[0].lineno).rstrip().endswith("# here")
    found = gx.debug.promotions(gx.compile([x], [z, w, gx.scan(lambda c, r: (c, r * y[0, 0]), 0.0, x)[1]]))
    assert [(p.operation, str(p.operand), *map(str, p.beside)) for p in found] == [
        ("multiply", "f32[n, 3]", "f64[]"), ("add", "f32[n, 3]", "f64[n, 3]"), ("subtract", "f32[n, 3]", "f64[n, 3]"),
        ("multiply", "f32[n, 3]", "i64[3]"), ("multiply", "f32[3]", "f64[]"),
    ]  # fmt: skip
    assert f"{found}".splitlines()[0].startswith("multiply: f32[n, 3] became float64 beside f64[]   test_scalars.py:")
    assert str(gx.debug.promotions(quiet[:-1])) == "nothing became float64 by promotion"
    with pytest.raises(errors.InputError, match="promotions: int is no symbol"):
        gx.debug.promotions(3)  # type: ignore[arg-type]


def test_types_of_symbolic_sizes_are_compared_by_whoever_asks() -> None:
    a, b, c = (gx.placeholder(name, shape) for name, shape in (("a", ("n", 2)), ("b", (3, 2)), ("c", ("n", 2))))
    assert a.type == c.type
    assert a.type != b.type
    assert b.type != a.type


def test_whether_a_size_is_0_is_asked_when_it_is_known() -> None:
    n = gx.placeholder("x", ("n",)).shape[0]
    with pytest.raises(gx.GraphError, match="the truth value"):
        bool(n)
    assert n + 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("number", [0.1, 2, -3, 1e-45, -0.0, 0, 1e30, 2**24 + 1, 2**53 + 1, float("inf"), float("nan"), True])
def test_a_number_beside_floats_is_an_array_of_their_type(dtype, number):
    x = gx.placeholder("x", ("n", 3), dtype)
    array = gx.full((), number, dtype)
    for name in ("add", "divide", "less", "maximum", "atan2"):
        function = getattr(gx, name)
        for made, plain in ((function(x, number), function(x, array)), (function(number, x), function(array, x))):
            assert str(gx.ir.Graph([x], [made])) == str(gx.ir.Graph([x], [plain])) and made.where == plain.where
