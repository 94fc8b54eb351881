"""The expansion of scalar operations into primitives: exact ones bit for bit NumPy's, the others within their bounds in ulp."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import ulp
from ml_dtypes import finfo

import graphc as gx
from graphc.ir import types as t
from graphc.ir.combines import ADD
from graphc.ir.operation import VOCABULARY, Pointwise
from graphc.ir.program import Axis, Init, Kernel, Load, Loop, Param, Program, Reduce, Store, bodies, statements_of
from graphc.ir.scalar import Const, Let, Ref
from graphc.ir.target import HOST
from graphc.ir.types import TensorType
from graphc.passes.elementary import gamma, inverse, logarithm, power, trigonometric
from graphc.passes.expand_math import expand_kernel, expand_math, is_primitive

ROUNDED = {*ulp.UNARY, *ulp.BINARY}


def special(dtype):
    """Values of a type at which rules differ."""
    r = np.random.default_rng(0)
    if dtype.is_bool:
        return np.array([False, True])
    if dtype.is_float:
        info = finfo(dtype.numpy)
        limits = [float(v) for v in (info.max, info.tiny, info.smallest_subnormal)]
        values = [0, 0.5, 1, 1.5, 2, 2.5, 3, 7, 0.1, 0.3, 0.7, 1e-5, 1e10, 2.0**30, np.inf, np.nan, *limits]
        with np.errstate(over="ignore"):
            values = np.array([*values, *r.standard_normal(8) * 10], dtype.numpy)
        return np.concatenate([values, -values])
    info = np.iinfo(dtype.numpy)
    values = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, info.max, info.max - 1, info.max // 2]
    values += [info.min, info.min + 1, -1, -2, -3, -5, -7, -8, -64, -100] if info.min else []
    return np.concatenate([np.array(values, dtype.numpy), r.integers(info.min, info.max, 15, dtype.numpy)])


def exact_operations(dtype):
    """The elementwise operations on operands of a type that give NumPy's bits."""
    for op in VOCABULARY.values():
        if not isinstance(op.lowering, Pointwise) or not op.lowering.elementwise or op.name in ("astype", "bitcast"):
            continue
        if op.name in ROUNDED and not (op.name == "pow" and dtype.is_integer):
            continue
        operands = [TensorType(dtype, ("n",))] * op.arity
        if op.name == "where":
            operands[0] = TensorType(t.bool_, ("n",))
        try:
            op.infer(*operands)
        except gx.GraphError:
            continue
        yield op


@pytest.mark.parametrize("dtype", t.DTYPES, ids=str)
def test_exact_operations_give_the_bits_of_numpy(dtype):
    x, y = gx.placeholder("x", ("n",), dtype), gx.placeholder("y", ("n",), dtype)
    c = gx.placeholder("c", ("n",), "bool")
    found = list(exact_operations(dtype))
    outputs = {op.name: op(*([c, x, y] if op.name == "where" else [x, y][: op.arity])) for op in found}
    a, b = (v.ravel() for v in np.meshgrid(special(dtype), special(dtype)))
    args = (a, b, np.arange(a.size) % 3 == 0)
    native = gx.compile([x, y, c], outputs)(*args)
    with np.errstate(all="ignore"):
        reference = gx.compile([x, y, c], outputs, backend="interpreter")(*args)
    assert len(found) > 8
    for name in outputs:
        got, wanted = native[name], reference[name]
        assert got.dtype == wanted.dtype
        same = got == wanted
        if t.as_dtype(wanted.dtype).is_float:
            same = (same & (np.signbit(got) == np.signbit(wanted))) | (np.isnan(got) & np.isnan(wanted))
        bad = np.flatnonzero(~same)
        assert bad.size == 0, f"{name} of {a[bad[0]]}, {b[bad[0]]} is {got[bad[0]]}, not {wanted[bad[0]]}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainders_have_the_bits_of_numpy_for_quotients_of_any_size(dtype):
    x, y = gx.placeholder("x", ("n",), dtype), gx.placeholder("y", ("n",), dtype)
    r = np.random.default_rng(2)
    info, count = np.finfo(dtype), 20_000
    integer = {"float32": np.uint32, "float64": np.uint64}[dtype]

    def scattered():
        return r.integers(0, np.iinfo(integer).max, count, integer, endpoint=True).view(dtype)

    small = r.integers(0, 2**20, count).astype(integer).view(dtype)
    large = (info.max * r.uniform(0.5, 1, count)).astype(dtype)
    unit = (1 + r.integers(0, 4, count) * info.eps).astype(dtype)
    mid = (r.standard_normal(count) * 10).astype(dtype)
    multiples = (mid * r.integers(-(10**6), 10**6, count)).astype(dtype)
    dividends = np.concatenate([scattered(), scattered(), large, large, large, small, multiples])
    divisors = np.concatenate([scattered(), small, small, unit, (2 - unit / 2).astype(dtype), r.permutation(small), mid])
    with np.errstate(all="ignore"):
        wanted = {"quotient": np.floor_divide(dividends, divisors), "rest": np.remainder(dividends, divisors)}
        wanted["left"] = np.fmod(dividends, divisors)
    functions = {"quotient": gx.floor_divide(x, y), "rest": gx.remainder(x, y), "left": gx.fmod(x, y)}
    got = gx.compile([x, y], functions)(dividends, divisors)
    for name in wanted:
        number = ~np.isnan(wanted[name])
        np.testing.assert_array_equal(got[name], wanted[name])
        np.testing.assert_array_equal(np.signbit(got[name][number]), np.signbit(wanted[name][number]))


