"""The errors of compiled transcendental functions, in units in the last place.

    python tests/ulp.py                      every function: all 2^32 float32 arguments, 20,000 float64 arguments (an hour)
    python tests/ulp.py --sample             some 300,000 float32 and some hundred float64 arguments (seconds)
    python tests/ulp.py --functions exp sin  only these
    python tests/ulp.py --write              also put what was found into the table of docs/accuracy.md

float32 results are judged against NumPy's function in float64, or, where NumPy has none, against the compiled float64 function,
which itself is judged against mpmath, as are all float64 results. An ulp is that of the exact value; an infinity counts as the
power of two behind the largest number. A wrong NaN or a wrong sign of zero is an infinite error. For each function and type the
largest error is printed with its arguments; the exit code is 1 if one exceeds its bound.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mpmath
import numba
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import graphc as gx
from graphc.ir.operation import VOCABULARY

Array = np.ndarray[Any, Any]

UNARY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "lgamma", "digamma", "sigmoid", "softplus", "cbrt",
)  # fmt: skip
BINARY = ("atan2", "hypot", "pow")
BOUNDS = {name: 4.0 if name in ("pow", "lgamma", "digamma", "erfinv") else 2.0 for name in UNARY + BINARY}
# Below 0 lgamma and digamma are differences, which are 0 here and there: an ulp is at least that of this number.
FLOORS = {"lgamma": np.ones_like, "digamma": lambda x: np.maximum(1.0, np.log1p(-x))}
SATURATED = ("exp", "exp2", "expm1", "sinh", "cosh", "tanh", "sigmoid", "softplus", "erf", "erfc")  # beyond +-2000 NumPy is exact
LINEAR = ("expm1", "log1p", "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh")  # close to 0 they are their argument
EXACT = {
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "lgamma": lambda x: mpmath.loggamma(x) if x > 0 else mpmath.log(mpmath.pi / abs(mpmath.sinpi(x))) - mpmath.loggamma(1 - x),
    "pow": mpmath.power,
}  # fmt: skip


@dataclass(frozen=True)
class Worst:
    """The largest error of a function, and where."""

    name: str
    dtype: str
    error: float
    at: tuple[float, ...]
    got: float
    exact: str
    count: int

    @property
    def good(self) -> bool:
        return self.error <= BOUNDS[self.name]

    def __str__(self) -> str:
        place = ", ".join(map(repr, self.at))
        verdict = "" if self.good else f"   above {BOUNDS[self.name]:g}"
        return f"{self.name:9}{self.dtype:9}{self.error:8.4f} ulp at {place}: {self.got!r} for {self.exact}{verdict}"


def compiled(names: tuple[str, ...], dtype: str) -> Any:
    """One compiled function for several functions of the same arguments; a call gives a dict."""
    binary = names[0] in BINARY
    args = [gx.placeholder(n, ("n",), dtype) for n in ("x", "y")[: 1 + binary]]
    return gx.compile(args, {name: getattr(gx, name)(*args) for name in names})


# --- arguments -------------------------------------------------------------------------------------------------------


def special(dtype: str) -> Array:
    """Arguments at which something happens."""
    info = np.finfo(dtype)
    one = np.ones((), dtype)
    edges = [0, 1, 2, 3, 0.5, 0.25, 2.5, 10, 100, 1000, math.pi, math.pi / 2, 1e22, 2.0**24, 2.0**53, math.inf]
    edges += [88.7, 88.73, 103.9, 104, 709.78, 709.79, 710.47, 745.13, 745.14, 2.0 ** -(info.nmant + 1)]
    edges += [np.nextafter(one, 0 * one), np.nextafter(one, 2 * one), info.max, info.tiny, info.smallest_subnormal]
    edges += [6381956970095103 * 2.0**797 if dtype == "float64" else 16367173 * 2.0**72]  # close to a multiple of pi/2
    values = np.array(edges, dtype)
    return np.concatenate([values, -values, [np.array(math.nan, dtype)]])


def pairs(dtype: str, count: int) -> tuple[Array, Array]:
    """Arguments for functions of two: all pairs of special ones, then scattered ones, many with powers in range."""
    r = np.random.default_rng(0)
    info = np.finfo(dtype)
    first, second = (v.ravel() for v in np.meshgrid(special(dtype), special(dtype)))
    near = np.abs(1 + r.standard_normal(count) * 10.0 ** -r.uniform(0, 6 if dtype == "float32" else 14, count))
    wide = np.ldexp(r.uniform(1, 2, count), r.integers(info.minexp - info.nmant, info.maxexp, count))
    limit = info.maxexp * math.log(2)
    bases = np.concatenate([near, wide]).astype(dtype)
    powers = r.uniform(-limit, limit, 2 * count) / np.log(bases.astype(np.float64) + (bases == 1))
    sides = r.standard_normal((2, count))
    whole = r.integers(-20, 20, (2, count))
    with np.errstate(over="ignore"):
        x, y = np.concatenate([bases, sides[0], whole[0]]), np.concatenate([powers, sides[1], whole[1]])
        return np.concatenate([first, x.astype(dtype)]), np.concatenate([second, y.astype(dtype)])


def float32_chunks(sample: bool) -> Iterator[Array]:
    """Every float32, or one in some 14,000 and the special ones."""
    if sample:
        yield special("float32")
        yield np.arange(0, 2**32, 14_321, dtype=np.uint64).astype(np.uint32).view(np.float32)
        return
    count = 2**18  # what fits into the cache
    first = np.arange(count, dtype=np.uint32)
    for start in range(0, 2**32, count):
        yield (first + np.uint32(start)).view(np.float32)


def float64_arguments(count: int) -> Array:
    """Special arguments, and about `count` over the whole range, near 0 and 1, and where exponentials are finite."""
    r = np.random.default_rng(0)
    n = count // 5
    sign = r.choice([-1.0, 1.0], n)
    parts = [
        np.ldexp(r.uniform(1, 2, n), r.integers(-1074, 1024, n)) * sign,
        np.ldexp(r.uniform(1, 2, n), r.integers(-60, 8, n)) * sign,
        (1 + r.standard_normal(n) * 10.0 ** -r.uniform(0, 15, n)) * sign,
        r.standard_normal(n) * 4,
        r.uniform(-750, 750, n),
    ]
    return np.concatenate([special("float64"), *parts])


# --- errors ----------------------------------------------------------------------------------------------------------


@numba.njit(cache=False, error_model="numpy")  # type: ignore[untyped-decorator]
def worst32(got: Array, exact: Array, exponents: Array) -> tuple[float, int]:
    """The largest error of float32 results in ulp, given exact ones in float64 and their bits; and its place."""
    worst, place = -1.0, 0
    for i in range(got.size):
        value, truth = np.float64(got[i]), exact[i]
        if value == truth:
            error = 0.0
        elif value != value or truth != truth:
            error = 0.0 if value != value and truth != truth else math.inf
        else:
            if abs(value) == math.inf and abs(truth) < math.inf:
                value = math.copysign(2.0**128, value)
                truth = min(max(truth, -(2.0**128)), 2.0**128)
            exponent = min(max(((exponents[i] >> 52) & 2047) - 1023 - 23, -149), 104)
            error = abs(value - truth) * UNITS[exponent + 149]
        if value == 0 and np.float32(truth) == 0 and math.copysign(1.0, value) != math.copysign(1.0, truth):
            error = math.inf
        if error > worst:
            worst, place = error, i
    return worst, place


UNITS = np.ldexp(1.0, -np.arange(-149, 105))  # ulps in one


def error64(name: str, got: float, numpy: float, args: tuple[float, ...]) -> tuple[float, str]:
    """The error of a float64 result in ulp, and the exact value; `numpy` tells NaN, infinities and signs of zeros."""
    same = (math.isnan(got) and math.isnan(numpy)) or (got == numpy and math.copysign(1, got) == math.copysign(1, numpy))
    limit = not all(map(math.isfinite, args)) or math.isnan(numpy) or math.isnan(got)
    if limit or (name in SATURATED and abs(args[0]) > 2000) or (got == 0 and numpy == 0):
        return (0.0 if same else math.inf), repr(numpy)
    if name in BINARY and (0.0 in args or args[0] in (1.0, -1.0)) and same:
        return 0.0, repr(numpy)
    if name in LINEAR and abs(args[0]) < 1e-40:
        exact = mpmath.mpf(args[0])
    else:
        try:
            exact = EXACT.get(name, getattr(mpmath, name, None))(*map(mpmath.mpf, args))
        except (ZeroDivisionError, ValueError):
            exact = mpmath.inf
    if not mpmath.isfinite(exact) or exact == 0:
        return (0.0 if same else math.inf), repr(numpy)
    size = max(abs(exact), float(FLOORS[name](args[0]))) if name in FLOORS and args[0] < 0 else exact
    exponent = min(max(mpmath.frexp(size)[1] - 53, -1074), 971)
    value = mpmath.mpf(got)
    if math.isinf(got):
        value = mpmath.ldexp(1 if got > 0 else -1, 1024)
        exact = max(min(exact, mpmath.ldexp(1, 1024)), -mpmath.ldexp(1, 1024))
    return float(mpmath.ldexp(abs(value - exact), -exponent)), mpmath.nstr(exact, 20)


def measure32(names: tuple[str, ...], sample: bool) -> list[Worst]:
    """The worst of some functions in float32."""
    native = compiled(names, "float32")
    reference = references(names)
    if names[0] in BINARY:
        chunks: Iterator[tuple[Array, ...]] = iter([pairs("float32", 50_000 if sample else 1_000_000)])
    else:
        chunks = ((x,) for x in float32_chunks(sample))
    worst = {n: Worst(n, "float32", -1.0, (), 0.0, "", 0) for n in names}
    count = 0
    for args in chunks:
        got = native(*args)
        with np.errstate(invalid="ignore"):  # of signalling NaN
            wide = [a.astype(np.float64) for a in args]
        count += args[0].size
        for n in names:
            with np.errstate(all="ignore"):
                exact = reference[n](*wide)
            error, i = worst32(got[n], exact, exact.view(np.int64))
            if error > worst[n].error:
                at = tuple(float(a[i]) for a in args)
                worst[n] = Worst(n, "float32", error, at, float(got[n][i]), repr(float(exact[i])), 0)
    return [replace(w, count=count) for w in worst.values()]


def references(names: tuple[str, ...]) -> dict[str, Any]:
    """For each name NumPy's function, or, where it has none, the compiled one."""

    def reference(name: str) -> Any:
        function = VOCABULARY[name].reference
        if isinstance(function, np.ufunc):
            return function
        native = compiled((name,), "float64")
        return lambda *args: native(*args)[name]

    return {name: reference(name) for name in names}


