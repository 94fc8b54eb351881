"""The native functions by name: each is compiled on its own, once, and called by all kernels.

    strip_rows, strip_columns     a strip of results; the left operand's neighbours in memory lie along k, or along its rows
    strip_apart, strip_beside     the same; where the left operand's k lie says a table; its rows lie apart, or side by side
    last_rows, ...                its last columns
    strip_bytes, strip_shorts     a strip of results in int32, of words of integers, by rows
    last_bytes, last_shorts       its last columns
    pack_rows, pack_columns       panels of the right operand; its neighbours in memory lie along its columns, or along k
    pack_places                   the same; its neighbours lie along its columns, and where its k lie says a table
    point                         panels that lie in memory already
    lay_out                       panels that the caller fills
    pack_piece                    fills one panel, for some of its k
    turn                          results with rows and columns exchanged
    deal_3, deal_5, ...           as many short rows as a vector has lanes, with rows and columns exchanged
    collect_3, ...                the same, back
    exchange                      the same of any memory: nothing beyond the last row and column is read

A right operand may be floats of 16 bits: functions that read it are also there for such a source.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

from graphc.backends.llvm.intrinsics import Intrinsic, Pointer, external
from graphc.backends.llvm.objects import FINISHED
from graphc.backends.llvm.tiles import pack, strip
from graphc.backends.llvm.tiles.text import Module
from graphc.backends.llvm.tiles.tile import PLACED
from graphc.ir import types as t
from graphc.ir.target import Target
from graphc.ir.types import DType

NUMBERS = ("bytes", "shorts")  # what a word of integers holds: four of 8 bits, or two of 16
WAYS = ("rows", "columns", *PLACED)  # to read the left operand

_WRITERS: dict[str, tuple[str, Callable[..., None]]] = {
    **{f"strip_{way}": (strip.arguments(way), partial(strip.write_strip, way=way)) for way in WAYS},
    **{f"last_{way}": (strip.arguments(way), partial(strip.write_last, way=way)) for way in WAYS},
    **{f"strip_{number}": (strip.arguments("rows"), partial(strip.write_strip, way="rows", number=number)) for number in NUMBERS},
    **{f"last_{number}": (strip.arguments("rows"), partial(strip.write_last, way="rows", number=number)) for number in NUMBERS},
    "pack_rows": (pack.ARGUMENTS, pack.write_pack_rows),
    "pack_places": (pack.PLACES_ARGUMENTS, partial(pack.write_pack_rows, placed=True)),
    "pack_columns": (pack.ARGUMENTS, pack.write_pack_columns),
    "pack_piece": (pack.ARGUMENTS, partial(pack.write_pack_columns, alone=True)),
    "turn": (pack.TURN_ARGUMENTS, pack.write_turn),
    "exchange": (pack.TURN_ARGUMENTS, pack.write_exchange),
    **{f"deal_{n}": (pack.DEAL_ARGUMENTS, partial(pack.write_deal, count=n)) for n in pack.DEALT},
    **{f"collect_{n}": (pack.COLLECT_ARGUMENTS, partial(pack.write_deal, count=n, back=True)) for n in pack.DEALT},
    "point": (pack.POINT_ARGUMENTS, pack.write_point),
    "lay_out": (pack.LAY_OUT_ARGUMENTS, pack.write_lay_out),
}


@dataclass(frozen=True)
class TileFunction:
    """A native function: its symbol, which names everything it depends on, and its arguments.

    A letter each: p for a pointer, s for one to the source, t for one to integers, i for an integer.
    """

    symbol: str
    arguments: str
    text: Callable[[], str] = field(compare=False)


@cache
def label(target: Target) -> str:
    """What tells the functions of a target from those of others: its name, and a digest of its facts."""
    digest = hashlib.sha256(str(target.facts).encode()).hexdigest()
    return f"{re.sub(r'[^0-9A-Za-z]', '_', target.name)}_{digest[:6]}"


def native(name: str, itemsize: int, target: Target, source: str = "") -> TileFunction:
    """A function of the library for floats of a size, which reads the right operand as the source says: "f16", "bf16" or "".

    >>> from graphc.ir.target import TARGETS
    >>> native("pack_rows", 4, TARGETS["x86-64-v4"]).symbol.startswith("graphc_pack_rows_f32_x86_64_v4_")
    True
    """
    arguments, write = _WRITERS[name]
    symbol = f"graphc_{name}{source and '_'}{source}_f{itemsize * 8}_{label(target)}"

    def text() -> str:
        module = Module()
        write(module, target, itemsize, symbol, **({"source": source} if source else {}))
        return FINISHED + str(module)

    return TileFunction(symbol, arguments, text)


@cache
def library_function(function: TileFunction, dtype: DType, source: DType | None) -> Intrinsic:
    """A function of the library as kernels call it."""
    kinds: dict[str, DType | Pointer] = {
        "p": Pointer(dtype), "s": Pointer(source or dtype), "t": Pointer(t.int64), "i": t.int64,
    }  # fmt: skip
    return external(function.symbol, None, *(kinds[letter] for letter in function.arguments), definition=function.text)
