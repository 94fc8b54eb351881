"""The vocabulary: every operation, declared in one place each, and the functions made of them.

    declare.py       how an operation is declared
    tensor.py        symbols
    leaves.py        inputs, variables, constants, fills
    arithmetic.py    logic.py  functions.py      single elements
    shape.py         indexing.py                 moving elements
    reductions.py    linear.py   cumulative.py   combining elements
    random_bits.py   sampling.py                 random numbers
    incomplete.py                                probabilities of the gamma and beta distribution
    batched.py                                   anything, for every element of a leading axis
    custom.py                                    gradients by rules of the user's
    storage.py       what of 16 bits is computed in float32
    sorting.py       decompositions.py           whole arrays, by NumPy and LAPACK (lapack.py)
    matrix_functions.py                          what is made of decompositions
    convolution.py   pooling.py                  windows of images
"""

from graphc.ir.dims import product
from graphc.ops.tensor import Tensor, as_tensor  # isort: skip
from graphc.ops.declare import (
    any_type, as_option, broadcast_shapes, check_flag, check_function, check_number, listed, normalize_axis, normalize_integer,
    promote_operands,
)  # isort: skip  # fmt: skip
from graphc.ops.arithmetic import (
    abs, add, astype, ceil, clip, copysign, divide, floor, floor_divide, fmod, maximum, minimum, multiply, negative, nextafter,
    positive, reciprocal, remainder, round, sign, sqrt, square, stop_gradient, subtract, trunc,
)  # fmt: skip
from graphc.ops.convolution import convolve, convolve_transposed, slide, windows
from graphc.ops.creation import broadcast_arrays, empty, empty_like, eye, linspace, meshgrid, tril, triu
from graphc.ops.cumulative import cummax, cummin, cumulative_prod, cumulative_sum, linear_recurrence, logcumsumexp
from graphc.ops.diagonals import diag, diagonal, trace
from graphc.ops.dtypes import can_cast, finfo, iinfo, isdtype, result_type
from graphc.ops.einsum import einsum
from graphc.ops.functions import (
    acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, cos, cosh, digamma, erf, erfc, erfinv, exp, exp2, expm1, hypot, lgamma,
    log, log1p, log2, log10, logaddexp, polygamma, pow, sigmoid, sin, sinh, softplus, tan, tanh,
)  # fmt: skip
from graphc.ops.incomplete import betainc, gammainc, gammaincc  # isort: skip (stands on custom.py, and on what is above)
from graphc.ops.indexing import one_hot, put_add, put_along_add, take, take_along_axis
from graphc.ops.keys import Place, Places, getitem
from graphc.ops.leaves import (
    Variable, arange, asarray, constant, full, full_like, input_, ones, ones_like, placeholder, variable, zeros, zeros_like,
)  # fmt: skip
from graphc.ops.linear import cross, kron, matmul, outer, tensordot, vecdot
from graphc.ops.logic import (
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, equal, greater,
    greater_equal, isfinite, isinf, isnan, less, less_equal, logical_and, logical_not, logical_or, logical_xor, not_equal,
    signbit, where,
)  # fmt: skip
from graphc.ops.numpy_dispatch import numpy_function, numpy_modules, numpy_ufunc
from graphc.ops import matrix_functions
from graphc.ops.pooling import max_pool
from graphc.ops.random_bits import threefry
from graphc.ops.rearranging import diff, repeat, roll, tile
from graphc.ops.reductions import all, any, argmax, argmin, max, mean, min, prod, std, sum, var
from graphc.ops.sampling import gamma_pathwise, poisson_quantile
from graphc.ops.scattering import segment_max, segment_min, segment_prod, segment_sum
from graphc.ops.searching import compress, count_nonzero, extract, interp, nonzero, searchsorted
from graphc.ops.sorting import (
    argsort, isin, median, percentile, quantile, sort, top_k, unique_all, unique_counts, unique_inverse, unique_values,
)  # fmt: skip
from graphc.ops.shape import (
    broadcast_to, concat, expand_dims, flip, matrix_transpose, moveaxis, pad, permute_dims, reshape, slice_, squeeze, stack,
    swapaxes, transpose, unstack,
)  # fmt: skip
from graphc.ops.storage import in_float32
from graphc.ops import batched as batched, custom as custom, sizes as sizes  # isort: skip (they stand on all of the above)

__all__ = [
    "Place", "Places", "Tensor", "Variable", "abs", "acos", "acosh", "add", "all", "any", "any_type", "arange", "argmax",
    "argmin", "argsort", "as_option", "as_tensor", "asarray", "asin", "asinh", "astype", "atan", "atan2", "atanh", "betainc",
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "can_cast", "cbrt", "ceil", "check_flag", "check_function",
    "check_number", "clip", "compress", "concat", "constant", "convolve", "convolve_transposed", "copysign", "cos", "cosh",
    "count_nonzero", "cross", "cummax", "cummin", "cumulative_prod", "cumulative_sum", "diag", "diagonal", "diff",
    "digamma", "divide", "einsum", "empty", "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims",
    "expm1", "extract", "eye", "finfo", "flip", "floor", "floor_divide", "fmod", "full", "full_like", "gamma_pathwise",
    "gammainc", "gammaincc", "getitem", "greater", "greater_equal", "hypot", "iinfo", "in_float32", "input_", "interp",
    "isdtype", "isfinite", "isin", "isinf", "isnan", "kron", "less", "less_equal", "lgamma", "linear_recurrence",
    "linspace", "listed", "log", "log1p", "log2", "log10", "logaddexp", "logcumsumexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "matmul", "matrix_functions", "matrix_transpose", "max", "max_pool", "maximum", "mean",
    "median", "meshgrid", "min", "minimum", "moveaxis", "multiply", "negative", "nextafter", "nonzero", "normalize_axis",
    "normalize_integer", "not_equal", "numpy_function", "numpy_modules", "numpy_ufunc", "one_hot", "ones", "ones_like",
    "outer", "pad", "percentile", "permute_dims", "placeholder", "poisson_quantile", "polygamma", "positive", "pow", "prod",
    "product", "promote_operands", "put_add", "put_along_add", "quantile", "reciprocal", "remainder", "repeat", "reshape",
    "result_type", "roll", "round", "searchsorted", "segment_max", "segment_min", "segment_prod", "segment_sum", "sigmoid",
    "sign", "signbit", "sin", "sinh", "slice_", "slide", "softplus", "sort", "sqrt", "square", "squeeze", "stack", "std",
    "stop_gradient", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot", "threefry",
    "tile", "top_k", "trace", "transpose", "tril", "triu", "trunc", "unique_all", "unique_counts", "unique_inverse",
    "unique_values", "unstack", "var", "variable", "vecdot", "where", "windows", "zeros", "zeros_like",
]  # fmt: skip
