"""Sizes: integers, and integer expressions of named dimensions in one canonical form.

    size     := int | Dim
    Dim      := sum of integer * monomial          a polynomial: 2*batch + 1
    monomial := product of atoms
    atom     := name | FloorDiv(size, size) | Max0(size)

Equal expressions are equal objects under `==`, so shapes compare as tuples. A named dimension is any integer >= 0.
The same algebra serves as index arithmetic inside kernels, where names are loop variables with a known range.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any, Union

import numpy as np

from graphc.errors import PACKAGE, InputError, ShapeError, caller

Size = Union[int, "Dim"]
Shape = tuple[Size, ...]
Ranges = Mapping[str, Size]  # loop variable -> extent: 0 <= variable < extent
NO_RANGES: Ranges = {}
_RESERVED = frozenset(
    {"true", "false", "none", "nan", "inf", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
    | {"float16", "bfloat16", "float32", "float64"}
)


@dataclass(frozen=True)
class FloorDiv:
    """numerator // denominator, with a denominator > 0."""

    numerator: Size
    denominator: Size

    def __str__(self) -> str:
        return f"{_operand(self.numerator)}//{_operand(self.denominator)}"


@dataclass(frozen=True)
class Max0:
    """max(value, 0)."""

    value: Size

    def __str__(self) -> str:
        return f"max({self.value}, 0)"


Atom = str | FloorDiv | Max0
Monomial = tuple[Atom, ...]


_NUMBERS = re.compile(r"(?<![^<>=^])[-+ ](?=\d|$)|0(?=\d)|[,_]|\.\d+|[bcdeEfFgGnoxX%]$")  # what a format says of numbers alone
_LARGEST_POWER = 16


