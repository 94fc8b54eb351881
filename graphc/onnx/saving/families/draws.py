"""Draws by rejection, by the formulas that judge all candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import graphc as gx
from graphc.ir.dims import Shape
from graphc.ir.graph import Graph, Node
from graphc.onnx.saving.operators import given, inlined, saves
from graphc.onnx.saving.writing import Value, Writer


@saves("gamma_draw")
def gamma(w: Writer, node: Node, **attrs: Any) -> Value | None:
    return _draw(w, node, gx.ops.gamma_formula, **attrs)


@saves("poisson_draw")
def poisson(w: Writer, node: Node, **attrs: Any) -> Value | None:
    return _draw(w, node, gx.ops.poisson_formula, **attrs)


def _draw(w: Writer, node: Node, formula: Callable[..., Node], shape: Shape, over: int, **attrs: Any) -> Value | None:
    """Draws by several keys at once are not among the formulas."""
    if over:
        return None
    leaves = [gx.placeholder(f"x{i}", x.type.shape, x.type.dtype) for i, x in enumerate(node.inputs)]
    return inlined(w, Graph(leaves, [formula(*leaves, shape=shape, **attrs)]), given(w, node))[0]
