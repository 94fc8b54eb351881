"""What ranks exchange, as operations of a graph.

Every rank declares the same exchanges in the same order, and each happens in that order in every call of the compiled program, as
long as an output or an update needs its result. Types and shapes are the same on all ranks. The gradient is that of the sum, over
all ranks, of what each of them differentiates.
"""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.errors import InputError, caller
from graphc.ir.types import as_dtype
from graphc.ir.world import world
from graphc.ops.collectives import (
    all_gather_,
    all_reduce_,
    all_to_all_,
    barrier_,
    broadcast_,
    facts,
    number_of_group,
    receive_,
    reduce_,
    reduce_scatter_,
    send_,
)  # fmt: skip
from graphc.ops.declare import normalize_axis, normalize_integer
from graphc.ops.tensor import Tensor, TensorLike, as_tensor
from graphc.ops.trees import flatten, unflatten

COMBINES = ("sum", "mean", "max", "min")


def all_reduce(x: Any, combine: str = "sum") -> Any:
    """x of all ranks as one: their sum, mean, max or min, element by element; the same on every rank, and of x's shape.

    x may be a list, tuple or dict of symbols, as the gradients of all weights are: what is given back has the same form, and the
    last of them go first, so that an exchange begins while others are still to be made; small ones go together.

    Sums are of x's type (of booleans int64), means of floats. Floats of 16 bits are added in float32. The order of a sum is
    MPI's: it is the same in every run with as many ranks, and another with more. The largest and the smallest are taken of all
    values, which every rank gathers: NaN where one is NaN; their gradient goes evenly to those that are equal.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,), "float64")
    >>> f = gx.compile([x], gx.distributed.all_reduce({"mean": x, "of sums": gx.sum(x)}, "mean"))
    >>> f([1.0, 2.0, 3.0])
    {'mean': array([1., 2., 3.]), 'of sums': array(6.)}
    """
    if combine not in COMBINES:
        raise InputError(f"all_reduce: combine must be one of {', '.join(COMBINES)}, got {combine!r}", where=caller())
    leaves = flatten(x) if isinstance(x, (list, tuple, dict)) else []
    if not any(isinstance(leaf, Tensor) for leaf in leaves):
        return _all_reduced(as_tensor(x), combine, {})
    group = {"group": number_of_group()}
    made = [_all_reduced(as_tensor(leaf), combine, group) for leaf in reversed(leaves)]
    return unflatten(x, made[::-1])


def _all_reduced(x: Tensor, combine: str, group: dict[str, int]) -> Tensor:
    if combine in ("max", "min"):
        return (ops.max if combine == "max" else ops.min)(all_gather(ops.expand_dims(x, axis=0)), axis=0)
    total = _summed(all_reduce_, x, **group)
    if combine == "sum":
        return total
    mean = ops.divide(ops.astype(total, total.dtype.arithmetic), world().size)
    return ops.astype(mean, x.dtype) if x.dtype.is_float else mean


def all_gather(x: TensorLike, axis: int = 0) -> Tensor:
    """x of all ranks one after another along an axis, in the order of ranks: that axis is `size()` times as long.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 2))
    >>> gx.distributed.all_gather(x, axis=1).shape
    (n, 2)
    """
    x = as_tensor(x)
    axis = normalize_axis("all_gather", axis, x.type)
    return _at_front(all_gather_, x, axis)


def reduce_scatter(x: TensorLike, axis: int = 0) -> Tensor:
    """This rank's of `size()` equal parts, along an axis, of the sum of x over all ranks.

    The axis must have a multiple of `size()` elements: ShapeError else, as it is declared or as it is called.

    >>> import graphc as gx
    >>> gx.distributed.reduce_scatter(gx.placeholder("x", (4, 2))).shape
    (4, 2)
    """
    x = as_tensor(x)
    axis = normalize_axis("reduce_scatter", axis, x.type)
    return _at_front(reduce_scatter_, x, axis, added=True)


def all_to_all(x: TensorLike, axis: int = 0) -> Tensor:
    """Part r of x, of `size()` equal parts along an axis, goes to rank r: what comes, in the order of ranks, has x's shape.

    The axis must have a multiple of `size()` elements: ShapeError else, as it is declared or as it is called.

    >>> import graphc as gx
    >>> gx.distributed.all_to_all(gx.placeholder("x", (4, 2))).shape
    (4, 2)
    """
    x = as_tensor(x)
    axis = normalize_axis("all_to_all", axis, x.type)
    return _at_front(all_to_all_, x, axis)


