"""What users of NumPy, JAX, torch, TensorFlow and Theano type first, and what it is called here.

Nothing is aliased: a function that the Array API has under one name has that one here. Who types another gets an AttributeError
that says so. An answer is an expression or a sentence; whatever of graphc it names is there.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar

from graphc.errors import DTypeError, GraphError, InputError, ShapeError, UnknownNameError, caller

Function = TypeVar("Function", bound=Callable[..., Any])

_COMPILED = "gx.compile(inputs, outputs) makes a function of arrays out of symbols"
_WHOLE = "a graph is declared once and has no modes: gx.stop_gradient(x) cuts off a gradient"
_DEVICE = "everything runs on this machine's processor: leave it out"
_SYMBOL = "it has no value yet: use y.eval({x: array}), or gx.compile and call the result"
_INPUT = "gx.placeholder(name, shape, dtype) is an input, gx.variable(array) is state, gx.constant(array) is fixed"
_IMMUTABLE = "symbols never change, so nothing is copied: use it as it is"
_KEYS = "draws take a key: gx.random.key(seed), or gx.random.Stream(seed) for others at every call"

_TREES = "a program takes lists and dicts as they are: write a comprehension over the parts"
_CLASS = "gx.Tensor is the class of symbols; what a compiled program gives are NumPy's arrays"
_OPTIONS = "options are arguments: gx.compile(..., backend=..., progress=...), gx.set_num_threads(1)"
_FLOATS = 'a type is given where an array is made: gx.placeholder("x", shape, "float32")'
_MIXED = 'a type is asked for: x.astype("bfloat16"), or dtype="bfloat16" of a layer'
_SCOPES = 'names are given: gx.variable(array, name="encoder/w")'
_HOST = "gx.extend.host makes an operation of a function of arrays"
_COMPLEX = "arrays are real: gx.fft gives pairs of floats, gx.fft.Complex"
_REAL = "arrays are real: what gx.fft gives has .real and .imag"
_DTYPES = "a data type is gx.float32, gx.int64, ..., and x.dtype.is_float, x.dtype.is_integer tell its kind"
_SETS = "gx.isin tells which elements are in another array; gx.unique_values(x, size=n)"
_LOOPS = "write the whole computation over the axes at once, or use gx.map or gx.scan"
_READ = "NumPy reads files: its arrays are arguments of a call, or gx.constant(array)"
_WRITE = "NumPy writes files, of what a call gives; gx.save writes variables"
_TRIPLETS = "gx.maximum(0, d(a, p) - d(a, n) + margin), where d is gx.linalg.vector_norm of the difference"
_SMOOTHED = "(1 - a) * gx.one_hot(labels, n) + a / n, as the labels of gx.nn.cross_entropy"
_SCHEDULE = "a schedule is any function of the step: lr=lambda step: 0.1 / (1 + step)"
_OWN = "an optimiser is a function (loss, variables) -> updates: write it with gx.grad"
_LU = "gx.linalg.solve, gx.linalg.inv and gx.linalg.det factorise; factors are gx.linalg.qr's and gx.linalg.cholesky's"
_STUDENT = "gx.random.normal(key, shape) / gx.sqrt(2 * gx.random.gamma(other, df / 2) / df)"
_QUANTILE = "the inverse of the distribution function, of gx.random.uniform"
_REJECTED = "gx.random.bits and gx.while_loop, or NumPy's numbers as an argument of a call"
_NUMPYS = "np.testing compares what a call gives"

GRAPHC: Mapping[str, str] = {
    # NumPy
    "absolute": "gx.abs", "arccos": "gx.acos", "arccosh": "gx.acosh", "arcsin": "gx.asin", "arcsinh": "gx.asinh",
    "arctan": "gx.atan", "arctan2": "gx.atan2", "arctanh": "gx.atanh", "array": _INPUT, "amax": "gx.max", "amin": "gx.min",
    "around": "gx.round", "concatenate": "gx.concat", "conj": "gx.positive", "cumprod": "gx.cumulative_prod",
    "cumsum": "gx.cumulative_sum", "degrees": "x * (180 / gx.pi)", "dot": "gx.matmul", "fabs": "gx.abs", "float_power": "gx.pow",
    "invert": "gx.bitwise_invert", "bitwise_not": "gx.bitwise_invert", "in1d": "gx.isin", "trapz": "gx.trapezoid",
    "product": "gx.prod", "exp10": "10.0 ** x", "left_shift": "gx.bitwise_left_shift", "right_shift": "gx.bitwise_right_shift",
    "mod": "gx.remainder", "power": "gx.pow", "radians": "x * (gx.pi / 180)", "ravel": "gx.reshape(x, (-1,))", "rint": "gx.round",
    "rollaxis": "gx.moveaxis", "true_divide": "gx.divide", "unique": "gx.unique_values", "row_stack": "gx.concat([x, y], axis=0)",
    "norm": "gx.linalg.norm", "inv": "gx.linalg.inv", "solve": "gx.linalg.solve", "svd": "gx.linalg.svd", "det": "gx.linalg.det",
    "cholesky": "gx.linalg.cholesky", "eigh": "gx.linalg.eigh", "qr": "gx.linalg.qr", "pinv": "gx.linalg.pinv",
    "expm": "gx.linalg.expm", "broadcast": "gx.broadcast_arrays", "ndim": "x.ndim", "shape": "x.shape", "size": "x.size",
    "bool": "gx.bool_", "bool8": "gx.bool_", "double": "gx.float64", "single": "gx.float32", "half": "gx.float16",
    "apply_along_axis": "gx.vmap", "vectorize": "gx.vmap",
    # scipy
    "expit": "gx.sigmoid", "gammaln": "gx.lgamma", "psi": "gx.digamma", "loggamma": "gx.lgamma",
    # JAX
    "jit": _COMPILED, "pjit": _COMPILED, "make_jaxpr": "gx.compile(inputs, outputs).graph is the text", "jacfwd": "gx.jacobian",
    "jacrev": "gx.jacobian", "linearize": "gx.jvp", "remat": "gx.checkpoint", "custom_vjp": "gx.custom_gradient",
    "custom_jvp": "gx.custom_gradient", "lax": "gx.scan, gx.while_loop and gx.cond are here",
    "numpy": "its functions are gx's own: gx.sum, gx.exp", "jnp": "its functions are gx's own: gx.sum, gx.exp",
    "bitcast_convert_type": "gx.bitcast",
    "device_put": _DEVICE, "device_get": _SYMBOL, "PRNGKey": "gx.random.key", "pmap": "gx.vmap",
    # torch
    "tensor": _INPUT, "from_numpy": "gx.constant", "as_tensor": "gx.constant", "cat": "gx.concat", "unsqueeze": "gx.expand_dims",
    "view": "gx.reshape", "permute": "gx.permute_dims", "clamp": "gx.clip", "bmm": "gx.matmul", "mm": "gx.matmul",
    "addmm": "c + a @ b", "gather": "gx.take_along_axis", "index_select": "gx.take", "masked_fill": "gx.where",
    "masked_select": "gx.extract", "scatter_add": "x.at[key].add(y)", "scatter": "x.at[key].set(y)", "topk": "gx.top_k",
    "t": "gx.matrix_transpose", "rsqrt": "1 / gx.sqrt(x)", "mul": "gx.multiply", "sub": "gx.subtract", "div": "gx.divide",
    "neg": "gx.negative", "eq": "gx.equal", "ne": "gx.not_equal", "gt": "gx.greater", "ge": "gx.greater_equal", "lt": "gx.less",
    "le": "gx.less_equal", "no_grad": _WHOLE, "enable_grad": _WHOLE, "inference_mode": _WHOLE, "set_grad_enabled": _WHOLE,
    "autograd": "gx.grad", "backward": "gx.grad", "manual_seed": _KEYS, "rand": "gx.random.uniform", "randn": "gx.random.normal",
    "randint": "gx.random.randint", "randperm": "gx.random.permutation", "device": _DEVICE, "cuda": _DEVICE,
    "Module": "functions of symbols, or gx.layers.Layer", "float": "gx.float32", "int": "gx.int64", "long": "gx.int64",
    "set_num_interop_threads": "gx.set_num_threads", "cumlogsumexp": "gx.logcumsumexp", "mv": "gx.matmul",
    "expand": "gx.broadcast_to", "cdist": "gx.linalg.vector_norm(x[:, None] - y, axis=-1)", "lerp": "a + w * (b - a)",
    "addcmul": "x + value * a * b", "state_dict": "gx.named_variables", "script": _COMPILED,
    "chunk": "x[i:j], or gx.reshape and gx.unstack",
    # TensorFlow and Keras
    "function": _COMPILED, "GradientTape": "gx.grad", "convert_to_tensor": "gx.constant", "cast": "gx.astype",
    "reduce_sum": "gx.sum", "reduce_mean": "gx.mean", "reduce_max": "gx.max", "reduce_min": "gx.min", "reduce_prod": "gx.prod",
    "reduce_any": "gx.any", "reduce_all": "gx.all", "reduce_logsumexp": "gx.nn.logsumexp", "truediv": "gx.divide",
    "math": "its functions are gx's own: gx.exp, gx.log", "keras": "gx.models", "Session": _COMPILED,
    "global_variables_initializer": "a variable has its value from its birth: gx.variable(array)",
    "Sequential": "gx.models.Sequential", "Model": "gx.models.Model", "Dense": "gx.layers.Dense",
    "segment_mean": "gx.segment_sum of x, and of ones", "unsorted_segment_sum": "gx.segment_sum", "boolean_mask": "gx.extract",
    "gather_nd": "x[i, j]", "tensor_scatter_nd_update": "x.at[key].set(y)", "rank": "x.ndim",
    # Theano and PyTensor
    "shared": "gx.variable", "scalar": "gx.placeholder", "dscalar": "gx.placeholder", "fscalar": "gx.placeholder",
    "vector": "gx.placeholder", "dvector": "gx.placeholder", "fvector": "gx.placeholder", "ivector": "gx.placeholder",
    "matrix": "gx.placeholder", "dmatrix": "gx.placeholder", "fmatrix": "gx.placeholder", "imatrix": "gx.placeholder",
    "tensor3": "gx.placeholder", "tensor4": "gx.placeholder", "ifelse": "gx.cond", "dimshuffle": "gx.permute_dims",
    "foldl": "gx.scan", "foldr": "gx.scan", "disconnected_grad": "gx.stop_gradient", "set_subtensor": "x.at[key].set(y)",
    "inc_subtensor": "x.at[key].add(y)", "sqr": "gx.square", "sgn": "gx.sign", "input": "gx.placeholder",
    "parameter": "gx.variable", "Parameter": "gx.variable", "symbol": "gx.placeholder", "Placeholder": "gx.placeholder",
    # what is there in parts, or not needed
    "tree_map": _TREES, "tree": _TREES, "tree_util": _TREES, "pytree": _TREES, "nest": _TREES, "ndarray": _CLASS, "Array": _CLASS,
    "config": _OPTIONS, "set_default_dtype": _FLOATS, "get_default_dtype": _FLOATS, "default_dtype": _FLOATS, "floatx": _FLOATS,
    "eval": "y.eval({x: array})", "evaluate": "y.eval({x: array})", "run": _COMPILED, "block_until_ready": _SYMBOL,
    "disable_jit": 'gx.compile(inputs, outputs, backend="interpreter") computes one operation after the other, in NumPy',
    "devices": _DEVICE, "local_device_count": _DEVICE, "device_count": _DEVICE, "amp": _MIXED, "autocast": _MIXED,
    "is_grad_enabled": _WHOLE, "train": "gx.models.Model has fit; a step is gx.compile(inputs, loss, updates=gx.optim.adam(...))",
    "fit": "model.fit of gx.models.Model", "Trainer": "model.fit of gx.models.Model", "losses": "gx.nn, and gx.models.losses",
    "DataLoader": "gx.data.Dataset", "utils": "gx.data for batches, gx.checkpoint, gx.optim for norms of gradients",
    "hub": "gx.load reads .npz and .safetensors files",
    "image": "gx.nn.resize, and gx.data.augmentation", "init": "gx.layers.initializers", "initializers": "gx.layers.initializers",
    "associative_scan": "gx.scan; running sums, products and maxima are gx.cumulative_sum, gx.cumulative_prod and gx.cummax",
    "cumulative_max": "gx.cummax", "cumulative_min": "gx.cummin", "named_scope": _SCOPES, "name_scope": _SCOPES,
    "variable_scope": _SCOPES, "get_variable": "gx.variable", "eval_shape": "every symbol knows it: f(x).shape, f(x).dtype",
    "ShapeDtypeStruct": "gx.placeholder", "TensorSpec": "gx.placeholder",
    "clone": _IMMUTABLE, "copy": _IMMUTABLE,
    "copyto": "x.at[key].set(y)", "ascontiguousarray": _IMMUTABLE, "pure_callback": _HOST, "io_callback": _HOST,
    "py_function": _HOST, "numpy_function": _HOST, "py_func": _HOST,
    "func": "gx.grad, gx.vjp, gx.jvp, gx.jacobian, gx.hessian and gx.vmap are here", "case": "gx.switch",
    "switch_case": "gx.switch", "select_n": "gx.where", "map_fn": "gx.map", "vectorized_map": "gx.vmap",
    "updates": "gx.compile(inputs, outputs, updates={w: new value})",
    "OrderedUpdates": "gx.compile(inputs, outputs, updates={w: new value})", "assign_add": "updates={w: w + delta} of gx.compile",
    "assign": "updates={w: new value} of gx.compile", "session": _COMPILED,
    "theano": "its functions are gx's own: gx.sum, gx.grad", "pytensor": "its functions are gx's own: gx.sum, gx.grad",
    "tensorflow": "its functions are gx's own: gx.sum, gx.exp", "torch": "its functions are gx's own: gx.sum, gx.exp",
    "scipy": "gx.stats, gx.linalg, gx.fft, and gx.erf, gx.lgamma, gx.xlogy of scipy.special", "dim_size": "x.shape[axis]",
    "symbols": "gx.placeholder", "Symbol": "gx.placeholder", "promote_types": "gx.result_type",
    "is_tensor": "isinstance(x, gx.Tensor)", "broadcast_shapes": "gx.broadcast_arrays", "complex64": _COMPLEX,
    "complex128": _COMPLEX, "cfloat": _COMPLEX, "real": _REAL, "imag": _REAL, "angle": _REAL, "conjugate": "gx.positive",
    "number": _DTYPES, "generic": _DTYPES, "floating": _DTYPES, "integer": _DTYPES,
    "summary": "gx.compile(inputs, outputs).explain()", "profile": "gx.compile(inputs, outputs).profile(array)",
    "profiler": "gx.compile(inputs, outputs).profile(array)", "timeit": "gx.compile(inputs, outputs).profile(array)",
    "benchmark": "gx.compile(inputs, outputs).profile(array)", "cost": "gx.compile(inputs, outputs).explain()",
    "plot": "gx.to_dot", "show": "gx.to_dot", "pp": "gx.debug.print", "pprint": "gx.debug.print",
    "set_printoptions": "np.set_printoptions: values are NumPy's arrays",
    "errstate": "nothing is raised or warned of: gx.debug.find_nan looks for what is not finite",
    "seterr": "nothing is raised or warned of: gx.debug.find_nan looks for what is not finite",
    # functions in other words
    "baddbmm": "c + a @ b", "chain_matmul": "a @ b @ c", "multi_dot": "a @ b @ c", "scatter_nd": "x.at[key].set(y)",
    "index_add": "x.at[key].add(y)", "index_put": "x.at[key].set(y)", "put": "x.at[key].set(y)",
    "put_along_axis": "x.at[key].set(y)", "place": "gx.where(mask, y, x)", "fill": "gx.full_like(x, value)",
    "fill_diagonal": "gx.where(gx.eye(n, dtype=bool), value, x)", "clamp_min": "gx.maximum", "clamp_max": "gx.minimum",
    "fix": "gx.trunc", "frac": "x - gx.trunc(x)", "swapdims": "gx.swapaxes", "movedim": "gx.moveaxis",
    "adjoint": "gx.matrix_transpose", "repeat_interleave": "gx.repeat", "unbind": "gx.unstack", "tensor_split": "gx.array_split",
    "diagflat": "gx.diag", "diag_embed": "gx.diag", "set_diag": "gx.where(gx.eye(n, dtype=bool), y, x)",
    "gradient": "gx.diff(x) for differences, gx.grad(loss, x) for derivatives", "mgrid": "gx.meshgrid",
    "ogrid": "gx.meshgrid", "ix_": "x[gx.expand_dims(i, 1), j]", "r_": "gx.concat", "c_": "gx.column_stack", "s_": "slice",
    "mode": "gx.argmax(gx.bincount(x, length=n))", "insert": "gx.concat([x[:i], y, x[i:]])",
    "delete": "gx.concat([x[:i], x[i + 1:]])", "block": "gx.concat of gx.concat", "partition": "gx.sort, or gx.top_k",
    "argpartition": "gx.argsort, or gx.top_k", "lexsort": "gx.argsort of one key after the other, the last first: it is stable",
    "intersect1d": _SETS, "union1d": _SETS, "setdiff1d": _SETS, "setxor1d": _SETS, "piecewise": "gx.select",
    "polyfit": "gx.linalg.lstsq(gx.vander(x, n), y)", "roots": "np.roots of numbers: they are complex", "poly1d": "gx.polyval",
    "frompyfunc": _HOST, "fromfunction": "gx.arange, and the function of it", "ndenumerate": _LOOPS, "ndindex": _LOOPS,
    "nditer": _LOOPS, "loadtxt": _READ, "genfromtxt": _READ, "frombuffer": _READ, "fromfile": _READ, "savetxt": _WRITE,
    "savez": "gx.save", "asanyarray": "gx.asarray", "may_share_memory": "symbols have no memory",
    "shares_memory": "symbols have no memory", "iscomplexobj": "arrays are real: gx.fft gives pairs",
    "isreal": "arrays are real: gx.fft gives pairs", "i0": "gx.extend.host of scipy's", "multigammaln": "sums of gx.lgamma",
    "zeta": "gx.extend.host of scipy's", "erfcinv": "gx.erfinv(1 - x)",
    "lu": "gx.linalg.solve, gx.linalg.qr and gx.linalg.cholesky are here", "layer": "gx.layers",
    "resize": "gx.reshape, or gx.nn.resize for images", "softmax_cross_entropy": "gx.nn.cross_entropy",
}  # fmt: skip

NN: Mapping[str, str] = {
    "Linear": "x @ w + b, or gx.layers.Dense", "Dense": "gx.layers.Dense", "linear": "x @ w + b", "dense": "x @ w + b",
    "Module": "functions of symbols, or gx.layers.Layer", "Sequential": "gx.models.Sequential", "functional": "gx.nn itself",
    "Parameter": "gx.variable", "Conv1d": "gx.nn.conv", "Conv2d": "gx.nn.conv", "Conv3d": "gx.nn.conv", "conv1d": "gx.nn.conv",
    "conv2d": "gx.nn.conv", "conv3d": "gx.nn.conv", "ConvTranspose2d": "gx.nn.conv_transpose",
    "conv_transpose2d": "gx.nn.conv_transpose", "MaxPool2d": "gx.nn.max_pool", "max_pool2d": "gx.nn.max_pool",
    "AvgPool2d": "gx.nn.avg_pool", "avg_pool2d": "gx.nn.avg_pool", "AdaptiveAvgPool2d": "gx.nn.adaptive_avg_pool",
    "adaptive_avg_pool2d": "gx.nn.adaptive_avg_pool", "ReLU": "gx.nn.relu", "GELU": "gx.nn.gelu", "SiLU": "gx.nn.silu",
    "swish": "gx.nn.silu", "Sigmoid": "gx.nn.sigmoid", "Tanh": "gx.tanh", "tanh": "gx.tanh", "Softmax": "gx.nn.softmax",
    "LeakyReLU": "gx.nn.leaky_relu", "Dropout": "gx.nn.dropout", "LayerNorm": "gx.nn.layer_norm", "layernorm": "gx.nn.layer_norm",
    "BatchNorm1d": "gx.nn.batch_norm", "BatchNorm2d": "gx.nn.batch_norm", "GroupNorm": "gx.nn.group_norm",
    "RMSNorm": "gx.nn.rms_norm", "Embedding": "gx.nn.embedding", "LSTM": "gx.nn.lstm", "GRU": "gx.nn.gru", "RNN": "gx.nn.rnn",
    "MultiheadAttention": "gx.nn.attention", "multi_head_attention": "gx.nn.attention",
    "scaled_dot_product_attention": "gx.nn.attention", "dot_product_attention": "gx.nn.attention",
    "CrossEntropyLoss": "gx.nn.cross_entropy", "NLLLoss": "gx.nn.cross_entropy", "nll_loss": "gx.nn.cross_entropy",
    "softmax_cross_entropy": "gx.nn.cross_entropy", "softmax_cross_entropy_with_logits": "gx.nn.cross_entropy",
    "sparse_softmax_cross_entropy_with_logits": "gx.nn.cross_entropy", "MSELoss": "gx.nn.mse", "mse_loss": "gx.nn.mse",
    "L1Loss": "gx.nn.l1", "l1_loss": "gx.nn.l1", "mae": "gx.nn.l1", "smooth_l1_loss": "gx.nn.huber", "huber_loss": "gx.nn.huber",
    "SmoothL1Loss": "gx.nn.huber", "BCELoss": "gx.nn.binary_cross_entropy", "BCEWithLogitsLoss": "gx.nn.binary_cross_entropy",
    "binary_cross_entropy_with_logits": "gx.nn.binary_cross_entropy", "sigmoid_cross_entropy": "gx.nn.binary_cross_entropy",
    "kl_div": "gx.nn.kl_divergence", "KLDivLoss": "gx.nn.kl_divergence", "one_hot": "gx.one_hot", "pad": "gx.pad",
    "interpolate": "gx.nn.resize", "upsample": "gx.nn.resize", "Upsample": "gx.nn.resize", "logsigmoid": "gx.nn.log_sigmoid",
    "hard_sigmoid": "gx.nn.hardsigmoid", "hard_swish": "gx.nn.hardswish", "hard_tanh": "gx.nn.hardtanh",
    "soft_sign": "gx.nn.softsign", "Flatten": "gx.layers.Flatten", "flatten": "gx.reshape", "lstm_cell": "gx.nn.lstm",
    "global_average_pool": "gx.nn.global_avg_pool", "normalize": "x / gx.linalg.vector_norm(x, axis=-1, keepdims=True)",
    "alpha_dropout": "gx.nn.dropout", "local_response_norm": "gx.nn.group_norm", "LocalResponseNorm": "gx.nn.group_norm",
    "lp_pool2d": "gx.nn.avg_pool(x**p, ...)**(1 / p)", "unfold": "gx.sliding_window_view", "fold": "x.at[key].add(windows)",
    "pixel_shuffle": "gx.reshape and gx.permute_dims", "LSTMCell": "gx.nn.lstm", "GRUCell": "gx.nn.gru", "gru_cell": "gx.nn.gru",
    "categorical_crossentropy": "gx.nn.cross_entropy", "sparse_categorical_crossentropy": "gx.nn.cross_entropy",
    "bce_loss": "gx.nn.binary_cross_entropy", "hinge_embedding_loss": "gx.nn.hinge", "init": "gx.layers.initializers",
    "cosine_similarity": "gx.vecdot(x, y) / (gx.linalg.vector_norm(x, axis=-1) * gx.linalg.vector_norm(y, axis=-1))",
    "CosineSimilarity": "gx.vecdot(x, y) / (gx.linalg.vector_norm(x, axis=-1) * gx.linalg.vector_norm(y, axis=-1))",
    "cosine_embedding_loss": "gx.vecdot of vectors of length 1", "triplet_margin_loss": _TRIPLETS, "TripletMarginLoss": _TRIPLETS,
    "poisson_nll_loss": "-gx.stats.poisson.logpmf(k, mu)", "gaussian_nll_loss": "-gx.stats.norm.logpdf(x, mean, std)",
    "grid_sample": "gx.take of the flat image, four times, with weights", "affine_grid": "gx.meshgrid",
    "ModuleDict": "a dict of functions", "ModuleList": "a list of functions, or gx.models.Sequential",
    "ParameterList": "a list of gx.variable", "ParameterDict": "a dict of gx.variable",
    "Bilinear": 'gx.einsum("bi,oij,bj->bo", x, w, y)', "Identity": "x itself", "bilinear": 'gx.einsum("bi,oij,bj->bo", x, w, y)',
    "Unflatten": "gx.reshape", "standardize": "(x - gx.mean(x)) / gx.std(x)",
    "gumbel_softmax": "gx.nn.softmax((logits + gx.random.gumbel(key, logits.shape)) / temperature)",
    "positional_encoding": "gx.layers.SinusoidalPositions, or gx.nn.rope", "label_smoothing": _SMOOTHED,
    "smooth_labels": _SMOOTHED, "utils": "gx.optim.clip_by_global_norm, gx.optim.global_norm",
    "adaptive_max_pool2d": "gx.nn.adaptive_max_pool", "Transformer": "gx.layers.TransformerEncoder",
    "parameters": "gx.named_variables",
}  # fmt: skip

OPTIM: Mapping[str, str] = {
    "Adam": "gx.optim.adam", "AdamW": "gx.optim.adamw", "SGD": "gx.optim.sgd", "RMSprop": "gx.optim.rmsprop",
    "Adagrad": "gx.optim.adagrad", "Adadelta": "gx.optim.adadelta", "Adamax": "gx.optim.adamax", "NAdam": "gx.optim.nadam",
    "Nadam": "gx.optim.nadam", "Lamb": "gx.optim.lamb", "Lion": "gx.optim.lion", "Rprop": "gx.optim.rprop",
    "RMSProp": "gx.optim.rmsprop", "Momentum": "gx.optim.momentum", "Nesterov": "gx.optim.nesterov",
    "GradientDescentOptimizer": "gx.optim.sgd", "AdamOptimizer": "gx.optim.adam", "lr_scheduler": "gx.optim.schedules",
    "apply_updates": "gx.compile(inputs, outputs, updates=gx.optim.adam(loss, variables)) applies them",
    "step": "gx.compile(inputs, outputs, updates=gx.optim.adam(loss, variables)) makes one",
    "clip_grad_norm_": "gx.optim.clip_by_global_norm", "cosine_decay_schedule": "gx.optim.schedules.cosine",
    "cosine": "gx.optim.schedules.cosine", "exponential_decay": "gx.optim.schedules.exponential",
    "CosineAnnealingLR": "gx.optim.schedules.cosine", "Optimizer": "a function (loss, variables) -> updates, as gx.optim.sgd",
    "StepLR": "gx.optim.schedules.piecewise", "MultiStepLR": "gx.optim.schedules.piecewise",
    "LinearLR": "gx.optim.schedules.linear", "ExponentialLR": "gx.optim.schedules.exponential",
    "CosineAnnealingWarmRestarts": _SCHEDULE, "LambdaLR": _SCHEDULE,
    "OneCycleLR": "gx.optim.schedules.warmup of gx.optim.schedules.cosine", "PolynomialLR": _SCHEDULE,
    "CosineDecay": "gx.optim.schedules.cosine", "ExponentialDecay": "gx.optim.schedules.exponential",
    "PiecewiseConstantDecay": "gx.optim.schedules.piecewise", "warmup": "gx.optim.schedules.warmup",
    "constant_schedule": "gx.optim.schedules.constant", "linear_schedule": "gx.optim.schedules.linear",
    "polynomial_schedule": _SCHEDULE, "schedule": "gx.optim.schedules",
    "piecewise_constant_schedule": "gx.optim.schedules.piecewise",
    "join_schedules": "gx.optim.schedules.piecewise, or " + _SCHEDULE,
    "warmup_cosine_decay_schedule": "gx.optim.schedules.warmup of gx.optim.schedules.cosine", "inject_hyperparams": _SCHEDULE,
    "LBFGS": "gx.optim.lbfgs", "RAdam": "gx.optim.adam with a rate of gx.optim.schedules.warmup",
    "radam": "gx.optim.adam with a rate of gx.optim.schedules.warmup", "ASGD": "gx.optim.sgd, and gx.models.EMA",
    "EMA": "gx.models.EMA", "ema": "gx.models.EMA", "AveragedModel": "gx.models.EMA", "swa_utils": "gx.models.EMA",
    "Adafactor": "gx.optim.adam", "adafactor": "gx.optim.adam", "lars": "gx.optim.lamb", "LARS": "gx.optim.lamb",
    "Ftrl": "gx.optim.adagrad", "ftrl": "gx.optim.adagrad", "yogi": "gx.optim.adam", "novograd": "gx.optim.lamb", "sam": _OWN,
    "SAM": _OWN, "noisy_sgd": _OWN, "lookahead": _OWN, "chain": _OWN, "scale": _OWN, "multi_transform": _OWN,
    "GradientTransformation": _OWN, "clip": "gx.optim.clip_by_global_norm", "clip_by_value": "gx.clip(g, -limit, limit)",
    "clip_grad_value_": "gx.clip(g, -limit, limit)", "clip_by_norm": "gx.optim.clip_by_global_norm",
    "init": "an optimiser makes its state itself: gx.optim.adam(loss, variables)",
    "update": "gx.compile(inputs, outputs, updates=gx.optim.adam(loss, variables)) applies them",
    "zero_grad": "gradients are symbols, and nothing is added up: leave it out",
    "param_groups": "gx.optim.adam of some variables, joined by | with another of the others",
    "fmin_l_bfgs_b": "gx.optim.minimize", "BFGS": "gx.optim.lbfgs", "bfgs": "gx.optim.lbfgs",
}  # fmt: skip

LINALG: Mapping[str, str] = {
    "dot": "gx.linalg.matmul", "inner": "gx.linalg.vecdot", "eig": "gx.linalg.eigh", "eigvals": "gx.linalg.eigvalsh",
    "multi_dot": "gx.linalg.matmul", "triangular_solve": "gx.linalg.solve_triangular", "cho_solve": "gx.linalg.solve_triangular",
    "cho_factor": "gx.linalg.cholesky", "inverse": "gx.linalg.inv", "determinant": "gx.linalg.det", "logdet": "gx.linalg.slogdet",
    "einsum": "gx.einsum", "diag": "gx.diag", "kron": "gx.kron", "tril": "gx.tril", "triu": "gx.triu", "eye": "gx.eye",
    "transpose": "gx.linalg.matrix_transpose", "vdot": "gx.linalg.vecdot",
    "cond": "s = gx.linalg.svdvals(x), and s[..., 0] / s[..., -1]", "lu": _LU, "lu_factor": _LU, "lu_factor_ex": _LU,
    "lu_solve": "gx.linalg.solve", "cholesky_solve": "gx.linalg.solve_triangular, twice", "cholesky_inverse": "gx.linalg.inv",
    "logm": "gx.linalg.eigh, and gx.log of the eigenvalues", "sqrtm": "gx.linalg.eigh, and gx.sqrt of the eigenvalues",
    "matrix_exp": "gx.linalg.expm", "block_diag": "gx.concat of rows of blocks and gx.zeros", "toeplitz": "gx.take(c, i - j)",
    "hankel": "gx.take(c, i + j)", "schur": "gx.linalg.eigh, for symmetric matrices", "hessenberg": "gx.linalg.qr",
    "null_space": "gx.linalg.svd", "orth": "gx.linalg.qr", "polar": "gx.linalg.svd", "householder_product": "gx.linalg.qr",
    "adjoint": "gx.linalg.matrix_transpose", "l2_normalize": "x / gx.linalg.vector_norm(x, axis=-1, keepdims=True)",
    "tensorinv": "gx.linalg.inv of the matrix that gx.reshape makes",
    "tensorsolve": "gx.linalg.solve of the matrix that gx.reshape makes", "band_part": "gx.triu(gx.tril(x, upper), -lower)",
    "set_diag": "gx.where(gx.eye(n, dtype=bool), y, x)", "global_norm": "gx.optim.global_norm", "vander": "gx.vander",
}  # fmt: skip

RANDOM: Mapping[str, str] = {
    "PRNGKey": "gx.random.key", "seed": _KEYS, "manual_seed": _KEYS, "set_seed": _KEYS, "default_rng": "gx.random.Stream",
    "RandomState": "gx.random.Stream", "Generator": "gx.random.Stream", "MRG_RandomStream": "gx.random.Stream",
    "RandomStream": "gx.random.Stream", "rand": "gx.random.uniform", "random": "gx.random.uniform",
    "random_sample": "gx.random.uniform", "randn": "gx.random.normal", "standard_normal": "gx.random.normal",
    "integers": "gx.random.randint", "shuffle": "gx.random.permutation", "randperm": "gx.random.permutation",
    "multinomial": "gx.random.categorical", "binomial": "gx.sum of gx.random.bernoulli",
    "laplace": "gx.sign of one uniform number, times gx.random.exponential", "lognormal": "gx.exp of gx.random.normal",
    "multivariate_normal": "mean + gx.random.normal(key, (n, d)) @ gx.linalg.cholesky(cov).T", "student_t": _STUDENT,
    "t": _STUDENT, "cauchy": _QUANTILE, "rayleigh": _QUANTILE, "weibull_min": _QUANTILE, "weibull": _QUANTILE,
    "pareto": _QUANTILE, "logistic": "gx.logit of gx.random.uniform", "standard_cauchy": _QUANTILE,
    "standard_gamma": "gx.random.gamma", "standard_exponential": "gx.random.exponential",
    "chisquare": "2 * gx.random.gamma(key, df / 2)", "geometric": _QUANTILE, "triangular": _QUANTILE,
    "get_state": "stream.state of gx.random.Stream, a variable", "set_state": "stream.state of gx.random.Stream, a variable",
    "key_data": "a key is an array itself", "ranf": "gx.random.uniform", "orthogonal": "gx.linalg.qr of gx.random.normal",
    "rademacher": "2 * gx.random.bernoulli(key, 0.5) - 1", "random_integers": "gx.random.randint",
    "negative_binomial": "gx.random.poisson of gx.random.gamma", "bytes": "gx.random.bits",
    "stateless_normal": "gx.random.normal", "stateless_uniform": "gx.random.uniform",
    "ball": "gx.random.normal, divided by its length", "sample": "gx.random.uniform, or gx.random.choice",
    "set_global_seed": _KEYS, "vonmises": _REJECTED, "wald": _REJECTED, "zipf": _REJECTED, "hypergeometric": _REJECTED,
    "maxwell": "gx.linalg.vector_norm of three of gx.random.normal",
}  # fmt: skip

TENSOR: Mapping[str, str] = {
    "item": _SYMBOL, "numpy": _SYMBOL, "tolist": _SYMBOL, "data": _SYMBOL, "value": _SYMBOL, "get_value": _SYMBOL,
    "detach": "gx.stop_gradient(x)", "requires_grad": "gx.grad(loss, x) asks for a gradient where it is wanted",
    "requires_grad_": "gx.grad(loss, x) asks for a gradient where it is wanted", "backward": "gx.grad(loss, [w, b])",
    "grad": "gx.grad(loss, x)", "cpu": _DEVICE, "cuda": _DEVICE, "device": _DEVICE, "to": "x.astype(dtype)",
    "type_as": "x.astype(y.dtype)", "cast": "x.astype(dtype)", "float": 'x.astype("float32")', "double": 'x.astype("float64")',
    "half": 'x.astype("float16")', "long": 'x.astype("int64")', "int": 'x.astype("int32")', "bool": 'x.astype("bool")',
    "unsqueeze": "gx.expand_dims(x, axis)", "expand_dims": "gx.expand_dims(x, axis)", "view": "x.reshape(...)",
    "view_as": "x.reshape(y.shape)", "permute": "gx.permute_dims(x, axes)", "dimshuffle": "gx.permute_dims(x, axes)",
    "swapaxes": "gx.swapaxes(x, a, b)", "t": "x.T", "expand": "gx.broadcast_to(x, shape)", "mm": "x @ y", "bmm": "x @ y",
    "expand_as": "gx.broadcast_to(x, y.shape)", "repeat": "gx.tile(x, n) of the whole, gx.repeat(x, n) of each element",
    "clamp": "x.clip(min, max)", "contiguous": _IMMUTABLE, "copy": _IMMUTABLE, "clone": _IMMUTABLE, "dim": "x.ndim",
    "numel": "x.size", "nelement": "x.size", "rank": "x.ndim", "get_shape": "x.shape", "masked_fill": "gx.where(mask, value, x)",
    "scatter_add": "x.at[key].add(y)", "gather": "gx.take_along_axis(x, indices, axis)", "index_select": "gx.take(x, i, axis)",
    "cumsum": "gx.cumulative_sum(x, axis)", "cumprod": "gx.cumulative_prod(x, axis)", "relu": "gx.nn.relu(x)",
    "softmax": "gx.nn.softmax(x, axis)", "log_softmax": "gx.nn.log_softmax(x, axis)", "norm": "gx.linalg.norm(x)",
    "sort": "gx.sort(x)", "topk": "gx.top_k(x, k)", "fill": "gx.full_like(x, value)", "add_": "x + y", "mul_": "x * y",
    "conj": "x", "register_hook": "gx.custom_gradient", "eq": "x == y", "matmul": "x @ y", "block_until_ready": _SYMBOL,
    "assign": "updates={w: new value} of gx.compile: only variables are written", "asnumpy": _SYMBOL, "as_numpy": _SYMBOL,
    "tobytes": _SYMBOL, "tofile": _SYMBOL, "nbytes": "x.size * x.dtype.itemsize", "itemsize": "x.dtype.itemsize",
    "element_size": "x.dtype.itemsize", "strides": "symbols have no memory, and x.shape is all of their layout",
    "base": "symbols have no memory", "flags": "symbols have no memory", "flat": "x.flatten()", "H": "x.mT", "mH": "x.mT",
    "A": "x itself", "real": "x itself: it is real", "imag": "gx.zeros_like(x): it is real", "conjugate": "x",
    "is_complex": "arrays are real: gx.fft gives pairs", "put": "x.at[key].set(y)",
    "byteswap": "gx.constant(array.byteswap()), before it is a symbol", "is_cuda": _DEVICE,
    "is_floating_point": "x.dtype.is_float", "grad_fn": "x.op, x.inputs", "owner": "x.op, x.inputs",
    "retain_grad": "gx.grad(loss, x)", "ndimension": "x.ndim", "unbind": "gx.unstack(x)", "chunk": "gx.array_split(x, n)",
    "scatter": "x.at[key].set(y)", "index_add": "x.at[key].add(y)", "index_put": "x.at[key].set(y)",
    "index_fill": "x.at[key].set(value)", "index_copy": "x.at[key].set(y)", "new_zeros": "gx.zeros(shape, x.dtype)",
    "new_ones": "gx.ones(shape, x.dtype)", "new_full": "gx.full(shape, value, x.dtype)", "new_empty": "gx.zeros(shape, x.dtype)",
    "new_tensor": "gx.constant(array, x.dtype)", "apply": "gx.map, or gx.vmap", "map": "gx.map(f, x)",
    "set_shape": "gx.placeholder has the shape, and a call checks it",
    "values": "the values are x itself: gx.max(x, axis), gx.sort(x)",
    "indices": "gx.argmax(x, axis), gx.argsort(x), gx.top_k(x, k)",
    "assign_add": "updates={w: w + delta} of gx.compile: only variables are written", "read_value": _SYMBOL,
    "split": "gx.split(x, n, axis)", "stack": "gx.stack([x, y])", "add": "x + y", "sub": "x - y", "mul": "x * y", "div": "x / y",
    "neg": "-x", "subtract": "x - y", "multiply": "x * y", "divide": "x / y", "ne": "x != y", "gt": "x > y", "ge": "x >= y",
    "lt": "x < y", "le": "x <= y", "pow": "x ** y", "abs": "abs(x)", "resize": "x.reshape(...)",
    "masked_select": "gx.extract(mask, x, size=n)", "zero": "gx.zeros_like(x)", "copy_": "x = y",
    "repeat_interleave": "gx.repeat(x, n)", "tile": "gx.tile(x, n)", "diagonal": "gx.diagonal(x)", "roll": "gx.roll(x, n, axis)",
    "flip": "gx.flip(x, axis)", "take_along_dim": "gx.take_along_axis(x, indices, axis)",
    "is_contiguous": "symbols have no memory", "stride": "symbols have no memory", "share_memory": "symbols have no memory",
    "pin_memory": "symbols have no memory", "movedim": "gx.moveaxis(x, a, b)", "unflatten": "x.reshape(...)",
    "broadcast": "gx.broadcast_to(x, shape)", "argwhere": "gx.argwhere(x, size=n)", "nonzero": "gx.nonzero(x, size=n)",
    "apply_gradients": "gx.compile(inputs, outputs, updates=...)", "run": "y.eval({x: array})", "compute": "y.eval({x: array})",
}  # fmt: skip

VARIABLE: Mapping[str, str] = {
    "assign": "w.update(new), or w.value = new; in a program updates={w: new}",
    "assign_add": "w.update(lambda old: old + delta); in a program updates={w: w + delta}, in a layer self.update(w, w + delta)",
    "assign_sub": "w.update(lambda old: old - delta); in a program updates={w: w - delta}, in a layer self.update(w, w - delta)",
    "set_value": "w.value = new, or w.update(new)", "get_value": "w.value", "read_value": "w.value", "numpy": "w.value",
    "item": "w.value.item()", "tolist": "w.value.tolist()", "detach": "w.value is an array, gx.stop_gradient(w) a symbol",
    "copy": "copy.copy(w)", "clone": "copy.copy(w)", "copy_": "w.update(new)", "fill_": "w.update(new)",
    "zero_grad": "gradients are symbols, and nothing is added up: leave it out", "set": "w.update(new)",
    "trainable": "gx.stop_gradient(w), or leave it out of the variables of gx.optim.adam(loss, [...])",
    "requires_grad": "gx.stop_gradient(w), or leave it out of the variables of gx.optim.adam(loss, [...])",
    "initializer": "it has its value from its birth: w.value", "initialized_value": "w.value", "borrow": "w.value",
    "container": "w.value", "add_": "w.update(lambda old: old + delta)", "sub_": "w.update(lambda old: old - delta)",
    "mul_": "w.update(lambda old: old * factor)", "div_": "w.update(lambda old: old / factor)",
    "zero_": "w.update(lambda old: 0 * old)", "normal_": "w.update(rng.normal(size=w.shape))",
    "uniform_": "w.update(rng.uniform(size=w.shape))", "clamp_": "w.update(lambda old: old.clip(low, high))",
    "asnumpy": "w.value", "load": "gx.load(path, [w])", "save": "gx.save(path, [w])", "set_data": "w.value = new",
    "initialize": "w.value = new", "reset": "w.value = new", "put": "w.update(new)",
}  # fmt: skip

COMPILED: Mapping[str, str] = {
    "parameters": "f.variables", "params": "f.variables", "state": "f.variables", "state_dict": "gx.save(path, f)",
    "load_state_dict": "gx.load(path, f)", "save": "gx.save(path, f)", "load": "gx.load(path, f)", "run": "call it: f(array)",
    "forward": "call it: f(array)", "predict": "call it: f(array)", "eval": "call it: f(array)", "text": "f.graph",
    "cost_analysis": "f.profile(array)", "memory_analysis": "f.memory", "lower": "f.stages", "jaxpr": "f.graph",
    "source": "f.kernels[0].source", "draw": "f.to_dot(path)", "maker": "f.graph", "time": "f.profile(array)",
    "trainable_variables": "f.variables", "weights": "f.variables", "named_parameters": "f.variables",
    "get_weights": "f.variables", "train": "a graph has no modes: compile one for training, one without",
    "to": "everything runs on this machine's processor: leave it out",
    "cuda": "everything runs on this machine's processor: leave it out",
    "cpu": "everything runs on this machine's processor: leave it out",
    "backward": "gx.grad(loss, [w, b]), before it is compiled",
    "zero_grad": "gradients are symbols, and nothing is added up: leave it out",
    "grad": "gx.grad(loss, [w, b]), before it is compiled", "summary": "f.explain()", "as_text": "f.graph",
    "as_hlo_text": "f.graph", "compile": "it is compiled: f(array)", "compiler_ir": "f.graph",
    "warmup": "it is compiled: f(array)", "trace": "f.graph",
    "clear_cache": "a compiled function has no cache of shapes: it is one program", "get_value": "call it: f(array)",
    "plot": "f.to_dot(path)", "visualize": "f.to_dot(path)", "benchmark": "f.profile(array)", "timeit": "f.profile(array)",
}  # fmt: skip

LAYERS: Mapping[str, str] = {
    "Linear": "gx.layers.Dense", "Module": "gx.layers.Layer", "Sequential": "gx.models.Sequential", "Model": "gx.models.Model",
    "Conv1d": "gx.layers.Conv1D", "Conv2d": "gx.layers.Conv2D", "Conv3d": "gx.layers.Conv3D",
    "Convolution2D": "gx.layers.Conv2D", "ConvTranspose1d": "gx.layers.Conv1DTranspose",
    "ConvTranspose2d": "gx.layers.Conv2DTranspose", "ConvTranspose3d": "gx.layers.Conv3DTranspose",
    "Deconvolution2D": "gx.layers.Conv2DTranspose", "MaxPool1d": "gx.layers.MaxPooling1D", "MaxPool2d": "gx.layers.MaxPooling2D",
    "MaxPool3d": "gx.layers.MaxPooling3D", "AvgPool1d": "gx.layers.AveragePooling1D", "AvgPool2d": "gx.layers.AveragePooling2D",
    "AvgPool3d": "gx.layers.AveragePooling3D", "AvgPool": "gx.layers.AveragePool",
    "AdaptiveAvgPool2d": "gx.layers.GlobalAveragePool, or gx.nn.adaptive_avg_pool in a gx.layers.Lambda",
    "AdaptiveMaxPool2d": "gx.layers.GlobalMaxPool, or gx.nn.adaptive_max_pool in a gx.layers.Lambda",
    "Dropout1d": "gx.layers.SpatialDropout", "Dropout2d": "gx.layers.SpatialDropout", "BatchNorm1d": "gx.layers.BatchNorm",
    "BatchNorm2d": "gx.layers.BatchNorm", "BatchNorm3d": "gx.layers.BatchNorm", "InstanceNorm2d": "gx.layers.GroupNorm",
    "RNN": "gx.layers.SimpleRNN", "MultiheadAttention": "gx.layers.MultiHeadAttention", "GELU": 'gx.layers.Activation("gelu")',
    "Tanh": 'gx.layers.Activation("tanh")', "Sigmoid": 'gx.layers.Activation("sigmoid")', "SiLU": 'gx.layers.Activation("silu")',
    "Softplus": 'gx.layers.Activation("softplus")', "InputLayer": "gx.layers.Input", "Upsample": "gx.layers.UpSampling",
    "TextVectorization": "gx.data.Words, gx.data.BytePairs", "StringLookup": "gx.data.Words",
    "Transformer": "gx.layers.TransformerEncoder", "TransformerEncoderLayer": "gx.layers.TransformerEncoder",
    "TransformerDecoderLayer": "gx.layers.TransformerDecoder", "Parameter": "self.variable(name, shape) of gx.layers.Layer",
    "Unflatten": "gx.layers.Reshape", "ZeroPad2d": "gx.layers.ZeroPadding2D",
    "PixelShuffle": "gx.layers.Reshape and gx.layers.Permute", "EinsumDense": "gx.einsum, in a gx.layers.Layer with a variable",
    "ThresholdedReLU": "gx.layers.ReLU(threshold=...)", "AlphaDropout": "gx.layers.Dropout",
    "LSTMCell": "gx.layers.LSTM; another cell is a gx.scan in a gx.layers.Layer",
    "GRUCell": "gx.layers.GRU; another cell is a gx.scan in a gx.layers.Layer",
    "SimpleRNNCell": "gx.layers.SimpleRNN; another cell is a gx.scan in a gx.layers.Layer",
    "StackedRNNCells": "several of gx.layers.LSTM(units, return_sequences=True)",
    "ConvLSTM2D": "gx.scan of gx.nn.conv, in a gx.layers.Layer", "CategoryEncoding": "gx.one_hot, in a gx.layers.Lambda",
    "Discretization": "gx.searchsorted, in a gx.layers.Lambda", "IntegerLookup": "gx.data.Words", "Hashing": "gx.data.Words",
    "GroupQueryAttention": "gx.layers.MultiHeadAttention(heads, width, num_kv_heads=...)",
    "GroupedQueryAttention": "gx.layers.MultiHeadAttention(heads, width, num_kv_heads=...)",
    "SpectralNormalization": "gx.linalg.svdvals, in a gx.layers.Layer", "MelSpectrogram": "gx.data.audio.log_mel",
    "Wrapper": "gx.layers.Layer", "add": "gx.layers.Add()([a, b]), or a + b",
    "concatenate": "gx.layers.Concatenate()([a, b]), or gx.concat", "multiply": "gx.layers.Multiply()([a, b]), or a * b",
    "subtract": "gx.layers.Subtract()([a, b]), or a - b", "average": "gx.layers.Average()([a, b])",
    "maximum": "gx.layers.Maximum()([a, b]), or gx.maximum", "minimum": "gx.layers.Minimum()([a, b]), or gx.minimum",
    "dot": "gx.layers.Dot(axes=1)([a, b])",
}  # fmt: skip

MODELS: Mapping[str, str] = {
    "load_model": "gx.models.load", "save_model": "model.save(path)", "save": "model.save(path)",
    "clone_model": "copy.deepcopy(model)", "model_from_json": "gx.models.load", "Functional": "gx.models.Model",
    "Input": "gx.layers.Input", "Dense": "gx.layers.Dense", "Adam": "gx.models.optimizers.Adam",
    "AdamW": "gx.models.optimizers.AdamW", "SGD": "gx.models.optimizers.SGD", "RMSprop": "gx.models.optimizers.RMSprop",
    "Trainer": "model.fit of gx.models.Model", "DataLoader": "gx.data.Dataset", "Checkpoint": "gx.models.ModelCheckpoint",
    "CosineDecay": "gx.optim.schedules.cosine", "layers": "gx.layers", "Module": "gx.models.Model",
    "LightningModule": "gx.models.Model", "train": "model.fit", "CrossEntropyLoss": "gx.models.losses",
    "MeanSquaredError": "gx.models.losses", "regularizers": "gx.layers.regularizers", "initializers": "gx.layers.initializers",
    "BackupAndRestore": "model.fit(x, y, checkpoints=folder)", "ProgbarLogger": "model.fit(x, y, verbose=1)",
    "SwapEMAWeights": "gx.models.EMA", "RemoteMonitor": "gx.models.LambdaCallback",
    "CallbackList": "a list of gx.models.Callback", "utils": "gx.data, gx.one_hot, and model.plot(path)",
    "to_categorical": "gx.one_hot, or np.eye(classes)[labels]", "plot_model": "model.plot(path)",
    "set_random_seed": "gx.layers.seed",
}  # fmt: skip

MODEL: Mapping[str, str] = {
    "parameters": "model.trainable_variables", "named_parameters": "model.variables", "params": "model.variables",
    "state_dict": "model.save_weights(path), or model.variables", "load_state_dict": "model.load_weights(path)",
    "train": "model.fit(x, y); a call has training=True", "eval": "model.evaluate(x, y); a call has training=False",
    "forward": "model.call(x)", "to": _DEVICE, "cuda": _DEVICE, "cpu": _DEVICE,
    "zero_grad": "gradients are symbols, and nothing is added up: leave it out",
    "backward": "gx.grad(loss, model.trainable_variables)", "to_json": "model.get_config()", "fit_generator": "model.fit(source)",
    "predict_proba": "model.predict(x)", "score": "model.evaluate(x, y)", "transform": "model.predict(x)",
    "load": "gx.models.load(path)", "children": "model.parts()", "modules": "model.walk()",
    "named_modules": "model.walk()", "apply": "model(x), or model.walk() for every layer",
    "register_buffer": "layer.variable(name, shape, trainable=False)", "register_parameter": "layer.variable(name, shape)",
    "weight": "layer.weights", "kernel": "layer.weights, once it is built",
    "bias": "layer.weights, once it is built", "trainable_weights": "model.trainable_variables",
    "non_trainable_weights": "model.non_trainable_variables", "numel": "model.count_params()", "half": _MIXED,
    "requires_grad_": "layer.trainable = False", "freeze": "layer.trainable = False", "output_shape": "model(x).shape",
    "step": "model.train_on_batch(x, y)",
    "append": "model.add(layer)", "push": "model.add(layer)", "extend": "model.add(layer), for each",
    "pop": "gx.models.Sequential(model.layers[:-1])",
    "loss": "model.compile(optimizer, loss)", "metrics": "model.compile(optimizer, loss, metrics)",
    "history": "history = model.fit(x, y)", "predict_classes": "model.predict(x).argmax(-1)", "fc": "model.layers",
    "get_submodule": "model.get_layer(name)", "named_children": "model.parts()", "buffers": "model.non_trainable_variables",
    "numpy": "layer.get_weights()", "detach": "gx.stop_gradient(model(x))", "share_memory": "variables are in this process",
}  # fmt: skip

DATA: Mapping[str, str] = {
    "DataLoader": "gx.data.Arrays(x, y).batch(size), or gx.data.Dataset", "TensorDataset": "gx.data.Arrays",
    "from_tensor_slices": "gx.data.Arrays", "random_split": "gx.data.train_test_split",
    "batch": "gx.data.Dataset(made).batch(size)", "shuffle": "gx.data.Dataset(made).shuffle(buffer)", "AUTOTUNE": "leave it out",
    "KFold": "gx.data.k_fold", "Subset": "x[indices] of the arrays", "ConcatDataset": "itertools.chain",
    "Sampler": "gx.data.permutation", "RandomSampler": "gx.data.permutation", "WeightedRandomSampler": "gx.random.choice",
    "collate_fn": "gx.data.pad_sequences", "default_collate": "gx.data.Dataset(made).batch(size)",
    "transforms": "gx.data.augmentation", "ImageFolder": "gx.data.Dataset of what another package reads",
    "pad_sequence": "gx.data.pad_sequences", "Generator": "gx.data.Dataset", "IterableDataset": "gx.data.Dataset",
    "stft": "gx.data.audio.stft",
}  # fmt: skip

METRICS: Mapping[str, str] = {
    "accuracy": "gx.metrics.Accuracy", "accuracy_score": "gx.metrics.Accuracy", "auc": "gx.metrics.AUC",
    "roc_auc_score": "gx.metrics.ExactAUC", "AUROC": "gx.metrics.AUC", "f1_score": "gx.metrics.F1Score",
    "F1": "gx.metrics.F1Score", "precision": "gx.metrics.Precision", "recall": "gx.metrics.Recall",
    "confusion_matrix": "gx.metrics.ConfusionMatrix", "mean_squared_error": "gx.metrics.MeanSquaredError",
    "mse": "gx.metrics.MeanSquaredError", "MSE": "gx.metrics.MeanSquaredError", "mae": "gx.metrics.MeanAbsoluteError",
    "MAE": "gx.metrics.MeanAbsoluteError", "RMSE": "gx.metrics.RootMeanSquaredError", "rmse": "gx.metrics.RootMeanSquaredError",
    "r2_score": "gx.metrics.R2Score", "log_loss": "the loss itself is a figure: model.evaluate(x, y)",
    "top_k_accuracy": "gx.metrics.TopKCategoricalAccuracy", "bleu": "gx.metrics.BLEU", "perplexity": "gx.metrics.Perplexity",
    "MeanMetric": "gx.metrics.Mean", "ROCAUC": "gx.metrics.AUC", "Dice": "gx.metrics.DiceScore",
    "WER": "gx.metrics.WordErrorRate", "CER": "gx.metrics.CharacterErrorRate", "BinaryIoU": "gx.metrics.IoU(num_classes=2)",
    "OneHotIoU": "gx.metrics.IoU", "OneHotMeanIoU": "gx.metrics.MeanIoU", "MeanMetricWrapper": "a function (y_true, y_pred)",
    "BinaryCrossentropy": 'its name: metrics=["binary_crossentropy"] of model.compile',
    "CategoricalCrossentropy": 'its name: metrics=["categorical_crossentropy"] of model.compile',
    "SparseCategoricalCrossentropy": 'its name: metrics=["sparse_categorical_crossentropy"] of model.compile',
    "KLDivergence": 'its name: metrics=["kl_divergence"] of model.compile',
    "Poisson": 'its name: metrics=["poisson"] of model.compile', "Hinge": 'its name: metrics=["hinge"] of model.compile',
    "SquaredHinge": 'its name: metrics=["squared_hinge"] of model.compile',
    "CategoricalHinge": 'its name: metrics=["categorical_hinge"] of model.compile', "Sum": "gx.metrics.Mean",
    "PearsonCorrelation": "gx.corrcoef of what model.predict gives", "SensitivityAtSpecificity": "gx.metrics.ExactAUC",
    "LogCoshError": 'its name: metrics=["log_cosh"] of model.compile',
    "MeanSquaredLogarithmicError": 'its name: metrics=["msle"] of model.compile',
}  # fmt: skip

STATS: Mapping[str, str] = {
    "normal": "gx.stats.norm", "gaussian": "gx.stats.norm", "Normal": "gx.stats.norm", "Bernoulli": "gx.stats.bernoulli",
    "exponential": "gx.stats.expon", "Exponential": "gx.stats.expon", "student": "gx.stats.t", "StudentT": "gx.stats.t",
    "binomial": "gx.stats.binom", "Binomial": "gx.stats.binom", "negative_binomial": "gx.stats.nbinom",
    "NegativeBinomial": "gx.stats.nbinom", "multinomial": "gx.stats.categorical, or gx.lgamma and gx.xlogy",
    "MultivariateNormal": "gx.stats.multivariate_normal", "mvn": "gx.stats.multivariate_normal", "LogNormal": "gx.stats.lognorm",
    "lognormal": "gx.stats.lognorm", "HalfNormal": "gx.stats.halfnorm", "chi2": "gx.stats.gamma.logpdf(x, df / 2, scale=2)",
    "erlang": "gx.stats.gamma", "invgamma": "gx.stats.gamma.logpdf(1 / x, a) - 2 * gx.log(x)",
    "halfcauchy": "gx.stats.cauchy.logpdf(x) + gx.log(2)", "logistic": "-x - 2 * gx.softplus(-x)", "gumbel": "-x - gx.exp(-x)",
    "gumbel_r": "-x - gx.exp(-x)", "entropy": "gx.sum(gx.entr(p))", "kl_divergence": "gx.sum(gx.rel_entr(p, q))",
    "zscore": "(x - gx.mean(x)) / gx.std(x)", "pearsonr": "gx.corrcoef", "describe": "gx.mean, gx.var, gx.min and gx.max",
    "skew": "gx.mean(((x - gx.mean(x)) / gx.std(x)) ** 3)", "kurtosis": "gx.mean(((x - gx.mean(x)) / gx.std(x)) ** 4) - 3",
    "Mixture": "gx.nn.logsumexp of the logarithms of weights and densities",
    "mixture": "gx.nn.logsumexp of the logarithms of weights and densities",
    "Independent": "gx.sum of the log density over its axes", "rv_continuous": "a function of symbols",
    "Distribution": "a function of symbols", "mode": "gx.argmax(gx.bincount(x, length=n))",
    "OneHotCategorical": "gx.stats.categorical",
}  # fmt: skip

FFT: Mapping[str, str] = {
    "fft2": "gx.fft.fft(gx.fft.fft(x, axis=-1), axis=-2); gx.fft.rfft2 for real x",
    "ifft2": "gx.fft.ifft(gx.fft.ifft(x, axis=-1), axis=-2); gx.fft.irfft2 gives real numbers",
    "fftn": "gx.fft.fft along one axis after the other", "ifftn": "gx.fft.ifft along one axis after the other",
    "rfftn": "gx.fft.rfft along the last axis, then gx.fft.fft along the others",
    "irfftn": "gx.fft.ifft along the first axes, then gx.fft.irfft along the last",
    "hfft": "gx.fft.irfft of the conjugate, times n", "ihfft": "the conjugate of gx.fft.rfft(x), divided by n",
    "stft": "gx.data.audio.stft", "istft": "gx.fft.irfft of each frame, and their overlapping sum",
    "spectrogram": "gx.data.audio.spectrogram", "dct": "gx.fft.rfft of x and its mirror image",
    "idct": "gx.fft.irfft of the spectrum of x and its mirror image", "dst": "gx.fft.rfft of x and its negative mirror image",
    "next_fast_len": "scipy.fft.next_fast_len", "fftconvolve": "gx.convolve, or gx.fft.irfft of the product of two gx.fft.rfft",
}  # fmt: skip

DEBUG: Mapping[str, str] = {
    "trace": "gx.debug.print", "breakpoint": "gx.debug.print, or y.eval({x: array}) for a value", "callback": "gx.debug.print",
    "nan": "gx.debug.find_nan", "check_nans": "gx.debug.find_nan", "debug_nans": "gx.debug.find_nan",
    "check_numerics": "gx.debug.find_nan", "detect_anomaly": "gx.debug.find_nan",
    "profiler": "gx.compile(inputs, outputs).profile(array)", "visualize": "gx.to_dot", "Print": "gx.debug.print",
    "inspect": "gx.debug.print",
}  # fmt: skip

TESTING: Mapping[str, str] = {
    "assert_allclose": _NUMPYS, "assert_array_equal": _NUMPYS, "assert_close": _NUMPYS, "assert_almost_equal": _NUMPYS,
    "assert_equal": _NUMPYS, "gradcheck": "gx.testing.check_grads", "gradgradcheck": "gx.testing.check_grads",
    "check_gradients": "gx.testing.check_grads", "check_vjp": "gx.testing.check_grads", "check_jvp": "gx.testing.check_grads",
    "verify_grad": "gx.testing.check_grads", "numerical_gradient": "gx.testing.derivative",
}  # fmt: skip

KEYWORDS: Mapping[str, str] = {  # several where functions differ
    "dim": "axis", "dims": "axis axes", "axes": "axis", "reduction_indices": "axis", "keepdim": "keepdims",
    "keep_dims": "keepdims",
    "ddof": "correction", "unbiased": "correction", "other": "x2", "a_min": "min", "a_max": "max", "learning_rate": "lr",
    "parameters": "variables", "params": "variables", "b1": "beta1", "b2": "beta2", "epsilon": "eps", "betas": "beta1",
    "data_format": "layout", "strides": "stride", "stride": "strides", "p": "rate ord", "size": "shape", "shifts": "shift",
    "value": "fill_value", "negative_slope": "slope alpha", "argnums": "wrt", "argnum": "wrt", "in_dims": "in_axes",
    "out_dims": "out_axes", "low": "minval", "high": "maxval", "bias": "use_bias bias", "act": "activation",
    "nonlinearity": "activation", "out_features": "units", "out_channels": "filters", "hidden_size": "units",
    "num_embeddings": "input_dim", "embedding_dim": "output_dim", "num_heads": "heads", "dropout_p": "dropout",
    "probs": "p", "is_causal": "causal", "attn_mask": "mask", "attention_mask": "mask",
    "batchsize": "batch_size", "n_epochs": "epochs",
    "num_epochs": "epochs", "nb_epoch": "epochs", "return_seq": "return_sequences", "kernel": "kernel_size",
    "ksize": "kernel_size", "in_features": "input_shape", "input_dim": "input_shape", "input_size": "input_shape",
    "in_channels": "input_shape", "start": "init", "initial": "init", "initializer": "init", "lengths": "length",
}  # fmt: skip

WITHOUT: Mapping[str, str] = {  # keywords that nothing here takes, and what is there
    "inplace": "nothing is written in place: leave it out", "out": "results are symbols, and nothing is written: leave it out",
    "device": _DEVICE, "requires_grad": "a variable is trained where an optimiser is given it: gx.optim.adam(loss, [w])",
    "trainable": "a variable is trained where an optimiser is given it: gx.optim.adam(loss, [w])",
    "weight_decay": "did you mean gx.optim.adamw?", "momentum": "did you mean gx.optim.momentum, or gx.optim.nesterov?",
    "nesterov": "did you mean gx.optim.nesterov?", "training": "a graph has no modes: leave it out where nothing is trained",
    "is_training": "a graph has no modes: leave it out where nothing is trained", "order": "arrays have no order: leave it out",
    "static_argnums": "sizes are symbols or integers: leave it out", "mode": "did you mean backend=, or passes=?",
    "mean": "scale and shift the numbers: mean + std * x", "std": "scale and shift the numbers: mean + std * x",
    "normalized_shape": "axis=-1 names what is normalised; the size is the input's", "num_features": "the size is the input's",
    "generator": _KEYS, "seed": _KEYS,
}  # fmt: skip

CLASSES: Mapping[str, tuple[str, str]] = {  # of whom, and what makes one
    "Tensor": ("symbols", _INPUT), "Variable": ("variables", "gx.variable(array, name=...) makes one"),
}  # fmt: skip

TABLES = {
    "graphc": GRAPHC, "graphc.nn": NN, "graphc.optim": OPTIM, "graphc.linalg": LINALG, "graphc.random": RANDOM,
    "graphc.fft": FFT, "graphc.stats": STATS, "graphc.layers": LAYERS, "graphc.models": MODELS, "graphc.data": DATA,
    "graphc.metrics": METRICS, "graphc.debug": DEBUG, "graphc.testing": TESTING, "Tensor": TENSOR, "Variable": VARIABLE,
    "Compiled": COMPILED, "Model": MODEL,
}  # fmt: skip


_ROOMS = ("nn", "linalg", "random", "optim", "layers", "models", "metrics", "debug", "data", "fft", "stats")


def unknown_in_module(module: str, names: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module that has these names."""
    prefix = module.replace("graphc", "gx", 1)

    def answer(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        here, elsewhere = {n: f"{prefix}.{n}" for n in names}, _everywhere()
        if name in TABLES.get(module, {}):
            hint: str | None = _said(TABLES[module][name])
        elif name in elsewhere:
            hint = _said(elsewhere[name])
        else:
            told = next((table[name] for table in _FUNCTIONS if name in table), None)
            hint = _said(told) if told is not None else _close(name, here) or _close(name, elsewhere)
        raise UnknownNameError(f"{module} has no {name}", where=caller(), hint=hint)

    return answer


_FUNCTIONS = (GRAPHC, NN, OPTIM, LINALG, RANDOM, FFT, STATS, LAYERS, MODELS, DATA, METRICS, DEBUG)


def of_numpy(name: str, module: str = "numpy") -> str | None:
    """What to say to who applies a NumPy function that has another name here."""
    table = TABLES.get(module.replace("numpy", "graphc", 1), GRAPHC)
    found = table.get(name, GRAPHC.get(name))
    return None if found is None else _said(found)


def _everywhere() -> dict[str, str]:
    """Every public name of the rooms that are loaded, and where it is."""
    found = {n: f"gx.{n}" for n in _public("graphc")}
    for room in _ROOMS:
        for n in _public(f"graphc.{room}"):
            found.setdefault(n, f"gx.{room}.{n}")
    return found


def _public(module: str) -> Iterable[str]:
    return getattr(sys.modules.get(module), "__all__", ())


def _of_arrays() -> dict[str, str]:
    """What a method of that name is as a function of x, or a type that x may have."""
    found = {}
    for name, path in _everywhere().items():
        *room, _ = path.removeprefix("gx.").split(".")
        thing = vars(sys.modules[".".join(["graphc", *room])]).get(name)
        if type(thing).__name__ == "DType":
            found[name] = f'x.astype("{name}")'
        elif name.islower() and callable(thing) and not isinstance(thing, type):
            found[name] = f"{path}(x)"
    return found


def unknown_attribute(owner: object, name: str, *tables: Mapping[str, str], functions: bool = False) -> AttributeError:
    """The error for an attribute that an object does not have; with `functions`, those of gx are answers too.

    What a class does have, and could not give, raises again what kept it from that.
    """
    if hasattr(type(owner), name):
        object.__getattribute__(owner, name)
    if name.startswith("_"):
        return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}")
    own = {n: f"x.{n}" for n in dir(type(owner)) if not n.startswith("_")}
    answers = (*tables, _of_arrays(), GRAPHC) if functions else tables
    found = next((table[name] for table in answers if name in table), None)
    hint: str | None
    if found is not None:
        hint = _said(found)
    elif name.endswith("_") and functions:  # torch's way to write: in place
        found = next((table[name[:-1]] for table in (*answers, own) if name[:-1] in table), None)
        hint = None if found is None else f"nothing is written in place: x = {found}"
    else:
        hint = _close(name, {**(answers[-2] if functions else {}), **own})
    return UnknownNameError(f"{type(owner).__name__} has no {name}: {owner!r}", where=caller(), hint=hint)


