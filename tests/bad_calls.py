"""Wrong calls of every public function: python tests/bad_calls.py --calls N --seed S

Each call draws a function of gx, gx.nn, gx.linalg, gx.random, gx.optim, a method or an index of a symbol, and for every argument
either something that its name suggests or anything at all: symbols of the wrong rank and dtype, names that no axis has, zero,
negative and enormous numbers, NaN, None, text, functions, keywords that do not exist. Values are drawn, and then types: what
fits becomes a NumPy scalar, an array without axes, a subclass, a Fraction, a generator, a variable, a symbol of a loop's body,
and what is given by position may be given by name. A call must either

    give its result       some of these are compiled and run in both backends, which must agree, or both refuse
    raise a GraphError    whose `where` is the line of the call, in this file
    raise a TypeError     of Python's own, for a wrong number of arguments or an unknown keyword

Anything else, any other exception, an error that points elsewhere, a hang, is printed with the call. The last line counts them;
the exit code is 1 if there are any. A crash of the process is one too: the call that led to it is the last in --log.
"""

from __future__ import annotations

import argparse
import array
import collections
import enum
import faulthandler
import inspect
import math
import re
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import graphc as gx
from graphc.errors import GraphError, GraphWarning
from graphc.ir.dims import evaluate
from graphc.ir.graph import topological

Rng = np.random.Generator
SIZES = {"n": 3, "m": 2}
SECONDS = 20  # a call that takes longer hangs
LARGEST = 20_000  # elements of a value in what is run
DTYPES = ("bool", "int8", "int64", "uint8", "uint64", "float16", "bfloat16", "float32", "float64")
SHAPES = (
    (), (3,), (0,), ("n",), (3, 3), (2, 3), (3, 2), ("n", 3), ("n", "m"), (0, 3), (1, 1), (2, 3, 3), (2, 4, 6), (1, 4, 6, 6),
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, -1, -2, 5, -9, 100, 2**31, 2**63, 2**70, -(2**63), 0.5, -0.0, 1e308, math.nan, math.inf, True)
LEFT_OUT = {"compile", "set_num_threads", "get_num_threads", "to_dot", "placeholder", "variable"}  # no calculation of theirs


@dataclass
class Call:
    """A function, the arguments to give it, and the symbols in them."""

    name: str
    function: Callable[..., Any]
    args: list[Any] = field(default_factory=list)
    keywords: dict[str, Any] = field(default_factory=dict)
    more: list[Any] = field(default_factory=list)  # for the function that is the result, where it is one

    def __str__(self) -> str:
        given = [_text(a) for a in self.args] + [f"{k}={_text(v)}" for k, v in self.keywords.items()]
        return f"{self.name}({', '.join(given)})"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"
    return str(value.type) if isinstance(value, gx.Tensor) else repr(value)[:60]


def functions() -> dict[str, Callable[..., Any]]:
    """Everything that is tried, by name."""
    found: dict[str, Callable[..., Any]] = {}
    homes = {"gx": gx, "gx.nn": gx.nn, "gx.linalg": gx.linalg, "gx.random": gx.random, "gx.optim": gx.optim,
             "gx.optim.schedules": gx.optim.schedules, "gx.fft": gx.fft}  # fmt: skip
    homes |= {f"gx.stats.{name}": getattr(gx.stats, name) for name in gx.stats.__all__}
    for home, module in homes.items():
        for name in getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]:
            value = getattr(module, name)
            if callable(value) and not isinstance(value, type) and name not in LEFT_OUT:
                if getattr(value, "__module__", "").startswith(("typing", "collections")) or isinstance(value, gx.DType):
                    continue
                found[f"{home}.{name}"] = value
    for kind, home in ((gx.Tensor, "Tensor"), (gx.Dim, "Dim")):
        for name in dir(kind):
            public = (not name.startswith("_") or name in _OPERATORS) and name not in ("eval", "with_inputs")
            if public and inspect.isfunction(getattr(kind, name)):
                found[f"{home}.{name}"] = getattr(kind, name)
        found[f"{home}.__format__"] = lambda x, text: format(x, str(text))
    for name in ("add", "multiply", "divide", "power", "less", "sqrt", "isnan", "where", "concatenate", "sum", "clip", "dot"):
        found[f"np.{name}"] = by_numpy(getattr(np, name))
    found.update({f"variable.{name}": f for name, f in VARIABLES.items()})
    found.update({f"x.at[key].{name}": placing(name) for name in ("set", "add", "multiply", "max", "min")})
    return found


