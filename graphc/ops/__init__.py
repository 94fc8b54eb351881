"""The vocabulary: every operation, declared in one place each, and the functions made of them.

    declare.py       how an operation is declared
    tensor.py        symbols
    leaves.py        inputs, variables, constants, fills
    arithmetic.py    logic.py  functions.py      single elements
    bits.py                                      the bits of numbers as numbers of another type
    shape.py         indexing.py                 moving elements
    reductions.py    linear.py   cumulative.py   combining elements
    random_bits.py   sampling.py                 random numbers
    incomplete.py                                probabilities of the gamma and beta distribution
    special.py      without_nan.py               single elements, and reductions, made of others
    parts.py         statistics.py               arrays taken apart and put together; counts and moments
    sequences.py                                 signals, polynomials, indices, windows
    fourier.py                                   Fourier transforms, by NumPy
    batched.py                                   anything, for every element of a leading axis
    custom.py                                    gradients by rules of the user's
    storage.py       what of 16 bits is computed in float32
    sorting.py       decompositions.py           whole arrays, by NumPy and LAPACK (lapack.py)
    blocked.py       elimination.py              factors of large matrices by blocks: Cholesky's and triangles, LU
    reflections.py   small_matrices.py           QR by blocks; factors of many small matrices
    matrix_functions.py                          what is made of decompositions
    convolution.py   pooling.py                  windows of images
    quantizing.py                                integers of 8 bits that stand for floats
    collectives.py                               arrays exchanged with other ranks
"""

from graphc.ir.dims import product
from graphc.ops.tensor import Tensor, as_tensor  # isort: skip
from graphc.ops import promotion as promotion  # isort: skip (a cast that declare writes)
from graphc.ops.declare import (
    any_type, as_option, broadcast_shapes, check_flag, check_function, check_number, listed, normalize_axis, normalize_integer,
    promote_operands,
)  # isort: skip  # fmt: skip
from graphc.ops.arithmetic import (
    abs, add, astype, ceil, clip, copysign, divide, floor, floor_divide, fmod, maximum, minimum, multiply, negative, nextafter,
    positive, reciprocal, remainder, round, sign, sqrt, square, stop_gradient, subtract, trunc,
)  # fmt: skip
from graphc.ops.bits import bitcast
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
from graphc.ops.subscripts import Place, Places, getitem
from graphc.ops.leaves import asarray, constant, input_, placeholder
from graphc.ops.variables import Variable, variable
from graphc.ops.fills import arange, full, full_like, ones, ones_like, zeros, zeros_like
from graphc.ops.linear import cross, kron, matmul, outer, tensordot, vecdot
from graphc.ops.logic import (
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor, equal, greater,
    greater_equal, isfinite, isinf, isnan, less, less_equal, logical_and, logical_not, logical_or, logical_xor, not_equal,
    signbit, where,
)  # fmt: skip
from graphc.ops.numpy_dispatch import numpy_function, numpy_modules, numpy_ufunc
from graphc.ops import collectives as collectives
from graphc.ops import matrix_functions
from graphc.ops.pooling import max_pool
from graphc.ops.random_bits import threefry
from graphc.ops.rearranging import diff, repeat, roll, tile
from graphc.ops.reductions import all, any, argmax, argmin, max, mean, min, prod, std, sum, var
from graphc.ops.sampling import gamma_draw, gamma_formula, poisson_draw, poisson_formula
from graphc.ops.scattering import segment_max, segment_min, segment_prod, segment_sum
from graphc.ops.searching import compress, count_nonzero, extract, interp, nonzero, searchsorted
from graphc.ops.sorting import (
    argsort, isin, median, percentile, quantile, sort, top_k, unique_all, unique_counts, unique_inverse, unique_values,
)  # fmt: skip
from graphc.ops.shape import (
    broadcast_to, concat, ensure_shape, expand_dims, flip, matrix_transpose, moveaxis, pad, permute_dims, reshape, slice_,
    squeeze, stack, swapaxes, transpose, unstack,
)  # fmt: skip
from graphc.ops.storage import in_float32
from graphc.ops.special import (
    betaln, deg2rad, entr, fmax, fmin, heaviside, isneginf, isposinf, kl_div, log_ndtr, logit, nan_to_num, ndtr, ndtri,
    normal_quantile, rad2deg, rel_entr, sinc, xlog1py, xlogy,
)  # isort: skip  # fmt: skip
from graphc.ops.parts import (
    array_split, atleast_1d, atleast_2d, atleast_3d, choose, column_stack, dsplit, dstack, fliplr, flipud, hsplit, hstack,
    rot90, select, split, vsplit, vstack,
)  # isort: skip  # fmt: skip
from graphc.ops.without_nan import (
    nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean, nanmedian, nanmin, nanpercentile, nanprod, nanquantile,
    nanstd, nansum, nanvar,
)  # isort: skip  # fmt: skip
from graphc.ops.statistics import (
    allclose, array_equal, average, bincount, corrcoef, cov, digitize, ediff1d, histogram, histogram_bin_edges, isclose, ptp,
    trapezoid,
)  # isort: skip  # fmt: skip
from graphc.ops.sequences import (
    append, argwhere, bartlett, blackman, convolve as convolve_vectors, correlate, diag_indices, flatnonzero, geomspace,
    hamming, hanning, identity, indices, inner, logspace, polyval, ravel_multi_index, sliding_window_view, tri, tril_indices,
    triu_indices, unravel_index, vander, vdot,
)  # isort: skip  # fmt: skip
from graphc.ops.quantizing import dequantize_linear, fake_quantize, quantize_linear  # isort: skip (stands on custom.py)
from graphc.ops import batched as batched, copying as copying, custom as custom, fourier as fourier, sizes as sizes  # isort: skip (they stand on all of the above)

