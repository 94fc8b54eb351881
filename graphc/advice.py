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

from graphc.errors import GraphError, InputError, UnknownNameError, caller

Function = TypeVar("Function", bound=Callable[..., Any])

_COMPILED = "gx.compile(inputs, outputs) makes a function of arrays out of symbols"
_WHOLE = "a graph is declared once and has no modes: gx.stop_gradient(x) cuts off a gradient"
_DEVICE = "everything runs on this machine's processor: leave it out"
_SYMBOL = "it has no value yet: use y.eval({x: array}), or gx.compile and call the result"
_INPUT = "gx.placeholder(name, shape, dtype) is an input, gx.variable(array) is state, gx.constant(array) is fixed"
_IMMUTABLE = "symbols never change, so nothing is copied: use it as it is"
_KEYS = "draws take a key: gx.random.key(seed), or gx.random.Stream(seed) for others at every call"

GRAPHC: Mapping[str, str] = {
    # NumPy
    "absolute": "gx.abs", "arccos": "gx.acos", "arccosh": "gx.acosh", "arcsin": "gx.asin", "arcsinh": "gx.asinh",
    "arctan": "gx.atan", "arctan2": "gx.atan2", "arctanh": "gx.atanh", "array": _INPUT, "amax": "gx.max", "amin": "gx.min",
    "around": "gx.round", "concatenate": "gx.concat", "conj": "gx.positive", "cumprod": "gx.cumulative_prod",
    "cumsum": "gx.cumulative_sum", "degrees": "x * (180 / gx.pi)", "dot": "gx.matmul",
    "fabs": "gx.abs", "float_power": "gx.pow",
    "invert": "gx.bitwise_invert", "bitwise_not": "gx.bitwise_invert", "in1d": "gx.isin", "trapz": "gx.trapezoid",
    "product": "gx.prod", "exp10": "10.0 ** x",
    "left_shift": "gx.bitwise_left_shift", "right_shift": "gx.bitwise_right_shift", "mod": "gx.remainder", "power": "gx.pow",
    "radians": "x * (gx.pi / 180)", "ravel": "gx.reshape(x, (-1,))", "rint": "gx.round",
    "rollaxis": "gx.moveaxis", "true_divide": "gx.divide", "unique": "gx.unique_values",
    "row_stack": "gx.concat([x, y], axis=0)", "norm": "gx.linalg.norm", "inv": "gx.linalg.inv", "solve": "gx.linalg.solve",
    "svd": "gx.linalg.svd", "det": "gx.linalg.det", "cholesky": "gx.linalg.cholesky", "eigh": "gx.linalg.eigh",
    "qr": "gx.linalg.qr", "pinv": "gx.linalg.pinv", "expm": "gx.linalg.expm",
    "broadcast": "gx.broadcast_arrays", "ndim": "x.ndim", "shape": "x.shape", "size": "x.size",
    "bool": "gx.bool_", "bool8": "gx.bool_", "double": "gx.float64", "single": "gx.float32",
    "half": "gx.float16", "apply_along_axis": "gx.vmap", "vectorize": "gx.vmap",
    # scipy
    "expit": "gx.sigmoid", "gammaln": "gx.lgamma", "psi": "gx.digamma", "loggamma": "gx.lgamma",
    # JAX
    "jit": _COMPILED, "pjit": _COMPILED, "make_jaxpr": "gx.compile(inputs, outputs).graph is the text",
    "jacfwd": "gx.jacobian", "jacrev": "gx.jacobian", "linearize": "gx.jvp", "remat": "gx.checkpoint",
    "custom_vjp": "gx.custom_gradient", "custom_jvp": "gx.custom_gradient", "lax": "gx.scan, gx.while_loop and gx.cond are here",
    "numpy": "its functions are gx's own: gx.sum, gx.exp", "jnp": "its functions are gx's own: gx.sum, gx.exp",
    "device_put": _DEVICE, "device_get": _SYMBOL, "PRNGKey": "gx.random.key", "pmap": "gx.vmap",
    # torch
    "tensor": _INPUT, "from_numpy": "gx.constant", "as_tensor": "gx.constant", "cat": "gx.concat", "unsqueeze": "gx.expand_dims",
    "view": "gx.reshape", "permute": "gx.permute_dims", "clamp": "gx.clip", "bmm": "gx.matmul", "mm": "gx.matmul",
    "addmm": "c + a @ b", "gather": "gx.take_along_axis", "index_select": "gx.take", "masked_fill": "gx.where",
    "masked_select": "gx.extract", "scatter_add": "x.at[key].add(y)", "scatter": "x.at[key].set(y)", "topk": "gx.top_k",
    "t": "gx.matrix_transpose", "rsqrt": "1 / gx.sqrt(x)", "mul": "gx.multiply", "sub": "gx.subtract",
    "div": "gx.divide", "neg": "gx.negative", "eq": "gx.equal", "ne": "gx.not_equal", "gt": "gx.greater",
    "ge": "gx.greater_equal",
    "lt": "gx.less", "le": "gx.less_equal", "no_grad": _WHOLE, "enable_grad": _WHOLE, "inference_mode": _WHOLE,
    "set_grad_enabled": _WHOLE, "autograd": "gx.grad", "backward": "gx.grad", "manual_seed": _KEYS, "rand": "gx.random.uniform",
    "randn": "gx.random.normal", "randint": "gx.random.randint", "randperm": "gx.random.permutation", "device": _DEVICE,
    "cuda": _DEVICE, "Module": "functions of symbols, or gx.layers.Layer", "float": "gx.float32", "int": "gx.int64",
    "long": "gx.int64", "set_num_interop_threads": "gx.set_num_threads",
    "cumlogsumexp": "gx.logcumsumexp", "mv": "gx.matmul", "expand": "gx.broadcast_to",
    "cdist": "gx.linalg.vector_norm(x[:, None] - y, axis=-1)",
    "lerp": "a + w * (b - a)", "addcmul": "x + value * a * b",
    "state_dict": "gx.named_variables", "script": _COMPILED, "chunk": "x[i:j], or gx.reshape and gx.unstack",
    # TensorFlow and Keras
    "function": _COMPILED, "GradientTape": "gx.grad", "convert_to_tensor": "gx.constant",
    "cast": "gx.astype", "reduce_sum": "gx.sum", "reduce_mean": "gx.mean", "reduce_max": "gx.max", "reduce_min": "gx.min",
    "reduce_prod": "gx.prod", "reduce_any": "gx.any", "reduce_all": "gx.all", "reduce_logsumexp": "gx.nn.logsumexp",
    "truediv": "gx.divide", "math": "its functions are gx's own: gx.exp, gx.log", "keras": "gx.models",
    "Session": _COMPILED, "global_variables_initializer": "a variable has its value from its birth: gx.variable(array)",
    "Sequential": "gx.models.Sequential", "Model": "gx.models.Model", "Dense": "gx.layers.Dense",
    "segment_mean": "gx.segment_sum of x, and of ones", "unsorted_segment_sum": "gx.segment_sum",
    "boolean_mask": "gx.extract", "gather_nd": "x[i, j]", "tensor_scatter_nd_update": "x.at[key].set(y)", "rank": "x.ndim",
    # Theano and PyTensor
    "shared": "gx.variable", "scalar": "gx.placeholder", "dscalar": "gx.placeholder", "fscalar": "gx.placeholder",
    "vector": "gx.placeholder", "dvector": "gx.placeholder", "fvector": "gx.placeholder", "ivector": "gx.placeholder",
    "matrix": "gx.placeholder", "dmatrix": "gx.placeholder", "fmatrix": "gx.placeholder", "imatrix": "gx.placeholder",
    "tensor3": "gx.placeholder", "tensor4": "gx.placeholder", "ifelse": "gx.cond", "dimshuffle": "gx.permute_dims",
    "foldl": "gx.scan", "foldr": "gx.scan",
    "disconnected_grad": "gx.stop_gradient", "set_subtensor": "x.at[key].set(y)", "inc_subtensor": "x.at[key].add(y)",
    "sqr": "gx.square", "sgn": "gx.sign", "input": "gx.placeholder", "parameter": "gx.variable", "Parameter": "gx.variable",
    "symbol": "gx.placeholder", "Placeholder": "gx.placeholder",
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
}  # fmt: skip

