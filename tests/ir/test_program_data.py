"""Programs as data: what is read back equals what was written."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache

import numpy as np
import pytest

import graphc as gx
from graphc.errors import Where
from graphc.ir import data
from graphc.ir import program as program_module
from graphc.ir.data import NoData, decode, encode
from graphc.ir.operation import Operation, Sized
from graphc.ir.program import Program
from graphc.ir.target import Target
from graphc.ir.types import DType


@cache
def programs() -> list[Program]:
    """Programs of many kinds: products, loops, choices, random numbers, routines, sizes that are data, every data type."""
    x = gx.placeholder("x", ("n", "n"), "float32")
    i = gx.placeholder("i", ("n",), "int64")
    w = gx.variable(np.ones((7, 5), "float16"), name="w")
    total = gx.scan(lambda s, r: (s + gx.sum(r), gx.sin(s)), gx.zeros((), "float32"), x)
    many = [gx.zeros((2,), str(d)) + gx.astype(gx.sum(i), str(d)) for d in ("int8", "uint64", "float64", "bool")]
    return [
        gx.compile([x], [gx.nn.softmax(x), x @ x.T, *total]).program,
        gx.compile([x, i], [gx.take(x, i, axis=0), gx.sort(i), *many], updates={w: w * 2}).program,
        gx.compile([x], gx.while_loop(lambda s: gx.sum(s) < 9, lambda s: s + 1, x)).program,
        gx.compile([i], gx.cond(gx.sum(i) > 3, lambda: i * 2, lambda: gx.cumulative_sum(i))).program,
        gx.compile([x], gx.constant(np.linspace(0, 1, 99, dtype="float32")) * gx.mean(x) + float("nan") + -0.0).program,
        gx.compile([x], gx.linalg.svd(x)).program,
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(6))
def test_programs_read_back(number):
    program = programs()[number]
    again = decode(encode(program, program.target, {}), program.target, [])
    assert str(again) == str(program) and again.signature == program.signature
    assert [k.where for k in again.kernels] == [k.where for k in program.kernels]
    for name, buffer in program.buffers.items():
        if buffer.value is not None:
            value = again.buffers[name].value
            assert type(value) is type(buffer.value) and value.dtype == buffer.value.dtype
            assert value.tobytes() == buffer.value.tobytes() and not value.flags.writeable


def test_constants_keep_their_bits_and_types():
    values = (0.0, -0.0, 1, 1.0, True, None, "1", 2**70, float("inf"), (), ((1,), (1, 1)), "%\n\"")
    found = decode(encode(values, None, {}), None, [])
    assert list(map(repr, found)) == list(map(repr, values))


def test_lines_are_places_where_they_are_known():
    x = gx.placeholder("x", ("n",), "float32")
    program = gx.compile([x], gx.exp(x)).program
    (kernel,) = program.kernels
    other = gx.errors.Where("other.py", 7)
    again = decode(encode(program, program.target, {kernel.where[0]: 1}), program.target, [None, other])
    assert [k.where for k in again.kernels] == [(other,)]


@pytest.mark.parametrize("value", [len, np.float32(1), [1], {1}, object()])
def test_what_is_no_data_is_said(value):
    with pytest.raises(NoData):
        encode((value,), None, {})


def test_all_that_programs_are_made_of_is_data():
    made = {c for c in vars(program_module).values() if isinstance(c, type) and is_dataclass(c)}
    otherwise = {Target, Operation, DType, Where, Sized}
    assert len(made) > 20 and made - set(data._FIELDS) <= otherwise
