"""Where float64 enters a computation of narrower floats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphc.compile import Compiled
from graphc.errors import InputError, Where, caller
from graphc.ir.graph import subgraphs, topological
from graphc.ir.types import TensorType
from graphc.ops.promotion import Promoted
from graphc.ops.tensor import Tensor


@dataclass(frozen=True)
class Promotion:
    """An operand that became float64 because of what stood beside it.

    operation  the name of what reads it
    operand    its type before
    beside     the types that were the reason
    where      the user's line
    """

    operation: str
    operand: TensorType
    beside: tuple[TensorType, ...]
    where: Where | None

    def __str__(self) -> str:
        text = f"{self.operation}: {self.operand} became float64 beside {' and '.join(map(str, self.beside))}"
        return text if self.where is None else f"{text}   {self.where}"


class Promotions(tuple[Promotion, ...]):
    """Promotions in the order of the computation; printed, a line for each."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "nothing became float64 by promotion"

    __repr__ = __str__


def promotions(f: Compiled | Tensor | Iterable[Tensor]) -> Promotions:
    """Every place where promotion made float64 of a narrower float; casts that were asked for are not among them.

    f: what gx.compile gives, a symbol or several. The first place is where float64 entered; others follow from it most often.
    InputError for anything else.

    >>> import graphc as gx, warnings
    >>> x = gx.placeholder("x", ("n",), "float32")
    >>> with warnings.catch_warnings(action="ignore"):
    ...     y = x * gx.linspace(0, 1, x.shape[0])
    >>> [(p.operation, str(p.operand), *map(str, p.beside)) for p in gx.debug.promotions(y)]
    [('multiply', 'f32[n]', 'f64[n]')]
    """
    if isinstance(f, Compiled):
        declared = f.declared
        roots: list[Any] = list(declared.roots)
    else:
        roots = [f] if isinstance(f, Tensor) else list(f) if isinstance(f, Iterable) else [f]
        if not all(isinstance(x, Tensor) for x in roots):
            raise InputError(
                f"promotions: {type(f).__name__} is no symbol", where=caller(), hint="give a symbol, or what gx.compile gives"
            )
    found: list[Promotion] = []
    todo = [roots]
    while todo:
        for node in topological(todo.pop(0)):
            if isinstance(node, Promoted) and not node.gradient:
                found.append(Promotion(node.reader, node.inputs[0].type, node.beside, node.where))
            todo += [list(graph.outputs) for graph in subgraphs(node)]
    return Promotions(found)
