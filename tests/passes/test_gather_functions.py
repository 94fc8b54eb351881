"""Functions of many scalars in one loop: the bits of the same functions one by one, in an order that every memory allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.program import Loop, statements_of

Make = Callable[[list[Any]], list[Any]]
COUNT = 9  # a vector of float64 and one more


def _without_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gx.passes, "LOWERING", [p for p in gx.passes.LOWERING if p.__name__ != "gather_functions"])


def _mixed(c: list[Any], _: Any = None) -> list[Any]:
    """Functions of functions, of two operands, of the same operands, of few operands, and of a neighbour as it was before."""
    turned = [gx.tanh(gx.sin(c[i - 1]) + gx.cos(c[i - 1]) * c[i]) for i in range(len(c))]
    return [gx.pow(gx.abs(v) + 0.1, turned[i - 2]) - gx.log1p(c[i - 3] ** 2) for i, v in enumerate(turned)]


def _scan(c: list[Any]) -> list[Any]:
    last, seen = gx.scan(lambda c, _: (_mixed(c), c[2]), c, length=3)
    return [*last, seen, *gx.grad(sum(last), c)]


def _loop_that_ends_by_its_data(c: list[Any]) -> list[Any]:
    return list(gx.while_loop(lambda c: sum(map(gx.sin, c)) < 2, lambda c: [v + 0.25 for v in _mixed(c)], c))


def _choice_of_codes(c: list[Any]) -> list[Any]:
    return list(gx.cond(c[0] > 0, lambda *c: _mixed(list(c)), lambda *c: [gx.tanh(v) for v in c], *c))


MAKES: dict[str, Make] = {
    "straight code": _mixed,
    "scan and its gradient": _scan,
    "loop that ends by its data": _loop_that_ends_by_its_data,
    "choice of codes": _choice_of_codes,
}


def _gathered(f: Any) -> int:
    """How many loops of a compiled function have a turn for each scalar."""
    return sum(isinstance(s, Loop) and str(s.stop) == str(COUNT) for k in f.program.kernels for s in statements_of(k.body))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAKES)
def test_results_have_the_bits_of_functions_one_by_one(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [gx.placeholder(f"c{i}", (), dtype) for i in range(COUNT)]
    outputs = MAKES[name](inputs)
    f = gx.compile(inputs, outputs)
    _without_the_pass(monkeypatch)
    apart = gx.compile(inputs, outputs, backend="program")  # whose statements give the bits of native code
    assert _gathered(f) > 0 == _gathered(apart)
    for seed in range(3):
        values = np.random.default_rng(seed).normal(size=COUNT).astype(dtype)
        for got, want in zip(f(*values), apart(*values), strict=True):
            assert got.tobytes() == want.tobytes()


def test_what_could_be_vectors_stays() -> None:
    """Elements side by side, and steps of a loop over rows of scalars that are arrays: their loop is the one of vectors."""
    rows = [gx.placeholder(f"c{i}", ("n",), "float64") for i in range(COUNT)]
    last, _ = gx.scan(lambda c, _: (_mixed(c), None), rows, length=5)
    assert not _gathered(gx.compile(rows, [*_mixed(rows), *last], backend="program"))


def test_code_of_many_scalars_grows_by_statements_and_not_by_functions() -> None:
    """A sine in float64 is 180 statements: each but the first adds a few."""

    def lines(carries: int) -> int:
        inputs = [gx.placeholder(f"c{i}", (), "float64") for i in range(carries)]
        last, _ = gx.scan(lambda c, _: ([gx.sin(v) * c[i - 1] for i, v in enumerate(c)], None), inputs, length=5)
        f = gx.compile(inputs, list(last), backend="program")
        return sum(1 for k in f.program.kernels for _ in statements_of(k.body))

    assert (lines(24) - lines(8)) / 16 < 20
