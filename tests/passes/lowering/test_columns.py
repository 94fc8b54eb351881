"""Sums down the columns: by blocks of rows, in a kernel of their own where memory is large, with the same bits in any other."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc.passes.lowering import columns

RNG = np.random.default_rng(20)
ROWS = (1, 63, 64, 65, 128, 200)


def by_blocks(x):
    """The sum of rows as it is written: blocks of 64, whose sums join the total with their errors kept."""
    total, lost = np.zeros_like(x[:0].sum(0)), np.zeros_like(x[:0].sum(0))
    for first in range(0, len(x), 64):
        block = np.zeros_like(total)
        for row in x[first : first + 64]:
            block = block + row
        whole = total + block
        part = whole - total
        total, lost = whole, lost + ((total - (whole - part)) + (block - part))
    return total + lost


@pytest.fixture(scope="module")
def programs():
    """Sums, largest elements, counts of a matrix: native, and of the program interpreter."""
    x = gx.placeholder("x", ("m", "n"))
    made = [gx.sum(x, axis=0), gx.max(x, axis=0), gx.var(x, axis=0), gx.sum(x > 0, axis=0), gx.any(x > 2, axis=0)]
    return [gx.compile([x], made, backend=b) for b in ("llvm", "program")]


def test_whole_blocks_have_a_kernel_of_their_own(programs):
    text = str(programs[0].program)
    assert "%0.part = k0(%x)" in text and "m//64" in text


@pytest.mark.parametrize("rows", ROWS)
def test_sums_are_made_of_blocks_in_their_order(programs, rows):
    x = RNG.normal(size=(rows, 37)).astype("float32") * np.float32(1e3)
    x[x < -2500] = np.nan
    sums, largest, _, count, some = programs[0](x)
    np.testing.assert_array_equal(sums, by_blocks(x))
    np.testing.assert_array_equal(largest, x.max(0, initial=-np.inf))
    np.testing.assert_array_equal(count, (x > 0).sum(0))
    np.testing.assert_array_equal(some, (x > 2).any(0))
    for native, interpreted in zip(programs[0](x), programs[1](x), strict=True):
        np.testing.assert_array_equal(native, interpreted)


def test_one_kernel_and_two_have_the_same_bits():
    """A small matrix of known size is added up by one kernel."""
    x = RNG.normal(size=(130, 50)).astype("float32")
    known, open_ = gx.placeholder("x", x.shape), gx.placeholder("x", ("m", "n"))
    one, two = (gx.compile([p], [gx.sum(p, axis=0), gx.var(p, axis=0)]) for p in (known, open_))
    assert len(one.program.calls) < len(two.program.calls)
    for a, b in zip(one(x), two(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_strips_meet_where_rows_are_long():
    x = RNG.normal(size=(129, columns.STRIP + 3)).astype("float32")
    p = gx.placeholder("x", ("m", "n"))
    np.testing.assert_array_equal(gx.compile([p], gx.sum(p, axis=0))(x), by_blocks(x))


@pytest.mark.parametrize("width", [columns.SHORT - 1, columns.SHORT, columns.MEDIUM - 1, columns.MEDIUM])
def test_rows_of_medium_length_are_read_one_after_the_other(width):
    x = RNG.normal(size=(300, width)).astype("float32")
    p = gx.placeholder("x", x.shape)
    f = gx.compile([p], gx.sum(p, axis=0))
    loads = str(f.program).split("kernel k1")[0].count("load %x0")
    assert loads == (1 if columns.SHORT <= width < columns.MEDIUM else columns.TOGETHER)
    np.testing.assert_array_equal(f(x), by_blocks(x))


def test_a_row_times_a_matrix_of_a_quarter_million_goes_by_blocks():
    """One kernel reads pieces of rows: of weights that no cache holds, half as fast as whole rows in their order."""
    a, b = gx.placeholder("a", (1, 512)), gx.placeholder("b", (512, 512))
    f = gx.compile([a, b], a @ b)
    assert len(f.program.calls) == 2
    x, w = RNG.normal(size=(1, 512)).astype("float32"), RNG.normal(size=(512, 512)).astype("float32")
    np.testing.assert_array_equal(f(x, w)[0], by_blocks(x.T * w))


def test_a_square_of_a_difference_is_not_stored():
    """What a sum down the columns reads twice is still its own alone."""
    x = gx.placeholder("x", ("m", "n"))
    program = gx.compile([x], gx.var(x, axis=0)).program
    assert [b.name for b in program.buffers.values() if str(b.type) == "f32[m, n]"] == ["x"]


def test_places_down_the_columns_are_numpys():
    x = gx.placeholder("x", ("m", "n"))
    native, interpreted = (gx.compile([x], [gx.argmax(x, axis=0), gx.argmin(x, axis=0)], backend=b) for b in ("llvm", "program"))
    a = RNG.integers(-3, 4, (70, 40)).astype("float32")
    a[:, 3], a[:, 4], a[5, 7], a[5:9, 8] = -np.inf, np.inf, np.nan, np.nan
    a[::2, 9], a[1::2, 9] = -0.0, 0.0
    for f in (native, interpreted):
        for found, wanted in zip(f(a), (a.argmax(0), a.argmin(0)), strict=True):
            np.testing.assert_array_equal(found, wanted)