__all__ = [
    "Place", "Places", "Tensor", "Variable", "abs", "acos", "acosh", "add", "all", "allclose", "any", "any_type", "append",
    "arange", "argmax", "argmin", "argsort", "argwhere", "array_equal", "array_split", "as_option", "as_tensor", "asarray",
    "asin", "asinh", "astype", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "average", "bartlett",
    "betainc", "betaln", "bincount", "bitcast", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "blackman", "broadcast_arrays", "broadcast_shapes", "broadcast_to", "can_cast",
    "cbrt", "ceil", "check_flag", "check_function", "check_number", "choose", "clip", "column_stack", "compress", "concat",
    "constant", "convolve", "convolve_transposed", "convolve_vectors", "copysign", "corrcoef", "correlate", "cos", "cosh",
    "count_nonzero", "cov", "cross", "cummax", "cummin", "cumulative_prod", "cumulative_sum", "deg2rad", "dequantize_linear",
    "diag", "diag_indices", "diagonal", "diff", "digamma", "digitize", "divide", "dsplit", "dstack", "ediff1d", "einsum",
    "empty", "empty_like", "ensure_shape", "entr", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims", "expm1",
    "extract", "eye", "fake_quantize", "finfo", "flatnonzero", "flip", "fliplr", "flipud", "floor", "floor_divide", "fmax",
    "fmin", "fmod", "full", "full_like", "gamma_draw", "gamma_formula", "gammainc", "gammaincc", "geomspace", "getitem",
    "greater", "greater_equal", "hamming", "hanning", "heaviside", "histogram", "histogram_bin_edges", "hsplit", "hstack",
    "hypot", "identity", "iinfo", "in_float32", "indices", "inner", "input_", "interp", "isclose", "isdtype", "isfinite", "isin",
    "isinf", "isnan", "isneginf", "isposinf", "kl_div", "kron", "less", "less_equal", "lgamma", "linear_recurrence",
    "linspace", "listed", "log", "log1p", "log2", "log10", "log_ndtr", "logaddexp", "logcumsumexp", "logical_and",
    "logical_not", "logical_or", "logical_xor", "logit", "logspace", "matmul", "matrix_functions", "matrix_transpose", "max",
    "max_pool", "maximum", "mean", "median", "meshgrid", "min", "minimum", "moveaxis", "multiply", "nan_to_num", "nanargmax",
    "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod",
    "nanquantile", "nanstd", "nansum", "nanvar", "ndtr", "ndtri", "negative", "nextafter", "nonzero", "normal_quantile",
    "normalize_axis", "normalize_integer", "not_equal", "numpy_function", "numpy_modules", "numpy_ufunc", "one_hot", "ones",
    "ones_like", "outer", "pad", "percentile", "permute_dims", "placeholder", "poisson_draw", "poisson_formula", "polygamma",
    "polyval", "positive", "pow", "prod", "product", "promote_operands", "ptp", "put_add", "put_along_add", "quantile",
    "quantize_linear", "rad2deg", "ravel_multi_index", "reciprocal", "rel_entr", "remainder", "repeat", "reshape",
    "result_type", "roll", "rot90", "round", "searchsorted", "segment_max", "segment_min", "segment_prod", "segment_sum",
    "select", "sigmoid", "sign", "signbit", "sin", "sinc", "sinh", "slice_", "slide", "sliding_window_view", "softplus",
    "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "swapaxes", "take",
    "take_along_axis", "tan", "tanh", "tensordot", "threefry", "tile", "top_k", "trace", "transpose", "trapezoid", "tri",
    "tril", "tril_indices", "triu", "triu_indices", "trunc", "unique_all", "unique_counts", "unique_inverse", "unique_values",
    "unravel_index", "unstack", "vander", "var", "variable", "vdot", "vecdot", "vsplit", "vstack", "where", "windows",
    "xlog1py", "xlogy", "zeros", "zeros_like",
]  # fmt: skip
