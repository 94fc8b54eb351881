"""Control flow: loops over steps, loops while something holds, choices. Their bodies are graphs inside a node.

A body is a function of symbols, called once when the graph is declared. What it reads from outside becomes an input of the
node, so what does not change from step to step is computed once, before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from math import ceil, sqrt
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Size
from graphc.ir.graph import Graph, Node, births, topological
from graphc.ir.operation import VOCABULARY, Choose, Contraction, Leaf, Pointwise, Project, Repeat, Scan, Sized
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, build, check_function, listed, normalize_integer, results
from graphc.ops.tensor import Tensor, as_tensor
from graphc.ops.trees import Tree, flatten, form, unflatten
from graphc.passes.differentiate import differentiate

Array = np.ndarray[Any, Any]
Step = Callable[[Any, Any], tuple[Any, Any]]
SHORT = 128  # a weight's gradient of products over at most so many terms a step is one product after the loop

# --- bodies as graphs ------------------------------------------------------------------------------------------------


def _leaf(name: str, kind: TensorType) -> Tensor:
    return ops.input_(name=name, dtype=kind.dtype, shape=kind.shape)


def _close(
    bodies: Sequence[Sequence[Tensor]], leaves: Sequence[Sequence[Tensor]], born: Sequence[Node] = ()
) -> tuple[list[Graph], list[Tensor]]:
    """Each list of outputs as a graph of its leaves and of the same values from outside; and those values.

    What depends on no leaf is from outside, but for what is made of constants alone, or `born` in a body that may not run at all.
    """
    outer: dict[Node, Tensor] = {}
    stays = {n for n in born if not _is_given(n)}
    pending: list[tuple[list[Node], set[Node]]] = []
    for outputs, own in zip(bodies, leaves, strict=True):
        order = topological(outputs)
        leaf_set: set[Node] = set(own)
        inside: set[Node] = set(own)
        fixed: set[Node] = set()  # made of nothing but constants: in the body where it is read there
        for node in order:
            if node in stays or any(i in inside for i in node.inputs):
                inside.add(node)
            elif all(i in fixed for i in node.inputs) and not _is_given(node):
                fixed.add(node)
        read = [*outputs, *(given for node in order if node in inside and node not in leaf_set for given in node.inputs)]
        for node in read:
            if node not in inside and node not in fixed and node not in outer:
                outer[node] = _leaf(f"outer{len(outer)}", node.type)
        pending.append((order, inside | fixed))
    graphs = []
    for outputs, own, (order, inside) in zip(bodies, leaves, pending, strict=True):
        new: dict[Node, Node] = {leaf: leaf for leaf in own}
        for node in order:
            if node in outer:
                new[node] = outer[node]
            elif node in inside and node not in new:
                new[node] = node.with_inputs(tuple(new[i] for i in node.inputs)) if node.inputs else node
        graphs.append(Graph((*own, *outer.values()), (new[y] for y in outputs), name="body"))
    return graphs, list(outer)  # type: ignore[arg-type]


def _is_given(node: Node) -> bool:
    """Whether a node without inputs has a value from outside: an input or a variable."""
    return isinstance(node.op.lowering, Leaf) and "value" not in node.attrs


def _symbols(name: str, tree: Tree) -> Tree:
    try:
        return unflatten(tree, [as_tensor(x) for x in flatten(tree)])
    except (TypeError, ValueError):
        raise InputError(f"{name}: {tree!r} is no tree of symbols and numbers", where=caller()) from None


def _same_form(name: str, what: str, old: Tree, new: Tree) -> list[Tensor]:
    """The leaves of a body's result that must be like a tree it was given."""
    new = _symbols(name, new)
    if form(new) != form(old):
        raise InputError(
            f"{name}: {what} is {form(old)}, the body gives {form(new)}", where=caller(), hint="give back what was taken in"
        )
    for before, after in zip(flatten(old), flatten(new), strict=True):
        if before.type != after.type:
            raise (DTypeError if before.type.shape == after.type.shape else ShapeError)(
                f"{name}: {what} is {before.type}, the body gives {after.type}", where=caller(),
                hint="astype or reshape the start, or what the body gives: a loop carries one type",
            )  # fmt: skip
    return flatten(new)


