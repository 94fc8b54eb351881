"""One walk over the whole vocabulary: types against NumPy's, gradients against differences, native code against the reference.

Nothing here names an operation to choose what is tested: every declared operation is tested on its own samples. The tables
below name only what is documented to differ from NumPy, and which results may be rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import ulp
from ml_dtypes import finfo

import graphc as gx
from graphc.errors import GraphError
from graphc.ir import combines
from graphc.ir import types as t
from graphc.ir.operation import (
    Composite,
    Contraction,
    Host,
    Leaf,
    Operation,
    Pointwise,
    Prefix,
    Project,
    Reduction,
    Sample,
    Scan,
    Scatter,
    Sized,
    Switch,
    While,
    operations,
)  # fmt: skip
from graphc.ir.types import DType, TensorType, TupleType
from graphc.ops.declare import results as taken_apart

Array = np.ndarray[Any, Any]

GRAPHS = (Scan, While, Switch, Sized)  # whose attributes are graphs: test_control.py
OTHERS = ("send", "receive")  # another rank is needed: tests/distributed
OPERATIONS = [op for op in operations() if not isinstance(op.lowering, (Leaf, Project, *GRAPHS)) and op.name not in OTHERS]
CASTS = ("astype", "bitcast", "dequantize")  # elementwise, of several types
ELEMENTWISE = [op for op in OPERATIONS if isinstance(op.lowering, Pointwise) and op.lowering.elementwise and op.name not in CASTS]

# NumPy's own names of functions that the Array API renames.
NUMPY_NAMES = {
    "abs": "absolute",
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "bitwise_invert": "invert",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
    "pow": "power",
    "round": "rint",
}

# Where the type of a result differs from NumPy's: (operation, or * for any) and operand types -> (graphc's, NumPy's).
DIFFERENCES = {
    # 8-bit integers and booleans go to float32: float16 is how memory holds numbers, and its range is for the user to choose
    ("*", "bool"): ("float32", "float16"),
    ("*", "int8"): ("float32", "float16"),
    ("*", "uint8"): ("float32", "float16"),
    ("copysign", "bool"): ("float32", "float16"),
    # rounding leaves integers as they are, as np.round does and np.rint does not
    **{("round", d): (d, "float16") for d in ("int8", "uint8")},
    **{("round", d): (d, "float32") for d in ("int16", "uint16")},
    **{("round", d): (d, "float64") for d in ("int32", "uint32", "int64", "uint64")},
    # booleans are not numbers: use the logical functions
    **{(name, "bool"): ("refused", "int8") for name in ("floor_divide", "remainder", "fmod", "pow")},
    **{(name, "bool"): ("refused", "bool") for name in ("floor", "ceil", "trunc")},
    ("round", "bool"): ("refused", "float16"),
}

# Units in the last place by which a result may differ from the exact value; whatever is not listed is exact to the bit.
TRANSCENDENTAL = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "cbrt", "atan2", "hypot", "erf", "erfc", "sigmoid", "softplus",
)  # fmt: skip
ULP = dict.fromkeys(TRANSCENDENTAL, 2.0) | dict.fromkeys(("pow", "erfinv", "lgamma", "digamma"), 4.0)
NARROW = ("erf", "erfc", "erfinv", "lgamma", "digamma")  # whose references are float64 inside


@dataclass(frozen=True)
class Case:
    """An operation on operands of certain types."""

    op: Operation
    sample: Sample
    types: tuple[TensorType, ...]

    @property
    def result(self) -> TensorType:
        return self.op.infer(*self.types, **self.sample.attrs)

    def arrays(self, rng: np.random.Generator) -> list[Array]:
        drawn = [draw(rng, x, self.sample.domain) for x in self.types]
        return drawn if self.sample.prepare is None else list(self.sample.prepare(*drawn))

    def __str__(self) -> str:
        return f"{self.op.name}({', '.join(map(str, self.types))}, {dict(self.sample.attrs)})"


def cases(op: Operation) -> Iterator[Case]:
    """Every sample with every data type that the operation's type rule accepts."""
    for sample in op.samples:
        given = sample.dtypes or ("",) * len(sample.shapes)
        for dtype in t.DTYPES if "" in given else t.DTYPES[:1]:
            types = tuple(TensorType(t.as_dtype(d or dtype), shape) for d, shape in zip(given, sample.shapes, strict=True))
            try:
                op.infer(*types, **sample.attrs)
            except GraphError:
                continue
            yield Case(op, sample, types)