def _said(answer: str) -> str:
    try:
        compile(answer, "", "eval")
    except SyntaxError:
        return answer  # a sentence
    return f"did you mean {answer}?"


def _close(name: str, known: Mapping[str, str]) -> str | None:
    lower = {n.lower(): n for n in known}
    found = get_close_matches(name.lower(), lower, n=1, cutoff=0.8)
    return f"did you mean {known[lower[found[0]]]}?" if found else None


# --- arguments -------------------------------------------------------------------------------------------------------


def with_keywords(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Let the functions among `names` say what is meant where a call does not fit."""
    prefix = namespace["__name__"].replace("graphc", "gx", 1) + "."
    for name in names:
        function = namespace.get(name)
        if inspect.isfunction(function):
            namespace[name] = keywords(function, prefix)


def with_keywords_of(kind: type, prefix: str = "x.") -> None:
    """The same for the methods of a class."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(kind, name, keywords(method, prefix))


_LISTS = frozenset({"shape", "axis", "axes", "arrays", "repetitions"})  # parameters that take several things as one
_CALLS = {
    "flatten": "x.reshape(x.shape[0], -1) keeps the first axis, x.reshape(-1) none",
}


def keywords(function: Function, prefix: str = "gx.") -> Function:
    """The function; where a call gives it a keyword that it does not have, or one by one what it takes as a tuple, the error
    tells what is meant."""
    parameters = list(inspect.signature(function).parameters)
    flag = parameters.index("keepdims") if "keepdims" in parameters else sys.maxsize

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if len(args) > flag and type(args[flag]) is int:
            raise _as_tuple(function, args, prefix) or InputError(f"{function.__name__} takes keepdims=True", where=caller())
        try:
            return function(*args, **options)
        except GraphError as error:
            if isinstance(error, (DTypeError, ShapeError, InputError)):
                meant = _meant(function, args, prefix)
                if meant is not None:
                    raise meant from None
            raise
        except TypeError as error:
            wrong = _wrong_call(function, args, options, str(error), prefix)
            if wrong is not None:
                raise wrong from None
            raise

    return call  # type: ignore[return-value]


def _wrong_call(
    function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any], text: str, prefix: str
) -> InputError | None:
    """The error for a call that does not fit a function; None if it does."""
    parameters = inspect.signature(function).parameters
    kinds = {p.kind for p in parameters.values()}
    known = [name for name in parameters if name != "self"]
    unknown = [key for key in options if key not in parameters]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        return unknown_keywords(function.__name__, unknown, known)
    placed = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    if len(args) > len(placed) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        return _as_tuple(function, args, prefix) or _too_many(function, args, known, len(placed))
    name = function.__name__
    if text.startswith(f"{name}() missing"):
        needed = [n for n, p in parameters.items() if p.default is p.empty and "VAR" not in p.kind.name and n != "self"]
        return InputError(text, where=caller(), hint=_MISSING.get(name, f"{prefix}{name}({', '.join(needed)})"))
    return None


