"""The vocabulary: every operation, declared in one place each, and the functions made of them.

    declare.py       how an operation is declared
    tensor.py        symbols
    leaves.py        inputs, variables, constants, fills
    arithmetic.py    logic.py  functions.py      single elements
    shape.py         indexing.py                 moving elements
    reductions.py    linear.py                   combining elements
    convolution.py   pooling.py                  windows of images
"""

from graphc.ir.dims import product
from graphc.ops.tensor import Tensor, as_tensor  # isort: skip
from graphc.ops.declare import any_type, broadcast_shapes, normalize_axis, promote_operands  # isort: skip
from graphc.ops.arithmetic import (
    abs, add, astype, ceil, clip, copysign, divide, floor, floor_divide, fmod, maximum, minimum, multiply, negative, positive,
    reciprocal, remainder, round, sign, sqrt, square, stop_gradient, subtract, trunc,
)  # fmt: skip
from graphc.ops.convolution import convolve, convolve_transposed, slide, windows
from graphc.ops.functions import (
    acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, cos, cosh, digamma, erf, erfc, erfinv, exp, exp2, expm1, hypot, lgamma,
    log, log1p, log2, log10, logaddexp, polygamma, pow, sigmoid, sin, sinh, softplus, tan, tanh,
)  # fmt: skip
from graphc.ops.indexing import one_hot, put_add, put_along_add, take, take_along_axis
from graphc.ops.leaves import (
    Variable, arange, asarray, constant, full, full_like, input_, ones, ones_like, placeholder, variable, zeros, zeros_like,
)  # fmt: skip
from graphc.ops.linear import matmul, outer, tensordot, vecdot
from graphc.ops.logic import (
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, equal, greater,
    greater_equal, isfinite, isinf, isnan, less, less_equal, logical_and, logical_not, logical_or, logical_xor, not_equal,
    signbit, where,
)  # fmt: skip
from graphc.ops.numpy_dispatch import numpy_function, numpy_ufunc
from graphc.ops.pooling import max_pool
from graphc.ops.reductions import all, any, argmax, argmin, max, mean, min, prod, std, sum, var
from graphc.ops.shape import (
    broadcast_to, concat, expand_dims, flip, getitem, matrix_transpose, moveaxis, pad, permute_dims, reshape, squeeze, stack,
    swapaxes, transpose, unstack,
)  # fmt: skip

__all__ = [
    "Tensor", "Variable", "abs", "acos", "acosh", "add", "all", "any", "any_type", "arange", "argmax", "argmin", "as_tensor",
    "asarray", "asin", "asinh", "astype", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "broadcast_shapes", "broadcast_to", "cbrt", "ceil", "clip", "concat",
    "constant", "convolve", "convolve_transposed",
    "copysign", "cos", "cosh", "digamma", "divide", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims",
    "expm1", "flip", "floor", "floor_divide", "fmod", "full", "full_like", "getitem", "greater", "greater_equal", "hypot",
    "input_", "isfinite", "isinf", "isnan", "less", "less_equal", "lgamma", "log", "log1p", "log2", "log10", "logaddexp",
    "logical_and", "logical_not", "logical_or", "logical_xor", "matmul", "matrix_transpose", "max",
    "max_pool", "maximum", "mean", "min",
    "minimum", "moveaxis", "multiply", "negative", "normalize_axis", "not_equal", "numpy_function", "numpy_ufunc", "one_hot",
    "ones", "ones_like", "outer", "pad", "permute_dims", "placeholder", "polygamma", "positive", "pow", "prod", "product",
    "promote_operands", "put_add", "put_along_add", "reciprocal", "remainder", "reshape", "round", "sigmoid", "sign", "signbit",
    "sin", "sinh", "slide",
    "softplus", "sqrt", "square", "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "swapaxes",
    "take", "take_along_axis", "tan", "tanh", "tensordot", "transpose", "trunc", "unstack", "var", "variable", "vecdot",
    "where", "windows", "zeros", "zeros_like",
]  # fmt: skip