def draw(rng: np.random.Generator, x: TensorType, domain: tuple[float, float]) -> Array:
    """Random values of a type within a domain."""
    shape = tuple(int(n) for n in x.shape)  # type: ignore[call-overload]
    if x.dtype.is_bool:
        return rng.integers(0, 2, shape).astype(bool)
    if x.dtype.is_integer:
        low, high = math.ceil(domain[0]), math.floor(domain[1])
        info = np.iinfo(x.dtype.numpy)
        return rng.integers(max(low, int(info.min)), min(high, int(info.max)) + 1, shape).astype(x.dtype.numpy)
    return rng.uniform(*domain, shape).astype(x.dtype.numpy)


def parts(value: Any) -> tuple[Any, ...]:
    """The several results of an operation, their types, or the symbols that stand for them; or the only one."""
    match value:
        case TupleType():
            return value.parts
        case gx.Tensor():
            return taken_apart(value) if isinstance(value.type, TupleType) else (value,)
        case TensorType():
            return (value,)
    return tuple(map(np.asarray, value)) if isinstance(value, tuple) else (np.asarray(value),)


def each(ops: Sequence[Operation]) -> Any:
    return pytest.mark.parametrize("op", ops, ids=lambda op: op.name)


def rng_of(op: Operation) -> np.random.Generator:
    return np.random.default_rng([ord(c) for c in op.name])


# --- types -----------------------------------------------------------------------------------------------------------


def test_every_operation_has_samples_and_is_accepted_by_some_type() -> None:
    assert [op.name for op in OPERATIONS if not list(cases(op))] == []


@each(OPERATIONS)
def test_the_inferred_type_is_the_type_of_the_reference(op: Operation) -> None:
    rng = rng_of(op)
    for case in cases(op):
        with np.errstate(all="ignore"):
            found = parts(op.reference(*case.arrays(rng), **case.sample.attrs))
        types = [TensorType(t.as_dtype(result.dtype), result.shape) for result in found]
        assert list(map(str, parts(case.result))) == list(map(str, types)), str(case)


@each([op for op in ELEMENTWISE if isinstance(getattr(np, NUMPY_NAMES.get(op.name, op.name), None), np.ufunc)])
def test_types_are_numpy_s_or_listed_as_different(op: Operation) -> None:
    function = getattr(np, NUMPY_NAMES.get(op.name, op.name))
    assert op.arity is not None
    for dtype in t.DTYPES:
        try:
            ours = op(*(gx.placeholder(f"x{i}", (2,), dtype) for i in range(op.arity))).dtype.name
        except GraphError:
            ours = "refused"
        try:
            with np.errstate(all="ignore"):
                theirs = function(*(np.ones(2, dtype.numpy),) * op.arity).dtype.name
        except TypeError:
            theirs = "refused"
        if dtype == t.bfloat16 and theirs == "refused":  # ml_dtypes has not every function
            theirs = ours
        if ours != theirs:
            allowed = [DIFFERENCES.get((name, dtype.name)) for name in (op.name, "*")]
            assert (ours, theirs) in allowed, f"{op.name} of {dtype}: graphc gives {ours}, NumPy {theirs}"


@each([op for op in ELEMENTWISE if op.arity != 1])
def test_scalars_and_arrays_without_axes_are_operands(op: Operation) -> None:
    """An operand that is NumPy's scalar, or an array without axes, has its type: as the reference's has."""
    rng = np.random.default_rng(0)
    for case in cases(op):
        if case.types[0].shape != ():
            continue
        arrays = case.arrays(rng)
        want = op.reference(*arrays)
        for k in range(len(arrays)):
            for scalar in (arrays[k][()], np.asarray(arrays[k])):
                given = [gx.placeholder(f"x{i}", (), a.dtype) if i != k else scalar for i, a in enumerate(arrays)]
                y = op(*given)
                assert y.type == case.result, case
                got = y.eval({x: a for x, a in zip(given, arrays, strict=True) if isinstance(x, gx.Tensor)})
                assert_same_bits(got, np.asarray(want), case)


def test_the_table_of_differences_holds_nothing_that_does_not_differ() -> None:
    for (name, dtype), (ours, theirs) in DIFFERENCES.items():
        op = next(op for op in ELEMENTWISE if op.name == (name if name != "*" else "exp"))
        assert op.arity is not None
        with np.errstate(all="ignore"):
            found = getattr(np, NUMPY_NAMES.get(op.name, op.name))(*(np.ones(2, dtype),) * op.arity).dtype.name
        assert found == theirs
        if ours == "refused":
            with pytest.raises(GraphError):
                op(*(gx.placeholder(f"x{i}", (2,), dtype) for i in range(op.arity)))