# --- scan ------------------------------------------------------------------------------------------------------------


def _scan_type(*inputs: TensorType, body: Graph, carries: int, sequences: int, steps: Size, reverse: bool) -> TupleType:
    slices = [*inputs[:carries], *(TensorType(x.dtype, x.shape[1:]) for x in inputs[carries : carries + sequences])]
    _check_body("scan", body, [*slices, *inputs[carries + sequences :]], inputs[:carries], len(body.outputs) - carries)
    for x in inputs[carries : carries + sequences]:
        if not x.rank or x.shape[0] != steps:
            raise ShapeError(f"scan of {steps} steps over {x}", hint="the first axis of every sequence is that of the steps")
    return TupleType((*inputs[:carries], *(TensorType(y.type.dtype, (steps, *y.type.shape)) for y in body.outputs[carries:])))


def _check_body(name: str, body: Graph, inputs: Sequence[TensorType], carried: Sequence[TensorType], others: int) -> None:
    found = [n.type for n in body.inputs]
    if found != list(inputs):
        raise ShapeError(f"{name}: the body takes {found}, and is given {list(inputs)}")
    if len(body.outputs) != len(carried) + others or [n.type for n in body.outputs[: len(carried)]] != list(carried):
        raise ShapeError(f"{name}: the body gives {[n.type for n in body.outputs]}, and carries {list(carried)}")


def _scan_reference(
    *inputs: Array, body: Any, carries: int, sequences: int, steps: int, reverse: bool
) -> tuple[Array, ...]:
    carry, xs, rest = list(inputs[:carries]), inputs[carries : carries + sequences], inputs[carries + sequences :]
    made: list[list[Array]] = []
    for i in reversed(range(steps)) if reverse else range(steps):
        found = body(*carry, *(x[i] for x in xs), *rest)
        carry = found[:carries]
        made.append(found[carries:])
    if not made:
        return (*carry, *body.nothing()[carries:])
    return (*carry, *(np.stack(y) for y in zip(*(reversed(made) if reverse else made), strict=True)))


