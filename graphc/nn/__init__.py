"""Functions of neural networks, composed of the public vocabulary.

    activations.py   functions of single elements
    softmax.py       softmax and its kin
    normalisation.py layer, root-mean-square
    attention.py     attention
    convolution.py   convolution and its transpose
    pooling.py       maximum and mean of windows, of regions, of all
    images.py        the options that these two share
    losses.py        cross-entropy, squares

Nothing here is known to the compiler. Integers count as float64.
"""

from graphc.nn.activations import gelu, relu, sigmoid, silu, softplus
from graphc.nn.attention import attention
from graphc.nn.convolution import conv, conv_transpose
from graphc.nn.losses import cross_entropy, mse
from graphc.nn.normalisation import layer_norm, rms_norm
from graphc.nn.pooling import adaptive_avg_pool, adaptive_max_pool, avg_pool, global_avg_pool, global_max_pool, max_pool
from graphc.nn.softmax import log_softmax, logsumexp, softmax

__all__ = [
    "adaptive_avg_pool", "adaptive_max_pool",
    "attention",
    "avg_pool", "conv", "conv_transpose",
    "cross_entropy", "gelu",
    "global_avg_pool", "global_max_pool",
    "layer_norm", "log_softmax", "logsumexp", "max_pool", "mse", "relu", "rms_norm", "sigmoid", "silu",
    "softmax", "softplus",
]  # fmt: skip
