"""The table of operators: a name, and what graphc computes for it.

An operator is a function of a `Call`, which is one node of a model with its operands, or a line that names a function of operands
alone. `gx.onnx.register("domain::Op", function)` adds to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc.onnx.checks import NEWEST, NODE, named, shown
from graphc.onnx.errors import ModelError
from graphc.onnx.values import MOST, Array, Value, is_known, is_sizes, known, symbol

if TYPE_CHECKING:
    from graphc.onnx.reading import Reader

Operator = Callable[["Call"], Any]
OPERATORS: dict[str, Operator] = {}  # "Add", or "domain::Op" for those that are not ONNX's own
KNOWN: dict[str, Callable[..., Any]] = {}  # what NumPy computes of known values


@dataclass
class Call:
    """One node of a model: its operator, its attributes, and what its operands stand for."""

    operator: str
    name: str
    inputs: list[Value | None]
    attrs: dict[str, Any]
    version: int  # of the operator set
    outputs: tuple[str, ...]
    reader: Reader
    scope: dict[str, Value] = field(default_factory=dict)  # what its graphs see
    node: Any = None  # as the model has it

    def error(self, what: str, hint: str | None = None) -> ModelError:
        """The error of this node."""
        return ModelError(f"{named(self.node)}: {what}", hint=hint)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attrs.get(name, default)

    def given(self, i: int) -> bool:
        """Whether there is an operand i."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def value(self, i: int) -> Any:
        """An operand as it is."""
        if i >= len(self.inputs) or (found := self.inputs[i]) is None:
            raise self.error(f"operand {i} is missing")
        return found

    def __getitem__(self, i: int) -> Any:
        """An operand as a symbol."""
        value = self.value(i)
        if isinstance(value, list):
            raise self.error(f"operand {i} is a sequence")
        return symbol(value)

    def having(self, operator: str, inputs: Sequence[Value | None], **attrs: Any) -> Call:
        """A node of ONNX's own in this one's place; an attribute that is None is left out."""
        given = {name: value for name, value in attrs.items() if value is not None}
        version = self.reader.versions.get("", NEWEST)
        return replace(self, operator=operator, inputs=list(inputs), attrs=given, version=version, outputs=self.outputs[:1])

    def symbols(self) -> list[Any]:
        """All operands as symbols."""
        return [self[i] for i in range(len(self.inputs))]

    def broadcast(self) -> list[Any]:
        """All operands as symbols that broadcast: sizes that must be equal, though their expressions are not, are one."""
        return aligned(self.symbols())

    def maybe(self, i: int) -> Any:
        """An operand as a symbol, if there is one."""
        return self[i] if self.given(i) else None

    def known(self, i: int, what: str) -> Array:
        """An operand that must be known when the model is read: a shape, axes, a size."""
        value = self.value(i)
        if not is_known(value):
            found = _size_behind(value)
            if found is None:
                found = self.reader.computed(value, f"{named(self.node)}: what its {what} depends on")
            if found is None:
                needs = self.reader.needed(value)
                given = ", ".join(f"{name!r}: ..." for name in needs)
                hint = f"gx.onnx.load(..., values={{{given}}})" if needs else None
                before = [n for n, v in zip(self.node.input, self.inputs, strict=False) if isinstance(v, gx.Tensor)]
                if hint is not None and self.reader.depth == 0:
                    hint += f"; what comes before this node alone: outputs={shown(str(before), 200)}"
                error = self.error(f"its {what} is data: {value.type}", hint=hint)
                error.needs = needs
                raise error
            value = found
        return np.asarray(value)

    def ints(self, i: int, what: str) -> list[Any]:
        """Numbers and sizes of an operand that must be known."""
        return [v if isinstance(v, gx.Dim) else int(v) for v in self.known(i, what).reshape(-1)]

    def sequence(self, i: int) -> list[Value]:
        """An operand that is a list."""
        value = self.inputs[i] if i < len(self.inputs) else None
        if not isinstance(value, list):
            raise self.error(f"operand {i} is no sequence")
        return value

    def subgraph(self, attr: str, *arguments: Any) -> list[Any]:
        """The outputs of a graph among its attributes."""
        graph = self.attrs[attr]
        if len(graph.input) != len(arguments):
            raise self.error(f"its {attr} has {len(graph.input)} inputs instead of {len(arguments)}")
        return self.reader.graph(graph, self.scope, arguments)

    def elements(self, count: Any, what: str, each: int = 1) -> Any:
        """A number of what is made now, each of so many elements; ModelError where it is none, or more than models may make."""
        if isinstance(count, gx.Dim):
            raise self.error(f"its {what} is not known: {count}", hint="gx.onnx.load(..., sizes={...})")
        if count < 0 or count != count:
            raise self.error(f"its {what} is {count}")
        self.reader.allowance.spend(int(min(count, 2**62)) * each, f"{named(self.node)}: its {what}, {count},")
        return count

    def loop(self) -> None:
        """Count a loop, whose body is gone through more than once."""
        self.reader.allowance.spend(16 * NODE, f"{named(self.node)}: its loop")

    def each(self, name: str, count: int, default: Any = 1) -> list[Any]:
        """An attribute with a number for each of so many axes."""
        found = self.attr(name)
        if found is None:
            return [default] * count
        if len(found) != count:
            raise self.error(f"its {name} are {len(found)} numbers instead of {count}")
        return list(found)

    def pieces(self, count: Any, what: str) -> Any:
        """The same for what costs as much as a node: windows, slices, entries of a list."""
        return self.elements(count, what, NODE)

    def listed(self, i: int, attr: str, default: Any = None) -> Any:
        """Integers that older operator sets have as an attribute, and newer ones as an operand."""
        return self.ints(i, attr) if self.given(i) else self.attr(attr, default)