def broadcast(x: TensorLike, root: int = 0) -> Tensor:
    """The x of rank `root`, on all ranks.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,))
    >>> gx.compile([x], gx.distributed.broadcast(x))([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    return broadcast_(as_tensor(x), root=_rank("broadcast", "root", root), **facts())


def reduce(x: TensorLike, root: int = 0) -> Tensor:
    """The sum of x over all ranks on rank `root`, and 0 on the others: of x's shape, and of the type that `all_reduce` gives it.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,))
    >>> gx.compile([x], gx.distributed.reduce(x))([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    return _summed(reduce_, as_tensor(x), root=_rank("reduce", "root", root))


def send(x: TensorLike, to: int, tag: int = 0) -> Tensor:
    """x, which goes to rank `to` as well when a program computes it: what is given back must be part of an output or an update.

    Rank `to` takes it by `receive` with this rank as its source, and with the same tag. A cotangent comes back the same way:
    where x is differentiated, rank `to` must send the cotangent of what it received, with the same tag.

        if rank() == 0:
            loss = 0 * gx.sum(send(h, to=1))           # its own loss is 0: the gradient comes from rank 1
        else:
            h = receive((8,), "float32", source=0)
            loss = gx.sum(h * h)
            back = send(gx.grad(loss, h), to=0)        # an output of the compiled program

    Raises InputError where `to` is no other rank.
    """
    return send_(as_tensor(x), to=_other("send", "to", to), tag=_tag("send", tag), **facts())


def receive(shape: Any, dtype: Any, source: int, tag: int = 0) -> Tensor:
    """What rank `source` sends with this tag: an array of this shape and type, which must be those of what is sent.

    It reads nothing, so nothing has a gradient through it: see `send`. Raises InputError where `source` is no other rank.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    kind = ops.zeros(sizes, as_dtype(dtype))  # checks both
    return receive_(
        shape=kind.shape, dtype=kind.dtype, source=_other("receive", "source", source), tag=_tag("receive", tag), **facts()
    )  # fmt: skip


def barrier(x: TensorLike = 0) -> Tensor:
    """x, once every rank has come as far: what is given back must be part of an output or an update.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,))
    >>> gx.compile([x], gx.distributed.barrier(x))([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    return barrier_(as_tensor(x), **facts())


def _at_front(op: Any, x: Tensor, axis: int, added: bool = False) -> Tensor:
    """An operation on the first axis, on another one."""
    moved = ops.moveaxis(x, axis, 0) if axis else x
    made: Tensor = _summed(op, moved) if added else op(moved, **facts())
    return ops.moveaxis(made, 0, axis) if axis else made


def _summed(op: Any, x: Tensor, **attrs: Any) -> Tensor:
    """A sum over ranks: of booleans as int64, of floats of 16 bits in float32."""
    wide = ops.astype(x, "int64" if x.dtype.is_bool else x.dtype.arithmetic)
    made: Tensor = op(wide, **attrs, **facts())
    return made if x.dtype.is_bool else ops.astype(made, x.dtype)


def _rank(name: str, what: str, value: int) -> int:
    number = normalize_integer(name, what, value)
    here = world()
    if not 0 <= number < here.size:
        raise InputError(
            f"{name}: {what} must be one of {here.size} ranks, got {number}", where=caller(), hint="they count from 0"
        )  # fmt: skip
    return number


def _other(name: str, what: str, value: int) -> int:
    number = _rank(name, what, value)
    if number == world().rank:
        raise InputError(
            f"{name}: {what} must be another rank, got {number} on rank {number}", where=caller(),
            hint="what a rank has it need not send",
        )  # fmt: skip
    return number


def _tag(name: str, value: int) -> int:
    tag = normalize_integer(name, "tag", value)
    if not 0 <= tag < 2**15:
        raise InputError(f"{name}: tag must be from 0 to 32767, got {tag}", where=caller(), hint="MPI promises no larger ones")
    return tag


__all__ = [
    "all_gather", "all_reduce", "all_to_all", "barrier", "broadcast", "receive", "reduce", "reduce_scatter", "send",
]  # fmt: skip
