"""Control flow: loops over steps, loops while something holds, choices. Their bodies are graphs inside a node.

A body is a function of symbols, called once when the graph is declared. What it reads from outside becomes an input of the
node, so what does not change from step to step is computed once, before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, GradientError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Size
from graphc.ir.graph import Graph, Node, births, topological
from graphc.ir.operation import Choose, Contraction, Leaf, Pointwise, Project, Repeat, Scan
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, build, check_function, listed, normalize_integer, results
from graphc.ops.tensor import Tensor, as_tensor
from graphc.ops.trees import Tree, flatten, form, unflatten
from graphc.passes.differentiate import differentiate

Array = np.ndarray[Any, Any]
SHORT = 128  # a weight's gradient of products over at most so many terms a step is one product after the loop

# --- bodies as graphs ------------------------------------------------------------------------------------------------


def _leaf(name: str, kind: TensorType) -> Tensor:
    return ops.input_(name=name, dtype=kind.dtype, shape=kind.shape)


def _close(
    bodies: Sequence[Sequence[Tensor]], leaves: Sequence[Sequence[Tensor]], born: Sequence[Node] = ()
) -> tuple[list[Graph], list[Tensor]]:
    """Each list of outputs as a graph of its leaves and of the same values from outside; and those values.

    What depends on no leaf is from outside, but for fills, constants and what is `born` in a body that may not run at all.
    """
    outer: dict[Node, Tensor] = {}
    stays = {n for n in born if not _is_given(n)}
    pending: list[tuple[list[Node], set[Node]]] = []
    for outputs, own in zip(bodies, leaves, strict=True):
        order = topological(outputs)
        leaf_set: set[Node] = set(own)
        inside: set[Node] = set(own)
        for node in order:
            if node in stays or any(i in inside for i in node.inputs) or (not node.inputs and not _is_given(node)):
                inside.add(node)
        for node in order:
            if node in inside and node not in leaf_set:
                for given in node.inputs:
                    if given not in inside and given not in outer:
                        outer[given] = _leaf(f"outer{len(outer)}", given.type)
        for node in outputs:
            if node not in inside and node not in outer:
                outer[node] = _leaf(f"outer{len(outer)}", node.type)
        pending.append((order, inside))
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
    *inputs: Array, body: Callable[..., list[Array]], carries: int, sequences: int, steps: int, reverse: bool
) -> tuple[Array, ...]:
    carry, xs, rest = list(inputs[:carries]), inputs[carries : carries + sequences], inputs[carries + sequences :]
    made: list[list[Array]] = []
    for i in reversed(range(steps)) if reverse else range(steps):
        found = body(*carry, *(x[i] for x in xs), *rest)
        carry = found[:carries]
        made.append(found[carries:])
    if not made:  # the shapes of nothing
        ys = body(*carry, *(np.zeros(x.shape[1:], x.dtype) for x in xs), *rest)[carries:]
        return (*carry, *(np.zeros((0, *y.shape), y.dtype) for y in ys))
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
    steps_out += [factor for _, term in products for factor in term.inputs]

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
    for i, _ in products:
        product = _joined(next(made), next(made))
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


def _joined(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the products of [steps, m, k] and [steps, k, n] over all steps, as one product."""
    steps, m, k = a.shape
    rows = ops.reshape(ops.permute_dims(a, (1, 0, 2)), (m, steps * k))
    return ops.matmul(rows, ops.reshape(b, (steps * k, b.shape[2])))


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
    unroll: int = 1,
) -> tuple[Any, Any]:  # fmt: skip
    """Carry a value through steps: carry, y = f(carry, x) for every x along the first axis of `xs`.

    f: called once, with symbols. init: the first carry. xs: what the steps go over. Both, and what f gives, are symbols and
    numbers in nested tuples, lists and dicts; None is no value. length: the number of steps where xs is None: an integer or a
    size. reverse: begin with the last step; each y still stands at its x. unroll: steps that are written out in the loop's body
    (fixed lengths only). Gives the last carry and the ys, stacked along a new first axis.

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
        return _unrolled(f, init, xs, steps, reverse, unroll)
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


def _unrolled(f: Any, init: Tree, xs: Tree, steps: int, reverse: bool, unroll: int) -> tuple[Any, Any]:
    """A scan over groups of steps, and one over what is left."""
    whole = steps - steps % unroll

    def group(carry: Any, given: Any) -> Any:
        ys: list[Any] = [None] * unroll
        for i in reversed(range(unroll)) if reverse else range(unroll):
            carry, ys[i] = f(carry, unflatten(xs, [x[i] for x in flatten(given)]))
        return carry, unflatten(ys[0], [ops.stack(list(parts)) for parts in zip(*(flatten(y) for y in ys), strict=True)])

    def part(carry: Any, first: bool) -> Any:
        if first:
            return scan(group, carry, _each(xs, lambda x: ops.reshape(x[:whole], (whole // unroll, unroll, *x.shape[1:]))),
                        length=whole // unroll, reverse=reverse)  # fmt: skip
        return scan(f, carry, _each(xs, lambda x: x[whole:]), length=steps - whole, reverse=reverse)

    if reverse:
        carry, tail = part(init, False)
        carry, head = part(carry, True)
    else:
        carry, head = part(init, True)
        carry, tail = part(carry, False)
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
    raise GradientError(
        "while_loop has no reverse gradient: how many steps there are is known only afterwards",
        hint="use fori_loop or scan with a fixed or symbolic number of steps",
    )


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
    (condition, body), outer = _close([[test], outputs], [leaves, leaves])
    made = results(while_(*flatten(init), *outer, test=condition, body=body, carries=len(leaves)))
    return unflatten(init, list(made))


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
    wanted = [i for i, x in enumerate(inputs) if x.dtype.is_float]
    given = [j for j, part in enumerate(g) if part is not None]
    if not wanted or not given:
        return (None,) * (1 + len(inputs))
    cotangents = [_leaf(f"g{j}", y[j].type) for j in given]
    made = []
    for branch in branches:
        seeds: dict[Node, Any] = {}
        for j, leaf in zip(given, cotangents, strict=True):
            out = branch.outputs[j]
            seeds[out] = seeds[out] + leaf if out in seeds else leaf
        found = differentiate(seeds, [branch.inputs[i] for i in wanted])
        parts = [ops.zeros_like(inputs[i]) if p is None else p for i, p in zip(wanted, found, strict=True)]
        made.append(Graph((*branch.inputs, *cotangents), parts, name="body"))
    pulled = results(choose_(index, *inputs, *(g[j] for j in given), branches=tuple(made)))  # type: ignore[arg-type]
    found_of = dict(zip(wanted, pulled, strict=True))
    return (None, *(found_of.get(i) for i in range(len(inputs))))


choose_: Op = Op("switch", _choose_type, _choose_reference, Choose(), _choose_vjp, build=build)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Tree) -> Any:
    """branches[index](*operands): only the branch taken is computed. An index out of range takes the nearest.

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
    """true_fun(*operands) if a boolean holds, else false_fun(*operands); only one of them is computed.

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
