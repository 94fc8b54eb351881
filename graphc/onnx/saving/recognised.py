"""Functions that a graph holds as their parts, and that ONNX has an operator for: softmax, relu, gelu, layer norm.

What looks like the last node of one is compared with the function itself, applied once more to what its operand would be. So
there is no second text of any formula here, and what differs from it in a single node stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import graphc as gx
from graphc.ir.graph import Node
from graphc.onnx.saving.operators import RECOGNISED, loose, value_of
from graphc.onnx.saving.writing import Value, Writer, working

Rule = Callable[[Writer, Any], Value | None]


def recognised(w: Writer, node: Node) -> Value | None:
    """The operator whose last part a node is."""
    for rule in ROOTS.get(node.op.name, ()):
        found = rule(w, node)
        if found is not None:
            return found
    return None


def _is(node: Any, function: Callable[..., Any], *operands: Any, **options: Any) -> bool:
    made: Any = function(*operands, **options)
    return made.type == node.type and bool(gx.ops.declare.alike(made, node))


def _under(node: Any, name: str, divided: int = 1) -> Any:
    """The first node of a name on the way down, of a quotient by its divisor, or by what is divided."""
    for _ in range(6):
        if node.op.name == name:
            return node
        if node.op.name not in ("broadcast_to", "reshape", "divide", "sqrt", "log", "add"):
            return None
        node = node.inputs[divided if node.op.name == "divide" else 0]
    return None


def softmax(w: Writer, node: Any) -> Value | None:
    """e * (1 / sum(e)), e = exp(x - shift)"""
    e, rest = node.inputs
    if e.op.name != "exp" or e.inputs[0].op.name != "subtract" or working("Softmax", node.dtype) != node.dtype:
        return None
    total, x = _under(rest, "sum"), e.inputs[0].inputs[0]
    if total is None or len(total.attrs["axes"]) != 1 or not _is(node, gx.nn.softmax, x, axis=total.attrs["axes"][0]):
        return None
    return w.op("Softmax", value_of(w, x), axis=total.attrs["axes"][0])


def log_softmax(w: Writer, node: Any) -> Value | None:
    """(x - shift) - log(sum(exp(x - shift)))"""
    shifted, rest = node.inputs
    if shifted.op.name != "subtract" or working("Softmax", node.dtype) != node.dtype:
        return None
    total, x = _under(rest, "sum"), shifted.inputs[0]
    if total is None or len(total.attrs["axes"]) != 1 or not _is(node, gx.nn.log_softmax, x, axis=total.attrs["axes"][0]):
        return None
    return w.op("LogSoftmax", value_of(w, x), axis=total.attrs["axes"][0])


def relu(w: Writer, node: Any) -> Value | None:
    """where(x <= 0, 0, x)"""
    test, _, x = node.inputs
    if test.op.name != "less_equal" or not node.dtype.is_float or node.dtype.is_storage or not _is(node, gx.nn.relu, x):
        return None
    return w.op("Relu", value_of(w, x))


def gelu(w: Writer, node: Any) -> Value | None:
    """x * (0.5 * (1 + erf(x * sqrt(0.5)))), where -inf counts as 0, since ONNX's operator gives NaN"""
    cleaned, half = node.inputs
    if cleaned.op.name != "where" or half.op.name != "multiply" or working("Gelu", node.dtype) != node.dtype:
        return None
    x = cleaned.inputs[2]
    for approximate in ("none", "tanh"):
        if _is(node, gx.nn.gelu, x, approximate):
            return w.op("Gelu", value_of(w, cleaned), approximate=approximate)
    return None


def _normalised(node: Any) -> tuple[Any, int, float] | None:
    """What is normalised over the last axes from one on, if a node is the product that does so, and its epsilon."""
    if node.op.name != "multiply" or node.inputs[0].op.name != "subtract":
        return None
    x, spread = node.inputs[0].inputs[0], _under(node.inputs[1], "sqrt")
    mean = None if spread is None else _under(spread.inputs[0], "sum", divided=0)
    if spread is None or mean is None or spread.inputs[0].op.name != "add":
        return None
    axes, eps = mean.attrs["axes"], _number(spread.inputs[0].inputs[1])
    if eps is None or axes != tuple(range(axes[0], x.ndim)) or not _is(node, gx.nn.layer_norm, x, axis=axes, eps=eps):
        return None
    return x, axes[0], eps


def _number(node: Any) -> float | None:
    while node.op.name == "broadcast_to":
        node = node.inputs[0]
    value = node.attrs.get("value") if node.op.name == "full" else None
    return value if isinstance(value, float) else None


def layer_norm(w: Writer, node: Any) -> Value | None:
    """(x - mean) * (1 / sqrt(variance + eps)), times a weight and plus a bias if they follow"""
    product, bias = (node.inputs[0], node.inputs[1]) if node.op.name == "add" else (node, None)
    if product.op.name != "multiply" or working("LayerNormalization", node.dtype) != node.dtype:
        return None
    found, weight = _normalised(product), None
    if found is None:
        found, weight = _normalised(product.inputs[0]), product.inputs[1]
    if found is None or (bias is not None and weight is None):
        return None
    x, axis, eps = found
    shape = x.shape[axis:]
    if not all(isinstance(n, int) and n > 0 for n in shape):
        return None
    given: list[Value] = []
    for factor in (weight, bias):
        if factor is None:
            continue
        value, its = loose(w, factor)
        if its != shape:
            return None
        given.append(value)
    if not given:
        given.append(w.constant(np.ones(shape), node.dtype))
    return w.op("LayerNormalization", value_of(w, x), *given, axis=axis, epsilon=eps)


ROOTS: Mapping[str, tuple[Rule, ...]] = {
    "multiply": (softmax, gelu, layer_norm), "subtract": (log_softmax,), "where": (relu,), "add": (layer_norm,),
}  # fmt: skip

RECOGNISED.append(recognised)
