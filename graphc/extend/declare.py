"""Operations of your own: `elementwise`, `index_map`, `reduction`, `host` and `numba` declare one each."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, GradientError, GraphError, ShapeError, caller
from graphc.extend.scalars import arity, derived_gradient, folded, on_arrays, result_type
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.combines import Combine, declared
from graphc.ir.dims import Shape
from graphc.ir.graph import Node, current_origin
from graphc.ir.operation import OWNERS, VOCABULARY, Host, Operation, Sample, declaring_module
from graphc.ir.types import DType, TensorType, TupleType
from graphc.ops import declare
from graphc.ops.declare import DTypeRule, Op, build
from graphc.ops.tensor import Tensor, as_tensor

Array = np.ndarray[Any, Any]
Gradient = Callable[..., Any]
TypeRule = Callable[..., Any]

DERIVED = "derived"  # a gradient that follows from the declaration
TYPES: Mapping[str, DTypeRule] = {
    "number": declare.numeric, "any": declare.any_type, "float": declare.to_float, "integer": declare.integral,
    "comparison": declare.comparison, "bool": declare.logical,
}  # fmt: skip
_AGREE = 1e-6  # how far code and reference may be apart, relative to their size: a slip in a formula is further
_SIZES = (0, 1, 2, 3, 5)  # of symbolic dimensions, to try an index on
_PLACES = 10_000  # elements of a result whose index is tried


# --- names -----------------------------------------------------------------------------------------------------------


def _claim(name: str) -> None:
    """Take a name: a free one, or one that this module has declared before (a cell of a notebook runs twice)."""
    if not isinstance(name, str) or not name.isidentifier():
        raise GraphError(f"an operation's name must be an identifier, got {name!r}", where=caller())
    module = declaring_module()
    owner = OWNERS.get(name)
    if name in VOCABULARY and owner != module:
        raise GraphError(
            f"the name {name} is taken: {'graphc has such an operation' if owner is None else f'{owner} declares it'}",
            where=caller(), hint=f"call it {name}_2, or something that says what is different",
        )  # fmt: skip
    VOCABULARY.pop(name, None)
    OWNERS[name] = module


def forget(op: Operation) -> None:
    """Take a declared operation out of the vocabulary: its name is free again, and its text parses no more.

    Graphs that have it go on working. GraphError for graphc's own operations.
    """
    if op.name not in OWNERS or VOCABULARY.get(op.name) is not op:
        raise GraphError(f"{op.name} is no declared operation of yours", where=caller())
    del VOCABULARY[op.name], OWNERS[op.name]


def _yours(what: str, function: Callable[..., Any], *args: Any, **attrs: Any) -> Any:
    """What a function of the user's gives; what it raises is an error that says whose it is."""
    try:
        return function(*args, **attrs)
    except GraphError:
        raise
    except Exception as error:
        raise GraphError(f"{what} raised {type(error).__name__}: {error}", where=current_origin().where) from error


# --- gradients -------------------------------------------------------------------------------------------------------


def _checked(name: str, gradient: Gradient | None) -> Gradient | None:
    """The rule, whose cotangents are checked: one for every operand, or None, of the operand's type."""
    if gradient is None:
        return None

    def rule(g: Any, y: Any, *xs: Tensor, **attrs: Any) -> tuple[Node | None, ...]:
        made = _yours(f"the gradient rule of {name}", gradient, g, y, *xs, **attrs)
        parts = list(made) if isinstance(made, (list, tuple)) else [made]
        if len(parts) != len(xs):
            raise GradientError(
                f"the gradient rule of {name} gives {len(parts)} cotangents for {len(xs)} operands", where=current_origin().where,
                hint="give a tuple, with None for an operand without a gradient",
            )  # fmt: skip
        found: list[Node | None] = []
        for i, (part, x) in enumerate(zip(parts, xs, strict=True)):
            part = None if part is None else as_tensor(part, x.dtype)
            if part is not None and part.type != x.type and x.dtype.is_float:
                raise GradientError(
                    f"the gradient rule of {name} gives a cotangent {part.type} of operand {i}, which is {x.type}",
                    where=current_origin().where, hint="a cotangent has the type of its operand: sum it, reshape it, astype it",
                )  # fmt: skip
            found.append(part)
        return tuple(found)

    return rule


