"""Where the coefficients in graphc/passes/elementary come from: minimax polynomials by the Remez algorithm.

    python tests/remez.py            print every table with its error
    python tests/remez.py --check    compare with the tables in the code; the exit code is 1 if one differs

A polynomial p of degree n is sought that makes the largest weight(x) * |f(x) - p(x)| on an interval smallest. At n + 2 points
the weighted error is made equal with alternating signs, by solving a linear system; then the points move to where the error is
largest, and again (E. Remez, Comptes Rendus 198 (1934); N. Brisebarre et al., "Handbook of Floating-Point Arithmetic", 10.3).
All arithmetic has 180 bits; the coefficients are rounded at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mpmath as mp
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from graphc.ir import types as t
from graphc.passes.elementary import error, exponential, gamma, inverse, logarithm, power, trigonometric

Function = Callable[[mp.mpf], mp.mpf]
GRID = 500  # Chebyshev points on which the error is looked at


@dataclass(frozen=True)
class Table:
    """A polynomial of the code: what it approximates, where, and how much an error counts."""

    name: str
    coefficients: Sequence[float]
    f: Function
    interval: tuple[float, float]
    weight: Function
    dtype: str = "float64"


def remez(f: Function, interval: tuple[float, float], degree: int, weight: Function) -> tuple[list[mp.mpf], mp.mpf]:
    """The coefficients from the lowest on, and the largest weighted error."""
    low, high = map(mp.mpf, interval)

    def chebyshev(count: int) -> list[mp.mpf]:
        return [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / count) for i in range(count + 1)]

    def heavy(x: mp.mpf) -> mp.mpf:
        return abs(weight(x)) + mp.mpf(10) ** -12

    grid = chebyshev(GRID)
    values, weights = [f(x) for x in grid], [heavy(x) for x in grid]
    points = chebyshev(degree + 1)
    for _ in range(20):
        rows = [[x**j for j in range(degree + 1)] + [(-1) ** i / heavy(x)] for i, x in enumerate(points)]
        *found, level = mp.lu_solve(mp.matrix(rows), mp.matrix([f(x) for x in points]))
        errors = [w * (v - mp.polyval(found[::-1], x)) for x, v, w in zip(grid, values, weights, strict=True)]
        peaks: list[int] = []
        for i, e in enumerate(errors):
            if not peaks or (e > 0) != (errors[peaks[-1]] > 0):
                peaks.append(i)
            elif abs(e) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        while len(peaks) > degree + 2:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        worst = max(map(abs, errors))
        if len(peaks) < degree + 2 or worst < 1.001 * abs(level):
            break
        points = [grid[i] for i in peaks]
    return found, worst


def odd(f: Function, slope: float | mp.mpf = 1) -> Function:
    """(f(v) / v - slope) / v^2 as a function of v^2."""
    third = mp.diff(f, 0, 3) / 6
    return lambda z: (f(mp.sqrt(z)) / mp.sqrt(z) - slope) / z if z > 1e-20 else third


def at_zero(f: Function, limit: float | mp.mpf) -> Function:
    """f, and its limit close to 0, where the formula has no value."""
    return lambda x: f(x) if abs(x) > 1e-12 else mp.mpf(limit)


def beside(centre: float, f: Function) -> Function:
    """f around a centre, also where its formula is 0 / 0."""
    gap = mp.mpf(2) ** -60

    def shifted(v: mp.mpf) -> mp.mpf:
        try:
            return f(centre + v)
        except ZeroDivisionError:
            return (f(centre + v - gap) + f(centre + v + gap)) / 2

    return shifted


def far_from_zero(f: Function, limit: float | mp.mpf) -> Function:
    """f(x) as a function of 1/x^2."""
    return at_zero(lambda z: f(1 / mp.sqrt(z)), limit)


def scaled_erfc(a: int, v: mp.mpf) -> mp.mpf:
    """(1 + 2x) * exp(x^2) * erfc(x) for v = (x - a) / (x + a)."""
    x = a * (1 + v) / (1 - v)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def inverse_erfc(c: mp.mpf) -> mp.mpf:
    """Where erfc is c < 1, by Newton's method on the logarithm."""
    y = mp.sqrt(max(-mp.log(c), mp.mpf(0.1)))
    for _ in range(100):
        e = mp.erfc(y)
        step = mp.log(e / c) * e * mp.exp(y * y) * mp.sqrt(mp.pi) / 2
        y += step
        if abs(step) < mp.mpf(2) ** -150:
            break
    return y


def inverse_centre(w: mp.mpf) -> mp.mpf:
    """erfinv(x) / x for w = -log(1 - x^2)."""
    if w < mp.mpf(10) ** -20:
        return mp.sqrt(mp.pi) / 2
    x = mp.sqrt(-mp.expm1(-w))
    return inverse_erfc(mp.exp(-w) / (1 + x)) / x


