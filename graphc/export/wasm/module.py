"""A program in C as a module of WebAssembly."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.export.compiler import Compiler

SECTION = "weights"  # first values of variables, one array after the other

# With bulk memory both are one instruction.
_MEMORY_C = """\
#include <string.h>
void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    return __builtin_memcpy(to, from, count);
}
void *memset(void *to, int value, size_t count)
{
    return __builtin_memset(to, value, count);
}
"""


def wasm_module(name: str, files: Mapping[str, bytes], compiler: Compiler, weights: bytes | None) -> bytes:
    """The module of a program that is given as files of C. It exports its functions, its memory, and where that is free."""
    exported = (name, f"{name}_check", f"{name}_arena_bytes", "__heap_base")
    unit = {**files, "memory.c": _MEMORY_C.encode()}
    made = compiler.make(unit, compiler.wasm_flags(exported), [f"{name}.c", "memory.c"], f"{name}.wasm")
    return made if weights is None else made + custom_section(SECTION, weights)


def custom_section(name: str, content: bytes) -> bytes:
    """A section that engines pass over (WebAssembly Core Specification 2.0, 5.5.3)."""
    named = _leb128(len(name.encode())) + name.encode() + content
    return b"\0" + _leb128(len(named)) + named


def _leb128(n: int) -> bytes:
    """An unsigned integer in bytes of seven bits, the lowest first.

    >>> list(_leb128(624485))
    [229, 142, 38]
    """
    found = bytearray()
    while True:
        n, low = n >> 7, n & 0x7F
        found.append(low | (0x80 if n else 0))
        if not n:
            return bytes(found)
