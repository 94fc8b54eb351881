"""Values that exist before anything runs, and arrays made from nothing: inputs, variables, constants, fills, ranges."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from graphc import advice, ops
from graphc.errors import DTypeError, GraphError, InputError, ShapeError, caller
from graphc.ir import dims, operation
from graphc.ir import types as t
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.graph import Node, current_origin
from graphc.ir.names import is_name
from graphc.ir.operation import Operation, Pointwise, Requirement, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.state import STATE
from graphc.ir.types import ArrayValue, DType, TensorType
from graphc.ops.declare import Op, build, check_number
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
_LINE = 64  # bytes of a cache line: vectors that lie across two of them are read in two steps


_UNNAMED = count()


class Variable(Tensor):
    """State: an array that programs read, and that `updates` write.

    Its `name` is what it was given; variables without one are called v, v_1, v_2, ..., as they are born, and none of them like
    another. What tells variables apart in a program or a file is a matter of those: see `gx.named_variables`.

    >>> import graphc as gx
    >>> v = gx.variable([1.0, 2.0], name="v")
    >>> v.value
    array([1., 2.])
    >>> v.value = [3.0, 4.0]
    >>> v.update(lambda old: old * 2)
    >>> v.value
    array([6., 8.])
    """

    __slots__ = ("_default_update", "_memory", "called", "given", "owner", "places")
    __hash__ = Tensor.__hash__
    _memory: dict[int, Array]  # by address
    places: Array  # the addresses of its value, and of a second memory or 0: who writes there lets the two change places
    _default_update: Tensor | None
    called: str  # its name without the owner's
    given: bool  # whether somebody gave it that name
    owner: Variable | None  # whose state it is

    if not TYPE_CHECKING:  # to a type checker a variable has the attributes it has

        def __getattr__(self, name: str) -> NoReturn:
            raise advice.unknown_attribute(self, name, advice.VARIABLE, advice.TENSOR, functions=True)

    def _instead_of_assignment(self, written: str) -> str:
        at_once = "w.update(function of the old array), or w.value = new array"
        return f"w.{written} is a symbol, for updates={{w: ...}}; at once, {at_once}"

    @property
    def name(self) -> str:
        return str(self.attrs["name"])

    @property
    def value(self) -> Array:
        """A copy of what the variable holds, which is read-only: `w.value[0] = 7` would change the copy.

        Setting it writes an array of the same shape: a float64 into a float32 too, but no float into an integer. To change a
        part, use `update`. The copy is a plain array, so that what is refused is said in NumPy's words, "assignment destination
        is read-only" or "output array is read-only", which know nothing of variables: `w.update(function of the old array)`.
        """
        return STATE.read(Variable._copy, self)

    @value.setter
    def value(self, new: Any) -> None:
        STATE.write(self._write, self._fitting(new))

    def update(self, new: Any) -> None:
        """Write a new value: an array, as `w.value = array` does, or what a function makes of the old one.

        The function is given a copy that it may change, and nothing else reads or writes variables while it runs. What it
        returns is written; where it returns None, the copy is. ShapeError and DTypeError as for `value`.

        >>> import numpy as np, graphc as gx
        >>> w = gx.variable(np.zeros(3), name="w")
        >>> def first_is_seven(old):
        ...     old[0] = 7
        >>> w.update(first_is_seven)
        >>> w.update(lambda old: old + 1)
        >>> w.value
        array([8., 1., 1.])
        """
        if callable(new):
            STATE.write(self._replace, new)
        else:
            self.value = new

    def _copy(self) -> Array:
        array = self.data.copy()
        array.flags.writeable = False
        return array

    def _replace(self, change: Callable[[Array], Any]) -> None:
        old = self.data.copy()
        new = change(old)
        self._write(self._fitting(old if new is None else new))

    def _write(self, array: Array) -> None:
        np.copyto(self.data, array)

    def _fitting(self, new: Any) -> Array:
        """An array that can be written."""
        if isinstance(new, Tensor):
            raise InputError(
                f"variable {self.name} is {self.type}, got a symbol: {new!r}", where=caller(),
                hint="updates={w: symbol} of gx.compile writes it in each call; symbol.eval() gives an array",
            )  # fmt: skip
        array = _array(f"variable {self.name}", new, None)
        if array.shape != self.type.shape:
            raise ShapeError(
                f"variable {self.name} is {self.type}, got an array of shape {list(array.shape)}", where=caller(),
                hint="a variable keeps its shape",
            )  # fmt: skip
        if not np.can_cast(array.dtype, self.dtype.numpy, "same_kind"):
            raise DTypeError(
                f"variable {self.name} is {self.type}, got {array.dtype}",
                where=caller(),
                hint=f"astype({str(self.dtype)!r}) first",
            )
        return array

    @property
    def default_update(self) -> Tensor | None:
        """What compiled programs that read the variable write into it, where their `updates` do not say; None by default.

        >>> import graphc as gx
        >>> calls = gx.variable(0, name="calls")
        >>> calls.default_update = calls + 1
        >>> f = gx.compile([], calls * 10)
        >>> f(), f(), calls.value
        (array(0), array(10), array(2))
        """
        return self._default_update

    @default_update.setter
    def default_update(self, new: Tensor | None) -> None:
        if new is not None and (not isinstance(new, Tensor) or new.type != self.type):
            got = new.type if isinstance(new, Tensor) else type(new).__name__
            raise DTypeError(
                f"variable {self.name} is {self.type}, got a default update {got}", where=caller(),
                hint="astype or reshape the new value",
            )  # fmt: skip
        object.__setattr__(self, "_default_update", new)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in ("value", "default_update"):
            super().__setattr__(name, value)
        object.__setattr__(self, name, value)

    @property
    def data(self) -> Array:
        """The memory itself, for backends that hold the state."""
        return self._memory[int(self.places[0])]

    def twin(self, owner: Variable | None) -> Variable:
        """Another variable of the same value and name; what had no name gets a number of its own."""
        made = variable(self.value, self.called if self.given else None, of=owner)
        object.__setattr__(made, "where", self.where)
        object.__setattr__(made, "number", self.number)  # so that names in a collection of copies are those of the first ones
        return made

    def __copy__(self) -> Variable:
        return ops.copying.shallow(self)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise self._no(
            "pickle of a variable", "gx.save(path, [w]) writes its value and gx.load(path, [w]) reads it; copy.deepcopy copies it"
        )

    def add_memory(self) -> None:
        """Have a second memory from now on, for backends."""
        STATE.write(Variable._add_memory, self)

    def _add_memory(self) -> None:
        if len(self._memory) < len(self.places):
            shape, dtype = self.attrs["shape"], self.dtype.numpy
            size = math.prod(shape) * dtype.itemsize
            room = np.zeros(size + _LINE, np.uint8)
            start = -room.ctypes.data % _LINE
            memory = room[start : start + size].view(dtype).reshape(shape)
            self.places[len(self._memory)] = memory.ctypes.data
            self._memory[memory.ctypes.data] = memory

    def __repr__(self) -> str:
        return f"<Variable {self.name!r}: {self.type}>"


def _leaf_type(name: str, dtype: DType, shape: Shape) -> TensorType:
    return TensorType(dtype, shape)


def _no_reference(*args: Any, **attrs: Any) -> Array:
    raise AssertionError("a leaf has no reference: its value is given")


def _make_variable(op: Operation, inputs: tuple[Node, ...], attrs: dict[str, Any]) -> Variable:
    born = current_origin()
    node = Variable(op, (), attrs, op.infer(**attrs), born.where, False)
    if not node.type.is_static:
        raise ShapeError(f"variable {attrs['name']} needs a fixed shape, got {node.type}", where=born.where)
    object.__setattr__(node, "_default_update", None)
    object.__setattr__(node, "called", attrs["name"])
    object.__setattr__(node, "given", True)
    object.__setattr__(node, "owner", None)
    object.__setattr__(node, "_memory", {})
    object.__setattr__(node, "places", np.zeros(2, np.int64))
    node.add_memory()
    return node


input_ = Op("input", _leaf_type, _no_reference, operation.Input(), build=build, arity=0)
variable_ = Op("variable", _leaf_type, _no_reference, operation.Variable(), build=_make_variable, arity=0)
constant_ = Op(
    "constant",
    lambda value: TensorType(t.as_dtype(value.array.dtype), value.array.shape),
    _no_reference,
    operation.Constant(),
    level=lambda value: () if (value.array >= 0).all() else None,
    build=build,
    arity=0,
)


def placeholder(name: str, shape: Any = (), dtype: object = "float32") -> Tensor:
    """An input of a graph.

    shape: sizes; a string is a named dimension, or an expression of names ("2*batch"), that takes its value from the
    arguments of each call.

    >>> import graphc as gx
    >>> gx.placeholder("x", ("batch", 784), "float32")
    <Tensor input 'x': f32[batch, 784]>
    """
    _check_name("placeholder", name)
    return input_(name=name, dtype=t.as_dtype(dtype), shape=_shape("placeholder", shape))


def variable(value: Any, name: str | None = None, dtype: object = None, *, of: Variable | None = None) -> Variable:
    """State with an initial value, which is copied.

    name: any text on one line; it is kept as it is. of: the variable whose state this is, an average or a moment: its name
    stands before this one.

    >>> import graphc as gx, numpy as np
    >>> w = gx.variable(np.zeros((784, 10), "float32"), name="w")
    >>> w
    <Variable 'w': f32[784, 10]>
    >>> gx.variable(np.zeros((784, 10), "float32"), name="mean", of=w)
    <Variable 'w.mean': f32[784, 10]>
    """
    if isinstance(value, Tensor):
        raise InputError(
            "a variable starts from an array, not from a symbol", where=caller(), hint="use x.eval(), or a NumPy array"
        )
    if name is not None:
        _check_name("variable", name)
    if of is not None and not isinstance(of, Variable):
        raise InputError(f"variable: `of` must be a variable, got {of!r}", where=caller(), hint="make it with gx.variable")
    array = _array("variable", value, dtype)
    called = name or "v"
    alone = called if name is not None or of is not None else _next_unnamed()
    node = variable_(name=alone if of is None else f"{of.name}.{called}", dtype=t.as_dtype(array.dtype), shape=array.shape)
    assert isinstance(node, Variable)
    object.__setattr__(node, "called", called)
    object.__setattr__(node, "given", name is not None)
    object.__setattr__(node, "owner", of)
    node.data[...] = array
    return node


def _next_unnamed() -> str:
    number = next(_UNNAMED)
    return f"v_{number}" if number else "v"


def constant(value: Any, dtype: object = None) -> Tensor:
    """A fixed array, which is copied. Arrays of one repeated number become a fill.

    >>> import graphc as gx
    >>> gx.constant([1, 2, 3])
    <Tensor constant: i64[3]>
    """
    parts = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(part, (Tensor, Dim)) for part in parts):
        found = ops.as_tensor(value)
        return found if dtype is None else ops.astype(found, dtype)
    array = _array("constant", value, dtype)
    made = t.as_dtype(array.dtype)
    array = array.astype(made.numpy, copy=False)
    if array.ndim == 0:
        return full((), array.item(), dtype=made)
    return constant_(value=ArrayValue(array))


asarray = constant


def _array(what: str, value: Any, dtype: object) -> Array:
    """`value` as an array of one of graphc's data types."""
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(f"{what}: the mask of a masked array would be lost", where=caller(), hint="give array.filled(value)")
    try:
        array = np.asarray(value, None if dtype is None else t.as_dtype(dtype).numpy)
    except (ValueError, OverflowError, TypeError) as error:
        if isinstance(error, GraphError):
            raise
        if isinstance(error, OverflowError):
            raise DTypeError(f"{what}: {error}", where=caller(), hint="choose a wider dtype") from None
        raise InputError(
            f"{what}: a {type(value).__name__} that makes no array: {error}", where=caller(), hint=_NUMBERS
        ) from None
    if not t.is_number(array.dtype):
        raise DTypeError(
            f"{what}: {type(value).__name__} of {array.dtype} has no data type of graphc", where=caller(), hint=_NUMBERS
        )
    return array


