"""Where symbols multiply what is computed with weights: the products that can be quantised.

A weight is an operand of a product, or of a convolution, that depends on no input; the other operand does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.data.trees import leaves

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Product:
    """A node that multiplies: which of its two operands is the weight, and the axis of that along which outputs differ."""

    node: Tensor
    side: int
    axis: int

    @property
    def weight(self) -> Tensor:
        found = self.node.inputs[self.side]
        assert isinstance(found, Tensor)
        return found

    @property
    def given(self) -> Tensor:
        found = self.node.inputs[1 - self.side]
        assert isinstance(found, Tensor)
        return found


def _axis(node: gx.ir.Node, side: int) -> int | None:
    """The axis of an operand along which each output has numbers of its own; None where the node is no product."""
    match node.op.name:
        case "matmul":
            return -1 if side else -2
        case "convolve" if side == 1:
            return 0 if node.attrs["first"] else -1
    return None


def products(outputs: Sequence[Tensor]) -> list[Product]:
    """The products with weights that lead to outputs, in their order."""
    given: set[gx.ir.Node] = set()
    found = []
    for node in gx.ir.Graph((), tuple(outputs)).nodes:
        if node.op.name == "input" or any(i in given for i in node.inputs):
            given.add(node)
        if len(node.inputs) != 2 or node not in given or node.type.dtype != gx.float32:
            continue
        fixed = [side for side in (0, 1) if node.inputs[side] not in given]
        axis = _axis(node, fixed[0]) if fixed else None
        if axis is not None:
            assert isinstance(node, Tensor)
            found.append(Product(node, fixed[0], axis))
    return found


def replaced(
    outputs: Sequence[Tensor], chosen: Sequence[Product], operand: Callable[[Product, int, Tensor], Tensor]
) -> list[Any]:
    """The outputs with other operands in the chosen products: operand(product, side, what it has become)."""
    by_node: Mapping[gx.ir.Node, Product] = {p.node: p for p in chosen}

    def change(node: gx.ir.Node, inputs: tuple[gx.ir.Node, ...]) -> gx.ir.Node:
        if node in by_node:
            inputs = tuple(operand(by_node[node], side, x) for side, x in enumerate(inputs))  # type: ignore[arg-type]
        return gx.ir.graph.on_inputs(node, inputs)

    return gx.ir.graph.substitute(outputs, {}, change)


def name_of(product: Product, number: int) -> str:
    """The name of the only variable in a weight, or a number."""
    variables = [n for n in gx.ir.Graph((), (product.weight,)).nodes if isinstance(n, gx.Variable)]
    return variables[0].name if len(variables) == 1 else f"weight{number}"


def chosen_products(function: str, outputs: Any, skip: Sequence[str]) -> dict[Product, str]:
    """The products with weights that lead to symbols, but for those that `skip` names, and their names."""
    found = {p: name_of(p, i) for i, p in enumerate(products(leaves(outputs)))}
    check_names(function, skip, list(found.values()), "weights")
    chosen = {p: name for p, name in found.items() if name not in skip}
    if not chosen:
        raise gx.errors.InputError(
            f"{function}: there is no product of float32 with weights", where=gx.errors.caller(),
            hint="a weight depends on no placeholder",
        )  # fmt: skip
    return chosen


def names_in(function: str, skip: Any) -> tuple[str, ...]:
    """The names that an option `skip` has: one, or several."""
    found = (skip,) if isinstance(skip, str) else skip
    if not isinstance(found, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in found):
        raise gx.errors.InputError(f"{function}: skip is {skip!r}", where=gx.errors.caller(), hint="a list of names")
    return tuple(found)


def check_names(function: str, skip: Sequence[str], known: Sequence[str], what: str) -> None:
    """An error for a name that is none of those known."""
    for name in skip:
        if name not in known:
            raise gx.errors.InputError(
                f"{function}: skip names {name!r}, which is none of the {what}", where=gx.errors.caller(),
                hint="there are " + ", ".join(dict.fromkeys(known)),
            )  # fmt: skip