_OPERATORS = (
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__truediv__", "__rtruediv__", "__floordiv__", "__mod__", "__rmod__",
    "__divmod__", "__pow__", "__rpow__", "__matmul__", "__rmatmul__", "__and__", "__or__", "__lshift__", "__lt__", "__ge__",
    "__eq__", "__ne__", "__getitem__", "__setitem__", "__contains__", "__float__", "__index__", "__bool__",
    "__round__", "__neg__", "__invert__", "__abs__", "__len__", "__iter__", "__array__",
)  # fmt: skip


def by_numpy(function: Any) -> Callable[..., Any]:
    """A function of NumPy's, of a symbol and something."""

    def call(x: Any, other: Any) -> Any:
        if isinstance(function, np.ufunc):
            return function(*(x, other)[: function.nin])
        if function in (np.where, np.clip):
            return function(x, other, 1)
        return function([x, other]) if function is np.concatenate else function(x, other)

    return call


def _set(variable: Any, value: Any) -> Any:
    variable.value = value
    return variable


VARIABLES = {"value": _set, "update": lambda variable, value: variable.update(value), "made": lambda value: gx.variable(value)}


def placing(name: str) -> Callable[..., Any]:
    return lambda x, key, value: getattr(x.at[key], name)(value)


# --- types of arguments ----------------------------------------------------------------------------------------------


class Level(enum.IntEnum):
    NONE = 0
    SOME = 1
    MANY = 3


class Real(float):
    pass


class Whole(int):
    pass


class Text(str):
    pass


class Row(list):  # type: ignore[type-arg]
    pass


class Special(np.ndarray):  # type: ignore[type-arg]
    pass


class Indexed:
    """What Python takes for an integer in a slice or a range."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Arrayed:
    """What NumPy takes for an array."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.ones(3)


Pair = collections.namedtuple("Pair", "first second")


@dataclass
class Record:
    x: int = 1


SCALARS: tuple[Callable[[Any], Any], ...] = (
    np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float16, np.float32,
    np.float64, np.longdouble, np.complex64, np.complex128, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.array, Real, Whole,
    bool, complex, Fraction, Decimal, str, Text, np.str_, np.bytes_, Indexed, lambda v: np.timedelta64(int(v)),
    lambda v: np.array([v]), lambda v: np.array(v, object), lambda v: np.array(v, "float32"), lambda v: np.array(v, ">i4"),
    lambda v: np.ma.array(v), lambda v: np.array([v]).view(Special)[0], lambda v: Level(abs(int(v)) % 4), gx.constant,
)  # fmt: skip
SEVERAL: tuple[Callable[[Any], Any], ...] = (
    list, tuple, Row, np.array, collections.deque, iter, lambda v: (x for x in v), lambda v: dict.fromkeys(v).keys(),
    lambda v: dict(enumerate(v)).values(), lambda v: Pair(*v), lambda v: collections.UserList(v), lambda v: np.array(v, object),
    lambda v: [np.int64(x) for x in v], lambda v: tuple(np.array(x) for x in v), frozenset, lambda v: array.array("d", v),
    lambda v: range(*v), lambda v: memoryview(np.array(v)), lambda v: np.asmatrix(v), lambda v: [gx.constant(x) for x in v],
)  # fmt: skip
ARRAYS: tuple[Callable[[Any], Any], ...] = (
    lambda a: a.astype(">f8"), lambda a: a[..., ::-1], lambda a: np.asfortranarray(a), np.asmatrix, np.ma.array,
    lambda a: np.ma.masked_less(a, 0), lambda a: a.view(Special), lambda a: a.astype("float16"), lambda a: a.astype("O"),
    lambda a: a.astype(ml_dtypes.bfloat16), lambda a: a.astype("complex64"), lambda a: a.astype(np.longdouble),
    lambda a: a.astype(">i2"), lambda a: np.frombuffer(a.tobytes(), a.dtype), lambda a: a.tolist(), lambda a: memoryview(a),
    lambda a: np.broadcast_to(a, (2, *a.shape)), lambda a: np.rec.fromarrays([a]), lambda a: a.astype("S3"), gx.constant,
)  # fmt: skip


# --- arguments -------------------------------------------------------------------------------------------------------


