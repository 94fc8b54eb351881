"""Which elements of a value a result is made of: what a choice did not take, and what nothing reads, has a gradient of zero.

    %1 = log(%x)                      %3 = where(%c, %g, 0)       cotangent of %1
    %2 = where(%c, %1, %b)     =>     %4 = divide(%3, %x)         0 / 0 where %x is 0 and %c false
                                      %5 = where(%c, %4, 0)       cotangent of %x

A rule multiplies a cotangent by derivatives, and zero times infinity is no number. So `differentiate` carries the condition of
a choice along with the cotangents that come from it, and writes it again behind the rules that multiplied. Conditions follow
the data: unchanged through single elements, moved and broadcast as the elements are, through products of matrices where they
do not differ along what is summed. Beyond that (a data-dependent choice among the elements of a product of matrices) they end.
Where an operation reads some elements (a slice, a diagonal, places named by data), its own rule says which: applied to ones, it
counts how often each is read.

A condition is made when a rule needs it, so that a choice costs nothing where nothing is multiplied.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from graphc.ir import combines, dims
from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.ir.operation import VOCABULARY, Box, Contraction, Pointwise, Prefix, Reduction, Scatter
from graphc.ir.types import bool_
from graphc.passes.domains import axis_names
from graphc.passes.trace import trace

_MANY = 100  # boxes that are looked at together
_DEPTH = 40  # operations on conditions that are looked through for axes along which they do not differ


class Mask:
    """The elements of a value that a result is made of: a boolean node of the value's shape, made when first asked for.

    `boxes` hold them, where they are known to fill boxes.
    """

    __slots__ = ("boxes", "givens", "made", "make")

    def __init__(self, make: Callable[..., Node], *givens: Mask, boxes: tuple[Box, ...] = ()) -> None:
        self.make = make
        self.givens = givens
        self.made: Node | None = None
        self.boxes = boxes

    @property
    def node(self) -> Node:
        todo = [self]
        while todo:
            top = todo[-1]
            waiting = [given for given in top.givens if given.made is None]
            if top.made is None and not waiting:
                top.made = top.make(*(given.made for given in top.givens))
            todo += waiting
            if top.made is not None:
                todo.pop()
        assert self.made is not None
        return self.made


class Conditions:
    """The conditions of one differentiation; equal ones are one object."""

    def __init__(self) -> None:
        self.all = cache(lambda node: Mask(lambda: node))
        self.both = cache(self._both)
        self.either = cache(lambda a, b: Mask(VOCABULARY["logical_or"], a, b))
        self.before = cache(self._before)
        self.read = cache(self._read)
        self.varying: dict[Node, frozenset[int]] = {}

    @staticmethod
    def _both(a: Mask, b: Mask) -> Mask:
        return a if a is b else Mask(VOCABULARY["logical_and"], a, b)

    def join(self, a: Mask | None, b: Mask | None, shape: Shape) -> Mask | None:
        """What a sum of two cotangents of a shape is made of; None is everything."""
        if a is None or b is None:
            return None
        if a is b:
            return a
        made = self.either(a, b)
        if a.boxes and b.boxes:
            made.boxes = _filled((*a.boxes, *b.boxes))
            if made.boxes == (tuple((0, n) for n in shape),):
                return None
        return made

    def _read(self, node: Node, operand: int) -> Mask | None:
        """What a node that moves elements reads of an operand; None is everything."""
        reads = False if node.op.partial is None else node.op.partial(*node.inputs, **node.attrs)
        if reads is False:
            return None
        ones = partial(VOCABULARY["full"], shape=node.type.shape, value=True, dtype=bool_)
        return Mask(lambda: _moved_back(ones(), node, operand), boxes=() if reads is True else (reads,))

    def _before(self, mask: Mask, node: Node, operand: int) -> Mask | None:
        """What is taken of a node's operand, given what is taken of the node."""
        given = node.inputs[operand]
        match node.op.lowering:
            case Pointwise(elementwise=True):
                return mask
            case Pointwise() if _moves(node):
                return Mask(lambda c: _moved_back(c, node, operand), mask)
            case _ if node.op.partial is not None:
                return Mask(lambda c: _moved_back(c, node, operand), mask)
            case Scatter(combine=combines.ADD) | Prefix(combine=combines.ADD):
                return Mask(lambda c: _moved_back(c, node, operand), mask)
            case Reduction(axes=axes):
                kept = tuple(1 if a in axes(node.attrs) else n for a, n in enumerate(given.type.shape))
                return Mask(lambda c: _stretch(VOCABULARY["reshape"](c, shape=kept), given.type.shape), mask)
            case Contraction() if not node.attrs and node.type.rank == given.type.rank:
                axis = node.type.rank - 1 - operand  # of the result, which the operand does not have
                if axis not in _varies(mask.node, _DEPTH, self.varying):
                    return Mask(lambda c: _stretch(_first(c, axis), given.type.shape), mask)
        return None


