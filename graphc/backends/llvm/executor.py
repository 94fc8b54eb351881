"""Run a program: bind its sizes once, then for each call fill a table of addresses and walk it."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.backends.executable import Storage, Timing
from graphc.backends.llvm import runtime
from graphc.backends.llvm.calls import address_of, by_ctypes
from graphc.backends.llvm.collectives import CollectiveKernel, Collectives
from graphc.backends.llvm.compile import Codes, CompiledKernel, Text, compile_kernels
from graphc.backends.llvm.host_call import PythonKernel, row_of
from graphc.backends.llvm.pool import Pool, lines, native_address, pool, walker
from graphc.ir import dims
from graphc.ir.program import Buffer, Call, Called, Collective, HostCall, Kernel, Program, Steps, cost
from graphc.ir.world import world

Array = np.ndarray[Any, Any]
GRAIN = 200_000  # the fewest statements of a tile: beside them, starting a tile costs little on every target
MAX_TILES = 256  # enough for any number of threads
SIDE_BY_SIDE = 4  # vectors of float32 that the longest loop of vectors takes at once
_READABLE, _WRITABLE = 0x101, 0x505  # NumPy's flags: C-contiguous and aligned; and the array's own memory, writable
MAX_BINDINGS = 64  # sizes whose tables and arenas are kept; the oldest goes first


def _aligned(n: int) -> int:
    return (n + 63) // 64 * 64


def _empty(size: int) -> tuple[Array, int]:
    """Memory for `size` bytes and its first address that is a multiple of a cache line."""
    memory = np.empty(size + 64, np.uint8)
    return memory, _aligned(memory.ctypes.data)


@dataclass(frozen=True)
class SteppedKernel:
    """A program of steps: rows of the table that threads run repeatedly. It has no code of its own."""

    name: str
    kernel: Steps
    dims: tuple[str, ...] = ()
    reserve: int = 0

    @property
    def source(self) -> str:
        """The order of the kernels of a step."""
        calls = "".join(f"    {call.kernel.name}\n" for call in self.kernel.program.calls)
        return f"# not a kernel, but others in turn\nfor step in range({self.kernel.count}):\n{calls}"

    def __repr__(self) -> str:
        return f"<steps {self.name}>"


AnyKernel = CompiledKernel | PythonKernel | CollectiveKernel | SteppedKernel


def extent_of(kernel: AnyKernel, env: Mapping[str, int]) -> int:
    """The parallel extent of a kernel."""
    if not isinstance(kernel, CompiledKernel):
        return 1
    return dims.evaluate(dims.product(a.extent for a in kernel.kernel.parallel), env)


def tile_of(kernel: AnyKernel, env: Mapping[str, int], extent: int) -> int:
    """How much of the extent one tile takes: enough work, few tiles, and a multiple of the vector length where it is long.

    The elements after the last whole vector are computed one by one, at ten times the cost.
    """
    if not isinstance(kernel, CompiledKernel):
        return 1
    bound = {a.var: 0 for a in kernel.kernel.parallel}
    unit = cost(kernel.kernel.body, {**env, **bound})
    tile = max(1, int(GRAIN // max(unit, 1)), -(-extent // MAX_TILES))
    vectors = SIDE_BY_SIDE * kernel.target.lanes(4)
    return tile if tile < vectors else -(-tile // vectors) * vectors


def scratch_offsets(kernel: AnyKernel, env: Mapping[str, int]) -> tuple[list[int], int]:
    """The byte offsets of a kernel's scratch arrays, and the bytes they take."""
    if not isinstance(kernel, CompiledKernel):
        return [], 0
    offsets, at = [], kernel.reserve
    for s in kernel.kernel.scratch:
        offsets.append(at)
        at += _aligned(dims.evaluate(dims.product(s.shape), env) * s.dtype.itemsize)
    return offsets, at


_binding = threading.Lock()


def _forget() -> None:
    """In a forked child: the thread that held the lock is gone."""
    global _binding
    _binding = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@dataclass
