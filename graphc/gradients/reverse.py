"""Backwards from results: grad, value_and_grad and vjp."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, overload

from graphc import ops
from graphc.errors import GradientError, GraphWarning, InputError, caller
from graphc.gradients.asking import as_list, check, check_count, fit
from graphc.ir.graph import Node, topological
from graphc.ops.declare import listed
from graphc.ops.tensor import Tensor
from graphc.passes.differentiate import differentiate


def pull(name: str, cotangents: dict[Node, Node], wrt: Sequence[Tensor], unconnected: str | None = "zero") -> list[Tensor]:
    """The cotangents of `wrt`; where there are none, zeros, and what `unconnected` says where nothing depends on it."""
    if unconnected is not None and not (isinstance(unconnected, str) and unconnected in ("zero", "error")):
        raise InputError(
            f"{name}: unconnected is {unconnected!r}", where=caller(),
            hint="'zero', 'error', or None, which gives zeros and warns",
        )  # fmt: skip
    found = differentiate(cotangents, wrt)
    if unconnected != "zero" and any(g is None for g in found):
        read = set(topological(cotangents))
        apart = [x for x in wrt if x not in read]
        if apart:
            _unconnected(name, apart, unconnected)
    return [ops.zeros_like(x) if g is None else g for x, g in zip(wrt, found, strict=True)]  # type: ignore[misc]


def _unconnected(name: str, apart: Sequence[Tensor], unconnected: str | None) -> None:
    where = caller()
    several = len(apart) > 1
    problem = f"{name}: the value does not depend on {', '.join(_called(x) for x in apart)}"
    hint = f"leave {'them' if several else 'it'} out, or say unconnected='zero'"
    if unconnected == "error":
        raise GradientError(problem, where=where, hint=hint)
    text = f"{problem}: the gradient{'s are' if several else ' is'} 0\n  hint: {hint}"
    if where is None:
        warnings.warn(text, GraphWarning, stacklevel=3)
    else:  # as if it came from the user's line
        warnings.warn_explicit(text, GraphWarning, where.file, where.line)


def _called(x: Tensor) -> str:
    """The name of an input or variable; of what is computed its operation, and the line that says so."""
    if x.is_given:
        return f"{x.attrs['name']}: {x.type}"
    return f"{x.op.name} of {x.type}" + ("" if x.where is None else f" ({x.where})")


@overload
def grad(y: Tensor, wrt: Tensor, unconnected: str | None = None) -> Tensor: ...
@overload
def grad(y: Tensor, wrt: Sequence[Tensor], unconnected: str | None = None) -> list[Tensor]: ...
def grad(y: Tensor, wrt: Tensor | Sequence[Tensor], unconnected: str | None = None) -> Tensor | list[Tensor]:
    """The gradient of a scalar with respect to one symbol, or a list of them for a list.

    y: a float of shape []; wrt: float symbols of any shape, inputs, variables or intermediate values. A symbol that y does not
    depend on has zeros, and a GraphWarning names it; unconnected="zero" is silent, "error" a GradientError. Raises GradientError
    for integers and for y with axes.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,), "float64")
    >>> gx.grad(gx.sum(x ** 2), x).eval({x: [1.0, 2.0, 3.0]})
    array([2., 4., 6.])
    """
    single = isinstance(wrt, Tensor)
    targets: list[Tensor] = [wrt] if isinstance(wrt, Tensor) else listed("grad", "what to differentiate by", wrt)
    check("grad", "the value", [y])
    check("grad", "what to differentiate by", targets)
    if y.ndim:
        raise GradientError(f"grad needs a scalar, got {y.type}", where=caller(), hint="sum it, or use gx.vjp or gx.jacobian")
    found = pull("grad", {y: ops.ones_like(y)}, targets, unconnected)
    return found[0] if single else found


def value_and_grad(y: Tensor, wrt: Any, unconnected: str | None = None) -> Any:
    """A scalar and its derivatives, (y, grad(y, wrt, unconnected)): what a training step returns and what it uses.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,), "float64")
    >>> step = gx.compile([x], list(gx.value_and_grad(gx.sum(x ** 2), x)))
    >>> step([1.0, 2.0, 3.0])
    [array(14.), array([2., 4., 6.])]
    """
    return y, grad(y, wrt, unconnected)


def vjp(outputs: Any, inputs: Any, cotangents: Any, unconnected: str | None = None) -> Any:
    """Cotangents of `inputs` for given cotangents of `outputs`: the vector-Jacobian product.

    Each cotangent has its output's type. A list of inputs gives a list. unconnected: see `grad`.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.vjp(x * x, x, [1.0, 10.0]).eval({x: [3.0, 4.0]})
    array([ 6., 80.])
    """
    ys, xs, gs = as_list(outputs), as_list(inputs), as_list(cotangents) if isinstance(outputs, (list, tuple)) else [cotangents]
    check("vjp", "an output", ys)
    check("vjp", "an input", xs)
    check_count("vjp", "outputs", ys, "cotangents", gs)
    seeds: dict[Node, Node] = {}
    for y, g in zip(ys, gs, strict=True):
        seed = fit("vjp", y, g)
        seeds[y] = seeds[y] + seed if y in seeds else seed  # type: ignore[operator]
    found = pull("vjp", seeds, xs, unconnected)
    return found if isinstance(inputs, (list, tuple)) else found[0]
