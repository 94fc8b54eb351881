"""Contractions of integers of 8 bits, summed in int32, as source: loops over strips that call the library of register tiles.

A word of 4 bytes holds a group of neighbours along k: 4 integers of 8 bits where the target multiplies u8 by s8 and sums four
products in one instruction (`Target.dot8`), else 2 of 16 bits, of which every x86-64 sums two. Tiles are those of floats, with
words in the place of elements.

    for column0 in range(n_start, n_stop, COLUMNS):
        for row0 in range(m_start, m_stop, ROWS):
            for step0 in range(k_start, k_stop, RUN):
                the right operand's panels: [panel][group of k][column][k]; k beyond the last are zeros
                for strip in range(strips):
                    the left operand's rows
                    the library's strip
                    after the last run: the epilogue over the strip

Where the left operand is int8, its words hold a + 128, which is u8, and a row of 128 gives what is too much: 128 times the sums
of the right operand's columns. Sums wrap, so their order does not matter: results are exact on every target.
"""

from __future__ import annotations

from dataclasses import replace
from math import gcd
from typing import TYPE_CHECKING

from graphc.backends.llvm import intrinsics
from graphc.backends.llvm.packing import Packing, Walk, along
from graphc.backends.llvm.tiles.library import library_function, native
from graphc.backends.llvm.tiles.pack import HEADER
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.layout import tallest
from graphc.ir.program import RUN, Block, Contract, Load
from graphc.ir.scalar import Const, Let, Ref
from graphc.ir.types import DType

if TYPE_CHECKING:
    from graphc.backends.llvm.source import Printer

BYTES = (t.int8, t.uint8)


def narrow(block: Block, dtype: DType) -> Block | None:
    """The code of an operand without the cast that makes int32 of its 8 bits; None where it is not such."""
    match block:
        case Block((*body, Let(name, to, "cast", (given,))), Ref(value)) if name == value and to == dtype == t.int32:
            return Block(tuple(body), given) if given.dtype in BYTES else None
    return None


def single(block: Block) -> Load | None:
    """The load that is all of an operand's code."""
    match block:
        case Block((Load(name, guard=None) as load,), Ref(value)) if name == value:
            return load
    return None


def is_narrow(contract: Contract) -> bool:
    """Whether both operands are integers of 8 bits."""
    return all(narrow(side, contract.dtype) is not None for side in (contract.left, contract.right))