_NUMBERS = "give numbers or booleans, or an array of them"


def _check_name(what: str, name: object) -> None:
    if not is_name(name):
        raise InputError(
            f"{what}: {name!r} is not a name", where=caller(), hint="use any text of at least one character, on one line"
        )


def _shape(name: str, shape: Any) -> Shape:
    try:
        found = t.as_shape(shape)
    except (TypeError, ValueError, AttributeError) as error:
        why = error.message if isinstance(error, GraphError) else error
        raise ShapeError(f"{name}: {shape!r} is not a shape: {why}", where=caller(), hint="give integers and names") from None
    for n in found:
        if isinstance(n, int) and n < 0:
            raise ShapeError(f"{name}: sizes cannot be negative, got {list(found)}", where=caller())
    return found


# --- arrays made from nothing ----------------------------------------------------------------------------------------


def _fill_value(value: Any) -> Any:
    if isinstance(value, Dim):
        raise AssertionError("a symbolic fill has no value before its dimensions are known")
    return value


def _full_body(k: Scalars, index: tuple[Size, ...], value: Any, dtype: DType, shape: Shape) -> Any:
    return k.cast(k.index(value), dtype) if isinstance(value, Dim) else k.const(value, dtype)


def _fits(shape: Shape, value: Any, dtype: DType) -> list[Requirement]:
    """A size is within a small integer type, as a Python integer beside an array is."""
    if not isinstance(value, Dim) or not dtype.is_integer or dtype.itemsize == 8:
        return []
    info, text = np.iinfo(dtype.numpy), f"the size {value} does not fit {dtype}"
    found = [Requirement(int(info.max), ">=", value, text), Requirement(value, ">=", int(info.min), text)]
    return found[: 1 if dims.is_nonnegative(value) else 2]


