"""Steps of optimisers, and gradients: the domain ai.onnx.preview.training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphc as gx
from graphc.onnx.operators import Call, operator
from graphc.onnx.values import symbol

_DOMAIN = "ai.onnx.preview.training::"


def _grouped(call: Call, states: int) -> list[list[gx.Tensor]]:
    """For each tensor that is trained: itself, its gradient, its states."""
    given = call.symbols()[2:]
    count = len(given) // (2 + states)
    return [given[i::count] for i in range(count)]


def _in_order(rows: Sequence[tuple[Any, ...]]) -> tuple[gx.Tensor, ...]:
    return tuple(v for column in zip(*rows, strict=True) for v in column)


@operator(_DOMAIN + "Adagrad")
def adagrad(call: Call) -> Any:
    rate = call[0] / (1 + gx.astype(call[1], "float32") * call.attr("decay_factor", 0.0))
    rows = []
    for x, g, h in _grouped(call, 1):
        g = g + call.attr("norm_coefficient", 0.0) * x
        h = h + g * g
        rows.append((x - rate * g / (gx.sqrt(h) + call.attr("epsilon", 0.0)), h))
    return _in_order(rows)


@operator(_DOMAIN + "Adam")
def adam(call: Call) -> Any:
    alpha, beta, eps = call.attr("alpha", 0.9), call.attr("beta", 0.999), call.attr("epsilon", 1e-8)
    t = gx.astype(call[1], "float32")
    rate = gx.where(t > 0, call[0] * gx.sqrt(1 - beta**t) / (1 - alpha**t), call[0])
    rows = []
    for x, g, v, h in _grouped(call, 2):
        g = g + call.attr("norm_coefficient", 0.0) * x
        v, h = alpha * v + (1 - alpha) * g, beta * h + (1 - beta) * g * g
        new = x - rate * v / (gx.sqrt(h) + eps)
        rows.append(((1 - call.attr("norm_coefficient_post", 0.0)) * new, v, h))
    return _in_order(rows)


@operator(_DOMAIN + "Momentum")
def momentum(call: Call) -> Any:
    alpha, beta = call.attrs["alpha"], call.attrs["beta"]
    factor = gx.where(call[1] > 0, gx.full((), beta, "float32"), 1.0)
    rows = []
    for x, g, v in _grouped(call, 1):
        g = g + call.attr("norm_coefficient", 0.0) * x
        v = alpha * v + factor * g
        step = g + alpha * v if call.attr("mode", "standard") == "nesterov" else v
        rows.append((x - call[0] * step, v))
    return _in_order(rows)


@operator(_DOMAIN + "Gradient")
def gradient(call: Call) -> Any:
    y = symbol(call.scope[call.attrs["y"]])
    return tuple(gx.grad(gx.sum(y), [symbol(call.scope[x]) for x in call.attrs["xs"]]))
