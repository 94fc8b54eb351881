"""Models for others: a declared graph as ONNX.

    writing.py      an ONNX graph under construction
    kernels.py      the data types that runtimes compute each operator in
    formulas.py     scalar operations as operators
    elements.py     scalar code of all elements at once
    operators.py    the table of operations, and what becomes of the others
    recognised.py   functions that ONNX has an operator for, among their parts
    families/       the operations, a file for each family
    save.py         save, and what makes a model of a graph
"""

from graphc.onnx.saving import families as families
from graphc.onnx.saving import recognised as recognised
from graphc.onnx.saving.save import save, to_model

__all__ = ["save", "to_model"]
