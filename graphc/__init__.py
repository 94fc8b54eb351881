"""graphc: declare a computation once, differentiate it, compile it, run it many times.

>>> import numpy as np, graphc as gx
>>> x = gx.placeholder("x", ("batch", 3), "float64")
>>> y = gx.sum(gx.exp(x), axis=1)
>>> f = gx.compile([x], y)
>>> f(np.zeros((2, 3)))
array([3., 3.])
"""

from graphc import errors, ir, ops, passes
from graphc.compile import Compiled, compile
from graphc.errors import GraphError
from graphc.gradients import grad, hessian, jacobian, jvp, vjp
from graphc.ir.dims import Dim, dim
from graphc.ir.dot import to_dot
from graphc.ir.types import (
    DType, bool_, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
)  # fmt: skip
from graphc.ops import (
    Tensor, Variable, abs, acos, acosh, add, all, any, arange, argmax, argmin, asarray, asin, asinh, astype, atan, atan2, atanh,
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, broadcast_to, cbrt, ceil, clip,
    concat, constant, copysign, cos, cosh, divide, equal, erf, exp, exp2, expand_dims, expm1, flip, floor, floor_divide, full,
    full_like, greater, greater_equal, hypot, isfinite, isinf, isnan, less, less_equal, log, log1p, log2, log10, logaddexp,
    logical_and, logical_not, logical_or, logical_xor, matmul, matrix_transpose, max, maximum, mean, min, minimum, moveaxis,
    multiply, negative, not_equal, one_hot, ones, ones_like, outer, pad, permute_dims, placeholder, positive, pow, prod,
    reciprocal, remainder, reshape, round, sigmoid, sign, signbit, sin, sinh, softplus, sqrt, square, squeeze, stack, std,
    stop_gradient, subtract, sum, swapaxes, take, take_along_axis, tan, tanh, tensordot, transpose, trunc, unstack, var,
    variable, vecdot, where, zeros, zeros_like,
)  # fmt: skip
from graphc.ops.tensor import Axis, TensorLike

__version__ = "0.1.0"

from graphc import nn, optim  # isort: skip (they stand on every name above)

__all__ = [
    "Axis", "Compiled", "DType", "Dim", "GraphError", "Tensor", "TensorLike", "Variable", "abs", "acos", "acosh", "add",
    "all", "any", "arange", "argmax", "argmin", "asarray", "asin", "asinh", "astype", "atan", "atan2", "atanh",
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bool_",
    "broadcast_to", "cbrt", "ceil", "clip", "compile", "concat", "constant", "copysign", "cos", "cosh", "dim", "divide",
    "equal", "erf", "errors", "exp", "exp2", "expand_dims", "expm1", "flip", "float32", "float64", "floor", "floor_divide",
    "full", "full_like", "grad", "greater", "greater_equal", "hessian", "hypot", "int8", "int16", "int32", "int64", "ir",
    "isfinite", "isinf", "isnan", "jacobian", "jvp", "less", "less_equal", "log", "log1p", "log2", "log10", "logaddexp",
    "logical_and", "logical_not", "logical_or", "logical_xor", "matmul", "matrix_transpose", "max", "maximum", "mean", "min",
    "minimum", "moveaxis", "multiply", "negative", "nn", "not_equal", "one_hot", "ones", "ones_like", "ops", "optim",
    "outer", "pad", "passes", "permute_dims", "placeholder", "positive", "pow", "prod", "reciprocal", "remainder", "reshape",
    "round", "sigmoid", "sign", "signbit", "sin", "sinh", "softplus", "sqrt", "square", "squeeze", "stack", "std",
    "stop_gradient", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot", "to_dot",
    "transpose", "trunc", "uint8", "uint16", "uint32", "uint64", "unstack", "var", "variable", "vecdot", "vjp", "where",
    "zeros", "zeros_like",
]  # fmt: skip
