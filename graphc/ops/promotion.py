"""Where promotion makes float64 of a narrower float: casts that know it, and a warning where float64 enters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.errors import PromotionWarning
from graphc.ir import types as t
from graphc.ir.graph import Node, current_origin
from graphc.ir.operation import Leaf
from graphc.ir.types import TensorType
from graphc.ops.tensor import Tensor

_FAR = 1000  # nodes among which an earlier promotion is looked for
_registries: dict[str, dict[Any, Any]] = {}  # of warnings that were given, by file


class Promoted(Tensor):
    """A cast to float64 that promotion has written: of an operand of the operation `reader`, because of `beside`."""

    __slots__ = ("beside", "reader")
    __hash__ = Tensor.__hash__
    reader: str
    beside: tuple[TensorType, ...]

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        new = super().with_inputs(inputs)
        return _marked(new, self.reader, self.beside) if isinstance(new, Tensor) and new is not self else new


def _marked(x: Tensor, reader: str, beside: tuple[TensorType, ...]) -> Promoted:
    made = Promoted(x.op, x.inputs, x.attrs, x.type, x.where, x.gradient, x.forward, x.number)
    object.__setattr__(made, "reader", reader)
    object.__setattr__(made, "beside", beside)
    return made


def promoted(name: str, x: Tensor, operands: Sequence[Tensor], spreads: bool) -> Tensor:
    """x, a narrower float, as float64 because of other operands; with a warning if the result is float64 and x has a shape."""
    others = [o for o in operands if o.dtype == t.float64 or not o.dtype.is_float]
    made = _marked(ops.astype(x, t.float64), name, tuple(o.type for o in others))
    filled = x.op.arity == 0 and not isinstance(x.op.lowering, Leaf)  # with a number that was written: no computation
    if spreads and not filled and not made.gradient and not any(map(_follows, others)):
        _warn(name, x, others)
    return made


def _follows(x: Tensor) -> bool:
    """Whether a float64 comes from a promotion itself."""
    seen: set[Node] = {x}
    todo: list[Node] = [x]
    while todo and len(seen) < _FAR:
        node = todo.pop()
        if isinstance(node, Promoted):
            return True
        new = [i for i in node.inputs if i.type.dtype == t.float64 and i not in seen]
        seen.update(new)
        todo += new
    return False


def _warn(name: str, x: Tensor, others: Sequence[Tensor]) -> None:
    if any(o.dtype == t.float64 and not o.shape and o.op.arity == 0 for o in others):
        hint = "float(number) gives way to the array's type, as Python's numbers do"
    elif any(o.dtype == t.float64 for o in others):
        hint = f"astype({x.dtype.name!r}) what is float64, or astype('float64') the other operand if that is meant"
    else:
        hint = f"astype({x.dtype.name!r}) the integers"
    beside = " and ".join(str(o.type) for o in others)
    text = f"float64 enters a {x.dtype} computation: {name} of {x.type} beside {beside}"
    text += f"\n  hint: {hint}; gx.debug.promotions lists all places"
    where = current_origin().where
    file, line = (where.file, where.line) if where else ("graphc", 0)
    warnings.warn_explicit(text, PromotionWarning, file, line, registry=_registries.setdefault(file, {}))