@pytest.mark.parametrize("dtype", t.INTEGERS, ids=str)
def test_integer_powers_wrap(dtype):
    x, y = gx.placeholder("x", ("n",), dtype), gx.placeholder("y", ("n",), dtype)
    r = np.random.default_rng(1)
    info = np.iinfo(dtype.numpy)
    a = r.integers(info.min, info.max, 500, dtype.numpy, endpoint=True)
    b = r.integers(0, info.max, 500, dtype.numpy, endpoint=True) >> r.integers(0, dtype.bits - 1, 500).astype(dtype.numpy)
    variable, fixed = gx.compile([x, y], [gx.pow(x, y), gx.pow(x, 13)])(a, b)
    wanted = [pow(int(p), int(q), 2**dtype.bits) for p, q in zip(a, b, strict=True)]
    np.testing.assert_array_equal(variable, np.array(wanted, "uint64").astype(dtype.numpy))
    np.testing.assert_array_equal(fixed, np.array([pow(int(p), 13, 2**dtype.bits) for p in a], "uint64").astype(dtype.numpy))


@pytest.mark.parametrize("names", list(ulp.groups(ulp.UNARY + ulp.BINARY)), ids=lambda names: names[0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_in_ulp(dtype, names):
    measure = ulp.measure32 if dtype == "float32" else ulp.measure64
    found = measure(names, sample=True)
    assert [w.name for w in found] == list(names)
    assert all(w.good for w in found), "\n".join(map(str, found))


INF, NAN, ZERO_OF_DIGAMMA = math.inf, math.nan, 1.4616321449683623
# function -> (argument, result), exact in float32 and float64; of functions of one argument, the arguments that C's annex F and
# SciPy name: limits, poles, zeros, signs of zero, the ends of domains. "tiny" is the smallest subnormal, "max" the largest float.
SPECIAL_VALUES = {
    "exp": [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0.0), ("max", INF), ("-max", 0.0), ("tiny", 1)],
    "exp2": [(0.0, 1), (INF, INF), (-INF, 0.0), (10.0, 1024), (-3.0, 0.125), ("max", INF), ("-max", 0.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1), ("tiny", "tiny"), ("-tiny", "-tiny"), ("-max", -1)],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (INF, INF), (-1.0, NAN), (-INF, NAN)],
    "log2": [(0.0, -INF), (1.0, 0.0), (8.0, 3), (INF, INF), (-1.0, NAN)],
    "log10": [(0.0, -INF), (1.0, 0.0), (1000.0, 3), (INF, INF), (-1.0, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (INF, INF), (-2.0, NAN), ("tiny", "tiny"), ("-tiny", "-tiny")],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), ("tiny", "tiny"), ("-tiny", "-tiny")],
    "cos": [(0.0, 1), (-0.0, 1), (INF, NAN), (-INF, NAN), ("tiny", 1)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), ("tiny", "tiny"), ("-tiny", "-tiny")],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.5, NAN), (INF, NAN), ("tiny", "tiny"), ("-tiny", "-tiny")],
    "acos": [(1.0, 0.0), (1.5, NAN), (-1.5, NAN), (-INF, NAN)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), ("tiny", "tiny"), ("-tiny", "-tiny")],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), ("max", INF), ("-max", -INF), ("tiny", "tiny")],
    "cosh": [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, INF), ("-max", INF)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), ("max", 1), ("tiny", "tiny"), ("-tiny", "-tiny")],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), ("tiny", "tiny"), ("-tiny", "-tiny")],
    "acosh": [(1.0, 0.0), (0.5, NAN), (-INF, NAN), (INF, INF)],
    "atanh": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN), ("tiny", "tiny")],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), ("max", 1), ("-max", -1)],
    "erfc": [(0.0, 1), (-0.0, 1), (INF, 0.0), (-INF, 2), ("max", 0.0), ("-max", 2), ("tiny", 1)],
    "erfinv": [(0.0, 0.0), (-0.0, -0.0), (1.0, INF), (-1.0, -INF), (1.5, NAN), (-1.5, NAN), (INF, NAN), (-INF, NAN)],
    "lgamma": [
        (1.0, 0.0), (2.0, 0.0), (0.0, INF), (-0.0, INF), (-1.0, INF), (-2.0, INF), (-1e6, INF), (INF, INF), (-INF, INF),
        ("max", INF), ("-max", INF),
    ],
    "digamma": [(0.0, -INF), (-0.0, INF), (-1.0, NAN), (-2.0, NAN), (-1e6, NAN), (INF, INF), (-INF, NAN), ("-max", NAN)],
    "sigmoid": [(0.0, 0.5), (INF, 1), (-INF, 0.0), ("max", 1), ("-max", 0.0)],
    "softplus": [(INF, INF), (-INF, 0.0), ("max", "max"), ("-max", 0.0)],
    "cbrt": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (27.0, 3), (-8.0, -2)],
}  # fmt: skip


