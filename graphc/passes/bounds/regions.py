"""Regions: the places at which an expression of loop variables is at least 0.

    l-k-1           the columns l to the right of the diagonal of row k
    64*t+63-l       the columns before the next tile of rows

A region in the coordinates of a buffer names its axes #0, #1, ...
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import product

from graphc.ir import dims
from graphc.ir.dims import FloorDiv, Max0, Size
from graphc.ir.program import Axis
from graphc.passes.bounds.lengths import TILE

USUAL = 512  # what a size is taken for that only a call knows
SAMPLES = 8  # values of a parallel loop at which a bound is looked at
WORTH = 0.9  # the share of a loop that may be left
_MANY = 1 << 40  # tiles, more than there are

Axes = Mapping[str, Axis]  # outer loops first


def axis(number: int) -> Size:
    """The coordinate of a buffer."""
    return dims.symbol(f"#{number}")


def direction(size: Size, var: str) -> int | None:
    """1 where a size grows with a variable or stays, -1 where it falls or stays, 0 where it has none; None if not known."""
    found = 0
    for monomial, factor in () if isinstance(size, int) else size.terms:
        holding = [a for a in monomial if var in dims.names(dims.as_written(a))]
        if not holding:
            continue
        match holding:
            case [str()]:
                way: int | None = 1
            case [FloorDiv(inner, by)] if var not in dims.names(by):
                way = direction(inner, var)
            case [Max0(inner)]:
                way = direction(inner, var)
            case _:
                return None
        if way is None or any(isinstance(a, FloorDiv) and a not in holding for a in monomial):
            return None
        way = way if factor > 0 else -way
        if found and way and way != found:
            return None
        found = found or way
    return found


def least(size: Size, axes: Axes, keep: Container[str]) -> Size | None:
    """The least value of a size while the variables of loops change that are not kept; None where that is not known."""
    order = list(axes)
    while changing := dims.names(size) & axes.keys() - {v for v in axes if v in keep}:
        var = max(changing, key=order.index)
        way = direction(size, var)
        if way is None:
            return None
        if way >= 0:
            size = dims.substitute(size, {var: axes[var].start})
            continue
        found: Size | None = None
        for stop in _stops(axes[var]):
            made = least(dims.substitute(size, {var: dims.sub(stop, 1)}), axes, keep)
            if made is not None and (found is None or len(dims.names(made)) > len(dims.names(found))):
                found = made
        return found
    return size


def _stops(axis: Axis) -> list[Size]:
    """Where a loop stops at the latest: its stop, and what that is at most where it is the least of two."""
    found = [axis.stop]
    for stop in found:
        for monomial, factor in () if isinstance(stop, int) else stop.terms:
            match monomial, factor:
                case (Max0(beyond),), int(times) if times < 0:  # a - max(b, 0) is the least of a and a - b
                    whole = dims.sub(stop, dims.mul(dims.as_written(Max0(beyond)), times))
                    found += [whole, dims.add(whole, dims.mul(beyond, times))]
                case (Max0(inner),), 1 if axis.start == 0 and stop == dims.as_written(Max0(inner)):  # where it runs at all
                    found.append(inner)
    return found


def most(size: Size, axes: Axes, keep: Container[str]) -> Size | None:
    """The largest value; see `least`."""
    found = least(dims.mul(size, -1), axes, keep)
    return None if found is None else dims.mul(found, -1)


def solved(region: Size, var: str) -> tuple[bool, Size] | None:
    """For which values of a variable a region holds: (True, a) from a on, (False, a) below a. None where that is not known."""
    rest = dims.substitute(region, {var: 0})
    factor = dims.sub(dims.substitute(region, {var: 1}), rest)
    by = 1
    if not isinstance(factor, int) or factor == 0 or region != dims.add(dims.mul(factor, dims.symbol(var)), rest):
        whole = _quotient_of(region, var)
        if whole is None:
            return None
        factor, by = whole
        rest = dims.sub(region, dims.mul(factor, dims.floordiv(dims.symbol(var), by)))
        if var in dims.names(rest):
            return None
    if factor > 0:  # factor*(var // by) >= -rest
        return True, dims.mul(dims.floordiv(dims.sub(factor - 1, rest), factor), by)
    return False, dims.mul(dims.add(dims.floordiv(rest, -factor), 1), by)


def _quotient_of(region: Size, var: str) -> tuple[int, int] | None:
    """The factor and the divisor of the one term of a region that has a variable: factor * (var // divisor)."""
    every = () if isinstance(region, int) else region.terms
    terms = [(m, f) for m, f in every if any(var in dims.names(dims.as_written(a)) for a in m)]
    match terms:
        case [((FloorDiv(numerator, int(by)),), factor)] if numerator == dims.symbol(var):
            return factor, by
    return None


def cut(axis: Axis, regions: Sequence[Size], parallel: Axes) -> Axis | None:
    """The part of a loop that remains without the values for which all regions hold; None where that is the whole loop, or all
    but a little of it."""
    found = [solved(region, axis.var) for region in regions]
    ups = {f[0] for f in found if f is not None}
    if None in found or len(ups) != 1:
        return None
    bounds = [f[1] for f in found if f is not None]
    ranges = {a.var: a.stop for a in parallel.values() if a.start == 0}
    if True in ups:
        bound = bounds[0]
        for other in bounds[1:]:
            bound = dims.maximum(bound, other, ranges)
        made = Axis(axis.var, dims.minimum(axis.stop, dims.maximum(bound, axis.start, ranges), ranges), axis.start)
    else:
        bound = bounds[0]
        for other in bounds[1:]:
            bound = dims.minimum(bound, other, ranges)
        made = Axis(axis.var, axis.stop, dims.maximum(axis.start, dims.minimum(bound, axis.stop, ranges), ranges))
    return made if made != axis and share(made, axis, parallel) <= WORTH else None


def share(made: Axis, whole: Axis, parallel: Axes) -> float:
    """Which share of a loop is left, on average over the parallel loops, as far as sizes are known."""
    names = dims.names(made.start, made.stop, whole.start, whole.stop)
    own = [a for a in parallel.values() if a.var in names]
    sizes = dict.fromkeys(names | dims.names(*(n for a in own for n in (a.start, a.stop))), USUAL)
    data = [n for n in names if n.startswith("%")]
    if data:  # nobody knows: as if a third were left, so that a bound of a place and a number counts too
        all_of_it = dims.evaluate(whole.extent, {**sizes, **dict.fromkeys(data, _MANY), **dict.fromkeys((a.var for a in own), 0)})
        sizes |= dict.fromkeys(data, max(0, all_of_it // (3 * TILE) - 1))
    steps = []
    for a in own:
        start, stop = dims.evaluate(a.start, sizes), max(1, dims.evaluate(a.stop, sizes))
        steps.append(range(start, max(stop, start + 1), max(1, -(-(stop - start) // SAMPLES))))
    left = total = 0
    for point in product(*steps[:2], *([r[0]] for r in steps[2:])):
        at = {**sizes, **dict(zip((a.var for a in own), point, strict=True))}
        left += max(0, dims.evaluate(made.extent, at))
        total += max(0, dims.evaluate(whole.extent, at))
    return left / total if total else 1.0
