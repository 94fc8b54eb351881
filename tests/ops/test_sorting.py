"""Sorting, quantiles and sets against NumPy: values to the bit, gradients, sizes of 0 and of many, wrong use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import DTypeError, GraphError, InputError, ShapeError
from graphc.ops import sorting

Array = np.ndarray[Any, Any]
BACKENDS = ("interpreter", "llvm")
DTYPES = ("bool", "int8", "int32", "uint32", "int64", "uint64", "float32", "float64")


def draw(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Few different values, so that there are ties; NaN, infinities and zeros of both signs."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 40, shape)
    if dtype == "bool":
        return values > 20
    if dtype.startswith("float"):
        made = (values - 20) / 4.0
        for value in (np.nan, np.inf, -np.inf, -0.0):
            made[rng.random(shape) < 0.03] = value
        return made.astype(dtype)
    return (values.astype(dtype) - (0 if dtype[0] == "u" else 20)).astype(dtype)


def run(y: Any, x: gx.Tensor, value: Array, backend: str) -> Any:
    return gx.compile([x], y, backend=backend)(value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_and_argsort_are_numpy_s(dtype: str) -> None:
    x = gx.placeholder("x", ("n", "m"), dtype)
    outputs = [f(x, axis=axis, descending=down) for f in (gx.sort, gx.argsort) for axis in (0, -1) for down in (False, True)]
    f = gx.compile([x], outputs)
    for shape in ((0, 0), (0, 3), (3, 0), (1, 1), (7, 5), (2, 5000), (300, 31)):
        a = draw(dtype, shape)
        got = iter(f(a))
        for axis in (0, -1):
            np.testing.assert_array_equal(next(got), np.sort(a, axis=axis))
            np.testing.assert_array_equal(next(got), np.flip(np.sort(a, axis=axis), axis))
        for axis in (0, -1):
            np.testing.assert_array_equal(next(got), np.argsort(a, axis=axis, kind="stable"))
            n = shape[axis]
            down = n - 1 - np.flip(np.argsort(np.flip(a, axis), axis=axis, kind="stable"), axis)
            np.testing.assert_array_equal(next(got), down)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "float32", "int64", "float64"])
@pytest.mark.parametrize("ties", [True, False])
def test_long_vectors(dtype: str, ties: bool) -> None:
    n = 1 << 20
    a = draw(dtype, (n,)) if ties else np.random.default_rng(1).permutation(n).astype(dtype)
    x = gx.placeholder("x", ("n",), dtype)
    f = gx.compile([x], [gx.sort(x), gx.argsort(x)])
    before = a.copy()
    in_order, places = f(a)
    np.testing.assert_array_equal(in_order, np.sort(a))
    np.testing.assert_array_equal(places, np.argsort(a, kind="stable"))
    np.testing.assert_array_equal(a, before)


def test_the_bits_do_not_depend_on_threads() -> None:
    a = draw("float64", (1 << 21,))
    found = []
    for threads in (1, 2, 3, 8):
        out = np.empty_like(a)
        sorting._sort(out, a, 0, threads=threads)
        found.append(out[~np.isnan(out)].tobytes())
    assert len(set(found)) == 1


def test_a_sorted_variable_is_its_own_update() -> None:
    v = gx.variable(np.array([3.0, 1.0, 2.0]))
    step = gx.compile([], gx.argsort(v), updates={v: gx.sort(v)})
    np.testing.assert_array_equal(step(), [1, 2, 0])
    np.testing.assert_array_equal(v.value, [1, 2, 3])


def test_gradients_go_back_to_where_the_elements_came_from() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    weights = gx.astype(gx.arange(x.shape[0]) + 1, "float64")
    value = gx.sum(gx.square(gx.sort(x, descending=True)) * weights)
    slope = gx.grad(value, x)
    curve = gx.grad(gx.sum(slope * weights), x)
    first, second = gx.compile([x], [slope, curve])(np.array([1.0, 3.0, 2.0]))
    np.testing.assert_array_equal(first, [2 * 1 * 3, 2 * 3 * 1, 2 * 2 * 2])
    np.testing.assert_array_equal(second, [2 * 3 * 1, 2 * 1 * 2, 2 * 2 * 3])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64"])
def test_top_k(dtype: str, backend: str) -> None:
    for shape, k in (((9,), 4), ((3, 7), 7), ((2, 50000), 5), ((4, 3), 0)):
        a = draw(dtype, shape)
        x = gx.placeholder("x", shape, dtype)
        values, places = run(list(gx.top_k(x, k)), x, a, backend)
        want = (shape[-1] - 1 - np.flip(np.argsort(np.flip(a, -1), axis=-1, kind="stable"), -1))[..., :k]
        np.testing.assert_array_equal(places, want)
        np.testing.assert_array_equal(values, np.take_along_axis(a, want, -1))


def awkward(dtype: str, n: int) -> list[Array]:
    """Vectors that differ, that are alike, in order, at both ends of the type, and half of NaN."""
    rng = np.random.default_rng(n)
    few = draw(dtype, (n,), seed=n)
    if dtype.startswith("float"):
        many = rng.standard_normal(n).astype(dtype)
        return [few, many, np.sort(few), np.sort(many)[::-1].copy(), np.where(rng.random(n) < 0.5, np.nan, few).astype(dtype)]
    if dtype == "bool":
        return [few, np.zeros(n, dtype)]
    least, largest = np.iinfo(dtype).min, np.iinfo(dtype).max
    bounds = ((least, largest), (largest - 9, largest), (least, least + 9))
    return [few, np.sort(few), *(rng.integers(first, last, n, dtype, endpoint=True) for first, last in bounds)]


@pytest.mark.parametrize("n", [63, 64, 1000, 5000])
@pytest.mark.parametrize("dtype", [*DTYPES, "uint8"])
def test_what_compiled_programs_call_gives_what_references_give(dtype: str, n: int) -> None:
    for a in awkward(dtype, n):
        places = np.empty(n, np.int64)
        sorting._argsort(places, a, 0)
        np.testing.assert_array_equal(places, np.argsort(a, kind="stable"))
        for rows in (a.reshape(1, n), a[: n // 4 * 4].reshape(4, -1)):
            for k in (1, 3, 20):
                if k <= rows.shape[1]:
                    out = np.empty((len(rows), k), np.int64)
                    sorting._top_k(out, rows, k)
                    np.testing.assert_array_equal(out, sorting._largest(rows, k))
        for size in (0, 3, n + 2):
            for reference, into in ((sorting._unique, sorting._unique_into), (sorting._distinct, sorting._distinct_into)):
                wants = reference(a, size)
                outs = tuple(np.empty_like(w) for w in wants)
                into(outs, a, size)
                assert [w.tobytes() for w in wants] == [out.tobytes() for out in outs]  # signs of zeros and NaN too


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("n", [320, 777])  # 777 elements leave some that are in no part of a row
def test_top_k_of_rows_on_threads(dtype: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "_PART", 500)
    rng = np.random.default_rng(n)
    a = rng.permuted(np.tile(np.arange(n) % 256 - 128, (40, 1)), axis=1).astype(dtype)
    a[3], a[5, 7:], a[8, -1] = 1, 2, 127  # rows whose largest elements are many
    if dtype == "float32":
        a[9, ::2], a[11, 300], a[12, -3:], a[13, :12] = np.nan, np.nan, np.nan, [np.nan, np.inf, -0.0] * 4
    for k in (1, 10):
        want = sorting._largest(a, k)
        for threads in (1, 2, 3, 64):
            out = np.empty((40, k), np.int64)
            sorting._top_k(out, a, k, threads)
            np.testing.assert_array_equal(out, want)


def test_top_k_along_another_axis_and_its_gradient() -> None:
    x = gx.placeholder("x", (3, 2), "float64")
    values, places = gx.top_k(x, 2, axis=0)
    f = gx.compile([x], [values, places, gx.grad(gx.sum(values * values), x)])
    got = f([[1.0, 5.0], [3.0, 4.0], [2.0, 6.0]])
    np.testing.assert_array_equal(got[0], [[3, 6], [2, 5]])
    np.testing.assert_array_equal(got[1], [[1, 2], [2, 0]])
    np.testing.assert_array_equal(got[2], [[0, 10], [6, 0], [4, 12]])


# --- quantiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64"])
def test_medians_are_numpy_s(dtype: str) -> None:
    for shape in ((1,), (6,), (7,), (4, 5), (3, 2, 4)):
        a = draw(dtype, shape)
        x = gx.placeholder("x", shape, dtype)
        axes: tuple[Any, ...] = (None, 0, -1, *(((0, 2), (1, 0)) if len(shape) == 3 else ()))
        outputs = [gx.median(x, axis=axis, keepdims=keep) for axis in axes for keep in (False, True)]
        got = iter(gx.compile([x], outputs)(a))
        for axis in axes:
            for keep in (False, True):
                with np.errstate(all="ignore"):
                    want = np.asarray(np.median(a, axis=axis, keepdims=keep))
                found = next(got)
                assert found.dtype == want.dtype
                np.testing.assert_array_equal(found, want)


METHODS = (
    "linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased", "normal_unbiased",
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
def test_quantiles_are_numpy_s(method: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    q = [0.0, 0.1, 0.25, 1 / 3, 0.5, 0.77, 1.0]
    for n in (1, 2, 5, 8, 101):
        a = (rng.standard_normal((n, 3)) * 50).astype(dtype)
        if dtype != "int64" and n > 5:
            a[2, 1] = np.nan
        x = gx.placeholder("x", ("n", 3), dtype)
        outputs = [gx.quantile(x, q, axis=0, method=method), gx.quantile(x, 0.3, method=method)]
        outputs += [gx.percentile(x, 30, axis=1, method=method, keepdims=True), gx.quantile(x, q, method=method, keepdims=True)]
        wants = [np.quantile(a, q, axis=0, method=method), np.quantile(a, 0.3, method=method)]
        wants += [np.percentile(a, 30, axis=1, method=method, keepdims=True), np.quantile(a, q, method=method, keepdims=True)]
        for got, want in zip(gx.compile([x], outputs)(a), wants, strict=True):
            assert got.dtype == np.asarray(want).dtype
            assert got.shape == np.asarray(want).shape
            np.testing.assert_array_equal(got, want)


def test_the_gradient_of_a_quantile_is_shared_by_its_neighbours() -> None:
    x = gx.placeholder("x", (4,), "float64")
    y = gx.quantile(x, 0.25)  # at 0.75 of the sorted elements
    np.testing.assert_array_equal(gx.grad(y, x).eval({x: [4.0, 1.0, 3.0, 2.0]}), [0, 0.25, 0, 0.75])
    np.testing.assert_array_equal(gx.grad(gx.median(x), x).eval({x: [4.0, 1.0, 3.0, 2.0]}), [0, 0, 0.5, 0.5])


def test_quantiles_where_q_is_data() -> None:
    x, q = gx.placeholder("x", ("n",), "float64"), gx.placeholder("q", (), "float64")
    f = gx.compile([x, q], gx.quantile(x, q))
    for share in (0.0, 0.3, 1.0):
        assert f([4.0, 1.0, 3.0], share) == np.quantile([4.0, 1.0, 3.0], np.asarray(share))


# --- sets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64"])
def test_distinct_elements(dtype: str) -> None:
    for shape in ((9,), (3, 4), (0,), (200,)):
        a = draw(dtype, shape)
        x = gx.placeholder("x", shape, dtype)
        values, first, inverse, counts = gx.compile([x], list(gx.unique_all(x, size=a.size)))(a)
        want = np.unique(a, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
        k = len(want[0])
        np.testing.assert_array_equal(values[:k], want[0])
        np.testing.assert_array_equal(first[:k], want[1])
        np.testing.assert_array_equal(inverse, want[2].reshape(shape))
        np.testing.assert_array_equal(counts, [*want[3], *[0] * (a.size - k)])


def test_distinct_elements_are_cut_off_or_filled_up() -> None:
    x = gx.placeholder("x", ("n",), "int64")
    f = gx.compile([x], [gx.unique_values(x, size=2), *gx.unique_counts(x, size=4, fill_value=-1)])
    for given, wants in (([5, 3, 5, 9], ([3, 5], [3, 5, 9, -1], [1, 2, 1, 0])), ([], ([0, 0], [-1] * 4, [0] * 4))):
        for got, want in zip(f(np.array(given, np.int64)), wants, strict=True):
            np.testing.assert_array_equal(got, want)
    y = gx.placeholder("y", (3,), "float64")
    slope = gx.grad(gx.sum(gx.square(gx.unique_values(y, size=2))), y)
    np.testing.assert_array_equal(slope.eval({y: [4.0, 3.0, 4.0]}), [8, 6, 0])


def test_isin() -> None:
    x, e = gx.placeholder("x", ("n",), "int32"), gx.placeholder("e", ("m",), "float64")
    f = gx.compile([x, e], [gx.isin(x, e), gx.isin(x, e, invert=True)])
    for k in (0, 3):
        elements = np.array([1.0, 4.0, np.nan])[:k]
        got, inverted = f(np.arange(5, dtype=np.int32), elements)
        np.testing.assert_array_equal(got, np.isin(np.arange(5), elements))
        np.testing.assert_array_equal(inverted, ~got)


# --- by NumPy's names, and wrong use ---------------------------------------------------------------------------------


def test_numpy_s_own_functions_take_symbols() -> None:
    x = gx.placeholder("x", (2, 3), "float64")
    a = np.array([[3.0, 1.0, 2.0], [6.0, 4.0, 5.0]])
    for function, options in (
        (np.sort, {}), (np.sort, {"axis": 0}), (np.sort, {"axis": None}), (np.argsort, {}), (np.argsort, {"axis": None}),
        (np.argsort, {"kind": "stable"}), (np.median, {}), (np.median, {"axis": 1}), (np.quantile, {"q": 0.3}),
        (np.percentile, {"q": [30, 60], "axis": 0}), (np.isin, {"test_elements": [1.0, 6.0]}),
    ):  # fmt: skip
        np.testing.assert_array_equal(function(x, **options).eval({x: a}), function(a, **options))


WRONG: tuple[tuple[Callable[[gx.Tensor], Any], type[GraphError], str], ...] = (
    (lambda x: gx.sort(x, axis=2), ShapeError, "sort: axis 2 is out of range"),
    (lambda x: gx.argsort(x[0, 0]), ShapeError, "argsort: axis -1 is out of range"),
    (lambda x: gx.sort(x, axis=0.5), ShapeError, "sort: axis must be an integer"),  # type: ignore[arg-type]
    (lambda x: gx.top_k(x, 4), ShapeError, "top_k of the 4 largest needs as many elements"),
    (lambda x: gx.top_k(x, -1), InputError, "top_k: k must be an integer"),
    (lambda x: gx.top_k(x, 2.0), InputError, "top_k: k must be an integer"),  # type: ignore[arg-type]
    (lambda x: gx.median(x[:0]), ShapeError, "median over an empty axis has no value"),
    (lambda x: gx.median(x > 0), DTypeError, "median needs numbers"),
    (lambda x: gx.quantile(x, 1.5), InputError, "quantile: q must lie between 0 and 1"),
    (lambda x: gx.quantile(x, float("nan")), InputError, "quantile: q must lie between 0 and 1"),
    (lambda x: gx.quantile(x, [[0.5]]), ShapeError, "quantile: q must be a number or a vector"),
    (lambda x: gx.percentile(x, -1), InputError, "percentile: q must lie between 0 and 100"),
    (lambda x: gx.quantile(x, 0.5, method="odd"), InputError, "quantile: method is 'odd'"),
    (lambda x: gx.unique_values(x), ShapeError, "unique_values of f64[2, 3]: the result's size would be data"),
    (lambda x: gx.unique_all(x, size=-1), GraphError, "unique_all: size"),
    (lambda x: gx.unique_counts(x, size=1.5), GraphError, "unique_counts: size"),
)


@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_wrong_use_is_named_at_the_user_s_line(wrong: Any, kind: type[GraphError], message: str) -> None:
    with pytest.raises(kind, match=r"test_sorting\.py") as caught:
        wrong(gx.placeholder("x", (2, 3), "float64"))
    assert caught.value.message.startswith(message)


def test_too_few_elements_are_found_when_sizes_are() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    f, g = gx.compile([x], gx.top_k(x, 3).values), gx.compile([x], gx.median(x))
    with pytest.raises(ShapeError, match="top_k of the 3 largest"):
        f(np.zeros(2))
    with pytest.raises(ShapeError, match="from an empty axis"):
        g(np.zeros(0))