def extreme(value, dtype):
    info = np.finfo(dtype)
    named = {"max": info.max, "-max": -info.max, "tiny": info.smallest_subnormal, "-tiny": -info.smallest_subnormal}
    return named.get(value, value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(dtype):
    x = gx.placeholder("x", ("n",), dtype)
    run = gx.compile([x], {name: getattr(gx, name)(x) for name in SPECIAL_VALUES})
    assert set(SPECIAL_VALUES) == set(ulp.UNARY)
    places = {name: [extreme(a, dtype) for a, _ in table] for name, table in SPECIAL_VALUES.items()}
    for name, table in SPECIAL_VALUES.items():
        given = np.array([*places[name], NAN], dtype)
        wanted = np.array([*(extreme(y, dtype) for _, y in table), NAN], dtype)
        got = run(given)[name]
        for a, found, value in zip(given, got, wanted, strict=True):
            assert found == value or (np.isnan(found) and np.isnan(value)), f"{name} of {a} is {found}, not {value}"
            assert np.isnan(value) or np.signbit(found) == np.signbit(value), f"{name} of {a} has the wrong sign"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "joints"),
    [
        ("erfc", (-27.3, -0.75, 0.0, 0.75, 5.0, 26.0)), ("erfinv", (-0.9, 0.0, 0.5, 0.9)),
        ("lgamma", (2.5, 3.5, 4.5, 5.5, 100.0)), ("digamma", (1.0, ZERO_OF_DIGAMMA, 2.5, 3.5, 4.5, 5.5, 100.0)),
    ],
    ids=["erfc", "erfinv", "lgamma", "digamma"],
)  # fmt: skip
def test_pieces_of_a_function_join_without_a_step(dtype, name, joints):
    """Monotonic functions stay so, up to their bound, from one formula to the next."""
    x = gx.placeholder("x", ("n",), dtype)
    falling = name == "erfc"
    run = gx.compile([x], getattr(gx, name)(x))
    for joint in joints:
        steps = np.arange(-2000, 2000) * np.spacing(np.array(max(abs(joint), 0.1), dtype)) + np.array(joint, dtype)
        y = run(steps.astype(dtype))
        fall = np.diff(y) if falling else -np.diff(y)
        assert np.all(fall <= ulp.BOUNDS[name] * np.spacing(np.abs(y[:-1]))), f"{name} near {joint}"
        assert (y[-1] - y[0]) * (-1 if falling else 1) >= 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lgamma_follows_its_recurrence_across_the_poles(dtype):
    """gamma(x + 1) = x * gamma(x), on both sides of the poles, where lgamma is large."""
    x = gx.placeholder("x", ("n",), dtype)
    off = np.array([2.0**-20, -(2.0**-20), 2.0**-10], dtype)
    for pole in (0.0, -1.0, -2.0, -7.0):
        at = (pole + off).astype(dtype)
        upper, lower = (gx.compile([x], gx.lgamma(x))(at + shift) for shift in (np.array(1, dtype), np.array(0, dtype)))
        np.testing.assert_allclose(upper, lower + np.log(np.abs(at)), rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


# By mpmath with 40 digits.
POLYGAMMA = (
    (1, -0.5, 8.934802200544679), (1, -1.25, 19.181879647671607), (2, -0.5, -0.82879664423432), (2, -3.7, -68.89345468867354),
    (3, -1.5, 194.59427621918763), (3, 0.3, 743.1417646550498),
)  # fmt: skip


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_polygamma_below_0(backend: str) -> None:
    import mpmath

    x = gx.placeholder("x", (3,), "float64")
    for n, at, value in POLYGAMMA:
        assert abs(float(mpmath.polygamma(n, mpmath.mpf(at))) - value) <= 1e-13 * abs(value)
        p = gx.polygamma(n, x)
        y, slope, pole = gx.compile([x], [p, gx.grad(gx.sum(p), x), gx.polygamma(n, x - x)], backend=backend)([at, at, -7.0])
        np.testing.assert_allclose(y[:2], value, rtol=4e-15)
        np.testing.assert_allclose(slope[0], float(mpmath.polygamma(n + 1, mpmath.mpf(at))), rtol=1e-13)
        assert y[2] == (np.inf if n % 2 else -np.inf) and pole[0] == y[2]
    psi = gx.compile([x], gx.grad(gx.sum(gx.digamma(x)), x), backend=backend)([-0.5, -1.25, -np.inf])
    np.testing.assert_allclose(psi, [POLYGAMMA[0][2], POLYGAMMA[1][2], np.inf], rtol=4e-15)


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_float32_is_within_its_bound_beside_the_zeros_below_0(name):
    """Where the float64 formulas, which float32 is rounded from, have lost most of their digits."""
    x = gx.placeholder("x", ("n",), "float32")
    run = gx.compile([x], getattr(gx, name)(x))
    grid = -np.geomspace(0.01, 60, 400_000).astype(np.float32)
    y = run(grid)
    crossings = grid[:-1][(np.sign(y[:-1]) * np.sign(y[1:]) < 0) & (np.abs(y[:-1]) < 3)]
    beside = (crossings[:, None] + np.arange(-200, 200) * np.spacing(crossings)[:, None]).astype(np.float32).ravel()
    smallest = beside[np.argsort(np.abs(run(beside)))[:300]]
    assert len(crossings) > 8
    with mpmath.workprec(120):
        exact = [ulp.EXACT.get(name, mpmath.digamma)(mpmath.mpf(float(v))) for v in smallest]
        errors = [abs(mpmath.mpf(float(g)) - e) for g, e in zip(run(smallest), exact, strict=True)]
    units = [float(np.spacing(np.float32(abs(e)))) for e in exact]
    assert max(float(e) / u for e, u in zip(errors, units, strict=True)) <= ulp.BOUNDS[name]


def test_polygamma_is_the_derivative_of_digamma():
    at = np.array([1e-3, 0.1, 0.7, 1.0, 1.4616, 3.3, 12.0, 1e4])
    x = gx.placeholder("x", ("n",), "float64")
    orders = range(5)
    found = gx.compile([x], [gx.polygamma(n, x) for n in orders])(at)
    for n, got in zip(orders, found, strict=True):
        np.testing.assert_allclose(got, [float(mpmath.polygamma(n, v)) for v in at], rtol=2e-15 * 2 ** (n + 1))
    third = gx.grad(gx.sum(gx.grad(gx.sum(gx.grad(gx.sum(gx.lgamma(x)), x)), x)), x).eval({x: at})
    np.testing.assert_allclose(third, [float(mpmath.polygamma(2, v)) for v in at], rtol=1e-13)
    assert gx.polygamma(2, gx.constant([3], "int32")).dtype == gx.float64
    for wrong in (-1, 1.0, True):
        with pytest.raises(gx.GraphError, match="the order must be an integer of at least 0"):
            gx.polygamma(wrong, x)


@pytest.mark.parametrize("name", [*ulp.UNARY, *ulp.BINARY, "floor_divide", "remainder", "fmod"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_formulas_are_straight_code_of_vectors(name, dtype, monkeypatch):
    """Code without a call of a library, and arithmetic on several elements at once, where fma is an instruction."""
    monkeypatch.setenv("GRAPHC_CACHE", "0")
    args = [gx.placeholder(n, ("vector_code",), dtype) for n in "ab"[: 1 + (name not in ulp.UNARY)]]
    (kernel,) = gx.compile(args, getattr(gx, name)(*args), target=HOST).kernels
    text = kernel.llvm
    called = set(re.findall(r"call .*?@([\w.]+)\(", text)) - set(re.findall(r"define .*?@([\w.]+)\(", text))
    assert "frem" not in text and not [c for c in called if not c.startswith("llvm.")], name
    assert re.search(r"fmul <\d+ x (float|double)>|@llvm.fma.v\d+f(32|64)\(", text), name


def test_the_page_of_errors_keeps_what_was_not_measured_again():
    worst = {n: ulp.Worst(n, "float32", 0.75, (1.5,), 2.0, "2", 2**32) for n in ("exp", "log")}
    first = ulp.page(worst.values())
    assert [m[1] for m in ulp.ROW.finditer(first)] == ["exp", "log"]
    again = ulp.page([replace(worst["exp"], error=0.5)], first)
    assert "| `exp` | float32 | 4,294,967,296 | 0.500 | 2 | `1.5` | `2.0` |" in again
    assert ulp.ROW.findall(again) == ulp.ROW.findall(first)
    assert ulp.page([], again) == again


def test_constants_are_those_of_mathematics():
    with mpmath.workprec(1400):
        pi, ln2 = +mpmath.pi, mpmath.log(2)
        assert int(mpmath.floor(mpmath.ldexp(2 / pi, trigonometric.BITS))) == trigonometric.TWO_OVER_PI
        pairs = [
            (inverse.PI[t.float64], pi), (trigonometric.HALF_PI, pi / 2), (inverse.HALF_PI[t.float64], pi / 2),
            (inverse.QUARTER_PI, pi / 4), (logarithm.LN2[t.float64], ln2), (logarithm.LOG2E[t.float64], 1 / ln2),
            (logarithm.LOG10E[t.float64], 1 / mpmath.log(10)), (logarithm.LOG10_2[t.float64], mpmath.log10(2)),
            (power.THIRDS, mpmath.mpf(2) / 3), (gamma.ZERO, mpmath.findroot(mpmath.digamma, 1.46)),
        ]  # fmt: skip
        for (high, low), exact in pairs:
            assert low == float(exact - high)
        pairs = [
            (logarithm.LN2[t.float32], ln2), (logarithm.LOG2E[t.float32], 1 / ln2), (power.THIRDS32, 2 / (3 * ln2)),
            (logarithm.LOG10E[t.float32], 1 / mpmath.log(10)), (logarithm.LOG10_2[t.float32], mpmath.log10(2)),
        ]  # fmt: skip
        for (high, low), exact in pairs:
            assert high == np.float32(high) and low == pytest.approx(float(exact - high), rel=1e-7)
        assert float((mpmath.log(2 * pi) - 1) / 2) == gamma.CONSTANT
        assert inverse.PI[t.float32] == (np.float32(np.pi), np.float32(float(pi - float(np.float32(np.pi)))))


# --- the pass itself -------------------------------------------------------------------------------------------------


def kernel(*body, params=("x", "y")):
    """A kernel over one loop that reads %v from the first parameter."""
    made = tuple(Param(p, TensorType(t.float32, (8,)), "in" if p == params[0] else "out") for p in params)
    return Kernel("k", made, (Axis("i", 8),), (Load("v", t.float32, params[0], ("i",)), *body))


def let(name, op, *args, dtype=t.float32):
    return Let(name, dtype, op, tuple(Ref(a, t.float32) if isinstance(a, str) else Const(a, t.float32) for a in args))


def scalar_lines(expanded):
    return [str(s) for s in statements_of(expanded.body) if isinstance(s, Let)]


def assert_primitive(expanded):
    lets = [s for s in statements_of(expanded.body) if isinstance(s, Let)]
    assert all(s.op == "index" or is_primitive(s.op, s.args[-1].dtype) for s in lets)
    assert_no_name_twice(expanded.body, frozenset())


def assert_no_name_twice(body, seen):
    """Loops one after the other may use the same names, as the parts of one that was cut do."""
    for statement in body:
        if isinstance(statement, Let):
            assert statement.name not in seen
            seen |= {statement.name}
        for inner in bodies(statement):
            assert_no_name_twice(inner, seen)


def test_maximum_becomes_comparisons_and_a_choice():
    assert scalar_lines(expand_kernel(kernel(let("1", "maximum", "v", 0.0)))) == [
        "%t0 = ne(%v, %v)",
        "%t1 = gt(%v, 0.0)",
        "%t2 = or(%t0, %t1)",
        "%1 = select(%t2, %v, 0.0)",
    ]


def test_primitives_stay():
    code = (let("1", "add", "v", 1.0), let("2", "fma", "1", "v", 2.0))
    assert expand_kernel(kernel(*code)).body[1:] == code


def test_every_let_of_a_program_is_primitive_with_a_name_of_its_own():
    x = gx.placeholder("x", ("t0", "t1"), "float32")  # dimensions with the names of the first temporaries
    y = gx.softplus(x) / gx.sum(gx.exp(x) * gx.tanh(x), axis=1, keepdims=True)
    f = gx.compile([x], [gx.sum(gx.erf(y @ gx.permute_dims(gx.sigmoid(x), (1, 0)))), y])
    assert len(f.program.calls) > 1
    for call in f.program.calls:
        assert_primitive(call.kernel)
        assert not {s.name for s in statements_of(call.kernel.body) if isinstance(s, Let)} & {"t0", "t1"}


def test_sine_and_cosine_share_their_reduction():
    both = scalar_lines(expand_kernel(kernel(let("1", "sin", "v"), let("2", "cos", "v"))))
    single = [scalar_lines(expand_kernel(kernel(let("1", op, "v")))) for op in ("sin", "cos")]
    assert len(both) < len(single[0]) + 20 < len(single[0]) + len(single[1])


def test_a_value_computed_twice_is_computed_once():
    lines = scalar_lines(expand_kernel(kernel(let("1", "exp", "v"), let("2", "exp", "v"))))
    assert lines[-1] == "%2 = select(True, %1, %1)"
    assert len(lines) == len(scalar_lines(expand_kernel(kernel(let("1", "exp", "v"))))) + 1


def test_values_of_accumulators_are_not_reused_when_they_change():
    body = (
        Init("acc", t.float32, ADD),
        let("1", "exp", "acc"),
        Loop("j", 4, (Load("w", t.float32, "x", ("j",)), Reduce("acc", t.float32, ADD, Ref("w", t.float32)))),
        let("2", "exp", "acc"),
        Store("y", ("i",), Ref("2", t.float32)),
    )
    expanded = expand_kernel(kernel(*body))
    assert_primitive(expanded)
    made = [s.name for s in expanded.body if isinstance(s, (Let, Loop)) and getattr(s, "name", None)]
    cut = next(i for i, s in enumerate(expanded.body) if isinstance(s, Loop))
    early = {s.name for s in expanded.body[:cut] if isinstance(s, Let)}
    late = [a.name for s in expanded.body[cut:] if isinstance(s, Let) for a in s.args if isinstance(a, Ref)]
    assert "1" in made
    assert not early & set(late)


def test_what_the_result_does_not_need_is_left_out():
    for name in ("sin", "cos", "tan", "pow", "asinh"):
        args = ("v", "v") if name == "pow" else ("v",)
        for dtype in t.FLOATS:
            code = Let("1", dtype, name, tuple(Ref(a, dtype) for a in args))
            lets = [s for s in expand_kernel(kernel(code)).body if isinstance(s, Let)]
            used = {a.name for s in lets for a in s.args if isinstance(a, Ref)}
            assert {s.name for s in lets} - used == {"1"}


def test_an_operation_without_expansion_is_named():
    with pytest.raises(NotImplementedError, match="scalar operation zeta on float32 has no expansion"):
        expand_kernel(kernel(let("1", "zeta", "v")))


def test_equal_kernels_stay_one_object():
    x = gx.placeholder("x", (4,), "float32")
    f = gx.compile([x], gx.exp(x))
    program = f.program
    twice = Program(program.name, program.buffers, program.calls * 2, program.signature, program.slots)
    first, second = expand_math(twice).calls
    assert first.kernel is second.kernel
