"""Functions of neural networks, composed of the public vocabulary.

    activations.py   functions of single elements
    softmax.py       softmax and its kin
    normalisation.py layer, root-mean-square
    attention.py     attention
    losses.py        cross-entropy, squares

Nothing here is known to the compiler. Integers count as float64.
"""

from graphc.nn.activations import gelu, relu, sigmoid, silu, softplus
from graphc.nn.attention import attention
from graphc.nn.losses import cross_entropy, mse
from graphc.nn.normalisation import layer_norm, rms_norm
from graphc.nn.softmax import log_softmax, logsumexp, softmax

__all__ = [
    "attention", "cross_entropy", "gelu", "layer_norm", "log_softmax", "logsumexp", "mse", "relu", "rms_norm", "sigmoid", "silu",
    "softmax", "softplus",
]  # fmt: skip