LINALG: Mapping[str, str] = {
    "dot": "gx.linalg.matmul", "inner": "gx.linalg.vecdot", "eig": "gx.linalg.eigh", "eigvals": "gx.linalg.eigvalsh",
    "multi_dot": "gx.linalg.matmul", "triangular_solve": "gx.linalg.solve_triangular", "cho_solve": "gx.linalg.solve_triangular",
    "cho_factor": "gx.linalg.cholesky", "inverse": "gx.linalg.inv", "determinant": "gx.linalg.det", "logdet": "gx.linalg.slogdet",
    "einsum": "gx.einsum", "diag": "gx.diag", "kron": "gx.kron", "tril": "gx.tril", "triu": "gx.triu", "eye": "gx.eye",
    "transpose": "gx.linalg.matrix_transpose", "vdot": "gx.linalg.vecdot",
}  # fmt: skip

RANDOM: Mapping[str, str] = {
    "PRNGKey": "gx.random.key", "seed": _KEYS, "manual_seed": _KEYS, "set_seed": _KEYS, "default_rng": "gx.random.Stream",
    "RandomState": "gx.random.Stream", "Generator": "gx.random.Stream", "MRG_RandomStream": "gx.random.Stream",
    "RandomStream": "gx.random.Stream", "rand": "gx.random.uniform", "random": "gx.random.uniform",
    "random_sample": "gx.random.uniform", "randn": "gx.random.normal", "standard_normal": "gx.random.normal",
    "integers": "gx.random.randint", "shuffle": "gx.random.permutation", "randperm": "gx.random.permutation",
    "multinomial": "gx.random.categorical", "binomial": "gx.sum of gx.random.bernoulli", "laplace": "gx.sign of one uniform "
    "number, times gx.random.exponential", "lognormal": "gx.exp of gx.random.normal",
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
    "assign": "updates={w: new value} of gx.compile: only variables are written",
}  # fmt: skip

