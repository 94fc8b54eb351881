"""Programs as data: a line of JSON, then arrays, which another process reads back in milliseconds. Texts are for people.

    {"atoms": numbers and texts, "rows": objects, each after those that it is made of, "arrays": their types, shapes and places,
     "root": what is meant}

An atom or a row is written once, however often it stands in a program. A row is the name of a class and the numbers of its parts:
atoms are counted first, then rows. Arrays may be kept elsewhere: then a name stands in the place. Only the classes of programs
are read, nothing else is ever made or called.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from graphc.errors import GraphError, Where
from graphc.ir import dims, program, scalar, signature
from graphc.ir.combines import Combine
from graphc.ir.operation import VOCABULARY, Operation, Requirement
from graphc.ir.target import Target
from graphc.ir.types import DTYPES, ArrayValue, DType, TensorType, TupleType, as_dtype

_CLASSES: dict[str, type] = {
    made.__name__: made
    for made in (
        program.Program, program.Buffer, program.Call, program.Kernel, program.HostCall, program.Collective, program.Steps,
        program.Param, program.Scratch, program.Axis, program.Block, program.Load, program.Store, program.Init, program.Reduce,
        program.Join, program.Accumulate, program.Loop, program.While, program.Branch, program.Contract, scalar.Let,
        scalar.Const, scalar.Ref, signature.Signature, signature.Argument, signature.State, signature.SizeRule, Requirement,
        Combine, TensorType, dims.FloorDiv, dims.Max0,
    )
}  # fmt: skip
_FIELDS = {made: tuple(f.name for f in fields(made)) for made in _CLASSES.values()}
_BY_NAME = {d.name: d for d in DTYPES}
_LINE = 64  # bytes: where arrays begin, as those of programs that were just made
_ATOMS = frozenset((bool, int, float, str, type(None)))


class NoData(GraphError):
    """Something that is no data: a function, a graph, an operation that is not graphc's."""


class _Encoder:
    def __init__(self, target: Target, places: Mapping[Where, int]) -> None:
        self.target, self.places = target, places
        self.atoms: dict[tuple[type, str], int] = {}  # by what they are, floats to the bit
        self.values: list[Any] = []
        self.rows: dict[tuple[Any, ...], int] = {}
        self.arrays: list[Any] = []
        self.known: dict[int, tuple[int, Any]] = {}  # by identity: the number, and the object, which so stays alive

    def add(self, value: Any) -> int:
        """The number of a value: of atoms 0, 1, ..., of rows -1, -2, ..."""
        kind = type(value)
        if kind in _ATOMS:
            key = kind, value if kind is str else repr(value)
            number = self.atoms.get(key)
            if number is None:
                number = self.atoms[key] = len(self.values)
                self.values.append(value)
            return number
        known = self.known.get(id(value))
        if known is None:
            row = self._row(value, kind)
            known = self.known[id(value)] = self.rows.setdefault(row, -1 - len(self.rows)), value
        return known[0]

    def _row(self, value: Any, kind: type) -> tuple[Any, ...]:
        """The name of the class, then the numbers of what it is made of."""
        add = self.add
        if kind is tuple:
            return "tuple", *[add(part) for part in value]
        if kind in _FIELDS:
            return kind.__name__, *[add(getattr(value, name)) for name in _FIELDS[kind]]
        if kind is dims.Dim:
            return "Dim", add(value.terms)
        if isinstance(value, DType):
            return "DType", add(value.name)
        if isinstance(value, Where):
            place = self.places.get(value)
            return ("Where", add(value.file), add(value.line)) if place is None else ("Place", add(place))
        if isinstance(value, TupleType):
            return "TupleType", add(value.parts)
        if isinstance(value, Mapping):
            return "dict", *[add(part) for pair in value.items() for part in pair]
        if isinstance(value, (np.ndarray, ArrayValue)):
            array = np.asarray(value.array if isinstance(value, ArrayValue) else value, order="C")
            self.arrays.append(array)
            return "Constant" if isinstance(value, ArrayValue) else "Array", add(len(self.arrays) - 1)
        if isinstance(value, Operation) and VOCABULARY.get(value.name) is value:
            return "Operation", add(value.name)
        if isinstance(value, Target) and value == self.target:
            return ("Target",)
        raise NoData(f"{kind.__name__} is no data of programs")


def encode(
    value: Any, target: Target, places: Mapping[Where, int], apart: Callable[[np.ndarray[Any, Any]], str | None] | None = None
) -> bytes:  # fmt: skip
    """A program, or a tuple of what programs are made of, as data.

    target: that of the program, which is not written. places: lines of the user's source that are written as numbers, since they
    may have others when the data is read. apart: keeps an array elsewhere and gives its name, or None, and it is written. NoData
    where the program has parts that are not data.
    """
    encoder = _Encoder(target, places)
    root = encoder.add(value)
    count = len(encoder.values)
    order = [[row[0], *[n if n >= 0 else count - 1 - n for n in row[1:]]] for row in encoder.rows]
    blocks: list[bytes] = []
    arrays, at = [], 0
    for array in encoder.arrays:
        name = None if apart is None else apart(array)
        arrays.append((as_dtype(array.dtype).name, array.shape, at if name is None else name, array.nbytes))
        if name is None:
            blocks.append(array.tobytes())
            at += array.nbytes
    head = {
        "atoms": encoder.values, "rows": order, "arrays": arrays, "root": root if root >= 0 else count - 1 - root,
    }  # fmt: skip
    return b"".join((json.dumps(head, separators=(",", ":")).encode(), b"\n", *blocks))


def decode(
    data: bytes, target: Target, places: Sequence[Where | None], fetch: Callable[[str, np.ndarray[Any, Any]], bool] | None = None
) -> Any:  # fmt: skip
    """What `encode` was given; ValueError, KeyError, TypeError or IndexError where the data is damaged.

    fetch: fills an array that is kept elsewhere, by its name; False where that is not there.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float32")
    >>> made = gx.compile([x], gx.exp(x) + 1).program
    >>> str(decode(encode(made, made.target, {}), made.target, [])) == str(made)
    True
    """
    end = data.index(b"\n") + 1
    head = json.loads(data[:end])
    arrays = []
    for dtype, shape, at, size in head["arrays"]:
        array = _empty(shape, _BY_NAME[dtype].numpy)
        if isinstance(at, int):
            array.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8, size, end + at)
        elif fetch is None or not fetch(at, array):
            raise KeyError(at)
        array.flags.writeable = False
        arrays.append(array)
    values: list[Any] = list(head["atoms"])
    append, made = values.append, _makers(target, places, arrays)
    for name, *parts in head["rows"]:
        append(made[name](*[values[part] for part in parts]))
    return values[head["root"]]


def _empty(shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """An array that begins at a line of the cache."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def _makers(target: Target, places: Sequence[Where | None], arrays: Sequence[Any]) -> dict[str, Callable[..., Any]]:
    """How an object of each class is made of its parts."""
    return {
        **_CLASSES,
        "tuple": lambda *parts: parts,
        "dict": lambda *parts: dict(zip(parts[::2], parts[1::2], strict=True)),
        "Dim": dims.Dim,
        "DType": _BY_NAME.__getitem__,
        "Where": Where,
        "Place": places.__getitem__,
        "TupleType": TupleType,
        "Array": arrays.__getitem__,
        "Constant": lambda number: ArrayValue(arrays[number]),
        "Operation": VOCABULARY.__getitem__,
        "Target": lambda: target,
    }


__all__ = ["NoData", "decode", "encode"]
