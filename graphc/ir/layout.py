"""How the operands of a contraction lie in memory, and how tiles read them: what a program and its target say.

    load x0[m, k]                                    memory: neighbours along k lie side by side (`plain`)
    load x0[m//784, m//28 - 28*(m//784) + k//3, ..]  a term for m and one for k (`placed`)
    load x1[n//32, k, n - 32*(n//32)]                panels, one after the other (`in_panels`)

An operand whose address is a sum of a term for one axis and a term for k is read where it lies. So a convolution sees its images,
with the zeros around them. Within a row of places m's term grows by the same distance from place to place; the terms of k are put
into a table once for all rows of a product. Nothing of the image is copied.

Passes and backends ask the same functions here, so that what a pass lays out is what a backend reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.pieces import cut
from graphc.ir.program import Block, Contract, Kernel, Load, Store
from graphc.ir.scalar import Let, Ref
from graphc.ir.target import Target
from graphc.ir.types import DType

FEW_NEIGHBOURS = 3  # rows of the left operand at equal distances that are worth a strip


class Memory(Protocol):
    """The buffers of a kernel that is made for a target."""

    @property
    def shapes(self) -> Mapping[str, Shape]: ...

    @property
    def dtypes(self) -> Mapping[str, DType]: ...

    @property
    def target(self) -> Target: ...


@dataclass(frozen=True)
class KernelMemory:
    """The buffers of a kernel: its parameters and its scratch."""

    shapes: Mapping[str, Shape]
    dtypes: Mapping[str, DType]
    target: Target


def memory_of(kernel: Kernel, target: Target) -> KernelMemory:
    """The buffers of a kernel that is made for a target."""
    shapes = {p.name: p.type.shape for p in kernel.params} | {s.name: s.shape for s in kernel.scratch}
    dtypes = {p.name: p.type.dtype for p in kernel.params} | {s.name: s.dtype for s in kernel.scratch}
    return KernelMemory(shapes, dtypes, target)


# --- tiles and panels ---


def tallest(target: Target) -> int:
    """The rows of the tallest tile of two vectors. Three quarters of the registers hold sums: compilers want some for operands.

    >>> from graphc.ir.target import TARGETS
    >>> tallest(TARGETS["x86-64-v4"]), tallest(TARGETS["x86-64-v3"])
    (12, 6)
    """
    return target.registers * 3 // 8


def widest(target: Target, rows: int) -> int:
    """The vectors of the widest tile of so many rows, whole panels of two: short narrow tiles would wait for their sums.

    >>> from graphc.ir.target import TARGETS
    >>> widest(TARGETS["x86-64-v4"], 3), widest(TARGETS["x86-64-v4"], 7)
    (6, 2)
    """
    sums = target.registers * 3 // 4
    return next(v for v in (8, 6, 4, 2) if v == 2 or (rows * v <= sums and rows * v + v < target.registers))


def least_rows(target: Target) -> int:
    """The rows of the left operand from which no tile joins panels that lie side by side."""
    return next(rows for rows in count(1) if widest(target, rows) == 2)


def panel_width(dtype: DType, target: Target) -> int:
    """The columns of a panel of the right operand: two vectors."""
    return 2 * target.lanes(dtype.itemsize)


def panel_index(k: str, n: str, width: int) -> tuple[Size, Size, Size]:
    """Where element [k, n] lies in memory that is laid out as panels."""
    panel = dims.floordiv(dims.symbol(n), width)
    return panel, dims.symbol(k), dims.sub(dims.symbol(n), dims.mul(panel, width))


# --- operands ---


@dataclass(frozen=True)
class Plain:
    """An operand that is memory: its buffer, its address and the distances of neighbours along its two axes.

    `source` is the type of 16 bits that it is read from; None where it is the contraction's own.
    """

    buffer: str
    address: Size
    outer: Size
    inner: Size
    source: DType | None = None


def single_load(block: Block, dtype: DType) -> Load | None:
    """The load that is all of an operand's code."""
    match block:
        case Block((Load(name, held, _, _, None) as load,), Ref(value)) if name == value and held == dtype:
            return load
    return None


def widened_load(block: Block, dtype: DType, target: Target) -> Load | None:
    """The load of 16 bits that is all of an operand's code but for the cast to the contraction's type."""
    match block:
        case Block((Load(name, held, _, _, None) as load, Let(made, to, "cast", (Ref(given),))), Ref(value)):
            if (name, made, to) == (given, value, dtype) and held.is_storage and (held != t.float16 or target.halves):
                return load
    return None


def plain(memory: Memory, block: Block, outer: str, inner: str, dtype: DType) -> Plain | None:
    """The memory that an operand is, if it is one load whose address is linear in both axes."""
    load = single_load(block, dtype)
    return None if load is None else linear(memory, load.buffer, load.index, outer, inner)


