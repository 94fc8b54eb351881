"""The operations, by family; each file puts its own into the table."""

from graphc.onnx.saving.families import draws, loops, orders, places, products, reductions, shapes, transforms

__all__ = ["draws", "loops", "orders", "places", "products", "reductions", "shapes", "transforms"]