# --- gradients -------------------------------------------------------------------------------------------------------

BOUND = 1e-10  # of the difference, relative to the sum of the magnitudes of all that is added up on both sides
TRANSPOSED = 1e-13  # of <Jv, u> and <v, J'u>, which are sums of the same products
CUT = {"stop_gradient", "with_gradient", "gamma_draw"}  # whose gradient is a definition, not the calculus of their value


def float64_cases(op: Operation) -> Iterator[Case]:
    for case in cases(op):
        floats = [x.dtype == t.float64 for x in case.types]
        if any(floats) and any(p.dtype == t.float64 for p in parts(case.result)) and op.vjp is not None and op.name not in CUT:
            yield case


@each([op for op in OPERATIONS if list(float64_cases(op))])
def test_gradients_are_the_central_differences_to_second_order(op: Operation) -> None:
    """Of a random projection of the result, and of a random projection of that gradient, along a random direction."""
    rng = rng_of(op)
    for case in float64_cases(op):
        symbols = [gx.placeholder(f"x{i}", x.shape, x.dtype) for i, x in enumerate(case.types)]
        values = case.arrays(rng)
        at = [i for i, x in enumerate(case.types) if x.dtype == t.float64]
        wrt = [symbols[i] for i in at]
        directions = [rng.uniform(-1, 1, values[i].shape) for i in at]
        ys = [y for y in parts(op(*symbols, **case.sample.attrs)) if y.dtype == t.float64]
        first = gx.sum(gx.stack([gx.sum(y * gx.constant(rng.uniform(0.5, 1.5, y.shape))) for y in ys]))
        gradients = gx.grad(first, wrt, unconnected="zero")
        second = gx.sum(gx.stack([gx.sum(g * gx.constant(rng.uniform(0.5, 1.5, g.shape))) for g in gradients]))
        for what, gradient in ((first, gradients), (second, gx.grad(second, wrt, unconnected="zero"))):
            run = gx.compile(symbols, [what, gx.jvp(what, wrt, directions), *gradient], backend="interpreter", passes=())
            value = gx.compile(symbols, what, backend="interpreter", passes=())

            def along(step: float, value: Any = value, values: Any = values, at: Any = at, directions: Any = directions) -> float:
                there = list(values)
                for i, d in zip(at, directions, strict=True):
                    there[i] = values[i] + step * d
                return float(value(*there))

            now, pushed, *pulled = run(*values)
            exact = [(d * g) for d, g in zip(directions, pulled, strict=True)]
            found = sum(float(np.sum(p)) for p in exact)
            scale = sum(float(np.sum(np.abs(p))) for p in exact) + abs(float(now))
            assert abs(found - gx.testing.derivative(along)[0]) <= BOUND * scale, str(case)
            assert abs(found - float(pushed)) <= TRANSPOSED * scale, str(case)


# --- native code -----------------------------------------------------------------------------------------------------

BACKEND = "llvm"
SPECIAL = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    1.5,
    3.0,
    1e-40,
    -1e-310,
    5e-324,
    1e30,
    -3.5e38,
    1.7e308,
    math.inf,
    -math.inf,
    math.nan,
)


def wide(x: Array) -> Array:
    """The same values with at least 11 more bits."""
    return x.astype({2: np.float64, 4: np.float64, 8: np.longdouble}[x.dtype.itemsize]) if t.as_dtype(x.dtype).is_float else x


def exact(op: Operation, arrays: Sequence[Array], attrs: Any) -> Array:
    """The result in wider floats, for measuring errors."""
    with np.errstate(all="ignore"):
        if op.name in NARROW and arrays[0].dtype == np.float64:
            function = ulp.EXACT.get(op.name, getattr(mpmath, op.name, None))
            values = op.reference(arrays[0]).astype(np.longdouble)
            with mpmath.workdps(30):
                for i, x in enumerate(arrays[0].flat):
                    if np.isfinite(x) and 0 < abs(values.flat[i]) < math.inf:
                        values.flat[i] = np.longdouble(mpmath.nstr(function(mpmath.mpf(float(x))), 25))
            return values
        return np.asarray(op.reference(*map(wide, arrays), **attrs))


def assert_same_bits(got: Array, want: Array, what: object) -> None:
    """Equal to the bit; one NaN is as good as another."""
    assert (got.dtype, got.shape) == (want.dtype, want.shape), what
    if t.as_dtype(want.dtype).is_float:
        nan = np.isnan(want)
        assert np.array_equal(np.isnan(got), nan), f"{what}: {got} is not {want}"
        got, want = np.where(nan, 0, got), np.where(nan, 0, want)
        assert np.array_equal(np.signbit(got), np.signbit(want)), f"{what}: the sign of {got} is not that of {want}"
    wrong = np.argwhere(got != want)
    assert not len(wrong), f"{what}: {got[tuple(wrong[0])]!r} is not {want[tuple(wrong[0])]!r} at {wrong[0]}"


