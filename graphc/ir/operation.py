"""Operations: what a node does, declared once.

An operation carries its name, its type rule, its NumPy reference, its gradient rule and its lowering. Passes and
backends never ask for the name: they match on the lowering, one of the kinds below.

    Input, Variable, Constant     leaves: what a call gives, what lives on between calls, what is part of the program
    Pointwise     out[i] = a scalar expression of operand elements; which ones is a function of i
    Reduction     out[i] = elements of one operand, combined over some axes
    Contraction   out[b, m, n] = sum over k of x[b, m, k] * y[b, k, n]
    Scatter       elements of an update, combined into the places that integer operands name
    Prefix        out[i] = the elements along an axis, combined up to i
    Host          whole arrays, by the reference itself: a routine of a library, or a user's, in Python
    Collective    whole arrays exchanged with other ranks (ir/world.py), in one order on all of them
    Project       one result of an operation that has several
    Scan, While, Switch, Sized    sub-graphs: run for every step, while one of them says so, one of several, or at a size
                  that is data
    Composite     what other operations make of the operands: `expand_composites` replaces it by them
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc.errors import Where
from graphc.ir.combines import Combine
from graphc.ir.dims import Shape, Size
from graphc.ir.types import DType, TensorType, TupleType, as_dtype

if TYPE_CHECKING:
    from graphc.ir.graph import Node

Attrs = Mapping[str, Any]
Box = tuple[tuple[Size, Size], ...]  # from the first place up to the second, along each axis


@dataclass(frozen=True)
class Leaf:
    """A value that exists before anything runs: an input, a variable or a constant."""


@dataclass(frozen=True)
class Input(Leaf):
    """A value that is given: to a call, or to a body by the loop or choice around it."""


@dataclass(frozen=True)
class Variable(Leaf):
    """State: a value that lives on from call to call."""


@dataclass(frozen=True)
class Constant(Leaf):
    """The array of its attribute `value`, which is part of the program."""


@dataclass(frozen=True)
class Pointwise:
    """out[index] = body(k, index, **attrs), where k is a `Scalars` (see ir/scalar.py).

    `elementwise` says that every operand has the result's shape and is read at the result's own index. What is made of
    values read `later` alone is computed where it is needed, not where they are made. `moves` says that every element is an
    element of one operand, or 0: such a node is never stored, whatever it takes to find the element.
    """

    body: Callable[..., Any]
    elementwise: bool = False
    later: bool = False
    moves: bool = False


@dataclass(frozen=True)
class Dequantize(Pointwise):
    """out[index] = x[index] * scale[index]: floats that integers stand for. Scales are positive and finite."""


@dataclass(frozen=True)
class Reduction:
    """Combine one operand over `axes(attrs)`; what is left keeps its order.

    `combine` is one of add, mul, max, min, and, or, argmax, argmin, or declared by its code (ir/combines.py).
    """

    combine: Combine
    axes: Callable[[Attrs], tuple[int, ...]] = lambda attrs: attrs["axes"]


@dataclass(frozen=True)
class Contraction:
    """Two operands of equal batch dimensions: [..., m, k] and [..., k, n]. They are computed in the type of the result."""


@dataclass(frozen=True)
class Scatter:
    """out = base; for every index of the update, in order, out[place(k, index)] = combine(there, update[index]).

    The update is the first operand. `place` is a function like `Pointwise.body` that gives the tuple of indices. `base` is the
    operand that is there before; without one it is the neutral element. `combine` is add, mul, max, min or set.
    """

    combine: Combine
    place: Callable[..., tuple[Size, ...]]
    base: int | None = None


@dataclass(frozen=True)
class Prefix:
    """Along `axis(attrs)`, out[i] = combine(out[i - 1], x[i]); in the place of out[-1] stands the neutral element.

    `combine` is one of add, mul, max, min, logaddexp, or `recurrence` of two operands: out[i] = a[i] * out[i - 1] + b[i].
    """

    combine: Combine
    axis: Callable[[Attrs], int] = lambda attrs: attrs["axis"]


@dataclass(frozen=True)
class Lanes:
    """How a routine of small arrays becomes a kernel, in which every element of the leading axes has a lane of vectors.

    `inner` says how many of the last axes of each operand, and then of each result, belong to one element; write(k, **attrs)
    writes what happens to an element, on a `LaneCode` (ir/lanes.py). fits(*inner types, **attrs) is asked where all inner sizes
    are numbers and none is 0. Where there is a `guard`, `write` says of each element whether it is refused (`k.refuse`), and that
    operation, called with all of these booleans and the `refusal`, raises where one is true. `width` is how many lanes there are
    where they are not as many as a vector has: with 1 an element is computed alone, and its own loops become vectors. A block
    has the elements of `vectors` times as many lanes, for code that chooses which of them it takes together. Operands that are
    `shared` have no leading axes: every element sees all of them, of any size. Another operand may have leading axes of one
    element, which is then that of every one.
    """

    inner: tuple[int, ...]
    write: Callable[..., None]
    fits: Callable[..., bool]
    guard: Operation | None = None
    refusal: str = ""
    width: int | None = None
    vectors: int = 1
    shared: tuple[int, ...] = ()


@dataclass(frozen=True)
class Host:
    """Whole arrays by the operation's reference, which a compiled program calls between its kernels.

    A reference gives an array, or a tuple of them where the operation's type is a TupleType. What it raises ends the call.
    A compiled program calls `into(out, *arrays, **attrs)` instead where it is there: the same values, written into the array
    or the tuple of arrays that will hold them. They are of the right type, in row-major order, and share no memory. Where
    `threaded`, it takes the number of threads that it may use as `threads` too; its result does not depend on it. Where
    `effect`, it is called for what else it does, and gives its one operand as it is, of any shape: what is computed again for a
    gradient leaves it out, and it happens inside a loop even if its operand comes from outside. Where `lanes` fit the types, a
    compiled program has their kernel instead, and calls nothing. What only `guards` raises, or does nothing: a program that
    leaves Python goes without it.
    """

    into: Callable[..., None] | None = None
    threaded: bool = False
    effect: bool = False
    lanes: Lanes | None = None
    guards: bool = False


@dataclass(frozen=True)
class Collective:
    """A whole array exchanged with other ranks; `exchange` names how (ir/world.py).

    Its attributes are `order`, a number that says which of two collectives of a graph comes first, and `ranks`, how many take
    part; others are told to the exchange. No pass merges two, computes one twice, or changes their order on one rank alone.
    Where `passes_on`, the value is the operand's own, so nothing needs to wait for the exchange before the program ends. Where it
    `joins`, each element of the result is made of the elements at its place alone: arrays behind each other are exchanged as one
    where they have the same attribute `group`.
    """

    exchange: str
    passes_on: bool = False
    joins: bool = False


@dataclass(frozen=True)
class Project:
    """One result of an operation that has several."""


@dataclass(frozen=True)
class Scan:
    """A body, run `steps` times.

    The inputs are `carries` values, then `sequences` of which each step takes the next slice, then values that every step sees;
    those of `body` are a step's. It gives the new carries and a step's results. The operation gives the last carries and the
    results of all steps. `reverse` begins with the last step.
    """


@dataclass(frozen=True)
class While:
    """A `body`, run while `test` gives true: both of the `carries` and of values that every step sees."""


@dataclass(frozen=True)
class Switch:
    """One of `branches`, by the number that is the first input; the others are the inputs of each."""


@dataclass(frozen=True)
class Composite:
    """What expand(*inputs, **attrs) builds of other operations.

    An operation of this kind is one for the sake of its gradient: its own rule may be better than what follows from its parts.
    One with several results builds a tuple of them, or something else that has several. Where it is `partial`, there is a
    routine among those, which may raise.
    """

    expand: Callable[..., Node | tuple[Node, ...]]
    partial: bool = False


@dataclass(frozen=True)
class Sized:
    """A `body` in which the dimension that `size` names has the value of the first input; the others are the body's.

    A compiled program returns to Python to learn that size, once, and then runs the body's own program.
    """


def may_fail(lowering: Lowering) -> bool:
    """Whether an operation raises for some values, or goes on for as long as they say."""
    return isinstance(lowering, Host | Collective | While | Sized) or (isinstance(lowering, Composite) and lowering.partial)


Whole = Host | Collective | Scan | While | Switch | Sized  # what reads and makes whole arrays
Lowering = Leaf | Pointwise | Reduction | Contraction | Scatter | Prefix | Composite | Project | Whole


@dataclass(frozen=True)
class Sample:
    """Inputs and attributes with which the tests exercise an operation.

    `domain` bounds the random values of each operand; integer operands draw from its integers. `prepare` makes such arrays
    into operands that the operation is defined for, such as positive definite matrices.
    """

    shapes: tuple[Shape, ...]
    attrs: Attrs = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()  # of single operands; where empty, the walk varies them
    domain: tuple[float, float] = (-3.0, 3.0)
    prepare: Callable[..., tuple[Any, ...]] | None = None


@dataclass(frozen=True)
class Requirement:
    """A condition on sizes that is checked when a call binds them: left == right, or left >= right."""

    left: Size
    relation: str  # "==" or ">="
    right: Size
    message: str
    where: Where | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of the vocabulary; calling it builds a node.

    infer(*types, **attrs) gives the result's type or raises a GraphError; reference(*arrays, **attrs) gives the value (for
    float16 and bfloat16 it is run in float32, and its result rounded once);
    vjp(g, y, *inputs, **attrs) gives a cotangent (or None) for every input; where it is None, the operation has no
    gradient and its inputs get none. requires(*types, **attrs) lists what only the sizes of a call can show.
    masks(*inputs, **attrs) gives for every input of an operation that chooses elements the condition under which it takes one.
    partial(*inputs, **attrs): what one that only moves elements reads of its first operand: everything (False), something
    (True), or what lies between two places of each axis; its vjp applied to ones counts how often an element is read.
    level(*inputs, **attrs): the operands that must be level for the result to be; None where it is not (passes/level.py).
    root: the derivative by the first operand may be infinite where the result is 0.
    instead(g, *inputs, **attrs) gives a node of the same value, through which the cotangent g goes; None where vjp is the rule.
    every(size, *operands, **attrs) does the operation for every element of a leading axis of that size: operands and the results,
    which it gives as a list, are pairs of a node and whether it has that axis. Where it is None, the lowering says how.
    """

    name: str
    infer: Callable[..., TensorType]
    reference: Callable[..., Any]
    lowering: Lowering
    vjp: Callable[..., tuple[Node | None, ...]] | None = None
    samples: tuple[Sample, ...] = ()
    requires: Callable[..., list[Requirement]] | None = None
    masks: Callable[..., tuple[Node | None, ...]] | None = None
    partial: Callable[..., bool | Box] | None = None
    level: Callable[..., Sequence[Node] | None] | None = None
    root: bool = False
    instead: Callable[..., Node | None] | None = None
    arity: int | None = None
    doc: str = field(default="", repr=False)
    every: Callable[..., list[tuple[Any, bool]]] | None = None
    build: Callable[[Operation, tuple[Node, ...], dict[str, Any]], Node] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.name in VOCABULARY:
            raise ValueError(f"operation {self.name} is declared twice")
        VOCABULARY[self.name] = self
        module = declaring_module()
        if not module.startswith("importlib"):
            OWNERS[self.name] = module
        if not isinstance(self.lowering, Leaf | Project | Collective | Scan | While | Switch | Sized):
            object.__setattr__(self, "reference", _rounded(self.infer, self.reference))
        if self.doc:
            object.__setattr__(self, "__doc__", self.doc)

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        assert self.build is not None
        return self.build(self, inputs, attrs)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


