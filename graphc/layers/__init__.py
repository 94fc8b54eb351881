"""Layers: functions of symbols that own their variables.

    layer.py          the layer, its variables, parts, paths and calls
    initializers.py   first values of weights, by name
    regularizers.py   penalties on weights
    activations.py    functions of single elements, by name
    core.py           products, activations, dropout, shapes

Images have their channels last, [batch, height, width, channels], as in Keras; `layout="NCHW"` where they come first.
"""

from graphc.layers import activations, initializers, regularizers
from graphc.layers.layer import Call, Input, Layer, Trace, seed
from graphc.layers.core import Activation, Dense, Dropout, Flatten

__all__ = [
    "Activation", "Call", "Dense", "Dropout", "Flatten", "Input", "Layer", "Trace", "activations", "initializers", "regularizers",
    "seed",
]  # fmt: skip
