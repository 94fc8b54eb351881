"""The program interpreter: a program run statement by statement, slowly, after any pass that makes or changes programs.

It is to programs what interpreter.py is to graphs. Memory is checked as it is used: an index outside its array, a value that is
read before it is written, and two iterations of a parallel loop that meet at one element are errors.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from graphc.backends.executable import Storage, Timing
from graphc.backends.interpreter import SAMPLES, bind_dims, bind_runs, call_host
from graphc.errors import GraphError
from graphc.ir import combines, dims
from graphc.ir import program as ir
from graphc.ir import types as t
from graphc.ir.combines import Combine
from graphc.ir.dims import Size
from graphc.ir.operation import VOCABULARY, Collective
from graphc.ir.primitives import PRIMITIVES
from graphc.ir.scalar import Arg, Const, Let, Scalars, Value, scalar_text
from graphc.ir.types import DType, TensorType, TupleType
from graphc.ir.world import world

Array = np.ndarray[Any, Any]
ALIGNMENT = 64  # bytes


class Memory:
    """An array; which of its elements hold a value; and which iteration of the kernel that runs has written each."""

    def __init__(self, array: Array, holds: bool) -> None:
        self.array = array
        self.holds: Array = np.full(array.shape, holds)
        self.writer: Array = np.full(array.shape, -1)

    def shaped(self, shape: tuple[int, ...]) -> Memory:
        """The same elements under another shape."""
        if shape == self.array.shape:
            return self
        made = Memory.__new__(Memory)
        made.array, made.holds, made.writer = (a.reshape(shape) for a in (self.array, self.holds, self.writer))
        return made


def evaluate_program(
    program: ir.Program, arrays: Sequence[Array], sizes: Mapping[str, int], variables: Mapping[str, Array] | None = None,
    watch: Callable[[ir.Call, float], None] | None = None, updated: Sequence[str] = (),
) -> tuple[list[Array], dict[str, Array]]:  # fmt: skip
    """The outputs of a program, and what its variables hold then. Nothing that is given is written.

    arrays: the inputs, in order. sizes: every symbolic dimension. variables: their values by the names of their buffers.
    watch: told how long each call took, in seconds.
    updated: inputs that it updates as it does variables, as the program of steps does.
    """
    memory = _memory(program, arrays, sizes, variables or {})
    under_way: dict[int, Array] = {}
    with np.errstate(all="ignore"):
        for call in program.calls:
            before = perf_counter()
            given = [memory[name].shaped(_shape(p.type, sizes)) for name, p in zip(call.buffers, call.kernel.params, strict=True)]
            match call.kernel:
                case ir.Kernel() as kernel:
                    run_kernel(kernel, given, sizes, program.target.fma)
                case ir.HostCall() as host_call:
                    _run_host_call(host_call, given, sizes)
                case ir.Collective() as collective:
                    _run_collective(collective, given, sizes, under_way)
                case ir.Steps() as steps:
                    _run_steps(steps, given, sizes)
            if watch is not None:
                watch(call, perf_counter() - before)
    for name in program.outputs:
        if not memory[name].holds.all():
            raise GraphError(f"program {program.name}: not all of the output {name} is written")
    state = {b.name: memory[b.name].array for b in program.buffers.values() if b.role == "variable" or b.name in updated}
    news = {variable: memory[source].array for variable, source in program.updates}
    return [np.array(memory[name].array) for name in program.outputs], {**state, **news}


def _shape(kind: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(dims.evaluate(n, sizes) for n in kind.shape)


def _memory(
    program: ir.Program, arrays: Sequence[Array], sizes: Mapping[str, int], variables: Mapping[str, Array]
) -> dict[str, Memory]:  # fmt: skip
    """The memory of each buffer. Temporaries of one slot of the arena have the same."""
    arena = [np.full(-(-dims.evaluate(n, sizes) // ALIGNMENT) * ALIGNMENT, 0xA5, np.uint8) for n in program.slots]
    given = dict(zip(program.inputs, arrays, strict=True))
    found = {}
    for b in program.buffers.values():
        shape, dtype = _shape(b.type, sizes), b.type.dtype.numpy
        if b.role == "input":
            found[b.name] = Memory(np.array(given[b.name], order="C"), True)
        elif b.role == "constant":
            found[b.name] = Memory(np.array(b.value, order="C"), True)
        elif b.role == "variable":
            if b.name not in variables:
                raise GraphError(f"program {program.name}: the variable {b.name} has no value")
            found[b.name] = Memory(np.array(variables[b.name], order="C"), True)
        elif b.slot is not None:
            count = int(np.prod(shape))
            if count * dtype.itemsize > arena[b.slot].nbytes:
                raise GraphError(f"program {program.name}: {b.name} of {count * dtype.itemsize} bytes is more than slot {b.slot}")
            found[b.name] = Memory(arena[b.slot][: count * dtype.itemsize].view(dtype).reshape(shape), False)
        else:
            found[b.name] = Memory(np.zeros(shape, dtype), False)
    return found


def run_kernel(kernel: ir.Kernel, memory: Sequence[Memory], sizes: Mapping[str, int], fma: bool = True) -> None:
    """Run a kernel on the memory of its parameters; `fma` says whether the terms of products of matrices are rounded once."""
    for m in memory:
        m.writer[...] = -1
    shared = dict(zip((p.name for p in kernel.params), memory, strict=True))
    extents = [dims.evaluate(a.extent, sizes) for a in kernel.parallel]
    for number, point in enumerate(np.ndindex(*extents)):
        env = _Names(sizes)
        env.update({a.var: dims.evaluate(a.start, sizes) + i for a, i in zip(kernel.parallel, point, strict=True)})
        scratch = [(s.name, _shape(TensorType(s.dtype, s.shape), sizes), s.dtype.numpy) for s in kernel.scratch]
        own = {name: Memory(np.zeros(shape, dtype), False) for name, shape, dtype in scratch}
        _Iteration(kernel, number, {**shared, **own}, env, fma).run(kernel.body)


class _Names(dict[str, int]):
    """The sizes and loop variables of index expressions, and the scalars that they name with a %."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__(sizes)
        self.scalars: dict[str, Any] = {}

    def __missing__(self, name: str) -> int:
        return int(self.scalars[name[1:]])


