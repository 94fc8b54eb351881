"""Contractions: products of matrices with what is computed around them.

Every element of the result is a chain over k of fused multiply-adds, in runs (ir/program.py: Contract), whatever the order of the
loops around it. `plain` is that chain, element by element: little code. `blocked` computes a tile of rows and columns at once,
which compilers keep in vector registers; its operands are laid out first, as the tile reads them, unless they lie so already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.export.c.text import SIZE, TYPES
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import RUN, Accumulate, Block, Contract, Load, Reduce, Scratch, statements_of
from graphc.ir.scalar import Const, Ref
from graphc.ir.types import DType

if TYPE_CHECKING:
    from graphc.export.c.kernels import Printer


ROWS, LANES = 4, 64  # of a tile: rows, and bytes of a row: what gcc keeps in registers from x86-64-v2 to -v4
WASM_ROWS = 2  # engines have 16 registers of 16 bytes


def print_contract(printer: Printer, c: Contract, depth: int) -> None:
    """Print a contraction."""
    extents = [a.extent for a in (c.m, c.n)]
    if any(isinstance(n, int) and n <= 0 for n in extents):
        return
    small = all(isinstance(n, int) and n <= 2 for n in extents)
    if printer.blocked and not small and not _in_order(c):
        _blocked(printer, c, depth)
    else:
        _plain(printer, c, depth)


def _in_order(c: Contract) -> bool:
    """Whether what follows asks for the elements in the order of m and n: it combines all of them into one place."""
    own = {c.m.var, c.n.var}
    for s in statements_of(c.epilogue):
        if isinstance(s, Reduce) or (isinstance(s, Accumulate) and not own & dims.names(*s.index)):
            return True
    return False


def _multiply(printer: Printer, left: str, right: str, total: str, dtype: DType) -> str:
    """One more term of a chain."""
    if dtype.is_float:
        if printer.target.fma:
            return printer.fma(left, right, total, dtype)
        return f"{total} + {left} * {right}"
    product = printer.primitive("mul", (left, right), (dtype, dtype), dtype)
    return printer.primitive("add", (total, f"({product})"), (dtype, dtype), dtype)


def _for(printer: Printer, depth: int, axis_var: str, start: str, stop: str) -> str:
    v = printer.loop_variable(axis_var)
    printer.line(depth, f"for ({SIZE} {v} = {start}; {v} < {stop}; ++{v}) {{")
    return v


def _plain(printer: Printer, c: Contract, depth: int) -> None:
    kind, zero = TYPES[c.dtype], printer.arg(Const(c.dtype.numpy.type(0).item(), c.dtype))
    total, part, first = (printer.names.of((what, c.result), f"{c.result}_{what}") for what in ("total", "part", "first"))
    run: Size = RUN if c.run is None else c.run
    extent = c.k.extent
    single = not c.dtype.is_float or (isinstance(extent, int) and isinstance(run, int) and extent <= run)
    _for(printer, depth, c.m.var, printer.size(c.m.start), printer.size(c.m.stop))
    _for(printer, depth + 1, c.n.var, printer.size(c.n.start), printer.size(c.n.stop))
    inner = depth + 2
    start, stop = printer.size(c.k.start), printer.size(c.k.stop)
    if single:
        printer.line(inner, f"{kind} {part} = {zero};")
        _chain(printer, c, inner, part, start, stop)
        printer.line(inner, f"const {kind} {printer.variable(c.result)} = {part};")
    else:
        length = printer.factor(run)
        printer.line(inner, f"{kind} {total} = {zero};")
        after = _after(printer, c, first, length)
        printer.line(inner, f"for ({SIZE} {first} = {start}; {first} < {stop}; {first} = {after}) {{")
        printer.line(inner + 1, f"{kind} {part} = {zero};")
        end = f"{after} < {stop} ? {after} : {stop}"
        last = printer.names.of(("last", c.result), f"{c.result}_last")
        printer.line(inner + 1, f"const {SIZE} {last} = {end};")
        _chain(printer, c, inner + 1, part, first, last)
        printer.line(inner + 1, f"{total} = {first} == {start} ? {part} : {total} + {part};")
        printer.line(inner, "}")
        printer.line(inner, f"const {kind} {printer.variable(c.result)} = {total};")
    printer.body(c.epilogue, inner)
    printer.line(depth + 1, "}")
    printer.line(depth, "}")
    for axis in (c.m, c.n):
        printer.bound.discard(axis.var)


def _after(printer: Printer, c: Contract, first: str, length: str) -> str:
    """Where the run after the one at `first` starts."""
    if c.origin is None:
        return f"{first} + {length}"
    origin = printer.factor(c.origin)
    return f"{origin} + (({first} - {origin})/{length} + 1)*{length}"


def _chain(printer: Printer, c: Contract, depth: int, part: str, start: str, stop: str) -> None:
    """for k: part = left * right + part."""
    _for(printer, depth, c.k.var, start, stop)
    printer.body(c.left.body, depth + 1)
    printer.body(c.right.body, depth + 1)
    left, right = printer.arg(c.left.value), printer.arg(c.right.value)
    printer.line(depth + 1, f"{part} = {_multiply(printer, left, right, part, c.dtype)};")
    printer.line(depth, "}")
    printer.bound.discard(c.k.var)


# --- tiles ---


def _blocked(printer: Printer, c: Contract, depth: int) -> None:
    line, kind = printer.line, TYPES[c.dtype]
    zero = printer.arg(Const(c.dtype.numpy.type(0).item(), c.dtype))
    lanes = LANES // c.dtype.itemsize
    rows_axis, lanes_axis, rows_side, lanes_side = c.m, c.n, c.left, c.right
    if isinstance(c.n.extent, int) and c.n.extent < lanes // 2 and not (isinstance(c.m.extent, int) and c.m.extent <= c.n.extent):
        rows_axis, lanes_axis, rows_side, lanes_side = c.n, c.m, c.right, c.left
    most = WASM_ROWS if printer.target.architecture == "wasm32" else ROWS
    rows = max(1, min(most, rows_axis.extent)) if isinstance(rows_axis.extent, int) else most

    def own(what: str) -> str:
        return printer.names.of((what, c.result), f"{c.result}_{what}")

    k_start, k_stop, k_extent = printer.size(c.k.start), printer.size(c.k.stop), c.k.extent
    run: Size = RUN if c.run is None else c.run
    single = not c.dtype.is_float or (isinstance(k_extent, int) and isinstance(run, int) and k_extent <= run)
    r0, l0, i, j = own("row"), own("lane"), own("i"), own("j")
    def bound(what: str, size: Size) -> str:
        """A bound of a loop: a number, a name, or a constant with a name of its own."""
        text = printer.size(size)
        if text.isidentifier() or text.isdigit():
            return text
        line(depth, f"const {SIZE} {own(what)} = {text};")
        return own(what)

    r_start, r_stop = bound("row_start", rows_axis.start), bound("row_stop", rows_axis.stop)
    l_start, l_stop = bound("lane_start", lanes_axis.start), bound("lane_stop", lanes_axis.stop)
    load = _direct(rows_side)
    sums = None if load is None else _apart(dims.ravel(load.index, printer.shapes[load.buffer]), c.k.var)
    direct = None if sums is None else load

    # the rows' operand, as the tiles read it: for each tile, each k, its rows
    if direct is None:
        tiles = dims.floordiv(dims.add(printer.most(rows_axis.extent), rows - 1), rows)
        left = _scratch(printer, own("rows"), c.dtype, dims.product((tiles, printer.most(k_extent), rows)))
        line(depth, f"for ({SIZE} {r0} = {r_start}; {r0} < {r_stop}; {r0} += {rows}) {{")
        _for(printer, depth + 1, c.k.var, k_start, k_stop)
        line(depth + 2, f"for (int {i} = 0; {i} < {rows}; ++{i}) {{")
        v = printer.loop_variable(rows_axis.var)
        line(depth + 3, f"const {SIZE} {v} = {r0} + {i} < {r_stop} ? {r0} + {i} : {r_stop} - 1;")
        printer.body(rows_side.body, depth + 3)
        here = f"{_from(r0, r_start)}*{printer.factor(k_extent)} + {_from(printer.dim(c.k.var), k_start)}*{rows}"
        line(depth + 3, f"{left}[{here} + {i}] = {printer.arg(rows_side.value)};")
        for level in (2, 1, 0):
            line(depth + level, "}")
        printer.bound -= {rows_axis.var, c.k.var}
    line(depth, f"for ({SIZE} {l0} = {l_start}; {l0} < {l_stop}; {l0} += {lanes}) {{")
    depth += 1
    right = _scratch(printer, own("lanes"), c.dtype, dims.product((printer.most(k_extent), lanes)))
    whole = dims.divisor(lanes_axis.extent) % lanes == 0  # then compilers know how long the loops over lanes are
    here = str(lanes) if whole else own("here")
    if not whole:
        line(depth, f"const int {here} = {l_stop} - {l0} < {lanes} ? (int)({l_stop} - {l0}) : {lanes};")
    _for(printer, depth, c.k.var, k_start, k_stop)
    place = f"{right}[{_from(printer.dim(c.k.var), k_start)}*{lanes} + {j}]"
    line(depth + 1, f"for (int {j} = 0; {j} < {here}; ++{j}) {{")
    line(depth + 2, f"const {SIZE} {printer.loop_variable(lanes_axis.var)} = {l0} + {j};")
    printer.body(lanes_side.body, depth + 2)
    line(depth + 2, f"{place} = {printer.arg(lanes_side.value)};")
    line(depth + 1, "}")
    if not whole:
        line(depth + 1, f"for (int {j} = {here}; {j} < {lanes}; ++{j})")
        line(depth + 2, f"{place} = {zero};")
    line(depth, "}")
    printer.bound -= {lanes_axis.var, c.k.var}

    line(depth, f"for ({SIZE} {r0} = {r_start}; {r0} < {r_stop}; {r0} += {rows}) {{")
    depth += 1
    tile = own("tile")
    line(depth, f"{kind} {tile}[{rows}][{lanes}];")
    numbered = [f"{rows_axis.var}.{n}" for n in range(rows)]
    bases = [own(f"at{n}") for n in range(rows)]
    if sums is not None:
        for n, name in enumerate(numbered):
            clamped = f"{r0} + {n} < {r_stop} ? {r0} + {n} : {r_stop} - 1" if n else r0
            line(depth, f"const {SIZE} {printer.loop_variable(name)} = {clamped};")
        for base, name in zip(bases, numbered, strict=True):
            at = printer.size(dims.substitute(sums[0], {rows_axis.var: dims.symbol(name)}))
            line(depth, f"const {SIZE} {base} = {at};")
    first, last = own("first"), own("last")
    start, stop = (k_start, k_stop) if single else (first, last)
    outer = depth
    if not single:
        after = _after(printer, c, first, printer.factor(run))
        line(depth, f"for ({SIZE} {first} = {k_start}; {first} < {k_stop}; {first} = {after}) {{")
        depth += 1
        line(depth, f"const {SIZE} {last} = {after} < {k_stop} ? {after} : {k_stop};")
    parts = [own(f"part{n}") for n in range(rows)]
    for part in parts:
        line(depth, f"{kind} {part}[{lanes}] = {{{zero}}};")
    _for(printer, depth, c.k.var, start, stop)
    k = printer.dim(c.k.var)
    line(depth + 1, f"const {kind} *{own('b')} = {right} + {_from(k, k_start)}*{lanes};")
    factors = [own(f"a{n}") for n in range(rows)]
    if sums is not None:
        line(depth + 1, f"const {SIZE} {own('step')} = {printer.size(sums[1])};")
    for n, (factor, base) in enumerate(zip(factors, bases, strict=True)):
        if direct is not None:
            printer.touched.add(direct.buffer)
            line(depth + 1, f"const {kind} {factor} = {printer.names[direct.buffer]}[{base} + {own('step')}];")
        else:
            at = f"{_from(r0, r_start)}*{printer.factor(k_extent)} + {_from(k, k_start)}*{rows} + {n}"
            line(depth + 1, f"const {kind} {factor} = {left}[{at}];")
    line(depth + 1, f"for (int {j} = 0; {j} < {lanes}; ++{j}) {{")
    b = own("b_j")
    line(depth + 2, f"const {kind} {b} = {own('b')}[{j}];")
    for part, factor in zip(parts, factors, strict=True):
        line(depth + 2, f"{part}[{j}] = {_multiply(printer, factor, b, f'{part}[{j}]', c.dtype)};")
    line(depth + 1, "}")
    line(depth, "}")
    printer.bound.discard(c.k.var)
    line(depth, f"for (int {j} = 0; {j} < {lanes}; ++{j}) {{")
    for n, part in enumerate(parts):
        value = f"{part}[{j}]"
        if not single:
            value = f"{first} == {k_start} ? {value} : {tile}[{n}][{j}] + {value}"
        line(depth + 1, f"{tile}[{n}][{j}] = {value};")
    line(depth, "}")
    if not single:
        depth = outer
        line(depth, "}")
        empty = f"{k_start} >= {k_stop}"
        if not (isinstance(k_extent, int) and k_extent > 0):
            line(depth, f"if ({empty})")
            line(depth + 1, f"memset({tile}, 0, sizeof {tile});")
    line(depth, f"for (int {i} = 0; {i} < {rows} && {r0} + {i} < {r_stop}; ++{i}) {{")
    line(depth + 1, f"for (int {j} = 0; {j} < {here}; ++{j}) {{")
    line(depth + 2, f"const {SIZE} {printer.loop_variable(rows_axis.var)} = {r0} + {i};")
    line(depth + 2, f"const {SIZE} {printer.loop_variable(lanes_axis.var)} = {l0} + {j};")
    line(depth + 2, f"const {kind} {printer.variable(c.result)} = {tile}[{i}][{j}];")
    printer.body(c.epilogue, depth + 2)
    line(depth + 1, "}")
    for level in (0, -1, -2):
        line(depth + level, "}")
    printer.bound -= {rows_axis.var, lanes_axis.var, *numbered}


def _direct(side: Block) -> Load | None:
    """The load that an operand is, if it is no more than that."""
    match side.body, side.value:
        case (Load(guard=None) as load,), Ref(name) if load.name == name:
            return load
    return None


def _apart(index: Size, k: str) -> tuple[Size, Size] | None:
    """A place as a sum of what does not depend on k, which is computed once for a row, and what depends on k alone."""
    if isinstance(index, int):
        return index, 0
    fixed: Size = 0
    moving: Size = 0
    for monomial, factor in index.terms:
        term = dims.mul(dims.product(map(dims.as_written, monomial)), factor)
        if k not in dims.names(term):
            fixed = dims.add(fixed, term)
        elif dims.names(term) <= {k}:
            moving = dims.add(moving, term)
        else:
            return None
    return fixed, moving


def _scratch(printer: Printer, name: str, dtype: DType, count: Size) -> str:
    """Memory of the kernel beside what the program has."""
    scratch = Scratch(f"{name} scratch", dtype, (count,))
    printer.more_scratch.append(scratch)
    printer.shapes[scratch.name], printer.dtypes[scratch.name] = scratch.shape, dtype
    printer.touched.add(scratch.name)
    return printer.names.of(scratch.name, name)


def _from(place: str, start: str) -> str:
    """How far a place is from a start."""
    if start == "0":
        return place
    return f"({place} - {start})" if start.isidentifier() or start.isdigit() else f"({place} - ({start}))"