def plain_source(memory: Memory, block: Block, outer: str, inner: str, dtype: DType) -> Plain | None:
    """The memory that an operand is, of the contraction's type or of 16 bits."""
    found, load = plain(memory, block, outer, inner, dtype), widened_load(block, dtype, memory.target)
    if found is not None or load is None or dtype != t.float32:
        return found
    place = linear(memory, load.buffer, load.index, outer, inner)
    return None if place is None else replace(place, source=memory.dtypes[load.buffer])


def linear(memory: Memory, buffer: str, index: tuple[Size, ...], outer: str, inner: str) -> Plain | None:
    """The place of an index of a buffer, if its address is linear in both axes."""
    address = dims.ravel(index, memory.shapes[buffer])
    steps = [dims.sub(dims.substitute(address, {v: dims.add(dims.symbol(v), 1)}), address) for v in (outer, inner)]
    if {outer, inner} & dims.names(*steps):
        return None
    return Plain(buffer, address, steps[0], steps[1])


def in_panels(memory: Memory, block: Block, k: str, n: str, dtype: DType) -> Plain | None:
    """The panels that an operand is; `inner` is the distance between them."""
    width, load = panel_width(dtype, memory.target), single_load(block, dtype)
    if load is None or load.index != panel_index(k, n, width):
        return None
    length = memory.shapes[load.buffer][1]
    address = dims.add(dims.mul(length, dims.symbol(n)), dims.mul(width, dims.symbol(k)))  # where n begins a panel
    return Plain(load.buffer, address, width, dims.mul(width, length))


@dataclass(frozen=True)
class Placed:
    """Element [i, k] lies at start(i) + term(k). `distance` is that of neighbours i within a piece of `length` of them, which
    starts at a multiple of it; length 0: all i are one piece. `start` knows i, and the number of its piece."""

    buffer: str
    start: Size
    term: Size
    distance: Size
    length: int


def placed(memory: Memory, block: Block, load: Load | None, axis: str, k: str) -> Placed | None:
    """How an operand, a block that is one load, is read through places along an axis, if its address is such a sum."""
    if load is None:
        return None
    address = dims.ravel(load.index, memory.shapes[load.buffer])
    start = dims.substitute(address, {k: 0})
    term = dims.sub(address, start)
    pieces = cut(block, axis, memory.shapes)
    if axis in dims.names(term) or not (pieces.length is None or isinstance(pieces.length, int)):
        return None
    start = pieces.size(start)
    distance = dims.sub(dims.substitute(start, {axis: dims.add(dims.symbol(axis), 1)}), start)
    if {axis, pieces.number} & dims.names(distance):
        return None
    return Placed(load.buffer, start, term, distance, pieces.length or 0)


# --- which operand is on the left ---


def is_better_turned(memory: Memory, contract: Contract) -> bool:
    """Whether to compute the transposed product.

    So where neighbours among the results lie in memory along m, as far as the stores of the epilogue tell. But an operand that
    is scalar code, where the other is memory, stays on the right: there one packing serves many rows. And one that is read
    where it lies on the left, and would be packed by scalar code on the right, is on the left.
    """
    m, n, k = contract.m.var, contract.n.var, contract.k.var
    left, right = plain(memory, contract.left, m, k, contract.dtype), plain(memory, contract.right, k, n, contract.dtype)
    if left is not None and right is None:
        if in_panels(memory, contract.right, k, n, contract.dtype) is not None:
            return False
        through = placed_on_left(memory, contract.right, n, contract)
        return through is not None and not is_packed(through)
    if right is not None and left is None:
        through = placed_on_left(memory, contract.left, m, contract)
        if through is not None and not is_packed(through):
            return False
    return stores_along_rows(memory, contract)


def stores_along_rows(memory: Memory, contract: Contract) -> bool:
    """Whether neighbours among the results lie in memory along m."""
    for statement in contract.epilogue:
        if isinstance(statement, Store):
            place = linear(memory, statement.buffer, statement.index, contract.m.var, contract.n.var)
            if place is not None and 1 in (place.outer, place.inner):
                return place.inner != 1
    return False


def placed_on_left(memory: Memory, block: Block, axis: str, contract: Contract) -> Placed | None:
    """How an operand is read through places, were it on the left."""
    through = placed(memory, block, single_load(block, contract.dtype), axis, contract.k.var)
    return None if through is not None and 0 < through.length < FEW_NEIGHBOURS else through


def is_packed(through: Placed) -> bool:
    """Whether the library packs an operand that is read through places, were it on the right."""
    return not through.length and through.distance == 1
