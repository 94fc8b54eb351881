"""Array functions made of operations against NumPy's: values on both backends, fixed and named sizes, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx

Array = np.ndarray[Any, Any]
NAN, INF = float("nan"), float("inf")

A = np.random.default_rng(7).normal(size=(4, 6)).round(2)
HOLES = A.copy()
HOLES[0, 1] = HOLES[1, :] = HOLES[3, 5] = NAN
HOLES[2, 0] = -INF

Function = Callable[..., Any]

# One function for graphc's module and NumPy's: xp is gx or np. Results are compared to the bit.
EXACT: dict[str, Function] = {
    "split": lambda xp, x: xp.split(x, 2)[1],
    "split along": lambda xp, x: xp.split(x, 3, axis=1)[2],
    "split at places": lambda xp, x: xp.split(x, [1, 3, 9], 1)[1],
    "split at places, last": lambda xp, x: xp.split(x, [1, -2], 1)[2],
    "array_split": lambda xp, x: xp.concatenate(xp.array_split(x, 4, 1)[::-1], 1) if xp is np else
    gx.concat(gx.array_split(x, 4, 1)[::-1], 1),
    "array_split first": lambda xp, x: xp.array_split(x, 3)[0],
    "hsplit": lambda xp, x: xp.hsplit(x, 2)[1],
    "hsplit vector": lambda xp, x: xp.hsplit(x[0], 2)[1],
    "vsplit": lambda xp, x: xp.vsplit(x, 2)[0],
    "dsplit": lambda xp, x: xp.dsplit(x[None], 3)[0],
    "hstack": lambda xp, x: xp.hstack([x, x[:, :1]]),
    "hstack vectors": lambda xp, x: xp.hstack([x[0], x[1, 0]]),
    "vstack": lambda xp, x: xp.vstack([x, x[0]]),
    "dstack": lambda xp, x: xp.dstack([x, x]),
    "column_stack": lambda xp, x: xp.column_stack([x[:, 0], x]),
    "atleast_1d": lambda xp, x: xp.atleast_1d(x[0, 0]),
    "atleast_2d": lambda xp, x: xp.atleast_2d(x[0]),
    "atleast_3d": lambda xp, x: xp.atleast_3d(x),
    "atleast_3d vector": lambda xp, x: xp.atleast_3d(x[0], x)[0],
    "rot90": lambda xp, x: xp.rot90(x),
    "rot90 thrice": lambda xp, x: xp.rot90(x[None], 3, (1, 2)),
    "rot90 twice": lambda xp, x: xp.rot90(x, -2),
    "fliplr": lambda xp, x: xp.fliplr(x),
    "flipud": lambda xp, x: xp.flipud(x),
    "select": lambda xp, x: xp.select([x > 0.5, x > 0, x > -0.5], [x, 10 * x, x[0, 0]], 3),
    "choose": lambda xp, x: xp.choose((x > 0) * 1, [x, -x]) if xp is np else gx.choose((x > 0).astype("int64"), [x, -x]),
    "choose wrap": lambda xp, x: xp.choose(np.arange(6) - 3, [x, -x, 0 * x], mode="wrap"),
    "choose clip": lambda xp, x: xp.choose(np.arange(6) - 3, [x, -x, 0 * x], mode="clip"),
    "isclose": lambda xp, x: xp.isclose(x, x + 1e-9 * (x > 0) + (x > 1)),
    "isclose ends": lambda xp, x: xp.isclose(x / 0, -x / 0, equal_nan=True),
    "isclose whole": lambda xp, x: xp.isclose(np.array([1, 2, 3]), np.array([1, 2, 4]), atol=0.5),
    "allclose": lambda xp, x: np.asarray(np.allclose(x, x)) if xp is np else gx.allclose(x, x),
    "allclose not": lambda xp, x: np.asarray(np.allclose(x, 0)) if xp is np else gx.allclose(x, 0),
    "array_equal": lambda xp, x: np.asarray(np.array_equal(x, x)) if xp is np else gx.array_equal(x, x),
    "ptp": lambda xp, x: xp.ptp(x, axis=1),
    "ptp all": lambda xp, x: np.asarray(np.ptp(x)) if xp is np else gx.ptp(x),
    "ediff1d": lambda xp, x: xp.ediff1d(x, to_begin=[1.0, 2.0], to_end=9.0),
    "heaviside": lambda xp, x: xp.heaviside(x * (x > 0), 0.5),
    "deg2rad": lambda xp, x: xp.deg2rad(x),
    "rad2deg": lambda xp, x: xp.rad2deg(x),
    "fmax": lambda xp, x: xp.fmax(x, x[::-1]),
    "fmin": lambda xp, x: xp.fmin(x, 0.1),
    "vander": lambda xp, x: xp.vander(x[0]),
    "vander columns": lambda xp, x: xp.vander(x[:, 0], 3, increasing=True),
    "vander whole": lambda xp, x: xp.vander(np.array([2, -3, 0]), 4),
    "polyval": lambda xp, x: xp.polyval(np.array([1.0, -2.0, 0.5]), x),
    "tri": lambda xp, x: xp.tri(x.shape[0], x.shape[1], 1) * x,
    "identity": lambda xp, x: xp.identity(x.shape[1]) * x[0],
    "tril_indices": lambda xp, x: np.stack(np.tril_indices(4, 1, 6)) if xp is np else gx.stack(gx.tril_indices(4, 1, 6)),
    "triu_indices": lambda xp, x: x[xp.triu_indices(4, -1)],
    "diag_indices": lambda xp, x: x[:, :3][xp.diag_indices(3)],
    "indices": lambda xp, x: xp.indices((2, x.shape[1])),
    "unravel_index": lambda xp, x: xp.stack(xp.unravel_index(np.array([[3, 5], [0, 11]]), (2, 3, 2))),
    "ravel_multi_index": lambda xp, x: xp.ravel_multi_index((np.array([1, 0]), np.array([2, 1])), (2, 3)),
    "ravel_multi_index wrap": lambda xp, x: xp.ravel_multi_index((np.array([1, -4]), np.array([7, -1])), (2, 3), mode="wrap"),
    "ravel_multi_index clip": lambda xp, x: xp.ravel_multi_index((np.array([1, -4]), np.array([7, -1])), (2, 3), mode="clip"),
    "append": lambda xp, x: xp.append(x, x[0]),
    "append along": lambda xp, x: xp.append(x, x[:1], axis=0),
    "digitize": lambda xp, x: xp.digitize(x, np.array([-1.0, 0.0, 0.25, 1.0])),
    "digitize right": lambda xp, x: xp.digitize(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0]), right=True),
    "digitize falling": lambda xp, x: xp.digitize(x, np.array([1.0, 0.25, 0.0, -1.0])),
    "digitize falling right": lambda xp, x: xp.digitize(np.array([0.0, 1.0, 2.0, -1.0]), np.array([1.0, 0.0]), right=True),
    "digitize one": lambda xp, x: xp.digitize(x, np.array([0.5])),
    "histogram": lambda xp, x: xp.histogram(x, 5)[0],
    "histogram range": lambda xp, x: xp.histogram(x, 7, range=(-1, 0.5))[0],
    "histogram edges": lambda xp, x: xp.histogram(x, [-1.0, 0.0, 0.25, 3.0])[0],
    "histogram of nothing else": lambda xp, x: xp.histogram(0 * x, 4)[0],
    "histogram_bin_edges": lambda xp, x: xp.histogram_bin_edges(x, 4),
    "histogram_bin_edges range": lambda xp, x: xp.histogram_bin_edges(x, 3, (0, 1)),
    "nan_to_num": lambda xp, x: xp.nan_to_num(x / (x > 0)),
    "nan_to_num given": lambda xp, x: xp.nan_to_num(x / (x > 0), nan=1, posinf=5, neginf=-2),
    "trapezoid": lambda xp, x: xp.trapezoid(x, dx=0.5, axis=0),
    "bartlett": lambda xp, x: xp.bartlett(x.shape[1]) * x,
}  # fmt: skip

# The same, up to rounding.
CLOSE: dict[str, Function] = {
    "average": lambda xp, x: xp.average(x, axis=1),
    "average weights": lambda xp, x: xp.average(x, weights=x * x),
    "average rows": lambda xp, x: xp.average(x, axis=0, weights=x[:, 0] ** 2),
    "average returned": lambda xp, x: xp.average(x, axis=0, weights=x * x, returned=True)[1],
    "average count": lambda xp, x: xp.average(x, axis=0, returned=True)[1],
    "cov": lambda xp, x: xp.cov(x),
    "cov columns": lambda xp, x: xp.cov(x, rowvar=False, bias=True),
    "cov of one": lambda xp, x: xp.cov(x[0]),
    "cov of two": lambda xp, x: xp.cov(x[0], x[1], ddof=2),
    "cov weights": lambda xp, x: xp.cov(x[:, :3], fweights=np.array([1, 2, 3]), aweights=np.array([0.5, 1.0, 2.0])),
    "cov counts": lambda xp, x: xp.cov(x[:, :3], fweights=np.array([1, 2, 3])),
    "corrcoef": lambda xp, x: xp.corrcoef(x),
    "histogram density": lambda xp, x: xp.histogram(x, 5, density=True)[0],
    "histogram weights": lambda xp, x: xp.histogram(x, 5, weights=x * x)[0],
    "histogram weights density": lambda xp, x: xp.histogram(x, 5, weights=x * x, density=True)[0],
    "trapezoid places": lambda xp, x: xp.trapezoid(x, np.arange(6.0) ** 2, axis=1),
    "trapezoid all places": lambda xp, x: xp.trapezoid(x, x * x),
    "inner": lambda xp, x: xp.inner(x, x),
    "inner number": lambda xp, x: xp.inner(x, 3.0),
    "vdot": lambda xp, x: np.asarray(np.vdot(x, 2 * x)) if xp is np else gx.vdot(x, 2 * x),
    "sinc": lambda xp, x: xp.sinc(x),
    "sinc at 0": lambda xp, x: xp.sinc(0 * x),
    "logspace": lambda xp, x: xp.logspace(-1, 2, x.shape[1], base=2.0) * x,
    "geomspace": lambda xp, x: xp.geomspace(1, 1000, x.shape[1]) * x,
    "geomspace below": lambda xp, x: xp.geomspace(-2.0, -1000.0, 5, endpoint=False),
    "hanning": lambda xp, x: xp.hanning(x.shape[1]) * x,
    "hamming": lambda xp, x: xp.hamming(x.shape[1]) * x,
    "blackman": lambda xp, x: xp.blackman(x.shape[1]) * x,
    "convolve": lambda xp, x: xp.convolve(x[0], x[1]),
    "convolve shorter": lambda xp, x: xp.convolve(np.array([1.0, 2.0]), x[1], "same"),
    "convolve same": lambda xp, x: xp.convolve(x[0], np.array([1.0, 2.0, 4.0, 9.0]), "same"),
    "convolve valid": lambda xp, x: xp.convolve(x[0], np.array([1.0, 2.0, 5.0]), mode="valid"),
    "correlate": lambda xp, x: xp.correlate(x[0], np.array([1.0, 2.0, 5.0])),
    "correlate full": lambda xp, x: xp.correlate(x[0], x[1], "full"),
    "correlate whole": lambda xp, x: xp.correlate(np.array([1, 2, 3]), np.array([0, 1]), "full"),
}  # fmt: skip

# Of an array with NaN and infinities.
WITHOUT_NAN: dict[str, Function] = {
    "nansum": lambda xp, x: xp.nansum(x, axis=1),
    "nanprod": lambda xp, x: xp.nanprod(x[:, 1:], axis=1),
    "nancumsum": lambda xp, x: xp.nancumsum(x[:, 1:], axis=1),
    "nancumprod": lambda xp, x: xp.nancumprod(x[:, 1:], axis=0),
    "nanmax": lambda xp, x: xp.nanmax(x, axis=1),
    "nanmin": lambda xp, x: xp.nanmin(x, axis=0, keepdims=True),
    "nanargmax": lambda xp, x: xp.nanargmax(x, axis=0),
    "nanargmin": lambda xp, x: xp.nanargmin(x, axis=0),
    "nanmean": lambda xp, x: xp.nanmean(x, axis=1),
    "nanmean all": lambda xp, x: np.asarray(np.nanmean(x[:, 1:])) if xp is np else gx.nanmean(x[:, 1:]),
    "nanvar": lambda xp, x: xp.nanvar(x[:, 1:], axis=1, ddof=1),
    "nanstd": lambda xp, x: xp.nanstd(x[:, 1:], axis=1, keepdims=True),
    "nanmedian": lambda xp, x: xp.nanmedian(x, axis=1),
    "nanmedian columns": lambda xp, x: xp.nanmedian(x, axis=0, keepdims=True),
    "nanquantile": lambda xp, x: xp.nanquantile(x[:, 1:], np.array([0.0, 0.3, 1.0]), axis=1),
    "nanquantile all": lambda xp, x: np.asarray(np.nanquantile(x[:, 1:], 0.3)) if xp is np else gx.nanquantile(x[:, 1:], 0.3),
    "nanquantile method": lambda xp, x: xp.nanquantile(x[:, 1:], 0.4, axis=0, method="hazen"),
    "nanquantile discrete": lambda xp, x: xp.nanquantile(x[:, 1:], 0.4, axis=0, method="closest_observation"),
    "nanpercentile": lambda xp, x: xp.nanpercentile(x[:, 1:], 40, axis=1, keepdims=True),
}  # fmt: skip


def both(function: Function, values: Array, shape: Any, backend: str) -> Array:
    x = gx.placeholder("x", shape, values.dtype)
    return np.asarray(gx.compile([x], function(gx, x), backend=backend)(values))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
@pytest.mark.parametrize("name", [*EXACT, *CLOSE, *WITHOUT_NAN])
def test_values_are_numpy_s(name: str, backend: str) -> None:
    function = {**EXACT, **CLOSE, **WITHOUT_NAN}[name]
    values = HOLES if name in WITHOUT_NAN else A
    with np.errstate(all="ignore"):
        want = np.asarray(function(np, values))
        for shape in ((4, 6), ("n", 6), (4, "m"), ("n", "m")):
            try:
                got = both(function, values, shape, backend)
            except gx.GraphError:
                assert shape != (4, 6)  # what needs fixed sizes
                continue
            assert (got.dtype, got.shape) == (want.dtype, want.shape), shape
            if name in EXACT:
                assert np.array_equal(got, want, equal_nan=got.dtype.kind == "f"), (shape, got, want)
            else:
                assert np.allclose(got, want, 1e-12, 1e-12, equal_nan=True), (shape, got, want)


def test_all_take_named_sizes() -> None:
    """But where they stand beside what the table gives a fixed size."""
    refused = set()
    for name in (*EXACT, *CLOSE, *WITHOUT_NAN):
        function = {**EXACT, **CLOSE, **WITHOUT_NAN}[name]
        x = gx.placeholder("x", ("n", "m"), "float64")
        try:
            function(gx, x)
        except gx.GraphError:
            refused.add(name)
    assert refused == {"choose wrap", "choose clip", "cov weights", "cov counts", "trapezoid places"}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [*EXACT, *CLOSE, *WITHOUT_NAN])
def test_numpy_s_functions_of_symbols(name: str) -> None:
    function = {**EXACT, **CLOSE, **WITHOUT_NAN}[name]
    values = HOLES if name in WITHOUT_NAN else A
    x = gx.placeholder("x", values.shape, "float64")
    proxy = Both()
    with np.errstate(all="ignore"):
        got, want = gx.ops.as_tensor(function(proxy, x)).eval({x: values}), np.asarray(function(np, values))
    assert got.dtype == want.dtype and np.allclose(got, want, 1e-12, 1e-12, equal_nan=True)


class Both:
    """NumPy's functions where they are given a symbol, else graphc's."""

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            symbols = [a for v in args for a in (v if isinstance(v, (list, tuple)) else [v]) if isinstance(a, gx.Tensor)]
            return getattr(np if symbols else gx, name)(*args, **options)

        return call


# --- what NumPy has no word for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_bincount(backend: str, count: int) -> None:
    rng = np.random.default_rng(count)
    values, weights = rng.integers(0, 5, count), rng.normal(size=count)
    x, w = gx.placeholder("x", ("n",), "int64"), gx.placeholder("w", ("n",), "float64")
    y = gx.bincount(x, w, length=5)
    run = gx.compile([x, w], [gx.bincount(x, length=5), y, gx.grad(gx.sum(y * y), w)], backend=backend)
    counts, sums, slope = run(values, weights)
    assert np.array_equal(counts, np.bincount(values, minlength=5)) and counts.dtype == np.int64
    assert np.allclose(sums, np.bincount(values, weights, 5)) and np.allclose(slope, 2 * sums[values])


def test_bincount_drops_what_is_out_of_range() -> None:
    x = gx.constant([-1, 0, 3, 7, 3])
    assert gx.bincount(x, length=4).eval().tolist() == [1, 0, 0, 2]
    assert gx.bincount(x, length=0).eval().tolist() == []
    assert gx.bincount(x, length=2, minlength=3).eval().tolist() == [1, 0, 0]
    assert gx.bincount(x, [1, 1, 1, 1, 2], length=4).eval().tolist() == [1.0, 0.0, 0.0, 3.0]
    assert gx.bincount(gx.constant(np.array([250, 3], "uint8")), length=4).eval().tolist() == [0, 0, 0, 1]


def test_histogram_of_a_named_number_of_bins_and_of_nan() -> None:
    x = gx.placeholder("x", ("n",), "float32")
    values = np.array([0.1, NAN, 0.5, 2.0, -1.0, 1.0], "float32")
    counts, edges = gx.compile([x], gx.histogram(x, 4, range=(0, 1)))(values)
    assert counts.tolist() == [1, 0, 1, 1]
    want = np.histogram(values[~np.isnan(values)], 4, range=(0, 1))
    assert np.array_equal(counts, want[0]) and np.array_equal(edges, want[1]) and edges.dtype == want[1].dtype
    b = gx.placeholder("b", ("bins",), "float64")
    found, _ = gx.compile([x, b], gx.histogram(x, b.shape[0], range=(0, 1)))(values, np.zeros(3))
    assert np.array_equal(found, np.histogram(values[~np.isnan(values)], 3, range=(0, 1))[0])
    many = np.random.default_rng(0).normal(size=5000).astype("float32")
    assert np.array_equal(gx.compile([x], gx.histogram(x, 50)[0])(many), np.histogram(many, 50)[0])
    whole = gx.placeholder("i", ("n",), "int64")
    assert np.array_equal(gx.compile([whole], gx.histogram(whole, 3)[1])([1, 5, 2]), np.histogram([1, 5, 2], 3)[1])
    assert np.array_equal(gx.compile([whole], gx.histogram(whole, 3)[0])([1, 5, 2]), np.histogram([1, 5, 2], 3)[0])


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 1), (1, 4), (5, 2), (5, 4), (2, 5), (4, 5), (5, 5), (300, 17)])
def test_convolution_of_all_sizes(mode: str, n: int, m: int) -> None:
    rng = np.random.default_rng(n + m)
    a, v = rng.normal(size=n), rng.normal(size=m)
    x, y = gx.placeholder("x", (n,), "float64"), gx.placeholder("y", (m,), "float64")
    p, q = gx.placeholder("p", ("n",), "float64"), gx.placeholder("q", ("m",), "float64")
    for backend in ("interpreter", "llvm"):
        made, crossed = gx.compile([x, y], [gx.convolve(x, y, mode), gx.correlate(x, y, mode)], backend=backend)(a, v)
        assert np.allclose(made, np.convolve(a, v, mode)) and np.allclose(crossed, np.correlate(a, v, mode))
        assert np.allclose(gx.compile([p, q], gx.convolve(p, q, mode), backend=backend)(a, v), np.convolve(a, v, mode))
        if mode == "full":
            assert np.allclose(gx.compile([p, q], gx.correlate(p, q, mode), backend=backend)(a, v), np.correlate(a, v, mode))
        if mode == "valid" and n >= m:
            assert np.allclose(gx.compile([p, q], gx.correlate(p, q), backend=backend)(a, v), np.correlate(a, v))


GRADIENTS: dict[str, Function] = {
    "convolve": lambda x: gx.convolve(x[0], x[1]),
    "convolve, shorter first": lambda x: gx.convolve(x[0, :2], x[1], "same"),
    "correlate": lambda x: gx.correlate(x[0], x[1, :3]),
    "split": lambda x: [part * part for part in gx.split(x, 2, 1)],
    "select": lambda x: gx.select([x > 0.5, x > 0], [x * x, 3 * x], x**3),
    "cov": lambda x: gx.cov(x),
    "corrcoef": lambda x: gx.corrcoef(x),
    "average": lambda x: gx.average(x, axis=0, weights=x * x),
    "trapezoid": lambda x: gx.trapezoid(x, x * x * x, axis=0),
    "polyval": lambda x: gx.polyval(x[0], x),
    "vander": lambda x: gx.vander(x[0]),
    "sliding_window_view": lambda x: gx.sliding_window_view(x, (2, 3)) ** 2,
    "histogram weights": lambda x: gx.histogram(np.arange(24.0).reshape(4, 6), 5, weights=x * x)[0],
    "ptp": lambda x: gx.ptp(x, axis=1) ** 2,
    "inner": lambda x: gx.inner(x, x),
    "nanmean": lambda x: gx.nanmean(gx.where(x > 1, NAN, x) ** 2, axis=1),
    "nanvar": lambda x: gx.nanvar(gx.where(x > 1, NAN, x), axis=1),
    "nanmedian": lambda x: gx.nanmedian(gx.where(x > 1, NAN, x) ** 2, axis=1),
    "nanquantile": lambda x: gx.nanquantile(gx.where(x > 1, NAN, x), 0.3, axis=1) ** 2,
    "nanprod": lambda x: gx.nanprod(gx.where(x > 1, NAN, x), axis=1),
    "geomspace": lambda x: gx.geomspace(x[0] ** 2 + 1, x[1] ** 2 + 2, 4),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_the_values(name: str) -> None:
    gx.testing.check_grads(GRADIENTS[name], [A + 0.003 * np.cos(np.arange(24)).reshape(4, 6)], atol=1e-5, rtol=1e-5, eps=1e-4)


def test_rows_of_nan_alone_leave_gradients_finite() -> None:
    x = gx.placeholder("x", (4, 6), "float64")
    for function in (gx.nanmean, gx.nanmax, gx.nanmin, gx.nansum, gx.nanvar, gx.nanmedian):
        slope = gx.compile([x], gx.grad(gx.nansum(function(x[:, 1:], axis=1)), x))(HOLES)
        assert np.isfinite(slope).all() and (slope[1] == 0).all() and (slope[0, 2:] != 0).any(), function


def test_nanargmax_of_nothing_is_minus_one() -> None:
    x = gx.constant([[NAN, NAN], [1.0, NAN]])
    assert gx.nanargmax(x, axis=1).eval().tolist() == [-1, 0] and gx.nanargmin(x, axis=1).eval().tolist() == [-1, 0]


@pytest.mark.parametrize("shape", [(7,), ("n",)])
def test_windows_that_slide(shape: Any) -> None:
    x = gx.placeholder("x", shape, "float64")
    values = np.arange(7.0) ** 2
    for backend in ("interpreter", "llvm"):
        got = gx.compile([x], gx.sliding_window_view(x, 3)[::2], backend=backend)(values)
        assert np.array_equal(got, np.lib.stride_tricks.sliding_window_view(values, 3)[::2])


def test_array_equal_of_shapes() -> None:
    n = gx.placeholder("n", ("n",), "float64")
    assert not gx.array_equal(n, gx.zeros((2, 2))).eval()
    assert not gx.array_equal(gx.zeros(("k", 2)), gx.zeros(("k", 3))).eval()
    assert gx.array_equal(gx.constant([1.0, NAN]), [1.0, NAN], equal_nan=True).eval()
    assert not gx.array_equal(gx.constant([1.0, NAN]), [1.0, NAN]).eval()


x = gx.placeholder("x", ("n", 3), "float32")
i = gx.placeholder("i", ("n",), "int64")
one = gx.placeholder("one", (), "float32")
E = gx.errors
BAD: tuple[tuple[str, Callable[[], Any], type[gx.GraphError], str], ...] = (
    ("split", lambda: gx.split(x, 2, 1), E.ShapeError, "3 does not divide into 2 equal parts"),
    ("split none", lambda: gx.split(x, 0), E.ShapeError, "must be at least 1"),
    ("split by half", lambda: gx.split(x, 1.5), E.ShapeError, "must be an integer"),
    ("split by data", lambda: gx.split(x, i[0]), E.ShapeError, "must be an integer"),
    ("vsplit", lambda: gx.vsplit(i, 2), E.ShapeError, "at least 2 axes"),
    ("select", lambda: gx.select([x > 0], [x, x]), E.ShapeError, "as many conditions as choices"),
    ("select float", lambda: gx.select([x], [x]), E.InputError, "a condition is"),
    ("choose", lambda: gx.choose(x, [x]), E.InputError, "needs integers"),
    ("choose mode", lambda: gx.choose(i, [i], mode="round"), E.InputError, "mode must be"),
    ("rot90", lambda: gx.rot90(x, axes=(0, 0)), E.ShapeError, "needs two axes"),
    ("bincount", lambda: gx.bincount(i), E.ShapeError, "give length="),
    ("bincount float", lambda: gx.bincount(x[:, 0], length=3), E.DTypeError, "counts integers"),
    ("bincount weights", lambda: gx.bincount(i, x, length=3), E.ShapeError, "weights of"),
    ("histogram", lambda: gx.histogram(x, "auto"), E.InputError, "a size cannot be data"),
    ("histogram none", lambda: gx.histogram(x, 0), E.ShapeError, "at least 1"),
    ("histogram range", lambda: gx.histogram(x, range=(2, 1)), E.InputError, "the smaller one first"),
    ("histogram weights", lambda: gx.histogram(x, weights=i), E.ShapeError, "weights of"),
    ("digitize", lambda: gx.digitize(x, x), E.ShapeError, "bins must be a vector"),
    ("array_equal", lambda: gx.array_equal(i, [1, 2]), E.ShapeError, "not known"),
    ("average", lambda: gx.average(x, weights=[1, 2, 3]), E.ShapeError, "that of the axes"),
    ("cov", lambda: gx.cov(gx.zeros((2, 2, 2))), E.ShapeError, "a vector or a matrix"),
    ("cov weights", lambda: gx.cov(x, fweights=[1]), E.ShapeError, "observations"),
    ("trapezoid", lambda: gx.trapezoid(x, [1.0, 2.0]), E.ShapeError, "not the places"),
    ("convolve", lambda: gx.convolve(x, i), E.ShapeError, "needs two vectors"),
    ("convolve empty", lambda: gx.convolve(gx.zeros(0), i), E.ShapeError, "not empty"),
    ("convolve mode", lambda: gx.convolve(i, i, "half"), E.InputError, "mode must be"),
    ("correlate", lambda: gx.correlate(i, gx.placeholder("j", ("m",), "int64"), "same"), E.ShapeError, "longer is not known"),
    ("polyval", lambda: gx.polyval(x, 1.0), E.ShapeError, "must be a vector"),
    ("vander", lambda: gx.vander(x), E.ShapeError, "needs a vector"),
    ("unravel_index", lambda: gx.unravel_index(x, (2, 3)), E.InputError, "needs integers"),
    ("ravel_multi_index", lambda: gx.ravel_multi_index((i,), (2, 3)), E.ShapeError, "1 indices for 2 axes"),
    ("tril_indices", lambda: gx.tril_indices("n"), E.ShapeError, "would be no size"),
    ("sliding_window_view", lambda: gx.sliding_window_view(x, 4, 1), E.ShapeError, "a window of 4"),
    ("nanvar", lambda: gx.nanvar(x, correction=True), E.DTypeError, "correction must be a number"),
    ("nan_to_num", lambda: gx.nan_to_num(x, nan="0"), E.InputError, "must be a number"),
    ("hstack", lambda: gx.hstack([]), E.ShapeError, "at least one array"),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
@pytest.mark.parametrize(("act", "kind", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_wrong_use_is_an_error_at_the_user_s_line(act: Function, kind: type[gx.GraphError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        act()
    assert "test_array_functions.py" in str(caught.value)


def test_a_named_size_that_does_not_divide_is_refused_by_the_call() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    run = gx.compile([x], gx.split(x, 3)[1])
    assert run(np.arange(6.0)).tolist() == [2.0, 3.0]
    with pytest.raises(gx.errors.ShapeError, match="leaves a rest"):
        run(np.arange(7.0))