class Dim:
    """A symbolic size: a polynomial with integer coefficients, canonical and immutable.

    Beside integers it makes sizes, beside other numbers symbols that are weak, as Python's numbers are: n / 2, n ** 0.5. An order
    that not every call has is a symbol too, whose truth value is an error.

    >>> batch = dim("batch")
    >>> 2 * batch + batch
    3*batch
    >>> (4 * batch) // 2 == batch * 2
    True
    """

    __slots__ = ("_hash", "_text", "terms")
    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self._text: str | None = None

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return Dim, (self.terms,)  # texts have another hash in another process

    def __eq__(self, other: object) -> Any:
        """Whether two expressions are the same. Users who compare with a number that a call may bring get a symbol."""
        if isinstance(other, Dim):
            return self._hash == other._hash and self.terms == other.terms
        if type(other) is not int or _asked_inside():
            return False
        return False if _apart(self, other) else self._beyond("equal", self, other)

    def __ne__(self, other: object) -> Any:
        if type(other) is not int or _asked_inside():
            return not self == other
        return True if _apart(self, other) else self._beyond("not_equal", self, other)

    # --- arithmetic: of integers it gives sizes, of other numbers it gives symbols ---

    @staticmethod
    def _beyond(name: str, a: object, b: object) -> Any:
        """What an operation gives that leaves the integers. Given by graphc/ops/sizes.py, which knows symbols."""
        return NotImplemented

    def __add__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("add", self, other) if n is None else add(self, n)

    def __radd__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("add", other, self) if n is None else add(n, self)

    def __sub__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("subtract", self, other) if n is None else sub(self, n)

    def __rsub__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("subtract", other, self) if n is None else sub(n, self)

    def __neg__(self) -> Size:
        return mul(self, -1)

    def __pos__(self) -> Size:
        return self

    def __abs__(self) -> Size:
        return maximum(self, mul(self, -1))

    def __mul__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("multiply", self, other) if n is None else mul(self, n)

    def __rmul__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("multiply", other, self) if n is None else mul(n, self)

    def __floordiv__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("floor_divide", self, other) if n is None else _floordiv(self, n)

    def __rfloordiv__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("floor_divide", other, self) if n is None else _floordiv(n, self)

    def __mod__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("remainder", self, other) if n is None else sub(self, mul(n, _floordiv(self, n)))

    def __rmod__(self, other: Size) -> Size:
        n = _integer(other)
        return self._beyond("remainder", other, self) if n is None else sub(n, mul(self, _floordiv(n, self)))

    def __divmod__(self, other: Size) -> tuple[Size, Size]:
        n = _integer(other)
        whole = self._beyond("floor_divide", self, other) if n is None else _floordiv(self, n)
        return whole if whole is NotImplemented else (whole, self % other)

    def __rdivmod__(self, other: Size) -> tuple[Size, Size]:
        n = _integer(other)
        whole = self._beyond("floor_divide", other, self) if n is None else _floordiv(n, self)
        return whole if whole is NotImplemented else (whole, other % self)

    def __truediv__(self, other: object) -> Any:
        return self._beyond("divide", self, other)

    def __rtruediv__(self, other: object) -> Any:
        return self._beyond("divide", other, self)

    def __pow__(self, other: object) -> Any:
        n = _integer(other)
        if not isinstance(n, int) or not 0 <= n <= _LARGEST_POWER:
            return self._beyond("pow", self, float(n) if isinstance(n, int) and n < 0 else other)
        return product((self,) * n)

    def __rpow__(self, other: object) -> Any:
        return self._beyond("pow", other, self)

    def __round__(self, ndigits: int | None = None) -> Size:
        return self

    def __trunc__(self) -> Size:
        return self

    __floor__ = __ceil__ = __trunc__

    # --- order: True or False where it holds for every call, else a symbol ---

    def __lt__(self, other: object) -> Any:
        n = _integer(other)
        known = None if n is None else _below(self, n)
        return self._beyond("less", self, other) if known is None else known

    def __le__(self, other: object) -> Any:
        n = _integer(other)
        known = None if n is None else _below(n, self)
        return self._beyond("less_equal", self, other) if known is None else not known

    def __gt__(self, other: object) -> Any:
        n = _integer(other)
        known = None if n is None else _below(n, self)
        return self._beyond("greater", self, other) if known is None else known

    def __ge__(self, other: object) -> Any:
        n = _integer(other)
        known = None if n is None else _below(self, n)
        return self._beyond("greater_equal", self, other) if known is None else not known

    def __bool__(self) -> bool:
        if _asked_inside() or is_nonnegative(sub(self, 1)):
            return True
        return bool(self._beyond("not_equal", self, 0))  # which says what to do

    # --- what a size cannot do ---

    def __index__(self) -> int:  # NumPy hides a TypeError
        raise ShapeError(
            f"a Python integer from the size {self}: each call may choose it", where=caller(),
            hint="use gx.zeros, gx.ones, gx.full, gx.arange instead of NumPy's; gx.scan, gx.map or gx.fori_loop instead of range",
        )  # fmt: skip

    def __float__(self) -> float:
        raise InputError(
            f"a Python number from the size {self}: each call may choose it", where=caller(),
            hint="n ** 0.5 and 1 / n are numbers that a call knows; gx.sqrt(n), gx.log(n) and so on instead of math's functions",
        )  # fmt: skip

    __int__ = __index__
    __complex__ = __float__

    def __format__(self, spec: str) -> str:
        try:
            return format(str(self), _NUMBERS.sub("", spec))
        except (ValueError, OverflowError, MemoryError):  # the last of a width without end
            hint = "give an alignment and a width, as in >5"
            raise InputError(f"{spec!r} is not a format of a size", where=caller(), hint=hint) from None

    def __str__(self) -> str:
        if self._text is None:
            self._text = self._written()
        return self._text

    def _written(self) -> str:
        text = ""
        for monomial, factor in self.terms:
            alone = factor == 1 and len(monomial) == 1
            atoms = [str(a) if alone else _atom(a) for a in monomial]
            if abs(factor) != 1 or not monomial:
                atoms.insert(0, str(abs(factor)))
            text += ("-" if factor < 0 else "+") + "*".join(atoms)
        return text.removeprefix("+")

    __repr__ = __str__


def _asked_inside() -> bool:
    """Whether code of graphc compares, or records are compared, such as types: by the frame two up."""
    code = sys._getframe(2).f_code
    return code.co_filename.startswith(PACKAGE) or (code.co_filename == "<string>" and code.co_name == "__eq__")  # dataclass's


