"""Scalar code on whole values: on arrays, where a declaration brings no reference, and on symbols, for its gradient."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import GraphError
from graphc.ir.combines import Combine
from graphc.ir.dims import Size
from graphc.ir.graph import Node, on_inputs, origin, substitute
from graphc.ir.operation import VOCABULARY, Operation, Pointwise
from graphc.ir.program import Kernel, Load, Param, Statement, Store
from graphc.ir.scalar import Arg, Const, Recorder, Ref, Scalars, Value, scalar_text
from graphc.ir.types import DType, TensorType, as_dtype
from graphc.ops.tensor import Tensor, as_tensor
from graphc.passes.differentiate import differentiate
from graphc.passes.expand_math import expand_kernel

Array = np.ndarray[Any, Any]

# The operations whose elements the primitives are; all other scalar functions have the names of theirs.
_OPERATIONS = {
    "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "rint": "round", "eq": "equal", "ne": "not_equal",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "not": "bitwise_invert", "shl": "bitwise_left_shift", "shr": "bitwise_right_shift", "select": "where",
    "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift",
}  # fmt: skip


def operation(scalar: str) -> Operation:
    """The elementwise operation of a scalar function; GraphError where there is none."""
    found = VOCABULARY.get(_OPERATIONS.get(scalar, scalar))
    if found is None or not isinstance(found.lowering, Pointwise) or not found.lowering.elementwise:
        raise GraphError(
            f"the scalar function {scalar} is no operation", hint="graphc/ir/scalar.py lists the primitives; "
            "functions such as exp, maximum or isnan have the names of the operations",
        )  # fmt: skip
    return found


# What passes raise for code that they cannot write: unknown names, other types, text that is no expression.
_IMPOSSIBLE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, SyntaxError, TypeError, ValueError,
)  # fmt: skip


class Evaluated(Scalars):
    """Scalar code that runs at once: every statement is `apply(operation, operands)`."""

    def __init__(self, apply: Callable[[Operation, list[Any]], Any], result: TensorType) -> None:
        self._apply = apply
        self._result = result
        self._values: list[Any] = []

    @property
    def result(self) -> TensorType:
        return self._result

    def argument(self, value: Any, dtype: DType) -> Value:
        self._values.append(value)
        return Value(self, Ref(str(len(self._values) - 1), dtype))

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        if op == "fma":
            product = self.emit("mul", args[:2], dtype)
            return self.emit("add", (product, args[2]), dtype)
        found = operation(op)
        given = found.infer(*(TensorType(a.dtype, ()) for a in args)).dtype
        if given != dtype:
            raise GraphError(f"the operation {found.name} gives {given} where the scalar function {op} gives {dtype}")
        return self.argument(self._apply(found, list(map(self.value, args))), dtype).arg

    def value(self, arg: Arg) -> Any:
        if isinstance(arg, Const):
            return np.asarray(arg.value, arg.dtype.numpy)
        return self._values[int(arg.name)]


def on_arrays(code: str, arrays: Sequence[Array], result: TensorType) -> Array:
    """What scalar code makes of arrays of one shape: each of its functions by that operation's reference."""
    k = Evaluated(lambda op, operands: op.reference(*operands), result)
    with np.errstate(all="ignore"):
        value = scalar_text(code)(k, *(k.argument(a, as_dtype(a.dtype)) for a in arrays))
        made = np.asarray(k.value(value.arg))
    return np.array(np.broadcast_to(made, np.broadcast_shapes(*(a.shape for a in arrays))))


def on_symbols(code: str, xs: Sequence[Tensor], result: TensorType) -> Tensor:
    """What scalar code makes of symbols of one shape: each of its functions by that operation."""
    k = Evaluated(lambda op, operands: op(*operands), result)
    value = scalar_text(code)(k, *(k.argument(x, x.dtype) for x in xs))
    return ops.broadcast_to(ops.astype(ops.asarray(k.value(value.arg)), result.dtype), result.shape)


def derived_gradient(code: str) -> Callable[..., tuple[Node | None, ...]]:
    """The gradient rule of scalar code: that of the operations that it is made of."""

    def rule(g: Tensor, y: Tensor, *xs: Tensor) -> tuple[Node | None, ...]:
        given = [*xs, g]
        holes = [ops.placeholder(f"x{i}", x.shape, x.dtype.arithmetic) for i, x in enumerate(given)]  # 16 bits round once
        value = on_symbols(code, holes[:-1], TensorType(y.dtype.arithmetic, y.shape))
        parts = differentiate({value: holes[-1]}, holes[:-1])
        new: dict[Node, Node] = {hole: ops.astype(x, x.dtype.arithmetic) for hole, x in zip(holes, given, strict=True)}
        with origin(y.where, gradient=True, forward=y.forward or y.op):
            found = iter(substitute([p for p in parts if p is not None], new, on_inputs))
            return tuple(
                None if p is None else ops.astype(as_tensor(next(found)), x.dtype) for p, x in zip(parts, xs, strict=True)
            )

    return rule


def folded(combine: Combine) -> Callable[..., Array]:
    """The reference of a reduction by a declared combination: halves of the elements combined with each other."""
    code = combine.code

    def reference(x: Array, axes: tuple[int, ...]) -> Array:
        kept = tuple(n for a, n in enumerate(x.shape) if a not in axes)
        rows = np.moveaxis(x, axes, range(len(axes))).reshape(-1, *kept) if x.size else np.empty((0, *kept), x.dtype)
        kind = TensorType(as_dtype(x.dtype), x.shape)
        start = np.full((1, *kept), combine.neutral(kind.dtype).value, x.dtype)
        rows = on_arrays(code, (np.broadcast_to(start, rows.shape), rows), kind)
        while len(rows) > 1:
            if len(rows) % 2:
                rows = np.concatenate([rows, start])
            rows = on_arrays(code, (rows[::2], rows[1::2]), kind)
        return np.array(rows[0] if len(rows) else start[0])

    return reference


class _Typed(Recorder):
    """Records scalar code that gives a known type."""

    def __init__(self, result: DType) -> None:
        super().__init__("v")
        self._result = TensorType(result, ())

    @property
    def result(self) -> TensorType:
        return self._result


def result_type(code: str, operands: Sequence[DType], result: DType) -> DType:
    """The type that scalar code gives of operands, once it is known that backends can run it; GraphError where they cannot."""
    k = _Typed(result)
    params = tuple(Param(f"x{i}", TensorType(d, ()), "in") for i, d in enumerate(operands))
    loads = tuple(Load(f"a{i}", d, f"x{i}", ()) for i, d in enumerate(operands))
    try:
        value = scalar_text(code)(k, *(k.argument(f"a{i}", d) for i, d in enumerate(operands)))
        body: tuple[Statement, ...] = (*loads, *k.statements, Store("y0", (), value.arg))
        expand_kernel(Kernel("k", (*params, Param("y0", TensorType(value.dtype, ()), "out")), (), body))
    except _IMPOSSIBLE as error:
        raise GraphError(f"{code!r} on {' and '.join(map(str, operands))}: {error}") from None
    return value.dtype


def arity(code: str) -> int:
    """How many operands scalar code has."""
    return max((int(i) for i in re.findall(r"{(\d+)}", code)), default=-1) + 1