class DotPrinter:
    """Prints one contraction. Scratch holds panels, results, rows of the left operand, and the row of 128 with its sums."""

    def __init__(self, printer: Printer, contract: Contract, depth: int, columns: int, rows: int) -> None:
        self.printer, self.depth, self.target = printer, depth, printer.target
        left, right = narrow(contract.left, contract.dtype), narrow(contract.right, contract.dtype)
        assert left is not None and right is not None
        kinds = left.value.dtype, right.value.dtype
        if self.target.dot8 and kinds == (t.int8, t.uint8):  # the u8 goes to the left
            contract = replace(contract, m=contract.n, n=contract.m)
            left, right, kinds = right, left, kinds[::-1]
        self.contract, self.left, self.right = contract, left, right
        self.whole = self.target.dot8 and kinds != (t.uint8, t.uint8)  # whether words hold four integers
        self.shifted = self.whole and kinds[0] == t.int8
        self.kinds = kinds if self.whole else (t.int16, t.int16)
        self.group = 4 if self.whole else 2
        self.lanes = self.target.lanes(4)
        self.panel = 2 * self.lanes
        self.run = RUN * self.group
        self.height = tallest(self.target)
        n, m, k = (axis.extent for axis in (contract.n, contract.m, contract.k))
        self.columns = min(columns, max(1, -(-n // self.panel)) * self.panel) if isinstance(n, int) else columns
        self.rows = min(rows, max(1, m)) if isinstance(m, int) else rows
        if isinstance(k, int):
            self.run = min(self.run, max(1, -(-k // self.group)) * self.group)
        self.words = self.run // self.group
        self.runs_once = isinstance(k, int) and k <= self.run
        self.m, self.n, self.k = (printer.variable(a.var) for a in (contract.m, contract.n, contract.k))

    def line(self, level: int, text: str) -> None:
        self.printer.line(self.depth + level, text)

    def at(self, dtype: DType) -> str:
        return self.printer.use(f"{dtype.short}_at", intrinsics.pointer(dtype))

    def call(self, name: str, *args: str) -> str:
        function = native(name, 4, self.target)
        return f"{self.printer.use(f'{name}_i32', library_function(function, t.int32, None))}({', '.join(args)})"

    def offsets(self) -> tuple[int, ...]:
        """Byte offsets in scratch: panels, results, the left operand's rows, the row of 128, its sums; then the end."""
        panels = HEADER + 4 * (self.words * self.columns + self.lanes * self.panel)
        results = 4 * self.columns * (min(self.height, self.rows) if self.runs_once else self.rows)
        rows = 4 * self.words * min(self.height, self.rows)
        ones, sums = (4 * self.words, 4 * self.columns) if self.shifted else (0, 0)
        found = [0]
        for size in (panels, results, rows, ones, sums):
            found.append(found[-1] + (size + 63) // 64 * 64)
        return tuple(found)

    def print(self) -> int:
        printer, contract, size, line = self.printer, self.contract, self.printer.size, self.line
        least, most, udiv = (printer.intrinsic(name) for name in ("minimum", "maximum", "udiv"))
        forward, words = printer.intrinsic("forward"), self.at(t.int32)
        _, results_at, rows_at, ones_at, sums_at, end = self.offsets()
        line(0, f"tile_header = {words}(scratch + 0)")
        line(0, f"tile_panels = {self.at(self.kinds[1])}(scratch + {HEADER})")
        line(0, f"tile_results = {words}(scratch + {results_at})")
        line(0, f"tile_left = {self.at(self.kinds[0])}(scratch + {rows_at})")
        line(0, f"tile_rows = {words}(scratch + {rows_at})")
        if self.shifted:
            line(0, f"tile_ones = {words}(scratch + {ones_at})")
            line(0, f"tile_sums = {words}(scratch + {sums_at})")
        line(0, f"m_stop = {size(contract.m.stop)}")
        line(0, f"n_stop = {size(contract.n.stop)}")
        line(0, f"k_start = {size(contract.k.start)}")
        line(0, f"k_stop = {size(contract.k.stop)}")
        if self.shifted:
            line(0, f"for tile_word in range(0, {self.words}):")
            line(1, f"{self.store()}(tile_ones, tile_word, {printer.const(Const(-0x7F7F7F80, t.int32))})")
        line(0, f"for column0 in range({size(contract.n.start)}, n_stop, {self.columns}):")
        line(1, f"columns = {least}(n_stop - column0, {self.columns})")
        line(1, f"for row0 in range({size(contract.m.start)}, m_stop, {self.rows}):")
        line(2, f"rows = {least}(m_stop - row0, {self.rows})")
        line(2, f"strips = {udiv}(rows + {self.height - 1}, {self.height})")
        line(2, f"for step0 in range(k_start, {most}(k_stop, k_start + 1), {self.run}):")
        line(3, f"steps = {least}(k_stop - step0, {self.run})")
        line(3, f"tile_words = {udiv}(steps + {self.group - 1}, {self.group})")
        self._print_right()
        if self.shifted:
            self._print_strip(3, "1", "tile_ones", "tile_sums", "0")
        line(3, "for strip in range(strips):")
        line(4, f"top = row0 + {udiv}(strip*rows, strips)")
        line(4, f"bottom = row0 + {udiv}((strip + 1)*rows, strips)")
        self._print_left()
        place = "tile_results" if self.runs_once else f"{forward}(tile_results, (top - row0)*{self.columns})"
        self._print_strip(4, "bottom - top", "tile_rows", place, str(self.columns))
        self._print_epilogue()
        return end

    def store(self) -> str:
        number = len(self.printer.scope) + 1
        return self.printer.use(f"store{number}", intrinsics.store(number))

    def _print_right(self) -> None:
        contract, line, printer, group = self.contract, self.line, self.printer, self.group
        least, forward, udiv = (printer.intrinsic(name) for name in ("minimum", "forward", "udiv"))
        line(3, self.call("lay_out", "tile_words", "columns", "tile_header"))
        line(3, f"for panel0 in range(0, columns, {self.panel}):")
        line(4, f"wide = {least}(columns - panel0, {self.panel})")
        line(4, f"row = {printer.intrinsic('select')}(wide <= {self.lanes}, {self.lanes}, {self.panel})")
        line(4, f"tile_panel = {forward}(tile_panels, panel0*tile_words*{group})")
        k, whole = contract.k.extent, "step0"
        if single(self.right) is not None:
            whole = f"step0 + {udiv}(steps, {group})*{group}"
            self._print_words()
            if isinstance(k, int) and k % group == 0:
                return
        step = f"({contract.k.var}_here - step0)"
        column = f"({contract.n.var}_here - column0 - panel0)"
        spot = f"({udiv}({step}, {group})*row + {column})*{group} + ({step} - {udiv}({step}, {group})*{group})"
        first = "column0 + panel0"
        columns = Walk(contract.n.var, first, f"{first} + wide", contract.n.start)
        steps = self._steps() if whole == "step0" else Walk(contract.k.var, whole, "step0 + steps", contract.k.start)
        order = (steps, columns) if along(self.right, contract.n.var, contract.k.var) else (columns, steps)
        self._pack(self.right, order, self.kinds[1], f"{self.store()}(tile_panel, {spot}, %)")
        if not isinstance(k, int) or k % group:
            zero = printer.const(Const(0, self.kinds[1]))
            line(4, f"for tile_k in range(steps, tile_words*{group}):")
            line(5, "for tile_n in range(0, row):")
            spot = f"((tile_words - 1)*row + tile_n)*{group} + (tile_k - (tile_words - 1)*{group})"
            line(6, f"{self.store()}(tile_panel, {spot}, {zero})")

    def _print_words(self) -> None:
        """Print the loops that write whole groups of k, a word at once, of an operand that is memory."""
        contract, line, printer, group = self.contract, self.line, self.printer, self.group
        load, width = single(self.right), 32 // self.group
        assert load is not None
        both, either, shift = (printer.intrinsic(name) for name in ("iand", "ior", "shl"))
        to, mask = printer.cast(t.int32), printer.const(Const((1 << width) - 1, t.int32))
        line(4, f"tile_words_at = {self.at(t.int32)}(scratch + {HEADER} + panel0*tile_words*4)")
        line(4, f"for tile_word in range(0, {printer.intrinsic('udiv')}(steps, {group})):")
        line(5, "for tile_n in range(0, wide):")
        parts = []
        for i in range(group):
            k = dims.add(dims.symbol("%step0"), dims.add(dims.mul(dims.symbol("%tile_word"), group), i))
            n = dims.add(dims.add(dims.symbol("%column0"), dims.symbol("%panel0")), dims.symbol("%tile_n"))
            index = tuple(dims.substitute(at, {contract.k.var: k, contract.n.var: n}) for at in load.index)
            line(6, f"tile_{i} = {to}({printer.load(load.buffer, index)})")
            part = f"tile_{i}" if i == group - 1 else f"{both}(tile_{i}, {mask})"
            parts.append(f"{shift}({part}, {printer.const(Const(i * width, t.int32))})" if i else part)
        value = parts[0]
        for part in parts[1:]:
            value = f"{either}({value}, {part})"
        line(6, f"{self.store()}(tile_words_at, tile_word*row + tile_n, {value})")

    def _steps(self) -> Walk:
        """The loop over a run of k; its pieces have equal length where no partial ones occur."""
        k = self.contract.k
        return Walk(k.var, "step0", "step0 + steps", k.start, gcd(self.run, k.extent) if isinstance(k.extent, int) else 0)

    def _print_left(self) -> None:
        contract = self.contract
        order = (Walk(contract.m.var, "top", "bottom", contract.m.start), self._steps())
        spot = f"({contract.m.var}_here - top)*{self.run} + ({contract.k.var}_here - step0)"
        self._pack(self.left, order, self.kinds[0], f"{self.store()}(tile_left, {spot}, %)", self.shifted)

    def _pack(self, block: Block, order: tuple[Walk, ...], dtype: DType, store: str, shift: bool = False) -> None:
        """Print the loops that write an operand; `%` in `store` stands for its value."""
        printer = self.printer

        def write(value: str) -> str:
            if shift:
                value = f"{printer.intrinsic('ixor')}({value}, {printer.const(Const(-128, t.int8))})"
            elif dtype == t.int16:
                value = f"{printer.cast(dtype)}({value})"
            return store.replace("%", value)

        Packing(printer, block, order, write).print(self.depth + 4)

    def _print_strip(self, level: int, rows: str, left: str, place: str, width: str) -> None:
        """The calls of the library for some rows: whole panels, and the last one if it is narrow."""
        udiv, forward = self.printer.intrinsic("udiv"), self.printer.intrinsic("forward")
        last = f"{forward}({place}, {udiv}(columns, {self.panel})*{self.panel})"
        operands = (rows, left, str(self.words), "tile_header", "columns", "tile_words")
        of = (*operands, place, width, last, width, "step0 - k_start", "0")
        for part in ("strip", "last"):
            self.line(level, self.call(f"{part}_{'bytes' if self.whole else 'shorts'}", *of))

    def _print_epilogue(self) -> None:
        contract, line, printer = self.contract, self.line, self.printer
        level, top = 4, "top" if self.runs_once else "row0"
        if not self.runs_once:
            line(level, f"if step0 + {self.run} >= k_stop:")
            level += 1
        read = printer.use(f"load{len(printer.scope)}", intrinsics.load(len(printer.scope)))
        line(level, f"for {self.m} in range(top, bottom):")
        line(level + 1, f"for {self.n} in range(column0, column0 + columns):")
        value = f"{read}(tile_results, ({self.m} - {top})*{self.columns} + ({self.n} - column0))"
        if self.shifted:
            value = f"{printer.intrinsic('isub')}({value}, {read}(tile_sums, {self.n} - column0))"
        line(level + 2, f"{printer.variable(contract.result)} = {value}")
        printer.body(contract.epilogue, self.depth + level + 2)
