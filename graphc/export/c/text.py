"""Types, numbers and sizes as C.

A value of a program is a C variable of the type in `TYPES`. Booleans are 0 and 1 in a byte, as in NumPy's arrays; floats of 16
bits are their bits, since C99 has no such type: the program computes none of them without a cast.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable

import numpy as np

from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.scalar import Const
from graphc.ir.types import DType

TYPES = {
    t.bool_: "uint8_t", t.int8: "int8_t", t.int16: "int16_t", t.int32: "int32_t", t.int64: "int64_t", t.uint8: "uint8_t",
    t.uint16: "uint16_t", t.uint32: "uint32_t", t.uint64: "uint64_t", t.float16: "uint16_t", t.bfloat16: "uint16_t",
    t.float32: "float", t.float64: "double",
}  # fmt: skip
SIZE = "ptrdiff_t"  # sizes, loop variables and indices: what an index of an array may be

KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict "
    "return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "asm bool catch class delete explicit export false friend linux mutable namespace new operator private protected public "
    "template this throw true try typename typeof unix using virtual "
    "main errno stdin stdout stderr assert offsetof memcpy memset size_t NULL INLINE PARALLEL THREAD THREADS".split()
)


def identifier(name: str) -> str:
    """A name as one of C and C++, whatever it was.

    >>> identifier("encoder/0.kernel"), identifier("0"), identifier("for")
    ('encoder_0_kernel', 'v0', 'for_')
    """
    text = re.sub(r"[\W_]+", "_", name, flags=re.ASCII).strip("_") or "v"  # C keeps _x and a__b for itself
    if text[0].isdigit():
        text = f"v{text}"
    return f"{text}_" if text in KEYWORDS or re.fullmatch(r"u?int\w*_t", text) else text


class Names:
    """Identifiers for things, each its own, none of which stands for something else already."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._found: dict[object, str] = {}

    def of(self, thing: object, text: str) -> str:
        """The identifier of a thing, which is like a text as far as that is free."""
        found = self._found.get(thing)
        if found is None:
            found = base = identifier(text)
            count = 1
            while found in self._taken:
                count += 1
                found = f"{base}_{count}"
            self._taken.add(found)
            self._found[thing] = found
        return found

    def __getitem__(self, name: str) -> str:
        return self.of(name, name)


def literal(const: Const) -> str:
    """A constant of a program.

    >>> from graphc.ir.types import float16, float32, int64
    >>> literal(Const(0.1, float32)), literal(Const(-(2**63), int64)), literal(Const(1.0, float16))
    ('0.1f', '(-INT64_C(9223372036854775807) - 1)', '0x3c00')
    """
    value, dtype = const.value, const.dtype
    if dtype.is_bool:
        return "1" if value else "0"
    if dtype.is_storage:
        return f"0x{np.asarray(value, dtype.numpy).view(np.uint16).item():04x}"
    if dtype.is_float:
        return _float(value, dtype)
    if dtype.kind == "u":
        return f"UINT64_C({value})" if dtype == t.uint64 else f"{value}u"
    if value == -(2**63):
        return "(-INT64_C(9223372036854775807) - 1)"
    text = f"INT64_C({abs(value)})" if abs(value) >= 2**31 - 1 or dtype == t.int64 else str(abs(value))
    return f"(-{text})" if value < 0 else text


def _float(value: float, dtype: DType) -> str:
    """The shortest decimal number that is this float; infinities and NaN by their bits."""
    single = dtype == t.float32
    if not math.isfinite(value):
        bits = struct.unpack("<I" if single else "<Q", struct.pack("<f" if single else "<d", value))[0]
        return f"{dtype.short}_of_bits({f'0x{bits:08x}u' if single else f'UINT64_C(0x{bits:016x})'})"
    size = dtype.numpy.type(abs(value))
    text = np.format_float_positional(size, unique=True, trim="0")
    if len(text) >= 16:
        text = np.format_float_scientific(size, unique=True, trim="0")
    text += "f" if single else ""
    return f"(-{text})" if math.copysign(1.0, value) < 0 else text


def size_text(size: Size, name: Callable[[str], str], use: Callable[[str], str], kind: str = SIZE) -> str:
    """A size or an index as an expression of the type `kind`; `use` is told which functions it calls."""
    if isinstance(size, int):
        return _whole(size)
    text = ""
    for monomial, factor in size.terms:
        parts = [_atom(a, name, use, kind) for a in monomial]
        if abs(factor) != 1 or not monomial:
            parts.insert(0, _whole(abs(factor)))
        text += (" - " if factor < 0 else " + ") + "*".join(parts)
    return text[3:] if text.startswith(" + ") else text.strip().replace("- ", "-", 1)


def operand(size: Size, name: Callable[[str], str], use: Callable[[str], str]) -> str:
    """The same, as an operand of any operator."""
    text = size_text(size, name, use)
    return text if re.fullmatch(r"\w+", text) else f"({text})"


def _whole(value: int) -> str:
    text = str(abs(value)) if abs(value) < 2**31 else f"INT64_C({abs(value)})"
    return f"(-{text})" if value < 0 else text


def _atom(atom: dims.Atom, name: Callable[[str], str], use: Callable[[str], str], kind: str) -> str:
    match atom:
        case str():
            return f"({kind}){name(atom)}" if kind != SIZE or atom.startswith("%") else name(atom)
        case dims.FloorDiv(a, b):
            x, y = size_text(a, name, use, kind), size_text(b, name, use, kind)
            if dims.is_nonnegative(a) and not any(n.startswith("%") for n in dims.names(a)):
                return f"(({x}) / ({y}))"
            return f"({kind}){use('floor_div')}({x}, {y})"
        case dims.Max0(a):
            return f"({kind}){use('at_least_0')}({size_text(a, name, use, kind)})"
