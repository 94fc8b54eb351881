"""What is wrong with a model."""

from __future__ import annotations

from graphc.errors import GraphError


class ModelError(GraphError):
    """A model that cannot be read: the message names the node and its operator.

    `needs` are the inputs whose values sizes depend on, where that is what stands in the way: `gx.onnx.load(..., values={...})`.
    """

    needs: tuple[str, ...] = ()