class _Iteration:
    """One run of a kernel's body."""

    def __init__(self, kernel: ir.Kernel, number: int, memory: Mapping[str, Memory], env: _Names, fma: bool) -> None:
        self.kernel = kernel
        self.fma = fma
        self.number = number
        self.memory = memory
        self.env = env
        self.values = env.scalars
        self.best: dict[str, Any] = {}  # what argmax and argmin have found so far

    def error(self, what: str) -> GraphError:
        return GraphError(f"kernel {self.kernel.name}: {what}", where=self.kernel.where[0] if self.kernel.where else None)

    # --- scalars and memory ---

    def size(self, size: Size) -> int:
        return dims.evaluate(size, self.env)

    def arg(self, arg: Arg) -> Any:
        return arg.dtype.numpy.type(arg.value) if isinstance(arg, Const) else self.values[arg.name]

    def block(self, block: ir.Block) -> Any:
        self.run(block.body)
        return self.arg(block.value)

    def place(self, what: str, name: str, index: Sequence[Size]) -> tuple[Memory, tuple[int, ...]]:
        memory, at = self.memory[name], tuple(map(self.size, index))
        if len(at) != memory.array.ndim or not all(0 <= i < n for i, n in zip(at, memory.array.shape, strict=True)):
            raise self.error(f"{what} {name}{list(at)}, which is outside of {list(memory.array.shape)}")
        return memory, at

    def load(self, name: str, index: Sequence[Size]) -> Any:
        memory, at = self.place("load", name, index)
        if not memory.holds[at]:
            raise self.error(f"load {name}{list(at)}, which nothing has written")
        if memory.writer[at] not in (-1, self.number):
            raise self.error(f"load {name}{list(at)}, which another iteration of the parallel loop has written")
        return memory.array[at]

    def store(self, name: str, index: Sequence[Size], value: Any) -> None:
        memory, at = self.place("store", name, index)
        if memory.writer[at] not in (-1, self.number):
            raise self.error(f"store {name}{list(at)}, where another iteration of the parallel loop has stored")
        memory.array[at], memory.holds[at], memory.writer[at] = value, True, self.number

    def turns(self, axis: ir.Axis | ir.Loop) -> Iterator[int]:
        """The values of a loop variable."""
        for i in range(self.size(axis.start), self.size(axis.stop)):
            self.env[axis.var] = i
            yield i

    # --- statements ---

    def run(self, body: Sequence[ir.Statement]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, statement: ir.Statement) -> None:
        match statement:
            case Let(name, dtype, op, args, index):
                self.values[name] = np.int64(self.size(index)) if op == "index" else apply(op, dtype, *map(self.arg, args))
            case ir.Load(name, dtype, buffer, index, guard):
                reads = guard is None or bool(self.arg(guard))
                self.values[name] = self.load(buffer, index) if reads else dtype.numpy.type(0)
            case ir.Store(buffer, index, value):
                self.store(buffer, index, self.arg(value))
            case ir.Accumulate(buffer, index, combine, value):
                self.store(buffer, index, combined(combine, self.load(buffer, index), self.arg(value)))
            case ir.Init(name, dtype, combine):
                start = combine.neutral(dtype)
                self.values[name] = np.int64(0) if combine.positions else self.arg(start)
                self.best[name] = self.arg(start)
            case ir.Reduce(name, _, combine, value, position):
                self.reduce(name, combine, self.arg(value), position)
            case ir.Join(name, _, combine, buffer):
                self.values[name] = self.join(combine, buffer)
            case ir.Loop():
                for _ in self.turns(statement):
                    self.run(statement.body)
            case ir.While(test, body):
                while bool(self.block(test)):
                    self.run(body)
            case ir.Branch(index, bodies):
                self.run(bodies[min(max(int(self.arg(index)), 0), len(bodies) - 1)])
            case ir.Contract():
                self.contract(statement)

    def reduce(self, name: str, combine: Combine, value: Any, position: Size | None) -> None:
        if not combine.positions:
            self.values[name] = combined(combine, self.values[name], value)
            return
        best = self.best[name]
        better = value > best if combine == combines.ARGMAX else value < best
        if better or (value != value and best == best):  # the first NaN is more than all numbers, and less
            self.best[name], self.values[name] = value, np.int64(self.size(position or 0))

    def join(self, combine: Combine, buffer: str) -> Any:
        """The elements of scratch as one: the first half with the second, until one is left."""
        left = [self.load(buffer, (i,)) for i in range(len(self.memory[buffer].array))]
        while len(left) > 1:
            half = len(left) // 2
            left = [combined(combine, a, b) for a, b in zip(left[:half], left[half:], strict=True)]
        return left[0]

    def contract(self, c: ir.Contract) -> None:
        """Each side once for each of its elements; then the sums, run by run in the order of k."""
        run = ir.RUN if c.run is None else self.size(c.run)
        late = 0 if c.origin is None else (self.size(c.k.start) - self.size(c.origin)) % run  # what the first run lacks
        left = [[self.block(c.left) for _ in self.turns(c.k)] for _ in self.turns(c.m)]
        right = [[self.block(c.right) for _ in self.turns(c.k)] for _ in self.turns(c.n)]
        for row, _ in zip(left, self.turns(c.m), strict=True):
            for column, _ in zip(right, self.turns(c.n), strict=True):
                self.values[c.result] = self.sum_of_products(row, column, c.dtype, run, late)
                self.run(c.epilogue)

    def sum_of_products(self, row: Sequence[Any], column: Sequence[Any], dtype: DType, run: int, late: int) -> Any:
        total = dtype.numpy.type(0)
        for first in range(-late, len(row), run):
            part = dtype.numpy.type(0)
            here = slice(max(first, 0), first + run)
            for x, y in zip(row[here], column[here], strict=True):
                part = PRIMITIVES["fma"](x, y, part) if dtype.is_float and self.fma else part + x * y
            total = total + part if first > 0 else part
        return total