def assert_within(got: Array, truth: Array, bound: Array, what: object) -> None:
    """|got - truth| <= bound in wide arithmetic; infinities and NaN where the truth, rounded, has them."""
    with np.errstate(all="ignore"):
        rounded = truth.astype(got.dtype)
        info = finfo(got.dtype)
        seen = wide(got)
        seen = np.where(np.isinf(got) & np.isfinite(truth), np.sign(seen) * wide(info.max) * (1 + wide(info.eps)), seen)
        error = np.abs(seen - truth)
        good = (got == rounded) | (np.isnan(got) & np.isnan(rounded)) | (error <= bound)
    wrong = np.argwhere(~good)
    assert not len(wrong), (
        f"{what}: {got[tuple(wrong[0])]!r} is not {rounded[tuple(wrong[0])]!r} within {bound[tuple(wrong[0])]:.3g}, "
        f"but {error[tuple(wrong[0])]:.3g} off, at {wrong[0]}; {len(wrong)} of {got.size} are wrong"
    )


def stored(dtype: DType, truth: Array) -> Any:
    """How far a result in float32 moves when it is rounded to 16 bits."""
    if not dtype.is_storage:
        return 0
    return 1.001 * 2.0 ** -t.DIGITS[dtype] * np.abs(truth) + 2.0 ** (t.EXPONENTS[dtype][0] - 1)


FACTORED = {"cholesky", "cofactors", "det", "inv", "qr", "slogdet", "solve", "solve_triangular"}  # composites of such


def is_factored(op: Operation) -> bool:
    """Whether small matrices of it are factored by kernels."""
    return getattr(op.lowering, "lanes", None) is not None or op.name in FACTORED


