"""How operations are declared: one call gives name, type rule, reference, scalar code and gradient.

    exp = elementwise("exp", dtype=to_float, reference=np.exp, scalar="exp({0})", vjp=lambda g, y, x: (g * y,))

What is declared is the function users call.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, GraphError, InputError, ShapeError, caller
from graphc.ir import types as t
from graphc.ir.combines import Combine
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.graph import Node, current_origin, newborn
from graphc.ir.operation import Box, Composite, Host, Lanes, Operation, Pointwise, Project, Reduction, Requirement, Sample
from graphc.ir.scalar import Scalars, scalar_text
from graphc.ir.structure import attributes_of
from graphc.ir.types import DType, TensorType, TupleType
from graphc.ops.tensor import Tensor, TensorLike, Weak, as_tensor

Array = np.ndarray[Any, Any]
Operands = tuple[DType, ...]
DTypeRule = Callable[[str, Operands], tuple[Operands, DType]]  # (operation, operand types) -> (types to cast to, result)


class Op(Operation):
    """An operation as users call it: with arrays, numbers or symbols; gives a symbol."""

    def __call__(self, *inputs: TensorLike, **attrs: Any) -> Tensor:
        assert self.build is not None
        result: Any = self.build(self, inputs, attrs)  # type: ignore[arg-type]
        return result  # type: ignore[no-any-return]


def build(op: Operation, inputs: tuple[Node, ...], attrs: dict[str, Any], kind: type[Tensor] = Tensor) -> Tensor:
    """The node of an operation on inputs that are already of the right kind."""
    return newborn(kind, op, tuple(inputs), attrs, typed(op, inputs, attrs))


def typed(op: Operation, inputs: Sequence[Node], attrs: Mapping[str, Any]) -> TensorType:
    """The type of an operation's result; its errors name the user's line."""
    try:
        return op.infer(*[i.type for i in inputs], **attrs)
    except GraphError as error:
        if error.where is None:
            error.where = current_origin().where
        raise


# --- a leading axis --------------------------------------------------------------------------------------------------

Spread = tuple[Tensor, bool]  # a symbol, and whether it has the leading axis
Every = Callable[..., list[Spread]]


def spread(x: Spread, size: Size) -> Tensor:
    """A symbol with the leading axis."""
    symbol, has = x
    return symbol if has else ops.broadcast_to(symbol, (size, *symbol.shape))


def with_leading_axis(op: Operation, size: Size, operands: Sequence[Spread], attrs: Mapping[str, Any]) -> list[Spread]:
    """The results of an operation that takes a further leading axis as it is, if all operands have it."""
    made = op(*(spread(x, size) for x in operands), **attrs)
    return [(y, True) for y in (results(made) if isinstance(made.type, TupleType) else (made,))]


# --- data types ------------------------------------------------------------------------------------------------------


def _fail(name: str, operands: Operands, why: str, hint: str | None = None) -> DTypeError:
    return DTypeError(f"{name} {why}, got {' and '.join(map(str, operands))}", where=caller(), hint=hint)


def _common(operands: Operands) -> DType:
    found = operands[0]
    for other in operands[1:]:
        found = t.promote(found, other)
    return found


def numeric(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Numbers to the same type of number."""
    common = _common(operands)
    if common.is_bool:
        raise _fail(name, operands, "needs numbers", "use the logical functions, or astype")
    return (common,) * len(operands), common


