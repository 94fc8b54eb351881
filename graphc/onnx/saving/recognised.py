"""Functions that a graph holds as their parts, and that ONNX has an operator for: softmax, relu, gelu, layer norm, attention,
transposed convolutions.

What looks like the last node of one is compared with the function itself, applied once more to what its operand would be. So
there is no second text of any formula here, and what differs from it in a single node stays as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import graphc as gx
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.graph import Node
from graphc.ir.structure import attributes_of
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
    """Whether a node is what a function gives for its operands."""
    try:
        made = function(*operands, **options)
    except gx.GraphError:  # what was guessed of its options does not fit them
        return False
    todo, seen = [(made, node)], set()
    while todo:
        a, b = todo.pop()
        if a is b:
            continue
        if a.is_given or b.is_given or a.op is not b.op or a.type != b.type or len(a.inputs) != len(b.inputs):
            return False
        if attributes_of(a) != attributes_of(b):
            return False
        for x, y in zip(a.inputs, b.inputs, strict=True):
            if (id(x), id(y)) not in seen:
                seen.add((id(x), id(y)))
                todo.append((x, y))
    return True


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


# --- attention ---------------------------------------------------------------------------------------------------------


def attention(w: Writer, node: Any) -> Value | None:
    """softmax(q k^T * scale) v, with or without a mask, of one head or several; a row that sees nothing is 0 there too"""
    product = node.inputs[0] if node.op.name == "reshape" else node
    if product.op.name != "matmul" or product.inputs[0].op.name != "multiply" or product.inputs[0].inputs[0].op.name != "exp":
        return None
    shared = product is not node  # heads of keys and values are shared, by axes of size 1
    conditions, added, scores = _scores(product.inputs[0].inputs[0].inputs[0])
    if scores is None or working("Attention", node.dtype) != node.dtype:
        return None
    scaled, number = scores.inputs[0], _number(scores.inputs[1])
    keys = _without(scaled.inputs[1], "broadcast_to")
    if number is None or keys.op.name != "permute_dims":
        return None
    q, k, v = scaled.inputs[0], keys.inputs[0], product.inputs[1]
    if shared:
        v = _without(v, "broadcast_to")
        if any(x.op.name != "reshape" for x in (q, k, v)):
            return None
        q, k, v = (x.inputs[0] for x in (q, k, v))
    if not 2 <= q.ndim <= 4 or not q.ndim == k.ndim == v.ndim or (shared and q.ndim != 4):
        return None
    heads = 1 if shared else q.ndim - 2
    if q.shape[:heads] != k.shape[:heads] or k.shape[:-2] != v.shape[:-2]:
        return None
    for mask, causal in _masks(conditions, added):
        for scale in (None, number):
            if _is(node, gx.nn.attention, q, k, v, causal=causal, mask=mask, scale=scale):
                return _attended(w, (q, k, v), mask, causal, scale)
    return None


def _scores(top: Any) -> tuple[list[Any], list[Any], Any]:
    """Where scores count, what is added to them, and themselves: a product of matrices times a number."""
    conditions, added, scores = [], [], top.inputs[0] if top.op.name == "subtract" else top
    while scores.op.name in ("where", "add"):
        if scores.op.name == "where":
            conditions.append(scores.inputs[0])
            scores = scores.inputs[1]
        else:
            added.append(scores.inputs[1])
            scores = scores.inputs[0]
    found = scores.op.name == "multiply" and scores.inputs[0].op.name == "matmul"
    return conditions, added, scores if found else None


def _masks(conditions: list[Any], added: list[Any]) -> list[tuple[Any, bool]]:
    """What the mask of attention may have been, and whether it is causal."""
    if len(added) + len(conditions) > 2 or len(added) > 1:
        return []
    if added:
        return [(_without(added[0], "broadcast_to"), bool(conditions))]
    if not conditions:
        return [(None, False)]
    first = conditions[0]
    kinds = dict.fromkeys((_without(first, "broadcast_to"), first, _without(_without(first, "broadcast_to"), "reshape")))
    masked = [(mask, len(conditions) == 2) for mask in kinds]
    return masked if len(conditions) == 2 else [(None, True), *masked]


def _without(node: Any, name: str) -> Any:
    return node.inputs[0] if node.op.name == name else node


def _attended(w: Writer, operands: tuple[Any, ...], mask: Any, causal: bool, scale: float | None) -> Value | None:
    q, k = operands[:2]
    if q.dtype != t.float32 and scale is not None and float(np.float32(scale)) != scale:
        return None  # the attribute is a float32
    rank, size = q.ndim, (q.shape[-2], k.shape[-2])
    new = {2: [0, 1], 3: [1], 4: []}[rank]
    values = [value_of(w, x) for x in operands]
    if mask is not None:
        bias, shape = loose(w, mask)
        if tuple(shape[-2:]) != size:
            shape = (*shape[:-2], *size)
            bias = w.expand(bias, shape)
        values.append(w.op("Unsqueeze", bias, w.ints([1])) if rank == len(shape) == 3 else bias)
    if new:
        values[:3] = [w.op("Unsqueeze", x, w.ints(new)) for x in values[:3]]
    w.needs(23)
    y = w.op("Attention", *values, is_causal=int(causal) or None, scale=scale)
    return w.op("Squeeze", y, w.ints(new)) if new else y


# --- transposed convolutions ---------------------------------------------------------------------------------------------


def conv_transpose(w: Writer, node: Any) -> Value | None:
    """Convolutions with some of the taps each, whose results are interleaved"""
    axes, stride, size = (node.attrs[name] for name in ("axes", "by", "size"))
    if axes not in (tuple(range(2, node.ndim)), tuple(range(1, node.ndim - 1))):
        return None
    remainders = itertools.product(*(range(s) for s in stride))
    part, remainder = next(((x, r) for x, r in zip(node.inputs, remainders, strict=True) if x.op.name == "convolve"), (None, ()))
    if part is None or part.inputs[1].op.name != "slice" or working("ConvTranspose", node.dtype) is None:
        return None
    x, taps, first, groups = part.inputs[0], part.inputs[1].attrs, part.attrs["first"], part.attrs["groups"]
    kernels = part.inputs[1].inputs[0]
    for name in ("reshape", "permute_dims", "reshape"):
        if kernels.op.name != name:
            return None
        kernels = kernels.inputs[0]
    lead, nd = (2 if first else 0), len(stride)
    dilation, before = [], []
    for a in range(nd):
        step, number = -taps["step"][lead + a], taps["size"][lead + a]
        if step < 1 or stride[a] % step:
            return None
        apart = part.attrs["dilation"][a] * (stride[a] // step)
        place = dims.sub((number - 1) * part.attrs["dilation"][a], part.attrs["before"][a])
        nearest = taps["start"][lead + a] - step * (number - 1)
        dilation.append(apart)
        before.append(dims.sub(dims.add(dims.mul(place, stride[a]), nearest * apart), remainder[a]))
    made = (x, kernels, stride, tuple(dilation), tuple(before), size, groups, first)
    if not _is(node, gx.ops.convolve_transposed, *made):
        return None
    return _transposed(w, *made)


def _transposed(
    w: Writer, x: Any, kernels: Any, stride: Any, dilation: Any, before: Any, size: Any, groups: Any, first: bool
) -> Value | None:  # fmt: skip
    nd = len(stride)
    shape = kernels.shape[2:] if first else kernels.shape[:nd]
    after, more = [], []
    for n, k, s, d, p, m in zip(x.shape[2:] if first else x.shape[1:-1], shape, stride, dilation, before, size, strict=True):
        left = dims.sub(dims.sub((n - 1) * s + d * (k - 1) + 1, p), m)
        if not isinstance(left, int) or not isinstance(p, int) or p < 0 or -left >= s:
            return None
        after.append(max(left, 0))
        more.append(max(-left, 0))
    images, weights = value_of(w, x), value_of(w, kernels)
    if not first:
        images = w.move("Transpose", images, perm=[0, nd + 1, *range(1, nd + 1)])
        weights = w.move("Transpose", weights, perm=[nd + 1, nd, *range(nd)])
    y = w.compute(
        "ConvTranspose", images, weights, strides=list(stride), dilations=list(dilation), pads=[*before, *after], group=groups,
        kernel_shape=list(shape), output_padding=more,
    )  # fmt: skip
    return y if first else w.move("Transpose", y, perm=[0, *range(2, nd + 2), 1])


ROOTS: Mapping[str, tuple[Rule, ...]] = {
    "multiply": (softmax, gelu, layer_norm), "subtract": (log_softmax,), "where": (relu,), "add": (layer_norm,),
    "matmul": (attention,), "reshape": (attention,), "interleave": (conv_transpose,),
}  # fmt: skip

RECOGNISED.append(recognised)
