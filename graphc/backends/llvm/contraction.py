"""Contractions as source: loops over strips of the result that call the library of register tiles.

    for column0 in range(n_start, n_stop, COLUMNS):
        for row0 in range(m_start, m_stop, ROWS):
            for step0 in range(k_start, k_stop, run):
                the right operand's panels: packed by the library where it is plain memory, else through its scalar code
                for strip in range(strips):
                    the left operand's rows: in place where it is plain memory, or has places, else through its scalar code
                    the library's strip
                    after the last run: the epilogue over the strip
                or, where what is stored is contiguous along m: results are transposed, and the epilogue runs over all rows

Every result is a sum over the runs of k that the program names, each of them one chain in ascending order: its bits depend on the
operands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import gcd
from typing import TYPE_CHECKING

from graphc.backends.llvm import intrinsics
from graphc.backends.llvm.dot import DotPrinter, is_narrow
from graphc.backends.llvm.packing import Packing, Pieces, Walk, along
from graphc.backends.llvm.tiles.library import library_function, native
from graphc.backends.llvm.tiles.pack import HEADER, few
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.layout import (
    Plain,
    in_panels,
    is_better_turned,
    is_packed,
    linear,
    panel_width,
    placed,
    placed_on_left,
    plain,
    plain_source,
    single_load,
    stores_along_rows,
    tallest,
    widened_load,
)  # fmt: skip
from graphc.ir.program import RUN, Block, Contract, Load, Store
from graphc.ir.scalar import Const, Let, Ref
from graphc.ir.target import Target
from graphc.ir.types import DType

if TYPE_CHECKING:
    from graphc.backends.llvm.source import Printer

ROWS = 512  # rows of the left operand that share packed panels: enough to make packing a small part of the work


def column_bytes(target: Target) -> int:
    """Bytes of a row of the packed panels, whole panels only: `RUN` such rows fill a quarter of a core's cache."""
    panel = 2 * target.vector_bytes
    return max(panel, target.core_cache // 4 // RUN // panel * panel)


def turned_bytes(target: Target) -> int:
    """Bytes of the results that are kept to be transposed: a sixteenth of a core's cache."""
    return target.core_cache // 16


def print_contract(printer: Printer, contract: Contract, depth: int) -> None:
    """Print the loops of a contraction.

    All contractions of a kernel use the same scratch: between what one reads from it and the next one writes there stands a
    call of the library, across which nothing moves.
    """
    if is_narrow(contract):
        made = DotPrinter(printer, contract, depth, column_bytes(printer.target) // contract.dtype.itemsize, ROWS)
        printer.reserve = max(printer.reserve, made.print())
        return
    if is_better_turned(printer, contract):
        contract = replace(contract, m=contract.n, n=contract.m, left=contract.right, right=contract.left)
    printer.reserve = max(printer.reserve, _Contraction(printer, contract, depth).print())


class _Contraction:
    """Prints one contraction. Scratch holds the panels, then the results, then the rows of a packed left operand."""

    def __init__(self, printer: Printer, contract: Contract, depth: int) -> None:
        self.printer, self.contract, self.depth = printer, contract, depth
        self.dtype = contract.dtype
        self.target = printer.target
        itemsize = self.dtype.itemsize
        self.lanes = self.target.lanes(itemsize)
        self.panel = panel_width(self.dtype, self.target)
        self.m, self.n, self.k = (printer.variable(a.var) for a in (contract.m, contract.n, contract.k))
        self.left = plain(printer, contract.left, contract.m.var, contract.k.var, self.dtype)
        if self.left is not None and 1 not in (self.left.outer, self.left.inner):
            self.left = None
        self.placed = None
        if self.left is None:
            self.placed = placed_on_left(printer, contract.left, contract.m.var, contract)
        self.right = plain_source(printer, contract.right, contract.k.var, contract.n.var, self.dtype)
        if self.right is not None and 1 not in (self.right.outer, self.right.inner):
            self.right = None
        self.spots = None
        if self.right is None:
            load = single_load(contract.right, self.dtype)
            self.spots = placed(printer, contract.right, load, contract.n.var, contract.k.var)
            if self.spots is not None and not is_packed(self.spots):
                self.spots = None
        self.panels = in_panels(printer, contract.right, contract.k.var, contract.n.var, self.dtype)
        self.out = self._kept()

        self.columns = column_bytes(self.target) // itemsize
        n = contract.n.extent
        if isinstance(n, int):
            self.columns = min(self.columns, max(1, -(-n // self.panel)) * self.panel)
        self.rows = ROWS
        self.turned_out = None if self.out is not None else self._kept(turned=True)
        self.turned = self.turned_out is not None or (self.out is None and stores_along_rows(printer, contract))
        if self.turned:
            kept = turned_bytes(self.target) // itemsize // self.columns // self.lanes * self.lanes
            self.rows = min(self.rows, max(self.lanes, kept))
        if isinstance(contract.m.extent, int):
            self.rows = min(self.rows, max(1, contract.m.extent))
        if contract.run is None:
            raise AssertionError("split_reductions says how long the runs of k are")
        self.fixed_run = contract.run if isinstance(contract.run, int) else None
        self.run = self.fixed_run or RUN
        ranges = {a.var: a.stop for a in printer.kernel.parallel if a.start == 0}
        self.runs_once = contract.origin is None and dims.is_nonnegative(dims.sub(self.run, contract.k.extent), ranges)
        self.height = tallest(self.target)

    def _kept(self, turned: bool = False) -> Plain | None:
        """Where results go as they are, or turned, if storing them there is the whole epilogue."""
        contract = self.contract
        match contract.epilogue:
            case (Store(buffer, index, Ref(contract.result)),) if self.printer.dtypes[buffer] == self.dtype:
                place = linear(self.printer, buffer, index, contract.m.var, contract.n.var)
                return place if place is not None and (place.outer if turned else place.inner) == 1 else None
        return None

    @property
    def whole_panels(self) -> bool:
        """Whether the columns fill all panels."""
        return dims.divisor(self.contract.n.extent) % self.panel == 0

    @property
    def whole_vectors(self) -> bool:
        """Whether the columns fill all tiles, so that every result can be stored in place. Constant panels are never cut."""
        return dims.divisor(self.contract.n.extent) % (self.lanes if self.panels is None else self.panel) == 0

    # --- scratch ---

    @property
    def result_rows(self) -> int:
        """Rows of results in scratch: those of one strip; all, where runs are added up or results are transposed."""
        if self.turned:
            return -(-self.rows // self.lanes) * self.lanes
        return min(self.height, self.rows) if self.by_strip else self.rows

    @property
    def by_strip(self) -> bool:
        """Whether the epilogue runs after each strip: then only one strip of results is in scratch."""
        return self.runs_once and not self.turned

    @property
    def result_width(self) -> int:
        return self.columns if self.out is None else self.panel

    @property
    def left_stride(self) -> int:
        """The stride of a packed left operand, between rows or between columns."""
        return self.run + 16 if self.left_by_row else 16

    @property
    def left_by_row(self) -> bool:
        if self.left is not None:
            return self.left.inner == 1
        return along(self.contract.left, self.contract.k.var, self.contract.m.var)

    def offsets(self) -> tuple[int, ...]:
        """Byte offsets in scratch: panels, results, the packed left operand or its table of k, the right operand's table of k,
        transposed results; then the end."""
        itemsize = self.dtype.itemsize
        panels = HEADER
        if self.panels is None:
            panels += (self.run * self.columns + self.lanes * self.panel) * itemsize
        results = self.result_rows * self.result_width * itemsize
        packed = 0
        if self.placed is not None:
            packed = self.run * t.int64.itemsize
        elif self.left is None:
            packed = (min(self.height, self.rows) if self.left_by_row else self.run) * self.left_stride * itemsize
        first = _aligned(panels)
        second = first + _aligned(results)
        third = second + _aligned(packed)
        fourth = third + _aligned(self.run * t.int64.itemsize if self.spots is not None else 0)
        return 0, first, second, third, fourth, fourth + (results if self.turned and self.turned_out is None else 0)

    @property
    def way(self) -> str:
        """How the library reads the left operand."""
        if self.placed is not None:
            return "beside" if self.placed.distance == 1 else "apart"
        return "rows" if self.left_by_row else "columns"

    def _parts(self) -> tuple[str, ...]:
        """The library's functions that the columns of a strip need."""
        n = self.contract.n.extent
        if self.whole_panels or self.panels is not None:
            return ("strip",)
        if not isinstance(n, int):
            return "strip", "last"
        if 0 < n <= self.lanes:
            return ("last",)
        return ("strip", "last") if 0 < n % self.panel <= self.lanes else ("strip",)

    # --- source ---

    def line(self, level: int, text: str) -> None:
        self.printer.line(self.depth + level, text)

    def call(self, name: str, *args: str, source: DType | None = None) -> str:
        """A call of the library; `source` is the type of a right operand that is stored in 16 bits."""
        function = native(name, self.dtype.itemsize, self.target, "" if source is None else source.short)
        called = f"{name}_{self.dtype.short}" if source is None else f"{name}_{source.short}_{self.dtype.short}"
        return f"{self.printer.use(called, library_function(function, self.dtype, source))}({', '.join(args)})"

    def memory(self, place: Plain) -> str:
        """A pointer to the element of an operand at which this strip and run start."""
        return self._pointer(place.buffer, place.address)

    def _pointer(self, buffer: str, address: Size) -> str:
        axes = self.contract
        starts = {axes.m.var: "%top", axes.n.var: "%column0", axes.k.var: "%step0"}
        address = dims.substitute(address, {var: dims.symbol(name) for var, name in starts.items()})
        return f"{self.printer.intrinsic('forward')}({buffer}, {self.printer.size(address)})"

    def print(self) -> int:
        printer, contract, size = self.printer, self.contract, self.printer.size
        line, dtype = self.line, self.dtype
        least, udiv = printer.intrinsic("minimum"), printer.intrinsic("udiv")
        at = printer.use(f"{dtype.short}_at", intrinsics.pointer(dtype))
        forward = printer.intrinsic("forward")
        panels_at, results_at, packed_at, spots_at, turned_at, end = self.offsets()
        panels, results, packed = (f"{name}_{dtype.short}" for name in ("panels", "results", "packed"))
        line(0, f"{panels} = {at}(scratch + {panels_at})")
        line(0, f"{results} = {at}(scratch + {results_at})")
        if self.spots is not None:
            line(0, f"spots = {printer.use('i64_at', intrinsics.pointer(t.int64))}(scratch + {spots_at})")
        if self.placed is not None:
            line(0, f"places = {printer.use('i64_at', intrinsics.pointer(t.int64))}(scratch + {packed_at})")
        elif self.left is None:
            line(0, f"{packed} = {at}(scratch + {packed_at})")
        line(0, f"m_stop = {size(contract.m.stop)}")
        line(0, f"n_stop = {size(contract.n.stop)}")
        line(0, f"k_start = {size(contract.k.start)}")
        line(0, f"k_stop = {size(contract.k.stop)}")
        run = str(self.fixed_run)
        if self.fixed_run is None:
            run = "run"
            line(0, f"run = {size(contract.run or RUN)}")
        line(0, f"for column0 in range({size(contract.n.start)}, n_stop, {self.columns}):")
        line(1, f"columns = {least}(n_stop - column0, {self.columns})")
        line(1, f"for row0 in range({size(contract.m.start)}, m_stop, {self.rows}):")
        line(2, f"rows = {least}(m_stop - row0, {self.rows})")
        length = 0 if self.placed is None else self.placed.length
        if not length:
            line(2, f"strips = {udiv}(rows + {self.height - 1}, {self.height})")
        latest = printer.intrinsic("maximum")
        if contract.origin is None:
            line(2, f"for step0 in range(k_start, {latest}(k_stop, k_start + 1), {run}):")
            line(3, f"steps = {least}(k_stop - step0, {run})")
        else:  # the first run has what is left of it
            origin = printer.factor(contract.origin)
            line(2, f"run_start = {origin} + {udiv}(k_start - {origin}, {run})*{run}")
            line(2, f"for run0 in range(run_start, {latest}(k_stop, run_start + 1), {run}):")
            line(3, f"first0 = {latest}(run0, k_start)")
            line(3, "for step0 in range(first0, first0 + 1):")
            self.depth += 1
            line(3, f"steps = {least}(k_stop, run0 + {run}) - step0")
        self._print_right(panels)
        if self.placed is not None:
            self._print_places("places", self.placed.term)
        if length:
            self._print_pieces_of_rows(length)
        else:
            line(3, "for strip in range(strips):")
            line(4, f"top = row0 + {udiv}(strip*rows, strips)")
            line(4, f"bottom = row0 + {udiv}((strip + 1)*rows, strips)")
        left, stride = self._print_left(packed)
        first = "" if self.by_strip else f"(top - row0)*{self.result_width}"
        scratch = f"{forward}({results}, {first})" if first else results
        width = str(self.result_width)
        if self.out is not None:
            there = (self.memory(self.out), size(self.out.outer))
            places = (*there, scratch, width)
            if self.whole_vectors:
                last = f"{forward}({there[0]}, {udiv}(columns, {self.panel})*{self.panel})"
                places = (*there, there[0] if self._parts() == ("last",) else last, there[1])
        else:
            whole = f"{udiv}(columns, {self.panel})*{self.panel}"
            first = f"{first} + {whole}" if first else whole
            places = (scratch, width, f"{forward}({results}, {first})", width)
        columns = "columns"
        if self.panels is not None and not self.whole_panels:  # a last panel of any width is read as if one column were missing
            line(4, f"filled = {udiv}(columns + {self.panel - 1}, {self.panel})*{self.panel}")
            columns = f"filled - {least}(filled - columns, 1)"
        ahead = self._print_ahead()
        table = () if self.placed is None else ("places",)
        for part in self._parts():
            of = ("bottom - top", left, stride, panels, columns, "steps", *places, self.done, ahead, *table)
            line(4, self.call(f"{part}_{self.way}", *of, source=self._in_place() if part == "strip" else None))
        if not self.turned:
            self._print_epilogue(results, run)
        else:
            self.depth -= bool(length)
            self._print_turned(results, run, turned_at)
        return end

    @property
    def run0(self) -> str:
        """Where the run of this turn starts, also if k starts later."""
        return "step0" if self.contract.origin is None else "run0"

    @property
    def done(self) -> str:
        """How many k were added up before this run: 0 in the first turn alone."""
        return "step0 - k_start" if self.contract.origin is None else "run0 - run_start"

    def _in_place(self) -> DType | None:
        """The storage type of a 16-bit right operand that strips may read in place."""
        return self.right.source if self.panels is None and self.right is not None and self.right.inner == 1 else None

    def _print_ahead(self) -> str:
        """The prefetch distance into the right operand; 0 where nothing is prefetched.

        The first strips prefetch what the next run reads in place, a cache line each, while the other strips are computed.
        """
        read = self.panels or self.right
        if read is None or self.runs_once or (self.panels is None and read.inner != 1) or self.placed is not None:
            return "0"
        select = self.printer.intrinsic("select")
        beyond = f"steps*{self.printer.factor(read.outer)} + strip*{self.lanes}"
        in_place = "" if self.panels else f"(rows <= {few('' if read.source is None else read.source.short, self.target)}) and "
        self.line(4, f"ahead = {select}({in_place}(strip < 2), {beyond}, 0)")
        return "ahead"

    def _print_right(self, panels: str) -> None:
        contract, line, printer = self.contract, self.line, self.printer
        if self.panels is not None:
            count = f"{printer.intrinsic('udiv')}(columns, {self.panel})"
            line(3, self.call("point", self.memory(self.panels), printer.size(self.panels.inner), count, panels))
            return
        if self.right is not None:
            by_rows = self.right.inner == 1
            stride = printer.size(self.right.outer if by_rows else self.right.inner)
            source = self.memory(self.right)
            name = "pack_rows" if by_rows else "pack_columns"
            line(3, self.call(name, source, stride, "steps", "columns", "rows", panels, source=self.right.source))
            return
        if self.spots is not None:
            self._print_places("spots", self.spots.term)
            source = self._pointer(self.spots.buffer, self.spots.start)
            line(3, self.call("pack_places", source, "spots", "steps", "columns", panels))
            return
        least = printer.intrinsic("minimum")
        forward = printer.intrinsic("forward")
        write = self._write()
        zero = printer.const(Const(0.0, self.dtype))
        line(3, self.call("lay_out", "steps", "columns", panels))
        line(3, f"for panel0 in range(0, columns, {self.panel}):")
        whole = self.whole_panels
        wide = str(self.panel)
        if not whole:
            wide = "wide"
            line(4, f"wide = {least}(columns - panel0, {self.panel})")
        row = wide if whole else "row"
        if not whole:
            line(4, f"row = {printer.intrinsic('select')}(wide <= {self.lanes}, {self.lanes}, {self.panel})")
        panel = self.panel_name
        line(4, f"{panel} = {forward}({panels}, {HEADER // self.dtype.itemsize} + panel0*steps)")
        spot = f"({contract.k.var}_here - step0)*{row} + ({contract.n.var}_here - column0 - panel0)"
        first = "column0 + panel0"
        exact = self.panel if whole else 0
        columns = Walk(contract.n.var, first, f"{first} + {wide}", contract.n.start, exact, exact)
        steps = self._steps()
        block = single_load(contract.right, self.dtype) or widened_load(contract.right, self.dtype, self.target)
        if block is not None and self._print_pieces(block, steps, first, wide, row):
            return
        order = (steps, columns) if along(contract.right, contract.n.var, contract.k.var) else (columns, steps)
        self._pack(contract.right, order, lambda value: f"{write}({panel}, {spot}, {value})", 4)
        if whole:
            return
        spot = f"({self.k} - step0)*{row} + ({self.n} - column0 - panel0)"
        line(4, f"for {self.k} in range(step0, step0 + steps):")
        line(5, f"for {self.n} in range(column0 + panel0 + wide, column0 + panel0 + row):")
        line(6, f"{write}({panel}, {spot}, {zero})")

    def _print_pieces(self, block: Load, steps: Walk, first: str, wide: str, row: str) -> bool:
        """Pack a panel by the library, piece by piece of k, if every piece is memory whose neighbours lie along k."""
        printer, contract = self.printer, self.contract
        pieces = Pieces(printer, contract.right, steps)
        if pieces.length is None:
            return False
        place = linear(printer, block.buffer, pieces.index(block), contract.k.var, contract.n.var)
        if place is None or place.outer != 1:
            return False
        depth = pieces.open(self.depth + 4) - self.depth
        start, count = pieces.ends()
        self.line(depth, f"first = {start}")
        at = dims.substitute(place.address, {contract.k.var: dims.symbol("%first"), contract.n.var: dims.symbol("%column0")})
        source = f"{printer.intrinsic('forward')}({place.buffer}, {printer.size(at)} + panel0*{printer.factor(place.inner)})"
        target = f"{printer.intrinsic('forward')}({self.panel_name}, (first - step0)*{row})"
        held = None if block.dtype == self.dtype else block.dtype
        self.line(depth, self.call("pack_piece", source, printer.size(place.inner), count, wide, "rows", target, source=held))
        return True

    @property
    def panel_name(self) -> str:
        """The panel being packed, of a type of its own."""
        return f"panel_{self.dtype.short}"

    def _steps(self) -> Walk:
        """The loop over a run of k; its pieces have equal length where no partial ones occur."""
        k, run = self.contract.k, self.fixed_run
        whole = gcd(run, k.extent) if run is not None and isinstance(k.extent, int) else 0
        return Walk(k.var, "step0", "step0 + steps", k.start, whole)

    def _print_left(self, packed: str) -> tuple[str, str]:
        """Print the packing of a strip's rows, if they need it; the pointer and the stride of those rows."""
        contract = self.contract
        if self.placed is not None:
            return self._pointer(self.placed.buffer, self.placed.start), self.printer.size(self.placed.distance)
        if self.left is not None:
            stride = self.left.outer if self.left_by_row else self.left.inner
            return self.memory(self.left), self.printer.size(stride)
        write = self._write()
        rows, steps = f"({contract.m.var}_here - top)", f"({contract.k.var}_here - step0)"
        order = (Walk(contract.m.var, "top", "bottom", contract.m.start), self._steps())
        spot = f"{rows}*{self.left_stride} + {steps}"
        if not self.left_by_row:
            order = order[::-1]
            spot = f"{steps}*{self.left_stride} + {rows}"
        self._pack(contract.left, order, lambda value: f"{write}({packed}, {spot}, {value})", 4)
        return packed, str(self.left_stride)

    def _print_places(self, table: str, term: Size) -> None:
        """Print the loop that fills the table of offsets along k, for this run."""
        k = self.contract.k.var
        block = Block((Let("place", t.int64, "index", (), term),), Ref("place", t.int64))
        write = self._write()
        self._pack(block, (self._steps(),), lambda value: f"{write}({table}, {k}_here - step0, {value})", 3)

    def _print_pieces_of_rows(self, length: int) -> None:
        """Print the loop over strips, each within one piece of the rows."""
        line, udiv = self.line, self.printer.intrinsic("udiv")
        least, most = self.printer.intrinsic("minimum"), self.printer.intrinsic("maximum")
        number = f"{self.contract.m.var}_piece"
        line(3, f"for {number} in range({udiv}(row0, {length}), {udiv}(row0 + rows + {length - 1}, {length})):")
        self.depth += 1
        line(3, f"piece0 = {most}({number}*{length}, row0)")
        line(3, f"piece = {least}({number}*{length} + {length}, row0 + rows) - piece0")
        line(3, f"strips = {udiv}(piece + {self.height - 1}, {self.height})")
        line(3, "for strip in range(strips):")
        line(4, f"top = piece0 + {udiv}(strip*piece, strips)")
        line(4, f"bottom = piece0 + {udiv}((strip + 1)*piece, strips)")

    def _print_epilogue(self, results: str, run: str) -> None:
        contract, line, printer = self.contract, self.line, self.printer
        if self.out is not None and self.whole_vectors:
            return
        level = 4
        if not self.runs_once:
            line(level, f"if {self.run0} + {run} >= k_stop:")
            level += 1
        start = "column0"
        if self.out is not None:
            start = "tail0"
            line(level, f"tail0 = column0 + {printer.intrinsic('udiv')}(columns, {self.panel})*{self.panel}")
        top = "top" if self.by_strip else "row0"
        read = printer.use(f"load{len(printer.scope)}", intrinsics.load(len(printer.scope)))
        line(level, f"for {self.m} in range(top, bottom):")
        line(level + 1, f"for {self.n} in range({start}, column0 + columns):")
        place = f"({self.m} - {top})*{self.result_width} + ({self.n} - {start})"
        line(level + 2, f"{printer.variable(contract.result)} = {read}({results}, {place})")
        printer.body(contract.epilogue, self.depth + level + 2)

    def _print_turned(self, results: str, run: str, turned_at: int) -> None:
        """Print the epilogue over all rows, column by column: what it stores is contiguous along the rows."""
        contract, line, printer = self.contract, self.line, self.printer
        level = 3
        if not self.runs_once:
            line(level, f"if {self.run0} + {run} >= k_stop:")
            level += 1
        of = (results, str(self.result_width), "rows", "columns")
        if self.turned_out is not None:
            axes = {contract.m.var: "%row0", contract.n.var: "%column0"}
            address = dims.substitute(self.turned_out.address, {var: dims.symbol(name) for var, name in axes.items()})
            there = f"{printer.intrinsic('forward')}({self.turned_out.buffer}, {printer.size(address)})"
            line(level, self.call("turn", *of, there, printer.size(self.turned_out.inner)))
            return
        turned = f"turned_{self.dtype.short}"
        line(level, f"{turned} = {printer.use(f'{self.dtype.short}_at', intrinsics.pointer(self.dtype))}(scratch + {turned_at})")
        line(level, self.call("turn", *of, turned, str(self.result_rows)))
        read = printer.use(f"load{len(printer.scope)}", intrinsics.load(len(printer.scope)))
        line(level, f"for {self.n} in range(column0, column0 + columns):")
        line(level + 1, f"for {self.m} in range(row0, row0 + rows):")
        place = f"({self.n} - column0)*{self.result_rows} + ({self.m} - row0)"
        line(level + 2, f"{printer.variable(contract.result)} = {read}({turned}, {place})")
        printer.body(contract.epilogue, self.depth + level + 2)

    def _pack(self, block: Block, order: Sequence[Walk], write: Callable[[str], str], level: int) -> None:
        Packing(self.printer, block, order, write).print(self.depth + level)

    def _write(self) -> str:
        number = len(self.printer.scope) + 1
        return self.printer.use(f"store{number}", intrinsics.store(number))


def _aligned(n: int) -> int:
    return (n + 63) // 64 * 64
