"""The right operand as panels that the register tile reads from end to end.

A panel holds two vectors of columns for every k; the last one, where columns are left over, holds one vector if that is enough.
Columns beyond the last are zeros. Panel p begins at p * k * (two vectors).

A header before the panels says where they are: the address of the first whole panel, the distance between its rows, the distance
between panels, the address of the last panel, and whether the whole panels are of the source's type. Few rows on the left do not
pay for copying: then the whole panels stay where the operand has them, and only the last one is copied.

Where the source has 16 bits, copies have 32. What stays in place is widened anew by every strip, so fewer rows are few.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from graphc.backends.llvm.tiles.text import HALF, POINTER, WORD, Module, vector_of
from graphc.backends.llvm.tiles.writing import TileWriter, word
from graphc.ir.layout import tallest
from graphc.ir.target import Target

HEADER = 64  # bytes
IN_PLACE = 128  # rows on the left up to which the right operand is read where it lies: as dear as a copy, by measuring
WIDENED = 2  # strips up to which it is where it has 16 bits

ARGUMENTS = "siiiip"  # the operand, its stride, the number of k, of columns, of rows on the left, the memory of the panels
PLACES_ARGUMENTS = "ptiip"  # the operand, the places of its k, the number of k, of columns, the memory of the panels
LAY_OUT_ARGUMENTS = "iip"  # the number of k, of columns, the memory of the panels
TURN_ARGUMENTS = "piiipi"  # results, their row, the number of rows, of columns, where they go, the distance of columns there
DEAL_ARGUMENTS = "ppi"  # vectors, where their rows go, the distance of rows there
COLLECT_ARGUMENTS = "pip"  # rows, their distance, where the vectors go
DEALT = (3, 5, 7, 9)  # lengths: the lanes of so many vectors are chosen faster than squares are transposed
POINT_ARGUMENTS = "piip"  # the first panel, the distance between panels, the number of whole ones, the memory of the header


def few(source: str, target: Target) -> int:
    """The rows on the left up to which the right operand is read where it lies."""
    return WIDENED * tallest(target) if source else IN_PLACE


def _write_header(w: TileWriter, place: Any, whole: Any, step: Any, distance: Any, last: Any, narrow: bool = False) -> None:
    for i, value in enumerate((whole, step, distance, last, word(int(narrow)))):
        w.build.store(value, w.build.gep(place, word(i), WORD))


def read_header(w: TileWriter, place: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The first whole panel, the distance of its rows, the distance of panels, the last panel, whether the first is narrow."""
    kinds = (POINTER, WORD, WORD, POINTER, WORD)
    first, step, distance, last, narrow = (w.build.load(w.build.gep(place, word(i), WORD), kind) for i, kind in enumerate(kinds))
    return first, step, distance, last, narrow


