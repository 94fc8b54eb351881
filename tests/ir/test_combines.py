"""Combinations: their texts, their neutral elements, and that a text has one meaning."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc.errors import ParseError
from graphc.ir.combines import ADD, NAMED, Combine, combine_of, declared
from graphc.ir.scalar import scalar_text
from graphc.ir.types import bool_, float32, int8


@pytest.mark.parametrize("combine", [*NAMED.values(), declared("hypot({0}, {1})", 0)], ids=str)
def test_a_text_is_read_as_the_combination_that_wrote_it(combine: Combine) -> None:
    assert combine_of(str(combine)) == combine
    if combine.code:
        scalar_text(combine.code)  # it is scalar code


def test_what_is_no_combination() -> None:
    with pytest.raises(ValueError, match="'median' is no combination"):
        combine_of("median")
    text = """program p {
  input %x: f32[3]
  output %y: f32[]
  %y = k0(%x)
  return %y
}

kernel k0(%x0: f32[3]) -> %y0: f32[] {
  %a = init median : f32
}"""
    with pytest.raises(ParseError, match="line 9, column 13: 'median' is no combination"):
        gx.ir.parse(text)


@pytest.mark.parametrize(
    ("name", "values"),
    [("add", (0.0, 0, False)), ("mul", (1.0, 1, True)), ("max", (-np.inf, -128, False)), ("min", (np.inf, 127, True))],
)
def test_neutral_elements(name: str, values: tuple[float, int, bool]) -> None:
    assert tuple(NAMED[name].neutral(kind).value for kind in (float32, int8, bool_)) == values


def test_a_declared_sum_is_no_name() -> None:
    """It has the code of one, but kernels do not know it: it is not added in their order."""
    mine = declared(ADD.code, ADD.start)
    assert mine != ADD and mine.declared and not mine.compensated and mine.neutral(float32) == ADD.neutral(float32)
