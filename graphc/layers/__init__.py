"""Layers: functions of symbols that own their variables.

    layer.py          the layer, its variables, parts, paths and calls
    initializers.py   first values of weights, by name
    regularizers.py   penalties on weights
    masks.py          which steps of a symbol are there
    activations.py    functions of single elements, by name
    rectifiers.py     functions of single elements with options or weights
    products.py       how a layer multiplies with its kernel: in floats, in integers, with zeros
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
from graphc.layers.masks import mask_of
from graphc.layers.rectifiers import ELU, LeakyReLU, PReLU, ReLU, Softmax
from graphc.layers.core import (
    Activation, ActivityRegularization, Add, Average, Concat, Concatenate, Dense, Dot, Dropout, Flatten, GaussianDropout,
    GaussianNoise, Identity, Lambda, Masking, Maximum, Minimum, Multiply, Permute, RepeatVector, Rescaling, Reshape, Residual,
    SpatialDropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, Subtract,
)  # fmt: skip
from graphc.layers.convolution import (
    Conv, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, ConvTranspose, DepthwiseConv1D,
    DepthwiseConv2D, SeparableConv1D, SeparableConv2D,
)  # fmt: skip
from graphc.layers.pooling import (
    AveragePool, AveragePooling1D, AveragePooling2D, AveragePooling3D, AvgPool1D, AvgPool2D, AvgPool3D, CenterCrop, Cropping,
    Cropping1D, Cropping2D, Cropping3D, GlobalAveragePool, GlobalAveragePooling1D, GlobalAveragePooling2D,
    GlobalAveragePooling3D, GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D, GlobalMaxPool, GlobalMaxPool1D, GlobalMaxPool2D,
    GlobalMaxPool3D, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D, MaxPool, MaxPool1D, MaxPool2D, MaxPool3D,
    MaxPooling1D, MaxPooling2D, MaxPooling3D, Resizing, UpSampling, UpSampling1D, UpSampling2D, UpSampling3D, ZeroPadding,
    ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
)  # fmt: skip
from graphc.layers.normalization import (
    BatchNorm, BatchNormalization, GroupNorm, GroupNormalization, LayerNorm, LayerNormalization, Normalization, RMSNorm,
    RMSNormalization, UnitNormalization,
)  # fmt: skip
from graphc.layers.embedding import Embedding, PositionEmbedding, SinusoidalPositions
from graphc.layers.recurrent import GRU, LSTM, Bidirectional, SimpleRNN, TimeDistributed
from graphc.layers.attention import (
    AdditiveAttention, Attention, FeedForward, MultiHeadAttention, TransformerDecoder, TransformerEncoder,
)  # fmt: skip
from graphc.layers.augmentation import (
    Cutout, RandomBrightness, RandomContrast, RandomCrop, RandomFlip, RandomRotation, RandomTranslation, RandomZoom,
)  # fmt: skip
from graphc.layers.config import from_data, register, to_data

__all__ = [
    "ELU", "GRU", "LSTM", "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "Attention", "Average",
    "AveragePool", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D",
    "BatchNorm", "BatchNormalization", "Bidirectional", "Call", "CenterCrop", "Concat", "Concatenate", "Conv", "Conv1D",
    "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "ConvTranspose", "Cropping", "Cropping1D",
    "Cropping2D", "Cropping3D", "Cutout", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "Embedding",
    "FeedForward", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePool", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool",
    "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GroupNorm", "GroupNormalization", "Identity", "Input", "Lambda", "Layer", "LayerNorm", "LayerNormalization", "LeakyReLU",
    "Masking", "MaxPool", "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum",
    "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "PositionEmbedding", "RMSNorm",
    "RMSNormalization", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation",
    "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Residual", "Resizing", "SeparableConv1D", "SeparableConv2D",
    "SimpleRNN",
    "SinusoidalPositions", "Softmax", "SpatialDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Subtract",
    "TimeDistributed", "Trace", "TransformerDecoder", "TransformerEncoder", "UnitNormalization", "UpSampling", "UpSampling1D",
    "UpSampling2D", "UpSampling3D", "ZeroPadding", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "activations", "from_data",
    "initializers", "logits", "mask_of", "register", "regularizers", "seed", "seeded", "to_data",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
