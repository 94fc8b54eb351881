"""Models of others: ONNX in.

    values.py       symbols, and what is known while a model is read
    operators.py    the table of operators, and one node as they see it
    families/       the operators: elementwise, shapes, reductions, products, images, sequences, quantized, control
    reading.py      a model's protobuf as symbols
    model.py        load, and the Model it gives
"""

from graphc.onnx.errors import ModelError
from graphc.onnx.model import Model, load
from graphc.onnx.operators import Call, operator

__all__ = ["Call", "Model", "ModelError", "load", "register"]


def register(name, function):  # type: ignore[no-untyped-def]
    """Add an operator, "domain::Op": a function of a Call, which gives a symbol or a tuple of them."""
    operator(name)(function)
