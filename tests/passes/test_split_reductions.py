"""The order of sums: what the program says is what NumPy code of the same order gives, interpreted and native, to the bit."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm.frontend import translate
from graphc.backends.llvm.source import print_source
from graphc.ir.combines import ADD, MUL
from graphc.ir.program import Accumulate, Contract, Init, Join, Loop, Reduce, cost, statements_of
from graphc.ir.scalar import Let
from graphc.ir.target import find_target

RNG = np.random.default_rng(5)


def two_sum(total, lost, x):
    whole = total + x
    part = whole - total
    return whole, lost + ((total - (whole - part)) + (x - part))


def in_order(x, length=None, combine=np.add, start=0):
    """A row's sum as the pass writes it: `length` is what is known of its length."""
    n, kind = len(x), x.dtype.type
    if length is not None and length <= 16:
        total = kind(start)
        for value in x:
            total = combine(total, value)
        return total
    count = 16 if length is not None and length < 128 else 32
    keeps = combine is np.add and (length is None or length > 512)
    total, lost = kind(start), kind(start)
    for first in range(0, n, 512) if keeps else (0,):
        block = x[first : first + 512] if keeps else x
        lanes = np.full(count, start, x.dtype)
        for strip in range(0, len(block), count):
            part = block[strip : strip + count]
            lanes[: len(part)] = combine(lanes[: len(part)], part)
        while len(lanes) > 1:
            lanes = combine(lanes[: len(lanes) // 2], lanes[len(lanes) // 2 :])
        total, lost = two_sum(total, lost, lanes[0]) if keeps else (combine(total, lanes[0]), lost)
    return total + lost if keeps and np.isfinite(total) else total


LENGTHS = (1, 16, 17, 31, 64, 127, 128, 130, 512, 513, 1100)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_order_of_sums_is_the_one_that_is_written(dtype):
    xs = [gx.placeholder(f"x{n}", (3, n), dtype) for n in LENGTHS]
    ys = [gx.placeholder(f"y{n}", (3, f"n{n}"), dtype) for n in LENGTHS]
    values = [(RNG.normal(size=(3, n)) * 10.0 ** RNG.integers(-3, 4, (3, n))).astype(dtype) for n in LENGTHS]
    outputs = [gx.sum(x, axis=1) for x in (*xs, *ys)] + [gx.prod(x, axis=1) for x in xs]
    with np.errstate(over="ignore"):
        wanted = [np.array([in_order(row, n) for row in v]) for n, v in zip(LENGTHS, values, strict=True)]
        wanted += [np.array([in_order(row) for row in v]) for v in values]
        wanted += [np.array([in_order(row, n, np.multiply, 1) for row in v]) for n, v in zip(LENGTHS, values, strict=True)]
    native = gx.compile([*xs, *ys], outputs)
    for found in (native(*values, *values), gx.compile([*xs, *ys], outputs, backend="program")(*values, *values)):
        for name, want, got in zip([*LENGTHS, *LENGTHS, *LENGTHS], wanted, found, strict=True):
            np.testing.assert_array_equal(got, want, str(name))


def test_an_empty_sum_is_the_neutral_element():
    x = gx.placeholder("x", ("n",))
    assert gx.compile([x], [gx.sum(x), gx.prod(x)])(np.zeros(0, "float32")) == [0, 1]


def test_infinite_sums_stay_what_they_are():
    x = gx.placeholder("x", ("n",))
    f = gx.compile([x], gx.sum(x))
    big = np.full(5000, 3e38, "float32")
    assert f(big) == np.inf and f(-big) == -np.inf
    big[70] = np.nan
    assert np.isnan(f(big))


def test_rounding_errors_of_blocks_are_kept():
    """A total of 2**24 beside which every block is too small to count: what is lost comes back at the end."""
    x = gx.placeholder("x", (2, "n"))
    values = np.full((2, 512 * 40), 2.0**-10, "float32")
    values[:, 0] = 2.0**24
    for backend in ("llvm", "program"):
        found = gx.compile([x], gx.sum(x, axis=1), backend=backend)(values)
        np.testing.assert_array_equal(found, np.full(2, 2.0**24 + 20, "float32"))


def test_errors_of_a_long_sum_do_not_grow_with_its_length():
    x = gx.placeholder("x", ("n",))
    value = np.full(1_000_000, 0.1, "float32")
    found = gx.compile([x], gx.sum(x))(value)
    assert abs(found - np.sum(value.astype("float64"))) <= 2 * np.spacing(found)


def test_no_reduction_of_floats_is_left_in_a_long_loop():
    x = gx.placeholder("x", ("b", "n"))
    program = gx.compile([x], [gx.nn.softmax(x), gx.sum(x), gx.var(x, axis=0), gx.prod(x, axis=1)]).program
    for kernel in program.kernels:
        for loop in statements_of(kernel.body):
            if isinstance(loop, Loop) and not any(isinstance(s, (Loop, Contract, Join)) for s in loop.body):
                left = [s for s in loop.body if isinstance(s, Reduce) and s.combine in (ADD, MUL)]
                assert not left, loop
        joined = {s.buffer for s in statements_of(kernel.body) if isinstance(s, Join)}
        filled = {s.buffer for s in statements_of(kernel.body) if isinstance(s, Accumulate)}
        assert joined <= filled


@pytest.mark.usefixtures("llvm_itself")
def test_lanes_become_vectors_and_stay_in_registers():
    """As many instructions on vectors in the loop as the processor needs, and no access to the lanes' memory between."""
    x = gx.placeholder("x", ("b", 512))
    (kernel,) = gx.compile([x], gx.sum(x, axis=1)).kernels
    loops = kernel.llvm.split("\n\n")
    inner = [text for text in loops if "fadd <" in text and "br i1" in text and "phi <" in text]
    assert inner, kernel.llvm
    assert all("store" not in text for text in inner), inner


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize("length", [31, 127])
def test_elements_left_over_stay_in_registers(length: int) -> None:
    x = gx.placeholder("x", ("b", length))
    (kernel,) = gx.compile([x], gx.sum(x, axis=1)).kernels
    assert "own_" in kernel.source and "alloca" not in kernel.llvm


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.skipif(not find_target(None).masks, reason="the target has no loads of some lanes")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", ["n", 31, 525])
def test_elements_left_over_are_lanes_under_a_mask(length: int | str, dtype: str) -> None:
    """Code short, and long where four vectors hold the lanes; these stay in registers, and no element is left to scalar code."""
    x = gx.placeholder("x", ("b", length), dtype)
    few = find_target(None).lanes(x.dtype.itemsize) * 4 >= 32
    for value in (x, gx.exp(x)) if few else (x,):
        (kernel,) = gx.compile([x], gx.sum(value, axis=1)).kernels
        assert "alloca" not in kernel.llvm and "masked.load" in kernel.llvm
        assert not re.search(r"load (float|double), ", kernel.llvm)


@pytest.mark.parametrize("length", ["n", 525])
def test_the_statements_of_a_sum_in_blocks_are_counted(length: int | str) -> None:
    """By them a kernel is shared out to threads. The last block counts as a whole one."""
    x = gx.placeholder("x", ("b", length))
    (kernel,) = gx.compile([x], gx.sum(x, axis=1)).program.kernels
    counts = [cost(kernel.body, {"b": 10, "i": 0, "n": n}) for n in (525, 5250)]
    assert 2 * 525 < counts[0] < 4.5 * 525 and (counts[1] > 2 * 5250) is (length == "n")


def test_strips_of_long_code_and_unknown_number_go_by_twos() -> None:
    x, y = gx.placeholder("x", ("b", "n")), gx.placeholder("y", ("b", 512))
    for value, marked in ((x, True), (y, False)):
        (kernel,) = gx.compile([value], gx.nn.softmax(value)).kernels
        names = print_source(kernel.kernel, kernel.target).names
        assert ("llvm.loop.unroll.count" in translate(kernel.source, names, "", kernel.target)) is marked


@pytest.mark.parametrize(("k", "run"), [(16, 16), (512, 512), (513, 272), (1040, 352)])
def test_a_contraction_adds_up_the_runs_that_the_program_names(k: int, run: int) -> None:
    """Interpreted, where each run is a chain of multiply-adds, fused if the target can, and native: the same bits."""
    x, y = gx.placeholder("x", (2, k)), gx.placeholder("y", (k, 3))
    named = gx.placeholder("x", (2, "k")), gx.placeholder("y", ("k", 3))
    a, b = (RNG.normal(size=shape).astype("float32") for shape in ((2, k), (k, 3)))
    native = [gx.compile([*given], given[0] @ given[1]) for given in ((x, y), named)]
    (contract,) = (s for kernel in native[0].program.kernels for s in statements_of(kernel.body) if isinstance(s, Contract))
    assert contract.run == run
    wanted = gx.compile([x, y], x @ y, backend="program")(a, b)
    for f in native:
        np.testing.assert_array_equal(f(a, b), wanted)


def test_sums_end_in_the_order_in_which_they_begin():
    """Equal programs have equal texts in every process: the keys of compiled code."""
    x = gx.placeholder("x", ("n", 3), "float64")
    f = gx.compile([x], [gx.sum(x[:, 0] * x[:, 1] + k) for k in range(7)])
    for kernel in f.program.kernels:
        begun = [s.name for s in kernel.body if isinstance(s, Init)]
        totals = {s.args[2].name: s for s in kernel.body if isinstance(s, Let) and s.op == "select"}
        assert [name for name in begun if name in totals] == list(totals)
    assert any(len([s for s in kernel.body if isinstance(s, Let) and s.op == "select"]) > 4 for kernel in f.program.kernels)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint16"])
def test_places_are_numpys(dtype):
    """The first of the largest: in a block, in another, in the rest, of none but infinities, of NaN, of zeros of both signs."""
    x, known = gx.placeholder("x", ("m", "n"), dtype), gx.placeholder("k", (6, 100), dtype)
    made = [gx.argmax(x, axis=1), gx.argmin(x, axis=1), gx.argmax(x), gx.argmax(known, axis=1), gx.argmin(known, axis=1)]
    for length in (1, 40, 512, 513, 1100):
        a, k = (RNG.integers(0, 50, (6, n)).astype(dtype) for n in (length, 100))
        a[1, length // 2 :] = a[1].max()
        if a.dtype.kind == "f":
            for rows in (a, k):
                rows[2], rows[3], rows[4, ::2] = -np.inf, np.inf, -0.0
                rows[5, rows.shape[1] * 2 // 3 :: 7] = np.nan
        wanted = [a.argmax(1), a.argmin(1), a.argmax(), k.argmax(1), k.argmin(1)]
        for backend in ("llvm", "program") if length in (40, 1100) else ("llvm",):
            for found, want in zip(_places(dtype, backend, (x, known), made)(a, k), wanted, strict=True):
                np.testing.assert_array_equal(found, want, f"{length} {backend}")


_KEPT: dict[tuple[str, str], gx.Compiled] = {}


def _places(dtype, backend, inputs, made):
    if (dtype, backend) not in _KEPT:
        _KEPT[dtype, backend] = gx.compile(list(inputs), made, backend=backend)
    return _KEPT[dtype, backend]


def test_places_in_a_long_array_are_numpys():
    """Two kernels: chunks of 8,192, then the one that has the first of the largest."""
    x = gx.placeholder("x", ("n",))
    f = gx.compile([x], [gx.argmax(x), gx.argmin(x * 2)])
    a = np.zeros(8192 * 3 + 700, "float32")
    for at in (0, 511, 512, 8191, 8192, 8192 * 2 + 600, 8192 * 3 + 699):
        a[:] = 0
        a[at] = 1
        assert f(a) == [at, a.argmin()]
        a[at] = a[at // 2] = np.nan
        assert f(a) == [at // 2, at // 2]
