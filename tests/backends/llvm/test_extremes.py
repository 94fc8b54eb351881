"""The largest and smallest of float32 by their bits: NaN of both signs, zeros of both signs, infinities, nothing at all."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm.source import print_source
from graphc.ir.parser import parse_program
from graphc.ir.target import TARGETS

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def programs():
    """Of rows of an open and of a known length, native and statement by statement."""
    made = {}
    for backend in ("llvm", "program"):
        for size in ("n", 37):
            x = gx.placeholder("x", ("m", size))
            made[backend, size] = gx.compile([x], [gx.max(x, axis=1), gx.min(x, axis=1)], backend=backend)
    return made


def bits(*values):
    return np.array(values, np.uint32).view(np.float32)


NAN, NEGATIVE_NAN, SIGNALLING = 0x7FC00000, 0xFFC00000, 0xFF800001
ROWS = [
    bits(0x80000000, 0x80000000), bits(0x80000000, 0), bits(0, 0x80000000), bits(0x80000001, 0x80000000), bits(1, 0),
    np.float32([-3, -1, -2]), np.float32([3, 1, 2]), np.float32([-1, 2]), np.float32([np.inf, 1]), np.float32([-np.inf, -1]),
    np.float32([-np.inf]), np.float32([np.inf]), np.float32([-np.inf, np.inf]), bits(NAN, 0xFF800000),
    bits(NEGATIVE_NAN, 0x7F800000), bits(0x3F800000, SIGNALLING), bits(0x7F800001, 0xBF800000),
    bits(NAN), bits(NEGATIVE_NAN), bits(0x7F7FFFFF, 0xFF7FFFFF),
]  # fmt: skip


def expected(row, largest):
    """The extreme, with -0.0 below 0.0."""
    if np.isnan(row).any():
        return np.float32(np.nan)
    order = sorted(row.tolist(), key=lambda v: (v, not np.signbit(v)))
    return np.float32(order[-1 if largest else 0])


@pytest.mark.parametrize("where", [0, 16, 35])
def test_every_kind_of_float_at_every_place(programs, where):
    """In whole vectors, and in what is left over; what fills the rows is the first element of each."""
    x = np.stack([np.full(37, row[0]) for row in ROWS])
    for i, row in enumerate(ROWS):
        x[i, where : where + len(row[1:])] = row[1:]
    for (backend, _), f in programs.items():
        for found, largest in zip(f(x), (True, False), strict=True):
            wanted = np.array([expected(row, largest) for row in x])
            np.testing.assert_array_equal(found, wanted, err_msg=backend)
            if backend == "llvm":  # NumPy's own does not say which zero it gives
                real = ~np.isnan(wanted)
                np.testing.assert_array_equal(np.signbit(found[real]), np.signbit(wanted[real]))


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 64, 100, 129])
def test_rows_of_any_length(programs, n):
    x = (RNG.normal(size=(9, n)) * 3 - RNG.integers(-4, 5, (9, 1))).astype("float32")
    for found, wanted in zip(programs["llvm", "n"](x), (x.max(1), x.min(1)), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("n", [1, 20, 60, 513, 1100])
def test_what_a_loop_reads_as_it_goes_is_whole_at_every_turn(n):
    """The place of the largest block of a row needs the largest of each block as the loop over blocks goes."""
    x = gx.placeholder("x", ("m", "n"))
    f = gx.compile([x], [gx.argmax(x, axis=1), gx.argmin(x, axis=1), gx.max(x, axis=1)])
    a = RNG.normal(size=(30, n)).astype("float32")
    for found, wanted in zip(f(a), (a.argmax(1), a.argmin(1), a.max(1)), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_largest_element_so_far_is_none_of_these():
    """An accumulator that the loop itself reads, and one that starts within it."""
    text = """program f {
  input %x: f32[40, 50]
  output %y: f32[40, 50]
  %y = k0(%x)
  return %y
}

kernel k0(%x0: f32[40, 50]) -> %y0: f32[40, 50] {
  parallel i < 40 {
    %0 = init max : f32
    for j < 50 {
      %1 = load %x0[i, j]
      %0 = reduce max(%0, %1)
      store %y0[i, j], %0
    }
  }
}
"""
    kernel = next(iter(parse_program(text).kernels))
    assert "_signed" not in print_source(kernel, TARGETS["x86-64-v4"]).text


def test_only_where_it_is_worth_it():
    """Not of rows that are written out, of other types, or for other processors."""

    def goes_by_bits(size, dtype="float32", target="x86-64-v3"):
        x = gx.placeholder("x", (400, size), dtype)
        return "_signed" in gx.compile([x], gx.max(x, axis=1), target=target).kernels[0].source

    assert goes_by_bits(37) and goes_by_bits("n") and goes_by_bits(37, target="x86-64-v4")
    assert not goes_by_bits(8) and not goes_by_bits(37, "float64") and not goes_by_bits(37, "int32")