VARIABLE: Mapping[str, str] = {
    "assign": "w.update(new), or w.value = new; in a program updates={w: new}",
    "assign_add": "w.update(lambda old: old + delta); in a program updates={w: w + delta}",
    "assign_sub": "w.update(lambda old: old - delta); in a program updates={w: w - delta}",
    "set_value": "w.value = new, or w.update(new)", "get_value": "w.value", "read_value": "w.value", "numpy": "w.value",
    "item": "w.value.item()", "tolist": "w.value.tolist()", "detach": "w.value is an array, gx.stop_gradient(w) a symbol",
    "copy": "copy.copy(w)", "clone": "copy.copy(w)", "copy_": "w.update(new)", "fill_": "w.update(new)",
    "zero_grad": "gradients are symbols, and nothing is added up: leave it out", "set": "w.update(new)",
}  # fmt: skip

COMPILED: Mapping[str, str] = {
    "parameters": "f.variables", "params": "f.variables", "state": "f.variables", "state_dict": "gx.save(path, f)",
    "load_state_dict": "gx.load(path, f)", "save": "gx.save(path, f)", "load": "gx.load(path, f)", "run": "call it: f(array)",
    "forward": "call it: f(array)", "predict": "call it: f(array)", "eval": "call it: f(array)", "text": "f.graph",
    "cost_analysis": "f.profile(array)", "memory_analysis": "f.memory", "lower": "f.stages", "jaxpr": "f.graph",
    "source": "f.kernels[0].source", "draw": "f.to_dot(path)", "maker": "f.graph", "time": "f.profile(array)",
}  # fmt: skip

KEYWORDS: Mapping[str, str] = {
    "dim": "axis", "dims": "axis", "axes": "axis", "reduction_indices": "axis", "keepdim": "keepdims", "keep_dims": "keepdims",
    "ddof": "correction", "unbiased": "correction", "other": "x2", "a_min": "min", "a_max": "max", "learning_rate": "lr",
    "parameters": "variables", "params": "variables", "b1": "beta1", "b2": "beta2", "epsilon": "eps", "betas": "beta1",
    "data_format": "layout", "strides": "stride", "p": "rate",
}  # fmt: skip

CLASSES: Mapping[str, tuple[str, str]] = {  # of whom, and what makes one
    "Tensor": ("symbols", _INPUT), "Variable": ("variables", "gx.variable(array, name=...) makes one"),
}  # fmt: skip

TABLES = {
    "graphc": GRAPHC, "graphc.nn": NN, "graphc.optim": OPTIM, "graphc.linalg": LINALG, "graphc.random": RANDOM, "Tensor": TENSOR,
    "Variable": VARIABLE, "Compiled": COMPILED,
}  # fmt: skip


