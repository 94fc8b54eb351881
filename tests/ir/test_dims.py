"""Sizes against Python's integers: every expression, canonical or not, is worth what its text says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product

import pytest

from graphc.errors import ShapeError
from graphc.ir import dims
from graphc.ir.dims import Ranges, Size, dim

NAMES = ("a", "b", "c")
VALUES = [dict(zip(NAMES, chosen, strict=True)) for chosen in product((0, 1, 2, 7), repeat=3)]


def expression(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(NAMES) if rng.random() < 0.65 else str(rng.randint(0, 5))
    x, y = expression(rng, depth - 1), expression(rng, depth - 1)
    forms = [
        f"({x}+{y})", f"({x}-{y})", f"({x}*{y})", f"({x}//{rng.randint(1, 5)})", f"({x}%{rng.randint(1, 5)})",
        f"({x}//({rng.choice(NAMES)}+1))", f"max({x}, {y})", f"min({x}, {y})",
    ]  # fmt: skip
    return rng.choice(forms)


@pytest.mark.parametrize("seed", range(4))
def test_expressions(seed: int) -> None:
    """Value, text, substitution and sign of random expressions, sizes 0 and 1 included."""
    rng = random.Random(seed)
    for _ in range(250):
        text = expression(rng, 3)
        size = dim(text)
        code = compile(text, "size", "eval")
        for env in VALUES:
            assert dims.evaluate(size, env) == eval(code, {"max": max, "min": min}, env), (text, size, env)
        assert dim(str(size)) == size, (text, size)
        partly = dims.substitute(size, {"a": 3, "b": dim("2*c+1")})
        for c in (0, 1, 4):
            assert dims.evaluate(partly, {"c": c}) == dims.evaluate(size, {"a": 3, "b": 2 * c + 1, "c": c}), (text, partly)
        if dims.is_nonnegative(size):
            assert all(dims.evaluate(size, env) >= 0 for env in VALUES), (text, size)


def index(rng: random.Random, ranges: Ranges, depth: int = 1) -> Size:
    """A random index expression of loop variables and of the size n."""
    total: Size = rng.randint(-4, 6)
    for name in (*ranges, "n"):
        if rng.random() < 0.6:
            total = dims.add(total, dims.mul(dims.symbol(name), rng.choice((-2, -1, 1, 1, 2, 3, 4, 12))))
    if rng.random() < 0.4:
        total = dims.add(total, dims.mul(dims.mul(dims.symbol(rng.choice(list(ranges))), dim("n")), rng.choice((-1, 1, 2))))
    if depth and rng.random() < 0.5:
        part = dims.floordiv(index(rng, ranges, 0), rng.choice((2, 3, 4, 12)), ranges)
        total = dims.add(total, dims.mul(part, rng.choice((-1, 1, 2, dims.symbol("i")))))
    return total


def points() -> Iterator[dict[str, int]]:
    for n in (1, 2, 3, 5):
        for i, j, k in product(range(n), range(4), range(3)):
            yield {"n": n, "i": i, "j": j, "k": k}


@pytest.mark.parametrize("seed", range(3))
def test_index_arithmetic(seed: int) -> None:
    """What ranges allow to simplify is true at every point of the ranges."""
    rng = random.Random(seed)
    ranges: Ranges = {"i": dim("n"), "j": 4, "k": 3}
    for _ in range(200):
        a, b = index(rng, ranges), index(rng, ranges)
        by = rng.choice((1, 2, 3, 4, 12, dim("n"), dim("4*n")))
        quotient, rest = dims.floordiv(a, by, ranges), dims.mod(a, by, ranges)
        high, low = dims.maximum(a, b, ranges), dims.minimum(a, b, ranges)
        signed = dims.is_nonnegative(a, ranges)
        for env in points():
            x, y, q = (dims.evaluate(s, env) for s in (a, b, by))
            got = tuple(dims.evaluate(s, env) for s in (quotient, rest, high, low))
            assert got == (x // q, x % q, max(x, y), min(x, y)), (a, b, by, env)
            assert x >= 0 or not signed, (a, env)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("n + n", "2*n"),
        ("(n + 1) * (n - 1)", "n*n-1"),
        ("2*n // 2", "n"),
        ("(4*n + 6) // 4", "n+1"),
        ("(n // 2) // 3", "n//6"),
        ("(6*n + 3*m) // 3", "m+2*n"),
        ("n * m - m * n", "0"),
        ("n % 1", "0"),
        ("max(n, 0)", "n"),
        ("max(n - 1, 0)", "max(n-1, 0)"),
        ("max(max(n - 1, 0) - 1, 0)", "max(n-2, 0)"),
        ("min(n + 3, n)", "n"),
        ("b*a*2", "2*a*b"),
        ("-(n//2)*3", "-3*(n//2)"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    assert str(dim(text)) == canonical


def test_equal_expressions_are_equal_shapes() -> None:
    assert (dim("2*(n+1)"), 3) == (dim("n+n+2"), 3)
    assert len({dim("(3*n)//3"), dim("n")}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n +", "'n +' is not a dimension: write a name or an integer expression of names"),
        ("n / 2", "'n / 2' is not a dimension: use names, integers, + - * // % max min"),
        ("n.m", "'n.m' is not a dimension: use names, integers, + - * // % max min"),
        ("n // 0", "'n // 0' is not a dimension: it divides by 0, and divisors are at least 1"),
        ("n % -2", "'n % -2' is not a dimension: it divides by -2, and divisors are at least 1"),
        ("float32", "'float32' cannot name a dimension: graph text has another meaning for it"),
        ("True", "'True' is not a dimension: use names, integers, + - * // % max min"),
    ],
)
def test_what_is_no_dimension(text: str, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        dim(text)
    assert caught.value.message == message
