"""What is wrong with a model."""

from __future__ import annotations

from typing import Any

from graphc.errors import GraphError

MOST = 1000  # characters: names in a message are the model's, and may be of any length


class ModelError(GraphError):
    """A model that cannot be read: the message names the node and its operator.

    `needs` are the inputs whose values sizes depend on, where that is what stands in the way: `gx.onnx.load(..., values={...})`.
    """

    needs: tuple[str, ...] = ()

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message if len(message) <= MOST else f"{message[: MOST - 3]}...", **more)