def inverse_tail(v: mp.mpf) -> mp.mpf:
    """erfinv(x) / s for v = (s - 2.5) / (s + 2.5), s = sqrt(-log(1 - x))."""
    s = 2.5 * (1 + v) / (1 - v)
    return inverse_erfc(mp.exp(-s * s)) / s


def tables() -> list[Table]:
    """The tables of the code, in the order of its files."""
    ln2, slope = mp.log(2), 2 / mp.sqrt(mp.pi)
    terms = at_zero(lambda r: (mp.expm1(r) - r) / r**2, 0.5)
    powers = at_zero(lambda r: mp.expm1(r * ln2) / r, ln2)
    twice = odd(lambda s: 2 * mp.atanh(s), 2)
    near, unit, quarter = (-0.35, 0.35), (-0.505, 0.505), (0.0, 0.2501)
    eighth = (0.0, float((mp.pi / 4) ** 2) * 1.0002)
    half = mp.pi / 2
    zero = mp.findroot(mp.digamma, 1.46)

    def far(v: mp.mpf) -> mp.mpf:
        return 2 * (1 + v) / (1 - v)

    def root(a: mp.mpf) -> mp.mpf:
        return mp.root(mp.erfc(a), 4)

    return [
        Table("exponential.terms32", exponential.EXPONENTIALS[t.float32].terms, terms, near, lambda r: r * r, "float32"),
        Table("exponential.terms64", exponential.EXPONENTIALS[t.float64].terms, terms, near, lambda r: r * r),
        Table("exponential.powers32", exponential.EXPONENTIALS[t.float32].powers, powers, unit, lambda r: r, "float32"),
        Table("exponential.powers64", exponential.EXPONENTIALS[t.float64].powers, powers, unit, lambda r: r),
        Table("exponential.SINH32", exponential.SINH[t.float32], odd(mp.sinh), (0.0, 1.0), lambda z: z, "float32"),
        Table("exponential.SINH64", exponential.SINH[t.float64], odd(mp.sinh), (0.0, 1.0), lambda z: z),
        Table(
            "logarithm.SERIES32", logarithm.SERIES32, at_zero(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, mp.mpf(1) / 3),
            (-1 / 3, 1 / 3), lambda f: f * f, "float32",
        ),
        Table("logarithm.SERIES64", logarithm.SERIES64, twice, (0.0, 0.02945), lambda z: z),
        Table(
            "logarithm.SOFTPLUS32", logarithm.SOFTPLUS32, at_zero(lambda e: (mp.log1p(e) / e - 1) / e, -0.5), (0.0, 0.4725),
            at_zero(lambda e: e * e / mp.log1p(e), 0), "float32",
        ),
        Table(
            "logarithm.CENTRE32", logarithm.CENTRE32, at_zero(lambda z: mp.log(mp.cosh(mp.sqrt(z) / 2)) / z, 0.125),
            (0.0, 0.5626), lambda z: z / mp.log1p(mp.exp(-mp.sqrt(z))), "float32",
        ),
        Table(
            "trigonometric.SINE32", trigonometric.SINE32, at_zero(lambda z: mp.sin(mp.sqrt(z) * half) / mp.sqrt(z), half),
            quarter, lambda z: 1,
        ),
        Table(
            "trigonometric.COSINE32", trigonometric.COSINE32,
            at_zero(lambda z: (mp.cos(mp.sqrt(z) * half) - 1) / z, -half * half / 2), quarter, lambda z: z,
        ),
        Table("trigonometric.SINE64", trigonometric.SINE64, odd(mp.sin), eighth, lambda z: z),
        Table(
            "trigonometric.COSINE64", trigonometric.COSINE64,
            at_zero(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24), eighth, lambda z: z * z,
        ),
        Table(
            "inverse.ARCTANGENT32", inverse.ARCTANGENT32, odd(mp.atan), (0.0, 1.0001),
            at_zero(lambda z: z * mp.sqrt(z) / mp.atan(mp.sqrt(z)), 0), "float32",
        ),
        Table("inverse.ARCTANGENT64", inverse.ARCTANGENT64, odd(mp.atan), (0.0, 0.1718), lambda z: z),
        Table("inverse.ARCSINE32", inverse.ARCSINE32, odd(mp.asin), quarter, lambda z: z, "float32"),
        Table("inverse.ARCSINE64", inverse.ARCSINE64, odd(mp.asin), quarter, lambda z: z),
        Table("error.CENTRE32", error.CENTRE32, odd(mp.erf, slope), (0.0, 0.81), lambda z: z, "float32"),
        Table("error.TAIL32", error.TAIL32, root, (0.9, 3.93), lambda a: 4 * root(a) ** 3, "float32"),
        Table("error.CENTRE64", error.CENTRE64, odd(mp.erf, slope), (0.0, 1.0), lambda z: z),
        Table(
            "error.TAIL64", error.TAIL64, lambda v: mp.erfc(far(v)) * mp.exp(far(v) ** 2), (-1 / 3, 0.5),
            lambda v: mp.exp(-(far(v) ** 2)),
        ),
        Table(
            "error.COMPLEMENT32", error.COMPLEMENT32, lambda v: scaled_erfc(3, v), (-1.0, 0.543),
            lambda v: 1 / scaled_erfc(3, v),
        ),
        Table(
            "error.COMPLEMENT64", error.COMPLEMENT64, lambda v: scaled_erfc(4, v), (-1.0, 0.751),
            lambda v: 1 / scaled_erfc(4, v),
        ),
        Table("error.INVERSE32", error.INVERSE32, inverse_centre, (0.0, 1.661), lambda w: 1),
        Table("error.INVERSE64", error.INVERSE64, inverse_centre, (0.0, 1.661), lambda w: 1),
        Table("error.INVERSE_TAIL32", error.INVERSE_TAIL32, inverse_tail, (-0.2447, 0.242), lambda v: 1),
        Table("error.INVERSE_TAIL64", error.INVERSE_TAIL64, inverse_tail, (-0.2447, 0.4167), lambda v: 1),
        Table(
            "gamma.LGAMMA", gamma.LGAMMA, beside(gamma.CENTRE, lambda y: mp.loggamma(y) / ((y - 1) * (y - 2))), (-0.75, 0.75),
            beside(gamma.CENTRE, lambda y: (y - 1) * (y - 2) / mp.loggamma(y)),
        ),
        Table(
            "gamma.LGAMMA_STIRLING", gamma.LGAMMA_STIRLING, far_from_zero(
                lambda x: x * (mp.loggamma(x) - (x - 0.5) * (mp.log(x) - 1) - (mp.log(2 * mp.pi) - 1) / 2), 1 / mp.mpf(12)
            ), (0.0, gamma.STIRLING**-2), far_from_zero(lambda x: 1 / (x * mp.loggamma(x)), 0),
        ),
        Table("gamma.SINE", gamma.SINE, at_zero(lambda z: mp.sinpi(mp.sqrt(z)) / (mp.pi * mp.sqrt(z)), 1), quarter, lambda z: 1),
        Table(
            "gamma.DIGAMMA", gamma.DIGAMMA, beside(gamma.CENTRE, lambda y: mp.digamma(y) / (y - zero)), (-0.75, 0.75),
            beside(gamma.CENTRE, lambda y: (y - zero) / mp.digamma(y)),
        ),
        Table(
            "gamma.DIGAMMA_STIRLING", gamma.DIGAMMA_STIRLING, far_from_zero(
                lambda x: x**2 * (mp.log(x) - 1 / (2 * x) - mp.digamma(x)), 1 / mp.mpf(12)
            ), (0.0, gamma.STIRLING**-2), far_from_zero(lambda x: 1 / (x**2 * mp.log(x)), 0),
        ),
        Table(
            "gamma.COTANGENT", gamma.COTANGENT,
            far_from_zero(lambda s: (s - mp.pi * mp.cospi(1 / s) / mp.sinpi(1 / s)) * s, mp.pi**2 / 3), quarter, mp.sqrt,
        ),
        Table(
            "power.SERIES", power.SERIES, at_zero(lambda z: (twice(z) - mp.mpf(2) / 3) / z, 0.4), (0.0, 0.02945), lambda z: z * z
        ),
        Table(
            "power.SERIES32", power.SERIES32, at_zero(lambda z: (twice(z) - mp.mpf(2) / 3) / z / ln2, 0.4 / ln2), (0.0, 0.02945),
            lambda z: z * z, "float32",
        ),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Compute the coefficients in graphc/passes/elementary.")
    parser.add_argument("--check", action="store_true", help="compare with the tables in the code")
    parser.add_argument("--only", default="", metavar="TEXT", help="tables whose name holds this")
    options = parser.parse_args()
    differ = False
    with mp.workprec(180):
        for table in (found for found in tables() if options.only in found.name):
            exact, worst = remez(table.f, table.interval, len(table.coefficients) - 1, table.weight)
            found = tuple(float(np.dtype(table.dtype).type(float(c))) for c in exact)
            same = found == tuple(table.coefficients)
            differ |= not same
            verdict = ("   as in the code" if same else "   NOT as in the code") if options.check else ""
            print(f"{table.name}   weighted error 2^{float(mp.log(worst, 2)):.1f}{verdict}")
            if not options.check:
                print(f"    {', '.join(map(repr, found))}")
    return int(differ and options.check)


if __name__ == "__main__":
    raise SystemExit(main())