_MISSING = {
    "compile": "gx.compile(inputs, outputs): placeholders, and symbols made of them",
    "grad": "gx.grad(loss, variables) is a symbol, of symbols: no function is needed",
    "value_and_grad": "gx.value_and_grad(loss, variables) are symbols, of symbols: no function is needed",
    "where": "gx.where(condition, x1, x2) chooses elements; gx.nonzero(x, size=n) gives places",
    "dropout": "gx.nn.dropout(x, rate, key): " + _KEYS,
    "batch_norm": "gx.nn.batch_norm(x, mean, variance) of known figures, gx.nn.batch_norm_training(x) of the batch's own",
}


def _meant(function: Callable[..., Any], args: tuple[Any, ...], prefix: str) -> InputError | None:
    """What to say where numbers stand in the place of a data type, or an array in that of an axis."""
    place = dict(zip(inspect.signature(function).parameters, args, strict=False))
    if isinstance(place.get("dtype"), bool):
        text = f"{function.__name__}: {place['dtype']} is not a data type"
        return InputError(text, where=caller(), hint="did you mean keepdims=?")
    if isinstance(place.get("dtype"), (int, float)) or ("arrays" in place and hasattr(place.get("axis"), "shape")):
        return _as_tuple(function, args, prefix)
    return None


