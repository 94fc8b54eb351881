"""Code for many small arrays at once: each has a lane of every vector.

    k = LaneCode(...)                          scratch a: f32[3, 3, 16]
    a = k.fetch(0)                             for lane < 16 { for i < 3 { for j < 3 { a[i, j, lane] = x0[..., i, j] } } }
    with k.loop(3) as i, k.lanes():       =>   for i < 3 {
        k.put(a, 2 * k.get(a, i, i), i, i)       for lane < 16 { a[i, i, lane] = 2 * a[i, i, lane] }
    k.give(0, a)                               }

Arrays are scratch whose last axis is the lane, so that what happens to one element of an array is one vector's work. Values live
within one loop over lanes; what a loop stores into an array it loads from there at no other place, or the loop is no vectors.
Lanes behind the last element compute the last element once more, and give nothing. A block may have more elements than lanes, and
arrays of its own (`memory`), with which code chooses what goes into lanes together: ops/sampling.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.operation import Host, Lanes
from graphc.ir.program import Axis, Load, Loop, Param, Scratch, Statement, Store
from graphc.ir.scalar import Arg, Let, Ref, Scalars, Value
from graphc.ir.types import DType, TensorType, TupleType


def lanes_of(node: Node) -> Lanes | None:
    """The lanes of a node's lowering, if they fit its types."""
    lowering = node.op.lowering
    if not isinstance(lowering, Host) or lowering.lanes is None:
        return None
    lanes = lowering.lanes
    types = [
        x.type if i in lanes.shared else _inner(x.type, rank)
        for i, (x, rank) in enumerate(zip(node.inputs, lanes.inner, strict=False))
    ]
    results = [_inner(kind, rank) for kind, rank in zip(_parts(node.type), lanes.inner[len(types) :], strict=True)]
    own = [kind for i, kind in enumerate(types) if i not in lanes.shared]
    if not all(isinstance(n, int) and n > 0 for kind in (*own, *results) for n in kind.shape):
        return None
    return lanes if lanes.fits(*types, **node.attrs) else None


def _parts(kind: TensorType) -> tuple[TensorType, ...]:
    return kind.parts if isinstance(kind, TupleType) else (kind,)


def _inner(kind: TensorType, rank: int) -> TensorType:
    return TensorType(kind.dtype, kind.shape[len(kind.shape) - rank :])


