"""Variables: state that programs read and update."""

from __future__ import annotations

import math
import mmap
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from graphc import advice, ops
from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import operation
from graphc.ir import types as t
from graphc.ir.graph import Node, current_origin
from graphc.ir.operation import Operation
from graphc.ir.state import STATE
from graphc.ops.declare import Op
from graphc.ops.given import as_array, check_name
from graphc.ops.leaves import leaf_type, no_reference
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

    __slots__ = ("_default_update", "_home", "_memory", "called", "given", "owner", "places")
    __hash__ = Tensor.__hash__
    _memory: dict[int, Array]  # by address
    _home: Array | None  # the caller's memory that it lives in
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
        if isinstance(new, type):
            raise InputError(f"update: the class {new.__name__} is no value", where=caller(), hint="give an array, or a function")
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
        array = as_array(f"variable {self.name}", new, None)
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
            shape, dtype, folder = self.attrs["shape"], self.dtype.numpy, self.folder
            size = math.prod(shape) * dtype.itemsize
            if folder is not None and size:
                with tempfile.TemporaryFile(dir=folder) as file:
                    file.truncate(size)
                    self._take(np.memmap(file, dtype, "r+", shape=shape))
                return
            room = np.zeros(size + _LINE, np.uint8)
            start = -room.ctypes.data % _LINE
            self._take(room[start : start + size].view(dtype).reshape(shape))

    def _take(self, memory: Array) -> None:
        address = memory.ctypes.data
        self.places[len(self._memory)] = address
        self._memory[address] = memory

    def _live_in(self, home: Array | None) -> None:
        """Have no memory but this, or none yet."""
        self._memory.clear()
        self.places[:] = 0
        object.__setattr__(self, "_home", home)
        if home is None:
            self._add_memory()
        else:
            self._take(home)

    @property
    def folder(self) -> str | None:
        """Where the file is that it lives in, or that the variable does whose state it is; None where that is no file."""
        v: Variable | None = self
        while v is not None:
            if v._home is not None:
                return _folder_of(v._home)
            v = v.owner
        return None

    def flush(self) -> None:
        """Where the variable lives in a file or an array of the caller's (`copy=False`): see to it that its value is there.

        A program may leave it in a second memory, and the system writes files when it finds time.
        """
        STATE.write(Variable._flush, self)

    def _flush(self) -> None:
        home = self._home
        if home is None:
            return
        if self.data is not home:
            np.copyto(home, self.data)
            self.places[:] = self.places[::-1].copy()
        file = _file_of(home)
        if file is not None:
            file.flush()

    def __repr__(self) -> str:
        return f"<Variable {self.name!r}: {self.type}>"


def _make_variable(op: Operation, inputs: tuple[Node, ...], attrs: dict[str, Any]) -> Variable:
    born = current_origin()
    node = Variable(op, (), attrs, op.infer(**attrs), born.where, False)
    if not node.type.is_static:
        raise ShapeError(f"variable {attrs['name']} needs a fixed shape, got {node.type}", where=born.where)
    object.__setattr__(node, "_default_update", None)
    object.__setattr__(node, "called", attrs["name"])
    object.__setattr__(node, "given", True)
    object.__setattr__(node, "owner", None)
    object.__setattr__(node, "_home", None)
    object.__setattr__(node, "_memory", {})
    object.__setattr__(node, "places", np.zeros(2, np.int64))
    node.add_memory()
    return node


variable_ = Op("variable", leaf_type, no_reference, operation.Variable(), build=_make_variable, arity=0)


def variable(
    value: Any, name: str | None = None, dtype: object = None, *, of: Variable | None = None, copy: bool = True
) -> Variable:
    """State with an initial value, which is copied.

    name: any text on one line; it is kept as it is. of: the variable whose state this is, an average or a moment: its name
    stands before this one. copy: False for a variable that lives in the memory of the array itself, which may be a file's:
    np.load("w.npy", mmap_mode="r+") is read and written in place, and may be larger than memory. What belongs to such a variable,
    moments of an optimiser and the like, lives in files without a name in the same folder; `flush` brings the value there.

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
        check_name("variable", name)
    if of is not None and not isinstance(of, Variable):
        raise InputError(f"variable: `of` must be a variable, got {of!r}", where=caller(), hint="make it with gx.variable")
    array = as_array("variable", value, dtype)
    called = name or "v"
    alone = called if name is not None or of is not None else _next_unnamed()
    node = variable_(name=alone if of is None else f"{of.name}.{called}", dtype=t.as_dtype(array.dtype), shape=array.shape)
    assert isinstance(node, Variable)
    object.__setattr__(node, "called", called)
    object.__setattr__(node, "given", name is not None)
    object.__setattr__(node, "owner", of)
    if not copy:
        node._live_in(_own_memory(value, array))
        return node
    if of is not None and of.folder is not None:
        node._live_in(None)
    if not _zeros(array):
        node.data[...] = array
    return node


def _own_memory(value: Any, array: Array) -> Array:
    """The array that a variable may live in; InputError for what is none."""
    why = (
        f"a {type(value).__name__}" if not isinstance(value, np.ndarray)
        else f"an array of {value.dtype}" if array.dtype != value.dtype or not value.dtype.isnative
        else "an array that is not in C order" if not value.flags.c_contiguous or not value.flags.aligned
        else "an array that is read-only" if not value.flags.writeable
        else "a copy-on-write mapping" if isinstance(value, np.memmap) and value.mode == "c"
        else None
    )  # fmt: skip
    if why is not None:
        raise InputError(
            f"variable: copy=False needs an array to live in, got {why}", where=caller(),
            hint='np.load(path, mmap_mode="r+") maps a file that can be written; without copy=False the value is copied',
        )  # fmt: skip
    home: Array = value.view(np.ndarray)
    return home


def _file_of(array: Array) -> mmap.mmap | None:
    """What an array is mapped by."""
    part: Any = array
    while isinstance(part, np.ndarray):
        part = part.base
    return part if isinstance(part, mmap.mmap) else None


def _folder_of(array: Array) -> str | None:
    """The folder of the file that an array is mapped from."""
    part: Any = array
    while isinstance(part, np.ndarray):
        if isinstance(part, np.memmap) and part.filename is not None:
            return str(Path(part.filename).parent)
        part = part.base
    return None


def _zeros(array: Array) -> bool:
    """Whether an array is one number, repeated without memory, and that is what new memory holds: zero."""
    return array.size > 0 and not any(array.strides) and not any(array[(0,) * array.ndim].tobytes())


def _next_unnamed() -> str:
    number = next(_UNNAMED)
    return f"v_{number}" if number else "v"
