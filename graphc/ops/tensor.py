"""Symbols: nodes with Python's operators, array methods, and NumPy's dispatch.

Rules of operations are written in the same symbols that users write, so this class stands at the foot of the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from numbers import Rational
from typing import TYPE_CHECKING, Any, NoReturn, Union

import numpy as np

from graphc import advice, ops
from graphc.errors import GraphError, InputError, ShapeError, caller, source
from graphc.ir import types as t
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Operation
from graphc.ir.types import DType

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

TensorLike = Union["Tensor", bool, int, float, np.generic, np.ndarray[Any, Any], list[Any]]
Axis = int | tuple[int, ...] | None


class Tensor(Node):
    """A symbolic array: what placeholders, variables and every function of graphc give.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("batch", 3), "float32")
    >>> x + 1
    <Tensor add: f32[batch, 3]>
    """

    __slots__ = ()
    __hash__ = Node.__hash__

    def __init__(self, op: Any = None, *args: Any, **options: Any) -> None:
        if not isinstance(op, Operation):
            kind = type(self).__name__
            raise InputError(f"gx.{kind} is the class of {advice.CLASSES[kind][0]}", where=caller(), hint=advice.CLASSES[kind][1])
        super().__init__(op, *args, **options)

    @property
    def shape(self) -> Shape:
        """The sizes of the axes: integers, or expressions of named dimensions."""
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return self.type.size

    @property
    def T(self) -> Tensor:
        """The transpose: all axes reversed."""
        return ops.permute_dims(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return ops.matrix_transpose(self)

    def __repr__(self) -> str:
        name = f" {self.attrs['name']!r}" if "name" in self.attrs else ""
        return f"<{type(self).__name__} {self.op.name}{name}: {self.type}>"

    def eval(self, inputs: dict[Tensor, ArrayLike] | None = None) -> np.ndarray[Any, Any]:
        """The value for given inputs, by the interpreter: for a quick look."""
        raise NotImplementedError  # given by graphc/compile/building.py, which knows the backends

    # --- Python's operators ---

    def __add__(self, other: TensorLike) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return ops.subtract(self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return ops.subtract(other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return ops.multiply(self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return ops.multiply(other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return ops.divide(self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return ops.divide(other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return ops.floor_divide(other, self)

    def __mod__(self, other: TensorLike) -> Tensor:
        return ops.remainder(self, other)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return ops.remainder(other, self)

    def __divmod__(self, other: TensorLike) -> tuple[Tensor, Tensor]:
        return ops.floor_divide(self, other), ops.remainder(self, other)

    def __pow__(self, other: TensorLike) -> Tensor:
        return ops.pow(self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return ops.pow(other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return ops.positive(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __invert__(self) -> Tensor:
        return ops.bitwise_invert(self)

    def __and__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_and(self, other)

    def __rand__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_and(other, self)

    def __or__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_or(self, other)

    def __ror__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_or(other, self)

    def __xor__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_xor(self, other)

    def __rxor__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_xor(other, self)

    def __lshift__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_left_shift(self, other)

    def __rlshift__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_left_shift(other, self)

    def __rshift__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_right_shift(self, other)

    def __rrshift__(self, other: TensorLike) -> Tensor:
        return ops.bitwise_right_shift(other, self)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.equal(self, other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, other)  # type: ignore[arg-type]

    def __lt__(self, other: TensorLike) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return ops.greater_equal(self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return ops.getitem(self, key)

    @property
    def at(self) -> ops.Places:
        """x.at[key].set(value), .add, .multiply, .max, .min: x with other elements at the places of a key; .get() is x[key]."""
        return ops.Places(self)

    # --- methods ---

    def astype(self, dtype: object, *, copy: bool = True) -> Tensor:
        return ops.astype(self, dtype, copy=copy)

    def reshape(self, *sizes: Any, shape: Any = None) -> Tensor:
        if shape is None:
            shape = sizes[0] if len(sizes) == 1 else sizes
        elif sizes:
            raise InputError("reshape takes one shape, got two", where=caller(), hint="x.reshape(3, 2)")
        return ops.reshape(self, shape)

    def transpose(self, *axes: Any) -> Tensor:
        if not axes:
            return self.T
        return ops.permute_dims(self, axes[0] if len(axes) == 1 and t.number_of(axes[0]) is None else axes)

    def squeeze(self, axis: Axis = None) -> Tensor:
        return ops.squeeze(self, axis)

    def flatten(self) -> Tensor:
        return ops.reshape(self, (-1,))

    ravel = flatten

    def sum(self, axis: Axis = None, dtype: object = None, keepdims: bool = False) -> Tensor:
        return ops.sum(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, axis: Axis = None, dtype: object = None, keepdims: bool = False) -> Tensor:
        return ops.prod(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
        return ops.var(self, axis=axis, correction=correction, keepdims=keepdims)

    def std(self, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
        return ops.std(self, axis=axis, correction=correction, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.min(self, axis=axis, keepdims=keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.any(self, axis=axis, keepdims=keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.all(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return ops.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return ops.argmin(self, axis=axis, keepdims=keepdims)

    def clip(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        return ops.clip(self, min, max)

    def take(self, indices: TensorLike, axis: int | None = None) -> Tensor:
        return ops.take(self, indices, axis=axis)

    def dot(self, other: TensorLike) -> Tensor:
        return ops.matmul(self, other)

    def round(self, decimals: int = 0) -> Tensor:
        return ops.round(self, decimals)

    def __round__(self, ndigits: int | None = None) -> Tensor:
        return ops.round(self, 0 if ndigits is None else ndigits)

    # --- NumPy's protocols, and what a symbol cannot do ---

    if not TYPE_CHECKING:  # to a type checker a symbol has the attributes it has

        def __getattr__(self, name: str) -> NoReturn:
            raise advice.unknown_attribute(self, name, advice.TENSOR, functions=True)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return ops.numpy_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return ops.numpy_function(func, args, kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise self._no("np.asarray of a symbol", "it has no value yet: use y.eval({x: array}), or gx.compile and call the result")

    def __bool__(self) -> NoReturn:
        raise self._no("the truth value of a symbol", f"it has no value yet: {in_place_of_truth(source(caller()))}")

    def __float__(self) -> NoReturn:
        called = re.search(r"\bmath\.(\w+)\s*\(", source(caller()))
        if called and callable(getattr(ops, called[1], None)):
            raise self._no(f"math.{called[1]} of a symbol", f"use gx.{called[1]}, which takes symbols")
        raise self._no("a Python number from a symbol", "it has no value yet: use y.eval({x: array}), or gx.astype for a cast")

    __int__ = __complex__ = __float__

    def __index__(self) -> NoReturn:
        raise self._no(
            "a Python integer from a symbol",
            "sizes and counts cannot be data: use gx.take for an item of a list, gx.fori_loop or gx.scan instead of range",
        )

    def __format__(self, spec: str) -> str:
        if re.search(r"[.,_]|[bcdeEfFgGnoxX%]$", spec):
            raise self._no(
                f"the format {spec!r} of a symbol", "it has no value yet: format what y.eval({x: array}) or a compiled call gives"
            )
        try:
            return format(str(self), spec)
        except ValueError:
            raise self._no(f"the format {spec!r} of a symbol", "give an alignment and a width, as in >40") from None

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        written = f"at[{_key_text(key)}].{_method(source(caller()))}(value)"
        raise self._no("assignment to elements", self._instead_of_assignment(written))

    def _instead_of_assignment(self, written: str) -> str:
        return f"symbols do not change: use x = x.{written}, another symbol"

    def __delitem__(self, key: Any) -> NoReturn:
        raise self._no("deletion of elements", "symbols do not change: join slices by gx.concat")

    def __copy__(self) -> Tensor:
        return self  # a symbol never changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return ops.copying.deep(self, memo)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise self._no("pickle of a symbol", "str(gx.ir.Graph([x], [y])) is a text, and gx.ir.parse reads it")

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError(f"len of a 0-d symbol, {self.type}", where=caller())
        if isinstance(self.shape[0], Dim):
            raise self._no(f"len of the symbolic dimension {self.shape[0]}", "use x.shape[0], which is an expression")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise ShapeError(f"iteration over a 0-d symbol, {self.type}", where=caller())
        if isinstance(self.shape[0], Dim):
            raise self._no(
                f"iteration over the symbolic dimension {self.shape[0]}",
                "write the whole computation over the axis at once, or use gx.map or gx.scan",
            )
        return iter([self[i] for i in range(self.shape[0])])

    def __contains__(self, item: object) -> NoReturn:
        raise self._no("`in` on a symbol", "use gx.any(x == item)")

    def _no(self, what: str, hint: str) -> GraphError:
        return InputError(f"{what} is not possible: {self!r}", where=caller(), hint=hint)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from graphc.ir.dot import mimebundle

        return mimebundle(Graph((), (self,), name="expression"))


class Weak(Tensor):
    """A number that sizes make, such as n ** 0.5: 0-d, and like a Python number it takes the type of the arrays beside it.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 3), "float32")
    >>> x / x.shape[0] ** 0.5
    <Tensor divide: f32[n, 3]>
    """

    __slots__ = ()
    __hash__ = Tensor.__hash__

    def __bool__(self) -> NoReturn:
        raise self._no(
            f"the truth value of {self._text()}",
            "it depends on a size that each call may choose: make the size an integer where it is declared, "
            f"or {in_place_of_truth(source(caller())).removeprefix('use ')}",
        )

    def __float__(self) -> NoReturn:
        raise self._no(
            f"a Python number from {self._text()}",
            "it depends on a size that each call may choose: use gx's functions, and n // 2 for a size",
        )

    __int__ = __complex__ = __index__ = __trunc__ = __floor__ = __ceil__ = __float__

    def _text(self) -> str:
        parts = [str(x.attrs["value"]) if "value" in x.attrs else "..." for x in self.inputs]
        sign = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
        return f"{parts[0]} {sign[self.op.name]} {parts[1]}" if self.op.name in sign else "a number that sizes make"


def _method(line: str) -> str:
    """What `x.at[key]` does in place of the assignment in a line."""
    return {"+": "add", "*": "multiply"}.get((re.search(r"\]\s*([-+*/])?=(?!=)", line) or "  ")[1], "set")


def weakened(x: Tensor) -> Weak:
    """The same node, weak."""
    return Weak(x.op, x.inputs, x.attrs, x.type, x.where, x.gradient, x.forward, x.number)


def in_place_of_truth(line: str) -> str:
    """What to write in the place of a truth value, by what a line of code asks one for."""
    found = [advice for pattern, advice in _TRUTH if re.search(pattern, line)]
    return "use " + ("; ".join(found) or "gx.where(condition, a, b), gx.cond or gx.while_loop, which take it as a symbol")


_TRUTH = (
    (r"\barange\s*\(", "gx.arange instead of np.arange"),
    (r"\bwhile\b", "gx.while_loop instead of `while`"),
    (r"\b(?<!\.)(max|min)\s*\(", "gx.maximum(a, b) or gx.minimum(a, b) instead of max and min"),
    (r"\b(?<!\.)sorted\s*\(", "gx.sort instead of sorted"),
    (r"\bassert\b", "a check of what a compiled call gives instead of `assert`"),
    (r"\b(and|or|not)\b", "gx.logical_and, gx.logical_or or gx.logical_not instead of `and`, `or`, `not`"),
    (r"\b(?<!\.)(any|all)\s*\(", "gx.any or gx.all instead of any and all"),
    (r"\b(if|elif)\b", "gx.where(condition, a, b), or gx.cond where only one side may be computed, instead of `if`"),
)


def _key_text(key: Any) -> str:
    if isinstance(key, tuple):
        return ", ".join(map(_key_text, key)) or "()"
    if isinstance(key, slice):
        ends = ["" if end is None else str(end) for end in (key.start, key.stop, key.step)]
        return ":".join(ends[: 3 if ends[2] else 2])
    return "..." if key is Ellipsis else str(key) if key is None or isinstance(key, (int, Dim, list)) else "key"


advice.with_keywords_of(Tensor)


def as_tensor(value: Any, dtype: DType | None = None) -> Tensor:
    """A symbol for a symbol, a number or an array.

    Python numbers take `dtype` where it is given, else NumPy's default (bool, int64, float64).
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Dim):
        return ops.full((), value, dtype=dtype or t.int64)
    kind = t.python_kind(value)
    if kind is not None:
        return ops.full((), kind(value), dtype=dtype or t.as_dtype(kind))
    if isinstance(value, np.generic):
        own = t.as_dtype(value.dtype)  # before the value is asked for: there may be none of it in Python
        return ops.full((), value.item(), dtype=own)
    if hasattr(value, "no_symbol"):  # a tuple of symbols that is not their stack
        raise InputError(f"a {type(value).__name__} cannot become a symbol", where=caller(), hint=value.no_symbol)
    if isinstance(value, (list, tuple)) and any(isinstance(v, (Tensor, Dim)) for v in value):
        return ops.stack(list(value))
    if t.is_masked(value):
        raise InputError(
            "a masked array cannot become a symbol: its mask would be lost", where=caller(), hint="give array.filled(value)"
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{type(value).__name__} makes no array: {error}", where=caller()) from None
    if not t.is_number(array.dtype):
        raise InputError(f"{_named(value)} cannot become a symbol", where=caller(), hint=_NUMBERS.format(_more(value)))
    return ops.constant(array)


_NUMBERS = "give numbers or numeric arrays{}"


def _more(value: object) -> str:
    """What helps with a value that is no number of graphc's."""
    if value is None:
        return "; `x is None` asks whether there is a symbol"
    if isinstance(value, complex):
        return ": arrays are real, and gx.fft.Complex is a pair of them"
    return ": float(value) makes one" if isinstance(value, (Decimal, Rational)) else ""


def _named(value: object) -> str:
    """What a value is, in a few words."""
    name = type(value).__name__
    return f"{name} of {value.dtype}" if isinstance(value, np.ndarray) else name
