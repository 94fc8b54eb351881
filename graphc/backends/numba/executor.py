"""Run a program: bind its sizes once, then for each call fill a table of addresses and walk it."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.backends.numba.compile import CompiledKernel, compile_kernel
from graphc.backends.numba.pool import ROW, pool, walk_alone
from graphc.ir import dims
from graphc.ir.program import Contract, Kernel, Loop, Program, Statement

Array = np.ndarray[Any, Any]
GRAIN = 200_000  # statements that one tile executes at least
MAX_TILES = 4096
MAX_BINDINGS = 64  # sizes whose tables and arenas are kept; the oldest goes first


def _aligned(n: int) -> int:
    return (n + 63) // 64 * 64


def _empty(size: int) -> tuple[Array, int]:
    """Memory for `size` bytes and its first address that is a multiple of a cache line."""
    memory = np.empty(size + 64, np.uint8)
    return memory, _aligned(memory.ctypes.data)


def _cost(body: Sequence[Statement], env: Mapping[str, int]) -> float:
    """How many statements a body executes, roughly."""
    total = 0.0
    for statement in body:
        match statement:
            case Loop(var, stop, inner, start):
                low = dims.evaluate(start, {**env, var: 0}) if dims.names(start) <= env.keys() else 0
                bound = dict.fromkeys(dims.names(stop) - env.keys(), 0)
                total += max(1, dims.evaluate(stop, {**env, **bound}) - low) * _cost(inner, env)
            case Contract(m=m, n=n, k=k):
                total += math.prod(max(1, dims.evaluate(a.extent, env)) for a in (m, n, k)) / 2
            case _:
                total += 1
    return total


def extent_of(kernel: CompiledKernel, env: Mapping[str, int]) -> int:
    """The parallel extent of a kernel."""
    return dims.evaluate(dims.product(a.extent for a in kernel.kernel.parallel), env)


def tile_of(kernel: CompiledKernel, env: Mapping[str, int], extent: int) -> int:
    """How much of the extent one tile takes: enough work, and no more tiles than needed."""
    bound = {a.var: 0 for a in kernel.kernel.parallel}
    unit = _cost(kernel.kernel.body, {**env, **bound})
    return max(1, int(GRAIN // max(unit, 1)), -(-extent // MAX_TILES))


def scratch_offsets(kernel: CompiledKernel, env: Mapping[str, int]) -> tuple[list[int], int]:
    """The byte offsets of a kernel's scratch arrays, and the bytes they take."""
    offsets, at = [], kernel.reserve
    for s in kernel.kernel.scratch:
        offsets.append(at)
        at += _aligned(dims.evaluate(dims.product(s.shape), env) * s.dtype.itemsize)
    return offsets, at