def measure64(names: tuple[str, ...], sample: bool) -> list[Worst]:
    """The worst of some functions in float64."""
    native = compiled(names, "float64")
    count = 250 if sample else 20_000
    args = pairs("float64", count // 4) if names[0] in BINARY else (float64_arguments(count),)
    got = native(*args)
    found = []
    with mpmath.workprec(200):
        for n in names:
            with np.errstate(all="ignore"):
                numpy = VOCABULARY[n].reference(*args)
            worst = Worst(n, "float64", -1.0, (), 0.0, "", args[0].size)
            for i, at in enumerate(zip(*(a.tolist() for a in args), strict=True)):
                error, exact = error64(n, float(got[n][i]), float(numpy[i]), at)
                if error > worst.error:
                    worst = replace(worst, error=error, at=at, got=float(got[n][i]), exact=exact)
            found.append(worst)
    return found


def groups(names: tuple[str, ...], size: int = 4) -> Iterator[tuple[str, ...]]:
    """The names in groups that are compiled together: functions of as many arguments."""
    for family in (UNARY, BINARY):
        chosen = [n for n in family if n in names]
        yield from (tuple(chosen[i : i + size]) for i in range(0, len(chosen), size))


# --- the table -------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parent.parent / "docs" / "accuracy.md"
HEAD = """\
# How exact the functions are

This table is written by `python tests/ulp.py --write`: for each function the largest error that was found, in units in the last
place of the exact result, and where. float32 functions of one argument were tried at every one of the 2^32 floats. Half an ulp
is what rounding the exact result costs. `tests/ulp.py` says what the results are compared with.

Below 0, `lgamma` and `digamma` are differences of two numbers, and 0 between any two poles. There the float64 bound is absolute:
an ulp of `lgamma` is at least that of 1, an ulp of `digamma` at least that of 1 and of log(1 - x).

| function | type | arguments tried | largest error | allowed | at | result there |
|---|---|---|---|---|---|---|
"""
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|.*$", re.MULTILINE)


def page(found: Iterable[Worst], old: str = "") -> str:
    """The text of docs/accuracy.md with new rows in place of old ones, in the order of the functions."""
    rows = {(m[1], m[2]): m[0] for m in ROW.finditer(old)}
    for w in found:
        place = ", ".join(f"`{v!r}`" for v in w.at)
        rows[w.name, w.dtype] = (
            f"| `{w.name}` | {w.dtype} | {w.count:,} | {w.error:.3f} | {BOUNDS[w.name]:g} | {place} | `{w.got!r}` |"
        )
    order = [(n, d) for n in UNARY + BINARY for d in ("float32", "float64")]
    return HEAD + "".join(rows[key] + "\n" for key in order if key in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the errors of compiled transcendental functions in ulp.")
    parser.add_argument("--sample", action="store_true", help="few arguments: seconds instead of an hour")
    parser.add_argument("--functions", "--only", nargs="+", choices=UNARY + BINARY, default=UNARY + BINARY, metavar="NAME")
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "float64"), default=("float32", "float64"))
    parser.add_argument("--write", action="store_true", help="put what was found into docs/accuracy.md")
    options = parser.parse_args()
    if options.sample and options.write:
        parser.error("a sample is not what docs/accuracy.md is about")
    good = True
    for group in groups(tuple(options.functions), 4 if options.sample else 1):
        for dtype, measure in (("float32", measure32), ("float64", measure64)):
            if dtype in options.dtypes:
                found = measure(group, options.sample)
                if options.write:
                    PAGE.write_text(page(found, PAGE.read_text() if PAGE.exists() else ""))
                for worst in found:
                    print(worst, flush=True)
                    good &= worst.good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