def _panels(w: TileWriter, count: Any, columns: Any, place: Any) -> tuple[Any, Any, Any]:
    """The columns in whole panels, the first panel, the last one; the header says that all are packed."""
    width = 2 * w.lanes
    whole = w.build.and_(columns, word(-width))
    first = w.at(place, HEADER // w.itemsize)
    last = w.at(first, w.build.mul(whole, count))
    _write_header(w, place, first, word(width), w.build.mul(count, word(width)), last)
    return whole, first, last


def write_lay_out(module: Module, target: Target, itemsize: int, name: str) -> None:
    """The header alone, for panels that others fill."""
    w = TileWriter(module, target, itemsize, name, LAY_OUT_ARGUMENTS)
    _panels(w, *w.args)
    w.build.ret_void()


def write_point(module: Module, target: Target, itemsize: int, name: str) -> None:
    """The header alone, for panels of two vectors that lie elsewhere; so has the last one, whatever its columns."""
    w = TileWriter(module, target, itemsize, name, POINT_ARGUMENTS)
    first, distance, whole, place = w.args
    _write_header(w, place, first, word(2 * w.lanes), distance, w.at(first, w.build.mul(distance, whole)))
    w.build.ret_void()


def write_pack_rows(
    module: Module, target: Target, itemsize: int, name: str, source: str = "", placed: bool = False
) -> None:  # fmt: skip
    """Neighbours in memory lie along the columns: element [k, n] at k*stride + n, or, `placed`, at places[k] + n."""
    w = TileWriter(module, target, itemsize, name, PLACES_ARGUMENTS if placed else ARGUMENTS, source)
    build, lanes = w.build, w.lanes
    if placed:
        b, places, count, columns, place = w.args
    else:
        b, stride, count, columns, rows, place = w.args
    width = 2 * lanes
    whole, first, last = _panels(w, count, columns, place)
    copied = whole
    if not placed:
        stays = build.icmp_signed("<=", rows, word(few(source, target)))
        w.when("place", stays, lambda: _write_header(w, place, b, stride, word(width), last, narrow=source != ""))
        copied = build.select(stays, word(0), whole)
    size = build.mul(count, word(width))
    rest = build.sub(columns, whole)
    narrow = build.icmp_signed("<=", rest, word(lanes))
    last_width = build.select(narrow, word(lanes), word(width))
    masks = [w.below(rest), w.below(build.sub(rest, word(lanes)))]

    def row(k: Any) -> None:
        given = w.near(b, build.load(build.gep(places, k, WORD), WORD) if placed else build.mul(k, stride))
        here = w.at(first, build.mul(k, word(width)))

        def panel(n: Any) -> None:
            target = w.at(here, build.mul(build.sdiv(n, word(width)), size))
            for v in range(2):
                w.store(w.read(w.near(given, n), v * lanes), target, v * lanes)

        w.loop("panel", word(0), copied, word(width), panel)

        def edge() -> None:
            target = w.at(last, build.mul(k, last_width))
            tail = w.near(given, whole)
            w.store(w.read_masked(tail, masks[0]), target)
            w.when("second", build.not_(narrow), lambda: w.store(w.read_masked(w.near(tail, lanes), masks[1]), target, lanes))

        w.when("edge", build.icmp_signed(">", rest, word(0)), edge)

    copies = build.or_(build.icmp_signed(">", copied, word(0)), build.icmp_signed(">", rest, word(0)))
    w.loop("row", word(0), build.select(copies, count, word(0)), word(1), row)
    build.ret_void()


def write_pack_columns(module: Module, target: Target, itemsize: int, name: str, source: str = "", alone: bool = False) -> None:
    """Neighbours in memory lie along k: element [k, n] at n*stride + k. Squares of lanes x lanes are transposed in registers.

    `alone` writes no header: the memory given is that of some rows of one panel.

    The last square of a panel may write past its end, where the next panel is written later; after the last panel this needs room
    for `lanes - 1` rows.
    """
    w = TileWriter(module, target, itemsize, name, ARGUMENTS, source)
    b, stride, count, columns, _, place = w.args
    build, lanes = w.build, w.lanes
    width = 2 * lanes
    panels = place if alone else _panels(w, count, columns, place)[1]
    whole = build.and_(count, word(-lanes))

    def group(n: Any) -> None:
        """One vector of columns."""
        first = build.and_(n, word(-width))
        narrow = build.icmp_signed("<=", build.sub(columns, first), word(lanes))
        row = build.select(narrow, word(lanes), word(width))
        target = w.at(w.at(panels, build.mul(first, count)), build.sub(n, first))
        given = w.near(b, build.mul(n, stride))
        rest = build.sub(columns, n)
        full = build.icmp_signed(">=", rest, word(lanes))

        def square(k: Any, mask: Any) -> None:
            place = w.near(given, k)
            lines = []
            for i in range(lanes):
                lines.append(w.read(place) if mask is None else w.read_masked(place, mask(i)))
                if i + 1 < lanes:
                    place = w.near(place, stride)
            place = w.at(target, build.mul(k, row))
            for line in _transposed(w, lines):
                w.store(line, place)
                place = w.at(place, row)

        plain = build.select(full, whole, word(0))
        w.loop("square", word(0), plain, word(lanes), lambda k: square(k, None))

        def edge(k: Any) -> None:
            there = build.sub(count, k)
            square(k, lambda i: w.below(build.select(build.icmp_signed("<", word(i), rest), there, word(0))))

        w.loop("edge", plain, count, word(lanes), edge)

    w.loop("group", word(0), columns, word(lanes), group)
    build.ret_void()


def write_turn(module: Module, target: Target, itemsize: int, name: str) -> None:
    """Results with rows and columns exchanged: element [m, n] at m*row + n goes to n*distance + m.

    Squares of lanes x lanes are transposed in registers. Of the results whole squares are read, also beyond the last row and
    column; what is stored are the elements alone.
    """
    w = TileWriter(module, target, itemsize, name, TURN_ARGUMENTS)
    source, row, rows, columns, made, distance = w.args
    build, lanes = w.build, w.lanes

    def group(n: Any) -> None:
        """One vector of columns."""
        given, there, rest = w.at(source, n), w.at(made, build.mul(n, distance)), build.sub(columns, n)
        whole = build.select(build.icmp_signed(">=", rest, word(lanes)), build.and_(rows, word(-lanes)), word(0))

        def square(m: Any, mask: Any) -> None:
            place = w.at(given, build.mul(m, row))
            lines = []
            for _ in range(lanes):
                lines.append(w.load(place))
                place = w.at(place, row)
            place = w.at(there, m)
            for i, line in enumerate(_transposed(w, lines)):
                if mask is None:
                    w.store(line, place)
                else:
                    w.store_masked(line, place, mask(i))
                place = w.at(place, distance)

        w.loop("square", word(0), whole, word(lanes), lambda m: square(m, None))

        def edge(m: Any) -> None:
            here = build.sub(rows, m)
            square(m, lambda i: w.below(build.select(build.icmp_signed("<", word(i), rest), here, word(0))))

        w.loop("edge", whole, rows, word(lanes), edge)

    w.loop("group", word(0), columns, word(lanes), group)
    build.ret_void()


def write_exchange(module: Module, target: Target, itemsize: int, name: str) -> None:
    """Element [m, n] at m*row + n goes to n*distance + m, and no other memory is touched."""
    w = TileWriter(module, target, itemsize, name, TURN_ARGUMENTS)
    source, row, rows, columns, made, distance = w.args
    build, lanes = w.build, w.lanes

    def group(n: Any) -> None:
        """One vector of columns."""
        given, there, rest = w.at(source, n), w.at(made, build.mul(n, distance)), build.sub(columns, n)
        whole = build.select(build.icmp_signed(">=", rest, word(lanes)), build.and_(rows, word(-lanes)), word(0))
        read = w.below(rest)

        def square(m: Any) -> None:
            place = w.at(given, build.mul(m, row))
            lines = []
            for _ in range(lanes):
                lines.append(w.load(place))
                place = w.at(place, row)
            place = w.at(there, m)
            for line in _transposed(w, lines):
                w.store(line, place)
                place = w.at(place, distance)

        def edge(m: Any) -> None:
            place = w.at(given, build.mul(m, row))
            here = build.sub(rows, m)
            written = w.below(here)
            lines = []
            for i in range(lanes):  # beyond the last row that one is read again
                lines.append(w.read_masked(place, read))
                place = w.at(place, build.select(build.icmp_signed(">", here, word(i + 1)), row, word(0)))
            place = w.at(there, m)
            for i, line in enumerate(_transposed(w, lines)):
                at = w.at(place, build.mul(distance, word(i)))
                store = partial(w.store_masked, line, at, written)
                w.when("line", build.icmp_signed(">", rest, word(i)), store)

        w.loop("square", word(0), whole, word(lanes), square)
        w.loop("edge", whole, rows, word(lanes), edge)

    w.loop("group", word(0), columns, word(lanes), group)
    build.ret_void()


def write_deal(module: Module, target: Target, itemsize: int, name: str, count: int, back: bool = False) -> None:
    """Element i*count + j of so many vectors goes to j*row + i, or comes `back` from there; count is odd.

    No two elements of a row lie in the same lane, so a row is the lanes of its own out of every vector, put in order.
    """
    w = TileWriter(module, target, itemsize, name, COLLECT_ARGUMENTS if back else DEAL_ARGUMENTS)
    build, lanes = w.build, w.lanes
    source, *row, there = w.args if back else (w.args[0], w.args[2], w.args[1])

    def shuffled(a: Any, b: Any, lane: list[int]) -> Any:
        return build.shuffle_vector(a, b, vector_of(HALF, lanes)(lane))

    def blended(vectors: list[Any], number: Callable[[int], int]) -> Any:
        """In each lane that of the vector with a number."""
        made = vectors[0]
        for v, vector in enumerate(vectors[1:], 1):
            made = shuffled(made, vector, [i + lanes * (number(i) == v) for i in range(lanes)])
        return made

    places = [[(count * i + j) % lanes for i in range(lanes)] for j in range(count)]
    at = there if not back else source
    rows = []
    for _ in range(count):
        rows.append(at)
        at = w.at(at, row[0])
    if back:
        lines = [w.load(at) for at in rows]
        lines = [shuffled(line, line, [p.index(i) for i in range(lanes)]) for line, p in zip(lines, places, strict=True)]
        for v in range(count):
            w.store(blended(lines, lambda i, v=v: (v * lanes + i) % count), there, v * lanes)  # type: ignore[misc]
    else:
        vectors = [w.load(source, v * lanes) for v in range(count)]
        for j, at in enumerate(rows):
            made = blended(vectors, lambda i, j=j: (count * places[j].index(i) + j) // lanes)  # type: ignore[misc]
            w.store(shuffled(made, made, places[j]), at)
    build.ret_void()


def _transposed(w: TileWriter, lines: list[Any]) -> list[Any]:
    """The columns of a square of lanes: at each distance d the off-diagonal blocks of pairs (r, r + d) change places."""
    lanes = w.lanes
    distance = lanes // 2
    while distance:
        upper = [i + lanes - distance if i & distance else i for i in range(lanes)]
        lower = [i + lanes if i & distance else i + distance for i in range(lanes)]
        changed = list(lines)
        for r in range(lanes):
            if not r & distance:
                pair = lines[r], lines[r + distance]
                changed[r] = w.build.shuffle_vector(*pair, vector_of(HALF, lanes)(upper))
                changed[r + distance] = w.build.shuffle_vector(*pair, vector_of(HALF, lanes)(lower))
        lines = changed
        distance //= 2
    return lines
