"""Loops over steps: scan, and map, which carries nothing."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt
from typing import Any

from graphc import ops
from graphc.control.bodies import closed, effects, leaf_of, same_form, symbols
from graphc.control.steps import scan_
from graphc.errors import InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import births
from graphc.ir.types import TensorType
from graphc.ops.declare import as_option, check_flag, check_function, normalize_integer, results
from graphc.ops.trees import Tree, flatten, unflatten

Step = Callable[[Any, Any], tuple[Any, Any]]

def scan(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Tree, xs: Tree = None, length: Any = None, reverse: bool = False,
    unroll: int = 1, checkpoint: bool | int = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Carry a value through steps: carry, y = f(carry, x) for every x along the first axis of `xs`.

    f: called with symbols, once where steps are neither unrolled nor in segments. init: the first carry. xs: what the steps go
    over. Both, and what f gives, are symbols and numbers in nested tuples, lists and dicts; None is no value. length: the number
    of steps where xs is None: an integer or a size. reverse: begin with the last step; each y still stands at its x. unroll:
    steps that are written out in the loop's body (fixed lengths only). checkpoint: for a gradient in little memory. It keeps what
    every so many steps began with, and runs the steps between again; True takes the root of a fixed number of steps, so that both
    are few. Gives the last carry and the ys, stacked along a new first axis.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float64")
    >>> total, sums = gx.scan(lambda carry, x: (carry + x, carry + x), 0.0, x)
    >>> sums.eval({x: [1.0, 2.0, 3.0]})
    array([1., 3., 6.])
    """
    check_function("scan", "the body", f)
    init, xs = symbols("scan", init), symbols("scan", xs)
    check_flag("scan", "reverse", reverse)
    unroll = normalize_integer("scan", "unroll", unroll)
    checkpoint = as_option(checkpoint)
    checkpoint = checkpoint if isinstance(checkpoint, bool) else normalize_integer("scan", "checkpoint", checkpoint)
    steps = _steps(xs, length)
    if unroll > 1 and isinstance(steps, int):
        return _in_groups(_unrolled(f, xs, unroll, reverse), f, init, xs, steps, unroll, reverse)
    if checkpoint:
        size = _segment(checkpoint, steps)
        segment = lambda carry, given: scan(f, carry, given, length=size, reverse=reverse)
        return _in_groups(segment, f, init, xs, steps, size, reverse)
    carries = [leaf_of(f"carry{i}", x.type) for i, x in enumerate(flatten(init))]
    slices = [leaf_of(f"x{i}", TensorType(x.dtype, x.shape[1:])) for i, x in enumerate(flatten(xs))]
    with births() as born:
        found = f(unflatten(init, carries), unflatten(xs, slices))
    if not isinstance(found, tuple) or len(found) != 2:
        raise InputError(
            f"scan: the body must give (carry, y), got {type(found).__name__}", where=caller(),
            hint="give None for y where there is none",
        )  # fmt: skip
    ys = symbols("scan", found[1])
    outputs = [*same_form("scan", "the carry", init, found[0]), *flatten(ys)]
    (body,), outer = closed([outputs], [[*carries, *slices]], effects(born))
    made = list(results(scan_(
        *flatten(init), *flatten(xs), *outer, body=body, carries=len(carries), sequences=len(slices), steps=steps,
        reverse=bool(reverse),
    )))  # fmt: skip
    return unflatten(init, made[: len(carries)]), unflatten(ys, made[len(carries) :])


def _steps(xs: Tree, length: Any) -> Size:
    steps: Size | None = None if length is None else t.as_size(length)
    for x in flatten(xs):
        if not x.ndim:
            raise ShapeError(f"scan over {x.type}", where=caller(), hint="a sequence has its steps along its first axis")
        if steps is not None and x.shape[0] != steps:
            raise ShapeError(
                f"scan: {x.type} has {x.shape[0]} steps, not {steps}", where=caller(), hint="all sequences are equally long"
            )
        steps = x.shape[0]
    if steps is None:
        raise InputError("scan: no sequence, and no length", where=caller(), hint="give xs or length")
    if isinstance(steps, int) and steps < 0:
        raise ShapeError(f"scan: length cannot be {steps}", where=caller())
    return steps


def _segment(checkpoint: bool | int, steps: Size) -> int:
    """How many steps a segment has."""
    if checkpoint is True:
        if not isinstance(steps, int):
            raise InputError(
                f"scan: checkpoint=True of {steps} steps", where=caller(), hint="say how many steps a segment has: checkpoint=100"
            )
        return max(1, ceil(sqrt(steps)))
    if checkpoint < 1:
        raise InputError(f"scan: checkpoint={checkpoint}", where=caller(), hint="a segment has at least one step")
    return checkpoint


def _unrolled(f: Step, xs: Tree, size: int, reverse: bool) -> Step:
    """Some steps as one, without a loop."""

    def group(carry: Any, given: Any) -> Any:
        ys: list[Any] = [None] * size
        for i in reversed(range(size)) if reverse else range(size):
            carry, ys[i] = f(carry, unflatten(xs, [x[i] for x in flatten(given)]))
        return carry, unflatten(ys[0], [ops.stack(list(parts)) for parts in zip(*(flatten(y) for y in ys), strict=True)])

    return group


def _in_groups(group: Step, f: Step, init: Tree, xs: Tree, steps: Size, size: int, reverse: bool) -> tuple[Any, Any]:
    """A scan over groups of steps, and one over the steps that are left."""
    count = dims.floordiv(steps, size)
    whole = dims.mul(count, size)
    left = dims.sub(steps, whole)

    def part(x: Any, start: Size, length: Size) -> Any:
        ones = (1,) * x.ndim
        return ops.slice_(x, start=(start, *(0,) * (x.ndim - 1)), step=ones, size=(length, *x.shape[1:]))

    def split(x: Any) -> Any:
        return ops.reshape(part(x, 0, whole), (count, size, *x.shape[1:]))

    def groups(carry: Any) -> tuple[Any, Any]:
        return scan(group, carry, _each(xs, split), length=count, reverse=reverse)

    def rest(carry: Any) -> tuple[Any, Any]:
        return scan(f, carry, _each(xs, lambda x: part(x, whole, left)), length=left, reverse=reverse)

    if reverse:
        carry, tail = rest(init)
        carry, head = groups(carry)
    else:
        carry, head = groups(init)
        carry, tail = rest(carry)
    ys = [
        ops.concat([ops.reshape(a, (whole, *a.shape[2:])), b], axis=0) for a, b in zip(flatten(head), flatten(tail), strict=True)
    ]
    return carry, unflatten(tail, ys)


def _each(tree: Tree, change: Callable[[Any], Any]) -> Tree:
    return unflatten(tree, [change(x) for x in flatten(tree)])


def map(f: Callable[[Any], Any], xs: Tree) -> Any:
    """f of every slice along the first axis of `xs`, stacked. The steps are independent, so threads share them.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 2), "float64")
    >>> gx.map(lambda row: gx.sum(row), x).eval({x: [[1.0, 2.0], [3.0, 4.0]]})
    array([3., 7.])
    """
    check_function("map", "f", f)
    return scan(lambda carry, x: (None, f(x)), None, xs)[1]
