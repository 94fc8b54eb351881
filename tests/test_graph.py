"""Symbols as users meet them: operators, methods, NumPy's protocols, sizes, gradients, variables, and the forms of a call."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.types import DTYPES, bfloat16

Array = np.ndarray[Any, Any]
BACKENDS = pytest.mark.parametrize("backend", ["interpreter", "llvm"])
NUMPY_S = tuple(d for d in DTYPES if d != bfloat16)  # whose promotion NumPy knows
rng = np.random.default_rng(3)


def value(y: gx.Tensor, inputs: dict[gx.Tensor, Any] | None = None) -> Array:
    return y.eval(inputs)


def same(got: Array, want: Any) -> None:
    want = np.asarray(want)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


# --- operators, methods, NumPy's protocols -----------------------------------------------------------------------------

A = rng.normal(size=(3, 4))
B = rng.normal(size=(3, 4)) + 3
N = rng.integers(1, 9, (3, 4))
M = rng.integers(1, 5, (3, 4))

# Each is run once on arrays and once on symbols, and gives the same bits.
OPERATORS: list[Callable[..., Any]] = [
    lambda a, b, n, m: a + b,
    lambda a, b, n, m: a - b,
    lambda a, b, n, m: a * b,
    lambda a, b, n, m: a / b,
    lambda a, b, n, m: a // b,
    lambda a, b, n, m: a % b,
    lambda a, b, n, m: -a,
    lambda a, b, n, m: +a,
    lambda a, b, n, m: abs(a),
    lambda a, b, n, m: a**2,
    lambda a, b, n, m: b**0.5,
    lambda a, b, n, m: n**m,
    lambda a, b, n, m: a + 1,
    lambda a, b, n, m: 1 + a,
    lambda a, b, n, m: 2 - a,
    lambda a, b, n, m: 2 * a,
    lambda a, b, n, m: 2 / b,
    lambda a, b, n, m: 7 // b,
    lambda a, b, n, m: 7 % b,
    lambda a, b, n, m: n & m,
    lambda a, b, n, m: n | m,
    lambda a, b, n, m: n ^ m,
    lambda a, b, n, m: ~n,
    lambda a, b, n, m: n << m,
    lambda a, b, n, m: n >> m,
    lambda a, b, n, m: 6 & n,
    lambda a, b, n, m: 6 | n,
    lambda a, b, n, m: 6 ^ n,
    lambda a, b, n, m: 6 << m,
    lambda a, b, n, m: 600 >> m,
    lambda a, b, n, m: a < b,
    lambda a, b, n, m: a <= a,
    lambda a, b, n, m: a > b,
    lambda a, b, n, m: a >= a,
    lambda a, b, n, m: n == m,
    lambda a, b, n, m: n != m,
    lambda a, b, n, m: 3 < n,  # noqa: SIM300
    lambda a, b, n, m: divmod(n, m)[0],
    lambda a, b, n, m: divmod(n, m)[1],
    lambda a, b, n, m: N + n,
    lambda a, b, n, m: A * n,
    lambda a, b, n, m: A[0] - a,
    lambda a, b, n, m: np.float32(2) * n,
    lambda a, b, n, m: a @ b.T,
    lambda a, b, n, m: A.T @ b,
    lambda a, b, n, m: n @ m[0],
    lambda a, b, n, m: N[:, 0] @ m,
    lambda a, b, n, m: a.T,
    lambda a, b, n, m: a.sum(),
    lambda a, b, n, m: n.sum(0),
    lambda a, b, n, m: a.max(1),
    lambda a, b, n, m: a.min(axis=0, keepdims=True),
    lambda a, b, n, m: n.prod(1),
    lambda a, b, n, m: (n > 3).any(0),
    lambda a, b, n, m: (n > 3).all(),
    lambda a, b, n, m: a.argmax(),
    lambda a, b, n, m: a.argmin(1),
    lambda a, b, n, m: a.reshape(2, 6),
    lambda a, b, n, m: a.reshape((-1, 2)),
    lambda a, b, n, m: a.transpose(),
    lambda a, b, n, m: a.transpose(1, 0),
    lambda a, b, n, m: a.transpose((1, 0)),
    lambda a, b, n, m: a.flatten(),
    lambda a, b, n, m: a.ravel(),
    lambda a, b, n, m: a[None].squeeze(0),
    lambda a, b, n, m: n.astype("float32"),
    lambda a, b, n, m: a.clip(-0.5, 0.5),
    lambda a, b, n, m: a.take([2, 0], axis=0),
    lambda a, b, n, m: a[[2, 0, -1]],
    lambda a, b, n, m: a.dot(b.T),
    lambda a, b, n, m: a.round(),
    lambda a, b, n, m: list(a)[1],
    lambda a, b, n, m: a.mT,
]

NUMPY: list[Callable[..., Any]] = [
    lambda a, b, n, m: np.exp(a),
    lambda a, b, n, m: np.tanh(a),
    lambda a, b, n, m: np.log1p(b),
    lambda a, b, n, m: np.arctan2(a, b),
    lambda a, b, n, m: np.add(a, B),
    lambda a, b, n, m: np.add(A, b),
    lambda a, b, n, m: np.absolute(a),
    lambda a, b, n, m: np.power(b, a),
    lambda a, b, n, m: np.mod(n, m),
    lambda a, b, n, m: np.rint(a),
    lambda a, b, n, m: np.square(a),
    lambda a, b, n, m: np.reciprocal(b),
    lambda a, b, n, m: np.maximum(a, b),
    lambda a, b, n, m: np.invert(n),
    lambda a, b, n, m: np.left_shift(n, m),
    lambda a, b, n, m: np.logical_and(n > 3, m > 2),
    lambda a, b, n, m: np.isnan(a),
    lambda a, b, n, m: np.negative(a),
    lambda a, b, n, m: np.sqrt(b),
    lambda a, b, n, m: np.hypot(a, b),
    lambda a, b, n, m: np.cbrt(b),
    lambda a, b, n, m: np.sign(a),
    lambda a, b, n, m: np.sum(n),
    lambda a, b, n, m: np.sum(n, axis=1),
    lambda a, b, n, m: np.sum(n, axis=0, keepdims=True),
    lambda a, b, n, m: np.prod(n, axis=1),
    lambda a, b, n, m: np.max(a, axis=0),
    lambda a, b, n, m: np.amin(a),
    lambda a, b, n, m: np.any(n > 8),
    lambda a, b, n, m: np.all(n > 0, axis=1),
    lambda a, b, n, m: np.argmax(a, axis=1),
    lambda a, b, n, m: np.mean(n, axis=0),
    lambda a, b, n, m: np.concatenate([n, m]),
    lambda a, b, n, m: np.concatenate([n, M], axis=1),
    lambda a, b, n, m: np.stack([n, m], axis=1),
    lambda a, b, n, m: np.transpose(a),
    lambda a, b, n, m: np.transpose(a, (1, 0)),
    lambda a, b, n, m: np.reshape(a, (6, 2)),
    lambda a, b, n, m: np.where(a > 0, a, b),
    lambda a, b, n, m: np.where(A > 0, n, 0),
    lambda a, b, n, m: np.clip(a, -1, 1),
    lambda a, b, n, m: np.expand_dims(a, 1),
    lambda a, b, n, m: np.squeeze(a[:1], 0),
    lambda a, b, n, m: np.flip(a, 1),
    lambda a, b, n, m: np.pad(n, 1),
    lambda a, b, n, m: np.pad(n, ((0, 1), (2, 0))),
    lambda a, b, n, m: np.broadcast_to(n[0], (2, 4)),
    lambda a, b, n, m: np.matmul(n, m.T),
    lambda a, b, n, m: np.outer(n[0], m[1]),
    lambda a, b, n, m: np.take(a, [1, 0], axis=1),
    lambda a, b, n, m: np.take_along_axis(a, np.argmax(a, axis=1)[:, None], axis=1),
    lambda a, b, n, m: np.swapaxes(a, 0, 1),
    lambda a, b, n, m: np.moveaxis(a, 0, 1),
    lambda a, b, n, m: np.zeros_like(n),
    lambda a, b, n, m: np.ones_like(a),
    lambda a, b, n, m: np.full_like(n, 7),
    lambda a, b, n, m: np.tensordot(n, m, axes=([0, 1], [0, 1])),
    lambda a, b, n, m: np.dot(n, m.T),
    lambda a, b, n, m: np.sum(n * m, axis=0) if isinstance(n, np.ndarray) else gx.vecdot(n, m, axis=0),
    lambda a, b, n, m: np.add.reduce(n),
    lambda a, b, n, m: np.maximum.reduce(n, axis=1),
    lambda a, b, n, m: np.ravel(n),
    lambda a, b, n, m: np.signbit(a),
    lambda a, b, n, m: np.copysign(b, a),
    lambda a, b, n, m: np.around(a),
    lambda a, b, n, m: np.trunc(a),
]


@pytest.mark.parametrize("functions", [OPERATORS, NUMPY], ids=["operators", "numpy"])
def test_symbols_do_what_arrays_do(functions: list[Callable[..., Any]]) -> None:
    """To the bit: the interpreter calls NumPy."""
    symbols = [gx.placeholder(name, v.shape, v.dtype) for name, v in zip("abnm", (A, B, N, M), strict=True)]
    for number, function in enumerate(functions):
        want = function(A, B, N, M)
        y = function(*symbols)
        assert isinstance(y, gx.Tensor), f"function {number} gives {type(y).__name__}"
        got = gx.compile(symbols, y, backend="interpreter")(A, B, N, M)
        assert y.shape == np.shape(want), f"function {number}: {y.shape} is not {np.shape(want)}"
        assert np.asarray(want).dtype == got.dtype, f"function {number}: {got.dtype} is not {np.asarray(want).dtype}"
        np.testing.assert_array_equal(got, want, f"function {number}")


def test_statistics_are_near_numpy_s() -> None:
    a = gx.placeholder("a", A.shape, "float64")
    for y, want in (
        (np.mean(a), np.mean(A)),
        (np.var(a, axis=1), np.var(A, axis=1)),
        (np.std(a, axis=0), np.std(A, axis=0)),
        (a.mean(0), A.mean(0)),
        (a.var(1, correction=1), A.var(1, ddof=1)),
        (gx.std(a, keepdims=True), A.std(keepdims=True)),
        (np.logaddexp(a, B), np.logaddexp(A, B)),
    ):
        np.testing.assert_allclose(value(y, {a: A}), want, rtol=1e-14)


def test_vectors_and_batches_in_matmul() -> None:
    shapes = [((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 6)),
              ((2, 3, 4), (4,)), ((4,), (2, 4, 3)), ((0, 4), (4, 2)), ((2, 0), (0, 3))]  # fmt: skip
    for left, right in shapes:
        p, q = rng.integers(-5, 5, left), rng.integers(-5, 5, right)
        a, b = gx.placeholder("a", left, "int64"), gx.placeholder("b", right, "int64")
        y = a @ b
        assert y.shape == (p @ q).shape
        same(value(y, {a: p, b: q}), p @ q)


def test_a_symbol_is_hashable_and_compared_by_elements() -> None:
    a, b = gx.placeholder("a", (2,)), gx.placeholder("b", (2,))
    assert {a: 1, b: 2}[a] == 1
    assert (a == b).dtype == gx.bool_
    assert repr(a == b) == "<Tensor equal: bool[2]>"


# --- promotion -------------------------------------------------------------------------------------------------------


def numpy_dtype(function: Callable[..., Any], *operands: Any) -> str:
    try:
        with np.errstate(all="ignore"):
            return str(function(*operands).dtype)
    except TypeError:
        return "refused"


def our_dtype(function: Callable[..., Any], *operands: Any) -> str:
    try:
        return str(function(*operands).dtype)
    except gx.GraphError:
        return "refused"


@pytest.mark.parametrize(
    "name",
    [
        "add",
        "multiply",
        "subtract",
        "divide",
        "maximum",
        "equal",
        "bitwise_and",
        "pow",
        "floor_divide",
        "copysign",
        "atan2",
        "hypot",
    ],
)
@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
def test_promotion_is_numpy_s_for_all_pairs_of_types(name: str) -> None:
    ours, theirs = getattr(gx, name), getattr(np, {"pow": "power", "atan2": "arctan2"}.get(name, name))
    for p, q in itertools.product(NUMPY_S, NUMPY_S):
        got = our_dtype(ours, gx.placeholder("a", (2,), p), gx.placeholder("b", (2,), q))
        want = numpy_dtype(theirs, np.ones(2, p.numpy), np.ones(2, q.numpy))
        if want == "float16" and gx.float16 not in (p, q):  # a function of 8-bit integers
            want = "float32"
        if {p.name, q.name} == {"bool"} and name in ("pow", "floor_divide"):
            want = "refused"  # NumPy counts booleans as int8
        if name == "equal" and {p.kind, q.kind} == {"i", "u"} and "uint64" in (p.name, q.name):
            want = "refused"  # these two kinds have no common type to compare in
        assert got == want, f"{name}({p}, {q})"


def test_python_numbers_take_the_type_beside_them() -> None:
    for dtype, number in itertools.product(NUMPY_S, (True, 2, 2.5)):
        a = gx.placeholder("a", (2,), dtype)
        for function in (lambda p, q: p + q, lambda p, q: q * p):
            assert our_dtype(function, a, number) == numpy_dtype(function, np.ones(2, dtype.numpy), number), (
                f"{dtype} and {number}"
            )


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
def test_values_of_mixed_types() -> None:
    for p, q in itertools.product(("bool", "int8", "uint8", "int64", "float32"), ("uint16", "int32", "float64")):
        left, right = rng.integers(0, 2, 5).astype(p), rng.integers(0, 60000, 5).astype(q)
        a, b = gx.placeholder("a", (5,), p), gx.placeholder("b", (5,), q)
        same(value(a + b, {a: left, b: right}), left + right)
        same(value(a * b, {a: left, b: right}), left * right)


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_broadcasting() -> None:
    shapes = [(), (1,), (3,), (2, 1), (2, 3), (1, 3), (4, 1, 1), (4, 2, 3), (0, 3), (0, 1)]
    for left, right in itertools.product(shapes, shapes):
        a, b = gx.placeholder("a", left), gx.placeholder("b", right)
        try:
            want: Any = np.broadcast_shapes(left, right)
        except ValueError:
            with pytest.raises(gx.errors.ShapeError, match="cannot broadcast"):
                a + b
            continue
        assert (a + b).shape == want
        p, q = rng.normal(size=left).astype("float32"), rng.normal(size=right).astype("float32")
        same(value(a + b, {a: p, b: q}), p + q)


def test_named_dimensions_broadcast_with_themselves_and_1() -> None:
    n, m = gx.dim("n"), gx.dim("m")
    a, b = gx.placeholder("a", ("n", 1)), gx.placeholder("b", ("m",))
    assert (a + b).shape == (n, m)
    assert (a + a).shape == (n, 1)
    with pytest.raises(gx.errors.ShapeError, match="n and m differ"):
        a[:, 0] + b


def test_sizes_are_expressions_in_one_form() -> None:
    x = gx.placeholder("x", ("n", "m", 6))
    n, m = gx.dim("n"), gx.dim("m")
    assert gx.reshape(x, (-1,)).shape == (6 * n * m,)
    assert gx.reshape(x, (-1, 3)).shape == (m * n * 2, 3)
    assert gx.reshape(x, (2 * n, -1)).shape == (2 * n, 3 * m)
    assert gx.concat([x, x, x[:1]], axis=0).shape[0] == gx.concat([x, gx.concat([x, x[:1]], 0)], 0).shape[0]
    assert gx.pad(x, ((1, 2), (0, 0), (0, 0))).shape == (n + 3, m, 6)
    assert x[::-1].shape == x.shape
    assert gx.stack([x, x]).shape == (2, n, m, 6)
    assert gx.permute_dims(x, (2, 0, 1)).shape == (6, n, m)
    assert (gx.reshape(x, (-1, 6)) + gx.reshape(x, (n * m, 6))).shape == (n * m, 6)


def slices(edges: tuple[Any, ...], steps: tuple[Any, ...]) -> Iterator[slice]:
    return (slice(a, b, c) for a in edges for b in edges for c in steps)


def test_slices_of_fixed_axes_are_python_s() -> None:
    edges, steps = (None, -9, -3, -1, 0, 1, 4, 9), (None, 1, 2, 3, -1, -2, -5)
    for n in range(7):
        data = np.arange(n)
        x = gx.placeholder("x", (n,), "int64")
        keys = list(slices(edges, steps))
        got = gx.compile([x], [x[k] for k in keys], backend="interpreter", passes=())(data)
        for k, y in zip(keys, got, strict=True):
            assert y.tolist() == data[k].tolist(), f"{k} of {n}"


def test_slices_of_named_axes_are_python_s_at_every_size() -> None:
    x = gx.placeholder("x", ("n",), "int64")
    keys = list(slices((None, -9, -3, -1, 0, 1, 4, 9), (None, 1, 2, 3, -1, -2, -5)))
    f = gx.compile([x], [x[k] for k in keys], backend="interpreter", passes=())
    for n in range(7):
        data = np.arange(n)
        for k, y in zip(keys, f(data), strict=True):
            assert y.tolist() == data[k].tolist(), f"{k} of {n}"


def test_slices_run_natively_at_every_size() -> None:
    x = gx.placeholder("x", ("n", "m"), "int64")
    keys: list[Any] = [
        (slice(1, None), slice(None, None, 2)), (slice(None, None, -1), slice(-3, None)), (slice(-2, 5, 3), slice(4, None, -2)),
        (slice(None, -1), slice(None, None, -3)), (None, slice(2), None, slice(None, None, -1)),
    ]  # fmt: skip
    f = gx.compile([x], [x[k] * 1 for k in keys])
    for n, m in itertools.product((0, 1, 2, 5), (0, 1, 3, 6)):
        data = np.arange(n * m).reshape(n, m)
        for k, y in zip(keys, f(data), strict=True):
            same(y, data[k])


def test_indexing() -> None:
    data = np.arange(24).reshape(2, 3, 4)
    x = gx.placeholder("x", (2, 3, 4), "int64")
    for key in [
        0,
        -1,
        (0, 1),
        (0, 1, 2),
        (slice(None), 1),
        (..., 0),
        (0, ..., 1),
        (None, 0),
        (..., None),
        (slice(None), None, 1, ...),
        (slice(0, 0),),
        (..., slice(1, 3)),
        (),
        ...,
        np.int8(1),
        (slice(None), slice(None), slice(None), None),
        (0, None, slice(None, None, -1)),
    ]:
        y = x[key]
        assert y.shape == data[key].shape, key
        same(value(y, {x: data}), data[key])


@BACKENDS
def test_reshapes_of_named_sizes_run_at_every_size(backend: str) -> None:
    x = gx.placeholder("x", ("n", 4), "int64")
    f = gx.compile(
        [x],
        [gx.reshape(x, (2, -1)), gx.reshape(x, (-1, 2)), gx.reshape(x, (-1,))[::-1], gx.concat([x, x * 2], 0)],
        backend=backend,
    )
    for n in (0, 1, 2, 5):
        data = np.arange(4 * n).reshape(n, 4)
        wanted = [data.reshape(2, 2 * n), data.reshape(2 * n, 2), data.reshape(-1)[::-1], np.concatenate([data, data * 2])]
        for got, want in zip(f(data), wanted, strict=True):
            same(got, want)


def test_sizes_are_solved_from_expressions() -> None:
    e, d = gx.placeholder("e", ("2*n+1",)), gx.placeholder("d", ("n", "m*n"))
    f = gx.compile([e, d], gx.full((), gx.dim("n") * 100 + gx.dim("m"), "int64"), backend="interpreter")
    assert f(np.zeros(7, "float32"), np.zeros((3, 6), "float32")) == 302


# --- gradients -------------------------------------------------------------------------------------------------------


def test_gradients_by_hand() -> None:
    x = gx.placeholder("x", (3,), "float64")
    at = {x: np.array([1.0, 2.0, 3.0])}
    same(value(gx.grad(gx.sum(x**3), x), at), [3.0, 12.0, 27.0])
    same(value(gx.grad(gx.sum(gx.grad(gx.sum(x**3), x)), x), at), [6.0, 12.0, 18.0])
    same(value(gx.grad(gx.max(x), x), at), [0.0, 0.0, 1.0])
    same(value(gx.grad(gx.prod(x), x), at), [6.0, 3.0, 2.0])
    same(value(gx.grad(gx.sum(gx.where(x > 1.5, x * x, 0.0)), x), at), [0.0, 4.0, 6.0])
    same(value(gx.grad(gx.sum(x[::-1] * np.array([1.0, 10.0, 100.0])), x), at), [100.0, 10.0, 1.0])
    same(value(gx.grad(gx.sum(gx.take(x, [0, 0, 2])), x), at), [2.0, 0.0, 1.0])
    same(value(gx.grad(gx.sum(gx.pad(x, 1) * np.arange(5.0)), x), at), [1.0, 2.0, 3.0])
    same(value(gx.grad(gx.sum(gx.concat([x, 2 * x])), x), at), [3.0, 3.0, 3.0])


def test_a_gradient_by_what_the_value_does_not_depend_on_is_zero() -> None:
    x, z = gx.placeholder("x", (2,), "float64"), gx.placeholder("z", (3,), "float32")
    g = gx.grad(gx.sum(x), [x, z], unconnected="zero")
    assert [str(k.type) for k in g] == ["f64[2]", "f32[3]"]
    same(value(g[1]), np.zeros(3, "float32"))


def test_a_gradient_by_an_inner_value_and_through_casts() -> None:
    x = gx.placeholder("x", (2,), "float32")
    h = x * 3
    assert gx.grad(gx.sum(h * h), h).shape == (2,)
    same(value(gx.grad(gx.sum(h * h), h), {x: [1.0, 2.0]}), np.array([6.0, 12.0], "float32"))
    same(value(gx.grad(gx.sum(x.astype("float64") * 2), x), {x: [1.0, 2.0]}), np.array([2.0, 2.0], "float32"))
    same(value(gx.grad(gx.sum(x.astype("int64").astype("float32")), x), {x: [1.0, 2.0]}), np.zeros(2, "float32"))


def test_vjp_and_jvp() -> None:
    x, w = gx.placeholder("x", (2,), "float64"), gx.placeholder("w", (3, 2), "float64")
    at = {x: np.array([1.0, 2.0]), w: np.arange(6.0).reshape(3, 2)}
    y = w @ x
    same(value(gx.vjp(y, x, [1.0, 10.0, 100.0]), at), at[w].T @ [1.0, 10.0, 100.0])
    gx_, gw = gx.vjp([y, x], [x, w], [[1.0, 0.0, 0.0], [5.0, 7.0]])
    same(value(gx_ + gw[0, 0] * 0, at), at[w][0] + [5.0, 7.0])
    same(value(gx.jvp(y, x, [1.0, -1.0]), at), at[w] @ [1.0, -1.0])
    same(value(gx.jvp(y, [x, w], [[0.0, 0.0], np.ones((3, 2))]), at), np.full(3, 3.0))
    first, second = gx.jvp([y, x * 2], x, [1.0, 0.0])
    same(value(second, {x: at[x]}), [2.0, 0.0])
    same(value(first, at), at[w][:, 0])


def test_jacobian_and_hessian() -> None:
    x = gx.placeholder("x", (3,), "float64")
    at = {x: np.array([1.0, 2.0, 4.0])}
    same(value(gx.jacobian(x[:2] * x[1:], x), at), [[2.0, 1.0, 0.0], [0.0, 4.0, 2.0]])
    same(value(gx.hessian(x[0] * x[1] * x[2], x), at), [[0.0, 4.0, 2.0], [4.0, 0.0, 1.0], [2.0, 1.0, 0.0]])
    assert gx.jacobian(gx.reshape(x, (3, 1)) * x[:2], x).shape == (3, 2, 3)
    assert gx.jacobian(x[:0], x).shape == (0, 3)


def test_stop_gradient() -> None:
    x = gx.placeholder("x", (), "float64")
    same(value(gx.grad(x * gx.stop_gradient(x * x), x), {x: 3.0}), 9.0)
    same(value(gx.grad(gx.stop_gradient(x), x), {x: 3.0}), 0.0)


def test_the_gradient_of_a_deep_chain_does_not_recurse() -> None:
    x = y = gx.placeholder("x", (), "float64")
    for _ in range(5000):
        y = y * 1.0001
    f = gx.compile([x], gx.grad(y, x), backend="interpreter", passes=())
    np.testing.assert_allclose(f(1.0), 1.0001**5000)


# --- variables -------------------------------------------------------------------------------------------------------


def test_a_variable_copies_what_goes_in_and_what_comes_out() -> None:
    start = np.arange(3.0)
    v = gx.variable(start, name="v")
    start[0] = 99
    with pytest.raises(ValueError, match="read-only"):
        v.value[1] = 99
    same(v.value, [0.0, 1.0, 2.0])
    new = np.ones(3)
    v.value = new
    new[2] = 5
    same(v.value, [1.0, 1.0, 1.0])
    v.value = [4, 5, 6]
    same(v.value, [4.0, 5.0, 6.0])
    assert (v.name, str(v.type), repr(v)) == ("v", "f64[3]", "<Variable 'v': f64[3]>")


@BACKENDS
def test_a_compiled_function_reads_the_value_of_the_moment(backend: str) -> None:
    v = gx.variable([1.0, 2.0], name="v")
    f = gx.compile([], v * 2, backend=backend)
    same(f(), [2.0, 4.0])
    v.value = [5, 6]
    same(f(), [10.0, 12.0])


@BACKENDS
def test_updates_happen_at_once_after_all_outputs(backend: str) -> None:
    a, b = gx.variable([1.0, 2.0], name="a"), gx.variable([3.0, 4.0], name="b")
    f = gx.compile([], [a + 0, b * 1, a + b], updates={a: b, b: a + b}, backend=backend)
    for _ in range(3):
        p, q = a.value, b.value
        for got, want in zip(f(), (p, q, p + q), strict=True):
            same(got, want)
        same(a.value, q)
        same(b.value, p + q)


@BACKENDS
def test_an_update_that_reads_the_variable_in_another_order(backend: str) -> None:
    v = gx.variable(np.arange(6.0), name="v")
    w = gx.variable(np.arange(9.0).reshape(3, 3), name="w")
    f = gx.compile([], [], updates={v: v[::-1] + 1, w: w.T @ w}, backend=backend)
    p, q = v.value, w.value
    for _ in range(2):
        f()
        p, q = p[::-1] + 1, q.T @ q
        same(v.value, p)
        np.testing.assert_allclose(w.value, q, rtol=1e-12)


# --- the forms of a compiled call ------------------------------------------------------------------------------------


@BACKENDS
def test_the_forms_of_outputs(backend: str) -> None:
    x = gx.placeholder("x", (2,), "float64")
    at = np.array([1.0, 2.0])
    assert isinstance(gx.compile([x], x + 1, backend=backend)(at), np.ndarray)
    one = gx.compile(x, [x + 1], backend=backend)(at)
    assert isinstance(one, list)
    same(one[0], [2.0, 3.0])
    two = gx.compile([x], (x + 1, x * 2), backend=backend)(at)
    assert isinstance(two, tuple)
    assert len(two) == 2
    named = gx.compile([x], {"sum": gx.sum(x), "x": x}, backend=backend)(at)
    assert list(named) == ["sum", "x"]
    same(named["sum"], 3.0)
    assert gx.compile([x], [], backend=backend)(at) == []
    nested = gx.compile([x], {"a": (x, [x + 1, ()]), "b": x * 2}, backend=backend)(at)
    assert list(nested) == ["a", "b"]
    first, (second, empty) = nested["a"]
    assert isinstance(nested["a"], tuple)
    assert isinstance(nested["a"][1], list)
    assert empty == ()
    same(first, at)
    same(second, [2.0, 3.0])
    same(nested["b"], [2.0, 4.0])


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
@BACKENDS
def test_the_forms_of_inputs(backend: str) -> None:
    a, b = gx.placeholder("a", ("n",), "float64"), gx.placeholder("b", (), "float32")
    f = gx.compile([a, b], a * b, backend=backend)
    for got in (
        f([1, 2], 3),
        f(a=[1.0, 2.0], b=3.0),
        f([1, 2], b=3),
        f(b=np.float32(3), a=np.array([1, 2], "int32")),
        f((1, 2), True),
    ):
        want = [1.0, 2.0] if got[0] == 1 else [3.0, 6.0]
        same(got, want)
    same(f(np.array([1, 2], "float32"), 3), [3.0, 6.0])
    same(f([], 3), np.zeros(0))


@BACKENDS
def test_inputs_of_any_layout_are_read_and_never_written(backend: str) -> None:
    x = gx.placeholder("x", ("n", "m"), "float32")
    f = gx.compile([x], [x * 2, gx.sum(x, 1)], backend=backend)
    whole = rng.integers(0, 9, (6, 8)).astype("float32")
    raw = np.zeros(whole.nbytes + 1, np.uint8)
    misaligned = raw[1:].view("float32").reshape(whole.shape)
    misaligned[...] = whole
    read_only = whole.copy()
    read_only.flags.writeable = False
    row = np.broadcast_to(whole[0], (5, 8))
    for given in (
        whole,
        whole.T,
        whole[::-1],
        whole[::2, 1::3],
        whole[:, ::-2],
        misaligned,
        read_only,
        row,
        whole[:0],
        whole[:, :0],
    ):
        before = given.copy()
        double, total = f(given)
        same(double, before * 2)
        same(total, before.sum(1))
        same(given, before)


@BACKENDS
def test_outputs_alias_nothing(backend: str) -> None:
    x = gx.placeholder("x", (2, 3), "float64")
    v = gx.variable(np.ones((2, 3)), name="v")
    shown = gx.broadcast_to(x[:1], (2, 3))
    f = gx.compile([x], [x, x, v, x.T, gx.reshape(x, (6,)), x[0], shown, x + v, x + v, gx.constant([1.0, 2.0])], backend=backend)
    at = rng.normal(size=(2, 3))
    first, second = f(at), f(at)
    every = [at, v.data, *first, *second]
    for p, q in itertools.combinations(every, 2):
        assert not np.shares_memory(p, q)
    kept = [y.copy() for y in second]
    for y in first:
        y[...] = np.nan
    for y, was in zip(f(at), kept, strict=True):
        same(y, was)
    assert all(y.flags.writeable for y in second)


@BACKENDS
def test_results_stay_while_later_calls_run(backend: str) -> None:
    x = gx.placeholder("x", ("n",), "float64")
    f = gx.compile([x], gx.exp(x) * 0 + x, backend=backend)
    results = [f(np.full(n, float(n))) for n in range(20)]
    for n, y in enumerate(results):
        same(y, np.full(n, float(n)))


# --- threads ---------------------------------------------------------------------------------------------------------


@BACKENDS
def test_one_compiled_object_in_several_threads(backend: str) -> None:
    x = gx.placeholder("x", ("n", 4), "float64")
    f = gx.compile([x], [gx.sum(x * x, 1), x @ x.T], backend=backend)

    def work(seed: int) -> None:
        local = np.random.default_rng(seed)
        for _ in range(30):
            given = local.integers(-9, 9, (int(local.integers(0, 12)), 4)).astype("float64")
            squares, product = f(given)
            same(squares, (given * given).sum(1))
            same(product, given @ given.T)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, seed) for seed in range(4)]:
            done.result()


@BACKENDS
def test_updates_of_several_threads_are_not_lost(backend: str) -> None:
    count = gx.variable(np.zeros(3), name="count")
    f = gx.compile([], [], updates={count: count + 1}, backend=backend)
    threads = [threading.Thread(target=lambda: [f() for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(count.value, np.full(3, 400.0))


@BACKENDS
def test_compiling_in_several_threads(backend: str) -> None:
    def work(k: int) -> None:
        x = gx.placeholder("x", ("n",), "float64")
        f = gx.compile([x], gx.sum(x * float(k)) + k % 3, backend=backend)
        assert f(np.ones(5)) == 5.0 * k + k % 3

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, k) for k in range(12)]:
            done.result()
