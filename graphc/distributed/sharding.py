"""An optimiser whose state is divided among ranks (stage 1 of Rajbhandari et al. 2020, "ZeRO", arXiv:1910.02054).

    gradients, on every rank  --own segment-->  optimiser  -->  own segment of new weights  --all_gather-->  all new weights

Weights of one type lie one after another in a vector, of which each rank has one of as many equal segments: it keeps moments for
these elements alone. That is right for optimisers that treat each element by itself, and changes no bit of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

import graphc as gx
from graphc import Tensor, Variable
from graphc.distributed.collectives import all_gather
from graphc.distributed.host import gathered
from graphc.distributed.vectors import apart, buckets, joined, number_of, segment, surrogate
from graphc.ir.world import world

Array = np.ndarray[Any, Any]
Updates = Mapping[Variable, Tensor]
_PARTS: WeakValueDictionary[int, Variable] = WeakValueDictionary()  # by identity: what stands for segments of weights
_COUNTS: dict[int, int] = {}  # of each, how many elements all ranks have
_WHOLE = (gx.optim.lamb, gx.optim.lbfgs)  # which look at norms and products of whole weights


def zero(optimizer: Callable[..., Updates]) -> Callable[..., dict[Variable, Tensor]]:
    """An optimiser that keeps its state for a part of the weights on each rank, and takes the steps that it takes without.

    optimizer: a function (loss, variables, **options) -> updates, as those of `gx.optim` are, that treats each element by
    itself: all but `lamb` and `lbfgs`. The result is called, and given to models, in its place. The loss is the same on every
    rank. A limit of the gradients' norm is one of `Model.compile`, or of the loss's gradients before: clip_norm here is refused.

    >>> import graphc as gx
    >>> w = gx.variable([3.0, 4.0], name="w")
    >>> updates = gx.distributed.zero(gx.optim.sgd)(gx.sum(w * w), [w], lr=0.25)
    >>> gx.compile([], [], updates)()
    []
    >>> w.value
    array([1.5, 2. ])
    """
    if optimizer in _WHOLE:
        raise gx.errors.InputError(
            f"zero: {optimizer.__name__} looks at whole weights, of which a rank has a part", where=gx.errors.caller(),
            hint="adam and others that treat each element by itself",
        )  # fmt: skip
    known: dict[tuple[Variable, ...], Variable] = {}

    @wraps(optimizer)
    def own_part(loss: Tensor, variables: Sequence[Variable], **options: Any) -> dict[Variable, Tensor]:
        if options.get("clip_norm") is not None:
            raise gx.errors.InputError(
                "zero: a rank has a part of the gradients, and clip_norm limits the norm of all", where=gx.errors.caller(),
                hint="Model.compile(clip_norm=), or gx.optim.clip_by_global_norm before",
            )  # fmt: skip
        variables = gx.ops.listed("zero", "variables", variables)
        gradients = gx.grad(loss, list(variables), options.get("unconnected"))
        places = buckets([v.type for v in variables])
        weights = [_segment([variables[i] for i in those]) for those in places]
        slopes = [_segment([gradients[i] for i in those]) for those in places]
        parts = [_part(known, [variables[i] for i in those]) for those in places]
        found = optimizer(surrogate(parts, slopes), parts, **options)
        instead: dict[Any, Any] = dict(zip(parts, weights, strict=True))
        values: list[Any] = gx.ir.graph.substitute(found.values(), instead, gx.ir.graph.on_inputs)
        made: dict[Variable, Tensor] = dict(zip(found, values, strict=True))
        for part, those in zip(parts, places, strict=True):
            whole = all_gather(made.pop(part))
            made.update(zip([variables[i] for i in those], apart(whole, [variables[i].shape for i in those]), strict=True))
        return made

    return own_part


def _segment(values: Sequence[Tensor]) -> Tensor:
    """This rank's segment of values that lie one after another."""
    here, whole = world(), joined(values)
    here.is_asked = True
    count = number_of(whole.shape[0])
    length = segment(count)
    padded = gx.pad(whole, (0, here.size * length - count))
    return padded[here.rank * length : (here.rank + 1) * length]


def _part(known: dict[tuple[Variable, ...], Variable], variables: Sequence[Variable]) -> Variable:
    """The variable that stands for a segment while the optimiser looks at it, and whose state there is; it holds no weights."""
    key = tuple(variables)
    if key not in known:
        count = sum(number_of(v.size) for v in variables)
        zeros = np.broadcast_to(np.zeros((), variables[0].dtype.numpy), (segment(count),))
        known[key] = gx.variable(zeros, name=f"{variables[0].name}...{variables[-1].name}")
        _PARTS[id(known[key])], _COUNTS[id(known[key])] = known[key], count
    return known[key]


def is_part(v: Variable) -> bool:
    """Whether a variable has another value on each rank: the state of a segment, but for counters of steps."""
    return v.owner is not None and _PARTS.get(id(v.owner)) is v.owner and v.ndim == 1


def all_of(v: Variable) -> Array:
    """What all ranks have of a segment's state, in one vector; every rank asks for it."""
    return gathered(v.value).reshape(-1)[: count_of(v)]


def count_of(v: Variable) -> int:
    """The number of elements that all ranks have together of a segment's state."""
    return _COUNTS[id(v.owner)]


def part_of(v: Variable) -> Array:
    """What this rank has of a segment's state, without the elements that only fill it up."""
    value = v.value
    return value[: max(0, count_of(v) - world().rank * len(value))]


def own_of(v: Variable, whole: Any) -> Array:
    """This rank's segment of all elements, on any number of ranks; a slice of `whole` is an array."""
    length = number_of(v.shape[0])
    start = world().rank * length
    found = np.zeros(length, v.dtype.numpy)
    mine = whole[start : start + length]
    found[: len(mine)] = mine
    return found


def shape_of_all(v: Variable) -> tuple[Any, ...]:
    """The shape of what all ranks have of a variable."""
    return (count_of(v),) if is_part(v) else v.shape
