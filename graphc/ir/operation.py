"""Operations: what a node does, declared once.

An operation carries its name, its type rule, its NumPy reference, its gradient rule and its lowering. Passes and
backends never ask for the name: they match on the lowering, one of the kinds below.

    Leaf          an input, a variable or a constant: a value that exists before anything runs
    Pointwise     out[i] = a scalar expression of operand elements; which ones is a function of i
    Reduction     out[i] = elements of one operand, combined over some axes
    Contraction   out[b, m, n] = sum over k of x[b, m, k] * y[b, k, n]
    Scatter       elements of an update, combined into the places that integer operands name
    Composite     what other operations make of the operands: `expand_composites` replaces it by them
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphc.ir.dims import Shape, Size
from graphc.ir.types import DType, TensorType

if TYPE_CHECKING:
    from graphc.ir.graph import Node

Attrs = Mapping[str, Any]


@dataclass(frozen=True)
class Leaf:
    """A value that exists before anything runs."""


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
class Reduction:
    """Combine one operand over `axes(attrs)`; what is left keeps its order.

    `combine` is one of add, mul, max, min, and, or, argmax, argmin.
    """

    combine: str
    axes: Callable[[Attrs], tuple[int, ...]] = lambda attrs: attrs["axes"]


@dataclass(frozen=True)
class Contraction:
    """Two operands of equal batch dimensions: [..., m, k] and [..., k, n]."""


@dataclass(frozen=True)
class Scatter:
    """out = zeros; for every index of the update, out[place(k, index)] = combine(there, update[index]).

    The update is the first operand. `place` is a function like `Pointwise.body` that gives the tuple of indices.
    """

    combine: str
    place: Callable[..., tuple[Size, ...]]


@dataclass(frozen=True)
class Composite:
    """What expand(*inputs, **attrs) builds of other operations.

    An operation of this kind is one for the sake of its gradient: its own rule may be better than what follows from its parts.
    """

    expand: Callable[..., Node]


Lowering = Leaf | Pointwise | Reduction | Contraction | Scatter | Composite


@dataclass(frozen=True)
class Sample:
    """Inputs and attributes with which the tests exercise an operation.

    `domain` bounds the random values of each operand; integer operands draw from its integers.
    """

    shapes: tuple[Shape, ...]
    attrs: Attrs = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()  # of single operands; where empty, the walk varies them
    domain: tuple[float, float] = (-3.0, 3.0)


@dataclass(frozen=True)
class Requirement:
    """A condition on sizes that is checked when a call binds them: left == right, or left >= right."""

    left: Size
    relation: str  # "==" or ">="
    right: Size
    message: str


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of the vocabulary; calling it builds a node.

    infer(*types, **attrs) gives the result's type or raises a GraphError; reference(*arrays, **attrs) gives the value;
    vjp(g, y, *inputs, **attrs) gives a cotangent (or None) for every input; where it is None, the operation has no
    gradient and its inputs get none. requires(*types, **attrs) lists what only the sizes of a call can show.
    """

    name: str
    infer: Callable[..., TensorType]
    reference: Callable[..., Any]
    lowering: Lowering
    vjp: Callable[..., tuple[Node | None, ...]] | None = None
    samples: tuple[Sample, ...] = ()
    requires: Callable[..., list[Requirement]] | None = None
    arity: int | None = None
    doc: str = field(default="", repr=False)
    build: Callable[[Operation, tuple[Node, ...], dict[str, Any]], Node] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.name in VOCABULARY:
            raise ValueError(f"operation {self.name} is declared twice")
        VOCABULARY[self.name] = self
        if self.doc:
            object.__setattr__(self, "__doc__", self.doc)

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        assert self.build is not None
        return self.build(self, inputs, attrs)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


VOCABULARY: dict[str, Operation] = {}


def operations() -> Iterator[Operation]:
    """Every declared operation."""
    yield from VOCABULARY.values()


__all__ = [
    "VOCABULARY", "Attrs", "Composite", "Contraction", "DType", "Leaf", "Lowering", "Operation", "Pointwise", "Reduction",
    "Requirement", "Sample", "Scatter", "operations",
]  # fmt: skip