class Arguments:
    """Draws what calls are given."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.made = 0
        self.trained: list[gx.Variable] = []

    def one(self, items: Any) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def symbol(self, dtype: str | None = None, shape: Any = None) -> gx.Tensor:
        self.made += 1
        kind = dtype or self.one(("float64", "float64", "float32", "int64", self.one(DTYPES)))
        return gx.placeholder(f"x{self.made}", self.one(SHAPES) if shape is None else shape, kind)

    def variable(self, shape: Any = (3,)) -> gx.Variable:
        self.made += 1
        return gx.variable(np.ones(shape, self.one(("float64", "float32", "float32", "float16", "int64"))), name=f"w{self.made}")

    def of_a_body(self) -> gx.Tensor:
        """A symbol that is known in a loop's body alone."""
        known: list[gx.Tensor] = []

        def body(carry: Any, x: Any) -> Any:
            known.append(carry if self.made % 2 else x)
            return carry, x

        gx.scan(body, self.symbol("float64", (3,)), self.symbol("float64", ("n", 3)))
        return known[0]

    def retyped(self, value: Any) -> Any:
        """The same, or nearly the same, as another type."""
        ways: tuple[Callable[[Any], Any], ...] = ()
        if isinstance(value, np.ndarray):
            ways = ARRAYS
        elif isinstance(value, (bool, int, float)):
            ways = SCALARS
        elif isinstance(value, (tuple, list)):
            ways = SEVERAL
        elif isinstance(value, str):
            ways = (Text, np.str_, str.encode, lambda v: [v], lambda v: np.array(v), str.upper)
        elif isinstance(value, gx.Tensor):
            ways = (
                lambda v: self.variable(), lambda v: v * np.float64(2), lambda v: gx.dim("n") / 2, lambda v: self.of_a_body(),
                lambda v: [v], lambda v: (v, v), lambda v: np.float32(2), lambda v: np.array(2.0), lambda v: np.ones(3, "f4"),
                lambda v: gx.constant(np.ones((3, 3), self.one(DTYPES[5:]))), lambda v: v.astype("float16"),
            )  # fmt: skip
        try:
            return self.one(ways)(value) if ways else value
        except Exception:  # there is no such value of that type
            return value

    def anything(self) -> Any:
        return self.one((
            lambda: self.symbol(), lambda: self.symbol(), lambda: self.one(NUMBERS), lambda: self.one(NUMBERS),
            lambda: None, lambda: "text", lambda: object(), lambda: [], lambda: {}, lambda: (1, "n"), lambda: [[1], [2, 3]],
            lambda: gx.dim("n"), lambda: gx.dim("q") + 1, lambda: np.array(["a"]), lambda: np.array([1j]), lambda: 1j,
            lambda: np.zeros((2, 3)), lambda: np.array([], "int64"), lambda: [self.symbol(), self.symbol()], lambda: int,
            lambda: (lambda *x: x), lambda: slice(None, None, 0), lambda: ..., lambda: np.float32(2), lambda: b"bytes",
            lambda: gx.constant(self.rng.integers(-9, 9, (3,))), lambda: (self.one(NUMBERS), self.one(NUMBERS)),
            lambda: np.datetime64("2020-01-01"), lambda: {"x": 1}, lambda: gx.float32, lambda: range(3), lambda: {1, 2},
            lambda: self.retyped(self.one(NUMBERS)), lambda: self.retyped(self.one(NUMBERS)), lambda: self.retyped((1, 2)),
            lambda: self.retyped(np.arange(-1.0, 2.0)), lambda: self.variable(), lambda: gx.dim("n") * 0.5,
            lambda: self.of_a_body(), lambda: Record(), lambda: Arrayed(), lambda: gx.random.Stream(1), lambda: np.iinfo("int8"),
            lambda: [None, 1], lambda: gx.dim("n") > 2, lambda: Pair(self.symbol(), 1), lambda: Record, lambda: np.add,
            lambda: gx.exp,
        ))()  # fmt: skip

    def fitting(self, name: str) -> Any:
        """Something that an argument of this name may be."""
        small = lambda: self.one((0, 1, 2, 3, -1, -2, 7))
        ways: dict[tuple[str, ...], Callable[[], Any]] = {
            ("axis", "axes", "source", "destination", "offset", "shift", "axis1", "axis2", "in_axes", "k"): lambda: self.one(
                (0, 1, -1, None, (0, 1), (0, 0), 5, -7, 1.0, True)
            ),
            ("dtype",): lambda: self.one((*DTYPES, None, "complex64", "U3", gx.int32, float, np.int8)),
            ("shape", "size", "repeats", "repetitions", "sizes", "padding", "kernel", "stride", "dilation", "output_padding"): (
                lambda: self.one(((), (3,), 3, "n", ("n", 2), (-1, 3), (0,), 2, -1, 0, [(1, 1), (0, 2)], "same", (2.5,), 10**12))
            ),
            ("key",): lambda: self.one((gx.random.key(3), gx.random.Stream(3), self.symbol("uint32", (2,)), 7)),
            ("keepdims", "descending", "replace", "causal", "stable", "side", "reduction", "layout", "method", "mode", "ord"): (
                lambda: self.one((True, False, "left", "mean", "none", "sum", "NHWC", "linear", "nearest", 2, "fro", 1, None))
            ),
            ("n", "num_segments", "groups", "size", "num", "depth", "length", "count", "M", "N", "seed", "n_rows", "minlength",
             "ddof"): small,
            ("indices", "labels", "segment_ids", "places", "index"): lambda: self.one(
                (self.symbol("int64"), self.symbol("uint8"), gx.constant([0, 9, -9]), 1, [0, 1], self.symbol("float64"))
            ),
            ("f", "body", "cond", "function", "true_fun", "false_fun", "branches", "fun"): lambda: self.one((
                (lambda *x: x[0] if x else 0.0), (lambda *x: x), (lambda: 1), (lambda a, b: (a, b)), (lambda *x: None),
                [(lambda x: x)] * 2, 3,
            )),
            ("indices_or_sections", "bins", "range", "window_shape"): lambda: self.one(
                (1, 2, 3, [1], [1, 2], (0, 1), [0.0, 0.5, 2.0], "auto", -1, None, self.symbol("float64", (3,)))
            ),
            ("condlist", "choicelist", "choices", "multi_index"): lambda: self.one((
                [self.symbol("bool", (3,))], [self.symbol("float64", (3,))] * 2, [self.symbol("int64", (3,))] * 2, [], None,
                self.symbol(),
            )),
            ("condition", "mask", "pred", "where"): lambda: self.one((self.symbol("bool"), True, self.symbol(), None)),
            ("arrays", "tensors", "xs", "operands", "inputs", "outputs", "params", "grads", "wrt"): lambda: self.one(
                ([self.symbol("float64", (3,)), self.symbol("float64", (3,))], [], (self.symbol(),), self.symbol(), None)
            ),
            ("lr", "beta", "beta1", "beta2", "eps", "decay", "weight_decay", "clip_norm", "momentum", "slope", "alpha", "rate",
             "scale", "delta", "margin", "smoothing", "limit", "value", "low", "high", "width", "q", "p", "start", "end", "stop",
             "step", "correction", "ddof", "rtol", "min", "max", "minval", "maxval", "fill_value", "constant_values", "max_norm",
             "steps", "boundaries", "values", "then", "ord"): (
                lambda: self.one((0.5, 0.1, 1, 2, 0, -1.5, 1e-8, math.nan, None, [0.1, 0.5], [1, 2], gx.dim("n") / 2))
            ),
            ("loss",): lambda: self.one((self.loss(), self.loss(), self.symbol("float64", ()), self.symbol())),
            ("variables",): lambda: self.one((self.trained, self.trained, [self.variable()], self.variable(), [self.symbol()])),
        }  # fmt: skip
        for names, way in ways.items():
            if name in names:
                return way()
        shape = self.one(((3,), (3, 3), ("n", 3)))
        return self.symbol(self.one(("float64", "float32", "int64")), shape) if self.rng.random() < 0.5 else self.symbol()

    def loss(self) -> gx.Tensor:
        """A number that variables make."""
        self.trained = [self.variable(), self.variable((2, 3))][: self.one((1, 2))]
        return sum((gx.sum(gx.astype(w * w, "float32")) for w in self.trained), 0 * self.symbol("float32", ()))

    def call(self, name: str, function: Callable[..., Any]) -> Call:
        made = Call(name, function, more=[self.fitting("x") for _ in range(self.one((1, 1, 2)))])
        operation = isinstance(function, gx.ir.operation.Operation)
        parameters = [] if operation else list(inspect.signature(function).parameters.values())
        if operation:
            for _ in range(max(0, (function.arity or 1) + self.one((0, 0, 0, 0, 0, 1, -1)))):
                made.args.append(self.fitting("x") if self.rng.random() < 0.6 else self.anything())
        if name == "gx.einsum":
            made.args.append(self.one(("ij,jk->ik", "ii", "i,i", "ij->k", "...i", "", "i->->", "ij,jk->iik", 3)))
        wild, typed = self.one((0.0, 0.2, 0.5)), self.one((0.0, 0.1, 0.4))
        named = self.rng.random() < 0.15
        for p in parameters:
            if p.kind == p.VAR_KEYWORD or (p.default is not p.empty and self.rng.random() < 0.6):
                continue
            fitting = lambda p=p: self.retyped(self.fitting(p.name)) if self.rng.random() < typed else self.fitting(p.name)
            draw = lambda: self.anything() if self.rng.random() < wild else fitting()  # noqa: B023
            if p.kind == p.VAR_POSITIONAL:
                made.args += [draw() for _ in range(self.one((0, 1, 2, 3)))]
            elif p.kind == p.KEYWORD_ONLY or (p.default is not p.empty) or (named and p.kind == p.POSITIONAL_OR_KEYWORD):
                made.keywords[p.name] = draw()
            else:
                made.args.append(draw())
        if name.startswith(("Tensor.", "x.at", "Dim.", "variable.value", "variable.update", "np.")):
            for key in list(made.keywords)[: len(parameters)]:
                if key in ("self", "x", "variable"):
                    del made.keywords[key]
            of = {"Dim": lambda: self.one((gx.dim("n"), 2 * gx.dim("n") + 1)), "variable": self.variable}
            made.args[:1] = [of.get(name.split(".")[0], self.symbol)()]
            if name in ("Tensor.__getitem__", "Tensor.__setitem__") or name.startswith("x.at"):
                made.args[1:2] = [self.retyped(self.index()) if self.rng.random() < typed else self.index()]
        if self.rng.random() < 0.03:
            made.keywords["no_such_keyword"] = 1
        elif self.rng.random() < 0.03 and made.args:
            made.args.pop()
        elif self.rng.random() < 0.02:
            made.args.append(self.anything())
        return made

    def index(self) -> Any:
        part = lambda: self.one((
            0, 5, -9, 2**70, None, ..., True, False, slice(None), slice(5, 1), slice(None, None, -1), slice(0, 3, 0), slice("a"),
            slice(1.5), slice(2**70), 1.0, "text", [0, 9], [True, False, True], np.array([1.5]), gx.constant([0, 9, -9]),
            self.symbol("int64"), self.symbol("bool"), self.symbol(), slice(gx.dim("n")), slice(None, gx.dim("q")), (),
        ))  # fmt: skip
        return part() if self.rng.random() < 0.5 else tuple(part() for _ in range(self.one((0, 1, 2, 3))))