full_ = Op(
    "full",
    lambda shape, value, dtype: TensorType(dtype, shape),
    lambda shape, value, dtype: np.full(shape, _fill_value(value), dtype.numpy),
    Pointwise(_full_body),
    lambda g, y, shape, value, dtype: (),
    (Sample((), {"shape": (2, 3), "value": 1.5, "dtype": t.float32}),),
    level=lambda shape, value, dtype: () if isinstance(value, Dim) or value >= 0 else None,
    requires=_fits,
    build=build,
    arity=0,
)

iota_ = Op(
    "iota",
    lambda size, dtype: TensorType(dtype, (size,)),
    lambda size, dtype: np.arange(size).astype(dtype.numpy),
    Pointwise(lambda k, index, size, dtype: k.cast(k.index(index[0]), dtype)),
    lambda g, y, size, dtype: (),
    (Sample((), {"size": 5, "dtype": t.int64}),),
    build=build,
    arity=0,
)


def full(shape: Any, fill_value: Any, dtype: object = None) -> Tensor:
    """An array of one number.

    >>> import graphc as gx
    >>> gx.full((2, 3), 0.5, "float32")
    <Tensor full: f32[2, 3]>
    """
    if isinstance(fill_value, Tensor):
        found = fill_value if dtype is None else ops.astype(fill_value, dtype)
        return ops.broadcast_to(found, _shape("full", shape))
    if isinstance(fill_value, Dim):
        made = t.int64 if dtype is None else t.as_dtype(dtype)
        return full_(shape=_shape("full", shape), value=fill_value, dtype=made)
    made = t.as_dtype(_array("full", fill_value, None).dtype if dtype is None else dtype)
    array = _array("full", fill_value, made)
    if array.size != 1:
        raise ShapeError(f"full: the value must be one number, got an array of {array.shape}", where=caller())
    value = array.item()
    return full_(shape=_shape("full", shape), value=value, dtype=made)


