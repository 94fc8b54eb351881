"""Functions made of operations against NumPy's: on both backends, with fixed and with named sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx

Array = np.ndarray[Any, Any]
Row = tuple[str, Callable[..., Any], Callable[..., Any]]

A = np.random.default_rng(5).integers(-5, 6, (3, 4)).astype(float)
A[0, 1] = A[2, 3] = 0

# What graphc computes of a symbol with A's value, and what NumPy computes of A. Results are compared to the bit.
ROWS: tuple[Row, ...] = (
    ("roll", lambda x: gx.roll(x, 5), lambda x: np.roll(x, 5)),
    ("roll along", lambda x: gx.roll(x, -1, 1), lambda x: np.roll(x, -1, 1)),
    ("roll two", lambda x: gx.roll(x, (1, -6), (0, 1)), lambda x: np.roll(x, (1, -6), (0, 1))),
    ("roll both", lambda x: gx.roll(x, 2, (0, 1)), lambda x: np.roll(x, 2, (0, 1))),
    ("roll back", lambda x: gx.roll(x, -7, 0), lambda x: np.roll(x, -7, 0)),
    ("repeat", lambda x: gx.repeat(x, 3), lambda x: np.repeat(x, 3)),
    ("repeat along", lambda x: gx.repeat(x, 2, 1), lambda x: np.repeat(x, 2, 1)),
    ("repeat never", lambda x: gx.repeat(x, 0, 0), lambda x: np.repeat(x, 0, 0)),
    ("repeat each", lambda x: gx.repeat(gx.constant(A), [2, 0, 3], 0) + x[0, 0], lambda x: np.repeat(A, [2, 0, 3], 0) + x[0, 0]),
    ("repeat by data", lambda x: gx.repeat(x, gx.sum(x > 0, axis=1), 0, total_repeat_length=4)[:2],
     lambda x: np.repeat(np.concatenate([x] * 9), np.tile(np.sum(x > 0, axis=1), 9), 0)[:2]),
    ("tile", lambda x: gx.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3))),
    ("tile fewer", lambda x: gx.tile(x, 2), lambda x: np.tile(x, 2)),
    ("tile more", lambda x: gx.tile(x, (2, 1, 2)), lambda x: np.tile(x, (2, 1, 2))),
    ("tile never", lambda x: gx.tile(x, (0, 1)), lambda x: np.tile(x, (0, 1))),
    ("diff", lambda x: gx.diff(x), lambda x: np.diff(x)),
    ("diff twice", lambda x: gx.diff(x, 0, 2), lambda x: np.diff(x, 2, 0)),
    ("diff of order 0", lambda x: gx.diff(x, n=0, prepend=1, append=x), lambda x: np.diff(x, n=0, prepend=1, append=x)),
    ("diff ends", lambda x: gx.diff(x, prepend=1, append=x), lambda x: np.diff(x, prepend=1, append=x)),
    ("diff mask", lambda x: gx.diff(x > 0), lambda x: np.diff(x > 0)),
    ("moveaxis", lambda x: gx.moveaxis(x[None], (0, 1), (-1, 0)), lambda x: np.moveaxis(x[None], (0, 1), (-1, 0))),
    ("tril", lambda x: gx.tril(x, 1), lambda x: np.tril(x, 1)),
    ("triu", lambda x: gx.triu(x, -1), lambda x: np.triu(x, -1)),
    ("eye", lambda x: gx.eye(x.shape[0], x.shape[1], 1) + x, lambda x: np.eye(*x.shape, 1) + x),
    ("linspace", lambda x: gx.linspace(0.1, 2.7, x.shape[1]) + x, lambda x: np.linspace(0.1, 2.7, x.shape[1]) + x),
    ("linspace open", lambda x: gx.linspace(5, -2, 7, endpoint=False) + x[0, 0],
     lambda x: np.linspace(5, -2, 7, endpoint=False) + x[0, 0]),
    ("linspace rows", lambda x: gx.linspace(x[0], x[-1], 3), lambda x: np.linspace(x[0], x[-1], 3)),
    ("linspace whole", lambda x: gx.linspace(-3, 9, 6, dtype="int32"), lambda x: np.linspace(-3, 9, 6, dtype="int32")),
    ("linspace one", lambda x: gx.linspace(2, 9, 1), lambda x: np.linspace(2, 9, 1)),
    ("linspace none", lambda x: gx.linspace(2, 9, 0), lambda x: np.linspace(2, 9, 0)),
    ("meshgrid", lambda x: gx.stack(gx.meshgrid(x[0], x[:, 0])), lambda x: np.stack(np.meshgrid(x[0], x[:, 0]))),
    ("meshgrid ij", lambda x: gx.meshgrid(x[0], x[:, 0], x[0, 0], indexing="ij")[1],
     lambda x: np.meshgrid(x[0], x[:, 0], x[0, 0], indexing="ij")[1]),
    ("broadcast_arrays", lambda x: gx.broadcast_arrays(x, x[0])[1], lambda x: np.broadcast_arrays(x, x[0])[1]),
    ("concat flat", lambda x: gx.concat([x, x[0]], axis=None), lambda x: np.concatenate([x, x[0]], axis=None)),
    ("count_nonzero", lambda x: gx.count_nonzero(x), lambda x: np.array(np.count_nonzero(x))),
    ("count_nonzero rows", lambda x: gx.count_nonzero(x, 1, keepdims=True), lambda x: np.count_nonzero(x, 1, keepdims=True)),
    ("nextafter", lambda x: gx.nextafter(x, 0.0), lambda x: np.nextafter(x, 0.0)),
    ("nonzero", lambda x: gx.stack(gx.nonzero(x, size=4)), lambda x: np.stack([np.r_[i, 0, 0, 0, 0][:4] for i in np.nonzero(x)])),
    ("extract", lambda x: gx.extract(x > 0, x, size=5, fill_value=-1), lambda x: np.r_[np.extract(x > 0, x), [-1.0] * 5][:5]),
    ("compress", lambda x: gx.compress(x[:, 0] != 9, x, 0, size=2), lambda x: np.concatenate([x, np.zeros((2, x.shape[1]))])[:2]),
    ("searchsorted", lambda x: gx.searchsorted(gx.constant(np.arange(-3.0, 4)), x),
     lambda x: np.searchsorted(np.arange(-3.0, 4), x)),
    ("interp", lambda x: gx.interp(x, [-2.0, 0.0, 3.0], [5.0, 1.0, 2.0]),
     lambda x: np.interp(x, [-2.0, 0.0, 3.0], [5.0, 1.0, 2.0])),
    ("interp ends", lambda x: gx.interp(x, [0.0], [5.0], left=1, right=2), lambda x: np.interp(x, [0.0], [5.0], left=1, right=2)),
    ("cumulative_sum", lambda x: gx.cumulative_sum(x, include_initial=True, axis=1),
     lambda x: np.cumulative_sum(x, include_initial=True, axis=1)),
    ("cumulative_prod", lambda x: gx.cumulative_prod(x, axis=0), lambda x: np.cumulative_prod(x, axis=0)),
    ("cumulative_sum flat", lambda x: gx.cumulative_sum(x > 0, dtype="int8"), lambda x: np.cumsum(x > 0, dtype="int8")),
)  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_functions_are_numpy_s(ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    for shape in ((3, 4), ("n", "m"), (1, 4), ("n", 1)):
        x = gx.placeholder("x", shape, "float64")
        values = A[: shape[0] if isinstance(shape[0], int) else 3, : shape[1] if isinstance(shape[1], int) else 4]
        y = ours(x)
        want = np.asarray(theirs(values))
        for backend in ("interpreter", "llvm"):
            got = gx.compile([x], y, backend=backend)(values)
            assert (got.dtype, got.shape) == (want.dtype, want.shape), (shape, backend)
            assert np.array_equal(got, want), (shape, backend)


@pytest.mark.parametrize("size", ["n", 0, 1, 2, 63, 64, 1000])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_searchsorted_is_numpy_s(size: Any, dtype: str) -> None:
    rng = np.random.default_rng(4)
    for count in (0, 1, 2, 3, 4, 5, 8, 9, 1000) if size == "n" else (size,):
        sorted_ = np.sort(rng.integers(-20, 20, count).astype(dtype))
        wanted = rng.integers(-25, 25, (7, 30)).astype(dtype)
        if dtype == "float32":
            sorted_[len(sorted_) - len(sorted_) // 9 :] = np.nan
            wanted[0, :3] = np.nan, np.inf, -np.inf
        x, v = gx.placeholder("x", (size,), dtype), gx.placeholder("v", ("a", "b"), dtype)
        for backend in ("interpreter", "llvm"):
            run = gx.compile([x, v], [gx.searchsorted(x, v, side=s) for s in ("left", "right")], backend=backend)
            for got, side in zip(run(sorted_, wanted), ("left", "right"), strict=True):
                assert np.array_equal(got, np.searchsorted(sorted_, wanted, side)), (backend, side, count)
    order = rng.permutation(9)
    shuffled = np.empty(9, dtype)
    shuffled[order] = np.sort(rng.integers(-20, 20, 9)).astype(dtype)
    got = gx.searchsorted(gx.constant(shuffled), gx.constant(wanted), sorter=order).eval()
    assert np.array_equal(got, np.searchsorted(shuffled, wanted, sorter=order))


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted_in_a_row_of_its_own_for_each(side: str) -> None:
    rng = np.random.default_rng(5)
    rows, wanted = np.sort(rng.integers(0, 40, (3, 50)), -1), rng.integers(-2, 45, (3, 41))
    x, v = gx.placeholder("x", (3, "m"), "int64"), gx.placeholder("v", (3, "n"), "int64")
    each = gx.compile([x, v], gx.vmap(lambda a, b: gx.searchsorted(a, b, side=side))(x, v))(rows, wanted)
    assert np.array_equal(each, [np.searchsorted(a, b, side) for a, b in zip(rows, wanted, strict=True)])
    one = gx.placeholder("one", ("m",), "int64")
    same = gx.compile([one, v], gx.vmap(lambda b: gx.searchsorted(one, b, side=side))(v))(rows[0], wanted)
    assert np.array_equal(same, np.searchsorted(rows[0], wanted, side))


def test_interp_and_its_gradient() -> None:
    rng = np.random.default_rng(6)
    xp, fp, at = np.sort(rng.normal(size=9)), rng.normal(size=9), rng.normal(size=50) * 2
    at[:3] = xp[0], xp[-1], xp[4]
    x, f = gx.placeholder("x", ("k",), "float64"), gx.placeholder("f", ("n",), "float64")
    y = gx.interp(x, xp, gx.reshape(f, (9,)))
    for backend in ("interpreter", "llvm"):
        got, by_x, by_f = gx.compile([x, f], [y, *gx.grad(gx.sum(y), [x, f])], backend=backend)(at, fp)
        assert np.array_equal(got, np.interp(at, xp, fp))
        slopes = np.diff(fp) / np.diff(xp)
        inside = (at > xp[0]) & (at < xp[-1]) & ~np.isin(at, xp)
        assert np.allclose(by_x[inside], slopes[np.searchsorted(xp, at[inside]) - 1])
        assert np.all(by_x[(at < xp[0]) | (at > xp[-1])] == 0)
        assert np.isclose(by_f.sum(), len(at))


def test_facts_about_types() -> None:
    for name in ("float32", "float64"):
        info, theirs = gx.finfo(name), np.finfo(name)
        assert (info.bits, info.eps, info.max, info.min) == (theirs.bits, theirs.eps, theirs.max, theirs.min)
        assert info.smallest_normal == theirs.smallest_normal and info.dtype == gx.finfo(gx.zeros(1, name)).dtype
    assert (gx.iinfo(np.zeros(1, "uint8")).max, gx.iinfo("int64").min) == (255, -(2**63))
    for a in gx.ir.types.DTYPES:
        assert gx.isdtype(a, "numeric") != gx.isdtype(a, "bool")
        assert gx.isdtype(a, "integral") == (gx.isdtype(a, "signed integer") or gx.isdtype(a, "unsigned integer"))
        for b in gx.ir.types.DTYPES:
            if gx.ir.types.bfloat16 not in (a, b):  # which NumPy does not know
                assert gx.result_type(a, b).numpy == np.result_type(a.numpy, b.numpy)
                assert gx.can_cast(a, b) == np.can_cast(a.numpy, b.numpy)
    assert gx.can_cast("bfloat16", "float32") and not gx.can_cast("int64", "bfloat16")
    assert not gx.isdtype("float32", "complex floating") and gx.isdtype("float32", ("bool", gx.float32))


NUMPY: tuple[Row, ...] = tuple(
    (name, function, function)
    for name, function in {
        "cumsum": lambda x: np.cumsum(x, axis=1),
        "cumprod": lambda x: np.cumprod(x),
        "add.accumulate": lambda x: np.add.accumulate(x),
        "maximum.accumulate": lambda x: np.maximum.accumulate(x, axis=1),
        "minimum.accumulate": lambda x: np.minimum.accumulate(x),
        "roll": lambda x: np.roll(x, 3, axis=0),
        "repeat": lambda x: np.repeat(x, 2, axis=1),
        "tile": lambda x: np.tile(x, 2),
        "diff": lambda x: np.diff(x, n=1, axis=0),
        "tril": lambda x: np.tril(x),
        "triu": lambda x: np.triu(x, k=1),
        "meshgrid": lambda x: np.meshgrid(x[0], x[1])[0],
        "count_nonzero": lambda x: np.count_nonzero(x, axis=0),
        "searchsorted": lambda x: np.searchsorted(np.arange(-3.0, 4), x),
        "interp": lambda x: np.interp(x, np.array([-1.0, 1.0]), np.array([0.0, 5.0])),
        "moveaxis": lambda x: np.moveaxis(x, 0, 1),
        "broadcast_arrays": lambda x: np.broadcast_arrays(x, x[0])[1],
        "nextafter": lambda x: np.nextafter(x, x + 1),
    }.items()
)


@pytest.mark.parametrize(("ours", "theirs"), [r[1:] for r in NUMPY], ids=[r[0] for r in NUMPY])
def test_numpy_s_functions_of_symbols(ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    x = gx.placeholder("x", A.shape, "float64")
    got = ours(x).eval({x: A})
    want = theirs(A)
    assert got.dtype == want.dtype and np.array_equal(got, want)


x = gx.placeholder("x", ("n", 3), "float32")
i = gx.placeholder("i", ("n",), "int64")
mask = gx.placeholder("mask", ("n", 3), "bool")
one = gx.placeholder("one", (), "float32")
E = gx.errors
BAD: tuple[tuple[str, Callable[[], Any], type[gx.GraphError], str], ...] = (
    ("cumulative_sum axis", lambda: gx.cumulative_sum(x, axis=2), E.ShapeError, "axis 2 is out of range"),
    ("cumulative_sum two", lambda: gx.cumulative_sum(x, axis=(0, 1)), E.ShapeError, "axis must be an integer"),  # type: ignore[arg-type]
    ("cumulative_sum dtype", lambda: gx.cumulative_sum(x, dtype="complex64"), E.DTypeError, "is not a data type"),
    ("cummax axis", lambda: gx.cummax(one, 0), E.ShapeError, "a 0-d array has no axes"),
    ("logcumsumexp axis", lambda: gx.logcumsumexp(x, 1.5), E.ShapeError, "axis must be an integer"),  # type: ignore[arg-type]
    ("recurrence bools", lambda: gx.linear_recurrence(mask, mask), E.DTypeError, "needs numbers"),
    ("recurrence shapes", lambda: gx.linear_recurrence(x, i), E.ShapeError, "cannot broadcast"),
    ("recurrence axis", lambda: gx.linear_recurrence(x, x, axis=-3), E.ShapeError, "out of range"),
    ("roll shift", lambda: gx.roll(x, 0.5), E.ShapeError, "shift must be an integer"),
    ("roll data", lambda: gx.roll(x, i[0]), E.ShapeError, "shift must be an integer"),
    ("roll shifts", lambda: gx.roll(x, (1, 2, 3), (0, 1)), E.ShapeError, "3 shifts for 2 axes"),
    ("roll axis", lambda: gx.roll(x, 1, 5), E.ShapeError, "axis 5 is out of range"),
    ("repeat negative", lambda: gx.repeat(x, -1), E.ShapeError, "repeats must be a size"),
    ("repeat count", lambda: gx.repeat(x, [1, 2], axis=1), E.ShapeError, "for each of 3 slices"),
    ("repeat float", lambda: gx.repeat(x, [1.0, 2, 3], axis=1), E.ShapeError, "for each of 3 slices"),
    ("repeat named", lambda: gx.repeat(x, [1, 2, 3], axis=0), E.ShapeError, "for each of n slices"),
    ("repeat data", lambda: gx.repeat(x, i, axis=0), E.ShapeError, "the result's size would be data"),
    ("repeat data type", lambda: gx.repeat(x, one, axis=0, total_repeat_length=3), E.DTypeError, "integer repeats"),
    ("tile", lambda: gx.tile(x, (2, -1)), E.ShapeError, "repetitions must be a size"),
    ("diff axis", lambda: gx.diff(one), E.ShapeError, "a 0-d array has no axes"),
    ("diff n", lambda: gx.diff(x, n=-1), E.ShapeError, "n must be at least 0"),
    ("diff prepend", lambda: gx.diff(x, prepend=i), E.ShapeError, "concat"),
    ("moveaxis", lambda: gx.moveaxis(x, (0, 1), 0), E.ShapeError, "as many places as axes"),
    ("moveaxis twice", lambda: gx.moveaxis(x, (0, 0), (0, 1)), E.ShapeError, "as many places as axes"),
    ("eye", lambda: gx.eye(-1), E.ShapeError, "n_rows must be a size"),
    ("eye k", lambda: gx.eye(2, k=0.5), E.ShapeError, "k must be an integer"),  # type: ignore[arg-type]
    ("eye data", lambda: gx.eye(i[0]), E.ShapeError, "n_rows must be a size"),
    ("tril", lambda: gx.tril(i), E.ShapeError, "needs two axes"),
    ("triu", lambda: gx.triu(one), E.ShapeError, "needs two axes"),
    ("linspace", lambda: gx.linspace(0, 1, -1), E.ShapeError, "num must be a size"),
    ("linspace shapes", lambda: gx.linspace(x, i), E.ShapeError, "cannot broadcast"),
    ("meshgrid", lambda: gx.meshgrid(x), E.ShapeError, "needs vectors"),
    ("meshgrid order", lambda: gx.meshgrid(i, indexing="yx"), E.InputError, "indexing must be"),
    ("broadcast_arrays", lambda: gx.broadcast_arrays(x, gx.zeros(2)), E.ShapeError, "cannot broadcast"),
    ("searchsorted rank", lambda: gx.searchsorted(x, 1), E.ShapeError, "a vector to search in"),
    ("searchsorted side", lambda: gx.searchsorted(i, 1, side="both"), E.InputError, "side must be"),
    ("searchsorted sorter", lambda: gx.searchsorted(i, 1, sorter=[0]), E.ShapeError, "a sorter of x1's shape"),
    ("searchsorted types", lambda: gx.searchsorted(i, gx.zeros(2, "uint64")), E.DTypeError, "no exact common type"),
    ("interp sizes", lambda: gx.interp(x, [0.0, 1.0], [1.0]), E.ShapeError, "of one size"),
    ("interp empty", lambda: gx.interp(x, gx.zeros(0), gx.zeros(0)), E.ShapeError, "of one size"),
    ("nonzero size", lambda: gx.nonzero(x), E.ShapeError, "the result's size would be data"),
    ("nonzero 0-d", lambda: gx.nonzero(one, size=1), E.ShapeError, "at least one axis"),
    ("nonzero float", lambda: gx.nonzero(x, size=1.5), E.ShapeError, "size must be a size"),
    ("extract shape", lambda: gx.extract(i > 0, x, size=2), E.ShapeError, "a condition of x's shape"),
    ("extract size", lambda: gx.extract(mask, x), E.ShapeError, "the result's size would be data"),
    ("compress rank", lambda: gx.compress(mask, x, 0, size=2), E.ShapeError, "needs a vector"),
    ("compress long", lambda: gx.compress([True] * 4, x, 1, size=2), E.ShapeError, "no longer"),
    ("finfo", lambda: gx.finfo("int8"), E.DTypeError, "needs a float type"),
    ("iinfo", lambda: gx.iinfo("float32"), E.DTypeError, "needs an integer type"),
    ("isdtype", lambda: gx.isdtype("int8", "floating"), E.InputError, "not a kind"),
    ("can_cast", lambda: gx.can_cast("int8", "complex64"), E.DTypeError, "is not a data type"),
    ("result_type", lambda: gx.result_type(), E.InputError, "at least one"),
    ("nextafter", lambda: gx.nextafter(x, i), E.ShapeError, "cannot broadcast"),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
@pytest.mark.parametrize(("act", "kind", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_wrong_use_is_an_error_at_the_user_s_line(act: Callable[[], Any], kind: type[gx.GraphError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        act()
    assert "test_vocabulary.py" in str(caught.value)
