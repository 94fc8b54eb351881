"""A function of symbols for every element along an axis: vmap."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from graphc import ops
from graphc.errors import ShapeError, caller
from graphc.gradients.asking import name_of, results_of
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ops.batched import vectorize
from graphc.ops.declare import check_function, spread
from graphc.ops.tensor import Tensor, as_tensor
from graphc.ops.trees import flatten, unflatten


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """f for every element along an axis of its arguments: a function of arrays with that axis.

    f takes symbols and gives one, or nested lists, tuples and dicts of them; it is called once, on symbols without the axis.
    in_axes: the axis of every argument, or one for each; None for an argument that is the same for all. out_axes: where the
    results have it, or one for each. The number of elements may be symbolic. Operations take all elements at once, loops and
    choices too: a loop whose condition depends on the element runs until it is done for all, and a choice by the element computes
    every branch that any element takes. Only a routine of Python of the user's, `unique` and `isin` are called once for each.

    >>> import graphc as gx
    >>> a, b = gx.placeholder("a", ("n", 3), "float64"), gx.placeholder("b", (3,), "float64")
    >>> gx.vmap(lambda u, v: gx.sum(u * v), in_axes=(0, None))(a, b).eval({a: [[1, 2, 3], [4, 5, 6]], b: [1, 0, 1]})
    array([ 4., 10.])
    """
    check_function("vmap", "f", f)

    @functools.wraps(f)
    def mapped(*args: Any) -> Any:
        xs = [as_tensor(x) for x in args]
        axes = list(in_axes) if isinstance(in_axes, (list, tuple)) else [in_axes] * len(xs)
        if len(axes) != len(xs):
            raise ShapeError(f"vmap: in_axes has {len(axes)} axes for {len(xs)} arguments", where=caller())
        given: dict[Node, tuple[Tensor, bool]] = {}
        holes: list[Tensor] = []
        sizes: list[Size] = []
        for i, (x, axis) in enumerate(zip(xs, axes, strict=True)):
            if axis is not None:
                x = ops.moveaxis(x, ops.normalize_axis("vmap", axis, x.type), 0)
                sizes.append(x.shape[0])
            holes.append(ops.placeholder(f"x{i}", x.shape if axis is None else x.shape[1:], x.dtype))
            given[holes[-1]] = x, axis is not None
        if not sizes or any(n != sizes[0] for n in sizes):
            raise ShapeError(
                f"vmap needs one size along the axes of {name_of(f)}'s arguments, got {', '.join(map(str, sizes)) or 'no axis'}",
                where=caller(), hint="in_axes names the axis of every argument; None is for those that have none",
            )  # fmt: skip
        values = f(*holes)
        ys = results_of("vmap", f, flatten(values))
        places = list(out_axes) if isinstance(out_axes, (list, tuple)) else [out_axes] * len(ys)
        if len(places) != len(ys):
            raise ShapeError(f"vmap: out_axes has {len(places)} axes for {len(ys)} results", where=caller())
        made = [spread(y, sizes[0]) for y in vectorize(ys, given, sizes[0])]
        made = [ops.moveaxis(y, 0, axis) for y, axis in zip(made, places, strict=True)]
        return unflatten(values, made)

    return mapped
