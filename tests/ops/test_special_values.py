"""The special values of every function of single elements, in both backends and both dtypes: one table, as data.

A row is a function, its arguments, what it gives, and who says so:

    C    ISO/IEC 9899 (C99 and C23), Annex F.10: special values of <math.h>; IEEE 754 for arithmetic and comparisons
    A    Python Array API standard 2024.12, "special cases" of the function; where both say the same, C stands
    N    NumPy, where neither says anything

"tiny" is the smallest subnormal number, "small" the smallest normal one, "max" the largest number. Where graphc differs from C on
purpose, docs/decisions.md has a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.operation import Pointwise, operations

INF, NAN = math.inf, math.nan
Value = float | str | bool
Row = tuple[str, tuple[Value, ...], Value, str]


def rows(name: str, source: str, *cases: tuple[Value, ...]) -> list[Row]:
    return [(name, case[:-1], case[-1], source) for case in cases]


def odd(name: str, source: str, *cases: tuple[Any, Any]) -> list[Row]:
    """Cases of an odd function: each stands for its mirror image too."""
    return rows(name, source, *cases, *((negated(x), negated(y)) for x, y in cases))


def even(name: str, source: str, *cases: tuple[Any, Any]) -> list[Row]:
    return rows(name, source, *cases, *((negated(x), y) for x, y in cases))


def negated(value: Any) -> Any:
    return (value[1:] if value.startswith("-") else "-" + value) if isinstance(value, str) else -value


def number(value: Value, dtype: str) -> Any:
    info = np.finfo(dtype)
    if not isinstance(value, str):
        return value
    named = {"max": info.max, "tiny": info.smallest_subnormal, "small": info.tiny}
    size = named[value.lstrip("-")]
    return -size if value.startswith("-") else size


def every_nan(name: str, others: Iterable[Value] = (INF, -INF, 0.0, -1.5)) -> list[Row]:
    """Of two arguments: NaN if one is."""
    return rows(name, "C", *((NAN, y, NAN) for y in others), *((y, NAN, NAN) for y in others), (NAN, NAN, NAN))


UNARY: list[Row] = [
    # trigonometric, F.10.1
    *rows("acos", "C", (1.0, 0.0), (1.5, NAN), (-1.5, NAN), (INF, NAN), (-INF, NAN)),
    *odd("asin", "C", (0.0, 0.0), (1.5, NAN), (INF, NAN), ("tiny", "tiny")),
    *odd("atan", "C", (0.0, 0.0), (INF, math.pi / 2), ("max", math.pi / 2), ("tiny", "tiny")),
    *even("cos", "C", (0.0, 1.0), (INF, NAN), ("tiny", 1.0)),
    *odd("sin", "C", (0.0, 0.0), (INF, NAN), ("tiny", "tiny")),
    *odd("tan", "C", (0.0, 0.0), (INF, NAN), ("tiny", "tiny")),
    # hyperbolic, F.10.2
    *rows("acosh", "C", (1.0, 0.0), (0.5, NAN), (-1.0, NAN), (-INF, NAN), (INF, INF)),
    *odd("asinh", "C", (0.0, 0.0), (INF, INF), ("tiny", "tiny")),
    *odd("atanh", "C", (0.0, 0.0), (1.0, INF), (1.5, NAN), (INF, NAN), ("tiny", "tiny")),
    *even("cosh", "C", (0.0, 1.0), (INF, INF), ("max", INF)),
    *odd("sinh", "C", (0.0, 0.0), (INF, INF), ("max", INF), ("tiny", "tiny")),
    *odd("tanh", "C", (0.0, 0.0), (INF, 1.0), ("max", 1.0), ("tiny", "tiny")),
    # exponentials and logarithms, F.10.3
    *rows("exp", "C", (0.0, 1.0), (-0.0, 1.0), (-INF, 0.0), (INF, INF), ("max", INF), ("-max", 0.0), ("tiny", 1.0)),
    *rows("exp2", "C", (0.0, 1.0), (-0.0, 1.0), (-INF, 0.0), (INF, INF), (10.0, 1024.0), (-3.0, 0.125), ("max", INF)),
    *rows("exp2", "C", ("-max", 0.0)),
    *rows("expm1", "C", (0.0, 0.0), (-0.0, -0.0), (-INF, -1.0), (INF, INF), ("tiny", "tiny"), ("-tiny", "-tiny"), ("-max", -1.0)),
    *rows("log", "C", (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), ("-tiny", NAN), (-INF, NAN), (INF, INF)),
    *rows("log10", "C", (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (1000.0, 3.0), (-INF, NAN), (INF, INF)),
    *rows("log1p", "C", (0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-1.5, NAN), (-INF, NAN), (INF, INF), ("tiny", "tiny")),
    *rows("log1p", "C", ("-tiny", "-tiny")),
    *rows("log2", "C", (0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (8.0, 3.0), (-INF, NAN), (INF, INF)),
    # powers and magnitudes, F.10.4
    *odd("cbrt", "C", (0.0, 0.0), (INF, INF), (27.0, 3.0)),
    *even("abs", "C", (0.0, 0.0), (INF, INF), ("tiny", "tiny")),
    *rows("sqrt", "C", (0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, NAN), ("-tiny", NAN), (-INF, NAN), (4.0, 2.0)),
    *even("square", "A", (0.0, 0.0), (INF, INF), ("max", INF), ("tiny", 0.0)),
    *odd("reciprocal", "C", (0.0, INF), (INF, 0.0), (4.0, 0.25), ("tiny", INF)),
    # errors and gammas, F.10.5
    *odd("erf", "C", (0.0, 0.0), (INF, 1.0), ("max", 1.0)),
    *rows("erfc", "C", (0.0, 1.0), (INF, 0.0), (-INF, 2.0), ("max", 0.0), ("-max", 2.0), ("tiny", 1.0)),
    *rows("lgamma", "C", (1.0, 0.0), (2.0, 0.0), (0.0, INF), (-0.0, INF), (-1.0, INF), (-7.0, INF), (-INF, INF), (INF, INF)),
    *rows("lgamma", "C", ("max", INF)),
    *odd("erfinv", "N", (0.0, 0.0), (1.0, INF), (1.5, NAN), (INF, NAN)),
    *rows("digamma", "N", (0.0, -INF), (-0.0, INF), (-1.0, NAN), (-INF, NAN), (INF, INF)),
    # nearest integers, F.10.6: halves go to the even one, and a zero keeps the argument's sign
    *odd("ceil", "C", (0.0, 0.0), (INF, INF), (2.0, 2.0)),
    *rows("ceil", "C", (-0.5, -0.0), (0.5, 1.0), ("tiny", 1.0), ("-tiny", -0.0), ("max", "max")),
    *odd("floor", "C", (0.0, 0.0), (INF, INF), (2.0, 2.0)),
    *rows("floor", "C", (0.5, 0.0), (-0.5, -1.0), ("tiny", 0.0), ("-tiny", -1.0), ("max", "max")),
    *odd("trunc", "C", (0.0, 0.0), (INF, INF), (0.9, 0.0), (2.7, 2.0), ("tiny", 0.0), ("max", "max")),
    *odd("round", "C", (0.0, 0.0), (INF, INF), (0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (3.5, 4.0), ("tiny", 0.0), ("max", "max")),
    *odd("negative", "C", (0.0, -0.0), (INF, -INF), ("tiny", "-tiny")),
    *odd("positive", "C", (0.0, 0.0), (INF, INF), ("tiny", "tiny")),
    *odd("sign", "A", (INF, 1.0), ("tiny", 1.0), ("max", 1.0)),
    *rows("sign", "A", (0.0, 0.0), (-0.0, 0.0)),
    # logistic functions: their limits
    *rows("sigmoid", "N", (0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), ("max", 1.0), ("-max", 0.0)),
    *rows("softplus", "N", (INF, INF), (-INF, 0.0), ("max", "max"), ("-max", 0.0)),
]
UNARY += [(name, (NAN,), NAN, "C") for name in dict.fromkeys(row[0] for row in UNARY)]
TESTS: list[Row] = [
    *rows("isnan", "C", (NAN, True), (INF, False), (-INF, False), (0.0, False), ("tiny", False), ("max", False)),
    *rows("isinf", "C", (NAN, False), (INF, True), (-INF, True), (0.0, False), ("tiny", False), ("max", False)),
    *rows("isfinite", "C", (NAN, False), (INF, False), (-INF, False), (0.0, True), ("tiny", True), ("max", True)),
    *rows("signbit", "C", (0.0, False), (-0.0, True), (INF, False), (-INF, True), ("tiny", False), ("-tiny", True)),
    *rows("signbit", "C", (-NAN, True), (abs(NAN), False)),
    *rows("logical_not", "A", (0.0, True), (-0.0, True), (NAN, False), ("tiny", False)),
]

PI = math.pi
ATAN2: list[Row] = [  # F.10.1.4; arguments y, x
    *rows("atan2", "C", (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0), (0.0, -0.0, PI), (-0.0, -0.0, -PI)),
    *rows("atan2", "C", (0.0, -1.0, PI), (-0.0, -1.0, -PI), (0.0, 1.0, 0.0), (-0.0, 1.0, -0.0), (0.0, "-tiny", PI)),
    *rows("atan2", "C", (-0.0, "tiny", -0.0)),
    *rows("atan2", "C", (-1.0, 0.0, -PI / 2), (-1.0, -0.0, -PI / 2), (1.0, 0.0, PI / 2), (1.0, -0.0, PI / 2)),
    *rows("atan2", "C", ("tiny", -0.0, PI / 2)),
    *rows("atan2", "C", (1.0, -INF, PI), (-1.0, -INF, -PI), (1.0, INF, 0.0), (-1.0, INF, -0.0), (0.0, -INF, PI)),
    *rows("atan2", "C", (-0.0, INF, -0.0)),
    *rows("atan2", "C", (INF, 1.0, PI / 2), (-INF, -1.0, -PI / 2), (INF, "max", PI / 2), (-INF, 0.0, -PI / 2)),
    *rows("atan2", "C", (INF, -INF, 3 * PI / 4), (-INF, -INF, -3 * PI / 4), (INF, INF, PI / 4), (-INF, INF, -PI / 4)),
    *every_nan("atan2"),
]
POW: list[Row] = [  # F.10.4.4
    *rows("pow", "C", (0.0, -3.0, INF), (-0.0, -3.0, -INF), (0.0, -2.0, INF), (-0.0, -2.0, INF), (0.0, -0.5, INF)),
    *rows("pow", "C", (-0.0, -0.5, INF)),
    *rows("pow", "C", (0.0, -INF, INF), (-0.0, -INF, INF), (0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (0.0, 2.0, 0.0), (-0.0, 2.0, 0.0)),
    *rows("pow", "C", (0.0, 0.5, 0.0), (-0.0, 0.5, 0.0), (0.0, INF, 0.0), (-0.0, INF, 0.0), (-1.0, INF, 1.0), (-1.0, -INF, 1.0)),
    *rows("pow", "C", (1.0, 2.5, 1.0), (1.0, INF, 1.0), (1.0, -INF, 1.0), (1.0, NAN, 1.0)),
    *rows("pow", "C", (2.5, 0.0, 1.0), (-2.5, -0.0, 1.0), (0.0, 0.0, 1.0), (-0.0, -0.0, 1.0), (INF, 0.0, 1.0)),
    *rows("pow", "C", (-INF, 0.0, 1.0), (NAN, 0.0, 1.0), (NAN, -0.0, 1.0)),
    *rows("pow", "C", (-2.0, 0.5, NAN), (-2.0, -1.5, NAN), (-0.5, 1.5, NAN), (-2.0, 3.0, -8.0), (-2.0, -1.0, -0.5)),
    *rows("pow", "C", (-2.0, 2.0, 4.0)),
    *rows("pow", "C", (0.5, -INF, INF), (-0.5, -INF, INF), (2.0, -INF, 0.0), (-2.0, -INF, 0.0), (0.5, INF, 0.0)),
    *rows("pow", "C", (-0.5, INF, 0.0), (2.0, INF, INF), (-2.0, INF, INF)),
    *rows("pow", "C", (-INF, -3.0, -0.0), (-INF, -2.0, 0.0), (-INF, -0.5, 0.0), (-INF, 3.0, -INF), (-INF, 2.0, INF)),
    *rows("pow", "C", (-INF, 0.5, INF)),
    *rows("pow", "C", (INF, -1.5, 0.0), (INF, 1.5, INF), (INF, INF, INF), (INF, -INF, 0.0), (-INF, INF, INF), (-INF, -INF, 0.0)),
    *rows("pow", "C", (NAN, 1.0, NAN), (NAN, NAN, NAN), (2.0, NAN, NAN), (0.0, NAN, NAN), (INF, NAN, NAN), (NAN, INF, NAN)),
    *rows("pow", "C", ("max", 2.0, INF), ("-max", 3.0, -INF), ("max", -2.0, 0.0), ("-max", -3.0, -0.0), (2.0, "max", INF)),
    *rows("pow", "C", (-1.0, "max", 1.0)),
]
REMAINDERS: list[Row] = [
    *rows("fmod", "C", (0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (0.0, INF, 0.0), (3.0, INF, 3.0), (-3.0, INF, -3.0)),
    *rows("fmod", "C", (-3.0, -INF, -3.0)),
    *rows("fmod", "C", (INF, 3.0, NAN), (-INF, 3.0, NAN), (3.0, 0.0, NAN), (3.0, -0.0, NAN), (0.0, 0.0, NAN), (INF, INF, NAN)),
    *rows("fmod", "C", (7.0, 3.0, 1.0), (-7.0, 3.0, -1.0), (7.0, -3.0, 1.0), (6.0, 3.0, 0.0), (-6.0, 3.0, -0.0)),
    *rows("fmod", "C", ("max", "tiny", 0.0)),
    *every_nan("fmod"),
    # Python's remainder: the sign of the divisor
    *rows("remainder", "A", (0.0, 3.0, 0.0), (-0.0, 3.0, 0.0), (0.0, -3.0, -0.0), (-0.0, -3.0, -0.0), (7.0, -3.0, -2.0)),
    *rows("remainder", "A", (-7.0, 3.0, 2.0)),
    *rows("remainder", "A", (6.0, 3.0, 0.0), (-6.0, 3.0, 0.0), (6.0, -3.0, -0.0), (-6.0, -3.0, -0.0), (3.0, INF, 3.0)),
    *rows("remainder", "A", (-3.0, -INF, -3.0)),
    *rows("remainder", "A", (-3.0, INF, INF), (3.0, -INF, -INF), (0.0, INF, 0.0), (-0.0, -INF, -0.0)),
    *rows("remainder", "A", (INF, 3.0, NAN), (-INF, -3.0, NAN), (3.0, 0.0, NAN), (3.0, -0.0, NAN), (0.0, 0.0, NAN)),
    *rows("remainder", "A", (INF, INF, NAN)),
    *every_nan("remainder"),
    *rows("floor_divide", "N", (1.0, 0.0, INF), (-1.0, 0.0, -INF), (1.0, -0.0, -INF), (0.0, 0.0, NAN), (7.0, -2.0, -4.0)),
    *rows("floor_divide", "N", (-7.0, 2.0, -4.0)),
    *rows("floor_divide", "A", (0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (0.0, -3.0, -0.0), (3.0, INF, 0.0), (-3.0, -INF, 0.0)),
    *rows("floor_divide", "A", (INF, INF, NAN)),
    *rows("floor_divide", "A", (0.0, INF, 0.0), (-0.0, INF, -0.0)),
    *every_nan("floor_divide"),
]
BINARY: list[Row] = [
    *rows("add", "C", (0.0, -0.0, 0.0), (-0.0, -0.0, -0.0), (INF, -INF, NAN), (INF, 1.0, INF), ("max", "max", INF)),
    *rows("add", "C", ("tiny", "-tiny", 0.0)),
    *rows("subtract", "C", (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0), (INF, INF, NAN), (1.0, INF, -INF), ("tiny", "tiny", 0.0)),
    *rows("multiply", "C", (0.0, INF, NAN), (-0.0, INF, NAN), (0.0, -1.0, -0.0), (-0.0, -1.0, 0.0), (INF, -INF, -INF)),
    *rows("multiply", "C", ("tiny", 0.5, 0.0)),
    *rows("divide", "C", (1.0, 0.0, INF), (1.0, -0.0, -INF), (0.0, 0.0, NAN), (INF, INF, NAN), (1.0, -INF, -0.0)),
    *rows("divide", "C", (-0.0, 2.0, -0.0), ("tiny", 2.0, 0.0)),
    *(row for name in ("add", "subtract", "multiply", "divide") for row in every_nan(name)),
    *rows("hypot", "C", (INF, NAN, INF), (-INF, NAN, INF), (NAN, INF, INF), (NAN, -INF, INF), (INF, 1.0, INF), (1.0, -INF, INF)),
    *rows("hypot", "C", (0.0, -0.0, 0.0), (3.0, -0.0, 3.0), (-0.0, -3.0, 3.0), (NAN, 1.0, NAN), (1.0, NAN, NAN), (NAN, NAN, NAN)),
    *rows("hypot", "C", ("tiny", 0.0, "tiny"), ("max", "tiny", "max"), ("max", "max", INF)),
    *rows("copysign", "C", (3.0, -0.0, -3.0), (-3.0, 0.0, 3.0), (0.0, -1.0, -0.0), (INF, -1.0, -INF), (3.0, -NAN, -3.0)),
    *rows("copysign", "C", (NAN, -1.0, NAN)),
    *rows("nextafter", "C", (0.0, 1.0, "tiny"), (0.0, -1.0, "-tiny"), (-0.0, 1.0, "tiny"), (0.0, -0.0, -0.0), (-0.0, 0.0, 0.0)),
    *rows("nextafter", "C", (1.0, 1.0, 1.0)),
    *rows("nextafter", "C", ("max", INF, INF), (INF, 0.0, "max"), (-INF, INF, "-max"), (INF, INF, INF), ("tiny", 0.0, 0.0)),
    *rows("nextafter", "C", ("-tiny", 1.0, -0.0)),
    *every_nan("nextafter"),
    *rows("maximum", "A", (INF, 1.0, INF), (-INF, 1.0, 1.0), (2.0, 1.0, 2.0)),
    *rows("minimum", "A", (INF, 1.0, 1.0), (-INF, 1.0, -INF), (2.0, 1.0, 1.0)),
    *(row for name in ("maximum", "minimum") for row in every_nan(name)),
    *rows("logaddexp", "N", (-INF, -INF, -INF), (INF, INF, INF), (INF, -INF, INF), (-INF, 2.0, 2.0), (2.0, -INF, 2.0)),
    *rows("logaddexp", "N", (INF, 1.0, INF)),
    *rows("logaddexp", "A", (NAN, 1.0, NAN), (1.0, NAN, NAN), (NAN, INF, NAN), (NAN, -INF, NAN)),
    *rows("logaddexp", "N", ("max", "max", "max"), ("-max", "-max", "-max")),
    *(
        row
        for name, less, same in (
            ("less", True, False), ("less_equal", True, True), ("greater", False, False), ("greater_equal", False, True),
            ("equal", False, True),
        )
        for row in rows(
            name, "C", (0.0, -0.0, same), (-0.0, 0.0, same), (1.0, INF, less), (-INF, "-max", less), (INF, INF, same),
            (0.0, "tiny", less), (NAN, NAN, False), (NAN, 1.0, False), (1.0, NAN, False), (INF, NAN, False),
        )
    ),
    *rows("not_equal", "C", (0.0, -0.0, False), (NAN, NAN, True), (NAN, 1.0, True), (INF, INF, False), (0.0, "tiny", True)),
    *rows("logical_and", "A", (NAN, 1.0, True), (NAN, 0.0, False), (-0.0, 1.0, False), ("tiny", 1.0, True)),
    *rows("logical_or", "A", (NAN, 0.0, True), (0.0, -0.0, False)),
    *rows("logical_xor", "A", (NAN, 1.0, False), (NAN, -0.0, True)),
]
TABLE: list[Row] = [*UNARY, *TESTS, *ATAN2, *POW, *REMAINDERS, *BINARY]
BY_NAME: dict[str, list[Row]] = {}
for _row in TABLE:
    BY_NAME.setdefault(_row[0], []).append(_row)

NOT_OF_FLOATS = {
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert", "bitwise_left_shift", "bitwise_right_shift",
    "stop_gradient", "again", "astype", "bitcast", "where",
}  # fmt: skip


def test_every_operation_of_single_elements_is_in_the_table() -> None:
    of_elements = {op.name for op in operations() if isinstance(op.lowering, Pointwise) and op.lowering.elementwise}
    assert not {n for n in of_elements - BY_NAME.keys() - NOT_OF_FLOATS if hasattr(gx, n)}


ROUNDED = ("cbrt", "log10")  # whose exact values NumPy misses by an ulp in float32


def differs(name: str, found: Any, wanted: Any, dtype: str) -> bool:
    if isinstance(wanted, bool):
        return bool(found) != wanted
    if np.isnan(wanted):
        return not np.isnan(found)
    want = np.asarray(wanted, dtype)
    exact = wanted in (0.0, INF, -INF) or (float(wanted).is_integer() and name not in ROUNDED)
    close = found == want if exact else abs(float(found) - float(want)) <= 2 * float(np.spacing(abs(want)))
    return not close or bool(np.signbit(found) != np.signbit(want))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_special_values(backend: str, dtype: str) -> None:
    """As a vector, whose elements take other paths than single ones; and alone."""
    wrong: list[str] = []
    names = list(BY_NAME)
    inputs: list[gx.Tensor] = []
    outputs: list[gx.Tensor] = []
    arrays: list[Any] = []
    for name in names:
        columns = list(zip(*(row[1] for row in BY_NAME[name]), strict=True))
        xs = [gx.placeholder(f"{name}{i}", (len(BY_NAME[name]),), dtype) for i in range(len(columns))]
        inputs += xs
        arrays += [np.array([number(v, dtype) for v in column], dtype) for column in columns]
        outputs.append(getattr(gx, name)(*xs))
    made = gx.compile(inputs, outputs, backend=backend)(*arrays)
    for name, values in zip(names, made, strict=True):
        for (_, arguments, wanted, source), found in zip(BY_NAME[name], values, strict=True):
            want = number(wanted, dtype)
            if differs(name, found, want, dtype):
                wrong.append(f"{name}{arguments} is {found}, and by {source} {want}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_as_constants(dtype: str) -> None:
    """What is folded when compiled is the same as what runs; the powers of fixed exponents, which are other code."""
    wrong: list[str] = []
    x = gx.placeholder("x", (), dtype)
    outputs = [getattr(gx, name)(*(gx.constant(number(v, dtype), dtype) for v in args)) for name, args, _, _ in TABLE]
    for (name, args, wanted, _), found in zip(TABLE, gx.compile([x], outputs)(np.asarray(1, dtype)), strict=True):
        if differs(name, found, number(wanted, dtype), dtype):
            wrong.append(f"{name}{args} is {found}")
    assert not wrong, "\n".join(wrong)


# What NumPy's `x ** 0.5` gives too, in contrast to C's pow: see docs/decisions.md.
ROOTS = {"-0.0 ** 0.5": -0.0, "-inf ** 0.5": NAN}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_powers_of_fixed_exponents(backend: str, dtype: str) -> None:
    """Which are products, roots and reciprocals."""
    x, wrong = gx.placeholder("x", ("n",), dtype), []
    cases = [row for row in POW if not isinstance(row[1][1], str)]
    made = gx.compile([x], [x ** row[1][1] for row in cases], backend=backend)(
        np.array([number(row[1][0], dtype) for row in cases], dtype)
    )
    for i, (_, args, wanted, _) in enumerate(cases):
        want = number(ROOTS.get(f"{args[0]} ** {args[1]}", wanted), dtype)
        if differs("pow", made[i][i], want, dtype):
            wrong.append(f"{args[0]} ** {args[1]} is {made[i][i]}, not {want}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_the_logarithm_of_gamma_next_to_0(backend: str) -> None:
    """log(1/x) of a subnormal number is no overflow: C's lgamma of some libraries gives infinity here."""
    x = gx.placeholder("x", (3,), "float64")
    made = gx.compile([x], gx.lgamma(x), backend=backend)([5e-324, -5e-324, 2.2250738585072014e-308])
    np.testing.assert_allclose(made, [744.4400719213812, 744.4400719213812, 708.3964185322641], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_table_is_numpy_s_too(dtype: str) -> None:
    """Where NumPy has the function, it says the same: the table is not made of what graphc gives."""
    ours = {"acos": "arccos", "asin": "arcsin", "atan": "arctan", "acosh": "arccosh", "asinh": "arcsinh", "atanh": "arctanh",
            "atan2": "arctan2", "pow": "power"}  # fmt: skip
    wrong = []
    with np.errstate(all="ignore"):
        for name, args, wanted, _ in TABLE:
            function = getattr(np, ours.get(name, name), None)
            if function is not None:
                (found,) = function(*(np.array([number(v, dtype)], dtype) for v in args))
                if differs(name, found, number(wanted, dtype), dtype):
                    wrong.append(f"{name}{args} is {found}")
    assert not wrong, "\n".join(wrong)