# --- functions of single elements ------------------------------------------------------------------------------------


def _type_rule(name: str, types: str | DTypeRule) -> DTypeRule:
    if isinstance(types, str):
        if types not in TYPES:
            raise GraphError(f"{name}: types is one of {', '.join(TYPES)} or a rule, got {types!r}", where=caller())
        return TYPES[types]
    return types


def _accepted(rule: DTypeRule, count: int) -> list[tuple[tuple[DType, ...], DType]]:
    """The operand types that a rule leaves as they are, of one type each, with the result's."""
    found = []
    for dtype in t.DTYPES:
        try:
            wanted, result = rule("", (dtype,) * count)
        except GraphError:
            continue
        if wanted == (dtype,) * count and not dtype.is_storage:
            found.append((wanted, result))
    return found


def elementwise(
    name: str, scalar: str, *, types: str | DTypeRule = "float", reference: Callable[..., Any] | None = None,
    gradient: Gradient | str | None = DERIVED, domain: tuple[float, float] = (-3.0, 3.0), doc: str = "",
) -> Op:  # fmt: skip
    """Declare a function of single elements; it is called like NumPy's: operands promote and broadcast.

    scalar: the code of one element, with operands {0}, {1}, ...: numbers, Python's operators, `a if condition else b`, and calls
    of elementwise operations by name. types: "float" (integers become floats), "number", "integer", "bool", "any",
    "comparison" (gives booleans), or a rule (name, operand types) -> (types to cast to, result). reference: the function in
    NumPy, which is what the interpreter runs; without one, the code itself on arrays. gradient: a rule (g, y, *operands) -> a
    cotangent for every operand; without one it follows from the code; None for a function that has none. domain: where tests
    draw values.

    GraphError where the name is taken, backends cannot run the code, it gives another type than `types` says, or code and
    reference disagree.

    >>> import graphc as gx
    >>> swish = gx.extend.elementwise("swish", "{0} * sigmoid({0})", doc="x * sigmoid(x).")
    >>> x = gx.placeholder("x", ("n",), "float64")
    >>> gx.grad(gx.sum(swish(x)), x).eval({x: [0.0, 100.0]})
    array([0.5, 1. ])
    >>> gx.extend.forget(swish)
    """
    count, rule = arity(scalar), _type_rule(name, types)
    if count == 0:
        raise GraphError(f"{name}: the scalar code {scalar!r} has no operand", where=caller(), hint="operands are {0}, {1}, ...")
    accepted = _accepted(rule, count)
    for operands, result in accepted:
        made = _asked(name, result_type, scalar, operands, result)
        if made != result:
            raise DTypeError(
                f"{name}: {scalar!r} of {' and '.join(map(str, operands))} gives {made}, and types says {result}", where=caller(),
                hint="choose types, or cast with select or arithmetic",
            )  # fmt: skip

    def by_code(*arrays: Any) -> Any:
        shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
        found = rule(name, tuple(t.as_dtype(np.asarray(a).dtype) for a in arrays))[1]
        return on_arrays(scalar, [np.asarray(a) for a in arrays], TensorType(found, shape))

    for operands, _ in accepted:
        _asked(name, by_code, *(np.ones(1, d.numpy) for d in operands))
    if reference is not None:
        _compare(name, by_code, reference, [a[0] for a in accepted], domain)
    _claim(name)
    vjp = derived_gradient(scalar) if gradient == DERIVED else gradient
    assert not isinstance(vjp, str)
    return declare.elementwise(
        name, dtype=rule, reference=reference or by_code, scalar=scalar, vjp=_checked(name, vjp), domain=domain, doc=doc
    )


