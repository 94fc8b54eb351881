"""Special functions of single elements against scipy's: values on both backends, at the ends, and gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special

import graphc as gx

Array = np.ndarray[Any, Any]
NAN, INF = float("nan"), float("inf")

PART = np.concatenate([np.linspace(0.001, 0.999, 97), [1e-300, 1e-20, 1e-8, 0.25, 0.5, 0.75, 1 - 1e-10]])
WIDE = np.concatenate([np.linspace(-45, 12, 229), [-1e5, -20.0, -19.999, -10.0, -1.0, -1e-9, 0.0, 37.0]])
PLUS = np.concatenate([np.linspace(0.01, 12, 50), [1e-12, 1e-3, 20.0, 300.0, 1e6]])
ENDS = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, INF, -INF, NAN])
PAIRS = tuple(g.ravel() for g in np.meshgrid(ENDS, ENDS))
GRID = tuple(g.ravel() for g in np.meshgrid(PLUS, PLUS))



@np.vectorize
def betaln(a: float, b: float) -> float:
    """By mpmath: scipy's own is off by 1e-9 where one parameter is a million times the other."""
    return float(mpmath.log(mpmath.beta(a, b)))


# name -> scipy's function, operands at which values are compared, the relative error allowed, operands at the ends
ROWS: dict[str, tuple[Callable[..., Any], tuple[Array, ...], float, tuple[Array, ...]]] = {
    "xlogy": (special.xlogy, GRID, 1e-14, PAIRS),
    "xlog1py": (special.xlog1py, GRID, 1e-14, PAIRS),
    "entr": (special.entr, (PLUS,), 1e-14, (ENDS,)),
    "rel_entr": (special.rel_entr, GRID, 1e-13, PAIRS),
    "kl_div": (special.kl_div, GRID, 1e-13, ()),
    "logit": (special.logit, (PART,), 4e-15, (ENDS,)),
    "ndtr": (special.ndtr, (WIDE[WIDE > -37],), 2e-13, (ENDS,)),
    "log_ndtr": (special.log_ndtr, (WIDE,), 2e-13, (ENDS[:-1],)),
    "ndtri": (special.ndtri, (PART,), 1e-13, (ENDS,)),
    "betaln": (betaln, GRID, 1e-13, ()),
    "logsumexp": (lambda x: special.logsumexp(x), (WIDE,), 1e-14, ()),
}


def allowed(want: Array, name: str, operands: tuple[Array, ...], relative: float) -> Array:
    """Beside the relative error of the value that of the terms it is made of, which may cancel."""
    if name in ("rel_entr", "kl_div"):
        p, q = operands
        return relative * (np.abs(want) + p + q)
    if name == "betaln":
        return relative * (np.abs(want) + 1)
    return relative * np.abs(want)


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
@pytest.mark.parametrize("name", ROWS)
def test_values_are_scipy_s(name: str, backend: str) -> None:
    theirs, operands, relative, ends = ROWS[name]
    for values in (operands, ends):
        if not values:
            continue
        xs = [gx.placeholder(f"x{i}", ("n",), "float64") for i in range(len(values))]
        got = np.asarray(gx.compile(xs, getattr(gx, name)(*xs), backend=backend)(*values))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            want = np.asarray(theirs(*values))
            same = (got == want) | (np.isnan(got) & np.isnan(want))
            good = same | (np.abs(got - want) <= allowed(want, name, values, relative))
        bad = np.flatnonzero(~good)[:5]
        assert good.all(), [(tuple(v[i] for v in values), got.ravel()[i], want.ravel()[i]) for i in bad]


