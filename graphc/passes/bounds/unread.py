"""Which elements of memory nothing reads, as regions in its coordinates.

Scratch is read up to bounds that depend on the parallel loops alone. What one kernel reads of another's results goes by tiles:
where a tile of columns, 128*t .. 128*t + 128, reads rows from 128*t on, nothing reads the rows before 128*(#3//128) of column #3.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import islice, product

from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir.dims import Size
from graphc.ir.scalar import Let
from graphc.passes.bounds.lengths import Lengths
from graphc.passes.bounds.regions import Axes, axis, least, most

Regions = tuple[Size, ...]  # regions that hold together
Span = tuple[Size | None, Size | None]  # the first index along an axis, and the last; by the parallel loops
Reading = tuple[Size, ...]  # regions, of each of which one load reads nothing
_MOST = 8  # ways in which the reads of one buffer are combined


def spans(kernel: ir.Kernel, buffers: Container[str]) -> dict[str, list[tuple[Span, ...]]]:
    """For each load of some buffers, where its elements lie."""
    parallel = {a.var: a for a in kernel.parallel}
    ranges = {a.var: a.stop for a in kernel.parallel if a.start == 0}
    found: dict[str, list[tuple[Span, ...]]] = {}

    def simple(size: Size | None) -> Size | None:
        return None if size is None else dims.substitute(size, {}, ranges)

    for load, axes in _loads(kernel.body, parallel, {}):
        if load.buffer not in buffers:
            continue
        place = tuple((simple(least(at, axes, parallel)), simple(most(at, axes, parallel))) for at in load.index)
        found.setdefault(load.buffer, []).append(place)
    return found


def _loads(body: Sequence[ir.Statement], axes: Axes, sizes: dict[str, Size]) -> Iterator[tuple[ir.Load, Axes]]:
    """The loads of a body with the loops around them; sizes that are values are written out."""

    def size(given: Size) -> Size:
        return dims.substitute(given, sizes) if sizes else given

    def within(*more: ir.Axis) -> Axes:
        return {**axes, **{a.var: ir.Axis(a.var, size(a.stop), size(a.start)) for a in more}}

    for statement in body:
        match statement:
            case Let(name=name, op="index", index=index):
                sizes[f"%{name}"] = size(index)
            case ir.Load(index=places):
                yield ir.Load(statement.name, statement.dtype, statement.buffer, tuple(map(size, places))), axes
            case ir.Accumulate(buffer=buffer, index=places, value=value):
                yield ir.Load("", value.dtype, buffer, tuple(map(size, places))), axes
            case ir.Loop(var, stop, inner, start):
                yield from _loads(inner, within(ir.Axis(var, stop, start)), sizes)
            case ir.Contract(m=m, n=n, k=k):
                for block, own in ((statement.left.body, (m, k)), (statement.right.body, (k, n)), (statement.epilogue, (m, n))):
                    yield from _loads(block, within(*own), sizes)
            case _:
                for inner in ir.bodies(statement):
                    yield from _loads(inner, axes, sizes)


def of_scratch(places: Sequence[tuple[Span, ...]]) -> list[Regions]:
    """What is not read of scratch, given all that is."""
    found: list[Regions] = []
    for a, ends in enumerate(zip(*places, strict=True)):
        lows, highs = zip(*ends, strict=True)
        if None not in highs and any(dims.names(high) for high in highs):
            found.append(tuple(dims.sub(axis(a), dims.add(high, 1)) for high in dict.fromkeys(highs)))
        if None not in lows and any(dims.names(low) for low in lows):
            found.append(tuple(dims.sub(dims.sub(low, 1), axis(a)) for low in dict.fromkeys(lows)))
    return found


def readings(kernel: ir.Kernel, buffers: Container[str], lengths: Lengths) -> dict[str, list[Reading]]:
    """For each load of some buffers, which regions it leaves."""
    found: dict[str, list[Reading]] = {}
    places = spans(kernel, buffers)
    for load, axes in _loads(kernel.body, {a.var: a for a in kernel.parallel}, {}):
        if load.buffer in buffers:
            own = found.setdefault(load.buffer, [])
            place = places[load.buffer][len(own)]
            own.append((*_by_tiles(kernel, place), *_by_numbers(load.index, axes, lengths)))
    return found


def _by_numbers(index: ir.Index, axes: Axes, lengths: Lengths) -> list[Size]:
    """The regions that a load leaves by the numbers in the bounds of the loops around it."""
    back: dict[str, Size] = {str(at): axis(q) for q, at in enumerate(index) if str(at) in axes}
    found = []
    for a in axes.values():
        for region in lengths.left_by(a):
            if a.var in back:
                made = lengths.moved(region, back)
                if not (dims.names(made) | lengths.places(made)) & axes.keys():
                    found.append(made)
    return found


def of_results(reads: Sequence[Reading]) -> list[Regions]:
    """What is not read of a buffer, given what each load leaves."""
    ways = list(dict.fromkeys(reads))
    if not ways or not all(ways):
        return []
    return [tuple(dict.fromkeys(regions)) for regions in islice(product(*ways), _MOST)]


def _by_tiles(kernel: ir.Kernel, place: tuple[Span, ...]) -> list[Size]:
    """The regions that one load leaves, by the tiles of its kernel's parallel loops."""
    parallel = {a.var for a in kernel.parallel}
    found = []
    for b, (low, high) in enumerate(place):
        for bound, high_end in ((low, False), (high, True)):
            own = frozenset() if bound is None else dims.names(bound) & parallel
            if bound is None or len(own) != 1:
                continue
            (var,) = own
            for a, (first, last) in enumerate(place):
                tile = None if a == b or first is None else dims.divide_exactly(first, dims.symbol(var))
                if not isinstance(tile, int) or tile < 1 or last is None:
                    continue
                if dims.is_nonnegative(dims.sub(dims.add(first, tile - 1), last)):
                    at = dims.substitute(bound, {var: dims.floordiv(axis(a), tile)})
                    found.append(dims.sub(dims.sub(axis(b), at), 1) if high_end else dims.sub(dims.sub(at, 1), axis(b)))
    return found
