"""What an output is made of, as the graph shows it: logits and a softmax or a sigmoid, or a layer's plain sums."""

from __future__ import annotations

import graphc as gx
from graphc import Tensor, Variable

_MOVES = ("broadcast_to", "reshape", "expand_dims", "squeeze", "astype")


def before_softmax(y: Tensor) -> Tensor | None:
    """What went into the softmax over the last axis that a symbol is the result of, but for a shift of each row.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 3))
    >>> before_softmax(gx.nn.softmax(x)) is not None, before_softmax(gx.exp(x)) is None
    (True, True)
    """
    if y.op.name != "multiply":
        return None
    e, scale = y.inputs
    total = _behind(scale, _MOVES)
    if e.op.name != "exp" or total.op.name != "divide":
        return None
    one, summed = (_behind(part, _MOVES) for part in total.inputs)
    if one.op.name != "full" or one.attrs["value"] != 1:
        return None
    if summed.op.name != "sum" or summed.inputs[0] is not e or summed.attrs["axes"] != (y.ndim - 1,):
        return None
    found = e.inputs[0]
    assert isinstance(found, Tensor)
    return found


def before_sigmoid(y: Tensor) -> Tensor | None:
    """What went into the sigmoid that a symbol is the result of."""
    node = _behind(y, ("reshape", "squeeze", "expand_dims"))
    if node.op.name != "sigmoid":
        return None
    found = node.inputs[0]
    assert isinstance(found, Tensor)
    return gx.reshape(found, y.shape)


def is_linear(y: Tensor) -> bool:
    """Whether a symbol is a product of matrices or a convolution with weights, with or without a bias: no probability.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 3))
    >>> is_linear(gx.layers.Dense(2)(x)), is_linear(gx.layers.Dense(2, activation="relu")(x))
    (True, False)
    """
    node = _behind(y, _MOVES)
    if node.op.name == "add":
        left, right = (_behind(part, _MOVES) for part in node.inputs)
        if isinstance(right, Variable):
            node = left
    weighs = any(isinstance(_behind(part, _MOVES), Variable) for part in node.inputs)
    return weighs and node.op.name in ("matmul", "convolve", "einsum", "tensordot")


def _behind(node: gx.ir.Node, names: tuple[str, ...]) -> gx.ir.Node:
    while node.op.name in names:
        node = node.inputs[0]
    return node
