"""The operation `scan`: its type, its value, and its gradient, which is another scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.control.bodies import check_body, for_every, leaf_of, spread_flags, with_axis
from graphc.errors import ShapeError
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, on_inputs, substitute, topological
from graphc.ir.operation import VOCABULARY, Contraction, Pointwise, Project, Scan
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, Spread, build, results, spread
from graphc.ops.tensor import Tensor
from graphc.passes.differentiate import differentiate
from graphc.passes.trace import is_dear

Array = np.ndarray[Any, Any]
SHORT = 128  # a weight's gradient of products over at most so many terms a step is one product after the loop

def _scan_type(*inputs: TensorType, body: Graph, carries: int, sequences: int, steps: Size, reverse: bool) -> TupleType:
    slices = [*inputs[:carries], *(TensorType(x.dtype, x.shape[1:]) for x in inputs[carries : carries + sequences])]
    check_body("scan", body, [*slices, *inputs[carries + sequences :]], inputs[:carries], len(body.outputs) - carries)
    for x in inputs[carries : carries + sequences]:
        if not x.rank or x.shape[0] != steps:
            raise ShapeError(f"scan of {steps} steps over {x}", hint="the first axis of every sequence is that of the steps")
    return TupleType((*inputs[:carries], *(TensorType(y.type.dtype, (steps, *y.type.shape)) for y in body.outputs[carries:])))


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

    It is given what each step began with. Products, sums and the like are kept from the forward loop, and what is dear of
    elementwise code, such as exp, where that takes little more memory; the rest is computed again.
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

    from_carries = [seed(body.outputs[i], leaf_of(f"g_carry{i}", leaves[i].type)) for i in carried]
    wanted_ys = [j for j in range(carries, len(g)) if g[j] is not None]
    from_ys = [seed(body.outputs[j], leaf_of(f"g_y{j - carries}", body.outputs[j].type)) for j in wanted_ys]
    wrt = [*carried, *sliced, *shared]
    pulled = dict(zip(wrt, differentiate(seeds, [leaves[i] for i in wrt]), strict=True))
    parts = {i: ops.zeros_like(leaves[i]) if p is None else p for i, p in pulled.items()}  # type: ignore[arg-type]
    terms = {i: _terms(parts[i]) if pulled[i] is not None else [] for i in shared}
    products = [(i, term) for i in shared for term in terms[i] if _is_short_product(term)]
    summed = {i: [term for term in terms[i] if not _is_short_product(term)] for i in shared}
    added = [i for i in shared if summed[i]]

    sums = [leaf_of(f"g_outer{i - last}", leaves[i].type) for i in added]
    steps_out: list[Any] = [parts[i] for i in carried]
    steps_out += [_total([acc, *summed[i]]) for acc, i in zip(sums, added, strict=True)]
    steps_out += [parts[i] for i in sliced]
    factors = [_factors(term) for _, term in products]
    steps_out += [factor for pair in factors for factor in pair]

    histories, replaced = _kept(body, steps_out, set(leaves[:carries]))
    steps_out = substitute(steps_out, dict[Any, Any](replaced), on_inputs)
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

    The carries that it began with, and the results of everything but elementwise code: or in place of one what elementwise code
    makes of it, where a backward step reads nothing else of it. That is as large, and its other operands need not be read again.
    Dear elementwise results are kept too, if all together is then at most half as large again.
    """
    forward = {n for n in topological(body.outputs) if n.inputs}

    def histories(dear: bool) -> tuple[list[Node], list[Node]]:
        def is_kept(node: Node) -> bool:
            made = node in forward or (isinstance(node.op.lowering, Project) and node.inputs[0] in forward)
            cheap = isinstance(node.op.lowering, Pointwise) and not (dear and is_dear(node))
            return made and not cheap and not isinstance(node.type, TupleType)

        order, readers = _above(needed, lambda n: n in carried or is_kept(n))
        instead = {_followed(n, readers, forward, set(needed)) for n in order if is_kept(n)}
        order, _ = _above(needed, lambda n: n in carried or n in instead or is_kept(n))
        return [n for n in order if n in carried], [n for n in order if n in instead or is_kept(n)]

    few, many = histories(dear=False), histories(dear=True)
    little = dims.sub(dims.mul(3, _bytes(*few)), dims.mul(2, _bytes(*many)))
    began, kept = many if dims.is_nonnegative(little) else few
    replaced = {n: leaf_of(f"kept{i}", n.type) for i, n in enumerate(kept)}
    return [*began, *kept], replaced


def _bytes(*several: Sequence[Node]) -> Size:
    total: Size = 0
    for nodes in several:
        for node in nodes:
            total = dims.add(total, node.type.nbytes)
    return total


def _above(roots: Sequence[Node], ends: Callable[[Node], bool]) -> tuple[list[Node], dict[Node, list[Node]]]:
    """What some nodes are made of, no farther than to where it ends, in the order of its being met; and who reads each of it."""
    readers: dict[Node, list[Node]] = {}
    order: dict[Node, None] = {}
    todo = list(reversed(roots))
    while todo:
        node = todo.pop()
        if node in order:
            continue
        order[node] = None
        if not ends(node):
            for given in node.inputs:
                readers.setdefault(given, []).append(node)
            todo += reversed(node.inputs)
    return list(order), readers


def _followed(node: Node, readers: dict[Node, list[Node]], forward: set[Node], needed: set[Node]) -> Node:
    """The last of a line of forward values of one type that begins with a node, each made by the only reader of the last."""
    while node not in needed:
        match readers[node]:
            case [reader] if reader in forward and isinstance(reader.op.lowering, Pointwise) and reader.type == node.type:
                node = reader
            case _:
                break
    return node


def _scan_every(
    size: Size, *inputs: Spread, body: Graph, carries: int, sequences: int, steps: Size, reverse: bool
) -> list[Spread]:
    """The same loop of a body for every element; sequences and results have the axis of the steps first."""
    last = carries + sequences
    flags = spread_flags(body, [has for _, has in inputs], carries, size)
    leaves = with_axis(body.inputs, flags, size)
    found = for_every(body, leaves, flags, size)
    outputs = [spread(y, size) if flags[i] else y[0] for i, y in enumerate(found[:carries])]
    given = [spread(x, size) if has else x[0] for x, has in zip(inputs, flags, strict=True)]
    for i in range(carries, last):
        if flags[i]:
            given[i] = ops.swapaxes(given[i], 0, 1)
    made = results(scan_(
        *given, body=Graph(leaves, (*outputs, *(y for y, _ in found[carries:])), name="body"), carries=carries,
        sequences=sequences, steps=steps, reverse=reverse,
    ))  # fmt: skip
    ys = [(ops.swapaxes(y, 0, 1) if has else y, has) for y, (_, has) in zip(made[carries:], found[carries:], strict=True)]
    return [*zip(made[:carries], flags, strict=False), *ys]


scan_: Op = Op("scan", _scan_type, _scan_reference, Scan(), _scan_vjp, every=_scan_every, build=build)
