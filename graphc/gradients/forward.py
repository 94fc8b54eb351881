"""Forwards from inputs: jvp and hvp; and all derivatives at once, by the shorter of both ways."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.gradients.asking import as_list, check, check_count, fit
from graphc.gradients.reverse import grad, pull
from graphc.ir.graph import Node, on_inputs, substitute
from graphc.ops.batched import vectorize
from graphc.ops.declare import spread
from graphc.ops.tensor import Tensor
from graphc.passes.differentiate import differentiate


def jvp(outputs: Any, inputs: Any, tangents: Any) -> Any:
    """Tangents of `outputs` for given tangents of `inputs`: the Jacobian-vector product (forward mode).

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.jvp(gx.sum(x * x), x, [1.0, 0.0]).eval({x: [3.0, 4.0]})
    array(6.)
    """
    ys, xs = as_list(outputs), as_list(inputs)
    vs = as_list(tangents) if isinstance(inputs, (list, tuple)) else [tangents]
    check("jvp", "an output", ys)
    check("jvp", "an input", xs)
    check_count("jvp", "inputs", xs, "tangents", vs)
    found = []
    for y in ys:
        probe: Tensor = ops.placeholder("probe", y.shape, y.dtype)  # J^T u is linear in u: its own cotangent is J v
        pulled = differentiate({y: probe}, xs)
        seeds: dict[Node, Node] = {}
        for x, g, v in zip(xs, pulled, vs, strict=True):
            if g is not None:
                seeds[g] = seeds[g] + fit("jvp", x, v) if g in seeds else fit("jvp", x, v)  # type: ignore[operator]
        (pushed,) = pull("jvp", seeds, [probe])
        found.append(_replace(pushed, probe, ops.zeros_like(y)))
    return found if isinstance(outputs, (list, tuple)) else found[0]


def _replace(y: Tensor, old: Node, new: Node) -> Tensor:
    return substitute([y], {old: new}, on_inputs)[0]  # type: ignore[return-value]


def hvp(y: Tensor, inputs: Any, tangents: Any) -> Any:
    """The Hessian of a scalar times a vector, without the Hessian: forward mode over the gradient.

    y: a float of shape []. Tangents have the types of the inputs; a list of inputs gives a list.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.hvp(x[0] ** 2 * x[1], x, [1.0, 0.0]).eval({x: [3.0, 4.0]})
    array([8., 6.])
    """
    return jvp(grad(y, inputs), inputs, tangents)


def jacobian(y: Tensor, x: Tensor, unconnected: str | None = None) -> Tensor:
    """All derivatives of y's elements by x's: shape y.shape + x.shape.

    One pass for all: backwards for every element of y at once or, where x is smaller, forwards for every element of x.
    unconnected: see `grad`.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.jacobian(x * x, x).eval({x: [3.0, 4.0]})
    array([[6., 0.],
           [0., 8.]])
    """
    check("jacobian", "the value", [y])
    check("jacobian", "what to differentiate by", [x])
    forwards = isinstance(x.size, int) and isinstance(y.size, int) and x.size < y.size
    seed_of = x if forwards else y
    probe = ops.placeholder("probe", seed_of.shape, seed_of.dtype)
    if forwards:
        pull("jacobian", {y: ops.ones_like(y)}, [x], unconnected)  # whether they are connected
    made = jvp(y, x, probe) if forwards else pull("jacobian", {y: probe}, [x], unconnected)[0]
    count = seed_of.size
    (row,) = vectorize([made], {probe: (_units(seed_of), True)}, count)
    rows = ops.reshape(spread(row, count), (*seed_of.shape, *made.shape))
    if not forwards:
        return rows
    order = (*range(x.ndim, x.ndim + y.ndim), *range(x.ndim))
    return ops.permute_dims(rows, order)


def _units(x: Tensor) -> Tensor:
    """For every element of x, an array like x that is 1 there and 0 elsewhere."""
    place = ops.arange(x.size)
    units = ops.astype(ops.expand_dims(place, 1) == place, x.dtype)
    return ops.reshape(units, (x.size, *x.shape))


def hessian(y: Tensor, x: Tensor, unconnected: str | None = None) -> Tensor:
    """All second derivatives of a scalar: shape x.shape + x.shape. unconnected: see `grad`; y may be linear in x.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.hessian(x[0] ** 2 * x[1], x).eval({x: [3.0, 4.0]})
    array([[8., 6.],
           [6., 0.]])
    """
    return jacobian(grad(y, x, unconnected), x, "zero")
