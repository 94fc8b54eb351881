"""Values whose gradient is a rule of the user's, and values that are computed again after the cotangent has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.errors import GradientError
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.operation import Pointwise, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import TensorType
from graphc.ops.declare import Op, build
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]


class GradientRule(str):
    """A gradient rule: function(g, *xs) gives a cotangent, or None, for every x. It prints as its name.

    Where there is `again`, again(g, *xs) gives the value once more, and its gradient is the one to take.
    What is parsed from text has the name alone: it runs, but has no gradient any more.
    """

    function: Callable[..., Sequence[Tensor | None]]
    again: Callable[..., Tensor] | None

    def __new__(
        cls, name: str, function: Callable[..., Sequence[Tensor | None]], again: Callable[..., Tensor] | None = None
    ) -> GradientRule:
        made = super().__new__(cls, name)
        made.function, made.again = function, again
        return made


def _body(k: Scalars, index: tuple[Size, ...], rule: str) -> Any:
    return k.load(0, index)


def _type(y: TensorType, *xs: TensorType, rule: str) -> TensorType:
    return y


def _vjp(g: Tensor, y: Tensor, given: Tensor, *xs: Tensor, rule: str) -> tuple[Node | None, ...]:
    if not isinstance(rule, GradientRule):
        raise GradientError(f"the gradient rule {rule} is not known", where=y.where, hint="text keeps only the names of rules")
    return (None, *rule.function(g, *xs))


def _instead(g: Tensor, y: Tensor, *xs: Tensor, rule: str) -> Node | None:
    return rule.again(g, *xs) if isinstance(rule, GradientRule) and rule.again is not None else None


with_gradient = Op(
    "with_gradient", _type, lambda y, *xs, rule: np.array(y), Pointwise(_body), _vjp,
    (
        Sample(((3, 4), (2,)), {"rule": GradientRule("none", lambda g, x: (None,))}),
        Sample(((2,), (2,)), {"rule": GradientRule("straight_through", lambda g, x: (g,))}),
    ),
    instead=_instead, build=build,
    doc="y, whose cotangent goes by a rule to the operands after it: `custom_gradient` and `checkpoint` write it.",
)  # fmt: skip

after = Op(
    "after", lambda x, g: x, lambda x, g: np.array(x), Pointwise(lambda k, index: k.load(0, index), later=True),
    lambda g, y, x, first: (g, None), (Sample(((3, 4), (2,))),), arity=2, build=build,
    doc="x, for code that is to run after the second operand is there: `checkpoint` writes it, so that nothing waits in memory.",
)  # fmt: skip
