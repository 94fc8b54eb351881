"""The operators, by family; each file puts its own into the table."""

from graphc.onnx.families import (
    contributed, control, elementwise, images, learning, lists, products, quantized, reductions, sampling, sequences, shapes,
    training,
)  # fmt: skip

__all__ = [
    "contributed", "control", "elementwise", "images", "learning", "lists", "products", "quantized", "reductions", "sampling",
    "sequences", "shapes", "training",
]  # fmt: skip
