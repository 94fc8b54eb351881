"""The expansion of scalar operations into primitives: exact ones bit for bit NumPy's, the others within their bounds in ulp."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import ulp

import graphc as gx
from graphc.ir import types as t
from graphc.ir.operation import VOCABULARY, Pointwise
from graphc.ir.program import Axis, Init, Kernel, Load, Loop, Param, Program, Reduce, Store, walk
from graphc.ir.scalar import Const, Let, Ref
from graphc.ir.types import TensorType
from graphc.passes.elementary import inverse, logarithm, power, trigonometric
from graphc.passes.expand_math import expand_kernel, expand_math, is_primitive

ROUNDED = {*ulp.UNARY, *ulp.BINARY}


def special(dtype):
    """Values of a type at which rules differ."""
    r = np.random.default_rng(0)
    if dtype.is_bool:
        return np.array([False, True])
    if dtype.is_float:
        info = np.finfo(dtype.numpy)
        values = [0, 0.5, 1, 1.5, 2, 2.5, 3, 7, 0.1, 0.3, 0.7, 1e-5, 1e10, 2.0**30, np.inf, np.nan, info.max, info.tiny]
        values = np.array([*values, info.smallest_subnormal, *r.standard_normal(8) * 10], dtype.numpy)
        return np.concatenate([values, -values])
    info = np.iinfo(dtype.numpy)
    values = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, info.max, info.max - 1, info.max // 2]
    values += [info.min, info.min + 1, -1, -2, -3, -5, -7, -8, -64, -100] if info.min else []
    return np.concatenate([np.array(values, dtype.numpy), r.integers(info.min, info.max, 15, dtype.numpy)])


def exact_operations(dtype):
    """The elementwise operations on operands of a type that give NumPy's bits."""
    for op in VOCABULARY.values():
        if not isinstance(op.lowering, Pointwise) or not op.lowering.elementwise or op.name == "astype":
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
        if wanted.dtype.kind == "f":
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
    got = gx.compile([x, y], {"quotient": gx.floor_divide(x, y), "rest": gx.remainder(x, y)})(dividends, divisors)
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


def test_constants_are_those_of_mathematics():
    with mpmath.workprec(1400):
        pi, ln2 = +mpmath.pi, mpmath.log(2)
        assert int(mpmath.floor(mpmath.ldexp(2 / pi, trigonometric.BITS))) == trigonometric.TWO_OVER_PI
        pairs = [
            (inverse.PI, pi), (trigonometric.HALF_PI, pi / 2), (inverse.QUARTER_PI, pi / 4), (logarithm.LN2[t.float64], ln2),
            (logarithm.LOG2E, 1 / ln2), (logarithm.LOG10E, 1 / mpmath.log(10)), (logarithm.LOG10_2, mpmath.log10(2)),
            (power.THIRDS, mpmath.mpf(2) / 3),
        ]  # fmt: skip
        for (high, low), exact in pairs:
            assert low == float(exact - high)
        assert logarithm.LN2[t.float32][1] == pytest.approx(float(ln2 - logarithm.LN2[t.float32][0]), rel=1e-7)


# --- the pass itself -------------------------------------------------------------------------------------------------


def kernel(*body, params=("x", "y")):
    """A kernel over one loop that reads %v from the first parameter."""
    made = tuple(Param(p, TensorType(t.float32, (8,)), "in" if p == params[0] else "out") for p in params)
    return Kernel("k", made, (Axis("i", 8),), (Load("v", t.float32, params[0], ("i",)), *body))


def let(name, op, *args, dtype=t.float32):
    return Let(name, dtype, op, tuple(Ref(a, t.float32) if isinstance(a, str) else Const(a, t.float32) for a in args))


def scalar_lines(expanded):
    return [str(s) for s in walk(expanded.body) if isinstance(s, Let)]


def assert_primitive(expanded):
    lets = [s for s in walk(expanded.body) if isinstance(s, Let)]
    assert all(s.op == "index" or is_primitive(s.op, s.args[-1].dtype) for s in lets)
    names = [s.name for s in lets]
    assert len(set(names)) == len(names)


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
        assert not {s.name for s in walk(call.kernel.body) if isinstance(s, Let)} & {"t0", "t1"}


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
        Init("acc", t.float32, "add"),
        let("1", "exp", "acc"),
        Loop("j", 4, (Load("w", t.float32, "x", ("j",)), Reduce("acc", t.float32, "add", Ref("w", t.float32)))),
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
    twice = Program(program.name, program.buffers, program.calls * 2, program.inputs, program.outputs, program.slots)
    first, second = expand_math(twice).calls
    assert first.kernel is second.kernel