def _asked(name: str, question: Callable[..., Any], *args: Any) -> Any:
    """What a question about a declaration gives; an error of it names the operation."""
    try:
        return question(*args)
    except GraphError as error:
        raise type(error)(f"{name}: {error.message}", where=caller(), hint=error.hint) from None


def _compare(
    name: str, code: Callable[..., Any], reference: Callable[..., Any], types: Sequence[tuple[DType, ...]],
    domain: tuple[float, float],
) -> None:  # fmt: skip
    """See that code and reference give the same on some elements of the widest type that they take."""
    kinds = types[-1]
    arrays = [_draw(np.random.default_rng(i), TensorType(d, (16,)), domain) for i, d in enumerate(kinds)]
    with np.errstate(all="ignore"):
        want, got = np.asarray(reference(*arrays)), code(*arrays)
    if want.shape != got.shape:
        raise ShapeError(
            f"{name}: the reference gives the shape {list(want.shape)} for elements of {list(got.shape)}", where=caller()
        )
    a, b = want.astype(np.float64), got.astype(np.float64)
    wrong = ~((a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= _AGREE * np.maximum(np.abs(a), np.abs(b))))
    if wrong.any():
        i = int(np.argmax(wrong))
        at = ", ".join(str(x[i]) for x in arrays)
        raise GraphError(f"{name}: at ({at}) the reference gives {want[i]}, and the scalar code {got[i]}", where=caller())


def _numbers(shape: Shape) -> tuple[int, ...]:
    """A shape without symbolic sizes."""
    return tuple(n for n in shape if isinstance(n, int))


def _draw(rng: np.random.Generator, x: TensorType, domain: tuple[float, float]) -> Array:
    shape = _numbers(x.shape)
    if x.dtype.is_bool:
        return rng.integers(0, 2, shape).astype(bool)
    if x.dtype.is_integer:
        info = np.iinfo(x.dtype.numpy)
        low, high = max(int(np.ceil(domain[0])), int(info.min)), min(int(np.floor(domain[1])), int(info.max))
        return rng.integers(low, high + 1, shape).astype(x.dtype.numpy)
    return rng.uniform(*domain, shape).astype(x.dtype.numpy)


# --- functions that only move elements -------------------------------------------------------------------------------


