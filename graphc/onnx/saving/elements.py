"""Scalar code as ONNX nodes: what a kernel does for one element, done for all elements at once.

    out[i, j] = exp(x[i, j]) + b[j]        Exp(x), Add(exp, b)        an operand that lies as the result does is read as it is
    out[i] = x[n - 1 - i]                  Gather(x, n - 1 - Range(0, n))
    out[i] = x[place(k[i])]                the same of all elements in a row, by their places there

Every value has the rank of the result or less, and broadcasts to it; what loop variables stand for are ranges along their axis.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import dims, scalar
from graphc.ir import types as t
from graphc.ir.dims import Dim, Ranges, Shape, Size, symbol
from graphc.ir.scalar import Arg, Const, Ref, Scalars
from graphc.ir.types import DType, TensorType
from graphc.onnx.saving.formulas import written
from graphc.onnx.saving.writing import Value, Writer

STORED = frozenset(("select", "cast", "bitcast"))  # what is done with floats of 16 bits as they are


class Elements(Scalars):
    """The scalars of one operation's result.

    given: for every operand its type, what it has become, and the shape of that: it broadcasts to the operand's.
    """

    def __init__(self, writer: Writer, given: Sequence[tuple[TensorType, Value, Shape]], result: TensorType) -> None:
        self.writer, self.given, self._result = writer, given, result
        self.axes: dict[str, frozenset[int]] = {}  # of the result, along which a value varies
        self.ranks: dict[str, int] = {}
        self.known: dict[str, Value] = {}

    @property
    def loops(self) -> tuple[Size, ...]:
        """The loop variables of the result's axes."""
        return tuple(0 if n == 1 else symbol(f"#{k}") for k, n in enumerate(self._result.shape))

    # --- what rules ask for ---

    @property
    def operands(self) -> int:
        return len(self.given)

    def type(self, operand: int) -> TensorType:
        return self.given[operand][0]

    @property
    def result(self) -> TensorType:
        return self._result

    @property
    def ranges(self) -> Ranges:
        return {f"#{k}": n for k, n in enumerate(self._result.shape)}

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        if op == "index":
            return self._index(index)
        values = [self.value(a) for a in args]
        if op not in STORED and any(v.dtype.is_storage for v in values):
            wide = [scalar.Value(self, a) for a in args]
            found = self.op(op, *(self.cast(v, v.dtype.arithmetic) for v in wide))
            return self.cast(found, dtype).arg if dtype.is_storage else found.arg
        made = written(self, op, args, values, dtype)
        if not isinstance(made, Value):
            return made
        axes: frozenset[int] = frozenset().union(*(self.axes.get(v.name, frozenset()) for v in values))
        return self._ref(made, axes, max((self.ranks.get(v.name, 0) for v in values), default=0))

    def load(self, operand: int, index: Sequence[Size], guard: scalar.Value | None = None) -> scalar.Value:
        _, value, shape = self.given[operand]
        index = tuple(0 if n == 1 else i for i, n in zip(tuple(index)[len(index) - len(shape) :], shape, strict=True))
        found = self._direct(value, shape, index) or (None if guard else self._along_one_axis(value, shape, index))
        loaded = scalar.Value(self, found or self._anywhere(value, shape, index, guard is not None))
        return loaded if guard is None else self.select(guard, loaded, self.const(0, loaded.dtype))

    # --- reading ---

    def _axis_of(self, index: Size, size: Size) -> int | None:
        """The axis of the result whose loop variable an index is, if it runs over the whole of an operand's axis."""
        match index:
            case Dim(terms=((((str(name),), 1),))) if name.startswith("#") and self._result.shape[int(name[1:])] == size:
                return int(name[1:])
        return None

    def _direct(self, value: Value, shape: Shape, index: tuple[Size, ...]) -> Ref | None:
        places = [None if n == 1 else self._axis_of(i, n) for i, n in zip(index, shape, strict=True)]
        if any(p is None and n != 1 for p, n in zip(places, shape, strict=True)):
            return None
        return self._placed(value, shape, places)

    def _placed(self, value: Value, shape: Shape, places: Sequence[int | None]) -> Ref | None:
        """A value whose axes are axes of the result, in their order and with axes of size 1 between."""
        used = [p for p in places if p is not None]
        if len(set(used)) < len(used):
            return None
        order = sorted((p, a) for a, p in enumerate(places) if p is not None)
        full = self._result.shape
        first = min(used, default=len(full))
        axes, rank = frozenset(used), len(full) - first
        wanted = tuple(full[k] if k in axes else 1 for k in range(first, len(full)))
        w = self.writer
        if used != sorted(used):
            rest = [a for a, p in enumerate(places) if p is None]
            value = w.op("Transpose", value, perm=[*rest, *(a for _, a in order)])
            shape = (*(1 for _ in rest), *(shape[a] for _, a in order))
        if tuple(shape)[len(shape) - rank :] == wanted and len(shape) <= len(full):
            return self._ref(value, axes, len(shape))
        return self._ref(w.reshape(value, wanted), axes, rank)

    def _along_one_axis(self, value: Value, shape: Shape, index: tuple[Size, ...]) -> Ref | None:
        """A value of which one axis is read by an expression of one loop variable."""
        places = [None if n == 1 else self._axis_of(i, n) for i, n in zip(index, shape, strict=True)]
        other = [a for a, (p, n) in enumerate(zip(places, shape, strict=True)) if p is None and n != 1]
        if len(other) != 1:
            return None
        (axis,) = other
        loops = [name for name in dims.names(index[axis]) if name.startswith("#")]
        if len(loops) != 1 or any(name.startswith("%") for name in dims.names(index[axis])):
            return None
        w, k = self.writer, int(loops[0][1:])
        if k in places:
            return None
        count = self._result.shape[k]
        chosen = w.expression(index[axis], lambda name: w.range(count) if name == loops[0] else w.size(symbol(name)))
        places[axis] = k
        size = (*shape[:axis], self._result.shape[k], *shape[axis + 1 :])
        return self._placed(w.move("Gather", value, chosen, axis=axis), size, places)

    def _anywhere(self, value: Value, shape: Shape, index: tuple[Size, ...], guarded: bool) -> Ref:
        """Elements by their places in a row of all."""
        w = self.writer
        count = dims.product(shape)
        flat = value if len(shape) == 1 else w.op("Reshape", value, w.ints([-1]))
        place = self.value(self._index(dims.ravel(index, shape)))
        if guarded:  # where nothing is read the place is any
            last = dims.sub(count, 1)
            if not dims.is_nonnegative(last):
                flat = w.move("Concat", flat, w.constant([0], value.dtype), axis=0)  # for an operand that is empty
                last = count
            bounded = w.op("Max", w.op("Min", place, w.size(last)), w.scalar(0, t.int64))
            self._ref(bounded, self.axes.get(place.name, frozenset()), self.ranks.get(place.name, 0))
            place = bounded
        axes, rank = self.axes.get(place.name, frozenset()), self.ranks.get(place.name, 0)
        return self._ref(w.move("Gather", flat, place, axis=0), axes, rank)

    # --- values ---

    def _ref(self, value: Value, axes: frozenset[int], rank: int) -> Ref:
        self.known[value.name] = value
        self.axes[value.name], self.ranks[value.name] = axes, rank
        return Ref(value.name, value.dtype)

    def value(self, arg: Arg) -> Value:
        """What a scalar has become."""
        return self.writer.scalar(arg.value, arg.dtype) if isinstance(arg, Const) else self.known[arg.name]

    def _index(self, size: Size) -> Arg:
        if isinstance(size, int):
            return Const(size, t.int64)
        rank = len(self._result.shape)
        names = dims.names(size)
        axes = frozenset(int(n[1:]) for n in names if n.startswith("#"))
        data = [n[1:] for n in names if n.startswith("%")]
        axes = axes.union(*(self.axes.get(n, frozenset()) for n in data))
        ranks = [rank - k for k in axes if f"#{k}" in names] + [self.ranks.get(n, 0) for n in data]
        return self._ref(self.writer.expression(size, self._named), axes, max(ranks, default=0))

    def _named(self, name: str) -> Value:
        w = self.writer
        if name.startswith("%"):
            return self.known[name[1:]]
        if not name.startswith("#"):
            return w.size(symbol(name))
        k, rank = int(name[1:]), len(self._result.shape)
        line = w.range(self._result.shape[k])
        return line if k == rank - 1 else w.op("Reshape", line, w.ints([-1, *(1,) * (rank - k - 1)]))

    def whole(self, found: scalar.Value, dtype: DType) -> Value:
        """A value with all axes of the result, in its type."""
        value = self.writer.cast(self.value(found.arg), dtype) if dtype != found.dtype else self.value(found.arg)
        name = found.arg.name if isinstance(found.arg, Ref) else ""
        missing = {k for k, n in enumerate(self._result.shape) if n != 1} - self.axes.get(name, frozenset())
        if missing or self.ranks.get(name, 0) != len(self._result.shape):
            value = self.writer.expand(value, self._result.shape)
        return value


__all__ = ["Elements"]