def _as_tuple(function: Callable[..., Any], args: tuple[Any, ...], prefix: str) -> InputError | None:
    """The error for a call that gives one by one what is one argument; None if that is not what it does."""
    parameters = list(inspect.signature(function).parameters)
    start = next((i for i, name in enumerate(parameters) if name in _LISTS), len(args))
    if len(args) < start + 2:
        return None
    what, name = parameters[start], function.__name__
    end = len(args) - (parameters[start + 1 :].index("dtype") if what == "shape" and "dtype" in parameters else 0)
    given, arrays = args[start:end], what == "arrays"
    if len(given) < 2 or any(hasattr(x, "shape") != arrays or isinstance(x, (bool, float, tuple, list)) for x in given):
        return None
    shown = ", ".join("xyzuvw"[i % 6] if arrays else str(x) for i, x in enumerate(given))
    whole = f"[{shown}]" if arrays else f"({shown})"
    if what in ("axis", "axes") and parameters[0] in ("x", "self"):
        hint = f"{what}={whole}"
    else:
        before = [p if hasattr(x, "shape") else repr(x) for p, x in zip(parameters, args[:start], strict=False) if p != "self"]
        call = f"{prefix}{name}({', '.join([*before, whole, *map(repr, args[end:])])})"
        hint = f"{what} as a {'list' if arrays else 'tuple'}: {call}"
    return InputError(f"{name} takes its {what} as one argument, got {shown} one by one", where=caller(), hint=hint)