def check(op: Operation, attrs: Any, arrays: Sequence[Array], got: Array, want: Array) -> None:
    """A native result against the reference: to the bit, or within the stated bound of the exact value."""
    what = f"{op.name}({', '.join(f'{a.dtype}{list(a.shape)}' for a in arrays)}, {dict(attrs)})"
    assert (got.dtype, got.shape) == (want.dtype, want.shape), what
    dtype = t.as_dtype(got.dtype)
    if not dtype.is_float or not got.size:
        return assert_same_bits(got, want, what)
    u = float(finfo(dtype.arithmetic.numpy).eps) / 2
    match op.lowering:
        case Pointwise() if op.name in ULP:
            truth = exact(op, arrays, attrs)
            with np.errstate(all="ignore"):
                size = np.minimum(np.abs(truth), wide(finfo(got.dtype).max))
                if op.name in ulp.FLOORS:
                    size = np.where(arrays[0] < 0, np.maximum(size, wide(ulp.FLOORS[op.name](arrays[0]))), size)
                unit = wide(np.abs(np.spacing(size.astype(got.dtype))))
            units = 0.501 if dtype.is_storage else ULP[op.name]  # at most 4 units of float32, and one rounding
            assert_within(got, truth, units * np.where(np.isnan(unit), 0, unit), what)
            number = ~np.isnan(got)
            assert np.array_equal(np.signbit(got[number]), np.signbit(want[number])), (
                f"{what}: the sign of {got} is not that of {want}"
            )
        case Host() | Composite() if is_factored(op):  # LAPACK adds in another order; solutions move by the condition number
            matrix = arrays[0].astype(np.float64)
            worst = float(np.max(np.linalg.cond(matrix), initial=1.0)) if matrix.ndim >= 2 and matrix.size else 1.0
            assert_within(got, want, 64 * u * worst * np.max(np.abs(want), initial=0.0), what)
        case Reduction(combines.ADD):  # pairwise: blocks of at most 128 elements summed in 8 lanes, then a tree of their sums
            n = arrays[0].size // got.size
            with np.errstate(all="ignore"):
                total = np.sum(np.abs(wide(arrays[0])), axis=attrs["axes"])
            truth = exact(op, arrays, attrs)
            assert_within(got, truth, (20 + math.log2(max(n, 1))) * u * total + stored(dtype, truth), what)
        case Reduction(combines.MAX | combines.MIN):  # NumPy's own choice between 0.0 and -0.0 depends on the memory layout
            assert_same_bits(got + 0, want + 0, what)
        case Reduction(combines.MUL):
            truth = exact(op, arrays, attrs)
            assert_within(got, truth, 1.01 * (arrays[0].size // got.size) * u * np.abs(truth) + stored(dtype, truth), what)
        case Scatter(combines.ADD):  # as many additions to a place as there are elements to add, at most
            total = exact(op, [np.abs(a) if a.dtype.kind == "f" else a for a in arrays], attrs)
            truth = exact(op, arrays, attrs)
            assert_within(got, truth, arrays[0].size * u * total + stored(dtype, truth), what)
        case Scatter(combines.MUL):
            truth = exact(op, arrays, attrs)
            assert_within(got, truth, 1.01 * arrays[0].size * u * np.abs(truth), what)
        case Scatter(combines.MAX | combines.MIN):
            assert_same_bits(got + 0, want + 0, what)
        case Prefix(combines.ADD):  # blocks of 1024 elements, and a chain of their sums
            n = arrays[0].shape[attrs["axis"]]
            with np.errstate(all="ignore"):
                total = np.cumsum(np.abs(wide(arrays[0])), **attrs)
            assert_within(got, exact(op, arrays, attrs), (1026 + n / 1024) * u * total, what)
        case Prefix(combines.MUL):
            truth = exact(op, arrays, attrs)
            assert_within(got, truth, 1.01 * arrays[0].shape[attrs["axis"]] * u * np.abs(truth), what)
        case Prefix(combines.MAX | combines.MIN):
            assert_same_bits(got + 0, want + 0, what)
        case Prefix(combines.LOGADDEXP):  # each step rounds by 4 units of what is there, or of log(2)
            truth = exact(op, arrays, attrs)
            with np.errstate(all="ignore"):
                size = np.maximum(1, np.maximum.accumulate(np.abs(np.where(np.isfinite(truth), truth, 0)), **attrs))
            assert_within(got, truth, 8 * arrays[0].shape[attrs["axis"]] * u * size, what)
        case Contraction():  # k products and k additions, in any order
            with np.errstate(all="ignore"):
                total = np.matmul(*(np.abs(wide(a)) for a in arrays))
            truth = exact(op, arrays, attrs)
            assert_within(got, truth, (arrays[0].shape[-1] + 1) * u * total + stored(dtype, truth), what)
        case Composite():  # sums of products: of any length up to that of an operand, in any order
            total = exact(op, [np.abs(a) for a in arrays], attrs)
            truth = exact(op, arrays, attrs)
            assert_within(got, truth, (max(a.size for a in arrays) + 1) * u * total + stored(dtype, truth), what)
        case _:
            assert_same_bits(got, want, what)


def layouts(values: Array) -> Iterator[Array]:
    """One array in every way it can lie in memory."""
    yield np.ascontiguousarray(values)
    yield np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    yield np.asfortranarray(values)
    every_other = np.zeros((2 * values.shape[0], 3 * values.shape[1]), values.dtype)
    every_other[::2, ::3] = values
    yield every_other[::2, ::3]
    read_only = values.copy()
    read_only.flags.writeable = False
    yield read_only
    raw = np.zeros(values.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(values.dtype).reshape(values.shape)
    misaligned[...] = values
    yield misaligned


@dataclass(frozen=True)
class Elementwise:
    """Every elementwise operation that accepts a data type, in one compilation."""

    ops: tuple[Operation, ...]
    dtype: DType

    def operands(self, op: Operation) -> list[int]:
        """Which of the inputs a, b, condition the operation reads."""
        sample = op.samples[0]
        numbers = iter((0, 1))
        return [2 if given == "bool" else next(numbers) for given in sample.dtypes or sample.shapes]

    def compile(self, shape: tuple[str, ...]) -> gx.Compiled:
        given = [gx.placeholder(name, shape, dtype) for name, dtype in (("a", self.dtype), ("b", self.dtype), ("c", bool))]
        return gx.compile(given, [op(*(given[i] for i in self.operands(op))) for op in self.ops], backend=BACKEND)

    def check(self, run: gx.Compiled, a: Array, b: Array, c: Array) -> None:
        before = [x.copy() for x in (a, b, c)]
        results = run(a, b, c)
        for x, was in zip((a, b, c), before, strict=True):
            assert_same_bits(x, was, "an input was written")
        for op, got in zip(self.ops, results, strict=True):
            arrays = [(a, b, c)[i] for i in self.operands(op)]
            with np.errstate(all="ignore"):
                check(op, {}, arrays, got, np.asarray(op.reference(*arrays)))


def bits(rng: np.random.Generator, dtype: DType, shape: tuple[int, ...]) -> Array:
    """Values of any bit pattern, so of any magnitude."""
    count = math.prod(shape) * dtype.itemsize
    if dtype.is_bool:
        return rng.integers(0, 2, shape).astype(bool)
    return np.frombuffer(rng.bytes(count), dtype.numpy).reshape(shape).copy()


def special(dtype: DType) -> Array:
    if dtype.is_bool:
        return np.array([False, True])
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        some = {0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 100, -1, -2, -7, info.min, info.min + 1, info.max, info.max - 1, info.max // 2}
        return np.array(sorted(v for v in some if info.min <= v <= info.max), dtype.numpy)
    with np.errstate(all="ignore"):
        return np.array([*SPECIAL, finfo(dtype.numpy).max, finfo(dtype.numpy).tiny], dtype.numpy)


def accepting(dtype: DType) -> tuple[Operation, ...]:
    return tuple(op for op in ELEMENTWISE if any(c.types[-1].dtype == dtype for c in cases(op)))


@pytest.mark.parametrize("dtype", t.DTYPES, ids=str)
def test_elementwise_operations_natively(dtype: DType) -> None:
    """On special values, any magnitude, moderate values, every memory layout, and sizes 0, 1, 2 and 7."""
    rng = np.random.default_rng(dtype.bits)
    tested = Elementwise(accepting(dtype), dtype)
    run = tested.compile(("n", "m"))
    values = special(dtype)
    n = len(values)
    a, b = np.broadcast_to(values[:, None], (n, n)), np.broadcast_to(values, (n, n))
    tested.check(run, a, b, bits(rng, t.bool_, (n, n)))
    compilations = run.compilations
    tested.check(run, *(bits(rng, dtype, (23, 19)) for _ in range(2)), bits(rng, t.bool_, (23, 19)))
    for domain in ((-3.0, 3.0), (0.0, 5.0), (-90.0, 90.0), (-710.0, 710.0)):
        a, b = (draw(rng, TensorType(dtype, (13, 31)), domain) for _ in range(2))
        tested.check(run, a, b, bits(rng, t.bool_, a.shape))
    a, b, c = (draw(rng, TensorType(d, (5, 6)), (-3, 3)) for d in (dtype, dtype, t.bool_))
    for laid in zip(layouts(a), layouts(b), layouts(c), strict=True):
        tested.check(run, *laid)
    for size in (0, 1, 2, 7):
        for other in (0, 1, 7):
            tested.check(run, *(draw(rng, TensorType(d, (size, other)), (-3, 3)) for d in (dtype, dtype, t.bool_)))
    assert run.compilations == compilations


@pytest.mark.parametrize("dtype", [t.float32, t.int8], ids=str)
def test_elementwise_operations_without_axes(dtype: DType) -> None:
    rng = np.random.default_rng(dtype.bits)
    tested = Elementwise(accepting(dtype), dtype)
    run = tested.compile(())
    values = special(dtype)
    for a, b in zip(values, rng.permutation(values), strict=True):
        tested.check(run, a.reshape(()), b.reshape(()), bits(rng, t.bool_, ()))


def chosen_samples(dtype: DType) -> list[Case]:
    """All of float64, whose kernels are the rest's too; the first of each operation for the other data types."""
    found = []
    for op in OPERATIONS:
        if op in set(ELEMENTWISE) or (isinstance(op.lowering, Reduction) and dtype != t.float64):
            continue  # these have tests of their own
        for case in cases(op):
            first = case.sample is op.samples[0] or op.name in CASTS
            if (case.types[0].dtype if case.types else case.result.dtype) == dtype and (first or dtype == t.float64):
                found.append(case)
    return found


@pytest.mark.parametrize("dtype", t.DTYPES, ids=str)
def test_samples_natively(dtype: DType) -> None:
    """Samples of operations that are not elementwise, and of casts, all outputs of one compilation."""
    rng = np.random.default_rng(dtype.bits)
    chosen = chosen_samples(dtype)
    symbols: dict[tuple[str, tuple[TensorType, ...]], list[gx.Tensor]] = {}
    for c in chosen:
        make = [gx.placeholder(f"x{len(symbols)}_{k}", x.shape, x.dtype) for k, x in enumerate(c.types)]
        symbols.setdefault((c.op.name, c.types), make)
    results = [c.op(*symbols[c.op.name, c.types], **c.sample.attrs) for c in chosen]
    run = gx.compile([x for s in symbols.values() for x in s], [p for y in results for p in parts(y)], backend=BACKEND)
    for _ in range(2):
        arrays = {(c.op.name, c.types): c.arrays(rng) for c in chosen}
        found = iter(run(*(x for key in symbols for x in arrays[key])))
        for c in chosen:
            given = arrays[c.op.name, c.types]
            with np.errstate(all="ignore"):
                for want in parts(c.op.reference(*given, **c.sample.attrs)):
                    check(c.op, c.sample.attrs, given, next(found), want)


def reducing(dtype: DType) -> list[tuple[Operation, tuple[int, ...]]]:
    axes = ((0,), (1,), (0, 1))
    found = []
    for op in OPERATIONS:
        if isinstance(op.lowering, Reduction) and any(c.types[0].dtype == dtype for c in cases(op)):
            found += [(op, a) for a in axes if len(a) == 1 or not op.lowering.combine.positions]
    return found


@pytest.mark.parametrize("dtype", [t.bool_, t.int8, t.int64, t.uint16, t.uint64, t.bfloat16, t.float32, t.float64], ids=str)
def test_reductions_natively(dtype: DType) -> None:
    """Along each axis and both, at any size, on special values; where there is no value, an error as from the interpreter."""
    rng = np.random.default_rng(dtype.bits)
    tested = reducing(dtype)
    x = gx.placeholder("x", ("n", "m"), dtype)
    total = [(op, a) for op, a in tested if op.requires is None or not op.requires(x.type, axes=a)]
    run, run_total = (gx.compile([x], [op(x, axes=a) for op, a in chosen], backend=BACKEND) for chosen in (tested, total))

    def compare(values: Array, chosen: Any = tested, run: Any = run) -> None:
        for (op, axes), got in zip(chosen, run(values), strict=True):
            with np.errstate(all="ignore"):
                check(op, {"axes": axes}, [values], got, np.asarray(op.reference(values, axes=axes)))

    for shape in ((1, 1), (2, 7), (7, 2), (1, 300), (300, 1), (129, 67), (9, 1025)):
        compare(draw(rng, TensorType(dtype, shape), (0.9, 1.1) if dtype.is_float else (-100, 100)))
    for laid in layouts(draw(rng, TensorType(dtype, (6, 5)), (0.5, 1.5))):
        compare(laid)
    if total:
        for shape in ((0, 0), (0, 7), (7, 0)):
            compare(np.zeros(shape, dtype.numpy), total, run_total)
            if len(total) < len(tested):
                with pytest.raises(gx.errors.ShapeError, match="over an empty axis has no value"):
                    run(np.zeros(shape, dtype.numpy))
    if dtype.is_float:
        ties = rng.integers(0, 3, (11, 12)).astype(dtype.numpy)
        for value in (math.nan, math.inf, -math.inf, -0.0):
            for count in (1, 3, 132):
                some = ties.copy()
                some.flat[rng.choice(132, count, replace=False)] = value
                compare(some)
        both = ties.copy()
        both[3, 4], both[5, 4], both[3, 6] = math.inf, -math.inf, -math.inf
        compare(both)
    else:
        compare(bits(rng, dtype, (11, 12)))
        compare(rng.choice(special(dtype), (11, 12)))


@pytest.mark.parametrize("dtype", [t.int64, t.float32, t.float64], ids=str)
def test_running_reductions_natively(dtype: DType) -> None:
    """Along rows and columns around the length of a block, on special values, and with one thread as with two."""
    rng = np.random.default_rng(dtype.bits)
    tested = [op for op in OPERATIONS if isinstance(op.lowering, Prefix) and next(cases(op)).types]
    ways = [(op, axis) for op in tested for axis in (0, 1) if any(c.types[0].dtype == dtype for c in cases(op))]
    x = gx.placeholder("x", ("n", "m"), dtype)
    run = gx.compile([x], [op(*(x,) * (op.arity or 1), axis=axis) for op, axis in ways], backend=BACKEND)

    def compare(values: Array) -> None:
        results = run(values)
        for (op, axis), got in zip(ways, results, strict=True):
            with np.errstate(all="ignore"):
                want = np.asarray(op.reference(*(values,) * (op.arity or 1), axis=axis))
            check(op, {"axis": axis}, [values] * (op.arity or 1), got, want)

    for shape in ((1, 1), (2, 7), (0, 3), (3, 0), (1, 1024), (1025, 2), (2, 3000), (4096, 1), (5, 131)):
        compare(draw(rng, TensorType(dtype, shape), (0.99, 1.01) if dtype.is_float else (-100, 100)))
    if dtype.is_float:
        for value in (math.nan, math.inf, -math.inf, -0.0):
            some = rng.integers(0, 3, (3, 1500)).astype(dtype.numpy)
            some.flat[rng.choice(some.size, 2, replace=False)] = value
            compare(some)
    values = draw(rng, TensorType(dtype, (3, 5000)), (-3, 3))
    threads = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        alone = run(values)
        gx.set_num_threads(2)
        for a, b in zip(alone, run(values), strict=True):
            assert_same_bits(a, b, "on two threads")
    finally:
        gx.set_num_threads(threads)


@pytest.mark.parametrize("dtype", [t.int32, t.float16, t.float32, t.float64], ids=str)
def test_matrix_products_natively(dtype: DType) -> None:
    """Sizes around register tiles and cache blocks, and empty ones."""
    rng = np.random.default_rng(dtype.bits)
    op = next(op for op in OPERATIONS if op.name == "matmul")
    a, b = gx.placeholder("a", ("b", "m", "k"), dtype), gx.placeholder("b", ("b", "k", "n"), dtype)
    run = gx.compile([a, b], op(a, b), backend=BACKEND)
    sizes = [(1, 1, 1, 1), (2, 3, 4, 5), (1, 17, 33, 65), (3, 32, 1, 8), (1, 100, 500, 3), (1, 1, 257, 64), (1, 64, 64, 1)]
    for batch, m, k, n in [*sizes, (0, 2, 3, 4), (2, 0, 3, 4), (2, 3, 0, 4), (2, 3, 4, 0)]:
        given = [draw(rng, TensorType(dtype, shape), (-3, 3)) for shape in ((batch, m, k), (batch, k, n))]
        check(op, {}, given, run(*given), op.reference(*given))
    if dtype.is_float:
        given = [draw(rng, TensorType(dtype, shape), (-3, 3)) for shape in ((1, 9, 7), (1, 7, 5))]
        given[0][0, 2, 3], given[0][0, 4, 4], given[1][0, 0, 1] = math.nan, math.inf, -math.inf
        check(op, {}, given, run(*given), op.reference(*given))


def symbolic(x: gx.Tensor, y: gx.Tensor, i: gx.Tensor) -> dict[str, gx.Tensor]:
    """Functions of x [n, m], y [m] and integers i [n] that move elements about; sizes are expressions of n and m."""
    n, m = x.shape
    return {
        "reshape": gx.reshape(x, (-1,)),
        "transpose": x.T + 1,
        "concat": gx.concat([x, x[:, ::-1], x * 2], 0),
        "every other": x[::2, 1:],
        "backwards": x[::-3, :-1],
        "middle": x[1:-1],
        "past the end": x[5:],
        "last three": x[-3:],
        "pad": gx.pad(x, ((1, 2), (0, 1))),
        "stack": gx.stack([x, x + 1], 1),
        "flip": gx.flip(x, 0),
        "broadcast": gx.broadcast_to(y, (n, 2, m)),
        "outer": y[:, None] * y,
        "take": gx.take(gx.pad(x, ((0, 1), (0, 0))), i, axis=0),
        "one_hot": gx.one_hot(i, 4),
        "mean": gx.mean(gx.pad(x, (0, 1)), 0),
        "count": gx.sum(x > 0, axis=1),
        "halves": gx.reshape(gx.concat([x, x], 1), (n, 2, m))[:, 1],
        "arange": gx.arange(n + 2 * m),
        "size": x * 0 + gx.full((), n * m, x.dtype),
    }


@pytest.mark.parametrize("dtype", [t.float32, t.int16], ids=str)
def test_symbolic_sizes_natively(dtype: DType) -> None:
    """One compilation for every n and m out of 0, 1, 2 and 7; to the bit but for the mean."""
    rng = np.random.default_rng(7)
    given = [gx.placeholder("x", ("n", "m"), dtype), gx.placeholder("y", ("m",), dtype), gx.placeholder("i", ("n",), "int64")]
    results = symbolic(*given)
    run = gx.compile(given, results, backend=BACKEND)
    oracle = gx.compile(given, results, backend="interpreter", passes=())
    compilations = run.compilations
    for n in (0, 1, 2, 7):
        for m in (0, 1, 2, 7):
            values = [
                draw(rng, TensorType(dtype, (n, m)), (-9, 9)),
                draw(rng, TensorType(dtype, (m,)), (-9, 9)),
                rng.integers(-9, 9, (n,)),
            ]
            got, want = run(*values), oracle(*values)
            for name in results:
                if name == "mean":
                    assert np.allclose(got[name], want[name], rtol=1e-5, atol=1e-5)
                else:
                    assert_same_bits(got[name], want[name], f"{name} at n={n}, m={m}")
    assert run.compilations == compilations