def _integer(value: object) -> Size | None:
    """A size, or an integer of Python's or NumPy's; None for anything else."""
    if isinstance(value, (int, Dim)):
        return value
    return int(value) if isinstance(value, np.integer) else None


def _below(a: Size, b: Size) -> bool | None:
    """Whether a < b; None where that depends on the names."""
    if is_nonnegative(sub(sub(b, a), 1)):
        return True
    return False if is_nonnegative(sub(a, b)) else None


def _apart(a: Size, b: Size) -> bool:
    """Whether two sizes differ whatever their names are."""
    return is_nonnegative(sub(sub(a, b), 1)) or is_nonnegative(sub(sub(b, a), 1))


def _floordiv(a: Size, b: Size) -> Size:
    """a // b for every b but 0."""
    if b == 0:
        raise ShapeError(f"{a} is divided by 0", where=caller())
    return floordiv(mul(a, -1), -b) if isinstance(b, int) and b < 0 else floordiv(a, b)


def _atom(atom: Atom) -> str:
    return f"({atom})" if isinstance(atom, FloorDiv) else str(atom)


def _operand(size: Size) -> str:
    simple = isinstance(size, int) or (len(size.terms) == 1 and size.terms[0][1] == 1 and len(size.terms[0][0]) == 1)
    if simple and isinstance(size, Dim) and isinstance(size.terms[0][0][0], FloorDiv):
        simple = False
    return str(size) if simple else f"({size})"


def _key(monomial: Monomial) -> tuple[int, tuple[str, ...]]:
    return (-len(monomial), tuple(str(a) for a in monomial))


def _make(terms: Mapping[Monomial, int]) -> Size:
    kept = {m: c for m, c in terms.items() if c != 0}
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    return Dim(tuple(sorted(kept.items(), key=lambda item: _key(item[0]))))


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Dim):
        return size.terms
    return (((), int(size)),) if size else ()


def dim(text: str | Dim) -> Size:
    """The size a text denotes: a name or an integer expression of names.

    >>> dim("2*batch + 1")
    2*batch+1
    """
    if isinstance(text, Dim):
        return text
    if not isinstance(text, str):
        raise InputError(f"{text!r} is not a dimension", where=caller(), hint='write its name, as in gx.dim("batch")')
    try:
        return _parse(text)
    except ShapeError as error:
        error.where = error.where or caller()
        raise


@lru_cache(maxsize=4096)
def _parse(text: str) -> Size:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ShapeError(f"{text!r} is not a dimension: write a name or an integer expression of names") from error
    return _from_ast(tree, text)


def _from_ast(tree: ast.expr, text: str) -> Size:
    match tree:
        case ast.Name(id=name):
            if name in _RESERVED:
                raise ShapeError(f"{name!r} cannot name a dimension: graph text has another meaning for it")
            return symbol(name)
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return mul(_from_ast(operand, text), -1)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _from_ast(left, text), _from_ast(right, text)
            if isinstance(op, (ast.FloorDiv, ast.Mod)) and isinstance(b, int) and b <= 0:
                raise ShapeError(f"{text!r} is not a dimension: it divides by {b}, and divisors are at least 1")
            match op:
                case ast.Add():
                    return add(a, b)
                case ast.Sub():
                    return add(a, mul(b, -1))
                case ast.Mult():
                    return mul(a, b)
                case ast.FloorDiv():
                    return floordiv(a, b)
                case ast.Mod():
                    return mod(a, b)
        case ast.Call(func=ast.Name(id="max"), args=[a_tree, b_tree]):
            return maximum(_from_ast(a_tree, text), _from_ast(b_tree, text))
        case ast.Call(func=ast.Name(id="min"), args=[a_tree, b_tree]):
            return minimum(_from_ast(a_tree, text), _from_ast(b_tree, text))
    raise ShapeError(f"{text!r} is not a dimension: use names, integers, + - * // % max min")


@lru_cache(maxsize=4096)
def symbol(name: str) -> Dim:
    """The dimension called `name`."""
    return Dim((((name,), 1),))