def zeros(shape: Any, dtype: object = "float64") -> Tensor:
    """An array of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: object = "float64") -> Tensor:
    """An array of ones."""
    return full(shape, 1, dtype)


def full_like(x: Tensor, fill_value: Any, dtype: object = None) -> Tensor:
    """An array of one number in the shape and, unless given, the type of x."""
    x = ops.as_tensor(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype)


def zeros_like(x: Tensor, dtype: object = None) -> Tensor:
    """Zeros in the shape and type of x."""
    return full_like(x, 0, dtype)


def ones_like(x: Tensor, dtype: object = None) -> Tensor:
    """Ones in the shape and type of x."""
    return full_like(x, 1, dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: object = None) -> Tensor:
    """start, start + step, ... below stop. Integers may be symbolic sizes.

    >>> import graphc as gx
    >>> gx.arange(2, 10, 3).eval()
    array([2, 5, 8])
    """
    if stop is None:
        start, stop = 0, start
    if any(isinstance(v, Tensor) for v in (start, stop, step)):
        raise InputError("arange needs numbers or sizes, not symbols", where=caller(), hint="the size of a result cannot be data")
    given = (start, stop, step)
    start, stop, step = (v if isinstance(v, Dim) else check_number("arange", "what it counts with", v) for v in given)
    if step == 0:
        raise ShapeError("arange: step cannot be 0", where=caller())
    whole = all(isinstance(v, (int, Dim)) for v in (start, stop, step))
    size: Size
    if whole:
        span, by = (dims.sub(stop, start), int(step)) if step > 0 else (dims.sub(start, stop), -int(step))
        size = dims.maximum(dims.floordiv(dims.add(span, by - 1), by), 0)
    elif any(isinstance(v, Dim) for v in (start, stop, step)):
        raise InputError("arange of a symbolic size needs integers", where=caller())
    else:
        count = np.ceil((stop - start) / step)
        if not np.isfinite(count):
            raise ShapeError(f"arange from {start} to {stop} by {step} has no size", where=caller(), hint="give finite numbers")
        size = max(0, int(count))
    found = t.as_dtype(dtype) if dtype is not None else (t.int64 if whole else t.float64)
    work = found if not found.is_bool else t.int64
    counted: Tensor = iota_(size=size, dtype=work)
    if step != 1:
        counted = counted * full((), step, work)
    if not isinstance(start, int) or start != 0:
        counted = counted + full((), start, work)
    return ops.astype(counted, found)
