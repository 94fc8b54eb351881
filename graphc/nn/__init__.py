"""Functions of neural networks, composed of the public vocabulary.

    activations.py   functions of single elements
    softmax.py       softmax and its kin
    normalisation.py values less their mean, over their standard deviation
    attention.py     attention
    convolution.py   convolution and its transpose
    pooling.py       maximum and mean of windows, of regions, of all
    recurrent.py     layers that go through time
    sampling.py      rows of a table, images at another resolution
    dropout.py       elements set to zero at random
    rotary.py        positions as turns
    alignment.py     labels whose places in time are not known
    losses.py        what training makes small
    images.py        the options that functions of images share

Nothing here is known to the compiler. Integers count as float64; float16 and bfloat16
are computed in float32, and the result of each function is rounded once.
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.nn.activations import (
    celu, elu, gelu, glu, hardshrink, hardsigmoid, hardswish, hardtanh, leaky_relu, log_sigmoid, mish, prelu, relu, relu6, selu,
    sigmoid, silu, softplus, softshrink, softsign, tanhshrink, threshold,
)  # fmt: skip
from graphc.nn.alignment import ctc_loss
from graphc.nn.attention import attention
from graphc.nn.convolution import conv, conv_transpose
from graphc.nn.dropout import dropout
from graphc.nn.losses import binary_cross_entropy, cross_entropy, hinge, huber, kl_divergence, l1, mse
from graphc.nn.normalisation import batch_norm, batch_norm_training, group_norm, instance_norm, layer_norm, rms_norm
from graphc.nn.pooling import adaptive_avg_pool, adaptive_max_pool, avg_pool, global_avg_pool, global_max_pool, max_pool
from graphc.nn.recurrent import gru, lstm, rnn
from graphc.nn.rotary import rope
from graphc.nn.sampling import embedding, resize
from graphc.nn.softmax import log_softmax, logsumexp, softmax, softmin

__all__ = [
    "adaptive_avg_pool", "adaptive_max_pool", "attention", "avg_pool", "batch_norm", "batch_norm_training",
    "binary_cross_entropy", "celu", "conv", "conv_transpose", "cross_entropy", "ctc_loss", "dropout", "elu", "embedding",
    "gelu", "global_avg_pool", "global_max_pool", "glu", "group_norm", "gru", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "hinge", "huber", "instance_norm", "kl_divergence", "l1", "layer_norm", "leaky_relu", "log_sigmoid",
    "log_softmax", "logsumexp", "lstm", "max_pool", "mish", "mse", "prelu", "relu", "relu6", "resize", "rms_norm", "rnn",
    "rope", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanhshrink",
    "threshold",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