def any_type(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Anything to the same type."""
    common = _common(operands)
    return (common,) * len(operands), common


def to_float(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Numbers to floats: integers of at most 16 bits and booleans to float32, larger integers to float64."""
    common = _common(operands)
    if not common.is_float:
        common = t.float32 if all(o.itemsize <= 2 for o in operands) else t.float64
    return (common,) * len(operands), common


def true_division(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Numbers to floats; integers to float64."""
    common = _common(operands)
    if not common.is_float:
        common = t.float64
    return (common,) * len(operands), common


def comparison(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Anything to booleans, compared in the common type."""
    common = _common(operands)
    if common.is_float and all(o.is_integer for o in operands):
        raise _fail(name, operands, "has no exact common type", "astype one of them")
    return (common,) * len(operands), t.bool_


def logical(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Booleans to booleans; numbers count as true where they are not zero."""
    return (t.bool_,) * len(operands), t.bool_


def integral(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Integers or booleans to the same type."""
    common = _common(operands)
    if common.is_float:
        raise _fail(name, operands, "needs integers or booleans", "astype to an integer type first")
    return (common,) * len(operands), common


def shift(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Integers to the same type."""
    found = integral(name, operands)
    return found if not found[1].is_bool else ((t.int8,) * len(operands), t.int8)


def to_bool(name: str, operands: Operands) -> tuple[Operands, DType]:
    """Any number to a boolean."""
    return operands, t.bool_


# --- broadcasting ----------------------------------------------------------------------------------------------------


def broadcast_shapes(name: str, operands: Sequence[TensorType]) -> Shape:
    """NumPy's broadcasting; a named dimension meets only itself and 1."""
    shape = operands[0].shape
    for o in operands:
        if o.shape != shape:
            break
    else:
        return shape
    rank = max(o.rank for o in operands)
    result: list[Size] = []
    for axis in range(rank):
        found: Size = 1
        for o in operands:
            k = axis - rank + o.rank
            if k < 0 or o.shape[k] == 1 or o.shape[k] == found:
                continue
            if found != 1:
                raise ShapeError(
                    f"{name} cannot broadcast {' and '.join(str(o) for o in operands)}: {found} and {o.shape[k]} differ",
                    where=caller(),
                    hint=_broadcast_hint(found, o.shape[k]),
                )
            found = o.shape[k]
        result.append(found)
    return tuple(result)


def _broadcast_hint(a: Size, b: Size) -> str:
    if isinstance(a, Dim) or isinstance(b, Dim):
        return "a named dimension broadcasts only with itself and 1: give both axes one name if they are always equal"
    return "sizes must be equal or 1; reshape or slice one operand"


def weak(value: object) -> type[bool] | type[int] | type[float] | None:
    """The kind of a number that takes the type of the arrays beside it: Python's, or one that sizes make; None of all others.

    >>> weak(2), weak(np.float64(2)), weak(Dim((((("n",), 1)),)))
    (<class 'int'>, None, <class 'int'>)
    """
    if type(value) is Tensor:
        return None
    if isinstance(value, Weak):
        return bool if value.dtype.is_bool else float if value.dtype.is_float else int
    return int if isinstance(value, Dim) else t.python_kind(value)


def promote_operands(name: str, args: Sequence[Any], rule: DTypeRule, free: int = 0) -> tuple[list[Tensor], DType]:
    """The operands as symbols of the types the rule asks for; the first `free` are left as they are."""
    if not free and not [a for a in args if type(a) is Weak or not isinstance(a, Tensor)]:
        given = tuple([a.type.dtype for a in args])
        wanted, result = _ruled(rule, name, given)
        if wanted == given:
            return list(args), result
    kinds = [weak(a) if i >= free else None for i, a in enumerate(args)]
    tensors = [as_tensor(a) if kind is None else None for a, kind in zip(args, kinds, strict=True)]
    strong = tuple(x.dtype for x in tensors[free:] if x is not None)
    plain = [kind(0) for kind in kinds[free:] if kind is not None]
    dtypes: list[DType] = []
    for a, x, kind in zip(args, tensors, kinds, strict=True):
        if x is not None:
            dtypes.append(x.dtype)
        elif not strong:
            dtypes.append(t.as_dtype(np.result_type(*plain)))
        elif rule is comparison and isinstance(a, (Dim, Weak)) and _common(strong).is_integer:
            dtypes.append(t.uint64 if t.uint64 in strong else t.int64)  # whether a size fits a small type is not known
        else:
            assert kind is not None
            dtypes.append(t.promote_number(_common(strong), kind))
    wanted, result = _ruled(rule, name, tuple(dtypes[free:]))
    wanted = (*dtypes[:free], *wanted)
    made = []
    for a, x, dtype in zip(args, tensors, wanted, strict=True):
        if x is None:
            made.append(_literal(name, a, dtype))
        elif dtype == t.float64 and x.dtype.is_float and x.dtype != dtype:
            made.append(ops.promotion.promoted(name, x, [y for y in tensors[free:] if y is not None], result == t.float64))
        else:
            made.append(ops.astype(x, dtype))
    return made, result


def _beside_number(
    name: str, a: Any, b: Any, rule: DTypeRule
) -> tuple[tuple[Tensor, Tensor], dict[str, Any], TensorType] | None:  # fmt: skip
    """The operands, no attributes and the result's type of a float array beside a Python number, as most formulas have them.

    What `promote_operands` and broadcasting give, without their questions; None for all that is not plain.
    """
    number, x = (a, b) if type(a) is float or type(a) is int else (b, a)
    if not (type(number) is float or type(number) is int) or not isinstance(x, Tensor) or type(x) is Weak:
        return None
    own = x.type.dtype
    if (own is not t.float32 and own is not t.float64) or not abs(number) < _PLAIN:
        return None
    wanted, result = _ruled(rule, name, (own, own))
    if wanted != (own, own):
        return None
    value = float(number) if own is t.float64 else float(np.float32(number))
    filled = ops.fills.full_(shape=x.type.shape, value=value, dtype=own)
    found = x.type if result is own else TensorType(result, x.type.shape)
    return (filled, x) if x is b else (x, filled), {}, found


_PLAIN = 2.0**24  # up to here integers are floats, and no float is too large


@functools.lru_cache(maxsize=4096)
def _ruled(rule: DTypeRule, name: str, operands: Operands) -> tuple[Operands, DType]:
    return rule(name, operands)


def _literal(name: str, value: Any, dtype: DType) -> Tensor:
    if isinstance(value, Weak):
        return ops.astype(value, dtype)
    if isinstance(value, Dim):
        return ops.full((), value, dtype=dtype)
    value = t.number_of(value)
    if dtype.is_integer and isinstance(value, int):
        info = np.iinfo(dtype.numpy)
        if not info.min <= value <= info.max:
            raise DTypeError(
                f"{name}: the Python integer {value} does not fit {dtype}",
                where=caller(),
                hint="astype the array to a wider type",
            )
    return ops.full((), value, dtype=dtype)


# --- several results -------------------------------------------------------------------------------------------------

project: Op = Op(
    "project", lambda x, index: x.parts[index], lambda x, index: x[index], Project(), lambda g, y, x, index: (None,), arity=1,
    build=build, doc="One result of an operation that has several.",
)  # fmt: skip


def results(node: Tensor) -> tuple[Tensor, ...]:
    """The results of an operation that has several."""
    assert isinstance(node.type, TupleType)
    return tuple(project(node, index=i) for i in range(len(node.type.parts)))


def host(
    name: str,
    *,
    infer: Callable[..., TensorType],
    reference: Callable[..., Any] | None = None,
    into: Callable[..., None] | None = None,
    threaded: bool = False,
    vjp: Callable[..., tuple[Node | None, ...]] | None = None,
    requires: Callable[..., list[Requirement]] | None = None,
    partial: Callable[..., bool | Box] | None = None,
    samples: tuple[Sample, ...] = (),
    arity: int = 1,
    every: Every | None = None,
    lanes: Lanes | None = None,
) -> Op:
    """Declare a function of whole arrays that NumPy or another library computes, also in a compiled program.

    `reference` returns the result; `into(out, *arrays, **attrs)` writes it into given memory, which saves a compiled program
    a copy; where `threaded`, it takes a number of threads too, by default 1. With `into` alone it is the reference too. Where
    `infer` gives a TupleType, the reference gives a tuple, `into` is given one, the rule `vjp` is given tuples for `g` (None
    where a result has no cotangent) and `y`, and `results(op(...))` takes the node apart. `every` is its rule for a leading axis
    (see ir/operation.py); without one, vmap calls the reference once for each element. `lanes` is its kernel for small arrays.
    """
    if reference is None:
        assert into is not None
        reference = functools.partial(_allocate, infer, into)
    return Op(
        name, infer, reference, Host(into, threaded, lanes=lanes), vjp, samples, requires, partial=partial, arity=arity,
        every=every, build=build,
    )  # fmt: skip


def _allocate(infer: Callable[..., TensorType], into: Callable[..., None], *arrays: Array, **attrs: Any) -> Any:
    found = infer(*(TensorType(t.as_dtype(a.dtype), a.shape) for a in arrays), **attrs)
    parts = found.parts if isinstance(found, TupleType) else (found,)
    made: tuple[Array, ...] = tuple(np.empty(tuple(map(int, p.shape)), p.dtype.numpy) for p in parts)
    out = made if isinstance(found, TupleType) else made[0]
    into(out, *arrays, **attrs)
    return out


# --- what is never negative, and level where it is 0 (passes/level.py) ---------------------------------------------------

Level = Callable[..., Sequence[Node] | None] | None


def of_all(*inputs: Node, **attrs: Any) -> tuple[Node, ...]:
    """Level where all operands are."""
    return inputs


def of_first(*inputs: Node, **attrs: Any) -> tuple[Node, ...]:
    """Level where the first operand is; the others are places."""
    return inputs[:1]


def always(*inputs: Node, **attrs: Any) -> tuple[Node, ...]:
    """Level whatever the operands are."""
    return ()


def some(*inputs: Node, **attrs: Any) -> bool:
    """For `partial`: what data names may leave elements unread."""
    return True


def alike(a: Node, b: Node) -> bool:
    """Whether two symbols are computed in the same way from the same; False where that takes long to see."""
    todo, patience = [(a, b)], 100
    while todo:
        a, b = todo.pop()
        if a is b:
            continue
        patience -= 1
        if not patience or a.is_given or b.is_given or a.op is not b.op or a.type != b.type:
            return False
        if len(a.inputs) != len(b.inputs) or attributes_of(a) != attributes_of(b):
            return False
        todo += zip(a.inputs, b.inputs, strict=True)
    return True


# --- kinds of operations ---------------------------------------------------------------------------------------------


def elementwise(
    name: str,
    *,
    dtype: DTypeRule,
    reference: Callable[..., Any],
    scalar: str,
    vjp: Callable[..., tuple[Node | None, ...]] | None = None,
    domain: tuple[float, float] = (-3.0, 3.0),
    free: int = 0,
    later: bool = False,
    masks: Callable[..., tuple[Node | None, ...]] | None = None,
    level: Level = None,
    root: bool = False,
    doc: str = "",
) -> Op:
    """Declare a function of single elements.

    `scalar` is its code as text (see ir/scalar.py); calling it promotes and broadcasts the operands first. The first `free`
    operands are conditions: booleans that the type rule does not see.
    """
    arity = max(i for i in range(10) if f"{{{i}}}" in scalar) + 1
    code = scalar_text(scalar)

    def infer(*operands: TensorType) -> TensorType:
        if len(operands) != arity:
            raise GraphError(f"{name} takes {arity} operands, got {len(operands)}")
        shapes = {o.shape for o in operands}
        if len(shapes) != 1:
            raise ShapeError(
                f"{name} needs equal shapes, got {' and '.join(map(str, operands))}", hint="broadcast_to one of them"
            )
        for o in operands[:free]:
            if not o.dtype.is_bool:
                raise DTypeError(f"{name} needs a boolean condition, got {o}", hint="compare it, or astype('bool')")
        wanted, result = dtype(name, tuple(o.dtype for o in operands[free:]))
        if wanted != tuple(o.dtype for o in operands[free:]):
            raise DTypeError(f"{name} needs operands of {wanted}, got {' and '.join(map(str, operands))}")
        return TensorType(result, operands[0].shape)

    def body(k: Scalars, index: tuple[Size, ...]) -> Any:
        return code(k, *(k.load(i, index) for i in range(arity)))

    def apply(op: Operation, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Tensor:
        if attrs:
            raise GraphError(f"{name} takes no option {', '.join(attrs)}", where=caller())
        if len(inputs) != arity:
            raise GraphError(f"{name} takes {arity} operands, got {len(inputs)}", where=caller())
        if arity == 2 and not free:
            beside = _beside_number(name, inputs[0], inputs[1], dtype)
            if beside is not None:
                return newborn(Tensor, op, *beside)
        try:
            made, result = promote_operands(name, inputs, dtype, free)
            shape = broadcast_shapes(name, [x.type for x in made])
        except GraphError as error:
            error.where = error.where or current_origin().where
            raise
        sizes = not shape and all(map(weak, inputs)) and any(isinstance(x, (Dim, Weak)) for x in inputs)
        operands = tuple([x if x.type.shape == shape else ops.broadcast_to(x, shape) for x in made])
        found = operands[0].type if operands[0].type.dtype is result else TensorType(result, shape)  # as infer has it
        return newborn(Weak if sizes else Tensor, op, operands, {}, found)

    dtypes = ("bool",) * free + ("",) * (arity - free) if free else ()
    samples = tuple(Sample((shape,) * arity, dtypes=dtypes, domain=domain) for shape in ((3, 4), (), (0,)))
    return Op(
        name, infer, reference, Pointwise(body, elementwise=True, later=later), vjp, samples, masks=masks, level=level, root=root,
        arity=arity, build=apply,
        doc=f"{doc}\n\nElement by element: operands broadcast and promote as NumPy 2's do; gives a symbol of their common shape.",
    )  # fmt: skip


def index_map(
    name: str,
    *,
    shape: Callable[..., Shape],
    reference: Callable[..., Any],
    index: Callable[..., tuple[Size, ...]],
    vjp: Callable[..., tuple[Node | None, ...]] | None,
    samples: tuple[Sample, ...],
    requires: Callable[..., list[Requirement]] | None = None,
    partial: Callable[..., bool | Box] | None = None,
    apply: Callable[..., Tensor] = build,
    doc: str = "",
) -> Op:
    """Declare an operation that only moves elements: out[i] = x[index(i, x's shape, **attrs)]."""

    def infer(x: TensorType, **attrs: Any) -> TensorType:
        return TensorType(x.dtype, shape(x.shape, **attrs))

    def body(k: Scalars, i: tuple[Size, ...], **attrs: Any) -> Any:
        return k.load(0, index(i, k.type(0).shape, **attrs))

    return Op(
        name, infer, reference, Pointwise(body), vjp, samples, requires=requires, partial=partial, level=of_first, arity=1,
        build=apply, doc=doc,
    )  # fmt: skip


def pointwise(
    name: str,
    *,
    infer: Callable[..., TensorType],
    reference: Callable[..., Any],
    body: Callable[..., Any],
    vjp: Callable[..., tuple[Node | None, ...]] | None = None,
    samples: tuple[Sample, ...] = (),
    requires: Callable[..., list[Requirement]] | None = None,
    moves: bool = False,
    level: Level = None,
) -> Op:
    """Declare an operation whose elements are scalar code over any elements of its operands."""
    return Op(name, infer, reference, Pointwise(body, moves=moves), vjp, samples, requires=requires, level=level, build=build)


def composite(
    name: str,
    *,
    infer: Callable[..., TensorType],
    reference: Callable[..., Any],
    expand: Callable[..., Node | tuple[Node, ...]],
    vjp: Callable[..., tuple[Node | None, ...]],
    samples: tuple[Sample, ...],
    requires: Callable[..., list[Requirement]] | None = None,
    every: Every | None = None,
    partial: bool = False,
) -> Op:
    """Declare an operation that other operations compute, and whose gradient is better than theirs.

    `partial` says that one of them may raise.
    """
    return Op(name, infer, reference, Composite(expand, partial), vjp, samples, requires=requires, every=every, build=build)


def reduction(
    name: str,
    *,
    combine: Combine,
    dtype: Callable[[str, DType], DType],
    reference: Callable[..., Any],
    vjp: Callable[..., tuple[Node | None, ...]] | None,
    identity: bool = True,
    domain: tuple[float, float] = (-3.0, 3.0),
    masks: Callable[..., tuple[Node | None, ...]] | None = None,
    level: Level = None,
    apply: Callable[..., Tensor] = build,
    doc: str = "",
) -> Op:
    """Declare a reduction over attrs `axes` (sorted, not negative). Without an identity, no reduced axis may be empty."""

    def infer(x: TensorType, axes: tuple[int, ...]) -> TensorType:
        result = dtype(name, x.dtype)
        if not identity:
            for axis in axes:
                if x.shape[axis] == 0:
                    raise ShapeError(f"{name} over an empty axis has no value, got {x} along {axis}")
        return TensorType(result, tuple(n for a, n in enumerate(x.shape) if a not in axes))

    def requires(x: TensorType, axes: tuple[int, ...]) -> list[Requirement]:
        if identity:
            return []
        return [Requirement(x.shape[a], ">=", 1, f"{name} over an empty axis has no value: {x} along {a}") for a in axes]

    samples = tuple(
        Sample((shape,), {"axes": axes}, domain=domain)
        for shape, axes in [((3, 4), (1,)), ((3, 4), (0,)), ((2, 3, 4), (0, 2)), ((5,), (0,)), ((2, 3), (0, 1))]
        if len(axes) == 1 or not combine.positions
    )
    return Op(
        name, infer, reference, Reduction(combine), vjp, samples, requires=requires, masks=masks, level=level, arity=1,
        build=apply, doc=doc,
    )  # fmt: skip


# --- axes ------------------------------------------------------------------------------------------------------------


def normalize_axis(name: str, axis: Any, x: TensorType) -> int:
    """An axis as a number from 0."""
    number = normalize_integer(name, "axis", axis)
    if not -x.rank <= number < x.rank:
        raise ShapeError(
            f"{name}: axis {number} is out of range for {x}", where=caller(),
            hint=f"axes go from {-x.rank} to {x.rank - 1}" if x.rank else "a 0-d array has no axes",
        )  # fmt: skip
    return number % x.rank


def normalize_axes(name: str, axis: Any, x: TensorType) -> tuple[int, ...]:
    """None, an axis or several, as sorted numbers from 0."""
    if axis is None:
        return tuple(range(x.rank))
    axes = [normalize_axis(name, a, x) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: axis {axis} names one axis twice for {x}", where=caller())
    return tuple(sorted(axes))


def normalize_size(name: str, what: str, value: Any) -> Size:
    """A size: an integer that is not negative, a name, or an expression of names."""
    try:
        size = t.as_size(value)
    except (TypeError, ValueError):
        size = -1
    if isinstance(size, int) and size < 0:
        raise ShapeError(
            f"{name}: {what} must be a size, got {value!r}", where=caller(), hint="give an integer from 0 on, or a name"
        )
    return size


def normalize_integer(name: str, what: str, value: Any) -> int:
    """A Python integer."""
    try:
        if not isinstance(value, (bool, Node, Dim)):
            return operator.index(value)
    except TypeError:
        pass
    raise ShapeError(f"{name}: {what} must be an integer, got {value!r}", where=caller())


# --- arguments that are no arrays -------------------------------------------------------------------------------------


def check_number(name: str, what: str, value: Any) -> Any:
    """An option that is a number, as Python's, which takes the type of the arrays beside it: NumPy's scalars count as theirs."""
    number = t.number_of(value)
    if number is None:
        raise InputError(f"{name}: {what} must be a number, got {_shown(value)}", where=caller())
    return number


def as_option(value: Any) -> Any:
    """An option that may be a number or a symbol: a number as Python's, as `check_number` gives it, anything else as it is."""
    number = None if isinstance(value, Node) else t.number_of(value)
    return value if number is None else number


def check_flag(name: str, what: str, value: Any) -> bool:
    """True or False."""
    if value is True or value is False:
        return bool(value)
    number = t.number_of(value)
    if not isinstance(number, int):
        raise InputError(f"{name}: {what} must be True or False, got {_shown(value)}", where=caller())
    return bool(number)


def check_function(name: str, what: str, value: Any) -> None:
    """Something that can be called."""
    if not callable(value):
        raise InputError(f"{name}: {what} must be a function, got {_shown(value)}", where=caller())


def listed(name: str, what: str, value: Any) -> list[Any]:
    """The items of something that has an order."""
    ordered = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    if ordered or (isinstance(value, (np.ndarray, Tensor)) and value.ndim):
        return list(value)
    raise InputError(f"{name}: {what} must be a list, got {_shown(value)}", where=caller(), hint="a tuple serves too")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else type(value).__name__


__all__ = [
    "Level", "alike", "always", "any_type", "as_option", "broadcast_shapes", "build", "check_flag", "check_function",
    "check_number", "comparison", "composite", "elementwise", "index_map", "integral", "listed", "logical", "normalize_axes",
    "normalize_axis", "normalize_integer", "normalize_size", "numeric", "of_all", "of_first", "pointwise", "promote_operands",
    "reduction", "shift", "some", "to_bool", "to_float", "true_division", "typed", "weak",
]  # fmt: skip
