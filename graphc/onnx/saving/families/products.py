"""Products of matrices."""

from __future__ import annotations

from graphc.ir.graph import Node
from graphc.ir.operation import Contraction
from graphc.onnx.saving.operators import given, lowered
from graphc.onnx.saving.writing import Value, Writer


@lowered(Contraction)
def product(w: Writer, node: Node) -> Value:
    return w.compute("MatMul", *given(w, node))
