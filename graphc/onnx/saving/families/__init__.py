"""The operations, by family; each file puts its own into the table."""

from graphc.onnx.saving.families import loops, orders, places, products, reductions, shapes, transforms

__all__ = ["loops", "orders", "places", "products", "reductions", "shapes", "transforms"]
