"""Models of others: ONNX in, and out.

    values.py       symbols, and what is known while a model is read
    checks.py       names, order, the standard's form and sizes, before and while a model is read
    large.py        a large file, which is read when its symbols are asked for
    external.py     constants in files beside the model
    operators.py    the table of operators, and one node as they see it
    families/       the operators, a file for each family
    reading.py      a model's protobuf as symbols
    model.py        load, and the Model it gives
    saving/         save: a declared graph as a model for others
"""

from collections.abc import Callable
from typing import Any

from graphc.onnx.errors import ModelError
from graphc.onnx.model import Model, load
from graphc.onnx.operators import Call, operator
from graphc.onnx.saving import save, to_model

__all__ = ["Call", "Model", "ModelError", "load", "register", "save", "to_model"]


def register(name: str, function: Callable[[Call], Any]) -> None:
    """Add an operator, "domain::Op", to those that models may have; one of ONNX's own domain has no "domain::".

    function: of a `Call`, one node with its operands, to a symbol, or a tuple of them where the operator has several results.

    >>> import graphc as gx
    >>> gx.onnx.register("mine::Half", lambda call: call[0] / 2)
    """
    operator(name)(function)
