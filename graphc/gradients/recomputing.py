"""Values that are computed again for the gradient instead of being kept: checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from graphc import ops
from graphc.gradients.asking import name_of, results_of
from graphc.ir.graph import Node, has_effect, origin, substitute, topological
from graphc.ops.custom import GradientRule, after, with_gradient
from graphc.ops.declare import check_function
from graphc.ops.tensor import Tensor, as_tensor
from graphc.passes.differentiate import differentiate


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, whose inner values are computed again for the gradient instead of being kept for it.

    f takes symbols and gives one, or a list or tuple of them; variables and symbols that it reads besides have gradients as
    ever. What is kept are its arguments. Values do not change by a bit. (`rematerialize` does this by itself for values that are
    cheap to compute again; products of matrices and reductions are computed again only by this.)

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float64")
    >>> block = gx.checkpoint(lambda x: gx.sin(gx.sin(x)))
    >>> gx.grad(gx.sum(block(x)), x).eval({x: [0.0]})
    array([1.])
    """
    check_function("checkpoint", "f", f)

    @functools.wraps(f)
    def made(*args: Any) -> Any:
        xs = [as_tensor(x) for x in args]
        holes = [ops.placeholder(f"x{i}", x.shape, x.dtype) for i, x in enumerate(xs)]
        values = f(*holes)
        ys = results_of("checkpoint", f, values)
        outside = _read_from_outside(ys, holes)
        own = [ops.placeholder(f"y{i}", x.shape, x.dtype) for i, x in enumerate(outside)]
        inner = _substitute(ys, dict(zip(outside, own, strict=True)))
        found = [_recomputed(y, holes, own, [*xs, *outside], name_of(f)) for y in inner]
        return type(values)(found) if isinstance(values, (list, tuple)) else found[0]

    return made


def _read_from_outside(ys: Sequence[Tensor], holes: Sequence[Tensor]) -> list[Tensor]:
    """The floats that do not depend on the holes and are read by what does: constants apart."""
    inside: set[Node] = set(holes)
    found: dict[Node, None] = {}
    for node in topological(ys):
        if any(i in inside for i in node.inputs):
            inside.add(node)
            found.update({i: None for i in node.inputs if i not in inside and "value" not in i.attrs and i.type.dtype.is_float})
    return list(found)  # type: ignore[arg-type]


def _recomputed(y: Tensor, holes: Sequence[Tensor], own: Sequence[Tensor], given: Sequence[Tensor], name: str) -> Tensor:
    """y with `given` in place of holes and own; for its gradient the values that depend on the holes are computed again."""
    every = [*holes, *own]

    def again(g: Tensor, *xs: Tensor) -> Tensor:
        new: dict[Node, Node] = dict(zip(every, xs, strict=True))
        new.update({hole: after(x, g) for hole, x in zip(holes, xs, strict=False)})
        return _substitute([y], new, gradient=True)[0]

    def rule(g: Tensor, *xs: Tensor) -> list[Any]:  # for `batched`, which asks for no more
        apart = [ops.placeholder(f"x{i}", x.shape, x.dtype) for i, x in enumerate(xs)]
        parts = differentiate({again(g, *apart): g}, apart)
        made = iter(_substitute([p for p in parts if p is not None], dict(zip(apart, xs, strict=True)), gradient=True))
        return [None if p is None else next(made) for p in parts]

    (value,) = _substitute([y], dict(zip(every, given, strict=True)))
    return with_gradient(value, *given, rule=GradientRule(name, rule, again))


def _substitute(roots: Iterable[Node], new: Mapping[Node, Node], gradient: bool = False) -> list[Tensor]:
    """The roots with other nodes in place of some; what is built anew is on the gradient side if `gradient` says so."""

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if gradient and has_effect(node):
            return inputs[0]  # it happens where the value is computed first
        if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            return node
        with origin(node.where, gradient or node.gradient, node.forward or (node.op if gradient else None)):
            made: Node = node.op(*inputs, **node.attrs)
            return made

    made: list[Any] = substitute(roots, dict[Node, Node](new), change)
    return made