class Row:
    """A call at given sizes; of steps, with the calls of a step."""

    call: Call
    kernel: AnyKernel
    sizes: list[int]
    extent: int
    tile: int
    tiles: int
    turns: int = 0
    inner: list[Row] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)  # where the slots of a step's arena begin

    @property
    def rows(self) -> int:
        """How many rows of the table it takes."""
        return 4 + sum(row.rows for row in self.inner) if isinstance(self.kernel, SteppedKernel) else 1

    @property
    def collectives(self) -> int:
        """How many of its rows start or wait for what ranks compute together."""
        return sum(row.collectives for row in self.inner) + isinstance(self.kernel, CollectiveKernel)

    @property
    def pointers(self) -> int:
        return len(self.call.buffers) + sum(row.pointers for row in self.inner)

    @property
    def most(self) -> int:
        """The number of tiles of the kernel that has most."""
        return max([self.tiles, *(row.most for row in self.inner)])


def _slots(program: Program, env: Mapping[str, int]) -> tuple[list[int], int]:
    """Where the slots of an arena begin, and its bytes."""
    slots, at = [], 0
    for size in program.slots:
        slots.append(at)
        at += _aligned(dims.evaluate(size, env))
    return slots, at


class Binding:
    """A program at given sizes: everything but the addresses of inputs, outputs, variables and the arena."""

    def __init__(self, native: NativeProgram, env: Mapping[str, int]) -> None:
        program = native.program
        self.env = dict(env)
        self.slots, self.arena_bytes = _slots(program, env)
        self.inputs, self.outputs = (
            [
                (b, tuple(dims.evaluate(n, env) for n in program.buffers[b].type.shape), program.buffers[b].type.dtype.numpy)
                for b in names
            ]
            for names in (program.inputs, native.output_buffers)
        )
        self.scratch_bytes = 0
        self.rows = [self._row(native, call) for call in program.calls]
        self.most = max((row.most for row in self.rows), default=1)
        self.parallel = self.most > 1
        self.free: list[Context] = []

    def _row(self, native: NativeProgram, call: Call) -> Row:
        kernel, steps, env = native.by_name[call.kernel.name], call.kernel, self.env
        if isinstance(steps, Steps):
            inner = [self._row(native, one) for one in steps.program.calls]
            return Row(call, kernel, [], 1, 1, 1, dims.evaluate(steps.count, env), inner, _slots(steps.program, env)[0])
        offsets, need = scratch_offsets(kernel, env)
        self.scratch_bytes = max(self.scratch_bytes, need)
        extent = extent_of(kernel, env)
        tile = tile_of(kernel, env, extent)
        return Row(call, kernel, [env[d] for d in kernel.dims] + offsets, extent, tile, -(-extent // tile))


class Table:
    """The rows of calls, and the words that they point to."""

    def __init__(self, rows: Sequence[Row], env: Mapping[str, int], failed: Callable[[BaseException], None]) -> None:
        self.rows = lines(sum(row.rows for row in rows), runtime.ROW_BYTES // 8)
        self.pointers = np.zeros(max(1, sum(row.pointers for row in rows)), np.int64)
        self.calls: list[tuple[slice, slice]] = []  # for each call its rows, and its pointers
        self.kept: list[Any] = []  # what the rows refer to
        self.env, self.failed = env, failed
        self.collectives: Collectives | None = None
        self.count = sum(row.collectives for row in rows)
        self.row = self.pointer = 0

    def add(self, row: Row, buffers: Mapping[str, Buffer], places: dict[str, list[int]], depth: int = 0) -> None:
        """Add the rows of a call. `places` collects where addresses of buffers go; those of constants are written at once."""
        start = self.row, self.pointer
        at = self.pointers.ctypes.data + 8 * self.pointer
        for i, name in enumerate(row.call.buffers):
            if buffers[name].role == "constant":
                self.pointers[self.pointer + i] = buffers[name].value.ctypes.data
            else:
                places.setdefault(name, []).append(at + 8 * i)
        self.pointer += len(row.call.buffers)
        if isinstance(row.kernel, SteppedKernel):
            self._add_steps(row, at, depth)
        elif isinstance(row.kernel, CollectiveKernel):
            if self.collectives is None:
                self.collectives = Collectives(self.env, self.failed, self.count)
            code, words = self.collectives.row(row.kernel.kernel, depth)
            self._put(code, at, self._words(words), row.extent, row.tile, row.tiles)
        else:
            address = row.kernel.address
            if isinstance(row.kernel, PythonKernel):
                keep, address = row_of(row.kernel, self.env, self.failed)
                self.kept.append(keep)
            self._put(address, at, self._words(row.sizes), row.extent, row.tile, row.tiles)
        if depth == 0:
            self.calls.append((slice(start[0], self.row), slice(start[1], self.pointer)))

    def _add_steps(self, row: Row, at: int, depth: int) -> None:
        inner: dict[str, list[int]] = {}
        begin = self.row
        self.row += 1
        self._put(0, 0, runtime.ROW_BYTES * (row.rows - 1), row.turns, 8 * depth, runtime.FIRST_ROW)
        assert isinstance(row.call.kernel, Steps)
        for call in row.inner:
            self.add(call, row.call.kernel.program.buffers, inner, depth + 1)
        first, then = _moves(row, self.env, inner)
        self._put(native_address("advance"), 0, self._words(then), 1, 1, 1)
        self._put(0, 0, -runtime.ROW_BYTES * (row.rows - 3), row.turns, 8 * depth, runtime.LAST_ROW)
        end, self.row = self.row, begin
        self._put(native_address("begin"), at, self._words(first), 1, 1, 1)
        self.row = end

    def _put(self, *words: int) -> None:
        self.rows[self.row, :6] = words
        self.row += 1

    def _words(self, words: Sequence[int]) -> int:
        """The address of words."""
        self.kept.append(np.array(words or [0], np.int64))
        return int(self.kept[-1].ctypes.data)


def _moves(row: Row, env: Mapping[str, int], places: Mapping[str, list[int]]) -> tuple[list[int], list[int]]:
    """The instructions of `runtime.begin` and `runtime.advance` for steps whose buffers have their addresses at `places`."""
    steps = row.call.kernel
    assert isinstance(steps, Steps)
    program = steps.program
    at = {p.name: i for i, p in enumerate(steps.params)}
    types = {p.name: p.type for p in steps.params}
    second = {carry: row.slots[program.buffers[name].slot or 0] for carry, name in program.updates}
    copies: list[int] = []
    sources: dict[str, tuple[int, int]] = {}  # buffer -> a parameter, and an offset
    moved: dict[str, int] = {}  # buffer -> what a step adds to its address
    for i, name in enumerate(program.inputs):
        given = at[f"x{i}"]
        if i < steps.carries:
            own = at.get(f"y{i}", given)
            twice = name in second and row.turns % 2 == 1  # after an odd number of steps a carry is in its other memory
            sources[name] = (at["work"], second[name]) if twice else (own, 0)
            if name in second:
                sources[dict(program.updates)[name]] = (own, 0) if twice else (at["work"], second[name])
            copies += (given, *sources[name], dims.evaluate(types[f"x{i}"].nbytes, env))
        elif i < steps.carries + steps.sequences:
            stride = dims.evaluate(program.buffers[name].type.nbytes, env)
            sources[name] = given, stride * (row.turns - 1) if steps.reverse else 0
            moved[name] = -stride if steps.reverse else stride
        else:
            sources[name] = given, 0
    for i, name in enumerate(program.outputs, steps.carries):
        stride = dims.evaluate(program.buffers[name].type.nbytes, env)
        sources[name] = at[f"y{i}"], stride * (row.turns - 1) if steps.reverse else 0
        moved[name] = -stride if steps.reverse else stride
    for name, buffer in program.buffers.items():
        if buffer.slot is not None and name not in sources:
            sources[name] = at["work"], row.slots[buffer.slot]
    settings = [word for name, there in places.items() for place in there for word in (place, *sources[name])]
    shifts = [word for name, by in moved.items() for place in places.get(name, ()) for word in (place, by)]
    changes = [(places.get(carry, []), places[new]) for carry, new in program.updates]
    swaps = [word for old, new in changes for word in (len(old), len(new), *old, *new)]
    return (
        [len(copies) // 4, *copies, len(settings) // 3, *settings],
        [len(shifts) // 2, *shifts, len(changes), *swaps],
    )


class Context:
    """The memory of one running call: arena, scratch, tables; kept for the next call.

    It does not refer to its binding, which refers to it: without a cycle, memory is freed as soon as nobody uses it.
    """

    entry = "call"  # the function of `runtime` that a call is
    entry_into = "call_into"  # and one that writes into the caller's arrays

    def __init__(self, native: NativeProgram, binding: Binding) -> None:
        program = native.program
        self.raised: list[BaseException] = []
        self.parallel, self.arguments, self.results = binding.parallel, binding.inputs, binding.outputs
        self.scratch_bytes = runtime.COUNTERS + binding.scratch_bytes
        self.pool: Pool | None = None
        self.job: Array = np.zeros(runtime.JOB_WORDS, np.int64)
        self.arena, arena = _empty(binding.arena_bytes)
        self.scratch, scratch = _empty(self.scratch_bytes)
        places: dict[str, list[int]] = {}
        self.table = Table(binding.rows, binding.env, self._failed)
        for row in binding.rows:
            self.table.add(row, program.buffers, places)
        for name, there in places.items():
            slot = program.buffers[name].slot
            if slot is not None:
                for place in there:
                    self.table.pointers[(place - self.table.pointers.ctypes.data) // 8] = arena + binding.slots[slot]
        self.frame: list[Any] = [(), [], [], []]  # arguments, two lists of results (a caller often holds one), the caller's
        self.inputs = ArrayChecks(binding.inputs, places, _READABLE)
        self.outputs = ArrayChecks(binding.outputs, places, _WRITABLE)
        self.states = States(native, places)
        self.job[runtime.TABLE], self.job[runtime.CALLS] = self.table.rows.ctypes.data, len(self.table.rows)
        self.job[runtime.SCRATCH] = scratch
        self.job[runtime.MOST] = binding.most
        self.job[runtime.FRAME] = id(self.frame)
        if self.table.collectives is not None and self.table.collectives.world.comm is not None:
            self.job[runtime.SHARED] = self.table.collectives.shared.ctypes.data
        self.job[runtime.INPUTS], self.job[runtime.INPUT_COUNT] = self.inputs.address, len(binding.inputs)
        self.job[runtime.OUTPUTS], self.job[runtime.OUTPUT_COUNT] = self.outputs.address, len(binding.outputs)
        self.job[runtime.STATES], self.job[runtime.STATE_COUNT] = self.states.rows.ctypes.data, self.states.count
        self.job[runtime.EXCHANGES], self.job[runtime.EXCHANGE_COUNT] = self.states.exchanges.ctypes.data, len(program.updates)
        self.job_at = self.job.ctypes.data
        self.walk, self.walk_into = walker(self.entry), walker(self.entry_into)

    def run(self, arguments: tuple[Any, ...]) -> list[Array] | None:
        """The results, or None where the arguments are not contiguous arrays of the types and sizes that were bound."""
        frame = self.frame
        frame[0] = arguments
        if self.parallel:
            self._join_pool()
        status = self.walk(self.job_at)
        if status == runtime.NO_RESULT:
            frame[1:3] = [np.empty(shape, dtype) for _, shape, dtype in self.results], frame[1]
            status = self.walk(self.job_at)
        frame[0] = ()
        self._raise()
        return None if status == runtime.OTHER_ARGUMENTS else frame[1 + status][:]

    def run_into(self, arguments: tuple[Any, ...], results: list[Any]) -> bool:
        """Whether the results are in these arrays; else nothing has run: something is not as it was bound, or shared."""
        frame = self.frame
        frame[0], frame[3] = arguments, results
        if self.parallel:
            self._join_pool()
        status = self.walk_into(self.job_at)
        frame[0] = frame[3] = ()
        self._raise()
        return status == runtime.RAN

    def _raise(self) -> None:
        """Raise what ended the call, if anything; memory that MPI may still write into is kept."""
        if self.raised:
            self.job[runtime.FAILED] = 0
            if self.table.collectives is not None:
                world().held.append(self)
            raise self.raised.pop()

    @property
    def _failed(self) -> Callable[[BaseException], None]:
        """What a routine of Python calls with its error: then no further call runs. It does not refer to the context."""
        job, raised = self.job, self.raised

        def failed(error: BaseException) -> None:
            raised.append(error)
            job[runtime.FAILED] = 1

        return failed

    def _join_pool(self) -> None:
        """Let the current worker threads take part."""
        workers = pool()
        if workers is not self.pool:
            self.pool = workers
            self.job[runtime.POOL] = 0 if workers is None else workers.state_at
        if workers is not None and workers.scratch_bytes < self.scratch_bytes:
            workers.reserve(self.scratch_bytes)


class PublicContext(Context):
    """A context that calls by ctypes and public attributes: it does not read Python's objects as memory."""

    entry = entry_into = "call_at"

    def __init__(self, native: NativeProgram, binding: Binding) -> None:
        super().__init__(native, binding)
        self.addresses = (ctypes.c_int64 * (len(self.arguments) + len(self.results)))()

    def run(self, arguments: tuple[Any, ...]) -> list[Array] | None:
        """The results, or None where the arguments are not contiguous arrays of the types and sizes that were bound."""
        if not _fit(arguments, self.arguments):
            return None
        results = [np.empty(shape, dtype) for _, shape, dtype in self.results]
        self._call(arguments, results)
        return results

    def run_into(self, arguments: tuple[Any, ...], results: list[Any]) -> bool:
        """Whether the results are in these arrays; else nothing has run: something is not as it was bound, or shared."""
        if not _fit(arguments, self.arguments) or not _fit(results, self.results) or not all(a.flags.writeable for a in results):
            return False
        if any(np.may_share_memory(a, b) for i, a in enumerate(results) for b in (*arguments, *results[:i])):
            return False
        self._call(arguments, results)
        return True

    def _call(self, arguments: Sequence[Array], results: Sequence[Array]) -> None:
        if self.parallel:
            self._join_pool()
        self.addresses[:] = [address_of(a) for a in (*arguments, *results)]
        self.walk(self.job_at, self.addresses)
        self._raise()


def _fit(arrays: Sequence[Any], wanted: Sequence[tuple[str, tuple[int, ...], Any]]) -> bool:
    """Whether these are contiguous arrays of the types and sizes that were bound."""
    if len(arrays) != len(wanted):
        return False
    for a, (_, shape, dtype) in zip(arrays, wanted, strict=True):
        if type(a) is not np.ndarray or a.dtype != dtype or a.shape != shape:
            return False
        if not (a.flags.c_contiguous and a.flags.aligned):
            return False
    return True


class ArrayChecks:
    """The records by which `runtime.call` checks arrays, and the places that get their addresses."""

    def __init__(self, arrays: Sequence[tuple[str, tuple[int, ...], Any]], places: Mapping[str, list[int]], flags: int) -> None:
        self.shapes = np.array([n for _, shape, _ in arrays for n in shape] or [0], np.int64)
        self.places = np.array([place for name, *_ in arrays for place in places.get(name, ())] or [0], np.int64)
        self.rows = np.zeros((max(1, len(arrays)), runtime.ARRAY_WORDS), np.int64)
        self.address = self.rows.ctypes.data
        shape_at, place_at = self.shapes.ctypes.data, self.places.ctypes.data
        for row, (name, shape, dtype) in zip(self.rows, arrays, strict=False):
            last = place_at + 8 * len(places.get(name, ()))
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            row[:] = (id(np.ndarray), id(dtype), len(shape), shape_at, flags, place_at, last, size)
            shape_at, place_at = shape_at + 8 * len(shape), last


class States:
    """Where `runtime.call` finds the current memories of variables, and the places that get their addresses."""

    def __init__(self, native: NativeProgram, places: Mapping[str, list[int]]) -> None:
        updates, variables = native.program.updates, native.variables
        at_first = [(v.name, variables[v.name].places.ctypes.data) for v in native.program.signature.variables]
        second = [(name, variables[variable].places.ctypes.data + 8) for variable, name in updates]
        held = [(name, address) for name, address in (*at_first, *second) if name in places]
        self.count: int = len(held)
        self.places: Array = np.array([place for name, _ in held for place in places[name]] or [0], np.int64)
        self.rows: Array = np.zeros((max(1, len(held)), runtime.MEMORY_WORDS), np.int64)
        at = self.places.ctypes.data
        for row, (name, address) in zip(self.rows, held, strict=False):
            last = at + 8 * len(places[name])
            row[:] = (address, at, last)
            at = last
        moved = [variables[variable].places.ctypes.data for variable, _ in updates]
        self.exchanges: Array = np.array(moved or [0], np.int64)


class NativeProgram:
    """A program as machine code, over the variables by the names of their buffers.

    `compiler` translates its kernels to LLVM, nested ones included, if they are not where `kept` says; a nested program is given
    those already `compiled`.
    """

    def __init__(
        self, program: Program, variables: Mapping[str, Storage], compiler: type[Text] = Text, kept: Codes | None = None,
        compiled: dict[str, AnyKernel] | None = None,
    ) -> None:  # fmt: skip
        self.program = program
        self.variables = variables
        self.context = PublicContext if by_ctypes() else Context
        self.by_name: dict[str, AnyKernel] = {} if compiled is None else compiled
        self.compilations = 0
        if compiled is None:
            self._compile(list(program.kernels), compiler, kept)
        for variable, _ in program.updates:
            variables[variable].add_memory()
        self.output_buffers = list(dict.fromkeys(program.outputs))
        self._order = [self.output_buffers.index(b) for b in program.outputs]
        self._repeats = len(self.output_buffers) != len(self._order)
        self._bindings: dict[Any, Binding] = {}
        self._last: Binding | None = None

    def _compile(self, kernels: Sequence[Called], compiler: type[Text], kept: Codes | None) -> None:
        self.compilations += 1
        own = (k for k in kernels if isinstance(k, Kernel))
        compiled = iter(compile_kernels(own, self.program.target, compiler, kept))
        for k in kernels:
            match k:
                case Kernel():
                    self.by_name[k.name] = next(compiled)
                case HostCall():
                    inner = tuple(NativeProgram(program, {}, compiler, compiled=self.by_name) for program in k.programs)
                    self.by_name[k.name] = PythonKernel(k.name, k, native=inner)
                case Collective():
                    self.by_name[k.name] = CollectiveKernel(k.name, k)
                case Steps():
                    self.by_name[k.name] = SteppedKernel(k.name, k)
        if kept is None:
            native_address(self.context.entry)  # while there is another process that may have it

    @property
    def kernels(self) -> list[AnyKernel]:
        """Its distinct kernels, those of nested programs included."""
        return [self.by_name[k.name] for k in self.program.kernels]

    @property
    def codes(self) -> Codes:
        """Where the machine code of its kernels is."""
        return {kernel.name: kernel.code for kernel in self.kernels if isinstance(kernel, CompiledKernel)}

    def bind(self, sizes: Mapping[str, int], key: Any) -> Binding:
        with _binding:
            binding = self._bindings.get(key)
            if binding is None:
                while len(self._bindings) >= MAX_BINDINGS:
                    del self._bindings[next(iter(self._bindings))]
                binding = self._bindings[key] = Binding(self, sizes)
            return binding

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Array]:
        """The outputs; variables are updated."""
        self._last = binding = self._bindings.get(key) or self.bind(sizes, key)
        ready = [a if a.flags.c_contiguous and a.flags.aligned else np.array(a, order="C") for a in arrays]
        results = self._run(binding, tuple(ready))
        assert results is not None, "these are arrays of the sizes that were bound"
        return results

    def again(self, arguments: tuple[Any, ...]) -> list[Array] | None:
        """The outputs, if the arguments are contiguous arrays of the sizes of the last call; else None, and nothing has run."""
        return None if self._last is None else self._run(self._last, arguments)

    def into(self, arguments: tuple[Any, ...], results: list[Any]) -> bool:
        """Whether the outputs are in `results`: if all are contiguous, of the sizes of the last call, and share no memory."""
        binding = self._last
        if binding is None or self._repeats:
            return False
        try:
            context = binding.free.pop()
        except IndexError:
            context = self.context(self, binding)
        done = context.run_into(arguments, results)
        binding.free.append(context)
        return done

    def times(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Timing]:
        """The time of each call; variables are not changed."""
        from graphc.backends.llvm import stopwatch

        binding = self.bind(sizes, key)
        return stopwatch.times(self, binding, self.context(self, binding), arrays)

    def _run(self, binding: Binding, arguments: tuple[Any, ...]) -> list[Array] | None:
        try:
            context = binding.free.pop()
        except IndexError:
            context = self.context(self, binding)
        results = context.run(arguments)
        binding.free.append(context)
        if self._repeats and results is not None:
            return [results[i] if i not in self._order[:j] else results[i].copy() for j, i in enumerate(self._order)]
        return results
