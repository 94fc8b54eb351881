"""Loops while something holds, and loops that count: while_loop and fori_loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from graphc import ops
from graphc.control.bodies import (
    check_body,
    chosen,
    closed,
    effects,
    for_every,
    is_partial,
    leaf_of,
    only_of,
    same_form,
    spread_flags,
    symbols,
    with_axis,
)  # fmt: skip
from graphc.control.scan import scan
from graphc.control.sized import sized_
from graphc.control.steps import scan_
from graphc.errors import DTypeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Size
from graphc.ir.graph import Graph, births, without_effects
from graphc.ir.loops import names_in
from graphc.ir.operation import While
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, Spread, as_option, build, check_function, results, spread
from graphc.ops.tensor import Tensor, as_tensor
from graphc.ops.trees import Tree, flatten, unflatten
from graphc.passes.differentiate import differentiate

Array = np.ndarray[Any, Any]

def _while_type(*inputs: TensorType, test: Graph, body: Graph, carries: int) -> TupleType:
    check_body("while_loop", body, inputs, inputs[:carries], 0)
    if [n.type for n in test.inputs] != list(inputs) or [n.type for n in test.outputs] != [TensorType(t.bool_, ())]:
        raise DTypeError(f"while_loop: the condition gives {[n.type for n in test.outputs]}", hint="it must be one boolean")
    return TupleType(tuple(inputs[:carries]))


def _while_reference(
    *inputs: Array, test: Callable[..., list[Array]], body: Callable[..., list[Array]], carries: int
) -> tuple[Array, ...]:
    carry, rest = list(inputs[:carries]), inputs[carries:]
    while test(*carry, *rest)[0]:
        carry = body(*carry, *rest)
    return tuple(carry)


def _while_vjp(g: Any, y: Any, *inputs: Tensor, test: Graph, body: Graph, carries: int) -> tuple[Tensor | None, ...]:
    """The gradient of as many steps as there were: the last carry has counted them."""
    used = names_in(body)
    size = next(name for i in count() if (name := f"steps{i}") not in used)
    leaves = [leaf_of(f"x{i}", x.type) for i, x in enumerate(inputs)]
    silent = without_effects(body)
    again = results(scan_(*leaves, body=silent, carries=carries, sequences=0, steps=dims.symbol(size), reverse=False))
    given = [i for i, part in enumerate(g) if part is not None]
    cotangents = [leaf_of(f"g{i}", y[i].type) for i in given]
    wanted = [i for i, x in enumerate(inputs) if x.dtype.is_float]
    pulled = differentiate({again[i]: c for i, c in zip(given, cotangents, strict=True)}, [leaves[i] for i in wanted])
    found = [i for i, part in zip(wanted, pulled, strict=True) if part is not None]
    parts = [part for part in pulled if part is not None]
    graph = Graph((*leaves, *cotangents), parts, name="body")
    made = results(sized_(y[carries - 1], *inputs, *(g[i] for i in given), body=graph, size=size))
    of = dict(zip(found, made, strict=True))
    return tuple(of.get(i) for i in range(len(inputs)))


def _while_every(size: Size, *inputs: Spread, test: Graph, body: Graph, carries: int) -> list[Spread]:
    """The loop until it is done for every element, where the condition depends on the element; else as often as for one."""
    flags = spread_flags(body, [has for _, has in inputs], carries, size)
    leaves = with_axis(body.inputs, flags, size)
    given = [spread(x, size) if has else x[0] for x, has in zip(inputs, flags, strict=True)]
    ((holds, many),) = for_every(test, leaves, flags, size)
    if many:
        return _while_any(size, given, flags, test, body, carries)
    found = for_every(body, leaves, flags, size)
    outputs = [spread(y, size) if flags[i] else y[0] for i, y in enumerate(found)]
    made = while_(*given, test=Graph(leaves, [holds]), body=Graph(leaves, outputs, name="body"), carries=carries)
    return list(zip(results(made), flags, strict=False))


def _while_any(
    size: Size, given: Sequence[Tensor], flags: Sequence[bool], test: Graph, body: Graph, carries: int
) -> list[Spread]:  # fmt: skip
    """While the condition holds for any element: those for which it does not keep their carries.

    The carries are those of the loop for one, whether an element goes on, and how many steps there were of all.
    """
    given = [*(spread(x, size) for x in zip(given[:carries], flags[:carries], strict=True)), *given[carries:]]
    flags = [True] * carries + list(flags[carries:])
    leaves = with_axis(body.inputs, flags, size)
    goes_on, count = leaf_of("active", TensorType(t.bool_, (size,))), leaf_of("count", TensorType(t.int64, ()))
    old = list(zip(leaves, flags, strict=True))
    read = only_of(goes_on, old) if is_partial(body) else old
    found = for_every(body, [x for x, _ in read], flags, size)
    new = [chosen(goes_on, y, x, size) for y, x in zip(found, old[:carries], strict=True)]
    again = spread(for_every(test, [*new, *leaves[carries:]], flags, size)[0], size)
    all_leaves = [*leaves[:carries], goes_on, count, *leaves[carries:]]
    first = spread(for_every(test, given, flags, size)[0], size)
    made = results(while_(
        *given[:carries], first, ops.zeros((), t.int64), *given[carries:], test=Graph(all_leaves, [ops.any(goes_on)]),
        body=Graph(all_leaves, [*new, goes_on & again, count + 1], name="body"), carries=carries + 2,
    ))  # fmt: skip
    return [(y, True) for y in made[:carries]]


while_: Op = Op("while_loop", _while_type, _while_reference, While(), _while_vjp, every=_while_every, build=build)


def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Tree) -> Any:
    """Apply a function to a value as long as a condition of the value holds; gives the last value.

    cond_fun: value -> one boolean. body_fun: value -> value of the same form and types. Both are called once, with symbols.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "int64")
    >>> gx.while_loop(lambda v: v < 100, lambda v: v * 2, x).eval({x: 3})
    array(192)
    """
    check_function("while_loop", "the condition", cond_fun)
    check_function("while_loop", "the body", body_fun)
    init = symbols("while_loop", init_val)
    leaves = [leaf_of(f"carry{i}", x.type) for i, x in enumerate(flatten(init))]
    with births() as born:
        test = as_tensor(cond_fun(unflatten(init, leaves)))
    if test.type != TensorType(t.bool_, ()):
        raise DTypeError(
            f"while_loop: the condition must be one boolean, got {test.type}", where=caller(), hint="compare, or use gx.all"
        )
    with births() as made_in_body:
        outputs = same_form("while_loop", "the value", init, body_fun(unflatten(init, leaves)))
    start = ops.zeros((), t.int64)
    leaves.append(leaf_of("steps", start.type))  # for the gradient; where there is none, nobody reads it
    outputs.append(leaves[-1] + 1)
    (condition, body), outer = closed([[test], outputs], [leaves, leaves], effects([*born, *made_in_body]))
    made = results(while_(*flatten(init), start, *outer, test=condition, body=body, carries=len(leaves)))
    return unflatten(init, list(made[:-1]))


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Tree) -> Any:
    """value = body_fun(i, value) for i = lower, lower + 1, ... below upper; gives the last value.

    lower, upper: integers or sizes, or integer symbols where the number of steps is known only at run time.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "float64")
    >>> gx.fori_loop(0, 3, lambda i, v: v * x, 1.0).eval({x: 2.0})
    array(8.)
    """
    check_function("fori_loop", "the body", body_fun)
    lower, upper = as_option(lower), as_option(upper)
    if all(isinstance(n, (int, Dim)) for n in (lower, upper)):
        count = dims.maximum(dims.sub(upper, lower), 0)
        counted = ops.arange(lower, dims.add(lower, count))
        return scan(lambda v, i: (body_fun(i, v), None), init_val, counted)[0]
    low, high = (ops.astype(as_tensor(n), t.int64) for n in (lower, upper))
    return while_loop(lambda s: s[0] < high, lambda s: (s[0] + 1, body_fun(s[0], s[1])), (low, init_val))[1]
