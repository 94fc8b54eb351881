"""Arrays exchanged with other ranks: what `graphc.distributed` is made of.

Each is a node with a number: `order` says which of two comes first, on all ranks alike. The gradient is that of the sum over all
ranks of what each of them differentiates: what a rank has given to others comes back to it from all of them.

    all_reduce  <->  itself          all_gather  <->  reduce_scatter        all_to_all  <->  itself
    broadcast   <->  reduce          send        <->  receive
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Collective, Requirement, Sample
from graphc.ir.types import DType, TensorType
from graphc.ir.world import world
from graphc.ops.declare import Op, Spread, build, spread
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
Vjp = Callable[..., tuple[Node | None, ...]]
_NUMBERS = itertools.count()
_GROUPS = itertools.count()


def facts() -> dict[str, int]:
    """The attributes that every collective has: its number, and how many ranks take part."""
    return {"order": next(_NUMBERS), "ranks": world().size}


def number_of_group() -> int:
    """A number for exchanges that are declared together: none of them is made of another."""
    return next(_GROUPS)


def _again(ranks: int) -> dict[str, int]:
    """Those of a collective in a gradient."""
    return {"order": next(_NUMBERS), "ranks": ranks}


# --- types -----------------------------------------------------------------------------------------------------------


def _same(x: TensorType, **attrs: Any) -> TensorType:
    return x


def _summed(name: str) -> Callable[..., TensorType]:
    """The type of a sum over ranks, of types that MPI adds."""

    def infer(x: TensorType, ranks: int, **attrs: Any) -> TensorType:
        if x.dtype.is_bool or x.dtype.is_storage:
            raise DTypeError(f"{name} adds numbers of 32 and 64 bits and integers, got {x}", hint="astype to one of these")
        return _part(name, x, ranks) if name == "reduce_scatter" else x

    return infer


def _part(name: str, x: TensorType, ranks: int) -> TensorType:
    """The type of one of n equal parts along the first axis."""
    _check_rank(name, x)
    first = x.shape[0]
    if isinstance(first, int) and first % ranks:
        raise ShapeError(
            f"{name} needs as many elements along its axis as go evenly to {ranks} ranks, got {x}", hint="pad it to a multiple"
        )
    return TensorType(x.dtype, (dims.floordiv(first, ranks), *x.shape[1:]))


def _check_rank(name: str, x: TensorType) -> None:
    if x.rank == 0:
        raise ShapeError(f"{name} needs an axis, got {x}", hint="give it one: x[None]")


def _gathered(x: TensorType, ranks: int, **attrs: Any) -> TensorType:
    _check_rank("all_gather", x)
    return TensorType(x.dtype, (dims.mul(x.shape[0], ranks), *x.shape[1:]))


def _exchanged(x: TensorType, ranks: int, **attrs: Any) -> TensorType:
    _part("all_to_all", x, ranks)
    return x


def _even(name: str) -> Callable[..., list[Requirement]]:
    def requires(x: TensorType, ranks: int, **attrs: Any) -> list[Requirement]:
        first: Size = x.shape[0]
        if isinstance(first, int):
            return []
        message = f"{name} needs as many elements along its axis as go evenly to {ranks} ranks, got {x}"
        return [Requirement(dims.mul(dims.floordiv(first, ranks), ranks), "==", first, message)]

    return requires


# --- a leading axis ----------------------------------------------------------------------------------------------------


def _as_it_is(op: str) -> Callable[..., list[Spread]]:
    def every(size: Size, x: Spread, **attrs: Any) -> list[Spread]:
        return [(_OPS[op](x[0], **attrs), x[1])]

    return every


def _behind(op: str) -> Callable[..., list[Spread]]:
    """The leading axis goes behind the one that ranks share."""

    def every(size: Size, x: Spread, **attrs: Any) -> list[Spread]:
        return [(ops.moveaxis(_OPS[op](ops.moveaxis(spread(x, size), 0, 1), **attrs), 1, 0), True)]

    return every


# --- the operations --------------------------------------------------------------------------------------------------


def _collective(
    name: str, infer: Callable[..., TensorType], vjp: Vjp | None, doc: str, *, arity: int = 1, passes_on: bool = False,
    example: tuple[int, ...] = (4, 3), requires: Callable[..., list[Requirement]] | None = None, shared: bool = False,
    joins: bool = False, **told: Any,
) -> Op:  # fmt: skip
    """Declare one. `shared`: ranks share the first axis. `told` are attributes beside its number, as samples have them."""

    def reference(*arrays: Array, order: int, ranks: int, **attrs: Any) -> Array:
        here = world()
        here.check(ranks, name)
        attrs.pop("group", None)
        x = arrays[0] if arrays else np.zeros(attrs.pop("shape"), attrs.pop("dtype").numpy)
        return here.exchange(name, x, name, order, **attrs)

    sample = Sample((example,) * arity, {**told, "order": 0, "ranks": 1})
    every = None if not arity else _behind(name) if shared else _as_it_is(name)
    made = Op(
        name, infer, reference, Collective(name, passes_on, joins), vjp, (sample,), requires, arity=arity, every=every,
        build=build, doc=doc,
    )  # fmt: skip
    _OPS[name] = made
    return made


_OPS: dict[str, Op] = {}

all_reduce_: Op = _collective(
    "all_reduce", _summed("all_reduce"), lambda g, y, x, ranks, **attrs: (all_reduce_(g, **_again(ranks)),),
    "The sum of x over all ranks; those of one `group` may go together.", joins=True,
)  # fmt: skip
all_gather_: Op = _collective(
    "all_gather", _gathered, lambda g, y, x, order, ranks: (_added(reduce_scatter_, g, ranks),),
    "The x of all ranks, one after another along the first axis.", shared=True,
)  # fmt: skip
reduce_scatter_: Op = _collective(
    "reduce_scatter", _summed("reduce_scatter"), lambda g, y, x, order, ranks: (all_gather_(g, **_again(ranks)),),
    "One of as many equal parts of the sum of x over all ranks as there are, along the first axis.", shared=True,
    requires=_even("reduce_scatter"),
)  # fmt: skip
all_to_all_: Op = _collective(
    "all_to_all", _exchanged, lambda g, y, x, order, ranks: (all_to_all_(g, **_again(ranks)),),
    "Of the x of every rank the part that is this rank's, one after another along the first axis.", shared=True,
    requires=_even("all_to_all"),
)  # fmt: skip
broadcast_: Op = _collective(
    "broadcast", _same, lambda g, y, x, root, order, ranks: (_added(reduce_, g, ranks, root=root),), "The x of one rank.", root=0
)  # fmt: skip
reduce_: Op = _collective(
    "reduce", _summed("reduce"), lambda g, y, x, root, order, ranks: (broadcast_(g, root=root, **_again(ranks)),),
    "The sum of x over all ranks on one of them, 0 on the others.", root=0,
)  # fmt: skip
send_: Op = _collective(
    "send", _same, lambda g, y, x, to, tag, order, ranks: (_returned(g, to, tag, ranks),),
    "x, which another rank is sent too.", passes_on=True, to=0, tag=0,
)  # fmt: skip
barrier_: Op = _collective(
    "barrier", _same, lambda g, y, x, order, ranks: (g,), "x, when every rank has come as far."
)  # fmt: skip


def _received(shape: Shape, dtype: DType, **attrs: Any) -> TensorType:
    return TensorType(dtype, shape)


receive_: Op = _collective(
    "receive", _received, None, "What another rank sends.", arity=0, shape=(), dtype=t.float32, source=0, tag=0
)  # fmt: skip


def _added(op: Op, g: Tensor, ranks: int, **attrs: Any) -> Tensor:
    """A sum over ranks of cotangents, in float32 where theirs is a type that MPI does not add."""
    return ops.astype(op(ops.astype(g, g.dtype.arithmetic), **attrs, **_again(ranks)), g.dtype)


def _returned(g: Tensor, to: int, tag: int, ranks: int) -> Tensor:
    """What a sent value counts for here, and what it counts for where it was sent."""
    return g + receive_(shape=g.shape, dtype=g.dtype, source=to, tag=tag, **_again(ranks))
