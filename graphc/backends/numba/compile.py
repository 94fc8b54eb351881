"""Compile kernels to machine code: one Numba function each, without Python wrappers."""

from __future__ import annotations

import linecache
import threading
from dataclasses import dataclass
from typing import Any

from numba import njit, types

from graphc.backends.numba.source import Source, print_source
from graphc.ir.program import Kernel

_WORDS = types.CPointer(types.int64)
SIGNATURE = types.void(_WORDS, _WORDS, types.int64, types.int64, types.int64)
_LOCK = threading.Lock()
_KNOWN: dict[str, CompiledKernel] = {}


@dataclass(frozen=True)
class CompiledKernel:
    """Machine code of a kernel: its address, and the source it was made from."""

    name: str
    kernel: Kernel
    source: str
    dims: tuple[str, ...]
    tiles: Any
    address: int
    function: Any  # keeps the code alive

    def __repr__(self) -> str:
        return f"<kernel {self.name}, {len(self.source.splitlines())} lines>"


def compile_kernel(kernel: Kernel) -> CompiledKernel:
    """The machine code of a kernel; equal sources are compiled once in a process."""
    source = print_source(kernel)
    with _LOCK:
        key = source.text.replace(f"def {kernel.name}(", "def kernel(", 1) + repr(sorted(source.names))
        found = _KNOWN.get(key)
        if found is None:
            found = _KNOWN[key] = _compile(source, kernel)
    return CompiledKernel(kernel.name, kernel, source.text, source.dims, source.tiles, found.address, found.function)


def _compile(source: Source, kernel: Kernel) -> CompiledKernel:
    file = f"<graphc kernel {kernel.name} {len(_KNOWN)}>"
    linecache.cache[file] = (len(source.text), None, source.text.splitlines(True), file)
    space = dict(source.names)
    exec(compile(source.text, file, "exec"), space)
    function = njit(
        SIGNATURE, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy", nogil=True, boundscheck=False
    )(space[source.name])
    (compiled,) = function.overloads.values()
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return CompiledKernel(kernel.name, kernel, source.text, source.dims, source.tiles, address, function)
