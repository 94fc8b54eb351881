"""Source to machine code, once in a process, and once on a machine while the cache lasts.

    text of kernels  ->  LLVM (frontend.py)  ->  optimised for this processor  ->  an object  ->  addresses
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import binding

from graphc.backends.numba import cache
from graphc.backends.numba.intrinsics import Intrinsic
from graphc.backends.numba.source import print_source
from graphc.ir.program import Kernel

_LOCK = threading.RLock()
_KNOWN: dict[str, str] = {}  # key -> what the symbols of its functions begin with


@dataclass(frozen=True)
class CompiledKernel:
    """Machine code of a kernel: its address, and the source it was made from."""

    name: str
    kernel: Kernel
    source: str
    dims: tuple[str, ...]
    tiles: Any
    address: int

    def __repr__(self) -> str:
        return f"<kernel {self.name}, {len(self.source.splitlines())} lines>"


def compile_kernel(kernel: Kernel) -> CompiledKernel:
    """The machine code of a kernel; equal sources are compiled once."""
    source = print_source(kernel)
    text = source.text.replace(f"def {kernel.name}(", "def kernel(", 1)
    if os.environ.get("GRAPHC_FRONT_END") == "numba":
        from graphc.backends.numba.oracle import by_numba

        address = by_numba(text, source.names)
    else:
        address = functions(text, source.names)("kernel")
    return CompiledKernel(kernel.name, kernel, source.text, source.dims, source.tiles, address)


def functions(text: str, names: Mapping[str, Any]) -> Callable[[str], int]:
    """The addresses, by name, of the functions in a source text; `names` maps what they use to intrinsics and constants."""
    used = sorted((name, value) for name, value in names.items() if isinstance(value, (Intrinsic, int, float, np.uint64)))
    for _, value in used:
        if isinstance(value, Intrinsic) and value.definition is not None:
            library(value.name, value.definition)

    def write(prefix: str) -> str:
        from graphc.backends.numba.frontend import translate

        return translate(text, names, prefix)

    described = (f"{name} = {value.name if isinstance(value, Intrinsic) else value!r}" for name, value in used)
    with _LOCK:
        prefix = _known(cache.key_of("\n".join((text, *described))), write)
    return lambda name: _address(prefix + name)


def library(symbol: str, write: Callable[[], str]) -> int:
    """The address of a function that all kernels may call as `external(symbol, ...)`, from LLVM text that defines it.

    The symbol must name everything that the text depends on, beside the files of this package.
    """
    with _LOCK:
        _known(cache.key_of(f"library {symbol}"), lambda prefix: write())
        address = _address(symbol)
        binding.add_symbol(symbol, address)
    return address


def _known(key: str, write: Callable[[str], str]) -> str:
    """Have the code of a key in memory; `write` gives its LLVM text, with a prefix for the names of functions."""
    if key not in _KNOWN:
        entry = cache.get(key)
        if entry is None:
            prefix = f"graphc_{key[:32]}_"
            entry = cache.Entry(prefix, _compile(write(prefix)))
            cache.put(key, entry)
        engine = _engine()
        engine.add_object_file(binding.ObjectFileRef.from_data(entry.code))
        engine.finalize_object()
        _KNOWN[key] = entry.symbol
    return _KNOWN[key]


def _address(symbol: str) -> int:
    return int(_engine().get_function_address(symbol))


def _compile(text: str) -> bytes:
    """LLVM text to an object for this processor: LLVM's optimisation, loops as vectors.

    Loops are written out only where the front end marked them: more of it was measured to make kernels slower and to take
    three quarters of LLVM's time. Runs of equal statements are not made into vectors: Numba turned that off for wrong code
    (numba#8705).
    """
    machine = _machine()
    module = binding.parse_assembly(text)
    module.verify()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.slp_vectorization, options.loop_unrolling = True, False, False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


@lru_cache(maxsize=1)
def _machine() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3, reloc="default",
        codemodel="jitdefault", jit=True,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _engine() -> Any:
    """What holds all machine code of the process."""
    _machine()
    machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