def apply(op: str, dtype: DType, *args: Any) -> Any:
    """What a scalar operation gives: a primitive, or one that `expand_math` writes in primitives."""
    if op in ("cast", "bitcast"):
        return PRIMITIVES[op](args[0], dtype)
    found = PRIMITIVES.get(op) if not _integers_only(op, args) else None
    return np.asarray((found or VOCABULARY[_SPELLED.get(op, op)].reference)(*args), dtype.numpy)[()]


_SPELLED = {"left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift"}


def _integers_only(op: str, args: Sequence[Any]) -> bool:
    """Whether it is rounding of integers, which leaves them as they are."""
    return op in ("floor", "ceil", "trunc") and args[0].dtype.kind in "biu"


_COMBINES: Mapping[Combine, Callable[..., Any]] = {
    combines.ADD: np.add,
    combines.MUL: np.multiply,
    combines.MAX: np.maximum,
    combines.MIN: np.minimum,
    combines.AND: np.bitwise_and,
    combines.OR: np.bitwise_or,
    combines.LOGADDEXP: np.logaddexp,
    combines.SET: lambda old, new: new,
}


def combined(combine: Combine, old: Any, new: Any) -> Any:
    """What a combination (ir/combines.py) makes of two values."""
    if not combine.declared:
        return _COMBINES[combine](old, new)
    k = _Calculator()
    kind = t.as_dtype(old.dtype)
    found = scalar_text(combine.code)(k, *(Value(k, Const(v.item(), kind)) for v in (old, new))).arg
    assert isinstance(found, Const)
    return found.dtype.numpy.type(found.value)


class _Calculator(Scalars):
    """Scalar code on numbers, each operation at once."""

    def emit(self, op: str, args: tuple[Arg, ...], dtype: DType, index: Size = 0) -> Arg:
        values = [a.dtype.numpy.type(a.value) for a in args if isinstance(a, Const)]
        return Const(apply(op, dtype, *values).item(), dtype)


# --- steps ---