def select(mask: Mask, value: Node) -> Node:
    """The value where it is taken, and zero."""
    zero = VOCABULARY["full"](shape=value.type.shape, value=0.0, dtype=value.type.dtype)
    result: Node = VOCABULARY["where"](mask.node, value, zero)
    return result


def _filled(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """The same elements in fewer boxes: two that touch along one axis, and are equal along the others, become one."""
    found: list[Box] = []
    for box in boxes[:_MANY]:
        todo = box
        while (other := next((o for o in found if _touch(o, todo)), None)) is not None:
            found.remove(other)
            todo = tuple(
                (p if dims.is_nonnegative(dims.sub(r, p)) else r, s if dims.is_nonnegative(dims.sub(s, q)) else q)
                for (p, q), (r, s) in zip(other, todo, strict=True)
            )
        found.append(todo)
    return tuple(found) if len(boxes) <= _MANY else ()


def _touch(a: Box, b: Box) -> bool:
    apart = [(one, two) for one, two in zip(a, b, strict=True) if one != two]
    if not apart:
        return True
    (p, q), (r, s) = apart[0]
    return len(apart) == 1 and all(dims.is_nonnegative(n) for n in (dims.sub(s, p), dims.sub(q, r)))


def _moved_back(condition: Node, node: Node, operand: int) -> Node:
    """Where something of the operand is taken: the rule of what only moves elements adds up how often."""
    assert node.op.vjp is not None
    count = VOCABULARY["astype"](condition, dtype=node.type.dtype)
    part = node.op.vjp(count, node, *node.inputs, **node.attrs)[operand]
    assert part is not None
    result: Node = VOCABULARY["astype"](part, dtype=bool_)
    return result


def _stretch(condition: Node, shape: Shape) -> Node:
    return condition if condition.type.shape == shape else VOCABULARY["broadcast_to"](condition, shape=shape)


def _first(condition: Node, axis: int) -> Node:
    """A condition that does not differ along an axis, with that axis of size 1."""
    shape = condition.type.shape
    kept = (*shape[:axis], 1, *shape[axis + 1 :])
    if isinstance(shape[axis], int) and shape[axis]:
        result: Node = VOCABULARY["slice"](condition, start=(0,) * len(shape), step=(1,) * len(shape), size=kept)
        return result
    result = VOCABULARY["reshape"](VOCABULARY["any"](condition, axes=(axis,)), shape=kept)  # a size may turn out to be 0
    return result


# --- what the code of an element does ---------------------------------------------------------------------------------


def _moves(node: Node) -> bool:
    """Whether every element of a node is an element of an operand, or a constant."""
    if not isinstance(node.op.lowering, Pointwise):
        return False
    return not any(step.dtype.is_float and step.op != "select" for step in trace(node).steps)


def _varies(node: Node, depth: int, varying: dict[Node, frozenset[int]]) -> frozenset[int]:
    """The axes along which a condition may differ; `varying` are those known."""
    found = varying.get(node)
    if found is None:
        found = frozenset(range(node.type.rank))
        if isinstance(node.op.lowering, Pointwise) and depth:
            code = trace(node)
            loaded = (given.at[a] for given in code.loads for a in _varies(given.node, depth - 1, varying))
            names = dims.names(*(step.at for step in code.steps), *loaded)
            found = frozenset(a for a, name in enumerate(axis_names(node.type.rank)) if dims.names(name) & names)
        varying[node] = found
    return found
