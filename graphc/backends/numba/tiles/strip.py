"""A strip: a few rows of the result, over all panels of the right operand and all k.

    for start in range(0, k, run):
        tile(rows x 2 vectors) over the whole panels
        tile(rows x 1 or 2 vectors) over the last panel

The right operand's whole panels and its last one are given apart, so that the former may be read where they lie. The sum over k is
cut into equal runs of at most `STEPS`, which depend on k alone.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from graphc.backends.numba.tiles.machine import STEPS, Machine
from graphc.backends.numba.tiles.tile import ARGUMENTS as TILE
from graphc.backends.numba.tiles.tile import write_tile
from graphc.backends.numba.tiles.writing import POINTER, Writer, signature, word

ARGUMENTS = "ipipiiipipi"  # rows, a, stride, whole panels, step, distance, columns, last panel, k, c, row of c


def write_strip(module: ir.Module, machine: Machine, itemsize: int, by_rows: bool, name: str) -> None:
    """The function of a strip, with the register tiles of every height."""
    tiles = {
        (rows, vectors): write_tile(module, machine, itemsize, by_rows, rows, vectors)
        for vectors in (1, 2)
        for rows in range(1, machine.rows() + 1)
    }
    w = Writer(module, machine, itemsize, name, ARGUMENTS)
    rows, a, stride, b, step, distance, columns, last, count, c, row = w.args
    build, lanes = w.build, w.lanes
    kind = signature(TILE).as_pointer()

    def table(vectors: int) -> Any:
        functions = [tiles[r, vectors] for r in range(1, machine.rows() + 1)]
        array = ir.GlobalVariable(module, ir.ArrayType(POINTER, len(functions)), f"heights_{vectors}")
        array.initializer = ir.Constant(array.value_type, functions)
        array.global_constant, array.linkage = True, "internal"
        place = build.gep(array, [build.sub(rows, word(1))], source_etype=POINTER)
        return build.load(place, typ=kind)

    wide, thin = table(2), table(1)
    width = 2 * lanes
    panels = build.sdiv(columns, word(width))
    rest = build.sub(columns, build.mul(panels, word(width)))
    narrow = build.icmp_signed("<=", rest, word(lanes))
    last_tile = build.select(narrow, thin, wide)
    last_step = build.select(narrow, word(lanes), word(width))
    some = build.zext(build.icmp_signed(">", rest, word(0)), rest.type)
    last_c = w.at(c, build.mul(panels, word(width)))
    parts = build.sdiv(build.add(count, word(STEPS - 1)), word(STEPS))
    parts = build.select(build.icmp_signed("<", parts, word(1)), word(1), parts)
    run = build.and_(build.add(build.sdiv(build.add(count, build.sub(parts, word(1))), parts), word(15)), word(-16))
    run = build.select(build.icmp_signed("<", run, word(1)), word(1), run)

    def part(k: Any) -> None:
        here = w.at(a, k if by_rows else build.mul(k, stride))
        steps = w.least(run, build.sub(count, k))
        build.call(wide, [here, stride, w.at(b, build.mul(k, step)), step, distance, c, row, panels, steps, k])
        there = w.at(last, build.mul(k, last_step))
        build.call(last_tile, [here, stride, there, last_step, word(0), last_c, row, some, steps, k])

    stop = build.select(build.icmp_signed("<", count, word(1)), word(1), count)
    w.loop("part", word(0), stop, run, part)
    build.ret_void()
