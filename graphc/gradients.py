"""Gradients as users ask for them: grad, vjp, jvp, hvp, jacobian, hessian; custom_gradient, checkpoint, and vmap."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from graphc import ops
from graphc.errors import GradientError, GraphWarning, InputError, ShapeError, caller
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, has_effect, origin, rebuild, substitute, topological
from graphc.ops.batched import vectorize
from graphc.ops.custom import GradientRule, after, with_gradient
from graphc.ops.declare import check_function, listed, spread
from graphc.ops.tensor import Tensor, TensorLike, as_tensor
from graphc.ops.trees import flatten, unflatten
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


def _pull(name: str, cotangents: dict[Node, Node], wrt: Sequence[Tensor], unconnected: str | None = "zero") -> list[Tensor]:
    """The cotangents of `wrt`; where there are none, zeros, and what `unconnected` says where nothing depends on it."""
    if unconnected not in (None, "zero", "error"):
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
    _check("grad", "the value", [y])
    _check("grad", "what to differentiate by", targets)
    if y.ndim:
        raise GradientError(f"grad needs a scalar, got {y.type}", where=caller(), hint="sum it, or use gx.vjp or gx.jacobian")
    found = _pull("grad", {y: ops.ones_like(y)}, targets, unconnected)
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


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def vjp(outputs: Any, inputs: Any, cotangents: Any, unconnected: str | None = None) -> Any:
    """Cotangents of `inputs` for given cotangents of `outputs`: the vector-Jacobian product.

    Each cotangent has its output's type. A list of inputs gives a list. unconnected: see `grad`.

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
    found = _pull("vjp", seeds, xs, unconnected)
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
        (pushed,) = _pull("jvp", seeds, [probe])
        found.append(_replace(pushed, probe, ops.zeros_like(y)))
    return found if isinstance(outputs, (list, tuple)) else found[0]


def _replace(y: Tensor, old: Node, new: Node) -> Tensor:
    return rebuild(Graph((), (y,)), lambda n: new if n is old else n).outputs[0]  # type: ignore[return-value]


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
    _check("jacobian", "the value", [y])
    _check("jacobian", "what to differentiate by", [x])
    forwards = isinstance(x.size, int) and isinstance(y.size, int) and x.size < y.size
    seed_of = x if forwards else y
    probe = ops.placeholder("probe", seed_of.shape, seed_of.dtype)
    if forwards:
        _pull("jacobian", {y: ops.ones_like(y)}, [x], unconnected)  # whether they are connected
    made = jvp(y, x, probe) if forwards else _pull("jacobian", {y: probe}, [x], unconnected)[0]
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


# --- functions of symbols: a leading axis, rules of the user's, values computed again ------------------------------------


def _results(name: str, f: Callable[..., Any], values: Any) -> list[Tensor]:
    found = _listed(values)
    for y in found:
        if not isinstance(y, Tensor):
            raise GradientError(f"{name}: {_name(f)} must give symbols, got {type(y).__name__}", where=caller())
    return found


def _name(f: Callable[..., Any]) -> str:
    return str(getattr(f, "__name__", None) or getattr(f, "name", None) or type(f).__name__)


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
                f"vmap needs one size along the axes of {_name(f)}'s arguments, got {', '.join(map(str, sizes)) or 'no axis'}",
                where=caller(), hint="in_axes names the axis of every argument; None is for those that have none",
            )  # fmt: skip
        values = f(*holes)
        ys = _results("vmap", f, flatten(values))
        places = list(out_axes) if isinstance(out_axes, (list, tuple)) else [out_axes] * len(ys)
        if len(places) != len(ys):
            raise ShapeError(f"vmap: out_axes has {len(places)} axes for {len(ys)} results", where=caller())
        made = [spread(y, sizes[0]) for y in vectorize(ys, given, sizes[0])]
        made = [ops.moveaxis(y, 0, axis) for y, axis in zip(made, places, strict=True)]
        return unflatten(values, made)

    return mapped


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Tensor]:
    """A function with a gradient rule of its own: f(*xs) gives its value y and rule(g), the cotangents of xs for y's cotangent.

    The rule gives one symbol (or None) for every x, of x's type, a tuple of them for several; it may use xs and whatever f
    computed, and is differentiated for gradients of higher order. It must be linear in g. What else f reads gets no gradient.

    >>> import graphc as gx
    >>> @gx.custom_gradient
    ... def clipped(x):
    ...     return x, lambda g: gx.clip(g, -1, 1)
    >>> x = gx.placeholder("x", (), "float64")
    >>> gx.grad(clipped(x) * 5, x).eval({x: 2.0})
    array(1.)
    """
    check_function("custom_gradient", "f", f)

    def pair(xs: Sequence[Tensor]) -> tuple[Tensor, Callable[[Tensor], Any]]:
        found = f(*xs)
        if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Tensor) and callable(found[1])):
            raise GradientError(
                f"custom_gradient: {_name(f)} must give its value and a rule", where=caller(),
                hint="return y, rule, where rule(g) gives the cotangents of the arguments",
            )  # fmt: skip
        return found

    def rule(g: Tensor, *xs: Tensor) -> list[Tensor | None]:
        made = pair(xs)[1](g)
        parts = list(made) if isinstance(made, (list, tuple)) else [made]
        if len(parts) != len(xs):
            raise GradientError(f"custom_gradient: the rule of {_name(f)} gives {len(parts)} cotangents for {len(xs)} arguments")
        fitted: list[Tensor | None] = []
        for part, x in zip(parts, xs, strict=True):
            part = None if part is None else as_tensor(part, x.dtype)
            if part is not None and part.type != x.type:
                raise GradientError(
                    f"custom_gradient: the rule of {_name(f)} gives a cotangent {part.type} of an argument {x.type}",
                    hint="a cotangent has the type of its argument: broadcast or sum it, astype it",
                )
            fitted.append(part)
        return fitted

    @functools.wraps(f)
    def made(*args: Any) -> Tensor:
        xs = [as_tensor(x) for x in args]
        return with_gradient(pair(xs)[0], *xs, rule=GradientRule(_name(f), rule))

    return made


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
        ys = _results("checkpoint", f, values)
        outside = _read_from_outside(ys, holes)
        own = [ops.placeholder(f"y{i}", x.shape, x.dtype) for i, x in enumerate(outside)]
        inner = _substitute(ys, dict(zip(outside, own, strict=True)))
        found = [_recomputed(y, holes, own, [*xs, *outside], _name(f)) for y in inner]
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