def index_map(
    name: str, index: Callable[..., tuple[Any, ...]], *, shape: Callable[..., Any] = lambda x, **attrs: x,
    reference: Callable[..., Any] | None = None, gradient: Gradient | str | None = DERIVED, samples: tuple[Sample, ...] = (),
    doc: str = "",
) -> Op:  # fmt: skip
    """Declare a function that only moves elements: out[i] = x[index(i, x's shape, **attributes)].

    index: a function of a tuple of places and x's shape that gives a tuple of places, made with + - * // and %, so that it
    works on expressions of sizes, arrays and symbols. shape: the result's shape from x's, and the attributes; x's own by
    default. reference: the same in NumPy; without one it follows from the index. gradient: a rule (g, y, x, **attributes); by
    default every cotangent is added where its element came from.

    A call raises ShapeError where the index lies outside of x.

    >>> import graphc as gx
    >>> turned = gx.extend.index_map("turned", lambda i, shape, by: ((i[0] + by) % shape[0],))
    >>> turned(gx.constant([1, 2, 3, 4]), by=1).eval()
    array([2, 3, 4, 1])
    >>> gx.extend.forget(turned)
    """

    def place(at: tuple[Any, ...], of: Shape, made: Shape, attrs: Mapping[str, Any]) -> tuple[Any, ...]:
        found = _yours(f"the index of {name}", index, at, of, **attrs)
        if not isinstance(found, tuple) or len(found) != len(of):
            raise ShapeError(
                f"{name}: the index must be a tuple of {len(of)} places, got {found!r}", where=caller(), hint="return (place,)"
            )
        return found

    def by_index(x: Array, **attrs: Any) -> Array:
        made = _numbers(t.as_shape(shape(x.shape, **attrs)))
        at = place(tuple(np.indices(made, np.int64)), x.shape, made, attrs)
        return np.array(np.broadcast_to(x[tuple(np.asarray(k) for k in at)] if at else x, made))

    @lru_cache(maxsize=256)
    def inside(of: Shape, attrs: tuple[tuple[str, Any], ...]) -> None:
        """ShapeError where the index lies outside, at sizes given or, of symbolic dimensions, at some."""
        made = t.as_shape(shape(of, **dict(attrs)))
        names = sorted(dims.names(*of, *made))
        for sizes in itertools.islice(itertools.product(_SIZES, repeat=len(names)), 200):
            bound = dict(zip(names, sizes, strict=True))
            source, target = (tuple(dims.evaluate(n, bound) for n in s) for s in (of, made))
            if min((*source, *target), default=0) < 0:
                continue
            given = {key: dims.evaluate(v, bound) if isinstance(v, dims.Dim) else v for key, v in attrs}
            total = int(np.prod(target))
            flat = np.arange(total) if total <= _PLACES else np.random.default_rng(0).integers(0, total, _PLACES)
            flat = np.append(flat, total - 1) if total else flat
            where = np.unravel_index(flat, target) if target and total else tuple(flat for _ in target)
            for axis, (k, n) in enumerate(zip(place(tuple(where), source, target, given), source, strict=True)):
                outside = np.broadcast_to((np.asarray(k) < 0) | (np.asarray(k) >= n), flat.shape)
                if total and outside.any():
                    i = int(np.argmax(outside))
                    element = [int(w[i]) for w in where]
                    got = int(np.broadcast_to(np.asarray(k), flat.shape)[i])
                    raise ShapeError(
                        f"{name} reads place {got} along axis {axis} of {list(source)} for its element {element}",
                        hint="it must lie in 0 .. size - 1 for every element; a size may be 0 or 1 too; % keeps a place inside",
                    )

    def checked_shape(of: Shape, **attrs: Any) -> Shape:
        made = t.as_shape(_yours(f"the shape rule of {name}", shape, of, **attrs))
        inside(of, tuple(sorted(attrs.items())))
        return made

    def back(g: Tensor, y: Tensor, x: Tensor, **attrs: Any) -> tuple[Tensor]:
        at = place(tuple(_along(axis, y.shape) for axis in range(y.ndim)), _symbols(x.shape), y.shape, attrs)
        flat: Any = 0
        for k, n in zip(at, x.shape, strict=True):
            flat = flat * (ops.full((), n, t.int64) if isinstance(n, dims.Dim) else n) + k
        places = ops.broadcast_to(ops.astype(as_tensor(flat), t.int64), y.shape)
        added = ops.put_add(ops.reshape(g, (-1,)), ops.reshape(places, (-1,)), axis=0, size=x.size)
        return (ops.reshape(added, x.shape),)

    _claim(name)
    vjp = back if gradient == DERIVED else gradient
    assert not isinstance(vjp, str)
    return declare.index_map(
        name, shape=checked_shape, reference=reference or by_index, index=lambda i, of, **attrs: place(i, of, (), attrs),
        vjp=_checked(name, vjp), samples=samples, apply=_with_symbols, doc=doc,
    )  # fmt: skip


def _along(axis: int, shape: Shape) -> Tensor:
    """The place along an axis, for every element of a shape."""
    return ops.broadcast_to(ops.reshape(ops.arange(shape[axis]), (shape[axis], *(1,) * (len(shape) - 1 - axis))), shape)


def _symbols(shape: Shape) -> tuple[Any, ...]:
    """Sizes as they combine with symbols."""
    return tuple(ops.full((), n, t.int64) if isinstance(n, dims.Dim) else n for n in shape)