def _run_steps(steps: ir.Steps, memory: Sequence[Memory], sizes: Mapping[str, int]) -> None:
    """Run the program for each step: carries first, then a slice of each sequence, then what is the same in all."""
    program, at = steps.program, dict(zip((p.name for p in steps.params), memory, strict=True))
    count, each = dims.evaluate(steps.count, sizes), steps.carries + steps.sequences
    given = []
    for i, name in enumerate(program.inputs):
        shape = _shape(program.buffers[name].type, sizes)
        given.append(at[f"x{i}"].array.reshape((count, *shape) if steps.carries <= i < each else shape).copy())
    updated = program.inputs[: steps.carries]
    carries = given[: steps.carries]
    made = [at[f"y{i}"] for i in range(steps.carries, steps.carries + len(program.outputs))]
    for step in range(count):
        now = count - 1 - step if steps.reverse else step
        slices = [sequence[now] for sequence in given[steps.carries : each]]
        results, state = evaluate_program(program, [*carries, *slices, *given[each:]], sizes, updated=updated)
        carries = [state[name] for name in updated]
        for m, result in zip(made, results, strict=True):
            m.array.reshape(count, -1)[now] = result.ravel()
    for m in made:
        m.holds[...] = True
    for i, carry in enumerate(carries):
        end = at.get(f"y{i}", at[f"x{i}"])
        end.array.reshape(-1)[...], end.holds[...] = carry.ravel(), True


# --- calls of Python -------------------------------------------------------------------------------------------------


def _run_body(program: ir.Program, arrays: list[Array], sizes: dict[str, int]) -> list[Array]:
    return evaluate_program(program, arrays, sizes)[0]


def _run_host_call(call: ir.HostCall, memory: Sequence[Memory], sizes: Mapping[str, int]) -> None:
    runs = (partial(_run_body, program) for program in call.programs)
    attrs = {key: bind_runs(value, sizes, runs) for key, value in call.attrs}
    operands = [m.array for m, p in zip(memory, call.params, strict=True) if p.mode != "out"]
    results = [m for m, p in zip(memory, call.params, strict=True) if p.mode != "in"]
    kinds = tuple(TensorType(t.as_dtype(m.array.dtype), m.array.shape) for m in results)
    want = TupleType(kinds) if call.several else kinds[0]
    made = call_host(call.operation, operands, attrs, want, call.where[0] if call.where else None)
    for m, value in zip(results, made if call.several else (made,), strict=True):
        m.array[...], m.holds[...] = value, True


def _run_collective(
    call: ir.Collective, memory: Sequence[Memory], sizes: Mapping[str, int], under_way: dict[int, Array]
) -> None:  # fmt: skip
    """Ranks exchange at the start; what comes of it is known to this one from the wait on."""
    made = memory[-1]
    lowering = call.operation.lowering
    assert isinstance(lowering, Collective)
    if not call.waits:
        attrs = {key: bind_dims(value, sizes) for key, value in call.attrs}
        operands = [m.array for m in memory[:-1]]
        want = call.params[0].type if lowering.passes_on else TensorType(t.as_dtype(made.array.dtype), made.array.shape)
        under_way[call.order] = call_host(call.operation, operands, attrs, want, call.where[0] if call.where else None)
        return
    value = under_way.pop(call.order)
    if lowering.passes_on:
        world().settle()
        value = np.ones(1, np.bool_)
    made.array[...], made.holds[...] = value, True


# --- the backend -----------------------------------------------------------------------------------------------------


class InterpretedProgram:
    """The program interpreter as a backend."""

    kernels: Sequence[Any] = ()
    compilations = 0

    def __init__(self, program: ir.Program, variables: Mapping[str, Storage]) -> None:
        self.program = program
        self.variables = variables

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Array]:
        outputs, state = evaluate_program(self.program, arrays, sizes, self._state)
        for name, value in state.items():
            self.variables[name].data[...] = value
        return outputs

    @property
    def _state(self) -> dict[str, Array]:
        return {name: variable.data for name, variable in self.variables.items()}

    def times(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Timing]:
        """The time of each call, in the program's order."""
        found: list[tuple[ir.Call, float]] = []
        runs = []
        for _ in range(SAMPLES):
            found.clear()
            evaluate_program(self.program, arrays, sizes, self._state, watch=lambda call, seconds: found.append((call, seconds)))
            runs.append([seconds for _, seconds in found])
        return [Timing(statistics.median(samples), min(samples), 1) for samples in zip(*runs, strict=True)]

    def again(self, arguments: tuple[Any, ...]) -> None:
        """The interpreter remembers nothing of a run."""

    def into(self, arguments: tuple[Any, ...], results: list[Any]) -> bool:
        """Results are copied."""
        return False
