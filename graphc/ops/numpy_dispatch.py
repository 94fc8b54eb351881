"""NumPy's protocols: np.exp(symbol), np.concatenate([symbol, ...]) and so on, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import advice, ops
from graphc.errors import InputError, caller

# NumPy's names that differ from the Array API's.
_ALIASES = {
    "absolute": "abs", "fabs": "abs", "true_divide": "divide", "power": "pow", "float_power": "pow", "mod": "remainder",
    "rint": "round", "around": "round", "invert": "bitwise_invert", "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "concatenate": "concat", "amax": "max", "amin": "min",
    "dot": "matmul", "conjugate": "positive", "cumsum": "cumulative_sum",
    "cumprod": "cumulative_prod", "convolve": "convolve_vectors", "degrees": "rad2deg", "radians": "deg2rad", "fix": "trunc",
}  # fmt: skip
_REDUCE = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_or": "any", "logical_and": "all"}
_ACCUMULATE = {
    "add": "cumulative_sum", "multiply": "cumulative_prod", "maximum": "cummax", "minimum": "cummin", "logaddexp": "logcumsumexp",
}  # fmt: skip
_DEFAULTS = {"out": None, "where": True, "casting": "same_kind", "order": "K", "subok": True, "mode": "raise", "initial": None}


def _in_order(name: str) -> Any:
    """np.sort or np.argsort, whose axis may be None; every kind is the same here."""

    def call(a: Any, axis: int | None = -1, kind: str | None = None, order: None = None, *, stable: bool | None = None) -> Any:
        if order is not None:
            raise InputError(f"numpy.{name} of a symbol: the option order is not possible", where=caller())
        function = getattr(ops, name)
        return function(ops.reshape(a, (-1,))) if axis is None else function(a, axis=axis)

    return call


def _where(condition: Any, *xs: Any) -> Any:
    """np.where; of a condition alone it is np.nonzero, which says itself what its result needs."""
    return ops.where(condition, *xs) if xs else ops.nonzero(condition)


def _divmod(a: Any, b: Any) -> Any:
    return ops.floor_divide(a, b), ops.remainder(a, b)


def _ravel(x: Any) -> Any:
    return ops.reshape(x, (-1,))


# NumPy's functions that take, or give, something else than graphc's of the name.
_UNLIKE: dict[str, Callable[..., Any]] = {
    "sort": _in_order("sort"), "argsort": _in_order("argsort"), "where": _where, "divmod": _divmod, "ravel": _ravel,
}  # fmt: skip


def _linalg(function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A function of np.linalg. Which triangle of a symmetric matrix is stored makes no difference here."""
    name = function.__name__
    found = getattr(ops.matrix_functions, name)
    given = {k: v for k, v in inspect.signature(function).bind(*args, **options).arguments.items() if v is not np._NoValue}
    if name == "svd" and not given.pop("compute_uv", True):
        found = ops.matrix_functions.svdvals
        given.pop("full_matrices", None)
    for ignored in ("UPLO", "hermitian"):
        given.pop(ignored, None)
    if given.get("rcond") is not None:
        given["rtol"] = given["rcond"]
    given.pop("rcond", None)
    arrays = [given.pop(key) for key in ("a", "A", "x", "b") if key in given]
    try:
        inspect.signature(found).bind(*arrays, **given)
    except TypeError as error:
        raise InputError(f"numpy.linalg.{name} of a symbol: {error}", where=caller()) from None
    return found(*arrays, **given)


numpy_modules: dict[str, Callable[[], dict[str, Any]]] = {}  # NumPy's modules beside the first, and the names that serve them


def _find(name: str, module: str = "numpy") -> Any:
    if module in numpy_modules:
        names = numpy_modules[module]()
        if name in names["__all__"]:
            return names[name]
    if name in _UNLIKE:
        return _UNLIKE[name]
    found = getattr(ops, _ALIASES.get(name, name), None)
    if not callable(found) or name.startswith("_") or name in ("build", "elementwise"):
        hint = advice.of_numpy(name, module) or "see graphc's own functions"
        raise InputError(f"{module}.{name} of a symbol is not there", where=caller(), hint=hint)
    return found


def _options(name: str, options: dict[str, Any], function: Any = None) -> dict[str, Any]:
    """The options that a function of graphc's takes; those that are NumPy's alone must have their defaults."""
    taken = inspect.signature(function).parameters if inspect.isfunction(function) else {}
    kept = {}
    for key, value in options.items():
        if key in _DEFAULTS and key not in taken:
            if value is not np._NoValue and value != _DEFAULTS[key] and value is not None:
                raise InputError(f"numpy.{name} of a symbol: the option {key} is not possible", where=caller())
        elif value is not np._NoValue:
            kept[key] = value
    return kept


def numpy_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `ufunc` of symbols is."""
    name = ufunc.__name__
    kept = _options(name, options)
    if method == "__call__":
        dtype = kept.pop("dtype", None)
        if kept:
            raise InputError(f"numpy.{name} of a symbol: the option {next(iter(kept))} is not possible", where=caller())
        result = _find(name)(*inputs)
        return result if dtype is None else ops.astype(result, dtype)
    if method == "reduce" and name in _REDUCE:
        kept.setdefault("axis", 0)
        return _find(_REDUCE[name])(*inputs, **{k: v for k, v in kept.items() if v is not None or k == "axis"})
    if method == "accumulate" and name in _ACCUMULATE:
        kept.setdefault("axis", 0)
        return _find(_ACCUMULATE[name])(*inputs, **{k: v for k, v in kept.items() if v is not None})
    raise InputError(f"numpy.{name}.{method} of a symbol is not there", where=caller())


def numpy_function(func: Any, args: Any, kwargs: Any) -> Any:
    """What a NumPy function of symbols is."""
    name = func.__name__
    if func.__module__ == "numpy.linalg" and name in ops.matrix_functions.__all__:
        return _linalg(func, args, kwargs)
    found = _find(name, func.__module__)
    return found(*args, **_options(name, kwargs, found))