# --- trying ----------------------------------------------------------------------------------------------------------


_ARITY = re.compile(r"[\w.<>]+\(\) (missing|got an unexpected keyword|got multiple values|takes|got some positional-only)")


class Hangs(BaseException):
    """A call takes too long."""


def _alarm(*_: object) -> None:
    raise Hangs


def attempt(call: Call) -> tuple[str, Any]:
    """What became of a call: ("works", its result), ("refused", the error), or ("wrong", what is wrong with it)."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        result = call.function(*call.args, **call.keywords)
        if inspect.isfunction(result):  # as vmap and schedules give
            result = result(*call.more)
        return "works", result
    except GraphError as error:
        if error.where is None or error.where.file != __file__:
            return "wrong", f"points at {error.where}: {type(error).__name__}: {error}"
        return "refused", error
    except TypeError as error:
        if _ARITY.match(str(error)):
            return "refused", error
        return "wrong", "".join(traceback.format_exception(error)[-3:])
    except Hangs:
        return "wrong", "hangs"
    except Exception as error:
        return "wrong", "".join(traceback.format_exception(error)[-3:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def symbols(value: Any) -> list[gx.Tensor]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in symbols(v)]
    return [value] if isinstance(value, gx.Tensor) and not isinstance(value.type, gx.ir.types.TupleType) else []


def run(result: Any, rng: Rng) -> str | None:
    """What is wrong with an accepted call's value in the two backends, if anything is."""
    outputs = symbols(result)
    nodes = list(topological(outputs))
    sizes: list[Any] = [n.type.size for n in nodes if isinstance(n, gx.Tensor) and hasattr(n.type, "size")]
    try:
        if not outputs or any(evaluate(size, SIZES) > LARGEST for size in sizes):
            return None
    except KeyError:
        return None  # a name that no input binds
    inputs = [n for n in nodes if n.op.name == "input"]
    state = {n: n.value for n in nodes if isinstance(n, gx.Variable)}  # of streams, which a call advances
    values = [drawn(rng, x) for x in inputs]
    if any(n.op.name.startswith("searchsorted") for n in nodes):  # it is not defined on what has no order
        values = [np.sort(v, axis=-1) if v.ndim else v for v in values]
    coarsest = min((n.dtype.itemsize for n in nodes if isinstance(n, gx.Tensor) and n.dtype.is_float), default=8)
    found = []
    signal.setitimer(signal.ITIMER_REAL, 3 * SECONDS)
    try:
        for backend in ("interpreter", "llvm"):
            for variable, value in state.items():
                variable.value = value
            try:
                with np.errstate(all="ignore"):
                    found.append(gx.compile(inputs, outputs, backend=backend)(*values))
            except GraphError as error:
                found.append(error)
    except Hangs:
        return "hangs when it is run"
    except Exception as error:
        return "when it is run: " + "".join(traceback.format_exception(error)[-3:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    first, second = found
    if isinstance(first, GraphError) or isinstance(second, GraphError):
        return None if isinstance(first, GraphError) and isinstance(second, GraphError) else f"{first!r} against {second!r}"
    for a, b, y in zip(first, second, outputs, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype or not agree(a, b, y, coarsest):
            return f"the backends differ: {a!r} and {b!r}"
    return None


def agree(a: Any, b: Any, y: gx.Tensor, coarsest: int = 8) -> bool:
    """Whether results are equal but for rounding; `coarsest` is the size in bytes of the coarsest float on their way."""
    if not y.dtype.is_float:
        return bool(np.array_equal(a, b))
    tolerance = {8: 1e-9, 4: 1e-4, 2: 3e-2}[min(y.dtype.itemsize, coarsest)]
    return bool(np.allclose(a.astype("float64"), b.astype("float64"), tolerance, tolerance, equal_nan=True))


def drawn(rng: Rng, x: gx.Tensor) -> Any:
    shape = tuple(evaluate(n, SIZES) for n in x.shape)
    low = 0 if x.dtype.kind in "bu" else -4
    values = rng.integers(low, 5, shape) if not x.dtype.is_float else rng.normal(size=shape)
    return np.asarray(values).astype(x.dtype.numpy)


def fuzz(calls: int, seed: int, every: int = 10, log: Path | None = None, only: str = "") -> tuple[Counter[str], list[str]]:
    """How many calls worked, were refused and were run; and what is wrong, one text each."""
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _alarm)
    tried = {name: f for name, f in functions().items() if only in name}
    names, counts, wrong = sorted(tried), Counter[str](), []
    for i in range(calls):
        arguments = Arguments(np.random.default_rng((seed, i)))
        name = names[i % len(names)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("ignore", GraphWarning)
            call = arguments.call(name, tried[name])
            if log is not None:
                log.write_text(f"{i} {call}\n", encoding="utf-8")
            what, result = attempt(call)
            counts[what] += 1
            if what == "works" and counts["works"] % every == 0:
                counts["run"] += 1
                problem = run(result, arguments.rng)
                what, result = ("wrong", problem) if problem else (what, result)
        if what == "wrong":
            wrong.append(f"call {i}: {call}\n{result}")
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=10, help="how many accepted calls there are to one that is run")
    parser.add_argument("--only", default="", help="functions whose name contains this")
    parser.add_argument("--log", type=Path, help="a file that holds the call that is being tried")
    given = parser.parse_args()
    counts, wrong = fuzz(given.calls, given.seed, given.every, given.log, given.only)
    print("\n\n".join(wrong))
    tried = len([name for name in functions() if given.only in name])
    done = " ".join(f"{what} {counts[what]}" for what in ("works", "refused", "run"))
    print(f"functions {tried} calls {given.calls} {done} wrong {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