@pytest.mark.parametrize("name", [n for n in ROWS if n not in ("ndtri", "logsumexp")])
def test_float32_follows_float64(name: str) -> None:
    _, operands, _, _ = ROWS[name]
    values = [v.astype("float32") for v in operands]
    xs = [gx.placeholder(f"x{i}", ("n",), "float32") for i in range(len(values))]
    narrow = gx.compile(xs, getattr(gx, name)(*xs))(*values)
    wide = [gx.placeholder(f"x{i}", ("n",), "float64") for i in range(len(values))]
    want = np.asarray(gx.compile(wide, getattr(gx, name)(*wide))(*(v.astype("float64") for v in values)))
    assert narrow.dtype == np.float32
    with np.errstate(all="ignore"):
        room = 2e-5 * (np.abs(want) + sum(np.abs(v.astype("float64")) for v in values) * (len(values) > 1)) + 1e-37
        off = np.abs(narrow - want)
        good = (off <= room) | (narrow == want.astype("float32")) | (np.isnan(narrow) & np.isnan(want)) | (want < -1e37)
    assert good.all(), [(tuple(v[i] for v in values), narrow[i], want[i]) for i in np.flatnonzero(~good)[:5]]


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("xlogy", (np.array([0.5, 2.0, 3.0]), np.array([0.7, 1.0, 9.0]))),
        ("xlog1py", (np.array([0.5, 2.0, 3.0]), np.array([-0.7, 0.0, 9.0]))),
        ("entr", (np.array([0.2, 1.0, 3.0]),)),
        ("rel_entr", (np.array([0.5, 2.0]), np.array([0.7, 1.0]))),
        ("kl_div", (np.array([0.5, 2.0]), np.array([0.7, 1.0]))),
        ("logit", (np.array([0.01, 0.3, 0.5, 0.8]),)),
        ("ndtr", (np.array([-2.0, 0.0, 1.0]),)),
        ("log_ndtr", (np.array([-25.0, -5.0, 0.0, 3.0]),)),
        ("ndtri", (np.array([0.01, 0.3, 0.6, 0.9]),)),
        ("betaln", (np.array([0.5, 2.0, 30.0, 12.0]), np.array([0.7, 20.0, 15.0, 12.0]))),
        ("sinc", (np.array([-1.3, 0.0, 0.1, 0.16, 2.0]),)),
    ],
)
def test_gradients_to_second_order(name: str, points: tuple[Array, ...]) -> None:
    gx.testing.check_grads(getattr(gx, name), points, order=2, atol=1e-6, rtol=1e-6)


def test_gradients_have_no_nan_where_values_have_none() -> None:
    x, y = gx.placeholder("x", (3,), "float64"), gx.placeholder("y", (3,), "float64")
    zero, any_y = np.zeros(3), np.array([0.0, -1.0, 2.0])
    by_x, by_y = gx.compile([x, y], gx.grad(gx.sum(gx.xlogy(x, y)), [x, y]))(zero, any_y)
    assert by_x.tolist() == [0.0, 0.0, np.log(2.0)] and by_y.tolist() == [0.0, 0.0, 0.0]
    slope = gx.compile([x], gx.grad(gx.sum(gx.log_ndtr(x)), x))(np.array([-1e4, -30.0, 40.0]))
    assert np.allclose(slope, [1e4 + 1e-4, 30.03325967, 0.0], rtol=1e-8)
    filled = gx.compile([x], gx.grad(gx.sum(gx.nan_to_num(x)), x))(np.array([1.0, NAN, INF]))
    assert filled.tolist() == [1.0, 0.0, 0.0]


def test_sinc_of_whole_numbers_and_its_slopes_at_0() -> None:
    x = gx.placeholder("x", (), "float64")
    first = gx.grad(gx.sinc(x), x)
    second = gx.grad(first, x)
    values = gx.compile([x], [gx.sinc(x), first, second, gx.grad(gx.grad(second, x), x)])(0.0)
    assert np.allclose(values, [1, 0, -(np.pi**2) / 3, np.pi**4 / 5], rtol=1e-14)


def test_fmax_and_fmin_skip_nan_and_share_ties() -> None:
    a, b = np.array([1.0, NAN, 2.0, NAN]), np.array([NAN, 3.0, 2.0, NAN])
    x, y = gx.placeholder("x", (4,), "float64"), gx.placeholder("y", (4,), "float64")
    high, low, slope = gx.compile([x, y], [gx.fmax(x, y), gx.fmin(x, y), gx.grad(gx.sum(gx.fmax(x, y)), x)])(a, b)
    assert np.array_equal(high, np.fmax(a, b), equal_nan=True) and np.array_equal(low, np.fmin(a, b), equal_nan=True)
    assert slope.tolist() == [1.0, 0.0, 0.5, 0.0]
