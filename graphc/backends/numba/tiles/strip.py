"""A strip: a few rows of the result, over all panels of the right operand and one run of k.

    tile(rows x 2 vectors, or more where panels lie side by side) over the whole panels
    tile(rows x 1 or 2 vectors) over the last panel

Results of whole panels and of the last one go to different places, so that the former can be where they are wanted and the
latter, which has columns beyond the last, in scratch.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from graphc.backends.numba.tiles.machine import Machine
from graphc.backends.numba.tiles.pack import read_header
from graphc.backends.numba.tiles.tile import ARGUMENTS as TILE
from graphc.backends.numba.tiles.tile import write_tile
from graphc.backends.numba.tiles.writing import POINTER, WORD, Writer, signature, word

ARGUMENTS = "ipipiipipii"  # rows, a, stride, panels, columns, k, results, their row, last results, their row, whether added


def write_strip(module: ir.Module, machine: Machine, itemsize: int, name: str, by_rows: bool) -> None:
    """The function of a strip, with the register tiles of every height."""
    tiles = {
        (rows, vectors): write_tile(module, machine, itemsize, by_rows, rows, vectors)
        for rows in range(1, machine.rows + 1)
        for vectors in {1, 2, machine.vectors(rows)}
    }
    w = Writer(module, machine, itemsize, name, ARGUMENTS)
    rows, a, stride, panels_at, columns, count, c, row, last_c, last_row, more = w.args
    build, lanes = w.build, w.lanes
    b, step, distance, last = read_header(w, panels_at)
    kind = signature(TILE).as_pointer()

    def table(name: str, items: list[Any], each: Any, typ: Any) -> Any:
        """What a table of heights holds for this strip's."""
        array = ir.GlobalVariable(module, ir.ArrayType(each, len(items)), name)
        array.initializer = ir.Constant(array.value_type, items)
        array.global_constant, array.linkage = True, "internal"
        return build.load(build.gep(array, [build.sub(rows, word(1))], source_etype=each), typ=typ)

    heights = range(1, machine.rows + 1)
    thin = table("thin", [tiles[r, 1] for r in heights], POINTER, kind)
    even = table("even", [tiles[r, 2] for r in heights], POINTER, kind)
    wide = table("wide", [tiles[r, machine.vectors(r)] for r in heights], POINTER, kind)
    joined = table("joined", [word(machine.vectors(r) // 2) for r in heights], WORD, WORD)
    width = 2 * lanes
    joined = build.select(build.icmp_signed("==", distance, word(width)), joined, word(1))  # panels side by side in memory
    broad = build.select(build.icmp_signed("==", joined, word(1)), even, wide)
    panels = build.sdiv(columns, word(width))
    rest = build.sub(columns, build.mul(panels, word(width)))
    narrow = build.icmp_signed("<=", rest, word(lanes))
    last_tile = build.select(narrow, thin, even)
    groups = build.sdiv(panels, joined)
    grouped = build.mul(groups, joined)
    single = build.sub(panels, grouped)
    ahead = build.mul(distance, joined)
    skipped = build.mul(distance, grouped)
    single_c = w.at(c, build.mul(grouped, word(width)))
    last_step = build.select(narrow, word(lanes), word(width))
    some = build.zext(build.icmp_signed(">", rest, word(0)), rest.type)
    build.call(broad, [a, stride, b, step, ahead, c, row, groups, count, more])
    build.call(even, [a, stride, w.at(b, skipped), step, distance, single_c, row, single, count, more])
    build.call(last_tile, [a, stride, last, last_step, word(0), last_c, last_row, some, count, more])
    build.ret_void()