def _too_many(function: Callable[..., Any], args: tuple[Any, ...], known: list[str], placed: int) -> InputError:
    parameters = list(inspect.signature(function).parameters)
    name, own = function.__name__, len(parameters) - len(known)
    named = [f"{n}={x!r}" for n, x in zip(parameters[placed:], args[placed:], strict=False) if not hasattr(x, "shape")]
    hint = f"by name: {', '.join(named)}" if named else f"it takes {', '.join(known)}" if known else None
    return InputError(
        f"{name} takes {placed - own} arguments by place, got {len(args) - own}", where=caller(), hint=_CALLS.get(name, hint)
    )


def unknown_keywords(name: str, unknown: Iterable[str], known: list[str]) -> InputError:
    """The error for keywords that a function does not have."""
    meant = []
    for key in unknown:
        named = [name for name in KEYWORDS.get(key, "").split() if name in known]
        close = next(iter(named or get_close_matches(key, known, n=1, cutoff=0.75)), None)
        if close is not None and f"{close}=" not in meant:
            meant.append(f"{close}=")
    told = next((WITHOUT[key] for key in unknown if key in WITHOUT), f"it takes {', '.join(known)}")
    hint = f"did you mean {' and '.join(meant)}?" if meant else told
    return InputError(f"{name} takes no {' and no '.join(unknown)}", where=caller(), hint=hint)