_ROOMS = ("nn", "linalg", "random", "optim", "layers", "models", "metrics", "debug", "data")


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
            told = next((table[name] for table in (GRAPHC, NN, OPTIM, LINALG, RANDOM) if name in table), None)
            hint = _said(told) if told is not None else _close(name, here) or _close(name, elsewhere)
        raise UnknownNameError(f"{module} has no {name}", where=caller(), hint=hint)

    return answer


def of_numpy(name: str) -> str | None:
    """What to say to who applies a NumPy function that has another name here."""
    return _said(GRAPHC[name]) if name in GRAPHC else None


def _everywhere() -> dict[str, str]:
    """Every public name of the rooms that are loaded, and where it is."""
    found = {n: f"gx.{n}" for n in _public("graphc")}
    for room in _ROOMS:
        for n in _public(f"graphc.{room}"):
            found.setdefault(n, f"gx.{room}.{n}")
    return found


def _public(module: str) -> Iterable[str]:
    return getattr(sys.modules.get(module), "__all__", ())


def unknown_attribute(owner: object, name: str, *tables: Mapping[str, str], functions: bool = False) -> AttributeError:
    """The error for an attribute that an object does not have; with `functions`, those of gx are answers too.

    What a class does have, and could not give, raises again what kept it from that.
    """
    if hasattr(type(owner), name):
        object.__getattribute__(owner, name)
    if name.startswith("_"):
        return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}")
    answers = {n: f"{path}(x)" for n, path in _everywhere().items() if n.islower()} if functions else {}
    found = next((table[name] for table in (*tables, answers) if name in table), None)
    own = {n: f"x.{n}" for n in dir(type(owner)) if not n.startswith("_")}
    hint = _close(name, {**answers, **own}) if found is None else _said(found)
    return UnknownNameError(f"{type(owner).__name__} has no {name}: {owner!r}", where=caller(), hint=hint)


def _said(answer: str) -> str:
    try:
        compile(answer, "", "eval")
    except SyntaxError:
        return answer  # a sentence
    return f"did you mean {answer}?"


def _close(name: str, known: Mapping[str, str]) -> str | None:
    lower = {n.lower(): n for n in known}
    found = get_close_matches(name.lower(), lower, n=1, cutoff=0.75)
    return f"did you mean {known[lower[found[0]]]}?" if found else None


# --- keywords --------------------------------------------------------------------------------------------------------


def with_keywords(namespace: dict[str, Any], names: Iterable[str]) -> None:
    """Let those functions among `names` that know a keyword under another name than elsewhere say so when that one is given."""
    for name in names:
        function = namespace.get(name)
        if inspect.isfunction(function) and _KNOWN & inspect.signature(function).parameters.keys():
            namespace[name] = keywords(function)


def with_keywords_of(kind: type) -> None:
    """The same for the methods of a class."""
    for name, method in list(vars(kind).items()):
        if inspect.isfunction(method) and _KNOWN & inspect.signature(method).parameters.keys():
            setattr(kind, name, keywords(method))


_KNOWN = frozenset(KEYWORDS.values())


def keywords(function: Function) -> Function:
    """The function; where a call gives it a keyword that it does not have, the error tells which one is meant."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except TypeError as error:
            known = inspect.signature(function).parameters
            unknown = [key for key in options if key not in known]
            if isinstance(error, GraphError) or not unknown or any(p.kind is p.VAR_KEYWORD for p in known.values()):
                raise
            raise unknown_keywords(function.__name__, unknown, [name for name in known if name != "self"]) from None

    return call  # type: ignore[return-value]


def unknown_keywords(name: str, unknown: Iterable[str], known: list[str]) -> InputError:
    """The error for keywords that a function does not have."""
    meant = []
    for key in unknown:
        close = KEYWORDS[key] if KEYWORDS.get(key) in known else next(iter(get_close_matches(key, known, n=1, cutoff=0.75)), None)
        if close is not None and f"{close}=" not in meant:
            meant.append(f"{close}=")
    hint = f"did you mean {' and '.join(meant)}?" if meant else f"it takes {', '.join(known)}"
    return InputError(f"{name} takes no {' and no '.join(unknown)}", where=caller(), hint=hint)