class LaneCode(Scalars):
    """The `k` of what is written for lanes: arrays, loops, and the scalar code of one element of the leading axes."""

    def __init__(self, node: Node, lanes: Lanes, width: int, fused: bool, taken: Iterable[str]) -> None:
        given = [x.type for x in node.inputs]
        types = [*given, *_parts(node.type)]
        rank = len(types[len(given)].shape) - lanes.inner[len(given)]
        self.count = dims.product(types[len(given)].shape[:rank])  # how many elements there are

        def shape(at: int, kind: TensorType) -> tuple[Size, ...]:
            if at in lanes.shared:
                return kind.shape
            return (dims.product(kind.shape[:rank]), *_inner(kind, lanes.inner[at]).shape)

        self.params = [
            Param(f"{letter}{i}", TensorType(kind.dtype, shape(at, kind)), mode)
            for at, (letter, i, mode, kind) in enumerate(
                (*(("x", i, "in", kind) for i, kind in enumerate(given)),
                 *(("y", i, "out", kind) for i, kind in enumerate(_parts(node.type))))
            )
        ]  # fmt: skip
        if lanes.guard is not None:
            self.params.append(Param("bad", TensorType(t.bool_, (self.count,)), "out"))
        whole = {f"x{i}" for i in lanes.shared}
        self.types = {p.name: p.type if p.name in whole else TensorType(p.type.dtype, p.type.shape[1:]) for p in self.params}
        self._counts = {p.name: p.type.shape[0] for p in self.params if p.name not in whole}
        if isinstance(self.count, int) and lanes.vectors == 1:
            width = min(width, 1 << max(0, self.count - 1).bit_length())
        self.width, self.fused, self.vectors = width, fused, lanes.vectors
        self.scratch: list[Scratch] = []
        self._taken, self._count = set(taken), 0
        self._bodies: list[list[Statement]] = [[]]
        self._block, self._lane = self._variable("block"), self._variable("lane")

    # --- arrays and loops ---

    def local(self, dtype: DType, *shape: int) -> str:
        """A new array for each lane; what it holds is undefined."""
        name = f"s{len(self.scratch)}"
        self.scratch.append(Scratch(name, dtype, (*(shape or (1,)), self.width)))
        self.types[name] = TensorType(dtype, shape)
        return name

    @contextmanager
    def loop(self, stop: Size, start: Size = 0) -> Iterator[Size]:
        """for i in start .. stop"""
        var = self._variable("i")
        self._bodies.append([])
        yield dims.symbol(var)
        body = tuple(self._bodies.pop())
        self._bodies[-1].append(Loop(var, stop, body, start))

    @contextmanager
    def lanes(self) -> Iterator[None]:
        """For every lane, also of those behind the last element."""
        with self._over_lanes(self.width):
            yield

    @contextmanager
    def elements(self) -> Iterator[None]:
        """For every lane that has an element: what `give` needs."""
        left = dims.sub(self.count, dims.mul(dims.symbol(self._block), self.width))
        with self._over_lanes(self.width if self._even else dims.minimum(left, self.width)):
            yield

    @contextmanager
    def _over_lanes(self, stop: Size) -> Iterator[None]:
        self._bodies.append([])
        yield
        body = tuple(self._bodies.pop())
        self._bodies[-1].append(Loop(self._lane, stop, body))

    # --- elements ---

    def get(self, array: str, *index: Size) -> Value:
        """The element of a local array, in this lane."""
        return self._load(array, (*(index or (0,)), dims.symbol(self._lane)))

    def put(self, array: str, value: Value, *index: Size) -> None:
        """Set an element of a local array, in this lane."""
        self._bodies[-1].append(Store(array, (*(index or (0,)), dims.symbol(self._lane)), value.arg))

    def given(self, operand: int, *index: Size) -> Value:
        """The element of an operand, for the element of this lane; of the last one, where there are no more."""
        return self.element(operand, self._element, *index)

    def element(self, operand: int, place: Size, *index: Size) -> Value:
        """The element of an operand, for the element at a place; for the last one, where there are no more."""
        one = self._counts[f"x{operand}"] == 1
        if not (self._even and place == self._element):
            place = dims.minimum(place, dims.sub(self.count, 1))
        return self._load(f"x{operand}", (0 if one else place, *index))

    def whole(self, operand: int, *index: Size) -> Value:
        """The element of an operand that is shared."""
        return self._load(f"x{operand}", index)

    def give(self, result: int, value: Value, *index: Size) -> None:
        """Set the element of a result, for the element of this lane."""
        place = 0 if self.count == 1 else self._element  # then no code depends on how large an element is
        self._bodies[-1].append(Store(f"y{result}", (place, *index), value.arg))

    def refuse(self, bad: Value) -> None:
        """Whether the element of this lane is one that the guard refuses."""
        self._bodies[-1].append(Store("bad", (self._element,), bad.arg))

    def fetch(self, operand: int) -> str:
        """A whole operand as a local array."""
        kind = self.types[f"x{operand}"]
        array = self.local(kind.dtype, *self._sizes(kind))
        with self.lanes():
            self._each(self._sizes(kind), lambda index: self.put(array, self.given(operand, *index), *index))
        return array

    def hand(self, result: int, array: str) -> None:
        """A local array as a whole result."""
        with self.elements():
            self._each(self._sizes(self.types[array]), lambda index: self.give(result, self.get(array, *index), *index))

    def less_product(self, x: Value, a: Value, b: Value) -> Value:
        """x - a * b, rounded once where the processor does that in one instruction."""
        return self.fma(-a, b, x) if self.fused else x - a * b

    # --- what a block has once ---

    def memory(self, dtype: DType, size: int = 1) -> str:
        """A new array of the whole block, of one axis; of one element it is a register. What it holds is undefined."""
        name = f"s{len(self.scratch)}"
        self.scratch.append(Scratch(name, dtype, (size,)))
        self.types[name] = TensorType(dtype, (size,))
        return name

    def read(self, array: str, *index: Size) -> Value:
        """The element of any array of the block; the lane is the last index of a local one."""
        return self._load(array, index or (0,))

    def write(self, array: str, value: Value, *index: Size) -> None:
        """Set an element of any array of the block."""
        self._bodies[-1].append(Store(array, index or (0,), value.arg))

    def deliver(self, result: int, value: Value, place: Size) -> None:
        """Set the element of a result at a place."""
        self._bodies[-1].append(Store(f"y{result}", (place,), value.arg))

    @property
    def first(self) -> Size:
        """The place of the block's first element."""
        return dims.mul(dims.symbol(self._block), self.width * self.vectors)

    @property
    def here(self) -> Size:
        """How many elements the block has."""
        return dims.minimum(dims.sub(self.count, self.first), self.width * self.vectors)

    @property
    def lane(self) -> Size:
        """The number of a lane, within a loop over them."""
        return dims.symbol(self._lane)

    def size(self, operand: int, axis: int) -> int:
        """The size of an inner axis of an operand."""
        return self._sizes(self.types[f"x{operand}"])[axis]

    # --- the kernel ---

    @property
    def body(self) -> tuple[Statement, ...]:
        (body,) = self._bodies
        return tuple(body)

    @property
    def parallel(self) -> Axis:
        """The loop over blocks of as many elements as there are lanes."""
        block = self.width * self.vectors
        return Axis(self._block, dims.floordiv(dims.add(self.count, block - 1), block))

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        name = self._name()
        self._bodies[-1].append(Let(name, dtype, op, args, index))
        return Ref(name, dtype)

    # --- names ---

    @property
    def place(self) -> Size:
        """The place of the element of this lane; of the last one, where there are no more."""
        return dims.minimum(self._element, dims.sub(self.count, 1))

    @property
    def _even(self) -> bool:
        """Whether every lane has an element."""
        return isinstance(self.count, int) and self.count % self.width == 0

    @property
    def _element(self) -> Size:
        return dims.add(dims.mul(dims.symbol(self._block), self.width), dims.symbol(self._lane))

    def _each(self, sizes: Sequence[int], inside: object) -> None:
        assert callable(inside)
        if not sizes:
            inside(())
            return
        with self.loop(sizes[0]) as i:
            self._each(sizes[1:], lambda index: inside((i, *index)))

    @staticmethod
    def _sizes(kind: TensorType) -> tuple[int, ...]:
        return tuple(n for n in kind.shape if isinstance(n, int))

    def _load(self, buffer: str, index: tuple[Size, ...]) -> Value:
        name, dtype = self._name(), self.types[buffer].dtype
        self._bodies[-1].append(Load(name, dtype, buffer, index))
        return Value(self, Ref(name, dtype))

    def _name(self) -> str:
        self._count += 1
        return str(self._count - 1)

    def _variable(self, name: str) -> str:
        found, number = name, 0
        while found in self._taken:
            number += 1
            found = f"{name}{number}"
        self._taken.add(found)
        return found


__all__ = ["LaneCode", "lanes_of"]
