"""The register tile: `rows` rows of `vectors` vectors of results, held in registers over a run of products.

    for panel in range(panels):
        for k in range(count):
            for i in range(rows):
                sums[i] = fma(a[i, k], b[panel][k, :], sums[i])
        c[:, panel] = sums  or  c[:, panel] + sums

How the left operand is read says where a[i, k] lies: "rows" at i*stride + k, "columns" at k*stride + i, "apart" at
i*stride + places[k], "beside" at i + places[k]. Row k of the right operand lies at k*step; a panel begins `distance` elements
after the one before it. Every result is one chain of fused multiply-adds over k in ascending order, so it has the same bits in a
tile of any shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphc.backends.llvm.tiles.text import POINTER, WORD, Module
from graphc.backends.llvm.tiles.writing import TileWriter, word
from graphc.ir.target import Target

PLACED = ("apart", "beside")  # ways to read the left operand through places
FAR = 32  # how many k ahead a left operand is fetched whose k lie a stride apart: the processor sees no order in pages' distances

_ARGUMENTS = "pipiipiiiii"  # a, stride, b, step, distance, c, row of c, panels, count, whether c is added to, what is fetched


def arguments(way: str) -> str:
    """The arguments of a tile: also places, where it has them."""
    return _ARGUMENTS + "t" * (way in PLACED)


def write_tile(
    module: Module, target: Target, itemsize: int, way: str, rows: int, vectors: int, source: str = "", number: str = ""
) -> Any:  # fmt: skip
    """The function of one tile in a module, whose right operand is of the source's type, and whose elements are such numbers."""
    w = TileWriter(module, target, itemsize, f"tile_{way}_{rows}x{vectors}{source}", arguments(way), source, number)
    w.function.internal = True
    a, stride, b, step, distance, c, row, panels, count, more, ahead, *places = w.args
    build, vector, lanes = w.build, w.vector, w.lanes
    spots = [(i, v) for i in range(rows) for v in range(vectors)]

    def lines(start: Any) -> Iterator[tuple[int, Any]]:
        """The addresses of the rows of results."""
        for i in range(rows):
            yield i, start
            start = w.at(start, row)

    entry = build.block
    head, inside, end, plus, keep, following, done = (
        w.block(n) for n in ("panel", "products", "results", "add", "keep", "next", "done")
    )
    build.cbranch(build.icmp_signed(">", panels, word(0)), head, done)

    build.position_at_end(head)
    right, out, left = build.phi(POINTER), build.phi(POINTER), build.phi(WORD)
    build.cbranch(build.icmp_signed(">", count, word(0)), inside, end)

    build.position_at_end(inside)
    k, at_k, a_k = build.phi(WORD), build.phi(POINTER), build.phi(POINTER)
    sums = {spot: build.phi(vector) for spot in spots}
    panel_row = [w.read(at_k, v * lanes) for v in range(vectors)]
    w.prefetch(w.near(at_k, ahead))
    if way == "columns":
        far = w.at(a_k, build.mul(stride, word(FAR)))
        w.prefetch(far)
        if rows > 1:
            w.prefetch(w.at(far, rows - 1))  # they may lie across two lines
    new = {}
    along = way in ("columns", "beside")  # neighbours lie along the rows
    place = a_k
    if places:
        place = w.at(a_k, build.load(build.gep(places[0], k, WORD), WORD))
    for i in range(rows):
        value = w.load_spread(place, i if along else 0)
        for v in range(vectors):
            new[i, v] = w.multiply_add(value, panel_row[v], sums[i, v])
        if not along and i + 1 < rows:
            place = w.at(place, stride)
    next_k, next_at = build.add(k, word(1)), w.near(at_k, step)
    next_a = a_k if places else w.at(a_k, 1 if way == "rows" else stride)
    build.cbranch(build.icmp_signed("<", next_k, count), inside, end)
    for phi, start, later in ((k, word(0), next_k), (at_k, right, next_at), (a_k, a, next_a)):
        phi.add_incoming(start, head)
        phi.add_incoming(later, inside)

    build.position_at_end(end)
    total = {spot: build.phi(vector) for spot in spots}
    for spot in spots:
        sums[spot].add_incoming(w.zero, head)
        sums[spot].add_incoming(new[spot], inside)
        total[spot].add_incoming(w.zero, head)
        total[spot].add_incoming(new[spot], inside)
    build.cbranch(build.icmp_signed("!=", more, word(0)), plus, keep)

    build.position_at_end(plus)
    joined = {(i, v): w.add(w.load(place, v * lanes), total[i, v]) for i, place in lines(out) for v in range(vectors)}
    build.branch(keep)

    build.position_at_end(keep)
    final = {spot: build.phi(vector) for spot in spots}
    for i, place in lines(out):
        for v in range(vectors):
            final[i, v].add_incoming(total[i, v], end)
            final[i, v].add_incoming(joined[i, v], plus)
            w.store(final[i, v], place, v * lanes)
    build.branch(following)

    build.position_at_end(following)
    rest = build.sub(left, word(1))
    for phi, start, later in ((right, b, w.near(right, distance)), (out, c, w.at(out, vectors * lanes)), (left, panels, rest)):
        phi.add_incoming(start, entry)
        phi.add_incoming(later, following)
    build.cbranch(build.icmp_signed(">", rest, word(0)), head, done)
    build.position_at_end(done)
    build.ret_void()
    return w.function