def _size_behind(value: Any) -> Array | None:
    """The size that a symbol is, whatever type it was cast to."""
    while value.op.name in ("astype", "reshape", "stack") and value.size == 1:
        (value,) = value.inputs
    size = value.attrs["value"] if value.op.name == "full" and value.size == 1 else None
    return known(size) if isinstance(size, gx.Dim) else None


def aligned(values: Sequence[Any], but: int | None = None, stretch: bool = True) -> list[Any]:
    """Symbols whose sizes agree as far as a call can make them: of different ones along an axis, a number if there is one.

    but: an axis that is left as it is. stretch: whether a size of 1 fits every other.
    """
    rank = max((v.ndim for v in values), default=0)
    chosen: dict[int, Any] = {}
    for axis in range(rank):
        found = [v.shape[axis - rank] for v in values if v.ndim >= rank - axis]
        found = [n for n in found if not stretch or not isinstance(n, int) or n != 1]
        chosen[axis] = next((n for n in found if isinstance(n, int)), found[0] if found else 1)
    made = []
    for v in values:
        shape = []
        for axis, n in enumerate(v.shape, rank - v.ndim):
            shape.append(chosen[axis] if isinstance(n, gx.Dim) and axis != but else n)
        made.append(gx.ensure_shape(v, tuple(shape)))
    return made


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Put a function of calls into the table."""

    def add(function: Operator) -> Operator:
        for name in names:
            OPERATORS[name] = function
        return function

    return add


def lines(**functions: Callable[..., Any]) -> None:
    """Operators that are functions of their operands, which broadcast."""
    for name, function in functions.items():
        OPERATORS[name] = partial(_line, function)


def _line(function: Callable[..., Any], call: Call) -> Any:
    return function(*call.broadcast())


def on_known(**functions: Callable[..., Any]) -> None:
    """What NumPy computes where all operands are known."""
    KNOWN.update(functions)


def apply(call: Call) -> Any:
    """What a node gives: a value, or several."""
    fold = KNOWN.get(call.operator)
    if fold is not None and call.inputs and all(v is None or is_known(v) for v in call.inputs):
        arrays = [v for v in call.inputs if isinstance(v, np.ndarray)]
        call.elements(math.prod(np.broadcast_shapes(*(a.shape for a in arrays))), "result's size")
        if any(map(is_sizes, arrays)) or all(a.size <= MOST and a.dtype.kind in "iub" for a in arrays):
            return _folded(fold, arrays)
    function = OPERATORS.get(call.operator)
    if function is None:
        raise call.error("graphc has no such operator", hint='add it: gx.onnx.register("domain::Op", function)')
    return function(call)


def _folded(fold: Callable[..., Any], arrays: Sequence[Array]) -> Array:
    result = np.asarray(fold(*arrays))
    if result.dtype == object and all(isinstance(v, (bool, np.bool_)) for v in result.reshape(-1)) and result.size:
        return result.astype(bool)
    if result.dtype == object and all(isinstance(v, (int, np.integer)) for v in result.reshape(-1)):
        return result.astype(np.int64)
    return result
