"""What the scalar code of a node is seen to do."""

from __future__ import annotations

import graphc as gx
from graphc.ir import dims
from graphc.passes.trace import EXPENSIVE, is_dear, trace

I, J = dims.symbol("d.0"), dims.symbol("d.1")


def test_what_is_loaded_and_what_is_computed() -> None:
    x = gx.placeholder("x", ("n", 3), "float32")
    code = trace(x * x.T.T)
    assert [(given.node.op.name, given.at, given.path) for given in code.loads] == [
        ("input", (I, J), (0,)), ("permute_dims", (I, J), (1,)),
    ]  # fmt: skip
    assert [step.op for step in code.steps] == ["mul"]
    assert code.weight == 1


def test_inlined_operands_are_part_of_the_code() -> None:
    x, y = gx.placeholder("x", (4, 3), "float32"), gx.placeholder("y", (3, 4), "float32")
    turned = gx.exp(y).T
    code = trace(x + turned, inlined=lambda node: node is turned or node is turned.inputs[0])
    assert [(given.node, given.at, given.path) for given in code.loads] == [(x, (I, J), (0,)), (y, (J, I), (1, 0, 0))]
    assert [step.op for step in code.steps] == ["exp", "add"]


def test_names_of_values_are_told_apart() -> None:
    """Indices that are data are named after the values that they are: no two values have one name."""
    x, i = gx.placeholder("x", (9,), "float32"), gx.placeholder("i", (4,), "int64")
    one, other = gx.take(x, i), gx.take(x, i + 1)
    code = trace(one + other, inlined=lambda node: bool(node.inputs))
    places = [given.at for given in code.loads if given.node is x]
    assert len(places) == len(set(places)) == 2


def test_finding_an_element_that_is_moved_costs_nothing() -> None:
    x = gx.placeholder("x", (3, 4), "float32")
    assert trace(x.reshape(2, 6)).weight == 0
    assert is_dear(gx.exp(x)) and trace(gx.exp(x)).weight >= EXPENSIVE and not is_dear(x + 1)
