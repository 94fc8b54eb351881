"""Gradients as users ask for them: grad, vjp, jvp, jacobian, hessian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from graphc import ops
from graphc.errors import GradientError, ShapeError, caller
from graphc.ir.graph import Graph, Node, rebuild
from graphc.ops.tensor import Tensor, TensorLike, as_tensor
from graphc.passes.differentiate import differentiate


def _check(name: str, what: str, tensors: Sequence[Any]) -> None:
    for x in tensors:
        if not isinstance(x, Tensor):
            raise GradientError(f"{name}: {what} must be a symbol, got {type(x).__name__}", where=caller())
        if not x.dtype.is_float:
            raise GradientError(
                f"{name}: {what} must be of floats, got {x.type}",
                where=caller(),
                hint="astype('float32') first: only floats have gradients",
            )


def _pull(cotangents: dict[Node, Node], wrt: Sequence[Tensor]) -> list[Tensor]:
    found = differentiate(cotangents, wrt)
    return [ops.zeros_like(x) if g is None else g for x, g in zip(wrt, found, strict=True)]  # type: ignore[misc]


@overload
def grad(y: Tensor, wrt: Tensor) -> Tensor: ...
@overload
def grad(y: Tensor, wrt: Sequence[Tensor]) -> list[Tensor]: ...
def grad(y: Tensor, wrt: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
    """The gradient of a scalar with respect to one symbol, or a list of them for a list.

    y: a float of shape []; wrt: float symbols of any shape, inputs, variables or intermediate values. A symbol that y does not
    depend on has zeros. Raises GradientError for integers and for y with axes.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,), "float64")
    >>> gx.grad(gx.sum(x ** 2), x).eval({x: [1.0, 2.0, 3.0]})
    array([2., 4., 6.])
    """
    single = isinstance(wrt, Tensor)
    targets: list[Tensor] = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    _check("grad", "the value", [y])
    _check("grad", "what to differentiate by", targets)
    if y.ndim:
        raise GradientError(f"grad needs a scalar, got {y.type}", where=caller(), hint="sum it, or use gx.vjp or gx.jacobian")
    found = _pull({y: ops.ones_like(y)}, targets)
    return found[0] if single else found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def vjp(outputs: Any, inputs: Any, cotangents: Any) -> Any:
    """Cotangents of `inputs` for given cotangents of `outputs`: the vector-Jacobian product.

    Each cotangent has its output's type. A list of inputs gives a list.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.vjp(x * x, x, [1.0, 10.0]).eval({x: [3.0, 4.0]})
    array([ 6., 80.])
    """
    ys, xs, gs = _listed(outputs), _listed(inputs), _listed(cotangents) if isinstance(outputs, (list, tuple)) else [cotangents]
    _check("vjp", "an output", ys)
    _check("vjp", "an input", xs)
    _count("vjp", "outputs", ys, "cotangents", gs)
    seeds: dict[Node, Node] = {}
    for y, g in zip(ys, gs, strict=True):
        seed = _fit("vjp", y, g)
        seeds[y] = seeds[y] + seed if y in seeds else seed  # type: ignore[operator]
    found = _pull(seeds, xs)
    return found if isinstance(inputs, (list, tuple)) else found[0]


def _count(name: str, what: str, xs: Sequence[Any], other: str, ys: Sequence[Any]) -> None:
    if len(xs) != len(ys):
        raise GradientError(f"{name} needs as many {other} as {what}, got {len(ys)} and {len(xs)}", where=caller())


def _fit(name: str, like: Tensor, value: TensorLike) -> Tensor:
    made = ops.astype(as_tensor(value, like.dtype), like.dtype)
    try:
        return ops.broadcast_to(made, like.shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: {made.type} does not fit {like.type}", where=caller(), hint="it must broadcast to that shape"
        ) from None


def jvp(outputs: Any, inputs: Any, tangents: Any) -> Any:
    """Tangents of `outputs` for given tangents of `inputs`: the Jacobian-vector product (forward mode).

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.jvp(gx.sum(x * x), x, [1.0, 0.0]).eval({x: [3.0, 4.0]})
    array(6.)
    """
    ys, xs = _listed(outputs), _listed(inputs)
    vs = _listed(tangents) if isinstance(inputs, (list, tuple)) else [tangents]
    _check("jvp", "an output", ys)
    _check("jvp", "an input", xs)
    _count("jvp", "inputs", xs, "tangents", vs)
    found = []
    for y in ys:
        probe: Tensor = ops.placeholder("probe", y.shape, y.dtype)  # J^T u is linear in u: its own cotangent is J v
        pulled = differentiate({y: probe}, xs)
        seeds: dict[Node, Node] = {}
        for x, g, v in zip(xs, pulled, vs, strict=True):
            if g is not None:
                seeds[g] = seeds[g] + _fit("jvp", x, v) if g in seeds else _fit("jvp", x, v)  # type: ignore[operator]
        (pushed,) = _pull(seeds, [probe])
        found.append(_replace(pushed, probe, ops.zeros_like(y)))
    return found if isinstance(outputs, (list, tuple)) else found[0]


def _replace(y: Tensor, old: Node, new: Node) -> Tensor:
    return rebuild(Graph((), (y,)), lambda n: new if n is old else n).outputs[0]  # type: ignore[return-value]


def jacobian(y: Tensor, x: Tensor) -> Tensor:
    """All derivatives of y's elements by x's: shape y.shape + x.shape. y must have a fixed size: one backward pass an element.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.jacobian(x * x, x).eval({x: [3.0, 4.0]})
    array([[6., 0.],
           [0., 8.]])
    """
    _check("jacobian", "the value", [y])
    _check("jacobian", "what to differentiate by", [x])
    if not isinstance(y.size, int):
        raise GradientError(f"jacobian needs a value of fixed size, got {y.type}", where=caller(), hint="use gx.vjp or gx.jvp")
    flat = ops.reshape(y, (-1,)) if y.size else y
    rows = [grad(flat[i], x) for i in range(y.size)]
    if not rows:
        return ops.zeros((*y.shape, *x.shape), x.dtype)
    return ops.reshape(ops.stack(rows), (*y.shape, *x.shape))


def hessian(y: Tensor, x: Tensor) -> Tensor:
    """All second derivatives of a scalar: shape x.shape + x.shape, x of fixed size.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.hessian(x[0] ** 2 * x[1], x).eval({x: [3.0, 4.0]})
    array([[8., 6.],
           [6., 0.]])
    """
    return jacobian(grad(y, x), x)