class Binding:
    """A program at given sizes: everything but the addresses of inputs, outputs and the arena."""

    def __init__(self, native: Native, env: Mapping[str, int]) -> None:
        program = native.program
        self.env = dict(env)
        self.slots: list[int] = []
        at = 0
        for size in program.slots:
            self.slots.append(at)
            at += _aligned(dims.evaluate(size, env))
        self.arena_bytes = at
        self.outputs = [
            (b, tuple(dims.evaluate(n, env) for n in program.buffers[b].type.shape), program.buffers[b].type.dtype.numpy)
            for b in native.output_buffers
        ]
        self.scratch_bytes = 0
        self.parallel = False
        self.rows: list[tuple[CompiledKernel, list[int], int, int, int]] = []
        for call in program.calls:
            kernel = native.by_name[call.kernel.name]
            offsets, need = scratch_offsets(kernel, env)
            self.scratch_bytes = max(self.scratch_bytes, need)
            extent = extent_of(kernel, env)
            tile = tile_of(kernel, env, extent)
            tiles = -(-extent // tile)
            self.parallel |= tiles > 1
            self.rows.append((kernel, [env[d] for d in kernel.dims] + offsets, extent, tile, tiles))
        self.free: list[Context] = []


class Context:
    """The memory of one running call: arena, scratch, tables; kept for the next call."""

    def __init__(self, native: Native, binding: Binding) -> None:
        program = native.program
        self.binding = binding
        self.arena, arena = _empty(binding.arena_bytes)
        self.scratch, self.scratch_at = _empty(binding.scratch_bytes)
        self.table = np.zeros((len(program.calls), ROW), np.int64)
        self.pointers = np.zeros(max(1, sum(len(c.buffers) for c in program.calls)), np.int64)
        self.sizes = np.array([n for _, sizes, *_ in binding.rows for n in sizes] or [0], np.int64)
        self.places: dict[str, list[int]] = {}
        self.outputs: list[Array | None] = [None] * len(binding.outputs)
        p = s = 0
        for row, call, (kernel, sizes, extent, tile, tiles) in zip(self.table, program.calls, binding.rows, strict=True):
            row[:6] = (kernel.address, self.pointers.ctypes.data + 8 * p, self.sizes.ctypes.data + 8 * s, extent, tile, tiles)
            for name in call.buffers:
                buffer = program.buffers[name]
                if buffer.slot is not None:
                    self.pointers[p] = arena + binding.slots[buffer.slot]
                elif buffer.role == "variable" or buffer.role == "constant":
                    self.pointers[p] = native.data[name].ctypes.data
                else:
                    self.places.setdefault(name, []).append(p)
                p += 1
            s += len(sizes)
        self.inputs = [(i, self.places[name]) for i, name in enumerate(program.inputs) if name in self.places]
        self.made = [self.places.get(b, []) for b, _, _ in binding.outputs]
        self.table_at = self.table.ctypes.data

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        for i, places in self.inputs:
            address = arrays[i].__array_interface__["data"][0]
            for place in places:
                self.pointers[place] = address
        results = []
        for j, (_, shape, dtype) in enumerate(self.binding.outputs):
            array = self.outputs[j]
            if array is None or sys.getrefcount(array) > 3:  # held by the caller: it must not change under them
                array = self.outputs[j] = np.empty(shape, dtype)
                address = array.__array_interface__["data"][0]
                for place in self.made[j]:
                    self.pointers[place] = address
            results.append(array)
        calls = len(self.table)
        workers = pool() if self.binding.parallel else None
        done = False
        if workers is not None:
            self.table[:, 6:8] = 0
            done = workers.run(self.table_at, calls, self.scratch_at, self.binding.scratch_bytes)
        if not done:
            walk_alone(self.table_at, calls, self.scratch_at)
        return results


class Native:
    """A program as machine code."""

    def __init__(self, program: Program) -> None:
        self.program = program
        distinct: dict[str, Kernel] = {}
        for call in program.calls:
            distinct.setdefault(call.kernel.name, call.kernel)
        self.compilations = 0
        self.kernels = self._compile(distinct.values())
        self.by_name = {k.name: k for k in self.kernels}
        held = [b for b in program.buffers.values() if b.role in ("constant", "variable")]
        self.data = {b.name: b.value if b.role == "constant" else b.value.data for b in held}
        self.output_buffers = list(dict.fromkeys(program.outputs))
        self._order = [self.output_buffers.index(b) for b in program.outputs]
        self._repeats = len(self.output_buffers) != len(self._order)
        self._bindings: dict[Any, Binding] = {}
        self._lock = threading.Lock()

    def _compile(self, kernels: Iterable[Kernel]) -> list[CompiledKernel]:
        self.compilations += 1
        return [compile_kernel(k) for k in kernels]

    def bind(self, sizes: Mapping[str, int], key: Any) -> Binding:
        with self._lock:
            binding = self._bindings.get(key)
            if binding is None:
                while len(self._bindings) >= MAX_BINDINGS:
                    del self._bindings[next(iter(self._bindings))]
                binding = self._bindings[key] = Binding(self, sizes)
            return binding

    def run(self, arrays: Sequence[Array], sizes: Mapping[str, int], key: Any) -> list[Array]:
        """The outputs; variables are updated in place."""
        arrays = [a if a.flags.c_contiguous and a.flags.aligned else np.array(a, order="C") for a in arrays]
        binding = self._bindings.get(key) or self.bind(sizes, key)
        try:
            context = binding.free.pop()
        except IndexError:
            context = Context(self, binding)
        results = context.run(arrays)
        binding.free.append(context)
        if self._repeats:
            results = [results[i] if i not in self._order[:j] else results[i].copy() for j, i in enumerate(self._order)]
        return results