def _scan_vjp(
    g: tuple[Tensor | None, ...], y: tuple[Tensor, ...], *inputs: Tensor, body: Graph, carries: int, sequences: int, steps: Size,
    reverse: bool,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """Another scan, from the last step to the first, that carries the cotangents.

    It is given what each step began with. Products, sums and the like are kept from the forward loop; elementwise code is
    computed again.
    """
    last = carries + sequences
    leaves = body.inputs
    carried = [i for i in range(carries) if leaves[i].type.dtype.is_float]
    sliced = [i for i in range(carries, last) if leaves[i].type.dtype.is_float]
    shared = [i for i in range(last, len(leaves)) if leaves[i].type.dtype.is_float]
    seeds: dict[Node, Any] = {}

    def seed(node: Node, cotangent: Tensor) -> Tensor:
        seeds[node] = seeds[node] + cotangent if node in seeds else cotangent
        return cotangent

    from_carries = [seed(body.outputs[i], _leaf(f"g_carry{i}", leaves[i].type)) for i in carried]
    wanted_ys = [j for j in range(carries, len(g)) if g[j] is not None]
    from_ys = [seed(body.outputs[j], _leaf(f"g_y{j - carries}", body.outputs[j].type)) for j in wanted_ys]
    wrt = [*carried, *sliced, *shared]
    pulled = dict(zip(wrt, differentiate(seeds, [leaves[i] for i in wrt]), strict=True))
    parts = {i: ops.zeros_like(leaves[i]) if p is None else p for i, p in pulled.items()}  # type: ignore[arg-type]
    terms = {i: _terms(parts[i]) if pulled[i] is not None else [] for i in shared}
    products = [(i, term) for i in shared for term in terms[i] if _is_short_product(term)]
    summed = {i: [term for term in terms[i] if not _is_short_product(term)] for i in shared}
    added = [i for i in shared if summed[i]]

    sums = [_leaf(f"g_outer{i - last}", leaves[i].type) for i in added]
    steps_out: list[Any] = [parts[i] for i in carried]
    steps_out += [_total([acc, *summed[i]]) for acc, i in zip(sums, added, strict=True)]
    steps_out += [parts[i] for i in sliced]
    factors = [_factors(term) for _, term in products]
    steps_out += [factor for pair in factors for factor in pair]

    histories, replaced = _kept(body, steps_out, set(leaves[:carries]))
    steps_out = _substitute(steps_out, replaced)
    forward = scan_(
        *inputs, body=Graph(leaves, (*body.outputs, *histories), name="body"), carries=carries, sequences=sequences, steps=steps,
        reverse=reverse,
    )  # fmt: skip
    kept = results(forward)[len(body.outputs) :]
    read = set(topological(steps_out))
    xs = [i for i in range(carries, last) if leaves[i] in read]
    outer = [i for i in range(last, len(leaves)) if leaves[i] in read]
    starts: list[Any] = [ops.zeros_like(y[i]) if g[i] is None else g[i] for i in carried]
    from_results: list[Any] = [g[j] for j in wanted_ys]
    given = [*from_carries, *sums]
    slices = [*from_ys, *(replaced.get(h, h) for h in histories), *(leaves[i] for i in xs)]
    backward = scan_(
        *starts, *(ops.zeros_like(inputs[i]) for i in added), *from_results, *kept, *(inputs[i] for i in xs),
        *(inputs[i] for i in outer), body=Graph((*given, *slices, *(leaves[i] for i in outer)), steps_out, name="body"),
        carries=len(given), sequences=len(slices), steps=steps, reverse=not reverse,
    )  # fmt: skip
    made = iter(results(backward))
    cotangents: dict[int, Any] = {i: next(made) for i in (*carried, *added, *sliced)}
    for (i, term), (left, _) in zip(products, factors, strict=True):
        product = _joined(next(made), next(made), left is not term.inputs[0])
        cotangents[i] = cotangents[i] + product if i in cotangents else product
    return tuple(cotangents.get(i) for i in range(len(inputs)))


def _terms(node: Node) -> list[Node]:
    """What a sum is the sum of."""
    found, todo = [], [node]
    while todo:
        top = todo.pop()
        if top.op is ops.add:
            todo += reversed(top.inputs)
        else:
            found.append(top)
    return found


def _total(terms: Sequence[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _is_short_product(node: Node) -> bool:
    """Whether a term is a product of matrices over few terms: those of all steps together are better summed at once."""
    match node.op.lowering:
        case Contraction() if node.type.rank == 2 and node.type.dtype.is_float:
            k = node.inputs[0].type.shape[1]
            return isinstance(k, int) and k <= SHORT
    return False


def _factors(product: Node) -> tuple[Node, Node]:
    """The factors of a product of matrices, the first as it is in memory: often it is the transpose of a slice or a carry."""
    left, right = product.inputs
    turned = left.op is VOCABULARY["permute_dims"]
    return (left.inputs[0] if turned else left), right


def _joined(a: Tensor, b: Tensor, turned: bool) -> Tensor:
    """The sum of the products of [steps, m, k], or turned [steps, k, m], and [steps, k, n] over all steps, as one product."""
    steps, k, n = b.shape
    right = ops.reshape(b, (steps * k, n))
    if turned:
        return ops.matmul(ops.permute_dims(ops.reshape(a, (steps * k, a.shape[2])), (1, 0)), right)
    return ops.matmul(ops.reshape(ops.permute_dims(a, (1, 0, 2)), (a.shape[1], steps * k)), right)


def _kept(body: Graph, needed: Sequence[Node], carried: set[Node]) -> tuple[list[Node], dict[Node, Tensor]]:
    """What a backward step needs of its forward step, beside slices and shared values; and leaves for what was computed there.

    The carries that it began with, and the results of everything but elementwise code.
    """
    forward = {n for n in topological(body.outputs) if n.inputs}
    leaves: list[Node] = []
    replaced: dict[Node, Tensor] = {}
    seen: set[Node] = set()
    todo = list(reversed(needed))
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in carried:
            leaves.append(node)
            continue
        of_forward = node in forward or (isinstance(node.op.lowering, Project) and node.inputs[0] in forward)
        if of_forward and not isinstance(node.op.lowering, Pointwise) and not isinstance(node.type, TupleType):
            replaced[node] = _leaf(f"kept{len(replaced)}", node.type)
            continue
        todo += reversed(node.inputs)
    return [*leaves, *replaced], replaced


def _substitute(nodes: Sequence[Node], new: dict[Node, Tensor]) -> list[Any]:
    """Nodes with others in place of some that they are made of."""
    found: dict[Node, Node] = dict(new)
    for node in topological(nodes):
        if node not in found:
            found[node] = node.with_inputs(tuple(found[i] for i in node.inputs)) if node.inputs else node
    return [found[n] for n in nodes]


scan_: Op = Op("scan", _scan_type, _scan_reference, Scan(), _scan_vjp, build=build)


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
    init, xs = _symbols("scan", init), _symbols("scan", xs)
    unroll = normalize_integer("scan", "unroll", unroll)
    steps = _steps(xs, length)
    if unroll > 1 and isinstance(steps, int):
        return _in_groups(_unrolled(f, xs, unroll, reverse), f, init, xs, steps, unroll, reverse)
    if checkpoint:
        size = _segment(checkpoint, steps)
        segment = lambda carry, given: scan(f, carry, given, length=size, reverse=reverse)
        return _in_groups(segment, f, init, xs, steps, size, reverse)
    carries = [_leaf(f"carry{i}", x.type) for i, x in enumerate(flatten(init))]
    slices = [_leaf(f"x{i}", TensorType(x.dtype, x.shape[1:])) for i, x in enumerate(flatten(xs))]
    found = f(unflatten(init, carries), unflatten(xs, slices))
    if not isinstance(found, tuple) or len(found) != 2:
        raise InputError(
            f"scan: the body must give (carry, y), got {type(found).__name__}", where=caller(),
            hint="give None for y where there is none",
        )  # fmt: skip
    ys = _symbols("scan", found[1])
    outputs = [*_same_form("scan", "the carry", init, found[0]), *flatten(ys)]
    (body,), outer = _close([outputs], [[*carries, *slices]])
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
    return int(checkpoint)


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


# --- while -----------------------------------------------------------------------------------------------------------


def _while_type(*inputs: TensorType, test: Graph, body: Graph, carries: int) -> TupleType:
    _check_body("while_loop", body, inputs, inputs[:carries], 0)
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
    used = dims.names(*(n for x in (*body.inputs, *body.outputs) for n in x.type.shape))
    size = next(name for i in count() if (name := f"steps{i}") not in used and f"{name}]" not in str(body))
    leaves = [_leaf(f"x{i}", x.type) for i, x in enumerate(inputs)]
    again = results(scan_(*leaves, body=body, carries=carries, sequences=0, steps=dims.symbol(size), reverse=False))
    given = [i for i, part in enumerate(g) if part is not None]
    cotangents = [_leaf(f"g{i}", y[i].type) for i in given]
    wanted = [i for i, x in enumerate(inputs) if x.dtype.is_float]
    pulled = differentiate({again[i]: c for i, c in zip(given, cotangents, strict=True)}, [leaves[i] for i in wanted])
    found = [i for i, part in zip(wanted, pulled, strict=True) if part is not None]
    parts = [part for part in pulled if part is not None]
    graph = Graph((*leaves, *cotangents), parts, name="body")
    made = results(sized_(y[carries - 1], *inputs, *(g[i] for i in given), body=graph, size=size))
    of = dict(zip(found, made, strict=True))
    return tuple(of.get(i) for i in range(len(inputs)))


# --- sizes that are data ---------------------------------------------------------------------------------------------


def _sized_type(number: TensorType, *inputs: TensorType, body: Graph, size: str) -> TupleType:
    if number != TensorType(t.int64, ()):
        raise DTypeError(f"sized needs one int64 for the size, got {number}")
    _check_body("sized", body, inputs, (), len(body.outputs))
    kinds = tuple(n.type for n in body.outputs)
    if any(size in dims.names(*kind.shape) for kind in kinds):
        raise ShapeError(f"sized: a result of {list(kinds)} has the size that is data, {size}")
    return TupleType(kinds)


def _sized_reference(number: Array, *inputs: Array, body: Callable[..., list[Array]], size: str) -> tuple[Array, ...]:
    return tuple(body(*inputs, **{size: max(int(number), 0)}))


def _sized_vjp(
    g: tuple[Tensor | None, ...], y: tuple[Tensor, ...], number: Tensor, *inputs: Tensor, body: Graph, size: str
) -> tuple[Tensor | None, ...]:
    """The body's gradient at the same size."""
    (made,), wanted = _pulled([body], g, y)
    if not wanted:
        return (None,) * (1 + len(inputs))
    given = [part for part in g if part is not None]
    of = dict(zip(wanted, results(sized_(number, *inputs, *given, body=made, size=size)), strict=True))
    return (None, *(of.get(i) for i in range(len(inputs))))


sized_: Op = Op("sized", _sized_type, _sized_reference, Sized(), _sized_vjp, build=build)


while_: Op = Op("while_loop", _while_type, _while_reference, Repeat(), _while_vjp, build=build)


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
    init = _symbols("while_loop", init_val)
    leaves = [_leaf(f"carry{i}", x.type) for i, x in enumerate(flatten(init))]
    test = as_tensor(cond_fun(unflatten(init, leaves)))
    if test.type != TensorType(t.bool_, ()):
        raise DTypeError(
            f"while_loop: the condition must be one boolean, got {test.type}", where=caller(), hint="compare, or use gx.all"
        )
    outputs = _same_form("while_loop", "the value", init, body_fun(unflatten(init, leaves)))
    start = ops.zeros((), t.int64)
    leaves.append(_leaf("steps", start.type))  # for the gradient; where there is none, nobody reads it
    outputs.append(leaves[-1] + 1)
    (condition, body), outer = _close([[test], outputs], [leaves, leaves])
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
    if all(isinstance(n, (int, np.integer, Dim)) for n in (lower, upper)):
        count = dims.maximum(dims.sub(upper, lower), 0)
        counted = ops.arange(lower, dims.add(lower, count))
        return scan(lambda v, i: (body_fun(i, v), None), init_val, counted)[0]
    low, high = (ops.astype(as_tensor(n), t.int64) for n in (lower, upper))
    return while_loop(lambda s: s[0] < high, lambda s: (s[0] + 1, body_fun(s[0], s[1])), (low, init_val))[1]


# --- choice ----------------------------------------------------------------------------------------------------------


def _choose_type(index: TensorType, *inputs: TensorType, branches: tuple[Graph, ...]) -> TupleType:
    if index != TensorType(t.int64, ()):
        raise DTypeError(f"switch needs one int64 index, got {index}")
    kinds = [n.type for n in branches[0].outputs]
    for branch in branches:
        _check_body("switch", branch, inputs, kinds, 0)
    return TupleType(tuple(kinds))


def _choose_reference(index: Array, *inputs: Array, branches: tuple[Callable[..., list[Array]], ...]) -> tuple[Array, ...]:
    return tuple(branches[min(max(int(index), 0), len(branches) - 1)](*inputs))


def _choose_vjp(
    g: tuple[Tensor | None, ...], y: tuple[Tensor, ...], index: Tensor, *inputs: Tensor, branches: tuple[Graph, ...]
) -> tuple[Tensor | None, ...]:
    """The same choice between the branches' gradients: only the one taken runs."""
    made, wanted = _pulled(branches, g, y)
    if not wanted:
        return (None,) * (1 + len(inputs))
    given = [part for part in g if part is not None]
    of = dict(zip(wanted, results(choose_(index, *inputs, *given, branches=made)), strict=True))
    return (None, *(of.get(i) for i in range(len(inputs))))


def _pulled(
    bodies: Sequence[Graph], g: tuple[Tensor | None, ...], y: tuple[Tensor, ...]
) -> tuple[tuple[Graph, ...], list[int]]:
    """The gradients of bodies with the same inputs, as graphs of those and of the cotangents; which inputs they are of."""
    given = [j for j, part in enumerate(g) if part is not None]
    wanted = [i for i, x in enumerate(bodies[0].inputs) if x.type.dtype.is_float] if given else []
    cotangents = [_leaf(f"g{j}", y[j].type) for j in given]
    made = []
    for body in bodies:
        seeds: dict[Node, Any] = {}
        for j, leaf in zip(given, cotangents, strict=True):
            out = body.outputs[j]
            seeds[out] = seeds[out] + leaf if out in seeds else leaf
        leaves = [body.inputs[i] for i in wanted]
        found = differentiate(seeds, leaves)
        parts = [ops.zeros_like(x) if p is None else p for x, p in zip(leaves, found, strict=True)]  # type: ignore[arg-type]
        made.append(Graph((*body.inputs, *cotangents), parts, name="body"))
    return tuple(made), wanted


choose_: Op = Op("switch", _choose_type, _choose_reference, Choose(), _choose_vjp, build=build)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Tree) -> Any:
    """The branch that an index names, of the operands: only it is computed. An index out of range takes the nearest.

    index: one integer. The branches give results of the same form and types.

    >>> import graphc as gx
    >>> i, x = gx.placeholder("i", (), "int64"), gx.placeholder("x", (), "float64")
    >>> gx.switch(i, [lambda v: v, lambda v: v * v, lambda v: -v], x).eval({i: 1, x: 3.0})
    array(9.)
    """
    chosen = as_tensor(index)
    if chosen.ndim or not (chosen.dtype.is_integer or chosen.dtype.is_bool):
        raise DTypeError(f"switch: the index must be one integer, got {chosen.type}", where=caller())
    branches = listed("switch", "branches", branches)
    for branch in branches:
        check_function("switch", "a branch", branch)
    if not branches:
        raise InputError("switch: no branches", where=caller())
    given = _symbols("switch", operands)
    leaves = [_leaf(f"x{i}", x.type) for i, x in enumerate(flatten(given))]
    with births() as born:
        first = _symbols("switch", branches[0](*unflatten(given, leaves)))
        outputs = [flatten(first)]
        outputs += [
            _same_form("switch", "a branch's result", first, branch(*unflatten(given, leaves))) for branch in branches[1:]
        ]
    graphs, outer = _close(outputs, [leaves] * len(outputs), born)
    made = results(choose_(ops.astype(chosen, t.int64), *flatten(given), *outer, branches=tuple(graphs)))
    return unflatten(first, list(made))


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Tree) -> Any:
    """One function of the operands if a boolean holds, else another; only the one taken is computed.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "float64")
    >>> gx.cond(x > 0, lambda: gx.sqrt(x), lambda: 0 * x).eval({x: 9.0})
    array(3.)
    """
    holds = as_tensor(pred)
    if holds.ndim:
        raise ShapeError(
            f"cond: the condition must be one boolean, got {holds.type}", where=caller(), hint="gx.where chooses elements"
        )
    return switch(ops.astype(holds, t.bool_), [false_fun, true_fun], *operands)


__all__ = ["cond", "fori_loop", "map", "scan", "switch", "while_loop"]
