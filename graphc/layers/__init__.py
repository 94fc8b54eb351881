"""Layers: functions of symbols that own their variables.

    layer.py          the layer, its variables, parts, paths and calls
    initializers.py   first values of weights, by name
    regularizers.py   penalties on weights
    activations.py    functions of single elements, by name
    core.py           products, activations, dropout, shapes, sums of several inputs
    convolution.py    convolutions
    pooling.py        maxima and means of windows, larger images
    normalization.py  values less their mean, over their standard deviation
    embedding.py      vectors of words and places
    recurrent.py      layers that go through time
    attention.py      attention, and the blocks of Transformers
    augmentation.py   images changed at random while training
    config.py         layers as data, for files
    logits.py         what an output is made of, as the graph shows it

Images have their channels last, [batch, height, width, channels], as in Keras; `layout="NCHW"` where they come first.
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.layers import activations, initializers, logits, regularizers
from graphc.layers.layer import Call, Input, Layer, Trace, seed, seeded
from graphc.layers.core import (
    Activation, Add, Average, Concat, Concatenate, Dense, Dropout, Flatten, GaussianNoise, Lambda, Maximum, Multiply, Permute,
    Rescaling, Reshape, Residual, SpatialDropout, Subtract,
)  # fmt: skip
from graphc.layers.convolution import (
    Conv, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, ConvTranspose, DepthwiseConv1D,
    DepthwiseConv2D, SeparableConv2D,
)  # fmt: skip
from graphc.layers.pooling import (
    AveragePool, AveragePooling1D, AveragePooling2D, AveragePooling3D, GlobalAveragePool, GlobalAveragePooling1D,
    GlobalAveragePooling2D, GlobalMaxPool, GlobalMaxPooling1D, GlobalMaxPooling2D, MaxPool, MaxPooling1D, MaxPooling2D,
    MaxPooling3D, UpSampling, UpSampling2D, ZeroPadding, ZeroPadding2D,
)  # fmt: skip
from graphc.layers.normalization import (
    BatchNorm, BatchNormalization, GroupNorm, GroupNormalization, LayerNorm, LayerNormalization, RMSNorm, RMSNormalization,
)  # fmt: skip
from graphc.layers.embedding import Embedding, PositionEmbedding, SinusoidalPositions
from graphc.layers.recurrent import GRU, LSTM, Bidirectional, SimpleRNN, TimeDistributed
from graphc.layers.attention import FeedForward, MultiHeadAttention, TransformerDecoder, TransformerEncoder
from graphc.layers.augmentation import (
    Cutout, RandomBrightness, RandomContrast, RandomCrop, RandomFlip, RandomRotation, RandomTranslation, RandomZoom,
)  # fmt: skip
from graphc.layers.config import from_data, register, to_data

__all__ = [
    "GRU", "LSTM", "Activation", "Add", "Average", "AveragePool", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "BatchNorm", "BatchNormalization", "Bidirectional", "Call", "Concat", "Concatenate", "Conv", "Conv1D", "Conv1DTranspose",
    "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "ConvTranspose", "Cutout", "Dense", "DepthwiseConv1D",
    "DepthwiseConv2D", "Dropout", "Embedding", "FeedForward", "Flatten", "GaussianNoise", "GlobalAveragePool",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPool", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "GroupNorm", "GroupNormalization", "Input", "Lambda", "Layer", "LayerNorm", "LayerNormalization", "MaxPool", "MaxPooling1D",
    "MaxPooling2D", "MaxPooling3D", "Maximum", "MultiHeadAttention", "Multiply", "Permute", "PositionEmbedding", "RMSNorm",
    "RMSNormalization", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation",
    "RandomZoom", "Rescaling", "Reshape", "Residual", "SeparableConv2D", "SimpleRNN", "SinusoidalPositions", "SpatialDropout",
    "Subtract", "TimeDistributed", "Trace", "TransformerDecoder", "TransformerEncoder", "UpSampling", "UpSampling2D",
    "ZeroPadding", "ZeroPadding2D", "activations", "from_data", "initializers", "logits", "register", "regularizers", "seed",
    "seeded", "to_data",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
