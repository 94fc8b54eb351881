"""Compile kernels to machine code: one Numba function each, without Python wrappers; or find their code in the cache."""

from __future__ import annotations

import linecache
import threading
from dataclasses import dataclass
from typing import Any

from llvmlite import binding
from numba import njit, types

from graphc.backends.numba import cache
from graphc.backends.numba.source import Source, print_source
from graphc.ir.program import Kernel

_WORDS = types.CPointer(types.int64)
SIGNATURE = types.void(_WORDS, _WORDS, types.int64, types.int64, types.int64)
_LOCK = threading.Lock()
_KNOWN: dict[str, Code] = {}


@dataclass(frozen=True)
class Code:
    """Machine code in memory, and the object that keeps it there."""

    address: int
    owner: Any


@dataclass(frozen=True)
class CompiledKernel:
    """Machine code of a kernel: its address, and the source it was made from."""

    name: str
    kernel: Kernel
    source: str
    dims: tuple[str, ...]
    reserve: int  # bytes of scratch before its own arrays
    address: int
    owner: Any  # keeps the code alive

    def __repr__(self) -> str:
        return f"<kernel {self.name}, {len(self.source.splitlines())} lines>"


def compile_kernel(kernel: Kernel) -> CompiledKernel:
    """The machine code of a kernel; equal sources are compiled once in a process, and once on a machine while the cache lasts."""
    source = print_source(kernel)
    text = source.text.replace(f"def {kernel.name}(", "def kernel(", 1)
    key = cache.key_of(f"{text}\n{sorted(source.names)}\n{source.reserve}")
    with _LOCK:
        found = _KNOWN.get(key)
        if found is None:
            entry = cache.get(key)
            found = _KNOWN[key] = _compile(source, key) if entry is None else _load(entry)
    return CompiledKernel(kernel.name, kernel, source.text, source.dims, source.reserve, found.address, found.owner)


def _compile(source: Source, key: str) -> Code:
    file = f"<graphc kernel {source.name} {len(_KNOWN)}>"
    linecache.cache[file] = (len(source.text), None, source.text.splitlines(True), file)
    space = dict(source.names)
    exec(compile(source.text, file, "exec"), space)
    function = njit(
        SIGNATURE, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy", nogil=True, boundscheck=False
    )(space[source.name])
    (compiled,) = function.overloads.values()
    symbol = compiled.fndesc.llvm_func_name
    address = compiled.library.get_pointer_to_function(symbol)
    emit = getattr(compiled.library, "_get_compiled_object", None)  # what Numba's own file cache calls; not a public name
    if emit is not None and cache.directory() is not None:
        cache.put(key, cache.Entry(symbol, emit()))
    return Code(address, function)


def _load(entry: cache.Entry) -> Code:
    machine = binding.Target.from_default_triple().create_target_machine()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(entry.code))
    engine.finalize_object()
    return Code(engine.get_function_address(entry.symbol), engine)