@lru_cache(maxsize=65536)
def add(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    total = dict(_terms(a))
    for monomial, factor in _terms(b):
        total[monomial] = total.get(monomial, 0) + factor
    return _make(total)


@lru_cache(maxsize=65536)
def mul(a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    total: dict[Monomial, int] = {}
    for m1, c1 in _terms(a):
        for m2, c2 in _terms(b):
            monomial = tuple(sorted(m1 + m2, key=str))
            total[monomial] = total.get(monomial, 0) + c1 * c2
    return _make(total)


@lru_cache(maxsize=65536)
def sub(a: Size, b: Size) -> Size:
    return add(a, mul(b, -1))


def product(sizes: Iterable[Size]) -> Size:
    """The number of elements of a shape.

    >>> product((dim("n"), 3))
    3*n
    """
    total: Size = 1
    for size in sizes:
        total = mul(total, size)
    return total


@lru_cache(maxsize=65536)
def divide_exactly(a: Size, b: Size) -> Size | None:
    """a / b if the polynomial division leaves nothing, else None."""
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return a // b if a % b == 0 else None
    rest, quotient = a, 0
    lead, lead_factor = _terms(b)[0]
    for _ in range(16):
        if rest == 0:
            return quotient
        first, factor = _terms(rest)[0]
        left = _remove(first, lead)
        if left is None or factor % lead_factor:
            return None
        piece = _make({left: factor // lead_factor})
        quotient = add(quotient, piece)  # type: ignore[assignment]
        rest = sub(rest, mul(piece, b))
    return None


def divisor(a: Size) -> int:
    """A number that divides a, whatever its names are; 0 for 0.

    >>> divisor(64 * symbol("t") - maximum(64 * symbol("t") - 224, 0))
    32
    """
    found = 0
    for monomial, factor in _terms(a):
        for atom in monomial:
            match atom:
                case Max0(inner):
                    factor *= divisor(inner)
        found = gcd(found, factor)
    return found


def _remove(monomial: Monomial, part: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def floordiv(a: Size, b: Size, ranges: Ranges = NO_RANGES) -> Size:
    """a // b for b > 0, simplified where the ranges of the names allow.

    >>> i, j = symbol("i"), symbol("j")
    >>> floordiv(12 * i + j, 12, {"j": 12})
    i
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if b == 1:
        return a
    exact = divide_exactly(a, b)
    return _quotient(a, b, _relevant(ranges, a, b)) if exact is None else exact


def _relevant(ranges: Ranges, *sizes: Size) -> tuple[tuple[str, Size], ...]:
    """The ranges of the names in sizes."""
    if not ranges:
        return ()
    return tuple([(n, ranges[n]) for n in sorted(names(*sizes)) if n in ranges])


@lru_cache(maxsize=65536)
def _quotient(a: Size, b: Size, known: tuple[tuple[str, Size], ...]) -> Size:
    """a // b where nothing is exact."""
    ranges = dict(known)
    whole: Size = 0
    rest: Size = 0
    for monomial, factor in _terms(a):
        term = _make({monomial: factor})
        part = divide_exactly(term, b)
        if part is None and isinstance(b, int) and not monomial:
            part, term = factor // b, factor % b
            rest = add(rest, term)
        elif part is None:
            rest = add(rest, term)
            continue
        whole = add(whole, part)
    if is_nonnegative(rest, ranges) and is_nonnegative(sub(sub(b, 1), upper(rest, ranges)), ranges):
        return whole
    if isinstance(b, int):
        common = gcd(b, *(factor for _, factor in _terms(rest)))
        rest, b = _make({m: c // common for m, c in _terms(rest)}), b // common
    match rest:
        case Dim(terms=(((FloorDiv(inner, by),), 1),)):  # (x // y) // z = x // (y*z)
            return add(whole, floordiv(inner, mul(by, b), ranges))
    return add(whole, _make({(FloorDiv(rest, b),): 1}))


def mod(a: Size, b: Size, ranges: Ranges = NO_RANGES) -> Size:
    """a % b for b > 0."""
    return sub(a, mul(b, floordiv(a, b, ranges)))


def maximum(a: Size, b: Size, ranges: Ranges = NO_RANGES) -> Size:
    """max(a, b).

    >>> maximum(dim("n"), 0), maximum(dim("n-1"), 0)
    (n, max(n-1, 0))
    """
    return add(b, _max0(sub(a, b), ranges))


def minimum(a: Size, b: Size, ranges: Ranges = NO_RANGES) -> Size:
    """min(a, b)."""
    return sub(a, _max0(sub(a, b), ranges))


def _max0(a: Size, ranges: Ranges) -> Size:
    if isinstance(a, int):
        return max(a, 0)
    if is_nonnegative(a, ranges):
        return a
    if is_nonnegative(mul(a, -1), ranges):
        return 0
    for monomial, factor in a.terms:  # max(max(e, 0) - r, 0) = max(e - r, 0) for r >= 0
        match monomial, factor:
            case (Max0(inner),), 1:
                rest = sub(a, _make({monomial: 1}))
                if is_nonnegative(mul(rest, -1), ranges):
                    return _max0(add(inner, rest), ranges)
    common = gcd(*(factor for _, factor in a.terms))
    if common > 1 and _has_data(a):  # numbers of tiles: bounds of loops over elements and over tiles agree
        return mul(_max0(_make({m: factor // common for m, factor in a.terms}), ranges), common)
    if a.terms[0][1] < 0:  # one canonical sign: max(-e, 0) = max(e, 0) - e
        return add(_max0(mul(a, -1), ranges), a)
    return _make({(Max0(a),): 1})


def _has_data(a: Size) -> bool:
    """Whether a kernel's values are among the names of an index expression."""
    return any(n.startswith("%") for n in names(a))


def as_written(atom: Atom) -> Size:
    """The size that is this quotient or maximum and nothing simpler: what a text says that prints one."""
    return _make({(atom,): 1})


def is_nonnegative(a: Size, ranges: Ranges = NO_RANGES) -> bool:
    """Whether a >= 0 for every value of its names is provable: lower bounds of the terms add up to something >= 0."""
    if isinstance(a, int):
        return a >= 0
    if all(factor >= 0 for _, factor in a.terms):
        return all(_atom_nonnegative(atom, ranges) for monomial, _ in a.terms for atom in monomial)
    for monomial, factor in a.terms:  # r - max(e, 0) >= 0 if r >= 0 and r >= e
        match monomial, factor:
            case (Max0(inner),), -1:
                rest = add(a, _make({monomial: 1}))
                return is_nonnegative(rest, ranges) and is_nonnegative(sub(rest, inner), ranges)
            case (Max0(inner),), int(times) if times > 0 and _has_data(inner):  # r + max(e, 0) >= r + e
                rest = sub(a, _make({monomial: times}))
                if is_nonnegative(add(rest, mul(inner, times)), ranges):
                    return True
    low = lower(a, ranges)
    return low != a and is_nonnegative(low, NO_RANGES)


def _atom_nonnegative(atom: Atom, ranges: Ranges) -> bool:
    if isinstance(atom, FloorDiv):
        return is_nonnegative(atom.numerator, ranges)
    return True


def upper(a: Size, ranges: Ranges) -> Size:
    """An upper bound of a with the loop variables of `ranges` gone."""
    return _bound(a, ranges, up=True)


def lower(a: Size, ranges: Ranges) -> Size:
    """A lower bound of a with the loop variables of `ranges` gone."""
    return _bound(a, ranges, up=False)


def _bound(a: Size, ranges: Ranges, up: bool) -> Size:
    total: Size = 0
    for monomial, factor in _terms(a):
        term: Size = factor
        if len(monomial) > 1 and not all(_atom_nonnegative(atom, ranges) for atom in monomial):
            total = add(total, _make({monomial: factor}))  # bounds of factors bound a product only where none is negative
            continue
        for atom in monomial:
            if isinstance(atom, str) and atom in ranges:
                term = mul(term, sub(ranges[atom], 1) if (factor > 0) == up else 0)
            elif isinstance(atom, FloorDiv) and names(atom.numerator) & ranges.keys():
                bound = floordiv(_bound(atom.numerator, ranges, (factor > 0) == up), atom.denominator)
                term = mul(term, bound)
            else:
                term = mul(term, _make({(atom,): 1}))
        total = add(total, term)
    return total


def at_most(a: Size, by: int) -> Size:
    """A bound of by * a from above, by > 0, in which what `a` divides by that number is whole.

    >>> at_most(floordiv(dim("n+1"), 2), 2)
    n+1
    """
    total: Size = 0
    for monomial, factor in _terms(a):
        match monomial:
            case (FloorDiv(inner, denominator),) if factor > 0 and denominator == by:
                term = mul(inner, factor)
            case (Max0(inner),) if factor > 0:
                term = mul(maximum(at_most(inner, by), 0), factor)
            case _:
                term = _make({monomial: factor * by})
        total = add(total, term)
    return total


def denominators(*sizes: Size) -> list[Size]:
    """What sizes divide by, as far as only names tell it: each must be at least 1."""
    found: dict[Size, None] = {}
    todo: list[Size] = list(sizes)
    while todo:
        for monomial, _ in _terms(todo.pop()):
            for atom in monomial:
                match atom:
                    case FloorDiv(a, b):
                        todo += (a, b)
                        if names(b):
                            found[b] = None
                    case Max0(a):
                        todo.append(a)
    return list(found)


@lru_cache(maxsize=65536)
def names(*sizes: Size) -> frozenset[str]:
    """The names that occur in sizes."""
    found: set[str] = set()
    todo: list[Size] = list(sizes)
    while todo:
        for monomial, _ in _terms(todo.pop()):
            for atom in monomial:
                match atom:
                    case str(name):
                        found.add(name)
                    case FloorDiv(a, b):
                        todo += (a, b)
                    case Max0(a):
                        todo.append(a)
    return frozenset(found)


def ravel(index: Sequence[Size], shape: Shape) -> Size:
    """The position of an index in row-major order.

    >>> ravel((symbol("i"), symbol("j")), (2, 3))
    3*i+j
    """
    linear: Size = 0
    for i, n in zip(index, shape, strict=True):
        linear = add(mul(linear, n), i)
    return linear


def unravel(linear: Size, shape: Shape, ranges: Ranges = NO_RANGES) -> tuple[Size, ...]:
    """The index of an element by its position in row-major order.

    >>> unravel(symbol("i"), (dim("n"), 3))
    (i//3, i-3*(i//3))
    """
    index: list[Size] = []
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1:
            index.append(0)
        elif all(n == 1 for n in shape[:axis]):
            index.append(linear)
        else:
            size = shape[axis] or 1  # an empty axis has no elements to find
            index.append(mod(linear, size, ranges))
            linear = floordiv(linear, size, ranges)
    return tuple(reversed(index))


def substitute(size: Size, env: Mapping[str, Size], ranges: Ranges = NO_RANGES) -> Size:
    """`size` with names replaced.

    >>> substitute(dim("2*n+1"), {"n": 4})
    9
    """
    if isinstance(size, int):
        return size
    total: Size = 0
    for monomial, factor in size.terms:
        term: Size = factor
        for atom in monomial:
            value: Size
            match atom:
                case str(name):
                    value = env.get(name, symbol(name))
                case FloorDiv(a, b):
                    value = floordiv(substitute(a, env, ranges), substitute(b, env, ranges), ranges)
                case Max0(a):
                    value = _max0(substitute(a, env, ranges), ranges)
            term = mul(term, value)
        total = add(total, term)
    return total


def evaluate(size: Size, env: Mapping[str, int]) -> int:
    """The integer that `size` is under `env`."""
    if isinstance(size, int):
        return size
    total = 0
    for monomial, factor in size.terms:
        for atom in monomial:
            match atom:
                case str(name):
                    factor *= env[name]
                case FloorDiv(a, b):
                    factor *= evaluate(a, env) // evaluate(b, env)
                case Max0(a):
                    factor *= max(evaluate(a, env), 0)
        total += factor
    return total
