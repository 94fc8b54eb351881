"""A strip: a few rows of the result, over all panels of the right operand and one run of k.

Two functions share the work: one takes all panels of two vectors, as register tiles of two vectors, or of more where panels lie
side by side; the other takes the last panel if it has one vector. A caller that knows its columns needs only one of them.

Results of whole panels and of the last one go to different places, so that the former can be where they are wanted and the
latter, which has columns beyond the last, in scratch.
"""

from __future__ import annotations

from typing import Any

from graphc.backends.llvm.tiles.pack import read_header
from graphc.backends.llvm.tiles.text import POINTER, WORD, Module, Type, Value
from graphc.backends.llvm.tiles.tile import PLACED, write_tile
from graphc.backends.llvm.tiles.tile import arguments as tile_arguments
from graphc.backends.llvm.tiles.writing import TileWriter, signature, word
from graphc.ir.layout import tallest, widest
from graphc.ir.target import Target

# rows, a, stride, panels, columns, k, results, their row, last results, their row, whether added, how far ahead is fetched
_ARGUMENTS = "ipipiipipiii"


def arguments(way: str) -> str:
    """The arguments of a strip: also the places of the left operand, where it is read through them."""
    return _ARGUMENTS + "t" * (way in PLACED)


def write_strip(
    module: Module, target: Target, itemsize: int, name: str, way: str, source: str = "", number: str = ""
) -> None:  # fmt: skip
    """The panels of two vectors; where the header says so, whole ones are of the source's type."""
    heights = range(1, tallest(target) + 1)
    shapes = sorted({(rows, vectors) for rows in heights for vectors in (2, widest(target, rows))})
    tiles = {shape: write_tile(module, target, itemsize, way, *shape, number=number) for shape in shapes}
    w = TileWriter(module, target, itemsize, name, arguments(way), source, number)
    _, a, stride, panels_at, columns, count, c, row, last_c, last_row, more, ahead, *places = w.args
    build, lanes = w.build, w.lanes
    b, step, distance, last, narrow = read_header(w, panels_at)
    kind = signature(tile_arguments(way)).pointer
    two = whole = _table(w, "two", [tiles[r, 2] for r in heights], POINTER, kind)
    wide = _table(w, "wide", [tiles[r, widest(target, r)] for r in heights], POINTER, kind)
    if source:
        narrow = build.icmp_signed("!=", narrow, word(0))
        tiles = {shape: write_tile(module, target, itemsize, way, *shape, source) for shape in shapes}
        whole = build.select(narrow, _table(w, "two_narrow", [tiles[r, 2] for r in heights], POINTER, kind), whole)
        of_source = _table(w, "wide_narrow", [tiles[r, widest(target, r)] for r in heights], POINTER, kind)
        wide = build.select(narrow, of_source, wide)
    joined = _table(w, "joined", [word(widest(target, r) // 2) for r in heights], WORD, WORD)
    width = 2 * lanes
    joined = build.select(build.icmp_signed("==", distance, word(width)), joined, word(1))  # panels side by side in memory
    wide = build.select(build.icmp_signed("==", joined, word(1)), whole, wide)
    panels = build.sdiv(columns, word(width))
    groups = build.sdiv(panels, joined)
    grouped = build.mul(groups, joined)
    build.call(wide, [a, stride, b, step, build.mul(distance, joined), c, row, groups, count, more, ahead, *places])
    beyond = build.mul(distance, grouped)
    right = build.select(narrow, w.near(b, beyond), w.at(b, beyond)) if source else w.at(b, beyond)
    out = w.at(c, build.mul(grouped, word(width)))
    build.call(whole, [a, stride, right, step, distance, out, row, build.sub(panels, grouped), count, more, ahead, *places])
    broad = build.icmp_signed(">", build.and_(columns, word(width - 1)), word(lanes))
    ends = build.zext(broad, WORD)
    build.call(two, [a, stride, last, word(width), word(0), last_c, last_row, ends, count, more, ahead, *places])
    build.ret_void()


def write_last(
    module: Module, target: Target, itemsize: int, name: str, way: str, source: str = "", number: str = ""
) -> None:  # fmt: skip
    """The last panel, if it has one vector."""
    tiles = [write_tile(module, target, itemsize, way, rows, 1, number=number) for rows in range(1, tallest(target) + 1)]
    w = TileWriter(module, target, itemsize, name, arguments(way), number=number)
    _, a, stride, panels_at, columns, count, _, _, last_c, last_row, more, ahead, *places = w.args
    build, lanes = w.build, w.lanes
    *_, last, _ = read_header(w, panels_at)
    one = _table(w, "one", tiles, POINTER, signature(tile_arguments(way)).pointer)
    rest = build.and_(columns, word(2 * lanes - 1))
    narrow = build.and_(build.icmp_signed(">", rest, word(0)), build.icmp_signed("<=", rest, word(lanes)))
    ends = build.zext(narrow, WORD)
    build.call(one, [a, stride, last, word(lanes), word(0), last_c, last_row, ends, count, more, ahead, *places])
    build.ret_void()


def _table(w: TileWriter, name: str, items: list[Any], each: Type, kind: Type) -> Value:
    """What a table of heights holds for this strip's."""
    table = w.module.table(name, each, items)
    return w.build.load(w.build.gep(table, w.build.sub(w.args[0], word(1)), each), kind)