def _with_symbols(op: Operation, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Tensor:
    """The node of an operation on symbols, numbers or arrays."""
    if op.arity is not None and len(inputs) != op.arity:
        raise GraphError(f"{op.name} takes {op.arity} operands, got {len(inputs)}", where=caller())
    for key, value in attrs.items():
        try:
            hash(value)
        except TypeError:
            raise GraphError(
                f"{op.name}: the attribute {key} must be hashable, got {value!r}", where=caller(),
                hint="give a number, a text or a tuple; what is computed with is an operand",
            ) from None  # fmt: skip
    return build(op, tuple(as_tensor(x) for x in inputs), attrs)


# --- reductions ------------------------------------------------------------------------------------------------------


def reduction(
    name: str, combine: str, start: float | str, *, types: str = "same", reference: Callable[..., Any] | None = None,
    gradient: Gradient | None = None, domain: tuple[float, float] = (-3.0, 3.0), doc: str = "",
) -> Op:  # fmt: skip
    """Declare a reduction; it is called like `gx.sum`: (x, axis=None, keepdims=False).

    combine: scalar code of {0}, what was combined so far, and {1}, a further value, of one type. It must be associative and
    commutative: elements are combined in an order that depends on shapes (never on threads). start: its neutral element, a
    number, "lowest" or "highest": what an empty axis gives, and what the first element is combined with (so hypot({0}, {1})
    from 0 is fine, which gives |x| of a single x). types: "same" for any numbers, or "float", whose operands become
    floats. reference: (x, axes) in NumPy; without one, the code on arrays. gradient: a rule (g, y, x) where g and y are as long
    as x already: the cotangent of each element. domain: where tests draw values.

    GraphError where the name is taken, backends cannot run the code, or it is seen not to be associative, not to be
    commutative, or to have another neutral element.

    >>> import graphc as gx
    >>> length = gx.extend.reduction("length", "hypot({0}, {1})", 0, types="float", gradient=lambda g, y, x: g * x / y)
    >>> x = gx.placeholder("x", (2,), "float64")
    >>> gx.grad(length(x), x).eval({x: [3.0, 4.0]})
    array([0.6, 0.8])
    >>> gx.extend.forget(length)
    """
    if types not in ("same", "float"):
        raise GraphError(f'{name}: types is "same" or "float", got {types!r}', where=caller())
    rule = TYPES["float" if types == "float" else "number"]
    made_of = declared(combine, start)
    if arity(combine) != 2:
        raise GraphError(f"{name}: {combine!r} must combine {{0}} and {{1}}", where=caller())
    for (dtype, *_), _ in _accepted(rule, 1):
        _asked(name, _start, made_of, dtype)
        made = _asked(name, result_type, combine, (dtype, dtype), dtype)
        if made != dtype:
            raise DTypeError(f"{name}: {combine!r} of two {dtype} gives {made}", where=caller(), hint='types="float", perhaps')
        _asked(name, on_arrays, combine, (np.ones(1, dtype.numpy),) * 2, TensorType(dtype, (1,)))
    _associates(name, made_of, domain)
    _claim(name)

    def kind(_: str, dtype: DType) -> DType:
        (wanted,), result = rule(name, (dtype,))
        if wanted != dtype:
            raise DTypeError(f"{name} reduces {wanted} here, got {dtype}")
        return result

    def apply(op: Operation, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Tensor:
        """The node: of axes as it prints, or of an axis as users say it."""
        x = as_tensor(*inputs)
        if "axes" in attrs:
            return build(op, (x,), attrs)
        unknown = attrs.keys() - {"axis", "keepdims"}
        if unknown:
            raise GraphError(f"{name} takes no option {', '.join(sorted(unknown))}", where=caller(), hint="axis and keepdims")
        axes = declare.normalize_axes(name, attrs.get("axis"), x.type)
        y = build(op, (ops.astype(x, rule(name, (x.dtype,))[0][0]),), {"axes": axes})
        return ops.reshape(y, tuple(1 if a in axes else n for a, n in enumerate(x.shape))) if attrs.get("keepdims") else y

    def vjp(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...]) -> tuple[Any]:
        kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        whole = [ops.broadcast_to(ops.reshape(v, kept), x.shape) for v in (g, y)]
        return (gradient(*whole, x),)  # type: ignore[misc]

    return declare.reduction(
        name, combine=made_of, dtype=kind, reference=reference or folded(made_of), domain=domain,
        vjp=None if gradient is None else _checked(name, vjp), apply=apply, doc=doc,
    )  # fmt: skip


def _associates(name: str, combine: Combine, domain: tuple[float, float]) -> None:
    kind = TensorType(t.float64, (64,))
    a, b, c = (_draw(np.random.default_rng(i), kind, domain) for i in range(3))
    start = np.full(64, _start(combine, t.float64))

    def both(x: Array, y: Array) -> Array:
        return on_arrays(combine.code, (x, y), kind)

    for what, left, right in (
        ("has not the neutral element it says", both(both(start, a), b), both(a, b)),
        ("has not the neutral element it says", both(start, both(start, a)), both(start, a)),
        ("is not commutative", both(a, b), both(b, a)),
        ("is not associative", both(both(a, b), c), both(a, both(b, c))),
    ):  # fmt: skip
        wrong = ~((np.abs(left - right) <= _AGREE * np.maximum(1, np.abs(right))) | (left == right))
        if wrong.any():
            i = int(np.argmax(wrong))
            at = f"{left[i]} and {right[i]} at ({a[i]}, {b[i]}, {c[i]})"
            raise GraphError(f"{name}: {combine.text!r} {what}: {at}", where=caller())


def _start(combine: Combine, dtype: DType) -> Any:
    try:
        return combine.neutral(dtype).value
    except (OverflowError, TypeError, ValueError):
        raise GraphError(
            f"{combine.text!r}: the neutral element is no {dtype}",
            hint='a number, "lowest" or "highest"; types="float" takes floats alone',
        ) from None


# --- whole arrays ----------------------------------------------------------------------------------------------------


def host(
    name: str, reference: Callable[..., Any], *, infer: TypeRule | None = None, gradient: Gradient | None = None,
    samples: tuple[Sample, ...] = (), doc: str = "",
) -> Op:  # fmt: skip
    """Declare a function of whole arrays in Python: a compiled program calls it between its kernels.

    reference: (*arrays, **attributes) -> an array, or a tuple of arrays, which `gx.extend.results` takes apart. It is given
    copies, so it may keep or change them, and what it gives is copied and checked. It must be a function of its operands: equal
    calls are made once, and calls whose result nobody needs not at all. infer: the type rule, (*types, **attributes) -> a
    `TensorType` or a tuple of them; without one the reference is run on zeros, which needs fixed sizes. gradient: a rule
    (g, y, *operands, **attributes), g and y tuples where there are several results.

    What the function raises, and a result of another type than the rule says, is a GraphError of the call that names the
    operation; variables keep their values.

    >>> import numpy as np, graphc as gx
    >>> rank = gx.extend.host("rank", lambda x: x.argsort().argsort())
    >>> rank(gx.constant([0.3, 0.1, 0.2])).eval()
    array([2, 0, 1])
    >>> gx.extend.forget(rank)
    """
    _claim(name)
    copied = _copied(reference)
    rule = _by_zeros(name, copied) if infer is None else _typed(name, infer)
    return Op(
        name, rule, copied, Host(), _checked(name, gradient), samples, arity=_operands(reference), build=_with_symbols, doc=doc
    )


def numba(
    name: str, function: Callable[..., Any], *, infer: TypeRule | None = None, gradient: Gradient | None = None,
    samples: tuple[Sample, ...] = (), doc: str = "",
) -> Op:  # fmt: skip
    """Declare a function of whole arrays that Numba compiles: of `@numba.njit`, `@numba.vectorize` or `@numba.guvectorize`.

    As `host`, but the interpreter runs the Python function that njit compiled, so that `gx.testing.check_op` compares the two. A
    compiled program calls Numba's dispatcher: some microseconds a call, in exchange for errors that arrive as they were raised;
    with `nogil=True` other threads run meanwhile. A function of single elements is better declared by `elementwise`, which fuses.

    >>> import numba, numpy as np, graphc as gx
    >>> @numba.njit
    ... def running(x):
    ...     y = x.copy()
    ...     for i in range(1, len(y)):
    ...         y[i] = 0.5 * y[i - 1] + x[i]
    ...     return y
    >>> smooth = gx.extend.numba("smooth", running, infer=lambda x: x)
    >>> x = gx.placeholder("x", ("n",), "float64")
    >>> gx.compile([x], smooth(x) + 1)([4.0, 0.0, 0.0])
    array([5., 3., 2.])
    >>> gx.extend.forget(smooth)
    """
    count = getattr(function, "nin", None)  # the operands of what @vectorize and @guvectorize make, whose Python is no reference
    plain = getattr(function, "py_func", None) if count is None else function
    if plain is None:
        raise GraphError(
            f"{name}: {function!r} is no function that Numba compiled for arrays", where=caller(),
            hint="decorate it with @numba.njit; gx.extend.host takes any function",
        )  # fmt: skip
    _claim(name)
    copied, compiled = _copied(plain), _copied(function)
    rule = _by_zeros(name, copied) if infer is None else _typed(name, infer)

    def into(out: Any, *arrays: Array, **attrs: Any) -> None:
        made = compiled(*arrays, **attrs)
        wanted, found = (x if isinstance(x, tuple) else (x,) for x in (out, made))
        kinds = [[(a.dtype, a.shape) for a in x] for x in (wanted, found)]
        if kinds[0] != kinds[1]:
            types = [", ".join(str(TensorType(t.as_dtype(d), s)) for d, s in k) for k in kinds]
            raise GraphError(f"{name} must give {types[0]}, got {types[1]}")
        for a, b in zip(wanted, found, strict=True):
            a[...] = b

    return Op(
        name, rule, copied, Host(into), _checked(name, gradient), samples, arity=_operands(plain) if count is None else count,
        build=_with_symbols, doc=doc,
    )  # fmt: skip


def _operands(function: Callable[..., Any]) -> int | None:
    """How many operands a function takes, where its signature says it."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in given):
        return None
    return sum(p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD and p.default is p.empty for p in given)


def _copied(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which neither sees nor keeps memory of the program."""

    def called(*arrays: Array, **attrs: Any) -> Any:
        made = function(*(np.array(a, order="C") for a in arrays), **attrs)
        return tuple(np.array(m) for m in made) if isinstance(made, tuple) else np.array(made)

    return called


def _typed(name: str, infer: TypeRule) -> Callable[..., TensorType]:
    def rule(*types: TensorType, **attrs: Any) -> TensorType:
        found = _yours(f"the type rule of {name}", infer, *types, **attrs)
        if isinstance(found, (list, tuple)) and all(isinstance(p, TensorType) for p in found):
            return TupleType(tuple(found))
        if not isinstance(found, TensorType):
            raise GraphError(
                f"the type rule of {name} must give a TensorType or a tuple of them, got {found!r}", where=current_origin().where,
                hint="gx.extend.TensorType(dtype, shape), or the type of an operand",
            )  # fmt: skip
        return found

    return rule


def _by_zeros(name: str, reference: Callable[..., Any]) -> Callable[..., TensorType]:
    """The type rule of a function without one: what it makes of zeros."""

    @lru_cache(maxsize=256)
    def rule(*types: TensorType, **attrs: Any) -> TensorType:
        if not all(x.is_static for x in types):
            raise ShapeError(
                f"{name} has no type rule, so its result is known for fixed sizes only, got {' and '.join(map(str, types))}",
                hint="declare it with infer=lambda x: ..., which gives the result's type from the operands'",
            )
        try:
            with np.errstate(all="ignore"):
                made = reference(*(np.zeros(_numbers(x.shape), x.dtype.numpy) for x in types), **attrs)
        except Exception as error:
            raise GraphError(
                f"{name} has no type rule, and on zeros it raised {type(error).__name__}: {error}",
                hint="declare it with infer=...",
            ) from error
        found = tuple(TensorType(t.as_dtype(m.dtype), m.shape) for m in (made if isinstance(made, tuple) else (made,)))
        return TupleType(found) if isinstance(made, tuple) else found[0]

    return rule