def _rounded(infer: Callable[..., TensorType], reference: Callable[..., Any]) -> Callable[..., Any]:
    """The reference, run in float32 where operands are floats of 16 bits, and rounded once to the result's type."""

    def value(*arrays: Any, **attrs: Any) -> Any:
        if not any(a.dtype.itemsize == 2 and as_dtype(a.dtype).is_storage for a in arrays):
            return reference(*arrays, **attrs)
        types = [TensorType(as_dtype(a.dtype), a.shape) for a in arrays]
        wide = (a.astype(x.dtype.arithmetic.numpy, copy=False) for a, x in zip(arrays, types, strict=True))
        with np.errstate(all="ignore"):
            made, want = reference(*wide, **attrs), infer(*types, **attrs)
            if isinstance(want, TupleType):
                return tuple(np.asarray(m).astype(p.dtype.numpy, copy=False) for m, p in zip(made, want.parts, strict=True))
            return np.asarray(made).astype(want.dtype.numpy, copy=False)

    return value


VOCABULARY: dict[str, Operation] = {}
OWNERS: dict[str, str] = {}  # the module that declared each operation that is not graphc's


def declaring_module() -> str:
    """The name of the module that declares: of graphc's own operations importlib, which runs graphc's files."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "graphc":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__"))




def operations() -> Iterator[Operation]:
    """Every declared operation."""
    yield from VOCABULARY.values()


__all__ = [
    "VOCABULARY",
    "Attrs",
    "Box",
    "Collective",
    "Composite",
    "Constant",
    "Contraction",
    "DType",
    "Dequantize",
    "Host",
    "Input",
    "Lanes",
    "Leaf",
    "Lowering",
    "Operation",
    "Pointwise",
    "Prefix",
    "Project",
    "Reduction",
    "Requirement",
    "Sample",
    "Scan",
    "Scatter",
    "Sized",
    "Switch",
    "Variable",
    "While",
    "Whole",
    "may_fail",
    "operations",
]  # fmt: skip
